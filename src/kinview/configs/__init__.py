"""Configurations that ship with the package, one folder a family, and how a name becomes a file."""

# The parent-relative import refuses `import configs` through the link at the top of the repository.
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __name__ as _package

__all__ = ["config_names", "config_path", "read_config"]


def config_names(family: str) -> list[str]:
    """Names of the configurations of one family that ship with the package.

    Examples
    --------
    >>> "quickstart" in config_names("benchmark")
    True
    """
    return sorted(path.stem for path in _folder(family).glob("*.yaml"))


def config_path(family: str, name: str) -> Path:
    """Find a configuration: one that ships with the package by its name, or a user's file by its path.

    Parameters
    ----------
    family : str
        Folder of the packaged configurations, ``"benchmark"`` for example.
    name : str
        Name of a packaged configuration without ``.yaml``, or the path of a YAML file.

    Raises
    ------
    ValueError
        If the name is neither.

    Examples
    --------
    >>> config_path("benchmark", "quickstart").name
    'quickstart.yaml'
    >>> config_path("benchmark", "quikstart")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: there is no benchmark config 'quikstart'; did you mean 'quickstart'? Known: ...
    """
    known = config_names(family)
    if name in known:
        return _folder(family) / f"{name}.yaml"
    file = Path(name).expanduser()
    if file.is_file():
        return file
    from kinview.registry import suggestion

    raise ValueError(
        f"there is no {family} config {name!r}{suggestion(name, known)} Known: {', '.join(known) or 'none'}; "
        f"or give the path of a YAML file"
    )


def read_config(family: str, name: str) -> dict[str, Any]:
    """Read a configuration that :func:`config_path` finds, without executing anything.

    Raises
    ------
    ValueError
        If the file is not found, is not YAML, has a key twice, is too large, or does not hold one mapping.
    """
    import yaml

    from kinview.own_parts import refuse_imports
    from kinview.yaml_text import read_yaml, yaml_file_text

    path = config_path(family, name)
    try:
        config = read_yaml(yaml_file_text(path))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable as YAML: {error}") from None
    if not isinstance(config, Mapping):
        raise ValueError(f"{path} must hold one mapping, key: value; it holds {type(config).__name__}")
    if family != "benchmark" or path.parent == _folder(family):
        refuse_imports(config, str(path))
    return {str(key): value for key, value in config.items()}


def _folder(family: str) -> Path:
    return Path(str(importlib.resources.files(_package))) / "configs" / family
