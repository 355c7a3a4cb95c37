"""The estimator checks of scikit-learn and sktime, in full."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping

import pytest
from sklearn.utils.estimator_checks import check_estimator
from sktime.utils.estimator_checks import check_estimator as check_series_estimator

from helpers import SMALL, SMALL_ON_TABLES
from kinview import TFC, TSTCC, MiniRocket, SimCLR, TS2Vec
from kinview.methods import (
    Catch22,
    ExpCLR,
    Hydra,
    MixingUp,
    MultiRocket,
    MultiRocketHydra,
    Quant,
    Reconstruction,
    Summary,
    TaCL,
    TSFreshMinimal,
    methods,
)

# It tries arrays of other libraries, which SCARF does not claim to support: a table becomes a CPU tensor whatever it
# was. Without array-api-strict and SCIPY_ARRAY_API it skips itself.
SKIPPED = {"check_array_api_input"}
# Both libraries want defaults that nobody can change; those of some recipes are specs, mappings of a type of its own.
DEFAULTS, DEFAULTS_OF_SERIES = "check_parameters_default_constructible", "test_constructor"
AROUND_TABLES = {"method": {"scarf": SMALL["scarf"]}, "random_state": 0}


def of(modality: str) -> list[str]:
    """Names of all methods of a modality whose test parameters are known, recipes among them."""
    small = {**SMALL, **(SMALL_ON_TABLES if modality == "tabular" else {})}
    return [name for name in methods if name in small and methods[name].modality in (modality, "any")]


def defaults_are_mappings(estimator) -> bool:
    return any(isinstance(getattr(type(estimator), name, None), Mapping) for name in estimator.get_params(deep=False))


# Recipes over one class share its code: one stands for all in the gate, and all of them are tried every night.
TABLES = ["scarf", "tabular_simclr"]
SLOW_TABLES = ["saint", "subtab", "tabular_reconstruction", "tabular_tacl", "transtab", "vime"]
SERIES = [MiniRocket, Catch22, Reconstruction, SimCLR, TFC, TSTCC, TS2Vec, MixingUp, ExpCLR, TaCL]
nightly = [*dict.fromkeys(methods[name].for_modality("time_series").target for name in of("time_series"))]
# sktime's series have one channel, and no labels
OTHER_SERIES = [
    one
    for one in nightly
    if one not in SERIES and one().min_channels == 1 and not one().uses_labels and not one().control
] + [
    Quant,
    Summary,
    TSFreshMinimal,
    Hydra,
    MultiRocket,
    MultiRocketHydra,
]


@pytest.mark.parametrize(
    "name",
    [
        *TABLES,
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_TABLES),
        *(pytest.param(name, marks=pytest.mark.nightly) for name in of("tabular") if name not in TABLES + SLOW_TABLES),
    ],
)
def test_tabular_estimators_pass_all_of_scikit_learns_checks(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of single rows, which many of these checks fit on
        spec = AROUND_TABLES if name in ("random_init", "supervised") else {**SMALL, **SMALL_ON_TABLES}[name]
        estimator = methods.build({name: spec}, for_modality="tabular")
        excused = {DEFAULTS: "its defaults are specs"} if defaults_are_mappings(estimator) else {}
        results = check_estimator(estimator, expected_failed_checks=excused, on_skip=None, on_fail=None)
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == set(excused)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= SKIPPED
    assert sum(r["status"] in ("passed", "xfail") for r in results) >= 44


every_class = [
    *(pytest.param(estimator, id=estimator.__name__, marks=pytest.mark.slow) for estimator in SERIES),
    *(pytest.param(estimator, id=estimator.__name__, marks=pytest.mark.nightly) for estimator in OTHER_SERIES),
]


def _series_checks(estimator, **selection) -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_series_estimator(estimator, raise_exceptions=False, verbose=False, **selection)
    excused = DEFAULTS_OF_SERIES if defaults_are_mappings(estimator()) else None
    failed = {name: result for name, result in results.items() if result != "PASSED" and name.split("[")[0] != excused}
    assert not failed
    return results


@pytest.mark.parametrize("estimator", every_class)
def test_series_estimators_pass_all_of_sktimes_checks(estimator):
    assert len(_series_checks(estimator)) >= 155 * len(estimator.get_test_params())


@pytest.mark.parametrize("estimator", SERIES, ids=lambda estimator: estimator.__name__)
def test_series_estimators_pass_a_choice_of_sktimes_checks(estimator):
    tests = [
        "test_constructor",
        "test_clone",
        "test_set_params",
        "test_set_params_sklearn",
        "test_valid_object_class_tags",
    ]
    tests += ["test_save_estimators_to_file", "test_fit_transform_output"]
    results = _series_checks(estimator, tests_to_run=tests)
    assert {name.split("[")[0] for name in results} == set(tests)
    assert len(results) >= 3 + 16 * len(estimator.get_test_params())


def test_the_estimators_can_be_made_from_their_test_parameters():
    for estimator in SERIES + OTHER_SERIES:
        for parameters in estimator.get_test_params():
            assert set(parameters) <= set(inspect.signature(estimator).parameters)
            assert parameters.items() <= estimator(**parameters).get_params(deep=False).items()
