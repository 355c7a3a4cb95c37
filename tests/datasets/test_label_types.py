"""Labels of a data set: one type over both parts, in the order of the samples, and classes that look like numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinview.datasets import Dataset, Samples, load, split

X = np.arange(8.0).reshape(4, 1, 2)


def write_pair(folder: Path, train: list[str], test: list[str]) -> None:
    folder.mkdir()
    for part, labels in (("TRAIN", train), ("TEST", test)):
        rows = (f"{label}\t{i}\t{i + 1}\n" for i, label in enumerate(labels))
        (folder / f"{folder.name}_{part}.tsv").write_text("".join(rows))


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        (["07", "12"], ["12", "A"], [["07", "12"], ["12", "A"]]),
        (["1", "2"], ["2", "other"], [["1", "2"], ["2", "other"]]),
        (["1.0", "2.0"], ["1", "2"], [[1, 2], [1, 2]]),
        (["0.5", "1"], ["1", "2"], [[0.5, 1.0], [1.0, 2.0]]),
        (["1", "?"], ["", "1"], [[1, None], [None, 1]]),
        (["1", "2"], ["1.0", "2.0"], [[1, 2], [1, 2]]),
        (["1", "2"], ["1", "NA"], [[1, 2], [1, None]]),
    ],
)
def test_two_files_have_one_type_of_labels(tmp_path: Path, train: Any, test: Any, expected: Any) -> None:
    write_pair(tmp_path / "Pair", train, test)
    data = load("Pair", data_dir=tmp_path)
    assert data.y_train is not None and data.y_test is not None
    assert [data.y_train.tolist(), data.y_test.tolist()] == expected


def test_two_files_without_a_class_in_common_are_refused_where_classes_are_needed(tmp_path: Path) -> None:
    write_pair(tmp_path / "Pair", ["1", "2"], ["3", "4"])
    data = load("Pair", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"training labels of Pair and .* no class in common: 1, 2 against 3, 4; give"):
        data.require_classes()


def test_labels_and_groups_of_a_data_set_follow_the_index_of_its_samples() -> None:
    names = ["anna", "ben", "carl", "dora"]
    table = pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0]}, index=pd.Index(names, name="patient"))
    y, groups = pd.Series([0, 1, 1, 0], index=names)[::-1], pd.Series(list("uvvw"), index=names)[::-1]
    data = Dataset(table, y, table, y.to_numpy(), "d", "tabular", groups, None)  # type: ignore[arg-type]
    assert data.y_train is not None and data.y_test is not None and data.groups_train is not None
    assert data.y_train.tolist() == [0, 1, 1, 0] and data.groups_train.tolist() == list("uvvw")
    assert data.y_test.tolist() == [0, 1, 1, 0]
    samples = Samples(table, y, groups, "tabular")  # type: ignore[arg-type]
    kept = samples.rows(np.array([2, 3]))
    assert kept.y is not None and kept.groups is not None
    assert (kept.y.tolist(), kept.groups.tolist()) == ([1, 0], ["v", "w"])
    with pytest.raises(ValueError, match="the index of y_test holds other samples than X: 'emil' is not in X"):
        Dataset(table, y, table, y.rename({"dora": "emil"}), "d", "tabular")  # type: ignore[arg-type]
    nullable = pd.Series([1, None, 1, 0], index=names, dtype="Int64")
    made = Samples(table, nullable, None, "tabular").y  # type: ignore[arg-type]
    assert made is not None and made.tolist() == [1, None, 1, 0]


def test_arrays_stay_the_arrays_that_they_are() -> None:
    y, groups = np.array([0, 1, 1, 0], dtype="i4"), np.array([1, 2, 3, 4], dtype="u1")
    data = Dataset(X, y, X, y, "d", groups_train=groups)
    assert data.y_train is y and data.y_test is y and data.groups_train is groups


def test_half_points_are_classes_where_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "Grades").mkdir()
    grades = [0.5, 1.0, 1.5] * 8
    rows = "".join(f"{i % 7},{grade}\n" for i, grade in enumerate(grades))
    (tmp_path / "Grades" / "grades.csv").write_text("hours,grade\n" + rows)
    data = load("Grades", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"Grades has numbers with fractions.*as_classes\(\).*as_classes=True"):
        data.require_classes()
    for classes in (data.as_classes(), load("Grades", data_dir=tmp_path, as_classes=True)):
        classes.require_classes()
        assert classes.classes is not None and classes.classes.tolist() == ["0.5", "1.0", "1.5"]
    samples = Samples(np.zeros((24, 1, 2)), np.array(grades)).as_classes()
    drawn = split(samples, name="grades", source="", test_fraction=0.25)
    assert drawn.y_test is not None
    assert np.unique(drawn.y_test, return_counts=True)[1].tolist() == [2, 2, 2]
    gaps = Dataset(X, np.array([0.5, np.nan, 1, 1]), X, None, "d").as_classes()
    assert gaps.y_train is not None and gaps.y_train.tolist() == ["0.5", None, "1.0", "1.0"]
    whole = Dataset(X, np.array([0, 1, 1, 0]), X, None, "d")
    assert whole.as_classes().y_train is whole.y_train
    assert dataclasses.replace(data, name="other").fingerprint() == data.fingerprint()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": False}, r"label=False is no name of a column; YAML reads no, off or false .*, as in label: 'no'"),
        ({"group": True}, r"group=True is no name of a column; YAML reads yes, on or true .*, as in group: 'yes'"),
        ({"drop": ["age", False]}, r"drop=False is no name of a column"),
    ],
)
def test_a_word_of_yaml_that_is_no_name_says_to_quote_it(tmp_path: Path, options: Any, message: str) -> None:
    (tmp_path / "Table").mkdir()
    (tmp_path / "Table" / "table.csv").write_text("age,no\n1,0\n2,1\n3,0\n")
    with pytest.raises(ValueError, match=message):
        load("Table", data_dir=tmp_path, **options)
    assert load("Table", data_dir=tmp_path, label="no").classes is not None
