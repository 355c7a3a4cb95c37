"""Labels of any type (strings, integers, booleans) as integer codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64, Shaped

__all__ = ["check_labels", "encode_labels", "positions"]


def check_labels(y: Any, name: str = "y") -> Shaped[np.ndarray, " n"]:
    """Class labels as a one-dimensional array.

    Raises
    ------
    ValueError
        If there is not one label a row, there are none, one is missing, or they are real numbers.
    """
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise ValueError(f"{name} must hold one label a row, shape (n,); got shape {labels.shape}")
    if len(labels) == 0:
        raise ValueError(f"{name} is empty; give one label a row")
    missing = int(np.count_nonzero(pd.isna(labels)))
    if missing:
        raise ValueError(f"{name} has {missing} missing label(s) of {len(labels)}; leave out the rows without a label")
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.floor(labels)):
        raise ValueError(f"{name} holds real numbers such as {labels[labels != np.floor(labels)][0]}, not class labels")
    return labels


def encode_labels(
    y: Any, classes: Any = None, name: str = "y"
) -> tuple[Int64[np.ndarray, " n"], Shaped[np.ndarray, " classes"]]:
    """Replace each label by its position in ``classes``.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels of one type.
    classes : array-like of shape (K,), optional
        All classes, in the order of the codes. Default: the sorted distinct labels.
    name : str
        What error messages call the labels.

    Raises
    ------
    ValueError
        If the labels are not valid (see :func:`check_labels`), cannot be sorted, or are not among ``classes``.

    Examples
    --------
    >>> codes, classes = encode_labels(["ill", "well", "ill"])
    >>> codes.tolist(), classes.tolist()
    ([0, 1, 0], ['ill', 'well'])
    """
    labels = check_labels(y, name)
    if classes is None:
        try:
            distinct, codes = np.unique(labels, return_inverse=True)
        except TypeError:
            types = ", ".join(sorted({type(label).__name__ for label in labels}))
            raise ValueError(f"{name} mixes labels of several types ({types}); convert them to one type") from None
        return codes.astype(np.int64), distinct
    known = np.asarray(classes)
    codes = positions(labels, known)
    if (codes < 0).any():
        strangers = sorted({repr(label) for label in labels[codes < 0].tolist()})
        raise ValueError(f"{name} has labels that are not among the classes {known.tolist()}: {', '.join(strangers)}")
    return codes, known


def positions(labels: Shaped[np.ndarray, " n"], classes: Any) -> Int64[np.ndarray, " n"]:
    """Position of each label in ``classes``, -1 where it is not one of them.

    Raises
    ------
    ValueError
        If a class is given twice.
    """
    index = pd.Index(np.asarray(classes))
    if not index.is_unique:
        raise ValueError(f"classes must be distinct; given twice: {index[index.duplicated()].tolist()}")
    return np.asarray(index.get_indexer(pd.Index(labels)), dtype=np.int64)
