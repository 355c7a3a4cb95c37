"""What the estimators of both modalities share: build the method, train it, embed in chunks, be a file."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.complete_configs import complete_parameters, frozen_defaults
from kinview.data.alignment import in_order_of
from kinview.data.batch import Batch, read_extra
from kinview.data.labels import batch_labels
from kinview.data.modality import SAMPLE, check_modality
from kinview.data.sources.base import Source, refuse_source
from kinview.data.sources.rows import StreamedRows
from kinview.data.splits import holdout
from kinview.distributed import from_first
from kinview.methods.estimators.bounded_build import (
    Unstored,
    bounded,
    check_described,
    needed_for_embedding,
)
from kinview.methods.estimators.capabilities import Capabilities
from kinview.methods.estimators.model_file import save_model
from kinview.methods.estimators.outputs import checked_out, written_to
from kinview.methods.estimators.streaming import Streamed, sampled_rows
from kinview.methods.estimators.view_fitting import fit_views, forget_views
from kinview.old_pickles import FromPickle, gained_parameters
from kinview.parameters import checked_parameters
from kinview.registry import to_config
from kinview.training.callbacks import TrainingState
from kinview.training.checkpoint import CHECKPOINT_NAME, stored_identity
from kinview.training.method import Method, Sizes
from kinview.training.randomness import forked_generators, resolve_seed
from kinview.training.settings import resolve_device, settings_of, warn_of_batch
from kinview.training.trainer import Trainer, as_trainer
from kinview.training.watched import WatchedSamples

__all__ = ["EstimatorCore", "as_trainer", "fingerprint", "own_copy", "unfrozen"]

_CHUNK_VALUES = 2**21  # activations of one embedding chunk, so that memory does not grow with the data set


class EstimatorCore(FromPickle, Capabilities):
    """Training and embedding of one :class:`~kinview.training.Method`.

    A subclass is a :func:`~kinview.parameters.parameterised` class whose fields are its parameters, and names the class
    of its method, which is built of these. What every estimator has (``trainer``, ``random_state``; of series
    ``scaling``, of tables ``text``) has the default given here until the subclass makes it a parameter, by a field of
    that name from :mod:`kinview.methods.estimators`.

    Attributes
    ----------
    method_ : Method
        The trained network, in eval mode.
    sizes_ : Sizes
        Sizes of the data that it is built for.
    trainer_ : Trainer
        The effective training values.
    training_ : TrainingState or None
        Steps, epochs and losses; None where nothing was trained.
    """

    trains: ClassVar[bool] = True
    rows_noun: ClassVar[str] = "rows"  # what it trains on, in messages
    method_class: ClassVar[type[Method]]
    published_training: ClassVar[Mapping[str, Any]] = {}  # of a recipe, over those of the method
    training_only: ClassVar[frozenset[str]] = frozenset()  # parameters that leave the untrained network as it is
    embeds_by_encoder: ClassVar[bool] = False  # and by nothing besides: its untrained network is that of the encoder

    modality: ClassVar[str]
    trainer: Any = None
    random_state: Any = None
    _watched_labels: Tensor | None  # between reading labels for a callback and training
    method_: Method
    sizes_: Sizes
    trainer_: Trainer
    training_: TrainingState | None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill in what the pickle of an earlier version lacks, and build its network anew around the same tensors."""
        super().__setstate__(state)
        if "method_" not in state:
            return
        if "sizes_" not in state:
            self.sizes_ = self._sizes_of_0_1()
        if "sizes_" not in state or any(name not in state for name in self.get_params(deep=False)):  # type: ignore[attr-defined]
            self._name_parts_of_0_1()
            self._rebuild_network(self.method_)

    def _name_parts_of_0_1(self) -> None:
        """Parameters that are parts, as kinview 0.1.0 understood them, where a default inside has changed since."""
        given = self.get_params(deep=False)  # type: ignore[attr-defined]
        now = complete_parameters(type(self), given)
        for name, then in complete_parameters(type(self), given, frozen_defaults("0.1.0")).items():
            if then != now[name]:
                setattr(self, name, then)

    def _rebuild_network(self, former: Method) -> None:
        """Network as this version builds it, with the tensors of the one that a pickle held."""
        self._restore_network(self.sizes_, former.state_dict())

    def _restore_network(self, sizes: Sizes, tensors: Mapping[str, Tensor]) -> None:
        """Network for these sizes with stored tensors; what embedding does not need may be absent from them.

        Raises
        ------
        ValueError
            If a tensor that embedding needs is absent, or one does not fit; nothing is allocated then.
        """
        self._build_untrained(sizes, stored=tensors)
        absent, _ = self.method_.load_state_dict(tensors, strict=False)
        needed = sorted(set(absent) & needed_for_embedding(self.method_, tensors))
        if needed:
            raise ValueError(f"the network needs the tensors {', '.join(needed[:5])}, and they are not stored")

    @property
    def fitted_network(self) -> EstimatorCore | None:
        """Itself, once it is fitted."""
        return self if hasattr(self, "method_") else None

    @property
    def config(self) -> dict[str, Any]:
        """Parameters as a file describes them: a frozen estimator is the one inside."""
        return {name: unfrozen(getattr(self, name)) for name in inspect.signature(type(self)).parameters}

    @property
    def uses(self) -> frozenset[str]:
        """Which of ``y``, ``groups`` and ``extra`` fit hands on to the method; the others never reach it.

        By default what the views among the parameters need. A method with a need of its own declares it in the body of
        its class: ``uses = frozenset({"y"})``.
        """
        needs = frozenset().union(*(view.needs for view in self._augmentations()))
        return needs & {"y", "groups", "extra"}

    @property
    def min_channels(self) -> int:
        """Fewest channels, or columns, that the views among the parameters can be made of."""
        return max((view.min_channels for view in self._augmentations()), default=1)

    def _augmentations(self) -> list[Any]:
        """Augmentations among the parameters, built."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        named = [field.name for field in fields if getattr(field.metadata.get("rule"), "noun", "") == "augmentation"]
        return [augmentations.build(getattr(self, name)) for name in named if getattr(self, name) is not None]

    @property
    def uses_labels(self) -> bool:  # type: ignore[override]
        """Whether fit reads ``y``."""
        return "y" in self.uses

    def to_batch(self, X: Any, *, groups: Any = None) -> Batch:
        """Samples as the network of this fitted estimator takes them."""
        raise NotImplementedError

    def _in_order_of(self, X: Any, y: Any, groups: Any, extra: Any) -> tuple[Any, Any, Any]:
        """What goes with the samples, in their order where its index names them; what the method uses not, as it is.

        Raises
        ------
        ValueError
            If an index holds other samples than X.
        """
        y = in_order_of(X, y, "y") if "y" in self.uses or self._labels_are_watched() else y
        if isinstance(extra, Mapping) and "extra" in self.uses:
            extra = {name: in_order_of(X, value, f"extra[{name!r}]") for name, value in extra.items()}
        return y, in_order_of(X, groups, "groups"), extra

    def _with_metadata(self, batch: Batch, y: Any, extra: Any) -> Batch:
        """Batch with the labels and further features that the method uses, and no others.

        Raises
        ------
        ValueError
            If they are not one a row, missing for some, or not finite.
        """
        uses, n = self.uses, len(batch)
        self.__dict__.pop("_watched_labels", None)  # of a fit that failed
        labels = batch_labels(y, None, n)["y"] if "y" in uses else None
        if labels is not None and labels.is_floating_point() and bool(torch.isnan(labels).any()):
            missing = int(torch.isnan(labels).sum())
            raise ValueError(f"y is missing for {missing} of {n} rows; leave out the rows without a label")
        if y is not None and self._labels_are_watched():
            self._watched_labels = batch_labels(y, None, n)["y"]
        return batch.replace(y=labels, extra={} if extra is None or "extra" not in uses else read_extra(extra, n))

    def _labels_are_watched(self) -> bool:
        """Whether a callback of the training needs labels, which then reach it and nothing else."""
        return any(hook.needs_labels for hook in as_trainer(self.trainer).hooks())

    def _check_fields_used(self, rows: Batch) -> None:
        """Refuse training rows without what the method uses."""
        name = f"{type(self).__name__} with these parameters"
        needs = self.needs
        if "y" in needs and rows.y is None:
            raise ValueError(f"{name} uses the label of each row, and none were given: fit(X, y)")
        if "groups" in needs and rows.groups is None:
            raise ValueError(f"{name} uses the group of each row, and none were given: fit(X, groups=...)")
        if "extra" in needs and not rows.extra:
            raise ValueError(
                f"{name} uses further features of each row, and none were given: fit(X, extra={{'features': array}})"
            )

    def check_parameters(self) -> None:
        """Refuse parameters out of range, before any work; a subclass refuses what makes no sense together.

        Raises
        ------
        ValueError
            Which parameter, what it must be, and what it is.
        """
        checked_parameters(self)

    def _sizes(self, batch: Batch) -> Sizes:
        """Sizes of training rows."""
        raise NotImplementedError

    def _sizes_of_0_1(self) -> Sizes:
        """Sizes of an estimator that kinview 0.1.0 fitted, which kept no more of them than a method needed."""
        raise NotImplementedError

    def _build(self, sizes: Sizes) -> Any:
        """Untrained method for data of these sizes; of features that are fixed, their module."""
        build = cast("Callable[[Any, Sizes], Any]", self.method_class)
        return build(self, sizes)

    def _build_untrained(self, sizes: Sizes, seed: int = 0, stored: Mapping[str, Tensor] | None = None) -> None:
        """Become an estimator with initial weights on the CPU, which the caller replaces (by what is stored)."""
        self.check_parameters()
        self.sizes_ = sizes
        unstored = Unstored()
        if stored is not None:
            with forked_generators(seed, torch.device("cpu")):
                unstored = check_described(lambda: self._build(sizes), stored)
        limits = nullcontext() if stored is None else bounded(stored)
        with forked_generators(seed, torch.device("cpu")), limits, unstored.left_out():
            self.method_ = self._build(sizes)
        unstored.replace_in(self.method_)
        self.method_.eval()

    def _training_rows(self, batch: Batch) -> Batch:
        """Rows as the method trains on them; possibly none."""
        return batch

    def _training_defaults(self, batch: Batch) -> dict[str, Any]:
        """The method's published training values for these data."""
        return {**self.method_.training_defaults, **self.published_training}

    def _prepare_method(self, batch: Batch, rows: Batch) -> None:
        """What the method learns before its first step, from the data and the training rows; nothing by default."""

    def why_not_trainable(self, rows: Batch) -> str | None:
        """Why these training rows cannot train the method, as the end of a sentence; None where they can.

        ``fit`` then keeps the initial weights and warns. By default that they are fewer than ``min_rows`` of the method
        class; a method that needs more of them, such as a length, overrides this.
        """
        fewest = self.method_.min_rows
        if len(rows) >= fewest:
            return None
        needs = "contrast needs at least two" if fewest == 2 else f"its loss needs at least {fewest}"
        return f"{needs} {self.rows_noun}, there are {len(rows)}"

    def why_not_streamed(self) -> str | None:
        """Why ``fit`` needs all rows in memory, as the end of a sentence; None where it takes a source.

        What a method learns of rows before and after training (completions, bins, marginals) it then learns of a
        sample. A method for which that is not enough overrides this.
        """
        if not self.trains:
            return "learns from all rows at once"
        partners = [view for view in self._augmentations() if view.chooses_partners]
        return f"has a view that looks for partners ({type(partners[0]).__name__})" if partners else None

    def _check_source(self, source: Source) -> None:
        """Refuse to be fitted to a source that cannot be read, or where all rows have to be in memory."""
        check_modality(type(self).__name__, str(self.modality), source.modality, f"X, a {type(source).__name__},")
        reason = self.why_not_streamed()
        if reason is not None:
            refuse_source(source, type(self).__name__, reason)

    def _surveyed(self, survey: Any, source: Source, y: Any, groups: Any, extra: Any, seed: int, train: bool) -> Any:
        """What one pass over a source finds, and the labels and groups of its rows."""
        if groups is None and isinstance(source.names, pd.MultiIndex):
            groups = source.names.get_level_values(0)
        rows = Batch.of(torch.empty(len(source), 0), **batch_labels(None, groups, len(source)))
        chosen = sampled_rows(source, seed)
        fields = self._with_metadata(rows, y, extra) if train else rows
        if "_watched_labels" in self.__dict__:
            self._watched_labels = None if self._watched_labels is None else self._watched_labels[chosen]
        hashed = train and as_trainer(self.trainer).checkpoint_dir is not None
        return survey(source, fields, chosen, hashed, self._training_rows)

    def _fit_batch(
        self, batch: Batch, *, train: bool = True, seed: int | None = None, streamed: Streamed | None = None
    ) -> None:
        """Build the method and train it; all randomness comes from ``random_state``, or the seed made from it.

        Where the data are streamed ``batch`` is the sample of them.
        """
        labels = self.__dict__.pop("_watched_labels", batch.y)
        seed = self._seed() if seed is None else seed
        device = resolve_device(as_trainer(self.trainer).device or "cpu")
        self.sizes_ = self._sizes(batch)
        if streamed is not None:
            self.sizes_ = dataclasses.replace(self.sizes_, rows=len(streamed.source))
        with forked_generators(seed, device):
            self.method_ = self._build(self.sizes_)
            of_all = batch if streamed is None else streamed.all_in_shape(batch)
            self.trainer_ = as_trainer(self.trainer).merged(self._training_defaults(of_all))
            settings_of(self.trainer_)
            rows = self._training_rows(batch)
            self._prepare_method(batch, rows)
            samples, generator = batch.replace(y=labels), torch.Generator().manual_seed(seed)
            self.training_ = self._train(rows, generator, samples, streamed) if train else None
        self.method_.to(device).eval()
        self._learn_after_training(batch, seed)

    @torch.no_grad()
    def _learn_after_training(self, batch: Batch, seed: int) -> None:
        """What embedding needs beside the weights, of the network as it is."""
        self.method_.after_training(batch, self._rows_a_chunk(batch), torch.Generator().manual_seed(seed))

    def _seed(self) -> int:
        """From ``random_state``; where that is None, a checkpoint is continued with the seed that it began with.

        Where it is None, several processes have the seed of the first.
        """
        if self.random_state is not None:
            return resolve_seed(self.random_state)
        trainer = as_trainer(self.trainer)
        seed = resolve_seed(None)
        if trainer.checkpoint_dir is not None and trainer.resume != "never":
            path = Path(trainer.checkpoint_dir) / CHECKPOINT_NAME
            if path.exists():
                seed = int(stored_identity(path).get("seed", 0))
        return from_first(seed)

    def _train(
        self, rows: Batch, generator: torch.Generator, samples: Batch, streamed: Streamed | None = None
    ) -> TrainingState | None:
        """Train on the rows; the samples that they were made of, with all that is known of them, are for callbacks.

        Where the data are streamed these are a sample, and the rows of each step are read.
        """
        reason = self.why_not_trainable(rows)
        if reason is not None:
            import warnings

            warnings.warn(f"{type(self).__name__} keeps its initial weights: {reason}", UserWarning, stacklevel=4)
            return None
        try:
            self._fit_views(rows, generator)
            self._check_fields_used(rows)
            train: Batch | StreamedRows
            if streamed is None:
                train, validation = self._hold_out(rows, generator)
                watched = self._watched(samples, train, validation, len(samples))
            else:
                train, validation = self._hold_out_of(streamed, generator)
                kept = rows if validation is None else rows.rows(~torch.isin(rows.index, validation.index))
                watched = self._watched(samples, kept, validation, len(streamed.source))
            if "groups" not in self.uses:  # they have kept held-out rows apart, and concern the method no more
                train = train.replace(groups=None) if isinstance(train, Batch) else train
                validation = None if validation is None else validation.replace(groups=None)
            warn_of_batch(as_trainer(self.trainer).batch_size, len(train), type(self).__name__)
            return self.trainer_.fit(
                self.method_,
                train,
                generator=generator,
                validation=validation,
                identity=self._identity_of(rows, generator.initial_seed(), streamed),
                description=type(self).__name__,
                watched=watched,
            )
        finally:
            self._forget_views()

    def _fit_views(self, rows: Batch, generator: torch.Generator) -> None:
        """Let the views of the method learn from the training rows."""
        fit_views(self.method_, rows, generator, schema=getattr(self, "schema_", None), owner=type(self).__name__)

    def _forget_views(self) -> None:
        """Leave what the views learned with the training."""
        forget_views(self.method_)

    def _watched(self, samples: Batch, train: Batch, validation: Batch | None, size: int) -> WatchedSamples:
        """What callbacks may look at: the samples of the training rows, and of those that are held out."""
        trained = torch.isin(samples.index, train.index)
        held_out = ~trained if validation is None else torch.isin(samples.index, validation.index) & ~trained
        return WatchedSamples(
            fitted=samples.rows(trained),
            held_out=None if validation is None or not bool(held_out.any()) else samples.rows(held_out),
            rows=train if "groups" in self.uses else train.replace(groups=None),
            rows_a_chunk=self._rows_a_chunk(samples),
            size=size,
            labels_are_trained_on=train.y is not None,
        )

    def _hold_out(self, rows: Batch, generator: torch.Generator) -> tuple[Batch, Batch | None]:
        fraction = self.trainer_.validation_fraction
        if not fraction:
            return rows, None
        kept, held_out = holdout(len(rows), fraction, generator, groups=rows.groups)
        if len(held_out) < 2 or len(kept) < 2:  # nothing to contrast in one row
            return rows, None
        return rows.rows(kept), rows.rows(held_out)

    def _hold_out_of(self, streamed: Streamed, generator: torch.Generator) -> tuple[StreamedRows, Batch | None]:
        """As :meth:`_hold_out`; the rows that are held out stay in memory.

        Raises
        ------
        ValueError
            If they are more than the blocks in memory hold.
        """
        rows = streamed.training_rows("groups" in self.uses)
        fraction = self.trainer_.validation_fraction
        if not fraction:
            return rows, None
        kept, held_out = holdout(len(rows), fraction, generator, groups=rows.groups)
        if len(held_out) < 2 or len(kept) < 2:
            return rows, None
        room = -(-len(rows) * streamed.source.blocks_in_memory // len(streamed.sizes))
        passes = self.trainer_.validation_passes or 1
        if len(held_out) * passes > room and len(streamed.sizes) > streamed.source.blocks_in_memory:
            raise ValueError(
                f"Trainer(validation_fraction={fraction}, validation_passes={passes}) views {len(held_out):,} rows "
                f"{'once' if passes == 1 else f'{passes} times'}, and these views stay in memory, where there is room "
                f"for {room:,}: give a smaller fraction (0 for no early stopping), or a source with more "
                f"blocks_in_memory"
            )
        return rows.subset(kept), rows.subset(held_out).all_rows()

    def _identity_of(self, rows: Batch, seed: int, streamed: Streamed | None) -> dict[str, Any] | None:
        """As :meth:`_identity`, where there is a checkpoint; of data that are streamed, with the hash of all rows."""
        if not self.trainer_.checkpoint_dir:
            return None
        return self._identity(rows, seed) | ({} if streamed is None else {"data": streamed.fingerprint})

    def _identity(self, rows: Batch, seed: int) -> dict[str, Any]:
        """What a checkpoint of this training belongs to."""
        return {
            "method": type(self).__name__,
            **described_parameters(self, self.config),
            "seed": seed,
            "data": fingerprint(rows),
        }

    def _embed_blocks(self, source: Source, batches: Iterable[Batch], out: Any) -> Any:
        """Representations of the blocks of a source: the array, or the Parquet file, that they are written to."""
        with written_to(out, len(source), source.names, SAMPLE[source.modality], self._feature_names) as written:
            for batch in batches:
                written(self.embed_batch(batch).numpy())
        return written.result

    def _feature_names(self, number: int) -> list[str]:
        return [f"{type(self).__name__.lower()}{i}" for i in range(number)]

    def embed_batch(self, batch: Batch, out: np.ndarray | None = None) -> Float[Tensor, "n d"]:
        """Representations ``(n, D)`` of what :meth:`to_batch` gives, in chunks, on the CPU in float32.

        Parameters
        ----------
        batch : Batch
            Samples as the network takes them; cells may have been hidden since.
        out : ndarray (n, D), optional
            Where to write them; the result is empty then.
        """
        return self._in_chunks(batch, self.method_.embed, out)

    @torch.no_grad()
    def _in_chunks(self, batch: Batch, embed: Any, out: np.ndarray | None = None) -> Tensor:
        """What ``embed`` makes of the rows; each chunk is written into the result, so that no second one is held."""
        held = next(itertools.chain(self.method_.parameters(), self.method_.buffers()), torch.empty(0))
        chunk = max(1, min(len(batch), self._rows_a_chunk(batch)))
        result: Any = None
        done = 0
        for rows in torch.split(torch.arange(len(batch)), chunk):
            part = embed(batch.rows(rows).to(held.device)).float().cpu()
            if result is None:
                shape = (len(batch), *part.shape[1:])
                result = torch.empty(shape) if out is None else checked_out(out, shape)
            result[done : done + len(rows)] = part if out is None else part.numpy()
            done += len(rows)
        return result if out is None else torch.empty(0)  # what is in an array may be of another type

    def _rows_a_chunk(self, batch: Batch) -> int:
        """Rows of a batch that are embedded at once."""
        a_row = max(512, batch.x.shape[1]) if batch.x.ndim == 2 else batch.x.shape[2] * 64
        return max(1, _CHUNK_VALUES // a_row)

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``trainer__<field>`` reaches into the trainer, also where none was given yet."""
        if any(name.startswith("trainer__") for name in params):
            params = {**params, "trainer": as_trainer(params.get("trainer", self.trainer))}
        return super().set_params(**params)  # type: ignore[misc,no-any-return]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted estimator to a file; :func:`kinview.load_model` reads it.

        The file holds weights, scaling and the names of channels or columns. It holds no training row and no marginal,
        and no name of a category of fewer than 5 training rows; fit has made these one, so that embeddings are the same
        after loading.

        Raises
        ------
        TypeError
            If a parameter has no config; it is named.
        """
        return save_model(self, path)


def described_parameters(part: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an estimator as a checkpoint holds them: as given, and with the defaults of the parts inside.

    Among those as given a parameter that the class has gained since kinview 0.1.0 is left out while it has its default,
    as in the checkpoints of that version.
    """
    values = {name: value for name, value in values.items() if name not in ("trainer", "random_state")}
    gained = gained_parameters(type(part))
    return {
        "parameters": {
            name: to_config(value)
            for name, value in values.items()
            if name not in gained or to_config(value) != gained[name]
        },
        "complete_parameters": complete_parameters(type(part), values),
    }


def fingerprint(batch: Batch) -> str:
    """SHA-256 over all fields of training rows: shapes, values, gaps, times, groups, labels, and what is extra.

    Where a row came from in its data set is not part of it.
    """
    import hashlib

    digest = hashlib.sha256()
    further: dict[str, Tensor | Batch] = {} if batch.y is None else {"y": batch.y}
    further |= {f"extra.{name}": batch.extra[name] for name in sorted(batch.extra)}
    for name, value in [("", batch.x), ("", batch.times), ("", batch.groups), *further.items()]:
        digest.update(name.encode())
        if isinstance(value, Batch):
            digest.update(fingerprint(value).encode())
        else:
            digest.update(b"-" if value is None else str((tuple(value.shape), value.dtype)).encode())
            digest.update(b"" if value is None else np.ascontiguousarray(value.numpy()).tobytes())
    return digest.hexdigest()


def own_copy(estimator: EstimatorCore) -> EstimatorCore:
    """The estimator with weights of its own; training these leaves the original as it is."""
    twin = copy.copy(estimator)
    twin.method_ = copy.deepcopy(estimator.method_).to("cpu").eval()
    return twin


def unfrozen(given: Any) -> Any:
    """The estimator inside a ``FrozenEstimator``, which ``clone`` leaves fitted; anything else as it is."""
    return given.estimator if isinstance(given, FrozenEstimator) else given
