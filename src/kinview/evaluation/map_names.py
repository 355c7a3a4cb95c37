"""Names of the maps that a report draws embeddings by; the command line reads them before anything heavy is loaded."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["MAP_NAMES", "MapName"]

MapName = Literal["pca", "tsne", "umap"]
MAP_NAMES: tuple[MapName, ...] = get_args(MapName)
