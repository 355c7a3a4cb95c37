"""What a benchmark says of the two sides of test samples."""

from __future__ import annotations

import numpy as np
import pytest

from kinview.diagnostics import modality_gap, retrieval, shifted
from kinview.evaluation.metrics.two_sides import SIDE_METRICS, side_metrics


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
