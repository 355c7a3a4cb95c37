"""Estimators of pairs: transformers from samples with two sides to one vector a sample, or one a side."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._set_output import _get_output_config  # public only through what wraps an output
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from kinview.data.alignment import in_order_of
from kinview.data.batch import Batch
from kinview.data.gaps import something_observed, with_something_observed
from kinview.data.modality import PAIRED
from kinview.data.paired import PairedData, Side
from kinview.data.panel import Panel
from kinview.encoders.base import TableEncoder
from kinview.encoders.front_end import GapFrontEnd
from kinview.methods.estimators.base import EstimatorCore
from kinview.methods.estimators.gap_filling import check_time_unit, fillings, learn_fillings, reads_times
from kinview.methods.estimators.side_readers import (
    ModelReader,
    SeriesReader,
    SideReader,
    TableReader,
    reader_from,
)
from kinview.methods.estimators.view_fitting import fit_views, forget_views
from kinview.training.method import PairSizes, Sizes

__all__ = ["OTHER_SIDE", "PairedEstimator", "other_side"]

OTHER_SIDE = "second"
"""Where ``extra`` of a batch holds the second side."""


class _Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What scikit-learn asks of a transformer."""


# no wrapper of the output: a frame has the names of the samples, which it does not know
class PairedEstimator(EstimatorCore, _Transformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """A scikit-learn transformer around a method for pairs.

    ``fit`` and ``transform`` take :class:`~kinview.PairedData`, a mapping of both sides by name, or a tuple of both;
    ``transform`` also a mapping with one side. Splitters and searches of scikit-learn take a ``PairedData``.

    Attributes
    ----------
    modality : str
        What it reads; its entry in the registry takes it from here.
    names_ : tuple of str
        Names of the two sides at fit.
    projects : bool
        Whether both sides come into one space; otherwise a network compares them, and there is :meth:`match` alone.
    n_pairs_ : int
        Training samples that had both sides: those that it was trained on.
    """

    __metadata_request__transform: ClassVar[dict[str, str]] = {"out": UNUSED, "side": UNUSED}
    __metadata_request__project: ClassVar[dict[str, str]] = {"side": UNUSED}

    modality: ClassVar[str] = PAIRED
    projects: ClassVar[bool] = True
    rows_noun: ClassVar[str] = "samples with both sides"

    scaling: Any = "dataset"
    table_scaling: Any = "dataset"
    text: Any = "refuse"
    side: str = "both"
    method_: Any
    names_: tuple[str, str]
    n_pairs_: int
    _readers: tuple[SideReader, SideReader]

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, extra: Any = None) -> Self:
        """Pre-train on the samples that have both sides.

        Parameters
        ----------
        X : PairedData, mapping or tuple
            Samples; some may lack a side. Scales and categories of a side are learned of all samples that have it.
        y : array-like of shape (n,), optional
            Not used, as by every method that needs no labels.
        groups : array-like, optional
            Group (patient) of each sample: held-out samples never share one with the others.
        extra : None
            Not used; for scikit-learn's and kinview's common signature.

        Raises
        ------
        ValueError
            For what is no pair, or a side that cannot be read; the message says which, and what to do.
        """
        return self._fit_or_initialise(X, y, groups, extra, train=True)

    def fit_transform(self, X: Any, y: Any = None, *, groups: Any = None, extra: Any = None) -> Float[Any, "n d"]:
        """Representations of the samples that it is fitted to; parameters as :meth:`fit`."""
        return self.fit(X, y, groups=groups, extra=extra).transform(X)

    def initialise(self, X: Any, *, groups: Any = None) -> Self:
        """Fit all but the weights: the networks as they are before training."""
        return self._fit_or_initialise(X, None, groups, None, train=False)

    def transform(self, X: Any, *, side: str | None = None, out: np.ndarray | None = None) -> Float[Any, "n d"]:
        """Representations ``(n, D)`` of samples, before the projection into the common space.

        Parameters
        ----------
        X : PairedData, mapping or tuple
            With the sides of fit; a mapping may have one alone.
        side : str, optional
            Name of the side that is embedded, or "both": one beside the other. By default the parameter ``side``. What
            a sample lacks has the mean of the training samples in its place.
        out : ndarray (n, D), optional
            Where to write them, a ``numpy.memmap`` for example; it is returned. By default a new array of float32.
        """
        number = self.number_of(self.side if side is None else side)
        pairs = PairedData.of(X, self.names_)
        batch = self.to_batch(pairs)
        if number is None:
            embedded = self.embed_batch(batch, out)
        else:
            embedded = self.embed_side(batch, number, out)
        values = embedded.numpy() if out is None else out
        container = _get_output_config("transform", self)["dense"]
        if container == "default":
            return values
        if container != "pandas":
            raise ValueError(f"the output is asked for as {container}; pairs give arrays and pandas' frames")
        columns = [f"{type(self).__name__.lower()}{i}" for i in range(values.shape[1])]
        return pd.DataFrame(values, index=pairs.index, columns=columns, copy=False)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Give frames, whose index are the names of the samples ("pandas"), or arrays ("default")."""
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    @property
    def _n_features_out(self) -> int:
        """Columns of ``transform``, which the parameter ``side`` chooses."""
        widths: tuple[int, int] = self.method_.widths
        return sum(widths) if self.side == "both" else widths[self.names_.index(self.side)]

    def project(self, X: Any, side: str) -> Float[np.ndarray, "n d"]:
        """Unit vectors ``(n, d)`` of one side in the space that both sides share; NaN where a sample lacks it.

        Parameters
        ----------
        X : PairedData, mapping or tuple
            As :meth:`transform`.
        side : str
            Name of the side.

        Raises
        ------
        ValueError
            For a method without such a space (:attr:`projects`), or what is no side.
        """
        if not self.projects:
            raise ValueError(
                f"{type(self).__name__} has no space that both sides share: a network compares them; match(X, "
                f"candidates, side=...) says what fits, and transform gives the representations"
            )
        number = self.number_of(side)
        if number is None:
            raise ValueError(f"each side has a projection of its own; side is {' or '.join(map(repr, self.names_))}")
        return self._projected(X, number).numpy()

    def _projected(self, X: Any, number: int) -> Float[Tensor, "n d"]:
        """What a side is compared with the other by; NaN where a sample lacks it."""
        return self._in_chunks(self.to_batch(X), lambda rows: self.method_.projected(rows, number))

    def match(self, X: Any, candidates: Any, *, side: str) -> Float[np.ndarray, "n m"]:
        r"""How probable it is that each candidate is the other side of each sample, ``(n, m)``; rows add up to 1.

        With unit projections u of the samples and v of the candidates, and 1/τ as the loss has learned it,

        .. math:: p_{ij} = \frac{e^{u_i \cdot v_j / \tau}}{\sum_k e^{u_i \cdot v_k / \tau}}.

        Classes that are described as rows of the table, other columns missing, are classified so without a label
        (zero-shot). Among candidates that are all wrong one is the most probable all the same: a probability says
        nothing of what is not among them.

        Parameters
        ----------
        X : PairedData, mapping or tuple
            Samples, of which ``side`` is read.
        candidates : PairedData, mapping or tuple
            Candidates, of which the other side is read.
        side : str
            Name of the side of X.

        Raises
        ------
        ValueError
            If a candidate lacks the side that is read; a sample that lacks its own has NaN.
        """
        number = self.number_of(side)
        if number is None:
            raise ValueError(f"side says which side X has: {' or '.join(map(repr, self.names_))}")
        other = self.names_[1 - number]
        described = self._described(PairedData.of(candidates, self.names_, "candidates"), other)
        u, v = self._projected(X, number), self._projected(described, 1 - number)
        unknown = torch.isnan(v).any(dim=1).numpy() | self._of_unknown_categories(described, 1 - number)
        if unknown.any():
            raise ValueError(
                f"{int(unknown.sum())} of {len(v)} candidates say nothing on the side {other!r} that fit has seen: no "
                f"value, or categories that it does not know (sample {described.index[unknown.argmax()]!r})"
            )
        device = next(self.method_.parameters()).device
        with torch.no_grad():
            logits = self.method_.logits(u.to(device), v.to(device), number)
        found: np.ndarray = torch.softmax(logits, dim=1).cpu().numpy()
        return found

    def _described(self, candidates: PairedData, name: str) -> PairedData:
        """Candidates with all columns of a side of tables: those that were not given are missing."""
        side, reader = candidates.side(name), self.reader_of(name)
        if not isinstance(reader, TableReader) or not isinstance(side.data, pd.DataFrame):
            return candidates
        absent = [column for column in reader.schema.names if column not in side.data.columns]
        whole = dataclasses.replace(side, data=side.data.assign(**dict.fromkeys(absent, np.nan)))
        return candidates.with_side(name, whole)

    def _of_unknown_categories(self, candidates: PairedData, number: int) -> Bool[np.ndarray, " m"]:
        """Which candidates have no value but categories that fit has not seen."""
        reader = self._readers[number]
        if not isinstance(reader, TableReader):
            return np.zeros(len(candidates), dtype=bool)
        batch = self.to_batch(candidates)
        x = (other_side(batch) if number else batch).x
        known = ~torch.isnan(x) & ~((x == 0) & torch.tensor(reader.schema.categorical))
        found: np.ndarray = (~known.any(dim=1)).numpy()
        return found

    def to_batch(self, X: Any, *, groups: Any = None) -> Batch:
        """Samples as the network takes them: the first side, and in ``extra`` the second one.

        Parameters
        ----------
        X : PairedData, mapping or tuple
            With the sides of fit.
        groups : array-like, optional
            Group of each sample.
        """
        check_is_fitted(self)
        pairs = PairedData.of(X, self.names_)
        for name, reader, tower in zip(self.names_, self._readers, self.method_.towers, strict=True):
            data = pairs.side(name).data
            if isinstance(reader, SeriesReader) and isinstance(data, Panel):
                with _of_side(name):
                    check_time_unit(tower, data.time_unit, reader.time_unit, read=reads_times(tower))
        return self._read(pairs, groups)

    def _read(self, pairs: PairedData, groups: Any = None) -> Batch:
        if not len(pairs):
            raise ValueError("X holds no sample; give at least one")
        first, second = (
            _scattered(name, pairs.side(name), reader, len(pairs))
            for name, reader in zip(self.names_, self._readers, strict=True)
        )
        codes = None
        if groups is not None:
            values = np.asarray(in_order_of(pairs.index, groups, "groups"))
            if values.shape != (len(pairs),):
                raise ValueError(f"groups has shape {values.shape} for {len(pairs)} samples; give one a sample")
            codes = torch.from_numpy(pd.factorize(values, use_na_sentinel=False)[0].astype(np.int64))
        return first.replace(groups=codes, extra={OTHER_SIDE: second})

    def _fit_or_initialise(self, X: Any, y: Any, groups: Any, extra: Any, *, train: bool) -> Self:
        self._is_fitted = False  # until all of this has succeeded
        self.check_parameters()
        pairs = PairedData.of(X)
        sides = [pairs.side(name) for name in pairs.names]
        for name, side in zip(pairs.names, sides, strict=True):
            if not side.present.any():
                raise ValueError(f"no training sample has the side {name!r}; a method of pairs learns from both")
        self._check_side(pairs.names)
        self.names_ = pairs.names
        self._readers = cast(
            "Any", tuple(self._fit_reader(name, s, train) for name, s in zip(pairs.names, sides, strict=True))
        )
        y, _, _ = self._in_order_of(pairs.index, y, None, None)
        batch = self._read_training(pairs, groups, train=train)
        self.n_pairs_ = int(pairs.complete.sum())
        self._fit_batch(self._with_metadata(batch, y, None) if train else batch, train=train)
        self._is_fitted = True
        return self

    def _read_training(self, pairs: PairedData, groups: Any, *, train: bool) -> Batch:
        """Training samples, with whatever training needs of them besides."""
        return self._read(pairs, groups)

    def _fit_reader(self, name: str, side: Side, train: bool) -> SideReader:
        """Learn how a side is read; of training samples, for a network that is trained or left as it is."""
        rows = side.rows()
        with _of_side(name):
            if isinstance(rows, Panel):
                return SeriesReader.fit(rows, self.scaling)
            return TableReader.fit(rows, self.text, self.table_scaling)

    def _check_side(self, names: Sequence[str]) -> None:
        if self.side not in ("both", *names):
            raise ValueError(f"side must be 'both', {' or '.join(map(repr, names))}; got {self.side!r}")

    def number_of(self, side: str) -> int | None:
        """Place of a side by its name, 0 or 1; None for "both".

        Raises
        ------
        ValueError
            If it is no side of fit.
        """
        check_is_fitted(self)
        if side == "both":
            return None
        if side not in self.names_:
            raise ValueError(f"side must be 'both', {' or '.join(map(repr, self.names_))}; got {side!r}")
        return self.names_.index(side)

    def reader_of(self, side: str) -> SideReader:
        """What is known of a side since fit: its channels or columns, or the model that reads it."""
        check_is_fitted(self)
        return self._readers[self.names_.index(side)]

    def _with_metadata(self, batch: Batch, y: Any, extra: Any) -> Batch:
        return super()._with_metadata(batch, y, extra).replace(extra=batch.extra)

    def embed_side(self, batch: Batch, number: int, out: np.ndarray | None = None) -> Float[Tensor, "n d"]:
        """Representations of one side, by its place, of what :meth:`to_batch` gives; ``out`` as of both sides."""
        return self._in_chunks(batch, lambda rows: self.method_.side(rows, number), out)

    def _sizes(self, batch: Batch) -> Sizes:
        first, second = (reader.sizes(len(batch)) for reader in self._readers)
        return PairSizes.of(first, second)

    def _training_rows(self, batch: Batch) -> Batch:
        """Samples with something observed on both sides."""
        seen = something_observed(batch) & something_observed(other_side(batch))
        return batch if bool(seen.all()) else batch.rows(seen.nonzero()[:, 0])

    def _build(self, sizes: Sizes) -> Any:
        """Untrained method, with room for what completes its series."""
        assert isinstance(sizes, PairSizes)
        method = super()._build(sizes)
        for tower, own in zip(method.towers, (sizes.first, sizes.second), strict=True):
            for filling in fillings(tower):
                filling.make_room(own.length)
        return method

    def _prepare_method(self, batch: Batch, rows: Batch) -> None:
        """What fills the gaps of series, and what encoders of tables learn of training rows, side by side."""
        for tower, of_all, of_rows in zip(
            self.method_.towers, (batch, other_side(batch)), (rows, other_side(rows)), strict=True
        ):
            (known,) = with_something_observed([of_all])
            for filling in fillings(tower):
                if isinstance(filling, GapFrontEnd):
                    filling.set_step(of_rows.times)
            learn_fillings(tower, known)
            for part in tower.modules():
                if isinstance(part, TableEncoder):
                    part.learn(known.x)

    def _fit_views(self, rows: Batch, generator: torch.Generator) -> None:
        sides = (rows.replace(extra={}), other_side(rows).replace(groups=rows.groups))
        for tower, own, reader in zip(self.method_.towers, sides, self._readers, strict=True):
            fit_views(tower, own, generator, schema=getattr(reader, "schema", None), owner=type(self).__name__)

    def _forget_views(self) -> None:
        for tower in self.method_.towers:
            forget_views(tower)

    def _rows_a_chunk(self, batch: Batch) -> int:
        return min(super()._rows_a_chunk(batch), super()._rows_a_chunk(other_side(batch)))

    def __sklearn_is_fitted__(self) -> bool:
        return getattr(self, "_is_fitted", False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors for a model file, those of models that read a side among them."""
        check_is_fitted(self)
        facts = {
            "sides": [{"name": name, **one.to_config()} for name, one in zip(self.names_, self._readers, strict=True)],
            "sizes": self.sizes_.to_config(),
        }
        tensors: dict[str, Tensor] = self.method_.inference_state()
        for reader in self._readers:
            tensors = tensors | reader.tensors() if isinstance(reader, ModelReader) else tensors
        return facts, tensors

    def _restore_reader(self, config: dict[str, Any], tensors: dict[str, Tensor]) -> SideReader:
        """How a side is read, from a model file."""
        return reader_from(config)

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        first, second = facts["sides"]
        self.names_ = (str(first["name"]), str(second["name"]))
        self._check_side(self.names_)
        self._readers = (self._restore_reader(first, tensors), self._restore_reader(second, tensors))
        self.training_ = None
        inside = tuple(f"{reader.place}/" for reader in self._readers if isinstance(reader, ModelReader))
        network = {name: value for name, value in tensors.items() if not name.startswith(inside)}
        self._restore_network(PairSizes.from_config(facts["sizes"]), network)
        self._is_fitted = True


