"""What every registered label noise keeps to, whatever it does."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from kinview.complete_configs import complete_config
from kinview.evaluation.label_noise import LabelNoise, label_noise
from kinview.testing import check_label_noise
from kinview.testing.label_noise import CHECKS

CLASSES = ("a", "b", "c")
MATRIX = [[0.5, 0.3, 0.2], [0.0, 0.6, 0.4], [0.1, 0.3, 0.6]]
OTHER_MATRIX = [[0.7, 0.3, 0.0], [0.2, 0.8, 0.0], [0.2, 0.2, 0.6]]
SPECS = {
    "symmetric": "symmetric",
    "inclusive": {"symmetric": {"inclusive": True}},
    "pair_flip": "pair_flip",
    "map": {"asymmetric": {"mapping": {"a": "c", "b": "a", "c": "b"}}},
    "similar": "asymmetric",
    "class_conditional": {"class_conditional": {"matrix": MATRIX}},
    "part_dependent": "instance_dependent",
    "boundary": {"instance_dependent": {"form": "boundary"}},
    "one": "annotator",
    "vote": {"annotator": {"annotators": 7, "votes": 3}},
    "given": {"annotator": {"annotators": [MATRIX, OTHER_MATRIX], "votes": 1}},
}
HOW: dict[str, Any] = {"inclusive": {"exact": False}, "vote": {"exact": False, "nested": "flips"}}


def built(name: str, rate: float, **parameters: bool) -> LabelNoise:
    spec = SPECS[name]
    kind, given = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
    return label_noise.build({kind: {**given, **parameters}}, rate=rate)


def samples(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, values with something of the labels in them, and groups."""
    random = np.random.default_rng(seed)
    codes = np.concatenate([[0, 1, 2], random.integers(3, size=n - 3)])
    return np.array(CLASSES)[codes], random.normal(size=(n, 3)) + codes[:, None], np.arange(n) // 4


def test_every_registered_noise_is_here():
    kinds = {spec if isinstance(spec, str) else next(iter(spec)) for spec in SPECS.values()}
    assert kinds == set(label_noise)
    assert all(issubclass(label_noise[name].target, LabelNoise) for name in label_noise)


@pytest.mark.parametrize("name", SPECS)
def test_every_registered_noise_passes(name):
    spec = SPECS[name]
    assert check_label_noise(spec, classes=CLASSES, **HOW.get(name, {})) == tuple(CHECKS)


@pytest.mark.parametrize("name", SPECS)
def test_what_is_said_of_the_labels_agrees(name):
    y, X, groups = samples()
    noisy = built(name, 0.35).apply(y, classes=CLASSES, seed=1, X=X, groups=groups)
    np.testing.assert_array_equal(noisy.flipped, noisy.y != y)
    assert noisy.realised_rate == noisy.flipped.mean()
    expected = [[int(((y == i) & (noisy.y == j)).sum()) for j in CLASSES] for i in CLASSES]
    assert noisy.counts.tolist() == expected and noisy.classes.tolist() == list(CLASSES)
    np.testing.assert_allclose(noisy.transition.sum(axis=1), 1)
    other = built(name, 0.35).apply(y, classes=CLASSES, seed=(0, 1), X=X, groups=groups)
    assert (noisy.y != other.y).any(), "another seed gives other labels"


@pytest.mark.parametrize("name", SPECS)
def test_what_is_complete_builds_the_same_part(name):
    part = built(name, 0.2, group_consistent=True)
    assert label_noise.build(complete_config(label_noise, part)) == part


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"inclusive", "map", "class_conditional", "given"}))
def test_a_single_class_is_refused_where_it_has_to_be_left(name):
    X = np.arange(8.0)[:, None]
    with pytest.raises(ValueError, match=r"all labels are .*needs a second class"):
        built(name, 0.5).apply(["a"] * 8, X=X)
    assert built(name, 0.0).apply(["a"] * 8, X=X).realised_rate == 0


@pytest.mark.parametrize("name", SPECS)
def test_a_wrong_seed_and_too_few_groups_are_refused(name):
    y, X, groups = samples()
    with pytest.raises(ValueError, match="seed must be an integer"):
        built(name, 0.1).apply(y, seed=None, X=X)
    with pytest.raises(ValueError, match="groups has 3 entries for 60 labels"):
        built(name, 0.1, group_consistent=True).apply(y, X=X, groups=groups[:3])


# --- what is no label noise ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Returning(LabelNoise):
    """Returns what it was made with."""

    returned: object = None

    def relabel(self, cases, generator):
        return self.returned


@pytest.mark.parametrize(
    "returned, error, message",
    [
        (None, TypeError, r"Returning.relabel must return an integer array of shape \(2,\)"),
        (np.array([0.0, 1.0]), TypeError, "float64"),
        (np.array([0]), TypeError, r"\(1,\)"),
        (np.array([0, 2]), ValueError, "places of the 2 classes"),
        (np.array([-1, 0]), ValueError, "places of the 2 classes"),
    ],
)
def test_what_is_no_label_is_refused(returned, error, message):
    with pytest.raises(error, match=message):
        Returning(0.5, returned).apply(["a", "b"])


