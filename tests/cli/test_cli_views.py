"""``kinview views``, as a user meets it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from kinview import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["views", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return command


def svg_texts(file: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text")]


def test_a_sheet_of_series_as_png(run: Run, tmp_path: Path) -> None:
    import matplotlib.image

    file = tmp_path / "sheet.png"
    words = ("--dataset", "gunpoint", "--augmentation", "permutation", "--output", file)
    assert run(*words) == (0, f"saved {file}: 4 series of gunpoint and their views\n", "")
    picture = matplotlib.image.imread(file)
    assert picture.shape[0] > 600 and picture.shape[1] > 900 and picture[..., :3].min() < 0.3
    first = file.read_bytes()
    assert run(*words)[0] == 0 and file.read_bytes() == first
    assert run(*words, "--seed", 1)[0] == 0 and file.read_bytes() != first
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_an_svg_says_what_is_drawn(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sheet.svg"
    spec = "[{jitter: {sigma: 0.1}}, permutation]"
    code, out, err = run(
        "--dataset", "basic_motions", "--augmentation", spec, "--samples", 2, "--views", 3,
        "--channels", "channel_5,1", "--output", file, "--part", "test", "--sampling_rate", 10,
    )  # fmt: skip
    assert (code, err) == (0, "") and out.startswith(f"saved {file}: 2 series of basic_motions")
    texts = svg_texts(file)
    assert texts[0] == "[{jitter: {sigma: 0.1}}, permutation]" or spec in texts
    assert "basic_motions (test), 2 of 6 channels, seed 0" in texts
    assert [text for text in texts if text.startswith("view ")] == ["view 1", "view 2", "view 3"]
    assert texts.count("channel_5") == texts.count("channel_1") == 2 and "channel_0" not in texts
    assert texts.count("time (s)") == 4
    assert len([text for text in texts if re.fullmatch(r"series \d+, class \w+", text)]) == 2


def test_a_table_with_categories_and_gaps(run: Run, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"age": draw.normal(size=40).round(2), "ward": draw.choice(["icu", "er"], 40)})
    frame.loc[::3, "age"] = None
    frame["died"] = draw.integers(0, 2, 40)
    frame.to_csv(tmp_path / "patients.csv", index=False)
    classes = ", ".join(f"{label} ({number})" for label, number in frame["died"].value_counts().sort_index().items())
    file = tmp_path / "sheet.svg"
    words = ("--data", tmp_path / "patients.csv", "--label", "died", "--augmentation", "scarf", "--samples", 5)
    assert run(*words, "--output", file) == (
        0,
        f"read patients.csv: 2 columns: age, ward; apart from these: died (label); 2 classes: {classes}\n"
        f"saved {file}: 5 rows of patients.csv and their views\n",
        "",
    )
    texts = svg_texts(file)
    assert {"column_corruption", "recipe scarf, patients.csv, seed 0", "age", "ward", "changed"} <= set(texts)
    assert texts.count("icu") + texts.count("er") == 15


def test_parameters_reach_the_augmentation(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sheet.svg"
    words = ("--dataset", "gunpoint", "--output", file, "--samples", 1)
    assert run(*words, "--augmentation", "jitter", "--parameters.sigma", 0.25, "--strength", 0.5)[0] == 0
    assert {"{jitter: {sigma: 0.125}}", "gunpoint, strength 0.5, seed 0"} <= set(svg_texts(file))
    assert run(*words, "--augmentation", "crop_pair")[0] == 0  # several views at once
    assert "view 2" in svg_texts(file)
    config = tmp_path / "sheet.yaml"
    config.write_text(f"augmentation: [{{scaling: {{}}}}]\noutput: {file}\ndataset: gunpoint\n")
    assert run("--config", config)[0] == 0 and "[scaling]" in svg_texts(file)


def test_irregular_series_from_the_data_folder(run: Run, tmp_path: Path, data_dir: Path) -> None:
    file = tmp_path / "sheet.svg"
    words = ("--dataset", "physionet2012", "--data_dir", data_dir, "--augmentation", "jitter", "--output", file)
    assert run(*words, "--channels", "HR,Temp")[0] == 0
    assert {"HR", "Temp", "hours"} <= set(svg_texts(file))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--augmentation", "permutatoin"), "unknown augmentation 'permutatoin'; did you mean 'permutation'?"),
        (("--augmentation", "scarf"), "scarf makes views of tables, and gunpoint holds time series"),
        (("--augmentation", "{jitter: {sigmas: 1}}"), "no parameter 'sigmas'; did you mean 'sigma'?"),
        (("--augmentation", "[jitter]", "--parameters.sigma", "1"), "--parameters are those of one augmentation"),
        (("--augmentation", "{jitter: {sigma: 1"), "does not parse as YAML at line 1, column 19"),
        (("--augmentation", "{tstcc_weak: {p: 1}}"), "'tstcc_weak' is a recipe, and a recipe takes no parameters"),
        (("--augmentation", "jitter", "--output", "x.pdf"), "--output x.pdf must end in .png or .svg"),
        (("--augmentation", "jitter", "--output", "no/x.png"), "there is no folder no; make it first"),
        (("--augmentation", "jitter", "--samples", "0"), "samples must be at least 1; got 0"),
        (("--augmentation", "jitter", "--channels", "hr"), "there is no channel 'hr'"),
    ],
)
def test_errors_are_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run("--dataset", "gunpoint", *words)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--augmentation", "jitter", "--views", "two"), ("views", "two")),
        (("--augmentation", "jitter", "--part", "all"), ("part", "train", "test", "all")),
        (("--augmentation", "jitter", "--strenght", "1"), ("--strenght", "did you mean --strength?")),
        ((), ("augmentation",)),
    ],
)
def test_errors_of_the_parser_name_the_option_and_what_was_given(
    run: Run, words: tuple[str, ...], named: tuple[str, ...]
) -> None:
    code, out, err = run("--dataset", "gunpoint", *words)
    assert (code, out) == (2, "") and all(word in err for word in named)
    assert err.count("\n") == 1 and err.endswith("(see kinview views --help)\n")


def test_a_file_without_a_split_has_no_parts(run: Run, tmp_path: Path) -> None:
    pd.DataFrame({"a": np.arange(20.0), "y": [0, 1] * 10}).to_csv(tmp_path / "t.csv", index=False)
    words = ("--data", tmp_path / "t.csv", "--augmentation", "scarf", "--output", tmp_path / "t.png", "--part", "test")
    code, _, err = run(*words)
    assert code == 2 and "t.csv has no train and test part: leave out --part, or give --split or --test_fraction" in err
    assert run(*words, "--test_fraction", 0.5)[0] == 0


def test_channels_by_position_as_yaml_writes_them(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sheet.svg"
    words = ("--dataset", "basic_motions", "--augmentation", "jitter", "--samples", 1, "--output", file)
    assert run(*words, "--channels", "[0, 5]")[0] == 0
    drawn = svg_texts(file)
    assert drawn.count("channel_0") == drawn.count("channel_5") == 1 and "channel_1" not in drawn
    assert run(*words, "--channels", "0,5")[0] == 0 and svg_texts(file) == drawn
    config = tmp_path / "sheet.yaml"
    for written in ("[0, 5]", "[channel_0, 5]"):
        config.write_text(f"channels: {written}\n")
        assert run("--config", config, *words)[0] == 0 and svg_texts(file) == drawn
    config.write_text("channels: 5\n")
    assert run("--config", config, *words)[0] == 0 and "channel_0" not in svg_texts(file)


def test_the_advice_on_ids_is_an_option_of_this_command(run: Run, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [f"p{i}" for i in range(20)], "a": np.arange(20.0), "y": [0, 1] * 10})
    frame.to_csv(tmp_path / "t.csv", index=False)
    words = ("--data", tmp_path / "t.csv", "--label", "y", "--augmentation", "scarf", "--output", tmp_path / "t.png")
    code, _, err = run(*words)
    assert code == 2 and "(command line: --drop id; kinview pretrain also takes --parameters.text categorical)" in err
    assert run(*words, "--drop", "id")[0] == 0
