"""The cells of a benchmark, and the names under which their work is cached and stored."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from kinview.complete_configs import complete_config
from kinview.data.modality import Modality
from kinview.files import content_hash
from kinview.own_parts import OwnParts
from kinview.registry import Entry, Registry, families

__all__ = [
    "FAMILY_OF",
    "Cell",
    "Part",
    "SourceSet",
    "distinct_labels",
    "is_dataset",
    "method_identity",
    "name_and_options",
    "part_label",
]

_OWNED = ("device", "precision", "checkpoint_dir", "resume", "progress")  # fields of a Trainer that a benchmark sets

_TOO_WIDE = (
    "its features have more than 2,000 columns, which ridge-type probes take as they are; set its repr_dim to ask "
    "other probes"
)

# how a cell is computed, what follows from it being in the other fields; and what the benchmark calls it
_PLANNED = ("dataset_options", "imports", "fits_labels", "is_control", "own_probe")

_WHERE_CUT = ("split", "fold")
# a cell that has none of these has the key of before
_LATER = (*_WHERE_CUT, "severity_test", "embedding_metrics", "static_to", "sources")

FAMILY_OF = {
    "method": "methods",
    "probe": "probes",
    "corruption": "corruptions",
    "label_noise": "label_noise",
    "split": "splits",
}


@dataclasses.dataclass(frozen=True)
class SourceSet:
    """A data set that a method is pre-trained on: its name, the options of its reader, its content and its code."""

    dataset: str
    options: str
    fingerprint: str
    code: str


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """One entry of the grid, with everything that determines its result.

    Configs are short, as :func:`kinview.registry.to_config` writes them, and complete in :attr:`spec`; what does not
    bear on the result is None (``corrupt`` of a cell without corruption), so that equal work has one name in every
    benchmark.
    """

    dataset: str
    fingerprint: str
    modality: str
    method: Any
    corruption: Any | None
    severity: float
    corrupt: str | None
    pretrain_on: str
    label_noise: Any | None
    label_noise_rate: float
    label_fraction: float
    probe: Any
    seed: int
    environment: Mapping[str, Any]
    code: Mapping[str, str]  # digest of the code of the steps and of each part, by the part it plays
    split: Any | None = None  # None for the official one
    fold: int | None = None  # number of the fold, over all repeats; None where the split is official
    severity_test: float | None = None  # of the test part, where it is corrupted otherwise than the training part
    embedding_metrics: bool | None = None  # whether clusters and neighbours of the embedding are measured too; or None
    static_to: Mapping[str, Any] | None = None  # static columns that the probe, the encoder or the pairs get
    sources: tuple[SourceSet, ...] | None = None  # data sets that the method is pre-trained on instead of its own
    dataset_options: str = "{}"  # parameters of the reader, as JSON
    imports: tuple[OwnParts, ...] = ()  # files with parts of one's own, for workers; the keys have them by the code
    fits_labels: bool = False  # whether the method is fitted with the training labels of the cell
    is_control: bool = False  # whether the benchmark names the method as a control
    own_probe: bool = False  # whether it does so with this very probe, as what every probe is compared with

    @functools.cached_property
    def spec(self) -> dict[str, Any]:
        """Everything that determined the result, as plain data.

        A reader's options count by the fingerprint, and what a method does with labels by its config and code.
        Its configs are complete, so that a changed default is another cell.
        """
        values = {name: value for name, value in dataclasses.asdict(self).items() if name not in _PLANNED}
        values = {name: value for name, value in values.items() if value is not None or name not in _LATER}
        if self.sources is not None:
            values["sources"] = [[one.dataset, one.fingerprint, one.code] for one in self.sources]
        known = {name: families()[family] for name, family in FAMILY_OF.items() if values.get(name) is not None}
        return values | {
            name: complete_config(family, values[name], for_modality=self.modality) for name, family in known.items()
        }

    @functools.cached_property
    def key(self) -> str:
        """Content hash of the cell: its primary key in the store."""
        return content_hash({"step": "probe", **self.spec})

    @functools.cached_property
    def pretrain_key(self) -> str:
        """Content hash of the fitted model; the cells that share it are one chain of work.

        Label budget and label noise are part of it where the method is fitted with labels, and nowhere else.
        """
        shared = ["dataset", "fingerprint", "modality", "method", "seed", "environment", "sources"]
        shared += ["label_fraction", "label_noise", "label_noise_rate"] if self.fits_labels else []
        spec = {name: self.spec[name] for name in (*shared, *_WHERE_CUT) if name in self.spec}
        seen = {use: self.static_columns(use) for use in ("encoder", "pairs")}
        if any(seen.values()):
            spec["static_to"] = {use: columns for use, columns in seen.items() if columns}
        corruption = self._named(self.pretrain_corruption)
        parts = (["corruption"] if corruption else []) + (["label_noise"] if self.fits_labels else [])
        code = self._code_of("steps", "dataset", "split", "method", *parts)
        return content_hash({"step": "pretrain", "corruption": corruption, "code": code, **spec})

    @functools.cached_property
    def source_key(self) -> str:
        """Content hash of the model that was pre-trained on the sources, whatever it is taken to."""
        spec = {name: self.spec[name] for name in ("sources", "modality", "method", "seed", "environment")}
        return content_hash({"step": "pretrain", "code": self._code_of("steps", "method"), **spec})

    @property
    def method_label(self) -> str:
        """What results call the method: its short name, and the data sets that it was pre-trained on."""
        return f"{part_label(self.method)}{self.pretrained_on}"

    @property
    def pretrained_on(self) -> str:
        """What stands behind a method's name for the data sets that it was pre-trained on; nothing for its own."""
        return "" if self.sources is None else f" pre-trained on {', '.join(one.dataset for one in self.sources)}"

    @property
    def pretrain_corruption(self) -> tuple[Any, float] | None:
        """Corruption applied to the training set before the model is fitted."""
        return self.corruption_of("train") if self.pretrain_on == "corrupted" else None

    def embed_key(self, part: Literal["train", "test"]) -> str:
        """Content hash of the embedding of the train or test set."""
        corruption = self._named(self.corruption_of(part))
        code = self._code_of("corruption") if corruption else {}  # the model's key has the rest
        return content_hash(
            {"step": "embed", "model": self.pretrain_key, "part": part, "corruption": corruption, "code": code}
        )

    def seeds(self, *numbers: int) -> tuple[int, ...]:
        """The cell's seed, with what tells apart draws that share it, and the fold where there are several."""
        return (self.seed, *numbers, *(() if self.fold is None else (self.fold + 1,)))

    def corruption_of(self, part: Literal["train", "test"]) -> tuple[Any, float] | None:
        """Mechanism and severity of the corruption of a part of the data, None where it stays clean."""
        if self.corrupt not in (part, "both"):
            return None
        other = self.severity_test if part == "test" else None
        return self.corruption, self.severity if other is None else other

    def static_columns(self, use: str) -> list[str]:
        """Static columns that go to the ``probe``, to the ``encoder``, or beside X as ``pairs``."""
        return list((self.static_to or {}).get(use, ()))

    def _code_of(self, *played: str) -> dict[str, str]:
        return {part: self.code[part] for part in played if part in self.code}

    def _named(self, corruption: tuple[Any, float] | None) -> tuple[Any, float] | None:
        """Corruption applied to a part, with the complete config of the mechanism."""
        return None if corruption is None else (self.spec["corruption"], corruption[1])


