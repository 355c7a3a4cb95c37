from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from helpers import NAN, draw, rotation
from kinview.losses import Hierarchical, InfoNCE, hierarchical, info_nce, instance_contrastive, temporal_contrastive

# --- the formulas, transcribed term by term --------------------------------------------------------------------------


def slow_info_nce(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    total = a.new_zeros(())
    for i in range(len(a)):
        cosines = [(a[i] @ b[k]) / (a[i].norm() * b[k].norm()) for k in range(len(b))]
        terms = [torch.exp(cosine / temperature) for cosine in cosines]
        total = total - torch.log(terms[i] / sum(terms))
    return total / len(a)


def slow_contrast(one: Tensor, other: Tensor) -> Tensor:
    """Candidates (m, d) in two views: each has to find its twin among the 2m − 1 other candidates."""
    m = len(one)
    both = [*one, *other]
    total = one.new_zeros(())
    for i in range(2 * m):
        others = [torch.exp(both[i] @ both[k]) for k in range(2 * m) if k != i]
        total = total - torch.log(torch.exp(both[i] @ both[(i + m) % (2 * m)]) / sum(others))
    return total / (2 * m)


def slow_instance(z1: Tensor, z2: Tensor) -> Tensor:
    if len(z1) == 1:
        return z1.new_zeros(())
    steps = z1.shape[2]
    return sum((slow_contrast(z1[:, :, s], z2[:, :, s]) for s in range(steps)), z1.new_zeros(())) / steps


def slow_temporal(z1: Tensor, z2: Tensor) -> Tensor:
    if z1.shape[2] == 1:
        return z1.new_zeros(())
    return sum((slow_contrast(z1[i].T, z2[i].T) for i in range(len(z1))), z1.new_zeros(())) / len(z1)


def slow_halve(z: Tensor) -> Tensor:
    pairs = [torch.maximum(z[:, :, 2 * k], z[:, :, 2 * k + 1]) for k in range(z.shape[2] // 2)]
    return torch.stack(pairs, dim=2)


def slow_hierarchical(z1: Tensor, z2: Tensor, alpha: float, temporal_unit: int) -> Tensor:
    terms = []
    while z1.shape[2] > 1:
        term = alpha * slow_instance(z1, z2)
        if len(terms) >= temporal_unit:
            term = term + (1 - alpha) * slow_temporal(z1, z2)
        terms.append(term)
        z1, z2 = slow_halve(z1), slow_halve(z2)
    terms.append(alpha * slow_instance(z1, z2))
    return torch.stack(terms).sum() / len(terms)


def assert_same_value_and_gradient(
    fast: Callable[[Tensor, Tensor], Tensor], slow: Callable[[Tensor, Tensor], Tensor], one: Tensor, other: Tensor
) -> None:
    results = []
    for function in (fast, slow):
        views = [one.clone().requires_grad_(), other.clone().requires_grad_()]
        value = function(*views)
        assert value.shape == ()
        gradients = torch.autograd.grad(value, views) if value.requires_grad else (one * 0, other * 0)
        results.append((value.detach(), *gradients))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 6), d=st.integers(1, 4), temperature=st.floats(0.05, 10.0), seed=st.integers(0, 99))
def test_info_nce_equals_its_formula(n: int, d: int, temperature: float, seed: int) -> None:
    one, other = draw(n, d, seed=seed), draw(n, d, seed=seed + 1)
    assert_same_value_and_gradient(
        lambda a, b: info_nce(a, b, temperature), lambda a, b: slow_info_nce(a, b, temperature), one, other
    )


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 4), steps=st.integers(1, 5), seed=st.integers(0, 99))
def test_instance_and_temporal_contrast_equal_their_formulas(n: int, steps: int, seed: int) -> None:
    one, other = draw(n, 3, steps, seed=seed), draw(n, 3, steps, seed=seed + 1)
    assert_same_value_and_gradient(instance_contrastive, slow_instance, one, other)
    assert_same_value_and_gradient(temporal_contrastive, slow_temporal, one, other)


