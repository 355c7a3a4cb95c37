"""Which methods and controls a benchmark asks with which probes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kinview.complete_configs import complete_config
from kinview.data.modality import FEATURE
from kinview.evaluation.benchmark.controls import Control, controls_for, network_config, network_key
from kinview.evaluation.benchmark.grid import Part, part_label
from kinview.files import canonical_json
from kinview.parameters import checked_parameters

if TYPE_CHECKING:
    from kinview.datasets.dataset import Dataset

__all__ = ["Asked", "asked_of", "check_places", "left_out_on", "left_out_pairs"]


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
    from kinview.evaluation.benchmark.static import check_static, reads, why_no_static
    from kinview.methods import methods as known

    parts = [Part.of(known, spec) for spec in methods]
    applicable = [_part_for(dataset, spec) for spec, part in zip(methods, parts, strict=True) if reads(part, dataset)]
    if not applicable:
        raise ValueError(
            f"data set {name!r} is {dataset.modality}, and none of the methods supports that: add a method for "
            f"it or take the data set out (methods: {', '.join(part_label(part.config) for part in parts)})"
        )
    reasons = [_too_few_features(dataset, part.built) for part in applicable]
    if None not in reasons:
        raise ValueError(
            f"none of the methods can be fitted on the data set {name!r}: {part_label(applicable[0].config)}: "
            f"{reasons[0]}; add another method or take the data set out"
        )
    applicable = [part for part, reason in zip(applicable, reasons, strict=True) if reason is None]
    added = _controls(controls, dataset.modality, probes, applicable, lambda part: reads(part, dataset))
    if controls != "default":
        for control, asked in added:
            check_places([control.method], asked)
    check_static(dataset, applicable)
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
        places = [p for p in asked if part.why_not_with(p) is None and why_no_static(dataset, p) is None]
        if dataset.task == "regression":
            places = [probe for probe in places if _why_not_regression(part.built, probe.built) is None]
        found.append(Asked(part, places, name_of in own, frozenset(own.get(name_of, ()))))
    if dataset.task == "regression" and not any(one.probes for one in found):
        raise ValueError(
            f"the labels of the data set {name!r} are numbers, and none of the methods with a probe predicts any; add "
            "a probe that does: linear, ridge, svm or xgboost"
        )
    return found


def left_out_on(dataset: Dataset, methods: Sequence[Any], probes: Sequence[Part]) -> list[str]:
    """Methods, and pairs of method and probe, that have no place on a data set, and why, as sentences.

    A method's views need more channels or columns, or the labels are numbers.
    """
    from kinview.evaluation.benchmark.static import reads
    from kinview.methods import methods as known

    there = [Part.of(known, spec) for spec in methods]
    parts = [Part.of(known, one.config, for_modality=dataset.modality) for one in there if reads(one, dataset)]
    narrow = {part_label(part.config): _too_few_features(dataset, part.built) for part in parts}
    reasons = {label: reason for label, reason in narrow.items() if reason is not None}
    if dataset.task == "regression":
        for part, probe in itertools.product(parts, probes):
            reason = _why_not_regression(part.built, probe.built)
            if reason is not None and part.why_not_with(probe) is None:
                reasons[f"{part_label(part.config)} with the probe {part_label(probe.config)}"] = reason
    return [f"{label} on {dataset.name}: {reason}" for label, reason in reasons.items()]


def left_out_pairs(
    methods: Sequence[Any], controls: Any, probes: Sequence[Part], modalities: Sequence[str]
) -> list[str]:
    """Pairs of method and probe that have no place in a grid on data of these modalities, and why, as sentences."""
    from kinview.methods import methods as known

    asked = [(Part.of(known, spec), probes) for spec in methods]
    for modality in modalities:
        there = [part for part, _ in asked if part.supports(modality)]
        added = _controls(controls, modality, probes, there, lambda part, on=modality: part.supports(on))  # type: ignore[misc]
        asked += [(Part.of(known, control.method, for_modality=modality), own) for control, own in added]
    pairs = [(part, probe, part.why_not_with(probe)) for part, each in asked for probe in each]
    sentences = [
        f"{part_label(part.config)} with the probe {part_label(probe.config)}: {reason}"
        for part, probe, reason in pairs
        if reason is not None
    ]
    return list(dict.fromkeys(sentences))


def _controls(
    given: Any, modality: str, probes: Sequence[Part], asked: Sequence[Part], read: Callable[[Part], bool]
) -> list[tuple[Control, Sequence[Part]]]:
    """Controls on data of a modality beside the methods that are asked, with the probes that each is asked with.

    ``read`` says of a control whether it reads the data.
    """
    from kinview.evaluation.probes import probes as known_probes
    from kinview.methods import methods as known

    registered = {"methods": {*known, *known.recipes()}, "probes": set(known_probes)}
    found: list[tuple[Control, Sequence[Part]]] = []
    controls = controls_for(given, modality, registered)
    if given == "default":
        controls = tuple(one for control in controls for one in _matched(control, modality, asked))
    for control in controls:
        if read(Part.of(known, control.method)):
            own = probes if control.probe is None else [Part.of(known_probes, control.probe)]
            found.append((control, own))
    return found


def _matched(control: Control, modality: str, asked: Sequence[Part]) -> list[Control]:
    """A control that names no network, once for each untrained network of the learned methods; else the control."""
    from kinview.methods import methods as known

    part = Part.of(known, control.method, for_modality=modality)
    holder = part.built.network_of
    learned = [one for one in asked if one.built.trains and not one.built.control]
    if holder is None or getattr(part.built, holder) is not None or not learned:
        return [control]
    usual = Part.of(known, part.built.network_method(modality), for_modality=modality).config
    networks: dict[str, Any] = {}
    for method in learned:
        whole = complete_config(known, method.config, for_modality=modality)
        networks.setdefault(network_key(whole), network_config(method.config))
    return [
        control if network == usual else dataclasses.replace(control, method={part.entry.name: {holder: network}})
        for network in networks.values()
    ]


def _part_for(dataset: Dataset, spec: Any) -> Part:
    """A method for a data set: a recipe that serves several modalities has a class for each."""
    from kinview.methods import methods

    try:
        part = Part.of(methods, spec, for_modality=dataset.modality)
    except ValueError as error:
        raise ValueError(f"the data set {dataset.name!r} is {dataset.modality}: {error}") from error
    if "groups" in part.built.needs and dataset.groups_train is None:
        raise ValueError(
            f"{part_label(part.config)} uses the group of each row, and the data set {dataset.name!r} has none: name "
            "their column (group), or take the method or the data set out"
        )
    if "extra" in part.built.needs and "encoder" not in dataset.static_to:
        raise ValueError(
            f"{part_label(part.config)} uses further features of each row, and the data set {dataset.name!r} sends it "
            "none: send static columns to the encoder (static_to: {encoder: [age, sex]}), take the method out, or fit "
            "it in Python: fit(X, extra={'features': array})"
        )
    return part


def check_places(methods: Sequence[Any], probes: Sequence[Part]) -> None:
    """Refuse a method with a parameter out of range, or that no probe can be asked of; specs, and probes as parts.

    Raises
    ------
    ValueError
        What is in the way.
    """
    from kinview.methods import methods as known

    for part in (Part.of(known, spec) for spec in methods):
        _check_values(part)
        reasons = [part.why_not_with(probe) for probe in probes]
        if None not in reasons:
            raise ValueError(
                f"none of the probes ({', '.join(part_label(probe.config) for probe in probes)}) can be asked of "
                f"{part_label(part.config)}: {reasons[0]}; add a probe for it or take the method out"
            )


def _check_values(part: Part) -> None:
    """Refuse a parameter out of range now, and not when the method is fitted."""
    if dataclasses.is_dataclass(part.built):
        try:
            checked_parameters(part.built)
        except ValueError as error:
            raise ValueError(f"{part_label(part.config)}: {error}") from error


def _why_not_regression(method: Any, probe: Any) -> str | None:
    """Why a method with a probe has no place where numbers are predicted, in words; None where it has."""
    if method.uses_labels:
        return "it learns from classes, and numbers are to be predicted"
    if not probe.regresses:
        return "the probe predicts classes, and numbers are to be predicted; linear, ridge, svm and xgboost do"
    return None


def _too_few_features(dataset: Dataset, method: Any) -> str | None:
    """Why the views of a method cannot be made of a data set, in words; None where they can."""
    if dataset.n_features >= method.min_channels:
        return None
    return (
        f"its views need at least {method.min_channels} {FEATURE[dataset.modality]}s, and the data set has "
        f"{dataset.n_features}"
    )
