"""Files of the time-series classification archives: UCR text files and sktime's ``.ts`` format."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinview.datasets._padding import check_padding
from kinview.datasets.class_names import labels_of
from kinview.datasets.dataset import stack
from kinview.datasets.samples import Samples
from kinview.datasets.text import MISSING, is_number, numbers, parse_csv, read_text, split_lines
from kinview.datasets.text_lines import BLANKS, separator_of

__all__ = ["read_ts", "read_ucr"]

_NO_LABEL = "write ? for it"


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
        If a value is not a number, or a label a sign of no value (``.``, ``-``) among names.

    Warns
    -----
    UserWarning
        If labels differ in letter case or blanks only, or one reads like no value (``unknown``, -999).

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
    rows = [(number, line) for number, line in enumerate(split_lines(text), 1) if line.strip()]
    separator = separator_of([line for _, line in rows], source, remedy="write decimals with a point")
    separator = separator if any(separator in line for _, line in rows) else BLANKS
    by = None if separator == BLANKS else separator
    lengths = [len(line.split(by)) for _, line in rows]
    width = max(lengths)
    check_padding(lengths, 1, source)
    if width < 2:
        raise ValueError(f"{source} has one cell a line; a UCR file has a label and the values of a series a line")
    types = {0: str} | dict.fromkeys(range(1, width), np.float64)
    try:
        frame = parse_csv(
            text, source, sep=separator, header=None, names=list(range(width)), dtype=types, index_col=False
        )
        if "\0" in text:
            raise ValueError(f"{source} holds NUL characters, so it is not a text file")
    except ValueError:
        _refuse_text(rows, by, source)
        raise
    y = labels_of(frame[0], "a label", source.name, _NO_LABEL)
    return Samples(frame.iloc[:, 1:].to_numpy(dtype=np.float64)[:, None, :], y)


def _refuse_text(rows: list[tuple[int, str]], by: str | None, source: Path) -> None:
    """Name the first value that is no number."""
    for number, line in rows:
        for cell in line.split(by)[1:]:
            if not is_number(cell):
                raise ValueError(
                    f"{source} cannot be read: line {number} has {cell.strip()[:80]!r}, which is not a number"
                )


def read_ts(path: str | os.PathLike[str]) -> Samples:
    r"""Read sktime's ``.ts`` format: ``@`` header lines, then a series a line, ``channel:channel:...:label``.

    Missing values are ``?`` or ``NaN``, missing labels too. With ``@targetLabel true`` labels are floats (regression).
    ``@classLabel`` is followed by ``true`` and the classes, in older files by the classes alone, or by ``false``. A
    header without either line has labels where the lines have one part more than it says channels (``@dimensions``,
    ``@univariate true``), or end in text; else there are none. Only series without time stamps of their own are read.

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
        of unequal length, a line ends in a channel where its label should be, a value is not a number, or a label
        is a sign of no value (``.``, ``-``) among names.

    Warns
    -----
    UserWarning
        As :func:`read_ucr`.

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
    text = read_text(source)
    if "\0" in text:
        raise ValueError(f"{source} holds NUL characters, so it is not a text file")
    lines = [line.strip() for line in split_lines(text)]
    header, start = _ts_header(lines, source)
    if header.get("timestamps", "").startswith("true"):
        raise ValueError(f"{source} has time stamps inside (@timeStamps true), which this reader does not take; "
                         f"write the data in long format (id, time, value) and read that")  # fmt: skip
    rows = [(number, line) for number, line in enumerate(lines[start:], start + 1) if line and line[0] not in "#%"]
    if not rows:
        raise ValueError(f"{source} has no series after its @data line")
    regression = header.get("targetlabel", "").startswith("true")
    labelled = regression or _has_labels(header, rows[0][1].split(":"))
    series: list[NDArray[np.float64]] = []
    labels: list[str | None] = []
    for number, line in rows:
        parts = line.split(":")
        if labelled:
            labels.append(_ts_label(parts.pop().strip(), source, number))
        series.append(_ts_series(parts, source, number))
        if len(series[-1]) != len(series[0]):
            raise ValueError(f"{source}, line {number} has {len(series[-1])} channel(s), the first {len(series[0])}")
    check_padding([values.shape[1] for values in series], len(series[0]), source)
    if not labelled:
        return Samples(stack(series))
    y = _targets(labels, rows, source) if regression else labels_of(labels, "a label", source.name, _NO_LABEL)
    return Samples(stack(series), y)


def _ts_header(lines: list[str], source: Path) -> tuple[dict[str, str], int]:
    """Header entries in lower case, and the number of lines up to and with ``@data``."""
    header: dict[str, str] = {}
    for number, line in enumerate(lines):
        if not line.startswith("@"):
            continue
        key, *value = line[1:].lower().split(None, 1) or [""]
        if key == "data":
            return header, number + 1
        header[key.rstrip(":")] = value[0] if value else ""
    raise ValueError(f"{source} has no @data line, so it is not a .ts file")


def _has_labels(header: dict[str, str], first: list[str]) -> bool:
    """Whether the lines end in a label; ``first`` has the parts of the first one."""
    if "classlabel" in header:
        return header["classlabel"].split()[:1] not in ([], ["false"])
    if "targetlabel" in header:
        return False
    said = header.get("dimensions", header.get("dimension", "1" if header.get("univariate") == "true" else ""))
    if said.isdecimal():
        return len(first) == int(said[:9]) + 1
    return len(first) > 1 and not any(is_number(cell) for cell in first[-1].split(","))


def _ts_label(label: str, source: Path, line: int) -> str | None:
    if "," in label:
        raise ValueError(
            f"{source}, line {line} ends in {label[:40]!r} where the header announces a label; if it is a channel, "
            f"write @classLabel false"
        )
    return None if label in MISSING else label


def _targets(labels: list[str | None], rows: list[tuple[int, str]], source: Path) -> NDArray[np.float64]:
    """Targets of a regression."""
    return np.concatenate([numbers([label or ""], source, line) for label, (line, _) in zip(labels, rows, strict=True)])


def _ts_series(parts: list[str], source: Path, line: int) -> NDArray[np.float64]:
    if not parts:
        raise ValueError(f"{source}, line {line} has a label but no values")
    channels = [numbers(part.split(","), source, line) for part in parts]
    if len({len(channel) for channel in channels}) > 1:
        lengths = ", ".join(str(len(channel)) for channel in channels)
        raise ValueError(
            f"{source}, line {line} has channels of unequal length ({lengths}); pad them with NaN, or, where the last "
            f"part is a label, write @classLabel true and the classes into the header"
        )
    return np.stack(channels)
