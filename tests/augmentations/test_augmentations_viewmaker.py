"""The viewmaker: its budget, its gradient, and that training makes its views harder."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from helpers import NAN, gen, seeded
from kinview.augmentations import Viewmaker, augmentations
from kinview.augmentations.viewmaker import PerturbationNetwork, reversed_gradient
from kinview.data import Batch, observed_std
from kinview.losses import losses


def network(part: Viewmaker) -> PerturbationNetwork:
    assert isinstance(part.network, PerturbationNetwork)
    return part.network


def series(n: int = 6, channels: int = 3, steps: int = 50, *, gaps: bool = False, seed: int = 0) -> Tensor:
    x = torch.randn(n, channels, steps, generator=gen(seed)) * torch.logspace(-1, 1, channels)[:, None] + 4
    if gaps:
        x[torch.rand(x.shape, generator=gen(seed + 1)) < 0.2] = NAN
        x[0, :, steps // 2 :] = NAN
        x[1, 0] = NAN
    return x


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
@pytest.mark.parametrize("gaps", [False, True])
def test_each_channel_uses_its_budget_up(epsilon: float, gaps: bool) -> None:
    x = series(gaps=gaps)
    view = Viewmaker(epsilon).fit(Batch.of(x), generator=gen())(x, gen(1))
    assert torch.equal(view.isnan(), x.isnan())
    size = (view - x).abs().nanmean(dim=2, keepdim=True).nan_to_num()
    assert torch.allclose(size, epsilon * observed_std(x), rtol=1e-4)
    assert bool(view.requires_grad)


@pytest.mark.parametrize(("channels", "steps"), [(1, 1), (1, 2), (2, 3), (5, 17), (12, 401)])
def test_one_network_takes_any_length_and_any_channels(channels: int, steps: int) -> None:
    part = Viewmaker().fit(Batch.of(series()), generator=gen())
    x = series(2, channels, steps)
    view = part(x, gen(1))
    assert view.shape == x.shape
    assert bool(torch.isfinite(view).all())


def test_what_is_beyond_the_end_is_never_read() -> None:
    torch.manual_seed(0)
    maker = network(Viewmaker().fit(Batch.of(series()), generator=gen()))
    x, noise = torch.randn(2, 3, 40), torch.rand(2, 3, 60)
    coarse = [torch.rand(2, 3, 15) for _ in range(3)]
    lengths = torch.tensor([40, 23])
    seen = (torch.arange(40) < lengths[:, None])[:, None].expand(2, 3, 40)
    short = maker(x * seen, seen, lengths, noise[:, :, :40], [part[:, :, :10] for part in coarse])
    padded = nn.functional.pad(x * seen, (0, 20))
    long = maker(padded, nn.functional.pad(seen, (0, 20)), lengths, noise, coarse)
    for row, length in enumerate(lengths.tolist()):
        assert torch.allclose(short[row, :, :length], long[row, :, :length], atol=1e-5)


def test_channels_share_weights_and_see_one_another() -> None:
    part = Viewmaker(0.3).fit(Batch.of(series()), generator=gen())
    x = series(4)
    moved = x.clone()
    moved[:, 2] = moved[:, 2].flip(1) * 2
    one, other = part(x, gen(1)) - x, part(moved, gen(1)) - moved
    assert not torch.allclose(one[:, 0], other[:, 0])  # by the mean of all channels
    order = torch.tensor([2, 0, 1])
    wide = network(part)
    seen, lengths = torch.ones(4, 3, 50, dtype=torch.bool), torch.full((4,), 50)
    noise, coarse = torch.rand(4, 3, 50, generator=gen()), [torch.rand(4, 3, 13, generator=gen()) for _ in range(3)]
    straight = wide(x, seen, lengths, noise, coarse)[:, order]
    permuted = wide(x[:, order], seen, lengths, noise[:, order], [part[:, order] for part in coarse])
    assert torch.allclose(straight, permuted, atol=1e-5)


def test_fit_draws_the_weights_from_the_given_generator_alone() -> None:
    batch, state = Batch.of(series()), torch.get_rng_state()
    one, two, three = (network(Viewmaker().fit(batch, generator=gen(seed))).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)
    part = Viewmaker()
    fitted = part.fit(batch, generator=gen())
    assert part.network is None
    assert fitted.forget().network is None
    assert fitted == part
    assert augmentations.to_config(fitted) == "viewmaker"
    with pytest.raises(ValueError, match=r"viewmaker has no network yet: call fit\(batch, generator=\.\.\.\)"):
        part(batch, gen())


def test_a_curriculum_scales_the_budget_and_shares_the_network() -> None:
    x = series()
    part = Viewmaker(0.4).fit(Batch.of(x), generator=gen())
    weak = part.strength_scaled(0.25)
    assert weak.network is part.network
    assert torch.allclose(weak(x, gen(1)) - x, 0.25 * (part(x, gen(1)) - x), atol=1e-5)
    assert part.strength_scaled(0.0)(x, gen(1)) is x
    curriculum = augmentations.build({"curriculum": {"augmentation": part}})
    assert curriculum.network is not None
    early, late = (float((curriculum.at(p)(x, gen(1)) - x).detach().abs().mean()) for p in (0.1, 0.9))
    assert 0 < early < late


def test_the_gradient_is_reversed_and_weighed() -> None:
    x = series(4)
    kept, turned = Viewmaker(0.3, weight=1.0), Viewmaker(0.3, weight=0.5)
    gradients = []
    for part in (kept, turned):
        part = part.fit(Batch.of(x), generator=gen())
        (part(x, gen(1)) * torch.randn(x.shape, generator=gen(2))).sum().backward()
        gradients.append(network(part).into.weight.grad)
    full, half = gradients
    assert full is not None
    assert half is not None
    assert torch.allclose(full * 0.5, half, rtol=1e-4, atol=1e-6)
    at = torch.tensor([1.0, 2.0], requires_grad=True)
    (reversed_gradient(at, 3.0) * torch.tensor([1.0, 10.0])).sum().backward()
    assert at.grad is not None
    assert at.grad.tolist() == [-3.0, -30.0]


def encoder() -> nn.Module:
    return seeded(lambda: nn.Sequential(
        nn.Conv1d(2, 16, 7, padding=3), nn.ReLU(), nn.Conv1d(16, 16, 7, padding=3), nn.ReLU(),
        nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(64, 16),
    ))  # fmt: skip


def waves(n: int, seed: int) -> Tensor:
    draw = gen(seed)
    clock = torch.arange(64.0) / 64
    speed, phase = 1 + 6 * torch.rand(n, 2, 1, generator=draw), torch.rand(n, 2, 1, generator=draw)
    return torch.sin(2 * torch.pi * (speed * clock + phase)) + 0.1 * torch.randn(n, 2, 64, generator=draw)


def trained(part: Viewmaker, *, learn: bool, steps: int = 45) -> tuple[float, nn.Module]:
    """Loss at the end of training an encoder with one optimiser and one loss, and that encoder."""
    model, criterion = encoder(), losses.build({"nt_xent": {"temperature": 0.2}})
    parameters = [*model.parameters(), *(network(part).parameters() if learn else ())]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    draws, seen = gen(7), []
    for step in range(steps):
        x = waves(32, seed=step)
        loss = criterion(model(part(x, draws)), model(part(x, draws)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    return sum(seen[-10:]) / 10, model


def test_training_makes_the_views_harder_than_a_frozen_network_does() -> None:
    part = Viewmaker(0.4, width=8).fit(Batch.of(waves(4, 0)), generator=gen())
    frozen = copy.deepcopy(part)
    before = {name: value.clone() for name, value in network(part).state_dict().items()}
    hard, model = trained(part, learn=True)
    easy, _ = trained(frozen, learn=False)
    assert hard > easy + 0.3  # 1.38 against 0.90
    assert all(torch.equal(value, before[name]) for name, value in network(frozen).state_dict().items())
    # against one and the same encoder too, on rows that neither has seen
    x, criterion = waves(64, seed=1000), losses.build({"nt_xent": {"temperature": 0.2}})
    with torch.no_grad():
        apart = [
            sum(float(criterion(model(maker(x, gen(s))), model(maker(x, gen(100 + s))))) for s in range(4)) / 4
            for maker in (part, frozen)
        ]
        assert apart[0] > apart[1]  # 1.91 against 1.59
        size = (part(x, gen(3)) - x).abs().mean(dim=2, keepdim=True)
    assert torch.allclose(size, 0.4 * observed_std(x), rtol=1e-4)  # the budget holds


def test_weight_zero_teaches_the_network_nothing() -> None:
    x = series(4)
    part = Viewmaker(0.3, weight=0.0).fit(Batch.of(x), generator=gen())
    part(x, gen(1)).square().sum().backward()
    assert all(p.grad is None or not bool(p.grad.any()) for p in network(part).parameters())
