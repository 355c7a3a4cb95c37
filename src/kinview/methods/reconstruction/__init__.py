"""Reconstruction: a decoder gives back what the encoder was shown, or what was hidden from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.reconstruction.estimators import (
        Reconstruction as Reconstruction,
        TabularReconstruction as TabularReconstruction,
    )
    from kinview.methods.reconstruction.method import ReconstructionMethod as ReconstructionMethod

lazy_exports(__name__)
