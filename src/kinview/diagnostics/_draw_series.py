"""Series and their views as lines, one row a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinview.diagnostics.sheet import (
    INK,
    MUTED,
    ORIGINAL,
    PARTNER,
    VIEW,
    Sheet,
    drawing,
    head,
    shortened,
    without_neighbours,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kinview.data.batch import Batch

__all__ = ["draw_series"]

_LANE = (1.0, 0.42)  # inches: height of one channel, and of each further one
_GAP, _LEFT, _RIGHT, _ROW_HEAD, _FOOT = 0.14, 0.72, 0.12, 0.22, 0.72
_HEADS = 0.24
_SPREAD = 0.86  # fraction of its lane that a channel may fill
_MANY = 5_000  # steps from which an SVG holds an image of the lines

Values = NDArray[np.float64]


def draw_series(sheet: Sheet) -> Figure:
    """Draw series: originals left, views right, time axis below."""
    from matplotlib.figure import Figure

    columns = 1 + len(sheet.views)
    panel = 2.9 if columns <= 3 else 2.3
    tall = _LANE[0] + _LANE[1] * (len(sheet.shown) - 1)
    width = _LEFT + columns * panel + (columns - 1) * _GAP + _RIGHT
    with drawing():
        figure = Figure(figsize=(width, 1))
        top = head(figure, sheet, width) + _HEADS
        height = top + sheet.n_samples * (tall + _ROW_HEAD) + _FOOT
        figure.set_size_inches(width, height)
        head(figure, sheet, width)
        partners = False
        for row in range(sheet.n_samples):
            bottom = height - top - (row + 1) * (tall + _ROW_HEAD) + 0.02
            boxes = [
                ((_LEFT + i * (panel + _GAP)) / width, bottom / height, panel / width, tall / height)
                for i in range(columns)
            ]
            partners |= _draw_row(figure, sheet, row, boxes)
        _share_time(figure.axes, columns, sheet.time_label)
        _legend(figure, partners)
    return figure


def _draw_row(figure: Figure, sheet: Sheet, row: int, boxes: list[tuple[float, float, float, float]]) -> bool:
    """One sample; whether a partner was drawn."""
    original = sheet.pool
    batches = [original, *(view.batch for view in sheet.views)]
    drawn = [_channels(sheet, batch, row) for batch in batches]
    lanes = _lanes(drawn, len(sheet.shown))
    partners = False
    for i, (batch, values, box) in enumerate(zip(batches, drawn, boxes, strict=True)):
        axes = figure.add_axes(box, label=f"sample {row}, {'original' if i == 0 else sheet.views[i - 1].title}")
        same_steps = batch.x.shape[2] == original.x.shape[2]
        if i > 0 and (same_steps or "offset" in batch.extra):
            below = {lane: drawn[0][lane] for lane in values}
            _lines(axes, _clock(original, row), below, lanes, {"color": ORIGINAL, "lw": 1.1, "gid": "original"})
        partner = sheet.mixed_with(batch, row) if i > 0 and same_steps else None
        if partner is not None:
            look: dict[str, Any] = {"color": PARTNER, "lw": 0.8, "ls": (0, (3, 2)), "gid": "partner"}
            _lines(axes, _clock(original, partner), _channels(sheet, original, partner), lanes, look)
            partners = True
        x = _clock(batch, row)
        look = {"color": INK if i == 0 else VIEW, "lw": 1.1, "gid": "original" if i == 0 else "view"}
        _lines(axes, x, values, lanes, look)
        _mark_shared(axes, batch, row, x)
        if row == 0:
            axes.set_title("original" if i == 0 else sheet.views[i - 1].title, pad=_ROW_HEAD * 72 + 2, weight="bold")
        note = sheet.rows[row] if i == 0 else sheet.mixture(batch, row)
        axes.annotate(shortened(note, int(box[2] * figure.get_figwidth() * 15)), (0, 1), (0, 3), "axes fraction",
                      textcoords="offset points", va="bottom", size=8, color=MUTED)  # fmt: skip
        _scale(axes, lanes, [sheet.names[c] for c in sheet.shown], first=i == 0)
    return partners


def _channels(sheet: Sheet, batch: Batch, row: int) -> dict[int, Values]:
    """Values of the channels that are drawn, by lane; a view of one lead stands in the lane of that lead."""
    values = batch.x[row].double().cpu().numpy()
    if len(values) == len(sheet.names):
        return {lane: values[channel] for lane, channel in enumerate(sheet.shown)}
    lead: Any = batch.extra.get("lead")
    if lead is not None and len(values) == 1:
        return {lane: values[0] for lane, channel in enumerate(sheet.shown) if channel == int(lead[row])}
    return {lane: values[lane] for lane in range(min(len(values), len(sheet.shown)))}


def _lanes(drawn: list[dict[int, Values]], number: int) -> list[tuple[float, float]]:
    """Middle and range of each lane, over the original and all views, so that what grows is seen to grow."""
    lanes = []
    for lane in range(number):
        seen = np.concatenate([values[lane] for values in drawn if lane in values])
        seen = seen[np.isfinite(seen)]
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
        lanes.append(((low + high) / 2, (high - low) or 1.0))
    return lanes


def _placed(values: Values, lane: int, lanes: list[tuple[float, float]]) -> Values:
    """One channel in its own units, or moved into its lane (0 at the top, one below the other)."""
    if len(lanes) == 1:
        return values
    middle, span = lanes[lane]
    return (values - middle) / span * _SPREAD - lane


def _lines(
    axes: Axes, x: Values, values: dict[int, Values], lanes: list[tuple[float, float]], look: dict[str, Any]
) -> None:
    """Lines that break at gaps; a value without observed neighbours is a dot."""
    for lane, channel in values.items():
        y = _placed(channel, lane, lanes)
        axes.plot(x, y, rasterized=len(y) > _MANY, **look)
        seen = np.isfinite(y) & np.isfinite(x)
        alone = without_neighbours(seen)
        if alone.any():
            axes.plot(x[alone], y[alone], ls="none", marker=".", ms=3.2, mew=0, color=look["color"],
                      gid=f"{look['gid']}-dots")  # fmt: skip


def _clock(batch: Batch, row: int) -> Values:
    """Where the steps of a row stand on the time axis.

    Steps that were re-ordered took their stamps along; they are drawn in their new order, on the same instants.
    """
    steps = batch.x.shape[2]
    if batch.times is None:
        offset: Any = batch.extra.get("offset")
        start = int(offset[row]) if offset is not None and offset.ndim == 1 and batch.x.shape[2] else 0
        return np.arange(start, start + steps, dtype=np.float64)
    times = batch.times[row].double().cpu().numpy()
    known = np.isfinite(times)
    placed = np.full(steps, np.nan)
    placed[known] = np.sort(times[known])
    return placed


def _mark_shared(axes: Axes, batch: Batch, row: int, x: Values) -> None:
    """Shade the steps that a pair of crops has in common."""
    shared: Any = batch.extra.get("shared")
    if shared is not None and shared.ndim == 2 and shared.shape[1] == 2:
        first, end = (int(position) for position in shared[row])
        if end > first:
            axes.axvspan(x[first], x[end - 1], color=VIEW, alpha=0.1, lw=0, gid="shared")


def _scale(axes: Axes, lanes: list[tuple[float, float]], names: list[str], *, first: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    if len(lanes) == 1:
        middle, span = lanes[0]
        axes.set_ylim(middle - 0.56 * span, middle + 0.56 * span)
        axes.yaxis.set_major_locator(MaxNLocator(4))
    else:
        axes.set_ylim(0.44 - len(lanes), 0.56)
        axes.set_yticks([-lane for lane in range(len(names))], [shortened(name, 12) for name in names])
        axes.tick_params(axis="y", length=0)
    if not first:
        axes.tick_params(axis="y", labelleft=False)


def _share_time(panels: list[Axes], columns: int, label: str) -> None:
    """The same time axis for all panels, as far as anything was observed, written below the last row."""
    from matplotlib.ticker import MaxNLocator

    low, high = np.inf, -np.inf
    for axes in panels:
        for line in axes.lines:
            x, y = (np.asarray(values, dtype=np.float64) for values in line.get_data())
            x = x[np.isfinite(x) & np.isfinite(y)]
            if x.size:
                low, high = min(low, float(x.min())), max(high, float(x.max()))
    if not np.isfinite(low):
        low, high = 0.0, 1.0
    margin = 0.02 * ((high - low) or 1.0)
    for number, axes in enumerate(panels):
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=label == "step"))
        if number < len(panels) - columns:
            axes.tick_params(axis="x", labelbottom=False)
        else:
            axes.set_xlabel(label)


def _legend(figure: Figure, partners: bool) -> None:
    from matplotlib.lines import Line2D

    keys = [Line2D([], [], color=VIEW, lw=1.4, label="view"), Line2D([], [], color=ORIGINAL, lw=1.4, label="original")]
    if partners:
        keys.append(Line2D([], [], color=PARTNER, lw=1.0, ls=(0, (3, 2)), label="partner"))
    figure.legend(handles=keys, loc="lower right", ncols=len(keys), fontsize=8, borderaxespad=0.3)
