"""Mixing members: who is mixed with whom, by which formula, and what happens at gaps; the shuffle of dominant lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from helpers import NAN, gen
from kinview.augmentations import CutMix, DominantShuffle, GeometricMixup, Mixup, augmentations
from kinview.data import Batch

MIXING = ("mixup", "cutmix", "geometric_mixup", "amplitude_phase_mixup")


def noise(n: int, channels: int, steps: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, channels, steps, generator=gen(seed), dtype=torch.float64)


def with_gaps(n: int = 40, channels: int = 2, steps: int = 30) -> torch.Tensor:
    x = noise(n, channels, steps)
    x[torch.rand(x.shape, generator=gen(7)) < 0.2] = NAN
    x[::3, :, 20:] = NAN
    x[5] = NAN
    return x


# --- partners and coefficients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MIXING)
def test_every_row_has_another_one_as_its_partner_and_all_are_partners_once(name: str) -> None:
    member, x = augmentations.build(name), noise(7, 2, 16)
    seen = torch.zeros(7, 7)
    for seed in range(200):
        view = member(Batch.of(x), gen(seed))
        assert sorted(view.extra["partner"].tolist()) == list(range(7))
        seen[torch.arange(7), view.extra["partner"]] += 1
        assert ((view.extra["coefficient"] >= 0) & (view.extra["coefficient"] <= 1)).all()
    assert not seen.diagonal().any()
    assert stats.chisquare(seen[~torch.eye(7, dtype=torch.bool)].numpy()).pvalue > 1e-4


@pytest.mark.parametrize("name", MIXING)
def test_a_row_that_is_alone_is_its_own_view_and_other_extras_are_kept(name: str) -> None:
    x = noise(1, 2, 16)
    view = augmentations.build(name)(Batch.of(x, extra={"age": torch.tensor([3])}), gen())
    assert torch.equal(view.x, x)
    assert (view.extra["partner"].tolist(), view.extra["coefficient"].tolist()) == ([0], [1.0])
    assert view.extra["age"].tolist() == [3]
    empty = augmentations.build(name)(Batch.of(x[:0]), gen())
    assert empty.x.shape == (0, 2, 16) and empty.extra["coefficient"].shape == (0,)


@pytest.mark.parametrize("name", MIXING)
def test_a_gap_of_the_partner_leaves_the_own_value_and_an_own_gap_stays(name: str) -> None:
    x = with_gaps()
    view = augmentations.build(name)(Batch.of(x), gen())
    assert torch.equal(torch.isnan(view.x), torch.isnan(x))
    if name != "amplitude_phase_mixup":  # which bridges gaps
        poor = torch.isnan(x[view.extra["partner"]]) & ~torch.isnan(x)
        assert poor.any() and torch.equal(view.x[poor], x[poor])


@pytest.mark.parametrize("name", [name for name in MIXING if name != "cutmix"])
def test_the_coefficient_is_the_share_that_is_realised(name: str) -> None:
    member, x = augmentations.build(name), with_gaps()
    extra = member(Batch.of(x), gen()).extra
    drawn = member(Batch.of(x.nan_to_num(1.0)), gen()).extra
    assert torch.equal(extra["partner"], drawn["partner"])
    seen = ~torch.isnan(x)
    both = (seen & seen[extra["partner"]]).sum(dim=(1, 2)) / seen.sum(dim=(1, 2)).clamp_min(1)
    assert 0 < both[0] < 1
    for key in {"coefficient", "phase_coefficient"} & set(extra):
        torch.testing.assert_close(extra[key], 1 - (1 - drawn[key]) * both)
        lonely = extra["partner"] == 5  # whose partner was never observed
        assert lonely.any() and extra[key][lonely].eq(1).all() and extra[key][5] == 1


@pytest.mark.parametrize("name", MIXING)
def test_no_strength_is_the_identity(name: str) -> None:
    x = with_gaps()
    view = augmentations.build(name).strength_scaled(0)(Batch.of(x), gen())
    assert torch.equal(view.x.nan_to_num(99.0), x.nan_to_num(99.0))
    assert view.extra["coefficient"].tolist() == [1.0] * 40


# --- mixup -----------------------------------------------------------------------------------------------------------


def test_mixup_is_the_weighted_sum() -> None:
    x = noise(50, 2, 8)
    view = Mixup()(Batch.of(x), gen())
    weight = view.extra["coefficient"][:, None, None]
    torch.testing.assert_close(view.x, weight * x + (1 - weight) * x[view.extra["partner"]])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_draws_its_share_from_the_beta_law(alpha: float) -> None:
    x = noise(4000, 1, 1)
    weight = Mixup(alpha=alpha)(Batch.of(x), gen()).extra["coefficient"].numpy()
    inside = (weight > 0.01) & (weight < 0.99)  # the distance kept from 0 and 1 lies outside
    low, high = stats.beta(alpha, alpha).cdf([0.01, 0.99])
    assert stats.kstest(weight[inside], lambda v: (stats.beta(alpha, alpha).cdf(v) - low) / (high - low)).pvalue > 1e-4
    assert stats.binomtest(int(inside.sum()), 4000, high - low).pvalue > 1e-4
    assert weight.min() >= 2**-10 and weight.max() <= 1 - 2**-10
    half = Mixup(alpha=alpha, smallest_share=0.5)(Batch.of(x), gen()).extra["coefficient"].numpy()
    np.testing.assert_allclose(half, 0.5 + 0.5 * weight)


def test_mixup_shares_one_coefficient_where_told() -> None:
    assert len(set(Mixup(shared=True)(Batch.of(noise(9, 1, 4)), gen()).extra["coefficient"].tolist())) == 1
    assert len(set(Mixup(alpha=1.0)(Batch.of(noise(9, 1, 4)), gen()).extra["coefficient"].tolist())) == 9


# --- cutmix ----------------------------------------------------------------------------------------------------------


def test_cutmix_pastes_one_span_of_the_partner_at_its_place() -> None:
    x = noise(3000, 2, 20)
    view = CutMix()(Batch.of(x), gen())
    pasted = view.x != x
    assert torch.equal(pasted[:, 0], pasted[:, 1])
    assert torch.equal(view.x[pasted], x[view.extra["partner"]][pasted])
    edges = torch.nn.functional.pad(pasted[:, 0].int(), (1, 1)).diff(dim=1)
    assert (edges.abs().sum(dim=1) == 2).all()
    width = pasted[:, 0].sum(dim=1)
    torch.testing.assert_close(view.extra["coefficient"], 1 - width.double() / 20)
    # the width is uniform, rounded, at least 1: the first has one and a half times the chance, the last a half
    expected = np.array([1.5] + [1.0] * 18 + [0.5]) / 20 * 3000
    assert stats.chisquare(np.bincount(width, minlength=21)[1:], expected).pvalue > 1e-4
    first = pasted[:, 0].int().argmax(dim=1)[width == 5]
    assert stats.chisquare(np.bincount(first, minlength=16)).pvalue > 1e-4


def test_cutmix_counts_what_is_still_the_rows_own() -> None:
    x = with_gaps()
    view = CutMix(alpha=0.5, largest_share=0.6)(Batch.of(x), gen())
    changed = (view.x != x) & ~torch.isnan(x)
    observed = (~torch.isnan(x)).sum(dim=(1, 2))
    expected = torch.where(observed > 0, 1 - changed.sum(dim=(1, 2)) / observed.clamp_min(1), 1.0)
    torch.testing.assert_close(view.extra["coefficient"], expected, check_dtype=False)
    short = CutMix(largest_share=0.3)(Batch.of(noise(500, 1, 20)), gen()).extra["coefficient"]
    assert float(short.min()) >= 0.7 - 1e-9


# --- geometric mixup -------------------------------------------------------------------------------------------------


def test_geometric_mixup_is_the_weighted_product_of_magnitudes_with_the_own_sign() -> None:
    x = noise(50, 2, 8) * torch.logspace(-12, 12, 8, dtype=torch.float64)
    view = GeometricMixup(share=(0.0, 1.0))(Batch.of(x), gen())
    weight = view.extra["coefficient"][:, None, None]
    expected = torch.sign(x) * x.abs() ** weight * x[view.extra["partner"]].abs() ** (1 - weight)
    torch.testing.assert_close(view.x, expected, rtol=1e-9, atol=0)
    drawn = GeometricMixup()(Batch.of(noise(3000, 1, 1)), gen()).extra["coefficient"]
    assert stats.kstest((drawn.numpy() - 0.7) / 0.3, "uniform").pvalue > 1e-4


def test_geometric_mixup_of_zeros_is_zero_and_never_missing() -> None:
    x = torch.tensor([0.0, -2.0, 0.0, 3.0]).reshape(4, 1, 1)
    for seed in range(20):
        view = GeometricMixup()(Batch.of(x), gen(seed))
        zero = (x == 0) | (x[view.extra["partner"]] == 0)
        assert torch.equal(view.x == 0, zero)
        assert torch.isfinite(view.x).all()
    extreme = torch.tensor([1e-40, 1e30]).reshape(2, 1, 1)
    assert torch.isfinite(GeometricMixup(share=(0.0, 0.5))(extreme, gen())).all()


# --- dominant shuffle ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [64, 65])
@pytest.mark.parametrize("k", [2, 4, 9])
def test_dominant_shuffle_moves_each_of_the_strongest_lines_and_no_other(steps: int, k: int) -> None:
    x = noise(100, 2, steps)
    x[:, :, ::2] += 2  # a strong Nyquist line, which stays
    view = DominantShuffle(k=k)(x, gen())
    after, before = (np.fft.rfft(series.numpy(), axis=2).reshape(200, -1) for series in (view, x))
    own = (steps + 1) // 2 - 1
    for one, other in zip(after, before):
        strongest = 1 + np.argsort(np.abs(other[1 : own + 1]))[-k:]
        changed = np.flatnonzero(np.abs(one - other) > 1e-7)
        assert sorted(changed) == sorted(strongest)
        np.testing.assert_allclose(np.sort_complex(one[changed].round(6)), np.sort_complex(other[changed].round(6)))


def test_dominant_shuffle_draws_all_cycles_alike_and_reads_no_other_row() -> None:
    tone = sum((5 - j) * torch.cos(2 * torch.pi * j * torch.arange(16.0, dtype=torch.float64) / 16) for j in (1, 2, 3))
    amplitude = np.abs(np.fft.rfft(DominantShuffle(k=3)(tone.expand(2000, 1, 16), gen()).numpy(), axis=2))[:, 0, 1:4]
    order, counts = np.unique((amplitude / 8).round(), axis=0, return_counts=True)
    assert order.tolist() == [[2.0, 4.0, 3.0], [3.0, 2.0, 4.0]]  # 4, 3, 2 before
    assert stats.chisquare(counts).pvalue > 1e-4
    x = noise(4, 2, 16)
    other = x.clone()
    other[1:] += 3 * noise(3, 2, 16, seed=9)
    assert torch.equal(DominantShuffle()(x, gen())[0], DominantShuffle()(other, gen())[0])


def test_dominant_shuffle_of_series_with_few_lines() -> None:
    for steps, changes in ((1, False), (4, False), (5, True), (7, True)):
        x = noise(5, 1, steps)
        assert torch.equal(DominantShuffle(k=9)(x, gen()), x) is not changes
    x = noise(6, 1, 20)
    x[::2, :, 5:] = NAN  # two lines with a phase: they change places
    view = DominantShuffle(k=4)(x, gen())
    after, before = (np.fft.rfft(series[::2, 0, :5].numpy(), axis=1) for series in (view, x))
    np.testing.assert_allclose(after, before[:, [0, 2, 1]], atol=1e-9)
