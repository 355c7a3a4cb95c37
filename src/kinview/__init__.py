"""Self-supervised representation learning on time series and tables, proved under missing data and wrong labels.

The public names load on first use, so that ``import kinview`` stays fast and needs neither torch nor sktime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kinview.moved import Finder as _Finder

if TYPE_CHECKING:
    from kinview.data.batch import Batch
    from kinview.datasets import load
    from kinview.methods.fine_tuning import FineTunedClassifier
    from kinview.methods.modelfile import load_model
    from kinview.methods.scarf import SCARF
    from kinview.methods.simclr import SimCLR, TabularSimCLR
    from kinview.methods.tfc import TFC
    from kinview.methods.ts2vec import TS2Vec
    from kinview.methods.tstcc import TSTCC
    from kinview.training.trainer import Trainer

__version__ = "0.1.0"

_HOME = {
    "Batch": "kinview.data.batch",
    "FineTunedClassifier": "kinview.methods.fine_tuning",
    "SCARF": "kinview.methods.scarf",
    "SimCLR": "kinview.methods.simclr",
    "TabularSimCLR": "kinview.methods.simclr",
    "TFC": "kinview.methods.tfc",
    "TS2Vec": "kinview.methods.ts2vec",
    "TSTCC": "kinview.methods.tstcc",
    "Trainer": "kinview.training.trainer",
    "load": "kinview.datasets",
    "load_model": "kinview.methods.modelfile",
}

__all__ = [
    "SCARF",
    "TFC",
    "TSTCC",
    "Batch",
    "FineTunedClassifier",
    "SimCLR",
    "TS2Vec",
    "TabularSimCLR",
    "Trainer",
    "__version__",
    "load",
    "load_model",
]

_Finder.install()  # so that pickles find what has moved


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kinview' has no attribute {name!r}; it offers {', '.join(sorted(_HOME))}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
