"""Label noise that depends on the sample."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64
from sklearn.exceptions import ConvergenceWarning

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise.base import Cases
from kinview.evaluation.label_noise.features import FeatureNoise
from kinview.evaluation.probes._logistic_algebra import PENALTIES, search

__all__ = ["InstanceDependentNoise"]

_MAX_ITER = 1000  # of the probe "logistic"


@label_noise.register("instance_dependent", modality="any", reference="Xia et al. 2020; boundary: Menon et al. 2018")
@dataclasses.dataclass(frozen=True)
class InstanceDependentNoise(FeatureNoise):
    r"""Make an exact fraction of the labels wrong, in a way that depends on the sample.

    ``"part_dependent"``, the generator of [1]_ (algorithm 2): where a wrong label goes is decided by the features
    :math:`x` of its sample. With :math:`W_c \in \mathbb{R}^{d \times K}` of standard normal entries for each class,

    .. math:: P(\tilde y = j \mid x, y = c, \tilde y \ne y)
        = \frac{\exp(x^\top W_c)_j}{\sum_{k \ne c} \exp(x^\top W_c)_k}, \qquad j \ne c.

    ``"boundary"``: samples near the boundary go first, and to the class across it. With the out-of-fold probabilities
    :math:`p` of the probe ``logistic``, fitted on the labelled samples with their right labels, a sample is drawn with
    the weight

    .. math:: w = 1 - (p_{(1)} - p_{(2)}),

    one minus the margin between the two most probable classes, and its wrong label is the most probable other class.

    Parameters
    ----------
    rate : float
        Fraction :math:`\rho` of the labels that become wrong, in [0, 1].
    form : {"part_dependent", "boundary"}
        What of the sample decides. Default: as published in [1]_. **With two classes that form is symmetric noise**:
        there is one class to go to; use ``"boundary"``.
    group_consistent : bool
        Whether the samples of a group that share a label share its fate; see :class:`LabelNoise`. Their features are
        averaged.

    Raises
    ------
    ValueError
        If a parameter is out of range, there is one class only, or (boundary) no class has a second case, so that no
        probe can be asked of a row that it was not fitted on.

    Notes
    -----
    Exactly :math:`\mathrm{round}(\rho n)` labels become wrong, so the mean rate is :math:`\rho`, and those wrong at
    20 % are wrong in the same way at 40 %.

    In [1]_ each sample has a rate :math:`q_i` of its own, normal around :math:`\rho` with standard deviation 0.1 and
    truncated to [0, 1], whose mean is not :math:`\rho` near 0 and 1. It does not depend on :math:`x_i`, and one label a
    sample shows one draw of it: given how many labels are wrong, which ones are is a uniform draw, whatever the
    distribution of :math:`q_i`. That draw is made here. Features are standardised raw values, of which :math:`x^\top W`
    has a standard deviation of about :math:`\sqrt d`: with many columns nearly all the probability is on one class, as
    for the pixels of the paper.

    Boundary: rows are taken one after the other in proportion to their weights among those left (exponential keys), so
    that at a high rate those far from the boundary follow. The probe sees labelled training samples alone.

    References
    ----------
    .. [1] Xia, X. et al. (2020). Part-dependent label noise: towards instance-dependent label noise. NeurIPS.
    .. [2] Menon, A. K., van Rooyen, B., Natarajan, N. (2018). Learning from binary labels with instance-dependent
       noise. Machine Learning 107.

    Examples
    --------
    >>> x = np.linspace(-3, 3, 60)[:, None]
    >>> noise = InstanceDependentNoise(rate=0.1, form="boundary")
    >>> noisy = noise.apply(x[:, 0] > 0, seed=0, X=x)
    >>> int(noisy.flipped.sum()), bool(np.abs(x[noisy.flipped]).mean() < np.abs(x).mean())
    (6, True)
    """

    form: Literal["part_dependent", "boundary"] = "part_dependent"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in ("part_dependent", "boundary"):
            raise ValueError(f"form={self.form!r} is unknown; use 'part_dependent' or 'boundary'")

    def relabel(self, cases: Cases, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
        """Noisy label of each case, as its place in ``cases.classes``."""
        noisy = cases.codes.copy()
        if self.rate > 0:
            cases.require_other_class("instance-dependent noise")
            order, drawn = (_by_parts if self.form == "part_dependent" else _by_boundary)(cases, generator)
            rows = cases.first(order, self.rate)
            noisy[rows] = drawn[rows]
        return noisy


def _by_parts(cases: Cases, generator: np.random.Generator) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """A uniform order, and the class that each case gets by its features."""
    assert cases.features is not None
    n_classes, (n, dim) = len(cases.classes), cases.features.shape
    order = generator.permutation(n)
    scores = generator.gumbel(size=(n, n_classes))  # the largest of log-probabilities and these is a draw from them
    for one in range(n_classes):
        rows = cases.codes == one
        scores[rows] += cases.features[rows] @ generator.normal(size=(dim, n_classes))
    scores[np.arange(n), cases.codes] = -np.inf
    return order, scores.argmax(axis=1)


def _by_boundary(
    cases: Cases, generator: np.random.Generator
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """An order in which cases near the boundary tend to be early, and the class on the other side of each."""
    probabilities = np.zeros((len(cases), len(cases.classes)))
    present, codes = np.unique(cases.codes, return_inverse=True)
    probabilities[:, present] = _out_of_fold(cases, codes)
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    weight = np.maximum(1.0 - (first - second), np.finfo(float).eps)
    turn = generator.exponential(size=len(cases)) / weight
    probabilities[np.arange(len(cases)), cases.codes] = -np.inf
    return np.argsort(turn, kind="stable"), probabilities.argmax(axis=1)


def _out_of_fold(cases: Cases, codes: Int64[np.ndarray, " n"]) -> Float[np.ndarray, "n present"]:
    assert cases.features is not None
    found = None
    if codes.max() > 0:
        with warnings.catch_warnings():  # a fit that stopped early tells near from far as well
            warnings.simplefilter("ignore", ConvergenceWarning)
            _, _, found = search(cases.features, codes, None, PENALTIES, _MAX_ITER)
    if found is None:
        raise ValueError(
            f"the boundary is learned from labelled samples of at least two classes, one of them with two; got "
            f"{len(cases)} of {int(codes.max()) + 1}: keep more labels, or use form='part_dependent'"
        )
    return found
