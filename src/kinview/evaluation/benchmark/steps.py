"""The steps of a benchmark: fit a model, embed with it, probe the embedding; models and embeddings are cached."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kinview.datasets._pooling import names_of
from kinview.datasets.dataset import Dataset
from kinview.datasets.named import load
from kinview.datasets.samples import Samples
from kinview.evaluation.benchmark.cached import (
    Embedding,
    checkpoints_path,
    fit_and_save,
    model_path,
    read_embedding,
    read_model,
    write_embedding,
)
from kinview.evaluation.benchmark.grid import Cell, method_identity, part_label
from kinview.evaluation.benchmark.scoring import known_rows, scored, true_labels
from kinview.evaluation.benchmark.spent import Spent
from kinview.evaluation.benchmark.static import extra_of, with_static
from kinview.evaluation.benchmark.transfer import pretrained_on_sources, taken_to
from kinview.evaluation.corruptions import Learned, corruptions
from kinview.evaluation.corruptions.changes import Corrupted
from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise.base import NoisyLabels
from kinview.evaluation.metrics.embeddings import embedding_metrics
from kinview.evaluation.metrics.two_sides import side_metrics
from kinview.evaluation.probes import probes
from kinview.evaluation.protocols import Protocol, splits
from kinview.files import canonical_json
from kinview.methods import methods
from kinview.own_parts import restore_parts

__all__ = ["Chain", "fold_of", "load_dataset", "run_chain"]

Part = Literal["train", "test"]
_PARTS: tuple[Part, Part] = ("train", "test")
_WORD = re.compile(r"[^\s'\",;:!?()\[\]{}]+")
_QUOTED = re.compile(r"(['\"])(.*?)\1")
Row = dict[str, Any]
Note = Callable[[str, str, Spent | None], None]


class Chain:
    """Cells that share one fitted model, and the steps that lead to their results.

    Parameters
    ----------
    cell : Cell
        Any of them.
    data_dir : str, optional
        For :func:`kinview.load`.
    cache : Path
        Folder of the cached models and embeddings.
    note : callable, optional
        Told the kind and key of a model or embedding when it is begun, and again with what it took when it is there.

    Raises
    ------
    ValueError
        If the data set is no longer the one that the benchmark was planned with.
    """

    def __init__(self, cell: Cell, data_dir: str | None, cache: Path, note: Note | None = None) -> None:
        self.cell, self.cache, self.data_dir, self._note = cell, cache, data_dir, note
        loaded = load_dataset(cell.dataset, data_dir, cell.dataset_options)
        if loaded.fingerprint() != cell.fingerprint:
            raise ValueError(f"data set {cell.dataset!r} changed on disk while the benchmark ran; run it again")
        self.dataset, self.test_names = fold_of(loaded, cell)
        self.seconds = {"pretrain": 0.0, "embed": 0.0, "probe": 0.0}
        self._embeddings: dict[str, Embedding] = {}
        self._learned: dict[str, Learned] = {}
        self._labels: dict[str, tuple[np.ndarray, NoisyLabels]] = {}
        self._measured: dict[str, Row] = {}
        self._model: Any = None
        self._failed: Exception | None = None

    def model(self) -> Any:
        """The fitted method: from the cache, else fitted and written there. One that failed is not tried again.

        It is always read back from its file, so that a run that was killed after this step and one that was not embed
        with the same model.
        """
        if self._failed is not None:
            raise self._failed
        if self._model is None:
            path = model_path(self.cache, self.cell.pretrain_key)
            try:
                self._model = read_model(path) or self._fit(path)
            except Exception as error:
                self._failed = error
                raise
        return self._model

    def names(self) -> frozenset[str]:
        """Names of the samples and of their groups, as text."""
        samples = self.dataset.pooled()
        named = names_of(samples.X, samples.modality) or []
        return frozenset(named) | frozenset(map(str, () if samples.groups is None else samples.groups.tolist()))

    def _fit(self, path: Path) -> Any:
        key, source = self.cell.pretrain_key, None
        if self.cell.sources is not None:
            source = pretrained_on_sources(
                self.cell, self._unfitted, cache=self.cache, data_dir=self.data_dir, timed=self._timed
            )
        with self._timed("pretrain", key) as spent:
            X, given = self._training_samples()
            folder = checkpoints_path(self.cache, key)
            return fit_and_save(lambda: self._fitted(X, source, **given), path, folder, spent)

    def _training_samples(self) -> tuple[Any, dict[str, Any]]:
        """Samples that the method is fitted on, and what goes with them.

        All rows and their groups; for a method that uses labels the labelled rows, with the labels that the probe sees.
        """
        data = self.data("train", self.cell.pretrain_corruption)
        if not self.cell.fits_labels:
            return self._read_by_method(data), {**self._groups(), **extra_of(data.static, self.cell)}
        rows, labels = self._training_labels(self.cell)
        given = {"y": labels.y, **self._groups(rows), **extra_of(data.static, self.cell, rows)}
        return self._read_by_method(data, rows), given

    def _groups(self, rows: Any = slice(None)) -> dict[str, Any]:
        """Groups of training rows, as a keyword; none where the data set has none."""
        groups = self.dataset.groups_train
        return {} if groups is None else {"groups": np.asarray(groups)[rows]}

    def _fitted(self, X: Any, source: Any, **given: Any) -> Any:
        """The method fitted; where only labels may train it, all but the weights: the probe trains with them."""
        if source is not None:
            return taken_to(source, X)
        estimator = self._unfitted()
        return (estimator.initialise if estimator.trained_by_probe else estimator.fit)(X, **given)

    def _read_by_method(self, data: Corrupted, rows: Any = None) -> Any:
        """What the method reads of samples: X, or pairs of X and static columns; of some rows."""
        samples = Samples(data.X, modality=self.dataset.modality, static=data.static)
        samples = samples if rows is None else samples.rows(rows)
        columns = self.cell.static_columns("pairs")
        return samples.pairs(columns) if columns else samples.X

    def data(self, part: Part, corruption: tuple[Any, float] | None) -> Corrupted:
        """Raw values and static columns of a part with a corruption applied, and the severity that came out.

        The mask depends on data set, fold, part, seed and mechanism alone: it is the same for every method and probe.
        What the mechanism learns (thresholds, drivers) it learns from the training part, for both.
        """
        X, given = self._given_to_corruption(part)
        if corruption is None:
            return Corrupted(X, None, 0.0, given["static"])
        config, severity = corruption
        mechanism = corruptions.build(config, rate=severity)
        named = f"{severity!r} {canonical_json(config)}"
        if named not in self._learned:
            X_train, given_train = self._given_to_corruption("train")
            self._learned[named] = mechanism.learn(X_train, self.cell.seeds(), **given_train)
        seed = self.cell.seeds(int(part == "test"))
        corrupted: Corrupted = mechanism.corrupted(X, seed, **given, learned=self._learned[named])
        return corrupted if corrupted.static is not None else dataclasses.replace(corrupted, static=given["static"])

    def _static(self, cell: Cell, part: Part) -> Any:
        """Static columns of a part under a cell's condition."""
        corruption = cell.corruption_of(part)
        if corruption is None or not corruptions.build(corruption[0], rate=corruption[1]).changes_static:
            return self.dataset.part(part).static
        return self.data(part, corruption).static

    def _given_to_corruption(self, part: Part) -> tuple[Any, dict[str, Any]]:
        """Raw values of a part, and what a corruption may ask for besides."""
        samples = self.dataset.part(part)
        return samples.X, {"groups": samples.groups, "y": samples.y, "static": samples.static}

    def embedding(self, cell: Cell, part: Part) -> Embedding:
        """Embedding of a part under a cell's condition: from memory, the cache, or computed and written there."""
        key = cell.embed_key(part)
        if key not in self._embeddings:
            n = self.dataset.sizes[_PARTS.index(part)]
            found = read_embedding(self.cache, key)
            if found is None or len(found.z) != n:
                model = self.model()
                with self._timed("embed", key):
                    data = self.data(part, cell.corruption_of(part))
                    found = _embed(model, self._read_by_method(data), data.realised)
                    write_embedding(found, self.cache, key)
            self._embeddings[key] = found
        return self._embeddings[key]

    def probe(self, cell: Cell) -> Row:
        """Result of one cell: fit the probe on training data and labels, score the clean test labels."""
        probe = probes.build(cell.probe, random_state=cell.seed)
        rows, labels = self._training_labels(cell)
        if probe.needs_model:
            data = [self.data(part, cell.corruption_of(part)) for part in _PARTS]
            missing_train, missing_test = (one.realised for one in data)
            train, test = self._read_by_method(data[0], rows), self._read_by_method(data[1])
            given = {"model": self.model(), "trainer": _environment(cell)}
        else:
            embedded = [self.embedding(cell, part) for part in _PARTS]
            missing_train, missing_test = (e.realised_missing for e in embedded)
            train, test = (e.z_missing if probe.accepts_missing else e.z for e in embedded)
            columns, static = cell.static_columns("probe"), [self._static(cell, part) for part in _PARTS]
            train, test = with_static(static, columns, (train, test), keep_missing=probe.accepts_missing)
            train, given = train[rows], {}
        given |= self._groups(rows)
        with self._timed("probe") as spent:
            said, metrics = scored(probe, self.dataset, self.test_names, train, labels.y, test, **given)
        return {
            "predictions": said,
            **{name: value for name, value in metrics.items() if name != "notes"},
            "metrics": {**metrics, **self._embedding_metrics(cell, probe)},
            "realised_missing_train": missing_train,
            "realised_missing_test": missing_test,
            "realised_noise": labels.realised_rate,
            "realised_transition": None if cell.label_noise is None else _transition(labels),
            "labelled_samples": len(rows),
            "labelled_groups": None
            if self.dataset.groups_train is None
            else len(np.unique(self._groups(rows)["groups"])),
            "convergence_failures": probe.convergence_failures,
            "seconds": spent.seconds,
            "status": "ok",
        }

    def _embedding_metrics(self, cell: Cell, probe: Any) -> Row:
        """What the test embedding is like without a probe, where that is asked for and the network is frozen."""
        if not cell.embedding_metrics or probe.needs_model or self.dataset.task == "regression":
            return {}
        key = cell.embed_key("train") + cell.embed_key("test")
        if key not in self._measured:
            train, test = (self.embedding(cell, part).z for part in _PARTS)
            y, groups = self.dataset.y_test, self.dataset.groups_test
            found: Row = {"embedding": dict(embedding_metrics(train, test, y, groups=groups, seed=cell.seeds()))}
            network = self.model().fitted_network  # of an untrained control that of the method
            if cell.static_columns("pairs") and getattr(network, "projects", False):
                found["sides"] = self._side_metrics(network, cell)
            self._measured[key] = found
        return self._measured[key]

    def _side_metrics(self, network: Any, cell: Cell) -> Row:
        """How well both sides of the test samples find each other under a cell's condition."""
        pairs = self._read_by_method(self.data("test", cell.corruption_of("test")))
        first, second = (network.project(pairs, side) for side in pairs.names)
        return dict(side_metrics(first, second, names=self.dataset.groups_test))

    def _training_labels(self, cell: Cell) -> tuple[np.ndarray, NoisyLabels]:
        """Rows whose label a cell knows, and their labels with its noise.

        Noise that looks at samples sees their values before a corruption, so that it is the same at every severity.
        """
        named = canonical_json([cell.label_fraction, cell.label_noise, cell.label_noise_rate])
        if named not in self._labels:
            rows = known_rows(self.dataset, cell.label_fraction, cell.seeds(), **self._groups())
            labels = true_labels(self.dataset, rows)
            if cell.label_noise is not None:
                noise = label_noise.build(cell.label_noise, rate=cell.label_noise_rate)
                given = self._groups(rows) if "groups" in noise.asks_for else {}
                if "features" in noise.asks_for:
                    given["X"] = Samples(self.dataset.X_train, modality=self.dataset.modality).rows(rows).X
                labels = noise.apply(labels.y, classes=labels.classes, seed=cell.seeds(), **given)
            self._labels[named] = rows, labels
        return self._labels[named]

    def _unfitted(self) -> Any:
        """The method with the benchmark's seed, device and precision, checkpointing into the cache."""
        estimator = methods.build(self.cell.method, for_modality=self.cell.modality)
        if "random_state" in estimator.get_params(deep=False):  # scikit-learn's sign that a part draws at all
            estimator.set_params(random_state=self.cell.seed)
        if estimator.trains and not estimator.trained_by_probe:
            key = self.cell.pretrain_key if self.cell.sources is None else self.cell.source_key
            fixed = {"checkpoint_dir": str(checkpoints_path(self.cache, key)), "resume": "auto"}
            fixed |= _environment(self.cell)
            estimator.set_params(trainer={**(estimator.trainer or {}), **fixed})
        return estimator

    @contextlib.contextmanager
    def _timed(self, step: str, key: str | None = None) -> Iterator[Spent]:
        """Add the wall time of the block to a step, and note what has a key; it is known after the block."""
        spent = Spent()
        if self._note is not None and key is not None:
            self._note(step, key, None)
        start = time.perf_counter()
        try:
            yield spent
        finally:
            spent.seconds = time.perf_counter() - start
            self.seconds[step] = self.seconds.get(step, 0.0) + spent.seconds
        if self._note is not None and key is not None:
            self._note(step, key, spent)


