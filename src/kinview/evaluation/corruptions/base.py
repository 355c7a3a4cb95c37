"""The contract of a corruption."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from kinview.evaluation.corruptions.cells import NEEDS, Categories, Cells, categories_of, observed_mask, read_cells
from kinview.evaluation.corruptions.changes import Change, Corrupted, written
from kinview.evaluation.validation import check_rate, check_seed
from kinview.old_pickles import FromPickle

__all__ = ["Cells", "Change", "Corrupted", "Corruption", "Data", "Learned", "observed_mask", "realised_rate"]

Data = TypeVar("Data")
Counts = Literal["values", "samples", "severity"]

_TO_LEARN = 0x1EA2  # beside the seed, so that what fit draws is none of the draws of remove


@dataclasses.dataclass(frozen=True, eq=False)
class Learned:
    """What a corruption has learned from a training part, see :meth:`Corruption.learn`.

    Parameters
    ----------
    state : object
        What its ``fit`` returned.
    categories : tuple, optional
        Categories of each column of the training part, for a corruption that needs values.
    """

    state: Any = None
    categories: Categories | None = None


@dataclasses.dataclass(frozen=True)
class Corruption(FromPickle, abc.ABC):
    """A mechanism that makes observed values missing.

    A subclass decides in :meth:`remove` which cells go. In ``needs`` it declares what it looks at besides which cells
    are observed, of ``"samples"``, ``"values"``, ``"times"``, ``"groups"``, ``"y"`` and ``"static"``: it is handed that
    and nothing else. One that needs ``"y"`` makes missingness depend on the label, and says so by that. Thresholds and
    drivers are learned in :meth:`fit`, which sees the training part alone. One that puts other values where it removes
    some gives them in :meth:`replacement`.

    Parameters
    ----------
    rate : float
        Fraction to remove, in [0, 1].

    Examples
    --------
    Values above the median of their column in the training part go first:

    >>> class High(Corruption):
    ...     needs = frozenset({"values"})
    ...
    ...     def fit(self, cells, generator):
    ...         return np.nanmedian(cells.values, axis=0)
    ...
    ...     def remove(self, cells, generator):
    ...         places = generator.permutation(np.flatnonzero(cells.observed))
    ...         high = (cells.values > cells.learned).ravel()[places]
    ...         order = np.concatenate([places[high], places[~high]])
    ...         removed = np.zeros(cells.observed.size, dtype=bool)
    ...         removed[order[: round(self.rate * len(order))]] = True
    ...         return removed.reshape(cells.observed.shape)
    >>> train, test = np.arange(10.0).reshape(1, 1, 10), np.arange(6.0).reshape(1, 1, 6)
    >>> mechanism = High(rate=0.5)
    >>> learned = mechanism.learn(train, seed=0)
    >>> mechanism.apply(train, (0, 0), learned=learned)[1].astype(int).ravel().tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    >>> learned.state, bool(mechanism.apply(test, (0, 1), learned=learned)[1][0, 0, 5])  # 5.0 alone is above 4.5
    (array([4.5]), True)
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    counts: ClassVar[Counts] = "values"  # what its rate is of: values that go, samples; or how severe a shift is

    rate: float

    def __post_init__(self) -> None:
        check_rate(self.rate)

    @property
    def changes_static(self) -> bool:
        """Whether it changes static columns of the samples, which are then in ``corrupted(...).static``."""
        return False

    @property
    def static_columns(self) -> tuple[str, ...]:
        """Static columns that it goes by, by name; a benchmark leaves it out on data sets that lack one of them."""
        return ()

    def fit(self, cells: Cells, generator: np.random.Generator) -> Any:
        """Learn thresholds and drivers from the training part; :meth:`remove` finds them in ``cells.learned``.

        What is returned must not depend on ``rate``, so that severities are nested. By default nothing is learned.
        """
        return None

    @abc.abstractmethod
    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go. The draws must not depend on ``rate``, so that severities are nested."""

    def replacement(
        self, cells: Cells, removed: Bool[np.ndarray, "rows columns"]
    ) -> Float[np.ndarray, "rows columns"] | None:
        """Values that stand where others were removed; by default nothing does, and the cells are missing.

        They are written into columns of numbers. In others (text, categories, booleans, dates), and where the
        replacement is NaN, the cells are missing all the same.
        """
        return None

    def change(self, cells: Cells, generator: np.random.Generator) -> Change:
        """What becomes of the cells: by default what :meth:`remove` and :meth:`replacement` say.

        A corruption whose values hang on its draws, or that moves times, overrides this one. Its draws must not depend
        on ``rate``.
        """
        removed = self.remove(cells, generator)
        self._check_removed(removed, cells)
        return Change(removed, self.replacement(cells, removed))

    def realised(self, cells: Cells, change: Change) -> float:
        """The severity as it came out, which a benchmark stores: by default the fraction of the observed cells removed.

        0 where nothing was observed.
        """
        observed = int(cells.observed.sum())
        return int(change.removed.sum()) / observed if observed else 0.0

    def why_not(self, X: Any, *, groups: Any = None, static: Any = None) -> str | None:
        """Why samples cannot be corrupted so, as the end of a sentence; None where they can, as by default.

        A benchmark asks it of all samples of a data set, and leaves one out of the corruption's part of the grid by
        name. It quotes no group and no value of a static column: what it says is shown to whoever reads the results.
        """
        return None

    def learn(
        self,
        X: Any,
        seed: int | Sequence[int],
        *,
        times: Any = None,
        groups: Any = None,
        y: Any = None,
        static: Any = None,
    ) -> Learned:
        """Learn from the training part what the other parts are corrupted with; parameters as :func:`corrupt`.

        Returns
        -------
        Learned
            For ``apply(X_test, seed, learned=...)``.
        """
        self._check_needs()
        categories = categories_of(X) if "values" in self.needs else None
        if type(self).fit is Corruption.fit:
            return Learned(None, categories)
        cells = read_cells(
            X, self.needs, type(self).__name__, times=times, groups=groups, y=y, static=static, categories=categories
        )  # fmt: skip
        return Learned(self.fit(cells, np.random.default_rng([*check_seed(seed), _TO_LEARN])), categories)

    def apply(
        self,
        X: Data,
        seed: int | Sequence[int],
        *,
        times: Any = None,
        groups: Any = None,
        y: Any = None,
        static: Any = None,
        learned: Learned | None = None,
    ) -> tuple[Data, Any]:
        """Corrupt raw values; parameters, results and errors as :func:`kinview.evaluation.corrupt`."""
        found = self.corrupted(X, seed, times=times, groups=groups, y=y, static=static, learned=learned)
        return found.X, found.removed

    def corrupted(
        self,
        X: Any,
        seed: int | Sequence[int],
        *,
        times: Any = None,
        groups: Any = None,
        y: Any = None,
        static: Any = None,
        learned: Learned | None = None,
    ) -> Corrupted:
        """Corrupted values with the severity that came out; parameters and errors as :func:`corrupt`."""
        generator = np.random.default_rng(check_seed(seed))
        given = {"times": times, "groups": groups, "y": y, "static": static}
        known = self.learn(X, seed, **given) if learned is None else learned
        cells = read_cells(X, self.needs, type(self).__name__, **given, categories=known.categories)
        cells = dataclasses.replace(cells, learned=known.state)
        change = self.change(cells, generator)
        return Corrupted(*written(X, change), self.realised(cells, change))

    def _check_needs(self) -> None:
        unknown = sorted(self.needs - set(NEEDS))
        if unknown:
            raise ValueError(
                f"{type(self).__name__}.needs holds {', '.join(map(repr, unknown))}; a corruption may need "
                f"{', '.join(NEEDS)}"
            )

    def _check_removed(self, removed: Any, cells: Cells) -> None:
        """Refuse a mask that is none, or names cells that were not observed."""
        name, wanted = f"{type(self).__name__}.remove", cells.observed.shape
        if not isinstance(removed, np.ndarray) or removed.dtype != bool or removed.shape != wanted:
            found = getattr(removed, "shape", type(removed).__name__), getattr(removed, "dtype", "")
            raise TypeError(f"{name} must return a boolean array of shape {wanted}, one entry a cell; got {found}")
        if (removed & ~cells.observed).any():
            raise ValueError(f"{name} removes cells that are missing already; choose among cells.observed")


def realised_rate(X: Any, removed: Any) -> float:
    """Fraction of the observed cells of ``X`` that were removed; 0 where nothing was observed.

    Parameters
    ----------
    X : ndarray, Tensor or DataFrame
        The values before corruption.
    removed : bool array of the shape of X
        As :func:`corrupt` returns it.
    """
    observed = int(observed_mask(X).sum())
    return float(int(removed.sum()) / observed) if observed else 0.0
