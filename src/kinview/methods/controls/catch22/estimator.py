"""catch22 as a control."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.encoders.front_end import FillRule
from kinview.methods import methods
from kinview.methods.controls import fixed_features
from kinview.methods.controls.as_measured import AsMeasured, AsMeasuredEstimator
from kinview.methods.controls.catch22.features import NAMES, catch22, mean_and_std
from kinview.parameters import flag, parameterised

__all__ = ["Catch22", "Catch22Features"]

_STEPS_AT_ONCE = 2**18  # of all series: the working arrays of one feature then take some 30 MiB


def _names(catch24: bool) -> tuple[str, ...]:
    return (*NAMES, "mean", "std") if catch24 else NAMES


class Catch22Features(AsMeasured):
    """The 22 features of each channel, and with ``catch24`` its mean and standard deviation; see :class:`Catch22`."""

    def __init__(self, parameters: Any, sizes: Any) -> None:
        super().__init__(parameters, sizes)
        self.names = _names(parameters.catch24)

    @property
    def n_features(self) -> int:
        """22 or 24 numbers for each channel."""
        return int(self.sizes.channels) * len(self.names)

    def features(self, rows: Batch) -> Float[Tensor, "n f"]:
        """All features of the first channel, then those of the second, and so on."""
        x = rows.x.double().cpu().numpy()
        n, channels, _ = x.shape
        lengths = valid_lengths(rows.x, rows.times).clamp_min(1).cpu().numpy()
        made = np.empty((n, channels, len(self.names)))
        for length in np.unique(lengths):
            of_length = lengths == length
            series = np.nan_to_num(x[of_length, :, :length]).reshape(-1, length)  # (series · channels, length)
            made[of_length] = self._of_one_length(series).reshape(-1, channels, len(self.names))
        return torch.from_numpy(made).flatten(1).to(rows.x)  # (n, channels, names) -> (n, features)

    def _of_one_length(self, series: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n names"]:
        parts = np.array_split(series, max(1, series.size // _STEPS_AT_ONCE))
        made = np.concatenate([catch22(part) for part in parts if len(part)])
        return made if len(self.names) == len(NAMES) else np.concatenate([made, mean_and_std(series)], axis=1)


@methods.register(
    "catch22",
    modality="time_series",
    reference="Lubba et al., Data Mining and Knowledge Discovery 2019",
)
@parameterised
class Catch22(AsMeasuredEstimator):
    r"""catch22: 22 features that were found to tell series apart over 93 sets, of each channel.

    A channel is z-scored over its own length T (standard deviation by T - 1), so that the features know neither its
    level nor its spread. In their published order, z being the scored series and r its autocorrelation:

    =================== ==================================================================================== ===========
    name                what it is                                                                           unit
    =================== ==================================================================================== ===========
    mode_5, mode_10     centre of the fullest of 5, of 10 bins                                               sd
    outlier_timing_pos  median place of values above thresholds 0, 0.01, ..., from -1 (start) to 1 (end)     1
    outlier_timing_neg  the same of -z                                                                       1
    acf_timescale       lag at which r falls below 1/e, between lags by a line                               steps
    acf_first_min       first lag at which r has a minimum                                                   steps
    low_freq_power      power in the lowest fifth of the frequencies                                         1
    median_freq         frequency below which half of the power lies                                         rad a step
    forecast_error      sd of the error of a forecast by the mean of three values                            sd
    whiten_timescale    first zero of the autocorrelation of the differences, over that of z                 1
    high_fluctuation    fraction of steps by more than 0.04 sd                                               1
    stretch_high        longest run of values above the mean                                                 steps
    stretch_decreasing  longest run of steps that do not go up                                               steps
    entropy_pairs       entropy of pairs of neighbours, each one of three letters (terciles)                 nats
    ami2                mutual information of values two steps apart, in 5 bins                              nats
    trev                mean cube of the steps                                                               sd cubed
    ami_timescale       first minimum of a Gaussian mutual information over lags up to 40                    steps
    transition_variance sum of the variances of the columns of a transition matrix between terciles          1
    periodicity         lag of the first prominent peak of the autocovariance; 0 where there is none         steps
    embedding_dist      distance of the step lengths in a plane embedding from an exponential distribution   1 / sd
    rs_range            fraction of the time scales before scaling changes, of ranges in windows             1
    dfa                 the same of deviations around a line in windows                                      1
    =================== ==================================================================================== ===========

    Notes
    -----
    The definitions are those of catch22 1.0 (the calls of hctsa 3.0.0 that it names), and the numbers those of
    pycatch22 1.0.2 to nine digits, also where a feature cannot be computed: a constant channel and one without an
    observation have the values of an endlessly slow series, and ``dfa`` is 1 below 79 steps. They differ where a number
    is a tie between rounding errors, as ``whiten_timescale`` of a straight line is in every implementation. Versions of
    catch22 before 1.0 define most features otherwise.

    *Gaps* are filled before, within a channel's own length; *series of any length* need no change. Time stamps are
    read where gaps are filled alone: the features are of evenly spaced steps.

    *Speed.* All series of one length are computed at once, in about 1.5 times the time of the C library called in a
    loop (1,000 series of 150 steps, 200 of 1,000; one core).

    =========== ============= ====================== =========================================
    what        paper         official code          kinview
    =========== ============= ====================== =========================================
    definitions those of 2019 C library, version 1.0 version 1.0
    computation –             series by series       many series at once, equal to nine digits
    gaps        –             –                      filled before
    =========== ============= ====================== =========================================

    References
    ----------
    .. [1] Lubba, C. H., Sethi, S. S., Knaute, P., Schultz, S. R., Fulcher, B. D., Jones, N. S. (2019). catch22:
       CAnonical Time-series CHaracteristics. Data Mining and Knowledge Discovery 33, 1821-1852.
    .. [2] Fulcher, B. D., Jones, N. S. (2017). hctsa: a computational framework for automated time-series phenotyping
       using massive feature extraction. Cell Systems 5, 527-531.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import Catch22
    >>> X = np.sin(2 * np.pi * (np.arange(120.0) + 0.5) / 12).reshape(1, 1, 120)
    >>> made = Catch22().fit(X).transform(X)
    >>> made.shape, made.loc[0, "channel_0_periodicity"].item(), made.loc[0, "channel_0_stretch_high"].item()
    ((1, 22), 12.0, 6.0)
    """

    catch24: bool = flag(False, doc="Mean and standard deviation of each channel, in its unit, as well (catch24).")
    fill: FillRule = fixed_features.fill()

    repr_dim: ClassVar[None] = None
    method_class: ClassVar[type[Catch22Features]] = Catch22Features  # type: ignore[assignment]

    def _feature_names(self, number: int) -> list[str]:
        return [f"{channel}_{name}" for channel in self.channels_ for name in _names(self.catch24)]

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Parameters for sktime's checks."""
        return [{}, {"catch24": True}]
