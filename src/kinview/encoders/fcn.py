"""The fully convolutional network of Wang et al., with dilations: the encoder of Mixing-up."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder, check_layers
from kinview.encoders.front_end import DEFAULT_FILL, FillRule, FrontEndMode, MissingRule
from kinview.encoders.masked import MaskedBatchNorm1d, MaskedSequential, blank, input_convolution, unless_full

__all__ = ["FCN"]


@encoders.register("fcn", modality="time_series", reference="Wang et al., IJCNN 2017; Wickstrøm et al., 2022")
class FCN(SeriesEncoder):
    r"""Convolutions that keep every step, each with batch normalisation and ReLU.

    Layer i computes :math:`\mathrm{ReLU}(\mathrm{BN}(W_i *_{d_i} x))` with kernel k_i and dilation d_i.

    Parameters
    ----------
    channels : int
        Number of input channels C.
    widths : sequence of int, default (128, 256, 128)
        Channels of each layer; the last one is the size D of the representation (both papers).
    kernel_sizes : sequence of int, default (7, 5, 3)
        Odd kernel of each layer (Wickstrøm et al.; Wang et al. have 8, 5, 3).
    dilations : sequence of int, optional
        Dilation of each layer; 2, 4, 8, ... by default (Wickstrøm et al.; Wang et al. have 1 throughout).
    front_end : {"values", "values+mask", "values+mask+delta"}
        What the network sees of missingness. The weights of the input channels beside the values start at zero.
    missing : {"channel", "timestep"}
        Whether a missing value blanks its whole step.
    fill : {"completion", "zero", "hold", "linear", "completion+channels"}
        What the network sees in a gap; see :class:`GapFrontEnd`. As published: ``zero``.

    Raises
    ------
    ValueError
        If a size is no whole number from 1, ``widths``, ``kernel_sizes`` and ``dilations`` differ in length, or a
        kernel is even.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, D, T)``, zero beyond the end of a row. Convolutions have no bias, which the normalisation
    would take away, and are padded on both sides, so that a feature is centred on its step. In training the statistics
    of the normalisation run over the valid steps alone.

    References
    ----------
    .. [1] Wang, Yan, Oates, Time Series Classification from Scratch with Deep Neural Networks: A Strong Baseline,
       IJCNN 2017, arXiv 1611.06455.
    .. [2] Wickstrøm et al., Mixing up contrastive learning, Pattern Recognition Letters 2022, arXiv 2203.09270.

    Examples
    --------
    >>> import torch
    >>> encoder = FCN(channels=2).eval()
    >>> encoder(torch.zeros(3, 2, 40)).shape, encoder.receptive_field
    (torch.Size([3, 128, 40]), 45)
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (128, 256, 128),
        kernel_sizes: Sequence[int] = (7, 5, 3),
        dilations: Sequence[int] | None = None,
        front_end: FrontEndMode = "values+mask",
        missing: MissingRule = "channel",
        fill: FillRule = DEFAULT_FILL,
    ) -> None:
        check_layers("layer", widths=widths, kernel_sizes=kernel_sizes, dilations=dilations)
        super().__init__(
            {"channels": channels},
            widths=list(widths),
            kernel_sizes=list(kernel_sizes),
            dilations=None if dilations is None else list(dilations),
            front_end=front_end,
            missing=missing,
            fill=fill,
        )
        self.repr_dim = int(widths[-1])
        values, inputs = [channels, *widths[:-1]], [self.front_end.out_channels, *widths[:-1]]
        layers: list[nn.Module] = []
        for i, (width, kernel) in enumerate(zip(widths, kernel_sizes, strict=True)):
            dilation = 2 ** (i + 1) if dilations is None else dilations[i]
            convolution = input_convolution(values[i], inputs[i], width, kernel, dilation=dilation)
            layers += [convolution, MaskedBatchNorm1d(width), nn.ReLU()]
        self.layers = MaskedSequential(*layers)

    @property
    def receptive_field(self) -> int:
        """Number of input steps that one feature can see."""
        return self.layers.receptive_field

    def feature_lengths(self, lengths: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
        """Number of features of rows with so many steps: as many."""
        return lengths

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d t"]:
        """Features ``(n, D, T)``, zero beyond the end of a row."""
        z, left = self.layers(features, unless_full(lengths, features.shape[2]))
        return blank(z, left)
