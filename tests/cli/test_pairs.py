"""Methods of pairs from the command line: pretrain, embed, probe and retrieve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kinview
from kinview import PairedData
from kinview.cli import main
from kinview.diagnostics import nearest, nearest_sheet

SMALL = [
    "--parameters.series_encoder", "{dilated_conv: {repr_dim: 8, depth: 2}}",
    "--parameters.table_encoder", "{mlp: {hidden_dim: 16, depth: 1}}", "--trainer", "{max_steps: 60, lr: 0.01}",
]  # fmt: skip


@pytest.fixture(scope="module")
def stays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Waves whose phase is known from the table, which one stay lacks."""
    path = tmp_path_factory.mktemp("stays") / "stays.csv"
    phase = np.arange(40) / 6
    rows = [
        f"s{i},{t},{np.sin(t + phase[i]):.4f},{'' if i == 7 else f'{np.cos(phase[i]):.3f}'},"
        f"{'' if i == 7 else 'late' if phase[i] > 3 else 'early'},{int(phase[i] > 3)}"
        for i in range(40)
        for t in range(12)
    ]
    path.write_text("\n".join(["stay,hour,hr,level,shift,died", *rows]))
    return path


@pytest.fixture(scope="module")
def data(stays: Path) -> list[str]:
    return ["--data", str(stays), "--id", "stay", "--time", "hour", "--label", "died", "--static", "level,shift"]


@pytest.fixture(scope="module")
def model(stays: Path, data: list[str]) -> str:
    path = str(stays.parent / "model.safetensors")
    assert main(["pretrain", *data, "--method", "paired_clip", *SMALL, "--output", path]) == 0
    return path


def test_it_is_said_how_many_samples_have_both_sides(data, tmp_path, capsys):
    words = ["--method", "paired_clip", "--trainer.max_steps", "1", "--output", str(tmp_path / "m.safetensors")]
    assert main(["pretrain", *data, *words]) == 0
    assert "paired_clip fitted on 39 pairs (of 40 samples 1 lack the table) of stays.csv" in capsys.readouterr().out
    assert main(["pretrain", *data, "--static_to", "{pairs: [level, shifts]}", *words]) == 2
    said = capsys.readouterr().err
    assert "stays.csv: there is no static column 'shifts' to make pairs with; there are: level, shift" in said


def test_a_model_of_pairs_is_trained_embedded_and_probed(data, model, tmp_path, capsys):
    table = tmp_path / "z.csv"
    assert main(["embed", *data, "--model", model, "--output", str(table)]) == 0
    loaded, read = kinview.load_model(model), pd.read_csv(table)
    assert loaded.names_ == ("series", "table") and len(read) == 40
    assert read.filter(regex=r"^z\d").shape[1] == sum(loaded.method_.widths)
    capsys.readouterr()
    assert main(["probe", *data, "--model", model, "--probe", "ridge", "--test_fraction", "0.5"]) == 0
    assert float(capsys.readouterr().out.split("Accuracy")[1].split()[0]) > 0.9


def test_samples_find_the_other_side(data, model, tmp_path, capsys):
    assert main(["retrieve", *data, "--model", model]) == 0
    said = capsys.readouterr().out
    assert "39 samples of stays.csv with both sides" in said and "series → table" in said
    assert main(["retrieve", *data, "--model", model, "--query", "s3,s30", "--k", "2", "--output",
                 str(tmp_path / "found.csv")]) == 0  # fmt: skip
    said, found = capsys.readouterr().out, pd.read_csv(tmp_path / "found.csv")
    assert "series of s3 → table: nearest of 39" in said and "level" in said and "shift" in said
    assert found["query"].tolist() == ["s3", "s3", "s30", "s30"] and found["place"].tolist() == [1, 2, 1, 2]
    for suffix in ("png", "svg"):
        picture = tmp_path / f"found.{suffix}"
        words = ["--query", "s3", "--side", "table", "--output", str(picture)]
        assert main(["retrieve", *data, "--model", model, *words]) == 0
        assert picture.stat().st_size > 5_000


def test_places_and_probabilities_are_those_of_project_and_match(stays, model):
    estimator = kinview.load_model(model)
    frame = pd.read_csv(stays)
    table = frame.groupby("stay", sort=False)[["level", "shift"]].first()
    pairs = PairedData(series=frame.set_index(["stay", "hour"])[["hr"]], table=table)
    u, v = (estimator.project(pairs, side) for side in pairs.names)
    there = [i for i in range(40) if i != 7]
    found = nearest(estimator, pairs, ["s5", "s7"], side="series", k=39)
    for query, group in found.groupby("query"):
        row = pairs.index.get_loc(query)
        cosines = v[there] @ u[row]
        np.testing.assert_allclose(group["cosine"], np.sort(cosines)[::-1], atol=1e-6)
        assert group["probability"].sum() == pytest.approx(1, abs=1e-5)
        assert group["place"].tolist() == list(range(1, 40))
    of_5, of_7 = (found[found["query"] == name] for name in ("s5", "s7"))
    assert of_5.loc[of_5["own"], "place"].tolist() == of_5["own_place"].iloc[:1].tolist()
    assert not of_7["own"].any() and of_7["own_place"].isna().all()
    figure = nearest_sheet(pairs, found[found["place"] <= 3], side="series", name="stays")
    assert [axes.get_title("left").split("\n")[0] for axes in figure.axes[:2]] == [
        "s5",
        f"1. {of_5['sample'].iloc[0]}{' (its own)' if of_5['own'].iloc[0] else ''}",
    ]


def test_what_cannot_be_found_is_said(data, model, capsys, tmp_path):
    def error(*words: str) -> str:
        assert main(["retrieve", *data, "--model", model, *words]) == 2
        return capsys.readouterr().err

    assert "there is no sample 'nobody'; the samples are called 's0'" in error("--query", "nobody")
    assert "the sample 's7' lacks the side 'table'" in error("--query", "s7", "--side", "table")
    assert "--side must be series or table" in error("--query", "s3", "--side", "rows")
    assert "name samples with --query" in error("--output", str(tmp_path / "x.csv"))
    fewer = [word if word != "level,shift" else "level" for word in data]
    assert main(["retrieve", *fewer, "--model", model]) == 2
    assert "it is given level: name those of the model when the data are read (--static level,shift)" in (
        capsys.readouterr().err
    )
    to_one = ["--static_to", "{pairs: [level]}"]
    for command in (["retrieve"], ["explain", "--side", "table", "--output", str(tmp_path / "x.csv")]):
        assert main([*command, *data, "--model", model, *to_one]) == 2
        assert (
            "was fitted to the static column(s) level, shift, and of stays.csv it is given level: name those of the "
            "model, --static_to '{pairs: [level, shift]}'"
        ) in capsys.readouterr().err
    assert main(["retrieve", *data, "--model", model, "--static_to", "{probe: [level]}"]) == 2
    assert "here they go to pairs alone, --static_to '{pairs: [level, shift]}'" in capsys.readouterr().err
    other = str(tmp_path / "other.safetensors")
    assert main(["pretrain", *data, "--method", "summary", "--output", other]) == 0
    assert main(["retrieve", *data, "--model", other]) == 2
    assert "summary brings no two sides together" in capsys.readouterr().err
    words = ["--data", data[1], "--id", "stay", "--time", "hour", "--method", "paired_clip", "--output", other]
    assert main(["pretrain", *words]) == 2
    assert "stays.csv: there are no static columns to make pairs with" in capsys.readouterr().err
