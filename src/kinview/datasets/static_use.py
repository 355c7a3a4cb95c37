"""Where static columns go: to the probe, to the encoder, to subgroups, beside X as a pair, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from kinview.registry import suggestion

__all__ = ["STATIC_USES", "checked_static_to"]

STATIC_USES = ("probe", "encoder", "subgroups", "pairs")
"""Where static columns can go."""


def checked_static_to(given: Any, static: pd.DataFrame | None, name: str) -> dict[str, list[Any]]:
    """Columns by where they go, in plain data.

    Parameters
    ----------
    given : mapping or None
        ``probe``, ``encoder``, ``subgroups`` and ``pairs`` to one static column or several; a column of ``subgroups``
        may be cut into bands, ``{age: [0, 40, 65, 120]}``.
    static : DataFrame or None
        The static columns that there are.
    name : str
        What messages call the data set.

    Raises
    ------
    ValueError
        If columns go somewhere else, are none of the static ones, or stand twice.

    Examples
    --------
    >>> checked_static_to({"probe": "age"}, pd.DataFrame({"age": [61]}), "visits")
    {'probe': ['age']}
    >>> checked_static_to({"prob": "age"}, pd.DataFrame({"age": [61]}), "visits")
    Traceback (most recent call last):
    ...
    ValueError: static_to of 'visits' has no 'prob'; did you mean 'probe'? Static columns go to \
probe, encoder, subgroups, pairs
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(
            f"static_to of {name!r} must say where static columns go, as in {{probe: [age, sex], subgroups: [sex]}}; "
            f"got {given!r}"
        )
    known = [] if static is None else list(map(str, static.columns))
    found: dict[str, list[Any]] = {}
    for use, columns in given.items():
        if use not in STATIC_USES:
            raise ValueError(
                f"static_to of {name!r} has no {use!r}{suggestion(use, STATIC_USES)} Static columns go to "
                f"{', '.join(STATIC_USES)}"
            )
        entries = [columns] if isinstance(columns, str | Mapping) else list(columns)
        for entry in entries:
            _check_entry(entry, use, known, name)
        names = [str(next(iter(entry))) if isinstance(entry, Mapping) else entry for entry in entries]
        if len(set(names)) < len(names):
            raise ValueError(f"static_to of {name!r} names a column twice for {use}: {', '.join(names)}")
        if entries:
            found[str(use)] = [dict(entry) if isinstance(entry, Mapping) else entry for entry in entries]
    return found


def _check_entry(entry: Any, use: str, known: list[str], name: str) -> None:
    banded = isinstance(entry, Mapping) and use == "subgroups" and len(entry) == 1
    column = next(iter(entry)) if banded else entry
    if not isinstance(column, str):
        raise ValueError(f"static_to of {name!r} must name columns for {use}; got {entry!r}")
    if column not in known:
        there = f"its static columns are {', '.join(known)}" if known else "it has none: name them when it is read"
        raise ValueError(f"static_to of {name!r} sends {column!r} to {use}; {there} (static=)")
