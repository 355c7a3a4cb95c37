"""What a corruption is handed, and that mechanisms of every kind can be written without touching the base."""

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pytest
import torch

from kinview.evaluation import corrupt
from kinview.evaluation.corruptions import Cells, Corruption, corruptions
from test_corruptions import as_panel, gappy, mixed_table


def first(places, rate, shape):
    """The mask of the first cells of an order."""
    removed = np.zeros(int(np.prod(shape)), dtype=bool)
    removed[places[: round(rate * len(places))]] = True
    return removed.reshape(shape)


def in_turn(cells, generator, key):
    """Observed cells in the order of a key, ties at random."""
    places = generator.permutation(np.flatnonzero(cells.observed))
    return places[np.argsort(key.ravel()[places], kind="stable")]


@dataclasses.dataclass(frozen=True)
class HighValues(Corruption):
    """Values above the training median of their column go first: missing not at random."""

    needs = frozenset({"values"})

    def fit(self, cells: Cells, generator: np.random.Generator):
        return np.nanmedian(cells.values, axis=0)

    def remove(self, cells: Cells, generator: np.random.Generator):
        key = np.where(cells.values > cells.learned, 0, 1)
        return first(in_turn(cells, generator, key), self.rate, cells.observed.shape)


@dataclasses.dataclass(frozen=True)
class DrivenByFirstColumn(Corruption):
    """Other columns go by a random direction of the first: missing at random, its driver is never removed."""

    needs = frozenset({"values"})

    def fit(self, cells: Cells, generator: np.random.Generator):
        return generator.choice([-1.0, 1.0])

    def remove(self, cells: Cells, generator: np.random.Generator):
        free = cells.observed.copy()
        free[:, 0] = False
        places = generator.permutation(np.flatnonzero(free))
        driver = np.nan_to_num(cells.learned * cells.values[:, 0])[places // cells.observed.shape[1]]
        return first(places[np.argsort(driver, kind="stable")], self.rate, cells.observed.shape)


@dataclasses.dataclass(frozen=True)
class RightCensoring(Corruption):
    """The latest observations go first: depends on time."""

    needs = frozenset({"samples", "times"})

    def remove(self, cells: Cells, generator: np.random.Generator):
        key = np.broadcast_to(-cells.times[:, None], cells.observed.shape)
        return first(in_turn(cells, generator, key), self.rate, cells.observed.shape)


@dataclasses.dataclass(frozen=True)
class OneSite(Corruption):
    """The cells of one group go first: depends on the group."""

    needs = frozenset({"groups"})
    where: str = "B"

    def remove(self, cells: Cells, generator: np.random.Generator):
        key = np.broadcast_to((cells.groups != self.where)[:, None], cells.observed.shape)
        return first(in_turn(cells, generator, key), self.rate, cells.observed.shape)


@dataclasses.dataclass(frozen=True)
class Informative(Corruption):
    """The cells of the second class go first: depends on the label, and says so."""

    needs = frozenset({"y"})

    def remove(self, cells: Cells, generator: np.random.Generator):
        key = np.broadcast_to((cells.y != 1)[:, None], cells.observed.shape)
        return first(in_turn(cells, generator, key), self.rate, cells.observed.shape)


@dataclasses.dataclass(frozen=True)
class SensorLoss(Corruption):
    """Whole channels of samples go, as a random order has them."""

    needs = frozenset({"samples"})

    def remove(self, cells: Cells, generator: np.random.Generator):
        channels = cells.observed.shape[1]
        turn = generator.permutation((int(cells.sample.max()) + 1) * channels)
        key = turn[cells.sample[:, None] * channels + np.arange(channels)]
        return first(in_turn(cells, generator, key), self.rate, cells.observed.shape)


@dataclasses.dataclass(frozen=True)
class Spy(Corruption):
    """Removes nothing and keeps what it was handed."""

    needs = frozenset({"samples", "values", "times", "groups", "y"})
    seen: list = dataclasses.field(default_factory=list)

    def remove(self, cells: Cells, generator: np.random.Generator):
        self.seen.append(cells)
        return np.zeros_like(cells.observed)


def handed(X, **given) -> Cells:
    spy = Spy(0.5)
    corrupt(X, spy, 0, **given)
    return spy.seen[0]


def spied_names(X):
    return handed(X, y=np.zeros(6), groups=np.zeros(6)).names


def test_masks_of_mcar_are_those_of_the_first_version():
    """Digests written before the interface grew."""
    digests = {
        ("array", "cell"): "3c6d7a899ccbe059",
        ("array", "timestep"): "b180f4ec6e2be67d",
        ("panel", "cell"): "19b8478cffab8f34",
        ("panel", "timestep"): "2cf787bed4262e75",
        ("table", "cell"): "3c72d5d4471a24f5",
    }
    data = {"array": gappy(), "panel": as_panel(gappy()), "table": mixed_table()}
    for (name, mode), digest in digests.items():
        removed = corrupt(data[name], {"mcar": {"mode": mode}}, (3, 1), rate=0.3)[1]
        assert hashlib.sha256(np.packbits(removed).tobytes()).hexdigest()[:16] == digest, (name, mode)


def test_a_corruption_is_handed_what_it_declares_and_nothing_else():
    x = gappy()

    class Nothing(Spy):
        needs = frozenset()

    nothing = Nothing(0.5)
    corrupt(x, nothing, 0, y=np.arange(6), groups=np.arange(6))
    held = {field.name for field in dataclasses.fields(Cells) if getattr(nothing.seen[0], field.name) is not None}
    assert held == {"observed", "time_series"}
    cells = handed(x, y=np.arange(6), groups=np.array(list("AABBCC")))
    assert cells.sample.tolist() == np.repeat(np.arange(6), 20).tolist()
    assert cells.step.tolist() == list(range(20)) * 6
    assert cells.times.tolist() == cells.step.tolist()
    np.testing.assert_array_equal(cells.values, np.moveaxis(x, 1, 2).reshape(120, 3).astype(float))
    assert cells.groups.tolist() == np.repeat(list("AABBCC"), 20).tolist()
    assert cells.y.tolist() == np.repeat(np.arange(6), 20).tolist()
    assert cells.kinds == ("numeric",) * 3
    assert cells.names == (0, 1, 2) and spied_names(as_panel(x)) == ("c0", "c1", "c2")


@pytest.mark.parametrize("as_tensor", [False, True])
def test_times_of_an_array_are_those_that_are_given(as_tensor):
    times = np.linspace(0, 1, 120).reshape(6, 20)
    x = torch.from_numpy(gappy()) if as_tensor else gappy()
    given = torch.from_numpy(times) if as_tensor else times
    assert handed(x, times=given, y=np.zeros(6), groups=np.zeros(6)).times.tolist() == times.ravel().tolist()


def test_rows_of_a_frame_in_any_order_know_their_sample_step_and_time():
    panel = as_panel(gappy())
    stamps = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(panel.index.get_level_values(1), unit="h")
    panel.index = pd.MultiIndex.from_arrays([panel.index.get_level_values(0), stamps], names=["patient", "time"])
    shuffled = panel.sample(frac=1, random_state=0)
    y = pd.Series(np.arange(6), index=pd.Index(range(6), name="patient"))
    cells = handed(shuffled, y=y, groups=y.map(str))
    patient = shuffled.index.get_level_values(0).to_numpy()
    assert (cells.y == patient).all() and (cells.groups == patient.astype(str)).all()
    hours = (shuffled.index.get_level_values(1) - stamps[0]).total_seconds() / 3600
    assert cells.step.tolist() == hours.astype(int).tolist()
    assert (cells.times == hours * 3600 + stamps[0].timestamp()).all()


def test_values_of_a_mixed_table_are_numbers_and_categories_those_of_the_training_part():
    train = pd.DataFrame({"age": [40, None], "sex": ["m", "f"], "ok": [True, False]})
    test = pd.DataFrame({"age": [50, 60, 70], "sex": ["f", "other", None], "ok": [True, True, False]})
    spy = Spy(0.5)
    labels = {"y": np.zeros(3), "groups": np.zeros(3)}
    spy = type("NoTimes", (Spy,), {"needs": Spy.needs - {"times"}})(0.5)
    learned = spy.learn(train, 0, y=np.zeros(2), groups=np.zeros(2))
    corrupt(test, spy, 0, learned=learned, **labels)
    cells = spy.seen[0]
    assert cells.kinds == ("numeric", "categorical", "numeric")
    np.testing.assert_array_equal(cells.values, [[50, 1, 1], [60, 0, 1], [70, np.nan, 0]])


@pytest.mark.parametrize("kind", [HighValues, RightCensoring, SensorLoss, DrivenByFirstColumn])
def test_mechanisms_are_exact_nested_and_the_same_in_every_container(kind):
    x = gappy()
    masks = [corrupt(x, kind(rate), 0)[1] for rate in (0.2, 0.4)]
    assert not (masks[0] & ~masks[1]).any()
    may_go = (~np.isnan(x)).sum() - (0 if kind is not DrivenByFirstColumn else (~np.isnan(x[:, 0])).sum())
    assert [mask.sum() for mask in masks] == [round(rate * may_go) for rate in (0.2, 0.4)]
    padded = np.concatenate([x, np.full((6, 3, 5), np.nan, np.float32)], axis=2)
    np.testing.assert_array_equal(corrupt(padded, kind(0.4), 0)[1][..., :20], masks[1])
    panel = as_panel(x)
    lost = corrupt(panel, kind(0.4), 0)[1]
    rows = [masks[1][i, :, t] for i, t in panel.index]
    np.testing.assert_array_equal(lost, np.stack(rows))


def test_thresholds_come_from_the_training_part():
    train, test = np.arange(100.0).reshape(10, 1, 10), np.arange(200.0, 300.0).reshape(10, 1, 10)
    mechanism = HighValues(0.5)
    learned = mechanism.learn(train, 0)
    assert learned.state.tolist() == [49.5]
    _, own = mechanism.apply(test, (0, 1))
    _, removed = mechanism.apply(test, (0, 1), learned=learned)
    assert own[5:].all() and not own[:5].any()  # with its own median the lower half stays
    assert removed[:5].any()  # all of the test part lies above the median of the training part
    assert removed.sum() == own.sum() == 50


def test_what_is_drawn_in_fit_is_shared_by_the_parts_and_apart_from_what_removal_draws():
    x = np.random.default_rng(0).normal(size=(30, 2, 5))
    directions = {seed: DrivenByFirstColumn(0.5).learn(x, seed).state for seed in range(20)}
    assert set(directions.values()) == {-1.0, 1.0}
    assert directions == {seed: DrivenByFirstColumn(0.1).learn(x[:5], seed).state for seed in range(20)}


def test_groups_and_labels_decide_where_they_are_declared():
    x = np.ones((4, 2, 5))
    _, removed = corrupt(x, OneSite(0.25), 0, groups=np.array(["A", "B", "C", "C"]))
    assert removed[1].all() and removed.sum() == 10
    _, removed = corrupt(x, Informative(0.5), 0, y=[0, 1, 0, 1])
    assert removed[[1, 3]].all() and removed.sum() == 20


def test_a_plug_in_of_a_registry_is_built_by_name():
    with pytest.raises(ValueError, match="did you mean"):
        corruptions.build("mcarr", rate=0.1)
    assert "y" in Informative.needs and "y" not in corruptions["mcar"].target.needs


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (OneSite, {}, "OneSite needs the group of each sample; give groups="),
        (Informative, {}, "Informative needs the label of each sample; give y="),
        (Informative, {"y": [0, 1]}, r"y must have one entry a sample, shape \(6,\); got \(2,\)"),
        (
            RightCensoring,
            {"times": np.zeros((6, 3))},
            r"times must have one entry a step, .* = \(6, 20\); got \(6, 3\)",
        ),
    ],
)
def test_what_is_needed_and_not_given_is_named(kind, given, message):
    with pytest.raises(ValueError, match=message):
        corrupt(gappy(), kind(0.2), 0, **given)


