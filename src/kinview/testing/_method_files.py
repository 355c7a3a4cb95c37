"""Checks of what a saved model holds: the network that embeds, and nothing of the training rows."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinview.data.batch import Batch
from kinview.methods.estimators.model_file import model_metadata
from kinview.testing._method_case import Case, repeated
from kinview.training.method import Method, PairSizes

__all__: list[str] = []

_SAME = 1e-6  # distance in each value at which two rows are one


def saved_file_holds_no_rows(case: Case) -> None:
    """A saved model holds the tensors that embedding needs, as many for twice the rows, and no training row."""
    estimator = case.trained
    stored = _stored(estimator)
    network = estimator.fitted_network
    if network is not None:
        _check_needed(network.method_, network.to_batch(case.with_gaps()), stored)
    _check_sizes(case)
    found = {name: _rows_found(value, _training_rows(case)) for name, value in stored.items()}
    rows = {name: count for name, count in found.items() if count}
    assert not rows, (
        f"the file holds training rows or their embeddings: {_list(f'{count} in {n}' for n, count in rows.items())}"
    )


def _stored(estimator: Any) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        return model_metadata(estimator.save(Path(folder) / "model.safetensors"))[1]


def _check_needed(method: Method, batch: Batch, stored: Mapping[str, Tensor]) -> None:
    """Assert that an embedding rests on the stored tensors: on no other, and on those of each module."""
    stored = {name: value for name, value in stored.items() if "/" not in name}  # others are of a model inside
    undeclared = sorted(stored.keys() - method.inference_state().keys())
    assert not undeclared, f"the file holds tensors that inference_state() does not name: {_list(undeclared)}"
    method = copy.deepcopy(method).double()
    expected = _embedded(method, batch)
    others = method.state_dict().keys() - stored.keys()
    assert torch.equal(_embedded(_spoiled(method, others), batch), expected), (
        f"the embeddings rest on tensors that the file lacks, among {_list(sorted(others))}: name them in "
        "inference_state()"
    )
    owners: dict[str, set[str]] = {}
    for name in stored:
        owners.setdefault(name.rpartition(".")[0], set()).add(name)
    needless = [
        name
        for names in owners.values()
        if torch.equal(_embedded(_spoiled(method, names), batch), expected)
        for name in names
    ]
    assert not needless, f"the file holds tensors that embedding does not need: {_list(sorted(needless))}"


def _embedded(method: Method, batch: Batch) -> Tensor:
    """All that a model gives of samples; of pairs how they match, and by what, too."""
    batch = _in_float64(batch)
    with torch.no_grad():
        parts = [method.embed(batch)]
        if isinstance(method.sizes, PairSizes):
            of_pairs: Any = method
            compared = [of_pairs.projected(batch, number) for number in (0, 1)]
            parts += [*compared, of_pairs.logits(*compared, 0)]
        return torch.nan_to_num(torch.cat(parts, dim=1), nan=torch.inf)


def _in_float64(batch: Batch) -> Batch:
    further = {name: _in_float64(one) for name, one in batch.extra.items() if isinstance(one, Batch)}
    return Batch.of(batch.x.double(), extra=further)


def _spoiled(method: Method, names: Any) -> Method:
    """Copy of a method in which these tensors hold garbage."""
    spoiled = copy.deepcopy(method)
    generator = torch.Generator().manual_seed(0)
    for name, value in spoiled.state_dict().items():
        if name in names and value.is_floating_point():
            value.add_(torch.rand(value.shape, generator=generator, dtype=value.dtype) + 0.5)
    return spoiled


def _check_sizes(case: Case) -> None:
    """Assert that the file is as large for twice as many rows, the same ones (so that every category stays common)."""
    shapes = []
    for times in (5, 10):
        X = repeated(case.X, times)
        larger = Case(case.spec, X, case.modality, None if case.labels is None else np.tile(case.labels, times))
        estimator = larger.build()
        if estimator.trained_by_probe:  # trained as a probe is, for long; its network is another method's
            estimator.initialise(X)
        else:
            estimator = larger.fitted(batch_size=8, max_steps=1)
        shapes.append({name: tuple(value.shape) for name, value in _stored(estimator).items()})
    few, many = shapes
    grown = sorted(name for name in few.keys() | many.keys() if few.get(name) != many.get(name))
    assert not grown, (
        f"with twice as many training rows the file holds other tensors: "
        f"{_list(f'{name} {few.get(name)} -> {many.get(name)}' for name in grown)}"
    )


def _training_rows(case: Case) -> list[np.ndarray]:
    """The training rows: as they are, as the network takes them, and as embeddings, on the unit sphere too."""
    estimator = case.trained
    Z = case.embedded(estimator)
    kinds = [Z, Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-12)]
    if case.modality == "time_series":
        kinds.append(np.asarray(case.X, dtype=np.float64).reshape(case.n, -1))
    if estimator.fitted_network is not None:
        batch = estimator.fitted_network.to_batch(case.X)
        for one in (batch, *(further for further in batch.extra.values() if isinstance(further, Batch))):
            kinds.append(one.x.numpy().astype(np.float64).reshape(case.n, -1))
    return kinds


def _rows_found(value: Tensor, kinds: list[np.ndarray]) -> int:
    """How many rows of a tensor are one of these; a row of equal values says nothing."""
    if value.ndim < 2 or not value.is_floating_point() or not value.numel():
        return 0
    rows = value.double().flatten(1).numpy()
    rows = rows[np.ptp(rows, axis=1) > _SAME]
    counts = [
        sum(bool((np.abs(kind - row).max(axis=1) <= _SAME).any()) for row in rows)
        for kind in kinds
        if kind.shape[1] == rows.shape[1]
    ]
    return max(counts, default=0)


def _list(names: Any) -> str:
    """The first few of these names."""
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
