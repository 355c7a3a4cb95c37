"""The contract of a label noise, and what it did to the labels."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

from kinview.data.alignment import in_order_of
from kinview.data.labels import encode_labels
from kinview.evaluation.validation import check_rate, check_seed
from kinview.old_pickles import FromPickle
from kinview.parameters import check_bool

__all__ = ["NEEDS", "Cases", "LabelNoise", "NoisyLabels", "beginning"]

NEEDS = ("features", "groups")
"""What a label noise may declare that it needs."""


@dataclasses.dataclass(frozen=True, eq=False)
class NoisyLabels(FromPickle):
    """Labels with noise, and what the noise did.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The noisy labels.
    flipped : bool ndarray of shape (n,)
        True where the noisy label differs from the given one.
    counts : int ndarray of shape (K, K), optional
        Samples by their given label (rows) and their noisy one (columns).
    classes : ndarray of shape (K,), optional
        The classes in the order of ``counts``. None, like the counts, in pickles of versions that did not know them.

    Examples
    --------
    >>> from kinview.evaluation import SymmetricNoise
    >>> noisy = SymmetricNoise(rate=0.25).apply(["ill", "ill", "ill", "ill", "well", "well", "well", "well"])
    >>> noisy.classes.tolist(), noisy.counts.tolist(), noisy.transition.tolist()
    (['ill', 'well'], [[3, 1], [1, 3]], [[0.75, 0.25], [0.25, 0.75]])
    """

    y: Shaped[np.ndarray, " n"]
    flipped: Bool[np.ndarray, " n"]
    counts: Int64[np.ndarray, "classes classes"] | None = None
    classes: Shaped[np.ndarray, " classes"] | None = None

    @classmethod
    def of(
        cls, given: Int64[np.ndarray, " n"], noisy: Int64[np.ndarray, " n"], classes: Shaped[np.ndarray, " classes"]
    ) -> NoisyLabels:
        """Noisy labels from the codes of the given and the noisy ones."""
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (given, noisy), 1)
        return cls(classes[noisy], noisy != given, counts, classes)

    @property
    def realised_rate(self) -> float:
        """Fraction of the labels that differ from the given ones."""
        return float(self.flipped.mean())

    @property
    def transition(self) -> Float[np.ndarray, "classes classes"] | None:
        r"""Realised :math:`T_{ij} = P(\tilde y = j \mid y = i)`: rows add up to 1, those of absent classes are NaN.

        cleanlab's ``noise_matrix`` is the transpose.
        """
        if self.counts is None:
            return None
        with np.errstate(invalid="ignore"):
            found: Float[np.ndarray, "classes classes"] = self.counts / self.counts.sum(axis=1, keepdims=True)
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class Cases:
    """What gets a label as one: a sample, or under ``group_consistent`` all samples of a group that share their label.

    A label noise finds what it declares in ``needs``; the rest is None.

    Parameters
    ----------
    codes : int ndarray of shape (n,)
        Given label of each case, as its place in ``classes``.
    classes : ndarray of shape (K,)
        All classes.
    sizes : int ndarray of shape (n,)
        Samples of each case.
    features : float64 ndarray of shape (n, D), optional
        Standardised features, the mean over the samples of a case (``"features"``).
    groups : ndarray of shape (n,), optional
        Group of each case (``"groups"``).
    """

    codes: Int64[np.ndarray, " n"]
    classes: Shaped[np.ndarray, " classes"]
    sizes: Int64[np.ndarray, " n"]
    features: Float[np.ndarray, "n dim"] | None = None
    groups: Shaped[np.ndarray, " n"] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def first(self, order: Int64[np.ndarray, " cases"], rate: float) -> Int64[np.ndarray, " first"]:
        """Beginning of an order of cases that holds this fraction of all samples, as closely as whole cases allow.

        It grows with the rate, so what the order decides is nested over rates.

        Raises
        ------
        ValueError
            If the order ends before.
        """
        return beginning(order, self.sizes, rate)

    def require_other_class(self, noise: str) -> None:
        """Check that there is a second class for a label to go to.

        Raises
        ------
        ValueError
            If there is one class only; the message names the noise.
        """
        if len(self.classes) < 2:
            raise ValueError(
                f"all labels are {self.classes.tolist()[0]!r}: {noise} needs a second class; give `classes`, or use "
                "rate=0"
            )


def beginning(
    order: Int64[np.ndarray, " cases"], sizes: Int64[np.ndarray, " n"], rate: float
) -> Int64[np.ndarray, " first"]:
    """Beginning of an order of cases of given sizes; see :meth:`Cases.first`."""
    held, wanted = np.concatenate([[0], sizes[order].cumsum()]), round(rate * int(sizes.sum()))
    if wanted > held[-1]:
        raise ValueError(
            f"rate={rate} asks for {wanted} wrong labels, and only {held[-1]} of {sizes.sum()} samples have a class "
            "that may be taken for another; use a lower rate"
        )
    return order[: int(np.abs(held - wanted).argmin())]


@dataclasses.dataclass(frozen=True)
class LabelNoise(FromPickle, abc.ABC):
    """A mechanism that makes labels wrong.

    A subclass decides in :meth:`relabel` what each label becomes. In ``needs`` it declares what it looks at besides the
    labels, of ``"features"`` and ``"groups"``: it is handed that and nothing else. One that needs features derives from
    :class:`FeatureNoise`.

    Parameters
    ----------
    rate : float
        Fraction of the labels that become wrong, in [0, 1].
    group_consistent : bool
        Whether the samples of a group (a patient's recordings) that share a label share its fate: all of them keep it,
        or all get the same other one. The rate is then met as closely as whole groups, in the order that is drawn,
        allow. Default: no, each sample by itself.

    Examples
    --------
    Whoever is at site B becomes the last class, in a random order:

    >>> class SiteB(LabelNoise):
    ...     needs = frozenset({"groups"})
    ...
    ...     def relabel(self, cases, generator):
    ...         order = generator.permutation(np.flatnonzero(cases.groups == "B"))
    ...         noisy = cases.codes.copy()
    ...         noisy[cases.first(order, self.rate)] = len(cases.classes) - 1
    ...         return noisy
    >>> SiteB(rate=0.5).apply([0, 0, 0, 1], seed=0, groups=["A", "B", "B", "A"]).y.tolist()
    [0, 1, 1, 1]
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    rate: float
    group_consistent: bool = dataclasses.field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        self._check_rate()
        check_bool(self.group_consistent, "group_consistent")

    def _check_rate(self) -> None:
        check_rate(self.rate)

    @property
    def asks_for(self) -> frozenset[str]:
        """What :meth:`apply` has to be given besides labels: what it needs, and the groups that share their fate."""
        return self.needs | (frozenset({"groups"}) if self.group_consistent else frozenset())

    def why_not(self, classes: Sequence[Any]) -> str | None:
        """Why labels of these classes cannot be made wrong so; None where they can, as by default.

        A benchmark leaves such a data set out of the noise's part of the grid, and says so.
        """
        return None

    @abc.abstractmethod
    def relabel(self, cases: Cases, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
        """Noisy label of each case, as its place in ``cases.classes``.

        The draws must not depend on the rate, so that rates are nested: draw an order and the new labels of all cases,
        and change those that :meth:`Cases.first` takes.
        """

    def apply(
        self, y: Any, classes: Any = None, seed: int | Sequence[int] = 0, *, X: Any = None, groups: Any = None
    ) -> NoisyLabels:
        """Noisy copy of the labels.

        Parameters
        ----------
        y : array-like of shape (n,)
            Training labels of any one type. Not modified.
        classes : array-like of shape (K,), optional
            All classes; default: those in ``y``.
        seed : int or sequence of int
            Determines the order of the rows and their new labels.
        X : ndarray of shape (n, channels, time) or (n, columns), or DataFrame, optional
            Values of the samples (or a representation), for noise that needs features.
        groups : array-like of shape (n,), optional
            Group of each sample, for noise that needs groups or is ``group_consistent``. Where X is a frame, labels and
            groups with an index that names the samples may be in any order.

        Raises
        ------
        ValueError
            If the labels are not valid or not among ``classes``, what the noise needs is not given, or the labels leave
            it nowhere to go.
        """
        generator = np.random.default_rng(check_seed(seed))
        codes, known = encode_labels(in_order_of(X, y, "y"), classes)
        cases, case_of = self._cases(codes, known, X, groups)
        noisy = self._checked(self.relabel(cases, generator), cases)[case_of]
        return NoisyLabels.of(codes, noisy, known)

    def features_of(self, X: Any) -> Float[np.ndarray, "n dim"]:
        """Features of the samples; noise that needs them derives from :class:`FeatureNoise`, which has them."""
        raise TypeError(f"{type(self).__name__} needs features and does not say which: derive it from FeatureNoise")

    def _cases(
        self, codes: Int64[np.ndarray, " n"], classes: Shaped[np.ndarray, " classes"], X: Any, groups: Any
    ) -> tuple[Cases, Int64[np.ndarray, " n"]]:
        """What gets a label as one, and to which of them each sample belongs."""
        name, n = type(self).__name__, len(codes)
        given = {"features": X, "groups": groups}
        for need in sorted(self.asks_for):
            if need not in NEEDS:
                raise ValueError(f"{name}.needs holds {need!r}; a label noise may need {', '.join(NEEDS)}")
            if given[need] is None:
                argument = {"features": "X=, the values of the samples"}.get(need, "groups=, the group of each sample")
                raise ValueError(f"{name} needs {need}: give apply(y, ..., {argument})")
        group_codes, names = np.arange(n), None
        if "groups" in self.asks_for:
            group_codes, names = encode_labels(in_order_of(X, groups, "groups"), name="groups")
            if len(group_codes) != n:
                raise ValueError(f"groups has {len(group_codes)} entries for {n} labels; give one a sample")
        units = group_codes if self.group_consistent else np.arange(n)
        _, rows, case_of, sizes = np.unique(
            units * len(classes) + codes, return_index=True, return_inverse=True, return_counts=True
        )
        features = None
        if "features" in self.asks_for:
            values = self.features_of(X)
            if len(values) != n:
                raise ValueError(f"X holds {len(values)} samples for {n} labels; give one label a sample")
            features = np.zeros((len(rows), values.shape[1]))
            np.add.at(features, case_of, values)
            features /= sizes[:, None]
        needed = names[group_codes[rows]] if names is not None and "groups" in self.needs else None
        return Cases(codes[rows], classes, sizes, features, needed), case_of

    def _checked(self, noisy: Any, cases: Cases) -> Int64[np.ndarray, " n"]:
        """The new labels, once they are known to be places of classes."""
        name, n_classes = f"{type(self).__name__}.relabel", len(cases.classes)
        if not isinstance(noisy, np.ndarray) or noisy.dtype.kind not in "iu" or noisy.shape != cases.codes.shape:
            found = getattr(noisy, "shape", type(noisy).__name__), getattr(noisy, "dtype", "")
            raise TypeError(
                f"{name} must return an integer array of shape {cases.codes.shape}, a case each; got {found}"
            )
        if noisy.min() < 0 or noisy.max() >= n_classes:
            raise ValueError(f"{name} must return places of the {n_classes} classes, from 0; got {noisy.tolist()}")
        return noisy
