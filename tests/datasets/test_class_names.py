"""Labels, groups and ids that look like a mistake are refused or warned about by column and value."""

from __future__ import annotations

import datetime
import re
import string
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from kinview.datasets import load, load_path, read_arff, read_long, read_path, read_ts, read_ucr, read_wide
from kinview.datasets.class_names import labels_of

ALIKE = "differ in letter case, blanks or the way of writing only"


def table(path: Path, labels: list[str], name: str = "state") -> Path:
    path.write_text(f"age,{name}\n" + "".join(f"4{i}.5,{label}\n" for i, label in enumerate(labels)))
    return path


def heard_of(read: Any, *given: Any, **options: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        return read(*given, **options), [str(one.message) for one in heard]


@pytest.mark.parametrize(
    ("labels", "expected", "said"),
    [
        (["Yes", "yes", "YES", "no"], ["Yes", "yes", "YES", "no"], "'YES' and 'Yes' and 'yes'"),
        ([" yes ", "yes", "no"], ["yes", "yes", "no"], None),  # blanks at the ends are no part of a label
        (["not  ill", "not ill", "ill"], ["not  ill", "not ill", "ill"], "'not  ill' and 'not ill'"),
        (["grade 1", "grade1", "x"], ["grade 1", "grade1", "x"], "'grade 1' and 'grade1'"),
        (["Größe", "gro\u0308sse", "x"], ["Größe", "gro\u0308sse", "x"], "and"),
        (["1", "1.0", "x"], ["1", "1.0", "x"], "'1' and '1.0'"),
        (["ill", "well"], ["ill", "well"], None),
        (["07", "7"], ["07", "7"], None),  # two codes
        (["+", "-"], ["+", "-"], None),
        (["*", "**"], ["*", "**"], None),
        (["<=50K", ">50K"], ["<=50K", ">50K"], None),
        (["None", "mild"], ["None", "mild"], None),
    ],
    ids=str,
)
def test_classes_written_in_several_ways_are_warned_about(
    tmp_path: Path, labels: list[str], expected: list[str], said: str | None
) -> None:
    samples, heard = heard_of(read_wide, table(tmp_path / "x.csv", labels), label="state")
    assert samples.y.tolist() == expected
    assert len(heard) == (said is not None)
    for message in heard:
        assert message.startswith("x.csv: label 'state' holds ") and ALIKE in message and str(said) in message


@pytest.mark.parametrize("sign", [".", "-", "--", "n.a.", "N.A.", "n/d", "n.d.", "...", "–", "#DIV/0!", "k.A."])
def test_signs_of_no_value_are_no_classes(tmp_path: Path, sign: str) -> None:
    path = table(tmp_path / "x.csv", ["ill", "well", sign, "well"])
    shown = rf"x.csv: label 'state' is {re.escape(repr(sign))} in line 4, a sign of no value and no "
    with pytest.raises(ValueError, match=f"{shown}class; make it missing .*na_values="):
        read_wide(path, label="state")
    samples = read_wide(path, label="state", na_values=sign)
    assert samples.y is not None and samples.y.tolist() == ["ill", "well", None, "well"]
    path.write_text(
        "id,t,hr,state\n" + "".join(f"{i},0,7{i}.5,{label}\n" for i, label in enumerate(["ill", sign, "well"]))
    )
    with pytest.raises(ValueError, match=r"label 'state' is .* in sample 1 .*na_values="):
        read_long(path, id="id", time="t", label="state")
    numbers = table(tmp_path / "n.csv", ["1.5", "2.5", sign, "0.5"])  # a target that would become classes
    with pytest.raises(ValueError, match="label 'state' is"):
        read_wide(numbers, label="state")
    assert read_wide(numbers, label="state", na_values=sign).y.dtype == np.float64  # type: ignore[union-attr]


@pytest.mark.parametrize("word", ["unknown", "Unknown", "not known", "missing", "na", "Nan", "undefined"])
def test_words_for_no_value_are_warned_about(tmp_path: Path, word: str) -> None:
    path = table(tmp_path / "x.csv", ["ill", word, "well", word])
    samples, heard = heard_of(read_wide, path, label="state")
    assert samples.y.tolist() == ["ill", word, "well", word]
    assert len(heard) == 1
    assert heard[0].startswith(f"x.csv: label 'state' is {word!r} in 2 of 4 samples, which reads like no value")
    assert read_wide(path, label="state", na_values=[word]).y.tolist() == ["ill", None, "well", None]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("labels", "odd"),
    [
        ([0, 1, -999], "-999"), ([0, 1, -9], "-9"), ([1, 2, 999], "999"), ([0, 1, 9999, -99], "-99 in 1, 9999"),
        ([0, 1, 9], None), ([-1, 1], None), ([-9, -3, 4], None), ([997, 998, 999], None), ([0, 99], None),
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_stand_for_no_value_are_warned_about(tmp_path: Path, labels: list[int], odd: str | None) -> None:
    samples, heard = heard_of(read_wide, table(tmp_path / "x.csv", list(map(str, labels))), label="state")
    assert samples.y.tolist() == labels
    assert len(heard) == (odd is not None)
    assert all(f"label 'state' is {odd} in 1 of " in message for message in heard)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["0.5", "98%", "1.5"], "column 'state' is numeric but for '98%' in line 3"),
        (["0.5", "<0.1", "1.5"], "column 'state' is numeric but for '<0.1' in line 3"),
        (['"0,5"', "2", '"1,5"'], r"column 'state' is numeric but for '0,5' in line 2; say how .* \(decimal=','\)"),
        (['"0,5"', '"1,5"'], r"column 'state' is '0,5' in line 2, nearly a number; say how .* \(decimal=','\)"),
    ],
)
def test_a_target_that_is_nearly_numeric_does_not_become_classes(
    tmp_path: Path, labels: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"x.csv: {message}.*label= names another"):
        read_wide(table(tmp_path / "x.csv", labels), label="state")


