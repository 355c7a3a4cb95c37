"""Missing data in a subgroup: another corruption, applied to the samples of some groups alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64, Shaped

from kinview.data.modality import NOUNS, modality_of
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Change, Corrupted, Corruption, Learned
from kinview.evaluation.corruptions.cells import read_cells
from kinview.evaluation.corruptions.mechanism import built_mechanism, mechanism_modality, mechanism_spec
from kinview.evaluation.validation import text_of

__all__ = ["Subgroup"]


@corruptions.register(
    "subgroup", modality="any", reference="differential missingness", parts={"mechanism": "corruptions"}
)
@dataclasses.dataclass(frozen=True)
class Subgroup(Corruption):
    """Remove values from the samples of some groups alone, by any other corruption.

    Parameters
    ----------
    rate : float
        Fraction of what the mechanism counts (values, steps, channels) in these samples. That of the whole data set is
        smaller, by the fraction that these samples are, and is what :func:`realised_rate` says.
    where : object, sequence or mapping
        The group or groups that lose values; or static columns with the value or values that they have in the samples
        that do, all of them: ``{"site": "B", "sex": ["f"]}``. Both are compared as text, so that ``1`` in a file is
        group ``"1"``.
    mechanism : str, mapping or Corruption
        The other corruption or its spec, ``{"mnar_high": {"steepness": 3}}``; its rate is that of the subgroup.
        Default: completely at random.

    Raises
    ------
    ValueError
        If a parameter is out of range, no sample has such a group (of a test part that goes by what was learned from a
        training part: none need have one), there is no such static column, or a number is asked for of codes with
        leading zeros.

    Notes
    -----
    Groups and static columns are those that a data set was loaded with (``group``, ``static``; ``groups=`` and
    ``static=`` of :func:`corrupt`). What the mechanism learns (thresholds, donors of gaps) it learns from the whole
    training part, whichever groups it holds: a high value at one site is one that is high among all. A part without
    samples of these groups stays as it is.

    Examples
    --------
    >>> X, site = np.zeros((4, 1, 10)), ["A", "B", "B", "C"]
    >>> _, removed = Subgroup(rate=0.3, where="B").apply(X, seed=0, groups=site)
    >>> removed.sum(axis=(1, 2)).tolist()
    [0, 3, 3, 0]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"groups"})  # of an object: what its `where` and its mechanism need

    where: Any
    mechanism: Any = "mcar"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "mechanism", mechanism_spec(self.mechanism))
        if isinstance(self.where, list):
            object.__setattr__(self, "where", tuple(self.where))
        columns = isinstance(self.where, Mapping)
        named = list(self.where.values()) if columns else [self.where]
        if not named or not all(one not in (None, "") and _several(one) for one in named):
            raise ValueError(
                "where names no group; give a group, a list of them, or static columns with their values: {'site': 'B'}"
            )
        object.__setattr__(self, "needs", frozenset({"static" if columns else "groups"}) | self._built.needs)

    @property
    def _built(self) -> Corruption:
        return built_mechanism(self.mechanism, self.rate)

    @property
    def static_columns(self) -> tuple[str, ...]:
        """Static columns that ``where`` names, and those that its mechanism goes by."""
        named = map(str, self.where) if isinstance(self.where, Mapping) else ()
        return (*named, *self._built.static_columns)

    def why_not(self, X: Any, *, groups: Any = None, static: Any = None) -> str | None:
        """Why the mechanism cannot corrupt these samples, or that none of them is of the groups."""
        modality = mechanism_modality(self._built)
        if modality not in ("any", modality_of(X)):
            return f"its mechanism is a corruption of {NOUNS[modality]}"
        needed = {name: given for name, given in (("groups", groups), ("static", static)) if name in self.needs}
        if any(given is None for given in needed.values()):
            return self._built.why_not(X, groups=groups, static=static)  # reading the cells says what is not given
        cells = read_cells(X, frozenset(needed), type(self).__name__, **needed)
        for values, wanted in self._columns(cells):
            if problem := _problem(values, wanted):
                return problem
        if len(cells.observed) and not len(self._rows(cells)):
            return "no sample is one of those that `where` names; codes such as '01' stand in quotes"
        return self._built.why_not(X, groups=groups, static=static)

    def corrupted(
        self,
        X: Any,
        seed: int | Sequence[int],
        *,
        times: Any = None,
        groups: Any = None,
        y: Any = None,
        static: Any = None,
        learned: Learned | None = None,
    ) -> Corrupted:
        """Corrupted values with the severity that came out; parameters and errors as :func:`corrupt`."""
        if learned is None and (problem := self.why_not(X, groups=groups, static=static)):
            raise ValueError(f"subgroup(where={self.where!r}) cannot be applied: {problem}")
        return super().corrupted(X, seed, times=times, groups=groups, y=y, static=static, learned=learned)

    def fit(self, cells: Cells, generator: np.random.Generator) -> Any:
        """What the mechanism learns of the whole training part."""
        return self._built.fit(cells, generator)

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        return self.change(cells, generator).removed

    def change(self, cells: Cells, generator: np.random.Generator) -> Change:
        """What the mechanism does to the cells of these samples."""
        rows = self._rows(cells)
        removed = np.zeros_like(cells.observed)
        if not len(rows):
            return Change(removed)
        inside = self._built.change(_rows_of(cells, rows), generator)
        removed[rows] = inside.removed
        values, moves = inside.values, inside.moves
        if values is not None:
            everywhere = np.full(removed.shape, np.nan)
            everywhere[rows], values = values, everywhere
        if moves is not None:
            moved = np.zeros(len(removed))
            moved[rows], moves = moves, moved
        return Change(removed, values, moves)

    def realised(self, cells: Cells, change: Change) -> float:
        """As the mechanism has it, over all samples."""
        return self._built.realised(cells, change)

    def _rows(self, cells: Cells) -> Int64[np.ndarray, " some"]:
        """Rows of the samples of these groups."""
        inside = np.ones(len(cells.observed), dtype=bool)
        for values, wanted in self._columns(cells):
            inside &= _among(values, wanted)
        return np.flatnonzero(inside)

    def _columns(self, cells: Cells) -> list[tuple[Shaped[np.ndarray, " rows"], Any]]:
        """The groups, or the static columns that are named, each with the values that are wanted."""
        if not isinstance(self.where, Mapping):
            assert cells.groups is not None
            return [(cells.groups, self.where)]
        assert cells.static is not None
        absent = [column for column in self.where if column not in cells.static.columns]
        if absent:
            known = ", ".join(map(str, cells.static.columns))
            raise ValueError(f"where names {absent[0]!r}, which is no static column of the data; there are: {known}")
        return [(cells.static[column].to_numpy(), wanted) for column, wanted in self.where.items()]


