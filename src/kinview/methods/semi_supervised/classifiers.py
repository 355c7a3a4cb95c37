"""Classifiers of which a part of the training samples has labels."""

from __future__ import annotations

import math
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import nn

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.data.labels import encode_partial_target
from kinview.methods import classifiers
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.base import as_trainer, fingerprint
from kinview.methods.estimators.components import one_view_of
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.methods.fine_tuning.classifier import FineTunedClassifier
from kinview.methods.fine_tuning.method import Freeze
from kinview.methods.semi_supervised.method import PseudoLabelMethod, SemiSupervisedMethod, VIMESemiMethod
from kinview.modules import heads
from kinview.parameters import choice, interval, parameterised, real, spec, whole
from kinview.training.method import Sizes

__all__ = ["PseudoLabelClassifier", "SemiSupervisedClassifier", "VIMESemiClassifier"]

_CORRUPTIONS = {  # by default, of both modalities
    "tabular": {"swap_noise": {"corruption_rate": 0.3}},
    "time_series": {"binomial_mask": {"p": 0.3, "shared": False}},
}
_PREDICTOR = {"mlp": {"hidden_dim": 100, "depth": 2}}
_STEPS = 300  # fewest of a training, by default: the further term is to weigh in full for a good part of them


@parameterised
class SemiSupervisedClassifier(FineTunedClassifier):
    """What classifiers share that learn from samples with and without labels."""

    unlabelled_ratio: int = whole(8, low=1, doc="Rows without a label for each with one, at each step.")

    semi_supervised_class: ClassVar[type[SemiSupervisedMethod]]

    @property
    def _partly_labelled(self) -> SemiSupervisedMethod:
        assert isinstance(self.method_, SemiSupervisedMethod)
        return self.method_

    def _encoded(self, y: Any) -> tuple[Int64[np.ndarray, " n"], Shaped[np.ndarray, " classes"]]:
        return encode_partial_target(y)

    def _build(self, sizes: Sizes) -> SemiSupervisedMethod:
        return self.semi_supervised_class(self, self.encoder_.method_, self._build_head(), self._layers)

    def _training_defaults(self, batch: Batch) -> dict[str, Any]:
        assert batch.y is not None
        trainer = {"batch_size": 16, "lr": 1e-2 if self.freeze == "encoder" else 1e-3, "validation_fraction": 0.0}
        size = as_trainer(self.trainer).batch_size or trainer["batch_size"]
        an_epoch = math.ceil(int((batch.y >= 0).sum()) / size)
        return {**trainer, "max_epochs": max(20, math.ceil(_STEPS / an_epoch))}

    def _training_rows(self, batch: Batch) -> Batch:
        """The labelled ones; the others become the pool that each step draws from."""
        assert batch.y is not None
        ready = super()._training_rows(batch)
        self._partly_labelled.pool = self._pool_of(batch, ready).rows(batch.y < 0).replace(y=None)
        return ready.rows(batch.y >= 0)

    def _pool_of(self, batch: Batch, ready: Batch) -> Batch:
        """All rows, as the further term reads them: with the representations of a frozen encoder."""
        return ready

    def _identity(self, rows: Batch, seed: int) -> dict[str, Any]:
        pool = self._partly_labelled.pool
        assert pool is not None
        return {**super()._identity(rows, seed), "unlabelled": fingerprint(pool)}


