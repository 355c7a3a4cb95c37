"""TF-C: representations of series on which their time and frequency domains agree (Zhang et al., NeurIPS 2022)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.data.gaps import offset_of, valid_lengths, with_something_observed
from kinview.data.modality import SERIES
from kinview.encoders.frequency import FrequencyEncoder
from kinview.encoders.front_end import Filling, FillRule
from kinview.encoders.masked import inside
from kinview.encoders.pooling import pooled
from kinview.encoders.tfc_transformer import TFCTransformer
from kinview.losses.consistency import Consistency
from kinview.losses.nt_xent import NTXent
from kinview.losses.nt_xent_poly import NTXentPoly
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of, gaps_of, one_view_of, with_gaps
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.tfc.official_weights import official_state
from kinview.modules.projector import projector
from kinview.parameters import choice, flag, parameterised, real, spec, whole
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["TFC", "TFCMethod"]

ConsistencyRule = Literal["paper", "official"]
Representation = Literal["projection", "encoder"]


class TFCMethod(RowwiseMethod):
    """Contrast in the time domain, contrast in the frequency domain, and consistency between the two.

    Where ``channels`` is 1, series of any number of channels are encoded channel by channel, and the encoders' outputs
    averaged over the channels with an observation.
    """

    training_defaults: ClassVar[dict[str, Any]] = dict(shared.TSTCC_TRAINING)
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: TFC, sizes: Sizes) -> None:
        super().__init__(sizes)
        if parameters.channel_independent:
            sizes = dataclasses.replace(sizes, channels=1)
        self.channels = sizes.channels
        self.consistency = parameters.consistency
        self.contrastive_weight = parameters.contrastive_weight
        self.representation = parameters.representation
        self.time_encoder, self.frequency_encoder = _encoders(parameters, sizes)
        self.time_projector = _projector(self.time_encoder, parameters)
        self.frequency_projector = _projector(self.frequency_encoder, parameters)
        loss = NTXent if parameters.consistency == "paper" else NTXentPoly
        self.contrast = loss(parameters.temperature)
        self.agreement = Consistency(parameters.temperature, parameters.margin)
        self.time_augmentation = one_view_of("time_augmentation", parameters.time_augmentation, SERIES)
        self.frequency_augmentation = one_view_of("frequency_augmentation", parameters.frequency_augmentation, SERIES)
        self.gaps = gaps_of(parameters)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Series and augmented series for the time domain, and both for the frequency domain, gaps bridged.

        A frequency augmentation changes the spectrum of a series without gaps; bridged before, not after, the spectrum
        that the encoder takes is the perturbed one itself.
        """
        whole = bridged(batch, self.frequency_encoder.filling)
        views = [
            batch,
            self.time_augmentation.at(progress)(batch, generator),
            whole,
            self.frequency_augmentation.at(progress)(whole, generator),
        ]
        return with_gaps(views, self.gaps, generator, progress)

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Rows with something observed in each view."""
        return with_something_observed(views)

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """H of the series and of the augmented ones, in the time domain and in that of frequencies."""
        encoders = (self.time_encoder, self.time_encoder, self.frequency_encoder, self.frequency_encoder)
        return [self._encode(encoder, view) for encoder, view in zip(encoders, views, strict=True)]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """λ (L_T + L_F) + (1 − λ) L_C, or the official λ (L_T + L_F) + S(z_t, z_f); see :class:`TFC`."""
        h_t, h_t_augmented, h_f, h_f_augmented = representations
        time, frequency = self.contrast(h_t, h_t_augmented), self.contrast(h_f, h_f_augmented)
        z_t, z_f = self.time_projector(h_t), self.frequency_projector(h_f)
        if self.consistency == "official":
            between = self.contrast(z_t, z_f)
            total = self.contrastive_weight * (time + frequency) + between
        else:
            augmented = self.time_projector(h_t_augmented), self.frequency_projector(h_f_augmented)
            between = self.agreement(z_t, z_f, *augmented)
            total = self.contrastive_weight * (time + frequency) + (1.0 - self.contrastive_weight) * between
        parts = torch.stack([time, frequency, between]).detach().tolist()
        return LossResult(total, dict(zip(("time", "frequency", "consistency"), parts, strict=True)))

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """[z_t, z_f], or [h_t, h_f]; zero for a series without observations."""
        parts = [self._encode(self.time_encoder, batch), self._encode(self.frequency_encoder, batch)]
        if self.representation == "projection":
            parts = [self.time_projector(parts[0]), self.frequency_projector(parts[1])]
        empty = torch.isnan(batch.x).flatten(1).all(dim=1)
        return torch.cat(parts, dim=1).masked_fill(empty[:, None], 0.0)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All parameters, with the β of the official code."""
        return [{**group, "betas": shared.TSTCC_BETAS} for group in super().parameter_groups()]

    def _encode(self, encoder: nn.Module, batch: Batch) -> Float[Tensor, "n d"]:
        """One vector a row: h."""
        x, times = batch.x, batch.times
        if x.shape[1] == self.channels:
            return pooled(encoder, x, times, "mean")
        if self.channels != 1:
            raise ValueError(
                f"this TF-C reads {self.channels} channels together; the series have {x.shape[1]}: fit it with "
                f"channel_independent=True, or on one channel, to embed series of any number of channels"
            )
        seen = ~torch.isnan(x).all(dim=2)
        seen[:, 0] |= ~seen.any(dim=1)  # every row keeps a channel; embed blanks one without observations
        owner = seen.nonzero()[:, 0]
        h = pooled(encoder, x[seen][:, None, :], None if times is None else times[owner], "mean")
        total = h.new_zeros(len(x), h.shape[1]).index_add(0, owner, h)
        return total / seen.sum(dim=1, keepdim=True)


