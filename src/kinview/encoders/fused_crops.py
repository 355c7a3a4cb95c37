"""Series longer than an encoder is to read: the whole at a lower rate and three crops at the full one, fused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.data.gaps import valid_lengths
from kinview.distributed import generator_in_step, rows_in_step
from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.front_end import Filling
from kinview.encoders.pooling import PoolingName, pool, pooled

__all__ = ["FusedCrops"]

_CROPS = 3  # front, middle and back


@encoders.register(
    "fused_crops",
    modality="time_series",
    reference="Wu et al., CLAP, ICASSP 2023; Dai et al., Attentional Feature Fusion, WACV 2021",
    parts={"encoder": "encoders"},
)
class FusedCrops(SeriesEncoder):
    r"""Read series longer than L steps as a whole of L means and three crops of L steps, fused by learned attention.

    With f the inner encoder and its pooling, g the series at L steps (means over L equal parts of its own length) and
    :math:`c_1, c_2, c_3` crops of L steps from its front, middle and back, a series of more than L steps has

    .. math:: z_g = f(g), \quad z_c = \tfrac13 \textstyle\sum_j f(c_j), \quad
              \alpha = \sigma\big(A(z_g + z_c)\big), \qquad z = \alpha z_g + (1 - \alpha) z_c,

    dimension by dimension; A is a layer normalisation and a perceptron with one hidden layer. One of up to L steps is
    :math:`z = f(x)`.

    Parameters
    ----------
    channels : int
        Number of channels C.
    encoder : str or mapping, default "resnet1d"
        Spec of the series encoder f. What it fills gaps with, and is told of them, holds for all four views.
    length : int, default 256
        L. (CLAP: ten seconds of sound, 480,000 values; what suits other series is theirs to say.)
    pooling : {"mean", "max", "last"}, default "mean"
        How the features of a view become one vector (the encoder of CLAP averages them).
    reduction : int, default 4
        The hidden layer of A has D / ``reduction`` units, one at least (official code).

    Raises
    ------
    ValueError
        If ``encoder`` is no name or spec of an encoder of series, or that encoder refuses its parameters; if a size is
        no whole number of at least 1.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, D)`` for any T. At most 4 L steps of a series are read, however long it is.

    *Crops* begin at 0, half and all of the room T − L. In training each is drawn anew within its third of the room, by
    torch's generator, as dropout is. A crop in which nothing was observed is left out of the mean; where all three are,
    the series is :math:`z_g`.

    *Gaps.* A mean is over what was observed of its part (steps that reach into it by their share), and missing where
    nothing was. What a completion has learned is known by the step of a series: crops are completed at their place, and
    the whole at the lower rate by a line. Time stamps are averaged as values are; parts are equal in steps, whatever
    the stamps say.

    ============== ================================== ================================= ===============================
    what           paper                              official code                     kinview
    ============== ================================== ================================= ===============================
    whole          downsampled to L                   bilinear, of the spectrogram      means over L parts, of values
    crops          drawn in their thirds              drawn in embedding too: another   drawn in training, fixed in
                                                      embedding each time               embedding
    what is fused  feature maps of the first layer;   the same                          representations, so that any
                   crops through a convolution of                                       encoder will do; crops averaged
                   stride 3, one after the other
    fusion         α of AFF, as above                 2 α g + 2 (1 − α) c               as the paper
    A              convolutions of width 1, of each   the same, with batch              of the representations, with
                   place and of the average           normalisation                     layer normalisation: one long
                                                                                        series in a batch is enough
    up to L steps  repeated, then padded              the same; not fused               as they are: padding is not seen
    ============== ================================== ================================= ===============================

    An encoder that sees padding (``padding_independent = False``) is given L steps always.

    References
    ----------
    .. [1] Wu et al., Large-Scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption
       Augmentation, ICASSP 2023, arXiv 2211.06687.
    .. [2] Dai et al., Attentional Feature Fusion, WACV 2021, arXiv 2009.14082.

    Examples
    --------
    >>> inner = {"resnet1d": {"widths": [4], "kernel_sizes": [3]}}
    >>> encoder = FusedCrops(channels=1, encoder=inner, length=20).eval()
    >>> x = torch.randn(2, 1, 90, generator=torch.Generator().manual_seed(0))
    >>> encoder(x).shape, bool(torch.equal(encoder(x), encoder(x)))
    (torch.Size([2, 4]), True)
    """

    def __init__(
        self,
        channels: int,
        encoder: str | Mapping[str, Any] = "resnet1d",
        length: int = 256,
        pooling: PoolingName = "mean",
        reduction: int = 4,
    ) -> None:
        sizes = {"channels": channels, "length": length, "reduction": reduction}
        super().__init__(sizes, encoder=encoder, pooling=pooling)
        if not isinstance(encoder, str | Mapping) or len(encoder) == 0:
            raise ValueError(f"encoder must be a name or {{name: {{parameter: value}}}}; got {encoder!r}")
        pool(torch.zeros(0, 1, 1), how=pooling)  # refuses an unknown one
        self.encoder = encoders.build(encoder, channels=channels)
        self.length, self.pooling = length, pooling
        self.repr_dim = dim = self.encoder.repr_dim
        hidden = max(1, dim // reduction)
        self.attention = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.row_independent = self.encoder.row_independent
        self.features_over_time = False

    @property
    def gaps(self) -> Filling | None:
        """What fills the gaps of each view: that of the inner encoder."""
        inner = self._modules.get("encoder")
        return inner.gaps if isinstance(inner, SeriesEncoder) else None

    def forward(
        self,
        x: Float[Tensor, "n c t"],
        *,
        times: Float[Tensor, "n t"] | None = None,
        hide: Bool[Tensor, "n t"] | None = None,
        offset: Int64[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n d"]:
        """One representation a row ``(n, D)``; parameters as for :meth:`SeriesEncoder.forward`."""
        lengths = valid_lengths(x, times)
        if hide is not None:
            x = x.masked_fill(hide[:, None, :], torch.nan)
        longer = (lengths > self.length).nonzero()[:, 0]
        starts = self._starts(lengths[longer] - self.length)
        views = self._views(x, lengths, longer, starts)
        stamps = None
        if times is not None:
            finite = torch.where(torch.isfinite(times), times, torch.nan)
            stamps = self._views(finite[:, None, :], lengths, longer, starts)[:, 0]
        place = self._places(torch.zeros_like(lengths) if offset is None else offset, longer, starts)
        z = pooled(self.encoder, views, stamps, self.pooling, place)
        whole, crops = z[: len(x)], z[len(x) :].reshape(*starts.shape, self.repr_dim)
        seen = (~torch.isnan(views[len(x) :])).flatten(1).any(dim=1).view(starts.shape)
        return self._fused(whole, whole.index_copy(0, longer, _mean_of(crops, seen, otherwise=whole[longer])))

    def _starts(self, room: Int64[Tensor, " m"]) -> Int64[Tensor, "m 3"]:
        """First step of each crop, from the number of steps that a series is longer than L."""
        crop = torch.arange(_CROPS, device=room.device)
        if not self.training:
            return crop * room[:, None] // (_CROPS - 1)
        # a forward pass gets no generator: drawn as flips of dropout are, from torch's, which fit forks and seeds
        start, rows = rows_in_step(len(room), room.device)
        drawn = torch.empty(rows, _CROPS, device=room.device).uniform_(generator=generator_in_step(room.device))
        place = (crop + drawn[start : start + len(room)]) / _CROPS
        return (place * (room[:, None] + 1)).long().minimum(room[:, None])

    def _views(
        self, x: Float[Tensor, "n c t"], lengths: Tensor, longer: Tensor, starts: Int64[Tensor, "m 3"]
    ) -> Float[Tensor, "views c l"]:
        """What the encoder reads: each series, longer ones at the lower rate, and after them the crops of these."""
        views = x[:, :, : self.length]
        if len(longer):
            rows, channels = x[longer], x.shape[1]
            steps = (starts[:, :, None] + torch.arange(self.length, device=x.device)).flatten(1)
            crops = rows.gather(2, steps[:, None, :].expand(-1, channels, -1))
            crops = crops.view(len(rows), channels, _CROPS, self.length).transpose(1, 2).flatten(0, 1)
            views = torch.cat([views.index_copy(0, longer, _means_of_parts(rows, lengths[longer], self.length)), crops])
        if self.encoder.padding_independent:
            return views
        return F.pad(views, (0, self.length - views.shape[2]), value=torch.nan)

    def _places(self, offset: Int64[Tensor, " n"], longer: Tensor, starts: Tensor) -> Int64[Tensor, " views"]:
        """First step of each view in its series; a series at a lower rate lies beyond all that a completion knows."""
        gaps = self.gaps
        known = gaps.completion.length if gaps is not None and gaps.learns else 0
        return torch.cat([offset.index_fill(0, longer, known), (offset[longer][:, None] + starts).flatten()])

    def _fused(self, whole: Float[Tensor, "n d"], local: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Both, weighted by attention; a row in which they are the same stays as it is."""
        alpha = torch.sigmoid(self.attention(whole + local)).to(whole.dtype)
        return torch.lerp(local, whole, alpha)

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d"]:
        """The same of series without time stamps."""
        return self.forward(features)


