"""The dilated convolutional encoder of TS2Vec, padding-invariant, its taps that read only padding skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.dropout import CheapDropout
from kinview.encoders.front_end import DEFAULT_FILL, FillRule, FrontEndMode, MissingRule
from kinview.encoders.masked import input_projection, inside, unless_full
from kinview.parameters import check_fraction, check_integer

__all__ = ["DilatedConvEncoder"]

_CACHED = 2**19  # values of a block (2 MiB) that a cache holds


@encoders.register("dilated_conv", modality="time_series", reference="Yue et al., TS2Vec, AAAI 2022")
class DilatedConvEncoder(SeriesEncoder):
    """Input projection, then ``depth + 1`` residual blocks of dilated convolutions (TS2Vec).

    Block i computes ``x + conv(gelu(conv(gelu(x))))`` with kernel 3 and dilation 2^i; the last one goes from
    ``hidden_dim`` to ``repr_dim`` channels with a 1x1 convolution on its residual.

    Parameters
    ----------
    channels : int
        Number of input channels C.
    repr_dim : int, default 320
        Output channels D (paper).
    hidden_dim : int, default 64
        Channels of the hidden blocks (paper).
    depth : int, default 10
        Number of hidden blocks (paper).
    dropout : float, default 0.1
        Dropout on the output (official code).
    front_end : {"values", "values+mask", "values+mask+delta"}
        What the network sees of missingness; the official code has ``values``.
    missing : {"channel", "timestep"}
        Whether a missing value blanks its whole step; the official code has ``timestep``.
    padding : {"masked", "official"}
        ``masked``: steps beyond the end of a series are zero before every convolution, so an embedding does not depend
        on how far the batch was padded. ``official``: they are treated as gaps, as the official code does.
    fill : {"completion", "zero", "hold", "linear", "completion+channels"}
        What the network sees in a gap; see :class:`GapFrontEnd`. As published: ``zero``.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, D, T)``. Steps beyond the end of a series are zero in the output (``masked``).
    The receptive field is ``receptive_field`` steps. On the CPU a convolution runs as one matrix product a tap over
    time-major rows; a tap whose shift is as long as the series would read zeros only and is left out. Both are exact.
    Flips of the dropout share random words (:class:`kinview.encoders.dropout.CheapDropout`).

    References
    ----------
    .. [1] Yue et al., TS2Vec: Towards Universal Representation of Time Series, AAAI 2022, arXiv 2106.10466.

    Examples
    --------
    >>> encoder = DilatedConvEncoder(channels=2, repr_dim=8, hidden_dim=4, depth=2).eval()
    >>> encoder(torch.zeros(3, 2, 10)).shape, encoder.receptive_field
    (torch.Size([3, 8, 10]), 29)
    """

    def __init__(
        self,
        channels: int,
        repr_dim: int = 320,
        hidden_dim: int = 64,
        depth: int = 10,
        dropout: float = 0.1,
        front_end: FrontEndMode = "values+mask",
        missing: MissingRule = "channel",
        padding: Literal["masked", "official"] = "masked",
        fill: FillRule = DEFAULT_FILL,
    ) -> None:
        super().__init__(
            {"channels": channels, "repr_dim": repr_dim, "hidden_dim": hidden_dim},
            depth=depth,
            dropout=dropout,
            front_end=front_end,
            missing=missing,
            fill=fill,
            padding=padding,
        )
        check_integer(depth, "depth", at_least=0)
        check_fraction(dropout, "dropout", below=True)
        if padding not in ("masked", "official"):
            raise ValueError(f"padding must be 'masked' or 'official'; got {padding!r}")
        self.padding = padding
        self.repr_dim = repr_dim
        self.padding_independent = padding == "masked"
        self.input_fc = input_projection(channels, self.front_end.out_channels, hidden_dim)
        widths = [hidden_dim] * (depth + 1) + [repr_dim]
        self.blocks = nn.ModuleList(
            _Block(widths[i], widths[i + 1], dilation=2**i, final=i == depth) for i in range(depth + 1)
        )
        self.dropout = CheapDropout(dropout)

    @property
    def receptive_field(self) -> int:
        """Number of input steps that one output step can see."""
        return 1 + sum(2 * 2 * block.dilation for block in self.blocks if isinstance(block, _Block))

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d t"]:
        """Per-timestamp representations ``(n, D, T)``; steps that are not shown are zero after the projection."""
        (found,) = self.encode_together([(features, lengths, observed)], [slice(0, features.shape[2])])
        return found

    def encode_together(
        self, views: Sequence[tuple[Tensor, Tensor, Tensor]], steps: Sequence[slice]
    ) -> list[Float[Tensor, "n d t"]]:
        """Per-timestamp representations of some steps of several views, which go through the network together.

        Parameters
        ----------
        views : sequence of tuple
            Features, lengths and observed steps of each, as :meth:`prepared` gives them; they may differ in all sizes.
        steps : sequence of slice
            The steps of each that are asked for. The last block, the widest, computes no others where none of its
            taps reads another step.

        Returns
        -------
        list of Tensor
            ``(n, D, steps)`` of each view.
        """
        rows = [self._projected(features, observed) for features, _, observed in views]
        masks = [self._mask(lengths, features) for features, lengths, _ in views]
        shapes = [(h.shape[0], h.shape[1]) for h in rows]
        if any(mask is not None for mask in masks):
            masks = [h.new_ones(*h.shape[:2], 1) if m is None else m for h, m in zip(rows, masks, strict=True)]
            inside: Tensor | None = torch.cat([m.flatten(0, 1) for m in masks if m is not None])
        else:
            inside = None
        h = torch.cat([part.flatten(0, 1) for part in rows]) if len(rows) > 1 else rows[0].flatten(0, 1)
        *first, last = self.blocks
        for block in first:
            h = block(h, shapes, inside)
        if all(2 ** len(first) >= length for length, _ in shapes):  # the last block's taps read no other step
            h, inside, shapes, steps = _cut(h, inside, shapes, steps)
        h = last(h, shapes, inside)
        h, _, shapes, _ = _cut(h, None, shapes, steps)
        parts = torch.split(h, [length * n for length, n in shapes])
        found = (part.view(length, n, -1).permute(1, 2, 0) for part, (length, n) in zip(parts, shapes, strict=True))
        return [self.dropout(part) for part in found]

    def _projected(self, features: Tensor, observed: Tensor) -> Float[Tensor, "t n hidden"]:
        """Input projection, time-major: a dilated tap is a slice of rows then."""
        h: Tensor = self.input_fc(features.permute(2, 0, 1))
        return torch.where(observed.T[:, :, None], h, torch.zeros((), dtype=h.dtype, device=h.device))

    def _mask(self, lengths: Tensor, like: Tensor) -> Tensor | None:
        """(t, n, 1) ones up to the end of each series; None where nothing has to be masked."""
        steps = like.shape[2]
        if self.padding == "official" or unless_full(lengths, steps) is None:
            return None
        return inside(lengths, steps).T.to(like.dtype)[:, :, None]


Shapes = list[tuple[int, int]]
"""Steps and series of views whose time-major rows stand one after the other."""


def _cut(
    h: Tensor, inside: Tensor | None, shapes: Shapes, steps: Sequence[slice]
) -> tuple[Tensor, Tensor | None, Shapes, list[slice]]:
    """Rows of the steps that are asked for alone, and which steps these are now."""
    if all(part == slice(0, length) for (length, _), part in zip(shapes, steps, strict=True)):
        return h, inside, shapes, list(steps)
    places, start = [], 0
    for (length, n), part in zip(shapes, steps, strict=True):
        places.append(slice(start + part.start * n, start + part.stop * n))
        start += length * n
    shapes = [(part.stop - part.start, n) for (_, n), part in zip(shapes, steps, strict=True)]
    h = torch.cat([h[place] for place in places])
    inside = None if inside is None else torch.cat([inside[place] for place in places])
    return h, inside, shapes, [slice(0, length) for length, _ in shapes]


class _Block(nn.Module):
    """Residual block on time-major rows ``(rows, c)`` of one or several views."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int, final: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv1 = _tap_major(nn.Conv1d(in_channels, out_channels, 3, dilation=dilation))
        self.conv2 = _tap_major(nn.Conv1d(out_channels, out_channels, 3, dilation=dilation))
        self.projector = nn.Conv1d(in_channels, out_channels, 1) if in_channels != out_channels or final else None

    def forward(self, x: Tensor, shapes: Shapes, inside: Tensor | None) -> Tensor:
        weights = (self.conv1.weight, self.conv1.bias, self.conv2.weight, self.conv2.bias)
        own = (None, None) if self.projector is None else (self.projector.weight, self.projector.bias)
        if x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            result: Tensor = _ResidualBlock.apply(x, inside, shapes, self.dilation, *weights, *own)  # type: ignore[no-untyped-call]
            return result
        residual = x if self.projector is None else F.linear(x, self.projector.weight[:, :, 0], self.projector.bias)
        h = F.gelu(self._convolved(self.conv1, F.gelu(x), shapes))
        h = self._convolved(self.conv2, h if inside is None else h * inside, shapes) + residual
        return h if inside is None else h * inside

    def _convolved(self, conv: nn.Conv1d, rows: Tensor, shapes: Shapes) -> Tensor:
        parts = torch.split(rows, [length * n for length, n in shapes])
        series = [part.view(length, n, -1).permute(1, 2, 0) for part, (length, n) in zip(parts, shapes, strict=True)]
        found = [F.conv1d(x, conv.weight, conv.bias, padding=self.dilation, dilation=self.dilation) for x in series]
        return torch.cat([y.permute(2, 0, 1).flatten(0, 1) for y in found])


