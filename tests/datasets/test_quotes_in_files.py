"""Quotes in text files: a stray one takes no rows into a cell, and cells that break lines are read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from helpers import written
from kinview.datasets import Samples, quotes, read_long, read_wide

ROWS = [f"{i},{i * 7 % 11},n{i}" for i in range(1, 40)]


def wide(folder: Path, text: str, **options: Any) -> Samples:
    return read_wide(written(folder, text), **options)


def table(changed: dict[int, str], end: str = "\n") -> str:
    """A table of three columns with these rows, the first is 0, written otherwise."""
    return end.join(["id,x,note", *(changed.get(place, row) for place, row in enumerate(ROWS)), ""])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('id,x,note\n1,1,"5 cm\n2,2,b\n3,3,"6 cm\n4,4,d\n', r"line 4: the quote .* begun in line 2 has '6 cm' behind"),
        (table({4: '5,5,"open', 29: '30,30,closed"'}), "quote in line 6 is closed in line 31 only, and the lines betw"),
        (table({4: '5,5,"open', 5: '6,6,closed"'}), "quote in line 6 is closed in line 7 only"),
        (table({4: '5,5,"open', 9: "10,1", 29: '30,30,closed"'}), "quote in line 6 is closed in line 31 only"),
        (table({4: '5,5,"open', 29: '30,30,"'}), "quote in line 6 is closed in line 31 only"),
        (table({4: '5,"open,3', 29: '30,closed",3'}), "quote in line 6 is closed in line 31 only"),
        (table({4: '"5,5,open', 29: '30,"3",x'}), "line 31: the quote that closes a cell begun in line 6 has '3"),
        (table({4: '5,5,"open'}), "line 6: the quote before 'open' is never closed"),
        ('a,b\n1,"x\n2,y\n3,z\n', "line 2: the quote before 'x' is never closed"),
        ('"a,b\n1,x\n2,y\n', "line 1: the quote before 'a,b' is never closed"),
        ('k,l\nu,"v\nx,y\nz,"\nr,s\n', "quote in line 2 is closed in line 4 only"),
        ('a,b,c\nx,"u,v\ny,u,v\nz,w",v\nq,q,q\nr,r,r\n', "line 2 is closed in line 4 only"),  # texts alone
        ('a,b\n1,"x" y\n2,z\n', "line 2: the quote that closes a cell has ' y' behind it instead of the separator ','"),
        ('a,b\n1,"x \\"y\\" z"\n2,z\n', r'line 2: .* has a backslash before it, and .*twice, "", instead of \\"'),
        ('a b\n1 "x"y\n2 z\n', "instead of the separator a blank"),
    ],
)
def test_a_quote_that_would_take_rows_is_refused_by_line(tmp_path: Path, text: str, message: str, end: str) -> None:
    with pytest.raises(ValueError, match=rf"x\.csv.*({message})"):
        wide(tmp_path, text.replace("\n", end), header=True)


def test_lines_are_counted_with_those_left_out(tmp_path: Path) -> None:
    for top, options in (("title\n\n", {"skiprows": 2}), ("# a\n# b\n", {"comment": "#"})):
        with pytest.raises(ValueError, match="quote in line 8 is closed in line 33 only"):
            wide(tmp_path, top + table({4: '5,5,"open', 29: '30,30,closed"'}), **options)
    path = tmp_path / "long.csv"
    path.write_text('id,t,x,note\n1,0,5,"a\n1,1,6,b\n2,0,7,c"\n')
    with pytest.raises(ValueError, match="quote in line 2 is closed in line 4 only"):
        read_long(path, id="id", time="t")


def test_cells_that_break_lines_are_read(tmp_path: Path) -> None:
    text = 'id,x,note\n1,1,"two\nlines"\n2,2,"a, b\nc, d"\n3,3,"see:\nfoo, bar\n\nx, y, z\n"\n4,4," ""q"" "\n'
    samples = wide(tmp_path, text, index="id")
    assert samples.X["note"].tolist() == ["two\nlines", "a, b\nc, d", "see:\nfoo, bar\n\nx, y, z", '"q"']
    assert samples.X["x"].tolist() == [1, 2, 3, 4]
    texts = wide(tmp_path, 'a,b\nu,"v, w\nx, y"\nz,q\n', index="a").X  # as many commas by chance, one break
    assert texts["b"].tolist() == ["v, w\nx, y", "q"]
    doses = wide(tmp_path, 'id,drugs\n1,"x\naspirin, 100\nibuprofen, 200\ny"\n2,b\n', index="id").X
    assert doses["drugs"].tolist() == ["x\naspirin, 100\nibuprofen, 200\ny", "b"]
    inches = wide(tmp_path, 'size,b\n5\' 3",1\n6",4\n').X
    assert inches["size"].tolist() == ["5' 3\"", '6"']
    assert wide(tmp_path, 'a;b\n"x";"1"\n"y" ; "2"\n').X["b"].tolist() == [1, 2]
    assert wide(tmp_path, 'a,b\n"x" ,"1"\t\n"y","2"  \n').X["b"].tolist() == [1, 2]
    assert wide(tmp_path, '"a" "b"\n"x y" 1\n"z" 2\n').X["b"].tolist() == [1, 2]


def test_a_cell_may_reach_over_the_parts_that_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotes, "_PART", 7)
    text = 'id,x,note\n1,1,"two\nlines and\nmore, of\nthem"\n2,2,c\n'
    assert wide(tmp_path, text, index="id").X["note"].tolist() == ["two\nlines and\nmore, of\nthem", "c"]
    with pytest.raises(ValueError, match="quote in line 6 is closed in line 31 only"):
        wide(tmp_path, table({4: '5,5,"open', 29: '30,30,closed"'}))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(["", "x", 'a"b', "c,d", "e\nf", " g", "h\ni\nj, k", '"', '"\n']), min_size=2, max_size=8),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_a_writer_of_csv_writes_is_read(tmp_path: Path, notes: list[str], quoting: Any, end: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end, quoting=quoting)
    writer.writerow(["key", "x", "note", "z"])
    for number, note in enumerate(notes):
        writer.writerow([f"k{number}", number + 0.5, note, number * 7 % 5 + 0.5])
    X = wide(tmp_path, out.getvalue(), index="key", header=True, sep=",").X
    assert X.index.tolist() == [f"k{number}" for number in range(len(notes))]
    assert X["x"].tolist() == [number + 0.5 for number in range(len(notes))]
    read = ["" if note is None or note != note else note for note in X["note"].tolist()]
    assert [note.strip() for note in read] == [note.strip() for note in notes]
