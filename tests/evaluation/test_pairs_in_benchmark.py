"""Methods of pairs in a benchmark: the samples, and the static columns that are sent beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinview.evaluation import Benchmark, Report, Store
from kinview.evaluation.benchmark.runner import run
from kinview.evaluation.benchmark.steps import Chain
from kinview.methods import methods

N = 60
PAIRED = {
    "paired_clip": {
        "series_encoder": {"dilated_conv": {"repr_dim": 4, "depth": 1}},
        "table_encoder": {"mlp": {"hidden_dim": 16, "depth": 1}},
        "trainer": {"max_steps": 2, "batch_size": 8},
    }
}


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Noise as values, with a static column that knows the label and one of ages."""
    draw = np.random.default_rng(0)
    rows = [
        f"{i},{t},{draw.normal():.3f},{'no' if i % 2 else 'yes'},{20 + i},{i % 2}" for i in range(N) for t in range(4)
    ]
    path = tmp_path / "stays.csv"
    path.write_text("\n".join(["stay,hour,hr,smokes,age,died", *rows]))
    return {"path": str(path), "id": "stay", "time": "hour", "label": "died", "static": ["smokes", "age"]}


def benchmark(options: dict[str, Any], to: Any, **changes: Any) -> Benchmark:
    values: dict[str, Any] = {"methods": [PAIRED], "controls": "none", "probes": ["ridge"], "seeds": [0], **changes}
    return Benchmark("b", [{"stays": {**options, "static_to": to}}], **values)


def test_a_method_of_pairs_reads_both_sides_and_others_read_one(options: dict[str, Any], tmp_path: Path) -> None:
    asked = benchmark(
        options, {"pairs": ["smokes"]}, methods=[PAIRED, "raw"], severities=[0.99], corrupt="test",
        corruptions=["modality_missing", {"static_columns": {"columns": ["smokes"]}}, "mcar"],
    )  # fmt: skip
    frame = run(asked, f"sqlite:///{tmp_path}/b.db", cache_dir=tmp_path / "cache", progress=False)
    assert frame["status"].eq("ok").all() and len(frame) == 8
    frame = frame.fillna({"corruption": "none"})
    score = frame.set_index(["method_name", "corruption"])["accuracy"]
    assert score["paired_clip", "none"] == 1 and score["paired_clip", "mcar"] == 1  # the table knows the label
    assert score["raw", "none"] < 0.8 and score["raw", "modality_missing"] == score["raw", "none"]
    for gone in ("modality_missing", "static_columns(columns=['smokes'])"):
        assert score["paired_clip", gone] < 0.8
    text = Report(Store(f"sqlite:///{tmp_path}/b.db").frame()).methods_paragraph[0]
    (said,) = (sentence for sentence in text.split(". ") if " was read " in sentence)
    assert said.startswith("With paired_clip") and "raw" not in said
    assert said.endswith("the static column smokes of stays was read as the other side of the samples")
    realised = frame.set_index("corruption")["realised_missing_test"]
    assert realised["modality_missing"].eq(1).all() and realised["none"].eq(0).all()


def test_columns_that_are_paired_are_in_the_key_of_the_model_of_pairs_alone(options: dict[str, Any]) -> None:
    def keys(to: Any) -> dict[str, tuple[str, str]]:
        cells = benchmark(options, {"pairs": to}, methods=[PAIRED, "raw"]).cells()
        return {cell.method_label.split("(")[0]: (cell.key, cell.pretrain_key) for cell in cells}

    one, other = keys(["smokes"]), keys(["smokes", "age"])
    assert one["raw"] == other["raw"] and one["paired_clip"][0] != other["paired_clip"][0]
    assert one["paired_clip"][1] != other["paired_clip"][1]


def test_default_controls_have_the_untrained_networks_of_both_sides(options: dict[str, Any]) -> None:
    cells = benchmark(options, {"pairs": ["smokes"]}, controls="default").cells()
    labels = {cell.method_label.split("(")[0]: cell.method for cell in cells if cell.is_control}
    assert set(labels) == {"raw", "random_init", "summary", "minirocket"}
    assert "paired_clip" in labels["random_init"]["random_init"]["method"]


def test_networks_of_both_sides_are_trained_on_with_labels(options: dict[str, Any], tmp_path: Path) -> None:
    control = {"supervised": {"method": PAIRED}}
    probes = [{"finetune": {"head": head, "trainer": {"max_epochs": 1}}} for head in ("linear", "gated")]
    asked = benchmark(
        options, {"pairs": ["smokes"]}, methods=[PAIRED, control], probes=probes, label_fractions=[1.0, 0.5]
    )
    frame = run(asked, f"sqlite:///{tmp_path}/b.db", cache_dir=tmp_path / "cache", progress=False)
    assert frame["status"].eq("ok").all() and len(frame) == 8


def test_what_pairs_cannot_have_is_said(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="none of the methods reads pairs"):
        benchmark(options, {"pairs": ["age"]}, methods=["raw"]).cells()
    with pytest.raises(ValueError, match="none of the methods supports that"):
        benchmark(options, {"probe": ["age"]}).cells()
    left_out = benchmark(options, {"probe": ["age"]}, methods=[PAIRED, "raw"]).left_out()
    assert any("it reads pairs, and no data set has any" in sentence for sentence in left_out)
    assert not any("reads pairs" in sentence for sentence in benchmark(options, {"pairs": ["age"]}).left_out())
    with pytest.raises(ValueError, match="none goes to a probe, an encoder or pairs"):
        asked = {"corruptions": ["modality_missing"], "severities": [0.5]}
        benchmark(options, {"subgroups": ["smokes"]}, methods=["raw"], **asked).cells()


def test_pairs_of_a_cell_are_those_of_python(options: dict[str, Any], tmp_path: Path) -> None:
    asked = benchmark(options, {"pairs": ["age"]})
    (cell,) = asked.cells()
    chain = Chain(cell, None, tmp_path)
    z = methods.build(PAIRED).set_params(random_state=0)
    pairs = {part: chain.dataset.part(part).pairs(["age"]) for part in ("train", "test")}
    trainer = {**PAIRED["paired_clip"]["trainer"], "device": cell.environment["device"]}
    expected = z.set_params(trainer=trainer).fit(pairs["train"]).transform(pairs["test"])
    np.testing.assert_array_equal(chain.embedding(cell, "test").z, expected)
