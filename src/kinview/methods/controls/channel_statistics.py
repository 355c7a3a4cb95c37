"""Statistics of each channel over its observed steps: what controls share that fill no gap."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from sklearn.utils.metadata_routing import UNUSED
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.methods.controls.as_measured import AsMeasured, AsMeasuredEstimator, within_float32
from kinview.training.method import Sizes

__all__ = ["ChannelStatistics", "ChannelStatisticsEstimator"]

MissingName = Literal["fill", "keep"]


class ChannelStatistics(AsMeasured):
    """Some numbers of each channel, made of its observed steps alone; NaN where one is not defined.

    A number that is not defined (the mean of a channel without an observation) becomes its mean over the training
    series in which it is. Where fewer than 5 have it, it becomes 0: a model file says nothing of so few.

    A subclass names its :attr:`statistics` and computes them in :meth:`measured`.
    """

    statistics: ClassVar[tuple[str, ...]]
    typical: Tensor

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.keeps_missing = False
        self.register_buffer("typical", torch.zeros(self.n_features, dtype=torch.float64))

    @property
    def n_features(self) -> int:
        """As many numbers as there are statistics, for each channel."""
        return self.sizes.channels * len(self.statistics)

    @abstractmethod
    def measured(
        self, x: Float[Tensor, "n c t"], seen: Bool[Tensor, "n c t"], times: Float[Tensor, "n t"] | None
    ) -> list[Float[Tensor, "n c"]]:
        """The statistics, in the order of their names; NaN where one is not defined.

        Parameters
        ----------
        x : Tensor
            Values, 0 where nothing was observed.
        seen : Tensor
            Whether there is an observation.
        times : Tensor, optional
            Time stamps where the data have them; finite wherever something was observed.
        """

    def features(self, rows: Batch) -> Float[Tensor, "n f"]:
        """All statistics of the first channel, then those of the second, and so on; finite."""
        made = self._as_defined(rows)
        return torch.where(torch.isnan(made), self.typical.to(made), made)

    @torch.no_grad()
    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """The statistics of each row; a row without any observation has the typical ones."""
        rows = self.prepared(batch)
        return within_float32(self._as_defined(rows) if self.keeps_missing else self.features(rows))

    def learn(self, rows: Batch, generator: torch.Generator) -> None:
        """Mean of each number over the training rows in which it is defined."""
        chunk = self.rows_a_chunk(*rows.x.shape[1:])
        parts = torch.split(torch.arange(len(rows)), chunk)
        made = torch.cat([self._as_defined(rows.rows(part)) for part in parts])
        defined = (~torch.isnan(made)).sum(dim=0)
        self.typical.copy_(torch.where(defined >= FEWEST_ROWS, made.nanmean(dim=0), 0.0))

    @property
    def tells_of_few(self) -> bool:
        """No: what fewer than five training rows have is not kept."""
        return False

    def _as_defined(self, rows: Batch) -> Float[Tensor, "n f"]:
        seen = ~torch.isnan(rows.x)
        made = self.measured(torch.nan_to_num(rows.x), seen, rows.times)
        return torch.stack(made, dim=2).flatten(1)  # (n, channels, statistics) -> (n, features)


class ChannelStatisticsEstimator(AsMeasuredEstimator):
    """An estimator around :class:`ChannelStatistics`, which can pass on what is not defined."""

    passes_missing: ClassVar[bool] = True
    fill: ClassVar[None] = None
    repr_dim: ClassVar[None] = None
    __metadata_request__transform: ClassVar[dict[str, str]] = {"out": UNUSED, "missing": UNUSED}

    method_class: ClassVar[type[ChannelStatistics]]  # type: ignore[assignment]
    method_: ChannelStatistics  # type: ignore[assignment]

    def transform(self, X: Any, y: Any = None, *, missing: MissingName = "fill", out: Any = None) -> Any:
        """Statistics of series: a DataFrame with one column a channel and statistic, with the input's index.

        Parameters
        ----------
        X : panel
            Series with the channels of fit; see :func:`kinview.data.read_panel`.
        y : None
            Not used.
        missing : {"fill", "keep"}, default "fill"
            What stands where a statistic is not defined: its mean over the training series, or NaN (for a probe that
            takes it, XGBoost).
        out : ndarray (n, D) or path, optional
            Where to write them; by default a new array of float32. A Parquet file gets the names of the series too.
        """
        if missing not in ("fill", "keep"):
            raise ValueError(f"missing must be 'fill' or 'keep'; got {missing!r}")
        self.check_is_fitted()
        self.method_.keeps_missing = missing == "keep"
        try:
            return super().transform(X, out=out)
        finally:
            self.method_.keeps_missing = False

    def _feature_names(self, number: int) -> list[str]:
        return [f"{channel}_{name}" for channel in self.channels_ for name in self.method_class.statistics]
