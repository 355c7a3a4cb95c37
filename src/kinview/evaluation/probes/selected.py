"""The probe that picks another one by cross-validation on the training rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from sklearn.metrics import balanced_accuracy_score

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._inner_folds import inner_folds
from kinview.evaluation.probes._inner_metrics import INNER_METRICS, inner_score
from kinview.evaluation.probes.base import Probe
from kinview.parameters import anything, choice
from kinview.registry import name_and_parameters, to_config

__all__ = ["Selected"]


def _check_candidates(value: Any, name: str) -> None:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence) or len(value) == 0:
        raise ValueError(
            f"{name} must be a list of probes, by name or as {{name: {{parameter: value}}}}; got {value!r}"
        )
    for spec in value:
        named, _ = name_and_parameters(spec if isinstance(spec, str | Mapping) else to_config(spec))
        if named == "selected":
            raise ValueError(f"{name} holds 'selected', which would pick among itself; leave it out")
        target: Any = None if named is None else probes[named].target
        if target is None or target.needs_model:
            raise ValueError(f"{name} must be probes that read representations, which {spec!r} is not; leave it out")


@probes.register(
    "selected", modality="any", reference="Varma & Simon 2006 (nested cross-validation)", parts={"candidates": "probes"}
)
@dataclasses.dataclass(eq=False)
class Selected(Probe):
    """The candidate that predicts left-out training rows best.

    Each candidate is fitted on the training part of at most 5 stratified folds (by group where groups are given) and
    scored on the rest; what a candidate chooses by itself it chooses inside that training part. The first of the best
    is then fitted on all training rows. Nothing but training rows is looked at, so a test score of the result is as
    honest as that of a probe named beforehand; the inner score of the winner is not (it is the largest of several).
    Scores are those of the picked probe.

    Parameters
    ----------
    random_state : int
        Seed of the candidates.
    candidates : list of spec
        Probes by name, or as ``{name: {parameter: value}}``. Default: ridge, robust_ridge, linear, svm, knn.
    inner_metric : {"accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc"}, default "accuracy"
        What is best on the left-out rows: "accuracy" and "balanced_accuracy" over all of them together, the others
        as the mean over folds, since scores of different fits do not compare.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.

    Attributes
    ----------
    picked_ : str or mapping
        Config of the picked probe.
    inner_scores_ : dict or None
        Score of each candidate on the left-out rows, in their order; None where there is nothing to part (one group, or
        no class with a second row), and the first candidate is taken.
    probe_ : Probe
        The picked probe, fitted.

    Notes
    -----
    Under symmetric wrong labels the accuracy against recorded labels falls for every candidate, but keeps their order
    on average. A fold whose training part has a single class predicts it for every candidate.

    References
    ----------
    .. [1] Varma, S., Simon, R. (2006). Bias in error estimation when using cross-validation for model selection. BMC
       Bioinformatics 7:91.

    Examples
    --------
    >>> Z, y = np.array([[0.0], [1.0], [4.0], [5.0]] * 5), [0, 0, 1, 1] * 5
    >>> probe = Selected(candidates=["centroid", {"knn": {"k": 3}}]).fit(Z, y)
    >>> probe.picked_, probe.findings()
    ('centroid', ['picked centroid by accuracy on left-out training rows: centroid 1.000, knn(k=3) 1.000'])
    """

    candidates: Sequence[Any] = anything(
        ("ridge", "robust_ridge", "linear", "svm", "knn"), "list of spec", check=_check_candidates, doc=""
    )
    inner_metric: str = choice("accuracy", INNER_METRICS)
    picked_: Any = dataclasses.field(init=False, repr=False)
    inner_scores_: dict[str, float] | None = dataclasses.field(init=False, repr=False)
    probe_: Probe = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.candidates = tuple(self.candidates)

    def findings(self) -> list[str]:
        """What was picked, and the inner scores."""
        others = super().findings()
        if self.inner_scores_ is None:
            return [f"picked {_label(self.picked_)}, the first candidate: no training rows can be left out", *others]
        scores = ", ".join(f"{name} {score:.3f}" for name, score in self.inner_scores_.items())
        metric = self.inner_metric.replace("_", " ")
        return [f"picked {_label(self.picked_)} by {metric} on left-out training rows: {scores}", *others]

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        folds = inner_folds(codes, groups)
        specs = [to_config(probes.build(spec)) for spec in self.candidates]
        self.inner_scores_, best = None, 0
        if folds:
            scores = [self._inner_score(spec, Z, codes, groups, folds) for spec in specs]
            self.inner_scores_, best = dict(zip(map(_label, specs), scores, strict=True)), int(np.argmax(scores))
        self.picked_ = specs[best]
        self.probe_ = self._fitted(self.picked_, Z, codes, groups)

    def _inner_score(
        self,
        spec: Any,
        Z: Float[np.ndarray, "n dim"],
        codes: Int64[np.ndarray, " n"],
        groups: Int64[np.ndarray, " n"] | None,
        folds: Any,
    ) -> float:
        predicted, judged = np.empty_like(codes), np.zeros(len(codes), dtype=bool)
        of_folds: list[float] = []
        for train, valid in folds:
            judged[valid] = True
            if len(np.unique(codes[train])) == 1:
                predicted[valid] = codes[train[0]]
                continue
            probe = self._fitted(spec, Z[train], codes[train], None if groups is None else groups[train])
            predicted[valid] = probe.predict(Z[valid])
            if self.inner_metric not in _OF_ALL:
                of_folds.append(_of_fold(self.inner_metric, probe, Z[valid], codes[valid]))
        if self.inner_metric not in _OF_ALL:
            defined = [value for value in of_folds if value > -np.inf]
            return float(np.mean(defined)) if defined else -np.inf
        return float(_OF_ALL[self.inner_metric](codes[judged], predicted[judged]))

    def _fitted(self, spec: Any, Z: Any, codes: Int64[np.ndarray, " n"], groups: Any) -> Probe:
        probe: Probe = probes.build(spec, random_state=self.random_state).fit(Z, codes, groups)
        self.convergence_failures += probe.convergence_failures
        return probe

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return self.probe_.predict_scores(Z)

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self.probe_.predict(Z), dtype=np.int64)


def _accuracy(codes: Int64[np.ndarray, " n"], predicted: Int64[np.ndarray, " n"]) -> float:
    return float(np.mean(codes == predicted))


_OF_ALL = {"accuracy": _accuracy, "balanced_accuracy": balanced_accuracy_score}


def _of_fold(metric: str, probe: Probe, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"]) -> float:
    """Metric of the rows of a fold whose class the probe knows; minus infinity where it is not defined."""
    places = np.searchsorted(probe.classes_, codes)
    known = np.isin(codes, probe.classes_)
    if not known.any():
        return -np.inf
    predicted = np.searchsorted(probe.classes_, probe.predict(Z[known]))
    return inner_score(metric, places[known], probe.predict_scores(Z[known]), predicted)


def _label(spec: Any) -> str:
    name, parameters = name_and_parameters(spec)
    shown = ", ".join(f"{key}={value}" for key, value in parameters.items())
    return f"{name}({shown})" if shown else str(name)
