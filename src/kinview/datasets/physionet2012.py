"""The PhysioNet / Computing in Cardiology challenge 2012: 48 hours of intensive care, irregularly observed."""

from __future__ import annotations

import csv
import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets._links import check_links
from kinview.datasets.samples import Samples
from kinview.datasets.steps import bin_edges, bin_numbers, bin_width, fill_bins, n_steps, to_steps
from kinview.datasets.text import MISSING, is_number, parse_csv, read_text

__all__ = ["DESCRIPTORS", "VARIABLES", "is_physionet2012", "read_physionet2012"]

# Measured over the stay; weight is also a general descriptor, and then its first observation at 00:00.
VARIABLES = (
    "ALP", "ALT", "AST", "Albumin", "BUN", "Bilirubin", "Cholesterol", "Creatinine", "DiasABP", "FiO2", "GCS",
    "Glucose", "HCO3", "HCT", "HR", "K", "Lactate", "MAP", "MechVent", "Mg", "NIDiasABP", "NIMAP", "NISysABP", "Na",
    "PaCO2", "PaO2", "Platelets", "RespRate", "SaO2", "SysABP", "Temp", "TroponinI", "TroponinT", "Urine", "WBC",
    "Weight", "pH",
)  # fmt: skip
DESCRIPTORS = ("Age", "Gender", "Height", "ICUType")
_HEADER = b"Time,Parameter,Value"
_LABEL = "In-hospital_death"


def read_physionet2012(
    path: str | os.PathLike[str],
    *,
    descriptors: bool = True,
    resample: float | None = None,
    follow_links: bool = False,
) -> Samples:
    r"""Read the folder of the PhysioNet 2012 challenge: ``set-a/`` (one text file a stay) and ``Outcomes-a.txt``.

    Sets b and c are read too where both their folder and their outcomes are there. Stays are kept as observed steps:
    a row for each minute with a known value, its time in hours since admission (00:07 is 7/60). The value -1 means
    unknown and is left out. Several values of a variable in the same minute are averaged.

    The general descriptors of a stay (age in years, gender 0 female / 1 male, height in cm, ICU type 1-4) become
    four more channels with one observation, at hour 0; the admission weight is the first observation of the channel
    Weight. A stay of which nothing is known keeps one step without values, at hour 0.

    Parameters
    ----------
    path : path
        Folder that holds ``set-a`` and ``Outcomes-a.txt``.
    descriptors : bool, default True
        Keep age, gender, height and ICU type as channels.
    resample : float, optional
        Width of a time bin in hours: a value is the mean of the observations in its bin, from a stay's first bin to its
        last one, as in :func:`kinview.datasets.read_long`. Default: the observed steps as they are.
    follow_links : bool, default False
        Follow links that leave the folder, as for :func:`kinview.datasets.load_path`.

    Returns
    -------
    Samples
        X is a DataFrame with MultiIndex ``(stay, hours)``, 37 + 4 float64 columns; y is 1 for death in hospital;
        ``static`` has the four general descriptors of each stay, NaN where unknown, for subgroups and splits.

    Raises
    ------
    ValueError
        If the folder has another layout, a link leaves it, a stay has no outcome, or a file holds an unknown variable
        or a line that cannot be read; the message names file and line.

    References
    ----------
    Silva et al. (2012), "Predicting in-hospital mortality of ICU patients: the PhysioNet/Computing in Cardiology
    challenge 2012", Computing in Cardiology 39:245-248.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "set-a").mkdir()
    >>> _ = (folder / "set-a" / "7.txt").write_text(
    ...     "Time,Parameter,Value\n00:00,RecordID,7\n00:00,Age,54\n00:00,Height,-1\n01:30,HR,80\n")
    >>> _ = (folder / "Outcomes-a.txt").write_text("RecordID,In-hospital_death\n7,0\n")
    >>> samples = read_physionet2012(folder)
    >>> samples.X.index.tolist(), samples.X[["Age", "Height", "HR"]].to_numpy().tolist()
    ([(7, 0.0), (7, 1.5)], [[54.0, nan, nan], [nan, nan, 80.0]])
    """
    folder = Path(path)
    sets = _sets(folder)
    if not sets:
        raise ValueError(f"{folder} is not a PhysioNet 2012 folder: it has no set-a with Outcomes-a.txt (nor b or c)")
    check_links([part for pair in sets for part in pair], folder, follow_links=follow_links)
    width = None if resample is None else bin_width(resample, "Time", np.zeros(0))
    files = [file for stays, _ in sets for file in sorted(stays.glob("*.txt"))]
    check_links(files, folder, follow_links=follow_links)
    if not files:
        raise ValueError(f"{folder} has no stay: its set-a holds no .txt file")
    frame = _read_stays(files)
    stays = _record_ids(frame, files)
    y = _outcomes([outcomes for _, outcomes in sets], stays)
    channels = VARIABLES + DESCRIPTORS if descriptors else VARIABLES
    variable = pd.Index(channels).get_indexer(pd.Index(frame["parameter"]))
    series, value = frame["file"].to_numpy(), frame["value"].to_numpy()
    known = (value != -1) & ~np.isnan(value)
    _refuse_unknown(frame[known], files)
    kept = known & (variable >= 0)
    hours = _hours(frame, files)
    # A step without a channel at hour 0 for each stay of which nothing is left, so that the stay is not lost.
    empty = np.setdiff1d(np.arange(len(files)), series[kept])
    hours = np.concatenate([hours[kept], np.zeros(len(empty))])
    stamps: NDArray[Any]
    rows = np.concatenate([series[kept], empty])
    values, series, stamps = to_steps(
        np.concatenate([value[kept], np.full(len(empty), np.nan)])[:, None],
        rows,
        hours if width is None else bin_numbers(hours, width),
        np.concatenate([variable[kept], np.zeros(len(empty), dtype=np.int64)]),
        len(channels),
    )
    if width is not None:
        values, series, bins = fill_bins(values, series, stamps.astype(np.int64), width, n_steps(rows, hours))
        stamps = bin_edges(bins, width, hours)
    index = pd.MultiIndex.from_arrays([stays[series], stamps], names=["stay", "hours"])
    X = pd.DataFrame(values, index=index, columns=list(channels))
    return Samples(X, y, static=_descriptors(frame[known], stays))


