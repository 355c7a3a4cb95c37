"""The base of corruptions that change values and leave alone which of them are observed."""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from kinview.evaluation.corruptions.base import Cells, Change, Corruption, Counts
from kinview.evaluation.corruptions.scale import Scale

if TYPE_CHECKING:
    from kinview.augmentations.base import Augmentation

__all__ = ["Shift", "through_augmentation"]

_SEEDS = 2**63


@dataclasses.dataclass(frozen=True)
class Shift(Corruption):
    """A corruption that changes values: gaps stay gaps, and no value becomes one.

    A subclass says in :meth:`shifted` what the values become. Columns that hold no numbers (text, categories, booleans,
    dates), columns that are constant in the training part, and infinite values stay as they are. What is learned is the
    :class:`Scale` of the training part, unless :meth:`fit` learns more.

    Parameters
    ----------
    rate : float
        How strong the shift is, in [0, 1]; 0 is the identity. What it measures is said by the subclass.

    Examples
    --------
    A sensor that reads too high, by as much as a standard deviation of its channel in the training part:

    >>> class Offset(Shift):
    ...     def shifted(self, cells, generator):
    ...         return cells.values + self.rate * cells.learned.spread
    >>> X = np.array([[[-1.0, np.nan, 1.0]]])
    >>> found = Offset(rate=0.5).corrupted(X, seed=0)
    >>> found.X.tolist(), found.realised
    ([[[-0.5, nan, 1.5]]], 0.5)
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples", "values"})
    counts: ClassVar[Counts] = "severity"

    @abc.abstractmethod
    def shifted(self, cells: Cells, generator: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
        """Values after the shift; what must stay is put back afterwards. The draws must not depend on ``rate``."""

    def fit(self, cells: Cells, generator: np.random.Generator) -> Any:
        """The scale of the training part."""
        return Scale.of(cells)

    def scale(self, cells: Cells) -> Scale:
        """The scale of the training part, among what was learned."""
        found: Scale = cells.learned
        return found

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells change."""
        return self.change(cells, generator).removed

    def change(self, cells: Cells, generator: np.random.Generator) -> Change:
        """What the values become."""
        assert cells.values is not None
        with np.errstate(invalid="ignore", over="ignore"):  # of columns and values that stay
            values = self.shifted(cells, generator)
        lost = int((self.may_change(cells) & np.isnan(values)).sum())
        if lost:
            raise ValueError(
                f"{type(self).__name__}.shifted returned NaN for {lost:,} values, and a shift removes none; return a "
                "number for each, or derive the corruption from Corruption"
            )
        changed = self.may_change(cells) & np.isfinite(values) & (values != cells.values)
        return Change(changed, np.where(changed, values, cells.values))

    def may_change(self, cells: Cells) -> Bool[np.ndarray, "rows columns"]:
        """Finite values in columns of numbers that are not constant in the training part."""
        assert cells.values is not None and cells.numbers is not None
        return np.asarray(np.isfinite(cells.values) & cells.numbers & np.isfinite(self.scale(cells).spread))

    def realised(self, cells: Cells, change: Change) -> float:
        """Root mean square of the changes, in standard deviations of the columns in the training part."""
        assert cells.values is not None and change.values is not None
        counted = self.may_change(cells)
        if not counted.any():
            return 0.0
        spread = np.broadcast_to(self.scale(cells).spread, counted.shape)[counted]
        return float(np.sqrt(np.mean(((change.values[counted] - cells.values[counted]) / spread) ** 2)))


def through_augmentation(
    augmentation: Augmentation, cells: Cells, generator: np.random.Generator
) -> Float[np.ndarray, "rows columns"]:
    """Values as a view that keeps their places has them, standardised by the training part on the way.

    Series end with their last observed step, so that the draws do not depend on how far an array is padded; a row of a
    table is a series of one step. The view is drawn in float64, with a seed from the generator.
    """
    import torch

    assert cells.values is not None and cells.sample is not None and cells.step is not None
    scale: Scale = cells.learned
    seed = int(generator.integers(_SEEDS))
    seen = cells.observed.any(axis=1)
    if not seen.any():
        return cells.values
    sample, step = cells.sample[seen], cells.step[seen]
    series = np.full((int(cells.sample.max()) + 1, cells.observed.shape[1], int(step.max()) + 1), np.nan)
    series[sample, :, step] = scale.standardised(cells.values[seen])  # (n, channels, time)
    view = augmentation(torch.from_numpy(series), torch.Generator().manual_seed(seed)).numpy()
    values = cells.values.copy()
    moved = view[sample, :, step] - series[sample, :, step]
    values[seen] += moved * np.where(np.isfinite(scale.spread), scale.spread, 0.0)
    return values
