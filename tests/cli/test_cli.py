"""The command line, as a user meets it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import kinview
from kinview import cli
from kinview.evaluation import Store
from kinview.evaluation.probes import probes
from kinview.files import read_tensors

TINY = ["--parameters", "{repr_dim: 8, hidden_dim: 4, depth: 1}", "--trainer.max_steps", "2"]
HEAVY = ("torch", "sktime", "xgboost", "sklearn", "matplotlib", "sqlalchemy")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; its exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "100")

    def command(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TS2Vec that two steps on GunPoint made."""
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    assert cli.main(["pretrain", "--dataset", "gunpoint", "--method", "ts2vec", *TINY, "--output", str(file)]) == 0
    return file


@pytest.fixture
def vitals(tmp_path: Path) -> Path:
    """A long-format table: 8 patients with 2 stays each, some temperatures missing."""
    draw = np.random.default_rng(0)
    rows = [
        (f"P{patient}", stay, step * 0.5, 60 + 20 * (patient % 2) + draw.normal(), temperature, patient % 2)
        for patient in reversed(range(8))
        for stay in range(2)
        for step, temperature in enumerate([37.0, None, 38.0, 37.5][: 2 + patient % 3])
    ]
    file = tmp_path / "vitals.csv"
    pd.DataFrame(rows, columns=["patient", "stay", "t", "hr", "temp", "died"]).to_csv(file, index=False)
    return file


def python(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "words", [["--help"], ["pretrain", "--help"], ["bench", "--help"], ["bench", "--threads", "x"]]
)
def test_asking_for_help_and_mistyping_load_nothing_heavy(words: list[str]) -> None:
    code = f"import sys, kinview.cli; kinview.cli.main({words!r}); print([m for m in {HEAVY!r} if m in sys.modules])"
    result = python("-c", code)
    assert result.stdout.splitlines()[-1] == "[]", result.stdout + result.stderr


def test_import_kinview_loads_nothing_heavy() -> None:
    result = python("-c", f"import sys, kinview; print([m for m in {(*HEAVY, 'numpy')!r} if m in sys.modules])")
    assert result.stdout == "[]\n"


def test_the_installed_program_shows_its_commands() -> None:
    result = python("-m", "kinview.cli", "--help")
    assert result.returncode == 0 and result.stderr == ""
    for name in (
        "pretrain",
        "embed",
        "probe",
        "views",
        "retrieve",
        "match",
        "explain",
        "bench",
        "report",
        "metrics",
        "export",
        "inspect",
        "info",
        "list",
    ):
        assert re.search(rf"^  {name}\s+\w", result.stdout, re.MULTILINE), name


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_explains_its_options(run: Run, command: str) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: kinview {command}") and "--config FILE" in out and "--print_config" in out
    assert not re.search(r":\w+:`|``|\(type: |default: null", out), "markup or types of Python in the help"


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"kinview {kinview.__version__}\n", "")


def test_pretrain_saves_what_the_python_interface_makes(model: Path) -> None:
    data = kinview.load("gunpoint")
    parameters = {"repr_dim": 8, "hidden_dim": 4, "depth": 1, "trainer": {"max_steps": 2}, "random_state": 0}
    expected = kinview.TS2Vec(**parameters).fit(data.X_train).transform(data.X_test)
    pd.testing.assert_frame_equal(kinview.load_model(model).transform(data.X_test), expected)


def test_embed_writes_index_split_label_and_representations(run: Run, model: Path, tmp_path: Path) -> None:
    data = kinview.load("gunpoint")
    table = tmp_path / "z.parquet"
    code, out, err = run("embed", "--model", model, "--dataset", "gunpoint", "--output", table)
    assert (code, out, err) == (0, f"saved {table}: 200 series of gunpoint, 8 dimensions\n", "")
    frame = pd.read_parquet(table)
    assert list(frame.columns) == ["series", "part", "label", *(f"z{i}" for i in range(8))]
    test = frame[frame["part"] == "test"]
    assert test["series"].tolist() == list(range(150)) and test["label"].tolist() == data.y_test.tolist()
    expected = kinview.load_model(model).transform(data.X_test).to_numpy()
    np.testing.assert_array_equal(test.filter(regex=r"^z\d+$").to_numpy(), expected)

    as_csv = tmp_path / "z.csv"
    assert run("embed", "--model", model, "--dataset", "gunpoint", "--output", as_csv, "--part", "test")[0] == 0
    np.testing.assert_allclose(pd.read_csv(as_csv).filter(regex=r"^z\d+$").to_numpy(), expected, rtol=1e-6)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["z.csv", "z.parquet"]


def test_a_model_is_adapted_to_other_channels(run: Run, model: Path, tmp_path: Path) -> None:
    data = kinview.load("basic_motions")
    table, result = tmp_path / "z.parquet", tmp_path / "result.json"
    embed = ("embed", "--model", model, "--dataset", "basic_motions", "--output", table)
    probe = ("probe", "--model", model, "--dataset", "basic_motions", "--probe", "knn", "--output", result)
    for words in (embed, probe):
        code, _, err = run(*words)
        assert code == 2 and "6 channel(s), but 1 at fit" in err and "--adapt true" in err
    with pytest.warns(UserWarning, match=r"X has 6 channel\(s\).*start anew: encoder\.input_fc"):
        expected = kinview.load_model(model).adapt(data.X_train).transform(data.X_test).to_numpy()
        assert run(*embed, "--adapt", "true")[0] == 0
        assert run(*probe, "--adapt", "true")[0] == 0
    frame = pd.read_parquet(table)
    found = frame[frame["part"] == "test"].filter(regex=r"^z\d+$").to_numpy()
    np.testing.assert_array_equal(found, expected)
    assert json.loads(result.read_text())["adapt"] is True


