"""TS2Vec: contextual representations of time series at every time stamp (Yue et al., AAAI 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.ts2vec.estimator import TS2Vec as TS2Vec, TS2VecMethod as TS2VecMethod
    from kinview.methods.ts2vec.with_minirocket import TS2VecMiniRocket as TS2VecMiniRocket

lazy_exports(__name__)
