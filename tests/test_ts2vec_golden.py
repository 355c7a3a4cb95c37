"""TS2Vec against outputs, losses, gradients and a training trajectory of the official code."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kinview import TS2Vec, Trainer
from kinview.augmentations.crop import crop_pair
from kinview.data.batch import Batch
from kinview.encoders.dilated_conv import DilatedConvEncoder
from kinview.losses.hierarchical import hierarchical, instance_contrastive, temporal_contrastive
from kinview.methods._ts2vec_official import _renamed
from kinview.methods.ts2vec import TS2VecMethod

TOLERANCE = 1e-5
ENCODINGS = {
    "encode_none": {},
    "encode_full_series": {"window": "full_series"},
    "encode_multiscale": {"window": "multiscale"},
    "encode_window_7": {"window": 7},
    "encode_sliding_causal_1_10": {"causal": True, "sliding_length": 1, "sliding_padding": 10},
}


def _largest_difference(ours, official) -> float:
    ours = ours.detach() if isinstance(ours, torch.Tensor) else torch.tensor(np.array(ours))
    assert ours.shape == official.shape
    return float((ours - official).abs().max())


def _golden_file(golden: Path, name: str) -> Path:
    if (golden / name).is_file():
        return golden / name
    folder = os.environ.get("KINVIEW_GOLDEN")
    if not folder:
        pytest.skip(f"{name} is too large for the repository and KINVIEW_GOLDEN does not name the folder that holds it")
    return Path(folder) / name


@pytest.mark.parametrize("averaged", [False, True], ids=["bare network", "averaged model"])
@pytest.mark.parametrize("size", ["small", "default"])
def test_official_checkpoints_give_the_official_embeddings(golden, tmp_path, size, averaged):
    arrays = load_file(_golden_file(golden, f"ts2vec_{size}.safetensors"))
    state = {name.removeprefix("state."): t for name, t in arrays.items() if name.startswith("state.")}
    if averaged:
        state = {"n_averaged": torch.tensor(201), **{f"module.{name}": t for name, t in state.items()}}
    torch.save(state, tmp_path / "official.pt")
    model = TS2Vec.from_official(tmp_path / "official.pt")
    X = arrays["x"].transpose(1, 2)
    before = X.clone()
    for key, options in ENCODINGS.items():
        official = arrays[key] if arrays[key].ndim == 2 else arrays[key].transpose(1, 2)
        assert _largest_difference(model.encode(X.numpy(), **options), official) < TOLERANCE, key
    per_timestamp = arrays["per_timestamp_eval"].transpose(1, 2)
    assert _largest_difference(model.encode(X.numpy()), per_timestamp) < TOLERANCE
    assert _largest_difference(model.transform(X.numpy()).to_numpy(), arrays["encode_full_series"]) < TOLERANCE
    assert torch.equal(torch.nan_to_num(X), torch.nan_to_num(before)), "the input was written to"


def test_loss_and_gradients_equal_the_official_ones(golden):
    arrays = load_file(golden / "ts2vec_losses.safetensors")
    z1, z2 = (arrays[name].transpose(1, 2) for name in ("z1", "z2"))
    for alpha in (0.0, 0.5, 1.0):
        for unit in (0, 1, 2):
            a, b = (z.clone().requires_grad_() for z in (z1, z2))
            loss = hierarchical(a, b, alpha=alpha, temporal_unit=unit)
            loss.backward()
            key = f"alpha{alpha}_unit{unit}"
            assert abs(loss.item() - arrays[f"loss_{key}"].item()) < TOLERANCE
            assert _largest_difference(a.grad.transpose(1, 2), arrays[f"grad1_{key}"]) < TOLERANCE
            assert _largest_difference(b.grad.transpose(1, 2), arrays[f"grad2_{key}"]) < TOLERANCE
    assert abs(instance_contrastive(z1, z2).item() - arrays["instance"].item()) < TOLERANCE
    assert abs(temporal_contrastive(z1, z2).item() - arrays["temporal"].item()) < TOLERANCE


class _Recorded(TS2VecMethod):
    """TS2Vec with the rows and crops that were recorded, and a memory of the first gradients."""

    def record(self, arrays: dict[str, torch.Tensor]) -> None:
        self.arrays = arrays
        self.steps = 0
        self.first_gradients: dict[str, torch.Tensor] = {}

    def views(self, batch, generator, progress):
        rows = Batch.of(self.arrays["x"].transpose(1, 2)).rows(self.arrays["rows"][self.steps])
        length, left, _, outer_left, outer_right = self.arrays["crops"][self.steps].tolist()
        return list(crop_pair(rows, length, left, outer_left, outer_right, self.arrays["offsets"][self.steps]))

    def after_step(self, progress):
        if self.steps == 0:
            self.first_gradients = {k: p.grad.clone() for k, p in self.encoder.named_parameters()}
        self.steps += 1


def test_training_follows_the_official_trajectory(golden):
    arrays = load_file(golden / "ts2vec_train.safetensors")

    def ours(prefix: str) -> dict[str, torch.Tensor]:
        official = {k.removeprefix(prefix): t for k, t in arrays.items() if k.startswith(prefix)}
        return _renamed(official, prefix)[0]

    encoder = DilatedConvEncoder(
        3, 24, 16, 4, dropout=0.0, front_end="values", missing="timestep", padding="official"
    )
    encoder.load_state_dict(ours("initial."))
    method = _Recorded(encoder, mask="all_true")
    method.record(arrays)
    train = Batch.of(arrays["x"].transpose(1, 2))
    trainer = Trainer(max_steps=5, batch_size=4).merged(TS2VecMethod.training_defaults)
    last: dict[str, torch.Tensor] = {}

    class KeepLast:
        def on_train_begin(self, state, method): ...
        def on_step_end(self, state, method):
            last.update({k: p.detach().clone() for k, p in method.encoder.named_parameters()})

        def on_validation_end(self, state, method): ...
        def on_train_end(self, state, method): ...

    trainer.set_params(callbacks=[KeepLast()], batch_size=4)
    state = trainer.fit(method, train, generator=torch.Generator().manual_seed(0))
    losses = torch.tensor([record["loss"] for record in state.history])
    assert _largest_difference(losses, arrays["losses"]) < TOLERANCE
    for name, gradient in ours("grad0.").items():
        assert _largest_difference(method.first_gradients[name], gradient) < TOLERANCE, name
    for name, weight in ours("final.").items():
        assert _largest_difference(last[name], weight) < TOLERANCE, name
    for name, weight in ours("averaged.").items():
        assert _largest_difference(dict(encoder.named_parameters())[name].detach(), weight) < TOLERANCE, name


@pytest.mark.parametrize("content", ["nothing", "foreign"])
def test_what_is_no_official_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "model.pt"
    if content == "nothing":
        path.write_bytes(b"not a checkpoint")
    else:
        torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="checkpoint"):
        TS2Vec.from_official(path)


def test_a_checkpoint_with_code_inside_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self):
            return (Path.touch, (marker,))

    torch.save({"weight": Payload()}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="plain tensors"):
        TS2Vec.from_official(tmp_path / "model.pt")
    assert not marker.exists()


def test_missing_rules_agree_for_one_channel():
    X = np.random.default_rng(0).normal(size=(6, 1, 20))
    X[:, :, 5:9] = np.nan
    settings = {"repr_dim": 8, "hidden_dim": 4, "depth": 2, "random_state": 0, "trainer": {"max_steps": 3}}
    one = TS2Vec(**settings, missing="channel").fit(X).transform(X)
    other = TS2Vec(**settings, missing="timestep").fit(X).transform(X)
    assert np.array_equal(one, other)
