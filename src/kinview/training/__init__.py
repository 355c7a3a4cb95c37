"""The only training loop, and what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.training.averaging import WeightAverage as WeightAverage
    from kinview.training.callbacks import (
        Callback as Callback,
        JSONLines as JSONLines,
        TrainingState as TrainingState,
        callbacks as callbacks,
    )
    from kinview.training.gradient_cache import GradientCache as GradientCache
    from kinview.training.method import LossResult as LossResult, Method as Method, Sizes as Sizes
    from kinview.training.rowwise import RowwiseMethod as RowwiseMethod
    from kinview.training.trainer import Trainer as Trainer
    from kinview.training.watched import WatchedSamples as WatchedSamples

lazy_exports(__name__)
