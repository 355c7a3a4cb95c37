"""Parsers of the commands: options named like Python parameters, a YAML file for each, errors in one line."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import functools
import itertools
import json
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace, get_loader, set_loader

from kinview._cli.text import without_markup
from kinview.yaml_text import check_yaml, yaml_file_text

__all__ = ["Metric", "config_files", "new_parser", "parse"]

Metric = typing.Literal["accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "mae", "rmse", "r2"]

_TEXT_LISTS = (
    "categorical", "channels", "columns", "datasets", "drop", "id", "index", "keep", "na_values", "query", "static",
)  # fmt: skip
_LISTS = (
    "controls", "corruptions", "label_fractions", "label_noise", "label_noise_rates", "methods", "metrics", "probes",
    "seeds", "severities", "subgroups",
)  # fmt: skip
_WITH_COMMAS = ("samples",)  # a list only where it has commas: of some commands it is a number
_SWITCHES = ("dry_run", "retry_failed", "same_names")  # alone they mean true
_METAVARS = {
    "augmentation": "NAME|SPEC", "benchmark": "NAME|FILE", "config": "FILE", "csv": "FILE", "dask": "local|URL",
    "data": "FILE|FOLDER", "data_dir": "FOLDER", "dataset": "NAME", "explainer": "NAME|SPEC", "figures": "FOLDER",
    "file": "FILE", "mapped": "COLUMN=COLUMN|FILE", "matcher": "NAME|SPEC", "truth": "COLUMN=COLUMN|FILE",
    "model": "FILE", "output": "FILE", "output_dir": "FOLDER", "predictions": "FILE", "published": "FILE",
    "reference": "METHOD[/PROBE]", "shard": "I/N", "store": "URL",
}  # fmt: skip


_SHOWN = 60  # characters of a value that is refused


class _Help(argparse.HelpFormatter):
    """Options with what they take, and their default where there is one."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{**options, "max_help_position": 30})

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.dest == "print_config":
            return "print these options, as far as they are given, as YAML for --config, and exit"
        text = without_markup(action.help or "").replace("%", "%%")
        if getattr(action, "required", False) and action.option_strings:
            return f"{text} (required)"
        if action.default is None or action.default == argparse.SUPPRESS or not action.option_strings:
            return text
        return f"{text} (default: {str(action.default).replace('%', '%%')})"

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        kind = getattr(action, "_typehint", action.type)
        return _METAVARS.get(action.dest) or _metavar(kind)

    def _get_default_metavar_for_positional(self, action: argparse.Action) -> str:
        return _METAVARS.get(action.dest) or action.dest.upper()

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """The option once: the spelling that appends to a list (``--columns+``) is left to the manual."""
        if not action.option_strings or action.nargs == 0:
            return str(super()._format_action_invocation(action))
        named = [option for option in action.option_strings if not option.endswith("+")]
        if action.dest == "print_config":
            return ", ".join(named)
        return f"{', '.join(named)} {self._get_default_metavar_for_optional(action)}"

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


def new_parser(command: str, usage: str, description: str) -> ArgumentParser:
    """Parser of a command, with ``--config`` and ``--print_config``."""
    parser = ArgumentParser(
        prog=f"kinview {command}",
        usage=f"kinview {command} {usage}",
        description=description,
        formatter_class=_Help,
        exit_on_error=False,
        allow_abbrev=False,
        parser_mode=_bounded_yaml(),
    )
    parser.add_argument("--config", action="config", help="YAML file whose keys are these options; an option wins")
    return parser


@functools.cache
def _bounded_yaml() -> str:
    """Name of the way in which values and files of options are read: jsonargparse's YAML, bounded, no key twice.

    A value that begins with ``#`` (a sign of comments, the name of a column) is text; YAML alone reads it as nothing.
    """
    import yaml

    read = get_loader("yaml")

    def load(text: str) -> Any:
        check_yaml(text)
        return text if text.startswith("#") and "\n" not in text else read(text)

    set_loader("kinview_yaml", load, (yaml.YAMLError,))
    return "kinview_yaml"


