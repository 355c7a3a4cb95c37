"""A study file: a benchmark as YAML, with files named relative to its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kinview.configs import config_path, read_config
from kinview.evaluation.benchmark.grid import is_dataset, name_and_options

__all__ = ["checked_pretrain_on", "fitted_on", "read_study", "with_paths"]

_CHOICES = ("clean", "corrupted")


def read_study(name: str) -> dict[str, Any]:
    """Config of a benchmark that ships with the package, or of a study file, in plain data.

    Paths of data sets are those of the file's folder, whatever the working directory is.

    Parameters
    ----------
    name : str
        Name of a packaged benchmark, or the path of a YAML file.

    Raises
    ------
    ValueError
        As :func:`kinview.configs.read_config`.
    """
    config = read_config("benchmark", name)
    return with_paths(config, config_path("benchmark", name).parent)


def with_paths(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The config with the paths of its data sets relative to a folder, as absolute ones.

    Examples
    --------
    >>> config = {"datasets": ["iris", {"vitals": {"path": "data/vitals.csv"}}]}
    >>> with_paths(config, Path("/studies"))["datasets"]
    ['iris', {'vitals': {'path': '/studies/data/vitals.csv'}}]
    """
    found = dict(config)
    if "datasets" in found:
        found["datasets"] = _resolved(found["datasets"], folder)
    sources = found.get("pretrain_on")
    if isinstance(sources, Mapping) and "datasets" in sources:
        found["pretrain_on"] = {**sources, "datasets": _resolved(sources["datasets"], folder)}
    return found


def checked_pretrain_on(given: Any) -> Any:
    """``"clean"``, ``"corrupted"``, or ``{"datasets": [...]}`` once it has the right form.

    Raises
    ------
    ValueError
        If it is none of these, or names a data set twice.

    Examples
    --------
    >>> checked_pretrain_on({"datasets": ["gunpoint"]})
    {'datasets': ['gunpoint']}
    """
    if given in _CHOICES:
        return given
    specs = given.get("datasets") if isinstance(given, Mapping) and set(given) == {"datasets"} else None
    if not isinstance(specs, list | tuple) or not specs or not all(map(is_dataset, specs)):
        raise ValueError(
            f"pretrain_on must be one of {', '.join(_CHOICES)}, or {{datasets: [...]}} with names of data sets; got "
            f"{given!r}"
        )
    names = [name.casefold() for name, _ in map(name_and_options, specs)]
    if len(set(names)) < len(names):
        raise ValueError(f"pretrain_on names a data set twice: {', '.join(names)}")
    return {"datasets": list(specs)}


def fitted_on(pretrain_on: Any) -> str:
    """Whether a method, or what adapts it, sees a corrupted training set as it is or the clean one."""
    return "corrupted" if isinstance(pretrain_on, Mapping) else str(pretrain_on)


def _resolved(datasets: Any, folder: Path) -> Any:
    if not isinstance(datasets, list | tuple):
        return datasets  # a benchmark says what it should be
    return [_with_path(spec, folder) for spec in datasets]


def _with_path(spec: Any, folder: Path) -> Any:
    if not isinstance(spec, Mapping) or len(spec) != 1:
        return spec
    ((name, options),) = spec.items()
    if not isinstance(options, Mapping) or not isinstance(options.get("path"), str):
        return spec
    return {name: {**options, "path": str(folder.absolute() / Path(options["path"]).expanduser())}}
