"""Missing data in a subgroup: another corruption, applied to the samples of some groups alone."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.registry import to_config

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
        smaller, by the share of the groups, and is what :func:`realised_rate` says.
    where : object or sequence
        The group or groups that lose values. They are compared as text, so that ``1`` in a file is group ``"1"``.
    mechanism : str, mapping or Corruption
        The other corruption or its spec, ``{"mnar_high": {"steepness": 3}}``; its rate is that of the subgroup.
        Default: completely at random.

    Raises
    ------
    ValueError
        If a parameter is out of range, or no sample of the training part or of the one to corrupt has such a group.

    Notes
    -----
    The groups are those that a data set was loaded with (site, patient; ``groups=`` of :func:`corrupt`). What the
    mechanism learns (thresholds, donors of gaps) it learns from the whole training part, whichever groups it holds: a
    high value at one site is one that is high among all. A part without samples of these groups stays as it is.

    Examples
    --------
    >>> X, site = np.zeros((4, 1, 10)), ["A", "B", "B", "C"]
    >>> _, removed = Subgroup(rate=0.3, where="B").apply(X, seed=0, groups=site)
    >>> removed.sum(axis=(1, 2)).tolist()
    [0, 3, 3, 0]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"groups"})  # of an object: what its mechanism needs too

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
        if not self._wanted:
            raise ValueError("where names no group; give a group or a list of them")
        object.__setattr__(self, "needs", type(self).needs | self._built.needs)

    @property
    def _built(self) -> Corruption:
        part: Corruption = corruptions.build(self.mechanism, rate=self.rate)
        return part

    @property
    def _wanted(self) -> list[str]:
        return [str(one) for one in (self.where if isinstance(self.where, tuple) else (self.where,))]

    def fit(self, cells: Cells, generator: np.random.Generator) -> tuple[Any, list[str]]:
        """What the mechanism learns, and the groups of the training part."""
        return self._built.fit(cells, generator), sorted({str(one) for one in cells.groups})  # type: ignore[union-attr]

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        assert cells.groups is not None
        known, rows = cells.learned[1], self._rows(cells)
        if len(cells.groups) and not len(rows) and not set(self._wanted) & set(known):
            raise ValueError(
                f"no sample is of the group {', '.join(map(repr, self._wanted))}; the training part has "
                f"{', '.join(map(repr, known[:10]))}"
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
        assert cells.groups is not None
        return np.flatnonzero(np.isin([str(one) for one in cells.groups], self._wanted))


def _rows_of(cells: Cells, rows: Int64[np.ndarray, " some"]) -> Cells:
    """Some rows as a data set of their own, whose samples are counted from 0, with what the mechanism has learned."""
    per_row = ("observed", "sample", "step", "values", "times", "groups", "y")
    found = {name: getattr(cells, name)[rows] for name in per_row if getattr(cells, name) is not None}
    if "sample" in found:
        found["sample"] = np.unique(found["sample"], return_inverse=True)[1]
    return dataclasses.replace(cells, learned=cells.learned[0], **found)
