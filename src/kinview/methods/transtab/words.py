"""What a table's columns and categories say, as numbers of words."""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, Shaped

from kinview.data.table import TableSchema

__all__ = ["ColumnWords", "words_of"]

_WORDS = re.compile(r"[^\W\d_]+|[0-9]+")
_CAPITALS = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\d_A-Z])")  # within a word: heartRate


def words_of(text: str, vocabulary: int) -> list[int]:
    """Numbers of the words of a text, from 1 to the size of the vocabulary: equal words have equal numbers everywhere.

    Underscores, signs, capitals within a word and digits part words. A text without any is one word.

    Examples
    --------
    >>> words_of("heart_rate", 1000) == words_of("heartRate", 1000) == words_of("Heart rate", 1000)
    True
    """
    words = [part for word in _WORDS.findall(text) for part in _CAPITALS.split(word)] or [text]
    return [_number(word.lower(), vocabulary) for word in words]


def _number(word: str, vocabulary: int) -> int:
    return 1 + zlib.crc32(word.encode()) % vocabulary


def _told_apart(categories: Sequence[str | None], vocabulary: int) -> list[list[int]]:
    """Words of the categories of a column; those with the same words (A+, A-) have one more, their whole text."""
    said = [[] if text is None else words_of(text, vocabulary) for text in categories]  # the rare ones have no name
    often = Counter(map(tuple, said))
    return [
        words if text is None or often[tuple(words)] == 1 else [*words, _number(text, vocabulary)]
        for text, words in zip(categories, said, strict=True)
    ]


@dataclasses.dataclass(frozen=True, eq=False)
class ColumnWords:
    """Words of the cells of one table, each list of words padded with 0.

    They are NumPy's, because they are no state: they follow from the schema.

    Parameters
    ----------
    numeric, boolean, categorical : ndarray
        Places of the columns of each kind.
    numeric_words, boolean_words : ndarray
        Words of the name of each of these columns.
    true_above : ndarray
        Value of each boolean column above which it is true.
    category_words : ndarray
        Words of name and value for each code of each categorical column, one after the other. Categories of a column
        that differ in signs or capitals alone have their whole text as a further word.
    starts : ndarray
        Where the codes of each categorical column begin there.
    """

    numeric: Int64[np.ndarray, " numbers"]
    boolean: Int64[np.ndarray, " booleans"]
    categorical: Int64[np.ndarray, " categories"]
    numeric_words: Int64[np.ndarray, "numbers w"]
    boolean_words: Int64[np.ndarray, "booleans v"]
    true_above: Shaped[np.ndarray, " booleans"]
    category_words: Int64[np.ndarray, "codes u"]
    starts: Int64[np.ndarray, " categories"]

    @classmethod
    def of(cls, schema: TableSchema, vocabulary: int) -> ColumnWords:
        """Words of a table with this schema."""
        places: dict[str, list[int]] = {"numeric": [], "boolean": [], "categorical": []}
        for place, column in enumerate(schema.columns):
            places["numeric" if column.kind == "datetime" else column.kind].append(place)
        names = [words_of(column.name, vocabulary) for column in schema.columns]
        cells: list[list[int]] = []
        starts: list[int] = []
        for place in places["categorical"]:
            starts.append(len(cells))
            values = _told_apart(schema.columns[place].categories, vocabulary)
            cells += [names[place], *(names[place] + words for words in values)]  # code 0 is that of those never seen
        booleans = [schema.columns[place] for place in places["boolean"]]
        return cls(
            numeric=np.array(places["numeric"], dtype=np.int64),
            boolean=np.array(places["boolean"], dtype=np.int64),
            categorical=np.array(places["categorical"], dtype=np.int64),
            numeric_words=_padded([names[place] for place in places["numeric"]]),
            boolean_words=_padded([names[place] for place in places["boolean"]]),
            true_above=np.array([(0.5 - column.mean) / column.scale for column in booleans], dtype=np.float64),
            category_words=_padded(cells),
            starts=np.array(starts, dtype=np.int64),
        )

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.numeric) + len(self.boolean) + len(self.categorical)


def _padded(lists: list[list[int]]) -> Int64[np.ndarray, "n w"]:
    out = np.zeros((len(lists), max(map(len, lists), default=1)), dtype=np.int64)
    for row, words in zip(out, lists, strict=True):
        row[: len(words)] = words
    return out
