"""MultiRocket: four pools of MiniRocket's convolutions, of a series and of its differences (Tan et al., 2022)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.encoders.front_end import FillRule
from kinview.methods import methods
from kinview.methods.controls.fixed_features import FixedFeatureEstimator, FixedFeatures, fill, repr_dim
from kinview.methods.controls.rocket.minirocket import DilatedKernels, dilations, scaling
from kinview.methods.controls.rocket.pools import DefinitionName, Pooling
from kinview.methods.controls.rocket.thresholds import ThresholdsName, published_rows, thresholds
from kinview.methods.estimators import shared_parameters as shared
from kinview.parameters import choice, parameterised, whole
from kinview.training.method import Sizes

__all__ = ["FourPools", "MultiRocket", "MultiRocketFeatures", "definition", "differences"]

_POOLS, _INPUTS = 4, 2


def definition() -> Any:
    """What the pools are."""
    return choice(
        "official",
        ("official", "paper"),
        doc='"official" computes what the published results rest on, with three slips of its code: the mean of C + b, '
        "runs that count one too many and are not ended by C = b, and on the differences four taps one step late. "
        '"paper" has none of these.',
    )


def differences(x: Float[Tensor, "n c t"]) -> Float[Tensor, "n c t_1"]:
    """First differences of series; a series of one step has the difference 0."""
    if x.shape[2] == 1:
        return torch.zeros_like(x)
    changed = x.diff(dim=2)
    alone = torch.isnan(x[:, :, 1:]).all(dim=2, keepdim=True)  # one step, NaN beyond
    first = torch.zeros_like(changed[:, :, :1]).masked_fill(~alone, torch.nan)
    return torch.cat([torch.where(alone, first, changed[:, :, :1]), changed[:, :, 1:]], dim=2)


class FourPools(nn.Module):
    """Four pools of the kernels on a series and on its differences.

    Parameters
    ----------
    parameters : estimator
        Its fields ``features``, ``dilations``, ``thresholds`` and ``definition`` are read.
    sizes : Sizes
        Of the data.
    """

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__()
        number = parameters.features // (_POOLS * _INPUTS)
        shorter = Sizes(channels=sizes.channels, length=max(1, sizes.length - 1), rows=sizes.rows)
        official = parameters.definition == "official"
        how, most = parameters.thresholds, parameters.dilations
        self.of_values = DilatedKernels(sizes, number, most, how, Pooling(True, parameters.definition))
        self.of_differences = DilatedKernels(
            shorter, number, most, how, Pooling(True, parameters.definition, early=official)
        )
        self.n_features = self.of_values.n_features + self.of_differences.n_features

    def learn(self, rows: Batch, generator: torch.Generator) -> None:
        """Draw channels and thresholds."""
        for kernels, x, lengths in self._inputs(rows):
            kernels.learn(x, lengths, generator)

    def forward(self, rows: Batch) -> Float[Tensor, "n f"]:
        """All pools: of the series by pool, then of the differences by pool."""
        return torch.cat([kernels(x, lengths) for kernels, x, lengths in self._inputs(rows)], dim=1)

    def _inputs(self, rows: Batch) -> list[tuple[DilatedKernels, Tensor, Tensor]]:
        lengths = valid_lengths(rows.x, rows.times)
        return [
            (self.of_values, rows.x, lengths),
            (self.of_differences, differences(rows.x), torch.where(lengths > 1, lengths - 1, lengths)),
        ]


class MultiRocketFeatures(FixedFeatures):
    """See :class:`MultiRocket`, whose parameters these are."""

    def __init__(self, parameters: MultiRocket, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.how = parameters.thresholds
        self.pools = FourPools(parameters, sizes)
        self.reserve_components(parameters.repr_dim)

    @property
    def n_features(self) -> int:
        """Four a threshold, on both inputs."""
        return self.pools.n_features

    def learn(self, rows: Batch, generator: torch.Generator) -> None:
        """Draw channels and thresholds."""
        self.pools.learn(rows, generator)

    def features(self, rows: Batch) -> Float[Tensor, "n f"]:
        """All pools."""
        found: Tensor = self.pools(rows)
        return found

    def row_statistics(self) -> str | None:
        """Published thresholds are quantiles of one row each."""
        return published_rows(self.how) or super().row_statistics()


@methods.register(
    "multirocket", modality="time_series", reference="Tan et al., Data Mining and Knowledge Discovery 2022"
)
@parameterised
class MultiRocket(FixedFeatureEstimator):
    r"""MultiRocket: the convolutions of MiniRocket, pooled in four ways, of a series and of its first differences.

    For each threshold b of a convolution C over L steps, with P the steps at which C > b: the fraction |P| / L (PPV);
    the longest run of steps in P (LSPV); the mean of C − b over P (MPV); the mean of the indices in P (MIPV). Without a
    step in P the last two are 0 and −1. Features are of different scales: a linear head should standardise them, as the
    published pipeline does.

    Notes
    -----
    *Unequal lengths, short series, several channels, speed:* as :class:`MiniRocket`. The differences have thresholds,
    dilations and channels of their own. (Official code for several channels: they take the channels of the values.)

    =========== ================== ====================================================== ==========================
    what        paper              official code                                          kinview
    =========== ================== ====================================================== ==========================
    MPV         mean of C − b      mean of C + b                                          ``definition``
    LSPV        longest run of C > one more inside a series; C = b does not end a run     ``definition``
                b
    differences the same           the first four taps one step late, thresholds without  ``definition``
                convolution        that
    channels    one                those of the values, for differences too               subsets of their own for
                                                                                          differences
    =========== ================== ====================================================== ==========================

    References
    ----------
    .. [1] Tan, Dempster, Bergmeir, Webb: MultiRocket: Multiple Pooling Operators and Transformations for Fast and
       Effective Time Series Classification, Data Mining and Knowledge Discovery 36, 2022, arXiv 2102.00457. Code:
       github.com/ChangWeiTan/MultiRocket.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import MultiRocket
    >>> X = np.sin(np.arange(300.0)).reshape(10, 1, 30)
    >>> MultiRocket(features=2_000, random_state=0).fit(X).transform(X).shape
    (10, 1344)
    """

    features: int = whole(50_000, low=672, doc="Features; rounded down to a multiple of 84 · 8 = 672 (paper).")
    definition: DefinitionName = definition()
    dilations: int = dilations()
    thresholds: ThresholdsName = thresholds()
    fill: FillRule = fill()
    repr_dim: int | None = repr_dim()
    scaling: Any = scaling()
    random_state: Any = shared.random_state(
        "Seed of the training rows that thresholds are taken from, and of the channels."
    )

    method_class: ClassVar[type[FixedFeatures]] = MultiRocketFeatures

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Few features, for sktime's checks."""
        return [{"features": 672, "random_state": 0}, {"features": 672, "definition": "paper", "random_state": 0}]
