"""Random directions along which embeddings are looked at: drawn from a seed that comes with the views."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.distributed import gather
from kinview.tensor_checks import check_rows

__all__ = ["directions"]


def directions(
    loss: str, like: Float[Tensor, "n d"], count: int, seed: Int64[Tensor, " n"] | None
) -> Float[Tensor, "d count"]:
    """Unit vectors as columns, uniform on the sphere; the same ones for the same seed, on every process and device.

    ``seed`` holds one number a row, the same for all rows of a step; None stands for 0.
    """
    if seed is not None:
        check_rows(loss, len(like), seed=seed)
        seed = gather(seed)
    generator = torch.Generator().manual_seed(0 if seed is None else int(seed[0]))
    drawn = torch.randn(like.shape[1], count, generator=generator, dtype=torch.float64)
    unit: Tensor = (drawn / torch.linalg.vector_norm(drawn, dim=0)).to(like)
    return unit