def parse(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Options from the command line.

    Dashes in the name of an option count as underscores, lists may be written ``a,b``, and the file of ``--config``
    yields to the other options wherever it stands.

    Raises
    ------
    ValueError
        If the words do not fit the parser.
    """
    _check_values(words)
    try:
        options: Namespace = parser.parse_args(_normalised(words))
    except argparse.ArgumentError as error:
        raise ValueError(_unquoted(error) or f"{error}{_hint(parser, words)} (see {parser.prog} --help)") from error
    del options.config
    return options


def config_files(words: Sequence[str]) -> list[Path]:
    """The files of ``--config``.

    Examples
    --------
    >>> config_files(["quickstart", "--config", "study.yaml"])
    [PosixPath('study.yaml')]
    """
    named = [word.removeprefix("--config=") for word in _normalised(words) if word.startswith("--config=")]
    return [Path(name) for name in named]


def _check_values(words: Sequence[str]) -> None:
    """Refuse a value that is YAML without end, or with a key twice, before anything reads or repeats it."""
    import yaml

    for word in _normalised(words):
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if name == "--config" and Path(value).is_file():
            with contextlib.suppress(yaml.YAMLError, UnicodeDecodeError):  # the parser says where
                yaml_file_text(Path(value))
            continue
        try:
            check_yaml(value)
        except yaml.YAMLError:
            continue  # text
        except ValueError as error:
            shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
            raise ValueError(f"{error}: in {name}{equals}{shown}") from None


def _switched(words: Sequence[str]) -> Iterator[str]:
    """Words with ``--dry_run`` as ``--dry_run=true`` where it stands alone."""
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        alone = word.removeprefix("--").replace("-", "_") in _SWITCHES and following not in ("true", "false")
        yield f"{word}=true" if alone and word.startswith("--") else word


def _normalised(words: Sequence[str]) -> list[str]:
    configs: list[str] = []
    others: list[str] = []
    rest = _switched(words)
    for word in rest:
        if word == "--":
            others += [word, *rest]
        elif not word.startswith("--"):
            others.append(word)
        else:
            name, equals, value = word.partition("=")
            name = name.replace("-", "_").replace("__", "--", 1)
            key = name.removeprefix("--")
            if not equals and (key == "config" or key in (*_TEXT_LISTS, *_LISTS, *_WITH_COMMAS)):
                value = next(rest, "")
                equals = "=" if value else ""
            value = _bracketed(key, value) if equals else value
            (configs if key == "config" else others).append(f"{name}{equals}{value}")
    return configs + others


def _bracketed(key: str, value: str) -> str:
    """``a,b`` as a YAML list. Names stay text, also where they look like numbers."""
    if key == "na_values" and value.startswith("{"):  # by column
        return value
    listed = key in _TEXT_LISTS or key in _LISTS or (key in _WITH_COMMAS and "," in value)
    if value.startswith("[") or value == "null" or not listed:
        return value
    return json.dumps([part.strip() for part in value.split(",")]) if key in _TEXT_LISTS else f"[{value}]"


def _unquoted(error: argparse.ArgumentError) -> str | None:
    """What to say where a file names a column, or a missing cell, by a word that is no text in YAML: ``label: no``."""
    from kinview.datasets.column_names import OF_COLUMNS, quoting, quoting_a_cell

    option = re.search(r'Parser key "(\w+)"', str(error))
    found = re.search(r"(?:Got value|Given value): (True|False|-?[\d.]+(?:e[+-]?\d+)?)(?!\S)", str(error))
    if option is None or found is None or option[1] not in (*OF_COLUMNS, "na_values"):
        return None
    value: Any = {"True": True, "False": False}.get(found[1])
    if value is None:
        value = int(found[1]) if re.fullmatch(r"-?\d+", found[1]) else float(found[1])
    if option[1] == "na_values":
        return quoting_a_cell(value)
    if isinstance(value, bool | float):
        return quoting(option[1], value)
    return f"{option[1]}={value}: give the name of a column, or its position, as text in quotes: {option[1]}: '{value}'"


def _hint(parser: ArgumentParser, words: Sequence[str]) -> str:
    """The option that may have been meant by the first of the words that is none."""
    known = [name for action in parser._actions for name in action.option_strings]
    for word in _normalised(words):
        name = re.split("[=.]", word)[0]  # parts of a mapping are set one by one: --trainer.lr
        if name.startswith("--") and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            return f"; did you mean {close[0]}?" if close else ""
    return ""


def _alternatives(kind: Any) -> list[Any]:
    """Members of a union without None; else the type itself."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return [member for member in (typing.get_args(kind) if union else (kind,)) if member is not type(None)]


def _metavar(kind: Any) -> str:
    names: dict[Any, str] = {int: "INTEGER", float: "NUMBER", bool: "true|false", str: "TEXT"}
    found = []
    for member in _alternatives(kind):
        origin = typing.get_origin(member)
        if origin is typing.Literal:
            found.append("|".join(map(str, typing.get_args(member))))
        elif origin is list:
            found.append("LIST")
        else:
            found.append("MAPPING" if origin is dict else names.get(member, "VALUE"))
    return "LIST" if "LIST" in found else "|".join(found)
