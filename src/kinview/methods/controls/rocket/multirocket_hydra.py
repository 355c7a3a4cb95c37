"""MultiRocket and Hydra side by side, scaled: one representation of series without any training."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.encoders.front_end import FillRule
from kinview.methods import methods
from kinview.methods.controls.fixed_features import FixedFeatureEstimator, FixedFeatures, fill, repr_dim
from kinview.methods.controls.rocket.hydra import CompetingKernels, group_kernels, groups
from kinview.methods.controls.rocket.minirocket import dilations, scaling
from kinview.methods.controls.rocket.multirocket import FourPools, definition
from kinview.methods.controls.rocket.pools import DefinitionName
from kinview.methods.controls.rocket.thresholds import ThresholdsName, published_rows, thresholds
from kinview.methods.estimators import shared_parameters as shared
from kinview.parameters import parameterised, whole
from kinview.training.method import Sizes

__all__ = ["FeatureScaler", "MultiRocketHydra", "MultiRocketHydraFeatures"]

_SMALL = 1e-8  # official code


class FeatureScaler(nn.Module):
    r"""Standardisation of features, learned in chunks of rows.

    Dense: :math:`(f - m) / s`, with s = 1 for a constant feature. Sparse, for the sums and counts of Hydra: :math:`h =
    \sqrt{\max(f, 0)}`, and :math:`[h \ne 0]\,(h - m) / (s + z^4 + 10^{-8})` with z the fraction of training rows at
    which h is 0; s is taken by n − 1 (official code).

    Parameters
    ----------
    features : int
        Number of features.
    sparse : bool
        Which of both.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int, *, sparse: bool) -> None:
        super().__init__()
        self.sparse = sparse
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self._seen: list[tuple[int, Tensor, Tensor, Tensor]] = []

    def see(self, features: Float[Tensor, "n f"]) -> None:
        """Take a chunk of training rows into account."""
        wide = self._root(features).double()
        mean = wide.mean(dim=0)
        self._seen.append((len(wide), mean, (wide - mean).square().sum(dim=0), (wide == 0).sum(dim=0).double()))
        while len(self._seen) > 1:  # join the last two, so that memory does not grow with the rows
            (n, mean, squares, zeros), (m, other, further, more) = self._seen.pop(-2), self._seen.pop(-1)
            gap, total = other - mean, n + m
            squares = squares + further + gap.square() * (n * m / total)
            self._seen.append((total, mean + gap * (m / total), squares, zeros + more))

    def settle(self) -> None:
        """Learn from the rows that were seen."""
        ((n, mean, squares, zeros),) = self._seen
        self._seen = []
        std = (squares / max(1, n - 1 if self.sparse else n)).sqrt()
        self.mean.copy_(mean)
        if self.sparse:
            self.scale.copy_(std + (zeros / n) ** 4 + _SMALL)
        else:  # what a constant feature varies by is rounding
            self.scale.copy_(torch.where(std > 1e-6 * (1 + mean.abs()), std, 1.0))

    def forward(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        """Scaled features; in place of what it is given where that is possible."""
        if not self.sparse:
            return features.sub_(self.mean).div_(self.scale)
        h = self._root(features)
        return torch.where(h != 0, (h - self.mean) / self.scale, 0.0)

    def _root(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        return features.clamp_min(0).sqrt() if self.sparse else features


class MultiRocketHydraFeatures(FixedFeatures):
    """See :class:`MultiRocketHydra`, whose parameters these are."""

    def __init__(self, parameters: MultiRocketHydra, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.how = parameters.thresholds
        self.pools = FourPools(parameters, sizes)
        self.competing = CompetingKernels(parameters, sizes)
        self.pools_scaler = FeatureScaler(self.pools.n_features, sparse=False)
        self.competing_scaler = FeatureScaler(self.competing.n_features, sparse=True)
        self.reserve_components(parameters.repr_dim)

    @property
    def n_features(self) -> int:
        """Those of both."""
        return int(self.pools.n_features + self.competing.n_features)

    def learn(self, rows: Batch, generator: torch.Generator) -> None:
        """Draw channels, thresholds and kernels, and learn the scales of the features."""
        self.pools.learn(rows, generator)
        self.competing.learn(rows.x.shape[1], generator)
        for part in torch.split(torch.arange(len(rows)), self.rows_a_chunk(*rows.x.shape[1:])):
            chunk = rows.rows(part)
            self.pools_scaler.see(self.pools(chunk))
            self.competing_scaler.see(self.competing(chunk))
        self.pools_scaler.settle()
        self.competing_scaler.settle()

    def features(self, rows: Batch) -> Float[Tensor, "n f"]:
        """Scaled pools, then scaled sums and counts."""
        return torch.cat([self.pools_scaler(self.pools(rows)), self.competing_scaler(self.competing(rows))], dim=1)

    def row_statistics(self) -> str | None:
        """Published thresholds are quantiles of one row each."""
        return published_rows(self.how) or super().row_statistics()


@methods.register(
    "multirocket_hydra", modality="time_series", reference="Dempster et al., Data Mining and Knowledge Discovery 2023"
)
@parameterised
class MultiRocketHydra(FixedFeatureEstimator):
    r"""MultiRocket and Hydra side by side: a representation of series that needs no labels and no training.

    The features of :class:`MultiRocket`, standardised, then those of :class:`Hydra` by their own scaling: :math:`h =
    \sqrt{\max(f, 0)}` becomes :math:`[h \ne 0]\,(h - m) / (s + z^4 + 10^{-8})`, where m and s are the mean and the
    standard deviation over training rows and z is the fraction of those at which h is 0. With ``repr_dim=D`` the first
    D directions of these are kept, for probes that need few columns.

    Notes
    -----
    Gaps, unequal lengths, short series, several channels and ``definition``: as :class:`MultiRocket` and
    :class:`Hydra`.

    ======= ======================================================= ============= ==================================
    what    paper                                                   official code kinview
    ======= ======================================================= ============= ==================================
    scaling of Hydra: square root and a mask; of MultiRocket:       the same      the same
            standardised
    columns all                                                     all           all, or the first ``repr_dim``
                                                                                  directions
    ======= ======================================================= ============= ==================================

    References
    ----------
    .. [1] Dempster, Schmidt, Webb: Hydra: Competing Convolutional Kernels for Fast and Accurate Time Series
       Classification, Data Mining and Knowledge Discovery 37, 2023, arXiv 2203.13652, section 4.
    .. [2] Tan, Dempster, Bergmeir, Webb: MultiRocket, Data Mining and Knowledge Discovery 36, 2022, arXiv 2102.00457.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import MultiRocketHydra
    >>> X = np.random.default_rng(0).normal(size=(20, 1, 30)).cumsum(axis=2)
    >>> X[0, 0, 7:12] = np.nan
    >>> MultiRocketHydra(features=2_000, repr_dim=4, random_state=0).fit(X).transform(X).shape
    (20, 4)
    """

    features: int = whole(50_000, low=672, doc="Features of MultiRocket; rounded down to a multiple of 672 (paper).")
    definition: DefinitionName = definition()
    dilations: int = dilations()
    thresholds: ThresholdsName = thresholds()
    kernels: int = group_kernels()
    groups: int = groups()
    fill: FillRule = fill()
    repr_dim: int | None = repr_dim()
    scaling: Any = scaling()
    random_state: Any = shared.random_state(
        "Seed of the training rows that thresholds are taken from, of the kernels, and of the channels."
    )

    method_class: ClassVar[type[FixedFeatures]] = MultiRocketHydraFeatures

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Few features, for sktime's checks."""
        return [
            {"features": 672, "groups": 4, "random_state": 0},
            {"features": 672, "groups": 2, "definition": "paper", "random_state": 0},
        ]
