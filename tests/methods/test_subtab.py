"""SubTab: its loss by slow transcription, what it is without its parts, and its subsets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import kinview
from helpers import NAN, draw, gen
from kinview.augmentations import ColumnSubsets
from kinview.data import Batch
from kinview.losses import cell_error, cell_outputs
from kinview.methods import SubTab, SubTabMethod
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

ENCODER = {"mlp": {"hidden_dim": 6, "depth": 1}}
CARDINALITIES = (0, 0, 4, 0, 3, 0)


def built(cardinalities: tuple[int, ...] = CARDINALITIES, **parameters: Any) -> SubTabMethod:
    with forked_generators(0, torch.device("cpu")):
        return SubTabMethod(SubTab(encoder=ENCODER, **parameters), Sizes(cardinalities=cardinalities)).double()


def table(n: int = 7) -> Tensor:
    x = draw(n, len(CARDINALITIES), seed=3)
    for column, size in enumerate(CARDINALITIES):
        if size:
            x[:, column] = torch.randint(0, size, (n,), generator=gen(column)).double()
    x[1, 0] = x[2, 2] = NAN
    return x


def views_of(method: SubTabMethod, x: Tensor) -> list[Batch]:
    """The subsets without noise."""
    rows = Batch.of(x).replace(extra={"clean": x})
    return [method._subset(rows, k) for k in range(method.subsets)]


def loss_slowly(method: SubTabMethod, views: list[Batch], clean: Tensor, weights: tuple[float, float, float]) -> float:
    """Formula by formula: pairs of subsets, rows, columns, one after the other."""
    hidden = [method.encoder(view.x).detach() for view in views]
    outputs = [method.decoder(h).detach().numpy() for h in hidden]
    z = [method.projector(h).detach().numpy() for h in hidden]
    z = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in z]
    sizes, n = method.sizes.cardinalities, len(clean)
    starts = np.cumsum([0, *cell_outputs(sizes)])

    def error(output: np.ndarray) -> float:
        total = 0.0
        for i in range(n):
            for j, size in enumerate(sizes):
                cell, scores = float(clean[i, j]), output[i, starts[j] : starts[j + 1]]
                if math.isnan(cell) or (size and cell == 0):
                    continue
                total += (
                    (scores[0] - cell) ** 2
                    if not size
                    else -math.log(math.exp(scores[int(cell) - 1]) / sum(map(math.exp, scores)))
                )
        return total

    total, pairs = 0.0, 0
    for k in range(len(views)):
        for other in range(k + 1, len(views)):
            both = np.concatenate([z[k], z[other]])
            contrast = 0.0
            for a in range(2 * n):
                positive = (a + n) % (2 * n)
                scores = [math.exp(both[a] @ both[b] / 0.1) for b in range(2 * n) if b != a]
                contrast -= math.log(math.exp(both[a] @ both[positive] / 0.1) / sum(scores)) / (2 * n)
            distance = sum(((z[k][i] - z[other][i]) ** 2).sum() for i in range(n)) / n
            reconstruction = (error(outputs[k]) + error(outputs[other])) / (2 * n)
            total += weights[0] * reconstruction + weights[1] * contrast + weights[2] * distance
            pairs += 1
    return total / pairs


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.3, 2.0, 0.0)])
def test_the_loss_is_that_of_the_paper(weights: tuple[float, float, float]) -> None:
    names = ("reconstruction_weight", "contrastive_weight", "distance_weight")
    method = built(**dict(zip(names, weights, strict=True)), n_subsets=3)
    views = views_of(method, table())
    expected = loss_slowly(method, views, table(), weights)
    found = method.loss(views)
    assert found.loss.item() == pytest.approx(expected, rel=1e-9)
    assert set(found.logs) == {"reconstruction", "contrastive", "distance"}


def test_the_error_of_cells_is_refused_for_other_sizes() -> None:
    with pytest.raises(ValueError, match=r"6 columns and 9 outputs a row; x is \(7, 6\), output is \(7, 8\)"):
        cell_error(torch.zeros(7, 8), table(), CARDINALITIES)


def test_a_missing_cell_and_an_unknown_category_are_no_target() -> None:
    output = draw(7, 9, seed=5).requires_grad_()
    error, counts = cell_error(output, table(), CARDINALITIES)
    assert not counts[1, 0] and not counts[2, 2] and torch.equal(counts[:, 4], table()[:, 4] > 0)
    error.sum().backward()
    assert output.grad is not None and not output.grad[1, 0].any() and not output.grad[2, 2:5].any()
    assert bool((error[~counts] == 0).all()) and bool((error[counts] > 0).all())


# --- each defining part removed --------------------------------------------------------------------------------------


def gradient(method: SubTabMethod, views: list[Batch]) -> tuple[float, Tensor]:
    loss = method.loss(views).loss
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in method.encoder.parameters()])


@pytest.mark.parametrize(
    "neutral", [{"overlap": 1.0}, {"contrastive_weight": 0.0}, {"reconstruction_weight": 0.0}, {"distance_weight": 0.0}]
)
def test_without_a_part_loss_and_gradient_are_others(neutral: dict[str, float]) -> None:
    """Two subsets with the overlap 1 are both the whole row."""
    whole = gradient(built(n_subsets=2), views_of(built(n_subsets=2), table()))
    without = built(n_subsets=2, **neutral)
    removed = gradient(without, views_of(without, table()))
    assert removed[0] != pytest.approx(whole[0], abs=1e-3)
    assert (removed[1] - whole[1]).norm() > 0.01 * whole[1].norm()


def test_with_the_overlap_one_two_subsets_are_whole_rows() -> None:
    assert bool((built(n_subsets=2, overlap=1.0).members == 1).all())


@pytest.mark.slow
def test_training_without_the_contrast_leaves_held_out_subsets_further_apart() -> None:
    random = np.random.default_rng(0)
    factors = random.normal(size=(300, 3))
    X = np.tanh(factors @ random.normal(size=(3, 12))) + 0.2 * random.normal(size=(300, 12))

    def contrast(weight: float) -> float:
        trainer = {"max_steps": 300, "max_epochs": 300}
        model = SubTab(2, encoder=ENCODER, contrastive_weight=weight, trainer=trainer, random_state=0).fit(X[:200])
        rows = model.to_batch(X[200:])
        views = [model.method_._subset(rows, k).replace(extra={"clean": rows.x}) for k in range(2)]
        with torch.no_grad():
            return float(model.method_.loss(views).logs["contrastive"])

    assert contrast(1.0) < contrast(0.0) - 0.2


# --- subsets and their aggregation -----------------------------------------------------------------------------------


def frame(n: int = 40) -> pd.DataFrame:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, n))
    columns = {"a": first, "b": second, "c": first + 0.01 * random.normal(size=n), "d": second * 2 + 1}
    return pd.DataFrame(columns)


@pytest.mark.parametrize("how", ["mean", "sum", "max", "min", "concat"])
def test_subsets_are_aggregated(how: str) -> None:
    method = built(n_subsets=3, aggregation=how)
    every = torch.stack([method.encoder(view.x) for view in views_of(method, table())])
    expected = {
        "mean": every.mean(0), "sum": every.sum(0), "max": every.max(0).values, "min": every.min(0).values,
        "concat": torch.cat([*every], dim=1),
    }[how]  # fmt: skip
    torch.testing.assert_close(method.embed(Batch.of(table())), expected)


def test_subsets_are_those_of_the_augmentation() -> None:
    model = SubTab(2, overlap=0.0, grouping="correlated", encoder=ENCODER, random_state=0, trainer={"max_steps": 1})
    model.fit(frame())
    inside = {frozenset(np.flatnonzero(row)) for row in model.method_.members.numpy()}
    assert inside == {frozenset({0, 2}), frozenset({1, 3})}
    contiguous = SubTab(3, encoder=ENCODER, trainer={"max_steps": 1}).fit(frame())
    rows = contiguous.to_batch(frame())
    views = ColumnSubsets(3)(rows, gen())
    for k, view in enumerate(views):
        assert torch.equal(view.x.isnan(), contiguous.method_._subset(rows, k).x.isnan())


def test_random_subsets_follow_the_seed_and_are_saved(tmp_path: Any) -> None:
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 12)), columns=[f"v{i}" for i in range(12)])
    how = {"grouping": "random", "encoder": ENCODER, "trainer": {"max_steps": 1}}
    one, same, other = (SubTab(3, random_state=seed, **how).fit(wide) for seed in (0, 0, 1))
    assert torch.equal(one.method_.members, same.method_.members)
    assert not torch.equal(one.method_.members, other.method_.members)
    loaded = kinview.load_model(one.save(tmp_path / "model.safetensors"))
    assert torch.equal(loaded.method_.members, one.method_.members)


def test_few_rows_keep_the_columns_as_given() -> None:
    few = SubTab(2, overlap=0.0, grouping="correlated", encoder=ENCODER, random_state=0, trainer={"max_steps": 1})
    few.fit(frame(4))
    assert few.method_.members.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]


def test_noise_is_drawn_for_each_subset() -> None:
    method = built(n_subsets=2, overlap=1.0)
    x = torch.randn(50, 6, generator=gen())
    x[:, [2, 4]] = 1.0
    method.noise = method.noise.fit(Batch.of(x))
    one, other = method.views(Batch.of(x), gen(1), 0.0)
    assert not torch.equal(one.x, other.x)
    assert torch.equal(one.extra["clean"], x)


def test_random_subsets_need_no_five_rows() -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 6)))

    def members(grouping: str) -> Tensor:
        model = SubTab(grouping=grouping, encoder={"mlp": {"hidden_dim": 4, "depth": 1}}, trainer={"max_steps": 1},
                       random_state=0).fit(X)  # fmt: skip
        return model.method_.members

    assert not torch.equal(members("random"), members("contiguous"))
    assert torch.equal(members("correlated"), members("contiguous"))
