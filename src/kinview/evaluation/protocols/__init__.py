"""How a benchmark cuts data into what is learned from and what is scored.

A protocol gives one or more folds of a data set. Everything that learns (scaling, encoder, thresholds of a corruption,
probe) sees the training part of the fold alone.
"""

from __future__ import annotations

from kinview.evaluation.protocols.base import Protocol, Rows
from kinview.registry import Registry

__all__ = ["Protocol", "Rows", "splits"]

splits = Registry(
    "splits",
    members=(
        "kinview.evaluation.protocols.official",
        "kinview.evaluation.protocols.stratified_kfold",
        "kinview.evaluation.protocols.stratified_group_kfold",
        "kinview.evaluation.protocols.leave_one_group_out",
        "kinview.evaluation.protocols.temporal",
        "kinview.evaluation.protocols.holdout",
    ),
)
