"""TransTab: a transformer that reads the names of columns, so that one encoder serves tables with different columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.transtab.estimator import TransTab as TransTab
    from kinview.methods.transtab.method import TransTabMethod as TransTabMethod

lazy_exports(__name__)
