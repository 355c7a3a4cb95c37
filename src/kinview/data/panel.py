"""Time series of every common container in, one batch ``(n, channels, time)`` out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch

from kinview.data._panel_readers import RawPanel, TimeUnit, read_raw
from kinview.data.alignment import in_order_of
from kinview.data.batch import Batch
from kinview.data.labels import batch_labels

__all__ = ["ChannelMismatch", "Panel", "TimeUnit", "read_panel", "with_channels"]


class ChannelMismatch(ValueError):
    """Series have other channels than those at fit."""


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """Series as a batch, with the names that a tensor cannot hold.

    Parameters
    ----------
    batch : Batch
        ``x`` is ``(n, C, T)``, NaN = not observed; ``times`` ``(n, T)`` where the input had time stamps.
    index : pandas.Index
        One entry a series; a MultiIndex for hierarchical input.
    channels : tuple of str
        Channel names; ``channel_0``, ... where the input has none.
    time_unit : {"seconds", "numbers", "periods"} or None
        What ``times`` count: seconds (dates, durations), the input's own numbers, or periods.
    """

    batch: Batch
    index: pd.Index
    channels: tuple[str, ...]
    time_unit: TimeUnit | None = None


def read_panel(
    X: Any,
    *,
    groups: Any = None,
    y: Any = None,
    channels: Sequence[str] | int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Panel:
    """Read time series of any panel container.

    Parameters
    ----------
    X : array, tensor, list or DataFrame
        - array or tensor ``(n, C, T)``;
        - list of ``(C, T)`` or ``(T,)`` arrays, also of unequal length;
        - DataFrame with a MultiIndex ``(instance, time)`` or ``(..., instance, time)``, one column a channel, series in
          the order of their first row, rows of a series in any order (they are sorted by time);
        - list of DataFrames, rows are time steps;
        - DataFrame whose cells are series ("nested").

        It is never modified and shares no memory with the result.
    groups : array-like, optional
        Group (patient) of each series. Default: the outermost index level where there are three or more.
    y : array-like, optional
        Label of each series. As ``groups``, in any order with an index that names the series of a DataFrame.
    channels : sequence of str or int, optional
        Names, or number, of the channels at fit. Named columns in another order are put in this one.
    dtype : torch.float32 or torch.float64
        Type of ``x``, by default float32. Ask for float64 before scaling: values with a large offset lose their digits
        in float32.

    Returns
    -------
    Panel
        Shorter series are padded with NaN. Time stamps become float64 numbers: dates and durations in seconds (dates
        since the first stamp of all), periods and numbers as they are (whole numbers beyond 2^53, such as nanoseconds,
        since the first stamp of all). Steps are in the exact order of their stamps.

    Raises
    ------
    ValueError
        For a bare 2-D array, no series, a series without steps, infinite, complex or non-numeric values, time stamps
        that are missing, appear twice in a series or are one number in float64, and channels other than at fit
        (:class:`ChannelMismatch`).
    TypeError
        For a container that is none of the above.

    Examples
    --------
    >>> import numpy as np
    >>> panel = read_panel([np.array([1.0, 2.0, 3.0]), np.array([4.0])])
    >>> panel.batch.x
    tensor([[[1., 2., 3.]],
    <BLANKLINE>
            [[4., nan, nan]]])
    >>> read_panel(np.zeros((50, 150)))
    Traceback (most recent call last):
    ...
    ValueError: X is 2-D with shape (50, 150), which has two readings: for 50 series of 150 steps give X[:, None, :], \
for one series of 50 steps and 150 channels give X.T[None]
    """
    raw = _select_channels(read_raw(X), channels)
    n = raw.values.shape[0]
    series = raw.index if isinstance(X, pd.DataFrame | pd.Series) else None
    y, groups = in_order_of(series, y, "y"), in_order_of(series, groups, "groups")
    with np.errstate(over="ignore"):  # found below
        x = torch.from_numpy(
            np.array(raw.values, dtype=np.float64 if dtype == torch.float64 else np.float32, order="C")
        )
    overflow = torch.isinf(x)
    if bool(overflow.any()):
        _refuse_infinite(raw, overflow.numpy())
    batch = Batch.of(
        x,
        times=None if raw.times is None else torch.from_numpy(raw.times),
        **batch_labels(y, raw.groups if groups is None else groups, n),
    )
    names = raw.names or _default_names(raw.values.shape[1])
    return Panel(batch, raw.index, names, raw.time_unit)


def with_channels(panel: Panel, channels: Sequence[str]) -> Panel:
    """Series with the channels of fit, in their order; by position where either side has no names of its own.

    Raises
    ------
    ChannelMismatch
        What differs.

    Examples
    --------
    >>> panel = Panel(Batch.of(torch.tensor([[[1.0], [2.0]]])), pd.RangeIndex(1), ("pulse", "spo2"))
    >>> with_channels(panel, ("spo2", "pulse")).batch.x.flatten().tolist()
    [2.0, 1.0]
    """
    number = len(panel.channels)
    names = None if panel.channels == _default_names(number) else panel.channels
    order = _order_of_fit(names, number, channels)
    batch = panel.batch if order is None else panel.batch.replace(x=panel.batch.x[:, order])
    return dataclasses.replace(panel, batch=batch, channels=tuple(channels))


def _select_channels(raw: RawPanel, expected: Sequence[str] | int | None) -> RawPanel:
    """Put channels in the order of fit, or say what differs."""
    if expected is None:
        return raw
    order = _order_of_fit(raw.names, raw.values.shape[1], expected)
    if isinstance(expected, int) or tuple(expected) == _default_names(len(expected)):
        return raw
    return dataclasses.replace(raw, values=raw.values[:, order or slice(None)], names=tuple(expected))


def _order_of_fit(names: tuple[str, ...] | None, found: int, expected: Sequence[str] | int) -> list[int] | None:
    """Places of the channels of fit; None where they stand as at fit, or either side has no names but a number."""
    number = expected if isinstance(expected, int) else len(expected)
    if names is not None and not isinstance(expected, int) and tuple(expected) != _default_names(number):
        position, known = {name: i for i, name in enumerate(names)}, set(expected)
        missing = [name for name in expected if name not in position]
        extra = [name for name in names if name not in known]
        if missing or extra:
            parts = [f"lacks the channel(s) {', '.join(map(repr, missing))} of fit"] if missing else []
            parts += [f"has the channel(s) {', '.join(map(repr, extra))} that fit did not see"] if extra else []
            raise ChannelMismatch(f"X {' and '.join(parts)}; rename the columns or give the same channels as at fit")
        return None if names == tuple(expected) else [position[name] for name in expected]
    if found != number:
        raise ChannelMismatch(f"X has {found} channel(s), but {number} at fit; give the same channels as at fit")
    return None


def _default_names(number: int) -> tuple[str, ...]:
    return tuple(f"channel_{i}" for i in range(number))


def _refuse_infinite(raw: RawPanel, where: np.ndarray) -> NoReturn:
    series, channel, step = (int(i) for i in np.argwhere(where)[0])
    value = raw.values[series, channel, step]
    what = "infinite" if np.isinf(value) else "beyond float32 (3.4e+38)"
    name = (raw.names or _default_names(raw.values.shape[1]))[channel]
    raise ValueError(
        f"X has {int(where.sum())} value(s) that are {what}, the first ({value}) in series {raw.index[series]}, "
        f"channel {name!r}, step {step}; write NaN for what was not observed"
    )
