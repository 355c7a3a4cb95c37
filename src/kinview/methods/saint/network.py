"""SAINT's network: attention among the columns of a row, then among rows; in use among means of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.row_groups import row_groups
from kinview.encoders.ft_transformer import FeatureTokenizer
from kinview.encoders.mlp import TableFrontEnd
from kinview.encoders.numerical_embedding import NumericalEmbedding

__all__ = ["RowColumnTransformer"]

_HEAD, _ROW_HEAD = 16, 64  # widths of a head over columns and over rows (official code)
_EXPANSION = 4  # of a feed-forward layer (official code)


class RowColumnTransformer(nn.Module):
    r"""Tokens of a table's cells after layers of attention over columns and over rows, ``(n, 1 + M, d)``.

    In a layer, tokens of a row attend to one another; then each row, all its tokens side by side, attends to rows:

    .. math:: \text{out}_i = \frac{\sum_j w_j \exp(q_i \cdot k_j / 8)\, v_j}{\sum_j w_j \exp(q_i \cdot k_j / 8)} .

    With ``among="batch"`` these are the rows of the batch, each with weight 1 (paper). With ``among="centroids"`` they
    are the row itself with weight 1, and the centroids, each with the number of training rows that it is the mean of:
    what a row becomes does not depend on the others of its batch. A centroid is the mean token of at least 5 training
    rows; it goes through the layers as a row does, among the centroids.

    Parameters
    ----------
    cardinalities : sequence of int
        See :class:`~kinview.encoders.FeatureTokenizer`.
    dim : int
        Width d of a token.
    depth, heads : int
        Layers, and attention heads in each (of width 16 over columns, 64 over rows).
    centroids : int
        Number of centroids, at most; with 0 a row attends to itself alone.
    attention_dropout, feed_forward_dropout : float
        Dropout of attention weights, and inside the feed-forward layers.

    Examples
    --------
    >>> network = RowColumnTransformer([0, 3], 8, depth=1, heads=2, centroids=4)
    >>> rows = torch.tensor([[0.5, 1.0], [float("nan"), 2.0]])
    >>> network(network.tokens(rows)).shape
    torch.Size([2, 3, 8])
    """

    centres: Tensor
    counts: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        dim: int,
        depth: int,
        heads: int,
        centroids: int,
        attention_dropout: float = 0.0,
        feed_forward_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.cells = TableFrontEnd(cardinalities)
        numbers = NumericalEmbedding(sum(size == 0 for size in cardinalities), dim, "perceptron")
        self.tokenizer = FeatureTokenizer(cardinalities, dim, numbers)
        self.cls = nn.Parameter(nn.init.uniform_(torch.empty(1, dim), -(dim**-0.5), dim**-0.5))
        tokens = 1 + len(cardinalities)
        self.layers = nn.ModuleList(
            _Layer(tokens, dim, heads, attention_dropout, feed_forward_dropout) for _ in range(depth)
        )
        self.centroids = centroids
        if centroids:
            self.register_buffer("centres", torch.zeros(centroids, tokens, dim))
            self.register_buffer("counts", torch.zeros(centroids))

    def tokens(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n tokens dim"]:
        """Tokens of rows before the first layer, [CLS] first."""
        return torch.cat([self.cls.expand(len(x), 1, -1), self.tokenizer(x)], dim=1)

    def forward(self, tokens: Float[Tensor, "n tokens dim"], among: str = "centroids") -> Float[Tensor, "n tokens dim"]:
        """Tokens after the last layer; ``among`` is "batch" or "centroids"."""
        layers = cast("Sequence[_Layer]", self.layers)
        if among == "batch":
            for layer in layers:
                tokens = layer.over_rows(layer.over_columns(tokens))
            return tokens
        known = self.counts > 0 if self.centroids else torch.zeros(0, dtype=torch.bool)
        if not bool(known.any()):
            for layer in layers:
                tokens = layer.over_rows(layer.over_columns(tokens), tokens[:0], tokens.new_zeros(0))
            return tokens
        centres, weights = self.centres[known], self.counts[known].log()
        for layer in layers:
            centres, tokens = layer.over_columns(centres), layer.over_columns(tokens)
            tokens, centres = layer.over_rows(tokens, centres, weights), layer.over_rows(centres, None, weights)
        return tokens

    @torch.no_grad()
    def learn_centroids(self, x: Float[Tensor, "n columns"], rows_a_chunk: int, generator: torch.Generator) -> None:
        """Learn centroids of training rows, by k-means on their encoded cells; none of fewer than 5 rows."""
        if not self.centroids:
            return
        device = self.counts.device
        parts = torch.split(x, rows_a_chunk)
        groups = row_groups(torch.cat([self.cells(rows.to(device)).cpu() for rows in parts]), self.centroids, generator)
        self.centres.zero_()
        self.counts.zero_()
        if bool((groups < 0).any()):
            return
        for rows, numbers in zip(parts, torch.split(groups, rows_a_chunk), strict=True):
            group = numbers.to(device)
            self.centres.index_add_(0, group, self.tokens(rows.to(device)))
            self.counts.index_add_(0, group, torch.ones_like(group, dtype=self.counts.dtype))
        self.centres /= self.counts.clamp_min(1)[:, None, None]


class _Layer(nn.Module):
    """Attention over columns and over rows, each followed by a feed-forward layer on each token."""

    def __init__(self, tokens: int, dim: int, heads: int, attention_dropout: float, inner_dropout: float) -> None:
        super().__init__()
        self.columns = _Attention(dim, heads, _HEAD, attention_dropout)
        self.rows = _Attention(tokens * dim, heads, _ROW_HEAD, attention_dropout)
        self.after_columns, self.after_rows = _FeedForward(dim, inner_dropout), _FeedForward(dim, inner_dropout)

    def over_columns(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.columns(tokens)
        out: Tensor = tokens + self.after_columns(tokens)
        return out

    def over_rows(self, tokens: Tensor, others: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """Attention among all rows, or of each row to itself and to the others (their logarithmic weights given)."""
        flat = tokens.flatten(1)  # (n, tokens · d)
        if others is None:
            added = self.rows(flat[None], weights)[0]
        else:
            assert weights is not None
            added = self.rows.to_itself_and(flat, others.flatten(1), weights)
        tokens = tokens + added.reshape(tokens.shape)
        out: Tensor = tokens + self.after_rows(tokens)
        return out


class _Attention(nn.Module):
    """Normalisation and multi-head attention; ``weights`` are logarithms of how often each key counts."""

    def __init__(self, dim: int, heads: int, width: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.width, self.dropout = heads, width, dropout
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * heads * width, bias=False)
        self.out = nn.Linear(heads * width, dim)

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """Of ``(b, n, dim)``, among the n of each."""
        q, k, v = (part.transpose(1, 2) for part in self._heads(x))  # (b, heads, n, width)
        bias = None if weights is None else weights.expand(x.shape[1], -1)
        rate = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=rate)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def to_itself_and(self, x: Tensor, others: Tensor, weights: Tensor) -> Tensor:
        """Of ``(n, dim)``, each to itself, with weight 1, and to all of the others ``(m, dim)``."""
        q, k, v = self._heads(x)  # (n, heads, width)
        _, far_k, far_v = self._heads(others)
        own = (q * k).sum(dim=2, keepdim=True)
        far = torch.einsum("nhw,mhw->nhm", q, far_k)
        scores = torch.cat([own / self.width**0.5, far / self.width**0.5 + weights], dim=2)
        share = F.dropout(scores.softmax(dim=2), self.dropout, self.training)
        mixed = share[:, :, :1] * v + torch.einsum("nhm,mhw->nhw", share[:, :, 1:], far_v)
        out: Tensor = self.out(mixed.flatten(1))
        return out

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        projected: Tensor = self.qkv(self.norm(x))
        q, k, v = projected.reshape(*x.shape[:-1], 3, self.heads, self.width).unbind(dim=-3)
        return q, k, v


class _FeedForward(nn.Module):
    """Normalisation and a GEGLU layer, four times as wide inside."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.gate = nn.Linear(dim, 2 * _EXPANSION * dim)
        self.out = nn.Linear(_EXPANSION * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        value, gate = self.gate(self.norm(tokens)).chunk(2, dim=-1)
        out: Tensor = self.out(self.dropout(value * F.gelu(gate)))
        return out
