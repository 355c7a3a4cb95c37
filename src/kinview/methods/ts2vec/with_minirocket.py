"""TS2Vec beside MiniRocket: what training finds, and what fixed kernels find, for one head."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, ClassVar, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.gaps import valid_lengths, with_something_observed
from kinview.methods import methods
from kinview.methods.controls.rocket import MiniRocket
from kinview.methods.controls.rocket.minirocket import MiniRocketFeatures
from kinview.methods.estimators.capabilities import MANY_FEATURES
from kinview.methods.ts2vec.estimator import QUANTILES, StepPooling, TS2Vec, TS2VecMethod, step_pooling
from kinview.parameters import parameterised, whole
from kinview.training.method import Method, Sizes

__all__ = ["TS2VecMiniRocket", "TS2VecMiniRocketMethod"]


class TS2VecMiniRocketMethod(TS2VecMethod):
    """TS2Vec's network, and MiniRocket's features, learned once it is trained."""

    def __init__(self, parameters: TS2VecMiniRocket, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.minirocket = MiniRocketFeatures(MiniRocket(features=parameters.features, fill=parameters.fill), sizes)

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """MiniRocket's features, which are computed on the CPU, then TS2Vec's representation."""
        trained = super().embed(batch)
        fixed = self.minirocket.to("cpu").embed(batch.to(torch.device("cpu")))
        return torch.cat([fixed.to(trained), trained], dim=1)

    def after_training(self, rows: Batch, rows_a_chunk: int, generator: torch.Generator) -> None:
        """Learn TS2Vec's levels and MiniRocket's thresholds; both stay zero with fewer than five observed series."""
        super().after_training(rows, rows_a_chunk, generator)
        seen = with_something_observed([rows])[0]
        if len(seen) >= FEWEST_ROWS:
            self.minirocket.to("cpu").fit(seen, generator)

    def inference_state(self) -> dict[str, Tensor]:
        """Tensors of both."""
        return self.state_dict()


@methods.register("ts2vec_minirocket", modality="time_series", reference="Yue et al. 2022, Dempster et al. 2021")
@parameterised
class TS2VecMiniRocket(TS2Vec):
    r"""TS2Vec's representation beside MiniRocket's features, for a ridge head.

    MiniRocket convolves with fixed kernels and says for 9,996 thresholds at which fraction of its steps a series is
    above them; TS2Vec with ``pooling="quantiles"`` says the same of its 320 trained dimensions, at 31 levels each. Side
    by side they are 19,916 fractions, half of them from either, so that a head that scales each feature weighs both
    alike.

    Everything is learned from training series without labels: the network as by :class:`~kinview.TS2Vec`, whose
    parameters these are, then levels and thresholds. With fewer than five series both stay zero.

    Notes
    -----
    Features are fractions of steps, not standardised: a linear head should standardise them. On twelve sets that were
    not looked at before they are ahead of MiniRocket by .014 in accuracy, and so is the untrained network pooled alike
    (``docs/representations.md``): what helps is the pooling, not the training.

    References
    ----------
    .. [1] Yue, Wang, Duan, Yang, Huang, Tong, Xu: TS2Vec: Towards Universal Representation of Time Series, AAAI 2022,
       arXiv 2106.10466.
    .. [2] Dempster, Schmidt, Webb: MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
       Classification, KDD 2021, arXiv 2012.08791.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import TS2VecMiniRocket
    >>> X = np.sin(np.arange(300.0)).reshape(10, 1, 30)
    >>> model = TS2VecMiniRocket(repr_dim=8, depth=2, features=168, trainer={"max_steps": 2}, random_state=0)
    >>> model.fit(X).transform(X).shape  # 168 fractions of MiniRocket's, 8 x 31 of TS2Vec's
    (10, 416)
    """

    pooling: StepPooling = step_pooling("quantiles")
    features: int = whole(10_000, low=84, doc="Features of MiniRocket; rounded down to a multiple of 84 (paper).")

    method_class: ClassVar[type[Method]] = TS2VecMiniRocketMethod

    @property
    def wide(self) -> bool:
        """Whether it has more features than most probes take, as its parameters say."""
        trained = self.repr_dim * (QUANTILES if self.pooling == "quantiles" else 1)
        return trained + self.features > MANY_FEATURES

    @classmethod
    def from_official(cls, path: str | os.PathLike[str]) -> NoReturn:
        """Refused: a checkpoint of TS2Vec holds nothing of MiniRocket's.

        Raises
        ------
        ValueError
            Always; it says what to do.
        """
        raise ValueError(
            "an official checkpoint holds TS2Vec alone: TS2Vec.from_official(path), or fit TS2VecMiniRocket"
        )

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        return [{**given, "features": 84} for given in super().get_test_params(parameter_set)]

    def _sizes(self, batch: Batch) -> Sizes:
        longest = max(1, int(valid_lengths(batch.x, batch.times).max()))
        return dataclasses.replace(super()._sizes(batch), length=longest)

    def why_not_streamed(self) -> str | None:
        """MiniRocket learns how long the longest series is, which a sample does not tell."""
        return "learns of all series at once how long they are"

    def _rows_a_chunk(self, batch: Batch) -> int:
        method = self.method_
        assert isinstance(method, TS2VecMiniRocketMethod)
        return min(super()._rows_a_chunk(batch), method.minirocket.rows_a_chunk(*batch.x.shape[1:]))