@classifiers.register("pseudo_label", modality="any", reference="Lee, ICML 2013 workshop")
@parameterised
class PseudoLabelClassifier(SemiSupervisedClassifier):
    r"""A network trained with labels, and with its own predictions as labels of the samples that have none.

    With :math:`p = \operatorname{softmax}(h(f(x)))`, f the representation of a method and h a head, a step lowers

    .. math:: -\frac{1}{n} \sum_{i=1}^n \log p_{i y_i}
              - \alpha(t) \frac{1}{n'} \sum_{j=1}^{n'} \log \max_k p_{jk}

    over n samples with a label and n' without one; α rises from 0 to its full value along a ramp. The labels of
    ``fit(X, y)`` may be missing: None, NaN or ``pandas.NA``. (scikit-learn's own mark, -1, would be a class.) Without a
    missing label it is supervised training.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        The sorted labels; the columns of ``predict_proba``.
    encoder_ : estimator
        The method with the weights that training has left.
    trainer_, training_ : Trainer, TrainingState
        Effective training values; steps, epochs and losses.

    Notes
    -----
    ============  ==================================  =============================  ===================================
    what          paper                               official code                  kinview
    ============  ==================================  =============================  ===================================
    pseudo-label  the class of largest probability,   none is published (recalled)   the same
                  anew at each step
    α             0 until step 100, 3 from step 600                                  0 until a tenth of the training, 3
                  on (recalled)                                                      from six tenths on
    batch         32 with, 256 without a label                                       16 and 128
                  (recalled)
    first         denoising autoencoder, layer by                                    any method, by default TS2Vec and
    weights       layer, as a variant (recalled)                                     SCARF
    network       one hidden layer of 5,000, dropout                                 that of the method
                  (recalled)
    training      gradient descent with momentum                                     Adam 1e-3, 20 epochs of the
                  (recalled)                                                         labelled rows, 300 steps or more
    threshold     none                                                               none, or ``threshold``
    ============  ==================================  =============================  ===================================

    An epoch counts the samples with a label. No row is held out and nothing stops early by default, because labels are
    few, and a plateau before the ramp says nothing. Both kinds of rows go through the network apart, so that where it
    has batch normalisation each has its own batch statistics in training.

    References
    ----------
    .. [1] Lee: Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks, ICML
       2013 workshop on challenges in representation learning.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import PseudoLabelClassifier
    >>> X = np.sin(np.arange(160.0)).reshape(8, 1, 20) * np.repeat([1.0, 5.0], 4)[:, None, None]
    >>> encoder = {"ts2vec": {"repr_dim": 8, "hidden_dim": 4, "depth": 2, "trainer": {"max_steps": 2}}}
    >>> classifier = PseudoLabelClassifier(encoder, trainer={"max_epochs": 60, "lr": 0.01}, random_state=0)
    >>> y = ["calm", None, None, None, "wild", None, None, None]
    >>> classifier.fit(X, y).predict(X[[1, 6]]).tolist()
    ['calm', 'wild']
    """

    weight: float = real(3.0, low=0, doc="α once the ramp is over (paper, recalled); 0 for the labels alone.")
    ramp: tuple[float, float] = interval(
        (0.1, 0.6), low=0, high=1, doc="Fractions of the training at which α begins to rise and is full."
    )
    threshold: float = real(0.0, low=0, high=1, doc="Least probability of a class that counts as a label (paper: any).")
    trainer: Any = shared.trainer(
        "the defaults: Adam with learning rate 1e-3 (1e-2 for a frozen encoder), batches of 16 samples with a label, "
        "20 epochs of these or as many as make 300 steps, no row held out."
    )

    semi_supervised_class: ClassVar[type[SemiSupervisedMethod]] = PseudoLabelMethod


