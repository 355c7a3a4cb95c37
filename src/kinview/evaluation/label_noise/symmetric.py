"""Wrong labels made on purpose, at an exact rate and reported as realised."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Int64

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise.base import Cases, LabelNoise, NoisyLabels
from kinview.parameters import check_bool

__all__ = ["NoisyLabels", "SymmetricNoise"]


@label_noise.register("symmetric", modality="any", reference="Northcutt et al. 2021; inclusive: Bahri et al. 2022")
@dataclasses.dataclass(frozen=True)
class SymmetricNoise(LabelNoise):
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
    group_consistent : bool
        Whether the samples of a group that share a label share its fate; see :class:`LabelNoise`.

    Raises
    ------
    ValueError
        If ``rate`` is out of range, or exclusive noise has no other class to go to.

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

    inclusive: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bool(self.inclusive, "inclusive")

    def relabel(self, cases: Cases, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
        """Noisy label of each case, as its place in ``cases.classes``."""
        n, n_classes = len(cases), len(cases.classes)
        if self.rate > 0 and not self.inclusive:
            cases.require_other_class("exclusive noise")
        order = generator.permutation(n)
        if self.inclusive:
            drawn = generator.integers(n_classes, size=n)
        else:  # a step of 1..K-1 from the own class reaches each other class with the same probability
            drawn = (cases.codes + 1 + generator.integers(max(n_classes - 1, 1), size=n)) % n_classes
        noisy = cases.codes.copy()
        rows = cases.first(order, self.rate)
        noisy[rows] = drawn[rows]
        return noisy
