"""A label noise under test, the labels it is tried on, and the checks."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Int64, Shaped

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise.base import NEEDS, Cases, LabelNoise, NoisyLabels
from kinview.testing._suite import check_parameters, check_rate, copied, in_config_and_back, under_global_seeds

__all__ = ["Case"]

_SAMPLES = 60
_SEEDS = range(2)


@dataclasses.dataclass(frozen=True)
class Case:
    """One label noise with what it is asked at."""

    part: LabelNoise
    classes: tuple[Any, ...]
    rates: tuple[float, ...]
    exact: bool
    nested: Literal["labels", "flips"]

    def at(self, rate: float, *, grouped: bool = False) -> LabelNoise:
        """The noise at another rate, by sample or by group."""
        return dataclasses.replace(self.part, rate=rate, group_consistent=grouped)

    def samples(self, seed: int = 0) -> dict[str, Any]:
        """Labels, values with something of the labels in them, and groups of unequal size that share a label."""
        random = np.random.default_rng(seed)
        n, k = _SAMPLES, len(self.classes)
        groups = np.sort(random.integers(n // 3, size=n))
        codes = np.concatenate([np.arange(k), random.integers(k, size=n)])[groups % (n // 3)]
        codes[:k], groups[:k] = np.arange(k), 1000 + np.arange(k)
        return {
            "y": np.asarray(self.classes)[codes],
            "X": random.normal(size=(n, 3)) + codes[:, None],
            "groups": groups,
        }

    def noisy(self, given: dict[str, Any], rate: float, seed: int = 0, *, grouped: bool = False) -> NoisyLabels:
        """The labels with noise."""
        return self.at(rate, grouped=grouped).apply(**given, classes=self.classes, seed=seed)


# --- which labels ----------------------------------------------------------------------------------------------------


def among_classes(case: Case) -> None:
    """Labels keep their type and stay among the classes, and at rate 0 are as they were."""
    given = case.samples()
    y = given["y"]
    for rate in case.rates:
        noisy = case.noisy(given, rate)
        assert noisy.y.dtype == y.dtype, f"labels of type {y.dtype} become {noisy.y.dtype}"
        stray = sorted(set(noisy.y.tolist()) - set(case.classes))
        assert not stray, f"labels become {stray}, which are no classes"
    assert np.array_equal(case.noisy(given, 0.0).y, y), "at rate 0 labels change"


def exact_rate(case: Case) -> None:
    """Of n labels exactly round(rate n) are wrong; with groups as many as whole groups come closest to."""
    if not case.exact:
        return
    for seed in _SEEDS:
        given = case.samples(seed)
        n, largest = _SAMPLES, int(np.unique(given["groups"], return_counts=True)[1].max())
        for rate in case.rates:
            wrong = int(case.noisy(given, rate, seed).flipped.sum())
            assert wrong == round(rate * n), (
                f"at rate {rate} {wrong} of {n} labels are wrong; round({rate} * {n}) = {round(rate * n)} must be. If "
                "the rate is not that of the wrong labels, say so: check_label_noise(..., exact=False)"
            )
            wrong = int(case.noisy(given, rate, seed, grouped=True).flipped.sum())
            assert abs(wrong - round(rate * n)) <= largest / 2, (
                f"at rate {rate} of groups of at most {largest}, {wrong} of {n} labels are wrong: take what "
                "cases.first(order, self.rate) does"
            )


def nested(case: Case) -> None:
    """What is wrong at a rate is wrong at a higher one, in the same way, under the same seed."""
    for seed in _SEEDS:
        given = case.samples(seed)
        for grouped in (False, True):
            lower = None
            for rate in case.rates:
                noisy = case.noisy(given, rate, seed, grouped=grouped)
                if lower is not None:
                    right = int((lower.flipped & ~noisy.flipped).sum())
                    assert not right, (
                        f"{right} labels that are wrong at a lower rate are right at {rate}: the draws must not depend "
                        "on the rate"
                    )
                    alike = np.array_equal(noisy.y[lower.flipped], lower.y[lower.flipped])
                    assert alike or case.nested == "flips", (
                        f"labels that are wrong at a lower rate have another wrong class at {rate}; if that is meant, "
                        'say so: check_label_noise(..., nested="flips")'
                    )
                lower = noisy


def group_consistent(case: Case) -> None:
    """Samples of a group that share a label share its fate, and groups of one are as no groups."""
    rate = case.rates[-1]
    for seed in _SEEDS:
        given = case.samples(seed)
        mixed = _every_other(given["y"])
        for labels in (given["y"], mixed):
            try:
                noisy = case.noisy({**given, "y": labels}, rate, seed, grouped=True).y
            except ValueError:
                if labels is mixed:  # without the third class no noise of this kind reaches the rate
                    continue
                raise
            fates = pd.Series(noisy).groupby([given["groups"], labels]).nunique().max()
            assert fates == 1, f"samples of one group and label get {fates} labels under group_consistent"
        alone = {**given, "groups": np.arange(_SAMPLES)}
        plain, grouped = (case.noisy(alone, rate, seed, grouped=each).y for each in (False, True))
        assert np.array_equal(plain, grouped), "with a group of its own for each sample, other labels are wrong"


def _every_other(y: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Labels of two classes by turns, so that groups hold both."""
    one, two = np.unique(y)[:2]
    return np.asarray(np.where(np.arange(len(y)) % 2 == 0, one, two))


