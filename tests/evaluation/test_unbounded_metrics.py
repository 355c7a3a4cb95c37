"""Metrics without a bound: one cell in which a model went astray decides no verdict, rank or average."""

import numpy as np
import pandas as pd
import pytest

from kinview.evaluation import Report, compare_methods, format_table, paired_difference_over_datasets
from kinview.evaluation.metrics.table import METRICS, is_unbounded
from kinview.evaluation.over_datasets import LEAST_DATASETS
from kinview.evaluation.report.figures import _bulk
from kinview.evaluation.report.html import render_report
from kinview.evaluation.report.latex import render_latex
from kinview.evaluation.report.markdown import render_markdown
from kinview.evaluation.statistics import median_interval


def frame_of(metric, *, sets=8, astray=-40.0, sign=1.0):
    """``ours`` is better than ``raw`` by 0.05 and a bit in every cell, but for one that went astray."""
    rows = [
        {"dataset": f"set {d}", "modality": "tabular", "method": method, "probe": probe, "seed": seed, "status": "ok",
         "corruption": "mcar" if rate else None, "severity": rate or None, "corrupt": "both" if rate else None,
         metric: sign * (0.5 + 0.02 * d - rate + gain + 0.001 * d * (gain > 0))}
        for d in range(sets) for probe in ("ridge", "knn") for rate in (0.0, 0.1, 0.3) for seed in range(3)
        for method, gain in (("raw", 0.0), ("scarf", 0.05))
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    cell = (frame["dataset"] == "set 0") & (frame["method"] == "scarf") & (frame["severity"] == 0.3)
    frame.loc[frame.index[cell & (frame["probe"] == "ridge")][0], metric] = sign * astray
    return frame


@pytest.mark.parametrize(("metric", "sign"), [("r2", 1.0), ("rmse", -1.0)])
def test_one_cell_astray_decides_no_verdict(metric, sign):
    frame = frame_of(metric, sign=sign)
    (row,) = Report(frame, metric=metric).compared["verdicts"]
    assert (row["words"], row["wins"], row["losses"]) == ("beats raw", 8, 0)
    if metric == "rmse":  # in units of what is predicted: counted, not averaged
        assert np.isnan(row["difference"]) and row["p"] == pytest.approx(2 / 2**8)
        assert compare_methods(frame, metric=metric).ranks.to_dict() == {"scarf": 1.0, "raw": 2.0}
        return
    assert sign * row["difference"] == pytest.approx(0.0535)
    (clean,) = Report(frame_of(metric, sign=sign, astray=0.15), metric=metric).compared["verdicts"]
    assert row["difference"] == pytest.approx(clean["difference"], abs=1e-3)
    found = compare_methods(frame, metric=metric)
    assert found.ranks.to_dict() == {"scarf": 1.0, "raw": 2.0}
    assert sign * found.pairs["difference"][0] == pytest.approx(0.0535)


def test_a_metric_with_bounds_is_averaged_by_means():
    frame = frame_of("accuracy", astray=0.0)
    found = paired_difference_over_datasets(frame, "raw", by=["method"]).iloc[0]
    cells = frame.set_index(["method", "dataset", "probe", "severity", "seed"])["accuracy"].unstack("method")
    assert found["difference"] == pytest.approx((cells["scarf"] - cells["raw"]).mean())
    (row,) = Report(frame).compared["verdicts"]
    assert row["difference"] == pytest.approx(found["difference"])
    assert "has no bound" not in render_markdown(Report(frame))


def test_the_report_says_that_averages_are_medians():
    frame = frame_of("r2")
    report = Report(frame, metric="r2", reference="raw")
    for text in (render_markdown(report), render_latex(report), render_report(frame, metric="r2", reference="raw")):
        assert "edian difference" in text and "has no bound" in text
        assert "ean difference" not in text.replace("Bayesian", "") and "t interval over data sets" not in text
        assert "median over 8 data sets" in text
    assert "scarf beats raw (median difference +0.05" in " ".join(format_table(frame, "r2").split())
    assert "median" in render_markdown(report).split("Methods paragraph")[1]


def test_the_interval_of_a_median_covers_it_as_often_as_it_says():
    generator = np.random.default_rng(0)
    for n in (6, 9, 20):
        drawn = np.array([median_interval(generator.standard_cauchy(n)) for _ in range(2000)])
        covered = ((drawn[:, 0] <= 0) & (drawn[:, 1] >= 0)).mean()
        assert 0.94 < covered < 0.995
    assert np.isnan(median_interval(range(LEAST_DATASETS - 1))).all()
    assert median_interval(range(LEAST_DATASETS)) == (0.0, 5.0)
    assert median_interval([1.0, np.nan, 2, 3, 4, 5, 6]) == (1.0, 6.0)
    with pytest.raises(ValueError, match="confidence"):
        median_interval([1.0], 1.5)


def test_the_metrics_without_a_bound_are_those_of_an_infinite_range():
    assert {"r2", "rmse", "mae"} <= {name for name in METRICS if is_unbounded(name)}
    assert not {"accuracy", "auroc", "brier", "ece"} & {name for name in METRICS if is_unbounded(name)}


def one_astray(metric="r2"):
    """Two data sets, three seeds: on one a seed of ``random_init`` went far astray."""
    values = {
        ("stays", "raw"): (0.40, 0.41, 0.42), ("stays", "random_init"): (-896.3, -5.28, -4.80),
        ("stays", "scarf"): (-0.5, -0.6, -0.7), ("diabetes", "raw"): (0.30, 0.31, 0.32),
        ("diabetes", "random_init"): (-1.2, -1.78, -3.4), ("diabetes", "scarf"): (-0.9, -0.95, -1.0),
    }  # fmt: skip
    return pd.DataFrame([
        {"dataset": dataset, "modality": "tabular", "method": method, "probe": "linear", "seed": seed, "status": "ok",
         "corruption": "mcar" if rate else None, "severity": rate or None, "corrupt": "both" if rate else None,
         metric: value if rate or method != "random_init" else 0.1 + 0.01 * seed}
        for (dataset, method), seeds in values.items() for seed, value in enumerate(seeds) for rate in (0.0, 0.4)
    ])  # fmt: skip


def test_tables_and_their_rows_over_data_sets_are_medians_over_seeds():
    report = Report(one_astray(), metric="r2")
    (table,) = report.tables
    rows = {
        group["name"]: {row["method"]: row["cells"][1]["entry"] for row in group["rows"]} for group in table["groups"]
    }
    assert rows["stays"]["random_init"].text == "-5.280 (-896.300 to -4.800)"
    assert rows["median over 2 data sets"]["random_init"].text == "-3.530"
    page = render_report(one_astray(), metric="r2")
    assert "-3.530" in page and "302" not in page and "median (lowest to highest) over 3 seeds" in page
    text = render_markdown(report)
    assert "median (lowest to highest) over 3 seeds" in text and "±" not in text
    assert "r2 on the test set, median (lowest to highest) over 3 seeds" in format_table(one_astray(), "r2")


def test_differences_of_single_conditions_are_medians_over_seeds():
    lookup = Report(one_astray(), metric="r2").compared["lookup"]
    row = next(
        row
        for key, row in lookup.items()
        if key[0] == "stays" and "mcar" not in key[3] and key[4] == "random_init" and "40" in key[3]
    )
    assert row["difference"] == pytest.approx(4.68)
    assert np.isnan(row["low"]) and row["verdict"] == "higher"  # of three seeds there is no interval of a median


def test_a_figure_shows_the_bulk_and_says_what_lies_beyond():
    frame = one_astray()
    build = Report(frame, metric="r2").figures()["degradation_stays"]
    figure, about = build()
    low, high = figure.axes[0].get_ylim()
    assert low > -20 and high < 5
    assert "values reach from -896" in about
    assert "values reach from -896" in render_report(frame, metric="r2")
    lines = {round(float(line.get_ydata()[-1]), 2) for line in figure.axes[0].lines}
    assert -5.28 in lines
    assert (
        Report(frame.assign(accuracy=0.5 + 0.001 * frame["r2"].clip(-1)), metric="accuracy")
        .figures()["degradation_stays"]()
        .figure.axes[0]
        .get_ylim()[0]
        > 0
    )


def test_pairs_of_methods_and_the_verdict_use_one_statistic():
    """The median of paired differences: 0.1 here, where the difference of the medians is -0.2."""
    rows = [
        {"dataset": f"set {d}", "modality": "tabular", "method": method, "probe": "ridge", "seed": seed, "status": "ok",
         "r2": value}
        for d in range(2) for method, values in (("raw", (0.0, 0.5, 0.6)), ("scarf", (0.3, 0.6, 0.2)))
        for seed, value in enumerate(values)
    ]  # fmt: skip
    report = Report(pd.DataFrame(rows), metric="r2")
    (verdict,), (compared,) = report.compared["verdicts"], report.all_methods
    assert verdict["difference"] == pytest.approx(0.1)
    assert compared.found.pair("scarf", "raw")["difference"] == pytest.approx(0.1)
    assert compare_methods(pd.DataFrame(rows), metric="r2").pair("raw", "scarf")["difference"] == pytest.approx(-0.1)


def test_methods_may_be_called_like_columns():
    frame = pd.DataFrame([
        {"dataset": name, "method": method, "probe": "ridge", "seed": seed, "r2": 0.5 + 0.01 * place + 0.1 * better}
        for place, name in enumerate("abcdef") for better, method in enumerate(("raw", "seed", "fold"))
        for seed in (0, 1)
    ])  # fmt: skip
    found = compare_methods(frame, metric="r2").pair("seed", "raw")
    assert found["difference"] == pytest.approx(0.1) and found["wins"] == 6


def test_averages_that_are_one_leave_the_axis_a_height():
    curve = pd.DataFrame({"mean": [0.5] * 19 + [-40.0], "low": [0.4] * 19 + [-90.0], "high": [0.6] * 19 + [0.0]})
    low, high = _bulk([("missing values", "severity", curve)], "r2")
    assert low < 0.5 < high and low > -40
    assert _bulk([("missing values", "severity", curve.assign(low=0.5, high=0.5))], "r2") is None


def test_ties_and_the_test_count_the_same_differences():
    frame = pd.DataFrame([
        {"dataset": name, "method": method, "probe": "ridge", "seed": 0, "accuracy": 0.5 + better}
        for name in "abcdef" for method, better in (("raw", 0.0), ("a", 7e-13), ("b", 4e-13))
    ])  # fmt: skip
    found = compare_methods(frame)
    assert found.pair("a", "raw")["wins"] == 6 and found.pair("a", "raw")["p"] < 0.05
    assert found.pair("b", "raw")["ties"] == 6 and not found.pair("b", "raw")["p"] < 1
