import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import metrics as sk

from kinview.evaluation import evaluate


def draw(n_classes, n, seed, ties):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n)])
    scores = rng.normal(size=(len(y), n_classes))
    scores[np.arange(len(y)), y] += 0.7
    return y, np.round(scores, 1) if ties else scores


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 60), seed=st.integers(0, 1000), ties=st.booleans())
def test_equal_to_scikit_learn_where_every_class_occurs(n_classes, n, seed, ties):
    y, scores = draw(n_classes, n, seed, ties)
    names = np.array([f"class {k}" for k in range(n_classes)])
    result = evaluate(names[y], scores, names)
    predicted = scores.argmax(axis=1)
    one_hot = np.eye(n_classes)[y]
    positive = slice(1, 2) if n_classes == 2 else slice(None)
    assert result["notes"] == []
    assert result["accuracy"] == pytest.approx(sk.accuracy_score(y, predicted))
    assert result["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, predicted))
    assert result["macro_f1"] == pytest.approx(sk.f1_score(y, predicted, average="macro"))
    assert result["auroc"] == pytest.approx(sk.roc_auc_score(one_hot[:, positive], scores[:, positive]))
    assert result["auprc"] == pytest.approx(sk.average_precision_score(one_hot[:, positive], scores[:, positive]))


def test_equal_to_scikit_learns_one_versus_rest_of_probabilities():
    y, scores = draw(4, 80, 0, ties=False)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    result = evaluate(y, probabilities, range(4))
    assert result["auroc"] == pytest.approx(sk.roc_auc_score(y, probabilities, multi_class="ovr"))


def test_closed_forms():
    perfect = evaluate(["a", "b"], [[1, 0], [0, 1]], ["a", "b"])
    assert [perfect[name] for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc")] == [1.0] * 5
    constant = evaluate([0, 0, 0, 1], np.zeros((4, 2)), [0, 1])
    assert constant["auroc"] == 0.5 and constant["auprc"] == 0.25  # chance: one half, and the prevalence
    assert constant["accuracy"] == 0.75 and constant["balanced_accuracy"] == 0.5
    assert constant["macro_f1"] == pytest.approx((2 * 0.75 / 1.75) / 2)


def test_positive_class_is_the_second_one():
    y, scores = np.array([0, 0, 0, 1]), np.array([[0.1, 0.9], [0.8, 0.2], [0.9, 0.1], [0.4, 0.6]])
    assert evaluate(y, scores, [0, 1])["auprc"] == pytest.approx(0.5)
    assert evaluate(y, scores[:, ::-1], [1, 0])["auprc"] == pytest.approx(
        sk.average_precision_score(y == 0, scores[:, 0])
    )


def test_a_class_absent_from_the_test_set_is_left_out_and_named():
    y, scores = draw(4, 50, 1, ties=False)
    kept = y != 2
    result = evaluate(y[kept], scores[kept], range(4))
    assert result["notes"] == ["class 2 is not in the test set"]
    rest = [0, 1, 3]
    assert result["auroc"] == pytest.approx(np.mean([sk.roc_auc_score(y[kept] == k, scores[kept, k]) for k in rest]))
    assert result["auprc"] == pytest.approx(
        np.mean([sk.average_precision_score(y[kept] == k, scores[kept, k]) for k in rest])
    )
    predicted = scores[kept].argmax(axis=1)
    assert (predicted == 2).any()
    f1 = sk.f1_score(y[kept], predicted, labels=rest, average=None)
    recall = sk.recall_score(y[kept], predicted, labels=rest, average=None)
    assert result["macro_f1"] == pytest.approx(f1.mean())
    assert result["balanced_accuracy"] == pytest.approx(recall.mean())


def test_two_of_three_classes_in_test_average_over_both():
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.3, 0.1, 0.6]])
    result = evaluate([0, 1, 0], scores, [0, 1, 2])
    assert result["auroc"] == 1.0 and result["accuracy"] == pytest.approx(2 / 3)


def test_a_test_set_of_one_class_has_no_ranking():
    result = evaluate(["a", "a"], [[0.6, 0.4], [0.3, 0.7]], ["a", "b"])
    assert np.isnan(result["auroc"]) and np.isnan(result["auprc"])
    assert result["accuracy"] == result["balanced_accuracy"] == 0.5
    assert result["notes"] == [
        "class b is not in the test set",
        "AUROC and AUPRC are not defined: the test set holds only class a",
    ]


