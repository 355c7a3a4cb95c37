"""What the formats allow and people write: older ``.ts`` headers, commas at the end of ARFF rows, stray line ends."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinview.datasets import read_path, read_physionet2012
from kinview.datasets.archives import read_ts, read_ucr
from kinview.datasets.arff import read_arff, read_arff_table
from kinview.datasets.hashing import update
from test_physionet2012 import folder_with

HEAD = "@problemName x\n@timeStamps false\n"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


# --- .ts


@pytest.mark.parametrize(
    "header",
    [
        "@univariate true\n@classLabel true a b\n @data\n",
        "\t@univariate\ttrue\n\t@classLabel\ttrue\ta\tb\n\t@data\t\n",
        "@classLabel   true  a b\n@data\n",
        "@classLabel: true a b\n@data\n",
        "@classLabel a b\n@data\n",
        "@univariate true\n@data\n",
        "@dimensions 1\n@data\n",
        "@CLASSLABEL TRUE a b\r\n@DATA\r\n",
        "@data\n",
    ],
)
@pytest.mark.parametrize("rows", ["1,2,3:a\n4,5,6:b\n", "  1,2,3:a\n\t4,5,6:b\r\n", "1, 2, 3 : a\r4, 5, 6 : b"])
def test_every_spelling_of_a_ts_header_reads_the_same(header: str, rows: str, tmp_path: Path) -> None:
    samples = read_ts(written(tmp_path, "x.ts", HEAD + header + rows))
    np.testing.assert_array_equal(samples.X, [[[1, 2, 3]], [[4, 5, 6]]])
    assert samples.y is not None
    assert samples.y.tolist() == ["a", "b"]


def test_numeric_labels_are_never_taken_for_a_channel(tmp_path: Path) -> None:
    rows = "1:2:1\n3:4:2\n"
    for header in ("@classLabel\ttrue 1 2\n", "@classLabel 1 2\n", "@dimensions\t2\n"):
        samples = read_ts(written(tmp_path, "x.ts", f"{HEAD}{header}@data\n{rows}"))
        assert samples.X.shape == (2, 2, 1)
        assert samples.y is not None
        assert samples.y.tolist() == [1, 2]
    for header in ("@classLabel false\n", "@dimensions 3\n", "@targetlabel false\n", ""):
        samples = read_ts(written(tmp_path, "x.ts", f"{HEAD}{header}@data\n{rows}"))
        assert samples.X.shape == (2, 3, 1)
        assert samples.y is None
    with pytest.raises(ValueError, match=r"x\.ts, line 4 has channels of unequal length \(2, 1\).* @classLabel true"):
        read_ts(written(tmp_path, "x.ts", f"{HEAD}@data\n1,2:1\n"))


def test_a_channel_is_never_taken_for_a_label(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.ts, line 5 ends in '3,4' where the header announces a label"):
        read_ts(written(tmp_path, "x.ts", f"{HEAD}@classLabel true a\n@data\n1,2:3,4\n"))
    with pytest.raises(ValueError, match=r"x\.ts, line 6: 'high' is not a number"):
        read_ts(written(tmp_path, "x.ts", f"{HEAD}@targetLabel true\n@data\n1:2.5\n1:high\n"))


@pytest.mark.parametrize("cell", ["2_0", '"2"', "1 2", "0x1", "2\u2028", "--1"])
def test_what_only_python_takes_for_a_number_is_refused(cell: str, tmp_path: Path) -> None:
    path = written(tmp_path, "x.ts", f"{HEAD}@classLabel false\n@data\n1,{cell},3\n")
    if cell == "2\u2028":  # white space
        assert read_ts(path).X.tolist() == [[[1, 2, 3]]]
        return
    with pytest.raises(ValueError, match=r"x\.ts, line 5: .* is not a number"):
        read_ts(path)


def test_a_line_with_other_signs_is_one_line(tmp_path: Path) -> None:
    """Vertical tabs and separators of Unicode end no line, as they end none for pandas."""
    assert len(read_ucr(written(tmp_path, "x.tsv", "a\u2028b\t2\t3\nc\t4\t5\n")).X) == 2
    with pytest.raises(ValueError, match=r"x\.tsv cannot be read"):
        read_ucr(written(tmp_path, "x.tsv", "1\t2\t3\x0b4\t5\n2\t3\t4\n"))
    for name in ("x.ts", "x.tsv"):
        with pytest.raises(ValueError, match=f"{name} .*"):
            read_path(
                written(tmp_path, name, "@classLabel true a\n@data\n1\x00:a\n" if name == "x.ts" else "1\t2\x00\n")
            )


def test_a_ucr_value_that_is_no_number_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.tsv cannot be read: line 4 has 'oops', which is not a number"):
        read_ucr(written(tmp_path, "x.tsv", "1\t2\t3\n\n2\t3\t4\n1\t3\toops\n"))


# --- ARFF


def arff(folder: Path, rows: str, kinds: str = "@attribute a numeric\n@attribute b {x,'y, z'}\n") -> Path:
    return written(folder, "x.arff", f"% c\n@relation d\n{kinds}@data\n{rows}")


@pytest.mark.parametrize(
    "rows", ["1,x\n2,'y, z'\n", "1,x,\n2,'y, z'\n", '1,x\n% c\n\n2,"y, z" , \n', "1, 'x'\r\n2,y\\, z,\r\n"]
)
def test_every_spelling_of_an_arff_row_reads_the_same(rows: str, tmp_path: Path) -> None:
    frame = read_arff_table(arff(tmp_path, rows))
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].tolist() == ["x", "y, z"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,x\n% c\n2\n", "line 8 has fewer cells, 1, than there are attributes, 2"),
        ("1,x,,\n", "line 6 has more cells, 4"),
        ("1,x,{5}\n", "line 6 has more cells, 3"),
        ("1,x\n{0 1}\n", "line 7: this is a sparse ARFF file"),
        ("1,x\n2,'y, z\n", "line 7: the cell that begins with .* has a quote without end"),
        ("1,x\n\ntwo,x\n", "'two' in line 8 is not a number, as attribute 'a' has to be"),
        ("1,x\n2,q\n", r"line 7: 'q' in data line 2 is not a value of attribute 'b': x, y, z"),
    ],
)
def test_arff_errors_name_the_line_of_the_file(rows: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        read_arff_table(arff(tmp_path, rows))
    assert "x.arff" in str(refused.value)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ("@attribute a {x,y\n", r"line 3: the values of attribute 'a' must be written \{a, b, c\}; got '\{x,y'"),
        ("@attribute\n", "line 3: cannot read"),
        ("@attribute a numeric\n@end a\n", "line 4: @end without a relational attribute"),
        ("@attribute a date HH:mm\n", "attribute 'a': the date format 'HH:mm' has no year of four digits"),
        ("@attribute a date ww-yyyy\n", "attribute 'a': the date format 'ww-yyyy' has 'ww'; known are: yyyy"),
    ],
)
def test_arff_declarations_that_cannot_be_read_are_named(kinds: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        read_arff_table(arff(tmp_path, "1\n", kinds))
    assert "x.arff" in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "cell", "expected"),
    [
        ("date", "2024-05-31", "2024-05-31"),
        ("DATE", "2024-05-31T02:10:00+02:00", "2024-05-31T00:10:00"),
        ("date dd.MM.yyyy", "03.04.2024", "2024-04-03"),
        ("date 'MM/dd/yyyy HH:mm'", "03/04/2024 07:30", "2024-03-04T07:30"),
        ("date \"yyyy-MM-dd'T'HH:mm:ss\"", "2024-05-31T14:00:01", "2024-05-31T14:00:01"),
    ],
)
def test_dates_are_read_as_they_are_declared(declared: str, cell: str, expected: str, tmp_path: Path) -> None:
    frame = read_arff_table(arff(tmp_path, f"'{cell}'\n?\n", f"@attribute a {declared}\n"))
    assert frame["a"].iloc[0] == pd.Timestamp(expected)
    assert frame["a"].isna().tolist() == [False, True]
    for other in ("07:30", "31/31/31", "yesterday"):
        with pytest.raises(ValueError, match=rf"x\.arff, line 5: '{other}' is not a date of attribute 'a'"):
            read_arff_table(arff(tmp_path, f"'{other}'\n", f"@attribute a {declared}\n"))


def test_a_series_needs_a_step(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.arff holds no time series: it has one attribute"):
        read_arff(arff(tmp_path, "1\n", "@attribute a numeric\n"))


# --- PhysioNet


BODY = "00:07,HR,70\n00:09,HR,\n01:00,pH,7.4\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n", "\r\n\r\n", "\n\r"])
def test_line_ends_of_a_stay_do_not_matter(end: str, tmp_path: Path) -> None:
    good = read_physionet2012(folder_with(tmp_path / "good", {5: BODY, 6: BODY}))
    folder = folder_with(tmp_path / "other", {5: BODY, 6: BODY})
    file = folder / "set-a" / "5.txt"
    file.write_bytes(file.read_bytes().replace(b"\n", end.encode()))
    pd.testing.assert_frame_equal(read_physionet2012(folder).X, good.X)
    file.write_bytes(file.read_bytes().rstrip())  # no line end at the end of the file
    pd.testing.assert_frame_equal(read_physionet2012(folder).X, good.X)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("00:10,HR\r,80\n", r"5\.txt cannot be read: line 3 is '00:10,HR'"),
        ("00:10,HR\n", r"5\.txt cannot be read: line 3 is '00:10,HR'"),
        ("00:10,HR,80,\n", r"5\.txt cannot be read: line 3 is '00:10,HR,80,'"),
        ("00:09,HR,80\n00:10,HR,80,1\n", r"5\.txt cannot be read: line 4 is '00:10,HR,80,1'"),
        ("00:10,HR,fast\n", r"5\.txt cannot be read: line 3 is '00:10,HR,fast'"),
        ("00:10,HR,8_0\n", r"5\.txt cannot be read: line 3"),
        ("00:10,HR,8\x000\n", r"5\.txt cannot be read: line 3"),
        ("00:10,HR,inf\n", r"5\.txt, line 3 holds an infinite value"),
        ("00:10,HR,80\n,HR,80\n", r"5\.txt, line 4: .* is not a time hh:mm"),
        ("00:61,HR,80\n", r"5\.txt, line 3: '00:61' is not a time hh:mm"),
        ("\n\n00:10,Mood,3\n", r"5\.txt holds 'Mood', .*\(line 5\)"),
        ("00:00,RecordID,6.5\n", r"5\.txt, line 3: RecordID 6\.5 is not one whole number"),
        ("00:00,RecordID,7\n", r"5\.txt, line 2: RecordID 5 is not one whole number for the whole file"),
    ],
)
def test_errors_of_a_stay_name_file_and_line(body: str, message: str, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, {4: BODY, 5: body, 6: BODY})
    with pytest.raises(ValueError, match=message):
        read_physionet2012(folder)


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ("5,0\n5,1\n", r"Outcomes-a\.txt: RecordID 5 has more than one In-hospital_death"),
        ("5,0.5\n", r"Outcomes-a\.txt: In-hospital_death must be 0 or 1; got '0\.5' in line 2"),
        ("5,died\n", r"Outcomes-a\.txt: In-hospital_death must be 0 or 1; got 'died' in line 2"),
    ],
)
def test_outcomes_that_are_none_are_refused(outcomes: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_physionet2012(folder_with(tmp_path, {5: BODY}, f"RecordID,In-hospital_death\n{outcomes}"))
    (tmp_path / "Outcomes-a.txt").write_text("RecordID,In-hospital_death\n5,0\n5,0\n")
    assert len(read_physionet2012(tmp_path)) == 1


# --- hashes


@pytest.mark.parametrize("kind", ["i8", "i2", "f4", "f8", "M8[s]", "m8[ms]"])
def test_equal_contents_hash_equally_in_every_byte_order(kind: str) -> None:
    values = np.array([1, 2, 3]).astype(kind)
    digests = set()
    for order in "<>":
        digest = hashlib.sha256()
        update(digest, values.astype(values.dtype.newbyteorder(order)))
        digests.add(digest.hexdigest())
    assert len(digests) == 1
