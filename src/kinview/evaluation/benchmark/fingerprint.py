"""What a result depends on besides its parameters: versions of libraries, and kinview's own step code."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["part_source", "source_digest", "versions"]

_LIBRARIES = ("numpy", "scikit-learn", "torch", "xgboost")
_STEP_PACKAGES = ("augmentations", "data", "encoders", "evaluation", "losses", "methods", "training")
# Planning, storing and showing do not change a number.
_NO_STEP = (
    "_database.py", "fingerprint.py", "grid.py", "plan.py", "report", "runner.py", "statistics.py", "store.py",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Installed versions of the libraries that decide the last bits of a result.

    Examples
    --------
    >>> sorted(versions())
    ['numpy', 'scikit-learn', 'torch', 'xgboost']
    """
    return {library: importlib.metadata.version(library) for library in _LIBRARIES}


@functools.cache
def source_digest(root: Path | None = None) -> str:
    """SHA-256 over kinview's step code: every module that can change a number of a benchmark.

    Parameters
    ----------
    root : Path, optional
        Folder of the package; default this installation.

    Examples
    --------
    >>> len(source_digest())
    64
    """
    package = Path(__file__).parents[2] if root is None else root
    digest = hashlib.sha256()
    for path in _step_files(package):
        # Line endings depend on how git checked the file out, not on the code.
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def part_source(target: Any) -> dict[str, str]:
    """Identify the code of a registered part that another package brings: its module and that file's SHA-256.

    Parts of kinview itself are covered by :func:`source_digest` and give an empty mapping.

    Examples
    --------
    >>> from kinview.registry import Registry
    >>> part_source(Registry)
    {}
    """
    module = str(getattr(target, "__module__", ""))
    if module.split(".", 1)[0] == __name__.split(".", 1)[0]:
        return {}
    try:
        source = inspect.getsourcefile(target)
    except TypeError:
        source = None
    content = Path(source).read_bytes() if source and Path(source).is_file() else b""
    return {module: hashlib.sha256(content).hexdigest()}


def _step_files(package: Path) -> Iterator[Path]:
    for name in _STEP_PACKAGES:
        folder = package / name
        for path in sorted(folder.rglob("*.py")):
            if not (
                name == "evaluation"
                and path.relative_to(folder).as_posix().removeprefix("benchmark/").split("/")[0] in _NO_STEP
            ):
                yield path
