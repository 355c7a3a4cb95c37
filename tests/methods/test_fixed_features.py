"""The base of methods with fixed features: directions of ``repr_dim``, what is filled, what is refused."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import Tensor

import kinview
from kinview import MiniRocket
from kinview.data import Batch
from kinview.data.gaps import valid_lengths
from kinview.methods import methods
from kinview.methods.controls.fixed_features import FixedFeatureEstimator, FixedFeatures, fill, repr_dim
from kinview.methods.estimators import shared_parameters as shared
from kinview.parameters import parameterised
from kinview.testing import check_method
from kinview.training.method import Sizes

SMALL = {"features": 420, "random_state": 0}


def walks(n: int, channels: int = 1, steps: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, channels, steps)).cumsum(axis=2)


class Moments(FixedFeatures):
    """Mean and largest value of each channel."""

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.reserve_components(parameters.repr_dim)

    @property
    def n_features(self) -> int:
        return 2 * self.sizes.channels

    def features(self, rows: Batch) -> Tensor:
        lengths = valid_lengths(rows.x, rows.times)[:, None].clamp_min(1)
        x = torch.nan_to_num(rows.x)
        return torch.cat([x.sum(dim=2) / lengths, torch.nan_to_num(rows.x, nan=-torch.inf).amax(dim=2)], dim=1)


@parameterised
class MomentFeatures(FixedFeatureEstimator):
    """A method without randomness."""

    fill: Any = fill()
    repr_dim: int | None = repr_dim()
    scaling: Any = shared.scaling()

    method_class: ClassVar[type[FixedFeatures]] = Moments


@pytest.fixture
def moments():
    methods.register("moments", modality="time_series")(MomentFeatures)
    yield "moments"
    methods._entries.pop("moments", None)


def test_a_method_of_a_few_lines_passes_the_contract(moments):
    assert "padding_independent" in check_method(moments)


def test_declares_what_it_is():
    model = MiniRocket(**SMALL)
    assert (model.trains, model.control, model.uses_labels, model.passes_missing) == (False, True, False, False)
    model.fit(walks(10))
    assert model.fitted_network is None and model.training_ is None
    assert "trainer" not in model.get_params()


# --- repr_dim --------------------------------------------------------------------------------------------------------


def test_directions_are_left_singular_vectors_times_singular_values():
    X, new = walks(40), walks(9, seed=1)
    wide, narrow = (MiniRocket(**SMALL, repr_dim=d).fit(X) for d in (None, 6))
    F, G = (wide.transform(x).to_numpy().astype(np.float64) for x in (X, new))
    mean, std = F.mean(axis=0), F.std(axis=0)
    std[std < 1e-6] = 1
    U, S, Vt = np.linalg.svd((F - mean) / std, full_matrices=False)
    Z, W = (narrow.transform(x).to_numpy() for x in (X, new))
    signs = np.sign((Z * U[:, :6]).sum(axis=0))
    np.testing.assert_allclose(Z * signs, U[:, :6] * S[:6], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(W * signs, ((G - mean) / std) @ Vt[:6].T, rtol=1e-4, atol=1e-3)
    assert (np.diff(Z.std(axis=0)) <= 1e-3).all()


def test_no_more_directions_than_one_for_five_rows_and_it_is_said():
    with pytest.warns(UserWarning, match=r"keeps 4 of the repr_dim=10 dimensions.*every 5 of 20 training rows"):
        model = MiniRocket(**SMALL, repr_dim=10).fit(walks(20))
    assert model.transform(walks(3)).shape == (3, 4)


def test_directions_without_variance_are_zero():
    X = np.tile(walks(1), (30, 1, 1))
    Z = MiniRocket(**SMALL, repr_dim=4).fit(X).transform(walks(5, seed=2)).to_numpy()
    assert (Z == 0).all()


def test_many_rows_are_sampled_for_the_directions(monkeypatch):
    X = walks(60)
    expected = MiniRocket(**SMALL, repr_dim=3).fit(X).transform(X)
    monkeypatch.setattr("kinview.methods.controls.fixed_features._ROWS_OF_COMPONENTS", 30)
    model = MiniRocket(**SMALL, repr_dim=3).fit(X)
    assert not np.allclose(model.transform(X), expected)
    np.testing.assert_array_equal(clone(model).fit(X).transform(X), model.transform(X))


# --- gaps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "expected"), [("zero", 1.5), ("hold", 2.0), ("linear", 2.125)])
def test_gaps_are_filled_within_the_series_alone(how, expected):
    nan = np.nan
    X = np.array([[[1.0, 2.0, nan, 3.0, nan, nan]], [[0.0] * 6]])
    Z = MomentFeatures(fill=how, scaling=None).fit(X).transform(X).to_numpy()
    assert Z[0, 0] == pytest.approx(expected)  # the two last steps are beyond its end


def test_a_learned_completion_beats_a_line_where_series_are_alike(tmp_path):
    t = np.arange(30)
    random = np.random.default_rng(0)
    X = np.sin(t * 2.0)[None, None] * (1 + 0.1 * random.normal(size=(60, 1, 1))) + 0.01 * random.normal(
        size=(60, 1, 30)
    )
    gappy = X.copy()
    gappy[random.random(X.shape) < 0.4] = np.nan
    gappy[:, :, [0, -1]] = X[:, :, [0, -1]]
    errors = {}
    for how in ("linear", "completion"):
        model = MiniRocket(**SMALL, fill=how, scaling=None).fit(gappy)
        filled = model.method_.prepared(model.to_batch(gappy)).x.numpy()
        errors[how] = np.square(filled - X).mean()
    assert errors["completion"] < 0.1 * errors["linear"]
    loaded = kinview.load_model(model.save(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(loaded.transform(gappy), model.transform(gappy))


def test_a_series_without_an_observation_is_the_zero_vector():
    X = walks(16, channels=2)
    X[3] = np.nan
    for dims in (None, 2):
        Z = MiniRocket(**SMALL, repr_dim=dims).fit(X).transform(X).to_numpy()
        assert (Z[3] == 0).all() and (Z[[0, 1, 2, 4]] != 0).any(axis=1).all()


def test_series_without_any_observation_at_all_are_taken():
    Z = MiniRocket(**SMALL).fit(np.full((6, 1, 12), np.nan)).transform(walks(3, steps=12)).to_numpy()
    assert np.isfinite(Z).all()


# --- files, sizes, refusals ------------------------------------------------------------------------------------------


def test_padding_of_the_training_series_changes_nothing():
    X = walks(12)
    padded = np.concatenate([X, np.full((12, 1, 9), np.nan)], axis=2)
    one, other = (MiniRocket(**SMALL).fit(x) for x in (X, padded))
    assert one.sizes_ == other.sizes_
    np.testing.assert_array_equal(one.transform(X), other.transform(X))


def test_a_model_of_fewer_than_five_rows_is_saved_with_a_warning(tmp_path):
    model = MiniRocket(**SMALL).fit(walks(4))
    with pytest.warns(UserWarning, match=r"rests on 4 training row.*allow_row_statistics=True"):
        model.save(tmp_path / "model.safetensors")
    kinview.load_model(model.save(tmp_path / "model.safetensors", allow_row_statistics=True))


def test_a_file_whose_tensors_do_not_fit_is_refused(tmp_path):
    model = MiniRocket(**SMALL, repr_dim=2).fit(walks(12))
    model.method_.register_buffer("components", torch.zeros(420, 3))
    with pytest.raises(ValueError, match="components"):
        kinview.load_model(model.save(tmp_path / "model.safetensors"))


def test_there_is_nothing_to_take_to_another_data_set():
    model = MiniRocket(**SMALL).fit(walks(6))
    with pytest.raises(ValueError, match=r"no trained weights.*MiniRocket\(\).fit\(X\)"):
        model.adapt(walks(6, channels=2))


def test_memory_is_bounded_by_chunks(monkeypatch):
    X = walks(23)
    model = MiniRocket(**SMALL).fit(X)
    expected = model.transform(X)
    seen = []
    features = type(model.method_).features
    monkeypatch.setattr(
        type(model.method_), "features", lambda self, rows: (seen.append(len(rows)), features(self, rows))[1]
    )
    monkeypatch.setattr("kinview.methods.controls.fixed_features._CHUNK_FEATURES", 5 * 420)
    np.testing.assert_array_equal(model.transform(X), expected)
    assert seen == [5, 5, 5, 5, 3]
