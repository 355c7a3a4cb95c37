"""Labels and groups whose index names the samples: aligned where it holds them, refused where it holds others."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from kinview.data import TableSchema, read_panel
from kinview.data.alignment import in_order_of

NAMES = ["anna", "ben", "carl", "dora"]
TABLE = pd.DataFrame({"age": [30.0, 40.0, 50.0, 60.0]}, index=NAMES)
STEPS = pd.MultiIndex.from_product([NAMES, [0, 1, 2]], names=["patient", "time"])
SERIES = pd.DataFrame({"hr": np.arange(12.0)}, index=STEPS)
VALUES = pd.Series([1, 2, 3, 4], index=NAMES)


@given(st.permutations(range(4)))
@settings(max_examples=24, deadline=None)
def test_every_order_of_the_values_gives_the_order_of_the_samples(order):
    values = VALUES.iloc[order]
    for samples in (TABLE, SERIES, TABLE["age"], TABLE.index, pd.DataFrame({"hr": [pd.Series([0.0])] * 4}, NAMES)):
        assert in_order_of(samples, values, "y").tolist() == [1, 2, 3, 4]
        assert in_order_of(samples, values.to_frame(), "y").to_numpy().ravel().tolist() == [1, 2, 3, 4]
        for plain in (values.to_numpy(), values.tolist()):
            assert in_order_of(samples, plain, "y") is plain
    turned = TABLE.iloc[order]
    assert in_order_of(turned, VALUES, "y").index.tolist() == turned.index.tolist()


def test_names_of_several_levels():
    rows = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["patient", "visit"])
    table, values = pd.DataFrame({"x": [0.0, 1.0, 2.0]}, index=rows), pd.Series([1, 2, 3], index=rows)
    assert in_order_of(table, values[::-1], "y").tolist() == [1, 2, 3]
    steps = pd.MultiIndex.from_tuples([(*row, time) for row in rows for time in (0, 1)])
    series = pd.DataFrame({"x": np.arange(6.0)}, index=steps)
    assert in_order_of(series, values[::-1], "y").tolist() == [1, 2, 3]
    wards = pd.MultiIndex.from_tuples([(ward, name, t) for ward, name in zip("uvuv", NAMES) for t in (0, 1)])
    nested = pd.DataFrame({"x": np.arange(8.0)}, index=wards)
    assert in_order_of(nested, VALUES[::-1], "y").tolist() == [1, 2, 3, 4]  # the patient alone tells them apart
    tuples = pd.DataFrame({"x": [0.0, 1.0, 2.0]}, index=pd.Index(rows.tolist(), tupleize_cols=False))
    assert in_order_of(tuples, values[::-1], "y").tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (
            ["anna", "ben", "carl", "emil"],
            "the index of y holds other samples than X: 'emil' is not in X, and y lacks 'do",
        ),
        ([*"wxyz"], r"'w', 'x', 'y' and 1 more are not in X, and y lacks 'anna', 'ben', 'carl' and 1 more; give y the"),
        (
            [7, 8, 9, 10],
            r"7, 8, 9 and 1 more are not in X.*or as a plain array \(y.to_numpy\(\)\) to go by position",
        ),
        (["anna", "anna", "ben", "carl"], "y lacks 'dora'"),
    ],
)
def test_an_index_of_other_samples_is_refused(index, message):
    for samples in (TABLE, SERIES):
        with pytest.raises(ValueError, match=message):
            in_order_of(samples, VALUES.set_axis(index), "y")


def test_names_that_stand_twice():
    table = TABLE.set_axis(["anna", "anna", "ben", "ben"])
    values = VALUES.set_axis(table.index)
    assert in_order_of(table, values, "y") is values
    with pytest.raises(ValueError, match=r"another order than that of X, and names samples twice \('ben', 'anna'\)"):
        in_order_of(table, values[::-1], "y")


def test_an_index_that_names_nothing_goes_by_position():
    unnamed = VALUES.reset_index(drop=True)
    assert in_order_of(TABLE, unnamed, "y") is unnamed
    assert in_order_of(TABLE.reset_index(drop=True), VALUES, "y") is VALUES
    assert in_order_of(TABLE.reset_index(drop=True), unnamed[::-1], "y").tolist() == [1, 2, 3, 4]  # exactly its rows
    for samples in (TABLE.to_numpy(), np.zeros((4, 1, 3)), TABLE.to_numpy().tolist(), torch.zeros(4, 1), None):
        assert in_order_of(samples, VALUES[::-1], "y").tolist() == [4, 3, 2, 1]
    short = VALUES[:2]
    assert in_order_of(TABLE, short, "y") is short  # refused by who counts


def test_batches_hold_aligned_labels_and_groups():
    groups = pd.Series(["p", "p", "q", "r"], index=NAMES)
    schema = TableSchema.fit(TABLE)
    for read in (lambda **given: schema.to_batch(TABLE, **given), lambda **given: read_panel(SERIES, **given).batch):
        batch = read(y=VALUES[::-1], groups=groups[::-1])
        assert batch.y.tolist() == [1, 2, 3, 4] and batch.groups.tolist() == [0, 0, 1, 2]
        assert read(y=VALUES[::-1].to_numpy()).y.tolist() == [4, 3, 2, 1]
        with pytest.raises(ValueError, match="the index of groups holds other samples than X"):
            read(groups=groups.set_axis([*"wxyz"]))
    array = SERIES.to_numpy().reshape(4, 1, 3)
    assert read_panel(array, y=pd.Series([1, 2, 3, 4], index=[3, 2, 1, 0])).batch.y.tolist() == [1, 2, 3, 4]


ROWS = TABLE.reset_index(drop=True)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([1, 2, 3, 4], "4 is not in X, and y lacks 0; give y the index of X, or as a plain array"),  # counted from 1
        ([100, 101, 102, 103], "100, 101, 102 and 1 more are not in X, and y lacks 0, 1, 2 and 1 more"),
        ([0, 1, 0, 1], "y lacks 2, 3, and y repeats 0, 1"),  # concat without ignore_index
        ([3, 7, 9, 12], "7, 9, 12 are not in X, and y lacks 0, 1, 2"),  # filtered, or drawn
        ([0.0, 1.0, 2.0, 7.0], "7.0 is not in X, and y lacks 3"),
        (pd.Index([3, 7, 9, 12], dtype=object), "7, 9, 12 are not in X"),
        (pd.Index([3, 7, 9, "a"], dtype=object), "are not in X"),
    ],
    ids=str,
)
def test_numbers_of_other_rows_are_refused_beside_samples_that_are_counted(index, message):
    for samples in (ROWS, ROWS["age"], ROWS.index):
        with pytest.raises(ValueError, match=f"the index of y holds other samples than X: .*{message}"):
            in_order_of(samples, VALUES.set_axis(index), "y")
    steps = SERIES.set_axis(pd.MultiIndex.from_product([range(4), range(3)]), axis=0)
    with pytest.raises(ValueError, match="the index of groups holds other samples than X"):
        read_panel(steps, groups=VALUES.set_axis(index))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([3, 7, 9, 12], name="patient"),
        pd.Index(["3", "7", "9", "12"]),
        pd.date_range("2024-05-31", periods=4),
        pd.MultiIndex.from_tuples([(1, 1), (1, 2), (2, 1), (2, 2)]),
        pd.Index([(1, 1), (1, 2), (2, 1), (2, 2)], tupleize_cols=False),
    ],
    ids=str,
)
def test_names_of_another_kind_go_by_position_beside_samples_that_are_counted(index):
    assert in_order_of(ROWS, VALUES.set_axis(index), "y").tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("index", [[3, 7, 9, 12], [1, 2, 3, 4], [0, 1, 0, 1], pd.RangeIndex(100, 104)], ids=str)
def test_values_that_pandas_counted_anew_go_by_position(index):
    unnamed = VALUES.reset_index(drop=True)
    assert in_order_of(ROWS.set_axis(index), unnamed, "y").tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="other samples than X"):  # but not what has an index of its own
        in_order_of(ROWS.set_axis(index), unnamed.set_axis([50, 51, 52, 53]), "y")


def test_what_scikit_learn_cuts_keeps_its_index_and_is_read():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict, train_test_split
    from sklearn.pipeline import make_pipeline

    from kinview import SCARF, FineTunedClassifier

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(40, 2)), columns=["a", "b"])
    y, groups = pd.Series(np.arange(40) % 2), pd.Series(np.arange(40) // 4)
    X["a"] += 9 * y
    scarf = SCARF(trainer={"max_steps": 2}, random_state=0)
    tuned = FineTunedClassifier(scarf, trainer={"max_steps": 2}, random_state=0)
    X_train, X_test, y_train, _ = train_test_split(X, y, random_state=0)
    assert X_train.index.tolist() == y_train.index.tolist() != sorted(y_train.index)
    tuned.fit(X_train, y_train)
    turned = tuned.predict(X_test).tolist()
    assert tuned.fit(X_train, y_train[::-1]).predict(X_test).tolist() == turned  # aligned
    with pytest.raises(ValueError, match="the index of y holds other samples than X"):
        tuned.fit(X_train.reset_index(drop=True), y_train)
    for model in (tuned, make_pipeline(scarf, LogisticRegression())):
        found = cross_val_predict(model, X, y, groups=groups, cv=GroupKFold(2))
        assert found.shape == (40,) and set(found) <= {0, 1}
