"""Samples that are known in two ways, such as a series and the row of a table, as one sequence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, overload

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int64

from kinview.data.alignment import says_nothing
from kinview.data.modality import SERIES, TABLE, Modality, modality_of
from kinview.data.panel import Panel, read_panel
from kinview.data.table import named_columns

__all__ = ["PairedData", "Side"]

_SHOWN = 5  # names of samples in a message
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
    """

    modality: Modality | None
    data: Panel | pd.DataFrame | None
    place: Int64[np.ndarray, " n"]

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
            return dataclasses.replace(self.data, batch=rows, index=self.data.index[places])
        frame: pd.DataFrame = self.data.iloc[places]
        return frame


class PairedData:
    """Samples with two sides: a series and a table, or two of either.

    A sequence of samples: ``len``, and access by an integer, a slice, an array of integers or a mask, which give a
    :class:`PairedData` again. scikit-learn's splitters, ``GridSearchCV`` and ``train_test_split`` take it as it is.

    Parameters
    ----------
    first, second : mapping, optional
        A mapping of the two sides by name, or both sides as two arguments, which are then called ``series`` and
        ``table``, or ``first`` and ``second`` where both are of one kind.
    index : sequence, optional
        Names of the samples, in the order that they are to have. Without it they are those of the first side, followed
        by those that the second one alone has.
    **sides : container
        The two sides by name: ``series=``, ``table=``, or other words (``vitals=``, ``laboratory=``). Series in any
        container of :func:`kinview.data.read_panel`; rows as a DataFrame or a 2-D array. None for a side that no sample
        has.

    Attributes
    ----------
    names : tuple of str
        Names of the two sides.
    index : Index
        Name of each sample; numbers from 0 where neither side names its samples.

    Raises
    ------
    ValueError
        If there are not two sides, they have no sample in common, a sample stands twice in a side, a side names samples
        that ``index`` lacks, or sides without names differ in length.

    Notes
    -----
    Sides whose index names the samples (a DataFrame's index; of series in long format the levels before the time) are
    aligned by these names, exactly: ``1`` and ``"1"`` are two names. A side without names goes by position. A sample
    that one side lacks is legal, as is one of which nothing was observed there; :attr:`present` says which, and the
    ``repr`` how many. Nothing is copied by access: all parts share what was read.

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

    def __init__(self, first: Any = None, second: Any = None, *, index: Any = None, **sides: Any) -> None:
        given = _named(first, second, sides)
        read = {name: _read(name, X) for name, X in given.items()}
        self.index = _index(read, index)
        self._sides = {
            name: Side(one.modality, one.data, _places(name, one, self.index, read)) for name, one in read.items()
        }
        one, other = self._sides.values()
        if len(self.index) and one.data is not None and other.data is not None:
            _check_common(read, one.place, other.place)

    @classmethod
    def of(cls, X: Any, names: tuple[str, str] | None = None) -> PairedData:
        """Pairs from what ``fit`` and ``transform`` take: pairs, a list of them, a mapping, or a tuple of both sides.

        Parameters
        ----------
        X : PairedData, sequence of PairedData, mapping or tuple
            What to read. A mapping may lack one side where ``names`` says what they are.
        names : tuple of str, optional
            Names that the sides have to have, in this order; those of a tuple.

        Raises
        ------
        ValueError
            For anything else, or sides with other names.
        """
        if isinstance(X, PairedData):
            found = X
        elif isinstance(X, Mapping):
            found = cls(**_completed(X, names))
        elif isinstance(X, tuple) and len(X) == 2 and not all(isinstance(one, PairedData) for one in X):
            found = cls(*X) if names is None else cls(**dict(zip(names, X, strict=True)))
        elif isinstance(X, list | tuple) and len(X) and all(isinstance(one, PairedData) for one in X):
            found = _joined(X)
        else:
            raise ValueError(
                f"X must be pairs: PairedData(series=..., table=...), a mapping {{'series': ..., 'table': ...}}, or a "
                f"tuple of both sides; got {type(X).__name__}"
            )
        if names is not None and found.names != names:
            if set(found.names) != set(names):
                raise ValueError(f"X has the sides {_listed(found.names)}, at fit they were {_listed(names)}")
            found = found._with({name: found._sides[name] for name in names}, found.index)
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
        return self._with({**self._sides, name: changed}, self.index)

    def __len__(self) -> int:
        return len(self.index)

    @overload
    def __getitem__(self, i: int) -> PairedData: ...

    @overload
    def __getitem__(self, i: slice) -> PairedData: ...

    @overload
    def __getitem__(self, i: Any) -> PairedData: ...

    def __getitem__(self, i: Any) -> PairedData:
        if isinstance(i, tuple) and len(i) == 2 and i[1] is Ellipsis:  # as scikit-learn asks for rows
            i = i[0]
        if isinstance(i, str) or np.ndim(i) > 1:
            raise TypeError(f"samples are taken by integers, slices and masks, and a side by .side(name); got {i!r}")
        if np.ndim(i) == 0 and not isinstance(i, slice):
            if not -len(self) <= int(i) < len(self):
                raise IndexError(f"there is no sample {i}; there are {len(self)}")
            i = [int(i)]
        if not isinstance(i, slice):
            i = np.asarray(i)
            i = i.astype(np.int64) if not i.size else i
            if i.dtype == bool and len(i) != len(self):
                raise IndexError(f"the mask says True or False of {len(i)} samples, there are {len(self)}")
        taken = {name: dataclasses.replace(side, place=side.place[i]) for name, side in self._sides.items()}
        return self._with(taken, self.index[i])

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
    if len(given) != 2:
        raise ValueError(f"a pair has two sides; got {_listed(given) or 'none'}")
    if all(X is None for X in given.values()):
        raise ValueError(f"neither side ({_listed(given)}) holds a sample")
    return given


def _read(name: str, X: Any) -> _Read:
    if X is None:
        return _Read(None, None, None, np.zeros(0, dtype=bool))
    try:
        if isinstance(X, Side):  # of other pairs
            rows: Any = X.rows()
            modality: Modality = SERIES if isinstance(rows, Panel) else TABLE
        else:
            modality = modality_of(X)
            rows = read_panel(X, dtype=torch.float64) if modality == SERIES else named_columns(X)
    except (TypeError, ValueError) as error:
        raise type(error)(f"the side {name!r}: {error}") from error
    if isinstance(rows, Panel):
        observed = (~torch.isnan(rows.batch.x)).flatten(1).any(dim=1).numpy()
    else:
        observed = rows.notna().any(axis=1).to_numpy()
    names = None if says_nothing(rows.index) else rows.index
    if names is not None and not names.is_unique:
        twice = names[names.duplicated()]
        raise ValueError(f"the side {name!r} has more than one sample called {_listed(twice)}; a name is of one sample")
    return _Read(modality, rows, names, observed)


def _index(read: Mapping[str, _Read], index: Any) -> pd.Index:
    """Names of all samples."""
    if index is not None:
        found = index if isinstance(index, pd.Index) else pd.Index(index)
        if not found.is_unique:
            raise ValueError(f"index names {_listed(found[found.duplicated()])} more than once")
        return found
    named = [one.names for one in read.values() if one.names is not None]
    if not named:
        return pd.RangeIndex(max(len(one.observed) for one in read.values()))
    first, *others = named
    for other in others:
        if first.nlevels != other.nlevels:
            raise ValueError(
                f"the samples of {' and '.join(read)} have names of {first.nlevels} and {other.nlevels} parts "
                f"({first[0]!r} and {other[0]!r}); give both sides the same ones"
            )
        first = first.append(other[~other.isin(first)])
    return first


def _places(name: str, one: _Read, index: pd.Index, read: Mapping[str, _Read]) -> Int64[np.ndarray, " n"]:
    """Where each sample stands in a side; -1 where it lacks it, or nothing was observed."""
    n = len(index)
    if one.data is None:
        return np.full(n, -1)
    if one.names is None:
        if len(one.observed) != n:
            raise ValueError(
                f"the side {name!r} has {len(one.observed)} samples without names, and there are {n}: give as many, or "
                f"name them (the index of a DataFrame) to align the sides by name"
            )
        place = np.arange(n)
    else:
        unknown = one.names[~one.names.isin(index)]
        if len(unknown):
            raise ValueError(
                f"the side {name!r} has the samples {_listed(unknown)}, which are not in index; leave them out, or "
                f"name them there"
            )
        place = one.names.get_indexer(index)
    return np.where((place >= 0) & one.observed[place], place, -1).astype(np.int64)


def _check_common(read: Mapping[str, _Read], one: Int64[np.ndarray, " n"], other: Int64[np.ndarray, " n"]) -> None:
    """Refuse sides that share no sample: names that are written in two ways look so."""
    if bool(((one >= 0) & (other >= 0)).any()):
        return
    first, second = read.values()
    if first.names is None or second.names is None or bool(first.names.isin(second.names).any()):
        return  # nothing was observed: that is how the data are
    shown = [f"{name} has {one.names[0]!r}" for name, one in read.items() if one.names is not None]
    raise ValueError(
        f"the two sides have no sample in common ({', '.join(shown)}); names are compared exactly, so that 1 and '1' "
        f"are two samples"
    )


def _completed(X: Mapping[Any, Any], names: tuple[str, str] | None) -> dict[str, Any]:
    """The sides of a mapping; one that is absent is None where the names are known."""
    given = {str(name): value for name, value in X.items()}
    if names is None or len(given) != 1 or set(given) - set(names):
        return given
    return {name: given.get(name) for name in names}


def _joined(parts: Sequence[PairedData]) -> PairedData:
    """Parts of one set of pairs after one another; they share what was read."""
    first, *others = parts
    sides = {}
    for name in first.names:
        own = [part.side(name) for part in parts]
        if any(side.data is not own[0].data for side in own):
            raise ValueError("X is a list of samples of several PairedData; join what they are made of, and pair it")
        sides[name] = dataclasses.replace(own[0], place=np.concatenate([side.place for side in own]))
    index = first.index.append([part.index for part in others]) if others else first.index
    return first._with(sides, index)


def _listed(names: Any) -> str:
    shown = list(dict.fromkeys(names))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(map(repr, shown[:_SHOWN])) + more
