"""Columns by the distributions of their values."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Float64
from scipy.stats import wasserstein_distance

from kinview.parameters import choice, flag
from kinview.schema_matching import matchers
from kinview.schema_matching.base import Matcher
from kinview.schema_matching.tables import Side, TwoTables

__all__ = ["DistributionMatcher"]


@matchers.register("distribution", modality="tabular", reference="kinview")
@dataclasses.dataclass(frozen=True)
class DistributionMatcher(Matcher):
    r"""Columns are alike whose values are distributed alike; no known column is needed.

    With the distribution functions of two columns, by the largest difference (Kolmogorov and Smirnov) or by the area
    between them (Wasserstein):

    .. math:: s_{ij} = 1 - \sup_x |F_i(x) - F_j(x)| \quad\text{or}\quad
              s_{ij} = \frac{1}{1 + \int |F_i(x) - F_j(x)| dx}

    Categories are compared by their sorted frequencies :math:`f_{(1)} \ge f_{(2)} \ge \dots`, since their names may
    differ: :math:`s_{ij} = 1 - \frac{1}{2} \sum_k |f_{i(k)} - f_{j(k)}|`.

    Parameters
    ----------
    distance : {"kolmogorov_smirnov", "wasserstein"}, default "kolmogorov_smirnov"
        How far apart two distributions are. The first compares where values lie and suffers where many are equal
        (counts, booleans): scaled in their tables, these lie a little apart (kinview).
    scaled : bool, default True
        Whether values are standardised in their table first, so that units do not matter. Where both tables have the
        same units, False tells more (kinview).

    Notes
    -----
    Two columns without an observed value in one of them have similarity 0. Nothing of other columns is looked at: two
    that are distributed alike cannot be told apart.

    Examples
    --------
    >>> matchers.build({"distribution": {"distance": "wasserstein"}})
    DistributionMatcher(distance='wasserstein', scaled=True)
    """

    distance: Literal["kolmogorov_smirnov", "wasserstein"] = choice(
        "kolmogorov_smirnov", ("kolmogorov_smirnov", "wasserstein")
    )
    scaled: bool = flag(True)

    @property
    def reads_categories(self) -> bool:
        """Yes."""
        return True

    def similarity(self, tables: TwoTables, seed: int) -> Float64[np.ndarray, "a b"]:
        """Of each two columns of one kind; 0 for others."""
        first, second = ([self._values(side, name) for name in side.unknown] for side in (tables.A, tables.B))
        categories = [tables.A.kind(name) == "categories" for name in tables.A.unknown]
        found = np.zeros((len(first), len(second)))
        for i, j in np.argwhere(tables.comparable):
            if len(first[i]) and len(second[j]):
                compare = _same_frequencies if categories[i] else self._same_values
                found[i, j] = compare(first[i], second[j])
        return found

    def _values(self, side: Side, name: str) -> Float64[np.ndarray, " observed"]:
        scaled = self.scaled or side.kind(name) == "categories"
        values = side.columns([name])[:, 0] if scaled else side.in_own_units(name)
        return np.sort(values[~np.isnan(values)])

    def _same_values(self, first: Float64[np.ndarray, " n"], second: Float64[np.ndarray, " m"]) -> float:
        if self.distance == "wasserstein":
            return 1.0 / (1.0 + float(wasserstein_distance(first, second)))
        places = np.concatenate([first, second])
        below = [np.searchsorted(values, places, side="right") / len(values) for values in (first, second)]
        return 1.0 - float(np.abs(below[0] - below[1]).max())


def _same_frequencies(first: Float64[np.ndarray, " n"], second: Float64[np.ndarray, " m"]) -> float:
    shares = [np.sort(np.unique(codes, return_counts=True)[1])[::-1] / len(codes) for codes in (first, second)]
    size = max(map(len, shares))
    padded = [np.pad(share, (0, size - len(share))) for share in shares]
    return 1.0 - float(np.abs(padded[0] - padded[1]).sum() / 2)
