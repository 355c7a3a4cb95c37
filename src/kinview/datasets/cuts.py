"""How the training and test part of a data set come about: as it was published, or drawn by its reader."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

from kinview.datasets import datasets
from kinview.datasets.folders import find_folder, has_own_parts

__all__ = ["drawn_split"]

_CUT = ("test_fraction", "split_seed")


def drawn_split(name: str, *, data_dir: str | os.PathLike[str] | None = None, **options: Any) -> dict[str, Any] | None:
    """Fraction and seed of the split that :func:`kinview.load` draws; None for data with parts of their own.

    Only file names are looked at. Whether groups stay whole is told by the data set: they do where it has any.

    Parameters
    ----------
    name : str
        As for :func:`kinview.load`.
    data_dir : path, optional
        The data folder.
    **options : Any
        Options of the reader, ``path`` and ``format`` among them.

    Returns
    -------
    dict or None
        ``test_fraction`` and ``split_seed``.

    Raises
    ------
    FileNotFoundError
        If there is no such data set.

    Examples
    --------
    >>> drawn_split("wine"), drawn_split("wine", test_fraction=0.5), drawn_split("gunpoint")
    ({'test_fraction': 0.3, 'split_seed': 0}, {'test_fraction': 0.5, 'split_seed': 0}, None)
    """
    if options.get("path") is None and name in datasets:
        taken = inspect.signature(datasets[name].target).parameters
        return _drawn(options) if set(_CUT) <= set(taken) else None
    links = bool(options.get("follow_links", False))
    if options.get("path") is None:
        folder = find_folder(name, data_dir, others=list(datasets), follow_links=links)
    else:
        folder = Path(options["path"])
        if not folder.is_dir() or options.get("format", "auto") not in ("auto", "physionet2012"):
            return _drawn(options)
    return None if has_own_parts(folder, follow_links=links) else _drawn(options)


def _drawn(options: dict[str, Any]) -> dict[str, Any]:
    from kinview.datasets.named import load

    known = inspect.signature(load).parameters
    return {part: options.get(part, known[part].default) for part in _CUT}
