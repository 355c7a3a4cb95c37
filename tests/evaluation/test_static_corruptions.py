"""Corruptions of what is known of a sample besides X, and of a whole side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinview.evaluation.corruptions import corrupt, corruptions
from kinview.evaluation.corruptions.modality_missing import ModalityMissing
from kinview.evaluation.corruptions.static_columns import StaticColumns

X = np.random.default_rng(0).normal(size=(40, 2, 6))


def static(n: int = 40) -> pd.DataFrame:
    rows = np.arange(n)
    age = np.where(rows % 5 == 0, np.nan, 20.0 + rows)
    return pd.DataFrame({"age": age, "sex": np.array(list("fm"))[rows % 2], "ward": rows % 3, "smokes": rows % 2 == 0})


def test_static_columns_lose_exactly_what_the_mechanism_takes_and_nested() -> None:
    before, lower = static(), None
    observed = before.notna().to_numpy()
    for rate in (0.0, 0.1, 0.5, 1.0):
        found = StaticColumns(rate).corrupted(X, 3, static=before)
        gone = observed & found.static.isna().to_numpy()
        assert gone.sum() == round(rate * observed.sum()) and found.realised == pytest.approx(
            gone.sum() / observed.sum()
        )
        assert lower is None or not (lower & ~gone).any()
        np.testing.assert_array_equal(found.X, X)
        assert not found.removed.any()
        lower = gone
    pd.testing.assert_frame_equal(before, static())
    same = StaticColumns(0.5).corrupted(X, 3, static=before).static
    pd.testing.assert_frame_equal(same, StaticColumns(0.5).corrupted(X, 3, static=before).static)


def test_other_columns_and_what_stays_are_as_they_were() -> None:
    found = StaticColumns(0.4, columns=["age", "sex"]).corrupted(X, 0, static=static()).static
    pd.testing.assert_frame_equal(found[["ward", "smokes"]], static()[["ward", "smokes"]])
    kept = found["sex"].notna()
    assert (found["sex"][kept] == static()["sex"][kept]).all() and list(found.columns) == list(static().columns)


def test_columns_that_are_numbered_keep_their_names() -> None:
    numbered = static().set_axis(range(4), axis=1)
    found = StaticColumns(0.5).corrupted(X, 0, static=numbered).static
    assert list(found.columns) == [0, 1, 2, 3] and found.isna().sum().sum() > numbered.isna().sum().sum()


def test_thresholds_of_a_mechanism_are_those_of_the_training_part() -> None:
    part = StaticColumns(0.5, mechanism={"mnar_high": {"steepness": 1e6}}, columns=["ward"])
    learned = part.learn(X, 0, static=static())
    test = static(12).assign(ward=[0, 1, 2, 2] * 3)
    found = part.corrupted(X[:12], (0, 1), static=test, learned=learned).static["ward"]
    assert found[test["ward"] == 2].isna().sum() == 6 and found.isna().sum() == 6  # all six that are high go


def test_samples_are_corrupted_too_where_that_is_asked_for() -> None:
    found = StaticColumns(0.25, with_samples=True).corrupted(X, 0, static=static())
    assert found.removed.sum() == np.isnan(found.X).sum() == 0.25 * X.size and found.static.isna().sum().sum() > 40


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_a_whole_side_goes_from_exactly_so_many_samples(rate: float) -> None:
    table = static()
    table = table.mask(np.tile(np.arange(40)[:, None] < 10, (1, 4)))  # samples that lack it anyway
    found = ModalityMissing(rate).corrupted(X, 1, static=table)
    lost = found.static.isna().all(axis=1) & table.notna().any(axis=1)
    assert lost.sum() == round(rate * 30) and found.realised == pytest.approx(lost.sum() / 30)
    pd.testing.assert_frame_equal(found.static[~lost], table[~lost], check_dtype=False)
    x = X.copy()
    x[:10] = np.nan
    gone, removed = ModalityMissing(rate, side="samples").apply(x, 1)
    assert np.isnan(gone[10:]).all(axis=(1, 2)).sum() == round(rate * 30)
    assert (
        np.isnan(gone[10:]).any(axis=(1, 2)).sum() == round(rate * 30) and removed[10:].sum() == round(rate * 30) * 12
    )


def test_which_samples_lose_a_side_is_nested_and_left_to_the_seed() -> None:
    def lost(rate: float, seed: int = 0, side: Any = "static") -> Any:
        found = ModalityMissing(rate, side=side).corrupted(X, seed, static=static())
        return found.static.isna().all(axis=1).to_numpy() if side == "static" else np.isnan(found.X).all(axis=(1, 2))

    for side in ("static", "samples"):
        assert not (lost(0.2, side=side) & ~lost(0.6, side=side)).any()
        assert (lost(0.5, side=side) != lost(0.5, 1, side=side)).any()


def test_what_cannot_be_done_is_said() -> None:
    for part in (StaticColumns(0.5), ModalityMissing(0.5)):
        with pytest.raises(ValueError, match="give static="):
            part.corrupted(X, 0)
    with pytest.raises(ValueError, match=r"changes static columns, which corrupt\(\) does not give back"):
        corrupt(X, "modality_missing", 0, rate=0.5, static=static())
    with pytest.raises(ValueError, match="'weight', which is no static column of the data; there are: age, sex"):
        StaticColumns(0.5, columns=["weight"]).corrupted(X, 0, static=static())
    with pytest.raises(ValueError, match="its mechanism is a corruption of time series"):
        StaticColumns(0.5, mechanism="block")
    with pytest.raises(ValueError, match="columns must name static columns, each once"):
        StaticColumns(0.5, columns=[])
    with pytest.raises(ValueError, match="side must be static or samples"):
        ModalityMissing(0.5, side="table")  # type: ignore[arg-type]
    assert corruptions.build(
        {"static_columns": {"mechanism": StaticColumns(0.1).mechanism}}, rate=0.1
    ) == StaticColumns(0.1)


@pytest.mark.parametrize("inside", ["modality_missing", "static_columns"])
@pytest.mark.parametrize("around", [{"static_columns": {}}, {"subgroup": {"where": "a"}}])
def test_no_corruption_of_single_values_applies_one_of_whole_samples_or_static_columns(
    around: dict[str, dict[str, Any]], inside: str
) -> None:
    ((name, parameters),) = around.items()
    with pytest.raises(ValueError, match="mechanism must be a corruption of values, such as mcar"):
        corruptions.build({name: {**parameters, "mechanism": inside}}, rate=0.2)
