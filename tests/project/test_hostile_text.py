"""YAML, JSON, temporary files and terminals: what is hostile or careless is refused by name, shown, or cleaned up."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given, settings

from kinview import files
from kinview.cli import main
from kinview.configs import read_config
from kinview.files import atomic_write, parse_json, read_yaml, write_yaml
from kinview.printable import printable
from kinview.yaml_text import check_yaml

LETTERS = "abcdefghi"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{now}: &{now} [{', '.join([f'*{before}'] * 9)}]\n" for before, now in itertools.pairwise(LETTERS)
)
REFUSED = {
    "a billion laughs": (BOMB, r"YAML of more than 50,000 values is refused \(line \d+; an alias counts"),
    "a list that holds itself": ("a: &a [1, *a]", "the YAML value in line 1 holds itself"),
    "a mapping that holds itself": ("b: 1\na: &a {b: *a}", "the YAML value in line 2 holds itself"),
    "deep lists": ("[" * 100_000, "nested more than 50 levels deep is refused"),
    "deep mappings": ("{a: " * 1000, "nested more than 50 levels deep is refused"),
    "deep blocks": ("- " * 400 + "a", "nested more than 50 levels deep is refused"),
    "deep by aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(200)),
        "nested more than 50 levels deep",
    ),
    "long": ("x" * 1_000_001, "YAML of 1,000,001 characters is refused; at most 1,000,000"),
    "many": ("[" + "1," * 60_000 + "1]", "more than 50,000 values"),
    "a long number": ("9" * 5000, "a number of 5,000 digits is refused"),
    "a long clock": ("1:" * 10_000 + "1", "a number of 20,001 digits is refused"),
    "a key twice": ("a: 1\nb: 2\na: 3", "the key 'a' stands twice, in lines 1 and 3; keep one of them"),
    "a key twice inside": ("x:\n  - {a: 1,\n     'a': 1}", "the key 'a' stands twice, in lines 2 and 3"),
    "a number twice": ("{1: a, 0x1: b}", "the key '0x1' stands twice, in line 1; keep"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_yaml_is_refused(name: str) -> None:
    text, message = REFUSED[name]
    for read in (read_yaml, check_yaml):
        with pytest.raises(ValueError, match=message):
            read(text)


def test_anchors_merges_and_deep_or_long_text_within_bounds_are_read() -> None:
    assert read_yaml("a: &a [1, 2]\nb: [*a, *a]") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
    merged = read_yaml("x: &x {a: 1}\ny: {<<: *x, a: 2}\nz: {<<: *x, b: 3}")
    assert merged == {"x": {"a": 1}, "y": {"a": 2}, "z": {"a": 1, "b": 3}}
    deep: Any = 1
    for _ in range(49):
        deep = [deep]
    assert read_yaml(write_yaml(deep)) == deep
    assert read_yaml(write_yaml(["column"] * 1000)) == ["column"] * 1000
    assert read_yaml("") is None and read_yaml("x" * 10**5) == "x" * 10**5


@pytest.mark.parametrize("text", ["2024-99-99", "!!int abc", "!!timestamp x", "!!float x", "a: [", "a: 1\n---\nb: 2"])
def test_what_is_no_value_is_a_yaml_error(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml(text)


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.sampled_from("ab01:-[]{}&*!<>|?,'\"\n #%@.=~\t"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = read_yaml(text)
    except (yaml.YAMLError, ValueError):
        return
    expected = yaml.safe_load(text)
    assert repr(value) == repr(expected) or any(mark in text for mark in "01.")  # numbers are those of YAML 1.2


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "many" else name for name in REFUSED]
)
def test_the_command_line_refuses_hostile_yaml(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = REFUSED[name]
    file = tmp_path / "hostile.yaml"
    file.write_text(text)
    for words in (["bench", str(file)], ["bench", "--config", str(file)], ["pretrain", "--config", str(file)]):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert "hostile.yaml" in error and error.count("\n") == 1 and len(error) < 2000
    with pytest.raises(ValueError, match=message) as caught:
        read_config("benchmark", str(file))
    assert str(file) in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    if len(text) < 100_000:
        words = ["pretrain", "--dataset", "wine", "--output", "x.safetensors", "--method"]
        for given_ in (
            [*words, text],
            [*words, "scarf", "--parameters", text],
            [*words, "scarf", "--random_state", text],
        ):
            assert main(given_) == 2
            assert len(capsys.readouterr().err) < 2000


def test_dates_stay_text_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("store: sqlite:///r.db\nbenchmark: 2024-01-01\n")
    assert main(["report", "--config", str(file), "--print_config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["benchmark"] == "2024-01-01"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "the header is (refused: it is nested too deeply|not JSON)"),
        ("{" * 3, "the header is not JSON"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the header has the key 'c' twice"),
        ("[" + "[]," * 1_500_000 + "[]]", "the header is refused: more than 2,000,000 values"),
        ("9" * 5000, "."),
    ],
    ids=["deep", "cut", "twice", "many", "long"],
)
def test_hostile_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text, "the header")
    assert parse_json(b'{"a": [1, {"b": null}]}', "the header") == {"a": [1, {"b": None}]}


# --- temporary files -------------------------------------------------------------------------------------------------


def _parts(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".part"))


WRITER = """
import os, sys, time
from kinview import files