def test_a_class_unknown_to_the_classifier_counts_as_wrong_and_is_named():
    result = evaluate(["a", "b", "c", "c"], [[2, 1], [1, 2], [2, 1], [1, 2]], ["a", "b"])
    assert result["accuracy"] == 0.5
    assert result["balanced_accuracy"] == pytest.approx(2 / 3)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert result["auroc"] == pytest.approx((2.5 / 3 + 2.5 / 3) / 2)
    assert result["notes"] == ["class c was not in the training labels: wrong by definition, no score"]
    one = evaluate(["a", "c"], [[2, 1], [2, 1]], ["a", "b"])
    assert one["accuracy"] == 0.5 and one["notes"][0] == "class b is not in the test set"


def test_labels_without_a_class_in_common_are_an_error_that_shows_both():
    with pytest.raises(ValueError, match=r"the classes and y_true have no class in common: 'a', 'b' against 'c', 'd'"):
        evaluate(["c", "d"], [[2, 1], [1, 2]], ["a", "b"])
    with pytest.raises(ValueError, match=r"no class in common: 0, 1 against '0', '1'; give both the same labels"):
        evaluate(["0", "1"], [[2, 1], [1, 2]], [0, 1])


@pytest.mark.parametrize(
    ("y_true", "classes"),
    [
        ([False, True, True], [0, 1]),
        (np.array([0, 1, 1]), np.array([False, True])),
        (np.array([0, 1, 1], dtype=">i8"), [0, 1]),
        ([0, 1, 1], np.array([0, 1], dtype=">i2")),
        ([0.0, 1.0, 1.0], np.array([0, 1], dtype="u1")),
        (np.array([0, 1, 1], dtype=object), [False, True]),
        (pd.array([0, 1, 1], dtype="Int64"), [0, 1]),
        ([b"a", b"b", b"b"], ["a", "b"]),
        (["a", "b", "b"], np.array([b"a", b"b"])),
        (np.array(["a", "b", "b"], dtype=object), np.array(["a", "b"])),
        (pd.Series(["a", "b", "b"], dtype="string"), np.array(["a", "b"])),
        (pd.Categorical(["a", "b", "b"]), np.array(["a", "b"], dtype=object)),
    ],
)
def test_labels_are_compared_as_values_whatever_holds_them(y_true, classes):
    scores = [[2, 1], [1, 2], [2, 1]]
    for y_pred in (None, np.asarray(classes)[[0, 1, 0]], np.asarray(y_true)[[0, 1, 0]]):
        assert evaluate(y_true, scores, classes, y_pred)["accuracy"] == pytest.approx(2 / 3)


def test_an_index_that_names_the_samples_aligns_labels_scores_and_predictions():
    y_true = pd.Series(["a", "b", "b"], index=["p1", "p2", "p3"])
    scores = pd.DataFrame([[2, 1], [1, 2], [0, 3]], index=["p1", "p2", "p3"], columns=["a", "b"])
    y_pred = pd.Series(["b", "a", "b"], index=["p2", "p1", "p3"])
    for truth, predicted in ((y_true, y_pred), (y_true[::-1], y_pred), (y_true, None), (y_true[::-1], None)):
        assert evaluate(truth, scores, ["a", "b"], predicted)["accuracy"] == 1.0
    assert evaluate(y_true, scores.to_numpy(), ["a", "b"], y_pred)["accuracy"] == 1.0
    assert evaluate(y_true, scores[["b", "a"]], ["a", "b"])["accuracy"] == 1.0
    with pytest.raises(
        ValueError, match=r"the index of y_true holds other samples than the scores: 'p4' is not in the scores"
    ):
        evaluate(y_true.set_axis(["p1", "p2", "p4"]), scores, ["a", "b"])


def test_predictions_other_than_the_largest_score():
    scores = [[0.9, 0.1], [0.2, 0.8]]
    result = evaluate([True, False], scores, [False, True], y_pred=[True, False])
    assert result["accuracy"] == 1.0 and result["auroc"] == 0.0
    assert evaluate([True, False], scores, [False, True])["accuracy"] == 0.0


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3\); got \(2, 2\)"):
        evaluate([0, 1], np.zeros((2, 2)), [0, 1, 2])
    with pytest.raises(ValueError, match="1 of 2 rows hold NaN or infinity"):
        evaluate([0, 1], [[0.1, np.nan], [0.2, 0.8]], [0, 1])
    with pytest.raises(ValueError, match="y_pred holds c"):
        evaluate(["a", "b"], np.eye(2), ["a", "b"], y_pred=["a", "c"])
    with pytest.raises(ValueError, match="expected 2, got 1"):
        evaluate(["a", "b"], np.eye(2), ["a", "b"], y_pred=["a"])
    with pytest.raises(ValueError, match="y_true is missing for 1 of 2 rows"):
        evaluate(["a", None], np.eye(2), ["a", "b"])
    with pytest.raises(ValueError, match="given twice"):
        evaluate(["a", "b"], np.eye(2), ["a", "a"])
