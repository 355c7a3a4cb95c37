from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from safetensors.torch import load_file
from torch import Tensor

from helpers import assert_same, draw, gen
from kinview.losses import (
    NNCLR,
    Consistency,
    ERBound,
    ExpCLR,
    Hierarchical,
    MixupContrastive,
    TemporalCPC,
    _pyramid,
    _self_contrast,
    consistency,
    er_bound,
    exp_clr,
    hierarchical,
    instance_contrastive,
    mixup_contrastive,
    nnclr,
    soft_assignments,
    temporal_contrastive,
    temporal_cpc,
)
from kinview.losses.nnclr import nearest


def cosines(a: Tensor, b: Tensor) -> Tensor:
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


# --- hierarchical: the official code, transcribed (TS2Vec; with assignments, SoftCLT) ---------------------------------


def without_diagonal(matrix: Tensor) -> Tensor:
    return torch.tril(matrix, diagonal=-1)[..., :-1] + torch.triu(matrix, diagonal=1)[..., 1:]


def official_contrast(z: Tensor, weights: Tensor) -> Tensor:
    """Problems (p, 2m, d) and assignments (m, m)."""
    m = len(weights)
    logits = -F.log_softmax(without_diagonal(z @ z.mT), dim=-1)
    left = torch.cat([without_diagonal(weights), weights], dim=1)
    right = torch.cat([weights, without_diagonal(weights)], dim=1)
    return ((logits[:, :m] * left).sum() + (logits[:, m:] * right).sum()) / (2 * m * len(z))


def official(
    z1: Tensor, z2: Tensor, alpha: float, unit: int, weights: Tensor | None, sharpness: float | None
) -> Tensor:
    """Views (n, time, d)."""
    total, level = z1.new_zeros(()), 0
    while True:
        n, steps = z1.shape[:2]
        if n > 1:
            own = torch.eye(n, dtype=z1.dtype) if weights is None else weights
            total = total + alpha * official_contrast(torch.cat([z1, z2]).transpose(0, 1), own)
        if steps > 1 and level >= unit:
            lags = (torch.arange(steps)[:, None] - torch.arange(steps)).abs().to(z1.dtype)
            near = (lags == 0).to(z1.dtype) if sharpness is None else 2 / (1 + torch.exp(lags * sharpness * 2**level))
            total = total + (1 - alpha) * official_contrast(torch.cat([z1, z2], dim=1), near)
        level += 1
        if steps == 1:
            return total / level
        z1, z2 = (F.max_pool1d(z.transpose(1, 2), kernel_size=2).transpose(1, 2) for z in (z1, z2))


