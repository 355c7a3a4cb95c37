"""What a data set holds, for who is about to use it: events, groups, gaps, ranges, odd texts, possible leaks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.modality import SERIES
from kinview.datasets.class_names import odd_texts
from kinview.datasets.samples import series_codes

if TYPE_CHECKING:
    from kinview.datasets.dataset import Dataset

__all__ = ["describe", "separations"]

_LEAK = 0.95  # AUROC of one feature alone, above which it rather tells the label than predicts it
_FEWEST = 5  # samples of a class, and of all others, below which an AUROC says nothing
_CLASSES = 10  # the largest ones, each against the rest
_PER_LEVEL = 10  # samples a level of text on average: with fewer, chance orders the levels by class
_SHOWN = 8
_LEVELS = 5


def describe(data: Dataset) -> str:
    """What a data set holds, in lines: its sizes, then facts about its training part.

    Events, groups, gaps, ranges, static columns, suspicious text and possible leaks; what there is none of has no line.
    All but the first line is computed on the training part alone, except that groups are looked for in both parts. A
    possible leak is a single feature that tells a class from the others with an AUROC above .95, in either direction: a
    column of a table (its value, or whether it is missing), of a series the mean, first, last, lowest or highest value
    of a channel, the number of its observations, or the length; or a static column.

    Examples
    --------
    >>> from kinview.datasets import Dataset
    >>> X = pd.DataFrame({"age": range(20), "flag": [0, 1] * 10, "site": ["A", "a", "B", "B"] * 5})
    >>> y = np.array([0, 1] * 10)
    >>> print(describe(Dataset(X, y, X, y, "visits", "tabular")))
    visits: 20 train / 20 test, 3 columns, 2 classes, 0.0 % missing
      events: 0 in 10, 1 in 10 of 20 training samples
      ranges: age 0 to 19 (median 9.5), flag 0 to 1 (median 0.5)
      suspicious text: site holds 'A' and 'a', which may be one
      possible leaks, single features with AUROC > .95 in training: flag 1.00
    """
    named = _features(data)
    made = {
        "events": _events(data),
        "groups": _groups(data),
        "gaps": _gaps(data),
        "ranges": _listed([_range(name, values) for name, values in _columns(data) if values.dtype.kind == "f"]),
        "static": _static(data),
        "suspicious text": _odd(data),
        "possible leaks, single features with AUROC > .95 in training": _leaks(data.y_train, named),
    }
    return "\n  ".join([data.describe(), *(f"{what}: {fact}" for what, fact in made.items() if fact)])


def separations(values: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """AUROC of each column for the class that it separates best from the rest, in the better direction.

    Parameters
    ----------
    values : ndarray of shape (n, columns)
        Numbers, NaN = missing; a missing cell does not count.
    y : ndarray of shape (n,)
        Classes.

    Returns
    -------
    ndarray of shape (columns,)
        From .5 to 1; NaN where no class, or its rest, has five observed samples.

    Examples
    --------
    >>> y = np.array([0, 1] * 5)
    >>> separations(np.stack([y, 1 - y, np.arange(10)], axis=1), y).tolist()
    [1.0, 1.0, 0.6]
    """
    from scipy.stats import rankdata

    values = np.asarray(values, dtype=np.float64)
    best = np.full(values.shape[1], np.nan)
    observed = ~np.isnan(values)
    ranks = rankdata(values, axis=0, nan_policy="omit")
    classes, counts = np.unique(y, return_counts=True)
    chosen = classes[np.argsort(-counts, kind="stable")][:_CLASSES]
    for one in chosen[:1] if len(classes) == 2 else chosen:
        of = (y == one)[:, None] & observed
        n_of, n_rest = of.sum(axis=0), (observed & ~of).sum(axis=0)
        sums = np.where(of, ranks, 0).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            area = (sums - n_of * (n_of + 1) / 2) / (n_of * n_rest)
        area[(n_of < _FEWEST) | (n_rest < _FEWEST)] = np.nan
        best = np.fmax(best, np.maximum(area, 1 - area))
    return best


def _columns(data: Dataset) -> Iterator[tuple[str, pd.Series]]:
    """Channels or columns of the training part, numbers as float64, text and categories as objects."""
    X = data.X_train
    if isinstance(X, np.ndarray):
        prefix = "channel_" if data.modality == SERIES else "x"
        for number in range(X.shape[1]):
            yield f"{prefix}{number}", pd.Series(np.asarray(X[:, number], dtype=np.float64).ravel())
        return
    for place, name in enumerate(X.columns):
        yield str(name), _plain(X.iloc[:, place])


def _plain(column: pd.Series) -> pd.Series:
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        seconds = (column.dt.tz_localize(None) - pd.Timestamp(0)).dt.total_seconds()
        return pd.Series(seconds.to_numpy(dtype=np.float64))
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return pd.Series(column.to_numpy(dtype=object), dtype=object)


def _events(data: Dataset) -> str:
    """Samples of each class."""
    y = data.y_train
    if y is None:
        return ""
    missing = np.asarray(pd.isna(y))
    of = f"of {len(y):,} training samples" + (f", {int(missing.sum()):,} without a label" if missing.any() else "")
    if y.dtype.kind == "f":
        known = y[~missing]
        return f"numeric target {known.min():.4g} to {known.max():.4g} {of}" if len(known) else of
    counts = pd.Series(y[~missing]).value_counts().sort_index(key=lambda index: index.map(str))
    return f"{_listed([f'{level} in {number:,}' for level, number in counts.items()])} {of}"


def _groups(data: Dataset) -> str:
    """Number of groups, the largest, and those in both parts."""
    if data.groups_train is None:
        return ""
    counts = pd.Series(data.groups_train).value_counts()
    both = set() if data.groups_test is None else set(data.groups_train.tolist()) & set(data.groups_test.tolist())
    shared = f"; {len(both):,} of them in the test part too" if both else ""
    return f"{len(counts):,} in training, of at most {int(counts.max()):,} samples{shared}"


def _gaps(data: Dataset) -> str:
    """The channels or columns with most cells missing; the padding behind a series does not count."""
    X, missing = data.X_train, {}
    if isinstance(X, np.ndarray) and data.modality == SERIES:
        observed = ~np.isnan(X)
        inside = np.flip(np.logical_or.accumulate(np.flip(observed.any(axis=1), axis=1), axis=1), axis=1)
        cells = max(int(inside.sum()), 1)
        names = [name for name, _ in _columns(data)]
        missing = {name: 1 - int(observed[:, i].sum()) / cells for i, name in enumerate(names)}
    else:
        missing = {name: float(values.isna().mean()) for name, values in _columns(data)}
    worst = sorted((name for name in missing if missing[name] > 0), key=lambda name: -missing[name])
    return _listed([f"{name} {100 * missing[name]:.1f} %" for name in worst])


def _range(name: str, values: pd.Series) -> str:
    if values.notna().sum() == 0:
        return f"{name} never observed"
    return f"{name} {values.min():.4g} to {values.max():.4g} (median {values.median():.4g})"


def _static(data: Dataset) -> str:
    """Ranges and levels of static columns."""
    if data.static_train is None:
        return ""
    facts = []
    for name in data.static_train.columns:
        values = _plain(data.static_train[name])
        if values.dtype.kind == "f":
            facts.append(_range(str(name), values))
        else:
            facts.append(f"{name} {_listed([f'{k} {n:,}' for k, n in values.value_counts().items()], _LEVELS)}")
    return "; ".join(facts)


def _odd(data: Dataset) -> str:
    """Texts that rather are no value, or one in several spellings."""
    static = () if data.static_train is None else [(str(c), _plain(data.static_train[c])) for c in data.static_train]
    found = []
    for name, values in [*_columns(data), *static]:
        if values.dtype == object:
            found += [f"{name} holds {odd}" for odd in odd_texts(values.dropna().unique().tolist())]
    return "; ".join(found[:_SHOWN])


def _features(data: Dataset) -> dict[str, pd.Series]:
    """Everything that could give the label away alone, one value a sample."""
    found = _summaries(data.X_train) if data.modality == SERIES else dict(_columns(data))
    if data.modality != SERIES:
        found |= {f"{name} (missing)": values.isna().astype(float) for name, values in list(found.items())}
    static = () if data.static_train is None else data.static_train.columns
    return found | {f"{name} (static)": _plain(data.static_train[name]) for name in static}  # type: ignore[index]


def _summaries(X: Any) -> dict[str, pd.Series]:
    """Statistics of each channel of each series."""
    if isinstance(X, pd.DataFrame):
        codes = series_codes(X)
        order = np.argsort(codes, kind="stable")
        grouped = X.iloc[order].reset_index(drop=True).groupby(codes[order])
        made = {name: grouped.agg(name) for name in ("mean", "first", "last", "min", "max", "count")}
        names = list(map(str, X.columns))
        length = grouped.size()
    else:
        made, length, names = _of_array(X)
    words = {"count": "number of observations", "min": "lowest", "max": "highest"}
    found = {
        f"{name} ({words.get(what, what)})": pd.Series(np.asarray(table.iloc[:, i], dtype=np.float64))
        for what, table in made.items()
        for i, name in enumerate(names)
    }
    return found | {"length": pd.Series(length.to_numpy(dtype=np.float64))}


def _of_array(X: NDArray[Any]) -> tuple[dict[str, pd.DataFrame], pd.Series, list[str]]:
    observed = ~np.isnan(X)
    steps = np.arange(1, X.shape[2] + 1)
    length = (observed.any(axis=1) * steps).max(axis=1)
    places = {"first": observed.argmax(axis=2), "last": X.shape[2] - 1 - observed[:, :, ::-1].argmax(axis=2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a channel without an observation has no mean
        made = {"mean": np.nanmean(X, axis=2), "min": np.nanmin(X, axis=2), "max": np.nanmax(X, axis=2)}
    made |= {what: np.take_along_axis(X, at[:, :, None], axis=2)[:, :, 0] for what, at in places.items()}
    made["count"] = observed.sum(axis=2)
    names = [f"channel_{i}" for i in range(X.shape[1])]
    return {what: pd.DataFrame(table) for what, table in made.items()}, pd.Series(length), names


def _leaks(y: NDArray[Any] | None, features: dict[str, pd.Series]) -> str:
    """Features that separate a class too well, the best first."""
    if y is None or y.dtype.kind == "f" or not features:
        return ""
    known = ~np.asarray(pd.isna(y))
    classes = pd.factorize(y[known])[0]
    numbers = {name: _ordered(values[known], classes) for name, values in features.items()}
    found = {name: column for name, column in numbers.items() if column is not None}
    if not found:
        return ""
    areas = separations(np.stack(list(found.values()), axis=1), classes)
    above = [(area, name) for area, name in zip(areas, found, strict=True) if area > _LEAK]
    above.sort(key=lambda pair: -pair[0])
    return _listed([f"{name} {area:.2f}" for area, name in above])


def _ordered(values: pd.Series, classes: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Numbers as they are, levels of text by their mean class; None where there are too many levels to say."""
    if values.dtype.kind == "f":
        return values.to_numpy()
    codes, levels = pd.factorize(values)
    if len(levels) * _PER_LEVEL > len(values):
        return None
    means = pd.Series(classes, dtype=float).groupby(codes).mean()
    ordered = pd.Series(codes).map(means).where(codes >= 0)
    return np.asarray(ordered, dtype=np.float64)


def _listed(facts: Sequence[str], most: int = _SHOWN) -> str:
    more = f" and {len(facts) - most:,} more" if len(facts) > most else ""
    return f"{', '.join(facts[:most])}{more}"
