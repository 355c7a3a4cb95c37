"""The logistic probe whose loss knows how labels go wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Int64

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._confident_joint import joint_distribution, transition_of
from kinview.evaluation.probes.logistic import Logistic
from kinview.parameters import choice

__all__ = ["ForwardCorrected"]


@probes.register("forward_corrected", modality="any", reference="Patrini et al., CVPR 2017")
@dataclasses.dataclass(eq=False)
class ForwardCorrected(Logistic):
    r"""Logistic regression with the forward correction of wrong labels.

    .. math:: \min_{W, b} -\sum_i \log \sum_k T_{k \tilde y_i} p_k(z_i) + \frac{1}{2C} \lVert W \rVert^2,
        \qquad p = \operatorname{softmax}(W^\top z + b)

    with :math:`T_{jk} = P(\tilde y = k \mid y = j)` estimated from the out-of-fold probabilities of the probe
    ``logistic``, whose C it takes. Scores are p, the probabilities of the right label.

    Parameters
    ----------
    random_state : int
        Not drawn from: folds go by the order of the rows.
    Cs, max_iter, inner_metric
        As :class:`Logistic` has them.
    transition : {"confident", "anchor"}, default "confident"
        T from the confident joint (see the probe ``confident``), or row j of T from the anchor point of class j, the
        probabilities of the row with the largest one for j [1]_. The paper's anchor is one row: with few of them the
        joint, which counts all, is steadier.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.
    class_weight : {"balanced"}, optional
        Weigh each training row by n / (K n_c), n_c the rows of its class among n of K classes: rare classes count as
        much as frequent ones. Default: each row counts the same.

    Attributes
    ----------
    C_, cv_losses_
        As :class:`Logistic` has them.
    transition_ : ndarray of shape (K, K)
        The estimated T; the identity where there is nothing to part, and the fit is that of ``logistic``.

    Notes
    -----
    The loss is not convex: the fit starts from the solution without correction. The paper trains networks with early
    stopping and no penalty, and takes anchors from training data that the network has seen; here they are out of fold.

    References
    ----------
    .. [1] Patrini, G., Rozza, A., Menon, A., Nock, R., Qu, L. (2017). Making deep neural networks robust to label
       noise: a loss correction approach. CVPR.

    Examples
    --------
    >>> y = np.arange(60) % 2
    >>> Z = np.random.default_rng(0).normal(size=(60, 2)) + 4 * y[:, None]
    >>> recorded = np.where((np.arange(60) < 24) & (y == 1), 0, y)
    >>> ForwardCorrected().fit(Z, recorded).transition_.round(1).tolist()
    [[1.0, 0.0], [0.3, 0.7]]
    """

    transition: str = choice("confident", ["confident", "anchor"])
    transition_: Float[np.ndarray, "classes classes"] = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        n_classes = len(self.classes_)
        self.transition_ = np.eye(n_classes)
        with self._counting_convergence_failures():
            self.C_, self.cv_losses_, unseen = self._search(Z, codes, groups)
            if unseen is not None and self.transition == "anchor":
                self.transition_ = unseen[unseen.argmax(axis=0)]
            elif unseen is not None:
                self.transition_ = transition_of(joint_distribution(codes, unseen))
            self._model = self._fitted_model(Z, codes, None if unseen is None else self.transition_)
