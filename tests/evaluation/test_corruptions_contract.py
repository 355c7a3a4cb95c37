"""What holds for every registered corruption, by the public check, and that the check finds what breaks it."""

import dataclasses
import inspect
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from kinview.evaluation import corrupt, observed_mask
from kinview.evaluation.corruptions import Corruption, corruptions
from kinview.testing import check_corruption
from kinview.testing.corruptions import CHECKS
from test_corruptions import gappy, mixed_table
from test_value_shifts import SHIFTS


def in_groups(*names):
    """Cells of the samples of some groups are what a rate counts."""

    def unit(shape, given):
        inside = np.isin(given["groups"], names).reshape(-1, *(1,) * (len(shape) - 1))
        return np.where(inside, np.arange(np.prod(shape)).reshape(shape), -1)

    return unit


def sample_of(shape, given):
    """All cells of a sample are one."""
    return np.broadcast_to(np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1)), shape)


CELLS: dict[str, Any] = {}
ON_SERIES = {"modality": "time_series"}  # another form of a corruption that is tried on tables too
SPECS = (
    ("mcar", CELLS),
    ({"mcar": {"mode": "timestep"}}, {"unit": "timestep"}),
    ("mar", CELLS),
    ({"mar": {"drivers": [1], "steepness": 3.0}}, ON_SERIES),
    ("mnar_high", CELLS),
    ("mnar_low", ON_SERIES),
    ("mnar_extreme", ON_SERIES),
    ({"self_masking": {"values": "high"}}, CELLS),
    ({"self_masking": {"values": "low"}}, ON_SERIES),
    ({"self_masking": {"values": "extreme"}}, ON_SERIES),
    ("detection_limit", CELLS),
    ({"detection_limit": {"limit": "upper", "replace": "limit"}}, CELLS),
    ({"block": {"length": 4}}, CELLS),
    ({"block": {"length": 0.3, "channels": "together"}}, CELLS),
    ("sequence", CELLS),
    ({"sequence": {"length": 3}}, CELLS),
    ("irregular", {"unit": "timestep"}),
    ("sensor", {"unit": "channel"}),
    ({"sensor": {"scope": "set"}}, {"unit": "column"}),
    ("censoring", CELLS),
    ({"censoring": {"side": "left"}}, CELLS),
    ("natural", {"rates": (0.05, 0.1, 0.15)}),  # the gaps of so few samples reach no further
    ("informative", CELLS),
    ({"informative": {"steepness": -1.0}}, ON_SERIES),
    ({"subgroup": {"where": {"site": "B"}}}, {"unit": in_groups("B")}),
    (
        {"subgroup": {"where": ["A", "C"], "mechanism": {"mnar_high": {"steepness": 5.0}}}},
        {"unit": in_groups("A", "C"), **ON_SERIES},
    ),
    ({"subgroup": {"where": "C", "mechanism": {"censoring": {"side": "left"}}}}, {"unit": in_groups("C")}),
    ({"modality_missing": {"side": "samples"}}, {"unit": sample_of}),
)
OF_STATIC = {"static_columns"}  # what changes static columns is in test_static_corruptions
NOT_FOR_TABLES = {"block", "censoring", "irregular", "sequence"}


def name_of(spec):
    return spec if isinstance(spec, str) else next(iter(spec))


def label_of(spec):
    return str(spec).translate(str.maketrans("", "", "{}' "))


every_corruption = pytest.mark.parametrize(("spec", "how"), SPECS, ids=[label_of(spec) for spec, _ in SPECS])
on_tables = pytest.mark.parametrize(
    "spec",
    [
        spec
        for spec, _ in SPECS
        if name_of(spec) not in NOT_FOR_TABLES
        and spec not in ("sensor", {"mcar": {"mode": "timestep"}}, {"mar": {"drivers": [1], "steepness": 3.0}})
        and not {"where", "censoring", "samples"} & set(str(spec).replace("'", " ").split())
    ],
    ids=label_of,
)


def of_samples(n):
    return {"groups": np.array(list("ABC"))[np.arange(n) % 3], "y": np.arange(n) % 2}


# --- those of the package --------------------------------------------------------------------------------------------


def test_every_registered_corruption_is_here():
    assert {name_of(spec) for spec, _ in SPECS} == set(corruptions) - set(SHIFTS) - OF_STATIC
    for name in set(corruptions) - set(SHIFTS):
        entry = corruptions[name]
        assert entry.modality == ("time_series" if name in NOT_FOR_TABLES else "any") and entry.reference
        assert "y" not in entry.target.needs or "label" in entry.summary
        assert "Parameters" in inspect.getdoc(entry.target) and "Examples" in inspect.getdoc(entry.target)


