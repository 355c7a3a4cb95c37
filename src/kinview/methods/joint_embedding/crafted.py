"""Views that are crafted against the method itself, by raising its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.methods.estimators.components import one_view_of

if TYPE_CHECKING:
    from kinview.methods.joint_embedding.method import JointEmbeddingMethod

__all__ = ["adversary_of", "crafted_view"]


def adversary_of(spec: Any, modality: str) -> Augmentation | None:
    """Augmentation that raises a loss, as the parameter ``adversary`` describes it.

    Raises
    ------
    ValueError
        If it is an augmentation that takes no loss.
    """
    if spec is None:
        return None
    view = one_view_of("adversary", spec, modality)
    if getattr(view, "bind_loss", None) is None:
        raise ValueError(
            f"adversary must be an augmentation that raises a loss, such as {{adversarial: {{epsilon: 0.05}}}}; "
            f"{view!r} takes none"
        )
    return view


def crafted_view(
    method: JointEmbeddingMethod, adversary: Any, first: Batch, second: Batch, generator: torch.Generator
) -> Batch:
    """The second view, moved so that its loss against the first one rises.

    The networks are in eval mode meanwhile, so that no statistic moves, and the gradient goes to the perturbation
    alone: whatever was in a parameter's ``.grad`` stays.
    """
    given = method.loss_arguments(first)
    training = method.training
    method.eval()
    try:
        with torch.no_grad():
            anchors = method.projector(method.embed(first))

        def raised(values: Tensor) -> Tensor:
            moved = method.projector(method.embed(second.replace(x=values)))
            # as the query: some losses stop the gradient at the target
            return method.loss_of_pair(moved, anchors, given)

        crafted: Batch = adversary.bind_loss(raised)(second, generator)
        return crafted
    finally:
        method.train(training)
