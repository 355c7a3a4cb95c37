"""Rows of a table, or embeddings, and their views as heat-maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinview.diagnostics.sheet import INK, MUTED, Sheet, drawing, head, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kinview.data.batch import Batch

__all__ = ["draw_table"]

_CELL = 0.23  # inches, height of a row
_WIDE = 9  # columns up to which the panels stand side by side; more, and they stand below each other
_RIGHT, _GAP, _FOOT = 0.15, 0.22, 0.62
_LIMIT = 3.0  # standard deviations at which the colours end
_TINTS = ("#e9f2c4", "#cfe9cf", "#e6dcf0", "#f6e8ae", "#d8d8e6", "#c8e6dc", "#efd9e8", "#e4e2da")  # none of the scale's
_MISSING = "#9a9a9a"

Values = NDArray[np.float64]


def draw_table(sheet: Sheet) -> Figure:
    """Draw a table: the original and each view as a heat-map, changed cells framed."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    panels = [("original", sheet.pool), *((view.title, view.batch) for view in sheet.views)]
    columns = [_columns(sheet, batch) for _, batch in panels]
    beside = max(map(len, columns)) <= _WIDE
    cell = _cell_width(sheet, beside)
    labels = [
        [shortened("?" if column is None else sheet.names[column], 22) for _, column in shown] for shown in columns
    ]
    over = 0.16 + 0.062 * max(len(name) for names in labels for name in names)  # turned column names
    left = 0.2 + 0.062 * max(len(shortened(name, 24)) for name in sheet.rows[: sheet.n_samples])
    notes = [[sheet.mixture(batch, row) for row in range(sheet.n_samples)] for _, batch in panels]
    aside = [0.08 + 0.058 * max(map(len, column)) if any(column) else 0.0 for column in notes]
    same = not beside and all(names == labels[0] for names in labels)  # then they are written once, at the top
    tall, wide = _CELL * sheet.n_samples, [cell * len(shown) for shown in columns]
    across = [w + a for w, a in zip(wide, aside, strict=True)]
    width = max(left + (sum(across) + _GAP * (len(panels) - 1) if beside else max(across)) + _RIGHT, 5.2)
    colour = ScalarMappable(Normalize(-_limit(sheet), _limit(sheet)), "RdBu_r")
    with drawing():
        figure = Figure(figsize=(width, 1))
        top = head(figure, sheet, width) + 0.05
        first, block = 0.24 + over + tall, 0.24 + tall + (0 if same else over)
        height = top + first + (0 if beside else (block + _GAP) * (len(panels) - 1)) + _FOOT
        figure.set_size_inches(width, height)
        head(figure, sheet, width)
        x, y = left, height - top - first
        for i, (title, batch) in enumerate(panels):
            axes = figure.add_axes((x / width, y / height, wide[i] / width, tall / height), label=title)
            everything = _heat_map(axes, sheet, batch, columns[i], colour, cell)
            named = i == 0 or not same
            axes.set_title(
                f"{title}, all changed" if everything else title,
                loc="left",
                weight="bold",
                pad=over * 72 if named else 4,
            )
            axes.set_xticks(
                np.arange(len(columns[i])) + 0.5, labels[i] if named else [""] * len(labels[i]), rotation=90
            )
            rows = [shortened(name, 24) if not beside or i == 0 else "" for name in sheet.rows[: sheet.n_samples]]
            axes.set_yticks(np.arange(sheet.n_samples) + 0.5, rows)
            for row, note in enumerate(notes[i]):
                if note:
                    axes.text(len(columns[i]) + 0.08 / cell, row + 0.5, note, va="center", size=7.5, color=MUTED)
            x, y = (x + across[i] + _GAP, y) if beside else (x, y - block - _GAP)
        _key(figure, colour, sheet, left, width, height)
    return figure


def _columns(sheet: Sheet, batch: Batch) -> list[tuple[int, int | None]]:
    """Columns of a panel: position in its batch, and in the table.

    A narrower view says by ``extra["columns"]`` which columns it has; one that does not has columns without a name.
    """
    width = batch.x.shape[1]
    if width == len(sheet.names):
        return [(column, column) for column in sheet.shown]
    kept: Any = batch.extra.get("columns")
    if kept is None or kept.ndim != 2:
        return [(place, None) for place in range(min(width, len(sheet.shown)))]
    return [(place, column) for place, column in enumerate(kept[0].tolist()) if column in sheet.shown]


