"""How much memory series of unequal length may take once the short ones are padded."""

from __future__ import annotations

import os
from collections.abc import Collection

__all__ = ["check_padding"]

_CELLS = 2**30  # 8 GB of float64
_FACTOR = 100


def check_padding(lengths: Collection[int], channels: int, source: str | os.PathLike[str]) -> None:
    """Refuse series of which padding would make far more than there is: one long series among very many short ones.

    Raises
    ------
    ValueError
        For more than 2^30 padded cells that are over 100 times the cells of the series.

    Examples
    --------
    >>> check_padding([3, 5], 2, "demo.ts")
    """
    longest, held = max(lengths), sum(lengths)
    if len(lengths) * longest * channels > _CELLS and len(lengths) * longest > _FACTOR * held:
        raise ValueError(
            f"{source} has {len(lengths):,} series of {held / len(lengths):,.0f} steps on average and one of "
            f"{longest:,}: padded to one length they would take {len(lengths) * longest * channels * 8 / 1e9:,.0f} GB. "
            f"Cut the long series, or write the data in long format (id, time, value)"
        )
