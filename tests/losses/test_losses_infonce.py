"""The InfoNCE family against slow float64 transcriptions, closed forms, published code's values, and its edges."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from helpers import draw, gen, rotation
from kinview.losses import (
    _blockwise,
    _tiles,
    clip,
    debiased,
    decoupled,
    group_nce,
    hard_negative,
    info_nce,
    neighbourhood,
    nt_xent,
    sigmoid,
    sup_con,
)

GROUPS = torch.tensor([0, 0, 1, 2, 0, 1, 3])
TIMES = torch.tensor([0.0, 1.0, 0.0, 5.0, 9.0, 2.0, 3.0])
QUEUE = draw(5, 8, seed=7)
QUEUE_GROUPS = torch.tensor([0, 3, 1, 0, 8])
QUEUE_TIMES = torch.tensor([2.0, 2.0, 9.0, 20.0, 0.0])
INDEX, QUEUE_INDEX = torch.arange(7), torch.tensor([3, 11, 3, 0, 12])

Loss = Callable[..., Tensor]


def cosine(x: Tensor, y: Tensor) -> Tensor:
    return (x / x.norm()) @ (y / y.norm())


def number(value: Tensor) -> float:
    return float(value.detach())


def mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean()


def total(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum()


def slow_info_nce(a: Tensor, b: Tensor, t: float, queue: Tensor | None = None) -> Tensor:
    values = []
    for i in range(len(a)):
        parts = [torch.exp(cosine(a[i], row) / t) for row in b]
        if queue is not None:
            parts += [torch.exp(cosine(a[i], q) / t) for q, of in zip(queue, QUEUE_INDEX) if of != INDEX[i]]
        values.append(-torch.log(parts[i] / total(parts)))
    return mean(values)


def slow_two_views(a: Tensor, b: Tensor, anchor: Callable[[Tensor, list[Tensor], int], Tensor]) -> Tensor:
    """Mean over 2n anchors of a function of the positive's cosine, the negatives' cosines, and the pair."""
    z, n = torch.cat([a, b]), len(a)
    values = []
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        negatives = [cosine(z[i], z[k]) for k in range(2 * n) if k not in (i, partner)]
        values.append(anchor(cosine(z[i], z[partner]), negatives, i % n))
    return mean(values)


def slow_nt_xent(a: Tensor, b: Tensor, t: float) -> Tensor:
    return slow_two_views(
        a, b, lambda p, ks, _: -torch.log(torch.exp(p / t) / total([torch.exp(s / t) for s in [p, *ks]]))
    )


def slow_hard_negative(a: Tensor, b: Tensor, t: float, tau_plus: float = 0.1, beta: float = 1.0) -> Tensor:
    def anchor(p: Tensor, ks: list[Tensor], _: int) -> Tensor:
        count = len(ks)
        weights = [torch.exp(beta * s / t) for s in ks]
        hard = total([w / mean(weights) * torch.exp(s / t) for w, s in zip(weights, ks)])
        corrected = (hard - count * tau_plus * torch.exp(p / t)) / (1 - tau_plus)
        corrected = torch.clamp(corrected, min=count * math.exp(-1 / t))
        return -torch.log(torch.exp(p / t) / (torch.exp(p / t) + corrected))

    return slow_two_views(a, b, anchor)


def slow_decoupled(a: Tensor, b: Tensor, t: float, weighted: bool = False, sigma: float = 0.5) -> Tensor:
    density = torch.stack([torch.exp(cosine(x, y) / sigma) for x, y in zip(a, b)]).detach()
    weights = 2 - density / density.mean() if weighted else torch.ones_like(density)
    return slow_two_views(a, b, lambda p, ks, i: -weights[i] * p / t + torch.log(total([torch.exp(s / t) for s in ks])))


def slow_sup_con(a: Tensor, b: Tensor | None, t: float) -> Tensor:
    z = a if b is None else torch.cat([a, b])
    y = GROUPS if b is None else GROUPS.repeat(2)
    values = []
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        normaliser = total([torch.exp(cosine(z[i], z[k]) / t) for k in others])
        terms = [-torch.log(torch.exp(cosine(z[i], z[p]) / t) / normaliser) for p in others if y[p] == y[i]]
        if terms:
            values.append(mean(terms))
    return mean(values)


def slow_group_nce(*views: Tensor, t: float) -> Tensor:
    values = []
    for one, other in permutations(views, 2):
        terms = []
        for i, j in ((i, j) for i in range(len(one)) for j in range(len(one)) if GROUPS[i] == GROUPS[j]):
            normaliser = total([torch.exp(cosine(one[i], row) / t) for row in other])
            terms.append(-torch.log(torch.exp(cosine(one[i], other[j]) / t) / normaliser))
        values.append(mean(terms))
    return mean(values)


def slow_neighbourhood(
    a: Tensor,
    b: Tensor,
    t: float,
    alpha: float,
    window: float | None = None,
    queue: Tensor | None = None,
    both_ways: bool = True,
) -> Tensor:
    groups = GROUPS if queue is None else torch.cat([GROUPS, QUEUE_GROUPS])
    times = TIMES if queue is None else torch.cat([TIMES, QUEUE_TIMES])
    values = []
    for anchors, others in ((a, b), (b, a)) if both_ways else ((a, b),):
        keys = others if queue is None else torch.cat([others, queue])
        for i in range(len(a)):
            logits = [cosine(anchors[i], key) / t for key in keys]
            near = [
                k
                for k in range(len(keys))
                if groups[k] == GROUPS[i] and (window is None or abs(times[k] - TIMES[i]) <= window)
            ]
            align = torch.log(total([torch.exp(s) for s in logits])) - mean([logits[k] for k in near])
            tell = torch.log(total([torch.exp(logits[k]) for k in near])) - logits[i]
            values.append(alpha * align + (1 - alpha) * tell)
    return mean(values)


def slow_sigmoid(a: Tensor, b: Tensor, t: float, bias: float) -> Tensor:
    n = len(a)
    terms = [
        -torch.log(torch.sigmoid((1 if i == k else -1) * (cosine(a[i], b[k]) / t + bias)))
        for i in range(n)
        for k in range(n)
    ]
    return total(terms) / n


QUEUED = {"queue": QUEUE, "queue_groups": QUEUE_GROUPS}
PAIRS: dict[str, tuple[Loss, Loss]] = {
    "info_nce": (lambda a, b, t: info_nce(a, b, t), slow_info_nce),
    "info_nce_queue": (
        lambda a, b, t: info_nce(a, b, t, queue=QUEUE, index=INDEX, queue_index=QUEUE_INDEX),
        lambda a, b, t: slow_info_nce(a, b, t, QUEUE),
    ),
    "nt_xent": (nt_xent, slow_nt_xent),
    "clip": (clip, lambda a, b, t: (slow_info_nce(a, b, t) + slow_info_nce(b, a, t)) / 2),
    "sigmoid": (lambda a, b, t: sigmoid(a, b, t, -3.0), lambda a, b, t: slow_sigmoid(a, b, t, -3.0)),
    "debiased": (debiased, lambda a, b, t: slow_hard_negative(a, b, t, beta=0.0)),
    "debiased_often_clamped": (
        lambda a, b, t: debiased(a, b, t, 0.8),
        lambda a, b, t: slow_hard_negative(a, b, t, 0.8, beta=0.0),
    ),
    "hard_negative": (hard_negative, slow_hard_negative),
    "hard_negative_beta": (
        lambda a, b, t: hard_negative(a, b, t, 0.3, 0.5),
        lambda a, b, t: slow_hard_negative(a, b, t, 0.3, 0.5),
    ),
    "decoupled": (decoupled, slow_decoupled),
    "decoupled_weighted": (
        lambda a, b, t: decoupled(a, b, t, weighted=True),
        lambda a, b, t: slow_decoupled(a, b, t, True),
    ),
    "sup_con": (lambda a, b, t: sup_con(a, b, t, labels=GROUPS), slow_sup_con),
    "sup_con_one_view": (
        lambda a, b, t: sup_con(a, None, t, labels=GROUPS) + 0 * b.sum(),
        lambda a, b, t: slow_sup_con(a, None, t) + 0 * b.sum(),
    ),
    "group_nce": (
        lambda a, b, t: group_nce(a, b, groups=GROUPS, temperature=t),
        lambda a, b, t: slow_group_nce(a, b, t=t),
    ),
    "group_nce_three_views": (
        lambda a, b, t: group_nce(a, b, a * b, groups=GROUPS, temperature=t),
        lambda a, b, t: slow_group_nce(a, b, a * b, t=t),
    ),
    "neighbourhood": (
        lambda a, b, t: neighbourhood(a, b, t, groups=GROUPS),
        lambda a, b, t: slow_neighbourhood(a, b, t, 0.3),
    ),
    "neighbourhood_window": (
        lambda a, b, t: neighbourhood(a, b, t, 0.6, 2.0, groups=GROUPS, times=TIMES),
        lambda a, b, t: slow_neighbourhood(a, b, t, 0.6, 2.0),
    ),
    "neighbourhood_queue": (
        lambda a, b, t: neighbourhood(a, b, t, 0.4, 2.0, groups=GROUPS, times=TIMES, **QUEUED, queue_times=QUEUE_TIMES),
        lambda a, b, t: slow_neighbourhood(a, b, t, 0.4, 2.0, QUEUE),
    ),
    "neighbourhood_queue_one_way": (
        lambda a, b, t: neighbourhood(
            a, b, t, 0.4, 2.0, False, groups=GROUPS, times=TIMES, **QUEUED, queue_times=QUEUE_TIMES
        ),
        lambda a, b, t: slow_neighbourhood(a, b, t, 0.4, 2.0, QUEUE, both_ways=False),
    ),
}
SYMMETRIC = [
    name
    for name in PAIRS
    if not name.startswith(("info_nce", "sup_con_one", "group_nce_three", "neighbourhood_queue_one_way"))
]


def views(n: int = 7, d: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = gen(seed)
    a = torch.randn(n, d, dtype=torch.float64, generator=generator)
    b = a + 0.7 * torch.randn(n, d, dtype=torch.float64, generator=generator)
    return a.requires_grad_(), b.requires_grad_()


def orthogonal(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Nearly orthogonal samples whose views nearly agree: the hardest case for small temperatures."""
    generator = gen(1)
    a = torch.eye(n, d, dtype=torch.float64) + 0.01 * torch.randn(n, d, dtype=torch.float64, generator=generator)
    return a, a + 0.02 * torch.randn(n, d, dtype=torch.float64, generator=generator)


