"""What a report says of data sets, labels, cost and how it was made: only what the store holds."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import average_precision_score, roc_auc_score

from kinview.evaluation import Benchmark, Report, Store, run
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.described import costs, data_sets, transitions
from kinview.evaluation.report.figures import class_styles, method_styles
from kinview.evaluation.report.figures_of_predictions import (
    ProbeCurves,
    calibration_curve,
    curves_of_predictions,
    precision_recall_curve,
    read_curves,
    roc_curve,
)
from kinview.evaluation.report.from_predictions import tables_of_predictions
from kinview.evaluation.report.html import render_report
from kinview.evaluation.report.markdown import render_markdown
from test_report import Page, results_frame


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small benchmark that was really run, on two data sets of two and three classes."""
    folder = tmp_path_factory.mktemp("described")
    benchmark = Benchmark(
        "small", ["breast_cancer", "wine"], [{"scarf": {"trainer": {"max_steps": 2}}}], controls=["raw"],
        probes=["ridge"],
        label_noise=["symmetric"], label_noise_rates=[0.2], label_fractions=[0.5, 1.0], corruptions=["mcar"],
        severities=[0.3], pretrain_on="clean", seeds=[0, 1],
    )  # fmt: skip
    store = Store(f"{folder}/results.db")
    run(benchmark, store, cache_dir=folder / "cache")
    return benchmark, store


@pytest.fixture(scope="module")
def report(finished):
    _, store = finished
    return Report(store.frame(), predictions=store.predictions())


def test_a_benchmark_is_made_again_from_its_cells(finished, report):
    """The configuration that a report shows, where it was given none, plans the very cells of the store."""
    benchmark, store = finished
    again = Benchmark.from_config(yaml.safe_load(report.made["reconstructed"]))
    assert (
        {cell.key for cell in again.cells()} == set(store.frame()["hash"]) == {cell.key for cell in benchmark.cells()}
    )
    assert report.made["reconstructed"] in render_markdown(report)


def test_data_sets_are_described_as_they_were_used(finished, report):
    _, store = finished
    rows = {row["name"]: row for row in report.data_sets}
    said = store.predictions()
    for name, row in rows.items():
        own = said[said["dataset"] == name].drop_duplicates("sample")
        assert row["test"] == str(len(own)) and row["kind"] == "tables"
        assert row["classes"] == ", ".join(f"{k}: {n}" for k, n in own["y"].value_counts().sort_index().items())
        assert 0 < int(row["train"]) < 600 and row["groups"] == ""
    assert all(row["test"] == "" for row in data_sets(report.results, None))


def test_noise_is_shown_as_it_was_realised(report):
    found = transitions(report.results)
    assert [(one["dataset"], one["condition"]) for one in found] == [
        ("breast_cancer", "label noise 20\xa0%"), ("wine", "label noise 20\xa0%"),
    ]  # fmt: skip
    cells = report.results.cells
    for one in found:
        noisy = cells[(cells["dataset"] == one["dataset"]) & (cells["label_noise"] != "none")]
        assert one["rate"] == pytest.approx(noisy["realised_noise"].mean())
        drawn = [np.array(json.loads(text)["counts"]) for text in noisy.drop_duplicates("seed")["realised_transition"]]
        wanted = sum(drawn) / sum(drawn).sum(axis=1, keepdims=True)
        np.testing.assert_allclose([row["fractions"] for row in one["rows"]], wanted)
        assert one["samples"] == sum(drawn).sum()


def test_folds_that_lack_a_class_are_summed_by_their_labels():
    frame = results_frame({"wine": 54}, ["raw"], ("svm",), (0, 1))
    drawn = [
        {"classes": ["a", "b"], "counts": [[3, 1], [0, 4]]},
        {"classes": ["b", "c"], "counts": [[2, 2], [1, 3]]},
    ]
    frame["realised_transition"] = [
        json.dumps(drawn[seed]) if rate == 0.2 else None
        for seed, rate in zip(frame["seed"], frame["label_noise_rate"], strict=True)
    ]
    (one,) = Report(frame).transitions
    assert one["classes"] == ["a", "b", "c"] and one["rate"] == pytest.approx(4 / 16)
    assert [row["fractions"] for row in one["rows"]] == [[0.75, 0.25, 0], [0, 0.75, 0.25], [0, 0.25, 0.75]]


def test_cost_is_that_of_the_stored_seconds(report):
    cells = report.results.cells
    for row in costs(report.results):
        own = cells[(cells["method"] == row["method"]) & (cells["probe"] == row["probe"])]["seconds"]
        assert (row["median"], row["total"], row["cells"]) == pytest.approx((own.median(), own.sum(), len(own)))
    assert len(report.cost_rows) == 2