def part_label(config: Any) -> str:
    """Short name of a config for tables: the name, and in brackets what differs from the defaults.

    Examples
    --------
    >>> part_label("raw"), part_label({"ts2vec": {"repr_dim": 64, "trainer": {"max_steps": 20}}})
    ('raw', 'ts2vec(repr_dim=64, trainer.max_steps=20)')
    >>> part_label({"random_init": {"method": {"tstcc": {}}}})
    'random_init(method=tstcc)'
    """
    if isinstance(config, str):
        return config
    ((name, parameters),) = config.items()
    return f"{name}({', '.join(f'{key}={value}' for key, value in _flat(parameters))})"


def distinct_labels(labels: Sequence[str], configs: Sequence[Any]) -> list[str]:
    """Labels of methods, with what tells them apart where one label stands for several configs.

    That happens when a default has changed: a label names what differs from the defaults of its time.

    Parameters
    ----------
    labels : sequence of str
        As :func:`part_label` makes them.
    configs : sequence
        The complete config of each, as JSON text; a missing one leaves its label as it is.

    Examples
    --------
    >>> distinct_labels(["ts2vec", "ts2vec", "raw"], ['{"ts2vec": {"depth": 10}}', '{"ts2vec": {"depth": 8}}', '"raw"'])
    ['ts2vec(depth=10)', 'ts2vec(depth=8)', 'raw']
    """
    known: dict[str, dict[str, dict[str, Any]]] = {}
    for label, config in zip(labels, configs, strict=True):
        if isinstance(config, str) and config not in known.setdefault(label, {}):
            read = json.loads(config)
            known[label][config] = dict(_flat(next(iter(read.values())))) if isinstance(read, dict) else {}

    def told_apart(label: str, config: Any) -> str:
        others = known.get(label, {})
        if len(others) < 2 or config not in others:
            return label
        own = others[config]
        differing = [k for k, v in own.items() if any(o.get(k, own) != v for o in others.values())]
        inner = ", ".join(f"{key}={own[key]}" for key in differing)
        if not inner:
            return label
        return f"{label[:-1]}, {inner})" if label.endswith(")") else f"{label}({inner})"

    return [told_apart(label, config) for label, config in zip(labels, configs, strict=True)]