def test_a_need_that_there_is_not_is_refused_by_name():
    class Curious(Returning):
        needs = frozenset({"test_labels"})

    with pytest.raises(
        ValueError, match=r"Curious\.needs holds 'test_labels'; a label noise may need features, groups"
    ):
        Curious(0.5).apply(["a", "b"])

    class Featureless(Returning):
        needs = frozenset({"features"})

    with pytest.raises(TypeError, match="derive it from FeatureNoise"):
        Featureless(0.5).apply(["a", "b"], X=np.zeros((2, 1)))


# --- what the check finds --------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Plain(LabelNoise):
    """The next class, in a random order: what the broken ones do but for one thing."""

    def order(self, cases, generator):
        return generator.permutation(len(cases))

    def drawn(self, cases, generator):
        return (cases.codes + 1) % len(cases.classes)

    def rows(self, cases, order):
        return cases.first(order, self.rate)

    def relabel(self, cases, generator):
        order, drawn = self.order(cases, generator), self.drawn(cases, generator)
        noisy = cases.codes.copy()
        rows = self.rows(cases, order)
        noisy[rows] = drawn[rows]
        return noisy


@dataclasses.dataclass(frozen=True)
class Unchecked(Plain):
    loud: bool = False


@dataclasses.dataclass(frozen=True)
class Unsaid(Plain):
    mode: str = "one"

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "mode", self.mode * 2)


class Forgetful(Plain):
    def __reduce__(self):
        return Forgetful, (0.9 * self.rate,)


class WritesIntoTheGroups(Plain):
    def apply(self, y, classes=None, seed=0, *, X=None, groups=None):
        result = super().apply(y, classes, seed, X=X, groups=groups)
        groups[0] = 7
        return result


class Remembers(Plain):
    def order(self, cases, generator):
        type(self).turn = getattr(type(self), "turn", 0) + 1
        return np.roll(super().order(cases, generator), self.turn)


class Global(Plain):
    def order(self, cases, generator):
        np.random.random()  # noqa: NPY002
        return super().order(cases, generator)


class AlwaysOne(Plain):
    def rows(self, cases, order):
        return order[: max(1, len(super().rows(cases, order)))]


class Approximate(Plain):
    def rows(self, cases, order):
        return order[: int(self.rate * len(cases)) + 1 if self.rate else 0]


class DrawsByTheRate(Plain):
    def order(self, cases, generator):
        generator.random(int(100 * self.rate))
        return super().order(cases, generator)


class DrawsLabelsByTheRate(Plain):
    def drawn(self, cases, generator):
        return (cases.codes + 1 + (self.rate > 0.15)) % len(cases.classes)


class BySample(Plain):
    def _cases(self, codes, classes, X, groups):
        return LabelNoise._cases(dataclasses.replace(self, group_consistent=False), codes, classes, X, None)


class NeedsInVain(Plain):
    needs = frozenset({"groups"})


class LooksAtValues(Plain):
    def apply(self, y, classes=None, seed=0, *, X=None, groups=None):
        return super().apply(y, classes, [seed, int(X is None)], X=X, groups=groups)


BROKEN = [
    (Unchecked, "parameters", "loud='abc' must be refused"),
    (Unsaid, "config_round_trip", "the config builds|comes back as"),
    (WritesIntoTheGroups, "inputs_unchanged", "groups were modified"),
    (Remembers, "same_seed", "the same seed gives other labels"),
    (Global, "no_global_randomness", "the global random generator of numpy was used"),
    (Forgetful, "copies", "a copy is another"),
    (AlwaysOne, "among_classes", "at rate 0 labels change"),
    (Approximate, "exact_rate", r"at rate 0\.1 7 of 60 labels are wrong; round\(0\.1 \* 60\) = 6 must be"),
    (DrawsByTheRate, "nested", r"are right at 0\.2: the draws must not depend on the rate"),
    (DrawsLabelsByTheRate, "nested", r"have another wrong class at 0\.2; .* nested=\"flips\""),
    (BySample, "group_consistent", "samples of one group and label get 2 labels"),
    (NeedsInVain, "needs", "needs declares groups, and the labels are the same without"),
    (LooksAtValues, "needs", "X changes the labels: declare needs"),
]


@pytest.fixture
def registered(monkeypatch):
    label_noise.build("pair_flip", rate=0.1)
    monkeypatch.setattr(label_noise, "_entries", dict(label_noise._entries))
    return lambda kind: label_noise.register("broken")(kind)


@pytest.mark.parametrize(("kind", "check", "message"), BROKEN, ids=[kind.__name__ for kind, *_ in BROKEN])
def test_a_broken_noise_is_found(registered, kind, check, message):
    with pytest.raises(AssertionError, match=rf"{kind.__name__} fails the check {check!r}: .*({message})"):
        check_label_noise(registered(kind)(0.2))


def test_every_check_has_a_noise_that_fails_it(registered):
    assert set(CHECKS) == {name for _, name, _ in BROKEN}
    assert check_label_noise(registered(Plain)(0.2)) == tuple(CHECKS)
    with pytest.raises(ValueError, match="rates must rise"):
        check_label_noise("pair_flip", rates=())
