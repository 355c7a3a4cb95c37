"""How methods and probes are written in a benchmark: as specs, under names of one's own, and with grids."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kinview.evaluation.benchmark.grid import Cell, Part, part_label
from kinview.evaluation.benchmark.sweeps import Variant, variants, without_grids
from kinview.files import canonical_json

if TYPE_CHECKING:
    from kinview.evaluation.benchmark.plan import Benchmark

__all__ = ["check_entries", "shown_names", "spelled_out", "with_drawn_splits"]

_PAIR = "pair"  # beside the roles method and probe


def check_entries(benchmark: Benchmark) -> None:
    """Refuse entries that are not written as they have to be.

    Raises
    ------
    ValueError
        If a name is no text or is given twice, stands beside something else than its part, or a grid is none or too
        large.
    """
    for entry in benchmark.methods:
        if isinstance(entry, Mapping) and {"method", "probe"} <= set(entry):
            raise ValueError(f"a probe of its own is for an entry of the controls; got the method {dict(entry)}")
    for role, entries in _by_role(benchmark).items():
        names: list[str] = []
        for entry in entries:
            spec, name = _read(entry, role)
            made = variants(spec)
            if role == "probe" and made[0].values:
                raise ValueError(f"a grid varies a parameter of a method; write out each probe: {spec!r}")
            names += [] if name is None else [name]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two {role}s are called {twice!r}; a name stands for one configuration")


def spelled_out(benchmark: Benchmark) -> Benchmark:
    """The benchmark with plain specs: each grid as its variants, without names."""
    by_role = _by_role(benchmark)
    methods = [one.spec for entry in benchmark.methods for one in variants(_read(entry, "method")[0])]
    probes = [_read(entry, "probe")[0] for entry in by_role["probe"]]
    controls = benchmark.controls
    if not isinstance(controls, str):
        controls = [_without_name(entry, one.spec) for entry in controls for one in variants(_read(entry, "method")[0])]
    return dataclasses.replace(benchmark, methods=methods, probes=probes, controls=controls)


def shown_names(benchmark: Benchmark, cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """What tables show of cells beside their configurations; no part of a result's identity.

    Parameters
    ----------
    benchmark : Benchmark
        As it was written.
    cells : sequence of Cell
        Its cells.

    Returns
    -------
    dict
        Key of a cell to ``method`` and ``probe``, the names that the benchmark gives them (of a method that was
        pre-trained on other data sets with these behind), and ``sweeps``, a list with
        an entry ``{"of": label, "values": {parameter: value}}`` for each entry with grids that makes the method. What
        says nothing is left out, and cells without any of it.

    Raises
    ------
    ValueError
        If two configurations are shown under one name, or one configuration has two.
    """
    known = {modality: _known(benchmark, modality) for modality in {cell.modality for cell in cells}}
    found: dict[str, dict[str, Any]] = {}
    configs: dict[tuple[str, str, str], str] = {}
    for cell in cells:
        shown: dict[str, Any] = {}
        for role, config in (("method", cell.method), ("probe", cell.probe)):
            text = canonical_json(config)
            shown |= known[cell.modality].get((role, text), {})
            if role == "method":  # a control with a probe of its own is called so with this probe alone
                shown |= known[cell.modality].get((_PAIR, text + canonical_json(cell.probe)), {})
            label = shown.get(role, part_label(config))
            other = configs.setdefault((cell.modality, role, label), text)
            if other != text:
                raise ValueError(f"two {role}s are shown as {label!r}: {other} and {text}; give one another name")
        if "method" in shown:
            shown["method"] += cell.pretrained_on  # the same method may stand beside it, trained on its own data set
        if shown:
            found[cell.key] = shown
    return found


def with_drawn_splits(
    shown: Mapping[str, Mapping[str, Any]], cells: Sequence[Cell], data_dir: str | None
) -> dict[str, dict[str, Any]]:
    """What is shown of cells, and how their data sets were cut where their reader drew the test part.

    Such a cell has ``drawn_split``, the fraction and the seed. One whose data set has parts of its own, or is cut by
    the benchmark, has none.
    """
    from kinview.datasets.cuts import drawn_split

    found = {key: dict(value) for key, value in shown.items()}
    drawn: dict[tuple[str, str], dict[str, Any] | None] = {}
    for cell in (cell for cell in cells if cell.split is None):
        place = (cell.dataset, cell.dataset_options)
        if place not in drawn:
            drawn[place] = drawn_split(cell.dataset, data_dir=data_dir, **json.loads(cell.dataset_options))
        if drawn[place] is not None:
            found.setdefault(cell.key, {})["drawn_split"] = drawn[place]
    return found


def _known(benchmark: Benchmark, modality: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What is shown of each part on data of a modality, by role and config.

    The names that are given come first. A sweep without one is called by the one variant that has a name, and so are
    its others, with their values.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    sweeps: list[tuple[str, dict[str, Variant]]] = []
    for role, entry in ((role, entry) for role, entries in _by_role(benchmark).items() for entry in entries):
        spec, name = _read(entry, role)
        made = {text: one for one in variants(spec) if (text := _config(role, one.spec, modality)) is not None}
        own = _config("probe", entry["probe"], modality) if isinstance(entry, Mapping) and "probe" in entry else None
        own = own if role == "method" else None
        for text, one in made.items() if name is not None else ():
            mine = f"{name}({one.words})" if one.values else name
            shown = found.setdefault((role, text) if own is None else (_PAIR, text + own), {})
            if shown.setdefault(role, mine) != mine:
                raise ValueError(f"{text} is called {shown[role]!r} and {mine!r}; give it one name")
        if any(one.values for one in made.values()):
            sweeps.append((name or _label(without_grids(spec), modality), made))
    given = {text: shown[role] for (role, text), shown in found.items() if role == "method"}
    for label, made in sweeps:
        named = [given[text] for text in made if text in given]
        of = named[0] if len(named) == 1 else label
        for text, one in made.items():
            shown = found.setdefault(("method", text), {})
            shown.setdefault("sweeps", []).append({"of": of, "values": dict(one.values)})
            if len(named) == 1:
                shown.setdefault("method", f"{of}({one.words})")
    return found


def _label(spec: Any, modality: str) -> str:
    """Label of the method that a sweep varies."""
    from kinview.methods import methods

    part = _part(methods, spec, modality)
    return part_label(spec if part is None else part.config)


def _config(role: str, spec: Any, modality: str) -> str | None:
    """Config of a method or probe on data of a modality, as text; None where it has none."""
    from kinview.evaluation.probes import probes
    from kinview.methods import methods

    part = _part(methods if role == "method" else probes, spec, modality)
    return None if part is None else canonical_json(part.config)


def _part(registry: Any, spec: Any, modality: str) -> Part | None:
    """The part on data of a modality; None where it has none."""
    try:
        part = Part.of(registry, spec, for_modality=modality)
    except ValueError:  # a recipe of the other modality; what is wrong was refused when the cells were made
        return None
    return part if part.supports(modality) else None


def _by_role(benchmark: Benchmark) -> dict[str, list[Any]]:
    """The entries of a benchmark that may be named: of controls too, unless they are the default or none."""
    added = [] if isinstance(benchmark.controls, str) else list(benchmark.controls)
    return {"method": [*benchmark.methods, *added], "probe": list(benchmark.probes)}


def _read(entry: Any, role: str) -> tuple[Any, str | None]:
    """Spec and name of an entry: a spec, or ``{name: TEXT, ROLE: SPEC}``; of a control its probe stands aside."""
    if not isinstance(entry, Mapping) or (len(entry) == 1 and role not in entry):
        return entry, None
    if role in entry and set(entry) <= {"name", role, *(("probe",) if role == "method" else ())}:
        name = entry.get("name")
        if name is not None and not (isinstance(name, str) and name.strip()):
            raise ValueError(f"the name of a {role} is a text; got {name!r}")
        return entry[role], name
    if "name" in entry:
        raise ValueError(
            f"a name stands beside its {role}, {{name: TEXT, {role}: SPEC}}; got the keys {', '.join(map(str, entry))}"
        )
    return entry, None


def _without_name(entry: Any, spec: Any) -> Any:
    """An entry of the controls with a plain spec."""
    if isinstance(entry, Mapping) and "probe" in entry and "method" in entry:
        return {"method": spec, "probe": entry["probe"]}
    return spec
