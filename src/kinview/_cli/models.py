"""What the commands share about models and files."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

    from kinview.data.paired import PairedData
    from kinview.datasets.samples import Samples
    from kinview.evaluation.store import Store

__all__ = [
    "adapted", "check_output", "check_reads", "load_model", "read_by", "refuse_others", "sample_names", "shown_url",
    "with_parameters",
]  # fmt: skip


def check_output(path: str, suffixes: Sequence[str], option: str = "output") -> Path:
    """The file to write, checked before the work that would be lost.

    Raises
    ------
    ValueError
        If its ending is another one.
    FileNotFoundError
        If its folder does not exist.
    """
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise ValueError(f"--{option} {path} must end in {' or '.join(suffixes)}")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {file.parent}; make it first")
    if file.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    return file


def with_parameters(registry: Registry, spec: Any, parameters: Mapping[str, Any], **defaults: Any) -> Any:
    """Spec with further parameters; ``defaults`` apply where the part takes them and the spec says nothing."""
    if isinstance(spec, str):
        spec = {spec: None}
    if len(spec) != 1:
        return registry.build(spec)  # it says what shape a spec has
    ((name, own),) = spec.items()
    takes = inspect.signature(registry[name].target).parameters
    return {name: {**{key: value for key, value in defaults.items() if key in takes}, **(own or {}), **parameters}}


def load_model(path: str) -> Any:
    """The model of a file.

    Raises
    ------
    ValueError
        If it is none; a table, a database or a configuration is refused by the command that takes it.
    FileNotFoundError
        If there is no such file.
    """
    import kinview

    try:
        return kinview.load_model(path)
    except (ValueError, FileNotFoundError):
        refuse_others(Path(path))
        raise


def refuse_others(path: Path) -> None:
    """Refuse what is neither a model nor a checkpoint by the command that takes it."""
    from kinview.datasets.folders import is_data_file
    from kinview.datasets.foreign_files import refuse_foreign

    suffix, other = path.suffix.lower(), f"{path} is no model or checkpoint but"
    if not path.exists() or suffix == ".zip":
        return
    if suffix in (".db", ".sqlite"):
        raise ValueError(f"{other} a database; results are shown by kinview report --store sqlite:///{path}")
    if suffix in (".yaml", ".yml"):
        raise ValueError(f"{other} a configuration; a benchmark is run by kinview bench {path}")
    if suffix == ".safetensors":  # what is wrong with it is said already
        return
    if path.is_dir() or is_data_file(path):
        raise ValueError(
            f"{other} {'a folder' if path.is_dir() else 'data'}; data are read by kinview pretrain --data {path}, "
            f"which says what it takes as channels or features, and drawn by kinview views --data {path}"
        )
    refuse_foreign(path)


def sample_names(samples: Samples) -> pd.Index:
    """What the samples are called: their index, without the time of series; their positions where it has no name."""
    import pandas as pd

    index = samples.X.index if isinstance(samples.X, pd.DataFrame) else None
    if isinstance(index, pd.MultiIndex):
        return index.droplevel(-1).unique()
    return index if index is not None and index.name is not None else pd.RangeIndex(len(samples))


def check_reads(estimator: Any, modality: str, data: str) -> None:
    """Refuse a method for series on a table, and the other way round; pairs are made of either by :func:`read_by`.

    sktime would take a table for one long series, and train on it without a word.

    Raises
    ------
    ValueError
        If the method, or the data that it was fitted on, is of the other modality.
    """
    from kinview.data.modality import PAIRED, check_modality
    from kinview.methods import classifiers
    from kinview.methods.estimators.model_file import registry_of

    if any(classifiers[name].target is type(estimator) for name in classifiers):
        raise ValueError(
            f"the model is a classifier ({type(estimator).__name__}), and this needs one that embeds: save its encoder_"
        )
    reads = _modality(estimator)
    if reads != PAIRED:
        check_modality(registry_of(estimator).name_of(estimator), reads, modality, data)


def read_by(estimator: Any, samples: Samples, pairs: Sequence[str] | None, data: str) -> Any:
    """What an estimator reads of samples: X, or the pairs of X and static columns.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.
    samples : Samples
        Of the modality that :func:`check_reads` has seen.
    pairs : sequence of str or None
        Static columns beside X; all of them where none are named.
    data : str
        What messages call the data.

    Raises
    ------
    ValueError
        If it reads pairs and there are no static columns, or others than it was fitted to, or it reads none and columns
        are sent to pairs.
    """
    from kinview.data.modality import PAIRED
    from kinview.methods.estimators.model_file import registry_of

    name = registry_of(estimator).name_of(estimator)
    if _modality(estimator) == PAIRED:
        try:
            read = samples.pairs(pairs)
        except ValueError as error:
            raise ValueError(f"{data}: {error}") from error
        _check_static(estimator, name, samples, read, data)
        return read
    if pairs is not None:
        raise ValueError(f"static_to sends columns to pairs, and {name} reads none")
    return samples.X


def _check_static(estimator: Any, name: str, samples: Samples, read: PairedData, data: str) -> None:
    """Refuse other static columns than a fitted model has on their side, by the columns of the model."""
    from kinview.methods.estimators.side_readers import TableReader

    fitted = dict(zip(getattr(estimator, "names_", ()), getattr(estimator, "_readers", ()), strict=True))
    side = read.names[1]
    if not isinstance(fitted.get(side), TableReader):
        return
    own, given = fitted[side].schema.names, read.side(side).features
    if set(own) == set(given):
        return
    there = set(map(str, samples.static.columns)) if samples.static is not None else set()
    how = (
        f"name those of the model, static_to={{'pairs': {list(own)}}}"
        if set(own) <= there
        else f"name those of the model when the data are read (static={list(own)})"
    )
    raise ValueError(
        f"{name} was fitted to the static column(s) {', '.join(own)}, and of {data} it is given {', '.join(given)}: "
        f"{how}"
    )


def _modality(estimator: Any) -> str | None:
    """Modality that a method reads; a control around a network reads what its method reads."""
    from kinview.methods.estimators.model_file import registry_of

    inner = estimator.fitted_network or estimator
    registry = registry_of(inner)
    found = getattr(inner, "modality_", None) or registry[registry.name_of(inner)].modality
    return None if found is None else str(found)


def adapted(estimator: Any, samples: Any) -> Any:
    """The model with its weights, and with channels and scaling of these samples; see ``SeriesEstimator.adapt``.

    Raises
    ------
    ValueError
        If the model has nothing that could be taken along: a model of tables, raw features, an untrained control.
    """
    from kinview.methods import methods

    if not hasattr(estimator, "adapt"):
        raise ValueError(
            f"--adapt true takes a model that was pre-trained on series to series with other channels; "
            f"{methods.name_of(estimator)} has no such weights: leave --adapt out"
        )
    return estimator.adapt(samples)


def benchmark_of(store: Store, name: str | None) -> str | None:
    """The benchmark to show: the only one of a store, unless it is named; None where it records none.

    Raises
    ------
    ValueError
        If there are several and none is named, or none has the name.
    """
    names = store.benchmarks()
    if name is None and len(names) > 1:
        raise ValueError(f"{shown_url(store)} holds the benchmarks {', '.join(names)}; choose one with --benchmark")
    if name is not None and name not in names:
        raise ValueError(f"{shown_url(store)} has no benchmark {name!r}; it holds {', '.join(names) or 'none'}")
    return name or next(iter(names), None)


def shown_url(store: Store) -> str:
    """URL of a store for people, its password hidden."""
    import sqlalchemy as sa

    return sa.make_url(store.url).render_as_string()
