"""Each label noise against its definition."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import softmax

from kinview.evaluation import (
    AnnotatorNoise,
    AsymmetricNoise,
    ClassConditionalNoise,
    InstanceDependentNoise,
    PairFlipNoise,
    SymmetricNoise,
)
from kinview.evaluation.label_noise._quotas import in_proportion
from test_label_noise import generate_noisy_labels, joint_counts

UNEVEN = np.repeat([0, 1, 2, 3], [400, 300, 200, 100])
T = np.array([[0.7, 0.2, 0.1, 0.0], [0.0, 0.8, 0.1, 0.1], [0.3, 0.3, 0.4, 0.0], [0.0, 0.0, 0.0, 1.0]])


def mean_transition(noise, y, seeds, **given):
    return np.mean([noise.apply(y, seed=seed, **given).transition for seed in range(seeds)], axis=0)


# --- order in proportion ---------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    strata=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    rates=st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=3, max_size=3), min_size=4, max_size=4),
    seed=st.integers(0, 1000),
)
def test_every_beginning_of_the_order_holds_each_pair_in_proportion(strata, rates, seed):
    strata, rates = np.array(strata), np.array(rates)
    order, drawn = in_proportion(strata, rates, np.random.default_rng(seed))
    sizes = np.bincount(strata, minlength=4)
    assert len(set(order.tolist())) == len(order) == sizes[rates.sum(axis=1) > 0].sum()
    assert (rates[strata[order], drawn] > 0).all()
    wanted = sizes[:, None] * rates  # at the scale 1; a beginning is one at a smaller scale
    for taken in range(1, len(order) + 1):
        found = np.zeros_like(wanted)
        np.add.at(found, (strata[order[:taken]], drawn[:taken]), 1)
        if (found.sum(axis=1) >= sizes)[sizes * rates.sum(axis=1) > 0].any():
            break  # a stratum is used up: the others go on
        there = wanted > 0
        scale = (found[there] + 0.5) / wanted[there]
        # the next one of no pair would have stood before the last one of any
        last = (found[there] - 0.5) / wanted[there]
        assert last.max() <= scale.min() + 1e-9


# --- pairs and maps --------------------------------------------------------------------------------------------------


def test_pair_flipping_takes_each_class_for_the_next_in_proportion():
    noisy = PairFlipNoise(0.35).apply(UNEVEN, seed=0)
    assert noisy.counts.tolist() == [[260, 140, 0, 0], [0, 195, 105, 0], [0, 0, 130, 70], [35, 0, 0, 65]]
    rows = np.mean([PairFlipNoise(0.35).apply(UNEVEN, seed=seed).flipped for seed in range(200)], axis=0)
    assert abs(rows - 0.35).max() < 5 * np.sqrt(0.35 * 0.65 / 200)  # which of them is drawn uniformly


def test_a_map_of_some_classes_leaves_the_others_alone():
    y = np.array(["car", "cat", "dog", "truck"])[UNEVEN]
    noise = AsymmetricNoise(0.3, mapping={"truck": "car", "cat": "dog"})
    counts = noise.apply(y, seed=0).counts
    # 300 of the 400 mapped ones, which is a rate of 0.75 within them, as the literature counts
    assert counts.tolist() == [[400, 0, 0, 0], [0, 75, 225, 0], [0, 0, 200, 0], [75, 0, 0, 25]]
    with pytest.raises(ValueError, match=r"rate=0\.5 asks for 500 wrong labels, and only 400 of 1000 samples"):
        AsymmetricNoise(0.5, mapping={"truck": "car", "cat": "dog"}).apply(y)


@pytest.mark.parametrize(
    "y, mapping",
    [([1, 0, 1, 0], {1: 0}), ([1.0, 2.0] * 2, {"1": 2}), ([True, False] * 2, {True: False}), (["1", "0"] * 2, {1: 0})],
)
def test_a_map_names_classes_by_their_text(y, mapping):
    noisy = AsymmetricNoise(0.5, mapping=mapping).apply(y)
    assert noisy.flipped.tolist() == [label == y[0] for label in y]


def test_without_a_map_a_class_is_taken_for_the_nearest():
    centres = {"a": (0.0, 0.0), "b": (1.0, 0.0), "c": (1.5, 0.0), "d": (9.0, 9.0)}
    y = np.array(list("abcd") * 20)
    X = np.array([centres[one] for one in y]) + 0.01 * np.random.default_rng(0).normal(size=(80, 2))
    counts = AsymmetricNoise(0.5).apply(y, seed=0, X=X).counts
    assert counts.tolist() == [[10, 10, 0, 0], [0, 10, 10, 0], [0, 10, 10, 0], [0, 0, 10, 10]]
    series = np.repeat(X[:, :, None], 5, axis=2)
    series[:, :, 2] = np.nan
    np.testing.assert_array_equal(AsymmetricNoise(0.5).apply(y, seed=0, X=series).counts, counts)


@pytest.mark.parametrize(
    "mapping, message",
    [
        ({}, "mapping must map classes to classes"),
        ([("a", "b")], "mapping must map classes to classes"),
        ({"a": "a"}, "takes the class 'a' for itself"),
        ({"a": "x"}, "mapping names 'x'; the classes are a, b"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(mapping, message):
    with pytest.raises(ValueError, match=message):
        AsymmetricNoise(0.2, mapping=mapping).apply(["a", "b"])


# --- a matrix --------------------------------------------------------------------------------------------------------


def test_a_matrix_as_it_stands_is_realised():
    noise = ClassConditionalNoise(matrix=T.tolist())
    noisy = noise.apply(UNEVEN, seed=0)
    np.testing.assert_allclose(noisy.counts, T * np.bincount(UNEVEN)[:, None], atol=1e-9)
    np.testing.assert_allclose(noisy.transition, T, atol=1e-12)
    rows = np.mean([noise.apply(UNEVEN, seed=seed).flipped for seed in range(200)], axis=0)
    assert abs(rows - (1 - np.diag(T))[UNEVEN]).max() < 5 * np.sqrt(0.25 / 200)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(20, 200), share=st.floats(0.05, 1.0))
def test_counts_of_pairs_are_those_of_the_scaled_matrix_up_to_rounding(seed, n, share):
    random = np.random.default_rng(seed)
    y = np.concatenate([[0, 1, 2], random.integers(3, size=n - 3)])
    matrix = random.dirichlet(np.ones(3), size=3)
    own = ClassConditionalNoise(matrix=matrix).apply(y, seed=seed).realised_rate
    frequent = np.bincount(y) / n
    exact = float(frequent @ (1 - np.diag(matrix)))
    assert own == round(exact * n) / n
    noisy = ClassConditionalNoise(share * exact, matrix=matrix).apply(y, seed=seed)
    wanted = np.eye(3) + share * (matrix - np.eye(3))
    off = ~np.eye(3, dtype=bool)
    assert np.abs(noisy.counts - wanted * np.bincount(y)[:, None])[off].max() < 2
    assert noisy.flipped.sum() == round(share * exact * n)


def test_cleanlabs_matrix_is_the_transpose_and_makes_the_same_counts():
    cleanlabs = T.T
    reference = joint_counts(generate_noisy_labels(UNEVEN, cleanlabs, np.random.default_rng(0)), UNEVEN, 4)
    ours = ClassConditionalNoise(matrix=cleanlabs.T).apply(UNEVEN, seed=0).counts.T
    off = ~np.eye(4, dtype=bool)  # it rounds down, what floating point made of a whole number too
    assert np.abs(ours - reference)[off].max() <= 1
    with pytest.raises(ValueError, match="its columns do: give the transpose"):
        ClassConditionalNoise(matrix=cleanlabs)


@pytest.mark.parametrize(
    "matrix, message",
    [
        ([[0.5, 0.5], [0.3, 0.6]], "row 1 adds up to 0.9; mend this row"),
        ([[1.5, -0.5], [0.0, 1.0]], "must hold probabilities"),
        ([[1.0, 0.0]], "one row and one column a class"),
        ([[float("nan"), 1.0], [0.0, 1.0]], "must hold probabilities"),
        ("identity", "one row and one column a class"),
        (None, "one row and one column a class"),
        ([[0.9, 0.1, 0.0]] * 3, "matrix has 3 rows for 2 classes"),
    ],
)
def test_a_matrix_that_is_none_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        ClassConditionalNoise(matrix=matrix).apply(["a", "b"])


def test_a_rate_beyond_the_matrix_is_refused_with_how_far_it_goes():
    noise = ClassConditionalNoise(0.6, matrix=[[0.9, 0.1], [0.4, 0.6]])
    with pytest.raises(ValueError, match=r"makes 25 % of these labels wrong, and at 62.5 % .* use a rate up to 0.625"):
        ClassConditionalNoise(0.7, matrix=noise.matrix).apply([0, 1] * 20)
    counts = noise.apply([0, 1] * 100, seed=0).counts  # 0.6 / 0.25 times as much of each
    assert counts.tolist() == [[76, 24], [96, 4]]


# --- samples ---------------------------------------------------------------------------------------------------------


def xias_labels(features, y, n_classes, rate, random):
    """A transcription of algorithm 2 of Xia et al. (2020), row by row."""
    weights = random.normal(size=(n_classes, features.shape[1], n_classes))
    noisy = []
    for x, label in zip(features, y, strict=True):
        q = -1.0
        while not 0 <= q <= 1:
            q = random.normal(rate, 0.1)
        scores = x @ weights[label]
        scores[label] = -np.inf
        p = q * softmax(scores)
        p[label] = 1 - q
        noisy.append(random.choice(n_classes, p=p))
    return np.array(noisy)


def test_where_labels_go_has_the_distribution_of_the_published_generator():
    random = np.random.default_rng(0)
    y, X = np.arange(30) % 3, random.normal(size=(30, 2))
    noise = InstanceDependentNoise(0.4)
    features = noise.features_of(X)
    np.testing.assert_allclose([features.mean(axis=0), features.std(axis=0)], [[0, 0], [1, 1]], atol=1e-6)
    seeds = 1200
    theirs = [xias_labels(features, y, 3, 0.4, random) for _ in range(seeds)]
    ours = [noise.apply(y, seed=seed, X=X).y for seed in range(seeds)]

    def statistics(draws):
        draws = np.array(draws)
        onward = (draws == (y + 1) % 3).astype(float)  # one way to be wrong; of a class and a seed, rows agree in it
        wrong = (draws != y).astype(float)
        pairs = [onward[:, i] * onward[:, j] for i, j in ((0, 3), (3, 6), (1, 4), (0, 1), (2, 5))]
        return np.array([onward.mean(axis=0).mean(), wrong.mean(), *[pair.mean() for pair in pairs]])

    error = 5 * np.sqrt(0.25 / seeds)
    assert np.abs(statistics(ours) - statistics(theirs)).max() < error
    assert all((draw != y).sum() == 12 for draw in ours)
    flips = np.mean([draw != y for draw in ours], axis=0)
    assert np.abs(flips - 0.4).max() < error


def test_where_labels_go_depends_on_the_sample_and_symmetric_noise_does_not():
    """Of neighbours in the same class, wrong labels agree more often than chance; far ones have no reason to."""
    angle = np.linspace(0, 2 * np.pi, 900, endpoint=False)
    X, y = np.stack([np.cos(angle), np.sin(angle)], axis=1), np.zeros(900, dtype=int)

    def agreement(noise, **given):
        found = noise.apply(y, classes=[0, 1, 2], seed=0, **given).y
        return float((found == np.roll(found, 1)).mean())

    assert agreement(InstanceDependentNoise(1.0), X=3 * X) > 0.6
    assert abs(agreement(SymmetricNoise(1.0)) - 0.5) < 0.1


def test_near_the_boundary_labels_go_first_and_to_the_other_side():
    random = np.random.default_rng(0)
    y = np.arange(300) % 3
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [9.0, 0.0]])
    X = centres[y] + random.normal(size=(300, 2))
    noise = InstanceDependentNoise(0.1, form="boundary")
    drawn = [noise.apply(y, seed=seed, X=X) for seed in range(20)]
    assert all(one.flipped.sum() == 30 for one in drawn)
    often = np.mean([one.flipped for one in drawn], axis=0)
    # both boundaries, at 1.5 and 6: the first has many samples near it
    distance = np.minimum(np.abs(X[:, 0] - 1.5), np.abs(X[:, 0] - 6))
    assert often[distance < 0.5].mean() > 4 * often[distance > 1.5].mean()
    counts = np.sum([one.counts for one in drawn], axis=0)
    assert counts[0, 2] == 0 and counts[2, 0] == 0  # no boundary between these
    part = InstanceDependentNoise(0.1)
    flips = np.mean([part.apply(y, seed=seed, X=X).flipped for seed in range(20)], axis=0)
    assert abs(flips[distance < 0.5].mean() - 0.1) < 0.05  # which is drawn whatever the sample is


def test_the_published_form_is_symmetric_with_two_classes():
    y, X = np.arange(200) % 2, np.random.default_rng(0).normal(size=(200, 3))
    counts = np.sum([InstanceDependentNoise(0.3).apply(y, seed=seed, X=X).counts for seed in range(50)], axis=0)
    assert np.abs(counts / counts.sum(axis=1, keepdims=True) - [[0.7, 0.3], [0.3, 0.7]]).max() < 0.02


def test_samples_that_cannot_say_where_the_boundary_is_are_refused():
    noise = InstanceDependentNoise(0.5, form="boundary")
    with pytest.raises(ValueError, match="got 2 of 2: keep more labels"):
        noise.apply(["a", "b"], X=np.arange(2.0)[:, None])
    with pytest.raises(ValueError, match="got 4 of 1: keep more labels"):
        noise.apply(["a"] * 4, ["a", "b"], X=np.arange(4.0)[:, None])
    with pytest.raises(ValueError, match="form='near' is unknown"):
        InstanceDependentNoise(0.5, form="near")
    with pytest.raises(ValueError, match="X holds 3 samples for 2 labels"):
        InstanceDependentNoise(0.5).apply(["a", "b"], X=np.zeros((3, 1)))


def test_labels_and_groups_follow_the_names_of_the_samples():
    X = pd.DataFrame({"age": np.arange(20.0)}, index=[f"p{i}" for i in range(20)])
    y = pd.Series(np.arange(20) % 3, index=X.index)
    groups = pd.Series(np.arange(20) // 3 * 3 + y.to_numpy(), index=X.index)
    noise = InstanceDependentNoise(0.4, group_consistent=True)
    plain = noise.apply(y.to_numpy(), seed=0, X=X, groups=groups.to_numpy())
    np.testing.assert_array_equal(noise.apply(y[::-1], seed=0, X=X, groups=groups.sample(frac=1)).y, plain.y)


# --- annotators ------------------------------------------------------------------------------------------------------


def test_one_given_annotator_is_a_transition_matrix():
    noise = AnnotatorNoise(annotators=[T.tolist()])
    np.testing.assert_allclose(noise.apply(UNEVEN, seed=0).transition, T, atol=1e-12)
    assert noise.apply(UNEVEN, seed=0).realised_rate == pytest.approx(0.3)
    half = AnnotatorNoise(0.15, annotators=[T.tolist()]).apply(UNEVEN, seed=0)
    np.testing.assert_allclose(half.transition, (np.eye(4) + T) / 2, atol=0.011)
    with pytest.raises(ValueError, match="annotators can be scaled to"):
        AnnotatorNoise(0.6, annotators=[T.tolist()]).apply(UNEVEN)


def test_several_given_annotators_share_the_samples():
    good, bad = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.2, 0.8], [0.4, 0.6]])
    y = np.arange(1000) % 2
    mean = mean_transition(AnnotatorNoise(annotators=[good, bad]), y, 30)
    np.testing.assert_allclose(mean, (good + bad) / 2, atol=0.02)


def test_a_vote_of_given_annotators_has_the_rate_of_the_binomial():
    one = np.array([[0.7, 0.3], [0.3, 0.7]])
    y = np.arange(2000) % 2
    rates = [AnnotatorNoise(annotators=[one] * 3, votes=3).apply(y, seed=seed).realised_rate for seed in range(10)]
    assert np.mean(rates) == pytest.approx(3 * 0.3**2 * 0.7 + 0.3**3, abs=0.01)
    ties = [AnnotatorNoise(annotators=[one] * 2, votes=2).apply(y, seed=seed).realised_rate for seed in range(10)]
    assert np.mean(ties) == pytest.approx(0.3**2 + 0.3 * 0.7, abs=0.01)  # a coin decides between the two


def test_drawn_annotators_differ_in_skill_and_in_what_they_confuse():
    y = np.repeat([0, 1, 2], 1000)
    alone = [AnnotatorNoise(0.3, annotators=1).apply(y, seed=seed).transition for seed in range(60)]
    wrong = 1 - np.diagonal(alone, axis1=1, axis2=2)  # (seeds, classes)
    np.testing.assert_allclose(wrong.mean(axis=1), 0.3)
    assert (wrong.max(axis=1) <= 3.01 * wrong.min(axis=1)).all() and wrong.std(axis=0).min() > 0.05
    way = np.array(alone)[:, 0, 1] / wrong[:, 0]  # of what is wrong of the first class, the share of the second one
    assert way.std() == pytest.approx(1 / np.sqrt(12), abs=0.06) and way.mean() == pytest.approx(0.5, abs=0.15)
    several = [AnnotatorNoise(0.3, annotators=8).apply(y, seed=seed).transition for seed in range(60)]
    assert np.std(several, axis=0).max() < 0.6 * np.std(alone, axis=0).max()  # of many, the ways are averaged


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"annotators": 0}, "annotators must be at least 1"),
        ({"annotators": []}, "at least one matrix, all of one size"),
        ({"annotators": [T.tolist(), [[1.0, 0.0], [0.0, 1.0]]]}, "at least one matrix, all of one size"),
        ({"annotators": [[[0.5, 0.6], [0.0, 1.0]]]}, r"the rows of annotators\[0\] must add up to 1"),
        ({"annotators": 3, "votes": 4}, "votes=4 asks more annotators than there are; use at most 3"),
        ({"votes": 0}, "votes must be at least 1"),
        ({"rate": None}, "rate must be a number"),
        ({"annotators": [T.tolist()]}, "have 4 rows for 2 classes"),
    ],
)
def test_annotators_that_make_no_sense_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        AnnotatorNoise(**{"rate": 0.2, **parameters}).apply([0, 1] * 10)
