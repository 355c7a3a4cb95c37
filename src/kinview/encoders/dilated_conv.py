"""The dilated convolutional encoder of TS2Vec, padding-invariant, its taps that read only padding skipped."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.front_end import DEFAULT_FILL, FillRule, FrontEndMode, MissingRule
from kinview.encoders.masked import input_projection, inside, unless_full
from kinview.parameters import check_fraction, check_integer

__all__ = ["DilatedConvEncoder", "dilated_conv"]


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
        self.dropout = nn.Dropout(dropout)

    @property
    def receptive_field(self) -> int:
        """Number of input steps that one output step can see."""
        return 1 + sum(2 * 2 * block.dilation for block in self.blocks if isinstance(block, _Block))

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d t"]:
        """Per-timestamp representations ``(n, D, T)``; steps that are not shown are zero after the projection."""
        mask = self._mask(lengths, features)
        h = self.input_fc(features.permute(2, 0, 1))  # (t, n, hidden): time-major, a dilated tap is a row slice
        h = torch.where(observed.T[:, :, None], h, torch.zeros((), dtype=h.dtype, device=h.device))
        for block in self.blocks:
            h = block(h, mask)
        out: Tensor = self.dropout(h.permute(1, 2, 0))  # (n, d, t)
        return out

    def _mask(self, lengths: Tensor, like: Tensor) -> Tensor | None:
        """(t, n, 1) ones up to the end of each series; None where nothing has to be masked."""
        steps = like.shape[2]
        if self.padding == "official" or unless_full(lengths, steps) is None:
            return None
        return inside(lengths, steps).T.to(like.dtype)[:, :, None]


class _Block(nn.Module):
    """Residual block on time-major rows (t, n, c)."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int, final: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv1 = nn.Conv1d(in_channels, out_channels, 3, dilation=dilation)
        self.conv2 = nn.Conv1d(out_channels, out_channels, 3, dilation=dilation)
        self.projector = nn.Conv1d(in_channels, out_channels, 1) if in_channels != out_channels or final else None

    def forward(self, x: Tensor, inside: Tensor | None) -> Tensor:
        residual = x
        if self.projector is not None:
            residual = F.linear(x, self.projector.weight[:, :, 0], self.projector.bias)
        h = _convolve(self.conv1, F.gelu(x))
        h = F.gelu(h)
        h = _convolve(self.conv2, h if inside is None else h * inside)
        h = h + residual
        return h if inside is None else h * inside


def _convolve(conv: nn.Conv1d, x: Tensor) -> Tensor:
    assert conv.bias is not None
    return dilated_conv(x, conv.weight, conv.bias, conv.dilation[0])


def dilated_conv(
    x: Float[Tensor, "t n c"], weight: Float[Tensor, "out c kernel"], bias: Float[Tensor, " out"], dilation: int
) -> Float[Tensor, "t n out"]:
    """Same-length dilated convolution of time-major rows, equal to ``conv1d`` with zero padding.

    ``y[t] = b + Σ_j W_j x[t + (j − k//2)·dilation]`` with x = 0 outside.

    Examples
    --------
    >>> x, w, b = torch.arange(4.0).reshape(4, 1, 1), torch.ones(1, 1, 3), torch.zeros(1)
    >>> dilated_conv(x, w, b, dilation=1).flatten().tolist()
    [1.0, 3.0, 6.0, 5.0]
    """
    if x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        result: Tensor = _DilatedConv.apply(x, weight, bias, dilation)  # type: ignore[no-untyped-call]
        return result
    same = dilation * (weight.shape[2] // 2)
    return F.conv1d(x.permute(1, 2, 0), weight, bias, padding=same, dilation=dilation).permute(2, 0, 1)


class _DilatedConv(torch.autograd.Function):
    """One matrix product a tap on contiguous row slices; taps that would read only padding are skipped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        steps, n, channels = x.shape
        rows = x.reshape(steps * n, channels)
        taps = _taps(weight.shape[2], dilation, steps, n)
        out = torch.addmm(bias, rows, weight[:, :, weight.shape[2] // 2].T)
        for tap, read, write in taps:
            out[write].addmm_(rows[read], weight[:, :, tap].T)
        ctx.save_for_backward(rows, weight)
        ctx.shape, ctx.taps = x.shape, taps
        return out.view(steps, n, weight.shape[0])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        rows, weight = ctx.saved_tensors
        grad = grad.reshape(rows.shape[0], weight.shape[0])
        centre = weight.shape[2] // 2
        grad_rows = grad @ weight[:, :, centre]
        grad_weight = torch.zeros(weight.shape[2], *weight.shape[:2], dtype=weight.dtype)
        torch.mm(grad.T, rows, out=grad_weight[centre])
        for tap, read, write in ctx.taps:
            grad_rows[read].addmm_(grad[write], weight[:, :, tap])
            torch.mm(grad[write].T, rows[read], out=grad_weight[tap])
        return grad_rows.view(ctx.shape), grad_weight.permute(1, 2, 0), grad.sum(dim=0), None


def _taps(kernel: int, dilation: int, steps: int, n: int) -> list[tuple[int, slice, slice]]:
    """(tap, rows it reads, rows it writes) of every tap but the centre whose shift stays inside the series."""
    taps = []
    for tap in range(kernel):
        shift = (tap - kernel // 2) * dilation
        if shift == 0 or abs(shift) >= steps:
            continue
        first, last = max(0, shift) * n, (steps + min(0, shift)) * n
        taps.append((tap, slice(first, last), slice(first - shift * n, last - shift * n)))
    return taps
