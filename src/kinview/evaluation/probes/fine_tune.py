"""The probe that trains the network itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float, Int64

from kinview.data.alignment import in_order_of
from kinview.data.labels import encode_classes
from kinview.evaluation.probes import probes
from kinview.evaluation.probes.base import Probe
from kinview.methods.estimators.capabilities import Capabilities
from kinview.methods.fine_tuning.classifier import FineTunedClassifier
from kinview.methods.fine_tuning.method import Freeze

__all__ = ["FineTune"]


@probes.register("finetune", modality="any", reference="Bahri et al., SCARF, ICLR 2022", parts={"head": "heads"})
@dataclasses.dataclass(eq=False)
class FineTune(Probe):
    """A head on the fitted network, and the network with it, trained with labels: no frozen representation.

    It reads the samples themselves. Training is that of :class:`~kinview.FineTunedClassifier`: cross-entropy, early
    stopping on rows cut from the training rows (never parting a group). The fitted model is copied, not changed.
    Scores are the predicted probabilities.

    Parameters
    ----------
    random_state : int
        Seed of the head, the held-out rows and the training.
    head : str or mapping
        What says the class from the representation (``kinview list heads``); ``mlp`` is SCARF's.
    freeze : {"none", "encoder", "gradual"}
        Whether everything is trained, the head alone, or the head first and then layer by layer.
    encoder_lr : float, optional
        Learning rate of the encoder; by default that of the head.
    trainer : mapping, optional
        Fields of a Trainer, with the defaults of :class:`~kinview.FineTunedClassifier`. SCARF's published protocol is
        ``{batch_size: 128, max_epochs: 200, patience: 3, validation_fraction: 0.125}``, with ``head: mlp``.
    calibration : None
        Not to be had: the network would have to be trained anew for each fold; anything else is refused.

    References
    ----------
    .. [1] Bahri, D., et al. (2022). SCARF: Self-supervised contrastive learning using random feature corruption. ICLR.

    Examples
    --------
    >>> from kinview import SCARF
    >>> X, y = np.array([[0.0], [1.0], [4.0], [5.0]] * 5), [0, 0, 1, 1] * 5
    >>> model = SCARF(hidden_dim=8, trainer={"max_steps": 2}, random_state=0).fit(X)
    >>> FineTune(trainer={"lr": 0.05}).fit(X, y, model=model).predict([[-1.0], [6.0]]).tolist()
    [0, 1]
    """

    needs_model: ClassVar[bool] = True

    head: Any = "linear"
    freeze: Freeze = "none"
    encoder_lr: float | None = None
    trainer: Mapping[str, Any] | None = None
    classifier_: FineTunedClassifier = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.calibration is not None:
            raise ValueError(
                "finetune cannot be calibrated: its network would have to be trained anew for each fold of the "
                "training samples; leave calibration out, or use a probe that reads representations"
            )

    def fit(
        self, X: Any, y: Any, groups: Any = None, *, model: Any = None, trainer: Mapping[str, Any] | None = None
    ) -> Self:
        """Fit on training samples.

        Parameters
        ----------
        X : panel or table
            Samples, as the model takes them.
        y : array-like of shape (n,)
            Labels of any one type; with an index that names the samples, in any order.
        groups : array-like of shape (n,), optional
            Group (patient) of each sample, as y.
        model : estimator
            A fitted kinview method.
        trainer : mapping, optional
            Fields of a Trainer that win over the probe's own: what a benchmark decides (device, precision).

        Raises
        ------
        ValueError
            If there is no fitted model, it has no network, or the labels do not fit.
        """
        network = model.fitted_network if isinstance(model, Capabilities) else None
        if network is None:
            raise ValueError(
                f"the probe 'finetune' trains the network of a fitted model, and {model!r} has none; use another probe"
            )
        y, groups = in_order_of(X, y, "y"), in_order_of(X, groups, "groups")
        codes, classes = encode_classes(y, "a probe")
        self.classifier_ = FineTunedClassifier(
            network,
            head=self.head,
            freeze=self.freeze,
            encoder_lr=self.encoder_lr,
            trainer={**(self.trainer or {}), **(trainer or {})},
            random_state=self.random_state,
        )
        self._fit(X, codes, groups)
        self.classes_, self.convergence_failures = classes, 0
        return self

    def _fit(self, Z: Any, codes: Int64[np.ndarray, " n"], groups: Any) -> None:
        self.classifier_.fit(Z, codes, groups=groups)

    def _scores(self, Z: Any) -> Float[np.ndarray, "n classes"]:
        return self.classifier_.predict_proba(Z)

    def _check_fitted(self, Z: Any) -> Any:
        if not hasattr(self, "classes_"):
            raise ValueError("this FineTune is not fitted yet; call fit(X, y, model=...) first")
        return Z  # the model reads the samples, and says what is wrong with them