@pytest.mark.parametrize(
    "codes", [["250.0", "E11.9", "401.9"], ["1", "2", "3+"], ["<5", ">=5"], ["v1.0", "v2.0"], ["10%", "20%"]]
)
def test_codes_of_diseases_and_ranges_are_classes(tmp_path: Path, codes: list[str]) -> None:
    samples, heard = heard_of(read_wide, table(tmp_path / "x.csv", codes), label="state")
    assert samples.y.tolist() == codes and heard == []


def test_labels_are_written_as_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    given: dict[str, Any] = {"label": "state", "decimal": ",", "thousands": "."}
    path.write_text("age;state\n4,5;1,5\n3,5;2,0\n2,5;1.000,5\n")
    assert read_wide(path, **given).y.tolist() == [1.5, 2.0, 1000.5]  # type: ignore[union-attr]
    path.write_text("age;state\n4,5;07\n3,5;7\n")
    assert read_wide(path, **given).y.tolist() == ["07", "7"]  # type: ignore[union-attr]
    path.write_text("age;state\n4,5;a,b\n3,5;1,5\n")
    assert read_wide(path, **given).y.tolist() == ["a,b", "1,5"]  # type: ignore[union-attr]
    path.write_text("id;t;hr;state\n1;0;4,5;1,5\n2;0;3,5;2,5\n")
    assert read_long(path, id="id", time="t", label="state", decimal=",").y.tolist() == [1.5, 2.5]  # type: ignore[union-attr]


def test_groups_ids_and_channels_written_in_several_ways_are_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("age,who,site\n40.5,P1,Ulm\n41.5,p1,ulm\n42.5,P2,Bonn\n")
    samples, heard = heard_of(read_wide, path, group="site", index="who")
    assert samples.groups.tolist() == ["Ulm", "ulm", "Bonn"]
    assert ["group 'site' holds 'Ulm' and 'ulm'" in heard[0], "index 'who' holds 'P1' and 'p1'" in heard[1]] == [
        True
    ] * 2
    path.write_text("id,t,what,x,site\nP1,0,HR,70.5,Ulm\np1,0,hr,71.5,ulm\nP 2,0,hr,71.5,Bonn\n")
    samples, heard = heard_of(read_long, path, id="id", time="t", variable="what", value="x", group="site")
    assert samples.X.index.get_level_values(0).tolist() == ["P 2", "P1", "p1"]
    assert [message.split(" holds ")[0] for message in heard] == [
        "x.csv: id 'id'", "x.csv: group 'site'", "x.csv: variable 'what'",
    ]  # fmt: skip
    assert all(ALIKE in message for message in heard)
    frame = pd.DataFrame({"age": [1.5, 2.5], "site": ["Ulm ", "Ulm"]})
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.warns(UserWarning, match="'Ulm ' and 'Ulm', which differ in letter case, blanks"):
        read_wide(tmp_path / "x.parquet", group="site")


