"""TS2Vec: contextual representations of time series at every time stamp (Yue et al., AAAI 2022)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations.crop import CropPair
from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.gaps import offset_of, trimmed, valid_lengths, with_something_observed
from kinview.encoders.dilated_conv import DilatedConvEncoder
from kinview.encoders.front_end import FillRule, FrontEndMode, MissingRule
from kinview.encoders.pooling import fractions_above, mean_quantiles, multiscale, pool, window_max
from kinview.losses.hierarchical import Hierarchical
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.capabilities import MANY_FEATURES
from kinview.methods.estimators.components import gaps_of, series_encoder_arguments, with_gaps
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.ts2vec.official_weights import official_state
from kinview.methods.ts2vec.preprocessing import centred, split_long
from kinview.methods.ts2vec.sliding import slide
from kinview.parameters import check_integer, choice, parameterised, real, whole
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["StepPooling", "TS2Vec", "TS2VecMethod", "step_pooling"]

QUANTILES = 31  # with 320 dimensions about as many features as MiniRocket has
_CACHED = 2**20  # representations of steps (4 MiB) that a processor's cache holds
_TIE = 1e-5  # a value is above a level by more than rounding

StepPooling = Literal["max", "quantiles"]
Window = Literal["full_series", "multiscale"] | int | None


def step_pooling(default: StepPooling) -> Any:
    """What a series keeps of its steps."""
    return choice(
        default,
        get_args(StepPooling),
        doc="What a series keeps of its steps: the maximum of each dimension (paper), or the fractions above levels.",
    )


class TS2VecMethod(RowwiseMethod):
    """Two overlapping crops, timestamp masking, a dilated convolutional encoder, hierarchical contrast."""

    levels: Tensor | None
    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 8,
        "lr": 1e-3,
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "averaging": "swa",
        "drop_last": True,
    }

    def __init__(self, parameters: TS2Vec, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = DilatedConvEncoder(
            **series_encoder_arguments(parameters, sizes), depth=parameters.depth, padding=parameters.padding
        )
        self.mask = parameters.mask
        self.crop = CropPair(parameters.temporal_unit)
        self.contrast = Hierarchical(temporal_unit=parameters.temporal_unit)
        self.max_train_length = parameters.max_train_length
        self.gaps = gaps_of(parameters)
        quantiles = parameters.pooling == "quantiles"
        self.register_buffer("levels", torch.zeros(QUANTILES, parameters.repr_dim) if quantiles else None)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Two crops, each with its own timestamp mask in ``extra["hide"]``."""
        batch = self._window(batch, generator)
        views = [_placed(view, offset_of(batch)) for view in self.crop(batch, generator)]
        views = with_gaps(views, self.gaps, generator, progress)
        if self.mask == "all_true":
            return views
        return [
            view.replace(extra={**view.extra, "hide": _coin_flips(view.x, generator).to(view.x.device)})
            for view in views
        ]

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Rows with something observed in each view."""
        return with_something_observed(views) if self.encoder.padding == "masked" else views

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d t"]]:
        """Per-timestamp representations of the steps that both views have."""
        seen = [self.encoder.prepared(view.x, **_beside(view)) for view in views]
        return self.encoder.encode_together(seen, [_shared_steps(view) for view in views])

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Hierarchical contrast of the shared steps."""
        return LossResult(self.contrast(*representations))

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Per-timestamp representations pooled over the steps that count; see :meth:`observed`."""
        z, inside = self._to_pool(batch)
        return pool(z, inside, "max") if self.levels is None else fractions_above(z, self.levels, inside)

    def after_training(self, rows: Batch, rows_a_chunk: int, generator: torch.Generator) -> None:
        """Learn the levels of ``pooling="quantiles"``; they stay zero where fewer than five series are observed."""
        rows = with_something_observed([rows])[0]
        if self.levels is None or len(rows) < FEWEST_ROWS:
            return
        chunks = (rows.rows(part).to(self.levels.device) for part in torch.split(torch.arange(len(rows)), rows_a_chunk))
        at = torch.arange(1, QUANTILES + 1, device=self.levels.device) / (QUANTILES + 1)
        levels = mean_quantiles((self._to_pool(chunk) for chunk in chunks), at.to(self.levels))
        self.levels.copy_(levels + _TIE * (1 + levels.abs()))

    def _to_pool(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Per-timestamp representations, and the steps that count."""
        batch = trimmed(batch) if self.encoder.padding == "masked" else batch
        return self._encode(batch), self.observed(batch)

    def per_timestamp(self, batch: Batch, window: int | Literal["multiscale"] | None = None) -> Float[Tensor, "n d t"]:
        """Representations of each step, pooled over a window around it."""
        z, inside = self._encode(batch), self.inside(batch)
        if window is None:
            return z
        return multiscale(z, inside) if window == "multiscale" else window_max(z, window, inside)

    def observed(self, batch: Batch) -> Tensor | None:
        """Steps ``(n, T)`` at which anything was observed, or filled; None where all count, as in the official code."""
        return (
            None if self.encoder.padding == "official" else self.encoder.shown(batch.x, batch.times, offset_of(batch))
        )

    def inside(self, batch: Batch) -> Tensor | None:
        """Steps ``(n, T)`` up to the end of each series; None where all count, as in the official code."""
        if self.encoder.padding == "official":
            return None
        lengths = valid_lengths(batch.x, batch.times)
        return torch.arange(batch.x.shape[2], device=batch.x.device) < lengths[:, None]

    def _encode(self, batch: Batch) -> Tensor:
        z: Tensor = self.encoder(batch.x, **_beside(batch))
        return z

    def _window(self, batch: Batch, generator: torch.Generator) -> Batch:
        limit, steps = self.max_train_length, batch.x.shape[2]
        if limit is None or steps <= limit:
            return batch
        start = int(torch.randint(0, steps - limit + 1, (), generator=generator))
        times = None if batch.times is None else batch.times[:, start : start + limit]
        first = torch.full((len(batch),), start, device=batch.x.device)
        placed = _placed(batch.replace(extra={**batch.extra, "offset": first}), offset_of(batch))
        return placed.replace(x=batch.x[:, :, start : start + limit], times=times)


