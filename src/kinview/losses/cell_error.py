"""Errors of the cells of a table, whatever kind they are: what decoders of tables are trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["cell_error", "cell_outputs"]


def cell_outputs(cardinalities: Sequence[int]) -> list[int]:
    """Number of outputs that a decoder has for each column: 1 of a number, one a known category of a category.

    Parameters
    ----------
    cardinalities : sequence of int
        For each column the number of codes (with the code 0 of unseen categories), or 0 where it is a number.

    Examples
    --------
    >>> cell_outputs([0, 4])
    [1, 3]
    """
    return [max(1, size - 1) for size in cardinalities]


def cell_error(
    output: Float[Tensor, "n outputs"], x: Float[Tensor, "n columns"], cardinalities: Sequence[int]
) -> tuple[Float[Tensor, "n columns"], Bool[Tensor, "n columns"]]:
    r"""Error of each cell, and which cells count.

    .. math:: e_{ij} = (\hat x_{ij} - x_{ij})^2 \quad\text{or}\quad
              e_{ij} = -\log \frac{\exp(o_{ij x_{ij}})}{\sum_k \exp(o_{ijk})}

    for a number, and for a category with the scores o.

    Parameters
    ----------
    output : Tensor
        ``(n, outputs)``, those of each column side by side, as many as :func:`cell_outputs` says.
    x : Tensor
        Table ``(n, columns)`` in which NaN is a missing cell and a category its code.
    cardinalities : sequence of int
        As for :func:`cell_outputs`.

    Returns
    -------
    error : Tensor
        ``(n, columns)``; 0 where a cell does not count.
    counts : Tensor
        Whether a cell counts: it is observed, and its category is known (not code 0).

    Raises
    ------
    ValueError
        If the sizes do not belong together.

    Examples
    --------
    >>> x = torch.tensor([[1.5, 2.0], [float("nan"), 0.0]])
    >>> error, counts = cell_error(torch.zeros(2, 4), x, [0, 4])
    >>> error.tolist()  # 1.5 squared, the logarithm of 3
    [[2.25, 1.0986123085021973], [0.0, 0.0]]
    >>> counts.tolist()
    [[True, True], [False, False]]
    """
    sizes = cell_outputs(cardinalities)
    if x.shape[1] != len(sizes) or output.shape != (len(x), sum(sizes)):
        raise ValueError(
            f"cell_error needs a table of {len(sizes)} columns and {sum(sizes)} outputs a row; x is {tuple(x.shape)}, "
            f"output is {tuple(output.shape)}"
        )
    counts = ~torch.isnan(x)
    target = torch.where(counts, x, 0)
    parts = torch.split(output, sizes, dim=1)
    errors = []
    for column, (size, scores) in enumerate(zip(cardinalities, parts, strict=True)):
        cell = target[:, column]
        if size == 0:
            errors.append((scores[:, 0] - cell).square())
        else:
            counts[:, column] &= cell > 0
            errors.append(F.cross_entropy(scores, (cell.long() - 1).clamp_min(0), reduction="none"))
    return torch.where(counts, torch.stack(errors, dim=1), 0), counts