def _heat_map(
    axes: Axes, sheet: Sheet, batch: Batch, columns: list[tuple[int, int | None]], colour: Any, cell: float
) -> bool:
    """Draw the cells of a panel; whether every value in it changed, in which case none is framed."""
    from matplotlib.patches import Rectangle

    n = sheet.n_samples
    original, values = (x[:n].double().cpu().numpy() for x in (sheet.pool.x, batch.x))
    axes.set(xlim=(0, len(columns)), ylim=(n, 0))
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    frames, observed = [], 0
    for place, (position, column) in enumerate(columns):
        for row in range(n):
            value = values[row, position]
            look = _look(sheet, column, value, colour)
            text = look.pop("text")
            axes.add_patch(Rectangle((place, row), 1, 1, **{"lw": 0.6, "ec": "white", **look}))
            if text:
                text = shortened(text, max(1, int(cell / 0.066)))
                axes.text(place + 0.5, row + 0.5, text, ha="center", va="center", size=7)
            before = value if column is None else original[row, column]
            observed += not np.isnan(before)
            if not (value == before or (np.isnan(value) and np.isnan(before))):
                frames.append((place, row))
    everything = len(frames) == observed > 0
    halo: tuple[dict[str, Any], ...] = ({"ec": "white", "lw": 2.4}, {"ec": INK, "lw": 1.1, "gid": "changed"})
    right, down = 0.035 / cell, 0.035 / _CELL
    for place, row in [] if everything else frames:
        for line in halo:  # white around the frame, to be seen on dark cells too
            axes.add_patch(Rectangle((place + right, row + down), 1 - 2 * right, 1 - 2 * down, fill=False, **line))
    return everything


def _look(sheet: Sheet, column: int | None, value: float, colour: Any) -> dict[str, Any]:
    """Colour and text of a cell: a number by its distance from the mean, a category by its name."""
    if np.isnan(value):
        return {"fc": "white", "hatch": "/////", "ec": _MISSING, "gid": "missing", "text": ""}
    described = None if sheet.schema is None or column is None else sheet.schema.columns[column]
    if described is None or described.kind != "categorical":
        return {"fc": colour.to_rgba(value), "gid": "number", "text": ""}
    code = round(value)
    known = 1 <= code <= len(described.categories)
    name = described.categories[code - 1] if known else "unseen"
    return {"fc": _TINTS[code % len(_TINTS)], "gid": "category", "text": str(name if name is not None else "other")}


def _cell_width(sheet: Sheet, beside: bool) -> float:
    """Inches: wide enough for the categories, within reason."""
    if sheet.schema is None:
        return 0.24
    names = [
        name
        for c in sheet.shown
        if sheet.schema.columns[c].kind == "categorical"
        for name in sheet.schema.columns[c].categories
        if name is not None
    ]
    longest = max(map(len, [*names, "unseen"])) if names else 0
    return float(min(max(0.066 * (longest + 1), 0.3), 0.62 if beside else 0.5))


def _limit(sheet: Sheet) -> float:
    if sheet.schema is not None:
        return _LIMIT
    values = np.abs(sheet.pool.x.double().cpu().numpy())
    values = values[np.isfinite(values)]
    return float(np.quantile(values, 0.99)) or 1.0 if values.size else 1.0


def _key(figure: Figure, colour: Any, sheet: Sheet, left: float, width: float, height: float) -> None:
    """Colour scale, and what frames and hatches mean."""
    from matplotlib.patches import Rectangle

    kinds = {None if sheet.schema is None else sheet.schema.columns[c].kind for c in sheet.shown}
    if kinds != {"categorical"}:
        bar = figure.add_axes((left / width, 0.38 / height, 1.3 / width, 0.1 / height), label="key")
        scale = figure.colorbar(colour, cax=bar, orientation="horizontal")
        scale.outline.set_visible(False)
        scale.set_label("value" if kinds == {None} else "standard deviations from the mean", size=7.5, labelpad=1)
        bar.tick_params(labelsize=7, length=2, pad=1)
    keys = [Rectangle((0, 0), 1, 1, fill=False, ec=INK, lw=1.1, label="changed")]
    keys.append(Rectangle((0, 0), 1, 1, fc="white", ec=_MISSING, hatch="/////", label="missing"))
    figure.legend(
        handles=keys, loc="lower left", bbox_to_anchor=((left + 2.2) / width, 0.2 / height), ncols=2, fontsize=8,
        borderaxespad=0, handlelength=1.2, handleheight=1.1,
    )  # fmt: skip
