"""What a probe said of each test sample of a cell, as one compressed Arrow table."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from kinview.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCORE", "Predictions", "read_predictions"]

SCORE = "score:"
"""Begin of the name of a column of scores; the class follows."""


_TEXT = ["sample", "group", "y", "predicted"]


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Label, prediction and scores of each test sample of one cell.

    Labels, groups and samples are kept as text: a data set's labels are of one type, so no two of them read alike.

    Parameters
    ----------
    samples : sequence of str
        Names of the n samples, see :meth:`kinview.datasets.Dataset.sample_names`.
    y, predicted : ndarray of shape (n,)
        True and predicted label.
    scores : ndarray of shape (n, K)
        Score of each class, larger = more likely.
    classes : ndarray of shape (K,)
        The classes that the probe knows.
    groups : ndarray of shape (n,), optional
        Group (patient) of each sample.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> made = Predictions(["p1", "p2"], np.array([0, 1]), np.array([0, 0]), np.array([[0.9, 0.1], [0.6, 0.4]]), [0, 1])
    >>> read_predictions(made.to_bytes()).drop(columns="group")
      sample  y predicted  score:0  score:1
    0     p1  0         0      0.9      0.1
    1     p2  1         0      0.6      0.4
    """

    samples: Sequence[str]
    y: Shaped[np.ndarray, " n"]
    predicted: Shaped[np.ndarray, " n"]
    scores: Float[np.ndarray, "n classes"]
    classes: Shaped[np.ndarray, " classes"]
    groups: Shaped[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        n, n_classes = len(self.samples), len(self.classes)
        sizes = {len(self.y), len(self.predicted), *(() if self.groups is None else (len(self.groups),))}
        if sizes != {n} or np.shape(self.scores) != (n, n_classes):
            raise ValueError(
                f"predictions need one entry a sample ({n}) and scores of shape {(n, n_classes)}; got "
                f"{len(self.y)} labels, {len(self.predicted)} predictions and scores of {np.shape(self.scores)}"
            )

    def to_bytes(self) -> bytes:
        """An Arrow IPC stream, its buffers compressed with zstd; ``pyarrow.ipc.open_stream`` reads it as well."""
        import pyarrow as pa

        columns: dict[str, Any] = {
            "sample": pa.array(list(map(str, self.samples)), pa.string()),
            "group": pa.nulls(len(self.y), pa.string()) if self.groups is None else _text(self.groups),
            "y": _text(self.y),
            "predicted": _text(self.predicted),
        }
        scores = np.asarray(self.scores, dtype=np.float64)
        columns |= {f"{SCORE}{name}": pa.array(scores[:, k]) for k, name in enumerate(self.classes)}
        table = pa.table(columns)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        return sink.getvalue()

    def write_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write them as Parquet, with the columns of :func:`read_predictions`, whole or not at all."""
        buffer = io.BytesIO()
        read_predictions(self.to_bytes()).to_parquet(buffer, index=False)
        return atomic_write(path, buffer.getvalue())


def read_predictions(content: bytes) -> pd.DataFrame:
    """Predictions of a cell: ``sample``, ``group``, ``y``, ``predicted`` as text, and ``score:CLASS`` for each class.

    Raises
    ------
    ValueError
        If the content is no Arrow stream, or not one of predictions.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        table = pa.ipc.open_stream(content).read_all()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"these are no predictions: {error}") from None
    if table.column_names[: len(_TEXT)] != _TEXT:
        raise ValueError(f"these are no predictions: the table has the columns {', '.join(table.column_names)}")
    columns = {name: pd.Series(table[name].to_pylist(), dtype=object) for name in _TEXT}
    columns |= {name: pd.Series(table[name].to_numpy()) for name in table.column_names[len(_TEXT) :]}
    return pd.DataFrame(columns)


def _text(values: Any) -> Any:
    import pyarrow as pa

    plain = [None if value is None else str(value) for value in np.asarray(values).tolist()]
    return pa.array(plain, pa.string()).dictionary_encode()
