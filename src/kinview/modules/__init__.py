"""Neither encoder nor loss: projectors, decoders, an autoencoder, heads, momentum encoders, queues, banks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.modules.classification_heads import (
        GatedHead as GatedHead,
        LinearHead as LinearHead,
        MLPHead as MLPHead,
    )
    from kinview.modules.column_perceptrons import ColumnPerceptrons as ColumnPerceptrons
    from kinview.modules.decoders import (
        ColumnDecoder as ColumnDecoder,
        StepDecoder as StepDecoder,
        VectorDecoder as VectorDecoder,
        feature_of_step as feature_of_step,
    )
    from kinview.modules.feature_queue import FeatureQueue as FeatureQueue
    from kinview.modules.memory_bank import MemoryBank as MemoryBank
    from kinview.modules.momentum_encoder import MomentumEncoder as MomentumEncoder, momentum_at as momentum_at
    from kinview.modules.noisy_copy import noisy_copy as noisy_copy
    from kinview.modules.projector import Perceptron as Perceptron, projector as projector
    from kinview.modules.variational_autoencoder import (
        VariationalAutoencoder as VariationalAutoencoder,
        gaussian_kl as gaussian_kl,
    )

lazy_exports(__name__)
heads = Registry("heads", members=("kinview.modules.classification_heads",))
