"""One feature a training row, kept from epoch to epoch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kinview.losses._validation import check_finite

__all__ = ["MemoryBank"]


class MemoryBank(nn.Module):
    r"""The last features of every training row, on the unit sphere.

    .. math:: m_i \leftarrow \frac{\mu m_i + (1 - \mu) z_i}{\|\mu m_i + (1 - \mu) z_i\|}, \quad \|z_i\| = 1

    A row that was never seen is unset: its first feature is stored as it is, and it is never drawn as a negative.

    Parameters
    ----------
    size : int
        Number of training rows.
    dim : int
        Dimension of a feature.
    momentum : float, default 0.5
        μ in [0, 1) (re-implementations of Wu et al.).

    Attributes
    ----------
    known : Tensor
        Which rows have been seen, boolean ``(size,)``.

    References
    ----------
    .. [1] Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR 2018,
           arXiv 1805.01978.

    Examples
    --------
    >>> bank = MemoryBank(size=4, dim=2)
    >>> bank.update(torch.tensor([2]), torch.tensor([[3.0, 0.0]]))
    >>> bank.update(torch.tensor([2]), torch.tensor([[0.0, 5.0]]))
    >>> bank(torch.tensor([2]))
    tensor([[0.7071, 0.7071]])
    """

    stored: Tensor
    known: Bool[Tensor, " size"]

    def __init__(self, size: int, dim: int, momentum: float = 0.5) -> None:
        super().__init__()
        for name, value in (("size", size), ("dim", dim)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value!r}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1); got {momentum!r}")
        self.size = size
        self.dim = dim
        self.momentum = momentum
        self.register_buffer("stored", torch.zeros(size, dim))
        self.register_buffer("known", torch.zeros(size, dtype=torch.bool))

    def forward(self, index: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
        """Features of rows ``(n, dim)``.

        Raises
        ------
        ValueError
            If one of them has never been stored.
        """
        self._check_index(index)
        if not bool(self.known[index].all()):
            missing = sorted(set(index[~self.known[index]].tolist()))
            raise ValueError(f"the bank holds nothing of rows {missing[:5]}; update it with them first")
        return self.stored[index]

    @torch.no_grad()
    def update(self, index: Int[Tensor, " n"], features: Float[Tensor, "n d"]) -> None:
        """Blend new features ``(n, dim)`` into rows; of a row that occurs twice, their mean direction."""
        self._check_index(index)
        if features.shape != (len(index), self.dim):
            raise ValueError(f"features must be ({len(index)}, {self.dim}), one an index; got {tuple(features.shape)}")
        check_finite("MemoryBank", features=features)
        rows, place = torch.unique(index, return_inverse=True)
        summed = self.stored.new_zeros(len(rows), self.dim)
        summed.index_add_(0, place, F.normalize(features.detach().to(self.stored), dim=1))
        new = F.normalize(summed, dim=1)
        weight = self.momentum * self.known[rows, None].to(new.dtype)
        self.stored[rows] = F.normalize(weight * self.stored[rows] + (1 - weight) * new, dim=1)
        self.known[rows] = True

    def sample(
        self, count: int, generator: torch.Generator | None = None, exclude: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "count d"]:
        """Features of known rows drawn uniformly with replacement, none of them of a row in ``exclude``.

        Raises
        ------
        ValueError
            If no row is left to draw from.
        """
        if count < 0:
            raise ValueError(f"count must not be negative; got {count!r}")
        candidates = self.known.clone()
        if exclude is not None:
            self._check_index(exclude)
            candidates[exclude] = False
        rows = candidates.nonzero().squeeze(1)
        if len(rows) == 0:
            raise ValueError("the bank holds no row to draw from: update it first, or exclude fewer rows")
        device = generator.device if generator is not None else rows.device
        drawn = torch.randint(len(rows), (count,), generator=generator, device=device)
        return self.stored[rows[drawn.to(rows.device)]]

    def extra_repr(self) -> str:
        """Size, dimension and momentum in the printed module."""
        return f"size={self.size}, dim={self.dim}, momentum={self.momentum}"

    def _check_index(self, index: Tensor) -> None:
        if index.ndim != 1 or index.is_floating_point() or index.dtype == torch.bool:
            raise ValueError(f"index must hold row numbers, integers (n,); got {index.dtype} {tuple(index.shape)}")
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < self.size:
            raise ValueError(
                f"index must be between 0 and {self.size - 1}, the rows of this bank; "
                f"got {int(index.min())} to {int(index.max())}"
            )
