"""Reconstruction: its loss by slow transcription, what the recipes are without their parts, and what is refused."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import kinview
from helpers import NAN, draw, gen
from kinview.data import Batch
from kinview.encoders import encoders
from kinview.encoders.pooling import feature_lengths, steps_of_a_feature
from kinview.methods import (
    Autoencoder,
    DenoisingAutoencoder,
    MaskedReconstruction,
    Reconstruction,
    ReconstructionMethod,
    TabularAutoencoder,
    TabularDenoisingAutoencoder,
    TabularMaskedReconstruction,
    TabularReconstruction,
    methods,
)
from kinview.modules import StepDecoder
from kinview.modules.decoders import feature_of_step
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

SERIES_ENCODER = {"dilated_conv": {"repr_dim": 8, "hidden_dim": 6, "depth": 2, "dropout": 0.0}}
TABLE_ENCODER = {"mlp": {"hidden_dim": 8, "depth": 2}}
ENCODERS = {"time_series": SERIES_ENCODER, "tabular": TABLE_ENCODER}
CARDINALITIES = (0, 4, 0)
RECIPES = ("autoencoder", "denoising_autoencoder", "masked_reconstruction")
both = pytest.mark.parametrize("modality", ENCODERS)


def built(estimator: Any, sizes: Sizes) -> ReconstructionMethod:
    with forked_generators(0, torch.device("cpu")):
        return ReconstructionMethod(estimator, sizes).double().eval()


def of_series(estimator: type, **parameters: Any) -> ReconstructionMethod:
    return built(estimator(encoder=SERIES_ENCODER, **parameters), Sizes(channels=2, length=12))


def of_series_with(encoder: str, **parameters: Any) -> ReconstructionMethod:
    return built(Reconstruction(encoder=encoder, **parameters), Sizes(channels=2, length=12))


def of_tables(estimator: type, **parameters: Any) -> ReconstructionMethod:
    return built(estimator(encoder=TABLE_ENCODER, **parameters), Sizes(cardinalities=CARDINALITIES))


def series(n: int = 5) -> Batch:
    x = draw(n, 2, 12)
    x[0, 0, 3:5] = NAN
    x[1, :, 8:] = NAN  # a shorter series
    return Batch.of(x)


def rows(n: int = 6) -> Batch:
    x = draw(n, 3)
    x[:, 1] = torch.arange(n) % 4
    x[0, 0] = x[1, 1] = NAN
    return Batch.of(x)


def samples(modality: str) -> Batch:
    return series() if modality == "time_series" else rows()


def seen(method: ReconstructionMethod, batch: Batch, seed: int = 3) -> Batch:
    (view,) = method.views(batch, gen(seed), 0.5)
    return view


def perceptron_slowly(layers: torch.nn.Module, z: Any) -> Any:
    """Linear layers with ReLU between them, one output at a time."""
    linear = [layer for layer in layers.children() if isinstance(layer, torch.nn.Linear)]
    for i, layer in enumerate(linear):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        z = np.array([float(np.sum(w * z)) + b for w, b in zip(weight, bias, strict=True)])
        z = np.maximum(z, 0) if i < len(linear) - 1 else z
    return z


def squared_error_slowly(decoded: Any, view: Batch, counted: str) -> float:
    clean, shown = view.extra["clean"], view.x
    total, number = 0.0, 0
    for i in range(len(clean)):
        for c in range(clean.shape[1]):
            for t in range(clean.shape[2]):
                target, known = float(clean[i, c, t]), float(shown[i, c, t])
                if math.isnan(target) or (counted == "changed" and known == target):
                    continue
                total, number = total + (decoded(i, c, t) - target) ** 2, number + 1
    return total / number


def gradient(method: ReconstructionMethod, view: Batch) -> tuple[float, Tensor]:
    loss = method.loss([view]).loss
    slopes = torch.autograd.grad(loss, list(method.encoder.parameters()), allow_unused=True, materialize_grads=True)
    return loss.item(), torch.cat([slope.flatten() for slope in slopes])


# --- the loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [Autoencoder, DenoisingAutoencoder])
def test_a_series_is_decoded_from_its_representation(estimator: type) -> None:
    method, batch = of_series(estimator), series()
    view = seen(method, batch)
    assert torch.equal(view.x.isnan(), batch.x.isnan())
    assert torch.equal(view.x.nan_to_num(), batch.x.nan_to_num()) == (estimator is Autoencoder)
    h = method.embed(view).detach().numpy()
    decoded = [perceptron_slowly(method.decoder.layers, row).reshape(2, 12) for row in h]
    expected = squared_error_slowly(lambda i, c, t: decoded[i][c, t], view, "all")
    assert method.loss([view]).loss.item() == pytest.approx(expected, abs=1e-12)


def test_masked_reconstruction_is_the_error_at_hidden_steps() -> None:
    method = of_series(MaskedReconstruction)
    view = seen(method, series())
    z = method.encoder(view.x, times=view.times).detach().numpy()
    decoded = {}
    for i in range(len(z)):
        for t in range(12):
            for c, value in enumerate(perceptron_slowly(method.decoder.layers, z[i, :, t])):
                decoded[i, c, t] = value
    expected = squared_error_slowly(lambda i, c, t: decoded[i, c, t], view, "changed")
    assert method.loss([view]).loss.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "estimator", [TabularAutoencoder, TabularDenoisingAutoencoder, TabularMaskedReconstruction], ids=RECIPES
)
def test_a_row_is_decoded_cell_by_cell(estimator: type) -> None:
    method, batch = of_tables(estimator), rows()
    method.corruption = method.corruption and method.corruption.fit(batch)
    view = seen(method, batch)
    h = method.embed(view).detach().numpy()
    total, number = 0.0, 0
    for i, clean in enumerate(batch.x.tolist()):
        out = perceptron_slowly(method.decoder.layers, h[i])  # a number, three categories, a number
        for column, target in enumerate(clean):
            if math.isnan(target) or (column == 1 and target == 0):
                continue
            if method.counted == "changed" and float(view.x[i, column]) == target:
                continue
            number += 1
            if column == 1:
                total -= math.log(math.exp(out[int(target)]) / sum(math.exp(score) for score in out[1:4]))
            else:
                total += (out[column and 4] - target) ** 2
    assert number
    assert method.loss([view]).loss.item() == pytest.approx(total / number, abs=1e-12)


@pytest.mark.parametrize("total", [1, 5, 12, 13])
def test_each_step_has_its_place_in_one_feature(total: int) -> None:
    decoder = StepDecoder(2, channels=3, steps=4, depth=1).double()
    lengths = torch.tensor([12, 9, 4, 1, 0])
    features = torch.tensor([3, 3, 1, 1, 0])
    z = draw(5, 2, 3)
    out = decoder(z, lengths, features, total)
    assert out.shape == (5, 3, total)
    for i, (length, number) in enumerate(zip(lengths.tolist(), features.tolist(), strict=True)):
        starts = [math.ceil(j * length / max(1, number)) for j in range(number)]
        for t in range(min(total, length)):
            j = max(k for k, start in enumerate(starts) if start <= t)
            made = perceptron_slowly(decoder.layers, z[i, :, j].numpy()).reshape(4, 3)
            np.testing.assert_allclose(out[i, :, t].detach().numpy(), made[t - starts[j]], atol=1e-12)


@both
def test_what_is_hidden_is_told_from_the_mean(modality: str) -> None:
    make = of_series if modality == "time_series" else of_tables
    method = make(MaskedReconstruction if modality == "time_series" else TabularMaskedReconstruction)
    batch = samples(modality)
    x = torch.ones_like(batch.x)
    hidden, at_mean = x.clone(), x.clone()
    hidden[..., 1], at_mean[..., 1] = NAN, 0.0
    one, other = (method.embed(batch.replace(x=values)) for values in (hidden, at_mean))
    assert bool((one - other).abs().amax(dim=1).gt(1e-3).all())


# --- each defining part removed --------------------------------------------------------------------------------------


@both
def test_an_autoencoder_that_counts_nothing_learns_nothing(modality: str) -> None:
    make, estimator = (of_series, Autoencoder) if modality == "time_series" else (of_tables, TabularAutoencoder)
    value, slope = gradient(method := make(estimator), seen(method, samples(modality)))
    assert value > 0.1 and bool(slope.any())
    value, slope = gradient(method := make(estimator, counted="changed"), seen(method, samples(modality)))
    assert value == 0.0 and not bool(slope.any())


@both
def test_a_denoising_autoencoder_without_noise_is_another_loss(modality: str) -> None:
    make = of_series if modality == "time_series" else of_tables
    noisy = DenoisingAutoencoder if modality == "time_series" else TabularDenoisingAutoencoder
    plain = Autoencoder if modality == "time_series" else TabularAutoencoder
    found = []
    for estimator, changed in ((noisy, {}), (noisy, {"corruption": None}), (plain, {})):
        method, batch = make(estimator, **changed), samples(modality)
        method.corruption = method.corruption and method.corruption.fit(batch)
        found.append(gradient(method, seen(method, batch)))
    assert found[0][0] != pytest.approx(found[1][0], abs=1e-4)
    assert not torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)
    assert found[1][0] == found[2][0] and torch.equal(found[1][1], found[2][1])  # without it an autoencoder


@both
def test_masked_reconstruction_that_counts_what_it_shows_is_another_loss(modality: str) -> None:
    make = of_series if modality == "time_series" else of_tables
    estimator = MaskedReconstruction if modality == "time_series" else TabularMaskedReconstruction
    found = []
    for counted in ("changed", "all"):
        method = make(estimator, counted=counted)
        found.append(gradient(method, seen(method, samples(modality))))
    assert found[0][0] != pytest.approx(found[1][0], abs=1e-4)
    assert not torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


def waves(n: int, seed: int) -> Batch:
    random = np.random.default_rng(seed)
    speed, phase = random.uniform(0.3, 1.0, (n, 1, 1)), random.uniform(0, 6.3, (n, 1, 1))
    return Batch.of(torch.from_numpy(np.sin(speed * np.arange(24) + phase) * 2**0.5).float())


@pytest.fixture(scope="module")
def trained() -> dict[str, ReconstructionMethod]:
    """Each recipe, trained for 300 steps on the same waves."""
    encoder = {"dilated_conv": {"repr_dim": 16, "hidden_dim": 16, "depth": 3, "dropout": 0.0}}
    training = {"max_steps": 300, "batch_size": 32, "lr": 3e-3}
    made = {}
    for name in RECIPES:
        noise = {"corruption": {"jitter": {"sigma": 1.0}}} if name == "denoising_autoencoder" else {}
        shared = {"encoder": encoder, "scaling": None, "trainer": training, "random_state": 0}
        model = methods.build({name: {**shared, **noise}})
        made[name] = model.fit(waves(128, 0).x.numpy()).method_
    return made


def error(method: ReconstructionMethod, view: Batch) -> float:
    with torch.no_grad():
        return method.loss([view]).loss.item()


@pytest.mark.slow
def test_what_300_steps_learn_is_what_each_of_them_is_for(trained: dict[str, ReconstructionMethod]) -> None:
    fresh, (plain, noisy, masked) = waves(64, 1), (trained[name] for name in RECIPES)
    assert error(plain, seen(plain, fresh)) < 0.3  # the mean has an error of 1
    disturbed = seen(noisy, fresh)
    assert error(noisy, disturbed) < 0.95 * error(plain, disturbed)
    hidden = seen(masked, fresh)
    plain.counted = "changed"
    assert error(masked, hidden) < 0.5 * error(plain, hidden)


# --- gaps, lengths, few rows -----------------------------------------------------------------------------------------


def test_a_series_whose_last_steps_are_hidden_keeps_its_end() -> None:
    method = of_series(MaskedReconstruction, corruption={"last_mask": {"steps": 3}})
    batch = series()
    view = seen(method, batch)
    assert view.times is not None and batch.times is None
    assert torch.isfinite(view.times).sum(dim=1).tolist() == [12, 8, 12, 12, 12]
    assert bool(view.x[2, :, 9:].isnan().all())
    x = batch.x[2:]
    torch.testing.assert_close(method.encoder(x), method.encoder(x, times=view.times[2:]), rtol=0, atol=0)
    value = method.loss([view]).loss
    moved = view.replace(extra={"clean": torch.where(batch.x.isnan(), torch.nan, batch.x + 1.0)})
    assert value.item() != pytest.approx(method.loss([moved]).loss.item())


def test_a_series_of_which_nothing_is_left_is_left_out_and_a_row_is_not() -> None:
    for modality, method in (
        ("time_series", of_series(MaskedReconstruction)),
        ("tabular", of_tables(TabularAutoencoder)),
    ):
        view = samples(modality)
        result = method.loss([view.replace(extra={"clean": view.x}, x=torch.full_like(view.x, NAN))]).loss
        result.backward()
        assert (result.item() == 0.0) == (modality == "time_series")


@both
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("n", [1, 3])
def test_few_rows_with_gaps_train(name: str, modality: str, n: int) -> None:
    if modality == "time_series":
        X: Any = draw(n, 2, 20).numpy()
        X[0, 0, 3:6] = X[-1, :, 15:] = NAN
    else:
        X = pd.DataFrame({"a": draw(n).numpy(), "b": list("xyz")[:n], "c": [None, 1.0, 2.0][:n]})
    spec = {name: {"encoder": ENCODERS[modality], "trainer": {"max_steps": 2}, "random_state": 0}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rare categories, and of so few rows
        model = methods.build(spec, for_modality=modality).fit(X)
    assert np.isfinite(np.asarray(model.transform(X))).all()
    assert model.training_.step == 2


# --- as members ------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("name", RECIPES)
def test_a_saved_model_holds_the_encoder_only(name: str, modality: str, tmp_path: Path) -> None:
    X: Any = draw(10, 1, 16).numpy() if modality == "time_series" else pd.DataFrame(draw(10, 3).numpy())
    spec = {name: {"encoder": ENCODERS[modality], "trainer": {"max_steps": 1}, "random_state": 0}}
    model = methods.build(spec, for_modality=modality).fit(X)
    path = model.save(tmp_path / "model.safetensors")
    with safe_open(path, "pt") as file:
        assert all("decoder" not in key and "encoder." in key for key in file.keys())  # noqa: SIM118 (a file, not a mapping)
    loaded = kinview.load_model(path)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(np.asarray(loaded.transform(X)), np.asarray(model.transform(X)))


@pytest.mark.parametrize("spec", ["crop_pair", "time_shift"])
def test_a_corruption_that_moves_steps_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="corruption must"):
        Reconstruction(spec, SERIES_ENCODER).fit(draw(4, 1, 16).numpy())


def test_an_encoder_without_steps_is_refused_where_steps_are_decoded() -> None:
    encoder = {"tfc_transformer": {"length": 16, "depth": 1, "heads": 1}}
    short = {"max_steps": 1}
    X = draw(4, 1, 16).numpy()
    with pytest.raises(ValueError, match="decoded_from='steps' needs an encoder with features over time"):
        MaskedReconstruction(encoder=encoder, trainer=short).fit(X)
    assert Autoencoder(encoder=encoder, trainer=short).fit(X).training_.step == 1


@pytest.mark.parametrize("encoder", ["patch_transformer", "resnet1d", "tstcc_cnn", "fcn"])
def test_every_step_of_short_series_beside_a_long_one_has_an_output_of_its_own(encoder: str) -> None:
    built_encoder = encoders.build(encoder, channels=1)
    longest = 100
    places = steps_of_a_feature(built_encoder, longest)
    for length in range(1, longest + 1):
        own = feature_lengths(built_encoder, torch.tensor([length]))
        feature = feature_of_step(torch.tensor([length]), own, int(own), length)[0]
        assert int(torch.bincount(feature).max()) <= places, length


def test_an_encoder_of_spectra_is_refused_where_steps_are_decoded() -> None:
    with pytest.raises(
        ValueError, match="decoded_from='steps' needs an encoder with features over time, and those of Fr"
    ):
        of_series_with("frequency", decoded_from="steps")
    assert of_series_with("frequency", decoded_from="representation")


def test_a_corruption_that_needs_a_sampling_rate_does_not_take_positions_for_seconds() -> None:
    X = draw(6, 1, 40).numpy()
    wandering = Reconstruction(["baseline_wander", "binomial_mask"], SERIES_ENCODER, trainer={"max_steps": 1})
    with pytest.raises(ValueError, match="needs the sampling rate"):
        wandering.fit(X)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"counted": "some"}, "counted"), ({"decoder_depth": 0}, "decoder_depth"), ({"decoder_hidden_dim": 0}, "decoder")],
)
def test_parameters_out_of_range_are_refused(changed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TabularReconstruction(**changed).fit(draw(4, 2).numpy())


def test_each_recipe_says_what_the_paper_has() -> None:
    for estimator in (Autoencoder, DenoisingAutoencoder, MaskedReconstruction):
        notes = estimator.__doc__.split("Notes\n-----")[1]
        assert notes.count("\n===") == 3 and "kinview" in notes
