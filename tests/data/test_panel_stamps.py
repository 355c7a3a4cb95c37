"""Time stamps in their exact order, every byte order, nested frames with empty cells, and very many channels."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

from kinview.data import read_panel
from kinview.data.modality import modality_of
from kinview.data.table import TableSchema

BASE = 1_700_000_000_000_000_000
NAN = np.nan


def frame(stamps: Any, ids: Any = None) -> pd.DataFrame:
    ids = np.zeros(len(stamps), dtype=int) if ids is None else ids
    return pd.DataFrame({"a": np.arange(float(len(stamps)))}, index=pd.MultiIndex.from_arrays([ids, stamps]))


def test_integer_stamps_in_nanoseconds_are_ordered_exactly() -> None:
    panel = read_panel(frame(np.array([BASE + 300, BASE + 100, BASE, BASE + 50])))
    assert panel.batch.x.flatten().tolist() == [2, 3, 1, 0]
    assert panel.batch.times is not None
    assert panel.batch.times.tolist() == [[0, 50, 100, 300]]  # since the first, as float64 has no 1.7e18 + 50
    assert panel.time_unit == "numbers"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8, unique=True)
    | st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8, unique=True)
    | st.lists(st.integers(BASE, BASE + 400), min_size=1, max_size=8, unique=True)
    | st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=8, unique=True),
    st.randoms(),
)
def test_whole_numbers_are_ordered_as_whole_numbers(stamps: list[int], random: Any) -> None:
    random.shuffle(stamps)
    kind = np.int64 if max(stamps) < 2**63 else np.uint64
    try:
        panel = read_panel(frame(np.array(stamps, dtype=kind)))
    except ValueError as error:
        assert "are one number in float64" in str(error)
        first = min(stamps)
        assert len({float(stamp - first) for stamp in stamps}) < len(stamps)
        return
    order = sorted(range(len(stamps)), key=stamps.__getitem__)
    assert panel.batch.x.flatten().tolist() == order
    assert panel.batch.times is not None
    first = min(stamps) if max(map(abs, stamps)) > 2**53 else 0
    assert panel.batch.times.flatten().tolist() == [float(stamps[i] - first) for i in order]


@pytest.mark.parametrize("unit", ["ns", "us", "s"])
@pytest.mark.parametrize("kind", ["M8", "m8"])
def test_dates_and_durations_are_ordered_exactly(unit: str, kind: str) -> None:
    steps = np.array([3, 1, 2, 0])
    stamps = (steps + (BASE if unit == "ns" else 10**9)).astype(f"{kind}[{unit}]")
    if kind == "m8" and unit == "ns":  # seconds since 0: 1.7e9 + 1e-9 is no float64
        with pytest.raises(
            ValueError, match=r"series 0 has the time stamps .* and .*, which are one number in float64"
        ):
            read_panel(frame(stamps))
        return
    assert read_panel(frame(stamps)).batch.x.flatten().tolist() == [3, 1, 2, 0]


def test_stamps_below_2_to_the_53_are_the_input_s_own() -> None:
    panel = read_panel(frame(np.array([2**53, -(2**53), 5])))
    assert panel.batch.times is not None
    assert panel.batch.times.tolist() == [[-(2.0**53), 5, 2.0**53]]


ORDERS = [f"{order}{kind}" for order in "><" for kind in ("f2", "f4", "f8", "i2", "i4", "i8", "u2")]


@pytest.mark.parametrize("kind", ORDERS)
def test_every_byte_order_reads_the_same(kind: str) -> None:
    given = np.array([[[3, 1, 2]], [[5, 7, 6]]]).astype(kind)
    plain, stamps = given.astype(np.float64), np.array([9, 3, 5])
    expected = read_panel(plain).batch.x
    cell = np.empty(2, dtype=object)
    cell[:] = list(given)
    index = pd.MultiIndex.from_product([range(2), range(3)])
    containers = {
        "array": given,
        "list": list(given),
        "list of one channel": [row[0] for row in given],
        "array of arrays": cell,
        "masked": np.ma.masked_array(given),
        "frame": pd.DataFrame(given.reshape(6, 1), index=index),
        "frames": [pd.DataFrame(row.T) for row in given],
        "nested": pd.DataFrame({"a": [row[0] for row in given]}),
        "nested series": pd.DataFrame({"a": [pd.Series(row[0]) for row in given]}),
    }
    for name, X in containers.items():
        assert torch.equal(read_panel(X).batch.x, expected), name
    ordered = read_panel([pd.DataFrame(row.T, index=stamps) for row in plain]).batch
    if kind != "<f2":  # pandas has no such index
        read = read_panel([pd.DataFrame(row.T, index=stamps.astype(kind)) for row in given]).batch
        assert torch.equal(read.x, ordered.x)
        assert read.times is not None
        assert ordered.times is not None
        assert torch.equal(read.times, ordered.times)
    table = given.reshape(2, 3)
    for X, Y in ((table, plain.reshape(2, 3)), (pd.DataFrame(table), pd.DataFrame(plain.reshape(2, 3)))):
        assert torch.equal(TableSchema.fit(X).to_batch(X).x, TableSchema.fit(Y).to_batch(Y).x)


def test_stamps_of_another_byte_order_in_every_unit() -> None:
    for kind in (">m8[s]", ">M8[s]", ">i8"):
        stamps = np.array([3, 1, 2]).astype(kind)
        read = read_panel([pd.DataFrame({"a": [0.0, 1.0, 2.0]}, index=stamps)]).batch
        assert read.x.flatten().tolist() == [1, 2, 0]
        assert read.times is not None
        first = 1 if "M" in kind else 0
        assert read.times.flatten().tolist() == [1 - first, 2 - first, 3 - first]


@pytest.mark.parametrize("empty", [None, NAN, pd.NA, "", 0.0], ids=str)
@pytest.mark.parametrize(
    "other", [np.array([1.0, 2.0]), [1.0, 2.0], pd.Series([1.0, 2.0])], ids=["array", "list", "Series"]
)
def test_a_nested_frame_whose_first_cell_is_empty_is_a_nested_frame(empty: Any, other: Any) -> None:
    for X in (pd.DataFrame({"a": [empty, other]}), pd.DataFrame({"b": [other, other], "a": [empty, other]})):
        assert modality_of(X) == "time_series"
        with pytest.raises(ValueError, match=r"series 0 has no series in channel 'a' but .*; write NaN steps"):
            read_panel(X)


def test_an_empty_first_channel_is_a_channel_without_observations() -> None:
    for empty in (np.array([]), [], pd.Series([], dtype=float)):
        other = type(empty)([1.0, 2.0]) if not isinstance(empty, np.ndarray) else np.array([1.0, 2.0])
        x = read_panel(pd.DataFrame({"a": [empty, other], "b": [other, other]})).batch.x
        assert torch.equal(x.nan_to_num(-1), torch.tensor([[[-1.0, -1], [1, 2]], [[1, 2], [1, 2]]]))
        with pytest.raises(ValueError, match="series 0 has no time steps"):
            read_panel(pd.DataFrame({"a": [empty, other]}))
    with pytest.raises(ValueError, match=r"series 0, channel 'a' has shape \(2, 2\); a nested cell is \(time,\)"):
        read_panel(pd.DataFrame({"a": [np.ones((2, 2))]}))


def test_a_table_with_text_and_numbers_in_a_column_is_a_table() -> None:
    assert modality_of(pd.DataFrame({"a": ["x", 1, None, 2.5], "b": [1, 2, 3, 4]})) == "tabular"


class Name(str):
    """A column's name that counts how often names are compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)


@pytest.mark.slow
def test_names_are_looked_up_once_each() -> None:
    """5,000 columns in another order: a search along them for each would compare 12 million times."""
    names = [f"c{i}" for i in range(5000)]
    index = pd.MultiIndex.from_product([range(2), range(2)])
    X = pd.DataFrame(np.arange(20000.0).reshape(4, 5000), index=index, columns=names[::-1])
    Name.compared = 0
    x = read_panel(X, channels=[Name(name) for name in names]).batch.x
    assert Name.compared < 100_000
    assert torch.equal(x[0, :, 0], torch.arange(4999.0, -1, -1))
    table = X.reset_index(drop=True)
    schema = TableSchema.fit(table[names])
    assert torch.equal(schema.to_batch(table).x, schema.to_batch(table[names]).x)
