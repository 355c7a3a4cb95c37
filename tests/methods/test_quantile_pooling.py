"""TS2Vec pooled by quantiles, alone and beside MiniRocket."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from helpers import gen
from kinview import FineTunedClassifier, MiniRocket, TS2Vec, TS2VecMiniRocket, load_model
from kinview.encoders.pooling import fractions_above, mean_quantiles
from kinview.methods import methods

SMALL: dict[str, Any] = {"repr_dim": 6, "hidden_dim": 4, "depth": 2, "trainer": {"max_steps": 3}, "random_state": 0}


def ragged(n: int = 12, channels: int = 2, steps: int = 40) -> np.ndarray:
    X = torch.randn(n, channels, steps, generator=gen()).cumsum(dim=2).double().numpy()
    for row in range(0, n, 3):
        X[row, :, steps - 4 * (row % 4) - 5 :] = np.nan
    return X


def steps_of(z: np.ndarray) -> list[np.ndarray]:
    """Representations ``(D, own steps)`` of each series; ``encode`` has zeros beyond its end."""
    return [row[:, (row != 0).any(axis=0)] for row in z]


def test_pooled_by_quantiles_is_how_many_steps_are_above_the_mean_quantiles_of_the_training_series() -> None:
    X = ragged()
    model = TS2Vec(pooling="quantiles", fill="zero", **SMALL).fit(X)
    z = steps_of(model.encode(X))
    at = np.arange(1, 32) / 32
    levels = np.mean([np.quantile(row.astype(np.float64), at, axis=1) for row in z], axis=0)
    assert_allclose(model.method_.levels.numpy(), levels, atol=1e-4)
    own = model.method_.levels.numpy()
    expected = [np.concatenate([(row > level[:, None]).mean(axis=1) for level in own]) for row in z]
    assert_allclose(np.asarray(model.transform(X)), expected, atol=1e-6)


def test_training_and_every_step_are_those_of_the_maximum() -> None:
    X = ragged()
    one, other = (TS2Vec(pooling=how, **SMALL).fit(X) for how in ("max", "quantiles"))
    assert_array_equal(one.encode(X), other.encode(X))
    assert_array_equal(one.encode(X, "full_series"), other.encode(X, "full_series"))


def test_quantiles_of_chunks_are_those_of_all_rows() -> None:
    z, inside = torch.randn(7, 3, 11, generator=gen()), torch.rand(7, 11, generator=gen()) < 0.6
    inside[2] = False  # a row without any step is left out
    at = torch.tensor([0.0, 0.3, 1.0])
    parts = [(z[:3], inside[:3]), (z[3:], inside[3:])]
    rows = [np.quantile(z[i][:, inside[i]].numpy(), at.numpy(), axis=1) for i in range(7) if inside[i].any()]
    assert_allclose(mean_quantiles(parts, at).numpy(), np.mean(rows, axis=0), atol=1e-6)
    assert_array_equal(fractions_above(z, torch.zeros(1, 3), inside)[2].numpy(), np.zeros(3))


def test_taken_to_other_series_its_levels_are_theirs() -> None:
    model = TS2VecMiniRocket(features=168, **SMALL).fit(ragged())
    others = 10 + 3 * np.sin(np.arange(9 * 30.0)).reshape(9, 1, 30) ** 3
    with pytest.warns(UserWarning, match="start anew"):
        adapted = model.adapt(others)
    Z = np.asarray(adapted.transform(others))
    assert Z.shape == (9, 168 + 6 * 31) and 0.4 < Z[:, 168:].mean() < 0.6
    assert not np.allclose(adapted.method_.levels, model.method_.levels)


def test_fewer_than_five_series_leave_no_levels() -> None:
    X = ragged(4)
    model = TS2VecMiniRocket(features=168, **SMALL).fit(X)
    assert_array_equal(model.method_.levels.numpy(), 0)
    assert_array_equal(model.method_.minirocket.kernels.thresholds.numpy(), 0)
    assert np.isfinite(np.asarray(model.transform(X))).all()


def test_beside_minirocket_both_are_what_they_are_alone(tmp_path: Any) -> None:
    X = ragged()
    both = TS2VecMiniRocket(features=168, **SMALL).fit(X)
    Z = np.asarray(both.transform(X))
    assert_array_equal(
        Z[:, :168], np.asarray(MiniRocket(features=168, fill="completion", random_state=0).fit(X).transform(X))
    )
    assert_array_equal(Z[:, 168:], np.asarray(TS2Vec(pooling="quantiles", **SMALL).fit(X).transform(X)))
    both.save(tmp_path / "both.safetensors")
    assert_array_equal(np.asarray(load_model(tmp_path / "both.safetensors").transform(X)), Z)


def test_many_features_are_said_to_be_many() -> None:
    wide = {name: methods.build(name).wide for name in ("ts2vec", "ts2vec_minirocket")}
    assert wide == {"ts2vec": False, "ts2vec_minirocket": True}
    assert TS2VecMiniRocket(repr_dim=64, features=84).wide and not TS2VecMiniRocket(repr_dim=8, features=168).wide
    assert TS2Vec(pooling="quantiles").wide and not TS2Vec(pooling="quantiles", repr_dim=64).wide


def test_the_gradient_is_that_of_a_smooth_step() -> None:
    z = torch.randn(3, 2, 9, generator=gen(), dtype=torch.float64, requires_grad=True)
    inside = torch.rand(3, 9, generator=gen()) < 0.7
    inside[0] = False
    levels = torch.tensor([[-1.0, -0.5], [0.2, 0.0], [1.0, 0.3]], dtype=torch.float64)
    weights = torch.randn(3, 6, generator=gen(), dtype=torch.float64)
    (seen,) = torch.autograd.grad((fractions_above(z, levels, inside) * weights).sum(), z)
    width = (levels.amax(dim=0) - levels.amin(dim=0))[:, None] / 8
    steps = inside.sum(dim=1, keepdim=True).clamp_min(1)
    soft = [(torch.sigmoid((z - level[:, None]) / width) * inside[:, None]).sum(dim=2) / steps for level in levels]
    (expected,) = torch.autograd.grad((torch.cat(soft, dim=1) * weights).sum(), z)
    assert_allclose(seen.numpy(), expected.numpy(), rtol=1e-10, atol=1e-12)


def test_labels_train_the_network_through_counts() -> None:
    X, y = ragged(), np.arange(12) % 2
    model = TS2VecMiniRocket(features=168, **SMALL).fit(X)
    tuned = FineTunedClassifier(model, trainer={"max_epochs": 1}, random_state=0).fit(X, y)
    before, after = (each.method_.encoder.state_dict() for each in (model, tuned.encoder_))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert_array_equal(tuned.encoder_.method_.levels.numpy(), model.method_.levels.numpy())


def test_an_official_checkpoint_is_refused_beside_minirocket(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=r"TS2Vec\.from_official"):
        TS2VecMiniRocket.from_official(tmp_path / "checkpoint.pkl")
