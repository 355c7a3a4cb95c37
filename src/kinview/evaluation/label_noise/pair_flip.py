"""Label noise that takes each class for the next one."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Int64

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise._quotas import in_proportion
from kinview.evaluation.label_noise.base import Cases, LabelNoise

__all__ = ["PairFlipNoise"]


@label_noise.register("pair_flip", modality="any", reference="Han et al. 2018")
@dataclasses.dataclass(frozen=True)
class PairFlipNoise(LabelNoise):
    r"""Take an exact fraction of the labels of each class for the next class.

    Class :math:`c` becomes :math:`(c + 1) \bmod K`, the classes in their order:

    .. math:: T_{cc} = 1 - \rho, \qquad T_{c, (c + 1) \bmod K} = \rho.

    Parameters
    ----------
    rate : float
        Fraction :math:`\rho` of the labels that become wrong, in [0, 1]. From 0.5 on the wrong label is the more
        frequent one, and no probe can tell; the literature stays at 0.45 and below.
    group_consistent : bool
        Whether the samples of a group that share a label share its fate; see :class:`LabelNoise`.

    Raises
    ------
    ValueError
        If ``rate`` is out of range, or there is one class only.

    Notes
    -----
    Exactly :math:`\mathrm{round}(\rho n)` labels become wrong, in each class in proportion (up to one), and those wrong
    at 20 % are wrong in the same way at 40 %. The code of [1]_ draws each label by itself, so that its rate is met on
    average. With two classes it is symmetric noise, class by class.

    References
    ----------
    .. [1] Han, B. et al. (2018). Co-teaching: robust training of deep neural networks with extremely noisy labels.
       NeurIPS.

    Examples
    --------
    >>> noisy = PairFlipNoise(rate=0.5).apply(["a", "a", "b", "b", "c", "c"], seed=0)
    >>> noisy.y.tolist(), noisy.realised_rate
    (['b', 'a', 'b', 'c', 'c', 'a'], 0.5)
    """

    def relabel(self, cases: Cases, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
        """Noisy label of each case, as its place in ``cases.classes``."""
        if self.rate > 0:
            cases.require_other_class("pair flipping")
        n_classes = len(cases.classes)
        order, drawn = in_proportion(cases.codes, np.roll(np.eye(n_classes), 1, axis=1), generator)
        rows = cases.first(order, self.rate)
        noisy = cases.codes.copy()
        noisy[rows] = drawn[: len(rows)]
        return noisy
