"""Gaussian completion of series: direct formulas and closed forms, the choice on hidden cells, and its invariants."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from scipy.linalg import toeplitz
from torch import Tensor

from helpers import NAN, gen
from kinview.data import Completion, bridge
from kinview.data._completion_weights import places
from kinview.data._conditional_mean import conditional_mean, moments, positive_definite, stationary_moments


def waves(n: int = 60, channels: int = 1, steps: int = 24, seed: int = 0) -> Tensor:
    """Noisy days of a common shape, which a line between neighbours misses."""
    generator = gen(seed)
    shape = 2 * torch.sin(torch.arange(steps) * 1.3) + torch.arange(channels)[:, None]
    size = 1 + 0.3 * torch.randn(n, 1, 1, generator=generator, dtype=torch.float64)
    noise = 0.2 * torch.randn(n, channels, steps, generator=generator, dtype=torch.float64)
    return size * shape + noise


def gappy(x: Tensor, rate: float = 0.4, seed: int = 1) -> Tensor:
    return x.masked_fill(torch.rand(x.shape, generator=gen(seed)) < rate, NAN)


def gaps_inside(x: Tensor, seed: int = 1) -> Tensor:
    """Series with gaps of which none is at the end, where the end of the series would be."""
    return torch.cat([gappy(x, seed=seed)[:, :, :-1], x[:, :, -1:]], dim=2)


def completed(x: Tensor, completion: Completion, **others: Any) -> Tensor:
    return bridge(x, how="completion", completion=completion, **others)


# --- the conditional mean --------------------------------------------------------------------------------------------


def directly(row: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    seen, gaps = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
    filled = row.copy()
    filled[gaps] = covariance[np.ix_(gaps, seen)] @ np.linalg.solve(covariance[np.ix_(seen, seen)], row[seen])
    return filled


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(0, 1000), st.floats(0.05, 0.9))
def test_the_conditional_mean_is_the_direct_formula(size: int, seed: int, rate: float) -> None:
    root = torch.randn(size, size, generator=gen(seed), dtype=torch.float64)
    covariance = root @ root.T + 0.1 * torch.eye(size)
    rows = gappy(torch.randn(9, size, generator=gen(seed + 1), dtype=torch.float64), rate, seed)
    rows = rows[(~torch.isnan(rows)).any(dim=1)]
    if not len(rows):
        return
    found = torch.where(torch.isnan(rows), conditional_mean(rows, covariance), rows)
    expected = np.stack([directly(row, covariance.numpy()) for row in rows.numpy()])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-8)


def test_between_two_neighbours_an_autoregression_gives_its_closed_form() -> None:
    share = 0.8
    covariance = torch.from_numpy(toeplitz(share ** np.arange(7.0)))
    row = torch.tensor([[0.3, NAN, 2.0, -1.0, NAN, NAN, NAN]], dtype=torch.float64)
    found = conditional_mean(row, covariance)[0]
    torch.testing.assert_close(found[1], torch.tensor(share / (1 + share**2) * 2.3, dtype=torch.float64))
    torch.testing.assert_close(found[4:], -(share ** torch.arange(1.0, 4.0, dtype=torch.float64)))


def test_a_random_walk_is_interpolated_linearly_and_held_at_its_end() -> None:
    step = torch.arange(1.0, 9.0, dtype=torch.float64)
    row = torch.tensor([[1.0, NAN, NAN, 4.0, NAN, 0.0, NAN, NAN]], dtype=torch.float64)
    found = torch.where(torch.isnan(row), conditional_mean(row, torch.minimum(step, step[:, None])), row)
    torch.testing.assert_close(found, bridge(row[:, None])[:, 0])


# --- what is estimated -----------------------------------------------------------------------------------------------


def moments_directly(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, pairwise covariance and stationary covariance, by loops."""
    n, channels, steps = x.shape
    mean = np.empty((channels, steps))
    for c in range(channels):
        for t in range(steps):
            known = x[~np.isnan(x[:, c, t]), c, t]
            mean[c, t] = known.mean() if len(known) >= 5 else np.nanmean(x[:, c])
    r = (x - mean).reshape(n, -1)
    of = [(c, t) for c in range(channels) for t in range(steps)]
    products: dict[tuple[int, int, int], list[float]] = {}
    most: dict[tuple[int, int, int], int] = {}
    both = {}
    for i, (c, s) in enumerate(of):
        for j, (d, t) in enumerate(of):
            pairs = r[:, i] * r[:, j]
            both[i, j] = pairs = pairs[~np.isnan(pairs)]
            products.setdefault((c, d, t - s), []).extend(pairs)
            most[c, d, t - s] = max(most.get((c, d, t - s), 0), len(pairs))
    stationary, pairwise = np.zeros((len(of), len(of))), np.zeros((len(of), len(of)))
    for i, (c, s) in enumerate(of):
        for j, (d, t) in enumerate(of):
            lag = (c, d, t - s)
            stationary[i, j] = np.mean(products[lag]) if most[lag] >= 5 else 0.0
            pairwise[i, j] = both[i, j].mean() if len(both[i, j]) >= 5 else stationary[i, j]
    return mean, pairwise, stationary


