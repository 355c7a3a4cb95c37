"""Metrics of predictions with intervals: pairing, patients, averages over cells, and predictions that do not fit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kinview.evaluation import (
    Predictions,
    Store,
    delong,
    delong_interval,
    delong_test,
    differences_with_intervals,
    evaluate,
    metrics_with_intervals,
    read_predictions,
)
from kinview.evaluation.metrics import METRICS, bootstrap
from test_store import CELL

FEW = {"n_resamples": 200}


def patients(n=60, seed=0, prevalence=0.4, signal=1.0, recordings=1, shared=0.0):
    """Predictions of a cell: each patient has some recordings, whose scores share a part of their spread."""
    random = np.random.default_rng([seed, 0])
    y = np.repeat((np.arange(n) < prevalence * n).astype(int), recordings)
    common = np.repeat(random.normal(size=n), recordings)
    own = random.normal(size=n * recordings)
    p = stats.norm.cdf(signal * (y - 0.5) + shared**0.5 * common + (1 - shared) ** 0.5 * own)
    return pd.DataFrame(
        {
            "sample": [f"s{i:03}" for i in range(len(y))],
            "group": np.repeat([f"p{i:03}" for i in range(n)], recordings),
            "y": y.astype(str),
            "predicted": (p > 0.5).astype(int).astype(str),
            "score:0": 1 - p,
            "score:1": p,
        }
    )


def width(found):
    return (found["high"] - found["low"]).to_numpy()


# --- values and intervals --------------------------------------------------------------------------------------------


def test_one_cell_has_every_metric_that_is_defined():
    found = metrics_with_intervals(patients(), **FEW)
    wanted = [name for name, metric in METRICS.items() if metric.task == "classification" and not metric.required]
    assert found["metric"].tolist() == wanted
    assert (found["low"] <= found["high"]).all() and (found["resamples"] == 200).all()
    first = found.iloc[0]
    assert (first["n"], first["groups"], first["events"], first["prevalence"], first["cells"]) == (60, 60, 24, 0.4, 1)
    said = patients()
    of_a_cell = evaluate(said["y"].to_numpy(), said[["score:0", "score:1"]].to_numpy(), np.array(["0", "1"], object))
    for name in of_a_cell.keys() - {"notes"}:
        assert found.set_index("metric").loc[name, "value"] == pytest.approx(of_a_cell[name])


def test_the_interval_is_that_of_resamples_one_by_one():
    """A slow bootstrap: repeat the rows of each resample, and ask scikit-learn's definitions again."""
    said = patients(n=20, recordings=2)
    found = metrics_with_intervals(said, ["auroc", "brier_score"], n_resamples=40, seed=5).set_index("metric")
    codes = said["group"].str[1:].astype(int).to_numpy()
    strata = (said.groupby("group")["y"].max() == "1").astype(int).to_numpy()
    expected = {"auroc": [], "brier_score": []}
    for weight in np.concatenate(list(bootstrap.Bootstrap(codes, strata, 40, 5).blocks())):
        rows = said.loc[np.repeat(said.index, weight.astype(int))]
        y, p = (rows["y"] == "1").to_numpy(), rows["score:1"].to_numpy()
        expected["auroc"].append(delong(y, p)[0][0])
        expected["brier_score"].append(np.mean((p - y) ** 2))
    for name, draws in expected.items():
        bounds = found.loc[name, ["low", "high"]].tolist()
        assert bounds == pytest.approx(np.quantile(draws, [0.025, 0.975]).tolist())


def test_a_fold_has_the_weights_of_its_own_samples():
    said = patients(40, prevalence=0.5).assign(fold=lambda f: np.arange(40) * 7 % 3)
    found = metrics_with_intervals(said, ["accuracy"], by=["fold"], n_resamples=30, seed=2).set_index("fold")
    strata = (said["y"] == "1").astype(int).to_numpy()
    weights = np.concatenate(list(bootstrap.Bootstrap(np.arange(40), strata, 30, 2).blocks()))
    right = (said["y"] == said["predicted"]).to_numpy()
    for fold, rows in said.groupby("fold").indices.items():
        draws = [np.average(right[rows], weights=weight) for weight in weights[:, rows]]
        assert found.loc[fold, ["low", "high"]].tolist() == pytest.approx(np.quantile(draws, [0.025, 0.975]).tolist())


