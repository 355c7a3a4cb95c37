"""TaCL: a masked token finds what a frozen teacher makes of it within its sample (Su et al., 2022)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.data.gaps import ends_marked, offset_of, valid_lengths, with_ends_of, with_something_observed
from kinview.distributed import global_mean
from kinview.encoders.pooling import (
    PoolingName,
    encoded_over_time,
    feature_lengths,
    pooled,
    require_features_over_time,
    steps_of_a_feature,
)
from kinview.losses.cell_error import cell_error, cell_outputs
from kinview.losses.token_contrast import TokenContrast
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.base import EstimatorCore
from kinview.methods.estimators.components import encoder_of, maker_of_gaps, width_of
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.modules.decoders import ColumnDecoder, StepDecoder, feature_of_step
from kinview.modules.momentum_encoder import MomentumEncoder
from kinview.parameters import parameterised, real, spec, whole
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["TaCL", "TaCLMethod", "TabularTaCL"]

_MASKED = 0.15  # fraction of the tokens
_OVER_TIME = {"wanted": "encoder must give", "instead": "choose another one, such as 'dilated_conv'"}
_PAPER = "Su et al., Findings of NAACL 2022, arXiv 2111.04198"


class TaCLMethod(RowwiseMethod):
    """A student reads samples with masked tokens, a frozen teacher the whole samples; a decoder serves training.

    Tokens are what an encoder makes of the steps of a series, or of the columns of a row.
    """

    training_defaults: ClassVar[dict[str, Any]] = dict(shared.SIMCLR_TRAINING)

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = encoder_of("encoder", parameters.encoder, sizes)
        mask = _usual_mask(self.encoder, sizes) if parameters.mask is None else parameters.mask
        self.mask = maker_of_gaps("mask", mask, sizes.modality)
        self._masked_any: bool | None = None  # whether a training step has masked a token
        self.pooling: PoolingName = getattr(parameters, "pooling", "mean")
        self.teacher = MomentumEncoder(self.encoder)
        self.momentum = parameters.momentum
        self.contrast = TokenContrast(parameters.temperature)
        self.contrastive_weight = parameters.contrastive_weight
        self.reconstruction_weight = parameters.reconstruction_weight
        width = width_of(self.encoder)
        hidden = parameters.decoder_hidden_dim or width
        if sizes.modality == "tabular":
            if not hasattr(self.encoder, "column_tokens"):
                raise ValueError(
                    f"encoder must give a token for each column, by a method column_tokens(x), and "
                    f"{type(self.encoder).__name__} makes one vector a row; choose 'ft_transformer'"
                )
            self.decoder: nn.Module = ColumnDecoder(cell_outputs(sizes.cardinalities), width, hidden)
        else:
            require_features_over_time(self.encoder, **_OVER_TIME)
            steps = steps_of_a_feature(self.encoder, sizes.length)
            self.decoder = StepDecoder(width, sizes.channels, steps, hidden_dim=hidden)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The whole samples, for the teacher, and these with masked tokens, for the student."""
        return [ends_marked(batch), with_ends_of(self.mask.at(progress)(batch, generator), batch)]

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Samples of which something is left to see."""
        return with_something_observed(views) if self.sizes.modality == "time_series" else views

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n tokens d"]]:
        """Tokens of the student, and of the teacher."""
        whole_view, student_view = views
        student = self._tokens(self.encoder, student_view)
        with torch.no_grad():
            return [student, self._tokens(self.teacher.copies[0], whole_view)]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Contrast and reconstruction of the masked tokens; zero where there is none."""
        (whole_view, student_view), (student, teacher) = views, representations
        there = self._observed(whole_view)
        masked = there & ~self._observed(student_view)
        self._masked_any = bool(masked.any()) or bool(self._masked_any)
        if not bool(masked.any()):
            return self.nothing_to_learn()
        contrastive = self.contrast(student, teacher, masked=masked, observed=there)
        reconstruction = self._reconstruction(student, whole_view, masked)
        total = self.contrastive_weight * contrastive + self.reconstruction_weight * reconstruction
        terms = {"contrastive": contrastive, "reconstruction": reconstruction}
        return LossResult(total, {name: float(term.detach()) for name, term in terms.items()})

    def after_step(self, progress: float, views: list[Batch], carry: Mapping[str, Tensor]) -> None:
        """Let the teacher follow, where it is not frozen."""
        if self.momentum < 1:
            self.teacher.follow(self.momentum, self.encoder)

    def after_training(self, rows: Batch, rows_a_chunk: int, generator: torch.Generator) -> None:
        """Warn where the mask has left every token something at every step: then nothing was learned."""
        if self._masked_any is False:
            warnings.warn(
                f"the mask {self.mask!r} has hidden no token at any step, so that nothing was learned: give one that "
                f"takes values away, in spans of at least as many steps as a feature of the encoder stands for",
                UserWarning,
                stacklevel=2,
            )

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Tokens of the student, pooled; the teacher and the decoder serve training only."""
        if self.sizes.modality == "time_series":
            return pooled(self.encoder, batch.x, batch.times, self.pooling, offset_of(batch))
        return self._tokens(self.encoder, batch).mean(dim=1)

    def _tokens(self, encoder: nn.Module, batch: Batch) -> Float[Tensor, "n tokens d"]:
        if self.sizes.modality == "tabular":
            out: Tensor = encoder.column_tokens(batch.x)  # type: ignore[operator]
            return out
        return encoded_over_time(encoder, batch.x, batch.times, offset_of(batch), **_OVER_TIME).transpose(1, 2)

    def _observed(self, batch: Batch) -> Bool[Tensor, "n tokens"]:
        """Tokens of which anything is observed."""
        if self.sizes.modality == "tabular":
            return ~torch.isnan(batch.x)
        seen = (~torch.isnan(batch.x)).any(dim=1)
        counted = torch.zeros(len(batch), self._tokens_of(batch), dtype=torch.int64, device=batch.x.device)
        return counted.scatter_add(1, self._token_of_step(batch), seen.long()) > 0

    def _tokens_of(self, batch: Batch) -> int:
        """Number of tokens of the longest series."""
        return max(1, int(feature_lengths(self.encoder, torch.tensor([batch.x.shape[2]], device="cpu"))[0]))

    def _token_of_step(self, batch: Batch) -> Tensor:
        lengths = valid_lengths(batch.x, batch.times)
        own = feature_lengths(self.encoder, lengths)
        return feature_of_step(lengths, own, self._tokens_of(batch), batch.x.shape[2])

    def _reconstruction(self, tokens: Tensor, clean: Batch, masked: Tensor) -> Tensor:
        """Mean error over the observed cells of masked tokens."""
        if self.sizes.modality == "tabular":
            error, counts = cell_error(self.decoder(tokens), clean.x, self.sizes.cardinalities)
            return global_mean(error, counts & masked)
        lengths = valid_lengths(clean.x, clean.times)
        decoded = self.decoder(
            tokens.transpose(1, 2), lengths, feature_lengths(self.encoder, lengths), clean.x.shape[2]
        )
        counts = ~torch.isnan(clean.x)
        error = (decoded - torch.where(counts, clean.x, 0)).square()
        return global_mean(error, counts & masked.gather(1, self._token_of_step(clean))[:, None])


def _usual_mask(encoder: nn.Module, sizes: Sizes) -> Any:
    """Mask of 15 % of the tokens (official code): each by itself, or spans where a token stands for several steps.

    A span has the steps of two tokens, so that it hides one of them whole wherever it begins, and leaves some of the
    series.
    """
    if sizes.modality == "tabular":
        return {"cell_dropout": {"p": _MASKED}}
    steps, length = steps_of_a_feature(encoder, sizes.length), max(1, sizes.length)
    if steps == 1:
        return {"binomial_mask": {"p": _MASKED}}
    width = max(1, min(2 * steps, length - steps))
    hidden_by_one = max(1, width - steps + 1) / steps  # tokens on average
    spans = max(1, round(_MASKED * length / steps / hidden_by_one))
    return {"continuous_mask": {"spans": spans, "length": width / length}}


@parameterised
class _Teaching(EstimatorCore):
    """What the student learns of the teacher, and beside it."""

    temperature: float = shared.temperature(0.01, "of the contrast (official code).")
    contrastive_weight: float = real(1.0, low=0, doc="Weight of the contrast (official code: a plain sum).")
    reconstruction_weight: float = real(
        1.0,
        low=0,
        doc="Weight λ of the values given back at masked tokens (official code: a plain sum); 0: the contrast alone.",
    )
    momentum: float = real(
        1.0,
        low=0,
        high=1,
        doc="Momentum with which the teacher's weights follow the student's: 1 is the frozen teacher (official code), "
        "0 a teacher that is the student.",
    )
    decoder_hidden_dim: int | None = whole(
        None, low=1, doc="Width of the decoder's hidden layer; that of a token by default (BERT's head)."
    )

    method_class: ClassVar[type[Method]] = TaCLMethod
    training_only: ClassVar[frozenset[str]] = frozenset({
        "mask", "temperature", "contrastive_weight", "reconstruction_weight", "momentum", "decoder_hidden_dim",
    })  # fmt: skip


# Fields of a later base come before those of an earlier one: the parameters stand in the order of what is done.


@parameterised
class _SeriesIn(SeriesEstimator):
    """What the student sees of series."""

    embeds_by_encoder: ClassVar[bool] = True
    mask: Any = shared.augmentation(
        None,
        "Any registered augmentation of series with one view that makes gaps and moves no step, list of them, or "
        "recipe. None: 15 % of the tokens (official code), ``{binomial_mask: {p: 0.15}}``, or where the encoder has "
        "fewer features than steps spans of two features' steps.",
    )
    encoder: Any = spec(
        "dilated_conv", "encoder", doc="Any registered encoder of series that gives features over time (TS2Vec's)."
    )
    pooling: PoolingName = shared.pooling("How tokens become one vector.")


@parameterised
class _RowsIn(TabularEstimator):
    """What the student sees of rows."""

    mask: Any = shared.augmentation(
        None,
        "Any registered augmentation of tables with one view that makes cells missing, list of them, or recipe. None: "
        "``{cell_dropout: {p: 0.15}}`` (official code: 15 % of the tokens).",
    )
    encoder: Any = spec(
        "ft_transformer",
        "encoder",
        doc="Any registered encoder of tables that gives a token for each column by a method ``column_tokens(x)``.",
    )


@methods.register("tacl", modality="time_series", reference=_PAPER)
@parameterised
class TaCL(_Teaching, _SeriesIn):
    r"""TaCL on series: at a masked step a student finds what a frozen teacher makes of that step of the whole series.

    The teacher f' is a copy of the network as it is before the first step, and is never trained. The student f reads a
    series :math:`\tilde x_r` in which steps are masked, the teacher the series x as it is. With s and t the features of
    a step by both, M the masked steps of a batch and :math:`O_r` the observed steps of series r, the loss is

    .. math:: L = -\frac{1}{|M|} \sum_{(r, i) \in M} \log \frac{\exp(\cos(s_{ri}, t_{ri})/\tau)}
              {\sum_{j \in O_r} \exp(\cos(s_{ri}, t_{rj})/\tau)} + \lambda R,

    R the mean squared error of what a decoder makes of the features at masked steps. The negatives of a step are other
    steps of the same series, and nothing of another one. The representation is the mean of f(x) over the steps.

    Raises
    ------
    ValueError
        In ``fit``, if ``mask`` makes no gaps or moves steps, or the encoder gives no features over time.

    Warns
    -----
    UserWarning
        In ``fit``, where the mask has hidden no token at any step: nothing was learned then.

    Notes
    -----
    **What the teacher is here.** In the paper student and teacher begin as one trained network, BERT: the teacher knows
    something. A kinview model begins with random weights, and so does its teacher: a frozen random network, a fixed
    random map of a step and of what its receptive field holds. The student learns to predict that map at steps that it
    cannot see, which is prediction of random targets; no knowledge is handed on. Fit begins anew each time: a trained
    model cannot be given as the beginning.

    *Gaps and lengths.* A step without any observed value is neither predicted nor a negative, and what lies beyond the
    end of a series does not count. Masked steps are made missing, and go through the encoder as gaps do (filled, and
    told as missing). A step that is the only one observed has no negative and does not count in the contrast. Of an
    encoder with fewer features than steps, a token is a feature with the steps that it stands for, and masked where
    none of their observed values is left: the mask has spans then. ``momentum`` below 1 is an ablation: the teacher
    follows.

    ============ ============================ ===================================== ==============================
    what         paper                        official code                         kinview
    ============ ============================ ===================================== ==============================
    teacher      BERT as it was, frozen       the same, in train mode: with         the network before its first
                 (recalled)                   dropout                               step, frozen, in eval mode
    student      BERT, trained on (recalled)  the same                              random weights
    tokens       word pieces                  the same                              time stamps
    mask         15 % of the tokens           round(0.15 L) tokens, at least one;   each step with probability
                 (recalled)                   80 % of them hidden, 10 % replaced,   0.15; all hidden
                                              10 % left
    negatives    other tokens of the          other positions, padding among them   other observed steps of the
                 sequence (recalled)                                                series
    similarity   cosine, τ 0.01 (recalled)    the same                              the same
    other terms  masked language modelling,   the same; plain sum                   masked values, weight 1;
                 next sentence (recalled)                                           nothing for the sentence
    optimiser    AdamW, 1e-4 (recalled)       AdamW, 1e-4, batch 256, 150,010       AdamW, 1e-3, weight decay
                                              steps, linear warm-up (10 %) and      1e-4, batch 128, 100 epochs,
                                              decay                                 cosine
    ============ ============================ ===================================== ==============================

    *Deviations.* A series has no next one, so that the second term of BERT has no counterpart. Nothing replaces a
    masked step by another one, or leaves it as it is.

    References
    ----------
    .. [1] Su, Liu, Meng, Lan, Shu, Shareghi, Collier: TaCL: Improving BERT Pre-training with Token-aware Contrastive
       Learning, Findings of NAACL 2022, arXiv 2111.04198.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import TaCL
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> encoder = {"dilated_conv": {"repr_dim": 8, "depth": 2}}
    >>> TaCL(encoder=encoder, trainer={"max_steps": 2}, random_state=0).fit(X).transform(X).shape
    (4, 8)
    """

    scaling: Any = shared.scaling()
    trainer: Any = shared.trainer("those of :class:`SimCLR`; the paper trains BERT on, with another budget.")
    random_state: Any = shared.random_state()

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        encoder = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}}
        small = {"encoder": encoder, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "mask": "continuous_mask", "momentum": 0.9, "pooling": "max"}]


@methods.register("tabular_tacl", modality="tabular", reference=_PAPER)
@parameterised
class TabularTaCL(_Teaching, _RowsIn):
    """TaCL on tables: of a masked cell a student finds what a frozen teacher makes of that column of the whole row.

    The method of :class:`TaCL`, with the columns of a row as tokens: the student's token of a masked cell is contrasted
    with the teacher's tokens of all observed cells of the same row, and of no other row. R is the mean error of the
    masked cells that a decoder for each column gives back, squared for a number and the cross-entropy for a category.
    The representation is the mean of the tokens.

    Raises
    ------
    ValueError
        In ``fit``, if ``mask`` makes no gaps or moves steps, or the encoder gives no token for each column.

    Warns
    -----
    UserWarning
        In ``fit``, where the mask has hidden no token at any step: nothing was learned then.

    Notes
    -----
    What is said of the teacher there holds here: it is a frozen random network, as fit begins with random weights.
    Tokens carry a vector of their column, so that columns are told apart without their values: what is left to learn by
    the contrast is less than of series. A missing cell is neither predicted nor a negative; a row with one
    observed cell has nothing to contrast.

    The paper's sequences have one token, [CLS], that the next-sentence term trains. Nothing here trains what [CLS] has
    become, so that the representation is the mean over the columns, missing ones among them.

    ============== ================== ======================== ==========================================
    what           paper              official code            kinview
    ============== ================== ======================== ==========================================
    tokens         word pieces        the same                 columns
    network        BERT (recalled)    the same                 ``ft_transformer``
    mask           15 % of the tokens round(0.15 L), at least  each cell with probability 0.15; a row may
                   (recalled)         one                      have none
    representation tokens, [CLS]      the same                 mean of the tokens
                   (recalled)
    teacher        frozen (recalled)  frozen, with dropout     frozen, in eval mode
    negatives      tokens of the      other positions, padding other observed cells of the row
                   sequence           among them
                   (recalled)
    similarity     cosine, τ 0.01     the same                 the same
                   (recalled)
    other terms    masked language    the same; plain sum      masked cells, weight 1; nothing for the
                   modelling, next                             sentence
                   sentence
                   (recalled)
    optimiser      AdamW, 1e-4        AdamW, 1e-4, batch 256   that of :class:`TaCL`
                   (recalled)
    ============== ================== ======================== ==========================================

    References
    ----------
    .. [1] Su, Liu, Meng, Lan, Shu, Shareghi, Collier: TaCL: Improving BERT Pre-training with Token-aware Contrastive
       Learning, Findings of NAACL 2022, arXiv 2111.04198.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview.methods import TabularTaCL
    >>> df = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> encoder = {"ft_transformer": {"repr_dim": 8, "heads": 2, "depth": 1}}
    >>> TabularTaCL(encoder=encoder, trainer={"max_epochs": 2}, random_state=0).fit(df).transform(df).shape
    (20, 8)
    """

    text: TextRule = shared.text()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()
    scaling: Any = shared.scaling_of_columns()
