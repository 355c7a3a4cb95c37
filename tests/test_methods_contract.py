"""Every registered method keeps the laws of ``kinview.testing.check_method``, and the check has teeth."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor

from kinview.data import Batch
from kinview.diagnostics import effective_rank
from kinview.methods import (
    SCARF,
    JointEmbeddingMethod,
    RandomInit,
    RawFeatures,
    SCARFMethod,
    SimCLR,
    Supervised,
    methods,
)
from kinview.methods.estimators.capabilities import FLAGS, Capabilities
from kinview.methods.estimators.components import encoder_of, view_of
from kinview.testing import check_method
from kinview.testing.methods import laws_of
from kinview.training import LossResult
from kinview.training.method import Sizes

CONVOLUTION = {"dilated_conv": {"repr_dim": 8, "hidden_dim": 8, "depth": 3}}
PATCHES = {"patch_transformer": {"repr_dim": 8, "heads": 2, "depth": 1, "patch_length": 4, "stride": 2}}
LEARNED = {"curriculum": {"augmentation": {"viewmaker": {"epsilon": 0.1, "width": 4}}}}
COLUMNS = {"ft_transformer": {"repr_dim": 16, "heads": 2, "depth": 1}}
RESNET = {"resnet1d": {"widths": [4, 4], "kernel_sizes": [3, 3]}}

# small networks, every option that changes what a method does
SPECS: Mapping[str, list[Any]] = {
    "raw": ["raw"],
    "random_init": [{"random_init": {"method": {"ts2vec": {"repr_dim": 8, "hidden_dim": 8, "depth": 3}}}}],
    "supervised": [{"supervised": {"method": {"ts2vec": {"repr_dim": 8, "hidden_dim": 8, "depth": 3}}}}],
    "ts2vec": [{"ts2vec": {"repr_dim": 8, "hidden_dim": 8, "depth": 3}}],
    "tstcc": [
        {"tstcc": {"repr_dim": 16, "hidden_dim": 8, "context_dim": 16, "context_depth": 2, "pooling": how}}
        for how in ("mean", "max")
    ],
    "tfc": [{"tfc": {"encoder": RESNET, "bins": 8, "hidden_dim": 8, "projection_dim": 4}}],
    "simclr": [
        {"simclr": {"encoder": RESNET, "projection_dim": 8}},
        {"simclr": {"encoder": CONVOLUTION, "projection_dim": 8, "augmentation": "crop_pair", "pooling": "max"}},
        {"simclr": {"encoder": CONVOLUTION, "projection_dim": 8, "augmentation": LEARNED}},
        {"simclr": {"encoder": PATCHES, "projection_dim": 8, "augmentation": ["jitter", "permutation"]}},
    ],
    "scarf": [{"scarf": {"hidden_dim": 16, "depth": 2, "projector_depth": 1}}],
    "tabular_simclr": [
        {"tabular_simclr": {"encoder": {"mlp": {"hidden_dim": 16, "depth": 2}}, "projection_dim": 8}},
        {
            "tabular_simclr": {
                "encoder": {"ft_transformer": {"repr_dim": 16, "heads": 2, "depth": 1}},
                "projection_dim": 8,
            }
        },
    ],
    "joint_embedding": [
        {"joint_embedding": {"encoder": CONVOLUTION, "loss": "barlow_twins"}},
        {
            "joint_embedding": {
                "encoder": CONVOLUTION,
                "loss": "negative_cosine",
                "predictor": {},
                "stop_gradient": True,
            }
        },
    ],
    "tabular_joint_embedding": [{"tabular_joint_embedding": {"encoder": {"mlp": {"hidden_dim": 16, "depth": 2}}}}],
    "moco": [{"moco": {"encoder": CONVOLUTION, "queue": 64}}],
    "byol": [{"byol": {"encoder": CONVOLUTION}}],
    "vicreg": [{"vicreg": {"encoder": CONVOLUTION, "projector": {"hidden_dim": 16, "out_dim": 16}}}],
}


def test_every_method_is_checked() -> None:
    assert sorted(SPECS) == list(methods)
    assert {name for name, specs in SPECS.items() for spec in specs if name in (spec, *spec)} == set(SPECS)


@pytest.mark.parametrize("spec", [spec for specs in SPECS.values() for spec in specs], ids=str)
def test_contract(spec: Any) -> None:
    name = spec if isinstance(spec, str) else next(iter(spec))
    checked = check_method(spec)
    modality = "tabular" if methods[name].modality == "tabular" else "time_series"
    trains, labelled = name not in ("raw", "random_init", "supervised"), name == "supervised"
    assert checked == tuple(laws_of(modality, trains=trains, labelled=labelled))
    assert set(FLAGS) < set(checked)


@pytest.mark.parametrize(
    "spec", ["raw", {"random_init": {"method": {"scarf": {"hidden_dim": 8, "depth": 2}}}}], ids=str
)
def test_methods_of_both_modalities_keep_the_laws_on_tables(spec: Any) -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=list("abcd"))
    assert "columns" in check_method(spec, X=table)


@pytest.mark.parametrize("name", list(methods))
def test_every_entry_is_documented(name: str) -> None:
    entry = methods[name]
    assert entry.modality in ("any", "time_series", "tabular")
    assert entry.summary.endswith(".")
    assert entry.reference or entry.target.control


# --- the check has teeth ---------------------------------------------------------------------------------------------

_TABULAR = {"tabular_simclr": {"encoder": {"mlp": {"hidden_dim": 8, "depth": 2}}, "projection_dim": 4}}


def broken(law: str) -> str:
    return rf"breaks the law '{law}'"


def test_an_embedding_that_looks_at_its_neighbours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    embed = JointEmbeddingMethod.embed
    monkeypatch.setattr(
        JointEmbeddingMethod, "embed", lambda self, batch: embed(self, batch) - embed(self, batch).mean(dim=0)
    )
    with pytest.raises(AssertionError, match=broken("row_independent")):
        check_method(_TABULAR)


def test_a_draw_from_the_global_generator_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    embed = JointEmbeddingMethod.embed
    monkeypatch.setattr(JointEmbeddingMethod, "embed", lambda self, batch: embed(self, batch) * (1 + torch.rand(1)))
    with pytest.raises(AssertionError, match=broken("(seed|no_global_randomness)")):
        check_method(_TABULAR)


def test_a_loss_that_does_not_fall_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = JointEmbeddingMethod.loss

    def rising(self: JointEmbeddingMethod, views: list[Batch]) -> LossResult:
        value = loss(self, views).loss
        return LossResult(-value if torch.is_grad_enabled() else value)

    monkeypatch.setattr(JointEmbeddingMethod, "loss", rising)
    with pytest.raises(AssertionError, match=broken("loss_falls")):
        check_method(_TABULAR)


def test_a_collapse_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def flatten(self: JointEmbeddingMethod, progress: float, views: Any, carry: Any) -> None:
        with torch.no_grad():
            for layer in self.encoder.modules():
                if isinstance(layer, torch.nn.Linear):
                    layer.weight.copy_(layer.weight[:1].expand_as(layer.weight))
                    layer.bias.copy_(layer.bias[:1].expand_as(layer.bias))

    monkeypatch.setattr(JointEmbeddingMethod, "after_step", flatten)
    with pytest.raises(AssertionError, match=broken("(effective_rank_kept|loss_falls)")):
        check_method(_TABULAR)


def test_state_that_no_checkpoint_holds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    views = JointEmbeddingMethod.views

    def counting(self: JointEmbeddingMethod, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
        return [view.replace(x=view.x * self.__dict__["calls"]) for view in views(self, batch, generator, progress)]

    monkeypatch.setattr(JointEmbeddingMethod, "views", counting)
    with pytest.raises(AssertionError, match=broken("resumed")):
        check_method(_TABULAR)


def test_a_model_that_saves_less_than_it_is_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = SimCLR.__mro__[1].restore_fitted_state

    def forgetful(self: Any, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        restore(self, facts, {name: value * 0.5 for name, value in tensors.items()})

    spec = {"simclr": {"encoder": CONVOLUTION, "projection_dim": 4, "augmentation": "crop_pair"}}
    monkeypatch.setattr(SimCLR, "restore_fitted_state", forgetful)
    with pytest.raises(AssertionError, match=broken("saved_and_loaded")):
        check_method(spec)


def test_nan_in_an_embedding_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    embed = SCARFMethod.embed
    monkeypatch.setattr(
        SCARFMethod,
        "embed",
        lambda self, batch: torch.where(batch.x.isnan().any(dim=1, keepdim=True), torch.nan, embed(self, batch)),
    )
    with pytest.raises(AssertionError, match=broken("gaps")):
        check_method({"scarf": {"hidden_dim": 8, "depth": 2}})


def test_padding_that_counts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        JointEmbeddingMethod, "embed", lambda self, batch: self.encoder(batch.x.nan_to_num(), times=None).mean(dim=2)
    )
    spec = {"simclr": {"encoder": CONVOLUTION, "projection_dim": 4, "augmentation": "crop_pair"}}
    with pytest.raises(AssertionError, match=r"breaks the law '(unequal_length|padding_independent)'"):
        check_method(spec)


# --- flags, each in both directions ----------------------------------------------------------------------------------

_SCARF = {"scarf": {"hidden_dim": 8, "depth": 2, "trainer": {"max_steps": 2}}}
_UNTRAINED = {"random_init": {"method": _SCARF}}
_LABELLED = {"supervised": {"method": _SCARF}}
_TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(16, 3)), columns=list("abc"))

# class, flag, what it falsely declares, spec, what is said of it
FALSE_FLAGS: list[tuple[type, str, Any, Any, str]] = [
    (SCARF, "uses_labels", True, _SCARF, "is the same whatever y says"),
    (Supervised, "uses_labels", False, _LABELLED, "the embeddings depend on y: declare uses_labels"),
    (RandomInit, "trains", True, _UNTRAINED, "there is no parameter trainer"),
    (RawFeatures, "trains", True, "raw", "the fitted estimator has no network"),
    (SCARF, "trains", False, _SCARF, "fit changes the weights of the network: declare trains"),
    (Supervised, "trains", False, _LABELLED, "fit changes the weights of the network: declare trains"),
    (SCARF, "passes_missing", True, _SCARF, r'transform\(X, missing="keep"\) raises TypeError'),
    (RawFeatures, "passes_missing", False, "raw", "passes NaN on: declare passes_missing"),
    (SCARF, "control", True, _SCARF, "fit trains a network without labels: that is no control"),
    (RawFeatures, "control", False, "raw", "fit trains nothing, .* declare control"),
    (Supervised, "control", False, _LABELLED, "around the network of another one is a control: declare control"),
    (RawFeatures, "network_of", "spec", "raw", "network_of is 'spec', and there is no such parameter"),
]


class Hides(Capabilities, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A control around a network that does not say so."""

    control: ClassVar[bool] = True

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Hides:
        self.inside_ = RandomInit(_SCARF, self.random_state).fit(X)
        return self

    def transform(self, X: Any) -> Any:
        return self.inside_.transform(X)


