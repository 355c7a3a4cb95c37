"""FactorCL: its loss from the sides and views, what its file holds, and what it keeps that a contrast loses."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import RidgeCV

from kinview import PairedData, load_model
from kinview.methods import CLIP, FactorCL

SMALL = {
    "series_encoder": {"dilated_conv": {"repr_dim": 6, "hidden_dim": 6, "depth": 2}},
    "table_encoder": {"mlp": {"hidden_dim": 4, "depth": 2}},
    "hidden_dim": 8,
    "random_state": 0,
}


def pairs(n=12):
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(draw.normal(size=(n, 3)), columns=list("abc"))
    return PairedData(series=draw.normal(size=(n, 2, 20)), table=rows)


def nce(scores):
    return torch.diagonal(scores).mean() - (torch.logsumexp(scores, dim=1) - math.log(len(scores))).mean()


def club(scores):
    return torch.diagonal(scores).mean() - scores.mean()


def test_the_loss_is_six_bounds_of_sides_and_their_views():
    X = pairs()
    model = FactorCL(**SMALL).initialise(X)
    method, batch = model.method_, model.to_batch(X)
    with torch.no_grad():
        for weight in method.contrast.parameters():
            weight.mul_(4)  # new critics say much the same of all pairs
    model._fit_views(batch, torch.Generator().manual_seed(0))
    views = method.views(batch, torch.Generator().manual_seed(1), 0.0)
    assert torch.equal(views[0].x, batch.x) and torch.equal(views[1].x, batch.extra["second"].x)  # sides as they are
    assert not torch.equal(views[2].x, batch.x) and not torch.equal(views[3].x, views[1].x)
    with torch.no_grad():
        a, b, c, d = (tower.encoder(v.x) for tower, v in zip([method.first, method.second] * 2, views, strict=True))
        a, c = a.mean(dim=2), c.mean(dim=2)
        heads_a, heads_b, critics = method.contrast.heads_a, method.contrast.heads_b, method.contrast.critics

        def both(head, one, view):
            return torch.cat([head(one), head(view)], dim=1)

        sides = {term: (heads_a[term](a), heads_b[term](b)) for term in ("shared", "removed")}
        sides |= {"own_a": tuple(map(heads_a["own_a"], (a, c))), "own_b": tuple(map(heads_b["own_b"], (b, d)))}
        sides |= {t: (both(heads_a[t], a, c), both(heads_b[t], b, d)) for t in ("given", "removed_given")}
        f = {term: critics[term](*xy) for term, xy in sides.items()}
        lower = sum(nce(f[t]) for t in ("shared", "own_a", "own_b", "given"))
        upper = sum(club(f[t]) for t in ("removed", "removed_given"))
        learning = sum(nce(f[t]) for t in ("removed", "removed_given"))
        assert abs(float(upper)) > 1e-2
        assert float(method.loss(views).loss) == pytest.approx(float(upper - lower - learning), abs=1e-5)
    model._forget_views()


def test_a_file_has_heads_and_the_one_critic_that_matches(tmp_path):
    X = pairs()
    model = FactorCL(**SMALL, trainer={"max_steps": 2}).fit(X)
    assert [model.transform(X, side=side).shape[1] for side in ("series", "table", "both")] == [30, 20, 50]
    stored = model.method_.inference_state()
    assert {name.split(".")[2] for name in stored if ".critics." in name} == {"shared"}
    loaded = load_model(model.save(tmp_path / "factor_cl.safetensors"))
    less = X.without("series", np.arange(12) < 3)
    np.testing.assert_array_equal(loaded.transform(less), model.transform(less))
    for side in X.names:
        said = model.match(less, X[:5], side=side)
        np.testing.assert_array_equal(loaded.match(less, X[:5], side=side), said)
        assert said.shape == (12, 5) and np.isnan(said).any(axis=1).sum() == (3 if side == "series" else 0)
    method = model.method_
    with torch.no_grad():  # by the critic of what both sides share, which is given first sides and second ones
        u, v = (method.projected(model.to_batch(X), number) for number in (0, 1))
        scores = method.contrast.critics["shared"](u, v)
    np.testing.assert_allclose(model.match(X, X, side="table"), torch.softmax(scores, dim=1).numpy(), atol=1e-6)
    np.testing.assert_allclose(model.match(X, X, side="series"), torch.softmax(scores.T, dim=1).numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="FactorCL has no space that both sides share: a network compares them; match"):
        model.project(X, "series")


def test_a_condition_is_a_view():
    with pytest.raises(ValueError, match="series_augmentation must be the name of a registered augmentation"):
        FactorCL(**SMALL, series_augmentation=None).fit(pairs())
    plain = FactorCL(**SMALL, trainer={"max_steps": 2}).fit(pairs())
    other = FactorCL(**SMALL, table_augmentation="gaussian_noise", trainer={"max_steps": 2}).fit(pairs())
    assert not np.array_equal(plain.transform(pairs()), other.transform(pairs()))


@pytest.mark.slow
def test_what_a_side_has_alone_stays_where_a_contrast_of_the_sides_loses_it():
    """Both sides know two causes, each knows two of its own; a representation has room for eight numbers."""

    def drawn(n, seed):
        draw = np.random.default_rng(seed)
        causes = draw.normal(size=(n, 6))

        def side(name, which):
            values = np.repeat(causes[:, which], 3, axis=1) + draw.normal(0, 0.3, (n, 12))
            return pd.DataFrame(values, columns=[f"{name}{i}" for i in range(12)])

        return PairedData(first=side("a", [0, 1, 2, 3]), second=side("b", [0, 1, 4, 5])), causes

    (train, known), (test, asked) = drawn(600, 0), drawn(400, 1)
    trainer = {"max_steps": 300, "max_epochs": 1000, "lr": 3e-3, "batch_size": 64}
    shared = {"table_encoder": {"mlp": {"hidden_dim": 8, "depth": 2}}, "trainer": trainer, "random_state": 0}
    explained = {}
    for model in (CLIP(**shared), FactorCL(**shared, hidden_dim=32)):
        model.fit(train)
        for side, own in (("first", [2, 3]), ("second", [4, 5])):
            Z, Z_test = model.transform(train, side=side), model.transform(test, side=side)
            for what, causes in (("shared", [0, 1]), ("own", own)):
                score = RidgeCV(np.logspace(-3, 3, 7)).fit(Z, known[:, causes]).score(Z_test, asked[:, causes])
                explained.setdefault((type(model).__name__, what), []).append(score)
    means = {key: float(np.mean(scores)) for key, scores in explained.items()}
    assert means["CLIP", "shared"] > 0.8 and means["CLIP", "own"] < 0.35
    assert means["FactorCL", "shared"] > 0.5 and means["FactorCL", "own"] > means["CLIP", "own"] + 0.2
