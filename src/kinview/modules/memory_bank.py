"""One feature a training row, kept from epoch to epoch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kinview.tensor_checks import check_finite, check_fraction, check_integer, check_tensors, widen

__all__ = ["MemoryBank"]


class MemoryBank(nn.Module):
    r"""The last features of every training row, on the unit sphere.

    .. math:: m_i \leftarrow \frac{\mu m_i + (1 - \mu) z_i}{\|\mu m_i + (1 - \mu) z_i\|}, \quad \|z_i\| = 1

    A row that was never seen is unset: its first feature is stored as it is, and it is never drawn as a negative. Where
    the blend vanishes (opposite features of equal weight) the newest feature alone is stored. A feature of zeros has no
    direction and changes nothing: a row that was unset stays so.

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
            check_integer(value, name, at_least=1)
        check_fraction(momentum, "momentum", below=True)
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
        index = self._check_index(index)
        if not bool(self.known[index].all()):
            missing = sorted(set(index[~self.known[index]].tolist()))
            raise ValueError(f"the bank holds nothing of rows {missing[:5]}; update it with them first")
        return self.stored[index]

    @torch.no_grad()
    def update(self, index: Int[Tensor, " n"], features: Float[Tensor, "n d"]) -> None:
        """Blend new features ``(n, dim)`` into rows; of a row that occurs twice, their mean direction."""
        index = self._check_index(index)
        check_tensors("MemoryBank", features=features)
        if features.shape != (len(index), self.dim):
            raise ValueError(f"features must be ({len(index)}, {self.dim}), one an index; got {tuple(features.shape)}")
        check_finite("MemoryBank", features=features)
        features = widen(features.detach())
        largest = features.abs().amax(dim=1, keepdim=True)  # divided by, so that no square under- or overflows
        units = F.normalize(features / largest.where(largest > 0, 1), dim=1).to(self.stored)
        directed = units.any(dim=1)
        index, units = index[directed], units[directed]
        rows, place = torch.unique(index, return_inverse=True)
        last = torch.zeros_like(rows).scatter_reduce(0, place, torch.arange(len(place), device=rows.device), "amax")
        new = _direction(self.stored.new_zeros(len(rows), self.dim).index_add_(0, place, units), units[last])
        weight = self.momentum * self.known[rows, None].to(new.dtype)
        self.stored[rows] = _direction(weight * self.stored[rows] + (1 - weight) * new, new)
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
            candidates[self._check_index(exclude)] = False
        rows = candidates.nonzero().squeeze(1)
        if len(rows) == 0:
            raise ValueError("the bank holds no row to draw from: update it first, or exclude fewer rows")
        device = generator.device if generator is not None else rows.device
        drawn = torch.randint(len(rows), (count,), generator=generator, device=device)
        return self.stored[rows[drawn.to(rows.device)]]

    def extra_repr(self) -> str:
        """Size, dimension and momentum in the printed module."""
        return f"size={self.size}, dim={self.dim}, momentum={self.momentum}"

    def _check_index(self, index: Tensor) -> Tensor:
        """The row numbers in int64: torch takes uint8 for a mask."""
        check_tensors("MemoryBank", index=index)
        if index.ndim != 1 or index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
            raise ValueError(f"index must hold row numbers, integers (n,); got {index.dtype} {tuple(index.shape)}")
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < self.size:
            raise ValueError(
                f"index must be between 0 and {self.size - 1}, the rows of this bank; "
                f"got {int(index.min())} to {int(index.max())}"
            )
        return index.long()


def _direction(vectors: Float[Tensor, "n d"], otherwise: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Vectors of length one; the other ones where they cancel but for rounding."""
    cancelled = torch.linalg.vector_norm(vectors, dim=1, keepdim=True) < 8 * torch.finfo(vectors.dtype).eps
    return torch.where(cancelled, otherwise, F.normalize(vectors, dim=1))
