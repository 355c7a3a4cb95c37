"""Shapley values by sampling: what each window or column adds, on average over the orders in which all are shown."""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kinview.explanations import explainers
from kinview.explanations.explainer import Explainer
from kinview.explanations.hiding import WINDOWS, Units, moved, units_of
from kinview.explanations.samples import ReadSamples
from kinview.parameters import whole

__all__ = ["Shapley", "shapley_values"]


def shapley_values(
    samples: ReadSamples,
    units: Units,
    rows: Int64[Tensor, " m"],
    permutations: int,
    generator: torch.Generator,
) -> Float64[Tensor, "m u"]:
    """Sampled Shapley values of the units of some samples; see :class:`Shapley`."""
    m, number = len(rows), units.number
    half = torch.rand(m, -(-permutations // 2), number, generator=generator).argsort(dim=2)
    orders = torch.cat([half, half.flip(2)], dim=1)[:, :permutations]  # an order and its reverse
    rank = orders.argsort(dim=2)  # when each unit is shown
    shown = torch.arange(number)  # how many are: from none to all but one

    def hide(k: Int64[Tensor, " k"]) -> Bool[Tensor, "k ..."]:
        row, order = k // (permutations * number), k // number % permutations
        return units.cells(rows[row], rank[row, order] >= shown[k % number, None])

    copies = rows.repeat_interleave(permutations * number)
    value = 1 - moved(samples, copies, hide, distance="cosine").view(m, permutations, number)
    whole_sample = torch.ones(m, permutations, 1, dtype=torch.float64)  # nothing is hidden
    added = torch.cat([value[:, :, 1:], whole_sample], dim=2) - value
    return added.gather(2, rank).mean(dim=1)


@explainers.register("shapley", modality="any", reference="Castro et al., Computers & Operations Research 2009")
@dataclasses.dataclass(frozen=True)
class Shapley(Explainer):
    r"""Shapley values by sampling: what each window, or column, adds to the similarity with the sample.

    With S the set of units (windows of a channel, columns) that are shown while the others are missing, and the value
    :math:`v(S) = \cos(f(x_S), f(x))`, the importance of unit u is the mean over orders :math:`\pi` of all units,

    .. math:: A_u = \frac{1}{P} \sum_{\pi} v(S_{\pi u} \cup \{u\}) - v(S_{\pi u}),

    where :math:`S_{\pi u}` stands before u in :math:`\pi`. The sum over all units is exactly
    :math:`1 - v(\emptyset)`. Each second order is the reverse of the one before, which lowers the variance.

    Parameters
    ----------
    windows : int, default 20
        Windows that each channel of a series is cut into, over its own length; all steps of one are equally important.
    permutations : int, default 16
        Orders P. Each takes as many representations of a sample as it has units.

    Notes
    -----
    Of two units that say the same each gets half of what both say; :class:`Occlusion` gives neither anything, since
    either can be hidden without loss. A sample in which nothing is observed has the zero vector, of similarity 0.
    A value that was not observed has no importance (NaN).

    References
    ----------
    .. [1] Castro, Gómez, Tejada: Polynomial calculation of the Shapley value based on sampling, Computers & Operations
       Research 36, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import explain
    >>> from kinview.methods import RawFeatures
    >>> X = np.random.default_rng(0).normal(size=(4, 3))
    >>> found = explain(RawFeatures().fit(X), X, "shapley", permutations=6)
    >>> found.values.shape
    (4, 3)
    """

    windows: int = whole(WINDOWS, low=1)
    permutations: int = whole(16, low=1)

    def attribute(self, samples: ReadSamples, generator: torch.Generator) -> Float64[Tensor, "n ..."]:
        """Shapley value of its unit for each cell."""
        units = units_of(samples, self.windows)
        found = shapley_values(samples, units, torch.arange(len(samples)), self.permutations, generator)
        return units.spread(found)
