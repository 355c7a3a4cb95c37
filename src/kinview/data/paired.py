"""Samples that are known in two ways, such as a series and the row of a table, as one sequence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from kinview.data.alignment import in_order_of
from kinview.data.modality import SERIES
from kinview.data.paired_alignment import GivenSide, aligned, listed
from kinview.data.paired_sides import Side, named_sides, read_side

__all__ = ["PairedData", "Side"]


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
        given = named_sides(first, second, sides)
        read = {name: read_side(name, X) for name, X in given.items()}
        self.index, places = aligned(read, index)
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
                raise ValueError(f"{name} has the sides {listed(found.names)}, at fit they were {listed(names)}")
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
            raise ValueError(f"there is no side {name!r}; there are {listed(self.names)}")
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


def _where_observed(one: GivenSide, place: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
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
        raise ValueError(f"X has the sides {listed(given) or 'none'}, at fit they were {listed(names)}")
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
