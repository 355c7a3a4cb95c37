"""Pairs, triplets, and the losses without negatives, against their formulas transcribed term by term."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from helpers import assert_same, draw, gen, rotation
from kinview.losses import (
    NCE,
    AlignmentUniformity,
    BarlowTwins,
    BinaryLogistic,
    Contrastive,
    LiftedStructured,
    NegativeCosine,
    NPair,
    SoftNearestNeighbour,
    Triplet,
    VICReg,
    alignment,
    alignment_uniformity,
    barlow_twins,
    binary_logistic,
    binary_logistic_scores,
    contrastive,
    info_nce,
    lifted_structured,
    n_pair,
    nce,
    nce_pairs,
    negative_cosine,
    soft_nearest_neighbour,
    triplet,
    uniformity,
    vicreg,
)
from kinview.losses.triplet import Mining

LABELS = torch.tensor([0, 1, 0, 2, 1, 0])


# --- the formulas, one term at a time --------------------------------------------------------------------------------


def mean(terms: list[Tensor], like: Tensor) -> Tensor:
    return sum(terms, like.new_zeros(())) / max(len(terms), 1)


def unit_rows(z: Tensor) -> list[Tensor]:
    return [row / row.norm() for row in z]


def length(difference: Tensor) -> Tensor:
    return difference.square().sum().sqrt()


def slow_contrastive(a: Tensor, b: Tensor, margin: float, codes: list[int]) -> Tensor:
    n = range(len(a))
    same = [length(a[i] - b[j]) ** 2 for i in n for j in n if codes[i] == codes[j]]
    other = [(margin - length(a[i] - b[j])).clamp(min=0) ** 2 for i in n for j in n if codes[i] != codes[j]]
    return (mean(same, a) + mean(other, a)) / 2


def slow_triplet(a: Tensor, b: Tensor, margin: float, mining: Mining, codes: list[int]) -> Tensor:
    rows, codes = unit_rows(torch.cat([a, b])), codes * 2
    n = range(len(rows))
    terms = []
    for i in n:
        far = {k: (rows[i] - rows[k]).square().sum() for k in n if codes[k] != codes[i]}
        for p in n:
            if p == i or codes[p] != codes[i] or not far:
                continue
            near = (rows[i] - rows[p]).square().sum()
            if mining == "all":
                chosen = list(far.values())
            elif mining == "hard":
                chosen = [min(far.values())]
            else:
                beyond = [d for d in far.values() if d > near]
                chosen = [min(beyond) if beyond else max(far.values())]
            terms += [(near - d + margin).clamp(min=0) for d in chosen]
    return mean(terms, a)


def slow_lifted(a: Tensor, b: Tensor, margin: float, codes: list[int]) -> Tensor:
    rows, codes = torch.cat([a, b]), codes * 2
    n = range(len(rows))
    terms = []
    for i in n:
        for j in range(i + 1, len(rows)):
            if codes[i] != codes[j] or len(set(codes)) == 1:
                continue
            negatives = [torch.exp(margin - length(rows[i] - rows[k])) for k in n if codes[k] != codes[i]]
            negatives += [torch.exp(margin - length(rows[j] - rows[k])) for k in n if codes[k] != codes[j]]
            terms.append((length(rows[i] - rows[j]) + torch.log(sum(negatives))).clamp(min=0) ** 2)
    return mean(terms, a) / 2


def slow_n_pair(a: Tensor, b: Tensor, regularization: float) -> Tensor:
    n = range(len(a))
    terms = [
        torch.log(1 + sum((torch.exp(a[i] @ b[j] - a[i] @ b[i]) for j in n if j != i), a.new_zeros(()))) for i in n
    ]
    return mean(terms, a) + regularization / 4 * mean([a[i] @ a[i] + b[i] @ b[i] for i in n], a)


def slow_soft_nearest_neighbour(rows: Tensor, temperature: float, codes: list[int]) -> Tensor:
    n = range(len(rows))
    terms = []
    for i in n:
        weight = {k: torch.exp(-(rows[i] - rows[k]).square().sum() / temperature) for k in n if k != i}
        positives = [w for k, w in weight.items() if codes[k] == codes[i]]
        if positives:
            terms.append(-torch.log(sum(positives) / sum(weight.values())))
    return mean(terms, rows)


def slow_nce_pairs(a: Tensor, b: Tensor, temperature: float, constant: float, log_noise: Tensor) -> Tensor:
    x, y, n = unit_rows(a), unit_rows(b), len(a)
    total = a.new_zeros(())
    for i in range(n):
        for j in range(n):
            model = torch.exp(x[i] @ y[j] / temperature + constant)
            h = model / (model + (n - 1) * torch.exp(log_noise[j])) if n > 1 else model / model
            total = total - torch.log(h if i == j else 1 - h)
    return total / n


def slow_binary_logistic(a: Tensor, b: Tensor, weight: float, rate: float, negatives: Tensor | None) -> Tensor:
    n = range(len(a))
    near = [-torch.log(torch.sigmoid(a[i] @ b[i])) for i in n]
    given = [list(negatives[i]) if negatives is not None else [b[j] for j in n if j != i] for i in n]
    scores = [a[i] @ z for i in n for z in given[i]]
    far = [-(1 - rate) * torch.log(torch.sigmoid(-s)) - rate * torch.log(torch.sigmoid(s)) for s in scores]
    return mean(near, a) + weight * mean(far, a)


def slow_negative_cosine(a: Tensor, b: Tensor) -> Tensor:
    return -mean([x @ y for x, y in zip(unit_rows(a), unit_rows(b.detach()), strict=True)], a)


def slow_barlow(a: Tensor, b: Tensor, weight: float, eps: float) -> Tensor:
    n, d = a.shape
    total = a.new_zeros(())

    def standard(z: Tensor, i: int, j: int) -> Tensor:
        centre = sum(z[k, j] for k in range(n)) / n
        variance = sum((z[k, j] - centre) ** 2 for k in range(n)) / n
        return (z[i, j] - centre) / (variance + eps) ** 0.5

    for j in range(d):
        for k in range(d):
            c = sum(standard(a, i, j) * standard(b, i, k) for i in range(n)) / n
            total = total + ((1 - c) ** 2 if j == k else weight * c**2)
    return total


def slow_vicreg(a: Tensor, b: Tensor, weights: tuple[float, float, float], gamma: float, eps: float) -> Tensor:
    n, d = a.shape
    total = weights[0] * sum((a[i, j] - b[i, j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    for z in (a, b) if n > 1 else ():
        centred = z - sum(z[i] for i in range(n)) / n
        dims = range(d)
        covariance = [[sum(centred[i, j] * centred[i, k] for i in range(n)) / (n - 1) for k in dims] for j in dims]
        spread = sum((gamma - (covariance[j][j] + eps) ** 0.5).clamp(min=0) for j in range(d)) / d
        repeated = sum(covariance[j][k] ** 2 for j in range(d) for k in range(d) if j != k) / d
        total = total + weights[1] / 2 * spread + weights[2] * repeated
    return total


def slow_alignment_uniformity(a: Tensor, b: Tensor, exponent: float, scale: float) -> Tensor:
    x, y = unit_rows(a), unit_rows(b)
    n = range(len(a))
    value = mean([length(x[i] - y[i]) ** exponent for i in n], a)
    for z in (x, y) if len(a) > 1 else ():
        close = [torch.exp(-scale * (z[i] - z[j]).square().sum()) for i in n for j in n if i < j]
        value = value + torch.log(mean(close, a)) / 2
    return value


sizes = {"n": st.integers(1, 6), "d": st.integers(1, 4), "seed": st.integers(0, 99)}
scales = st.floats(0.1, 3.0)
few = settings(deadline=None, max_examples=10)


@few
@given(**sizes, margin=scales, labelled=st.booleans(), spread=scales)
def test_contrastive(n: int, d: int, seed: int, margin: float, labelled: bool, spread: float) -> None:
    a, b = spread * draw(n, d, seed=seed), spread * draw(n, d, seed=seed + 1)
    labels = LABELS[:n] if labelled else None
    codes = LABELS[:n].tolist() if labelled else list(range(n))
    assert_same(
        lambda x, y: contrastive(x, y, margin, labels=labels), lambda x, y: slow_contrastive(x, y, margin, codes), a, b
    )
    unit = [torch.stack(unit_rows(z)) for z in (a, b)]
    torch.testing.assert_close(
        contrastive(a, b, margin, True, labels=labels), contrastive(*unit, margin, labels=labels)
    )


@pytest.mark.parametrize("mining", ["all", "hard", "semi_hard"])
@few
@given(**sizes, margin=scales, labelled=st.booleans())
def test_triplet(mining: Mining, n: int, d: int, seed: int, margin: float, labelled: bool) -> None:
    # at d = 1 unit rows are ±1: distances tie, and which one of two equal ones is taken is nobody's promise
    a, b = draw(n, d + 1, seed=seed), draw(n, d + 1, seed=seed + 1)
    labels = LABELS[:n] if labelled else None
    codes = LABELS[:n].tolist() if labelled else list(range(n))
    assert_same(
        lambda x, y: triplet(x, y, margin, mining, labels=labels),
        lambda x, y: slow_triplet(x, y, margin, mining, codes),
        a,
        b,
    )


@few
@given(**sizes, margin=scales, labelled=st.booleans())
def test_lifted_structured(n: int, d: int, seed: int, margin: float, labelled: bool) -> None:
    a, b = draw(n, d, seed=seed), draw(n, d, seed=seed + 1)
    labels = LABELS[:n] if labelled else None
    codes = LABELS[:n].tolist() if labelled else list(range(n))
    assert_same(
        lambda x, y: lifted_structured(x, y, margin, labels=labels),
        lambda x, y: slow_lifted(x, y, margin, codes),
        a,
        b,
    )


@few
@given(**sizes, regularization=st.floats(0, 2))
def test_n_pair(n: int, d: int, seed: int, regularization: float) -> None:
    a, b = draw(n, d, seed=seed), draw(n, d, seed=seed + 1)
    assert_same(lambda x, y: n_pair(x, y, regularization), lambda x, y: slow_n_pair(x, y, regularization), a, b)


@few
@given(**sizes, temperature=scales)
def test_soft_nearest_neighbour(n: int, d: int, seed: int, temperature: float) -> None:
    a, b, labels = draw(n, d, seed=seed), draw(n, d, seed=seed + 1), LABELS[:n]
    codes = labels.tolist()
    assert_same(
        lambda x: soft_nearest_neighbour(x, None, temperature, labels=labels),
        lambda x: slow_soft_nearest_neighbour(x, temperature, codes),
        a,
    )
    assert_same(
        lambda x, y: soft_nearest_neighbour(x, y, temperature, labels=labels),
        lambda x, y: slow_soft_nearest_neighbour(torch.cat([x, y]), temperature, codes * 2),
        a,
        b,
    )


@few
@given(**sizes, temperature=scales, constant=st.floats(-2, 2), uniform=st.booleans())
def test_nce_pairs(n: int, d: int, seed: int, temperature: float, constant: float, uniform: bool) -> None:
    a, b = draw(n, d, seed=seed), draw(n, d, seed=seed + 1)
    noise = torch.full((n,), -math.log(n), dtype=torch.float64) if uniform else draw(n, seed=seed + 2)
    assert_same(
        lambda x, y: nce_pairs(x, y, temperature, constant, log_noise=None if uniform else noise),
        lambda x, y: slow_nce_pairs(x, y, temperature, constant, noise),
        a,
        b,
    )


@few
@given(**sizes, weight=st.floats(0, 2), rate=st.floats(0, 0.9), given_negatives=st.booleans())
def test_binary_logistic(n: int, d: int, seed: int, weight: float, rate: float, given_negatives: bool) -> None:
    a, b = draw(n, d, seed=seed), draw(n, d, seed=seed + 1)
    if given_negatives:
        assert_same(
            lambda x, y, z: binary_logistic(x, y, weight, rate, negatives=z),
            lambda x, y, z: slow_binary_logistic(x, y, weight, rate, z),
            a,
            b,
            draw(n, 3, d, seed=seed + 2),
        )
    else:
        assert_same(
            lambda x, y: binary_logistic(x, y, weight, rate),
            lambda x, y: slow_binary_logistic(x, y, weight, rate, None),
            a,
            b,
        )


@few
@given(**sizes)
def test_negative_cosine(n: int, d: int, seed: int) -> None:
    assert_same(negative_cosine, slow_negative_cosine, draw(n, d, seed=seed), draw(n, d, seed=seed + 1))


@few
@given(**sizes, weight=st.floats(0, 1))
def test_barlow_twins(n: int, d: int, seed: int, weight: float) -> None:
    a, b = draw(n, d, seed=seed), draw(n, d, seed=seed + 1)
    assert_same(lambda x, y: barlow_twins(x, y, weight, 0.01), lambda x, y: slow_barlow(x, y, weight, 0.01), a, b)


@few
@given(**sizes, gamma=scales, weights=st.tuples(scales, scales, scales))
def test_vicreg(n: int, d: int, seed: int, gamma: float, weights: tuple[float, float, float]) -> None:
    a, b = draw(n, d, seed=seed), draw(n, d, seed=seed + 1)
    assert_same(
        lambda x, y: vicreg(x, y, *weights, gamma, 0.01), lambda x, y: slow_vicreg(x, y, weights, gamma, 0.01), a, b
    )


@few
@given(**sizes, exponent=st.sampled_from([1.0, 1.5, 2.0, 3.0]), scale=scales)
def test_alignment_uniformity(n: int, d: int, seed: int, exponent: float, scale: float) -> None:
    a, b = draw(n, d + 1, seed=seed), draw(n, d + 1, seed=seed + 1)
    assert_same(
        lambda x, y: alignment_uniformity(x, y, 1.0, 1.0, exponent, scale),
        lambda x, y: slow_alignment_uniformity(x, y, exponent, scale),
        a,
        b,
    )


def test_gradients_pass_gradcheck() -> None:
    a, b = draw(4, 3).requires_grad_(), draw(4, 3, seed=1).requires_grad_()
    labels = LABELS[:4]
    for function in (
        lambda x, y: contrastive(x, y, 3.0),
        lambda x, y: triplet(x, y, 1.0, "all"),
        lambda x, y: triplet(x, y, 1.0, "hard", labels=labels),
        lambda x, y: triplet(x, y, 1.0, "semi_hard"),
        lambda x, y: lifted_structured(x, y, labels=labels),
        n_pair,
        lambda x, y: soft_nearest_neighbour(x, y, 1.0, labels=labels),
        lambda x, y: nce_pairs(x, y, 0.5),
        binary_logistic,
        lambda x, y: negative_cosine(x, y, stop_gradient=False),
        barlow_twins,
        vicreg,
        alignment_uniformity,
    ):
        assert torch.autograd.gradcheck(function, (a, b))


# --- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 5, 64])
def test_collapsed_embeddings(n: int) -> None:
    z = torch.full((n, 4), 2.5)
    labels = torch.arange(n) % 2
    same, other = n - n // 2, n // 2  # rows of label 0 and of label 1
    entangled = (same * math.log((n - 1) / max(same - 1, 1)) * (same > 1)) + other * math.log(
        (n - 1) / max(other - 1, 1)
    ) * (other > 1)
    anchors = same * (same > 1) + other * (other > 1)
    expected = {
        "contrastive": (contrastive(z, z, 3.0), 4.5),
        "triplet_all": (triplet(z, z, 0.3, "all"), 0.3),
        "triplet_hard": (triplet(z, z, 0.3, "hard"), 0.3),
        "triplet_semi_hard": (triplet(z, z, 0.3, "semi_hard"), 0.3),
        "lifted": (lifted_structured(z, z, 1.0), 0.5 * (1 + math.log(2 * (2 * n - 2))) ** 2),
        "n_pair": (n_pair(z, z, 0.0), math.log(n)),
        "soft_nearest_neighbour": (soft_nearest_neighbour(z, labels=labels), entangled / max(anchors, 1)),
        "negative_cosine": (negative_cosine(z, z), -1.0),
        "barlow_twins": (barlow_twins(z, z), 4.0),
        "vicreg": (vicreg(z, z), 25 * (1 - 0.01)),
        "alignment_uniformity": (alignment_uniformity(z, z), 0.0),
    }
    for name, (value, closed_form) in expected.items():
        assert value.item() == pytest.approx(closed_form, abs=2e-5), name


def test_perfect_embeddings_reach_the_limit() -> None:
    far = 100 * torch.eye(6)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    perfect = far[labels]
    assert contrastive(far, far).item() == 0.0
    assert triplet(far, far, 0.2, "all").item() == 0.0
    assert lifted_structured(far, far).item() == 0.0
    assert n_pair(far, far, 0.0).item() == pytest.approx(0.0, abs=1e-6)
    assert soft_nearest_neighbour(perfect, perfect, labels=labels).item() == pytest.approx(0.0, abs=1e-6)
    assert binary_logistic(far, far, 0.0).item() == pytest.approx(0.0, abs=1e-6)
    assert negative_cosine(far, 3 * far, squared_distance=True).item() == pytest.approx(0.0, abs=1e-6)
    signs = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])  # uncorrelated dimensions of variance 1
    assert barlow_twins(signs, signs).item() == pytest.approx(0.0, abs=1e-8)
    assert vicreg(signs, signs).item() == 0.0
    # two poles: as uniform as two points can be, with squared distance 4
    assert uniformity(torch.tensor([[1.0, 0], [-1, 0]]), scale=0.5).item() == pytest.approx(-2.0, abs=1e-6)
    assert alignment(signs, signs).item() == 0.0


def test_noise_contrastive_estimation_recovers_a_density() -> None:
    """The minimum of NCE is the data's density, its normaliser included, though nobody normalised the model."""
    generator = gen()
    data = 1.0 + 0.5 * torch.randn(4000, generator=generator, dtype=torch.float64)
    noise = 2.0 * torch.randn(12000, generator=generator, dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, 2.0)
    theta = torch.tensor([0.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)

    def log_model(x: Tensor) -> Tensor:
        return -0.5 * ((x - theta[0]) / theta[1].exp()).square() + theta[2]

    optimizer = torch.optim.LBFGS([theta], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = nce(log_model(data), log_model(noise), normal.log_prob(data), normal.log_prob(noise))
        value.backward()
        return value

    optimizer.step(closure)
    location, log_scale, constant = theta.detach().tolist()
    assert location == pytest.approx(1.0, abs=0.03)
    assert math.exp(log_scale) == pytest.approx(0.5, abs=0.03)
    assert constant == pytest.approx(-math.log(0.5 * math.sqrt(2 * math.pi)), abs=0.05)


def test_nce_equals_its_formula() -> None:
    data, noise = draw(3), draw(7, seed=1)
    of_data, of_noise = draw(3, seed=2), draw(7, seed=3)
    ratio = 7 / 3

    def slow(x: Tensor, y: Tensor) -> Tensor:
        h_data = x.exp() / (x.exp() + ratio * of_data.exp())
        h_noise = y.exp() / (y.exp() + ratio * of_noise.exp())
        return -(torch.log(h_data).sum() + torch.log(1 - h_noise).sum()) / 3

    assert_same(lambda x, y: nce(x, y, of_data, of_noise), slow, data, noise)
    assert nce(data, noise[:0], of_data, of_noise[:0]).item() == 0.0  # without noise everything is data


def test_n_pair_is_info_nce_of_dot_products() -> None:
    a, b = (torch.nn.functional.normalize(draw(6, 4, seed=s), dim=1) for s in (0, 1))
    torch.testing.assert_close(n_pair(a, b, 0.0), info_nce(a, b, 1.0))


def test_tnc_is_half_of_the_logistic_loss_with_a_positive_rate() -> None:
    positive, negative, w = draw(5), draw(5, seed=1), 0.05
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    ones, zeros = torch.ones_like(positive), torch.zeros_like(positive)
    published = (bce(positive, ones) + w * bce(negative, ones) + (1 - w) * bce(negative, zeros)) / 2
    torch.testing.assert_close(binary_logistic_scores(positive, negative, positive_rate=w) / 2, published)


def test_byol_and_simsiam_are_one_loss() -> None:
    a, b = draw(6, 4).requires_grad_(), draw(6, 4, seed=1).requires_grad_()
    byol, simsiam = negative_cosine(a, b, squared_distance=True), negative_cosine(a, b)
    torch.testing.assert_close(byol, 2 + 2 * simsiam)
    simsiam.backward()
    assert b.grad is None  # the target is a constant
    negative_cosine(a, b, stop_gradient=False).backward()
    assert b.grad is not None


def test_a_learned_soft_nearest_neighbour_temperature_has_a_gradient() -> None:
    loss = SoftNearestNeighbour(50.0, learn_temperature=True)
    a, b = draw(6, 4, dtype=torch.float32), draw(6, 4, seed=1, dtype=torch.float32)
    value = loss(a, b, labels=LABELS)
    torch.testing.assert_close(value, soft_nearest_neighbour(a, b, 50.0, labels=LABELS))
    value.backward()
    assert loss.log_inverse_temperature.grad is not None
    assert loss.log_inverse_temperature.grad.abs() > 0


def test_nce_learns_its_normaliser() -> None:
    loss = NCE(0.5, log_normalizer=-1.0)
    a, b = draw(6, 4, dtype=torch.float32), draw(6, 4, seed=1, dtype=torch.float32)
    value = loss(a, b)
    torch.testing.assert_close(value, nce_pairs(a, b, 0.5, -1.0))
    value.backward()
    assert loss.learned_log_normalizer.grad is not None
    assert loss.learned_log_normalizer.grad.abs() > 0


# --- invariances and edges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: contrastive(a, b, 3.0),
        lambda a, b: triplet(a, b, 0.5, "all"),
        lambda a, b: triplet(a, b, 0.5, "hard"),
        triplet,
        lifted_structured,
        n_pair,
        lambda a, b: soft_nearest_neighbour(a, b, labels=LABELS),
        nce_pairs,
        binary_logistic,
        negative_cosine,
        alignment_uniformity,
    ],
)
def test_rotating_the_space_leaves_the_value(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    a, b, turn = draw(6, 4), draw(6, 4, seed=1), rotation(4)
    torch.testing.assert_close(loss(a @ turn, b @ turn), loss(a, b))


@pytest.mark.parametrize("loss", [barlow_twins, vicreg])
def test_losses_on_dimensions_see_a_rotation_but_not_an_order(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    a, b, turn = draw(6, 4), draw(6, 4, seed=1), rotation(4)
    assert (loss(a @ turn, b @ turn) - loss(a, b)).abs() > 1e-4
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(loss(a[:, order], b[:, order]), loss(a, b))


def test_one_row_or_one_label_leaves_nothing_to_separate() -> None:
    a, b = draw(1, 3).requires_grad_(), draw(1, 3, seed=1).requires_grad_()
    minings: tuple[Mining, ...] = ("all", "hard", "semi_hard")
    for mining in minings:
        assert triplet(a, b, 0.2, mining).item() == 0.0
    assert lifted_structured(a, b).item() == 0.0
    assert nce_pairs(a, b).item() == 0.0
    assert n_pair(a, b, 0.0).item() == pytest.approx(0.0, abs=1e-12)
    assert uniformity(a).item() == 0.0
    assert soft_nearest_neighbour(a, labels=torch.zeros(1)).item() == 0.0
    difference = (a - b).detach().square().sum()
    torch.testing.assert_close(contrastive(a, b).detach(), difference / 2)
    torch.testing.assert_close(vicreg(a, b).detach(), 25 * difference / 3)
    one_label = torch.zeros(4)
    assert lifted_structured(draw(4, 3), draw(4, 3, seed=1), labels=one_label).item() == 0.0
    assert triplet(draw(4, 3), draw(4, 3, seed=1), labels=one_label).item() == 0.0


def test_anchors_without_a_partner_are_left_out_of_the_mean() -> None:
    a, labels = draw(5, 3), torch.tensor([0, 0, 1, 2, 3])
    weights = torch.exp(-torch.cdist(a, a).square() / 2.0)
    others = weights.sum(dim=1) - 1
    expected = -(torch.log(weights[0, 1] / others[0]) + torch.log(weights[1, 0] / others[1])) / 2
    torch.testing.assert_close(soft_nearest_neighbour(a, None, 2.0, labels=labels), expected)
    lonely = a.clone().requires_grad_()
    value = soft_nearest_neighbour(lonely, labels=torch.arange(5))
    value.backward()
    assert value.item() == 0.0
    assert lonely.grad is not None
    assert not lonely.grad.any()


def test_semi_hard_mining_passes_over_the_hardest_negative() -> None:
    # on the unit circle, by angle: the positive of the first row lies beyond its hardest negative
    angles = torch.tensor([0.0, 0.3], dtype=torch.float64), torch.tensor([0.5, 2.0], dtype=torch.float64)
    a, b = (torch.stack([angle.cos(), angle.sin()], dim=1) for angle in angles)

    def squared(one: float, other: float) -> float:
        return 2 - 2 * math.cos(one - other)

    def hinge(positive: float, negative: float) -> float:
        return max(0.0, positive - negative + 0.2)

    near, far = squared(0.0, 0.5), squared(0.3, 2.0)
    semi = [hinge(near, squared(0, 2.0)), hinge(near, squared(0.5, 2.0))]
    # the row at 0.3 has no negative beyond its positive at 2.0: it gets its farthest one
    semi += [hinge(far, squared(0.3, 0.0)), hinge(far, squared(2.0, 0.0))]
    assert squared(0.3, 0.0) < far < squared(2.0, 0.0)
    assert triplet(a, b, 0.2, "semi_hard").item() == pytest.approx(sum(semi) / 4)
    hard = [hinge(near, squared(0, 0.3)), hinge(near, squared(0.5, 0.3))]
    hard += [hinge(far, squared(0.3, 0.5)), hinge(far, squared(2.0, 0.5))]
    assert triplet(a, b, 0.2, "hard").item() == pytest.approx(sum(hard) / 4)


def test_many_triplets_keep_their_digits() -> None:
    a, b, labels = draw(200, 4, dtype=torch.float32), draw(200, 4, seed=1, dtype=torch.float32), torch.arange(200) % 5
    # semi-hard mining is a choice between neighbours in float32 and may fall on the next one
    for mining, rtol in (("all", 1e-6), ("hard", 1e-6), ("semi_hard", 1e-4)):
        exact = triplet(a.double(), b.double(), 0.05, mining, labels=labels)
        torch.testing.assert_close(triplet(a, b, 0.05, mining, labels=labels).double(), exact, rtol=rtol, atol=0)


def test_distances_of_equal_rows_have_no_gradient() -> None:
    a = torch.zeros(3, 2, requires_grad=True)
    value = contrastive(a, torch.zeros(3, 2))
    value.backward()
    assert a.grad is not None
    assert not a.grad.any()


# --- refusals and modules --------------------------------------------------------------------------------------------


def nearly_solved(n: int) -> tuple[Tensor, Tensor]:
    """Two views of rows that tell each other apart by some 15 nats."""
    a = torch.nn.functional.normalize(draw(n, 24), dim=1)
    return 5 * a, 5 * a + 0.1 * draw(n, 24, seed=1)


@pytest.mark.parametrize("n", [12, 200])  # plain autograd, and the kernel
@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: n_pair(a, b, 0.0),
        lambda a, b: soft_nearest_neighbour(3 * a, 3 * b, 4.0, labels=torch.arange(len(a))),
        lambda a, b: soft_nearest_neighbour(
            a[torch.arange(len(a)) % 4] + b / 9, None, 0.5, labels=torch.arange(len(a)) % 4
        ),
    ],
)
def test_a_solved_task_keeps_its_small_value_and_gradient_in_float32(
    loss: Callable[[Tensor, Tensor], Tensor], n: int
) -> None:
    single = [view.float().requires_grad_() for view in nearly_solved(n)]
    exact = [view.detach().double().requires_grad_() for view in single]
    value, expected = loss(*single), loss(*exact)
    assert 0 < expected.item() < 1e-4
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    for got, want in zip(torch.autograd.grad(value, single), torch.autograd.grad(expected, exact), strict=True):
        assert ((got - want).abs().max() / want.abs().max()).item() < 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: contrastive(a, b, 0.0), "margin must be positive; got 0.0"),
        (lambda a, b: triplet(a, b, 0.2, "semihard"), "mining must be one of all, hard, semi_hard; got 'semihard'"),  # type: ignore[arg-type]
        (lambda a, b: triplet(a, b, labels=torch.zeros(3)), r"labels must hold one entry a row, shape \(4,\)"),
        (lambda a, b: n_pair(a, b, -1.0), "regularization must not be negative; got -1.0"),
        (lambda a, b: soft_nearest_neighbour(a, b, labels=a[:, 0] / 0), "labels holds non-finite values"),
        (lambda a, b: nce_pairs(a, b, 0.0), "temperature must be positive"),
        (lambda a, b: nce(a[:, 0], b[:, 0], a[:2, 0], b[:, 0]), r"nce needs log-densities \(n,\) of the data"),
        (lambda a, b: binary_logistic(a, b, negatives=a), r"negatives must be \(n, k, d\) with n=4 and d=3; got"),
        (lambda a, b: binary_logistic(a, b, -1.0), "negative_weight must not be negative; got -1.0"),
        (lambda a, b: binary_logistic(a, b, positive_rate=1.0), r"positive_rate must be in \[0, 1\); got 1.0"),
        (lambda a, b: barlow_twins(a, b, -1.0), "off_diagonal_weight must not be negative; got -1.0"),
        (lambda a, b: vicreg(a, b, covariance_weight=-1.0), "covariance_weight must not be negative; got -1.0"),
        (lambda a, b: vicreg(a, b, eps=0.0), "eps must be positive; got 0.0"),
        (lambda a, b: alignment_uniformity(a, b, exponent=0.5), "exponent must be at least 1; got 0.5"),
        (lambda a, b: alignment_uniformity(a, b, uniformity_weight=-1.0), "uniformity_weight must not be negative"),
        (lambda a, b: vicreg(a, b[:, :2]), r"two \(n, d\) views of one shape; a is \(4, 3\), b is \(4, 2\)"),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[Tensor, Tensor], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(draw(4, 3), draw(4, 3, seed=1))


