"""One encoder that reads each channel by itself: the leads of a recording, the sensors of a body, however many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.front_end import Filling
from kinview.encoders.pooling import PoolingName, pool, pooled

__all__ = ["ChannelIndependent"]


@encoders.register(
    "channel_independent",
    modality="time_series",
    reference="Kiyasseh et al., CLOCS, ICML 2021; Nie et al., PatchTST, ICLR 2023",
    parts={"encoder": "encoders"},
)
class ChannelIndependent(SeriesEncoder):
    r"""Encode each channel by itself with shared weights, and average over the channels with an observation.

    With f the inner encoder and its pooling, and O the channels of a series in which anything was observed:
    :math:`z = \frac{1}{|O|} \sum_{c \in O} f(x_c)`.

    Parameters
    ----------
    channels : int
        Number of channels of the training series. The weights do not depend on it: views of single leads
        (``lead_views``) and series with other channels are read as they are.
    encoder : str or mapping, default "resnet1d"
        Spec of the series encoder f, which is built for one channel. Its gap front end and filling are those of each
        channel.
    pooling : {"mean", "max", "last"}, default "mean"
        How the features of a channel become one vector (CLOCS flattens them; PatchTST keeps them).

    Raises
    ------
    ValueError
        If ``encoder`` is no name or spec of an encoder of series, or that encoder refuses its parameters.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, D)`` for any C. A channel that ends before the others is pooled over its own steps. A
    series without observations gives zeros. The order of the channels does not count, so that a lead is not known by
    its place: where it has to be, read the channels together.

    References
    ----------
    .. [1] Kiyasseh et al., CLOCS: Contrastive Learning of Cardiac Signals Across Space, Time, and Patients, ICML 2021,
       arXiv 2005.13249.
    .. [2] Nie et al., A Time Series is Worth 64 Words: Long-term Forecasting with Transformers, ICLR 2023,
       arXiv 2211.14730.

    Examples
    --------
    >>> encoder = ChannelIndependent(channels=3, encoder={"resnet1d": {"widths": [4], "kernel_sizes": [3]}}).eval()
    >>> x = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0))
    >>> encoder(x).shape, bool(torch.allclose(encoder(x), torch.stack([encoder(x[:, [c]]) for c in range(3)]).mean(0)))
    (torch.Size([2, 4]), True)
    """

    def __init__(
        self, channels: int, encoder: str | Mapping[str, Any] = "resnet1d", pooling: PoolingName = "mean"
    ) -> None:
        super().__init__({"channels": channels}, encoder=encoder, pooling=pooling)
        if not isinstance(encoder, str | Mapping) or len(encoder) == 0:
            raise ValueError(f"encoder must be a name or {{name: {{parameter: value}}}}; got {encoder!r}")
        pool(torch.zeros(0, 1, 1), how=pooling)  # refuses an unknown one
        self.encoder = encoders.build(encoder, channels=1)
        self.pooling = pooling
        self.repr_dim = self.encoder.repr_dim
        self.row_independent = self.encoder.row_independent
        self.features_over_time = self.encoder.features_over_time
        self.padding_independent = self.encoder.padding_independent

    @property
    def gaps(self) -> Filling | None:
        """What fills the gaps of each channel: that of the inner encoder."""
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
        if hide is not None:
            x = x.masked_fill(hide[:, None, :], torch.nan)
        seen = ~torch.isnan(x).all(dim=2)
        empty = ~seen.any(dim=1)
        seen[:, 0] |= empty  # every row keeps a channel
        row = seen.nonzero()[:, 0]
        times, offset = (None if of_rows is None else of_rows[row] for of_rows in (times, offset))
        z = pooled(self.encoder, x[seen][:, None, :], times, self.pooling, offset)
        total = z.new_zeros(len(x), z.shape[1]).index_add(0, row, z)
        return (total / seen.sum(dim=1, keepdim=True)).masked_fill(empty[:, None], 0.0)

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d"]:
        """The same of series without time stamps."""
        return self.forward(features)
