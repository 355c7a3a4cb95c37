"""How well scores predict labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.evaluation.metrics.point_values import Metrics as Metrics, evaluate as evaluate

lazy_exports(__name__)
