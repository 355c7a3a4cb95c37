"""``kinview list FAMILY NAME``: every parameter of every part, with its default and what it is."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

import kinview
from kinview import cli
from kinview._cli.list import FAMILIES, _as_listed, _parameters, _registry
from kinview._cli.list_sources import _parts, _UncertainError, listed_from_source


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["list", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_of_every_part_has_a_sentence(family: str) -> None:
    registry = _registry(family)
    for name in registry:
        for target in registry[name].targets:
            rows = list(_parameters(target))
            known = inspect.signature(target).parameters.values()
            assert [row[0] for row in rows] == [
                p.name for p in known if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            ]
            for parameter, default, sentence in rows:
                assert sentence not in ("", "-"), f"{family} {name} {parameter}"
                assert default and "object at 0x" not in default


def test_a_part_is_shown_with_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = listed(capsys, "probes", "svm")
    assert code == 0
    assert out.startswith("svm: Support-vector machine")
    assert "max_rows      10000      A larger training set is sub-sampled to this size" in out
    assert max(map(len, out.splitlines())) <= 120
    # the sentence of a loss stands in the docstring of the function whose module form it is
    assert (
        "temperature  0.5        τ (SimCLR on small data; 0.1 on ImageNet)." in listed(capsys, "losses", "nt_xent")[1]
    )
    # that of a data set in the docstring of what loads it
    assert "descriptors    true       Keep age, gender" in listed(capsys, "datasets", "physionet2012")[1]
    assert "path         (to be given)  File to append to" in listed(capsys, "callbacks", "json_lines")[1]


def test_a_recipe_for_both_modalities_shows_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    from kinview.methods import methods

    name = next(name for name in methods if len(methods[name].targets) > 2 or "twins" in methods[name].metadata)
    first, second = (list(_parameters(target)) for target in methods[name].targets[-2:])
    assert ("for tabular:" in listed(capsys, "methods", name)[1]) == (first != second)


def test_a_mistyped_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = listed(capsys, "probes", "svn")
    assert (code, out) == (2, "")
    assert "unknown probe 'svn'; did you mean 'svm'? Known: centroid, confident, finetune, forward_corrected" in err


@pytest.mark.parametrize("family", FAMILIES)
def test_the_source_says_what_importing_shows(family: str) -> None:
    registry = _registry(family)
    shown = [_as_listed(registry[name]) for name in registry]
    if family == "callbacks":  # some are there as soon as the registry is
        shown = [part for part in shown if registry[part.name].target.__module__ in registry.sources()[0]]
    if family == "datasets":  # registered in a loop
        with pytest.raises(_UncertainError):
            list(_parts(registry))
    else:
        assert sorted(_parts(registry)) == shown
    assert listed_from_source(registry) is None  # parts that are there may be others than the source has


def test_what_the_source_leaves_open_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["from kinview.registry import Registry", 'shown = Registry("shown", members=("kinview.shown_parts",))', ""]
    parts = ["from kinview.shown import shown", '@shown.register("one", reference=REFERENCE)', "class One:", "  'One.'"]
    (tmp_path / "shown_parts.py").write_text("\n".join(["REFERENCE = 'A' + 'B'", *parts]))
    (tmp_path / "shown.py").write_text("\n".join(lines))
    monkeypatch.setattr(kinview, "__path__", [*kinview.__path__, str(tmp_path)])
    monkeypatch.setattr("kinview.registry._FAMILIES", {})
    monkeypatch.setattr("kinview._cli.list_sources.importlib.resources.files", lambda _: tmp_path)
    registry = importlib.import_module("kinview.shown").shown
    assert listed_from_source(registry) is None  # a computed reference
    assert [_as_listed(registry[name])[:4] for name in registry] == [("one", None, "AB", "One.")]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_parameter_of_a_part_has_a_sentence_of_its_own(family: str) -> None:
    for entry in map(_registry(family).__getitem__, _registry(family)):
        said = [sentence for _, _, sentence in _parameters(entry.target) if sentence != "-"]
        twice = {sentence for sentence in said if said.count(sentence) > 1}
        assert not twice, f"{entry.name}: {twice}"