def _tap_major(conv: nn.Conv1d) -> nn.Conv1d:
    """The convolution, the weights of a tap side by side in memory: it is a matrix then, and need not be copied."""
    conv.weight = nn.Parameter(conv.weight.detach().permute(2, 0, 1).contiguous().permute(1, 2, 0))
    return conv


class _ResidualBlock(torch.autograd.Function):
    """A block as one node: a product a tap on slices of rows, taps that would read only padding are skipped.

    Kept for the gradient are the rows before each GELU, and the GELUs themselves where they are small: beyond a
    cache's size it is as fast to compute them again, and half the memory.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        inside: Tensor | None,
        shapes: Shapes,
        dilation: int,
        weight1: Tensor,
        bias1: Tensor,
        weight2: Tensor,
        bias2: Tensor,
        own_weight: Tensor | None,
        own_bias: Tensor | None,
    ) -> Tensor:
        taps = _taps(dilation, shapes)
        first = F.gelu(x)
        h = _convolve(first, weight1, bias1, taps)
        second = _activated(h, inside)
        out = _convolve(second, weight2, bias2, taps)
        if own_weight is None:
            out += x
        else:
            assert own_bias is not None
            out.addmm_(x, own_weight[:, :, 0].T).add_(own_bias)
        if inside is not None:
            out *= inside
        kept = (first, second) if h.numel() <= _CACHED else (None, None)
        ctx.save_for_backward(x, inside, h, *kept, weight1, weight2, own_weight)
        ctx.taps = taps
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, inside, h, first, second, weight1, weight2, own_weight = ctx.saved_tensors
        if inside is not None:
            grad = grad * inside
        grad = grad.contiguous()
        grad_bias = grad.sum(dim=0)
        second = _activated(h, inside) if second is None else second
        back, grad_weight2 = _convolve_back(grad, second, weight2, ctx.taps)
        del second
        if inside is not None:
            back *= inside
        back = torch.ops.aten.gelu_backward(back, h)
        grad_bias1 = back.sum(dim=0)
        first = F.gelu(x) if first is None else first
        back, grad_weight1 = _convolve_back(back, first, weight1, ctx.taps)
        del first
        back = torch.ops.aten.gelu_backward(back, x)
        if own_weight is None:
            return (back.add_(grad), None, None, None, grad_weight1, grad_bias1, grad_weight2, grad_bias, None, None)
        grad_own = torch.mm(grad.T, x)[:, :, None]
        back.addmm_(grad, own_weight[:, :, 0])
        return (back, None, None, None, grad_weight1, grad_bias1, grad_weight2, grad_bias, grad_own, grad_bias.clone())


Tap = tuple[int, slice, slice]


def _taps(dilation: int, shapes: Shapes) -> list[Tap]:
    """(tap, rows it reads, rows it writes) of every tap but the centre whose shift stays inside a series."""
    taps, start = [], 0
    for steps, n in shapes:
        if dilation < steps:
            early, late = slice(start, start + (steps - dilation) * n), slice(start + dilation * n, start + steps * n)
            taps += [(0, early, late), (2, late, early)]
        start += steps * n
    return taps


def _activated(h: Tensor, inside: Tensor | None) -> Tensor:
    activated = F.gelu(h)
    return activated if inside is None else activated.mul_(inside)


def _convolve(rows: Tensor, weight: Tensor, bias: Tensor, taps: list[Tap]) -> Tensor:
    """Same-length convolution of kernel 3: ``y[t] = b + Σ_j W_j x[t + (j − 1)·dilation]`` with x = 0 outside."""
    matrices = weight.permute(2, 1, 0)  # (tap, in, out)
    out = torch.addmm(bias, rows, matrices[1])
    for tap, read, write in taps:
        out[write].addmm_(rows[read], matrices[tap])
    return out


def _convolve_back(grad: Tensor, rows: Tensor, weight: Tensor, taps: list[Tap]) -> tuple[Tensor, Tensor]:
    """Gradients of the rows and of the weight."""
    matrices = weight.permute(2, 0, 1)  # (tap, out, in)
    grad_rows = grad @ matrices[1]
    grad_weight = grad.new_zeros(matrices.shape) if not taps else grad.new_empty(matrices.shape)
    torch.mm(grad.T, rows, out=grad_weight[1])
    written = set[int]()
    for tap, read, write in taps:
        grad_rows[read].addmm_(grad[write], matrices[tap])
        if tap in written:
            grad_weight[tap].addmm_(grad[write].T, rows[read])
        else:
            torch.mm(grad[write].T, rows[read], out=grad_weight[tap])
            written.add(tap)
    return grad_rows, grad_weight.permute(1, 2, 0)
