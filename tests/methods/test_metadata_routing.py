"""Groups on their way through scikit-learn: pipelines, cross-validation and searches, for series and for tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline

from helpers import SIZES, given_groups
from kinview import SCARF, TS2Vec
from kinview.methods import RandomInit, SCARFMethod, TS2VecMethod
from kinview.methods.estimators.base import EstimatorCore

N, GROUPS = 24, 6
Y = np.tile([0, 1], N // 2)
OF_PATIENTS = np.repeat(np.arange(GROUPS), N // GROUPS) + 10
SERIES = np.random.default_rng(0).normal(size=(N, 1, 16))
TRAINER = {"max_steps": 2, "validation_fraction": 0.3}

SEEN: list[Any] = []
OfSeries, OfTables = given_groups(TS2Vec, TS2VecMethod, SEEN), given_groups(SCARF, SCARFMethod, SEEN)
CASES = {
    "series": (OfSeries(**SIZES["ts2vec"], trainer=TRAINER, random_state=0), SERIES),
    "tables": (OfTables(**SIZES["scarf"], trainer=TRAINER, random_state=0), SERIES[:, 0, :4]),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    estimator, X = CASES[request.param]
    return clone(estimator), X


@pytest.fixture
def splits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[set[int], set[int]]]]:
    """Groups of the rows that train, and of those held out, for each fit."""
    found: list[tuple[set[int], set[int]]] = []
    hold_out = EstimatorCore._hold_out

    def noted(self: Any, rows: Any, generator: Any) -> Any:
        train, held_out = hold_out(self, rows, generator)
        found.append((set(train.groups.tolist()), set(held_out.groups.tolist())))
        return train, held_out

    monkeypatch.setattr(EstimatorCore, "_hold_out", noted)
    SEEN.clear()
    yield found
    assert SEEN and all(groups is not None for groups in SEEN)  # the method itself saw them
    for train, held_out in found:
        assert train and held_out and not train & held_out


def pipeline(estimator: Any) -> Pipeline:
    return make_pipeline(estimator, LogisticRegression())


def test_a_pipeline_hands_on_the_groups_of_a_step(case: Any, splits: list[Any]) -> None:
    estimator, X = case
    step = f"{type(estimator).__name__.lower()}__groups"
    pipeline(estimator).fit(X, Y, **{step: OF_PATIENTS})
    assert [len(train | held_out) for train, held_out in splits] == [GROUPS]


def test_fit_and_fit_transform_take_groups(case: Any, splits: list[Any]) -> None:
    estimator, X = case
    z = estimator.fit_transform(X, Y, groups=OF_PATIENTS)
    np.testing.assert_array_equal(z, clone(estimator).fit(X, groups=OF_PATIENTS).transform(X))
    assert len(splits) == 2 and splits[0] == splits[1]


@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "random_init"])
def test_initialise_takes_groups(case: Any, wrapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator, X = case
    given: list[Any] = []
    fit_batch = EstimatorCore._fit_batch
    monkeypatch.setattr(
        EstimatorCore, "_fit_batch", lambda self, batch, **k: given.append(batch.groups) or fit_batch(self, batch, **k)
    )
    name = "ts2vec" if isinstance(estimator, TS2Vec) else "scarf"
    one = RandomInit(name, random_state=0) if wrapped else estimator
    one.initialise(X, groups=OF_PATIENTS)
    (groups,) = given
    same = OF_PATIENTS[:, None] == OF_PATIENTS
    np.testing.assert_array_equal(groups[:, None] == groups, same)


def test_routing_asks_for_groups_and_forgets_it_neither_in_fit_nor_in_a_clone(case: Any, splits: list[Any]) -> None:
    estimator, X = case
    with config_context(enable_metadata_routing=True):
        estimator.set_fit_request(groups=True)
        estimator.fit(X, groups=OF_PATIENTS)
        pipeline(clone(estimator)).fit(X, Y, groups=OF_PATIENTS)
    assert len(splits) == 2 and splits[0] == splits[1]


def test_cross_validation_and_searches_route_the_groups_of_their_rows(case: Any, splits: list[Any]) -> None:
    estimator, X = case
    folds = GroupKFold(3)
    with config_context(enable_metadata_routing=True):
        asked = pipeline(estimator.set_fit_request(groups=True))
        cross_validate(asked, X, Y, cv=folds, params={"groups": OF_PATIENTS}, error_score="raise")
        search = GridSearchCV(asked, {"logisticregression__C": [1.0]}, cv=folds, error_score="raise")
        search.fit(X, Y, groups=OF_PATIENTS)
    assert [len(train | held_out) for train, held_out in splits] == [4] * 6 + [GROUPS]


def test_groups_that_nobody_asked_for_are_refused_by_routing(case: Any) -> None:
    estimator, X = case
    with config_context(enable_metadata_routing=True), pytest.raises(ValueError, match=r"groups.*not explicitly set"):
        pipeline(estimator).fit(X, Y, groups=OF_PATIENTS)
