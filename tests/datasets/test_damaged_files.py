"""Files that were cut off, changed or made to harm: what was not touched is read as before, or the file is named.

Each case writes a small file of a format, damages its bytes in a seeded way and reads it. The outcome is a value in
which the rows before and after the damage are those that were written, or an error that names the file; nothing else.
"""

from __future__ import annotations

import re
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinview.datasets import read_path
from kinview.datasets.dataset import Samples

INSERTED = [b"\r", b"\n", b"\r\r\n", b"\0", b",", b":", b"'", b'"', b"\\", b"{", b"@", b"%", b"?", b"9" * 30, b"1e999"]
INSERTED += [b"\xff", b"\xe2\x80\xa8", b" " * 50, b"nan", b"-inf", b"2_0", b"@data\n", b"\t", b"/", b"("]


def damaged(content: bytes, rng: np.random.Generator, most: int = 3) -> bytes:
    """The content with a few changes: bits flipped, digits exchanged, bytes added, taken out, repeated, or cut off."""
    for _ in range(int(rng.integers(1, most + 1))):
        place = int(rng.integers(0, len(content) + 1))
        length = int(rng.integers(1, 12))
        digits = [i for i, byte in enumerate(content) if chr(byte).isdigit()]
        match int(rng.integers(0, 8)):
            case 0:
                content = content[:place]
            case 1:
                content = content[:place] + content[place + length :]
            case 2:
                content = content[:place] + INSERTED[int(rng.integers(len(INSERTED)))] + content[place:]
            case 3:
                content = content[: place + length] + content[place:]
            case 4 | 5 if digits:
                place = digits[int(rng.integers(len(digits)))]
                content = content[:place] + str(rng.integers(10)).encode() + content[place + 1 :]
            case _ if place < len(content):
                content = content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]
    return content


# --- text files with a row a line: rows whose lines were left alone come back as they were --------------------------


