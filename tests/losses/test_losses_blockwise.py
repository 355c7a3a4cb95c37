"""The blockwise log-sum-exp equals the dense one, in value and gradient, however it is walked."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from helpers import draw, gen
from kinview.losses import _blockwise, _tiles
from kinview.losses._blockwise import Diagonal, SameGroup, logsumexp_both, logsumexp_rows, logsumexp_self
from kinview.losses._tiles import Tile, tiles

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def slow(queries: Tensor, keys: Tensor, left_out: Tensor, dim: int = -1) -> Tensor:
    return torch.logsumexp((queries @ keys.mT).masked_fill(left_out, -torch.inf), dim=dim)


def rows_in(n: int, d: int, seed: int, *lead: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return draw(*lead, n, d, seed=seed, dtype=dtype).requires_grad_()


def assert_same(value: Tensor, expected: Tensor, inputs: tuple[Tensor, ...], **tolerance: float) -> None:
    """Same value, and same gradient under random weights where the value is finite."""
    torch.testing.assert_close(value, expected, **tolerance)
    weights = torch.rand(value.shape, dtype=value.dtype, generator=gen(9))
    weights[expected.isinf()] = 0
    for got, want in zip(
        torch.autograd.grad((value.masked_fill(weights == 0, 0) * weights).sum(), inputs),
        torch.autograd.grad((expected.masked_fill(weights == 0, 0) * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, want, **tolerance)


@pytest.fixture(params=list(itertools.product(("tiles", "kept"), ("safe", "maximum"), (3, 512))), ids=str)
def walk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way through the kernel: tiles kept or made again, with and without a running maximum, small and large."""
    keep, exponential, side = request.param
    monkeypatch.setattr(_blockwise, "_DENSE", 0)
    monkeypatch.setattr(_blockwise, "_KEEP", 0 if keep == "tiles" else 2**20)
    monkeypatch.setattr(_blockwise, "_SAFE", {torch.float64: 0.0 if exponential == "maximum" else 300.0})
    monkeypatch.setattr(_tiles, "_TILE", {"cpu": side})


@pytest.mark.usefixtures("walk")
def test_rows_and_both_sides_equal_the_dense_form() -> None:
    q, k = rows_in(11, 3, 0), rows_in(7, 3, 1)
    row_groups, col_groups = torch.arange(11) % 4, torch.arange(7) % 3
    same = row_groups[:, None] == col_groups[None]
    shifted = torch.zeros(11, 7, dtype=torch.bool)
    shifted[torch.arange(3, 9), torch.arange(3, 9) - 2] = True
    cases = [
        ((), torch.zeros(11, 7, dtype=torch.bool)),
        ((Diagonal(-2, 3, 9),), shifted),
        ((SameGroup(row_groups, col_groups),), same),
        ((SameGroup(row_groups, col_groups, keep=True),), ~same),  # group 3 has no column: −inf, no gradient
        ((SameGroup(row_groups, col_groups), Diagonal(-2, 3, 9)), same | shifted),
    ]
    for masks, left_out in cases:
        assert_same(logsumexp_rows(q, k, 2.0, masks=masks), slow(2 * q, k, left_out), (q, k), **EXACT)
        both = torch.cat([slow(2 * q, k, left_out), slow(2 * q, k, left_out, dim=-2)])
        assert_same(torch.cat(logsumexp_both(q, k, 2.0, masks=masks)), both, (q, k), **EXACT)


@pytest.mark.usefixtures("walk")
def test_rows_against_themselves_equal_the_dense_form_in_stacks_too() -> None:
    pairs = (Diagonal(5, 0, 5), Diagonal(-5, 5, 10))
    itself = torch.eye(10, dtype=torch.bool)
    partner = itself.roll(5, dims=0)
    for z in (rows_in(10, 4, 2), rows_in(10, 4, 3, 3)):
        assert_same(logsumexp_self(z, 1.5), slow(1.5 * z, z, itself), (z,), **EXACT)
        assert_same(logsumexp_self(z, 1.5, masks=pairs), slow(1.5 * z, z, itself | partner), (z,), **EXACT)


@pytest.mark.usefixtures("walk")
def test_gradcheck_with_a_learned_scale_and_shared_inputs() -> None:
    z, scale = rows_in(6, 3, 4), torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(logsumexp_self, (z, scale))
    assert torch.autograd.gradcheck(lambda z, s: logsumexp_rows(z, z[:4], s), (z, scale))
    assert torch.autograd.gradcheck(lambda z, s: logsumexp_both(z, z[:4], s), (z, scale))


@pytest.mark.usefixtures("walk")
def test_a_constant_side_changes_nothing_for_the_other() -> None:
    q, k = rows_in(9, 3, 7), rows_in(5, 3, 8)
    left_out = torch.zeros(9, 5, dtype=torch.bool)
    assert_same(logsumexp_rows(q, k.detach()), slow(q, k.detach(), left_out), (q,), **EXACT)
    assert_same(logsumexp_rows(q.detach(), k), slow(q.detach(), k, left_out), (k,), **EXACT)


