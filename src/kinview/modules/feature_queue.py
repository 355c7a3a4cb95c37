"""Rows of earlier batches: a first-in first-out queue of features."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kinview.distributed import gather
from kinview.tensor_checks import check_finite, check_integer, check_rows, check_tensors

__all__ = ["UNSET", "FeatureQueue"]

UNSET = -1  # label of a row that has none


class FeatureQueue(nn.Module):
    """The last ``size`` rows of earlier batches, with their labels.

    It starts empty: what has not been queued is never returned, so that no row is told apart from random vectors, and
    none finds a neighbour among them. Feed it what a momentum encoder gives (MoCo), or projections (NNCLR, SwAV).

    Parameters
    ----------
    size : int
        Capacity. Published: 65,536 (MoCo), 98,304 (NNCLR), 3,840 (SwAV); on small data 4 to 16 batches.
    dim : int
        Dimension of a row.
    with_times : bool, default False
        Whether each row also has a time, for neighbourhoods in time (NCL).

    Attributes
    ----------
    features : Tensor
        The queued rows ``(m, dim)``, m ≤ size, oldest first.
    labels : Tensor
        Their labels ``(m,)``: classes, groups or sample indices, whatever was queued with them; −1 (``UNSET``) where
        nothing was. A loss takes −1 for a label like any other: mask those rows out, or replace their labels, before
        they serve as labels or groups.
    times : Tensor
        Their times ``(m,)`` in float64; only of a queue with times.

    Notes
    -----
    Everything is a buffer, so a checkpoint resumes with the same queue. Under ``torch.distributed`` the rows of all
    processes are queued, so that every process holds the same queue.

    References
    ----------
    .. [1] He et al., Momentum Contrast for Unsupervised Visual Representation Learning, CVPR 2020, arXiv 1911.05722.

    Examples
    --------
    >>> queue = FeatureQueue(size=3, dim=1)
    >>> queue.enqueue(torch.tensor([[1.0], [2.0]]), labels=torch.tensor([7, 8]))
    >>> queue.enqueue(torch.tensor([[3.0], [4.0]]))
    >>> queue.features.squeeze(1), queue.labels
    (tensor([2., 3., 4.]), tensor([ 8, -1, -1]))
    """

    stored: Tensor
    stored_labels: Tensor
    stored_times: Tensor
    queued: Tensor

    def __init__(self, size: int, dim: int, *, with_times: bool = False) -> None:
        super().__init__()
        for name, value in (("size", size), ("dim", dim)):
            check_integer(value, name, at_least=1)
        self.size = size
        self.dim = dim
        self.register_buffer("stored", torch.zeros(size, dim))
        self.register_buffer("stored_labels", torch.full((size,), UNSET))
        if with_times:
            self.register_buffer("stored_times", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("queued", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        """Rows that can be used now."""
        return min(int(self.queued), self.size)

    @property
    def features(self) -> Float[Tensor, "m d"]:
        """The queued rows, oldest first."""
        return self.stored[self._order()]

    @property
    def labels(self) -> Int[Tensor, " m"]:
        """Their labels."""
        return self.stored_labels[self._order()]

    @property
    def times(self) -> Float[Tensor, " m"]:
        """Their times."""
        return self.stored_times[self._order()]

    @torch.no_grad()
    def enqueue(
        self,
        features: Float[Tensor, "n d"],
        labels: Int[Tensor, " n"] | None = None,
        times: Float[Tensor, " n"] | None = None,
    ) -> None:
        """Queue rows, dropping the oldest ones.

        Parameters
        ----------
        features : Tensor
            Rows ``(n, dim)``; of more than ``size`` rows the last ones are kept.
        labels : Tensor, optional
            One integer a row, not negative.
        times : Tensor, optional
            One number a row: for a queue with times, and only for one.

        Raises
        ------
        ValueError
            If the rows have another dimension, hold non-finite values or values beyond the queue's dtype, if the labels
            are not integers or negative, or if times are given to a queue without times, or none to one with times.
        """
        check_tensors("FeatureQueue", features=features)
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ValueError(f"features must be (n, {self.dim}) for this queue; got {tuple(features.shape)}")
        check_finite("FeatureQueue", features=features)
        if labels is None:
            labels = self.stored_labels.new_full((len(features),), UNSET)
        else:
            check_rows("FeatureQueue", len(features), labels=labels)
            if labels.is_floating_point():
                raise ValueError(f"labels must be integers for FeatureQueue; got {labels.dtype}: number the classes")
            if bool((labels < 0).any()):
                raise ValueError(f"labels must not be negative, {UNSET} means unset; got {int(labels.min())}")
        features = features.detach().to(self.stored)
        if not bool(torch.isfinite(features).all()):
            raise ValueError(
                f"features holds values beyond {features.dtype}, the dtype of this queue; "
                "keep the queue in float32 (queue.float()), or normalise the rows first"
            )
        timed = "stored_times" in self._buffers
        if timed != (times is not None):
            raise ValueError(f"this queue keeps {'a time' if timed else 'no time'} of each row; got times={times!r}")
        if times is not None:
            check_rows("FeatureQueue", len(features), times=times)
            check_finite("FeatureQueue", times=times)
            times = gather(times.to(self.stored_times))
        features, labels = gather(features), gather(labels.to(self.stored_labels))
        dropped = max(0, len(features) - self.size)
        start = int(self.queued) + dropped
        slots = torch.arange(start, start + len(features) - dropped, device=self.stored.device) % self.size
        self.stored[slots] = features[dropped:]
        self.stored_labels[slots] = labels[dropped:]
        if times is not None:
            self.stored_times[slots] = times[dropped:]
        self.queued += len(features)

    def extra_repr(self) -> str:
        """Size and dimension in the printed module."""
        return f"size={self.size}, dim={self.dim}"

    def _order(self) -> Tensor:
        last = int(self.queued)
        return torch.arange(last - len(self), last, device=self.stored.device) % self.size
