"""The InfoNCE family: closed forms, relations, edges, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from helpers import draw, gen
from kinview.losses import (
    CLIP,
    InfoNCE,
    Sigmoid,
    clip,
    debiased,
    decoupled,
    group_nce,
    hard_negative,
    info_nce,
    losses,
    neighbourhood,
    nt_xent,
    sigmoid,
    sup_con,
)
from test_losses_infonce import GROUPS, INDEX, PAIRS, QUEUE, QUEUE_GROUPS, TIMES, Loss, cosine, number, views


def test_info_nce_has_one_direction() -> None:
    a, b = views()
    assert abs(number(info_nce(a, b, 0.2) - info_nce(b, a, 0.2))) > 1e-3


def test_reordering_the_rows_with_what_they_carry_changes_nothing() -> None:
    a, b = views()
    order = torch.randperm(7, generator=gen(3))
    for fast in (info_nce, nt_xent, clip, sigmoid, debiased, hard_negative, decoupled):
        torch.testing.assert_close(fast(a[order], b[order], 0.2), fast(a, b, 0.2))
    moved = {"groups": GROUPS[order], "times": TIMES[order]}
    torch.testing.assert_close(
        neighbourhood(a[order], b[order], window=2.0, **moved),
        neighbourhood(a, b, window=2.0, groups=GROUPS, times=TIMES),
    )
    torch.testing.assert_close(group_nce(a[order], b[order], groups=GROUPS[order]), group_nce(a, b, groups=GROUPS))
    torch.testing.assert_close(sup_con(a[order], b[order], labels=GROUPS[order]), sup_con(a, b, labels=GROUPS))


def test_collapsed_embeddings_have_the_value_of_chance() -> None:
    for n in (2, 5, 300):
        one = torch.ones(n, 4, dtype=torch.float64)
        groups = torch.arange(n) % 2
        expected = {
            nt_xent: math.log(2 * n - 1),
            debiased: math.log(2 * n - 1),
            hard_negative: math.log(2 * n - 1),
            info_nce: math.log(n),
            clip: math.log(n),
            decoupled: math.log(2 * n - 2),
        }
        for fast, value in expected.items():
            assert number(fast(one, one)) == pytest.approx(value, abs=1e-9)
        assert number(sigmoid(one, one)) == pytest.approx(n * math.log(2), abs=1e-9)
        assert number(sup_con(one, one, labels=groups)) == pytest.approx(math.log(2 * n - 1), abs=1e-9)
        assert number(group_nce(one, one, groups=groups)) == pytest.approx(math.log(n), abs=1e-9)


def test_perfect_embeddings_reach_the_limit() -> None:
    n, t = 6, 0.5
    z = torch.eye(n, dtype=torch.float64)  # own views identical, everything else orthogonal
    assert number(nt_xent(z, z, t)) == pytest.approx(math.log1p((2 * n - 2) * math.exp(-1 / t)))
    assert number(info_nce(z, z, t)) == pytest.approx(math.log1p((n - 1) * math.exp(-1 / t)))
    assert number(clip(z, z, t)) == pytest.approx(math.log1p((n - 1) * math.exp(-1 / t)))
    assert number(decoupled(z, z, t)) == pytest.approx(math.log(2 * n - 2) - 1 / t)
    assert number(nt_xent(z, z, 0.01)) == pytest.approx(0.0, abs=1e-12)


def test_relations_between_the_members() -> None:
    a, b = views()
    alone, together = torch.arange(7), torch.zeros(7, dtype=torch.long)
    torch.testing.assert_close(debiased(a, b, 0.2, tau_plus=0.0), nt_xent(a, b, 0.2))
    torch.testing.assert_close(hard_negative(a, b, 0.2, 0.1, beta=0.0), debiased(a, b, 0.2, 0.1))
    torch.testing.assert_close(sup_con(a, b, 0.2, labels=alone), nt_xent(a, b, 0.2))
    torch.testing.assert_close(group_nce(a, b, groups=alone, temperature=0.2), clip(a, b, 0.2))
    torch.testing.assert_close(neighbourhood(a, b, 0.2, alpha=0.0, groups=together), clip(a, b, 0.2))
    torch.testing.assert_close(neighbourhood(a, b, 0.2, alpha=1.0, groups=alone), clip(a, b, 0.2))
    assert number(neighbourhood(a, b, 0.2, alpha=0.0, groups=alone)) == pytest.approx(0.0, abs=1e-12)
    torch.testing.assert_close(info_nce(a, b, 0.2, queue=a[:0]), info_nce(a, b, 0.2))


def test_group_nce_does_not_grow_with_duplicated_views() -> None:
    a, _ = views()
    torch.testing.assert_close(group_nce(a, a, a, groups=GROUPS), group_nce(a, a, groups=GROUPS))


@pytest.mark.parametrize("name", PAIRS)
def test_duplicates_in_a_batch_are_finite(name: str) -> None:
    row = draw(1, 8, seed=2).expand(7, 8)
    a, b = row.clone().requires_grad_(), row.clone().requires_grad_()
    value = PAIRS[name][0](a, b, 0.01)
    value.backward()
    assert bool(torch.isfinite(value)) and a.grad is not None and bool(torch.isfinite(a.grad).all())


def test_rows_of_zeros_are_finite() -> None:
    for fast in (info_nce, nt_xent, clip, sigmoid, debiased, hard_negative, decoupled):
        a, b = torch.zeros(4, 3, requires_grad=True), torch.ones(4, 3, requires_grad=True)
        fast(a, b).backward()
        assert a.grad is not None and bool(torch.isfinite(a.grad).all())


def test_a_single_pair_teaches_nothing_and_is_finite() -> None:
    one = torch.tensor([0])
    for fast in (
        info_nce,
        nt_xent,
        clip,
        debiased,
        hard_negative,
        decoupled,
        lambda a, b: decoupled(a, b, weighted=True),
        lambda a, b: sup_con(a, b, labels=one),
        lambda a, b: sup_con(a, None, labels=one) + 0 * b.sum(),
        lambda a, b: group_nce(a, b, groups=one),
        lambda a, b: neighbourhood(a, b, groups=one),
    ):
        a, b = torch.randn(1, 4, requires_grad=True), torch.randn(1, 4, requires_grad=True)
        value = fast(a, b)
        value.backward()
        assert number(value.detach()) == pytest.approx(0.0, abs=1e-6)
        for view in (a, b):
            assert view.grad is not None and number(view.grad.abs().max()) < 1e-6


def test_anchors_without_positives_are_left_out_of_the_mean() -> None:
    a, _ = views(4)
    labels = torch.tensor([0, 0, 1, 2])
    normaliser = torch.logsumexp(
        (torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(a, dim=1).T / 0.1).masked_fill(
            torch.eye(4, dtype=torch.bool), -torch.inf
        ),
        dim=1,
    )
    expected = normaliser[:2].mean() - cosine(a[0], a[1]) / 0.1  # two anchors of four
    torch.testing.assert_close(sup_con(a, labels=labels), expected)
    nobody = sup_con(a, labels=torch.arange(4))
    nobody.backward()
    assert number(nobody.detach()) == 0.0 and a.grad is not None and number(a.grad.abs().max()) == 0.0


def test_clip_and_sigmoid_learn_their_temperature() -> None:
    a, b = views()
    for build, reference in (
        (CLIP, lambda s, a, b, m: clip(a, b, 1 / s)),
        (Sigmoid, lambda s, a, b, m: sigmoid(a, b, 1 / s, m.logit_bias)),
    ):
        module = build(temperature=0.25).double()
        module(a, b).backward()
        step = 1e-6
        with torch.no_grad():
            high, low = (reference(4 * math.exp(e), a, b, module) for e in (step, -step))
        assert number(module.log_scale.grad) == pytest.approx(number(high - low) / (2 * step), rel=1e-5)
        assert not build(temperature=0.25, learnable=False).log_scale.requires_grad
    module = Sigmoid(0.25, -1.0).double()
    module(a, b).backward()
    with torch.no_grad():
        high, low = (sigmoid(a, b, 0.25, -1.0 + e) for e in (1e-6, -1e-6))
    assert number(module.logit_bias.grad) == pytest.approx(number(high - low) / 2e-6, rel=1e-5)


def test_clip_limits_its_parameter_and_can_come_back() -> None:
    a, b = views()
    module = CLIP(temperature=0.1, max_scale=20.0)
    with torch.no_grad():
        module.log_scale.fill_(9.0)
    value = module(a, -b)  # a wrong pairing asks for a smaller scale
    assert module.log_scale.item() == pytest.approx(math.log(20))
    torch.testing.assert_close(value, clip(a, -b, 0.05), rtol=1e-6, atol=1e-6)
    value.backward()
    assert number(module.log_scale.grad) > 0
    with pytest.raises(ValueError, match="max_scale=5 is below 1 / temperature = 10"):
        CLIP(temperature=0.1, max_scale=5)


def test_the_queue_gets_no_gradient_and_leaves_out_the_own_sample() -> None:
    a, b = views()
    queue = QUEUE.clone().requires_grad_()
    info_nce(a, b, queue=queue).backward()
    neighbourhood(a, b, groups=GROUPS, queue=queue, queue_groups=QUEUE_GROUPS).backward()
    assert queue.grad is None
    stale = a.detach()[:3]  # the anchors' own older embeddings
    assert number(info_nce(a, b, 0.1, queue=stale)) > number(info_nce(a, b, 0.1)) + 1e-3
    value = info_nce(a[:1], b[:1], 0.1, queue=stale[:1], index=INDEX[:1], queue_index=INDEX[:1])
    assert number(value) == pytest.approx(0.0, abs=1e-12)


CALLS: dict[str, tuple[Loss, dict[str, Tensor]]] = {
    "info_nce": (info_nce, {}),
    "nt_xent": (nt_xent, {}),
    "clip": (clip, {}),
    "sigmoid": (sigmoid, {}),
    "debiased": (debiased, {}),
    "hard_negative": (hard_negative, {}),
    "decoupled": (decoupled, {}),
    "sup_con": (sup_con, {"labels": GROUPS}),
    "group_nce": (group_nce, {"groups": GROUPS}),
    "neighbourhood": (neighbourhood, {"groups": GROUPS}),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("poison", [torch.nan, torch.inf, -torch.inf])
def test_non_finite_input_is_refused_by_name(name: str, poison: float) -> None:
    function, rows = CALLS[name]
    for which in ("a", "b"):
        given = {"a": torch.ones(7, 3), "b": torch.ones(7, 3)}
        given[which][2, 1] = poison
        with pytest.raises(ValueError, match=f"^{which} holds non-finite values; {name} needs finite embeddings"):
            function(given["a"], given["b"], **rows)


@pytest.mark.parametrize("name", CALLS)
def test_wrong_inputs_are_refused_with_what_was_given(name: str) -> None:
    function, rows = CALLS[name]
    z = torch.ones(7, 3)
    with pytest.raises(
        ValueError, match=rf"{name} needs two \(n, d\) views of one shape; a is \(7, 3\), b is \(7, 2\)"
    ):
        function(z, z[:, :2], **rows)
    with pytest.raises(ValueError, match=rf"{name} needs at least one row and one dimension; a is \(0, 3\)"):
        function(z[:0], z[:0], **{key: value[:0] for key, value in rows.items()})
    with pytest.raises(ValueError, match=f"a must be floating point for {name}; got torch.int64"):
        function(z.long(), z, **rows)
    for temperature in (0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="temperature must be positive; got"):
            function(z, z, temperature=temperature, **rows)
        with pytest.raises(ValueError, match="temperature must be positive; got"):
            losses.build({name: {"temperature": temperature}})
    for key in rows:
        with pytest.raises(ValueError, match=rf"{key} must hold one entry a row, shape \(7,\), for {name}; got \(4,\)"):
            function(z, z, **{key: GROUPS[:4]})
        with pytest.raises(ValueError, match=f"{key} holds non-finite values"):
            function(z, z, **{key: torch.full((7,), torch.nan)})
        with pytest.raises(TypeError, match=key):
            function(z, z)


@pytest.mark.parametrize("name", ["sup_con", "group_nce", "neighbourhood", "debiased", "hard_negative", "decoupled"])
def test_a_fixed_temperature_is_not_given_as_a_tensor(name: str) -> None:
    """It would look learnable, where the debiased losses clamp with its value."""
    function, rows = CALLS[name]
    z, learned = torch.ones(7, 3), torch.tensor(0.5, requires_grad=True)
    with pytest.raises(ValueError, match=r"temperature must be a number; got tensor\(0\.5000, requires_grad=True\)"):
        function(z, z, temperature=learned, **rows)
    with pytest.raises(ValueError, match="temperature must be a number; got tensor"):
        losses.build({name: {"temperature": learned}})


def test_wrong_options_are_refused() -> None:
    z = torch.ones(7, 3)
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"tau_plus must be in \[0, 1\); got"):
            debiased(z, z, tau_plus=wrong)
        with pytest.raises(ValueError, match=r"tau_plus must be in \[0, 1\); got"):
            losses.build({"hard_negative": {"tau_plus": wrong}})
    with pytest.raises(ValueError, match="beta must be finite and not negative; got -1"):
        hard_negative(z, z, beta=-1)
    with pytest.raises(ValueError, match="sigma must be positive; got 0"):
        decoupled(z, z, sigma=0)
    with pytest.raises(ValueError, match="bias must be finite; got nan"):
        sigmoid(z, z, bias=math.nan)
    with pytest.raises(ValueError, match="got 1, give at least two"):
        group_nce(z, groups=GROUPS)
    with pytest.raises(ValueError, match=r"view_2 is \(6, 3\)"):
        group_nce(z, z, z[:6], groups=GROUPS)
    with pytest.raises(ValueError, match=r"queue must hold .* shape \(m, 3\), for info_nce; got \(5, 8\)"):
        info_nce(z, z, queue=QUEUE)
    with pytest.raises(ValueError, match="index and queue_index go together"):
        info_nce(z, z, queue=z, index=INDEX)
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\]; got 1.5"):
        neighbourhood(z, z, alpha=1.5, groups=GROUPS)
    with pytest.raises(ValueError, match="window must not be negative; got -1"):
        neighbourhood(z, z, window=-1, groups=GROUPS, times=TIMES)
    with pytest.raises(ValueError, match="times and window go together"):
        neighbourhood(z, z, window=1.0, groups=GROUPS)
    with pytest.raises(ValueError, match="queue_groups is missing"):
        neighbourhood(z, z, groups=GROUPS, queue=z)
    with pytest.raises(ValueError, match="queue_times and window go together"):
        neighbourhood(z, z, window=1.0, groups=GROUPS, times=TIMES, queue=z, queue_groups=GROUPS)


@pytest.mark.parametrize("name", CALLS)
def test_modules_are_built_by_name_and_say_the_same(name: str) -> None:
    function, rows = CALLS[name]
    a, b = views()
    module = losses.build({name: {"temperature": 0.3}})
    torch.testing.assert_close(module(a, b, **rows), function(a, b, temperature=0.3, **rows), rtol=1e-6, atol=1e-6)
    assert losses.to_config(module) == {name: {"temperature": 0.3}}
    assert losses.build(losses.to_config(losses.build(name))).temperature == losses.build(name).temperature


def test_flags_are_frozen_on_class_and_instance() -> None:
    for owner in (InfoNCE, InfoNCE()):
        with pytest.raises(AttributeError, match=r"InfoNCE\.symmetric is a frozen flag"):
            owner.symmetric = True
        with pytest.raises(AttributeError, match=r"InfoNCE\.gathers is a frozen flag"):
            del owner.gathers
    assert InfoNCE.flags() == {
        "needs_labels": False,
        "needs_groups": False,
        "needs_negatives": True,
        "symmetric": False,
        "gathers": True,
    }


def alone(a: Tensor) -> Tensor:
    """A group for each row."""
    return torch.arange(len(a))


@pytest.mark.parametrize("n", [6, 150])  # plain autograd, and the kernel
@pytest.mark.parametrize(
    "fast",
    [
        nt_xent,
        info_nce,
        clip,
        lambda a, b, t: sup_con(a, b, t, labels=alone(a)),
        lambda a, b, t: sup_con(torch.cat([a, b]), None, t, labels=alone(a).repeat(2)),
        lambda a, b, t: group_nce(a, b, groups=alone(a), temperature=t),
        lambda a, b, t: group_nce(a, b, a + b, groups=alone(a), temperature=t),
        lambda a, b, t: neighbourhood(a, b, t, groups=alone(a)),
        lambda a, b, t: neighbourhood(
            a, b, t, 1.0, groups=alone(a), queue=QUEUE.repeat(1, 8), queue_groups=-1 - GROUPS[:5]
        ),
        lambda a, b, t: neighbourhood(a, b, t, 1.0, 0.5, groups=alone(a) * 0, times=alone(a)),
        lambda a, b, t: neighbourhood(a, b, t, 0.0, groups=alone(a) // 3),
    ],
)
def test_a_solved_task_keeps_its_small_value_and_gradient_in_float32(fast: Loss, n: int) -> None:
    """At τ = 0.02 the positive wins by 25 to 50 nats: log-sum-exp minus positive would be rounding noise."""
    a, b = (view.detach() for view in views(n=n, d=64))
    b = a + 0.2 * (b - a)
    single = [view.float().requires_grad_() for view in (a, b)]
    exact = [view.detach().double().requires_grad_() for view in single]
    value, expected = fast(*single, 0.02), fast(*exact, 0.02)
    assert 0 < number(expected) < 1e-6
    assert number(value) == pytest.approx(number(expected), rel=1e-4)
    for got, want in zip(torch.autograd.grad(value, single), torch.autograd.grad(expected, exact), strict=True):
        torch.testing.assert_close(got.double() / want.norm(), want / want.norm(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("n", [6, 150])
def test_groups_of_one_and_of_many_in_a_batch_each_count(n: int) -> None:
    """Rows with one positive go another way than rows with several; in a batch of both each keeps its formula."""
    a, b = views(n=n)
    labels = torch.arange(n) // 3
    labels[:2] = torch.tensor([n, n + 1])  # groups of 1, 1, 1, 3, 3, ...
    same = labels[:, None] == labels[None, :]
    logits = torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T / 0.1
    ways = [-torch.log_softmax(logits, dim=1), -torch.log_softmax(logits.T, dim=1)]
    torch.testing.assert_close(group_nce(a, b, groups=labels), sum(way[same].mean() for way in ways) / 2)
    torch.testing.assert_close(
        neighbourhood(a, b, alpha=1.0, groups=labels),
        sum(((way * same).sum(dim=1) / same.sum(dim=1)).mean() for way in ways) / 2,
    )
    labels[2:4] = n + 2  # with one view: no positive, one, one of those from a group of three, several
    rows = torch.nn.functional.normalize(a, dim=1)
    itself = torch.eye(n, dtype=torch.bool)
    log_probabilities = torch.log_softmax((rows @ rows.T / 0.1).masked_fill(itself, -torch.inf), dim=1)
    positives = (labels[:, None] == labels[None, :]) & ~itself
    anchors = positives.any(dim=1)
    means = -log_probabilities.where(positives, 0.0).sum(dim=1)[anchors] / positives.sum(dim=1)[anchors]
    torch.testing.assert_close(sup_con(a, labels=labels), means.mean())


def test_lone_rows_are_as_exact_as_pairs() -> None:
    a, b = (view.detach().float() for view in views(n=40, d=64))
    b = a + 0.2 * (b - a)
    for t in (0.02, 0.1, 1.0):
        same = {"rtol": 1e-5, "atol": 0.0}
        torch.testing.assert_close(sup_con(a, b, t, labels=alone(a)), nt_xent(a, b, t), **same)
        torch.testing.assert_close(group_nce(a, b, groups=alone(a), temperature=t), clip(a, b, t), **same)
        torch.testing.assert_close(neighbourhood(a, b, t, 1.0, groups=alone(a)), clip(a, b, t), **same)


def test_a_queue_of_the_own_sample_alone_is_finite() -> None:
    a, b = views(n=1)
    info_nce(a, b, 0.1, queue=QUEUE[:1], index=INDEX[:1], queue_index=INDEX[:1]).backward()
    assert a.grad is not None and number(a.grad.abs().max()) == 0.0
