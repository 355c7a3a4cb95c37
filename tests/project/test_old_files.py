"""Files of earlier versions keep working, whatever has moved, been added, or got another default since."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import json
import pickle
import pickletools
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sktime.base import load as load_by_sktime

import kinview.moved
from helpers import gen
from kinview import load_model
from kinview.augmentations import augmentations
from kinview.complete_configs import complete_config, frozen_defaults, short_config
from kinview.encoders import encoders
from kinview.encoders.dropout import CheapDropout
from kinview.evaluation import Store, SymmetricNoise
from kinview.evaluation.benchmark.plan import part_label
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.store import SCHEMA_VERSION
from kinview.losses import losses
from kinview.methods import classifiers, methods
from kinview.methods.estimators.model_file import model_metadata
from kinview.methods.ts2vec.estimator import TS2VecMethod
from kinview.registry import Registry, families, to_config
from kinview.training.method import LossResult

FIXTURES = Path(__file__).parents[1] / "fixtures"
OLD = FIXTURES / "0.1.0"
EXPECTED = dict(np.load(OLD / "embeddings.npz", allow_pickle=False))
NAMES = sorted(set(EXPECTED) - {"checkpoint"})
every_estimator = pytest.mark.parametrize("name", NAMES)


def _maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_fixtures", FIXTURES / "make_fixtures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()
DATA = MAKER.inputs(OLD)


def embedded(model: Any, name: str) -> np.ndarray:
    return MAKER.embedded(model, DATA[MAKER.kind_of(name)])


def assert_as_then(seen: np.ndarray, expected: np.ndarray) -> None:
    """Equal up to the last bits, which are those of another machine."""
    assert seen.shape == expected.shape
    assert np.allclose(seen, expected, rtol=1e-5, atol=1e-6, equal_nan=True), np.nanmax(np.abs(seen - expected))


def unpickled(file: str) -> Any:
    return pickle.loads((OLD / file).read_bytes())


# --- pickles ---------------------------------------------------------------------------------------------------------


def globals_of(data: bytes) -> Iterator[tuple[str, str]]:
    """Module and name of all that a pickle asks for by name; the last two texts before the opcode name it."""
    texts: list[str] = []
    memo: dict[int, str | None] = {}
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("SHORT_BINUNICODE", "BINUNICODE"):
            texts.append(argument)
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else None
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            texts.append(memo[argument] or "")
        elif opcode.name == "GLOBAL":
            module, name = argument.split(" ")
            yield module, name
        elif opcode.name == "STACK_GLOBAL":
            yield texts[-2], texts[-1]


def reachable() -> list[tuple[str, str]]:
    found = {pair for file in OLD.glob("*.pkl") for pair in globals_of(file.read_bytes())}
    return sorted(pair for pair in found if pair[0].startswith("kinview"))


def test_every_class_of_a_pickle_is_where_the_pickle_says() -> None:
    names = reachable()
    assert len(names) > 170
    for module, name in names:
        known = kinview.moved.moved_names().get((module, name), "").partition(":")[2] or name
        assert getattr(importlib.import_module(module), name).__name__ == known, (module, name)


def test_the_pickles_hold_every_part_of_that_version() -> None:
    then = frozen_defaults("0.1.0")["parts"]
    for family, file in (("augmentations", "augmentations"), ("losses", "losses"), ("encoders", "encoders")):
        assert set(unpickled(f"{file}.pkl")) == set(then[family])
    pickled = {type(unpickled(f"{name}.pkl")) for name in NAMES}
    assert pickled >= {methods[name].target for name in then["methods"]} | {classifiers["fine_tuned"].target}


@every_estimator
def test_a_pickled_estimator_embeds_as_it_did(name: str) -> None:
    assert_as_then(embedded(unpickled(f"{name}.pkl"), name), EXPECTED[name])


def test_joblib_files_and_files_in_sktimes_layout_embed_as_they_did() -> None:
    path = OLD / "ts2vec.zip"
    for model in (joblib.load(OLD / "ts2vec.joblib"), load_model(path), load_by_sktime(path)):
        assert_as_then(embedded(model, "ts2vec"), EXPECTED["ts2vec"])


def test_a_checkpoint_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same weights, were dropout to draw its numbers as it did: over whole crops, by torch's own layer."""

    def one_by_one(method: Any, views: list[Any]) -> LossResult:
        found = [torch.nn.functional.dropout(method._encode(view), 0.1) for view in views]
        shared = [slice(*view.extra["shared"][0].tolist()) for view in views]
        return LossResult(method.contrast(*(z[:, :, steps] for z, steps in zip(found, shared, strict=True))))

    monkeypatch.setattr(CheapDropout, "forward", lambda _, x: x)
    monkeypatch.setattr(TS2VecMethod, "loss", one_by_one)
    shutil.copy(OLD / "checkpoint.safetensors", tmp_path)
    model = MAKER.checkpointed(tmp_path).set_params(fill="zero").fit(DATA["series"])  # the default of then
    assert_as_then(embedded(model, "ts2vec"), EXPECTED["checkpoint"])


