"""MiniRocket: fractions of steps at which dilated convolutions exceed a threshold (Dempster et al., KDD 2021)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.encoders.front_end import FillRule
from kinview.methods import methods
from kinview.methods.controls.fixed_features import FixedFeatureEstimator, FixedFeatures, fill, repr_dim
from kinview.methods.controls.rocket.kernels import KERNELS, channel_subsets, dilations_for
from kinview.methods.controls.rocket.pools import Pooling, pooled_features
from kinview.methods.controls.rocket.thresholds import (
    ThresholdsName,
    learned_thresholds,
    published_rows,
    thresholds,
)
from kinview.methods.estimators import shared_parameters as shared
from kinview.parameters import parameterised, whole
from kinview.training.method import Sizes

__all__ = ["DilatedKernels", "MiniRocket", "MiniRocketFeatures", "dilations", "scaling"]


def scaling() -> Any:
    """What is learned of the values before they are convolved."""
    return shared.scaling(" (the official code: not at all; archive sets are standardised)")


def dilations() -> Any:
    """Dilations of a kernel."""
    return whole(32, low=1, doc="Most dilations of one kernel (paper).")


class DilatedKernels(torch.nn.Module):
    """The 84 kernels at the dilations of one length, with thresholds and channels that training rows determine.

    Parameters
    ----------
    sizes : Sizes
        Channels, and the steps of the longest training series.
    features : int
        Thresholds over all kernels and dilations.
    most : int
        Dilations of a kernel.
    how : {"pooled", "published"}
        As of :func:`~kinview.methods.controls.rocket.thresholds.learned_thresholds`.
    pooling : Pooling
        What is kept of each threshold.
    """

    thresholds: Tensor
    subsets: Tensor | None

    def __init__(
        self,
        sizes: Sizes,
        features: int,
        most: int,
        how: ThresholdsName,
        pooling: Pooling = Pooling(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.dilations, self.how, self.pooling = dilations_for(sizes.length, features, most), how, pooling
        number = len(KERNELS) * sum(dilation.thresholds for dilation in self.dilations)
        self.n_features = number * pooling.number
        self.register_buffer("thresholds", torch.zeros(number))
        of_kernel = torch.ones(len(KERNELS) * len(self.dilations), sizes.channels, dtype=torch.bool)
        self.register_buffer("subsets", of_kernel if sizes.channels > 1 else None)

    def learn(self, x: Float[Tensor, "n c t"], lengths: Tensor, generator: torch.Generator) -> None:
        """Draw channels and thresholds."""
        if self.subsets is not None:
            combinations, channels = self.subsets.shape
            self.subsets.copy_(channel_subsets(combinations, channels, generator))
        found = learned_thresholds(x, lengths, self.dilations, self.subsets, self.how, generator)
        self.thresholds.copy_(found)

    def forward(self, x: Float[Tensor, "n c t"], lengths: Tensor) -> Float[Tensor, "n f"]:
        """Pools of all thresholds."""
        return pooled_features(x, lengths, self.dilations, self.thresholds, self.subsets, self.pooling)


class MiniRocketFeatures(FixedFeatures):
    """See :class:`MiniRocket`, whose parameters these are."""

    def __init__(self, parameters: MiniRocket, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.kernels = DilatedKernels(sizes, parameters.features, parameters.dilations, parameters.thresholds)
        self.reserve_components(parameters.repr_dim)

    @property
    def n_features(self) -> int:
        """One a threshold."""
        return self.kernels.n_features

    def learn(self, rows: Batch, generator: torch.Generator) -> None:
        """Draw channels and thresholds."""
        self.kernels.learn(rows.x, valid_lengths(rows.x, rows.times), generator)

    def features(self, rows: Batch) -> Float[Tensor, "n f"]:
        """Fractions of steps above each threshold."""
        found: Tensor = self.kernels(rows.x, valid_lengths(rows.x, rows.times))
        return found

    def row_statistics(self) -> str | None:
        """Published thresholds are quantiles of one row each."""
        return published_rows(self.kernels.how) or super().row_statistics()


@methods.register("minirocket", modality="time_series", reference="Dempster et al., KDD 2021")
@parameterised
class MiniRocket(FixedFeatureEstimator):
    r"""MiniRocket: 84 fixed kernels, dilated, and for each the fraction of steps above each of some thresholds.

    For a kernel of nine taps, three of weight 2 and six of weight −1, dilated by d, :math:`C(t) = \sum_{s=0}^{8} w_s\,
    x_{t + (s - 4) d}` with 0 beyond the ends; a feature is :math:`\frac{1}{|S|} |\{t \in S : C(t) > b\}|`. S is every
    step, or those at which the kernel fits inside the series; the two alternate over kernels and dilations. Dilations
    are spread evenly on a logarithmic scale up to (T − 1) / 8, thresholds b are quantiles of C on training rows. Series
    of several channels are summed over a random subset of at most nine for each kernel and dilation (official code).
    Features are fractions, not standardised: a linear head should standardise them, as the published pipeline does.

    Notes
    -----
    *Unequal lengths.* Dilations follow the longest training series, and every series is pooled over its own
    steps; where a kernel fits nowhere inside a shorter one, over all of them. (Official code for unequal lengths:
    always over all steps.)

    *Short series.* Kernels need nine steps; shorter series count as if zeros followed. (Official code: refused.)

    *Deviations.* Gaps are filled first, and thresholds are means over five training rows by default; with
    ``thresholds="published"``, ``scaling=None`` and complete series, all is as published but for the random draws.

    *Speed and memory.* The sums that kernels share are made once, comparisons are counted byte by byte, and rows are
    taken in chunks; NumPy alone, on the CPU, in as many threads as torch has. The bits do not depend on their number.

    ============== ========================= ====================== ================================================
    what           paper                     official code          kinview
    ============== ========================= ====================== ================================================
    thresholds     quantiles of one training the same               mean of these over 5 rows (``thresholds``)
                   row's convolution
    scaling        none: archive sets are    the same               each channel over the training set (``scaling``)
                   standardised
    gaps           none                      none                   filled (``fill``)
    channels       one                       random subsets of at   the same
                                             most 9
    unequal length –                         zeros beyond the ends  kernels without padding pool where they fit
    under 9 steps  –                         refused                as if zeros followed
    ============== ========================= ====================== ================================================

    References
    ----------
    .. [1] Dempster, Schmidt, Webb: MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
       Classification, KDD 2021, arXiv 2012.08791. Code: github.com/angus924/minirocket.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import MiniRocket
    >>> X = np.sin(np.arange(300.0)).reshape(10, 1, 30)
    >>> MiniRocket(random_state=0).fit(X).transform(X).shape
    (10, 9996)
    """

    features: int = whole(10_000, low=84, doc="Features; rounded down to a multiple of 84 (paper).")
    dilations: int = dilations()
    thresholds: ThresholdsName = thresholds()
    fill: FillRule = fill()
    repr_dim: int | None = repr_dim()
    scaling: Any = scaling()
    random_state: Any = shared.random_state(
        "Seed of the training rows that thresholds are taken from, and of the channels."
    )

    method_class: ClassVar[type[FixedFeatures]] = MiniRocketFeatures

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Few features, for sktime's checks."""
        return [
            {"features": 168, "random_state": 0},
            {"features": 84, "fill": "zero", "scaling": None, "random_state": 0},
        ]
