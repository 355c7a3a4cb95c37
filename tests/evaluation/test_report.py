"""The report: what stands in it, that it stays readable in odd cases, and that it needs nothing from outside."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import product

import numpy as np
import pandas as pd
import pytest

from kinview.evaluation.benchmark.grid import method_identity
from kinview.evaluation.benchmark.plan import part_label
from kinview.evaluation.report import format_table, write_report
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.embedding_maps import _project, embedding_scatter
from kinview.evaluation.report.figures import degradation_curves
from kinview.evaluation.report.html import render_report
from kinview.evaluation.report.sections import checks, comparison, notices, result_tables, unseen_conditions
from kinview.evaluation.report.svg import page_svg
from kinview.evaluation.report.verdicts import compare_with_controls

SERIES = {"gunpoint": 150, "italy_power_demand": 1029}
TABLES = {"breast_cancer": 171, "wine": 54}
SKILL = {"raw": 0.93, "random_init": 0.80, "ts2vec": 0.89, "scarf": 0.95}
NETWORKS = [
    {"tstcc": {}},
    {"simclr": {}},
    {"byol": {}},
    {"scarf": {}},
    {"ts2vec": {"repr_dim": 64}},
    {"tfc": {"channel_independent": True}},
]
CONDITIONS = [
    {},
    {"corruption": "mcar", "severity": 0.2, "corrupt": "both"},
    {"corruption": "mcar", "severity": 0.4, "corrupt": "both"},
    {"label_noise": "symmetric", "label_noise_rate": 0.2},
    {"label_noise": "symmetric", "label_noise_rate": 0.4},
]


def as_config(method):
    """The config behind the label of a method."""
    known = [{kind: {"method": network}} for kind in ("random_init", "supervised") for network in NETWORKS]
    known += [{"tfc": {"temperature": 0.5}}, {"ts2vec": {"repr_dim": 64}}, {"ts2vec": {"trainer": {"max_steps": 9}}}]
    known += [{"byol": {"pooling": "max"}}]
    return next((config for config in known if part_label(config) == method), method)


def results_frame(datasets=None, methods=None, probes=("linear", "svm", "xgboost"), seeds=(0, 1, 2)):
    """Results as a store returns them: accuracies are fractions, and fall with missing values and noise."""
    generator = np.random.default_rng(7)
    sizes = {**SERIES, **TABLES} if datasets is None else datasets
    rows = []
    for (dataset, size), condition, probe, seed in product(sizes.items(), CONDITIONS, probes, seeds):
        modality = "tabular" if dataset in TABLES else "time_series"
        default = ["raw", "random_init", "scarf" if modality == "tabular" else "ts2vec"]
        loss = 0.35 * condition.get("severity", 0.0) + 0.25 * condition.get("label_noise_rate", 0.0)
        for method in methods or default:
            skill = SKILL.get(method, 0.84) - loss * (0.5 if method == "scarf" else 1.0)
            accuracy = generator.binomial(size, min(skill + generator.normal(0, 0.004), 1)) / size
            rows.append({
                "benchmark": "quickstart", "dataset": dataset, "method": method, "modality": modality,
                "method_config": json.dumps(as_config(method)),
                "corruption": condition.get("corruption"), "severity": condition.get("severity"),
                "corrupt": condition.get("corrupt"), "label_noise": condition.get("label_noise"),
                "label_noise_rate": condition.get("label_noise_rate"), "label_fraction": 1.0, "probe": probe,
                "seed": seed, "accuracy": accuracy, "balanced_accuracy": accuracy - 0.01, "macro_f1": accuracy - 0.012,
                "auroc": min(1.0, accuracy + 0.04), "auprc": min(1.0, accuracy + 0.02),
                "realised_missing_train": condition.get("severity", 0.0),
                "realised_missing_test": condition.get("severity", 0.0),
                "realised_noise": round(condition.get("label_noise_rate", 0.0) * 67) / 67,
                "convergence_failures": 3 if (dataset, probe, seed) == ("wine", "svm", 1) else 0,
                "seconds": 1.25, "status": "ok", "message": None,
                "pretrain_on": "clean",
                    "spec": json.dumps({"seed": seed, "environment": {"threads": 1, "device": "cpu"}}),
                "versions": json.dumps({"kinview": "0.1.0", "torch": "2.13.0", "scikit-learn": "1.9.0"}),
                "created_at": pd.Timestamp("2026-03-01 12:00:00"),
            })  # fmt: skip
    return pd.DataFrame(rows)


class Page(HTMLParser):
    """Collects what the tests ask of a page, and fails on tags that are not closed in order."""

    VOID = ("meta", "link", "img", "br", "hr", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts, self.ids = [], [], [], [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))


def some_embeddings(frame, rows=40):
    generator = np.random.default_rng(3)
    pairs = frame[["dataset", "method"]].drop_duplicates().itertuples(index=False)
    return {tuple(pair): (generator.normal(size=(rows, 8)), np.arange(rows) % 3) for pair in pairs}


def curves_of(frame):
    return page_svg("curves", lambda: degradation_curves(read_results(frame), "wine"))


def scatter_of(embeddings, **options):
    return page_svg("scatter", lambda: embedding_scatter(embeddings, **options))


@pytest.fixture(scope="module")
def frame():
    return results_frame()


@pytest.fixture(scope="module")
def page(frame):
    config = {"name": "quickstart", "datasets": [*SERIES, *TABLES], "severities": (0.2, 0.4)}
    return render_report(frame, benchmark=config, embeddings=some_embeddings(frame), description="Four small sets.")


def test_the_page_asks_nothing_of_a_network(page):
    assert not re.search(r"https?:|//[a-z]", page, flags=re.IGNORECASE)
    found = Page(page)
    addresses = [value for name, value in found.attributes if name in ("src", "href", "xlink:href", "action", "data")]
    assert addresses
    assert all(value.startswith("#") for value in addresses)
    assert all(target[1:] in found.ids for target in addresses)
    assert not {"link", "img", "iframe", "object", "base"} & set(found.tags)
    assert found.tags.count("script") == 1 and ("src", None) not in found.attributes
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) == {"#"}


def test_every_id_is_unique_although_there_are_many_figures(page):
    found = Page(page)
    assert found.tags.count("svg") > 8
    assert len(found.ids) == len(set(found.ids))


def test_the_page_shows_every_mean_and_deviation(page, frame):
    by = ["dataset", "method", "probe", *("corruption", "severity", "label_noise", "label_noise_rate")]
    expected = frame.groupby(by, dropna=False)["accuracy"].agg(["mean", "std"])
    shown = re.findall(r"<b>(\d\.\d{3})</b><small> ± (\d\.\d{3})</small>", page.split('<section id="differences">')[0])
    wanted = [(f"{mean:.3f}", f"{std:.3f}") for mean, std in expected.to_numpy()]
    main = shown[: len(wanted)]
    assert sorted(main) == sorted(wanted)


def test_a_representation_that_loses_to_raw_is_seen_to_lose(page):
    many = render_report(results_frame({f"set {i}": 300 for i in range(7)}, probes=("svm",), seeds=(0, 1)))
    assert re.search(r'badge bad">is worse than raw', many)
    assert re.search(r'badge good">beats random_init', many)
    assert "Critical-difference diagram" in many and "Iman and Davenport" in many
    assert re.search(r'badge open">is not testable against raw', page)  # of two data sets
    assert re.search(r'class="worse">▼&#160;raw', page)


def test_verdicts_agree_with_the_values_that_they_rest_on(frame):
    found = comparison(read_results(frame), "accuracy")
    means = frame.groupby(["method", "dataset"])["accuracy"].mean()
    for row in found["verdicts"]:
        assert len(row["values"]) == row["datasets"] == row["wins"] + row["ties"] + row["losses"] == 2
        for one in row["values"]:
            assert one["mean"] == pytest.approx(means[row["method"], one["dataset"]])
            assert one["reference"] == pytest.approx(means[row["control"], one["dataset"]])
        assert row["difference"] == pytest.approx(np.mean([one["difference"] for one in row["values"]]))


def test_checks_show_realised_rates_convergence_and_failures(frame):
    frame = frame[frame["dataset"].isin(["gunpoint", "wine"])].copy()
    lost = (frame["dataset"] == "gunpoint") & (frame["method"] == "ts2vec") & (frame["probe"] == "svm")
    frame.loc[lost, ["status", "message", "accuracy"]] = ["failed", "ValueError: x < 3 & y", None]
    text = Page(render_report(frame)).text
    assert "train 20.0 %" in text
    assert "labels 19.4 %" in text  # 13 of 67 labels, where 20 % were asked for
    assert "ValueError: x < 3 & y" in text
    assert "15 of 270 cells failed" in text
    assert "Fits that stopped at the iteration limit" in text
    assert "0.1.0" in text
    assert "Device cpu" in text
    assert "Pre-training saw the clean training set" in text
    assert "failed" in format_table(frame, probe="svm")
    assert "15 cells failed, the first: gunpoint, ts2vec" in format_table(frame)


def test_checks_say_how_many_labels_a_budget_leaves():
    frame = results_frame({"wine": 54, "iris": 45}, ["raw"], ("svm",), (0, 1))
    clean = frame[frame["corruption"].isna() & frame["label_noise"].isna()]
    few = clean.assign(label_fraction=0.1, labelled_samples=12, labelled_groups=np.nan)
    few.loc[few["dataset"] == "iris", ["labelled_samples", "labelled_groups"]] = [[10, 3], [11, 3]]
    found = checks(read_results(pd.concat([frame, few])))
    cells = {row["name"]: row["cells"][-1] for row in found["realised"]}
    assert cells == {"wine": ["12 samples"], "iris": ["10 to 11 samples", "3 groups"]}
    assert not any("samples" in part for row in found["realised"] for parts in row["cells"][:-1] for part in parts)
    text = Page(render_report(pd.concat([frame, few]))).text
    assert "10 to 11 samples 3 groups" in text


def test_text_of_users_is_shown_and_never_obeyed():
    evil = "<script>alert('x')</script>"
    frame = results_frame({evil: 60}, ["raw", "a$b_{1}$<i>"], probes=("<b>svm",), seeds=(0, 1))
    frame["message"], frame["benchmark"] = evil, evil
    frame.loc[0, "status"] = "failed"
    embeddings = {(evil, "raw"): (np.eye(4), [evil, "</svg>", "&amp;", "\x07"])}
    page = render_report(frame, title=evil, description=evil, benchmark={"name": evil}, embeddings=embeddings)
    found = Page(page)
    assert found.tags.count("script") == 1  # the page's own
    assert found.text.count(evil) > 5
    assert "a$b_{1}$<i>" in found.text
    assert "</svg>" in found.text
    assert evil in format_table(frame)


def test_the_same_results_give_the_same_bytes_in_any_order(frame, page):
    config = {"name": "quickstart", "datasets": [*SERIES, *TABLES], "severities": (0.2, 0.4)}
    shuffled = frame.sample(frac=1, random_state=0)
    again = render_report(shuffled, benchmark=config, embeddings=some_embeddings(frame), description="Four small sets.")
    assert again == page
    assert page.count("2026-03-01 12:00:00") == 1
    assert not re.search(r"20\d\d-\d\d-\d\d", page.replace("2026-03-01 12:00:00", ""))


def test_drawing_leaves_the_settings_of_matplotlib_alone(frame):
    import matplotlib

    with matplotlib.rc_context({"font.size": 33, "axes.grid": False}):
        before = dict(matplotlib.rcParams)
        first = curves_of(frame)
        assert dict(matplotlib.rcParams) == before
    assert first == curves_of(frame)


def test_write_report_writes_the_file_and_names_a_missing_folder(frame, tmp_path):
    path = write_report(frame[frame["dataset"] == "wine"], tmp_path / "report.html", title="Wine")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        write_report(frame[frame["dataset"] == "wine"], tmp_path / "nowhere" / "report.html")


def test_one_seed_has_no_spread_and_the_page_says_so():
    frame = results_frame({"wine": 54}, seeds=(4,))
    page = Page(render_report(frame))
    assert "Only one seed was run (4)" in page.text
    assert "seed 4" in format_table(frame)
    assert "±" not in format_table(frame)
    assert not re.search(r"\bnan\b", page.text)


def test_metrics_without_a_value_are_named_not_printed_as_nan():
    frame = results_frame({"wine": 54}, ["raw", "scarf"])
    frame.loc[frame["method"] == "scarf", "auroc"] = np.nan
    frame["auprc"] = np.nan
    table = format_table(frame, "auroc", probe="svm")
    assert table.count("n/a") == 5
    assert "nan" not in table
    page = render_report(frame, metric="auroc")
    assert not re.search(r"\bnan\b", page, flags=re.IGNORECASE)
    assert "<summary>AUPRC" not in page
    assert "45 results have no AUROC" in page


def test_cells_that_are_not_there_leave_a_gap(frame):
    frame = frame[frame["dataset"] == "wine"]
    part = frame[~((frame["dataset"] == "wine") & (frame["method"] == "scarf") & (frame["severity"] == 0.4))]
    part = part[~((part["dataset"] == "wine") & (part["method"] == "raw") & (part["seed"] == 2))]
    table = format_table(part, probe="linear").split("wine\n")[1]
    assert "–" in table
    assert table.split("\n")[0].count("~") == 5
    assert "fewer seeds than the rest" in table
    assert "24 cells of the grid have no result" in Page(render_report(part)).text


def test_nothing_but_failures_still_makes_a_page(frame):
    frame = frame.assign(status="failed", message="MemoryError", accuracy=None)
    assert "MemoryError" in format_table(frame)
    assert "540 of 540 cells failed" in Page(render_report(frame)).text
    assert "540 cells failed" in format_table(frame)


def test_a_page_without_controls_warns(frame):
    learned = frame[(frame["dataset"] == "wine") & (frame["method"] == "scarf")]
    text = Page(render_report(learned)).text
    assert "No control was run" in text
    assert "Paired differences" not in text


def test_a_cell_that_was_run_again_counts_once(frame):
    old = frame.assign(accuracy=0.1, created_at=pd.Timestamp("2025-01-01"))
    results = read_results(pd.concat([frame, old]))
    assert results.replaced == len(frame)
    assert results.cells["accuracy"].min() > 0.1
    failed_again = frame.assign(status="failed", created_at=pd.Timestamp("2027-01-01"))
    assert len(read_results(pd.concat([frame, failed_again])).failed) == 0


def test_conditions_have_names_and_an_order_that_do_not_depend_on_the_rows():
    frame = results_frame({"wine": 54}, ["raw"], ("svm",), (0,))
    crossed = frame[frame["corruption"].notna()].assign(label_noise="symmetric", label_noise_rate=0.2)
    few = frame[frame["corruption"].isna() & frame["label_noise"].isna()].assign(label_fraction=0.1)
    test_only = frame[frame["severity"] == 0.2].assign(corrupt="test")
    everything = pd.concat([crossed, few, test_only, frame])
    labels = [label.replace("\xa0", " ") for label in read_results(everything).conditions.index]
    assert labels == [
        "clean",
        "missing 20 %",
        "missing 40 %",
        "missing in test 20 %",
        "label noise 20 %",
        "label noise 40 %",
        "10 % of labels",
        "missing 20 % + label noise 20 %",
        "missing 40 % + label noise 20 %",
    ]


def test_results_of_two_ways_of_pre_training_are_not_mixed():
    frame = results_frame({"wine": 54}, ["raw", "scarf"], ("svm",), (0, 1))
    corrupted = frame[frame["corruption"].notna()].assign(pretrain_on="corrupted")
    results = read_results(pd.concat([frame, corrupted]))
    assert results.replaced == 0
    assert [label for label in results.conditions.index if "corrupted" in label] == [
        "missing 20\xa0%, pre-trained on corrupted data",
        "missing 40\xa0%, pre-trained on corrupted data",
    ]
    assert curves_of(pd.concat([frame, corrupted])).count("pre-trained corrupted<") == 1


def test_a_method_or_probe_with_parameters_keeps_its_place():
    frame = results_frame(
        {"wine": 54}, ["ts2vec", "random_init(method=scarf)", "raw"], ("knn", "svm(max_iter=9)"), (0,)
    )
    frame["corruption"] = frame["corruption"].replace("mcar", "mcar(mode=timestep)")
    results = read_results(frame)
    assert results.methods == ("raw", "random_init(method=scarf)", "ts2vec")
    assert results.controls == ("raw", "random_init(method=scarf)")
    assert results.probes == ("svm(max_iter=9)", "knn")
    assert "missing 20\xa0%" in results.conditions.index


AROUND_NETWORKS = [
    "random_init",
    "random_init(method=tstcc)",
    "supervised",
    "supervised(method.tfc.channel_independent=True)",
]


def compared(results, metric="accuracy"):
    """Which method is compared with which control, by data set."""
    found = compare_with_controls(results, metric)
    rows = found[["dataset", "method", "control"]].drop_duplicates().to_numpy()
    return {
        (dataset, method): sorted(c for d, m, c in rows if (d, m) == (dataset, method)) for dataset, method, _ in rows
    }


def test_a_control_with_the_network_of_one_method_is_the_control_of_that_method_alone():
    methods = ["raw", *AROUND_NETWORKS, "ts2vec", "tstcc", "tfc(temperature=0.5)", "simclr"]
    results = read_results(results_frame({"gunpoint": 150}, methods, ("svm",), (0, 1)))
    assert compared(results) == {
        ("gunpoint", "ts2vec"): ["random_init", "raw", "supervised"],
        ("gunpoint", "tstcc"): ["random_init(method=tstcc)", "raw", "supervised"],
        ("gunpoint", "tfc(temperature=0.5)"): [
            "random_init",
            "raw",
            "supervised(method.tfc.channel_independent=True)",
        ],
        ("gunpoint", "simclr"): ["random_init", "raw", "supervised"],
    }


def test_a_control_is_that_of_the_method_with_its_very_network():
    controls = ["random_init", "random_init(method.ts2vec.repr_dim=64)", "random_init(method=simclr)"]
    methods = ["ts2vec", "ts2vec(trainer.max_steps=9)", "ts2vec(repr_dim=64)", "simclr"]
    frame = results_frame({"gunpoint": 150}, [*controls, *methods], ("svm",), (0, 1))
    found = compared(read_results(frame))
    assert found == {("gunpoint", m): [c] for m, c in zip(methods, [controls[0], *controls])}
    less = compared(read_results(frame[frame["method"] != "random_init"]))
    assert less["gunpoint", "ts2vec"] == [controls[1]]  # that of its name, where none has its parameters
    tables = results_frame({"wine": 54}, ["random_init", "random_init(method=scarf)", "scarf"], ("svm",), (0, 1))
    assert compared(read_results(tables))["wine", "scarf"] == ["random_init", "random_init(method=scarf)"]


def test_one_untrained_network_is_the_control_of_all_recipes_that_start_from_it():
    controls = ["random_init(method=simclr)", "random_init(method=tstcc)"]
    methods = ["simclr", "byol", "autoencoder", "byol(pooling=max)", "ncl", "tstcc"]
    frame = results_frame({"gunpoint": 150}, [*controls, *methods], ("svm",), (0, 1))
    found = compared(read_results(frame))
    assert found == {("gunpoint", m): [controls[m == "tstcc"]] for m in ("simclr", "byol", "autoencoder", "tstcc")}
    own = results_frame({"gunpoint": 150}, ["random_init(method=byol)", *controls, *methods], ("svm",), (0, 1))
    one = compared(read_results(own))  # each once: by its own name, or the first
    assert one["gunpoint", "byol"] == one["gunpoint", "autoencoder"] == ["random_init(method=byol)"]
    assert one["gunpoint", "simclr"] == ["random_init(method=simclr)"]


def test_a_control_stands_in_only_where_a_data_set_has_no_own_one():
    series = results_frame(SERIES, ["random_init", "random_init(method=tstcc)", "ts2vec", "tstcc"], ("svm",), (0, 1))
    lost = (series["dataset"] == "gunpoint") & (series["method"] == "random_init(method=tstcc)")
    found = compared(read_results(series[~lost]))
    assert found["gunpoint", "tstcc"] == ["random_init"]
    assert found["italy_power_demand", "tstcc"] == ["random_init(method=tstcc)"]
    failed = series.assign(status=np.where(lost, "failed", "ok"))  # no other network stands in for a failed one
    assert ("gunpoint", "tstcc") not in compared(read_results(failed))


def test_verdicts_and_marks_name_the_control_of_the_method():
    methods = ["raw", *AROUND_NETWORKS, "ts2vec", "tstcc", "tfc"]
    frame = results_frame({"gunpoint": 150}, methods, ("svm",), (0, 1, 2))
    lines = format_table(frame, width=300).split("\n")
    verdicts = [line.split(" (mean")[0] for line in lines if " (mean" in line]
    words = r"beats|is worse than|is not shown to beat|does not beat|is not testable against"
    assert sorted(re.sub(words, "?", line) for line in verdicts) == [
        "tfc ? random_init", "tfc ? raw", "tfc ? supervised(method.tfc.channel_independent=True)",
        "ts2vec ? random_init", "ts2vec ? raw", "ts2vec ? supervised",
        "tstcc ? random_init(method=tstcc)", "tstcc ? raw", "tstcc ? supervised",
    ]  # fmt: skip
    found = comparison(read_results(frame), "accuracy")
    assert [(row["method"], row["control"]) for row in found["verdicts"] if row["method"] == "tstcc"] == [
        ("tstcc", "raw"), ("tstcc", "random_init(method=tstcc)"), ("tstcc", "supervised"),
    ]  # fmt: skip
    tables = result_tables(read_results(frame), "accuracy", found["lookup"])
    rows = {row["method"]: row for row in tables[0]["groups"][-1]["rows"]}
    assert [mark["control"] for mark in rows["tstcc"]["cells"][0]["marks"]] == [
        "raw", "random_init(method=tstcc)", "supervised",
    ]  # fmt: skip
    assert (
        "has the untrained network of that method and is compared with it, and with the methods that start"
        in Page(render_report(frame)).text
    )


def identified(frame):
    """The frame with what the store says of its methods."""
    known = [method_identity(as_config(m), kind) for m, kind in zip(frame["method"], frame["modality"])]
    of = [None if one["method_of"] is None else json.dumps(one["method_of"]) for one in known]
    identity = pd.DataFrame(known, index=frame.index).astype({"is_control": "Int64"})
    return frame.join(identity.assign(method_of=of))


@pytest.mark.slow
def test_stores_that_do_not_know_what_a_method_is_give_the_same_page(frame):
    mixed = identified(frame)
    older = mixed["seed"] == 0
    mixed.loc[older, ["method_name", "method_of", "is_control"]] = None
    assert render_report(identified(frame)) == render_report(mixed) == render_report(frame)


def test_what_a_method_is_comes_from_the_columns_and_not_from_its_name(monkeypatch):
    frame = identified(results_frame(SERIES, ["raw", "random_init(method=tstcc)", "tstcc"], ("svm",), (0, 1)))
    frame["method"] = frame["method"].map({"raw": "a", "random_init(method=tstcc)": "b", "tstcc": "c"})
    monkeypatch.setattr("kinview.evaluation.report.cells.method_identity", None)  # nothing is derived
    results = read_results(frame)
    assert results.controls == ("a", "b") and results.methods == ("a", "b", "c")
    assert compared(results)["gunpoint", "c"] == ["a", "b"]
    frame["is_control"] = 0
    assert read_results(frame).controls == ()


def test_a_control_of_a_method_that_is_not_installed_stays_a_control():
    frame = results_frame({"gunpoint": 150}, ["theirs", "random_init"], ("svm",), (0, 1))
    frame["method_config"] = frame["method_config"].replace('"random_init"', '{"random_init": {"method": "theirs"}}')
    assert compared(read_results(frame)) == {("gunpoint", "theirs"): ["random_init"]}


def test_table_fits_the_terminal_and_marks_the_best(frame):
    table = format_table(frame, probe="svm")
    assert max(map(len, table.split("\n"))) <= 100
    heads, below = (re.split(" {2,}", line.strip()) for line in table.split("\n")[2:4])
    assert heads[-2:] == ["missing 40 %", "label noise"] and below == ["20 %"]
    wine = frame[(frame["dataset"] == "wine") & (frame["probe"] == "svm") & frame["corruption"].isna()]
    clean = wine[wine["label_noise"].isna()].groupby("method")["accuracy"].mean()
    line = next(line for line in table.split("wine\n")[1].split("\n") if clean.idxmax() in line)
    assert re.match(rf"  {clean.idxmax()} +{clean.max():.3f} ± \d\.\d{{3}}\*", line)
    assert "! 45 probe fits hit their iteration limit" in table


def test_many_data_sets_and_methods_stay_within_the_width():
    methods = ["raw", "random_init", *[f"method_{i}" for i in range(9)], "ts2vec(repr_dim=64, hidden_dim=32, depth=5)"]
    frame = results_frame({f"set_{i:02d}": 100 for i in range(40)}, methods, ("svm",), (0, 1))
    table = format_table(frame)
    assert max(map(len, table.split("\n"))) <= 100
    assert table.count("\n  raw ") == 80  # the conditions need two blocks
    assert table.count("\n  ts2vec(repr_dim=64,") == table.count("\n    hidden_dim=32, depth=5)\n") == 80  # in full


@pytest.mark.slow
def test_a_large_page_holds_everything():
    methods = ["raw", "random_init", *[f"method_{i}" for i in range(9)], "ts2vec(repr_dim=64)"]
    frame = results_frame({f"set_{i:02d}": 100 for i in range(40)}, methods, ("svm",), (0, 1))
    page = render_report(frame, embeddings=some_embeddings(frame, rows=200))
    found = Page(page)
    assert "mean over 40 data sets" in found.text
    assert all(f"set_{i:02d}" in found.text for i in range(40))
    assert len(page) < 20_000_000


def test_unknown_metric_probe_and_frame_are_refused(frame):
    with pytest.raises(ValueError, match=r"metric='f2' is not in the results; choose one of: accuracy"):
        format_table(frame, "f2")
    with pytest.raises(ValueError, match=r"probe='mlp'; there are: linear, svm, xgboost"):
        format_table(frame, probe="mlp")
    with pytest.raises(ValueError, match="there are no results"):
        format_table(frame.iloc[:0])
    with pytest.raises(ValueError, match="not benchmark results: column 'probe' is missing"):
        render_report(frame.drop(columns="probe"))
    with pytest.raises(TypeError, match="must be a Benchmark or a mapping"):
        render_report(frame, benchmark=3)


def test_scatter_draws_each_row_once_and_subsamples_with_a_fixed_seed():
    z = np.random.default_rng(0).normal(size=(500, 6))
    y = np.arange(500) % 14
    whole = scatter_of({"raw": (z, y)}, max_points=500)
    assert whole.count("<use") == 500
    part = scatter_of({"raw": (z, y)}, max_points=60)
    assert part.count("<use") == 60
    assert part == scatter_of({"raw": (z, y)}, max_points=60)


@pytest.mark.parametrize(
    "z", [np.zeros((5, 3)), np.ones((5, 1)), np.full((5, 2), np.nan), np.eye(5), np.zeros((5, 0))], ids=str
)
def test_scatter_of_degenerate_embeddings_is_drawn(z):
    assert scatter_of({"raw": (z, np.arange(5))}).startswith("<svg")


def test_scatter_shows_the_components_of_largest_variance():
    z = np.random.default_rng(0).normal(size=(300, 3)) * [1.0, 10.0, 0.1]
    svg = scatter_of({"raw": (z, np.zeros(300))})
    assert re.search(r"PC 1 \(99%\)", svg)
    assert re.search(r"PC 2 \(1%\)", svg)


def test_scatter_refuses_an_embedding_without_a_class_per_row():
    with pytest.raises(ValueError, match=r"'raw' has shape \(4, 2\) and 3 classes"):
        scatter_of({"raw": (np.zeros((4, 2)), [0, 1, 2])})


def test_curves_need_a_factor_that_was_varied(frame):
    frame = frame[frame["dataset"] == "wine"]
    clean = frame[frame["corruption"].isna() & frame["label_noise"].isna()]
    assert curves_of(clean) is None
    assert "Degradation" not in Page(render_report(clean)).text
    svg = curves_of(frame)
    assert svg.count(">missing values (%), mcar<") == 3
    assert svg.count(">wrong training labels (%), symmetric<") == 3


@pytest.mark.parametrize("kind", ["tsne", "umap"])
def test_maps_of_neighbours_keep_what_is_apart_apart_and_are_the_same_each_time(kind):
    if kind == "umap":
        pytest.importorskip("umap")
    y = np.repeat([0, 1, 2], 30)
    z = np.random.default_rng(0).normal(size=(90, 8)) + 20 * np.eye(8)[y]
    points, names = _project(z, kind)
    assert points.shape == (90, 2) and len(set(names)) == 2
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag([np.inf] * 90)
    assert (y[distances.argmin(axis=1)] == y).all()
    np.testing.assert_array_equal(points, _project(z, kind)[0])
    for few in (z[:3], np.ones((20, 2)), z[:0]):
        assert np.isfinite(_project(few, kind)[0]).all()


def test_a_page_shows_the_maps_that_are_asked_for(frame):
    page = render_report(frame, embeddings=some_embeddings(frame), maps=["pca", "tsne"])
    assert "t-SNE 1" in page and "PC 1" in page
    with pytest.raises(ValueError, match="maps are a list of pca, tsne, umap, each once; got 'tsne'"):
        render_report(frame, maps="tsne")


def test_a_corruption_that_a_method_does_not_see_is_said():
    frame = results_frame()
    assert unseen_conditions(read_results(frame)) == {}
    wine = frame[frame["dataset"] == "wine"]
    clean = wine[wine["corruption"].isna() & wine["label_noise"].isna()]
    moved = clean.assign(corruption="jittered_times", severity=0.4, corrupt="both")
    moved.loc[moved["method"] == "pca", ["accuracy", "auroc"]] += 0.01
    results = read_results(pd.concat([frame, moved]))
    (condition,) = (name for name in results.conditions.index if name.startswith("jittered_times"))
    unseen = unseen_conditions(results)
    assert list(unseen) == [condition] and set(unseen[condition]) == set(clean["method"]) - {"pca"}
    assert f"{condition} changes no metric of {', '.join(unseen[condition])} with a probe in any cell." in " ".join(
        notices(results, "accuracy")
    )
