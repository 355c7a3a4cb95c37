"""Self-supervised representation learning on time series and tables, proved under missing data and wrong labels.

The public names load on first use, so that ``import kinview`` stays fast and needs neither torch nor sktime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.moved import Finder as _Finder

if TYPE_CHECKING:
    from kinview.data.batch import Batch as Batch
    from kinview.data.paired import PairedData as PairedData
    from kinview.datasets.named import load as load
    from kinview.explanations.explain import explain as explain
    from kinview.methods.controls.catch22.estimator import Catch22 as Catch22
    from kinview.methods.controls.pca import PCAFeatures as PCAFeatures
    from kinview.methods.controls.quant import Quant as Quant
    from kinview.methods.controls.random_features import RandomFeatures as RandomFeatures
    from kinview.methods.controls.rocket.hydra import Hydra as Hydra
    from kinview.methods.controls.rocket.minirocket import MiniRocket as MiniRocket
    from kinview.methods.controls.rocket.multirocket import MultiRocket as MultiRocket
    from kinview.methods.controls.rocket.multirocket_hydra import MultiRocketHydra as MultiRocketHydra
    from kinview.methods.controls.summary import Summary as Summary
    from kinview.methods.controls.tsfresh_minimal import TSFreshMinimal as TSFreshMinimal
    from kinview.methods.estimators.model_file import load_model as load_model
    from kinview.methods.fine_tuning.classifier import FineTunedClassifier as FineTunedClassifier
    from kinview.methods.joint_embedding.simclr import SimCLR as SimCLR, TabularSimCLR as TabularSimCLR
    from kinview.methods.scarf import SCARF as SCARF
    from kinview.methods.tfc.estimator import TFC as TFC
    from kinview.methods.ts2vec.estimator import TS2Vec as TS2Vec
    from kinview.methods.ts2vec.with_minirocket import TS2VecMiniRocket as TS2VecMiniRocket
    from kinview.methods.tstcc.estimator import TSTCC as TSTCC
    from kinview.own_parts import import_parts as import_parts
    from kinview.schema_matching.match import match_columns as match_columns
    from kinview.training.trainer import Trainer as Trainer

__version__ = "0.1.0"

lazy_exports(__name__)
_Finder.install()  # so that pickles find what has moved
