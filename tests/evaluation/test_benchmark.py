"""The benchmark: its plan, its steps, and that nothing is lost, leaked or computed twice."""

import dataclasses
import importlib
import shutil
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch

import kinview
from helpers import SIZES
from kinview.configs import config_names, config_path, read_config
from kinview.evaluation import Benchmark, Store, run
from kinview.evaluation.benchmark import part_label, scoring, steps
from kinview.evaluation.benchmark.grid import SourceSet
from kinview.evaluation.benchmark.steps import Chain
from kinview.files import parse_tensors
from kinview.methods import RawFeatures
from kinview.own_parts import OwnParts

TS2VEC = {"ts2vec": {**SIZES["ts2vec"], "trainer": {"max_steps": 3}}}
SCARF = {"scarf": {"trainer": {"max_steps": 3}}}
NUMBERS = ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "realised_missing_train", "realised_noise"]


def write_data(folder: Path, *, poison: float | None = None) -> Path:
    """One set of series in UCR layout, where ``poison`` overwrites the test values; and one table."""
    random = np.random.default_rng(0)
    for part in ("TRAIN", "TEST"):
        labels = np.repeat([1, 2], 8)
        values = random.normal(size=(16, 12)) + labels[:, None] * np.sin(np.arange(12))
        if part == "TEST" and poison is not None:
            values[:] = poison
        path = folder / "Toy" / f"Toy_{part}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(np.column_stack([labels, values])).to_csv(path, sep="\t", header=False, index=False)
    label = np.repeat(["ill", "well"], 12)
    table = pd.DataFrame({f"x{j}": random.normal(size=24) + (label == "ill") for j in range(4)})
    (folder / "table").mkdir(exist_ok=True)
    table.assign(y=label).to_csv(folder / "table" / "table.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return str(write_data(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def tiny(data) -> Benchmark:
    return Benchmark(
        name="tiny",
        datasets=["toy", "table"],
        methods=["raw", TS2VEC, SCARF],
        corruptions=["mcar"],
        severities=[0.2, 0.4],
        label_noise=["symmetric"],
        label_noise_rates=[0.25],
        pretrain_on="clean",
        controls="none",
        probes=["knn"],
        data_dir=data,
    )


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory) -> tuple[pd.DataFrame, Path]:
    """Results of an uninterrupted run of the tiny benchmark, and the folder of its store and cache: only to be read."""
    folder = tmp_path_factory.mktemp("finished")
    return go(tiny, folder), folder


@pytest.fixture
def small(tiny) -> Benchmark:
    return dataclasses.replace(tiny, methods=["raw"], datasets=["table"], severities=[0.2])


def tensors_of(content: bytes) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in parse_tensors(content, "a file of the cache")[0].items()}


def go(benchmark: Benchmark, folder: Path, **options) -> pd.DataFrame:
    return run(benchmark, f"{folder}/results.db", cache_dir=folder / "cache", progress=False, **options)


def chain_of(cell, folder: Path, data: str) -> Chain:
    return Chain(cell, data, folder / "cache")


def test_quickstart_is_the_published_grid():
    benchmark = Benchmark.from_yaml("quickstart")
    cells = benchmark.cells()
    # 4 data sets x (raw, random_init, one learned method) x 3 seeds x (clean, 2 severities, 2 noise rates) x 3 probes,
    # and of the 2 sets of series minirocket with ridge
    assert len(cells) == len({cell.key for cell in cells}) == 4 * 3 * 3 * 5 * 3 + 2 * 3 * 5
    assert len({cell.pretrain_key for cell in cells}) == 4 * 3 * 3 + 2 * 3
    assert {part_label(cell.probe) for cell in cells if part_label(cell.method) == "minirocket"} == {"ridge"}
    assert (benchmark.threads, benchmark.workers, benchmark.pretrain_on) == (1, 2, "clean")
    assert {part_label(cell.method) for cell in cells if cell.modality == "tabular"} == {"raw", "random_init", "scarf"}