def _mean_of(
    crops: Float[Tensor, "m 3 d"], seen: Bool[Tensor, "m 3"], otherwise: Float[Tensor, "m d"]
) -> Float[Tensor, "m d"]:
    """Mean over the crops with an observation; without any, what else there is."""
    count = seen.sum(dim=1, keepdim=True)
    mean = crops.masked_fill(~seen[:, :, None], 0.0).sum(dim=1) / count.clamp_min(1)
    return torch.where(count > 0, mean, otherwise)


def _means_of_parts(x: Float[Tensor, "m c t"], lengths: Int64[Tensor, " m"], parts: int) -> Float[Tensor, "m c parts"]:
    """Means of what was observed over so many equal parts of each row's own length; NaN where nothing was.

    From running sums at the edges of the parts, which whole numbers give exactly: a part in which nothing was observed
    has a count of zero, not almost zero.
    """
    edges = torch.arange(parts + 1, device=x.device) * lengths[:, None]  # in steps / parts
    step, share = edges // parts, (edges % parts).double() / parts
    seen = ~torch.isnan(x)

    def sums(values: Tensor) -> Tensor:
        running = F.pad(values.double().cumsum(dim=2), (1, 0))
        low, high = (
            running.gather(2, at[:, None, :].expand(-1, x.shape[1], -1))
            for at in (step, (step + 1).clamp_max(x.shape[2]))
        )
        return torch.lerp(low, high, share[:, None, :].expand_as(low)).diff(dim=2)

    count = sums(seen)
    mean = sums(torch.where(seen, x, 0.0)) / torch.where(count > 0, count, 1.0)
    return mean.masked_fill(count == 0, torch.nan).to(x.dtype)