@pytest.fixture(params=["dense", "tiles"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tiles":
        monkeypatch.setattr(_blockwise, "_DENSE", 0)
        monkeypatch.setattr(_blockwise, "_KEEP", 0)
        monkeypatch.setattr(_tiles, "_TILE", {"cpu": 4})


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("temperature", [1.0, 0.2, 0.05])
@pytest.mark.parametrize("name", PAIRS)
def test_value_and_gradient_equal_the_transcription(name: str, temperature: float) -> None:
    fast, slow = PAIRS[name]
    a, b = views()
    value, expected = fast(a, b, temperature), slow(a, b, temperature)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    for got, want in zip(torch.autograd.grad(value, (a, b)), torch.autograd.grad(expected, (a, b)), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("name", [name for name in PAIRS if name != "decoupled_weighted"])  # weights are constants
def test_gradcheck(name: str) -> None:
    a, b = views()
    assert torch.autograd.gradcheck(lambda a, b: PAIRS[name][0](a, b, 0.3), (a, b))


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("temperature", [1.0, 0.2, 0.05, 0.01])
@pytest.mark.parametrize("name", PAIRS)
def test_float32_follows_float64_on_nearly_orthogonal_rows(name: str, temperature: float) -> None:
    a, b = orthogonal(7, 8)
    fast = PAIRS[name][0]
    results = []
    for dtype in (torch.float64, torch.float32):
        inputs = tuple(view.to(dtype).requires_grad_() for view in (a, b))
        value = fast(*inputs, temperature)
        results.append((value, *torch.autograd.grad(value, inputs)))
    for exact, single in zip(*results, strict=True):
        assert bool(torch.isfinite(single).all())
        scale = number(exact.abs().max().clamp_min(1.0))
        torch.testing.assert_close(single.double(), exact, rtol=0, atol=3e-5 * scale)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", PAIRS)
def test_half_precision_inputs_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    half = [view.detach().to(dtype).requires_grad_() for view in views()]
    wide = [view.detach().float().requires_grad_() for view in half]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = PAIRS[name][0](*half, 0.01)
    expected = PAIRS[name][0](*wide, 0.01)
    assert value.dtype == torch.float32
    if name != "group_nce_three_views":  # its third view is a product in half precision
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    value.backward()
    assert all(bool(torch.isfinite(view.grad).all()) for view in half if view.grad is not None)


@pytest.mark.parametrize("name", [name for name in PAIRS if "queue" not in name and "three" not in name])
def test_turning_the_space_changes_nothing(name: str) -> None:
    a, b = views()
    turn = rotation(8)
    value = PAIRS[name][0]
    torch.testing.assert_close(value(a @ turn, b @ turn, 0.2), value(a, b, 0.2))
    torch.testing.assert_close(value(3 * a, 0.1 * b, 0.2), value(a, b, 0.2))


@pytest.mark.parametrize("name", SYMMETRIC)
def test_swapping_the_views_changes_nothing_where_symmetric(name: str) -> None:
    a, b = views()
    torch.testing.assert_close(PAIRS[name][0](b, a, 0.2), PAIRS[name][0](a, b, 0.2))


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_golden_scarf(golden: Path, temperature: float) -> None:
    arrays = load_file(golden / "scarf_ntxent.safetensors")
    value = nt_xent(arrays["a"], arrays["b"], temperature)
    assert number(value) == pytest.approx(number(arrays[f"ntxent_tau{temperature}"]), abs=1e-5)


def external(file: str) -> dict[str, Tensor]:
    folder = os.environ.get("KINVIEW_GOLDEN")
    if not folder:
        pytest.skip("KINVIEW_GOLDEN does not name a folder of outputs of official implementations")
    return load_file(Path(folder) / file)


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0])
def test_golden_ts_tcc(temperature: float) -> None:
    arrays = external("tstcc_epilepsy.safetensors")
    value = nt_xent(arrays["ntxent.a"], arrays["ntxent.b"], temperature)
    assert number(value) == pytest.approx(number(arrays[f"ntxent.loss_tau{temperature}"]), abs=1e-5)


def test_golden_tf_c() -> None:
    arrays = external("tfc_178.safetensors")
    a, b = arrays["a"], arrays["b"]
    value = nt_xent(a, b, 0.2)
    assert number(value) == pytest.approx(number(arrays["ntxent_tau0.2"]), abs=1e-5)
    # its second form adds n (1/n − mean of one-hot · softmax) over the 2n × (2n − 1) matrix of candidates
    n = len(a)
    z = torch.nn.functional.normalize(torch.cat([a, b]), dim=1)
    logits = (z @ z.T / 0.2).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    probability = logits.softmax(dim=1)[torch.arange(2 * n), torch.arange(2 * n).roll(n)]
    poly = value + n * (1 / n - probability.sum() / (2 * n * (2 * n - 1)))
    assert number(poly) == pytest.approx(number(arrays["ntxent_poly_tau0.2"]), abs=1e-5)
