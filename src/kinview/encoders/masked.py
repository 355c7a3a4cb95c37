"""Layers for series of unequal length: each takes every row's valid length along and gives the one it leaves.

Between these layers what lies beyond the end of a row is finite, but undefined. A layer that mixes steps first sets it
to the neutral element of its own operation: 0 before a convolution, −inf before a maximum, left out of the statistics
of a normalisation. So no layer depends on what the one before it left there, nor on how far the batch was padded. The
last step is :func:`blank`. An encoder of these layers says by a method ``feature_lengths(lengths)`` how many of its
features belong to a row.

``lengths=None`` says that every row fills the batch; then each layer is torch's own, which is also its fast path. On
the CPU the layers keep the channels of a step side by side in memory (torch's channels-last format, which exists in two
dimensions only): batch normalisation and pooling are several times faster so.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.distributed import in_step, is_distributed, mean_of_all, total

__all__ = [
    "MaskedBatchNorm1d",
    "MaskedConv1d",
    "MaskedMaxPool1d",
    "MaskedSequential",
    "blank",
    "input_convolution",
    "input_projection",
    "inside",
    "unless_full",
]


def unless_full(lengths: Int64[Tensor, " n"], steps: int) -> Int64[Tensor, " n"] | None:
    """The lengths, or None where all rows fill the batch, in all processes that share it.

    Examples
    --------
    >>> unless_full(torch.tensor([3, 3]), 3) is None
    True
    >>> unless_full(torch.tensor([1, 3]), 3)
    tensor([1, 3])
    """
    shorter = (lengths != steps).any()
    if in_step():
        shorter = total(shorter.float())
    return lengths if bool(shorter) else None


def inside(lengths: Int64[Tensor, " n"], steps: int) -> Bool[Tensor, "n t"]:
    """Whether a step lies before the end of its row.

    Examples
    --------
    >>> inside(torch.tensor([1, 0]), 2).tolist()
    [[True, False], [False, False]]
    """
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def blank(x: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"] | None, value: float = 0.0) -> Float[Tensor, "n c t"]:
    """Set what lies beyond the end of each row to one value.

    Examples
    --------
    >>> blank(torch.ones(1, 1, 3), torch.tensor([2])).tolist()
    [[[1.0, 1.0, 0.0]]]
    """
    return x if lengths is None else x.masked_fill(~inside(lengths, x.shape[2])[:, None, :], value)


class MaskedConv1d(nn.Conv1d):
    """``nn.Conv1d`` (zero padding, given as a number) that reads zeros beyond the end of each row.

    ``forward(x, lengths) -> (y, lengths)`` with the length formula of a convolution; a row of length 0 stays empty.

    Examples
    --------
    >>> conv = MaskedConv1d(1, 1, kernel_size=8, padding=4, bias=False)
    >>> y, lengths = conv(torch.randn(2, 1, 20), torch.tensor([20, 9]))
    >>> y.shape[2], lengths.tolist()
    (21, [21, 10])
    """

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"] | None = None
    ) -> tuple[Float[Tensor, "n d s"], Int64[Tensor, " n"] | None]:
        """Convolution, and the lengths that it leaves."""
        assert isinstance(self.padding, tuple)
        y = F.conv2d(
            _as_image(blank(x, lengths)),
            self.weight[:, :, None],
            self.bias,
            stride=(1, self.stride[0]),
            padding=(0, self.padding[0]),
            dilation=(1, self.dilation[0]),
            groups=self.groups,
        )
        return y.squeeze(2), self.out_lengths(lengths)

    def out_lengths(self, lengths: Int64[Tensor, " n"] | None) -> Int64[Tensor, " n"] | None:
        """Lengths after the layer."""
        assert isinstance(self.padding, tuple)
        return _shortened(lengths, self.kernel_size[0], self.stride[0], self.padding[0], self.dilation[0])


def input_convolution(
    channels: int, features: int, out_channels: int, kernel_size: int, stride: int = 1, dilation: int = 1
) -> MaskedConv1d:
    """First convolution of an encoder, without bias, padded by half a kernel: weight zero for what is not a value.

    A gap front-end gives ``features`` channels, the first ``channels`` of which are the values. Those beside them start
    with weight zero and draw no random number: an untrained network is the one without them, draw by draw, and what
    they are worth has to be learned.
    """
    shape: dict[str, Any] = {"stride": stride, "dilation": dilation, "bias": False}
    shape["padding"] = dilation * (kernel_size // 2)
    values = MaskedConv1d(channels, out_channels, kernel_size, **shape)
    if features != channels:
        values.in_channels = features
        _widen(values, features)
    return values


def input_projection(channels: int, features: int, out_features: int, steps: int = 1) -> nn.Linear:
    """The same as a linear layer over so many steps of all channels, the values of all steps in front."""
    values = nn.Linear(channels * steps, out_features)
    if features != channels:
        values.in_features = features * steps
        _widen(values, values.in_features)
    return values


def _widen(layer: nn.Conv1d | nn.Linear, inputs: int) -> None:
    """Give the layer so many inputs, those beside its own with weight zero."""
    weight = layer.weight.detach().new_zeros(len(layer.weight), inputs, *layer.weight.shape[2:])
    weight[:, : layer.weight.shape[1]] = layer.weight.detach()
    layer.weight.data = weight  # the same parameter: whoever registered it counts it once


class MaskedMaxPool1d(nn.Module):
    """``nn.MaxPool1d`` that reads −inf beyond the end of each row.

    ``forward(x, lengths) -> (y, lengths)`` with the length formula of a pooling; a row of length 0 stays empty.

    Parameters
    ----------
    kernel_size : int
        Window.
    stride : int, optional
        ``kernel_size`` by default.
    padding : int, default 0
        −inf on both sides, at most half a window.

    Examples
    --------
    >>> y, lengths = MaskedMaxPool1d(2, padding=1)(torch.arange(6.0).reshape(1, 1, 6), torch.tensor([3]))
    >>> y.tolist(), lengths.tolist()
    ([[[0.0, 2.0, 0.0, 0.0]]], [2])
    """

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(
        self, x: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"] | None = None
    ) -> tuple[Float[Tensor, "n c s"], Int64[Tensor, " n"] | None]:
        """Maxima, and the lengths that they leave."""
        image = _as_image(blank(x, lengths, -torch.inf))
        pooled = F.max_pool2d(image, (1, self.kernel_size), (1, self.stride), (0, self.padding)).squeeze(2)
        lengths = self.out_lengths(lengths)
        return blank(pooled, lengths), lengths  # no −inf, which would turn into NaN in a gradient

    def out_lengths(self, lengths: Int64[Tensor, " n"] | None) -> Int64[Tensor, " n"] | None:
        """Lengths after the layer."""
        return _shortened(lengths, self.kernel_size, self.stride, self.padding, 1)

    def extra_repr(self) -> str:
        """Parameters in the printed module."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """``nn.BatchNorm1d`` on ``(n, c, t)`` whose statistics are those of the steps before the end of each row.

    In training mean and variance run over all valid (row, step) positions, each with the same weight; the running
    variance takes the unbiased one, as torch's does. Where rows are divided among processes, they run over those of
    all (:mod:`kinview.distributed`). Without lengths it is torch's layer, and so it is in eval mode.

    Raises
    ------
    ValueError
        In training, if fewer than two positions are valid.

    Examples
    --------
    >>> norm = MaskedBatchNorm1d(1)
    >>> norm(torch.tensor([[[1.0, 3.0, 99.0]]]), torch.tensor([2]))[0, 0, :2]
    tensor([-1.0000,  1.0000], grad_fn=<SliceBackward0>)
    """

    def forward(self, x: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"] | None = None) -> Float[Tensor, "n c t"]:
        """Normalised features; undefined beyond the end of a row."""
        if x.ndim != 3:
            raise ValueError(f"expected features (n, c, t); got {tuple(x.shape)}")
        batch_statistics = self.training or self.running_mean is None
        if lengths is None and is_distributed() and not in_step():  # another process may have shorter rows
            lengths = torch.full((len(x),), x.shape[2], device=x.device)
        if lengths is None or not batch_statistics:
            return super().forward(_as_image(x)).squeeze(2)
        known = blank(x.float() if x.dtype.itemsize < 4 else x, lengths)  # statistics in float32 at least
        mean, count = mean_of_all(known.sum(dim=(0, 2)), lengths.sum())
        if count < 2:
            raise ValueError(f"batch normalisation needs at least 2 observed steps in a training batch; got {count}")
        centred = blank(x - mean[:, None], lengths)
        variance = total(centred.square().sum(dim=(0, 2))) / count
        if self.training:
            self._track(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is None:
            return (centred * scale[:, None]).to(x.dtype)
        return torch.addcmul(self.bias[:, None], centred, (scale * self.weight)[:, None]).to(x.dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        """Torch would refuse the image of one row that :meth:`forward` makes of its checked input."""

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        # without a new version, as torch's kernel does it: an earlier pass holds them, and its backward is to come
        self.running_mean.data.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.data.lerp_(variance.to(self.running_var.dtype), momentum)


class MaskedSequential(nn.Sequential):
    """Layers one after the other on ``(x, lengths)``; those that are not masked act on each step by itself.

    Examples
    --------
    >>> net = MaskedSequential(MaskedConv1d(1, 2, 3, padding=1), MaskedBatchNorm1d(2), nn.ReLU(), MaskedMaxPool1d(2))
    >>> y, lengths = net(torch.randn(2, 1, 8), torch.tensor([8, 5]))
    >>> y.shape, lengths.tolist(), net.out_lengths(torch.tensor([6])).tolist()
    (torch.Size([2, 2, 4]), [4, 2], [3])
    """

    def forward(
        self, x: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"] | None = None
    ) -> tuple[Float[Tensor, "n d s"], Int64[Tensor, " n"] | None]:
        """Features, and the lengths that they have."""
        for layer in self:
            if isinstance(layer, MaskedConv1d | MaskedMaxPool1d | MaskedSequential):
                x, lengths = layer(x, lengths)
            else:
                x = layer(x, lengths) if isinstance(layer, MaskedBatchNorm1d) else layer(x)
        return x, lengths

    def out_lengths(self, lengths: Int64[Tensor, " n"] | None) -> Int64[Tensor, " n"] | None:
        """Lengths after the last layer."""
        for layer in self:
            if isinstance(layer, MaskedConv1d | MaskedMaxPool1d | MaskedSequential):
                lengths = layer.out_lengths(lengths)
        return lengths

    @property
    def receptive_field(self) -> int:
        """Number of input steps that one step of the output can see."""
        field, step = 1, 1
        for layer in _flat(self):
            kernel, stride, dilation = _window(layer)
            field, step = field + (kernel - 1) * dilation * step, step * stride
        return field


def _as_image(x: Float[Tensor, "n c t"]) -> Float[Tensor, "n c 1 t"]:
    """Series as images of one row; on the CPU in the channels-last format."""
    image = x.unsqueeze(2)
    return image.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else image


def _flat(layers: MaskedSequential) -> list[MaskedConv1d | MaskedMaxPool1d]:
    flat: list[MaskedConv1d | MaskedMaxPool1d] = []
    for layer in layers:
        if isinstance(layer, MaskedSequential):
            flat += _flat(layer)
        elif isinstance(layer, MaskedConv1d | MaskedMaxPool1d):
            flat.append(layer)
    return flat


def _window(layer: MaskedConv1d | MaskedMaxPool1d) -> tuple[int, int, int]:
    if isinstance(layer, MaskedMaxPool1d):
        return layer.kernel_size, layer.stride, 1
    return layer.kernel_size[0], layer.stride[0], layer.dilation[0]


def _shortened(lengths: Tensor | None, kernel: int, stride: int, padding: int, dilation: int) -> Tensor | None:
    """Torch's length formula; an empty row stays empty."""
    if lengths is None:
        return None
    shortened = (lengths + 2 * padding - dilation * (kernel - 1) - 1).div(stride, rounding_mode="floor") + 1
    return shortened.clamp_min(0) * (lengths > 0)
