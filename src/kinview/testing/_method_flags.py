"""The checks on the flags of a method: each is proved in both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from kinview.data.batch import Batch
from kinview.methods import methods
from kinview.methods.estimators.capabilities import FLAGS, Capabilities, check_declared
from kinview.testing._method_case import Case, finite
from kinview.testing._method_training import views_seen

__all__: list[str] = []


def flags_are_frozen(case: Case) -> None:
    """The five flags are declared in the class, and no object can assign them."""
    estimator = case.build()
    try:
        check_declared(type(estimator))
    except TypeError as error:
        raise AssertionError(str(error)) from error
    for flag in FLAGS:
        try:
            setattr(estimator, flag, getattr(estimator, flag))
        except AttributeError:
            continue
        raise AssertionError(f"{flag} could be assigned; flags are frozen")


def uses_labels(case: Case) -> None:
    """Other labels give other embeddings, if and only if ``uses_labels`` is declared."""
    labels = np.arange(case.n) % 2 if case.labels is None else np.asarray(case.labels)
    other = np.sort(labels)
    if np.array_equal(other, labels):
        other = np.roll(labels, 1)
    first, second = (case.embedded(case.fitted(y=y)) for y in (labels, other))
    if case.build().uses_labels:
        assert not np.array_equal(first, second), "uses_labels is declared, and fit(X, y) is the same whatever y says"
        return
    repeats = np.array_equal(first, case.embedded(case.fitted(y=labels)))  # if not, the check of the seed says so
    assert np.array_equal(first, second) or not repeats, "the embeddings depend on y: declare uses_labels"
    without = case.embedded(case.trained)
    assert np.array_equal(first, without) or not repeats, "fit(X, y) and fit(X) differ: declare uses_labels"


def uses(case: Case) -> None:
    """The method gets those of ``y``, ``groups`` and ``extra`` that ``uses`` declares, row by row, and no others."""
    estimator = case.build()
    declared = estimator.uses
    possible = {"y", "groups", "extra"}
    assert isinstance(declared, frozenset) and declared <= possible, (
        f"uses must be a frozenset of {', '.join(sorted(possible))}; it is {declared!r}"
    )
    if not case.pretrains:  # nothing is handed on to a method
        return
    labels = np.arange(case.n) % 2 if case.labels is None else case.labels
    given = {**case.metadata, "y": labels}
    alone = {"max_steps": 2, "validation_fraction": 0.0}  # groups keep held-out rows apart, whoever uses them
    with views_seen(type(case.trained.method_)) as batches:
        fitted = case.fit(case.build(**alone), case.X, **given)
    assert batches, "training calls views for each step"
    for batch in batches:
        _check_metadata(batch, declared, given)
    for name in sorted(declared & {"groups", "extra"}):
        other = {key: rows[::-1] for key, rows in given[name].items()} if name == "extra" else np.roll(given[name], 2)
        changed = case.fit(case.build(**alone), case.X, **{**given, name: other})
        assert not np.array_equal(case.embedded(fitted), case.embedded(changed)), (
            f"uses declares {name}, and fit is the same whatever {name} are"
        )


def _check_metadata(batch: Batch, declared: frozenset[str], given: dict[str, Any]) -> None:
    """Assert that a batch carries what is declared, as it was given for its rows, and nothing else."""
    found: dict[str, Any] = {"y": batch.y, "groups": batch.groups, "extra": batch.extra.get("features")}
    for name, value in found.items():
        if name not in declared:
            assert value is None, f"{name} reaches the method, which does not declare it in uses"
            continue
        assert value is not None, f"uses declares {name}, and the batches of the method have none"
        expected = given[name]["features"] if name == "extra" else given[name]
        codes = [np.unique(np.asarray(rows), axis=0, return_inverse=True)[1].ravel() for rows in (value, expected)]
        pairs = set(zip(codes[0].tolist(), codes[1][batch.index.numpy()].tolist(), strict=True))
        one_to_one = len(pairs) == len(dict(pairs)) == len({other for _, other in pairs})
        assert one_to_one, f"the rows of a batch have the {name} of other rows"


def trains(case: Case) -> None:
    """``fit`` changes the weights of a network, if and only if ``trains`` is declared."""
    estimator = case.trained
    network = estimator.fitted_network
    if not estimator.trains:
        if network is not None:
            same = _equal(network, case.build().initialise(case.X).fitted_network)
            assert same, "fit changes the weights of the network: declare trains"
        return
    assert network is not None, (
        "trains is declared, and the fitted estimator has no network: its property fitted_network is None"
    )
    if not estimator.trained_by_probe:
        assert "trainer" in estimator.get_params(deep=False), "trains is declared, and there is no parameter trainer"
    changed = not _equal(network, case.build().initialise(case.X).fitted_network)
    assert changed, "trains is declared, and fit leaves every weight as initialise made it"


def passes_missing(case: Case) -> None:
    """``transform(missing="keep")`` passes NaN on, if and only if ``passes_missing`` is declared."""
    estimator, gappy = case.trained, case.with_gaps()
    declared = estimator.passes_missing
    try:
        kept = np.asarray(estimator.transform(gappy, missing="keep"), dtype=np.float64)
    except TypeError as error:
        assert not declared, f'passes_missing is declared, and transform(X, missing="keep") raises TypeError: {error}'
        return
    passed = bool(np.isnan(kept).any())
    if declared:
        assert passed, 'passes_missing is declared, and transform(X, missing="keep") of data with gaps has no NaN'
        finite(case.embedded(estimator, gappy), case.n, "passes_missing is declared; transform without missing")
    else:
        assert not passed, 'transform(X, missing="keep") passes NaN on: declare passes_missing'


def control(case: Case) -> None:
    """What declares ``control`` does not pre-train; what does not declare it trains a network of its own."""
    estimator = case.build()
    pretrains = estimator.trains and not estimator.uses_labels
    if estimator.control:
        assert not pretrains, "control is declared, and fit trains a network without labels: that is not a control"
    else:
        assert estimator.network_of is None, "a method around the network of another one is a control: declare control"
        assert estimator.trains, "fit trains nothing, so it is what pre-training has to beat: declare control"


def network_of(case: Case) -> None:
    """The network is that of another method, if and only if ``network_of`` names the parameter that holds it."""
    estimator = case.build()
    if estimator.network_of is None:
        fitted = case.trained
        inside = [
            name
            for name, value in vars(fitted).items()
            if isinstance(value, Capabilities) and name not in fitted.get_params(deep=False)
        ]
        assert fitted.fitted_network in (None, fitted) and not inside, (
            f"its network is that of another method ({', '.join(inside) or 'fitted_network'}): declare network_of"
        )
        return
    name = estimator.network_of
    assert name in estimator.get_params(deep=False), f"network_of is {name!r}, and there is no such parameter"
    try:
        method = methods.build(estimator.network_method(case.modality))
        expected = methods.name_of(method)
    except ValueError as error:
        raise AssertionError(f"network_of is {name!r}, and that parameter holds no method: {error}") from error
    network = estimator.initialise(case.X).fitted_network
    found = None if network is None else methods.name_of(network)
    assert found == expected and network is not estimator, (
        f"network_of is {name!r}, which holds {expected}; the fitted network is that of {found}"
    )
    own = Case(methods.to_config(method), case.X, case.modality).build().initialise(case.X)
    assert _equal(network, own.fitted_network), (
        f"initialise must give the network that {expected} gives with the same random_state"
    )


def _equal(one: Any, other: Any) -> bool:
    """Whether two fitted estimators have the same weights, bit by bit."""
    weights, others = (dict(estimator.method_.named_parameters()) for estimator in (one, other))
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)
