"""Noise on the values, as a poorer instrument adds it."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells
from kinview.evaluation.corruptions.shifts import Shift, through_augmentation
from kinview.parameters import check_positive

__all__ = ["Noise"]


@corruptions.register("noise", modality="any", reference="additive Gaussian noise; Um et al. 2017")
@dataclasses.dataclass(frozen=True)
class Noise(Shift):
    r"""Add Gaussian noise to every value, in proportion to the spread of its column in the training part.

    :math:`x' = x + \mathrm{rate} \cdot a\, s_j\, \epsilon` with :math:`\epsilon \sim N(0, 1)` for each value, a the
    amplitude and :math:`s_j` the standard deviation of column j in the training part: the augmentation ``jitter`` of
    standardised values.

    Parameters
    ----------
    rate : float
        Severity: with an amplitude of 1, the standard deviation of the noise in those of the column. 0 is the identity.
    amplitude : float, default 1
        Standard deviation of the noise at a rate of 1, in those of the column.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    One seed has one noise, which a higher severity makes larger. Gaps stay gaps, and columns that hold no numbers, or
    are constant in the training part, stay as they are. Whole numbers become real ones. The realised severity is the
    root mean square of the noise in standard deviations.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 2, 50)) * 10
    >>> X_noisy, changed = Noise(rate=0.5).apply(X, seed=0)
    >>> round(float((X_noisy - X).std()), 1), bool(changed.all())
    (5.0, True)
    """

    amplitude: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.amplitude, "amplitude")

    def shifted(self, cells: Cells, generator: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
        """Noisy values."""
        from kinview.augmentations.jitter import Jitter

        return through_augmentation(Jitter(sigma=self.rate * self.amplitude), cells, generator)
