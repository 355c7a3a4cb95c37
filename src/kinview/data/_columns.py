"""One column of a table: what it is, and its values as float64 numbers."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Hashable
from decimal import Decimal
from numbers import Number
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.codes import factorize
from kinview.data.scaling_rules import normal_scores, quantile_knots, robust_moments

__all__ = [
    "Column",
    "Kind",
    "Totals",
    "category_keys",
    "counted",
    "encode_column",
    "fit_column",
    "kind_of",
    "looks_like_ids",
    "numbers_of",
]

Kind = Literal["numeric", "boolean", "categorical", "datetime"]

_NUMBERS = {"floating", "integer", "mixed-integer-float", "decimal"}  # of pandas' infer_dtype
_MIXED = {"mixed", "mixed-integer"}
_DATES = {"datetime64", "datetime", "date"}
_DURATIONS = {"timedelta64", "timedelta"}
_TICKS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # per second
_TEXT_ROWS = 10  # below this many observed rows, distinct texts do not prove an id
_TEXT_FRACTION = 0.9  # distinct texts per observed row from which a column counts as ids or free text


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a schema.

    Parameters
    ----------
    name : str
        Column name.
    kind : {"numeric", "boolean", "categorical", "datetime"}
        Durations are numeric, in seconds.
    categories : tuple of str or None
        Category of code 1, 2, ..., sorted; None for the code that the rare ones share, and in a model that kinview
        0.1.0 saved for each code of a rare one.
    counts : tuple of int
        Training rows of each category; 0 where it is None.
    other : int
        Code of every category that is not listed: 0 (unseen), or the code that the rare ones share.
    median, mean, scale : float
        Of the observed training values in their own units (dates: seconds since 1970, UTC; booleans: 0 and 1).
        ``scale`` is the standard deviation (divisor: count), 1 for a constant; a column never observed has 0, 0, 1.
        Under the scaling ``"robust"`` ``mean`` is the median and ``scale`` follows from the interquartile range.
    knots : tuple of float
        Under the scaling ``"quantile"`` the quantiles; none where the column is standardised.
    clip : float or None
        Scaled values beyond ``-clip`` and ``clip`` are set there.
    """

    name: str
    kind: Kind
    categories: tuple[str | None, ...] = ()
    counts: tuple[int, ...] = ()
    other: int = 0
    median: float = 0.0
    mean: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    clip: float | None = None


@dataclasses.dataclass(frozen=True)
class Totals:
    """Number, mean, sum of squares around it, smallest and largest of observed values; those of two parts add up."""

    number: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    @classmethod
    def of(cls, observed: NDArray[np.float64], name: str) -> Totals:
        """Those of some values.

        Raises
        ------
        ValueError
            If they span more than float64 holds the square of.
        """
        if observed.size == 0:
            return cls()
        low, high = float(observed.min()), float(observed.max())
        if low == high:  # the mean of a constant may be off by a rounding; the value itself is exact
            return cls(len(observed), low, 0.0, low, high)
        with np.errstate(over="ignore"):
            mean = float(observed.mean())
            squares = float(np.square(observed - mean).sum())
        return cls(len(observed), mean, squares, low, high)._checked(name)

    def __add__(self, other: Totals) -> Totals:
        number = self.number + other.number
        if not self.number or not other.number:
            return other if not self.number else self
        apart, fraction = other.mean - self.mean, other.number / number
        return Totals(
            number,
            self.mean + fraction * apart,
            self.squares + other.squares + apart * apart * self.number * fraction,
            min(self.low, other.low),
            max(self.high, other.high),
        )

    def mean_and_scale(self, name: str) -> tuple[float, float]:
        """Mean and standard deviation (divisor: count); 1 of a constant.

        Raises
        ------
        ValueError
            If they are not finite.
        """
        if self.low >= self.high:
            return (self.low if self.number else 0.0), 1.0
        self._checked(name)
        return self.mean, float(np.sqrt(self.squares / self.number)) or 1.0

    def _checked(self, name: str) -> Totals:
        if not np.isfinite(self.mean) or not np.isfinite(self.squares):
            raise ValueError(
                f"column {name!r} spans {self.low:.3g} to {self.high:.3g}, too wide for float64 statistics; rescale it "
                f"(a logarithm?)"
            )
        return self


