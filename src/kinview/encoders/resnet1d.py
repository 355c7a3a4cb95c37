"""A small one-dimensional residual network, the backbone of TF-C's paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder, check_layers
from kinview.encoders.front_end import DEFAULT_FILL, FillRule, FrontEndMode, MissingRule
from kinview.encoders.masked import MaskedBatchNorm1d, blank, input_convolution, unless_full

__all__ = ["ResNet1d"]


@encoders.register("resnet1d", modality="time_series", reference="Zhang et al., TF-C, NeurIPS 2022; He et al., 2016")
class ResNet1d(SeriesEncoder):
    r"""Residual blocks of two convolutions with batch normalisation; each block halves the length.

    Block i computes :math:`\mathrm{ReLU}(\mathrm{BN}(W_2 * \mathrm{ReLU}(\mathrm{BN}(W_1 *_{s} x))) +
    \mathrm{BN}(W_0 *_{s} x))` with two convolutions of kernel k_i, the first with stride s, and a 1x1 convolution with
    stride s on the residual.

    Parameters
    ----------
    channels : int
        Number of input channels C.
    widths : sequence of int, default (32, 64, 128)
        Channels of each block; the last one is the size D of the representation. The TF-C paper says "3-layer 1-D
        ResNet" and no more; these are the widths of TS-TCC's three blocks.
    kernel_sizes : sequence of int, default (7, 5, 3)
        Odd kernel of each block (Wang et al. [2]_ have 8, 5, 3; odd ones keep a feature centred on its steps).
    stride : int, default 2
        Of each block (He et al. [3]_).
    front_end : {"values", "values+mask", "values+mask+delta"}
        What the network sees of missingness. The weights of the input channels beside the values start at zero.
    missing : {"channel", "timestep"}
        Whether a missing value blanks its whole step.
    fill : {"completion", "zero", "hold", "linear", "completion+channels"}
        What the network sees in a gap; see :class:`GapFrontEnd`. As published: ``zero``.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, D, T')`` with T' = ⌈T / s³⌉ for three blocks; features beyond the end of a series are
    zero, and ``feature_lengths`` says how many belong to it. In training the statistics of the normalisation run over
    the valid steps alone. With the defaults a feature sees 67 steps (``receptive_field``), and the network for one
    channel has 123,712 parameters.

    References
    ----------
    .. [1] Zhang et al., Self-Supervised Contrastive Pre-Training for Time Series via Time-Frequency Consistency,
       NeurIPS 2022, arXiv 2206.08496.
    .. [2] Wang, Yan, Oates, Time Series Classification from Scratch with Deep Neural Networks: A Strong Baseline,
       IJCNN 2017, arXiv 1611.06455.
    .. [3] He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016, arXiv 1512.03385.

    Examples
    --------
    >>> import torch
    >>> encoder = ResNet1d(channels=1).eval()
    >>> encoder(torch.zeros(3, 1, 20)).shape, encoder.receptive_field
    (torch.Size([3, 128, 3]), 67)
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (32, 64, 128),
        kernel_sizes: Sequence[int] = (7, 5, 3),
        stride: int = 2,
        front_end: FrontEndMode = "values+mask",
        missing: MissingRule = "channel",
        fill: FillRule = DEFAULT_FILL,
    ) -> None:
        check_layers("block", widths=widths, kernel_sizes=kernel_sizes)
        super().__init__(
            {"channels": channels, "stride": stride},
            widths=list(widths),
            kernel_sizes=list(kernel_sizes),
            front_end=front_end,
            missing=missing,
            fill=fill,
        )
        self.stride = stride
        self.repr_dim = int(widths[-1])
        inputs = [self.front_end.out_channels, *widths[:-1]]
        values = [channels, *widths[:-1]]
        self.blocks = nn.ModuleList(
            _Block(values[i], inputs[i], widths[i], kernel, stride) for i, kernel in enumerate(kernel_sizes)
        )

    @property
    def receptive_field(self) -> int:
        """Number of input steps that one feature can see."""
        reach, jump = 1, 1
        for kernel in self.config["kernel_sizes"]:
            reach += (kernel - 1) * jump
            jump *= self.stride
            reach += (kernel - 1) * jump
        return reach

    def feature_lengths(self, lengths: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
        """Number of features of series of the given lengths."""
        for block in self.blocks:
            assert isinstance(block, _Block)
            shortened = block.conv1.out_lengths(lengths)
            assert shortened is not None
            lengths = shortened
        return lengths

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d s"]:
        """Features ``(n, D, T')``, zero beyond the end of a row."""
        left = unless_full(lengths, features.shape[2])
        for block in self.blocks:
            features, left = block(features, left)
        return blank(features, left)


class _Block(nn.Module):
    """Two convolutions and the 1x1 convolution beside them."""

    def __init__(self, channels: int, features: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv1 = input_convolution(channels, features, out_channels, kernel, stride)
        self.norm1 = MaskedBatchNorm1d(out_channels)
        self.conv2 = input_convolution(out_channels, out_channels, out_channels, kernel)
        self.norm2 = MaskedBatchNorm1d(out_channels)
        self.shortcut = input_convolution(channels, features, out_channels, 1, stride)
        self.shortcut_norm = MaskedBatchNorm1d(out_channels)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        residual, shortened = self.shortcut(x, lengths)
        h, _ = self.conv1(x, lengths)
        h = F.relu(self.norm1(h, shortened))
        h, _ = self.conv2(h, shortened)
        return F.relu(self.norm2(h, shortened) + self.shortcut_norm(residual, shortened)), shortened
