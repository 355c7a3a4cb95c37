"""A probe under test, the representations it is tried on, and the checks."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from kinview.evaluation.probes import probes
from kinview.evaluation.probes.base import Probe
from kinview.registry import to_config
from kinview.testing._suite import check_parameters, copied, in_config_and_back, under_global_seeds

__all__ = ["Case"]

_TRAIN = 60  # of 90 rows
_ROUNDING = 1e-7  # of products of other sizes, and of values that lie in another order
_WIDE = 2100  # columns, more than what a probe takes that does not say that it is wide
_OTHER_LABELS: tuple[Any, ...] = (
    np.array(["b", "a", "c"]),
    np.array(["1", "10", "2"]),
    np.array([10, 5, 70]),
    np.array([1, 2, 7], dtype=">i8"),
    np.array([1.0, 2.0, 7.0]),
    np.array(["b", "a", "c"], dtype=object),
    np.array([False, True, True]),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One probe, unfitted."""

    given: Probe

    def fresh(self) -> Any:
        """A probe with the same parameters that nobody has fitted."""
        return probes.build(to_config(self.given))

    def fitted(self, Z: Any, y: Any, groups: Any = None) -> Any:
        """A fresh probe, fitted."""
        return self.fresh().fit(Z, y, groups)

    def scores(self, Z: Any, y: Any, test: Any, groups: Any = None) -> Float[np.ndarray, "n classes"]:
        """Scores of test rows by a fresh probe."""
        return np.asarray(self.fitted(Z, y, groups).predict_scores(test))


