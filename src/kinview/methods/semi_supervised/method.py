"""Cross-entropy of the rows with a label, and a loss of rows without one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.methods.fine_tuning.method import FineTuningMethod
from kinview.training.method import LossResult

__all__ = [
    "PseudoLabelMethod",
    "SemiSupervisedMethod",
    "VIMESemiMethod",
    "pseudo_label_loss",
    "ramp_up",
    "score_variance",
]


def ramp_up(progress: float, start: float, end: float) -> float:
    """Weight that is 0 until the start, 1 from the end on, and rises linearly between.

    Examples
    --------
    >>> [ramp_up(p, 0.25, 0.75) for p in (0.1, 0.5, 0.75, 1.0)]
    [0.0, 0.5, 1.0, 1.0]
    >>> ramp_up(0.2, 0.5, 0.5), ramp_up(0.5, 0.5, 0.5)
    (0.0, 1.0)
    """
    if progress >= end:
        return 1.0
    return 0.0 if progress <= start else (progress - start) / (end - start)


def pseudo_label_loss(scores: Float[Tensor, "n classes"], threshold: float = 0.0) -> Float[Tensor, ""]:
    r"""Cross-entropy of scores with the class that they themselves put first.

    .. math:: -\frac{1}{n} \sum_{i:\, \max_k p_{ik} \ge \theta} \log \max_k p_{ik}

    Parameters
    ----------
    scores : Tensor
        ``(n, K)``; p is their softmax.
    threshold : float, default 0.0
        θ: rows of which the network is less sure do not count (0: all count).

    References
    ----------
    .. [1] Lee: Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks, ICML
       2013 workshop on challenges in representation learning.

    Examples
    --------
    >>> round(pseudo_label_loss(torch.tensor([[0.0, 0.0], [0.0, 0.0]])).item(), 4)  # log 2
    0.6931
    """
    surest = F.log_softmax(scores, dim=1).amax(dim=1)
    return -torch.where(surest.detach().exp() >= threshold, surest, 0).sum() / max(1, len(scores))


def score_variance(scores: Sequence[Float[Tensor, "n classes"]]) -> Float[Tensor, ""]:
    r"""Mean variance of the scores of the same rows in K views.

    .. math:: \frac{1}{n C} \sum_{i, c} \frac{1}{K} \sum_{k=1}^K (s_{kic} - \bar s_{ic})^2

    Parameters
    ----------
    scores : sequence of Tensor
        K tensors ``(n, C)``; one alone has no variance.

    References
    ----------
    .. [1] Yoon, Zhang, Jordon, van der Schaar: VIME: Extending the Success of Self- and Semi-supervised Learning to
       Tabular Domain, NeurIPS 2020.

    Examples
    --------
    >>> score_variance([torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 1.0]])]).item()
    0.5
    """
    return torch.stack(list(scores)).var(dim=0, correction=0).mean()


class SemiSupervisedMethod(FineTuningMethod):
    r"""Fine-tuning with a further term, :math:`L + w(t)\, L_u`: L the cross-entropy of the labelled rows of a batch.

    L_u is a loss of ``unlabelled_ratio`` times as many rows that have no label, drawn uniformly at each step. In eval
    mode the loss is L alone. Parameters are those of :class:`FineTuningMethod`; the first of them says the ratio too.

    Attributes
    ----------
    pool : Batch or None
        Training rows without a label, on the CPU; None outside of training.
    """

    pool: Batch | None

    def __init__(self, parameters: Any, *parts: Any) -> None:
        super().__init__(parameters, *parts)
        self.ratio = parameters.unlabelled_ratio
        self.weight = 0.0
        self.pool = None

    @abstractmethod
    def weight_at(self, progress: float) -> float:
        """Weight w of the further term."""

    @abstractmethod
    def unlabelled_views(self, rows: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Views of rows without a label."""

    @abstractmethod
    def unlabelled_loss(self, scores: list[Float[Tensor, "n classes"]]) -> Float[Tensor, ""]:
        """L_u of the scores of each view."""

    def before_step(self, progress: float) -> None:
        """Let those layers be trained, and the further term weigh as much, as the progress says."""
        super().before_step(progress)
        self.weight = self.weight_at(progress)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The labelled rows as they are, and views of rows without a label."""
        if self.pool is None or not len(self.pool):
            return [batch]
        drawn = torch.randint(len(self.pool), (self.ratio * len(batch),), generator=generator)
        rows = self.pool.rows(drawn).to(batch.x.device)
        return [batch, *self.unlabelled_views(rows, generator, progress)]

    def loss(self, views: list[Batch]) -> LossResult:
        """Cross-entropy of the labelled rows and, in train mode, the weighted loss of the others."""
        result = super().loss(views[:1])
        if not self.training or self.weight == 0 or len(views) == 1:
            return result
        further = self.unlabelled_loss([self.scores(view) for view in views[1:]])
        return LossResult(result.loss + self.weight * further, {**result.logs, "unlabelled": float(further.detach())})

    def release(self) -> None:
        """Let every parameter be trained again, and forget the training rows."""
        super().release()
        self.pool = None


class PseudoLabelMethod(SemiSupervisedMethod):
    """Rows without a label have, at each step, the class that the network puts first as theirs."""

    def __init__(self, parameters: Any, *parts: Any) -> None:
        super().__init__(parameters, *parts)
        self.full_weight, self.ramp, self.threshold = parameters.weight, parameters.ramp, parameters.threshold

    def weight_at(self, progress: float) -> float:
        """From 0 to the full weight along the ramp."""
        return float(self.full_weight) * ramp_up(progress, *self.ramp)

    def unlabelled_views(self, rows: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The rows as they are."""
        return [rows]

    def unlabelled_loss(self, scores: list[Float[Tensor, "n classes"]]) -> Float[Tensor, ""]:
        """Cross-entropy with the network's own classes."""
        return pseudo_label_loss(scores[0], self.threshold)


class VIMESemiMethod(SemiSupervisedMethod):
    """Corrupted copies of a row without a label are to have the same scores.

    Attributes
    ----------
    corruptions : tuple of Augmentation
        The augmentation that makes the copies, once it has learned from all training rows; empty outside of training.
    """

    def __init__(self, parameters: Any, *parts: Any) -> None:
        super().__init__(parameters, *parts)
        self.consistency_weight, self.copies = parameters.weight, parameters.copies
        self.corruptions: tuple[Augmentation, ...] = ()  # not an attribute by itself: it has learned from more rows

    def weight_at(self, progress: float) -> float:
        """The same throughout."""
        return float(self.consistency_weight)

    def unlabelled_views(self, rows: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Corrupted copies of the rows."""
        (corruption,) = self.corruptions
        view = corruption.at(progress)
        return [view(rows, generator) for _ in range(self.copies)]

    def unlabelled_loss(self, scores: list[Float[Tensor, "n classes"]]) -> Float[Tensor, ""]:
        """Variance of the scores over the copies."""
        return score_variance(scores)

    def release(self) -> None:
        """Let every parameter be trained again, and forget the training rows and what was learned of them."""
        super().release()
        self.corruptions = ()
