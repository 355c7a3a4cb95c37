"""A frame written in many ways is read back equal in values, types, labels and order, or refused by a column's name."""

from __future__ import annotations

import csv
import dataclasses
import io
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kinview.datasets import Samples, read_wide

NAMES = (
    "age",
    "7",
    "2019",
    "2020",
    "NA",
    "null",
    "nan",
    "",
    "a, b",
    'c"d',
    "x;y",
    "p|q",
    "Größe",
    "None",
    "1.5",
    "t\tu",
)
TEXTS = ("x", "y z", "None", "a,b", "a;b", "p|q", 'say "so"', "line\nbreak", "it's", "-", "3B", "Größe", "t\tu")
DATES = ("2024-05-31", "1999-01-02 13:30", "1066-10-14")
ZONED = ("2150-12-31T00:00:00Z", "2024-05-31T01:10+02:00")
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "number": st.sampled_from([0.5, -1.25, 3.0, 1e-7, 12345.678, 1e17]),
    "whole": st.integers(-1000, 1000),
    "text": st.sampled_from(TEXTS),
    "boolean": st.booleans(),
    "date": st.sampled_from(DATES),
    "zoned": st.sampled_from(ZONED),
}


@dataclasses.dataclass(frozen=True)
class Table:
    names: list[str]
    kinds: list[str]
    columns: list[list[Any]]  # None = missing

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return list(zip(*self.columns, strict=True))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n, width = draw(st.integers(5, 12)), draw(st.integers(1, 5))
    names = [draw(st.sampled_from(NAMES)) for _ in range(width)]
    if draw(st.integers(0, 4)):  # mostly distinct, so that most are read
        names = list(dict.fromkeys(names))
    kinds = [draw(st.sampled_from(sorted(KINDS))) for _ in names]
    columns = []
    for kind in kinds:
        gaps = draw(st.sampled_from([0, 0, 1]))
        cell = st.one_of(st.none(), KINDS[kind], KINDS[kind]) if gaps else KINDS[kind]
        columns.append([draw(cell) for _ in range(n)])
    labels = draw(st.sampled_from([(0, 1), ("ill", "well"), (3, 12), ("07", "08")]))
    columns.append([draw(st.sampled_from(labels)) for _ in range(n)])
    return Table([*names, "died"], [*kinds, "label"], columns)


# --- writers


def frame_of(table: Table) -> pd.DataFrame:
    """As a user has it in pandas."""
    columns = []
    for cells, kind in zip(table.columns, table.kinds):
        if kind in ("text", "date", "zoned", "boolean"):
            columns.append(pd.Series(cells, dtype=bool if kind == "boolean" and None not in cells else object))
        else:
            columns.append(pd.Series(cells))
    return pd.concat(columns, axis=1).set_axis(pd.Index(table.names, dtype=object), axis=1)


def by_pandas(**options: Any) -> Callable[[Table, Path], None]:
    def write(table: Table, path: Path) -> None:
        frame_of(table).to_csv(path, **options)

    return write


