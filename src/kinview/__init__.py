"""Self-supervised representation learning on time series and tables, proved under missing data and wrong labels.

The public names load on first use, so that ``import kinview`` stays fast and needs neither torch nor sktime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.data.batch import Batch as Batch
    from kinview.datasets.named import load as load
    from kinview.methods.fine_tuning import FineTunedClassifier as FineTunedClassifier
    from kinview.methods.modelfile import load_model as load_model
    from kinview.methods.scarf import SCARF as SCARF
    from kinview.methods.simclr import SimCLR as SimCLR, TabularSimCLR as TabularSimCLR
    from kinview.methods.tfc import TFC as TFC
    from kinview.methods.ts2vec import TS2Vec as TS2Vec
    from kinview.methods.tstcc import TSTCC as TSTCC
    from kinview.training.trainer import Trainer as Trainer

__version__ = "0.1.0"

lazy_exports(__name__)
