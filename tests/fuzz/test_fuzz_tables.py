"""Delimited text, Parquet and frames: what was written is read, value for value, or refused by name."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fuzzing import Case, Outcome, fuzz, refusal
from kinview import SCARF, load_model
from kinview.datasets import read_path

pytestmark = pytest.mark.fuzz

NAMES = ["age", "2019", "NA", "null", "heart rate", "a,b", 'say "x"', "é", "x;y", "NaN", "t|u", "?", "-1", "label "]
WORDS = ["red", "blue", "North-East", "O'Brien", "naïve", "two words", "a,b", "x;y", "None", "yes"]


def drawn_values(random: np.random.Generator, kind: str, n: int) -> list[Any]:
    match kind:
        case "whole":
            return random.integers(-1000, 1000, n).tolist()
        case "real":
            return (random.normal(size=n) * 10.0 ** random.integers(-8, 8)).tolist()
        case "word":
            return random.choice(WORDS, n).tolist()
        case "letter":
            return random.choice(list(string.ascii_lowercase), n).tolist()
        case "code":
            return [f"{value:03d}" for value in random.integers(0, 20, n)]
        case "flag":
            return [str(value) for value in random.choice([True, False], n)]
    raise AssertionError(kind)


def drawn_names(random: np.random.Generator, k: int) -> list[str]:
    odd = random.choice(NAMES, k, replace=False).tolist()
    return [
        name if random.random() < 0.5 else f"x{i}" for i, name in enumerate(odd)
    ]  # blanks around a name are dropped


def with_gaps(values: list[Any], random: np.random.Generator) -> list[Any]:
    gaps = random.random(len(values)) < random.choice([0.0, 0.2])
    if gaps.all():
        gaps[0] = False
    return [None if gap else value for gap, value in zip(gaps, values)]


def same_cells(read: Any, written: list[Any]) -> bool:
    for cell, value in zip(list(read), written, strict=True):
        if value is None:
            if not pd.isna(cell):
                return False
        elif isinstance(value, float | int):
            if float(cell) != float(value):
                return False
        elif str(cell) != value:
            return False
    return True


def wide_table(random: np.random.Generator, folder: Path) -> Outcome:
    n, k = int(random.integers(3, 15)), int(random.integers(1, 6))
    names = drawn_names(random, k)
    kinds = random.choice(["whole", "real", "word", "letter"], k).tolist()
    columns = {name: with_gaps(drawn_values(random, kind, n), random) for name, kind in zip(names, kinds)}
    labels = drawn_values(random, str(random.choice(["whole", "letter", "code", "flag"])), n)
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    frame["outcome"] = pd.Series(labels, dtype=object)
    sep = str(random.choice([",", ";", "\t", "|"]))
    decimal = "," if sep != "," and random.random() < 0.3 else "."
    text = frame.map(lambda v: str(v).replace(".", decimal) if isinstance(v, float) else v)
    missing = str(random.choice(["", "NA", "NULL", "NaN"]))
    index = bool(random.random() < 0.3)
    path = folder / f"table{random.integers(3)}.csv"
    quoting = int(random.choice([0, 1, 2]))
    text.to_csv(path, sep=sep, na_rep=missing, index=index, quoting=quoting)
    options: dict[str, Any] = {"decimal": decimal} if decimal != "." else {}
    if random.random() < 0.3:
        options["sep"] = sep
    with refusal(path.name) as refused:
        samples = read_path(path, label="outcome", **options)
    if refused:
        return "refused"
    assert len(samples) == n, f"{len(samples)} samples of {n}"
    assert list(samples.X.columns) == [name.strip() for name in names], (list(samples.X.columns), names)
    for name, values in columns.items():
        assert same_cells(samples.X[name.strip()], values), (name, samples.X[name.strip()].tolist(), values)
    assert [str(label) for label in samples.y] == [str(label) for label in labels], (samples.y, labels)
    return "value"


def long_table(random: np.random.Generator, folder: Path) -> Outcome:
    ids = [
        f"{i:02d}" if random.random() < 0.3 else str(i) for i in random.choice(40, int(random.integers(1, 6)), False)
    ]
    ids = list(dict.fromkeys(ids))
    dates = bool(random.random() < 0.3)
    rows, cells = [], {}
    for one in ids:
        label = str(random.choice(["ill", "well"]))
        for step in sorted(random.choice(50, int(random.integers(1, 6)), replace=False).tolist()):
            stamp = str(np.datetime64("1850-01-01T00:30", "m") + np.timedelta64(step * 100_000, "h")) if dates else step
            values = [None if random.random() < 0.2 else float(random.normal()) for _ in range(2)]
            rows.append([one, stamp, *values, label, f"g{int(one) % 3}"])
            cells[one, pd.Timestamp(stamp) if dates else float(stamp)] = values
    order = random.permutation(len(rows))
    frame = pd.DataFrame([rows[i] for i in order], columns=["pid", "t", "hr", "temp", "died", "site"])
    path = folder / str(random.choice(["long.csv", "long.parquet"]))
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    with refusal(path.name) as refused:
        samples = read_path(
            path, id="pid", time="t", columns=["hr", "temp"], label="died", group="site"
        )  # fmt: skip
    if refused:
        return "refused"
    read = {(str(key[0]), key[1]): row.tolist() for key, row in samples.X.iterrows()}
    assert len(read) == len(samples.X), "a step twice"
    assert {key[0] for key in read} == {str(int(i)) if plain(ids) else i for i in ids}, (sorted(read), ids)
    for (one, stamp), values in cells.items():
        key = (str(int(one)) if plain(ids) else one, stamp)
        found = [None if np.isnan(v) else v for v in read[key]]
        assert found == values, (key, found, values)
    known = samples.X.index.get_level_values(0)
    names = [str(one) for one in dict.fromkeys(known)]
    truth = {row[0]: (row[4], row[5]) for row in rows}
    for name, label, group in zip(names, samples.y, samples.groups, strict=True):
        original = name if name in truth else next(i for i in ids if str(int(i)) == name)
        assert (label, group) == truth[original], (name, label, group)
    return "value"


def plain(ids: list[str]) -> bool:
    """Whether text and number of all ids are one to one."""
    return all(str(int(one)) == one for one in ids)


def any_frame(random: np.random.Generator, folder: Path) -> Outcome:
    """A method takes whatever columns a frame has: finite embeddings, row by row, and the same from its file."""
    n = int(random.integers(8, 24))
    made: dict[str, Any] = {}
    for i in range(int(random.integers(1, 5))):
        values = with_gaps(drawn_values(random, str(random.choice(["whole", "real", "letter", "flag"])), n), random)
        series = pd.Series(values, dtype=object)
        match random.integers(7):
            case 0:
                series = series.astype("category")
            case 1 if not any(isinstance(v, str) for v in values):
                series = pd.to_numeric(series)
            case 2:
                series = pd.Series(pd.date_range("1999-01-01", periods=n, freq="7D"))
            case 3:
                series = pd.Series(random.integers(0, 5, n).astype(random.choice(["int32", "int64", "uint8"])))
            case 4:
                series = pd.Series(random.random(n) < 0.5)
            case 5:
                series = pd.Series(pd.array(random.integers(0, 9, n), dtype="Int64")).mask(random.random(n) < 0.2)
        made[f"c{i}"] = series
    frame = pd.DataFrame(made)
    with refusal() as refused:
        model = SCARF(hidden_dim=4, depth=1, trainer={"max_steps": 1}, text="categorical", random_state=0).fit(frame)
    if refused:
        return "refused"
    z = np.asarray(model.transform(frame))
    assert z.shape == (n, 4) and np.isfinite(z).all(), z
    rows = random.permutation(n)[: int(random.integers(1, n))]
    torch.testing.assert_close(
        torch.as_tensor(np.asarray(model.transform(frame.iloc[rows]))), torch.as_tensor(z[rows]), rtol=1e-4, atol=1e-5
    )
    loaded = load_model(model.save(folder / "frame.safetensors"))
    assert np.array_equal(np.asarray(loaded.transform(frame)), z), "another embedding after saving"
    return "value"


@pytest.mark.parametrize(
    ("case", "fewest_values"),
    [
        (wide_table, 0.4),
        (long_table, 0.4),
        (any_frame, 0.4),
    ],
)
def test_what_is_drawn_is_read_or_refused(case: Case, fewest_values: float, tmp_path: Path) -> None:
    found = fuzz(case, tmp_path)
    assert not found.faults, "\n\n".join(found.faults)
    assert found.fraction("value") >= fewest_values, found.counts