def test_the_methods_paragraph_says_what_was_run_and_nothing_else(report):
    text, *references = report.methods_paragraph
    for said in (
        "2 data sets (breast_cancer and wine)", "Controls were raw", "by mcar at 30 %", "by symmetric noise at 20 %",
        "Budgets kept 50 %", "One factor was varied at a time", "the probe ridge", "2 seeds",
        "Representations of scarf(trainer.max_steps=2) [1] were", "on 2 data sets, and a test needs 6",
    ):  # fmt: skip
        assert said in text, said
    assert len(references) == 1 and references[0].startswith("[1] scarf: Bahri")
    plain = Report(results_frame({"wine": 54}, ["raw", "scarf"], ("svm",), (0,)).head(6).query("corruption.isna()"))
    text, *references = plain.methods_paragraph
    assert "removed" not in text and "noise" not in text and "Budgets" not in text
    assert [line.partition(":")[0] for line in references] == ["[1] scarf"]


def test_curves_are_found_whatever_the_predictions_call_method_and_probe(finished, report):
    """Predictions that know their cell go by it: a report has names of its own for methods and probes."""
    _, store = finished
    said = store.predictions().assign(probe="ridge(alpha=1.0)", method="scarf(max_steps=2)")
    again = Report(store.frame(), predictions=said).prediction_curves
    assert set(again) == set(report.prediction_curves) == {"breast_cancer", "wine"}
    for dataset, curves in report.prediction_curves.items():
        assert [one.probe for one in again[dataset]] == [one.probe for one in curves]


def test_the_methods_paragraph_tells_shifts_from_removal_names_sources_and_unequal_rates():
    frame = results_frame({"wine": 54}, ["raw", "scarf"], ("svm",), (0,)).query("corruption.notna()")
    (text, *_) = Report(frame.assign(corruption="noise")).methods_paragraph
    assert "Values of the training and test part were changed by noise at" in text and "removed" not in text
    assert "with pre-training on clean data" in text and "unequal" not in text
    (text, *_) = Report(frame.assign(severity_test=0.45)).methods_paragraph
    assert "in the training part and 45 % in the test part, unequal rates included" in text
    spec = json.dumps({"seed": 0, "environment": {}, "sources": [["iris", "f", ""], ["digits", "g", ""]]})
    report = Report(frame.assign(spec=spec, pretrain_on="corrupted"))
    assert "pre-trained on iris and digits instead of the data set itself" in report.methods_paragraph[0]
    assert "corrupted data" not in report.methods_paragraph[0]
    page = render_report(report.frame)
    assert "corrupted data" not in page and "Pre-training saw" not in page


# --- curves of predictions -------------------------------------------------------------------------------------------


def scores(seed, n=400, ties=False):
    random = np.random.default_rng(seed)
    positive = random.random(n) < 0.3
    score = random.normal(positive * 1.0, 1.0)
    return (score.round(1) if ties else score), positive


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_under_a_curve_is_that_of_scikit_learn(ties):
    for seed in range(5):
        score, positive = scores(seed, ties=ties)
        false, true = roc_curve(score, positive)
        assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(positive, score), abs=0.01)
        assert (np.diff(true) >= 0).all() and true[-1] == 1
        recall, precision = precision_recall_curve(score, positive)
        assert precision.mean() == pytest.approx(average_precision_score(positive, score), abs=0.01)
        assert precision[-1] >= positive.mean() - 1e-12 and recall[-1] == 1


def test_calibrated_probabilities_lie_on_the_line():
    random = np.random.default_rng(0)
    p = random.random(200_000)
    x, y = calibration_curve(p, random.random(200_000) < p)
    assert len(x) == 10
    np.testing.assert_allclose(y, x, atol=0.01)
    np.testing.assert_allclose(calibration_curve(np.full(50, 0.3), np.arange(50) % 2 == 0), [[0.3], [0.5]])


def test_curves_are_those_of_the_stored_predictions(finished, report):
    _, store = finished
    assert list(report.prediction_curves) == ["breast_cancer", "wine"]
    (two,), (three,) = report.prediction_curves.values()
    clean = report.results.cells[report.results.cells["condition"] == "clean"]
    for method, (false, true) in two.roc.items():
        own = clean[(clean["dataset"] == "breast_cancer") & (clean["method"] == method)]
        assert np.trapezoid(true, false) == pytest.approx(own["auroc"].mean(), abs=0.01)
    assert list(two.roc) == list(two.precision_recall) == list(two.calibration) == list(report.results.methods)
    for method, (false, true) in three.roc.items():  # of three classes each against the rest
        own = clean[(clean["dataset"] == "wine") & (clean["method"] == method)]
        assert np.trapezoid(true, false) == pytest.approx(own["auroc"].mean(), abs=0.01)
    assert three.positive is None and three.prevalence == pytest.approx(1 / 3)
    assert list(three.roc) == list(three.precision_recall) == list(three.calibration)
    assert store.frame()["label_fraction"].nunique() == 2  # budgets and noise have no part in them


