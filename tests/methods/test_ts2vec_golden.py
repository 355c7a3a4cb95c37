"""TS2Vec against outputs, losses, gradients and a training trajectory of the official code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from golden_comparison import differences
from kinview import TS2Vec

TOLERANCE = 1e-5
COUNTS = {"ts2vec_small": 7, "ts2vec_default": 7, "ts2vec_losses": 29, "ts2vec_train": 73}


@pytest.mark.parametrize("name", COUNTS)
def test_every_array_equals_the_official_one(name):
    found = differences(name)
    assert len(found) == COUNTS[name] and all(largest < TOLERANCE for largest in found.values()), found


@pytest.mark.parametrize("averaged", [False, True], ids=["bare network", "averaged model"])
def test_both_kinds_of_official_checkpoint_give_one_model(golden, tmp_path, averaged):
    arrays = load_file(golden / "ts2vec_small.safetensors")
    state = {name.removeprefix("state."): t for name, t in arrays.items() if name.startswith("state.")}
    if averaged:
        state = {"n_averaged": torch.tensor(201), **{f"module.{name}": t for name, t in state.items()}}
    torch.save(state, tmp_path / "official.pt")
    X = arrays["x"].transpose(1, 2).numpy()
    before = X.copy()
    embedding = TS2Vec.from_official(tmp_path / "official.pt").transform(X).to_numpy()
    assert np.abs(embedding - arrays["encode_full_series"].numpy()).max() < TOLERANCE
    assert np.array_equal(X, before, equal_nan=True), "the input was written to"


@pytest.mark.parametrize("content", ["nothing", "foreign"])
def test_what_is_not_an_official_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "model.pt"
    if content == "nothing":
        path.write_bytes(b"not a checkpoint")
    else:
        torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="checkpoint"):
        TS2Vec.from_official(path)


@pytest.mark.parametrize("name", ["input_fc.weight", "feature_extractor.net.2.conv2.conv.weight", 7])
@pytest.mark.parametrize("value", [torch.zeros(3), torch.tensor(1.0), torch.zeros(2, 0, 1)])
def test_weights_of_a_wrong_shape_are_refused_with_the_file(golden, tmp_path, name, value):
    arrays = load_file(golden / "ts2vec_small.safetensors")
    state = {name.removeprefix("state."): t for name, t in arrays.items() if name.startswith("state.")}
    torch.save({**state, name: value}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt is not a .*checkpoint"):
        TS2Vec.from_official(tmp_path / "model.pt")


def test_missing_rules_agree_for_one_channel():
    X = np.random.default_rng(0).normal(size=(6, 1, 20))
    X[:, :, 5:9] = np.nan
    settings = {"repr_dim": 8, "hidden_dim": 4, "depth": 2, "random_state": 0, "trainer": {"max_steps": 3}}
    one = TS2Vec(**settings, missing="channel").fit(X).transform(X)
    other = TS2Vec(**settings, missing="timestep").fit(X).transform(X)
    assert np.array_equal(one, other)
