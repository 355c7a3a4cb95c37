"""Labels, groups and ids of a file that look like a mistake: one name written in two ways, or a sign of no value."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.labels import as_labels, distinct
from kinview.datasets.cells import cell_kind, number_column
from kinview.datasets.nearly import refuse_nearly_numbers
from kinview.datasets.rows import Rows, is_footer

__all__ = ["check_written_alike", "labels_of", "odd_texts", "warn_of_alike"]

IN_A_TABLE = "an empty cell, or na_values= for a text file"  # how a label is made missing
_FEWEST = 5  # samples below which one label is not odd
_SHOWN = 3  # sets of names in a message
_SIGN = re.compile(
    r"[-‐-―−.…_*?/\\#·]+|n\s?[./]\s?[adk]\.?|k\.\s?a\.?|#(?:N/A|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!)", re.IGNORECASE
)
_WORD = re.compile(
    r"unknown|unk|missing|undefined|undetermined|unspecified|nil|na|nd|nan|null|no[ _-](?:data|value|answer)"
    r"|not[ _-](?:available|applicable|done|known|measured|recorded|determined|specified|assessed)",
    re.IGNORECASE,
)
_CODE_OF_NONE = re.compile("-9+|999+")  # -9, -999, 999: numbers that stand for no value
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+(?:\.0*)?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)


def labels_of(
    values: Any,
    what: str,
    source: str,
    remedy: str = IN_A_TABLE,
    *,
    decimal: str = ".",
    thousands: str | None = None,
    rows: Rows | None = None,
) -> NDArray[Any]:
    """Labels of a file as :func:`as_labels` has them, once none of them looks like a sign of a missing one.

    Where all labels are numbers with this decimal sign and these thousands, they are those numbers.

    Parameters
    ----------
    values : array-like of shape (n,)
        Cells.
    what, source : str
        What messages call the labels, and the file.
    remedy : str, optional
        How a label of this file is made missing.
    decimal, thousands : str
        How numbers of the file are written.
    rows : Rows, optional
        Where the labels stand in the file, where each has a row of its own.

    Raises
    ------
    ValueError
        If a label is a sign of no value (``.``, ``-``, ``n.a.``) among names, or the labels are numbers with fractions
        but for some cells (``98%``, ``<5``), or with a comma that ``decimal`` does not say; the message has the first.

    Warns
    -----
    UserWarning
        If labels differ in letter case or blanks only, or one reads like no value (``unknown``, -999).

    Examples
    --------
    >>> labels_of(["ill", "-", "well"], "label 'died'", "x.csv", "leave it empty")
    Traceback (most recent call last):
    ...
    ValueError: x.csv: label 'died' is '-' in sample 1 (the first is 0), a sign of no value and no class; make it \
missing (leave it empty)
    """
    labels = as_labels(values)
    if labels.dtype.kind in "UO" and (decimal, thousands) != (".", None):
        labels = as_labels(_as_written(pd.Series(labels, dtype=object), decimal, thousands))
    known = distinct(labels)
    if known.dtype.kind == "U":
        texts = known.tolist()
        _refuse_signs(labels, texts, what, source, remedy, rows)
        _refuse_nearly_targets(labels, texts, what, source, decimal, thousands, rows or Rows())
        _warn_of_words([text for text in texts if _reads_like_none(text, len(texts))], labels, what, source, remedy)
        if remedy == IN_A_TABLE:
            _warn_of_odd_label(labels, texts, what, source, rows)
        warn_of_alike(texts, what, source, "classes")
    elif known.dtype.kind == "i":
        _warn_of_words(_codes_of_none(known.tolist()), labels, what, source, remedy)
    return labels


def warn_of_alike(names: Iterable[Any], what: str, source: str, unit: str) -> None:
    """Warn of texts that differ in letter case, blanks or the way of writing a sign only; numbers are no texts.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as heard:
    ...     warnings.simplefilter("always")
    ...     warn_of_alike(["Yes", "no", "yes"], "label 'ill'", "x.csv", "classes")
    >>> print(heard[0].message)
    x.csv: label 'ill' holds 'Yes' and 'yes', which differ in letter case, blanks or the way of writing only and are 2 \
