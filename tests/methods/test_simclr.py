"""SimCLR on series and on tables: the loss by direct transcription, and what it is without its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from helpers import SIZES, gen
from kinview import SimCLR, TabularSimCLR
from kinview.augmentations import Augmentation, augmentations
from kinview.data import Batch
from kinview.encoders import DilatedConvEncoder, MLPEncoder
from kinview.methods import JointEmbeddingMethod
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

ENCODER = {"dilated_conv": {"repr_dim": 8, "hidden_dim": 6, "depth": 2}}
CPU = torch.device("cpu")


def method(augmentation: Any = "jitter", **changed: Any) -> JointEmbeddingMethod:
    with forked_generators(0, CPU):
        encoder = {"dilated_conv": {"repr_dim": 8, "hidden_dim": 6, "depth": 2, "dropout": 0.0}}
        built = JointEmbeddingMethod(SimCLR(augmentation, encoder, **{"pooling": "max", **changed}), Sizes(channels=1))
    return built.double()


def series(n: int = 6, steps: int = 12) -> Batch:
    return Batch.of(torch.randn(n, 1, steps, generator=gen(1), dtype=torch.float64))


def nt_xent_slowly(z: list[Tensor], temperature: float) -> float:
    """−log of the softmax of every row over all others, one at a time."""
    rows = torch.cat(z)
    rows = rows / rows.norm(dim=1, keepdim=True)
    n, total = len(z[0]), 0.0
    for i in range(2 * n):
        scores = [float(rows[i] @ rows[k]) / temperature for k in range(2 * n) if k != i]
        own = float(rows[i] @ rows[(i + n) % (2 * n)]) / temperature
        total += float(np.log(np.sum(np.exp(scores)))) - own
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_is_the_papers(temperature: float) -> None:
    simclr = method(temperature=temperature).eval()
    views = simclr.views(series(), gen(2), 0.0)
    z = [simclr.projector(simclr.embed(view)).detach() for view in views]
    assert simclr.loss(views)[0].item() == pytest.approx(nt_xent_slowly(z, temperature), abs=1e-10)


def test_more_views_are_contrasted_in_all_pairs() -> None:
    simclr = method({"views": {"augmentations": ["jitter", "scaling", "time_reverse"]}}).eval()
    views = simclr.views(series(), gen(2), 0.0)
    assert len(views) == 3
    z = [simclr.projector(simclr.embed(view)).detach() for view in views]
    pairs = [nt_xent_slowly([z[i], z[j]], 0.2) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert simclr.loss(views)[0].item() == pytest.approx(np.mean(pairs), abs=1e-10)
    swapped = [views[2], views[0], views[1]]
    assert simclr.loss(swapped)[0].item() == pytest.approx(simclr.loss(views)[0].item(), abs=1e-10)


def test_both_views_are_drawn_and_drawn_anew() -> None:
    simclr, batch = method(), series()
    generator = gen(3)
    one, other = simclr.views(batch, generator, 0.0)
    again, _ = simclr.views(batch, generator, 0.0)
    for view in (one, other, again):
        assert not torch.equal(view.x, batch.x)
    assert not torch.equal(one.x, other.x)
    assert not torch.equal(one.x, again.x)


def test_views_follow_the_training() -> None:
    simclr, batch = method({"curriculum": {"augmentation": "jitter"}}), series()
    for view in simclr.views(batch, gen(4), 0.0):
        assert torch.equal(view.x, batch.x)
    early, late = (simclr.views(batch, gen(4), progress)[0].x - batch.x for progress in (0.5, 1.0))
    torch.testing.assert_close(late, 2 * early)


def test_the_projector_serves_training_only() -> None:
    simclr, batch = method().eval(), series()
    before = simclr.embed(batch), simclr.loss([batch, batch])[0]
    with torch.no_grad():
        for parameter in simclr.projector.parameters():
            parameter.mul_(torch.linspace(-1.0, 2.0, parameter.numel()).view_as(parameter))
    assert torch.equal(simclr.embed(batch), before[0])
    assert simclr.loss([batch, batch])[0].item() != pytest.approx(before[1].item(), abs=1e-6)


def test_without_the_projector_another_loss_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    simclr = method().train()
    views = simclr.views(series(), gen(5), 0.0)
    simclr.loss(views)[0].backward()
    assert all(
        parameter.grad is not None and bool(parameter.grad.any()) for parameter in simclr.projector[3:].parameters()
    )
    whole = simclr.loss(views)[0].item()
    monkeypatch.setattr(simclr, "projector", torch.nn.Identity())
    assert simclr.loss(views)[0].item() != pytest.approx(whole, abs=1e-6)


def test_a_view_without_an_observation_is_left_out() -> None:
    simclr, batch = method().eval(), series()
    x = batch.x.clone()
    x[2] = torch.nan
    views = [batch, Batch.of(x)]
    kept = torch.tensor([0, 1, 3, 4, 5])
    expected = simclr.loss([view.rows(kept) for view in views])[0]
    assert simclr.loss(views)[0].item() == pytest.approx(expected.item(), abs=1e-12)
    alone = simclr.train().loss([view.rows(slice(0, 1)) for view in views])[0]
    assert alone.item() == 0.0
    alone.backward()


def test_series_and_tables_share_one_method() -> None:
    X = np.random.default_rng(0).normal(size=(12, 1, 16))
    table = pd.DataFrame({"a": X[:, 0, 0], "b": list("xy") * 6})
    one = SimCLR("jitter", encoder=ENCODER, trainer={"max_steps": 2}, random_state=0).fit(X)
    other = TabularSimCLR(encoder={"mlp": {"hidden_dim": 8}}, trainer={"max_steps": 2}, random_state=0).fit(table)
    assert type(one.method_) is type(other.method_) is JointEmbeddingMethod
    assert isinstance(one.method_.encoder, DilatedConvEncoder)
    assert isinstance(other.method_.encoder, MLPEncoder)
    assert one.transform(X).shape == other.transform(table).shape == (12, 8)


def test_a_learned_view_is_trained_with_the_encoder_and_leaves_with_the_training() -> None:
    X = np.random.default_rng(0).normal(size=(12, 1, 16))
    spec = {"viewmaker": {"epsilon": 0.2, "width": 4}}
    changed: list[bool] = []

    def watch(self: JointEmbeddingMethod, progress: float, views: Any, carry: Any) -> None:
        weights = [p.detach().clone() for p in self.view_networks.parameters()]
        if self.__dict__.setdefault("first", weights) is not weights:
            changed.append(any(not torch.equal(a, b) for a, b in zip(self.__dict__["first"], weights, strict=True)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JointEmbeddingMethod, "after_step", watch)
        model = SimCLR(spec, encoder=ENCODER, trainer={"max_steps": 3}, random_state=0).fit(X)
    assert changed == [True, True]
    assert not hasattr(model.method_, "view_networks")
    assert model.method_.augmentation.network is None
    assert not any("view" in name for name in model.fitted_state()[1])


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (
            "class_conditional_corruption",
            r"needs the label of each row|uses the label of each row, and none were given",
        ),
        (
            ["swap_noise", "class_conditional_corruption"],
            r"needs the label of each row|uses the label of each row, and none were given",
        ),
        ("adversarial", "augmentation: Adversarial needs a loss, and TabularSimCLR gives its views no loss to raise"),
        (["adversarial", "swap_noise"], "augmentation: Compose needs a loss"),
    ],
)
def test_views_that_need_what_the_method_has_not_are_refused_at_fit(augmentation: Any, message: str) -> None:
    small = {**SIZES["tabular_simclr"], "trainer": {"max_steps": 1}}
    X = np.eye(6)
    with pytest.raises(ValueError, match=message):
        TabularSimCLR(augmentation, **small).fit(X)
    view = augmentations.build(augmentation)
    if "loss" in view.needs:
        bound = TabularSimCLR(view.bind_loss(lambda x: x.square().sum()), **small).fit(X)
        assert bound.training_.step == 1


class OfGroups(Augmentation):
    """A view that needs groups."""

    modality = "time_series"
    needs = frozenset({"groups"})

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        assert batch.groups is not None
        return batch

    def forget(self) -> Augmentation:
        return self


def test_a_view_that_needs_groups_is_refused_where_none_are_given() -> None:
    X = np.random.default_rng(0).normal(size=(6, 1, 12))
    model = SimCLR(OfGroups(), encoder=ENCODER, trainer={"max_steps": 1}, random_state=0)
    with pytest.raises(ValueError, match=r"OfGroups needs the group of each row .*no groups: fit\(X, groups=\.\.\.\)"):
        model.fit(X)
    assert model.fit(X, groups=[0, 0, 1, 1, 2, 2]).training_.step == 1
