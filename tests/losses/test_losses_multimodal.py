"""The losses between modalities, against their formulas transcribed term by term."""

from __future__ import annotations

import math
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from helpers import assert_same, draw, gen, rotation, seeded
from kinview.losses import (
    CMCR,
    ConVIRT,
    FactorCL,
    PairCritic,
    ThreeTowers,
    clip,
    club_bound,
    cmcr,
    convirt,
    factor_cl,
    nce_bound,
    three_towers,
)
from kinview.losses.cmcr import retrieve, spherical_noise

# --- the formulas, one term at a time --------------------------------------------------------------------------------


def slow_one_way(x: Tensor, y: Tensor, temperature: float) -> Tensor:
    cosine = [[(p @ q) / (p.norm() * q.norm()) / temperature for q in y] for p in x]
    n = range(len(x))
    return sum((-torch.log(torch.exp(cosine[i][i]) / sum(torch.exp(s) for s in cosine[i])) for i in n), 0.0) / len(x)


def slow_convirt(a: Tensor, b: Tensor, temperature: float, weight: float) -> Tensor:
    return weight * slow_one_way(a, b, temperature) + (1 - weight) * slow_one_way(b, a, temperature)


def slow_cmcr(a: Tensor, b: Tensor, v: Tensor, u: Tensor, t2: float, t3: float, weight: float) -> Tensor:
    inter = slow_convirt(a, b, t2, 0.5) + slow_convirt(v, u, t3, 0.5)
    gap = sum(
        (x / x.norm() - y / y.norm()).square().sum() for one, other in ((a, v), (b, u)) for x, y in zip(one, other)
    )
    return inter + weight * gap / (2 * len(a))


sizes = {"n": st.integers(1, 5), "d": st.integers(1, 4), "seed": st.integers(0, 99)}
temperatures = st.floats(0.05, 2.0)
few = settings(deadline=None, max_examples=10)


@few
@given(**sizes, temperature=temperatures, weight=st.floats(0, 1))
def test_convirt(n: int, d: int, seed: int, temperature: float, weight: float) -> None:
    assert_same(
        lambda x, y: convirt(x, y, temperature, weight),
        lambda x, y: slow_convirt(x, y, temperature, weight),
        draw(n, d, seed=seed),
        draw(n, d, seed=seed + 1),
    )


