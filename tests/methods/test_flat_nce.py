"""FlatNCE and FLO: gradients and values by transcription, the bound that joins them, and the recipes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from frameworks import MODALITIES, data, differ, fitted, loss_and_gradient, network, projected, two_views
from helpers import draw, gen
from kinview.losses import FLO, decoupled, flat_nce, flo, info_nce

SMALL = {"projector": {"hidden_dim": 8, "out_dim": 4}}


def contrast(a: Tensor, b: Tensor, t: float, i: int) -> Tensor:
    """Published s: log-sum-exp over the other rows of the differences to the own one."""
    own = torch.nn.functional.cosine_similarity(a[i], b[i], dim=0)
    others = [torch.nn.functional.cosine_similarity(a[i], b[j], dim=0) for j in range(len(a)) if j != i]
    return torch.log(sum(torch.exp((other - own) / t) for other in others))


@pytest.mark.parametrize("n", [2, 5])
def test_flat_nce_has_the_published_gradient_and_says_how_well_pairs_are_found(n: int) -> None:
    a, b = draw(n, 3, seed=1).requires_grad_(), draw(n, 3, seed=2).requires_grad_()
    s = [contrast(a, b, 0.3, i) for i in range(n)]
    published = sum(torch.exp(one - one.detach()) for one in s) / n - 1
    assert published.item() == pytest.approx(0, abs=1e-12)  # whatever the rows are
    value = flat_nce(a, b, 0.3)
    for found, expected in zip(torch.autograd.grad(value, (a, b)), torch.autograd.grad(published, (a, b)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert value.item() == pytest.approx(sum(one.item() for one in s) / n - math.log(n - 1), rel=1e-10)


@pytest.mark.parametrize("n", [2, 5])
def test_flo_is_the_published_bound(n: int) -> None:
    a, b, u = draw(n, 3, seed=1), draw(n, 3, seed=2), draw(n, seed=3)
    expected = 0.0
    for i in range(n):
        expected += float(u[i]) + math.exp(-float(u[i]) + float(contrast(a, b, 0.3, i))) / (n - 1) - 1
    assert flo(a, b, u, 0.3).item() == pytest.approx(expected / n, rel=1e-10)


def test_the_best_critic_makes_flo_flat_nce_and_no_other_goes_below() -> None:
    a, b = draw(6, 3, seed=1).requires_grad_(), draw(6, 3, seed=2)
    best = torch.stack([contrast(a, b, 0.3, i) for i in range(6)]).detach() - math.log(5)
    value, flat = flo(a, b, best, 0.3), flat_nce(a, b, 0.3)
    assert value.item() == pytest.approx(flat.item(), rel=1e-10)
    torch.testing.assert_close(torch.autograd.grad(value, a), torch.autograd.grad(flat, a))
    assert all(flo(a, b, best + draw(6, seed=s), 0.3).item() > value.item() for s in range(5))


def test_the_gradient_does_not_fade_where_pairs_are_found() -> None:
    z = draw(2, 8).requires_grad_()
    kept, faded = (torch.autograd.grad(f(z, z + 0.1, 0.1), z)[0].norm().item() for f in (flat_nce, info_nce))
    assert kept > 100 * faded


def test_a_bad_critic_neither_overflows_nor_stops_the_gradient() -> None:
    a, b = torch.eye(4).requires_grad_(), torch.eye(4).flip(0)
    for u in (-1e4, 0.0, 1e4):
        critic = torch.full((4,), u, requires_grad=True)
        value = flo(a, b, critic, 0.01)
        slopes = torch.autograd.grad(value, (a, critic))
        assert bool(torch.isfinite(value)) and all(bool(torch.isfinite(slope).all()) for slope in slopes)
        assert bool(slopes[1].abs().gt(0).all())


def test_the_temperature_is_learned_or_kept() -> None:
    a, b = draw(4, 3, seed=1).float(), draw(4, 3, seed=2).float()
    learned, kept = FLO(dim=3), FLO(dim=3, learnable=False)
    learned(a, b).backward()
    assert learned.log_scale.grad is not None and not kept.log_scale.requires_grad
    with pytest.raises(ValueError, match=r"flo is for embeddings of dim=3; a has 4: give FLO\(dim=4\)"):
        learned(draw(4, 4), draw(4, 4))
    with pytest.raises(ValueError, match="max_scale=1 is below 1 / temperature = 5"):
        FLO(max_scale=1)


# --- recipes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_recipes_are_these_losses(modality: str) -> None:
    views = two_views(modality)
    method = network("flat_nce", modality, **SMALL).eval()
    a, b = (projected(method, view) for view in views)
    assert method.loss(views).loss.item() == pytest.approx(flat_nce(a, b, 0.1).item(), rel=1e-10)
    method = network("flo", modality, **SMALL, loss={"flo": {"dim": 4}}).eval()
    a, b = (projected(method, view) for view in views)
    unit = [torch.nn.functional.normalize(z, dim=1) for z in (a, b)]
    u = method.contrast.critic(torch.cat(unit, dim=1))[:, 0]
    assert method.loss(views).loss.item() == pytest.approx(flo(a, b, u, 0.2).item(), rel=1e-6)


def test_with_the_logarithm_it_is_another_loss() -> None:
    views = two_views()
    flat = loss_and_gradient(network("flat_nce", **SMALL), views)
    assert differ(flat, loss_and_gradient(network("flat_nce", **SMALL, loss={"info_nce": {"temperature": 0.1}}), views))
    assert differ(flat, loss_and_gradient(network("flo", **SMALL, loss={"flo": {"dim": 4}}), views))
    a, b = (projected(network("flat_nce", **SMALL), view) for view in views)
    assert flat_nce(a, b).item() != pytest.approx(decoupled(a, b).item(), rel=1e-3)


def after_training(name: str, loss: object) -> tuple[Any, list[tuple[Tensor, Tensor]]]:
    """Eight series that are easily told apart, all in one batch."""
    sizes = {"projector": {"hidden_dim": 8, "out_dim": 4, "batch_norm": False}, "trainer": {"lr": 0.01}}
    model = fitted(name, "time_series", 300, 8, **sizes, augmentation={"jitter": {"sigma": 0.05}}, loss=loss)
    method, batch = model.method_.eval(), model.to_batch(data("time_series", 8))
    pairs = [method.views(batch, gen(seed), 1.0) for seed in range(10)]
    return method, [(projected(method, a), projected(method, b)) for a, b in pairs]


@pytest.mark.slow
def test_a_training_without_the_logarithm_goes_on_where_pairs_are_found() -> None:
    means = []
    for loss in ({"flat_nce": {"temperature": 0.5}}, {"info_nce": {"temperature": 0.5}}):
        _, pairs = after_training("flat_nce", loss)
        means.append(sum(flat_nce(a, b, 0.5).item() for a, b in pairs) / len(pairs))
    assert means[0] < means[1], means


@pytest.mark.slow
def test_a_trained_critic_comes_near_the_bound_that_it_cannot_cross() -> None:
    method, pairs = after_training("flo", {"flo": {"dim": 4, "temperature": 0.5, "learnable": False}})
    bound = sum(flat_nce(a, b, 0.5).item() for a, b in pairs)
    learned = sum(method.contrast(a, b).item() for a, b in pairs)
    without = sum(flo(a, b, torch.zeros(len(a)), 0.5).item() for a, b in pairs)
    assert bound < learned < bound + 0.2 * (without - bound), (bound, learned, without)
