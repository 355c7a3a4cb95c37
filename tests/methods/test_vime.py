"""VIME's self-supervised part: its loss by slow transcription, and what it is without its parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from helpers import NAN, draw, gen
from kinview.data import Batch
from kinview.losses import cell_outputs
from kinview.methods import VIME, VIMEMethod
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

CARDINALITIES = (0, 4, 0, 3)


def built(**parameters: Any) -> VIMEMethod:
    with forked_generators(0, torch.device("cpu")):
        return VIMEMethod(VIME(**parameters), Sizes(cardinalities=CARDINALITIES)).double()


def corrupted(n: int = 8) -> Batch:
    """Rows with gaps and an unknown category, a third of the cells replaced; one by what stood there."""
    x, other = draw(n, 4, seed=1), draw(n, 4, seed=2)
    for column, size in enumerate(CARDINALITIES):
        if size:
            for part, seed in ((x, 3), (other, 4)):
                part[:, column] = torch.randint(0, size, (n,), generator=gen(seed)).double()
    x[0, 0] = x[1, 1] = NAN
    replaced = torch.rand(n, 4, generator=gen(5)) < 0.4
    other[2, 2], replaced[2, 2] = x[2, 2], True
    seen = torch.where(replaced & ~x.isnan(), other, x)
    return Batch.of(seen).replace(extra={"clean": x})


def loss_slowly(method: VIMEMethod, view: Batch, mask_weight: float, alpha: float) -> float:
    h = method.encoder(view.x)
    logits, outputs = method.mask_head(h).detach().numpy(), method.cell_head(h).detach().numpy()
    clean, seen = view.extra["clean"].numpy(), view.x.numpy()
    starts = np.cumsum([0, *cell_outputs(CARDINALITIES)])
    masks, cells = [], []
    for i in range(len(clean)):
        for j, size in enumerate(CARDINALITIES):
            if math.isnan(clean[i, j]):
                continue
            p = 1 / (1 + math.exp(-logits[i, j]))
            masks.append(-math.log(p if seen[i, j] != clean[i, j] else 1 - p))
            scores = outputs[i, starts[j] : starts[j + 1]]
            if not size:
                cells.append((scores[0] - clean[i, j]) ** 2)
            elif clean[i, j] > 0:
                cells.append(math.log(sum(map(math.exp, scores))) - scores[int(clean[i, j]) - 1])
    return mask_weight * sum(masks) / len(masks) + alpha * sum(cells) / len(cells)


@pytest.mark.parametrize(("mask_weight", "alpha"), [(1.0, 2.0), (0.0, 1.0), (3.0, 0.0)])
def test_the_loss_is_that_of_the_paper(mask_weight: float, alpha: float) -> None:
    method = built(mask_weight=mask_weight, reconstruction_weight=alpha)
    found = method.loss([corrupted()])
    assert found.loss.item() == pytest.approx(loss_slowly(method, corrupted(), mask_weight, alpha), rel=1e-9)
    assert set(found.logs) == {"mask", "reconstruction"}


def test_the_network_is_one_layer_as_wide_as_the_encoded_columns() -> None:
    assert built().encoder.repr_dim == sum(cell_outputs(CARDINALITIES)) == 7
    assert len(built().encoder.layers) == 2  # with its activation


def gradient(method: VIMEMethod, views: list[Batch]) -> tuple[float, Tensor]:
    loss = method.loss(views).loss
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in method.encoder.parameters()])


@pytest.mark.parametrize("neutral", [{"mask_weight": 0.0}, {"reconstruction_weight": 0.0}])
def test_without_a_head_loss_and_gradient_are_others(neutral: dict[str, float]) -> None:
    whole, removed = gradient(built(), [corrupted()]), gradient(built(**neutral), [corrupted()])
    assert removed[0] != pytest.approx(whole[0], abs=1e-3)
    assert (removed[1] - whole[1]).norm() > 0.01 * whole[1].norm()


def test_without_corruption_there_is_no_mask_to_estimate() -> None:
    x = draw(40, 4, seed=8)
    x[:, 1], x[:, 3] = 1, 2
    losses = []
    for rate in (0.3, 0.0):
        method = built(corruption_rate=rate)
        method.corruption = method.corruption.fit(Batch.of(x))
        (view,) = method.views(Batch.of(x), gen(), 0.0)
        changed = (view.x != view.extra["clean"]).double().mean().item()
        assert (changed == 0) == (rate == 0)
        losses.append(gradient(method, [view]))
    assert losses[0][0] != pytest.approx(losses[1][0], abs=1e-3)
    assert not torch.allclose(losses[0][1], losses[1][1], rtol=1e-2)


def test_rows_without_any_observation_teach_nothing() -> None:
    rows = Batch.of(torch.full((3, 4), NAN, dtype=torch.float64))
    loss = built().loss([rows.replace(extra={"clean": rows.x})]).loss
    loss.backward()
    assert loss.item() == 0.0


@pytest.mark.slow
def test_training_without_the_mask_leaves_replaced_cells_unfound() -> None:
    X = (draw(400, 2, seed=0, dtype=torch.float32) @ draw(2, 8, seed=1, dtype=torch.float32)).numpy()

    def found(weight: float) -> float:
        """Area under the curve of the estimated mask, over the cells of held-out rows."""
        trainer = {"max_steps": 300, "max_epochs": 300, "lr": 0.01}
        model = VIME(encoder={"mlp": {"hidden_dim": 64, "depth": 2}}, mask_weight=weight, trainer=trainer)
        model.set_params(random_state=0).fit(X[:300])
        rows = model.to_batch(X[300:])
        swap = model.method_.corruption.fit(model.to_batch(X[:300]))
        view = swap(rows, gen())
        with torch.no_grad():
            scores = model.method_.mask_head(model.method_.encoder(view.x))
        return float(roc_auc_score((view.x != rows.x).flatten().numpy(), scores.flatten().numpy()))

    assert found(1.0) > found(0.0) + 0.2
