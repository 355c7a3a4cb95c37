"""Views: what is done to a sample to make a positive of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exports import lazy_exports  # parent-relative: a second copy imported through the top-level link must fail
from ..registry import Registry

if TYPE_CHECKING:
    from kinview.augmentations.adversarial import Adversarial as Adversarial
    from kinview.augmentations.amplitude_phase_mixup import AmplitudePhaseMixup as AmplitudePhaseMixup
    from kinview.augmentations.base import Augmentation as Augmentation
    from kinview.augmentations.baseline_wander import BaselineWander as BaselineWander
    from kinview.augmentations.cell_dropout import CellDropout as CellDropout
    from kinview.augmentations.cell_noise import (
        GaussianNoise as GaussianNoise,
        MeanMask as MeanMask,
        ZeroOut as ZeroOut,
    )
    from kinview.augmentations.channel_permutation import ChannelPermutation as ChannelPermutation
    from kinview.augmentations.choices import OneOf as OneOf, SomeOf as SomeOf, Sometimes as Sometimes
    from kinview.augmentations.class_conditional_corruption import (
        ClassConditionalCorruption as ClassConditionalCorruption,
    )
    from kinview.augmentations.clocs import AdjacentSegments as AdjacentSegments, LeadViews as LeadViews
    from kinview.augmentations.column_corruption import ColumnCorruption as ColumnCorruption
    from kinview.augmentations.column_subsets import ColumnSubsets as ColumnSubsets
    from kinview.augmentations.composition import Compose as Compose, Curriculum as Curriculum, Views as Views
    from kinview.augmentations.crop import CropPair as CropPair
    from kinview.augmentations.electrode_motion import ElectrodeMotion as ElectrodeMotion
    from kinview.augmentations.embeddings import (
        EmbeddingMixup as EmbeddingMixup,
        EmbeddingNoise as EmbeddingNoise,
        FeatureDropout as FeatureDropout,
    )
    from kinview.augmentations.filters import BandStop as BandStop, HighPass as HighPass, LowPass as LowPass
    from kinview.augmentations.frequency_lines import (
        FrequencyAddition as FrequencyAddition,
        FrequencyDropout as FrequencyDropout,
    )
    from kinview.augmentations.frequency_mask import FrequencyMask as FrequencyMask
    from kinview.augmentations.gain import Offset as Offset, Scaling as Scaling, SignFlip as SignFlip
    from kinview.augmentations.history import HistoryCrop as HistoryCrop, HistoryCutout as HistoryCutout
    from kinview.augmentations.jitter import Jitter as Jitter
    from kinview.augmentations.joint_row_swap import JointRowSwap as JointRowSwap
    from kinview.augmentations.lead_dropout import LeadDropout as LeadDropout
    from kinview.augmentations.line_shuffle import BandShuffle as BandShuffle, DominantShuffle as DominantShuffle
    from kinview.augmentations.mixing import CutMix as CutMix, GeometricMixup as GeometricMixup, Mixup as Mixup
    from kinview.augmentations.muscle_artifact import MuscleArtifact as MuscleArtifact
    from kinview.augmentations.permutation import Permutation as Permutation
    from kinview.augmentations.powerline import Powerline as Powerline
    from kinview.augmentations.quantize import Quantize as Quantize
    from kinview.augmentations.random_columns import RandomColumns as RandomColumns
    from kinview.augmentations.random_window import RandomWindow as RandomWindow
    from kinview.augmentations.smoothing import Convolve as Convolve, Pool as Pool, Smooth as Smooth
    from kinview.augmentations.spectral_noise import (
        AmplitudeJitter as AmplitudeJitter,
        PhaseJitter as PhaseJitter,
        Surrogate as Surrogate,
    )
    from kinview.augmentations.spectrogram_mask import SpectrogramMask as SpectrogramMask
    from kinview.augmentations.step_masks import (
        BinomialMask as BinomialMask,
        ContinuousMask as ContinuousMask,
        Cutout as Cutout,
        LastMask as LastMask,
    )
    from kinview.augmentations.swap_noise import SwapNoise as SwapNoise
    from kinview.augmentations.table_cutmix import TableCutMix as TableCutMix
    from kinview.augmentations.tabular_viewmaker import TabularViewmaker as TabularViewmaker
    from kinview.augmentations.tailored_mixup import TailoredMixup as TailoredMixup
    from kinview.augmentations.time_moves import TimeReverse as TimeReverse, TimeShift as TimeShift
    from kinview.augmentations.uniform_range import UniformRange as UniformRange
    from kinview.augmentations.value_dropout import (
        ChannelDropout as ChannelDropout,
        ObservationDropout as ObservationDropout,
    )
    from kinview.augmentations.viewmaker import Viewmaker as Viewmaker
    from kinview.augmentations.warps import Drift as Drift, MagnitudeWarp as MagnitudeWarp, TimeWarp as TimeWarp
    from kinview.augmentations.windows import (
        RandomCropResize as RandomCropResize,
        Resample as Resample,
        WindowSlice as WindowSlice,
        WindowWarp as WindowWarp,
    )


def _compose(parts: list[Any]) -> Any:
    from kinview.augmentations.composition import Compose

    return Compose(tuple(parts))


_package = lazy_exports(__name__)
augmentations = Registry("augmentations", members=_package.exported_modules, compose=_compose, recipes="augmentation")
