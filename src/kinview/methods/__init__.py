"""Published methods and the controls they must beat, as estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.methods.estimators.capabilities import check_declared
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.methods.cmcr.estimator import CMCR as CMCR
    from kinview.methods.cmcr.method import CMCRMethod as CMCRMethod
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
    from kinview.methods.controls.side_by_side import SideBySide as SideBySide
    from kinview.methods.controls.summary import Summary as Summary
    from kinview.methods.controls.supervised import Supervised as Supervised
    from kinview.methods.controls.tsfresh_minimal import TSFreshMinimal as TSFreshMinimal
    from kinview.methods.estimators.model_file import load_model as load_model
    from kinview.methods.estimators.multi_table import MultiTableEstimator as MultiTableEstimator
    from kinview.methods.estimators.paired import PairedEstimator as PairedEstimator
    from kinview.methods.estimators.series import SeriesEstimator as SeriesEstimator
    from kinview.methods.estimators.tabular import TabularEstimator as TabularEstimator
    from kinview.methods.exp_clr.estimator import ExpCLR as ExpCLR, ExpCLRMethod as ExpCLRMethod
    from kinview.methods.factor_cl import FactorCL as FactorCL, FactorCLMethod as FactorCLMethod
    from kinview.methods.fine_tuning.classifier import FineTunedClassifier as FineTunedClassifier
    from kinview.methods.joint_embedding.estimators import (
        JointEmbedding as JointEmbedding,
        TabularJointEmbedding as TabularJointEmbedding,
    )
    from kinview.methods.joint_embedding.method import JointEmbeddingMethod as JointEmbeddingMethod
    from kinview.methods.joint_embedding.simclr import SimCLR as SimCLR, TabularSimCLR as TabularSimCLR
    from kinview.methods.lit import LiT as LiT, LiTMethod as LiTMethod
    from kinview.methods.mixing_up import MixingUp as MixingUp, MixingUpMethod as MixingUpMethod
    from kinview.methods.paired_embedding import (
        PairedEmbedding as PairedEmbedding,
        PairedEmbeddingMethod as PairedEmbeddingMethod,
    )
    from kinview.methods.recipes import (
        BYOL as BYOL,
        CLAP as CLAP,
        CLIP as CLIP,
        CMLC as CMLC,
        CMSC as CMSC,
        CMSMLC as CMSMLC,
        FLO as FLO,
        MMCL as MMCL,
        NCL as NCL,
        NNCLR as NNCLR,
        AdversarialViews as AdversarialViews,
        Autoencoder as Autoencoder,
        BarlowTwins as BarlowTwins,
        ConVIRT as ConVIRT,
        CurriculumContrastive as CurriculumContrastive,
        DebiasedContrastive as DebiasedContrastive,
        DecoupledContrastive as DecoupledContrastive,
        DenoisingAutoencoder as DenoisingAutoencoder,
        FindingOrderInChaos as FindingOrderInChaos,
        FlatNCE as FlatNCE,
        HardNegativeContrastive as HardNegativeContrastive,
        InstanceDiscrimination as InstanceDiscrimination,
        LeJEPA as LeJEPA,
        MaskedReconstruction as MaskedReconstruction,
        MoCo as MoCo,
        MoCoV3 as MoCoV3,
        SigLIP as SigLIP,
        SimGRACE as SimGRACE,
        SimSiam as SimSiam,
        SupCon as SupCon,
        SwAV as SwAV,
        TabularAdversarialViews as TabularAdversarialViews,
        TabularAutoencoder as TabularAutoencoder,
        TabularBarlowTwins as TabularBarlowTwins,
        TabularBYOL as TabularBYOL,
        TabularCurriculumContrastive as TabularCurriculumContrastive,
        TabularDebiasedContrastive as TabularDebiasedContrastive,
        TabularDecoupledContrastive as TabularDecoupledContrastive,
        TabularDenoisingAutoencoder as TabularDenoisingAutoencoder,
        TabularFlatNCE as TabularFlatNCE,
        TabularFLO as TabularFLO,
        TabularHardNegativeContrastive as TabularHardNegativeContrastive,
        TabularInstanceDiscrimination as TabularInstanceDiscrimination,
        TabularLeJEPA as TabularLeJEPA,
        TabularMaskedReconstruction as TabularMaskedReconstruction,
        TabularMoCo as TabularMoCo,
        TabularMoCoV3 as TabularMoCoV3,
        TabularNNCLR as TabularNNCLR,
        TabularSimGRACE as TabularSimGRACE,
        TabularSimSiam as TabularSimSiam,
        TabularSupCon as TabularSupCon,
        TabularSwAV as TabularSwAV,
        TabularVICReg as TabularVICReg,
        TabularViewmaker as TabularViewmaker,
        TabularVISReg as TabularVISReg,
        VICReg as VICReg,
        Viewmaker as Viewmaker,
        VISReg as VISReg,
    )
    from kinview.methods.reconstruction.estimators import (
        Reconstruction as Reconstruction,
        TabularReconstruction as TabularReconstruction,
    )
    from kinview.methods.reconstruction.method import ReconstructionMethod as ReconstructionMethod
    from kinview.methods.saint.estimator import SAINT as SAINT, SAINTMethod as SAINTMethod
    from kinview.methods.saint.network import RowColumnTransformer as RowColumnTransformer
    from kinview.methods.scarf import SCARF as SCARF, SCARFMethod as SCARFMethod
    from kinview.methods.semi_supervised.classifiers import (
        PseudoLabelClassifier as PseudoLabelClassifier,
        VIMESemiClassifier as VIMESemiClassifier,
    )
    from kinview.methods.subtab import SubTab as SubTab, SubTabMethod as SubTabMethod
    from kinview.methods.tacl import TabularTaCL as TabularTaCL, TaCL as TaCL, TaCLMethod as TaCLMethod
    from kinview.methods.tfc.estimator import TFC as TFC, TFCMethod as TFCMethod
    from kinview.methods.three_towers import ThreeTowers as ThreeTowers, ThreeTowersMethod as ThreeTowersMethod
    from kinview.methods.transtab.estimator import TransTab as TransTab
    from kinview.methods.transtab.method import TransTabMethod as TransTabMethod
    from kinview.methods.ts2vec.estimator import TS2Vec as TS2Vec, TS2VecMethod as TS2VecMethod
    from kinview.methods.ts2vec.with_minirocket import TS2VecMiniRocket as TS2VecMiniRocket
    from kinview.methods.tstcc.estimator import TSTCC as TSTCC, TSTCCMethod as TSTCCMethod
    from kinview.methods.vime import VIME as VIME, VIMEMethod as VIMEMethod

_package = lazy_exports(__name__)
methods = Registry(
    "methods",
    members=_package.exported_modules,
    check=check_declared,
    recipes="method",
    recipe_classes="kinview.methods.recipes",
)
classifiers = Registry(
    "classifiers",
    members=("kinview.methods.fine_tuning.classifier", "kinview.methods.semi_supervised.classifiers"),
)
connections = Registry("connections", members=("kinview.methods.cmcr.estimator",))
