"""Content and layout of all sheets."""

from __future__ import annotations

import dataclasses
import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kinview.data.batch import Batch
    from kinview.data.table import TableSchema

__all__ = [
    "INK",
    "MUTED",
    "ORIGINAL",
    "PARTNER",
    "VIEW",
    "Sheet",
    "View",
    "cell_text",
    "drawing",
    "figure_bytes",
    "head",
    "shortened",
    "without_neighbours",
]

# Okabe and Ito's colours, told apart by the colour-blind, on white paper whatever surrounds it
INK, MUTED, ORIGINAL, VIEW, PARTNER = "#1a1a1a", "#5a5a5a", "#b4b4b4", "#0072b2", "#d55e00"
_HEAD = 0.22  # inches, one line of the title


@dataclasses.dataclass(frozen=True)
class View:
    """One view of the pool, and what stands above it."""

    title: str
    batch: Batch


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Samples and their views, with the names that tensors cannot hold.

    Attributes
    ----------
    title, subtitle : str
        Augmentation, and data with seed.
    pool : Batch
        All rows that were augmented together; the first ``n_samples`` are drawn.
    views : tuple of View
        Each of the whole pool.
    names : tuple of str
        All channels or columns.
    shown : tuple of int
        Those that are drawn.
    rows : tuple of str
        Name of each row of the pool.
    schema : TableSchema or None
        Of a table.
    time_label : str
        Of the time axis.
    """

    title: str
    subtitle: str
    pool: Batch
    n_samples: int
    views: tuple[View, ...]
    names: tuple[str, ...]
    shown: tuple[int, ...]
    rows: tuple[str, ...]
    schema: TableSchema | None
    time_label: str

    def mixed_with(self, view: Batch, row: int) -> int | None:
        """Position in the pool of the row that this one was mixed with; None where it stands alone."""
        partner: Any = view.extra.get("partner")
        if partner is None or int(partner[row]) == row:
            return None
        return int(partner[row])

    def mixture(self, view: Batch, row: int) -> str:
        """Name of the row that this one was mixed with, and the own weight."""
        partner = self.mixed_with(view, row)
        if partner is None:
            return ""
        weight: Any = view.extra.get("coefficient")
        own = "" if weight is None else f"{100 * float(weight[row]):.0f} % own, "
        return f"{own}with {self.rows[partner]}"


@contextmanager
def drawing() -> Iterator[None]:
    """Settings under which a sheet is drawn the same way each time, whatever the user set for other figures."""
    import matplotlib

    settings: Any = {
        "text.parse_math": False, "text.usetex": False, "font.family": "sans-serif", "font.size": 8,
        "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": "#8a8a8a", "axes.facecolor": "white",
        "axes.titlesize": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6,
        "xtick.color": "#8a8a8a", "ytick.color": "#8a8a8a", "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED,
        "xtick.major.size": 2.5, "ytick.major.size": 2.5, "figure.facecolor": "white", "hatch.linewidth": 0.5,
        "legend.frameon": False,
    }  # fmt: skip
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def head(figure: Figure, sheet: Sheet, width: float) -> float:
    """Write title and subtitle at the top of a figure of this width; the height that they take, both in inches.

    The figure has to have its final height when this is called a second time: positions are fractions of it.
    """
    lines = [*textwrap.wrap(sheet.title, max(30, int(width * 12.5)), break_on_hyphens=False), sheet.subtitle]
    high = figure.get_size_inches()[1]
    for text in list(figure.texts):
        text.remove()
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        figure.text(
            0.1 / width, 1 - (0.12 + _HEAD * number) / high, line, va="top",
            size=8.5 if last else 10, weight="normal" if last else "bold", color=MUTED if last else INK,
        )  # fmt: skip
    return 0.14 + _HEAD * len(lines)


def figure_bytes(figure: Figure, kind: str, *, dpi: int = 144) -> bytes:
    """A figure as ``"png"`` or ``"svg"``, the same bytes each time: no date, no version, text of an SVG as text."""
    import matplotlib

    stream = io.BytesIO()
    metadata: dict[str, None] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    with drawing():
        matplotlib.rcParams.update({"svg.hashsalt": "kinview", "svg.fonttype": "none"})
        figure.savefig(stream, format=kind, dpi=dpi, metadata=metadata)
    return stream.getvalue()


def cell_text(value: Any) -> str:
    """A cell of a table for people: a number to four digits, nothing for what is missing."""
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def shortened(text: str, most: int) -> str:
    """Text of at most so many characters, its end marked where it was cut."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def without_neighbours(seen: Bool[np.ndarray, " t"]) -> Bool[np.ndarray, " t"]:
    """Observed steps between two that are not, which no line shows.

    Examples
    --------
    >>> without_neighbours(np.array([True, False, True, True])).tolist()
    [True, False, False, False]
    """
    around = np.concatenate([[False], seen, [False]])
    alone: np.ndarray = seen & ~around[:-2] & ~around[2:]
    return alone
