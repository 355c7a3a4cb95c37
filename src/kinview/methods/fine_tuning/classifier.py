"""Classifiers that train a pre-trained network on with labels, or the same network from its initial weights."""

from __future__ import annotations

import copy
import hashlib
import inspect
import math
from typing import Any, ClassVar, Self, get_args

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from kinview.data.alignment import in_order_of
from kinview.data.batch import Batch
from kinview.data.gaps import something_observed
from kinview.data.labels import encode_target
from kinview.data.modality import PAIRED, SERIES, TABLE, check_samples, modality_of
from kinview.data.paired import PairedData
from kinview.data.splits import holdout
from kinview.files import tensors_under
from kinview.methods import classifiers, connections, methods
from kinview.methods.default_methods import DEFAULT_METHODS
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.base import (
    EstimatorCore,
    as_trainer,
    described_parameters,
    fingerprint,
    own_copy,
    unfrozen,
)
from kinview.methods.estimators.bounded_build import check_described
from kinview.methods.estimators.capabilities import Capabilities
from kinview.methods.estimators.model_file import inner_state, registry_of, restored_inner, without_run_fields
from kinview.methods.estimators.paired import PairedEstimator, other_side
from kinview.methods.estimators.series import SeriesEstimator, transferred
from kinview.methods.estimators.table_columns import tags_of_tables
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.methods.fine_tuning.layers import layers_of
from kinview.methods.fine_tuning.method import FineTuningMethod, Freeze
from kinview.modules import heads
from kinview.parameters import choice, flag, parameterised, real, spec
from kinview.training.method import Method, Sizes
from kinview.training.settings import resolve_device, settings_of

__all__ = ["FineTunedClassifier"]

_LEAST_HELD_OUT = 10
_LONGEST_LABEL = 100_000  # bytes, of a label in a file