def test_pickled_augmentations_make_the_same_views() -> None:
    expected = np.load(OLD / "views.npz", allow_pickle=False)
    batches = MAKER.batches()
    for name, part in unpickled("augmentations.pkl").items():
        if f"{name}.0" not in expected:
            continue
        ready = part.bind_loss(MAKER.view_loss) if "loss" in part.needs else part
        kind = part.modality if part.modality in batches else "time_series"
        views = ready(batches[kind], gen(2))
        for i, view in enumerate(views if isinstance(views, tuple) else (views,)):
            assert_as_then(view.x.detach().numpy(), expected[f"{name}.{i}"])


def test_pickled_encoders_and_losses_give_the_same_values() -> None:
    features = np.load(OLD / "features.npz", allow_pickle=False)
    for name, encoder in unpickled("encoders.pkl").items():
        batch = MAKER.batches()[str(encoders[name].modality)]
        assert_as_then(encoder(batch.x).detach().numpy(), features[name])
    values = np.load(OLD / "loss_values.npz", allow_pickle=False)
    loaded = unpickled("losses.pkl")
    for name in values:
        assert_as_then(MAKER.value_of(loaded[name]), values[name])


def test_pickles_of_other_classes_load() -> None:
    others = unpickled("others.pkl")
    X = np.nan_to_num(DATA["series"][:, 0])
    for probe in others["fitted_probes"].values():
        assert probe.predict_scores(X).shape[0] == len(X)
    assert others["trainer"].max_steps == 2
    assert others["benchmark"].name == "small"
    noisy, noise = others["noisy_labels"], others["label_noise"]["symmetric"]
    assert noisy.counts is noisy.classes is noisy.transition is None and noisy.realised_rate == noisy.flipped.mean()
    assert noise == SymmetricNoise(0.2) and not noise.group_consistent
    np.testing.assert_array_equal(noise.apply(DATA["series_labels"], seed=0).y, noisy.y)


# --- what a class has gained since -----------------------------------------------------------------------------------


def test_a_parameter_that_a_pickle_lacks_has_the_default_of_then() -> None:
    model = unpickled("ts2vec.pkl")
    state = {name: value for name, value in vars(model).items() if name not in ("padding", "max_train_length")}
    del model.method_.mask  # the network finds it with its estimator
    again = type(model).__new__(type(model))
    again.__setstate__(state)
    assert (again.padding, again.max_train_length, again.method_.mask) == ("masked", 3000, "binomial")
    assert np.array_equal(embedded(again, "ts2vec"), embedded(unpickled("ts2vec.pkl"), "ts2vec"))


