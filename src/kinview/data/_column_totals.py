"""What all rows of a column say, of tables that come in parts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from kinview.data._columns import Kind, Totals, category_keys, counted, kind_of, numbers_of

__all__ = ["ColumnTotals"]

_MOST_CATEGORIES = 1_000_000  # distinct texts that are counted; more are ids, or free text


class ColumnTotals:
    """Kind, number, mean and deviation, or categories of one column, from one part of a table after another.

    Parameters
    ----------
    name : str
        Column name.
    digest : hash object, optional
        Takes in the values as they come.

    Examples
    --------
    >>> totals = ColumnTotals("age")
    >>> for part in ([40.0, None], [50.0, 60.0]):
    ...     totals.add(pd.Series(part))
    >>> totals.kind, totals.of_all.number, totals.of_all.mean
    ('numeric', 3, 50.0)
    """

    def __init__(self, name: str, digest: Any = None) -> None:
        self.name = name
        self.digest = digest
        self.kind: Kind | None = None
        self.tally: Counter[str] = Counter()
        self.of_all = Totals()
        self._kind_of_nothing: Kind = "numeric"

    def add(self, values: pd.Series) -> None:
        """Take in the values of a further part.

        Raises
        ------
        ValueError
            If they are of another kind than those before, or there are too many categories.
        """
        kind = kind_of(self.name, values)
        if values.isna().all():
            self._kind_of_nothing = kind
            self._keep(np.full(len(values), np.nan))
            return
        if self.kind not in (None, kind) and {self.kind, kind} != {"numeric", "boolean"}:
            raise ValueError(
                f"column {self.name!r} holds {self.kind} values in some parts of the data and {kind} ones in others, "
                f"such as {values.dropna().iloc[0]!r}; convert it"
            )
        self.kind = "numeric" if self.kind == "numeric" else kind
        if kind == "categorical":
            keys, codes = category_keys(self.name, values)
            self.tally.update(counted(keys, codes))
            if len(self.tally) > _MOST_CATEGORIES:
                raise ValueError(
                    f"column {self.name!r} holds more than {_MOST_CATEGORIES:,} different texts: drop it, or convert it"
                )
            self._keep(codes, *keys)
            return
        numbers = numbers_of(self.name, kind, values)
        self.of_all = self.of_all + Totals.of(numbers[~np.isnan(numbers)], self.name)
        self._keep(numbers)

    @property
    def known(self) -> dict[str, Any]:
        """Kind and totals, as :func:`fit_column` takes them; a column without any value has the kind of its type."""
        kind = self.kind or self._kind_of_nothing
        return {"kind": kind, "of_all": self.tally if kind == "categorical" else self.of_all}

    def _keep(self, values: Any, *texts: str) -> None:
        if self.digest is not None:
            self.digest.update(np.ascontiguousarray(values).tobytes())
            self.digest.update("\0".join(texts).encode("utf-8", "surrogatepass"))
