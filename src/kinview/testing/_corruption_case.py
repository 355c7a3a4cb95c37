"""A corruption under test, the samples it is tried on, and the units that its rate counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64

from kinview.data.modality import SERIES, TABLE
from kinview.evaluation.corruptions.base import Corruption, Learned, observed_mask

__all__ = ["ROWS", "Case", "Unit", "panel_of", "samples_of", "times_of"]

ROWS = {SERIES: 12, TABLE: 60}
CHANNELS, STEPS = 4, 20

Unit = Literal["cell", "timestep", "channel", "column"] | Callable[[tuple[int, ...], Mapping[str, Any]], Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """One corruption on one kind of data."""

    part: Corruption
    kind: str
    unit: Unit | None
    rates: tuple[float, ...]

    @property
    def seeds(self) -> range:
        """Seeds to try; a frame takes its time."""
        return range(4 if self.kind == SERIES else 1)

    def at(self, rate: float) -> Corruption:
        """The corruption at another rate."""
        return dataclasses.replace(self.part, rate=rate)

    def samples(self, seed: int = 0, n: int | None = None) -> Any:
        """Series with gaps, of unequal length; or a table with gaps and columns of several kinds."""
        n = ROWS[self.kind] if n is None else n
        return samples_of(n, seed) if self.kind == SERIES else _table(n, seed)

    def given(self, n: int | None = None) -> dict[str, Any]:
        """Groups, labels, static columns and, of series, uneven times of each sample."""
        n = ROWS[self.kind] if n is None else n
        rows = np.arange(n)
        groups = np.array(list("ABC"))[rows % 3]
        static = pd.DataFrame({"site": groups, "sex": np.array(["f", "m"])[rows // 3 % 2]})
        return {
            "times": times_of(n) if self.kind == SERIES else None,
            "groups": groups,
            "y": rows // 2 % 2,
            "static": static,
        }

    def corrupted(
        self, X: Any, rate: float, seed: int | Sequence[int] = 0, learned: Learned | None = None, **changed: Any
    ) -> tuple[Any, Any]:
        """The samples, corrupted, and the mask of what was removed."""
        n = len(X)
        return self.at(rate).apply(X, seed, **{**self.given(n), **changed}, learned=learned)

    def removed(self, X: Any, rate: float, seed: int | Sequence[int] = 0, **how: Any) -> Bool[np.ndarray, "n ..."]:
        """The mask of what was removed."""
        return np.asarray(self.corrupted(X, rate, seed, **how)[1])

    def units(self, X: Any) -> Int64[np.ndarray, "n ..."]:
        """Number of the unit that each cell belongs to, -1 for one that the rate does not count."""
        shape = tuple(X.shape)
        if callable(self.unit):
            ids = np.asarray(self.unit(shape, self.given(shape[0])))
            assert ids.shape == shape, f"unit must return an array of the shape of X, {shape}; got {ids.shape}"
            return ids
        assert self.unit is not None
        along = {"cell": range(len(shape)), "timestep": (0, 2), "channel": (0, 1), "column": (1,)}[self.unit]
        index = np.indices(shape)
        assert len(shape) == 3 or self.unit in ("cell", "column"), f"a table has no {self.unit}s"
        return np.asarray(np.ravel_multi_index([index[axis] for axis in along], [shape[axis] for axis in along]))

    def counted(self, X: Any, removed: Bool[np.ndarray, "n ..."]) -> tuple[int, int, int]:
        """Units of which all that was observed is gone, of which a part is, and all of them."""
        observed, ids = observed_mask(X), self.units(X)
        known = observed & (ids >= 0)
        stray = removed & ~known
        assert not stray.any(), f"{int(stray.sum())} cells are removed that are not among those that the rate counts"
        every, touched, kept = (set(ids[where].tolist()) for where in (known, known & removed, known & ~removed))
        return len(touched - kept), len(touched & kept), len(every)


def samples_of(n: int, seed: int = 0) -> Float[np.ndarray, "n channels time"]:
    """Series with single gaps and one missing step, of which each ends a step earlier."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, CHANNELS, STEPS)).astype(np.float32)
    x[random.random(x.shape) < 0.1] = np.nan
    x[1:2, :, 4] = np.nan
    for i in range(n):
        x[i, :, STEPS - i % 12 :] = np.nan
    return x


def times_of(n: int) -> Float[np.ndarray, "n time"]:
    """Time stamps at uneven steps, others in every series, that float32 holds exactly."""
    steps = np.random.default_rng(7).integers(1, 9, size=(n, STEPS))
    return np.asarray(steps.cumsum(axis=1) + 64.0 * np.arange(n)[:, None])


def panel_of(
    x: Float[np.ndarray, "n channels time"], times: Float[np.ndarray, "n time"]
) -> tuple[pd.DataFrame, tuple[Int64[np.ndarray, " rows"], Int64[np.ndarray, " rows"]]]:
    """The same series as a frame (series, time) without the steps after a series' end; series and step of its rows.

    Columns are named by their number.
    """
    observed = ~np.isnan(x).all(axis=1)
    lengths = x.shape[2] - observed[:, ::-1].argmax(axis=1)
    series, step = np.nonzero(np.arange(x.shape[2]) < lengths[:, None])
    index = pd.MultiIndex.from_arrays([series, times[series, step]], names=["series", "time"])
    return pd.DataFrame(x[series, :, step], index=index, columns=range(x.shape[1])), (series, step)


def _table(n: int, seed: int) -> pd.DataFrame:
    """Columns of several kinds, named by their number."""
    random = np.random.default_rng(seed)
    columns = [
        random.normal(size=n),
        pd.array(random.integers(0, 9, n), dtype="Int64"),
        pd.Series(random.choice(["a", "b", "c"], n)),
        pd.array(random.random(n) < 0.5, dtype="boolean"),
    ]
    frame = pd.DataFrame(dict(enumerate(columns)))
    return frame.mask(random.random(frame.shape) < 0.1)
