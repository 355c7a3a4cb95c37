"""Which methods and controls a benchmark asks with which probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kinview.evaluation.benchmark.controls import Control, controls_for
from kinview.evaluation.benchmark.grid import Part, part_label
from kinview.files import canonical_json

if TYPE_CHECKING:
    from kinview.datasets.dataset import Dataset

__all__ = ["Asked", "asked_of", "check_places", "left_out_pairs"]


@dataclasses.dataclass(frozen=True)
class Asked:
    """A method and the probes that it is asked with.

    Parameters
    ----------
    part : Part
        The method.
    probes : sequence of Part
        Those that have a place beside it.
    is_control : bool
        Whether the benchmark names it as a control.
    own : frozenset of str
        Of the probes that it names for it alone the configs, as JSON: every method with every probe is compared with
        such a pair.
    """

    part: Part
    probes: Sequence[Part]
    is_control: bool
    own: frozenset[str]


def asked_of(dataset: Dataset, name: str, methods: Sequence[Any], controls: Any, probes: Sequence[Part]) -> list[Asked]:
    """Methods and controls that are run on a data set, in the order in which they are given.

    A method that is a control too is one, however it is named first.

    Raises
    ------
    ValueError
        If no method supports the data set, or one needs what it does not have.
    """
    from kinview.methods import methods as known

    parts = [Part.of(known, spec) for spec in methods]
    applicable = [
        _part_for(dataset, spec) for spec, part in zip(methods, parts, strict=True) if part.supports(dataset.modality)
    ]
    if not applicable:
        raise ValueError(
            f"data set {name!r} is {dataset.modality}, and none of the methods supports that: add a method for "
            f"it or take the data set out (methods: {', '.join(part_label(part.config) for part in parts)})"
        )
    added = _controls(controls, dataset.modality, probes)
    if controls != "default":
        for control, asked in added:
            check_places([control.method], asked)
    built = [(_part_for(dataset, control.method), control, asked) for control, asked in added]
    own: dict[str, set[str]] = {}
    for part, control, asked in built:
        own.setdefault(canonical_json(part.config), set())
        if control.probe is not None:
            own[canonical_json(part.config)].add(canonical_json(asked[0].config))
    rows = [(part, probes) for part in applicable] + [(part, asked) for part, _, asked in built]
    found = []
    for part, asked in rows:
        name_of = canonical_json(part.config)
        places = [probe for probe in asked if part.why_not_with(probe) is None]
        found.append(Asked(part, places, name_of in own, frozenset(own.get(name_of, ()))))
    return found


def left_out_pairs(
    methods: Sequence[Any], controls: Any, probes: Sequence[Part], modalities: Sequence[str]
) -> list[str]:
    """Pairs of method and probe that have no place in a grid on data of these modalities, and why, as sentences."""
    from kinview.methods import methods as known

    asked = [(Part.of(known, spec), probes) for spec in methods]
    for modality in modalities:
        added = _controls(controls, modality, probes)
        asked += [(Part.of(known, control.method, for_modality=modality), own) for control, own in added]
    pairs = [(part, probe, part.why_not_with(probe)) for part, each in asked for probe in each]
    sentences = [
        f"{part_label(part.config)} with the probe {part_label(probe.config)}: {reason}"
        for part, probe, reason in pairs
        if reason is not None
    ]
    return list(dict.fromkeys(sentences))


def _controls(given: Any, modality: str, probes: Sequence[Part]) -> list[tuple[Control, Sequence[Part]]]:
    """Controls on data of a modality, with the probes that each is asked with."""
    from kinview.evaluation.probes import probes as known_probes
    from kinview.methods import methods as known

    registered = {"methods": {*known, *known.recipes()}, "probes": set(known_probes)}
    found: list[tuple[Control, Sequence[Part]]] = []
    for control in controls_for(given, modality, registered):
        if Part.of(known, control.method).supports(modality):
            asked = probes if control.probe is None else [Part.of(known_probes, control.probe)]
            found.append((control, asked))
    return found


def _part_for(dataset: Dataset, spec: Any) -> Part:
    """A method for a data set: a recipe that serves several modalities has a class for each."""
    from kinview.methods import methods

    try:
        part = Part.of(methods, spec, for_modality=dataset.modality)
    except ValueError as error:
        raise ValueError(f"the data set {dataset.name!r} is {dataset.modality}: {error}") from error
    if "groups" in part.built.uses and dataset.groups_train is None:
        raise ValueError(
            f"{part_label(part.config)} uses the group of each row, and the data set {dataset.name!r} has none: name "
            "their column (group), or take the method or the data set out"
        )
    return part


def check_places(methods: Sequence[Any], probes: Sequence[Part]) -> None:
    """Refuse a method that needs what no data set has, or that no probe can be asked of; specs, and probes as parts.

    Raises
    ------
    ValueError
        What is in the way.
    """
    from kinview.methods import methods as known

    for part in (Part.of(known, spec) for spec in methods):
        if "extra" in part.built.uses:
            raise ValueError(
                f"{part_label(part.config)} uses further features of each row, and the data sets of a benchmark have "
                f"none; take the method out, and fit it in Python: fit(X, extra={{'features': array}})"
            )
        reasons = [part.why_not_with(probe) for probe in probes]
        if None not in reasons:
            raise ValueError(
                f"none of the probes ({', '.join(part_label(probe.config) for probe in probes)}) can be asked of "
                f"{part_label(part.config)}: {reasons[0]}; add a probe for it or take the method out"
            )