def test_modules_are_the_functions() -> None:
    a, b = draw(6, 3), draw(6, 3, seed=1)
    pairs: list[tuple[Any, Tensor]] = [
        (Contrastive(2.0, True), contrastive(a, b, 2.0, True)),
        (Triplet(0.4, "all", False), triplet(a, b, 0.4, "all", False)),
        (LiftedStructured(2.0, True), lifted_structured(a, b, 2.0, True)),
        (NPair(0.3), n_pair(a, b, 0.3)),
        (NCE(0.3, -1.0), nce_pairs(a, b, 0.3, -1.0)),
        (BinaryLogistic(0.5, 0.1), binary_logistic(a, b, 0.5, 0.1)),
        (NegativeCosine(False, True), negative_cosine(a, b, False, True)),
        (BarlowTwins(0.1, 0.01), barlow_twins(a, b, 0.1, 0.01)),
        (VICReg(1, 2, 3, 0.5, 0.01), vicreg(a, b, 1, 2, 3, 0.5, 0.01)),
        (AlignmentUniformity(0.9, 0.8, 1.5, 3.0), alignment_uniformity(a, b, 0.9, 0.8, 1.5, 3.0)),
    ]
    for module, expected in pairs:
        assert torch.equal(module.double()(a, b), expected), type(module).__name__
    for module, wrong in ((Contrastive, {"margin": -1}), (Triplet, {"mining": "easy"}), (VICReg, {"eps": 0})):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
            module(**wrong)
