"""Published methods and the controls they must beat, as estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.methods.fine_tuning import FineTunedClassifier as FineTunedClassifier
    from kinview.methods.modelfile import load_model as load_model
    from kinview.methods.random_init import RandomInit as RandomInit
    from kinview.methods.raw import RawFeatures as RawFeatures
    from kinview.methods.scarf import SCARF as SCARF, SCARFMethod as SCARFMethod
    from kinview.methods.series import SeriesEstimator as SeriesEstimator
    from kinview.methods.simclr import SimCLR as SimCLR, SimCLRMethod as SimCLRMethod, TabularSimCLR as TabularSimCLR
    from kinview.methods.supervised import Supervised as Supervised
    from kinview.methods.tabular import TabularEstimator as TabularEstimator
    from kinview.methods.tfc import TFC as TFC, TFCMethod as TFCMethod
    from kinview.methods.ts2vec import TS2Vec as TS2Vec, TS2VecMethod as TS2VecMethod
    from kinview.methods.tstcc import TSTCC as TSTCC, TSTCCMethod as TSTCCMethod

_package = lazy_exports(__name__)
methods = Registry("methods", members=_package.exported_modules)
classifiers = Registry("classifiers", members=("kinview.methods.fine_tuning",))
