"""Mean of the missing values of Gaussian rows given their observed ones, and the covariances that it rests on."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.data.few_rows import FEWEST_ROWS

__all__ = [
    "Moments",
    "conditional_mean",
    "moments",
    "positive_definite",
    "stationary_moments",
    "windows",
]

_SO_FEW = 32  # rows that are not worth sorting by size
_VALUES_AT_ONCE = 2**23  # of the matrices that are decomposed together: 64 MiB


def conditional_mean(residual: Float[Tensor, "n k"], covariance: Float[Tensor, "... k k"]) -> Float[Tensor, "... n k"]:
    r"""Means :math:`C_{mo} C_{oo}^{-1} r_o` of the missing values of each row.

    What stands at observed values is undefined.

    Parameters
    ----------
    residual : Tensor
        Rows minus their mean, float64, with NaN where a value is missing.
    covariance : Tensor
        C, positive definite, float64; or several, with each of which all rows are completed.

    Notes
    -----
    With :math:`Q = C^{-1}` the same mean is :math:`-Q_{mm}^{-1} Q_{mo} r_o`: a row with less than a third of its values
    missing takes this smaller system. Each row is solved by itself; rows of about the same size share a batch.
    """
    if covariance.ndim == 2:
        return conditional_mean(residual, covariance[None])[0]
    seen = ~torch.isnan(residual)
    value = torch.where(seen, residual, 0.0).expand(len(covariance), -1, -1)
    by_missing = (~seen).sum(dim=1) * 3 < residual.shape[1]
    result = torch.zeros_like(value)
    for rows, of_missing in ((by_missing, True), (~by_missing, False)):
        index = rows.nonzero()[:, 0]
        if not len(index):
            continue
        known = value[:, index]
        if of_missing:
            matrix = torch.linalg.inv(covariance)
            found = _solved(matrix, ~seen[index], -(known @ matrix))
        else:
            found = _solved(covariance, seen[index], known) @ covariance
        result = result.index_copy(1, index, found)
    return result


def _solved(matrix: Tensor, chosen: Tensor, right: Tensor) -> Tensor:
    """Rows w (l, n, k), zero where not chosen, with M_cc w_c = b_c for the chosen entries c of each row and each M."""
    counts = chosen.sum(dim=1)
    at_once = max(1, _VALUES_AT_ONCE // (len(matrix) * max(1, int(counts.max())) ** 2))
    if len(chosen) <= min(at_once, _SO_FEW):
        return _solved_together(matrix, chosen, right)
    order = counts.argsort()
    parts = [_solved_together(matrix, chosen[rows], right[:, rows]) for rows in torch.split(order, at_once)]
    return torch.cat(parts, dim=1)[:, order.argsort()]


def _solved_together(matrix: Tensor, chosen: Tensor, right: Tensor) -> Tensor:
    counts = chosen.sum(dim=1)
    size = int(counts.max())
    index = (~chosen).to(torch.uint8).sort(dim=1, stable=True).indices[:, :size]  # the chosen entries in front
    own = torch.arange(size, device=index.device) < counts[:, None]
    systems = matrix[:, index[:, :, None], index[:, None, :]]  # (l, n, size, size)
    if not bool(own.all()):
        both = own[:, :, None] & own[:, None, :]
        systems = torch.where(both, systems, torch.eye(size, dtype=matrix.dtype, device=matrix.device))
    place = index.expand(len(matrix), -1, -1)
    wanted = torch.where(own, right.gather(2, place), 0.0)
    solution = torch.linalg.solve(systems, wanted[..., None])[..., 0]  # several times as fast as Cholesky factors
    return torch.zeros_like(right).scatter(2, place, torch.where(own, solution, 0.0))


class Moments(NamedTuple):
    """Moments of series on a grid.

    Attributes
    ----------
    mean : Tensor
        μ ``(C, T)``.
    pairwise : Tensor
        S ``(C·T, C·T)``, of the rows in which both are observed; the stationary one where these are too few.
    stationary : Tensor
        The covariance at each lag, averaged over the pairs at this lag, as a matrix like S.
    """

    mean: Tensor
    pairwise: Tensor
    stationary: Tensor


def moments(x: Float[Tensor, "n c t"]) -> Moments:
    """Moments of the observed values, none of fewer than :data:`FEWEST_ROWS` rows."""
    mean, residual, seen = _centred(x)
    channels, steps = mean.shape
    sums = residual.flatten(1).T @ residual.flatten(1)
    counts = seen.flatten(1).T @ seen.flatten(1)
    step = torch.arange(steps, device=x.device)
    lag = (step[None, :] - step[:, None] + steps - 1).flatten()  # (t·t), from 0 to 2t − 2
    blocks = (channels, steps, channels, steps)
    by_block = [each.reshape(blocks).transpose(1, 2).reshape(channels**2, steps**2) for each in (sums, counts)]
    total, number = (
        torch.zeros(channels**2, 2 * steps - 1, dtype=x.dtype, device=x.device).index_add(1, lag, each)
        for each in by_block
    )
    most = lag.expand(by_block[1].shape)
    rows = torch.zeros_like(number).scatter_reduce(
        1, most, by_block[1], "amax"
    )  # at least so many have a pair at a lag
    by_lag = torch.where(rows >= FEWEST_ROWS, total / number.clamp_min(1), 0.0)
    stationary = by_lag[:, lag].reshape(channels, channels, steps, steps).transpose(1, 2).reshape(sums.shape)
    return Moments(mean, torch.where(counts >= FEWEST_ROWS, sums / counts.clamp_min(1), stationary), stationary)


def stationary_moments(x: Float[Tensor, "n 1 t"], lags: int) -> tuple[Float[Tensor, "1 t"], Float[Tensor, "k k"]]:
    """Mean, and covariance of so many neighbouring steps by their lag alone, of the observed values of one channel."""
    mean, residual, seen = _centred(x)
    steps = x.shape[2]
    total, number, rows = (torch.zeros(lags, dtype=x.dtype, device=x.device) for _ in range(3))
    for part in torch.split(torch.arange(len(x), device=x.device), max(1, 2**20 // steps)):
        pairs = _autocorrelation(seen[part, 0], lags).round()
        total += _autocorrelation(residual[part, 0], lags).sum(dim=0)
        number += pairs.sum(dim=0)
        rows += (pairs > 0).sum(dim=0)
    by_lag = torch.where(rows >= FEWEST_ROWS, total / number.clamp_min(1), 0.0)
    step = torch.arange(lags, device=x.device)
    return mean, by_lag[(step[None, :] - step[:, None]).abs()]


def _autocorrelation(x: Tensor, lags: int) -> Tensor:
    spectrum = torch.fft.rfft(x, 2 * x.shape[1])
    found: Tensor = torch.fft.irfft(spectrum.abs().square(), 2 * x.shape[1])
    return found[:, :lags]


def _centred(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean at each step, or over all steps where too few rows have one; what is left; what was observed as 0 and 1."""
    known = ~torch.isnan(x)
    value, seen = torch.where(known, x, 0.0), known.to(x.dtype)
    counts = seen.sum(dim=0)
    overall = value.sum(dim=(0, 2)) / seen.sum(dim=(0, 2)).clamp_min(1)  # (c,)
    mean = torch.where(counts >= FEWEST_ROWS, value.sum(dim=0) / counts.clamp_min(1), overall[:, None])
    return mean, torch.where(known, x - mean, 0.0), seen


def positive_definite(covariance: Float[Tensor, "k k"]) -> Float[Tensor, "k k"]:
    """Nearest symmetric matrix whose eigenvalues are at least 1e-6 of the largest one."""
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    clipped: Tensor = (vectors * values.clamp_min(1e-6 * float(values[-1].clamp_min(0.0)))) @ vectors.T
    return (clipped + clipped.T) / 2


def windows(x: Float[Tensor, "n c t"], core: int, around: int) -> Float[Tensor, "n c w k"]:
    """Overlapping windows of ``core`` steps with so many ``around`` on either side, NaN outside the series."""
    count = -(-x.shape[2] // core)
    padded = F.pad(x, (around, count * core - x.shape[2] + around), value=torch.nan)
    return padded.unfold(2, core + 2 * around, core)
