"""Files that are written whole or not at all, and read without executing anything."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kinview.yaml_text import read_yaml, write_yaml

if TYPE_CHECKING:
    import torch

__all__ = [
    "alone",
    "atomic_file",
    "atomic_write",
    "canonical_json",
    "content_hash",
    "dump_tensors",
    "no_space_left",
    "parse_json",
    "parse_tensors",
    "read_tensors",
    "read_yaml",
    "write_yaml",
]

_HEADER_LIMIT = 10_000_000  # bytes; a header beyond this is refused before it is parsed
_JSON_VALUES = 2_000_000  # in one text; 5 MB of "[],[],[]" would take a hundred times as much memory
_PART = re.compile(r"^\..+\.([0-9a-f]{8})-[0-9a-f]{16}\.part$")
_LOCK_SECONDS = 0.2  # between two looks at a lock
_PART_AGE = 24 * 3600  # seconds after which a part is taken for left over where nothing tells its owner


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> Path:
    """Write a file so that readers see the old content or the new, never a part of it.

    The bytes go to a temporary file in the same folder, are flushed to disk, and replace ``path`` in one rename. What
    processes that were killed while they wrote have left in that folder is removed.

    Raises
    ------
    OSError
        If the file cannot be written (a full disk, say): it is named, with what to do. The old one is still there.
    """
    payload = data.encode("utf-8") if isinstance(data, str) else data
    with atomic_file(path, len(payload)) as stream:
        stream.write(payload)
    return Path(path)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str], size: int | None = None) -> Iterator[IO[bytes]]:
    """A file to write to, piece by piece, that becomes ``path`` when the block ends; after an error it is gone.

    As :func:`atomic_write`, for what is too large to be in memory at once; ``size`` in bytes, where it is known, is
    told if the disk is full.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {target}: the folder {target.parent} does not exist; make it first")
    _remove_leftover_parts(target.parent)
    try:
        temporary, stream, is_locked = _new_part(target)
        try:
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                if target.exists():
                    temporary.chmod(target.stat().st_mode & 0o777)
                if is_locked:  # without its lock the part would be taken for left over
                    temporary.replace(target)
            if not is_locked:  # a system without locks may not rename an open file
                temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _explained(error, target, size) from error


def no_space_left(path: str | os.PathLike[str], needed: int | None = None) -> str:
    """What to say where a disk is full: which file, how much is needed and free, what to do.

    Examples
    --------
    >>> no_space_left("results.db")  # doctest: +ELLIPSIS
    'cannot write results.db: its disk is full (... MB are free); free some space, or write to another disk'
    """
    free = "space unknown"
    with contextlib.suppress(OSError):
        free = f"{shutil.disk_usage(Path(path).absolute().parent).free / 1e6:,.1f} MB are free"
    amount = "" if needed is None else f"{needed / 1e6:,.1f} MB are needed, "
    return (
        f"cannot write {os.fspath(path)}: its disk is full ({amount}{free}); free some space, or write to another disk"
    )


