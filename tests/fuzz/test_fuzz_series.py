"""Panels and archive files: the series that were given, or a refusal that names the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fuzzing import Case, Outcome, fuzz, mutated, refusal
from kinview.data.panel import read_panel
from kinview.datasets import read_path

pytestmark = pytest.mark.fuzz


def drawn_series(random: np.random.Generator) -> list[np.ndarray]:
    channels = int(random.integers(1, 4))
    equal = bool(random.random() < 0.5)
    length = int(random.integers(2, 9))
    series = [
        random.normal(size=(channels, length if equal else int(random.integers(2, 9)))).round(4)
        for _ in range(int(random.integers(1, 6)))
    ]
    for one in series:
        one[random.random(one.shape) < 0.1] = np.nan
        one[:, [0, -1]] = np.where(
            np.isnan(one[:, [0, -1]]), 1.5, one[:, [0, -1]]
        )  # ends that no reader takes for padding
    return series


def stacked(series: list[np.ndarray]) -> np.ndarray:
    """The slow way to one array, padded with NaN."""
    longest = max(one.shape[1] for one in series)
    X = np.full((len(series), series[0].shape[0], longest), np.nan)
    for i, one in enumerate(series):
        for c in range(one.shape[0]):
            for t in range(one.shape[1]):
                X[i, c, t] = one[c, t]
    return X


def same(read: Any, wanted: np.ndarray) -> bool:
    read = np.asarray(read, dtype=np.float64)
    return read.shape == wanted.shape and np.array_equal(read, wanted.astype(np.float32), equal_nan=True)


def containers(random: np.random.Generator, folder: Path) -> Outcome:
    series = drawn_series(random)
    wanted = stacked(series)
    match random.integers(6):
        case 0:
            X: Any = wanted.astype(random.choice(["<f8", ">f8", "<f4", ">f4"]))
            wanted = X.astype(np.float64)
        case 1:
            X = np.asfortranarray(wanted)
        case 2:
            X = [one.copy() for one in series]
        case 3:
            X = [pd.DataFrame(one.T, columns=[f"c{c}" for c in range(one.shape[0])]) for one in series]
        case 4:
            X = pd.DataFrame([[pd.Series(channel) for channel in one] for one in series])
        case _:
            kind = random.integers(3)
            start, unit = (0, 1) if kind == 0 else (1_700_000_000_000_000_000, 50)
            pieces = []
            for i, one in enumerate(series):
                stamps: Any = start + unit * np.arange(one.shape[1])
                if kind == 2:
                    stamps = pd.Timestamp("1700-01-01") + pd.to_timedelta(np.arange(one.shape[1]), unit="D")
                index = pd.MultiIndex.from_arrays([[i] * one.shape[1], stamps])
                piece = pd.DataFrame(one.T, index=index)
                pieces.append(piece.iloc[random.permutation(len(piece))])
            X = pd.concat(pieces)
    with refusal() as refused:
        panel = read_panel(X, dtype=torch.float32)
    if refused:
        return "refused"
    assert same(panel.batch.x, wanted), (panel.batch.x, wanted)
    return "value"


def written_series(random: np.random.Generator, folder: Path) -> tuple[Path, list[np.ndarray], list[str]]:
    series = drawn_series(random)
    labels = random.choice(["a", "b", "10", "07"], len(series)).tolist()
    match random.integers(2):
        case 0:
            path = folder / "x.ts"
            univariate = str(series[0].shape[0] == 1).lower()
            head = f"@problemName x\n@timeStamps false\n@univariate {univariate}\n@classLabel true a b 10 07\n@data\n"
            rows = [
                ":".join(",".join("?" if np.isnan(v) else repr(float(v)) for v in channel) for channel in one)
                for one in series
            ]
            text = head + "".join(f"{row}:{label}\n" for row, label in zip(rows, labels))
        case _:
            path = folder / "x.tsv"
            series = [one[:1] for one in series]
            rows = ["\t".join("NaN" if np.isnan(v) else repr(float(v)) for v in one[0]) for one in series]
            width = max(one.shape[1] for one in series)
            text = "".join(
                f"{label}\t{row}{(width - one.shape[1]) * chr(9) + (width - one.shape[1] > 0) * ''}\n"
                for label, row, one in zip(labels, rows, series)
            )
    path.write_text(text)
    return path, series, labels


def archive_files(random: np.random.Generator, folder: Path) -> Outcome:
    path, series, labels = written_series(random, folder)
    with refusal(path.name) as refused:
        samples = read_path(path)
    if refused:
        return "refused"
    wanted = stacked(series)
    assert np.array_equal(samples.X, wanted, equal_nan=True), (samples.X, wanted)
    read = [str(label) for label in samples.y]
    assert read == labels or [int(a) for a in read] == [int(b) for b in labels], (read, labels)
    return "value"


def damaged_archive_files(random: np.random.Generator, folder: Path) -> Outcome:
    path, _, _ = written_series(random, folder)
    path.write_bytes(mutated(path.read_bytes(), random))
    with refusal(path.name) as refused:
        samples = read_path(path)
    if refused:
        return "refused"
    assert samples.X.ndim == 3 and len(samples.X) == len(samples), samples.X.shape
    assert samples.y is None or len(samples.y) == len(samples.X)
    return "value"


def damaged_recordings(random: np.random.Generator, folder: Path) -> Outcome:
    steps, signals = int(random.integers(4, 30)), int(random.integers(1, 3))
    values = random.integers(-500, 500, (steps, signals)).astype("<i2")
    sums = [int(np.int64(column.sum()).astype(np.int16)) for column in values.T.astype(np.int64)]
    rows = [f"rec.dat 16 200 16 0 {values[0, i]} {sums[i]} 0 s{i}\n" for i in range(signals)]
    header = f"rec {signals} 100 {steps}\n" + "".join(rows)
    whole = bool(random.random() < 0.5)
    for name, data in (("rec.hea", header.encode()), ("rec.dat", values.tobytes())):
        (folder / name).write_bytes(data if whole or random.random() < 0.5 else mutated(data, random))
    with refusal("rec") as refused:
        samples = read_path(folder / "rec.hea", seconds=None)
    if refused:
        return "refused"
    assert samples.X.ndim == 3 and samples.X.size <= 100 * values.size
    if whole:
        assert np.allclose(samples.X[0], values.T / 200.0, equal_nan=True)
    return "value"


@pytest.mark.parametrize(
    ("case", "fewest_values"),
    [
        (containers, 0.9),
        (archive_files, 0.9),
        (damaged_archive_files, 0.1),
        (damaged_recordings, 0.4),
    ],
)
def test_what_is_drawn_is_read_or_refused(case: Case, fewest_values: float, tmp_path: Path) -> None:
    found = fuzz(case, tmp_path)
    assert not found.faults, "\n\n".join(found.faults)
    assert found.fraction("value") >= fewest_values, found.counts