def method_identity(config: Any, modality: str) -> dict[str, Any]:
    """Say of a method's config what a report asks: its name, whose network it has, whether it is a control.

    Parameters
    ----------
    config : str or mapping
        Config of a method, short or complete.
    modality : str
        Modality of the data: it decides whose network a control has that names none.

    Returns
    -------
    dict
        ``method_name``; ``method_of``, the complete config of the method whose network a control has, or None;
        ``is_control``.
        Of a method that cannot be built here (it is not installed) the name alone is known: it counts as no control.

    Examples
    --------
    >>> known = method_identity({"random_init": {"method": {"tstcc": {"repr_dim": 64}}}}, "time_series")
    >>> known["method_name"], known["is_control"], known["method_of"]["tstcc"]["repr_dim"]
    ('random_init', True, 64)
    >>> list(method_identity("random_init", "tabular")["method_of"]), method_identity("raw", "tabular")["method_of"]
    (['scarf'], None)
    """
    from kinview.methods import methods

    name = config if isinstance(config, str) else next(iter(config))
    try:
        method = methods.build(config, for_modality=modality)
    except ValueError:
        return {"method_name": name, "method_of": None, "is_control": False}
    of = method.network_method(modality)
    if of is not None:
        with contextlib.suppress(ValueError):  # a method that is not installed stays as it was written
            of = complete_config(methods, methods.build(of, for_modality=modality))
    return {"method_name": name, "method_of": of, "is_control": method.control}