def _descriptors(known: pd.DataFrame, stays: NDArray[np.int64]) -> pd.DataFrame:
    """The general descriptors of each stay; of several values the mean, as in the channels."""
    rows = known[known["parameter"].isin(DESCRIPTORS)]
    parts = rows["parameter"].astype(str)
    table = rows.groupby([rows["file"], parts])["value"].mean().unstack()
    found = table.reindex(index=range(len(stays)), columns=list(DESCRIPTORS)).set_axis(stays, axis=0)
    return found.rename_axis(index="stay", columns=None).astype(np.float64)


def is_physionet2012(folder: Path) -> bool:
    """Whether a folder has the challenge's layout."""
    return bool(_sets(folder))


def _sets(folder: Path) -> list[tuple[Path, Path]]:
    """Folders of stays with their outcomes files."""
    pairs = [(folder / f"set-{letter}", folder / f"Outcomes-{letter}.txt") for letter in "abc"]
    return [(stays, outcomes) for stays, outcomes in pairs if stays.is_dir() and outcomes.is_file()]


def _read_stays(files: list[Path]) -> pd.DataFrame:
    """All rows of all files in one table, with the file's number and the line of each: one parse, not one a file."""
    bodies = []
    for file in files:
        head, _, body = _lines(file.read_bytes()).partition(b"\n")
        if head.strip() != _HEADER:
            raise ValueError(f"{file} does not begin with the line {_HEADER.decode()}")
        bodies.append(body if body.endswith(b"\n") or not body else body + b"\n")
    rows = np.array([body.count(b"\n") for body in bodies])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas only warns of cells that it cuts off
            frame = pd.read_csv(
                io.BytesIO(b"".join(bodies)),
                header=None,
                names=["time", "parameter", "value"],
                index_col=False,
                dtype={"time": "category", "parameter": "category", "value": "float64"},
                skip_blank_lines=False,
                quoting=csv.QUOTE_NONE,
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        _refuse_lines(files, bodies)
        raise ValueError(f"{files[0]}: the files of the stays cannot be read: {error}") from None
    frame["file"] = np.repeat(np.arange(len(files)), rows)
    frame["line"] = np.concatenate([np.arange(number) for number in rows]) + 2
    unknown = np.unique(frame["file"].to_numpy()[frame["value"].isna().to_numpy()])
    doubtful = {*unknown.tolist(), *(i for i, body in enumerate(bodies) if b"\0" in body)}
    _refuse_lines([files[i] for i in sorted(doubtful)], [bodies[i] for i in sorted(doubtful)])
    return frame[~frame[["time", "parameter", "value"]].isna().all(axis=1).to_numpy()]


def _lines(content: bytes) -> bytes:
    """The content with one sign at the end of a line; carriage returns may stand there alone or twice."""
    return re.sub(rb"\r+\n?", b"\n", content) if b"\r" in content else content


def _refuse_lines(files: list[Path], bodies: list[bytes]) -> None:
    """Name the first line that is not a time, a parameter and a number, of which the number may be missing."""
    for file, body in zip(files, bodies, strict=True):
        for number, line in enumerate(body.split(b"\n")[:-1], 2):
            text = line.decode("utf-8", errors="replace")
            cells = text.split(",")
            if text and (len(cells) != 3 or not _is_value(cells[2]) or "\ufffd" in text or "\0" in text):
                raise ValueError(
                    f"{file} cannot be read: line {number} is {text[:80]!r}, expected a time, a parameter and a number"
                )


def _is_value(cell: str) -> bool:
    """Whether a cell is a number as pandas has it, or missing."""
    return cell.strip() in MISSING or (is_number(cell) and cell.isascii() and not set(cell) & set("_'\""))


def _place(frame: pd.DataFrame, row: int, files: list[Path]) -> str:
    """File and line of a row."""
    return f"{files[frame['file'].iloc[row]]}, line {frame['line'].iloc[row]}"


def _record_ids(frame: pd.DataFrame, files: list[Path]) -> NDArray[np.int64]:
    """RecordID of each file."""
    rows = frame[(frame["parameter"] == "RecordID").to_numpy()]
    values, series = rows["value"].to_numpy(), rows["file"].to_numpy()
    ids = np.full(len(files), -1, dtype=np.int64)
    whole = (values >= 0) & (values == np.floor(values)) & (values < 2**53)
    ids[series[whole]] = values[whole].astype(np.int64)
    wrong = ids[series] != values
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{_place(rows, row, files)}: RecordID {values[row]:g} is not one whole number for the whole file"
        )
    if (ids < 0).any():
        raise ValueError(f"{files[int((ids < 0).argmax())]} has no RecordID")
    distinct, counts = np.unique(ids, return_counts=True)
    if counts.max() > 1:
        twice = [file.name for file, stay in zip(files, ids, strict=True) if stay == distinct[counts.argmax()]]
        raise ValueError(
            f"RecordID {distinct[counts.argmax()]} is in {counts.max()} files; each stay has one: "
            f"{', '.join(twice[:5])}"
        )
    return ids


