"""Whether test samples were trained on: told by values, names and groups, from hashes that say nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, strategies as st

from kinview.datasets import Samples
from kinview.datasets.seen import Seen, SeenCounts, seen_file
from kinview.files import dump_tensors, read_tensors


def frame(names: list[Any], values: np.ndarray) -> pd.DataFrame:
    """Series (n, C, T) as a frame, its steps in the order of time."""
    index = pd.MultiIndex.from_product([names, range(values.shape[2])], names=["id", "time"])
    flat = np.moveaxis(values, 1, 2).reshape(-1, values.shape[1])
    return pd.DataFrame(flat, index=index, columns=[f"c{i}" for i in range(values.shape[1])])


VALUES = np.random.default_rng(0).normal(size=(6, 2, 5))


@pytest.mark.parametrize("kind", ["array", "frame", "padded", "float32 read as float64"])
def test_the_same_series_are_known_whatever_holds_them(kind: str) -> None:
    values = VALUES.astype(np.float32).astype(np.float64) if "float32" in kind else VALUES
    seen = Seen.of(Samples(values[:4]))
    other: Any = values[2:]
    if kind == "frame":
        other = frame(list("cdef"), other)
    elif kind == "padded":
        other = np.pad(other, ((0, 0), (0, 0), (0, 3)), constant_values=np.nan)
    elif "float32" in kind:
        other = other.astype(np.float32)
    assert seen.count(Samples(other)) == SeenCounts(samples=4, seen=2, values=2, names=0, groups=None)


def test_one_value_more_or_less_is_another_series() -> None:
    seen = Seen.of(Samples(VALUES[:1]))
    for change in ("value", "gap", "step", "channels"):
        other = VALUES[:1].copy()
        if change == "value":
            other[0, 1, 4] += 1e-9
        elif change == "gap":
            other[0, 1, 2] = np.nan
        elif change == "step":
            other = other[:, :, 1:]
        else:
            other = other[:, ::-1]
        assert seen.count(Samples(other)).seen == 0, change


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=6))
def test_any_values_are_known_again(row: list[float]) -> None:
    values = np.array(row)[None, None]
    with np.errstate(invalid="ignore"):  # a NaN that signals
        again = values + 0.0
    found = Seen.of(Samples(values)).count(Samples(np.concatenate([values, again])))
    assert found.values == (0 if np.isnan(values).all() else 2)  # nothing observed says nothing


def test_tables_are_known_by_their_cells() -> None:
    table = pd.DataFrame({"age": [40.0, np.nan, 41.0], "sex": ["m", "f", None], "smoker": [True, False, True]})
    seen = Seen.of(Samples(table, modality="tabular"))
    again = pd.DataFrame({"age": [41, 40], "sex": pd.Categorical([None, "m"]), "smoker": [1, 1]})
    assert seen.count(Samples(again, modality="tabular")).values == 2  # whole numbers, categories and booleans as such
    for other in ({"age": [40.5]}, {"sex": ["f"]}, {"smoker": [0]}):
        row = again.iloc[[1]].assign(**other)
        assert seen.count(Samples(row, modality="tabular")).seen == 0
    # A cell cannot pass for two: what stands in one column and the next is told apart.
    texts = Seen.of(Samples(pd.DataFrame({"a": ["x1:y"], "b": [""]}), modality="tabular"))
    assert texts.count(Samples(pd.DataFrame({"a": ["x"], "b": ["1:y"]}), modality="tabular")).seen == 0


def test_names_and_groups_tell_where_the_values_were_changed() -> None:
    train = Samples(frame(list("abcd"), VALUES[:4]), groups=np.array([1, 1, 2, 2]))
    seen = Seen.of(train)
    later = Samples(frame(list("dxyz"), VALUES[2:] + 1), groups=np.array([2, 2, 3, 1]))
    assert seen.count(later) == SeenCounts(samples=4, seen=1, values=0, names=1, groups=2)


def model_file(tmp_path: Path, content: bytes = b"weights") -> Path:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    return path


def test_the_file_says_what_was_written_and_no_more(tmp_path: Path) -> None:
    names = ["anna", "ben", "carl", "dora"]
    seen = Seen.of(Samples(frame(names, VALUES[:4]), groups=np.array(["ward-1"] * 4)))
    model = model_file(tmp_path)
    path = seen.write(model)
    assert path == seen_file(model) and path.name == "m.safetensors.seen"
    read = Seen.read(model)
    assert (read.key, read.values, read.names, read.groups) == (seen.key, seen.values, seen.names, seen.groups)
    content = path.read_bytes()
    assert not any(name.encode() in content for name in [*names, "ward-1"])
    assert VALUES[0, 0, 0].tobytes() not in content
    assert not Seen.of(Samples(VALUES)).values & Seen.of(Samples(VALUES)).values  # each file has a key of its own
    # The order of the rows is that of the hashes, not of the training samples.
    assert read_tensors(path)[0]["names"].numpy().tolist() == sorted(read_tensors(path)[0]["names"].numpy().tolist())


def test_a_damaged_or_another_file_is_refused(tmp_path: Path) -> None:
    model = model_file(tmp_path)
    path = Seen.of(Samples(VALUES)).write(model)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        Seen.read(model)
    path.write_bytes(dump_tensors({"key": torch.zeros(32)}, {"format": "kinview-seen", "version": "1"}))
    with pytest.raises(ValueError, match="does not say which samples were seen"):
        Seen.read(model)
    with pytest.raises(FileNotFoundError):
        Seen.read(tmp_path / "none.safetensors")


def test_what_was_written_for_another_model_is_not_believed(tmp_path: Path) -> None:
    model = model_file(tmp_path)
    Seen.of(Samples(VALUES)).write(model)
    assert Seen.read(model).count(Samples(VALUES)).seen == len(VALUES)
    model_file(tmp_path, b"other weights")  # trained anew, or copied here
    with pytest.raises(ValueError, match="was written for another model than the one that is there now"):
        Seen.read(model)


def test_no_samples_leave_an_empty_file(tmp_path: Path) -> None:
    model = model_file(tmp_path)
    Seen.of(Samples(np.full((2, 1, 3), np.nan))).write(model)
    assert Seen.read(model).count(Samples(VALUES)).seen == 0


def test_a_signalling_nan_is_a_gap_as_any_other() -> None:
    values = np.array([[[0x7FF0000000000001, 0x3FF0000000000000]]], dtype=np.uint64).view(np.float64)
    assert Seen.of(Samples(values)).count(Samples(np.array([[[np.nan, 1.0]]]))).seen == 1