@methods.register("ts2vec", modality="time_series", reference="Yue et al., AAAI 2022, arXiv 2106.10466")
@parameterised
class TS2Vec(SeriesEstimator):
    r"""TS2Vec: hierarchical contrastive representations of time series.

    Two random crops of a series overlap; at every time stamp of the overlap, and at every scale of a max-pooling
    pyramid over it, the two views of the same stamp must find each other among the stamps of the same series and among
    the same stamp of the other series. The representation of a series is the maximum over its steps (as published), or,
    with ``pooling="quantiles"``, for each of its D dimensions the fractions of steps above 31 levels: the quantiles
    1/32 to 31/32 within a training series, in the mean over these.

    Notes
    -----
    *Pooling.* The maximum tells what happens somewhere; fractions tell how often. As MiniRocket's they are many (31 D)
    and not scaled: for heads that take them, ridge regression foremost. Labels train such a network on through the
    gradient of a smooth step (:func:`kinview.encoders.pooling.fractions_above`); levels stay as they are then.

    *Unequal lengths and gaps.* Series with leading or trailing unobserved steps are centred before training, as in the
    official code. A crop in which nothing was observed is left out of the loss (the official code contrasts it).
    A series without any observation is represented by the zero vector.

    *Deviations from the official code*, each with its switch: ``missing``, ``front_end``, ``fill``, ``padding``. With
    ``missing="timestep", front_end="values", fill="zero", padding="official"`` and the same weights all outputs agree
    to 1e-5. Inputs are never written to.

    ============== ========================== ======================================== =============================
    what           paper                      official code                            kinview
    ============== ========================== ======================================== =============================
    views          two overlapping crops of a lengths drawn once a batch, an offset    the same
                   series                     for each row
    timestamp mask ½, on projected steps      the same                                 the same (``mask``)
    encoder        10 dilated residual        two convolutions of 3 taps a block,      the same; what lies beyond
                   blocks, 64 wide, and one   dilation 2^i, GELU; dropout 0.1          the end of a series is kept
                   to 320                                                              out (``padding``)
    loss           instance and temporal      ½ of each; dot products without a        the same
                   contrast at each scale     temperature, both directions averaged
    gaps           missing steps are zero     a value missing in one channel blanks    that value alone; gaps are
                                              the step                                 completed and told
                                                                                       (``missing``, ``fill``,
                                                                                       ``front_end``)
    optimiser      AdamW, 1e-3 (recalled)     AdamW, 1e-3, weight decay 0.01           the same
    batch, steps   8; 200, or 600 above       the same                                 the same
                   100,000 values (recalled)
    smaller batch  –                          an epoch's last one is left out          the same
    weights        –                          mean over all steps, initial weights     the same
                                              included
    long series    –                          split at 3,000 steps                     the same
                                                                                       (``max_train_length``)
    representation maximum over the steps     the same                                 the same, or
                                                                                       ``pooling="quantiles"``
    ============== ========================== ======================================== =============================

    References
    ----------
    .. [1] Yue, Wang, Duan, Yang, Huang, Tong, Xu: TS2Vec: Towards Universal Representation of Time Series, AAAI 2022,
       arXiv 2106.10466.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import TS2Vec
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> model = TS2Vec(repr_dim=8, hidden_dim=4, depth=2, trainer={"max_steps": 2}, random_state=0)
    >>> model.fit(X).transform(X).shape
    (4, 8)
    >>> model.encode(X).shape  # one vector a time stamp
    (4, 8, 15)
    """

    repr_dim: int = whole(320, low=1, doc="Size D of a representation (paper).")
    hidden_dim: int = whole(64, low=1, doc="Channels of the hidden blocks (paper).")
    depth: int = whole(10, low=0, doc="Hidden residual blocks before the last one (paper); 0 leaves that one.")
    dropout: float = real(0.1, low=0, below=1, doc="Dropout on the representations while training (official code).")
    mask: Literal["binomial", "all_true"] = choice(
        "binomial", ("binomial", "all_true"), doc="Timestamp mask while training (paper: binomial, ½)."
    )
    temporal_unit: int = whole(
        0, low=0, doc="Scale at which temporal contrast begins: 2^temporal_unit steps (official code)."
    )
    max_train_length: int | None = whole(
        3000, low=2, optional=True, doc="Longer series are split, and windows of this length drawn (official code)."
    )
    missing: MissingRule = shared.missing(
        ' The official code has "timestep": with 40 channels and 10 % missing cells it keeps 1.5 % of the steps.'
    )
    front_end: FrontEndMode = shared.front_end()
    padding: Literal["masked", "official"] = choice(
        "masked",
        ("masked", "official"),
        doc="Whether what lies beyond the end of a series is kept out of its representation; the official code lets it "
        "in.",
    )
    scaling: Any = shared.scaling(" (official loaders)")
    trainer: Any = shared.trainer(
        "the published ones: batch 8, AdamW, learning rate 1e-3, weight decay 0.01, averaged weights, 200 steps where "
        "the training set has at most 100,000 values, otherwise 600."
    )
    random_state: Any = shared.random_state()
    fill: FillRule = shared.fill()
    gaps: Any = shared.gaps()
    pooling: StepPooling = step_pooling("max")

    method_class: ClassVar[type[Method]] = TS2VecMethod
    training_only: ClassVar[frozenset[str]] = frozenset({"dropout", "gaps", "mask", "temporal_unit"})

    @property
    def wide(self) -> bool:
        """Whether it has more than 2,000 features, as its parameters say."""
        return self.pooling == "quantiles" and self.repr_dim * QUANTILES > MANY_FEATURES

    def encode(
        self,
        X: Any,
        window: Window = None,
        *,
        causal: bool = False,
        sliding_length: int | None = None,
        sliding_padding: int = 0,
    ) -> Float[np.ndarray, "n d ..."]:
        """Representations at every time stamp, or pooled over windows.

        Parameters
        ----------
        X : panel
            Series ``(n, C, T)``.
        window : None, int, "full_series" or "multiscale"
            None: each step by itself, ``(n, D, T)``. An integer: the maximum over that many steps around each.
            "full_series": the maximum over all, ``(n, D)``. "multiscale": maxima over windows of 2^k + 1 steps side by
            side, ``(n, D·scales, T)``.
        causal : bool
            With ``sliding_length``: a window does not reach beyond the steps that it represents. (Scaling by
            ``scaling="sample"`` sees the whole series all the same.)
        sliding_length : int, optional
            Encode windows of this many steps, one after the other, each by itself with its context.
        sliding_padding : int
            Steps of context before (and, unless causal, after) each window.

        Returns
        -------
        ndarray
            Steps beyond the end of a series are zero.

        Raises
        ------
        ValueError
            For an unknown window, or sliding parameters out of range.
        """
        self.check_is_fitted()
        if isinstance(window, str) and window not in ("full_series", "multiscale"):
            raise ValueError(f"window must be a whole number, 'full_series', 'multiscale' or None; got {window!r}")
        if window is not None and not isinstance(window, str):
            check_integer(window, "window", at_least=1)
        if sliding_length is not None:
            check_integer(sliding_length, "sliding_length", at_least=1)
        check_integer(sliding_padding, "sliding_padding", at_least=0)
        if sliding_length is None and (causal or sliding_padding):
            raise ValueError("causal and sliding_padding describe sliding windows: give sliding_length too")
        batch = self.to_batch(X)
        encode = partial(self._method.per_timestamp, window=None if window == "full_series" else window)
        if sliding_length is not None:
            after = 0 if causal else sliding_padding
            official = self.padding == "official"
            encode = partial(
                slide, encode, length=sliding_length, before=sliding_padding, after=after, official=official
            )
        if window == "full_series":
            z = self._in_chunks(batch, lambda rows: pool(encode(rows), self._method.observed(rows)))
        else:
            z = self._in_chunks(batch, encode)
        result: np.ndarray = z.numpy()
        return result

    @classmethod
    def from_official(cls, path: str | os.PathLike[str]) -> Self:
        """Estimator with the weights of an official checkpoint, and the official behaviour.

        Parameters
        ----------
        path : path
            A state dict written by the official code: of the bare network, or of the AveragedModel that its ``save()``
            writes. It is read without executing anything in it.

        Raises
        ------
        ValueError
            If the file is not such a checkpoint.

        Notes
        -----
        The official loaders scale the data before the model sees them, so the estimator does not (``scaling=None``).
        """
        state, sizes = official_state(path)
        channels = sizes["channels"]
        estimator = cls(
            repr_dim=sizes["repr_dim"],
            hidden_dim=sizes["hidden_dim"],
            depth=sizes["depth"],
            missing="timestep",
            front_end="values",
            fill="zero",
            padding="official",
            scaling=None,
        )
        return estimator._take_official(path, state, channels=channels, part="encoder")

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        small = {"repr_dim": 4, "hidden_dim": 4, "depth": 1, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "padding": "official", "missing": "timestep", "front_end": "values"}]

    @property
    def _method(self) -> TS2VecMethod:
        assert isinstance(self.method_, TS2VecMethod)
        return self.method_

    def check_parameters(self) -> None:
        """Refuse parameters out of range, and pieces of series too short to be cropped."""
        super().check_parameters()
        shortest = CropPair(self.temporal_unit).shortest
        if self.max_train_length is not None and self.max_train_length < shortest:
            raise ValueError(
                f"max_train_length must be at least {shortest}; got {self.max_train_length!r}: no shorter series can "
                f"be cropped with temporal_unit={self.temporal_unit}"
            )

    def _training_defaults(self, batch: Batch) -> dict[str, Any]:
        return {**TS2VecMethod.training_defaults, "max_steps": 200 if batch.x.numel() <= 100_000 else 600}

    def _rows_a_chunk(self, batch: Batch) -> int:
        if next(self.method_.parameters()).device.type != "cpu":
            return super()._rows_a_chunk(batch)
        return max(1, _CACHED // (batch.x.shape[2] * self.repr_dim))

    def _training_rows(self, batch: Batch) -> Batch:
        if self.fill != "zero":  # what fills gaps has to know where in a series the steps of a row stand
            batch = batch.replace(extra={**batch.extra, "offset": torch.zeros(len(batch), dtype=torch.int64)})
        return centred(super()._training_rows(split_long(batch, self.max_train_length)))

    def why_not_trainable(self, rows: Batch) -> str | None:
        """Why these series cannot train it: none is observed, or all are shorter than the shortest crop."""
        if len(rows) == 0:
            return "no training series has an observed value"
        shortest = 2 ** (self.temporal_unit + 1)
        if rows.x.shape[2] < shortest:
            return f"its crops need series of at least {shortest} steps, the longest has {rows.x.shape[2]}"
        return None


def _beside(view: Batch) -> dict[str, Tensor | None]:
    """What the encoder reads beside the values."""
    hide = view.extra.get("hide")
    assert hide is None or isinstance(hide, Tensor)
    return {"times": view.times, "hide": hide, "offset": offset_of(view)}


def _placed(view: Batch, offset: Tensor | None) -> Batch:
    """View whose rows are cut from rows that begin at this offset of their series."""
    own = offset_of(view)
    if offset is None or own is None:
        return view
    return view.replace(extra={**view.extra, "offset": own + offset})


def _shared_steps(view: Batch) -> slice:
    """Steps of a crop that its twin has too: the same positions in every row."""
    shared = view.extra["shared"]
    assert isinstance(shared, Tensor)
    first, last = shared[0].tolist()
    return slice(first, last)


def _coin_flips(x: Tensor, generator: torch.Generator) -> Tensor:
    """(n, t) fair coin flips, drawn on the generator's device."""
    return torch.rand(x.shape[0], x.shape[2], generator=generator) < 0.5
