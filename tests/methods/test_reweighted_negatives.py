"""Decoupled, debiased and hard-negative contrastive learning: losses by transcription, and their neutral forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from frameworks import MODALITIES, data, differ, fitted, loss_and_gradient, network, projected, two_views
from helpers import gen
from kinview.losses import losses

PROJECTOR = {"hidden_dim": 8, "out_dim": 4}


def transcribed(a: Tensor, b: Tensor, term: Any) -> float:
    """Mean over 2n anchors of a term of the positive's cosine and those of the 2n − 2 negatives."""
    rows = torch.cat([a, b])
    rows = rows / rows.square().sum(dim=1, keepdim=True).sqrt()
    n, total = len(a), 0.0
    for i in range(2 * n):
        p = (i + n) % (2 * n)
        negatives = [float(rows[i] @ rows[k]) for k in range(2 * n) if k not in (i, p)]
        total += term(float(rows[i] @ rows[p]), negatives)
    return total / (2 * n)


def decoupled_term(positive: float, negatives: list[float]) -> float:
    return -positive / 0.1 + math.log(sum(math.exp(s / 0.1) for s in negatives))


def corrected_term(positive: float, negatives: list[float], beta: float) -> float:
    count, tau_plus, t = len(negatives), 0.1, 0.5
    weights = [math.exp(beta * s / t) for s in negatives]
    total = sum(w / (sum(weights) / count) * math.exp(s / t) for w, s in zip(weights, negatives, strict=True))
    found = (total - count * tau_plus * math.exp(positive / t)) / (1 - tau_plus)
    pull = math.exp(positive / t)
    return -math.log(pull / (pull + max(found, count * math.exp(-1 / t))))


TERMS: dict[str, Any] = {
    "decoupled_contrastive": decoupled_term,
    "debiased_contrastive": lambda p, negatives: corrected_term(p, negatives, 0.0),
    "hard_negative_contrastive": lambda p, negatives: corrected_term(p, negatives, 1.0),
}
# what each is without its part, by public parameters
NEUTRAL: dict[str, Any] = {
    "decoupled_contrastive": {"nt_xent": {"temperature": 0.1}},
    "debiased_contrastive": {"debiased": {"tau_plus": 0.0}},
    "hard_negative_contrastive": {"hard_negative": {"beta": 0.0}},
}


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", TERMS)
def test_the_recipe_is_the_published_loss(name: str, modality: str) -> None:
    method, views = network(name, modality, projector=PROJECTOR).eval(), two_views(modality)
    a, b = (projected(method, view) for view in views)
    assert method.loss(views).loss.item() == pytest.approx(transcribed(a, b, TERMS[name]), rel=1e-10)


@pytest.mark.parametrize("name", TERMS)
def test_the_neutral_form_is_another_loss(name: str) -> None:
    views = two_views()
    found = [
        loss_and_gradient(network(name, projector=PROJECTOR, **parameters), views)
        for parameters in ({}, {"loss": NEUTRAL[name]})
    ]
    assert differ(*found)


def test_the_neutral_forms_are_the_losses_that_they_correct() -> None:
    views = two_views()
    nt_xent = loss_and_gradient(network("joint_embedding", projector=PROJECTOR, loss={"nt_xent": {}}), views)
    for name, loss in (
        ("debiased_contrastive", {"debiased": {"tau_plus": 0.0, "temperature": 0.5}}),
        ("hard_negative_contrastive", {"hard_negative": {"beta": 0.0, "tau_plus": 0.0}}),
    ):
        found = loss_and_gradient(network(name, projector=PROJECTOR, loss=loss), views)
        assert found[0] == pytest.approx(nt_xent[0], rel=1e-9)
        torch.testing.assert_close(found[1], nt_xent[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", TERMS)
def test_a_training_lowers_its_own_loss_further_than_that_of_the_neutral_form(name: str) -> None:
    loss = losses.build(dict(fitted(name, "time_series", 1).loss))
    found = []
    for parameters in ({}, {"loss": NEUTRAL[name]}):
        model = fitted(name, "time_series", 300, 64, projector=PROJECTOR, trainer={"lr": 0.01}, **parameters)
        method = model.method_.eval()
        batch = model.to_batch(data("time_series", 64))
        pairs = [method.views(batch, gen(seed), 1.0) for seed in range(20)]
        found.append(sum(float(loss(*(projected(method, view) for view in pair))) for pair in pairs) / 20)
    assert found[0] < found[1], found


def test_the_weight_holds_the_temperature() -> None:
    a, b = (view.x[:, 0] for view in two_views())
    value = losses.build({"hard_negative": {"beta": 0.5, "temperature": 0.5}})(a, b).item()
    # β s / τ, as in the official code: the paper's β s at τ = 0.5 is half of it
    assert value == pytest.approx(transcribed(a, b, lambda p, s: corrected_term(p, s, 0.5)), rel=1e-9)
    assert value != pytest.approx(transcribed(a, b, lambda p, s: corrected_term(p, s, 0.25)), rel=1e-3)


def test_a_word_is_no_flag() -> None:
    with pytest.raises(ValueError, match="weighted must be True or False; got the text 'False'"):
        losses.build({"decoupled": {"weighted": "False"}})