def bridged(batch: Batch, filling: Filling) -> Batch:
    """Series whose gaps are filled; NaN beyond the end of a series, and in channels never observed, stays."""
    missing = torch.isnan(batch.x)
    if not bool(missing.any()):
        return batch
    within = inside(valid_lengths(batch.x, batch.times), batch.x.shape[2])[:, None, :]
    fill = missing & within & ~missing.all(dim=2, keepdim=True)
    return batch.replace(x=torch.where(fill, filling(batch.x, offset=offset_of(batch)), batch.x))


class _BatchNorm(nn.BatchNorm1d):
    """``nn.BatchNorm1d``, but a row alone, which has no batch statistics, takes the running ones (fine-tuning)."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) < 2:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def _encoders(parameters: TFC, sizes: Sizes) -> tuple[nn.Module, FrequencyEncoder | TFCTransformer]:
    """One for series, and one that takes their spectra itself."""
    channels = sizes.channels
    if parameters.encoder == "official":
        length = max(2, sizes.length + sizes.length % 2)  # its two heads share the steps
        fill = parameters.frequency_fill
        time, frequency = (TFCTransformer(channels, length, domain, fill=fill) for domain in ("time", "frequency"))
        return time, frequency
    time_encoder = encoder_of("encoder", parameters.encoder, sizes)
    return time_encoder, FrequencyEncoder(channels, parameters.encoder, parameters.bins, parameters.frequency_fill)


def _projector(encoder: nn.Module, parameters: TFC) -> nn.Sequential:
    width = encoder.repr_dim
    assert isinstance(width, int)
    layers = projector(width, parameters.hidden_dim, parameters.projection_dim)
    layers[1] = _BatchNorm(parameters.hidden_dim)
    return layers


@methods.register(
    "tfc",
    modality="time_series",
    reference="Zhang et al., TF-C, NeurIPS 2022, arXiv 2206.08496",
    # a front-end that is left open is the encoder's own in time and "values" in frequency
    parts={"encoder": ("encoders", "front_end")},
)
@parameterised
class TFC(SeriesEstimator):
    r"""TF-C: contrastive pre-training of series by time-frequency consistency.

    One encoder reads the series, another one their magnitude spectra. In each domain a series must find its augmented
    form among those of the batch, :math:`L_T = S(h_t, \tilde h_t)` and :math:`L_F = S(h_f, \tilde h_f)` with S =
    NT-Xent; and the projections z of both domains, in one space, must be closer than those of which one is augmented,

    .. math:: L = \lambda (L_T + L_F) + (1 - \lambda) L_C, \quad
              L_C = \sum_{(u, v)} \big( S(z_t, z_f) - S(u, v) + \delta \big), \;
              (u, v) \in \{(z_t, \tilde z_f), (\tilde z_t, z_f), (\tilde z_t, \tilde z_f)\}

    The representation is [z_t, z_f], as in the official downstream code.

    Notes
    -----
    *Deviations from the paper.* The consistency term has no hinge there either; with it the loss can fall below zero.
    Spectra are divided by √L and brought to ``bins`` bins, so that a model can be taken to another length.

    *Deviations from the official code* have their switches in ``consistency`` and ``encoder``; its other lines in the
    table cannot be had. With ``encoder="official"`` and the same weights h and z agree to 1e-5.

    *What to watch.* Three terms of :math:`L_C` are subtracted: it goes on rewarding projections of augmented views that
    no longer find their series, with weight 1 − λ against the λ of the contrast within a domain. Trained for long the
    total falls without bound, at the cost of that contrast. On GunPoint (50 series in one batch, 150 steps,
    ``random_state=0``, logistic regression on standardised representations, one run each):

    ========================== ================ ============================= ============== =============
    what is trained            total at the end L_T and L_F (chance: 4.60)    effective rank test accuracy
    ========================== ================ ============================= ============== =============
    nothing                    –                –                             15.4           .967
    ``consistency="paper"``    −16.6            4.64 and 4.73                 4.3            .913
    ``consistency="official"`` 3.2              another S                     33.4           .973
    ========================== ================ ============================= ============== =============

    ``training_.history`` holds the parts of the loss by themselves. Where L_T and L_F come back to chance, train for
    fewer steps or take the official rule. NT-Xent needs other rows: of fewer than two series nothing is learned.

    *Gaps and unequal lengths.* Spectra are those of each series' own steps, taken as evenly spaced whatever the time
    stamps say. A series without any observation is left out of the training, and represented by the zero vector.

    ============== ============= ============================================= =====================================
    what           paper         official code                                 kinview
    ============== ============= ============================================= =====================================
    encoders       3-layer 1-D   2-layer transformer that attends across the   ``resnet1d``, any other, or
                   ResNet        batch                                         ``"official"``
    channels       one           the first one                                 all together, or each by itself
                                                                               (``channel_independent``)
    length         that of the   cut to one even length                        any, also within a batch
                   data
    spectrum       magnitudes    of the full FFT, its mirror half too          of each series' own length, over √L,
                                                                               on ``bins`` bins
    time view      a bank of     jitter, σ = 2 (SleepEEG)                      jitter, σ = 2
                   views
    frequency view a few lines   the *sum* of a spectrum with 10 % removed and the one or the other, 10 % of the
                   removed *or*  one with 10 % raised                          lines
                   added
    projectors     2 layers      256, BN, ReLU, 128                            the same
    λ, τ, δ        –, –, 1       0.2, 0.2, 1                                   the same
    total          λ (L_T + L_F) 0.2 (L_T + L_F) + S(z_t, z_f): L_C is         ``consistency="paper"`` or
                   + (1 − λ) L_C computed and left out                         ``"official"``
    optimiser      –             Adam, 3e-4, β (0.9, 0.99), weight decay 3e-4; the same
                                 batch 128, 40 epochs
    gradients      –             ``zero_grad`` once an epoch: they pile up     at every step
    training rows  all           10 batches' worth (``subset=True``)           all
    gaps           –             –                                             completed in time, bridged by lines
                                                                               before a spectrum
    representation –             [z_t, z_f]                                    the same, or [h_t, h_f]
    ============== ============= ============================================= =====================================

    References
    ----------
    .. [1] Zhang, Zhao, Tsiligkaridis, Zitnik: Self-Supervised Contrastive Pre-Training for Time Series via
       Time-Frequency Consistency, NeurIPS 2022, arXiv 2206.08496.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import TFC
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> model = TFC(projection_dim=4, trainer={"max_steps": 2}, random_state=0).fit(X)
    >>> model.transform(X).shape  # z_t and z_f
    (4, 8)
    >>> other = np.cos(np.arange(300.0)).reshape(5, 3, 20)  # longer, and of three channels
    >>> model.adapt(other).transform(other).shape
    (5, 8)
    """

    encoder: Any = spec(
        "resnet1d",
        "encoder",
        doc="Spec of a registered series encoder, built once for each domain (paper: a 3-layer 1-D ResNet); or "
        '"official", the transformer of the official code, which attends across the batch, so that a representation '
        "depends on the other rows.",
    )
    bins: int = whole(
        128,
        low=2,
        doc="Bins of the spectra, from 0 to the Nyquist frequency; see "
        ':func:`~kinview.encoders.magnitude_spectrum`. ``encoder="official"`` takes the full, unnormalised '
        "spectrum of series brought to one length instead.",
    )
    hidden_dim: int = whole(256, low=1, doc="Hidden layer of the projectors (official code).")
    projection_dim: int = whole(
        128, low=1, doc="Size of z_t and of z_f (official code); a representation has twice as many values."
    )
    representation: Representation = choice(
        "projection",
        get_args(Representation),
        doc="[z_t, z_f], which the official downstream code reads, or [h_t, h_f], the outputs of the encoders.",
    )
    consistency: ConsistencyRule = choice(
        "paper",
        get_args(ConsistencyRule),
        doc=r"The loss above; or the one on which the official code trains, "
        r":math:`\lambda (L_T + L_F) + S(z_t, z_f)` with the polynomial term of "
        r":func:`~kinview.losses.nt_xent_poly` in each S.",
    )
    contrastive_weight: float = real(0.2, low=0, high=1, doc="λ (official code).")
    temperature: float = shared.temperature(0.2, "of S (official code).")
    margin: float = real(1.0, doc="δ (paper). It moves the value and no gradient.")
    time_augmentation: Any = shared.augmentation(
        "tfc_time",
        "View in the time domain, drawn afresh at every step. The recipe: jitter with σ = 2 (official configuration "
        "for SleepEEG).",
    )
    frequency_augmentation: Any = shared.augmentation(
        "tfc_frequency",
        "View in the frequency domain, drawn afresh at every step, gaps bridged before. The recipe: a tenth of the "
        "frequencies removed or added to, the one or the other for each series (paper).",
    )
    channel_independent: bool = flag(
        False,
        doc="Encode each channel by itself with shared weights, and average the encoders' outputs over the channels "
        "with an observation. A model fitted so, or on one channel (as published), can be taken to series of any "
        "number of channels: see :meth:`adapt`. Otherwise the encoders read all channels together.",
    )
    scaling: Any = shared.scaling()
    trainer: Any = shared.trainer(shared.TSTCC_TRAINING_IN_WORDS)
    random_state: Any = shared.random_state()
    frequency_fill: FillRule = shared.fill(
        "linear",
        "What stands in a gap before a spectrum is taken, by position (the encoder's own ``fill`` is that of the time "
        'branch; ``encoder="official"`` takes this one for both)',
    )
    gaps: Any = shared.gaps()

    method_class: ClassVar[type[Method]] = TFCMethod
    training_only: ClassVar[frozenset[str]] = frozenset({
        "consistency", "contrastive_weight", "temperature", "margin", "time_augmentation", "frequency_augmentation",
        "gaps",
    })  # fmt: skip

    @classmethod
    def from_official(cls, path: str | os.PathLike[str]) -> Self:
        """Estimator with the weights of an official checkpoint, and the official behaviour.

        Parameters
        ----------
        path : path
            A state dict written by the official code, bare or under ``model_state_dict``. It is read without executing
            anything in it.

        Raises
        ------
        ValueError
            If the file is not such a checkpoint.

        Notes
        -----
        The official loaders normalise the data before the model sees them, so the estimator does not
        (``scaling=None``). A representation depends on the rows that are embedded together.
        """
        state, sizes = official_state(path)
        if sizes["depth"] != 2:
            raise ValueError(f"{os.fspath(path)} has encoders of {sizes['depth']} layers; the official ones have 2")
        estimator = cls(
            encoder="official",
            hidden_dim=sizes["hidden_dim"],
            projection_dim=sizes["projection_dim"],
            consistency="official",
            scaling=None,
        )
        return estimator._take_official(path, state, channels=1, steps=sizes["length"])

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        encoder = {"resnet1d": {"widths": [4, 4], "kernel_sizes": [3, 3]}}
        sizes = {"bins": 8, "hidden_dim": 4, "projection_dim": 2, "trainer": {"max_steps": 2}, "random_state": 0}
        return [{"encoder": encoder, **sizes}, {"encoder": encoder, **sizes, "channel_independent": True}]

    @property
    def _method(self) -> TFCMethod:
        assert isinstance(self.method_, TFCMethod)
        return self.method_

    def _sizes_for(self, channels: int) -> Sizes:
        """One channel stays one channel: its encoders take each of several by itself."""
        return self.sizes_ if self._method.channels == 1 else super()._sizes_for(channels)
