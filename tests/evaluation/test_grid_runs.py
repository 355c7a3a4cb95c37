"""A grid of 540 cells, killed, shared by two drivers, in shards and on a cluster: one result, and nothing twice."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers import NEEDS_POSTGRESQL, postgresql_database, random_moments
from kinview.evaluation import Store
from kinview.evaluation._database import tables

pytestmark = pytest.mark.slow

CELLS = 2 * 2 * 3 * 3 * 5 * 3  # data sets, methods, seeds, severities, noise, budgets
RESULT = ["hash", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "realised_missing_test", "attempts"]

# Each line of input says what to run; a driver is a fork, a process of its own, so that none waits for imports.
DRIVERS = """
import json, os, sys
from kinview.evaluation import Benchmark, Store, run

def grid(datasets):
    return Benchmark(
        "grid", datasets, ["raw", "pca"], probes=["centroid"], controls="none",
        corruptions=["mcar"], severities=[0.2, 0.4], corrupt="test",
        label_noise=["symmetric"], label_noise_rates=[0.1, 0.2, 0.3, 0.4], label_fractions=[0.25, 0.5],
        crossed=True, seeds=[0, 1, 2],
    )

grid(["wine", "iris"]).cells()
print("ready", flush=True)
for line in sys.stdin:
    url, cache, datasets, options = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            frame = run(grid(datasets), url, cache_dir=cache, progress=False, **options)
            assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
            code = 0
        finally:
            os._exit(code)
    print(child, flush=True)
"""


class Drivers:
    """Starts drivers, kills them, and waits for them."""

    def __init__(self, folder: Path) -> None:
        with (folder / "log.txt").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", DRIVERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._log, self._started = folder / "log.txt", list[int]()
        assert self._said() == "ready"

    def _said(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, self._log.read_text()
        return line

    def start(self, url: str, cache: Path, datasets: tuple[str, ...] = ("wine", "iris"), **options: Any) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([url, str(cache), datasets, options]) + "\n")
        self._process.stdin.flush()
        self._started.append(int(self._said()))
        return self._started[-1]

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def wait(self, *pids: int) -> None:
        deadline = time.monotonic() + 300
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)
        assert "Traceback" not in self._log.read_text(), self._log.read_text()

    def close(self) -> None:
        for pid in self._started:
            self.kill(pid)
        self._process.kill()
        self._process.wait()  # and not for its output, which idle workers of a killed driver hold open for minutes
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be asked how it ended does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drivers]:
    made = Drivers(tmp_path_factory.mktemp("drivers"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(drivers: Drivers, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    drivers.wait(drivers.start(f"{folder}/results.db", folder / "cache"))
    return Store(f"{folder}/results.db", create=False)


def assert_same(found: Store, whole: Store) -> None:
    """Every cell once, with the result of the undisturbed run to the last bit, its predictions too."""
    one, other = (store.frame().sort_values("hash", ignore_index=True) for store in (found, whole))
    assert len(one) == CELLS and set(one["attempts"]) == {1}
    pd.testing.assert_frame_equal(one[RESULT], other[RESULT])
    order = ["hash", "sample"]
    said = [store.predictions().sort_values(order, ignore_index=True) for store in (found, whole)]
    pd.testing.assert_frame_equal(said[0], said[1])
    assert set(found.steps()["hash"]) == set(whole.steps()["hash"])
    with found.connected() as connection:
        assert connection.execute(tables()["claims"].select()).first() is None


def test_killed_at_ten_moments_by_two_drivers_at_once(drivers: Drivers, whole: Store, tmp_path: Path) -> None:
    url, cache = f"{tmp_path}/results.db", tmp_path / "cache"
    store = Store(url)
    seen: dict[str, pd.Timestamp] = {}
    at_once = 0
    with random_moments() as moments:
        for _ in range(10):
            both = [drivers.start(url, cache) for _ in range(2)]
            before, deadline = len(seen), time.monotonic() + 60
            wanted = before + int(moments.integers(CELLS // 12))  # none: while it plans, or fits a model
            while len(store.states(whole.frame()["hash"])) < wanted and any(map(alive, both)):
                assert time.monotonic() < deadline
            time.sleep(moments.uniform(0.0, 0.1))
            with store.connected() as connection:
                at_once += len(connection.execute(tables()["claims"].select()).all()) == 2
            for pid in moments.permutation(both):
                drivers.kill(int(pid))
                time.sleep(moments.uniform(0.0, 0.05))
            drivers.wait(*both)
            frame = store.frame()
            now = dict(zip(frame["hash"], frame["created_at"], strict=True))
            assert seen.items() <= now.items(), "a result was lost or written again"
            seen = now
        assert 0 < len(seen) < CELLS and at_once > 0
        drivers.wait(drivers.start(url, cache), drivers.start(url, cache))
        frame = store.frame()
        assert seen.items() <= dict(zip(frame["hash"], frame["created_at"], strict=True)).items()
        assert_same(store, whole)
        assert (store.steps()["attempts"] - 1).sum() <= 20  # a kill costs the step that it hits


def test_two_processes_and_four_shards_give_the_same_store(drivers: Drivers, whole: Store, tmp_path: Path) -> None:
    drivers.wait(drivers.start(f"{tmp_path}/processes.db", tmp_path / "cache", workers=2))
    assert_same(Store(f"{tmp_path}/processes.db"), whole)
    assert set(Store(f"{tmp_path}/processes.db").steps()["attempts"]) == {1}
    folders = [tmp_path / f"shard{i}" for i in range(4)]  # of machines that share nothing but the store
    drivers.wait(*(drivers.start(f"{tmp_path}/shards.db", folders[i], shard=f"{i + 1}/4") for i in range(4)))
    store = Store(f"{tmp_path}/shards.db")
    assert_same(store, whole)
    assert set(store.steps()["attempts"]) == {1}
    models = [{path.name for path in folder.glob("models/*")} for folder in folders]
    assert all(models) and sum(map(len, models)) == len(set().union(*models)) == 12


@NEEDS_POSTGRESQL
def test_two_drivers_on_postgresql_compute_nothing_twice(drivers: Drivers, whole: Store, tmp_path: Path) -> None:
    with postgresql_database() as url:
        drivers.wait(*(drivers.start(url, tmp_path / f"{i}", datasets=("wine",)) for i in range(2)))
        store = Store(url, create=False)
        frame, expected = store.frame(), whole.frame().query("dataset == 'wine'")
        assert set(frame["attempts"]) == {1} and set(store.steps()["attempts"]) == {1}
        one, other = (f.sort_values("hash", ignore_index=True) for f in (frame, expected))
        pd.testing.assert_frame_equal(one[RESULT], other[RESULT])
        models = [len(list((tmp_path / f"{i}" / "models").iterdir())) for i in range(2)]
        assert all(models) and sum(models) == 6


ON_DASK = """
import json, sys
import dask
from distributed import LocalCluster
from kinview.evaluation import Benchmark, Store, run