def test_a_parameter_that_is_new_has_its_default() -> None:
    added = inspect.Parameter("later", inspect.Parameter.KEYWORD_ONLY, default=7)
    parts = {
        **unpickled("encoders.pkl"),
        **unpickled("losses.pkl"),
        **unpickled("augmentations.pkl"),
        "trainer": unpickled("others.pkl")["trainer"],
        "raw": unpickled("raw.pkl"),
        "scarf": unpickled("table_scarf.pkl"),
    }
    for name, part in parts.items():
        state = part.__getstate__()
        if state is None:  # a part without parameters, of which a pickle holds the class alone
            continue
        signature = inspect.signature(type(part))
        signature = signature.replace(parameters=[*signature.parameters.values(), added])
        later = type(type(part))("Later", (type(part),), {"__signature__": signature})
        again = later.__new__(later)
        again.__setstate__(state)
        assert again.later == 7, name
        recorded = getattr(again, "config", None)
        assert not isinstance(recorded, dict) or recorded["later"] == 7, name
        assert "later" not in vars(part), name


# --- model files -----------------------------------------------------------------------------------------------------


def with_defaults(monkeypatch: pytest.MonkeyPatch, registry: Registry, name: str, **defaults: Any) -> None:
    """Replace a registered class by a subclass with other defaults."""
    entry = registry[name]
    base: Any = entry.target
    signature = inspect.signature(base.__init__)
    assert set(defaults) <= set(signature.parameters)
    changed = [p.replace(default=defaults[p.name]) if p.name in defaults else p for p in signature.parameters.values()]

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.replace(parameters=changed).bind(self, *args, **kwargs)
        bound.apply_defaults()
        base.__init__(*bound.args, **bound.kwargs)

    __init__.__signature__ = signature.replace(parameters=changed)  # type: ignore[attr-defined]
    subclass = type(base)(base.__name__, (base,), {"__init__": __init__, "__module__": base.__module__})
    monkeypatch.setitem(registry._entries, name, dataclasses.replace(entry, target=subclass))


def change_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other defaults of methods and of parts inside: another network, or another embedding, would follow from each."""
    changed = {"front_end": "values", "padding": "official", "scaling": "sample", "fill": "linear"}
    with_defaults(monkeypatch, methods, "ts2vec", **changed)
    with_defaults(monkeypatch, methods, "tstcc", kernel_size=3, pooling="max", scaling=None, fill="linear")
    with_defaults(monkeypatch, methods, "tfc", representation="encoder", scaling="sample")
    with_defaults(monkeypatch, methods, "simclr", pooling="max", scaling=None)
    with_defaults(monkeypatch, methods, "scarf", depth=1, hidden_dim=16)
    change_defaults_inside(monkeypatch)


def change_defaults_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other defaults of the parts inside, those that they have gained since 0.1.0 among them."""
    with_defaults(monkeypatch, encoders, "resnet1d", stride=1, kernel_sizes=(9,), fill="completion")
    with_defaults(monkeypatch, encoders, "dilated_conv", front_end="values", padding="official", fill="linear")
    with_defaults(monkeypatch, encoders, "tstcc_cnn", front_end="values", kernel_size=4, fill="linear")
    with_defaults(monkeypatch, encoders, "patch_transformer", front_end="values", fill="completion")
    with_defaults(monkeypatch, encoders, "mlp", depth=1)
    with_defaults(monkeypatch, families()["heads"], "mlp", activation="sigmoid", depth=1)


@every_estimator
def test_a_model_file_embeds_as_it_did(name: str, tmp_path: Path) -> None:
    model = load_model(OLD / f"{name}.safetensors")
    assert_as_then(embedded(model, name), EXPECTED[name])
    again = load_model(model.save(tmp_path / "again.safetensors"))
    assert np.array_equal(embedded(again, name), embedded(model, name))
    assert again.get_params() == model.get_params()


@every_estimator
def test_a_changed_default_changes_no_model_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(OLD / f"{name}.safetensors")
    before = embedded(model, name)
    present = model.save(tmp_path / "present.safetensors")
    change_defaults(monkeypatch)
    for file in (OLD / f"{name}.safetensors", present):
        assert np.array_equal(embedded(load_model(file), name), before)