def by_hand(
    path: Path, table: Table, missing: str, *, row_names: bool = False, booleans: tuple[str, str] = ("True", "False")
) -> None:
    def cell(value: Any) -> str:
        if value is None:
            return missing
        if isinstance(value, bool):
            return booleans[0] if value else booleans[1]
        return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else repr(value)

    names = [cell(name) for name in (["", *table.names] if row_names else table.names)]
    lines = [",".join(names)]
    for number, row in enumerate(table.rows, 1):
        lines.append(",".join([*([cell(str(number))] if row_names else []), *map(cell, row)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def by_r(table: Table, path: Path) -> None:
    by_hand(path, table, "NA", row_names=True, booleans=("TRUE", "FALSE"))


def by_csv_module(table: Table, path: Path) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([table.names, *table.rows])
    path.write_bytes(out.getvalue().encode("utf-8-sig"))


def by_parquet(table: Table, path: Path) -> None:
    frame_of(table).to_parquet(path, index=False)


# writer, its extension, the separator, and what the reader is told
WRITERS: dict[str, tuple[Callable[[Table, Path], None], str, str, dict[str, Any]]] = {
    "pandas": (by_pandas(index=False), "csv", ",", {}),
    "pandas with its index": (by_pandas(), "csv", ",", {}),
    "R": (by_r, "csv", ",", {}),
    "csv module": (by_csv_module, "csv", ",", {}),
    "spreadsheet": (by_pandas(index=False, sep=";", decimal=","), "csv", ";", {"decimal": ","}),
    "spreadsheet, untold": (by_pandas(index=False, sep=";", decimal=","), "csv", ";", {}),
    "tab": (by_pandas(index=False, sep="\t"), "csv", "\t", {}),
    "pipe": (by_pandas(index=False, sep="|"), "csv", "|", {}),
    "SQL with \\N": (lambda table, path: by_hand(path, table, "\\N"), "csv", ",", {}),
    "SQL with NULL": (lambda table, path: by_hand(path, table, "NULL"), "csv", ",", {}),
    "Parquet": (by_parquet, "parquet", "", {}),
}


# --- what must come back


def kind_of(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column.dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(column.dtype):
        return "number"
    return (
        "date" if column.dtype.kind == "M" else "boolean" if pd.api.types.infer_dtype(column) == "boolean" else "text"
    )


def expected_cell(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind != "date":
        return value
    stamp = pd.Timestamp(value)
    return (stamp if stamp.tz is None else stamp.tz_convert(None)).isoformat()


def found_cells(column: pd.Series) -> list[Any]:
    cells = [None if pd.isna(cell) else cell for cell in column.tolist()]
    return [cell.isoformat() if isinstance(cell, pd.Timestamp) else cell for cell in cells]


def check_equal(samples: Samples, table: Table, writer: str) -> None:
    """Columns in order, their types and cells, labels, number and order of the rows."""
    nameless_first = table.names[0] == "" and writer not in ("pandas with its index", "R")
    wanted = [
        (name, kind, cells)
        for place, (name, kind, cells) in enumerate(zip(table.names, table.kinds, table.columns))
        if name not in ("died", "") or (name == "" and writer == "Parquet" and place)
    ]
    assert list(samples.X.columns) == [name for name, _, _ in wanted]
    assert samples.y is not None and samples.y.tolist() == table.columns[-1]
    for (name, kind, cells), found in zip(wanted, (samples.X[name] for name in samples.X.columns)):
        kind = {"float": "number", "whole": "number", "zoned": "date"}.get(kind, kind)
        if writer == "Parquet" and kind == "date":
            kind = "text"  # as it was written
        if any(cell is not None for cell in cells):
            assert kind_of(found) == kind, (name, kind, found)
        assert found_cells(found) == [expected_cell(cell, kind) for cell in cells], (name, found)
    if nameless_first and samples.X.index.name == "index":
        assert len(samples.X.index) == len(table.columns[0])


def outcome(table: Table, writer: str, label: str | int) -> str:
    write, extension, separator, options = WRITERS[writer]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a column that numbers the rows by chance
        path = Path(folder, f"x.{extension}")
        try:
            write(table, path)
        except ValueError:
            return "not written"  # Parquet has no two columns of one name
        told = dict(options)
        for _ in range(3):
            try:
                samples = read_wide(path, label, **told)
            except ValueError as error:
                message = str(error)
                if "say header=" in message and "header" not in told:
                    told["header"] = True
                elif "say which with sep=" in message and "sep" not in told:
                    told["sep"] = separator
                else:
                    return refusal(message, table)
            else:
                check_equal(samples, table, writer)
                return "equal" if told == options else f"equal, once told {', '.join(sorted(set(told) - set(options)))}"
        raise AssertionError("asked more than twice")


def refusal(message: str, table: Table) -> str:
    """Why it is refused; the message names the column, and there is a reason."""
    if "two columns named" in message:
        assert any(table.names.count(name) > 1 and repr(name) in message for name in table.names), message
        return "refused: two of one name"
    if "has no name" in message:
        assert "" in table.names, message
        return "refused: no name"
    if "no feature columns left" in message:
        assert set(table.names) == {"", "died"}, message
        return "refused: no features"
    assert any(f"column {name!r} is " in message for name in table.names), message
    assert "decimal=','" in message, message  # the decimal comma that it was not told
    return "refused: decimal comma"


def run_cases(examples: int) -> Counter[str]:
    counts: Counter[str] = Counter()

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(tables(), st.sampled_from(sorted(WRITERS)), st.sampled_from(["died", -1]))
    def comes_back_or_is_refused(table: Table, writer: str, label: str | int) -> None:
        counts[outcome(table, writer, label)] += 1

    comes_back_or_is_refused()
    assert sum(counts[key] for key in counts if key.startswith("equal")) >= 0.4 * sum(counts.values()), counts
    return counts


def test_frames_come_back_or_are_refused() -> None:
    counts = run_cases(150)
    assert counts["equal"], counts


@pytest.mark.slow
def test_many_frames_come_back_or_are_refused() -> None:
    counts = run_cases(5000)
    for reason in ("refused: two of one name", "refused: no name", "refused: decimal comma"):
        assert counts[reason], counts
    print(counts)  # noqa: T201
