"""``kinview inspect``: what is inside a file that kinview wrote. Nothing in it is executed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.history import measured
from kinview._cli.models import refuse_others
from kinview._cli.text import count, plain, say, size, table
from kinview.files import parse_json, read_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import Namespace
    from torch import Tensor

__all__ = ["parse", "run"]

Rows = list[tuple[str, str]]


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser("inspect", "FILE", "What is inside a model file or a checkpoint; its checksum is verified.")
    parser.add_argument("file", type=str, help="a model that pretrain or save wrote, or a checkpoint")
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    path = Path(options.file)
    tensors, metadata = _read(path)
    kind = metadata.get("format", "")
    try:
        describe = {"kinview-model": _model, "kinview-checkpoint": _checkpoint}.get(kind, _other)
        rows, shown = describe(metadata, tensors)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a complete {kind or 'kinview'} file: {error!r}") from error
    say(*table([("file", f"{path}, {size(path.stat().st_size)}, its SHA-256 is right"), *rows]))
    say("", *_tensor_lines(shown))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        if path.is_file() and zipfile.is_zipfile(path):
            from kinview.methods.estimators.model_file import model_metadata

            metadata, tensors = model_metadata(path)
            return tensors, metadata
        return read_tensors(path)
    except (ValueError, FileNotFoundError):
        refuse_others(path)
        raise


def _model(metadata: Mapping[str, str], tensors: dict[str, Tensor]) -> tuple[Rows, dict[str, Tensor]]:
    fitted = parse_json(metadata["fitted"], "its part 'fitted'")
    rows = [
        ("kind", f"model, format {metadata['format_version']}, written by kinview {metadata['kinview_version']}"),
        ("method", metadata["method"]),
        *_mapping_rows(
            "parameters",
            _given(metadata["method"], parse_json(metadata["parameters"], "its part 'parameters'"), fitted),
        ),
        *_input_rows(fitted),
        ("weights", f"{_weights(tensors.values()):,} in {count(len(tensors), 'tensor')}"),
    ]
    return rows, tensors


def _given(method: str, parameters: dict[str, Any], fitted: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that differ from the defaults of now, all of them where the method is not installed."""
    from kinview.complete_configs import short_config
    from kinview.methods.estimators.model_file import fitted_modality, registry_of

    short = short_config(registry_of(method), {method: parameters}, for_modality=fitted_modality(fitted))
    return {} if isinstance(short, str) else short[method]


def _checkpoint(metadata: Mapping[str, str], tensors: dict[str, Tensor]) -> tuple[Rows, dict[str, Tensor]]:
    identity = parse_json(metadata["identity"], "its part 'identity'")
    state = parse_json(tensors["facts"].numpy().tobytes(), "its tensor 'facts'")["state"]
    method = {name: value for name, value in tensors.items() if name.startswith("method/")}
    rest: dict[str, list[Tensor]] = {}
    for name, value in tensors.items():
        if name not in method and name != "facts":
            rest.setdefault(name.split("/")[0], []).append(value)
    position = f"step {state['step']}, epoch {state['epoch']}"
    if state["history"]:
        position += f", loss {state['history'][-1]['loss']:.4g}"
    rows = [
        ("kind", f"checkpoint of a training, format {metadata['format_version']}"),
        ("method", str(identity.get("method", "unknown"))),
        *_mapping_rows("parameters", identity.get("parameters") or {}),
        *_mapping_rows("trainer", {k: v for k, v in (identity.get("trainer") or {}).items() if v is not None}),
        ("seed", str(identity.get("seed", "unknown"))),
        ("position", position),
        *[("measured" if i == 0 else "", line) for i, line in enumerate(measured(state["history"]))],
        ("data", f"fingerprint {identity.get('data', 'unknown')}"),
        ("weights", f"{_weights(method.values()):,} in {count(len(method), 'tensor')}"),
        ("also", ", ".join(f"{name} ({count(len(values), 'tensor')})" for name, values in rest.items())),
    ]
    return rows, method


def _other(metadata: Mapping[str, str], tensors: dict[str, Tensor]) -> tuple[Rows, dict[str, Tensor]]:
    return [("kind", "tensors"), *_mapping_rows("metadata", metadata)], tensors


def _mapping_rows(title: str, values: Mapping[str, Any]) -> Rows:
    pairs = [f"{key}: {plain(value)}" for key, value in values.items()] or ["as published (no other is given)"]
    return [(title if i == 0 else "", pair) for i, pair in enumerate(pairs)]


def _input_rows(fitted: Mapping[str, Any]) -> Rows:
    """Channels or columns that the model was fitted on."""
    fitted = fitted.get("facts", fitted)  # a random_init model wraps those of its method
    rows: Rows = []
    if "channels" in fitted:
        rows.append(("channels", f"{len(fitted['channels'])}: {', '.join(map(str, fitted['channels']))}"))
    if "schema" in fitted:
        entries = [f"{entry['name']} ({entry['kind']})" for entry in fitted["schema"]["columns"]]
        rows.append(("columns", f"{len(entries)}: {', '.join(entries)}"))
    scaling = (fitted.get("scaler") or {}).get("scaling")
    return [*rows, ("scaling", str(scaling))] if scaling else rows


def _weights(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _tensor_lines(tensors: Mapping[str, Tensor]) -> list[str]:
    rows = [
        (name, " x ".join(map(str, tensor.shape)) or "scalar", str(tensor.dtype).removeprefix("torch."))
        for name, tensor in sorted(tensors.items(), key=lambda item: _natural(item[0]))
    ]
    return table(rows, folded={})


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which block 10 follows block 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]