def run_chain(
    cells: Sequence[Cell],
    *,
    data_dir: str | None,
    cache: Path,
    report: Callable[[Cell, Row], None],
    note: Note | None = None,
) -> dict[str, float]:
    """Compute cells that share one fitted model, and report each result the moment it exists.

    Beside the columns of the store a result has ``predictions``, where it did not fail.
    A cell that fails is reported with the status ``"failed"`` and the error; the others go on.

    Returns
    -------
    dict
        Seconds per step: source (where models are pre-trained on other data sets), pretrain, embed, probe.
    """
    with _limited_threads(cells[0].environment["threads"]):
        try:
            restore_parts(cells[0].imports)
            chain = Chain(cells[0], data_dir, cache, note)
        except Exception as error:
            for cell in cells:
                report(cell, _row(cell) | _failure(error))
            return {}
        for cell in cells:
            try:
                result = chain.probe(cell)
            except Exception as error:
                result = _failure(error, chain.names)
            report(cell, _row(cell) | result)
        return chain.seconds


@functools.lru_cache(maxsize=4)
def load_dataset(name: str, data_dir: str | None, options: str = "{}") -> Any:
    """:func:`kinview.load`, which keeps the last few data sets; the reader's options are JSON text."""
    return load(name, data_dir=data_dir, **json.loads(options))