def fit_column(
    name: str,
    values: pd.Series,
    scaling: str = "dataset",
    clip: float | None = None,
    *,
    kind: Kind | None = None,
    of_all: Totals | Counter[str] | None = None,
) -> Column:
    """Learn what a column is from its training values; numbers and dates are scaled by the rule, booleans standardised.

    Where the values are a sample, ``kind`` and ``of_all`` are those of all rows: counts of the categories, or totals.

    Raises
    ------
    ValueError
        If it holds infinite or complex numbers, or numbers that float64 cannot hold.
    TypeError
        If it holds objects that are neither numbers, text, dates nor booleans.
    """
    kind = kind or kind_of(name, values)
    if kind == "categorical":
        tally = of_all if isinstance(of_all, Counter) else counted(*category_keys(name, values))
        names = sorted(tally)
        return Column(name, kind, tuple(names), tuple(tally[key] for key in names))
    numbers = numbers_of(name, kind, values)
    clip = None if kind == "boolean" else clip
    observed = numbers[~np.isnan(numbers)]
    totals = of_all if isinstance(of_all, Totals) else Totals.of(observed, name)
    mean, scale = totals.mean_and_scale(name)
    median = float(np.median(observed)) if observed.size and totals.low < totals.high else mean
    column = Column(name, kind, median=median, mean=mean, scale=scale, clip=clip)
    if kind == "boolean" or scaling == "dataset" or totals.low >= totals.high or observed.size == 0:
        return column
    if scaling == "robust":
        moments = robust_moments(observed, len(observed))
        return column if moments is None else dataclasses.replace(column, mean=moments[0], scale=moments[1])
    knots = quantile_knots(observed, len(observed))
    return column if knots is None else dataclasses.replace(column, knots=tuple(knots.tolist()))


def counted(keys: list[str], codes: NDArray[np.intp]) -> Counter[str]:
    """Rows of each category, as :func:`category_keys` gives them."""
    tally: Counter[str] = Counter()
    for key, count in zip(keys, np.bincount(codes[codes >= 0], minlength=len(keys)).tolist(), strict=True):
        tally[key] += count
    return tally


def looks_like_ids(column: Column, values: pd.Series) -> bool:
    """Whether a column is text that is nearly all distinct; one that is declared categorical is taken at its word."""
    if column.kind != "categorical" or isinstance(values.dtype, pd.CategoricalDtype) or _is_dictionary(values.dtype):
        return False
    observed = sum(column.counts)
    return observed >= _TEXT_ROWS and len(column.categories) >= _TEXT_FRACTION * observed


def encode_column(column: Column, values: pd.Series) -> NDArray[np.float64]:
    """Values of one column as in ``Batch.x``, still float64: standardised numbers, or category codes; NaN = missing.

    Raises
    ------
    ValueError
        If the values cannot be read as the kind of column that fit saw, or are infinite.
    """
    if column.kind == "categorical":
        keys, codes = category_keys(column.name, values)
        known = {key: code for code, key in enumerate(column.categories, start=1) if key is not None}
        lookup = np.array([known.get(key, column.other) for key in keys] + [np.nan], dtype=np.float64)
        return lookup[codes]  # a missing value has code -1 and finds the NaN at the end
    numbers = numbers_of(column.name, column.kind, values)
    if column.knots:
        return _clipped(normal_scores(numbers, np.array(column.knots)), column.clip)
    with np.errstate(over="ignore"):
        scaled = _clipped((numbers - column.mean) / column.scale, column.clip)
        too_far = np.abs(scaled) > np.finfo(np.float32).max
    if too_far.any():
        raise ValueError(
            f"column {column.name!r} holds {numbers[too_far][0]:.3g}, more than 3.4e+38 standard deviations "
            f"({column.scale:.3g}) from its training mean {column.mean:.3g}; check its units"
        )
    return scaled


def _clipped(scaled: NDArray[np.float64], clip: float | None) -> NDArray[np.float64]:
    return scaled if clip is None else np.clip(scaled, -clip, clip)


