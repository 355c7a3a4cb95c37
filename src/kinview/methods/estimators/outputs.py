"""Arrays that results are written into."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["checked_out"]


def checked_out(out: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The array that results are written into.

    Raises
    ------
    ValueError
        If it is no array of floating-point numbers that can be written to, or of another shape.
    """
    if not isinstance(out, np.ndarray) or out.dtype.kind != "f" or not out.flags.writeable:
        kind = f"one of {out.dtype}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(
            f"out must be a NumPy array of floating-point numbers that can be written to (a memmap is one); got {kind}"
        )
    if out.shape != shape:
        raise ValueError(f"out must be of the shape of the result, {shape}; it is {out.shape}")
    return out
