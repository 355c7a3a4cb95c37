"""Predicting one view's future from the other view's past."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._blockwise import Diagonal, logsumexp_rows
from kinview.losses._checks import check_one_of
from kinview.losses.base import Loss
from kinview.tensor_checks import check_finite, check_tensors, full_precision, softplus, widen

__all__ = ["TemporalCPC", "temporal_cpc"]

Among = Literal["contexts", "futures"]
_FAR = 1e30  # exp(−1e30) is 0 in float32 and in float64


def temporal_cpc(
    predictions: Float[Tensor, "n *k d"],
    futures: Float[Tensor, "n *k d"],
    among: Among = "contexts",
    *,
    observed: Bool[Tensor, "n ..."] | None = None,
) -> Float[Tensor, ""]:
    r"""Contrastive prediction of the steps t + 1 … t + K of one view from a context of the other view.

    .. math:: L = -\frac{1}{n K} \sum_{k} \sum_i
              \log \frac{\exp(f_{ik} \cdot p_{ik})}{\sum_j \exp(f_{ik} \cdot p_{jk})}

    where p are linear predictions from the contexts and f the features that came. TS-TCC sums it over both directions
    between its two views.

    Parameters
    ----------
    predictions, futures : Tensor
        ``(n, k, d)``, or ``(n, d)`` for one step; dot products, neither normalised nor tempered.
    among : {'contexts', 'futures'}, default 'contexts'
        Over what each softmax runs: a future has to find its context (the official TS-TCC code), or a context its
        future (CPC).
    observed : Tensor, optional
        Pairs ``(n, k)``, or ``(n,)``, that there are: a short series has no step t + k. The others are left out of the
        mean and of every softmax. All by default; zero, connected to the graph, where there is none.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not finite.

    References
    ----------
    .. [1] Eldele et al., Time-Series Representation Learning via Temporal and Contextual Contrasting, IJCAI 2021,
           arXiv 2106.14112.
    .. [2] van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018, arXiv 1807.03748.

    Examples
    --------
    >>> import torch
    >>> round(temporal_cpc(torch.zeros(8, 3, 4), torch.zeros(8, 3, 4)).item(), 4)  # log 8
    2.0794
    """
    check_tensors("temporal_cpc", predictions=predictions, futures=futures)
    if predictions.shape != futures.shape or predictions.ndim not in (2, 3):
        raise ValueError(
            "temporal_cpc needs predictions and futures of one shape, (n, k, d) or (n, d); "
            f"predictions is {tuple(predictions.shape)}, futures is {tuple(futures.shape)}"
        )
    if 0 in predictions.shape:
        raise ValueError(f"temporal_cpc needs rows, steps and dimensions; predictions is {tuple(predictions.shape)}")
    check_finite("temporal_cpc", predictions=predictions, futures=futures)
    check_one_of(Among, among=among)
    with full_precision(predictions):
        anchors, keys = (futures, predictions) if among == "contexts" else (predictions, futures)
        anchors, keys = widen(anchors), widen(keys)
        if anchors.ndim == 2:
            anchors, keys = anchors.unsqueeze(1), keys.unsqueeze(1)
        same = (anchors * keys).sum(dim=2)
        if observed is not None:
            observed = _check_observed(observed, predictions).view(same.shape)
            anchors, keys = _barred(anchors, keys, observed)
        own = Diagonal(place(len(anchors), anchors.device)[0])
        others = logsumexp_rows(anchors.transpose(0, 1), gather(keys).transpose(0, 1), masks=(own,))
        # log(1 + exp(others − own)): nothing cancels, however well a row is found
        return global_mean(softplus(others.T - same), observed)


@losses.register("temporal_cpc", modality="time_series", reference="Eldele et al., TS-TCC, IJCAI 2021")
class TemporalCPC(Loss):
    """Module form of :func:`temporal_cpc`."""

    needs_negatives = True
    gathers = True

    def __init__(self, among: Among = "contexts") -> None:
        super().__init__()
        check_one_of(Among, among=among)
        self.among: Among = among

    def forward(
        self,
        predictions: Float[Tensor, "n *k d"],
        futures: Float[Tensor, "n *k d"],
        *,
        observed: Bool[Tensor, "n ..."] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of predictions and what came, ``(n, k, d)``."""
        return temporal_cpc(predictions, futures, self.among, observed=observed)


def _check_observed(observed: Tensor, predictions: Tensor) -> Tensor:
    if observed.dtype != torch.bool or observed.shape != predictions.shape[:-1]:
        raise ValueError(
            f"temporal_cpc needs observed as a boolean tensor {tuple(predictions.shape[:-1])}, one entry a pair; "
            f"it is {observed.dtype} {tuple(observed.shape)}"
        )
    return observed


def _barred(anchors: Tensor, keys: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """One more coordinate, which puts the similarity of a key that is not there below every other."""
    bar = torch.where(observed, 0.0, -_FAR).to(keys.dtype).unsqueeze(2)
    return torch.cat([anchors, torch.ones_like(bar)], dim=2), torch.cat([keys, bar], dim=2)
