"""Losses along random directions: SIGReg, LeJEPA and VISReg by slow transcription, and their draws."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
import torch
from torch import Tensor

from helpers import draw
from kinview.losses import LeJEPA, VISReg, lejepa, sigreg, visreg
from kinview.losses._sketches import directions


def along(count: int, dim: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(dim, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / drawn.square().sum(dim=0).sqrt()


def slow_sigreg(z: Tensor, count: int, knots: int, largest: float, seed: int = 0) -> float:
    n, total = len(z), 0.0
    for a in along(count, z.shape[1], seed).T:
        values = []
        for k in range(-(knots - 1), knots):  # both signs, as the integral has them
            t = largest * k / (knots - 1)
            phi = sum(complex(math.cos(t * float(a @ row)), math.sin(t * float(a @ row))) for row in z) / n
            values.append(abs(phi - math.exp(-(t**2) / 2)) ** 2 * math.exp(-(t**2) / 2))
        step = largest / (knots - 1)
        total += step * (sum(values) - (values[0] + values[-1]) / 2)
    return n * total / count


def slow_agreement(a: Tensor, b: Tensor) -> float:
    centre = (a + b) / 2
    return float(((a - centre).square().mean() + (b - centre).square().mean()) / 2)


def slow_visreg(a: Tensor, b: Tensor, weight: float, count: int, weights: tuple[float, ...], eps: float) -> float:
    n, d = a.shape
    total = (1 - weight) * slow_agreement(a, b)
    for z in (a, b):
        mean = z.mean(dim=0)
        spread = torch.sqrt(((z - mean) ** 2).sum(dim=0) / n)
        centre = sum(float(m) ** 2 for m in mean) / d
        scale = sum((1 - float(s)) ** 2 for s in spread) / d
        shape = 0.0
        for direction in along(count, d).T:
            seen = sorted(float(((row - mean) / (spread + eps)) @ direction) for row in z)
            quantiles = [NormalDist().inv_cdf(i / (n + 1)) for i in range(1, n + 1)]
            shape += sum((p - q) ** 2 for p, q in zip(seen, quantiles, strict=True)) / n
        total += weight / 2 * (weights[0] * centre + weights[1] * scale + weights[2] * shape / count)
    return total


@pytest.mark.parametrize(("n", "d", "knots", "largest"), [(1, 3, 17, 3.0), (5, 2, 17, 3.0), (7, 4, 9, 5.0)])
def test_lejepa(n: int, d: int, knots: int, largest: float) -> None:
    a, b = draw(n, d, seed=1), draw(n, d, seed=2) * 2 + 1
    assert sigreg(b, 6, knots, largest).item() == pytest.approx(slow_sigreg(b, 6, knots, largest), rel=1e-10)
    both = [slow_sigreg(z, 6, knots, largest) for z in (a, b)]
    expected = 0.8 * slow_agreement(a, b) + 0.2 * sum(both) / 2
    assert lejepa(a, b, 0.2, 6, knots, largest).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(2, 3), (6, 2), (9, 5)])
def test_visreg(n: int, d: int) -> None:
    a, b = draw(n, d, seed=1), draw(n, d, seed=2) * 2 + 1
    expected = slow_visreg(a, b, 0.7, 5, (0.5, 2.0, 3.0), 1e-3)
    assert visreg(a, b, 0.7, 5, 0.5, 2.0, 3.0, 1e-3).item() == pytest.approx(expected, rel=1e-9)


def test_a_gaussian_is_where_both_are_small() -> None:
    gaussian = draw(4000, 3)
    for loss in (lambda z: sigreg(z, 32), lambda z: visreg(z, z, n_directions=32)):
        others = [gaussian * 0.7, gaussian + 0.5, gaussian.sign(), gaussian * torch.tensor([1.0, 1.0, 0.0])]
        assert all(loss(other).item() > 10 * loss(gaussian).item() for other in others)


def test_directions_follow_the_seed_of_the_step() -> None:
    z = draw(6, 3)
    seeds = [torch.full((6,), s) for s in (0, 1, 2**32 - 1)]
    assert torch.equal(directions("x", z, 4, None), directions("x", z, 4, seeds[0]))
    assert len({round(sigreg(z, 4, seed=s).item(), 12) for s in seeds}) == 3
    assert sigreg(z, 4, seed=seeds[1]).item() == pytest.approx(slow_sigreg(z, 4, 17, 3.0, seed=1), rel=1e-10)
    with pytest.raises(ValueError, match=r"seed must hold one entry a row, shape \(6,\), for lejepa"):
        lejepa(z, z, seed=torch.tensor([1]))


def test_shape_leaves_the_scale_alone() -> None:
    z = draw(40, 3).requires_grad_()
    (slope,) = torch.autograd.grad(visreg(z, z, 1.0, 64, center_weight=0, scale_weight=0, eps=1e-9), z)
    (whole,) = torch.autograd.grad(visreg(z * 3, z * 3, 1.0, 64, center_weight=0, scale_weight=0, eps=1e-9), z)
    torch.testing.assert_close(slope, whole, rtol=1e-6, atol=1e-9)  # scaled before: the same gradient
    assert slope.abs().max() > 1e-4


def test_a_collapse_has_a_finite_gradient_and_the_scale_pulls_it_apart() -> None:
    for size in (0.0, 1e-6, 1e-2):
        z = (draw(8, 3) * size).requires_grad_()
        for loss in (lejepa(z, z), visreg(z, z)):
            (slope,) = torch.autograd.grad(loss, z)
            assert bool(torch.isfinite(slope).all())
    z = (draw(8, 3) * 1e-2).requires_grad_()
    slopes = [torch.autograd.grad(loss, z)[0].norm() for loss in (lejepa(z, z, 1.0), visreg(z, z, 1.0))]
    assert slopes[0] < 0.1 and slopes[1] > 0.1  # the gradient of SIGReg vanishes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: LeJEPA(weight=2.0), r"weight must be in \[0, 1\]"),
        (lambda z: LeJEPA(knots=1), "knots must be at least 2"),
        (lambda z: LeJEPA(largest_frequency=0.0), "largest_frequency must be positive"),
        (lambda z: VISReg(n_directions=0), "n_directions must be at least 1"),
        (lambda z: VISReg(shape_weight=-1.0), "shape_weight must not be negative"),
        (lambda z: visreg(z, z[:2]), r"a is \(6, 3\), b is \(2, 3\)"),
    ],
)
def test_what_is_wrong_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(draw(6, 3))  # type: ignore[operator]