classes; write them alike if they are one
    """
    texts = list(dict.fromkeys(name for name in names if isinstance(name, str)))
    keys = [_folded(text) for text in texts]
    if len(set(keys)) == len(keys):
        return
    alike: dict[str, list[str]] = {}
    for key, text in zip(keys, texts):
        alike.setdefault(key, []).append(text)
    sets = [same for same in alike.values() if len(same) > 1]
    shown = "; ".join(" and ".join(map(repr, same)) for same in sets[:_SHOWN])
    more = f" ({len(sets)} such sets in all)" if len(sets) > _SHOWN else ""
    warnings.warn(
        f"{source}: {what} holds {shown}{more}, which differ in letter case, blanks or the way of writing only and are "
        f"{sum(map(len, sets))} {unit}; write them alike if they are one",
        UserWarning,
        stacklevel=4,
    )


def odd_texts(levels: Iterable[Any]) -> list[str]:
    """What is odd among the texts of a column, in words: texts that read like no value, spellings of one text.

    Examples
    --------
    >>> odd_texts(["ICU", "icu ", "ward", "unknown"])
    ["'ICU' and 'icu ', which may be one", "'unknown', which reads like no value"]
    """
    texts = [text for text in levels if isinstance(text, str)]
    alike: dict[str, list[str]] = {}
    for text in texts:
        alike.setdefault(_folded(text), []).append(text)
    found = [f"{' and '.join(map(repr, sorted(same)))}, which may be one" for same in alike.values() if len(same) > 1]
    words = [text for text in texts if _reads_like_none(text.strip(), len(texts))]
    signs = [text for text in texts if text not in words and _SIGN.fullmatch(text.strip())]
    return [*found, *(f"{text!r}, which reads like no value" for text in [*words, *signs])]


def check_written_alike(
    train: NDArray[Any] | None, test: NDArray[Any] | None, train_source: str, test_source: str
) -> None:
    """Check that two files of one data set write each class in one way.

    Raises
    ------
    ValueError
        If one has a number with a zero in front or behind the point that the other has without.

    Warns
    -----
    UserWarning
        If labels of both differ in letter case or blanks only.

    Examples
    --------
    >>> check_written_alike(np.array([1, 2]), np.array(["01", "02"]), "x_TRAIN.tsv", "x_TEST.tsv")
    Traceback (most recent call last):
    ...
    ValueError: x_TRAIN.tsv and x_TEST.tsv write labels in two ways, '1' against '01', '2' against '02': write each \
