"""Two tables as matchers read them: which columns are known, which are not, and what is in them."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.table import TableSchema, named_columns
from kinview.registry import suggestion

__all__ = ["Kind", "Side", "TwoTables", "read_pairs", "without_columns"]

Kind = Literal["numbers", "dates", "categories"]
"""What a column holds; booleans are numbers. Columns of different kinds are never matched."""

_KINDS: dict[str, Kind] = {
    "numeric": "numbers",
    "boolean": "numbers",
    "datetime": "dates",
    "categorical": "categories",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """One of the two tables.

    Parameters
    ----------
    letter : str
        ``"A"`` or ``"B"``.
    frame : DataFrame
        The table, with text names.
    schema : TableSchema
        Kinds, moments and categories of its columns.
    x : ndarray of shape (n, columns)
        Its cells, standardised or as codes; NaN is missing.
    known : tuple of str
        Columns that are mapped, in the order of the pairs.
    unknown : tuple of str
        The other columns that say something, in an order that follows from what they hold.
    constant : tuple of str
        Columns that hold one value or none.
    """

    letter: str
    frame: pd.DataFrame
    schema: TableSchema
    x: Float64[np.ndarray, "n columns"]
    known: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()

    @classmethod
    def of(cls, X: Any, letter: str) -> Side:
        """A table of which no column is known.

        Raises
        ------
        ValueError
            For what is no table, fewer than 5 rows, text that is nearly all distinct, and infinite values.

        Warns
        -----
        UserWarning
            If a column holds one value or none: nothing can be said of what it is.
        """
        frame = named_columns(X)
        if len(frame) < FEWEST_ROWS:
            raise ValueError(f"{letter} has {len(frame)} row(s); columns are matched from {FEWEST_ROWS} rows on")
        try:
            schema = TableSchema.fit(frame)
        except ValueError as error:
            raise ValueError(f"{letter}: {error}") from error
        x = schema.to_batch(frame).x.double().numpy()
        constant = [name for name, column in zip(schema.names, x.T) if len(np.unique(column[~np.isnan(column)])) < 2]
        if constant:
            warnings.warn(
                f"column(s) {', '.join(map(repr, constant))} of {letter} hold one value or none, which says nothing of "
                f"what they are: they are not matched",
                UserWarning,
                stacklevel=3,
            )
        return cls(letter, frame, schema, x, constant=tuple(constant))

    def parted(self, known: Sequence[str]) -> Side:
        """The table with these columns known, and the others unknown.

        A network's first weights, and ties, go by the order of columns. Sorted by what they hold, the unknown ones are
        matched alike whatever they are called and wherever they stand.
        """
        rest = [name for name in self.names if name not in {*known, *self.constant}]
        return dataclasses.replace(self, known=tuple(known), unknown=tuple(sorted(rest, key=self.digest)))

    def digest(self, name: str) -> bytes:
        """Hash of what a column holds."""
        return hashlib.sha256(np.ascontiguousarray(self.columns([name])).tobytes()).digest()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in the order of the table."""
        return self.schema.names

    def kind(self, name: str) -> Kind:
        """What a column holds."""
        return _KINDS[self.schema.columns[self.names.index(name)].kind]

    def categories(self, name: str) -> tuple[str | None, ...]:
        """Names of the codes 1, 2, ... of a column; None for the one that rare categories share."""
        return self.schema.columns[self.names.index(name)].categories

    def columns(self, names: Sequence[str], scaling: Any = "dataset") -> Float64[np.ndarray, "n columns"]:
        """Cells of columns in this order: numbers and dates scaled, categories as codes, NaN where missing."""
        if scaling == "dataset" or not names:
            return self.x[:, [self.names.index(name) for name in names]]
        part = self.frame[list(names)]
        return TableSchema.fit(part, text="categorical", scaling=scaling).to_batch(part).x.double().numpy()

    def in_own_units(self, name: str) -> Float64[np.ndarray, " n"]:
        """A column of numbers or dates as it was given, in float32's digits."""
        column = self.schema.columns[self.names.index(name)]
        unscaled = TableSchema((dataclasses.replace(column, mean=0.0, scale=1.0),))
        return unscaled.to_batch(self.frame[[name]]).x[:, 0].double().numpy()