def cells(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Values of two digits, some of them missing."""
    values = np.round(rng.normal(size=shape) * 10, 2)
    values[rng.random(shape) < 0.1] = np.nan
    return values


def written(values: np.ndarray, missing: str = "?") -> str:
    return ",".join(missing if np.isnan(value) else repr(float(value)) for value in values)


def ts_file(rng: np.random.Generator) -> tuple[str, str, list[str]]:
    series = [cells(rng, (2, int(rng.integers(3, 6)))) for _ in range(5)]
    head = "# a comment\n@problemName x\n@timeStamps false\n@dimensions 2\n@classLabel true up down\n@data\n"
    return (
        "x.ts",
        head,
        [f"{written(one)}:{written(two)}:{('up', 'down')[i % 2]}" for i, (one, two) in enumerate(series)],
    )


def arff_file(rng: np.random.Generator) -> tuple[str, str, list[str]]:
    head = (
        "% c\n@relation d\n@attribute t0 numeric\n@attribute 't 1' real\n@attribute class {'a b',\"it\\'s\",c}\n@data\n"
    )
    kinds = ("'a b'", "'it\\'s'", "c")
    return "x.arff", head, [f"{written(row)},{kinds[i % 3]}" for i, row in enumerate(cells(rng, (6, 2)))]


def relational_file(rng: np.random.Generator) -> tuple[str, str, list[str]]:
    head = "@relation d\n@attribute s relational\n@attribute t0 numeric\n@attribute t1 numeric\n@end s\n"
    head += "@attribute class {a,b}\n@data\n"
    series = cells(rng, (5, 2, 2))
    return "x.arff", head, [f"'{written(one)}\\n{written(two)}',{'ab'[i % 2]}" for i, (one, two) in enumerate(series)]


def ucr_file(rng: np.random.Generator) -> tuple[str, str, list[str]]:
    rows = cells(rng, (6, 4))
    return "x.tsv", "", [f"{i % 3}\t" + written(row, "NaN").replace(",", "\t") for i, row in enumerate(rows)]


WRITERS: dict[str, Callable[[np.random.Generator], tuple[str, str, list[str]]]] = {
    "ts": ts_file,
    "arff table": arff_file,
    "arff relational": relational_file,
    "ucr": ucr_file,
}


def rows_of(samples: Samples) -> list[tuple[list[Any], str]]:
    """Values of each sample without the padding at its end, and its label."""
    table = isinstance(samples.X, pd.DataFrame)
    values = samples.X.to_numpy(dtype=object)[:, None] if table else samples.X
    found = []
    for row, label in zip(values, np.asarray(samples.y, dtype=object), strict=True):
        missing = pd.isna(row).all(axis=0)
        kept = row[:, : len(missing) - int(np.argmin(missing[::-1])) if not missing.all() else 0]
        found.append((np.where(pd.isna(kept), None, kept).tolist(), _text(label)))
    return found


def _text(label: Any) -> str:
    """Labels that are numbers in one file and text beside them in the other are the same label."""
    return re.sub(r"\.0$", "", str(label))


def common(one: list[str], other: list[str]) -> int:
    """Number of lines that both have at their beginning."""
    alike = [a == b for a, b in zip(one, other, strict=False)]
    return alike.index(False) if False in alike else len(alike)


def check_text(kind: str, folder: Path, seed: int, outcomes: Counter[str]) -> None:
    rng = np.random.default_rng(seed)
    name, head, lines = WRITERS[kind](rng)
    path = folder / name
    path.write_text(head + "\n".join(lines) + "\n")
    options = {"label": -1} if kind == "arff table" else {}
    before = rows_of(read_path(path, **options))
    content = damaged(path.read_bytes(), rng)
    path.write_bytes(content)
    try:
        samples = read_path(path, **options)
    except (ValueError, FileNotFoundError) as error:
        assert name in str(error), error
        assert len(str(error)) < 2000
        outcomes["refused"] += 1
        return
    outcomes["read"] += 1
    text = content.decode("utf-8-sig")
    if not text.startswith(head) or (kind == "arff table" and len(before[0][0]) != len(rows_of(samples)[0][0])):
        return
    now = re.split("\r\n|\r|\n", text[len(head) :])
    now = [line for line in now if line.strip() and not (head and line.strip().startswith(("%", "#")))]
    after = rows_of(samples)
    assert len(after) == len(now)
    start, end = common(lines, now), common(lines[::-1], now[::-1])
    assert after[:start] == before[:start]
    assert end == 0 or after[-end:] == before[-end:]


def run(check: Callable[[str, Path, int, Counter[str]], None], kind: str, folder: Path, cases: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for seed in range(cases):
        place = folder / "case"
        place.mkdir()
        try:
            check(kind, place, seed, outcomes)
        except BaseException as error:
            error.add_note(f"seed {seed} of {kind}")
            raise
        shutil.rmtree(place)
    return outcomes


@pytest.mark.parametrize("kind", WRITERS)
def test_a_damaged_text_file_is_read_where_it_was_left_alone_or_named(kind: str, tmp_path: Path) -> None:
    outcomes = run(check_text, kind, tmp_path, 150)
    assert min(outcomes["read"], outcomes["refused"]) > 10, outcomes


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*differ in letter case")  # a damaged label is another spelling
@pytest.mark.parametrize("kind", WRITERS)
def test_a_damaged_text_file_in_very_many_ways(kind: str, tmp_path: Path) -> None:
    outcomes = run(check_text, kind, tmp_path, 1200)
    assert min(outcomes["read"], outcomes["refused"]) > 60, outcomes


# --- PhysioNet: one damaged stay leaves the others alone -------------------------------------------------------------


def stays(folder: Path, rng: np.random.Generator) -> list[Path]:
    (folder / "set-a").mkdir()
    files = []
    for record in range(101, 105):
        lines = [f"00:00,RecordID,{record}", "00:00,Age,54", "00:00,Height,-1"]
        lines += [
            f"{h:02d}:{m:02d},HR,{v}" for h, m, v in zip(range(40), rng.integers(60, size=4), rng.integers(99, size=4))
        ]
        files.append(folder / "set-a" / f"{record}.txt")
        files[-1].write_text("Time,Parameter,Value\n" + "\n".join(lines) + "\n")
    outcomes = "RecordID,In-hospital_death\n" + "".join(f"{record},{record % 2}\n" for record in range(101, 105))
    (folder / "Outcomes-a.txt").write_text(outcomes)
    return files


def check_stays(kind: str, folder: Path, seed: int, outcomes: Counter[str]) -> None:
    rng = np.random.default_rng(seed)
    files = stays(folder, rng)
    before = read_path(folder, "physionet2012")
    target = files[1] if kind == "stay" else folder / "Outcomes-a.txt"
    target.write_bytes(damaged(target.read_bytes(), rng, most=1))
    try:
        samples = read_path(folder, "physionet2012")
    except (ValueError, FileNotFoundError) as error:
        # where an outcome is missing, the stay or the outcomes may be damaged
        assert target.name in str(error) or "Outcomes-a.txt" in str(error), error
        outcomes["refused"] += 1
        return
    outcomes["read"] += 1
    others = [101, 103, 104] if kind == "stay" else [101, 102, 103, 104]
    pd.testing.assert_frame_equal(samples.X.loc[others], before.X.loc[others])
    assert samples.y is not None
    assert set(samples.y.tolist()) <= {0, 1}
    assert len(samples) == 4


@pytest.mark.parametrize("kind", ["stay", "outcomes"])
def test_a_damaged_stay_leaves_the_others_alone_or_is_named(kind: str, tmp_path: Path) -> None:
    outcomes = run(check_stays, kind, tmp_path, 100)
    assert min(outcomes["read"], outcomes["refused"]) > 4, outcomes


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stay", "outcomes"])
def test_a_damaged_stay_in_very_many_ways(kind: str, tmp_path: Path) -> None:
    outcomes = run(check_stays, kind, tmp_path, 300)
    assert min(outcomes["read"], outcomes["refused"]) > 25, outcomes


# --- WFDB ------------------------------------------------------------------------------------------------------------


def record(folder: Path, samples: np.ndarray, *, checksums: bool, steps: bool = True) -> tuple[Path, Path]:
    """A record in format 16 with a gain of 1 and a baseline of 0, so that values are samples."""
    (folder / "r.dat").write_bytes(samples.T.astype("<i2").tobytes())
    lines = [f"r {len(samples)} 100" + (f" {samples.shape[1]}" if steps else "")]
    for signal in samples:
        checksum = (int(signal.sum()) + 2**15) % 2**16 - 2**15
        lines.append("r.dat 16 1(0)/mV 16 0" + (f" {signal[0]} {checksum} 0 II" if checksums else ""))
    (folder / "r.hea").write_text("\n".join(lines) + "\n")
    return folder / "r.hea", folder / "r.dat"


def check_wfdb(kind: str, folder: Path, seed: int, outcomes: Counter[str]) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.integers(-2000, 2000, size=(2, 12))
    header, data = record(folder, samples, checksums=kind != "samples", steps=bool(seed % 2))
    target = header if kind == "header" else data
    before = target.read_bytes()
    after = damaged(before, rng)
    target.write_bytes(after)
    try:
        X = read_path(header, seconds=None).X
    except (ValueError, FileNotFoundError) as error:
        assert "r.hea" in str(error) or "r.dat" in str(error), error
        outcomes["refused"] += 1
        return
    outcomes["read"] += 1
    assert X.nbytes <= 64 * len(data.read_bytes()) + 1024
    if kind != "header":
        alike = common([*map(str, before)], [*map(str, after)]) // 4
        np.testing.assert_array_equal(X[0, :, :alike], samples[:, :alike][:, : X.shape[2]])


@pytest.mark.parametrize("kind", ["header", "samples", "samples with checksums"])
def test_a_damaged_recording_is_read_where_it_was_left_alone_or_named(kind: str, tmp_path: Path) -> None:
    outcomes = run(check_wfdb, kind, tmp_path, 300)
    assert min(outcomes["read"], outcomes["refused"]) > 10, outcomes


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["header", "samples", "samples with checksums"])
def test_a_damaged_recording_in_very_many_ways(kind: str, tmp_path: Path) -> None:
    outcomes = run(check_wfdb, kind, tmp_path, 2500)
    assert min(outcomes["read"], outcomes["refused"]) > 75, outcomes


def test_a_flipped_bit_never_passes_a_checksum(tmp_path: Path) -> None:
    header, data = record(tmp_path, np.arange(10).reshape(2, 5), checksums=True)
    content = data.read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        data.write_bytes(bytes(changed))
        with pytest.raises(ValueError, match=r"r\.dat \(II\) is damaged: the checksum in r\.hea is another"):
            read_path(header, seconds=None)


# --- what a header merely claims -------------------------------------------------------------------------------------

HUGE = "9" * 15


def claims() -> Iterator[tuple[str, dict[str, str], str]]:
    data = {"r.dat": "\0" * 8}
    yield "r.hea", {**data, "r.hea": f"r 1 100 {HUGE}\nr.dat 16 1(0)\n"}, f"8 bytes for {HUGE} samples"
    yield "r.hea", {**data, "r.hea": f"r {HUGE} 100 4\nr.dat 16 1(0)\n"}, r"announces 9+ signal\(s\) and describes 1"
    yield "r.hea", {**data, "r.hea": f"r 1 100 {'9' * 5000}\nr.dat 16 1(0)\n"}, "must be numbers"
    yield "r.hea", {**data, "r.hea": f"r 1 100 4\nr.dat 16 1({'9' * 5000})\n"}, r"baseline must be .* \(line 2\)"
    yield "r.hea", {**data, "r.hea": "r 1 100 4\nr.dat 16 1e-300(0)\n"}, "gain of r.dat is too small"
    yield "r.hea", {**data, "r.hea": "r 1 100 4\n/etc/passwd 16 1(0)\n"}, "signals must lie beside their header"
    nested = "@relation d\n" + "@attribute a relational\n" * 2000 + "@end a\n" * 2000 + "@data\n'1'\n"
    yield "x.arff", {"x.arff": nested}, "line 3: the relational attribute 'a' lies inside 'a'"
    yield "x.arff", {"x.arff": "@relation d\n@attribute a relational\n@data\n'1'\n"}, "line 3: .* has no @end line"
    quotes = "@relation d\n@attribute a string\n@attribute b {x}\n@data\n" + "'" * 100_001 + ",x\n"
    yield "x.arff", {"x.arff": quotes}, "line 5: .* a quote without end"
    spaces = "@relation d\n@attribute a string\n@attribute b {x}\n@data\nq\\," + " " * 200_000 + "y,x,x\n"
    yield "x.arff", {"x.arff": spaces}, "line 5 has more cells"
    names = "".join(f"@attribute a{i} numeric\n" for i in range(2000)) + "@attribute a7 numeric\n"
    yield "x.arff", {"x.arff": f"@relation d\n{names}@data\n1\n"}, "'a7' more than once"
    yield "x.ts", {"x.ts": f"@dimensions {HUGE}\n@classLabel true a\n@seriesLength {HUGE}\n@data\na\n"}, "no values"
    yield "x.ts", {"x.ts": f"@dimensions {'9' * 5000}\n@data\n1,2:3\n"}, "channels of unequal length"


@pytest.mark.parametrize(("name", "files", "message"), [*claims()])
def test_what_a_header_claims_takes_no_memory(name: str, files: dict[str, str], message: str, tmp_path: Path) -> None:
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as refused:
            read_path(
                tmp_path / name, **({"label": -1} if name == "x.arff" and "relational" not in files[name] else {})
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert name in str(refused.value) or "r.dat" in str(refused.value)
    assert len(str(refused.value)) < 1000
    assert peak < 30 * sum(map(len, files.values())) + 2_000_000


@pytest.mark.parametrize("kind", ["ts", "ucr", "arff"])
def test_padding_takes_no_more_memory_than_there_is_data(kind: str, tmp_path: Path) -> None:
    """30,000 series of one step and one of 300,000: 72 GB if they were padded."""
    rows = 30_000
    long = ",".join("1" for _ in range(300_000))
    texts = {
        "ts": ("x.ts", "@classLabel false\n@data\n" + f"{long}\n" + "1\n" * rows),
        "ucr": ("x.tsv", ("1," + long).replace(",", "\t") + "\n" + "1\t2\n" * rows),
        "arff": ("x.arff", f"@relation d\n@attribute s relational\n@end s\n@data\n'{long}'\n" + "'1'\n" * rows),
    }
    name, text = texts[kind]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"{name} has 30,001 series .* would take 72 GB"):
        read_path(tmp_path / name)


def test_a_long_relational_value_is_one_cell(tmp_path: Path) -> None:
    """Longer than what the csv module takes for a cell, 131,072 characters."""
    channel = ",".join("0.5" for _ in range(40_000))
    head = "@relation d\n@attribute s relational\n@end s\n@attribute c {a}\n@data\n"
    (tmp_path / "x.arff").write_text(f"{head}'{channel}\\n{channel}',a\n")
    assert read_path(tmp_path / "x.arff").X.shape == (1, 2, 40_000)
