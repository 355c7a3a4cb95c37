"""The pages on methods say what the registry says, whatever a docstring looks like."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from helpers import ROOT, docs_program
from kinview.methods import methods

# made of others' parts
WITHOUT_PAPER = (
    "joint_embedding",
    "tabular_joint_embedding",
    "paired_embedding",
    "reconstruction",
    "tabular_reconstruction",
    "ts2vec_minirocket",
)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return docs_program("generate_methods")


@pytest.fixture(scope="module")
def text() -> ModuleType:
    return docs_program("docstring_pages")


def test_the_committed_pages_are_current(generator: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert generator.main(["--check"]) == 0, capsys.readouterr().out + "run python docs/generate_methods.py"


def test_what_is_stale_is_said(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "PAGES", tmp_path)
    (tmp_path / "tfc.md").write_text("# TF-C, by hand\n")
    (tmp_path / "notes.md").write_text("# Of no method\n")
    (tmp_path / "simclear.md").write_text(f"{generator.MARK}\n# simclear\n")
    (tmp_path / "moco.md").write_text(f"{generator.MARK}\n# moco\n")
    assert generator.main(["--check"]) == 1
    out = capsys.readouterr().out
    for expected in (
        "no page of scarf\n",
        "tfc.md is written by hand, and tfc is a method",
        "simclear.md is of a method that there is not\n",
        "moco.md is not what the registry says\n",
    ):
        assert expected in out
    assert "notes" not in out
    assert generator.main([]) == 0
    left = {file.stem for file in tmp_path.glob("*.md")}
    assert left == {*methods, "README", "notes"} and generator.main(["--check"]) == 0


def test_every_method_has_a_page_and_a_line(generator: ModuleType) -> None:
    index = generator.index()
    for name in methods:
        entry, page = methods[name], generator.page(name)
        assert index.count(f"\n| [{name}]({name}.md)") == 1
        assert page.startswith(f"{generator.MARK}\n# {name}\n") and "## Example" in page
        assert all(f"`{target.__name__}`" in page for target in entry.targets)
        assert "]_" not in page and ":class:" not in page and ":math:" not in page
        described = [line for line in page.split("## Parameters")[-1].splitlines() if line.startswith("| `")]
        assert [line for line in described if line.endswith("|  |")] == [], f"a parameter of {name} without a sentence"


@pytest.mark.parametrize("name", [name for name in methods if methods[name].reference and name not in WITHOUT_PAPER])
def test_paper_official_code_and_kinview_stand_side_by_side(generator: ModuleType, name: str) -> None:
    notes = generator.page(name).partition("\n## Notes\n")[2].partition("\n## ")[0]
    header = re.search(r"^\| what \| paper \| official code \| kinview \|\n\|[- |]+\|\n((?:\|.*\|\n?)+)", notes, re.M)
    assert header, f"the Notes of {name} lack a table with the header: what, paper, official code, kinview"
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in header[1].strip().splitlines()]
    assert all(len(row) == 4 and row[0] and row[3] for row in rows), rows


def test_a_recipe_has_its_parameters_for_both_modalities(generator: ModuleType) -> None:
    page = generator.page("moco")
    assert "*Works on series and tables* · `MoCo`, `TabularMoCo` · recipe that sets " in page
    assert "| `encoder` (series) | `resnet1d` | an encoder |" in page
    assert "| `encoder` (tables) | `mlp` | an encoder |" in page
    assert page.count("| `queue` ") == 1 and "| `queue` | `1024` | whole, at least 0 |" in page
    assert "from kinview.methods import MoCo, TabularMoCo" in page


# --- markup ----------------------------------------------------------------------------------------------------------

TABLE = """\
Before.

========= ==================== =======
what      paper                kinview
========= ==================== =======
τ         0.1 for |B| rows,    ``0.5``
          as in [1]_
\\         :math:`|x|`          –
========= ==================== =======

After."""


def test_a_simple_table_becomes_one_of_markdown(text: ModuleType) -> None:
    assert text.rendered(TABLE).splitlines() == [
        "Before.",
        "",
        "| what | paper | kinview |",
        "| --- | --- | --- |",
        r"| τ | 0.1 for \|B\| rows, as in [1]_ | `0.5` |",
        r"|  | $`\vert x\vert `$ | – |",
        "",
        "After.",
    ]


@pytest.mark.parametrize(
    "broken",
    [
        TABLE.replace("0.1 for |B| rows,  ", "0.1 for all |B| rows, and"),
        "+---+---+\n| a | b |\n+---+---+",
        "===== ====\nno end",
        "=====",
    ],
)
def test_what_is_no_simple_table_is_shown_as_it_stands(text: ModuleType, broken: str) -> None:
    shown = text.rendered(broken)
    assert "```text\n" in shown and shown.count("```") == 2


def test_lists_formulas_examples_and_literal_blocks(text: ModuleType) -> None:
    source = inspect.cleandoc(
        """
        A paragraph that
        goes on::

            as = it   stands

        - one :math:`x`
          and more
        - two

          with a paragraph

        .. math:: a
                  + b

        >>> 1 + 1
        2

        .. note:: Mind *this*.

        .. code-block:: python

           f(x)
        """
    )
    assert text.rendered(source) == "\n\n".join(
        [
            "A paragraph that goes on:",
            "```text\nas = it   stands\n```",
            "- one $`x`$ and more\n- two\n\n  with a paragraph",
            "```math\na\n+ b\n```",
            "```pycon\n>>> 1 + 1\n2\n```",
            "> **Note.** Mind *this*.",
            "```python\nf(x)\n```",
        ]
    )


@pytest.mark.parametrize("doc", ["", "One line.", "Notes\n-----\n", "::\n\n", "- ", ".. math::", "Title\n=====", "a::"])
def test_any_docstring_gives_a_page(text: ModuleType, doc: str) -> None:
    class Documented:
        pass

    Documented.__doc__ = doc
    sections = text.docstring_sections(Documented)
    assert all(isinstance(text.rendered(section), str) for section in sections.values())


def test_every_test_that_the_page_of_deviations_names_is_there() -> None:
    text = (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")
    assert not re.findall(r"`test_\w+`", text), "name each test with its file: `tests/...::test_...`"
    assert not re.findall(r"`test_\w+`", text), "name each test with its file: `tests/...::test_...`"
    named = re.findall(r"`([^`\s]*)::(\w+)`", text)
    assert len(named) > 20
    for file, test in named:
        assert re.fullmatch(r"tests/[\w/]+\.py", file), f"name {test} with its file: `tests/...::{test}`"
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), (file, test)
