"""Claims on work: one process at a time, dead ones are taken over, stopped ones lose; shards; what is left to do."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import NEEDS_POSTGRESQL, postgresql_database
from kinview.evaluation import Benchmark, Store, claims, run
from kinview.evaluation._database import tables
from kinview.evaluation.benchmark import steps
from kinview.evaluation.benchmark.forecast import forecast
from kinview.evaluation.benchmark.shards import Shard, _chains_of
from kinview.evaluation.claims import Watch, claimed, drop_dead_claims

PLAN = """
import sys
from kinview.evaluation import Store
for _ in range(20):
    Store(sys.argv[1]).plan("same", [str(i) for i in range(200)])
"""


HOLD = """
import sys, time
from kinview.evaluation import Store
from kinview.evaluation.claims import claimed
with claimed(Store(sys.argv[1]), "work") as claim:
    print(claim is not None, flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=NEEDS_POSTGRESQL)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        yield Store(str(tmp_path / "results.db"))
        return
    with postgresql_database() as url:
        yield Store(url)


@pytest.fixture
def holder(store: Store) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the work."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, store.url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def held(store: Store) -> list[Any]:
    with store.connected() as connection:
        return list(connection.execute(tables()["claims"].select()))


def test_what_is_claimed_is_given_back_also_after_an_error(store: Store) -> None:
    with claimed(store, "work") as claim, claimed(store, "other") as other:
        assert claim is not None and other is not None and len(held(store)) == 2
    with pytest.raises(RuntimeError), claimed(store, "work"):
        raise RuntimeError
    assert held(store) == []


def test_a_dead_process_is_taken_over_at_once_and_a_living_one_is_not(
    store: Store, holder: subprocess.Popen[str]
) -> None:
    with claimed(store, "work") as claim:
        assert claim is None
    assert Watch(store).free(["work", "free"]) == {"free": None}
    holder.send_signal(signal.SIGKILL)  # it is a zombie until somebody waits for it
    deadline = time.monotonic() + 30
    while "work" not in Watch(store).free(["work"]):
        assert time.monotonic() < deadline
    with claimed(store, "work") as claim:
        assert claim is not None
    assert held(store) == []


def test_another_process_with_its_number_is_not_the_one_that_died(store: Store, holder: subprocess.Popen[str]) -> None:
    (row,) = held(store)
    assert row.process.split()[0] == str(holder.pid)
    with store.connected(write=True) as connection:
        connection.execute(tables()["claims"].update().values(process=f"{holder.pid} 1"))
    with claimed(store, "work") as claim:
        assert claim is not None


def test_what_the_dead_hold_is_dropped_and_nothing_else(store: Store, holder: subprocess.Popen[str]) -> None:
    # a process that dies after the last result of its work leaves a claim on work that nobody does again
    (living,) = held(store)
    dead = {"owner": "a", "machine": living.machine, "process": f"{holder.pid} 1", "beats": 3}
    elsewhere = {"owner": "b", "machine": "elsewhere", "process": "1 1", "beats": 3}
    with store.connected(write=True) as connection:
        connection.execute(tables()["claims"].insert(), [{"hash": "done", **dead}, {"hash": "far", **elsewhere}])
    assert drop_dead_claims(store) == 1
    assert {row.hash for row in held(store)} == {"work", "far"}
    assert drop_dead_claims(store) == 0


def test_a_run_of_finished_cells_leaves_no_claim_of_a_dead_process(store: Store, tmp_path: Path) -> None:
    benchmark = Benchmark("one", ["iris"], ["raw"], probes=["centroid"], controls="none", severities=[], seeds=[0])
    run(benchmark, store, cache_dir=tmp_path / "cache", progress=False)
    with claimed(store, "another"):
        row = {**held(store)[0]._mapping, "hash": "done", "process": "1 1"}  # what has its number began later
    with store.connected(write=True) as connection:
        connection.execute(tables()["claims"].insert().values(**row))
    run(benchmark, store, cache_dir=tmp_path / "cache", progress=False)
    assert held(store) == []


def test_of_another_machine_only_silence_tells(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = {"owner": "a", "machine": "elsewhere", "process": "1 1", "beats": 0}
    table = tables()["claims"]
    with store.connected(write=True) as connection:
        connection.execute(table.insert().values(hash="work", **elsewhere))
    watch = Watch(store)
    assert watch.free(["work"]) == {}
    now = time.monotonic()
    monkeypatch.setattr(claims.time, "monotonic", lambda: now + claims.LEASE - 1)
    with store.connected(write=True) as connection:
        connection.execute(table.update().values(beats=1))  # a sign of life
    assert watch.free(["work"]) == {}
    monkeypatch.setattr(claims.time, "monotonic", lambda: now + 2 * claims.LEASE - 2)
    assert watch.free(["work"]) == {}
    monkeypatch.setattr(claims.time, "monotonic", lambda: now + 2 * claims.LEASE)
    free = watch.free(["work"])
    assert free == {"work": ("a", 1)}
    with claimed(store, "work", stale=("a", 0)) as claim:
        assert claim is None  # it has lived on meanwhile
    with claimed(store, "work", stale=free["work"]) as claim:
        assert claim is not None


def test_a_process_that_was_stopped_too_long_learns_that_it_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.02)
    with claimed(store, "work") as claim:
        assert claim is not None
        deadline = time.monotonic() + 30
        while held(store)[0].beats < 2:
            assert time.monotonic() < deadline
        assert not claim.lost
        with store.connected(write=True) as connection:
            connection.execute(tables()["claims"].update().values(owner="another"))
        while not claim.lost:
            assert time.monotonic() < deadline
    assert [row.owner for row in held(store)] == ["another"]  # it gives back what is its own only