@dataclasses.dataclass(frozen=True)
class Part:
    """A part with its canonical config and its registry entry."""

    built: Any
    config: Any
    entry: Entry
    modality: str | None

    @classmethod
    def of(cls, registry: Registry, spec: Any, *, for_modality: str | None = None, **levels: Any) -> Part:
        """Check a spec and bring it into its canonical form.

        Parameters
        ----------
        registry : Registry
            Where the part is registered.
        spec : spec
            What describes it.
        for_modality : str, optional
            Modality of the data; by default the first that the spec can be built for.
        **levels : Any
            Parameters that the benchmark varies.

        Raises
        ------
        ValueError
            If the registry does not know it, or it sets what the benchmark sets.
        """
        for given in spec.values() if isinstance(spec, Mapping) else ():
            for name in levels:
                if isinstance(given, Mapping) and name in given:
                    raise ValueError(f"the benchmark's levels give the {name}; leave it out of {dict(spec)}")
        part = _built(registry, spec, for_modality, levels)
        entry = registry[registry.name_of(part)]
        config = _without(registry.to_config(part), levels)
        trainer = {} if isinstance(config, str) else config[entry.name].get("trainer") or {}
        for name in _OWNED:
            if name in trainer:
                raise ValueError(f"{entry.name}: the benchmark sets the trainer's {name}; leave it out of the spec")
        several = "twins" in entry.metadata  # a recipe with a class for each modality
        modality = entry.modality if several else getattr(part, "modality", entry.modality)  # of the method inside too
        return cls(part, config, entry, modality)

    def supports(self, modality: str) -> bool:
        """Whether the part works on data of this modality."""
        return self.modality in (None, "any", modality)

    def why_not_with(self, probe: Part) -> str | None:
        """For a method: why a probe has no place beside it, in words; None where it has.

        A control whose network labels train is trained by the probe or not at all; one whose network stays untrained
        has no other reading than a frozen one; what has no network cannot be trained. Both may declare ``wide``: a
        method, that its features have more than 2,000 columns as it is configured, and a probe, that it takes as many.
        """
        trains = probe.built.needs_model
        if self.built.trained_by_probe:
            return None if trains else "its network has seen no label before a probe such as finetune trains it"
        if not trains:
            takes_them = not self.built.wide or probe.built.wide
            return None if takes_them else _TOO_WIDE
        if self.built.network_of is not None:
            return "trained with labels it would be the method 'supervised'"
        return None if self.built.trains else "it has no network to train"


def _built(registry: Registry, spec: Any, modality: str | None, levels: Mapping[str, Any]) -> Any:
    """The part, once the method inside a control is known to be right too."""
    wrong: list[ValueError] = []
    for one in get_args(Modality) if modality is None else (modality,):
        try:
            part = registry.build(spec, for_modality=one, **levels)
            inside = part.network_method(one) if hasattr(part, "network_method") else None
            if inside is not None:
                registry.build(inside, for_modality=one)
        except ValueError as error:
            wrong.append(error)
        else:
            return part
    raise wrong[0]


def is_dataset(spec: Any) -> bool:
    """Whether a spec is the name of a data set, or one name with options for its reader.

    Examples
    --------
    >>> is_dataset("iris"), is_dataset({"darwin": {"drop": ["ID"]}}), is_dataset({"darwin": ["ID"]})
    (True, True, False)
    """
    if not isinstance(spec, Mapping):
        return isinstance(spec, str) and spec != ""
    options = next(iter(spec.values()), None)
    named = len(spec) == 1 and all(isinstance(name, str) and name for name in spec)
    plain = options is None or (isinstance(options, Mapping) and all(isinstance(key, str) for key in options))
    return named and plain and not {"name", "data_dir"} & set(options or ())  # the benchmark has these


def name_and_options(spec: str | Mapping[str, Any]) -> tuple[str, str]:
    """Name of a data set, and the options for its reader as JSON.

    Examples
    --------
    >>> name_and_options("iris"), name_and_options({"darwin": {"drop": ["ID"]}})
    (('iris', '{}'), ('darwin', '{"drop": ["ID"]}'))
    """
    if isinstance(spec, str):
        return spec, "{}"
    ((name, options),) = spec.items()
    return name, json.dumps(dict(options or {}), sort_keys=True)


def _without(config: Any, names: Collection[str]) -> Any:
    if isinstance(config, str):
        return config
    ((name, parameters),) = config.items()
    kept = {key: value for key, value in parameters.items() if key not in names}
    return {name: kept} if kept else name


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in parameters.items():
        if isinstance(value, Mapping) and [*value.values()] == [{}]:  # a part with its defaults, as its name alone says
            yield f"{prefix}{key}", next(iter(value))
        elif isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
