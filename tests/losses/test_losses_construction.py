"""Building a part leaves the caller's random numbers alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kinview.augmentations import augmentations
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.probes import probes
from kinview.losses import losses
from kinview.losses.base import linear, own_generator
from kinview.losses.factor_cl import PairCritic
from kinview.methods import classifiers, methods
from kinview.registry import Registry

GIVEN: dict[str, dict[str, Any]] = {
    "factor_cl": {"dim_a": 3, "dim_b": 4, "hidden_dim": 5},
    "three_towers": {"dim": 3, "third_dim": 4},
    "compose": {"augmentations": ["jitter"]},
    "some_of": {"augmentations": ["jitter", "jitter"]},
    "one_of": {"augmentations": ["jitter"]},
    "views": {"augmentations": ["jitter", "jitter"]},
    "sometimes": {"augmentation": "jitter"},
    "curriculum": {"augmentation": "jitter"},
}
FAMILIES = (losses, augmentations, methods, classifiers, probes, corruptions)


@pytest.mark.parametrize(("registry", "name"), [(registry, name) for registry in FAMILIES for name in registry])
def test_building_a_part_draws_no_random_number(registry: Registry, name: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    given = {} if registry is methods else GIVEN.get(name, {})
    if registry is corruptions:
        given = {"rate": 0.2} | ({"where": "B"} if name == "subgroup" else {})
    part = registry.build({name: given} if given else name)
    assert torch.equal(torch.get_rng_state(), before)
    assert part is not None


@pytest.mark.parametrize("name", ["factor_cl", "swav", "three_towers"])
def test_initial_weights_of_a_loss_follow_the_seed(name: str) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        loss: torch.nn.Module = losses.build({name: GIVEN[name]} if name in GIVEN else name)
        return loss.state_dict()

    one, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(value, again[key]) for key, value in one.items())
    assert any(not torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_starts_as_torchs_does(bias: bool) -> None:
    torch.manual_seed(3)
    torch.randn(3)
    draw = own_generator()
    ours = [linear(4, 3, draw, bias=bias) for _ in range(2)]
    theirs = [torch.nn.Linear(4, 3, bias=bias) for _ in range(2)]
    for one, other in zip(ours, theirs, strict=True):
        for key, value in other.state_dict().items():
            assert torch.equal(one.state_dict()[key], value)
    critic = PairCritic(3, 4, hidden_dim=8, generator=torch.Generator().manual_seed(0))
    twin = PairCritic(3, 4, hidden_dim=8, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(value, twin.state_dict()[key]) for key, value in critic.state_dict().items())
