"""SAINT: attention over columns and over rows, pre-trained by contrast and denoising."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.saint.estimator import SAINT as SAINT, SAINTMethod as SAINTMethod
    from kinview.methods.saint.network import RowColumnTransformer as RowColumnTransformer

lazy_exports(__name__)
