"""The three-block convolutional encoder of TS-TCC, for any length and with gaps."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.dropout import CheapDropout
from kinview.encoders.front_end import DEFAULT_FILL, FillRule, FrontEndMode, MissingRule
from kinview.encoders.masked import (
    MaskedBatchNorm1d,
    MaskedConv1d,
    MaskedMaxPool1d,
    MaskedSequential,
    blank,
    input_convolution,
    unless_full,
)
from kinview.parameters import check_fraction

__all__ = ["TSTCCEncoder"]

_KERNEL_SIZE = 8  # of the second and third convolution, whatever the first one's


@encoders.register("tstcc_cnn", modality="time_series", reference="Eldele et al., TS-TCC, IJCAI 2021")
class TSTCCEncoder(SeriesEncoder):
    """Three blocks of convolution, batch normalisation, ReLU and max-pooling by 2 (TS-TCC).

    Parameters
    ----------
    channels : int
        Number of input channels C.
    repr_dim : int, default 128
        Channels D of the last block (official code).
    hidden_dim : int, default 32
        Channels of the first block; the second has twice as many (official code: 32 and 64).
    kernel_size : int, default 8
        Kernel of the first convolution (official code: 8 for HAR and Epilepsy, 25 for Sleep-EDF); the others have 8.
    stride : int, default 1
        Stride of the first convolution (official code: 1 for HAR and Epilepsy, 3 for Sleep-EDF).
    dropout : float, default 0.35
        Dropout after the first block (official code).
    front_end : {"values", "values+mask", "values+mask+delta"}
        What the network sees of missingness; the official code has ``values``. The weights of the input channels beside
        the values start at zero, so that an untrained network is the official one.
    missing : {"channel", "timestep"}
        Whether a missing value blanks its whole step.
    fill : {"completion", "zero", "hold", "linear", "completion+channels"}
        What the network sees in a gap; see :class:`GapFrontEnd`. As published: ``zero``.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, D, T')``, T' from ``feature_lengths(T)``: with the defaults 24 features of 178 steps, 2
    of one step. Convolutions have no bias and zero padding of half a kernel; the maximum is taken over pairs, with one
    step of padding. Each row carries its own valid length through every layer; features beyond it are zero. The
    official code knows neither gaps nor unequal lengths; on series without either, outputs are equal. ReLU stands after
    the pooling, with which it commutes, on half of the values.

    References
    ----------
    .. [1] Eldele et al., Time-Series Representation Learning via Temporal and Contextual Contrasting, IJCAI 2021,
       arXiv 2106.14112.

    Examples
    --------
    >>> import torch
    >>> encoder = TSTCCEncoder(channels=2).eval()
    >>> encoder(torch.zeros(3, 2, 178)).shape, encoder.receptive_field
    (torch.Size([3, 128, 24]), 57)
    >>> encoder.feature_lengths(torch.tensor([178, 1, 0])).tolist()
    [24, 2, 0]
    """

    def __init__(
        self,
        channels: int,
        repr_dim: int = 128,
        hidden_dim: int = 32,
        kernel_size: int = 8,
        stride: int = 1,
        dropout: float = 0.35,
        front_end: FrontEndMode = "values+mask",
        missing: MissingRule = "channel",
        fill: FillRule = DEFAULT_FILL,
    ) -> None:
        sizes = {"repr_dim": repr_dim, "hidden_dim": hidden_dim, "kernel_size": kernel_size, "stride": stride}
        super().__init__(
            {"channels": channels, **sizes}, dropout=dropout, front_end=front_end, missing=missing, fill=fill
        )
        check_fraction(dropout, "dropout", below=True)
        self.repr_dim = repr_dim
        first = input_convolution(channels, self.front_end.out_channels, hidden_dim, kernel_size, stride)
        self.blocks = MaskedSequential(
            _block(first, dropout),
            _block(MaskedConv1d(hidden_dim, 2 * hidden_dim, _KERNEL_SIZE, padding=_KERNEL_SIZE // 2, bias=False)),
            _block(MaskedConv1d(2 * hidden_dim, repr_dim, _KERNEL_SIZE, padding=_KERNEL_SIZE // 2, bias=False)),
        )

    @property
    def receptive_field(self) -> int:
        """Number of input steps that one feature can see."""
        return self.blocks.receptive_field

    def feature_lengths(self, lengths: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
        """Number of features of rows with so many steps."""
        features = self.blocks.out_lengths(lengths)
        assert features is not None
        return features

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d s"]:
        """Features ``(n, D, T')``, zero beyond the end of a row."""
        z, left = self.blocks(features, unless_full(lengths, features.shape[2]))
        return blank(z, left)


def _block(convolution: MaskedConv1d, dropout: float = 0.0) -> MaskedSequential:
    layers = [convolution, MaskedBatchNorm1d(convolution.out_channels), MaskedMaxPool1d(2, padding=1), nn.ReLU()]
    return MaskedSequential(*layers, *([CheapDropout(dropout)] if dropout else []))
