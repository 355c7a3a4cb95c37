"""Which samples a model was trained on, as keyed hashes: whether a test sample was among them can be told, no more."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.modality import SERIES
from kinview.datasets._pooling import names_of
from kinview.datasets.samples import Samples, series_codes
from kinview.files import atomic_write, dump_tensors, read_tensors

__all__ = ["Seen", "SeenCounts", "seen_file"]

_SIZE = 16  # bytes of a hash: among a billion samples two are alike with probability 1e-21
_KEY_SIZE = 32
_FORMAT = {"format": "kinview-seen", "version": "1"}
_PARTS = ("values", "names", "groups")


@dataclasses.dataclass(frozen=True)
class SeenCounts:
    """How many of some samples were seen.

    Parameters
    ----------
    samples : int
        All of them.
    seen : int
        Those with the values or the name of a sample that was seen.
    values, names : int
        Those with its values, and with its name.
    groups : int, optional
        Those that were not seen, of a group (patient) that was; None where either side has no groups.
    """

    samples: int
    seen: int
    values: int
    names: int
    groups: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """Keyed hashes of the values, names and groups of samples.

    The key is random and stands in the same file: who has the file can tell whether a sample that he holds was seen, as
    who has the training data can. A model file holds no such hashes: among patients they would be a test of
    membership, so the file is not shared with the model.

    Parameters
    ----------
    key : bytes
        Key of the hashes (BLAKE2b).
    values, names, groups : frozenset of bytes
        Hashes of what was observed in each sample, of the names of the samples and of their groups.

    Examples
    --------
    >>> train, test = (Samples(np.arange(n, n + 8.0).reshape(4, 1, 2)) for n in (0, 4))
    >>> Seen.of(train).count(test)
    SeenCounts(samples=4, seen=2, values=2, names=0, groups=None)
    """

    key: bytes
    values: frozenset[bytes]
    names: frozenset[bytes]
    groups: frozenset[bytes]

    @classmethod
    def of(cls, samples: Samples) -> Self:
        """Hashes of these samples, under a new key."""
        key = secrets.token_bytes(_KEY_SIZE)
        hashed = _hashes(samples, key)
        return cls(key, *(frozenset(one for one in hashed[part] if one is not None) for part in _PARTS))

    def count(self, samples: Samples) -> SeenCounts:
        """How many of these samples were seen; one in which nothing was observed is known by its name alone."""
        hashed = _hashes(samples, self.key)
        known = {part: np.array([one in getattr(self, part) for one in hashed[part]], dtype=bool) for part in _PARTS}
        seen = known["values"] | known["names"]
        compared = self.groups and samples.groups is not None
        return SeenCounts(
            len(samples),
            int(seen.sum()),
            int(known["values"].sum()),
            int(known["names"].sum()),
            int((known["groups"] & ~seen).sum()) if compared else None,
        )

    def has_values_of(self, samples: Samples) -> NDArray[np.bool_]:
        """Whether each of these samples has the values of one that was seen, whatever either is called."""
        return np.array([one in self.values for one in _hashes(samples, self.key)["values"]], dtype=bool)

    def write(self, model: str | os.PathLike[str]) -> Path:
        """Write the file beside a model file, whole or not at all; it holds the digest of that model."""
        import torch

        tensors = {"key": torch.frombuffer(bytearray(self.key), dtype=torch.uint8)}
        for part in _PARTS:  # in the order of the hashes, which says nothing
            joined = bytearray(b"".join(sorted(getattr(self, part))))
            rows = torch.frombuffer(joined, dtype=torch.uint8) if joined else torch.zeros(0, dtype=torch.uint8)
            tensors[part] = rows.reshape(-1, _SIZE)
        return atomic_write(seen_file(model), dump_tensors(tensors, {**_FORMAT, "model": _digest(model)}))

    @classmethod
    def read(cls, model: str | os.PathLike[str]) -> Self:
        """Read what :meth:`write` wrote beside a model file.

        Raises
        ------
        ValueError
            If it is damaged, another file, or was written for another model: one that was trained anew or copied here.
        FileNotFoundError
            If there is none.
        """
        path = seen_file(model)
        tensors, metadata = read_tensors(path)
        forms = {name: (str(tensor.dtype), tuple(tensor.shape[1:])) for name, tensor in tensors.items()}
        wanted = {"key": ("torch.uint8", ())} | dict.fromkeys(_PARTS, ("torch.uint8", (_SIZE,)))
        of_model = metadata.pop("model", None)
        if metadata != _FORMAT or forms != wanted or len(tensors["key"]) != _KEY_SIZE:
            raise ValueError(
                f"{path} does not say which samples were seen: it is another file of kinview or a later one"
            )
        if of_model != _digest(model):
            raise ValueError(f"{path} was written for another model than the one that is there now")
        parts = [frozenset(row.numpy().tobytes() for row in tensors[part]) for part in _PARTS]
        return cls(tensors["key"].numpy().tobytes(), *parts)


def seen_file(model: str | os.PathLike[str]) -> Path:
    """The file beside a model file.

    Examples
    --------
    >>> seen_file("runs/m.safetensors").as_posix()
    'runs/m.safetensors.seen'
    """
    return Path(f"{os.fspath(model)}.seen")


def _digest(model: str | os.PathLike[str]) -> str:
    with Path(model).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hashes(samples: Samples, key: bytes) -> dict[str, list[bytes | None]]:
    """Hash of the values, the name and the group of each sample; None where there is none."""
    n = len(samples)
    names = names_of(samples.X, samples.modality)
    groups = None if samples.groups is None else [str(group) for group in samples.groups.tolist()]
    texts: dict[str, list[bytes | None]] = {
        "names": [None] * n if names is None else [name.encode() for name in names],
        "groups": [None] * n if groups is None else [group.encode() for group in groups],
        "values": list(_contents(samples)),
    }
    return {
        part: [None if one is None else hashlib.blake2b(one, key=key, digest_size=_SIZE, person=part.encode()).digest()
               for one in found]
        for part, found in texts.items()
    }  # fmt: skip


def _contents(samples: Samples) -> Iterable[bytes | None]:
    """What was observed in each sample, as bytes that do not depend on container, padding or names of columns."""
    X = samples.X
    if samples.modality == SERIES:
        for values in _series(X):  # (T, C)
            steps = np.flatnonzero(~np.isnan(values).all(axis=1))
            yield _number_bytes(values[: steps[-1] + 1]) if len(steps) else None
        return
    if isinstance(X, np.ndarray):
        X = pd.DataFrame(X)
    columns = [_cells(X.iloc[:, i]) for i in range(X.shape[1])]
    for row in zip(*columns, strict=True):
        yield (
            b"\0".join(b"" if cell is None else cell for cell in row) if any(cell is not None for cell in row) else None
        )


def _series(X: Any) -> Iterable[np.ndarray]:
    if isinstance(X, np.ndarray):
        yield from X.astype(np.float64).transpose(0, 2, 1)
        return
    codes = series_codes(X)
    order = np.argsort(codes, kind="stable")
    values = X.to_numpy(dtype=np.float64, na_value=np.nan)[order]
    yield from np.split(values, np.flatnonzero(np.diff(codes[order])) + 1)


def _cells(column: pd.Series) -> list[bytes | None]:
    """Cells as bytes: numbers, dates and booleans as float64, all else as text."""
    missing = column.isna().to_numpy()
    kind = column.dtype
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        cells = [_number_bytes(value) for value in column.to_numpy(dtype=np.float64, na_value=np.nan)]
    else:
        cells = [str(value).encode() for value in column.tolist()]
    return [None if gap else cell for gap, cell in zip(missing, cells, strict=True)]


def _number_bytes(values: Any) -> bytes:
    """Float64 with one NaN and one zero, and the shape."""
    with np.errstate(invalid="ignore"):  # a signalling NaN is a gap as any other
        plain = np.asarray(values, dtype="<f8") + 0.0
    return repr(plain.shape).encode() + np.where(np.isnan(plain), np.nan, plain).tobytes()
