"""Values that carry an index, in the order of the samples that they belong to."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["in_order_of", "says_nothing"]

_SHOWN = 3  # names of samples in a message
_NUMBERS = {"integer", "floating", "mixed-integer", "mixed-integer-float", "boolean"}  # of pandas' infer_dtype


def in_order_of(samples: Any, values: Any, name: str, of: str = "X") -> Any:
    """Values of each sample in the order of the samples, where the index of both names the samples.

    What has no index (an array, a list, None) goes by position and is returned as it is. Where the index of the values
    holds exactly the names of the samples, each value goes to its sample. An index of another length is left to the
    check of lengths. An index of others is refused, but for two pairs, in which the values go by position:

    - An unnamed index 0, 1, ..., n - 1 of the values is what pandas gives to what it makes anew, and says no more than
      a plain array: labels from ``read_csv`` or ``reset_index`` beside samples of any names. That holds beside samples
      that were filtered (3, 7, 9) as well: labels of all would be more than they are, so n of them were made for n
      samples.
    - Where the samples have that index, the values may have names of another kind: text, dates, tuples, or a named
      index. Unnamed numbers are no such names. They count the same rows, some of which were left out or drawn (1 to n,
      3, 7, 9, or twice the same after ``concat``), and by position each would go to another sample.

    Parameters
    ----------
    samples : DataFrame, Series, Index or other
        A table, whose index names its rows; series in long format, whose index without the time stamps names them; or
        the names themselves. Anything else has no names.
    values : Series, DataFrame or other
        One entry a sample.
    name, of : str
        What error messages call the values, and the samples.

    Raises
    ------
    ValueError
        If the index holds other samples, or a name stands twice and the order differs.

    Examples
    --------
    >>> X = pd.DataFrame({"age": [40, 50]}, index=["anna", "ben"])
    >>> in_order_of(X, pd.Series([1, 0], index=["ben", "anna"]), "y").tolist(), in_order_of(X, [1, 0], "y")
    ([0, 1], [1, 0])
    >>> in_order_of(X, pd.Series([1, 0], index=["ben", "carl"]), "y")
    Traceback (most recent call last):
    ...
    ValueError: the index of y holds other samples than X: 'carl' is not in X, and y lacks 'anna'; give y the index of \
X, or as a plain array (y.to_numpy()) to go by position
    """
    if not isinstance(values, pd.Series | pd.DataFrame):
        return values
    own = values.index
    names = _names_of(samples, own)
    if names is None or len(names) != len(own) or own.equals(names):
        return values
    if own.is_unique and names.is_unique:
        found = own.get_indexer(names)
        if (found >= 0).all():
            return values.iloc[found]
    if says_nothing(own) or (says_nothing(names) and _names_samples(own)):
        return values
    absent, extra = names[~names.isin(own)], own[~own.isin(names)]
    advice = f"give {name} the index of {of}, or as a plain array ({name}.to_numpy()) to go by position"
    if len(absent) == len(extra) == 0:
        twice = _listed(own[own.duplicated()] if not own.is_unique else names[names.duplicated()])
        raise ValueError(
            f"the index of {name} has another order than that of {of}, and names samples twice ({twice}), so that an "
            f"entry cannot be told to its sample; {advice}"
        )
    parts = [f"{_listed(extra)} {'is' if len(extra) == 1 else 'are'} not in {of}"] if len(extra) else []
    parts += [f"{name} lacks {_listed(absent)}"] if len(absent) else []
    parts += [f"{name} repeats {_listed(own[own.duplicated()])}"] if not own.is_unique else []
    raise ValueError(f"the index of {name} holds other samples than {of}: {', and '.join(parts)}; {advice}")


def _names_of(samples: Any, own: pd.Index) -> pd.Index | None:
    """Names of the samples; of those with several levels only the last where the values have one and it is enough."""
    if isinstance(samples, pd.Index):
        names = samples
    elif isinstance(samples, pd.Series | pd.DataFrame):
        names = samples.index
        # A MultiIndex names the rows of a table, or the steps of series; these have more rows than there are series.
        if isinstance(names, pd.MultiIndex) and not (own.nlevels == names.nlevels and len(own) == len(names)):
            names = names.droplevel(-1)
            names = names[~names.duplicated()]
    else:
        return None
    if isinstance(names, pd.MultiIndex) and own.nlevels == 1:
        last = names.get_level_values(-1)
        names = last if last.is_unique and last.isin(own).all() else names
    return names


def says_nothing(index: pd.Index) -> bool:
    """Whether an index is the one that pandas gives to what it makes anew: unnamed, 0 to n - 1."""
    return index.name is None and index.nlevels == 1 and index.equals(pd.RangeIndex(len(index)))


def _names_samples(index: pd.Index) -> bool:
    """Whether an index holds names, and not numbers that may count the rows of a table that was filtered or drawn."""
    return index.name is not None or index.nlevels > 1 or pd.api.types.infer_dtype(index) not in _NUMBERS


def _listed(names: pd.Index) -> str:
    shown = list(dict.fromkeys(names.tolist()))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(map(repr, shown[:_SHOWN])) + more
