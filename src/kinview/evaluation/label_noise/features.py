"""What label noise that looks at the samples sees of them."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from kinview.evaluation.label_noise.base import LabelNoise

__all__ = ["FeatureNoise"]


@dataclasses.dataclass(frozen=True)
class FeatureNoise(LabelNoise):
    """Label noise that depends on the values of the samples.

    Its features are those of :class:`~kinview.methods.RawFeatures`, the values themselves, gaps filled within a series
    (in a table with the median, or the most frequent category), each column standardised over the samples that are
    labelled: the same for every method that is compared, and of no row that has no label. A part of its own class, so
    that the results under noise that does not look at samples do not depend on how they are read.

    Parameters
    ----------
    rate, group_consistent
        As in :class:`LabelNoise`.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def features_of(self, X: Any) -> Float[np.ndarray, "n dim"]:
        """Standardised features of the samples; a column that does not vary is 0."""
        from kinview.methods.controls.raw import RawFeatures

        values = RawFeatures().fit(X).transform(X).astype(np.float64)
        spread = values.std(axis=0)
        found: Float[np.ndarray, "n dim"] = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        return found
