"""Fixed features of values as they were measured: in the units of the data, in float64 until the result."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.panel import Panel
from kinview.methods.controls.fixed_features import FixedFeatureEstimator, FixedFeatures

__all__ = ["AsMeasured", "AsMeasuredEstimator", "brought_to_length", "within_float32"]

_LARGEST = torch.finfo(torch.float32).max


class AsMeasured(FixedFeatures):
    """Features of unscaled series. They are computed in float64; what float32 cannot hold becomes its largest number.

    Apart from the directions of ``repr_dim``, and what ``fill="completion"`` learns, nothing is learned: then a saved
    model says nothing of its training rows, however few they are.
    """

    @torch.no_grad()
    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representation of each row; the zero vector for one without any observation."""
        return within_float32(super().embed(batch))

    @property
    def tells_of_few(self) -> bool:
        """Whether anything was learned."""
        return next(self.buffers(), None) is not None


class AsMeasuredEstimator(FixedFeatureEstimator):
    """An estimator around :class:`AsMeasured`: series keep their units and all of their digits."""

    scaling: ClassVar[None] = None  # type: ignore[misc]

    _tags: ClassVar[dict[str, Any]] = {
        "capability:random_state": False,
        "property:randomness": "deterministic",
    }

    def scaled(self, panel: Panel) -> Batch:
        """As they were measured, in float64; values beyond float32 are refused."""
        return super().scaled(panel).replace(x=panel.batch.x)


def within_float32(z: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
    """Values that float32 can hold; NaN stays.

    Examples
    --------
    >>> within_float32(torch.tensor([1e300, 2.0], dtype=torch.float64)).float().tolist()
    [3.4028234663852886e+38, 2.0]
    """
    return z.clamp(-_LARGEST, _LARGEST)


def brought_to_length(x: Float[Tensor, "n c t"], lengths: Tensor, length: int) -> Float[Tensor, "n c l"]:
    r"""Series without gaps, brought to one length by linear interpolation over their own steps, ends on ends.

    Step j of the result lies at :math:`j (\ell - 1) / (L - 1)` of a series of :math:`\ell` steps. A series that has L
    steps stays as it is, bit by bit.

    Parameters
    ----------
    x : Tensor
        Whatever lies beyond the end of a series is not read.
    lengths : Tensor (n,)
        Steps of each series, at least 1.
    length : int
        L.

    Examples
    --------
    >>> brought_to_length(torch.tensor([[[1.0, 2.0, 3.0]], [[1.0, 3.0, 0.0]]]), torch.tensor([3, 2]), 3).tolist()
    [[[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]]
    """
    if x.shape[2] == length and bool((lengths == length).all()):
        return x
    # whole numbers are divided, so that a series of L steps is met exactly
    place = torch.arange(length, device=x.device) * (lengths[:, None] - 1)  # (n, L), in units of 1 / (L - 1)
    left = torch.div(place, max(1, length - 1), rounding_mode="floor")
    weight = (place - left * max(1, length - 1)).to(x.dtype) / max(1, length - 1)
    right = torch.minimum(left + 1, lengths[:, None] - 1)
    start, stop = (x.gather(2, at[:, None, :].expand(-1, x.shape[1], -1)) for at in (left, right))
    return torch.lerp(start, stop, weight[:, None, :])