class NamesNoMethod(Hides):
    """It says so, and names a parameter that holds a number."""

    network_of: ClassVar[str | None] = "random_state"


FALSE_CLASSES: list[tuple[type, str, str]] = [
    (Hides, "network_of", r"that of another method \(inside_\): declare network_of"),
    (NamesNoMethod, "network_of", "network_of is 'random_state', and that parameter holds no method"),
]


@pytest.fixture
def registered(request: pytest.FixtureRequest) -> Iterator[type]:
    """A method registered for one test."""
    list(methods)
    methods.register("under_test", modality="any")(request.param)
    yield request.param
    del methods._entries["under_test"]


@pytest.mark.parametrize(("registered", "flag", "message"), FALSE_CLASSES, indirect=["registered"])
def test_a_class_that_declares_a_flag_falsely_is_found(registered: type, flag: str, message: str) -> None:
    with pytest.raises(AssertionError, match=f"{registered.__name__} {broken(flag)}.*{message}"):
        check_method("under_test", X=_TABLE)


@pytest.mark.parametrize(
    ("kind", "flag", "value", "spec", "message"),
    FALSE_FLAGS,
    ids=[f"{c.__name__}-{f}-{v}" for c, f, v, *_ in FALSE_FLAGS],
)
def test_a_flag_that_is_declared_falsely_is_found(
    kind: type, flag: str, value: Any, spec: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, flag, value)
    with pytest.raises(AssertionError, match=f"{kind.__name__} {broken(flag)}.*{message}"):
        check_method(spec, X=_TABLE, y=np.arange(16) % 2)