@pytest.fixture(params=[(512, 2**18), (6, 60), (3, 9)], ids=["whole", "some", "many"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Side of a tile and elements at once: problems in one tile, in a few, in tiles smaller than one view."""
    monkeypatch.setattr(_self_contrast, "_SIZES", {"cpu": request.param})
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("mode", ["dense", "tiled"])
@pytest.mark.parametrize("shape", [(5, 17, 4), (9, 6, 3), (1, 12, 3), (4, 1, 3)])
@pytest.mark.parametrize(
    ("alpha", "unit", "soft", "sharpness"),
    [(0.5, 0, False, None), (0.3, 1, True, None), (0.0, 0, False, 0.4), (0.7, 0, True, 1.5)],
)
def test_hierarchical_equals_the_official_code_in_every_mode(
    tiles: tuple[int, int],
    mode: Any,
    shape: tuple[int, int, int],
    alpha: float,
    unit: int,
    soft: bool,
    sharpness: float | None,
) -> None:
    weights = draw(shape[0], shape[0], seed=2).abs() if soft else None  # no code path needs them to be symmetric
    options: dict[str, Any] = {"instance_weights": weights, "temporal_sharpness": sharpness, "mode": mode}
    assert_same(
        lambda a, b: hierarchical(a.mT, b.mT, alpha, unit, **options),
        lambda a, b: official(a, b, alpha, unit, weights, sharpness),
        draw(*shape),
        draw(*shape, seed=1),
    )


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(1, 5),
    steps=st.integers(1, 12),
    side=st.integers(2, 9),
    at_once=st.integers(1, 200),
    mode=st.sampled_from(["dense", "tiled"]),
    soft=st.booleans(),
    seed=st.integers(0, 99),
)
def test_no_tiling_changes_the_hierarchical_loss(
    n: int, steps: int, side: int, at_once: int, mode: Any, soft: bool, seed: int
) -> None:
    z1, z2 = draw(n, 2, steps, seed=seed), draw(n, 2, steps, seed=seed + 1)
    extra = {"instance_weights": draw(n, n, seed=seed).abs(), "temporal_sharpness": 0.8} if soft else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_self_contrast, "_SIZES", {"cpu": (512, 2**18)})
        one, other = z1.clone().requires_grad_(), z2.clone().requires_grad_()
        expected = hierarchical(one, other, **extra)  # type: ignore[arg-type]
        slopes = torch.autograd.grad(expected, (one, other))
        patch.setattr(_self_contrast, "_SIZES", {"cpu": (side, at_once)})
        value = hierarchical(one, other, mode=mode, **extra)  # type: ignore[arg-type]
        torch.testing.assert_close(value, expected)
        for slope, wanted in zip(torch.autograd.grad(value, (one, other)), slopes, strict=True):
            torch.testing.assert_close(slope, wanted)


@pytest.mark.parametrize("mode", ["dense", "tiled"])
def test_hierarchical_gradients_pass_gradcheck(monkeypatch: pytest.MonkeyPatch, mode: Any) -> None:
    monkeypatch.setattr(_self_contrast, "_SIZES", {"cpu": (6, 60)})
    z1, z2 = draw(3, 2, 5).requires_grad_(), draw(3, 2, 5, seed=1).requires_grad_()
    weights = draw(3, 3, seed=2).abs()
    assert torch.autograd.gradcheck(lambda a, b: hierarchical(a, b, mode=mode), (z1, z2))
    assert torch.autograd.gradcheck(
        lambda a, b: hierarchical(a, b, instance_weights=weights, temporal_sharpness=0.5, mode=mode), (z1, z2)
    )


@pytest.mark.parametrize("mode", ["auto", "dense", "tiled"])
def test_hierarchical_is_the_official_output(golden: Path, tiles: tuple[int, int], mode: Any) -> None:
    arrays = load_file(golden / "ts2vec_losses.safetensors")
    for alpha in (0.0, 0.5, 1.0):
        for unit in (0, 1, 2):
            z1, z2 = (arrays[name].mT.contiguous().requires_grad_() for name in ("z1", "z2"))
            value = hierarchical(z1, z2, alpha, unit, mode=mode)
            value.backward()
            tag = f"alpha{alpha}_unit{unit}"
            torch.testing.assert_close(value.float(), arrays[f"loss_{tag}"][0], rtol=0, atol=1e-6)
            for z, name in ((z1, "grad1"), (z2, "grad2")):
                assert z.grad is not None
                torch.testing.assert_close(z.grad.mT, arrays[f"{name}_{tag}"], rtol=0, atol=1e-8)
    z1, z2 = arrays["z1"].mT, arrays["z2"].mT
    torch.testing.assert_close(instance_contrastive(z1, z2), arrays["instance"][0], rtol=0, atol=1e-12)
    torch.testing.assert_close(temporal_contrastive(z1, z2), arrays["temporal"][0], rtol=0, atol=1e-12)


def test_the_mode_follows_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    contrast = _self_contrast.contrast

    def watched(z: Tensor, targets: Any, dense: bool, with_gradient: bool) -> Any:
        seen.append((z.shape[1], dense))
        return contrast(z, targets, dense, with_gradient)

    monkeypatch.setattr(_pyramid, "contrast", watched)
    monkeypatch.setattr(_pyramid, "_DENSE_ELEMENTS", 16**2 // 2)
    hierarchical(draw(2, 3, 32), draw(2, 3, 32, seed=1), alpha=0.0)
    assert seen == [(4, True), (8, True), (16, True), (32, False), (64, False)]


def test_only_what_is_asked_for_has_a_gradient() -> None:
    z1, z2 = draw(3, 2, 5), draw(3, 2, 5, seed=1)
    plain = hierarchical(z1, z2)
    assert not plain.requires_grad
    half = hierarchical(z1, z2.requires_grad_())
    half.backward()
    assert z2.grad is not None
    assert z1.grad is None
    torch.testing.assert_close(half.detach(), plain)
    with torch.no_grad():
        assert not hierarchical(z1, z2).requires_grad


def test_pooling_sends_the_gradient_of_equal_maxima_to_the_earlier_step() -> None:
    z = torch.zeros(2, 3, 4, dtype=torch.float64)
    z1, z2 = z.clone().requires_grad_(), draw(2, 3, 4).requires_grad_()
    ours = torch.autograd.grad(hierarchical(z1, z2), (z1, z2))
    theirs = torch.autograd.grad(official(z1.mT, z2.mT, 0.5, 0, None, None), (z1, z2))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_far_pairs_stay_exact_in_float32() -> None:
    # similarities of ±900, where exp overflows and a finished log-sum-exp has three digits left behind the point
    z1 = 30 * F.normalize(draw(1, 6, 40), dim=1)
    z2 = z1 + 0.01 * draw(1, 6, 40, seed=1)
    exact = temporal_contrastive(z1, z2)
    single = temporal_contrastive(z1.float().requires_grad_(), z2.float())
    torch.testing.assert_close(single.detach().double(), exact, rtol=1e-3, atol=1e-6)
    assert torch.isfinite(torch.autograd.grad(temporal_contrastive(z1.requires_grad_(), z2), z1)[0]).all()


@pytest.mark.parametrize("soft", [None, 0.3])
@pytest.mark.parametrize("scale", [0.01, 1.0, 2.0, 12.0, 200.0])
def test_one_shift_for_all_rows_and_one_for_each_agree_in_float32(
    monkeypatch: pytest.MonkeyPatch, scale: float, soft: float | None
) -> None:
    """Rows of one length, of lengths that lie apart, and of lengths whose exponentials no common shift could hold."""
    z = [scale * torch.randn(3, 5, 9, generator=gen(k)) * torch.linspace(0.2, 1, 9) for k in range(2)]

    def found(dtype: torch.dtype) -> tuple[Tensor, ...]:
        views = [view.to(dtype).requires_grad_() for view in z]
        value = hierarchical(*views, temporal_sharpness=soft)
        return (value.detach(), *torch.autograd.grad(value, views))

    one_shift = found(torch.float32)
    shifted = _self_contrast._common_shift(torch.cat(z, dim=2).transpose(1, 2))
    assert (shifted is None) == (scale > 10)
    monkeypatch.setattr(_self_contrast, "_common_shift", lambda z: None)
    for dtype in (torch.float32, torch.float64):
        for ours, theirs in zip(one_shift, found(dtype), strict=True):
            torch.testing.assert_close(ours.double(), theirs.double(), rtol=2e-5, atol=2e-5 * float(theirs.abs().max()))


def test_sums_that_would_lose_digits_under_one_shift_are_taken_again() -> None:
    rows = torch.zeros(1, 4, 2)
    rows[0, :, 0] = torch.tensor([10.0, 10.0, -10.0, -10.0])
    rows[0, 3, 0] = -0.5  # its similarities lie far below the common shift
    sums = _self_contrast._ShiftedSums(rows, torch.full((1, 1, 1), 100.0))
    _self_contrast._sweep(rows, _self_contrast.Targets(), [((0, 4), (0, 4))], sums, keep=False)
    assert not sums.hold()
    value, gradient = _self_contrast.contrast(rows, _self_contrast.Targets(), True, True)
    exact, slope = _self_contrast.contrast(rows.double(), _self_contrast.Targets(), True, True)
    assert gradient is not None and slope is not None
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient.double(), slope, rtol=1e-5, atol=1e-5)


def test_hard_assignments_are_a_special_case_of_soft_ones() -> None:
    z1, z2 = draw(4, 3, 9), draw(4, 3, 9, seed=1)
    hard = hierarchical(z1, z2)
    soft = hierarchical(z1, z2, instance_weights=torch.eye(4).double(), temporal_sharpness=1e4)
    torch.testing.assert_close(soft, hard)
    torch.testing.assert_close(instance_contrastive(z1, z2, torch.eye(4).double()), instance_contrastive(z1, z2))
    torch.testing.assert_close(temporal_contrastive(z1, z2, 1e4), temporal_contrastive(z1, z2))
    assert hierarchical(z1, z2, temporal_sharpness=0.1) > hard + 0.1


def test_soft_assignments_have_the_published_form() -> None:
    distances = torch.tensor([[0.0, 0.5], [0.5, 0.0]], dtype=torch.float64)
    other = 2 * 0.5 / (1 + math.exp(10 * 0.5))
    torch.testing.assert_close(
        soft_assignments(distances, sharpness=10.0), torch.tensor([[1.0, other], [other, 1.0]], dtype=torch.float64)
    )
    torch.testing.assert_close(
        soft_assignments(distances, 10.0, 1.0)[0, 1], torch.tensor(2 * other, dtype=torch.float64)
    )
    for distances_, sharpness, bound, message in [
        (torch.zeros(2, 3), 1.0, 0.5, r"distances must be a square matrix \(n, n\); got \(2, 3\)"),
        (-torch.ones(2, 2), 1.0, 0.5, "distances must not be negative; the smallest is -1"),
        (torch.zeros(2, 2), 0.0, 0.5, "sharpness must be positive and finite; got 0.0"),
        (torch.zeros(2, 2), 1.0, 1.5, r"upper_bound must be in \(0, 1\]; got 1.5"),
    ]:
        with pytest.raises(ValueError, match=message):
            soft_assignments(distances_, sharpness, bound)


def test_hierarchical_refuses_what_it_cannot_use() -> None:
    z = draw(3, 2, 4)
    broken = z.clone()
    broken[0, 0, 0] = math.nan
    for arguments, options, message in [
        ((broken, z), {}, "z1 holds non-finite values"),
        ((z, broken), {}, "z2 holds non-finite values"),
        ((z, z), {"mode": "sparse"}, "mode must be one of auto, dense, tiled; got 'sparse'"),
        ((z, z), {"temporal_sharpness": -1.0}, "temporal_sharpness must be positive and finite, or None; got -1.0"),
        ((z, z), {"instance_weights": torch.ones(2, 2)}, r"instance_weights must be \(3, 3\).*got \(2, 2\)"),
        ((z, z), {"instance_weights": -torch.ones(3, 3)}, "instance_weights must not be negative"),
        ((z[:0], z[:0]), {}, "at least one row and one dimension"),
    ]:
        with pytest.raises(ValueError, match=message):
            hierarchical(*arguments, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode must be one of"):
        Hierarchical(mode="sparse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="temporal_sharpness must be positive"):
        Hierarchical(temporal_sharpness=0.0)


# --- temporal cpc ----------------------------------------------------------------------------------------------------


def slow_temporal_cpc(predictions: Tensor, futures: Tensor, among: str) -> Tensor:
    n, k, _ = predictions.shape
    total = predictions.new_zeros(())
    for step in range(k):
        for i in range(n):
            if among == "contexts":
                logits = torch.stack([futures[i, step] @ predictions[j, step] for j in range(n)])
            else:
                logits = torch.stack([predictions[i, step] @ futures[j, step] for j in range(n)])
            total = total - torch.log_softmax(logits, dim=0)[i]
    return total / (n * k)


@pytest.mark.parametrize("among", ["contexts", "futures"])
def test_temporal_cpc_equals_its_formula(among: Any) -> None:
    predictions, futures = draw(5, 3, 4), draw(5, 3, 4, seed=1)
    assert_same(
        lambda p, f: temporal_cpc(p, f, among), lambda p, f: slow_temporal_cpc(p, f, among), predictions, futures
    )
    torch.testing.assert_close(
        temporal_cpc(predictions[:, 0], futures[:, 0], among), temporal_cpc(predictions[:, :1], futures[:, :1], among)
    )


def official_context(past: Tensor, state: dict[str, Tensor], heads: int = 4) -> Tensor:
    """TS-TCC's transformer on (n, steps, channels), dropout off: pre-norm, scaled by the full width."""
    x = F.linear(past, state["patch_to_embedding.weight"], state["patch_to_embedding.bias"])
    x = torch.cat([state["c_token"].expand(len(x), 1, -1), x], dim=1)
    for layer in range(4):
        name = f"transformer.layers.{layer}.0.fn."
        y = F.layer_norm(x, x.shape[2:], state[name + "norm.weight"], state[name + "norm.bias"])
        q, k, v = (
            part.unflatten(2, (heads, -1)).transpose(1, 2)
            for part in F.linear(y, state[name + "fn.to_qkv.weight"]).chunk(3, dim=2)
        )
        y = (q @ k.mT * x.shape[2] ** -0.5).softmax(dim=3) @ v
        x = x + F.linear(
            y.transpose(1, 2).flatten(2), state[name + "fn.to_out.0.weight"], state[name + "fn.to_out.0.bias"]
        )
        name = f"transformer.layers.{layer}.1.fn."
        y = F.layer_norm(x, x.shape[2:], state[name + "norm.weight"], state[name + "norm.bias"])
        y = F.relu(F.linear(y, state[name + "fn.net.0.weight"], state[name + "fn.net.0.bias"]))
        x = x + F.linear(y, state[name + "fn.net.3.weight"], state[name + "fn.net.3.bias"])
    return x[:, 0]


def test_temporal_cpc_is_the_official_output(golden: Path) -> None:
    arrays = load_file(golden / "tstcc_small.safetensors")
    prefix = "temporal.seq_transformer."
    state = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    t = int(arrays["tc.t"])
    z1, z2 = arrays["tc.z1"].transpose(1, 2), arrays["tc.z2"].transpose(1, 2)
    context = official_context(z1[:, : t + 1], state)
    steps = sum(name.startswith("temporal.Wk.") and name.endswith("weight") for name in arrays)
    predictions = torch.stack(
        [F.linear(context, arrays[f"temporal.Wk.{k}.weight"], arrays[f"temporal.Wk.{k}.bias"]) for k in range(steps)],
        dim=1,
    )
    value = temporal_cpc(predictions, z2[:, t + 1 : t + 1 + steps])
    torch.testing.assert_close(value, arrays["tc.loss"][0], rtol=0, atol=1e-5)
    assert (temporal_cpc(predictions, z2[:, t + 1 : t + 1 + steps], "futures") - value).abs() > 1e-5


def assert_digits(loss: Callable[..., Tensor], *views: Tensor) -> None:
    """Value and gradient in float32 are those in float64, relative to their own size."""
    single = [view.float().requires_grad_() for view in views]
    exact = [view.detach().double().requires_grad_() for view in single]
    value, expected = loss(*single), loss(*exact)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    for got, want in zip(torch.autograd.grad(value, single), torch.autograd.grad(expected, exact), strict=True):
        assert ((got - want).abs().max() / want.abs().max()).item() < 2e-5


@pytest.mark.parametrize("n", [12, 200])  # plain autograd, and the kernel
@pytest.mark.parametrize("among", ["contexts", "futures"])
def test_temporal_cpc_keeps_the_digits_of_a_solved_task(among: Any, n: int) -> None:
    a = 5 * F.normalize(draw(n, 2, 24), dim=2)
    b = a + 0.1 * draw(n, 2, 24, seed=1)
    assert 0 < temporal_cpc(a, b, among).item() < 1e-4
    assert_digits(lambda p, f: temporal_cpc(p, f, among), a, b)


def test_temporal_cpc_of_one_row_is_zero() -> None:
    a, b = draw(1, 3, 4).requires_grad_(), draw(1, 3, 4, seed=1).requires_grad_()
    value = temporal_cpc(a, b)
    assert value.item() == 0.0
    assert all(not slope.any() for slope in torch.autograd.grad(value, (a, b)))


def test_temporal_cpc_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"predictions is \(2, 3, 4\), futures is \(2, 2, 4\)"):
        temporal_cpc(draw(2, 3, 4), draw(2, 2, 4))
    with pytest.raises(ValueError, match="among must be one of contexts, futures; got 'rows'"):
        temporal_cpc(draw(2, 3, 4), draw(2, 3, 4), "rows")  # type: ignore[arg-type]


# --- consistency -----------------------------------------------------------------------------------------------------


def slow_nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    n = len(a)
    rows = torch.cat([a, b])
    logits = (cosines(rows, rows) / temperature).masked_fill(torch.eye(2 * n, dtype=torch.bool), -math.inf)
    return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


def test_consistency_equals_its_formula() -> None:
    views = [draw(5, 4, seed=k) for k in range(4)]

    def slow(a: Tensor, b: Tensor, a2: Tensor, b2: Tensor) -> Tensor:
        pairs = [(a, b2), (a2, b), (a2, b2)]
        return sum((slow_nt_xent(a, b, 0.3) - slow_nt_xent(u, v, 0.3) + 0.7 for u, v in pairs), a.new_zeros(()))

    assert_same(lambda *v: consistency(*v, temperature=0.3, margin=0.7), slow, *views)


def test_consistency_falls_as_the_own_pair_gets_closer_than_the_augmented_ones() -> None:
    z, noise = torch.eye(6).double(), 0.4 * draw(6, 6)
    chance = consistency(z, z, z, z, margin=0.0)
    torch.testing.assert_close(chance, torch.zeros_like(chance))
    assert consistency(z, z, z + noise, z + noise, margin=0.0) < -0.01
    torch.testing.assert_close(consistency(z, z, z + noise, z, margin=2.0), consistency(z, z, z + noise, z) + 3)


# --- exp_clr ---------------------------------------------------------------------------------------------------------


def slow_exp_clr(a: Tensor, features: Tensor, temperature: float, delta: float | None, squared: bool) -> Tensor:
    n = len(a)
    apart = torch.stack([torch.stack([(features[i] - features[j]).norm() for j in range(n)]) for i in range(n)])
    similarity = 1 - apart / apart.max()
    similarity = similarity**2 if squared else similarity
    factor = 1 / (1 - similarity).mean() if delta is None else delta
    zero = a.new_zeros(())
    far = [[(a[i] - a[j]).norm() if i != j else zero for j in range(n)] for i in range(n)]
    terms = []
    for i in range(n):
        mean = sum(far[i], zero) / n
        terms += [((1 - similarity[i, j]) * factor - far[i][j] / mean) ** 2 for j in range(n)]
    return temperature * torch.log(sum((torch.exp(term / temperature) for term in terms), zero) / n**2)


@pytest.mark.parametrize(("temperature", "delta", "squared"), [(1.0, None, True), (0.3, 1.0, True), (2.0, None, False)])
def test_exp_clr_equals_its_formula(temperature: float, delta: float | None, squared: bool) -> None:
    a, features = draw(6, 3), draw(6, 5, seed=1)
    assert_same(
        lambda z: exp_clr(z, features, temperature, delta, squared=squared),
        lambda z: slow_exp_clr(z, features, temperature, delta, squared),
        a,
    )
    leaf = a.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: exp_clr(z, features, temperature, delta, squared=squared), (leaf,))


