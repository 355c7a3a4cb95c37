"""Differences over data sets: averages within first, exact intervals and tests, Holm, and verdicts made of them."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kinview.evaluation import (
    against_controls,
    bayesian_signed_rank,
    compare_methods,
    holm,
    paired_difference_over_datasets,
    paired_differences,
)
from kinview.evaluation.comparison.signed_rank import Probabilities
from kinview.evaluation.over_datasets import paired_within_datasets, verdict


def cells(values, probes=("svm",), seeds=(0, 1), folds=(0,), spread=0.01, seed=0):
    """Accuracy of {method: value of each data set}, with noise that seeds and folds have in common."""
    random = np.random.default_rng(seed)
    rows = []
    n = len(next(iter(values.values())))
    for d, p, s, f in itertools.product(range(n), probes, seeds, folds):
        shared = random.normal(0, spread)
        for method, per_dataset in values.items():
            rows.append({
                "dataset": f"set {d}", "method": method, "probe": p, "seed": s, "fold": f,
                "split": "stratified_kfold" if len(folds) > 1 else "official",
                "accuracy": per_dataset[d] + shared + random.normal(0, spread),
            })  # fmt: skip
    return pd.DataFrame(rows)


VALUES = {"raw": np.linspace(0.6, 0.9, 9), "ours": np.linspace(0.62, 0.93, 9), "other": np.linspace(0.61, 0.88, 9)}


@pytest.mark.parametrize("folds", [(0,), (0, 1, 2)])
def test_it_is_scipys_interval_and_signed_rank_test_of_the_means_within_data_sets(folds):
    frame = cells(VALUES, folds=folds)
    found = paired_difference_over_datasets(frame, "raw").set_index("method")
    means = frame.groupby(["method", "dataset"])["accuracy"].mean()
    for method in ("ours", "other"):
        test = stats.ttest_rel(means[method], means["raw"])
        interval = test.confidence_interval(0.95)
        row = found.loc[method]
        assert row["difference"] == pytest.approx((means[method] - means["raw"]).mean(), abs=1e-15)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert row["p"] == pytest.approx(stats.wilcoxon(means[method], means["raw"]).pvalue)
        assert (row["mean"], row["reference"]) == pytest.approx((means[method].mean(), means["raw"].mean()))
        gain = means[method] - means["raw"]
        assert (row["wins"], row["ties"], row["losses"]) == ((gain > 0).sum(), 0, (gain < 0).sum())
        assert row["datasets"] == 9 and row["testable"]


def test_calculated_by_hand():
    frame = cells({"raw": [0.5, 0.6, 0.7], "ours": [0.6, 0.6, 0.9]}, spread=0.0)
    (row,) = paired_difference_over_datasets(frame, "raw").to_dict("records")
    assert row["difference"] == pytest.approx(0.1) and row["std"] == pytest.approx(0.1)
    half = 4.302652729911275 * 0.1 / np.sqrt(3)  # t of 2 degrees of freedom at 0.975
    assert (row["low"], row["high"]) == pytest.approx((0.1 - half, 0.1 + half))
    assert np.isnan(row["p"])  # three data sets are not tested
    assert (row["wins"], row["ties"], row["losses"], row["testable"]) == (2, 1, 0, False)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_a_seed_that_is_planted_again_moves_nothing(seed, copies):
    """The same cells under new seeds add no evidence."""
    frame = cells(VALUES, seed=seed)
    again = pd.concat([frame.assign(seed=frame["seed"] + 10 * k) for k in range(copies)])
    columns = ["difference", "low", "high", "p", "wins", "losses", "datasets"]
    one, many = (paired_difference_over_datasets(f, "raw")[columns].to_numpy() for f in (frame, again))
    np.testing.assert_allclose(many.astype(float), one.astype(float), rtol=1e-9, atol=1e-12)


def test_a_seed_that_is_planted_again_in_one_place_moves_nothing():
    """Seeds are averaged before probes, conditions and data sets are: more of them in one place weigh no more."""
    frame = cells(VALUES, probes=("svm", "ridge"))
    planted = frame[(frame["dataset"] == "set 3") & (frame["probe"] == "ridge")]
    again = pd.concat([frame, *(planted.assign(seed=planted["seed"] + 10 * k) for k in range(1, 6))])
    columns = ["difference", "low", "high", "p", *Probabilities._fields]
    one, many = (
        paired_difference_over_datasets(f, "raw", by=["method"], generator=np.random.default_rng(0))[columns]
        for f in (frame, again)
    )
    np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)
    for f in (frame, again):
        assert compare_methods(f).pairs["p_holm"].tolist() == compare_methods(frame).pairs["p_holm"].tolist()


def test_probabilities_are_those_of_the_bayesian_test_of_the_data_sets():
    frame = cells(VALUES)
    found = paired_difference_over_datasets(frame, "raw", by=["method"], generator=np.random.default_rng(0))
    within = paired_within_datasets(frame, "raw", by=["method"])
    gain = within[within["method"] == "other"]["difference"]
    wanted = bayesian_signed_rank(gain, np.random.default_rng(1))
    assert found.set_index("method").loc["other", [*Probabilities._fields]].tolist() == pytest.approx(wanted, abs=0.01)
    few = frame[frame["dataset"].isin([f"set {i}" for i in range(5)])]
    row = paired_difference_over_datasets(few, "raw", by=["method"], generator=np.random.default_rng(0)).iloc[0]
    assert row[["p", *Probabilities._fields]].isna().all() and row["low"] < row["high"]


def test_folds_that_are_planted_again_do_not_narrow_the_interval_of_one_data_set():
    frame = cells({"raw": [0.7], "ours": [0.72]}, seeds=(0, 1, 2), folds=(0, 1))
    again = pd.concat([frame, frame.assign(fold=frame["fold"] + 2)])
    one, many = (paired_differences(f, "raw")[["n", "difference", "low", "high"]].to_numpy() for f in (frame, again))
    np.testing.assert_allclose(many, one)
    assert one[0, 0] == 3


def test_a_reference_may_be_a_method_with_its_probe():
    frame = cells(VALUES, probes=("svm", "ridge"))
    found = paired_difference_over_datasets(frame, ("raw", "ridge"))
    assert set(zip(found["method"], found["probe"], strict=True)) == {
        ("raw", "svm"), ("ours", "svm"), ("ours", "ridge"), ("other", "svm"), ("other", "ridge"),
    }  # fmt: skip
    means = frame.groupby(["method", "probe", "dataset"])["accuracy"].mean()
    gain = means["ours", "svm"] - means["raw", "ridge"]
    row = found[(found["method"] == "ours") & (found["probe"] == "svm")].iloc[0]
    assert row["p"] == pytest.approx(stats.wilcoxon(gain).pvalue)


def test_conditions_are_compared_each_with_its_own_and_only_pairs_count():
    clean = cells(VALUES)
    gappy = clean.assign(corruption="mcar", severity=0.4, corrupt="both", accuracy=clean["accuracy"] - 0.2)
    frame = pd.concat([clean, gappy], ignore_index=True)
    frame["status"] = "ok"
    lost = (frame["dataset"] == "set 0") & (frame["method"] == "raw") & (frame["severity"] == 0.4)
    frame.loc[lost, "status"] = "failed"
    found = paired_difference_over_datasets(frame, "raw").set_index(["method", "severity"])
    assert found["datasets"].to_dict() == {
        ("ours", 0.0): 9, ("ours", 0.4): 8, ("other", 0.0): 9, ("other", 0.4): 8,
    }  # fmt: skip
    wanted = frame[(frame["dataset"] != "set 0") & (frame["severity"] == 0.4)].groupby("method")["accuracy"].mean()
    assert found.loc[("ours", 0.4), ["mean", "reference"]].tolist() == pytest.approx([wanted["ours"], wanted["raw"]])


def test_one_data_set_has_no_interval_and_few_are_not_tested():
    one = paired_difference_over_datasets(cells({"raw": [0.7], "ours": [0.8]}), "raw").iloc[0]
    assert one["datasets"] == 1 and not one["testable"] and np.isnan([one["low"], one["high"], one["p"]]).all()
    five = {name: values[:5] for name, values in VALUES.items()}
    found = against_controls(cells(five), ["raw"])
    assert set(found["verdict"]) == {"not testable"} and found["low"].notna().all() and not found["beats_all"].any()


def test_differences_without_spread_have_a_p_value():
    frame = cells({"raw": np.full(7, 0.5), "ours": np.full(7, 0.75), "same": np.full(7, 0.5)}, spread=0.0)
    found = paired_difference_over_datasets(frame, "raw").set_index("method")
    assert found["p"].to_dict() == {"ours": 2 / 2**7, "same": 1.0}
    assert found.loc["same", "ties"] == 7


def test_what_is_wrong_is_named():
    frame = cells(VALUES)
    with pytest.raises(ValueError, match=r"reference 'pca' to compare with; there are: other, ours, raw"):
        paired_difference_over_datasets(frame, "pca")
    with pytest.raises(ValueError, match=r"no result of the reference 'raw / ridge' .* there are: other / svm"):
        paired_difference_over_datasets(frame, ("raw", "ridge"))
    with pytest.raises(ValueError, match="occurs more than once"):
        paired_difference_over_datasets(pd.concat([frame, frame]), "raw")
    with pytest.raises(ValueError, match="no column 'auroc'"):
        paired_difference_over_datasets(frame, "raw", metric="auroc")


# --- several controls ------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p):
    adjusted = holm(p)
    order = np.argsort(p, kind="stable")
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for step, i in enumerate(order):
            if p[i] * (len(p) - step) > level:
                break
            rejected.add(i)
        assert {i for i in range(len(p)) if adjusted[i] <= level} == rejected
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))


def test_holm_of_a_known_example_and_of_nan():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])  # statsmodels, "holm"
    assert holm([0.01, np.nan, 0.03]).tolist() == pytest.approx([0.02, np.nan, 0.03], nan_ok=True)
    assert holm([]).tolist() == []


def test_to_beat_the_controls_is_to_beat_every_one_of_them():
    values = VALUES | {"strong": VALUES["ours"] + 0.0005 * (-1) ** np.arange(9)}
    found = against_controls(cells(values, spread=1e-4), ["raw", "other", "strong"], by=["method"])
    mine = found[found["method"] == "ours"].set_index("control")
    assert mine["verdict"].to_dict() == {"raw": "better", "other": "better", "strong": "open"}
    assert not mine["beats_all"].any()
    two = against_controls(cells(values, spread=1e-4), ["raw", "other"], by=["method"])
    assert two.loc[two["method"] == "ours", "beats_all"].all()
    np.testing.assert_allclose(mine["p_holm"].to_numpy(), holm(mine["p"].to_numpy()))
    assert not (found["method"] == found["control"]).any()  # a method is never its own control


def test_correction_is_for_the_controls_of_one_method_in_one_comparison():
    frame = cells(VALUES, probes=("svm", "ridge"))
    found = against_controls(frame, ["raw", "other"])
    for _, group in found.groupby(["method", "probe"]):
        np.testing.assert_allclose(group["p_holm"], holm(group["p"]))


def test_words_of_a_verdict():
    assert verdict(0.04, 0.1, True) == "better" and verdict(0.04, -0.1, True) == "worse"
    assert verdict(0.05, 0.1, True) == verdict(float("nan"), 0.1, True) == "open"
    assert verdict(0.0, 0.1, False) == "not testable"
