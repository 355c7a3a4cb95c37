"""Codes are numbers only where text and number are one to one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from kinview.data.codes import as_codes

BIG = 2**63


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (["7", "12", "-3", "0"], [7, 12, -3, 0]),
        (["07", "7"], ["07", "7"]),
        (["7", "7.0"], ["7", "7.0"]),
        (["+7", "8"], ["+7", "8"]),
        (["-0", "0"], ["-0", "0"]),
        (["1_0", "10"], ["1_0", "10"]),
        (["٣", "3"], ["٣", "3"]),  # int() would read both as 3
        (["7", "x"], ["7", "x"]),
        ([" 7", "7"], [" 7", "7"]),
        (["", "1"], ["", "1"]),
        (["a\0b", "a\0c", "a"], ["a\0b", "a\0c", "a"]),  # pandas compares objects up to the NUL
        ([str(BIG - 1), str(-BIG)], [BIG - 1, -BIG]),
        ([str(BIG), "1"], [str(BIG), "1"]),
        (["9007199254740993", "9007199254740992"], [9007199254740993, 9007199254740992]),
        ([7.0, 12.0], [7, 12]),
        ([0.5, 7.0], ["0.5", "7.0"]),
        ([2.0**53, 1.0], [str(2.0**53), "1.0"]),
        ([True, False], ["True", "False"]),
        (np.array([1, True, "1", b"a"], dtype=object), ["1", "True", "1", "a"]),
        (np.array([3, 1], dtype=">i2"), [3, 1]),
        (np.array([BIG, 1], dtype=np.uint64), [str(BIG), "1"]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.Series([5, 6], index=[9, 9]), [5, 6]),
        (pd.to_datetime(["2024-05-31"]), ["2024-05-31 00:00:00"]),
        ([], []),
    ],
)
def test_codes_without_a_gap(values: object, codes: list[object]) -> None:
    found = as_codes(values)
    assert found.tolist() == codes and found.ndim == 1
    assert found.dtype == (np.int64 if all(isinstance(code, int) for code in codes) else object)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (["7", None], [7, None]),
        (["07", None, "7"], ["07", None, "7"]),
        ([7.0, np.nan], [7, None]),
        (pd.array([9007199254740993, None], dtype="Int64"), [9007199254740993, None]),
        (pd.array([True, None], dtype="boolean"), ["True", None]),
        ([None, np.nan], [None, None]),
        (np.array([pd.NA, pd.NaT, None, "a"], dtype=object), [None, None, None, "a"]),
        (pd.Categorical(["b", None]), ["b", None]),
    ],
)
def test_missing_codes_are_none(values: object, codes: list[object]) -> None:
    found = as_codes(values)
    assert found.dtype == object and found.tolist() == codes
    assert [type(code) for code in found.tolist()] == [type(code) for code in codes]


@given(st.lists(st.one_of(st.integers(-(2**70), 2**70).map(str), st.text(alphabet="0123456789+-. e", max_size=4))))
def test_text_comes_back_and_stays_distinct(texts: list[str]) -> None:
    found = as_codes(texts)
    assert [str(code) for code in found.tolist()] == texts
    assert len(set(found.tolist())) == len(set(texts))


def test_what_is_no_list_of_codes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one-dimensional, one a row; got shape \(1, 2\)"):
        as_codes([["a", "b"]])
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        as_codes([b"\xff"])
