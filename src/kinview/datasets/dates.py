"""Dates in files: ISO 8601 in text, and the formats that ARFF declares."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kinview.datasets.ambiguous import are_days
from kinview.datasets.cells import ISO_DATE, is_text
from kinview.datasets.rows import Rows
from kinview.datasets.written import MANY, is_many, is_written_date

__all__ = [
    "date_columns",
    "declared_dates",
    "refuse_mixed_zones",
    "refuse_written_dates",
    "strptime_format",
    "utc_dates",
]

_MOSTLY = 0.9  # fraction of the observed cells that are dates in a column of dates

_ZONE = r"[T ].*(?:Z|[+-]\d{2}(?::?\d{2})?)$"
# Java's SimpleDateFormat, which ARFF names, as strptime has it
_JAVA = {
    "yyyy": "%Y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%m", "dd": "%d", "d": "%d", "DDD": "%j", "HH": "%H",
    "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "m": "%M", "ss": "%S", "s": "%S", "SSS": "%f", "a": "%p", "Z": "%z",
    "XXX": "%z", "XX": "%z", "X": "%z", "EEEE": "%A", "EEE": "%a",
}  # fmt: skip
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def utc_dates(column: pd.Series) -> pd.Series:
    """ISO 8601 dates in UTC, without a zone; one that names none counts as UTC, and what is not a date becomes NaT.

    Examples
    --------
    >>> utc_dates(pd.Series(["2024-05-31T01:10+02:00", "2024-05-31 02:10"])).astype(str).tolist()
    ['2024-05-30 23:10:00', '2024-05-31 02:10:00']
    """

    def parsed(cells: pd.Series) -> pd.Series:
        return pd.to_datetime(cells, format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None)

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return parsed(column)
    cells = column.reset_index(drop=True)
    zoned = cells.astype(str).str.contains(_ZONE)
    if zoned.all() or not zoned.any():
        dates = parsed(cells)
    else:  # apart, since before pandas 3 a date without a zone takes on that of the row before
        dates = pd.concat([parsed(cells[zoned]), parsed(cells[~zoned])]).sort_index()
    return _with_far_dates(dates, cells).set_axis(column.index)


def _with_far_dates(dates: pd.Series, cells: pd.Series) -> pd.Series:
    """Dates that nanoseconds do not hold filled in, all in microseconds then; as they are where one has more digits."""
    if not dates.isna().any():
        return dates
    unread = dates.isna() & cells.map(
        lambda cell: isinstance(cell, str) and ISO_DATE.fullmatch(cell.strip()) is not None
    )
    near = dates.dropna().to_numpy()
    if not unread.any() or (near.astype("datetime64[us]") != near).any():
        return dates
    far = cells[unread].map(_microseconds)
    if any(stamp is None for stamp in far):
        return dates
    values = dates.to_numpy().astype("datetime64[us]")
    values[unread.to_numpy()] = np.array(far.tolist(), dtype="datetime64[us]")
    return pd.Series(values, index=dates.index)


def _microseconds(cell: str) -> np.datetime64 | None:
    """A date of any year from 1 to 9999 in UTC, None where there is no such day."""
    if re.search(r"[.,]\d{7}", cell):
        return None
    try:
        stamp = datetime.datetime.fromisoformat(cell.strip().replace(",", "."))
    except ValueError:
        return None
    if stamp.tzinfo is not None:
        stamp = stamp.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(stamp, "us")


def date_columns(X: pd.DataFrame, source: str = "frame", rows: Rows | None = None) -> pd.DataFrame:
    """Text columns whose observed cells are all ISO 8601 dates as dates in UTC, the others as they are.

    Raises
    ------
    ValueError
        If a column has dates with a time zone and dates without.

    Examples
    --------
    >>> date_columns(pd.DataFrame({"day": ["2024-05-31", None], "code": ["2024-05", "2024-06"]})).dtypes["day"].kind
    'M'
    """
    found: dict[str, pd.Series] = {}
    texts = [
        name for name, dtype in X.dtypes.items() if dtype.kind == "O" and not isinstance(dtype, pd.CategoricalDtype)
    ]
    for name in map(str, texts):  # before pandas 3 and after
        observed = X[name].dropna()
        if len(observed) and all(isinstance(cell, str) and ISO_DATE.fullmatch(cell) for cell in observed):
            refuse_mixed_zones(X[name], f"{source}: column {name!r}", rows or Rows())
            dates = utc_dates(X[name])
            if int(dates.notna().sum()) == len(observed):  # 2024-13-40 looks like a date and is none
                found[name] = dates
    return X.assign(**found)


def refuse_mixed_zones(column: pd.Series, what: str, rows: Rows) -> None:
    """Refuse dates with a time zone beside dates without, which could be hours apart.

    Raises
    ------
    ValueError
        That names the column as ``what`` says, and one cell of each kind.

    Examples
    --------
    >>> refuse_mixed_zones(pd.Series(["2024-05-31T01:10Z", "2024-05-31"]), "column 'day'", Rows())
    Traceback (most recent call last):
    ...
    ValueError: column 'day' has dates with a time zone ('2024-05-31T01:10Z' in row 1 (counted from 1)) and without \
