"""ExpCLR: distances between representations follow those of expert features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.exp_clr.estimator import ExpCLR as ExpCLR, ExpCLRMethod as ExpCLRMethod
    from kinview.methods.exp_clr.features import EXPERT_FEATURES as EXPERT_FEATURES, expert_features as expert_features

lazy_exports(__name__)
