"""The methods that are taken where none is named.

They stand here, and not with the flags that all methods rest on: whatever rests on this names both of them.
"""

from __future__ import annotations

from kinview.data.modality import SERIES, TABLE

__all__ = ["DEFAULT_METHODS"]

DEFAULT_METHODS = {SERIES: "ts2vec", TABLE: "scarf"}
"""The method whose network is taken where none is named, by modality."""
