"""Samples that lack one of their two sides: the series, or what is known of them besides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from jaxtyping import Bool

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import (
    Cells,
    Change,
    Corrupted,
    Corruption,
    Counts,
    Learned,
    observed_mask,
)
from kinview.evaluation.corruptions.cells import static_of_samples
from kinview.evaluation.corruptions.changes import written
from kinview.evaluation.validation import check_seed

__all__ = ["ModalityMissing"]

_Side = Literal["static", "samples"]


@corruptions.register("modality_missing", modality="any", reference="Ma et al., SMIL, AAAI 2021")
@dataclasses.dataclass(frozen=True)
class ModalityMissing(Corruption):
    """Take a whole side from some samples: all their static columns, or all their values.

    Parameters
    ----------
    rate : float
        Fraction of the samples that have the side: exactly so many, rounded, lose it.
    side : {"static", "samples"}
        ``static``: what is known of a sample besides X, the table of pairs; ``samples``: X itself.

    Raises
    ------
    ValueError
        If a parameter is out of range, or static columns are to go and there are none.

    Notes
    -----
    Which samples lose it is left to chance, and nested over rates. Static columns come back in
    ``corrupted(...).static``; ``apply`` gives X alone, which is as it was. Subgroups of the metrics go by the values
    before.

    References
    ----------
    .. [1] Ma, Ren, Zhao, Tulyakov, Wu, Peng: SMIL: Multimodal Learning with Severely Missing Modality, AAAI 2021,
       arXiv 2103.05677.

    Examples
    --------
    >>> import pandas as pd
    >>> X, static = np.zeros((10, 1, 4)), pd.DataFrame({"age": range(10), "sex": list("fm") * 5})
    >>> found = ModalityMissing(rate=0.3).corrupted(X, seed=0, static=static)
    >>> found.static.isna().sum().tolist(), found.realised
    ([3, 3], 0.3)
    >>> int(np.isnan(ModalityMissing(rate=0.3, side="samples").apply(X, seed=0)[0]).any(axis=(1, 2)).sum())
    3
    """

    needs: ClassVar[frozenset[str]] = frozenset({"static"})  # of an object: what its side needs
    counts: ClassVar[Counts] = "samples"

    side: _Side = "static"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side not in get_args(_Side):
            raise ValueError(f"side must be {' or '.join(get_args(_Side))}; got {self.side!r}")
        object.__setattr__(self, "needs", frozenset({self.side}))

    @property
    def changes_static(self) -> bool:
        """Whether it changes static columns."""
        return self.side == "static"

    def corrupted(
        self,
        X: Any,
        seed: int | Sequence[int],
        *,
        times: Any = None,
        groups: Any = None,
        y: Any = None,
        static: Any = None,
        learned: Learned | None = None,
    ) -> Corrupted:
        """Samples without the side, and how many of those that had it; parameters and errors as :func:`corrupt`."""
        if self.side == "samples":
            return super().corrupted(X, seed, learned=learned)
        table = static_of_samples(X, static, type(self).__name__)
        had = table.notna().any(axis=1).to_numpy()
        goes = self._drawn(had, np.random.default_rng(check_seed(seed)))
        realised = float(goes.sum() / max(had.sum(), 1))
        without, _ = written(table, Change(table.notna().to_numpy() & goes[:, None]))
        return Corrupted(X, np.zeros_like(observed_mask(X)), realised, without)

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """All that was observed of the samples that are drawn."""
        if self.side == "static":
            return np.zeros_like(cells.observed)
        had, sample = self._samples(cells)
        gone: np.ndarray = self._drawn(had, generator)[sample][:, None] & cells.observed
        return gone

    def realised(self, cells: Cells, change: Change) -> float:
        """Fraction of the samples that had the side and lose it."""
        had, sample = self._samples(cells)
        lost = np.bincount(sample, change.removed.any(axis=1), minlength=len(had)) > 0
        return float(lost.sum() / max(had.sum(), 1))

    def _samples(self, cells: Cells) -> tuple[Bool[np.ndarray, " samples"], Any]:
        """Which samples have an observed value, and the number of the sample of each row."""
        assert cells.sample is not None
        return np.bincount(cells.sample, cells.observed.any(axis=1)) > 0, cells.sample

    def _drawn(self, had: Bool[np.ndarray, " samples"], generator: np.random.Generator) -> Bool[np.ndarray, " samples"]:
        """The samples that lose the side."""
        order = generator.permutation(np.flatnonzero(had))
        goes = np.zeros(len(had), dtype=bool)
        goes[order[: round(self.rate * len(order))]] = True
        return goes
