"""Neighbours and clusters of embeddings: slow oracles, closed forms, and patients who must not find themselves."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from kinview.evaluation import clustering_agreement, recall_at_k
from kinview.evaluation.metrics import embeddings


def blobs(n=60, classes=3, distance=4.0, seed=0):
    random = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return random.normal(size=(n, 4)) + distance * np.eye(4)[y], y


def slow_recall(Z, y, k, groups):
    found = []
    for i in range(len(Z)):
        others = [j for j in range(len(Z)) if groups[j] != groups[i]]
        if not any(y[j] == y[i] for j in others):
            continue
        cosine = {j: Z[i] @ Z[j] / (np.linalg.norm(Z[i]) * np.linalg.norm(Z[j])) for j in others}
        nearest = sorted(others, key=lambda j: (-round(cosine[j], 12), y[j] == y[i]))[:k]
        found.append(any(y[j] == y[i] for j in nearest))
    return np.mean(found) if found else np.nan


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 20),
    classes=st.integers(1, 4),
    k=st.integers(1, 6),
    grouped=st.booleans(),
    seed=st.integers(0, 999),
)
def test_recall_is_that_of_neighbours_one_by_one(n, classes, k, grouped, seed):
    random = np.random.default_rng(seed)
    Z = random.integers(1, 4, size=(n, 2)).astype(float)  # many are equally near
    y = random.integers(classes, size=n)
    groups = random.integers(5, size=n) if grouped else np.arange(n)
    found = recall_at_k(Z, y, k=k, groups=groups if grouped else None)
    assert found == pytest.approx(slow_recall(Z, y, k, groups), nan_ok=True)
    order = random.permutation(n)
    assert found == pytest.approx(
        recall_at_k(Z[order], y[order], k=k, groups=groups[order] if grouped else None), nan_ok=True
    )


def test_recall_grows_with_k_and_does_not_depend_on_memory(monkeypatch):
    Z, y = blobs(distance=1.0)
    found = [recall_at_k(Z, y, k=k) for k in (1, 2, 5, 59)]
    assert found == sorted(found) and 1 / 3 < found[0] < 1 and found[-1] == 1
    monkeypatch.setattr(embeddings, "_CELLS", 100)
    assert [recall_at_k(Z, y, k=k) for k in (1, 2, 5, 59)] == found


def test_embeddings_that_are_all_the_same_score_nothing():
    assert recall_at_k(np.ones((10, 3)), np.arange(10) % 2) == 0
    assert recall_at_k(np.zeros((10, 3)), np.arange(10) % 2, k=5) == 0  # 5 of the other class come first


def test_recordings_of_a_patient_do_not_find_each_other():
    random = np.random.default_rng(0)
    of_patients = random.normal(size=(30, 8))
    Z = np.repeat(of_patients, 2, axis=0) + 0.01 * random.normal(size=(60, 8))
    y, groups = np.repeat(np.arange(30) % 2, 2), np.repeat(np.arange(30), 2)
    assert recall_at_k(Z, y) == 1
    assert recall_at_k(Z, y, groups=groups) < 0.75
    assert np.isnan(recall_at_k(Z[:2], y[:2], groups=groups[:2]))


def test_clusters_that_are_the_classes_agree_and_noise_does_not():
    Z, y = blobs(distance=20)
    assert clustering_agreement(Z, y) == pytest.approx({"nmi": 1, "ari": 1})
    assert clustering_agreement(Z, np.array(["c", "a", "b"])[y]) == pytest.approx({"nmi": 1, "ari": 1})
    noise = np.random.default_rng(0).normal(size=(300, 4))
    assert clustering_agreement(noise, np.arange(300) % 3)["ari"] == pytest.approx(0, abs=0.03)


def test_agreement_is_that_of_the_partition():
    Z = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])
    y, parted = [0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1]
    found = clustering_agreement(Z, y, n_clusters=2)
    assert found["nmi"] == pytest.approx(normalized_mutual_info_score(y, parted))
    assert found["ari"] == pytest.approx(adjusted_rand_score(y, parted))


def test_the_seed_decides_where_clusters_start():
    Z, y = blobs(distance=0.5, n=90)
    assert clustering_agreement(Z, y, seed=4) == clustering_agreement(Z, y, seed=4)


@pytest.mark.parametrize(
    ("function", "Z", "y", "options", "message"),
    [
        (recall_at_k, [[1.0], [np.nan]], [0, 1], {}, "embeddings must be finite; 1 of 2"),
        (recall_at_k, [1.0, 2.0], [0, 1], {}, r"shape \(n, D\) with one row a label; got \(2,\) for 2"),
        (recall_at_k, [[1.0], [2.0]], [0, 1], {"k": 0}, "k must be at least 1"),
        (recall_at_k, [[1.0], [2.0]], [0, 1], {"groups": [1]}, "groups has 1 entries for 2 rows"),
        (clustering_agreement, [[1.0]], [0, 1], {}, "one row a label"),
        (clustering_agreement, [[1.0], [2.0]], [0, 1], {"n_clusters": 3}, "n_clusters=3 is more than there are"),
        (clustering_agreement, [[1.0], [2.0]], [0, 1], {"seed": None}, "seed must be an integer"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(function, Z, y, options, message):
    with pytest.raises(ValueError, match=message):
        function(Z, y, **options)
