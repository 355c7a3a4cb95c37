"""Ids, groups, labels and names of rows are codes: exact in every format, numbers only where one to one."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kinview.datasets import read_long, read_path, read_wide

BIG = [2**53 + 1, 2**53]


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        (["07", "7", "8"], ["07", "7", "8"]),
        (["7", "12", "3"], [7, 12, 3]),
        (["7.0", "7", "1e1"], ["7.0", "7", "1e1"]),
        (["9007199254740993", "9007199254740992", "1"], [2**53 + 1, 2**53, 1]),
        ([str(10**21), str(10**21 + 1), "1"], [str(10**21), str(10**21 + 1), "1"]),
        (["True", "False", "true"], ["True", "False", "true"]),
        (["a ", "a", "NaN b"], ["a", "a", "NaN b"]),  # blanks at the ends are padding
        (["1,5", "-", "98%"], ["1,5", "-", "98%"]),  # no measurements, so none is nearly a number
        (["2024-05-31", "31.05.2024", "x"], ["2024-05-31", "31.05.2024", "x"]),
    ],
)
def test_codes_of_text_files(tmp_path: Path, cells: list[str], codes: list[Any]) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a;site;who\n" + "".join(f"0.5;{cell};{cell}\n" for cell in cells))
    alike = {"true", "7.0"} & set(cells)  # beside True and 7
    warned = pytest.warns(UserWarning, match="letter case, blanks") if alike else contextlib.nullcontext()
    with warned:
        samples = read_wide(path, group="site", index="who")
    assert samples.groups is not None and samples.groups.tolist() == codes
    assert samples.X.index.tolist() == codes
    path.write_text("who;t;x\n" + "".join(f"{cell};{t};0.{t}\n" for t, cell in enumerate(cells)))
    with warned:
        X = read_long(path, id="who", time="t").X
    assert set(X.index.get_level_values(0)) == set(codes)


def test_codes_with_an_empty_cell_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,who,y\n0.5,9007199254740993,9007199254740993\n1.5,,\n2.5,9007199254740992,1\n")
    with pytest.warns(UserWarning, match="line 3 has no name in column 'who', but counts as a sample"):
        samples = read_wide(path, index="who", label="y")
    assert samples.X.index.tolist() == [2**53 + 1, None, 2**53]
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5], "who": pd.array([BIG[0], None, BIG[1]], dtype="Int64")})
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.warns(UserWarning, match=r"row 2 \(counted from 1\) has no name in column 'who'"):
        assert read_wide(tmp_path / "x.parquet", index="who").X.index.tolist() == [BIG[0], None, BIG[1]]
    with pytest.raises(ValueError, match="rows without a group"):
        read_wide(tmp_path / "x.parquet", group="who")


def test_codes_of_parquet_keep_their_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [0.5, 1.5], "text": ["7", "8"], "number": [Decimal(2**53), Decimal(2**53 + 1)]})
    frame.to_parquet(tmp_path / "x.parquet")
    assert read_wide(tmp_path / "x.parquet", index=["text", "number"]).X.index.tolist() == [
        ("7", 2**53),
        ("8", 2**53 + 1),
    ]


def test_names_of_rows_in_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [0.5, 1.5], "y": [0, 1]}, index=["r1", "r2"])
    frame.to_parquet(tmp_path / "x.parquet")
    X = read_wide(tmp_path / "x.parquet", label="y").X
    assert X.index.tolist() == ["r1", "r2"] and X.index.name == "index" and list(X.columns) == ["a"]
    frame.rename_axis("who").to_parquet(tmp_path / "x.parquet")
    assert read_wide(tmp_path / "x.parquet", index="who").X.index.tolist() == ["r1", "r2"]


def test_several_ids_and_channel_names_are_codes_too(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    text = "p,r,t,item,x,y\n01,1,0,007,1.5,01\n01,2,0,7,2.5,02\n1,1,1,007,0.5,03\n1,1,2,7,4.5,03\n"
    path.write_text(text)
    samples = read_long(path, id=["p", "r"], time="t", variable="item", value="x", label="y")
    assert list(samples.X.columns) == ["007", "7"]
    assert list(samples.X.index) == [("01", 1, 0.0), ("01", 2, 0.0), ("1", 1, 1.0), ("1", 1, 2.0)]
    assert samples.groups is not None and samples.groups.tolist() == ["01", "01", "1"]
    path.write_text(text.replace("4.5,03", "4.5,3"))
    with pytest.raises(ValueError, match=r"column 'y' is not constant for id .*: '03', '3'"):
        read_long(path, id=["p", "r"], time="t", variable="item", value="x", label="y")


def test_columns_by_position(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("pid,t,hr,ward,died\n1,0,70,a,0\n1,1,71,a,0\n2,0,80,b,1\n")
    by_name = read_path(path, id="pid", time="t", group="ward", label="died", columns=["hr"])
    by_place = read_path(path, id="0", time=1, group=3, label=-1, columns=[2])
    pd.testing.assert_frame_equal(by_place.X, by_name.X)
    assert by_place.y.tolist() == by_name.y.tolist() and by_place.groups.tolist() == ["a", "b"]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="no column 9"):
        read_path(path, id=9, time="t")
    with pytest.warns(UserWarning, match="names several rows alike"):
        wide = read_path(path, index=0, drop=[1, "3"], label="-1")
    assert list(wide.X.columns) == ["hr"] and wide.X.index.tolist() == [1, 1, 2]


def test_embed_writes_ids_as_they_came(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,t,hr\n007,0,70.5\n07,0,80.5\n7,0,90.5\n")
    (tmp_path / "y.csv").write_text("who,a\n007,0.5\n07,1.5\n,2.5\n9007199254740993,2.5\n")
    for name, options, column in (("x", ("--id", "0", "--time", "1"), "id"), ("y", ("--index", "who"), "who")):
        data = ("--data", tmp_path / f"{name}.csv", *options)
        model = tmp_path / f"{name}.safetensors"
        for words in (
            ("pretrain", *data, "--method", "raw", "--output", model),
            ("embed", *data, "--model", model, "--output", tmp_path / f"{name}_z.csv"),
        ):
            from kinview.cli import main

            assert main([str(word) for word in words]) in (0, None)
        came = pd.read_csv(tmp_path / f"{name}.csv", dtype=str)[column]
        assert (
            pd.read_csv(tmp_path / f"{name}_z.csv", dtype=str)[column].fillna("").tolist() == came.fillna("").tolist()
        )


def test_an_index_that_names_rows_alike_asks_for_the_group(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("who,a\np,0.5\np,1.5\nq,0.5\n")
    with pytest.warns(UserWarning, match=r"index \['who'\] names several rows alike"):
        read_wide(path, index="who")
    read_wide(path, index="who", group=0)
