"""How a benchmark was made and can be made again: configuration, versions, and the time that it took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from kinview.evaluation.report.cells import Results, records, texts
from kinview.evaluation.report.time_spent import time_spent
from kinview.files import write_yaml
from kinview.registry import Registry

__all__ = ["provenance", "sources_of", "static_columns_of"]

_SETTINGS = ("device", "threads", "precision")


def provenance(results: Results, config: Mapping[str, Any] | None, steps: pd.DataFrame | None = None) -> dict[str, Any]:
    """With what the results were made, and how to make them again; ``steps`` say what models and embeddings took."""
    cells = pd.concat([results.cells, results.failed]) if len(results.failed) else results.cells
    stamps = [text for text in texts(cells, "created_at") if text]
    specs = _mappings(cells, "spec")
    settings = {key: _distinct({**spec, **spec.get("environment", {})}.get(key) for spec in specs) for key in _SETTINGS}
    versions: dict[str, list[str]] = {}
    for installed in _mappings(cells, "versions"):
        for package in installed:
            versions.setdefault(str(package), [])
    for package in versions:
        versions[package] = _distinct(installed.get(package) for installed in _mappings(cells, "versions"))
    return {
        "newest": max(stamps)[:19] if stamps else "",
        "seeds": ", ".join(map(str, results.seeds)),
        "names": _distinct(texts(cells, "benchmark")),
        "settings": {key: value for key, value in settings.items() if value},
        "versions": dict(sorted(versions.items())),
        "mixed": any(len(found) > 1 for found in versions.values()),
        "seconds": time_spent(cells, steps),
        "config": write_yaml(dict(config)).strip() if config else "",
        "reconstructed": "" if config else _reconstructed(results, specs),
    }


def _reconstructed(results: Results, specs: Sequence[Mapping[str, Any]]) -> str:
    """The benchmark as YAML, from what the store holds of its cells; nothing where it does not hold enough.

    Readers' options (paths of files among them) are not stored, and stand there as they were asked for: by name.
    """
    if not specs or not all({"dataset", "method", "probe", "seed", "environment"} <= set(spec) for spec in specs):
        return ""
    cells = pd.concat([results.cells, results.failed]) if len(results.failed) else results.cells
    own = cells[cells["own_probe"].fillna(0).astype(bool)]
    pairs = {(row["method"], row["probe"]) for row in records(own[["method", "probe"]].drop_duplicates())}
    short = _short_configs(cells)
    alone = [row for row in records(cells[["method", "probe"]].drop_duplicates()) if tuple(row.values()) not in pairs]
    environment = specs[0]["environment"]
    config: dict[str, Any] = {
        "name": next(iter(_distinct(texts(cells, "benchmark"))), "benchmark"),
        "datasets": [_with_static(name, specs) for name in results.modalities],
        "methods": _each(short["method", row["method"]] for row in alone),
        "controls": [{"method": short["method", m], "probe": short["probe", p]} for m, p in sorted(pairs)] or "none",
        "probes": _each(short["probe", row["probe"]] for row in alone),
        "split": next((spec["split"] for spec in specs if spec.get("split")), "official"),
        "seeds": list(results.seeds),
        **{name: environment[name] for name in _SETTINGS if name in environment},
    }
    if any(spec.get("embedding_metrics") for spec in specs):
        config["embedding_metrics"] = True
    return write_yaml(config | _varied(results, specs)).strip()


def _with_static(dataset: str, specs: Sequence[Mapping[str, Any]]) -> str | dict[str, Any]:
    """A data set, with where its static columns went: to the encoder of those methods alone that take them."""
    used: dict[str, Any] = {}
    for spec in specs:
        used |= (spec.get("static_to") or {}) if spec["dataset"] == dataset else {}
    return {dataset: {"static_to": used}} if used else dataset


def _varied(results: Results, specs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The factors that were varied, and their levels."""
    conditions = results.conditions
    config: dict[str, Any] = {"crossed": True} if (conditions["factors"] > 1).any() else {}
    touched = conditions[conditions["corruption"] != "none"]
    if len(touched):
        kinds = _each(_short("corruption", spec["corruption"], None) for spec in specs if spec.get("corruption"))
        config |= {"corruptions": kinds, "severities": sorted(set(touched["severity"]))}
        unequal = (touched["corrupt"] == "both") & (touched["severity_test"] != touched["severity"])
        sides = list(dict.fromkeys(touched["corrupt"]))
        config |= {"shift_matrix": True} if unequal.any() else {"corrupt": sides if len(sides) > 1 else sides[0]}
        fitted = touched.loc[touched["corrupt"] != "test", "pretrain_on"]  # nothing is fitted on a test part
        config |= {"pretrain_on": fitted.iloc[0]} if len(fitted) else {}
    sources = next((spec["sources"] for spec in specs if spec.get("sources")), None)
    if sources is not None:
        config["pretrain_on"] = {"datasets": [name for name, *_ in sources]}
    noisy = conditions[conditions["label_noise"] != "none"]
    if len(noisy):
        kinds = _each(_short("label_noise", spec["label_noise"], None) for spec in specs if spec.get("label_noise"))
        config |= {"label_noise": kinds, "label_noise_rates": sorted(set(noisy["label_noise_rate"]))}
    return config | {"label_fractions": sorted(set(conditions["label_fraction"]))}


