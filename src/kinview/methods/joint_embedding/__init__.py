"""Joint embedding: views of a sample are drawn together by any loss (SimCLR, MoCo, BYOL, VICReg, ...)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.joint_embedding.estimators import (
        JointEmbedding as JointEmbedding,
        TabularJointEmbedding as TabularJointEmbedding,
    )
    from kinview.methods.joint_embedding.method import JointEmbeddingMethod as JointEmbeddingMethod
    from kinview.methods.joint_embedding.simclr import SimCLR as SimCLR, TabularSimCLR as TabularSimCLR

lazy_exports(__name__)
