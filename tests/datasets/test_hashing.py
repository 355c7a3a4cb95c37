"""The hash of data: contents that differ in a value or its type differ, and what text hashed to it hashes to still."""

from __future__ import annotations

import hashlib
import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinview.datasets import Dataset
from kinview.datasets.hashing import update


def hashed(values: Any) -> str:
    digest = hashlib.sha256()
    update(digest, values)
    return digest.hexdigest()


def cells(*values: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": pd.Series(values, dtype=object)})


ALIKE = [
    1,
    "1",
    True,
    "True",
    1.0,
    "1.0",
    b"1",
    "b'1'",
    np.float32(0.1),
    0.1,
    Decimal("1"),
    (1,),
    ("1",),
    "(1,)",
    2,
    1j,
]


def test_cells_that_look_alike_are_told_apart_by_their_type() -> None:
    for beside in ((), ("x",), (None,), (7,)):
        assert len({hashed(cells(value, *beside)) for value in ALIKE}) == len(ALIKE)
    for one, other in itertools.permutations([1, "1", True, 1.0], 2):
        assert hashed(cells(one, other)) != hashed(cells(one, one)) != hashed(cells(other, other))
    for kind in (np.array, pd.Categorical):
        assert len({hashed(pd.DataFrame({"a": kind(values)})) for values in ([1, 2], ["1", "2"], [1.0, 2.0])}) == 3


def test_what_is_missing_is_one() -> None:
    for beside in ("x", 1):
        missing = [None, np.nan, float("nan"), pd.NaT, pd.NA]
        assert len({hashed(cells(beside, gap)) for gap in missing}) == 1
        assert hashed(cells(beside, None)) != hashed(cells(beside, "None")) != hashed(cells(beside, "nan"))


def test_equal_contents_hash_equally() -> None:
    assert hashed(cells(np.int64(1), "x")) == hashed(cells(1, "x"))
    assert hashed(cells(np.str_("a"), "x")) == hashed(cells("a", "x"))
    assert hashed(np.array([1, 2], dtype=">i8")) == hashed(np.array([1, 2]))


# as they were when the first results were stored; pandas 3 has a type of text, and its name is part of the hash
PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3
STORED = [
    (cells("1", "a", None, "Größe"), "5965e60223767da3"),
    (cells(None, np.nan), "69ca2d709444091b"),
    (np.array(["ill", "well", None], dtype=object), "81478af654f76244" if PANDAS_3 else "7785ba7208b61913"),
    (pd.DataFrame({"a": pd.Categorical(["u", "v", None])}), "3654ace3bf5bf304"),
    (pd.DataFrame({"a": [0.5, np.nan], 1: pd.array([1, None], dtype="Int64")}), "a338e4085ebede81"),
    (
        pd.DataFrame({"a": [1.0, 2.0]}, index=pd.MultiIndex.from_arrays([pd.Index(["p", "q"], dtype=object), [0, 1]])),
        "9b756d7e92cb2b1e" if PANDAS_3 else "6c8861864008e57f",
    ),
]


@pytest.mark.parametrize(("values", "expected"), STORED)
def test_hashes_of_text_and_numbers_stay(values: Any, expected: str) -> None:
    assert hashed(values)[:16] == expected


def test_labels_of_another_type_are_another_data_set() -> None:
    X = np.zeros((2, 1, 3))
    prints = {
        Dataset(X, np.array(labels, dtype=object), X, None, "d").fingerprint()
        for labels in ([1, None], ["1", None], [True, None])
    }
    assert len(prints) == 3
