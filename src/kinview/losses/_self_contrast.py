"""Rows contrasted among themselves, value and gradient in one sweep over symmetric tiles.

A problem has m pairs, stacked to 2m rows z. With S = z zᵀ and the row itself left out inside the tile,

    L = Σ_i ω_i log Σ_{j≠i} exp S_ij − Σ_{i,j} w_ij S_ij,   ∂L/∂z = (Ω P + Pᵀ Ω − w − wᵀ) z,   ω_i = Σ_j w_ij.

S is symmetric, so each tile above the diagonal is multiplied once and serves both of its sides. The dense mode keeps
these tiles until the normalisers are known (1.5 products of the size of S); the tiled mode computes them a second time
(2). Autograd through a log-softmax needs 3, and several matrices of that size. Where one shift suits all rows of a
problem, exp S is symmetric as well: it is taken once, and the gradient needs no other one.
"""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Targets", "contrast", "problems_at_once"]

# (side of a tile, elements of S worked on at once): what stays in a CPU's cache; a GPU wants long kernels instead
_SIZES = {"cpu": (512, 2**18), "other": (4096, 2**27)}

_REACH = 60.0  # e^60 and e^−60 are far from the ends of float32, with room for terms that do not count

Block = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Targets:
    """How much row i is to be like row j: 1 for its twin alone (no weights), or soft assignments.

    ``weights`` is a matrix ``(m, m)`` over pairs, or a vector ``(m,)`` over the distance |i − j| of pairs.
    """

    weights: Tensor | None = None

    def totals(self, m: int) -> Tensor | None:
        """ω of the 2m rows, or None where it is 1: both views of every pair, without the row itself."""
        if self.weights is None:
            return None
        if self.weights.ndim == 2:
            sums, own = self.weights.sum(dim=1), self.weights.diagonal()
        else:
            one_side = self.weights.cumsum(dim=0)
            sums = one_side + one_side.flip(0) - self.weights[0]
            own = self.weights[0]
        return (2 * sums - own).repeat(2)

    def pull(self, m: int, rows: Block, columns: Block) -> Tensor:
        """The tile of w + wᵀ, zero where a row meets itself; blocks lie in one view each, or hold everything."""
        assert self.weights is not None
        whole = rows == (0, 2 * m)
        (r, e), (c, f) = ((0, m), (0, m)) if whole else (_within_view(rows, m), _within_view(columns, m))
        if self.weights.ndim == 2:
            tile = self.weights[r:e, c:f] + self.weights[c:f, r:e].T
        else:
            both_sides = torch.cat([self.weights.flip(0)[:-1], self.weights])
            tile = 2 * both_sides.unfold(0, m, 1)[m - e : m - r, c:f].flip(0)
        tile = tile.repeat(2, 2) if whole else tile
        if rows == columns:
            tile.fill_diagonal_(0)
        return tile


