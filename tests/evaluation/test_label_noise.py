import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from kinview.evaluation import SymmetricNoise
from kinview.evaluation.label_noise import label_noise
from kinview.registry import to_config


def generate_noisy_labels(true_labels, noise_matrix, rng):
    """cleanlab's definition: noise_matrix[k_s, k_y] = P(label = k_s | true = k_y); the count of each pair is exact."""
    count_joint = (noise_matrix * np.bincount(true_labels, minlength=len(noise_matrix))).astype(int)
    labels = true_labels.copy()
    for k_s in range(len(noise_matrix)):
        for k_y in range(len(noise_matrix)):
            if k_s != k_y:
                unflipped = np.flatnonzero((labels == k_y) & (true_labels == k_y))
                labels[rng.choice(unflipped, count_joint[k_s, k_y], replace=False)] = k_s
    return labels


def exclusive_matrix(rate, n_classes):
    return (1 - rate) * np.eye(n_classes) + rate / (n_classes - 1) * (1 - np.eye(n_classes))


def joint_counts(noisy, true, n_classes):
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (noisy, true), 1)
    return counts


def test_exclusive_noise_has_cleanlabs_noise_matrix():
    true = np.repeat([0, 1, 2, 3], [400, 300, 200, 100])
    matrix = exclusive_matrix(0.3, 4)
    reference = joint_counts(generate_noisy_labels(true, matrix, np.random.default_rng(0)), true, 4)
    seeds = 200
    ours = sum(joint_counts(SymmetricNoise(0.3).apply(true, seed=seed).y, true, 4) for seed in range(seeds)) / seeds
    # counts of a pair vary by about sqrt(count) over seeds; cleanlab rounds each down
    assert np.abs(ours - reference).max() < 1 + 5 * np.sqrt(reference.max() / seeds)
    flips = SymmetricNoise(0.3).apply(true, seed=0).flipped.sum()
    assert flips == 300
    assert 0 <= flips - (len(true) - np.trace(reference)) <= 4 * 3


def test_inclusive_noise_flips_fewer():
    true = np.tile(np.arange(5), 200)
    rates = [SymmetricNoise(0.5, inclusive=True).apply(true, seed=seed).realised_rate for seed in range(50)]
    assert np.mean(rates) == pytest.approx(0.5 * 4 / 5, abs=0.01)
    drawn = SymmetricNoise(1.0, inclusive=True).apply(true, seed=0).y
    assert np.bincount(drawn).min() > 150  # all classes alike


@settings(max_examples=60, deadline=None)
@given(
    y=st.lists(st.integers(0, 4), min_size=2, max_size=60).filter(lambda y: len(set(y)) > 1),
    rates=st.lists(st.floats(0, 1), min_size=2, max_size=4),
    seed=st.integers(0, 2**32),
    inclusive=st.booleans(),
)
def test_counts_are_exact_and_labels_nested_over_rates(y, rates, seed, inclusive):
    y = np.array(y)
    before = y.copy()
    lower = None
    for rate in sorted(rates):
        noisy = SymmetricNoise(rate, inclusive).apply(y, seed=seed)
        np.testing.assert_array_equal(noisy.flipped, noisy.y != y)
        assert noisy.realised_rate == noisy.flipped.mean()
        assert set(noisy.y) <= set(y)
        if inclusive:
            assert noisy.flipped.sum() <= round(rate * len(y))
        else:
            assert noisy.flipped.sum() == round(rate * len(y))
        if lower is not None:
            np.testing.assert_array_equal(noisy.y[lower.flipped], lower.y[lower.flipped])
        lower = noisy
    np.testing.assert_array_equal(y, before)


@pytest.mark.parametrize(
    "y, classes",
    [
        (["b", "longer", "a", "b"], ["a", "b", "longer"]),
        (np.array(["b", "a", "a", "b"]), ["a", "b", "much longer"]),
        ([True, False, True, False], [False, True]),
        ([7, 3, 3, 7], [3, 7]),
        (np.array([1.0, -1.0, 1.0, -1.0]), [-1.0, 1.0]),
        (pd.Series(["x", "y", "x", "y"], index=[9, 8, 7, 6]), ["x", "y"]),
        (pd.Series(["x", "y", "x", "y"], dtype="category"), ["x", "y"]),
        (pd.Series([3, 7, 7, 3], dtype="Int64"), [3, 7]),
    ],
)
def test_labels_of_any_type(y, classes):
    noisy = SymmetricNoise(0.5).apply(y, classes, seed=0)
    assert noisy.flipped.sum() == 2
    np.testing.assert_array_equal(noisy.y[~noisy.flipped], np.asarray(y)[~noisy.flipped])
    assert set(noisy.y.tolist()) <= set(classes)


def test_classes_without_a_row_are_drawn_too():
    noisy = SymmetricNoise(1.0).apply(["a"] * 50, classes=["a", "b", "c"], seed=0)
    assert set(noisy.y) == {"b", "c"} and noisy.realised_rate == 1.0


def test_one_seed_is_one_result_and_seeds_differ():
    y = np.arange(100) % 3
    first, again, other = (SymmetricNoise(0.5).apply(y, seed=seed) for seed in (0, 0, (0, 1)))
    np.testing.assert_array_equal(first.y, again.y)
    assert (first.y != other.y).any()


def test_registry_round_trip():
    assert label_noise.build("symmetric", rate=0.2) == SymmetricNoise(0.2)
    part = SymmetricNoise(0.4, inclusive=True)
    assert to_config(part) == {"symmetric": {"rate": 0.4, "inclusive": True}}
    assert label_noise.build(to_config(part)) == part


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="use 0 <= rate <= 1"):
        SymmetricNoise(1.5)
    with pytest.raises(ValueError, match=r"all labels are .*a.*exclusive noise needs a second class"):
        SymmetricNoise(0.5).apply(["a", "a"])
    with pytest.raises(ValueError, match=r"not among the classes \['a', 'b'\]: 'c'"):
        SymmetricNoise(0.5).apply(["a", "b", "c"], ["a", "b"])
    with pytest.raises(ValueError, match="seed must be an integer"):
        SymmetricNoise(0.5).apply(["a", "b"], seed=None)
    assert SymmetricNoise(0.0).apply(["a", "a"]).realised_rate == 0.0
