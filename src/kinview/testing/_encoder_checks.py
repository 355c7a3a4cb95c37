"""Checks of encoders."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from kinview.data.gaps import valid_lengths
from kinview.data.modality import SERIES
from kinview.encoders import encoders
from kinview.registry import to_config
from kinview.testing._encoder_case import STEPS, Case, near
from kinview.testing._suite import copied, in_config_and_back, under_global_seeds
from kinview.training.randomness import forked_generators

_MORE = 7  # steps of padding


# --- features --------------------------------------------------------------------------------------------------------


def shape(case: Case) -> None:
    """``(n, D)`` or ``(n, D, T')`` with ``D = repr_dim``, in the type of the weights."""
    x = case.samples()
    z = case.encoded(x)
    ranks = (2, 3) if case.modality == SERIES else (2,)
    assert z.ndim in ranks and z.shape[:2] == (len(x), case.network.repr_dim), (
        f"{tuple(x.shape)} must become ({len(x)}, {case.network.repr_dim}{', ...' if 3 in ranks else ''}); "
        f"got {tuple(z.shape)}"
    )
    assert z.dtype == torch.float32, f"float32 becomes {z.dtype}"
    precise = case.encoded(x.double(), copied(case.network).double())
    assert precise.dtype == torch.float64, f"with weights in float64, float64 becomes {precise.dtype}"
    assert torch.allclose(precise.float(), z, rtol=1e-3, atol=1e-3, equal_nan=True), (
        "float64 and float32 give other features"
    )


def finite(case: Case) -> None:
    """Nothing is NaN or infinite, and a series without an observation is zero."""
    x = case.samples()
    for clock, times in case.clocks(x):
        z = case.encoded(x, times=times)
        bad = [i for i in range(len(x)) if not bool(z[i].isfinite().all())]
        assert not bad, f"features of samples with gaps are not finite{clock}: rows {bad}"
        if case.modality == SERIES and times is None and getattr(case.network, "padding_independent", True):
            assert not bool(z[3].any()), "a series without any observation must become zero"
    nothing = case.encoded(torch.full_like(x, torch.nan))
    assert bool(nothing.isfinite().all()), "where nothing at all is observed, features are not finite"


def row_independent(case: Case) -> None:
    """A row has the same features alone, beside others and in another order, if and only if that is declared."""
    x = case.samples()
    declared = getattr(case.network, "row_independent", True)
    order = torch.arange(len(x)).flip(0)
    for clock, times in case.clocks(x):
        together = case.encoded(x, times=times)
        shuffled = case.encoded(x[order], times=None if times is None else times[order])
        alone = [case.encoded(x[[i]], times=None if times is None else times[[i]]) for i in range(len(x))]
        same = near(shuffled, together[order]) and all(near(z[0], together[i]) for i, z in enumerate(alone))
        if not declared:
            if not same:
                return
            continue
        assert same, f"features of a row depend on the other rows{clock}; a paper's form says row_independent = False"
    assert declared, "row_independent = False is declared, and features do not depend on the other rows"


def padding_independent(case: Case) -> None:
    """Features do not change with padding, and what lies beyond a series' end is zero, if and only if declared."""
    x = case.samples()
    declared = getattr(case.network, "padding_independent", True)
    found = None
    for clock, times in case.clocks(x):
        found = found or _padding_seen(case, x, times, clock)
    if declared:
        assert found is None, f"{found}; a paper's form says padding_independent = False"
    else:
        assert found is not None, "padding_independent = False is declared, and features do not depend on padding"


def _padding_seen(case: Case, x: Tensor, times: Tensor | None, clock: str) -> str | None:
    """What shows how far series were padded; None where nothing does."""
    z = case.encoded(x, times=times)
    longer = None if times is None else torch.nn.functional.pad(times, (0, _MORE), value=torch.nan)
    padded = case.encoded(torch.nn.functional.pad(x, (0, _MORE), value=torch.nan), times=longer)
    if not near(padded[..., : z.shape[2]] if z.ndim == 3 else padded, z):
        return f"padded further, a series has other features{clock}"
    if z.ndim == 3 and bool(padded[..., z.shape[2] :].any()):
        return f"features of the padding are not zero{clock}: blank what lies beyond each row's own length"
    if not getattr(case.network, "row_independent", True):
        return None
    for i, steps in enumerate(valid_lengths(x, times).tolist()):
        if steps:
            cut = case.encoded(x[[i], :, :steps], times=None if times is None else times[[i], :steps])[0]
            if not near(z[i][..., : cut.shape[-1]] if z.ndim == 3 else z[i], cut):
                return f"cut to its own {steps} steps, row {i} has other features{clock}"
    return None


def feature_lengths(case: Case) -> None:
    """A series of l steps has ``feature_lengths(l)`` features, as many as without padding, and zeros after them."""
    x = case.samples()
    if case.encoded(x).ndim == 2:
        return
    formula = hasattr(case.network, "feature_lengths")
    for clock, times in case.clocks(x):
        z, lengths = case.encoded(x, times=times), valid_lengths(x, times)
        assert formula or z.shape[2] == x.shape[2], (
            f"{x.shape[2]} steps become {z.shape[2]} features: write feature_lengths(lengths), which says how many "
            "belong to a series of so many steps"
        )
        own = case.network.feature_lengths(lengths) if formula else lengths
        assert own.shape == lengths.shape, "feature_lengths must return one number a row"
        for i, (steps, count) in enumerate(zip(lengths.tolist(), own.tolist(), strict=True)):
            assert steps or not count, f"feature_lengths says that a series without a step has {count} features"
            made = case.encoded(x[[i], :, :steps]).shape[2] if steps else count
            assert made == count, (
                f"a series of {steps} steps has {made} features, and feature_lengths says that there are {count}"
            )
            if getattr(case.network, "padding_independent", True):
                assert not bool(z[i, :, count:].any()), f"row {i} has features{clock} after its own {count}"


def hide(case: Case) -> None:
    """Hidden steps are not seen, hiding some changes features, and hiding none is as no ``hide``."""
    x = case.samples()[-1:].repeat(2, 1, 1)  # complete
    hidden = torch.zeros(2, STEPS, dtype=torch.bool)
    assert near(case.encoded(x, hide=hidden), case.encoded(x)), "where no step is hidden, features must be the same"
    hidden[0, STEPS // 2 : STEPS // 2 + 3] = True
    other = x.masked_fill(hidden[:, None, :], 9.0)
    z = case.encoded(x, hide=hidden)
    assert near(z, case.encoded(other, hide=hidden)), "values of hidden steps change the features"
    assert not near(z[:1], case.encoded(x)[:1]), "hidden steps leave the features as they are: hide is not read"


def any_length(case: Case) -> None:
    """One step, two, and many can be encoded, of one row."""
    for steps in (1, 2, 10 * STEPS):
        x = case.samples()[-1:].repeat(1, 1, 10)[:, :, :steps]
        z = case.encoded(x)
        assert z.shape[:2] == (1, case.network.repr_dim), f"a series of {steps} steps has the features {tuple(z.shape)}"
        assert bool(z.isfinite().all()), f"features of a series of {steps} steps are not finite"


# --- learning --------------------------------------------------------------------------------------------------------


def gradients(case: Case) -> None:
    """In training every parameter has a finite gradient, under gaps too."""
    network, x = copied(case.network).train(), case.samples()
    with forked_generators(0, torch.device("cpu")), torch.enable_grad():
        z = network(x)
        weights = torch.linspace(0.5, 1.5, z.numel()).reshape(z.shape)  # a normalised sum of squares would not move
        (weights * z + weights * z.square()).sum().backward()
    for name, value in network.named_parameters():
        if not value.requires_grad:
            continue
        assert value.grad is not None, f"no gradient reaches {name}"
        assert bool(value.grad.isfinite().all()), f"the gradient of {name} is not finite under gaps"


def state_dict(case: Case) -> None:
    """The network is described without memory, and other initial weights give way to stored ones, bit by bit."""
    state = case.network.state_dict()
    with torch.device("meta"):
        described = encoders.build(to_config(case.given)).state_dict()
    shapes = {name: tuple(value.shape) for name, value in described.items()}
    assert shapes == {name: tuple(value.shape) for name, value in state.items()}, (
        "built on the meta device, the tensors have other names or shapes: they must follow from the config"
    )
    assert all(value.is_meta for value in described.values()), (
        "built under torch.device('meta'), a tensor takes memory: name no device where it is made"
    )
    twin = case.draw(seed=1)
    twin.load_state_dict(state)
    x = case.samples()
    assert torch.equal(case.encoded(x, twin), case.encoded(x)), (
        "with the tensors of its state_dict another one of the same config has other features: what they rest on "
        "belongs in parameters or buffers"
    )


# --- conduct ---------------------------------------------------------------------------------------------------------


def inputs_unchanged(case: Case) -> None:
    """Nothing is written into the samples, their times and what is hidden."""
    x = case.samples()
    for _, times in case.clocks(x):
        hide = torch.arange(STEPS).expand(len(x), STEPS) % 5 == 0 if case.modality == SERIES else None
        given = {"x": x, "times": times, "hide": hide}
        before = {name: None if value is None else value.clone() for name, value in given.items()}
        case.encoded(x, times=times, hide=hide)
        for name, value in given.items():
            assert _same(value, before[name]), f"{name} was modified"


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one.isnan(), other.isnan()) and torch.equal(one.nan_to_num(), other.nan_to_num())


def no_global_randomness(case: Case) -> None:
    """In eval mode nothing is drawn, and features are the same each time."""
    x = case.samples()
    one, _, other = under_global_seeds(lambda: case.encoded(x))
    one, other, again = (z.nan_to_num() for z in (one, other, case.encoded(x)))
    assert torch.equal(one, other), "in eval mode features depend on a global random state"
    assert torch.equal(one, again), "in eval mode the same samples have other features the second time"


def copies(case: Case) -> None:
    """A copy, as worker processes make it, gives the same features."""
    x, network = case.samples(), case.draw()
    same = torch.equal(case.encoded(x, copied(network)).nan_to_num(), case.encoded(x, network).nan_to_num())
    assert same, "a copy gives other features"


def parameters(case: Case) -> None:
    """A size that is no whole number, or below its least, is refused by name."""
    assert isinstance(getattr(case.given, "config", None), dict), "an encoder keeps its parameters in config, a dict"
    assert isinstance(getattr(case.given, "repr_dim", None), int), "an encoder says its size D in repr_dim"
    taken = inspect.signature(type(case.given)).parameters
    given = {name: value for name, value in case.given.config.items() if name in taken}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        for bad in (-1, value + 0.5, str(value)):
            changed: dict[str, Any] = {**given, name: bad}
            try:
                type(case.given)(**changed)
            except ValueError as error:
                assert name in str(error), f"{name}={bad!r}: the error must name {name}; it says {error}"
                continue
            except TypeError as error:
                raise AssertionError(f"{name}={bad!r}: raise a ValueError; got TypeError: {error}") from error
            raise AssertionError(
                f"{name}={bad!r} must be refused: give it in sizes to super().__init__, or check it with check_integer"
            )


def config_round_trip(case: Case) -> None:
    """The config, through YAML, builds an encoder with the same parameters and sizes."""
    with forked_generators(0, torch.device("cpu")):
        again = in_config_and_back(encoders, case.given)
    assert again.repr_dim == case.given.repr_dim, f"repr_dim {case.given.repr_dim} becomes {again.repr_dim}"
    x = case.samples()
    again.load_state_dict(case.network.state_dict())
    assert torch.equal(case.encoded(x, again.eval()), case.encoded(x)), "built from its config it gives other features"