def test_every_cell_has_a_result_and_the_rates_are_exact(tiny, finished):
    frame, _ = finished
    assert frame["hash"].tolist() == [cell.key for cell in tiny.cells()]
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    assert frame[NUMBERS].notna().all(axis=None)
    toy = frame[(frame["dataset"] == frame["dataset"][0]) & (frame["modality"] == "time_series")]
    assert toy["realised_missing_train"].unique().tolist() == [0.0, round(0.2 * 192) / 192, round(0.4 * 192) / 192]
    assert toy["realised_noise"].unique().tolist() == [0.0, 0.25]
    assert (frame["realised_missing_train"] > 0).equals(frame["corruption"] == "mcar")


def test_second_run_computes_nothing_even_without_the_cache(tiny, finished, tmp_path, monkeypatch):
    first, folder = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(steps, "run_chain", lambda *_, **__: pytest.fail("something was computed again"))
    pd.testing.assert_frame_equal(go(tiny, tmp_path), first)
    assert not list((tmp_path / "cache").iterdir())
    assert set(first["attempts"]) == {1}


def test_other_seed_other_table(tiny, finished, tmp_path):
    one = finished[0]
    two = go(dataclasses.replace(tiny, seeds=[1]), tmp_path)
    assert not set(one["hash"]) & set(two["hash"])
    for method in one["method"].unique():
        assert (one.loc[one["method"] == method, "accuracy"] != two.loc[two["method"] == method, "accuracy"]).any()


