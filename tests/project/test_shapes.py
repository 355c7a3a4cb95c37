"""The shapes in the signatures are true: every method and every encoder runs with each signature checked."""

from __future__ import annotations

import os
import sys

import pytest

from helpers import ROOT, python
from kinview.encoders import encoders
from kinview.methods import methods

CODE = """
import sys
import types
from beartype import beartype
from beartype.roar import BeartypeDecorHintPep673Exception
from jaxtyping import install_import_hook

def checked(function):
    try:
        return beartype(function)
    except BeartypeDecorHintPep673Exception:  # it knows Self in decorated classes only: such methods go unchecked
        return function

sys.modules["checker"] = types.ModuleType("checker")
sys.modules["checker"].checked = checked
subpackages = ["augmentations", "data", "encoders", "losses", "methods", "modules", "training"]
install_import_hook([f"kinview.{subpackage}" for subpackage in subpackages], "checker.checked")

import kinview
import numpy as np
import pandas as pd
import torch
from helpers import SMALL, SMALL_ON_TABLES, gen
from kinview.encoders import encoders
from kinview.losses import info_nce
from kinview.methods import TS2Vec, methods

rng = np.random.default_rng(0)
X = rng.normal(size=(9, 2, 16))
X[0, 1, 3:6] = X[2, :, 9:] = np.nan
table = pd.DataFrame({"a": rng.normal(size=40), "b": rng.choice(["x", "y", None], size=40)})
of_table = {**SMALL_ON_TABLES}
of_table |= {name: {"method": {"scarf": SMALL["scarf"]}} for name in ("random_init", "supervised")}
pairs = kinview.PairedData(series=X, table=table.iloc[:9]).without("table", np.arange(9) == 1)
of_pairs = {"series_encoder": SMALL["simclr"]["encoder"], "table_encoder": SMALL["tabular_simclr"]["encoder"]}
of_pairs |= {"trainer": {"max_steps": 2}, "random_state": 0}
inside = {"lit": {"locked": {"simclr": SMALL["simclr"]}}, "three_towers": {"third": {"simclr": SMALL["simclr"]}}}
for name in methods:
    kind = methods[name].modality
    if kind == "paired":
        control = methods[name].target.control  # it brings no sides together
        model = methods.build(name if control else {name: {**of_pairs, **inside.get(name, {})}}).fit(pairs)
        found = [model.transform(pairs), *([] if control else [model.match(pairs, pairs[2:4], side="series")])]
        assert {len(one) for one in found} == {9}, name
        print(name)
        continue
    runs = [(X, SMALL[name])] if kind != "tabular" else []
    runs += [(table, of_table[name] if name in of_table else SMALL[name])] if kind != "time_series" else []
    for data, parameters in runs:
        modality = "time_series" if data is X else "tabular"
        z = methods.build({name: parameters}, for_modality=modality).fit(data, np.arange(len(data)) % 2).transform(data)
        assert z.shape[0] == len(data) and z.ndim == 2, name
    print(name)
model = TS2Vec(**SMALL["ts2vec"]).fit(X)
assert model.encode(X, "multiscale").ndim == 3
assert model.encode(X, sliding_length=2, sliding_padding=3).shape == (9, 4, 16)

series = torch.randn(5, 2, 20, generator=gen())
series[0, 0, 3:6] = series[1, :, 12:] = torch.nan
columns = torch.cat([torch.randn(5, 2, generator=gen()), torch.tensor([[0.0], [1], [2], [1], [0]])], dim=1)
columns[0, 0] = torch.nan
sizes = {"cardinalities": [0, 0, 3], "channels": 2, "length": 20}
for name in encoders:
    wanted = encoders[name].target.__init__.__annotations__
    encoder = encoders.build(name, **{key: value for key, value in sizes.items() if key in wanted})
    for training in (True, False):
        z = encoder.train(training)(columns if "cardinalities" in wanted else series)
        assert len(z) == 5, name
    print(name)

try:
    info_nce(torch.zeros(3, 2), torch.zeros(3, 2, 2))
except TypeError:
    print("checked")  # the hook is on
"""


@pytest.mark.slow
def test_the_shapes_in_the_signatures_hold_while_training_and_embedding() -> None:
    done = python(CODE, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])})
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [*methods, *encoders, "checked"]
