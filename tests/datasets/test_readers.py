"""Readers of archive files and wide tables, against other people's readers and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from kinview.datasets import read_arff, read_path, read_ts, read_ucr, read_wide
from kinview.datasets.arff import read_arff_table

VALUES = st.floats(allow_nan=True, allow_infinity=False, width=64)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# --- UCR text files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.tsv", "1\t0.5\t-1e-3\tNaN\n-1\t2\t3\t4\n"),
        ("x.txt", "  1.0000000e+00   5.0e-01 -1e-3 NaN\n -1.0e+00  2 3 4\n"),
        ("x", "1,0.5,-1e-3,?\n-1,2,3,4\n"),
        ("crlf.tsv", "1\t0.5\t-1e-3\r\n-1\t2\t3\t4\r\n"),
    ],
)
def test_every_spelling_of_a_ucr_file_reads_the_same(tmp_path: Path, name: str, text: str) -> None:
    samples = read_ucr(written(tmp_path, name, text))
    np.testing.assert_array_equal(samples.X, [[[0.5, -1e-3, np.nan]], [[2.0, 3.0, 4.0]]])
    assert samples.y is not None and samples.y.tolist() == [1, -1] and samples.y.dtype == np.int64


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(X=hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=VALUES))
def test_ucr_round_trip_is_exact(tmp_path: Path, X: np.ndarray) -> None:
    lines = ["\t".join(["c", *map(repr, row.tolist())]) for row in X]
    np.testing.assert_array_equal(read_ucr(written(tmp_path, "x.tsv", "\n".join(lines))).X[:, 0], X)


def test_labels_that_are_text_stay_text(tmp_path: Path) -> None:
    samples = read_ucr(written(tmp_path, "x.tsv", "walk\t1\nrun\t2\n"))
    assert samples.y is not None and samples.y.tolist() == ["walk", "run"]


def test_ucr_errors_name_the_file_and_the_cell(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"bad\.tsv cannot be read.*'oops'"):
        read_ucr(written(tmp_path, "bad.tsv", "1\t2\toops\n"))
    with pytest.raises(ValueError, match="one cell a line"):
        read_ucr(written(tmp_path, "one.tsv", "1\n2\n"))
    with pytest.raises(ValueError, match="is empty"):
        read_ucr(written(tmp_path, "empty.tsv", "\n"))
    (tmp_path / "latin.tsv").write_bytes(b"\xe9\t1\n")
    with pytest.raises(ValueError, match=r"latin\.tsv is not UTF-8 text"):
        read_ucr(tmp_path / "latin.tsv")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_ucr(tmp_path / "absent.tsv")


# --- .ts


def test_ts_pads_unequal_lengths_and_reads_missing(tmp_path: Path) -> None:
    text = "# note\n@Dimensions 2\n@classLabel true up down\n@DATA\n1,2,?:3,NaN,5:up\n\n7:8:down\n"
    samples = read_ts(written(tmp_path, "x.ts", text))
    nan = np.nan
    np.testing.assert_array_equal(samples.X, [[[1, 2, nan], [3, nan, 5]], [[7, nan, nan], [8, nan, nan]]])
    assert samples.y is not None and samples.y.tolist() == ["up", "down"]


def test_ts_target_is_float_and_no_label_is_none(tmp_path: Path) -> None:
    target = read_ts(written(tmp_path, "t.ts", "@targetlabel true\n@data\n1,2:3\n")).y
    assert target is not None and target.dtype == np.float64 and target.tolist() == [3.0]
    assert read_ts(written(tmp_path, "n.ts", "@classLabel false\n@data\n1,2:3,4\n")).y is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("@data\n1,b,3:x\n", r"line 3: 'b' is not a number"),
        ("@data\n1,2:3:x\n", r"line 3 has channels of unequal length \(2, 1\)"),
        ("@data\n1:2:x\n3:x\n", r"line 4 has 1 channel\(s\), the first 2"),
        ("@timeStamps true\n@data\n(0,1):x\n", "has time stamps inside"),
        ("1,2:x\n", "no @data line"),
        ("@data\n", "no series after"),
        ("@data\nx\n", "line 3 has a label but no values"),
    ],
)
def test_ts_errors_say_where(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_ts(written(tmp_path, "x.ts", "@classLabel true x\n" + body))


@pytest.mark.parametrize("name", ["BasicMotions", "JapaneseVowels"])
def test_ts_equals_sktimes_reader(data_dir: Path, name: str) -> None:
    from sktime.datasets import load_from_tsfile

    path = data_dir / name / f"{name}_TEST.ts"
    theirs, labels = load_from_tsfile(str(path), return_data_type="nested_univ")
    samples = read_ts(path)
    assert samples.y is not None and [str(y).lower() for y in samples.y] == list(labels)
    for ours, row in zip(samples.X, theirs.itertuples(index=False), strict=True):
        expected = np.stack([series.to_numpy() for series in row])
        np.testing.assert_array_equal(ours[:, : expected.shape[1]], expected)
        assert np.isnan(ours[:, expected.shape[1] :]).all()


# --- ARFF


RELATIONAL = """% a comment
@relation demo
@attribute motion relational
  @attribute t0 numeric
  @attribute t1 numeric
  @attribute t2 numeric
