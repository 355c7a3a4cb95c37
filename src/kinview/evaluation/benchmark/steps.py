"""The steps of a benchmark: fit a model, embed with it, probe the embedding; models and embeddings are cached."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kinview.data.labels import encode_labels
from kinview.data.splits import label_subset
from kinview.datasets.dataset import Dataset
from kinview.datasets.named import load
from kinview.datasets.samples import Samples
from kinview.evaluation.benchmark.grid import Cell, method_identity, part_label
from kinview.evaluation.corruptions import Learned, corruptions, realised_rate
from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise.base import NoisyLabels
from kinview.evaluation.metrics.point_values import evaluate
from kinview.evaluation.predictions import Predictions
from kinview.evaluation.probes import probes
from kinview.evaluation.protocols import Protocol, splits
from kinview.files import atomic_write, canonical_json, dump_tensors, read_tensors
from kinview.methods import methods
from kinview.methods.estimators.model_file import load_model

__all__ = ["Chain", "Embedding", "load_dataset", "read_embedding", "run_chain"]

Part = Literal["train", "test"]
_PARTS: tuple[Part, Part] = ("train", "test")
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """Representation of one part of a data set.

    Parameters
    ----------
    z : ndarray of shape (n, D)
        For probes that need every value.
    z_missing : ndarray of shape (n, D')
        For probes that take NaN as it is; the same as ``z`` where the method has no gaps to pass on.
    realised_missing : float
        Fraction of the observed cells that the corruption removed.
    """

    z: Float[np.ndarray, "n d"]
    z_missing: Float[np.ndarray, "n e"]
    realised_missing: float


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

    Raises
    ------
    ValueError
        If the data set is no longer the one that the benchmark was planned with.
    """

    def __init__(self, cell: Cell, data_dir: str | None, cache: Path) -> None:
        self.cell, self.cache = cell, cache
        loaded = load_dataset(cell.dataset, data_dir, cell.dataset_options)
        if loaded.fingerprint() != cell.fingerprint:
            raise ValueError(f"data set {cell.dataset!r} changed on disk while the benchmark ran; run it again")
        self.dataset, self.test_names = fold_of(loaded, cell)
        self.seconds = {"pretrain": 0.0, "embed": 0.0, "probe": 0.0}
        self._embeddings: dict[str, Embedding] = {}
        self._learned: dict[str, Learned] = {}
        self._labels: dict[str, tuple[np.ndarray, NoisyLabels]] = {}
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
            path = self.cache / "models" / f"{self.cell.pretrain_key}.safetensors"
            try:
                self._model = _load(path) or self._fit(path)
            except Exception as error:
                self._failed = error
                raise
        return self._model

    def _fit(self, path: Path) -> Any:
        with self._timed("pretrain"):
            X, given = self._training_samples()
            resumes = self._checkpoints.is_dir()
            try:
                estimator = self._fitted(X, **given)
            except ValueError:
                if not resumes:
                    raise
                shutil.rmtree(self._checkpoints)  # perhaps it is damaged
                estimator = self._fitted(X, **given)
            path.parent.mkdir(parents=True, exist_ok=True)
            estimator.save(path)
            shutil.rmtree(self._checkpoints, ignore_errors=True)
        return load_model(path)

    def _training_samples(self) -> tuple[Any, dict[str, Any]]:
        """Samples that the method is fitted on, and what goes with them.

        All rows and their groups; for a method that uses labels the labelled rows, with the labels that the probe sees.
        """
        X, _ = self.data("train", self.cell.pretrain_corruption)
        if not self.cell.fits_labels:
            return X, self._groups()
        rows, labels = self._training_labels(self.cell)
        return Samples(X, modality=self.dataset.modality).rows(rows).X, {"y": labels.y, **self._groups(rows)}

    def _groups(self, rows: Any = slice(None)) -> dict[str, Any]:
        """Groups of training rows, as a keyword; none where the data set has none."""
        groups = self.dataset.groups_train
        return {} if groups is None else {"groups": np.asarray(groups)[rows]}

    def _fitted(self, X: Any, **given: Any) -> Any:
        """The method fitted; where only labels may train it, all but the weights: the probe trains with them."""
        estimator = self._unfitted()
        return (estimator.initialise if estimator.trained_by_probe else estimator.fit)(X, **given)

    def data(self, part: Part, corruption: tuple[Any, float] | None) -> tuple[Any, float]:
        """Raw values of a part with a corruption applied, and the fraction of observed cells that it removed.

        The mask depends on data set, fold, part, seed and mechanism alone: it is the same for every method and probe.
        What the mechanism learns (thresholds, drivers) it learns from the training part, for both.
        """
        X, given = self._given_to_corruption(part)
        if corruption is None:
            return X, 0.0
        config, severity = corruption
        mechanism = corruptions.build(config, rate=severity)
        named = f"{severity!r} {canonical_json(config)}"
        if named not in self._learned:
            X_train, given_train = self._given_to_corruption("train")
            self._learned[named] = mechanism.learn(X_train, self.cell.seeds(), **given_train)
        seed = self.cell.seeds(int(part == "test"))
        corrupted, removed = mechanism.apply(X, seed, **given, learned=self._learned[named])
        return corrupted, realised_rate(X, removed)

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
                with self._timed("embed"):
                    X, realised = self.data(part, cell.corruption_of(part))
                    found = _embed(model, X, realised)
                    _write_embedding(found, self.cache, key)
            self._embeddings[key] = found
        return self._embeddings[key]

    def probe(self, cell: Cell) -> Row:
        """Result of one cell: fit the probe on training data and labels, score the clean test labels."""
        probe = probes.build(cell.probe, random_state=cell.seed)
        rows, labels = self._training_labels(cell)
        if probe.needs_model:
            (train, missing_train), (test, missing_test) = (self.data(p, cell.corruption_of(p)) for p in _PARTS)
            train = Samples(train, modality=self.dataset.modality).rows(rows).X
            given = {"model": self.model(), "trainer": _environment(cell)}
        else:
            embedded = [self.embedding(cell, part) for part in _PARTS]
            missing_train, missing_test = (e.realised_missing for e in embedded)
            train, test = (e.z_missing if probe.accepts_missing else e.z for e in embedded)
            train, given = train[rows], {}
        with self._timed("probe") as seconds:
            probe.fit(train, labels.y, **self._groups(rows), **given)
            y, scores, predicted = np.asarray(self.dataset.y_test), probe.predict_scores(test), probe.predict(test)
            metrics = evaluate(y, scores, probe.classes_, predicted)
        groups = self.dataset.groups_test
        return {
            "predictions": Predictions(self.test_names, y, predicted, scores, probe.classes_, groups),
            **{name: value for name, value in metrics.items() if name != "notes"},
            "metrics": dict(metrics),
            "realised_missing_train": missing_train,
            "realised_missing_test": missing_test,
            "realised_noise": labels.realised_rate,
            "realised_transition": None if cell.label_noise is None else _transition(labels),
            "labelled_samples": len(rows),
            "labelled_groups": None
            if self.dataset.groups_train is None
            else len(np.unique(self._groups(rows)["groups"])),
            "convergence_failures": probe.convergence_failures,
            "seconds": seconds[0],
            "status": "ok",
        }

    def _training_labels(self, cell: Cell) -> tuple[np.ndarray, NoisyLabels]:
        """Rows whose label a cell knows, and their labels with its noise.

        Noise that looks at samples sees their values before a corruption, so that it is the same at every severity.
        """
        named = canonical_json([cell.label_fraction, cell.label_noise, cell.label_noise_rate])
        if named not in self._labels:
            codes, classes = encode_labels(self.dataset.y_train)
            budget = cell.label_fraction
            rows = label_subset(codes, budget, cell.seeds(), **self._groups()) if budget < 1 else np.arange(len(codes))
            labels = NoisyLabels.of(codes[rows], codes[rows], classes)
            if cell.label_noise is not None:
                noise = label_noise.build(cell.label_noise, rate=cell.label_noise_rate)
                given = self._groups(rows) if "groups" in noise.asks_for else {}
                if "features" in noise.asks_for:
                    given["X"] = Samples(self.dataset.X_train, modality=self.dataset.modality).rows(rows).X
                labels = noise.apply(labels.y, classes=classes, seed=cell.seeds(), **given)
            self._labels[named] = rows, labels
        return self._labels[named]

    def _unfitted(self) -> Any:
        """The method with the benchmark's seed, device and precision, checkpointing into the cache."""
        estimator = methods.build(self.cell.method, for_modality=self.cell.modality)
        if "random_state" in estimator.get_params(deep=False):  # scikit-learn's sign that a part draws at all
            estimator.set_params(random_state=self.cell.seed)
        if estimator.trains and not estimator.trained_by_probe:
            fixed = _environment(self.cell) | {"checkpoint_dir": str(self._checkpoints), "resume": "auto"}
            estimator.set_params(trainer={**(estimator.trainer or {}), **fixed})
        return estimator

    @property
    def _checkpoints(self) -> Path:
        return self.cache / "checkpoints" / self.cell.pretrain_key

    @contextlib.contextmanager
    def _timed(self, step: str) -> Iterator[list[float]]:
        """Add the wall time of the block to a step; the list holds it after the block."""
        seconds: list[float] = []
        start = time.perf_counter()
        try:
            yield seconds
        finally:
            seconds.append(time.perf_counter() - start)
            self.seconds[step] += seconds[0]


def run_chain(
    cells: Sequence[Cell], *, data_dir: str | None, cache: Path, report: Callable[[Cell, Row], None]
) -> dict[str, float]:
    """Compute cells that share one fitted model, and report each result the moment it exists.

    Beside the columns of the store a result has ``predictions``, where it did not fail.
    A cell that fails is reported with the status ``"failed"`` and the error; the others go on.

    Returns
    -------
    dict
        Seconds per step: pretrain, embed, probe.
    """
    with _limited_threads(cells[0].environment["threads"]):
        try:
            chain = Chain(cells[0], data_dir, cache)
        except Exception as error:
            for cell in cells:
                report(cell, _row(cell) | _failure(error))
            return {}
        for cell in cells:
            try:
                result = chain.probe(cell)
            except Exception as error:
                result = _failure(error)
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


def _load(path: Path) -> Any:
    """Fitted model from the cache; None where there is none or it is damaged."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return load_model(path)
    return None


def read_embedding(cache: Path, key: str) -> Embedding | None:
    """Embedding from the cache; None where there is none or it is damaged."""
    try:
        tensors, metadata = read_tensors(_embedding_path(cache, key))
        z = tensors["z"].numpy()
        return Embedding(z, tensors["z_missing"].numpy() if "z_missing" in tensors else z, float(metadata["missing"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _embed(model: Any, X: Any, realised: float) -> Embedding:
    z = np.asarray(model.transform(X))
    if not model.passes_missing:
        return Embedding(z, z, realised)
    return Embedding(z, np.asarray(model.transform(X, missing="keep")), realised)


def _write_embedding(embedding: Embedding, cache: Path, key: str) -> None:
    tensors = {"z": torch.from_numpy(np.array(embedding.z))}
    if embedding.z_missing is not embedding.z:
        tensors["z_missing"] = torch.from_numpy(np.array(embedding.z_missing))
    path = _embedding_path(cache, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, dump_tensors(tensors, {"missing": repr(embedding.realised_missing)}))


def _embedding_path(cache: Path, key: str) -> Path:
    return cache / "embeddings" / f"{key}.safetensors"


def _transition(labels: NoisyLabels) -> Row:
    """Given labels (rows) against noisy ones (columns), in numbers of samples, as plain data."""
    assert labels.counts is not None and labels.classes is not None
    return {"classes": [str(label) for label in labels.classes.tolist()], "counts": labels.counts.tolist()}


def _row(cell: Cell) -> Row:
    """The columns of the store that say what a cell is."""
    parts = {name: getattr(cell, name) for name in ("corruption", "label_noise")}
    identity = method_identity(cell.method, cell.modality)
    plain = (
        "dataset", "modality", "severity", "corrupt", "pretrain_on", "label_noise_rate", "label_fraction", "seed",
    )  # fmt: skip
    return {
        "split": "official" if cell.split is None else part_label(cell.split),
        "fold": cell.fold or 0,
        **{name: getattr(cell, name) for name in plain},
        **{name: None if config is None else part_label(config) for name, config in parts.items()},
        "method": part_label(cell.method),
        "method_config": cell.spec["method"],
        **identity,
        "is_control": identity["is_control"] or cell.is_control,
        "own_probe": cell.own_probe,
        "probe": part_label(cell.probe),
        "spec": cell.spec,
        "versions": cell.environment["versions"],
    }


def _failure(error: Exception) -> Row:
    return {"status": "failed", "message": f"{type(error).__name__}: {error}"[:2000]}


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
