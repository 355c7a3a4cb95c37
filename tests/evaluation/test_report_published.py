"""Published results beside those of a benchmark: what a file may hold, and how it is compared."""

import math
import re

import pandas as pd
import pytest
from scipy import stats

from kinview.evaluation import Report
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.html import render_report
from kinview.evaluation.report.published import beside_published, read_published
from test_report import Page, results_frame

NAMES = ["gunpoint", "italy_power_demand", "arrow_head", "coffee", "ecg200", "beef", "car"]


@pytest.fixture(scope="module")
def frame():
    return results_frame(dict.fromkeys(NAMES, 200), ["raw", "ts2vec"], ("svm",), (0, 1))


@pytest.fixture
def write(tmp_path):
    def written(text):
        (tmp_path / "theirs.csv").write_text(text, encoding="utf-8")
        return tmp_path / "theirs.csv"

    return written


THEIRS = """data set,1NN-DTW,ROCKET
GunPoint,90.7,100
ItalyPowerDemand,95.0,96.9
ArrowHead,70.3,81.4
Coffee,100,100
ECG-200,77,
BEEF,63.3,83.3
car,73.3,88.3
Wine,57.4,81.3
"""


def test_the_same_data_sets_are_found_and_compared(frame, write):
    found = beside_published(read_results(frame), "accuracy", read_published(write(THEIRS)))
    assert sorted(found["datasets"]) == sorted(NAMES)
    assert found["own"] == ["raw / svm", "ts2vec / svm"]
    clean = frame[frame["corruption"].isna() & frame["label_noise"].isna()]
    mine = clean[clean["method"] == "ts2vec"].groupby("dataset")["accuracy"].mean()
    row = next(row for row in found["rows"] if row["name"] == "ts2vec / svm")
    assert dict(zip(found["datasets"], row["values"], strict=True)) == pytest.approx(mine.to_dict())
    theirs = {"gunpoint": 0.907, "italy_power_demand": 0.95, "arrow_head": 0.703, "coffee": 1.0, "ecg200": 0.77,
              "beef": 0.633, "car": 0.733}  # fmt: skip
    cell = next(row for row in found["pairs"] if row["name"] == "1NN-DTW")["cells"][1]
    gain = mine - pd.Series(theirs)
    assert cell["difference"] == pytest.approx(gain.mean()) and cell["datasets"] == 7
    p = stats.wilcoxon(gain).pvalue
    rocket = next(row for row in found["pairs"] if row["name"] == "ROCKET")["cells"][1]
    assert cell["p"] == pytest.approx(p) and rocket["datasets"] == 6
    assert cell["p_holm"] == pytest.approx(min(1, max(p, 2 * p if p <= rocket["p"] else max(p, 2 * rocket["p"]))))
    assert found["notes"] == ["theirs.csv was read as percent.", "Published data sets without results here: Wine."]


def test_fractions_are_told_from_percent(write):
    percent, fractions = (read_published(write(text)) for text in ("s,a,b\nx,50,100\ny,0.5,2\n", "s,a,b\nx,.5,1\n"))
    assert percent.unit == "percent" and percent.scores.to_numpy().tolist() == [[0.5, 1.0], [0.005, 0.02]]
    assert fractions.unit == "fractions" and fractions.scores.to_numpy().tolist() == [[0.5, 1.0]]


def test_errors_are_in_the_unit_of_what_is_predicted(write):
    """An error above 1 is no percentage, and R² may lie below 0."""
    errors = read_published(write("s,a,b\nx,5.5,0.25\n"), "mae")
    assert errors.scores.to_numpy().tolist() == [[5.5, 0.25]] and errors.unit == "mean absolute error"
    assert read_published(write("s,a\nx,-0.5\n"), "r2").scores.to_numpy().tolist() == [[-0.5]]
    for text, metric in (("s,a\nx,-1\n", "rmse"), ("s,a\nx,2\n", "r2"), ("s,a\nx,inf\n", "mae")):
        with pytest.raises(ValueError, match=r"of a on x is no .*, a number from .* to"):
            read_published(write(text), metric)


def test_the_lower_error_stands_first(frame, write):
    results = read_results(frame.assign(brier_score=1 - frame["accuracy"]))
    theirs = re.sub(r"(?<=,)[\d.]+(?=[,\n])", lambda found: f"{float(found[0]) / 50:.4f}", THEIRS)
    found = beside_published(results, "brier_score", read_published(write(theirs), "brier_score"))
    means = [row["mean"] for row in found["rows"] if row["datasets"] == 7]
    assert means == sorted(means) and min(means) < 0.3
    cell = next(row for row in found["pairs"] if row["name"] == "1NN-DTW")["cells"][1]
    assert cell["difference"] < 0 and cell["wins"] == cell["datasets"] == 7 and cell["verdict"] == "better"


def test_errors_in_units_of_the_target_have_no_average_over_data_sets(frame, write):
    results = read_results(frame.assign(mae=100 * (1 - frame["accuracy"])))
    found = beside_published(results, "mae", read_published(write(THEIRS), "mae"))
    assert len(found["rows"]) > 1 and all(math.isnan(row["mean"]) for row in found["rows"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s,a\nx,101\n", r"the value '101' of a on x is no fraction between 0 and 1 and no percentage"),
        ("s,a\nx,-1\n", r"the value '-1' of a on x"),
        ("s,a\nx,good\n", r"the value 'good' of a on x"),
        ("s,a\nx,inf\n", r"the value 'inf' of a on x"),
        ("s,a,b\nx,50,0.5\n", r"b seem to be fractions .* give all in one unit"),
        ("s,a\nGun Point,1\ngun_point,2\n", "a data set stands twice: gunpoint"),
        ("s,a,b\n", "has 0 rows and 3 columns"),
        ("s;a\nx;1\n", "has 1 rows and 1 columns; .* separated by commas"),
        ("", "no CSV table"),
    ],
)
def test_what_is_no_table_of_results_is_refused(text, said, write):
    with pytest.raises(ValueError, match=said):
        read_published(write(text))


def test_nothing_in_common_is_refused_and_says_what_there_is(frame, write):
    with pytest.raises(ValueError, match=r"theirs.csv holds none of the data sets .* it has Wine; the benchmark has"):
        Report(frame, published=write("s,a\nWine,90\n"))


def test_the_page_shows_them_and_obeys_no_name(frame, write):
    page = Page(render_report(frame, published=write("s,<script>x</script>,b\nGunPoint,0.5,\nbeef,0.25,0.5\n")))
    assert "<script>x</script>" in page.text and page.tags.count("script") == 1
    assert "Beside published results" in page.text and "not testable" in page.text
    assert "theirs.csv was read as fractions." in page.text
    assert "Data sets of the benchmark without published results: arrow_head, car, coffee" in page.text


def test_another_split_is_said(frame, write):
    folded = frame.assign(split="stratified_kfold(folds=2)", fold=0)
    notes = beside_published(read_results(folded), "accuracy", read_published(write("s,a\nBeef,90\n")))["notes"]
    assert any("published results are mostly of the official split" in note for note in notes)