def test_runs_that_write_one_plan_at_a_time_do_not_get_in_each_others_way(store: Store) -> None:
    both = [subprocess.Popen([sys.executable, "-c", PLAN, store.url]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert store.planned("same") == 200


GRID = {
    "name": "grid", "datasets": ["iris"], "methods": ["raw", {"scarf": {"trainer": {"max_steps": 2}}}],
    "probes": ["knn", "ridge"], "controls": "none", "label_fractions": [0.5], "seeds": [0, 1, 2],
}  # fmt: skip


def test_shards_part_the_grid_and_no_model_is_in_two() -> None:
    cells = Benchmark(**GRID).cells()
    chains, costs = _chains_of(cells, None)
    for of in (1, 2, 4, 9):
        parts = [Shard(number, of).chains(chains, costs) for number in range(1, of + 1)]
        keys = [{cell.key for chain in part for cell in chain} for part in parts]
        models = [{cell.pretrain_key for chain in part for cell in chain} for part in parts]
        assert set().union(*keys) == {cell.key for cell in cells} and sum(map(len, keys)) == len(cells)
        assert sum(map(len, models)) == len(set().union(*models)) == 6
    trained = [[cell.method for chain in Shard(n, 3).chains(chains, costs) for cell in chain] for n in (1, 2, 3)]
    assert all(len({str(method) for method in methods}) == 2 for methods in trained)  # the work is spread


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "1/2/3", "-1/4", "one/two", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a shard is one of 1/\d+ to .*; got"):
        Shard.of_text(text)


def test_a_forecast_counts_what_a_run_then_does_and_writes_nothing(tmp_path: Path) -> None:
    grid, url, cache = Benchmark(**GRID), f"{tmp_path}/results.db", tmp_path / "cache"
    before = forecast(grid, None, cache_dir=cache, shard="1/2")
    assert before.lines()[1].startswith("no estimate of the time") and not list(tmp_path.iterdir())
    run(grid, url, cache_dir=cache, shard="1/2", progress=False)
    store = Store(url)
    made = store.steps()
    assert before.left == {
        "pretrain": (made["kind"] == "pretrain").sum(), "embed": (made["kind"] == "embed").sum(),
        "probe": len(store.frame()),
    }  # fmt: skip
    assert set(made["attempts"]) == {1} and (made["seconds"] > 0).all()
    after = forecast(grid, store, cache_dir=cache, shard="1/2")
    assert set(after.left.values()) == {0} and after.lines()[-1] == "nothing is left to compute"
    whole = forecast(grid, store, cache_dir=cache, workers=2)
    assert whole.seconds > 0 and whole.timed["probe"] == whole.left["probe"]
    assert whole.timed["pretrain"] < whole.left["pretrain"]  # of the other method nothing is known yet
    assert "without 3 models, 6 embeddings, of which the store holds no timings yet" in whole.lines()[-1]
    assert {kind: whole.total[kind] - whole.left[kind] for kind in whole.total} == before.left
    assert "with 2 processes, by the timings in the store" in whole.lines()[-1]


def test_failed_cells_stay_so_until_they_are_to_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = Benchmark(**{**GRID, "methods": ["raw"], "seeds": [0]})
    url, probe = f"{tmp_path}/results.db", steps.Chain.probe

    def fails(chain: steps.Chain, cell: Any) -> Any:
        if cell.probe == "ridge":
            raise ValueError("not today")
        return probe(chain, cell)

    monkeypatch.setattr(steps.Chain, "probe", fails)
    states = []
    for retry_failed in (False, False, True):
        frame = run(grid, url, cache_dir=tmp_path, retry_failed=retry_failed)
        states.append(dict(zip(frame["probe"], zip(frame["status"], frame["attempts"], strict=True), strict=True)))
    assert [one["ridge"] for one in states] == [("failed", 1), ("failed", 1), ("failed", 2)]
    assert "2 cells failed earlier and stay so; --retry_failed tries them again" in capsys.readouterr().err
    monkeypatch.undo()
    frame = run(grid, url, cache_dir=tmp_path, retry_failed=True, progress=False)
    assert set(frame["status"]) == {"ok"} and set(frame["attempts"]) == {1, 3}
