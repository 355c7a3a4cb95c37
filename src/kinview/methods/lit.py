"""LiT: one side is what a model has learned already and stays as it is; the other side learns to find it."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.data.paired import Side
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.locked_models import embedded, locked_model
from kinview.methods.estimators.model_file import restored_inner
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.side_readers import ModelReader, SideReader
from kinview.methods.paired_embedding import LockedTower, PairedEmbedding, PairedEmbeddingMethod, Tower
from kinview.parameters import flag, parameterised, spec
from kinview.training.method import Method, PairSizes

__all__ = ["LiT", "LiTMethod", "LockedReader"]


_PLACE = "locked"


@dataclasses.dataclass(frozen=True, eq=False)
class LockedReader(ModelReader):
    """A side that the network is given as a fitted model embeds it."""

    place: str = _PLACE

    @property
    def holds_series(self) -> bool:
        """Whether its samples are series."""
        return isinstance(self.model, SeriesEstimator)

    def batch(self, rows: Any) -> Batch:
        """Representations of the samples."""
        return Batch.of(torch.from_numpy(embedded(self.model, rows)))


class LiTMethod(PairedEmbeddingMethod):
    """One locked side, whose representation is the common space, and a tower that learns to find it."""

    def _towers(self, parameters: Any, sizes: PairSizes) -> tuple[Tower, Tower]:
        number = parameters.locked_number
        own, other = (sizes.first, sizes.second)[:: -1 if number else 1]
        width = len(own.cardinalities) or own.channels  # of an estimator that has not seen its model yet
        free = Tower.of(parameters, other) if parameters.locked_head else Tower.of(parameters, other, out_dim=width)
        head: nn.Module = nn.Linear(width, free.dim, bias=False) if parameters.locked_head else nn.Identity()
        locked = LockedTower(width, head)
        return (free, locked) if number else (locked, free)


@methods.register("lit", reference="Zhai et al.: LiT: Zero-Shot Transfer with Locked-image text Tuning, CVPR 2022")
@parameterised
class LiT(PairedEmbedding):
    r"""LiT: a model of one side stays as it is, and the other side learns to find what it says of a sample.

    With the representation h of a fitted model, f the encoder of the other side and P its projector, the loss is that
    of :class:`CLIP` between :math:`P f(a_i)` and :math:`h(b_i)`. Representations of the locked side are computed once;
    ``transform`` gives them bit for bit as the model does.

    Notes
    -----
    Any model of kinview can be locked: a method of series or of tables, fitted or loaded
    (``kinview.load_model("model.safetensors")``), fixed features such as MiniRocket among them. A name or a spec is
    trained on the training samples of its side first, without labels. The model travels in the file.

    =========== =================================== ====================== =============================================
    what        paper                               official code          kinview
    =========== =================================== ====================== =============================================
    locked      the image tower, trained with       not read               either side, any model
                labels
    its head    none, or a linear one; little       not read               none; linear with ``locked_head``
                difference
    loss        CLIP's, learned temperature         not read               the same
    other side  from scratch or pre-trained         not read               from scratch
    training    Adafactor, 1.3·10⁹ pairs (recalled) not read               that of SimCLR here
    =========== =================================== ====================== =============================================

    References
    ----------
    .. [1] Zhai, Wang, Mustafa, Steiner, Keysers, Kolesnikov, Beyer: LiT: Zero-Shot Transfer with Locked-image text
       Tuning, CVPR 2022, arXiv 2111.07991.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from kinview import PairedData
    >>> from kinview.methods import LiT, MiniRocket
    >>> t, phase = np.linspace(0, 6, 40), np.arange(20) / 3
    >>> waves = np.sin(t + phase[:, None])[:, None, :]
    >>> pairs = PairedData(series=waves, table=pd.DataFrame({"phase": phase}))
    >>> features = MiniRocket(features=84, random_state=0).fit(waves)
    >>> small = {"mlp": {"hidden_dim": 8, "depth": 2}}
    >>> model = LiT(locked=features, table_encoder=small, trainer={"max_steps": 2}).fit(pairs)
    >>> bool((model.transform(pairs, side="series") == features.transform(waves)).all(axis=None))
    True
    """

    locked: Any = spec(
        None,
        "method",
        words="estimator, str or mapping",
        doc="The model that stays as it is: a *fitted* kinview estimator (its weights are copied; wrap it in "
        ":class:`sklearn.frozen.FrozenEstimator` for a grid search, whose ``clone`` forgets what was fitted), or a "
        "spec, which is trained on its side first. By default TS2Vec for series and SCARF for tables.",
    )
    locked_side: str = shared.side(
        "series", "Name of the side that it embeds, which has no encoder and no view of its own."
    )
    locked_head: bool = flag(False, doc="Whether a linear map of the locked representation is trained too.")

    method_class: ClassVar[type[Method]] = LiTMethod

    @property
    def locked_number(self) -> int:
        """Place of the locked side."""
        names = getattr(self, "names_", ("series", "table"))
        return names.index(self.locked_side) if self.locked_side in names else 0

    def _check_side(self, names: Any) -> None:
        super()._check_side(names)
        if self.locked_side not in names:
            raise ValueError(f"locked_side must be {' or '.join(map(repr, names))}; got {self.locked_side!r}")

    def _fit_reader(self, name: str, side: Side, train: bool) -> SideReader:
        if name != self.locked_side:
            return super()._fit_reader(name, side, train)
        rows = side.rows()
        model = locked_model("locked", self.locked, rows, self._seed(), train=train)
        first = side.taken(np.flatnonzero(side.present)[:1]).rows()
        return LockedReader(model, embedded(model, first).shape[1])

    def _restore_reader(self, config: dict[str, Any], tensors: dict[str, Tensor]) -> SideReader:
        if "of" not in config:
            return super()._restore_reader(config, tensors)
        return LockedReader(restored_inner(config, tensors, f"{_PLACE}/"), int(config["width"]))