def test_the_automatic_delta_removes_the_bias_of_a_fixed_one() -> None:
    # embeddings whose distances follow the features as closely as the row means of D allow: a regular simplex
    features = torch.eye(5).double()
    assert exp_clr(features, features).item() == pytest.approx(0.0, abs=1e-12)
    # E[1 − s] = 4/5, so that Δ = 1 leaves (1 − 5/4)² on every pair of different rows
    fixed = exp_clr(features, features, delta=1.0).item()
    assert fixed == pytest.approx(math.log((5 + 20 * math.exp(0.25**2)) / 25))
    torch.testing.assert_close(exp_clr(7 * features, features), exp_clr(features, features))


def test_exp_clr_takes_the_scale_of_the_training_rows() -> None:
    a, features = draw(6, 3), draw(6, 5, seed=1)
    largest = torch.cdist(features, features).max().item()
    torch.testing.assert_close(exp_clr(a, features, max_distance=largest), exp_clr(a, features))
    assert (exp_clr(a, features, max_distance=2 * largest) - exp_clr(a, features)).abs() > 1e-3


@pytest.mark.parametrize("temperature", [1e-2, 1.0, 1e2, 1e4, 1e6, 1e12])
def test_exp_clr_keeps_its_digits_at_any_temperature(temperature: float) -> None:
    a, features = draw(60, 8), draw(60, 5, seed=1)
    assert_digits(lambda z: exp_clr(z, features, temperature), a)


