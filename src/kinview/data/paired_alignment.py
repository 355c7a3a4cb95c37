"""Samples of two sides that belong together, by their names or by position."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from kinview.data.modality import Modality
from kinview.data.panel import Panel

__all__ = ["GivenSide", "aligned", "check_names", "listed"]

_SHOWN = 5  # names of samples in a message
_EXACT = 2**53  # below which a float is exactly one whole number


@dataclasses.dataclass(frozen=True, eq=False)
class GivenSide:
    """One side as it was given: what it holds, which of it says something, and the names of its samples."""

    modality: Modality | None
    data: Panel | pd.DataFrame | None
    names: pd.Index | None
    counted: bool  # whether the names are those that pandas gives to what it makes anew: 0, 1, ...
    observed: Bool[np.ndarray, " n"]


def aligned(read: Mapping[str, GivenSide], index: Any) -> tuple[pd.Index, dict[str, Int64[np.ndarray, " n"]]]:
    """Names of all samples, and where each stands in each side; -1 where it does not."""
    held = {name: one for name, one in read.items() if one.data is not None}
    by_name = {name: one for name, one in held.items() if _goes_by_name(name, one, held, index)}
    found = _samples(held, by_name, index)
    keys = list(map(_key, found.tolist()))
    known = set(keys)
    places = {}
    for name, one in read.items():
        if one.data is None:
            places[name] = np.full(len(found), -1)
        elif name in by_name:
            assert one.names is not None
            own = {_key(sample): place for place, sample in enumerate(one.names.tolist())}
            unknown = [sample for sample in one.names.tolist() if _key(sample) not in known]
            if unknown:
                raise ValueError(
                    f"the side {name!r} has the samples {listed(unknown)}, which are not in index; leave them out, or "
                    f"name them there"
                )
            places[name] = np.array([own.get(key, -1) for key in keys], dtype=np.int64)
        elif len(one.observed) != len(found):
            raise ValueError(
                f"the side {name!r} has {len(one.observed)} samples without names, and there are {len(found)}: give as "
                f"many, or name them (the index of a DataFrame) to align the sides by name"
            )
        else:
            places[name] = np.arange(len(found))
    if len(by_name) == 2 and index is None and not np.logical_and(*(place >= 0 for place in places.values())).any():
        shown = [f"{name} has {one.names[0]!r}" for name, one in by_name.items() if one.names is not None]
        raise ValueError(
            f"the two sides have no sample in common ({', '.join(shown)}); names are compared exactly, so that 1 and "
            f"'1' are two samples"
        )
    return found, places


def _goes_by_name(name: str, one: GivenSide, held: Mapping[str, GivenSide], index: Any) -> bool:
    """Whether a side is aligned by the names of its samples; otherwise it goes by position.

    Raises
    ------
    ValueError
        If its samples are merely counted, and those of the other side have names of their own.
    """
    if one.names is None:
        return False
    if not one.counted:
        return True
    others = [
        other.names for key, other in held.items() if key != name and other.names is not None and not other.counted
    ]
    others += [] if index is None else [pd.Index(index)]
    if not others:
        return False
    counts = set(range(len(one.names)))
    if all({key[1] for key in map(_key, other.tolist()) if isinstance(key, tuple)} == counts for other in others):
        return True
    raise ValueError(
        f"the side {name!r} has pandas' own index (0 to {len(one.names) - 1}), and the other side names its samples "
        f"({listed(others[0].tolist())}): set_index('column of the names'), or give an array (.to_numpy()) to pair "
        f"them by position"
    )


def _samples(held: Mapping[str, GivenSide], by_name: Mapping[str, GivenSide], index: Any) -> pd.Index:
    """Names of all samples, those of the first side first."""
    if index is not None:
        if isinstance(index, str) or not hasattr(index, "__len__"):
            raise ValueError(f"index must be the names of the samples, one each; got {index!r}")
        found = index if isinstance(index, pd.Index) else pd.Index(list(index))
        keys = list(map(_key, found.tolist()))
        times: Counter[Any] = Counter(keys)
        if None in times or len(times) < len(keys):
            twice = [name for name, key in zip(found.tolist(), keys, strict=True) if key is None or times[key] > 1]
            raise ValueError(f"index names {listed(twice)} more than once, or has a missing name")
        return found
    if not by_name:
        return pd.RangeIndex(max(len(one.observed) for one in held.values()))
    first, *others = (one.names for one in by_name.values() if one.names is not None)
    for other in others:
        if first.nlevels != other.nlevels:
            raise ValueError(
                f"the samples of {' and '.join(by_name)} have names of {first.nlevels} and {other.nlevels} parts "
                f"({first[0]!r} and {other[0]!r}); give both sides the same ones"
            )
        known = set(map(_key, first.tolist()))
        new = np.array([_key(sample) not in known for sample in other.tolist()], dtype=bool)
        if new.any():
            both = [*first.tolist(), *other[new].tolist()]
            if first.nlevels > 1:
                first = pd.MultiIndex.from_tuples(both, names=first.names)
            else:  # of two kinds each name stays as it is: 2⁵³ + 1 is no float
                first = pd.Index(both, dtype=first.dtype if first.dtype == other.dtype else object, name=first.name)
    return first


def check_names(name: str, names: pd.Index) -> None:
    """Refuse samples without a name, and names that stand twice."""
    keys = list(map(_key, names.tolist()))
    if None in keys:
        raise ValueError(f"the side {name!r} has {keys.count(None)} sample(s) without a name (missing in its index)")
    times: Counter[Any] = Counter(keys)
    if len(times) < len(keys):
        shown = [one for one, key in zip(names.tolist(), keys, strict=True) if times[key] > 1]
        raise ValueError(f"the side {name!r} has more than one sample called {listed(shown)}; a name is of one sample")


def _key(name: Any) -> Any:
    """What tells a name from others, exactly: numbers by their value, all else by kind and value; None of a gap."""
    if isinstance(name, tuple):
        parts = tuple(map(_key, name))
        return None if None in parts else parts
    if name is None or name is pd.NaT or name is pd.NA or (isinstance(name, float) and name != name):
        return None
    if isinstance(name, bool | np.bool_):
        return "bool", bool(name)
    if isinstance(name, int | np.integer):
        return "number", int(name)
    if isinstance(name, float | np.floating):
        value = float(name)
        return ("number", int(value)) if value.is_integer() and abs(value) < _EXACT else ("float", value)
    return type(name).__name__, name


def listed(names: Any) -> str:
    """Some of the names, for a message."""
    shown = list(dict.fromkeys(names))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(map(repr, shown[:_SHOWN])) + more