@classifiers.register(
    "fine_tuned",
    modality="any",
    reference="Bahri et al., ICLR 2022; Howard and Ruder, ACL 2018",
)
@parameterised
class FineTunedClassifier(EstimatorCore, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""A method's network with a classification head, trained with labels.

    With f the representation of a method and h a head, :math:`p(y \mid x) = \operatorname{softmax}(h(f(x)))` is trained
    by cross-entropy, from the weights that pre-training has left or, as the supervised control, from the initial ones.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        The sorted labels; the columns of :meth:`predict_proba`.
    encoder_ : estimator
        The method with the weights that training with labels has left; ``encoder_.transform`` embeds with them.
    trainer_, training_ : Trainer, TrainingState
        Effective training values; steps, epochs and losses.

    Notes
    -----
    *Early stopping.* The rows held out are cut from those given to ``fit``, the same fraction of each class, and never
    part a group. A loss on a handful of rows says nothing: where fewer than 10 would be held out (50 training rows, by
    default), or a class would be left without a training row, all rows train and training takes all its epochs.

    *Frozen means frozen.* What is not trained is in eval mode: no dropout, and the statistics of BatchNorm stay as they
    are (in the official code of TS-TCC they move).

    *SCARF's published protocol* is ``head="mlp"`` with the trainer ``{batch_size: 128, max_epochs: 200, patience: 3,
    validation_fraction: 0.125}``: Adam, 1e-3, everything trained (``configs/classifier/scarf_fine_tuning.yaml``).

    References
    ----------
    .. [1] Bahri, Jiang, Tay, Metzler: SCARF, ICLR 2022, arXiv 2106.15147.
    .. [2] Howard, Ruder: Universal Language Model Fine-tuning for Text Classification, ACL 2018 (gradual unfreezing).

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import TS2Vec, FineTunedClassifier
    >>> X = np.sin(np.arange(160.0)).reshape(8, 1, 20) * np.repeat([1.0, 5.0], 4)[:, None, None]
    >>> model = TS2Vec(repr_dim=8, hidden_dim=4, depth=2, trainer={"max_steps": 2}, random_state=0).fit(X)
    >>> classifier = FineTunedClassifier(model, trainer={"max_epochs": 20, "lr": 0.01}, random_state=0)
    >>> classifier.fit(X, np.repeat(["calm", "wild"], 4)).predict(X[:1]).tolist()
    ['calm']
    """

    encoder: Any = spec(
        None,
        "method",
        words="estimator, str or mapping",
        doc="Where f comes from. A *fitted* kinview estimator: its weights are copied, and it stays as it is "
        "(scikit-learn's ``clone`` forgets what was fitted; in a grid search wrap it in "
        ':class:`sklearn.frozen.FrozenEstimator`). An unfitted one, or a spec such as ``"ts2vec"`` or ``{scarf: '
        "{depth: 2}}``: it is pre-trained on X first, without the labels unless its method uses them. By default "
        "TS2Vec for series and SCARF for tables.",
    )
    head: Any = spec(
        "linear",
        "head",
        words="str or mapping",
        doc='Part of the registry ``heads``: ``"linear"``, ``"mlp"`` (SCARF\'s), or ``{mlp: {depth: 1, hidden_dim: '
        "64}}``.",
    )
    freeze: Freeze = choice(
        "none",
        get_args(Freeze),
        doc='"none": everything is trained. "encoder": the head alone. "gradual": the head first, then the layers of '
        "the encoder from the top to the input, all of them from half of the training on.",
    )
    pretrain: bool = flag(
        True,
        doc="Whether an encoder that is not fitted is pre-trained. False starts from its initial weights: supervised "
        "training from scratch.",
    )
    transfer: bool = flag(
        False,
        doc="For a fitted encoder of series: X is of another data set than its own, so channels and scaling are "
        "learned from X. Weights that read another number of channels start anew, with a warning. A different length "
        "needs no transfer.",
    )
    encoder_lr: float | None = real(None, above=0, doc="Learning rate of the encoder; by default that of the head.")
    trainer: Any = shared.trainer(
        "the defaults: Adam with learning rate 1e-3 (SCARF); batches of 16, so that a small set makes more than one "
        "step an epoch; up to 20 epochs, or as many as make 100 steps (the official fine-tuning of TS-TCC and TF-C, 40 "
        "epochs of batches of 128, makes a quarter of the steps of 20 epochs); stopped after 5 epochs, or as many as "
        "make 50 steps, without a better loss on a fifth of the training rows, the best weights kept (SCARF: 3 epochs, "
        "on larger sets; the running statistics of BatchNorm need some 50 steps before a validation loss means "
        'anything). With ``freeze="encoder"`` a step costs next to nothing: learning rate 1e-2, up to 500 epochs, '
        'patience 50. With ``"gradual"`` no early stop, because a plateau of the head says nothing about the layers to '
        "come."
    )
    random_state: Any = shared.random_state()

    uses_labels: ClassVar[bool] = True

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> Self:
        """Train with labels.

        Parameters
        ----------
        X : panel or table
            Samples of the modality of the encoder, with gaps and unequal lengths, as its own ``fit`` takes them.
        y : array-like of shape (n,)
            Labels of any one type. With an index that names the samples of X, as ``groups`` too, they may be in any
            order.
        groups : array-like of shape (n,), optional
            Group (patient) of each sample; held-out rows never share one with the others. Default: the outermost level
            of a hierarchical index.

        Raises
        ------
        ValueError
            If the labels are of a single class, missing, dates, not one a sample, or of other samples by their index,
            or the encoder has no network (a connection of two models has none) or reads the other modality.
        """
        self.__dict__.pop("classes_", None)  # not fitted until all of this has succeeded
        self.check_parameters()
        if self._reads_pairs:
            X = PairedData.of(X)
        samples = X.index if isinstance(X, PairedData) else X
        y, groups = in_order_of(samples, y, "y"), in_order_of(samples, groups, "groups")
        codes, classes = self._encoded(y)
        seed = self._seed()
        self.encoder_: Any = self._starting_point(X, codes, classes, groups, seed)
        if isinstance(self.encoder_, TabularEstimator):
            validate_data(self, X, skip_check_array=True)  # records the number and the names of the columns
        batch = self.encoder_.to_batch(X, groups=groups)
        if len(batch) != len(codes):
            raise ValueError(f"X has {len(batch)} samples and y {len(codes)} labels; give one label a sample")
        self._layers, self._repr_dim = layers_of(self.encoder_.method_, self._shown(batch))
        self._n_classes = len(classes)
        self._fit_batch(batch.replace(y=torch.from_numpy(codes)), seed=seed)
        self._tuned.release()
        self.classes_: Shaped[np.ndarray, " classes"] = classes
        return self

    def predict_proba(self, X: Any) -> Float[np.ndarray, "n classes"]:
        """Probability of each class, columns as in ``classes_``."""
        check_is_fitted(self)
        scores = self._scores(self.encoder_.to_batch(X)).numpy().astype(np.float64)
        probabilities: np.ndarray = softmax(scores, axis=1)
        return probabilities

    def predict(self, X: Any) -> Shaped[np.ndarray, " n"]:
        """Label of each sample."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[best]
        return labels

    @property
    def _tuned(self) -> FineTuningMethod:
        assert isinstance(self.method_, FineTuningMethod)
        return self.method_

    @property
    def _reads_pairs(self) -> bool:
        """Whether the encoder reads pairs."""
        given = unfrozen(self.encoder)
        made = given if given is None or isinstance(given, Capabilities) else methods.build(given)
        inner = None if made is None else made.fitted_network or made
        return getattr(inner, "modality", None) == PAIRED

    def _shown(self, batch: Batch) -> Batch:
        """A few samples, by which it is found what an embedding rests on: of pairs some that have either side."""
        if not isinstance(self.encoder_, PairedEstimator):
            return batch.rows(slice(0, 8))
        sides = (batch.replace(extra={}), other_side(batch))
        shown = sorted({row for side in sides for row in something_observed(side).nonzero()[:4, 0].tolist()})
        return batch.rows(torch.tensor(shown))

    def _encoded(self, y: Any) -> tuple[Int64[np.ndarray, " n"], Shaped[np.ndarray, " classes"]]:
        """Code of each label, and the classes."""
        return encode_target(y)

    def _starting_point(
        self,
        X: Any,
        codes: Int64[np.ndarray, " n"],
        classes: Shaped[np.ndarray, " classes"],
        groups: Any,
        seed: int,
    ) -> EstimatorCore:
        """Own copy of a fitted encoder, or one made on X; a method that uses labels is pre-trained with them."""
        modality = modality_of(X)
        spec = DEFAULT_METHODS[modality] if self.encoder is None else unfrozen(self.encoder)
        given = methods.build(spec, for_modality=modality)
        if registry_of(given) is connections:
            raise ValueError(
                f"{type(given).__name__} connects two models of pairs, which stay as they are, so that it has no "
                f"network to train with labels: train one of them on (models_, of the pairs that it was fitted to), or "
                f"give what transform makes of the samples to a classifier of scikit-learn"
            )
        fitted = given.fitted_network if isinstance(given, Capabilities) else None
        around = given.network_method(modality) if fitted is None and isinstance(given, Capabilities) else None
        inner = fitted or (given if around is None else methods.build(around, for_modality=modality))
        series, table = isinstance(inner, SeriesEstimator), isinstance(inner, TabularEstimator)
        check_samples(methods.name_of(inner), SERIES if series else TABLE if table else "any", X, len(codes))
        if fitted is not None:
            return transferred(fitted, X, seed) if self.transfer else own_copy(fitted)
        if self.transfer:
            raise ValueError("transfer=True needs a fitted encoder: fit it on the other data set first")
        if not given.trains and given.network_of is None:
            raise ValueError(f"{given!r} has no network to train with labels; choose a method such as 'ts2vec'")
        estimator: Any = clone(given)
        if estimator.random_state is None:
            estimator.set_params(random_state=seed)
        pretrains = self.pretrain and given.network_of is None  # a control around a network stays as it is
        if isinstance(estimator, EstimatorCore):
            estimator.check_parameters()  # names a wrong parameter before ``uses`` reads it
        used = {"y": classes[codes]} if pretrains and "y" in estimator.uses else {}
        if used and (codes < 0).any():
            raise ValueError(
                f"{methods.name_of(estimator)} pre-trains with the label of every sample, and {(codes < 0).sum()} of "
                f"{len(codes)} are missing; give an encoder that is fitted, or a method without labels"
            )
        made: Capabilities = getattr(estimator, "fit" if pretrains else "initialise")(X, groups=groups, **used)
        assert made.fitted_network is not None
        return own_copy(made.fitted_network)

    def _sizes_of_0_1(self) -> Sizes:
        sizes: Sizes = self.encoder_.sizes_
        return sizes

    def _rebuild_network(self, former: Method) -> None:
        assert isinstance(former, FineTuningMethod)
        self._restore_head(former.head.state_dict())

    def _restore_head(self, head: dict[str, Tensor]) -> None:
        """Fitted encoder and head as one network, which is not to be trained on."""
        self._layers, self._n_classes = [], len(self.classes_)
        check_described(self._build_head, head)
        self._build_untrained(self.encoder_.sizes_)
        self._tuned.head.load_state_dict(head)
        self._tuned.release()

    def _sizes(self, batch: Batch) -> Sizes:
        sizes: Sizes = self.encoder_._sizes(batch)
        return sizes

    def _build(self, sizes: Sizes) -> FineTuningMethod:
        return FineTuningMethod(self, self.encoder_.method_, self._build_head(), self._layers)

    def _build_head(self) -> nn.Module:
        sizes = {"in_features": self._repr_dim, "n_classes": self._n_classes}
        if "first_features" in inspect.signature(heads[heads.name_of(self.head)].target).parameters:
            if not isinstance(self.encoder_, PairedEstimator):
                raise ValueError(
                    f"the head {self.head!r} joins the two sides of a pair, and the encoder reads one; use mlp"
                )
            sizes["first_features"] = self.encoder_.method_.widths[0]
        head: nn.Module = heads.build(self.head, **sizes)
        return head

    def _training_defaults(self, batch: Batch) -> dict[str, Any]:
        common = {"batch_size": 16, "validation_fraction": 0.2}
        if self.freeze == "encoder":
            return {**common, "lr": 1e-2, "max_epochs": 500, "patience": 50}
        trainer = as_trainer(self.trainer).merged({**common, "lr": 1e-3, "max_epochs": 1})
        values = settings_of(trainer)
        held_out = round(values.validation_fraction * len(batch))
        rows = len(batch) - (held_out if held_out >= _LEAST_HELD_OUT else 0)
        an_epoch = math.ceil(rows / values.batch_size)
        defaults = {**common, "lr": 1e-3, "max_epochs": max(20, math.ceil(100 / an_epoch))}
        patience = max(5, math.ceil(50 / an_epoch))
        return defaults if self.freeze == "gradual" else {**defaults, "patience": patience}

    def _training_rows(self, batch: Batch) -> Batch:
        """With the representations themselves where the encoder never changes."""
        if self.freeze != "encoder":
            return batch
        self.encoder_.method_.to(resolve_device(self.trainer_.device or "cpu"))
        return batch.replace(extra={"representation": self.encoder_.embed_batch(batch)})

    def why_not_trainable(self, rows: Batch) -> str | None:
        """None: a head can be trained with few rows."""
        return None

    def _hold_out(self, rows: Batch, generator: torch.Generator) -> tuple[Batch, Batch | None]:
        labels = _labels(rows)
        fraction = self.trainer_.validation_fraction
        if not fraction:
            return rows, None
        kept, held_out = holdout(len(rows), fraction, generator, groups=rows.groups, y=labels)
        n_classes = int(labels.max()) + 1
        if len(held_out) < _LEAST_HELD_OUT or len(set(labels[kept].tolist())) < n_classes:
            return rows, None
        return rows.rows(kept), rows.rows(held_out)

    def _identity(self, rows: Batch, seed: int) -> dict[str, Any]:
        given = without_run_fields(self.config)
        start = hashlib.sha256(_labels(rows).numpy().tobytes())
        for weight in self.encoder_.method_.state_dict().values():
            start.update(np.ascontiguousarray(weight.cpu().numpy()).tobytes())
        schedule = (self.trainer_.max_epochs, self.trainer_.max_steps) if self.freeze == "gradual" else ()
        return {
            "method": type(self).__name__,
            **described_parameters(self, given),
            "length_of_schedule": list(schedule),
            "seed": seed,
            "data": fingerprint(rows.replace(y=None)),
            "labels_and_weights": start.hexdigest(),
        }

    def _scores(self, batch: Batch) -> Float[Tensor, "n classes"]:
        """Tables in float64 (in float32 the last bit would depend on a row's place in the batch)."""
        if not isinstance(self.encoder_, TabularEstimator) or next(self.method_.parameters()).device.type == "mps":
            return self._in_chunks(batch, self._tuned.scores)
        precise = copy.deepcopy(self._tuned).double()
        return self._in_chunks(batch.replace(x=batch.x.double()), precise.scores)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def __sklearn_tags__(self) -> Any:
        tags = tags_of_tables(super().__sklearn_tags__())
        tags.input_tags.three_d_array = True
        return tags

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors for a model file."""
        check_is_fitted(self)
        inside, tensors = inner_state(self.encoder_, "encoder/")
        head = {f"head/{name}": value for name, value in self._tuned.head.state_dict().items()}
        made = {
            **inside,
            "repr_dim": self._repr_dim,
            "classes": self.classes_.tolist(),
            "classes_dtype": "object" if self.classes_.dtype == object else self.classes_.dtype.str,
        }
        return made, tensors | head

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        self.encoder_ = restored_inner(facts, tensors, "encoder/")
        kind = np.dtype(facts["classes_dtype"])
        if kind.itemsize > _LONGEST_LABEL:
            raise ValueError(f"its labels are said to be of {kind.itemsize:,} bytes; at most {_LONGEST_LABEL:,}")
        self.classes_ = np.array(facts["classes"], dtype=kind)
        self._repr_dim = facts["repr_dim"]
        self._restore_head(tensors_under(tensors, "head/"))
        self.training_ = None
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.encoder_, name):
                setattr(self, name, getattr(self.encoder_, name))


def _labels(batch: Batch) -> Tensor:
    assert batch.y is not None
    return batch.y