def slow(handle):
    print("writing", flush=True)
    time.sleep(60)

os.fsync = slow
files.atomic_write(sys.argv[1], b"new" * 1000)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_the_next_write_removes_what_a_killed_one_left_and_no_part_of_a_living_one(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / name)], stdout=subprocess.PIPE)
        for name in ("dead.bin", "alive.bin")
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == b"writing\n"
    dead = writers[0]
    try:
        assert len(_parts(tmp_path)) == 2
        dead.kill()
        dead.wait(timeout=60)
        atomic_write(tmp_path / "other.bin", b"x")
        assert len(_parts(tmp_path)) == 1 and _parts(tmp_path)[0].startswith(".alive.bin.")
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    atomic_write(tmp_path / "other.bin", b"y")
    assert _parts(tmp_path) == []


def test_parts_of_another_machine_go_by_their_age_and_other_files_stay(tmp_path: Path) -> None:
    foreign, old = (tmp_path / f".model.bin.{'0' * 8}-{letter * 16}.part" for letter in "ab")
    theirs = [tmp_path / name for name in ("download.part", ".x.part", ".a.0123456789abcdef.part.txt", ".b.zz-yy.part")]
    for path in (foreign, old, *theirs):
        path.write_bytes(b"1")
    for path in (old, *theirs):
        os.utime(path, (time.time() - 10**6,) * 2)
    atomic_write(tmp_path / "model.bin", b"2")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["model.bin", foreign.name, *(path.name for path in theirs)]
    )


def test_without_locks_parts_go_by_their_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_try_lock", lambda _stream: None)
    new, old = (tmp_path / f".m.{files._machine()}-{letter * 16}.part" for letter in "ab")
    for path in (new, old):
        path.write_bytes(b"1")
    os.utime(old, (time.time() - 10**6,) * 2)
    atomic_write(tmp_path / "m", b"2")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["m", new.name])


def test_a_part_that_was_taken_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = files._try_lock, []

    def late(stream: Any) -> bool | None:
        if not taken:
            taken.append(stream.name)
            Path(stream.name).unlink()
        return lock(stream)

    monkeypatch.setattr(files, "_try_lock", late)
    assert atomic_write(tmp_path / "m", b"2").read_bytes() == b"2"
    assert len(taken) == 1 and [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_full_disk_names_the_file_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError, match=r"No space left.*cannot write .*m\.bin: its disk is full \(0\.0 MB are needed"
    ) as e:
        atomic_write(tmp_path / "m.bin", b"x" * 10)
    assert e.value.errno == errno.ENOSPC and "free some space, or write to another disk" in str(e.value)
    assert list(tmp_path.iterdir()) == []


