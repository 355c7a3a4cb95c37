"""The contract of a probe, and what all of them share."""

from __future__ import annotations

import abc
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float, Int64, Shaped
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from kinview.data.alignment import in_order_of
from kinview.data.labels import encode_classes, encode_labels
from kinview.data.splits import label_subset
from kinview.evaluation.probes._calibrators import CALIBRATIONS, Calibrator
from kinview.evaluation.probes._inner_folds import inner_folds
from kinview.old_pickles import FromPickle
from kinview.parameters import check_parameters, check_positive, choice, whole

__all__ = ["Probe", "positive_numbers", "random_rows", "refuse_class_options", "stratified_rows"]

_OF_CLASSES = ("calibration", "class_weight", "inner_metric")


@dataclasses.dataclass(eq=False)
class Probe(FromPickle, abc.ABC):
    """A classifier on top of a frozen representation.

    One with ``regresses = True`` predicts numbers too: :meth:`fit_numbers` and :meth:`predict_numbers`.
    One with ``needs_model = True`` trains the fitted network itself: its ``fit`` takes the samples instead of their
    representations, and the fitted estimator as ``model``. One with ``wide = True`` takes features of more columns than
    2,000; a benchmark asks the others with ``repr_dim``.

    Parameters
    ----------
    random_state : int
        Seed of whatever the probe draws. Default 0, as in TS2Vec's official evaluation.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities, by logistic regression with Platt's targets or a step function that never falls.
        It is fitted on the scores of training rows that a copy of the probe was fitted without, in at most 5 stratified
        folds that part no group, and applied to the scores of the probe that has seen all of them (scikit-learn's
        ``CalibratedClassifierCV`` with ``ensemble=False``). Predictions are then the most probable class.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        The sorted training labels; columns of :meth:`predict_scores` follow them.
    convergence_failures : int
        Fits of the last :meth:`fit`, inner cross-validation included, that stopped before they had converged.
    """

    accepts_missing: ClassVar[bool] = False
    needs_model: ClassVar[bool] = False
    wide: ClassVar[bool] = False
    regresses: ClassVar[bool] = False

    random_state: int = whole(0, low=0)
    _: dataclasses.KW_ONLY
    calibration: str | None = choice(None, CALIBRATIONS)
    classes_: Any = dataclasses.field(init=False, repr=False)
    n_features_in_: int = dataclasses.field(init=False, repr=False)
    convergence_failures: int = dataclasses.field(init=False, repr=False, default=0)
    _calibrator: Calibrator | None = dataclasses.field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Check the parameters; a subclass that overrides this calls it first."""
        check_parameters(self)

    def fit(self, Z: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows.

        Parameters
        ----------
        Z : array-like of shape (n, D)
            Representations.
        y : array-like of shape (n,)
            Labels of any one type. Where Z is a frame and y has an index that names its rows, in any order.
        groups : array-like of shape (n,), optional
            Group (patient) of each row, as y: the inner cross-validation never parts a group.

        Raises
        ------
        ValueError
            If shapes do not fit, a value is infinite (or missing, where the probe does not take that), or the labels
            are of a single class.
        """
        features = self._check(Z)
        y, groups = in_order_of(Z, y, "y", "Z"), in_order_of(Z, groups, "groups", "Z")
        codes, classes = encode_classes(y, "a probe")
        if len(codes) != len(features):
            raise ValueError(f"Z has {len(features)} rows and y {len(codes)} labels; give one label a row")
        group_codes = None if groups is None else encode_labels(groups, name="groups")[0]
        if group_codes is not None and len(group_codes) != len(features):
            raise ValueError(f"Z has {len(features)} rows and groups {len(group_codes)} entries; give one a row")
        self.classes_, self.n_features_in_, self.convergence_failures = classes, features.shape[1], 0
        self._fit(features, codes, group_codes)
        self._calibrator = None if self.calibration is None else self._fitted_calibrator(features, codes, group_codes)
        return self

    def predict_scores(self, Z: Any) -> Float[np.ndarray, "n classes"]:
        """Score of each class for each row, larger = more likely."""
        scores = self._scores(self._check_fitted_to(Z, numbers=False))
        return scores if self._calibrator is None else self._calibrator.probabilities(scores)

    def predict(self, Z: Any) -> Shaped[np.ndarray, " n"]:
        """Label of each row."""
        if self._calibrator is None:
            codes = self._codes(self._check_fitted_to(Z, numbers=False))
        else:
            codes = self.predict_scores(Z).argmax(axis=1)
        labels: np.ndarray = self.classes_[codes]
        return labels

    def fit_numbers(self, Z: Any, y: Any, groups: Any = None) -> Self:
        """Fit the regression form on training rows: parameters as :meth:`fit`, but ``y`` holds numbers.

        Raises
        ------
        ValueError
            If the probe has no such form, an option of it is one of classes, a number is missing or not finite, or as
            :meth:`fit`.
        """
        if not self.regresses:
            raise ValueError(f"{type(self).__name__} predicts classes; linear, ridge, svm and xgboost predict numbers")
        refuse_class_options(self)
        features = self._check(Z)
        target = np.asarray(in_order_of(Z, y, "y", "Z"), dtype=np.float64)
        groups = in_order_of(Z, groups, "groups", "Z")
        if target.shape != (len(features),):
            raise ValueError(f"Z has {len(features)} rows and y the shape {target.shape}; give one number a row")
        if not np.isfinite(target).all():
            raise ValueError(f"y is missing or not finite in {int((~np.isfinite(target)).sum())} of {len(target)} rows")
        codes = None if groups is None else encode_labels(groups, name="groups")[0]
        if codes is not None and len(codes) != len(features):
            raise ValueError(f"Z has {len(features)} rows and groups {len(codes)} entries; give one a row")
        self.n_features_in_, self.convergence_failures = features.shape[1], 0
        self.__dict__.pop("classes_", None)  # of an earlier fit to classes
        self._fit_numbers(features, target, codes)
        return self

    def predict_numbers(self, Z: Any) -> Float[np.ndarray, " n"]:
        """Number predicted for each row, after :meth:`fit_numbers`."""
        return np.asarray(self._numbers(self._check_fitted_to(Z, numbers=True)), dtype=np.float64)

    def findings(self) -> list[str]:
        """What the fit decided that a reader of its scores should know, a sentence each."""
        if self.calibration is None or self._calibrator is not None:
            return []
        return ["scores are not calibrated: no training rows of all classes can be left out"]

    @abc.abstractmethod
    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        """Fit on checked input; labels are codes 0..K-1, each of which occurs."""

    @abc.abstractmethod
    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        """Scores for checked input."""

    def _fit_numbers(
        self, Z: Float[np.ndarray, "n dim"], y: Float[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        """Fit the regression form on checked input."""
        raise NotImplementedError(f"{type(self).__name__} regresses and has no _fit_numbers")

    def _numbers(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        """Predictions of the regression form for checked input."""
        raise NotImplementedError(f"{type(self).__name__} regresses and has no _numbers")

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self._scores(Z).argmax(axis=1), dtype=np.int64)

    def _fitted_calibrator(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> Calibrator | None:
        """The calibrator of left-out rows; None where no fold has a training part that holds every class."""
        scores, judged = np.zeros((len(codes), len(self.classes_))), np.zeros(len(codes), dtype=bool)
        for train, valid in inner_folds(codes, groups):
            if len(np.unique(codes[train])) < len(self.classes_):
                continue
            copy = dataclasses.replace(self, calibration=None)
            copy.fit(Z[train], codes[train], None if groups is None else groups[train])
            self.convergence_failures += copy.convergence_failures
            scores[valid], judged[valid] = copy.predict_scores(Z[valid]), True
        if not judged.any():
            return None
        assert self.calibration is not None
        return Calibrator.fitted(self.calibration, scores[judged], codes[judged])

    @contextmanager
    def _counting_convergence_failures(self) -> Iterator[None]:
        """Count the fits inside that warn of not having converged, instead of printing the warning."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:
            if issubclass(warning.category, ConvergenceWarning):
                self.convergence_failures += 1
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)

    def _check_fitted_to(self, Z: Any, *, numbers: bool) -> Float[np.ndarray, "n dim"]:
        """Checked input, once the probe is known to be fitted to numbers, or to classes."""
        features = self._check_fitted(Z)
        if numbers == hasattr(self, "classes_"):
            there, needed = ("classes", "fit_numbers(Z, y)") if numbers else ("numbers", "fit(Z, y)")
            raise ValueError(f"this {type(self).__name__} was fitted to {there}; call {needed} first")
        return features

    def _check_fitted(self, Z: Any) -> Float[np.ndarray, "n dim"]:
        if not hasattr(self, "n_features_in_"):
            raise ValueError(f"this {type(self).__name__} is not fitted yet; call fit(Z, y) first")
        features = self._check(Z)
        if features.shape[1] != self.n_features_in_:
            raise ValueError(f"Z has {features.shape[1]} columns; the probe was fitted with {self.n_features_in_}")
        return features

    def _check(self, Z: Any) -> Float[np.ndarray, "n dim"]:
        features = np.asarray(Z, dtype=np.float64)
        if features.ndim != 2 or 0 in features.shape:
            raise ValueError(f"Z must be a table of representations, shape (n, D) without a zero; got {features.shape}")
        if np.isfinite(features).all():
            return features
        if np.isinf(features).any():
            raise ValueError("Z holds infinite values; a probe takes finite ones")
        if not self.accepts_missing and np.isnan(features).any():
            raise ValueError(
                f"Z holds missing values in {int(np.isnan(features).any(axis=1).sum())} of {len(features)} rows, which "
                f"{type(self).__name__} does not take; fill them, or use the probe 'xgboost'"
            )
        return features


def refuse_class_options(probe: Probe) -> None:
    """Refuse options that have no meaning where numbers are predicted."""
    for field in dataclasses.fields(probe):
        if field.name in _OF_CLASSES and getattr(probe, field.name) != field.default:
            raise ValueError(
                f"{field.name}={getattr(probe, field.name)!r} is an option of classes, and numbers are predicted here; "
                "leave it out"
            )


def stratified_rows(codes: Int64[np.ndarray, " n"], size: int, random_state: int) -> Int64[np.ndarray, " rows"]:
    """At most ``size`` rows with the classes in proportion, and each class with at least one.

    Raises
    ------
    ValueError
        If there are more classes than rows to draw.
    """
    counts = np.bincount(codes)
    rows, single = np.arange(len(codes)), counts[codes] == 1
    if len(codes) <= size:
        return rows
    if size < len(counts):
        raise ValueError(f"max_rows={size} rows cannot hold one of each of {len(counts)} classes; raise max_rows")
    several = int((counts > 1).sum())
    if size - int(single.sum()) >= several <= len(codes) - size:  # scikit-learn asks for a row a class on both sides
        drawn, _ = train_test_split(
            rows[~single], train_size=size - int(single.sum()), random_state=random_state, stratify=codes[~single]
        )
        drawn = np.concatenate([rows[single], drawn])
        if len(np.unique(codes[drawn])) == len(counts):
            return drawn
    return label_subset(codes, size / len(codes), random_state)


def random_rows(n: int, size: int, random_state: int) -> Int64[np.ndarray, " rows"]:
    """At most ``size`` of n rows, in order."""
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(random_state).choice(n, size, replace=False))


def positive_numbers(value: Any, name: str) -> None:
    """Refuse what is not a sequence of positive numbers, naming the argument."""
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or len(value) == 0:
        raise ValueError(f"{name} must be a sequence of positive numbers; got {value!r}")
    for number in value:
        check_positive(number, f"each of {name}")
