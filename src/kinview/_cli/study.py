"""A study file that was named on the command line."""

from __future__ import annotations

from typing import Any

from kinview._cli.text import complain

__all__ = ["named_study"]


def named_study(name: str) -> dict[str, Any]:
    """Config of a benchmark without its ``imports``: these have run, each named before it did.

    Raises
    ------
    ValueError
        As :func:`kinview.evaluation.benchmark.study.read_study` and :func:`kinview.own_parts.parts_of_study`.
    """
    from kinview.configs import config_path
    from kinview.evaluation.benchmark.study import read_study
    from kinview.own_parts import import_parts, parts_of_study

    config = read_study(name)
    files = parts_of_study(config.pop("imports"), config_path("benchmark", name)) if "imports" in config else []
    for file in files:
        import_parts(file, announce=lambda told: complain(f"{name} {told}"))
    return config
