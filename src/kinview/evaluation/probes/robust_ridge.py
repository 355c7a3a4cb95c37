"""The ridge probe for labels of which some are wrong."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import gammaln, softmax
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._calibration import SHARPNESS, best_sharpness
from kinview.evaluation.probes._ridge_algebra import RidgePath, scaled_product, scaled_rows, targets_of
from kinview.evaluation.probes.base import Probe
from kinview.parameters import real, whole

__all__ = ["RobustRidge"]

_PENALTIES = np.logspace(-2, 2, 17)  # times the number of features
_LEVELS = np.linspace(0.0, 1.0, 5)
_RATES = np.arange(9) * 0.075  # 0 to 0.6


@dataclasses.dataclass(frozen=True)
class _Mixture:
    """Fit of the noise model: negative log-likelihood (nats), sharpness, rate, and P(class | row) without its label."""

    loss: float
    sharpness: float
    rate: float
    probabilities: Float[np.ndarray, "n classes"]


@probes.register(
    "robust_ridge",
    modality="any",
    reference="noise model: Bootkrajang & Kaban 2012; left-out values: Rifkin & Lippert 2007",
)
@dataclasses.dataclass(eq=False)
class RobustRidge(Probe):
    r"""Ridge regression that stands wrong labels: penalty by scale, class levels in doubt, labels as a mixture.

    All left-out values are exact and come from one eigen-decomposition, as in ``ridge``; targets are 1 and -1.

    1. *Penalty.* :math:`\alpha / D` is the one of ``np.logspace(-2, 2, 17)`` with the smallest left-out squared error.
       Rocket's grid ends at 1,000, a tenth of D there: too little where labels are wrong.
    2. *Levels.* With a decision :math:`f(z) = W^\top (z - \bar z) + s \bar y`, ridge has s = 1. Where labels are wrong,
       W is shrunk and the levels :math:`\bar y` are not, so that chance differences between class sizes decide. Here
       :math:`s = t \, P(\text{class sizes differ})`, the posterior probability of a uniform Dirichlet prior over class
       frequencies against equal ones, both a priori as likely; t in 0, 1/4, ..., 1 and the sharpness a have the
       smallest left-out log loss of :math:`\operatorname{softmax}(a f)`.
    3. *Noise.* A recorded label is right with probability :math:`1 - \rho`, and each other one with :math:`\rho / (K -
       1)`. With left-out :math:`p_i = \operatorname{softmax}(a f_i)`, a and :math:`\rho` (0 to 0.6, below (K - 1) / K)
       maximise :math:`\sum_i \log \sum_k P(\tilde y_i \mid k) p_{ik}`. Hard data have unsure left-out predictions,
       wrong labels sure ones that disagree: only the latter make :math:`\rho > 0` more likely. If the gain over
       :math:`\rho = 0` is below ``gain`` nats, the fit stays at step 2.
    4. *Labels.* Else the targets become :math:`2 q_{ik} - 1` with :math:`q_{ik} \propto P(\tilde y_i \mid k) p_{ik}`,
       the penalty is chosen again, and so are a, q and the targets, ``iterations`` times in all. The rate stays that of
       the first time: later left-out predictions have seen their own label through the targets of other rows.

    Scores are :math:`\operatorname{softmax}(a f(z))`: probabilities of the recorded label where no noise was found, of
    the right one otherwise. One configuration; nothing asks for the true rate.

    Parameters
    ----------
    random_state : int
        Not drawn from: there is nothing random.
    gain : float, default 3.0
        Log-likelihood in nats that noise has to add before labels are doubted. Default: development on the open archive
        sets, where less costs accuracy on clean labels.
    iterations : int, default 4
        Rounds of steps 3 and 4. Default: as above (2, 4 and 8 differ by less than .003).
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.

    Attributes
    ----------
    alpha_ : float
        The last chosen penalty.
    level_ : float
        The factor s.
    noise_rate_ : float
        The estimated :math:`\rho`; 0 where labels are not doubted.
    label_probability_ : ndarray of shape (n,)
        Probability that each training label is right; ones where labels are not doubted.
    sharpness_ : float
        The factor a.

    Notes
    -----
    With ``groups``, the rows of a group are left out together. With a single group nothing can be left out: it is ridge
    with :math:`\alpha = D`, s = 1, a = 2. Wrong labels that depend on the
    class or on the features are not in the model.

    References
    ----------
    .. [1] Bootkrajang, J., Kaban, A. (2012). Label-noise robust logistic regression and its applications. ECML PKDD.
    .. [2] Rifkin, R., Lippert, R. (2007). Notes on regularized least squares. MIT-CSAIL-TR-2007-025.

    Examples
    --------
    >>> from kinview.evaluation.label_noise import label_noise
    >>> y = np.arange(200) % 4
    >>> Z = np.random.default_rng(0).normal(size=(200, 10)) + 6 * np.eye(10)[y]
    >>> noisy = label_noise.build("symmetric", rate=0.3).apply(y)
    >>> probe = RobustRidge().fit(Z, noisy.y)
    >>> bool((probe.predict(Z) == y).all()), bool(((probe.label_probability_ < 0.5) == noisy.flipped).all())
    (True, True)
    """

    wide: ClassVar[bool] = True

    gain: float = real(3.0, low=0)
    iterations: int = whole(4, low=1)
    alpha_: float = dataclasses.field(init=False, repr=False)
    level_: float = dataclasses.field(init=False, repr=False)
    noise_rate_: float = dataclasses.field(init=False, repr=False)
    label_probability_: Float[np.ndarray, " n"] = dataclasses.field(init=False, repr=False)
    sharpness_: float = dataclasses.field(init=False, repr=False)
    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _weights: Any = dataclasses.field(init=False, repr=False)
    _offset: Any = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        self._scaler, X = scaled_rows(Z)
        targets, path = targets_of(codes, len(self.classes_)), RidgePath(X, groups)
        self.noise_rate_, self.label_probability_ = 0.0, np.ones(len(codes))
        self.alpha_, self.level_, self.sharpness_ = float(X.shape[1]), 1.0, 2.0
        if path.leaves_some:
            targets = self._fit_left_out(path, targets, codes, X.shape[1] * _PENALTIES)
        self._weights = path.coefficients(targets, self.alpha_)
        self._offset = self.level_ * targets.mean(axis=0)

    def _fit_left_out(
        self,
        path: RidgePath,
        targets: Float[np.ndarray, "n classes"],
        codes: Int64[np.ndarray, " n"],
        alphas: Float[np.ndarray, " alphas"],
    ) -> Float[np.ndarray, "n classes"]:
        """Choose penalty, levels, sharpness and noise; the targets to fit on."""
        self.alpha_, signal, level = _least_squared_error(path, targets, alphas)
        factors = _LEVELS * _sizes_differ(codes, len(self.classes_))
        found = [best_sharpness(signal + factor * level, codes) for factor in factors]
        best = int(np.argmin([loss for _, loss in found]))
        self.level_, (self.sharpness_, loss) = float(factors[best]), found[best]
        rates = _RATES[(len(self.classes_) - 1) / len(self.classes_) > _RATES]
        for round_ in range(self.iterations):
            mixture = _best_mixture(signal + self.level_ * level, codes, rates)
            if round_ == 0 and len(codes) * loss - mixture.loss < self.gain:
                return targets
            rates = np.array([mixture.rate])
            right = _right_label(mixture, codes)
            targets = 2 * right - 1
            self.alpha_, signal, level = _least_squared_error(path, targets, alphas)
            self.sharpness_, self.noise_rate_ = mixture.sharpness, mixture.rate
            self.label_probability_ = right[np.arange(len(codes)), codes]
        return targets

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return np.asarray(softmax(self.sharpness_ * self._decisions(Z), axis=1))

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self._decisions(Z).argmax(axis=1), dtype=np.int64)  # far off, probabilities round to 1

    def _decisions(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        decisions: Float[np.ndarray, "n classes"] = scaled_product(self._scaler, Z, self._weights) + self._offset
        return decisions


def _least_squared_error(
    path: RidgePath, targets: Float[np.ndarray, "n classes"], alphas: Float[np.ndarray, " alphas"]
) -> tuple[float, Float[np.ndarray, "n classes"], Float[np.ndarray, "n classes"]]:
    """The penalty with the smallest left-out squared error, and the two parts of its left-out decisions."""
    tried = [path.left_out(targets, alpha) for alpha in alphas]
    best = int(np.argmin([np.mean((targets - signal - level) ** 2) for signal, level in tried]))
    return float(alphas[best]), *tried[best]


def _sizes_differ(codes: Int64[np.ndarray, " n"], n_classes: int) -> float:
    """Posterior probability that class frequencies are not equal: uniform Dirichlet prior, prior odds 1."""
    counts, n = np.bincount(codes, minlength=n_classes), len(codes)
    differ = gammaln(n_classes) - gammaln(n + n_classes) + gammaln(counts + 1).sum()
    equal = -n * np.log(n_classes)
    return float(1.0 / (1.0 + np.exp(np.clip(equal - differ, -500.0, 500.0))))


def _best_mixture(
    decisions: Float[np.ndarray, "n classes"], codes: Int64[np.ndarray, " n"], rates: Float[np.ndarray, " rates"]
) -> _Mixture:
    """The most likely sharpness and noise rate (the smallest of equals)."""
    n_classes, best = decisions.shape[1], None
    for sharpness in SHARPNESS:
        probabilities = softmax(sharpness * decisions, axis=1)
        own = probabilities[np.arange(len(codes)), codes]
        likelihood = (1 - rates) * own[:, None] + rates / (n_classes - 1) * (1 - own[:, None])  # (n, rates)
        losses = -np.log(np.maximum(likelihood, np.finfo(float).tiny)).sum(axis=0)
        rate = int(np.argmin(losses))
        if best is None or losses[rate] < best.loss - 1e-9:
            best = _Mixture(float(losses[rate]), float(sharpness), float(rates[rate]), probabilities)
    assert best is not None
    return best


def _right_label(mixture: _Mixture, codes: Int64[np.ndarray, " n"]) -> Float[np.ndarray, "n classes"]:
    """Probability of each class for each row, given its recorded label."""
    n_classes, rows = mixture.probabilities.shape[1], np.arange(len(codes))
    joint = mixture.probabilities * (mixture.rate / (n_classes - 1))
    joint[rows, codes] = mixture.probabilities[rows, codes] * (1 - mixture.rate)
    total = joint.sum(axis=1, keepdims=True)
    own = targets_of(codes, n_classes) > 0
    return np.where(total > 0, joint / np.where(total > 0, total, 1.0), own)
