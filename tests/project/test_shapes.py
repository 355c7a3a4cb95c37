"""The shapes in the signatures are true: both methods train and embed with every signature checked."""

from __future__ import annotations

import subprocess
import sys

CODE = """
from jaxtyping import install_import_hook

rooms = ["augmentations", "encoders", "losses"]
install_import_hook([f"kinview.{room}" for room in rooms], "beartype.beartype")

import numpy as np
import pandas as pd
from kinview import SCARF, TS2Vec
from kinview.methods import RandomInit
from kinview.methods import RawFeatures

rng = np.random.default_rng(0)
X = rng.normal(size=(9, 2, 16))
X[0, 1, 3:6] = X[2, :, 9:] = np.nan
model = TS2Vec(repr_dim=8, hidden_dim=4, depth=2, trainer={"max_steps": 3}, random_state=0).fit(X)
assert model.transform(X).shape == (9, 8)
assert model.encode(X, "multiscale").ndim == 3
assert model.encode(X, sliding_length=2, sliding_padding=3).shape == (9, 8, 16)
table = pd.DataFrame({"a": rng.normal(size=40), "b": rng.choice(["x", "y", None], size=40)})
assert SCARF(hidden_dim=8, trainer={"max_epochs": 2}, random_state=0).fit(table).transform(table).shape == (40, 8)
assert RawFeatures().fit(X).transform(X).shape == (9, 32)
assert RandomInit(random_state=0).fit(table).transform(table).shape == (40, 256)

import torch
from kinview.losses import info_nce
try:
    info_nce(torch.zeros(3, 2), torch.zeros(3, 2, 2))
except TypeError as error:  # the hook is on
    print("checked")
"""


def test_the_shapes_in_the_signatures_hold_while_training():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "checked"