@settings(deadline=None, max_examples=20)
@given(
    n=st.integers(1, 3),
    steps=st.integers(1, 9),
    alpha=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    temporal_unit=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_hierarchical_equals_its_formula(n: int, steps: int, alpha: float, temporal_unit: int, seed: int) -> None:
    one, other = draw(n, 2, steps, seed=seed), draw(n, 2, steps, seed=seed + 1)
    assert_same_value_and_gradient(
        lambda a, b: hierarchical(a, b, alpha, temporal_unit),
        lambda a, b: slow_hierarchical(a, b, alpha, temporal_unit),
        one,
        other,
    )


def test_gradients_pass_gradcheck() -> None:
    a, b = draw(4, 3).requires_grad_(), draw(4, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: info_nce(x, y, 0.5), (a, b))
    z1, z2 = draw(3, 2, 5).requires_grad_(), draw(3, 2, 5, seed=1).requires_grad_()
    for loss in (instance_contrastive, temporal_contrastive, hierarchical):
        assert torch.autograd.gradcheck(loss, (z1, z2))


# --- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 128])
def test_collapsed_embeddings_give_the_value_at_chance(n: int) -> None:
    collapsed = torch.full((n, 4), 2.5)
    for temperature in (0.01, 1.0, 10.0):
        assert info_nce(collapsed, collapsed, temperature).item() == pytest.approx(math.log(n), abs=1e-5)
    series = torch.full((n, 4, 6), 0.5)
    at_chance = math.log(2 * n - 1)
    assert instance_contrastive(series, series).item() == pytest.approx(at_chance, abs=1e-5)
    assert temporal_contrastive(series, series).item() == pytest.approx(math.log(2 * 6 - 1), abs=1e-5)
    # levels of 6, 3 and 1 steps; the last one has the instance term alone
    expected = (3 * 0.5 * at_chance + 0.5 * math.log(11) + 0.5 * math.log(5)) / 3
    assert hierarchical(series, series).item() == pytest.approx(expected, abs=1e-5)


def test_zero_embeddings_are_at_chance_with_finite_gradients() -> None:
    a = torch.zeros(5, 3, requires_grad=True)
    loss = info_nce(a, torch.zeros(5, 3))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(5), abs=1e-6)
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


def test_orthogonal_embeddings_have_a_closed_form() -> None:
    eye = torch.eye(6)
    for temperature in (0.1, 1.0):
        expected = math.log(1 + 5 * math.exp(-1 / temperature))
        assert info_nce(eye, eye, temperature).item() == pytest.approx(expected, abs=1e-5)


def test_one_row_has_no_alternative() -> None:
    assert info_nce(draw(1, 3), draw(1, 3, seed=1)).item() == 0.0
    z1, z2 = draw(1, 3, 4), draw(1, 3, 4, seed=1)
    assert instance_contrastive(z1, z2).item() == 0.0
    assert temporal_contrastive(z1[:, :, :1], z2[:, :, :1]).item() == 0.0
    torch.testing.assert_close(hierarchical(z1, z2, alpha=1.0), torch.zeros((), dtype=torch.float64))


def test_a_small_temperature_stays_finite() -> None:
    a, b = draw(64, 8, dtype=torch.float32).requires_grad_(), draw(64, 8, seed=1, dtype=torch.float32)
    loss = info_nce(a, b, 0.01)
    loss.backward()
    assert a.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(a.grad).all()
    torch.testing.assert_close(
        loss.detach().double(), info_nce(a.detach().double(), b.double(), 0.01), rtol=1e-5, atol=0
    )


def test_large_dot_products_stay_finite() -> None:
    z1, z2 = 100 * draw(4, 3, 8, dtype=torch.float32), 100 * draw(4, 3, 8, seed=1, dtype=torch.float32)
    value = hierarchical(z1, z2)
    assert torch.isfinite(value)
    torch.testing.assert_close(value.double(), hierarchical(z1.double(), z2.double()), rtol=1e-5, atol=0)


# --- invariances -----------------------------------------------------------------------------------------------------


def test_info_nce_invariances() -> None:
    a, b = draw(6, 4), draw(6, 4, seed=1)
    value = info_nce(a, b, 0.5)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    scales = 0.1 + draw(6, 1, seed=2).abs()
    for same in (info_nce(a[order], b[order], 0.5), info_nce(a @ rotation(4), b @ rotation(4), 0.5)):
        torch.testing.assert_close(same, value)
    torch.testing.assert_close(info_nce(a * scales, b * 7.0, 0.5), value)  # cosines do not see lengths
    assert (info_nce(b, a, 0.5) - value).abs() > 1e-3  # one direction only
    assert (info_nce(a, b[order], 0.5) - value).abs() > 1e-3  # the pairing matters


@pytest.mark.parametrize("loss", [instance_contrastive, temporal_contrastive, hierarchical])
def test_series_losses_are_symmetric_and_blind_to_rows_and_rotation(loss: Any) -> None:
    z1, z2 = draw(4, 3, 6), draw(4, 3, 6, seed=1)
    value = loss(z1, z2)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(loss(z2, z1), value)
    torch.testing.assert_close(loss(z1[order], z2[order]), value)
    if loss is not hierarchical:  # its maxima over time see single channels
        turn = rotation(3)
        turned = [torch.einsum("ndt,de->net", z, turn) for z in (z1, z2)]
        torch.testing.assert_close(loss(*turned), value)
        back = [z.flip(2) for z in (z1, z2)]
        torch.testing.assert_close(loss(*back), value)


