"""Write docs/methods/NAME.md for each registered method, recipes too, from its docstring and fields, and their index.

python docs/generate_methods.py            all pages
python docs/generate_methods.py --check    exit code 1 where pages and registry differ

Pages of the folder that do not begin as the written ones do are left alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docstring_pages import (
    allowed,
    docstring_sections,
    in_cell,
    markdown,
    parameter_texts,
    plain,
    references,
    rendered,
)

from kinview.files import atomic_write
from kinview.methods import methods
from kinview.parameters import part_nouns
from kinview.registry import VARIADIC, Entry

PAGES = Path(__file__).parent / "methods"
INDEX = "README"
MARK = "<!-- Written by docs/generate_methods.py from the registry; do not edit. -->\n"
WORKS_ON = {"time_series": "series", "tabular": "tables", "any": "series and tables"}
HEADINGS = {
    "any": "For series and tables", "time_series": "For series", "tabular": "For tables", "paired": "For pairs",
}  # fmt: skip
SHOWN_ELSEWHERE = ("", "Parameters", "References", "Examples")
INTRODUCTION = """\
# Methods

What turns samples into vectors: LEARNED methods that learn from data without labels, and CONTROLS controls that they
have to beat. Each is a class of `kinview.methods` with scikit-learn's `fit` and `transform`, and has the name below in
YAML and on the command line (`kinview pretrain --method NAME`); `kinview list methods NAME` shows its parameters. A
*recipe* is another method with other defaults, in one file of YAML.

