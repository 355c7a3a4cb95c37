"""Fitted estimators as files: safetensors with JSON metadata; loading never executes what is inside.

A file holds every parameter, those of the parts inside included, so that it means the same when a default changes.
Files of format 1 hold those that were not the defaults of kinview 0.1.0; they are read with the defaults of then.
"""

from __future__ import annotations

import copy
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

import kinview
from kinview.complete_configs import complete_config, frozen_defaults, short_config
from kinview.data.modality import PAIRED, SERIES, TABLE
from kinview.files import atomic_write, dump_tensors, parse_json, parse_tensors, tensors_under
from kinview.methods import classifiers, connections, methods
from kinview.methods.estimators.bounded_build import check_whole_numbers
from kinview.own_parts import refuse_imports
from kinview.registry import Registry, changed_parameters
from kinview.training.settings import RUN_FIELDS
from kinview.training.trainer import Trainer

__all__ = [
    "FittedState",
    "described",
    "dump_model",
    "fitted_modality",
    "inner_state",
    "load_model",
    "model_metadata",
    "parse_model",
    "rebuilt",
    "registry_of",
    "restored_inner",
    "save_model",
    "without_run_fields",
]

FORMAT = "kinview-model"
FORMAT_VERSION = 2
_JSON = ("parameters", "fitted", "trainer")
_DEFAULTS_OF = {1: "0.1.0"}  # formats that leave out what has its default, and whose defaults these are


# what reading a file raises that says something else than its version of kinview writes; a ValueError says what
_INCOMPLETE = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError, ArithmeticError, AssertionError),
    MemoryError,
    StopIteration,  # an empty list or mapping where a part has its name
)


class FittedState(Protocol):
    """What an estimator gives and takes to be a file."""

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Plain facts and tensors that fitting made; no training row among them."""
        ...

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`, on an estimator with the same parameters."""
        ...


def dump_model(estimator: Any) -> bytes:
    """Bytes of a fitted estimator, without what its trainers say of the run alone (:func:`without_run_fields`).

    Raises
    ------
    TypeError
        If a parameter has no config (an object of an unregistered class, say): it is named.
    """
    estimator = without_run_fields(estimator)
    facts, tensors = estimator.fitted_state()
    config = described(estimator, facts)
    ((name, parameters),) = (config if isinstance(config, dict) else {config: {}}).items()
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "kinview_version": kinview.__version__,
        "method": name,
        "parameters": json.dumps(parameters),
        "fitted": json.dumps(facts),
    }
    if hasattr(estimator, "trainer_"):  # the values that training had in the end, those of the method included
        metadata["trainer"] = json.dumps(without_run_fields(estimator.trainer_).to_config())
    return dump_tensors(tensors, metadata)


def described(estimator: Any, facts: Mapping[str, Any]) -> Any:
    """Complete config of an estimator with its fitted facts, without what its trainers say of the run alone."""
    registry = registry_of(estimator)
    given = {registry.name_of(estimator): changed_parameters(without_run_fields(estimator))}
    return complete_config(registry, given, for_modality=fitted_modality(facts))


def rebuilt(config: Any, facts: Mapping[str, Any]) -> Any:
    """Unfitted estimator from a complete config; what has its default now is as if it had not been given.

    Its fitted facts say which modality it had, for a recipe that serves several. What the config says of a run (a
    checkpoint folder, callbacks) is left out.
    """
    modality, config = fitted_modality(facts), without_run_fields(config)
    check_whole_numbers(config)
    registry = registry_of(config)
    return registry.build(short_config(registry, config, for_modality=modality), for_modality=modality)


