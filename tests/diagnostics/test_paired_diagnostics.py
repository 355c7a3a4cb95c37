"""Retrieval between two sides, and the gap between them, against what is worked out one by one."""

import numpy as np
import pytest

from kinview.diagnostics import hits, modality_gap, positive_rank, retrieval, shift_by_subgroup, shifted


def unit(Z):
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


def test_ranks_and_recalls_are_those_counted_one_by_one():
    draw = np.random.default_rng(0)
    A = draw.normal(size=(25, 4))
    B = A + draw.normal(0, 1.0, size=A.shape)
    found = retrieval(A, B, k=[1, 3])
    for name, (one, other) in {"first to second": (A, B), "second to first": (B, A)}.items():
        cosines = unit(one) @ unit(other).T
        ranks = np.array([1 + sum(cosines[i, j] > cosines[i, i] for j in range(25)) for i in range(25)])
        row = found.loc[name]
        assert row["n"] == 25 and row["recall@1"] == pytest.approx((ranks == 1).mean())
        assert row["recall@3"] == pytest.approx((ranks <= 3).mean())
        assert row["mean_rank"] == pytest.approx(ranks.mean()) and row["median_rank"] == np.median(ranks)
        assert row["mean_reciprocal_rank"] == pytest.approx((1 / ranks).mean())
        assert row["chance@3"] == pytest.approx(3 / 25) and row["chance_rank"] == 13


