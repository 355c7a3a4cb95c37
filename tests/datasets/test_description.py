"""What a data set is said to hold: of its training part alone, against scikit-learn and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import roc_auc_score

import kinview
from kinview.cli import main
from kinview.datasets import Dataset, Samples, describe
from kinview.datasets.description import separations


def line(text: str, start: str) -> str:
    """The line that begins so."""
    return next((one.strip() for one in text.split("\n") if one.strip().startswith(start)), "")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.0, 2.0, np.nan])), min_size=12, max_size=40))
def test_the_separation_is_the_best_auroc_of_a_class_in_either_direction(rows: list[tuple[int, float]]) -> None:
    y, values = (np.array(column) for column in zip(*rows, strict=True))
    expected = []
    classes = np.unique(y)
    for one in classes:
        kept = ~np.isnan(values)
        if min(np.sum(y[kept] == one), np.sum(y[kept] != one)) >= 5:
            area = roc_auc_score(y[kept] == one, values[kept])
            expected.append(max(area, 1 - area))
    found = separations(values[:, None], y)
    if len(classes) == 2 and not expected:
        assert np.isnan(found[0])
    else:
        np.testing.assert_allclose(found, [max(expected)] if expected else [np.nan])


def series(values: np.ndarray) -> pd.DataFrame:
    n, channels, steps = values.shape
    index = pd.MultiIndex.from_product([range(n), range(steps)], names=["id", "t"])
    columns = [f"channel_{i}" for i in range(channels)]
    return pd.DataFrame(values.transpose(0, 2, 1).reshape(-1, channels), index=index, columns=columns)


def test_arrays_and_frames_of_series_are_described_alike() -> None:
    draw = np.random.default_rng(0)
    y = np.arange(30) % 2
    X = draw.normal(size=(30, 2, 6))
    X[:, 0, :3][y == 1] = np.nan  # that it was measured gives the label away
    X[:, 1, -1] = y + draw.normal(size=30) / 100  # and so does the last value
    known = {"static_train": pd.DataFrame({"sex": ["f", "m"] * 15, "outcome2": y}), "static_test": None}
    said = [
        describe(Dataset(form, y, form, y, "d", groups_train=y, groups_test=y, **known))
        for form in (X, series(X))  # type: ignore[arg-type]
    ]
    assert said[0] == said[1]
    assert line(said[0], "events") == "events: 0 in 15, 1 in 15 of 30 training samples"
    assert line(said[0], "groups") == "groups: 2 in training, of at most 15 samples; 2 of them in the test part too"
    assert line(said[0], "gaps") == "gaps: channel_0 25.0 %"
    leaks = line(said[0], "possible leaks")
    for name in ("channel_1 (last) 1.00", "channel_0 (number of observations) 1.00", "outcome2 (static) 1.00", "sex"):
        assert name in leaks
    assert "channel_0 (mean)" not in leaks and "length" not in leaks


def test_padding_behind_a_series_is_no_gap_and_a_length_may_be_a_leak() -> None:
    X = np.random.default_rng(0).normal(size=(20, 1, 6))
    y = np.arange(20) % 2
    X[y == 1, :, 4:] = np.nan
    said = describe(Dataset(X, y, X, y, "d"))
    assert line(said, "gaps") == "" and "length 1.00" in line(said, "possible leaks")


def test_nothing_is_computed_on_the_test_part() -> None:
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(20, 1, 4)), np.arange(20) % 2
    test = X + 100 * y[:, None, None]  # there it would be a leak
    said = describe(Dataset(X, y, test, y, "d")).split("\n", 1)[1]
    assert said == describe(Dataset(X, y, X, y, "d")).split("\n", 1)[1]
    assert "leak" not in said


def test_tables_are_described_by_column() -> None:
    y = np.arange(40) % 2
    X = pd.DataFrame(
        {
            "dose": np.where(y == 1, np.nan, 3.5),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(40) % 7, unit="D"),
            "ward": np.where(y == 1, "ICU", "icu"),
            "state": ["unknown", "stable", "bad", "n.a.", "fair"] * 8,
            "code": [f"c{i}" for i in range(40)],
        }
    )
    said = describe(Dataset(X, y, X, y, "d", "tabular"))
    assert line(said, "gaps") == "gaps: dose 50.0 %"
    odd = line(said, "suspicious text")
    assert "ward holds 'ICU' and 'icu', which may be one" in odd and "state holds 'unknown'" in odd and "'n.a.'" in odd
    leaks = line(said, "possible leaks")
    assert "dose (missing) 1.00" in leaks and "ward 1.00" in leaks and "state" not in leaks and "code" not in leaks


@pytest.mark.parametrize("y", [None, np.linspace(0, 1, 12), np.array([0, None] * 6, dtype=object)])
def test_targets_that_are_no_classes_or_missing_are_described(y: Any) -> None:
    X = np.random.default_rng(0).normal(size=(12, 1, 4))
    said = describe(Dataset(X, y, X, y, "d"))
    expected = {0: "", 1: "events: numeric target 0 to 1 of 12 training samples"}
    kind = 0 if y is None else 1 if y.dtype.kind == "f" else 2
    assert line(said, "events") == expected.get(kind, "events: 0 in 6 of 12 training samples, 6 without a label")
    assert Samples(X).y is None


def test_bundled_sets_and_commands_show_it(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "petal length (cm) 1.00" in line(describe(kinview.load("iris")), "possible leaks")
    words = ["--datasets", "iris", "--methods", "raw,ts2vec", "--probes", "linear", "--controls", "none"]
    assert main(["bench", *words, "--output_dir", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert "events: 0 in 35, 1 in 35, 2 in 35 of 105 training samples" in said
    assert "not in the grid: ts2vec: it reads time series, and no data set has any" in said
    model = str(tmp_path / "m.safetensors")
    assert main(["pretrain", "--dataset", "iris", "--method", "raw", "--output", model]) == 0
    assert main(["probe", "--dataset", "iris", "--model", model]) == 0
    assert "possible leaks, single features with AUROC > .95 in training" in capsys.readouterr().out
    split = ["--split", "{stratified_kfold: {folds: 3}}"]
    assert main(["bench", *words, *split, "--output_dir", str(tmp_path)]) == 0
    assert "of 100 training samples" in capsys.readouterr().err  # of the first fold
