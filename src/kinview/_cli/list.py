"""``kinview list``: the parts there are, and the parameters of one."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from typing import TYPE_CHECKING

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.list_sources import Listed, listed_from_source
from kinview._cli.text import count, plain, say, table, without_markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from jsonargparse import Namespace

    from kinview.registry import Entry, Registry

__all__ = ["FAMILIES", "parse", "run"]

FAMILIES = {
    "methods": "kinview.methods",
    "classifiers": "kinview.methods",
    "connections": "kinview.methods",
    "augmentations": "kinview.augmentations",
    "encoders": "kinview.encoders",
    "heads": "kinview.encoders",
    "losses": "kinview.losses",
    "corruptions": "kinview.evaluation.corruptions",
    "label_noise": "kinview.evaluation.label_noise.symmetric",
    "probes": "kinview.evaluation.probes",
    "splits": "kinview.evaluation.protocols",
    "datasets": "kinview.datasets",
    "callbacks": "kinview.training.callbacks",
    "matchers": "kinview.schema_matching",
    "explainers": "kinview.explanations",
}


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "list",
        "[FAMILY [NAME]] [--modality MODALITY]",
        "The parameters of one part with their defaults, the parts of one family with what they are for, or all "
        "families with their numbers.",
    )
    parser.add_argument("family", nargs="?", type=str | None, default=None, help=", ".join(FAMILIES))
    parser.add_argument("name", nargs="?", type=str | None, default=None, help="one part of the family")
    parser.add_argument(
        "--data_dir", type=str | None, help="data folder for kinview list datasets, instead of KINVIEW_DATA"
    )
    parser.add_argument(
        "--modality", type=str | None, help="only parts of a family for time_series, tabular or paired data"
    )
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    if options.family is None:
        if options.modality is not None:
            raise ValueError("--modality is for the parts of one family: kinview list methods --modality paired")
        say(*table([(family, count(len(_registry(family)), "part")) for family in FAMILIES]))
        say("", "kinview list FAMILY shows them")
        return
    registry = _registry(options.family)
    if options.name is not None:
        _tell_parameters(registry[options.name])
        return
    parts = _of_modality(_listed(registry), options.modality)
    rows = [(part.name, part.modality or "any", _summary(part), part.reference or "-") for part in parts]
    say(*table(rows, ("name", "modality", "summary", "reference"), {2: 0.6, 3: 0.4}))
    say("", f"kinview list {options.family} NAME shows the parameters of one")
    if options.family == "datasets":
        _tell_folders(options.data_dir)


def _listed(registry: Registry) -> list[Listed]:
    """Parts of a family, from the source where that is certain and imported otherwise."""
    read = listed_from_source(registry)
    return [_as_listed(registry[name]) for name in registry] if read is None else read


def _as_listed(entry: Entry) -> Listed:
    depends = [check for check in ("row", "padding") if getattr(entry.target, f"{check}_independent", True) is False]
    return Listed(entry.name, entry.modality, entry.reference, entry.summary, tuple(depends))


def _of_modality(parts: list[Listed], modality: str | None) -> list[Listed]:
    """Parts that work on data of a modality: those for any data among them, but for pairs, which few parts read."""
    if modality is None:
        return parts
    from kinview.data.modality import PAIRED, SERIES, TABLE  # here, because it brings pandas

    known = (SERIES, TABLE, PAIRED)
    if modality not in known:
        raise ValueError(f"--modality must be {', '.join(known[:-1])} or {known[-1]}; got {modality!r}")
    wanted = {modality} if modality == PAIRED else {modality, "any"}
    return [part for part in parts if (part.modality or "any") in wanted]


def _registry(family: str) -> Registry:
    if family not in FAMILIES:
        from kinview.registry import suggestion

        raise ValueError(f"there is no family {family!r}{suggestion(family, FAMILIES)} Known: {', '.join(FAMILIES)}")
    registry: Registry = getattr(importlib.import_module(FAMILIES[family]), family)
    return registry


def _tell_parameters(entry: Entry) -> None:
    """What a part is, and its parameters with default and sentence; those of each modality where they differ."""
    facts = [("modality", entry.modality or "any"), ("reference", entry.reference or "-")]
    say(f"{entry.name}: {_summary(_as_listed(entry))}", *table(facts))
    shown: list[list[tuple[str, str, str]]] = []
    for twin in entry.metadata.get("twins", {entry.modality: entry}).values():
        rows = list(_parameters(twin.target))
        if rows not in shown:
            lines = table(rows, ("parameter", "default", "what it is"), {1: 0.3, 2: 0.7}) if rows else ["no parameters"]
            say("", *([f"for {twin.modality}:"] if shown else []), *lines)
            shown.append(rows)


def _parameters(target: Any) -> Iterator[tuple[str, str, str]]:
    """Name, default and sentence of each parameter."""
    sentences = _sentences(target)
    for parameter in inspect.signature(target).parameters.values():
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            default = "(to be given)" if parameter.default is parameter.empty else plain(parameter.default)
            yield parameter.name, default, without_markup(sentences.get(parameter.name, "-"))


def _sentences(target: Any) -> dict[str, str]:
    """What is said of each parameter in the docstring, or in those that it stands for.

    A loss is the module form of a function, which says what its parameters are; a data set is loaded by name, and what
    all of them take, or the reader, is documented there.
    """
    doc = inspect.getdoc(target) or ""
    module = sys.modules.get(getattr(target, "__module__", ""))
    others = [getattr(module, name, None) for name in re.findall(r":func:`(\w+)`", doc.split("\n\n")[0])]
    if inspect.isfunction(target):
        from kinview.datasets.named import load
        from kinview.datasets.physionet2012 import read_physionet2012

        others += [load, read_physionet2012]
    found: dict[str, str] = {}
    for text in [*(inspect.getdoc(other) or "" for other in reversed(others)), doc]:
        found |= _section(text)
    return {name: _of_another(module, name, sentence) for name, sentence in found.items()}


def _of_another(module: Any, name: str, sentence: str) -> str:
    """The sentence, or where it only says whose parameter it is (``See :func:`sigreg`.``), what is said of it there."""
    whose = re.fullmatch(r"(?:See|As|Of) :(?:func|class):`~?(?:([\w.]+)\.)?(\w+)`(?: has them)?\.", sentence)
    if whose is None:
        return sentence
    home = module if whose[1] is None else importlib.import_module(whose[1])
    there = getattr(home, whose[2])
    return _of_another(sys.modules[there.__module__], name, _section(inspect.getdoc(there) or "")[name])


def _section(doc: str) -> dict[str, str]:
    """The "Parameters" section of a docstring: the sentences of each name."""
    lines = doc.split("\n")
    start = next(
        (i + 2 for i, line in enumerate(lines[:-1]) if line == "Parameters" and lines[i + 1][:3] == "---"), None
    )
    found: dict[str, str] = {}
    names: list[str] = []
    for number, line in enumerate(lines[start:] if start is not None else [], start or 0):
        if line[:3] == "---" or (number + 1 < len(lines) and lines[number + 1][:3] == "---"):
            break
        if line and not line[0].isspace():
            names = [name.strip(" *") for name in line.split(" : ")[0].split(",")]
        elif line:
            found |= {name: f"{found.get(name, '')} {line.strip()}".strip() for name in names}
    return found


def _summary(part: Listed) -> str:
    """First line of the docstring, without markup, and what the part depends on by its definition."""
    return without_markup(part.summary) + "".join(
        f" Depends on {'other rows' if what == 'row' else 'padding'}." for what in part.depends
    )


def _tell_folders(data_dir: str | None) -> None:
    from kinview.datasets.folders import data_folder, folder_names

    folder = data_folder(data_dir)
    if folder is None:
        say("", "Set KINVIEW_DATA or --data_dir to a folder of data sets to load those by name too.")
    else:
        say("", *table([(f"in {folder}", ", ".join(folder_names(data_dir)) or "no folder")]))
