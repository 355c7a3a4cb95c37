"""A benchmark that is really killed: no cell is lost, none is computed twice, and the table stays the same."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from helpers import random_moments
from kinview.evaluation import Store

pytestmark = pytest.mark.slow

RUN = """
import sys
from kinview.evaluation import Benchmark
from kinview.evaluation import run

folder, workers = sys.argv[1], int(sys.argv[2])
benchmark = Benchmark(
    name="killed",
    datasets=["italy_power_demand", "wine"],
    methods=["raw", {"ts2vec": {"repr_dim": 16, "hidden_dim": 16, "depth": 3, "trainer": {"max_steps": 60}}},
             {"scarf": {"trainer": {"max_epochs": 20}}}],
    corruptions=["mcar"],
    severities=[0.2, 0.4],
    label_noise=["symmetric"],
    label_noise_rates=[0.2],
    pretrain_on="corrupted",
    controls="none",
    probes=["linear", "svm", "xgboost"],
    seeds=[0, 1],
)
frame = run(benchmark, f"sqlite:///{folder}/results.db", cache_dir=f"{folder}/cache", workers=workers)
assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
"""
RESULT = ["hash", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "realised_missing_test"]
CELLS = 2 * 2 * 2 * 4 * 3  # data sets, methods, seeds, conditions, probes


started: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    yield
    for process in started:
        process.kill()
        process.wait()
    started.clear()


def start(folder: Path, workers: int) -> subprocess.Popen:
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen([sys.executable, "-c", RUN, str(folder), str(workers)], stdout=log, stderr=log)
    started.append(process)
    return process


def finish(folder: Path, workers: int) -> pd.DataFrame:
    assert start(folder, workers).wait(timeout=900) == 0, (folder / "log.txt").read_text()
    return Store(f"{folder}/results.db", create=False).frame(benchmark="killed")


def rows(folder: Path) -> pd.DataFrame:
    try:
        return Store(f"{folder}/results.db", create=False).frame()
    except FileNotFoundError:
        return pd.DataFrame({"hash": []})


def wait_for_cells(folder: Path, wanted: int, process: subprocess.Popen) -> None:
    """Until the store holds that many cells, or the process has ended."""
    deadline = time.monotonic() + 300
    while len(rows(folder)) < wanted and process.poll() is None:
        assert time.monotonic() < deadline, (folder / "log.txt").read_text()
        time.sleep(0.2)


def assert_same_table(frame: pd.DataFrame, whole: pd.DataFrame) -> None:
    assert frame["hash"].tolist() == whole["hash"].tolist(), "other cells: did the code change meanwhile?"
    pd.testing.assert_frame_equal(frame[RESULT], whole[RESULT], check_exact=True)
    assert set(frame["attempts"]) == {1}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pd.DataFrame:
    """The table of a run that nobody disturbed."""
    frame = finish(tmp_path_factory.mktemp("whole"), workers=1)
    assert len(frame) == CELLS
    return frame


@pytest.mark.parametrize("workers", [1, 2])
def test_five_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path, whole, workers):
    with random_moments(workers) as moments:
        seen: dict[str, pd.Timestamp] = {}
        for kill in range(5):
            before = len(seen)
            process = start(tmp_path, workers)
            children: list[psutil.Process] = []
            # The moments cover the whole run: after a random number of new cells (none: during start-up or training),
            # and a random while later, in the middle of whatever is being done.
            wanted = before + int(moments.integers(CELLS // 6)) if kill else 0
            wait_for_cells(tmp_path, wanted, process)
            time.sleep(moments.uniform(0.0, 4.0 if kill == 0 else 0.3))
            if process.poll() is None:
                children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGKILL)
            process.wait()
            psutil.wait_procs(children, timeout=60)
            assert not any(child.is_running() for child in children), "a worker outlived its parent"
            found = rows(tmp_path)
            now = dict(zip(found["hash"], found.get("created_at", []), strict=True))
            assert seen.items() <= now.items(), "a result was lost or written again"
            seen = now
        assert 0 < len(seen) < CELLS, "the kills did not fall into the run"
        resumed = finish(tmp_path, workers)
        assert_same_table(resumed, whole)
        said = Store(f"{tmp_path}/results.db").predictions()
        assert set(said["hash"]) == set(resumed["hash"]) and not said.duplicated(["hash", "sample"]).any()
        assert seen.items() <= dict(zip(resumed["hash"], resumed["created_at"], strict=True)).items()
        assert not list((tmp_path / "cache").rglob("checkpoint*.safetensors"))


def test_workers_whose_parent_is_killed_stop_and_write_nothing_more(tmp_path, whole):
    process = start(tmp_path, 2)
    wait_for_cells(tmp_path, 5, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    written = len(rows(tmp_path))
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert len(gone) == len(workers)
    # Each worker may have been inside the insertion of one cell when its parent died.
    assert len(rows(tmp_path)) <= written + 2
    resumed = finish(tmp_path, 2)
    assert_same_table(resumed, whole)


def test_worker_that_is_killed_ends_the_run_and_the_next_one_completes_it(tmp_path, whole):
    process = start(tmp_path, 2)
    wait_for_cells(tmp_path, 5, process)
    workers = [child for child in psutil.Process(process.pid).children() if "LokyProcess" in " ".join(child.cmdline())]
    workers[0].kill()
    assert process.wait(timeout=120) != 0
    psutil.wait_procs(workers, timeout=60)
    resumed = finish(tmp_path, 2)
    assert_same_table(resumed, whole)
