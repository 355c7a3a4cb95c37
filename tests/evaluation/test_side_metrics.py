"""What a benchmark says of the two sides of test samples."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from kinview.diagnostics import modality_gap, retrieval, shifted
from kinview.evaluation.metrics.two_sides import SIDE_METRICS, side_metrics
from kinview.evaluation.report.beside_metrics import side_tables
from kinview.evaluation.report.content import Report
from kinview.evaluation.report.html import render_html


def test_they_are_the_means_of_both_directions_on_samples_with_both_sides() -> None:
    draw = np.random.default_rng(0)
    A = draw.normal(size=(50, 4))
    B = A + draw.normal(size=(50, 4)) + 0.5
    A[3], B[8] = np.nan, np.nan
    groups = np.repeat(np.arange(25), 2)
    found = side_metrics(A, B, names=groups)
    ranks = retrieval(A, B, names=groups)
    assert found["recall_at_10"] == pytest.approx(ranks["recall@10"].mean())
    assert found["chance_at_10"] == pytest.approx(ranks["chance@10"].mean())
    assert found["relative_rank"] == pytest.approx((ranks["mean_rank"].mean() - 1) / 47)
    assert found["gap"] == modality_gap(A, B).gap and found["between"] == modality_gap(A, B).between
    known = ~np.isnan(A + B).any(axis=1)
    moved = retrieval(*shifted(A, B, 0.5), names=groups[known])["recall@10"].mean()
    assert found["shifts"]["0.5"] == pytest.approx(moved)
    assert found["shifts"]["0"] == found["recall_at_10"] and len(found["shifts"]) == 9
    assert {*SIDE_METRICS, "shifts"} == set(found)


def test_a_report_shows_them_and_what_becomes_of_recall_as_the_gap_is_closed() -> None:
    draw = np.random.default_rng(1)
    A = draw.normal(size=(30, 4))
    rows = [
        {"dataset": "stays", "method": method, "probe": "ridge", "seed": seed, "accuracy": 0.5 + seed / 10,
         "metrics": json.dumps({"sides": side_metrics(A, A + scale * draw.normal(size=A.shape) + 0.3)})}
        for method, scale in (("near", 0.5), ("far", 2.0)) for seed in (0, 1)
    ]  # fmt: skip
    report = Report(pd.DataFrame(rows))
    (table,) = side_tables(report.results)
    recall = {row["method"]: float(row["cells"][1].split()[0]) for row in table["rows"]}
    assert table["heads"] == list(SIDE_METRICS.values()) and recall["near"] > recall["far"]
    drawn = report.figures()["gap_stays"]()
    assert drawn is not None
    lines = [line for line in drawn.figure.axes[0].lines if len(line.get_xdata()) == 9]
    assert len(lines) == 2 and all(np.all(np.diff(line.get_xdata()) > 0) for line in lines)
    page = render_html(report)
    assert 'id="two-sides"' in page and 'href="#two-sides"' in page and "Modality gap" in page
