"""Samples that are known in two ways, such as a series and the row of a table, as one sequence."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int64

from kinview.data.alignment import in_order_of, says_nothing
from kinview.data.modality import SERIES, TABLE, Modality, modality_of
from kinview.data.panel import Panel, read_panel
from kinview.data.table import named_columns

__all__ = ["PairedData", "Side"]

_SHOWN = 5  # names of samples in a message
_KINDS: dict[str, Modality] = {"series": SERIES, "table": TABLE}  # what these names say that a side holds
_EXACT = 2**53  # below which a float is exactly one whole number
_USUAL = {SERIES: "series", TABLE: "table"}  # names of sides that were given without any


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """One way in which samples are known.

    Parameters
    ----------
    modality : {"time_series", "tabular"} or None
        What it holds; None where no sample has it.
    data : Panel, DataFrame or None
        The samples that were read.
    place : ndarray (n,)
        Where each sample of the sequence stands in ``data``; -1 where it lacks this side.
    index : Index
        Name of each sample of the sequence.
    """

    modality: Modality | None
    data: Panel | pd.DataFrame | None
    place: Int64[np.ndarray, " n"]
    index: pd.Index

    @property
    def present(self) -> Bool[np.ndarray, " n"]:
        """Which samples have it."""
        there: np.ndarray = self.place >= 0
        return there

    @property
    def features(self) -> tuple[str, ...]:
        """Names of channels or columns."""
        if self.data is None:
            return ()
        return self.data.channels if isinstance(self.data, Panel) else tuple(map(str, self.data.columns))

    def rows(self) -> Panel | pd.DataFrame:
        """The samples that have it, in their order in the sequence.

        Raises
        ------
        ValueError
            If none has it.
        """
        places = self.place[self.present]
        if self.data is None or not len(places):
            raise ValueError("no sample has this side")
        if isinstance(self.data, Panel):
            rows = self.data.batch.rows(torch.from_numpy(places))
            return dataclasses.replace(self.data, batch=rows, index=self.index[self.present])
        frame: pd.DataFrame = self.data.iloc[places]
        return frame.set_axis(self.index[self.present], axis=0)

    def taken(self, i: Any) -> Side:
        """The side of some samples."""
        return dataclasses.replace(self, place=self.place[i], index=self.index[i])

    def alone(self) -> Side:
        """The same, holding what its own samples have and nothing of others."""
        if self.data is None or not self.present.any():
            return dataclasses.replace(self, data=None, place=np.full(len(self.place), -1))
        place = np.where(self.present, np.cumsum(self.present) - 1, -1)
        return dataclasses.replace(self, data=self.rows(), place=place)


class PairedData:
    """Samples with two sides: a series and a table, or two of either.

    A sequence of samples: ``len``, and access by an integer, a slice, an array of integers or a mask, which give a
    :class:`PairedData` again. scikit-learn's splitters, ``GridSearchCV`` and ``train_test_split`` take it as it is.

    Parameters
    ----------
    first, second : mapping or containers, optional
        A mapping of the two sides by name, or both sides as two arguments, which are then called ``series`` and
        ``table``, or ``first`` and ``second`` where both are of one kind.
    index : sequence, optional
        Names of the samples, in the order that they are to have. Without it they are those of the first side, followed
        by those that the second one alone has.
    **sides : container
        The two sides by name: ``series=``, ``table=``, or other words (``vitals=``, ``laboratory=``). Series in any
        container of :func:`kinview.data.read_panel`; rows as a DataFrame or a 2-D array. None for a side that no sample
        has. What is called ``series`` is read as series, ``table`` as a table; other words leave it to the container.

    Attributes
    ----------
    names : tuple of str
        Names of the two sides.
    index : Index
        Name of each sample; numbers from 0 where neither side names its samples.

    Raises
    ------
    ValueError
        If there are not two sides, they have no sample in common, a sample stands twice in a side or has no name, a
        side names samples that ``index`` lacks, or it cannot be told which samples belong together.

    Notes
    -----
    Sides that name their samples (a DataFrame's index; of series in long format the levels before the time) are aligned
    by these names, exactly: ``1`` and ``"1"`` are two names, a day and its midnight are too, ``1`` and ``1.0`` are one.
    An array or a list has no names, and goes by position. pandas' own index (0, 1, ..., n - 1) names the samples where
    the other side has just these names, in whatever order; beside other names it is refused, because rows of one file
    would meet those of another by their place. A sample that one side lacks is legal, as is one of which nothing was
    observed there; :attr:`present` says which, and the ``repr`` how many. Nothing is copied by access: parts share what
    was read, until they are pickled.

    Examples
    --------
    >>> vitals = pd.DataFrame({"patient": list("aabb"), "hour": [0, 1, 0, 1], "pulse": [80.0, 82.0, 60.0, 61.0]})
    >>> patients = pd.DataFrame({"age": [70, 54, 61]}, index=["b", "a", "c"])
    >>> pairs = PairedData(series=vitals.set_index(["patient", "hour"]), table=patients)
    >>> pairs
    PairedData(3 samples: series with 1 channel (1 lacks it), table with 1 column)
    >>> pairs.index.tolist(), pairs[[2, 0]].present["series"].tolist()
    (['a', 'b', 'c'], [False, True])
    """

    index: pd.Index
    _sides: dict[str, Side]

    def __init__(self, first: Any = None, second: Any = None, /, *, index: Any = None, **sides: Any) -> None:
        given = _named(first, second, sides)
        read = {name: _read(name, X) for name, X in given.items()}
        self.index, places = _aligned(read, index)
        self._sides = {
            name: Side(one.modality, one.data, _where_observed(one, places[name]), self.index)
            for name, one in read.items()
        }

    @classmethod
    def of(cls, X: Any, names: tuple[str, str] | None = None, name: str = "X") -> PairedData:
        """Pairs from what ``fit`` and ``transform`` take: pairs, a list of them, a mapping, or a tuple of both sides.

        Parameters
        ----------
        X : PairedData, sequence of PairedData, mapping or tuple
            What to read. A mapping may lack one side where ``names`` says what they are.
        names : tuple of str, optional
            Names that the sides have to have, in this order; those of a tuple.
        name : str
            What messages call it.

        Raises
        ------
        ValueError
            For anything else, or sides with other names.
        """
        if isinstance(X, PairedData):
            found = X
        elif isinstance(X, Mapping):
            found = cls(_completed(X, names))
        elif isinstance(X, tuple) and len(X) == 2 and not all(isinstance(one, PairedData) for one in X):
            found = cls(*X) if names is None else cls(dict(zip(names, X, strict=True)))
        elif isinstance(X, list | tuple) and len(X) and all(isinstance(one, PairedData) for one in X):
            found = _joined(X)
        else:
            raise ValueError(
                f"{name} must be pairs: PairedData(series=..., table=...), a mapping {{'series': ..., 'table': ...}}, "
                f"or a tuple of both sides; got {type(X).__name__}"
            )
        if names is not None and found.names != names:
            if set(found.names) != set(names):
                raise ValueError(f"{name} has the sides {_listed(found.names)}, at fit they were {_listed(names)}")
            found = found._with({one: found._sides[one] for one in names}, found.index)
        return found

    def _with(self, sides: Mapping[str, Side], index: pd.Index) -> Self:
        twin = object.__new__(type(self))
        twin.index, twin._sides = index, dict(sides)
        return twin

    @property
    def names(self) -> tuple[str, str]:
        """Names of the two sides."""
        first, second = self._sides
        return first, second

    @property
    def present(self) -> pd.DataFrame:
        """Which samples have which side: one column a side, True where something was observed."""
        return pd.DataFrame({name: side.present for name, side in self._sides.items()}, index=self.index)

    @property
    def complete(self) -> Bool[np.ndarray, " n"]:
        """Which samples have both sides."""
        first, second = self._sides.values()
        both: np.ndarray = first.present & second.present
        return both

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and sides; scikit-learn asks for it before it takes rows."""
        return len(self.index), 2

    def side(self, name: str) -> Side:
        """One side of all samples.

        Raises
        ------
        ValueError
            If there is no such side.
        """
        if name not in self._sides:
            raise ValueError(f"there is no side {name!r}; there are {_listed(self.names)}")
        return self._sides[name]

    def with_side(self, name: str, side: Side) -> PairedData:
        """The same samples with another content of one side."""
        self.side(name)
        return self._with({**self._sides, name: side}, self.index)

    def without(self, name: str, where: Any) -> PairedData:
        """The same samples, some of which lack a side.

        Parameters
        ----------
        name : str
            The side that goes.
        where : array of bool (n,)
            Of which samples.

        Examples
        --------
        >>> pairs = PairedData(series=np.zeros((3, 1, 4)), table=np.ones((3, 2)))
        >>> pairs.without("table", [True, False, False]).present["table"].tolist()
        [False, True, True]
        """
        gone = np.asarray(where)
        if gone.dtype != bool or gone.shape != (len(self),):
            raise ValueError(f"where must say True or False of each of the {len(self)} samples; got {where!r}")
        own = self.side(name)
        changed = dataclasses.replace(own, place=np.where(gone, -1, own.place))
        return self.with_side(name, changed)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: Any) -> PairedData:
        if isinstance(i, tuple) and len(i) == 2 and i[1] is Ellipsis:  # as scikit-learn asks for rows
            i = i[0]
        i = i if isinstance(i, slice) else self._positions(i)
        return self._with({name: side.taken(i) for name, side in self._sides.items()}, self.index[i])

    def _positions(self, i: Any) -> Int64[np.ndarray, " some"]:
        """Positions of the samples that integers or a mask take; a Series of True and False goes by name."""
        n = len(self)
        if isinstance(i, pd.Series) and pd.api.types.is_bool_dtype(i.dtype):
            i = in_order_of(self.index, i, "the mask", "the pairs")
        asked = np.asarray(i)
        if asked.ndim == 0 and asked.dtype.kind in "iu":
            asked = asked[None]
        if asked.size == 0 and asked.ndim == 1:
            asked = asked.astype(np.int64)
        if asked.ndim != 1 or asked.dtype.kind not in "iub":
            raise TypeError(
                f"samples are taken by an integer, integers, a slice or a mask of True and False, and a side by "
                f".side(name); got {type(i).__name__} {str(i)[:60]!r}"
            )
        if asked.dtype.kind == "b":
            if len(asked) != n:
                raise IndexError(f"the mask says True or False of {len(asked)} samples, there are {n}")
            return np.flatnonzero(asked)
        beyond = asked[(asked < -n) | (asked >= n)]
        if len(beyond):
            raise IndexError(f"there is no sample {beyond[0]}; there are {n}")
        found: np.ndarray = np.where(asked < 0, asked + n, asked).astype(np.int64)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: the samples of these pairs, and not those of what they were taken from."""
        return {"index": self.index, "_sides": {name: side.alone() for name, side in self._sides.items()}}

    def __iter__(self) -> Iterator[PairedData]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        parts = []
        for name, side in self._sides.items():
            lacking = int((~side.present).sum())
            if side.modality is None:
                parts.append(f"no {name}")
                continue
            noun = "channel" if side.modality == SERIES else "column"
            number = len(side.features)
            has = f"{name} with {number:,} {noun}{'' if number == 1 else 's'}"
            parts.append(has + (f" ({lacking:,} lack{'s' if lacking == 1 else ''} it)" if lacking else ""))
        return f"PairedData({len(self):,} sample{'' if len(self) == 1 else 's'}: {', '.join(parts)})"


@dataclasses.dataclass(frozen=True, eq=False)
class _Read:
    """One side as it was given: what it holds, which of it says something, and the names of its samples."""

    modality: Modality | None
    data: Panel | pd.DataFrame | None
    names: pd.Index | None
    counted: bool  # whether the names are those that pandas gives to what it makes anew: 0, 1, ...
    observed: Bool[np.ndarray, " n"]


def _named(first: Any, second: Any, sides: Mapping[str, Any]) -> dict[str, Any]:
    """The two sides by name."""
    if isinstance(first, Mapping) and second is None and not sides:
        given = {str(name): X for name, X in first.items()}
    elif sides and first is None and second is None:
        given = dict(sides)
    elif not sides and first is not None and second is not None:
        kinds = modality_of(first), modality_of(second)
        names = tuple(_USUAL[kind] for kind in kinds) if kinds[0] != kinds[1] else ("first", "second")
        given = dict(zip(names, (first, second), strict=True))
    else:
        raise ValueError("give both sides by name, PairedData(series=..., table=...), or both without names")
    if "both" in given:
        raise ValueError("a side cannot be called 'both', which is how both are asked for; give it another name")
    if len(given) != 2:
        raise ValueError(f"a pair has two sides; got {_listed(given) or 'none'}")
    if all(X is None for X in given.values()):
        raise ValueError(f"neither side ({_listed(given)}) holds a sample")
    return given


def _read(name: str, X: Any) -> _Read:
    if X is None:
        return _Read(None, None, None, False, np.zeros(0, dtype=bool))
    try:
        if isinstance(X, Side):  # of other pairs
            rows: Any = X.rows()
            modality: Modality = SERIES if isinstance(rows, Panel) else TABLE
        else:
            modality = _KINDS.get(name) or modality_of(X)
            rows = read_panel(X, dtype=torch.float64) if modality == SERIES else named_columns(X)
    except (TypeError, ValueError) as error:
        raise type(error)(f"the side {name!r}: {error}") from error
    if isinstance(rows, Panel):
        observed = (~torch.isnan(rows.batch.x)).flatten(1).any(dim=1).numpy()
    else:
        observed = rows.notna().any(axis=1).to_numpy()
    framed = isinstance(X, Side | pd.DataFrame | pd.Series) or hasattr(X, "to_pandas")
    names = rows.index if framed else None
    long = isinstance(X, pd.DataFrame | pd.Series) and isinstance(X.index, pd.MultiIndex)
    counted = names is not None and not long and says_nothing(names)
    if names is not None:
        _check_names(name, names)
    return _Read(modality, rows, names, counted, observed)


def _check_names(name: str, names: pd.Index) -> None:
    """Refuse samples without a name, and names that stand twice."""
    keys = list(map(_key, names.tolist()))
    if None in keys:
        raise ValueError(f"the side {name!r} has {keys.count(None)} sample(s) without a name (missing in its index)")
    times: Counter[Any] = Counter(keys)
    if len(times) < len(keys):
        shown = [one for one, key in zip(names.tolist(), keys, strict=True) if times[key] > 1]
        raise ValueError(f"the side {name!r} has more than one sample called {_listed(shown)}; a name is of one sample")


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


def _aligned(read: Mapping[str, _Read], index: Any) -> tuple[pd.Index, dict[str, Int64[np.ndarray, " n"]]]:
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
                    f"the side {name!r} has the samples {_listed(unknown)}, which are not in index; leave them out, or "
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


def _goes_by_name(name: str, one: _Read, held: Mapping[str, _Read], index: Any) -> bool:
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
        f"({_listed(others[0].tolist())}): set_index('column of the names'), or give an array (.to_numpy()) to pair "
        f"them by position"
    )


def _samples(held: Mapping[str, _Read], by_name: Mapping[str, _Read], index: Any) -> pd.Index:
    """Names of all samples, those of the first side first."""
    if index is not None:
        if isinstance(index, str) or not hasattr(index, "__len__"):
            raise ValueError(f"index must be the names of the samples, one each; got {index!r}")
        found = index if isinstance(index, pd.Index) else pd.Index(list(index))
        keys = list(map(_key, found.tolist()))
        times: Counter[Any] = Counter(keys)
        if None in times or len(times) < len(keys):
            twice = [name for name, key in zip(found.tolist(), keys, strict=True) if key is None or times[key] > 1]
            raise ValueError(f"index names {_listed(twice)} more than once, or has a missing name")
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


def _where_observed(one: _Read, place: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """The places of samples of which something was observed; -1 for the others."""
    seen = place >= 0
    seen[seen] = one.observed[place[seen]]
    found: np.ndarray = np.where(seen, place, -1).astype(np.int64)
    return found


def _completed(X: Mapping[Any, Any], names: tuple[str, str] | None) -> dict[str, Any]:
    """The sides of a mapping; one that is absent is None where the names are known."""
    given = {str(name): value for name, value in X.items()}
    if names is None:
        return given
    if not given or set(given) - set(names):
        raise ValueError(f"X has the sides {_listed(given) or 'none'}, at fit they were {_listed(names)}")
    return {name: given.get(name) for name in names}


def _joined(parts: Sequence[PairedData]) -> PairedData:
    """Parts of one set of pairs after one another; they share what was read."""
    first, *others = parts
    index = first.index.append([part.index for part in others]) if others else first.index
    sides = {}
    for name in first.names:
        own = [part.side(name) for part in parts]
        if any(side.data is not own[0].data for side in own):
            raise ValueError("X is a list of samples of several PairedData; join what they are made of, and pair it")
        sides[name] = dataclasses.replace(own[0], place=np.concatenate([side.place for side in own]), index=index)
    return first._with(sides, index)


def _listed(names: Any) -> str:
    shown = list(dict.fromkeys(names))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(map(repr, shown[:_SHOWN])) + more
