from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import IO, Any

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from safetensors.torch import save
from torch import Tensor

from helpers import python
from kinview import files
from kinview.files import (
    atomic_write,
    canonical_json,
    content_hash,
    dump_tensors,
    parse_tensors,
    read_tensors,
    read_yaml,
    write_yaml,
)

METADATA = {"format": "test", "note": "äöü ≥ 1"}


def small_file() -> bytes:
    return dump_tensors({"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([True, False])}, METADATA)


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.dtype == other[name].dtype
        assert value.shape == other[name].shape
        assert torch.equal(torch.nan_to_num(value), torch.nan_to_num(other[name]))
        if value.is_floating_point():
            assert torch.equal(value.isnan(), other[name].isnan())


# --- writing ---------------------------------------------------------------------------------------------------------


def test_a_write_replaces_text_and_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert atomic_write(path, "één") == path
    assert path.read_bytes() == "één".encode()
    atomic_write(str(path), b"\x00two")
    assert path.read_bytes() == b"\x00two"
    assert os.listdir(tmp_path) == ["a.txt"]  # noqa: PTH208


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_failing_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(*((os, "fsync") if step == "fsync" else (Path, step)), fail)
        with pytest.raises(OSError, match="the disk is full"):
            atomic_write(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot write .*b\.txt: the folder .*missing does not exist; make it"):
        atomic_write(tmp_path / "missing" / "b.txt", "x")


def test_permissions_are_kept_and_otherwise_follow_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    before = os.umask(0o027)
    try:
        atomic_write(path, "x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        atomic_write(path, "y")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
        assert os.umask(0o027) == 0o027  # writing never touches the mask, which other threads rely on
    finally:
        os.umask(before)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_killed_while_it_writes_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    old = small_file()
    path.write_bytes(old)
    # the child is held when the first part of the new content is on disk, so that the kill always lands in the middle
    code = textwrap.dedent(
        """
        import os, pathlib, sys, time
        from kinview import files

        def slow(handle):
            print("writing", flush=True)
            time.sleep(60)

        os.fsync = slow
        files.atomic_write(sys.argv[1], b"new" * 1_000_000)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"writing\n"
        assert any(entry.name.endswith(".part") for entry in tmp_path.iterdir())
        child.kill()
        assert child.wait(timeout=60) == -signal.SIGKILL
    assert path.read_bytes() == old
    assert_same(read_tensors(path)[0], parse_tensors(old, "memory")[0])
    atomic_write(path, b"later")  # what the dead process left behind is in nobody's way
    assert path.read_bytes() == b"later"


# --- reading ---------------------------------------------------------------------------------------------------------


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    dtype = draw(st.sampled_from(["bool", "uint8", "int32", "int64", "float32", "float64"]))
    shape = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    tensor = torch.from_numpy(draw(npst.arrays(dtype, shape)).copy())
    if tensor.ndim >= 2 and draw(st.booleans()):
        tensor = tensor.transpose(0, -1)
    if tensor.ndim and draw(st.booleans()):
        tensor = tensor[::2]
    return tensor


@settings(deadline=None, max_examples=40)
@given(
    held=st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"), tensors()),
    metadata=st.dictionaries(st.text(max_size=8).filter(lambda key: key != "sha256"), st.text(max_size=20)),
)
def test_tensors_and_metadata_come_back(held: dict[str, Tensor], metadata: dict[str, str]) -> None:
    data = dump_tensors(held, metadata)
    tensors_back, metadata_back = parse_tensors(data, "memory")
    assert_same(tensors_back, held)
    assert metadata_back == metadata
    for name, value in tensors_back.items():
        assert value.numpy().tobytes() == held[name].numpy().tobytes()  # NaN payloads and signed zeros too


def test_shared_and_strided_storage_and_half_precision_come_back(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    weight = torch.nn.Parameter(base.T)
    held = {
        "base": base,
        "view": base[1:, ::2],
        "transposed": base.T,
        "again": base,
        "expanded": base[:1].expand(5, 4),
        "weight": weight,
        "half": torch.tensor([1.5, float("nan")], dtype=torch.bfloat16),
        "empty": torch.empty(0, 7, dtype=torch.int64),
    }
    path = atomic_write(tmp_path / "x.safetensors", dump_tensors(held, {}))
    back, metadata = read_tensors(path)
    assert_same(back, {name: value.detach() for name, value in held.items()})
    assert metadata == {}
    back["base"].zero_()  # what was read is writable and shares nothing
    assert torch.equal(back["again"], base)
    assert torch.equal(base, torch.arange(12.0).reshape(3, 4))


def test_a_file_without_anything_in_it_comes_back() -> None:
    assert parse_tensors(dump_tensors({}, {}), "memory") == ({}, {})


def test_a_file_truncated_anywhere_is_refused() -> None:
    data = small_file()
    (header,) = struct.unpack("<Q", data[:8])
    interesting = {0, 1, 7, 8, 9, header - 1, header, header + 7, header + 8, header + 9, len(data) - 1}
    for length in sorted(interesting | set(range(0, len(data), 13))):
        with pytest.raises(ValueError, match=r"^the file is not a readable safetensors file \(truncated"):
            parse_tensors(data[:length], "the file")


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        parse_tensors(small_file() + b"\0", "the file")


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 a zip file, such as torch.save writes",
        b"\x80\x04\x95 a pickle",
        b"plain text, and then some more of it",
        b"\x00" * 64,
        b"\xff" * 64,
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"\xff\xfe{}",
        struct.pack("<Q", 20) + b'{"__metadata__": []} ',
        struct.pack("<Q", 13) + b'{"a": "text"}',
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"the file (is not a readable safetensors file|was not written by kinview)"):
        parse_tensors(data, "the file")


def test_a_safetensors_file_of_another_program_is_refused() -> None:
    with pytest.raises(ValueError, match="was not written by kinview: its header carries no checksum"):
        parse_tensors(save({"weight": torch.zeros(2)}, metadata={"format": "pt"}), "the file")


def test_an_oversized_header_is_refused_before_it_is_parsed() -> None:
    data = struct.pack("<Q", 10_000_001) + b"{}"
    with pytest.raises(ValueError, match="a header of 10,000,001 bytes is refused; at most 10,000,000"):
        parse_tensors(data, "the file")
    with pytest.raises(ValueError, match="is refused; at most 10,000,000"):
        dump_tensors({}, {"much": "x" * 10_000_001})  # nothing is written that could not be read


def test_a_flipped_byte_anywhere_is_refused() -> None:
    data = small_file()
    tensors_before, metadata_before = parse_tensors(data, "memory")
    for position in range(len(data)):
        for bit in (0x01, 0x02, 0x20, 0x80):
            damaged = bytearray(data)
            damaged[position] ^= bit
            with pytest.raises(ValueError, match=r"^the file (is damaged|is not a readable|was not written by)"):
                parse_tensors(bytes(damaged), "the file")
    assert_same(tensors_before, parse_tensors(data, "memory")[0])
    assert metadata_before == METADATA


def test_a_flipped_byte_in_the_body_says_damaged() -> None:
    data = bytearray(small_file())
    data[-1] ^= 1
    with pytest.raises(ValueError, match="does not match the SHA-256 in its header; use a fresh copy"):
        parse_tensors(bytes(data), "model.safetensors")


def test_a_renamed_tensor_and_edited_metadata_are_refused() -> None:
    data = small_file()
    for old, new in ((b'"weight"', b'"heavy!"'), (b'"shape":[2,3]', b'"shape":[3,2]'), (b'"test"', b'"fest"')):
        assert data.count(old) == 1
        with pytest.raises(ValueError, match="the file is damaged"):
            parse_tensors(data.replace(old, new), "the file")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*gone\.safetensors"):
        read_tensors(tmp_path / "gone.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_tensors(tmp_path)


# --- hashes ----------------------------------------------------------------------------------------------------------


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), plain))
def test_content_hash_survives_json_and_order(value: dict[str, Any]) -> None:
    shuffled = dict(reversed(list(value.items())))
    assert content_hash(shuffled) == content_hash(value) == content_hash(json.loads(json.dumps(value)))


def test_content_hash_is_the_sha256_of_the_canonical_text() -> None:
    assert content_hash({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()
    assert content_hash({"a": 1}) != content_hash({"a": 1.0}) != content_hash({"a": "1"})
    assert np.unique([content_hash(i) for i in range(100)]).size == 100


# --- YAML ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e-3", 0.001), ("1E5", 1e5), ("+1e+3", 1000.0), ("-2.5e-7", -2.5e-7), (".5e-2", 0.005), ("-1.e3", -1000.0)),
        *(("0.1", 0.1), ("5.", 5.0), ("12", 12), ("1_000", 1000), ("0x10", 16), (".inf", np.inf), ("-.INF", -np.inf)),
        *(("'1e-3'", "1e-3"), ("1e-3x", "1e-3x"), ("12e", "12e"), ("e5", "e5"), ("1.2.3", "1.2.3"), (".", ".")),
        *(("true", True), ("null", None), ("[1e-3, {lr: 1e-3}]", [0.001, {"lr": 0.001}])),
    ],
)
def test_numbers_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    read = read_yaml(text)
    assert read == value and type(read) is type(value)


@given(
    value=st.text(st.sampled_from("0123456789eE+-._xnaif"), min_size=1, max_size=6) | st.floats(allow_nan=False) | plain
)
def test_what_is_written_is_read_back(value: Any) -> None:
    for in_one_line in (False, True):
        for whole in (value, {"key": [value]}):
            read = read_yaml(write_yaml(whole, in_one_line=in_one_line))
            assert read == whole and repr(read) == repr(whole)


@pytest.mark.parametrize("separator", ["\x85", "\u2028", "\u2029", "\n", "\r", "\ufeff", "\0", "\x7f", "\xa0"])
def test_separators_of_lines_stay_in_their_text(separator: str) -> None:
    for text in (separator, f"a{separator}b", f" {separator} "):
        for value in (text, {text: text}, [text, {"key": [text]}]):
            assert read_yaml(write_yaml(value)) == read_yaml(write_yaml(value, in_one_line=True)) == value


def test_a_spec_in_one_line_is_one_line() -> None:
    spec = {"ts2vec": {"repr_dim": 8, "trainer": {"lr": 1e-5}, "note": "x" * 300}}
    assert write_yaml(spec, in_one_line=True).count("\n") == 0
    assert write_yaml("jitter", in_one_line=True) == "jitter"


def test_yaml_executes_nothing() -> None:
    with pytest.raises(Exception, match="could not determine a constructor"):
        read_yaml("!!python/name:os.system")


def test_a_part_taken_for_left_over_as_it_is_made_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl")
    lock, seen = files._try_lock, []

    def lock_after_a_cleaner(stream: IO[bytes]) -> bool | None:
        if not seen:  # between making and locking it, another writer looks for what is left over
            seen.append(stream.name)
            files._remove_leftover_parts(tmp_path)
        return lock(stream)

    monkeypatch.setattr(files, "_try_lock", lock_after_a_cleaner)
    atomic_write(tmp_path / "x.bin", b"whole")
    assert (tmp_path / "x.bin").read_bytes() == b"whole" and len(seen) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.bin"]


@pytest.mark.parametrize("locks", [True, False])
def test_a_part_is_not_taken_for_left_over_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    rename = Path.replace

    def late(part: Path, target: Path) -> Path:
        files._remove_leftover_parts(tmp_path)  # as another process does at this moment, before it writes a file
        return rename(part, target)

    if not locks:
        monkeypatch.setattr(files, "_try_lock", lambda stream: None)
    monkeypatch.setattr(Path, "replace", late)
    assert atomic_write(tmp_path / "model", b"whole").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_one_process_after_the_other_is_in_a_block_of_a_path(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from kinview.files import alone
log = Path({str(tmp_path / "log")!r})
with alone({str(tmp_path / "model")!r}):
    with log.open("a") as stream:
        stream.write("in ")
    if sys.argv[1] == "dies":
        import os
        os.kill(os.getpid(), 9)
    time.sleep(0.5)
    with log.open("a") as stream:
        stream.write("out ")
"""
    assert python(code, "dies").returncode != 0  # what is killed holds nothing
    running = [subprocess.Popen([sys.executable, "-c", code, "lives"]) for _ in range(2)]
    assert [one.wait(timeout=300) for one in running] == [0, 0]
    assert (tmp_path / "log").read_text() == "in in out in out "
