"""Real processes that are killed while they train, and what continues from what they left."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import random_moments
from kinview import SCARF, TS2Vec
from kinview.data import DatasetSource
from kinview.training import Callback
from kinview.training.checkpoint import CHECKPOINT_NAME

pytestmark = pytest.mark.usefixtures("ctrl_c_interrupts")  # also in the processes that the first test starts
STEPS = 80
METHODS = {
    "ts2vec": (TS2Vec, {"repr_dim": 4, "hidden_dim": 4, "depth": 2, "random_state": 0}),
    "scarf": (SCARF, {"hidden_dim": 8, "depth": 2, "random_state": 0}),
    "ts2vec, streamed": (TS2Vec, {"repr_dim": 4, "hidden_dim": 4, "depth": 2, "random_state": 0}),
}


class _Tell(Callback):
    """Writes a byte after every step, which then takes 5 ms longer."""

    def __init__(self, steps: Path) -> None:
        self.steps = steps

    def on_step_end(self, state, method):
        with self.steps.open("ab") as stream:
            stream.write(b".")
        time.sleep(0.005)


def _data(name: str) -> np.ndarray | DatasetSource:
    random = np.random.default_rng(3)
    X = random.normal(size=(100, 4) if name == "scarf" else (21, 2, 15))
    X[random.random(X.shape) < 0.1] = np.nan
    return DatasetSource(X, block_rows=3, blocks_in_memory=2) if "streamed" in name else X


def _fit(name: str, folder: Path, every: int, threads: int, steps: Path | None = None):
    torch.set_num_threads(threads)
    kind, parameters = METHODS[name]
    trainer = {"max_steps": STEPS, "batch_size": 16, "checkpoint_dir": str(folder), "checkpoint_every": every}
    model = kind(**parameters, trainer=trainer)
    if steps is not None:
        model.set_params(trainer__callbacks=[_Tell(steps)])
    return model.fit(_data(name))


@pytest.fixture(scope="module")
def processes():
    """Processes that start fast: they are forked from one that has imported everything and done nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kinview.methods.ts2vec.estimator", "kinview.methods.scarf"])
    return context


def _stop(processes, number: int, after: int, pause: float, name: str, folder: Path, every: int) -> int:
    """Start a training, send it a signal a moment after a step, and return its exit code."""
    steps = folder.with_suffix(".steps")
    steps.write_bytes(b"")
    child = processes.Process(target=_fit, args=(name, folder, every, torch.get_num_threads(), steps))
    child.start()
    while child.is_alive() and steps.stat().st_size < after:
        time.sleep(0.001)
    time.sleep(pause)
    assert child.pid is not None
    os.kill(child.pid, number)
    child.join(60)
    assert child.exitcode is not None
    return child.exitcode


def _model_bytes(model, path: Path) -> bytes:
    return model.save(path).read_bytes()


def _check_kills(processes, tmp_path: Path, name: str, every: int, kills: list[tuple[int, float]]) -> None:
    """A training that is killed again and again ends as one that never was."""
    folder, threads = tmp_path / "run", torch.get_num_threads()
    whole = _model_bytes(_fit(name, folder, every, threads), tmp_path / "whole.safetensors")
    shutil.rmtree(folder)
    for after, pause in kills:
        assert _stop(processes, signal.SIGKILL, after, pause, name, folder, every) == -signal.SIGKILL
    assert len((tmp_path / "run.steps").read_bytes()) < STEPS, "it was killed too late to show anything"
    assert (folder / CHECKPOINT_NAME).exists()
    resumed = _fit(name, folder, every, threads)
    assert _model_bytes(resumed, tmp_path / "resumed.safetensors") == whole
    assert len(resumed.training_.history) == STEPS


@pytest.mark.slow
def test_a_killed_training_continues_to_the_same_file(processes, tmp_path):
    with random_moments() as random:
        _check_kills(processes, tmp_path, "scarf", 2, [(int(random.integers(3, 25)), random.random() * 0.01)])


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("name", sorted(METHODS))
def test_five_kills_at_random_moments_change_nothing(processes, tmp_path, name, every):
    with random_moments() as random:
        kills = [(int(random.integers(every + 1, 7)), random.random() * 0.02) for _ in range(5)]
        _check_kills(processes, tmp_path, name, every, kills)


@pytest.mark.slow
def test_ctrl_c_ends_the_process_and_leaves_a_checkpoint(processes, tmp_path, capfd):
    folder, threads = tmp_path / "run", torch.get_num_threads()
    whole = _model_bytes(_fit("ts2vec", folder, 100, threads), tmp_path / "whole.safetensors")
    shutil.rmtree(folder)
    assert _stop(processes, signal.SIGINT, 5, 0.0, "ts2vec", folder, 100) == 1
    assert (folder / CHECKPOINT_NAME).exists()
    assert len((tmp_path / "run.steps").read_bytes()) < STEPS
    assert _model_bytes(_fit("ts2vec", folder, 100, threads), tmp_path / "resumed.safetensors") == whole
