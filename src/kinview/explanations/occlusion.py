"""Occlusion: a cell is as important as the representation moves when a window around it is hidden."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kinview.explanations import explainers
from kinview.explanations.explainer import Explainer
from kinview.explanations.hiding import WINDOWS, moved
from kinview.explanations.samples import ReadSamples
from kinview.parameters import choice, real, whole

__all__ = ["Occlusion"]


@explainers.register("occlusion", modality="any", reference="Zeiler and Fergus, ECCV 2014, arXiv 1311.2901")
@dataclasses.dataclass(frozen=True)
class Occlusion(Explainer):
    r"""Occlusion: how far the representation moves when a window, or a column, is hidden.

    With the representation f, the sample x, and :math:`x_{\setminus w}` in which window w of channel c is hidden, the
    importance of the observed value at step t is the mean over the windows that cover it,

    .. math:: A_{ct} = \frac{1}{|\{w \ni t\}|} \sum_{w \ni t} d\bigl(f(x_{\setminus w}), f(x)\bigr).

    A column of a table is a window of its own. Hidden values are *missing*, which every estimator of this package knows
    how to read, or hold a baseline. It asks the model for nothing but representations: fixed features are explained as
    networks are.

    Parameters
    ----------
    window : int, optional
        Steps of a window. By default a twentieth of each series' own length, rounded up.
    stride : int, optional
        Steps from one window to the next; by default half a window, rounded up, so that most steps are covered twice.
        The last window ends with the series.
    channels : {"each", "together"}, default "each"
        Whether a window hides one channel, or all of them at once; then all channels of a step are equally important.
    distance : {"cosine", "euclidean"}, default "cosine"
        d: 1 - cos, from 0 to 2, or the length of the difference, in the units of the representation.
    baseline : float, optional
        What hidden values hold, in the scale that the model reads: 0 is the mean of the training samples, unless the
        model leaves values as they were measured. By default they are missing.

    Notes
    -----
    Of a model that completes gaps the importance of a window is what its surroundings do not tell: a smooth stretch
    that can be guessed is not important, however much the representation says of it. ``baseline=0`` asks otherwise, by
    series that the model has not met in training. Windows in which nothing was observed are left out; an unobserved
    cell has no importance (NaN). The default size of a window is a choice of this package.

    References
    ----------
    .. [1] Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014, arXiv 1311.2901.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import explain
    >>> from kinview.methods import RawFeatures
    >>> X = np.array([[[1.0, 0.0, 3.0, 0.0]], [[2.0, 1.0, 0.0, 2.0]]])
    >>> found = explain(RawFeatures().fit(X), X, "occlusion", window=1, distance="euclidean", baseline=0.0)
    >>> found.values[0].tolist()
    [[1.0, 0.0, 3.0, 0.0]]
    """

    window: int | None = whole(None, low=1)
    stride: int | None = whole(None, low=1)
    channels: Literal["each", "together"] = choice("each", ("each", "together"))
    distance: Literal["cosine", "euclidean"] = choice("cosine", ("cosine", "euclidean"))
    baseline: float | None = real(None)

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        if self.window is not None and self.stride is not None and self.stride > self.window:
            raise ValueError(
                f"stride must be at most window, {self.window}, or steps between two windows are never hidden; got "
                f"{self.stride}"
            )

    def attribute(self, samples: ReadSamples, generator: torch.Generator) -> Float64[Tensor, "n ..."]:
        """Importance of each cell."""
        return self._of_columns(samples) if samples.batch.x.ndim == 2 else self._of_series(samples)

    def _of_columns(self, samples: ReadSamples) -> Float64[Tensor, "n columns"]:
        rows, columns = samples.observed.nonzero(as_tuple=True)
        each = torch.arange(samples.batch.x.shape[1])
        found = moved(samples, rows, lambda k: columns[k, None] == each, distance=self.distance, baseline=self.baseline)
        values = torch.full(samples.batch.x.shape, torch.nan, dtype=torch.float64)
        values[rows, columns] = found
        return values

    def _of_series(self, samples: ReadSamples) -> Float64[Tensor, "n c t"]:
        spans = self._spans(samples)
        rows, channel, start, end = spans.T
        step, lane = torch.arange(samples.batch.x.shape[2]), torch.arange(samples.batch.x.shape[1])

        def hide(k: Int64[Tensor, " k"]) -> Bool[Tensor, "k c t"]:
            inside = (step >= start[k, None]) & (step < end[k, None])
            of_channel = (lane == channel[k, None]) | (channel[k, None] < 0)
            cells: Tensor = inside[:, None, :] & of_channel[:, :, None]
            return cells

        found = moved(samples, rows, hide, distance=self.distance, baseline=self.baseline)
        total, covered = (_over_steps(samples, spans, each) for each in (found, torch.ones_like(found)))
        return (total / covered).masked_fill(~samples.observed, torch.nan)

    def _spans(self, samples: ReadSamples) -> Int64[Tensor, "m 4"]:
        """Row, channel (-1: all), first step and end of each window in which something was observed."""
        observed = samples.observed
        lanes = observed if self.channels == "each" else observed.any(dim=1, keepdim=True)
        seen = torch.nn.functional.pad(lanes.cumsum(dim=2), (1, 0))  # observed steps before each
        found = []
        for length in sorted(set(samples.lengths.tolist()) - {0}):
            rows = (samples.lengths == length).nonzero()[:, 0]
            start, end = self._windows(length)
            there = seen[rows][:, :, end] > seen[rows][:, :, start]
            row, channel, window = there.nonzero(as_tuple=True)
            channel = channel if self.channels == "each" else torch.full_like(channel, -1)
            found.append(torch.stack([rows[row], channel, start[window], end[window]], dim=1))
        return torch.cat(found) if found else torch.empty(0, 4, dtype=torch.int64)

    def _windows(self, length: int) -> tuple[Int64[Tensor, " w"], Int64[Tensor, " w"]]:
        """First step and end of the windows of a series."""
        size = min(length, self.window or -(-length // WINDOWS))
        stride = min(size, self.stride or -(-size // 2))
        start = torch.arange(0, length - size + stride, stride).clamp_max(length - size)
        return start, start + size


def _over_steps(
    samples: ReadSamples, spans: Int64[Tensor, "m 4"], values: Float64[Tensor, " m"]
) -> Float64[Tensor, "n c t"]:
    """Sum of the values of all windows that cover each step, by the steps at which they begin and end."""
    n, channels, steps = samples.batch.x.shape
    rows, channel, start, end = spans.T
    changes = torch.zeros(n, channels + 1, steps + 1, dtype=torch.float64)  # the last channel: windows over all
    lane = torch.where(channel < 0, channels, channel)
    changes.index_put_((rows, lane, start), values, accumulate=True)
    changes.index_put_((rows, lane, end), -values, accumulate=True)
    summed = changes.cumsum(dim=2)[:, :, :steps]
    return (summed[:, :channels] + summed[:, channels:]).clamp_min(0)
