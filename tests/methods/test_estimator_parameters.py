"""Parameters of all estimators and of the trainer: written once, documented from there, refused by name when used."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from helpers import SIZES
from kinview import SCARF, TFC, TSTCC, FineTunedClassifier, SimCLR, TabularSimCLR, Trainer, TS2Vec
from kinview.methods import JointEmbeddingMethod, SCARFMethod, classifiers, methods
from kinview.methods.tfc import TFCMethod
from kinview.methods.ts2vec import TS2VecMethod
from kinview.methods.tstcc import TSTCCMethod
from kinview.parameters import checked_parameters
from kinview.training import Method
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators
from kinview.training.settings import RUN_FIELDS, settings_of

ESTIMATORS = [registry[name].target for registry in (methods, classifiers) for name in registry]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda cls: cls.__name__)
every_class = pytest.mark.parametrize("cls", [*ESTIMATORS, Trainer], ids=lambda cls: cls.__name__)
PARAMETERS = [(cls, field.name) for cls in ESTIMATORS for field in dataclasses.fields(cls)]
every_parameter = pytest.mark.parametrize(
    ("cls", "name"), PARAMETERS, ids=[f"{cls.__name__}-{name}" for cls, name in PARAMETERS]
)
SERIES = "scaling trainer random_state"
ORDER = {
    TS2Vec: "repr_dim hidden_dim depth dropout mask temporal_unit max_train_length missing front_end padding "
    + SERIES
    + " fill gaps pooling",
    TSTCC: "repr_dim hidden_dim kernel_size stride dropout prediction_steps context_dim context_depth context_heads "
    "temperature temporal_weight contextual_weight weak_augmentation strong_augmentation pooling segments missing "
    "front_end " + SERIES + " fill gaps",
    TFC: "encoder bins hidden_dim projection_dim representation consistency contrastive_weight temperature margin "
    "time_augmentation frequency_augmentation channel_independent " + SERIES + " frequency_fill gaps",
    SimCLR: "augmentation encoder pooling hidden_dim projection_dim temperature " + SERIES + " gaps",
    TabularSimCLR: "augmentation encoder hidden_dim projection_dim temperature text trainer random_state scaling",
    SCARF: "corruption_rate hidden_dim depth projector_depth temperature text trainer random_state scaling",
    FineTunedClassifier: "encoder head freeze pretrain transfer encoder_lr trainer random_state",
    Trainer: "max_steps max_epochs batch_size lr optimizer weight_decay scheduler warmup_steps gradient_clip averaging "
    "drop_last validation_fraction validation_passes patience precision device callbacks checkpoint_dir "
    "checkpoint_every resume progress chunk_size",
}


class Untouched:
    """Data that no one may look at."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"X.{name} was read before the parameters were checked")


def fitting(estimator: Any) -> list[Any]:
    """The ways of fitting that an estimator has, on data that it may not read."""
    X = Untouched()
    if isinstance(estimator, FineTunedClassifier):
        return [lambda: estimator.fit(X, X)]
    return [lambda: estimator.fit(X), *([lambda: estimator.initialise(X)] if hasattr(estimator, "initialise") else [])]


def section(cls: type) -> dict[str, tuple[str, str]]:
    """Type and sentence of each parameter in the docstring."""
    text = inspect.getdoc(cls) or ""
    found = re.search(r"^Parameters\n-{10}\n(.*?)(?=^[A-Z]\w+\n-{3}|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^(\w+) : ([^\n]*)\n((?:    [^\n]*\n?)+)", found[1] if found else "", re.MULTILINE)
    return {name: (kind, " ".join(sentence.split())) for name, kind, sentence in entries}


# --- one place for name, default, range and sentence -----------------------------------------------------------------


@every_class
def test_every_parameter_is_a_field_with_a_range_and_a_sentence(cls: type) -> None:
    fields = dataclasses.fields(cls)
    assert [field.name for field in fields] == list(inspect.signature(cls).parameters)
    for field in fields:
        assert "rule" in field.metadata, f"{field.name} can be anything"
        assert field.metadata["doc"][-1] in ".)", f"{field.name} has no sentence"


