"""Batches that are larger than the training set, said before a benchmark runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kinview.evaluation.benchmark.grid import Cell, part_label
from kinview.files import canonical_json

if TYPE_CHECKING:
    from kinview.evaluation.benchmark.plan import Benchmark

__all__ = ["larger_batches"]


def larger_batches(benchmark: Benchmark, cells: Sequence[Cell]) -> list[str]:
    """Say of each training set which methods have a batch that is larger, given or published.

    Such a method takes all rows at every step: what a sweep over larger batches varies does nothing there. A method
    that is pre-trained on other data sets takes the rows of these together. Of several folds the first is counted.

    Parameters
    ----------
    benchmark : Benchmark
        What is run.
    cells : sequence of Cell
        Its cells.

    Returns
    -------
    list of str
        A sentence for each training set with such a method.
    """
    rows: dict[str, int] = {}
    found: dict[str, dict[str, int]] = {}
    sizes: dict[str, int | None] = {}
    for cell in cells:
        name = canonical_json([cell.modality, cell.method])
        if name not in sizes:
            sizes[name] = _batch_size(cell.method, cell.modality)
        size = sizes[name]
        if size is None:
            continue
        sources = ", ".join(one.dataset for one in cell.sources or ())
        trained = f"the sets {sources} together have" if sources else f"{cell.dataset} has"
        if trained not in rows:
            rows[trained] = _training_rows(cell, benchmark.data_dir)
        if size > rows[trained]:
            found.setdefault(trained, {})[part_label(cell.method)] = size
    return [
        f"{trained} {rows[trained]} training rows, and every step takes all of them where the batch is larger: "
        + ", ".join(f"{method} ({size})" for method, size in methods.items())
        for trained, methods in found.items()
    ]


def _training_rows(cell: Cell, data_dir: str | None) -> int:
    """Rows that the method of a cell is fitted on: of its sources together, else of the fold of its data set."""
    from kinview.evaluation.benchmark.steps import fold_of, load_dataset

    if cell.sources is not None:
        return sum(int(load_dataset(one.dataset, data_dir, one.options).sizes[0]) for one in cell.sources)
    data, _ = fold_of(load_dataset(cell.dataset, data_dir, cell.dataset_options), cell)
    return int(data.sizes[0])


def _batch_size(config: Any, modality: str) -> int | None:
    """Batch of a method that trains by itself: what was asked for, else what is published."""
    from kinview.methods import methods
    from kinview.methods.estimators.base import EstimatorCore, as_trainer

    method: Any = methods.build(config, for_modality=modality)
    if not isinstance(method, EstimatorCore) or not hasattr(method, "trainer"):
        return None
    published = {**getattr(method.method_class, "training_defaults", {}), **method.published_training}
    asked = as_trainer(method.trainer).batch_size
    return published.get("batch_size") if asked is None else asked
