"""TF-C: its losses are those written down, both domains and their agreement count, and it moves to other data."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import kinview
from helpers import NAN, SIZES, gen
from kinview import TFC, FineTunedClassifier, TS2Vec
from kinview.augmentations import CropPair
from kinview.data import Batch, valid_lengths
from kinview.encoders import Filling, magnitude_spectrum
from kinview.encoders.pooling import pooled
from kinview.losses import nt_xent_poly
from kinview.methods import RandomInit, TFCMethod
from kinview.methods.tfc.estimator import bridged

# batches of some of the small sets here
pytestmark = pytest.mark.filterwarnings("ignore:.*is larger than the .* training rows")

TOLERANCE = 1e-5
SMALL: dict[str, Any] = {
    "encoder": {"resnet1d": {"widths": [4, 6], "kernel_sizes": [5, 3]}},
    "bins": 12,
    "hidden_dim": 8,
    "projection_dim": 3,
    "random_state": 0,
    "trainer": {"max_steps": 3, "batch_size": 8},
}


def series(n: int = 12, channels: int = 2, steps: int = 20, gaps: float = 0.1, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, channels, steps)).cumsum(axis=2) + 5.0
    X[random.random(X.shape) < gaps] = np.nan
    X[:, :, [0, -1]] = 1.0
    return X


def unequal(n: int = 12) -> np.ndarray:
    X = series(n)
    for i in range(n):
        X[i, :, 20 - i % 5 :] = np.nan
        X[i, :, 19 - i % 5] = 2.0
    return X


def embed(model: Any, X: Any) -> np.ndarray:
    return np.asarray(model.transform(X), dtype=np.float64)


def difference(one: Any, other: Any) -> float:
    one, other = np.asarray(one), np.asarray(other)
    assert one.shape == other.shape
    return float(np.abs(one - other).max())


def untrained(X: np.ndarray, **changed: Any) -> TFCMethod:
    method = TFC(**{**SMALL, **changed}).initialise(X).method_
    assert isinstance(method, TFCMethod)
    return method


# --- the losses ------------------------------------------------------------------------------------------------------


def probabilities(a: Tensor, b: Tensor, temperature: float) -> list[float]:
    """Of finding its other view, for each of the 2n rows; one at a time."""
    rows = [row / row.norm() for row in torch.cat([a, b]).detach()]
    n = len(a)
    found = []
    for i, anchor in enumerate(rows):
        terms = {k: math.exp(float(anchor @ rows[k]) / temperature) for k in range(2 * n) if k != i}
        found.append(terms[(i + n) % (2 * n)] / sum(terms.values()))
    return found


def slow_nt_xent(a: Tensor, b: Tensor) -> float:
    return -sum(math.log(p) for p in probabilities(a, b, 0.2)) / (2 * len(a))


def slow_poly(a: Tensor, b: Tensor) -> float:
    """As the official code has it: a mean of one-hot times softmax over the whole matrix."""
    n, found = len(a), probabilities(a, b, 0.2)
    return slow_nt_xent(a, b) + n * (1 / n - sum(found) / (2 * n * (2 * n - 1)))


def drawn(method: TFCMethod, X: np.ndarray) -> tuple[list[Batch], dict[str, Tensor]]:
    """Views in float64, and what the network makes of them, row by row."""
    method.double()
    views = method.views(Batch.of(torch.tensor(X)), gen(), 0.0)
    h = {}
    for name, view in zip(("t", "t~", "f", "f~"), views, strict=True):
        branch = method.time_encoder if name.startswith("t") else method.frequency_encoder
        h[name] = torch.cat([pooled(branch, view.x[i : i + 1], how="mean") for i in range(len(view))])
    return views, h


@pytest.mark.parametrize("weight", [0.2, 0.7])
def test_the_paper_loss_equals_its_transcription(weight: float) -> None:
    method = untrained(series(), contrastive_weight=weight, margin=0.4).eval()
    views, h = drawn(method, series())
    z = {name: (method.time_projector if name[0] == "t" else method.frequency_projector)(h[name]) for name in h}
    agreement = sum(
        slow_nt_xent(z["t"], z["f"]) - slow_nt_xent(z[u], z[v]) + 0.4
        for u, v in (("t", "f~"), ("t~", "f"), ("t~", "f~"))
    )
    contrast = slow_nt_xent(h["t"], h["t~"]), slow_nt_xent(h["f"], h["f~"])
    loss, logs, _ = method.loss(views)
    assert loss.item() == pytest.approx(weight * sum(contrast) + (1 - weight) * agreement, abs=1e-10)
    assert logs == pytest.approx({"time": contrast[0], "frequency": contrast[1], "consistency": agreement}, abs=1e-10)


def test_the_official_loss_equals_its_transcription() -> None:
    method = untrained(series(), consistency="official").eval()
    views, h = drawn(method, series())
    z_t, z_f = method.time_projector(h["t"]), method.frequency_projector(h["f"])
    contrast = slow_poly(h["t"], h["t~"]), slow_poly(h["f"], h["f~"])
    loss, logs, _ = method.loss(views)
    assert loss.item() == pytest.approx(0.2 * sum(contrast) + slow_poly(z_t, z_f), abs=1e-10)
    assert logs["consistency"] == pytest.approx(slow_poly(z_t, z_f), abs=1e-10)


def test_nt_xent_poly_closed_forms_and_gradient() -> None:
    collapsed = torch.ones(5, 3, dtype=torch.float64)
    assert nt_xent_poly(collapsed, collapsed).item() == pytest.approx(math.log(9) + 1 - 5 / 81)
    assert nt_xent_poly(collapsed[:1], collapsed[:1]).item() == pytest.approx(0.0)  # nothing else to be taken for
    far = 1000.0 * torch.eye(4, dtype=torch.float64)
    assert nt_xent_poly(far, far, 0.01).item() == pytest.approx(1 - 4 / 7)  # every pair is found
    a, b = (torch.randn(4, 3, generator=gen(i), dtype=torch.float64, requires_grad=True) for i in range(2))
    assert nt_xent_poly(a, b).item() == pytest.approx(slow_poly(a.detach(), b.detach()))
    assert torch.autograd.gradcheck(nt_xent_poly, (a, b))


# --- the defining parts ----------------------------------------------------------------------------------------------


def test_the_second_half_is_the_frequency_domain() -> None:
    """Fails without the frequency branch: a circular shift is no change to a spectrum, but one to the series."""
    X = series(gaps=0.0)
    for representation, width in (("projection", 3), ("encoder", 6)):
        model = TFC(**{**SMALL, "representation": representation}).fit(X)
        z, shifted = embed(model, X), embed(model, np.roll(X, 7, axis=2))
        assert z.shape == (12, 2 * width)
        assert difference(z[:, width:], shifted[:, width:]) < TOLERANCE
        assert difference(z[:, :width], shifted[:, :width]) > 1e-3
        assert np.ptp(z[:, width:], axis=0).min() > 1e-3, "the frequency half says nothing"


@pytest.mark.parametrize("consistency", ["paper", "official"])
def test_both_domains_are_trained_by_the_agreement_alone(consistency: Any) -> None:
    """Fails without the consistency term: nothing else reaches the projectors."""
    method = untrained(series(), consistency=consistency, contrastive_weight=0.0).train()
    loss, *_ = method.loss(method.views(Batch.of(torch.tensor(series(), dtype=torch.float32)), gen(), 0.0))
    loss.backward()
    for part in (method.time_encoder, method.frequency_encoder, method.time_projector, method.frequency_projector):
        gradients = [p.grad for p in part.parameters()]
        assert all(gradient is not None for gradient in gradients)
        assert sum(float(gradient.abs().sum()) for gradient in gradients) > 1e-3


def test_only_the_paper_rule_looks_at_the_augmented_projections() -> None:
    X = Batch.of(torch.tensor(series(), dtype=torch.float32))
    for consistency, matters in (("paper", True), ("official", False)):
        method = untrained(series(), consistency=consistency, contrastive_weight=0.0).eval()
        one, other = (method.loss(method.views(X, gen(seed), 0.0))[0].item() for seed in (0, 1))
        assert (abs(one - other) > 1e-3) == matters


def test_contrast_alone_leaves_the_projectors_untrained() -> None:
    method = untrained(series(), contrastive_weight=1.0).train()
    loss, *_ = method.loss(method.views(Batch.of(torch.tensor(series(), dtype=torch.float32)), gen(), 0.0))
    loss.backward()
    assert all(float(p.grad.abs().max()) == 0.0 for p in method.time_projector.parameters())
    assert all(p.grad is None or float(p.grad.abs().sum()) > 0 for p in method.frequency_encoder.parameters())


def test_views_are_drawn_afresh_and_keep_the_input() -> None:
    X = torch.tensor(unequal(), dtype=torch.float32)
    batch, method = Batch.of(X.clone()), untrained(unequal())
    one, two = (method.views(batch, gen(seed), 0.0) for seed in (0, 1))
    again = method.views(batch, gen(0), 0.0)
    assert torch.equal(batch.x.nan_to_num(99.0), X.nan_to_num(99.0))
    assert one[0] is batch
    for i in (1, 3):
        assert torch.equal(one[i].x.nan_to_num(), again[i].x.nan_to_num())
        assert not torch.equal(one[i].x.nan_to_num(), two[i].x.nan_to_num())
    assert torch.equal(torch.isnan(one[1].x), torch.isnan(X)), "the time view moved gaps"
    ends = [valid_lengths(view.x).tolist() for view in one]
    assert ends == 4 * [valid_lengths(X).tolist()]


def test_the_frequency_view_changes_the_spectrum_that_the_encoder_takes() -> None:
    """Gaps are bridged before the perturbation, so most bins of a view are those of the series to the last digit."""
    X = torch.tensor(unequal(), dtype=torch.float64)[:, :1]
    method = untrained(unequal()[:, :1])
    _, _, whole, perturbed = method.views(Batch.of(X), gen(), 0.0)
    assert not torch.isnan(whole.x[0]).any() and torch.isnan(whole.x[1, 0, -1])
    torch.testing.assert_close(magnitude_spectrum(whole.x), magnitude_spectrum(X))
    lengths = valid_lengths(X).tolist()
    changed = 0
    for row, length in enumerate(lengths):
        before, after = (torch.fft.rfft(view.x[row, 0, :length]).abs() for view in (whole, perturbed))
        moved = (before - after).abs() > 1e-4 * before.max()
        changed += int(moved.sum())
        assert moved.double().mean() < 0.7
    assert 0 < changed < sum(length // 2 + 1 for length in lengths) / 2


def test_bridging_leaves_ends_and_unobserved_channels_alone() -> None:
    x = torch.tensor([[[1.0, NAN, 3.0, NAN], [NAN, NAN, NAN, NAN]], [[NAN, 2.0, 4.0, 8.0], [1.0, 1.0, NAN, 1.0]]])
    filled = bridged(Batch.of(x), Filling(2, "linear")).x
    assert filled.nan_to_num(-1.0).tolist() == [
        [[1.0, 2.0, 3.0, -1.0], [-1.0] * 4],
        [[2.0, 2.0, 4.0, 8.0], [1.0] * 4],
    ]
    complete = Batch.of(torch.ones(2, 1, 3))
    assert bridged(complete, Filling(2, "linear")) is complete


# --- invariants, gaps, channels, lengths -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"channel_independent": True},
        {"scaling": "sample"},
        {"representation": "encoder"},
        {"encoder": {"dilated_conv": {"repr_dim": 4, "hidden_dim": 3, "depth": 2}}},
        {"encoder": {"resnet1d": {"widths": [4], "kernel_sizes": [3], "front_end": "values+mask+delta"}}},
    ],
    ids=lambda v: "-".join(v) or "defaults",
)
def test_an_embedding_depends_on_nothing_but_the_series(changed: dict[str, Any]) -> None:
    X = unequal()
    model = TFC(**{**SMALL, **changed}).fit(X)
    together = embed(model, X)
    assert np.isfinite(together).all() and np.ptp(together, axis=0).max() > 1e-3
    assert difference(together, np.concatenate([embed(model, X[i : i + 1]) for i in range(len(X))])) < TOLERANCE
    cut = [x[:, : 1 + np.flatnonzero(~np.isnan(x).all(axis=0)).max()] for x in X]
    assert difference(together, np.concatenate([embed(model, [x]) for x in cut])) < TOLERANCE
    padded = np.concatenate([X, np.full((len(X), 2, 37), np.nan)], axis=2)
    assert difference(together, embed(model, padded)) < TOLERANCE


def test_the_default_network_obeys_the_laws_too() -> None:
    X = unequal()
    model = TFC(trainer={"max_steps": 2}, random_state=0).fit(X)
    assert embed(model, X).shape == (12, 256)
    assert difference(embed(model, X), np.concatenate([embed(model, X[i : i + 1]) for i in range(12)])) < TOLERANCE
    padded = np.concatenate([X, np.full((12, 2, 300), np.nan)], axis=2)
    assert difference(embed(model, X), embed(model, padded)) < TOLERANCE


def test_the_official_encoder_says_that_an_embedding_depends_on_other_rows() -> None:
    model = TFC(**{**SMALL, "encoder": "official"}).fit(series())
    assert model.method_.time_encoder.row_independent is False
    z = embed(model, series())
    assert np.isfinite(z).all()
    assert difference(z[:1], embed(model, series()[:1])) > 1e-3
    assert TFC(**SMALL).fit(series()).method_.time_encoder.row_independent is True


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2, 40])
@pytest.mark.parametrize("steps", [1, 2, 5, 90])
def test_any_number_of_channels_and_any_length(channels: int, steps: int) -> None:
    X = series(6, channels, steps, gaps=0.0) + np.arange(6.0)[:, None, None]
    for changed in ({}, {"channel_independent": True}, {"encoder": "official"}):
        model = TFC(**{**SMALL, **changed}).fit(X)
        assert embed(model, X).shape == (6, 6) and np.isfinite(embed(model, X)).all()


def test_series_and_channels_without_observations() -> None:
    X = unequal()
    X[2], X[4, 1] = np.nan, np.nan
    for changed in ({}, {"channel_independent": True}, {"encoder": "official"}):
        model = TFC(**{**SMALL, **changed}).fit(X)
        z = embed(model, X)
        assert (z[2] == 0).all() and np.isfinite(z).all() and (np.abs(np.delete(z, 2, axis=0)).max(axis=1) > 0).all()
        others = np.delete(X, 2, axis=0)
        again = embed(TFC(**{**SMALL, **changed}).fit(others), others)
        assert difference(again, np.delete(z, 2, axis=0)) < TOLERANCE
        assert (embed(model, np.full((2, 2, 7), np.nan)) == 0).all()


@pytest.mark.parametrize("n", [2, 3, 9])
def test_fewer_rows_than_a_batch_and_one_left_over(n: int) -> None:
    X = series(n)
    model = TFC(**{**SMALL, "trainer": {"max_epochs": 2, "batch_size": 4, "drop_last": False}}).fit(X)
    assert model.training_.step == 2 * {2: 1, 3: 1, 9: 2}[n] and np.isfinite(embed(model, X)).all()
    whole = TFC(**{**SMALL, "trainer": {"max_epochs": 1}}).fit(X)
    assert whole.training_.step == 1, "a batch of all rows"


def test_one_series_keeps_its_initial_weights() -> None:
    for X, there in ((series(1), 1), (np.full((3, 2, 8), np.nan), 0)):
        with pytest.warns(UserWarning, match=f"at least two series with an observation, there are {there}"):
            model = TFC(**SMALL).fit(X)
        assert model.training_ is None
        assert difference(embed(model, X), embed(TFC(**SMALL).initialise(X), X)) == 0.0


def test_a_row_alone_teaches_nothing_and_moves_no_statistics() -> None:
    method = untrained(series()).train()
    before = {name: value.clone() for name, value in method.named_buffers()}
    one = Batch.of(torch.tensor(series(1), dtype=torch.float32))
    loss, logs, _ = method.loss(method.views(one, gen(), 0.0))
    loss.backward()
    assert loss.item() == 0.0 and logs == {}
    assert all(float(p.grad.abs().max()) == 0.0 for p in method.parameters())
    assert all(torch.equal(before[name], value) for name, value in method.named_buffers())


def test_training_lowers_the_loss_and_keeps_the_rank() -> None:
    random = np.random.default_rng(0)
    clock = np.arange(40.0)
    pace = random.choice([0.2, 0.5, 0.9], size=(60, 1, 1))
    X = np.sin(pace * clock + random.uniform(0, 6, (60, 1, 1))) + 0.1 * random.normal(size=(60, 1, 40))
    model = TFC(**{**SMALL, "trainer": {"max_steps": 120, "lr": 3e-3, "batch_size": 30}}).fit(X)
    losses = [record["loss"] for record in model.training_.history]
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) - 0.3
    control = RandomInit({"tfc": {k: v for k, v in SMALL.items() if k != "random_state"}}, 0).fit(X)

    def effective_rank(z: np.ndarray) -> float:
        values = np.linalg.svd(z - z.mean(axis=0), compute_uv=False)
        fraction = values / values.sum()
        return float(np.exp(-(fraction * np.log(fraction + 1e-12)).sum()))

    assert effective_rank(embed(model, X)) >= effective_rank(embed(control, X)) / 2


def test_training_uses_the_published_values() -> None:
    model = TFC(**{**SMALL, "trainer": {"max_steps": 1}}).fit(series())
    published = {"batch_size": 128, "lr": 3e-4, "optimizer": "adam", "weight_decay": 3e-4, "max_epochs": 40}
    assert {name: getattr(model.trainer_, name) for name in published} == published
    assert model.trainer_.drop_last is True
    assert [group["betas"] for group in model.method_.parameter_groups()] == [(0.9, 0.99)]


@pytest.mark.parametrize("encoder", [SMALL["encoder"], "official"], ids=["resnet1d", "official"])
def test_half_precision_stays_close(encoder: Any) -> None:
    X = unequal()
    plain, low = (
        TFC(**{**SMALL, "encoder": encoder, "trainer": {**SMALL["trainer"], "precision": precision}}).fit(X)
        for precision in ("float32", "bfloat16")
    )
    assert [r["loss"] for r in low.training_.history] == pytest.approx(
        [r["loss"] for r in plain.training_.history], abs=0.2
    )
    assert np.isfinite(embed(low, X)).all()


def test_a_stopped_training_continues_as_if_it_had_not_been(tmp_path: Path) -> None:
    X = unequal()

    def fit(steps: int, **changed: Any) -> TFC:
        return TFC(**{**SMALL, "trainer": {"max_steps": steps, "batch_size": 5, **changed}}).fit(X)

    fit(3, checkpoint_dir=str(tmp_path))
    continued = fit(7, checkpoint_dir=str(tmp_path))
    assert continued.training_.step == 7
    assert difference(embed(continued, X), embed(fit(7), X)) == 0.0


# --- transfer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["one channel", "channel independent"])
def test_a_model_moves_to_another_length_and_number_of_channels(first: str) -> None:
    """As published: pre-trained on single-channel series, used on others of another length."""
    independent = first == "channel independent"
    source = series(16, channels=2 if independent else 1, steps=30, seed=1)
    model = TFC(**SMALL, channel_independent=independent).fit(source)
    target = series(10, channels=3, steps=47, seed=2)
    y = np.arange(10) % 2
    before = {name: value.clone() for name, value in model.method_.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moved = model.adapt(target)
        tuned = FineTunedClassifier(model, transfer=True, trainer={"max_epochs": 2}, random_state=0).fit(target, y)
    weights = {name: value for name, value in moved.method_.state_dict().items() if ".completion." not in name}
    assert all(torch.equal(value, before[name]) for name, value in weights.items())
    assert all(torch.equal(value, before[name]) for name, value in model.method_.state_dict().items())
    z = embed(moved, target)
    assert z.shape == (10, 6) and np.isfinite(z).all()
    assert difference(z, np.concatenate([embed(moved, target[i : i + 1]) for i in range(10)])) < TOLERANCE
    tuned_weights = tuned.encoder_.method_.state_dict()
    assert any(not torch.equal(tuned_weights[name], before[name]) for name in before if "encoder" in name)
    assert set(tuned.predict(target)) <= {0, 1} and tuned.predict_proba(target).shape == (10, 2)


def test_channels_of_a_channel_independent_model_are_a_set() -> None:
    X = series(8, channels=3)
    zeros = {**SMALL, "encoder": {"resnet1d": {**SMALL["encoder"]["resnet1d"], "fill": "zero"}}, "scaling": None}
    model = TFC(**zeros, channel_independent=True).fit(X)
    assert difference(embed(model, X), embed(model, X[:, [2, 0, 1]])) < TOLERANCE
    doubled = model.adapt(np.concatenate([X, X], axis=1))
    assert difference(embed(doubled, np.concatenate([X, X], axis=1)), embed(model, X)) < TOLERANCE
    completing = TFC(**{**SMALL, "scaling": None}, channel_independent=True).fit(X)
    assert difference(embed(completing, X), embed(completing, X[:, [2, 0, 1]])) < TOLERANCE
    joint = TFC(**{**SMALL, "scaling": None}).fit(X)
    assert difference(embed(joint, X), embed(joint, X[:, [2, 0, 1]])) > 1e-3


def test_a_model_that_joins_channels_says_what_cannot_move() -> None:
    model = TFC(**SMALL).fit(series(channels=2))
    with pytest.raises(ValueError, match=r"X has 3 channel\(s\), but 2 at fit") as refused:
        model.transform(series(channels=3))
    for cure in ("model.adapt(X_train)", "FineTunedClassifier(model, transfer=True)", "--adapt true"):
        assert cure in str(refused.value)
    with pytest.raises(ValueError, match=r"but 1 at fit.*model\.adapt\(X_train\)"):
        TFC(**SMALL, channel_independent=True).fit(series(channels=1)).transform(series(channels=3))
    with pytest.warns(UserWarning, match=r"X has 3 channel\(s\).*start anew: time_encoder"):
        moved = model.adapt(series(channels=3))
    assert np.isfinite(embed(moved, series(channels=3))).all()
    with pytest.raises(ValueError, match=r"reads 2 channels together; the series have 3.*channel_independent=True"):
        model.method_.embed(Batch.of(torch.zeros(2, 3, 9)))


def test_scaling_is_learned_anew_where_the_model_moves_to() -> None:
    model = TFC(**SMALL).fit(series(channels=1))
    target = series(channels=1, steps=33, seed=4)
    moved = model.adapt(1000.0 * target - 7.0)
    assert difference(embed(moved, 1000.0 * target - 7.0), embed(model.adapt(target), target)) < 1e-4


@pytest.mark.parametrize("kind", ["plain", "official", "moved"])
def test_a_saved_model_gives_the_same_embeddings(kind: str, tmp_path: Path) -> None:
    X = series(10, channels=1, gaps=0.0)
    model = TFC(**{**SMALL, **({"encoder": "official"} if kind == "official" else {})}).fit(X)
    if kind == "moved":
        X = series(7, channels=3, steps=31)
        model = model.adapt(X)
    model.save(tmp_path / "model.safetensors")
    loaded = kinview.load_model(tmp_path / "model.safetensors")
    assert difference(embed(loaded, X), embed(model, X)) == 0.0
    assert loaded.method_.channels == loaded.sizes_.channels == 1


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"consistency": "none"}, "consistency must be 'paper' or 'official'; got 'none'"),
        ({"representation": "z"}, "representation must be 'projection' or 'encoder'; got 'z'"),
        ({"contrastive_weight": 1.5}, r"contrastive_weight must be in \[0, 1\]; got 1.5"),
        ({"hidden_dim": 0}, "hidden_dim must be at least 1; got 0"),
        ({"projection_dim": 2.5}, r"projection_dim must be a whole number; got 2\.5"),
        ({"temperature": 0.0}, "temperature must be above 0; got 0.0"),
        ({"contrastive_weight": True}, "contrastive_weight must be a number; got True"),
        ({"contrastive_weight": "0.2"}, r"contrastive_weight must be a number; got the text '0\.2': write 0\.2"),
        ({"margin": math.inf}, "margin must be finite; got inf"),
        ({"margin": True}, "margin must be a number; got True"),
        ({"margin": None}, "margin must be a number; got None"),
        ({"channel_independent": "no"}, "channel_independent must be True or False; got the text 'no'"),
        ({"channel_independent": 1}, "channel_independent must be True or False; got 1"),
        ({"trainer": {"batch_size": 1}}, r"batch_size=1\) is too small: TFCMethod contrasts"),
        ({"bins": 1}, "bins must be at least 2; got 1"),
        ({"encoder": "mlp"}, "encoder must encode time series; mlp encodes tables"),
        ({"encoder": None}, "encoder must be the name of a registered encoder or"),
        ({"encoder": "resnet"}, "unknown encoder 'resnet'; did you mean 'resnet1d'"),
        ({"time_augmentation": "crop_pair"}, "time_augmentation must make one view; .* makes 2"),
        ({"scaling": "minmax"}, "scaling must be one of 'dataset', 'robust', 'quantile', .* got 'minmax'"),
    ],
)
def test_parameters_out_of_range_are_refused_at_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TFC(**{**SMALL, **changes}).fit(series())


def test_views_come_from_their_specs() -> None:
    X = series()
    same = embed(TFC(**SMALL, time_augmentation="tfc_time", frequency_augmentation="tfc_frequency").fit(X), X)
    assert difference(same, embed(TFC(**SMALL).fit(X), X)) == 0.0
    other = embed(TFC(**SMALL, time_augmentation="tfc_frequency").fit(X), X)
    assert difference(same, other) > 1e-6
    with pytest.raises(ValueError, match="time_augmentation must make one view"):
        TFC(**SMALL, time_augmentation=CropPair()).fit(X)


def test_other_methods_do_not_move_channels_silently() -> None:
    model = TS2Vec(**SIZES["ts2vec"], trainer={"max_steps": 1}, random_state=0).fit(series(channels=2))
    with pytest.warns(UserWarning, match="start anew"):
        assert model.adapt(series(channels=3)).transform(series(channels=3)).shape == (12, 4)