def blobs(
    n: int = 90, n_classes: int = 3, dim: int = 5, seed: int = 0
) -> tuple[Float[np.ndarray, "n dim"], Int64[np.ndarray, " n"]]:
    """Well separated classes by turns, in columns of unequal scale."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    centres = 3 * random.normal(size=(n_classes, dim))
    return (centres[y] + random.normal(size=(n, dim))) * random.uniform(0.5, 4, size=dim), y


# --- scores ----------------------------------------------------------------------------------------------------------


def scores_follow_classes(case: Case) -> None:
    """A finite score of each class for each row, in the order of the sorted classes, and labels as they were given."""
    names = np.array(["well", "ill", "dead", "odd"])
    for n_classes in (2, 4):
        Z, codes = blobs(n_classes=n_classes)
        y = names[codes]
        probe = case.fresh()
        assert probe.fit(Z[:_TRAIN], y[:_TRAIN]) is probe, "fit must return the probe itself"
        assert probe.classes_.tolist() == sorted(set(y)), f"classes_ must be the sorted labels; got {probe.classes_}"
        scores, labels = probe.predict_scores(Z[_TRAIN:]), probe.predict(Z[_TRAIN:])
        expected = (len(Z) - _TRAIN, n_classes)
        assert np.shape(scores) == expected, f"predict_scores must be {expected}; its shape is {np.shape(scores)}"
        assert np.isfinite(scores).all(), "a score is not finite"
        unknown = sorted(set(labels.tolist()) - set(y))
        assert not unknown, f"predict gives the labels {unknown}, which no training row had"
        for what, found in (("predict", labels), ("the highest score", probe.classes_[np.argmax(scores, axis=1)])):
            right = float(np.mean(found == y[_TRAIN:]))
            assert right > 0.7, (
                f"{what} is right for {right:.0%} of rows of {n_classes} classes that lie far apart; columns of scores "
                "follow classes_"
            )


def label_types(case: Case) -> None:
    """Text, numbers of any type and booleans in the same order give the same scores, and come back as they were."""
    Z, codes = blobs(n=45)
    fitted: dict[bytes, Any] = {}
    for names in _OTHER_LABELS:
        y = names[codes]
        classes, plain = np.unique(y, return_inverse=True)
        probe, key = case.fitted(Z, y), plain.tobytes()
        if key not in fitted:
            fitted[key] = case.fitted(Z, plain)
        by_code = fitted[key]
        what = f"labels {classes.tolist()} ({y.dtype})"
        assert np.array_equal(probe.predict_scores(Z), by_code.predict_scores(Z)), f"{what} give other scores"
        found = probe.predict(Z)
        assert set(found.tolist()) <= set(classes.tolist()), f"{what} come back as {sorted(set(found.tolist()))}"
        same = np.searchsorted(classes, found).tolist() == by_code.predict(Z).tolist()
        assert same, f"{what} are not predicted where their codes 0, 1, ... are"


def rows_alone(case: Case) -> None:
    """The score of a row depends on no other row that is scored with it, nor does it change the probe."""
    Z, y = blobs()
    probe = case.fitted(Z[:_TRAIN], y[:_TRAIN])
    test = Z[_TRAIN:]
    together = probe.predict_scores(test)
    far = probe.predict_scores(np.concatenate([test[:1], np.full((3, Z.shape[1]), 1e4)]))
    assert np.isfinite(far).all(), "rows far from every class have scores that are not finite"
    for what, found, expected in (
        ("beside rows far away", far[:1], together[:1]),
        ("alone", probe.predict_scores(test[:1]), together[:1]),
        ("a second time", probe.predict_scores(test), together),
    ):
        assert np.allclose(found, expected, rtol=_ROUNDING), f"a row that is scored {what} has other scores"


# --- training rows ---------------------------------------------------------------------------------------------------


def few_members(case: Case) -> None:
    """A class of one row, one of two, and all rows but one in a class, can be fitted."""
    Z, y = blobs(n=60, n_classes=2)
    y = y.copy()
    y[[0, 1, 7]] = [5, 6, 6]
    for labels in (y, (np.arange(60) == 17).astype(int)):
        scores, n_classes = case.scores(Z, labels, Z), len(np.unique(labels))
        assert scores.shape == (60, n_classes), f"{n_classes} classes, some small: scores have the shape {scores.shape}"
        assert np.isfinite(scores).all(), "with small classes a score is not finite"


def columns(case: Case) -> None:
    """Constant columns, equal rows and more columns than rows can be fitted; with ``wide`` more than 2,000 too."""
    Z, y = blobs(n=60, n_classes=2)
    constant = Z.copy()
    constant[:, 0] = 3.0
    noise = np.random.default_rng(1).normal(size=(40, _WIDE if case.given.wide else 60))
    for what, values in (
        ("a constant column", constant),
        ("equal rows", np.ones((20, 2))),
        (f"{noise.shape[1]:,} columns for 40 rows", noise),
    ):
        scores = case.scores(values, y[: len(values)], values[:4])
        assert np.isfinite(scores).all(), f"with {what} a score is not finite"


def groups(case: Case) -> None:
    """Groups of any type are taken, a single one too, and what they are called does not count."""
    Z, y = blobs(n=60, n_classes=2)
    rows = np.arange(60) // 4
    text = np.array([f"patient {i:02d}" for i in range(15)])[rows]
    assert np.array_equal(case.scores(Z, y, Z, rows), case.scores(Z, y, Z, text)), "names of groups change the scores"
    assert np.isfinite(case.scores(Z, y, Z, np.zeros(60, dtype=int))).all(), "with one group a score is not finite"


def accepts_missing(case: Case) -> None:
    """NaN is taken if and only if ``accepts_missing`` is declared."""
    Z, y = blobs()
    Z[np.random.default_rng(0).random(Z.shape) < 0.3] = np.nan
    Z[:, 1] = np.nan
    try:
        scores = case.scores(Z[:_TRAIN], y[:_TRAIN], Z[_TRAIN:])
    except ValueError as error:
        assert not case.given.accepts_missing, f"accepts_missing is declared, and NaN is refused: {error}"
        assert "missing" in str(error), f"the error must say that values are missing; it says {error}"
        return
    assert case.given.accepts_missing, "NaN is taken: declare accepts_missing"
    assert np.isfinite(scores).all(), "with missing values a score is not finite"


def refuses(case: Case) -> None:
    """What cannot be fitted or scored is refused with a ValueError that says what is wrong."""
    Z, y = blobs(n=20, n_classes=2)
    fitted = case.fitted(Z, y)
    infinite = np.where(np.arange(5) == 1, np.inf, Z)
    cases: tuple[tuple[str, Callable[[], Any], str], ...] = (
        ("scoring before fit", lambda: case.fresh().predict_scores(Z), "fit"),
        ("labels of one class", lambda: case.fitted(Z, ["ill"] * 20), "class"),
        ("19 labels for 20 rows", lambda: case.fitted(Z, y[:19]), "label"),
        ("2 groups for 20 rows", lambda: case.fitted(Z, y, [1, 2]), "group"),
        ("a missing label", lambda: case.fitted(Z, [None, *["a", "b"] * 9, "a"]), "missing"),
        ("one number a row", lambda: case.fitted(Z[:, 0], y), "shape"),
        ("infinite values", lambda: case.fitted(infinite, y), "infinite"),
        ("other columns than at fit", lambda: fitted.predict(Z[:, :4]), "columns"),
    )
    for what, act, word in cases:
        try:
            act()
        except ValueError as error:
            assert re.search(word, str(error)), f"{what}: the error must say something of {word!r}; it says {error}"
            continue
        raise AssertionError(f"{what} must be refused")


# --- conduct ---------------------------------------------------------------------------------------------------------


def inputs_unchanged(case: Case) -> None:
    """Representations, labels and groups are left as they are, by fit and by scoring."""
    Z, y = blobs()
    given = {"Z": Z[:_TRAIN], "y": y[:_TRAIN], "groups": np.arange(_TRAIN) // 2}
    before, test = copy.deepcopy(given), Z[_TRAIN:].copy()
    case.fitted(given["Z"], given["y"], given["groups"]).predict(test)
    changed = [name for name, value in given.items() if not np.array_equal(value, before[name])]
    assert not changed, f"fit modified {', '.join(changed)}"
    assert np.array_equal(test, Z[_TRAIN:]), "predict modified its rows"


def same_seed(case: Case) -> None:
    """Two fits give the same scores, of arrays and of frames, and a probe that was fitted before forgets it."""
    Z, y = blobs()
    expected = case.scores(Z[:_TRAIN], y[:_TRAIN], Z[_TRAIN:])
    assert np.array_equal(expected, case.scores(Z[:_TRAIN], y[:_TRAIN], Z[_TRAIN:])), "two fits give other scores"
    framed = case.scores(pd.DataFrame(Z[:_TRAIN]), pd.Series(y[:_TRAIN]), pd.DataFrame(Z[_TRAIN:]))
    assert np.allclose(expected, framed, rtol=_ROUNDING), "a frame gives other scores than the array of the same values"
    other, labels = blobs(n=40, n_classes=2, dim=3, seed=1)
    again = case.fitted(other, labels).fit(Z[:_TRAIN], y[:_TRAIN]).predict_scores(Z[_TRAIN:])
    assert np.array_equal(expected, again), "a probe that was fitted before gives other scores than a fresh one"


def no_global_randomness(case: Case) -> None:
    """The global generators of torch, NumPy and random are neither read nor moved."""
    Z, y = blobs()
    one, _, other = under_global_seeds(lambda: case.scores(Z[:_TRAIN], y[:_TRAIN], Z[_TRAIN:]))
    assert np.array_equal(one, other), "the scores depend on a global random state"


# --- an object -------------------------------------------------------------------------------------------------------


def parameters(case: Case) -> None:
    """A bad parameter is refused by name, at construction or by fit."""
    Z, y = blobs(n=20, n_classes=2)
    check_parameters(case.given, use=lambda probe: probe.fit(Z, y))


def config_round_trip(case: Case) -> None:
    """The config, through YAML, builds a probe with the same parameters that is not fitted."""
    Z, y = blobs(n=40, n_classes=2)
    again = in_config_and_back(probes, case.fitted(Z, y))
    for field in dataclasses.fields(case.given):
        if field.init:
            assert getattr(again, field.name) == getattr(case.given, field.name), f"the config loses {field.name}"
    assert not hasattr(again, "classes_"), "a probe that is built from a config is not fitted"


def copies(case: Case) -> None:
    """A copy of a fitted probe, as worker processes make it, gives the same scores."""
    Z, y = blobs()
    probe = case.fitted(Z[:_TRAIN], y[:_TRAIN])
    same = np.array_equal(copied(probe).predict_scores(Z[_TRAIN:]), probe.predict_scores(Z[_TRAIN:]))
    assert same, "a copy of the fitted probe gives other scores"
