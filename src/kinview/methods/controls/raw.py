"""Raw features: the control that says whether a representation is worth its while."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.data.modality import TABLE, modality_of
from kinview.data.panel import Panel, read_panel
from kinview.data.table import TableSchema
from kinview.methods import methods
from kinview.methods.estimators.capabilities import Capabilities
from kinview.methods.estimators.model_file import save_model
from kinview.methods.estimators.outputs import checked_out
from kinview.methods.estimators.table_columns import TableColumns
from kinview.old_pickles import FromPickle
from kinview.parameters import parameterised

__all__ = ["RawFeatures"]


@methods.register("raw", modality="any")
@parameterised
class RawFeatures(TableColumns, FromPickle, Capabilities, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The values themselves, as one vector a sample.

    Series of the training length are taken as they are; others, and series with time stamps, are brought to it by
    linear interpolation. Tables are encoded by their :class:`~kinview.data.TableSchema`, categories one-hot.

    Notes
    -----
    ``transform(missing="interpolate")`` fills gaps linearly within a series and channel (the nearest value at the ends,
    the training mean of the channel where nothing was observed) and in tables with the training median (the most
    frequent category). ``missing="keep"`` leaves NaN, for probes that take it (XGBoost).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[[1.0, np.nan, 3.0]], [[0.0, 1.0, 2.0]]])
    >>> RawFeatures().fit(X).transform(X).tolist()
    [[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]]
    """

    __metadata_request__transform: ClassVar[dict[str, str]] = {"out": UNUSED}  # no metadata of samples

    passes_missing: ClassVar[bool] = True
    control: ClassVar[bool] = True

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Learn the length, the channel means, or the columns."""
        self._forget_columns()
        self.modality_ = modality_of(X)
        if self.modality_ == TABLE:
            self._learn_columns(X)
            self.fill_ = _fill_values(self.schema_.to_batch(X).x, self.schema_)
            return self
        panel = read_panel(X, dtype=torch.float64)
        self.channels_ = panel.channels
        self.length_ = max(1, int(valid_lengths(panel.batch.x, panel.batch.times).max()))
        self.fill_ = torch.nan_to_num(panel.batch.x.nanmean(dim=(0, 2)))
        self.span_ = _span(panel.batch.times)
        return self

    def transform(
        self,
        X: Any,
        missing: Literal["interpolate", "keep"] = "interpolate",
        *,
        out: np.ndarray | None = None,
    ) -> Float[np.ndarray, "n features"]:
        """Features ``(n, C·T)`` of series or ``(n, columns)`` of tables; ``out`` is the array they are written into."""
        if missing not in ("interpolate", "keep"):
            raise ValueError(f"missing must be 'interpolate' or 'keep'; got {missing!r}")
        return self._features(self.to_batch(X), missing, out)

    def to_batch(self, X: Any, *, groups: Any = None) -> Batch:
        """Series in their own units and float64, or rows encoded with the columns of fit."""
        check_is_fitted(self)
        return self._rows(X, groups=groups) if self.modality_ == TABLE else self.to_panel(X, groups=groups).batch

    def to_panel(self, X: Any, *, groups: Any = None) -> Panel:
        """Series with the channels of fit, in their own units and float64, with the names of samples and channels."""
        check_is_fitted(self)
        return read_panel(X, groups=groups, channels=self.channels_, dtype=torch.float64)

    def embed_batch(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representations of what :meth:`to_batch` gives, in which cells may have been hidden since."""
        return torch.from_numpy(self._features(batch, "interpolate"))

    def _features(self, batch: Batch, missing: str, out: np.ndarray | None = None) -> Float[np.ndarray, "n features"]:
        if self.modality_ == TABLE:
            made = self._table(batch, missing)
            if out is None:
                return made
            checked_out(out, made.shape)[...] = made
            return out
        shape = (len(batch), len(self.channels_) * self.length_)
        result = np.empty(shape, dtype=np.float32) if out is None else checked_out(out, shape)
        self._series(batch, missing, result)
        return result

    def _table(self, batch: Batch, missing: str) -> Float[np.ndarray, "n features"]:
        x = batch.x if missing == "keep" else torch.where(torch.isnan(batch.x), self.fill_, batch.x)
        parts = []
        for column, size in enumerate(self.schema_.cardinalities):
            value = x[:, column : column + 1]
            if size:
                codes = torch.arange(1, max(2, size), dtype=x.dtype)
                value = torch.where(torch.isnan(value), torch.nan, (value == codes).to(x.dtype))
            parts.append(value)
        result: np.ndarray = torch.cat(parts, dim=1).numpy()
        return result

    def _series(self, batch: Batch, missing: str, result: Float[np.ndarray, "n features"]) -> None:
        x, times = batch.x.numpy(), batch.times
        n, channels, steps = x.shape
        lengths = valid_lengths(batch.x, times).numpy()
        as_they_are = times is None and steps == self.length_ and bool((lengths == steps).all())
        if missing == "keep" and times is None:
            result[...] = np.nan
            for c in range(channels):
                start = c * self.length_
                result[:, start : start + min(steps, self.length_)] = x[:, c, : self.length_].astype(np.float32)
            return
        for i in range(n):
            row = np.empty((channels, self.length_), dtype=np.float32)
            clock = np.arange(steps, dtype=float) if times is None else _since_start(times[i].numpy())
            if self.span_ is not None and times is not None:
                grid = np.linspace(*self.span_, self.length_)
            else:
                end = steps - 1 if as_they_are else max(0, int(lengths[i]) - 1)
                grid = np.linspace(0, end, self.length_)
            for c in range(channels):
                seen = np.isfinite(x[i, c]) & np.isfinite(clock)
                row[c] = np.interp(grid, clock[seen], x[i, c, seen]) if seen.any() else float(self.fill_[c])
                if missing == "keep" and not seen.any():
                    row[c] = np.nan
            result[i] = row.reshape(-1)  # (channels, length) -> (channels · length)

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors for a model file."""
        check_is_fitted(self)
        facts: dict[str, Any] = {"modality": self.modality_}
        if self.modality_ == TABLE:
            facts |= self._columns_state()
        else:
            facts |= {"channels": list(self.channels_), "length": self.length_, "span": self.span_}
        return facts, {"fill": self.fill_}

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        self.modality_ = facts["modality"]
        self.fill_ = tensors["fill"]
        if self.modality_ == TABLE:
            self._restore_columns(facts)
        else:
            self.channels_, self.length_ = tuple(facts["channels"]), int(facts["length"])
            if len(self.fill_) != len(self.channels_):
                raise ValueError(f"{len(self.channels_)} channels are named, and {len(self.fill_)} means are stored")
            self.span_ = None if facts["span"] is None else (facts["span"][0], facts["span"][1])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted estimator to a file; :func:`kinview.load_model` reads it."""
        return save_model(self, path)


def _since_start(clock: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """Time since a series' own first stamp: where the clock of a data set begins says nothing about a series."""
    return clock - clock[np.isfinite(clock)].min() if np.isfinite(clock).any() else clock


def _span(times: Tensor | None) -> tuple[float, float] | None:
    """From the start to the longest duration."""
    if times is None or not bool(torch.isfinite(times).any()):
        return None
    start = torch.nan_to_num(times, nan=torch.inf).amin(dim=1, keepdim=True)
    since = times - start
    return 0.0, float(since[torch.isfinite(since)].max())


def _fill_values(x: Float[Tensor, "n columns"], schema: TableSchema) -> Float[Tensor, " columns"]:
    """Training median of a number, most frequent code of a category, 0 where nothing was observed."""
    fill = torch.zeros(x.shape[1])
    for column, size in enumerate(schema.cardinalities):
        seen = x[~torch.isnan(x[:, column]), column]
        if len(seen):
            fill[column] = seen.mode().values if size else seen.quantile(0.5)
    return fill
