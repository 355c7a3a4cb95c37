"""The PhysioNet / Computing in Cardiology challenge 2012: 48 hours of intensive care, irregularly observed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets.dataset import Samples
from kinview.datasets.steps import to_steps
from kinview.datasets.text import parse_csv, read_text

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


def read_physionet2012(path: str | os.PathLike[str], *, descriptors: bool = True) -> Samples:
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

    Returns
    -------
    Samples
        X is a DataFrame with MultiIndex ``(stay, hours)``, 37 + 4 float64 columns; y is 1 for death in hospital.

    Raises
    ------
    ValueError
        If the folder has another layout, a stay has no outcome, or a file holds an unknown variable.

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
    files = [file for stays, _ in sets for file in sorted(stays.glob("*.txt"))]
    if not files:
        raise ValueError(f"{folder} has no stay: its set-a holds no .txt file")
    frame, series = _read_stays(files)
    stays = _record_ids(frame, series, files)
    y = _outcomes([outcomes for _, outcomes in sets], stays)
    channels = VARIABLES + DESCRIPTORS if descriptors else VARIABLES
    variable = pd.Index(channels).get_indexer(pd.Index(frame["parameter"]))
    known = (frame["value"].to_numpy() != -1) & frame["value"].notna().to_numpy()
    _refuse_unknown(frame["parameter"][known], series[known], files)
    kept = known & (variable >= 0)
    hours = _hours(frame["time"])
    # A step without a channel at hour 0 for each stay of which nothing is left, so that the stay is not lost.
    empty = np.setdiff1d(np.arange(len(files)), series[kept])
    values, series, hours = to_steps(
        np.concatenate([frame["value"].to_numpy()[kept], np.full(len(empty), np.nan)])[:, None],
        np.concatenate([series[kept], empty]),
        np.concatenate([hours[kept], np.zeros(len(empty))]),
        np.concatenate([variable[kept], np.zeros(len(empty), dtype=np.int64)]),
        len(channels),
    )
    index = pd.MultiIndex.from_arrays([stays[series], hours], names=["stay", "hours"])
    return Samples(pd.DataFrame(values, index=index, columns=list(channels)), y)


def is_physionet2012(folder: Path) -> bool:
    """Whether a folder has the challenge's layout."""
    return bool(_sets(folder))


def _sets(folder: Path) -> list[tuple[Path, Path]]:
    """Folders of stays with their outcomes files."""
    pairs = [(folder / f"set-{letter}", folder / f"Outcomes-{letter}.txt") for letter in "abc"]
    return [(stays, outcomes) for stays, outcomes in pairs if stays.is_dir() and outcomes.is_file()]


def _read_stays(files: list[Path]) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """All rows of all files in one table, and the number of the file of each row: one parse, not one a file."""
    bodies = []
    for file in files:
        head, _, body = file.read_bytes().replace(b"\r\n", b"\n").partition(b"\n")
        if head.strip() != _HEADER:
            raise ValueError(f"{file} does not begin with the line {_HEADER.decode()}")
        bodies.append(body if body.endswith(b"\n") or not body else body + b"\n")
    rows = np.array([body.count(b"\n") for body in bodies])
    try:
        frame = pd.read_csv(
            io.BytesIO(b"".join(bodies)),
            header=None,
            names=["time", "parameter", "value"],
            dtype={"time": "category", "parameter": "category", "value": "float64"},
            skip_blank_lines=False,
        )
    except ValueError as error:
        raise ValueError(f"{files[0].parent}: the files of the stays cannot be read: {error}") from None
    return frame, np.repeat(np.arange(len(files)), rows)


def _record_ids(frame: pd.DataFrame, series: NDArray[np.int64], files: list[Path]) -> NDArray[np.int64]:
    """RecordID of each file."""
    rows = (frame["parameter"] == "RecordID").to_numpy()
    ids = np.full(len(files), -1, dtype=np.int64)
    ids[series[rows]] = frame["value"].to_numpy()[rows].astype(np.int64)
    if (ids < 0).any():
        raise ValueError(f"{files[int((ids < 0).argmax())]} has no RecordID")
    values, counts = np.unique(ids, return_counts=True)
    if counts.max() > 1:
        raise ValueError(f"RecordID {values[counts.argmax()]} is in {counts.max()} files; each stay has one")
    return ids


def _outcomes(paths: list[Path], stays: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label of each stay; outcomes of stays without a file are of no use and left out."""
    tables = [parse_csv(read_text(path), path) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if not {"RecordID", _LABEL} <= set(table.columns):
            raise ValueError(f"{path} needs the columns RecordID and {_LABEL}; it has {', '.join(table.columns)}")
    labels = pd.concat(tables).drop_duplicates("RecordID").set_index("RecordID")[_LABEL].reindex(stays)
    if labels.isna().any():
        raise ValueError(
            f"{int(labels.isna().sum())} stay(s) have no {_LABEL} in {', '.join(path.name for path in paths)}, the "
            f"first is RecordID {stays[int(labels.isna().to_numpy().argmax())]}"
        )
    return labels.to_numpy(dtype=np.int64)


def _refuse_unknown(parameter: pd.Series, series: NDArray[np.int64], files: list[Path]) -> None:
    unknown = ~parameter.isin([*VARIABLES, *DESCRIPTORS, "RecordID"]).to_numpy()
    if unknown.any():
        row = int(unknown.argmax())
        raise ValueError(
            f"{files[series[row]]} holds {parameter.iloc[row]!r}, which is not a variable of the challenge"
        )


def _hours(time: pd.Series) -> NDArray[np.float64]:
    """Hours since admission of ``hh:mm`` categories, parsed once for each distinct text."""
    texts = time.cat.categories
    parts = texts.str.extract(r"^(\d+):([0-5]\d)$")
    bad = parts.isna().any(axis=1).to_numpy()
    if bad.any():
        raise ValueError(f"{texts[int(bad.argmax())]!r} is not a time hh:mm since admission")
    hours = parts[0].astype(np.float64) + parts[1].astype(np.float64) / 60
    if time.isna().any():
        raise ValueError(f"row {int(time.isna().to_numpy().argmax())} of the stays' files has no time")
    return np.asarray(hours.to_numpy()[time.cat.codes.to_numpy()])
