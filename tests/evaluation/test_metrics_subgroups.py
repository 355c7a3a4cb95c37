"""Subgroups: the right samples, named where they are few, gaps with p-values that mean what they say."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kinview.evaluation import holm, metrics_with_intervals, subgroup_metrics
from test_metrics_intervals import FEW, patients


def known(n=60, seed=0, **columns):
    """What is known of the samples of ``patients(n)``: sex, age and site."""
    random = np.random.default_rng([seed, 7])
    names = [f"s{i:03}" for i in range(n)]
    made = {"sex": random.choice(["f", "m"], n), "site": random.choice([1, 2, 3], n), "age": random.uniform(20, 90, n)}
    return pd.DataFrame({**made, **columns}, index=names)


def worse_for_men(n=200, seed=0, gap=2.5):
    """Scores that say little of the men."""
    sex = np.where(np.arange(n) % 2, "m", "f")
    said = patients(n, seed=seed, signal=0)
    noise = stats.norm.ppf(said["score:1"])
    p = stats.norm.cdf(noise + (gap * (sex == "f") + 0.2) * ((said["y"] == "1") - 0.5))
    said = said.assign(**{"score:1": p, "score:0": 1 - p, "predicted": (p > 0.5).astype(int).astype(str)})
    return said, known(n, sex=sex)


def test_a_subgroup_is_measured_on_its_samples_alone():
    said, columns = patients(120), known(120)
    found = subgroup_metrics(
        said, columns, ["sex", {"age": [20, 50, 90]}], ["auroc", "ppv", "brier_score"], **FEW
    ).table
    assert found[["subgroup", "level"]].drop_duplicates().to_numpy().tolist() == [
        ["sex", "f"], ["sex", "m"], ["age", "[20, 50)"], ["age", "[50, 90]"],
    ]  # fmt: skip
    for (subgroup, level), rows in found.groupby(["subgroup", "level"]):
        member = columns["sex"] == level if subgroup == "sex" else (columns["age"] < 50) == (level == "[20, 50)")
        alone = metrics_with_intervals(said[member.to_numpy()], ["auroc", "ppv", "brier_score"], **FEW)
        np.testing.assert_allclose(rows["value"], alone["value"])
        assert (
            rows[["n", "events", "groups"]].to_numpy().tolist() == alone[["n", "events", "groups"]].to_numpy().tolist()
        )
        of_both = (
            rows["metric"].isin(["auroc", "brier_score"]).to_numpy()
        )  # ppv varies with the events of a subgroup too
        np.testing.assert_allclose(
            (rows["high"] - rows["low"])[of_both], (alone["high"] - alone["low"])[of_both], rtol=0.35
        )


def test_columns_follow_the_names_of_the_samples():
    said, columns = patients(40), known(40)
    expected = subgroup_metrics(said, columns, ["sex", "site"], ["accuracy"], **FEW)
    shuffled = columns.sample(frac=1, random_state=0)
    named = shuffled.rename_axis("sample").reset_index()
    larger = pd.concat([shuffled, known(3).set_axis(["other1", "other2", "other3"])])
    for other in (shuffled, named, larger):
        for one, two in zip(subgroup_metrics(said, other, ["sex", "site"], ["accuracy"], **FEW), expected, strict=True):
            pd.testing.assert_frame_equal(one, two)
    assert set(expected.table["level"]) == {"f", "m", "1", "2", "3"}


def test_bands_hold_their_lower_edge_and_the_last_one_both():
    columns = known(60, age=np.repeat([0, 40, 64.9, 65, 120, 30], 10))
    found = subgroup_metrics(patients(), columns, [{"age": [0, 40, 65, 120]}], ["accuracy"], **FEW).table
    assert dict(zip(found["level"], found["n"], strict=True)) == {"[0, 40)": 20, "[40, 65)": 20, "[65, 120]": 20}


def test_samples_without_a_value_are_a_subgroup_and_none_is_lost():
    sex = np.array(["f", "m", None], dtype=object)[np.arange(60) % 3]
    age = np.where(np.arange(60) % 4, np.arange(60.0), np.nan)
    columns = known(sex=sex, age=age)
    for nullable in (columns, columns.convert_dtypes(), columns.astype({"sex": "category"})):
        found = subgroup_metrics(patients(), nullable, ["sex", {"age": [0, 30, 60]}], ["accuracy"], **FEW).table
        assert dict(zip(found["level"][:3], found["n"][:3], strict=True)) == {"f": 20, "m": 20, "(missing)": 20}
        assert found["n"][3:].sum() == 60 and found["level"].tolist()[-1] == "(missing)"


def test_small_subgroups_are_shown_and_named_and_not_compared():
    site = np.array(["A", "B"])[np.arange(60) % 2].astype(object)
    site[:3] = "C"  # the first of `patients` have the outcome
    found = subgroup_metrics(patients(), known(site=site), ["site"], ["auroc", "accuracy"], **FEW)
    of_c = found.table[found.table["level"] == "C"].set_index("metric")
    assert of_c["n"].tolist() == [3, 3] and of_c["events"].tolist() == [3, 3]
    assert np.isnan(of_c.loc["auroc", "value"]) and 0 <= of_c.loc["accuracy", "value"] <= 1
    assert of_c.loc["accuracy", "note"].startswith("too small, 3 patients with and 0 without the outcome")
    assert set(found.gaps["worst"]) | set(found.gaps["highest"]) | set(found.gaps["lowest"]) <= {"A", "B"}
    assert found.gaps["note"][0] == "not compared: C: too small, 3 patients with and 0 without the outcome"
    alone = subgroup_metrics(patients(), known(site=site), ["site"], ["auroc"], least=25, **FEW).gaps.loc[0]
    assert np.isnan(alone["gap"]) and np.isnan(alone["p_holm"]) and alone["worst"] == ""
    assert alone["note"].startswith("fewer than two subgroups are large enough; not compared: A: too small, 1")


def test_patients_count_not_their_recordings():
    said = patients(30, recordings=10)
    columns = known(300, site=np.where(np.arange(300) < 60, "A", "B"))  # six patients
    found = subgroup_metrics(said, columns, ["site"], ["accuracy"], **FEW).table
    assert "too small, 6 patients with and 0 without" in found["note"][0]


def test_a_planted_gap_is_found_with_its_worst_group():
    said, columns = worse_for_men()
    found = subgroup_metrics(said, columns, ["sex", "site"], ["auroc", "brier_score"])
    gaps = found.gaps.set_index(["subgroup", "metric"])
    for metric in ("auroc", "brier_score"):
        of_sex = gaps.loc[("sex", metric)]
        assert of_sex["worst"] == "m" and of_sex["p_holm"] < 0.05 and of_sex["low"] > 0
        assert gaps.loc[("site", metric), "p_holm"] > 0.05
    assert (gaps.loc[("sex", "auroc"), "lowest"], gaps.loc[("sex", "brier_score"), "highest"]) == ("m", "m")
    values = found.table.set_index(["level", "metric"])["value"]
    assert gaps.loc[("sex", "auroc"), "gap"] == pytest.approx(values["f", "auroc"] - values["m", "auroc"])
    np.testing.assert_allclose(gaps["p_holm"], holm(gaps["p"]))


def test_the_worst_of_a_slope_is_the_farthest_from_one():
    said, columns = worse_for_men(gap=0)
    timid = columns["sex"].to_numpy() == "m"
    odds = stats.norm.ppf(said["score:1"])
    p = stats.norm.cdf(np.where(timid, 0.2, 1.2) * (0.7 * odds + 1.4 * ((said["y"] == "1") - 0.5)))
    said = said.assign(**{"score:1": p, "score:0": 1 - p})
    found = subgroup_metrics(said, columns, ["sex"], ["calibration_slope"], **FEW).gaps.loc[0]
    assert (found["worst"], found["highest"]) == ("m", "m")  # too timid: a slope far above 1


def test_methods_and_conditions_have_subgroups_of_their_own():
    said = pd.concat([patients(seed=s).assign(method=m, severity=v, corruption="mcar", seed=s)
                      for s in (0, 1) for m in ("raw", "ts2vec") for v in (0.0, 0.4)])  # fmt: skip
    found = subgroup_metrics(said, known(), ["sex"], ["auroc", "accuracy"], **FEW)
    assert len(found.table) == 4 * 2 * 2 and len(found.gaps) == 4 * 2 and set(found.table["cells"]) == {2}
    for _, rows in found.gaps.groupby(["method", "severity"]):
        np.testing.assert_allclose(rows["p_holm"], holm(rows["p"]))


def test_a_fold_without_the_subgroup_is_left_out():
    columns = known(site=np.where(np.arange(60) % 2, "A", "B"))
    folds = pd.concat([patients().iloc[f::2].assign(fold=f) for f in (0, 1)])  # a site each
    found = subgroup_metrics(folds, columns, ["site"], ["accuracy"], **FEW).table
    assert found["cells"].tolist() == [1, 1] and found["n"].tolist() == [30, 30]


@pytest.mark.parametrize(
    ("subgroups", "change", "message"),
    [
        ([], {}, r"subgroups is a list of columns and bands, at least one; got \[\]"),
        ("sex", {}, "at least one; got 'sex'"),
        (["weight"], {}, "there is no column 'weight' for subgroups; there are 'sex', 'site', 'age'"),
        (["age"], {}, r"'age' holds 60 different numbers; cut it into bands, for example \{age: \[0, 40, 65, 120\]\}"),
        ([{"age": [30, 60]}], {}, r"values of 'age' lie outside 30 to 60, such as .*; widen the bands"),
        ([{"age": [60, 30]}], {}, r"the edges of the bands of 'age' have to ascend"),
        ([{"age": [60]}], {}, "at least two of them"),
        ([{"sex": [0, 1]}], {}, "'sex' is to be cut into bands and holds '[fm]', no number"),
        ([{"sex": [0, 1], "age": [0, 1]}], {}, "a subgroup is a column, or a mapping of one column"),
        (
            ["sex"],
            {"index": [f"s{i:03}" for i in range(59)] + ["x"]},
            "1 of 60 samples are not among the columns .*'s059'",
        ),
        (["sex"], {"index": ["s000"] * 2 + [f"s{i:03}" for i in range(1, 59)]}, "samples more than once: 's000'"),
    ],
)
def test_subgroups_that_make_no_sense_are_refused(subgroups, change, message):
    columns = known().set_axis(change["index"]) if change else known()
    with pytest.raises(ValueError, match=message):
        subgroup_metrics(patients(), columns, subgroups, ["auroc"], n_resamples=5)


@pytest.mark.slow
def test_a_gap_by_chance_is_as_seldom_found_as_promised():
    p = []
    for seed in range(300):
        columns = known(150, seed=seed)
        found = subgroup_metrics(patients(150, seed=seed), columns, ["site"], ["auroc"], n_resamples=400).gaps
        p.append(found["p"][0])
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(p) == pytest.approx(0.5, abs=0.07)


def test_whole_numbers_have_no_fraction_whatever_a_gap_made_of_them():
    columns = known(60)
    columns["ward"] = np.where(np.arange(60) % 3 == 0, 1.0, 2.0)
    columns.loc[columns.index[4], "ward"] = np.nan
    found = subgroup_metrics(patients(60), columns, ["ward"], ["accuracy"], **FEW).table
    assert found["level"].unique().tolist() == ["1", "2", "(missing)"]