@few
@given(**sizes, temperature=temperatures)
def test_three_towers(n: int, d: int, seed: int, temperature: float) -> None:
    def slow(*z: Tensor) -> Tensor:
        return sum(slow_convirt(z[i], z[i + 1], temperature, 0.5) for i in (0, 2, 4)) / 3

    towers = [draw(n, d + i // 2, seed=seed + i) for i in range(6)]
    assert_same(lambda *z: three_towers(*z, temperature), slow, *towers)


@few
@given(**sizes, t2=temperatures, t3=temperatures, weight=st.floats(0, 2))
def test_cmcr(n: int, d: int, seed: int, t2: float, t3: float, weight: float) -> None:
    spaces = [draw(n, d, seed=seed + i) for i in range(4)]
    assert_same(lambda *z: cmcr(*z, t2, t3, weight), lambda *z: slow_cmcr(*z, t2, t3, weight), *spaces)


def test_gradients_pass_gradcheck() -> None:
    a, b, c, d = (draw(4, 3, seed=i).requires_grad_() for i in range(4))
    assert torch.autograd.gradcheck(lambda x, y: convirt(x, y, 0.5), (a, b))
    assert torch.autograd.gradcheck(lambda *z: cmcr(*z, 0.5, 0.3), (a, b, c, d))
    assert torch.autograd.gradcheck(lambda *z: three_towers(*z, a, b, 0.5), (a, b, c, d))


def test_closed_forms() -> None:
    collapsed, eye = torch.full((5, 3), 2.0), torch.eye(5)
    chance, aligned = math.log(5), math.log(1 + 4 * math.exp(-2))
    assert convirt(collapsed, collapsed, 0.5).item() == pytest.approx(chance, abs=1e-5)
    assert convirt(eye, eye, 0.5).item() == pytest.approx(aligned, abs=1e-5)
    assert three_towers(*[collapsed] * 6).item() == pytest.approx(chance, abs=1e-5)
    assert cmcr(*[eye] * 4, 0.5, 0.5).item() == pytest.approx(2 * aligned, abs=1e-5)
    far = cmcr(eye, eye, -eye, -eye, 0.5, 0.5, 0.1).item()  # unit vectors that are opposite: squared distance 4
    assert far == pytest.approx(2 * aligned + 0.1 * 4, abs=1e-5)


def test_rotations_leave_the_values() -> None:
    a, b, c, d = (draw(5, 4, seed=i) for i in range(4))
    turn, other = rotation(4), -rotation(4).flip(0)
    torch.testing.assert_close(convirt(a @ turn, b @ turn), convirt(a, b))
    torch.testing.assert_close(cmcr(a @ turn, b @ turn, c @ turn, d @ turn), cmcr(a, b, c, d))
    towers = three_towers(a @ turn, b @ turn, a @ other, c @ other, b, d)
    torch.testing.assert_close(towers, three_towers(a, b, a, c, b, d))


def test_convirt_weighs_its_directions() -> None:
    a, b = draw(6, 4), draw(6, 4, seed=1)
    torch.testing.assert_close(convirt(a, b, 0.1, 0.5), clip(a, b, 0.1))
    torch.testing.assert_close(convirt(a, b, 0.1, 0.75), convirt(b, a, 0.1, 0.25))
    assert torch.equal(ConVIRT(0.2, 0.6)(a, b), convirt(a, b, 0.2, 0.6))


def test_cmcr_is_symmetric_in_its_spaces() -> None:
    a, b, c, d = (draw(5, 4, seed=i) for i in range(4))
    torch.testing.assert_close(cmcr(a, b, c, d), cmcr(b, a, d, c))
    assert torch.equal(CMCR(0.2, 0.3, 0.4)(a, b, c, d), cmcr(a, b, c, d, 0.2, 0.3, 0.4))


# --- C-MCR's memory and noise ----------------------------------------------------------------------------------------


def test_retrieval_is_the_softmax_mean_of_the_memory() -> None:
    queries, memory = draw(3, 4), draw(7, 4, seed=1)
    found = retrieve(queries, memory, 0.1)
    for query, answer in zip(queries, found, strict=True):
        units = [item / item.norm() for item in memory]
        weights = [torch.exp((query / query.norm()) @ item / 0.1) for item in units]
        expected = sum(w * item for w, item in zip(weights, units, strict=True)) / sum(weights)
        torch.testing.assert_close(answer, expected / expected.norm())
    nearest = retrieve(queries, memory, 1e-4)
    index = (torch.nn.functional.normalize(queries) @ torch.nn.functional.normalize(memory).T).argmax(dim=1)
    torch.testing.assert_close(nearest, torch.nn.functional.normalize(memory)[index])


def test_noise_has_the_variance_asked_for() -> None:
    rows = draw(4000, 64, dtype=torch.float32)
    noisy = spherical_noise(rows, 0.004, gen(1))
    torch.testing.assert_close(noisy.norm(dim=1), torch.ones(4000))
    # a unit vector plus noise of variance σ² in d dimensions has cosine 1 / √(1 + d σ²) with itself
    cosine = (noisy * torch.nn.functional.normalize(rows)).sum(dim=1).mean().item()
    assert cosine == pytest.approx(1 / math.sqrt(1 + 64 * 0.004), abs=2e-3)
    again = spherical_noise(rows, 0.004, gen(1))
    assert torch.equal(noisy, again)
    torch.testing.assert_close(spherical_noise(rows, 0.0), torch.nn.functional.normalize(rows))


# --- three towers ----------------------------------------------------------------------------------------------------


def test_the_third_tower_is_frozen_and_its_heads_are_not() -> None:
    loss = seeded(lambda: ThreeTowers(3, 5, head_dim=4, temperature=0.2)).double()
    assert isinstance(loss, ThreeTowers)
    a, b, third = draw(6, 3).requires_grad_(), draw(6, 3, seed=1).requires_grad_(), draw(6, 5, seed=2).requires_grad_()
    value = loss(a, b, third)
    heads = loss.a_to_third(a), loss.third_to_a(third), loss.b_to_third(b), loss.third_to_b(third)
    torch.testing.assert_close(value, three_towers(a, b, *heads, 0.2))
    value.backward()
    assert third.grad is None
    for name, parameter in loss.named_parameters():
        assert parameter.grad is not None, name
        # a head's bias on one side shifts all of its rows alike, but never leaves their cosines as they are
        assert parameter.grad.abs().max() > 0, name


def test_the_scale_of_three_towers_is_limited() -> None:
    loss = ThreeTowers(3, 3, max_scale=50.0)
    with torch.no_grad():
        loss.log_scale.fill_(10.0)
    loss(draw(4, 3, dtype=torch.float32), draw(4, 3, seed=1, dtype=torch.float32), draw(4, 3, dtype=torch.float32))
    assert loss.log_scale.exp().item() == pytest.approx(50.0, rel=1e-5)
    with pytest.raises(ValueError, match=r"max_scale=5 is below 1 / temperature = 14.2857"):
        ThreeTowers(3, 3, max_scale=5)


# --- FactorCL --------------------------------------------------------------------------------------------------------


def slow_scores(critic: nn.Module, x: Tensor, y: Tensor) -> list[list[Tensor]]:
    """The critic as the paper has it: one perceptron on the concatenation [x; y]."""
    first = torch.cat([critic.from_x.weight, critic.from_y.weight], dim=1)

    def score(left: Tensor, right: Tensor) -> Tensor:
        hidden = torch.relu(first @ torch.cat([left, right]) + critic.from_x.bias)
        hidden = torch.relu(critic.score[1].weight @ hidden + critic.score[1].bias)
        return (critic.score[3].weight @ hidden + critic.score[3].bias)[0]

    return [[score(x[j], y[i]) for j in range(len(x))] for i in range(len(y))]


def slow_nce(f: list[list[Tensor]]) -> Tensor:
    n = range(len(f))
    return sum(f[i][i] - torch.log(sum(torch.exp(f[i][j]) for j in n) / len(f)) for i in n) / len(f)


def slow_club(f: list[list[Tensor]]) -> Tensor:
    n = range(len(f))
    return sum(f[i][i] for i in n) / len(f) - sum(f[i][j] for i in n for j in n) / len(f) ** 2


def slow_sides(loss: FactorCL, term: str, a: Tensor, b: Tensor, ca: Tensor, cb: Tensor) -> tuple[Tensor, Tensor]:
    raw = loss.condition_dim is not None
    if term == "own_a":
        return loss.heads_a[term](a), ca if raw else loss.heads_a[term](ca)
    if term == "own_b":
        return loss.heads_b[term](b), cb if raw else loss.heads_b[term](cb)
    x, y = loss.heads_a[term](a), loss.heads_b[term](b)
    if "given" not in term:
        return x, y
    known_a, known_b = (ca, cb) if raw else (loss.heads_a[term](ca), loss.heads_b[term](cb))
    return torch.cat([x, known_a], dim=1), torch.cat([y, known_b], dim=1)


@pytest.mark.parametrize("condition_dim", [None, 3])
def test_factor_cl_equals_its_bounds(condition_dim: int | None) -> None:
    loss = seeded(lambda: FactorCL(4, 2, condition_dim, hidden_dim=6)).double()
    assert isinstance(loss, FactorCL)
    a, b = draw(5, 4), draw(5, 2, seed=1)
    if condition_dim is None:
        conditions = draw(5, 4, seed=2), draw(5, 2, seed=3)
    else:
        conditions = (torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0, 1]],) * 2
    terms = loss.terms(a, b, *conditions)
    for term in ("shared", "own_a", "own_b", "given"):
        scores = slow_scores(loss.critics[term], *slow_sides(loss, term, a, b, *conditions))
        torch.testing.assert_close(terms[term], slow_nce(scores))
    learning = 0.0
    for term in ("removed", "removed_given"):
        scores = slow_scores(loss.critics[term], *slow_sides(loss, term, a, b, *conditions))
        torch.testing.assert_close(terms[term], slow_club(scores))
        learning = learning - slow_nce(scores)
    torch.testing.assert_close(terms["critics"], learning)
    total = sum(terms[t] for t in ("removed", "removed_given", "critics"))
    total = total - sum(terms[t] for t in ("shared", "own_a", "own_b", "given"))
    torch.testing.assert_close(loss(a, b, *conditions), total)
    assert [z.shape for z in loss.embed(a, b)] == [(5, 20), (5, 10)]