@classifiers.register("vime_semi", modality="any", reference="Yoon et al., NeurIPS 2020")
@parameterised
class VIMESemiClassifier(SemiSupervisedClassifier):
    r"""VIME's semi-supervised stage: corrupted copies of a sample without a label are to have the same scores.

    With f the representation of a pre-trained method, which stays as it is, and a predictor h on top of it, a step
    lowers

    .. math:: -\frac{1}{n} \sum_{i=1}^n \log p_{i y_i}
              + \beta \frac{1}{n' C} \sum_{j, c} \operatorname{Var}_k\, h(f(\tilde x_{jk}))_c

    over n samples with a label, and K corrupted copies :math:`\tilde x_{j1}, \dots, \tilde x_{jK}` of each of n'
    samples without one; the variance is that of the K scores, divided by K. Labels may be missing in ``fit(X, y)``:
    None, NaN or ``pandas.NA``.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The sorted labels; the columns of ``predict_proba``.
    encoder_ : estimator
        The method whose network it is; with ``freeze="encoder"`` its weights are those of pre-training.
    trainer_, training_ : Trainer, TrainingState
        Effective training values; steps, epochs and losses.

    Notes
    -----
    ============  ===============================  ==================================  ==============================
    what          paper                            official code                       kinview
    ============  ===============================  ==================================  ==============================
    f             VIME's encoder                   VIME's, one layer, frozen           any method, frozen
    h             two layers of 100 (recalled)     two layers of 100, ReLU             the same
    K, p          3, 0.3 (recalled)                3, 0.3                              the same
    replaced by   draws from the column's          a permutation of the column within  tables: draws from the marginal
                  marginal                         the batch                           of all training rows; series:
                                                                                       missing
    consistency   squared distance to the scores   variance of the scores over the     as the code
                  of the clean row (recalled)      copies
    β             1 (recalled)                     1                                   the same
    batch         128 and 128 (recalled)           128 and 128                         16 with and 128 without a label
    training      Adam (recalled)                  Adam 1e-3, 1,000 steps, stopped     Adam 1e-2, 20 epochs of the
                                                   after 100 on 10 % of the labels     labelled rows, 300 steps or
                                                                                       more, no row held out
    ============  ===============================  ==================================  ==============================

    *Any encoder, both modalities.* By default it is SCARF for tables and TS2Vec for series; with a
    method that is VIME's first stage it is VIME. What the corruption learns, it
    learns from the samples with and without a label.

    Raises
    ------
    ValueError
        From ``fit``, for a corruption that makes several views, is for the other modality, or needs labels, groups or
        a loss.

    References
    ----------
    .. [1] Yoon, Zhang, Jordon, van der Schaar: VIME: Extending the Success of Self- and Semi-supervised Learning to
       Tabular Domain, NeurIPS 2020.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview.methods import VIMESemiClassifier
    >>> df = pd.DataFrame({"age": [31.0, 75.0, None, 82.0] * 5, "smoker": [False, True, False, True] * 5})
    >>> y = ["well", "ill", None, None] * 5
    >>> encoder = {"scarf": {"hidden_dim": 8, "depth": 2, "trainer": {"max_epochs": 2}}}
    >>> VIMESemiClassifier(encoder, random_state=0).fit(df, y).predict(df[2:4]).tolist()
    ['well', 'ill']
    """

    head: Any = spec(
        None,
        "head",
        words="str or mapping",
        doc="h, part of the registry ``heads``. None: ``{mlp: {hidden_dim: 100, depth: 2}}`` (official code).",
    )
    freeze: Freeze = choice(
        "encoder",
        get_args(Freeze),
        doc='What is trained, as for :class:`~kinview.FineTunedClassifier`; "encoder" leaves it as it is (official '
        "code).",
    )
    trainer: Any = shared.trainer(
        "the defaults: Adam with learning rate 1e-2 for a frozen encoder and 1e-3 otherwise, batches of 16 samples "
        "with a label, 20 epochs of these or as many as make 300 steps, no row held out."
    )
    corruption: Any = shared.augmentation(
        None,
        "Any registered augmentation with one view. None: ``{swap_noise: {corruption_rate: 0.3}}`` for tables "
        "(official code), ``{binomial_mask: {p: 0.3, shared: false}}`` for series (kinview).",
    )
    copies: int = whole(
        3, low=1, doc="K, corrupted copies of each sample (official code); of one there is no variance."
    )
    weight: float = real(1.0, low=0, doc="β (official code); 0 for the labels alone.")

    semi_supervised_class: ClassVar[type[SemiSupervisedMethod]] = VIMESemiMethod

    def _build(self, sizes: Sizes) -> SemiSupervisedMethod:
        self._view(sizes.modality)
        return super()._build(sizes)

    def _build_head(self) -> nn.Module:
        if self.head is not None:
            return super()._build_head()
        head: nn.Module = heads.build(_PREDICTOR, in_features=self._repr_dim, n_classes=self._n_classes)
        return head

    def _view(self, modality: str) -> Augmentation:
        """The augmentation that makes the copies, before it has learned."""
        given = _CORRUPTIONS[modality] if self.corruption is None else self.corruption
        view = one_view_of("corruption", given, modality)
        needs = view.needs & {"y", "groups", "loss"}
        if needs:
            raise ValueError(
                f"corruption must do with the samples alone, as those without a label have no more; {view!r} needs "
                f"{', '.join(sorted(needs))}. Choose another augmentation"
            )
        return view

    def _pool_of(self, batch: Batch, ready: Batch) -> Batch:
        """All rows as they are; the copies of a frozen encoder are made anew at each step."""
        return batch

    def _training_rows(self, batch: Batch) -> Batch:
        rows = super()._training_rows(batch)
        schema = self.encoder_.schema_of(batch) if isinstance(self.encoder_, TabularEstimator) else None
        generator = torch.Generator().manual_seed(torch.initial_seed())
        method = self._partly_labelled
        assert isinstance(method, VIMESemiMethod)
        method.corruptions = (self._view(self.sizes_.modality).fit(batch.replace(y=None), schema, generator),)
        return rows
