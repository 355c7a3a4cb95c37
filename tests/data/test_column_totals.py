"""Columns of a table that comes in parts, beside the same table as one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinview.data import _column_totals
from kinview.data._column_totals import ColumnTotals
from kinview.data._columns import Totals, fit_column

RANDOM = np.random.default_rng(0)
COLUMNS = {
    "numbers": pd.Series(RANDOM.normal(1e9, 3, 60)).mask(RANDOM.random(60) < 0.2),
    "constant": pd.Series([0.1] * 60),
    "nothing": pd.Series([np.nan] * 60),
    "whole": pd.Series(RANDOM.integers(0, 9, 60)),
    "late": pd.Series([np.nan] * 40 + [1.0, 2.0] * 10),
    "booleans": pd.Series([True, None, False] * 20, dtype=object),
    "texts": pd.Series(["a", "b", None, "a"] * 15, dtype=object),
    "late texts": pd.Series([None] * 40 + ["p", "q"] * 10, dtype=object),
    "dates": pd.Series(pd.date_range("2020-01-01", periods=60)).mask(RANDOM.random(60) < 0.1),
    "declared": pd.Series(pd.Categorical([3, 1] * 30)),
}


@pytest.mark.parametrize("size", [60, 20, 7])
@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_parts_say_what_the_whole_column_says(name: str, size: int) -> None:
    values = COLUMNS[name]
    totals = ColumnTotals(name)
    for first in range(0, 60, size):
        totals.add(values.iloc[first : first + size])
    whole, found = fit_column(name, values), fit_column(name, values, **totals.known)
    assert (found.kind, found.categories, found.counts) == (whole.kind, whole.categories, whole.counts)
    if size == 60:
        assert found == whole
    assert found.mean == pytest.approx(whole.mean, rel=1e-15)
    assert found.scale == pytest.approx(whole.scale, rel=1e-7)  # the means of numbers around 1e9 end at the 7th place


def test_parts_that_are_too_far_apart_are_refused() -> None:
    totals = ColumnTotals("far")
    for value in (-1e200, 1e200):
        totals.add(pd.Series([value, value]))
    with pytest.raises(ValueError, match="column 'far' spans -1e\\+200 to 1e\\+200, too wide"):
        fit_column("far", pd.Series([1.0, 2.0]), **totals.known)
    assert Totals() + Totals() == Totals()


def test_more_texts_than_can_be_counted_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_column_totals, "_MOST_CATEGORIES", 10)
    totals = ColumnTotals("id")
    with pytest.raises(ValueError, match="column 'id' holds more than 10 different texts"):
        totals.add(pd.Series([f"p{i}" for i in range(11)]))
