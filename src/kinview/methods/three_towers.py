"""Three towers: two sides learn from each other, and from what a model has learned of one of them already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.data.paired import PairedData
from kinview.losses.three_towers import ThreeTowers as ThreeTowersLoss
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.locked_models import embedded, locked_model
from kinview.methods.paired_embedding import PairedEmbeddingMethod, TwoTowers, projector_sizes
from kinview.parameters import parameterised, spec
from kinview.training.method import LossResult, Method, Sizes

__all__ = ["ThreeTowers", "ThreeTowersMethod"]

_THIRD = "third"  # where extra of a training batch holds what the third tower says


class ThreeTowersMethod(PairedEmbeddingMethod):
    """Both sides are trained; each is drawn to the other and to the third tower, through heads of its own."""

    def _contrast(self, parameters: Any) -> nn.Module:
        third_dim = getattr(parameters, "third_dim_", 1)  # of an estimator that has not seen its third tower yet
        return ThreeTowersLoss(self._common_dim(), third_dim, temperature=parameters.temperature)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Both sides, each as its augmentation shows it; the first one carries what the third tower says."""
        first, second = super().views(batch, generator, progress)
        return [first.replace(extra={**first.extra, _THIRD: batch.extra[_THIRD]}), second]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Mean of the three losses."""
        third = views[0].extra[_THIRD]
        assert isinstance(third, Tensor)
        value = self.contrast(*self._projections(representations), third)
        return LossResult(value, {"scale": float(self.scale)})

    def inference_state(self) -> dict[str, Tensor]:
        """Towers and the temperature; the heads that face the third tower serve training only."""
        kept = super().inference_state().items()
        return {name: v for name, v in kept if not name.startswith("contrast.") or name == "contrast.log_scale"}


@methods.register("three_towers", reference="Kossen et al.: Three Towers, NeurIPS 2023, arXiv 2305.16999")
@parameterised
class ThreeTowers(TwoTowers):
    r"""Three towers: both sides are trained with each other, and each with a frozen model of one of them.

    With the towers f and g, the frozen model h, and linear heads between each of both and h, the loss is

    .. math:: \tfrac13 \big(L_{f \leftrightarrow g} + L_{f_h \leftrightarrow h_f} + L_{g_h \leftrightarrow h_g}\big),

    L that of :class:`CLIP`. The third tower and the heads are left behind when training ends: what h knows is used, and
    where h is of little use both towers still learn from each other (:class:`LiT` has nothing but h there).

    Notes
    -----
    =========== ========================================= ====================== =======================================
    what        paper                                     official code          kinview
    =========== ========================================= ====================== =======================================
    third tower image model, trained with labels          not read               any model of either side
    heads       linear, from each tower and from h        not read               the same
    temperature learned, shared by the three losses       not read               the same
                (recalled)
    training    Adafactor, 14,336 pairs a batch           not read               that of SimCLR here
                (recalled)
    =========== ========================================= ====================== =======================================

    References
    ----------
    .. [1] Kossen, Collier, Mustafa, Wang, Zhai, Beyer, Steiner, Berent, Jenatton, Kokiopoulou: Three Towers: Flexible
       Contrastive Learning with Pretrained Image Models, NeurIPS 2023, arXiv 2305.16999.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from kinview import PairedData
    >>> from kinview.methods import MiniRocket, ThreeTowers
    >>> t, phase = np.linspace(0, 6, 40), np.arange(20) / 3
    >>> waves = np.sin(t + phase[:, None])[:, None, :]
    >>> pairs = PairedData(series=waves, table=pd.DataFrame({"phase": phase}))
    >>> known = MiniRocket(features=84, random_state=0).fit(waves)
    >>> ThreeTowers(third=known, trainer={"max_steps": 2}, random_state=0).fit(pairs).transform(pairs).shape
    (20, 384)
    """

    projector: Any = projector_sizes()
    third: Any = spec(
        None,
        "method",
        words="estimator, str or mapping",
        doc="The third tower: a *fitted* kinview estimator (wrap it in :class:`sklearn.frozen.FrozenEstimator` for a "
        "grid search), or a spec, which is trained on its side first. By default TS2Vec for series, SCARF for tables.",
    )
    third_side: str = shared.side("series", "Name of the side that it embeds.")
    temperature: float = shared.temperature(0.07, "at first; the logarithm of 1/τ is learned (as in CLIP).")

    method_class: ClassVar[type[Method]] = ThreeTowersMethod
    training_only: ClassVar[frozenset[str]] = TwoTowers.training_only | {"third", "third_side"}

    def _check_side(self, names: Any) -> None:
        super()._check_side(names)
        if self.third_side not in names:
            raise ValueError(f"third_side must be {' or '.join(map(repr, names))}; got {self.third_side!r}")

    def _read_training(self, pairs: PairedData, groups: Any, *, train: bool) -> Batch:
        """With what the third tower says of each sample; one that lacks its side is not trained on."""
        batch = super()._read_training(pairs, groups, train=train)
        side = pairs.side(self.third_side)
        rows = side.rows()
        Z = torch.from_numpy(embedded(locked_model("third", self.third, rows, self._seed(), train=train), rows))
        self.third_dim_ = Z.shape[1]
        third = torch.zeros(len(pairs), Z.shape[1])
        third[torch.from_numpy(side.present)] = Z
        return batch.replace(extra={**batch.extra, _THIRD: third})

    def _restore_network(self, sizes: Sizes, tensors: Mapping[str, Tensor]) -> None:
        self.third_dim_ = 1  # its heads are not stored, and of no use any more
        super()._restore_network(sizes, tensors)
