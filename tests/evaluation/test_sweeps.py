"""Names and grids in a benchmark: what an entry stands for, that names change no result, and what is shown of them."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from kinview.evaluation import Benchmark, Store, export_store, format_table, run, write_report
from kinview.evaluation.benchmark import part_label, steps
from kinview.evaluation.benchmark.entries import shown_names, spelled_out
from kinview.evaluation.benchmark.sweeps import MOST_VARIANTS, variants, without_grids
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.sweeps import response, sweep_figures, sweep_lines, sweeps_of
from test_benchmark import go, write_data

STEPS = {"trainer": {"max_steps": 2}}
RATES = {"scarf": {**STEPS, "corruption_rate": {"grid": [0.1, 0.6]}}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    data = str(write_data(tmp_path_factory.mktemp("data")))
    given = {"datasets": ["table"], "controls": "none", "probes": ["knn"], "data_dir": data}
    return Benchmark(name="s", methods=[RATES], **given)


def labels(benchmark):
    return [part_label(cell.method) for cell in benchmark.cells()]


# --- grids -----------------------------------------------------------------------------------------------------------


def test_grids_make_every_combination_wherever_they_stand():
    spec = {
        "simclr": {
            "encoder": {"resnet1d": {"repr_dim": {"grid": [8, 16]}}},
            "augmentation": [{"jitter": {"sigma": {"grid": [0.1, 0.2, 0.3]}}}, "gain"],
            "temperature": 0.5,
        }
    }
    made = variants(spec)
    assert len(made) == 6 and len({json.dumps(one.spec) for one in made}) == 6
    assert made[1].values == {"encoder.resnet1d.repr_dim": 8, "augmentation.0.jitter.sigma": 0.2}
    assert made[1].spec == {
        "simclr": {
            "encoder": {"resnet1d": {"repr_dim": 8}},
            "augmentation": [{"jitter": {"sigma": 0.2}}, "gain"],
            "temperature": 0.5,
        }
    }
    assert spec["simclr"]["encoder"] == {"resnet1d": {"repr_dim": {"grid": [8, 16]}}}  # as it was given


def test_a_spec_without_grids_is_itself():
    for spec in ("raw", {"scarf": {}}, {"scarf": {"depth": 2}}):
        assert [(one.spec, one.values) for one in variants(spec)] == [(spec, {})]
        assert without_grids(spec) == spec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"scarf": {"depth": {"grid": []}}}, r"scarf.depth: a grid is a list of at least one value; got \[\]"),
        ({"scarf": {"depth": {"grid": 3}}}, "scarf.depth: a grid is a list of at least one value; got 3"),
        ({"scarf": {"depth": {"grid": [2, 2]}}}, "scarf.depth: the grid has 2 twice"),
        ({"scarf": {"depth": {"grid": [1, 2], "of": 3}}}, "scarf.depth: .* is no grid of a parameter; write"),
        ({"scarf": {"grid": [1, 2]}}, "scarf: .* is no grid of a parameter"),
        ({"scarf": {"depth": {"grid": [{"grid": [1]}]}}}, "a grid inside a grid"),
        (
            {"scarf": {"depth": {"grid": [*range(1, 12)]}, "hidden_dim": {"grid": [*range(1, 11)]}}},
            rf"the grids of scarf make 11 \(depth\) x 10 \(hidden_dim\) = 110 variants, and an entry may have "
            rf"{MOST_VARIANTS}",
        ),
    ],
)
def test_grids_that_make_no_sense_are_refused_when_the_benchmark_is_made(plain, spec, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(plain, methods=[spec])


def test_a_wrong_parameter_and_a_wrong_value_are_named_before_anything_runs(plain, monkeypatch):
    monkeypatch.setattr(steps, "run_chain", lambda *_, **__: pytest.fail("something ran"))
    wrong = dataclasses.replace(plain, methods=[{"scarf": {"corruption_rat": {"grid": [0.1]}}}])
    with pytest.raises(ValueError, match="no parameter 'corruption_rat'; did you mean 'corruption_rate'"):
        wrong.cells()
    with pytest.raises(ValueError, match="corruption_rate"):
        dataclasses.replace(plain, methods=[{"scarf": {"corruption_rate": {"grid": [0.1, 7]}}}]).cells()
    with pytest.raises(ValueError, match="a grid varies a parameter of a method"):
        dataclasses.replace(plain, probes=[{"knn": {"k": {"grid": [1, 3]}}}])


def test_variants_are_cells_as_if_written_out(plain):
    out = [{"scarf": {**STEPS, "corruption_rate": rate}} for rate in (0.1, 0.6)]
    assert [one.key for one in plain.cells()] == [one.key for one in dataclasses.replace(plain, methods=out).cells()]
    twice = dataclasses.replace(plain, methods=[RATES, out[0]])
    assert labels(twice) == labels(plain)
    assert spelled_out(plain).methods == tuple(out)


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_name_changes_no_key_and_is_shown_everywhere(plain, tmp_path, monkeypatch):
    first = go(plain, tmp_path)
    assert set(first["status"]) == {"ok"}, first["message"].dropna().tolist()
    named = dataclasses.replace(
        plain,
        methods=[{"name": "SCARF", "method": RATES}],
        probes=[{"name": "Neighbours", "probe": "knn"}],
    )
    monkeypatch.setattr(steps, "run_chain", lambda *_, **__: pytest.fail("something was computed again"))
    frame = go(named, tmp_path)
    assert frame["hash"].tolist() == first["hash"].tolist()
    shown = ["SCARF(corruption_rate=0.1)", "SCARF(corruption_rate=0.6)"]
    assert frame["method"].tolist() == shown and set(frame["probe"]) == {"Neighbours"}
    store = Store(f"{tmp_path}/results.db")
    assert store.predictions(benchmark="s")["method"].unique().tolist() == shown
    assert store.frame()["method"].tolist() == first["method"].tolist()  # without the benchmark nothing is named
    table = pd.read_csv(store.write_csv(tmp_path / "cells.csv", benchmark="s"))
    assert table["method"].tolist() == shown
    page = write_report(frame, tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(name in page for name in (*shown, "Neighbours", "SCARF: corruption_rate"))
    assert "SCARF: corruption_rate, probe Neighbours" in format_table(frame)
    copy = Store(str(export_store(store, tmp_path / "copy.db")))
    assert copy.frame(benchmark="s")["method"].tolist() == shown
    assert {key[1] for key in named.embeddings(tmp_path / "cache")} == set(shown)
    go(plain, tmp_path)  # under its old description again
    assert store.frame(benchmark="s")["method"].tolist() == first["method"].tolist()


def test_controls_take_names(plain):
    control = {"name": "Boosted", "method": "raw", "probe": "xgboost"}
    named = dataclasses.replace(plain, controls=[control])
    unnamed = dataclasses.replace(plain, controls=[{"method": "raw", "probe": "xgboost"}])
    cells = named.cells()
    assert [cell.key for cell in cells] == [cell.key for cell in unnamed.cells()]
    (own,) = [cell for cell in cells if cell.own_probe]
    assert shown_names(named, cells)[own.key] == {"method": "Boosted"}


def test_a_variant_that_has_a_name_gives_it_to_its_sweeps(plain):
    usual = {"scarf": {**STEPS, "corruption_rate": 0.6, "depth": 2}}
    methods = [
        {"name": "SCARF", "method": usual},
        {"scarf": {**usual["scarf"], "corruption_rate": {"grid": [0.1, 0.6]}}},
        {"scarf": {**usual["scarf"], "depth": {"grid": [1, 2]}}},
    ]
    benchmark = dataclasses.replace(plain, methods=methods)
    cells = benchmark.cells()
    shown = [shown_names(benchmark, cells)[cell.key] for cell in cells]
    assert [one["method"] for one in shown] == ["SCARF", "SCARF(corruption_rate=0.1)", "SCARF(depth=1)"]
    assert [sweep["of"] for one in shown for sweep in one["sweeps"]] == ["SCARF"] * 4
    assert shown[0]["sweeps"] == [
        {"of": "SCARF", "values": {"corruption_rate": 0.6}}, {"of": "SCARF", "values": {"depth": 2}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([{"name": "A", "method": "raw"}, {"name": "A", "method": "pca"}], "two methods are called 'A'"),
        ([{"name": " ", "method": "raw"}], "the name of a method is a text; got ' '"),
        ([{"name": "A", "raw": {}}], r"a name stands beside its method, {name: TEXT, method: SPEC}; got the keys name"),
        ([{"name": "A", "method": "raw", "probe": "svm"}], "a probe of its own is for an entry of the controls"),
    ],
)
def test_names_that_make_no_sense_are_refused(plain, methods, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(plain, methods=methods)


def test_one_name_for_one_configuration(plain):
    for methods, message in (
        ([{"name": "raw", "method": "pca"}, "raw"], "two methods are shown as 'raw'"),
        ([{"name": "A", "method": "raw"}, {"name": "B", "method": {"raw": {}}}], "is called 'A' and 'B'"),
    ):
        benchmark = dataclasses.replace(plain, methods=methods)
        with pytest.raises(ValueError, match=message):
            shown_names(benchmark, benchmark.cells())


# --- response curves -------------------------------------------------------------------------------------------------


def frame_of(values, seeds=(0, 1), datasets=("a", "b")):
    """Cells whose accuracy is ``value + 0.1 * data set + 0.02 * seed``, of a sweep over ``depth``."""
    rows = [
        {
            "dataset": name, "modality": "tabular", "method": f"m(depth={value})", "probe": "knn", "seed": seed,
            "accuracy": value / 10 + 0.1 * place + 0.02 * seed,
            "sweeps": json.dumps([{"of": "m", "values": {"depth": value}}]),
        }
        for place, name in enumerate(datasets) for value in values for seed in seeds
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_mean_is_over_seeds_then_data_sets_and_values_are_in_their_order():
    results = read_results(frame_of([10, 2, 4]))
    (sweep,) = sweeps_of(results)
    assert [*sweep.variants.values()] == [(2,), (4,), (10,)]
    found = response(results, "accuracy")
    assert found["x"].tolist() == [2, 4, 10] and set(found["datasets"]) == {2}
    assert found["mean"].to_numpy() == pytest.approx(np.array([0.2, 0.4, 1.0]) + 0.05 + 0.01)
    half = 12.706204736 * np.std([0.0, 0.1], ddof=1) / np.sqrt(2)  # t of one degree of freedom
    assert (found["high"] - found["mean"]).to_numpy() == pytest.approx(half)


def test_a_data_set_without_all_variants_is_left_out_and_one_data_set_has_its_seeds():
    whole = frame_of([2, 4])
    found = response(read_results(whole[(whole["dataset"] == "a") | whole["method"].eq("m(depth=2)")]), "accuracy")
    assert set(found["datasets"]) == {1} and set(found["repetitions"]) == {2}
    assert found["mean"].to_numpy() == pytest.approx([0.21, 0.41])
    half = 12.706204736 * np.std([0.0, 0.02], ddof=1) / np.sqrt(2)
    assert (found["high"] - found["mean"]).to_numpy() == pytest.approx(half)


def test_several_grids_are_lines_of_one_panel_and_parts_are_values():
    rows = [
        {"dataset": "a", "modality": "tabular", "method": f"{encoder}{size}", "probe": "knn", "seed": 0,
         "accuracy": 0.5, "sweeps": json.dumps([{"of": "m", "values": {"encoder": encoder, "trainer.batch": size}}])}
        for encoder in ("mlp", {"mlp": {"depth": 2}}) for size in (1, 2, 64)
    ]  # fmt: skip
    results = read_results(pd.DataFrame(rows))
    (sweep,) = sweeps_of(results)
    assert sweep.parameters == ("trainer.batch", "encoder")
    assert response(results, "accuracy")["values"].tolist() == [
        "1, mlp", "1, mlp(depth=2)", "2, mlp", "2, mlp(depth=2)", "64, mlp", "64, mlp(depth=2)",
    ]  # fmt: skip


def test_whole_numbers_stay_so_beside_other_sweeps_and_tables_keep_to_the_width():
    other = frame_of([2, 4]).assign(sweeps=json.dumps([{"of": "n", "values": {"rate": 0.5}}]), method="n(rate=0.5)")
    noisy = frame_of([2, 4]).assign(label_noise="symmetric", label_noise_rate=0.2, label_fraction=1.0)
    clean = frame_of([2, 4]).assign(label_noise=None, label_noise_rate=0.0, label_fraction=1.0)
    other = other.drop_duplicates(["dataset", "method", "seed"])
    results = read_results(pd.concat([clean, noisy, other], ignore_index=True))
    assert [value for value in response(results, "accuracy")["x"] if isinstance(value, int)] == [2, 4] * 2
    narrow, wide = (sweep_lines(results, "accuracy", ["knn"], width)[0] for width in (30, 100))
    assert wide.count("depth ") == 1 and narrow.count("\ndepth ") == 2 and "label noise 20 %" in narrow
    assert max(map(len, narrow.split("\n")[2:])) <= 32


def test_a_page_and_a_table_show_the_curve(tmp_path):
    frame = frame_of([2, 4])
    page = write_report(frame, tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<h2>Sweeps</h2>") == 1 and "Accuracy of m: depth" in page
    text = write_report(frame, tmp_path / "page.md").read_text(encoding="utf-8")
    assert "### m: depth, probe knn" in text and "95 % t interval over 2 data sets" in text
    without = write_report(frame.drop(columns="sweeps"), tmp_path / "none.html").read_text(encoding="utf-8")
    assert "Sweeps" not in without


def test_the_curve_of_an_error_is_shown_to_its_height():
    frame = frame_of([2, 4])
    frame["mae"] = 50 + 10 * frame["accuracy"]
    assert sweep_figures(read_results(frame), "mae") == {}  # no average over data sets, whose units differ
    one = frame[frame["dataset"] == frame["dataset"].iloc[0]]
    (build,) = sweep_figures(read_results(one), "mae").values()
    low, high = build().figure.axes[0].get_ylim()
    assert low > 40 and high < 70


# --- batches larger than the data ------------------------------------------------------------------------------------


def test_batches_larger_than_the_training_set_are_said_once_by_name(plain, tmp_path, capfd):
    sizes = {"scarf": {"trainer": {"max_steps": 1, "batch_size": {"grid": [8, 17, 500]}}}}
    benchmark = dataclasses.replace(plain, methods=["raw", sizes, {"tabular_simclr": {"trainer": {"max_steps": 1}}}])
    frame = run(benchmark, f"{tmp_path}/r.db", cache_dir=tmp_path / "cache", workers=1)
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    said = [line for line in capfd.readouterr().err.splitlines() if "every step takes all" in line]
    assert said == [
        "s: table has 17 training rows, and every step takes all of them where the batch is larger: "
        "scarf(trainer.max_steps=1, trainer.batch_size=500) (500), tabular_simclr(trainer.max_steps=1) (128)"
    ]


def test_the_name_of_a_control_pair_is_that_of_the_pair_alone(plain):
    pair = {"name": "Trees", "method": "raw", "probe": "xgboost"}
    benchmark = dataclasses.replace(plain, methods=["raw", "pca"], probes=["knn"], controls=[pair])
    cells = benchmark.cells()
    shown = shown_names(benchmark, cells)
    called = {(part_label(c.method), part_label(c.probe)): shown.get(c.key, {}).get("method") for c in cells}
    assert called == {("raw", "knn"): None, ("pca", "knn"): None, ("raw", "xgboost"): "Trees"}
    both = dataclasses.replace(benchmark, methods=[{"name": "Raw", "method": "raw"}, "pca"])
    assert {one.get("method") for one in shown_names(both, both.cells()).values()} == {"Raw", "Trees"}
