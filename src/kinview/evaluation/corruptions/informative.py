"""Informative missingness: whether a value is missing depends on the label."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import beginning, by_log_odds
from kinview.parameters import check_number

__all__ = ["Informative"]


@corruptions.register("informative", modality="any", reference="Rubin 1976; Groenwold 2020")
@dataclasses.dataclass(frozen=True)
class Informative(Corruption):
    r"""Remove more values from the samples of some classes: missingness depends on the label.

    With the :math:`K` classes of the training part in order, :math:`k = 0, \dots, K - 1`, a value of a sample of class
    :math:`k` is missing with probability

    .. math:: P(\mathrm{missing} \mid y = k) = \sigma(\beta\, k / (K - 1) + b).

    The intercept :math:`b` is the one at which exactly :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of the :math:`N`
    observed values are missing. Which values of a sample go is left to chance.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    steepness : float
        Log-odds :math:`\beta` of being missing in the last class against the first; with a negative one the first class
        loses more. Default 2, an odds ratio of :math:`e^2 = 7.4`: our choice.

    Raises
    ------
    ValueError
        If a parameter is out of range, a sample has no label, or one that is not in the training part.

    Notes
    -----
    The gaps tell of the outcome: a method that is shown them may score better than without gaps, by what it has learned
    of how the data were recorded. The gaps of the test part depend on its labels in the same way; scores say nothing
    about a hospital that records otherwise. Classes are in the order of their sorted labels.

    References
    ----------
    .. [1] Groenwold, R. H. H. (2020). Informative missingness in electronic health record systems: the curse of
       knowing. Diagnostic and Prognostic Research 4, 8.

    Examples
    --------
    >>> X, y = np.zeros((1000, 1, 10)), np.repeat(["alive", "died"], 500)
    >>> _, removed = Informative(rate=0.3).apply(X, seed=0, y=y)
    >>> [round(float(removed[y == one].mean()), 2) for one in ("alive", "died")]
    [0.11, 0.49]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"y"})

    steepness: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.steepness, "steepness")

    def fit(self, cells: Cells, generator: np.random.Generator) -> pd.Index[Any]:
        """The classes in order."""
        classes: pd.Index[Any] = pd.Index(np.unique(_known_labels(cells)))
        return classes

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        labels = _known_labels(cells)
        place = cells.learned.get_indexer(pd.Index(labels))
        if (place < 0).any():
            unknown = sorted({str(one) for one in labels[place < 0]})
            raise ValueError(
                f"informative removes values by class, and the training part has none of {', '.join(unknown[:5])}; its "
                f"classes are {', '.join(map(str, cells.learned[:5]))}"
            )
        log_odds = self.steepness * place / max(1, len(cells.learned) - 1)
        places = np.flatnonzero(cells.observed)
        order = by_log_odds(places, log_odds[places // cells.observed.shape[1]], generator)
        return beginning(order, self.rate, cells.observed.shape)


def _known_labels(cells: Cells) -> Shaped[np.ndarray, " rows"]:
    assert cells.y is not None
    if np.asarray(pd.isna(cells.y)).any():
        raise ValueError("informative removes values by class, and some samples have no label; leave those out")
    return cells.y
