"""``pca`` and ``random_features``: directions of raw features, and what a file of them holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.decomposition import PCA

from kinview import load_model
from kinview.methods import PCAFeatures, RandomFeatures, RawFeatures


def table(n: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "age": 60 + 10 * level,
            "pressure": 120 - 8 * level + rng.normal(size=n),
            "sex": rng.choice(["f", "m"], n),
            "ward": rng.choice(["a", "b", "c"], n),
            "constant": 3.0,
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.1)


def standardised(X: Any) -> np.ndarray:
    raw = RawFeatures().fit(X).transform(X).astype(np.float64)
    std = raw.std(axis=0)
    return np.asarray((raw - raw.mean(axis=0)) / np.where(std > 1e-6, std, 1))


def series(n: int = 50, seed: int = 0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(n, 2, 12)).cumsum(axis=2)
    X[np.random.default_rng(seed + 1).random(X.shape) < 0.3] = np.nan
    return X


@pytest.mark.parametrize("X", [series(), table()], ids=["series", "table"])
def test_the_components_are_those_of_scikit_learn_on_standardised_raw_features(X: Any) -> None:
    F = standardised(X)
    model = PCAFeatures(explained=1.0).fit(X)
    theirs = PCA().fit(F)
    kept = len(model.components_)
    assert kept == min(len(X) // 5, int((theirs.explained_variance_ratio_ > 1e-12).sum()))
    np.testing.assert_allclose(model.explained_, theirs.explained_variance_ratio_[:kept], rtol=1e-6)
    made = model.transform(X)
    np.testing.assert_allclose(np.abs(made), np.abs(theirs.transform(F)[:, :kept]), rtol=1e-4, atol=1e-5)
    largest = np.take_along_axis(model.components_, np.abs(model.components_).argmax(axis=1)[:, None], axis=1)
    assert (largest > 0).all()


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 60), st.integers(1, 8), st.floats(0.05, 1.0))
def test_as_many_components_are_kept_as_explain_the_fraction(seed: int, n: int, columns: int, explained: float) -> None:
    X = np.random.default_rng(seed).normal(size=(n, columns)) * np.arange(1, columns + 1)
    model = PCAFeatures(explained=explained).fit(X)
    share = PCA().fit(standardised(X)).explained_variance_ratio_
    wanted = int((np.cumsum(share) < explained - 1e-9).sum()) + 1
    assert len(model.components_) in {max(1, min(wanted + more, columns, n // 5)) for more in (0, -1)}
    np.testing.assert_allclose(model.components_ @ model.components_.T, np.eye(len(model.components_)), atol=1e-9)


def test_a_number_of_components_may_be_asked_for_and_is_bounded_by_the_rows() -> None:
    X = np.random.default_rng(0).normal(size=(40, 20))
    assert PCAFeatures(repr_dim=3).fit(X).transform(X).shape == (40, 3)
    with pytest.warns(UserWarning, match="keeps 8 of the repr_dim=11 components: one for every 5 of 40 training rows"):
        assert PCAFeatures(repr_dim=11).fit(X).transform(X).shape == (40, 8)
    same = np.ones((40, 2))
    np.testing.assert_array_equal(PCAFeatures().fit(same).transform(same), np.zeros((40, 1)))


def test_no_training_row_lies_in_the_span_of_the_components() -> None:
    X = np.random.default_rng(0).normal(size=(40, 200))
    model, F = PCAFeatures(explained=1.0).fit(X), standardised(X)
    left = F - F @ model.components_.T @ model.components_
    assert (np.linalg.norm(left, axis=1) / np.linalg.norm(F, axis=1)).min() > 0.5


def test_fourier_features_are_the_gaussian_kernel() -> None:
    X = table()
    F = standardised(X)
    columns = int((F.std(axis=0) > 0).sum())
    assert columns == F.shape[1] - 1
    distance = ((F[:, None] - F[None]) ** 2).sum(axis=2)
    Z = RandomFeatures(repr_dim=20_000, random_state=0).fit(X).transform(X).astype(np.float64)
    np.testing.assert_allclose(Z @ Z.T, np.exp(-distance / (2 * columns)), atol=0.05)


def test_rectified_features_are_the_arc_cosine_kernel() -> None:
    X = table()
    F = standardised(X)
    points = np.column_stack([F / np.sqrt((F.std(axis=0) > 0).sum()), np.ones(len(F))])
    norm = np.linalg.norm(points, axis=1)
    angle = np.arccos(np.clip(points @ points.T / np.outer(norm, norm), -1, 1))
    kernel = np.outer(norm, norm) * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
    Z = RandomFeatures(repr_dim=40_000, kind="relu", random_state=0).fit(X).transform(X).astype(np.float64)
    np.testing.assert_allclose(Z @ Z.T, kernel, atol=0.15)
    assert (Z >= 0).all()


def test_random_features_are_drawn_by_their_seed_alone_and_are_of_tables() -> None:
    X = table()
    one, same, other = (RandomFeatures(random_state=seed).fit(X).transform(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert one.shape == (60, 512) and not np.array_equal(one, other)
    with pytest.raises(ValueError, match="random_features is for tables, and X is series; for series there are"):
        RandomFeatures().fit(series())


@pytest.mark.parametrize("kind", [PCAFeatures, RandomFeatures])
def test_parameters_are_refused_by_name_before_any_work(kind: Any) -> None:
    with pytest.raises(ValueError, match="repr_dim must be at least 1; got 0"):
        kind(repr_dim=0).fit(None)
    with pytest.raises(TypeError, match="missing"):
        kind().fit(table()).transform(table(), missing="keep")


@pytest.mark.parametrize(
    ("kind", "X"),
    [(PCAFeatures, series()), (PCAFeatures, table()), (RandomFeatures, table())],
    ids=["pca of series", "pca of tables", "random features"],
)
def test_a_file_embeds_as_the_model_and_one_of_few_rows_is_refused(kind: Any, X: Any, tmp_path: Path) -> None:
    model = kind(random_state=0) if kind is RandomFeatures else kind()
    made = model.fit(X).transform(X)
    loaded = load_model(model.save(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(loaded.transform(X), made)
    np.testing.assert_array_equal(loaded.transform(X, out=np.empty(made.shape)), made)
    few = kind().fit(X[["age", "pressure"]][:4] if isinstance(X, pd.DataFrame) else X[:4])
    with pytest.raises(ValueError, match=rf"{kind.__name__} is not saved: its means rest on 4 training row\(s\)"):
        few.save(tmp_path / "few.safetensors")
    load_model(few.save(tmp_path / "few.safetensors", allow_row_statistics=True))