def test_what_has_nothing_to_adapt_says_so(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "raw.safetensors"
    assert run("pretrain", "--dataset", "wine", "--method", "raw", "--output", file)[0] == 0
    code, _, err = run("embed", "--model", file, "--dataset", "wine", "--output", tmp_path / "z.csv", "--adapt", "true")
    assert code == 2 and "--adapt true takes a model that was pre-trained on series" in err and "raw has no such" in err


def test_probe_prints_and_writes_the_metrics(run: Run, model: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    code, out, err = run("probe", "--model", model, "--dataset", "gunpoint", "--probe", "knn", "--output", result)
    assert (code, err) == (0, "")
    assert out.startswith("gunpoint: 50 train / 150 test, 1 channel, length 150, 2 classes, 0.0 % missing\n")
    stored = json.loads(result.read_text())
    assert stored["probe"] == {"knn": {"random_state": 0}} and stored["method"] == "ts2vec"
    for label, key in (("Accuracy", "accuracy"), ("Macro F1", "macro_f1"), ("AUPRC", "auprc")):
        assert re.search(rf"^  {label} +{stored['metrics'][key]:.4f}$", out, re.MULTILINE)

    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    data, estimator = kinview.load("gunpoint"), kinview.load_model(model)
    scaler = StandardScaler().fit(estimator.transform(data.X_train).to_numpy())
    z_train, z_test = (scaler.transform(estimator.transform(X).to_numpy()) for X in (data.X_train, data.X_test))
    expected = KNeighborsClassifier(1).fit(z_train, data.y_train).score(z_test, data.y_test)
    assert stored["metrics"]["accuracy"] == pytest.approx(expected)


def test_probe_auto_says_what_it_picked_and_writes_it(run: Run, model: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    words = ("--probe", "auto", "--probe_parameters.candidates", "[centroid, {knn: {k: 3}}]", "--output", result)
    code, out, err = run("probe", "--model", model, "--dataset", "gunpoint", *words)
    assert (code, err) == (0, "")
    found = re.search(r"^note: (picked (centroid|knn\(k=3\)) by accuracy on left-out training rows: .*)$", out, re.M)
    assert found and "centroid 0." in found[1] and "knn(k=3) 0." in found[1]
    stored = json.loads(result.read_text())
    assert stored["notes"] == [found[1]]

    data, estimator = kinview.load("gunpoint"), kinview.load_model(model)
    picked = probes.build("centroid" if found[2] == "centroid" else {"knn": {"k": 3}})
    predicted = picked.fit(estimator.transform(data.X_train), data.y_train).predict(estimator.transform(data.X_test))
    assert stored["metrics"]["accuracy"] == pytest.approx(np.mean(predicted == data.y_test))


def test_probe_parameters_reach_the_probe(run: Run, model: Path) -> None:
    words = ("probe", "--model", model, "--dataset", "gunpoint")
    code, _, err = run(*words, "--probe", "linear", "--probe_parameters.max_iter", 1)
    assert code == 0 and err == ""
    code, out, _ = run(*words, "--probe", "{linear: {max_iter: 1}}")
    assert code == 0 and "note: 1 fit of the probe stopped before convergence" in out


def test_a_learning_rate_is_a_number_however_it_is_written(run: Run, tmp_path: Path) -> None:
    small = "repr_dim: 4, hidden_dim: 4, depth: 1"
    config = tmp_path / "pretrain.yaml"
    config.write_text(
        f"{{dataset: gunpoint, method: ts2vec, parameters: {{{small}}}, trainer: {{max_steps: 1, lr: 1e-3}}, "
        f"output: {tmp_path / 'a.safetensors'}}}"
    )
    spec = f"{{ts2vec: {{{small}, trainer: {{max_steps: 1, lr: 1e-3}}}}}}"
    words = ["--dataset", "gunpoint", "--method"]
    options = ["ts2vec", "--parameters", f"{{{small}}}", "--trainer.max_steps", "1", "--trainer.lr", "1e-3"]
    assert run("pretrain", "--config", config)[0] == 0
    assert run("pretrain", *words, *options, "--output", tmp_path / "b.safetensors")[0] == 0
    assert run("pretrain", *words, spec, "--output", tmp_path / "c.safetensors")[0] == 0
    files = [(tmp_path / f"{name}.safetensors").read_bytes() for name in "abc"]
    assert files[0] == files[1] == files[2]
    assert kinview.load_model(tmp_path / "a.safetensors").trainer == {"max_steps": 1, "lr": 0.001}


def test_config_file_options_and_print_config_are_equal(run: Run, tmp_path: Path, model: Path) -> None:
    config = {
        "dataset": "gunpoint", "method": "ts2vec", "parameters": {"repr_dim": 8, "hidden_dim": 4, "depth": 1},
        "trainer": {"max_steps": 2}, "output": str(tmp_path / "from_config.safetensors"),
    }  # fmt: skip
    file = tmp_path / "pretrain.yaml"
    file.write_text(yaml.safe_dump(config))
    assert run("pretrain", "--config", file)[0] == 0
    assert (tmp_path / "from_config.safetensors").read_bytes() == model.read_bytes()

    code, printed, _ = run("pretrain", "--config", file, "--print_config")
    assert code == 0 and config.items() <= yaml.safe_load(printed).items()
    file.write_text(printed)
    assert yaml.safe_load(run("pretrain", "--config", file, "--print_config")[1]) == yaml.safe_load(printed)
    # An option wins wherever it stands, and the rest of a mapping stays.
    over = yaml.safe_load(run("pretrain", "--trainer.lr", "0.1", "--config", file, "--print_config")[1])
    assert over["trainer"] == {"max_steps": 2, "lr": 0.1}


def test_dashes_are_underscores(run: Run) -> None:
    words = ("--dataset", "gunpoint", "--method", "ts2vec", "--print_config")
    with_dashes = run("pretrain", "--random-state", 3, "--trainer.max-steps", 5, "--split-seed=7", *words)
    with_underscores = run("pretrain", "--random_state", 3, "--trainer.max_steps", 5, "--split_seed=7", *words)
    assert with_dashes == with_underscores
    parsed = yaml.safe_load(with_dashes[1])
    assert (parsed["random_state"], parsed["trainer"], parsed["split_seed"]) == (3, {"max_steps": 5}, 7)


def test_lists_are_written_with_commas_or_brackets(run: Run) -> None:
    def printed(*words: str) -> dict[str, object]:
        return yaml.safe_load(run("bench", *words, "--print_config")[1])  # type: ignore[no-any-return]

    short = printed("quickstart", "--seeds", "3,4", "--methods", "raw,{ts2vec: {depth: 2}}", "--datasets", "wine,12")
    long = printed(
        "quickstart", "--seeds=[3, 4]", "--methods", "[raw, {ts2vec: {depth: 2}}]", "--datasets", "[wine, '12']"
    )
    assert short == long
    assert short["seeds"] == [3, 4] and short["datasets"] == ["wine", "12"]
    assert short["methods"] == ["raw", {"ts2vec": {"depth": 2}}]
    assert short["severities"] == [0.2, 0.4], "what is not given comes from the named benchmark"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frob"], r"there is no command 'frob'"),
        (["list", "metods"], r"there is no family 'metods'; did you mean 'methods'\?"),
        (
            ["pretrain", "--dataset", "wine", "--outptu", "m"],
            r"--outptu.*; did you mean --output\? \(see kinview pretrain --help\)",
        ),
        (["pretrain", "--dataset", "wine"], r"method, output"),
        (["inspect"], r"file \(see kinview inspect --help\)"),
        (["pretrain", "--method"], r"--method"),
        (["bench", "quickstart", "1"], r"\b1 \(see kinview bench --help\)"),
        (["bench", "quickstart", "--seeds", "a"], r"seeds.*\ba\b"),
        (["bench", "quickstart", "--metric", "f1"], r"metric.*accuracy.*\bf1\b"),
        (["bench", "quikstart"], r"there is no benchmark config 'quikstart'; did you mean 'quickstart'\?"),
        (["bench"], r"give a benchmark: one that ships with the package \(.*quickstart.*\)"),
        (["bench", "quickstart", "--seeds", "1,1"], r"seeds must be different seeds, each given once; got \(1, 1\)"),
        (["bench", "quickstart", "--workers", "0"], "workers must be at least 1; got 0"),
        (["pretrain", "--config", "none.yaml"], r"config.*none.yaml"),
        (["pretrain", "--method", "raw", "--output", "m.safetensors"], r"give one of --dataset .*; none is given"),
        (["probe", "--model", "m", "--data", "a.csv", "--data_dir", "b"], r"it has no effect on --data"),
        (["probe", "--model", "m", "--dataset", "a", "--format", "ts"], r"--format ts describes a file"),
        (["probe", "--model", "m.safetensors", "--dataset", "wine"], r"there is no model file m.safetensors"),
        (["inspect", "none.safetensors"], r"there is no file none.safetensors"),
        (["report", "--store", "sqlite:///none.db"], r"there is no result store"),
    ],
)
def test_errors_are_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert code == 2 and out == ""
    assert err.startswith("kinview: error: ") and err.count("\n") == 1
    assert re.search(message, err), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "ts2vex"], r"unknown method 'ts2vex'; did you mean 'ts2vec'\?"),
        (["--method", "ts2vec", "--parameters.repr_dm", "3"], r"has no parameter 'repr_dm'; did you mean 'repr_dim'\?"),
        (["--method", "ts2vec", "--trainer.max_stps", "3"], r"trainer has no field 'max_stps'"),
        (["--method", "ts2vec", "--random_state", "x"], r"random_state.*\bx\b"),
        (["--method", "ts2vec", "--trainer", "3"], r"trainer.*\b3\b"),
        (["--method", "raw", "--trainer.max_steps", "3"], r"method 'raw' has no parameter 'trainer'"),
        (["--method", "scarf"], r"scarf reads tables, and gunpoint holds time series"),
        (["--method", "raw", "--output", "m.bin"], r"--output m.bin must end in .safetensors"),
        (["--method", "raw", "--output", "no/m.safetensors"], r"there is no folder no; make it first"),
    ],
)
def test_errors_of_pretrain(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("pretrain", "--output", "m.safetensors", "--dataset", "gunpoint", *words)
    assert code == 2 and err.count("\n") == 1
    assert re.search(message, err), err
    assert list(tmp_path.iterdir()) == []


def test_unknown_key_in_a_config_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("methd: ts2vec\n")
    code, _, err = run("pretrain", "--config", file)
    assert code == 2 and "'methd'" in err and err.count("\n") == 1
    file.write_text("method: [\n")
    code, _, err = run("pretrain", "--config", file)
    assert code == 2 and err.count("\n") == 1 and "pars" in err


def test_verbose_shows_the_traceback(run: Run) -> None:
    quiet, loud = run("inspect", "none.safetensors"), run("inspect", "none.safetensors", "--verbose")
    assert quiet[0] == loud[0] == 2
    assert "Traceback" not in quiet[2] and "Traceback" in loud[2] and loud[2].endswith(quiet[2])


def test_defects_keep_the_name_of_their_class(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(words: list[str], asked: object) -> int:
        raise KeyError("weights")

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert run("info") == (2, "", "kinview: error: KeyError: 'weights' (--verbose shows where)\n")


def test_interrupt_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(words: list[str], asked: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", stop)
    assert run("info") == (130, "", "kinview: interrupted\n")


def test_only_own_warnings_are_shown(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("a,b\n1,2\n3,4\n")

    class Library(kinview.TS2Vec):
        def fit(self, X: object, y: object = None, *, groups: object = None) -> Library:
            warnings.warn("something will be deprecated", FutureWarning, stacklevel=2)
            return super().fit(X[:, :, :1], y)  # type: ignore[index]

    monkeypatch.setattr("kinview.methods.methods.build", lambda spec, for_modality=None: Library(depth=1))
    monkeypatch.setattr("kinview.methods.methods.name_of", lambda part: "ts2vec")
    words = ("pretrain", "--data", file, "--modality", "time_series", "--method", "ts2vec")
    code, out, err = run(*words, "--output", tmp_path / "m.safetensors")
    assert code == 0 and "deprecated" not in err
    assert re.fullmatch(r"kinview: warning: Library keeps its initial weights: [^\n]*\n", err), err
    assert "2 series of short.csv" in out


def test_closed_pipe_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "kinview.cli", "list", "datasets"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), errors) == (141, b"")


def test_long_format_keeps_the_ids(run: Run, tmp_path: Path, vitals: Path) -> None:
    data = ("--data", vitals, "--id", "patient,stay", "--time", "t", "--columns", "hr,temp", "--label", "died")
    model, table = tmp_path / "m.safetensors", tmp_path / "z.parquet"
    code, out, _ = run("pretrain", *data, "--method", "ts2vec", *TINY, "--output", model)
    assert code == 0 and f"saved {model}: ts2vec fitted on 16 series of vitals.csv, 2 steps" in out
    assert kinview.load_model(model).channels_ == ("hr", "temp")

    assert run("embed", *data, "--model", model, "--output", table)[0] == 0
    frame = pd.read_parquet(table)
    assert list(frame.columns[:4]) == ["patient", "stay", "label", "z0"]
    truth = pd.read_csv(vitals).groupby(["patient", "stay"])["died"].first().reset_index()
    assert frame[["patient", "stay", "label"]].to_numpy().tolist() == truth.to_numpy().tolist()
    z = kinview.load_model(model).transform(kinview.datasets.read_path(vitals, id=["patient", "stay"], time="t",
                                                                       columns=["hr", "temp"]).X)  # fmt: skip
    np.testing.assert_array_equal(frame.filter(regex=r"^z\d").to_numpy(), z.to_numpy())

    code, _, err = run("embed", *data, "--model", model, "--output", table, "--part", "test")
    assert code == 2 and "vitals.csv has no train and test part" in err
    split = (*data, "--model", model, "--output", table, "--test_fraction", 0.25)
    assert run("embed", *split)[0] == 0
    sides = pd.read_parquet(table).groupby("patient")["part"].unique()
    assert sides.map(len).eq(1).all() and len(sides) == 8, "a patient is on one side"

    code, out, _ = run("probe", *data, "--model", model, "--probe", "knn")
    assert code == 0 and "vitals: 12 train / 4 test, 2 channels" in out


def test_one_row_a_measurement_resampled(run: Run, tmp_path: Path) -> None:
    file, model, table = tmp_path / "m.csv", tmp_path / "m.safetensors", tmp_path / "z.csv"
    rows = [(f"p{i}", f"w{i % 2}", 0.4 * t, what, i + t) for i in range(4) for t in range(9) for what in ("hr", "temp")]
    pd.DataFrame(rows, columns=["id", "ward", "t", "what", "x"]).to_csv(file, index=False)
    data = ("--data", file, "--id", "id", "--time", "t", "--variable", "what", "--value", "x", "--group", "ward")
    assert run("pretrain", *data, "--resample", 1, "--method", "raw", "--output", model)[0] == 0
    assert kinview.load_model(model).length_ == 4
    assert run("embed", *data, "--resample", 1, "--model", model, "--output", table)[0] == 0
    assert pd.read_csv(table)[["id", "ward"]].to_numpy().tolist() == [[f"p{i}", f"w{i % 2}"] for i in range(4)]


def test_index_column_that_the_table_needs(run: Run, tmp_path: Path) -> None:
    file, model = tmp_path / "m.csv", tmp_path / "m.safetensors"
    pd.DataFrame([(i, t, t, i % 2) for i in range(3) for t in range(5)], columns=["label", "t", "x", "y"]).to_csv(file)
    data = ("--data", file, "--id", "label", "--time", "t", "--columns", "x", "--label", "y")
    assert run("pretrain", *data, "--method", "raw", "--output", model)[0] == 0
    code, _, err = run("embed", *data, "--model", model, "--output", tmp_path / "z.csv")
    assert code == 2 and "index column 'label', which the table needs" in err


def test_wide_table_with_groups(run: Run, tmp_path: Path) -> None:
    file, model, table = tmp_path / "wide.csv", tmp_path / "m.safetensors", tmp_path / "z.parquet"
    rows = [(f"P{i // 2}", 30 + i, "FM"[i % 2], f"note {i}", i % 2) for i in range(20)]
    pd.DataFrame(rows, columns=["patient", "age", "sex", "note", "outcome"]).to_csv(file, index=False)
    data = ("--data", file, "--label", "outcome", "--group", "patient")
    trained = ("pretrain", *data, "--method", "scarf", "--trainer.max_epochs", 1, "--output", model)
    code, _, err = run(*trained)
    assert code == 2 and "'note'" in err
    assert run(*trained, "--drop", "note")[0] == 0
    assert run("embed", *data, "--drop", "note", "--model", model, "--output", table)[0] == 0
    frame = pd.read_parquet(table)
    assert list(frame.columns[:4]) == ["row", "patient", "label", "z0"] and frame["patient"].tolist() == [
        r[0] for r in rows
    ]
    code, out, _ = run("probe", *data, "--drop", "note", "--model", model, "--probe", "xgboost")
    assert code == 0 and "wide: 14 train / 6 test, 2 columns" in out
    code, out, _ = run("inspect", model)
    assert code == 0 and re.search(r"^columns +2: age \(numeric\), sex \(categorical\)$", out, re.MULTILINE)

    code, out, _ = run(*trained, "--index", "note")
    assert code == 0 and out.endswith("s; 2 columns: age, sex\n")
    assert run("embed", *data, "--index", "note,patient", "--model", model, "--output", table)[0] == 0
    frame = pd.read_parquet(table)
    assert list(frame.columns[:4]) == ["note", "patient", "label", "z0"] and frame["note"].tolist() == [
        r[3] for r in rows
    ]
    split = ("--test_fraction", 0.3, "--part", "test")
    assert run("embed", *data, "--index", "note", *split, "--model", model, "--output", table)[0] == 0
    test = pd.read_parquet(table).merge(frame, on="note", suffixes=("", "_all"))
    assert len(test) == 6
    np.testing.assert_allclose(test["z0"], test["z0_all"], rtol=1e-5)


def test_embed_keeps_site_and_time_beside_patient_and_stay(run: Run, tmp_path: Path, vitals: Path) -> None:
    frame = pd.read_csv(vitals)
    frame["site"] = frame["patient"].map({f"P{i}": "AB"[i % 2] for i in range(8)})
    frame["age"] = 50
    frame.to_csv(vitals, index=False)
    data = ("--data", vitals, "--id", "patient,stay", "--time", "t", "--columns", "hr,temp", "--label", "died",
            "--static", "site,age")  # fmt: skip
    model, table = tmp_path / "m.safetensors", tmp_path / "z.parquet"
    assert run("pretrain", *data, "--method", "ts2vec", *TINY, "--output", model)[0] == 0
    embed = ("embed", *data, "--model", model, "--output", table)
    assert run(*embed, "--keep", "static,time")[0] == 0
    kept = pd.read_parquet(table)
    assert list(kept.columns[:8]) == ["patient", "stay", "site", "age", "t_first", "t_last", "label", "z0"]
    truth = frame.groupby(["patient", "stay"]).agg(site=("site", "first"), first=("t", "min"), last=("t", "max"))
    found = kept.set_index(["patient", "stay"]).loc[truth.index]
    assert found[["site", "t_first", "t_last"]].to_numpy().tolist() == truth.to_numpy().tolist()
    assert run(*embed, "--keep", "site", "--test_fraction", 0.25)[0] == 0
    assert list(pd.read_parquet(table).columns[:5]) == ["patient", "stay", "site", "part", "label"]
    code, _, err = run(*embed, "--keep", "sex")
    assert code == 2 and "--keep sex: vitals.csv has no such column; its static columns are site, age" in err


def test_embed_says_what_the_data_have_not(run: Run, tmp_path: Path, model: Path) -> None:
    embed = ("embed", "--model", model, "--dataset", "gunpoint", "--output", tmp_path / "z.csv", "--keep")
    code, _, err = run(*embed, "time")
    assert code == 2 and "--keep time: the samples of gunpoint have no time stamps" in err
    code, _, err = run(*embed, "static")
    assert code == 2 and "--keep static: gunpoint has no such column, and no static columns (--static)" in err


def test_what_has_no_label_trains_and_is_embedded_but_not_probed(run: Run, tmp_path: Path, vitals: Path) -> None:
    frame = pd.read_csv(vitals)
    frame.assign(died=frame["died"].where(frame["patient"] != "P3")).to_csv(vitals, index=False)
    model, table = tmp_path / "m.safetensors", tmp_path / "z.parquet"
    data = ("--data", vitals, "--id", "patient,stay", "--time", "t", "--label", "died")
    code, out, _ = run("pretrain", *data, "--method", "raw", "--output", model)
    assert code == 0 and out.endswith("s; 2 channels: hr, temp\n")
    assert run("embed", *data, "--model", model, "--output", table)[0] == 0
    embedded = pd.read_parquet(table)
    assert embedded.loc[embedded["label"].isna(), "patient"].unique().tolist() == ["P3"]
    code, _, err = run("probe", *data, "--model", model)
    assert code == 2 and "the label of vitals is missing for" in err and err.count("\n") == 1

    wide = tmp_path / "wide.csv"
    columns = {f"lab_{i}": np.arange(20.0) ** i for i in range(1, 11)}
    pd.DataFrame(columns | {"outcome": [0, 1, None, 1] * 5}).to_csv(wide, index=False)
    data = ("--data", wide, "--label", "outcome")
    code, out, _ = run("pretrain", *data, "--method", "scarf", "--trainer.max_epochs", 1, "--output", model)
    assert code == 0 and out.endswith("; 10 columns: " + ", ".join(f"lab_{i}" for i in range(1, 9)) + " and 2 more\n")
    assert run("embed", *data, "--model", model, "--output", table)[0] == 0
    assert pd.read_parquet(table)["label"].isna().sum() == 5
    code, _, err = run("probe", *data, "--model", model)
    assert code == 2 and "the label of wide is missing for" in err


def test_targets_that_look_like_a_regression_are_pointed_out(run: Run, tmp_path: Path) -> None:
    file, model = tmp_path / "cost.csv", tmp_path / "m.safetensors"
    pd.DataFrame({"a": np.arange(60.0), "cost": np.arange(60) % 40}).to_csv(file, index=False)
    data = ("--data", file, "--label", "cost")
    assert run("pretrain", *data, "--method", "raw", "--output", model)[0] == 0
    code, _, err = run("probe", *data, "--model", model, "--probe", "knn")
    assert code == 0 and "kinview: warning: the labels of cost look like a regression target" in err
    assert "scored as 40 classes" in err
    folder = tmp_path / "data" / "cost"
    folder.mkdir(parents=True)
    file.rename(folder / "cost.csv")
    words = ("--datasets", "cost", "--data_dir", folder.parent, "--methods", "raw", "--probes", "knn")
    code, _, err = run("bench", *words, "--output_dir", tmp_path / "out")
    assert code == 0 and err.count("look like a regression target") == 1
    assert (tmp_path / "out" / "benchmark.html").is_file(), "a benchmark without a name is called benchmark"


def test_raw_features_pass_their_gaps_to_xgboost(run: Run, tmp_path: Path, vitals: Path) -> None:
    data = ("--data", vitals, "--id", "patient,stay", "--time", "t", "--label", "died", "--resample", 0.5)
    model, result = tmp_path / "raw.safetensors", tmp_path / "r.json"
    assert run("pretrain", *data, "--method", "raw", "--output", model)[0] == 0
    for probe in ("xgboost", "knn"):
        assert run("probe", *data, "--model", model, "--probe", probe, "--output", result)[0] == 0
        assert json.loads(result.read_text())["metrics"]["accuracy"] == 1.0


def test_training_goes_on_from_its_checkpoint(run: Run, tmp_path: Path) -> None:
    words = ("pretrain", "--dataset", "gunpoint", "--method", "ts2vec", *TINY[:2])
    kept = ("--trainer.checkpoint_dir", tmp_path / "checkpoints", "--output", tmp_path / "resumed.safetensors")
    assert run(*words, "--trainer.max_steps", 2, *kept)[0] == 0
    code, out, _ = run("inspect", tmp_path / "checkpoints" / "checkpoint.safetensors")
    assert (
        code == 0 and "checkpoint of a training" in out and re.search(r"^position +step 2, epoch 0", out, re.MULTILINE)
    )
    assert "optimizer (" in out and "method/encoder.input_fc.weight" in out
    code, out, _ = run(*words, "--trainer.max_steps", 4, *kept)
    assert code == 0 and ", 4 steps," in out
    assert run(*words, "--trainer.max_steps", 4, "--output", tmp_path / "straight.safetensors")[0] == 0
    resumed, straight = (read_tensors(tmp_path / f"{name}.safetensors")[0] for name in ("resumed", "straight"))
    assert resumed.keys() == straight.keys() and all(resumed[name].equal(straight[name]) for name in resumed)


def test_inspect_a_model(run: Run, model: Path) -> None:
    code, out, err = run("inspect", model)
    assert (code, err) == (0, "")
    tensors = read_tensors(model)[0]
    weights = sum(tensor.numel() for tensor in tensors.values())
    assert f"{model}, " in out and "its SHA-256 is right" in " ".join(out.split())
    for pattern in (
        r"method +ts2vec",
        r"parameters +repr_dim: 8",
        r"channels +1: channel_0",
        rf"weights +{weights:,} in",
    ):
        assert re.search(rf"^{pattern}", out, re.MULTILINE), pattern
    for name, tensor in tensors.items():
        shape = " x ".join(map(str, tensor.shape))
        assert re.search(rf"^{re.escape(name)} +{shape or 'scalar'} +float32$", out, re.MULTILINE)


def test_inspect_what_is_damaged(run: Run, model: Path, tmp_path: Path) -> None:
    content = bytearray(model.read_bytes())
    content[-3] ^= 1
    cases = {
        "flipped": (bytes(content), "is damaged"),
        "cut": (bytes(content[:-50]), "not a readable safetensors file"),
        "text": (b"a,b\n1,2\n", "not a readable safetensors file"),
        "empty": (b"", "not a readable safetensors file"),
    }
    for name, (data, message) in cases.items():
        file = tmp_path / name
        file.write_bytes(data)
        code, out, err = run("inspect", file)
        assert (code, out) == (2, "") and message in err and err.count("\n") == 1, name
        code, _, err = run("embed", "--model", file, "--dataset", "gunpoint", "--output", tmp_path / "z.csv")
        assert code == 2 and err.count("\n") == 1 and not (tmp_path / "z.csv").exists()


def test_list_names_every_part(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from kinview._cli.list import FAMILIES, _registry

    monkeypatch.delenv("KINVIEW_DATA", raising=False)
    code, out, _ = run("list")
    assert code == 0
    for family in FAMILIES:
        registry = _registry(family)
        assert re.search(rf"^{family} +{len(registry)} part", out, re.MULTILINE)
        code, rows, _ = run("list", family)
        assert code == 0 and rows.startswith("name ")
        for name in registry:
            assert re.search(rf"^{name}  .*(time_series|tabular|paired|embedding|any)", rows, re.MULTILINE), name
        assert max(map(len, rows.splitlines())) <= 100
    (tmp_path / "MySet").mkdir()
    code, rows, _ = run("list", "methods", "--modality", "paired")
    assert code == 0 and re.findall(r"^(\w+)  .*paired", rows, re.MULTILINE) == [
        "clap", "convirt", "factor_cl", "lit", "mmcl", "paired_clip", "paired_embedding", "side_by_side", "siglip",
        "three_towers",
    ]  # fmt: skip
    tabular = run("list", "methods", "--modality", "tabular")[1]
    assert "scarf" in tabular and "moco " in tabular and "ts2vec " not in tabular and "siglip" not in tabular
    assert (
        "--modality must be time_series, tabular or paired; got 'image'"
        in run("list", "methods", "--modality", "image")[2]
    )
    assert run("list", "--modality", "paired")[0] == 2
    assert "MySet" in run("list", "datasets", "--data-dir", tmp_path)[1]


def test_info(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    monkeypatch.setenv("KINVIEW_DATA", str(tmp_path))
    code, out, _ = run("info")
    assert code == 0
    expected = {
        "kinview": kinview.__version__,
        "torch": importlib.metadata.version("torch"),
        "pandas": pd.__version__,
        "devices": "cpu",
        "threads": f"torch uses {torch.get_num_threads()}",
        "KINVIEW_DATA": f"{tmp_path} (0 folders)",
    }
    for name, value in expected.items():
        assert re.search(rf"^{re.escape(name)} +{re.escape(value)}", out, re.MULTILINE), name
    monkeypatch.setenv("KINVIEW_DATA", str(tmp_path / "none"))
    assert "none (there is no such folder)" in run("info")[1]


def test_the_same_cut_in_both_commands_keeps_test_samples_apart(run: Run, tmp_path: Path) -> None:
    file, model, table, result = (tmp_path / name for name in ("w.csv", "m.safetensors", "p.parquet", "r.json"))
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(draw.normal(size=(60, 3)), columns=list("abc"))
    rows = rows.assign(id=[f"p{i // 2}" for i in range(60)], site=list("AABBCC") * 10, died=np.arange(60) // 2 % 2)
    rows.to_csv(file, index=False)
    data = ("--data", file, "--label", "died", "--group", "id", "--static", "site")
    site = ("--split", "{leave_one_group_out: {group: site}}", "--fold", 1)
    training = ("--method", "scarf", "--trainer.max_steps", 2, "--output", model)
    code, out, _ = run("pretrain", *data, *site, *training)
    assert code == 0 and "fitted on 40 rows of w (train)" in out and "site (static)" in out
    assert Path(f"{model}.seen").is_file()
    code, out, _ = run("probe", *data, *site, "--model", model, "--predictions", table)
    assert code == 0 and "w: 40 train / 20 test" in out
    assert "note: none of the 20 test samples was seen in pre-training" in out
    assert f"saved {table}: 20 test samples, by name" in out
    said = pd.read_parquet(table)
    assert list(said.columns) == ["sample", "group", "y", "predicted", "score:0", "score:1"]
    assert set(said["group"]) == set(rows.loc[rows["site"] == "B", "id"])
    code, out, _ = run("pretrain", *data, *training)
    assert code == 0 and "fitted on 60 rows of w.csv" in out
    code, out, _ = run("probe", *data, *site, "--model", model, "--output", result)
    assert (
        "note: 20 of 20 test samples were seen in pre-training (20 by the values of the row, 0 by its name): --spl"
        in out
    )
    assert json.loads(result.read_text())["seen"] == {"samples": 20, "seen": 20, "values": 20, "names": 0, "groups": 0}
    Path(f"{model}.seen").unlink()
    _, out, _ = run("probe", *data, "--split", "holdout", "--model", model)
    assert f"whether pre-training has seen test samples is not known: there is no {model}.seen" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fold", 2), "--fold 2 is a fold of --split; give that too"),
        (("--split", "holdout", "--fold", 1), "--fold 1 is none of wine, which --split cuts into 1 fold"),
        (("--split", "holdout", "--test_fraction", 0.2), "give --split or --test_fraction"),
        (("--split", "holdouts"), "did you mean 'holdout'"),
        (("--split", "{temporal: {time: year}}"), "time='year' is no static column of the data set 'wine'"),
    ],
)
def test_cuts_that_make_no_sense_are_refused(run: Run, tmp_path: Path, words: Any, message: str) -> None:
    model = tmp_path / "m.safetensors"
    code, _, err = run("pretrain", "--dataset", "wine", "--method", "raw", "--output", model, *words)
    assert code == 2 and message in err and not model.exists()


def test_bench_and_report(run: Run, tmp_path: Path) -> None:
    config = {"name": "tiny", "datasets": ["wine", "iris"], "methods": ["raw"], "probes": ["knn"], "seeds": [0, 1]}
    config["controls"] = "none"
    file, folder = tmp_path / "tiny.yaml", tmp_path / "results"
    file.write_text(yaml.safe_dump(config))
    code, out, err = run("bench", file, "--output_dir", folder)
    assert code == 0 and "tiny: 4 cells, 0 of them in the store" in err
    assert "accuracy on the test set" in out and "wine" in out
    page = Path(out.splitlines()[-1])
    assert page == folder / "tiny.html" and "<html" in page.read_text()

    file.write_text(yaml.safe_dump(config | {"store": "sqlite:///r.db"}))
    code, _, err = run("bench", file, "--output_dir", folder)
    assert code == 2 and "store is an option of the command: give --store, or use --config FILE" in err
    file.write_text(yaml.safe_dump(config | {"datasets": ["wine", {"iris": {"test_fraction": 0.3}}]}))

    again, out_again, err = run("bench", "--config", file, "--output-dir", folder)
    assert again == 0 and "4 cells, 4 of them in the store" in err and out_again == out

    code, out, err = run("bench", file, "--output_dir", folder, "--datasets", "wine", "--seeds", 0, "--name", "less")
    assert code == 0 and "less: 1 cells, 1 of them in the store" in err and "iris" not in out

    paired = ("--probes", "[knn, centroid]", "--reference", "raw/knn")
    code, out, _ = run("bench", file, "--output_dir", tmp_path / "paired", *paired)
    assert code == 0 and "accuracy over data sets, paired with raw with the probe knn" in out
    assert "Over data sets, against raw with the probe knn" in (tmp_path / "paired" / "tiny.html").read_text()
    code, _, err = run("bench", file, "--output_dir", folder, "--reference", "raw/svm")
    assert code == 2 and "--reference raw/svm has no probe of these results; give METHOD/PROBE with one of" in err

    store = f"sqlite:///{folder}/results.db"
    code, _, err = run("report", "--store", store)
    assert code == 2 and "holds the benchmarks less, tiny; choose one with --benchmark" in err
    table = tmp_path / "cells.csv"
    files = ("--csv", table, "--output", tmp_path / "r.html")
    code, out, _ = run("report", "--store", store, "--benchmark", "tiny", *files, "--metric", "auroc")
    assert code == 0 and "auroc on the test set" in out and f"saved {table}: 4 cells" in out
    assert pd.read_csv(table)["dataset"].tolist() == ["wine", "wine", "iris", "iris"]
    assert "tiny" in (tmp_path / "r.html").read_text()
    code, _, err = run("report", "--store", store, "--benchmark", "mine")
    assert code == 2 and "no benchmark 'mine'; it holds less, tiny" in err


@pytest.mark.slow
def test_bench_exits_with_3_where_cells_failed(run: Run, tmp_path: Path) -> None:
    config = {
        "name": "diverges", "datasets": ["italy_power_demand"], "probes": ["knn", "linear"],
        "methods": ["raw", {"ts2vec": {"repr_dim": 4, "depth": 1, "trainer": {"lr": 1e30, "max_steps": 5}}}],
    }  # fmt: skip
    file = tmp_path / "diverges.yaml"
    file.write_text(yaml.safe_dump(config))
    code, out, err = run("bench", file, "--output_dir", tmp_path)
    assert code == 3 and out.endswith(f"{tmp_path / 'diverges.html'}\n")
    told = [line for line in err.splitlines() if line.startswith("kinview: failed: ")]
    assert len(told) == 1 and "and 1 more: FloatingPointError: the loss is" in told[0]
    code, _, err = run("bench", file, "--output_dir", tmp_path)
    assert code == 3 and "failed earlier and stay so; --retry_failed tries them again" in err
    code, out, _ = run("bench", file, "--output_dir", tmp_path, "--retry-failed", "--dry-run")
    assert code == 0 and "(2 to compute)" in out and "without 1 model" in out
    assert run("bench", file, "--output_dir", tmp_path, "--retry_failed")[0] == 3
    assert sorted(Store(f"{tmp_path}/results.db").frame()["attempts"]).count(2) == 2


def test_bench_says_what_a_shard_leaves_and_the_last_run_writes_the_report(run: Run, tmp_path: Path) -> None:
    words = ("bench", "--datasets", "iris", "--methods", "raw", "--probes", "knn", "--controls", "none")
    words += ("--seeds", "0,1", "--output_dir", str(tmp_path))
    code, out, _ = run(*words, "--dry_run", "--shard", "1/2")
    assert code == 0 and "shard 1/2" in out and "no estimate of the time" in out and not list(tmp_path.iterdir())
    code, out, _ = run(*words, "--shard", "1/2")
    assert code == 0 and "1 of 2 cells are in" in out and not list(tmp_path.glob("*.html"))
    code, out, _ = run(*words, "--shard", "2/2")
    assert code == 0 and "2 cells in" in out and list(tmp_path.glob("*.html"))
    code, _, err = run(*words, "--shard", "3/2")
    assert code == 2 and "a shard is one of 1/2 to 2/2" in err


@pytest.mark.slow
def test_interrupted_training_continues(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "kinview.cli", "pretrain", "--dataset", "gunpoint", "--method", "ts2vec"]
    words += ["--parameters", "{repr_dim: 16, depth: 3}", "--trainer.max_steps", "240"]
    kept = ["--trainer.checkpoint_dir", str(tmp_path / "c"), "--trainer.checkpoint_every", "1"]
    output = ["--output", str(tmp_path / "m.safetensors")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*words, *kept, *output], stderr=subprocess.PIPE, text=True, env=environment)
    while not (tmp_path / "c" / "checkpoint.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == f"kinview: interrupted: the same command continues from {tmp_path / 'c'}\n"
    assert not (tmp_path / "m.safetensors").exists()
    done = subprocess.run([*words, *kept, *output], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0 and ", 240 steps," in done.stdout
    straight = [*words, "--output", str(tmp_path / "straight.safetensors")]
    assert subprocess.run(straight, capture_output=True, timeout=300, env=environment).returncode == 0
    resumed, whole = (read_tensors(tmp_path / f"{name}.safetensors")[0] for name in ("m", "straight"))
    assert all(resumed[name].equal(whole[name]) for name in whole)


def test_how_a_text_file_is_written_is_said_by_options(run: Run, tmp_path: Path) -> None:
    file, model, table = tmp_path / "x.csv", tmp_path / "x.safetensors", tmp_path / "z.csv"
    file.write_text("007|0|70,5|-\n007|1|1.071,5|1,5\n07|0|n.d.|2,5\n")
    data = ("--data", file, "--id", 0, "--time", "1", "--header", "false", "--sep", "|", "--decimal", ",")
    data += ("--thousands", ".", "--na_values", "-,n.d.")
    code, said, _ = run("pretrain", *data, "--method", "raw", "--output", model)
    assert code == 0 and re.sub(r"\d+\.\d s", "SECONDS", said) == (
        f"read x.csv: 2 channels: x2, x3; apart from these: 0 (id), 1 (time)\nsaved {model}: raw fitted on 2 series of "
        f"x.csv, SECONDS; 2 channels: x2, x3\n"
    )
    by_column = (*data[:-1], '{"x2": "n.d.", "x3": ["-"]}')
    assert run("embed", *by_column, "--model", model, "--output", table)[0] == 0
    assert [line.split(",")[0] for line in table.read_text().splitlines()] == ["x0", "007", "07"]
    code, _, said = run("pretrain", *data[:-2], "--method", "raw", "--output", model)
    assert (
        code == 2 and "column 'x2' is numeric but for 'n.d.' in line 3; name it as missing (--na_values n.d.)" in said
    )


def test_codes_are_categories_where_the_command_says_so(run: Run, tmp_path: Path) -> None:
    file, model = tmp_path / "x.csv", tmp_path / "x.safetensors"
    rows = "".join(f"{100 + i % 40}{'A' * (i % 5 == 0)},{i * 7 % 5}.5,{i % 2}\n" for i in range(60))
    file.write_text("room,x,y\n" + rows)
    data = ("--data", file, "--label", "y", "--method", "raw", "--output", model)
    code, _, said = run("pretrain", *data)
    assert code == 2 and "column 'room' is numeric but for '100A' in line 2" in said and "--categorical" in said
    assert run("pretrain", *data, "--categorical", "room")[0] == 0


def test_the_classes_and_groups_that_were_read_are_listed(run: Run, tmp_path: Path) -> None:
    file, model = tmp_path / "x.csv", tmp_path / "x.safetensors"

    def said(*words: object) -> str:
        code, out, err = run("pretrain", "--data", file, *words, "--method", "raw", "--output", model)
        assert (code, err) == (0, "")
        return out.splitlines()[0]

    file.write_text("age,state,score,code,site\n40.5,ill,0.5,1,a\n41.5,well,1.0,2,b\n42.5,ill,,3,a\n43.5,,2.5,4,a\n")
    for label, classes in {
        "state": "2 classes: ill (2), well (1), 1 without a label; 2 groups",
        "score": "numeric target from 0.5 to 2.5, 1 without a label; 2 groups",
        "code": "4 classes: 1 (1), 2 (1), 3 (1), 4 (1); 2 groups",
    }.items():
        others = [name for name in ("state", "score", "code") if name != label]
        line = said("--label", label, "--group", "site", "--drop", ",".join(others))
        apart = f"{label} (label), site (group), {others[0]} (drop), {others[1]} (drop)"
        assert line == f"read x.csv: 1 column: age; apart from these: {apart}; {classes}"
    grades = ("--label", "score", "--as_classes", "true", "--drop", "state,code,site")
    assert said(*grades).endswith("; 3 classes: 0.5 (1), 1.0 (1), 2.5 (1), 1 without a label")
    file.write_text("age,state\n" + "".join(f"{i}.5,{i % 14}\n" for i in range(28)))
    shown = ", ".join(f"{i} (2)" for i in range(10))
    assert said("--label", "state").endswith(f"; 14 classes: {shown}, ... (14 in all)")
    assert said("--label", "state", "--test_fraction", 0.5).endswith(f"; 14 classes: {shown}, ... (14 in all)")
    file = tmp_path / "x.tsv"
    file.write_text("1\t0.5\t1.5\n2\t0.5\t2.5\n1\t0.5\t3.5\n")
    assert said() == "read x.tsv: 1 channel; 2 classes: 1 (2), 2 (1)"


def test_half_points_are_scored_as_classes_where_that_is_said(run: Run, tmp_path: Path) -> None:
    file, model = tmp_path / "x.csv", tmp_path / "x.safetensors"
    file.write_text("hours,grade\n" + "".join(f"{i % 3}.{i},{[0.5, 1.0, 1.5][i % 3]}\n" for i in range(10, 40)))
    data = ("--data", file, "--label", "grade")
    assert run("pretrain", *data, "--method", "raw", "--output", model)[0] == 0
    code, _, err = run("probe", *data, "--model", model)
    assert code == 2 and "numbers with fractions as labels" in err
    code, out, _ = run("probe", *data, "--model", model, "--as_classes", "true")
    assert code == 0 and "3 classes: 0.5 (10), 1.0 (10), 1.5 (10)" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("label: no", "label=False is no name of a column; YAML reads no, off or false without quotes as False"),
        ("group: yes", "group=True is no name of a column; YAML reads yes, on or true without quotes as True"),
        ("drop: [age, off]", "drop=False is no name of a column"),
        ("index: [no]", "index=False is no name of a column"),
        ("label: 1.5", "label=1.5 is no name of a column; YAML reads 1.5 without quotes as a number"),
        ("group: 1", "group=1: give the name of a column, or its position, as text in quotes: group: '1'"),
        ("na_values: [no]", "na_values holds False, which is no cell"),
        ("na_values: {no: ['-']}", "the key False of na_values is no name of a column"),
        ("reader_options: {label: no}", "label=False is no name of a column"),
    ],
)
def test_a_word_of_yaml_that_is_no_name_says_to_quote_it(run: Run, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "x.csv").write_text("age,no,b\n40.5,0,1.5\n41.5,1,-999\n")
    config = tmp_path / "x.yaml"
    config.write_text(f"data: {tmp_path / 'x.csv'}\n{line}\n")
    words = ("pretrain", "--config", config, "--method", "raw", "--output", tmp_path / "m.safetensors")
    code, _, err = run(*words)
    assert code == 2 and err.startswith(f"kinview: error: {message}") and err.count("\n") == 1
    config.write_text(f"data: {tmp_path / 'x.csv'}\nlabel: 'no'\nna_values: [-999]\n")
    code, out, _ = run(*words)
    assert code == 0 and "2 columns: age, b; apart from these: no (label); 2 classes: 0 (1), 1 (1)" in out


def test_what_stands_above_a_table_is_said_by_options(run: Run, tmp_path: Path) -> None:
    file, model = tmp_path / "x.csv", tmp_path / "x.safetensors"
    file.write_bytes("# made by ü\ngröße,#,died\nm,kg,\n1.5,7.5,0\n2.5,6.5,1\n".encode("latin-1"))
    fit = ("pretrain", "--data", file, "--method", "raw", "--output", model)
    said = "read x.csv: 2 columns: größe, died\n"
    options = ("--skiprows", "[0, 2]", "--encoding", "latin-1", "--drop", "#")
    code, out, _ = run(*fit, *options)
    assert code == 0 and out.startswith(said.replace("\n", "; apart from these: # (drop)\n"))
    code, out, _ = run(*fit, "--skiprows", 1, "--encoding", "latin-1", "--label", "#", "--header", "true")
    assert code == 2  # the units below the names
    file.write_text("# made by x\ngröße;died\n1.5;0\n2.5;1\n")
    (tmp_path / "options.yaml").write_text("comment: '#'\n")
    for given in (("--comment", "#"), ("--comment=#",), ("--config", tmp_path / "options.yaml")):
        code, out, _ = run(*fit, *given)
        assert code == 0 and out.startswith(said), out
    file.write_text("größe;#\n1.5;a\n2.5;b\n")
    code, out, _ = run(*fit, "--label", "#")
    assert code == 0 and out.startswith(
        "read x.csv: 1 column: größe; apart from these: # (label); 2 classes: a (1), b (1)\n"
    )


def test_inspect_says_which_command_a_file_is_for(run: Run, tmp_path: Path, model: Path) -> None:
    for name, command in {
        "x.csv": "data are read by kinview pretrain --data",
        "x.parquet": "data are read by kinview pretrain --data",
        "x.tsv": "kinview views --data",
        "r.db": "kinview report --store sqlite:///",
        "b.yaml": "kinview bench",
        "x.sav": "is an SPSS file, which is not read: pandas.read_spss",
    }.items():
        (tmp_path / name).write_text("a,b\n1,2\n")
        code, out, err = run("inspect", tmp_path / name)
        assert (code, out) == (2, "") and command in err and name in err, err
    code, _, err = run("inspect", tmp_path)
    assert code == 2 and "is no model or checkpoint but a folder" in err
    (tmp_path / "model.dat").write_bytes(model.read_bytes())  # whatever it is called
    assert run("inspect", tmp_path / "model.dat")[0] == 0


def test_a_method_that_trains_with_labels_gets_them(run: Run, tmp_path: Path) -> None:
    words = ("pretrain", "--dataset", "italy_power_demand", "--method", "sup_con", "--trainer.max_steps", "2")
    code, out, err = run(*words, "--output", tmp_path / "m.safetensors")
    assert code == 0 and "sup_con fitted on 67 series" in out, err
