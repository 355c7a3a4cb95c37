"""Dropout that is cheap on the CPU."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinview.distributed import generator_in_step, laid_out_as, rows_in_step

__all__ = ["CheapDropout"]

_LEVELS = 2**15


class CheapDropout(nn.Dropout):
    """``nn.Dropout`` whose coin flips share random words: four of a 64-bit draw, where torch draws one for each.

    The rate is the nearest multiple of 2^−15, and the kept values are scaled by exactly its complement, so that the
    expectation stays. Flips come from torch's global generator, as torch's own do; off the CPU it is torch's layer.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> kept = CheapDropout(0.25)(torch.ones(100_000))
    >>> sorted({round(v, 4) for v in kept.unique().tolist()}), round((kept > 0).float().mean().item(), 2)
    ([0.0, 1.3333], 0.75)
    """

    def forward(self, x: Tensor) -> Tensor:
        """Values, each zero with probability p and scaled by 1 / (1 − p) otherwise, while training."""
        dropped = round(self.p * _LEVELS)
        if not self.training or dropped == 0 or x.device.type != "cpu" or dropped == _LEVELS:
            return F.dropout(x, self.p, self.training, self.inplace)
        start, rows = rows_in_step(len(x), x.device)
        shape, layout = laid_out_as(x, rows)
        words = torch.empty((math.prod(shape) + 3) // 4, dtype=torch.int64).random_(
            generator=generator_in_step(x.device)
        )
        flips = words.view(torch.int16).as_strided(shape, layout)[start : start + len(x)] & (_LEVELS - 1)
        return x * (flips >= dropped).to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))
