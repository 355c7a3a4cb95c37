"""A transformer that sums up the beginning of a sequence of features, and predicts what follows it (TS-TCC)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.encoders.dropout import CheapDropout
from kinview.encoders.masked import inside
from kinview.parameters import check_fraction, check_integer

__all__ = ["ContextTransformer", "TemporalPredictor", "features_after", "split_in_time"]


def split_in_time(
    lengths: Int64[Tensor, " n"], prediction_steps: int, fraction: Float[Tensor, " n"]
) -> tuple[Int64[Tensor, " n"], Bool[Tensor, "n k"]]:
    r"""Last step t of each row's context, and which of the steps t + 1 … t + K the row has.

    With L features a row has :math:`K_i = \min(K, L - 1)` steps to predict, and :math:`t = \lfloor u (L - K_i)
    \rfloor`: for u uniform on [0, 1), t is uniform on 0 … L − K_i − 1.

    Parameters
    ----------
    lengths : Tensor
        Number of features of each row ``(n,)``.
    prediction_steps : int
        K.
    fraction : Tensor
        u of each row ``(n,)`` in [0, 1); one number for all of them gives rows of one length one t.

    Examples
    --------
    >>> t, ahead = split_in_time(torch.tensor([24, 24, 3]), 10, torch.full((3,), 0.5))
    >>> t.tolist(), ahead.sum(dim=1).tolist()
    ([7, 7, 0], [10, 10, 2])
    """
    ahead = (lengths - 1).clamp(min=0, max=prediction_steps)
    starts = (lengths - ahead).clamp_min(1)
    last = torch.minimum((fraction * starts).long(), starts - 1)
    return last, inside(ahead, int(ahead.max()) if len(ahead) else 0)


def features_after(z: Float[Tensor, "n d t"], last: Int64[Tensor, " n"], steps: int) -> Float[Tensor, "n k d"]:
    """Features of the steps last + 1 … last + k of each row; where a row has no such step, its last one again.

    Examples
    --------
    >>> features_after(torch.arange(4.0).reshape(1, 1, 4), torch.tensor([1]), 3).flatten().tolist()
    [2.0, 3.0, 3.0]
    """
    n, channels, length = z.shape
    common = _one_for_all(last)
    if common is not None and common + steps < length:
        return z[:, :, common + 1 : common + 1 + steps].transpose(1, 2)
    wanted = last[:, None] + torch.arange(1, steps + 1, device=z.device)
    wanted = wanted.clamp_max(length - 1)[:, None, :].expand(n, channels, steps)
    return z.gather(2, wanted).transpose(1, 2)


class ContextTransformer(nn.Module):
    r"""One vector that sums up a sequence: the output at a learned token in front of it.

    Each feature is projected to ``dim``, the token put in front; ``depth`` layers follow, each :math:`x + A(LN(x))` and
    then :math:`x + W_2 ReLU(W_1 LN(x))`, without positions and without a last normalisation. The attention's scale is
    :math:`dim^{-1/2}`, of the full width, not of a head's.

    Parameters
    ----------
    channels : int
        Number D of features.
    dim : int, default 100
        Width, and size of the context (official TS-TCC code); a multiple of ``heads``.
    depth, heads : int, default 4
        Layers and attention heads (official code).
    feedforward_dim : int, default 64
        Width of the hidden layer of a feed-forward network (official code).
    dropout : float, default 0.1
        After the attention's output and after both layers of the feed-forward network (official code).

    Notes
    -----
    Shapes: ``(n, D, T) -> (n, dim)``. Steps beyond a row's length are masked in the attention. Of the last layer only
    the token's row is computed; the others are not read.

    Examples
    --------
    >>> context = ContextTransformer(channels=8, dim=12, depth=2).eval()
    >>> context(torch.zeros(3, 8, 5), torch.tensor([5, 2, 1])).shape
    torch.Size([3, 12])
    """

    def __init__(
        self,
        channels: int,
        dim: int = 100,
        depth: int = 4,
        heads: int = 4,
        feedforward_dim: int = 64,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        sizes = {"channels": channels, "dim": dim, "depth": depth, "heads": heads, "feedforward_dim": feedforward_dim}
        for name, value in sizes.items():
            check_integer(value, f"{name} of the context transformer", at_least=1)
        if dim % heads:
            raise ValueError(f"dim of the context transformer must be a multiple of its {heads} heads; got {dim}")
        check_fraction(dropout, "dropout of the context transformer", below=True)
        self.dim = dim
        self.projection = nn.Linear(channels, dim)
        self.token = nn.Parameter(nn.init.normal_(torch.empty(dim)))
        self.layers = nn.ModuleList(_Layer(dim, heads, feedforward_dim, dropout) for _ in range(depth))

    def forward(self, z: Float[Tensor, "n d t"], lengths: Int64[Tensor, " n"] | None = None) -> Float[Tensor, "n dim"]:
        """Context of the first ``lengths`` steps of each row; of all of them by default."""
        tokens = self.projection(z.transpose(1, 2))
        h = torch.cat([self.token.expand(len(z), 1, self.dim).to(tokens.dtype), tokens], dim=1)
        visible = None
        if lengths is not None and bool((lengths < z.shape[2]).any()):
            visible = inside(lengths + 1, h.shape[1])[:, None, None, :]
        for i, layer in enumerate(self.layers):
            h = layer(h, visible, 1 if i == len(self.layers) - 1 else None)
        return h[:, 0]


class _Layer(nn.Module):
    """Pre-norm attention and feed-forward network, each around a residual."""

    def __init__(self, dim: int, heads: int, feedforward_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.linear1, self.linear2 = nn.Linear(dim, feedforward_dim), nn.Linear(feedforward_dim, dim)
        self.dropout = CheapDropout(dropout)

    def forward(self, x: Tensor, visible: Tensor | None, rows: int | None) -> Tensor:
        """``x`` (n, t, dim), ``visible`` (n, 1, 1, t) or None; the outputs of the first ``rows`` steps, or of all."""
        x = x[:, :rows] + self.dropout(self.out(self._attend(self.norm1(x), visible, rows)))
        hidden = self.dropout(F.relu(self.linear1(self.norm2(x))))
        out: Tensor = x + self.dropout(self.linear2(hidden))
        return out

    def _attend(self, x: Tensor, visible: Tensor | None, rows: int | None) -> Tensor:
        n, steps, dim = x.shape
        q, k, v = self.qkv(x).view(n, steps, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        if rows == 1 and x.device.type == "cpu":  # many tiny products: multiplied and summed, several times faster
            scores = (q[:, :, :1] * k).sum(dim=3) * dim**-0.5
            if visible is not None:
                scores = scores.masked_fill(~visible[:, :, 0], -torch.inf)
            summed: Tensor = (scores.softmax(dim=2)[..., None] * v).sum(dim=2)
            return summed.view(n, 1, dim)
        mixed = F.scaled_dot_product_attention(q[:, :, :rows], k, v, attn_mask=visible, scale=dim**-0.5)
        return mixed.transpose(1, 2).flatten(2)


class TemporalPredictor(nn.Module):
    """Context of the beginning of a sequence of features, and one linear prediction for each of the K that follow.

    The networks of temporal contrasting (TS-TCC): with :func:`split_in_time`, :func:`features_after` and the loss
    :func:`kinview.losses.temporal_cpc` any encoder with features over time can be trained so.

    Parameters
    ----------
    channels : int
        Number D of features.
    prediction_steps : int, default 6
        K (official TS-TCC code: 6 for HAR, 10 for Epilepsy).
    dim, depth, heads, feedforward_dim, dropout
        See :class:`ContextTransformer`.

    Examples
    --------
    >>> predictor = TemporalPredictor(channels=8, prediction_steps=3, dim=12)
    >>> context, predictions = predictor(torch.zeros(2, 8, 10), last=torch.tensor([4, 4]))
    >>> context.shape, predictions.shape
    (torch.Size([2, 12]), torch.Size([2, 3, 8]))
    """

    def __init__(
        self,
        channels: int,
        prediction_steps: int = 6,
        dim: int = 100,
        depth: int = 4,
        heads: int = 4,
        feedforward_dim: int = 64,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_integer(prediction_steps, "prediction_steps", at_least=1)
        self.channels = channels
        self.prediction_steps = prediction_steps
        self.context = ContextTransformer(channels, dim, depth, heads, feedforward_dim, dropout)
        self.heads = nn.Linear(dim, prediction_steps * channels)

    def forward(
        self, z: Float[Tensor, "n d t"], last: Int64[Tensor, " n"], steps: int | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n k d"]]:
        """Contexts of the steps 0 … ``last`` of each row, and predictions of the next ``steps`` (K by default)."""
        context = self.context(z[:, :, : int(last.max()) + 1], last + 1)
        steps = self.prediction_steps if steps is None else steps
        used = steps * self.channels
        predictions = F.linear(context, self.heads.weight[:used], self.heads.bias[:used])
        return context, predictions.view(len(z), steps, self.channels)


def _one_for_all(values: Tensor) -> int | None:
    first = int(values[0])
    return first if bool((values == first).all()) else None
