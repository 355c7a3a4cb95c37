"""The network of TransTab: words of cells as tokens of a gated transformer."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kinview.methods.transtab.words import ColumnWords

__all__ = ["CellTokens", "GatedTransformer", "TransTabEncoder"]


class CellTokens(nn.Module):
    r"""Tokens of the cells that were observed, and which there are, of rows of a table.

    With e the embedding of a word: a number is one token :math:`x\, \bar e + b`, :math:`\bar e` the mean over the words
    of its column's name; a category has a token for each word of "name value"; a boolean those of its name where it is
    true, and none where it is false. A missing cell has none.

    Parameters
    ----------
    vocabulary : int
        Number of words.
    dim : int
        Width of a token.
    """

    def __init__(self, vocabulary: int, dim: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary + 1, dim, padding_idx=0)
        self.norm = nn.LayerNorm(dim)
        self.align = nn.Linear(dim, dim, bias=False)
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(
        self, x: Float[Tensor, "n columns"], words: ColumnWords
    ) -> tuple[Float[Tensor, "n tokens d"], Bool[Tensor, "n tokens"]]:
        """Tokens, and which of them are there."""

        def ids(values: Any) -> Tensor:
            return torch.from_numpy(values).to(x.device)

        seen = ~torch.isnan(x)
        value = torch.where(seen, x, 0)
        numeric, boolean, categorical = ids(words.numeric), ids(words.boolean), ids(words.categorical)
        named = ids(words.numeric_words)
        weight = (named > 0).to(x.dtype)[:, :, None]
        mean = (self._embedded(named) * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
        tokens = [mean * value[:, numeric, None] + self.bias]
        there = [seen[:, numeric]]
        named = ids(words.boolean_words)
        true = seen[:, boolean] & (value[:, boolean] > ids(words.true_above).to(x.dtype))
        tokens.append(self._embedded(named).flatten(0, 1).expand(len(x), -1, -1))
        there.append((true[:, :, None] & (named > 0)).flatten(1))
        code = ids(words.starts) + value[:, categorical].long()
        cells = ids(words.category_words)[code]  # (n, categorical columns, words)
        tokens.append(self._embedded(cells).flatten(1, 2))
        there.append((seen[:, categorical, None] & (cells > 0)).flatten(1))
        return self.align(torch.cat(tokens, dim=1)), torch.cat(there, dim=1)

    def _embedded(self, ids: Tensor) -> Tensor:
        out: Tensor = self.norm(self.words(ids))
        return out


class GatedTransformer(nn.Module):
    r"""A transformer layer whose feed-forward part has a gate a token: :math:`W_2\, \mathrm{ReLU}(\sigma(g x) W_1 x)`.

    Parameters
    ----------
    dim, heads, hidden_dim : int
        Width of a token, attention heads, width of the feed-forward layer.
    dropout : float
        Of attention weights and of what each sublayer adds.
    """

    def __init__(self, dim: int, heads: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.inputs, self.output = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.gate = nn.Linear(dim, 1, bias=False)
        self.first, self.second = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))

    def forward(self, tokens: Float[Tensor, "n t d"], there: Bool[Tensor, "n t"]) -> Float[Tensor, "n t d"]:
        """What the tokens become; none looks at those that are not there."""
        n, t, dim = tokens.shape
        q, k, v = self.inputs(tokens).view(n, t, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        dropped = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None, :], dropout_p=dropped)
        mixed = self.output(mixed.transpose(1, 2).reshape(n, t, dim))
        tokens = self.norms[0](tokens + F.dropout(mixed, self.dropout, self.training))
        hidden = F.relu(torch.sigmoid(self.gate(tokens)) * self.first(tokens))
        added = F.dropout(self.second(hidden), self.dropout, self.training)
        out: Tensor = self.norms[1](tokens + added)
        return out


class TransTabEncoder(nn.Module):
    """Rows of a table whose columns have names, ``(n, columns) -> (n, dim)``: what a further token, [CLS], has become.

    Parameters
    ----------
    vocabulary, dim, depth, heads, hidden_dim : int
        Sizes; heads must divide dim.
    dropout : float
        See :class:`GatedTransformer`.

    Raises
    ------
    ValueError
        If the heads do not divide the width.
    """

    def __init__(self, vocabulary: int, dim: int, depth: int, heads: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"heads={heads} must divide repr_dim={dim}; choose another number of heads")
        self.repr_dim = dim
        self.tokens = CellTokens(vocabulary, dim)
        self.cls = nn.Parameter(nn.init.normal_(torch.empty(dim), std=dim**-0.5))
        self.layers = nn.ModuleList(GatedTransformer(dim, heads, hidden_dim, dropout) for _ in range(depth))

    def forward(self, x: Float[Tensor, "n columns"], words: ColumnWords) -> Float[Tensor, "n d"]:
        """Representations of rows."""
        tokens, there = self.tokens(x, words)
        tokens = torch.cat([self.cls.expand(len(x), 1, -1), tokens], dim=1)
        there = F.pad(there, (1, 0), value=True)
        for layer in self.layers:
            tokens = layer(tokens, there)
        out: Tensor = tokens[:, 0]
        return out
