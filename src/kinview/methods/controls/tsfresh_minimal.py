"""The ten features of tsfresh's smallest set."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinview.methods import methods
from kinview.methods.controls.channel_statistics import ChannelStatistics, ChannelStatisticsEstimator
from kinview.parameters import parameterised

__all__ = ["MinimalStatistics", "TSFreshMinimal"]


class MinimalStatistics(ChannelStatistics):
    """The features of tsfresh's ``MinimalFCParameters``, over observed steps; see :class:`TSFreshMinimal`."""

    statistics: ClassVar[tuple[str, ...]] = (
        "sum_values", "median", "mean", "length", "standard_deviation", "variance", "root_mean_square", "maximum",
        "absolute_maximum", "minimum",
    )  # fmt: skip

    def measured(
        self, x: Float[Tensor, "n c t"], seen: Bool[Tensor, "n c t"], times: Float[Tensor, "n t"] | None
    ) -> list[Float[Tensor, "n c"]]:
        """The ten features."""
        length = seen.sum(dim=2).to(x.dtype)
        total = x.sum(dim=2)
        mean = total / length  # 0 / 0 is NaN: not defined
        variance = torch.where(seen, x - mean[:, :, None], 0.0).square().sum(dim=2) / length
        power = x.square().sum(dim=2) / length
        high = x.masked_fill(~seen, -torch.inf).amax(dim=2)
        low = x.masked_fill(~seen, torch.inf).amin(dim=2)
        extremes = [torch.where(length > 0, value, torch.nan) for value in (high, x.abs().amax(dim=2), low)]
        return [total, _median(x, seen), mean, length, variance.sqrt(), variance, power.sqrt(), *extremes]


def _median(x: Float[Tensor, "n c t"], seen: Bool[Tensor, "n c t"]) -> Float[Tensor, "n c"]:
    """Median of the observed steps, the mean of both middle ones; NaN where there is none."""
    ordered = x.masked_fill(~seen, torch.inf).sort(dim=2).values
    count = seen.sum(dim=2, keepdim=True)
    below, above = (
        ordered.gather(2, middle.clamp_min(0)) for middle in ((count - 1) // 2, count // 2 - (count == 0).long())
    )
    return torch.where(count > 0, (below + above) / 2, torch.nan)[:, :, 0]


@methods.register(
    "tsfresh_minimal",
    modality="time_series",
    reference="Christ et al., Neurocomputing 2018 (MinimalFCParameters)",
)
@parameterised
class TSFreshMinimal(ChannelStatisticsEstimator):
    r"""The ten features of tsfresh's smallest set, of each channel.

    Over the m observed values :math:`x_1, \dots, x_m` of a channel, in tsfresh's order:

    ================== ======================================================== =========================
    name               definition                                               unit
    ================== ======================================================== =========================
    sum_values         :math:`\sum_i x_i`                                       of the channel
    median             the middle value; the mean of both middle ones           of the channel
    mean               :math:`\bar x = \frac1m \sum_i x_i`                      of the channel
    length             m                                                        observations
    standard_deviation :math:`\sqrt{\frac1m \sum_i (x_i - \bar x)^2}`           of the channel
    variance           :math:`\frac1m \sum_i (x_i - \bar x)^2`                  of the channel, squared
    root_mean_square   :math:`\sqrt{\frac1m \sum_i x_i^2}`                      of the channel
    maximum            :math:`\max_i x_i`                                       of the channel
    absolute_maximum   :math:`\max_i |x_i|`                                     of the channel
    minimum            :math:`\min_i x_i`                                       of the channel
    ================== ======================================================== =========================

    Notes
    -----
    A gap is left out of every feature, and ``length`` counts what was observed. A channel without an observation has a
    sum and a length of 0 and no other feature. For these the training mean stands in, or 0 where fewer than 5 training
    series have one; ``transform(missing="keep")`` gives NaN, for probes that take it.

    ======== ======================= ============= =========================
    what     paper                   official code kinview
    ======== ======================= ============= =========================
    features ``MinimalFCParameters`` the same      the same
    gaps     –                       refused       left out of every feature
    ======== ======================= ============= =========================

    References
    ----------
    .. [1] Christ, M., Braun, N., Neuffer, J., Kempa-Liehr, A. W. (2018). Time series feature extraction on basis of
       scalable hypothesis tests (tsfresh, a Python package). Neurocomputing 307, 72-77.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import TSFreshMinimal
    >>> X = np.array([[[1.0, np.nan, 3.0, -5.0]]])
    >>> [round(value, 2) for value in TSFreshMinimal().fit(X).transform(X).iloc[0].tolist()]
    [-1.0, 1.0, -0.33, 3.0, 3.4, 11.56, 3.42, 3.0, 5.0, -5.0]
    """

    method_class: ClassVar[type[MinimalStatistics]] = MinimalStatistics

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Parameters for sktime's checks: it has none."""
        return [{}]
