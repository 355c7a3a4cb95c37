import numpy as np
import pandas as pd
import pytest

from kinview.evaluation import ClassConditionalNoise, Confident, SymmetricNoise, estimate_label_noise


def apart(n: int, n_classes: int, distance: float, seed: int = 0):
    random = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return random.normal(size=(n, 4)) + distance * np.eye(n_classes, 4)[y], y


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.3])
def test_planted_noise_is_found_where_classes_are_apart(rate):
    Z, y = apart(600, 3, 8.0)
    found = estimate_label_noise(Z, SymmetricNoise(rate).apply(y, seed=1).y)
    assert found.rate == pytest.approx(rate, abs=0.02)
    assert found.joint.sum() == pytest.approx(1) and found.classes.tolist() == [0, 1, 2]


def test_a_planted_transition_is_found():
    Z, y = apart(900, 3, 8.0)
    T = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.1, 0.1, 0.8]])
    found = estimate_label_noise(Z, np.array(["a", "b", "c"])[ClassConditionalNoise(matrix=T).apply(y, seed=0).y])
    np.testing.assert_allclose(found.transition, T, atol=0.08)
    assert found.classes.tolist() == ["a", "b", "c"]


def test_classes_that_overlap_look_noisy():
    """What the docstring warns of."""
    Z, y = apart(600, 2, 1.0)
    assert estimate_label_noise(Z, y).rate > 0.1


def test_it_is_the_joint_of_the_probe_confident():
    Z, y = apart(300, 3, 3.0)
    recorded = SymmetricNoise(0.2).apply(y, seed=0).y
    np.testing.assert_array_equal(
        estimate_label_noise(Z, recorded).transition, Confident().fit(Z, recorded).noise_matrix_
    )


def test_given_probabilities_by_hand():
    """Thresholds .7 and .7: the third row reaches that of the other class, the last none."""
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6]])
    y = np.array([0, 0, 0, 1, 1, 1])
    found = estimate_label_noise(p, y, probabilities=True)
    np.testing.assert_allclose(found.joint, [[2 / 6, 1 / 6], [0, 3 / 6]])
    assert found.rate == pytest.approx(1 / 6)


def test_a_group_is_not_parted():
    """Recordings of a patient repeat each other: apart, a wrong label would be confirmed by its copy."""
    random = np.random.default_rng(0)
    y = np.arange(40) % 2
    Z = np.concatenate([2.0 * y[:, None], 6 * random.normal(size=(40, 30))], axis=1)
    wrong = np.where(np.arange(40) < 8, 1 - y, y)
    copies = np.repeat(Z, 6, axis=0) + 1e-3 * random.normal(size=(240, 31))
    groups = np.repeat(np.arange(40), 6)
    shuffled = random.permutation(240)
    copies, recorded, groups = copies[shuffled], np.repeat(wrong, 6)[shuffled], groups[shuffled]
    assert estimate_label_noise(copies, recorded).rate < 0.02
    assert estimate_label_noise(copies, recorded, groups).rate > 0.1


def test_labels_follow_the_names_of_the_rows():
    Z, y = apart(60, 2, 6.0)
    frame = pd.DataFrame(Z, index=[f"p{i}" for i in range(60)])
    named = pd.Series(y, index=frame.index)
    assert estimate_label_noise(frame, named[::-1]).rate == estimate_label_noise(Z, y).rate


@pytest.mark.parametrize(
    "Z, y, options, message",
    [
        (np.zeros((4, 0)), [0, 1, 0, 1], {}, "table of finite numbers"),
        (np.full((4, 1), np.nan), [0, 1, 0, 1], {}, "table of finite numbers"),
        (np.zeros((4, 1)), [0, 1, 0], {}, "Z has 4 rows and y 3 entries"),
        (np.zeros((4, 1)), [0, 1, 0, 1], {"groups": [1, 2]}, "Z has 4 rows and groups 2 entries"),
        (np.zeros((4, 1)), [0, 0, 0, 0], {}, "an estimate of label noise needs more than one class"),
        (np.zeros((2, 1)), [0, 1], {}, "there is nothing to part"),
        (np.zeros((4, 1)), [0, 1, 0, 1], {"groups": [1] * 4}, "there is nothing to part"),
        (np.ones((4, 3)), [0, 1, 0, 1], {"probabilities": True}, "3 columns of probabilities for 2 classes"),
        (np.ones((4, 2)), [0, 1, 0, 1], {"probabilities": True}, "whose rows add up to 1"),
    ],
)
def test_what_allows_no_estimate_is_refused(Z, y, options, message):
    with pytest.raises(ValueError, match=message):
        estimate_label_noise(Z, y, **options)
