"""Files that are written whole or not at all, and read without executing anything."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import secrets
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = [
    "atomic_write",
    "canonical_json",
    "content_hash",
    "dump_tensors",
    "parse_tensors",
    "read_tensors",
    "read_yaml",
    "write_yaml",
]

_HEADER_LIMIT = 10_000_000  # bytes; a header beyond this is refused before it is parsed


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> Path:
    """Write a file so that readers see the old content or the new, never a part of it.

    The bytes go to a temporary file in the same folder, are flushed to disk, and replace ``path`` in one rename.
    """
    target = Path(path)
    payload = data.encode("utf-8") if isinstance(data, str) else data
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {target}: the folder {target.parent} does not exist; make it first")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


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
        header = json.loads(data[8:start].decode("utf-8"))
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


def _body_start(data: bytes) -> int:
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


def read_yaml(text: str) -> Any:
    """Value of a YAML document, in plain data; nothing in it is executed.

    Numbers are those of YAML 1.2: ``1e-3`` is one, which PyYAML by itself, at YAML 1.1, takes for text.

    Raises
    ------
    yaml.YAMLError
        If the text is not YAML, or more than one document.

    Examples
    --------
    >>> read_yaml("{lr: 1e-3, name: '1e-3'}")
    {'lr': 0.001, 'name': '1e-3'}
    """
    loader = _yaml_classes()[0](text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def write_yaml(value: Any, *, in_one_line: bool = False) -> str:
    """Plain data as YAML that :func:`read_yaml` reads back, keys in their order.

    Examples
    --------
    >>> write_yaml({"lr": 0.001, "name": "1e-3"}, in_one_line=True)
    "{lr: 0.001, name: '1e-3'}"
    """
    import yaml

    text = str(
        yaml.dump(
            value,
            Dumper=_yaml_classes()[1],
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=True if in_one_line else None,
            width=10**6 if in_one_line else 100,
        )
    )
    return text.removesuffix("...\n").rstrip("\n") if in_one_line else text


@functools.cache
def _yaml_classes() -> tuple[Any, Any]:
    """Loader and dumper with the numbers of YAML 1.2, and texts that are read back as they were."""
    import yaml

    number = re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    )
    tag = "tag:yaml.org,2002:float"

    def with_numbers(base: Any) -> Any:
        made: Any = type(base.__name__, (base,), {})
        known = base.yaml_implicit_resolvers.items()
        made.yaml_implicit_resolvers = {first: [pair for pair in pairs if pair[0] != tag] for first, pairs in known}
        made.add_implicit_resolver(tag, number, list("-+0123456789."))
        return made

    def text(dumper: Any, value: str) -> Any:
        # other quotes would write these as they are, and a reader takes them for the end of a line
        style = '"' if any(separator in value for separator in "\x85\u2028\u2029") else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    dumper = with_numbers(yaml.SafeDumper)
    dumper.add_representer(str, text)
    return with_numbers(yaml.SafeLoader), dumper
