"""The door: averages within data sets first, the same cells for all, tests of ranks and pairs, and what is left out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from kinview.evaluation import (
    average_ranks,
    bayesian_signed_rank,
    cliffs_delta,
    compare_methods,
    compare_scores,
    dataset_scores,
    friedman_test,
    paired_difference_over_datasets,
    wilcoxon_holm,
)

GAIN = {"raw": 0.0, "pca": 0.002, "ours": 0.03, "theirs": 0.028}


def cells(datasets=9, seeds=(0, 1), folds=(0,), probes=("svm", "knn"), gain=GAIN, seed=0):
    random = np.random.default_rng(seed)
    rows = []
    for d in range(datasets):
        level = random.uniform(0.6, 0.9)
        for p in probes:
            for s in seeds:
                for f in folds:
                    for c in (None, "mcar"):
                        for m, extra in gain.items():
                            rows.append({
                                "dataset": f"set {d}", "method": m, "probe": p, "seed": s, "fold": f,
                                "split": "stratified_kfold" if len(folds) > 1 else "official", "corruption": c,
                                "severity": 0.2 if c else None, "corrupt": "both" if c else None,
                                "accuracy": level + extra + random.normal(0, 0.01),
                            })  # fmt: skip
    return pd.DataFrame(rows)


def test_it_is_made_of_the_single_tests():
    frame = cells(folds=(0, 1))
    found = compare_methods(frame, generator=np.random.default_rng(5))
    scores = frame.groupby(["dataset", "method"])["accuracy"].mean().unstack()
    assert found.ranks.to_dict() == average_ranks(scores).to_dict()
    assert list(found.ranks.index) == list(found.scores) == list(found.ranks.sort_values().index)
    assert found.friedman.p == pytest.approx(friedman_test(scores).p)
    tests = wilcoxon_holm(scores[list(found.scores)])
    np.testing.assert_allclose(found.pairs[["p", "p_holm"]], tests[["p", "p_holm"]])
    generator = np.random.default_rng(5)
    for row in found.pairs.to_dict("records"):
        one, other = scores[row["method"]], scores[row["other"]]
        assert row["difference"] == pytest.approx((one - other).mean())
        assert row["cliffs_delta"] == pytest.approx(cliffs_delta(one, other))
        wanted = bayesian_signed_rank(found.scores[row["method"]] - found.scores[row["other"]], generator)
        assert (row["better"], row["equivalent"], row["worse"]) == wanted
        assert row["verdict"] == ("open" if row["p_holm"] >= 0.05 else "better" if row["difference"] > 0 else "worse")
    assert set(found.cliques) == {("ours", "theirs"), ("pca", "raw")}
    against = paired_difference_over_datasets(frame, "raw", by=["method"]).set_index("method").loc["ours"]
    mine = found.pair("ours", "raw")
    assert [mine[n] for n in ("difference", "low", "high", "wins", "ties", "losses")] == pytest.approx(
        [against[n] for n in ("difference", "low", "high", "wins", "ties", "losses")]
    )


def test_a_pair_is_read_from_either_side():
    found = compare_methods(cells(), generator=np.random.default_rng(0))
    there, back = found.pair("ours", "raw"), found.pair("raw", "ours")
    assert (back["method"], back["other"]) == ("raw", "ours")
    assert (back["difference"], back["low"], back["high"]) == (-there["difference"], -there["high"], -there["low"])
    assert (back["wins"], back["losses"], back["better"]) == (there["losses"], there["wins"], there["worse"])
    assert (there["verdict"], back["verdict"], back["p_holm"]) == ("better", "worse", there["p_holm"])
    with pytest.raises(KeyError, match="no pair of 'ours' and 'them'"):
        found.pair("ours", "them")


def p_values(frame):
    found = compare_methods(frame)
    return [found.friedman.p, *found.pairs["p"], *found.pairs["p_holm"]]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3))
def test_seeds_that_are_planted_again_move_no_p_value(seed, copies):
    frame = cells(seed=seed, probes=("svm",))
    again = pd.concat([frame, *(frame.assign(seed=frame["seed"] + 10 * (k + 1)) for k in range(copies))])
    assert p_values(again) == p_values(frame)  # ranks do not move by a last bit


def test_seeds_planted_on_one_data_set_condition_fold_or_method_move_no_p_value():
    frame = cells(folds=(0, 1))
    for part in (
        frame["dataset"] == "set 3",
        frame["corruption"].isna(),
        frame["fold"] == 0,
        frame["probe"] == "svm",
        frame["method"] == "ours",
    ):
        planted = frame[part].assign(seed=frame["seed"] + 10)
        assert p_values(pd.concat([frame, planted])) == p_values(frame)


def test_all_methods_stand_on_the_same_cells():
    frame = cells()
    lost = (frame["method"] == "pca") & (frame["dataset"] == "set 2") & (frame["probe"] == "svm") & (frame["seed"] == 1)
    frame["status"] = np.where(lost, "failed", "ok")
    scores = dataset_scores(frame)
    kept = frame[(frame["dataset"] == "set 2") & ~((frame["probe"] == "svm") & (frame["seed"] == 1))]
    svm, knn = (kept[kept["probe"] == p].groupby("method")["accuracy"].mean() for p in ("svm", "knn"))
    for method in GAIN:
        assert scores.loc["set 2", method] == pytest.approx((svm[method] + knn[method]) / 2)


def test_data_sets_that_a_method_lacks_are_left_out_by_name():
    frame = cells()
    frame = frame[~((frame["method"] == "pca") & frame["dataset"].isin(["set 0", "set 7"]))]
    found = compare_methods(frame)
    assert found.left_out == ("set 0", "set 7") and len(found.scores) == 7
    svm_only = frame[(frame["method"] != "pca") | (frame["probe"] == "svm")]
    assert len(compare_methods(svm_only).scores) == 7  # on what they share
    apart = frame[(frame["method"] != "pca") | (frame["probe"] == "svm")]
    apart = apart[(apart["method"] == "pca") | (apart["probe"] == "knn")]
    with pytest.raises(ValueError, match="no data set has a score of every method: ours on 2 of 9; pca on 0 of 9"):
        compare_methods(apart)


def test_methods_with_their_probes_can_be_compared():
    found = compare_methods(cells(), by=("method", "probe"))
    assert set(found.scores) == {f"{m} / {p}" for m in GAIN for p in ("svm", "knn")}
    assert len(found.pairs) == 8 * 7 / 2


def test_few_data_sets_are_not_tested():
    found = compare_methods(cells(datasets=5), generator=np.random.default_rng(0))
    assert not found.testable and found.friedman is None and found.cliques == ()
    assert set(found.pairs["verdict"]) == {"not testable"}
    assert found.pairs[["p", "p_holm"]].isna().all(axis=None) and found.pairs["low"].notna().all()
    assert "better" not in found.pairs
    assert found.ranks.iloc[0] < found.ranks.iloc[-1]


def test_two_methods_have_no_friedman_test():
    found = compare_scores(pd.DataFrame({"a": np.arange(8.0), "b": np.arange(8.0) - 1}))
    assert found.friedman is None and found.pairs["verdict"].tolist() == ["better"]


def test_the_level_decides_cliques_and_verdicts():
    random = np.random.default_rng(1)
    base = random.uniform(size=8)
    scores = pd.DataFrame({"a": base, "b": base + random.normal(0.03, 0.04, 8)})
    p = compare_scores(scores).pairs["p_holm"].item()
    assert compare_scores(scores, level=p * 1.01).cliques == ()
    assert compare_scores(scores, level=p * 0.99).cliques == (("b", "a"),)
    with pytest.raises(ValueError, match="level=5 is not between"):
        compare_scores(scores, level=5)
