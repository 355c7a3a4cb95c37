"""SimGRACE, adversarial views and curricula: by transcription, without their part, and what crafting leaves behind."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from frameworks import MODALITIES, data, differ, fitted, loss_and_gradient, network, projected, two_views
from helpers import gen
from kinview.data import Batch
from kinview.losses import nt_xent
from kinview.methods import JointEmbedding
from kinview.modules import noisy_copy

SMALL: dict[str, Any] = {"projector": {"hidden_dim": 8, "out_dim": 4}}
SEED = torch.full((6,), 5)


# --- SimGRACE --------------------------------------------------------------------------------------------------------


def noisy_by_hand(encoder: Any, scale: float, seed: int) -> Any:
    other, generator = copy.deepcopy(encoder).requires_grad_(False), gen(seed)
    for name, weight in list(other.named_parameters()):
        if weight.numel() > 1:
            spread = math.sqrt(float(((weight - weight.mean()) ** 2).sum() / (weight.numel() - 1)))
            noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype) * spread
            other.get_parameter(name).data = weight + scale * noise
    return other


@pytest.mark.parametrize("modality", MODALITIES)
def test_simgrace_is_the_published_loss(modality: str) -> None:
    method, views = network("simgrace", modality, **SMALL).eval(), two_views(modality, seed=SEED)
    q = projected(method, views[0])
    k = method.projector(method._features(noisy_by_hand(method.encoder, 0.1, 5), views[1])).detach()
    total = 0.0
    for i in range(6):
        scores = [torch.cosine_similarity(q[i], k[j], dim=0).item() / 0.1 for j in range(6)]
        total -= math.log(math.exp(scores[i]) / sum(math.exp(s) for j, s in enumerate(scores) if j != i))
    assert method.loss(views).loss.item() == pytest.approx(total / 6 - math.log(5), rel=1e-8)


def test_without_noise_simgrace_is_another_loss() -> None:
    views = two_views(seed=SEED)
    noisy, plain = (network("simgrace", **SMALL, weight_noise=w) for w in (1.0, 0.0))
    assert differ(loss_and_gradient(noisy, views), loss_and_gradient(plain, views))
    q, k = (projected(plain.eval(), view) for view in views)
    assert plain.loss(views).loss.item() == pytest.approx(plain.contrast(q, k).item(), rel=1e-10)


def test_noise_is_drawn_with_the_views_and_no_gradient_flows_into_it() -> None:
    method, (view, _) = network("simgrace", **SMALL), two_views()
    one, again, other = (method.views(view, gen(seed), 0.0) for seed in (1, 1, 2))
    assert torch.equal(one[0].x, view.x) and torch.equal(one[1].x, view.x)  # the data are left as they are
    method.eval()
    assert method.loss(one).loss.item() == method.loss(again).loss.item() != method.loss(other).loss.item()
    assert not any(h.requires_grad for h in method.representations(one)[2:])
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1, bias=True))
    noisy = noisy_copy(layer, 0.5, gen())
    assert not torch.equal(noisy[0].weight, layer[0].weight) and not any(p.requires_grad for p in noisy.parameters())
    assert torch.equal(noisy[1].weight, layer[1].weight) and torch.equal(noisy[2].bias, layer[2].bias)


@pytest.mark.slow
def test_trained_with_noise_an_encoder_minds_noise_less() -> None:
    likeness = []
    for noise in (0.5, 0.0):
        training = {"trainer": {"lr": 0.01}, "weight_noise": noise}
        model = fitted("simgrace", "time_series", 300, 64, **SMALL, **training)
        method, batch = model.method_.eval(), model.to_batch(data("time_series", 64))
        clean = projected(method, batch)
        moved = [method.projector(method._features(noisy_copy(method.encoder, 0.5, gen(s)), batch)) for s in range(10)]
        likeness.append(torch.stack([method.contrast(clean, other).detach() for other in moved]).mean().item())
    assert likeness[0] < likeness[1], likeness


def test_targets_have_one_source() -> None:
    with pytest.raises(ValueError, match=r"weight_noise=0.1 gives the targets, and so does momentum=0.9: choose one"):
        JointEmbedding(weight_noise=0.1, momentum=0.9).fit(data("time_series"))


# --- adversarial views -----------------------------------------------------------------------------------------------

STEP = {"adversarial": {"epsilon": 0.1, "random_start": False}}


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_third_view_is_a_step_up_the_loss_and_its_loss_is_added(modality: str) -> None:
    parameters = {**SMALL, "adversary": STEP, "adversary_weight": 0.7}
    method, plain = network("adversarial_views", modality, **parameters).eval(), two_views(modality)[0]
    first, second, crafted = method.views(plain, gen(3), 0.0)
    at = second.x.clone().requires_grad_()
    value = nt_xent(projected(method, first), method.projector(method.embed(second.replace(x=at))), 0.2)
    (slope,) = torch.autograd.grad(value, at)
    unit = second.x.std(dim=2, correction=0, keepdim=True) if modality == "time_series" else 1.0
    torch.testing.assert_close(crafted.x, second.x + 0.1 * unit * slope.sign())
    z = [projected(method, view) for view in (first, second, crafted)]
    expected = nt_xent(z[0], z[1], 0.2) + 0.7 * nt_xent(z[0], z[2], 0.2)
    assert method.loss([first, second, crafted]).loss.item() == pytest.approx(expected.item(), rel=1e-10)
    assert nt_xent(z[0], z[2], 0.2) > nt_xent(z[0], z[1], 0.2)


def test_crafting_leaves_neither_gradients_nor_statistics_behind() -> None:
    encoder = {"resnet1d": {"widths": [4], "kernel_sizes": [3]}}
    method, plain = network("adversarial_views", **SMALL, encoder=encoder).train(), two_views()[0]
    for weight in method.parameters():
        weight.grad = torch.ones_like(weight)
    before = copy.deepcopy(method.state_dict())
    views = method.views(plain, gen(0), 0.0)
    assert all(bool((weight.grad == 1).all()) for weight in method.parameters())
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert method.training and all(part.training for part in method.projector) and not views[2].x.requires_grad
    method.zero_grad()
    method.loss(views).loss.backward()
    left = [weight.grad.clone() for weight in method.encoder.parameters()]
    method.load_state_dict(before)
    method.zero_grad()
    method.loss([view.replace(x=view.x.clone()) for view in views]).loss.backward()  # the same views, not crafted here
    for found, expected in zip(method.encoder.parameters(), left, strict=True):
        torch.testing.assert_close(found.grad, expected)


def test_without_its_adversary_it_is_another_loss() -> None:
    plain, found = two_views()[0], []
    for epsilon in (0.5, 0.0):
        adversary = {"adversarial": {"epsilon": epsilon}}
        method = network("adversarial_views", **SMALL, adversary=adversary)
        found.append(loss_and_gradient(method, method.views(plain, gen(3), 0.0)))
    assert differ(*found)
    simclr = network("joint_embedding", **SMALL, loss={"nt_xent": {"temperature": 0.2}})
    value, slope = loss_and_gradient(simclr, simclr.views(plain, gen(3), 0.0))
    assert found[1][0] == pytest.approx(2 * value, rel=1e-10)
    torch.testing.assert_close(found[1][1], 2 * slope)


def test_missing_cells_and_categories_stay() -> None:
    model, table = fitted("adversarial_views", "tabular", 1), data("tabular")
    seen: list[list[Batch]] = []
    table.loc[::3, "b"] = None
    views = type(model.method_).views

    def watched(self: Any, *arguments: Any) -> list[Batch]:
        seen.append(views(self, *arguments))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.method_), "views", watched)
        fitted_again = type(model)(**model.get_params(deep=False)).fit(table)
    _, second, crafted = seen[0]
    numbers = [column for column, size in enumerate(fitted_again.method_.sizes.cardinalities) if not size]
    moved = (second.x != crafted.x) & ~second.x.isnan()
    assert torch.equal(second.x.isnan(), crafted.x.isnan()) and bool(second.x.isnan().any())
    assert set(moved.nonzero()[:, 1].tolist()) == set(numbers)


def test_what_takes_no_loss_is_no_adversary() -> None:
    with pytest.raises(ValueError, match=r"adversary must be an augmentation that raises a loss, such as .*Jitter"):
        JointEmbedding(adversary="jitter").fit(data("time_series"))


@pytest.mark.slow
def test_trained_against_an_adversary_it_withstands_it_better() -> None:
    under_attack = []
    for weight in (1.0, 0.0):
        parameters = {"adversary": {"adversarial": {"epsilon": 0.3}}, "adversary_weight": weight}
        training = {"trainer": {"lr": 0.01}, "augmentation": {"jitter": {"sigma": 0.1}}}
        model = fitted("adversarial_views", "time_series", 300, 64, **SMALL, **training, **parameters)
        method, batch = model.method_.eval(), model.to_batch(data("time_series", 64))
        attack = network_adversary(method)
        value = 0.0
        for seed in range(5):
            first, _, crafted = attack.views(batch, gen(seed), 1.0)
            value += float(method.contrast(projected(method, first), projected(method, crafted)))
        under_attack.append(value / 5)
    assert under_attack[0] < under_attack[1], under_attack


def network_adversary(method: Any) -> Any:
    """Fitted methods have forgotten what their views learned; give the adversary its loss again."""
    from kinview.methods.joint_embedding.crafted import adversary_of

    method.adversary = adversary_of({"adversarial": {"epsilon": 0.3}}, "time_series")
    return method


# --- curriculum ------------------------------------------------------------------------------------------------------


def test_the_strength_of_the_views_follows_the_training() -> None:
    method = network("curriculum_contrastive", **SMALL)
    plain = Batch.of(torch.zeros(200, 1, 12, dtype=torch.float64))
    for progress in (0.0, 0.25, 1.0):
        strength = 0.1 + 0.9 * progress
        view = method.views(plain, gen(1), progress)[0].x
        assert view[view != 0].std().item() == pytest.approx(0.8 * strength, rel=0.05)
        cut = (view == 0).sum(dim=2).double().mean().item()
        assert cut == pytest.approx(0.25 * strength * 12, abs=1.0)
    table = network("curriculum_contrastive", "tabular", **SMALL)
    rates = [table.augmentation.at(progress).corruption_rate for progress in (0.0, 0.5, 1.0)]
    assert rates == pytest.approx([0.03, 0.165, 0.3])


def test_without_its_growth_it_is_another_loss() -> None:
    plain, found = two_views()[0], []
    parts = [{"jitter": {"sigma": 0.8}}, {"cutout": {"length": 0.25}}]
    for start in (0.1, 1.0):
        view = {"curriculum": {"augmentation": parts, "start": start}}
        method = network("curriculum_contrastive", **SMALL, augmentation=view)
        found.append([loss_and_gradient(method, method.views(plain, gen(3), progress)) for progress in (0.0, 1.0)])
    assert differ(found[0][0], found[1][0])
    assert found[0][1][0] == pytest.approx(found[1][1][0], rel=1e-10)  # at the end both are at full strength


@pytest.mark.slow
@pytest.mark.parametrize("modality", MODALITIES)
def test_a_curriculum_begins_with_what_is_easy(modality: str) -> None:
    easy: list[Tensor] = []
    for start in (0.1, 1.0):
        default = {
            "time_series": [{"jitter": {"sigma": 0.8}}, {"cutout": {"length": 0.25}}],
            "tabular": [{"column_corruption": {"corruption_rate": 0.6}}],
        }[modality]
        view = {"curriculum": {"augmentation": default, "start": start}}
        model = fitted("curriculum_contrastive", modality, 300, 64, **SMALL, augmentation=view)
        easy.append(torch.tensor([record["loss"] for record in model.training_.history]))
    assert easy[0][:100].mean() < easy[1][:100].mean() - 0.05
