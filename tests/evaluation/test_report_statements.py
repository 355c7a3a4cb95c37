"""What a report claims: only what was computed, done and asked of this very benchmark."""

import csv
import re

import pytest

from kinview.cli import main
from kinview.datasets.cuts import drawn_split
from kinview.evaluation import Benchmark, Report, Store, run
from kinview.evaluation.report.corruption_words import noise_words
from kinview.evaluation.report.figures import degradation_curves
from kinview.evaluation.report.html import render_html, render_report
from kinview.evaluation.report.latex import as_latex, render_latex
from kinview.evaluation.report.markdown import render_markdown
from kinview.evaluation.report.time_spent import time_spent
from test_report import Page, results_frame


def visits(path, rows=40):
    """A table of visits with groups and two classes."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["patient", "lactate", "pulse", "died"])
        table.writerows([f"p{i // 2}", i % 7 + i / 50, 60 + i % 11, i // 2 % 2] for i in range(rows))
    return path


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A benchmark on a bundled table, a table of one's own with groups, and an archived set of series."""
    folder = tmp_path_factory.mktemp("statements")
    own = {"path": str(visits(folder / "visits.csv")), "label": "died", "group": "patient", "test_fraction": 0.25}
    learned = [{"scarf": {"trainer": {"max_steps": 2}}}, {"ts2vec": {"trainer": {"max_steps": 2}}}]
    benchmark = Benchmark(
        "cuts", ["wine", {"visits": own}, "italy_power_demand"], learned, controls=["raw"], probes=["centroid"],
        corruptions=["mcar"], severities=[0.2], seeds=[0],
    )  # fmt: skip
    store = Store(f"{folder}/results.db")
    run(benchmark, store, cache_dir=folder / "cache", progress=False)
    return store


def many(number, **options):
    return results_frame({f"set {i}": 90 for i in range(number)}, probes=("svm",), seeds=(0, 1), **options)


# --- tests over data sets --------------------------------------------------------------------------------------------


def test_the_paragraph_names_the_tests_that_were_computed_and_no_other():
    tests = ("Wilcoxon", "Holm", "Friedman", "Bayesian")
    text, *references = Report(many(6)).methods_paragraph
    assert all(name in text for name in tests) and "No test" not in text
    cited = {int(number) for group in re.findall(r"\[([\d, ]+)\]", text) for number in group.split(",")}
    assert cited == set(range(1, len(references) + 1))
    assert [line.partition("]")[0] for line in references] == [f"[{n}" for n in range(1, len(references) + 1)]
    text, *references = Report(many(3)).methods_paragraph
    assert not any(name in text for name in tests)
    assert "No test over data sets was made: methods were compared on 3 data sets, and a test needs 6." in text
    assert not any("Demšar" in line or "Holm" in line for line in references)
    two = Report(many(6, methods=["raw", "ts2vec"])).methods_paragraph[0]
    assert "Wilcoxon" in two and "Friedman" not in two
    alone = Report(many(6, methods=["ts2vec"])).methods_paragraph[0]
    assert not any(name in alone for name in tests) and "Differences" not in alone


def test_without_a_result_there_is_no_paragraph_and_nothing_converged():
    report = Report(many(2).assign(status="failed", message="MemoryError", accuracy=None))
    assert report.methods_paragraph == []
    page = Page(render_html(report)).text
    assert "Nothing was fitted: no cell has a result." in page and "Every fit converged" not in page
    for text in (page, render_markdown(report), render_latex(report)):
        assert "were evaluated" not in text and "Methods paragraph" not in text
    assert "Every fit converged" in Page(render_report(many(2))).text


def test_methods_and_data_sets_without_a_result_are_not_said_to_be_evaluated():
    frame = many(3)
    gone = (frame["dataset"] == "set 1") | (frame["method"] == "random_init")
    frame.loc[gone, ["status", "message"]] = ["failed", "MemoryError"]
    text = Report(frame).methods_paragraph[0]
    assert "2 data sets (set 0 and set 2)" in text and "Controls were raw." in text


# --- how data sets were cut, and what it took ------------------------------------------------------------------------


def test_the_paragraph_says_how_each_data_set_was_cut(stored):
    text = Report(stored.frame(benchmark="cuts")).methods_paragraph[0]
    drawn = "of the samples were drawn at random as the test part"
    assert f"Of wine 30 % {drawn}, sample by sample, stratified by label (seed 0)." in text
    assert f"Of visits 25 % {drawn}, whole groups at a time, stratified by label (seed 0)." in text
    assert "italy_power_demand kept its own training and test part." in text
    assert "official" not in text
    of_old = Report(stored.frame(benchmark="cuts").drop(columns="drawn_split")).methods_paragraph[0]
    assert "Each data set kept its own training and test part." in of_old
    frame = stored.frame(benchmark="cuts").assign(split="holdout(repeats=2)")
    assert "Each data set was cut by holdout(repeats=2)." in Report(frame).methods_paragraph[0]


