"""Hydra: groups of random kernels compete at each step, and wins are counted (Dempster et al., 2023)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.encoders.front_end import FillRule
from kinview.methods import methods
from kinview.methods.controls.fixed_features import FixedFeatureEstimator, FixedFeatures, fill, repr_dim
from kinview.methods.controls.rocket.kernels import TAPS
from kinview.methods.controls.rocket.minirocket import scaling
from kinview.methods.controls.rocket.multirocket import differences
from kinview.methods.estimators import shared_parameters as shared
from kinview.parameters import parameterised, whole
from kinview.training.method import Sizes

__all__ = ["CompetingKernels", "Hydra", "HydraFeatures", "group_kernels", "groups"]

_MOST_CHANNELS = 8  # of one group (official code)
_CHUNK_VALUES = 2**22  # of one dilation's convolutions


def group_kernels() -> Any:
    """Kernels that compete."""
    return whole(8, low=2, doc="Kernels k of a group (paper).")


def groups() -> Any:
    """Groups of a dilation."""
    return whole(
        64, low=2, doc="Groups g a dilation, half of them on differences (paper); rounded down to an even number."
    )


class CompetingKernels(nn.Module):
    """Groups of random kernels at dilations 1, 2, 4, ..., on series and on their differences.

    Parameters
    ----------
    parameters : estimator
        Its fields ``kernels`` and ``groups`` are read.
    sizes : Sizes
        Of the data.
    """

    weights: Tensor
    members: Tensor | None

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__()
        self.k, self.g = parameters.kernels, parameters.groups // 2
        octaves = int(math.log2((max(sizes.length, TAPS) - 1) / (TAPS - 1))) + 1
        self.dilations = [2**octave for octave in range(octaves)]
        self.register_buffer("weights", torch.zeros(octaves, 2, self.g, self.k, TAPS))
        a_group = min(max(sizes.channels // 2, 2), _MOST_CHANNELS)
        members = torch.zeros(octaves, 2, self.g, a_group, dtype=torch.long)
        self.register_buffer("members", members if sizes.channels > 1 else None)
        self.n_features = octaves * 2 * 2 * self.g * self.k

    def learn(self, channels: int, generator: torch.Generator) -> None:
        """Draw the kernels: normal, minus their mean, divided by the sum of their absolute values."""
        drawn = torch.randn(self.weights.shape, generator=generator)
        drawn -= drawn.mean(dim=-1, keepdim=True)
        self.weights.copy_(drawn / drawn.abs().sum(dim=-1, keepdim=True))
        if self.members is not None:
            self.members.copy_(torch.randint(channels, self.members.shape, generator=generator))

    def forward(self, rows: Batch) -> Float[Tensor, "n f"]:
        """By dilation, then input: what the largest of each group gather, then how often each is the smallest."""
        x, lengths = torch.nan_to_num(rows.x), valid_lengths(rows.x, rows.times)
        changed = torch.nan_to_num(differences(rows.x))
        chunk = max(1, _CHUNK_VALUES // (self.g * self.k * x.shape[2]))
        parts = []
        for of in torch.split(torch.arange(len(x), device=x.device), chunk):
            shorter = torch.where(lengths[of] > 1, lengths[of] - 1, lengths[of])
            inputs = ((x[of], lengths[of]), (changed[of], shorter))
            counted = [
                self._counted(*given, octave, which)
                for octave in range(len(self.dilations))
                for which, given in enumerate(inputs)
            ]
            parts.append(torch.cat(counted, dim=1))
        return torch.cat(parts) if parts else x.new_zeros(0, self.n_features)

    def _counted(
        self, x: Float[Tensor, "n c t"], lengths: Tensor, octave: int, which: int
    ) -> Float[Tensor, "n counts"]:
        weights = self.weights[octave, which]  # (g, k, 9)
        windows = _windows(self._series(x, octave, which), self.dilations[octave])  # (n, 1 or g, 9, t)
        if windows.shape[1] == 1:
            response = (weights.flatten(0, 1) @ windows[:, 0]).view(len(x), self.g, self.k, -1)
        else:
            response = weights @ windows
        inside = torch.arange(x.shape[2], device=x.device) < lengths[:, None]
        return torch.cat([_gathered(response, inside), _least(response, inside)], dim=1)

    def _series(self, x: Float[Tensor, "n c t"], octave: int, which: int) -> Float[Tensor, "n g t"]:
        """What each group reads: the only channel, or the sum of some, drawn with replacement (official code)."""
        if self.members is None:
            return x
        return x[:, self.members[octave, which]].sum(dim=2)  # (n, g, channels of a group, t) -> (n, g, t)


def _windows(x: Float[Tensor, "n g t"], dilation: int) -> Float[Tensor, "n g 9 t"]:
    """What the taps see around each step, less the value in the middle; 0 stands beyond the ends.

    The weights of a kernel sum to 0, so the difference is not seen in exact arithmetic. In floating point the kernels
    would compete by their rounding errors where a series is constant; so they all give 0 there.
    """
    reach = TAPS // 2 * dilation
    padded = nn.functional.pad(x, (reach, reach))
    taps = [padded[:, :, tap * dilation : tap * dilation + x.shape[2]] for tap in range(TAPS)]
    return torch.stack(taps, dim=2) - x[:, :, None]


def _gathered(response: Float[Tensor, "n g k t"], inside: Bool[Tensor, "n t"]) -> Float[Tensor, "n g_k"]:
    """Sum of the responses of each kernel over the steps at which it is the largest of its group."""
    largest, which = response.max(dim=2)
    sums = torch.zeros(response.shape[:3], dtype=response.dtype, device=response.device)
    return sums.scatter_add_(2, which, largest * inside[:, None]).flatten(1)


def _least(response: Float[Tensor, "n g k t"], inside: Bool[Tensor, "n t"]) -> Float[Tensor, "n g_k"]:
    """Number of steps at which each kernel is the smallest of its group."""
    which = response.min(dim=2).indices  # several times as fast as argmin
    counts = torch.zeros(response.shape[:3], dtype=response.dtype, device=response.device)
    return counts.scatter_add_(2, which, inside[:, None].to(response.dtype).expand(which.shape)).flatten(1)


class HydraFeatures(FixedFeatures):
    """See :class:`Hydra`, whose parameters these are."""

    def __init__(self, parameters: Hydra, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.competing = CompetingKernels(parameters, sizes)
        self.reserve_components(parameters.repr_dim)

    @property
    def n_features(self) -> int:
        """Two a kernel."""
        return int(self.competing.n_features)

    def learn(self, rows: Batch, generator: torch.Generator) -> None:
        """Draw the kernels."""
        self.competing.learn(rows.x.shape[1], generator)

    def features(self, rows: Batch) -> Float[Tensor, "n f"]:
        """Sums and counts."""
        found: Tensor = self.competing(rows)
        return found


@methods.register(
    "hydra", modality="time_series", reference="Dempster et al., Data Mining and Knowledge Discovery 2023"
)
@parameterised
class Hydra(FixedFeatureEstimator):
    r"""Hydra: at each step the random kernels of a group compete, and it is counted which of them win.

    Kernels have nine taps of normal weights, less their mean and divided by the sum of their absolute values, at
    dilations 1, 2, 4, ... up to (T − 1) / 8. At each step the kernel of a group with the largest response gains that
    response, and the one with the smallest gains 1. Half of the groups read the series, half its first differences.
    Features are sums and counts, neither square-rooted nor standardised; :class:`MultiRocketHydra` scales them.

    Notes
    -----
    *Unequal lengths, short series:* as :class:`MiniRocket`, over all steps of each series. *Several
    channels:* a group reads the sum of min(max(⌊C / 2⌋, 2), 8) channels, drawn with replacement (official code, there
    called experimental).

    ============== ===== =============================== =============================================
    what           paper official code                   kinview
    ============== ===== =============================== =============================================
    channels       one   sums drawn with replacement     the same
    flat stretches –     rounding errors decide who wins all respond with 0, the first of a group wins
    ============== ===== =============================== =============================================

    References
    ----------
    .. [1] Dempster, Schmidt, Webb: Hydra: Competing Convolutional Kernels for Fast and Accurate Time Series
       Classification, Data Mining and Knowledge Discovery 37, 2023, arXiv 2203.13652. Code: github.com/angus924/hydra.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import Hydra
    >>> X = np.sin(np.arange(300.0)).reshape(10, 1, 30)
    >>> Hydra(random_state=0).fit(X).transform(X).shape
    (10, 2048)
    """

    kernels: int = group_kernels()
    groups: int = groups()
    fill: FillRule = fill()
    repr_dim: int | None = repr_dim()
    scaling: Any = scaling()
    random_state: Any = shared.random_state("Seed of the kernels, and of the channels.")

    method_class: ClassVar[type[FixedFeatures]] = HydraFeatures

    @property
    def wide(self) -> bool:
        """Whether it keeps all features: two dilations, those of 33 steps, have more than 2,000 by default."""
        return self.repr_dim is None

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Few features, for sktime's checks."""
        return [{"groups": 4, "random_state": 0}, {"groups": 2, "kernels": 3, "random_state": 0}]
