"""Controls that a benchmark adds, wide features, and how the report compares with them."""

import dataclasses

import pandas as pd
import pytest

from kinview._cli.bench import parse
from kinview.evaluation import Benchmark, NearestNeighbour, format_table
from kinview.evaluation.benchmark import controls, part_label
from kinview.evaluation.benchmark.controls import DEFAULT, Control, check_controls, controls_for
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.html import render_report
from kinview.evaluation.report.verdicts import compare_with_controls, verdicts
from kinview.methods import RawFeatures
from test_benchmark import SCARF, TS2VEC, go, write_data


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    data = str(write_data(tmp_path_factory.mktemp("data")))
    return Benchmark(
        name="c",
        datasets=["toy", "table"],
        methods=[TS2VEC, SCARF],
        controls="none",
        probes=["knn", "linear"],
        data_dir=data,
    )


def pairs(benchmark):
    """Modality, method and probe of the cells, with what the benchmark calls the method."""
    return {
        (cell.modality, part_label(cell.method).split("(")[0], part_label(cell.probe)): (
            cell.is_control,
            cell.own_probe,
        )
        for cell in benchmark.cells()
    }


def test_the_default_list_is_that_of_the_documentation():
    names = {
        modality: [(c.method if isinstance(c.method, str) else next(iter(c.method)), c.probe) for c in each]
        for modality, each in DEFAULT.items()
    }
    assert names == {
        "time_series": [("raw", None), ("random_init", None), ("summary", None), ("minirocket", "ridge")],
        "tabular": [("raw", "xgboost"), ("pca", None)],
    }
    assert DEFAULT["time_series"][-1].method == {"minirocket": {"fill": "linear"}}


def test_none_adds_nothing_and_the_list_is_the_default(plain):
    assert Benchmark(name="c", datasets=["toy"], methods=[TS2VEC]).controls == "default"
    assert {method for _, method, _ in pairs(plain)} == {"ts2vec", "scarf"}


def test_default_adds_the_list_of_each_modality(plain, monkeypatch):
    monkeypatch.setattr(
        controls, "DEFAULT",
        {"time_series": (Control("raw"), Control("random_init", "svm")), "tabular": (Control("raw", "xgboost"),)},
    )  # fmt: skip
    found = pairs(dataclasses.replace(plain, controls="default"))
    assert found == {
        **{("time_series", "ts2vec", probe): (False, False) for probe in ("knn", "linear")},
        **{("time_series", "raw", probe): (True, False) for probe in ("knn", "linear")},
        ("time_series", "random_init", "svm"): (True, True),
        **{("tabular", "scarf", probe): (False, False) for probe in ("knn", "linear")},
        ("tabular", "raw", "xgboost"): (True, True),
    }


def test_a_default_control_that_is_not_installed_is_named_and_not_left_out(plain, monkeypatch):
    absent = {"time_series": (Control("raw"), Control({"rocket_of_old": {}}, "ridge_of_old")), "tabular": ()}
    monkeypatch.setattr(controls, "DEFAULT", absent)
    benchmark = dataclasses.replace(plain, controls="default")
    with pytest.raises(ValueError, match="needs the method rocket_of_old, the probe ridge_of_old, which this install"):
        benchmark.cells()
    tables = dataclasses.replace(benchmark, datasets=["table"])  # no series: its list is not asked for
    assert {method for _, method, _ in pairs(tables)} == {"scarf"}


def test_a_list_of_ones_own(plain):
    benchmark = dataclasses.replace(plain, controls=["raw", {"method": "raw", "probe": "svm"}])
    found = pairs(benchmark)
    assert found["time_series", "raw", "knn"] == (True, False)
    assert found["time_series", "raw", "svm"] == (True, True)
    assert found["time_series", "ts2vec", "knn"] == (False, False)


