"""The estimator checks of scikit-learn and sktime, in full."""

from __future__ import annotations

import inspect
import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator
from sktime.utils.estimator_checks import check_estimator as check_series_estimator

from helpers import SMALL
from kinview import TFC, TSTCC, MiniRocket, SimCLR, TS2Vec
from kinview.methods import Catch22, Quant, Summary, TSFreshMinimal, methods

# It tries arrays of other libraries, which SCARF does not claim to support: a table becomes a CPU tensor whatever it
# was. Without array-api-strict and SCIPY_ARRAY_API it skips itself.
SKIPPED = {"check_array_api_input"}


@pytest.mark.parametrize("name", ["scarf", "tabular_simclr"])
def test_tabular_estimators_pass_all_of_scikit_learns_checks(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of single rows, which many of these checks fit on
        results = check_estimator(methods.build({name: SMALL[name]}), on_skip=None, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] in ("failed", "xfail")}
    assert not failed
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= SKIPPED
    assert sum(r["status"] == "passed" for r in results) >= 44


SERIES = [MiniRocket, SimCLR, TFC, TSTCC, TS2Vec, Catch22, Quant, Summary, TSFreshMinimal]
of_series = pytest.mark.parametrize("estimator", SERIES, ids=lambda estimator: estimator.__name__)


def _series_checks(estimator, **selection) -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_series_estimator(estimator, raise_exceptions=False, verbose=False, **selection)
    failed = {name: result for name, result in results.items() if result != "PASSED"}
    assert not failed
    return results


@pytest.mark.slow
@of_series
def test_series_estimators_pass_all_of_sktimes_checks(estimator):
    assert len(_series_checks(estimator)) >= 155 * len(estimator.get_test_params())


@of_series
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
    for estimator in SERIES:
        for parameters in estimator.get_test_params():
            assert set(parameters) <= set(inspect.signature(estimator).parameters)
            assert parameters.items() <= estimator(**parameters).get_params(deep=False).items()
