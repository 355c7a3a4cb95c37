"""How well predictions agree with labels: point values of a cell, and all metrics of its predictions with intervals.

What a cell computes is in ``point_values``; all else is computed from predictions when a report is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.evaluation.metrics.decision_curve import decision_curve as decision_curve
    from kinview.evaluation.metrics.delong import (
        DeLongTest as DeLongTest,
        delong as delong,
        delong_interval as delong_interval,
        delong_test as delong_test,
    )
    from kinview.evaluation.metrics.embeddings import (
        ClusteringAgreement as ClusteringAgreement,
        clustering_agreement as clustering_agreement,
        recall_at_k as recall_at_k,
    )
    from kinview.evaluation.metrics.intervals import (
        differences_with_intervals as differences_with_intervals,
        metrics_with_intervals as metrics_with_intervals,
    )
    from kinview.evaluation.metrics.outputs import Classification as Classification, Regression as Regression
    from kinview.evaluation.metrics.point_values import Metrics as Metrics, evaluate as evaluate
    from kinview.evaluation.metrics.subgroups import Subgroups as Subgroups, subgroup_metrics as subgroup_metrics
    from kinview.evaluation.metrics.table import METRICS as METRICS, Metric as Metric, as_metric as as_metric

lazy_exports(__name__)