def test_patients_with_many_recordings_make_wider_intervals():
    said = patients(n=60, recordings=8, shared=0.9)
    by_patient = metrics_with_intervals(said, ["auroc", "brier_score"], **FEW)
    by_row = metrics_with_intervals(said, ["auroc", "brier_score"], groups=None, **FEW)
    assert by_patient["groups"].tolist() == [60, 60] and by_row["groups"].tolist() == [480, 480]
    assert (width(by_patient) > 1.8 * width(by_row)).all()
    copies = pd.concat([patients(60).assign(sample=lambda f, i=i: f["sample"] + f"-{i}") for i in range(8)])
    np.testing.assert_allclose(  # copies of a recording say nothing new
        width(metrics_with_intervals(copies, ["auroc"], **FEW)),
        width(metrics_with_intervals(patients(60), ["auroc"], **FEW)),
    )


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 999))
def test_the_order_of_rows_changes_no_bit(seed):
    said = pd.concat([patients(20, seed=s, recordings=2).assign(method="raw", seed=s) for s in range(3)])
    shuffled = said.sample(frac=1, random_state=seed)
    options = {"n_resamples": 20, "seed": 1}
    pd.testing.assert_frame_equal(
        metrics_with_intervals(said, **options), metrics_with_intervals(shuffled, **options), check_exact=True
    )


def test_the_seed_decides():
    first, again, other = (metrics_with_intervals(patients(), ["auroc"], seed=seed, **FEW) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert first["low"][0] != other["low"][0] and first["value"][0] == other["value"][0]


def test_seeds_and_folds_are_averaged_in_every_resample():
    cells = [patients(40, seed=s).assign(method="raw", seed=s) for s in range(3)]
    found = metrics_with_intervals(pd.concat(cells), ["auroc"], **FEW)
    single = [metrics_with_intervals(cell, ["auroc"], **FEW) for cell in cells]
    assert found["cells"].tolist() == [3] and found["n"].tolist() == [40]
    assert found["value"][0] == pytest.approx(np.mean([one["value"][0] for one in single]))
    assert width(found)[0] < np.mean([width(one)[0] for one in single])  # what the seeds differ in averages out
    same = pd.concat([patients(40).assign(method="raw", seed=s) for s in range(3)])
    np.testing.assert_allclose(width(metrics_with_intervals(same, ["auroc"], **FEW)), width(single[0]))
    split = pd.concat([patients(40).iloc[f::4].assign(method="raw", fold=f) for f in range(4)])
    folds = metrics_with_intervals(split, ["accuracy"], **FEW)
    assert (folds["cells"][0], folds["n"][0]) == (4, 40)
    whole = metrics_with_intervals(patients(40), ["accuracy"], **FEW)
    assert folds["value"][0] == pytest.approx(whole["value"][0])
    assert len(metrics_with_intervals(split, ["accuracy"], by=["fold"], **FEW)) == 4


def test_a_fold_without_an_event_in_a_resample_does_not_count():
    said = patients(12, prevalence=0.25).assign(method="raw")
    said["fold"] = [0, 1, 1] + [0] * 5 + [1] * 4
    found = metrics_with_intervals(said[said["fold"] == 0], ["auroc"], **FEW)
    assert found["resamples"][0] == 200
    alone = pd.concat([said, said.assign(method="x").assign(fold=0)])
    found = metrics_with_intervals(alone, ["auroc"], by=["method", "fold"], **FEW).set_index(["method", "fold"])
    assert 100 < found.loc[("raw", 0), "resamples"] < 200  # its one event is not in every resample of all samples
    assert found.loc[("x", 0), "resamples"] == 200


def test_one_class_has_no_auroc_and_says_why():
    said = patients(10, prevalence=0)
    found = metrics_with_intervals(said, ["accuracy", "auroc"], **FEW).set_index("metric")
    assert np.isnan(found.loc["auroc", ["value", "low", "high"]].astype(float)).all()
    assert found.loc["auroc", "resamples"] == 0 and found.loc["accuracy", "events"] == 0
    assert found.loc["auroc", "note"] == "class 1 is not among these samples; not defined for these samples"


def test_a_perfect_result_has_no_spread_and_says_so():
    said = patients(20)
    said["score:1"] = said["y"].astype(float)
    said["score:0"] = 1 - said["score:1"]
    found = metrics_with_intervals(said, ["auroc"], **FEW)
    assert found["low"][0] == found["high"][0] == 1
    assert "the interval says nothing about the spread" in found["note"][0]


def test_more_classes_are_one_versus_rest():
    random = np.random.default_rng(0)
    y = np.arange(45) % 3
    scores = random.normal(size=(45, 3)) + np.eye(3)[y]
    said = read_predictions(
        Predictions([f"s{i}" for i in range(45)], y, scores.argmax(axis=1), scores, [0, 1, 2]).to_bytes()
    )
    found = metrics_with_intervals(said, **FEW)
    assert found["metric"].tolist() == ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "mcc"]
    assert found["events"].isna().all() and found["prevalence"].isna().all()
    assert found.set_index("metric").loc["auroc", "value"] == pytest.approx(evaluate(y, scores, [0, 1, 2])["auroc"])
    with pytest.raises(ValueError, match=r"ppv is defined for two classes.*\(predictions of the only cell\)"):
        metrics_with_intervals(said, ["ppv"])


