"""Missing data in a subgroup: another corruption, applied to the samples of some groups alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

from kinview.data.modality import NOUNS, modality_of
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.registry import to_config

__all__ = ["Subgroup"]

_SHOWN = 10  # values in a message


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
        smaller, by the share of the groups, and is what :func:`realised_rate` says.
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
        If a parameter is out of range, no sample of the training part or of the one to corrupt has such a group, or
        there is no such static column.

    Notes
    -----
    Groups and static columns are those that a data set was loaded with (``group``, ``static``; ``groups=`` and
    ``static=`` of :func:`corrupt`). What the
    mechanism learns (thresholds, donors of gaps) it learns from the whole training part, whichever groups it holds: a
    high value at one site is one that is high among all. A part without samples of these groups stays as it is.

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
        if isinstance(self.mechanism, Corruption):  # from here on its spec, without the rate
            ((name, parameters),) = to_config(self.mechanism).items()
            parameters = {key: value for key, value in parameters.items() if key != "rate"}
            object.__setattr__(self, "mechanism", {name: parameters} if parameters else name)
        if isinstance(self.where, list):
            object.__setattr__(self, "where", tuple(self.where))
        columns = isinstance(self.where, Mapping)
        if (not self.where and self.where not in (0, False)) or (columns and not all(map(_texts, self.where.values()))):
            raise ValueError(
                "where names no group; give a group, a list of them, or static columns with their values: {'site': 'B'}"
            )
        object.__setattr__(self, "needs", frozenset({"static" if columns else "groups"}) | self._built.needs)

    @property
    def _built(self) -> Corruption:
        part: Corruption = corruptions.build(self.mechanism, rate=self.rate)
        return part

    def why_not(self, X: Any) -> str | None:
        """Why the mechanism cannot corrupt these samples."""
        modality = corruptions[next(iter(to_config(self._built)))].modality
        if modality not in ("any", modality_of(X)):
            return f"its mechanism is a corruption of {NOUNS[str(modality)]}"
        return self._built.why_not(X)

    def fit(self, cells: Cells, generator: np.random.Generator) -> tuple[Any, bool]:
        """What the mechanism learns, and whether the training part holds such samples."""
        return self._built.fit(cells, generator), bool(len(self._rows(cells)))

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        rows = self._rows(cells)
        if len(cells.observed) and not len(rows) and not cells.learned[1]:
            raise ValueError(
                f"no sample, here or in the training part, is one of where={self.where!r}; here are "
                f"{self._known(cells)}"
            )
        removed = np.zeros_like(cells.observed)
        if len(rows):
            removed[rows] = self._built.remove(_rows_of(cells, rows), generator)
        return removed

    def replacement(
        self, cells: Cells, removed: Bool[np.ndarray, "rows columns"]
    ) -> Float[np.ndarray, "rows columns"] | None:
        """What the mechanism puts where it removed values."""
        rows = self._rows(cells)
        values = self._built.replacement(_rows_of(cells, rows), removed[rows]) if len(rows) else None
        if values is None:
            return None
        everywhere = np.full(removed.shape, np.nan)
        everywhere[rows] = values
        return everywhere

    def _rows(self, cells: Cells) -> Int64[np.ndarray, " some"]:
        """Rows of the samples of these groups."""
        if not isinstance(self.where, Mapping):
            assert cells.groups is not None
            return np.flatnonzero(_among(cells.groups, self.where))
        assert cells.static is not None
        inside = np.ones(len(cells.static), dtype=bool)
        for column, values in self.where.items():
            if column not in cells.static.columns:
                known = ", ".join(map(str, cells.static.columns))
                raise ValueError(f"where names {column!r}, which is no static column of the data; there are: {known}")
            inside &= _among(cells.static[column].to_numpy(), values)
        return np.flatnonzero(inside)

    def _known(self, cells: Cells) -> str:
        """The groups, or the values of the static columns, that there are."""
        if not isinstance(self.where, Mapping):
            return _listed(cells.groups)
        return "; ".join(f"{column}: {_listed(cells.static[column])}" for column in self.where)  # type: ignore[index]


def _listed(values: Any) -> str:
    known = sorted({str(one) for one in values})
    return ", ".join(map(repr, known[:_SHOWN])) + (", ..." if len(known) > _SHOWN else "")


def _texts(values: Any) -> list[str]:
    """One value or several, as text."""
    return [str(one) for one in (values if isinstance(values, list | tuple) else (values,))]


def _among(column: Shaped[np.ndarray, " rows"], wanted: Any) -> Bool[np.ndarray, " rows"]:
    """Where a column has one of the values, compared as text; a whole number is the same with and without fraction."""
    known, codes = np.unique(np.array([str(one) for one in column.tolist()], dtype=np.str_), return_inverse=True)
    texts = {text for one in _texts(wanted) for text in (one, f"{one}.0")}
    return np.isin(codes, [code for code, text in enumerate(known.tolist()) if text in texts])


def _rows_of(cells: Cells, rows: Int64[np.ndarray, " some"]) -> Cells:
    """Some rows as a data set of their own, whose samples are counted from 0, with what the mechanism has learned."""
    per_row = ("observed", "sample", "step", "values", "times", "groups", "y")
    found = {name: getattr(cells, name)[rows] for name in per_row if getattr(cells, name) is not None}
    if cells.static is not None:
        found["static"] = cells.static.iloc[rows].reset_index(drop=True)
    if "sample" in found:
        found["sample"] = np.unique(found["sample"], return_inverse=True)[1]
    return dataclasses.replace(cells, learned=cells.learned[0], **found)
