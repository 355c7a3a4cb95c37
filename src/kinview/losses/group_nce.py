"""InfoNCE with the rows of one group as positives: CLOCS' CMSC, CMLC and CMSMLC."""

from __future__ import annotations

from itertools import combinations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._groups import Groups
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.losses.clip import both_ways
from kinview.tensor_checks import check_positive, check_rows, check_views, full_precision, softplus

__all__ = ["GroupNCE", "group_nce"]


def group_nce(
    *views: Float[Tensor, "n d"], groups: Shaped[Tensor, " n"], temperature: float = 0.1
) -> Float[Tensor, ""]:
    r"""Rows of the same group (one patient's segments or leads) are positives across views.

    .. math:: L = \operatorname*{mean}_{A \ne B}\; \frac{-1}{|P|} \sum_{(i, j) \in P} \log
              \frac{e^{s(A_i, B_j)/\tau}}{\sum_k e^{s(A_i, B_k)/\tau}}, \quad
              P = \{(i, j): g_i = g_j\}

    over the ordered pairs of views. Two adjacent segments as views make CMSC, the leads of a recording CMLC, both of
    them CMSMLC.

    Parameters
    ----------
    *views : Tensor
        Two or more views ``(n, d)``; normalised here.
    groups : Tensor
        Group of each row ``(n,)``.
    temperature : float, default 0.1
        τ (paper).

    Notes
    -----
    The official code trains the last pair of views alone and leaves out half of the positives that are not on the
    diagonal; here all pairs of views and of rows count, and the value does not grow with the number of views.

    References
    ----------
    .. [1] Kiyasseh et al., CLOCS: Contrastive Learning of Cardiac Signals Across Space, Time, and Patients, ICML 2021,
       arXiv 2005.13249.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(group_nce(collapsed, collapsed, groups=torch.tensor([0, 0, 1, 2])).item(), 4)  # log 4
    1.3863
    """
    if len(views) < 2:
        raise ValueError(f"group_nce contrasts views with each other; got {len(views)}, give at least two")
    check_views("group_nce", **dict(zip(_names(len(views)), views, strict=True)))
    check_positive(temperature, "temperature")
    check_rows("group_nce", len(views[0]), groups=groups)
    with full_precision(views[0]):
        rows = [unit(view) for view in views]
        start, total = place(len(groups), groups.device)
        own = Groups(groups, start)
        sums = [own.sums(gather(view)) for view in rows]
        values = []
        for i, j in combinations(range(len(rows)), 2):
            normalisers = both_ways(rows[i], rows[j], 1 / temperature, (own.leaving_out(1),))
            for others, view, positives in zip(normalisers, (rows[i], rows[j]), (sums[j], sums[i]), strict=True):
                gap = own.counts * others - (view * positives).sum(dim=1) / temperature
                # an only positive is left out of the sum and comes back in the softplus, so that nothing cancels
                values.append(softplus(gap).where(own.counts == 1, gap))
        return global_mean(torch.stack(values).mean(dim=0)) * total / own.pairs


def _names(number: int) -> list[str]:
    """Names of the views in messages: a and b, or their places."""
    return ["a", "b"] if number == 2 else [f"view_{i}" for i in range(number)]


@losses.register("group_nce", modality="any", reference="Kiyasseh et al., CLOCS, ICML 2021")
class GroupNCE(Loss):
    """Module form of :func:`group_nce`."""

    needs_groups = True
    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        self.temperature = temperature

    def forward(self, *views: Float[Tensor, "n d"], groups: Shaped[Tensor, " n"]) -> Float[Tensor, ""]:
        """The loss of two or more views ``(n, d)`` with their groups."""
        return group_nce(*views, groups=groups, temperature=self.temperature)
