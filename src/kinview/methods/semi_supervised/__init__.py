"""Classifiers that learn from samples with and without labels: pseudo-labels, and consistency over corrupted copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.semi_supervised.classifiers import (
        PseudoLabelClassifier as PseudoLabelClassifier,
        SemiSupervisedClassifier as SemiSupervisedClassifier,
        VIMESemiClassifier as VIMESemiClassifier,
    )
    from kinview.methods.semi_supervised.method import (
        PseudoLabelMethod as PseudoLabelMethod,
        SemiSupervisedMethod as SemiSupervisedMethod,
        VIMESemiMethod as VIMESemiMethod,
    )

lazy_exports(__name__)
