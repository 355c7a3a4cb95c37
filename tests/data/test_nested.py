"""Series in long format as one row each: read alike, and cut by scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from kinview import TS2Vec
from kinview.data import read_panel, to_nested
from kinview.datasets import read_long
from kinview.methods import RandomInit


def written(path: Path, n: int = 24) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        f"{i // 2},{i},{t},{rng.normal() + 3 * (i % 2):.3f},{'' if t % 3 else t / 8},{('ill', 'well')[i % 2]}"
        for i in range(n)
        for t in range(4 + i % 5)
    ]
    path.write_text("patient,stay,hour,hr,bp,state\n" + "\n".join(rng.permutation(rows)) + "\n")
    return path


@pytest.mark.parametrize(
    "times",
    [
        [0, 1, 5],
        [2.5, 0.5, 1.5],
        pd.DatetimeIndex(np.array(["2024-05-31", "1066-10-14", "2024-06-01"], dtype="datetime64[s]")),
        pd.timedelta_range(0, periods=3, freq="h"),
    ],
    ids=str,
)
@pytest.mark.parametrize("levels", [1, 2])
def test_both_forms_are_read_alike(times, levels):
    names = [("u", "anna"), ("u", "ben"), ("v", "anna")]
    rows = [(*name[-levels:], t) for name in (names if levels == 2 else names[:2]) for t in times]
    rng = np.random.default_rng(1)
    index = pd.MultiIndex.from_tuples(rows, names=["ward", "patient", "time"][-levels - 1 :])
    X = pd.DataFrame(rng.normal(size=(len(rows), 2)), index=index, columns=["hr", "bp"])
    X.iloc[1, 0] = np.nan
    X = X.iloc[rng.permutation(len(X))].iloc[:-1]  # of unequal length, in any order
    found, expected = read_panel(to_nested(X), dtype=torch.float64), read_panel(X, dtype=torch.float64)
    torch.testing.assert_close(found.batch.x, expected.batch.x, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(found.batch.times, expected.batch.times, rtol=0, atol=0, equal_nan=True)
    assert found.index.tolist() == expected.index.tolist() and found.channels == expected.channels
    assert found.time_unit == expected.time_unit
    y = pd.Series(range(len(found.index)), index=expected.index)
    assert read_panel(to_nested(X), y=y[::-1]).batch.y.tolist() == y.tolist()


def test_what_is_no_long_frame_is_refused():
    steps = pd.MultiIndex.from_tuples([("a", 0), ("a", 0)])
    with pytest.raises(ValueError, match="series a has the time stamp 0 more than once"):
        to_nested(pd.DataFrame({"x": [1.0, 2.0]}, index=steps))
    with pytest.raises(ValueError, match=r"a MultiIndex \(series, time\), one row a step"):
        to_nested(pd.DataFrame({"x": [1.0, 2.0]}))
    with pytest.raises(TypeError, match="got ndarray; arrays have a row a series"):
        to_nested(np.zeros((2, 1, 3)))  # type: ignore[arg-type]
    series = to_nested(pd.Series([1.0, 2.0], index=pd.MultiIndex.from_tuples([("a", 0), ("b", 0)])))
    assert series.columns.tolist() == ["channel_0"] and series.index.tolist() == ["a", "b"]


def test_scikit_learn_searches_over_a_long_file_with_groups(tmp_path):
    samples = read_long(
        written(tmp_path / "x.csv"), id="stay", time="hour", label="state", group="patient", columns=["hr", "bp"]
    )
    model = make_pipeline(
        RandomInit({"ts2vec": {"hidden_dim": 4, "repr_dim": 4, "depth": 1}}, random_state=0), LogisticRegression()
    )
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cross_val_score(model, samples.X, samples.y, groups=samples.groups, cv=GroupKFold(3))
    X = to_nested(samples.X)
    assert X.index.tolist() == list(range(24)) and samples.groups.tolist() == [i // 2 for i in range(24)]
    search = GridSearchCV(model, {"logisticregression__C": [0.01, 1.0]}, cv=GroupKFold(3), error_score="raise")
    search.fit(X, samples.y, groups=samples.groups)
    folds = list(GroupKFold(3).split(X, samples.y, samples.groups))
    for train, test in folds:
        assert not set(samples.groups[train]) & set(samples.groups[test])
    found = cross_val_predict(model, X, samples.y, groups=samples.groups, cv=GroupKFold(3))
    for train, test in folds:  # each fold as it is by hand, from the long form
        stays = X.index[train]
        own = samples.X[samples.X.index.get_level_values("stay").isin(stays)]
        assert found[test].tolist() == model.fit(own, samples.y[train]).predict(X.iloc[test]).tolist()


def test_labels_of_steps_say_what_to_do(tmp_path):
    samples = read_long(written(tmp_path / "x.csv"), id="stay", time="hour", group="patient", columns=["hr"])
    with pytest.raises(ValueError, match=r"give one a row \(a series counts as one.*to_nested"):
        read_panel(samples.X, y=np.zeros(len(samples.X)))
    with pytest.raises(ValueError, match=r"groups has .* for 24 rows.*to_nested"):
        TS2Vec().fit(samples.X, groups=np.zeros(len(samples.X)))
