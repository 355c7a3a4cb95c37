"""What a benchmark asks for: samples cut into a training and a test part."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.labels import check_classes, common_labels, distinct
from kinview.data.modality import FEATURE, SERIES, Modality
from kinview.datasets._pooling import joined, names_of, together
from kinview.datasets._static import joined_static, static_table
from kinview.datasets.hashing import update
from kinview.datasets.samples import Samples, n_samples, named_classes, plain, series_codes
from kinview.datasets.static_use import checked_static_to
from kinview.datasets.targets import Task, check_numbers, numbers_to_predict

if TYPE_CHECKING:
    from kinview.data.paired import PairedData

__all__ = ["Dataset", "Samples", "split"]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set with its training and test part.

    Parameters
    ----------
    X_train, X_test : ndarray or DataFrame
        Samples, as in :class:`Samples`. Both parts of an array have the same padded length.
    y_train, y_test : ndarray or None
        Labels ``(n,)``; None where the data have none. Both parts have one type: where only one of them holds text, the
        numbers of the other are text too. A Series whose index names the samples may be in any order.
    name : str
    modality : {"time_series", "tabular"}
    groups_train, groups_test : ndarray, optional
        Group (patient, subject) of each sample, as the labels.
    source : str
        Where the data come from.
    static_train, static_test : DataFrame, optional
        What is known of each sample besides X, as in :class:`Samples`: for splits, and for what ``static_to`` says.
    task : {"classification", "regression"}
        Whether probes predict classes or numbers; see :meth:`as_regression`.
    static_to : mapping, optional
        Static columns by where they go in an evaluation: ``probe``, ``encoder``, ``subgroups``, ``pairs``; the others
        nowhere.

    Examples
    --------
    >>> data = Dataset(np.zeros((3, 1, 4)), np.array([0, 1, 1]), np.zeros((2, 1, 4)), np.array([0, 1]), "demo")
    >>> data.describe()
    'demo: 3 train / 2 test, 1 channel, length 4, 2 classes, 0.0 % missing'
    >>> len(data.fingerprint())
    64
    """

    X_train: Any
    y_train: NDArray[Any] | None
    X_test: Any
    y_test: NDArray[Any] | None
    name: str
    modality: Modality = SERIES
    groups_train: NDArray[Any] | None = None
    groups_test: NDArray[Any] | None = None
    source: str = ""
    static_train: pd.DataFrame | None = None
    static_test: pd.DataFrame | None = None
    task: Task = "classification"
    static_to: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for part, X, y, groups in self._parts():
            for name, values in (("y", y), ("groups", groups)):
                object.__setattr__(self, f"{name}_{part}", plain(X, values, f"{name}_{part}"))
            name, n = f"static_{part}", n_samples(X, self.modality)
            object.__setattr__(self, name, static_table(X, getattr(self, name), n, name))
        for part, labels in zip(("train", "test"), common_labels(self.y_train, self.y_test), strict=True):
            object.__setattr__(self, f"y_{part}", labels)
        for part, X, y, groups in self._parts():
            n = n_samples(X, self.modality)
            for kind, values in (("labels", y), ("groups", groups)):
                if values is not None and len(values) != n:
                    raise ValueError(f"data set {self.name!r} has {len(values)} {part} {kind} for {n} samples")
        sent = checked_static_to(self.static_to, self.static_train, self.name)
        object.__setattr__(self, "static_to", sent)

    @property
    def groups(self) -> NDArray[Any] | None:
        """Groups of the training samples ``(n,)``, as ``fit(X_train, groups=...)`` takes them; None without groups."""
        return self.groups_train

    @property
    def classes(self) -> NDArray[Any] | None:
        """Sorted distinct labels of both parts ``(K,)``; None without labels and for float labels (regression)."""
        if self.y_train is None or self.y_test is None or "f" in (self.y_train.dtype.kind, self.y_test.dtype.kind):
            return None
        return distinct(np.concatenate([self.y_train, self.y_test]))

    @property
    def n_features(self) -> int:
        """Number of channels of its series, or of columns of its table."""
        return int(self.X_train.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes, 0 where there are none."""
        return 0 if self.classes is None else len(self.classes)

    def require_classes(self) -> None:
        """Make sure that a probe has a class to predict for every sample.

        Raises
        ------
        ValueError
            If there are no labels, some are missing, they are numbers with fractions (see :meth:`as_classes`), or the
            training and the test samples share no class.

        Warns
        -----
        UserWarning
            If whole-number labels look like a regression target: more than 20 classes, one with one training sample.

        Examples
        --------
        >>> X = np.zeros((2, 1, 4))
        >>> Dataset(X, np.array([0.5, 1.5]), X, np.array([0.5, 2.0]), "demo").require_classes()
        Traceback (most recent call last):
        ...
        ValueError: demo has numbers with fractions as labels; a probe needs classes to predict: if they are classes, \
such as grades in half points, give them as text (as_classes() of the data set, load(..., as_classes=True), \
--as_classes true); if they are numbers to predict, ask for a regression (as_regression(), load(..., \
task='regression'), --task regression)
        """
        check_classes(self.name, self.y_train, self.y_test)

    def require_target(self) -> None:
        """Make sure that a probe has something to predict for every sample: a class, or in a regression a number.

        Raises
        ------
        ValueError
            As :meth:`require_classes`; in a regression if a number is missing or not finite.
        """
        if self.task == "classification":
            self.require_classes()
        else:
            check_numbers(self.name, self.y_train, self.y_test)

    def as_regression(self) -> Dataset:
        """The data set with a number to predict for each sample, whole numbers among them.

        Examples
        --------
        >>> X = np.zeros((2, 1, 4))
        >>> data = Dataset(X, np.array([3, 70]), X, np.array([5, 21]), "days").as_regression()
        >>> data.task, data.y_train.tolist(), data.describe()
        ('regression', [3.0, 70.0], 'days: 2 train / 2 test, 1 channel, length 4, numeric target, 0.0 % missing')

        Raises
        ------
        ValueError
            If there are no labels, or they are not numbers.
        """
        parts = {"y_train": self.y_train, "y_test": self.y_test}
        numbers: dict[str, Any] = {part: numbers_to_predict(self.name, y) for part, y in parts.items()}
        return dataclasses.replace(self, task="regression", **numbers)

    def as_classes(self) -> Dataset:
        """The data set with labels that are numbers as classes, which have their text as names.

        For grades in half points and other classes that look like a regression target. A split that has been drawn is
        not stratified by them; to have that, take :meth:`Samples.as_classes` before :func:`split`.

        Examples
        --------
        >>> X = np.zeros((2, 1, 4))
        >>> data = Dataset(X, np.array([0.5, 1.0]), X, np.array([1.0, 0.5]), "grades").as_classes()
        >>> data.require_classes()
        >>> data.classes.tolist()
        ['0.5', '1.0']
        """
        named: dict[str, Any] = {"y_train": named_classes(self.y_train), "y_test": named_classes(self.y_test)}
        return dataclasses.replace(self, task="classification", **named)

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of training and of test samples."""
        return n_samples(self.X_train, self.modality), n_samples(self.X_test, self.modality)

    def pooled(self, parts: Literal["all", "train"] = "all") -> Samples:
        """The training samples followed by the test samples, or the training samples alone, in one container.

        Where both parts name a series alike (0, 1, ... in each), its name becomes ``train[0]`` or ``test[0]``.

        Examples
        --------
        >>> X = np.zeros((2, 1, 4))
        >>> data = Dataset(X, np.array([0, 1]), X, np.array([1, 0]), "demo")
        >>> len(data.pooled()), data.pooled().y.tolist(), len(data.pooled("train"))
        (4, [0, 1, 1, 0], 2)
        """
        if parts == "train":
            return self.part("train")
        X = joined(self.X_train, self.X_test, self.modality)
        return Samples(
            X,
            together(self.y_train, self.y_test),
            together(*common_labels(self.groups_train, self.groups_test)),
            self.modality,
            joined_static(X, self.static_train, self.static_test),
        )

    def part(self, name: Literal["train", "test"]) -> Samples:
        """The samples of one part.

        Examples
        --------
        >>> X = np.zeros((2, 1, 4))
        >>> Dataset(X, np.array([0, 1]), X, np.array([1, 1]), "demo").part("test").y.tolist()
        [1, 1]
        """
        X, y, groups, static = (getattr(self, f"{field}_{name}") for field in ("X", "y", "groups", "static"))
        return Samples(X, y, groups, self.modality, static)

    def pairs(self, part: Literal["all", "train", "test"] = "all") -> PairedData:
        """The samples and what is known of them besides, as pairs: see :meth:`Samples.pairs`.

        Parameters
        ----------
        part : {"all", "train", "test"}
            Which samples, in the order of :meth:`pooled` or :meth:`part`.

        Raises
        ------
        ValueError
            If the data set was loaded without static columns, or X has no others.

        Examples
        --------
        >>> X, static = np.ones((2, 1, 4)), pd.DataFrame({"age": [61, 54]})
        >>> data = Dataset(X, np.array([0, 1]), X, np.array([1, 0]), "demo", static_train=static, static_test=static)
        >>> data.pairs("train")
        PairedData(2 samples: series with 1 channel, table with 1 column)
        """
        samples = self.pooled() if part == "all" else self.part(part)
        try:
            return samples.pairs()
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def fold(self, train: NDArray[np.int64], test: NDArray[np.int64]) -> Dataset:
        """The data set cut anew: rows of :meth:`pooled` for training, and others for the test.

        Samples of a part stand in the order of the pool.

        Raises
        ------
        ValueError
            If a row is in both parts.

        Examples
        --------
        >>> data = Dataset(np.zeros((3, 1, 4)), np.array([0, 1, 0]), np.ones((1, 1, 4)), np.array([1]), "demo")
        >>> fold = data.fold(np.array([0, 3]), np.array([1, 2]))
        >>> fold.X_train[:, 0, 0].tolist(), fold.y_test.tolist()
        ([0.0, 1.0], [1, 0])
        """
        both = np.intersect1d(train, test)
        if len(both):
            raise ValueError(f"{len(both)} samples of {self.name!r} are in both parts of a fold, such as row {both[0]}")
        pool = self.pooled()
        cut = Dataset.of(pool.rows(train), pool.rows(test), name=self.name, source=self.source)
        return dataclasses.replace(cut, task=self.task, static_to=self.static_to)

    def split(self, splitter: Any) -> list[Dataset]:
        """The folds of a splitter, each a data set of its own, cut from all samples.

        Frames of series have several rows a sample, so scikit-learn's splitters cannot take them as they are; here they
        are handed the number of samples, the labels and the groups.

        Parameters
        ----------
        splitter : object
            A splitter of scikit-learn (``split(X, y, groups)``), or a protocol of :mod:`kinview.evaluation` (``cut``).
            Those of scikit-learn that take no groups part them, and warn of it; protocols never do.

        Raises
        ------
        TypeError
            If it is neither.
        ValueError
            If it cannot cut these data.

        Examples
        --------
        >>> from sklearn.model_selection import StratifiedKFold
        >>> X = np.arange(8.0).reshape(4, 1, 2)
        >>> data = Dataset(X, np.array([0, 1, 0, 1]), X, np.array([0, 1, 0, 1]), "demo")
        >>> [fold.sizes for fold in data.split(StratifiedKFold(4))]
        [(6, 2), (6, 2), (6, 2), (6, 2)]
        """
        if hasattr(splitter, "cut"):
            cuts = splitter.cut(self)
        elif isinstance(splitter, str) or not hasattr(splitter, "split"):
            raise TypeError(
                f"{splitter!r} cuts nothing; give a splitter of scikit-learn, or a protocol of kinview.evaluation such "
                "as Holdout(), StratifiedKFold(5) or LeaveOneGroupOut(group='site')"
            )
        else:
            samples = self.pooled()
            y = samples.y if samples.strata is None else samples.strata
            cuts = splitter.split(np.zeros((len(samples), 1)), y, samples.groups)
        return [self.fold(train, test) for train, test in cuts]

    def sample_names(self) -> list[str]:
        """A name of each sample of :meth:`pooled`, as text.

        The entry of the index where it names the samples (of several levels a JSON list), else the row in its part.
        Where both parts hold a name, as all rows do, it stands with its part: ``train[0]``.
        """
        named = [names_of(X, self.modality) for X in (self.X_train, self.X_test)]
        rows = [list(map(str, range(n))) for n in self.sizes]
        train, test = (row if name is None else name for row, name in zip(rows, named, strict=True))
        if not set(train) & set(test):
            return [*train, *test]
        return [f"{part}[{name}]" for part, names in (("train", train), ("test", test)) for name in names]

    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) over values, labels, groups, static columns and names of columns.

        Name and source of the data set, and where static columns go, do not count.
        """
        digest = hashlib.sha256(self.modality.encode())
        for part, X, y, groups in self._parts():
            digest.update(part.encode())
            for values in (X, y, groups):
                update(digest, values)
            static = getattr(self, f"static_{part}")
            if static is not None:
                update(digest, static)
        return digest.hexdigest()

    def describe(self) -> str:
        """One line: sizes, channels or columns, lengths, classes and the fraction of cells that were not observed.

        The padding behind the end of a series does not count as missing. :func:`kinview.datasets.describe` says more.
        """
        shapes = [_shape(X, self.modality) for _, X, _, _ in self._parts() if n_samples(X, self.modality)]
        n_train, n_test = n_samples(self.X_train, self.modality), n_samples(self.X_test, self.modality)
        facts = [
            f"{n_train} train / {n_test} test",
            _count(self.n_features, FEATURE[self.modality]),
        ]
        if self.modality == SERIES:
            low, high = min((s.low for s in shapes), default=0), max((s.high for s in shapes), default=0)
            facts.append(f"length {low}" if low == high else f"length {low}-{high}")
        if self.classes is not None:
            facts.append(_count(self.n_classes, "class"))
        else:
            facts.append("no labels" if self.y_train is None else "numeric target")
        cells = sum(s.cells for s in shapes)
        facts.append(f"{100 * sum(s.missing for s in shapes) / max(cells, 1):.1f} % missing")
        return f"{self.name}: {', '.join(facts)}"

    def _parts(self) -> tuple[tuple[str, Any, Any, Any], tuple[str, Any, Any, Any]]:
        return (
            ("train", self.X_train, self.y_train, self.groups_train),
            ("test", self.X_test, self.y_test, self.groups_test),
        )

    @classmethod
    def of(cls, train: Samples, test: Samples, *, name: str, source: str) -> Dataset:
        """Join two parts; arrays are padded to the longer of both."""
        X_train, X_test = train.X, test.X
        if isinstance(X_train, np.ndarray):
            if X_train.shape[1] != X_test.shape[1]:
                raise ValueError(
                    f"data set {name!r} has {X_train.shape[1]} channels in train and {X_test.shape[1]} in test"
                )
            length = max(X_train.shape[2], X_test.shape[2])
            X_train, X_test = pad(X_train, length), pad(X_test, length)
        return cls(
            X_train, train.y, X_test, test.y, name, train.modality, train.groups, test.groups, source,
            train.static, test.static,
        )  # fmt: skip


def split(samples: Samples, *, name: str, source: str, test_fraction: float = 0.3, split_seed: int = 0) -> Dataset:
    """Cut samples without an official split into train and test: stratified by label, whole groups on one side.

    Float labels are not stratified; samples without a label are a stratum of their own.

    Parameters
    ----------
    samples : Samples
        All of them.
    name, source : str
        For the :class:`Dataset`.
    test_fraction : float, default 0.3
        Fraction of the samples in the test part.
    split_seed : int, default 0
        Seed of the draw; the same seed gives the same split.

    Raises
    ------
    ValueError
        If the fraction is not between 0 and 1, or there are fewer than two samples.
    """
    import torch

    from kinview.data.splits import holdout

    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction={test_fraction} must lie between 0 and 1, both excluded")
    if len(samples) < 2:
        raise ValueError(f"data set {name!r} has {len(samples)} sample(s); a train/test split needs at least 2")
    generator = torch.Generator().manual_seed(split_seed)
    train, test = holdout(len(samples), test_fraction, generator, groups=samples.groups, y=samples.strata)
    return Dataset.of(samples.rows(train.numpy()), samples.rows(test.numpy()), name=name, source=source)


def pad(X: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Pad series ``(n, C, T)`` with NaN at the end to ``length`` steps."""
    missing = length - X.shape[2]
    return np.pad(X, ((0, 0), (0, 0), (0, missing)), constant_values=np.nan) if missing else X


def stack(series: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Series of shape ``(C, T_i)`` as one array ``(n, C, max T_i)``, padded with NaN."""
    X = np.full((len(series), series[0].shape[0], max(s.shape[1] for s in series)), np.nan)
    for row, values in zip(X, series, strict=True):
        row[:, : values.shape[1]] = values
    return X


@dataclasses.dataclass(frozen=True)
class _Shape:
    low: int
    high: int
    cells: int
    missing: int


def _shape(X: Any, modality: Modality) -> _Shape:
    if isinstance(X, pd.DataFrame):
        lengths = np.bincount(series_codes(X)) if modality == SERIES else np.zeros(1, dtype=np.int64)
        return _Shape(int(lengths.min()), int(lengths.max()), X.size, int(X.isna().to_numpy().sum()))
    observed = ~np.isnan(X)
    steps = observed.any(axis=1)
    lengths = np.where(steps.any(axis=1), X.shape[2] - steps[:, ::-1].argmax(axis=1), 0)
    cells = int(lengths.sum()) * X.shape[1]
    return _Shape(int(lengths.min()), int(lengths.max()), cells, cells - int(observed.sum()))


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
