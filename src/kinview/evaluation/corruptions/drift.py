"""A level that drifts away, as of a sensor that was not calibrated again."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells
from kinview.evaluation.corruptions.shifts import Shift, through_augmentation
from kinview.evaluation.corruptions.stretches import require_series
from kinview.parameters import check_bool, check_integer, check_positive

__all__ = ["SensorDrift"]


@corruptions.register("drift", modality="time_series", reference="tsaug, 2020")
@dataclasses.dataclass(frozen=True)
class SensorDrift(Shift):
    r"""Let the level of each channel of each series drift smoothly away from where it begins.

    :math:`x'_t = x_t + \mathrm{rate} \cdot a\, r\, d_t`, with r the range of the observed values of the channel in its
    series and d a smooth random curve that begins at 0 and has the largest distance 1 from it: the augmentation
    ``drift``.

    Parameters
    ----------
    rate : float
        Severity: with an amplitude of 1, the largest distance from the original as a fraction of the range of the
        channel. 0 is the identity.
    amplitude : float, default 1
        Largest distance at a rate of 1, as a fraction of that range.
    points : int, default 3
        Number of points between the two ends of a series where the curve may turn, at most 1,000 (tsaug).
    shared : bool, default False
        One curve for all channels of a series, instead of one for each (tsaug).

    Raises
    ------
    ValueError
        If a parameter is out of range, or the data are a table.

    Notes
    -----
    One seed has one curve for each channel, which a higher severity makes larger. The curve is one of steps, whatever
    their times. Gaps stay gaps, and a channel that is constant in its series or in the training part stays as it is.
    The realised severity is the root mean square of the drift, in standard deviations of the channel in the training
    part.

    Examples
    --------
    >>> X = np.sin(np.linspace(0, 20, 100))[None, None]
    >>> X_drifted, _ = SensorDrift(rate=0.5).apply(X, seed=0)
    >>> moved = np.abs(X_drifted - X)[0, 0]
    >>> float(moved[0]), round(float(moved.max() / np.ptp(X)), 3)
    (0.0, 0.5)
    """

    amplitude: float = 1.0
    points: int = 3
    shared: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.amplitude, "amplitude")
        check_integer(self.points, "points", at_least=0)
        check_bool(self.shared, "shared")

    def shifted(self, cells: Cells, generator: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
        """Values with their drift."""
        from kinview.augmentations.warps import Drift

        require_series(cells, "drift")
        view = Drift(max_drift=self.rate * self.amplitude, points=self.points, shared=self.shared)
        return through_augmentation(view, cells, generator)
