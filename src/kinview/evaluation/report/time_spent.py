"""The time that results took: of probes, and of the models and embeddings that they rest on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from kinview.evaluation.report.cells import records
from kinview.files import content_hash

__all__ = ["duration", "time_spent"]

_STEPS = {"pretrain": "pre-training", "source": "pre-training", "embed": "embedding"}
_COLUMNS = ("hash", "kind", "seconds")


def time_spent(cells: pd.DataFrame, steps: pd.DataFrame | None) -> str:
    """Computing time in words: ``probes 23 s, pre-training 214 s, embedding 32 s``; empty where none is known.

    Parameters
    ----------
    cells : DataFrame
        Cells of a report, those that failed too.
    steps : DataFrame, optional
        What :meth:`kinview.evaluation.Store.steps` gives. Of these only the models and embeddings that the cells rest
        on are counted, each once, however many cells share it; a store may hold those of other benchmarks.
    """
    spent = {"probes": float(pd.to_numeric(cells["seconds"]).sum())}
    if steps is not None and set(_COLUMNS) <= set(steps) and {"model_hash", "spec"} <= set(cells):
        rows = records(cells[["model_hash", "spec"]].drop_duplicates())
        used = {key for row in rows for key in _steps_of(row["model_hash"], _mapping(row["spec"]))}
        done = steps[steps["hash"].isin(used)].dropna(subset=["seconds"])
        for kind, seconds in zip(done["kind"], done["seconds"], strict=True):
            noun = _STEPS.get(kind, kind)
            spent[noun] = spent.get(noun, 0.0) + float(seconds)
    order = dict.fromkeys(("probes", *_STEPS.values(), *spent))
    known = {noun: duration(spent.get(noun, 0.0)) for noun in order}
    return ", ".join(f"{noun} {words}" for noun, words in known.items() if words)


def duration(seconds: float) -> str:
    """Seconds for people; empty where there are none.

    Examples
    --------
    >>> duration(0.4), duration(90), duration(1200), duration(9000), duration(0)
    ('0.4 s', '90 s', '20 min', '2.5 h', '')
    """
    if not seconds > 0:
        return ""
    if seconds < 600:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _steps_of(model: Any, spec: Mapping[str, Any]) -> Iterator[str]:
    """Keys of the model of a cell, and of its embeddings, as :class:`~kinview.evaluation.benchmark.grid.Cell` has them.

    They are made from what is stored, not by building the cell again: its parts may have other defaults by now.
    """
    if not isinstance(model, str) or not model:
        return
    yield model
    code = spec.get("code") or {}
    for part in ("train", "test"):
        corruption = None
        if spec.get("corrupt") in (part, "both"):
            other = spec.get("severity_test") if part == "test" else None
            corruption = [spec.get("corruption"), spec.get("severity") if other is None else other]
        own = {"corruption": code["corruption"]} if corruption and "corruption" in code else {}
        yield content_hash({"step": "embed", "model": model, "part": part, "corruption": corruption, "code": own})
    if spec.get("sources"):
        shared = {name: spec.get(name) for name in ("sources", "modality", "method", "seed", "environment")}
        own = {part: code[part] for part in ("steps", "method") if part in code}
        yield content_hash({"step": "pretrain", "code": own, **shared})


def _mapping(value: Any) -> Mapping[str, Any]:
    """A column that holds mappings or JSON text; empty where it holds neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}