@every_class
def test_the_docstring_says_what_the_fields_say(cls: type) -> None:
    described = section(cls)
    assert list(described) == [field.name for field in dataclasses.fields(cls)]
    for field in dataclasses.fields(cls):
        kind, sentence = described[field.name]
        assert sentence == " ".join(field.metadata["doc"].split())
        shown = f'"{field.default}"' if isinstance(field.default, str) else repr(field.default)
        assert kind.endswith(", optional" if field.default is None else f", default {shown}")
    # a default stands in one line, however long it is
    lines = [line for line in (cls.__doc__ or "").splitlines() if not re.match(r"\w+ : .*, default \{", line)]
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("cls", ORDER, ids=lambda cls: cls.__name__)
def test_parameters_keep_their_places(cls: type) -> None:
    assert " ".join(inspect.signature(cls).parameters) == ORDER[cls]


@every_estimator
def test_defaults_are_within_their_own_range(estimator: type) -> None:
    checked = checked_parameters(estimator())
    assert checked == {field.name: field.default for field in dataclasses.fields(estimator)}


@every_parameter
def test_what_is_out_of_range_is_stored_and_refused_by_name_when_it_is_used(cls: type, name: str) -> None:
    rule = next(field for field in dataclasses.fields(cls) if field.name == name).metadata["rule"]
    wrong: list[Any] = [math.nan]
    wrong += [rule.low if rule.open_low else rule.low - 1] if math.isfinite(rule.low) else []
    wrong += [rule.high if rule.open_high else rule.high + 1] if math.isfinite(rule.high) else []
    wrong += ["nonsense", ["zero"]] if rule.kind is str else []
    wrong += ["1e-2", True] if rule.kind in (int, float) else []
    wrong += [None] if not rule.optional else []
    for value in wrong:
        estimator = cls(**{name: value})
        assert getattr(estimator, name) is value
        estimator = cls().set_params(**{name: value})
        assert getattr(estimator, name) is value
        for fit in fitting(estimator):
            with pytest.raises(ValueError, match=rf"^{name} (must|has)"):
                fit()


