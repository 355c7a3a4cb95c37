"""What results hold beside the metrics of probes: clusters and neighbours of embeddings, and realised label noise."""

import json

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import kinview
from kinview.cli import main
from kinview.evaluation import (
    Benchmark,
    Store,
    clustering_agreement,
    embedding_metrics,
    recall_at_k,
    run,
    write_report,
)
from kinview.evaluation.report import Report
from kinview.evaluation.report.beside_metrics import embedding_tables
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.described import data_sets
from kinview.evaluation.report.markdown import render_markdown
from kinview.evaluation.report.sections import notices
from kinview.methods import methods


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    asked = Benchmark(
        name="beside", datasets=["iris", "diabetes"], methods=["raw", "pca"], controls="none", probes=["ridge", "lda"],
        embedding_metrics=True, label_noise=["pair_flip"], label_noise_rates=[0.3], seeds=[0, 1],
    )  # fmt: skip
    frame = run(asked, Store(f"sqlite:///{folder}/r.db"), cache_dir=folder, progress=False)
    return asked, frame, folder


def test_they_are_those_of_standardised_test_embeddings():
    rng = np.random.default_rng(0)
    y, groups = np.arange(60) % 3, np.arange(60) // 2
    train, test = (rng.normal(size=(60, 4)) * [1, 10, 100, 1] + y[:, None] for _ in range(2))
    found = embedding_metrics(train, test, y, groups=groups, seed=3)
    scaled = StandardScaler().fit(train).transform(test)
    assert found["recall_at_5"] == recall_at_k(scaled, y, k=5, groups=groups)
    assert {name: found[name] for name in ("nmi", "ari")} == clustering_agreement(scaled, y, seed=3)


def test_a_benchmark_measures_each_embedding_once_and_for_every_probe(measured):
    _, frame, _ = measured
    assert (frame["status"] == "ok").all()
    held = [json.loads(value).get("embedding") for value in frame["metrics"]]
    assert [one is None for one in held] == (frame["dataset"] == "diabetes").tolist()
    known = frame.assign(held=[json.dumps(one) for one in held])
    same = known[known["dataset"] == "iris"].groupby(["method", "seed"])["held"].nunique()
    assert (same == 1).all()  # of the probes, and of noise in labels that no method reads
    first = held[frame.index[(frame["dataset"] == "iris") & (frame["method"] == "raw")][0]]
    data = kinview.load("iris")
    model = methods.build("raw", for_modality="tabular").fit(data.X_train)
    expected = embedding_metrics(model.transform(data.X_train), model.transform(data.X_test), data.y_test, seed=[0])
    assert first == pytest.approx(expected)


def test_cells_without_them_keep_their_keys(measured):
    asked, _, _ = measured
    plain = Benchmark(name="plain", datasets=["iris"], methods=["raw"], controls="none")
    (cell,) = plain.cells()
    assert "embedding_metrics" not in cell.spec and all(cell.embedding_metrics for cell in asked.cells())
    with pytest.raises(ValueError, match="embedding_metrics must be true or false"):
        Benchmark(name="plain", datasets=["iris"], methods=["raw"], embedding_metrics="yes")


def test_the_report_shows_them_and_the_noise_once(measured, tmp_path):
    asked, frame, _ = measured
    results = read_results(frame)
    tables = embedding_tables(results)
    assert {table["dataset"] for table in tables} == {"iris"} and len(tables) == 2
    assert [row["method"] for row in tables[0]["rows"]] == ["pca", "raw"] and len(tables[0]["rows"][0]["cells"]) == 4
    page = write_report(frame, tmp_path / "page.html", benchmark=asked).read_text(encoding="utf-8")
    assert 'id="embedding-metrics"' in page and "Adjusted Rand index" in page
    assert page.count("Transition matrix, iris") == 1
    text = render_markdown(Report(frame))
    assert "## Clusters and neighbours\n\n### iris, clean" in text
    assert text.count("## Noise of the training labels, as realised") == 1


def test_numbers_are_no_classes_and_lack_no_cell(measured):
    """A regression set has no noise of labels and no accuracy by plan: nothing is missing of it."""
    _, frame, folder = measured
    results = read_results(frame)
    assert results.regressions == {"diabetes"}
    for metric in ("accuracy", "mae"):
        assert not [note for note in notices(results, metric) if "have no" in note]
    y = kinview.load("diabetes").y_test
    rows = {row["name"]: row["classes"] for row in data_sets(results, Store(f"sqlite:///{folder}/r.db").predictions())}
    assert rows["diabetes"] == f"numbers, {y.min():g} to {y.max():g}" and rows["iris"].startswith("0: ")


def test_results_without_them_have_no_tables(measured):
    _, frame, _ = measured
    bare = frame[frame["dataset"] == "diabetes"]
    assert embedding_tables(read_results(bare)) == [] == embedding_tables(read_results(bare.drop(columns="metrics")))


def test_the_command_line_says_them(tmp_path, capsys):
    data, model, file = kinview.load("iris"), tmp_path / "m.safetensors", tmp_path / "r.json"
    methods.build("raw", for_modality="tabular").fit(data.X_train).save(model)
    words = ["probe", "--model", str(model), "--embedding_metrics", "true"]
    main([*words, "--dataset", "iris", "--output", str(file)])
    told = capsys.readouterr().out
    assert "of the embeddings, without a probe:" in told and "Recall@5" in told
    held = json.loads(file.read_text(encoding="utf-8"))["embedding_metrics"]
    assert set(held) == {"nmi", "ari", "recall_at_1", "recall_at_5"}
    assert main([*words, "--dataset", "iris", "--task", "regression", "--probe", "ridge"]) != 0
    assert "embedding_metrics are of frozen embeddings and classes" in capsys.readouterr().err
