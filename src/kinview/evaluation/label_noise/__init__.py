"""Wrong labels made on purpose, at an exact rate and reported as realised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.evaluation.label_noise.symmetric import NoisyLabels as NoisyLabels, SymmetricNoise as SymmetricNoise

_package = lazy_exports(__name__)
label_noise = Registry("label_noise", members=_package.exported_modules)
