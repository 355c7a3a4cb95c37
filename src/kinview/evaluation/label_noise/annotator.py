"""Label noise of simulated annotators."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise._quotas import check_scale, check_transition, in_proportion
from kinview.evaluation.label_noise.base import Cases, LabelNoise, beginning
from kinview.parameters import check_integer

__all__ = ["AnnotatorNoise"]


@label_noise.register("annotator", modality="any", reference="Dawid & Skene 1979")
@dataclasses.dataclass(frozen=True)
class AnnotatorNoise(LabelNoise):
    r"""Have each sample labelled by one of several annotators, or by a vote of some, each with a confusion matrix.

    Annotator a errs by :math:`T^a_{ij} = P(\text{a says } j \mid y = i)`, independently of the others [1]_. Each sample
    goes to ``votes`` of them, drawn uniformly; the class that most of them say is its label, ties at random.

    Parameters
    ----------
    rate : float, optional
        Fraction :math:`\rho` of the annotations that are wrong, in [0, 1]: that of the labels where each is one
        annotation. With more votes fewer labels are wrong; the realised rate says how many. Default None: as the given
        matrices say.
    annotators : int or sequence of matrices
        Number of annotators whose matrices are drawn (default 5), or the matrix of each: K rows that add up to 1, a row
        a true class in their order. Drawn ones differ in how well they know each class, with rates in proportion to
        uniform draws from [0.5, 1.5], and each confuses classes in a way of its own, uniform over all ways (Dirichlet).
        Given ones are scaled by one factor to the rate.
    votes : int
        How many annotators label a sample, at most as many as there are. Default 1.
    group_consistent : bool
        Whether the samples of a group that share a label share its fate; see :class:`LabelNoise`. The same annotators
        then label all of them, in the same way.

    Raises
    ------
    ValueError
        If a parameter is out of range or absent, a matrix is none (see :class:`ClassConditionalNoise`), the rate is
        more than they can be scaled to, or there is one class only.

    Notes
    -----
    Exactly :math:`\mathrm{round}(\rho n \cdot \text{votes})` annotations are wrong, those of each annotator, true and
    said class in proportion to the matrices (up to about one), and annotations wrong at 20 % are wrong in the same way
    at 40 %. So are labels of one vote. Of several votes, a label that is wrong at a rate is wrong at a higher one too,
    but may become another wrong class.

    A drawn annotator cannot err in more than all of its annotations: near a rate of 1 the others take over.

    References
    ----------
    .. [1] Dawid, A. P., Skene, A. M. (1979). Maximum likelihood estimation of observer error-rates using the EM
       algorithm. Applied Statistics 28.

    Examples
    --------
    >>> y = np.arange(300) % 3
    >>> AnnotatorNoise(rate=0.2).apply(y).realised_rate
    0.2
    >>> AnnotatorNoise(rate=0.2, votes=5).apply(y).realised_rate < 0.1
    True
    """

    rate: float | None = None  # type: ignore[assignment]  # only where matrices are given may it be left to them
    annotators: int | Sequence[Sequence[Sequence[float]]] = 5
    votes: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.annotators, Sequence | np.ndarray) and not isinstance(self.annotators, str):
            given = tuple(check_transition(one, f"annotators[{a}]") for a, one in enumerate(self.annotators))
            if len({len(one) for one in given}) != 1:
                raise ValueError(f"annotators must hold at least one matrix, all of one size; got {self.annotators!r}")
            object.__setattr__(self, "annotators", given)
        else:
            check_integer(self.annotators, "annotators", at_least=1)
            object.__setattr__(self, "annotators", int(self.annotators))
        check_integer(self.votes, "votes", at_least=1)
        if self.votes > self._number:
            raise ValueError(f"votes={self.votes} asks more annotators than there are; use at most {self._number}")

    def _check_rate(self) -> None:
        if self.rate is not None or not isinstance(self.annotators, Sequence | np.ndarray):
            super()._check_rate()

    @property
    def _number(self) -> int:
        return self.annotators if isinstance(self.annotators, int) else len(self.annotators)

    def relabel(self, cases: Cases, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
        """Noisy label of each case, as its place in ``cases.classes``."""
        if self.rate != 0:
            cases.require_other_class("an annotator")
        n_classes = len(cases.classes)
        wrong = self._drawn(n_classes, generator) if isinstance(self.annotators, int) else self._given(n_classes)
        asked = generator.random((len(cases), self._number)).argsort(axis=1)[:, : self.votes]  # (n, votes)
        strata = (asked * n_classes + cases.codes[:, None]).ravel()  # (n · votes,): annotator and true class
        sizes = np.repeat(cases.sizes, self.votes)
        order, drawn = in_proportion(strata, wrong, generator)
        rows = beginning(order, sizes, self._rate_of(strata, sizes, wrong))
        said = np.repeat(cases.codes, self.votes)
        said[rows] = drawn[: len(rows)]
        votes = np.zeros((len(cases), n_classes))
        np.add.at(votes, (np.repeat(np.arange(len(cases)), self.votes), said), 1.0)
        return np.asarray((votes + generator.random(votes.shape)).argmax(axis=1))  # a part of a vote breaks ties

    def _rate_of(
        self,
        strata: Int64[np.ndarray, " annotations"],
        sizes: Int64[np.ndarray, " annotations"],
        wrong: Float[np.ndarray, "strata classes"],
    ) -> float:
        """Rate of wrong annotations: the given one, or that of the given matrices."""
        if isinstance(self.annotators, int):
            assert self.rate is not None  # checked when it was made
            return self.rate
        frequent = np.bincount(strata, weights=sizes, minlength=len(wrong)) / sizes.sum()
        own = float(frequent @ wrong.sum(axis=1))
        if self.rate is None:
            return own
        check_scale(wrong[frequent > 0], self.rate, own, "annotators")
        return self.rate

    def _given(self, n_classes: int) -> Float[np.ndarray, "strata classes"]:
        """Rates of the wrong classes by annotator and true class."""
        matrices = np.array(self.annotators)  # (annotators, K, K)
        if matrices.shape[1] != n_classes:
            raise ValueError(
                f"the matrices of the annotators have {matrices.shape[1]} rows for {n_classes} classes: give one row "
                "and one column a class"
            )
        return np.asarray((matrices * (1 - np.eye(n_classes))).reshape(-1, n_classes))

    def _drawn(self, n_classes: int, generator: np.random.Generator) -> Float[np.ndarray, "strata classes"]:
        """As :meth:`_given`, in proportion."""
        skill = generator.uniform(0.5, 1.5, size=(self._number, n_classes, 1))
        ways = generator.exponential(size=(self._number, n_classes, n_classes)) * (1 - np.eye(n_classes))
        ways /= np.maximum(ways.sum(axis=2, keepdims=True), np.finfo(float).tiny)
        return np.asarray((skill * ways).reshape(-1, n_classes))
