"""The configuration that a report makes of a store plans the very cells of the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kinview.evaluation import Benchmark, Report, Store
from kinview.evaluation.benchmark import steps

TS2VEC = {"ts2vec": {"hidden_dim": 4, "repr_dim": 4, "depth": 1, "trainer": {"max_steps": 2}}}


def planned_again(benchmark: Benchmark, folder: Path) -> dict[str, Any]:
    """What a report says of a store with the cells of a benchmark, none of which was run."""
    store = Store(f"{folder}/results.db")
    for cell in benchmark.cells():
        store.add(cell.key, {**steps._row(cell), "status": "ok", "accuracy": 0.5}, benchmark=benchmark.name)
    found: dict[str, Any] = yaml.safe_load(Report(store.frame()).made["reconstructed"])
    return found


def keys(benchmark: Benchmark) -> set[str]:
    return {cell.key for cell in benchmark.cells()}


@pytest.mark.parametrize(
    "changes",
    [
        {"shift_matrix": True, "severities": [0.2, 0.5]},
        {"shift_matrix": True, "severities": [0.2]},
        {"corrupt": ["test", "train"], "severities": [0.2]},
        {"corrupt": "test", "severities": [0.2], "pretrain_on": "clean"},
        {"embedding_metrics": True, "corruptions": []},
        {"pretrain_on": {"datasets": ["arrowhead"]}, "corruptions": []},
        {"pretrain_on": {"datasets": ["arrowhead"]}, "severities": [0.2], "corrupt": "both"},
    ],
)
def test_what_was_varied_is_varied_again(changes: dict[str, Any], tmp_path: Path) -> None:
    values: dict[str, Any] = {"controls": ["raw"], "corruptions": ["mcar"], **changes}
    benchmark = Benchmark("b", ["gunpoint"], [TS2VEC], **values)
    again = planned_again(benchmark, tmp_path)
    assert keys(Benchmark.from_config(again)) == keys(benchmark)


def test_static_columns_go_where_they_went(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = [f"{i},{t},{draw.normal():.3f},{20 + i},{i % 2}" for i in range(40) for t in range(4)]
    (tmp_path / "stays.csv").write_text("\n".join(["stay,hour,hr,age,died", *rows]))
    read = {"path": str(tmp_path / "stays.csv"), "id": "stay", "time": "hour", "label": "died", "static": ["age"]}
    given = {"stays": {**read, "static_to": {"probe": ["age"]}}}
    benchmark = Benchmark("b", [given, "gunpoint"], ["raw"], controls="none")
    again = planned_again(benchmark, tmp_path)
    plain, stays = again["datasets"]
    assert (plain, stays) == ("gunpoint", {"stays": {"static_to": {"probe": ["age"]}}})
    again["datasets"] = [plain, {"stays": {**read, **stays["stays"]}}]  # how a file is read is not stored
    assert keys(Benchmark.from_config(again)) == keys(benchmark)
