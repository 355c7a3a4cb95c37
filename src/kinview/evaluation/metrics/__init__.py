"""How well predictions agree with labels: point values of a cell, and all metrics of its predictions with intervals.

What a cell computes is in ``point_values``; all else is computed from predictions when a report is made. The public
names are those of :mod:`kinview.evaluation`; here are the table of all metrics, and what this module had as a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.evaluation.metrics.point_values import Metrics as Metrics, evaluate as evaluate
    from kinview.evaluation.metrics.table import METRICS as METRICS, as_metric as as_metric

lazy_exports(__name__)
