"""The samples that a model of pairs finds nearest by their other side, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from kinview.data.paired import PairedData, Side
from kinview.data.panel import Panel
from kinview.diagnostics.sheet import INK, MUTED, ORIGINAL, VIEW, cell_text, drawing
from kinview.parameters import check_integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["nearest", "nearest_sheet"]

_CHANNELS = 3  # of a series, in a picture
_COLUMNS = 8  # of a row, in a picture


def nearest(model: Any, X: Any, queries: Sequence[Any], *, side: str, k: int = 5) -> pd.DataFrame:
    """The k samples whose other side is nearest to one side of each query, nearest first.

    Parameters
    ----------
    model : estimator
        A fitted method of pairs.
    X : PairedData, mapping or tuple
        The samples; each that has the other side is a candidate.
    queries : sequence
        Names of samples, as in ``X.index``; where no sample has such a name, as text.
    side : str
        The side by which a query asks; the other one is found.
    k : int
        How many are shown.

    Returns
    -------
    DataFrame
        One row for each query and candidate: ``query``, ``place`` (1 is the nearest), ``sample``, ``cosine`` of the
        projections (NaN of a method without a common space, whose probabilities decide), ``probability`` among all
        candidates, ``own`` (whether it is the query's own other side), and ``own_place``, where that stands; NaN where
        the query lacks it.

    Raises
    ------
    ValueError
        If a query is no sample or lacks its side, or no sample has the other one.

    Examples
    --------
    >>> from kinview.methods import CLIP
    >>> t, phase = np.linspace(0, 6, 40), np.arange(20) / 3
    >>> waves = np.sin(t + phase[:, None])[:, None, :]
    >>> pairs = PairedData(series=waves, table=pd.DataFrame({"phase": phase}))
    >>> small = {"table_encoder": {"mlp": {"hidden_dim": 8, "depth": 1}}, "trainer": {"max_steps": 2}}
    >>> found = nearest(CLIP(**small, random_state=0).fit(pairs), pairs, [3], side="series", k=2)
    >>> found[["query", "place"]].to_numpy().tolist(), bool(found["cosine"].is_monotonic_decreasing)
    ([[3, 1], [3, 2]], True)
    """
    check_integer(k, "k", at_least=1)
    pairs = PairedData.of(X, model.names_)
    if side not in pairs.names:
        raise ValueError(f"side must be {' or '.join(map(repr, pairs.names))}; got {side!r}")
    other = pairs.names[1 - pairs.names.index(side)]
    rows = _rows_of(pairs, queries)
    lacking = ~pairs.side(side).present[rows]
    if lacking.any():
        raise ValueError(f"the sample {pairs.index[rows[lacking.argmax()]]!r} lacks the side {side!r}, and cannot ask")
    there = np.flatnonzero(pairs.side(other).present)
    if not len(there):
        raise ValueError(f"no sample has the side {other!r}, so that none can be found")
    candidates, asked = pairs[there], pairs[rows]
    probabilities = model.match(asked, candidates, side=side)
    cosines = np.full(probabilities.shape, np.nan)
    if model.projects:
        cosines = model.project(asked, side).astype(np.float64) @ model.project(candidates, other).astype(np.float64).T
    nearness = cosines if model.projects else probabilities
    found = []
    for query, row in enumerate(rows):
        order = np.argsort(-nearness[query], kind="stable")
        own = np.flatnonzero(there[order] == row)
        found += [
            {
                "query": pairs.index[row],
                "place": place,
                "sample": pairs.index[there[one]],
                "cosine": float(cosines[query, one]),
                "probability": float(probabilities[query, one]),
                "own": bool(there[one] == row),
                "own_place": float(own[0]) + 1 if len(own) else np.nan,
            }
            for place, one in enumerate(order[:k], start=1)
        ]
    return pd.DataFrame(found)


def _rows_of(pairs: PairedData, queries: Sequence[Any]) -> np.ndarray:
    """Places of the samples of these names."""
    queries = [queries] if isinstance(queries, str) else queries
    if not len(queries):
        raise ValueError("queries names no sample; give at least one")
    exact = {name: row for row, name in enumerate(pairs.index.tolist())}
    texts = {str(name): row for name, row in exact.items()}
    rows = [exact.get(one, texts.get(str(one))) for one in queries]
    absent = [one for one, row in zip(queries, rows, strict=True) if row is None]
    if absent:
        shown = ", ".join(map(repr, pairs.index[:3].tolist()))
        raise ValueError(f"there is no sample {absent[0]!r}; the samples are called {shown}, ...")
    return np.array(rows, dtype=np.int64)


def nearest_sheet(X: Any, found: pd.DataFrame, *, side: str, name: str = "") -> Figure:
    """A picture of queries, each with what was found by it: series as lines, rows of a table as lists.

    Parameters
    ----------
    X : PairedData
        The samples.
    found : DataFrame
        What :func:`nearest` gives.
    side : str
        The side by which the queries ask.
    name : str
        What the title calls the data.
    """
    from matplotlib.figure import Figure

    other = X.names[1 - X.names.index(side)]
    groups = list(found.groupby("query", sort=False))
    columns = 1 + max(len(group) for _, group in groups)
    with drawing():
        figure = Figure(figsize=(2.2 * columns, 0.5 + 1.9 * len(groups)), layout="constrained")
        figure.suptitle(f"{side} → {other}{f', {name}' if name else ''}", size=10, x=0.01, ha="left", weight="bold")
        grid = figure.subplots(len(groups), columns, squeeze=False)
        rows = {sample: row for row, sample in enumerate(X.index.tolist())}
        for axes, (query, group) in zip(grid, groups, strict=True):
            own = group["own_place"].iloc[0]
            where = f"its own: {own:,.0f} of {int(X.side(other).present.sum()):,}" if np.isfinite(own) else "has none"
            _draw(axes[0], X.side(side), rows[query], f"{query}\n{where}", INK)
            for place, one in zip(axes[1:], group.itertuples(), strict=False):
                _draw(place, X.side(other), rows[one.sample], _title(one), VIEW if one.own else ORIGINAL)
            for empty in axes[1 + len(group) :]:
                empty.axis("off")
    return figure


def _title(one: Any) -> str:
    """What stands above a sample that was found."""
    near = f"probability {one.probability:.3f}" if np.isnan(one.cosine) else f"cosine {one.cosine:.2f}"
    return f"{one.place}. {one.sample}{' (its own)' if one.own else ''}\n{near}"


def _draw(axes: Axes, side: Side, row: int, title: str, colour: str) -> None:
    """One side of one sample."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, size=8, color=INK, loc="left")
    data, place = side.data, int(side.place[row])
    if not isinstance(data, Panel):
        assert data is not None
        values = data.iloc[place].dropna()
        lines = [f"{column}: {cell_text(value)}" for column, value in values.items()]
        more = [f"... and {len(lines) - _COLUMNS} more"] if len(lines) > _COLUMNS else []
        axes.text(
            0, 0.98, "\n".join([*lines[:_COLUMNS], *more]), va="top", size=7.5, color=INK, transform=axes.transAxes
        )
        axes.axis("off")
        return
    x = data.batch.x[place].numpy()
    observed = torch.isfinite(data.batch.x).sum(dim=(0, 2)).numpy()  # the same channels for every sample
    shown = np.sort(np.argsort(-observed, kind="stable")[:_CHANNELS])
    for lane, channel in enumerate(shown):
        values, seen = x[channel], np.isfinite(x[channel])
        span = np.ptp(values[seen]) if seen.any() else 0.0
        middle = (values[seen].max() + values[seen].min()) / 2 if seen.any() else 0.0
        axes.plot(np.flatnonzero(seen), (values[seen] - middle) / (span or 1.0) * 0.86 - lane, color=colour, lw=1.0,
                  marker="." if seen.sum() < 30 else None, ms=3)  # fmt: skip
        axes.text(0, 0.5 - lane, data.channels[channel], size=6.5, color=MUTED, va="top")
    axes.set_ylim(0.5 - len(shown), 0.6)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step", size=7)