class in one way, so that it is the same in both
    """
    if train is None or test is None:
        return
    ours, theirs = distinct(train), distinct(test)
    if "U" not in (ours.dtype.kind, theirs.dtype.kind):
        return
    first, second = ([str(label) for label in known.tolist()] for known in (ours, theirs))
    numbers = {key: text for text in first if (key := _number(text)) is not None}
    both = [(numbers[key], text) for text in second if (key := _number(text)) in numbers and text not in first]
    if both:
        shown = ", ".join(f"{one!r} against {other!r}" for one, other in both[:_SHOWN])
        raise ValueError(
            f"{train_source} and {test_source} write labels in two ways, {shown}: write each class in one way, so that "
            f"it is the same in both"
        )
    known = {_folded(text) for text in first}
    new = [text for text in second if text not in first and _folded(text) in known]
    if new:
        partners = [text for text in first if _folded(text) in {_folded(other) for other in new}]
        warn_of_alike([*partners, *new], "together, the label", f"{train_source} and {test_source}", "classes")


def _as_written(labels: pd.Series, decimal: str, thousands: str | None) -> pd.Series:
    """Numbers where all labels are, and the decimal sign or the thousands stand in some; else the labels."""
    texts = [text for text in labels.dropna().unique() if isinstance(text, str)]
    if not any(sign in text for text in texts for sign in (decimal, thousands) if sign):
        return labels
    return number_column(labels, decimal, thousands)


def _refuse_signs(
    labels: NDArray[Any], texts: list[str], what: str, source: str, remedy: str, rows: Rows | None
) -> None:
    if not any(any(map(str.isalnum, text)) for text in texts):
        return  # "+" and "-", "*" and "**" are classes
    signs = [text for text in texts if _SIGN.fullmatch(text) and not (text == "-" and "+" in texts)]
    if signs:
        row = int(np.isin(labels.astype(object), signs).argmax())
        place = f"sample {row} (the first is 0)" if rows is None else rows.name(row)
        raise ValueError(
            f"{source}: {what} is {str(labels[row])!r} in {place}, a sign of no value and no class; make it missing "
            f"({remedy})"
        )


def _refuse_nearly_targets(
    labels: NDArray[Any], texts: list[str], what: str, source: str, decimal: str, thousands: str | None, rows: Rows
) -> None:
    """Refuse a target of a regression that would be classes because some of its cells are nearly numbers."""
    kinds = [cell_kind(text, decimal=decimal, thousands=thousands) for text in texts]
    fractions = [text for text, kind in zip(texts, kinds) if kind == "number" and not text.lstrip("+-").isdigit()]
    commas = all(kind == "number" or _COMMA.fullmatch(text) for text, kind in zip(texts, kinds))
    if "nearly" in kinds and (fractions or commas) and set(kinds) <= {"number", "nearly"}:
        remedy = "or leave the column out (label= names another)"
        frame = pd.DataFrame({what.split(maxsplit=1)[-1].strip("'\""): pd.Series(labels, dtype=object)})
        refuse_nearly_numbers(frame, source, remedy, decimal=decimal, thousands=thousands, rows=rows, categories=False)


def _reads_like_none(text: str, classes: int) -> bool:
    """Whether a label reads like no value; ``nd`` of two classes is one, and ``Na`` is sodium."""
    if text.casefold() in ("na", "nd") and (classes == 2 or text == "Na"):
        return False
    return _WORD.fullmatch(text) is not None


def _warn_of_odd_label(labels: NDArray[Any], texts: list[str], what: str, source: str, rows: Rows | None) -> None:
    """Warn of the one sample whose label is a text where all others are whole numbers: its line may be no sample."""
    odd = [text for text in texts if not _WHOLE.fullmatch(text)]
    word = len(odd) == 1 and not odd[0][0].isdigit() and not is_footer(odd[0])
    if not word or len(texts) < 3 or len(labels) < _FEWEST:
        return
    at = np.flatnonzero(labels.astype(object) == odd[0])
    if len(at) == 1:
        place = f"sample {at[0]} (the first is 0)" if rows is None else rows.name(int(at[0]))
        warnings.warn(
            f"{source}: column {what.split(maxsplit=1)[-1]} holds whole numbers but for {odd[0]!r} in {place}; remove "
            f"the line if it is no sample",
            UserWarning,
            stacklevel=4,
        )


def _warn_of_words(words: list[Any], labels: NDArray[Any], what: str, source: str, remedy: str) -> None:
    if words:
        counts = ", ".join(f"{word!r} in {int((labels == word).sum())}" for word in words[:_SHOWN])
        warnings.warn(
            f"{source}: {what} is {counts} of {len(labels)} samples, which reads like no value and is a class now; if "
            f"it is none, make it missing ({remedy})",
            UserWarning,
            stacklevel=4,
        )


def _codes_of_none(numbers: list[int]) -> list[int]:
    """Numbers such as -999 and 999 that stand far from all others."""
    found = [number for number in numbers if _CODE_OF_NONE.fullmatch(str(number))]
    others = [number for number in numbers if number not in found]
    if not others or min(others) < 0:
        return []
    return [number for number in found if number < 0 or max(others) < number // 10]


def _folded(text: str) -> str:
    """What texts that look alike have in common."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    number = _number(text.strip()) if "." in text else None
    return "".join(text.casefold().split()) if number is None else number


def _number(text: str) -> str | None:
    """A plain number without zeros in front and behind the point."""
    if _DECIMAL.fullmatch(text) is None:
        return None
    whole, _, rest = text.lstrip("+-").partition(".")
    sign = "-" if text.startswith("-") else ""
    return f"{sign}{whole.lstrip('0') or '0'}.{rest.rstrip('0')}".rstrip(".")
