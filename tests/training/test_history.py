"""Histories of trainings, thinned and kept beside the results of a benchmark."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from kinview.evaluation import Benchmark, Store, run
from kinview.training.history import thinned_history


@given(st.lists(st.floats(-1e6, 1e6), max_size=300), st.integers(1, 120))
def test_every_step_is_in_one_run_and_weighs_the_same_within_it(losses: list[float], points: int) -> None:
    found = thinned_history([{"loss": loss} for loss in losses], points)
    if not losses:
        assert found == {}
        return
    ends = found["step"]
    assert len(ends) == len(found["loss"]) == min(points, len(losses)) and ends[-1] == len(losses)
    lengths = np.diff([0, *ends])
    assert lengths.min() >= 1 and lengths.max() - lengths.min() <= 1
    np.testing.assert_allclose(np.dot(lengths, found["loss"]), math.fsum(losses), rtol=1e-9, atol=1e-6)


def test_what_is_recorded_at_some_steps_only_is_a_mean_of_these() -> None:
    history = [{"loss": 1.0}, {"loss": 1.0, "rank": 4.0}, {"loss": math.inf, "rank": 2.0}, {"loss": 1.0}]
    assert thinned_history(history, 1) == {"step": [4], "loss": [None], "rank": [3.0]}
    assert thinned_history(history, 4)["rank"] == [None, 4.0, 2.0, None]


@pytest.mark.parametrize("method", ["raw", "minirocket", "random_init", "simclr"])
def test_a_store_holds_the_size_and_the_training_of_each_model(method: str, tmp_path: Path) -> None:
    small = {"encoder": {"dilated_conv": {"repr_dim": 4, "depth": 1, "hidden_dim": 4}}, "trainer": {"max_steps": 7}}
    specs = {"simclr": {"simclr": small}, "random_init": {"random_init": {"method": {"simclr": small}}}}
    methods = [specs.get(method, method)]
    benchmark = Benchmark(
        "one", ["italy_power_demand"], methods, probes=["centroid"], controls="none", severities=[], seeds=[0]
    )
    store = Store(f"{tmp_path}/results.db")
    run(benchmark, store, cache_dir=tmp_path / "cache", progress=False)
    (row,) = store.steps().query("kind == 'pretrain'").to_dict("records")
    has_network, trains = method in ("random_init", "simclr"), method == "simclr"
    assert (row["parameters"] == row["parameters"] and row["parameters"] is not None) == has_network
    assert (row["history"] is not None) == trains
    if trains:
        history = json.loads(row["history"])
        assert history["step"] == [1, 2, 3, 4, 5, 6, 7] and all(np.isfinite(history["loss"]))
