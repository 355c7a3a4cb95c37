"""Saved models: they give the same embeddings, hold nothing of the training rows, and execute nothing."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load, save_file
from sktime.base import load as load_by_sktime

import helpers
import kinview
from kinview import SCARF, TFC, FineTunedClassifier, TabularSimCLR, Trainer, TS2Vec, load_model
from kinview.files import dump_tensors, parse_tensors
from kinview.methods import RandomInit, RawFeatures, methods
from kinview.methods.estimators.model_file import dump_model, model_metadata, parse_model
from kinview.training import Callback
from kinview.training.method import Sizes

SERIES, TABLE = ({**helpers.SMALL[name], "depth": 2} for name in ("ts2vec", "scarf"))
SMALL = {
    "ts2vec": lambda: TS2Vec(**SERIES),
    "ts2vec with a clock": lambda: TS2Vec(**SERIES, front_end="values+mask+delta", scaling="sample"),
    "tfc": lambda: TFC({"resnet1d": {"widths": [4], "kernel_sizes": [3]}}, trainer={"max_steps": 2}, random_state=0),
    "scarf": lambda: SCARF(**TABLE),
    "scarf with a trainer": lambda: SCARF(hidden_dim=4, random_state=0, trainer=Trainer(max_steps=2, lr=0.01)),
    "raw series": RawFeatures,
    "raw table": RawFeatures,
    "random series": lambda: RandomInit({"ts2vec": {"repr_dim": 4, "depth": 2}}, random_state=0),
    "random table": lambda: RandomInit({"scarf": {"hidden_dim": 4}}, random_state=0),
}
every_method = pytest.mark.parametrize("name", sorted(SMALL))


def _series() -> np.ndarray:
    X = np.random.default_rng(0).normal(37.0, 1.3, size=(8, 2, 12))
    X[:, 1, 4:7] = np.nan
    return X


def _table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    wards = ["cardiology"] * 15 + ["oncology"] * 9 + ["Zanzibar clinic"] * 3 + ["dr Quixote"] * 1
    frame = pd.DataFrame(
        {
            "glucose": random.normal(5.5, 1.1, 28),
            "ward": wards,
            "born": pd.Timestamp("1950-01-01") + pd.to_timedelta(random.integers(0, 9999, 28), unit="D"),
            "smoker": random.random(28) < 0.5,
        }
    )
    frame.loc[[3, 17], "glucose"] = np.nan
    return frame.sample(frac=1.0, random_state=1, ignore_index=True)


def _data(name: str):
    return _table() if "table" in name or "scarf" in name else _series()


def _embed(model, X) -> np.ndarray:
    return np.asarray(model.transform(X))


@pytest.fixture(scope="module")
def fitted():
    return {name: make().fit(_data(name)) for name, make in SMALL.items()}


@pytest.fixture
def saved(fitted, tmp_path) -> Path:
    return fitted["ts2vec"].save(tmp_path / "model.safetensors")


# ------------------------------------------------------------------------------------------------- round trips


@every_method
def test_a_loaded_model_gives_the_same_embeddings(fitted, name, tmp_path):
    model, X = fitted[name], _data(name)
    path = model.save(tmp_path / "model.safetensors")
    again = load_model(path)
    assert type(again) is type(model)
    assert np.array_equal(_embed(again, X), _embed(model, X))
    assert methods.to_config(again) == methods.to_config(model)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]
    # equal models are equal files, also after a round trip
    assert dump_model(again) == path.read_bytes() == dump_model(model)


@every_method
def test_a_loaded_model_can_be_fitted_again(fitted, name, tmp_path):
    again = load_model(fitted[name].save(tmp_path / "model.safetensors")).fit(_data(name))
    assert np.array_equal(_embed(again, _data(name)), _embed(fitted[name], _data(name)))


@pytest.mark.parametrize("name", ["ts2vec", "tfc", "scarf", "random table"])
def test_a_file_that_says_no_sizes_is_read_as_in_0_1_0(fitted, name):
    model, X = fitted[name], _data(name)
    if name == "ts2vec":  # its files had no tables of what fills gaps
        model = SMALL[name]().set_params(fill="zero").fit(X)
    facts, tensors = model.fitted_state()
    own = facts.get("facts", facts)
    sizes = own.pop("sizes")
    if name == "tfc":  # the one method whose files said more than the channels or the columns
        own |= {"length": sizes["length"], "encoder_channels": sizes["channels"]}
    old = type(model)(**model.get_params(deep=False))
    old.restore_fitted_state(json.loads(json.dumps(facts)), tensors)
    assert np.array_equal(_embed(old, X), _embed(model, X))
    inner = getattr(old, "estimator_", old)
    assert inner.sizes_.to_config() == {**sizes, "rows": 0, "length": sizes["length"] if name == "tfc" else 0}
    if name == "tfc":
        with pytest.warns(UserWarning, match="these weights start anew"):
            moved = [_embed(either.adapt(X[:, :1]), X[:, :1]) for either in (old, model)]
        assert np.array_equal(*moved)


def test_a_file_says_the_sizes_that_the_network_is_built_for(fitted, saved):
    assert load_model(saved).sizes_ == fitted["ts2vec"].sizes_ == Sizes(channels=2, length=12, rows=8)
    assert json.loads(model_metadata(saved)[0]["fitted"])["sizes"]["rows"] == 8


def test_a_parameter_out_of_range_in_a_file_is_refused_by_name(saved):
    tensors, metadata = parse_tensors(saved.read_bytes(), "a file")
    parameters = {**json.loads(metadata["parameters"]), "depth": -1}
    with pytest.raises(ValueError, match="depth must be at least 0; got -1"):
        parse_model(dump_tensors(tensors, {**metadata, "parameters": json.dumps(parameters)}), "a file")


def test_a_loaded_ts2vec_encodes_and_keeps_its_channels(saved, fitted):
    again = load_model(saved)
    for options in ({}, {"window": 3}, {"causal": True, "sliding_length": 2, "sliding_padding": 4}):
        assert np.array_equal(again.encode(_series(), **options), fitted["ts2vec"].encode(_series(), **options))
    with pytest.raises(ValueError, match=r"X has 1 channel\(s\), but 2 at fit"):
        again.transform(_series()[:, :1])


def test_a_loaded_scarf_keeps_its_columns(fitted, tmp_path):
    again = load_model(fitted["scarf"].save(tmp_path / "model.safetensors"))
    assert list(again.feature_names_in_) == list(_table().columns) and again.n_features_in_ == 4
    assert list(again.get_feature_names_out()) == [f"scarf{i}" for i in range(4)]
    with pytest.raises(ValueError, match=r"lacks the column.*'ward'"):
        again.transform(_table().drop(columns="ward"))


@pytest.mark.parametrize("where", ["memory", "zip"])
def test_sktime_loads_what_ts2vec_saves(fitted, tmp_path, where):
    model = fitted["ts2vec"]
    if where == "memory":
        serial = model.save()
        assert serial[0] is TS2Vec and load(serial[1])
        again = load_by_sktime(serial)
    else:
        path = model.save(tmp_path / "model")
        assert path == tmp_path / "model.zip"
        again = load_by_sktime(str(tmp_path / "model"))
        assert np.array_equal(_embed(load_by_sktime(path), _series()), _embed(again, _series()))
        assert np.array_equal(_embed(load_model(path), _series()), _embed(model, _series()))
        assert np.array_equal(_embed(load_model(tmp_path / "model"), _series()), _embed(model, _series()))
    assert isinstance(again, TS2Vec)
    assert np.array_equal(_embed(again, _series()), _embed(model, _series()))


def test_metadata_can_be_read_without_building_the_model(saved):
    metadata, tensors = model_metadata(saved)
    assert (metadata["format"], metadata["format_version"]) == ("kinview-model", "2")
    assert metadata["method"] == "ts2vec" and metadata["kinview_version"] == kinview.__version__
    assert json.loads(metadata["parameters"])["repr_dim"] == 4
    assert set(tensors) == set(load_model(saved).method_.state_dict())


def test_loading_leaves_the_callers_random_state(saved):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    load_model(saved)
    assert torch.equal(torch.get_rng_state(), before)


# --------------------------------------------------------------------------------------------- what is not inside


def _numbers_of(value) -> set[float]:
    if isinstance(value, dict):
        return set().union(*map(_numbers_of, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(_numbers_of, value)) if value else set()
    return {float(value)} if isinstance(value, int | float) and not isinstance(value, bool) else set()


def _holds_any(data: bytes, values: np.ndarray, allowed: set[float] = frozenset()) -> list[float]:
    """Values that are in a file: as float64 or float32 anywhere, as a number in the header, or in a tensor."""
    (length,) = struct.unpack("<Q", data[:8])
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    written = _numbers_of([json.loads(metadata["fitted"]), json.loads(metadata["parameters"])])
    tensors = np.concatenate([tensor.double().flatten().numpy() for tensor in load(data).values()])
    found = []
    for value in np.unique(values[np.isfinite(values)]):
        raw = np.float64(value).tobytes() in data or np.float32(value).tobytes() in data
        near = bool(np.isclose(tensors, value, rtol=1e-6, atol=0.0).any()) and value not in (0.0, 1.0)
        if (raw or near or any(np.isclose(value, w, rtol=1e-9, atol=0.0) for w in written)) and value not in allowed:
            found.append(float(value))
    return found


def test_no_value_of_a_training_series_is_in_the_file(fitted):
    X = _series()
    for name in ("ts2vec", "ts2vec with a clock", "random series", "raw series"):
        data = dump_model(fitted[name])
        assert _holds_any(data, X.ravel()) == []
        assert _holds_any(data, fitted["ts2vec"].scaler_.apply(torch.tensor(X)).numpy().ravel().astype(float)) == []


def test_no_cell_of_a_training_table_is_in_the_file(fitted):
    frame = _table()
    cells = np.concatenate([frame["glucose"], frame["born"].astype("int64") / 10**9, frame["born"].astype("int64")])
    encoded = fitted["scarf"].schema_.to_batch(frame).x[:, [0, 2]].numpy().ravel().astype(float)
    for name in ("scarf", "random table", "raw table"):
        data = dump_model(fitted[name])
        assert _holds_any(data, cells) == []
        if name != "raw table":  # which keeps the medians, that it fills gaps with
            assert _holds_any(data, encoded) == []


def test_the_search_would_find_a_value_that_is_there():
    state = {"w": torch.tensor([1.25, 7.5])}
    data = dump_tensors(state, {"fitted": json.dumps({"mean": [0.625, {"x": 3.1}]}), "parameters": "{}"})
    assert _holds_any(data, np.array([7.5, 3.1, 0.625, 2.0, np.nan])) == [0.625, 3.1, 7.5]


def test_the_marginals_leave_scarf_with_its_training(fitted):
    model = fitted["scarf"]
    assert model.method_.corruption._marginals is None
    for tensor in model.method_.state_dict().values():
        assert tensor.shape[:1] != (28,)
    assert parse_model(dump_model(model), "the bytes").schema_.marginals is None


def test_names_of_rare_categories_are_not_in_the_file(fitted):
    for name in ("scarf", "random table", "raw table"):
        data = dump_model(fitted[name])
        assert b"oncology" in data
        for rare in (b"Zanzibar", b"Quixote"):
            assert rare not in data


@pytest.mark.parametrize("name", ["scarf", "random table", "raw table"])
def test_rare_categories_share_one_code_before_and_after_saving(fitted, name, tmp_path):
    again = load_model(fitted[name].save(tmp_path / "model.safetensors"))
    row = _table().head(1)
    for model in (fitted[name], again):
        rare, unseen = (_embed(model, row.assign(ward=ward)) for ward in ("Zanzibar clinic", "never heard of"))
        assert np.array_equal(rare, _embed(model, row.assign(ward="dr Quixote"))) and np.array_equal(rare, unseen)
        assert not np.array_equal(rare, _embed(model, row.assign(ward="oncology")))


@pytest.mark.parametrize("seed", range(3))
def test_fit_pickle_and_file_agree_bit_for_bit_where_categories_are_rare(seed, tmp_path):
    random = np.random.default_rng(seed)
    wards = [f"ward {number}" for number in random.zipf(1.5, 300) % 80]
    X = pd.DataFrame({"age": random.normal(60, 9, 300), "ward": wards, "site": random.choice(list("abc"), 300)})
    assert (X["ward"].map(X["ward"].value_counts()) < 5).sum() > 30
    X.loc[::7, "ward"] = None
    made = [
        SCARF(**TABLE).fit(X[:200]),
        TabularSimCLR(encoder={"mlp": {"hidden_dim": 4}}, trainer={"max_steps": 2}, random_state=0).fit(X[:200]),
        RawFeatures().fit(X[:200]),
        FineTunedClassifier(SCARF(**TABLE), trainer={"max_steps": 2}, random_state=0).fit(X[:200], wards[:200]),
    ]
    for model in made:
        read = getattr(model, "predict_proba", None) or model.transform
        for again in (load_model(model.save(tmp_path / "model.safetensors")), pickle.loads(pickle.dumps(model))):
            told = getattr(again, "predict_proba", None) or again.transform
            assert np.array_equal(told(X), read(X), equal_nan=True)


# --------------------------------------------------------------------------------------------------- refusals


def test_an_unfitted_estimator_cannot_be_saved(tmp_path):
    for make in SMALL.values():
        with pytest.raises(Exception, match=r"not been fitted|not fitted"):
            make().save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


class _Unregistered(Callback):
    pass


def test_a_parameter_without_config_is_named(tmp_path):
    model = TS2Vec(**SERIES).fit(_series())
    model.scaling = _Unregistered()
    with pytest.raises(TypeError, match=r"TS2Vec\.scaling: .*_Unregistered.* has no config"):
        model.save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_what_concerns_the_run_alone_is_not_in_the_file(tmp_path):
    folder = tmp_path / "secret_folder"
    run = {"checkpoint_dir": str(folder), "checkpoint_every": 1, "resume": "never", "progress": False}
    fields = {**run, "max_steps": 1, "callbacks": [_Unregistered()]}
    X, y = _series(), [0, 1] * (len(_series()) // 2) + [0] * (len(_series()) % 2)
    small = {**SERIES, "trainer": {"max_steps": 1}}
    for kind in (dict, Trainer):
        model = TS2Vec(**{**SERIES, "trainer": kind(**fields)}).fit(X)
        model.trainer = kind(**fields)
        for estimator in (
            model,
            FineTunedClassifier(model, trainer=kind(**fields), random_state=0).fit(X, y),
            FineTunedClassifier({"ts2vec": {**SERIES, "trainer": fields}}, trainer=small["trainer"]).fit(X, y),
            RandomInit({"ts2vec": {**SERIES, "trainer": fields}}).fit(X),
            RandomInit(model).fit(X),
        ):
            file = estimator.save(tmp_path / "model.safetensors")
            content = file.read_bytes()
            for word in (b"secret_folder", b"checkpoint", b"resume", b"progress", b"callbacks"):
                assert word not in content, (estimator, word)
            loaded = load_model(file)
            given = loaded.get_params(deep=False).get("trainer")
            assert given is None or dict(given) == {"max_steps": 1}
        assert (model.trainer if kind is dict else model.trainer.get_params())["checkpoint_dir"] == str(folder)


def test_a_failing_save_leaves_the_old_file(saved, fitted, monkeypatch):
    before = saved.read_bytes()
    nameless = TS2Vec(**SERIES).fit(_series())
    nameless.scaling = _Unregistered()
    with pytest.raises(TypeError):
        nameless.save(saved)
    assert saved.read_bytes() == before

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kinview.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fitted["ts2vec with a clock"].save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_missing_folder_or_file_is_named(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist; make it first"):
        fitted["ts2vec"].save(tmp_path / "nowhere" / "model.safetensors")
    with pytest.raises(FileNotFoundError, match=r"there is no model file .*nothing"):
        load_model(tmp_path / "nothing.safetensors")


def test_every_truncation_is_refused(saved):
    data = saved.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
        saved.write_bytes(data[:length])
        with pytest.raises(ValueError, match="truncated"):
            load_model(saved)
    saved.write_bytes(data + b"\0")
    with pytest.raises(ValueError, match=r"model.safetensors"):
        load_model(saved)


def test_every_flipped_byte_is_refused(saved):
    data = saved.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    places = [*range(0, 8 + header, 17), *range(8 + header, len(data), 97), len(data) - 1]
    assert len(places) > 80
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        saved.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model.safetensors"):
            load_model(saved)


def test_changed_metadata_are_refused(saved):
    data = saved.read_bytes()
    for old, new in ((b"channel_0", b"channel_9"), (b'"F32"', b'"I32"'), (rb"\"repr_dim\":4", rb"\"repr_dim\":5")):
        old = old if old in data else old.replace(b":", b": ")
        new = new if b": " not in old else new.replace(b":", b": ")
        assert old in data
        saved.write_bytes(data.replace(old, new, 1))
        with pytest.raises(ValueError, match=r"damaged|not a complete|not a readable"):
            load_model(saved)


def _rewritten(saved: Path, **changes: str) -> None:
    """The same file with other metadata and a valid checksum."""
    metadata, tensors = model_metadata(saved)
    saved.write_bytes(dump_tensors(tensors, {**metadata, **changes}))


def test_foreign_files_are_refused(tmp_path, saved):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="was not written by kinview: its header carries no checksum"):
        load_model(path)
    path.write_bytes(dump_tensors({"weight": torch.zeros(3)}, {"format": "pt"}))
    with pytest.raises(ValueError, match=r"is not a kinview model .its format is 'pt'"):
        load_model(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    with pytest.raises(ValueError, match=r"foreign.safetensors"):
        load_model(path)
    path.write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(ValueError, match=r"foreign.safetensors"):
        load_model(path)


def test_a_checkpoint_is_not_a_model(tmp_path):
    TS2Vec(**{**SERIES, "trainer": {"max_steps": 1, "checkpoint_dir": str(tmp_path)}}).fit(_series())
    with pytest.raises(ValueError, match=r"is not a kinview model .its format is 'kinview-checkpoint'"):
        load_model(tmp_path / "checkpoint.safetensors")


def test_a_newer_format_says_what_to_do(saved):
    _rewritten(saved, format_version="3", kinview_version="9.0.0")
    with pytest.raises(ValueError, match=r"model format '3', this kinview reads up to 2: .*by kinview 9.0.0; upgrade"):
        load_model(saved)


def test_names_are_resolved_by_the_registry_only(saved):
    for name in ("os.system", "kinview.methods.ts2vec.estimator.TS2Vec", "ts3vec"):
        _rewritten(saved, method=name)
        with pytest.raises(ValueError, match=f"unknown method '{name}'"):
            load_model(saved)
    _rewritten(saved, method="ts2vec", parameters=json.dumps({"command": "true"}))
    with pytest.raises(ValueError, match="method 'ts2vec' has no parameter 'command'"):
        load_model(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"fitted": "{}"},
        {"fitted": "not JSON"},
        {"fitted": "[]"},
        {"fitted": json.dumps({"channels": ["a"], "scaler": {"scaling": None, "mean": [0.0], "std": [1.0]}})},
        {"fitted": json.dumps({"channels": None, "scaler": None})},
        {"parameters": "{"},
        {"parameters": json.dumps({"depth": 3})},
        {"method": "scarf"},
    ],
)
def test_an_incomplete_model_is_refused(saved, changes):
    _rewritten(saved, **changes)
    with pytest.raises(ValueError, match=r"is not a complete kinview model|has no parameter"):
        load_model(saved)


def test_a_header_over_ten_megabytes_is_refused(saved, fitted, monkeypatch):
    header = b'{"__metadata__":{"format":"kinview-model","x":"' + b" " * 10_000_000 + b'"}}'
    saved.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ValueError, match=r"a header of 10,000,\d+ bytes is refused; at most 10,000,000"):
        load_model(saved)
    before = saved.read_bytes()
    monkeypatch.setattr("kinview.files._HEADER_LIMIT", 100)
    with pytest.raises(ValueError, match="is refused; at most 100"):
        fitted["ts2vec"].save(saved)
    assert saved.read_bytes() == before


def test_a_header_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "deep.safetensors"
    header = b"[" * 1_000_000
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ValueError, match=r"deep.safetensors"):
        load_model(path)


# ------------------------------------------------------------------------------------------- nothing is executed


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def _zip(path: Path, **parts: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())


def test_loading_executes_nothing(fitted, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "model.zip"
    payload = pickle.dumps(_Payload(marker))
    _zip(path, _metadata=payload, _obj=dump_model(fitted["ts2vec"]))
    model = load_model(path)
    assert np.array_equal(_embed(model, _series()), _embed(fitted["ts2vec"], _series()))
    assert np.array_equal(_embed(TS2Vec.load_from_path(path), _series()), _embed(model, _series()))
    _zip(path, _metadata=payload, _obj=payload)
    with pytest.raises(ValueError, match=r"model.zip"):
        load_model(path)
    path.write_bytes(payload)
    with pytest.raises(ValueError, match=r"model.zip"):
        load_model(path)
    with pytest.raises(ValueError, match="the serialised model"):
        TS2Vec.load_from_serial(payload)
    assert not marker.exists()
    pickle.loads(payload)
    assert marker.exists(), "the payload would have shown itself"


def test_a_damaged_or_foreign_zip_is_refused(fitted, tmp_path):
    path = fitted["ts2vec"].save(tmp_path / "model")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"model.zip is a damaged zip file: .*use a fresh copy"):
        load_model(path)
    path.write_bytes(data[:-30])
    with pytest.raises(ValueError, match=r"model.zip"):
        load_model(path)
    _zip(path, readme=b"nothing here")
    with pytest.raises(ValueError, match="a zip file without a kinview model inside"):
        load_model(path)
