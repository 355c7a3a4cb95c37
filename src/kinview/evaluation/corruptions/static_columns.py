"""Corruption of what is known of a sample besides its values: static columns, the other side of pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Bool

from kinview.data.modality import NOUNS, TABLE
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corrupted, Corruption, Learned, observed_mask
from kinview.evaluation.corruptions.cells import static_of_samples
from kinview.evaluation.corruptions.mechanism import built_mechanism, mechanism_modality, mechanism_spec

__all__ = ["StaticColumns"]


@corruptions.register(
    "static_columns", modality="any", reference="missing covariates", parts={"mechanism": "corruptions"}
)
@dataclasses.dataclass(frozen=True)
class StaticColumns(Corruption):
    """Change the static columns of samples by any corruption of tables, and X where that is asked for.

    Static columns are one side of pairs (``static_to: {pairs: ...}``) and what a probe or an encoder gets besides; by
    this corruption they lose values as X does by others.

    Parameters
    ----------
    rate : float
        Fraction of what the mechanism counts in the static columns.
    mechanism : str, mapping or Corruption
        The corruption of tables or its spec, ``{"mnar_high": {"steepness": 3}}``; its rate is this one. Default:
        completely at random.
    columns : sequence of str, optional
        Static columns that it changes; all of them by default.
    with_samples : bool
        Whether X is corrupted by the mechanism too, at the same rate.

    Raises
    ------
    ValueError
        If a parameter is out of range, the mechanism is none of tables, or there is no such static column.

    Notes
    -----
    The columns come back in ``corrupted(...).static``; ``apply`` gives X alone. What a benchmark stores as realised is
    that of the static columns. Subgroups of the metrics go by the values before.

    Examples
    --------
    >>> X, static = np.zeros((10, 1, 4)), pd.DataFrame({"age": range(10), "sex": list("fm") * 5})
    >>> found = StaticColumns(rate=0.3).corrupted(X, seed=0, static=static)
    >>> int(found.static.isna().sum().sum()), found.realised, int(np.isnan(found.X).sum())
    (6, 0.3, 0)
    """

    needs: ClassVar[frozenset[str]] = frozenset({"static"})  # of an object: what its mechanism needs too

    mechanism: Any = "mcar"
    columns: Sequence[str] | None = None
    with_samples: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "mechanism", mechanism_spec(self.mechanism))
        if self.columns is not None:
            named = (self.columns,) if isinstance(self.columns, str) else tuple(self.columns)
            if not named or len(set(named)) < len(named):
                raise ValueError(f"columns must name static columns, each once; got {self.columns!r}")
            object.__setattr__(self, "columns", named)
        if not isinstance(self.with_samples, bool):
            raise ValueError(f"with_samples must be true or false; got {self.with_samples!r}")
        modality = mechanism_modality(self._built)
        if modality not in ("any", TABLE):
            raise ValueError(
                f"static columns are a table, and its mechanism is a corruption of {NOUNS[modality]}: choose one "
                "of tables, such as mcar, mar or mnar_high"
            )
        object.__setattr__(self, "needs", frozenset({"static"}) | (self._built.needs & {"groups", "y"}))

    @property
    def _built(self) -> Corruption:
        return built_mechanism(self.mechanism, self.rate)

    @property
    def changes_static(self) -> bool:
        """That it changes static columns."""
        return True

    @property
    def static_columns(self) -> tuple[str, ...]:
        """Static columns that it names, and those that its mechanism goes by."""
        return (*(self.columns or ()), *self._built.static_columns)

    def why_not(self, X: Any, *, groups: Any = None, static: Any = None) -> str | None:
        """Why the mechanism cannot corrupt these static columns, or these samples with them."""
        if static is None:
            return "there are no static columns; name them (static)"
        problem = self._built.why_not(self._table(static), groups=groups, static=static)
        if problem is None and self.with_samples:
            problem = self._built.why_not(X, groups=groups, static=static)
        return problem

    def learn(
        self,
        X: Any,
        seed: int | Sequence[int],
        *,
        times: Any = None,
        groups: Any = None,
        y: Any = None,
        static: Any = None,
    ) -> Learned:
        """What the mechanism learns of the static columns of the training part, and of its samples."""
        table = static_of_samples(X, static, type(self).__name__)
        known = {"groups": groups, "y": y, "static": table}
        of_samples = self._built.learn(X, seed, times=times, **known) if self.with_samples else None
        return Learned((self._built.learn(self._table(table), seed, **known), of_samples))

    def corrupted(
        self,
        X: Any,
        seed: int | Sequence[int],
        *,
        times: Any = None,
        groups: Any = None,
        y: Any = None,
        static: Any = None,
        learned: Learned | None = None,
    ) -> Corrupted:
        """Static columns as they are afterwards, with X; parameters and errors as :func:`corrupt`."""
        known = self.learn(X, seed, times=times, groups=groups, y=y, static=static) if learned is None else learned
        table = static_of_samples(X, static, type(self).__name__)
        of_table, of_samples = known.state
        given = {"groups": groups, "y": y, "static": table}
        inside = self._built.corrupted(self._table(table), seed, **given, learned=of_table)
        changed = pd.DataFrame({name: inside.X[name] if name in inside.X else table[name] for name in table.columns})
        if self.with_samples:
            found = self._built.corrupted(X, seed, times=times, **given, learned=of_samples)
            return dataclasses.replace(found, realised=inside.realised, static=changed)
        return Corrupted(X, np.zeros_like(observed_mask(X)), inside.realised, changed)

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """None of the cells of X: what goes is in ``corrupted``."""
        return np.zeros_like(cells.observed)

    def _table(self, static: pd.DataFrame) -> pd.DataFrame:
        """The columns that it changes."""
        if self.columns is None:
            return static
        absent = [name for name in self.columns if name not in static.columns]
        if absent:
            there = ", ".join(map(str, static.columns))
            raise ValueError(f"columns names {absent[0]!r}, which is no static column of the data; there are: {there}")
        return static[list(self.columns)]