def _outcomes(paths: list[Path], stays: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label of each stay; outcomes of stays without a file are of no use and left out."""
    tables = [parse_csv(read_text(path), path) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if not {"RecordID", _LABEL} <= set(table.columns):
            raise ValueError(
                f"{path} needs the columns RecordID and {_LABEL}; it has {', '.join(map(str, table.columns))}"
            )
        held = table[_LABEL].dropna()
        other = held[~held.isin([0, 1])]
        if len(other):
            raise ValueError(
                f"{path}: {_LABEL} must be 0 or 1; got {str(other.iloc[0])!r} in line {other.index[0] + 2}"
            )
    names = ", ".join(str(path) for path in paths)
    found = pd.concat(tables)[["RecordID", _LABEL]].drop_duplicates()
    twice = found["RecordID"][found["RecordID"].duplicated()]
    if len(twice):
        raise ValueError(f"{names}: RecordID {twice.iloc[0]} has more than one {_LABEL}")
    labels = found.set_index("RecordID")[_LABEL].reindex(stays)
    if labels.isna().any():
        raise ValueError(
            f"{int(labels.isna().sum())} stay(s) have no {_LABEL} in {names}, the first is RecordID "
            f"{stays[int(labels.isna().to_numpy().argmax())]}"
        )
    return labels.to_numpy(dtype=np.int64)


def _refuse_unknown(known: pd.DataFrame, files: list[Path]) -> None:
    """Refuse variables that the challenge does not have, and infinite values."""
    parameter = known["parameter"]
    unknown = ~parameter.isin([*VARIABLES, *DESCRIPTORS, "RecordID"]).to_numpy()
    if unknown.any():
        row = int(unknown.argmax())
        raise ValueError(
            f"{files[known['file'].iloc[row]]} holds {parameter.iloc[row]!r}, which is not a variable of the challenge "
            f"(line {known['line'].iloc[row]})"
        )
    infinite = np.isinf(known["value"].to_numpy())
    if infinite.any():
        raise ValueError(f"{_place(known, int(infinite.argmax()), files)} holds an infinite value")


def _hours(frame: pd.DataFrame, files: list[Path]) -> NDArray[np.float64]:
    """Hours since admission of ``hh:mm`` categories, parsed once for each distinct text."""
    codes, texts = frame["time"].cat.codes.to_numpy(), frame["time"].cat.categories
    parts = texts.str.extract(r"^([0-9]{1,6}):([0-5][0-9])$")
    bad = np.append(parts.isna().any(axis=1).to_numpy(), True)[codes]  # code -1: no time
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"{_place(frame, row, files)}: {'' if codes[row] < 0 else texts[codes[row]]!r} is not a time hh:mm since "
            f"admission"
        )
    hours = parts[0].astype(np.float64) + parts[1].astype(np.float64) / 60
    return np.asarray(hours.to_numpy()[codes])