def test_times_of_a_table_and_of_a_frame_are_refused():
    with pytest.raises(ValueError, match="RightCensoring needs time series, and X is a table"):
        corrupt(mixed_table(), RightCensoring(0.2), 0)
    with pytest.raises(ValueError, match="the times of a frame are the last level of its index"):
        corrupt(as_panel(gappy()), RightCensoring(0.2), 0, times=np.zeros((6, 20)))


def test_a_corruption_of_ones_own_may_put_other_values_where_it_removes_some():
    class Doubled(HighValues):
        def replacement(self, cells, removed):
            assert (cells.learned > -np.inf).all() and removed.any()
            return cells.values * 2

    x = gappy()
    result, removed = corrupt(x, Doubled(0.3), 0)
    np.testing.assert_array_equal(result, np.where(removed, 2 * x, x))
    np.testing.assert_array_equal(removed, corrupt(x, HighValues(0.3), 0)[1])
    counts, _ = corrupt(np.arange(10).reshape(5, 2), Doubled(0.5), 0)
    assert counts.dtype == np.float64 and sorted(counts.ravel())[-1] == 18.0


def test_a_part_that_breaks_the_contract_is_named():
    class Wrong(Corruption):
        needs = frozenset({"label"})

        def remove(self, cells, generator):
            return cells.observed

    with pytest.raises(ValueError, match=r"Wrong.needs holds 'label'; a corruption may need samples, values"):
        corrupt(gappy(), Wrong(0.2), 0)

    class All(Corruption):
        def remove(self, cells, generator):
            return np.ones_like(cells.observed)

    with pytest.raises(ValueError, match=r"All.remove removes cells that are missing already"):
        corrupt(gappy(), All(0.2), 0)

    class Shape(Corruption):
        def remove(self, cells, generator):
            return cells.observed[0]

    with pytest.raises(TypeError, match=r"Shape.remove must return a boolean array of shape \(120, 3\)"):
        corrupt(gappy(), Shape(0.2), 0)


def test_a_test_part_with_other_columns_is_refused():
    learned = HighValues(0.5).learn(np.ones((3, 2)), 0)
    with pytest.raises(ValueError, match="X has 3 columns, and 2 in the training part"):
        corrupt(np.ones((3, 3)), HighValues(0.5), 0, learned=learned)