@every_estimator
def test_a_changed_default_changes_no_pickle(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change_defaults_inside(monkeypatch)  # a pickle names the classes of its methods, not their names in a registry
    assert_as_then(embedded(unpickled(f"{name}.pkl"), name), EXPECTED[name])


def test_without_the_defaults_of_then_a_changed_default_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kinview.methods.estimators.model_file._DEFAULTS_OF", {})
    change_defaults(monkeypatch)
    with pytest.raises(ValueError, match="is not a complete kinview model"):
        load_model(OLD / "ts2vec.safetensors")


def test_a_model_file_holds_every_parameter(tmp_path: Path) -> None:
    model = load_model(OLD / "simclr_frequency.safetensors")
    model.trainer_ = MAKER.Trainer(max_steps=2, lr=0.1, checkpoint_dir=str(tmp_path))
    metadata, _ = model_metadata(model.save(tmp_path / "model.safetensors"))
    parameters = json.loads(metadata["parameters"])
    assert set(parameters) == set(model.get_params(deep=False))
    inner = parameters["encoder"]["frequency"]
    assert (inner["bins"], inner["encoder"]["resnet1d"]["stride"]) == (8, 2)
    assert "front_end" not in inner["encoder"]["resnet1d"]  # that of spectra, which the frequency encoder chooses
    assert parameters["trainer"]["lr"] is None
    assert json.loads(metadata["trainer"]) == {"max_steps": 2, "lr": 0.1}
    assert load_model(tmp_path / "model.safetensors").trainer_.lr == 0.1
    nested, _ = model_metadata(load_model(OLD / "fine_tuned.safetensors").save(tmp_path / "tuned.safetensors"))
    assert json.loads(nested["fitted"])["of"]["ts2vec"]["padding"] == "masked"


def _with_the_fill_of_now(config: Any) -> Any:
    """The one default that has changed: gaps were shown as zeros."""
    if not isinstance(config, dict):
        return config
    return {
        key: "completion" if (key, value) == ("fill", "zero") else _with_the_fill_of_now(value)
        for key, value in config.items()
    }


def test_the_complete_config_builds_the_same_part() -> None:
    for name, estimator in MAKER.estimators().items():
        registry = classifiers if name == "fine_tuned" else methods
        complete = complete_config(registry, estimator)
        then = complete_config(registry, to_config(estimator), frozen=frozen_defaults("0.1.0"))
        assert complete == _with_the_fill_of_now(then), name
        assert complete_config(registry, registry.build(complete)) == complete
        assert complete_config(registry, short_config(registry, complete)) == complete
    for recipe in augmentations.recipes():
        assert complete_config(
            augmentations, short_config(augmentations, complete_config(augmentations, recipe))
        ) == complete_config(augmentations, recipe)


# --- stores ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def old_store(tmp_path: Path) -> Path:
    return Path(shutil.copy(OLD / "results.db", tmp_path / "results.db"))


def test_a_store_of_schema_1_opens_in_place(old_store: Path) -> None:
    with sqlite3.connect(old_store) as before:
        rows = sorted(before.execute("SELECT hash, method, accuracy, spec FROM cells"))
    before.close()
    store = Store(str(old_store), create=False)
    frame = Store(str(old_store)).frame(benchmark="small")
    assert store.known(frame["hash"]) == set(frame["hash"])
    assert sorted(frame[["hash", "method", "accuracy", "spec"]].itertuples(index=False, name=None)) == rows
    configs = {method: json.loads(config) for method, config in zip(frame["method"], frame["method_config"])}
    (scarf,) = (config["scarf"] for method, config in configs.items() if method.startswith("scarf"))
    assert (scarf["hidden_dim"], scarf["corruption_rate"]) == (4, 0.6)
    (control,) = (config["random_init"] for method, config in configs.items() if method.startswith("random_init"))
    assert control["method"]["scarf"]["projector_depth"] == 2
    with sqlite3.connect(old_store) as after:
        versions = [version for (version,) in after.execute("SELECT version FROM kinview_schema ORDER BY version")]
    after.close()
    assert versions == [1, SCHEMA_VERSION]


def test_two_defaults_are_two_labels_in_one_report(old_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(old_store))
    frame = store.frame()
    assert read_results(frame).methods == tuple(sorted(frame["method"], key=read_results(frame).methods.index))
    (label,) = (method for method in frame["method"] if method.startswith("scarf"))
    row = frame[frame["method"] == label].iloc[0].to_dict()
    with_defaults(monkeypatch, methods, "scarf", temperature=0.5)
    given = {"scarf": {"hidden_dim": 4, "depth": 2, "trainer": {"max_steps": 2}}}
    again = {name: row[name] for name in ("dataset", "modality", "probe", "seed", "status", "label_fraction")}
    store.add(
        "b", {**again, "method": part_label(given), "method_config": complete_config(methods, given), "accuracy": 0.1}
    )
    assert list(store.frame()["method"]).count(label) == 2
    shown = [method for method in read_results(store.frame()).methods if method.startswith("scarf")]
    assert shown == [f"{label[:-1]}, temperature=0.5)", f"{label[:-1]}, temperature=1.0)"]


# --- modules that have moved -----------------------------------------------------------------------------------------


def test_a_moved_module_is_found_under_its_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    moves = {
        "kinview.methods.simxxx": "kinview.methods.joint_embedding.simclr",
        "kinview.gone": "kinview.losses",
        "kinview.gone.nt_xent": "kinview.losses.nt_xent",
    }
    for old, new in moves.items():
        monkeypatch.setitem(kinview.moved.moved_modules(), old, new)
    renamed = "kinview.methods.joint_embedding.method:JointEmbeddingMethod"
    monkeypatch.setitem(kinview.moved.moved_names(), ("kinview.methods.simxxx", "SimCLRMethod"), renamed)
    then = (OLD / "simclr.pkl").read_bytes()
    data = then.replace(b"kinview.methods.simclr", b"kinview.methods.simxxx")
    assert data != then
    try:
        model = pickle.loads(data)
        assert type(model) is methods["simclr"].target
        assert_as_then(embedded(model, "simclr"), EXPECTED["simclr"])
        module = importlib.import_module("kinview.gone.nt_xent")
        assert module.NTXent is losses["nt_xent"].target
        with pytest.raises(AttributeError, match="nothing"):
            module.nothing  # noqa: B018
    finally:
        for old in moves:
            sys.modules.pop(old, None)
        vars(kinview).pop("gone", None)
        vars(sys.modules["kinview.methods"]).pop("simxxx", None)


def test_a_pickle_finds_the_classes_of_a_module_that_is_a_folder_now() -> None:
    """Protocol 0 writes a class as two lines, so that one place can stand for another."""

    def as_one_module(value: Any) -> bytes:
        now = pickle.dumps(value, protocol=0)
        then = re.sub(rb"ckinview\.methods\.joint_embedding\.\w+\n", b"ckinview.methods.joint_embedding\n", now)
        assert then != now
        return then

    names = ("JointEmbedding", "JointEmbeddingMethod", "SimCLR", "TabularJointEmbedding", "TabularSimCLR")
    for name in names:
        target = getattr(importlib.import_module("kinview.methods"), name)
        assert pickle.loads(as_one_module(target)) is target
    model = pickle.loads(as_one_module(unpickled("simclr.pkl")))
    assert_as_then(embedded(model, "simclr"), EXPECTED["simclr"])


def test_a_name_that_left_a_package_is_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    package = importlib.import_module("kinview.methods")
    monkeypatch.setitem(kinview.moved.moved_names(), ("kinview.methods", "_Gone"), "kinview.methods.joint_embedding")
    monkeypatch.setattr("kinview.methods.joint_embedding._Gone", 1, raising=False)
    assert package._Gone == 1
    with pytest.raises(AttributeError, match=r"module 'kinview.methods' has no attribute 'Nothing'"):
        _ = package.Nothing


def test_every_entry_of_the_table_of_moves_is_right() -> None:
    for old, new in kinview.moved.moved_modules().items():
        importlib.import_module(new)
        found = importlib.util.find_spec(old)
        assert found is not None and isinstance(found.loader, kinview.moved.Finder), f"{old} is still there"
    for (module, name), new in kinview.moved.moved_names().items():
        place, _, renamed = new.partition(":")
        assert getattr(importlib.import_module(module), name) is getattr(
            importlib.import_module(place), renamed or name
        )