if __name__ == "__main__":
    folder, config = sys.argv[1], json.loads(sys.argv[2])
    # no worker is given a task while it is at another one: what is begun again had been begun
    dask.config.set({"distributed.scheduler.worker-saturation": 1.0})
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    )
    with cluster:
        frame = run(Benchmark(**config), f"{folder}/results.db", cache_dir=f"{folder}/cache",
                    progress=False, dask=cluster.scheduler_address)
        log = [entry[:3] for entry in cluster.scheduler.transition_log]
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    print(json.dumps([list(map(str, entry)) for entry in log]))
"""
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is not installed")


def on_dask(folder: Path, config: dict[str, Any], meanwhile: Callable[[Store], None]) -> list[list[str]]:
    """Run on a local cluster, and return what its scheduler noted of each task."""
    folder.mkdir(exist_ok=True)
    script = folder / "on_dask.py"
    script.write_text(ON_DASK)
    store = Store(f"{folder}/results.db")
    words = [sys.executable, str(script), str(folder), json.dumps(config)]
    with (folder / "log.txt").open("w") as errors:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        meanwhile(store)
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, (folder / "log.txt").read_text()
    finally:
        process.kill()
        process.wait()
    return json.loads(out.splitlines()[-1])  # type: ignore[no-any-return]


@needs_dask
def test_a_worker_killed_in_a_step_costs_this_step_alone(tmp_path: Path) -> None:
    config = {
        "name": "killed", "datasets": ["iris"], "probes": ["knn", "centroid"], "controls": "none",
        "seeds": [0, 1, 2], "methods": ["raw", {"scarf": {"trainer": {"max_steps": 300}}}],
    }  # fmt: skip
    hit: list[str] = []

    def kill_in_training(store: Store) -> None:
        deadline = time.monotonic() + 120
        while not hit:
            assert time.monotonic() < deadline, (tmp_path / "log.txt").read_text()
            steps = store.steps()
            begun = steps[
                steps["method"].str.startswith("scarf") & (steps["kind"] == "pretrain") & steps["seconds"].isna()
            ]
            with store.connected() as connection:
                claims = {row.hash: row for row in connection.execute(tables()["claims"].select())}
            for key in begun["hash"]:
                if key in claims:
                    os.kill(int(claims[key].process.split()[0]), signal.SIGKILL)
                    hit.append(key)
                    break

    log = on_dask(tmp_path, config, kill_in_training)
    begun = [key for key, _, state in log if state == "processing"]
    again = {key for key in begun if begun.count(key) > 1}
    assert len(again) == 1 and hit[0] in next(iter(again))
    store = Store(f"{tmp_path}/results.db")
    steps, frame = store.steps().set_index("hash"), store.frame()
    assert steps.loc[steps["attempts"] > 1, "attempts"].to_dict() == {hit[0]: 2}
    assert steps["seconds"].notna().all() and len(frame) == 12 and set(frame["attempts"]) == {1}


@needs_dask
def test_a_cluster_gives_the_same_store(whole: Store, tmp_path: Path) -> None:
    spec: dict[str, Any] = {
        "name": "grid", "datasets": ["wine", "iris"], "methods": ["raw", "pca"], "probes": ["centroid"],
        "controls": "none", "corruptions": ["mcar"], "severities": [0.2, 0.4], "corrupt": "test",
        "label_noise": ["symmetric"], "label_noise_rates": [0.1, 0.2, 0.3, 0.4], "label_fractions": [0.25, 0.5],
        "crossed": True, "seeds": [0, 1, 2],
    }  # fmt: skip
    killed: list[int] = []

    def kill_one(store: Store) -> None:
        deadline = time.monotonic() + 120
        while not killed:
            assert time.monotonic() < deadline, (tmp_path / "log.txt").read_text()
            with store.connected() as connection:
                claims = connection.execute(tables()["claims"].select()).all()
            if claims and len(store.frame()) > np.random.default_rng(0).integers(CELLS // 2):
                killed.append(int(claims[0].process.split()[0]))
                os.kill(killed[0], signal.SIGKILL)

    on_dask(tmp_path, spec, kill_one)
    assert_same(Store(f"{tmp_path}/results.db"), whole)
