"""Classifiers that train a pre-trained network on with labels, or the same network from its initial weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.fine_tuning.classifier import FineTunedClassifier as FineTunedClassifier
    from kinview.methods.fine_tuning.method import FineTuningMethod as FineTuningMethod

lazy_exports(__name__)