# --- what decides ----------------------------------------------------------------------------------------------------


def inputs_unchanged(case: Case) -> None:
    """Labels, values and groups are left as they are."""
    given = case.samples()
    before = copy.deepcopy(given)
    case.noisy(given, case.rates[-1], grouped=True)
    changed = [name for name, value in given.items() if not np.array_equal(value, before[name])]
    assert not changed, f"{', '.join(changed)} were modified"


def same_seed(case: Case) -> None:
    """One seed gives the same labels, whatever was drawn before."""
    given = case.samples()
    for seed in _SEEDS:
        first = case.noisy(given, case.rates[-1], seed).y
        case.noisy(given, case.rates[-1], seed + 1)
        assert np.array_equal(first, case.noisy(given, case.rates[-1], seed).y), "the same seed gives other labels"


def no_global_randomness(case: Case) -> None:
    """The global generators of torch, NumPy and random are neither read nor moved."""
    given = case.samples()
    one, _, other = under_global_seeds(lambda: case.noisy(given, case.rates[-1]).y)
    assert np.array_equal(one, other), "the labels depend on a global random state"


def needs(case: Case) -> None:
    """What it looks at is what it declares: without a need it says what to give, and each need decides something."""
    part, given = case.at(case.rates[-1]), case.samples()
    unknown = sorted(part.needs - set(NEEDS))
    assert not unknown, f"needs holds {', '.join(map(repr, unknown))}; a label noise may need {', '.join(NEEDS)}"
    for need, argument in (("features", "X"), ("groups", "groups")):
        without = {**given, argument: None}
        if need in part.asks_for:
            try:
                part.apply(**without, classes=case.classes)
            except ValueError as error:
                assert f"{argument}=" in str(error), f"without {need} the error must say to give {argument}=: {error}"
            else:
                raise AssertionError(f"needs declares {need}, and without {argument} nothing is said")
            assert _looked_at(case, need), f"needs declares {need}, and the labels are the same without"
            continue
        plain = part.apply(**given, classes=case.classes).y
        alone = part.apply(**without, classes=case.classes).y
        assert np.array_equal(plain, alone), f"{argument} changes the labels: declare needs = {{{need!r}}}"


def _looked_at(case: Case, need: str) -> bool:
    """Whether a noise fails, or changes other labels, when it is not handed what it declares."""
    part = case.at(case.rates[-1])
    for seed in _SEEDS:
        given = case.samples(seed)
        codes = np.searchsorted(np.unique(case.classes), given["y"])
        known: dict[str, Any] = {
            "features": part.features_of(given["X"]) if "features" in part.asks_for else None,
            "groups": given["groups"] if "groups" in part.asks_for else None,
        }
        seen = Cases(codes, np.unique(case.classes), np.ones(_SAMPLES, dtype=np.int64), **known)
        blind = Cases(seen.codes, seen.classes, seen.sizes, **{**known, need: None})
        expected = _relabelled(part, seen, seed)
        try:
            found = _relabelled(part, blind, seed)
        except Exception:  # whatever it is that fails without what it needs
            return True
        if not np.array_equal(expected, found):
            return True
    return False


def _relabelled(part: LabelNoise, cases: Cases, seed: int) -> Int64[np.ndarray, " n"]:
    return part.relabel(cases, np.random.default_rng(seed))


# --- an object -------------------------------------------------------------------------------------------------------


def parameters(case: Case) -> None:
    """A bad parameter is refused at construction, by name; parameters are frozen."""
    check_rate(case.at)
    check_parameters(case.part, frozen=True)


def config_round_trip(case: Case) -> None:
    """The config, through YAML, builds an equal label noise."""
    for grouped in (False, True):
        part = case.at(case.rates[0], grouped=grouped)
        again = in_config_and_back(label_noise, part)
        assert again == part, f"the config builds {again!r}, not {part!r}"


def copies(case: Case) -> None:
    """A copy, as worker processes make it, is equal and changes the same labels."""
    given, twin = case.samples(), copied(case.part)
    assert twin == case.part, f"a copy is another: {twin!r}"
    labels = dataclasses.replace(case, part=twin).noisy(given, case.rates[-1]).y
    assert np.array_equal(labels, case.noisy(given, case.rates[-1]).y), "a copy changes other labels"