@every_corruption
def test_every_registered_corruption_passes(spec, how):
    assert check_corruption(spec, **how) == tuple(CHECKS)


@every_corruption
def test_another_seed_is_another_mask_where_anything_is_left_to_chance(spec, how):
    x = gappy(12, 4, 20)
    static = pd.DataFrame({"site": of_samples(12)["groups"]})
    masks = [corrupt(x, spec, seed, rate=0.2, static=static, **of_samples(12))[1] for seed in range(3)]
    without_chance = name_of(spec) in ("self_masking", "detection_limit")
    assert any((masks[0] != other).any() for other in masks[1:]) is not without_chance


@on_tables
def test_tables_of_every_kind_of_column_lose_what_the_rate_says(spec):
    table, before = mixed_table(60), mixed_table(60)
    masks = [corrupt(table, spec, 3, rate=rate, **of_samples(60))[1] for rate in (0.01, 0.03)]
    observed = observed_mask(table)
    for rate, removed in zip((0.01, 0.03), masks):
        if name_of(spec) == "sensor":
            assert removed.any(axis=0).sum() == round(rate * table.shape[1])
        else:
            assert removed.sum() == round(rate * observed.sum())
    assert not (masks[0] & ~masks[1]).any() and not (masks[1] & ~observed).any()
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("name", sorted(NOT_FOR_TABLES))
def test_what_rests_on_time_refuses_a_table(name):
    with pytest.raises(ValueError, match=rf"(?i){name} needs time series"):
        corrupt(mixed_table(), name, 0, rate=0.2, **of_samples(40))


@on_tables
def test_a_table_without_rows_or_columns_stays_as_it_is(spec):
    assert corrupt(mixed_table()[:0], spec, 0, rate=0.3, **of_samples(0))[1].shape == (0, 20)
    if name_of(spec) != "mar":  # which has no column to go by, and says so
        assert corrupt(pd.DataFrame(index=range(3)), spec, 0, rate=0.3, **of_samples(3))[1].shape == (3, 0)


# --- what the check finds --------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Plain(Corruption):
    """Cells at random: what the broken ones do but for one thing."""

    def order(self, cells, generator):
        return generator.permutation(np.flatnonzero(cells.observed))

    def count(self, order):
        return round(self.rate * len(order))

    def remove(self, cells, generator):
        order = self.order(cells, generator)
        removed = np.zeros(cells.observed.size, dtype=bool)
        removed[order[: self.count(order)]] = True
        return removed.reshape(cells.observed.shape)


@dataclasses.dataclass(frozen=True)
class Unchecked(Plain):
    mode: Literal["one", "two"] = "one"


@dataclasses.dataclass(frozen=True)
class AnyRate(Plain):
    def __post_init__(self):
        pass


@dataclasses.dataclass(frozen=True)
class Unsaid(Plain):
    mode: str = "one"

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "mode", self.mode * 2)


class Forgetful(Plain):
    def __reduce__(self):
        return Forgetful, (0.9 * self.rate,)


class WritesIntoTheSamples(Plain):
    def apply(self, X, seed, **given):
        result = super().apply(X, seed, **given)
        if isinstance(X, np.ndarray) and X.size:
            X.flat[0] = 7.0
        return result


class Remembers(Plain):
    def order(self, cells, generator):
        type(self).turn = getattr(type(self), "turn", 0) + 1
        return np.roll(super().order(cells, generator), self.turn)


class Global(Plain):
    def order(self, cells, generator):
        np.random.random()  # noqa: NPY002
        return super().order(cells, generator)


class Rounds(Plain):
    def apply(self, X, seed, **given):
        result, removed = super().apply(X, seed, **given)
        return (np.round(result, 1) if isinstance(result, np.ndarray) else result), removed


class Overflows(Plain):
    def replacement(self, cells, removed):
        return np.full(removed.shape, np.inf)


class Approximate(Plain):
    def count(self, order):
        return int(self.rate * len(order)) + 1 if self.rate else 0


class Halves(Plain):
    """Counts steps, and takes the first channel of some alone."""

    def remove(self, cells, generator):
        steps = np.flatnonzero(cells.observed.any(axis=1))
        gone = generator.permutation(steps)[: round(self.rate * len(steps))]
        removed = np.zeros_like(cells.observed)
        removed[gone[1:]] = cells.observed[gone[1:]]
        removed[gone[:1], :1] = cells.observed[gone[:1], :1]
        return removed


class DrawsByTheRate(Plain):
    def order(self, cells, generator):
        generator.random(int(100 * self.rate))
        return super().order(cells, generator)


class NeedsInVain(Plain):
    needs = frozenset({"times"})