def _short_configs(cells: pd.DataFrame) -> dict[tuple[str, str], Any]:
    """Config of each method and probe, by its label, without what is a default."""
    found: dict[tuple[str, str], Any] = {}
    for row in records(cells.drop_duplicates(["method", "probe"])):
        spec = json.loads(row["spec"]) if isinstance(row["spec"], str) else row["spec"]
        for part in ("method", "probe"):
            if (part, row[part]) not in found:
                found[part, row[part]] = _short(part, spec[part], row["modality"])
    return found


def _short(part: str, config: Any, modality: str | None) -> Any:
    """A config without what is a default; as it is where its part is not installed."""
    try:
        registry = _registry(part)
        return _without_none(registry.to_config(registry.build(config, for_modality=modality)))
    except (ValueError, TypeError, ImportError):
        return config


def _without_none(config: Any) -> Any:
    """A config without what nested parts leave to others, such as a trainer's values to the method."""
    if not isinstance(config, Mapping):
        return config
    return {name: _without_none(value) for name, value in config.items() if value is not None}


def _registry(part: str) -> Registry:
    """Registry of the methods, probes, corruptions or label noises."""
    from kinview.evaluation.corruptions import corruptions
    from kinview.evaluation.label_noise import label_noise
    from kinview.evaluation.probes import probes
    from kinview.methods import methods

    return {"method": methods, "probe": probes, "corruption": corruptions, "label_noise": label_noise}[part]


def _each(configs: Iterable[Any]) -> list[Any]:
    """Each different config once, in order of appearance."""
    return list({json.dumps(config, sort_keys=True, default=str): config for config in configs}.values())


def _mappings(frame: pd.DataFrame, column: str) -> list[Mapping[str, Any]]:
    """A column of mappings or of JSON text, each different one once; what is neither is left out."""
    found: dict[str, Mapping[str, Any]] = {}
    for value in frame[column]:
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        if text in found:
            continue
        try:
            parsed = json.loads(text)
        except ValueError:
            continue
        if isinstance(parsed, dict):
            found[text] = parsed
    return list(found.values())


def _distinct(values: Any) -> list[str]:
    return sorted({str(value) for value in values if value is not None and value != ""})


def static_columns_of(results: Results) -> dict[tuple[str, tuple[str, ...], str], list[str]]:
    """Methods by the use that is made of static columns (pairs, encoder, probe), the columns, and the data set."""
    found: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for (method, dataset), rows in results.cells.groupby(["method", "dataset"], sort=False):
        for spec in _mappings(rows, "spec"):
            for use, columns in (spec.get("static_to") or {}).items():
                known = found.setdefault((use, tuple(map(str, columns)), str(dataset)), [])
                known += [str(method)] if method not in known else []
    return found


def sources_of(results: Results) -> list[str]:
    """Other data sets that methods were pre-trained on."""
    named = [one[0] for spec in _mappings(results.cells, "spec") for one in spec.get("sources") or ()]
    return list(dict.fromkeys(map(str, named)))
