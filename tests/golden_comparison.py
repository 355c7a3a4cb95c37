"""Largest absolute difference to each array of official code; benchmarks/golden_parity.py prints them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kinview import TFC, TSTCC, Trainer, TS2Vec
from kinview.augmentations.crop import crop_pair
from kinview.data import Batch, valid_lengths
from kinview.losses import hierarchical, instance_contrastive, nt_xent, nt_xent_poly, temporal_contrastive, temporal_cpc
from kinview.methods import TS2VecMethod
from kinview.methods.ts2vec.official_weights import renamed
from kinview.methods.tstcc.context import features_after
from kinview.training import Callback
from kinview.training.method import Sizes

Arrays = dict[str, torch.Tensor]
ENCODINGS: dict[str, dict[str, object]] = {
    "per_timestamp_eval": {},
    "encode_none": {},
    "encode_full_series": {"window": "full_series"},
    "encode_multiscale": {"window": "multiscale"},
    "encode_window_7": {"window": 7},
    "encode_sliding_causal_1_10": {"causal": True, "sliding_length": 1, "sliding_padding": 10},
}


def difference(ours: object, official: torch.Tensor) -> float:
    """Largest absolute difference of two arrays of one shape."""
    ours = ours.detach() if isinstance(ours, torch.Tensor) else torch.tensor(np.array(ours))
    if ours.shape != official.shape:
        raise ValueError(f"shapes differ: {tuple(ours.shape)} and {tuple(official.shape)}")
    return float((ours - official).abs().max())


def embeddings(arrays: Arrays) -> Iterator[tuple[str, float]]:
    """Every encoding of an official checkpoint, read by ``from_official``."""
    state = {name.removeprefix("state."): t for name, t in arrays.items() if name.startswith("state.")}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / "official.pt")
        model = TS2Vec.from_official(Path(folder) / "official.pt")
    X = arrays["x"].transpose(1, 2).numpy()
    for key, options in ENCODINGS.items():
        official = arrays[key] if arrays[key].ndim == 2 else arrays[key].transpose(1, 2)
        yield key, difference(model.encode(X, **options), official)  # type: ignore[arg-type]
    yield "encode_full_series (transform)", difference(model.transform(X), arrays["encode_full_series"])


def losses(arrays: Arrays) -> Iterator[tuple[str, float]]:
    """The hierarchical loss, its two terms and its gradients."""
    z1, z2 = (arrays[name].transpose(1, 2) for name in ("z1", "z2"))
    for alpha in (0.0, 0.5, 1.0):
        for unit in (0, 1, 2):
            a, b = (z.clone().requires_grad_() for z in (z1, z2))
            loss = hierarchical(a, b, alpha=alpha, temporal_unit=unit)
            loss.backward()
            key = f"alpha{alpha}_unit{unit}"
            yield f"loss_{key}", abs(loss.item() - arrays[f"loss_{key}"].item())
            for name, gradient in (("grad1", a.grad), ("grad2", b.grad)):
                assert gradient is not None
                yield f"{name}_{key}", difference(gradient.transpose(1, 2), arrays[f"{name}_{key}"])
    yield "instance", abs(instance_contrastive(z1, z2).item() - arrays["instance"].item())
    yield "temporal", abs(temporal_contrastive(z1, z2).item() - arrays["temporal"].item())


class RecordedMethod(TS2VecMethod):
    """TS2Vec that repeats recorded rows and crops, and remembers the gradients of its first step."""

    arrays: Arrays
    steps = 0
    first_gradients: Arrays

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The recorded crops of the recorded rows."""
        rows = Batch.of(self.arrays["x"].transpose(1, 2)).rows(self.arrays["rows"][self.steps])
        length, left, _, outer_left, outer_right = self.arrays["crops"][self.steps].tolist()
        return list(crop_pair(rows, length, left, outer_left, outer_right, self.arrays["offsets"][self.steps]))

    def after_step(self, progress: float, views: list[Batch], carry: object) -> None:
        """Keep the gradients once."""
        if self.steps == 0:
            self.first_gradients = {k: p.grad.clone() for k, p in self.encoder.named_parameters() if p.grad is not None}
        self.steps += 1


class LastWeights(Callback):
    """The weights of the last step, which the average then replaces."""

    def __init__(self) -> None:
        self.weights: Arrays = {}

    def on_step_end(self, state: object, method: TS2VecMethod) -> None:  # type: ignore[override]
        """Copy them."""
        self.weights = {k: p.detach().clone() for k, p in method.encoder.named_parameters()}


