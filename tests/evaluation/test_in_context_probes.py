"""TabPFN and TabICL by stand-ins with their interface: what they get, what is refused, what a benchmark says."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from kinview.evaluation import Benchmark, TabICL, TabPFN, run
from kinview.evaluation.probes import probes
from kinview.registry import to_config

CLASSES = {"tabpfn": (TabPFN, "TabPFNClassifier"), "tabicl": (TabICL, "TabICLClassifier")}
every_library = pytest.mark.parametrize("library", CLASSES)


class StandIn:
    """Nearest neighbours, NaN as 0, with the interface of both classifiers; its classes are in an order of its own."""

    given: dict[str, Any]
    rows: np.ndarray

    def __init__(self, **given: Any) -> None:
        type(self).given = given

    def fit(self, X: np.ndarray, y: np.ndarray) -> StandIn:
        assert X.dtype == np.float64 and not np.isnan(X).all(axis=0).any() and y.dtype.kind == "i"
        type(self).rows = X
        self._neighbours = KNeighborsClassifier(3).fit(np.nan_to_num(X), y)
        self.classes_ = self._neighbours.classes_[::-1]
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self._neighbours.predict_proba(np.nan_to_num(X)))[:, ::-1]


@pytest.fixture
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    """A library of this name, for one test."""
    library = request.getfixturevalue("library")
    module = types.ModuleType(library)
    kind = type("Noted", (StandIn,), {})
    setattr(module, CLASSES[library][1], kind)
    monkeypatch.setitem(sys.modules, library, module)
    return kind


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "weights.ckpt"
    path.write_bytes(b"weights")
    return str(path)


def blobs(n: int = 60, classes: int = 3, columns: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % classes
    Z = 4 * rng.normal(size=(classes, columns))[y] + rng.normal(size=(n, columns))
    return Z, y


@every_library
def test_it_classifies_with_missing_values_and_labels_of_any_type(library: str, stand_in: Any, weights: str) -> None:
    Z, codes = blobs()
    Z[::7, 0] = np.nan
    Z = np.column_stack([Z, np.full(len(Z), np.nan)])  # a column never observed is left out
    labels = np.array(["well", "ill", "dead"])[codes]
    probe = CLASSES[library][0](random_state=3, model_path=weights).fit(Z[:40], labels[:40])
    assert stand_in.rows.shape == (40, 4) and np.isnan(stand_in.rows).any()
    scores = probe.predict_scores(Z[40:])
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert probe.classes_.tolist() == ["dead", "ill", "well"]
    assert (probe.predict(Z[40:]) == labels[40:]).mean() > 0.9
    given = {"n_estimators": 8, "model_path": weights, "device": "cpu", "random_state": 3}
    assert stand_in.given == given | ({"allow_auto_download": False} if library == "tabicl" else {})
    assert to_config(probe) == {library: {"random_state": 3, "model_path": weights}}


@every_library
def test_weights_are_downloaded_only_where_that_is_asked_for(library: str, stand_in: Any, tmp_path: Path) -> None:
    Z, y = blobs()
    kind = CLASSES[library][0]
    message = f"the probe '{library}' needs weights, and no model_path is given. {library} would download some .* MB"
    with pytest.raises(ValueError, match=message):
        kind().fit(Z, y)
    with pytest.raises(ValueError, match=r"there is no file .*absent\.ckpt"):
        kind(model_path=str(tmp_path / "absent.ckpt")).fit(Z, y)
    assert not hasattr(stand_in, "given")
    kind(download=True).fit(Z, y)
    if library == "tabpfn":
        assert stand_in.given["model_path"] == "auto"
    else:
        assert stand_in.given["model_path"] is None and stand_in.given["allow_auto_download"] is True


@every_library
def test_limits_on_rows_columns_and_classes(library: str, stand_in: Any, weights: str) -> None:
    kind = CLASSES[library][0]
    Z, y = blobs(90)
    kind(model_path=weights, max_rows=30).fit(Z, y)
    assert stand_in.rows.shape == (30, 4)
    with pytest.raises(ValueError, match=r"takes 1 to max_features=3 columns, and Z has 4 with a value: use a method"):
        kind(model_path=weights, max_features=3).fit(Z, y)
    with pytest.raises(ValueError, match="and Z has 0 with a value"):
        kind(model_path=weights).fit(np.full((6, 2), np.nan), [0, 1] * 3)
    with pytest.raises(ValueError, match="max_rows must be "):
        kind(model_path=weights, max_rows=0).fit(Z, y)
    with pytest.raises(ValueError, match="n_estimators must be a whole number"):
        kind(model_path=weights, n_estimators=1.5).fit(Z, y)
    Z, y = blobs(66, classes=11)
    if library == "tabpfn":
        with pytest.raises(ValueError, match="tells at most 10 classes apart, and there are 11: use another probe"):
            kind(model_path=weights).fit(Z, y)
    else:
        assert kind(model_path=weights).fit(Z, y).predict_scores(Z).shape == (66, 11)


@every_library
def test_without_the_library_it_says_what_to_do(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=rf"needs the library {library} .* pip install 'kinview\[{library}\]'"):
        probes.build(library).fit([[0.0], [1.0]], [0, 1])
    monkeypatch.setitem(sys.modules, library, types.ModuleType(library))  # another library of that name
    with pytest.raises(ValueError, match=f"needs the library {library} with its {CLASSES[library][1]}"):
        probes.build(library).fit([[0.0], [1.0]], [0, 1])


@every_library
def test_a_benchmark_names_the_pair_that_failed_and_why(
    library: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    benchmark = Benchmark("tables", ["iris"], ["raw"], controls="none", probes=["knn", library], seeds=[0])
    frame = run(benchmark, f"{tmp_path}/results.db", cache_dir=tmp_path / "cache", progress=False)
    rows = frame.set_index("probe")
    assert rows.loc["knn", "status"] == "ok" and rows.loc[library, "status"] == "failed"
    assert f"ValueError: the probe '{library}' needs the library {library}" in rows.loc[library, "message"]


@every_library
def test_a_benchmark_has_it_read_raw_features_with_their_gaps(
    library: str, stand_in: Any, weights: str, tmp_path: Path
) -> None:
    benchmark = Benchmark(
        "tables",
        ["iris"],
        ["raw"],
        ["mcar"],
        [0.3],
        controls="none",
        probes=[{library: {"model_path": weights}}],
        seeds=[0],
    )
    frame = run(benchmark, f"{tmp_path}/results.db", cache_dir=tmp_path / "cache", progress=False)
    assert set(frame["status"]) == {"ok"} and frame["accuracy"].min() > 0.5
    assert np.isnan(stand_in.rows).any()


@every_library
def test_the_library_itself_where_it_is_with_weights(library: str) -> None:
    path = os.environ.get(f"KINVIEW_{library.upper()}")
    if importlib.util.find_spec(library) is None or path is None:
        pytest.skip(f"{library} is not installed, or KINVIEW_{library.upper()} does not name a file of its weights")
    Z, y = blobs(90)
    probe = CLASSES[library][0](model_path=path).fit(Z[:60], y[:60])
    assert (probe.predict(Z[60:]) == y[60:]).mean() > 0.9
