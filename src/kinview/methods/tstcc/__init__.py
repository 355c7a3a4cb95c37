"""TS-TCC: temporal and contextual contrasting of two augmented views of series (Eldele et al., IJCAI 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.tstcc.estimator import TSTCC as TSTCC, TSTCCMethod as TSTCCMethod

lazy_exports(__name__)
