"""The metrics by name: what each is called, which values it takes and what it needs."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from kinview.evaluation.metrics import calibration, decisions, ranking, regression, thresholds
from kinview.evaluation.metrics.outputs import Classification, Regression
from kinview.parameters import check_integer

__all__ = ["METRICS", "Metric", "as_metric", "has_units", "is_unbounded", "lower_is_better"]

_ANY = (-np.inf, np.inf)


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric: called with what was said of n samples it gives its value, with sets of weights a value for each.

    Parameters
    ----------
    name : str
        Name in Python, YAML, command line, store and reports.
    title : str
        What a report calls it.
    function : callable
        ``function(said, weights of shape (draws, n), **given) -> (draws,)``; NaN where the metric is not defined.
    best : float
        Value of perfect predictions: whether higher, lower or nearer is better follows from it and the range.
    range : (float, float)
        Lowest and highest value.
    needs : {"labels", "scores", "probabilities"}
        What of the predictions it reads: predicted labels (or numbers), scores, or scores that are probabilities.
    binary : bool
        Whether it is defined for two classes alone.
    task : {"classification", "regression"}
        Whether labels or numbers are predicted.
    required, optional : tuple of str
        Parameters that have to be given, and those that may be. Thresholds and given fractions have no default: which
        one matters is a clinical decision.
    given : mapping
        Values of parameters, see :meth:`at`.

    Examples
    --------
    >>> said = Classification.of([0, 1, 0, 1], [0.1, 0.9, 0.6, 0.4])
    >>> METRICS["auroc"](said), METRICS["auroc"].direction, METRICS["calibration_slope"].direction
    (0.75, 'higher', 'nearer')
    >>> METRICS["net_benefit"].at(threshold=0.2)
    Metric(net_benefit(threshold=0.2))
    """

    name: str
    title: str
    function: Callable[..., Any]
    best: float
    range: tuple[float, float]
    needs: Literal["labels", "scores", "probabilities"] = "labels"
    binary: bool = False
    task: Literal["classification", "regression"] = "classification"
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    given: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def at(self, **parameters: float) -> Metric:
        """The metric with values of its parameters.

        Raises
        ------
        ValueError
            If it has no such parameter, or a value is out of range.
        """
        for name, value in parameters.items():
            if name not in self.required + self.optional:
                takes = ", ".join(self.required + self.optional) or "no parameters"
                raise ValueError(f"{self.name} has no parameter {name!r}; it takes {takes}")
            if name == "n_bins":
                check_integer(value, f"{name} of {self.name}", at_least=1)
            elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
                raise ValueError(
                    f"{name}={value!r} of {self.name} is not a number between 0 and 1; use for example 0.9"
                )
        return dataclasses.replace(self, given={**self.given, **parameters})

    @property
    def label(self) -> str:
        """Name with the parameters that were given."""
        given = ", ".join(f"{name}={value}" for name, value in self.given.items())
        return f"{self.name}({given})" if given else self.name

    @property
    def direction(self) -> Literal["higher", "lower", "nearer"]:
        """Whether a higher value is better, a lower one, or the one nearer to ``best``."""
        return "higher" if self.best == self.range[1] else "lower" if self.best == self.range[0] else "nearer"

    @property
    def needs_probabilities(self) -> bool:
        """Whether scores that are no probabilities are refused."""
        return self.needs == "probabilities" or "threshold" in self.given

    def why_not(self, said: Classification | Regression) -> str:
        """Why the metric is not defined for such predictions; empty where it is."""
        if isinstance(said, Regression) != (self.task == "regression"):
            return f"{self.label} is a metric of {self.task}, and these predictions are not"
        missing = [name for name in self.required if name not in self.given]
        if missing:
            return (
                f"{self.label} has to be told {', '.join(missing)}: {{{self.name}: {{{missing[0]}: 0.9}}}}, for example"
            )
        if isinstance(said, Regression):
            return ""
        if self.binary and not said.binary:
            return f"{self.label} is defined for two classes, of which every label is one; these have {_shown(said)}"
        if self.needs_probabilities and not said.gives_probabilities:
            low, high = said.scores.min(), said.scores.max()
            return (
                f"{self.label} needs probabilities, which lie between 0 and 1 and sum to 1; these scores lie between "
                f"{low:.4g} and {high:.4g}, as decision values do. Use a probe that gives probabilities (logistic, "
                "ridge, xgboost), calibrate the scores in the training part (Platt, isotonic), or leave the metric out"
            )
        return ""

    def __call__(self, said: Classification | Regression, weights: Any = None) -> Any:
        """Value for the samples as they are, or for each set of weights ``(draws, n)``.

        Raises
        ------
        ValueError
            If the metric is not defined for such predictions, or there is not one weight a sample.
        """
        problem = self.why_not(said)
        if problem:
            raise ValueError(problem)
        if weights is None:
            return float(self.function(said, np.ones((1, len(said))), **self.given)[0])
        weights = np.asarray(weights, dtype=np.float64)
        if weights.ndim != 2 or weights.shape[1] != len(said) or not (weights >= 0).all():
            raise ValueError(f"weights must be at least 0 and of shape (draws, {len(said)}); got shape {weights.shape}")
        return self.function(said, weights, **self.given)

    def __repr__(self) -> str:
        return f"Metric({self.label})"


