"""``kinview list``: the parts there are."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.text import count, say, table, without_markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import Namespace

    from kinview.registry import Entry, Registry

__all__ = ["FAMILIES", "parse", "run"]

FAMILIES = {
    "methods": "kinview.methods",
    "classifiers": "kinview.methods",
    "augmentations": "kinview.augmentations",
    "encoders": "kinview.encoders",
    "heads": "kinview.encoders",
    "losses": "kinview.losses",
    "corruptions": "kinview.evaluation.corruptions",
    "label_noise": "kinview.evaluation.label_noise.symmetric",
    "probes": "kinview.evaluation.probes",
    "datasets": "kinview.datasets",
    "callbacks": "kinview.training.callbacks",
}


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "list", "[FAMILY]", "The parts of one family with what they are for, or all families with their numbers."
    )
    parser.add_argument("family", nargs="?", type=str | None, default=None, help=", ".join(FAMILIES))
    parser.add_argument(
        "--data_dir", type=str | None, help="data folder for kinview list datasets, instead of KINVIEW_DATA"
    )
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    if options.family is None:
        say(*table([(family, count(len(_registry(family)), "part")) for family in FAMILIES]))
        say("", "kinview list FAMILY shows them")
        return
    registry = _registry(options.family)
    entries = [registry[name] for name in registry]
    rows = [(e.name, e.modality or "any", _summary(e), e.reference or "-") for e in entries]
    say(*table(rows, ("name", "modality", "summary", "reference"), {2: 0.6, 3: 0.4}))
    if options.family == "datasets":
        _tell_folders(options.data_dir)


def _registry(family: str) -> Registry:
    if family not in FAMILIES:
        from kinview.registry import suggestion

        raise ValueError(f"there is no family {family!r}{suggestion(family, FAMILIES)} Known: {', '.join(FAMILIES)}")
    registry: Registry = getattr(importlib.import_module(FAMILIES[family]), family)
    return registry


def _summary(entry: Entry) -> str:
    """First line of the docstring, without markup, and what the part depends on by its definition."""
    broken = [check for check in ("row", "padding") if getattr(entry.target, f"{check}_independent", True) is False]
    return without_markup(entry.summary) + "".join(
        f" Depends on {'other rows' if check == 'row' else 'padding'}." for check in broken
    )


def _tell_folders(data_dir: str | None) -> None:
    from kinview.datasets.folders import data_folder, folder_names

    folder = data_folder(data_dir)
    if folder is None:
        say("", "Set KINVIEW_DATA or --data_dir to a folder of data sets to load those by name too.")
    else:
        say("", *table([(f"in {folder}", ", ".join(folder_names(data_dir)) or "no folder")]))