def test_exp_clr_goes_from_the_worst_pair_to_the_mean() -> None:
    a, features = draw(6, 3), draw(6, 5, seed=1)
    apart, known = torch.cdist(a, a), torch.cdist(features, features)
    target = 1 - (1 - known / known.max()).square()
    pairs = (target / target.mean() - apart / apart.mean(dim=1, keepdim=True)).square()
    torch.testing.assert_close(exp_clr(a, features, 1e9), pairs.mean())
    torch.testing.assert_close(exp_clr(a, features, 1e-9), pairs.max())


def test_exp_clr_needs_rows_that_match() -> None:
    with pytest.raises(ValueError, match=r"a is \(3, 2\), features is \(4, 2\)"):
        exp_clr(draw(3, 2), draw(4, 2))
    with pytest.raises(ValueError, match="temperature must be a number; got tensor"):
        exp_clr(draw(3, 2), draw(3, 2), torch.tensor(0.5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="delta must be positive"):
        exp_clr(draw(3, 2), draw(3, 2), delta=0.0)


# --- er_bound --------------------------------------------------------------------------------------------------------


def slow_er_bound(a: Tensor, b: Tensor, temperature: float, density: str) -> Tensor:
    n = len(a)
    if density == "gaussian":
        kernel = lambda u, v: -((u - v) ** 2).sum() / (2 * temperature)  # noqa: E731
    else:
        kernel = lambda u, v: (u @ v) / (u.norm() * v.norm()) / temperature  # noqa: E731
    total = a.new_zeros(())
    for i in range(n):
        others = torch.stack([kernel(b[i], b[j]) for j in range(n) if j != i])
        total = total + torch.logsumexp(others, dim=0) - math.log(n - 1) - kernel(a[i], b[i])
    return total / n


@pytest.mark.parametrize("density", ["von_mises_fisher", "gaussian"])
@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_er_bound_equals_its_formula(density: Any, temperature: float) -> None:
    a, b = draw(6, 3), draw(6, 3, seed=1)
    assert_same(
        lambda x, y: er_bound(x, y, temperature, density),
        lambda x, y: slow_er_bound(x, y, temperature, density),
        a,
        b,
    )
    shifted = er_bound(a + 1e3, b + 1e3, temperature, "gaussian")
    torch.testing.assert_close(shifted, er_bound(a, b, temperature, "gaussian"), rtol=1e-8, atol=0)


def test_er_bound_does_not_saturate_with_the_batch() -> None:
    for n in (4, 32):
        eye = torch.eye(n)
        assert er_bound(eye, eye, 0.02).item() == pytest.approx(-50.0, rel=1e-5)  # InfoNCE ends at log n


def test_one_row_leaves_the_reconstruction() -> None:
    a, b = draw(1, 3), draw(1, 3, seed=1)
    expected = (1 - cosines(a, b).squeeze()) / 0.1
    torch.testing.assert_close(er_bound(a, b), expected)
    torch.testing.assert_close(er_bound(a, b, 0.1, "gaussian"), (a - b).square().sum() / 0.2)


# --- mixup -----------------------------------------------------------------------------------------------------------


def slow_mixup(a: Tensor, b: Tensor, second: Tensor, weight: Tensor, tau: float, one: Tensor, two: Tensor) -> Tensor:
    keys, samples = torch.cat([b, second]), torch.cat([one, two])
    total = a.new_zeros(())
    for i in range(len(a)):
        p = torch.softmax(cosines(a[i : i + 1], keys)[0] / tau, dim=0)
        total = total - weight[i] * torch.log(p[samples == one[i]].sum())
        total = total - (1 - weight[i]) * torch.log(p[samples == two[i]].sum())
    return total / len(a)


def test_mixup_contrastive_equals_its_formula() -> None:
    views = [draw(6, 4, seed=k) for k in range(3)]
    weight = torch.rand(6, generator=gen(), dtype=torch.float64)
    distinct = torch.arange(12)
    one, two = torch.tensor([0, 1, 2, 3, 4, 4]), torch.tensor([1, 0, 2, 9, 3, 8])
    assert_same(
        lambda *v: mixup_contrastive(*v, weight, 0.3),
        lambda *v: slow_mixup(*v, weight, 0.3, distinct[:6], distinct[6:]),
        *views,
    )
    assert_same(
        lambda *v: mixup_contrastive(*v, weight, 0.3, index=one, second_index=two),
        lambda *v: slow_mixup(*v, weight, 0.3, one, two),
        *views,
    )


def test_duplicates_share_the_target_mass() -> None:
    # the second batch is a permutation of the first: every part is there twice
    n = 8
    order = torch.arange(n).roll(1)
    z = torch.eye(n).double()
    mixed = (z + z[order]) / math.sqrt(2)
    official = mixup_contrastive(mixed, z, z[order], 0.5)
    shared = mixup_contrastive(mixed, z, z[order], 0.5, index=torch.arange(n), second_index=order)
    torch.testing.assert_close(official - shared, torch.tensor(math.log(2), dtype=torch.float64))
    # and none of them is pushed away from its copy
    keys = draw(n, n).requires_grad_()
    slope = torch.autograd.grad(
        mixup_contrastive(mixed, keys, keys.detach()[order], 0.5, index=torch.arange(n), second_index=order), keys
    )[0]
    copy = draw(n, n).requires_grad_()
    other = torch.autograd.grad(
        mixup_contrastive(mixed, copy.detach(), copy[order], 0.5, index=torch.arange(n), second_index=order), copy
    )[0]
    torch.testing.assert_close(slope, other)


def test_mixup_contrastive_refuses_what_it_cannot_use() -> None:
    z = draw(3, 2)
    for coefficient, options, message in [
        (1.5, {}, r"coefficient must be in \[0, 1\]; got 1.5 to 1.5"),
        (torch.zeros(2), {}, r"coefficient must be one number or one a row, \(3,\); got \(2,\)"),
        (math.nan, {}, "coefficient holds non-finite values"),
        (0.5, {"index": torch.arange(3)}, "index and second_index go together"),
    ]:
        with pytest.raises(ValueError, match=message):
            mixup_contrastive(z, z, z, coefficient, **options)  # type: ignore[arg-type]


# --- nnclr -----------------------------------------------------------------------------------------------------------


def test_nnclr_equals_its_formula() -> None:
    a, b, queue = draw(6, 4), draw(6, 4, seed=1), draw(9, 4, seed=2)

    def slow(x: Tensor, y: Tensor) -> Tensor:
        total = y.new_zeros(())
        for i in range(6):
            similar = [(x[i] @ q / q.norm()).item() for q in queue]
            neighbour = queue[similar.index(max(similar))]
            total = total - torch.log_softmax(cosines(neighbour[None], y)[0] / 0.2, dim=0)[i]
        return total / 6

    assert_same(lambda x, y: nnclr(x, y, 0.2, queue=queue), slow, a, b)


def test_nnclr_searches_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("kinview.losses.nnclr")  # the package's door gives the function
    rows, queue = draw(7, 4), draw(5, 4, seed=1)
    whole = nearest(rows, queue)
    assert torch.equal(whole, cosines(rows, queue).argmax(dim=1))
    monkeypatch.setattr(module, "_ELEMENTS", 11)
    assert torch.equal(nearest(rows, queue), whole)


def test_without_a_queue_a_row_stands_for_itself() -> None:
    a, b = draw(5, 4).requires_grad_(), draw(5, 4, seed=1).requires_grad_()
    expected = F.cross_entropy(cosines(a.detach(), b) / 0.1, torch.arange(5))
    for queue in (None, torch.zeros(0, 4), a.detach().float()):
        torch.testing.assert_close(nnclr(a, b, queue=queue), expected, rtol=1e-5, atol=1e-6)
    nnclr(a, b, queue=draw(3, 4, seed=2)).backward()
    assert a.grad is None
    assert b.grad is not None
    with pytest.raises(ValueError, match=r"queue must hold rows of the embeddings' dimension, shape \(m, 4\)"):
        nnclr(a, b, queue=torch.zeros(3, 5))


# --- modules ---------------------------------------------------------------------------------------------------------


def test_modules_are_the_functions() -> None:
    a, b, c, d = (draw(5, 4, seed=k) for k in range(4))
    z1, z2, weights, order = draw(5, 3, 6), draw(5, 3, 6, seed=1), draw(5, 5).abs(), torch.arange(5).roll(2)
    pairs = [
        (
            Hierarchical(0.2, 1, 0.7, "tiled")(z1, z2, instance_weights=weights),
            hierarchical(z1, z2, 0.2, 1, instance_weights=weights, temporal_sharpness=0.7, mode="tiled"),
        ),
        (TemporalCPC("futures")(z1, z2), temporal_cpc(z1, z2, "futures")),
        (Consistency(0.3, 0.5)(a, b, c, d), consistency(a, b, c, d, 0.3, 0.5)),
        (ExpCLR(0.7, 1.2, False, 9.0)(a, b), exp_clr(a, b, 0.7, 1.2, squared=False, max_distance=9.0)),
        (ERBound(0.3, "gaussian")(a, b), er_bound(a, b, 0.3, "gaussian")),
        (
            MixupContrastive(0.3)(a, b, b[order], 0.4, index=torch.arange(5), second_index=order),
            mixup_contrastive(a, b, b[order], 0.4, 0.3, index=torch.arange(5), second_index=order),
        ),
        (NNCLR(0.3)(a, b, queue=c), nnclr(a, b, 0.3, queue=c)),
    ]
    for module, function in pairs:
        assert torch.equal(module, function)