def test_numbers_are_measured_as_numbers():
    random = np.random.default_rng(0)
    y = random.normal(size=200)
    said = pd.DataFrame({"sample": np.arange(200), "y": y, "predicted": y + random.normal(size=200)})
    found = metrics_with_intervals(said, groups=None, n_resamples=1000).set_index("metric")
    assert found.index.tolist() == ["mae", "rmse", "r2"]
    assert found.loc["rmse", "low"] < 1 < found.loc["rmse", "high"]
    error = (said["predicted"] - said["y"]).abs()
    half = stats.norm.ppf(0.975) * error.std() / 200**0.5
    assert found.loc["mae", ["low", "high"]].tolist() == pytest.approx(
        [error.mean() - half, error.mean() + half], abs=0.01
    )
    text = said.astype({"y": str, "predicted": str})
    assert metrics_with_intervals(text, ["r2"], groups=None, **FEW)["value"][0] == found.loc["r2", "value"]


# --- what a store gives ----------------------------------------------------------------------------------------------


def test_predictions_of_a_store_are_compared_by_condition(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/results.db")
    y = np.arange(30) % 2
    names = [f"s{i}" for i in range(30)]
    for place, (method, seed, severity) in enumerate(
        (m, s, v) for m in ("raw", "ts2vec") for s in (0, 1) for v in (0, 0.4)
    ):
        scores = np.random.default_rng(place).normal(size=(30, 2)) + (1 - severity) * np.eye(2)[y]
        cell = {**CELL, "method": method, "seed": seed, "corruption": "mcar", "severity": severity, "corrupt": "both"}
        store.add(str(place), cell, predictions=Predictions(names, y, scores.argmax(axis=1), scores, [0, 1]))
    said = store.predictions()
    found = metrics_with_intervals(said, ["auroc"], **FEW)
    assert found[["method", "severity"]].to_numpy().tolist() == [
        ["raw", 0],
        ["raw", 0.4],
        ["ts2vec", 0],
        ["ts2vec", 0.4],
    ]
    assert set(found["cells"]) == {2} and found["corruption"].tolist() == ["none", "mcar"] * 2
    compared = differences_with_intervals(said, "raw", ["auroc"], **FEW)
    assert compared["severity"].tolist() == [0, 0.4] and set(compared["method"]) == {"ts2vec"}
    values = found.set_index(["method", "severity"])["value"]
    assert compared["difference"].tolist() == pytest.approx((values["ts2vec"] - values["raw"]).tolist())


def test_classes_of_other_data_sets_are_left_out_and_data_sets_do_not_meet():
    other = patients(30, seed=1).rename(columns={"score:0": "score:a", "score:1": "score:b"})
    other["y"], other["predicted"] = (other[name].map({"0": "a", "1": "b"}) for name in ("y", "predicted"))
    both = pd.concat([patients(40).assign(dataset="one"), other.assign(dataset="two")])
    found = metrics_with_intervals(both, ["auroc"], **FEW)
    assert found["n"].tolist() == [40, 30]
    for dataset, alone in [("one", patients(40)), ("two", other)]:
        expected = metrics_with_intervals(alone, ["auroc"], **FEW)
        columns = ["value", "low", "high", "events"]
        assert (
            found.loc[found["dataset"] == dataset, columns].to_numpy().tolist() == expected[columns].to_numpy().tolist()
        )


def test_groups_and_splits_are_those_of_each_test_set():
    """One data set of a store has patients and another none; an official test part is not the pool of the folds."""
    grouped, plain = patients(30, recordings=2).assign(dataset="one"), patients(40).assign(dataset="two", group=None)
    found = metrics_with_intervals(pd.concat([grouped, plain]), ["auroc"], **FEW)
    assert found[["n", "groups"]].to_numpy().tolist() == [[60, 30], [40, 40]]
    folds = patients(60).assign(split="stratified_kfold", fold=np.arange(60) % 2)
    official = folds.iloc[::3].assign(split="official", fold=0)
    both = metrics_with_intervals(pd.concat([folds, official]), ["auroc"], **FEW)
    alone = metrics_with_intervals(official, ["auroc"], **FEW)
    assert both["split"].tolist() == ["stratified_kfold", "official"]
    assert both.loc[1, ["low", "high"]].tolist() == alone.loc[0, ["low", "high"]].tolist()


def test_decision_values_are_refused_by_name_and_left_out_otherwise():
    svm = patients().assign(method="raw", probe="svm")
    svm[["score:0", "score:1"]] = np.stack([-4 * svm["score:1"] + 2, 4 * svm["score:1"] - 2], axis=1)
    both = pd.concat([svm, patients().assign(method="raw", probe="logistic")])
    with pytest.raises(ValueError, match=r"brier_score needs probabilities.*\(predictions of raw, svm\)"):
        metrics_with_intervals(both, ["brier_score"])
    found = metrics_with_intervals(both, **FEW)
    of_svm = found[found["probe"] == "svm"]["metric"].tolist()
    assert "auroc" in of_svm and "brier_score" not in of_svm
    assert "brier_score" in found[found["probe"] == "logistic"]["metric"].tolist()


def test_the_event_may_be_named():
    said = patients().rename(columns={"score:1": "score:died", "score:0": "score:survived"})
    said = said[[*said.columns[:4], "score:died", "score:survived"]]  # sorted, as a probe has them
    for name in ("y", "predicted"):
        said[name] = said[name].map({"0": "survived", "1": "died"})
    first, named = (metrics_with_intervals(said, positive=event, **FEW).set_index("metric") for event in (None, "died"))
    assert set(first["positive"]) == {"survived"} and set(named["positive"]) == {"died"}
    assert first["events"].iloc[0] == 36 and named["events"].iloc[0] == 24
    np.testing.assert_allclose(named["value"], metrics_with_intervals(patients(), **FEW)["value"])
    for one, other in [("sensitivity", "specificity"), ("ppv", "npv"), ("auroc", "auroc")]:
        assert first.loc[one, "value"] == pytest.approx(named.loc[other, "value"])
    assert first.loc["auprc", "value"] > named.loc["auprc", "value"]
    with pytest.raises(ValueError, match="positive='dead' is none of the classes 'died', 'survived'"):
        metrics_with_intervals(said, positive="dead", **FEW)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f.drop(columns="group"), {}, "no column 'group'.*groups=None takes all samples as independent"),
        (lambda f: f.drop(columns="y"), {}, "no column 'y'; they have sample"),
        (lambda f: f.iloc[:0], {}, "there are no predictions"),
        (lambda f: f.assign(y=[None, *f["y"][1:]]), {}, "1 of 60 predictions have no label y"),
        (lambda f: f.assign(group=[None, *f["group"][1:]]), {}, r"missing for some samples \('s000'\)"),
        (lambda f: pd.concat([f, f.iloc[:2]]), {}, r"'s000', 's001' stands more than once in the cell the only cell"),
        (lambda f: pd.concat([f.assign(seed=0), f.assign(seed=1, y="1")]), {}, "'s024', .* has several labels"),
        (lambda f: pd.concat([f.assign(seed=0), f.assign(seed=1, group="p1")]), {}, "has several groups"),
        (
            lambda f: f.assign(**{"score:1": [np.nan, *f["score:1"][1:]]}),
            {},
            "cell the only cell: scores must be finite; 1",
        ),
        (lambda f: f.assign(predicted="9"), {}, "y_pred holds 9, which is not among the classes"),
        (lambda f: f.drop(columns=["score:0", "score:1"]).assign(y="ill"), {}, "the only cell: Unable to parse"),
        (lambda f: f, {"metrics": "auroc"}, "metrics is a list of metrics, at least one; got 'auroc'"),
        (lambda f: f, {"metrics": []}, r"at least one; got \[\]: write \['auroc'\]"),
        (lambda f: f, {"auroc_interval": "wald"}, "auroc_interval='wald' is unknown"),
        (lambda f: f, {"confidence": 95}, "confidence=95"),
        (lambda f: f, {"by": ["method"]}, "no column 'method'"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(change, options, message):
    with pytest.raises(ValueError, match=message):
        metrics_with_intervals(change(patients()), **{"n_resamples": 5, **options})


# --- DeLong ----------------------------------------------------------------------------------------------------------


def test_delong_stands_for_the_bootstrap_where_it_may():
    said = patients(120)
    found = metrics_with_intervals(said, ["auroc", "auprc"], auroc_interval="delong", **FEW).set_index("metric")
    expected = delong_interval(said["y"] == "1", said["score:1"])
    assert found.loc["auroc", ["value", "low", "high"]].tolist() == pytest.approx(list(expected))
    assert found["interval"].tolist() == ["delong (logit)", "bootstrap"]
    percentiles = metrics_with_intervals(said, ["auroc"]).loc[0, ["low", "high"]].tolist()
    assert percentiles == pytest.approx(list(expected[1:]), abs=0.015)  # both are right at this size
    seeds = pd.concat([patients(120, seed=s).assign(seed=s) for s in (0, 1)])
    mean = metrics_with_intervals(seeds, ["auroc"], auroc_interval="delong", **FEW).loc[0]
    scores = np.stack([patients(120, seed=s)["score:1"] for s in (0, 1)], axis=1)
    assert mean[["value", "low", "high"]].tolist() == pytest.approx(list(delong_interval(said["y"] == "1", scores)))


def test_delong_is_refused_where_samples_are_not_independent_or_not_the_same():
    ask = {"metrics": ["auroc"], "auroc_interval": "delong", **FEW}
    with pytest.raises(ValueError, match="some patients have several"):
        metrics_with_intervals(patients(recordings=2), **ask)
    folds = pd.concat([patients().iloc[f::2].assign(fold=f) for f in (0, 1)])
    with pytest.raises(ValueError, match="not of folds"):
        metrics_with_intervals(folds, **ask)
    assert metrics_with_intervals(patients(10, prevalence=0), **ask)["low"].isna().all()


# --- differences -----------------------------------------------------------------------------------------------------


def two_methods(n=80, gain=0.0, seed=0, recordings=1):
    """Two methods that find the same patients hard."""
    raw = patients(n, seed=seed, recordings=recordings).assign(method="raw", probe="svm")
    noise = np.random.default_rng([seed, 1]).normal(scale=0.3, size=len(raw))
    p = stats.norm.cdf(stats.norm.ppf(raw["score:1"]) + noise + gain * ((raw["y"] == "1") - 0.5))
    return pd.concat([raw, raw.assign(method="ours", **{"score:1": p, "score:0": 1 - p})])


def test_a_difference_is_paired_in_every_resample():
    said = two_methods(gain=0.5)
    found = differences_with_intervals(said, "raw", ["auroc", "brier_score"], n_resamples=2000).set_index("metric")
    alone = metrics_with_intervals(said, ["auroc", "brier_score"], n_resamples=2000)
    assert (
        width(found)
        < 0.6 * alone.groupby("metric")[["low", "high"]].apply(lambda f: np.hypot(*width(f))).loc[found.index]
    ).all()
    y, (ours, raw) = said["y"][:80] == "1", (said[said["method"] == m]["score:1"] for m in ("ours", "raw"))
    test = delong_test(y, ours, raw)
    assert found.loc["auroc", "difference"] == pytest.approx(test.difference)
    assert found.loc["auroc", ["low", "high"]].tolist() == pytest.approx([test.low, test.high], abs=0.01)
    assert found.loc["auroc", "p"] == pytest.approx(test.p, abs=0.02)


def test_equal_methods_have_no_difference_and_the_sign_turns_with_the_reference():
    said = two_methods(gain=0.5)
    same = pd.concat([said[said["method"] == "raw"].assign(method=m) for m in ("raw", "twin")])
    nothing = differences_with_intervals(same, "raw", ["auroc"], **FEW).loc[0]
    assert nothing[["difference", "low", "high", "p"]].tolist() == [0, 0, 0, 1]
    one, other = (differences_with_intervals(said, m, ["auroc"], **FEW).loc[0] for m in ("raw", "ours"))
    assert one["difference"] == -other["difference"] and one["p"] == other["p"]
    assert (one["low"], one["high"]) == pytest.approx((-other["high"], -other["low"]))


def test_only_pairs_count():
    said = pd.concat([two_methods(seed=s).assign(seed=s) for s in (0, 1, 2)])
    said = said[(said["method"] != "raw") | (said["seed"] != 2)]  # the reference failed once
    found = differences_with_intervals(said, "raw", ["auroc"], **FEW)
    assert found["cells"].tolist() == [2]
    pairs = said[said["seed"] != 2]
    pd.testing.assert_frame_equal(found, differences_with_intervals(pairs, "raw", ["auroc"], **FEW))


def test_a_reference_may_have_its_probe():
    said = two_methods()
    other = said.assign(probe="knn")
    both = pd.concat([said, other])
    found = differences_with_intervals(both, ("raw", "svm"), ["auroc"], **FEW)
    assert found[["method", "probe"]].to_numpy().tolist() == [["ours", "svm"], ["raw", "knn"], ["ours", "knn"]]
    assert found["difference"][1] == 0
    by_probe = differences_with_intervals(both, "raw", ["auroc"], **FEW)
    assert by_probe[["method", "probe"]].to_numpy().tolist() == [["ours", "svm"], ["ours", "knn"]]


def test_a_reference_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match=r"nothing to compare with 'rocket': there are predictions of ours, raw"):
        differences_with_intervals(two_methods(), "rocket", **FEW)
    with pytest.raises(ValueError, match=r"compare with 'raw / knn'.*ours / svm, raw / svm"):
        differences_with_intervals(two_methods(), ("raw", "knn"), **FEW)
    with pytest.raises(ValueError, match="compared by the columns method; there is no method"):
        differences_with_intervals(patients(), "raw", **FEW)


