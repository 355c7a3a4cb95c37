from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor

from helpers import draw, gen
from kinview.losses import Sinkhorn, SwAV, nnclr, sinkhorn, swav
from kinview.modules import FeatureQueue, MemoryBank
from kinview.modules.feature_queue import UNSET

# --- FeatureQueue ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 7), batches=st.lists(st.integers(0, 9), max_size=6), labelled=st.booleans())
def test_a_queue_is_the_tail_of_everything_queued(size: int, batches: list[int], labelled: bool) -> None:
    queue = FeatureQueue(size, dim=2)
    rows, labels = draw(sum(batches), 2, dtype=torch.float32), torch.arange(sum(batches))
    seen = 0
    for count in batches:
        part = slice(seen, seen + count)
        queue.enqueue(rows[part], labels[part] if labelled else None)
        seen += count
        assert len(queue) == min(seen, size)
        assert torch.equal(queue.features, rows[:seen][-size:])
        expected = labels[:seen][-size:] if labelled else torch.full((len(queue),), UNSET)
        assert torch.equal(queue.labels, expected)


def test_a_new_queue_holds_no_rows_and_no_labels() -> None:
    queue = FeatureQueue(16, dim=3)
    assert queue.features.shape == (0, 3)
    assert queue.labels.shape == (0,)
    assert (queue.stored_labels == UNSET).all()  # no false neighbour, whatever the ids of the data set
    queue.enqueue(draw(2, 3))
    assert queue.labels.tolist() == [UNSET, UNSET]


def test_a_queue_survives_a_checkpoint() -> None:
    queue, again = FeatureQueue(4, 2), FeatureQueue(4, 2)
    queue.enqueue(draw(6, 2), torch.arange(6))
    again.load_state_dict(queue.state_dict())
    for one in (queue, again):
        one.enqueue(draw(1, 2, seed=1), torch.tensor([9]))
    assert torch.equal(again.features, queue.features)
    assert again.labels.tolist() == [3, 4, 5, 9]
    assert not list(queue.parameters())


def test_a_queue_keeps_no_graph_and_no_alias() -> None:
    rows = draw(3, 2, dtype=torch.float32).requires_grad_()
    queue = FeatureQueue(4, 2)
    queue.enqueue(rows)
    assert not queue.features.requires_grad
    before = queue.features.clone()
    with torch.no_grad():
        rows.zero_()
    queue.features.zero_()
    assert torch.equal(queue.features, before)


def test_a_queue_refuses_what_it_cannot_hold() -> None:
    queue = FeatureQueue(4, 2)
    with pytest.raises(ValueError, match=r"features must be \(n, 2\) for this queue; got \(3, 5\)"):
        queue.enqueue(draw(3, 5))
    with pytest.raises(ValueError, match="features holds non-finite values"):
        queue.enqueue(torch.full((3, 2), math.nan))
    with pytest.raises(ValueError, match="labels must not be negative, -1 means unset; got -1"):
        queue.enqueue(draw(2, 2), torch.tensor([0, -1]))
    with pytest.raises(ValueError, match="labels must hold one entry a row"):
        queue.enqueue(draw(2, 2), torch.tensor([0]))
    assert len(queue) == 0
    with pytest.raises(ValueError, match="size must be at least 1; got 0"):
        FeatureQueue(0, 2)


