"""Values beyond a limit of detection (``<0.5``, ``>100``) as numbers, or as missing, as a reader is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from kinview.datasets.cells import is_text, number_column
from kinview.datasets.delimited import column_position

__all__ = ["Censored", "read_censored"]

Rule = Literal["limit", "half", "missing"]
Censored = Rule | Mapping[str, Rule] | None

_LIMIT = re.compile(r"\s*([<>≤≥])=?\s*(.+)", re.DOTALL)


def read_censored(
    frame: pd.DataFrame,
    columns: Sequence[Any],
    censored: Censored,
    source: Path,
    *,
    decimal: str = ".",
    thousands: str | None = None,
) -> pd.DataFrame:
    """The frame with its columns of numbers and limits as numbers; any other column as it is.

    Parameters
    ----------
    frame : DataFrame
        Cells as a reader has them; not modified.
    columns : sequence of column names
        Those that may hold limits.
    censored : {"limit", "half", "missing"}, mapping from columns to these, or None
        What a limit becomes: the limit itself, half of it (of what lies below a limit; what lies above one is the
        limit), or missing [1]_. Columns that no mapping names stay as they are, and so does everything with None.
        Without a mapping a column without any plain number is no measurement (age bands: ``<65``).
    source : Path
        What messages call the file.
    decimal, thousands : str
        How its numbers are written.

    Raises
    ------
    ValueError
        If a rule is none of these, a mapping names a column that there is not, or that can hold no limits, or a limit
        is below zero, whose half lies above it.

    References
    ----------
    .. [1] Hornung, R. W. & Reed, L. D. (1990). Estimation of average concentration in the presence of nondetectable
       values. Applied Occupational and Environmental Hygiene 5(1), 46-51 (half of the limit).

    Examples
    --------
    >>> frame = pd.DataFrame({"crp": ["<5", "12", ">300"], "age": ["<65", "65+", "<65"]})
    >>> read_censored(frame, ["crp", "age"], "half", Path("labs.csv"))["crp"].tolist()
    [2.5, 12.0, 300.0]
    >>> read_censored(frame, ["crp", "age"], "missing", Path("labs.csv"))["age"].tolist()
    ['<65', '65+', '<65']
    """
    if censored is None:
        return frame
    rules = _rules(frame, columns, censored, source)
    written = {"decimal": decimal, "thousands": thousands}
    named = isinstance(censored, Mapping)
    found = {name: _numbers(frame[name], rule, written, alone=named) for name, rule in rules.items()}
    changed = {name: column for name, column in found.items() if column is not None}
    return frame.assign(**changed) if changed else frame


def _rules(frame: pd.DataFrame, columns: Sequence[Any], censored: Any, source: Path) -> dict[Any, str]:
    """The rule of each column, checked."""
    if not isinstance(censored, Mapping):
        return {name: _checked(censored) for name in columns}
    names = frame.columns.tolist()
    rules = {}
    for given, rule in censored.items():
        name = names[column_position(list(map(str, names)), given, source)]
        if name not in columns:
            raise ValueError(
                f"censored names column {str(name)!r} of {source.name}, which holds no measurements: another option "
                "names it too"
            )
        rules[name] = _checked(rule)
    return rules


def _checked(rule: Any) -> str:
    if rule not in get_args(Rule):
        raise ValueError(
            f"censored={rule!r} is no rule for values beyond a limit (<0.5, >100): give limit, half or missing, or "
            "by column {crp: half}"
        )
    return str(rule)


def _numbers(column: pd.Series, rule: str, written: Mapping[str, Any], *, alone: bool) -> pd.Series | None:
    """A text column of numbers and limits as numbers; None where it is none, or holds limits alone."""
    if not is_text(column):
        return None
    codes, distinct = pd.factorize(column)
    matches = [_LIMIT.fullmatch(str(cell)) for cell in distinct]
    if not any(matches) or (all(matches) and not alone):
        return None
    texts = pd.Series([match[2] if match else str(cell) for cell, match in zip(distinct, matches, strict=True)])
    numbers = number_column(texts, **written)
    if numbers.dtype.kind not in "if":  # something else stands among them; the checks of the reader name it
        return None
    values = numbers.to_numpy(dtype=np.float64).copy()
    for place, match in enumerate(matches):
        if match is not None and rule == "missing":
            values[place] = np.nan
        elif match is not None and rule == "half" and match[1] in "<≤":
            if values[place] < 0:
                raise ValueError(
                    f"column {column.name!r}: half of {distinct[place]!r} lies above it; give limit or missing"
                )
            values[place] /= 2
    return pd.Series(np.append(values, np.nan)[codes], index=column.index, name=column.name)
