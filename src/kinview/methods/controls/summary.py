"""Seven numbers a channel that every clinician reads off a chart: the baseline of clinical time series."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinview.methods import methods
from kinview.methods.controls.channel_statistics import ChannelStatistics, ChannelStatisticsEstimator
from kinview.parameters import parameterised

__all__ = ["Summary", "SummaryStatistics"]


class SummaryStatistics(ChannelStatistics):
    """Last value, mean, minimum, maximum, standard deviation, slope and count of each channel; see :class:`Summary`."""

    statistics: ClassVar[tuple[str, ...]] = ("last", "mean", "min", "max", "sd", "slope", "count")

    def measured(
        self, x: Float[Tensor, "n c t"], seen: Bool[Tensor, "n c t"], times: Float[Tensor, "n t"] | None
    ) -> list[Float[Tensor, "n c"]]:
        """The seven statistics."""
        count = seen.sum(dim=2).to(x.dtype)
        some, several = count > 0, count > 1
        mean = x.sum(dim=2) / count  # 0 / 0 is NaN: not defined
        step = torch.arange(x.shape[2], device=x.device)
        at = torch.where(seen, step, -1).amax(dim=2, keepdim=True).clamp_min(0)
        last = x.gather(2, at)[:, :, 0]
        low = x.masked_fill(~seen, torch.inf).amin(dim=2)
        high = x.masked_fill(~seen, -torch.inf).amax(dim=2)
        away = torch.where(seen, x - mean[:, :, None], 0.0)
        sd = (away.square().sum(dim=2) / (count - 1)).sqrt()
        clock = _clock(x, seen, times, count)
        spread = clock.square().sum(dim=2)
        slope = (clock * away).sum(dim=2) / spread
        defined = [(last, some), (mean, some), (low, some), (high, some), (sd, several), (slope, spread > 0)]
        return [torch.where(where, value, torch.nan) for value, where in defined] + [count]


def _clock(
    x: Float[Tensor, "n c t"], seen: Bool[Tensor, "n c t"], times: Float[Tensor, "n t"] | None, count: Tensor
) -> Float[Tensor, "n c t"]:
    """Time of each observation, less the mean time of the channel's observations; 0 where there is none."""
    if times is None:
        since = torch.arange(x.shape[2], dtype=x.dtype, device=x.device).expand(x.shape)
    else:
        start = torch.nan_to_num(times, nan=torch.inf).amin(dim=1, keepdim=True)
        since = (times - start).to(x.dtype)[:, None, :].expand(x.shape)
    since = torch.where(seen, since, 0.0)
    return torch.where(seen, since - (since.sum(dim=2) / count)[:, :, None], 0.0)


@methods.register(
    "summary",
    modality="time_series",
    reference="Harutyunyan et al., Scientific Data 2019 (features of its logistic regression)",
)
@parameterised
class Summary(ChannelStatisticsEstimator):
    r"""Last value, mean, minimum, maximum, standard deviation, slope and count of each channel.

    Over the m observed steps of a channel, with values :math:`x_i` at times :math:`t_i` (:math:`i = 1, \dots, m`):

    ===== ========================================================================== ==========================
    name  definition                                                                 unit
    ===== ========================================================================== ==========================
    last  :math:`x_m`, the latest observation                                        of the channel
    mean  :math:`\bar x = \frac1m \sum_i x_i`                                        of the channel
    min   :math:`\min_i x_i`                                                         of the channel
    max   :math:`\max_i x_i`                                                         of the channel
    sd    :math:`\sqrt{\sum_i (x_i - \bar x)^2 / (m - 1)}`                           of the channel
    slope :math:`\sum_i (t_i - \bar t)(x_i - \bar x) / \sum_i (t_i - \bar t)^2`      of the channel a unit of time
    count m                                                                          observations
    ===== ========================================================================== ==========================

    The unit of time is that of the stamps: a second for dates and durations, 1 for numbers, one period for periods, and
    one step where there are no stamps. The slope is that of the least-squares line. No gap is filled.

    Notes
    -----
    A channel without an observation has a count of 0 and no other number; one observation has neither sd nor slope.
    ``transform(missing="keep")`` gives NaN there, for probes that take it (XGBoost; a benchmark does so by itself).
    Otherwise the training mean of that number stands in; 0, where fewer than 5 training series have it, so that a model
    file says nothing of so few. A series without any observation has the training means and counts of 0, and not the
    zero vector of other methods, which would be a blood pressure of 0.

    *Defaults.* There is none to choose. The paper's features are those of its logistic regression.

    ======== ==================================================== ============= ====================================
    what     paper                                                official code kinview
    ======== ==================================================== ============= ====================================
    features min, max, mean, sd, skewness, count of 7 sub-periods –             seven statistics of the whole series
    slope    –                                                    –             in units of real time
    ======== ==================================================== ============= ====================================

    References
    ----------
    .. [1] Harutyunyan, H., et al. (2019). Multitask learning and benchmarking with clinical time series data.
       Scientific Data 6, 96.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import Summary
    >>> X = np.array([[[1.0, np.nan, 3.0, 5.0]], [[2.0, 2.0, np.nan, np.nan]]])
    >>> Summary().fit(X).transform(X).round(2)
       channel_0_last  channel_0_mean  ...  channel_0_slope  channel_0_count
    0             5.0             3.0  ...             1.29              3.0
    1             2.0             2.0  ...             0.00              2.0
    <BLANKLINE>
    [2 rows x 7 columns]
    """

    method_class: ClassVar[type[SummaryStatistics]] = SummaryStatistics

    def _reads_times(self) -> bool:
        """Its slopes are a unit of time."""
        return True

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Parameters for sktime's checks: it has none."""
        return [{}]
