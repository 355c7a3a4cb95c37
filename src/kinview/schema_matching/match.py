"""Two tables in, matched columns out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.schema_matching import matchers
from kinview.schema_matching.base import Matcher
from kinview.schema_matching.matches import ColumnMatches
from kinview.schema_matching.tables import TwoTables, without_columns
from kinview.training.randomness import resolve_seed

__all__ = ["match_columns"]


def match_columns(
    A: Any,
    B: Any,
    mapped: Any = None,
    *,
    matcher: Any = "kang_naughton",
    drop: Sequence[str] = (),
    random_state: Any = 0,
) -> ColumnMatches:
    """Match the columns of two tables of the same kind whose names differ, by what is in them.

    The rows are of different samples (the patients of two hospitals), and nothing pairs them. Some columns are known in
    both tables; the others are matched one to one. Names are not read, and the order of columns does not matter.

    Parameters
    ----------
    A, B : DataFrame or array ``(n, columns)``
        The tables, with as many rows and columns as they have; missing cells are allowed everywhere. Columns of an
        array are called ``x0``, ``x1``, ...
    mapped : mapping or sequence, optional
        The columns that are known: ``{column of A: column of B}``, or a sequence of pairs and of names that are the
        same in both tables. They are never matched anew.
    matcher : str, mapping or Matcher
        What says how alike two columns are: ``"kang_naughton"`` (the default, because it found most on three tables:
        ``docs/schema_matching.md``), ``"distribution"``, ``"correlation"`` or ``"contrastive"``; with parameters as
        ``{"contrastive": {"mask_rate": 0.3}}``. The last two need known columns.
    drop : sequence of str
        Columns to leave out of whichever table has them (identifiers, free text, labels).
    random_state : int, Generator, RandomState or None
        Source of all randomness (of ``contrastive``); the same seed gives the same matches.

    Returns
    -------
    ColumnMatches
        ``table`` has the matches with similarity and margin, ``similarity`` those of all pairs, ``score`` compares with
        a truth.

    Raises
    ------
    ValueError
        For mapped columns that do not exist, stand in two pairs or hold different kinds of values, and columns in
        ``drop`` that neither table has; for a table with
        fewer than 5 rows, with text that is nearly all distinct, or without an unknown column; where the matcher needs
        known columns and there are none, or does not read categories and an unknown column holds some.

    Warns
    -----
    UserWarning
        If a column holds one value or none.

    Notes
    -----
    Numbers are matched with numbers and booleans, dates with dates, categories with categories.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> z = draw.normal(size=(400, 3)) @ [[1, 0.8, 0.1, 0], [0, 0.6, 0.7, 0.3], [0, 0, 0.7, 0.9]]
    >>> A = pd.DataFrame(z[:200], columns=["age", "pressure", "creatinine", "urea"])
    >>> B = pd.DataFrame(z[200:, [3, 0, 2, 1]], columns=["hst", "alter", "krea", "rr"])
    >>> matches = match_columns(A, B, {"age": "alter", "urea": "hst"}, matcher="correlation")
    >>> matches.table[["A", "B"]]
                A     B
    0    pressure    rr
    1  creatinine  krea
    >>> matches.score({"pressure": "rr", "creatinine": "krea"}).f1
    1.0
    """
    chosen: Matcher = matchers.build(matcher)
    seed = resolve_seed(random_state)
    tables = TwoTables.read(*without_columns(A, B, drop), mapped)
    _check_read(chosen, tables)
    values = np.where(tables.comparable, chosen.similarity(tables, seed), np.nan)
    similarity = pd.DataFrame(values, index=list(tables.A.unknown), columns=list(tables.B.unknown))
    as_given = [[name for name in side.names if name not in set(side.known)] for side in (tables.A, tables.B)]
    return ColumnMatches.of(similarity.reindex(index=as_given[0], columns=as_given[1]), dict(tables.pairs))


def _check_read(matcher: Matcher, tables: TwoTables) -> None:
    """Refuse tables that the matcher cannot compare."""
    name = matchers.name_of(matcher)
    if matcher.needs_mapped and not tables.pairs:
        raise ValueError(
            f"the matcher {name!r} goes by known columns, and none are mapped: give them as "
            f"mapped={{'column of A': 'column of B'}}, or take matcher='kang_naughton' or matcher='distribution', "
            f"which need none"
        )
    if matcher.reads_categories:
        return
    held = {
        side.letter: sorted(column for column in side.unknown if side.kind(column) == "categories")
        for side in (tables.A, tables.B)
    }
    columns = [f"{', '.join(map(repr, names))} of {letter}" for letter, names in held.items() if names]
    if columns:
        raise ValueError(
            f"column(s) {' and '.join(columns)} hold categories, which {name!r} with these parameters does not "
            f"compare: map them, leave them out (drop={list(dict.fromkeys(held['A'] + held['B']))}), or take "
            f"matcher='distribution' or matcher={{'kang_naughton': {{'dependence': 'mutual_information'}}}}"
        )
