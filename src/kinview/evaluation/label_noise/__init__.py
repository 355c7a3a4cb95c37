"""Wrong labels made on purpose, at an exact rate and reported as realised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.evaluation.label_noise.annotator import AnnotatorNoise as AnnotatorNoise
    from kinview.evaluation.label_noise.asymmetric import AsymmetricNoise as AsymmetricNoise
    from kinview.evaluation.label_noise.base import Cases as Cases, LabelNoise as LabelNoise, NoisyLabels as NoisyLabels
    from kinview.evaluation.label_noise.class_conditional import ClassConditionalNoise as ClassConditionalNoise
    from kinview.evaluation.label_noise.features import FeatureNoise as FeatureNoise
    from kinview.evaluation.label_noise.instance_dependent import InstanceDependentNoise as InstanceDependentNoise
    from kinview.evaluation.label_noise.pair_flip import PairFlipNoise as PairFlipNoise
    from kinview.evaluation.label_noise.symmetric import SymmetricNoise as SymmetricNoise

_package = lazy_exports(__name__)
label_noise = Registry("label_noise", members=_package.exported_modules)
