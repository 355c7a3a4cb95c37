"""Matched columns, how sure each match is, and how many are right."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy.optimize import linear_sum_assignment

from kinview.schema_matching.tables import read_pairs

__all__ = ["ColumnMatches", "MatchScore", "true_pairs"]


class MatchScore(NamedTuple):
    """How right matches are against the truth.

    Attributes
    ----------
    precision : float
        Fraction of the matches that are right.
    recall : float
        Fraction of the true pairs that were found.
    f1 : float
        Harmonic mean of both.
    mistakes : tuple of (str, str)
        Matches that are wrong.
    """

    precision: float
    recall: float
    f1: float
    mistakes: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class ColumnMatches:
    r"""Columns of table A and the columns of table B that they are matched with.

    Of the similarities :math:`s_{ij}` those one-to-one matches :math:`\pi` are taken whose sum is the largest (the
    Hungarian algorithm); where a table has more unknown columns than the other, some of them stay without a match. The
    *margin* of a match is how much better it is than the best other candidate of either column:

    .. math:: s_{i\pi(i)} - \max\Big(\max_{j \ne \pi(i)} s_{ij},\ \max_{k \ne i} s_{k\pi(i)}\Big)

    Near zero the two could as well be others, and below zero one of them fits another column better, which was given
    to a third.

    Parameters
    ----------
    similarity : DataFrame
        Of each unknown column of A (rows) with each of B; NaN where the two cannot be compared (number and category).
    mapped : mapping
        The pairs that were known.
    pairs : tuple of (str, str)
        The matches, in the order of A's columns.

    Examples
    --------
    >>> similarity = pd.DataFrame([[0.9, 0.4], [0.8, 0.7]], index=["age", "weight"], columns=["alter", "gewicht"])
    >>> matches = ColumnMatches.of(similarity)
    >>> matches.table.round(1)
            A        B  similarity  margin
    0     age    alter         0.9     0.1
    1  weight  gewicht         0.7    -0.1
    >>> matches.kept(margin=0).pairs
    (('age', 'alter'),)
    >>> matches.score({"age": "alter"}).precision
    0.5
    """

    similarity: pd.DataFrame
    mapped: dict[str, str] = dataclasses.field(default_factory=dict)
    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, similarity: pd.DataFrame, mapped: dict[str, str] | None = None) -> ColumnMatches:
        """The matches with the largest sum of similarities."""
        s = similarity.to_numpy(dtype=np.float64)
        rows, columns = assigned(s)
        pairs = tuple((str(similarity.index[i]), str(similarity.columns[j])) for i, j in zip(rows, columns))
        return cls(similarity, dict(mapped or {}), pairs)

    @property
    def table(self) -> pd.DataFrame:
        """One row a match: its column of A and of B, their similarity, its margin (NaN without other candidates)."""
        s = self.similarity.to_numpy(dtype=np.float64)
        rows, columns = list(self.similarity.index), list(self.similarity.columns)
        places = [(rows.index(a), columns.index(b)) for a, b in self.pairs]
        return pd.DataFrame({
            "A": pd.Series([a for a, _ in self.pairs], dtype=object),
            "B": pd.Series([b for _, b in self.pairs], dtype=object),
            "similarity": np.array([s[place] for place in places], dtype=np.float64),
            "margin": np.array([_margin(s, i, j) for i, j in places], dtype=np.float64),
        })  # fmt: skip

    @property
    def unmatched(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Columns of A, and of B, that have no partner."""
        first, second = {a for a, _ in self.pairs}, {b for _, b in self.pairs}
        return (
            tuple(str(name) for name in self.similarity.index if name not in first),
            tuple(str(name) for name in self.similarity.columns if name not in second),
        )

    def kept(self, *, similarity: float = -np.inf, margin: float = -np.inf) -> ColumnMatches:
        """The matches of at least this similarity and this margin; the others are left without a partner."""
        table = self.table
        sure = (table["similarity"] >= similarity) & ~(table["margin"] < margin)
        return dataclasses.replace(self, pairs=tuple(pair for pair, kept in zip(self.pairs, sure) if kept))

    def score(self, truth: Any) -> MatchScore:
        """Precision, recall and F1 against the true pairs, those that were known left out.

        Parameters
        ----------
        truth : mapping or sequence
            ``{column of A: column of B}``, or a sequence of pairs and of names that are the same in both tables. A
            column that is in no true pair has no partner: every match of it is a mistake.

        Raises
        ------
        ValueError
            For a column that does not exist or stands in two pairs, and for a truth that contradicts what was mapped.
        """
        A, B = [*self.similarity.index, *self.mapped], [*self.similarity.columns, *self.mapped.values()]
        true = true_pairs(truth, A, B, self.mapped)
        right = [pair for pair in self.pairs if pair in true]
        precision = len(right) / len(self.pairs) if self.pairs else 0.0
        recall = len(right) / len(true) if true else 0.0
        f1 = 2 * len(right) / (len(self.pairs) + len(true)) if self.pairs or true else 0.0
        return MatchScore(precision, recall, f1, tuple(pair for pair in self.pairs if pair not in true))


def true_pairs(truth: Any, A: Sequence[str], B: Sequence[str], mapped: Mapping[str, str]) -> set[tuple[str, str]]:
    """The true pairs of columns, those that are mapped left out.

    Parameters
    ----------
    truth : mapping or sequence
        As :meth:`ColumnMatches.score` takes it.
    A, B : sequence of str
        The columns that there are.
    mapped : mapping
        The pairs that are known.

    Raises
    ------
    ValueError
        As :meth:`ColumnMatches.score`.

    Examples
    --------
    >>> true_pairs({"age": "alter", "sex": "geschlecht"}, ["age", "sex"], ["alter", "geschlecht"], {"age": "alter"})
    {('sex', 'geschlecht')}
    """
    true = set(read_pairs(truth, A, B, "truth")) - set(mapped.items())
    for a, b in sorted(true):
        if a in mapped or b in mapped.values():
            raise ValueError(f"truth pairs {a!r} of A with {b!r} of B, and one of them is mapped to another column")
    return true


def assigned(s: Float64[np.ndarray, "a b"]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the one-to-one matches of the largest sum; none where the similarity is NaN.

    As many as possible of those that can be compared are matched.
    """
    never = np.isnan(s)
    if never.all():
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    span = float(np.nanmax(s) - np.nanmin(s))
    rows, columns = linear_sum_assignment(np.where(never, np.nanmin(s) - (span + 1) * min(s.shape), s), maximize=True)
    allowed = ~never[rows, columns]
    return rows[allowed], columns[allowed]


def _margin(s: Float64[np.ndarray, "a b"], i: int, j: int) -> float:
    others = np.concatenate([np.delete(s[i], j), np.delete(s[:, j], i)])
    others = others[~np.isnan(others)]
    return float(s[i, j] - others.max()) if len(others) else float("nan")
