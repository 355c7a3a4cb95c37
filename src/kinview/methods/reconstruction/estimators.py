"""Reconstruction as estimators, of series and of tables."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

from kinview.encoders.pooling import PoolingName
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.base import EstimatorCore
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.methods.reconstruction.method import Counted, DecodedFrom, ReconstructionMethod
from kinview.parameters import choice, parameterised, spec, whole
from kinview.training.method import Method

__all__ = ["Reconstruction", "TabularReconstruction"]

_PAPERS = "Vincent et al., JMLR 2010; Zerveas et al., KDD 2021; Nie et al., ICLR 2023"


@parameterised
class _Decoder(EstimatorCore):
    """What lies between the representation and the loss."""

    counted: Counted = choice(
        "all",
        get_args(Counted),
        doc='Which observed cells count in the loss: "all", or those alone that the corruption has "changed", hidden '
        "ones among them.",
    )
    decoder_hidden_dim: int | None = whole(
        None, low=1, doc="Width of the decoder's hidden layers; that of the representation by default."
    )
    decoder_depth: int = whole(2, low=1, doc="Linear layers of the decoder, ReLU between them (kinview).")

    method_class: ClassVar[type[Method]] = ReconstructionMethod
    embeds_by_encoder: ClassVar[bool] = True
    training_only: ClassVar[frozenset[str]] = frozenset({
        "corruption", "counted", "decoded_from", "decoder_hidden_dim", "decoder_depth",
    })  # fmt: skip


# Fields of a later base come before those of an earlier one: the parameters stand in the order of what is done.


@parameterised
class _SeriesIn(SeriesEstimator):
    """What the encoder sees of series, and what is decoded."""

    corruption: Any = shared.augmentation(
        None,
        "Any registered augmentation of series that leaves values at their steps, list of them, or recipe; what the "
        "encoder sees while training. None: the series as it is.",
    )
    encoder: Any = spec("resnet1d", "encoder", doc="Any registered encoder of series.")
    pooling: PoolingName = shared.pooling("How features become one vector.")
    decoded_from: DecodedFrom = choice(
        "representation",
        get_args(DecodedFrom),
        doc='What the decoder reads: the one vector of a series ("representation"), or the features over time '
        '("steps"), of an encoder that has them.',
    )


@parameterised
class _RowsIn(TabularEstimator):
    """What the encoder sees of rows."""

    corruption: Any = shared.augmentation(
        None,
        "Any registered augmentation of tables with one view, list of them, or recipe; what the encoder sees while "
        "training. None: the row as it is.",
    )
    encoder: Any = spec("mlp", "encoder", doc="Any registered encoder of tables (SCARF's by default).")


@methods.register("reconstruction", modality="time_series", reference=_PAPERS)
@parameterised
class Reconstruction(_Decoder, _SeriesIn):
    r"""Reconstruction of series: a decoder gives back the values that the encoder was shown, or that it was not.

    With a corrupted copy :math:`\tilde x` of a series and :math:`\hat x = g(f(\tilde x))` the loss is

    .. math:: \frac{1}{|M|} \sum_{(i, c, t) \in M} (\hat x_{ict} - x_{ict})^2,

    M the observed values of a batch, or those of them that the corruption has changed. Autoencoder, denoising
    autoencoder and masked reconstruction are recipes over this method (``kinview list methods``). The representation is
    f(x), of the series as it is.

    Notes
    -----
    Shapes: x ``(n, C, T)``, representation ``(n, D)``. Decoded from the representation, a perceptron makes all C · T
    values at once, T the longest training series; what lies beyond the end of a series does not count. Decoded from the
    steps, one perceptron for all of them makes the values at each step of the features there: they need not pass
    through one vector, and without a corruption an encoder that keeps every step has nothing to learn.

    References
    ----------
    .. [1] Vincent, Larochelle, Lajoie, Bengio, Manzagol: Stacked Denoising Autoencoders, JMLR 11, 2010.
    .. [2] Zerveas et al.: A Transformer-based Framework for Multivariate Time Series Representation Learning, KDD 2021,
       arXiv 2010.02803.
    .. [3] Nie, Nguyen, Sinthong, Kalagnanam: A Time Series is Worth 64 Words (PatchTST), ICLR 2023, arXiv 2211.14730.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import Reconstruction
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> encoder = {"dilated_conv": {"repr_dim": 8, "depth": 2}}
    >>> Reconstruction("jitter", encoder, trainer={"max_steps": 2}, random_state=0).fit(X).transform(X).shape
    (4, 8)
    """

    scaling: Any = shared.scaling()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        encoder = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}}
        small = {"encoder": encoder, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "corruption": "continuous_mask", "counted": "changed", "decoded_from": "steps"}]


@methods.register("tabular_reconstruction", modality="tabular", reference=_PAPERS)
@parameterised
class TabularReconstruction(_Decoder, _RowsIn):
    r"""Reconstruction of tables: a decoder gives back the cells that the encoder was shown, or that it was not.

    With a corrupted copy :math:`\tilde x` of a row and outputs :math:`o = g(f(\tilde x))` the loss is the mean over the
    observed cells of a batch, or over those that the corruption has changed, of the squared difference
    :math:`(o_j - x_j)^2` of a number and the cross-entropy :math:`-\log \operatorname{softmax}(o_j)_{x_j}` of a
    category. The representation is f(x), of the row as it is.

    Notes
    -----
    Numbers, dates and booleans are standardised, so that a squared error of 1 is that of the mean; a category of K
    values has log K where nothing is known of it. A category that fit has not seen is no target.

    References
    ----------
    .. [1] Vincent, Larochelle, Lajoie, Bengio, Manzagol: Stacked Denoising Autoencoders, JMLR 11, 2010.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview.methods import TabularReconstruction
    >>> df = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> encoder = {"mlp": {"hidden_dim": 8, "depth": 2}}
    >>> model = TabularReconstruction("swap_noise", encoder, trainer={"max_epochs": 2}, random_state=0)
    >>> model.fit(df).transform(df).shape
    (20, 8)
    """

    text: TextRule = shared.text()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()
    scaling: Any = shared.scaling_of_columns()
