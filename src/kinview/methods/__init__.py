"""Published methods and the controls they must beat, as estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.methods.estimators.capabilities import check_declared
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.methods.controls.catch22.estimator import Catch22 as Catch22
    from kinview.methods.controls.pca import PCAFeatures as PCAFeatures
    from kinview.methods.controls.quant import Quant as Quant
    from kinview.methods.controls.random_features import RandomFeatures as RandomFeatures
    from kinview.methods.controls.random_init import RandomInit as RandomInit
    from kinview.methods.controls.raw import RawFeatures as RawFeatures
    from kinview.methods.controls.rocket.hydra import Hydra as Hydra
    from kinview.methods.controls.rocket.minirocket import MiniRocket as MiniRocket
    from kinview.methods.controls.rocket.multirocket import MultiRocket as MultiRocket
    from kinview.methods.controls.rocket.multirocket_hydra import MultiRocketHydra as MultiRocketHydra
    from kinview.methods.controls.summary import Summary as Summary
    from kinview.methods.controls.supervised import Supervised as Supervised
    from kinview.methods.controls.tsfresh_minimal import TSFreshMinimal as TSFreshMinimal
    from kinview.methods.estimators.model_file import load_model as load_model
    from kinview.methods.estimators.series import SeriesEstimator as SeriesEstimator
    from kinview.methods.estimators.tabular import TabularEstimator as TabularEstimator
    from kinview.methods.fine_tuning.classifier import FineTunedClassifier as FineTunedClassifier
    from kinview.methods.joint_embedding.estimators import (
        JointEmbedding as JointEmbedding,
        TabularJointEmbedding as TabularJointEmbedding,
    )
    from kinview.methods.joint_embedding.method import JointEmbeddingMethod as JointEmbeddingMethod
    from kinview.methods.joint_embedding.simclr import SimCLR as SimCLR, TabularSimCLR as TabularSimCLR
    from kinview.methods.recipes import (
        BYOL as BYOL,
        MoCo as MoCo,
        TabularBYOL as TabularBYOL,
        TabularMoCo as TabularMoCo,
        TabularVICReg as TabularVICReg,
        VICReg as VICReg,
    )
    from kinview.methods.scarf import SCARF as SCARF, SCARFMethod as SCARFMethod
    from kinview.methods.tfc.estimator import TFC as TFC, TFCMethod as TFCMethod
    from kinview.methods.ts2vec.estimator import TS2Vec as TS2Vec, TS2VecMethod as TS2VecMethod
    from kinview.methods.tstcc.estimator import TSTCC as TSTCC, TSTCCMethod as TSTCCMethod

_package = lazy_exports(__name__)
methods = Registry(
    "methods",
    members=_package.exported_modules,
    check=check_declared,
    recipes="method",
    recipe_classes="kinview.methods.recipes",
)
classifiers = Registry("classifiers", members=("kinview.methods.fine_tuning.classifier",))
