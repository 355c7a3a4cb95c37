"""Files of the time-series classification archives: UCR text files and sktime's ``.ts`` format."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinview.data.labels import as_labels
from kinview.datasets.dataset import Samples, stack
from kinview.datasets.text import delimiter, numbers, parse_csv, read_text

__all__ = ["read_ts", "read_ucr"]


def read_ucr(path: str | os.PathLike[str]) -> Samples:
    r"""Read a UCR archive file: a series a line, its label first, then its values.

    Tabs (``.tsv``), white space (``.txt``) and commas (files without extension) separate the cells. Lines may be of
    unequal length; NaN at the end of a line is the end of the series.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Samples
        X ``(n, 1, T)`` float64.

    Raises
    ------
    ValueError
        If a value is not a number.

    References
    ----------
    Dau et al. (2019), "The UCR time series archive", IEEE/CAA Journal of Automatica Sinica 6(6).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "demo.tsv")
    >>> _ = path.write_text("1\t0.5\t0.7\n2\t0.1\tNaN\n")
    >>> read_ucr(path).X
    array([[[0.5, 0.7]],
    <BLANKLINE>
           [[0.1, nan]]])
    """
    source = Path(path)
    text = read_text(source)
    lines = text.splitlines()
    separator = delimiter(lines[0])
    width = max(len(line.split(None if separator == r"\s+" else separator)) for line in lines)
    if width < 2:
        raise ValueError(f"{source} has one cell a line; a UCR file has a label and the values of a series a line")
    types = {0: str} | dict.fromkeys(range(1, width), np.float64)
    frame = parse_csv(text, source, sep=separator, header=None, names=list(range(width)), dtype=types)
    y = as_labels(frame[0])
    return Samples(frame.iloc[:, 1:].to_numpy(dtype=np.float64)[:, None, :], y)


def read_ts(path: str | os.PathLike[str]) -> Samples:
    r"""Read sktime's ``.ts`` format: ``@`` header lines, then a series a line, ``channel:channel:...:label``.

    Missing values are ``?`` or ``NaN``. With ``@targetLabel true`` labels are floats (regression); with neither that
    nor ``@classLabel true`` there are none. Only series without time stamps of their own are read.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Samples
        X ``(n, C, T)`` float64, padded with NaN to the longest series.

    Raises
    ------
    ValueError
        If there is no ``@data`` line, a series has time stamps, another number of channels than the first or channels
        of unequal length, or a value is not a number.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "demo.ts")
    >>> _ = path.write_text("@classLabel true a b\n@data\n1,2:3,4:a\n5:?:b\n")
    >>> samples = read_ts(path)
    >>> samples.X[1].tolist(), samples.y.tolist()
    ([[5.0, nan], [nan, nan]], ['a', 'b'])
    """
    source = Path(path)
    lines = read_text(source).splitlines()
    header, start = _ts_header(lines, source)
    if header.get("timestamps", "").startswith("true"):
        raise ValueError(f"{source} has time stamps inside (@timeStamps true), which this reader does not take; "
                         f"write the data in long format (id, time, value) and read that")  # fmt: skip
    regression = header.get("targetlabel", "").startswith("true")
    labelled = regression or header.get("classlabel", "").startswith("true")
    series: list[NDArray[np.float64]] = []
    labels: list[str] = []
    for number, line in enumerate(lines[start:], start + 1):
        line = line.strip()
        if not line or line[0] in "#%":
            continue
        parts = line.split(":")
        if labelled:
            labels.append(parts.pop().strip())
        series.append(_ts_series(parts, source, number))
        if len(series[-1]) != len(series[0]):
            raise ValueError(f"{source}, line {number} has {len(series[-1])} channel(s), the first {len(series[0])}")
    if not series:
        raise ValueError(f"{source} has no series after its @data line")
    if not labelled:
        return Samples(stack(series))
    y = as_labels(labels)
    return Samples(stack(series), y.astype(np.float64) if regression else y)


def _ts_header(lines: list[str], source: Path) -> tuple[dict[str, str], int]:
    """Header entries in lower case, and the number of lines up to and with ``@data``."""
    header: dict[str, str] = {}
    for number, line in enumerate(lines):
        if not line.startswith("@"):
            continue
        key, _, value = line[1:].strip().partition(" ")
        if key.lower() == "data":
            return header, number + 1
        header[key.lower()] = value.strip().lower()
    raise ValueError(f"{source} has no @data line, so it is not a .ts file")


def _ts_series(parts: list[str], source: Path, line: int) -> NDArray[np.float64]:
    if not parts:
        raise ValueError(f"{source}, line {line} has a label but no values")
    channels = [numbers(part.split(","), source, line) for part in parts]
    if len({len(channel) for channel in channels}) > 1:
        lengths = ", ".join(str(len(channel)) for channel in channels)
        raise ValueError(f"{source}, line {line} has channels of unequal length ({lengths}); pad them with NaN")
    return np.stack(channels)
