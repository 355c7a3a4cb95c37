"""Which columns of a file are no measurements: numbers of rows, values that never change within a series, persons."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "constant_within",
    "in_long_format",
    "is_row_number",
    "numbers_in_order",
    "numbers_rows",
    "persons",
    "refuse_named_steps",
    "warn_of_long_format",
    "warn_of_persons",
    "warn_of_row_numbers",
]

_FEWEST = 5  # rows below which numbers of rows cannot be told from measurements
_CHANGES = 5  # changes of the series over which numbers that only grow are numbers of rows
_COLLISIONS = 10  # expected equal pairs among whole numbers drawn at random, from which none at all is no chance
_LEVELS = 10  # of what may be called subject or case, up to which it is rather a topic or a class
_LOOSE = re.compile(r"(?:subject|case|hospital|medical)", re.IGNORECASE)  # names of other things than persons, too
_PERSON = re.compile(
    r"(?:(?:patient|subject|participant|person|proband|case|hospital|medical)[_ .-]?(?:id|nr|no|num(?:ber)?|code|key)?"
    r"|(?:pat|subj|p|s|sub|rec|record|stay|icustay|hadm|visit)[_ .-]?(?:id|nr)|mrn|pid|empi)",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"unnamed: ?\d+|index|idx|id|uid|key|(?:row|rec|record|event|sample|obs|observation|case|entry)[_ .-]?"
    r"(?:id|nr|no|number|index|key)",
    re.IGNORECASE,
)


def numbers_rows(values: NDArray[np.float64], series: NDArray[np.int64] | None = None, name: str = "") -> bool:
    """Whether whole numbers rather number the rows than measure: one of three signs, in at least five rows.

    They count the rows from 0 or 1; or no number stands twice, and either the name is that of a key (``row_id``,
    ``index``) or numbers drawn at random from their range would hold at least ten equal pairs (a shuffled index, an
    identifier); or they only grow (or only fall) over the rows of the whole file, across at least five changes of the
    series.

    Parameters
    ----------
    values : ndarray of shape (n,)
        A numeric column, NaN = missing; a column with gaps does not number the rows.
    series : ndarray of shape (n,), optional
        Number of the series of each row, in long format.
    name : str
        Of the column.

    Examples
    --------
    >>> numbers_rows(np.arange(6.0)), numbers_rows(np.array([70.0, 71.0, 72.0, 73.0, 75.0]))
    (True, False)
    """
    n = len(values)
    if n < _FEWEST or not np.isfinite(values).all() or (values != np.round(values)).any():
        return False
    if numbers_in_order(values):
        return True
    with np.errstate(over="ignore"):
        steps, span = np.diff(values), float(values.max() - values.min()) + 1
    growing = bool((steps > 0).all() or (steps < 0).all())
    if series is not None and growing and int((np.diff(series) != 0).sum()) >= _CHANGES:
        return True
    suspect = _KEY.fullmatch(name.strip()) is not None or n * (n - 1) / 2 / span >= _COLLISIONS
    return suspect and (growing or len(np.unique(values)) == n)


def is_row_number(values: NDArray[np.float64], name: str) -> bool:
    """Whether a column numbers the rows for sure: it counts them in any order, or is a key by name, with none twice.

    Examples
    --------
    >>> is_row_number(np.array([7.0, 9, 12, 15, 20]), "row_id"), is_row_number(np.array([7.0, 9, 12, 15, 20]), "dose")
    (True, False)
    """
    if len(values) < _FEWEST or not np.isfinite(values).all() or (values != np.round(values)).any():
        return False
    n = len(values)
    if n * (n - 1) / 2 >= _COLLISIONS * n and len(np.unique(values)) == n == values.max() - values.min() + 1:
        return True  # a run of whole numbers, each once, in any order
    return numbers_in_order(values) or (
        _KEY.fullmatch(name.strip()) is not None and len(np.unique(values)) == len(values)
    )


def numbers_in_order(values: NDArray[np.generic]) -> bool:
    """Whether numbers are 0, 1, 2, ... or 1, 2, 3, ..."""
    return len(values) > 0 and bool(values[0] in (0, 1)) and np.array_equal(values, np.arange(len(values)) + values[0])


def constant_within(columns: pd.DataFrame, series: NDArray[np.int64]) -> list[str]:
    """Names of the columns that hold at most one distinct observed value in each series, where one has several rows.

    None in a file of fewer than five rows, where chance could do it.

    Examples
    --------
    >>> columns = pd.DataFrame({"age": [61, 61, 61, 47, 47], "hr": [70, 71, 72, 80, 80]})
    >>> constant_within(columns, np.array([0, 0, 0, 1, 1]))
    ['age']
    """
    if len(series) < _FEWEST or len(np.unique(series)) == len(series):
        return []
    order = np.argsort(series, kind="stable")
    sorted_series = series[order]
    same = sorted_series[1:] == sorted_series[:-1]
    return [str(name) for name in columns if not _changes(columns[name].to_numpy()[order], same, sorted_series)]


def persons(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Of these columns those whose name is that of a patient or subject and whose values stand in several rows.

    What is called ``subject`` or ``case`` only may be a topic or a class, and needs more than ten distinct values.

    Examples
    --------
    >>> persons(pd.DataFrame({"patient_id": [1, 1, 2], "pid": [1, 2, 3]}), ["patient_id", "pid"])
    ['patient_id']
    """
    found = [name for name in names if _PERSON.fullmatch(name.strip())]

    def several(name: str) -> bool:
        levels = _LEVELS if _LOOSE.fullmatch(name.strip()) else 1
        return frame[name].nunique() > levels and bool(frame[name].dropna().duplicated().any())

    return [name for name in found if several(name)]