@dataclasses.dataclass(frozen=True, eq=False)
class TwoTables:
    """Two tables of the same kind whose rows have nothing to do with each other.

    Parameters
    ----------
    A, B : Side
        Known columns stand at the same places.
    """

    A: Side
    B: Side

    @classmethod
    def read(cls, A: Any, B: Any, mapped: Any = None) -> TwoTables:
        """Read two tables and the pairs that are known.

        Raises
        ------
        ValueError
            What :meth:`Side.of` and :func:`read_pairs` refuse, two mapped columns of different kinds, and a
            table of which every column is mapped.
        """
        first, second = Side.of(A, "A"), Side.of(B, "B")
        pairs = read_pairs(mapped, first.names, second.names, "mapped")
        for a, b in pairs:
            if first.kind(a) != second.kind(b):
                raise ValueError(
                    f"mapped: {a!r} of A holds {first.kind(a)} and {b!r} of B {second.kind(b)}; convert one of them, "
                    f"or leave the pair out"
                )
        pairs = sorted(pairs, key=lambda pair: first.digest(pair[0]))
        first, second = first.parted([a for a, _ in pairs]), second.parted([b for _, b in pairs])
        for side in (first, second):
            if not side.unknown:
                held = "is mapped, or holds one value or none" if side.constant else "is mapped"
                raise ValueError(f"every column of {side.letter} {held}, so that none is left to match")
        return cls(first, second)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The mapped columns."""
        return tuple(zip(self.A.known, self.B.known, strict=True))

    def known_features(self, scaling: Any = "dataset") -> tuple[Float64[np.ndarray, "a q"], Float64[np.ndarray, "b q"]]:
        """What the mapped columns say of each row of A and of B, in the same features.

        Numbers and dates are scaled in their table; a category that both tables have is one feature, 1 where it stands
        and 0 where another does, standardised.

        Raises
        ------
        ValueError
            If two mapped columns have no category in common.
        """
        features: list[tuple[np.ndarray, np.ndarray]] = []
        for a, b in self.pairs:
            if self.A.kind(a) != "categories":
                features.append((self.A.columns([a], scaling)[:, 0], self.B.columns([b], scaling)[:, 0]))
                continue
            own, other = self.A.categories(a), self.B.categories(b)
            shared = [name for name in own if name is not None and name in other]
            if not shared:
                raise ValueError(
                    f"mapped: {a!r} of A and {b!r} of B have no category in common ({_some(own)}; {_some(other)}); "
                    f"write both alike, or leave the pair out"
                )
            codes, others = self.A.columns([a])[:, 0], self.B.columns([b])[:, 0]
            features += [
                (_indicator(codes, own.index(name) + 1), _indicator(others, other.index(name) + 1)) for name in shared
            ]
        if not features:
            return np.empty((len(self.A.x), 0)), np.empty((len(self.B.x), 0))
        first, second = zip(*features, strict=True)
        return np.stack(first, axis=1), np.stack(second, axis=1)

    @property
    def comparable(self) -> Bool[np.ndarray, "a b"]:
        """Which unknown columns of A and of B are of one kind, ``(a, b)``."""
        first, second = ([side.kind(name) for name in side.unknown] for side in (self.A, self.B))
        alike: Bool[np.ndarray, "a b"] = np.array(first)[:, None] == np.array(second)[None, :]
        return alike


def read_pairs(given: Any, A: Sequence[str], B: Sequence[str], name: str) -> list[tuple[str, str]]:
    """Pairs of columns, each as (column of A, column of B).

    Parameters
    ----------
    given : mapping, sequence or None
        ``{column of A: column of B}``, or a sequence of pairs and of names that are the same in both tables.
    A, B : sequence of str
        The columns that there are.
    name : str
        Of the argument, for errors.

    Raises
    ------
    ValueError
        For a column that does not exist, or stands in two pairs.

    Examples
    --------
    >>> read_pairs({"age": "alter"}, ["age", "sex"], ["alter", "sex"], "mapped")
    [('age', 'alter')]
    >>> read_pairs(["sex", ("age", "alter")], ["age", "sex"], ["alter", "sex"], "mapped")
    [('sex', 'sex'), ('age', 'alter')]
    """
    pairs = _as_pairs(given, name)
    for place, (letter, columns) in enumerate((("A", A), ("B", B))):
        for pair in pairs:
            if pair[place] not in columns:
                hint = suggestion(pair[place], columns)
                raise ValueError(f"{name}: {letter} has no column {pair[place]!r}{hint} It has {_some(columns)}")
        twice = [column for column, times in Counter(pair[place] for pair in pairs).items() if times > 1]
        if twice:
            raise ValueError(f"{name}: column {twice[0]!r} of {letter} stands in two pairs; keep one of them")
    return pairs


def without_columns(A: Any, B: Any, drop: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables without the columns of these names, whichever has them.

    Raises
    ------
    ValueError
        For a name that neither has, and where none is left of a table.

    Examples
    --------
    >>> A, B = pd.DataFrame({"pid": [1], "age": [40]}), pd.DataFrame({"alter": [50]})
    >>> without_columns(A, B, ["pid"])[0]
       age
    0   40
    """
    first, second = named_columns(A), named_columns(B)
    names = [drop] if isinstance(drop, str) else list(map(str, drop))
    for name in names:
        if name not in first.columns and name not in second.columns:
            hint = suggestion(name, [*first.columns, *second.columns])
            has = f"A has {_some(list(first.columns))}; B has {_some(list(second.columns))}"
            raise ValueError(f"drop={[name]}: neither A nor B has a column of that name{hint} {has}")
    for letter, frame in (("A", first), ("B", second)):
        if set(frame.columns) <= set(names):
            raise ValueError(f"drop={names} leaves no column of {letter}; keep at least one")
    return first.drop(columns=names, errors="ignore"), second.drop(columns=names, errors="ignore")


def _as_pairs(given: Any, name: str) -> list[tuple[str, str]]:
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [(str(a), str(b)) for a, b in given.items()]
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(
            f"{name} must be a mapping {{column of A: column of B}}, or a list of pairs and of names that both tables "
            f"have; got {given!r}"
        )
    pairs = []
    for entry in given:
        both = (entry, entry) if isinstance(entry, str) or not isinstance(entry, Sequence) else tuple(entry)
        if len(both) != 2:
            raise ValueError(f"{name} holds {entry!r}; a pair is (column of A, column of B)")
        pairs.append((str(both[0]), str(both[1])))
    return pairs


def _indicator(codes: Float64[np.ndarray, " n"], code: int) -> Float64[np.ndarray, " n"]:
    """Standardised 1 and 0 of a category, NaN where none is observed."""
    found = np.where(np.isnan(codes), np.nan, (codes == code).astype(np.float64))
    share = float(np.nanmean(found)) if not np.isnan(found).all() else 0.0
    scaled: Float64[np.ndarray, " n"] = (found - share) / (np.sqrt(share * (1 - share)) or 1.0)
    return scaled


def _some(names: Sequence[str | None], most: int = 12) -> str:
    shown = ", ".join("(rare)" if name is None else repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
