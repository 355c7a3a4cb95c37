"""``kinview match``: two files in, a table of matches out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import written
from kinview import cli, match_columns

A_COLUMNS = ["age", "weight", "height", "glucose", "insulin"]
B_COLUMNS = {"age": "alter", "weight": "kg", "height": "cm", "glucose": "glucose", "insulin": "ins=h"}


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    draw = np.random.default_rng(0)
    z = draw.normal(size=(120, 3)) @ draw.normal(size=(3, 5)) + 0.1 * draw.normal(size=(120, 5))
    frame = pd.DataFrame(z, columns=A_COLUMNS).assign(record=[f"r{i}x" for i in range(120)])
    first, second = tmp_path / "a.csv", tmp_path / "b.parquet"
    frame[:60].to_csv(first, index=False)
    frame[60:].rename(columns=B_COLUMNS).sample(frac=1, axis=1, random_state=0).to_parquet(second)
    return first, second


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main(["match", *map(str, words)])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_columns_are_matched_scored_and_written(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = written(tmp_path, "A,B\nweight,kg\nheight,cm\ninsulin,ins=h\n", "truth.csv")
    output = tmp_path / "matches.csv"
    code, out, err = said(
        capsys, *files, "--mapped", "age=alter", "--same_names", "--drop", "record", "--matcher", "correlation",
        "--truth", truth, "--output", output,
    )  # fmt: skip
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "read a.csv: 60 rows, 5 columns; b.parquet: 60 rows, 5 columns; 2 of them mapped"
    assert lines[2].split() == ["A", "B", "similarity", "margin"]
    assert "precision 1.000, recall 1.000, F1 1.000" in out and lines[-1] == f"saved {output}: 5 pairs"
    found = pd.read_csv(output)
    expected = match_columns(
        pd.read_csv(files[0]).drop(columns="record"), pd.read_parquet(files[1]).drop(columns="record"),
        {"age": "alter", "glucose": "glucose"}, matcher="correlation",
    ).table  # fmt: skip
    assert found[["A", "B"]].to_numpy()[:2].tolist() == [["age", "alter"], ["glucose", "glucose"]]
    assert found["similarity"].isna().tolist() == [True, True, False, False, False]
    pd.testing.assert_frame_equal(found[2:].reset_index(drop=True), expected, check_dtype=False)
    # what was written serves as pairs that are known, as far as it is kept
    found[found["A"] != "glucose"].to_csv(output, index=False)
    code, out, _ = said(capsys, *files, "--mapped", output, "--drop", "record", "--matcher", "kang_naughton")
    assert code == 0 and "4 of them mapped" in out and "glucose  glucose" in out


def test_pairs_are_read_with_and_without_a_heading_and_with_signs(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = written(tmp_path, "age;alter\nweight;kg\n", "pairs.txt")
    words = ("--drop", "record", "--matcher", "correlation")
    assert "2 of them mapped" in said(capsys, *files, "--mapped", bare, *words)[1]
    assert "1 of them mapped" in said(capsys, *files, "--mapped", "insulin=ins=h", *words)[1]
    assert "2 of them mapped" in said(capsys, *files, "--mapped", "{age: alter, height: cm}", *words)[1]
    config = written(tmp_path, "mapped: [age=alter]\nmatcher: correlation\ndrop: [record]\n", "match.yaml")
    assert "1 of them mapped" in said(capsys, *files, "--config", config)[1]


def test_the_contrastive_matcher_takes_its_parameters(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(
        capsys, *files, "--same_names", "--drop", "record", "--matcher", "contrastive", "--parameters.models", "1",
        "--parameters.trainer", "{max_steps: 2}", "--truth", "{age: alter, weight: kg}",
    )  # fmt: skip
    assert (code, err) == (0, "") and "mistake" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mapped", "agee=alter"), "mapped: A has no column 'agee'; did you mean 'age'?"),
        (("--mapped", "age=alter", "--mapped", "age=kg"), "mapped: column 'age' of A stands in two pairs"),
        (("--mapped", "alter"), "--mapped alter: give a pair, as in --mapped age=alter, or a file of pairs"),
        (("--drop", "patient"), "--drop patient: neither"),
        (("--matcher", "correlation"), "none are mapped: give them as --mapped '{column of A: column of B}', or take"),
        (("--matcher", "correlatio"), "unknown matcher 'correlatio'; did you mean 'correlation'?"),
        (("--output", "matches.txt"), "--output matches.txt must end in .csv or .parquet"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    drop = () if "--drop" in words else ("--drop", "record")
    code, out, err = said(capsys, *files, *drop, *words)
    assert code == 2 and message in err and "saved" not in out


def test_identifiers_are_refused_with_what_to_do(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, *files, "--mapped", "age=alter")
    assert code == 2 and "ids or free text in column(s) 'record'" in err and "--drop record" in err


def test_columns_of_categories_are_refused_in_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"age": range(20), "sex": ["f", "m"] * 10})
    A = written(tmp_path, frame.to_csv(index=False), "a.csv")
    B = written(tmp_path, frame.set_axis(["alter", "geschlecht"], axis=1).to_csv(index=False), "b.csv")
    code, _, err = said(capsys, A, B)
    assert code == 2 and err.endswith(
        "column(s) 'sex' of A and 'geschlecht' of B hold categories, which 'kang_naughton' with these parameters does "
        "not compare: map them, leave them out (--drop sex,geschlecht), or take --matcher distribution or --matcher "
        "'{kang_naughton: {dependence: mutual_information}}'\n"
    )
    assert said(capsys, A, B, "--drop", "sex,geschlecht")[0] == 0
    with pytest.raises(ValueError, match=r"leave them out \(drop=\['sex', 'geschlecht'\]\), or take matcher='distrib"):
        match_columns(pd.read_csv(A), pd.read_csv(B))
    assert match_columns(pd.read_csv(A), pd.read_csv(B), drop=["sex", "geschlecht"]).pairs == (("age", "alter"),)
    with pytest.raises(ValueError, match="neither A nor B has a column of that name; did you mean 'sex'"):
        match_columns(pd.read_csv(A), pd.read_csv(B), drop=["sexx"])


def test_advice_of_a_reader_names_the_option_of_its_table(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = written(tmp_path, "age,weight\n", "empty.csv")
    assert "--read_A.header false if that line is a row" in said(capsys, empty, files[1])[2]
    assert "--read_B.header false if that line is a row" in said(capsys, files[0], empty)[2]


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("age,alter\nweigth,kg\n", "truth: A has no column 'weigth'; did you mean 'weight'?"),
        ("age,kg\n", "truth pairs 'age' of A with 'kg' of B, and one of them is mapped to another column"),
        ("one,other\n", "truth.csv holds no pair"),
    ],
)
def test_a_wrong_truth_is_told_before_the_work(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: str, message: str
) -> None:
    file = written(tmp_path, truth, "truth.csv")
    code, out, err = said(capsys, *files, "--drop", "record", "--mapped", "age=alter", "--truth", file)
    assert (code, out) == (2, "") and message in err


def test_a_table_without_rows_or_columns_is_refused_by_its_name(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_rows, no_columns, nothing = tmp_path / "rows.parquet", tmp_path / "columns.parquet", tmp_path / "nothing.csv"
    pd.DataFrame({"age": []}).to_parquet(no_rows)
    pd.DataFrame(index=range(5)).to_parquet(no_columns)
    nothing.touch()
    for file, what in (
        (no_rows, "rows.parquet has no rows (columns: age)"),
        (no_columns, "columns.parquet has no columns"),
        (nothing, "nothing.csv is empty"),
    ):
        code, _, err = said(capsys, files[0], file)
        assert code == 2 and err.endswith(f"{what}\n")
    code, _, err = said(capsys, *files, "--drop", ",".join([*A_COLUMNS, "record"]))
    assert code == 2 and "leaves no column of A; keep at least one" in err
