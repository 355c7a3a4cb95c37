"""What holds for every registered probe, by the public check, and that the check finds what breaks it."""

import dataclasses

import numpy as np
import pytest

from kinview.evaluation.probes import Probe, probes
from kinview.parameters import real
from kinview.testing import check_probe
from kinview.testing.probes import CHECKS
from test_probes import NAMES

SLOW = {"selected"}  # fits every other probe in each inner fold


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in NAMES])
def test_every_registered_probe_passes(name):
    assert check_probe(name) == tuple(CHECKS)


# --- what the check finds --------------------------------------------------------------------------------------------


@dataclasses.dataclass(eq=False)
class Plain(Probe):
    """Minus the distance to the mean of each class: what the broken ones do but for one thing."""

    wide = True

    spread: float = real(1.0, above=0)

    def _fit(self, Z, codes, groups):
        self.spread_ = np.where(Z.std(axis=0) > 0, Z.std(axis=0), 1.0)
        self.means_ = np.stack([Z[codes == code].mean(axis=0) for code in range(len(self.classes_))])

    def _scores(self, Z):
        return np.stack(
            [-np.square((Z - mean) / self.spread_ / self.spread).sum(axis=1) for mean in self.means_], axis=1
        )


@dataclasses.dataclass(eq=False)
class Unchecked(Plain):
    rounds: int = 3


@dataclasses.dataclass(eq=False)
class Unsaid(Plain):
    mode: str = "one"

    def __post_init__(self):
        super().__post_init__()
        self.mode = self.mode * 2


class Scales(Plain):
    def predict(self, Z):
        Z *= 2
        return super().predict(Z)


class Global(Plain):
    def _fit(self, Z, codes, groups):
        super()._fit(Z + 1e-3 * np.random.random(Z.shape), codes, groups)  # noqa: NPY002


class Remembers(Plain):
    def _fit(self, Z, codes, groups):
        self.turn_ = getattr(self, "turn_", 0) + 1
        super()._fit(Z, codes, groups)
        self.means_ = self.means_ + 0.01 * self.turn_


class Forgetful(Plain):
    def __getstate__(self):
        return {**super().__getstate__(), "spread_": 1.0}


class Backwards(Plain):
    def _scores(self, Z):
        return super()._scores(Z)[:, ::-1]


class AsText(Plain):
    def predict(self, Z):
        return super().predict(Z).astype(str)


class ByLabel(Plain):
    def fit(self, Z, y, groups=None):
        super().fit(Z, y, groups)
        if np.asarray(y).dtype.kind == "f":
            self.means_ = self.means_ + 0.01
        return self


class LooksAtTheBatch(Plain):
    def _scores(self, Z):
        return super()._scores(Z - 0.01 * Z.mean(axis=0))


class FourAClass(Plain):
    def _fit(self, Z, codes, groups):
        if np.bincount(codes).min() < 4:
            raise ValueError("each class needs 4 rows")
        super()._fit(Z, codes, groups)


class DividesByZero(Plain):
    def _fit(self, Z, codes, groups):
        super()._fit(Z, codes, groups)
        with np.errstate(all="ignore"):
            self.means_ = self.means_ / (Z.std(axis=0) > 0)


class KnowsGroups(Plain):
    def fit(self, Z, y, groups=None):
        super().fit(Z, y, groups)
        if groups is not None and np.asarray(groups).dtype.kind == "U":
            self.means_ = self.means_ + 0.01
        return self


class TakesMissing(Plain):
    accepts_missing = True


class FillsMissing(Plain):
    def _check(self, Z):
        return super()._check(np.nan_to_num(np.asarray(Z, dtype=float)))


class TakesInfinity(Plain):
    def _check(self, Z):
        Z = np.asarray(Z, dtype=float)
        return super()._check(np.where(np.isinf(Z), 0.0, Z))


BROKEN = [
    (Unchecked, "parameters", "rounds='abc' must be refused"),
    (Unsaid, "config_round_trip", "comes back as|the config loses mode"),
    (Scales, "inputs_unchanged", "predict modified its rows"),
    (Global, "no_global_randomness", "the global random generator of numpy was used"),
    (Remembers, "same_seed", "a probe that was fitted before gives other scores"),
    (Forgetful, "copies", "a copy of the fitted probe gives other scores"),
    (Backwards, "scores_follow_classes", "columns of scores follow classes_"),
    (AsText, "label_types", "are not predicted where their codes"),
    (ByLabel, "label_types", r"labels \[1.0, 2.0, 7.0\] \(float64\) give other scores"),
    (LooksAtTheBatch, "rows_alone", "a row that is scored beside rows far away has other scores"),
    (FourAClass, "few_members", "it raises ValueError: each class needs 4 rows"),
    (DividesByZero, "columns", "with a constant column a score is not finite"),
    (KnowsGroups, "groups", "names of groups change the scores"),
    (TakesMissing, "accepts_missing", "with missing values a score is not finite"),
    (FillsMissing, "accepts_missing", "NaN is taken: declare accepts_missing"),
    (TakesInfinity, "refuses", "infinite values must be refused"),
]


@pytest.fixture
def registered(monkeypatch):
    probes.build("linear")
    monkeypatch.setattr(probes, "_entries", dict(probes._entries))
    return lambda kind: probes.register("broken")(kind)


@pytest.mark.parametrize(("kind", "check", "message"), BROKEN, ids=[kind.__name__ for kind, *_ in BROKEN])
def test_a_broken_probe_is_found(registered, kind, check, message):
    with pytest.raises(AssertionError, match=rf"{kind.__name__} fails the check {check!r}: .*({message})"):
        check_probe(registered(kind)())


def test_every_check_has_a_probe_that_fails_it(registered):
    assert set(CHECKS) == {name for _, name, _ in BROKEN}
    assert check_probe(registered(Plain)(spread=2.0)) == tuple(CHECKS)
    with pytest.raises(ValueError, match="FineTune trains the network of a fitted model"):
        check_probe("finetune")
