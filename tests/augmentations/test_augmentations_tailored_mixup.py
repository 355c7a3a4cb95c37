"""Tailored mixup: its autoencoder, its similarity, its partners, and its weights, each by a slow transcription."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from helpers import NAN, gen
from kinview.augmentations import AmplitudePhaseMixup, TailoredMixup, augmentations
from kinview.augmentations.tailored_mixup import _truncated_normal, most_similar
from kinview.data import Batch
from kinview.modules import VariationalAutoencoder, gaussian_kl
from test_augmentations_frequency import mixed_by_the_formula

KINDS = 4


def waves(n: int = 64, channels: int = 1, steps: int = 48, seed: int = 0) -> Tensor:
    """Return noisy waves of four frequencies, n / 4 of each, with random phases."""
    generator = gen(seed)
    turns = 1.0 + torch.arange(n) % KINDS
    phase = 2 * torch.pi * torch.rand(n, channels, 1, generator=generator)
    x = torch.sin(2 * torch.pi * turns[:, None, None] * torch.arange(steps) / steps + phase)
    return x + 0.3 * torch.randn(n, channels, steps, generator=generator)


def fitted(x: Tensor, **parameters: float | tuple[float, float]) -> TailoredMixup:
    return TailoredMixup(**{"learning_steps": 60, **parameters}).fit(Batch.of(x), None, gen())  # type: ignore[arg-type]


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=0))


# --- the autoencoder -------------------------------------------------------------------------------------------------


def test_the_bound_is_its_transcription() -> None:
    model = VariationalAutoencoder(10, latent_dim=3, generator=gen()).double()
    model.location.fill_(0.5)
    model.scale.fill_(2.0)
    x = torch.randn(5, 10, generator=gen(1), dtype=torch.float64)
    x[0, 2:5], x[1, 6:], x[4, 0] = NAN, NAN, NAN
    noise = torch.randn(5, 3, generator=gen(2), dtype=torch.float64)
    for weight in (1.0, 0.3):
        bound = model.negative_elbo(x, noise, weight)
        mean, log_variance = model.encode(x)
        decoded = model.decode(mean + (log_variance / 2).exp() * noise)
        cells = [(i, t) for i in range(5) for t in range(10) if not math.isnan(x[i, t])]
        residuals = torch.stack([(x[i, t] - decoded[i, t]) / 2.0 for i, t in cells])
        spread = residuals.square().mean().sqrt()
        likelihood = torch.distributions.Normal(0.0, spread).log_prob(residuals).sum()
        latents = torch.distributions.Normal(mean, (log_variance / 2).exp())
        apart = torch.distributions.kl_divergence(latents, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
        torch.testing.assert_close(gaussian_kl(mean, log_variance), apart)
        expected = (weight * apart.sum() - likelihood) / 5
        torch.testing.assert_close(bound, expected, rtol=1e-10, atol=1e-10)
        slopes = [torch.autograd.grad(value, list(model.parameters())) for value in (bound, expected)]
        for found, wanted in zip(*slopes, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


def test_what_lies_in_gaps_and_beyond_has_no_say() -> None:
    model = VariationalAutoencoder(12, latent_dim=2, generator=gen())
    x = torch.randn(4, 12, generator=gen(1))
    x[:, 9:] = NAN
    noise = torch.randn(4, 2, generator=gen(2))
    for other in (x[:, :9], torch.nn.functional.pad(x, (0, 20), value=NAN)):
        assert torch.equal(model.encode(other)[0], model.encode(x)[0])
        assert torch.equal(model.negative_elbo(other, noise), model.negative_elbo(x, noise))
    longer = torch.cat([torch.randn(4, 12, generator=gen(3)), torch.full((4, 5), 7.0)], dim=1)
    assert torch.equal(model.encode(longer)[0], model.encode(longer[:, :12])[0])


def test_it_learns_the_units_of_the_series_and_gives_them_back_better() -> None:
    x = 40 + 5 * waves()[:, 0]
    x[::3, 30:] = NAN
    x[7] = NAN
    model = VariationalAutoencoder(48, generator=gen())
    before, after = model.learn(x, gen(1), steps=100)
    assert after < before - 10
    seen = x[~x.isnan()]
    assert float(model.location) == pytest.approx(float(seen.mean()), rel=1e-5)
    assert float(model.scale) == pytest.approx(float(seen.std(correction=0)), rel=1e-5)
    error = (model.decode(model.encode(x)[0]) - x).detach().square()
    assert float(error[~x.isnan()].mean()) < 0.7 * float(seen.var())


@pytest.mark.parametrize(
    "x", [torch.full((3, 8), NAN), torch.zeros(0, 8), torch.full((3, 8), 2.0), torch.randn(1, 8, generator=gen())]
)
def test_it_learns_of_hardly_anything(x: Tensor) -> None:
    model = VariationalAutoencoder(8, generator=gen())
    model.learn(x, gen(), steps=5)
    assert all(bool(torch.isfinite(weight).all()) for weight in model.parameters())
    assert bool(torch.isfinite(model.encode(x)[0]).all())


def test_an_infinite_value_is_told_and_sizes_below_one_are_refused() -> None:
    with pytest.raises(FloatingPointError, match="bound of the variational autoencoder is nan at step 1"):
        VariationalAutoencoder(4, generator=gen()).learn(torch.full((2, 4), torch.inf), gen(), steps=2)
    with pytest.raises(ValueError, match="latent_dim must be at least 1; got 0"):
        VariationalAutoencoder(4, latent_dim=0, generator=gen())


# --- who is mixed with whom ------------------------------------------------------------------------------------------


def test_how_far_a_batch_is_padded_changes_nothing() -> None:
    x = waves(16)
    padded = torch.cat([x, torch.full((16, 1, 20), NAN)], dim=2)
    torch.testing.assert_close(fitted(padded).latents(x), fitted(x).latents(x), rtol=0, atol=0)


def test_rows_that_a_choice_leaves_alone_are_wholly_their_own() -> None:
    mixed = augmentations.build({"sometimes": {"augmentation": "tailored_mixup", "p": 0.5}})
    view = mixed.fit(Batch.of(waves(16)), None, gen())(Batch.of(waves(16)), gen(1))
    alone = view.extra["partner"] == torch.arange(16)
    assert 0 < int(alone.sum()) < 16
    for name in ("coefficient", "phase_coefficient", "similarity"):
        assert bool((view.extra[name][alone] == 1).all()), name


def test_the_partner_is_the_most_similar_other_row() -> None:
    part, x = fitted(waves()), waves(20, seed=1)
    extra = part(Batch.of(x), gen()).extra
    latents = part.latents(x)
    for i in range(20):
        others = {j: cosine(latents[i], latents[j]) for j in range(20) if j != i}
        assert int(extra["partner"][i]) == max(others, key=lambda j: others[j])


def test_the_similarity_is_that_of_the_row_and_its_partner() -> None:
    part, x = fitted(waves()), waves(20, seed=1)
    extra, latents = part(Batch.of(x), gen()).extra, part.latents(x)
    found = [cosine(latents[i], latents[j]) for i, j in enumerate(extra["partner"].tolist())]
    np.testing.assert_allclose(extra["similarity"].numpy(), found, atol=1e-5)
    elsewhere = [cosine(latents[0], latents[j]) for j in extra["partner"].tolist()]  # as in the official code
    assert np.abs(np.subtract(elsewhere, found)).max() > 0.5


def test_partners_are_the_same_whatever_is_drawn() -> None:
    part, batch = fitted(waves()), Batch.of(waves(20, seed=1))
    one, other = part(batch, gen(1)), part(batch, gen(2))
    assert torch.equal(one.extra["partner"], other.extra["partner"]) and not torch.equal(one.x, other.x)
    assert torch.equal(one.extra["similarity"], other.extra["similarity"])


def test_it_finds_rows_of_the_same_kind_where_a_random_partner_is_of_any() -> None:
    x = waves(120, seed=1)
    kind = torch.arange(120) % KINDS
    shares = []
    for part in (TailoredMixup().fit(Batch.of(waves(120)), None, gen()), AmplitudePhaseMixup()):
        shares.append(float((kind[part(Batch.of(x), gen()).extra["partner"]] == kind).double().mean()))
    assert shares[0] > 0.9 and shares[1] < 0.4, shares


def test_rows_that_were_not_observed_are_chosen_last_and_a_single_row_is_its_own_view() -> None:
    x = waves(4)
    x[2:] = NAN
    view = fitted(waves())(Batch.of(x), gen())
    assert view.extra["partner"][:2].tolist() == [1, 0]
    assert torch.equal(view.x.isnan(), x.isnan())
    assert view.extra["coefficient"][2:].tolist() == [1.0, 1.0]
    assert most_similar(torch.zeros(3, 2), torch.tensor([True, False, False]))[0].tolist() == [1, 0, 0]
    alone = fitted(waves())(Batch.of(x[:1]), gen())
    assert torch.equal(alone.x, x[:1])
    assert {key: value.tolist() for key, value in alone.extra.items()} == {
        "partner": [0], "coefficient": [1.0], "phase_coefficient": [1.0], "similarity": [1.0],
    }  # fmt: skip


# --- by how much -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "deviation", "low", "high"),
    [(0.9, 0.1, 0.7, 1.0), (1.0, 0.1, 0.9, 1.0), (0.0, 0.1, 0.9, 1.0), (1.0, 0.05, 0.0, 0.7), (0.5, 10.0, 0.0, 1.0)],
)
def test_the_truncated_normal_inverts_its_distribution(mean: float, deviation: float, low: float, high: float) -> None:
    drawn = torch.linspace(0, 1, 41, dtype=torch.float64)
    found = _truncated_normal(drawn, mean, deviation, low, high).numpy()
    assert found[0] == low and found[-1] == high
    side = -1 if mean < low else 1  # the tail that keeps its digits
    inside, ends = (stats.norm.cdf(side * (np.asarray(x) - mean) / deviation) for x in (found, [low, high]))
    np.testing.assert_allclose((inside - ends[0]) / (ends[1] - ends[0]), drawn.numpy(), atol=1e-9)
    for width in (0.0, 1e-9):  # beyond what a tail can hold: the end of the range next to the mean
        end = _truncated_normal(drawn[1:-1], mean, width, low, high).numpy()  # 0 and 1 are the ends of any width
        np.testing.assert_allclose(end, min(max(mean, low), high), atol=1e-6)


def test_weights_are_drawn_for_each_row_by_the_similarity_of_its_pair() -> None:
    x = torch.randn(2000, 1, 6, generator=gen(3))
    part = fitted(x[:100], learning_steps=5)
    batch = Batch.of(x)
    extra = part(batch, gen()).extra
    similarity = extra["similarity"].numpy()
    part = part._with(threshold=float(np.median(similarity)))
    extra = part(batch, gen(1)).extra
    alike = similarity > part.threshold
    assert 900 < alike.sum() < 1100
    for name, low, mean in (("coefficient", 0.7, 0.9), ("phase_coefficient", 0.9, 1.0)):
        drawn = extra[name].numpy()
        assert stats.kstest((drawn[alike] - low) / (1 - low), "uniform").pvalue > 1e-4
        normal = stats.truncnorm((low - mean) / 0.1, (1 - mean) / 0.1, mean, 0.1)
        assert stats.kstest(drawn[~alike], normal.cdf).pvalue > 1e-4
        assert len(np.unique(drawn)) > 1900


def test_the_mixture_follows_the_formula_over_each_rows_own_length() -> None:
    x = waves(12, channels=2).double()
    ends = [48, 47, 31, 30] * 3
    for row, end in enumerate(ends):
        x[row, :, end:] = NAN
    view = fitted(waves(channels=2), amplitude_share=(0.0, 1.0), phase_share=(0.0, 1.0))(Batch.of(x), gen())
    assert torch.equal(view.x.isnan(), x.isnan())
    for row, end in enumerate(ends):
        partner = int(view.extra["partner"][row])
        both = min(end, ends[partner]) / end
        weights = [1 - (1 - float(view.extra[key][row])) / both for key in ("coefficient", "phase_coefficient")]
        for channel in range(2):
            other = x[partner, channel].numpy()
            other = np.nan_to_num(other - np.nanmean(other))[:end]
            expected = mixed_by_the_formula(x[row, channel, :end].numpy(), other, *weights)
            np.testing.assert_allclose(view.x[row, channel, :end].numpy(), expected, atol=1e-7)


def test_whole_own_weights_are_the_identity_and_strength_leads_there() -> None:
    part, x = fitted(waves()), waves(20, seed=1)
    for neutral in (part.strength_scaled(0.0), part._with(amplitude_share=(1.0, 1.0), phase_share=(1.0, 1.0))):
        assert torch.equal(neutral(Batch.of(x), gen()).x, x)
    half = part.strength_scaled(0.5)
    assert half.amplitude_share == (0.85, 1.0) and half.amplitude_mean == pytest.approx(0.95)


# --- what it learns --------------------------------------------------------------------------------------------------


def test_what_was_learned_follows_from_rows_and_generator_and_is_forgotten() -> None:
    x = waves(20, seed=1)
    one, again = fitted(waves()), fitted(waves())
    assert torch.equal(one.latents(x), again.latents(x))
    other = TailoredMixup(learning_steps=60).fit(Batch.of(waves()), None, gen(5))
    assert not torch.equal(one.latents(x), other.latents(x))
    assert not torch.equal(one.latents(x), fitted(waves(seed=9)).latents(x))
    assert one.network is None  # no part of what the method trains, checkpoints and saves
    assert augmentations.to_config(one) == {"tailored_mixup": {"learning_steps": 60}}
    with pytest.raises(ValueError, match=r"tailored_mixup has no similarity yet: call fit\(batch, generator=\.\.\.\)"):
        one.forget()(Batch.of(x), gen())
    with torch.no_grad():  # of whoever calls fit
        assert torch.equal(fitted(waves()).latents(x), one.latents(x))


def test_latents_are_those_of_each_channel_side_by_side() -> None:
    part, x = fitted(waves(channels=2)), waves(6, channels=3)
    x[0, 1] = NAN
    latents = part.latents(x)
    assert latents.shape == (6, 30)
    for channel in range(3):
        torch.testing.assert_close(latents[:, 10 * channel : 10 * (channel + 1)], part.latents(x[:, [channel]]))
    assert not latents[0, 10:20].any() and latents[1, 10:20].any()
