"""FactorCL: what two modalities share and what each has alone, by lower and upper bounds of mutual information."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses.base import Loss, linear, own_generator
from kinview.tensor_checks import check_finite, check_integer, check_precision, check_tensors, full_precision, widen

__all__ = ["FactorCL", "PairCritic", "club_bound", "nce_bound"]

_AT_ONCE = 2**24  # hidden units of pairs computed together; more are made in blocks, and again in the backward pass


def nce_bound(scores: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    r"""Lower bound of a mutual information (InfoNCE) from a critic's scores of all pairs.

    .. math:: I_{NCE} = \frac{1}{n} \sum_i \Big[ f(x_i, y_i) - \log \frac{1}{n} \sum_j e^{f(x_j, y_i)} \Big]

    Parameters
    ----------
    scores : Tensor
        f(x_j, y_i) at row i and column j, ``(n, n)``.

    Examples
    --------
    >>> nce_bound(torch.zeros(4, 4)).item()
    0.0
    """
    return torch.diagonal(scores).mean() - (torch.logsumexp(scores, dim=1).mean() - math.log(len(scores)))


def club_bound(scores: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    r"""Upper bound of a mutual information (CLUB) from the scores of a critic that has been trained by InfoNCE.

    .. math:: I_{CLUB} = \frac{1}{n} \sum_i f^*(x_i, y_i) - \frac{1}{n^2} \sum_{i, j} f^*(x_j, y_i)

    Parameters
    ----------
    scores : Tensor
        f*(x_j, y_i) at row i and column j, ``(n, n)``.

    Examples
    --------
    >>> club_bound(torch.eye(4)).item()
    0.75
    """
    return torch.diagonal(scores).mean() - scores.mean()


class PairCritic(nn.Module):
    """A multi-layer perceptron on [x; y] that scores all pairs without building them.

    Parameters
    ----------
    x_dim, y_dim : int
        Dimensions of the two sides.
    hidden_dim : int, default 512
        Width of the two hidden layers, ReLU (official code).
    generator : torch.Generator, optional
        Of the initial weights; by default one in the state of the global generator, which stays where it is.
    """

    def __init__(
        self, x_dim: int, y_dim: int, hidden_dim: int = 512, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        draw = own_generator() if generator is None else generator
        # one linear layer on the concatenation is the sum of two: each row goes through it once, not n times
        self.from_x = linear(x_dim, hidden_dim, draw)
        self.from_y = linear(y_dim, hidden_dim, draw, bias=False)
        self.score = nn.Sequential(
            nn.ReLU(), linear(hidden_dim, hidden_dim, draw), nn.ReLU(), linear(hidden_dim, 1, draw)
        )

    def forward(self, x: Float[Tensor, "n dx"], y: Float[Tensor, "m dy"]) -> Float[Tensor, "m n"]:
        """Score of x_j with y_i at row i and column j."""
        left, right = self.from_x(x), self.from_y(y)
        rows = max(1, _AT_ONCE // left.numel())
        if rows >= len(right):
            return self._block(left, right)
        blocks = [checkpoint(self._block, left, part, use_reentrant=False) for part in right.split(rows)]
        return torch.cat(blocks)

    def _block(self, left: Tensor, right: Tensor) -> Tensor:
        scores: Tensor = self.score(left[None, :, :] + right[:, None, :]).squeeze(-1)
        return scores


@losses.register("factor_cl", modality="any", reference="Liang et al., FactorCL, NeurIPS 2023")
class FactorCL(Loss):
    r"""FactorCL: keep what two modalities share about the task, keep what each has alone, drop the rest.

    .. math:: L = - I_{NCE}(x_1; x_2) - I_{NCE}(x_1; y_1) - I_{NCE}(x_2; y_2) - I_{NCE}(x_1; x_2 | y)
              + I_{CLUB}(x_1; x_2) + I_{CLUB}(x_1; x_2 | y) + L_{critics}

    Shared information is :math:`I_{NCE}(x_1; x_2) - I_{CLUB}(x_1; x_2 | y)`, that of modality 1 alone
    :math:`I_{NCE}(x_1; y_1) - I_{CLUB}(x_1; x_2) + I_{NCE}(x_1; x_2 | y)`. The task y is what the condition of a
    modality knows of it: an augmented view of the same sample, or its label. A condition is concatenated to the
    embedding. Every term has its own head per modality and its own critic.

    :math:`L_{critics}` trains the two CLUB critics by their own InfoNCE objective and touches nothing else; the bounds
    themselves leave those critics untouched. So one backward pass and one optimiser do what the paper alternates.

    Parameters
    ----------
    dim_a : int
        Dimensions of the embeddings of the first side.
    dim_b : int
        Dimensions of the embeddings of the second side.
    condition_dim : int, optional
        Dimension of the conditions where they are not embeddings (the number of classes for one-hot labels); they then
        go to the critics as they are. By default conditions are embeddings of augmented views and share the heads.
    hidden_dim : int, default 512
        Width of the critics (official code).

    Notes
    -----
    The official code takes a temperature and ignores it, so there is none. Memory of the critics is bounded: many
    pairs are scored in blocks.

    References
    ----------
    .. [1] Liang et al., Factorized Contrastive Learning: Going Beyond Multi-view Redundancy, NeurIPS 2023,
       arXiv 2306.05268.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> a, b, a_view, b_view = torch.randn(4, 6, 3, generator=generator)
    >>> loss = FactorCL(3, 3, hidden_dim=8)
    >>> loss(a, b, a_view, b_view).shape, loss.embed(a, b)[0].shape
    (torch.Size([]), torch.Size([6, 15]))
    """

    needs_negatives = True
    gathers = True

    def __init__(self, dim_a: int, dim_b: int, condition_dim: int | None = None, hidden_dim: int = 512) -> None:
        super().__init__()
        given = {"dim_a": dim_a, "dim_b": dim_b, "condition_dim": condition_dim, "hidden_dim": hidden_dim}
        for name, size in given.items():
            if name != "condition_dim" or size is not None:
                check_integer(size, name, at_least=1)
        self.dim_a, self.dim_b = dim_a, dim_b
        self.condition_dim, self.hidden_dim = condition_dim, hidden_dim
        extra_a, extra_b = (dim_a, dim_b) if condition_dim is None else (condition_dim, condition_dim)
        sizes = {
            "shared": (dim_a, dim_b),
            "removed": (dim_a, dim_b),
            "own_a": (dim_a, extra_a),
            "own_b": (dim_b, extra_b),
            "given": (dim_a + extra_a, dim_b + extra_b),
            "removed_given": (dim_a + extra_a, dim_b + extra_b),
        }
        draw = own_generator()
        self.critics = nn.ModuleDict(
            {term: PairCritic(*size, hidden_dim, generator=draw) for term, size in sizes.items()}
        )
        self.heads_a = nn.ModuleDict({term: _head(dim_a, draw) for term in sizes if term != "own_b"})
        self.heads_b = nn.ModuleDict({term: _head(dim_b, draw) for term in sizes if term != "own_a"})

    def forward(
        self,
        a: Float[Tensor, "n da"],
        b: Float[Tensor, "n db"],
        condition_a: Float[Tensor, "n ca"],
        condition_b: Float[Tensor, "n cb"],
    ) -> Float[Tensor, ""]:
        """The loss of two modalities ``(n, dim_a)`` and ``(n, dim_b)`` with their conditions."""
        terms = self.terms(a, b, condition_a, condition_b)
        gained = terms["shared"] + terms["own_a"] + terms["own_b"] + terms["given"]
        return terms["removed"] + terms["removed_given"] - gained + terms["critics"]

    def terms(self, a: Tensor, b: Tensor, condition_a: Tensor, condition_b: Tensor) -> Mapping[str, Float[Tensor, ""]]:
        """The six bounds, and the loss of the CLUB critics, by name."""
        self._check(a=a, b=b, condition_a=condition_a, condition_b=condition_b)
        with full_precision(a):
            pairs = self._pairs(*(gather(widen(value)) for value in (a, b, condition_a, condition_b)))
            terms: dict[str, Tensor] = {}
            critics = a.new_zeros((), dtype=pairs["shared"][0].dtype)
            for term, (x, y) in pairs.items():
                critic = self.critics[term]
                if term.startswith("removed"):
                    constant = {name: value.detach() for name, value in critic.named_parameters()}
                    terms[term] = club_bound(functional_call(critic, constant, (x, y)))
                    critics = critics - nce_bound(critic(x.detach(), y.detach()))
                else:
                    terms[term] = nce_bound(critic(x, y))
            return terms | {"critics": critics}

    def embed(self, a: Float[Tensor, "n da"], b: Float[Tensor, "n db"]) -> tuple[Tensor, Tensor]:
        """The five heads of each modality, concatenated: ``(n, 5 dim_a)`` and ``(n, 5 dim_b)``."""
        return self.embed_side(a, 0), self.embed_side(b, 1)

    def embed_side(self, z: Float[Tensor, "n d"], number: int) -> Float[Tensor, "n e"]:
        """Representation ``(n, 5 d)`` of one modality: what its five heads make of its embeddings, side by side.

        Parameters
        ----------
        z : Tensor (n, d)
            Embeddings of the modality.
        number : int
            0 for the first modality, 1 for the second.
        """
        heads = self.heads_b if number else self.heads_a
        return torch.cat([head(z) for head in heads.values()], dim=1)

    def _pairs(
        self, a: Tensor, b: Tensor, condition_a: Tensor, condition_b: Tensor
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """The two sides that each critic scores."""

        def condition(head: nn.Module, value: Tensor) -> Tensor:
            return value if self.condition_dim is not None else head(value)

        pairs = {term: (self.heads_a[term](a), self.heads_b[term](b)) for term in ("shared", "removed")}
        for term, heads, own, known in (
            ("own_a", self.heads_a, a, condition_a),
            ("own_b", self.heads_b, b, condition_b),
        ):
            pairs[term] = (heads[term](own), condition(heads[term], known))
        for term in ("given", "removed_given"):
            head_a, head_b = self.heads_a[term], self.heads_b[term]
            pairs[term] = (
                torch.cat([head_a(a), condition(head_a, condition_a)], dim=1),
                torch.cat([head_b(b), condition(head_b, condition_b)], dim=1),
            )
        return pairs

    def _check(self, **given: Tensor) -> None:
        extra = (self.dim_a, self.dim_b) if self.condition_dim is None else (self.condition_dim,) * 2
        check_tensors("factor_cl", **given)
        n = len(given["a"])
        for (name, value), size in zip(given.items(), (self.dim_a, self.dim_b, *extra), strict=True):
            if value.shape != (n, size) or n == 0:
                shapes = ", ".join(f"{key} is {tuple(tensor.shape)}" for key, tensor in given.items())
                raise ValueError(f"{name} must be (n, {size}) with the rows of the other arguments; {shapes}")
        check_finite("factor_cl", **given)
        check_precision("factor_cl", **given)


def _head(dim: int, generator: torch.Generator) -> nn.Sequential:
    return nn.Sequential(linear(dim, dim, generator), nn.ReLU(), linear(dim, dim, generator))