def test_alpha_weighs_the_two_terms() -> None:
    z1, z2 = draw(4, 3, 6), draw(4, 3, 6, seed=1)
    instance, temporal = hierarchical(z1, z2, alpha=1.0), hierarchical(z1, z2, alpha=0.0)
    torch.testing.assert_close(hierarchical(z1, z2, alpha=0.3), 0.3 * instance + 0.7 * temporal)
    torch.testing.assert_close(hierarchical(z1, z2, 0.5, temporal_unit=9), 0.5 * instance)


def test_inputs_are_not_modified() -> None:
    a, b = draw(4, 3), draw(4, 3, seed=1)
    z1, z2 = draw(4, 3, 6), draw(4, 3, 6, seed=1)
    before = [value.clone() for value in (a, b, z1, z2)]
    info_nce(a, b)
    hierarchical(z1, z2)
    assert all(torch.equal(one, other) for one, other in zip((a, b, z1, z2), before, strict=True))


# --- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    a, b = draw(32, 8).to(dtype), draw(32, 8, seed=1).to(dtype)
    z1, z2 = draw(4, 8, 6).to(dtype), draw(4, 8, 6, seed=1).to(dtype)
    exact = (info_nce(a.double(), b.double(), 0.05), hierarchical(z1.double(), z2.double()))
    for value, expected in zip((info_nce(a, b, 0.05), hierarchical(z1, z2)), exact, strict=True):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=0)


def test_autocast_does_not_lower_the_precision() -> None:
    a, b = draw(32, 8, dtype=torch.float32), draw(32, 8, seed=1, dtype=torch.float32)
    z1, z2 = draw(4, 8, 6, dtype=torch.float32), draw(4, 8, 6, seed=1, dtype=torch.float32)
    plain = info_nce(a, b, 0.05), hierarchical(z1, z2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = info_nce(a, b, 0.05), hierarchical(z1, z2)
    torch.testing.assert_close(low, plain)


# --- refusals and modules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_info_nce_names_the_argument_that_is_not_finite(value: float) -> None:
    good, bad = draw(3, 2), draw(3, 2)
    bad[1, 0] = value
    with pytest.raises(ValueError, match="a holds non-finite values; info_nce needs finite embeddings"):
        info_nce(bad, good)
    with pytest.raises(ValueError, match="b holds non-finite values"):
        info_nce(good, bad)


def test_info_nce_refuses_other_shapes_and_temperatures() -> None:
    with pytest.raises(ValueError, match=r"two \(n, d\) views of one shape; a is \(3, 2\), b is \(4, 2\)"):
        info_nce(draw(3, 2), draw(4, 2))
    with pytest.raises(ValueError, match=r"two \(n, d\) views of one shape; a is \(3, 2, 2\)"):
        info_nce(draw(3, 2, 2), draw(3, 2, 2))
    for temperature in (0.0, -1.0, NAN):
        with pytest.raises(ValueError, match="temperature must be positive; got"):
            info_nce(draw(3, 2), draw(3, 2), temperature)
        with pytest.raises(ValueError, match="temperature must be positive; got"):
            InfoNCE(temperature)


def test_hierarchical_refuses_other_shapes_and_parameters() -> None:
    with pytest.raises(ValueError, match=r"two \(n, d, t\) views of one shape; got \(3, 2, 4\), \(3, 2, 5\)"):
        hierarchical(draw(3, 2, 4), draw(3, 2, 5))
    with pytest.raises(ValueError, match=r"two \(n, d, t\) views"):
        hierarchical(draw(3, 2), draw(3, 2))
    with pytest.raises(ValueError, match=r"views of at least one step; got \(3, 2, 0\)"):
        hierarchical(draw(3, 2, 0), draw(3, 2, 0))
    for alpha in (-0.1, 1.1, NAN):
        with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\]; got"):
            hierarchical(draw(3, 2, 4), draw(3, 2, 4), alpha)
        with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\]; got"):
            Hierarchical(alpha)
    with pytest.raises(ValueError, match="temporal_unit must not be negative; got -1"):
        Hierarchical(temporal_unit=-1)


def test_modules_are_the_functions() -> None:
    a, b = draw(4, 3), draw(4, 3, seed=1)
    z1, z2 = draw(4, 3, 6), draw(4, 3, 6, seed=1)
    assert torch.equal(InfoNCE(0.3)(a, b), info_nce(a, b, 0.3))
    assert torch.equal(Hierarchical(0.2, 1)(z1, z2), hierarchical(z1, z2, 0.2, 1))
    assert not list(InfoNCE().parameters())
    assert not list(Hierarchical().parameters())