def _shown(said: Classification) -> str:
    """Classes, with how many labels are none of them."""
    unknown = int((said.y >= len(said.classes)).sum())
    return f"{len(said.classes)} classes" + (f", and {unknown} labels that are none of them" if unknown else "")


def as_metric(spec: str | Mapping[str, Any] | Metric) -> Metric:
    """The metric of a name, or of a mapping of its name to its parameters.

    Raises
    ------
    ValueError
        If there is no such metric, or its parameters are not right.

    Examples
    --------
    >>> as_metric("auroc"), as_metric({"sensitivity_at_specificity": {"specificity": 0.9}})
    (Metric(auroc), Metric(sensitivity_at_specificity(specificity=0.9)))
    """
    if isinstance(spec, Metric):
        return spec
    if isinstance(spec, str):
        spec = {spec: {}}
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise ValueError(f"a metric is a name, or a mapping of one name to its parameters; got {spec!r}")
    ((name, parameters),) = spec.items()
    if name not in METRICS:
        close = difflib.get_close_matches(str(name), METRICS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ValueError(f"there is no metric {name!r}; {hint}there are {', '.join(METRICS)}")
    return METRICS[name].at(**(parameters or {}))


def lower_is_better(name: str) -> bool:
    """Whether a lower value of a metric is better; of a column that is no metric here, a higher one is.

    Examples
    --------
    >>> lower_is_better("mae"), lower_is_better("r2"), lower_is_better("accuracy"), lower_is_better("my_score")
    (True, False, False, False)
    """
    return name in METRICS and METRICS[name].direction == "lower"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "Accuracy", decisions.accuracy, 1, (0, 1)),
        Metric("balanced_accuracy", "Balanced accuracy", decisions.balanced_accuracy, 1, (0, 1)),
        Metric("macro_f1", "Macro F1", decisions.macro_f1, 1, (0, 1)),
        Metric("auroc", "AUROC", ranking.auroc, 1, (0, 1), needs="scores"),
        Metric("auprc", "AUPRC", ranking.auprc, 1, (0, 1), needs="scores"),
        Metric("mcc", "Matthews correlation coefficient", decisions.mcc, 1, (-1, 1)),
        Metric("brier_score", "Brier score", calibration.brier_score, 0, (0, 2), needs="probabilities"),
        Metric("log_loss", "Log loss", calibration.log_loss, 0, (0, np.inf), needs="probabilities"),
        Metric(
            "expected_calibration_error", "Expected calibration error", calibration.expected_calibration_error, 0,
            (0, 1), needs="probabilities", optional=("n_bins",),
        ),
        Metric(
            "calibration_slope", "Calibration slope", calibration.calibration_slope, 1, _ANY,
            needs="probabilities", binary=True,
        ),
        Metric(
            "calibration_intercept", "Calibration intercept", calibration.calibration_intercept, 0, _ANY,
            needs="probabilities", binary=True,
        ),
        Metric(
            "calibration_in_the_large", "Calibration in the large", calibration.calibration_in_the_large, 0, _ANY,
            needs="probabilities", binary=True,
        ),
        Metric("sensitivity", "Sensitivity", thresholds.sensitivity, 1, (0, 1), binary=True, optional=("threshold",)),
        Metric("specificity", "Specificity", thresholds.specificity, 1, (0, 1), binary=True, optional=("threshold",)),
        Metric("ppv", "Positive predictive value", thresholds.ppv, 1, (0, 1), binary=True, optional=("threshold",)),
        Metric("npv", "Negative predictive value", thresholds.npv, 1, (0, 1), binary=True, optional=("threshold",)),
        Metric(
            "sensitivity_at_specificity", "Sensitivity at a specificity", thresholds.sensitivity_at_specificity, 1,
            (0, 1), needs="scores", binary=True, required=("specificity",),
        ),
        Metric(
            "specificity_at_sensitivity", "Specificity at a sensitivity", thresholds.specificity_at_sensitivity, 1,
            (0, 1), needs="scores", binary=True, required=("sensitivity",),
        ),
        Metric(
            "net_benefit", "Net benefit", thresholds.net_benefit, 1, (-np.inf, 1),
            needs="probabilities", binary=True, required=("threshold",),
        ),
        Metric("mae", "Mean absolute error", regression.mae, 0, (0, np.inf), task="regression"),
        Metric("rmse", "Root mean squared error", regression.rmse, 0, (0, np.inf), task="regression"),
        Metric("r2", "R²", regression.r2, 1, (-np.inf, 1), task="regression"),
    )
}  # fmt: skip
"""Every metric by its name: the one place from which reports, command line and store take them."""


def has_units(name: str) -> bool:
    """Whether a metric is in the units of what is predicted, days or mmol/l, which no two data sets need share.

    Examples
    --------
    >>> has_units("mae"), has_units("r2"), has_units("log_loss")
    (True, False, False)
    """
    return name in METRICS and METRICS[name].task == "regression" and bool(np.isinf(METRICS[name].range[1]))


def is_unbounded(name: str) -> bool:
    """Whether single values of a metric can be as bad as one likes, so that one of them decides any mean.

    A column that is no known metric counts as bounded.

    Examples
    --------
    >>> is_unbounded("r2"), is_unbounded("rmse"), is_unbounded("accuracy"), is_unbounded("seconds")
    (True, True, False, False)
    """
    return name in METRICS and bool(np.isinf(METRICS[name].range).any())
