"""Bars that show how far a long piece of work has come: in a terminal, and in a notebook."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["in_notebook", "progress_bar"]


def in_notebook() -> bool:
    """Whether this process runs the cells of a notebook, whose output is no terminal and shows bars all the same."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def progress_bar(**options: Any) -> Any:
    """A bar of tqdm in a terminal, or that of a notebook; None where nobody looks (a log, a pipe).

    Parameters
    ----------
    **options
        As of ``tqdm``: ``total``, ``desc``, ``unit``, ...
    """
    if not sys.stderr.isatty() and not in_notebook():
        return None
    from tqdm.auto import tqdm

    return tqdm(**options)
