"""Matches from similarities: the assignment, the margins, the score, and what both tables are read as."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from kinview import match_columns
from kinview.schema_matching import ColumnMatches, matchers
from kinview.schema_matching.tables import Side, TwoTables, read_pairs


def frame(values: np.ndarray, prefix: str = "c") -> pd.DataFrame:
    return pd.DataFrame(values, columns=[f"{prefix}{i}" for i in range(values.shape[1])])


def similarity(values: object) -> pd.DataFrame:
    s = np.asarray(values, dtype=float)
    return pd.DataFrame(s, index=[f"a{i}" for i in range(len(s))], columns=[f"b{j}" for j in range(s.shape[1])])


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_the_matches_have_the_largest_sum_of_all(shape: tuple[int, int]) -> None:
    s = np.random.default_rng(1).normal(size=shape)
    matches = ColumnMatches.of(similarity(s))
    wide = s if shape[0] <= shape[1] else s.T
    best = max(
        sum(wide[i, j] for i, j in enumerate(chosen))
        for chosen in itertools.permutations(range(max(shape)), min(shape))
    )
    assert matches.table["similarity"].sum() == pytest.approx(best)
    assert len(matches.pairs) == min(shape) and [len(names) for names in matches.unmatched] == [
        max(0, shape[0] - shape[1]), max(0, shape[1] - shape[0]),
    ]  # fmt: skip


def test_a_margin_is_to_the_best_other_candidate_of_either_column() -> None:
    matches = ColumnMatches.of(similarity([[0.9, 0.2, 0.1], [0.5, 0.8, 0.3]]))
    assert matches.table[["A", "B"]].values.tolist() == [["a0", "b0"], ["a1", "b1"]]
    np.testing.assert_allclose(matches.table["margin"], [0.9 - 0.5, 0.8 - 0.5])
    assert matches.kept(margin=0.35).pairs == (("a0", "b0"),) and matches.kept(similarity=2).pairs == ()
    assert np.isnan(ColumnMatches.of(similarity([[0.4]])).table["margin"][0])


def test_columns_that_cannot_be_compared_are_not_matched() -> None:
    nan = np.nan
    matches = ColumnMatches.of(similarity([[5.0, 1.0, nan], [4.0, nan, nan], [nan, nan, nan]]))
    assert matches.pairs == (("a0", "b1"), ("a1", "b0"))  # two of them rather than the best one alone
    assert ColumnMatches.of(similarity([[nan]])).pairs == ()


def test_the_score_counts_matches_and_true_pairs() -> None:
    matches = ColumnMatches.of(similarity(np.eye(3)), {"k": "l"})
    score = matches.score({"a0": "b0", "a1": "b2", "k": "l"})  # a2 has no partner
    assert (score.precision, score.recall, score.f1) == (pytest.approx(1 / 3), 0.5, pytest.approx(2 / 5))
    assert score.mistakes == (("a1", "b1"), ("a2", "b2"))
    with pytest.raises(ValueError, match=r"truth pairs 'k' of A with 'b0' of B, and one of them is mapped"):
        matches.score({"k": "b0"})
    with pytest.raises(ValueError, match="truth: A has no column 'z'"):
        matches.score({"z": "b0"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"agee": "b"}, r"mapped: A has no column 'agee'; did you mean 'age'\? It has 'age', 'sex'"),
        ({"age": "c"}, "mapped: B has no column 'c'"),
        ([("age", "a"), ("age", "b")], "mapped: column 'age' of A stands in two pairs"),
        ({"age": "a", "sex": "a"}, "mapped: column 'a' of B stands in two pairs"),
        ([("age", "a", "b")], r"mapped holds \('age', 'a', 'b'\); a pair is"),
        ("age", "mapped must be a mapping"),
    ],
)
def test_pairs_that_are_none_are_refused_by_name(given: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_pairs(given, ["age", "sex"], ["a", "b"], "mapped")


def test_tables_that_cannot_be_matched_are_refused_by_name() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    A, B = frame(X), frame(X, "d")
    with pytest.raises(ValueError, match="the matcher 'contrastive' goes by known columns, and none are mapped"):
        match_columns(A, B, matcher="contrastive")
    with pytest.raises(ValueError, match="A has 4 row"):
        match_columns(A[:4], B, matcher="distribution")
    with pytest.raises(ValueError, match="every column of A is mapped"):
        match_columns(A, B, {"c0": "d0", "c1": "d1", "c2": "d2"}, matcher="correlation")
    text = A.assign(unit=list("xyz") * 10)
    with pytest.raises(ValueError, match=r"'unit' of A hold categories, which 'correlation' .* matcher='distribution'"):
        match_columns(text, B, {"c0": "d0"}, matcher="correlation")
    with pytest.raises(ValueError, match="'unit' of A holds categories and 'd0' of B numbers"):
        match_columns(text, B, {"unit": "d0"}, matcher="correlation")
    with pytest.raises(ValueError, match="no category in common"):
        match_columns(text, B.assign(station=list("uvw") * 10), {"unit": "station"}, matcher="correlation")
    with pytest.raises(ValueError, match="unknown matcher 'correlatio'; did you mean 'correlation'"):
        match_columns(A, B, matcher="correlatio")
    with pytest.warns(UserWarning, match=r"column\(s\) 'c1' of A hold one value or none"):
        match_columns(A.assign(c1=3.0), B, matcher="distribution")


def test_what_is_known_of_a_row_is_alike_in_both_tables() -> None:
    A = pd.DataFrame({"sex": ["f", "m", None, "m", "x"] * 6, "v": np.arange(30.0)})
    B = pd.DataFrame({"w": np.arange(30.0), "s": ["m", "f", "y", "f", "f"] * 6})
    first, second = TwoTables.read(A, B, {"sex": "s"}).known_features()
    assert first.shape == second.shape == (30, 2)  # f and m; x and y are in one table each
    np.testing.assert_allclose(np.nanmean(first, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.nanstd(first, axis=0), 1)
    assert np.isnan(first[2]).all() and (first[[0, 1], 0] > [0, -9]).all()
    assert (first[:5, 0] > 0).tolist() == [True, False, False, False, False]
    assert (second[:5, 0] > 0).tolist() == [False, True, False, True, True]


def test_columns_are_ordered_by_what_they_hold() -> None:
    X = frame(np.random.default_rng(0).normal(size=(20, 5)))
    renamed = X.rename(columns=dict(zip(X.columns, "vwxyz"))).iloc[:, [3, 0, 4, 1, 2]]
    ordered = [Side.of(part, "A").parted([]).unknown for part in (X, renamed)]
    assert [dict(zip(X.columns, "vwxyz"))[name] for name in ordered[0]] == list(ordered[1])


def test_dates_are_matched_with_dates_and_categories_with_categories() -> None:
    draw = np.random.default_rng(0)
    dates = pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, 40), unit="D")
    A = pd.DataFrame({"n": draw.normal(size=40), "t": dates, "c": draw.choice(list("aab"), 40)})
    B = A.rename(columns={"n": "x", "t": "y", "c": "z"})[["z", "y", "x"]].iloc[::-1].reset_index(drop=True)
    for matcher in ("distribution", {"kang_naughton": {"dependence": "mutual_information", "bins": 3}}):
        matches = match_columns(A, B, matcher=matcher)
        assert matches.pairs == (("n", "x"), ("t", "y"), ("c", "z"))
        assert int(matches.similarity.notna().sum().sum()) == 3
    assert set(matchers) == {"contrastive", "correlation", "distribution", "kang_naughton"}
