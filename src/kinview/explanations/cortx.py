"""CoRTX: an explainer that has learned to explain, so that a new sample takes one pass of a small network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from kinview.data.batch import Batch
from kinview.explanations import explainers
from kinview.explanations.explainer import Explainer
from kinview.explanations.hiding import WINDOWS, Units, moved, units_of
from kinview.explanations.samples import ReadSamples
from kinview.explanations.shapley import shapley_values
from kinview.losses.info_nce import info_nce
from kinview.methods.estimators.base import as_trainer
from kinview.modules.projector import Perceptron
from kinview.parameters import anything, real, whole
from kinview.training.method import LossResult, Method
from kinview.training.randomness import forked_generators

__all__ = ["CoRTX"]

_FEWEST = 10  # rows that it learns of
_FEWEST_EXPLAINED = 5
_POOL = 32  # hidden copies of a row, of which each step draws its candidates
_PENALTIES = np.logspace(-2, 5, 15)


@dataclasses.dataclass(frozen=True, eq=False)
class _UnitFeatures:
    """What the explainer sees of samples: a few numbers of each unit, all zero for one that is hidden.

    Of a window the mean, the standard deviation and the observed fraction of its steps; of a column its number, or its
    category as zeros and a one, and whether it was observed. Numbers are standardised by the rows of fit.
    """

    units: int
    windows: int
    cardinalities: tuple[int, ...]
    mean: Float64[Tensor, " f"]
    std: Float64[Tensor, " f"]

    @classmethod
    def fit(cls, samples: ReadSamples, units: Units, windows: int) -> _UnitFeatures:
        top = torch.where(samples.observed, samples.batch.x, 0.0).amax(dim=0)
        known = samples.categorical or (False,) * samples.batch.x.shape[1]
        sizes = tuple(int(top[i]) + 1 if is_one else 0 for i, is_one in enumerate(known)) if top.ndim == 1 else ()
        blank = cls(units.number, windows, sizes, torch.zeros(1), torch.ones(1))
        values, seen, numbers = blank._raw(samples, units)
        there = seen & numbers
        count = there.sum(dim=0).clamp_min(1)
        mean = (values * there).sum(dim=0) / count
        std = (((values - mean) * there).square().sum(dim=0) / count).sqrt()
        numbers = there.any(dim=0) & (std > 1e-9)
        mean, std = torch.where(numbers, mean, 0.0), torch.where(numbers, std, 1.0)
        return dataclasses.replace(blank, mean=mean, std=std)

    @property
    def unit(self) -> Int64[Tensor, " f"]:
        """Unit of each feature."""
        widths = torch.tensor([max(1, size) + 1 for size in self.cardinalities] or [3] * self.units)
        return torch.arange(self.units).repeat_interleave(widths)

    def of(self, samples: ReadSamples, units: Units) -> Float[Tensor, "n f"]:
        """Features of samples."""
        if units.number != self.units:
            raise ValueError(
                f"this explainer was fitted to samples of {self.units} windows or columns, and these have "
                f"{units.number}; give samples like those, or an explainer that is not fitted yet"
            )
        values, seen, _ = self._raw(samples, units)
        return torch.where(seen, (values - self.mean) / self.std, 0.0).float()

    def _raw(
        self, samples: ReadSamples, units: Units
    ) -> tuple[Float64[Tensor, "n f"], Bool[Tensor, "n f"], Bool[Tensor, " f"]]:
        """Features as they are; whether their unit was observed; whether they are numbers to standardise."""
        x, seen = torch.nan_to_num(samples.batch.x.double()), units.sizes > 0
        if x.ndim == 3:
            mean = units.means(x)
            deviation = (units.means(x.square()) - mean.square()).clamp_min(0).sqrt()
            fraction = units.sizes * self.windows / samples.lengths[:, None].clamp_min(1)
            values, numbers = torch.stack([mean, deviation, fraction], dim=2), [True, True, False] * units.number
        else:
            parts, numbers = [], []
            for column, size in enumerate(self.cardinalities):
                codes = x[:, column, None]
                parts += [codes if size == 0 else (codes == torch.arange(size)).double(), seen[:, column, None]]
                numbers += [size == 0] * max(1, size) + [False]
            values = torch.cat(parts, dim=1)
        return values.flatten(1), seen[:, self.unit], torch.tensor(numbers)


class _ExplanationEncoder(Method):
    """The encoder of CoRTX and its contrast: a sample, and the hidden copy that the explained model hardly tells apart.

    ``x`` holds the features of samples; ``extra`` which units each of the pool of copies shows, and how far the
    model's representation of it lies from that of the sample.
    """

    training_defaults: ClassVar[dict[str, Any]] = {"max_steps": 200, "batch_size": 256, "lr": 5e-3, "progress": False}
    min_rows: ClassVar[int] = 2

    def __init__(self, features: _UnitFeatures, sizes: Perceptron, candidates: int, temperature: float) -> None:
        super().__init__()
        self.unit, self.candidates, self.temperature = features.unit, candidates, temperature
        self.encoder = sizes.build(len(features.unit))

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The samples, and of each the nearest of some hidden copies that are drawn from its pool."""
        shows, far = batch.extra["shows"], batch.extra["distance"]
        assert isinstance(shows, Tensor) and isinstance(far, Tensor)
        drawn = torch.rand(far.shape, generator=generator).argsort(dim=1)[:, : self.candidates]
        best = drawn.gather(1, far.gather(1, drawn).argmin(dim=1, keepdim=True))[:, 0]
        shown = shows[torch.arange(len(batch)), best]
        return [batch, batch.replace(x=batch.x * shown[:, self.unit])]

    def loss(self, views: list[Batch]) -> LossResult:
        """InfoNCE in both directions."""
        a, b = (self.embed(view) for view in views)
        return LossResult((info_nce(a, b, self.temperature) + info_nce(b, a, self.temperature)) / 2)

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representation of what can be explained of each row."""
        out: Tensor = self.encoder(batch.x)
        return out


@dataclasses.dataclass(frozen=True, eq=False)
class _Learned:
    """What fit leaves: features, encoder, and the head that turns its representation into importances."""

    features: _UnitFeatures
    encoder: _ExplanationEncoder
    head: Any

    def values(self, samples: ReadSamples, units: Units) -> Float64[Tensor, "n u"]:
        with torch.no_grad():
            h = self.encoder.embed(Batch.of(self.features.of(samples, units)))
        return torch.from_numpy(self.head.predict(h.double().numpy()).reshape(len(samples), -1))


@explainers.register("cortx", modality="any", reference="Chuang et al., CoRTX, ICLR 2023, arXiv 2303.02794")
@dataclasses.dataclass(frozen=True, eq=False)
class CoRTX(Explainer):
    r"""CoRTX: a small network that predicts Shapley values, contrastively trained and tuned on a few samples.

    In three steps, on the rows of fit (``X_train`` of :func:`kinview.explain`):

    1. An encoder h of the units of a sample (windows, columns) is trained by InfoNCE. The positive of x is, among
       ``candidates`` copies in which each unit is missing with probability ½, the one whose representation by the
       explained model f is nearest to that of x; the negatives are the other rows of the batch.
    2. Of a fraction of the rows the Shapley values of the units are sampled, see :class:`Shapley`.
    3. A head on h is fitted to them.

    A new sample then takes one pass of h and the head, and none of the explained model.

    Parameters
    ----------
    windows : int, default 20
        Windows that each channel of a series is cut into, over its own length.
    candidates : int, default 10
        Hidden copies among which the positive is chosen, at most 32 (official code: ``pos_num``).
    explained : float, default 0.25
        Fraction of the rows of fit whose Shapley values are sampled, of at least 5 rows (paper: 5 to 25 %).
    permutations : int, default 16
        Orders of which each of these is the mean.
    temperature : float, default 0.02
        τ of InfoNCE (official code).
    encoder : mapping, optional
        Sizes of h, by default ``{"hidden_dim": 256, "out_dim": 256, "depth": 3, "batch_norm": False}`` (official code).
    trainer : Trainer or mapping, optional
        How h is trained. By default 200 steps of 256 rows, Adam, learning rate 5e-3 (official code; it trains for 200
        epochs of 1,024 rows).

    Notes
    -----
    It is one guess for the model that it was fitted to: give it rows like those that it will explain, and look at
    :func:`deletion` before relying on it.

    =============== =============================== ============================== =====================================
    what            paper                           official code                  kinview
    =============== =============================== ============================== =====================================
    what is hidden  features, replaced              by column means; where a value made missing; by a mask, whatever the
                                                    of at most 0 is kept, the mean value
                                                    is added to it (``~(x > 0)``)
    how near        :math:`|f(\tilde x) - f(x)|`    the same, a score              1 - cos of representations
    copies          drawn anew at each step         the same                       drawn at each step out of 32 a row,
                                                                                   which are embedded once
    negatives       in the batch                    the same; ``neg_num`` is not   in the batch
                                                    used
    head            on few explained rows           three layers, Adam             ridge regression, its penalty by
                                                                                   leave-one-out
    when to stop    –                               the epoch with the lowest      after ``max_steps``
                                                    error on the test part
    input           features                        the same                       of a series: mean, deviation and
                                                                                   observed fraction of each window
    =============== =============================== ============================== =====================================

    References
    ----------
    .. [1] Chuang, Wang, Yang, Zhou, Tripathi, Cai, Hu: CoRTX: Contrastive Framework for Real-time Explanation, ICLR
       2023, arXiv 2303.02794.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import explain
    >>> from kinview.methods import RawFeatures
    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> model = RawFeatures().fit(X)
    >>> first = explain(model, X[:2], {"cortx": {"trainer": {"max_steps": 5}}}, X_train=X)
    >>> explain(model, X[2:], first.explainer).values.shape  # it has learned, and need not again
    (38, 3)
    """

    windows: int = whole(WINDOWS, low=1)
    candidates: int = whole(10, low=1, high=_POOL)
    explained: float = real(0.25, above=0, high=1)
    permutations: int = whole(16, low=1)
    temperature: float = real(0.02, above=0)
    encoder: Mapping[str, Any] | None = anything(None, "mapping", doc="")
    trainer: Mapping[str, Any] | None = anything(None, "Trainer or mapping", doc="")

    _learned: ClassVar[_Learned | None] = None

    @property
    def fitted(self) -> bool:
        """Whether it has learned to explain."""
        return self._learned is not None

    def fit(self, samples: ReadSamples, generator: torch.Generator) -> CoRTX:
        """A copy that has learned to explain the model that reads these samples."""
        if len(samples) < _FEWEST:
            raise ValueError(
                f"cortx learns to explain from at least {_FEWEST} samples, and there are {len(samples)}: give the "
                f"training samples as X_train, or explain these by occlusion"
            )
        units = units_of(samples, self.windows)
        features = _UnitFeatures.fit(samples, units, self.windows)
        seed = int(torch.randint(2**31, (), generator=generator))
        with forked_generators(seed, torch.device("cpu")):
            encoder = self._trained(samples, units, features, generator)
        rows = self._rows_to_explain(samples, units, generator)
        targets = shapley_values(samples, units, rows, self.permutations, generator)
        with torch.no_grad():
            h = encoder.embed(Batch.of(features.of(samples, units)[rows]))
        return self._with(_learned=_Learned(features, encoder, _head(h, targets)))

    def attribute(self, samples: ReadSamples, generator: torch.Generator) -> Float64[Tensor, "n ..."]:
        """Predicted Shapley value of its unit for each cell."""
        assert self._learned is not None
        units = units_of(samples, self._learned.features.windows)
        return units.spread(self._learned.values(samples, units))

    def _trained(
        self, samples: ReadSamples, units: Units, features: _UnitFeatures, generator: torch.Generator
    ) -> _ExplanationEncoder:
        usual = {"hidden_dim": 256, "out_dim": 256, "depth": 3, "batch_norm": False}
        sizes = Perceptron.of(self.encoder or {}, "encoder", **usual)
        encoder = _ExplanationEncoder(features, sizes, self.candidates, self.temperature)
        shows, far = _pool(samples, units, generator)
        batch = Batch.of(features.of(samples, units), extra={"shows": shows, "distance": far})
        trainer = as_trainer(self.trainer).merged(encoder.training_defaults)
        trainer.fit(encoder, batch, generator=generator, description="CoRTX")
        return encoder.cpu().eval()

    def _rows_to_explain(self, samples: ReadSamples, units: Units, generator: torch.Generator) -> Int64[Tensor, " m"]:
        number = max(_FEWEST_EXPLAINED, round(self.explained * len(samples)))
        return torch.randperm(len(samples), generator=generator)[:number].sort().values


def _pool(
    samples: ReadSamples, units: Units, generator: torch.Generator
) -> tuple[Bool[Tensor, "n p u"], Float64[Tensor, "n p"]]:
    """Which units each hidden copy shows, and how far the model's representation of it lies from the sample's."""
    shows = torch.rand(len(samples), _POOL, units.number, generator=generator) < 0.5

    def hide(k: Int64[Tensor, " k"]) -> Bool[Tensor, "k ..."]:
        return units.cells(k // _POOL, ~shows[k // _POOL, k % _POOL])

    rows = torch.arange(len(samples)).repeat_interleave(_POOL)
    return shows, moved(samples, rows, hide, distance="cosine").view(len(samples), _POOL)


def _head(h: Float[Tensor, "m d"], targets: Float64[Tensor, "m u"]) -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(h.double().numpy(), targets.numpy())
