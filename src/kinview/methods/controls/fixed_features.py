"""Fixed features of series: what methods share that learn no weights, from filled gaps to a few wide directions."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.gaps import trimmed, valid_lengths, with_something_observed
from kinview.encoders.front_end import Filling, FillRule
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.capabilities import MANY_FEATURES
from kinview.methods.estimators.series import SeriesEstimator
from kinview.parameters import whole
from kinview.training.method import Sizes
from kinview.training.randomness import resolve_seed

__all__ = ["FixedFeatureEstimator", "FixedFeatures", "fill", "repr_dim"]

_CHUNK_FEATURES = 2**24  # of one chunk of rows: 64 MiB
_CHUNK_STEPS = 2**19  # steps of all channels of one chunk
_ROWS_OF_COMPONENTS = 2_048  # drawn where there are more: the decomposition holds their features at once


def fill() -> Any:
    """What stands in a gap before features are taken."""
    return shared.fill("linear", "What stands in a gap before features are taken")


def repr_dim() -> Any:
    """Directions that are kept of many features."""
    return whole(
        None,
        low=1,
        doc="None keeps all features. A number D keeps the first D left singular vectors, times their singular values, "
        "of the standardised features of the training rows: for probes that need few columns. At most one for every 5 "
        "training rows is kept.",
    )


class FixedFeatures(nn.Module, ABC):
    r"""Features that no gradient trains: one vector a series, from buffers that :meth:`learn` sets.

    A subclass knows its number of features from its parameters and the :class:`~kinview.training.Sizes` of the data,
    registers its buffers with their shapes in ``__init__``, and implements :meth:`features`. All that it draws, it
    draws in :meth:`learn`, from the generator it is given; then a model file needs no code of its own.

    With ``repr_dim=D`` the features f become :math:`z = V^\top (f - \mu) / \sigma`: on the training rows
    :math:`F = U S V^\top`, standardised, these are the first D columns of :math:`U S`. V comes from the n × n matrix
    :math:`F F^\top`, of 2,048 drawn rows at most.

    Parameters
    ----------
    parameters : estimator
        Its field ``fill`` is read here; None: gaps are left as NaN.
    sizes : Sizes
        Of the data.
    """

    components: Tensor | None
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        rule: FillRule | None = parameters.fill
        self.filling = None if rule is None else Filling(sizes.channels, rule)
        self.register_buffer("components", None)

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features of a series, before ``repr_dim``."""

    @abstractmethod
    def features(self, rows: Batch) -> Float[Tensor, "n f"]:
        """Features of series whose gaps are filled.

        NaN stands for what lies beyond the end of a series alone (:func:`~kinview.data.gaps.valid_lengths`), or, with
        ``fill=None``, for gaps too. A row's features depend neither on the other rows nor on the padding, and are
        finite.
        """

    def learn(self, rows: Batch, generator: torch.Generator) -> None:
        """Set the buffers, from training rows prepared as for :meth:`features`; nothing by default."""

    def reserve_components(self, wanted: int | None) -> None:
        """Make room for the directions of ``repr_dim``; a subclass calls this at the end of its ``__init__``."""
        if wanted is None:
            return
        # statistics of at least five rows each, so that no training row lies in their span
        kept = max(1, min(wanted, self.sizes.rows // FEWEST_ROWS, self.n_features))
        self.register_buffer("components", torch.zeros(self.n_features, kept))
        self.register_buffer("feature_mean", torch.zeros(self.n_features))
        self.register_buffer("feature_std", torch.ones(self.n_features))

    def prepared(self, batch: Batch) -> Batch:
        """Series with their gaps filled within their own length; NaN stays beyond their ends."""
        batch = trimmed(batch)
        if self.filling is None:
            return batch
        x, lengths = batch.x, valid_lengths(batch.x, batch.times)
        beyond = torch.arange(x.shape[2], device=x.device) >= lengths[:, None, None]
        return batch.replace(x=self.filling(x, batch.times).masked_fill(beyond, torch.nan))

    @torch.no_grad()
    def fit(self, batch: Batch, generator: torch.Generator) -> None:
        """Learn all buffers from training rows."""
        rows = self.prepared(batch)
        self.learn(rows, generator)
        if self.components is not None:
            self._learn_components(rows, generator)

    @torch.no_grad()
    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representation of each row; the zero vector for one without any observation."""
        z = self.features(self.prepared(batch))
        if self.components is not None:  # float64: so many summands show in the last digits of float32
            standardised = (z.double() - self.feature_mean) / self.feature_std
            z = (standardised @ self.components.double()).to(z.dtype)
        observed = (~torch.isnan(batch.x)).flatten(1).any(dim=1)
        return z if bool(observed.all()) else z.masked_fill(~observed[:, None], 0.0)

    def rows_a_chunk(self, channels: int, length: int) -> int:
        """Rows whose features are computed at once, so that memory does not grow with the data set."""
        return max(1, min(_CHUNK_FEATURES // self.n_features, _CHUNK_STEPS // (channels * max(length, 1))))

    def features_in_chunks(self, rows: Batch) -> Float[Tensor, "n f"]:
        """Features of many rows."""
        chunk = self.rows_a_chunk(*rows.x.shape[1:])
        parts = torch.split(torch.arange(len(rows)), chunk)
        return torch.cat([self.features(rows.rows(part)) for part in parts])

    def row_statistics(self) -> str | None:
        """Which buffers rest on single rows by choice, in words; None where none does: the default."""
        return None

    @property
    def tells_of_few(self) -> bool:
        """Whether a buffer would tell of training rows if there were fewer than five of them."""
        return True

    def inference_state(self) -> dict[str, Tensor]:
        """Tensors that a file holds: all buffers."""
        return self.state_dict()

    def _learn_components(self, rows: Batch, generator: torch.Generator) -> None:
        assert self.components is not None
        if len(rows) > _ROWS_OF_COMPONENTS:
            rows = rows.rows(torch.randperm(len(rows), generator=generator)[:_ROWS_OF_COMPONENTS].sort().values)
        wide = self.features_in_chunks(rows).double()
        mean, std = wide.mean(dim=0), wide.std(dim=0, correction=0)
        std = torch.where(std > 1e-6 * (1 + mean.abs()), std, 1.0)  # of a constant feature: rounding
        self.feature_mean.copy_(mean)
        self.feature_std.copy_(std)
        wide = wide.sub_(self.feature_mean).div_(self.feature_std)
        values, vectors = torch.linalg.eigh(wide @ wide.T)  # ascending
        kept = self.components.shape[1]
        values, vectors = values.flip(0)[:kept], vectors.flip(1)[:, :kept]
        known = values > 1e-9 * values[0].clamp_min(1e-9)
        directions = wide.T @ vectors / torch.where(known, values, 1.0).sqrt()
        largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
        directions = directions * torch.where(largest < 0, -1.0, 1.0)  # a direction has no sign of its own
        self.components.copy_(torch.where(known, directions, 0.0))


class FixedFeatureEstimator(SeriesEstimator):
    """An estimator around :class:`FixedFeatures`: a method like any other that trains nothing.

    A subclass is a :func:`~kinview.parameters.parameterised` class with the fields ``fill``, ``repr_dim`` and
    ``scaling``, and with ``random_state`` where it draws; one of these that it does not offer it sets in its body:
    ``fill: ClassVar[None] = None``. It names its ``method_class``.

    Attributes
    ----------
    method_ : FixedFeatures
        The features, with what was learned from training rows.
    """

    trains: ClassVar[bool] = False
    control: ClassVar[bool] = True
    fitted_network: ClassVar[None] = None  # nothing that labels could train on

    method_class: ClassVar[type[FixedFeatures]]  # type: ignore[assignment]  # neither views nor a loss
    method_: FixedFeatures  # type: ignore[assignment]
    trainer: Any = None
    random_state: Any = 0

    @property
    def wide(self) -> bool:
        """Whether it has more than 2,000 features, as its parameters say, and keeps all of them."""
        return getattr(self, "repr_dim", None) is None and getattr(self, "features", 0) > MANY_FEATURES

    def adapt(self, X: Any) -> NoReturn:
        """Refused: there are no weights that could be taken to series of another data set.

        Raises
        ------
        ValueError
            Always; it says what to do.
        """
        name = type(self).__name__
        raise ValueError(f"{name} has no trained weights to take along: fit it to the other series, {name}().fit(X)")

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        serialization_format: str = "safetensors",
        *,
        allow_row_statistics: bool = False,
    ) -> Any:
        """Write the fitted estimator; :func:`kinview.load_model` and ``sktime.base.load`` read it.

        Parameters
        ----------
        path, serialization_format
            As of :meth:`kinview.SeriesEstimator.save`.
        allow_row_statistics : bool
            Write it even if numbers in it rest on single training rows, and may tell something of one of them.

        Raises
        ------
        ValueError
            If there are such numbers by choice of a parameter, and that was not allowed.

        Warns
        -----
        UserWarning
            If there were fewer than 5 training rows at all, and that was not allowed.
        """
        self.check_is_fitted()
        reason = self.method_.row_statistics()
        if reason is not None and not allow_row_statistics:
            raise ValueError(
                f"{type(self).__name__} is not saved: {reason}, and the file may tell something of one of them. Where "
                f"the training rows may be known: save(path, allow_row_statistics=True)"
            )
        rows = self.sizes_.rows
        if rows < FEWEST_ROWS and self.method_.tells_of_few and not allow_row_statistics:
            warnings.warn(
                f"all that {type(self).__name__} learned rests on {rows} training row(s), and the file may tell "
                f"something of one of them; give at least {FEWEST_ROWS}, or say allow_row_statistics=True",
                UserWarning,
                stacklevel=2,
            )
        return super().save(path, serialization_format)

    def _sizes(self, batch: Batch) -> Sizes:
        longest = max(1, int(valid_lengths(batch.x, batch.times).max()))
        return Sizes(channels=batch.x.shape[1], length=longest, rows=len(self._training_rows(batch)))

    def _training_rows(self, batch: Batch) -> Batch:
        """Series with an observation; all of them where none has one."""
        seen = with_something_observed([batch])[0]
        return seen if len(seen) else batch

    def _fit_batch(self, batch: Batch, *, train: bool = True, seed: int | None = None) -> None:  # type: ignore[override]
        """Learn the features' buffers, which is all there is to do with and without training."""
        seed = resolve_seed(self.random_state) if seed is None else seed
        self.sizes_ = self._sizes(batch)
        self.method_ = self._build(self.sizes_)
        rows = self._training_rows(batch)
        self._prepare_method(batch, rows)  # what completes gaps
        kept, wanted = self.method_.components, getattr(self, "repr_dim", None) or 0
        if kept is not None and kept.shape[1] < wanted:
            warnings.warn(
                f"{type(self).__name__} keeps {kept.shape[1]} of the repr_dim={wanted} dimensions: one for every "
                f"{FEWEST_ROWS} of {self.sizes_.rows} training rows, of {self.method_.n_features} features",
                UserWarning,
                stacklevel=2,
            )
        self.method_.fit(rows, torch.Generator().manual_seed(seed))
        self.method_.eval()
        self.training_ = None

    def _rows_a_chunk(self, batch: Batch) -> int:
        return self.method_.rows_a_chunk(*batch.x.shape[1:])
