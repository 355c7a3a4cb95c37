"""The control that pre-training must beat where labels may train the network: the same network, from scratch."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from kinview.methods import methods
from kinview.methods.controls.random_init import RandomInit
from kinview.methods.estimators import shared_parameters as shared
from kinview.parameters import checked_parameters, parameterised

__all__ = ["Supervised"]


@methods.register("supervised", modality="any")
@parameterised
class Supervised(RandomInit):
    """A method's network, trained end to end with the labels from its initial weights.

    A supervised transformer: ``fit`` trains the network with a linear head as
    ``FineTunedClassifier(method, pretrain=False)`` does, and ``transform`` embeds with it. In a benchmark the probe
    ``finetune`` does the training, with the labels of each cell, exactly as it trains a pre-trained network: what
    differs is where the training starts.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> control = Supervised({"ts2vec": {"repr_dim": 8, "hidden_dim": 4, "depth": 2}}, random_state=0)
    >>> control.fit(X, ["a", "a", "b", "b"]).transform(X).shape
    (4, 8)
    """

    random_state: Any = shared.random_state("Seed of the initial weights and of the training.")

    trains: ClassVar[bool] = True
    uses_labels: ClassVar[bool] = True

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Train with labels.

        Raises
        ------
        ValueError
            Without labels, or with labels of a single class.
        """
        from kinview.methods.fine_tuning.classifier import FineTunedClassifier

        checked_parameters(self)
        classifier = FineTunedClassifier(self.method, pretrain=False, random_state=self.random_state)
        self.estimator_ = classifier.fit(X, y, groups=groups).encoder_
        return self
