"""What each matcher is, and what all of them keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, spearmanr

from kinview import match_columns
from kinview.schema_matching import matchers
from kinview.schema_matching.dependence import correlations, equal_bins, informational_correlations
from kinview.schema_matching.kang_naughton import matched_graphs
from kinview.schema_matching.tables import TwoTables

QUICK: dict[str, Any] = {"hidden_dim": 16, "dim": 8, "models": 1, "trainer": {"max_steps": 50, "lr": 0.02}}
FEW_STEPS: dict[str, Any] = {**QUICK, "trainer": {"max_steps": 3}}
KINDS: dict[str, Any] = {
    "contrastive": {"contrastive": QUICK},
    "correlation": "correlation",
    "pearson": {"correlation": {"dependence": "pearson"}},
    "distribution": "distribution",
    "wasserstein": {"distribution": {"distance": "wasserstein", "scaled": False}},
    "kang_naughton": "kang_naughton",
    "mutual_information": {"kang_naughton": {"dependence": "mutual_information", "bins": 4}},
}


def table(rows: int = 240, columns: int = 8, seed: int = 0) -> pd.DataFrame:
    """Columns of which each two have a correlation of their own, and each a distribution of its own."""
    draw = np.random.default_rng(5)
    mixing = draw.normal(size=(4, columns))
    own = np.random.default_rng(seed)
    z = own.normal(size=(rows, 4)) @ mixing + 0.2 * own.normal(size=(rows, columns))
    powers = 1 + 0.25 * np.arange(columns)
    return pd.DataFrame(np.sign(z) * np.abs(z) ** powers, columns=[f"c{i}" for i in range(columns)])


def quick(kind: str) -> Any:
    """The matcher, after some steps of training only: for what does not depend on how good it is."""
    return {"contrastive": FEW_STEPS} if kind == "contrastive" else KINDS[kind]


def shuffled(X: pd.DataFrame, seed: int = 1) -> tuple[pd.DataFrame, dict[str, str]]:
    names = {column: f"d{i}" for i, column in enumerate(np.random.default_rng(seed).permutation(X.columns))}
    return X.rename(columns=names)[sorted(names.values())], names


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_and_its_copy_under_other_names_are_matched(kind: str) -> None:
    A = table()
    B, truth = shuffled(A)
    mapped = {a: truth[a] for a in ("c0", "c3", "c5")}
    matches = match_columns(A, B, mapped, matcher=KINDS[kind])
    assert matches.score(truth).f1 == 1.0
    assert matches.mapped == mapped
    assert not {a for a, _ in matches.pairs} & set(mapped) and not {b for _, b in matches.pairs} & set(mapped.values())
    assert list(matches.similarity.index) == ["c1", "c2", "c4", "c6", "c7"]


@pytest.mark.parametrize("kind", KINDS)
def test_other_names_and_another_order_change_nothing(kind: str) -> None:
    A, B = table(100), table(120, seed=3)
    A.iloc[::7, 2] = np.nan
    B, first = shuffled(B, 1)
    again, second = shuffled(table(120, seed=3), 2)
    mapped = ["c0", "c4"]
    one = match_columns(A, B, {a: first[a] for a in mapped}, matcher=quick(kind), random_state=3)
    renamed = {a: a.upper() for a in A.columns}
    other = match_columns(
        A.rename(columns=renamed).iloc[:, ::-1], again, {renamed[a]: second[a] for a in mapped[::-1]},
        matcher=quick(kind), random_state=3,
    )  # fmt: skip
    back = {second[a]: first[a] for a in first}
    assert {(a, b) for a, b in one.pairs} == {(a.lower(), back[b]) for a, b in other.pairs}
    expected = one.similarity.rename(index=renamed, columns={b: a for a, b in back.items()})
    np.testing.assert_array_equal(other.similarity.loc[expected.index, expected.columns], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_tables_with_gaps_and_of_unequal_size_are_matched(kind: str) -> None:
    A, B = table(200), table(150, seed=3).iloc[:, :6]
    hidden = np.random.default_rng(0).random(A.shape) < 0.2
    A, B = A.mask(hidden), B.mask(hidden[:150, :6])
    A["c7"] = np.nan
    with pytest.warns(UserWarning, match="'c7' of A hold one value or none"):
        matches = match_columns(A, B, ["c0", "c1", "c2"], matcher=quick(kind))
    assert matches.similarity.shape == (5, 3) and len(matches.pairs) == 3
    found = matches.similarity
    assert np.isfinite(found.drop(index="c7").to_numpy()).all() and found.loc["c7"].isna().all()  # says nothing
    assert "c7" in matches.unmatched[0] and [len(names) for names in matches.unmatched] == [2, 0]


def test_profiles_are_correlations_of_the_rows_that_have_both() -> None:
    A, B = table(60, 4), table(50, 4, seed=2)
    A.iloc[::5, 1] = np.nan
    found = match_columns(A, B, ["c0", "c3"], matcher="correlation").similarity
    profile = [
        [spearmanr(X[name], X[known], nan_policy="omit").statistic for known in ("c0", "c3")]
        for X, name in ((A, "c1"), (B, "c2"))
    ]
    expected = 1 - np.sqrt(np.square(np.subtract(*profile)).sum() / 8)
    assert found.loc["c1", "c2"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("matcher", ["correlation", "kang_naughton"])
def test_ranks_do_not_see_another_scale(matcher: str) -> None:
    A, B = table(100), table(100, seed=2)
    one = match_columns(A, B, ["c0", "c3"], matcher=matcher)
    other = match_columns(A, np.exp(B / B.abs().max()), ["c0", "c3"], matcher=matcher)
    np.testing.assert_allclose(one.similarity, other.similarity, atol=1e-12)


def test_the_distance_of_distributions_is_that_of_kolmogorov_and_smirnov() -> None:
    A, B = table(60, 3).round(0), table(45, 3, seed=2).round(0)
    B.iloc[:9, 1] = np.nan
    found = match_columns(A, B, matcher={"distribution": {"scaled": False}}).similarity
    expected = [[1 - ks_2samp(A[a], B[b].dropna()).statistic for b in B] for a in A]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    scaled = match_columns(A * 3 + 7, B, matcher="distribution").similarity
    np.testing.assert_allclose(scaled, match_columns(A, B, matcher="distribution").similarity, atol=0.05)


def test_categories_are_compared_by_their_sorted_frequencies() -> None:
    A = pd.DataFrame({"c": ["a"] * 12 + ["b"] * 8, "n": np.arange(20.0)})
    B = pd.DataFrame({"d": ["x"] * 10 + ["y"] * 5 + ["z"] * 5, "m": np.arange(20.0)})
    found = match_columns(A, B, matcher="distribution")
    assert found.similarity.loc["c", "d"] == pytest.approx(1 - (0.1 + 0.15 + 0.25) / 2)
    assert found.pairs == (("c", "d"), ("n", "m"))


def test_known_columns_fix_a_graph_that_fits_in_two_ways() -> None:
    graph = np.eye(4)
    for i, j, weight in ((0, 1, 0.9), (2, 3, 0.9), (1, 2, 0.2)):
        graph[i, j] = graph[j, i] = weight  # 3-2-1-0 is the same as 0-1-2-3
    order = [3, 2, 1, 0]
    comparable = np.ones((3, 3), dtype=bool)
    s = matched_graphs(graph, graph, 1, comparable)
    assert s.argmax(axis=1).tolist() == [0, 1, 2] and np.allclose(np.diag(s), 1)
    turned = graph[np.ix_(order, order)]
    np.testing.assert_allclose(turned, graph)


def test_a_graph_is_found_in_a_larger_one() -> None:
    X = table(400, 8)
    A, B = correlations(X.to_numpy()[:200, :5], "spearman"), correlations(X.to_numpy()[200:], "spearman")
    s = matched_graphs(A, B, 2, np.ones((3, 6), dtype=bool))
    assert s.shape == (3, 6) and s.argmax(axis=1).tolist() == [0, 1, 2]


def test_mutual_information_on_the_scale_of_a_correlation() -> None:
    draw = np.random.default_rng(0)
    z = draw.normal(size=(20_000, 2)) @ np.array([[1, 0.8], [0, 0.6]])
    codes = np.stack([equal_bins(column, 20) for column in z.T], axis=1)
    assert informational_correlations(codes)[0, 1] == pytest.approx(0.8, abs=0.03)
    independent = draw.integers(1, 9, size=(200, 2)).astype(float)
    raw = 49 / 400  # bias of 8 x 8 cells and 200 rows, in nats
    assert informational_correlations(independent)[0, 1] < np.sqrt(1 - np.exp(-2 * raw)) / 2
    gappy = codes[:400].copy()
    gappy[::2, 1] = np.nan
    np.testing.assert_allclose(
        informational_correlations(gappy)[0, 1], informational_correlations(gappy[1::2])[0, 1], atol=1e-12
    )
    few = np.where(np.arange(10)[:, None] < [10, 4], codes[:10], np.nan)
    assert informational_correlations(few)[0, 1] == 0


def test_parameters_are_refused_by_name() -> None:
    for spec, message in (
        ({"contrastive": {"mask_rate": 1.0}}, "mask_rate must be"),
        ({"contrastive": {"scaling": "minmax"}}, "scaling must be one of"),
        ({"contrastive": {"trainer": {"steps": 3}}}, "trainer has no field 'steps'"),
        ({"contrastive": {"trainer": {"checkpoint_dir": "here"}}}, "trainer has a checkpoint_dir"),
        ({"kang_naughton": {"bins": 1}}, "bins must be at least 2"),
        ({"distribution": {"distance": "hellinger"}}, "distance must be"),
    ):
        with pytest.raises(ValueError, match=message):
            matchers.build(spec)


def test_known_and_unknown_columns_stand_in_the_order_of_the_pairs() -> None:
    A, B = table(30), shuffled(table(30, seed=2))
    tables = TwoTables.read(A, B[0], {a: B[1][a] for a in ("c6", "c1")})
    assert {(a, b) for a, b in tables.pairs} == {(a, B[1][a]) for a in ("c6", "c1")}
    first, second = tables.known_features()
    np.testing.assert_array_equal(first, tables.A.columns(tables.A.known))
    np.testing.assert_array_equal(second, tables.B.columns(tables.B.known))
