"""Checks of the augmentations of embeddings, and of adversarial perturbation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from torch import Tensor, nn

from helpers import NAN, extra, gen
from kinview.augmentations import Adversarial, EmbeddingMixup, EmbeddingNoise, FeatureDropout
from kinview.data import Batch, TableSchema, observed_std
from kinview.losses import nt_xent

IMPLAUSIBLE = 1e-4


# --- noise, dropout, mixup -------------------------------------------------------------------------------------------


def test_noise_is_normal_in_units_of_each_embedding() -> None:
    z = torch.randn(300, 64, generator=gen(), dtype=torch.float64) * torch.logspace(-2, 2, 300)[:, None]
    noise = (EmbeddingNoise(0.5)(z, gen(1)) - z) / (0.5 * z.std(dim=1, correction=0, keepdim=True))
    assert scipy.stats.kstest(noise.flatten()[::5].numpy(), "norm").pvalue > IMPLAUSIBLE
    assert scipy.stats.pearsonr(noise[:, 0].numpy(), noise[:, 1].numpy()).pvalue > IMPLAUSIBLE


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_features_drop_independently_and_the_expectation_stays(p: float) -> None:
    z = torch.ones(4000, 10, dtype=torch.float64)
    view = FeatureDropout(p)(z, gen())
    dropped = view == 0
    assert torch.allclose(view[~dropped], torch.tensor(1 / (1 - p), dtype=torch.float64))
    counts = torch.bincount(dropped.sum(dim=1), minlength=11).numpy()
    expected = scipy.stats.binom(10, p).pmf(np.arange(11)) * 4000
    enough = expected > 5
    assert (
        scipy.stats.chisquare(
            np.append(counts[enough], counts[~enough].sum() + 1e-9),
            np.append(expected[enough], expected[~enough].sum() + 1e-9),
        ).pvalue
        > IMPLAUSIBLE
    )
    assert set(FeatureDropout(p, rescale=False)(z, gen()).unique().tolist()) == {0.0, 1.0}
    assert not bool(FeatureDropout(1.0)(z, gen()).any())


@pytest.mark.parametrize("alpha", [0.2, 2.0])
@pytest.mark.parametrize("dominant", [True, False])
def test_mixtures_are_those_they_name(alpha: float, dominant: bool) -> None:
    z = torch.randn(3000, 6, generator=gen(), dtype=torch.float64)
    view = EmbeddingMixup(alpha, dominant)(Batch.of(z), gen(1))
    partner, weight = extra(view, "partner"), extra(view, "coefficient")
    assert sorted(partner.tolist()) == list(range(3000))
    assert not bool((partner == torch.arange(3000)).any())
    assert torch.allclose(view.x, weight[:, None] * z + (1 - weight[:, None]) * z[partner])
    distribution = scipy.stats.beta(alpha, alpha)
    if dominant:
        assert float(weight.min()) >= 0.5
        assert scipy.stats.kstest(weight.numpy(), lambda v: 2 * distribution.cdf(v) - 1).pvalue > IMPLAUSIBLE
    else:
        assert scipy.stats.kstest(weight.numpy(), distribution.cdf).pvalue > IMPLAUSIBLE


def test_a_feature_that_the_partner_misses_counts_as_the_rows_own() -> None:
    z = torch.randn(300, 6, generator=gen(), dtype=torch.float64)
    drawn = extra(EmbeddingMixup()(Batch.of(z), gen(1)), "coefficient")
    z[torch.rand(z.shape, generator=gen(2)) < 0.3] = float("nan")
    z[7] = float("nan")
    view = EmbeddingMixup()(Batch.of(z), gen(1))
    partner, weight, seen = extra(view, "partner"), extra(view, "coefficient"), ~torch.isnan(z)
    both = (seen & seen[partner]).sum(dim=1) / seen.sum(dim=1).clamp_min(1)
    torch.testing.assert_close(weight, 1 - (1 - drawn) * both)
    assert bool((weight[partner == 7] == 1).all()) and bool((weight < 1).any())


def test_a_single_embedding_is_its_own_mixture() -> None:
    z = torch.randn(1, 6, generator=gen())
    view = EmbeddingMixup()(Batch.of(z), gen())
    assert torch.equal(view.x, z)
    assert (extra(view, "partner").tolist(), extra(view, "coefficient").tolist()) == ([0], [1.0])


# --- adversarial -----------------------------------------------------------------------------------------------------


def weights(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=gen(9), dtype=torch.float64)


@pytest.mark.parametrize("steps", [3, 10])
def test_a_linear_loss_is_maximised_on_the_ball(steps: int) -> None:
    """The maximum of w·δ is at ε·sign(w) in the cube and along w in the sphere."""
    x = torch.randn(5, 3, 20, generator=gen(), dtype=torch.float64)
    x[0, 1, 3:9] = NAN
    w = weights((3, 20))
    unit = observed_std(x)
    seen = ~x.isnan()

    def loss(values: Tensor) -> Tensor:
        return (values.nan_to_num() * w).sum()

    cube = Adversarial(0.1, steps=steps).bind_loss(loss)(x, gen())
    assert torch.allclose(((cube - x) / unit)[seen], (0.1 * w.sign()).expand_as(x)[seen])
    sphere = Adversarial(0.1, "l2", steps=50, step_size=0.1).bind_loss(loss)(x, gen())
    direction = torch.where(seen, unit * w, 0)
    expected = 0.1 * direction / (direction.square().flatten(1).sum(1) / seen.flatten(1).sum(1)).sqrt()[:, None, None]
    assert torch.allclose(((sphere - x) / unit)[seen], expected[seen], atol=1e-3)
    assert torch.equal(cube.isnan(), x.isnan())


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", [(6, 2, 30), (6, 12)])
@pytest.mark.parametrize("steps", [1, 4])
def test_the_ball_holds_whatever_the_loss(norm: str, shape: tuple[int, ...], steps: int) -> None:
    x = 5 * torch.randn(shape, generator=gen(), dtype=torch.float64)
    x[torch.rand(shape, generator=gen(1)) < 0.2] = NAN
    attack = Adversarial(0.07, norm, steps, step_size=1.0).bind_loss(lambda v: v.nan_to_num().sin().square().sum())
    view = attack(x, gen(2))
    unit = observed_std(x) if x.ndim == 3 else 1.0
    delta = ((view - x) / unit).flatten(1)
    if norm == "linf":
        assert float(delta.abs().nan_to_num().max()) <= 0.07 * (1 + 1e-9)
    else:
        assert float(delta.square().nanmean(dim=1).sqrt().max()) <= 0.07 * (1 + 1e-9)
    assert torch.equal(view.isnan(), x.isnan())
    assert not view.requires_grad


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_are_uniform_in_the_ball(norm: str) -> None:
    x = torch.zeros(4000, 3, dtype=torch.float64)
    start = Adversarial(0.5, norm, step_size=1e-12).bind_loss(lambda v: v.sum())(x, gen())
    if norm == "linf":
        assert scipy.stats.kstest(start.flatten().numpy(), "uniform", (-0.5, 1.0)).pvalue > IMPLAUSIBLE
    else:
        radius = start.square().mean(dim=1).sqrt() / 0.5
        assert scipy.stats.kstest((radius**3).numpy(), "uniform").pvalue > IMPLAUSIBLE  # volume grows as r³
    still = Adversarial(0.5, norm, step_size=1e-12, random_start=False).bind_loss(lambda v: v.sum())(x, gen())
    assert float(still.abs().max()) < 1e-9


def test_a_contrastive_loss_rises_and_no_gradient_leaks() -> None:
    torch_state = torch.get_rng_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(60, 32), nn.ReLU(), nn.Linear(32, 16))
    x = torch.randn(32, 2, 30, generator=gen())
    anchors = encoder(x + 0.3 * torch.randn(x.shape, generator=gen(1))).detach()
    before = copy.deepcopy(encoder.state_dict())

    def loss(values: Tensor) -> Tensor:
        return nt_xent(encoder(values), anchors, 0.2)

    clean = float(loss(x).detach())
    with torch.no_grad():  # gradients are taken whatever the mode outside
        views = [Adversarial(0.1, steps=steps).bind_loss(loss)(x, gen(2)) for steps in (1, 5)]
    attacked = [float(loss(view).detach()) for view in views]
    signs = (torch.rand(x.shape, generator=gen(3)) < 0.5).float() * 2 - 1
    noise = float(loss(x + 0.1 * observed_std(x) * signs).detach())
    assert clean < attacked[0] < attacked[1]
    assert noise - clean < 0.5 * (attacked[0] - clean)  # as large a perturbation without direction does far less
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_categories_of_a_fitted_table_stay() -> None:
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0] * 5, "b": ["x", "y", None] * 5, "c": [True, False, True] * 5})
    schema = TableSchema.fit(table)
    batch = schema.to_batch(table)
    attack = Adversarial(0.1).bind_loss(lambda v: v.nan_to_num().sum())
    view = attack.fit(batch, schema)(batch, gen()).x
    assert torch.equal(view[:, 1:].nan_to_num(-1), batch.x[:, 1:].nan_to_num(-1))
    assert bool((view[:, 0] != batch.x[:, 0]).all())
    with pytest.raises(ValueError, match="adversarial was fitted on 3 columns; got 2"):
        attack.fit(batch, schema)(batch.x[:, :2], gen())


def constant(values: Tensor) -> Tensor:
    return torch.ones(())


def many(values: Tensor) -> Tensor:
    return values


def elsewhere(values: Tensor) -> Tensor:
    return torch.ones(2, requires_grad=True).sum()


@pytest.mark.parametrize("loss", [constant, many, elsewhere, lambda values: 1.0])
def test_what_is_no_loss_is_refused(loss: Any) -> None:
    with pytest.raises(ValueError, match="must return one number that depends on the values it is given"):
        Adversarial().bind_loss(loss)(torch.ones(2, 3), gen())


def test_a_loss_is_asked_for_and_forgotten() -> None:
    bound = Adversarial().bind_loss(lambda values: values.sum())
    assert bound == Adversarial()
    for part in (Adversarial(), bound.forget()):
        with pytest.raises(ValueError, match=r"adversarial needs a loss to raise: call bind_loss\(loss\) first"):
            part(torch.ones(2, 3), gen())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_padding_takes_no_part_in_the_ball(norm: str) -> None:
    x = torch.randn(3, 2, 20, generator=gen(), dtype=torch.float64)
    padded = nn.functional.pad(x, (0, 7), value=NAN)
    attack = Adversarial(0.1, norm, 2, random_start=False).bind_loss(lambda v: v.nan_to_num().sin().square().sum())
    assert torch.allclose(attack(padded, gen())[:, :, :20], attack(x, gen()))