def said_of(y, score):
    return pd.DataFrame({
        "dataset": "d", "method": "raw", "probe": "svm", "seed": 0, "fold": 0, "sample": list("abcd"), "group": None,
        "y": y, "predicted": "1", "score:0": [-one for one in score], "score:1": score,
    })  # fmt: skip


def test_what_is_not_defined_has_no_curve():
    assert read_curves(said_of(list("1111"), [1.0, 2.0, 3.0, 4.0]), ["raw"], ["svm"]) == []  # one class alone
    (one,) = read_curves(said_of(list("0101"), [1.0, 2.0, 3.0, 4.0]), ["raw"], ["svm"])
    assert one.roc and one.precision_recall and not one.calibration  # decision values are no probabilities
    assert one.positive == "1" and one.prevalence == 0.5


@pytest.mark.slow
def test_the_page_shows_all_of_it_and_no_name_of_a_sample(finished, report):
    _, store = finished
    text = render_report(store.frame(), predictions=store.predictions())
    page = Page(text)
    for heading in ("Curves of the predictions", "Noise of the training labels", "Cost", "Methods paragraph"):
        assert heading in page.text
    assert "Reconstructed from the cells of the store" in page.text
    assert not set(store.predictions()["sample"]) & set(page.text.split())


def test_subgroups_stand_in_the_page_as_they_were_computed(finished):
    _, store = finished
    samples = sorted(set(store.predictions()["sample"]))
    static = pd.DataFrame({"half": np.where(np.arange(len(samples)) % 2, "odd", "even")}, index=samples)
    options = {"subgroups": ["half"], "static": static, "n_resamples": 50}
    tables = tables_of_predictions(store, metrics=["accuracy", "balanced_accuracy"], **options)
    report = Report(store.frame(), subgroups=tables)
    found = {one["dataset"]: one for one in report.subgroup_tables}
    (part,) = found["wine"]["parts"]
    assert part["heads"] == ("method", "probe", "level", "n", "events", "Accuracy", "Balanced accuracy")
    chosen = tables.subgroups.query("dataset == 'wine' and level == 'odd' and metric == 'accuracy'")
    row = chosen[chosen["method"] == "raw"].iloc[0]
    shown = next(line for line in part["rows"] if line[0] == "raw" and line[2] == "odd")
    assert shown[5] == f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    text = render_markdown(report)
    assert "## Subgroups of wine by half" in text and shown[5] in text


def test_controls_and_methods_are_told_apart_by_more_than_a_shade():
    frame = pd.DataFrame({
        "dataset": "wine", "modality": "tabular", "probe": "svm", "seed": 0, "accuracy": 0.9,
        "method": ["raw", "pca", "random_init", "scarf", "vime"],
    })  # fmt: skip
    styles = method_styles(read_results(frame))
    assert styles["raw"].colour != styles["pca"].colour and styles["raw"].dashes != styles["pca"].dashes
    assert len({one.colour for one in styles.values()}) == len({one.marker for one in styles.values()}) == 5
    assert len({(one.colour, one.marker) for one in class_styles(40)}) == 40
    curve = {name: (np.linspace(0, 1, 101), np.linspace(0, 1, 101)) for name in styles}
    drawn = curves_of_predictions([ProbeCurves("svm", "b", curve, curve, {}, 0.5)], styles)
    lines = [line for line in drawn.figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert len({line.get_marker() for line in lines} - {"", "None"}) == 5
    assert len({line.get_markevery() for line in lines}) == 5


def test_subgroups_fit_the_page_and_undefined_gaps_are_a_sentence():
    from kinview.evaluation.report.from_predictions import PredictionTables, subgroup_tables

    names = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "mcc", "brier_score", "log_loss", "ppv")
    row = {"dataset": "visits", "method": "raw", "probe": "svm", "subgroup": "sex", "note": "", "low": np.nan}
    row |= {"high": np.nan}
    rows = pd.DataFrame([
        {**row, "level": level, "n": 20, "events": 5, "metric": name, "value": 0.5} for name in names for level in "FM"
    ])  # fmt: skip
    gaps = pd.DataFrame([
        {**row, "metric": name, "worst": "", "highest": "", "lowest": "", "gap": np.nan, "p_holm": np.nan}
        for name in names
    ])  # fmt: skip
    (found,) = subgroup_tables(PredictionTables(rows, None, rows, gaps, None, 0.95, 100))
    assert all(len(part["heads"]) <= 9 for part in found["parts"]) and len(found["parts"]) == 3
    assert sum(len(part["heads"]) - 5 for part in found["parts"]) == len(names)
    assert found["gaps"] == () and "No gap between the groups of sex is defined" in found["no_gaps"]
    (found,) = subgroup_tables(PredictionTables(rows, None, rows, gaps.assign(gap=0.1), None, 0.95, 100))
    assert len(found["gaps"]) == len(names) and not found["no_gaps"]
