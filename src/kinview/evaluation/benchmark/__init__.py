"""A benchmark: what to run, the cells that this makes, the steps of a cell, and the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.evaluation.benchmark.grid import Cell as Cell, part_label as part_label
    from kinview.evaluation.benchmark.plan import Benchmark as Benchmark
    from kinview.evaluation.benchmark.runner import run as run

lazy_exports(__name__)
