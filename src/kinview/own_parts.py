"""Files with parts of one's own: run where their user names them, and nowhere else."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["OwnParts", "import_parts", "imported_parts", "parts_of_study", "refuse_imports", "restore_parts"]

_KEY = "imports"


@dataclasses.dataclass(frozen=True)
class OwnParts:
    """A file that was imported.

    Parameters
    ----------
    module : str
        Its name among the modules, that of the file.
    path : str
        Where it lies.
    digest : str
        SHA-256 of its bytes, those that ran.
    """

    module: str
    path: str
    digest: str


_IMPORTED: dict[str, OwnParts] = {}  # of this process, by module


def import_parts(
    path: str | os.PathLike[str], *, announce: Callable[[str], None] | None = None, digest: str | None = None
) -> OwnParts:
    r"""Run a Python file that registers parts; afterwards they are used by name, as those of kinview are.

    The file is a module of the name of the file. Benchmarks carry it to their worker processes, and the keys of cells
    with its parts hold the digest of its bytes. It runs once a process, with all rights of its user, so name no file
    that you have not read.

    Parameters
    ----------
    path : path
        A file ``NAME.py``.
    announce : callable, optional
        Is told which file, with the digest of its bytes, before it runs.
    digest : str, optional
        SHA-256 that its bytes must have.

    Returns
    -------
    OwnParts
        What ran.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If its name is that of another module or no name of one, its bytes are others than those that ran before or
        that are expected, or it fails.

    Examples
    --------
    >>> import tempfile
    >>> from kinview.augmentations import augmentations
    >>> file = Path(tempfile.mkdtemp(), "my_views.py")
    >>> _ = file.write_text(
    ...     "from kinview.augmentations import Jitter, augmentations\n"
    ...     "class Shaken(Jitter):\n"
    ...     "    'Jitter by another name.'\n"
    ...     "augmentations.register('shaken', modality='time_series')(Shaken)\n"
    ... )
    >>> import_parts(file).module, "shaken" in augmentations
    ('my_views', True)
    """
    file = Path(path).expanduser()
    module = file.stem
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file} with parts to import")
    if file.suffix != ".py" or not module.isidentifier():
        raise ValueError(f"{file} is no Python file that can be a module: it must be called NAME.py")
    content = file.read_bytes()
    found = OwnParts(module, str(file.resolve()), hashlib.sha256(content).hexdigest())
    if digest is not None and found.digest != digest:
        raise ValueError(f"{file} is not the file any more that was imported first; run it again")
    known = _IMPORTED.get(module)
    if known is not None:
        if known.digest == found.digest:
            return known
        raise ValueError(f"{module} was imported from {known.path} with other content; start a new process for {file}")
    if module in sys.modules or _is_other(module, found.path):
        raise ValueError(f"{file} has the name of a module that is there already; call it otherwise")
    if announce is not None:
        announce(f"imports {file} (sha256 {found.digest[:16]})")
    _run(content, found)
    _IMPORTED[module] = found
    return found


def imported_parts() -> tuple[OwnParts, ...]:
    """Files that this process has imported, in their order."""
    return tuple(_IMPORTED.values())


def restore_parts(parts: Iterable[OwnParts]) -> None:
    """Import in a worker what the process that plans has imported; nothing where it has been.

    Raises
    ------
    ValueError
        If a file has changed since.
    """
    for one in parts:
        if _IMPORTED.get(one.module) != one:
            import_parts(one.path, digest=one.digest)


def parts_of_study(given: Any, study: Path) -> list[Path]:
    """Files that a study file imports: relative to its folder, and inside it.

    Raises
    ------
    ValueError
        If it is no list of such files, one lies outside of the folder (also by a link), or the study came with kinview
        or from a hub.
    """
    if not isinstance(given, list) or not all(isinstance(name, str) and name for name in given):
        raise ValueError(f"{study}: imports must be a list of Python files, [my_parts.py]; got {given!r}")
    folder = study.absolute().parent.resolve()
    for place, whose in _foreign():
        if place in (folder, *folder.parents):
            raise ValueError(f"{study} came {whose}, and nothing that did imports files; copy it to take it for yours")
    files = []
    for name in given:
        file = folder / name
        if Path(name).is_absolute() or folder not in file.resolve().parents:
            raise ValueError(
                f"{study} imports {name!r}, which is outside of its folder; files beside it are imported, and others "
                "by --import"
            )
        files.append(file)
    return files


def refuse_imports(content: Any, source: str) -> None:
    """Refuse plain data with a key ``imports`` anywhere: only a study file imports, that its user names.

    Examples
    --------
    >>> refuse_imports({"ts2vec": {"imports": ["parts.py"]}}, "model.safetensors")
    Traceback (most recent call last):
    ...
    ValueError: model.safetensors is refused: it asks to import files ('imports'), which nothing but a study \
file that you name may do
    """
    todo = [content]
    while todo:
        one = todo.pop()
        if isinstance(one, Mapping):
            if _KEY in one:
                raise ValueError(
                    f"{source} is refused: it asks to import files ({_KEY!r}), which nothing but a study file that you "
                    "name may do"
                )
            todo += one.values()
        elif isinstance(one, list | tuple):
            todo += one


def _run(content: bytes, found: OwnParts) -> None:
    """Execute the bytes that were read, not the file: it may be another by now."""
    spec = importlib.util.spec_from_file_location(found.module, found.path)
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[found.module] = made
    try:
        exec(compile(content, found.path, "exec"), made.__dict__)  # what the user has asked for
    except Exception as error:
        del sys.modules[found.module]
        raise ValueError(f"{found.path} cannot be imported: {type(error).__name__}: {error}") from error


def _is_other(module: str, path: str) -> bool:
    """Whether a module of this name could be imported from elsewhere."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return True
    return spec is not None and (spec.origin is None or str(Path(spec.origin).resolve()) != path)


def _foreign() -> list[tuple[Path, str]]:
    """Folders whose files others have written, and how they came."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hubs = [os.environ.get(name) for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TORCH_HOME")]
    caches = [home / "huggingface", home / "torch", *(Path(hub) for hub in hubs if hub)]
    return [(Path(__file__).resolve().parent, "with kinview"), *((one.resolve(), "from a hub") for one in caches)]
