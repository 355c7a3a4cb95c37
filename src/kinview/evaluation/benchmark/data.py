"""The data sets of a benchmark: what they hold, and what of the benchmark they are not read by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kinview.data.modality import NOUNS, PAIRED
from kinview.evaluation.benchmark.grid import Part, name_and_options, part_label

if TYPE_CHECKING:
    from kinview.datasets.dataset import Dataset
    from kinview.evaluation.benchmark.plan import Benchmark

__all__ = ["described", "loaded", "unread"]


def loaded(benchmark: Benchmark) -> Iterator[Dataset]:
    """The data sets of a benchmark, one after the other."""
    from kinview.evaluation.benchmark.steps import load_dataset

    for name, options in map(name_and_options, benchmark.datasets):
        yield load_dataset(name, benchmark.data_dir, options)


def described(benchmark: Benchmark) -> list[str]:
    """Lines that say what the data sets hold: of the training part, that of the first fold where they are cut anew."""
    from kinview.datasets.description import describe
    from kinview.evaluation.protocols import Protocol, splits

    protocol: Protocol = splits.build(benchmark.split)
    lines: list[str] = []
    for dataset in loaded(benchmark):
        part = protocol.fold(dataset, 0)[0]
        lines += describe(part).split("\n")
    return lines


def unread(benchmark: Benchmark, probes: Sequence[Part], modalities: Sequence[str]) -> list[str]:
    """Methods that none of the data sets, of these modalities, is read by, and static columns that go nowhere.

    As sentences.
    """
    from kinview.evaluation.benchmark.sources import not_transferred
    from kinview.evaluation.benchmark.static import without_static
    from kinview.methods import methods as known

    parts = [Part.of(known, spec) for spec in benchmark.methods]
    paired = (PAIRED,) if any("pairs" in dataset.static_to for dataset in loaded(benchmark)) else ()
    found = [
        f"{part_label(part.config)}: it reads {NOUNS[str(part.modality)]}, and no data set has any"
        for part in parts
        if not any(part.supports(modality) for modality in (*modalities, *paired))
    ]
    found += not_transferred(benchmark.pretrain_on, parts)
    if any("static_to" in options for _, options in map(name_and_options, benchmark.datasets)):
        for dataset in loaded(benchmark):
            found += without_static(dataset, parts, probes)
    return found
