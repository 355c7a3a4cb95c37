"""FactorCL: what two sides of a sample share is kept, and what each has alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.data.modality import TABLE
from kinview.losses.factor_cl import FactorCL as FactorCLLoss
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import one_view_of
from kinview.methods.paired_embedding import PairedEmbeddingMethod, Tower, TwoTowers
from kinview.parameters import parameterised, whole
from kinview.training.method import LossResult, Method, PairSizes, Sizes

__all__ = ["FactorCL", "FactorCLMethod"]

_VIEW_OF_TABLES = {"column_corruption": {"corruption_rate": 0.3}}
_HEADS = 5  # of each side


class FactorCLMethod(PairedEmbeddingMethod):
    """An encoder for each side with a head for each bound, and critics that tell true pairs from others."""

    contrast: FactorCLLoss

    def _towers(self, parameters: Any, sizes: PairSizes) -> tuple[Tower, Tower]:
        return self._tower(parameters, sizes.first), self._tower(parameters, sizes.second)

    @staticmethod
    def _tower(parameters: Any, sizes: Sizes) -> Tower:
        tower = Tower.of(parameters, sizes, depth=0)  # heads stand in place of a projector
        if tower.view is None:
            tower.view = one_view_of("table_augmentation", _VIEW_OF_TABLES, TABLE)
        return tower

    def _contrast(self, parameters: Any) -> nn.Module:
        for tower, dim in zip(self.towers, self.dims, strict=True):
            tower.mean = torch.zeros(_HEADS * dim)
        return FactorCLLoss(*self.dims, hidden_dim=parameters.hidden_dim)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Both sides as they are, and the view of each that is its condition."""
        return [*self._sides(batch), *super().views(batch, generator, progress)]

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """What the encoders make of both sides, and of the view of each."""
        return [tower.features(view) for tower, view in zip((*self.towers, *self.towers), views, strict=True)]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """The six bounds and the loss of the critics."""
        return LossResult(self.contrast(*representations))

    def compared(self, views: list[Batch]) -> list[Float[Tensor, "n e"]]:
        """Representations of the samples, and of their views."""
        a, b, view_of_a, view_of_b = views
        return [
            torch.cat([self._features(one, 0), self._features(other, 1)], dim=1)
            for one, other in ((a, b), (view_of_a, view_of_b))
        ]

    def logits(self, of: Float[Tensor, "n e"], among: Float[Tensor, "m f"], number: int) -> Float[Tensor, "n m"]:
        """Scores of the critic of what both sides share."""
        critic = self.contrast.critics["shared"]
        scores: Tensor = critic(among, of) if number else critic(of, among).T
        return scores

    def _features(self, own: Batch, number: int) -> Float[Tensor, "n d"]:
        return self.contrast.embed_side(super()._features(own, number), number)

    def _projection(self, own: Batch, number: int) -> Float[Tensor, "n e"]:
        heads = self.contrast.heads_b if number else self.contrast.heads_a
        out: Tensor = heads["shared"](super()._features(own, number))
        return out

    def inference_state(self) -> dict[str, Tensor]:
        """Encoders, heads, and the critic of what both sides share, by which :meth:`logits` are; no other critic."""
        kept = super().inference_state().items()
        return {
            name: value
            for name, value in kept
            if not name.startswith("contrast.critics.") or name.startswith("contrast.critics.shared.")
        }


@methods.register(
    "factor_cl", reference="Liang et al.: Factorized Contrastive Learning, NeurIPS 2023, arXiv 2306.05268"
)
@parameterised
class FactorCL(TwoTowers):
    r"""FactorCL: what both sides of a sample share is kept, and what each of them has alone, each in heads of its own.

    A contrast of two sides (:class:`CLIP`) keeps what they share and has no reason to keep anything else. FactorCL adds
    what a side has alone. With the sides :math:`x_1, x_2`, and a view of each, :math:`y_1, y_2`, as the condition that
    says what of a side is worth keeping,

    .. math:: L = - I_{NCE}(x_1; x_2) - I_{NCE}(x_1; y_1) - I_{NCE}(x_2; y_2) - I_{NCE}(x_1; x_2 | y)
              + I_{CLUB}(x_1; x_2) + I_{CLUB}(x_1; x_2 | y) + L_{critics}.

    Lower bounds (InfoNCE) are raised, upper ones (CLUB) lowered; see :class:`kinview.losses.FactorCL`. Each bound has a
    head of its own on the encoder of a side, and a critic, a perceptron that scores a pair. The representation of a
    side is its five heads beside each other.

    Notes
    -----
    The two sides come into no common space: a critic compares them. So there is no ``project``; ``match`` gives the
    critic's probabilities. It learns to tell the first sides apart that a second one may belong to: ask by
    ``side`` = the second one. The other way round each candidate carries an offset that no one has learned.

    A step scores all pairs of a batch by eight perceptrons, n²·``hidden_dim``² products each: of 128 samples 3.6 s of
    one core, some fifteen times a step of :class:`CLIP` with its encoders; a ``hidden_dim`` of 128 takes 0.4 s.

    Where encoders have room to spare they keep what a side has alone without being asked, and the bounds add little.

    =========== ============================== ==================================== ====================================
    what        paper                          official code                        kinview
    =========== ============================== ==================================== ====================================
    condition   an augmented view of each      the view is written into the input,  a view of each side, the side itself
                side; "unique" ones, made by   so that side and condition are one   as it is; any augmentation by
                hand for a task, that spare                                         parameter, none depends on the other
                what the other side tells                                           side
    labels      in their place, supervised     the same                             of the loss alone
                                                                                    (``condition_dim``)
    critics     one a bound, trained in turn   an Adam of their own, 1 to 5 steps   one backward pass, one optimiser:
                                               for one of the rest; two hidden      the gradients of both, apart from
                                               layers of 512                        each other
    temperature none                           taken and ignored                    none
    embedding   –                              five heads of each side              the same
    training    –                              Adam 1e-4                            that of SimCLR here; no weight decay
                                                                                    of heads and critics
    =========== ============================== ==================================== ====================================

    References
    ----------
    .. [1] Liang, Deng, Ma, Zou, Morency, Salakhutdinov: Factorized Contrastive Learning: Going Beyond Multi-view
       Redundancy, NeurIPS 2023, arXiv 2306.05268.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from kinview import PairedData
    >>> from kinview.methods import FactorCL
    >>> t, phase = np.linspace(0, 6, 40), np.arange(20) / 3
    >>> waves = np.sin(t + phase[:, None])[:, None, :]
    >>> pairs = PairedData(series=waves, table=pd.DataFrame({"phase": phase, "ward": list("ab") * 10}))
    >>> encoder = {"dilated_conv": {"repr_dim": 8, "depth": 2}}
    >>> model = FactorCL(encoder, {"mlp": {"hidden_dim": 8, "depth": 2}}, hidden_dim=16, trainer={"max_steps": 2})
    >>> model.fit(pairs).transform(pairs).shape, model.transform(pairs, side="table").shape
    ((20, 80), (20, 40))
    >>> model.match(pairs, pairs[:3], side="table").shape
    (20, 3)
    """

    series_augmentation: Any = shared.augmentation(
        "simclr_har", "Any registered augmentation of one view: it makes the condition of a side of series."
    )
    table_augmentation: Any = shared.augmentation(
        None, "The same of a side of tables. None: ``{column_corruption: {corruption_rate: 0.3}}``."
    )
    hidden_dim: int = whole(512, low=1, doc="Width of the two hidden layers of each critic (official code).")

    method_class: ClassVar[type[Method]] = FactorCLMethod
    projects: ClassVar[bool] = False
