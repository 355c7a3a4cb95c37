"""Columns by their correlations with the known ones."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64
from scipy.spatial.distance import cdist

from kinview.parameters import choice
from kinview.schema_matching import matchers
from kinview.schema_matching.base import Matcher
from kinview.schema_matching.dependence import correlations
from kinview.schema_matching.tables import TwoTables

__all__ = ["CorrelationMatcher"]


@matchers.register("correlation", modality="tabular", reference="kinview")
@dataclasses.dataclass(frozen=True)
class CorrelationMatcher(Matcher):
    r"""Columns are alike whose correlations with the known columns are.

    The profile of a column is its correlation :math:`r_{jk}` with each of the q known columns of its table, and the
    similarity of two columns one less their distance:

    .. math:: s_{ij} = 1 - \sqrt{\frac{1}{4q} \sum_{k=1}^q (r^A_{ik} - r^B_{jk})^2}

    1 for equal profiles, 0 for those that are opposite and as far apart as can be.

    Parameters
    ----------
    dependence : {"spearman", "pearson"}, default "spearman"
        Correlation of ranks, which stays the same when one table holds a value on another scale that rises with it
        (another unit, a logarithm), or of values (kinview).

    Notes
    -----
    Correlations are over the rows in which both columns are observed. A known column of categories counts as one of
    0 and 1 for each category that both tables have.

    Examples
    --------
    >>> matchers.build({"correlation": {"dependence": "pearson"}})
    CorrelationMatcher(dependence='pearson')
    """

    dependence: Literal["spearman", "pearson"] = choice("spearman", ("spearman", "pearson"))

    needs_mapped: ClassVar[bool] = True

    def similarity(self, tables: TwoTables, seed: int) -> Float64[np.ndarray, "a b"]:
        """Of the profiles."""
        first, second = (
            correlations(np.concatenate([known, side.columns(side.unknown)], axis=1), self.dependence)[q:, :q]
            for side, known in zip((tables.A, tables.B), tables.known_features(), strict=True)
            for q in (known.shape[1],)
        )
        distances: Float64[np.ndarray, "a b"] = cdist(first, second)
        found: Float64[np.ndarray, "a b"] = 1 - distances / np.sqrt(4 * first.shape[1])
        return found