def test_one_backward_pass_does_what_two_optimisers_alternate() -> None:
    """The CLUB critics learn from their own objective only; everything else from the bounds only."""
    loss = seeded(lambda: FactorCL(3, 3, hidden_dim=6)).double()
    assert isinstance(loss, FactorCL)
    a, b, ca, cb = views = [draw(5, 3, seed=i).requires_grad_() for i in range(4)]
    loss(*views).backward()
    together = {name: parameter.grad for name, parameter in loss.named_parameters()}
    of_views = [view.grad for view in views]

    bounds = {}
    for term, critic in loss.critics.items():
        scores = torch.stack([torch.stack(row) for row in slow_scores(critic, *slow_sides(loss, term, a, b, ca, cb))])
        bounds[term] = (club_bound(scores), nce_bound(scores))
    objective = sum(club if term.startswith("removed") else -nce for term, (club, nce) in bounds.items())
    learning = -bounds["removed"][1] - bounds["removed_given"][1]
    critics = {name for name, _ in loss.named_parameters() if name.startswith("critics.removed")}
    parameters = dict(loss.named_parameters())
    for name, parameter in parameters.items():
        source = learning if name in critics else objective
        (expected,) = torch.autograd.grad(source, parameter, retain_graph=True)
        torch.testing.assert_close(together[name], expected, rtol=1e-8, atol=1e-12)
    for got, expected in zip(of_views, torch.autograd.grad(objective, views), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-12)