def test_a_queue_in_half_precision_refuses_what_it_cannot_store() -> None:
    queue = FeatureQueue(4, 2).half()
    with pytest.raises(ValueError, match=r"features holds values beyond torch.float16"):
        queue.enqueue(torch.full((2, 2), 1e5))
    assert len(queue) == 0
    with pytest.raises(ValueError, match=r"labels must be integers for FeatureQueue; got torch.float32"):
        queue.enqueue(torch.ones(2, 2), labels=torch.tensor([0.5, 1.5]))
    queue.enqueue(torch.ones(2, 2), labels=torch.tensor([1, 0], dtype=torch.uint8))
    assert queue.labels.tolist() == [1, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_views_search_a_float32_queue_in_float32(dtype: torch.dtype) -> None:
    a, b = draw(5, 3, seed=1).to(dtype), draw(5, 3, seed=2).to(dtype)
    queue = 1e5 * draw(7, 3, dtype=torch.float32)  # beyond float16
    torch.testing.assert_close(nnclr(a, b, queue=queue), nnclr(a.float(), b.float(), queue=queue))
    prototypes = draw(4, 3, seed=3, dtype=torch.float32)
    torch.testing.assert_close(swav(a, b, prototypes, queue=queue), swav(a.float(), b.float(), prototypes, queue=queue))


# --- MemoryBank ------------------------------------------------------------------------------------------------------


def test_the_bank_blends_on_the_sphere() -> None:
    bank = MemoryBank(size=5, dim=3, momentum=0.7)
    first, second = draw(2, 3, dtype=torch.float32), draw(2, 3, seed=1, dtype=torch.float32)
    rows = torch.tensor([4, 1])
    bank.update(rows, first)
    torch.testing.assert_close(bank(rows), F.normalize(first, dim=1))  # the first time nothing is blended in
    bank.update(rows, 10 * second)
    blend = 0.7 * F.normalize(first, dim=1) + 0.3 * F.normalize(second, dim=1)
    torch.testing.assert_close(bank(rows), F.normalize(blend, dim=1))
    assert bank.known.tolist() == [False, True, False, False, True]


def test_a_row_that_occurs_twice_counts_by_its_mean() -> None:
    twice, once = MemoryBank(3, 2), MemoryBank(3, 2)
    rows = draw(2, 2, dtype=torch.float32)
    twice.update(torch.tensor([1, 1]), rows)
    once.update(torch.tensor([1]), F.normalize(rows, dim=1).mean(dim=0, keepdim=True))
    torch.testing.assert_close(twice(torch.tensor([1])), once(torch.tensor([1])))


def test_only_known_rows_are_drawn() -> None:
    bank = MemoryBank(size=6, dim=6)
    eye = torch.eye(6)
    bank.update(torch.tensor([0, 2, 5]), eye[[0, 2, 5]])
    drawn = bank.sample(300, gen(), exclude=torch.tensor([2]))
    assert sorted(set(drawn.argmax(dim=1).tolist())) == [0, 5]
    again = bank.sample(300, gen(), exclude=torch.tensor([2]))
    assert torch.equal(again, drawn)
    assert bank.sample(0).shape == (0, 6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_small_integers_are_row_numbers_and_no_mask(dtype: torch.dtype) -> None:
    bank, twin = MemoryBank(4, 2), MemoryBank(4, 2)
    index = torch.tensor([1, 0, 3, 1])
    rows = draw(4, 2, dtype=torch.float32)
    bank.update(index.to(dtype), rows)
    twin.update(index, rows)
    assert torch.equal(bank.stored, twin.stored)
    assert torch.equal(bank(index.to(dtype)), twin(index))
    generator = gen()
    drawn = bank.sample(20, generator, exclude=torch.tensor([0, 1], dtype=dtype))
    assert torch.equal(drawn, bank.stored[3].expand(20, 2))


def test_the_bank_stays_on_the_sphere_where_features_cancel() -> None:
    east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    bank, row = MemoryBank(3, 2), torch.tensor([0])
    bank.update(row, east)
    bank.update(row, -east)
    assert torch.equal(bank(row), -east)
    bank.update(row, torch.zeros(1, 2))
    assert torch.equal(bank(row), -east)
    bank.update(torch.tensor([1, 1, 2]), torch.cat([north, -north, 0 * north]))
    assert torch.equal(bank.known, torch.tensor([True, True, False]))
    assert torch.equal(bank(torch.tensor([1])), -north)
    bank.update(torch.tensor([2, 0]), torch.tensor([[3e-30, 4e-30], [3e30, 4e30]]))
    torch.testing.assert_close(bank(torch.tensor([2])), torch.tensor([[0.6, 0.8]]))
    torch.testing.assert_close(bank.stored.norm(dim=1), torch.ones(3))
    half = MemoryBank(1, 2).half()
    half.update(row, torch.tensor([[3e5, 4e5]]))
    torch.testing.assert_close(half(row), torch.tensor([[0.6, 0.8]]).half())


def test_the_bank_says_what_it_does_not_hold() -> None:
    bank = MemoryBank(3, 2)
    with pytest.raises(ValueError, match=r"the bank holds nothing of rows \[1\]"):
        bank(torch.tensor([1]))
    with pytest.raises(ValueError, match="holds no row to draw from"):
        bank.sample(4)
    bank.update(torch.tensor([0]), draw(1, 2))
    with pytest.raises(ValueError, match="holds no row to draw from"):
        bank.sample(4, exclude=torch.tensor([0]))
    with pytest.raises(ValueError, match="index must be between 0 and 2, the rows of this bank; got 3 to 3"):
        bank(torch.tensor([3]))
    with pytest.raises(ValueError, match=r"index must hold row numbers, integers \(n,\)"):
        bank(torch.tensor([0.0]))
    with pytest.raises(ValueError, match=r"features must be \(1, 2\), one an index; got \(2, 2\)"):
        bank.update(torch.tensor([0]), draw(2, 2))
    with pytest.raises(ValueError, match="features holds non-finite values"):
        bank.update(torch.tensor([0]), torch.full((1, 2), math.inf))
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\); got 1.0"):
        MemoryBank(3, 2, momentum=1.0)
    again = MemoryBank(3, 2)
    again.load_state_dict(bank.state_dict())
    assert torch.equal(again(torch.tensor([0])), bank(torch.tensor([0])))


# --- Sinkhorn --------------------------------------------------------------------------------------------------------


def slow_sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """The published procedure, in exponentials."""
    q = torch.exp(scores / epsilon).T
    q = q / q.sum()
    k, n = q.shape
    for _ in range(iterations):
        q = q / q.sum(dim=1, keepdim=True) / k
        q = q / q.sum(dim=0, keepdim=True) / n
    return (q * n).T


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 7), k=st.integers(1, 6), iterations=st.integers(1, 5), seed=st.integers(0, 99))
def test_sinkhorn_equals_the_published_procedure(n: int, k: int, iterations: int, seed: int) -> None:
    scores = torch.tanh(draw(n, k, seed=seed))
    torch.testing.assert_close(sinkhorn(scores, 0.1, iterations), slow_sinkhorn(scores, 0.1, iterations))
    torch.testing.assert_close(Sinkhorn(0.1, iterations)(scores), sinkhorn(scores, 0.1, iterations))


