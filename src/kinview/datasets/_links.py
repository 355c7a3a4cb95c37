"""Links in data folders: what a folder holds is read, and what a link in it leads to elsewhere only if allowed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["check_links", "files_below"]


def check_links(paths: Iterable[Path], folder: Path, *, follow_links: bool) -> None:
    """Refuse a link that leaves the folder, so that a folder from elsewhere does not read files of this machine.

    ``follow_links=True`` allows it. The folder itself may be reached by a link: whoever names it means where it leads.

    Raises
    ------
    ValueError
        The link, where it leads, and how to allow it.
    """
    if follow_links:
        return
    root = os.path.realpath(folder)
    for path in paths:
        if path.is_symlink():
            target = os.path.realpath(path)
            if target != root and not target.startswith(root.rstrip(os.sep) + os.sep):
                raise ValueError(
                    f"{path} is a link that leaves {folder}: it leads to {target}. Put what it leads to into the "
                    f"folder, or allow it by follow_links=True (command line: --reader_options.follow_links true)"
                )


def files_below(folder: Path, suffix: str, *, follow_links: bool) -> list[Path]:
    """Files of this suffix in the folder and its sub-folders, in the order of their paths; each folder is read once.

    Raises
    ------
    ValueError
        For a link to a folder, or to such a file, that leaves the folder, unless ``follow_links``.
    """
    found: list[Path] = []
    visited: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=follow_links):
        real = os.path.realpath(here)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        named = [Path(here, file) for file in files if file.endswith(suffix)]
        check_links([*(Path(here, one) for one in sorted(folders)), *sorted(named)], folder, follow_links=follow_links)
        found += named
    return sorted(found)
