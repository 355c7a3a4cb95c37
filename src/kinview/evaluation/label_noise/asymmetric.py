"""Label noise that takes a class for one that it is easily taken for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Shaped

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise._quotas import in_proportion
from kinview.evaluation.label_noise.base import Cases
from kinview.evaluation.label_noise.features import FeatureNoise
from kinview.evaluation.validation import text_of

__all__ = ["AsymmetricNoise"]


@label_noise.register("asymmetric", modality="any", reference="Patrini et al. 2017")
@dataclasses.dataclass(frozen=True)
class AsymmetricNoise(FeatureNoise):
    r"""Take an exact fraction of the labels for another class that belongs to theirs: by a map, or the most similar.

    With a map :math:`c \mapsto m(c)` of some or all classes, :math:`T_{c, m(c)} = r` and :math:`T_{cc} = 1 - r` for
    each of them, and the others keep their labels. Without one, :math:`m(c)` is the class whose mean is nearest to that
    of c in the standardised features of the labelled samples.

    Parameters
    ----------
    rate : float
        Fraction :math:`\rho` of all labels that become wrong, in [0, 1].
    mapping : mapping, optional
        Class to class: ``{cat: dog, truck: car}``. Default None: the most similar class, of each.
    group_consistent : bool
        Whether the samples of a group that share a label share its fate; see :class:`LabelNoise`.

    Raises
    ------
    ValueError
        If ``rate`` is out of range or more than the mapped classes hold, ``mapping`` is empty, names a class that there
        is not or maps one to itself, or there is one class only.

    Notes
    -----
    Exactly :math:`\mathrm{round}(\rho n)` labels become wrong, in the mapped classes in proportion (up to one), and
    those wrong at 20 % are wrong in the same way at 40 %. In [1]_ the rate is that within the mapped classes,
    :math:`r`; here it is that of all labels, as for every other noise: :math:`\rho = r P(y \text{ is mapped})`.

    Similarity is of the labels at hand, before they are made wrong: it may differ between folds and budgets.

    References
    ----------
    .. [1] Patrini, G. et al. (2017). Making deep neural networks robust to label noise: a loss correction approach.
       CVPR.

    Examples
    --------
    >>> noise = AsymmetricNoise(rate=0.25, mapping={"mild": "severe"})
    >>> noise.apply(["mild", "mild", "none", "severe"] * 2, seed=0).counts.tolist()
    [[2, 0, 2], [0, 2, 0], [0, 0, 2]]
    >>> X = [[0.0], [0.1], [1.0], [1.1], [9.0], [9.1]]
    >>> AsymmetricNoise(rate=0.5).apply(["a", "a", "b", "b", "c", "c"], seed=0, X=np.array(X)).counts.tolist()
    [[1, 1, 0], [1, 1, 0], [0, 1, 1]]
    """

    mapping: Mapping[Any, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mapping is None:
            return
        if not isinstance(self.mapping, Mapping) or not self.mapping:
            raise ValueError(f"mapping must map classes to classes, {{cat: dog}}; got {self.mapping!r}")
        pairs = {text_of(one): text_of(other) for one, other in self.mapping.items()}
        for one, other in pairs.items():
            if one == other:
                raise ValueError(f"mapping takes the class {one!r} for itself; leave it out, or name another class")
        object.__setattr__(self, "mapping", pairs)

    @property
    def asks_for(self) -> frozenset[str]:
        """As :attr:`LabelNoise.asks_for`; no features with a map."""
        return super().asks_for - (frozenset() if self.mapping is None else self.needs)

    def why_not(self, classes: Sequence[Any]) -> str | None:
        """That the map names classes which there are not."""
        unknown = sorted({*(self.mapping or {}), *(self.mapping or {}).values()} - set(map(text_of, classes)))
        return f"mapping names {', '.join(map(repr, unknown))}, which are no classes of it" if unknown else None

    def relabel(self, cases: Cases, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
        """Noisy label of each case, as its place in ``cases.classes``."""
        if self.rate > 0:
            cases.require_other_class("asymmetric noise")
        taken_for = self._nearest(cases) if self.mapping is None else self._mapped(cases.classes)
        order, drawn = in_proportion(cases.codes, taken_for, generator)
        rows = cases.first(order, self.rate)
        noisy = cases.codes.copy()
        noisy[rows] = drawn[: len(rows)]
        return noisy

    def _mapped(self, classes: Shaped[np.ndarray, " classes"]) -> Float[np.ndarray, "classes classes"]:
        """1 where the map takes a class for another."""
        assert self.mapping is not None
        places = {text_of(label): place for place, label in enumerate(classes.tolist())}
        unknown = sorted({*self.mapping, *self.mapping.values()} - set(places))
        if unknown:
            raise ValueError(f"mapping names {', '.join(map(repr, unknown))}; the classes are {', '.join(places)}")
        found = np.zeros((len(classes), len(classes)))
        for one, other in self.mapping.items():
            found[places[one], places[other]] = 1.0
        return found

    @staticmethod
    def _nearest(cases: Cases) -> Float[np.ndarray, "classes classes"]:
        """1 where a class has its nearest mean; nothing for classes without a case, and where there is no second."""
        assert cases.features is not None
        present = np.unique(cases.codes)
        found = np.zeros((len(cases.classes), len(cases.classes)))
        means = np.stack([cases.features[cases.codes == one].mean(axis=0) for one in present])
        for one, mean in zip(present, means, strict=True):
            apart = np.linalg.norm(means - mean, axis=1)
            apart[present == one] = np.inf
            if np.isfinite(apart).any():
                found[one, present[apart.argmin()]] = 1.0
        return found