@pytest.mark.usefixtures("walk")
def test_a_second_backward_pass_gives_the_same_gradient() -> None:
    z = rows_in(9, 3, 5)
    total = logsumexp_self(z).sum() + sum(side.sum() for side in logsumexp_both(z, z * 2))
    first = torch.autograd.grad(total, z, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(total, z)[0])


@pytest.mark.parametrize("temperature", [1.0, 0.2, 0.05, 0.01])
@pytest.mark.parametrize("dense", [0, 2**30], ids=["tiles", "dense"])
def test_float32_is_exact_at_every_temperature_on_nearly_orthogonal_rows(
    temperature: float, dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The anchor has cosine 1 and all others nearly 0: subtracted afterwards, it would leave nothing at τ = 0.01."""
    monkeypatch.setattr(_blockwise, "_DENSE", dense)
    monkeypatch.setattr(_tiles, "_TILE", {"cpu": 32})
    z = torch.nn.functional.normalize(rows_in(100, 64, 6, dtype=torch.float32).detach(), dim=1)
    z[:4] = torch.eye(64)[:4]
    z[1] = torch.nn.functional.normalize(z[0] + 1e-3 * z[2], dim=0)  # one pair nearly alike: logit 1/τ
    z.requires_grad_()
    exact = z.detach().double().requires_grad_()
    value = logsumexp_self(z, 1 / temperature)
    expected = slow(exact / temperature, exact, torch.eye(100, dtype=torch.bool))
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-5)
    got = torch.autograd.grad(value.mean(), z)[0].double()
    want = torch.autograd.grad(expected.mean(), exact)[0]
    assert float((got - want).abs().max() / want.abs().max()) < 2e-5


def test_outliers_keep_their_gradient_without_a_running_maximum() -> None:
    """Logits of −40 in one row and +40 in all others are both in range, in the sums and in their quotients."""
    z = torch.zeros(300, 8)
    z[:, 0] = 40**0.5
    z[0, 0] = -(40**0.5)
    z += 1e-2 * torch.randn(300, 8, generator=gen())
    z = (z / z.norm(dim=1).max() * 39.9**0.5).requires_grad_()
    exact = z.detach().double().requires_grad_()
    got = torch.autograd.grad(logsumexp_self(z).mean(), z)[0].double()
    want = torch.autograd.grad(slow(exact, exact, torch.eye(300, dtype=torch.bool)).mean(), exact)[0]
    assert float(want[0].norm()) > 1e-4
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rows_are_accumulated_in_float32(dtype: torch.dtype) -> None:
    half = torch.nn.functional.normalize(torch.randn(400, 16, generator=gen(1)), dim=1)
    half = half.to(dtype).requires_grad_()
    wide = half.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = logsumexp_self(half, 100.0)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, logsumexp_self(wide, 100.0))
    value.mean().backward()
    logsumexp_self(wide, 100.0).mean().backward()
    assert half.grad is not None and half.grad.dtype == dtype
    torch.testing.assert_close(half.grad, wide.grad.to(dtype))


def test_tiles_cover_the_matrix_once() -> None:
    for shape in ((1, 1000, 700), (1, 3, 5000), (1, 5000, 3), (4, 30, 30), (2, 600, 600), (5, 1, 1)):
        seen = torch.zeros(shape, dtype=torch.int8)
        for tile in tiles(shape, torch.device("cpu")):
            seen[tile] += 1
            assert seen[tile].numel() <= 512 * 512
        assert bool((seen == 1).all())
    seen = torch.zeros(1, 1300, 1300, dtype=torch.int8)
    for tile in tiles((1, 1300, 1300), torch.device("cpu"), upper=True):
        seen[tile] += 1
    assert bool((seen + seen.mT >= 1).all()) and int(seen.max()) == 1


def test_neighbours_in_time_are_of_one_group_and_near() -> None:
    groups, times = torch.tensor([0, 0, 0, 1]), torch.tensor([0.0, 2.0, 5.0, 2.0])
    mask = SameGroup(groups, groups, True, times, times, window=2.0)
    near = mask.same(Tile(slice(0, 1), slice(0, 4), slice(0, 4)))
    assert near.tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, False, True],
    ]


@pytest.mark.parametrize("dense", [0, 2**16], ids=["tiles", "dense"])
def test_nothing_left_is_minus_infinity_with_zero_gradient(dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blockwise, "_DENSE", dense)
    z = torch.ones(1, 3, requires_grad=True)
    value = logsumexp_self(z)
    assert value.tolist() == [-torch.inf]
    value.masked_fill(value.isinf(), 0.0).sum().backward()
    assert z.grad is not None and z.grad.tolist() == [[0.0, 0.0, 0.0]]
    assert logsumexp_rows(z, torch.empty(0, 3)).tolist() == [-torch.inf]


def test_memory_is_linear_in_the_rows() -> None:
    """No tensor of the walk is larger than a tile or the rows themselves."""
    z = torch.randn(6000, 8, generator=gen(2), requires_grad=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        logsumexp_self(z, 0.1).mean().backward()
    largest = max(
        (event.nbytes() for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"), default=0
    )
    assert 0 < largest <= 512 * 512 * 4  # the matrix has 144 MB
