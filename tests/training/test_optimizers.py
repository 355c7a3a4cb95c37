"""torch's optimisers without the compiler: the same to the bit."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from helpers import draw
from kinview.training.optimizers import _below_the_compiler, uncompiled

KINDS: list[tuple[type[torch.optim.Optimizer], dict[str, Any]]] = [
    (torch.optim.SGD, {"momentum": 0.9}),
    (torch.optim.Adam, {"fused": True}),
    (torch.optim.AdamW, {"fused": True}),
]


def trained(kind: Callable[..., torch.optim.Optimizer], values: dict[str, Any], stop: int) -> list[torch.Tensor]:
    """Weights and slots after six steps, with the optimiser stored and restored before step ``stop``."""
    weights = [nn.Parameter(draw(3, 4, seed=1)), nn.Parameter(draw(4, seed=2))]
    groups = [{"params": weights[:1]}, {"params": weights[1:], "weight_decay": 0.0}]
    optimizer = kind(groups, lr=0.01, weight_decay=0.1, **values)
    for step in range(6):
        if step == stop:
            stored = optimizer.state_dict()
            optimizer = kind(groups, lr=0.01, weight_decay=0.1, **values)
            optimizer.load_state_dict(stored)
        optimizer.zero_grad()
        (draw(5, 3, seed=10 + step) @ weights[0] + weights[1]).square().mean().backward()
        optimizer.step()
    slots = optimizer.state_dict()["state"]
    return [*weights, *(torch.as_tensor(slots[i][key]) for i in sorted(slots) for key in sorted(slots[i]))]


@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_steps_and_states_are_those_of_torch(kind: type[torch.optim.Optimizer], values: dict[str, Any]) -> None:
    expected, found = trained(kind, values, stop=-1), trained(uncompiled(kind), values, stop=3)
    assert len(expected) == len(found) > 2
    assert all(torch.equal(one, other) for one, other in zip(expected, found))


def test_hooks_run_once_a_step_also_beside_an_optimiser_of_torch() -> None:
    weight = nn.Parameter(torch.ones(2))
    torch.optim.Adam([weight])  # its class is given torch's hooks now
    for make in (uncompiled, uncompiled.__wrapped__):  # the class made before, and one that is made after
        optimizer = make(torch.optim.Adam)([weight], lr=0.1)
        calls: list[str] = []
        optimizer.register_step_pre_hook(lambda *_, seen=calls: seen.append("before"))
        optimizer.register_step_post_hook(lambda *_, seen=calls: seen.append("after"))
        weight.grad = torch.ones(2)
        optimizer.step()
        assert calls == ["before", "after"]


def test_other_wrappers_stay() -> None:
    def plain() -> None: ...

    @functools.wraps(plain)
    def wrapper() -> None: ...

    assert _below_the_compiler(wrapper) is wrapper
    assert _below_the_compiler(torch.optim.Optimizer.state_dict) is not torch.optim.Optimizer.state_dict
