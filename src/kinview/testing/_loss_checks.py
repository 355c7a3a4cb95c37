"""Checks of the values of a loss, and of its conduct."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from kinview.losses import losses
from kinview.registry import to_config
from kinview.testing._loss_case import ROWS, Case, call, close, config_of, doubled, finite, generator, refuses
from kinview.testing._suite import in_config_and_back, under_global_seeds


def scalar_with_gradient(case: Case) -> None:
    """One finite number, with a finite gradient that is not zero everywhere."""
    value, gradients = case.gradients(case.draw())
    assert value.shape == (), f"the value must be a scalar; its shape is {tuple(value.shape)}"
    assert bool(torch.isfinite(value)), f"the value is {value.item()}"
    assert gradients, "no view has a gradient"
    assert all(bool(torch.isfinite(g).all()) for g in gradients.values()), "a gradient is not finite"
    assert any(bool(g.abs().max() > 0) for g in gradients.values()), "every gradient is zero"


def row_order(case: Case) -> None:
    """The order of the rows does not count."""
    arguments = case.draw()
    order = torch.randperm(ROWS, generator=generator())
    close(
        case.value(case.map_rows(arguments, lambda v: v[order])),
        case.value(arguments),
        "the order of the rows must not count",
    )


def few_rows(case: Case) -> None:
    """Batches of one, two and three rows work, and a last batch that is smaller."""
    for n in (1, 2, 3):
        finite(case, case.draw(n), f"a batch of {n}")
    loss = case.fresh()
    call(loss, case.draw(ROWS))
    assert bool(torch.isfinite(call(loss, case.draw(ROWS - 1)))), "a last batch that is smaller than the others"


def duplicates(case: Case) -> None:
    """Equal, collapsed and zero rows, and equal views, leave value and gradient finite."""
    arguments = case.draw()
    twice = torch.arange(ROWS) // 2 * 2
    finite(case, case.map_rows(arguments, lambda v: v[twice]), "duplicated rows")
    finite(case, case.map_rows(arguments, lambda v: v[:1].expand_as(v).clone()), "collapsed rows")
    views = tuple(name for name in case.embeddings() if name in case.rows())
    finite(case, case.map_rows(arguments, torch.zeros_like, only=views), "rows of zeros")
    same = dict(arguments) | {name: arguments[views[0]] for name in views if _alike(arguments, name, views[0])}
    finite(case, same, "equal views")


def precision(case: Case) -> None:
    """float64 stays float64; half precision and autocast are computed in float32."""
    for dtype in (torch.float64, torch.float32):
        value = case.value(case.draw(dtype=dtype), dtype)
        assert value.dtype == dtype, f"{dtype} in must give {dtype} out; got {value.dtype}"
    exact, rounded = case.value(case.draw()), case.value(doubled(case.draw(dtype=torch.float32)))
    assert not torch.equal(exact, rounded), "float64 must be computed in float64; rounding the input changes nothing"
    close(value, exact, "float32 must agree with float64", rtol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = case.value(case.draw(dtype=torch.float32), torch.float32)
    close(low, value, "autocast must not lower the precision", rtol=1e-5)
    for dtype in (torch.bfloat16, torch.float16):
        arguments = case.draw(dtype=dtype)
        low, gradients = case.gradients(arguments, dtype)
        assert low.dtype == torch.float32, f"{dtype} must be computed in float32; the value is {low.dtype}"
        close(low, case.value(doubled(arguments)), f"{dtype} rows must be computed in float32", rtol=1e-4)
        assert all(bool(torch.isfinite(g).all()) for g in gradients.values()), f"{dtype}: a gradient is not finite"


def small_temperature(case: Case) -> None:
    """A temperature of 0.01, where the loss has one, leaves value and gradient finite."""
    if "temperature" not in inspect.signature(type(case.loss)).parameters:
        return
    name, parameters = config_of(case)
    cold = dataclasses.replace(case, loss=losses.build({name: parameters | {"temperature": 0.01}}))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        finite(cold, cold.draw(dtype=dtype), f"temperature 0.01 in {dtype}", dtype)


def non_finite(case: Case) -> None:
    """NaN and infinity are refused, and the message names the argument."""
    for name, value in case.draw().items():
        if not value.is_floating_point() or not value.ndim:
            continue
        for bad in (float("nan"), float("inf")):
            broken = value.clone()
            broken.view(-1)[-1] = bad
            refuses(case, case.draw() | {name: broken}, name, f"{bad} in {name}")


def shapes(case: Case) -> None:
    """Views with different numbers of rows are refused, and the message speaks of a view."""
    arguments = case.draw()
    views = [name for name in case.embeddings() if name in case.rows()]
    if len(views) > 1:
        for name in views:
            try:
                case.value(arguments | {name: arguments[name][:-1]})
            except ValueError as error:
                # either side may be the culprit
                assert any(re.search(rf"\b{view}\b", str(error)) for view in views), f"no view is named in {error}"
                continue
            raise AssertionError(f"a row less in {name} must be refused")


def _alike(arguments: Mapping[str, Tensor], one: str, other: str) -> bool:
    return arguments[one].shape == arguments[other].shape


def inputs_unchanged(case: Case) -> None:
    """Nothing is written into the arguments."""
    arguments = case.draw()
    before = {name: value.clone() for name, value in arguments.items()}
    case.gradients(arguments)
    case.value(arguments)
    for name, value in arguments.items():
        assert torch.equal(value, before[name]), f"{name} was modified"


def no_global_randomness(case: Case) -> None:
    """No global random generator is used, nor does one change the value."""
    arguments = case.draw()
    one, _, other = under_global_seeds(lambda: case.value(arguments))
    assert torch.equal(one, other), "the value depends on a global random state"


def config_round_trip(case: Case) -> None:
    """The config of the loss builds an equal one."""
    if not isinstance(getattr(case.loss, "config", None), Mapping):
        for name, parameter in inspect.signature(type(case.loss)).parameters.items():
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                assert hasattr(case.loss, name), (
                    f"the constructor's argument {name} is not kept under its name, where the config is read: "
                    f"write self.{name} = {name} in __init__"
                )
    again = in_config_and_back(losses, case.loss)
    again.load_state_dict(case.loss.state_dict())
    rebuilt = dataclasses.replace(case, loss=again)
    assert torch.equal(rebuilt.value(case.draw()), case.value(case.draw())), "the loss built from its config differs"


def state_in_buffers(case: Case) -> None:
    """What a call changes lies in buffers or parameters, and in the state_dict."""
    loss = case.fresh()
    before = {name: repr(value) for name, value in vars(loss).items() if name not in _TORCH_STATE}
    for seed in (0, 1):
        call(loss, case.draw(seed=seed))
    after = {name: value for name, value in vars(loss).items() if name not in _TORCH_STATE}
    assert {name: repr(value) for name, value in after.items()} == before, "a call changed a plain attribute"
    loose = [name for name, value in after.items() if isinstance(value, Tensor)]
    assert not loose, f"{', '.join(loose)}: tensors belong in buffers or parameters"
    again = losses.build(to_config(case.loss)).double()
    again.load_state_dict(loss.state_dict())
    resumed = dataclasses.replace(case, loss=again)
    assert torch.equal(resumed.value(case.draw(seed=2)), call(loss, case.draw(seed=2)).detach()), (
        "the state_dict does not hold all of the state"
    )


_TORCH_STATE = ("_parameters", "_buffers", "_modules")
