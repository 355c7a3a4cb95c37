"""A transformer over patches of a series, after PatchTST, for any length and with gaps."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.front_end import DEFAULT_FILL, FillRule, FrontEndMode, MissingRule
from kinview.encoders.masked import blank, input_projection, inside
from kinview.parameters import check_fraction

__all__ = ["PatchTransformer"]


@encoders.register("patch_transformer", modality="time_series", reference="Nie et al., PatchTST, ICLR 2023")
class PatchTransformer(SeriesEncoder):
    r"""Overlapping patches of a series become tokens of a transformer encoder (PatchTST).

    Patch j holds the steps :math:`[jS, jS + P)` of all channels; a linear layer brings it to D numbers, to which the
    sinusoids of its position are added. Layers of self-attention (normalisation first) follow.

    Parameters
    ----------
    channels : int
        Number of input channels C.
    repr_dim : int, default 128
        Width D of a token (paper).
    patch_length : int, default 16
        P, in steps (paper).
    stride : int, default 8
        S, in steps (paper); at most P, so that no step is passed over.
    depth : int, default 3
        Layers (paper).
    heads : int, default 16
        Attention heads (paper); must divide D.
    feed_forward_dim : int, default 256
        Width inside the feed-forward layers (paper).
    dropout : float, default 0.2
        Dropout in and after attention and feed-forward layers (paper).
    front_end : {"values", "values+mask", "values+mask+delta"}
        What the network sees of missingness. Weights of the input channels beside the values start at zero.
    missing : {"channel", "timestep"}
        Whether a missing value blanks its whole step.
    fill : {"completion", "zero", "hold", "linear", "completion+channels"}
        What the network sees in a gap; see :class:`GapFrontEnd`. As published: ``zero``.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, D, T')`` with T' from ``feature_lengths(T)``, at least 1. A series' last patch is filled
    up with zeros; patches beyond its end take no part in attention and are zero in the output. *Deviations from the
    paper.* A token holds all channels (the paper runs every channel by itself), positions are sinusoids (learned ones
    have a largest length), layer normalisation stands before the sublayers (the paper: batch normalisation after
    them), and no statistics of a series are removed: scaling is the estimator's.

    References
    ----------
    .. [1] Nie et al., A Time Series is Worth 64 Words: Long-term Forecasting with Transformers, ICLR 2023,
       arXiv 2211.14730.

    Examples
    --------
    >>> encoder = PatchTransformer(channels=2, repr_dim=16, heads=4).eval()
    >>> encoder(torch.zeros(3, 2, 40)).shape, encoder.feature_lengths(torch.tensor([40, 16, 3, 0])).tolist()
    (torch.Size([3, 16, 4]), [4, 1, 1, 0])
    """

    def __init__(
        self,
        channels: int,
        repr_dim: int = 128,
        patch_length: int = 16,
        stride: int = 8,
        depth: int = 3,
        heads: int = 16,
        feed_forward_dim: int = 256,
        dropout: float = 0.2,
        front_end: FrontEndMode = "values+mask",
        missing: MissingRule = "channel",
        fill: FillRule = DEFAULT_FILL,
    ) -> None:
        sizes = {"repr_dim": repr_dim, "patch_length": patch_length, "stride": stride, "depth": depth, "heads": heads}
        sizes["feed_forward_dim"] = feed_forward_dim
        super().__init__(
            {"channels": channels, **sizes}, dropout=dropout, front_end=front_end, missing=missing, fill=fill
        )
        check_fraction(dropout, "dropout", below=True)
        if stride > patch_length:
            raise ValueError(f"stride must be at most patch_length={patch_length}, or steps are lost; got {stride}")
        if repr_dim % heads or repr_dim % 2:
            raise ValueError(f"repr_dim must be even and a multiple of heads={heads}; got {repr_dim}")
        self.repr_dim, self.patch_length, self.stride = repr_dim, patch_length, stride
        self.patches = input_projection(channels, self.front_end.out_channels, repr_dim, patch_length)
        layer = nn.TransformerEncoderLayer(
            repr_dim, heads, feed_forward_dim, dropout, F.gelu, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(repr_dim), enable_nested_tensor=False)

    def feature_lengths(self, lengths: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
        """Number of patches of rows with so many steps."""
        further = (
            (lengths - self.patch_length).clamp_min(0).add(self.stride - 1).div(self.stride, rounding_mode="floor")
        )
        return (further + 1) * (lengths > 0)

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d s"]:
        """Representations of the patches ``(n, D, T')``, zero beyond the end of a row."""
        steps = features.shape[2]
        count = max(1, int(self.feature_lengths(torch.tensor([steps]))[0]))
        features = F.pad(blank(features, lengths), (0, (count - 1) * self.stride + self.patch_length - steps))
        tokens = features.unfold(2, self.patch_length, self.stride).transpose(1, 2).flatten(2)
        tokens = self.patches(tokens) + sinusoids(count, self.repr_dim).to(features)
        own = self.feature_lengths(lengths)
        if bool((own == count).all()):
            encoded: Tensor = self.layers(tokens)
            return encoded.transpose(1, 2)
        beyond = ~inside(own.clamp_min(1), count)  # attention needs one patch, also in a row that has none
        return blank(self.layers(tokens, src_key_padding_mask=beyond).transpose(1, 2), own)


def sinusoids(count: int, dim: int) -> Float[Tensor, "positions dim"]:
    """Sines and cosines of each position, wavelengths from 2π to 20,000π (Vaswani et al. 2017)."""
    rate = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))
    angle = torch.arange(count)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