def inner_state(estimator: Any, prefix: str = "") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts and tensors of a fitted estimator inside another one, for the file of that: each name after a prefix."""
    facts, tensors = estimator.fitted_state()
    own = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    return {"of": described(estimator, facts), "facts": facts}, own


def restored_inner(facts: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str = "") -> Any:
    """Inverse of :func:`inner_state`; facts may hold more than it gave, and tensors others without the prefix."""
    estimator = rebuilt(facts["of"], facts["facts"])
    estimator.restore_fitted_state(facts["facts"], tensors_under(tensors, prefix))
    return estimator


def registry_of(part: Any) -> Registry:
    """Registry that knows an estimator, or its name or config: classifiers, connections, or else methods."""
    for registry in (classifiers, connections):
        try:
            registry.name_of(part)
        except ValueError:
            continue
        return registry
    return methods


def fitted_modality(facts: Mapping[str, Any]) -> str:
    """Modality of the data that fitted facts speak of: pairs have sides, tables a schema."""
    while "facts" in facts:  # those of the method inside
        facts = facts["facts"]
    return PAIRED if "sides" in facts else TABLE if "schema" in facts else SERIES


def without_run_fields(part: Any) -> Any:
    """An estimator, or a spec of one, whose trainers hold no checkpoint folder, callback and the like.

    They concern one run on one machine, and a path may name a person or a place. The part itself stays as it is.
    """
    if isinstance(part, Trainer):
        return Trainer(**_lasting(part.get_params(deep=False)))
    if isinstance(part, Mapping):
        return {
            name: _lasting(value) if name == "trainer" and isinstance(value, Mapping) else without_run_fields(value)
            for name, value in part.items()
        }
    if isinstance(part, list | tuple):
        return type(part)(map(without_run_fields, part)) if type(part) in (list, tuple) else part
    if isinstance(part, type) or not hasattr(part, "get_params"):
        return part
    given = part.get_params(deep=False)
    changed = {name: without_run_fields({name: value})[name] for name, value in given.items()}
    if all(changed[name] is given[name] for name in given):
        return part
    twin = copy.copy(part)
    for name, value in changed.items():
        setattr(twin, name, value)
    return twin


def _lasting(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in RUN_FIELDS}


def save_model(estimator: Any, path: str | os.PathLike[str]) -> Path:
    """Write a fitted estimator to a file, whole or not at all."""
    return atomic_write(path, dump_model(estimator))


def parse_model(data: bytes, source: str) -> Any:
    """Fitted estimator from the bytes of :func:`dump_model`; errors as :func:`load_model`."""
    tensors, metadata = parse_tensors(data, source)
    version = _check_format(metadata, source)
    try:
        parts = {name: _part(metadata, name) for name in _JSON if name in metadata}
    except ValueError as error:
        raise _incomplete(source, error) from error
    refuse_imports([metadata, *parts.values()], source)
    try:
        config, facts = {metadata["method"]: parts["parameters"]}, parts["fitted"]
        if version in _DEFAULTS_OF:
            frozen = frozen_defaults(_DEFAULTS_OF[version])
            config, facts = _completed(config, frozen), _completed_facts(facts, frozen)
        estimator = rebuilt(config, facts)
        estimator.restore_fitted_state(facts, tensors)
        if "trainer" in parts:
            estimator.trainer_ = Trainer(**_lasting(parts["trainer"]))
    except _INCOMPLETE as error:
        raise _incomplete(source, error) from error
    return estimator


def _incomplete(source: str, error: Exception) -> ValueError:
    return ValueError(f"{source} is not a complete kinview model: {str(error) or type(error).__name__}")


def _part(metadata: Mapping[str, str], name: str) -> Any:
    return parse_json(metadata[name], f"its part {name!r}")


def _completed(config: Any, frozen: Mapping[str, Any]) -> Any:
    """Config with the parameters that an older file leaves out."""
    return complete_config(registry_of(config), config, frozen=frozen)


def _completed_facts(facts: Any, frozen: Mapping[str, Any]) -> Any:
    """Facts with the parameters that an older file leaves out of an estimator inside: ``of``, and its own ``facts``."""
    if not isinstance(facts, dict) or "of" not in facts:
        return facts
    return {**facts, "of": _completed(facts["of"], frozen), "facts": _completed_facts(facts.get("facts"), frozen)}


def load_model(path: str | os.PathLike[str]) -> Any:
    """Load an estimator that its ``save`` wrote.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file, or the ``.zip`` that ``save`` makes for sktime when given a name without an ending.

    Returns
    -------
    estimator
        Fitted; its ``transform`` gives the same embeddings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, damaged, of another kind, of a newer format, or of a method that is not installed.
    """
    return parse_model(_read(path), str(path))


def model_metadata(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a model file, without building the estimator; errors as :func:`load_model`."""
    tensors, metadata = parse_tensors(_read(path), str(path))
    _check_format(metadata, str(path))
    return metadata, tensors


def _read(path: str | os.PathLike[str]) -> bytes:
    source = Path(path)
    if not source.is_file() and not source.suffix and source.with_name(source.name + ".zip").is_file():
        source = source.with_name(source.name + ".zip")
    if not source.is_file():
        raise FileNotFoundError(f"there is no model file {source}")
    return _read_member(source) if zipfile.is_zipfile(source) else source.read_bytes()


def _read_member(source: Path) -> bytes:
    """The model inside a zip file, which is stored there as it is: what is compressed may be of any size."""
    damage = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, struct.error, OverflowError, ValueError)
    refusal = None
    try:
        with zipfile.ZipFile(source) as archive:
            members = [member for member in archive.infolist() if member.filename == "_obj"]
            if len(members) != 1:
                refusal = f"{source} is a zip file without a kinview model inside"
            elif members[0].compress_type != zipfile.ZIP_STORED or members[0].file_size > source.stat().st_size:
                refusal = (
                    f"{source} is refused: the model inside is compressed, {members[0].compress_size:,} bytes for "
                    f"{members[0].file_size:,}; unpack the zip file and load the file _obj in it"
                )
            else:
                return archive.read(members[0])
    except damage as error:
        raise ValueError(f"{source} is a damaged zip file: {error}; use a fresh copy") from error
    raise ValueError(refusal)


def _check_format(metadata: dict[str, str], source: str) -> int:
    """Version of the format."""
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{source} is not a kinview model (its format is {metadata.get('format', 'unknown')!r})")
    version = metadata.get("format_version", "")
    if not version.isdigit() or int(version) > FORMAT_VERSION:
        raise ValueError(
            f"{source} has model format {version!r}, this kinview reads up to {FORMAT_VERSION}: "
            f"it was written by kinview {metadata.get('kinview_version', '?')}; upgrade kinview"
        )
    return int(version)