def test_a_split_is_drawn_for_files_and_not_for_the_two_files_of_an_archive(tmp_path):
    table = visits(tmp_path / "visits.csv")
    assert drawn_split("visits", path=table, split_seed=4) == {"test_fraction": 0.3, "split_seed": 4}
    for name in ("alone", "Pair"):
        (tmp_path / name).mkdir()
    visits(tmp_path / "alone" / "data.csv")
    for part in ("TRAIN", "TEST"):
        (tmp_path / "Pair" / f"Pair_{part}.tsv").write_text("1\t0.5\t0.25\n2\t0.5\t0.125\n")
    assert drawn_split("alone", data_dir=tmp_path) == {"test_fraction": 0.3, "split_seed": 0}
    assert drawn_split("Pair", data_dir=tmp_path) is None
    assert drawn_split("own", path=tmp_path / "Pair") is None


def test_computing_time_is_that_of_every_step_that_the_cells_rest_on(stored):
    frame, steps = stored.frame(benchmark="cuts"), stored.steps()
    assert set(steps["kind"]) == {"pretrain", "embed"}
    seconds = {"pretrain": 300.0, "embed": 200.0}
    counts = steps["kind"].value_counts()
    timed = steps.assign(seconds=steps["kind"].map(seconds) / steps["kind"].map(counts))
    said = time_spent(frame.assign(seconds=25.0 / len(frame)), timed)
    assert said == "probes 25 s, pre-training 300 s, embedding 200 s"  # each step once, and none of them lost
    clean = frame[frame["corruption"].isna()].assign(seconds=0.0)
    assert time_spent(clean, timed) != time_spent(frame.assign(seconds=0.0), timed)
    assert time_spent(frame.assign(seconds=25.0 / len(frame)), None) == "probes 25 s"
    report = Report(frame.assign(seconds=25.0 / len(frame)), steps=timed)
    for text in (Page(render_html(report)).text, render_latex(report)):
        assert said in text


# --- words -----------------------------------------------------------------------------------------------------------


def test_parts_are_said_in_words_and_the_rate_of_a_subgroup_is_of_that_group():
    frame = many(1)
    frame["corruption"] = frame["corruption"].replace("mcar", "subgroup(where.site=North)")
    frame["label_noise"] = frame["label_noise"].replace("symmetric", "symmetric(group_consistent=True)")
    text = Report(frame).methods_paragraph[0]
    assert "by mcar where site is North at 20 and 40 % of the observed values there alone" in text
    assert "by symmetric (group consistent) noise" in text and "=" not in text
    within = "the head says the rate within the group, the cells that over all samples"
    assert within in Page(render_html(Report(frame))).text and within not in Page(render_html(Report(many(1)))).text
    labels = [axes.get_xlabel() for axes in degradation_curves(Report(frame).results, "set 0").figure.axes]
    assert any("symmetric (group" in " ".join(label.split()) for label in labels)
    assert not any("=" in label for label in labels)
    assert noise_words("pair_flip(a=1, on=False)") == "pair flip (a 1, not on)"


def test_latex_has_arrows():
    assert as_latex("4.851 \N{RIGHTWARDS ARROW} 4.569") == r"4.851 $\rightarrow$ 4.569"


def test_a_page_explains_what_it_shows_and_nothing_else():
    page = Page(render_report(many(2))).text
    assert "macro F1" in page.replace("Macro", "macro") and "AUPRC" in page
    assert "random_init , an encoder before any training" in page
    assert "supervised" not in page.split("How to read it")[1].split("Differences of each")[0]
    frame = many(1, methods=["raw", "pca", "ts2vec"])
    frame = frame.drop(columns=["balanced_accuracy", "macro_f1", "auroc", "auprc"])
    frame = frame.rename(columns={"accuracy": "r2"}).query("label_noise.isna()").assign(mae=1.0)
    page = render_report(frame, metric="r2")
    text = Page(page).text
    assert "mean recall" not in text and "one class against the rest" not in text and "r²" not in page
    assert "pca , principal components" in text and "an encoder before any training" not in text
    assert "the line its" not in text and "replaced by a wrong one" not in text


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_page_of_a_run_says_what_was_left_out_of_the_grid(tmp_path, capsys):
    study = tmp_path / "study.yaml"
    study.write_text(
        "name: left\ndatasets: [diabetes]\nmethods: [raw]\ncontrols: none\nprobes: [ridge]\nseeds: [0]\n"
        "corruptions: []\nlabel_noise: [symmetric]\nlabel_noise_rates: [0.2]\n"
    )
    assert main(["bench", str(study), "--output_dir", str(tmp_path)]) == 0
    capsys.readouterr()
    text = Page((tmp_path / "left.html").read_text(encoding="utf-8")).text
    assert "Not in the grid" in text and "symmetric on diabetes: " in text
    frame = Store(f"{tmp_path}/results.db").frame()
    assert "## Not in the grid\n\n- a on b: c" in render_markdown(Report(frame, metric="r2", left_out=["a on b: c"]))
    assert "Not in the grid" not in Page(render_report(frame, metric="r2")).text
    options = ["report", "--store", f"{tmp_path}/results.db", "--csv", str(tmp_path / "x.csv")]
    for format, begin in (("latex", "\\documentclass"), ("markdown", "# "), ("csv", "hash,")):
        assert main([*options, "--format", format]) == 0
        out, err = capsys.readouterr()
        assert out.startswith(begin) and "saved" not in out and "saved" in err
    assert main(options) == 0
    assert "saved" in capsys.readouterr().out