def problems_at_once(rows: int, device: torch.device) -> int:
    """How many problems of that many rows are worked on together."""
    return max(1, _size(device)[1] // rows**2)


def contrast(
    z: Float[Tensor, "problems rows d"], targets: Targets, dense: bool, with_gradient: bool
) -> tuple[Float[Tensor, ""], Float[Tensor, "problems rows d"] | None]:
    """Sum of L over the problems, and its gradient."""
    m = z.shape[1] // 2
    blocks = list(_blocks(m, _size(z.device)[0]))
    pairs = [(rows, columns) for k, rows in enumerate(blocks) for columns in blocks[k:]]
    shift = _common_shift(z)
    sums: _Sums = _RowSums(z) if shift is None else _ShiftedSums(z, shift)
    swept = _sweep(z, targets, pairs, sums, keep=dense and with_gradient)
    if not sums.hold():
        sums = _RowSums(z)
        swept = _sweep(z, targets, pairs, sums, keep=dense and with_gradient)
    twins, attraction, kept = swept
    omega = targets.totals(m)
    if omega is None:
        value = ((sums.shifts - twins) + sums.total.log()).sum()  # in this order nothing cancels when pairs are far
    else:
        value = (omega * (sums.shifts + sums.total.log())).sum() - attraction
    if not with_gradient:
        return value, None
    factor = sums.total.reciprocal() if omega is None else omega / sums.total
    gradient = torch.zeros_like(z) if len(blocks) > 1 else z
    for rows, columns in pairs:
        tile = kept.pop((rows, columns)) if dense else sums.again(_similarity(z, rows, columns))
        push = sums.push(tile, rows, columns, factor)
        if targets.weights is None:
            _subtract_twins(push, rows, columns, m)
        else:
            push -= targets.pull(m, rows, columns)
        if len(blocks) == 1:
            return value, torch.bmm(push, z)
        gradient[:, slice(*rows)].baddbmm_(push, z[:, slice(*columns)])
        if rows != columns:
            gradient[:, slice(*columns)].baddbmm_(push.mT, z[:, slice(*rows)])
    return value, gradient


def _sweep(
    z: Tensor, targets: Targets, pairs: list[tuple[Block, Block]], sums: _Sums, *, keep: bool
) -> tuple[Tensor, Tensor, dict[tuple[Block, Block], Tensor]]:
    """Similarities of twins, the attraction under soft assignments, and tiles for the gradient; fills the sums."""
    m = z.shape[1] // 2
    kept: dict[tuple[Block, Block], Tensor] = {}
    twins = z.new_empty(z.shape[:2])
    attraction = z.new_zeros(())
    for rows, columns in pairs:
        similarity = _similarity(z, rows, columns)
        if targets.weights is None:
            _read_twins(similarity, rows, columns, m, twins)
        else:
            attraction = attraction + _attraction(similarity, targets.pull(m, rows, columns), rows == columns)
        tile = sums.add(similarity, rows, columns)
        if keep:
            kept[rows, columns] = tile
    return twins, attraction, kept


class _Sums(abc.ABC):
    """Sums of exponentials of each row, ``exp(shift) · total``, from tiles of which each serves both of its sides."""

    shifts: Tensor
    total: Tensor

    @abc.abstractmethod
    def add(self, similarity: Tensor, rows: Block, columns: Block) -> Tensor:
        """Take a tile in; what is to be kept of it for the gradient, which may be the tile, overwritten."""

    @abc.abstractmethod
    def again(self, similarity: Tensor) -> Tensor:
        """What :meth:`add` gave of a tile that was not kept."""

    @abc.abstractmethod
    def push(self, tile: Tensor, rows: Block, columns: Block, factor: Tensor) -> Tensor:
        """The tile of Ω P + Pᵀ Ω, of what :meth:`add` gave."""

    def hold(self) -> bool:
        """Whether no sum has lost digits."""
        return True


class _ShiftedSums(_Sums):
    """One shift for all rows of a problem: one exponential a pair serves both of its sides, and the gradient."""

    def __init__(self, z: Tensor, shift: Float[Tensor, "problems 1 1"]) -> None:
        self.shift = shift
        self.shifts = shift[:, :, 0].expand(z.shape[:2])
        self.total = z.new_zeros(z.shape[:2])

    def add(self, similarity: Tensor, rows: Block, columns: Block) -> Tensor:
        tile = self.again(similarity)
        self.total[:, slice(*rows)] += tile.sum(2)
        if rows != columns:
            self.total[:, slice(*columns)] += tile.sum(1)
        return tile

    def again(self, similarity: Tensor) -> Tensor:
        return similarity.sub_(self.shift).exp_()

    def push(self, tile: Tensor, rows: Block, columns: Block, factor: Tensor) -> Tensor:
        return tile.mul_(factor[:, slice(*rows), None] + factor[:, None, slice(*columns)])

    def hold(self) -> bool:
        return bool(self.total.amin() >= math.exp(-_REACH))


class _RowSums(_Sums):
    """Each row has its largest similarity for a shift: nothing is lost, however far apart the rows are."""

    def __init__(self, z: Tensor) -> None:
        self.shifts = z.new_full(z.shape[:2], -torch.inf)
        self.total = z.new_zeros(z.shape[:2])

    def add(self, similarity: Tensor, rows: Block, columns: Block) -> Tensor:
        self._accumulate(similarity, 2, rows)
        if rows != columns:
            self._accumulate(similarity, 1, columns)
        return similarity

    def again(self, similarity: Tensor) -> Tensor:
        return similarity

    def push(self, tile: Tensor, rows: Block, columns: Block, factor: Tensor) -> Tensor:
        one = (tile - self.shifts[:, slice(*rows), None]).exp_().mul_(factor[:, slice(*rows), None])
        if rows == columns:
            return one + one.mT
        other = tile.sub_(self.shifts[:, None, slice(*columns)]).exp_()
        return one.addcmul_(other, factor[:, None, slice(*columns)])

    def _accumulate(self, similarity: Tensor, dim: int, rows: Block) -> None:
        """Add a tile to the running maximum and sum of exponentials of some rows."""
        before, so_far = self.shifts[:, slice(*rows)], self.total[:, slice(*rows)]
        after = torch.maximum(before, similarity.amax(dim))
        # a row that has met only itself is at −inf still: it waits at 0, which keeps −inf − (−inf) out
        shift = after.masked_fill(after == -torch.inf, 0)
        so_far.mul_((before - shift).exp_()).add_((similarity - shift.unsqueeze(dim)).exp_().sum(dim))
        before.copy_(after)


def _common_shift(z: Float[Tensor, "problems rows d"]) -> Float[Tensor, "problems 1 1"] | None:
    """A shift that keeps every exponential finite: midway between the squared lengths, which bound the similarities.

    None where they are too far apart, and off the CPU, which would have to wait for the answer.
    """
    if z.device.type != "cpu":
        return None
    lengths = torch.linalg.vecdot(z, z)
    lowest, highest = lengths.amin(1), lengths.amax(1)
    if not bool((highest - lowest).amax() < 2 * _REACH):
        return None
    midway: Tensor = (highest + lowest) / 2
    return midway[:, None, None]


def _size(device: torch.device) -> tuple[int, int]:
    return _SIZES["cpu" if device.type == "cpu" else "other"]


def _blocks(m: int, side: int) -> Iterator[Block]:
    """Everything at once where it fits a tile, else equal blocks that do not cross from one view to the other."""
    if 2 * m <= side:
        yield 0, 2 * m
        return
    parts = -(-m // side)
    bounds = [m * k // parts for k in range(parts + 1)]
    for offset in (0, m):
        yield from ((offset + start, offset + stop) for start, stop in itertools.pairwise(bounds))


def _within_view(block: Block, m: int) -> Block:
    return block if block[1] <= m else (block[0] - m, block[1] - m)


def _similarity(z: Tensor, rows: Block, columns: Block) -> Tensor:
    similarity = torch.bmm(z[:, slice(*rows)], z[:, slice(*columns)].mT)
    if rows == columns:
        similarity.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    return similarity


def _attraction(similarity: Tensor, pull: Tensor, diagonal: bool) -> Tensor:
    """Σ w_ij S_ij of a tile and its mirror image; a tile on the diagonal is its own, and holds −inf where w is 0."""
    if diagonal:
        return (similarity.masked_fill(similarity == -torch.inf, 0) * pull).sum() / 2
    return (similarity * pull).sum()


def _read_twins(similarity: Tensor, rows: Block, columns: Block, m: int, twins: Tensor) -> None:
    if rows == (0, 2 * m):
        positive = similarity.diagonal(m, dim1=1, dim2=2)
        twins[:, :m], twins[:, m:] = positive, positive
    elif columns[0] == rows[0] + m:
        positive = similarity.diagonal(dim1=1, dim2=2)
        twins[:, slice(*rows)], twins[:, slice(*columns)] = positive, positive


def _subtract_twins(push: Tensor, rows: Block, columns: Block, m: int) -> None:
    if rows == (0, 2 * m):
        push.diagonal(m, dim1=1, dim2=2).sub_(2)
        push.diagonal(-m, dim1=1, dim2=2).sub_(2)
    elif columns[0] == rows[0] + m:
        push.diagonal(dim1=1, dim2=2).sub_(2)
