"""A pre-trained network and a classification head, trained with labels by the one training loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.methods.fine_tuning.layers import Layer
from kinview.training.method import LossResult, Method

if TYPE_CHECKING:
    from kinview.methods.fine_tuning import FineTunedClassifier

__all__ = ["FineTuningMethod", "Freeze"]

Freeze = Literal["none", "encoder", "gradual"]


class FineTuningMethod(Method):
    r"""Cross-entropy of :math:`h(f(x))`, f the embedding of another method and h a head.

    The only view is the batch itself. With L layers in f, ``freeze="gradual"`` trains the head alone at first, and from
    progress :math:`k / (2 (L + 1))` on the k topmost layers with it: from half of the training on all of them.

    Parameters
    ----------
    parameters : FineTunedClassifier
        Says which layers are trained (``freeze``), and at which rate (``encoder_lr``).
    encoder : Method
        What embeds; its own views and loss are not used.
    head : nn.Module
        From a representation to one score a class.
    layers : sequence of Layer
        Layers of the encoder that an embedding rests on, from the input to the top.

    Notes
    -----
    What is not trained at a step is in eval mode then: no dropout, and statistics of BatchNorm stay as they are.
    """

    def __init__(
        self, parameters: FineTunedClassifier, encoder: Method, head: nn.Module, layers: Sequence[Layer]
    ) -> None:
        super().__init__(encoder.sizes)
        self.encoder = encoder
        self.head = head
        self.freeze = parameters.freeze
        self.encoder_lr = parameters.encoder_lr
        self._layers = list(layers)
        self._thaw(0.0)

    @property
    def trained_layers(self) -> int:
        """How many of the topmost layers are trained at present."""
        return self._trained

    def before_step(self, progress: float) -> None:
        """Let those layers be trained that the progress says."""
        self._thaw(progress)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The batch as it is."""
        return [batch]

    def loss(self, views: list[Batch]) -> LossResult:
        """Cross-entropy, and the fraction of the rows that are classified correctly."""
        (batch,) = views
        assert batch.y is not None
        scores = self.scores(batch)
        accuracy = (scores.argmax(dim=1) == batch.y).float().mean()
        return LossResult(F.cross_entropy(scores, batch.y), {"accuracy": float(accuracy)})

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representation by the network as it was trained with labels."""
        return self.encoder.embed(batch)

    def scores(self, batch: Batch) -> Float[Tensor, "n classes"]:
        """One score a class; their softmax is the probability.

        A frozen encoder's representation may travel with the batch, as ``extra["representation"]``.
        """
        z = batch.extra.get("representation")
        out: Tensor = self.head(self.embed(batch) if z is None else z)
        return out

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The head, and the encoder where it is trained, with its own learning rate."""
        groups: list[dict[str, Any]] = [{"params": list(self.head.parameters())}]
        if self.freeze != "encoder":
            rate = {} if self.encoder_lr is None else {"lr": self.encoder_lr}
            groups.append({"params": [p for layer in self._layers for p in layer.parameters], **rate})
        return groups

    def train(self, mode: bool = True) -> FineTuningMethod:
        """Train mode for what is trained, eval mode for the rest."""
        super().train(mode)
        if mode:
            self._set_modes()
        return self

    def release(self) -> None:
        """Let every parameter be trained again, for whoever uses the network next."""
        self.requires_grad_(True)

    def _thaw(self, progress: float) -> None:
        total = len(self._layers)
        counts = {"none": total, "encoder": 0, "gradual": min(total, int(2 * (total + 1) * progress + 1e-9))}
        self._trained = counts[self.freeze]
        self.encoder.requires_grad_(False)
        for layer in self._layers[total - self._trained :]:
            for parameter in layer.parameters:
                parameter.requires_grad_(True)
        if self.training:
            self._set_modes()

    def _set_modes(self) -> None:
        whole = self._trained == len(self._layers)
        self.encoder.train(whole)
        if not whole:
            for layer in self._layers[len(self._layers) - self._trained :]:
                for module in layer.modules:
                    module.training = True
