"""WFDB recordings: samples of 12 and 16 bits, checksums, windows, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import kinview
from kinview import cli
from kinview.datasets import read_path, read_wfdb

DATA = os.environ.get("KINVIEW_DATA")


def packed(samples: np.ndarray) -> bytes:
    """Format 212, written from its definition: two samples of 12 bits in three bytes."""
    values = [int(v) & 0xFFF for v in samples.T.reshape(-1)]
    out = bytearray()
    for i in range(0, len(values), 2):
        first, second = values[i], values[i + 1] if i + 1 < len(values) else 0
        both = bytes([first & 0xFF, (first >> 8) | ((second >> 8) << 4), second & 0xFF])
        out += both if i + 1 < len(values) else both[:2]
    return bytes(out)


def record(
    folder: Path,
    samples: np.ndarray,
    name: str = "r",
    format: str = "212",
    rate: str = "100",
    gain: str = "200",
    leads: Sequence[str] | None = None,
) -> Path:
    """A record of (signals, steps) samples with its header."""
    path = folder / f"{name}.dat"
    path.write_bytes(packed(samples) if format == "212" else samples.T.astype("<i2").tobytes())
    lines = [f"{name} {len(samples)} {rate} {samples.shape[1]}"]
    for i, signal in enumerate(samples):
        checksum = (int(signal.sum()) + 2**15) % 2**16 - 2**15
        lead = f"lead {i}" if leads is None else leads[i]
        lines.append(f"{name}.dat {format} {gain} 12 1024 {signal[0]} {checksum} 0 {lead}")
    (folder / f"{name}.hea").write_text("\n".join([*lines, "# 69 M"]) + "\n")
    return folder / f"{name}.hea"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.sampled_from(["212", "16"]), st.integers(0, 99))
def test_samples_come_back_in_physical_units(
    tmp_path_factory: pytest.TempPathFactory, signals: int, steps: int, format: str, seed: int
) -> None:
    samples = np.random.default_rng(seed).integers(-2047, 2048, size=(signals, steps))
    header = record(tmp_path_factory.mktemp("wfdb"), samples, format=format)
    read = read_wfdb(header, seconds=None)
    np.testing.assert_allclose(read.X[0], (samples - 1024) / 200)
    assert read.groups is not None
    assert read.groups.tolist() == ["r"]


@pytest.mark.parametrize(("format", "unknown"), [("212", -2048), ("16", -32768)])
def test_a_sample_marked_as_unknown_is_missing(tmp_path: Path, format: str, unknown: int) -> None:
    X = read_wfdb(record(tmp_path, np.array([[0, unknown, 3]]), format=format), seconds=None).X
    assert np.isnan(X[0, 0]).tolist() == [False, True, False]


def test_the_gain_may_carry_its_baseline_and_unit(tmp_path: Path) -> None:
    samples = np.array([[10, 20]])
    assert read_wfdb(record(tmp_path, samples, gain="10(10)/mV"), seconds=None).X.tolist() == [[[0.0, 1.0]]]
    assert read_wfdb(record(tmp_path, samples, gain="0"), seconds=None).X[0, 0, 0] == (10 - 1024) / 200


def test_windows_do_not_overlap_and_know_their_record(tmp_path: Path) -> None:
    record(tmp_path, np.arange(25)[None], "a", rate="5")
    record(tmp_path, np.arange(9)[None], "b", rate="5")
    read = read_wfdb(tmp_path, seconds=2.0)
    assert read.X.shape == (2, 1, 10)
    assert read.groups is not None
    assert read.groups.tolist() == ["a", "a"]  # b is shorter than a window
    np.testing.assert_allclose(read.X[:, 0, 0] * 200 + 1024, [0, 10])
    whole = read_wfdb(tmp_path, seconds=None)
    assert whole.X.shape == (2, 1, 25)
    assert np.isnan(whole.X[1, 0, 9:]).all()


def test_a_folder_and_a_file_are_found_by_what_they_hold(tmp_path: Path) -> None:
    folder = tmp_path / "Holter"
    folder.mkdir()
    for name in "abcd":
        record(folder, np.arange(40)[None], name, rate="10")
    data = kinview.load("holter", data_dir=tmp_path, seconds=1.0)
    assert data.X_train.shape[1:] == (1, 10)
    assert set(data.groups_train).isdisjoint(data.groups_test)
    assert len(read_path(folder / "a.dat", seconds=2.0)) == 2


def test_what_does_not_hold_together_is_refused(tmp_path: Path) -> None:
    samples = np.arange(20)[None]
    header = record(tmp_path, samples)
    good = header.read_text()
    cases = [
        (good.replace(" 212 ", " 8 "), "signals are read in the formats 212 and 16; r.dat has 8"),
        (good.replace("r 1 100 20", "r 2 100 20"), r"announces 2 signal\(s\) and describes 1"),
        (good.replace("r 1 100 20", "r/3 1 100 20"), "records of several segments are not read"),
        (good.replace("r 1 100 20", "r"), "must begin with record name, number of signals"),
        (good.replace("r 1 100 20", "r one 100 20"), "must be numbers; got 'r one 100 20'"),
        (good.replace("r 1 100 20", "r 1 100 21"), "too short: 30 bytes for 21 samples in format 212"),
        (good.replace("r.dat", "../r.dat"), "signals must lie beside their header"),
        (good.replace(" 190 ", " 191 "), r"r\.dat \(lead 0\) is damaged: the checksum"),
        ("", "got 'nothing'"),
        (good.replace("r 1 100 20", "r 1 0"), r"r\.hea: .* the number of samples positive, or 0 or .* got 0 and 0"),
        (good.replace("r 1 100 20", "r 1 100 -20"), r"r\.hea: .* got 100 and -20"),
        (good.replace("r 1 100 20", "r 1 nan 20"), r"r\.hea: the sampling rate must be positive .* got nan and 20"),
        (good.replace("r 1 100 20", "r 1 inf 20"), r"r\.hea: .* got inf and 20"),
        (good.replace("r 1 100 20", "r 1 0 20"), r"r\.hea: .* got 0 and 20"),
        (good.replace(" 200 ", " two "), r"r\.hea: the gain must be a number; got 'two'"),
        (good.replace(" 200 ", " nan "), r"r\.hea: the gain must be a number; got 'nan'"),
        (good.replace(" 200 ", " 200(x)/mV "), r"r\.hea: the baseline must be a whole number; got 'x'"),
        (good.replace(" 200 ", " 200(1 "), r"r\.hea: the gain of r\.dat must be written 200, .* got '200\(1'"),
        (good.replace(" 1024 ", " zero "), r"r\.hea: the zero of the converter must be a whole number; got 'zero'"),
        (good.replace(" 190 ", " sum "), r"r\.hea: the checksum must be a whole number; got 'sum'"),
    ]
    for text, message in cases:
        header.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_wfdb(header, seconds=None)
    header.write_text(good)
    with pytest.raises(ValueError, match=r"seconds=1 is longer than every record \(0\.2 s at most\)"):
        read_wfdb(header, seconds=1.0)
    with pytest.raises(ValueError, match=r"seconds=0\.001 is less than one step at 100 Hz"):
        read_wfdb(header, seconds=0.001)
    with pytest.raises(ValueError, match="seconds must be positive; got nan"):
        read_wfdb(header, seconds=float("nan"))
    record(tmp_path, samples, "s", rate="250")
    with pytest.raises(ValueError, match="record s is sampled at 250 Hz, r at 100 Hz"):
        read_wfdb(tmp_path)
    (tmp_path / "r.dat").unlink()
    with pytest.raises(FileNotFoundError, match="record r lacks its file r"):
        read_wfdb(header)


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    """Records whose signals have different names in the same place; each sample says record and lead."""
    folder = tmp_path / "Leads"
    folder.mkdir()
    names = {"a": ["II", "V1"], "b": ["II", "V5"], "c": ["V5", "V2"], "d": ["V5", "II"]}
    code = {"II": 100, "V1": 1, "V2": 2, "V5": 5}
    for i, (name, held) in enumerate(names.items()):
        record(folder, np.array([[1000 * i + code[lead]] * 4 for lead in held]), name, "16", "2", "1(0)", held)
    return folder


def test_records_of_different_leads_are_not_mixed_without_a_word(leads: Path) -> None:
    with pytest.raises(ValueError, match="the records have different signals") as refused:
        read_wfdb(leads, seconds=2.0)
    message = str(refused.value)
    assert "II, V1 in a; II, V5 in b; V5, V2 in c; V5, II in d" in message
    assert "signals=['II'] to read by name (3 of 4 records have it, the others are left out)" in message
    assert "signals=[0, 1] to read by place, whatever the names" in message
    assert "--reader_options.signals '[II]'" in message
    (leads / "d.hea").unlink()
    record(leads, np.zeros((1, 4), dtype=int), "c", "16", "2", leads=[""])
    with pytest.raises(ValueError, match=r"\(no name\) in c.*signals=\[0\] to read by place"):
        read_wfdb(leads, seconds=2.0)


def test_a_way_out_that_the_error_names_works(leads: Path) -> None:
    for name in "ac":
        (leads / f"{name}.hea").unlink()
    with pytest.raises(ValueError, match=r"signals=\['II', 'V5'\] to read by name \(2 of 2 records have it\)"):
        read_wfdb(leads, seconds=2.0)
    assert read_wfdb(leads, seconds=2.0, signals=["II", "V5"]).X[:, :, 0].tolist() == [[1100, 1005], [3100, 3005]]


def test_signals_are_read_by_name_in_the_order_asked_for(leads: Path) -> None:
    with pytest.warns(UserWarning, match=r"1 of 4 records lack one of signals=\['II'\] and are left out: c$"):
        read = read_wfdb(leads, seconds=2.0, signals=["II"])
    assert read.X[:, 0, 0].tolist() == [100, 1100, 3100]
    assert read.groups is not None
    assert read.groups.tolist() == ["a", "b", "d"]
    with pytest.warns(UserWarning, match="left out: a, c$"):
        read = read_wfdb(leads, seconds=2.0, signals=("V5", "II"))
    assert read.X[:, :, 0].tolist() == [[1005, 1100], [3005, 3100]]
    with pytest.raises(
        ValueError, match=r"no record has all of signals=\['V6'\]; the records have: II, V1; II, V5; V5"
    ):
        read_wfdb(leads, seconds=2.0, signals=["V6"])


def test_signals_are_read_by_place_whatever_their_names(leads: Path) -> None:
    read = read_wfdb(leads, seconds=2.0, signals=np.array([1, 0]))  # type: ignore[arg-type]
    assert read.X[:, :, 0].tolist() == [[1, 100], [1005, 1100], [2002, 2005], [3100, 3005]]
    record(leads, np.zeros((1, 4), dtype=int), "e", "16", "2")
    with pytest.warns(UserWarning, match=r"1 of 5 records lack one of signals=\[1\] and are left out: e"):
        assert len(read_wfdb(leads, seconds=2.0, signals=[1])) == 4


@pytest.mark.parametrize("signals", ["II", [], [0, "II"], [True], [-1], [0, 0], [0.0], 0])
def test_what_names_no_signals_is_refused(leads: Path, signals: object) -> None:
    with pytest.raises(ValueError, match="signals must be a list of names"):
        read_wfdb(leads, signals=signals)  # type: ignore[arg-type]


def test_a_name_that_occurs_twice_in_a_record_needs_a_position(tmp_path: Path) -> None:
    header = record(tmp_path, np.array([[1, 2], [3, 4]]), leads=["ECG", "ECG"])
    assert read_wfdb(header, seconds=None).X.shape == (1, 2, 2)
    with pytest.raises(ValueError, match="record r has 2 signals ECG: give positions"):
        read_wfdb(header, seconds=None, signals=["ECG"])


def test_only_the_files_of_the_signals_asked_for_are_needed(tmp_path: Path) -> None:
    header = record(tmp_path, np.array([[1, 2], [3, 4]]), format="16", gain="1(0)")
    first, rest = header.read_text().split("\n", 1)
    header.write_text(f"{first}\n" + rest.replace("r.dat", "other.dat", 1))
    (tmp_path / "r.dat").write_bytes(np.array([3, 4], dtype="<i2").tobytes())
    assert read_wfdb(header, seconds=None, signals=["lead 1"]).X.tolist() == [[[3.0, 4.0]]]
    with pytest.raises(FileNotFoundError, match="record r lacks its file other"):
        read_wfdb(header, seconds=None)


def test_signals_are_chosen_on_the_command_line(leads: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, model = ["--data_dir", str(leads.parent)], ["--output", str(leads / "m.safetensors")]
    words = ["pretrain", "--dataset", "Leads", *folder, "--method", "raw", *model, "--reader_options.seconds", "1"]
    assert cli.main(words) != 0
    assert "--reader_options.signals '[II]'" in capsys.readouterr().err
    assert cli.main([*words, "--reader_options.signals", "[0, 1]"]) == 0
    assert "2 channels" in capsys.readouterr().out
    assert cli.main([*words, "--reader_options.signals", "[II]"]) == 0
    said = capsys.readouterr()
    assert "1 channel\n" in said.out
    assert "1 of 4 records lack one of signals=['II'] and are left out: c" in said.err


@pytest.mark.skipif(
    DATA is None, reason="KINVIEW_DATA is not set: the MIT-BIH recordings are not part of the repository"
)
def test_the_mit_bih_recordings_pass_their_checksums() -> None:
    assert DATA is not None
    read = read_wfdb(Path(DATA) / "MITBIH_unlabelled" / "100.hea", seconds=None)
    assert read.X.shape == (1, 2, 650_000)
    np.testing.assert_allclose(
        read.X[0, :, 0], [(995 - 1024) / 200, (1011 - 1024) / 200]
    )  # initial values in the header


@pytest.mark.skipif(
    DATA is None, reason="KINVIEW_DATA is not set: the MIT-BIH recordings are not part of the repository"
)
def test_the_mit_bih_leads_are_told_apart() -> None:
    assert DATA is not None
    with pytest.raises(ValueError, match="MLII, V5 in 100; V5, V2 in 104; MLII, V1 in 106"):
        kinview.load("MITBIH_unlabelled", data_dir=DATA)