def test_ids_that_are_written_as_fractions_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("age,who,site,y\n40.5,0.0,1.0,0.0\n41.5,1.0,2.0,1.0\n")
    samples = read_wide(path, index="who", group="site", label="y")
    assert samples.X.index.tolist() == ["0.0", "1.0"] and samples.groups.tolist() == ["1.0", "2.0"]  # type: ignore[union-attr]
    assert samples.y.tolist() == [0, 1]  # type: ignore[union-attr]


def test_archives_follow_the_same_rules(tmp_path: Path) -> None:
    ucr, ts, arff = tmp_path / "x.tsv", tmp_path / "x.ts", tmp_path / "x.arff"
    declared = "@relation d\n@attribute t0 numeric\n@attribute t1 numeric\n@attribute state {ill,Ill,-}\n@data\n"

    def write(labels: list[str]) -> None:
        ucr.write_text("".join(f"{label}\t{i}\t1.5\n" for i, label in enumerate(labels)))
        ts.write_text("@classLabel true\n@data\n" + "".join(f"{i},1.5:{label}\n" for i, label in enumerate(labels)))
        arff.write_text(declared + "".join(f"{i},1.5,{label}\n" for i, label in enumerate(labels)))

    readers: list[tuple[Any, Path]] = [(read_ucr, ucr), (read_ts, ts), (read_arff, arff)]
    write(["ill", "Ill", "ill"])
    for read, path in readers:
        assert [ALIKE in message for message in heard_of(read, path)[1]] == [True]
    write(["ill", "-", "ill"])
    for read, path in readers:
        with pytest.raises(ValueError, match=r"label.* is '-' in sample 1 .*write \? for it"):
            read(path)
    write(["ill", "?", "ill"])
    for read, path in readers:
        assert read(path).y.tolist() == ["ill", None, "ill"]