Pages on several of them: [controls](controls.md), [convolutions that no one trains](rocket.md),
[fine-tuning](fine_tuning.md), [recipes of your own](../recipes.md), and
[what official code computes differently](../deviations.md).
"""


# --- one page --------------------------------------------------------------------------------------------------------


def page(name: str) -> str:
    """The page of a method."""
    entry = methods[name]
    sections = docstring_sections(entry.target)
    summary, _, details = sections[""].strip().partition("\n\n")
    parts = [f"{MARK}\n# {name}", f"**{markdown(summary)}**" if summary else "", facts(entry), rendered(details)]
    rows = list(parameter_rows(entry))
    if rows:
        parts += ["## Parameters", "\n".join(["| name | default | range | meaning |", "|---|---|---|---|", *rows])]
    for title, text in sections.items():
        if title not in SHOWN_ELSEWHERE:
            body = described(text) if title in ("Attributes", "Warns", "Raises", "See Also") else rendered(text)
            parts += [f"## {title}", body]
    example = "" if "recipe" in entry.metadata else rendered(sections.get("Examples", ""))  # of both its classes
    parts += ["## Example", example or usage(entry)]
    if sections.get("References", "").strip():
        cited = references(sections["References"])
        listed = [f"- \\[{number}\\] {with_links(markdown(text))}" for number, text in cited.items()]
        parts += ["## References", "\n".join(listed) or rendered(sections["References"])]
    text = "\n\n".join(part for part in parts if part)
    return re.sub(r"\[(\d+)\]_(?!\w)", r"\\[\1\\]", text).rstrip() + "\n"


def facts(entry: Entry) -> str:
    """What it works on, its classes, and the parts that it is made of."""
    classes = dict.fromkeys(f"`{target.__name__}`" for target in entry.targets)
    found = [f"*Works on {works_on(entry)}* · {', '.join(classes)}"]
    if recipe := entry.metadata.get("recipe"):
        found.append(f"recipe that sets {', '.join(f'`{key}`' for key in recipe)}")
    if is_control(entry):
        found.append("control")
    parts = []
    for parameter, noun in part_nouns(entry.target).items():
        default = default_of(entry.target, parameter)
        if noun in ("augmentation", "encoder", "loss") and default not in (None, inspect.Parameter.empty):
            parts.append(f"{parameter.replace('_', ' ')} {code(default)}")
    if parts:
        found.append(f"made of {', '.join(parts)}")
    if entry.reference:
        found.append(with_links(entry.reference))
    return " · ".join(found)


def works_on(entry: Entry) -> str:
    said = entry.modality or "any"
    return WORKS_ON.get(said, said.replace("_", " "))


def is_control(entry: Entry) -> bool:
    return getattr(entry.target, "control", False) is True


def parameter_rows(entry: Entry) -> Iterator[str]:
    """A line a parameter; one for each modality of a recipe where they differ, with the modality."""
    of = {WORKS_ON.get(key, key): twin.target for key, twin in entry.metadata.get("twins", {}).items()}
    tables = {word: table_of(target) for word, target in (of or {"": entry.target}).items()}
    for name in dict.fromkeys(name for table in tables.values() for name in table):
        found = {word: table[name] for word, table in tables.items() if name in table}
        if len(found) == len(tables) and len(set(found.values())) == 1:
            yield f"| `{name}` | {next(iter(found.values()))} |"
        else:
            yield from (f"| `{name}` ({word}) | {cells} |" for word, cells in found.items())


def table_of(target: Any) -> dict[str, str]:
    """Default, range and meaning of each parameter of a class."""
    described = parameter_texts(docstring_sections(target).get("Parameters", ""))
    fields = {field.name: field for field in dataclasses.fields(target)} if dataclasses.is_dataclass(target) else {}
    rows = {}
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind in VARIADIC:
            continue
        metadata: Mapping[str, Any] = fields[name].metadata if name in fields else {}
        default = "required" if parameter.default is parameter.empty else code(parameter.default)
        meaning = markdown(described.get(name) or metadata.get("doc") or "")
        rows[name] = f"{default} | {in_cell(allowed(metadata.get('rule')))} | {in_cell(meaning)}"
    return rows


def default_of(target: Any, name: str) -> Any:
    parameter = inspect.signature(target).parameters.get(name)
    return inspect.Parameter.empty if parameter is None else parameter.default


def code(value: Any) -> str:
    return f"`{in_cell(plain(value))}`"


def described(text: str) -> str:
    """A section of names and what they are."""
    blocks = re.split(r"\n(?=\S)", text.strip())
    heads = [block.partition("\n") for block in blocks]
    return "\n".join(f"- `{head}`: {markdown(inspect.cleandoc(body))}".rstrip(": ") for head, _, body in heads)


def usage(entry: Entry) -> str:
    """How a method is used whose docstring has no example, as recipes have none."""
    names = list(dict.fromkeys(target.__name__ for target in entry.targets))
    lines = [f"from kinview.methods import {', '.join(names)}", ""]
    uses = entry.targets[0]().uses
    given = ", ".join(["X", *(["y"] if "y" in uses else []), *(["groups=groups"] if "groups" in uses else [])])
    lines += [f"z = {name}(random_state=0).fit({given}).transform(X)" for name in names]
    return "```python\n" + "\n".join(lines) + "\n```\n\n" + f"`kinview pretrain --method {entry.name}` does the same."


def with_links(text: str) -> str:
    return re.sub(r"\barXiv[: ](\d{4}\.\d{4,5})\b", r"[arXiv \1](https://arxiv.org/abs/\1)", text)


# --- the index -------------------------------------------------------------------------------------------------------


def index() -> str:
    """The index of all pages, by modality."""
    entries = [methods[name] for name in methods]
    controls = [entry for entry in entries if is_control(entry)]
    words = {"LEARNED": str(len(entries) - len(controls)), "CONTROLS": str(len(controls))}
    parts = [MARK, re.sub("|".join(words), lambda word: words[word[0]], INTRODUCTION).rstrip()]
    known = [*HEADINGS, *sorted({entry.modality or "any" for entry in entries} - set(HEADINGS))]
    for modality in known:
        of = [entry for entry in entries if (entry.modality or "any") == modality]
        for control in (False, True):
            rows = [index_row(entry) for entry in of if is_control(entry) is control]
            if rows:
                heading = HEADINGS.get(modality, f"For {modality.replace('_', ' ')}")
                parts.append(f"\n## {heading}{', controls' if control else ''}\n")
                parts += ["| method | what it is | reference |", "|---|---|---|", *rows]
    return "\n".join(parts) + "\n"


def index_row(entry: Entry) -> str:
    kind = " (recipe)" if entry.metadata.get("recipe") else ""
    reference = with_links(entry.reference or "–")
    return f"| [{entry.name}]({entry.name}.md){kind} | {in_cell(markdown(entry.summary))} | {in_cell(reference)} |"


# --- the program -----------------------------------------------------------------------------------------------------


def pages() -> dict[str, str]:
    """What each file of the folder has to hold, by its name without ending."""
    return {INDEX: index(), **{name: page(name) for name in methods}}


def stale() -> list[str]:
    """What differs between the committed pages and the registry."""
    wanted = pages()
    there = {file.stem: file.read_text(encoding="utf-8") for file in PAGES.glob("*.md")}
    found = [f"no page of {name}" for name in wanted if name not in there]
    found += [
        f"{name}.md is not what the registry says"
        if there[name].startswith(MARK)
        else f"{name}.md is written by hand, and {name} is a method: what its docstring lacks needs another page"
        for name, text in wanted.items()
        if name in there and there[name] != text
    ]
    written = [name for name, text in there.items() if text.startswith(MARK)]
    return found + [f"{name}.md is of a method that there is not" for name in sorted(written) if name not in wanted]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; say what is not current")
    if parser.parse_args(argv).check:
        problems = stale()
        for problem in problems:
            print(problem)
        return 1 if problems else 0
    wanted = pages()
    for file in PAGES.glob("*.md"):
        if file.stem not in wanted and file.read_text(encoding="utf-8").startswith(MARK):
            file.unlink()
    for name, text in wanted.items():
        atomic_write(PAGES / f"{name}.md", text)
    print(f"wrote {len(wanted) - 1} pages and {INDEX}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