def test_chance_is_what_random_projections_have():
    draw = np.random.default_rng(1)
    names = np.repeat(np.arange(10), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    runs = [retrieval(draw.normal(size=(30, 6)), draw.normal(size=(30, 6)), names=names, k=[1, 5]) for _ in range(300)]
    mean = sum(run.loc["first to second"] for run in runs) / len(runs)
    for chance, measured in (("chance@1", "recall@1"), ("chance@5", "recall@5"), ("chance_rank", "mean_rank")):
        assert mean[measured] == pytest.approx(mean[chance], rel=0.05)


def test_any_sample_of_the_same_name_is_a_partner():
    A = np.eye(4)
    B = A[[1, 0, 2, 3]]
    assert retrieval(A, B, k=[1]).loc["first to second", "recall@1"] == 0.5
    named = retrieval(A, B, names=["a", "a", "b", "c"], k=[1]).loc["first to second"]
    assert named["recall@1"] == 1 and named["chance@1"] == pytest.approx((2 * 2 / 4 + 2 / 4) / 4)


def test_samples_that_lack_a_side_are_left_out_and_ties_share_their_places():
    A = np.ones((4, 3))
    A[1] = np.nan
    found = retrieval(A, np.ones((4, 3)), k=[1]).loc["first to second"]
    assert found["n"] == 3 and found["mean_rank"] == 2 and found["recall@1"] == pytest.approx(1 / 3)


def test_a_collapsed_encoder_has_what_chance_has():
    names = ["a", "a", "b", "c", "c", "c", None, np.nan]
    for given in (None, names):
        found = retrieval(np.ones((8, 2)), np.ones((8, 2)), names=given, k=[1, 5, 8]).loc["second to first"]
        for k in (1, 5, 8):
            assert found[f"recall@{k}"] == pytest.approx(found[f"chance@{k}"])
        assert found["mean_rank"] == pytest.approx(found["chance_rank"])


def test_rows_without_a_name_are_of_nothing_else():
    A, B = np.random.default_rng(0).normal(size=(2, 40, 3))
    half = [str(i) if i % 2 else None for i in range(40)]
    assert retrieval(A, B, names=half).equals(retrieval(A, B))


def test_blocks_give_what_one_block_gives(monkeypatch):
    A, B = np.random.default_rng(1).normal(size=(2, 50, 4))
    whole, rank = retrieval(A, B, k=3), positive_rank(A, B)
    assert rank.rank == pytest.approx(51 - whole.loc["first to second", "mean_rank"])
    monkeypatch.setattr("kinview.diagnostics.pairs._BLOCK", 7)
    assert retrieval(A, B, k=[3]).equals(whole) and positive_rank(A, B) == rank
    wide = retrieval(np.eye(300), np.eye(300), k=[250]).loc["first to second"]  # of many no number is too large
    assert wide["recall@250"] == 1 and wide["chance@250"] == pytest.approx(250 / 300)


@pytest.mark.parametrize("function", [retrieval, modality_gap])
@pytest.mark.parametrize(
    ("A", "B", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), "of one shape"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "both sides"),
        (np.zeros((3, 2)), np.ones((3, 2)), "zero or not finite"),
        (np.full((3, 2), np.inf), np.ones((3, 2)), "zero or not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(function, A, B, message):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        function(A, B)


def test_names_and_k_are_checked():
    with pytest.raises(ValueError, match="names has 2 entries for 3 samples"):
        retrieval(np.eye(3), np.eye(3), names=["a", "b"])
    with pytest.raises(ValueError, match="k must be"):
        retrieval(np.eye(3), np.eye(3), k=[0])


def test_the_gap_and_the_cones_are_those_worked_out_one_by_one():
    draw = np.random.default_rng(2)
    A, B = draw.normal(size=(12, 5)) + 2, draw.normal(size=(12, 5)) - [3, 0, 0, 0, 0]
    found = modality_gap(A, B)
    u, v = unit(A), unit(B)
    assert found.gap == pytest.approx(np.linalg.norm(u.mean(axis=0) - v.mean(axis=0)))
    for mine, Z in ((found.within_first, u), (found.within_second, v)):
        assert mine == pytest.approx(np.mean([Z[i] @ Z[j] for i in range(12) for j in range(12) if i != j]))
    assert found.between == pytest.approx(np.mean([a @ b for a, b in zip(u, v, strict=True)]))


def test_a_shift_moves_both_sides_along_the_line_between_them():
    draw = np.random.default_rng(3)
    A, B = draw.normal(size=(30, 6)) + 1.5, draw.normal(size=(30, 6)) - 1.5
    gap = modality_gap(A, B).gap
    u, v = unit(A), unit(B)
    line = (u.mean(axis=0) - v.mean(axis=0)) / gap
    one, other = shifted(A, B, 0.6)
    np.testing.assert_allclose(one, unit(u - 0.3 * line), atol=1e-12)
    np.testing.assert_allclose(other, unit(v + 0.3 * line), atol=1e-12)
    gaps = [modality_gap(*shifted(A, B, distance)).gap for distance in (-1, 0, 0.5, gap)]
    assert gaps[0] > gaps[1] == pytest.approx(gap) and gaps[1] > gaps[2] > gaps[3] < 0.2
    np.testing.assert_array_equal(shifted(u, u, 3.0)[0], shifted(u, u, 0.0)[0])  # no gap, no line


def test_a_shift_is_told_by_subgroup_and_no_recall_hides_in_another() -> None:
    draw = np.random.default_rng(0)
    A = draw.normal(size=(60, 6))
    B = A + 0.4 * draw.normal(size=A.shape) + 0.8
    sex = np.array(["f", "m"] * 30, dtype=object)
    sex[:4] = None
    B[7] = np.nan
    found = shift_by_subgroup(A, B, sex, distances=[0.0, 0.7], k=3).set_index(["subgroup", "distance"])
    known = ~np.isnan(B).any(axis=1)
    for distance in (0.0, 0.7):
        one = hits(*shifted(A[known], B[known], distance), 3)
        for name in "fm":
            row = found.loc[name, distance]
            inside = (sex == name)[known]
            assert row["recall"] == pytest.approx(one[inside].mean()) and row["n"] == inside.sum()
            assert row["low"] <= row["recall"] <= row["high"]
            assert row["change"] == pytest.approx(row["recall"] - found.loc[name, 0.0]["recall"])
    assert (found.xs(0.0, level="distance")[["change", "change_low", "change_high"]] == 0).all(axis=None)
    assert hits(A[known], B[known], 3).mean() == pytest.approx(retrieval(A, B, k=3)["recall@3"].mean())
    with pytest.raises(ValueError, match="subgroups has 2 entries for 60 samples"):
        shift_by_subgroup(A, B, ["f", "m"])
    nobody = np.full_like(A, np.nan)
    with pytest.raises(ValueError, match="a shift needs a sample with both sides, and there is none among 60"):
        shift_by_subgroup(A, nobody, ["f", "m"] * 30)
