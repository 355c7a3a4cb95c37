"""Label noise by a transition matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise._quotas import check_scale, check_transition, in_proportion
from kinview.evaluation.label_noise.base import Cases, LabelNoise

__all__ = ["ClassConditionalNoise"]


@label_noise.register("class_conditional", modality="any", reference="Patrini et al. 2017; Northcutt et al. 2021")
@dataclasses.dataclass(frozen=True)
class ClassConditionalNoise(LabelNoise):
    r"""Make labels wrong as a transition matrix says, in exact numbers of each pair of classes.

    .. math:: T_{ij} = P(\tilde y = j \mid y = i), \qquad \sum_j T_{ij} = 1.

    A rate :math:`\rho` scales what is off the diagonal, :math:`T(s) = I + s (T - I)`, so that the labels at hand have
    it: :math:`s = \rho / \sum_i P(y = i) (1 - T_{ii})`.

    Parameters
    ----------
    rate : float, optional
        Fraction :math:`\rho` of the labels that become wrong, in [0, 1]. Default None: as the matrix says, which
        depends on how frequent the classes are.
    matrix : sequence of K sequences of K float
        :math:`T`, a row a true class in the order of the classes (sorted), a column a noisy one.
    group_consistent : bool
        Whether the samples of a group that share a label share its fate; see :class:`LabelNoise`.

    Raises
    ------
    ValueError
        If ``rate`` is out of range or more than the matrix can be scaled to, an entry of ``matrix`` is no probability,
        a row does not add up to 1, or it has not one row a class.

    Notes
    -----
    cleanlab's ``noise_matrix`` is the transpose: a column a true class. Like its ``generate_noisy_labels``, this makes
    exact counts of each pair of classes; it rounds each down, whereas here their sum is
    :math:`\mathrm{round}(\rho n)`, each within about one of :math:`n P(y = i) T_{ij}`, and labels wrong at a rate are
    wrong in the same way at a higher one. A matrix of cleanlab's ``generate_noise_matrix_from_trace`` can be given,
    transposed. Its condition that a class be the most probable one of those labelled as it
    (``noise_matrix_is_valid``) is not asked for: whether noise can be learned through is a finding.

    A benchmark gives the rate. For the matrix as it stands, ask for the rate that it makes: ``apply(y).realised_rate``.

    References
    ----------
    .. [1] Patrini, G. et al. (2017). Making deep neural networks robust to label noise: a loss correction approach.
       CVPR.
    .. [2] Northcutt, C., Jiang, L., Chuang, I. (2021). Confident learning. JAIR 70.

    Examples
    --------
    Half of the ill are taken for well, and one well in four for ill:

    >>> noise = ClassConditionalNoise(matrix=[[0.5, 0.5], [0.25, 0.75]])
    >>> noisy = noise.apply(["ill"] * 4 + ["well"] * 8, seed=0)
    >>> noisy.counts.tolist(), round(noisy.realised_rate, 3)
    ([[2, 2], [2, 6]], 0.333)
    """

    rate: float | None = None  # type: ignore[assignment]  # only here may it be left to the matrix
    matrix: Sequence[Sequence[float]] = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "matrix", check_transition(self.matrix, "matrix"))

    def _check_rate(self) -> None:
        if self.rate is not None:
            super()._check_rate()

    def relabel(self, cases: Cases, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
        """Noisy label of each case, as its place in ``cases.classes``."""
        wrong, n_classes = np.array(self.matrix), len(cases.classes)
        if len(wrong) != n_classes:
            raise ValueError(
                f"matrix has {len(wrong)} rows for {n_classes} classes ({', '.join(map(str, cases.classes))}): "
                "give one row and one column a class, in this order"
            )
        np.fill_diagonal(wrong, 0.0)
        frequent = np.bincount(cases.codes, weights=cases.sizes, minlength=n_classes) / cases.sizes.sum()
        own = float(frequent @ wrong.sum(axis=1))
        if self.rate is not None:
            check_scale(wrong[frequent > 0], self.rate, own, "matrix")
        order, drawn = in_proportion(cases.codes, wrong, generator)
        rows = cases.first(order, own if self.rate is None else self.rate)
        noisy = cases.codes.copy()
        noisy[rows] = drawn[: len(rows)]
        return noisy
