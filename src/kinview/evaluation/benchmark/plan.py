"""A benchmark: what to run, and the cells that this makes."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kinview.data.modality import NOUNS
from kinview.evaluation.benchmark.asked import asked_of, check_places, left_out_on, left_out_pairs
from kinview.evaluation.benchmark.conditions import check_corrupt, conditions_of
from kinview.evaluation.benchmark.controls import check_controls
from kinview.evaluation.benchmark.data import loaded, unread
from kinview.evaluation.benchmark.entries import check_entries, shown_names, spelled_out
from kinview.evaluation.benchmark.fingerprint import module_code, part_code, versions
from kinview.evaluation.benchmark.grid import FAMILY_OF, Cell, Part, is_dataset, name_and_options, part_label
from kinview.evaluation.benchmark.study import checked_pretrain_on, read_study
from kinview.files import canonical_json
from kinview.own_parts import imported_parts, refuse_imports
from kinview.parameters import check_integer
from kinview.registry import families, suggestion

if TYPE_CHECKING:
    import numpy as np

    from kinview.datasets.dataset import Dataset

__all__ = ["Benchmark", "Cell", "part_label"]

_RANGES = {"severities": (0.0, 0.99), "label_noise_rates": (0.0, 1.0), "label_fractions": (1e-6, 1.0)}
_LISTS = (
    "datasets", "methods", "corruptions", "severities", "label_noise", "label_noise_rates", "label_fractions",
    "probes", "seeds",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Data sets x methods x conditions x probes x seeds, as one grid.

    Parameters
    ----------
    name : str
        Under which the results are shown.
    datasets : sequence of specs
        Names for :func:`kinview.load`, or with its options as ``{darwin: {drop: [ID]}}``; a file of your own goes by
        a name of yours, ``{vitals: {path: vitals.csv, ...}}`` (relative to a study file), or by that of its folder in
        ``data_dir``. How it is cut does not depend on the seeds: they vary the training, the masks and the noise.
    methods : sequence of specs
        Parts of the registry ``methods``. A method runs on the data sets of its modality. ``{name: SCARF 0.3, method:
        SPEC}`` has a name that tables show and no result depends on, as a probe or control may have. ``{grid: [...]}``
        for a parameter's value, in nested parts too, makes a variant of each value or combination, of 100 at most.
    corruptions : sequence of specs
        Parts of the registry ``corruptions``, without their rate.
    severities : sequence of float
        Fractions of the observed cells to remove, in [0, 1). The clean condition is always part of the grid.
    corrupt : "train", "test", "both", or a list of these
        Which part of the data a corruption is applied to; of a list one after the other.
    shift_matrix : bool
        Run each severity of the training part with each of the test part, 0 among them, instead of ``corrupt``: what a
        representation loses when the rate changes between training and use. The report shows it as a table.
    label_noise : sequence of specs
        Parts of the registry ``label_noise``, without their rate. Noise is in training labels only. With
        ``group_consistent: true`` the samples of a group that share a label share its fate.
    label_noise_rates : sequence of float
        Fractions of the training labels, in [0, 1].
    label_fractions : sequence of float
        Fractions of the training labels that are known, in (0, 1], such as 0.01, 0.05, 0.1, 0.25 and 0.5: nested,
        stratified, at least one label a class, and whole groups where the data set has groups
        (:func:`kinview.data.label_subset`). A method that uses labels is fitted on the rows that
        keep theirs, with the noisy labels that the probe sees; any other method is fitted on all rows, without labels.
    crossed : bool
        Full product of corruption, noise and label fraction; otherwise each is varied with the others clean.
    pretrain_on : {"clean", "corrupted"} or mapping
        ``"clean"``: one model per data set, method and seed, fitted on the clean training set, and corrupted data are
        embedded with it. ``"corrupted"``: everything is fitted on the corrupted training set, as in practice.
        ``{datasets: [...]}``: methods that train without labels are pre-trained on the training parts of these sets,
        and taken to each data set as :meth:`SeriesEstimator.adapt` does (tables: the same columns).
    probes : sequence of specs
        Parts of the registry ``probes``.
    embedding_metrics : bool
        Measure without a probe too how well test embeddings cluster by class and find their own class
        (:func:`kinview.evaluation.embedding_metrics`).
    controls : "default", "none" or sequence of specs
        Methods to add as controls, which the report compares every other method with: a spec, or
        ``{method: SPEC, probe: SPEC}`` for a pair that every method with every probe is compared with, but for a probe
        that the control was asked with too. ``"default"``: the list in
        :mod:`kinview.evaluation.benchmark.controls`, with an untrained network (``random_init``) of each kind that the
        methods have on series. ``"none"``: those alone that stand among ``methods``.
    split : spec
        A part of the registry ``splits``: how each data set is cut into training and test parts. ``"official"``
        (default): as it was loaded. ``{stratified_kfold: {folds: 5, repeats: 2}}``: cross-validation; everything that
        learns sees the training part of the fold alone.
    seeds : sequence of int
        Each repeats the whole grid.
    threads : int
        Threads of every step. It is part of a result's identity: 1 and 2 threads differ in the last bits.
    workers : int
        Processes that run side by side. They do not change a number.
    device, precision : str
        For :class:`kinview.Trainer`.
    data_dir : str, optional
        Folder with further data sets, for :func:`kinview.load`.

    Raises
    ------
    ValueError
        If a field has the wrong form or range, or a factor has kinds without levels.

    Examples
    --------
    >>> benchmark = Benchmark.from_yaml("quickstart", seeds=[0])
    >>> benchmark.probes, benchmark.seeds
    (('linear', 'svm', 'xgboost'), (0,))
    >>> Benchmark.from_yaml("quickstart", sedes=[0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: a benchmark has no key 'sedes'; did you mean 'seeds'? It takes: name, datasets, ...
    """

    name: str
    datasets: Sequence[str | Mapping[str, Any]]
    methods: Sequence[Any]
    corruptions: Sequence[Any] = ()
    severities: Sequence[float] = ()
    corrupt: list[str] | str = "both"
    shift_matrix: bool = False
    label_noise: Sequence[Any] = ()
    label_noise_rates: Sequence[float] = ()
    label_fractions: Sequence[float] = (1.0,)
    crossed: bool = False
    pretrain_on: Literal["clean", "corrupted"] | dict[str, Any] = "corrupted"
    probes: Sequence[Any] = ("linear",)
    embedding_metrics: bool = False
    controls: list[Any] | str = "default"
    split: dict[str, Any] | str = "official"
    seeds: Sequence[int] = (0,)
    threads: int = 1
    workers: int = 1
    device: str = "cpu"
    precision: str = "float32"
    data_dir: str | None = None

    def __post_init__(self) -> None:
        for name in _LISTS:
            value = getattr(self, name)
            if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
                raise ValueError(f"{name} must be a list, [{value}] for one entry; got {value!r}")
            object.__setattr__(self, name, tuple(value))
        object.__setattr__(self, "controls", check_controls(self.controls))
        check_entries(self)
        object.__setattr__(self, "corrupt", check_corrupt(self.corrupt, self.shift_matrix))
        object.__setattr__(self, "pretrain_on", checked_pretrain_on(self.pretrain_on))
        for name in ("name", "device", "precision"):
            _require(isinstance(getattr(self, name), str) and getattr(self, name), self, name, "a text")
        for name in ("datasets", "methods", "probes", "seeds", "label_fractions"):
            _require(len(getattr(self, name)) > 0, self, name, "a list with at least one entry")
        sound = all(is_dataset(dataset) for dataset in self.datasets)
        _require(sound, self, "datasets", "a list of names, or of {name: {option: value}}")
        names = [name for name, _ in map(name_and_options, self.datasets)]
        distinct = len({name.casefold() for name in names}) == len(names)
        _require(distinct, self, "datasets", "different names, because results go by them")
        for name in ("crossed", "embedding_metrics"):
            _require(isinstance(getattr(self, name), bool), self, name, "true or false")
        for name in ("threads", "workers"):
            check_integer(getattr(self, name), name, at_least=1)
            object.__setattr__(self, name, int(getattr(self, name)))
        for i, seed in enumerate(self.seeds):
            check_integer(seed, f"seeds[{i}]", at_least=0)
        object.__setattr__(self, "seeds", tuple(map(int, self.seeds)))
        _require(max(self.seeds) < 2**31, self, "seeds", "below 2^31")
        _require(len(set(self.seeds)) == len(self.seeds), self, "seeds", "different seeds, each given once")
        for name, (low, high) in _RANGES.items():
            values = getattr(self, name)
            inside = all(_is_number(value) and low <= value <= high for value in values)
            _require(inside, self, name, f"numbers from {low:g} to {high:g}")
        named = isinstance(self.split, str | Mapping) and bool(self.split)
        _require(named, self, "split", "the name of a split, or {name: {parameter: value}}")
        for kinds, levels in (("corruptions", "severities"), ("label_noise", "label_noise_rates")):
            if bool(getattr(self, kinds)) != bool(getattr(self, levels)):
                given, absent = (kinds, levels) if getattr(self, kinds) else (levels, kinds)
                raise ValueError(f"{given} do nothing without {absent}; give both or none of them")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Benchmark:
        """Build from plain data; a key that does not exist is refused.

        Raises
        ------
        ValueError
            If a key is unknown or a required one is absent, or as the class says.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        refuse_imports(config, "the config of a benchmark")
        for key in config:
            if key not in fields:
                raise ValueError(
                    f"a benchmark has no key {key!r}{suggestion(key, fields)} It takes: {', '.join(fields)}"
                )
        for name, field in fields.items():
            if field.default is dataclasses.MISSING and name not in config:
                raise ValueError(f"a benchmark needs the key {name!r}; the config has {', '.join(config) or 'none'}")
        return cls(**config)

    @classmethod
    def from_yaml(cls, name: str | Path, **changes: Any) -> Benchmark:
        """Read a benchmark that ships with the package by its name, or a YAML file by its path.

        Parameters
        ----------
        name : str or Path
            ``"quickstart"``, or the path of a YAML file whose keys are the parameters of this class.
        **changes : Any
            Parameters that replace the file's.

        Raises
        ------
        ValueError
            As :func:`kinview.configs.read_config` and :meth:`from_config`.
        """
        return cls.from_config({**read_study(str(name)), **changes})

    def cells(self) -> list[Cell]:
        """All cells of the grid, each once, in the order data set, method, seed, fold, condition, probe.

        Loads the data sets, because a cell is identified by their content.

        Raises
        ------
        ValueError
            If a part or data set is unknown, or a data set has a sample without a class label, no method that supports
            it, or not what the split, a corruption or a label noise needs.
        """
        from kinview.datasets import datasets
        from kinview.evaluation.benchmark import steps
        from kinview.evaluation.benchmark.sources import Sources
        from kinview.evaluation.benchmark.static import static_of
        from kinview.evaluation.corruptions import corruptions
        from kinview.evaluation.label_noise import label_noise
        from kinview.evaluation.probes import probes as known_probes
        from kinview.evaluation.protocols import splits

        self = spelled_out(self)
        probes = [Part.of(known_probes, spec) for spec in self.probes]
        check_places(self.methods, probes)
        split = Part.of(splits, self.split)
        kinds = [Part.of(corruptions, spec, rate=0.0) for spec in self.corruptions]
        noises = [Part.of(label_noise, spec, rate=0.0) for spec in self.label_noise]
        shared = {name: getattr(self, name) for name in ("threads", "device", "precision")} | {"versions": versions()}
        steps.load_dataset.cache_clear()  # files may have changed since an earlier run in this process
        cells: dict[str, Cell] = {}
        lacking: dict[str, list[tuple[str, str | None]]] = {}
        sources = Sources.of(self.pretrain_on, self.data_dir)
        for name, options in map(name_and_options, self.datasets):
            dataset = steps.load_dataset(name, self.data_dir, options)
            fingerprint = dataset.fingerprint()
            dataset.require_target()
            sources.check(dataset, split.built)
            asked = asked_of(dataset, name, self.methods, self.controls, probes)
            code = {"steps": module_code(steps.__name__)}
            code |= {"dataset": part_code(datasets, name)} if name in datasets else {}
            able = [kind for kind in kinds if kind.supports(dataset.modality)]
            for part in (*able, *noises):
                lacking.setdefault(part_label(part.config), []).append((dataset.name, _lacks(part, dataset)))
            usable = [kind for kind in able if _why_not(kind, dataset) is None]
            heard = [noise for noise in noises if _noise_why_not(noise, dataset) is None]
            conditions = list(conditions_of(self, usable, heard))
            cuts = _cuts(dataset, split)
            for one, seed, cut, condition in itertools.product(asked, self.seeds, cuts, conditions):
                given = {**static_of(dataset, one.part), **sources.of_method(one.part)}
                for probe in one.probes:
                    played = {**condition, **cut, **given, "method": one.part.config, "probe": probe.config}
                    used = {role: played[role] for role in FAMILY_OF if played[role] is not None}
                    cell = Cell(
                        dataset=dataset.name,
                        fingerprint=fingerprint,
                        modality=dataset.modality,
                        seed=int(seed),
                        environment=shared,
                        code=code | {role: part_code(families()[FAMILY_OF[role]], spec) for role, spec in used.items()},
                        dataset_options=options,
                        imports=imported_parts(),
                        fits_labels=one.part.built.uses_labels and not one.part.built.trained_by_probe,
                        is_control=one.is_control,
                        embedding_metrics=self.embedding_metrics or None,
                        own_probe=canonical_json(probe.config) in one.own,
                        **played,
                    )
                    cells.setdefault(cell.key, cell)
        _refuse_lacking(lacking)
        return list(cells.values())

    def left_out(self, cells: Sequence[Cell] | None = None) -> list[str]:
        """What has no cells, and why, as sentences: pairs of method and probe, and what a data set rules out.

        Parameters
        ----------
        cells : sequence of Cell, optional
            Those of :meth:`cells`, where they are at hand.
        """
        from kinview.evaluation.corruptions import corruptions
        from kinview.evaluation.label_noise import label_noise
        from kinview.evaluation.probes import probes as known_probes

        self = spelled_out(self)
        found = sorted({cell.modality for cell in (self.cells() if cells is None else cells)})
        probes = [Part.of(known_probes, spec) for spec in self.probes]
        kinds = [Part.of(corruptions, spec, rate=0.0) for spec in self.corruptions]
        elsewhere = [
            f"{part_label(kind.config)} on {NOUNS[modality]}: it is a corruption of {NOUNS[str(kind.modality)]}"
            for kind, modality in itertools.product(kinds, found)
            if not kind.supports(modality)
        ]
        noises = [Part.of(label_noise, spec, rate=0.0) for spec in self.label_noise]
        for dataset in loaded(self):
            elsewhere += left_out_on(dataset, self.methods, probes)
            able = [kind for kind in kinds if kind.supports(dataset.modality)]
            reasons = {part_label(noise.config): _noise_why_not(noise, dataset) for noise in noises}
            reasons |= {part_label(kind.config): _why_not(kind, dataset) for kind in able}
            elsewhere += [f"{kind} on {dataset.name}: {why}" for kind, why in reasons.items() if why is not None]
        return [*left_out_pairs(self.methods, self.controls, probes, found), *elsewhere, *unread(self, probes, found)]

    def embeddings(self, cache_dir: str | Path) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
        """Test-set embeddings ``(n, D)`` and labels ``(n,)`` of the clean condition, first seed and first fold.

        Parameters
        ----------
        cache_dir : str or Path
            The ``cache_dir`` of the run. What is not there (any more) is left out.

        Returns
        -------
        dict
            ``(data set, method)``, as the results name them, to embedding and labels.
        """
        from kinview.evaluation.benchmark.cached import read_embedding
        from kinview.evaluation.benchmark.steps import fold_of, load_dataset

        found: dict[tuple[str, str], tuple[Any, Any]] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the run has said what is to say about the data
            cells = self.cells()
        shown = shown_names(self, cells)
        for cell in cells:
            place = (cell.dataset, shown.get(cell.key, {}).get("method", cell.method_label))
            clean = cell.corruption is None and cell.label_noise is None and cell.label_fraction == 1
            if clean and cell.seed == self.seeds[0] and not cell.fold and place not in found:
                embedding = read_embedding(Path(cache_dir), cell.embed_key("test"))
                if embedding is not None:
                    dataset = load_dataset(cell.dataset, self.data_dir, cell.dataset_options)
                    if dataset.task == "regression":  # the figure colours classes
                        continue
                    found[place] = (embedding.z, fold_of(dataset, cell)[0].y_test)
        return found


def _cuts(dataset: Dataset, split: Part) -> list[dict[str, Any]]:
    """Fields of the cells that say how the data set is cut, one entry a fold; checks that it can be."""
    if split.entry.name == "official":
        return [{"split": None, "fold": None}]
    return [{"split": split.config, "fold": fold} for fold in range(len(split.built.cut(dataset)))]


def _noise_why_not(noise: Part, dataset: Dataset) -> str | None:
    """Why a label noise has no cells on a data set; None where it has."""
    if dataset.task == "regression":
        return "its labels are numbers, and label noise is of classes"
    if lacks := _lacks(noise, dataset):
        return lacks
    return noise.built.why_not([] if dataset.classes is None else dataset.classes.tolist())  # type: ignore[no-any-return]


def _why_not(kind: Part, dataset: Dataset) -> str | None:
    """Why a corruption has no cells on a data set; None where it has. Asked of all samples: a fold may lack a group."""
    from kinview.evaluation.corruptions import Corruption

    if dataset.task == "regression" and "y" in kind.built.needs:
        return "its labels are numbers, and it goes by classes"
    if lacks := _lacks(kind, dataset):
        return lacks
    if type(kind.built).why_not is Corruption.why_not:
        return None
    samples = dataset.pooled()
    return kind.built.why_not(samples.X, groups=samples.groups, static=samples.static)  # type: ignore[no-any-return]


def _lacks(part: Part, dataset: Dataset) -> str | None:
    """What a corruption or a label noise goes by and a data set was not loaded with; None where it has all of it."""
    from kinview.evaluation.corruptions import Corruption

    corrupts = isinstance(part.built, Corruption)
    needs = part.built.needs if corrupts else part.built.asks_for
    if "groups" in needs and dataset.groups_train is None:
        return "it goes by the group of each sample, and there is none; name their column (group)"
    held = [] if dataset.static_train is None else [str(column) for column in dataset.static_train.columns]
    if "static" in needs and not held:
        return "it goes by static columns of each sample, and there are none; name them (static)"
    if corrupts and part.built.changes_static and not {"probe", "encoder", "pairs"} & set(dataset.static_to):
        return "it changes static columns, and none goes to a probe, an encoder or pairs; send some there (static_to)"
    absent = [column for column in (part.built.static_columns if corrupts else ()) if column not in held]
    if absent:
        return f"it goes by {absent[0]!r}, which is no static column of the data; there are: {', '.join(held)}"
    return None


def _refuse_lacking(lacking: Mapping[str, Sequence[tuple[str, str | None]]]) -> None:
    """Refuse a part that none of the data sets has what it goes by; on some of several it is left out, by name."""
    for label, on in lacking.items():
        name, reason = on[0]
        if reason is not None and all(other is not None for _, other in on):
            raise ValueError(f"{label} cannot be applied to the data set {name!r}: {reason}, or take {label} out")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(condition: Any, benchmark: Benchmark, name: str, wanted: str) -> None:
    if not condition:
        raise ValueError(f"{name} must be {wanted}; got {getattr(benchmark, name)!r}")