# --- how often intervals hold the truth ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("recordings", [1, 5])
def test_intervals_over_patients_cover_as_often_as_promised(recordings):
    truth = stats.norm.cdf(1 / np.sqrt(2))
    hits = {"group": [], None: []}
    for seed in range(300):
        said = patients(80, seed=seed, recordings=recordings, shared=0.8)
        for groups, found in hits.items():
            (row,) = metrics_with_intervals(said, ["auroc"], groups=groups, n_resamples=400).to_dict("records")
            found.append(row["low"] <= truth <= row["high"])
    assert np.mean(hits["group"]) == pytest.approx(0.94, abs=0.03)
    assert np.mean(hits[None]) < 0.8 if recordings > 1 else np.mean(hits[None]) > 0.9


@pytest.mark.slow
def test_a_difference_of_nothing_is_seldom_found():
    p = [
        differences_with_intervals(two_methods(60, seed=s), "raw", ["auroc"], n_resamples=400).loc[0]
        for s in range(300)
    ]
    # the second method has more noise, so its AUROC is a little lower: the interval holds that difference
    truth = stats.norm.cdf(1 / np.sqrt(2 * 1.09)) - stats.norm.cdf(1 / np.sqrt(2))
    assert np.mean([row["low"] <= truth <= row["high"] for row in p]) == pytest.approx(0.94, abs=0.03)
