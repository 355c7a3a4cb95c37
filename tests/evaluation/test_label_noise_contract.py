"""What every registered label noise keeps to, whatever it does."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from kinview.complete_configs import complete_config
from kinview.evaluation.label_noise import LabelNoise, NoisyLabels, label_noise
from kinview.registry import to_config

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
EXACT = sorted(set(SPECS) - {"inclusive", "vote"})  # whose rate is that of the wrong labels
FLIPS_ALONE_ARE_NESTED = {"vote"}
RATES = (0.0, 0.1, 0.2, 0.35)  # to which every matrix above can be scaled


def built(name: str, rate: float, **parameters: bool) -> LabelNoise:
    spec = SPECS[name]
    kind, given = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
    return label_noise.build({kind: {**given, **parameters}}, rate=rate)


def samples(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, values with something of the labels in them, and groups of unequal size that share a label."""
    random = np.random.default_rng(seed)
    groups = np.sort(random.integers(n // 3, size=n))
    codes = np.concatenate([[0, 1, 2], random.integers(3, size=n)])[groups % (n // 3)]
    codes[:3], groups[:3] = [0, 1, 2], [1000, 1001, 1002]
    return np.array(CLASSES)[codes], random.normal(size=(n, 3)) + codes[:, None], groups


def test_every_registered_noise_is_here():
    kinds = {spec if isinstance(spec, str) else next(iter(spec)) for spec in SPECS.values()}
    assert kinds == set(label_noise)
    assert all(issubclass(label_noise[name].target, LabelNoise) for name in label_noise)


@pytest.mark.parametrize("name", SPECS)
def test_labels_stay_among_the_classes_and_what_is_said_of_them_agrees(name):
    y, X, groups = samples()
    before = y.copy()
    for rate in RATES:
        noisy = built(name, rate).apply(y, classes=CLASSES, seed=1, X=X, groups=groups)
        assert isinstance(noisy, NoisyLabels) and noisy.y.dtype == y.dtype
        np.testing.assert_array_equal(noisy.flipped, noisy.y != y)
        assert noisy.realised_rate == noisy.flipped.mean()
        expected = [[int(((y == i) & (noisy.y == j)).sum()) for j in CLASSES] for i in CLASSES]
        assert noisy.counts.tolist() == expected and noisy.classes.tolist() == list(CLASSES)
        np.testing.assert_allclose(noisy.transition.sum(axis=1), 1)
    np.testing.assert_array_equal(y, before)
    np.testing.assert_array_equal(built(name, 0.0).apply(y, seed=1, X=X, groups=groups).y, y)


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=15, deadline=None)
@given(n=st.integers(20, 60), seed=st.integers(0, 2**32), rate=st.floats(0, 0.35))
def test_rates_are_exact(name, n, seed, rate):
    y, X, _ = samples(n, seed % 100)
    noise = built(name, rate)
    try:
        noisy = noise.apply(y, classes=CLASSES, seed=seed, X=X)
    except ValueError as error:  # the classes of these labels are rare where the matrix is wrong
        assert name in ("class_conditional", "given") and "can be scaled to" in str(error)
        return
    assert noisy.flipped.sum() == round(rate * n)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", SPECS)
def test_rates_are_nested(name, grouped):
    y, X, groups = samples()
    for seed in range(8):
        lower = None
        for rate in RATES:
            noisy = built(name, rate, group_consistent=grouped).apply(y, seed=seed, X=X, groups=groups)
            if lower is not None:
                assert not (lower.flipped & ~noisy.flipped).any()
                if name not in FLIPS_ALONE_ARE_NESTED:
                    np.testing.assert_array_equal(noisy.y[lower.flipped], lower.y[lower.flipped])
            lower = noisy


@pytest.mark.parametrize("name", SPECS)
def test_samples_of_a_group_that_share_a_label_share_its_fate(name):
    y, X, groups = samples()
    largest = np.bincount(groups).max()
    for seed in range(5):
        noisy = built(name, 0.3, group_consistent=True).apply(y, seed=seed, X=X, groups=groups)
        assert (pd.DataFrame({"group": groups, "y": y, "noisy": noisy.y}).groupby(["group", "y"]).nunique() == 1).all(
            axis=None
        )
        if name in EXACT:
            assert abs(int(noisy.flipped.sum()) - round(0.3 * len(y))) <= largest / 2
    mixed = np.where(np.arange(len(y)) % 2 == 0, "a", "b")  # a group of both: each label has a fate of its own
    noise = built(name, 0.2, group_consistent=True)
    if name not in ("class_conditional", "given"):
        noisy = noise.apply(mixed, classes=CLASSES, seed=0, X=X, groups=groups)
        assert pd.Series(noisy.y).groupby([groups, mixed]).nunique().max() == 1


@pytest.mark.parametrize("name", SPECS)
def test_groups_of_one_are_as_no_groups(name):
    y, X, _ = samples()
    alone = np.arange(len(y))
    plain = built(name, 0.3).apply(y, seed=3, X=X)
    np.testing.assert_array_equal(
        built(name, 0.3, group_consistent=True).apply(y, seed=3, X=X, groups=alone).y, plain.y
    )


@pytest.mark.parametrize("name", SPECS)
def test_one_seed_is_one_result_and_seeds_differ(name):
    y, X, _ = samples()
    first, again, other = (built(name, 0.35).apply(y, seed=seed, X=X).y for seed in (0, 0, (0, 1)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("name", SPECS)
def test_it_asks_for_what_it_declares_and_sees_nothing_else(name):
    y, X, groups = samples()
    noise = built(name, 0.3)
    given = {"features": {"X": X}, "groups": {"groups": groups}}
    for need in ("features", "groups"):
        rest = {key: value for other, part in given.items() if other != need for key, value in part.items()}
        if need in noise.asks_for:
            with pytest.raises(ValueError, match=rf"{type(noise).__name__} needs {need}: give apply\(y"):
                noise.apply(y, seed=0, **rest)
        else:
            np.testing.assert_array_equal(
                noise.apply(y, seed=0, **rest).y, noise.apply(y, seed=0, X=X, groups=groups).y
            )
    with pytest.raises(ValueError, match="needs groups: give apply"):
        built(name, 0.3, group_consistent=True).apply(y, seed=0, X=X)


@pytest.mark.parametrize("name", SPECS)
def test_configs_pickles_and_what_is_complete_build_the_same_part(name):
    part = built(name, 0.2, group_consistent=True)
    assert label_noise.build(to_config(part)) == part == pickle.loads(pickle.dumps(part))
    assert label_noise.build(complete_config(label_noise, part)) == part
    assert dataclasses.replace(part, rate=0.3).rate == 0.3


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"inclusive", "map", "class_conditional", "given"}))
def test_a_single_class_is_refused_where_it_has_to_be_left(name):
    X = np.arange(8.0)[:, None]
    with pytest.raises(ValueError, match=r"all labels are .*needs a second class"):
        built(name, 0.5).apply(["a"] * 8, X=X)
    assert built(name, 0.0).apply(["a"] * 8, X=X).realised_rate == 0


@pytest.mark.parametrize("name", SPECS)
def test_wrong_parameters_are_refused(name):
    with pytest.raises(ValueError, match="use 0 <= rate <= 1"):
        built(name, 1.5)
    with pytest.raises(ValueError, match="group_consistent must be True or False"):
        built(name, 0.1, group_consistent="yes")
    y, X, groups = samples()
    with pytest.raises(ValueError, match="seed must be an integer"):
        built(name, 0.1).apply(y, seed=None, X=X)
    with pytest.raises(ValueError, match="groups has 3 entries for 60 labels"):
        built(name, 0.1, group_consistent=True).apply(y, X=X, groups=groups[:3])


# --- parts of one's own ----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Broken(LabelNoise):
    """Returns what it was made with."""

    returned: object = None

    def relabel(self, cases, generator):
        return self.returned


@pytest.mark.parametrize(
    "returned, error, message",
    [
        (None, TypeError, r"Broken.relabel must return an integer array of shape \(2,\)"),
        (np.array([0.0, 1.0]), TypeError, "float64"),
        (np.array([0]), TypeError, r"\(1,\)"),
        (np.array([0, 2]), ValueError, "places of the 2 classes"),
        (np.array([-1, 0]), ValueError, "places of the 2 classes"),
    ],
)
def test_what_is_no_label_is_refused(returned, error, message):
    with pytest.raises(error, match=message):
        Broken(0.5, returned).apply(["a", "b"])


def test_a_need_that_there_is_not_is_refused_by_name():
    class Curious(Broken):
        needs = frozenset({"test_labels"})

    with pytest.raises(
        ValueError, match=r"Curious\.needs holds 'test_labels'; a label noise may need features, groups"
    ):
        Curious(0.5).apply(["a", "b"])

    class Featureless(Broken):
        needs = frozenset({"features"})

    with pytest.raises(TypeError, match="derive it from FeatureNoise"):
        Featureless(0.5).apply(["a", "b"], X=np.zeros((2, 1)))