def _explained(error: OSError, target: Path, size: int | None) -> OSError:
    """The same error, with the file that was to be written in its message."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OSError(error.errno, f"{error.strerror}: {no_space_left(target, size)}")
    reason = error.strerror or str(error)
    made = type(error)(error.errno, f"cannot write {target}: {reason}") if error.errno else None
    return made or type(error)(f"cannot write {target}: {reason}")


def _new_part(target: Path) -> tuple[Path, IO[bytes], bool]:
    """A temporary file beside a target, and whether it has a lock.

    The lock says that its writer lives, the name on which machine.
    """
    while True:
        temporary = target.with_name(f".{target.name}.{_machine()}-{secrets.token_hex(8)}.part")
        stream = temporary.open("xb")
        locked = _try_lock(stream)
        if locked is not False and (not hasattr(os, "fstat") or os.fstat(stream.fileno()).st_nlink):
            return temporary, stream, locked is True
        stream.close()  # taken for left over in the moment between opening and locking; who holds it removes it


def _remove_leftover_parts(folder: Path) -> None:
    """Remove temporary files whose writers are dead.

    On this machine a lock tells, which ends with its process; a part of another machine, or on a disk without locks,
    has to be a day old.
    """
    with contextlib.suppress(OSError):  # whatever cannot be seen or removed is in nobody's way
        for entry in list(os.scandir(folder)):
            found = _PART.match(entry.name)
            if found and found[1] == _machine():
                _remove_unlocked(Path(entry.path))
            elif found and _is_old(entry.stat(follow_symlinks=False)):
                Path(entry.path).unlink(missing_ok=True)


def _remove_unlocked(path: Path) -> None:
    """Remove a part whose writer is dead, under its lock: a writer that has just made it then sees that it is gone."""
    with path.open("rb") as stream:
        locked = _try_lock(stream)
        if locked:
            path.unlink(missing_ok=True)
        old = _is_old(os.fstat(stream.fileno()))
    if locked is None and old:  # no locks here
        path.unlink(missing_ok=True)


def _is_old(status: os.stat_result) -> bool:
    return time.time() - status.st_mtime > _PART_AGE


def _try_lock(stream: IO[bytes]) -> bool | None:
    """Whether the file is ours now; None where the system or the disk has no locks."""
    try:
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


@contextlib.contextmanager
def alone(path: str | os.PathLike[str]) -> Iterator[None]:
    """Run the block while no other process is in a block of the same path; one that is killed is out of it.

    ``path`` with ``.lock`` behind is a file that stays. Where the system or the disk has no locks nothing waits.
    """
    lock = Path(f"{os.fspath(path)}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as stream:
        while _try_lock(stream) is False:
            time.sleep(_LOCK_SECONDS)
        yield


def _machine() -> str:
    """Eight letters for this machine, which do not tell its name."""
    return hashlib.sha256(platform.node().encode("utf-8", "surrogatepass")).hexdigest()[:8]


def canonical_json(value: Any) -> str:
    """JSON text that is the same for equal plain data: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """SHA-256 (hexadecimal) of plain data.

    Examples
    --------
    >>> content_hash({"b": 1, "a": 2}) == content_hash({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def parse_json(text: str | bytes, source: str) -> Any:
    """Value of a JSON text that comes from a file: of bounded size and depth, and no key twice.

    Raises
    ------
    ValueError
        If it is no JSON, too deep, too large, or has a key that stands twice; the source is named.

    Examples
    --------
    >>> parse_json('{"a": [1, 2]}', "the header")
    {'a': [1, 2]}
    >>> parse_json('{"a": 1, "a": 2}', "the header")
    Traceback (most recent call last):
    ...
    ValueError: the header has the key 'a' twice
    """
    decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    if sum(map(decoded.count, ",[{")) > _JSON_VALUES:
        raise ValueError(f"{source} is refused: more than {_JSON_VALUES:,} values")

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise ValueError(f"{source} has the key {twice!r} twice")
        return made

    try:
        return json.loads(decoded, object_pairs_hook=mapping)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{source} is refused: it is nested too deeply") from None


def dump_tensors(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """Serialise tensors as safetensors bytes with a SHA-256 in the header; equal content gives equal bytes.

    The checksum covers the tensor bytes and all that the header says of them: names, shapes, types and metadata.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Copied to contiguous CPU memory, so views and shared storage are legal.
    metadata : mapping of str to str
        Stored in the header.

    Raises
    ------
    ValueError
        If the header would be larger than what :func:`parse_tensors` accepts.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    unsigned = save(plain, metadata=dict(metadata) or None)  # safetensors 0.8 writes {} with no tensors as broken JSON
    start = _body_start(unsigned)
    digest = _checksum(json.loads(unsigned[8:start]), unsigned[start:])
    return _with_ordered_header(save(plain, metadata={**metadata, "sha256": digest}))


def parse_tensors(data: bytes, source: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Inverse of :func:`dump_tensors`.

    Raises
    ------
    ValueError
        If the bytes are truncated, are not safetensors, have an oversized header, or do not match their SHA-256.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        start = _body_start(data)
        header = parse_json(data[8:start], "its header")
        metadata = header.get("__metadata__", {})
        if not isinstance(metadata, dict):
            raise ValueError("its metadata are not a mapping")
        tensors = load(data)
    except (ValueError, SafetensorError, struct.error, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{source} is not a readable safetensors file (truncated, or of another kind): {error}"
        ) from None
    expected = metadata.pop("sha256", None)  # the header's own mapping: what is left of it is what was signed
    if expected is None:
        raise ValueError(f"{source} was not written by kinview: its header carries no checksum")
    if _checksum(header, data[start:]) != expected:
        raise ValueError(f"{source} is damaged: its content does not match the SHA-256 in its header; use a fresh copy")
    return tensors, metadata


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a file that :func:`dump_tensors` made; errors as :func:`parse_tensors`."""
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {source}")
    return parse_tensors(source.read_bytes(), str(source))


def tensors_under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _body_start(data: bytes) -> int:
    if len(data) < 8:
        raise ValueError(f"{len(data)} bytes are no file of tensors: a header of 8 bytes and more comes first")
    (length,) = struct.unpack("<Q", data[:8])
    if length > _HEADER_LIMIT:
        raise ValueError(f"a header of {length:,} bytes is refused; at most {_HEADER_LIMIT:,}")
    return 8 + int(length)


def _with_ordered_header(data: bytes) -> bytes:
    # safetensors writes its metadata in an order that changes from call to call
    start = _body_start(data)
    header = canonical_json(json.loads(data[8:start])).encode("utf-8")
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data[start:]


def _checksum(header: dict[str, Any], body: bytes) -> str:
    described = {name: entry for name, entry in header.items() if name != "__metadata__"}
    signed = canonical_json([described, header.get("__metadata__", {})])
    return hashlib.sha256(signed.encode("utf-8", "surrogatepass") + body).hexdigest()
