"""Fitted models and embeddings on disk, by their content hashes; what is damaged counts as not there."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kinview.evaluation.benchmark.spent import Spent
from kinview.files import atomic_write, dump_tensors, read_tensors
from kinview.methods.estimators.model_file import load_model

__all__ = [
    "Embedding",
    "checkpoints_path",
    "embedding_path",
    "fit_and_save",
    "model_path",
    "read_embedding",
    "read_model",
    "write_embedding",
]


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
        What a corruption says of its severity (``Corruption.realised``): most remove this fraction of the values.
    """

    z: Float[np.ndarray, "n d"]
    z_missing: Float[np.ndarray, "n e"]
    realised_missing: float


def model_path(cache: Path, key: str) -> Path:
    """File of a fitted model."""
    return cache / "models" / f"{key}.safetensors"


def checkpoints_path(cache: Path, key: str) -> Path:
    """Folder of the checkpoints of a model that is being trained."""
    return cache / "checkpoints" / key


def embedding_path(cache: Path, key: str) -> Path:
    """File of an embedding."""
    return cache / "embeddings" / f"{key}.safetensors"


def read_model(path: Path) -> Any:
    """Fitted model from the cache; None where there is none or it is damaged."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return load_model(path)
    return None


def fit_and_save(fit: Callable[[], Any], path: Path, checkpoints: Path, spent: Spent) -> Any:
    """The model that ``fit`` gives, as it is read back from its file; the checkpoints of its training go then.

    Size and training are noted in ``spent``. It is fitted anew where it fails with checkpoints of an earlier process,
    which may be damaged.
    """
    resumes = checkpoints.is_dir()
    try:
        fitted = fit()
    except ValueError:
        if not resumes:
            raise
        shutil.rmtree(checkpoints)
        fitted = fit()
    spent.describe(fitted)
    path.parent.mkdir(parents=True, exist_ok=True)
    fitted.save(path)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return load_model(path)


def read_embedding(cache: Path, key: str) -> Embedding | None:
    """Embedding from the cache; None where there is none or it is damaged."""
    try:
        tensors, metadata = read_tensors(embedding_path(cache, key))
        z = tensors["z"].numpy()
        return Embedding(z, tensors["z_missing"].numpy() if "z_missing" in tensors else z, float(metadata["missing"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def write_embedding(embedding: Embedding, cache: Path, key: str) -> None:
    """Write an embedding into the cache, whole or not at all."""
    tensors = {"z": torch.from_numpy(np.array(embedding.z))}
    if embedding.z_missing is not embedding.z:
        tensors["z_missing"] = torch.from_numpy(np.array(embedding.z_missing))
    path = embedding_path(cache, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, dump_tensors(tensors, {"missing": repr(embedding.realised_missing)}))
