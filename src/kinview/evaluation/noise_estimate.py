"""How many labels are wrong, estimated from the labels and what is known of the samples."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Shaped
from sklearn.exceptions import ConvergenceWarning

from kinview.data.alignment import in_order_of
from kinview.data.labels import encode_classes, encode_labels
from kinview.evaluation.probes._confident_joint import joint_distribution, transition_of
from kinview.evaluation.probes._logistic_algebra import PENALTIES, search

__all__ = ["NoiseEstimate", "estimate_label_noise"]

_MAX_ITER = 1000  # of the probe "logistic"
_ROUNDING = 1e-3  # that given probabilities of a sample may miss 1 by: float16, or two decimals of each


@dataclasses.dataclass(frozen=True, eq=False)
class NoiseEstimate:
    """Estimated noise of labels.

    Parameters
    ----------
    rate : float
        Estimated fraction of wrong labels.
    joint : ndarray of shape (K, K)
        Estimated fraction of the samples that are recorded as one class (rows) and are of another (columns); all of
        them add up to 1.
    classes : ndarray of shape (K,)
        The recorded classes, sorted.
    """

    rate: float
    joint: Float[np.ndarray, "classes classes"]
    classes: Shaped[np.ndarray, " classes"]

    @property
    def transition(self) -> Float[np.ndarray, "classes classes"]:
        r"""Estimated :math:`T_{ij} = P(\tilde y = j \mid y = i)`: a row a right class, a column a recorded one."""
        return transition_of(self.joint)


def estimate_label_noise(Z: Any, y: Any, groups: Any = None, *, probabilities: bool = False) -> NoiseEstimate:
    r"""Estimate how many labels are wrong, by confident learning.

    1. Out-of-fold probabilities :math:`p` of each class: of the probe ``logistic`` on ``Z``, its penalty chosen by log
       loss, on 5 stratified folds that part no group; or as given.
    2. A sample recorded as i counts for the class j with the largest :math:`p_j` among those that reach the threshold
       :math:`t_j = \operatorname{mean}_{\tilde y = j} p_j`: the confident joint.
    3. Its rows scaled to the counts of the recorded labels: the joint distribution :math:`Q_{ij}` of recorded and right
       labels. The rate is :math:`1 - \sum_i Q_{ii}`.

    Parameters
    ----------
    Z : array-like of shape (n, D), or (n, K) with ``probabilities``
        Representations of the samples, such as the training part of a cell; or the probability of each class, in their
        sorted order, by a model that was not fitted on the sample in question.
    y : array-like of shape (n,)
        Recorded labels of any one type. Where Z is a frame and y has an index that names its rows, in any order.
    groups : array-like of shape (n,), optional
        Group (patient) of each sample, as y.
    probabilities : bool
        Whether ``Z`` holds probabilities. Default: no.

    Returns
    -------
    NoiseEstimate
        Rate, joint distribution, transition matrix.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is missing or infinite, probabilities do not add up to 1, labels are of a single
        class, or there is nothing to part: a single group, or no class with a second sample.

    Notes
    -----
    An estimate, not a count. Where classes overlap in ``Z``, right labels look wrong, and the estimate is too high; a
    weak representation makes it higher. Where noise depends on the sample in the way that the classes do, wrong labels
    look right, and it is too low. Compare estimates over representations, and trust the lowest. With noise of half and
    more the wrong labels are the rule, and the estimate says nothing.

    The joint is that of the probe ``confident``, which drops the doubted rows. cleanlab's ``estimate_joint`` rounds the
    scaled counts to whole numbers first; here they stay as they are.

    References
    ----------
    .. [1] Northcutt, C., Jiang, L., Chuang, I. (2021). Confident learning: estimating uncertainty in dataset labels.
       JAIR 70.

    Examples
    --------
    >>> y = np.arange(100) % 2
    >>> Z = np.random.default_rng(0).normal(size=(100, 2)) + 6 * y[:, None]
    >>> recorded = np.where(np.arange(100) < 10, 1 - y, y)
    >>> round(estimate_label_noise(Z, recorded).rate, 2), estimate_label_noise(Z, y).rate
    (0.11, 0.0)
    """
    features = np.asarray(Z, dtype=np.float64)
    if features.ndim != 2 or 0 in features.shape or not np.isfinite(features).all():
        raise ValueError(f"Z must be a table of finite numbers, shape (n, D) without a zero; got {features.shape}")
    codes, classes = encode_classes(in_order_of(Z, y, "y", "Z"), "an estimate of label noise")
    parts = None if groups is None else encode_labels(in_order_of(Z, groups, "groups", "Z"), name="groups")[0]
    for name, values in (("y", codes), ("groups", parts)):
        if values is not None and len(values) != len(features):
            raise ValueError(f"Z has {len(features)} rows and {name} {len(values)} entries; give one a row")
    unseen = _checked(features, classes) if probabilities else _out_of_fold(features, codes, parts)
    joint = joint_distribution(codes, unseen)
    return NoiseEstimate(max(0.0, 1.0 - float(np.trace(joint))), joint, classes)


def _out_of_fold(
    Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
) -> Float[np.ndarray, "n classes"]:
    with warnings.catch_warnings():  # a fit that stopped early gives probabilities as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, _, found = search(Z, codes, groups, PENALTIES, _MAX_ITER)
    if found is None:
        raise ValueError(
            "noise is estimated with probabilities of rows that a model was not fitted on, and there is nothing to "
            "part: give more than one group, and a class with more than one row"
        )
    return found


def _checked(
    probabilities: Float[np.ndarray, "n k"], classes: Shaped[np.ndarray, " classes"]
) -> Float[np.ndarray, "n classes"]:
    if probabilities.shape[1] != len(classes):
        raise ValueError(f"Z holds {probabilities.shape[1]} columns of probabilities for {len(classes)} classes in y")
    if probabilities.min() < 0 or np.abs(probabilities.sum(axis=1) - 1).max() > _ROUNDING:
        raise ValueError("Z must hold probabilities, whose rows add up to 1; for scores of another kind, give features")
    return probabilities
