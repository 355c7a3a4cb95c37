"""C-MCR: two models of pairs that share a side become one model of the sides that they do not share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.paired import PairedData
from kinview.losses.cmcr import retrieve
from kinview.methods import connections
from kinview.methods.cmcr.method import PSEUDO, CMCRMethod
from kinview.methods.cmcr.reader import ProjectionReader, memory_of
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.base import as_trainer, own_copy, unfrozen
from kinview.methods.estimators.model_file import restored_inner
from kinview.methods.estimators.paired import OTHER_SIDE, PairedEstimator
from kinview.methods.estimators.side_readers import SideReader
from kinview.parameters import anything, parameterised, real, spec, whole
from kinview.training.method import Method
from kinview.training.settings import settings_of

__all__ = ["CMCR"]

_PLACES = ("first", "second")
_EPOCHS, _FEWEST_STEPS = 36, 300
_AT_ONCE = 1024  # shared items that are compared with a memory at once


def _check_shared(value: Any, name: str) -> None:
    names = value if isinstance(value, list | tuple) else ()
    if len(names) != 2 or not all(isinstance(one, str) and one for one in names):
        raise ValueError(
            f"{name} must be the names that both models have for the side they share, such as [table, laboratory]; "
            f"got {value!r}"
        )


@connections.register("cmcr", reference="Wang et al.: Connecting Multi-modal Contrastive Representations, NeurIPS 2023")
@parameterised
class CMCR(PairedEstimator):
    r"""C-MCR: two models of pairs with a side in common become one, of the sides that were never seen together.

    One hospital has series with laboratory values, another one laboratory values with notes: a model of pairs is fitted
    in each. No series has a note. Both models stay as they are, and a small projector on each of their spaces brings
    the two together, at the laboratory values, which both know. The result is a model of pairs of series and notes,
    with ``project``, ``match``, ``transform`` and ``save`` as any other.

    With the shared items t as both models project them, :math:`t^A, t^B`, the memories V and U, the projections of the
    other sides, and their answers :math:`v_i = \sum_k \operatorname{softmax}_k(t^A_i \cdot V_k / \tau_1) V_k` (u
    likewise, both of length 1), noise of variance σ² on all four and then length 1 again, the projectors P and Q learn
    from

    .. math:: L_{clip}(P t^A, Q t^B; \tau_2) + L_{clip}(P v, Q u; \tau_3)
              + \frac{\lambda}{2n} \sum_i \big( \|P t^A_i - P v_i\|^2 + \|Q t^B_i - Q u_i\|^2 \big).

    ``fit`` takes the pairs of both models, ``{"first": pairs, "second": pairs}``, or a tuple of both: those that they
    were fitted to, or others. Shared items are the samples of both with that side; memories are all samples with the
    other one. A sample may lack either side.

    Attributes
    ----------
    models_ : tuple of estimators
        The two models, copies of their own.
    names_ : tuple of str
        Names of the sides that they do not share; ``first`` and ``second`` where both have one name.
    n_shared_ : int
        Shared items that it was trained on.

    Notes
    -----
    Memories are embeddings of samples: they are used in training, and no model or file holds any. A file has both
    models whole. ``transform`` gives the unit projections of the two models, before their projectors.

    It says what is *probable* by way of the shared side: where that says nothing of a series, no note can be found.

    =========== ============================= ============================= ==========================================
    what        paper                         official code                 kinview
    =========== ============================= ============================= ==========================================
    spaces      CLAP and CLIP by text, CLIP   the same; no training code    any two models of pairs with a common side
                and ULIP by images
    projectors  linear, 1024 BN ReLU, linear, the same; one layer for ULIP  the same layers, sizes by those of the
                512 BN, of spaces of 512                                    spaces; shared items and pseudo items in
                                                                            one pass, so that one statistic
                                                                            normalises both
    τ₁, τ₂, τ₃  1/100, 1/50, 1/50             –                             the same
    σ², λ       0.004, 0.1                    –                             the same
    memories    millions of images            –                             the other sides in the pairs of ``fit``
    training    Adam 1e-3, 36 epochs, batches –                             Adam 1e-3, batches of 1,024, 36 epochs or
                of some 10,000 (recalled)                                   as many as make 300 steps
    =========== ============================= ============================= ==========================================

    References
    ----------
    .. [1] Wang, Zhao, Cheng, Huang, Yang, Zhou, Ye, Yin, Zhao: Connecting Multi-modal Contrastive Representations,
       NeurIPS 2023, arXiv 2305.14381.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from kinview import PairedData
    >>> from kinview.methods import CLIP, CMCR
    >>> severity = np.linspace(-1, 1, 60)[:, None]
    >>> columns = lambda name: pd.DataFrame(severity + [0.0, 0.1], columns=[f"{name}1", f"{name}2"])
    >>> one = PairedData(vitals=columns("v")[:30], laboratory=columns("l")[:30])
    >>> other = PairedData(laboratory=columns("l")[30:], scores=columns("s")[30:])
    >>> short = {"table_encoder": {"mlp": {"hidden_dim": 8, "depth": 2}}, "trainer": {"max_steps": 2}}
    >>> models = [CLIP(**short, random_state=0).fit(pairs) for pairs in (one, other)]
    >>> joined = CMCR(*models, trainer={"max_steps": 2}, random_state=0).fit({"first": one, "second": other})
    >>> joined.names_, joined.n_shared_
    (('vitals', 'scores'), 60)
    >>> joined.match({"vitals": columns("v")}, {"scores": columns("s")[:3]}, side="vitals").shape
    (60, 3)
    """

    first: Any = spec(
        None,
        "method",
        words="estimator",
        doc="*Fitted* model of pairs of the first side and the shared one, with a common space (wrap it in "
        ":class:`sklearn.frozen.FrozenEstimator` for ``clone``, which forgets what was fitted).",
    )
    second: Any = spec(
        None, "method", words="estimator", doc="*Fitted* model of pairs of the shared side and the second one."
    )
    shared_sides: Any = anything(
        None,
        "sequence of str",
        check=_check_shared,
        doc="Names of the shared side in the first and in the second model; by default the one that both have.",
    )
    hidden_dim: int | None = whole(
        None, low=1, doc="Hidden width of a projector; by default twice that of its space (official code: 1024 of 512)."
    )
    projection_dim: int | None = whole(
        None, low=1, doc="Size of the space that both come into; by default that of the larger one (official code)."
    )
    retrieval_temperature: float = real(0.01, above=0, doc="τ₁, of what a memory answers (paper).")
    temperature: float = real(0.02, above=0, doc="τ₂, of the shared items in both spaces (paper).")
    pseudo_temperature: float = real(0.02, above=0, doc="τ₃, of the pseudo items in both spaces (paper).")
    intra_weight: float = real(0.1, low=0, doc="λ, of what closes the gap between the sides of a space (paper).")
    noise_variance: float = real(0.004, low=0, doc="σ² of the noise in each coordinate (paper).")
    side: str = shared.side()
    trainer: Any = shared.trainer("Adam with 1e-3, batches of 1,024, 36 epochs or as many as make 300 steps.")
    random_state: Any = shared.random_state()

    method_class: ClassVar[type[Method]] = CMCRMethod

    @property
    def models_(self) -> tuple[Any, Any]:
        """The two models."""
        one, other = (reader.model for reader in self._projections)
        return one, other

    @property
    def _projections(self) -> tuple[ProjectionReader, ...]:
        found: Any = self._readers
        return tuple(found)

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, extra: Any = None) -> Self:
        """Bring the spaces of both models together.

        Parameters
        ----------
        X : mapping or tuple
            The pairs of both models, ``{"first": ..., "second": ...}``, each as its model takes them.
        y, groups, extra : None
            Not used; for the common signature.

        Raises
        ------
        ValueError
            If ``first`` or ``second`` is no fitted model with a common space, or is a CMCR itself, they share no side,
            or there are no samples of a side.
        """
        return super().fit(X, y, groups=groups, extra=extra)

    def _fit_or_initialise(self, X: Any, y: Any, groups: Any, extra: Any, *, train: bool) -> Self:
        self._is_fitted = False  # until all of this has succeeded
        self.check_parameters()
        if groups is not None or extra is not None:
            raise ValueError("CMCR uses neither groups nor extra: give the pairs of both models alone")
        models = [_model(place, getattr(self, place)) for place in _PLACES]
        common = self._common_names(*(model.names_ for model in models))
        own = [next(name for name in model.names_ if name != it) for model, it in zip(models, common, strict=True)]
        pairs = [
            PairedData.of(one, model.names_, place) for one, model, place in zip(_both(X), models, _PLACES, strict=True)
        ]
        self.names_ = (own[0], own[1]) if own[0] != own[1] else ("first", "second")
        self._check_side(self.names_)
        items = self._shared_items(models, common, pairs)
        memories = [memory_of(*each) for each in zip(models, own, pairs, _PLACES, strict=True)]
        readers: Any = tuple(
            ProjectionReader(model, memory.shape[1], place, name)
            for model, name, place, memory in zip(models, own, _PLACES, memories, strict=True)
        )
        self._readers = readers
        self.n_shared_ = len(items[0])
        first, second = (
            Batch.of(t, extra={PSEUDO: self._answers(t, memory)}) for t, memory in zip(items, memories, strict=True)
        )
        self._fit_batch(first.replace(extra={**first.extra, OTHER_SIDE: second}), train=train)
        for tower, memory in zip(self.method_.towers, memories, strict=True):
            if len(memory) >= FEWEST_ROWS:
                tower.mean.copy_(memory.double().mean(dim=0))
        self._is_fitted = True
        return self

    def _common_names(self, one: tuple[str, str], other: tuple[str, str]) -> tuple[str, str]:
        """What both models call the side that they share."""
        if self.shared_sides is not None:
            first, second = self.shared_sides
            if first not in one or second not in other:
                raise ValueError(
                    f"shared_sides is {self.shared_sides!r}, and the sides of the models are {one} and {other}"
                )
            return first, second
        both = [name for name in one if name in other]
        if len(both) != 1:
            raise ValueError(
                f"the models have the sides {one} and {other}: say which one they share by shared_sides=[name in the "
                f"first, name in the second]"
            )
        return both[0], both[0]

    @staticmethod
    def _shared_items(models: list[Any], names: tuple[str, str], pairs: list[PairedData]) -> list[Tensor]:
        """Shared samples of both as both models project them, of those that say something to each."""
        sides = [one.side(name) for one, name in zip(pairs, names, strict=True)]
        present = [side for side in sides if side.present.any()]
        if not present:
            raise ValueError(f"no sample has the shared side ({' or '.join(map(repr, dict.fromkeys(names)))})")
        found = [
            torch.cat([torch.from_numpy(model.project({name: side}, name)) for side in present])
            for model, name in zip(models, names, strict=True)
        ]
        known = ~torch.cat(found, dim=1).isnan().any(dim=1)
        return [one[known] for one in found]

    def _answers(self, items: Float[Tensor, "n d"], memory: Float[Tensor, "m d"]) -> Float[Tensor, "n d"]:
        parts = torch.split(items, _AT_ONCE)
        return torch.cat([retrieve(part, memory, self.retrieval_temperature) for part in parts])

    def _training_defaults(self, batch: Batch) -> dict[str, Any]:
        defaults = super()._training_defaults(batch)
        given = settings_of(as_trainer(self.trainer).merged({**defaults, "max_epochs": 1}))
        an_epoch = math.ceil(len(batch) / given.batch_size)
        return {**defaults, "max_epochs": max(_EPOCHS, math.ceil(_FEWEST_STEPS / an_epoch))}

    def _restore_reader(self, config: dict[str, Any], tensors: dict[str, Tensor]) -> SideReader:
        place = str(config["place"])
        model = restored_inner(config, tensors, f"{place}/")
        return ProjectionReader(model, int(config["width"]), place, str(config["side"]))


def _both(X: Any) -> tuple[Any, Any]:
    """Pairs of the first model and of the second."""
    if isinstance(X, Mapping) and set(X) == set(_PLACES):
        return X["first"], X["second"]
    if isinstance(X, tuple | list) and len(X) == 2:
        return X[0], X[1]
    raise ValueError(
        f"X must be the pairs of both models, {{'first': pairs, 'second': pairs}}; got {type(X).__name__}"
        + (f" with {', '.join(map(repr, X))}" if isinstance(X, Mapping) else "")
    )


def _model(place: str, given: Any) -> Any:
    """Own copy of a fitted model of pairs."""
    model = unfrozen(given)
    suitable = isinstance(model, PairedEstimator) and model.projects and not isinstance(model, CMCR)
    if not suitable or not model.__sklearn_is_fitted__():
        raise ValueError(
            f"{place} must be a fitted model of pairs with a common space, such as CLIP().fit(pairs), and no CMCR; got "
            f"{given!r}{', which is not fitted' if suitable else ''}"
        )
    return own_copy(model)
