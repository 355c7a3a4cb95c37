"""The probe of confident learning: rows whose label is doubted are dropped."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int64

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._confident_joint import joint_distribution, prune_by_noise_rate, transition_of
from kinview.evaluation.probes.logistic import Logistic

__all__ = ["Confident"]


@probes.register("confident", modality="any", reference="Northcutt et al., JAIR 2021")
@dataclasses.dataclass(eq=False)
class Confident(Logistic):
    r"""Logistic regression on the rows that confident learning keeps.

    1. Out-of-fold probabilities of the probe ``logistic``, at the C it chooses.
    2. Thresholds :math:`t_j = \operatorname{mean}_{\tilde y = j} p_j`. A row recorded as i counts for the class j with
       the largest :math:`p_j \ge t_j`: the confident joint :math:`C_{ij}`. Its rows scaled to the counts of the
       recorded labels give the joint distribution :math:`Q_{ij}`.
    3. Prune by noise rate: for each :math:`i \ne j`, the :math:`\operatorname{round}(n Q_{ij})` rows recorded as i with
       the largest :math:`p_j - p_i` are dropped; each class keeps one row at least.
    4. Logistic regression on the rest, C chosen anew. Scores are its probabilities.

    Parameters
    ----------
    random_state : int
        Not drawn from: folds go by the order of the rows.
    Cs, max_iter, inner_metric
        As :class:`Logistic` has them.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.
    class_weight : {"balanced"}, optional
        Weigh each training row by n / (K n_c), n_c the rows of its class among n of K classes: rare classes count as
        much as frequent ones. Default: each row counts the same.

    Attributes
    ----------
    C_, cv_losses_
        As in the probe ``logistic``, of step 4.
    kept_ : bool ndarray of shape (n,)
        Rows that were kept; all of them where there is nothing to part.
    noise_matrix_ : ndarray of shape (K, K)
        The estimated :math:`T_{jk} = P(\tilde y = k \mid y = j)`; the identity where there is nothing to part.

    Notes
    -----
    The paper and its library cleanlab weight the remaining rows by the estimated :math:`1 / P(\tilde y = i \mid y =
    i)`; here all weigh the same. cleanlab rounds :math:`n Q` to whole counts that keep its row sums; here each count is
    rounded by itself (the same thresholds and confident joint: tested).

    References
    ----------
    .. [1] Northcutt, C., Jiang, L., Chuang, I. (2021). Confident learning: estimating uncertainty in dataset labels.
       JAIR 70.

    Examples
    --------
    >>> y = np.arange(40) % 2
    >>> Z = np.random.default_rng(0).normal(size=(40, 2)) + 4 * y[:, None]
    >>> recorded = np.where(np.arange(40) < 6, 1 - y, y)
    >>> probe = Confident().fit(Z, recorded)
    >>> np.flatnonzero(~probe.kept_).tolist()
    [0, 1, 2, 3, 4, 5]
    """

    kept_: Bool[np.ndarray, " n"] = dataclasses.field(init=False, repr=False)
    noise_matrix_: Float[np.ndarray, "classes classes"] = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        n_classes = len(self.classes_)
        self.kept_, self.noise_matrix_ = np.ones(len(codes), dtype=bool), np.eye(n_classes)
        with self._counting_convergence_failures():
            self.C_, self.cv_losses_, unseen = self._search(Z, codes, groups)
            if unseen is not None:
                distribution = joint_distribution(codes, unseen)
                self.noise_matrix_ = transition_of(distribution)
                self.kept_ = prune_by_noise_rate(codes, unseen, distribution)
                if not self.kept_.all():
                    kept = self.kept_
                    Z, codes, groups = Z[kept], codes[kept], None if groups is None else groups[kept]
                    self.C_, self.cv_losses_, _ = self._search(Z, codes, groups)
            self._model = self._fitted_model(Z, codes)