def fold_of(dataset: Dataset, cell: Cell) -> tuple[Dataset, list[str]]:
    """The data set as a cell's split cuts it, and the names of its test samples."""
    protocol: Protocol = splits.build("official" if cell.split is None else cell.split)
    return protocol.fold(dataset, cell.fold or 0)


def _environment(cell: Cell) -> Row:
    """Fields of a trainer that the benchmark sets."""
    return {**{name: cell.environment[name] for name in ("device", "precision")}, "progress": False}


def _embed(model: Any, X: Any, realised: float) -> Embedding:
    z = np.asarray(model.transform(X))
    if not model.passes_missing:
        return Embedding(z, z, realised)
    return Embedding(z, np.asarray(model.transform(X, missing="keep")), realised)


def _transition(labels: NoisyLabels) -> Row:
    """Given labels (rows) against noisy ones (columns), in numbers of samples, as plain data."""
    assert labels.counts is not None and labels.classes is not None
    return {"classes": [str(label) for label in labels.classes.tolist()], "counts": labels.counts.tolist()}


def _row(cell: Cell) -> Row:
    """The columns of the store that say what a cell is."""
    parts = {name: getattr(cell, name) for name in ("corruption", "label_noise")}
    identity = method_identity(cell.method, cell.modality)
    plain = (
        "dataset", "modality", "severity", "severity_test", "corrupt", "pretrain_on", "label_noise_rate",
        "label_fraction", "seed",
    )  # fmt: skip
    return {
        "split": "official" if cell.split is None else part_label(cell.split),
        "fold": cell.fold or 0,
        **{name: getattr(cell, name) for name in plain},
        **{name: None if config is None else part_label(config) for name, config in parts.items()},
        "method": cell.method_label,
        "method_config": cell.spec["method"],
        "model_hash": cell.pretrain_key,
        **identity,
        "is_control": identity["is_control"] or cell.is_control,
        "own_probe": cell.own_probe,
        "probe": part_label(cell.probe),
        "spec": cell.spec,
        "versions": cell.environment["versions"],
    }


def _failure(error: Exception, names: Callable[[], frozenset[str]] = frozenset) -> Row:
    """A failed result. Names of samples and groups in the message, but for numbers, are left out: reports show it."""
    known = names()
    text = _QUOTED.sub(lambda found: "'...'" if found[2] in known else found[0], str(error))
    text = _WORD.sub(lambda found: "..." if found[0] in known and not found[0].isdigit() else found[0], text)
    return {"status": "failed", "message": f"{type(error).__name__}: {text}"[:2000]}


@contextlib.contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
    """Run the block with this many threads in torch and in every BLAS and OpenMP pool."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)
