"""Viewmaker as a recipe: its loss, its gradient against the encoder's, and what it is without the contest."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from frameworks import MODALITIES, data, differ, fitted, loss_and_gradient, network, projected, two_views
from helpers import NAN, draw, gen
from kinview.augmentations import TabularViewmaker, Viewmaker
from kinview.data import Batch
from kinview.methods.estimators.view_fitting import fit_views

SMALL: dict[str, Any] = {"projector": {"hidden_dim": 8, "out_dim": 4}}
PARTS = {"time_series": "viewmaker", "tabular": "tabular_viewmaker"}


def made(modality: str, **options: Any) -> Any:
    return network("viewmaker", modality, **SMALL, augmentation={PARTS[modality]: options})


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_recipe_is_nt_xent_of_two_perturbed_views(modality: str) -> None:
    method, (plain, _) = network("viewmaker", modality, **SMALL).eval(), two_views(modality)
    views = method.views(plain, gen(1), 0.0)
    unit = plain.x.std(dim=2, correction=0) if modality == "time_series" else 1.0
    for view in views:
        size = (view.x - plain.x).abs().mean(dim=-1)
        torch.testing.assert_close(size, (0.05 * unit * torch.ones_like(size)).to(size), rtol=1e-5, atol=1e-8)
    rows = torch.nn.functional.normalize(torch.cat([projected(method, view) for view in views]), dim=1)
    total = 0.0
    for i in range(12):
        scores = [(rows[i] @ rows[k]).item() / 0.07 for k in range(12)]
        total -= scores[(i + 6) % 12] - math.log(sum(math.exp(s) for k, s in enumerate(scores) if k != i))
    assert method.loss(views).loss.item() == pytest.approx(total / 12, rel=1e-8)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_network_of_the_views_goes_up_where_the_encoder_goes_down(modality: str) -> None:
    slopes, values, plain = {}, {}, two_views(modality)[0]
    for weight in (1.0, 0.0, 0.5):
        method = made(modality, epsilon=0.5, weight=weight)
        values[weight] = loss_and_gradient(method, method.views(plain, gen(1), 0.0))
        slopes[weight] = torch.cat([p.grad.flatten() for p in method.view_networks.parameters()])
    torch.testing.assert_close(slopes[0.5] * 2, slopes[1.0])
    assert not slopes[0.0].any() and slopes[1.0].abs().max() > 0
    assert values[0.0][0] == values[1.0][0] and torch.equal(values[0.0][1], values[1.0][1])  # the encoder's is the same
    method = made(modality, epsilon=0.5)
    before = method.loss(method.views(plain, gen(1), 0.0)).loss.item()
    with torch.no_grad():  # a small step as an optimiser takes it raises the loss
        steps = slopes[1.0].split([p.numel() for p in method.view_networks.parameters()])
        for weight, step in zip(method.view_networks.parameters(), steps, strict=True):
            weight.sub_(1e-3 * step.reshape(weight.shape) / slopes[1.0].norm())
    assert method.loss(method.views(plain, gen(1), 0.0)).loss.item() > before


@pytest.mark.parametrize("modality", MODALITIES)
def test_without_its_budget_it_is_another_loss(modality: str) -> None:
    plain = two_views(modality)[0]
    methods = [made(modality, epsilon=epsilon) for epsilon in (1.0, 0.0)]
    found = [loss_and_gradient(method, method.views(plain, gen(1), 0.0)) for method in methods]
    assert differ(*found)
    assert all(torch.equal(view.x, plain.x) for view in methods[1].views(plain, gen(1), 0.0))


def test_of_a_table_only_observed_numbers_move_within_the_budget() -> None:
    model = fitted("viewmaker", "tabular", 2, **SMALL)
    table = data("tabular")
    table.loc[::4, "a"] = None
    batch = model.to_batch(table)
    part = TabularViewmaker(0.2).fit(batch, model.schema_, gen())
    view = part(batch, gen(1))
    numbers = [i for i, size in enumerate(model.schema_.cardinalities) if not size]
    codes = [i for i, size in enumerate(model.schema_.cardinalities) if size]
    assert torch.equal(view.x.isnan(), batch.x.isnan()) and bool(batch.x.isnan().any())
    assert torch.equal(view.x[:, codes], batch.x[:, codes])
    torch.testing.assert_close((view.x - batch.x)[:, numbers].abs().nanmean(dim=1), torch.full((12,), 0.2))
    with pytest.raises(ValueError, match="tabular_viewmaker was fitted on 5 columns; got 3"):
        part(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="tabular_viewmaker has no network yet"):
        TabularViewmaker()(torch.zeros(2, 3))
    nothing = torch.full((2, 5), NAN)
    assert bool(part(nothing, gen()).isnan().all())


@pytest.mark.slow
@pytest.mark.parametrize("modality", MODALITIES)
def test_a_trained_network_makes_harder_views_than_one_that_was_not(modality: str) -> None:
    x = draw(64, 1, 12).float() if modality == "time_series" else draw(64, 4).float()
    part: Any = Viewmaker if modality == "time_series" else TabularViewmaker
    loss = {}
    for weight in (1.0, 0.0):  # the encoder stays as it is: only the network of the views learns
        method = made(modality, epsilon=1.0, weight=weight).float().eval()
        method.augmentation = part(1.0, weight=weight)
        fit_views(method, Batch.of(x), gen(0))
        optimiser = torch.optim.Adam(method.view_networks.parameters(), 0.003)
        for step in range(300):
            optimiser.zero_grad()
            method.loss(method.views(Batch.of(x), gen(step), 0.0)).loss.backward()
            optimiser.step()
        loss[weight] = sum(method.loss(method.views(Batch.of(x), gen(s), 0.0)).loss.item() for s in range(1000, 1005))
    assert loss[1.0] > loss[0.0] + 0.1, loss
