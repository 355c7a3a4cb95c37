"""The estimator checks of scikit-learn and sktime, in full."""

from __future__ import annotations

import inspect
import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator
from sktime.utils.estimator_checks import check_estimator as check_series_estimator

from kinview import SCARF, TS2Vec

# It tries arrays of other libraries, which SCARF does not claim to support: a table becomes a CPU tensor whatever it
# was. Without array-api-strict and SCIPY_ARRAY_API it skips itself.
SKIPPED = {"check_array_api_input"}


def _small() -> SCARF:
    return SCARF(hidden_dim=4, depth=1, projector_depth=1, random_state=0, trainer={"max_steps": 2})


def test_scarf_passes_all_of_scikit_learns_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of single rows, which many of these checks fit on
        results = check_estimator(_small(), on_skip=None, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] in ("failed", "xfail")}
    assert not failed
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= SKIPPED
    assert sum(r["status"] == "passed" for r in results) >= 44


def _series_checks(**selection) -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_series_estimator(TS2Vec, raise_exceptions=False, verbose=False, **selection)
    failed = {name: result for name, result in results.items() if result != "PASSED"}
    assert not failed
    return results


@pytest.mark.slow
def test_ts2vec_passes_all_of_sktimes_checks():
    assert len(_series_checks()) >= 310


def test_ts2vec_passes_a_choice_of_sktimes_checks():
    tests = [
        "test_constructor",
        "test_clone",
        "test_set_params",
        "test_set_params_sklearn",
        "test_valid_object_class_tags",
    ]
    tests += ["test_save_estimators_to_file", "test_fit_transform_output"]
    results = _series_checks(tests_to_run=tests)
    assert {name.split("[")[0] for name in results} == set(tests)
    assert len(results) >= 35


def test_the_estimators_can_be_made_from_their_test_parameters():
    for parameters in TS2Vec.get_test_params():
        assert set(parameters) <= set(inspect.signature(TS2Vec).parameters)
        assert TS2Vec(**parameters).get_params()["repr_dim"] == 4
