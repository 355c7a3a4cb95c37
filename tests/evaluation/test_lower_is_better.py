"""Metrics of which a lower value is better: every comparison is that of the mirrored metric, turned."""

import numpy as np
import pandas as pd
import pytest

from kinview.evaluation import (
    Report,
    against_controls,
    average_ranks,
    compare_methods,
    format_table,
    paired_differences,
    win_matrix,
)
from kinview.evaluation.report.html import render_report
from kinview.evaluation.report.markdown import render_markdown
from kinview.evaluation.report.verdicts import probability_words
from test_report import results_frame

NAMES = ["gunpoint", "italy_power_demand", "arrow_head", "coffee", "ecg200", "beef", "car"]
TURNED = ["difference", "low", "high"]


@pytest.fixture(scope="module")
def frame():
    """A score without a lower bound, and an error that is 1 minus it: both are averaged by medians."""
    frame = results_frame(dict.fromkeys(NAMES, 200), ["raw", "random_init", "ts2vec"], ("svm",), (0, 1, 2))
    frame = frame[frame["corruption"].isna() & frame["label_noise"].isna()]
    return frame.assign(r2=frame["accuracy"], mae=1 - frame["accuracy"])


def test_verdicts_wins_and_probabilities(frame):
    good, bad = (
        against_controls(frame, ["raw", "random_init"], metric=m, by=["method"], generator=np.random.default_rng(0))
        for m in ("r2", "mae")
    )
    assert "better" in set(good["verdict"]) and "worse" in set(good["verdict"])
    same = ["method", "control", "wins", "ties", "losses", "verdict", "beats_all"]
    pd.testing.assert_frame_equal(good[same], bad[same])
    assert bad[["difference", "low", "high", "mean", "reference", "better", "worse"]].isna().all(axis=None)
    for name in NAMES[:2]:  # a single data set has one unit
        one = frame[frame["dataset"] == name]
        good, bad = (against_controls(one, ["raw", "random_init"], metric=m, by=["method"]) for m in ("r2", "mae"))
        np.testing.assert_allclose(good["difference"], -bad["difference"], atol=1e-12)


@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_errors_are_not_averaged_over_units(frame, factor):
    """Days instead of milliseconds on one data set change nothing that is said over data sets."""
    changed = frame.assign(mae=frame["mae"].where(frame["dataset"] != "beef", factor * frame["mae"]))
    rows = Report(changed, metric="mae").compared["verdicts"]
    assert [row["p"] for row in rows] == [row["p"] for row in Report(frame, metric="mae").compared["verdicts"]]
    found = compare_methods(changed, metric="mae", generator=np.random.default_rng(0))
    pd.testing.assert_frame_equal(found.pairs, compare_methods(frame, metric="mae").pairs)
    assert found.pairs["difference"].isna().all() and found.pairs["p"].notna().all()
    report = Report(changed, metric="mae", reference="raw")
    assert not any(group["average"] for table in report.tables for group in table["groups"])
    assert "paired_differences" not in report.figures()
    page = render_report(changed, metric="mae", reference="raw")
    for text in (page, render_markdown(report), format_table(changed, "mae", reference="raw")):
        text = " ".join(text.split())
        assert "No average over data sets" in text and "nan" not in text.replace("finance", "")
    assert "the exact sign test" in page and "signed-rank" not in page.split("Methods paragraph")[0]
    assert any(group["average"] for table in Report(frame).tables for group in table["groups"])


def test_verdicts_of_single_data_sets():
    frame = results_frame(dict.fromkeys(NAMES[:2], 200), ["raw", "random_init", "ts2vec"], ("svm",), range(7))
    frame = frame.assign(r2=frame["accuracy"], mae=1 - frame["accuracy"])
    good, bad = (paired_differences(frame, "raw", metric=m) for m in ("r2", "mae"))
    assert {"better", "worse"} & set(good["verdict"])
    assert good["verdict"].tolist() == bad["verdict"].tolist()


def test_ranks_pairs_and_matrix_of_wins(frame):
    good, bad = (compare_methods(frame, metric=m) for m in ("r2", "mae"))
    pd.testing.assert_series_equal(good.ranks, bad.ranks)
    same = ["method", "other", "wins", "losses", "verdict"]
    pd.testing.assert_frame_equal(good.pairs[same], bad.pairs[same])
    assert average_ranks([[1.0, 3.0], [2.0, 5.0]], lower_is_better=True).tolist() == [1.0, 2.0]
    pd.testing.assert_frame_equal(win_matrix(frame, metric="r2"), win_matrix(frame, metric="mae"))


def test_the_report_says_the_same_and_marks_the_same_best(frame):
    good, bad = Report(frame, metric="r2"), Report(frame, metric="mae")
    for name in ("verdict", "words", "state", "wins", "beats_all"):
        assert [row[name] for row in good.compared["verdicts"]] == [row[name] for row in bad.compared["verdicts"]]
    assert all(probability_words(row) for row in good.compared["verdicts"])
    assert not any(probability_words(row) for row in bad.compared["verdicts"])  # 0.01 of which unit?

    def best(tables):
        return [
            [[cell["entry"].best for cell in row["cells"]] for row in group["rows"]]
            for table in tables for group in table["groups"]
        ]  # fmt: skip

    def single(tables):
        return [{**table, "groups": [one for one in table["groups"] if not one["average"]]} for table in tables]

    assert best(single(good.tables)) == best(bad.tables) == best(dict(good.others)["Mean absolute error"])
    assert "practically equal (within 0.01)" in render_markdown(good)
    for text in (render_markdown(bad), render_report(frame, metric="mae")):
        assert "within 0.01" not in text
    assert "ts2vec is worse than raw (over 7 data sets" in format_table(frame, "mae")
