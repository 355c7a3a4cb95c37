"""Labels, groups and features with an index that names the samples reach every fit in the order of the samples."""

import numpy as np
import pandas as pd
import pytest

import helpers
from kinview import SCARF, FineTunedClassifier, SimCLR, TabularSimCLR, TS2Vec
from kinview.evaluation.probes import probes
from kinview.methods import methods

N = 24
NAMES = [f"p{i:02}" for i in range(N)]
SHUFFLED = np.random.default_rng(5).permutation(N)
Y = pd.Series(np.resize(["ill", "well", "well"], N), index=NAMES)
GROUPS = pd.Series(np.resize([3, 1, 1, 2, 2], N), index=NAMES)
TABLE = pd.DataFrame(
    {"age": np.random.default_rng(0).normal(60, 9, N), "smoker": np.resize([True, False, False], N)}, index=NAMES
)
STEPS = pd.MultiIndex.from_product([NAMES, range(8)])
SERIES = pd.DataFrame({"hr": np.random.default_rng(1).normal(size=8 * N)}, index=STEPS)
CLASS_VIEWS = {"views": [{"class_conditional_corruption": {}}]}
TRAINER = {"max_steps": 2, "validation_fraction": 0.25}

FITS = {
    "table": (TABLE, lambda: SCARF(**{**helpers.SMALL["scarf"], "trainer": TRAINER})),
    "table with labels": (
        TABLE,
        lambda: TabularSimCLR(
            {"class_conditional_corruption": {}}, {"mlp": {"hidden_dim": 4}}, trainer=TRAINER, random_state=0
        ),
    ),
    "series": (SERIES, lambda: TS2Vec(**{**helpers.SMALL["ts2vec"], "trainer": TRAINER})),
    "simclr": (SERIES, lambda: SimCLR("jitter", trainer=TRAINER, random_state=0)),
    "classifier of tables": (
        TABLE,
        lambda: FineTunedClassifier(SCARF(**helpers.SMALL["scarf"]), trainer=TRAINER, random_state=0),
    ),
    "classifier of series": (
        SERIES,
        lambda: FineTunedClassifier(TS2Vec(**helpers.SMALL["ts2vec"]), trainer=TRAINER, random_state=0),
    ),
    "supervised": (
        SERIES,
        lambda: methods.build({"supervised": {"method": {"ts2vec": {"repr_dim": 4, "depth": 1}}}}, random_state=0),
    ),
}


def outcome(model, X):
    return np.asarray(model.predict_proba(X) if hasattr(model, "predict_proba") else model.transform(X))


@pytest.mark.parametrize("name", sorted(FITS))
def test_a_fit_takes_labels_and_groups_in_any_order_that_the_index_tells(name):
    X, made = FITS[name]
    expected = outcome(made().fit(X, Y.to_numpy(), groups=GROUPS.to_numpy()), X)
    moved = made().fit(X, Y.iloc[SHUFFLED], groups=GROUPS.iloc[SHUFFLED])
    assert np.array_equal(outcome(moved, X), expected)
    with pytest.raises(ValueError, match=r"the index of groups holds other samples than X: 'q00', 'q01', 'q02' and 21"):
        made().fit(X, Y, groups=GROUPS.set_axis([name.replace("p", "q") for name in NAMES]))


@pytest.mark.parametrize("name", ["table with labels", "classifier of tables", "classifier of series", "supervised"])
def test_labels_of_other_samples_are_refused_by_who_reads_labels(name):
    X, made = FITS[name]
    with pytest.raises(ValueError, match=r"the index of y holds other samples than X: .*give y the index of X"):
        made().fit(X, Y.set_axis([name.replace("p", "q") for name in NAMES]))
    by_position = made().fit(X, Y.iloc[SHUFFLED].to_numpy())
    assert not np.array_equal(outcome(by_position, X), outcome(made().fit(X, Y.iloc[SHUFFLED]), X))


@pytest.mark.parametrize("name", ["linear", "knn", "svm", "xgboost", "finetune"])
def test_a_probe_takes_labels_and_groups_in_any_order_that_the_index_tells(name):
    model = TS2Vec(**helpers.SMALL["ts2vec"]).fit(SERIES)
    Z, given = (SERIES, {"model": model}) if name == "finetune" else (model.transform(SERIES), {})
    expected = probes.build(name).fit(Z, Y.to_numpy(), GROUPS.to_numpy(), **given)
    moved = probes.build(name).fit(Z, Y.iloc[SHUFFLED], GROUPS.iloc[SHUFFLED], **given)
    assert np.array_equal(moved.predict_scores(Z), expected.predict_scores(Z))
    with pytest.raises(ValueError, match="the index of y holds other samples than"):
        probes.build(name).fit(Z, Y.set_axis([name.replace("p", "q") for name in NAMES]), **given)