def trajectory(arrays: Arrays) -> Iterator[tuple[str, float]]:
    """Five training steps by :class:`kinview.Trainer` on the recorded crops."""

    def official(prefix: str) -> Arrays:
        return renamed({k.removeprefix(prefix): t for k, t in arrays.items() if k.startswith(prefix)}, prefix)[0]

    as_published = {"front_end": "values", "missing": "timestep", "padding": "official", "fill": "zero"}
    method = RecordedMethod(TS2Vec(24, 16, 4, dropout=0.0, mask="all_true", **as_published), Sizes(channels=3))
    method.encoder.load_state_dict(official("initial."))
    method.arrays = arrays
    last = LastWeights()
    trainer = Trainer(max_steps=5, batch_size=4, callbacks=[last]).merged(TS2VecMethod.training_defaults)
    state = trainer.fit(method, Batch.of(arrays["x"].transpose(1, 2)), generator=torch.Generator().manual_seed(0))
    yield "losses", difference(torch.tensor([record["loss"] for record in state.history]), arrays["losses"])
    averaged = dict(method.encoder.named_parameters())
    for prefix, ours in (("grad0.", method.first_gradients), ("final.", last.weights), ("averaged.", averaged)):
        for name, value in official(prefix).items():
            yield prefix + name, difference(ours[name], value)


def tstcc(arrays: Arrays) -> Iterator[tuple[str, float]]:
    """TS-TCC: an official checkpoint read by ``from_official``, its temporal loss, and NT-Xent."""
    parts = {
        name: {key.removeprefix(prefix): t for key, t in arrays.items() if key.startswith(prefix)}
        for name, prefix in (("model_state_dict", "model."), ("temporal_contr_model_state_dict", "temporal."))
    }
    with tempfile.TemporaryDirectory() as folder:
        torch.save(parts, Path(folder) / "ckp_last.pt")
        model = TSTCC.from_official(Path(folder) / "ckp_last.pt")
    features = torch.tensor(model.encode(arrays["x"].numpy()))
    yield "features", difference(features, arrays["features"])
    classifier = parts["model_state_dict"]
    logits = (
        torch.tensor(model.transform(arrays["x"].numpy()).to_numpy()) @ classifier["logits.weight"].T
        + classifier["logits.bias"]
    )
    yield "logits", difference(logits, arrays["logits"])
    method, one, other = model.method_, arrays["tc.z1"], arrays["tc.z2"]
    last = arrays["tc.t"].expand(len(one))
    with torch.no_grad():
        context, predictions = method.predictor(one, last)
        loss = temporal_cpc(predictions, features_after(other, last, predictions.shape[1]))
        yield "tc.loss", difference(loss[None], arrays["tc.loss"])
        yield "tc.projection", difference(method.projector(context), arrays["tc.projection"])
    for name in (name for name in arrays if name.startswith("ntxent.loss_tau")):
        temperature = float(name.removeprefix("ntxent.loss_tau"))
        yield name, difference(nt_xent(arrays["ntxent.a"], arrays["ntxent.b"], temperature)[None], arrays[name])


def tfc(arrays: Arrays) -> Iterator[tuple[str, float]]:
    """TF-C: an official checkpoint read by ``from_official``, what it reads and gives, and NT-Xent."""
    state = {name.removeprefix("state."): t for name, t in arrays.items() if name.startswith("state.")}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / "ckp_last.pt")
        model = TFC.from_official(Path(folder) / "ckp_last.pt")
    yield (
        "x_f",
        difference(model.method_.frequency_encoder.tokens(arrays["x"], valid_lengths(arrays["x"])), arrays["x_f"]),
    )
    for representation, letter in (("projection", "z"), ("encoder", "h")):
        model.method_.representation = representation
        embedding = torch.tensor(model.transform(arrays["x"].numpy()).to_numpy())
        for name, half in zip((f"{letter}_t", f"{letter}_f"), embedding.chunk(2, dim=1), strict=True):
            yield name, difference(half, arrays[name])
    for name, loss in (("ntxent_tau0.2", nt_xent), ("ntxent_poly_tau0.2", nt_xent_poly)):
        if name in arrays:
            yield name, difference(loss(arrays["a"], arrays["b"], 0.2)[None], arrays[name])


GOLDEN = {
    "ts2vec_small": embeddings,
    "ts2vec_default": embeddings,
    "ts2vec_losses": losses,
    "ts2vec_train": trajectory,
    "tstcc_small": tstcc,
    "tstcc_epilepsy": tstcc,
    "tfc_32": tfc,
    "tfc_178": tfc,
}


def load(name: str) -> Arrays:
    """Read the arrays of one official implementation, from the repository or from the folder of the larger ones."""
    path = Path(__file__).parent / "golden" / f"{name}.safetensors"
    if not path.is_file():
        folder = os.environ.get("KINVIEW_GOLDEN")
        if not folder:
            pytest.skip(f"{path.name} is too large for the repository and KINVIEW_GOLDEN does not name its folder")
        path = Path(folder) / path.name
    return load_file(path)


def differences(name: str) -> dict[str, float]:
    """Largest absolute difference to each array of one official implementation."""
    return dict(GOLDEN[name](load(name)))