@pytest.mark.parametrize(("n", "channels", "rate"), [(30, 1, 0.4), (9, 2, 0.5), (5, 1, 0.0), (7, 1, 0.7)])
def test_moments_are_those_of_the_pairs_that_were_observed(n: int, channels: int, rate: float) -> None:
    x = gappy(waves(n, channels, 8), rate)
    for found, expected in zip(moments(x), moments_directly(x.numpy()), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_the_stationary_covariance_of_long_series_is_that_of_short_ones() -> None:
    x = gappy(waves(20, 1, 40))
    mean, covariance = stationary_moments(x, 12)
    expected = moments(x)
    torch.testing.assert_close(mean, expected.mean)
    torch.testing.assert_close(covariance, expected.stationary[:12, :12])


def test_eigenvalues_are_raised_to_a_millionth_of_the_largest() -> None:
    found = torch.linalg.eigvalsh(positive_definite(torch.diag(torch.tensor([2.0, 1.0, -1.0], dtype=torch.float64))))
    torch.testing.assert_close(found, torch.tensor([2e-6, 1.0, 2.0], dtype=torch.float64))


def place_directly(row: np.ndarray, t: int) -> tuple[int, int]:
    """Class of a gap's length and class of the distance to the nearest observed step."""
    seen = np.flatnonzero(~np.isnan(row))
    before, after = seen[seen < t], seen[seen > t]
    missing = after[0] - before[-1] - 1 if len(before) and len(after) else np.inf
    distance = np.abs(seen - t).min() if len(seen) else np.inf
    return sum(missing > bound for bound in (2, 8)), sum(distance > bound for bound in (1, 2, 4, 8, 16, 32))


def within_reach(row: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Series completed by hand, at most three standard deviations from the mean."""
    farthest = 3 * np.sqrt(np.diag(covariance))
    return np.where(np.isnan(row), mean + np.clip(directly(row - mean, covariance), -farthest, farthest), row)


def chosen_directly(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[tuple[int, int], float]]:
    """Mean, covariance and weights of series of one channel: the recipe step by step."""
    generator = gen(0)
    rows = x[:, 0]
    n, steps = rows.shape
    hidden = (torch.rand(x.shape, generator=generator, dtype=torch.float64) < 0.15).numpy()[:, 0]
    length = torch.randint(0, steps // 2 + 1, (n, 1, 1), generator=generator).numpy()[:, 0, 0]
    start = torch.rand(n, 1, 1, generator=generator, dtype=torch.float64).numpy()[:, 0, 0] * (steps - length + 1)
    for i in range(n):
        hidden[i, int(start[i]) : int(start[i]) + length[i]] = True
    order = torch.randperm(n, generator=generator).tolist()

    def candidate(values: np.ndarray, share: float, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        mean, pairwise, stationary = moments_directly(values[:, None])
        values_, vectors = np.linalg.eigh(share * pairwise + (1 - share) * stationary)
        covariance = (vectors * np.maximum(values_, 1e-6 * values_[-1])) @ vectors.T
        return mean[0], covariance + ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))

    def weighed(share: float, ridge: float) -> tuple[float, dict[tuple[int, int], float]]:
        pairs: dict[tuple[int, int], list[tuple[int, float, float]]] = {}
        for fold in range(3):
            tried = order[fold::3]
            mean, covariance = candidate(np.delete(rows, tried, axis=0), share, ridge)
            kept = np.where(hidden[tried], np.nan, rows[tried])
            least = np.mean([np.nanvar(row) if np.isfinite(row).any() else 0.0 for row in kept]) / 100
            for i, row in zip(tried, kept, strict=True):
                if not np.isfinite(row).any():
                    continue
                line = bridge(torch.from_numpy(row)[None, None])[0, 0].numpy()
                found = within_reach(row, mean, covariance)
                for t in np.flatnonzero(hidden[i] & ~np.isnan(rows[i])):
                    spread = np.sqrt(max(np.nanvar(row), least))
                    pair = ((rows[i, t] - line[t]) / spread, (found[t] - line[t]) / spread)
                    pairs.setdefault(place_directly(row, t), []).append((i, *pair))
        weights, left = {}, []
        for gap in range(3):
            shorter = 0.0
            for reach in range(7):
                cells = pairs.get((gap, reach), [])
                weights[gap, reach] = shorter
                if len({i for i, _, _ in cells}) >= 5:
                    missed, change = np.array([cell[1:] for cell in cells]).T
                    w = float(np.clip(missed @ change / (change @ change), 0, 1))
                    share_left = float(np.sum((missed - w * change) ** 2) / np.sum(missed**2))
                    gain = missed**2 - (missed - w * change) ** 2
                    of_rows = np.array(
                        [gain[[cell[0] == i for cell in cells]].sum() for i in {cell[0] for cell in cells}]
                    )
                    used = share_left < 0.9 and of_rows.sum() > np.sqrt(np.sum(of_rows**2))
                    weights[gap, reach] = w if used else 0.0
                    left.append(share_left if used else 1.0)
                shorter = weights[gap, reach]
        return float(np.mean(left)), weights

    found = {
        (share, ridge): weighed(share, ridge) for share in (0, 0.25, 0.5, 0.75, 0.95) for ridge in (1e-3, 1e-2, 1e-1)
    }
    best = min(found, key=lambda key: found[key][0])
    return *candidate(rows, *best), found[best][1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_fit_is_the_recipe_step_by_step(seed: int) -> None:
    x = gappy(waves(40, 1, 12, seed), 0.3, seed)
    x[::3] *= 20  # errors are counted in units of each series
    mean, covariance, weights = chosen_directly(x.numpy())
    completion = Completion.of(x)
    np.testing.assert_allclose(completion.weight[0].numpy(), [weights[key] for key in sorted(weights)], atol=1e-6)
    assert completion.completed.tolist() == [True]
    np.testing.assert_allclose(completion.mean[0].numpy(), mean, atol=1e-6)
    np.testing.assert_allclose(completion.covariance[0].numpy(), covariance, atol=1e-6)
    new = gappy(waves(10, 1, 12, seed + 9), 0.5, seed + 9)
    expected = bridge(new)[:, 0].numpy()
    for row, line in zip(new[:, 0].numpy(), expected, strict=True):
        found = within_reach(row, mean, covariance)
        for t in np.flatnonzero(np.isnan(row)):
            line[t] += weights[place_directly(row, t)] * (found[t] - line[t])
    inside = torch.arange(12) < (12 - (~torch.isnan(new[:, 0])).flip(1).int().argmax(dim=1))[:, None]
    np.testing.assert_allclose(completed(new, completion)[:, 0][inside].numpy(), expected[inside.numpy()], atol=1e-5)


# --- which is used ---------------------------------------------------------------------------------------------------


def test_what_neighbours_do_not_tell_is_completed_and_what_they_do_is_interpolated() -> None:
    walk = torch.randn(80, 1, 24, generator=gen(), dtype=torch.float64).cumsum(dim=2)
    both = torch.cat([waves(80), walk], dim=1)
    completion = Completion.of(gappy(both))
    assert completion.completed.tolist() == [True, False]
    x = gappy(torch.cat([waves(50, seed=5), walk[:50]], dim=1), seed=6)
    filled = completed(x, completion)
    assert torch.equal(filled[:, 1], bridge(x)[:, 1])
    truth = waves(50, seed=5)[:, 0]
    assert (filled[:, 0] - truth).square().mean() < (bridge(x)[:, 0] - truth).square().mean() / 3


@pytest.mark.parametrize("n", [0, 1, 4])
def test_of_fewer_than_five_series_nothing_is_kept(n: int) -> None:
    completion = Completion.of(waves(n))
    assert not completion.completed.any() and not completion.mean.any()
    assert torch.equal(completion.covariance[0], torch.eye(24))
    x = gappy(waves(6))
    assert torch.equal(completed(x, completion), bridge(x))


def test_constant_and_unobserved_channels_are_interpolated() -> None:
    x = torch.cat([torch.ones(20, 1, 10), torch.full((20, 1, 10), NAN)], dim=1)
    x[:, 0, 3] = NAN
    for across in (False, True):
        completion = Completion.of(x, across=across)
        assert not completion.completed.any()
        assert torch.equal(completed(x, completion), bridge(x))


def test_a_fit_repeats_and_another_draw_of_hidden_cells_is_asked_for_by_a_generator() -> None:
    x = gappy(waves(30))
    one, same = Completion.of(x), Completion.of(x).fit(x)
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), same.buffers(), strict=True))
    assert Completion.of(x, generator=gen(5)).completed.tolist() == [True]


def test_other_channels_tell_what_a_channel_does_not() -> None:
    first = torch.randn(200, 1, 40, generator=gen(), dtype=torch.float64)
    x = torch.cat([first, first + 0.1 * torch.randn(200, 1, 40, generator=gen(1), dtype=torch.float64)], dim=1)
    alone, across = Completion.of(x), Completion.of(x, across=True)
    gaps = x[:20].clone()
    gaps[:, 0, 5:25] = NAN
    errors = [(completed(gaps, each) - x[:20]).square().mean() for each in (alone, across)]
    assert across.completed.all() and errors[1] < errors[0] / 20
    with pytest.raises(ValueError, match=r"at most 1,024 values a series; these have 12 channels of 100 steps"):
        Completion(12, 100, across=True)


def test_a_completion_of_one_channel_takes_each_channel_by_itself() -> None:
    completion = Completion.of(gappy(waves(60, 1)))
    x = gaps_inside(waves(8, 3))
    each = torch.cat([completed(x[:, [c]], completion) for c in range(3)], dim=1)
    torch.testing.assert_close(completed(x, completion), each, rtol=0, atol=1e-12)
    pooled = Completion(1, 24).fit(gappy(waves(60, 3)))
    assert pooled.completed.all()
    assert not Completion(1, 24).fit(gappy(waves(4, 3))).completed.any(), "twelve channels are of four series"
    with pytest.raises(ValueError, match="this completion is of 2 channels; the series have 3"):
        completed(x, Completion.of(gappy(waves(60, 2))))


# --- invariants ------------------------------------------------------------------------------------------------------

LEARNED = {across: Completion.of(gappy(waves(60, 2)), across=across) for across in (False, True)}


@settings(max_examples=30, deadline=None)
@given(st.booleans(), st.integers(0, 1000), st.floats(0.0, 1.0), st.integers(1, 40), st.integers(0, 9))
def test_rows_are_exact_independent_and_blind_to_padding(
    across: bool, seed: int, rate: float, steps: int, more: int
) -> None:
    completion = LEARNED[across]
    x = gappy(waves(6, 2, steps, seed), rate, seed).float()
    filled = completed(x, completion)
    seen = ~torch.isnan(x)
    assert torch.equal(filled[seen], x[seen]) and torch.isfinite(filled).all()
    never = (~seen).all(dim=2)
    assert not filled[never].any(), "a channel without an observed value is 0"
    for row in range(6):
        torch.testing.assert_close(completed(x[row : row + 1], completion)[0], filled[row], rtol=0, atol=1e-5)
    padded = completed(F.pad(x, (0, more), value=NAN), completion)
    torch.testing.assert_close(padded[:, :, :steps], filled, rtol=0, atol=1e-5)


def test_a_completion_is_differentiable_in_the_observed_values() -> None:
    x = gappy(waves(4, 2))
    observed = ~torch.isnan(x)

    def of(values: Tensor) -> Tensor:
        return completed(torch.full_like(x, NAN).masked_scatter(observed, values), LEARNED[False])

    assert torch.autograd.gradcheck(of, x[observed].requires_grad_())


def test_beyond_the_grid_of_training_and_beyond_its_end_a_series_is_interpolated() -> None:
    x = gappy(waves(8, 2, 40, seed=3))
    x[0, :, 20:] = NAN
    filled = completed(x, LEARNED[False])
    assert torch.equal(filled[:, :, 24:], bridge(x)[:, :, 24:])
    assert torch.equal(filled[0, :, 20:], bridge(x)[0, :, 20:])
    assert not torch.equal(filled[:, :, :20], bridge(x)[:, :, :20])
    kept = torch.arange(40.0).expand(8, 40).clone()  # a time stamp keeps the last steps as a gap
    assert not torch.equal(completed(x, LEARNED[False], times=kept)[0, :, 20:24], bridge(x)[0, :, 20:24])


def test_a_part_of_a_series_is_completed_at_its_own_place() -> None:
    x = gappy(waves(8, 2, 24, seed=3))
    start = torch.tensor([0, 3, 5, 5, 10, 14, 2, 9])
    steps = start[:, None] + torch.arange(10)
    part = x.gather(2, steps[:, None].expand(8, 2, 10))
    whole = torch.full_like(x, NAN).scatter(2, steps[:, None].expand(8, 2, 10), part)
    times = torch.arange(24.0).expand(8, 24)  # so that the gaps at both ends of a part are inside
    expected = completed(whole, LEARNED[False], times=times).gather(2, steps[:, None].expand(8, 2, 10))
    kept = times.gather(1, steps)
    filled = completed(part, LEARNED[False], times=kept, offset=start)
    torch.testing.assert_close(filled, expected, rtol=0, atol=1e-9)
    assert (completed(part, LEARNED[False], times=kept) - expected).abs().max() > 0.5, "the place matters"
    before = completed(F.pad(part, (2, 0), value=NAN), LEARNED[False], offset=start - 2)
    assert torch.isfinite(before).all()


def test_unevenly_spaced_series_are_interpolated_in_their_own_time() -> None:
    x = gaps_inside(waves(60, 1))
    even = torch.arange(24.0, dtype=torch.float64).expand(60, 24) * 0.5 + 1e6
    odd = even.clone()
    odd[::2, 10:] += 1.5
    completion = Completion.of(x, even)
    assert completion.step == 0.5 and completion.completed.all()
    torch.testing.assert_close(completed(x, completion, times=even), completed(x, Completion.of(x)))
    filled = completed(x, completion, times=odd)
    assert torch.equal(filled[::2], bridge(x, odd)[::2])
    torch.testing.assert_close(filled[1::2], completed(x, completion, times=even)[1::2], rtol=0, atol=1e-9)
    jittered = even + 0.2 * torch.rand(60, 24, generator=gen(), dtype=torch.float64)
    by_place = completed(x, completion, times=even) - bridge(x, even)
    mixed = completed(x, completion, times=jittered) - bridge(x, jittered)  # with a line in its own time
    where, weight = by_place.abs() > 1e-6, completion._weight_at(places(x))
    found = [change / weight + bridge(x, stamps) for change, stamps in ((by_place, even), (mixed, jittered))]
    torch.testing.assert_close(found[1][where], found[0][where], msg="the conditional mean goes by place")
    slower = completed(x, completion, times=even * 2)
    assert torch.equal(slower, bridge(x, even * 2)), "another sampling rate is another grid"
    assert not Completion.of(x, torch.rand(60, 24, generator=gen()).cumsum(dim=1)).completed.any()


# --- how far a completion is trusted ---------------------------------------------------------------------------------


def test_next_to_observed_values_a_line_is_kept_and_far_from_them_the_shape_is_filled_in() -> None:
    rise = torch.linspace(0, 1, 100, dtype=torch.float64)
    bump = 3 * torch.exp(-(((rise - 0.5) / 0.2) ** 2))
    rough = torch.randn(80, 1, 100, generator=gen(), dtype=torch.float64).cumsum(dim=2) * 0.1
    completion = Completion.of(bump + rough)
    weight = completion.weight[0].view(3, 7)
    assert weight[0, 0] < 0.5 < weight[2, 5], "short gaps near observed values; the middle of a long one"
    gaps = (bump + rough)[:20].clone()
    gaps[:, :, 25:75] = NAN
    errors = [(each - (bump + rough)[:20]).square().mean() for each in (completed(gaps, completion), bridge(gaps))]
    assert errors[0] < errors[1] / 10


def test_noise_that_training_did_not_have_is_not_amplified_without_bound() -> None:
    generator = gen(2)
    smooth = torch.randn(60, 1, 3, generator=generator, dtype=torch.float64) @ torch.stack(
        [torch.sin((k + 1) * torch.linspace(0, 3, 100, dtype=torch.float64)) for k in range(3)]
    )
    completion = Completion.of(smooth[:50])
    noisy = smooth[50:] + 2 * torch.randn(10, 1, 100, generator=generator, dtype=torch.float64)
    noisy[:, :, 30:60] = NAN
    filled = completed(noisy, completion)
    spread = completion.covariance[0].diagonal().sqrt()
    assert ((filled - completion.mean).abs() / spread)[:, 0, 30:60].max() < 3 + 2  # between the bound and the line
    assert filled[:, :, 30:60].abs().max() < 1.5 * bridge(noisy)[:, :, 30:60].abs().max()


@pytest.mark.slow
def test_what_a_few_series_gain_by_chance_is_not_used() -> None:
    ratios = []
    for seed in range(6):
        walks = torch.randn(60, 1, 60, generator=gen(seed), dtype=torch.float64).cumsum(dim=2)
        completion = Completion.of(gappy(walks[:20], 0.3, seed))
        x = gappy(walks[20:], 0.3, seed + 1)
        x[:, :, 20:40] = NAN
        errors = [(each - walks[20:])[torch.isnan(x)].square().mean() for each in (completed(x, completion), bridge(x))]
        ratios.append(float(errors[0] / errors[1]))
    assert np.exp(np.mean(np.log(ratios))) < 1.1 and max(ratios) < 1.3, ratios  # of walks a line is best


def test_a_completion_takes_whole_numbers_for_time_stamps_and_any_scale() -> None:
    x, stamps = gaps_inside(waves(60)), torch.arange(24).expand(60, 24)
    completion = Completion.of(x, stamps)
    torch.testing.assert_close(completed(x, completion, times=stamps), completed(x, Completion.of(x)))
    for scale in (1e-23, 1e20):
        tiny = x * scale
        assert torch.equal(completed(tiny, Completion.of(tiny)), bridge(tiny))


@pytest.mark.slow
def test_many_channels_and_long_series_take_smaller_windows() -> None:
    shapes = {
        (c, t): tuple(Completion(c, t).covariance.shape)
        for c, t in ((1, 512), (1, 513), (16, 512), (17, 512), (300, 65))
    }
    assert shapes == {
        (1, 512): (1, 512, 512),
        (1, 513): (1, 512, 512),
        (16, 512): (16, 512, 512),
        (17, 512): (17, 256, 256),
        (300, 65): (300, 64, 64),
    }
    gaps, truth = gappy(waves(20, 17, 300)), waves(20, 17, 300)
    errors = [(each - truth).square().mean() for each in (completed(gaps, Completion.of(gaps)), bridge(gaps))]
    assert errors[0] < errors[1] / 2


# --- long series -----------------------------------------------------------------------------------------------------


def test_long_series_are_completed_in_windows() -> None:
    x = waves(12, 1, 1300, seed=2)
    completion = Completion.of(gappy(x))
    assert completion.covariance.shape == (1, 512, 512) and completion.completed.all()
    gaps = gappy(x, seed=4)
    gaps[0, 0, 300:1000] = NAN  # a window without any observation
    filled = completed(gaps, completion)
    assert torch.equal(filled[~torch.isnan(gaps)], gaps[~torch.isnan(gaps)]) and torch.isfinite(filled).all()
    assert torch.equal(filled[0, 0, 512:768], bridge(gaps)[0, 0, 512:768])
    errors = [(each[1:] - x[1:]).square().mean() for each in (filled, bridge(gaps))]
    assert errors[0] < errors[1] / 3
    row = (gaps[1, 0] - completion.mean[0])[128:640].numpy()  # steps 256 to 511 with 128 on either side
    expected = directly(row, completion.covariance[0].double().numpy())[128:384] + completion.mean[0, 256:512].numpy()
    weight = completion._weight_at(places(gaps))[1, 0, 256:512].numpy()
    line = bridge(gaps)[1, 0, 256:512].numpy()
    expected = np.where(np.isnan(row[128:384]), line + weight * (expected - line), expected)
    np.testing.assert_allclose(filled[1, 0, 256:512].numpy(), expected, atol=1e-6)
