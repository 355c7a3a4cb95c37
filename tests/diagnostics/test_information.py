"""Bounds of the information between two sides, against Gaussians whose information is known."""

import math

import numpy as np
import pytest
import torch

from kinview.diagnostics import information
from kinview.diagnostics.information import _CRITICS

SMALL = {"repeats": 1, "steps": 50}


def gaussians(n, d, correlation, seed=0):
    """Two sides whose columns are correlated one by one; I = −d/2 · log(1 − ρ²)."""
    draw = np.random.default_rng(seed)
    A = draw.normal(size=(n, d))
    return A, correlation * A + math.sqrt(1 - correlation**2) * draw.normal(size=(n, d))


def test_the_bounds_are_below_the_truth_and_above_0_where_sides_are_dependent():
    A, B = gaussians(400, 2, 0.9)
    truth = -math.log(1 - 0.9**2)  # 1.66
    found = information(A, B, **SMALL)
    assert list(found.index) == ["info_nce", "flo", "er_bound"]
    assert (found["nats"] < truth + 0.05).all()
    assert (found["nats"] > [1.1, 0.5, 1.0]).all()
    assert found["cap"].tolist() == [pytest.approx(math.log(200)), math.inf, math.inf]
    assert (found["low"] < found["nats"]).all() and (found["n"] == 400).all()
    # in any order of the samples, which may lack a side or be of one thing
    order = np.random.default_rng(1).permutation(401)
    A, B = (np.vstack([Z, np.full((1, 2), np.nan)])[order] for Z in (A, B))
    again = information(A, B, **SMALL, estimators=["info_nce"])
    assert again.loc["info_nce"].equals(found.loc["info_nce"])


def test_independent_sides_have_none():
    A, B = gaussians(200, 3, 0.9)
    found = information(A, np.roll(B, 7, axis=0), **SMALL)
    assert (found["nats"].abs() < 0.1).all()


def test_as_much_information_as_samples_can_tell_is_capped_in_one_estimator_alone():
    A = np.random.default_rng(0).normal(size=(80, 1))
    found = information(A, A, repeats=1, steps=120, estimators=["info_nce"])
    assert 2 < found.loc["info_nce", "nats"] <= found.loc["info_nce", "cap"] == pytest.approx(math.log(40))


def unit_rows(n, seed):
    return torch.nn.functional.normalize(
        torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)).double(), dim=1
    )


@torch.no_grad()
def test_the_bounds_are_their_formulas():
    a, b, known_a, known_b = (unit_rows(9, seed) for seed in range(4))
    other = ~torch.eye(9, dtype=torch.bool)
    logits = a @ b.T * 1.0  # τ = 1 at first
    log_softmax = (logits.log_softmax(dim=1).diagonal() + logits.log_softmax(dim=0).diagonal()) / 2
    critic = _CRITICS["info_nce"](2, 2, 4, 3)
    assert float(critic.bound((known_a, known_b), a, b)) == pytest.approx(
        float(math.log(9) + log_softmax.mean()), abs=1e-6
    )
    critic = _CRITICS["flo"](2, 2, 4, 3)
    u = critic.contrast.critic(torch.cat([a, b], dim=1).float())[:, 0].double()
    c = torch.stack([(logits[i][other[i]] - logits[i, i]).exp().mean().log() for i in range(9)])
    assert float(critic.bound((known_a, known_b), a, b)) == pytest.approx(
        float((1 - u - (c - u).exp()).mean()), abs=1e-6
    )

    def ratios(a, b, kernels, apart):
        density = (b @ kernels.T / 0.1).exp()
        density = (density * apart).sum(dim=1) / apart.sum(dim=1)
        return (a @ b.T / 0.1).exp() / density

    Z = ratios(known_a, known_b, known_b, other.double())[other].mean()
    r = ratios(a, b, known_b, torch.ones(9, 9)) / Z
    expected = 1 + r.diagonal().log().mean() - r[other].mean()
    assert float(_CRITICS["er_bound"](2, 2, 4, 3).bound((known_a, known_b), a, b)) == pytest.approx(float(expected))


def test_rows_of_one_thing_stay_in_one_half():
    """Sides that share nothing but whose they are: told apart only where a patient is on both halves."""
    draw = np.random.default_rng(0)
    codes, names = draw.normal(size=(2, 50, 6)), np.repeat(np.arange(50), 4)
    A, B = (code[names] + 0.01 * draw.normal(size=(200, 6)) for code in codes)
    rows, patients = (
        information(A, B, **SMALL, names=given, estimators=["info_nce"]).loc["info_nce", "nats"]
        for given in (None, names)
    )
    assert rows > 1 and abs(patients) < 0.3


@pytest.mark.parametrize(
    ("A", "B", "how", "message"),
    [
        (np.ones((50, 2)), np.ones((49, 2)), {}, r"two matrices of as many rows; got \(50, 2\) and \(49, 2\)"),
        (np.ones((39, 2)), np.ones((39, 2)), {}, "40 samples with both sides or more; got 39"),
        (np.ones((50, 2)), np.ones((50, 2)), {"names": [1] * 50}, "40 names with both sides or more; got 1"),
        (np.ones((50, 2)), np.ones((50, 2)), {"names": [1]}, "names has 1 entries for 50 samples"),
        (np.full((50, 2), np.inf), np.ones((50, 2)), {}, "infinite"),
        (np.ones((50, 2)), np.ones((50, 2)), {"estimators": ["mine"]}, "some of info_nce, flo, er_bound; got"),
        (np.ones((50, 2)), np.ones((50, 2)), {"repeats": 0}, "repeats must be at least 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(A, B, how, message):
    with pytest.raises(ValueError, match=message):
        information(A, B, **how)


@pytest.mark.slow
def test_over_repeats_the_interval_holds_no_more_than_the_truth():
    for d, correlation in ((1, 0.7), (2, 0.9), (5, 0.9)):
        found = information(*gaussians(1000, d, correlation))
        truth = -d / 2 * math.log(1 - correlation**2)
        assert (found["nats"] < truth).all() and (found["low"] > 0).all()
