"""C-MCR: two models of pairs that share a side become one of the sides that they do not share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.cmcr.estimator import CMCR as CMCR
    from kinview.methods.cmcr.method import CMCRMethod as CMCRMethod

lazy_exports(__name__)