def other_side(batch: Batch) -> Batch:
    """Second side of a batch of pairs."""
    second = batch.extra[OTHER_SIDE]
    assert isinstance(second, Batch)
    return second


@contextlib.contextmanager
def _of_side(name: str) -> Iterator[None]:
    """Errors say of which side they are."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"the side {name!r}: {error}") from error


def _scattered(name: str, side: Side, reader: SideReader, n: int) -> Batch:
    """A side of all samples, scaled; nothing observed where a sample lacks it."""
    places = torch.from_numpy(np.flatnonzero(side.present))
    if not len(places):
        return reader.nothing(n)
    rows = side.rows()
    if isinstance(rows, Panel) != reader.holds_series:
        held, known = ("time series", "a table") if isinstance(rows, Panel) else ("a table", "time series")
        raise ValueError(f"the side {name!r} holds {held}, at fit it was {known}")
    with _of_side(name):
        known_rows = reader.batch(rows)
    if len(places) == n:
        return known_rows.replace(index=torch.arange(n))
    x = torch.full((n, *known_rows.x.shape[1:]), torch.nan, dtype=known_rows.x.dtype)
    x[places] = known_rows.x
    times = None
    if known_rows.times is not None:
        times = torch.full((n, known_rows.times.shape[1]), torch.nan, dtype=known_rows.times.dtype)
        times[places] = known_rows.times
    return Batch.of(x, times=times)