class NeedsTheUnknown(Plain):
    needs = frozenset({"label"})


class LooksAtLabels(Plain):
    def apply(self, X, seed, *, y=None, **given):
        return super().apply(X, [*np.ravel(seed).tolist(), int(y is None)], y=y, **given)


class LearnsTheRate(Plain):
    def fit(self, cells, generator):
        return self.rate


class WritesIntoWhatItLearned(Plain):
    def fit(self, cells, generator):
        return [0]

    def order(self, cells, generator):
        cells.learned[0] += 1
        return super().order(cells, generator)


class DrawsOverPadding(Plain):
    def order(self, cells, generator):
        places = generator.permutation(cells.observed.size)
        return places[cells.observed.ravel()[places]]


class TakesOneAtLeast(Plain):
    def order(self, cells, generator):
        if not cells.observed.any():
            raise ZeroDivisionError
        return super().order(cells, generator)


BROKEN = [
    (Unchecked, "parameters", "mode='no such option' must be refused"),
    (AnyRate, "parameters", "rate=1.5 must be refused: call super"),
    (Unsaid, "config_round_trip", "the config builds|comes back as"),
    (Forgetful, "copies", "a copy is another"),
    (WritesIntoTheSamples, "inputs_unchanged", "the samples were modified"),
    (Remembers, "same_seed", "the same seed gives another mask"),
    (Global, "no_global_randomness", "the global random generator of numpy was used"),
    (Rounds, "gaps_kept", "a value that was not removed is another"),
    (Overflows, "gaps_kept", "a value becomes infinite"),
    (Approximate, "exact_rate", r"at rate 0\.1 \d+ of \d+ cells go; round"),
    (Halves, "exact_rate", "1 timesteps are removed in part"),
    (DrawsByTheRate, "nested", r"stay at 0\.25: the draws must not depend on the rate"),
    (NeedsInVain, "needs", "needs declares times, and the mask is the same without"),
    (LooksAtLabels, "needs", "y changes the mask: declare needs"),
    (LearnsTheRate, "learned_from_training", "what fit returns depends on the rate"),
    (WritesIntoWhatItLearned, "learned_from_training", "remove modified what was learned"),
    (DrawsOverPadding, "containers", "padded further, the same samples lose other cells"),
    (TakesOneAtLeast, "nothing_observed", "it raises ZeroDivisionError"),
]


@pytest.fixture
def registered(monkeypatch):
    """Register a class for the time of a test."""
    corruptions.build("mcar", rate=0.1)
    monkeypatch.setattr(corruptions, "_entries", dict(corruptions._entries))
    return lambda kind: corruptions.register(kind.__name__.lower())(kind)


@pytest.mark.parametrize(("kind", "check", "message"), BROKEN, ids=[kind.__name__ for kind, *_ in BROKEN])
def test_a_broken_corruption_is_found(registered, kind, check, message):
    part = registered(kind)(0.2)
    unit = "timestep" if kind is Halves else "cell"
    with pytest.raises(
        AssertionError, match=rf"{kind.__name__} fails the check {check!r} \(time_series\): .*({message})"
    ):
        check_corruption(part, unit=unit, modality="time_series")


def test_every_check_has_a_corruption_that_fails_it(registered):
    assert set(CHECKS) == {name for _, name, _ in BROKEN}
    assert check_corruption(registered(Plain)(0.3)) == tuple(CHECKS)


def test_what_cannot_be_checked_is_refused(registered):
    with pytest.raises(AssertionError, match=r"needs holds 'label'; a corruption may need samples"):
        check_corruption(registered(NeedsTheUnknown)(0.2))
    with pytest.raises(AssertionError, match=r"'config_round_trip'.*@corruptions\.register\('plain'\)"):
        check_corruption(Plain(0.2))
    assert check_corruption(registered(Approximate)(0.2), unit=None) == tuple(CHECKS)
    with pytest.raises(AssertionError, match=r"Jitter.*can be tried on neither the series nor the table"):
        check_corruption("jittered_times")
    with pytest.raises(ValueError, match="rates must rise"):
        check_corruption("mcar", rates=(0.3, 0.1))
    with pytest.raises(AssertionError, match="a table has no timesteps"):
        check_corruption("mcar", unit="timestep", modality="tabular")
    with pytest.raises(AssertionError, match="unit must return an array of the shape of X"):
        check_corruption("mcar", unit=lambda shape, given: np.zeros(3))


@pytest.mark.parametrize("name", ["clipping", "drift", "noise", "resolution"])
def test_a_registered_shift_passes_too(name):
    assert check_corruption(name, unit=None) == tuple(CHECKS)