def write_pair(folder: Path, train: list[str], test: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for part, labels in (("TRAIN", train), ("TEST", test)):
        rows = "".join(f"{label}\t{i}\t{i + 1}\n" for i, label in enumerate(labels))
        (folder / f"{folder.name}_{part}.tsv").write_text(rows)
    return folder


@pytest.mark.parametrize(
    ("train", "test", "shown"),
    [
        (["1", "2"], ["01", "02"], "'1' against '01', '2' against '02'"),
        (["7", "12"], ["07", "12"], "'7' against '07'"),
        (["01", "02"], ["1", "2"], "'01' against '1', '02' against '2'"),
        (["1.0", "2.0"], ["2.0", "x"], "'2' against '2.0'"),
        (["001", "A"], ["01", "A"], "'001' against '01'"),
    ],
)
def test_files_that_write_one_class_in_two_ways_are_refused_and_both_are_shown(
    tmp_path: Path, train: list[str], test: list[str], shown: str
) -> None:
    folder = write_pair(tmp_path / "Pair", train, test)
    for read in (load_path, lambda path: load(path.name, data_dir=path.parent)):
        with pytest.raises(
            ValueError, match=f"Pair_TRAIN.tsv and Pair_TEST.tsv write labels in two ways, {shown}: write"
        ):
            read(folder)


def test_files_whose_labels_differ_in_case_are_warned_about(tmp_path: Path) -> None:
    data, heard = heard_of(load_path, write_pair(tmp_path / "Pair", ["Ill", "well"], ["ill", "well"]))
    assert (data.y_train.tolist(), data.y_test.tolist()) == (["Ill", "well"], ["ill", "well"])
    assert len(heard) == 1 and "Pair_TRAIN.tsv and Pair_TEST.tsv" in heard[0] and "'Ill' and 'ill'" in heard[0]


def test_half_points_are_classes_of_any_path(tmp_path: Path) -> None:
    path = tmp_path / "grades.csv"
    path.write_text("hours,grade\n" + "".join(f"{i % 7}.5,{[0.5, 1.0, 1.5][i % 3]}\n" for i in range(24)))
    assert read_path(path, label="grade", as_classes=True).y.tolist()[:3] == ["0.5", "1.0", "1.5"]  # type: ignore[union-attr]
    (tmp_path / "Grades").mkdir()
    (tmp_path / "Grades" / "grades.csv").write_text(path.read_text())
    found = [
        load_path(path, label="grade", as_classes=True, test_fraction=0.25),
        load_path(tmp_path / "Grades", as_classes=True, test_fraction=0.25),
        load("Grades", data_dir=tmp_path, as_classes=True, test_fraction=0.25),
    ]
    for data in found:
        data.require_classes()
        assert data.y_test is not None
        assert np.unique(data.y_test, return_counts=True)[1].tolist() == [2, 2, 2]  # stratified by them
        assert data.fingerprint() == found[0].fingerprint()
    pair = load_path(write_pair(tmp_path / "Pair", ["1", "2"], ["0.5", "1"]), as_classes=True)
    assert (pair.y_train.tolist(), pair.y_test.tolist()) == (["1.0", "2.0"], ["0.5", "1.0"])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": False}, "label=False is no name of a column; .*label: 'no'"),
        (
            {"label": 1.5},
            r"label=1\.5 is no name of a column; YAML reads 1\.5 without quotes as a number.*label: '1\.5'",
        ),
        ({"label": datetime.date(2024, 5, 31)}, "YAML reads 2024-05-31 without quotes as a date.*label: '2024-05-31'"),
        ({"index": [True]}, "index=True is no name"),
        ({"na_values": {False: ["-"]}}, "the key False of na_values is no name of a column.*'no': "),
        (
            {"na_values": {"age": [False]}},
            r"na_values holds False, which is no cell; .*quote it, as in na_values: \['no'\]",
        ),
        ({"na_values": ["x", None]}, r"na_values holds None, .*null and ~ without quotes as nothing"),
        ({"na_values": True}, "na_values holds True"),
    ],
)
def test_a_word_that_yaml_reads_as_something_else_says_to_quote_it(tmp_path: Path, options: Any, message: str) -> None:
    path = table(tmp_path / "x.csv", ["0", "1"], name="no")
    for read in (read_wide, read_path, load_path):
        with pytest.raises(ValueError, match=message):
            read(path, **options)
    path.write_text("no,t,x\n1,0,1.5\n")
    named: dict[str, Any] = {"id": "no", "time": "t"}
    long = {name: value for name, value in options.items() if name != "index"} or {"columns": [True]}
    with pytest.raises(ValueError, match=message.replace("index", "columns")):
        read_long(path, **named | long)
    for name in ("id", "time", "columns", "value", "variable", "group"):
        with pytest.raises(ValueError, match=f"{name}=False is no name of a column"):
            read_long(path, **named | {name: False})


def slow_alike(texts: list[str]) -> bool:
    """Whether two of these texts of ASCII letters and blanks differ in case or blanks only."""
    plain = [text.lower().replace(" ", "") for text in texts]
    return any(one != other and plain[i] == plain[j] for i, one in enumerate(texts) for j, other in enumerate(texts))


@given(st.lists(st.text(alphabet=string.ascii_letters[:3] + "ABC ", min_size=1, max_size=3), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_warning_is_given_where_two_are_alike_and_nowhere_else(texts: list[str]) -> None:
    texts = [f"x{text.strip()}" for text in texts]
    labels, heard = heard_of(labels_of, texts, "label 'y'", "x.csv")
    assert labels.tolist() == texts
    assert [ALIKE in message for message in heard] == [True] * slow_alike(texts)
