"""Masking members: how much is hidden, where, and by what."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy import stats

from helpers import NAN, gen
from kinview.augmentations import (
    BinomialMask,
    ChannelDropout,
    ContinuousMask,
    Cutout,
    HistoryCrop,
    HistoryCutout,
    LastMask,
    ObservationDropout,
    augmentations,
)
from kinview.augmentations._spans import drawn_spans, spans
from kinview.data import Batch
from kinview.encoders import DilatedConvEncoder

MASKS = ("binomial_mask", "continuous_mask", "cutout", "last_mask", "channel_dropout", "history_cutout", "history_crop")


def with_gaps(n: int = 64, channels: int = 3, steps: int = 40, seed: int = 5) -> torch.Tensor:
    """Series around 10, a fifth of the values missing, every second one ending early."""
    x = 10 + torch.randn(n, channels, steps, generator=gen(seed))
    x[torch.rand(x.shape, generator=gen(seed + 1)) < 0.2] = NAN
    x[::2, :, steps - 9 :] = NAN
    return x


def hidden(view: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return (view != x) & ~torch.isnan(x)


def assert_uniform(counts: np.ndarray) -> None:
    assert stats.chisquare(counts).pvalue > 1e-4


# --- what takes the place of a value ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MASKS)
def test_a_hidden_value_is_zero_the_mean_of_its_channel_or_missing_and_the_rest_stays(name: str) -> None:
    x = with_gaps()
    views = {fill: augmentations.build({name: {"fill": fill}})(x, gen()) for fill in ("zero", "mean", "missing")}
    gone = hidden(views["zero"], x)
    assert gone.any() and not gone.all()
    assert torch.equal(views["zero"][gone], torch.zeros(int(gone.sum())))
    mean = torch.from_numpy(np.nanmean(x.numpy(), axis=2, keepdims=True)).expand_as(x)
    torch.testing.assert_close(views["mean"][gone], mean[gone], rtol=1e-5, atol=1e-5)
    assert torch.equal(torch.isnan(views["missing"]), torch.isnan(x) | gone)
    for fill in ("zero", "mean"):
        assert torch.equal(torch.isnan(views[fill]), torch.isnan(x))
    for view in views.values():
        kept = ~gone & ~torch.isnan(x)
        assert torch.equal(view[kept], x[kept])


@pytest.mark.parametrize("name", MASKS)
def test_an_instance_says_whether_it_makes_gaps_and_the_class_that_it_may(name: str) -> None:
    assert augmentations[name].target.makes_gaps is True
    made = {fill: augmentations.build({name: {"fill": fill}}).makes_gaps for fill in ("zero", "mean", "missing")}
    assert made == {"zero": False, "mean": False, "missing": True}
    assert augmentations.build({name: {"fill": "missing"}}).strength_scaled(0.5).makes_gaps is True
    with pytest.raises(ValueError, match="fill must be 'zero', 'mean' or 'missing'; got 'nan'"):
        augmentations.build({name: {"fill": "nan"}})


def test_a_missing_step_is_what_ts2vec_masks_behind_its_projection() -> None:
    torch.manual_seed(0)
    encoder = DilatedConvEncoder(2, repr_dim=8, hidden_dim=8, depth=2, front_end="values", fill="zero").eval()
    batch = Batch.of(torch.randn(4, 2, 30), times=torch.arange(30.0, dtype=torch.float64).expand(4, 30))
    masked = BinomialMask()(batch, gen())
    hide = torch.isnan(masked.x).all(dim=1)
    assert 0.3 < hide.double().mean() < 0.7
    with torch.no_grad():
        expected = encoder(batch.x, times=batch.times, hide=hide)
        torch.testing.assert_close(encoder(masked.x, times=masked.times), expected, rtol=0, atol=0)


# --- where -----------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 500))
def test_spans_are_the_union_of_their_ranges(positions: int, count: int, seed: int) -> None:
    start = torch.randint(0, positions + 1, (3, 2, count), generator=gen(seed))
    stop = (start + torch.randint(0, 5, start.shape, generator=gen(seed + 1))).clamp_max(positions)
    inside = spans(start, stop, positions).bool()
    for row in range(3):
        for channel in range(2):
            expected = np.zeros(positions, bool)
            for one, other in zip(start[row, channel], stop[row, channel]):
                expected[int(one) : int(other)] = True
            assert np.array_equal(inside[row, channel].numpy(), expected)


def test_drawn_spans_have_uniform_widths_and_places_within_their_row() -> None:
    lengths = torch.tensor([10, 3, 1, 0]).repeat(4000)
    inside = drawn_spans((16000, 1, 1), lengths, 0.4, 12, gen())[:, 0].bool()
    width = inside.sum(dim=1)
    assert_uniform(np.bincount(width[0::4], minlength=5)[1:5])
    for row, length in enumerate((10, 3, 1, 0)):
        assert not inside[row::4, length:].any()
    assert (width[1::4] == 1).all() and (width[2::4] == 1).all() and (width[3::4] == 0).all()
    of_two = inside[0::4][width[0::4] == 2]
    assert_uniform(np.bincount(of_two.int().argmax(dim=1), minlength=9))


def test_binomial_mask_hides_each_step_with_probability_p_in_all_channels() -> None:
    x = torch.ones(500, 3, 100)
    gone = torch.isnan(BinomialMask(p=0.3)(x, gen()))
    assert torch.equal(gone, gone[:, :1].expand_as(gone))
    assert stats.binomtest(int(gone[:, 0].sum()), 50_000, 0.3).pvalue > 1e-4
    own = torch.isnan(BinomialMask(p=0.3, shared=False)(x, gen())).double()
    assert stats.binomtest(int(own.sum()), 150_000, 0.3).pvalue > 1e-4
    assert abs(float(torch.corrcoef(own.permute(1, 0, 2).flatten(1))[0, 1])) < 0.02
    assert torch.isnan(BinomialMask(p=1.0)(x, gen())).all()


def test_continuous_mask_hides_as_many_steps_as_one_span_has_at_uniform_places() -> None:
    x = torch.ones(4000, 2, 25)
    x[2000:, :, 20:] = NAN  # series of 20 steps, padded
    gone = hidden(ContinuousMask(spans=1, length=0.3, fill="zero")(x, gen()), x)
    assert torch.equal(gone[:, 0], gone[:, 1])
    assert set(gone[:2000, 0].sum(dim=1).tolist()) == {7}
    assert set(gone[2000:, 0].sum(dim=1).tolist()) == {6}
    first = gone[:, 0].int().argmax(dim=1)
    assert_uniform(np.bincount(first[:2000], minlength=19))
    assert_uniform(np.bincount(first[2000:], minlength=15))
    assert (gone[:, 0].int().diff(dim=1).abs().sum(dim=1) <= 2).all()  # one run


def test_continuous_mask_takes_the_official_number_of_spans() -> None:
    """Against the union of five spans of a tenth, drawn by NumPy: the hidden fraction has the same mean."""
    x = torch.ones(3000, 1, 50)
    fraction = torch.isnan(ContinuousMask()(x, gen())).double().mean(dim=2).flatten().numpy()
    rng = np.random.default_rng(0)
    expected = np.zeros((3000, 50), bool)
    for row in expected:
        for start in rng.integers(0, 46, 5):
            row[start : start + 5] = True
    assert stats.ks_2samp(fraction, expected.mean(axis=1)).pvalue > 1e-4
    few = torch.isnan(ContinuousMask(spans=5, length=0.01)(torch.ones(200, 1, 4), gen())).sum(dim=2)
    assert int(few.max()) == 2  # at most L // 2 spans


def test_cutout_is_one_span_of_its_share_at_uniform_places() -> None:
    x = torch.ones(3000, 2, 20)
    gone = hidden(Cutout(length=0.25)(x, gen()), x)
    assert torch.equal(gone[:, 0], gone[:, 1])
    assert set(gone[:, 0].sum(dim=1).tolist()) == {5}
    assert (gone[:, 0].int().diff(dim=1).abs().sum(dim=1) <= 2).all()
    assert_uniform(np.bincount(gone[:, 0].int().argmax(dim=1), minlength=16))
    apart = hidden(Cutout(length=0.25, shared=False)(x, gen()), x)
    assert not torch.equal(apart[:, 0], apart[:, 1])


def test_last_mask_hides_the_end_of_each_series_and_never_all_of_it() -> None:
    x = torch.ones(4, 2, 6)
    x[1, :, 4:] = NAN
    x[2, :, 1:] = NAN
    x[3] = NAN
    view = LastMask(steps=2, fill="zero")(x)
    assert hidden(view, x)[:, 0].int().tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0], [0] * 6, [0] * 6]
    times = torch.arange(6.0, dtype=torch.float64).expand(4, 6)
    kept = LastMask(fill="zero")(Batch.of(x, times=times)).x  # finite stamps: the steps are gaps, not padding
    assert not hidden(kept, x)[1].any() and hidden(kept, x)[0, 0].tolist() == [False] * 5 + [True]


# --- channels and histories ------------------------------------------------------------------------------------------


def test_channel_dropout_blanks_each_channel_with_probability_p() -> None:
    x = torch.ones(20_000, 4, 2)
    gone = (ChannelDropout(p=0.2, some=False)(x, gen()) == 0).all(dim=2)
    assert torch.equal(gone, (ChannelDropout(p=0.2, some=False)(x, gen()) == 0).any(dim=2))
    observed = np.bincount(gone.sum(dim=1), minlength=5)
    assert stats.chisquare(observed, 20_000 * stats.binom(4, 0.2).pmf(np.arange(5))).pvalue > 1e-4


def test_channel_dropout_blanks_some_and_keeps_some() -> None:
    for p in (0.01, 0.5, 1.0):
        gone = (ChannelDropout(p=p)(torch.ones(3000, 3, 2), gen()) == 0).all(dim=2)
        assert set(gone.sum(dim=1).tolist()) <= {1, 2}
    counts = (ChannelDropout(p=0.01)(torch.ones(3000, 3, 2), gen()) == 0).all(dim=2).sum(dim=0)
    assert_uniform(counts.numpy())  # the one that goes where none was drawn
    one = torch.ones(5, 1, 2)
    assert torch.equal(ChannelDropout()(one, gen()), one)


def test_history_cutout_never_hides_the_last_step() -> None:
    x = torch.ones(4000, 2, 20)
    gone = hidden(HistoryCutout(size=5)(x, gen()), x)[:, 0]
    assert set(gone.sum(dim=1).tolist()) == {5} and not gone[:, -1].any()
    assert_uniform(np.bincount(gone.int().argmax(dim=1), minlength=15))  # starts 0 … 14
    some = hidden(HistoryCutout(size=5, p=0.8)(x, gen()), x).any(dim=(1, 2))
    assert stats.binomtest(int(some.sum()), 4000, 0.8).pvalue > 1e-4
    x[:, :, 6:] = NAN
    short = hidden(HistoryCutout(size=5)(x, gen()), x)[:, 0]
    assert short[:, :5].all() and not short[:, 5:].any()
    for size in (6, 8, 1000):  # a short series loses all but its last step
        assert torch.equal(hidden(HistoryCutout(size=size)(x, gen()), x)[:, 0], short)
    assert hidden(HistoryCutout()(x[:, :, :4], gen()), x[:, :, :4])[:, 0].sum(dim=1).eq(3).all()
    assert torch.equal(HistoryCutout()(x[:, :, :1], gen()), x[:, :, :1])


def test_history_crop_hides_the_beginning_and_keeps_its_fraction() -> None:
    x = torch.ones(4000, 2, 24)
    x[:, :, :4] = NAN  # the history begins at step 4 and has 20 steps
    gone = hidden(HistoryCrop(min_history=0.5)(x, gen()), x)[:, 0, 4:]
    lost = gone.sum(dim=1)
    assert_uniform(np.bincount(lost, minlength=11)[1:])  # 1 … 10
    assert torch.equal(gone, torch.arange(20) < lost[:, None])
    some = hidden(HistoryCrop(p=0.5)(x, gen()), x).any(dim=(1, 2))
    assert stats.binomtest(int(some.sum()), 4000, 0.5).pvalue > 1e-4
    assert int(hidden(HistoryCrop(min_history=0.0)(x, gen()), x)[:, 0].sum(dim=1).max()) == 19


def test_observation_dropout_makes_observed_values_missing_and_none_observed() -> None:
    x = with_gaps(n=500)
    gone = torch.isnan(ObservationDropout(p=0.3)(x, gen())) & ~torch.isnan(x)
    assert stats.binomtest(int(gone.sum()), int((~torch.isnan(x)).sum()), 0.3).pvalue > 1e-4
    view = ObservationDropout(p=0.3)(x, gen())
    assert torch.isnan(view)[torch.isnan(x)].all() and torch.equal(view[~torch.isnan(view)], x[~torch.isnan(view)])
    steps = torch.isnan(ObservationDropout(p=0.3, shared=True)(torch.ones(50, 3, 40), gen()))
    assert torch.equal(steps[:, 0], steps[:, 2]) and steps.any() and not steps.all()


@pytest.mark.parametrize("name", [*MASKS, "observation_dropout"])
def test_no_strength_is_the_identity_and_less_strength_hides_less(name: str) -> None:
    x = 10 + torch.randn(400, 4, 40, generator=gen(3))
    whole = augmentations.build(name)
    assert torch.equal(whole.strength_scaled(0)(x, gen()), x)
    assert hidden(whole.strength_scaled(0.5)(x, gen()), x).sum() <= hidden(whole(x, gen()), x).sum()


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("fill", ["zero", "mean", "missing"])
def test_a_gradient_passes_what_is_not_hidden(name: str, fill: str) -> None:
    x = torch.randn(6, 3, 40, generator=gen(3), requires_grad=True)
    view = augmentations.build({name: {"fill": fill}})(x, gen())
    view.nan_to_num().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    kept = ~hidden(view, x)
    assert (x.grad[kept] > 0).all()
    if fill != "mean":
        assert torch.equal(x.grad[~kept], torch.zeros(int((~kept).sum())))