@end motion
@attribute class {Standing,Running}
@data
"1.5,2,?\\n4,5,6",Running
"1,2,3\\n?,?,?",Standing
"""


@pytest.mark.parametrize("quote", ['"', "'"])
def test_relational_arff(tmp_path: Path, quote: str) -> None:
    path = written(tmp_path, "x.arff", RELATIONAL.replace('"', quote))
    samples = read_arff(path)
    nan = np.nan
    np.testing.assert_array_equal(samples.X, [[[1.5, 2, nan], [4, 5, 6]], [[1, 2, 3], [nan, nan, nan]]])
    assert samples.y is not None and samples.y.tolist() == ["Running", "Standing"]
    np.testing.assert_array_equal(read_path(path).X, samples.X)


def test_univariate_arff(tmp_path: Path) -> None:
    text = (
        "@relation d\n@attribute att1 numeric\n@attribute att2 real\n@attribute target {1,2}\n@data\n0.5,?,2\n1,2,1\n"
    )
    samples = read_arff(written(tmp_path, "x.arff", text))
    np.testing.assert_array_equal(samples.X, [[[0.5, np.nan]], [[1.0, 2.0]]])
    assert samples.y is not None and samples.y.tolist() == [2, 1]


def test_arff_table_with_quotes_escapes_and_kinds(tmp_path: Path) -> None:
    text = (
        "@relation 'd e'\n@attribute 'new car' {'no credits/all paid', 'a, b', 'it\\'s', NA}\n@attribute n INTEGER\n"
        "@attribute note string\n@attribute day date\n@data\n% inside\n'a, b',3,'x%y',2020-01-02\n"
        "'it\\'s',?,?,?\nNA,1,z,?\n"
    )
    frame = read_arff_table(written(tmp_path, "x.arff", text))
    assert frame["new car"].tolist() == ["a, b", "it's", "NA"]  # only ? is missing in ARFF
    assert list(frame["new car"].cat.categories) == ["no credits/all paid", "a, b", "it's", "NA"]
    np.testing.assert_array_equal(frame["n"], [3, np.nan, 1])
    assert frame["note"].iloc[0] == "x%y" and frame["note"].isna().tolist() == [False, True, False]
    assert frame["day"].iloc[0] == pd.Timestamp("2020-01-02")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@attribute a {x,y}\n@data\nz\n", "'z' in data line 1 is not a value of attribute 'a': x, y"),
        ("@attribute a numeric\n@attribute a numeric\n@data\n1,2\n", "declares the attribute 'a' more than once"),
        ("@attribute a numeric\n@data\n{0 1}\n", "sparse"),
        ("@attribute a complex\n@data\n1\n", "unknown type 'complex'"),
        ("@attribute a numeric\n", "no @data line"),
        ("@attribute a numeric\n@data\n", "1 attributes and 0 data lines"),
        ("@attribute a numeric\n@data\n1,2\n", "more cells"),
        ("@attribute s relational\n@attribute t numeric\n@end s\n@data\n'1'\n", "time series"),
    ],
)
def test_arff_errors(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_arff_table(written(tmp_path, "x.arff", "@relation d\n" + text))


@pytest.mark.parametrize("name", ["heart-h", "vote", "mushroom", "credit-g", "vehicle"])
def test_arff_equals_scipys_reader(data_dir: Path, name: str) -> None:
    from scipy.io import arff

    (path,) = (data_dir / name).glob("*.arff")
    theirs = pd.DataFrame(arff.loadarff(path)[0])
    ours = read_arff_table(path)
    assert list(ours.columns) == list(theirs.columns)
    for column in ours:
        if pd.api.types.is_numeric_dtype(theirs[column].dtype):
            np.testing.assert_array_equal(ours[column], theirs[column])
        else:
            expected = theirs[column].str.decode("utf-8")
            assert ours[column].astype(object).fillna("?").tolist() == expected.tolist()


# --- wide tables


def test_csv_with_a_header(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "id,age,kind,y\na,61, None,yes\nb, ,?,no\nc,7,x,yes\n")
    with pytest.warns(
        UserWarning, match=r"x\.csv: line 3 has no observed cell among the features, but counts as a sam"
    ):
        samples = read_wide(path, label="y", drop="id")
    assert list(samples.X.columns) == ["age", "kind"] and samples.modality == "tabular"
    np.testing.assert_array_equal(samples.X["age"], [61, np.nan, 7])
    assert samples.X["kind"].fillna("missing").tolist() == ["None", "missing", "x"]  # None is a category
    assert samples.y is not None and samples.y.tolist() == ["yes", "no", "yes"]


@pytest.mark.parametrize("label", [-1, 2, "2", "x2"])
def test_csv_without_a_header_is_recognised(tmp_path: Path, label: str | int) -> None:
    samples = read_wide(written(tmp_path, "x.data", "M,0.5,15\nF,0.25,7\n"), label=label)
    assert list(samples.X.columns) == ["x0", "x1"] and len(samples) == 2
    assert samples.y is not None and samples.y.tolist() == [15, 7]


def test_header_can_be_told(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "2019,2020\n1,2\n")
    assert len(read_wide(path)) == 2
    samples = read_wide(path, header=True)
    assert list(samples.X.columns) == ["2019", "2020"] and len(samples) == 1
    assert len(read_wide(written(tmp_path, "y.csv", "p,x\ne,y\n"), header=False)) == 2


def test_parquet_equals_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["u", "v"], "y": [0, 1], "who": [7, 8]})
    frame.to_parquet(tmp_path / "x.parquet")
    frame.to_csv(tmp_path / "x.csv", index=False)
    one, other = (read_wide(tmp_path / f"x.{kind}", label="y", group="who") for kind in ("parquet", "csv"))
    pd.testing.assert_frame_equal(one.X, other.X)
    assert one.y is not None and other.y is not None and one.y.tolist() == other.y.tolist() == [0, 1]
    assert (
        one.groups is not None and other.groups is not None and one.groups.tolist() == other.groups.tolist() == [7, 8]
    )


def test_wide_rows_as_series(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "1,10,2,20,0\n3,30,4,,1\n")
    interleaved = read_wide(path, label=-1, modality="time_series", channels=2, interleaved=True).X
    np.testing.assert_array_equal(interleaved, [[[1, 2], [10, 20]], [[3, 4], [30, np.nan]]])
    blocks = read_wide(path, label=-1, modality="time_series", channels=2).X
    np.testing.assert_array_equal(blocks, [[[1, 10], [2, 20]], [[3, 30], [4, np.nan]]])
    with pytest.raises(ValueError, match="channels=3 does not divide the 4 value columns"):
        read_wide(path, label=-1, modality="time_series", channels=3)


def test_libras_is_two_interleaved_channels(data_dir: Path) -> None:
    path = data_dir / "Libras_UCI" / "movement_libras.data"
    samples = read_wide(path, label=-1, modality="time_series", channels=2, interleaved=True)
    raw = np.loadtxt(path, delimiter=",")
    assert samples.X.shape == (360, 2, 45)
    np.testing.assert_array_equal(samples.X[:, 1], raw[:, 1:90:2])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {"label": "c"}, r"no column 'c'; its columns are: a, b"),
        ("a,b\n1,2\n", {"drop": ["z"]}, "no column 'z'"),
        ("a,b\n1,2\n", {"label": 5}, "no column 5"),
        ("a,y\n1,0\n", {"index": "y", "modality": "time_series"}, r"index=\['y'\] names the rows of a table"),
        ("a,y\n1,0\n", {"label": "y", "drop": "a"}, "no feature columns left"),
        ("a,a\n1,2\n", {"header": True}, "two columns named 'a'"),
        ("a,b\n1,2,3\n", {}, r"line 1 \('a,b'\) has 2 cells, most of those below it 3"),
        ("a,g\n1,\n", {"group": "g"}, "rows without a group"),
        ("a,b\n1,x\n", {"modality": "time_series"}, "column 'b' is not numeric"),
    ],
)
def test_wide_errors(tmp_path: Path, text: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_wide(written(tmp_path, "x.csv", text), **options)  # type: ignore[arg-type]


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.parquet cannot be read as Parquet"):
        read_wide(written(tmp_path, "x.parquet", "no parquet"))


def test_dates_in_text_become_dates_and_nothing_else_does(tmp_path: Path) -> None:
    text = (
        "day,stamp,zoned,year,number,code,empty,seen\n"
        "2024-05-31,2024-05-31 13:30,2024-05-31T02:00:00+02:00,2024,20240532,2024-05,,2024-05-31\n"
        ",2024-05-31 13:30:05.5,2024-05-31T00:00:00Z,2023,20240601,2024-06,,2024-06-01\n"
    )
    samples = read_wide(written(tmp_path, "x.csv", text), label="seen")
    kinds = {name: pd.api.types.is_datetime64_any_dtype(dtype) for name, dtype in samples.X.dtypes.items()}
    assert [name for name, is_date in kinds.items() if is_date] == ["day", "stamp", "zoned"]
    assert samples.X["day"].isna().tolist() == [False, True]
    assert samples.X["stamp"].tolist() == [pd.Timestamp("2024-05-31 13:30"), pd.Timestamp("2024-05-31 13:30:05.5")]
    assert samples.X["zoned"].tolist() == [pd.Timestamp("2024-05-31")] * 2
    assert samples.X["year"].tolist() == [2024, 2023] and samples.X["code"].tolist() == ["2024-05", "2024-06"]
    assert samples.y is not None and samples.y.tolist() == ["2024-05-31", "2024-06-01"]
    samples.X.to_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read_wide(tmp_path / "x.parquet").X, samples.X)


def test_rows_without_a_label_are_kept(tmp_path: Path) -> None:
    labels = [read_wide(written(tmp_path, "x.csv", f"a,y\n1,{y}\n2,\n"), label="y").y for y in ("1", "ill", "0.5")]
    assert [y.tolist() for y in labels[:2] if y is not None] == [[1, None], ["ill", None]]
    np.testing.assert_array_equal(labels[2], [0.5, np.nan])
    assert read_ucr(written(tmp_path, "x.tsv", "1\t2\nNaN\t3\n")).y.tolist() == [1, None]


def test_index_columns_name_the_rows(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "who,visit,a\np,1,0.5\nq,1,0.25\n")
    one, two = read_wide(path, index="who").X, read_wide(path, index=["who", "visit"]).X
    assert one.index.tolist() == ["p", "q"] and one.index.name == "who" and list(one.columns) == ["visit", "a"]
    assert two.index.tolist() == [("p", 1), ("q", 1)] and two.index.name == ("who", "visit") and two.index.nlevels == 1
    assert read_wide(path, index="who").rows(np.array([1])).X.index.tolist() == ["q"]
