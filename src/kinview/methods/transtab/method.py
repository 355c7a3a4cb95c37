"""Vertical partitions of a row find each other, table by table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.augmentations.column_subsets import partition_bounds
from kinview.data.batch import Batch
from kinview.data.table import TableSchema
from kinview.losses.partition_contrast import partition_contrast
from kinview.methods.transtab.network import TransTabEncoder
from kinview.methods.transtab.words import ColumnWords
from kinview.training.method import LossResult, Method, Sizes

if TYPE_CHECKING:
    from kinview.methods.transtab.estimator import TransTab

__all__ = ["TransTabMethod"]


class TransTabMethod(Method):
    """An encoder that reads names, a linear projection, and the contrast of partitions of the columns.

    Rows of several tables come in one batch, filled up with missing cells to one width; ``extra["table"]`` says of
    which table each row is (the first, where there is none).
    """

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 64,
        "lr": 1e-4,
        "optimizer": "adam",
        "max_epochs": 50,
        "validation_fraction": 0.1,
        "patience": 5,
        "drop_last": True,
    }
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: TransTab, sizes: Sizes) -> None:
        super().__init__(sizes)
        width = parameters.repr_dim
        self.vocabulary = parameters.vocabulary
        self.encoder = TransTabEncoder(
            parameters.vocabulary, width, parameters.depth, parameters.heads, parameters.hidden_dim, parameters.dropout
        )
        self.projector = nn.Linear(width, parameters.projection_dim, bias=False)
        self.partitions, self.overlap = parameters.n_partitions, parameters.overlap
        self.shuffled, self.supervised = parameters.shuffle, parameters.supervised
        self.temperature = parameters.temperature
        self.tables: list[ColumnWords] = []

    def read(self, schemas: Sequence[TableSchema]) -> None:
        """Take the tables with these schemas for those that rows come from."""
        self.tables = [ColumnWords.of(schema, self.vocabulary) for schema in schemas]

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The partitions of each row, the columns outside of each missing."""
        masks = torch.zeros(self.partitions, len(self.tables), batch.x.shape[1], dtype=torch.bool)
        for table, words in enumerate(self.tables):
            columns = words.columns
            order = torch.randperm(columns, generator=generator) if self.shuffled else torch.arange(columns)
            for k, (start, stop) in enumerate(partition_bounds(columns, self.partitions, self.overlap)):
                masks[k, table, order[start:stop]] = True
        number = _table_of(batch)
        outside = [~mask.to(batch.x.device)[number] for mask in masks]
        return [batch.replace(x=batch.x.masked_fill(hidden, torch.nan)) for hidden in outside]

    def loss(self, views: list[Batch]) -> LossResult:
        """Contrast within each table, weighed by its rows; a table of one column has nothing to contrast."""
        terms, rows = [], 0
        for table, where in self._tables_in(views[0]):
            count = min(self.partitions, self.tables[table].columns)
            if count < 2:
                continue
            projected = [self.projector(self._encoded(view.rows(where), table)) for view in views[:count]]
            y = views[0].y
            labels = y[where] if self.supervised and y is not None else None
            terms.append(partition_contrast(projected, self.temperature, labels=labels) * len(where))
            rows += len(where)
        return LossResult(torch.stack(terms).sum() / rows) if terms else self.nothing_to_learn()

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """[CLS] of each row, of all its columns."""
        if "table" not in batch.extra:
            return self._encoded(batch, 0)
        parts = [(where, self._encoded(batch.rows(where), table)) for table, where in self._tables_in(batch)]
        order = torch.cat([where for where, _ in parts]).argsort()
        return torch.cat([z for _, z in parts])[order]

    def _tables_in(self, batch: Batch) -> Iterator[tuple[int, Tensor]]:
        table = _table_of(batch)
        for number in range(len(self.tables)):
            where = (table == number).nonzero()[:, 0]
            if len(where):
                yield number, where

    def _encoded(self, rows: Batch, table: int) -> Tensor:
        words = self.tables[table]
        out: Tensor = self.encoder(rows.x[:, : words.columns], words)
        return out


def _table_of(batch: Batch) -> Tensor:
    table = batch.extra.get("table")
    return table if isinstance(table, Tensor) else torch.zeros(len(batch), dtype=torch.int64, device=batch.x.device)
