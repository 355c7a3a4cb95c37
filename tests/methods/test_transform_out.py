"""``transform(X, out=array)``: the same bits, written in place, without a second copy of the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import helpers
from kinview import SCARF, TFC, TS2Vec
from kinview.methods import RandomInit, RawFeatures, Supervised
from kinview.methods.estimators import base

QUICK: dict[str, Any] = {"trainer": {"max_steps": 1}, "random_state": 0}
MAKE = {
    "ts2vec": lambda: TS2Vec(**{**helpers.SMALL["ts2vec"], "depth": 2}),
    "tfc": lambda: TFC({"resnet1d": {"widths": [4], "kernel_sizes": [3]}}, bins=8, hidden_dim=4, **QUICK),
    "scarf": lambda: SCARF(hidden_dim=4, **QUICK),
    "random series": lambda: RandomInit({"ts2vec": {"repr_dim": 4, "depth": 2}}, random_state=0),
    "random table": lambda: RandomInit({"scarf": {"hidden_dim": 4}}, random_state=0),
    "supervised": lambda: Supervised({"ts2vec": {"repr_dim": 4, "depth": 2}}, random_state=0),
    "raw series": RawFeatures,
    "raw table": RawFeatures,
}


def _data(name: str) -> Any:
    random = np.random.default_rng(0)
    if "table" in name or name == "scarf":
        return pd.DataFrame({"a": random.normal(size=23), "b": ["x", "y", None] * 7 + ["x", "y"]})
    X = random.normal(size=(23, 2, 12))
    X[:, 1, 4:7] = np.nan
    return X


@pytest.fixture(scope="module", params=sorted(MAKE))
def fitted(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    X = _data(request.param)
    model = MAKE[request.param]()
    return model.fit(X, *([["p", "q"] * 11 + ["p"]] if request.param == "supervised" else [])), X


@pytest.mark.parametrize("kind", ["float32", "float64", "every second column", "memmap"])
def test_the_array_holds_the_same_bits(fitted: tuple[Any, Any], tmp_path: Path, kind: str) -> None:
    model, X = fitted
    expected = model.transform(X)
    shape = np.asarray(expected).shape
    if kind == "memmap":
        out: Any = np.memmap(tmp_path / "z.bin", np.float32, "w+", shape=shape)
    elif kind == "every second column":
        out = np.zeros((shape[0], 2 * shape[1]), np.float32)[:, ::2]
    else:
        out = np.full(shape, -1.0, kind)
    returned = model.transform(X, out=out)
    assert np.array_equal(out, np.asarray(expected))
    if isinstance(expected, pd.DataFrame):
        assert returned.index.equals(expected.index) and list(returned.columns) == list(expected.columns)
        assert np.array_equal(returned.to_numpy(), out)
    else:
        assert returned is out
    assert type(model.transform(X)) is type(expected)  # and the next call is as ever


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n, d: np.zeros((n, d + 1), np.float32), r"out must be of the shape of the result, \(23, \d+\); it is"),
        (lambda n, d: np.zeros((n - 1, d), np.float32), "out must be of the shape of the result"),
        (lambda n, d: np.zeros((n, d), np.int64), "out must be a NumPy array of floating-point numbers.*one of int64"),
        (lambda n, d: [[0.0] * d] * n, "out must be a NumPy array .* got list"),
        (lambda n, d: torch.zeros(n, d), "out must be a NumPy array .* got Tensor"),
        (lambda n, d: np.broadcast_to(np.zeros(d, np.float32), (n, d)), "that can be written to"),
    ],
)
def test_an_array_that_cannot_hold_the_result_is_refused(fitted: tuple[Any, Any], make: Any, message: str) -> None:
    model, X = fitted
    with pytest.raises(ValueError, match=message):
        model.transform(X, out=make(*np.asarray(model.transform(X)).shape))


def test_chunks_are_written_into_one_result(fitted: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, X = fitted
    whole = np.asarray(model.transform(X))
    monkeypatch.setattr(base, "_CHUNK_VALUES", 4000)
    monkeypatch.setattr(torch, "cat", _no_second_copy(torch.cat, len(X)))
    assert np.allclose(np.asarray(model.transform(X)), whole, rtol=1e-5, atol=1e-6)


def _no_second_copy(cat: Any, rows: int) -> Any:
    def checked(tensors: Any, dim: int = 0, **options: Any) -> Any:
        made = cat(tensors, dim, **options)
        assert dim != 0 or len(made) != rows or len(tensors) < 2
        return made

    return checked