@every_estimator
def test_estimators_are_copied_pickled_and_printed_as_ever(estimator: type) -> None:
    changed = {field.name: 7 for field in dataclasses.fields(estimator) if field.name == "random_state"}
    given = estimator(**changed)
    for twin in (clone(given), copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        assert twin.get_params() == given.get_params()
        assert repr(twin) == repr(given)
    assert repr(given) == f"{estimator.__name__}({'random_state=7' if changed else ''})"


def test_what_only_makes_sense_together_is_refused_before_any_work() -> None:
    for estimator, message in (
        (TSTCC(temporal_weight=0, contextual_weight=0.0), "temporal_weight and contextual_weight are both 0"),
        (TS2Vec(temporal_unit=3, max_train_length=15), "max_train_length must be at least 16; got 15"),
    ):
        for fit in fitting(estimator):
            with pytest.raises(ValueError, match=message):
                fit()


def test_a_trainer_is_looked_at_before_any_work() -> None:
    for trainer, message in (
        ({"lr": -1.0}, r"Trainer\(lr=...\) must be above 0; got -1.0"),
        (Trainer(averaging="mean"), r"Trainer\(averaging=...\) must be 'none', 'swa', 'ema' or None; got 'mean'"),  # type: ignore[arg-type]
        ({"rate": 1.0}, "trainer has no field 'rate'"),
    ):
        for fit in fitting(TS2Vec(trainer=trainer)):
            with pytest.raises(ValueError, match=message):
                fit()


def test_checking_a_random_state_draws_nothing_from_it() -> None:
    drawn = np.random.RandomState(0)
    checked_parameters(TS2Vec(random_state=drawn))
    assert drawn.randint(10**6) == np.random.RandomState(0).randint(10**6)


def test_fitting_leaves_the_parameters_as_they_were_given() -> None:
    X = np.random.default_rng(0).normal(size=(6, 1, 12))
    given = {**SIZES["ts2vec"], "dropout": np.float64(0.1), "trainer": {"max_steps": 1}}
    estimator = TS2Vec(**given).fit(X)
    assert all(getattr(estimator, name) is value for name, value in given.items())


def test_a_class_of_your_own_may_add_its_constructor() -> None:
    class Half(TS2Vec):
        def __init__(self, repr_dim: int = 320) -> None:
            super().__init__(repr_dim, hidden_dim=repr_dim // 2, depth=1, trainer={"max_steps": 1}, random_state=0)

    X = np.random.default_rng(0).normal(size=(6, 1, 12))
    same = TS2Vec(8, 4, depth=1, trainer={"max_steps": 1}, random_state=0)
    np.testing.assert_array_equal(Half(8).fit(X).transform(X), same.fit(X).transform(X))
    with pytest.raises(ValueError, match="hidden_dim must be at least 1; got 0"):
        Half(1).fit(Untouched())


# --- the method reads them -------------------------------------------------------------------------------------------

ENCODER = SIZES["simclr"]["encoder"]
OF_SERIES, OF_TABLES = Sizes(channels=2, length=12), Sizes(cardinalities=(0, 3, 0), rows=9)
METHODS: list[tuple[type[Method], Any, Sizes]] = [
    (TS2VecMethod, TS2Vec(**SIZES["ts2vec"]), OF_SERIES),
    (TSTCCMethod, TSTCC(**SIZES["tstcc"]), OF_SERIES),
    (TFCMethod, TFC(ENCODER, 8, 4, 2), OF_SERIES),
    (TFCMethod, TFC("official", hidden_dim=4, projection_dim=2), OF_SERIES),
    (JointEmbeddingMethod, SimCLR(encoder=ENCODER), OF_SERIES),
    (JointEmbeddingMethod, TabularSimCLR(encoder={"mlp": {"hidden_dim": 4}}), OF_TABLES),
    (SCARFMethod, SCARF(hidden_dim=4), OF_TABLES),
]


@pytest.mark.parametrize(("kind", "parameters", "sizes"), METHODS)
def test_a_method_is_made_of_parameters_and_sizes(kind: type[Method], parameters: Any, sizes: Sizes) -> None:
    assert list(inspect.signature(kind).parameters) == ["parameters", "sizes"]
    assert type(parameters).method_class is kind
    with forked_generators(3, torch.device("cpu")):
        by_hand = kind(parameters, sizes).state_dict()
    rng = np.random.default_rng(0)
    if sizes.modality == "time_series":
        X: Any = rng.normal(size=(9, 2, 12))
        fitted = clone(parameters).set_params(random_state=3).initialise(X)
        assert fitted.sizes_ == Sizes(channels=2, length=12, rows=9)
    else:
        X = np.column_stack([rng.normal(size=9), np.arange(9) % 2, rng.normal(size=9)]).astype(object)
        X[:, 1] = np.array(["a", "b"])[X[:, 1].astype(int)]
        fitted = clone(parameters).set_params(random_state=3).initialise(X)
        assert fitted.sizes_ == Sizes(cardinalities=fitted.schema_.cardinalities, rows=9)
        assert len(fitted.sizes_.cardinalities) == 3 and fitted.sizes_.cardinalities[1] > 0
        with forked_generators(3, torch.device("cpu")):
            by_hand = kind(parameters, fitted.sizes_).state_dict()
    state = fitted.method_.state_dict()
    assert list(state) == list(by_hand)
    weights = [name for name in state if ".completion." not in name]  # what fills gaps is learned
    assert all(torch.equal(state[name], by_hand[name]) for name in weights)


def test_sizes_are_plain_data_in_a_file_and_the_same_after_it() -> None:
    for sizes in (OF_SERIES, OF_TABLES, Sizes()):
        assert Sizes.from_config(sizes.to_config()) == sizes
    assert OF_TABLES.modality == "tabular" and OF_SERIES.modality == "time_series"


# --- the trainer -----------------------------------------------------------------------------------------------------


def test_settings_are_the_fields_of_the_trainer() -> None:
    settings = vars(settings_of(Trainer(max_steps=3, batch_size=np.int64(4), lr=np.float32(0.5))))  # type: ignore[arg-type]
    assert set(settings) == {field.name for field in dataclasses.fields(Trainer)} - {"callbacks"}
    assert [type(settings[name]) for name in ("batch_size", "lr")] == [int, float]
    assert set(RUN_FIELDS) <= {field.name for field in dataclasses.fields(Trainer)}


def test_general_values_of_the_trainer_are_within_their_range() -> None:
    general = Trainer().merged({})
    settings_of(general.set_params(max_steps=1, batch_size=2, lr=0.1))
    assert general.to_config()["averaging"] == "none" and general.checkpoint_every == 100