def in_long_format(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Columns of the series and of the time where a table rather has a row for each time step; None where it has not.

    The rows of a series stand together, there are at least five series with two rows each on average, the time only
    grows within each, and starts anew with some.

    Examples
    --------
    >>> frame = pd.DataFrame({"stay": np.repeat(list("abcde"), 3), "hour": [0, 1, 2] * 5})
    >>> in_long_format(frame), in_long_format(frame.assign(hour=range(15)))
    (('stay', 'hour'), None)
    """
    n = len(frame)
    if n < 2 * _FEWEST:
        return None
    ids = {}
    for name in frame.columns:
        codes, levels = pd.factorize(frame[name])
        changes = np.flatnonzero(np.diff(codes)) + 1
        if _FEWEST <= len(levels) == len(changes) + 1 and 2 * len(levels) <= n and (codes >= 0).all():
            ids[str(name)] = changes
    if not ids:
        return None
    for name, dtype in zip(map(str, frame.columns), frame.dtypes, strict=True):
        if dtype.kind not in "iufM" or not isinstance(dtype, np.dtype):
            continue
        values = frame[name].to_numpy()
        grows = values[1:] > values[:-1]
        for id, changes in ids.items():
            within = np.delete(grows, changes - 1)
            if id != name and within.all() and not grows[changes - 1].all():
                return id, str(name)
    return None


def warn_of_long_format(frame: pd.DataFrame, source: str) -> bool:
    """Warn where a table rather has a row for each time step; whether it does."""
    found = in_long_format(frame)
    if found is None:
        return False
    id, time = map(repr, found)
    warnings.warn(
        f"{source} looks like long format, a row for each {time} of each {id}, and is read as a table now, in which "
        f"each row is a sample: rows of one {id} then stand in the training and in the test part, and a result says "
        f"nothing; read it as series (id={id}, time={time}; --id, --time), or say that a split keeps these rows "
        f"together (group={id}, --group)",
        UserWarning,
        stacklevel=4,
    )
    return True


def warn_of_persons(frame: pd.DataFrame, names: Sequence[str], source: str, rows: str = "rows") -> None:
    """Warn where no group is given although a column looks like the patient or subject of several rows."""
    found = persons(frame, names)
    if found:
        look = f"column {found[0]!r} looks" if len(found) == 1 else f"columns {', '.join(map(repr, found))} look"
        warnings.warn(
            f"{source}: {look} like a patient or subject with several {rows}, which a split may part; name the group "
            f"(group={found[0]!r}, --group)",
            UserWarning,
            stacklevel=4,
        )


def warn_of_row_numbers(X: pd.DataFrame, source: str) -> None:
    """Warn of features that number the rows: where the file is sorted by class, they give the class away."""
    found = [
        str(name)
        for name, dtype in X.dtypes.items()
        if dtype.kind in "iuf" and numbers_rows(X[name].to_numpy(dtype=np.float64), name=str(name))
    ]
    if found:
        warnings.warn(
            f"{source}: {_columns(found)} the rows, and a feature now; if that is no measurement, leave it out "
            f"(index= or drop=)",
            UserWarning,
            stacklevel=4,
        )


def refuse_named_steps(X: pd.DataFrame, source: str) -> None:
    """Refuse a column of a wide time series that is called an id, and warn where the first looks like one.

    Raises
    ------
    ValueError
        If a column of whole numbers has the name of a key, a patient or a subject.

    Warns
    -----
    UserWarning
        If the first column holds whole numbers, none of them twice, and the others hold fractions or numbers twice.
    """
    whole = [name for name, dtype in X.dtypes.items() if dtype.kind in "iu"]
    found = [str(name) for name in whole if _KEY.fullmatch(str(name).strip()) or _PERSON.fullmatch(str(name).strip())]
    if found:
        raise ValueError(
            f"{source}: column {found[0]!r} is called an id, so it is not a step of a series; leave it out (drop=), "
            f"give it as the group (group=), or name it otherwise"
        )
    if len(X) < _FEWEST or X.shape[1] < 2 or X.columns[0] not in whole or not X.iloc[:, 0].is_unique:
        return
    rest = [X.iloc[:, place] for place in range(1, X.shape[1])]
    if not any(column.dtype.kind in "iu" and column.is_unique for column in rest):
        warnings.warn(
            f"{source}: the first column {str(X.columns[0])!r} holds whole numbers, none of them twice, as no other "
            f"does, and is the first step of each series now; if it is an id, leave it out (drop=)",
            UserWarning,
            stacklevel=4,
        )


def _columns(names: list[str]) -> str:
    listed = ", ".join(map(repr, names))
    return f"column {listed} numbers" if len(names) == 1 else f"columns {listed} number"


def _changes(values: NDArray[np.generic], same: NDArray[np.bool_], series: NDArray[np.int64]) -> bool:
    """Whether two observed values of one series differ; neighbours first, then those that a gap parts."""
    missing = np.asarray(pd.isna(values))
    if missing.any():
        kept = ~missing
        values, series = values[kept], series[kept]
        same = series[1:] == series[:-1]
    return bool(np.asarray((values[1:] != values[:-1]) & same).any())
