"""What stands above and among the rows of a text file, how it is encoded, and files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings

import kinview
from helpers import written
from kinview.datasets import read_long, read_path, read_wide
from kinview.datasets.foreign_files import _COMPRESSED, _FOREIGN, _WORKBOOKS
from kinview.evaluation import Benchmark

TABLE = "age,hr,died\n61,80.5,0\n47,75,1\n"
EXPECTED = pd.DataFrame({"age": [61, 47], "hr": [80.5, 75.0], "died": [0, 1]})


def wide(folder: Path, text: str | bytes, **options: Any) -> pd.DataFrame:
    X = read_wide(written(folder, text), **options).X
    assert isinstance(X, pd.DataFrame)
    return X


# --- titles and comments


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("# exported 2024-01-01\n" + TABLE, {"comment": "#"}),
        ("# exported 2024-01-01\n" + TABLE, {"skiprows": 1}),
        ("# exported, by, me\n" + TABLE, {"comment": "#"}),
        ("% a; b\n% c\n\n" + TABLE, {"comment": "%"}),
        ('age,hr,died # names\n61,80.5,0# a, b\n# x\n47,75,1 # he said "x\n', {"comment": "#"}),
        ("Export of the ICU\n\n" + TABLE, {"skiprows": 2}),
        ("Export of the ICU\r\n\r\n" + TABLE.replace("\n", "\r\n"), {"skiprows": 2}),
        ("Export of the ICU\r" + TABLE.replace("\n", "\r"), {"skiprows": 1}),
        ('A "title, with\n' + TABLE, {"skiprows": 1}),
        ("Export,,\n" + TABLE, {"skiprows": [0]}),
        ("age,hr,died\nyears,bpm,\n61,80.5,0\n47,75,1\n", {"skiprows": [1]}),
        ("title\nage,hr,died\n61,80.5,0\nbroken\n47,75,1\n", {"skiprows": (0, 3)}),
        ("title\n# c\nage,hr,died\n61,80.5,0\n47,75,1\n", {"skiprows": 1, "comment": "#", "encoding": "latin-1"}),
    ],
)
def test_lines_that_are_no_rows_are_left_out(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    pd.testing.assert_frame_equal(wide(tmp_path, text, **options), EXPECTED, check_column_type=False)


def test_a_sign_of_comments_within_quotes_is_none(tmp_path: Path) -> None:
    text = '"a#b",note\n1,"x # y"\n2,"two\nlines # z" # gone\n3,#4\n'
    X = wide(tmp_path, text, comment="#")
    assert list(X.columns) == ["a#b", "note"] and X["a#b"].tolist() == [1, 2, 3]
    assert X["note"].tolist()[:2] == ["x # y", "two\nlines # z"] and X["note"].isna().tolist() == [False, False, True]
    assert wide(tmp_path, "#,x\n1,5.5\n2,6.5\n").columns.tolist() == ["#", "x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# exported\n" + TABLE, r"line 1 .*has 1 cell, most of those below it 3.*\(comment='#' or skiprows=1\)"),
        ("Export\n\n" + TABLE, r"line 1 \('Export'\) has 1 cell.*\(skiprows=2\)"),
        ("\n\nExport\nof the ICU\n" + TABLE, r"line 3 \('Export'\) has 1 cell.*\(skiprows=4\)"),
        ("Export, ICU\n" + TABLE, r"has 2 cells, most of those below it 3.*\(skiprows=1\)"),
        ("Export,,\n,,\n" + TABLE, r"line 1 \('Export,,'\) has 1 cell.*\(skiprows=2\)"),
        ("# exported,by,me\n" + TABLE, r"begins with '#'.*'age,hr,died'.*comment='#'.*header=True"),
        ("5,6\n1,2,3\n4,5,6\n", r"line 1 \('5,6'\) has 2 cells"),
        (TABLE + "50,81,0,7,8\n", r"x\.csv, line 4 has 5 cells, the lines above it 3.*quotes.*skiprows=\[3\]"),
        ("a,b,c\n1,2,3,4\n5,6,7\n8,9,1\n", r"line 2 has 4 cells, the lines above it 3"),
        ("a,b,c\n\n" + "1,2,3\n" * 1500 + "1,2,3,4\n", r"line 1503 has 4 cells"),
        ("age,hr\n", r"no rows below the names in its first line \(age, hr\); header=False"),
        ("id,sbp,hr\n,mmHg,bpm\n1,120,80\n2,110,70\n", r"line 2 \(',mmHg,bpm'\) is text .*skiprows=\[1\].*na_values"),
        ("sbp;fev\nmmHg;%\n120;80,5\n", r"line 2 \('mmHg,%'\) is text over columns of numbers"),
    ],
)  # fmt: skip
def test_what_is_no_row_is_refused_with_the_option_that_helps(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_path(written(tmp_path, text), **{"decimal": ","} if ";" in text else {})
    if "mmHg" in text and ";" not in text:
        with pytest.raises(ValueError, match=message):
            read_path(written(tmp_path, text), id="id", time="hr")


def test_a_line_of_missing_cells_or_of_one_text_is_a_row(tmp_path: Path) -> None:
    X = wide(tmp_path, "sbp,hr,x\nn.d.,n.d.,a\n120,80,b\n", na_values="n.d.")
    assert X["hr"].isna().tolist() == [True, False]
    assert wide(tmp_path, "name,ward,x\nbob,a,5\namy,b,6\n").shape == (2, 3)
    assert wide(tmp_path, "a,b,c\nx,,\ny,1,2\n", header=False).shape == (3, 3)
    with pytest.raises(ValueError, match="no lines beside those that are left out"):
        read_path(written(tmp_path, "# x\n# y\n"), comment="#")
    with pytest.raises(ValueError, match="no lines beside those"):
        read_path(written(tmp_path, TABLE), skiprows=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"comment": "##"}, "comment='##' must be one sign"),
        ({"comment": "-"}, "comment='-' must be one sign"),
        ({"comment": "#", "sep": "#"}, "sep and comment are both '#'"),
        ({"skiprows": -1}, "skiprows=-1 must be how many lines"),
        ({"skiprows": True}, "skiprows=True must be how many lines"),
        ({"skiprows": "1"}, "skiprows='1' must be how many lines"),
        ({"skiprows": [1, -2]}, r"skiprows=\[1, -2\] must be"),
        ({"encoding": "latin9x"}, "encoding='latin9x' is no encoding of text; expected one such as 'utf-8'"),
        ({"encoding": "base64"}, "encoding='base64' is no encoding of text"),
        ({"encoding": "rot13"}, "encoding='rot13' is no encoding of text"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_path(written(tmp_path, TABLE), **options)


# --- encodings and separators


@pytest.mark.parametrize(
    ("encoding", "given"),
    [
        ("utf-8", {}),
        ("utf-8-sig", {}),
        ("utf-16", {}),  # with a byte order mark
        ("utf-32", {}),
        ("latin-1", {"encoding": "latin-1"}),
        ("latin-1", {"encoding": "ISO-8859-1"}),
        ("cp1252", {"encoding": "cp1252"}),
        ("utf-16-le", {"encoding": "utf-16-le"}),
        ("utf-16-be", {"encoding": "utf-16-be"}),
    ],
)
def test_text_of_every_encoding(tmp_path: Path, encoding: str, given: dict[str, Any]) -> None:
    text = "größe,häufig\n1.5,naïve\n2.5,ß\n" + "3.5,é\n" * 5
    X = wide(tmp_path, text.encode(encoding), **given)
    assert list(X.columns) == ["größe", "häufig"] and X["größe"].tolist() == [1.5, 2.5, *[3.5] * 5]
    assert X["häufig"].tolist() == ["naïve", "ß", *["é"] * 5]
    codes = read_wide(written(tmp_path, "id,x\n07,1\n7,2\n".encode(encoding)), index="id", **given).X
    assert codes.index.tolist() == ["07", "7"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("größe,x\n1,2\n".encode("latin-1"), {}, r"x\.csv is not UTF-8 text .*at byte 2\); .*encoding='latin-1'"),
        ("note,x\n“x”,2\n".encode("cp1252"), {}, r"not UTF-8 text .*encoding='cp1252'"),
        (TABLE.encode("utf-16-le"), {}, "holds NUL characters.*encoding='utf-16-le'"),
        (TABLE.encode("utf-16-be"), {}, "holds NUL characters.*encoding='utf-16-be'"),
        (TABLE.encode("utf-16"), {"encoding": "latin-1"}, "holds NUL characters.*encoding='utf-16'"),
        (TABLE.encode(), {"encoding": "utf-16"}, "is not utf-16 text .*encoding='utf-8'"),
        ("größe,x\n1,2\n".encode(), {"encoding": "ascii"}, "is not ascii text .*encoding='utf-8'"),
        (b"x,y\n" + b"1,2\n" * 400_000 + b"\xe9,1\n", {}, r"at byte 1600004\).*encoding='latin-1'"),
    ],
)
def test_text_of_another_encoding_is_refused_with_the_one_it_may_be_of(
    tmp_path: Path, data: bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_path(written(tmp_path, data), **options)


@pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=;\n"])
def test_the_separator_that_a_spreadsheet_says(tmp_path: Path, line: str) -> None:
    text = line + "a,b;c\n1,5;2\n2,5;3\n"
    X = wide(tmp_path, text, decimal=",")
    assert list(X.columns) == ["a,b", "c"] and X["a,b"].tolist() == [1.5, 2.5]
    for skiprows in (1, [0]):
        pd.testing.assert_frame_equal(wide(tmp_path, text, decimal=",", skiprows=skiprows), X)
    long = read_long(written(tmp_path, "sep=|\nid|t|x\na|0|1,5\n"), id="id", time="t", decimal=",").X
    assert long["x"].tolist() == [1.5]
    assert wide(tmp_path, "sep=x,b\n1,2\n").columns.tolist() == ["sep=x", "b"]


def test_the_separator_of_archive_files_is_told_by_all_lines(tmp_path: Path) -> None:
    for text in ("a,b,c,d\t0.5\t0.7\ne\t0.5\t0.75\n", "p|0.5|0.7\nq|0.5|0.75\n", "1 0.5 0.7\n2  0.5  0.75\n"):
        assert read_path(written(tmp_path, text, "x.txt")).X.tolist() == [[[0.5, 0.7]], [[0.5, 0.75]]]
    ragged = read_path(written(tmp_path, "1 0.5 0.7\n2 0.5\n", "x.txt")).X
    np.testing.assert_array_equal(ragged, [[[0.5, 0.7]], [[0.5, np.nan]]])
    with pytest.raises(ValueError, match="separated by ';' or ','; write decimals with a point"):
        read_path(written(tmp_path, "1;0,5;0,7\n2;0,5;0,7\n", "x.txt"))


# --- R


@pytest.mark.parametrize(
    "text",
    [
        '"age" "hr"\n"r1" 61 80.5\n"r2" 47 75\n',
        '"age"\t"hr"\n"r1"\t61\t80.5\n"r2"\t47\t75\n',
        "age,hr\nr1,61,80.5\nr2,47,75\n",
        "age hr\nr1 61 80.5\nr2 47 75\n",
    ],
)
def test_the_names_of_rows_that_r_writes(tmp_path: Path, text: str) -> None:
    X = wide(tmp_path, text)
    expected = EXPECTED[["age", "hr"]].set_axis(pd.Index(["r1", "r2"], name="index"), axis=0)
    pd.testing.assert_frame_equal(X, expected, check_index_type=False, check_column_type=False)
    counts = text.replace("r1", "1").replace("r2", "2")
    if "," in text:  # a comma may be decimal
        with pytest.raises(
            ValueError, match=r"names 2 columns, the lines below it have 3 cells .*decimal sign.*header=True"
        ):
            read_path(written(tmp_path, counts))
    counted = wide(tmp_path, counts, header=True if "," in text else None)
    pd.testing.assert_frame_equal(counted, EXPECTED[["age", "hr"]], check_column_type=False)  # they only count
    long = read_long(written(tmp_path, '"id" "t" "hr"\n"1" "a" 0 70\n"2" "a" 1 71\n'), id="id", time="t").X
    assert list(long.columns) == ["hr"] and long["hr"].tolist() == [70, 71]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,hr\nr1,61,80\nr1,47,75\n", "has 2 cells, most of those below it 3"),  # named twice
        ("age,hr\n1001,61,80\n1007,47,75\n", "each needs a name; header=True"),  # perhaps the last column is nameless
        ("sex,ward\nr1,F,a\nr2,M,b\n", "each needs a name; header=True"),  # a title above a table of texts
        ("age,hr\nr1,61,80\nr2,47\nr3,47,3\n", "has 2 cells, most of those below it 3"),
        ("age,hr\n" + "".join(f"r{i},61,80\n" for i in range(1500)) + "r7,1,2\n", "1502 names the row 'r7' a second"),
        ("age,hr\n" + "".join(f"r{i},61,80\n" for i in range(1500)) + "x,1\n", "1502 has 2 cells: the first line"),
    ],
)  # fmt: skip
def test_names_of_rows_that_are_not_clear_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_path(written(tmp_path, text))


def test_header_says_that_the_first_column_names_the_rows(tmp_path: Path) -> None:
    X = wide(tmp_path, "age,hr\n1001,61,80\n1007,47,75\n", header=True)
    assert X.index.tolist() == [1001, 1007] and X["age"].tolist() == [61, 47]
    texts = wide(tmp_path, "sex,ward\nr1,F,a\nr2,M,b\n", header=True)
    assert texts.index.tolist() == ["r1", "r2"] and texts["ward"].tolist() == ["a", "b"]
    assert wide(tmp_path, "name\nJohn Smith\nJane Doe\n")["name"].tolist() == ["John Smith", "Jane Doe"]
    assert wide(tmp_path, "ward\nward 1\nward 2\n")["ward"].tolist() == ["ward 1", "ward 2"]


# --- the same table, however it is written


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_table_is_the_same_however_its_file_begins(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    words = st.text(st.sampled_from("abßé #,;|\"'%"), max_size=8)
    notes = data.draw(st.lists(words.filter(lambda t: "sep=" not in t), max_size=3))
    sep = data.draw(st.sampled_from([",", ";", "|", "\t"]))
    encoding = data.draw(st.sampled_from(["utf-8", "latin-1", "utf-16", "utf-16-le", "cp1252"]))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    cells = data.draw(st.lists(st.sampled_from(["naïve", "a # b", "ü, ö", 'q"r', "x;y", "z|"]), min_size=2, max_size=6))
    values = [i / 8 for i in range(len(cells))]
    frame = pd.DataFrame({"größe": values, "text": cells})
    text = frame.to_csv(sep=sep, index=False, lineterminator=end, quoting=2)
    commented = data.draw(st.booleans())
    top = "".join(f"{'#' if commented else ''}{note}{end}" for note in notes)
    given: dict[str, Any] = {"comment": "#"} if commented else {"skiprows": len(notes)}
    if encoding not in ("utf-8", "utf-16"):
        given["encoding"] = encoding
    path = tmp_path_factory.mktemp("table") / "x.csv"
    path.write_bytes((top + text).encode(encoding))
    X = read_wide(path, header=True, **given).X
    assert X["größe"].tolist() == values and X["text"].tolist() == cells


# --- files of other programs, and of long format


def test_files_of_other_programs_say_how_they_become_data(tmp_path: Path) -> None:
    for suffix in (*_FOREIGN, *_COMPRESSED, *_WORKBOOKS):
        path = written(tmp_path, b"\x80\x00", f"Labs{suffix}")
        for options in ({}, {"format": "wide"}, {"format": "ucr"}, {"id": "a", "time": "b"}):
            with pytest.raises(
                ValueError, match=rf"Labs\{suffix} is (an? .*, which is not read: .{{10}}|compressed|a workbook)"
            ):
                read_path(path, **options)  # type: ignore[arg-type]
    for name, remedy in {
        "x.SAV": r"pandas\.read_spss\('x\.SAV'\)\.to_parquet\('x\.parquet'\)",
        "x.rds": r"write\.csv\(readRDS\('x\.rds'\), 'x\.csv', row\.names = FALSE\)",
        "x.mat": r"scipy\.io\.loadmat\('x\.mat'\)",
        "x.jsonl": "lines=True",
    }.items():
        with pytest.raises(ValueError, match=remedy):
            read_path(written(tmp_path, b"", name))
    folder = tmp_path / "study"
    folder.mkdir()
    written(folder, b"", "visits.dta")
    with pytest.raises(ValueError, match=r"visits\.dta is a Stata file"):
        kinview.load("study", data_dir=tmp_path)


def test_a_limit_of_detection_among_values_says_what_to_do(tmp_path: Path) -> None:
    text = "id,t,what,v\n1,0,crp,<0.1\n1,1,crp,2\n2,0,crp,7\n"
    columns: dict[str, Any] = {"id": "id", "time": "t", "variable": "what", "value": "v"}
    with pytest.raises(ValueError, match=r"column 'v' is '<0\.1' .*plain number.*na_values='<0\.1'"):
        read_path(written(tmp_path, text), **columns)
    assert read_long(written(tmp_path, text), na_values="<0.1", **columns).X["crp"].isna().sum() == 1


# --- the example of the documentation


def test_files_in_a_benchmark_as_the_documentation_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "reading_files.md").read_text()
    config = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    monkeypatch.chdir(tmp_path)
    for folder in ("exports", "data/labs"):
        (tmp_path / folder).mkdir(parents=True)
    rows = "".join(f"p{i};{i / 2};{i % 2}\n".replace(".", ",") for i in range(20))
    written(tmp_path, "# exported\npatient_id;größe;died\n" + rows, "visits.csv")
    places = [(i, r, t) for i in range(12) for r in (0, 1) for t in (0, 1)]
    stays = [f"p{i},{r},{t},{'<1' if t else i + 2},{'fm'[r]},{50 + i},A,{i % 2}" for i, r, t in places]
    head = "patient,recording,hour,lactate,sex,age,site,outcome\n"
    written(tmp_path / "exports", head + "\n".join(stays) + "\n", "vitals.csv")
    store = kinview.evaluation.Store(str(tmp_path / "r.db"))
    results = kinview.evaluation.run(Benchmark.from_config(config), store, cache_dir=tmp_path / "cache")
    assert dict(zip(results["dataset"], results["status"])) == {"visits": "ok", "vitals": "ok"}
    vitals = kinview.load("vitals", **config["datasets"][0]["vitals"])
    assert list(vitals.X_train.columns) == ["lactate"] and vitals.X_train["lactate"].min() == 0.5
    steps = "".join(f"p{i},{t},{i + t / 2},{i % 2}\n" for i in range(12) for t in (0.5, 1.5))
    written(tmp_path / "data" / "labs", ("patient,hour,größe,died\n" + steps).encode("latin-1"), "labs.csv")
    options = {"id": "patient", "time": "hour", "label": "died", "encoding": "latin-1", "test_fraction": 0.5}
    labs = kinview.load("labs", data_dir="data", **options)
    assert (len(labs.y_train), len(labs.y_test)) == (6, 6) and list(labs.X_train.columns) == ["größe"]
    visits = kinview.load("visits", **config["datasets"][1]["visits"])
    assert list(visits.X_train.columns) == ["größe"] and set(visits.X_train["größe"]) < {i / 2 for i in range(20)}
