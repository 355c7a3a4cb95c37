"""A sheet of views: samples and what an augmentation makes of them, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from kinview.augmentations import augmentations
from kinview.data.batch import Batch
from kinview.data.modality import FEATURE, SERIES, TABLE, check_modality, modality_of
from kinview.diagnostics._draw_series import draw_series
from kinview.diagnostics._draw_table import draw_table
from kinview.diagnostics._samples import Modality, Scaling, positions, read_samples
from kinview.diagnostics.sheet import Sheet, View
from kinview.files import write_yaml
from kinview.parameters import check_integer, check_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kinview.augmentations.base import Augmentation

__all__ = ["view_sheet"]

_POOL = 64  # rows that one draw sees, so that what mixes rows has partners beside those that are drawn
_SAMPLES: dict[Modality, int] = {SERIES: 4, TABLE: 12, "embedding": 12}
_SHOWN: dict[Modality, int] = {SERIES: 4, TABLE: 24, "embedding": 32}
_VIEWS = 2


def view_sheet(
    X: Any,
    augmentation: Any,
    *,
    y: Any = None,
    groups: Any = None,
    X_train: Any = None,
    y_train: Any = None,
    groups_train: Any = None,
    samples: int | None = None,
    views: int | None = None,
    channels: Sequence[str | int] | None = None,
    strength: float | None = None,
    scaling: Scaling = "dataset",
    sampling_rate: float | None = None,
    seed: int = 0,
    name: str = "",
) -> Figure:
    """Draw samples and their views, one row a sample.

    Series are lines on their time axis: the view above the pale original, channels in lanes, gaps left open, the
    partner of a mixing augmentation dashed and named. Tables and embeddings are heat-maps: changed cells are framed,
    categories written out, missing cells hatched. One seed gives one picture.

    Parameters
    ----------
    X : array, tensor, list or DataFrame
        Samples to choose from: series in any container of :func:`kinview.data.read_panel`; a table as a DataFrame
        or array ``(n, columns)``; embeddings ``(n, D)`` for an augmentation of embeddings.
    augmentation : Augmentation, str, mapping or sequence
        A part, its name, the name of a recipe, or a spec. It is fitted on the training samples.
    y, groups : array-like, optional
        Label and group (patient) of each sample.
    X_train, y_train, groups_train : optional
        Training samples, on which scaling, schema and augmentation are fitted; ``X`` itself unless given.
    samples : int, optional
        Number of samples drawn, chosen at random; 4 series, or 12 rows of a table.
    views : int, optional
        Views of each sample, rounded up to whole draws of an augmentation that makes several; 2.
    channels : sequence of str or int, optional
        Channels or columns to draw, by name or position; the first 4 channels, or 24 columns. All are augmented.
    strength : float, optional
        Factor on the augmentation's strength; 0 is the identity.
    scaling : {"dataset", "sample", "none"}, default "dataset"
        Scaling of series before the augmentation, as methods have it; tables are standardised by their schema.
    sampling_rate : float, optional
        Steps a second, for series without time stamps.
    seed : int, default 0
        Seed of the choice of samples and of all draws.
    name : str, optional
        Name of the data, for the title.

    Returns
    -------
    matplotlib.figure.Figure
        It belongs to no window; ``figure.savefig("sheet.svg")`` writes it.

    Raises
    ------
    ValueError
        For data of another modality than the augmentation's, unknown channels, and numbers out of range.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.sin(np.linspace(0, 12, 60) + np.arange(5)[:, None, None])
    >>> figure = view_sheet(X, {"crop_pair": {"temporal_unit": 3}}, samples=3)
    >>> [axes.get_title() for axes in figure.axes[:3]], len(figure.axes)
    (['original', 'view 1', 'view 2'], 9)
    """
    for value, what in ((samples, "samples"), (views, "views")):
        if value is not None:
            check_integer(value, what, at_least=1)
    check_integer(seed, "seed", at_least=0)
    part: Augmentation = augmentations.build(augmentation)
    if strength is not None:
        check_number(strength, "strength")
        part = part.strength_scaled(strength)
    modality: Modality = "embedding" if part.modality == "embedding" else modality_of(X)
    written = augmentation if isinstance(augmentation, str) else _title(part)
    check_modality(written, part.modality, modality, name or "X", verb="makes views of")
    data = read_samples(X, y, groups, X_train, y_train, groups_train, modality, scaling, sampling_rate)
    shown = positions(channels, data.names, _SHOWN[modality], modality)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data.batch), generator=generator)[: max(_POOL, samples or 0)]
    pool = data.batch.rows(order)
    part = part.fit(data.training, data.schema, generator)
    sheet = Sheet(
        title=_title(part),
        subtitle=", ".join(
            [
                *([f"recipe {augmentation}"] if augmentation in augmentations.recipes() else []),
                *([name] if name else []),
                *([] if len(shown) == len(data.names) else [f"{len(shown)} of {len(data.names)} {FEATURE[modality]}s"]),
                *([] if strength is None else [f"strength {strength:g}"]),
                f"seed {seed}",
            ]
        ),
        pool=pool,
        n_samples=min(samples or _SAMPLES[modality], len(pool)),
        views=_draw(part, pool, views or _VIEWS, generator),
        names=data.names,
        shown=shown,
        rows=tuple(data.rows[i] for i in order.tolist()),
        schema=data.schema,
        time_label=data.time_label,
    )
    return draw_series(sheet) if modality == SERIES else draw_table(sheet)


def _draw(part: Augmentation, pool: Batch, number: int, generator: torch.Generator) -> tuple[View, ...]:
    """Views of all rows, with what stands above their panels; whole draws of a part that makes several at once."""
    draws = -(-number // part.n_views)
    views = []
    for draw in range(1, draws + 1):
        made = part(pool, generator)
        made = (made,) if isinstance(made, Batch) else made
        for position, view in enumerate(made, start=1):
            title = f"view {draw if len(made) == 1 else position}"
            views.append(View(title if len(made) == 1 or draws == 1 else f"draw {draw}, {title}", _detached(view)))
    return tuple(views)


def _detached(view: Batch) -> Batch:
    """The view without a graph: learned ones carry one."""
    return view.replace(x=view.x.detach())


def _title(part: Augmentation) -> str:
    """The augmentation as YAML writes it in one line; what has no config as Python does."""
    try:
        config = augmentations.to_config(part)
    except TypeError:
        return repr(part)
    if isinstance(config, dict) and list(config) == ["compose"] and list(config["compose"]) == ["augmentations"]:
        config = config["compose"]["augmentations"]
    if isinstance(config, str):
        return config
    return write_yaml(config, in_one_line=True)
