"""A table of numbers, categories, dates and gaps in, one vector a row out, without any target: every method for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from helpers import SMALL
from kinview.methods import methods

PERIODIC = {"repr_dim": 4, "depth": 1, "numerical_embedding": "periodic"}
BINNED = {**PERIODIC, "heads": 2, "numerical_embedding": "piecewise_linear"}
SPECS: list[Any] = [
    *({name: SMALL[name]} for name in ("saint", "subtab", "tabular_tacl", "vime")),
    {"vime": {**SMALL["vime"], "encoder": {"resnet_mlp": PERIODIC}}},
    {"subtab": {**SMALL["subtab"], "encoder": {"ft_transformer": BINNED}}},
    {"tabular_simclr": {**SMALL["tabular_simclr"], "encoder": {"resnet_mlp": PERIODIC}}},
]


def frame(n: int = 50, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    columns = {
        "age": random.normal(60, 9, n),
        "sex": random.choice(["f", "m"], n),
        "ward": pd.Categorical(random.choice(["a", "b", "c"], n)),
        "smoker": pd.array(random.random(n) < 0.5, dtype="boolean"),
        "admitted": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 999, n), unit="D"),
    }
    table = pd.DataFrame(columns)
    table = table.mask(random.random(table.shape) < 0.15)
    table.iloc[0] = None  # a row without any observation
    return table


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: str(spec)[:60])
def test_a_table_becomes_one_vector_a_row(spec: Any) -> None:
    model = methods.build(spec, for_modality="tabular").fit(frame())
    Z = model.transform(frame())
    assert Z.ndim == 2 and len(Z) == 50 and np.isfinite(Z).all()
    np.testing.assert_allclose(model.transform(frame()[["ward", "age", "admitted", "smoker", "sex"]]), Z)
    other = frame(20, seed=1).assign(ward="never seen")
    assert model.transform(other).shape == (20, Z.shape[1])
    again = methods.build(spec, for_modality="tabular").fit(frame(), np.arange(50) % 2)
    np.testing.assert_array_equal(again.transform(frame()), Z)  # a target is not looked at


def test_two_coordinates_of_each_row() -> None:
    pipeline = make_pipeline(methods.build({"vime": SMALL["vime"]}), PCA(2))
    coordinates = pipeline.fit(frame()).transform(frame(20, seed=1))
    assert coordinates.shape == (20, 2) and np.isfinite(coordinates).all()
