"""What is neither encoder nor loss: projectors, classification heads, momentum encoders, queues and banks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.modules.classification_heads import LinearHead as LinearHead, MLPHead as MLPHead
    from kinview.modules.feature_queue import FeatureQueue as FeatureQueue
    from kinview.modules.memory_bank import MemoryBank as MemoryBank
    from kinview.modules.momentum_encoder import MomentumEncoder as MomentumEncoder, momentum_at as momentum_at
    from kinview.modules.projector import Perceptron as Perceptron, projector as projector

lazy_exports(__name__)
heads = Registry("heads", members=("kinview.modules.classification_heads",))
