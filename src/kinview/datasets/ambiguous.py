"""Numbers that may be meant otherwise: days written 20200131 or 31.12, codes 07919 and 2E11, thousands 1.100."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "are_days",
    "are_days_and_months",
    "are_months",
    "warn_of_codes",
    "warn_of_months",
    "warn_of_sentinels",
    "warn_of_thousands",
]

_YEARS = (1800, 2299)  # of a day written as a whole number; clinical dates are shifted ahead
_STAMPS = {8: 1, 12: 10_000, 14: 1_000_000}  # digits of yyyymmdd, with hhmm and hhmmss: what comes behind the day
_MONTHS = (1900, 2100)  # years of months written 202001
_FEWEST_MONTHS = 3  # distinct ones, of more than one year
_FEWEST = 5  # other numbers below which none is far from all of them
_SENTINEL = re.compile("-9+|999+")  # -9, -999, 999: numbers that stand for no value
_OFTEN = 0.01  # fraction of the observed cells above which such a number is no outlier
_SHOWN = 5
_DISTINCT = 10  # numbers that are all days and months, from which it is no chance
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+")
_EXPONENT = re.compile(r"\d{1,2}E\d{1,2}")  # of codes, not as programs write numbers


def are_days(values: NDArray[Any]) -> bool:
    """Whether observed whole numbers are all days written 20200131, perhaps with hours and minutes behind.

    Examples
    --------
    >>> are_days(np.array([20200131.0, 20240229.0, np.nan])), are_days(np.array([20200131, 20200132]))
    (True, False)
    """
    observed = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if len(observed) == 0 or not _has_day(observed[:1]):
        return False
    return _has_day(np.unique(observed))


def _has_day(numbers: NDArray[Any]) -> bool:
    digits = len(str(int(numbers[0]))) if np.isfinite(numbers[0]) and numbers[0] > 0 else 0
    if digits not in _STAMPS or (numbers != np.floor(numbers)).any() or (numbers < 0).any():
        return False
    whole = numbers.astype(np.int64)
    if int(whole.min()) < 10 ** (digits - 1) or int(whole.max()) >= 10**digits:
        return False
    day, clock = np.divmod(whole, _STAMPS[digits])
    years, months, days = day // 10_000, day // 100 % 100, day % 100
    if years.min() < _YEARS[0] or years.max() > _YEARS[1] or months.min() < 1 or months.max() > 12 or days.min() < 1:
        return False
    clock = clock if digits == 12 else clock // 100 if digits == 14 else np.zeros_like(clock)
    if (clock // 100 > 23).any() or (clock % 100 > 59).any() or (digits == 14 and (whole % 100 > 59).any()):
        return False
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    length = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    return bool((days <= length).all())


def are_months(values: NDArray[Any]) -> bool:
    """Whether observed whole numbers are all months written 202001: three or more, of several years from 1900 to 2100.

    Examples
    --------
    >>> are_months(np.array([202001, 202012, 202101])), are_months(np.array([202001, 202012, 202013]))
    (True, False)
    """
    observed = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if len(observed) < _FEWEST_MONTHS or not _in_calendar(observed[:1]) or not _in_calendar(observed):
        return False
    distinct = np.unique(observed)
    return len(distinct) >= _FEWEST_MONTHS and len(np.unique(distinct // 100)) > 1


def _in_calendar(numbers: NDArray[Any]) -> bool:
    if (numbers < _MONTHS[0] * 100).any() or (numbers > _MONTHS[1] * 100 + 12).any():
        return False
    months = numbers % 100
    return bool(((numbers == np.floor(numbers)) & (months >= 1) & (months <= 12)).all())


def warn_of_months(X: pd.DataFrame, source: str) -> None:
    """Warn of features that are months written 202001: from 202012 to 202101 it is one month, and 89 as numbers."""
    found = [str(name) for name, values in _numeric(X) if are_months(values)]
    if found:
        _warn(
            f"{source}: column {_listed(found)} looks like months written as whole numbers ({_first(X, found[0])}), "
            f"and is read as numbers, whose differences are no durations; write 2020-01-01, count months, or leave it "
            f"out"
        )


def warn_of_sentinels(X: pd.DataFrame, source: str) -> None:
    """Warn of features with a number such as -999 or 9999 in more than one in a hundred cells, far from all others."""
    found = [(str(name), number) for name, values in _numeric(X) if (number := _sentinel(values)) is not None]
    if found:
        name, number = found[0]
        often, observed = int((X[name] == number).sum()), int(X[name].notna().sum())
        _warn(
            f"{source}: column {_listed([name for name, _ in found])} holds {number:g} in {often} of {observed} cells, "
            f"far from all others, which reads like no value and is a number now; if it is none, make it missing "
            f"(na_values={number:g} for a text file)"
        )


def _sentinel(values: NDArray[Any]) -> float | None:
    """A number that stands for no value, None where there is none."""
    observed = values[~np.isnan(values)]
    if len(observed) < _FEWEST:
        return None
    ends = (float(observed.min()), float(observed.max()))
    if not any(_SENTINEL.fullmatch(f"{number:.15g}") for number in ends):
        return None
    signs = [number for number in np.unique(observed) if number % 9 == 0 and _SENTINEL.fullmatch(f"{number:.15g}")]
    signs = [number for number in signs if np.sum(observed == number) > max(_OFTEN * len(observed), 1)]
    others = np.unique(observed[~np.isin(observed, signs)])
    if not signs or len(others) < _FEWEST:
        return None
    low, high = float(others.min()), float(others.max())
    reach = max(abs(low), abs(high))
    far = [n for n in signs if (n < 0 and (low >= 0 or reach < -n / 10)) or (n > 0 and reach < n / 10)]
    return float(far[0]) if far else None


def _numeric(X: pd.DataFrame) -> list[tuple[Any, NDArray[Any]]]:
    """Numeric columns as float64."""
    names = [name for name, dtype in X.dtypes.items() if dtype.kind in "iuf"]
    return [(name, X[name].to_numpy(dtype=np.float64, na_value=np.nan)) for name in names]


def _first(X: pd.DataFrame, name: str) -> str:
    return f"{float(X[name].dropna().iloc[0]):.0f}"


def _listed(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=5)


def are_days_and_months(values: NDArray[np.float64]) -> bool:
    """Whether numbers are rather days and months, 31.12: ten distinct ones or more, none of which could not be.

    Examples
    --------
    >>> days = np.arange(1, 13) + np.arange(1, 13) / 100
    >>> are_days_and_months(days), are_days_and_months(days + 0.5)
    (True, False)
    """
    hundredths = np.round(values[:100] * 100)
    if not _in_months(values[:100], hundredths):
        return False
    distinct = np.unique(values)
    hundredths = np.round(distinct * 100)
    several = len(distinct) >= _DISTINCT and len(np.unique(hundredths % 100)) > 1
    return several and _in_months(distinct, hundredths)


def _in_months(values: NDArray[np.float64], hundredths: NDArray[np.float64]) -> bool:
    days, months = hundredths // 100, hundredths % 100
    exact = np.abs(values * 100 - hundredths) < 1e-6
    return bool((exact & (days >= 1) & (days <= 31) & (months >= 1) & (months <= 12)).all())


def warn_of_codes(X: pd.DataFrame, head: Mapping[str, Sequence[str]], source: str) -> None:
    """Warn of numbers that are written like codes: with a zero in front (07919), or with a bare exponent (2E11).

    Two digits each (``07``, ``12``) are hours or months, and fine. ``head`` are the cells of the first rows as they are
    written.
    """
    zeros, exponents = [], []
    for name, cells in head.items():
        if name not in X or X[name].dtype.kind not in "iuf" or not cells:
            continue
        found = [cell for cell in cells if cell[:1] == "0" and len(cell) > 1 and cell.isdigit()]
        if found and all(cell.isdigit() for cell in cells) and {len(cell) for cell in cells} != {2}:
            zeros.append((name, found[0]))
        bare = [cell for cell in cells if _EXPONENT.fullmatch(cell)]
        if bare and not any(sign in cell for cell in cells for sign in ".+"):
            exponents.append((name, bare[0]))
    for found_names, what in ((zeros, "zeros in front"), (exponents, "an exponent, but neither point nor sign,")):
        if found_names:
            shown = ", ".join(f"{str(name)!r} ({cell} as {float(cell):.15g})" for name, cell in found_names[:5])
            more = f", ... ({len(found_names)} in all)" if len(found_names) > 5 else ""
            warnings.warn(
                f"{source}: cells with {what} look like codes, and are read as numbers in column {shown}{more}; leave "
                f"codes out (drop= or index=), or take them as categories (categorical=)",
                UserWarning,
                stacklevel=4,
            )


def warn_of_thousands(frame: pd.DataFrame, head: Mapping[str, Sequence[str]], source: str) -> None:
    """Warn of points in a file with semicolons that could part thousands: three digits behind each of them.

    A program that writes semicolons may write ``1.100`` for eleven hundred. Fewer or more digits behind one point of
    the column, or four digits in front, say that it is the decimal sign.
    """
    found = []
    for name, cells in head.items():
        if frame[name].dtype.kind != "f":
            continue
        pointed = [cell for cell in cells if "." in cell]
        if not pointed or not all(_THOUSANDS.fullmatch(cell) and cell.lstrip("+-")[0] != "0" for cell in pointed):
            continue
        values = frame[name].to_numpy(dtype=np.float64)
        values = values[~np.isnan(values)]
        parted = values[values != np.round(values)]
        if (np.abs(parted) < 1000).all() and np.allclose(parted * 1000, np.round(parted * 1000), rtol=0, atol=1e-6):
            found.append((name, pointed[0]))
    if found:
        name, cell = found[0]
        others = f" (and {len(found) - 1} more columns)" if len(found) > 1 else ""
        warnings.warn(
            f"{source}: column {str(name)!r}{others} has cells such as {cell!r}, read as {float(cell):g}, though a "
            f"file with semicolons may mean {cell.replace('.', '')}; say decimal=',' and thousands='.' if so, and "
            f"thousands=',' if the point is the decimal sign",
            UserWarning,
            stacklevel=4,
        )
