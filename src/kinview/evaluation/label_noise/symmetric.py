"""Wrong labels made on purpose, at an exact rate and reported as realised."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from kinview.data.labels import encode_labels
from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.validation import check_rate, check_seed
from kinview.old_pickles import FromPickle

__all__ = ["NoisyLabels", "SymmetricNoise"]


@dataclasses.dataclass(frozen=True, eq=False)
class NoisyLabels:
    """Labels with noise, and what the noise did.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The noisy labels.
    flipped : bool ndarray of shape (n,)
        True where the noisy label differs from the given one.
    """

    y: Shaped[np.ndarray, " n"]
    flipped: Bool[np.ndarray, " n"]

    @property
    def realised_rate(self) -> float:
        """Fraction of the labels that differ from the given ones."""
        return float(self.flipped.mean())


@label_noise.register("symmetric", modality="any", reference="Northcutt et al. 2021; inclusive: Bahri et al. 2022")
@dataclasses.dataclass(frozen=True)
class SymmetricNoise(FromPickle):
    r"""Give an exact fraction of the rows a label drawn uniformly, whatever their class.

    With the transition matrix :math:`T_{ij} = P(\tilde y = j \mid y = i)` over :math:`K` classes, exclusive noise is

    .. math:: T = (1 - \rho) I + \frac{\rho}{K - 1} (J - I),

    and inclusive noise is :math:`T = (1 - \rho) I + \frac{\rho}{K} J`, where a row may draw its own class again, so
    that :math:`\rho (K - 1) / K` of the labels change on average. Exactly :math:`\mathrm{round}(\rho n)` rows draw.

    Parameters
    ----------
    rate : float
        Fraction :math:`\rho` of the rows that draw a label, in [0, 1].
    inclusive : bool
        Whether the own class may be drawn. Default: no, the usual definition in work on noisy labels; SCARF's
        experiments use the inclusive one.

    Raises
    ------
    ValueError
        If ``rate`` is out of range.

    Notes
    -----
    One seed gives one order of the rows and one new label for each, so the rows wrong at 20 % are wrong in the same way
    at 40 %. cleanlab's ``noise_matrix`` is the transpose of :math:`T`; it rounds the count of every pair of classes,
    whereas here the total is exact and the rows are drawn from all classes together.

    References
    ----------
    .. [1] Northcutt, C., Jiang, L., Chuang, I. (2021). Confident learning. JAIR 70.
    .. [2] Bahri, D. et al. (2022). SCARF. ICLR.

    Examples
    --------
    >>> noisy = SymmetricNoise(rate=0.4).apply(["a", "b", "c", "a", "b"], seed=0)
    >>> noisy.y.tolist(), noisy.realised_rate
    (['a', 'b', 'a', 'a', 'a'], 0.4)
    """

    rate: float
    inclusive: bool = False

    def __post_init__(self) -> None:
        check_rate(self.rate)

    def apply(self, y: Any, classes: Any = None, seed: int | Sequence[int] = 0) -> NoisyLabels:
        """Noisy copy of the labels.

        Parameters
        ----------
        y : array-like of shape (n,)
            Training labels of any one type. Not modified.
        classes : array-like of shape (K,), optional
            All classes; default: those in ``y``.
        seed : int or sequence of int
            Determines the order of the rows and their new labels.

        Raises
        ------
        ValueError
            If the labels are not valid, are not among ``classes``, or exclusive noise has no other class to go to.
        """
        codes, known = encode_labels(y, classes)
        n, n_classes = len(codes), len(known)
        if self.rate > 0 and n_classes < 2 and not self.inclusive:
            raise ValueError(
                f"all labels are {known[0]!r}: exclusive noise needs a second class; give `classes`, or use rate=0"
            )
        generator = np.random.default_rng(check_seed(seed))
        order = generator.permutation(n)
        if self.inclusive:
            drawn = generator.integers(n_classes, size=n)
        else:  # a step of 1..K-1 from the own class reaches each other class with the same probability
            drawn = (codes + 1 + generator.integers(max(n_classes - 1, 1), size=n)) % n_classes
        noisy = codes.copy()
        rows = order[: round(self.rate * n)]
        noisy[rows] = drawn[rows]
        return NoisyLabels(y=known[noisy], flipped=noisy != codes)