def test_every_flag_is_declared_falsely_in_both_directions() -> None:
    directions = {(flag, bool(value)) for _, flag, value, *_ in FALSE_FLAGS}
    directions |= {(flag, bool(inspect.getattr_static(kind, flag))) for kind, flag, _ in FALSE_CLASSES}
    assert directions == {(flag, value) for flag in FLAGS for value in (False, True)}


def test_a_fit_that_leaves_the_weights_is_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = SCARF.fit
    monkeypatch.setattr(SCARF, "fit", lambda self, X, y=None, groups=None: self.initialise(X))
    with pytest.raises(AssertionError, match=f"{broken('trains')}.*fit leaves every weight as initialise made it"):
        check_method(_SCARF, X=_TABLE)
    monkeypatch.setattr(SCARF, "fit", lambda self, X, y=None: fit(self, X if y is None else X + 1e-3 * len(X)))
    with pytest.raises(AssertionError, match=f"{broken('uses_labels')}.*fit\\(X, y\\) and fit\\(X\\) differ"):
        check_method(_SCARF, X=_TABLE)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (_TABULAR, "holds scarf; the fitted network is that of tabular_simclr"),
        ({"scarf": {"hidden_dim": 9, "depth": 2}}, "the network that scarf gives with the same random_state"),
    ],
    ids=str,
)
def test_a_control_with_another_network_than_it_says_is_found(
    other: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def otherwise(self: RandomInit, X: Any, *, groups: Any = None) -> RandomInit:
        self.estimator_ = methods.build(other).set_params(random_state=self.random_state).initialise(X)
        return self

    monkeypatch.setattr(RandomInit, "initialise", otherwise)
    with pytest.raises(AssertionError, match=f"{broken('network_of')}.*{message}"):
        check_method(_UNTRAINED, X=_TABLE)


def test_flags_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in methods:
        for flag in FLAGS:
            with pytest.raises(AttributeError, match=f"{flag} is a frozen flag; declare it in the body"):
                setattr(methods.build(name), flag, True)
    monkeypatch.setattr(SCARF, "__setattr__", object.__setattr__)
    with pytest.raises(AssertionError, match=f"{broken('flags_are_frozen')}.*trains could be assigned"):
        check_method(_SCARF, X=_TABLE)


def test_a_class_without_proper_flags_is_not_registered() -> None:
    class Bare:
        pass

    class Wrong(Capabilities):
        trains = "yes"  # type: ignore[assignment]

    class Elsewhere(Capabilities):
        network_of = True  # type: ignore[assignment]

    with pytest.raises(TypeError, match=r"Bare does not declare what it can do \(trains, .*derive it from SeriesEst"):
        methods.register("under_test")(Bare)
    with pytest.raises(TypeError, match=r"Wrong.trains must be True or False; got 'yes'"):
        methods.register("under_test")(Wrong)
    with pytest.raises(TypeError, match=r"network_of must be the name of a parameter or None; got True"):
        methods.register("under_test")(Elsewhere)
    assert "under_test" not in methods


def test_a_flag_may_depend_on_the_parameters() -> None:
    class Depends(Capabilities):
        def __init__(self, labels: bool) -> None:
            self.labels = labels

        @property
        def uses_labels(self) -> bool:  # type: ignore[override]
            return self.labels

    check = methods._check
    assert check is not None
    check(Depends)
    assert Depends(True).uses_labels and not Depends(False).uses_labels


# --- what the check measures with ------------------------------------------------------------------------------------


def test_the_effective_rank_counts_directions() -> None:
    random = np.random.default_rng(0)
    isotropic = np.linalg.qr(random.normal(size=(50, 50)))[0][:, :4]
    centred = isotropic - isotropic.mean(axis=0)
    basis = np.linalg.qr(centred)[0]
    assert effective_rank(basis - basis.mean(axis=0)) == pytest.approx(4.0)
    assert effective_rank(np.outer(random.normal(size=30), random.normal(size=6))) == pytest.approx(1.0)
    assert effective_rank(np.full((5, 3), 0.1)) == 0.0
    assert effective_rank(np.ones((1, 3))) == 0.0
    values = np.array([3.0, 1.0])
    share = values / values.sum()
    Z = basis[:, :2] * values
    assert effective_rank(Z - Z.mean(axis=0)) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    with pytest.raises(ValueError, match=r"finite matrix \(n, D\)"):
        effective_rank(np.array([[np.nan]]))


# --- parts by their specs --------------------------------------------------------------------------------------------


def test_a_part_of_the_wrong_kind_is_refused_under_the_parameters_name() -> None:
    with pytest.raises(ValueError, match="augmentation must work on time series; ColumnCorruption works on tables"):
        view_of("augmentation", "column_corruption", "time_series")
    with pytest.raises(ValueError, match="augmentation must be an augmentation or a spec of one; got <object"):
        view_of("augmentation", object(), "tabular")
    with pytest.raises(ValueError, match="encoder must encode tables; resnet1d encodes time series"):
        encoder_of("encoder", "resnet1d", Sizes(cardinalities=(0,)))
    with pytest.raises(ValueError, match=r"encoder must be the name of a registered encoder .*; got Linear"):
        encoder_of("encoder", torch.nn.Linear(1, 1), Sizes(cardinalities=(0,)))
    X = np.zeros((4, 1, 8))
    with pytest.raises(ValueError, match="encoder must encode time series; mlp encodes tables"):
        SimCLR(encoder="mlp", augmentation="crop_pair").fit(X)
    with pytest.raises(ValueError, match="pooling must be 'max', 'mean' or 'last'; got 'median'"):
        SimCLR(pooling="median", augmentation="crop_pair").fit(X)


def test_nothing_that_a_view_learned_is_saved() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=list("abcd"))
    model = SCARF(hidden_dim=8, trainer={"max_steps": 2}, random_state=0).fit(table)
    assert model.method_.corruption._marginals is None
    _, tensors = model.fitted_state()
    assert not any("marginal" in name or "view" in name for name in tensors)
