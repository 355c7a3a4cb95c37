"""``kinview explain``, as a user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kinview
from kinview import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main([*map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from kinview import MiniRocket, load

    return Path(MiniRocket(features=84, random_state=0).fit(load("gunpoint").X_train).save(
        tmp_path_factory.mktemp("models") / "m.safetensors"
    ))  # fmt: skip


def test_a_folder_gets_heat_maps_and_a_table(run: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    words = ("explain", "--model", model, "--dataset", "gunpoint", "--output", folder)
    code, out, err = run(*words, "--samples", "3,0", "--parameters.window", 30)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("series 0, class 1: channel_0 at ") and lines[1].startswith("series 3, class 1: ")
    assert lines[-1] == f"saved {folder}: 2 series of gunpoint (test), by occlusion"
    assert sorted(file.name for file in folder.iterdir()) == ["importance.parquet", "sample_0.png", "sample_3.png"]
    table = pd.read_parquet(folder / "importance.parquet")
    assert list(table) == ["sample", "step", "channel_0"] and table["sample"].unique().tolist() == [0, 3]
    for row in (0, 3):  # each under its own name, in whatever order they were asked for
        alone = kinview.explain(kinview.load_model(model), kinview.load("gunpoint").X_test[[row]], window=30)
        np.testing.assert_allclose(table.loc[table["sample"] == row, "channel_0"], alone.values[0, 0], atol=1e-12)
    assert run(*words, "--samples", 1)[0] == 0  # into the same folder
    assert pd.read_parquet(folder / "importance.parquet")["sample"].unique().tolist() == [1]


def test_rows_of_a_table_are_told_with_their_values(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "id": [f"P{i}" for i in range(40)], "age": rng.integers(20, 90, 40), "crp": rng.exponential(9, 40).round(1),
        "sex": np.where(rng.random(40) < 0.5, "f", "m"),
    })  # fmt: skip
    frame.to_csv(tmp_path / "x.csv", index=False)
    data = ("--data", tmp_path / "x.csv", "--index", "id")
    assert run("pretrain", *data, "--method", "raw", "--output", tmp_path / "m.safetensors")[0] == 0
    words = ("explain", "--model", tmp_path / "m.safetensors", *data)
    code, out, _ = run(*words, "--samples", 5, "--output", tmp_path / "y.csv")
    assert code == 0 and "row P5: " in out and f"crp = {frame['crp'][5]}" in out
    assert list(pd.read_csv(tmp_path / "y.csv")) == ["id", "age", "crp", "sex"]
    code, out, _ = run(
        *words, "--explainer", "{cortx: {permutations: 2, trainer: {max_steps: 2}}}", "--output", tmp_path / "y.pq"
    )
    assert code == 0 and out.endswith("4 rows of x.csv, by cortx\n") and len(pd.read_parquet(tmp_path / "y.pq")) == 4


def test_errors_say_what_to_do(run: Run, model: Path, tmp_path: Path) -> None:
    words = ("explain", "--model", model, "--dataset", "gunpoint")
    for more, message in (
        (("--output", tmp_path / "x.pdf"), "must be a folder, or a file that ends in .png, .svg, .parquet, .pq, .csv"),
        (("--output", tmp_path / "a" / "b"), "make it first"),
        (("--output", tmp_path / "f", "--samples", "0,150"), "there are 150 series, from 0 to 149"),
        (("--output", tmp_path / "f", "--explainer", "occlusoin"), "did you mean 'occlusion'?"),
        (("--output", tmp_path / "f", "--explainer", "integrated_gradients"), "explain it by occlusion"),
        (("--output", tmp_path / "f", "--parameters.widow", 3), "widow"),
        (
            ("--output", tmp_path / "f", "--samples", "a,b"),
            "--samples a,b: there are 150 series, from 0 to 149, called 0, 1,",
        ),
    ):
        code, _, err = run(*words, *more)
        assert code == 2 and message in err and err.count("\n") == 1, err
    assert list(tmp_path.iterdir()) == []


def test_samples_are_named_and_a_wrong_name_is_told_with_those_there_are(run: Run, tmp_path: Path) -> None:
    names = [f"P{i}" for i in range(38)] + ["901", "902"]
    file, model = tmp_path / "x.csv", tmp_path / "m.safetensors"
    pd.DataFrame({"id": names, "age": range(40), "crp": range(40, 0, -1)}).to_csv(file, index=False)
    data = ("--data", file, "--index", "id")
    assert run("pretrain", *data, "--method", "raw", "--output", model)[0] == 0
    words = ("explain", "--model", model, *data, "--output", tmp_path / "y.csv", "--samples")
    code, out, _ = run(*words, "P7,2")
    assert code == 0 and "row P2: " in out and "row P7: " in out and list(pd.read_csv(tmp_path / "y.csv")["id"]) == [
        "P2", "P7",
    ]  # fmt: skip
    code, _, err = run(*words, "P77")
    assert code == 2 and err.endswith(
        "--samples P77: there are 40 rows, from 0 to 39, called P0, P1, P2, P3, P4, ...\n"
    )
    assert "a whole number is a position: give 38 for 901" in run(*words, "901")[2]


def test_what_is_no_model_or_no_data_is_told(run: Run, model: Path, tmp_path: Path) -> None:
    file, disguised = tmp_path / "x.csv", tmp_path / "m.csv"
    file.write_text("a,b\n1,2\n3,4\n")
    disguised.write_bytes(model.read_bytes())
    output = ("--output", tmp_path / "y.csv")
    for command in ("embed", "explain", "retrieve", "probe"):
        written = () if command in ("retrieve", "probe") else output
        err = run(command, "--model", file, "--data", file, *written)[2]
        assert f"{file} is no model or checkpoint but data; data are read by kinview pretrain" in err
        err = run(command, "--model", model, "--data", model, *written)[2]
        assert ("m.safetensors is a model or a checkpoint" in err) != (command == "retrieve")  # whose model is refused
    for given in (model, disguised):
        assert "m.safetensors is a model or a checkpoint, which is not read: give data" in run("match", given, file)[2]
