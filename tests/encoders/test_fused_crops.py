"""Long series as a whole at a lower rate and three crops: the formula by hand, and what each part of it is for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers import NAN, gen, seeded
from kinview.data import bridge
from kinview.encoders import FusedCrops
from kinview.encoders.fused_crops import _means_of_parts
from kinview.encoders.pooling import pooled
from kinview.methods import SimCLR

INNER = {"resnet1d": {"widths": [4, 8], "kernel_sizes": [5, 3], "front_end": "values+mask+delta", "fill": "hold"}}


def built(length: int = 10, inner: Any = INNER, channels: int = 2, **changed: Any) -> FusedCrops:
    """In float64 and evaluation mode, with an attention that matters."""
    encoder: FusedCrops = seeded(lambda: FusedCrops(channels, inner, length, **changed)).double().eval()
    with torch.no_grad():
        encoder.attention[3].weight.mul_(8)
    return encoder


def series() -> Tensor:
    """Of 47, 30, 11, 10, 3 and 0 steps, with gaps."""
    x = torch.randn(6, 2, 47, generator=gen(), dtype=torch.float64)
    x[0, 0, 4:9] = x[0, :, 20:26] = x[1, 1, ::3] = x[1, :, 9] = NAN
    for row, steps in enumerate((47, 30, 11, 10, 3, 0)):
        x[row, :, steps:] = NAN
    return x


def means_by_hand(row: Tensor, parts: int) -> Tensor:
    """Each part by the steps that reach into it, of one channel."""
    width, means = len(row) / parts, []
    for part in range(parts):
        total = weight = 0.0
        for step, value in enumerate(row.tolist()):
            share = min(step + 1, (part + 1) * width) - max(step, part * width)
            if share > 1e-9 and not math.isnan(value):
                total, weight = total + share * value, weight + share
        means.append(total / weight if weight else NAN)
    return torch.tensor(means, dtype=torch.float64)


def views_by_hand(row: Tensor, length: int) -> list[Tensor]:
    room = row.shape[1] - length
    whole = torch.stack([means_by_hand(channel, length) for channel in row])
    return [whole, *(row[:, start : start + length] for start in (0, room // 2, room))]


def by_hand(encoder: FusedCrops, x: Tensor, times: Tensor, lengths: tuple[int, ...]) -> Tensor:
    found = []
    for row, clock, steps in zip(x, times, lengths, strict=True):
        row, clock = row[:, :steps], clock[None, :steps]
        if steps <= encoder.length:
            found.append(pooled(encoder.encoder, row[None], clock, encoder.pooling)[0])
            continue
        seen = zip(views_by_hand(row, encoder.length), views_by_hand(clock, encoder.length), strict=True)
        z = [pooled(encoder.encoder, view[None], stamps, encoder.pooling)[0] for view, stamps in seen]
        whole, local = z[0], (z[1] + z[2] + z[3]) / 3
        norm, first, _, second = encoder.attention
        hidden = F.relu(first(F.layer_norm(whole + local, (len(whole),), norm.weight, norm.bias)))
        alpha = torch.sigmoid(second(hidden))
        assert float((alpha.detach() - 0.5).abs().max()) > 0.02  # it says something
        found.append(alpha * whole + (1 - alpha) * local)
    return torch.stack(found)


@pytest.mark.parametrize("changed", [{}, {"pooling": "max", "reduction": 2}], ids=str)
def test_it_is_the_formula_written_out(changed: dict[str, Any]) -> None:
    encoder, x, lengths = built(**changed), series()[:5], (47, 30, 11, 10, 3)
    times = torch.rand(5, 47, generator=gen(1), dtype=torch.float64).cumsum(dim=1)
    times = times.masked_fill(torch.arange(47) >= torch.tensor(lengths)[:, None], NAN)
    torch.testing.assert_close(encoder(x, times=times), by_hand(encoder, x, times, lengths))
    unread = encoder(x + 3 * (torch.arange(47) == 46) * (torch.arange(5) == 0)[:, None, None], times=times)
    assert not torch.allclose(unread[0], encoder(x, times=times)[0]), "the last step of a long series is read"


def test_means_are_of_what_was_observed_whatever_the_length() -> None:
    x = series()[:4]
    means = _means_of_parts(x, torch.tensor([47, 30, 11, 10]), 10)
    for row, steps in enumerate((47, 30, 11, 10)):
        expected = torch.stack([means_by_hand(channel, 10) for channel in x[row, :, :steps]])
        torch.testing.assert_close(means[row], expected, equal_nan=True)
    torch.testing.assert_close(means[3], x[3, :, :10])  # as many parts as steps
    assert means[0, :, 5].isnan().sum() == 0 and _means_of_parts(x[:1], torch.tensor([47]), 40)[0, :, 19].isnan().all()


def test_a_series_that_is_short_enough_is_what_the_inner_encoder_makes_of_it() -> None:
    x, encoder = series(), built(10)
    expected = pooled(encoder.encoder, x[3:, :, :10], how="mean")
    torch.testing.assert_close(encoder(x)[3:], expected)
    torch.testing.assert_close(built(47)(x), pooled(encoder.encoder, x, how="mean"))
    assert not encoder(x)[5].any()


def test_attention_decides_between_the_whole_and_the_crops() -> None:
    x, encoder = series()[:2], built(10)
    views = [torch.stack(each) for each in zip(*(views_by_hand(x[i, :, :t], 10) for i, t in enumerate((47, 30))))]
    whole, *crops = (pooled(encoder.encoder, view, how="mean") for view in views)
    z = encoder(x)
    for alpha in (1.0, 0.0, 0.5):
        with torch.no_grad():
            encoder.attention[3].weight.zero_()
            encoder.attention[3].bias.fill_({1.0: 1e4, 0.0: -1e4, 0.5: 0.0}[alpha])
        torch.testing.assert_close(encoder(x), alpha * whole + (1 - alpha) * sum(crops) / 3)
        assert not torch.allclose(encoder(x), z, rtol=1e-3), "a fixed mixture is not what was learned"


def test_crops_without_an_observation_are_left_out() -> None:
    x, encoder = torch.randn(2, 1, 60, generator=gen(), dtype=torch.float64), built(10, channels=1)
    with torch.no_grad():
        encoder.attention[3].weight.zero_()
        encoder.attention[3].bias.fill_(-1e4)  # crops alone
    x[0, :, :10] = x[0, :, 25:35] = NAN
    torch.testing.assert_close(encoder(x)[:1], pooled(encoder.encoder, x[:1, :, 50:], how="mean"))
    x[1, :, :10] = x[1, :, 25:35] = x[1, :, 49:] = NAN  # of 49 steps; its last crop is observed
    assert encoder(x)[1].any()
    far = torch.full((1, 1, 60), NAN, dtype=torch.float64)
    far[..., 12], far[..., 16] = 1.0, 2.0
    stamps = torch.arange(60.0, dtype=torch.float64)[None]  # which keep what follows as a gap
    whole = torch.stack(views_by_hand(far[0], 10)[:1])
    clock = means_by_hand(stamps[0], 10)[None]
    expected = pooled(encoder.encoder, whole, clock, "mean")
    assert expected.any() and torch.equal(encoder(far, times=stamps), expected), "the whole, where crops show nothing"


def test_crops_are_drawn_within_their_thirds_in_training_and_fixed_afterwards() -> None:
    encoder, room = built(10), torch.tensor([1, 2, 30, 299]).repeat(200)
    assert encoder._starts(room[:4]).tolist() == [[0, 0, 1], [0, 1, 2], [0, 15, 30], [0, 149, 299]]
    encoder.train()
    torch.manual_seed(0)
    starts = encoder._starts(room)
    torch.manual_seed(0)
    assert torch.equal(encoder._starts(room), starts)
    for index, steps in enumerate((1, 2, 30, 299)):
        own = starts[index::4]
        for crop in range(3):
            low, high = crop / 3 * (steps + 1), (crop + 1) / 3 * (steps + 1)
            assert int(own[:, crop].min()) == math.floor(low) and int(own[:, crop].max()) <= math.ceil(high) - 1
    assert int(starts[3::4, 2].max()) > 295


def test_crops_are_completed_at_their_place_and_the_whole_by_a_line() -> None:
    phase, noise = torch.rand(60, 1, 1, generator=gen()), torch.randn(60, 1, 40, generator=gen(1))
    x = torch.sin(torch.arange(40.0) / 3 + phase) + 0.1 * noise
    x[torch.rand(x.shape, generator=gen(2)) < 0.3] = NAN
    x[0, :, 15:21], x[0, :, 39] = NAN, 0.5
    inner = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1, "fill": "completion", "front_end": "values"}}
    encoder = seeded(FusedCrops, 1, inner, 10).eval()
    encoder.gaps.make_room(40), encoder.gaps.learn(x)
    completion = encoder.gaps.completion
    assert encoder.gaps is encoder.encoder.gaps and completion.completed.all()
    read: list[Tensor] = []
    encoder.encoder.front_end.register_forward_hook(lambda _, given, features: read.extend([given[0], features[0]]))
    encoder(x[:1], offset=torch.tensor([2]))
    views, filled = read
    at_its_place, elsewhere = (bridge(views[2:3], None, "completion", completion, torch.tensor([o])) for o in (17, 0))
    assert torch.equal(filled[2:3], at_its_place) and not torch.allclose(at_its_place, elsewhere)
    line, guessed = bridge(views[:1]), bridge(views[:1], None, "completion", completion)
    assert torch.equal(filled[:1], line) and not torch.allclose(line, guessed)


def test_a_fit_draws_its_crops_from_its_own_seed() -> None:
    x = series().float().repeat(4, 1, 1).numpy()
    spec = {"fused_crops": {"encoder": {"resnet1d": {"widths": [4], "kernel_sizes": [3]}}, "length": 10}}

    def embedded() -> np.ndarray:
        return np.asarray(SimCLR(encoder=spec, trainer={"max_steps": 3}, random_state=0).fit(x).transform(x))

    before = torch.get_rng_state()
    first = embedded()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert np.array_equal(embedded(), first) and np.isfinite(first).all()


def test_what_is_no_encoder_or_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"encoder must be a name or \{name: \{parameter: value\}\}; got 3"):
        FusedCrops(1, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"pooling must be one of max, mean, last; got 'sum'"):
        FusedCrops(1, INNER, pooling="sum")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"length"):
        FusedCrops(1, INNER, length=0)