def test_new_seed_adds_cells_and_keeps_the_old_ones(small, tmp_path):
    first = go(small, tmp_path)
    both = go(dataclasses.replace(small, seeds=[0, 1]), tmp_path)
    assert len(both) == 2 * len(first)
    kept = both[both["hash"].isin(first["hash"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, first)


@pytest.mark.slow
def test_workers_do_not_change_a_number(tiny, finished, tmp_path):
    threads = torch.get_num_threads()
    one, two = finished[0], go(tiny, tmp_path, workers=2)
    pd.testing.assert_frame_equal(one[["hash", *NUMBERS]], two[["hash", *NUMBERS]], check_exact=True)
    assert torch.get_num_threads() == threads


def test_threads_are_refused_as_workers(small, tmp_path):
    with joblib.parallel_config(backend="threading"), pytest.raises(ValueError, match="cannot run in threads"):
        go(dataclasses.replace(small, seeds=[0, 1, 2]), tmp_path, workers=2)


def test_interrupted_run_continues_where_it_stopped(tiny, finished, tmp_path, monkeypatch):
    add = Store.add
    for stop in (3, 1, 5):
        written: list[str] = []

        def add_some(self, key, row, *, benchmark=None, predictions=None, written=written, stop=stop):
            if len(written) == stop:
                raise KeyboardInterrupt
            add(self, key, row, benchmark=benchmark, predictions=predictions)
            written.append(key)

        monkeypatch.setattr(Store, "add", add_some)
        with pytest.raises(KeyboardInterrupt):
            go(tiny, tmp_path)
    monkeypatch.setattr(Store, "add", add)
    assert len(Store(f"{tmp_path}/results.db").frame()) == 9
    resumed = go(tiny, tmp_path)
    pd.testing.assert_frame_equal(resumed[["hash", *NUMBERS]], finished[0][["hash", *NUMBERS]], check_exact=True)
    assert set(resumed["attempts"]) == {1}


def test_damaged_artefacts_are_made_again(tiny, finished, tmp_path):
    first, folder = finished
    shutil.copytree(folder / "cache", tmp_path / "cache")
    files = sorted((tmp_path / "cache").rglob("*.safetensors"))
    assert len(files) > 20
    before = {path: path.read_bytes() for path in files}
    for i, path in enumerate(files):
        content = bytearray(before[path])
        content[-1] ^= 1  # the last byte of the tensors
        path.write_bytes(bytes(content) if i % 3 == 0 else content[: len(content) // 2] if i % 3 == 1 else b"")
    again = go(tiny, tmp_path)
    pd.testing.assert_frame_equal(again[["hash", *NUMBERS]], first[["hash", *NUMBERS]], check_exact=True)
    for path in files:
        one, other = tensors_of(path.read_bytes()), tensors_of(before[path])
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def test_damaged_checkpoint_does_not_stop_the_training(tiny, tmp_path):
    clean = Benchmark("t", ["toy"], [TS2VEC], controls="none", data_dir=tiny.data_dir)
    (cell,) = clean.cells()
    folder = tmp_path / "cache" / "checkpoints" / cell.pretrain_key
    folder.mkdir(parents=True)
    for name in ("checkpoint.safetensors", "garbage"):
        (folder / name).write_bytes(b"not a checkpoint")
    frame = go(clean, tmp_path)
    assert frame["status"].tolist() == ["ok"]
    assert not folder.exists()


def test_failed_cells_are_recorded_and_tried_again(tiny, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(RawFeatures, "fit", lambda *_, **__: (_ for _ in ()).throw(ArithmeticError("loss is not finite")))
        frame = go(tiny, tmp_path)
    failed = frame["status"] == "failed"
    assert failed.equals(frame["method"] == "raw")
    assert set(frame.loc[failed, "message"]) == {"ArithmeticError: loss is not finite"}
    assert frame.loc[failed, NUMBERS[:5]].isna().all(axis=None)
    frame = go(tiny, tmp_path, retry_failed=True)
    assert set(frame["status"]) == {"ok"}
    assert frame["attempts"].tolist() == [2 if again else 1 for again in failed]


def test_masks_are_shared_by_methods_and_nested_over_severities(tiny, data, tmp_path):
    masks: dict[tuple, list] = {}
    for cell in tiny.cells():
        chain = chain_of(cell, tmp_path, data)
        for part in ("train", "test"):
            corrupted = chain.data(part, cell.corruption_of(part)).X
            masks.setdefault((cell.dataset, part, cell.severity), []).append(np.asarray(pd.isna(corrupted)))
    for (dataset, part, severity), found in masks.items():
        assert all(np.array_equal(mask, found[0]) for mask in found)
        assert found[0].sum() == round(severity * found[0].size)
        if severity == 0.4:
            assert not (masks[dataset, part, 0.2][0] & ~found[0]).any()
    masked = {key[1]: found[0] for key, found in masks.items() if key[2] == 0.4 and found[0].shape == (16, 1, 12)}
    assert not np.array_equal(masked["train"], masked["test"])


@pytest.mark.parametrize("corrupt", ["train", "test", "both"])
def test_corruption_is_applied_to_the_parts_that_are_named(small, tmp_path, corrupt):
    frame = go(dataclasses.replace(small, corrupt=corrupt), tmp_path).query("corruption == 'mcar'")
    assert (frame["realised_missing_train"] > 0).all() == (corrupt != "test")
    assert (frame["realised_missing_test"] > 0).all() == (corrupt != "train")
    assert set(frame["corrupt"]) == {corrupt}


def test_label_noise_is_in_training_labels_only(tiny, data, finished, monkeypatch):
    scored = []
    evaluate = scoring.evaluate
    monkeypatch.setattr(scoring, "evaluate", lambda y, *rest: scored.append(y) or evaluate(y, *rest))
    cells = [cell for cell in tiny.cells() if cell.label_noise is not None]
    assert {cell.label_noise_rate for cell in cells} == {0.25}
    for cell in cells:
        chain = chain_of(cell, finished[1], data)
        clean = np.asarray(chain.dataset.y_train)
        rows, labels = chain._training_labels(cell)
        assert np.array_equal(rows, np.arange(len(clean)))
        assert (labels.y != clean).sum() == round(0.25 * len(clean)) == labels.flipped.sum()
        row = chain.probe(cell)
        assert row["realised_transition"] == {
            "classes": [str(one) for one in np.unique(clean)],
            "counts": [
                [int(((clean == a) & (labels.y == b)).sum()) for b in np.unique(clean)] for a in np.unique(clean)
            ],
        }
        assert (row["labelled_samples"], row["labelled_groups"]) == (len(clean), None)
        assert np.array_equal(scored.pop(), chain.dataset.y_test)
        assert np.array_equal(chain.dataset.y_train, clean)


def test_label_fractions_are_nested_and_hold_every_class(tiny, data, tmp_path):
    benchmark = Benchmark("few", ["table"], ["raw"], label_fractions=[0.1, 0.5], controls="none", data_dir=data)
    found = {}
    for cell in benchmark.cells():
        chain = chain_of(cell, tmp_path, data)
        rows, labels = chain._training_labels(cell)
        found[cell.label_fraction] = set(rows.tolist())
        assert set(labels.y) == {"ill", "well"}
    assert found[0.1] < found[0.5] < found[1.0]
    assert go(benchmark, tmp_path)["status"].tolist() == ["ok"] * 3


@pytest.mark.parametrize("pretrain_on", ["clean", "corrupted"])
def test_test_rows_do_not_reach_the_fitted_model(tiny, tmp_path, pretrain_on):
    found = []
    for poison in (None, 1e6):
        folder = write_data(tmp_path / f"poison {poison}", poison=poison)
        series = dataclasses.replace(tiny, datasets=["toy"], methods=["raw", TS2VEC], data_dir=str(folder))
        benchmark = dataclasses.replace(series, pretrain_on=pretrain_on)
        go(benchmark, tmp_path)
        artefacts, tests = [], []
        for cell in benchmark.cells():
            model, *embedded = (
                tensors_of((tmp_path / "cache" / kind / f"{key}.safetensors").read_bytes())
                for kind, key in (
                    ("models", cell.pretrain_key),
                    ("embeddings", cell.embed_key("train")),
                    ("embeddings", cell.embed_key("test")),
                )
            )
            artefacts.append(model | embedded[0])
            tests.append(embedded[1]["z"])
        found.append((artefacts, tests))
    (clean, clean_test), (poisoned, poisoned_test) = found
    assert len(clean) == len(poisoned) == 8
    for one, other in zip(clean, poisoned, strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
    assert not any(np.array_equal(one, other) for one, other in zip(clean_test, poisoned_test, strict=True))


def test_pretraining_on_corrupted_data_shares_the_clean_models(tiny):
    def models(**changes):
        cells = dataclasses.replace(tiny, datasets=["toy"], methods=[TS2VEC], **changes).cells()
        return {cell.pretrain_key: cell.pretrain_corruption for cell in cells}

    clean = models(pretrain_on="clean")
    corrupted = models(pretrain_on="corrupted")
    assert list(clean.values()) == [None]
    assert set(corrupted.values()) == {None, ("mcar", 0.2), ("mcar", 0.4)}
    assert set(clean) < set(corrupted)
    assert models(pretrain_on="corrupted", corrupt="test") == clean


def test_equal_work_has_one_key_however_it_is_written(tiny):
    other = dataclasses.replace(
        tiny,
        name="other",
        methods=["raw", {"scarf": {"temperature": 1.0, **SCARF["scarf"]}}, TS2VEC],
        severities=[0.4, 0.0, 0.2, 0.2],
        workers=2,
    )
    assert {cell.key for cell in other.cells()} == {cell.key for cell in tiny.cells()}


def test_everything_that_determines_a_result_is_in_its_key(tiny):
    cell = tiny.cells()[-1]
    changes = {
        "dataset": "other",
        "fingerprint": "0",
        "modality": "tabular?",
        "method": "raw",
        "corruption": {"mcar": {"mode": "timestep"}},
        "severity": 0.3,
        "severity_test": 0.1,
        "embedding_metrics": True,
        "corrupt": "test",
        "pretrain_on": "corrupted",
        "label_noise": {"symmetric": {"inclusive": True}},
        "label_noise_rate": 0.3,
        "label_fraction": 0.5,
        "probe": "xgboost",
        "seed": 7,
        "environment": {**cell.environment, "threads": 7},
        "code": {**cell.code, "method": "0"},
        "split": {"stratified_kfold": {"folds": 3}},
        "fold": 1,
        "static_to": {"probe": ["age"]},
        "sources": (SourceSet("other", "{}", "0", ""),),
    }
    by_others = {"dataset_options": '{"drop": ["x"]}', "fits_labels": True}  # the fingerprint; the method and its code
    by_others |= {"imports": (OwnParts("own", "own.py", "0"),)}  # the code of its parts
    by_others |= {"is_control": True, "own_probe": True}  # what the benchmark calls it changes no number
    assert set(changes) == {field.name for field in dataclasses.fields(cell)} - set(by_others)
    assert {dataclasses.replace(cell, **{name: value}).key for name, value in by_others.items()} == {cell.key}
    keys = {cell.key} | {dataclasses.replace(cell, **{name: value}).key for name, value in changes.items()}
    assert len(keys) == 1 + len(changes)
    assert set(cell.environment) == {"threads", "device", "precision", "versions"}
    assert set(cell.environment["versions"]) == {"torch", "scikit-learn", "xgboost", "numpy"}


def test_crossed_grid_is_the_full_product(tiny):
    series = dataclasses.replace(tiny, datasets=["toy"], methods=["raw"], label_fractions=[0.5, 1.0])
    alone, crossed = (dataclasses.replace(series, crossed=crossed).cells() for crossed in (False, True))
    assert len(alone) == 1 + 2 + 1 + 1
    assert len(crossed) == 3 * 2 * 2
    assert {cell.key for cell in alone} < {cell.key for cell in crossed}


def test_embeddings_of_the_clean_test_set(tiny, finished, tmp_path):
    frame, folder = finished
    found = tiny.embeddings(folder / "cache")
    assert set(found) == set(zip(frame["dataset"], frame["method"], strict=True))
    for (dataset, method), (z, y) in found.items():
        assert len(z) == len(y)
        if method.startswith("ts2vec"):
            assert z.shape == (16, 4), dataset
    assert tiny.embeddings(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sverities": [0.2]}, "no key 'sverities'; did you mean 'severities'"),
        ({"probes": "linear"}, r"probes must be a list, \[linear\]"),
        ({"datasets": []}, "datasets must be a list with at least one entry"),
        ({"seeds": [0.5]}, r"seeds\[0\] must be a whole number; got 0\.5"),
        ({"seeds": [0, True]}, r"seeds\[1\] must be a whole number; got True"),
        ({"seeds": [1, 0, 1]}, "seeds must be different seeds"),
        ({"datasets": [{"iris": {}, "wine": {}}]}, "datasets must be a list of names, or of {name: {option: value}}"),
        ({"datasets": [{"iris": ["ID"]}]}, "datasets must be a list of names, or of"),
        ({"datasets": [{"iris": {"data_dir": "x"}}]}, "datasets must be a list of names, or of"),
        ({"datasets": ["iris", {"iris": {"test_fraction": 0.5}}]}, "datasets must be different names"),
        ({"severities": [20]}, "severities must be numbers from 0 to 0.99"),
        ({"label_fractions": [0]}, "label_fractions must be numbers"),
        ({"corrupt": "all"}, "corrupt must be one of train, test, both, or a list of these, each once; got 'all'"),
        ({"crossed": "yes"}, "crossed must be true or false"),
        ({"workers": 0}, "workers must be at least 1; got 0"),
        ({"label_noise": []}, "label_noise_rates do nothing without label_noise"),
        ({"device": None}, "device must be a text"),
    ],
)
def test_config_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Benchmark.from_yaml("quickstart", **change)


def test_options_of_a_data_set_reach_its_reader_and_every_key(small, tmp_path):
    plain = dataclasses.replace(small, datasets=["table"], methods=["raw"], label_noise=[], label_noise_rates=[])
    dropped = dataclasses.replace(plain, datasets=[{"table": {"drop": ["x0"]}}], workers=2)
    assert {cell.key for cell in plain.cells()}.isdisjoint(cell.key for cell in dropped.cells())
    assert dataclasses.replace(plain, datasets=[{"table": None}]).cells()[0].key == plain.cells()[0].key
    frame = go(dropped, tmp_path)
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    assert set(frame["dataset"]) == {"table"}
    z, y = dropped.embeddings(tmp_path / "cache")["table", "raw"]
    assert z.shape == (len(y), 3)


def test_a_method_whose_views_need_more_channels_has_no_cells_and_no_control_of_its_own(tiny):
    grid = dataclasses.replace(tiny, datasets=["toy"], methods=["cmlc", "cmsc"], controls="default")
    assert {cell.method_label for cell in grid.cells() if not cell.is_control} == {"cmsc"}
    assert grid.left_out() == [
        "cmlc on Toy: its views need at least 2 channels, and the data set has 1",
    ]
    alone = dataclasses.replace(grid, methods=["cmlc"])
    with pytest.raises(
        ValueError, match="none of the methods can be fitted on the data set 'toy': cmlc: its views need"
    ):
        alone.cells()


def test_data_without_a_label_for_every_sample_are_refused(tmp_path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "half.csv").write_text("a,y\n" + "".join(f"{i / 2},{i % 2 or ''}\n" for i in range(20)))
    with pytest.raises(ValueError, match="the label of half is missing for"):
        Benchmark("b", ["half"], ["raw"], controls="none", data_dir=str(tmp_path)).cells()


def test_config_without_a_required_key_is_refused():
    with pytest.raises(ValueError, match="needs the key 'methods'"):
        Benchmark.from_config({"name": "x", "datasets": ["wine"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ["scraf"]}, "did you mean 'scarf'"),
        ({"methods": ["scarf"], "datasets": ["toy"]}, "'toy' is time_series, and none of the methods supports that"),
        ({"methods": [{"ts2vec": {"repr_dims": 3}}]}, "did you mean 'repr_dim'"),
        ({"methods": [{"scarf": {"trainer": {"device": "cuda"}}}]}, "the benchmark sets the trainer's device"),
        ({"corruptions": [{"mcar": {"rate": 0.1}}]}, "the benchmark's levels give the rate"),
        ({"probes": ["lineer"]}, "did you mean 'linear'"),
        ({"label_noise": ["symetric"]}, "did you mean 'symmetric'"),
    ],
)
def test_parts_are_checked_before_anything_runs(tiny, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        go(dataclasses.replace(tiny, **change), tmp_path)
    assert not list((tmp_path / "cache").iterdir())


def test_data_that_change_while_the_benchmark_runs_are_noticed(small, tmp_path):
    folder = write_data(tmp_path / "data")
    (cell, *_) = dataclasses.replace(small, data_dir=str(folder)).cells()
    table = pd.read_csv(folder / "table" / "table.csv")
    table.iloc[::-1].to_csv(folder / "table" / "table.csv", index=False)
    steps.load_dataset.cache_clear()
    with pytest.raises(ValueError, match="changed on disk"):
        Chain(cell, str(folder), tmp_path)


def test_configs_by_name_and_by_path(tmp_path):
    assert "quickstart" in config_names("benchmark")
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ndatasets: [wine]\nmethods: [raw]\n")
    assert config_path("benchmark", str(path)) == path
    assert Benchmark.from_yaml(path).name == "mine"
    with pytest.raises(ValueError, match="did you mean 'quickstart'"):
        config_path("benchmark", "quickstrat")


def test_a_learning_rate_in_a_study_is_a_number_however_it_is_written(data, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "{name: study, datasets: [toy], methods: [{ts2vec: {repr_dim: 4, hidden_dim: 4, depth: 1, dropout: 1e-1, "
        "trainer: {max_steps: 1, lr: 1e-3}}}], probes: [knn], seeds: [0], corruptions: [mcar], severities: [1e-1]}"
    )
    study = Benchmark.from_yaml(path, data_dir=data)
    assert study.methods[0]["ts2vec"]["trainer"]["lr"] == 0.001 and list(study.severities) == [0.1]
    frame = go(study, tmp_path)
    assert len(frame) == len(study.cells()) > 0 and frame["accuracy"].notna().all()


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "not readable as YAML"), ("- a", "must hold one mapping"), ("!!python/name:os.system", "YAML")],
)
def test_files_that_are_no_config_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_config("benchmark", str(path))


def test_configs_cannot_be_imported_through_the_link(monkeypatch):
    monkeypatch.syspath_prepend(Path(kinview.__file__).parent)
    with pytest.raises(ImportError, match="relative import"):
        importlib.import_module("configs")


def test_the_message_of_a_failed_cell_quotes_no_name(tmp_path, monkeypatch):
    from kinview.evaluation.probes.nearest_neighbour import NearestNeighbour

    folder = write_data(tmp_path) / "ward"
    folder.mkdir()
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    rows = rows.assign(stay=[f"stay-{i}" for i in range(40)], patient=[f"anna {i // 2}" for i in range(40)])
    rows.assign(died=np.arange(40) // 2 % 2).to_csv(folder / "ward.csv", index=False)

    def fails(self, *args, **kwargs):
        raise ValueError("k=3 is wrong for 'anna 7', \"stay-3\" and 'anna' (stay-5: 7)")

    monkeypatch.setattr(NearestNeighbour, "fit", fails)
    benchmark = Benchmark(
        name="m", datasets=[{"ward": {"label": "died", "group": "patient", "index": "stay"}}], methods=["raw"],
        probes=["knn"], controls="none", data_dir=str(tmp_path),
    )  # fmt: skip
    frame = run(benchmark, f"{tmp_path}/r.db", cache_dir=tmp_path / "c", progress=False)
    assert frame["message"].tolist() == ["ValueError: k=3 is wrong for '...', '...' and 'anna' (...: 7)"] * len(frame)