('2024-05-31' in row 2 (counted from 1)), which could be hours apart; write all of them with a zone, or none
    """
    observed = column.notna().to_numpy()
    zoned = column.astype(str).str.contains(_ZONE).to_numpy(dtype=bool) & observed
    bare = ~zoned & observed
    if zoned.any() and bare.any():
        one, other = (f"{str(column.iloc[i])!r} in {rows.name(i)}" for i in (int(zoned.argmax()), int(bare.argmax())))
        raise ValueError(
            f"{what} has dates with a time zone ({one}) and without ({other}), which could be hours apart; write all "
            f"of them with a zone, or none"
        )


def refuse_written_dates(
    X: pd.DataFrame, source: str, rows: Rows, remedy: str = "drop=", *, typed: bool = False
) -> None:
    """Refuse features that are days or times of day, but not in ISO 8601 (``31.12.2020``, ``20201231``, ``12:30``).

    At least nine in ten observed cells are, or eleven distinct ones that are half of all distinct ones. A column of few
    distinct ones is a category, with a warning. Text of a ``typed`` file stays text.

    Raises
    ------
    ValueError
        That names the column, the first such cell and its row.

    Warns
    -----
    UserWarning
        If there are few distinct ones.
    """
    for name, column in X.items():
        if column.dtype.kind in "iuf":
            own = isinstance(column.dtype, np.dtype)
            values = column.to_numpy() if own else column.to_numpy(dtype=np.float64, na_value=np.nan)
            if are_days(values):
                row = int((~np.isnan(values)).argmax())
                raise ValueError(_no_iso(source, str(name), f"{values[row]:.0f}", rows.name(row), remedy))
        elif not typed and is_text(column) and (found := _odd_date(column)) is not None:
            row, levels = found
            if not levels:
                raise ValueError(_no_iso(source, str(name), repr(str(column.iloc[row])), rows.name(row), remedy))
            warnings.warn(
                f"{source}: column {str(name)!r} holds dates or times such as {str(column.iloc[row])!r} in "
                f"{rows.name(row)}, and is a category now (distinct cells: {levels}); write ISO 8601 (2024-05-31) if "
                f"they are days",
                UserWarning,
                stacklevel=4,
            )


def _no_iso(source: str, name: str, cell: str, row: str, remedy: str) -> str:
    return (
        f"{source}: column {name!r} looks like dates or times, but {cell} in {row} is none in ISO 8601; write "
        f"2024-05-31 (13:30) or a number, such as hours since a day (pandas.to_datetime reads a format), name a cell "
        f"without a date as missing (na_values=), or leave the column out ({remedy})"
    )


def _odd_date(column: pd.Series) -> tuple[int, int] | None:
    """First row of a column of dates whose cell is no ISO 8601 date, and how many levels it has if these are few."""
    codes, distinct = pd.factorize(column)
    if len(distinct) == 0 or not any(
        is_written_date(str(cell)) or ISO_DATE.fullmatch(str(cell))
        for cell in distinct[np.linspace(0, len(distinct) - 1, 20).astype(int)]
    ):
        return None
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    iso = np.array([ISO_DATE.fullmatch(str(cell).strip()) is not None for cell in distinct])
    dated = iso | np.array([is_written_date(str(cell)) for cell in distinct])
    observed = int(counts.sum())
    several = int(dated.sum()) > MANY and 2 * int(dated.sum()) >= len(distinct)
    if int(counts[dated].sum()) < _MOSTLY * observed and not several:
        return None
    odd = ~iso
    if not odd.any():  # days that there are not, such as 2024-13-40
        odd = utc_dates(pd.Series(distinct.astype(object))).isna().to_numpy()
        if not odd.any():
            return None
    row = int(((codes >= 0) & odd[np.maximum(codes, 0)]).argmax())
    few = not iso.any() and not is_many(len(distinct), observed)
    return row, len(distinct) if few else 0


def strptime_format(declared: str) -> str:
    """A date format of ARFF (Java's SimpleDateFormat) in the signs of ``strptime``.

    Raises
    ------
    ValueError
        If it has no year of four digits, so that the day would be a guess, or a sign that is unknown.

    Examples
    --------
    >>> strptime_format("dd.MM.yyyy'T'HH:mm")
    '%d.%m.%YT%H:%M'
    """
    found, end = "", 0
    for match in _TOKEN.finditer(declared):
        token = match.group()
        if match.start() != end:
            break
        end = match.end()
        if match.group(2) is None:
            text = token if match.group(1) is None else match.group(1).replace("''", "'") or "'"
            found += text.replace("%", "%%")
        elif token in _JAVA:
            found += _JAVA[token]
        else:
            raise ValueError(f"the date format {declared!r} has {token!r}; known are: {', '.join(_JAVA)}")
    if end != len(declared):
        raise ValueError(f"the date format {declared!r} cannot be read from {declared[end:]!r} on")
    if "%Y" not in found:
        raise ValueError(
            f"the date format {declared!r} has no year of four digits (yyyy), so it does not say which day is meant; "
            f"write whole dates, or durations as numbers"
        )
    return found


def declared_dates(column: pd.Series, declared: str, name: str, source: str, lines: Sequence[int]) -> pd.Series:
    """A date attribute of ARFF by its declared format, ISO 8601 without one; in UTC where it has a zone.

    ``lines`` are the numbers of the rows in the file.

    Raises
    ------
    ValueError
        If the format says no day, or a cell does not have it; the message names the attribute and the line.
    """
    if declared:
        try:
            format = strptime_format(declared)
        except ValueError as error:
            raise ValueError(f"{source}: attribute {name!r}: {error}") from None
        dates = pd.to_datetime(column.str.strip(), format=format, utc=True, errors="coerce").dt.tz_localize(None)
    else:
        dates = utc_dates(column)
    unread = (dates.isna() & column.notna()).to_numpy()
    if unread.any():
        row = int(unread.argmax())
        raise ValueError(
            f"{source}, line {lines[row]}: {column.iloc[row]!r} is not a date of attribute {name!r}: expected "
            f"{declared or 'ISO 8601 (2024-05-31T13:30:00), since no format is declared'}"
        )
    return dates