def test_other_failures_of_a_write_keep_their_class_and_name_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", forbidden)
    with pytest.raises(PermissionError, match=r"cannot write .*m\.bin: Permission denied"):
        atomic_write(tmp_path / "m.bin", b"x")


# --- terminals -------------------------------------------------------------------------------------------------------


EVIL = "wi\x1b[31mne\x07\x9b2J\u202e"
SHOWN = r"wi\x1b[31mne\x07\x9b2J\u202e"


def _harmless(text: str) -> bool:
    return all(one == "\n" or one.isprintable() or one == "\N{NO-BREAK SPACE}" for one in text)


def test_what_acts_on_a_terminal_is_written_out() -> None:
    assert printable(EVIL) == SHOWN and printable("a\tb\nc é ± 語") == "a\tb\nc é ± 語"
    assert printable("\r\ud800") == r"\r\ud800"


@given(text=st.text())
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    made = printable(text)
    assert not any((ord(one) < 32 and one not in "\t\n") or 127 <= ord(one) < 160 for one in made)
    assert printable(made) == made


def _store(path: Path, **changes: Any) -> str:
    from kinview.evaluation import Store

    url = f"sqlite:///{path}/r.db"
    store = Store(url)
    cell = {"dataset": EVIL, "method": EVIL, "probe": EVIL, "seed": 0, "status": "ok", "accuracy": 0.5}
    store.add("a", cell | changes, benchmark=EVIL)
    store.add("b", cell | {"method": "raw"}, benchmark=EVIL)
    store.add("c", cell | {"seed": 1, "status": "failed", "accuracy": None, "message": EVIL}, benchmark=EVIL)
    store.plan(EVIL, ["a", "b", "c"])
    return url


def test_a_report_shows_escapes_from_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from kinview.evaluation import Store
    from kinview.evaluation.report import format_table

    url = _store(tmp_path)
    assert main(["report", "--store", url]) == 0
    out = capsys.readouterr().out
    assert _harmless(out) and r"wi\x1b[31mne" in out
    assert _harmless(format_table(Store(url).frame()))
    assert main(["report", "--store", url, "--benchmark", "other"]) == 2
    error = capsys.readouterr().err
    assert _harmless(error) and "x1b" in error
    assert main(["--verbose", "report", "--store", url, "--benchmark", "other\x1b[2J"]) == 2
    assert _harmless(capsys.readouterr().err)


@pytest.mark.parametrize(
    "words", [["probe\x1b[2J"], ["list", EVIL], ["bench", EVIL], ["inspect", EVIL]], ids=lambda w: w[0][:5]
)
def test_errors_show_escapes_from_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert _harmless(capsys.readouterr().err)


def test_inspect_shows_escapes_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    path = tmp_path / f"{EVIL}.safetensors"
    path.write_bytes(files.dump_tensors({EVIL: torch.zeros(2)}, {"format": EVIL, EVIL: f"{EVIL}\nnew"}))
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert _harmless(out) and SHOWN in out


def test_warnings_are_shown_in_the_same_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    import kinview._cli.list as command

    def warn(_options: Any) -> None:
        warnings.warn(f"a label {EVIL}", UserWarning, stacklevel=1)

    run: Callable[..., None] = warn
    monkeypatch.setattr(command, "run", run)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["--verbose", "list"]) == 0
    error = capsys.readouterr().err
    assert _harmless(error) and SHOWN in error


def test_a_configuration_of_gigabytes_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "long.yaml"
    with file.open("wb") as stream:
        stream.truncate(10**10)  # a sparse file
    for words in (["bench", str(file)], ["bench", "--config", str(file)]):
        assert main(words) == 2
        assert "long.yaml: a YAML file of more than 4,000,000 bytes is refused" in capsys.readouterr().err
