"""Pre-training on other data sets: what is learned there, where it is taken to, and what may not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kinview
from kinview.cli import main
from kinview.datasets import Dataset
from kinview.evaluation import Benchmark, Store, forecast
from kinview.evaluation.benchmark import steps, transfer
from kinview.evaluation.benchmark.batches import larger_batches
from kinview.evaluation.benchmark.runner import run
from kinview.evaluation.benchmark.shards import Shard, _chains_of
from kinview.evaluation.benchmark.steps import Chain
from kinview.evaluation.benchmark.transfer import _standardised
from kinview.methods import methods
from kinview.training import trainer
from kinview.training.checkpoint import load_checkpoint

STEPS = {"max_steps": 2, "batch_size": 8}
TS2VEC = {"ts2vec": {"hidden_dim": 4, "repr_dim": 4, "depth": 1, "trainer": STEPS}}
SCARF = {"scarf": {"hidden_dim": 4, "trainer": STEPS}}
FINETUNE = {"finetune": {"trainer": STEPS}}
SUPERVISED = {"supervised": {"method": TS2VEC}}
SOURCES = ["arrowhead", "chinatown_like"]


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path) -> Path:
    """Two more data sets of one channel, and others that cannot be taken along."""
    draw = np.random.default_rng(0)
    for name, rows in {"chinatown_like": 24, "other": 24}.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        X = 50 + 9 * draw.normal(size=(rows, 12)) + np.arange(rows)[:, None] % 2 * np.sin(np.arange(12)) * 20
        for part in ("TRAIN", "TEST"):
            table = np.column_stack([np.arange(rows) % 2, X if part == "TRAIN" else X + 1])
            np.savetxt(tmp_path / "data" / name / f"{name}_{part}.tsv", table, delimiter="\t", fmt="%.5f")
    return tmp_path / "data"


def benchmark(tmp_path: Path, **changes: Any) -> Benchmark:
    values: dict[str, Any] = {
        "datasets": ["gunpoint", "other"], "methods": [TS2VEC], "controls": ["raw"], "probes": ["linear"],
        "seeds": [0], "pretrain_on": {"datasets": SOURCES}, "data_dir": str(tmp_path / "data"), **changes,
    }  # fmt: skip
    return Benchmark("b", **values)


def test_the_model_is_that_of_the_sources_and_reads_the_target(tmp_path: Path) -> None:
    cells = [cell for cell in benchmark(tmp_path).cells() if cell.method != "raw"]
    assert [cell.dataset for cell in cells] == ["gunpoint", "other"]
    assert cells[0].source_key == cells[1].source_key and cells[0].pretrain_key != cells[1].pretrain_key
    chains = [Chain(cell, str(tmp_path / "data"), tmp_path / "cache") for cell in cells]
    found = [chain.model() for chain in chains]
    assert len(list((tmp_path / "cache" / "models").glob("*.safetensors"))) == 3  # one of the sources

    # by hand: each set scaled by itself, one training, weights kept, scaling of the target
    parts = [kinview.load("arrowhead"), kinview.load("chinatown_like", data_dir=tmp_path / "data")]
    scaled = [(p.X_train - np.nanmean(p.X_train)) / np.nanstd(p.X_train) for p in parts]
    length = max(X.shape[2] for X in scaled)
    pooled = np.concatenate(
        [np.pad(X, ((0, 0), (0, 0), (0, length - X.shape[2])), constant_values=np.nan) for X in scaled]
    )
    estimator = methods.build(TS2VEC).set_params(random_state=0)
    estimator.set_params(trainer={**STEPS, "device": "cpu", "progress": False})
    expected = estimator.fit(pooled).adapt(chains[0].dataset.X_train)
    test = chains[0].dataset.X_test
    np.testing.assert_allclose(found[0].transform(test), expected.transform(test), rtol=1e-5, atol=1e-6)
    weights = [dict(model.method_.named_parameters()) for model in found]
    assert all(np.array_equal(weights[0][name].detach(), weights[1][name].detach()) for name in weights[0])
    assert found[0].scaler_.mean != found[1].scaler_.mean


def test_results_name_the_sources_and_the_key_holds_their_content(tmp_path: Path) -> None:
    plan = benchmark(tmp_path, datasets=["gunpoint"], methods=[TS2VEC, SUPERVISED], probes=["linear", FINETUNE])
    frame = run(plan, f"sqlite:///{tmp_path}/r.db", cache_dir=tmp_path / "cache", progress=False)
    assert frame["status"].eq("ok").all()
    labels = sorted({label.partition(" pre-trained on ")[2] for label in frame["method"]})
    assert labels == ["", "arrowhead, chinatown_like"]
    own = {label for label in frame["method"] if " pre-trained on " not in label}
    assert len(own) == 2 and "raw" in own and any(label.startswith("supervised") for label in own)
    said = plan.left_out()
    assert any(line.startswith("supervised") and "pre-trained on other data sets: it" in line for line in said), said
    embedded = plan.embeddings(tmp_path / "cache")
    assert {method for _, method in embedded} <= set(frame["method"]) and len(embedded) == 2

    def keys(**changes: Any) -> tuple[str, ...]:
        cell = next(
            cell for cell in benchmark(tmp_path, datasets=["gunpoint"], **changes).cells() if cell.method != "raw"
        )
        return cell.key, cell.pretrain_key, cell.source_key if cell.sources else ""

    first = keys()
    assert keys(pretrain_on={"datasets": SOURCES[:1]})[:2] != first[:2] != keys(pretrain_on="corrupted")[:2]
    file = tmp_path / "data" / "chinatown_like" / "chinatown_like_TRAIN.tsv"
    file.write_text(file.read_text().replace("1.00000", "1.00001", 1).replace("5", "6", 1))
    changed = keys()
    assert all(one != other for one, other in zip(first, changed, strict=True))
    raw = [cell.key for cell in benchmark(tmp_path, datasets=["gunpoint"]).cells() if cell.method == "raw"]
    plain = benchmark(tmp_path, datasets=["gunpoint"], pretrain_on="corrupted")
    assert raw == [cell.key for cell in plain.cells() if cell.method == "raw"]


def test_a_name_does_not_hide_the_sources_and_steps_are_timed_under_the_label_of_cells(tmp_path: Path) -> None:
    named = [{"name": "mine", "method": TS2VEC}]
    plan = benchmark(tmp_path, datasets=["gunpoint"], methods=named, controls="none")
    url, cache = f"sqlite:///{tmp_path}/r.db", tmp_path / "cache"
    frame = run(plan, url, cache_dir=cache, progress=False)
    assert set(frame["method"]) == {"mine pre-trained on arrowhead, chinatown_like"}
    assert set(Store(url).steps()["method"]) == {plan.cells()[0].method_label} == set(Store(url).frame()["method"])
    more = forecast(benchmark(tmp_path, datasets=["gunpoint"], controls="none", seeds=[1]), Store(url), cache_dir=cache)
    assert more.timed == more.left
    own = benchmark(tmp_path, datasets=["gunpoint"], controls="none", pretrain_on="clean", seeds=[1])
    assert forecast(own, Store(url), cache_dir=cache).timed["pretrain"] == 0  # that is another training


def test_a_batch_is_compared_with_the_rows_of_the_sources(tmp_path: Path) -> None:
    large = {"ts2vec": {**TS2VEC["ts2vec"], "trainer": {"max_steps": 2, "batch_size": 55}}}  # gunpoint has 50 rows

    def said(methods: list[Any], **changes: Any) -> list[str]:
        plan = benchmark(tmp_path, datasets=["gunpoint"], methods=methods, controls="none", **changes)
        return larger_batches(plan, plan.cells())

    n = len(kinview.load("arrowhead").X_train) + 24
    assert 55 < n < 100 and said([large]) == []
    (line,) = said([{"ts2vec": {**large["ts2vec"], "trainer": {"batch_size": 100}}}])
    assert line.startswith(f"the sets arrowhead, chinatown_like together have {n} training rows, and every step takes")
    (line,) = said([large], pretrain_on="clean")
    assert line.startswith("gunpoint has 50 training rows, and every step takes all") and line.endswith("(55)")


def test_no_shard_fits_the_model_of_another_and_a_forecast_counts_it(tmp_path: Path) -> None:
    plan = benchmark(tmp_path, seeds=[0, 1])
    cells = plan.cells()
    chains, costs = _chains_of(cells, plan.data_dir)
    for of in (2, 3, 7):
        parts = [Shard(number, of).chains(chains, costs) for number in range(1, of + 1)]
        assert sorted(cell.key for part in parts for chain in part for cell in chain) == sorted(c.key for c in cells)
        fitted = [{cell.source_key for chain in part for cell in chain if cell.sources} for part in parts]
        assert sum(map(len, fitted)) == len(set().union(*fitted)) == 2
        assert max(map(len, fitted)) == 1  # the work is spread
    before = forecast(plan, None, cache_dir=tmp_path / "cache")
    assert before.lines()[0].startswith("2 source models (2 to compute), 8 models (8 to compute), 16 embeddings")
    store = Store(f"sqlite:///{tmp_path}/r.db")
    run(plan, store, cache_dir=tmp_path / "cache", progress=False)
    made = store.steps()
    assert {kind: n for kind, n in before.left.items() if kind != "probe"} == made["kind"].value_counts().to_dict()
    assert set(made["attempts"]) == {1} and (made["seconds"] > 0).all()
    assert set(forecast(plan, store, cache_dir=tmp_path / "cache").left.values()) == {0}


def test_training_on_the_sources_that_was_interrupted_goes_on_for_any_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = {**TS2VEC["ts2vec"], "trainer": {"max_steps": 2, "batch_size": 8, "checkpoint_every": 1}}
    plan = benchmark(tmp_path, methods=[{"ts2vec": trained}], controls="none")
    save, loaded = trainer.save_checkpoint, list[Path]()

    def killed(*given: Any) -> None:
        save(*given)
        raise KeyboardInterrupt

    def load(path: Path, *given: Any) -> None:
        loaded.append(path)
        load_checkpoint(path, *given)

    monkeypatch.setattr(trainer, "load_checkpoint", load)
    first, second = (Chain(cell, plan.data_dir, tmp_path / "killed") for cell in plan.cells())
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(trainer, "save_checkpoint", killed)
        first.model()
    resumed = second.model()
    assert [path.parent.name for path in loaded] == [first.cell.source_key]
    assert not (tmp_path / "killed" / "checkpoints" / first.cell.source_key).exists()
    first, second = (Chain(cell, plan.data_dir, tmp_path / "cache") for cell in plan.cells())
    folders = [chain._unfitted().trainer["checkpoint_dir"] for chain in (first, second)]
    assert folders[0] == folders[1] == str(tmp_path / "cache" / "checkpoints" / first.cell.source_key)
    # damaged checkpoints, which another chain has left, are put away and the training starts anew
    folder, fit, calls = Path(folders[0]), transfer._pooled, list[bool]()
    folder.mkdir(parents=True)

    def pooled(*given: Any) -> Any:
        calls.append(folder.is_dir())
        if folder.is_dir():
            raise ValueError("damaged")
        return fit(*given)

    monkeypatch.setattr(transfer, "_pooled", pooled)
    first.model()
    whole = second.model()
    assert calls == [True, False] and not folder.exists()
    test = second.dataset.X_test
    np.testing.assert_array_equal(resumed.transform(test), whole.transform(test))


def test_the_model_is_taken_to_the_corrupted_training_part(tmp_path: Path) -> None:
    plan = benchmark(
        tmp_path, datasets=["other"], controls="none", corruptions=["mcar"], severities=[0.4], corrupt="both"
    )
    clean, corrupted = plan.cells()
    assert clean.source_key == corrupted.source_key and clean.pretrain_key != corrupted.pretrain_key
    models = [Chain(cell, str(tmp_path / "data"), tmp_path / "cache").model() for cell in (clean, corrupted)]
    assert models[0].scaler_.mean != models[1].scaler_.mean


def test_test_samples_among_the_sources_are_refused_by_content(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"test samples of fold 0 of 'other' have the values of samples"):
        benchmark(
            tmp_path, datasets=["other"], pretrain_on={"datasets": ["other"]}, split={"stratified_kfold": {"folds": 3}}
        ).cells()
    benchmark(tmp_path, datasets=["other"], pretrain_on={"datasets": ["other"]}).cells()  # its test part is another
    folder = tmp_path / "data" / "renamed"
    folder.mkdir()
    for part, source in {"TRAIN": "TEST", "TEST": "TRAIN"}.items():
        (folder / f"renamed_{part}.tsv").write_text((tmp_path / "data" / "other" / f"other_{source}.tsv").read_text())
    with pytest.raises(ValueError, match=r"24 of 24 test samples of 'other' have the values .* part of 'renamed'"):
        benchmark(tmp_path, datasets=["other"], pretrain_on={"datasets": ["arrowhead", "renamed"]}).cells()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pretrain_on": {"datasets": ["basic_motions"]}},
            r"has 6 channel\(s\) and 'gunpoint' has 1",
        ),
        (
            {"pretrain_on": {"datasets": ["arrowhead", "basic_motions"]}},
            r"has 1 .* and 'basic_motions' has 6",
        ),
        ({"pretrain_on": {"datasets": ["iris"]}}, "'iris', which is tables, and 'gunpoint' is time series"),
        ({"datasets": ["iris"], "methods": [SCARF], "pretrain_on": {"datasets": ["wine"]}}, r"has 13 column\(s\) and"),
        ({"pretrain_on": {"datasets": []}}, "pretrain_on must be one of clean, corrupted, or"),
        ({"pretrain_on": {"sets": ["iris"]}}, "pretrain_on must be one of clean, corrupted, or"),
        ({"pretrain_on": "dirty"}, "pretrain_on must be one of clean, corrupted, or"),
        ({"pretrain_on": {"datasets": ["iris", "Iris"]}}, "pretrain_on names a data set twice"),
    ],
)
def test_what_cannot_be_taken_along_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        benchmark(tmp_path, **changes).cells()


def long_file(folder: Path, name: str, channels: list[str], start: int) -> dict[str, Any]:
    draw = np.random.default_rng(start)
    index = pd.MultiIndex.from_product([range(20), range(5)], names=["id", "t"])
    frame = pd.DataFrame(draw.normal(size=(100, len(channels))), index=index, columns=channels).reset_index()
    frame["y"] = frame["id"] % 2
    frame.to_csv(folder / f"{name}.csv", index=False)
    return {name: {"path": str(folder / f"{name}.csv"), "id": "id", "time": "t", "label": "y"}}


def test_named_channels_go_by_name_whatever_their_order(tmp_path: Path) -> None:
    one, other = long_file(tmp_path, "one", ["hr", "bp"], 1), long_file(tmp_path, "two", ["bp", "hr"], 2)
    plan = benchmark(tmp_path, datasets=[other], controls="none", pretrain_on={"datasets": [one]})
    (cell,) = plan.cells()
    chain = Chain(cell, None, tmp_path / "cache")
    model = chain.model()
    assert model.channels_ == ("hr", "bp")
    mean = chain.dataset.X_train[["hr", "bp"]].mean()
    np.testing.assert_allclose(model.scaler_.mean, mean, rtol=1e-6)
    assert chain.probe(cell)["status"] == "ok"
    both = benchmark(tmp_path, datasets=["gunpoint"], pretrain_on={"datasets": [one]})
    with pytest.raises(ValueError, match=r"'one' has names and time stamps of its own and 'gunpoint' has none"):
        both.cells()
    third = long_file(tmp_path, "three", ["hr", "spo2"], 3)
    with pytest.raises(ValueError, match=r"'one', .* and 'three' have other channels: only one of them has bp, spo2"):
        benchmark(tmp_path, datasets=[third], pretrain_on={"datasets": [one]}).cells()
    pooled = benchmark(tmp_path, datasets=[long_file(tmp_path, "four", ["hr", "bp"], 4)], controls="none",
                       pretrain_on={"datasets": [one, other]})  # fmt: skip
    (cell,) = pooled.cells()
    assert Chain(cell, None, tmp_path / "cache").probe(cell)["status"] == "ok"


def test_tables_of_the_same_columns_are_pre_trained_together(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    specs = []
    for name in ("a", "b"):
        table = pd.DataFrame(draw.normal(size=(40, 3)), columns=list("xyz"))
        table = table.assign(sex=np.where(draw.random(40) > 0.5, "f", "m"), sick=np.arange(40) % 2)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        specs.append({name: {"path": str(tmp_path / f"{name}.csv"), "label": "sick"}})
    plan = benchmark(
        tmp_path, datasets=specs[:1], methods=[SCARF], controls="none", pretrain_on={"datasets": specs[1:]}
    )
    (cell,) = plan.cells()
    chain = Chain(cell, None, tmp_path / "cache")
    source = steps.load_dataset("b", None, cell.sources[0].options)  # type: ignore[index]
    estimator = methods.build(SCARF).set_params(random_state=0)
    expected = estimator.set_params(trainer={**STEPS, "device": "cpu", "progress": False}).fit(source.X_train)
    test = chain.dataset.X_test
    np.testing.assert_allclose(chain.model().transform(test), expected.transform(test), rtol=1e-5, atol=1e-6)


def test_a_source_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    cell = next(cell for cell in benchmark(tmp_path).cells() if cell.method != "raw")
    file = tmp_path / "data" / "chinatown_like" / "chinatown_like_TRAIN.tsv"
    file.write_text(file.read_text().replace("5", "6"))
    steps.load_dataset.cache_clear()
    with pytest.raises(ValueError, match="'chinatown_like' changed on disk while the benchmark ran"):
        Chain(cell, str(tmp_path / "data"), tmp_path / "cache").model()


def test_a_study_names_them_relative_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = long_file(tmp_path, "one", ["hr", "bp"], 1), long_file(tmp_path, "two", ["bp", "hr"], 2)
    for spec in (one, other):
        ((name, options),) = spec.items()
        options["path"] = f"{name}.csv"
    from kinview.yaml_text import write_yaml

    config = {
        "name": "s", "datasets": [other], "pretrain_on": {"datasets": [one]}, "methods": [TS2VEC], "probes": ["linear"],
        "controls": "none",
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(write_yaml(config))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["bench", str(tmp_path / "study.yaml"), "--output_dir", "out"]) == 0
    frame = Store("sqlite:///out/results.db", create=False).frame()
    assert frame["method"].str.endswith("pre-trained on one").all() and frame["status"].eq("ok").all()
    assert isinstance(kinview.load("two", **{**other["two"], "path": tmp_path / "two.csv"}), Dataset)


def test_a_constant_channel_of_a_source_becomes_zero() -> None:
    X = np.stack([np.full((37, 9), 37.2), np.random.default_rng(0).normal(size=(37, 9))], axis=1)
    found = _standardised(X)
    assert (found[:, 0] == 0).all() and found[:, 1].std() == pytest.approx(1)
