"""What a result depends on besides its parameters: versions of libraries, and the code that computes it."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import kinview
from kinview.evaluation.benchmark.closure import Closure
from kinview.files import canonical_json, content_hash
from kinview.own_parts import imported_parts
from kinview.registry import Registry, families

__all__ = ["module_code", "own_version", "part_code", "source_digest", "versions"]

_LIBRARIES = ("numpy", "scikit-learn", "torch", "xgboost")


def versions() -> dict[str, str]:
    """Installed versions of the libraries that decide the last bits of a result.

    Examples
    --------
    >>> sorted(versions())
    ['numpy', 'scikit-learn', 'torch', 'xgboost']
    """
    return {library: importlib.metadata.version(library) for library in _LIBRARIES}


def part_code(registry: Registry, config: Any) -> str:
    """SHA-256 of the code that a part rests on, and the parts inside its config: see :class:`Closure`.

    A process reads each file once: it runs what it has imported, whatever is written to the file afterwards.

    Examples
    --------
    >>> from kinview.losses import losses
    >>> part_code(losses, "nt_xent") == part_code(losses, {"nt_xent": {"temperature": 0.1}})
    True
    >>> part_code(losses, "nt_xent") == part_code(losses, "vicreg")
    False
    """
    return _part_code(registry.family, canonical_json(config))


@functools.cache
def _part_code(family: str, config: str) -> str:
    closure = Closure()
    closure.add(families()[family], json.loads(config))
    own = imported_parts()
    if closure.modules.isdisjoint(one.module for one in own):
        return closure.digest()
    return content_hash([closure.digest(), [one.digest for one in own]])  # one may use what another defines


@functools.cache
def module_code(module: str) -> str:
    """SHA-256 of the code of a module and of what it uses: see :class:`Closure`."""
    closure = Closure()
    closure.add_module(module)
    return closure.digest()


def own_version() -> str:
    """Version of kinview with the state of its source, for whoever reads a result: no key depends on it."""
    return f"{kinview.__version__}+source.{source_digest()[:12]}"


@functools.cache
def source_digest(root: Path | None = None) -> str:
    """SHA-256 over every module of kinview, byte for byte: it tells one state of the source from another.

    What a result depends on is narrower, see :func:`part_code`.

    Parameters
    ----------
    root : Path, optional
        Folder of the package; default this installation.

    Examples
    --------
    >>> len(source_digest())
    64
    """
    package = Path(kinview.__file__).parent if root is None else root
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        # Line endings depend on how git checked the file out, not on the code.
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
