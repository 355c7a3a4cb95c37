"""TF-C: representations of series on which their time and frequency domains agree (Zhang et al., NeurIPS 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.tfc.estimator import TFC as TFC, TFCMethod as TFCMethod

lazy_exports(__name__)
