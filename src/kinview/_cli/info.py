"""``kinview info``: what a defect report and a methods section need to know."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import TYPE_CHECKING

from kinview import __version__
from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.text import count, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import Namespace

__all__ = ["parse", "run"]

_LIBRARIES = (
    "torch", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "sktime", "xgboost", "safetensors", "SQLAlchemy",
    "joblib", "jinja2", "matplotlib", "jsonargparse",
)  # fmt: skip


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    return parse_words(new_parser("info", "", "Versions, devices, threads and the data folder."), words)


def run(options: Namespace) -> None:
    """Run the command."""
    import torch

    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    variables = [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ]
    threads = [f"torch uses {torch.get_num_threads()}", count(processors, "processor"), *variables]
    rows = [
        ("kinview", __version__),
        ("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("platform", platform.platform()),
        ("devices", ", ".join(_devices())),
        ("threads", ", ".join(threads)),
        ("KINVIEW_DATA", _data_folder()),
    ]
    say(*table([*rows, ("", ""), *((name, _version(name)) for name in _LIBRARIES)]))


def _devices() -> list[str]:
    import torch

    cuda = [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def _data_folder() -> str:
    from kinview.datasets.folders import folder_names

    given = os.environ.get("KINVIEW_DATA")
    if not given:
        return "not set"
    try:
        return f"{given} ({count(len(folder_names()), 'folder')})"
    except FileNotFoundError:
        return f"{given} (there is no such folder)"


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
