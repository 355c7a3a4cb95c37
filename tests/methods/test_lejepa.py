"""LeJEPA and VISReg as recipes: the published losses, and what they are without the part that keeps them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from frameworks import MODALITIES, data, differ, fitted, loss_and_gradient, network, projected, two_views
from helpers import gen
from kinview.losses import lejepa, visreg

PROJECTOR = {"hidden_dim": 8, "out_dim": 4, "depth": 3}
LOSSES: dict[str, Any] = {
    "lejepa": lambda a, b, seed: lejepa(a, b, 0.05, 256, seed=seed),
    "visreg": lambda a, b, seed: visreg(a, b, 0.6, 256, seed=seed),
}
WITHOUT = {"lejepa": {"lejepa": {"weight": 0.0}}, "visreg": {"visreg": {"weight": 0.0}}}


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", LOSSES)
def test_the_recipe_is_the_loss_of_the_projections(name: str, modality: str) -> None:
    seed = torch.full((6,), 5)
    method, views = network(name, modality, projector=PROJECTOR).eval(), two_views(modality, seed=seed)
    a, b = (projected(method, view) for view in views)
    assert method.loss(views).loss.item() == pytest.approx(LOSSES[name](a, b, seed).item(), rel=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_without_its_regulariser_it_is_another_loss(name: str) -> None:
    views = two_views()
    method, without = network(name, projector=PROJECTOR), network(name, projector=PROJECTOR, loss=WITHOUT[name])
    assert differ(loss_and_gradient(method, views), loss_and_gradient(without, views))
    a, b = (projected(without.eval(), view) for view in views)
    assert without.loss(views).loss.item() == pytest.approx(((a - b) ** 2).mean().item() / 4, rel=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_directions_are_drawn_with_the_views(name: str) -> None:
    method, (view, _) = network(name).eval(), two_views()
    drawn = [method.views(view, gen(3), 0.0), method.views(view, gen(3), 0.0), method.views(view, gen(4), 0.0)]
    seeds = [[made.extra["seed"].tolist() for made in views] for views in drawn]
    assert seeds[0] == seeds[1] != seeds[2]
    assert len({s for of_views in seeds[0] for s in of_views}) == 1  # one a step, the same in all rows of all views
    assert method.loss(drawn[0]).loss.item() == method.loss(drawn[1]).loss.item()  # validation: the same views


@pytest.mark.slow
@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", LOSSES)
def test_without_its_regulariser_it_collapses(name: str, modality: str) -> None:
    spreads = []
    for parameters in ({}, {"loss": WITHOUT[name]}):
        model = fitted(name, modality, 300, 64, projector=PROJECTOR, trainer={"lr": 0.01}, **parameters)
        projections = projected(model.method_.eval(), model.to_batch(data(modality, 64)))
        spreads.append(float(projections.std(dim=0).mean()))
    assert spreads[0] > 0.3 and spreads[1] < 0.05, spreads


def test_two_rows_are_enough() -> None:
    model = fitted("lejepa", "time_series", 3, n=2, projector=PROJECTOR)
    assert np.isfinite([record["loss"] for record in model.training_.history]).all()