def _several(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values]


def _among(values: Shaped[np.ndarray, " rows"], wanted: Any) -> Bool[np.ndarray, " rows"]:
    """Where a value is one of those wanted, as text; true and false are 1 and 0 too, which a gap makes of booleans."""
    texts = {text_of(one) for one in _several(wanted)}
    texts |= {str(int(one)) for one in _several(wanted) if isinstance(one, bool)}
    codes, distinct = pd.factorize(values)
    matches = np.array([text_of(one) in texts for one in distinct.tolist()] + [False])
    return matches[codes]  # a missing value has the code -1


def _problem(values: Shaped[np.ndarray, " rows"], wanted: Any) -> str | None:
    """That a number is asked for of codes one of which reads like it: YAML makes the number 1 of 01 without quotes."""
    numbers = [one for one in _several(wanted) if isinstance(one, int) and not isinstance(one, bool)]
    codes = {one for one in values.tolist() if isinstance(one, str)}
    padded = [code for code in codes if code.startswith("0") and code != "0" and code.isascii() and code.isdigit()]
    readings = {int(code, base) for code in padded for base in (8, 10) if base == 10 or not set(code) & set("89")}
    if readings.isdisjoint(numbers):
        return None
    return "`where` gives a number, and there are codes with leading zeros: write '01' or '1' in quotes"


def _rows_of(cells: Cells, rows: Int64[np.ndarray, " some"]) -> Cells:
    """Some rows as a data set of their own, whose samples are counted from 0, with what the mechanism has learned."""
    per_row = ("observed", "sample", "step", "values", "times", "groups", "y")
    found = {name: getattr(cells, name)[rows] for name in per_row if getattr(cells, name) is not None}
    if cells.static is not None:
        found["static"] = cells.static.iloc[rows].reset_index(drop=True)
    if "sample" in found:
        found["sample"] = np.unique(found["sample"], return_inverse=True)[1]
    return dataclasses.replace(cells, **found)
