"""The official encoder of TF-C, which attends across the rows of a batch; for parity, never a default."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.front_end import FillRule
from kinview.parameters import check_fraction

__all__ = ["TFCTransformer", "resampled"]


@encoders.register(
    "tfc_transformer", modality="time_series", reference="Zhang et al., TF-C, NeurIPS 2022, official code"
)
class TFCTransformer(SeriesEncoder):
    """The official TF-C encoder: a transformer whose tokens are whole series; breaks row independence, fixed length.

    The official code builds ``nn.TransformerEncoder`` without ``batch_first`` and feeds it ``(n, 1, L)``: a token is a
    series of L values, and attention runs **across the batch**. So the representation of a row depends on the other
    rows, which is what ``row_independent = False`` says.

    Parameters
    ----------
    channels : int
        Number of input channels C; each attends by itself with the same weights (the official code has one).
    length : int
        L, a multiple of ``heads``. Each series is brought to it from its own length, gaps bridged (:func:`resampled`);
        the official code cuts all to one length. A series of length L stays as it is.
    domain : {"time", "frequency"}, default "time"
        What the tokens are: the values, or their unnormalised magnitude spectrum with its mirror half.
    depth : int, default 2
        Layers (official code).
    heads : int, default 2
        Attention heads (official code).
    dropout : float, default 0.1
        In the layers (torch's default, which the official code leaves).
    fill : {"linear", "zero", "hold", "completion", "completion+channels"}
        What stands in the gaps of a series before it is a token, by position; see :class:`Filling`.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, C·L)``. Feed-forward layers are 2 L wide. A row without observations takes no part in
    the attention.

    References
    ----------
    .. [1] Zhang et al., Self-Supervised Contrastive Pre-Training for Time Series via Time-Frequency Consistency,
       NeurIPS 2022, arXiv 2206.08496.

    Examples
    --------
    >>> encoder = TFCTransformer(channels=1, length=8).eval()
    >>> encoder(torch.zeros(3, 1, 20)).shape
    torch.Size([3, 8])
    """

    row_independent = False

    def __init__(
        self,
        channels: int,
        length: int,
        domain: Literal["time", "frequency"] = "time",
        depth: int = 2,
        heads: int = 2,
        dropout: float = 0.1,
        fill: FillRule = "linear",
    ) -> None:
        super().__init__(
            {"channels": channels, "length": length, "depth": depth, "heads": heads},
            domain=domain,
            dropout=dropout,
            fill=fill,
        )
        check_fraction(dropout, "dropout", below=True)
        if domain not in ("time", "frequency"):
            raise ValueError(f"domain must be 'time' or 'frequency'; got {domain!r}")
        if length < 2 or length % heads:
            raise ValueError(f"length must be a multiple of heads={heads} and at least 2; got {length!r}")
        self.length = length
        self.domain = domain
        self.repr_dim = channels * length
        layer = nn.TransformerEncoderLayer(length, heads, dim_feedforward=2 * length, dropout=dropout)
        self.transformer = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d"]:
        """Representations ``(n, C·L)``."""
        empty = lengths == 0
        absent = None
        if bool(empty.any()) and not bool(empty.all()):
            absent = empty.expand(features.shape[1], len(features))
        out: Tensor = self.transformer(self.tokens(features, lengths), src_key_padding_mask=absent)  # rows in sequence
        return out.flatten(1).masked_fill(empty[:, None], 0.0)

    def tokens(self, x: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"]) -> Float[Tensor, "n c length"]:
        """Input of the transformer for each series without gaps: L values, or L magnitudes."""
        values = resampled(x, lengths, self.length)
        return torch.fft.fft(values).abs() if self.domain == "frequency" else values


def resampled(x: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], steps: int) -> Float[Tensor, "n c steps"]:
    """Series without gaps brought from their own lengths to one, linearly, first and last value kept.

    A series that has the length already stays as it is, bit by bit; one of length 0 becomes 0.

    Examples
    --------
    >>> resampled(torch.tensor([[[0.0, 2.0, 9.0]]]), torch.tensor([2]), 3)
    tensor([[[0., 1., 2.]]])
    """
    if bool((lengths == x.shape[2]).all()) and x.shape[2] == steps:
        return x
    span = (lengths - 1).clamp_min(0)[:, None]
    position = torch.arange(steps, device=x.device) * span  # in units of 1 / (steps − 1)
    left = position.div(steps - 1, rounding_mode="floor")
    weight = ((position - left * (steps - 1)).to(x.dtype) / (steps - 1))[:, None, :]
    shape = (*x.shape[:2], steps)
    start = x.gather(2, left[:, None, :].expand(shape))
    stop = x.gather(2, (left + 1).minimum(span)[:, None, :].expand(shape))
    return torch.lerp(start, stop, weight).masked_fill((lengths == 0)[:, None, None], 0.0)
