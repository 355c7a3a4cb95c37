"""Corruptions and label noises in words: what is done, and to which samples."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

__all__ = ["CorruptionWords", "corruption_words", "noise_words"]


class CorruptionWords(NamedTuple):
    """What a corruption does, and of which samples, empty where it is all of them."""

    what: str
    whom: str

    def __str__(self) -> str:
        return f"{self.what} {self.whom}".rstrip()


def corruption_words(label: str) -> CorruptionWords:
    """Say a corruption of a subgroup or of static columns in words; the label of any other is its words.

    Parameters
    ----------
    label : str
        As the results store has it: the name, and in brackets what differs from the defaults.

    Examples
    --------
    >>> corruption_words("subgroup(where=B, mechanism=censoring)")
    CorruptionWords(what='censoring', whom='in group B')
    >>> str(corruption_words("subgroup(where.site=B, where.sex=['f', 'm'], mechanism.mnar_high.steepness=3)"))
    'mnar_high(steepness=3) where site is B and sex is f or m'
    >>> str(corruption_words("static_columns")), str(corruption_words("static_columns(columns=['age'], mechanism=mar)"))
    ('mcar in the static columns', 'mar in the static column age')
    >>> str(corruption_words("block(length=0.2)"))
    'block(length=0.2)'
    """
    inside = re.fullmatch(r"(subgroup|static_columns)(?:\((.*)\))?", label)
    if inside is None:
        return CorruptionWords(label, "")
    of_static = inside[1] == "static_columns"
    name, own, groups, columns = "mcar", list[str](), list[str](), list[str]()
    static = "in the static columns" if of_static else ""
    for entry in re.split(r", (?=(?:where|mechanism|columns|with_samples)[.=])", inside[2] or ""):
        key, _, value = entry.partition("=")
        if not entry:
            continue
        if of_static and key == "columns":
            named = _values(value)
            static = f"in the static column{'s' if len(named) > 1 else ''} {', '.join(named)}"
        elif of_static and key == "with_samples":
            static = f"in the samples and {static.removeprefix('in ')}"
        elif key == "where":
            groups = _values(value)
        elif key.startswith("where."):
            columns.append(f"{key.removeprefix('where.')} is {' or '.join(_values(value))}")
        elif key == "mechanism":
            name = value
        elif key.startswith("mechanism.") and key.count(".") > 1:
            name, _, parameter = key.removeprefix("mechanism.").partition(".")
            own.append(f"{parameter}={value}")
        else:
            return CorruptionWords(label, "")
    what = f"{name}({', '.join(own)})" if own else name
    if static:
        return CorruptionWords(what, static)
    if groups:
        return CorruptionWords(what, f"in group{'s' if len(groups) > 1 else ''} {' or '.join(groups)}")
    return CorruptionWords(what, f"where {' and '.join(columns)}") if columns else CorruptionWords(label, "")


def _values(text: str) -> list[str]:
    """One value, or those of a list."""
    if not text.startswith("["):
        return [text]
    try:
        return [str(value) for value in ast.literal_eval(text)]
    except (SyntaxError, ValueError):
        return [text]


def noise_words(label: str) -> str:
    """Say a label noise in words: its name, and in brackets what differs from the defaults.

    Parameters
    ----------
    label : str
        As the results store has it.

    Examples
    --------
    >>> noise_words("symmetric"), noise_words("symmetric(group_consistent=True)"), noise_words("annotator(strength=2)")
    ('symmetric', 'symmetric (group consistent)', 'annotator (strength 2)')
    """
    name, bracket, inside = label.partition("(")
    words = name.replace("_", " ")
    if not bracket or not label.endswith(")"):
        return words if not bracket else label
    said = re.sub(r"(\w[\w.]*)=(True|False)\b", _switch, inside[:-1])
    said = re.sub(r"(\w[\w.]*)=", lambda found: f"{found[1].replace('_', ' ')} ", said)
    return f"{words} ({said})"


def _switch(found: re.Match[str]) -> str:
    """A parameter that is on or off."""
    return f"{'' if found[2] == 'True' else 'not '}{found[1].replace('_', ' ')}"
