"""Self-supervised representation learning on time series and tables, proved under missing data and wrong labels.

The public names load on first use, so that ``import kinview`` stays fast and needs neither torch nor sktime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kinview.data.batch import Batch
    from kinview.datasets import load
    from kinview.methods.modelfile import load_model
    from kinview.methods.scarf import SCARF
    from kinview.methods.ts2vec import TS2Vec
    from kinview.training.trainer import Trainer

__version__ = "0.1.0"

_HOME = {
    "Batch": "kinview.data.batch",
    "SCARF": "kinview.methods.scarf",
    "TS2Vec": "kinview.methods.ts2vec",
    "Trainer": "kinview.training.trainer",
    "load": "kinview.datasets",
    "load_model": "kinview.methods.modelfile",
}

__all__ = ["SCARF", "Batch", "TS2Vec", "Trainer", "__version__", "load", "load_model"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kinview' has no attribute {name!r}; it offers {', '.join(sorted(_HOME))}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
