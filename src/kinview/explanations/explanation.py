"""An explanation: the importance of each cell, with the names that it goes by."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from kinview.explanations.explainer import Explainer
from kinview.explanations.hiding import WINDOWS
from kinview.files import atomic_write
from kinview.parameters import check_integer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation"]


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """How important each observed cell of each sample is to its representation.

    Attributes
    ----------
    values : ndarray (n, channels, time) or (n, columns)
        Importance; NaN where nothing was observed. Of attributions with a sign the absolute value is the importance.
    explainer : Explainer
        What gave it, with what it has learned.
    names : tuple of str
        Channels or columns.
    index : Index
        Name of each sample.
    given : ndarray or DataFrame
        The samples in their own units.
    steps : tuple of Index
        Of series: what each step is called, within the length of each.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview import explain
    >>> from kinview.methods import RawFeatures
    >>> X = pd.DataFrame({"age": [40.0, 60.0, 50.0], "crp": [1.0, None, 3.0]}, index=["a", "b", "c"])
    >>> found = explain(RawFeatures().fit(X), X, distance="euclidean")
    >>> found.to_frame().round(2)
        age  crp
    a  1.22  1.0
    b  1.22  NaN
    c  0.00  1.0
    """

    values: Float64[np.ndarray, "n ..."]
    explainer: Explainer
    names: tuple[str, ...]
    index: pd.Index
    given: Float64[np.ndarray, "n c t"] | pd.DataFrame
    steps: tuple[pd.Index, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def of_series(self) -> bool:
        """Whether the samples are series."""
        return self.values.ndim == 3

    def to_frame(self) -> pd.DataFrame:
        """Importance as a table: a row a sample; of series a row a step, a column a channel, indexed by both."""
        if not self.of_series:
            return pd.DataFrame(self.values, index=self.index, columns=list(self.names))
        counts = [len(labels) for labels in self.steps]
        values = np.concatenate([row[:, :count].T for row, count in zip(self.values, counts, strict=True)])
        repeated = self.index.repeat(counts)
        levels = [repeated.get_level_values(level) for level in range(repeated.nlevels)]
        labels = self.steps[0].append(list(self.steps[1:]))
        names = [*("sample" if name is None and self.index.nlevels == 1 else name for name in self.index.names)]
        step = "step" if labels.name is None else labels.name
        return pd.DataFrame(
            values, index=pd.MultiIndex.from_arrays([*levels, labels], names=[*names, step]), columns=list(self.names)
        )

    def top(self, sample: int = 0, number: int = 5) -> pd.DataFrame:
        """The most important windows, or columns, of a sample, the most important first.

        Parameters
        ----------
        sample : int
            Position of the sample.
        number : int
            How many.

        Returns
        -------
        DataFrame
            Of series ``channel``, ``first`` and ``last`` step of the window, and ``importance``, the mean over its
            observed steps; windows are twentieths of the series, side by side. Of tables ``column``, its ``value`` and
            ``importance``. Windows and columns without an observed value are left out.
        """
        self._check_sample(sample)
        check_integer(number, "number", at_least=1)
        rows = self._windows(sample) if self.of_series else self._columns(sample)
        rows.sort(key=lambda row: -abs(row["importance"]))
        empty = ["channel", "first", "last", "importance"] if self.of_series else ["column", "value", "importance"]
        return pd.DataFrame(rows[:number], columns=empty)

    def plot(self, samples: int | Sequence[int] = 0, *, channels: int = 4) -> Figure:
        """A heat map a sample.

        Series are drawn as lines, a lane for each channel, the importance of each step as the colour behind it, white
        being none and each sample having a scale of its own; rows of tables as bars with the value of each column.

        Parameters
        ----------
        samples : int or sequence of int
            Positions of the samples to draw.
        channels : int
            Most channels of a series that are drawn; the most important ones of all samples drawn. Of tables four
            times as many columns are drawn.

        Returns
        -------
        matplotlib.figure.Figure
            It belongs to no window; ``figure.savefig("sample.svg")`` writes it.
        """
        from kinview.explanations._draw import draw_bars, draw_heat_maps

        chosen = [samples] if isinstance(samples, int | np.integer) else list(samples)
        if not chosen:
            raise ValueError("samples must name at least one sample to draw")
        for sample in chosen:
            self._check_sample(sample)
        check_integer(channels, "channels", at_least=1)
        return (draw_heat_maps if self.of_series else draw_bars)(self, [int(one) for one in chosen], channels)

    def save(self, path: str | os.PathLike[str], samples: int | Sequence[int] = 0, *, channels: int = 4) -> Path:
        """Write the picture of :meth:`plot`, .png or .svg, and return its path.

        Raises
        ------
        ValueError
            If the path ends otherwise.
        """
        from kinview.diagnostics.sheet import figure_bytes

        kind = Path(path).suffix.lower()
        if kind not in (".png", ".svg"):
            raise ValueError(f"{os.fspath(path)} must end in .png or .svg")
        return atomic_write(path, figure_bytes(self.plot(samples, channels=channels), kind[1:]))

    def title(self, sample: int) -> str:
        """What a sample is called."""
        key = self.index[sample]
        noun = "series" if self.of_series else "row"
        return f"{noun} {' '.join(map(str, key)) if isinstance(key, tuple) else key}"

    def _windows(self, sample: int) -> list[dict[str, Any]]:
        labels, rows = self.steps[sample], []
        edges = np.unique(np.ceil(np.arange(WINDOWS + 1) * len(labels) / WINDOWS).astype(int))
        for channel, name in enumerate(self.names):
            for start, end in itertools.pairwise(edges):
                values = self.values[sample, channel, start:end]
                if np.isfinite(values).any():
                    rows.append({"channel": name, "first": labels[start], "last": labels[end - 1],
                                 "importance": float(np.nanmean(values))})  # fmt: skip
        return rows

    def _columns(self, sample: int) -> list[dict[str, Any]]:
        assert isinstance(self.given, pd.DataFrame)
        found = zip(self.names, self.given.iloc[sample], self.values[sample], strict=True)
        return [
            {"column": name, "value": value, "importance": float(importance)}
            for name, value, importance in found
            if np.isfinite(importance)
        ]

    def _check_sample(self, sample: int) -> None:
        check_integer(sample, "sample", at_least=0)
        if sample >= len(self):
            raise ValueError(f"there is no sample {sample}: the explanation has {len(self)}, from 0 to {len(self) - 1}")