def test_a_method_that_is_named_twice_is_run_once_and_is_a_control(plain):
    twice = dataclasses.replace(plain, methods=["raw", TS2VEC, SCARF], controls=["raw", TS2VEC])
    once = dataclasses.replace(plain, methods=["raw", TS2VEC, SCARF])
    assert [cell.key for cell in twice.cells()] == [cell.key for cell in once.cells()]
    assert pairs(twice)["time_series", "ts2vec", "knn"] == (True, False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("all", "controls must be default, none, or a list of methods; got 'all'"),
        ({"raw": {}}, "controls must be default, none, or a list"),
        ([{"method": "raw", "probes": "svm"}], "a control is a method, or {method: ..., probe: ...}; got the keys"),
        (["rawr"], "did you mean 'raw'"),
        ([{"method": "raw", "probe": "svmm"}], "did you mean 'svm'"),
        ([{"method": "raw", "probe": "finetune"}], r"none of the probes \(finetune\) can be asked of raw"),
    ],
)
def test_controls_that_make_no_sense_are_refused(plain, given, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(plain, controls=given).cells()


def test_they_are_a_key_of_yaml_and_an_option(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("name: s\ndatasets: [wine]\nmethods: [scarf]\ncontrols: [raw, {method: pca, probe: linear}]\n")
    assert Benchmark.from_yaml(file).controls == ("raw", {"method": "pca", "probe": "linear"})
    assert Benchmark.from_config({"name": "s", "datasets": ["wine"], "methods": ["raw"], "controls": "none"})
    for words, wanted in (
        (["--controls", "default"], "default"),
        (["--controls", "none"], "none"),
        (["--controls", "raw,random_init"], ("raw", "random_init")),
        (["--controls", "[raw, {method: raw, probe: svm}]"], ("raw", {"method": "raw", "probe": "svm"})),
    ):
        assert check_controls(parse([str(file), *words]).controls) == wanted
    split = parse([str(file), "--split", "{stratified_kfold: {folds: 5, repeats: 2}}"]).split
    assert split == {"stratified_kfold": {"folds": 5, "repeats": 2}}
    assert parse([str(file), "--split", "official"]).split == "official"


def test_an_entry_is_a_method_or_a_pair():
    given = check_controls(["raw", {"minirocket": {"fill": "linear"}}, {"method": "raw", "probe": "svm"}])
    assert controls_for(given, "tabular", {}) == (
        Control("raw"), Control({"minirocket": {"fill": "linear"}}), Control("raw", "svm"),
    )  # fmt: skip


# --- in the report ---------------------------------------------------------------------------------------------------


def test_a_control_with_its_own_probe_stands_against_every_probe(plain, tmp_path):
    benchmark = dataclasses.replace(
        plain, datasets=["table"], methods=[SCARF], controls=[{"method": "raw", "probe": "xgboost"}]
    )
    frame = go(benchmark, tmp_path)
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    assert frame.loc[frame["method"] == "raw", ["is_control", "own_probe"]].to_numpy().tolist() == [[1, 1]]
    found = compare_with_controls(read_results(frame), "accuracy").set_index("probe")
    assert set(found.index) == {"knn", "linear"} and set(found["control"]) == {"raw"}
    own = float(frame.loc[frame["method"] == "raw", "accuracy"].iloc[0])
    for probe, row in found.iterrows():
        mine = float(frame.loc[(frame["probe"] == probe) & (frame["method"] != "raw"), "accuracy"].iloc[0])
        assert row["difference"] == pytest.approx(mine - own)


def test_a_probe_of_its_own_stands_on_the_data_sets_where_the_control_had_no_other():
    frame = pd.DataFrame({
        "dataset": ["italy", "italy", "wine", "wine"], "modality": ["time_series"] * 2 + ["tabular"] * 2, "seed": 0,
        "method": ["raw", "ts2vec", "raw", "scarf"], "probe": ["knn", "knn", "xgboost", "knn"],
        "own_probe": [0, 0, 1, 0], "accuracy": [0.8, 0.7, 0.99, 0.9],
    })  # fmt: skip
    found = compare_with_controls(read_results(frame), "accuracy").set_index("dataset")["difference"]
    assert found.to_dict() == pytest.approx({"italy": -0.1, "wine": -0.09})


def test_a_control_with_a_probe_of_its_own_beside_others_is_one_to_beat():
    """``raw`` among the methods and ``raw`` with xgboost among the controls: to beat the controls is to beat both."""
    frame = pd.DataFrame([
        {"dataset": f"d{d}", "modality": "tabular", "seed": seed, "method": method, "probe": probe, "own_probe": own,
         "accuracy": value + 0.001 * d + 0.002 * seed * (method == "scarf")}
        for d in range(8) for seed in range(2) for method, probe, own, value in (
            ("raw", "knn", 0, 0.7), ("raw", "linear", 0, 0.7), ("raw", "xgboost", 1, 0.95),
            ("scarf", "knn", 0, 0.8), ("scarf", "linear", 0, 0.8),
        )
    ])  # fmt: skip
    results = read_results(frame)
    judged = {row["control"]: row for row in verdicts(results, "accuracy")}
    assert {name: row["words"] for name, row in judged.items()} == {
        "raw": "beats raw", "raw / xgboost": "is worse than raw / xgboost"
    }  # fmt: skip
    assert not any(row["beats_all"] for row in judged.values())
    found = compare_with_controls(results, "accuracy").query("control == 'raw / xgboost' and dataset == 'd0'")
    assert found.set_index("probe")["difference"].to_dict() == pytest.approx({"knn": -0.149, "linear": -0.149})
    page, text = render_report(frame), format_table(frame)
    assert "is worse than raw / xgboost" in page and "minus raw / xgboost" in page
    assert "is worse than raw / xgboost" in text and "beats every one" not in text
    assert [row["control"] for row in verdicts(results, "accuracy", probes=["knn"])] == ["raw", "raw / xgboost"]


def test_a_control_with_two_probes_of_its_own_is_two_to_beat():
    """The same networks trained with labels and two heads: both stand against each method under each probe."""
    frame = pd.DataFrame([
        {"dataset": f"d{d}", "modality": "tabular", "seed": seed, "method": method, "probe": probe, "own_probe": own,
         "is_control": own, "method_config": '"raw"' if own else '"scarf"', "accuracy": value + 0.001 * d}
        for d in range(8) for seed in range(2) for method, probe, own, value in (
            ("raw", "svm", 1, 0.7), ("raw", "xgboost", 1, 0.95), ("scarf", "knn", 0, 0.8), ("scarf", "linear", 0, 0.8),
        )
    ])  # fmt: skip
    results = read_results(frame)
    found = compare_with_controls(results, "accuracy").query("dataset == 'd0'").set_index(["control", "probe"])
    assert found["difference"].to_dict() == pytest.approx({
        ("raw / svm", "knn"): 0.1, ("raw / svm", "linear"): 0.1,
        ("raw / xgboost", "knn"): -0.15, ("raw / xgboost", "linear"): -0.15,
    })  # fmt: skip
    assert "minus raw / xgboost" in render_report(frame) and "worse than raw / xgboost" in format_table(frame)
    assert verdicts(read_results(frame[frame["own_probe"] == 1]), "accuracy") == []


def test_a_usual_control_that_no_probe_can_be_asked_of_is_left_out_by_name(plain):
    benchmark = dataclasses.replace(
        plain,
        datasets=["toy"],
        methods=[TS2VEC],
        controls="default",
        probes=[{"finetune": {"trainer": {"max_steps": 1}}}],
    )
    assert {(method, probe.split("(")[0]) for _, method, probe in pairs(benchmark)} == {
        ("ts2vec", "finetune"), ("minirocket", "ridge"),
    }  # fmt: skip
    assert any(sentence.startswith("raw with the probe finetune") for sentence in benchmark.left_out())


def test_without_a_probe_of_its_own_it_stands_under_the_same_probe():
    frame = pd.DataFrame({
        "dataset": "wine", "seed": 0, "method": ["raw", "scarf", "scarf"], "probe": ["knn", "knn", "svm"],
        "accuracy": [0.8, 0.9, 0.7],
    })  # fmt: skip
    assert compare_with_controls(read_results(frame), "accuracy")["probe"].tolist() == ["knn"]
    pair = compare_with_controls(read_results(frame.assign(own_probe=[1, 0, 0])), "accuracy")
    assert pair["difference"].tolist() == pytest.approx([0.1, -0.1])


# --- features of more than 2,000 columns -----------------------------------------------------------------------------


def test_wide_features_meet_the_probes_that_take_them(plain, monkeypatch):
    benchmark = dataclasses.replace(plain, methods=["raw", TS2VEC, SCARF])
    assert len(benchmark.left_out()) == 0
    monkeypatch.setattr(RawFeatures, "wide", True, raising=False)
    monkeypatch.setattr(NearestNeighbour, "wide", True, raising=False)
    for other in pairs_of(benchmark):
        assert other != ("raw", "linear")
    assert ("raw", "knn") in pairs_of(benchmark) and ("ts2vec", "linear") in pairs_of(benchmark)
    assert benchmark.left_out() == [
        "raw with the probe linear: its features have more than 2,000 columns, which ridge-type probes take as they "
        "are; set its repr_dim to ask other probes"
    ]
    with pytest.raises(ValueError, match=r"none of the probes \(linear\) can be asked of raw: its features have more"):
        dataclasses.replace(benchmark, probes=["linear"]).cells()


def test_whether_features_are_wide_may_depend_on_the_parameters(plain, monkeypatch):
    monkeypatch.setattr(RawFeatures, "wide", property(lambda self: False), raising=False)
    assert ("raw", "linear") in pairs_of(dataclasses.replace(plain, methods=["raw", TS2VEC]))


def test_left_out_pairs_of_controls_are_named(plain):
    assert dataclasses.replace(plain, controls=["raw"], probes=["knn", "finetune"]).left_out() == [
        "raw with the probe finetune: it has no network to train"
    ]


def pairs_of(benchmark):
    return {(method, probe) for _, method, probe in pairs(benchmark)}


# --- untrained networks of the methods -------------------------------------------------------------------------------


def test_the_default_untrained_network_is_that_of_each_method(plain):
    variants = [TS2VEC, {"ts2vec": {**TS2VEC["ts2vec"], "mask": "all_true"}}, {"ts2vec": {"trainer": {"max_steps": 1}}}]
    wider = {"ts2vec": {**TS2VEC["ts2vec"], "repr_dim": 12}}
    benchmark = dataclasses.replace(
        plain, datasets=["toy"], methods=[*variants, wider, {"tstcc": {"temperature": 0.5}}], controls="default",
        probes=["knn"],
    )  # fmt: skip
    untrained = [
        cell.method if isinstance(cell.method, str) else cell.method["random_init"]["method"]
        for cell in benchmark.cells()
        if part_label(cell.method).startswith("random_init")
    ]
    own = {name: value for name, value in TS2VEC["ts2vec"].items() if name != "trainer"}
    # one for those that differ in their training alone, and the name alone for the usual network
    assert untrained == [
        {"ts2vec": own}, "random_init", {"ts2vec": {**own, "repr_dim": 12}}, "tstcc",
    ]  # fmt: skip
    assert benchmark.left_out() == []


def test_recipes_that_start_from_one_network_have_one_untrained_network(plain):
    encoder = {"encoder": "resnet1d", "trainer": {"max_steps": 1}}
    other = {"moco": {"pooling": "max", "trainer": {"max_steps": 1}}}
    methods = [{"simclr": encoder}, {"byol": encoder}, {"autoencoder": encoder}, other]
    benchmark = dataclasses.replace(plain, datasets=["toy"], methods=methods, controls="default", probes=["knn"])
    untrained = [
        cell.method["random_init"]["method"]
        for cell in benchmark.cells()
        if part_label(cell.method).startswith("random_init")
    ]
    assert untrained == ["simclr", {"moco": {"pooling": "max"}}]


def test_without_a_learned_method_there_is_the_usual_one(plain):
    benchmark = dataclasses.replace(plain, datasets=["toy"], methods=["catch22"], controls="default", probes=["knn"])
    assert ("time_series", "random_init", "knn") in pairs(benchmark)


def test_a_variant_is_compared_with_its_own_network(plain, tmp_path):
    sizes = {**TS2VEC["ts2vec"], "repr_dim": {"grid": [4, 6]}, "mask": {"grid": ["binomial", "all_true"]}}
    benchmark = dataclasses.replace(
        plain, datasets=["toy"], methods=[{"ts2vec": sizes}], controls="default", probes=["knn"]
    )
    results = read_results(go(benchmark, tmp_path))
    learned = [method for method in results.methods if method not in results.controls]
    (dataset,) = results.modalities
    assert len(learned) == 4
    for method in learned:
        untrained = [one for one in results.controls_of(method, dataset) if one.startswith("random_init")]
        size = method.split("repr_dim=")[1][0]
        assert len(untrained) == 1 and f"repr_dim={size}" in untrained[0]
