"""Heat maps of explanations: series with their importance behind them, rows of tables as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.diagnostics.sheet import INK, MUTED, PARTNER, VIEW, cell_text, drawing, shortened, without_neighbours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    from kinview.explanations.explanation import Explanation

__all__ = ["draw_bars", "draw_heat_maps"]

_WIDTH, _LEFT, _RIGHT = 7.6, 0.95, 0.95  # inches
_TOP, _HEAD, _FOOT, _LANE, _GAP = 0.15, 0.26, 0.5, 0.8, 0.06
_BETWEEN = 0.24  # from the last lane of a sample to the next sample, for its steps
_BAR = 0.22
_MANY = 4  # columns of a table that are drawn for each channel of a series

Values = NDArray[np.float64]


def draw_heat_maps(explanation: Explanation, samples: list[int], channels: int) -> Figure:
    """Series, one block of lanes a sample."""
    from matplotlib.figure import Figure

    shown = _most_important(explanation, samples, channels)
    block = _HEAD + len(shown) * (_LANE + _GAP) + _BETWEEN
    height = _TOP + len(samples) * block + _FOOT - _BETWEEN
    with drawing():
        figure = Figure(figsize=(_WIDTH, height))
        for place, sample in enumerate(samples):
            colour = _colours(explanation.values[sample])
            for lane, channel in enumerate(shown):
                y = height - _TOP - place * block - _HEAD - (lane + 1) * (_LANE + _GAP)
                box = (_LEFT / _WIDTH, y / height, (_WIDTH - _LEFT - _RIGHT) / _WIDTH, _LANE / height)
                axes = figure.add_axes(box, label=f"{explanation.title(sample)}, {explanation.names[channel]}")
                _lane(axes, explanation, sample, channel, colour)
                if lane == 0:
                    left = len(explanation.names) - len(shown)
                    note = f" ({left} further channels less important)" if left else ""
                    axes.set_title(f"{explanation.title(sample)}{note}", loc="left", weight="bold", pad=4)
                if lane < len(shown) - 1:
                    axes.tick_params(axis="x", labelbottom=False)
                elif place == len(samples) - 1:
                    axes.set_xlabel(str(explanation.steps[sample].name or "step"))
            _key(figure, colour, height - _TOP - place * block - _HEAD, min(1.3, len(shown) * (_LANE + _GAP)) - _GAP)
    return figure


def _key(figure: Figure, colour: ScalarMappable, top: float, high: float) -> None:
    """The colours of one sample, beside it."""
    width, height = figure.get_size_inches()
    bar = figure.add_axes(((width - 0.75) / width, (top - high - _GAP) / height, 0.11 / width, high / height))
    bar.set_label("key")
    figure.colorbar(colour, cax=bar)
    bar.set_title("importance", size=7.5, color=MUTED)


def draw_bars(explanation: Explanation, samples: list[int], channels: int) -> Figure:
    """Rows of a table: a bar for each of the most important columns."""
    from matplotlib.figure import Figure

    number = min(_MANY * channels, len(explanation.names))
    block = _HEAD + number * _BAR + 0.3
    height = _TOP + len(samples) * block + _FOOT - 0.2
    tables = [explanation.top(sample, number) for sample in samples]
    named = [[_cell(*each) for each in zip(table["column"], table["value"], strict=True)] for table in tables]
    labels = 0.3 + 0.07 * max((len(name) for names in named for name in names), default=0)
    limit = _limit(explanation.values[samples])
    signed = _signed(explanation.values[samples])
    with drawing():
        figure = Figure(figsize=(_WIDTH, height))
        for place, sample in enumerate(samples):
            y = height - _TOP - _HEAD - place * block - number * _BAR
            box = (labels / _WIDTH, y / height, (_WIDTH - labels - 0.3) / _WIDTH, number * _BAR / height)
            axes = figure.add_axes(box, label=explanation.title(sample))
            values = tables[place]["importance"].to_numpy(dtype=np.float64)
            axes.barh(np.arange(len(values)), values, color=[PARTNER if v >= 0 else VIEW for v in values], height=0.7)
            axes.set_yticks(np.arange(len(values)), named[place])
            axes.set(ylim=(number - 0.5, -0.5), xlim=(-1.05 * limit if signed else 0, 1.05 * limit))
            axes.tick_params(axis="y", length=0)
            axes.axvline(0, color=MUTED, lw=0.6)
            axes.set_title(explanation.title(sample), loc="left", weight="bold", pad=4)
            if place == len(samples) - 1:
                axes.set_xlabel("importance")
    return figure


def _lane(axes: Axes, explanation: Explanation, sample: int, channel: int, colour: ScalarMappable) -> None:
    """One channel: a line, broken at gaps, in front of its importance."""
    assert isinstance(explanation.given, np.ndarray)
    labels = explanation.steps[sample]
    x, dates = _places(labels)
    y = explanation.given[sample, channel, : len(labels)]
    importance = explanation.values[sample, channel, : len(labels)]
    seen = np.isfinite(y)
    low, high = (float(y[seen].min()), float(y[seen].max())) if seen.any() else (0.0, 1.0)
    margin = 0.12 * ((high - low) or 1.0)
    if len(x):
        heights: Any = (low - margin, high + margin)
        shade: Any = {"cmap": colour.cmap, "norm": colour.norm, "rasterized": True, "gid": "importance"}
        axes.pcolormesh(_edges(x), heights, np.ma.masked_invalid(importance)[None], **shade)
        axes.plot(x, y, color=INK, lw=1.0, gid="series")
        alone = without_neighbours(seen)
        axes.plot(x[alone], y[alone], ls="none", marker=".", ms=3.2, mew=0, color=INK, gid="series-dots")
    axes.set_ylim(low - margin, high + margin)
    axes.set_ylabel(shortened(explanation.names[channel], 14), rotation=0, ha="right", va="center")
    axes.yaxis.set_ticks([])
    if dates:
        axes.xaxis_date()


def _most_important(explanation: Explanation, samples: list[int], most: int) -> list[int]:
    """The channels that are drawn, in their order."""
    values = np.abs(explanation.values[samples])
    of_channel = np.nan_to_num(values).max(axis=(0, 2))
    return sorted(np.argsort(-of_channel, kind="stable")[:most].tolist())


def _colours(values: Values) -> ScalarMappable:
    """From white to vermilion; from blue over white where there are attributions with a sign."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    limit = _limit(values)
    if _signed(values):
        return ScalarMappable(
            Normalize(-limit, limit), LinearSegmentedColormap.from_list("signed", [VIEW, "white", PARTNER])
        )
    return ScalarMappable(Normalize(0, limit), LinearSegmentedColormap.from_list("unsigned", ["white", PARTNER]))


def _limit(values: Values) -> float:
    return float(np.abs(np.nan_to_num(values)).max()) or 1.0


def _signed(values: Values) -> bool:
    return bool((np.nan_to_num(values) < 0).any())


def _places(labels: pd.Index) -> tuple[Values, bool]:
    """Where steps stand on the axis, and whether they are dates."""
    if isinstance(labels, pd.DatetimeIndex) and labels.tz is None:
        import matplotlib.dates

        numbers: Any = matplotlib.dates.date2num(labels.to_numpy())  # type: ignore[no-untyped-call]
        return np.asarray(numbers, dtype=np.float64), True
    if pd.api.types.is_numeric_dtype(labels):
        return labels.to_numpy(dtype=np.float64), False
    return np.arange(len(labels), dtype=np.float64), False


def _edges(x: Values) -> Values:
    """Ends of the cells around the places of steps."""
    if len(x) == 1:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    middle = (x[:-1] + x[1:]) / 2
    return np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])


def _cell(name: str, value: Any) -> str:
    return shortened(f"{name} = {cell_text(value)}", 36)
