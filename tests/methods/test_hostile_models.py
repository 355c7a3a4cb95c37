"""Model files that claim what they do not hold: refused before anything is allocated, whatever they say."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import kinview
from kinview import SCARF, TFC, TSTCC, FineTunedClassifier, SimCLR, TS2Vec, load_model
from kinview.files import dump_tensors, parse_tensors
from kinview.methods import MoCo, RandomInit, RawFeatures, TabularSimCLR, methods
from kinview.methods.estimators import bounded_build
from kinview.methods.estimators.model_file import dump_model, parse_model

HUGE = 2**63
QUICK: dict[str, Any] = {"trainer": {"max_steps": 1}, "random_state": 0}
SMALL = {
    "ts2vec": lambda: TS2Vec(repr_dim=4, hidden_dim=4, depth=2, **QUICK),
    "tfc": lambda: TFC({"resnet1d": {"widths": [4], "kernel_sizes": [3]}}, bins=8, hidden_dim=4, **QUICK),
    "tstcc": lambda: TSTCC(**QUICK),
    "moco": lambda: MoCo(**QUICK),
    "simclr": lambda: SimCLR(**QUICK),
    "scarf": lambda: SCARF(hidden_dim=4, **QUICK),
    "tabular simclr": lambda: TabularSimCLR(**QUICK),
    "random series": lambda: RandomInit({"ts2vec": {"repr_dim": 4, "depth": 2}}, random_state=0),
    "raw": RawFeatures,
}


def _data(name: str) -> Any:
    random_numbers = np.random.default_rng(0)
    if name in ("scarf", "tabular simclr"):
        return pd.DataFrame({"a": random_numbers.normal(size=12), "b": ["x", "y"] * 6})
    return random_numbers.normal(size=(8, 2, 40))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    made = {name: dump_model(make().fit(_data(name))) for name, make in SMALL.items()}
    classifier = FineTunedClassifier(SMALL["ts2vec"](), head={"mlp": {"hidden_dim": 4}}, **QUICK)
    return made | {"classifier": dump_model(classifier.fit(_data("ts2vec"), ["p", "q"] * 4))}


def _crafted(data: bytes, part: str, *path: Any, value: Any) -> bytes:
    """The same file, its checksum right, with another value in a part of its metadata."""
    tensors, metadata = parse_tensors(data, "a file")
    content = json.loads(metadata[part])
    place = content
    for key in path[:-1]:
        place = place[key]
    assert path[-1] in place
    place[path[-1]] = value
    return dump_tensors(tensors, {**metadata, part: json.dumps(content)})


CLAIMS = [
    *(("ts2vec", "parameters", ("depth",), value) for value in (3, 10**4, 2**31, HUGE, 10**400)),
    *(("ts2vec", "parameters", (name,), value) for name in ("repr_dim", "hidden_dim") for value in (5, 2**20, HUGE)),
    ("ts2vec", "fitted", ("sizes", "channels"), 2**40),
    ("tfc", "parameters", ("encoder", "resnet1d", "widths"), [4] * 10**5),
    ("tfc", "parameters", ("encoder", "resnet1d", "widths"), [2**40]),
    ("tfc", "parameters", ("bins",), 2**31),
    ("tfc", "parameters", ("bins",), HUGE),
    ("tfc", "parameters", ("projection_dim",), 2**31),
    ("tstcc", "fitted", ("sizes", "channels"), HUGE),
    ("moco", "parameters", ("queue",), 2**22),
    ("moco", "parameters", ("queue",), HUGE),
    ("simclr", "parameters", ("projection_dim",), 2**22),
    ("scarf", "parameters", ("hidden_dim",), 2**25),
    ("scarf", "parameters", ("depth",), 2**20),
    ("scarf", "fitted", ("sizes", "cardinalities"), [0, 2**40]),
    ("scarf", "fitted", ("sizes", "cardinalities"), [0] * 10**5),
    ("random series", "fitted", ("of", "ts2vec", "depth"), HUGE),
    ("random series", "fitted", ("of", "ts2vec", "repr_dim"), 2**30),
    ("random series", "fitted", ("facts", "sizes", "channels"), 2**50),
    ("classifier", "fitted", ("repr_dim",), 2**40),
    ("classifier", "fitted", ("classes",), [0] * 10**5),
    ("classifier", "fitted", ("classes_dtype",), "<U500000000"),
    ("classifier", "fitted", ("of", "ts2vec", "depth"), 2**31),
    ("classifier", "parameters", ("head", "mlp", "hidden_dim"), 2**40),
    ("random series", "fitted", ("of",), []),
    ("raw", "fitted", ("channels",), ["a"] * 5),
]


@pytest.mark.parametrize(("name", "part", "path", "value"), CLAIMS, ids=lambda value: str(value)[:30])
def test_a_network_that_the_tensors_do_not_fit_is_refused(
    files: dict[str, bytes], name: str, part: str, path: tuple[str, ...], value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.loads(parse_tensors(files[name], "a file")[1][part])
    for key in path:
        content = content[key]
    largest = 0
    to_parameter = nn.Parameter.__new__

    def watched(cls: type, data: Any = None, requires_grad: bool = True) -> Any:
        nonlocal largest
        if data is not None and data.device.type != "meta":
            largest = max(largest, data.numel())
        return to_parameter(cls, data, requires_grad)

    monkeypatch.setattr(nn.Parameter, "__new__", watched)
    with pytest.raises(ValueError, match=r"^crafted is not a complete kinview model: .{10}"):
        parse_model(_crafted(files[name], part, *path, value=value), "crafted")
    assert largest < 2**21  # nothing larger than what a good file of this kind has


def test_a_length_that_is_merely_claimed_costs_nothing(files: dict[str, bytes]) -> None:
    X = _data("ts2vec")
    zeros = dump_model(SMALL["ts2vec"]().set_params(fill="zero").fit(X))
    for claimed in (2**40, HUGE):
        again = parse_model(_crafted(zeros, "fitted", "sizes", "length", value=claimed), "crafted")
        assert np.array_equal(again.transform(X), parse_model(zeros, "good").transform(X))
        with pytest.raises(ValueError, match="is not a complete kinview model"):
            parse_model(_crafted(files["ts2vec"], "fitted", "sizes", "length", value=claimed), "crafted")


def test_what_is_not_stored_is_bounded(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    parse_model(files["simclr"], "good")
    monkeypatch.setattr(bounded_build, "_NOT_STORED", 1_000)
    with pytest.raises(
        ValueError,
        match=r"weights of the network that is described are not stored; at most 1,000|of more than .* weights",
    ):
        parse_model(files["simclr"], "good")


def test_a_part_that_is_merely_claimed_is_not_built(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    X, good = _data("simclr"), parse_model(files["simclr"], "good")
    crafted = _crafted(files["simclr"], "parameters", "projection_dim", value=2**20)  # 134 million weights
    filled = 0
    uniform = torch.Tensor.uniform_

    def watched(tensor: torch.Tensor, *words: Any, **options: Any) -> torch.Tensor:
        nonlocal filled
        filled += tensor.numel() if tensor.device.type != "meta" else 0
        return uniform(tensor, *words, **options)

    monkeypatch.setattr(torch.Tensor, "uniform_", watched)
    again = parse_model(crafted, "crafted")
    assert filled < 2**21
    assert np.array_equal(again.transform(X), good.transform(X)) and dump_model(again) == crafted
    assert {value.device.type for value in again.method_.state_dict().values()} == {"cpu"}
    with pytest.raises(ValueError, match="the network needs its part 'projector', which is not stored"):
        again.method_.projector(torch.zeros(2, 4))
    again = parse_model(crafted, "crafted").set_params(projection_dim=4)
    assert again.fit(X).transform(X).shape == good.transform(X).shape  # fitting builds all of it
    tuned = FineTunedClassifier(parse_model(crafted, "crafted"), **QUICK).fit(X, ["p", "q"] * 4)
    assert tuned.predict(X).shape == (8,)


def test_what_is_absent_from_a_part_that_is_stored_is_bounded_by_what_is(files: dict[str, bytes]) -> None:
    tensors, metadata = parse_tensors(files["ts2vec"], "a file")
    name = "encoder.blocks.2.conv2.bias"
    parameters = {**json.loads(metadata["parameters"]), "hidden_dim": 3000}
    for stored, message in (
        ({name: tensors[name]}, r"[\d,]{10} weights .* are not stored; at most 16,777,256"),
        ({}, "none of"),
    ):
        crafted = dump_tensors(stored, {**metadata, "parameters": json.dumps(parameters)})
        with pytest.raises(ValueError, match=message):
            parse_model(crafted, "crafted")


class _ReadsItsValues(nn.Linear):
    def __init__(self, size: int) -> None:
        super().__init__(size, size)
        self.norm = float(self.weight.detach().norm())


def test_a_part_that_reads_values_while_it_is_built_is_counted() -> None:
    good = _ReadsItsValues(3).state_dict()
    bounded_build.check_described(lambda: _ReadsItsValues(3), good)
    with pytest.raises(ValueError, match=r"describes a network of more than"), bounded_build.bounded(good):
        nn.Sequential(*(_ReadsItsValues(1) for _ in range(10**9)))
    nn.Sequential(*(nn.ReLU() for _ in range(3000)))  # and nothing is counted afterwards


def test_run_fields_of_a_crafted_model_are_dropped(files: dict[str, bytes], tmp_path: Path) -> None:
    trainer = {
        "max_steps": 1, "checkpoint_dir": str(tmp_path / "theirs"), "checkpoint_every": 1, "resume": "never",
        "progress": True, "callbacks": ["anything"],
    }  # fmt: skip
    data = _crafted(files["ts2vec"], "parameters", "trainer", value=trainer)
    model = parse_model(_crafted(data, "trainer", "max_steps", value=1), "crafted")
    assert dict(model.trainer) == {"max_steps": 1}
    tensors, metadata = parse_tensors(files["ts2vec"], "a file")
    given = json.dumps({**json.loads(metadata["trainer"]), **trainer})
    again = parse_model(dump_tensors(tensors, {**metadata, "trainer": given}), "crafted")
    assert again.trainer_.checkpoint_dir is None and again.trainer_.callbacks is None
    model.fit(_data("ts2vec"))
    assert list(tmp_path.iterdir()) == []
    for name in ("random series", "classifier"):
        inner = _crafted(files[name], "fitted", "of", "ts2vec", "trainer", value=trainer)
        loaded = parse_model(inner, "crafted")
        encoder = loaded.estimator_ if name == "random series" else loaded.encoder_
        assert dict(encoder.trainer) == {"max_steps": 1}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_good_files_load_as_they_did(files: dict[str, bytes], name: str) -> None:
    model = parse_model(files[name], "good")
    assert dump_model(model) == files[name]
    if hasattr(model, "method_"):  # what is not stored has the weights of a network that is built without the check
        fresh = type(model)(**model.get_params(deep=False))
        fresh._build_untrained(model.sizes_)
        stored = parse_tensors(files[name], "good")[0]
        for key, value in model.method_.state_dict().items():
            expected = stored.get(key, fresh.method_.state_dict()[key])
            assert torch.equal(value, expected), key


@pytest.mark.parametrize("name", sorted(methods))
def test_every_network_is_described_without_memory(name: str) -> None:
    from kinview.training.method import PairSizes, Sizes

    for target in methods[name].targets:
        if hasattr(target, "method_class"):
            estimator = target()
            table = issubclass(target, kinview.methods.estimators.tabular.TabularEstimator)
            sizes = Sizes(cardinalities=(0, 4), rows=9) if table else Sizes(channels=2, length=64, rows=9)
            if methods[name].modality == "paired":
                sizes = PairSizes.of(sizes, Sizes(cardinalities=(0, 4), rows=9))
            with torch.device("meta"):
                network = estimator._build(sizes)
            state = network.state_dict()
            estimator._build_untrained(sizes)
            assert {tensor.device.type for tensor in state.values()} == (
                {"meta"} if estimator.method_.state_dict() else set()
            )
            shapes = {key: value.shape for key, value in estimator.method_.state_dict().items()}
            assert {key: value.shape for key, value in network.state_dict().items()} == shapes


def test_a_compressed_member_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("_obj", b"\0" * 10_000_000)
        with pytest.raises(ValueError, match=r"model.zip is refused: the model inside is compressed, .*load the file"):
            load_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_obj", files["ts2vec"])
    assert np.array_equal(load_model(path).transform(_data("")), parse_model(files["ts2vec"], "").transform(_data("")))


def test_random_cut_and_flipped_files_are_value_errors(files: dict[str, bytes], tmp_path: Path) -> None:
    draw = random.Random(0)
    zipped = tmp_path / "good.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("_obj", files["raw"])
    path = tmp_path / "model.safetensors"
    for data in (files["raw"], files["scarf"], zipped.read_bytes()):
        for _ in range(60):
            damaged = bytearray(data[: draw.randrange(len(data))] if draw.random() < 0.3 else data)
            for _ in range(draw.choice((1, 1, 8))):
                if damaged:
                    damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            path.write_bytes(damaged)
            try:
                load_model(path)
            except ValueError as error:
                assert "model.safetensors" in str(error)
            else:  # the flip changed nothing, or what a zip file does not use
                assert bytes(damaged) == data or data[:2] == b"PK"
    for size in (0, 1, 7, 8, 30, 3000):
        path.write_bytes(draw.randbytes(size))
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            load_model(path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors", "ignore:Generating overly large repr")
@settings(deadline=None, max_examples=80)
@given(
    name=st.sampled_from(["ts2vec", "scarf", "random series", "classifier", "raw", "tfc"]),
    part=st.sampled_from(["parameters", "fitted", "trainer"]),
    place=st.integers(0, 10**6),
    value=PLAIN,
)
def test_any_value_in_any_place_loads_or_is_a_value_error(
    files: dict[str, bytes], name: str, part: str, place: int, value: Any
) -> None:
    tensors, metadata = parse_tensors(files[name], "a file")
    content = json.loads(metadata.get(part, "{}"))
    places = list(_places(content))
    if not places:
        return
    holder, key = places[place % len(places)]
    holder[key] = value
    try:
        parse_model(dump_tensors(tensors, {**metadata, part: json.dumps(content)}), "crafted")
    except ValueError as error:
        assert str(error).startswith("crafted")


def _places(content: Any) -> Any:
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield content, key
        yield from _places(value)