def test_assignments_are_balanced_in_the_limit() -> None:
    q = sinkhorn(draw(12, 5), epsilon=0.5, iterations=300)
    torch.testing.assert_close(q.sum(dim=1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(q.sum(dim=0), torch.full((5,), 12 / 5, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_sinkhorn_does_not_overflow(dtype: torch.dtype) -> None:
    scores = torch.tanh(draw(9, 4)).to(dtype)
    q = sinkhorn(scores, epsilon=0.001)
    assert q.dtype == torch.float32
    assert torch.isfinite(q).all()
    torch.testing.assert_close(q.sum(dim=1), torch.ones(9))
    torch.testing.assert_close(q.double(), sinkhorn(scores.double(), epsilon=0.001), rtol=1e-3, atol=1e-4)


def test_sinkhorn_refuses_what_it_cannot_use() -> None:
    for scores, options, message in [
        (torch.zeros(3), (0.05, 3), r"scores must be \(n, k\), rows by prototypes; got \(3,\)"),
        (torch.full((2, 2), math.inf), (0.05, 3), "scores holds non-finite values"),
        (torch.zeros(2, 2), (0.0, 3), "epsilon must be positive"),
        (torch.zeros(2, 2), (0.05, 0), "iterations must be at least 1; got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            sinkhorn(scores, *options)


# --- SwAV ------------------------------------------------------------------------------------------------------------


def slow_swav(views: list[Tensor], prototypes: Tensor, queue: Tensor | None, temperature: float) -> Tensor:
    def scores(rows: Tensor) -> Tensor:
        return torch.stack([torch.stack([(r @ c) / (r.norm() * c.norm()) for c in prototypes]) for r in rows])

    total = views[0].new_zeros(())
    for u in (0, 1):
        known = views[u] if queue is None else torch.cat([views[u], queue])
        targets = slow_sinkhorn(scores(known).detach(), 0.05, 3)[: len(views[u])]
        for v in range(len(views)):
            if v != u:
                entropy = -(targets * torch.log_softmax(scores(views[v]) / temperature, dim=1)).sum(dim=1)
                total = total + entropy.mean() / (len(views) - 1)
    return total / 2


@pytest.mark.parametrize("short", [0, 3])
@pytest.mark.parametrize("queued", [0, 7])
def test_swav_equals_its_formula(short: int, queued: int) -> None:
    leaves = [draw(5, 4, seed=k).requires_grad_() for k in range(2 + short)]
    prototypes = draw(3, 4, seed=9).requires_grad_()
    queue = draw(queued, 4, seed=8) if queued else None
    ours = swav(leaves[0], leaves[1], prototypes, 0.2, crops=leaves[2:], queue=queue)
    slow = slow_swav(leaves, prototypes, queue, 0.2)
    torch.testing.assert_close(ours, slow)
    everything = (*leaves, prototypes)
    for one, other in zip(torch.autograd.grad(ours, everything), torch.autograd.grad(slow, everything), strict=True):
        torch.testing.assert_close(one, other)


def test_short_views_predict_and_are_never_assigned() -> None:
    a, b, prototypes = draw(6, 4), draw(6, 4, seed=1), draw(3, 4, seed=2)
    two = swav(a, b, prototypes)
    with_copies = swav(a, b, prototypes, crops=[a, b])
    torch.testing.assert_close(swav(b, a, prototypes), two)  # symmetric in the long views
    assert (with_copies - two).abs() > 1e-6
    torch.testing.assert_close(swav(a, b, prototypes, crops=[a, b, b]), swav(b, a, prototypes, crops=[b, b, a]))


def test_an_empty_queue_is_no_queue() -> None:
    a, b, prototypes = draw(6, 4), draw(6, 4, seed=1), draw(3, 4, seed=2)
    queue = FeatureQueue(8, 4)
    assert torch.equal(swav(a, b, prototypes, queue=queue.features), swav(a, b, prototypes))
    queue.enqueue(draw(8, 4, seed=3))
    assert (swav(a, b, prototypes, queue=queue.features) - swav(a, b, prototypes)).abs() > 1e-6


def test_a_balanced_assignment_forbids_collapse() -> None:
    # equal rows get equal, uniform assignments: log k, the largest value of a consistent solution
    collapsed = torch.ones(8, 4, dtype=torch.float64)
    one_direction = torch.ones(5, 4, dtype=torch.float64)
    assert swav(collapsed, collapsed, one_direction).item() == pytest.approx(math.log(5))
    eye = torch.eye(4, dtype=torch.float64)
    assert swav(eye, eye, eye).item() == pytest.approx(math.log(1 + 3 * math.exp(-10)), abs=1e-4)


def test_the_module_trains_its_prototypes() -> None:
    a, b = draw(6, 4, dtype=torch.float32), draw(6, 4, seed=1, dtype=torch.float32)
    loss = SwAV(dim=4, n_prototypes=3, temperature=0.3, epsilon=0.1, iterations=2)
    value = loss(a, b, crops=[a])
    expected = swav(a, b, loss.prototypes, 0.3, crops=[a], epsilon=0.1, iterations=2)
    assert torch.equal(value, expected)
    value.backward()
    assert loss.prototypes.grad is not None
    # only the directions count: the gradient has no part along a prototype
    along = (loss.prototypes.grad * loss.prototypes).sum(dim=1)
    torch.testing.assert_close(along, torch.zeros(3), rtol=0, atol=1e-6)


def test_swav_refuses_what_it_cannot_use() -> None:
    a = draw(3, 4)
    with pytest.raises(ValueError, match=r"prototypes must be \(k, 4\), of the embeddings' dimension; got \(3, 5\)"):
        swav(a, a, draw(3, 5))
    with pytest.raises(ValueError, match=r"crops\[0\] is \(2, 4\)"):
        swav(a, a, draw(3, 4), crops=[a[:2]])
    with pytest.raises(ValueError, match="queue must hold rows of the embeddings' dimension"):
        swav(a, a, draw(3, 4), queue=draw(2, 3))
    with pytest.raises(ValueError, match="n_prototypes must be at least 1; got 0"):
        SwAV(dim=4, n_prototypes=0)
