"""Classifiers that ask a frozen representation what it knows, and one that trains the network on.

Each is fitted on training rows alone: scalers, hyper-parameters (inner cross-validation) and sub-samples included. The
protocol is that of TS2Vec's official evaluation; where kinview departs from it, the class says so.
"""

from __future__ import annotations

from kinview.evaluation.probes.base import Probe
from kinview.registry import Registry

__all__ = ["Probe", "probes"]

probes = Registry(
    "probes",
    members=(
        "kinview.evaluation.probes.linear",
        "kinview.evaluation.probes.svm",
        "kinview.evaluation.probes.nearest_neighbour",
        "kinview.evaluation.probes.gradient_boosting",
        "kinview.evaluation.probes.fine_tune",
        "kinview.evaluation.probes.ridge",
        "kinview.evaluation.probes.robust_ridge",
        "kinview.evaluation.probes.centroid",
        "kinview.evaluation.probes.lda",
        "kinview.evaluation.probes.logistic",
        "kinview.evaluation.probes.forward_corrected",
        "kinview.evaluation.probes.confident",
        "kinview.evaluation.probes.selected",
        "kinview.evaluation.probes.tabpfn",
        "kinview.evaluation.probes.tabicl",
    ),
)
