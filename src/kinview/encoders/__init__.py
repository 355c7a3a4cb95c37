"""Torch modules that turn samples into representations; they know nothing of views or losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.encoders.base import SeriesEncoder as SeriesEncoder, TableEncoder as TableEncoder
    from kinview.encoders.channel_independent import ChannelIndependent as ChannelIndependent
    from kinview.encoders.dilated_conv import DilatedConvEncoder as DilatedConvEncoder
    from kinview.encoders.fcn import FCN as FCN
    from kinview.encoders.frequency import (
        FrequencyEncoder as FrequencyEncoder,
        magnitude_spectrum as magnitude_spectrum,
    )
    from kinview.encoders.front_end import Filling as Filling, GapFrontEnd as GapFrontEnd
    from kinview.encoders.ft_transformer import FeatureTokenizer as FeatureTokenizer, FTTransformer as FTTransformer
    from kinview.encoders.fused_crops import FusedCrops as FusedCrops
    from kinview.encoders.mlp import MLPEncoder as MLPEncoder, TableFrontEnd as TableFrontEnd
    from kinview.encoders.numerical_embedding import NumericalEmbedding as NumericalEmbedding
    from kinview.encoders.patch_transformer import PatchTransformer as PatchTransformer
    from kinview.encoders.pooling import pool as pool, pool_segments as pool_segments, pooled as pooled
    from kinview.encoders.resnet1d import ResNet1d as ResNet1d
    from kinview.encoders.resnet_mlp import ResNetMLP as ResNetMLP
    from kinview.encoders.tfc_transformer import TFCTransformer as TFCTransformer
    from kinview.encoders.tstcc_cnn import TSTCCEncoder as TSTCCEncoder
    from kinview.modules import heads as heads

_package = lazy_exports(__name__)
encoders = Registry("encoders", members=_package.exported_modules)
