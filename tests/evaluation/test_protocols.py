"""Protocols: folds that are whole, stratified, grouped and leak nothing, in the grid and in the store."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import kinview
from kinview.datasets.dataset import Dataset
from kinview.evaluation import Benchmark, Official, StratifiedKFold, run
from kinview.evaluation.benchmark.steps import Chain
from kinview.evaluation.protocols import splits
from kinview.registry import to_config
from test_benchmark import TS2VEC, go, write_data

FIVE_BY_TWO = {"stratified_kfold": {"folds": 5, "repeats": 2}}


def series(n_train=30, n_test=20, groups=None, frame=False):
    random = np.random.default_rng(0)
    X = random.normal(size=(n_train + n_test, 2, 6))
    X[:, 0, 0] = np.arange(n_train + n_test)  # names the sample
    y = np.where(np.arange(n_train + n_test) % 5 == 0, "ill", "well")
    parts = X[:n_train], X[n_train:]
    if frame:
        parts = tuple(map(as_frame, parts))
    g = (None, None) if groups is None else (groups[:n_train], groups[n_train:])
    return Dataset(parts[0], y[:n_train], parts[1], y[n_train:], "demo", groups_train=g[0], groups_test=g[1])


def as_frame(X):
    index = pd.MultiIndex.from_product([range(len(X)), range(X.shape[2])], names=["stay", "hour"])
    return pd.DataFrame(np.moveaxis(X, 1, 2).reshape(-1, X.shape[1]), index=index, columns=["a", "b"])


def identity(X):
    """The samples by the number that stands in their first value."""
    values = X.groupby(level=0, sort=False).first()["a"].to_numpy() if isinstance(X, pd.DataFrame) else X[:, 0, 0]
    return values.astype(int).tolist()


@pytest.mark.parametrize("frame", [False, True])
def test_every_sample_is_tested_once_a_repeat_and_never_learned_from(frame):
    data = series(frame=frame)
    protocol = StratifiedKFold(folds=5, repeats=2)
    cuts = protocol.cut(data)
    assert len(cuts) == 10
    for repeat in (cuts[:5], cuts[5:]):
        assert sorted(np.concatenate([test for _, test in repeat])) == list(range(50))
    assert [sorted(test) for _, test in cuts[:5]] != [sorted(test) for _, test in cuts[5:]]
    for number in (0, 7):
        fold, names = protocol.fold(data, number)
        train, test = identity(fold.X_train), identity(fold.X_test)
        assert sorted([*train, *test]) == list(range(50)) and len(train) == 40
        assert (fold.y_test == "ill").sum() == 2  # 10 of 50
        assert [name.startswith("train[") for name in names] == [i < 30 for i in test]
        assert names == [f"train[{i}]" if i < 30 else f"test[{i - 30}]" for i in test]
        assert fold.name == "demo" and fold.modality == data.modality


def test_folds_are_the_same_every_time_and_those_of_scikit_learn():
    from sklearn.model_selection import StratifiedKFold as Reference

    data = series()
    cuts = StratifiedKFold(folds=4, repeats=2).cut(data)
    y = np.concatenate([data.y_train, data.y_test])
    wanted = [cut for seed in (0, 1) for cut in Reference(4, shuffle=True, random_state=seed).split(y, y)]
    for (train, test), (train_wanted, test_wanted) in zip(cuts, wanted, strict=True):
        np.testing.assert_array_equal(train, train_wanted)
        np.testing.assert_array_equal(test, test_wanted)


def test_a_group_is_never_parted():
    groups = np.array([f"p{i // 3}" for i in range(50)])
    data = series(groups=groups)
    for number in range(6):
        fold, _ = StratifiedKFold(folds=3, repeats=2).fold(data, number)
        assert not set(fold.groups_train) & set(fold.groups_test)
        assert set(fold.groups_train) | set(fold.groups_test) == set(groups)


def test_the_published_test_part_stays_closed_where_asked():
    data = series()
    protocol = StratifiedKFold(folds=5, pool="train")
    for number in range(5):
        fold, names = protocol.fold(data, number)
        assert max(identity(fold.X_train) + identity(fold.X_test)) < 30
        assert all(name.startswith("train[") for name in names)


def test_the_official_split_is_the_data_set_itself():
    data = series()
    fold, names = Official().fold(data, 0)
    assert fold is data and names == [f"test[{i}]" for i in range(20)]
    assert [list(map(len, cut)) for cut in Official().cut(data)] == [[30, 20]]


def test_samples_are_called_what_the_data_call_them():
    named = pd.DataFrame({"age": [1.0, 2.0]}, index=pd.Index(["anna", "ben"], name="patient"))
    other = pd.DataFrame({"age": [3.0]}, index=pd.Index(["carl"], name="patient"))
    data = Dataset(named, np.array([0, 1]), other, np.array([1]), "t", "tabular")
    assert data.sample_names() == ["anna", "ben", "carl"]
    assert data.pooled().X.index.tolist() == ["anna", "ben", "carl"]
    frames = series(frame=True)
    assert frames.sample_names()[:2] == ["train[0]", "train[1]"] and frames.sample_names()[30] == "test[0]"
    pool = frames.pooled().X
    assert pool.index.names == ["stay", "hour"] and len(pool) == 50 * 6
    two = as_frame(np.zeros((2, 2, 3)))
    two.index = pd.MultiIndex.from_tuples([("p", stay, hour) for stay, hour in two.index], names=["patient", *"sh"])
    data = Dataset(two, np.array([0, 1]), two, np.array([0, 1]), "d")
    assert data.sample_names()[0] == 'train[["p", "0"]]'
    assert data.pooled().X.index.get_level_values(0).unique().tolist() == ["p"]  # groups stay


def test_categories_and_lengths_of_both_parts_are_joined():
    tables = [pd.DataFrame({"sex": pd.Categorical(list(values))}) for values in ("mf", "mx")]
    data = Dataset(tables[0], np.array([0, 1]), tables[1], np.array([0, 1]), "t", "tabular")
    assert data.pooled().X["sex"].tolist() == ["m", "f", "m", "x"]
    assert isinstance(data.pooled().X["sex"].dtype, pd.CategoricalDtype)
    data = Dataset(np.zeros((2, 1, 3)), np.array([0, 1]), np.ones((1, 1, 5)), np.array([0]), "s")
    assert data.pooled().X.shape == (3, 1, 5) and np.isnan(data.pooled().X[:2, 0, 3:]).all()
    with pytest.raises(ValueError, match="1 samples of 's' are in both parts of a fold, such as row 1"):
        data.fold(np.array([0, 1]), np.array([1, 2]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"folds": 1}, "folds must be at least 2; got 1"),
        ({"folds": 2.5}, "folds must be a whole number"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"pool": "test"}, "pool='test' is unknown; use 'all' or 'train'"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        StratifiedKFold(**parameters)


def test_data_that_cannot_be_cut_are_refused():
    with pytest.raises(ValueError, match="has at most 40 samples of a class, too few for folds=41"):
        StratifiedKFold(41).cut(series())
    with pytest.raises(ValueError, match="has 2 groups, too few for folds=3: a group is never parted"):
        StratifiedKFold(3).cut(series(groups=np.arange(50) % 2))
    bare = dataclasses.replace(series(), y_train=None, y_test=None)
    with pytest.raises(ValueError, match="'demo' has no labels to stratify its folds by"):
        StratifiedKFold(3).cut(bare)


def test_it_is_a_family_of_parts():
    built = splits.build(FIVE_BY_TWO)
    assert built == StratifiedKFold(5, 2) and splits.build(to_config(built)) == built
    names = {"official", "stratified_kfold", "stratified_group_kfold", "leave_one_group_out", "temporal", "holdout"}
    assert set(splits) == names


# --- in a benchmark --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    data = write_data(tmp_path_factory.mktemp("data"))
    return Benchmark(
        name="folded",
        datasets=["toy", "table"],
        methods=["raw", TS2VEC],
        corruptions=["mcar"],
        severities=[0.2, 0.4],
        label_noise=["symmetric"],
        label_noise_rates=[0.25],
        label_fractions=[0.5, 1.0],
        pretrain_on="clean",
        controls="none",
        probes=["knn"],
        split={"stratified_kfold": {"folds": 2, "repeats": 2}},
        data_dir=str(data),
    )


def test_the_grid_has_every_fold_and_a_model_for_each(folded):
    cells = folded.cells()
    assert {cell.fold for cell in cells} == {0, 1, 2, 3}
    official = dataclasses.replace(folded, split="official").cells()
    assert len(cells) == 4 * len(official)
    assert len({cell.pretrain_key for cell in cells}) == 4 * len({cell.pretrain_key for cell in official})
    assert not {cell.key for cell in cells} & {cell.key for cell in official}
    assert not {"split", "fold"} & set(official[0].spec)
    assert cells[0].spec["split"] == {"stratified_kfold": {"folds": 2, "repeats": 2, "pool": "all"}}
    assert "split" in cells[0].code and "split" not in official[0].code


def test_a_run_stores_the_fold_of_each_cell(folded, tmp_path):
    frame = go(dataclasses.replace(folded, methods=["raw"], datasets=["toy"]), tmp_path)
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    assert set(frame["split"]) == {"stratified_kfold(folds=2, repeats=2)"}
    assert frame["fold"].value_counts().tolist() == [5] * 4
    assert frame.loc[frame["severity"] == 0.4, "realised_missing_test"].unique().tolist() == [round(0.4 * 192) / 192]
    embedded = dataclasses.replace(folded, methods=["raw"], datasets=["toy"]).embeddings(tmp_path / "cache")
    (z, y) = next(iter(embedded.values()))
    assert len(z) == len(y) == 16


def test_masks_are_of_the_fold_shared_by_methods_and_nested(folded, tmp_path):
    masks = {}
    for cell in folded.cells():
        if cell.modality == "time_series" and cell.corruption is not None:
            chain = Chain(cell, folded.data_dir, tmp_path)
            for part in ("train", "test"):
                X = chain.data(part, cell.corruption_of(part)).X
                mask = np.isnan(X)
                key = (cell.fold, part, cell.severity)
                np.testing.assert_array_equal(masks.setdefault(key, mask), mask)
    for fold in range(4):
        for part in ("train", "test"):
            assert not (masks[fold, part, 0.2] & ~masks[fold, part, 0.4]).any()
    assert (masks[0, "train", 0.4] != masks[1, "train", 0.4]).any()


def test_what_a_fold_tests_does_not_reach_what_it_learns(folded, tmp_path):
    """The test rows of a fold are poisoned; the model and the training embedding stay to the bit."""
    cell = next(cell for cell in folded.cells() if "ts2vec" in str(cell.method) and cell.severity == 0)
    clean, poisoned = (Chain(cell, folded.data_dir, tmp_path / name) for name in ("a", "b"))
    poisoned.dataset = dataclasses.replace(poisoned.dataset, X_test=np.full_like(poisoned.dataset.X_test, 1e3))
    for chain in (clean, poisoned):
        chain.model()
    z = [chain.embedding(cell, "train").z for chain in (clean, poisoned)]
    np.testing.assert_array_equal(*z)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("stratified_kfolds", "did you mean 'stratified_kfold'"),
        ({"stratified_kfold": {"fold": 3}}, "did you mean 'folds'"),
        ({"stratified_kfold": {"folds": 17}}, "too few for folds=17"),
        (5, "split must be the name of a split"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(folded, split, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(folded, split=split).cells()


def test_a_corruption_that_needs_groups_is_refused_where_there_are_none(folded, monkeypatch):
    from kinview.evaluation.corruptions.mcar import MCAR

    monkeypatch.setattr(MCAR, "needs", frozenset({"groups"}))
    with pytest.raises(ValueError, match="mcar cannot be applied to the data set 'Toy': it goes by the group"):
        folded.cells()


def test_blocks_run_on_series_and_tables_without_them_are_named(folded, tmp_path, capsys):
    benchmark = dataclasses.replace(folded, corruptions=["mcar", {"block": {"length": 3}}], methods=["raw"])
    assert {(cell.modality, str(cell.corruption)[:8]) for cell in benchmark.cells()} == {
        ("time_series", "None"), ("time_series", "mcar"), ("time_series", "{'block'"), ("tabular", "None"),
        ("tabular", "mcar"),
    }  # fmt: skip
    assert benchmark.left_out() == ["block(length=3) on tables: it is a corruption of time series"]
    frame = run(dataclasses.replace(benchmark, seeds=[0]), f"{tmp_path}/r.db", cache_dir=tmp_path / "c")
    assert "not in the grid: block(length=3) on tables" in capsys.readouterr().err
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    blocks = frame[frame["corruption"] == "block(length=3)"]
    assert blocks.loc[blocks["severity"] == 0.2, "realised_missing_train"].unique().tolist() == [round(0.2 * 192) / 192]


def test_thresholds_of_the_training_part_reach_the_test_part(folded, tmp_path, monkeypatch):
    from kinview.evaluation.corruptions.mcar import MCAR

    seen = []

    def learned(self, cells, generator):
        seen.append(int(cells.observed.sum()))
        return "learned"

    def remove(self, cells, generator):
        assert cells.learned == "learned" and cells.values is not None and cells.y is not None
        return np.zeros_like(cells.observed)

    monkeypatch.setattr(MCAR, "needs", frozenset({"values", "y"}))
    monkeypatch.setattr(MCAR, "fit", learned)
    monkeypatch.setattr(MCAR, "remove", remove)
    cell = next(cell for cell in folded.cells() if cell.severity == 0.4)
    chain = Chain(cell, folded.data_dir, tmp_path)
    for part in ("test", "train"):
        chain.data(part, cell.corruption_of(part))
    assert seen == [int(np.isfinite(np.asarray(chain.dataset.X_train, dtype=float)).sum())]


def test_the_packages_own_sets_can_be_cut():
    for name in ("gunpoint", "wine", "breast_cancer"):
        data = kinview.load(name)
        fold, names = StratifiedKFold(5).fold(data, 4)
        assert sum(fold.sizes) == sum(data.sizes) and len(names) == fold.sizes[1] == len(set(names))
