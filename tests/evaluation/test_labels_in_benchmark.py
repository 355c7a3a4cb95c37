"""Methods that use labels in a benchmark: they get the labels of their cell, thinned and noisy, and nobody else's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import given_groups
from kinview.data.splits import label_subset
from kinview.datasets import Dataset, datasets
from kinview.evaluation import Benchmark, evaluate, run
from kinview.evaluation.benchmark import steps
from kinview.evaluation.benchmark.grid import Cell
from kinview.evaluation.benchmark.steps import Chain
from kinview.evaluation.corruptions import corrupt
from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.probes import probes
from kinview.losses import SupCon
from kinview.methods import SCARF, SCARFMethod, methods
from kinview.parameters import parameterised
from kinview.training import LossResult, Method

SMALL = {"hidden_dim": 16, "depth": 1, "projector_depth": 1, "trainer": {"max_steps": 8, "validation_fraction": 0.0}}
ROWS, GROUPS = 200, 40


class SupervisedContrast(SCARFMethod):
    """Rows of a class attract each other."""

    fits: ClassVar[list[Any]] = []

    def __init__(self, parameters: Any, sizes: Any) -> None:
        super().__init__(parameters, sizes)
        self.supervised = SupCon()
        self.fits.append(sizes.rows)

    def loss(self, views: list[Any]) -> LossResult:
        clean, corrupted = (self.projector(self.encoder(view.x)) for view in views)
        return LossResult(self.supervised(clean, corrupted, labels=views[0].y))


@parameterised
class Labelled(SCARF):
    """SCARF with labels."""

    uses = frozenset({"y"})
    method_class: ClassVar[type[Method]] = SupervisedContrast


GROUPS_SEEN: list[Any] = []
Grouped = given_groups(SCARF, SCARFMethod, GROUPS_SEEN)


@parameterised
class Furnished(SCARF):
    """SCARF that needs further features."""

    uses = frozenset({"extra"})


def patients(swapped: bool = False) -> Dataset:
    """Rows of two classes in 40 groups; ``swapped`` exchanges the labels of the test rows."""
    random = np.random.default_rng(0)

    def part(n: int) -> tuple[pd.DataFrame, np.ndarray]:
        y = random.permutation(np.repeat(["ill", "well"], n // 2))
        return pd.DataFrame({f"x{j}": random.normal(size=n) + 2 * (y == "ill") for j in range(4)}), y

    (X, y), (X_test, y_test) = part(ROWS), part(50)
    if swapped:
        y_test = np.where(y_test == "ill", "well", "ill")
    groups, groups_test = np.arange(ROWS) % GROUPS, 1000 + np.arange(50)
    return Dataset(X, y, X_test, y_test, "patients", "tabular", groups, groups_test)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for registry in (datasets, methods):
        list(registry)  # its members are loaded
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    datasets.register("patients")(patients)
    for name, one in (("labelled", Labelled), ("grouped", Grouped), ("furnished", Furnished)):
        methods.register(name, modality="tabular")(one)
    SupervisedContrast.fits.clear()
    GROUPS_SEEN.clear()
    steps.load_dataset.cache_clear()
    yield
    steps.load_dataset.cache_clear()


def benchmark(**changes: Any) -> Benchmark:
    """Clean and noisy labels, all of them and 10 %."""
    fields: dict[str, Any] = {
        "name": "labels",
        "datasets": ["patients"],
        "methods": [{"labelled": SMALL}],
        "label_noise": ["symmetric"],
        "label_noise_rates": [0.4],
        "label_fractions": [0.1],
        "crossed": True,
        "controls": "none",
        "probes": ["knn"],
    }
    return Benchmark(**{**fields, **changes})


def cell_of(plan: Benchmark, rate: float, fraction: float, severity: float = 0.0) -> Cell:
    wanted = (rate, fraction, severity)
    (cell,) = [c for c in plan.cells() if (c.label_noise_rate, c.label_fraction, c.severity) == wanted]
    return cell


def by_hand(X: Any, rate: float, fraction: float) -> tuple[SCARF, np.ndarray, np.ndarray]:
    """The method fitted on the labels of a cell, without any step of the benchmark; the labelled rows, their labels."""
    data = patients()
    assert data.y_train is not None and data.groups_train is not None
    rows = label_subset(data.y_train, fraction, 0, groups=data.groups_train)
    y = label_noise.build("symmetric", rate=rate).apply(data.y_train[rows], classes=["ill", "well"], seed=0).y
    trainer = {**SMALL["trainer"], "device": "cpu", "precision": "float32", "progress": False}  # type: ignore[dict-item]
    estimator = Labelled(**{**SMALL, "trainer": trainer, "random_state": 0})  # type: ignore[arg-type]
    with steps._limited_threads(1):
        return estimator.fit(X.iloc[rows], y, groups=data.groups_train[rows]), rows, y


@pytest.mark.parametrize("severity", [0.0, 0.3])
def test_it_is_fitted_on_the_thinned_and_noisy_labels_of_its_cell(severity: float, tmp_path: Path) -> None:
    plan = benchmark(corruptions=["mcar"], severities=[0.3], pretrain_on="corrupted")
    cell = cell_of(plan, 0.4, 0.1, severity)
    data = patients()
    X, X_test = data.X_train, data.X_test
    if severity:
        X, _ = corrupt(X, "mcar", (0, 0), rate=severity)
        X_test, _ = corrupt(X_test, "mcar", (0, 1), rate=severity)
    model, rows, y = by_hand(X, 0.4, 0.1)
    assert len(rows) == 20
    assert (y != data.y_train[rows]).sum() == 8  # type: ignore[index]
    chain = Chain(cell, None, tmp_path)
    with steps._limited_threads(1):
        result = chain.probe(cell)
        train, test = model.transform(X), model.transform(X_test)
    np.testing.assert_array_equal(chain.embedding(cell, "train").z, train)
    np.testing.assert_array_equal(chain.embedding(cell, "test").z, test)
    probe = probes.build("knn", random_state=0).fit(train[rows], y, groups=data.groups_train[rows])  # type: ignore[index]
    expected = evaluate(data.y_test, probe.predict_scores(test), probe.classes_, probe.predict(test))
    assert {name: result[name] for name in ("accuracy", "auroc")} == {n: expected[n] for n in ("accuracy", "auroc")}
    assert result["realised_noise"] == 0.4


def test_its_model_belongs_to_one_budget_and_one_noise(tmp_path: Path) -> None:
    plan = benchmark()
    cells = plan.cells()
    assert len({cell.pretrain_key for cell in cells}) == len({cell.embed_key("test") for cell in cells}) == 4
    frame = run(plan, f"sqlite:///{tmp_path}/results.db", cache_dir=tmp_path / "cache", progress=False)
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    assert len(list((tmp_path / "cache" / "models").iterdir())) == 4
    assert {20, ROWS} == set(SupervisedContrast.fits)
    embedded = [Chain(cell, None, tmp_path / "cache").embedding(cell, "test").z for cell in cells]
    for i, one in enumerate(embedded):
        assert not any(np.array_equal(one, other) for other in embedded[:i])
    z, _ = plan.embeddings(tmp_path / "cache")["patients", frame["method"][0]]
    np.testing.assert_array_equal(z, Chain(cell_of(plan, 0, 1), None, tmp_path / "cache").embedding(cells[0], "test").z)


def test_the_embedding_of_the_clean_condition_is_of_no_noisy_model(tmp_path: Path) -> None:
    plan = benchmark()
    noisy = cell_of(plan, 0.4, 1)
    Chain(noisy, None, tmp_path).embedding(noisy, "test")
    assert plan.embeddings(tmp_path) == {}


def test_every_rate_and_kind_of_noise_has_a_model_of_its_own() -> None:
    cell = cell_of(benchmark(), 0.4, 0.1)
    changes: list[dict[str, Any]] = [
        {"label_noise_rate": 0.2},
        {"label_fraction": 0.2},
        {"label_noise": None},
        {"code": {**cell.code, "label_noise": "other"}},
        {"seed": 1},
    ]
    keys = [dataclasses.replace(cell, **change).pretrain_key for change in changes]
    assert len({cell.pretrain_key, *keys}) == 1 + len(changes)
    assert dataclasses.replace(cell, probe="linear").pretrain_key == cell.pretrain_key
    assert "fits_labels" not in cell.spec


@pytest.mark.parametrize("method", ["raw", {"scarf": SMALL}, {"random_init": {"method": {"labelled": SMALL}}}], ids=str)
def test_methods_without_labels_share_one_model(method: Any) -> None:
    cells = benchmark(methods=[method]).cells()
    assert len(cells) == 4
    assert len({cell.pretrain_key for cell in cells}) == len({cell.embed_key("train") for cell in cells}) == 1
    other = dataclasses.replace(cells[-1], code={**cells[-1].code, "label_noise": "other"})
    assert other.pretrain_key == cells[0].pretrain_key


def test_a_method_without_labels_is_fitted_on_all_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[Any] = []
    fit = SCARF.fit
    monkeypatch.setattr(SCARF, "fit", lambda self, X, y=None, **k: given.append((len(X), y)) or fit(self, X, y, **k))
    cell = cell_of(benchmark(methods=[{"scarf": SMALL}]), 0.4, 0.1)
    Chain(cell, None, tmp_path).model()
    assert given == [(ROWS, None)]


def test_test_labels_never_reach_it(tmp_path: Path) -> None:
    models, scores = [], []
    for option in ({}, {"swapped": True}):
        plan = benchmark(datasets=[{"patients": option}])
        cell = cell_of(plan, 0.4, 0.1)
        chain = Chain(cell, None, tmp_path / str(len(models)))
        scores.append(chain.probe(cell)["accuracy"])
        models.append((chain.model().method_.state_dict(), chain.embedding(cell, "test").z))
    (state, z), (other, other_z) = models
    assert all(torch.equal(state[name], other[name]) for name in state)
    np.testing.assert_array_equal(z, other_z)
    assert scores[0] == pytest.approx(1 - scores[1])


def test_a_method_that_uses_groups_needs_a_data_set_that_has_some() -> None:
    with pytest.raises(
        ValueError, match=r"grouped.* uses the group of each row, and the data set 'iris' has none: name"
    ):
        Benchmark("b", ["iris"], [{"grouped": SMALL}], controls="none", probes=["knn"], seeds=[0]).cells()


def test_a_method_that_uses_groups_gets_those_of_its_rows(tmp_path: Path) -> None:
    cell = cell_of(benchmark(methods=[{"grouped": SMALL}]), 0.4, 0.1)
    assert not cell.fits_labels
    Chain(cell, None, tmp_path).model()
    assert GROUPS_SEEN and all(len(groups.unique()) > 1 for groups in GROUPS_SEEN)


def test_what_no_data_set_has_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match=r"furnished\(.* uses further features of each row.*fit\(X, extra="):
        benchmark(methods=["raw", {"furnished": SMALL}]).cells()


# --- noise that looks at samples and groups --------------------------------------------------------------------------


def quiet(**changes: Any) -> Benchmark:
    return benchmark(methods=["raw"], **{"label_fractions": [1.0], **changes})


def test_a_budget_draws_whole_groups_and_says_how_many(tmp_path: Path) -> None:
    data = patients()
    assert data.groups_train is not None
    plan = quiet(label_noise=[], label_noise_rates=[], label_fractions=[0.05, 0.1, 0.25, 0.5])
    before: set[int] = set()
    for cell in sorted(plan.cells(), key=lambda cell: cell.label_fraction):
        chain = Chain(cell, None, tmp_path)
        rows, labels = chain._training_labels(cell)
        chosen = set(data.groups_train[rows].tolist())
        assert np.array_equal(rows, np.flatnonzero(np.isin(data.groups_train, list(chosen))))
        assert before <= chosen and set(labels.y) == {"ill", "well"}
        result = chain.probe(cell)
        assert (result["labelled_samples"], result["labelled_groups"]) == (len(rows), len(chosen))
        assert len(rows) == round(ROWS * cell.label_fraction)  # groups of 5
        assert result["realised_transition"] is None and result["realised_noise"] == 0
        before = chosen


def test_recordings_of_a_patient_share_the_fate_of_their_label(tmp_path: Path) -> None:
    plan = quiet(label_noise=[{"symmetric": {"group_consistent": True}}], label_fractions=[0.5])
    data = patients()
    assert data.y_train is not None and data.groups_train is not None
    for cell in plan.cells():
        rows, labels = Chain(cell, None, tmp_path)._training_labels(cell)
        fate = pd.DataFrame({"group": data.groups_train[rows], "y": data.y_train[rows], "noisy": labels.y})
        assert fate.groupby(["group", "y"])["noisy"].nunique().max() == 1
        assert labels.realised_rate == pytest.approx(cell.label_noise_rate, abs=0.02)


def test_groups_that_share_their_fate_have_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = quiet(datasets=["iris"], label_noise=[{"pair_flip": {"group_consistent": True}}])
    said = r"pair_flip\(group_consistent=True\) cannot be applied to the data set 'iris': it goes by the group of each"
    with pytest.raises(ValueError, match=said):
        plan.cells()


@pytest.mark.parametrize("form", ["part_dependent", "boundary"])
def test_noise_that_looks_at_samples_is_of_the_labelled_training_rows_before_a_corruption(
    form: str, tmp_path: Path
) -> None:
    noise = {"instance_dependent": {"form": form}}
    plan = quiet(label_noise=[noise], corruptions=["mcar"], severities=[0.3], label_fractions=[0.5])
    data = patients()
    assert data.y_train is not None
    clean, corrupted = (cell_of(plan, 0.4, 0.5, severity) for severity in (0.0, 0.3))
    rows, labels = Chain(clean, None, tmp_path)._training_labels(clean)
    expected = label_noise.build(noise, rate=0.4).apply(data.y_train[rows], seed=0, X=data.X_train.iloc[rows])
    np.testing.assert_array_equal(labels.y, expected.y)
    np.testing.assert_array_equal(Chain(corrupted, None, tmp_path)._training_labels(corrupted)[1].y, expected.y)


def test_the_realised_transition_is_in_the_store(tmp_path: Path) -> None:
    noises = ["pair_flip", {"class_conditional": {"matrix": [[0.6, 0.4], [0.6, 0.4]]}}, "annotator"]
    plan = quiet(label_noise=noises, label_noise_rates=[0.2])
    frame = run(plan, f"sqlite:///{tmp_path}/results.db", cache_dir=tmp_path / "cache", progress=False)
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    assert frame["realised_transition"].isna().tolist() == frame["label_noise"].isna().tolist()
    kept = {
        row.label_noise.split("(")[0]: json.loads(row.realised_transition)
        for row in frame.dropna(subset="realised_transition").itertuples()
    }
    assert {tuple(one["classes"]) for one in kept.values()} == {("ill", "well")}
    assert kept["pair_flip"]["counts"] == [[80, 20], [20, 80]]
    assert kept["class_conditional"]["counts"] == [[84, 16], [24, 76]]
    assert sum(kept["annotator"]["counts"][i][1 - i] for i in (0, 1)) == 40
    assert frame["labelled_samples"].tolist() == [ROWS] * 4 and frame["labelled_groups"].tolist() == [GROUPS] * 4


def test_a_map_of_classes_that_a_data_set_lacks_leaves_it_out_by_name():
    noise = {"asymmetric": {"mapping": {"sepsis": "pneumonia"}}}
    benchmark = Benchmark(
        name="m", datasets=["wine"], methods=["raw"], probes=["knn"], controls="none",
        label_noise=["symmetric", noise], label_noise_rates=[0.2],
    )  # fmt: skip
    assert {cell.label_noise for cell in benchmark.cells()} == {None, "symmetric"}
    (told,) = benchmark.left_out()
    assert told.endswith("on wine: mapping names 'pneumonia', 'sepsis', which are no classes of it")
