"""TF-C against outputs and losses of the official code."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from golden_comparison import differences, load
from kinview import TFC, load_model

TOLERANCE = 1e-5
COUNTS = {"tfc_32": 5, "tfc_178": 7}


@pytest.mark.parametrize("name", COUNTS)
def test_every_array_equals_the_official_one(name):
    found = differences(name)
    assert len(found) == COUNTS[name] and all(largest < TOLERANCE for largest in found.values()), found
    outputs = {key for key in load(name) if not key.startswith("state.")} - {"x", "a", "b"}
    assert set(found) == outputs


def _state(golden) -> dict[str, torch.Tensor]:
    arrays = load_file(golden / "tfc_32.safetensors")
    return {name.removeprefix("state."): t for name, t in arrays.items() if name.startswith("state.")}


def test_a_checkpoint_of_the_official_trainer_gives_the_same_model_also_when_saved(golden, tmp_path):
    arrays = load_file(golden / "tfc_32.safetensors")
    torch.save({"model_state_dict": _state(golden)}, tmp_path / "ckp_last.pt")
    model = TFC.from_official(tmp_path / "ckp_last.pt")
    model.save(tmp_path / "model.safetensors")
    for one in (model, load_model(tmp_path / "model.safetensors")):
        z = torch.tensor(one.transform(arrays["x"].numpy()).to_numpy())
        assert (z - torch.cat([arrays["z_t"], arrays["z_f"]], dim=1)).abs().max() < TOLERANCE


@pytest.mark.parametrize("fault", ["foreign entry", "missing layer", "missing projector", "missing bias", "no tensors"])
def test_what_is_not_an_official_checkpoint_is_refused(golden, tmp_path, fault):
    state = _state(golden)
    path = tmp_path / "ckp_last.pt"
    faulty = {
        "foreign entry": {**state, "conv_block1.0.weight": torch.zeros(2)},
        "missing layer": {k: v for k, v in state.items() if ".layers.1." not in k},
        "missing projector": {k: v for k, v in state.items() if not k.startswith("projector_f.0")},
        "missing bias": {k: v for k, v in state.items() if k != "projector_f.3.bias"},
        "no tensors": {"model_state_dict": {"epoch": 3}},
    }[fault]
    torch.save(faulty, path)
    with pytest.raises(ValueError, match=r"ckp_last\.pt (is not a|holds no|has encoders of 1 layers)"):
        TFC.from_official(path)


def test_a_checkpoint_of_a_parallel_model_gives_the_same_model(golden, tmp_path):
    arrays = load_file(golden / "tfc_32.safetensors")
    torch.save({"model_state_dict": {f"module.{k}": v for k, v in _state(golden).items()}}, tmp_path / "ckp_last.pt")
    z = torch.tensor(TFC.from_official(tmp_path / "ckp_last.pt").transform(arrays["x"].numpy()).to_numpy())
    assert (z - torch.cat([arrays["z_t"], arrays["z_f"]], dim=1)).abs().max() < TOLERANCE


@pytest.mark.parametrize("name", ["projector_t.0.weight", "projector_f.3.weight", "projector_t.0.bias", 7])
@pytest.mark.parametrize("value", [torch.zeros(3), torch.zeros(0, 0), torch.tensor(1.0), torch.zeros(256, 33)])
def test_weights_of_a_wrong_shape_are_refused_with_the_file(golden, tmp_path, name, value):
    torch.save({**_state(golden), name: value}, tmp_path / "ckp_last.pt")
    with pytest.raises(ValueError, match=r"ckp_last\.pt is not a .*checkpoint"):
        TFC.from_official(tmp_path / "ckp_last.pt")


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "ckp_last.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="is not a PyTorch checkpoint"):
        TFC.from_official(path)