def test_critics_in_blocks_are_critics_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    critic = seeded(lambda: PairCritic(3, 4, hidden_dim=8)).double()
    x, y = draw(7, 3).requires_grad_(), draw(7, 4, seed=1).requires_grad_()
    weights = draw(7, 7, seed=2)
    whole = critic(x, y)
    expected = torch.autograd.grad((whole * weights).sum(), (x, y, *critic.parameters()))
    monkeypatch.setattr(factor_cl, "_AT_ONCE", 3 * 7 * 8)  # three rows a block
    parts = critic(x, y)
    torch.testing.assert_close(parts, whole)
    got = torch.autograd.grad((parts * weights).sum(), (x, y, *critic.parameters()))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_bounds_enclose_a_known_mutual_information() -> None:
    """Correlated Gaussians: with the true density ratio as critic, InfoNCE lies below and CLUB above."""
    rho, n = 0.8, 2000
    generator = gen()
    x = torch.randn(n, generator=generator, dtype=torch.float64)
    y = rho * x + math.sqrt(1 - rho**2) * torch.randn(n, generator=generator, dtype=torch.float64)
    conditional = torch.distributions.Normal(rho * x[None, :], math.sqrt(1 - rho**2))
    scores = conditional.log_prob(y[:, None]) - torch.distributions.Normal(0.0, 1.0).log_prob(y)[:, None]
    truth = -0.5 * math.log(1 - rho**2)
    assert nce_bound(scores).item() == pytest.approx(truth, abs=0.03)
    assert club_bound(scores).item() > truth + 0.5
    assert nce_bound(scores[:1, :1]).item() == 0.0
    few = torch.stack([nce_bound(scores[k : k + 4, k : k + 4]) for k in range(0, n, 4)]).mean()
    assert few.item() < truth - 0.05  # few candidates bound it loosely: at most log 4


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: convirt(a, a, weight=1.5), r"weight must be in \[0, 1\]; got 1.5"),
        (lambda a: convirt(a, a[:2]), r"convirt needs two \(n, d\) views of one shape; a is \(4, 3\), b is \(2, 3\)"),
        (lambda a: cmcr(a, a, a, a, pseudo_temperature=0.0), "pseudo_temperature must be positive; got 0.0"),
        (lambda a: cmcr(a, a, a, a, intra_weight=-1.0), "intra_weight must not be negative; got -1.0"),
        (lambda a: retrieve(a, a[:, :2]), r"queries \(n, d\) and a memory \(m, d\); got \(4, 3\), \(4, 2\)"),
        (lambda a: retrieve(a, a / 0), "memory holds non-finite values"),
        (lambda a: spherical_noise(a, -1.0), "variance must not be negative; got -1.0"),
        (lambda a: ThreeTowers(3, 3)(a, a, a[:2]), r"third must be \(n, third_dim\) with the n=4 rows of a and b"),
        (lambda a: FactorCL(3, 2)(a, a, a, a), r"b must be \(n, 2\) with the rows of the other arguments; a is"),
        (lambda a: FactorCL(3, 0), "dim_b must be at least 1; got 0"),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(draw(4, 3, dtype=torch.float32))