def kind_of(name: str, values: pd.Series) -> Kind:
    """What the values of a column are, by their type, or by the cells where these are objects."""
    dtype = values.dtype
    if values.dtype == object and any(isinstance(cell, Decimal) and cell.is_snan() for cell in values):
        raise ValueError(f"column {name!r} holds the signalling NaN of decimal numbers; write None for missing")
    if isinstance(dtype, pd.CategoricalDtype) or _is_dictionary(dtype):
        return "categorical"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if dtype.kind == "M" or isinstance(dtype, pd.PeriodDtype):
        return "datetime"
    if dtype.kind == "m" or (pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c"):
        return "numeric"
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    if inferred == "complex":
        raise ValueError(f"column {name!r} is complex. Complex data not supported: give real and imaginary part")
    if inferred == "boolean":
        return "boolean"
    if inferred in _NUMBERS | _DURATIONS:
        return "numeric"
    if inferred in _DATES | {"period"}:
        return "datetime"
    if inferred in _MIXED and all(map(_is_number, values.dropna())):
        return "numeric"
    return "categorical"


def numbers_of(name: str, kind: Kind, values: pd.Series) -> NDArray[np.float64]:
    """Values in the units that :class:`Column` documents, NaN = missing."""
    if values.isna().all():
        return np.full(len(values), np.nan)
    found = kind_of(name, values)
    if found != kind and {found, kind} != {"numeric", "boolean"}:
        sample = values.dropna().iloc[0]
        hint = {"numeric": "pandas.to_numeric", "boolean": "astype('boolean')", "datetime": "pandas.to_datetime"}[kind]
        raise ValueError(
            f"column {name!r} was {kind} at fit and now holds {found} values such as {sample!r} ({values.dtype}); "
            f"convert it ({hint}) or fit again"
        )
    numbers = _seconds(values) if found == "datetime" else _plain_numbers(values)
    infinite = np.isinf(numbers)
    if infinite.any():
        raise _infinite(name, f"{int(infinite.sum())} row(s), the first at position {int(infinite.argmax())}")
    return numbers


def _plain_numbers(values: pd.Series) -> NDArray[np.float64]:
    if values.dtype.kind == "m" or pd.api.types.infer_dtype(values, skipna=True) in _DURATIONS:
        return pd.TimedeltaIndex(values).total_seconds().to_numpy(dtype=np.float64)
    if values.dtype == object:
        values = values.where(values.notna(), np.nan).map(_as_float)
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _seconds(values: pd.Series) -> NDArray[np.float64]:
    """Seconds since 1970 in UTC; dates without a time zone count as UTC."""
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    index = pd.DatetimeIndex(pd.to_datetime(values, utc=True)).tz_localize(None)
    ticks = index.asi8.astype(np.float64)
    ticks[np.asarray(index.isna())] = np.nan
    return np.asarray(ticks / _TICKS[index.unit])


def category_keys(name: str, values: pd.Series) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct values as text, and for each row the position of its own there, -1 = missing."""
    observed = np.asarray(values.notna())
    codes = np.full(len(values), -1, dtype=np.intp)
    if not observed.any():
        return [], codes
    cells = values[observed]
    if _is_dictionary(cells.dtype):  # pandas cannot factorise these
        cells = cells.astype(object)
    try:
        codes[observed], distinct = factorize(cells)
    except (TypeError, NotImplementedError):  # lists and the like, as objects and in Arrow
        raise _no_cell(name, next(cell for cell in cells if not isinstance(cell, Hashable))) from None
    except OverflowError:  # before pandas 3, of a whole number that is too large for a float
        raise _infinite(name, "a category") from None
    return [_key(name, value) for value in distinct], codes


def _key(name: str, value: Any) -> str:
    """Text of a category; values that are equal in Python (1, 1.0, True) have the same text, so dtypes may change."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if _is_number(value) and np.isinf(_as_float(value)):
        raise _infinite(name, "a category")
    if isinstance(value, float | np.floating | Decimal) and int(value) == value:
        return str(int(value))
    if isinstance(value, str) or (isinstance(value, Number) and not isinstance(value, complex)):
        return str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, pd.Interval | pd.Period | pd.Timedelta):
        return str(value)
    raise _no_cell(name, value)


def _is_number(value: Any) -> bool:
    """Whether a cell is a number, of any type that float64 takes; a boolean is none."""
    return isinstance(value, Number) and not isinstance(value, complex | bool | np.bool_)


def _as_float(value: Any) -> float:
    """Nearest float64; infinite where there is none, for which Python has an error or not, by the type."""
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _infinite(name: str, where: str) -> ValueError:
    return ValueError(
        f"Input X contains infinity or a value too large for dtype('float64'): column {name!r}, {where}; write NaN for "
        f"missing"
    )


def _no_cell(name: str, value: Any) -> TypeError:
    return TypeError(
        f"column {name!r} holds {type(value).__name__} objects; each cell of a table must be a string or a number "
        f"(or a date, a boolean, missing)"
    )


def _is_dictionary(dtype: Any) -> bool:
    """Whether an Arrow dtype is dictionary-encoded, Arrow's own categorical."""
    return isinstance(dtype, pd.ArrowDtype) and str(dtype.pyarrow_dtype).startswith("dictionary")
