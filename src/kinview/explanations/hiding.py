"""Copies of samples with cells hidden, and how far their representations lie from those of the samples as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from kinview.data.batch import Batch
from kinview.explanations.samples import ReadSamples

__all__ = ["WINDOWS", "Distance", "Units", "distances", "hidden", "moved", "units_of"]

Distance = Literal["cosine", "euclidean"]
WINDOWS = 20
"""Windows that a series is cut into where nobody says otherwise."""

_CHUNK_CELLS = 2**22  # of the copies that are made at once, 16 MiB; the estimator embeds them in chunks of its own


def hidden(
    samples: ReadSamples, rows: Int64[Tensor, " k"], hide: Bool[Tensor, "k ..."], baseline: float | None = None
) -> Batch:
    """Copies of samples in which cells are missing, or hold a baseline; what was not observed stays missing."""
    copies = samples.batch.rows(rows)
    if baseline is None:
        return copies.replace(x=copies.x.masked_fill(hide, torch.nan))
    return copies.replace(x=copies.x.masked_fill(hide & samples.observed[rows], baseline))


def distances(z: Float[Tensor, "k d"], reference: Float[Tensor, "k d"], distance: Distance) -> Float64[Tensor, " k"]:
    r"""Distance of each row of z from that of the reference.

    ``"cosine"`` is :math:`1 - \cos(z, z')`, of which a zero vector has 1 from every other and 0 from another zero;
    ``"euclidean"`` is :math:`\|z - z'\|`.

    Examples
    --------
    >>> a, b = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    >>> distances(a, b, "cosine").tolist(), distances(a, b, "euclidean").round(decimals=3).tolist()
    ([1.0, 0.0], [2.236, 0.0])
    """
    z, reference = z.double(), reference.double()
    if distance == "euclidean":
        apart: Tensor = torch.linalg.vector_norm(z - reference, dim=1)
        return apart
    sizes = z.norm(dim=1), reference.norm(dim=1)
    scale = sizes[0] * sizes[1]
    cosine = (z * reference).sum(dim=1) / torch.where(scale > 0, scale, 1.0)
    both_zero = (sizes[0] == 0) & (sizes[1] == 0)
    return torch.where(both_zero, 0.0, (1 - cosine).clamp_min(0))


def moved(
    samples: ReadSamples,
    rows: Int64[Tensor, " m"],
    hide: Callable[[Int64[Tensor, " k"]], Bool[Tensor, "k ..."]],
    *,
    distance: Distance,
    baseline: float | None = None,
    measure: Callable[[Float[Tensor, "k d"], Int64[Tensor, " k"]], Float64[Tensor, " k"]] | None = None,
) -> Float64[Tensor, " m"]:
    """How far the representation of each hidden copy lies from that of its sample.

    Copies are made in chunks, so that memory does not grow with their number.

    Parameters
    ----------
    samples : ReadSamples
        The samples.
    rows : Tensor (m,)
        Which sample each copy is of.
    hide : callable
        The cells that are hidden in the copies of these numbers, 0 to m - 1.
    distance : {"cosine", "euclidean"}
        As of :func:`distances`.
    baseline : float, optional
        What hidden cells hold; missing by default.
    measure : callable, optional
        What is measured in place of the distance: of representations, and of which sample each is.
    """
    found = torch.zeros(len(rows), dtype=torch.float64)
    chunk = max(1, _CHUNK_CELLS // max(1, samples.batch.x[:1].numel()))
    for part in torch.split(torch.arange(len(rows)), chunk):
        z = samples.embed(hidden(samples, rows[part], hide(part), baseline))
        if measure is not None:
            found[part] = measure(z, rows[part])
        else:
            found[part] = distances(z, samples.embedded[rows[part]], distance)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """Cells that are hidden together: windows of each channel, or columns.

    Parameters
    ----------
    of : Tensor (n, channels, time) or (n, columns)
        Which unit each cell is in; -1 where nothing was observed.
    number : int
        Units of a sample, those without an observed cell among them.
    """

    of: Int64[Tensor, "n ..."]
    number: int

    @property
    def sizes(self) -> Int64[Tensor, "n u"]:
        """Observed cells of each unit."""
        flat = self.of.flatten(1)
        counted = torch.zeros(len(flat), self.number + 1, dtype=torch.int64)
        return counted.scatter_add_(1, flat + 1, torch.ones_like(flat))[:, 1:]

    def cells(self, rows: Int64[Tensor, " k"], units: Bool[Tensor, "k u"]) -> Bool[Tensor, "k ..."]:
        """Cells of these units, in copies of these rows."""
        of = self.of[rows]
        chosen = units.gather(1, of.flatten(1).clamp_min(0)).view_as(of)
        return chosen & (of >= 0)

    def means(self, values: Float64[Tensor, "n ..."]) -> Float64[Tensor, "n u"]:
        """Mean over the observed cells of each unit; 0 where it has none."""
        flat = self.of.flatten(1)
        summed = torch.zeros(len(flat), self.number + 1, dtype=torch.float64)
        summed.scatter_add_(1, flat + 1, torch.nan_to_num(values.double()).flatten(1))
        return summed[:, 1:] / self.sizes.clamp_min(1)

    def spread(self, values: Float64[Tensor, "n u"]) -> Float64[Tensor, "n ..."]:
        """The value of its unit for each cell; NaN where nothing was observed."""
        cells = values.gather(1, self.of.flatten(1).clamp_min(0)).view_as(self.of)
        return cells.masked_fill(self.of < 0, torch.nan)


def units_of(samples: ReadSamples, windows: int = WINDOWS) -> Units:
    r"""Units of samples: each column of a table; of series so many windows of each channel, over each one's own length.

    Step t of a series of L steps is in window :math:`\lfloor t W / L \rfloor`; of W windows some are empty where a
    series has fewer steps.
    """
    x = samples.batch.x
    if x.ndim == 2:
        of, number = torch.arange(x.shape[1]).expand(x.shape), x.shape[1]
    else:
        step = torch.arange(x.shape[2])[None, :] * windows
        window = torch.div(step, samples.lengths[:, None].clamp_min(1), rounding_mode="floor")
        channel = torch.arange(x.shape[1])[None, :, None] * windows
        of, number = window[:, None, :] + channel, x.shape[1] * windows
    return Units(torch.where(samples.observed, of, -1), number)
