import datetime as dt
import decimal
import json
import os
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from kinview import SCARF
from kinview.data import TableSchema
from kinview.data.table import Column

nan = float("nan")
D = decimal.Decimal
date_objects = [dt.date(2020, 1, 1), dt.date(2020, 1, 2), None, dt.date(2020, 1, 4)]
texts = ["a", "b", None, "a"] * 5
numbers = [1, 2, None, 4]
truths = [True, False, None, True]
seconds = pd.to_timedelta([1, 2, None, 4], unit="s")


def dates():
    return pd.to_datetime(["2020-01-01", "2020-01-02", None, "2020-01-04"])  # anew: pandas' casts to Arrow fill its NaT


def encoded(column):
    frame = pd.DataFrame({"c": column})
    before = frame.copy(deep=True)
    batch = TableSchema.fit(frame).to_batch(frame)
    pd.testing.assert_frame_equal(frame, before)
    return batch.x.flatten().tolist()


def standardised(values):
    values = np.array(values, dtype=float)
    return (values - np.nanmean(values)) / np.nanstd(values)


class Encode(TransformerMixin, BaseEstimator):
    """The least transformer around a schema."""

    def _validated(self, X, reset):
        if isinstance(X, pd.DataFrame):
            return validate_data(self, X, reset=reset, skip_check_array=True)
        return validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)

    def fit(self, X, y=None):
        self.schema_ = TableSchema.fit(self._validated(X, reset=True))
        return self

    def transform(self, X):
        check_is_fitted(self)
        return self.schema_.to_batch(self._validated(X, reset=False)).x.numpy()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def test_a_transformer_around_the_schema_passes_sklearns_checks():
    results = check_estimator(Encode(), on_skip=None, on_fail="raise")
    assert len(results) > 40
    assert {result["status"] for result in results} <= {"passed", "skipped"}


def test_categories_that_differ_after_a_nul_stay_two():
    cells = np.array(["a\0b", "a\0c", "a\0b", "a\0c"] * 5, dtype=object)
    codes = encoded(pd.Series(cells, dtype=object))
    assert codes[0] == codes[2] != codes[1] == codes[3]


@pytest.mark.parametrize(
    "column",
    [
        pd.array(numbers, dtype="Int8"),
        pd.array(numbers, dtype="Float64"),
        pd.array(numbers, dtype="int64[pyarrow]"),
        pd.array(numbers, dtype="double[pyarrow]"),
        pd.array([D(1), D(2), None, D(4)], dtype=pd.ArrowDtype(pa.decimal128(10, 2))),
        pd.Series([1, 2, nan, 4]),
        pd.Series([1, 2, nan, 4], dtype="float16"),
        pd.Series([1, 2.0, pd.NA, 4], dtype=object),
        pd.Series([D(1), D(2), None, D(4)], dtype=object),
        pd.arrays.SparseArray([1.0, 2.0, nan, 4.0]),
        pd.Series(seconds),
        pd.Series(seconds).astype(pd.ArrowDtype(pa.duration("ms"))),
        pd.Series([dt.timedelta(seconds=s) if s else None for s in (1, 2, 0, 4)], dtype=object),
    ],
    ids=lambda column: str(column.dtype),
)
def test_numeric_columns_of_every_dtype(column):
    schema = TableSchema.fit(pd.DataFrame({"c": column}))
    assert schema.columns[0].kind == "numeric"
    assert schema.columns[0].median == 2
    np.testing.assert_allclose(encoded(column), standardised([1, 2, nan, 4]), rtol=1e-6)


@pytest.mark.parametrize(
    "column",
    [
        pd.array(truths, dtype="boolean"),
        pd.array(truths, dtype="bool[pyarrow]"),
        pd.Series(truths, dtype=object),
    ],
    ids=lambda column: str(column.dtype),
)
def test_boolean_columns_of_every_dtype(column):
    assert TableSchema.fit(pd.DataFrame({"c": column})).columns[0].kind == "boolean"
    np.testing.assert_allclose(encoded(column), standardised([1, 0, nan, 1]), rtol=1e-6)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(dates()),
        pd.Series(dates().as_unit("ns")),
        pd.Series(dates().tz_localize("US/Eastern")),
        pd.Series(dates()).astype("timestamp[s][pyarrow]"),
        pd.Series(dates()).astype(pd.ArrowDtype(pa.timestamp("us", "Europe/Berlin"))),
        pd.Series(date_objects, dtype=object),
        pd.Series(date_objects, dtype=pd.ArrowDtype(pa.date32())),
        pd.Series([None if pd.isna(date) else date.to_pydatetime() for date in dates()], dtype=object),
        pd.Series(dates().to_period("D")),
    ],
    ids=lambda column: str(column.dtype),
)
def test_date_columns_of_every_dtype(column):
    schema = TableSchema.fit(pd.DataFrame({"c": column}))
    assert schema.columns[0].kind == "datetime"
    assert schema.columns[0].scale == pytest.approx(np.std([0, 86400, 3 * 86400]))
    np.testing.assert_allclose(encoded(column), standardised([0, 1, nan, 3]), rtol=1e-5)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(texts),
        pd.Series(texts, dtype="string"),
        pd.Series(texts, dtype=object),
        pd.Series(texts, dtype=pd.ArrowDtype(pa.large_string())),
        pd.Series(texts).astype("category"),
        pd.Series(texts).astype("category").astype(pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
        pd.Series([None if text is None else text.encode() for text in texts], dtype=object),
        pd.Series([None if text is None else text.encode() for text in texts], dtype=pd.ArrowDtype(pa.binary())),
    ],
    ids=lambda column: str(column.dtype),
)
def test_text_and_categories_of_every_dtype(column):
    schema = TableSchema.fit(pd.DataFrame({"c": column}))
    assert schema.columns[0].categories == ("a", "b")
    assert schema.columns[0].counts == (10, 5)
    assert schema.categorical == (True,)
    assert schema.cardinalities == (3,)
    assert str(encoded(column)) == str([1.0, 2.0, nan, 1.0] * 5)


def test_categories_of_numbers_do_not_depend_on_their_dtype():
    schema = TableSchema.fit(pd.DataFrame({"c": pd.Categorical([1, 2, 10] * 5)}))
    assert schema.columns[0].categories == ("1", "10", "2")
    for other in (pd.Categorical([1.0, 2.0, 10.0]), [1.0, 2.0, 10.0], ["1", "2", "10"], [D(1), 2, "10"]):
        assert schema.to_batch(pd.DataFrame({"c": other})).x.flatten().tolist() == [1, 3, 2]


def test_mixed_objects_are_categories_whatever_the_order_of_rows():
    schema = TableSchema.fit(pd.DataFrame({"c": pd.Series(["a", 1, None] * 5, dtype=object)}))
    for cells in ([True, 1, "a"], [1, True, "a"]):
        assert schema.to_batch(pd.DataFrame({"c": pd.Series(cells, dtype=object)})).x.flatten().tolist() == [1, 1, 2]


def test_unseen_categories_are_code_zero_and_declared_ones_count_only_when_observed():
    schema = TableSchema.fit(pd.DataFrame({"c": pd.Categorical(["a", "c"] * 5, categories=["a", "b", "c"])}))
    assert schema.to_batch(pd.DataFrame({"c": ["b", "c", "zebra", None]})).x.flatten()[:3].tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    "column",
    [
        [nan] * 3,
        pd.Series([None] * 3, dtype=object),
        pd.Series([None] * 3, dtype="str"),
        pd.Series([None] * 3, dtype="Int64"),
        pd.Series([pd.NaT] * 3),
        pd.Series([None] * 3, dtype=pd.ArrowDtype(pa.null())),
        pd.Categorical([None] * 3),
    ],
    ids=lambda column: str(getattr(column, "dtype", "list")),
)
def test_columns_never_observed(column):
    schema = TableSchema.fit(pd.DataFrame({"c": column}))
    assert all(np.isnan(encoded(column)))
    assert schema.columns[0].scale == 1.0
    assert len(schema.marginals[0]) == 0
    assert TableSchema.from_config(schema.to_config()).columns == schema.columns


def test_constant_columns_are_zero():
    frame = pd.DataFrame({"n": [0.1] * 7, "b": [True] * 7, "d": [pd.Timestamp("2020-01-01")] * 7})
    schema = TableSchema.fit(frame)
    assert torch.equal(schema.to_batch(frame).x, torch.zeros(7, 3))
    assert [column.scale for column in schema.columns] == [1.0, 1.0, 1.0]


def test_large_offsets_keep_their_digits():
    expected = standardised([0, 1, 2, 3])
    second = np.timedelta64(1, "s")
    frame = pd.DataFrame(
        {
            "id": np.array([10**15, 10**15 + 1, 10**15 + 2, 10**15 + 3]),
            "float": 1e9 + np.arange(4),
            "date": np.datetime64("2024-05-01T12:00:00") + np.arange(4) * second,
        }
    )
    x = TableSchema.fit(frame).to_batch(frame).x
    for column in x.T:
        np.testing.assert_allclose(column, expected, rtol=1e-6)
    array = frame[["id", "float"]].to_numpy(dtype=float)
    np.testing.assert_allclose(TableSchema.fit(array).to_batch(array).x[:, 0], expected, rtol=1e-6)


columns = st.lists(st.floats(-1e9, 1e9) | st.just(nan), min_size=1, max_size=12)


@given(columns)
@settings(max_examples=60, deadline=None)
def test_numbers_come_back_and_gaps_stay(values):
    frame = pd.DataFrame({"c": values})
    schema = TableSchema.fit(frame)
    column, x = schema.columns[0], schema.to_batch(frame).x[:, 0].double().numpy()
    assert np.array_equal(np.isnan(x), np.isnan(values))
    np.testing.assert_allclose(x * column.scale + column.mean, values, rtol=1e-5, atol=1e-5 * max(column.scale, 1))
    observed = [value for value in values if not np.isnan(value)]
    if observed:
        assert column.median == pytest.approx(float(np.median(observed)))
    assert torch.equal(schema.marginals[0], torch.from_numpy(np.sort(x[~np.isnan(x)]).astype(np.float32)))


@pytest.mark.filterwarnings("ignore:column 'c' has . categories, none of 5 training rows:UserWarning")
@given(st.lists(st.sampled_from(["a", "b", "ä", "", "other"]) | st.none(), min_size=1, max_size=30), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_categories_come_back_and_rows_are_independent(values, row):
    frame = pd.DataFrame({"c": pd.Series(values, dtype=object)})
    schema = TableSchema.fit(frame)
    codes = schema.to_batch(frame).x[:, 0]
    back = [None if code != code else schema.columns[0].categories[int(code) - 1] for code in codes.tolist()]
    assert back == [value if values.count(value) >= 5 else None for value in values]
    assert (codes != codes).tolist() == [value is None for value in values]
    loaded = TableSchema.from_config(json.loads(json.dumps(schema.to_config())))
    assert loaded.columns == schema.columns  # so that a model and its file encode alike
    one = frame.iloc[[row % len(values)]]
    assert str(schema.to_batch(one).x[0].tolist()) == str(codes[row % len(values)].reshape(1).tolist())


def mixed():
    return pd.DataFrame(
        {
            "age": [30.0, nan, 50.0, 70.0] * 5,
            "sex": ["f", "m", None, "f"] * 5,
            "smoker": pd.array([True, None, False, True] * 5, dtype="boolean"),
            "seen": list(dates()) * 5,
        }
    )


def test_marginals_are_sorted_columns_so_no_row_can_be_rebuilt():
    frame = mixed()
    schema = TableSchema.fit(frame)
    x = schema.to_batch(frame).x
    for column, marginal in zip(x.T, schema.marginals, strict=True):
        assert torch.equal(marginal, column[~column.isnan()].sort().values)
    shuffled = TableSchema.fit(frame.sample(frac=1, random_state=0))
    assert all(torch.equal(a, b) for a, b in zip(schema.marginals, shuffled.marginals, strict=True))


def test_config_round_trip_through_json():
    frame = mixed()
    schema = TableSchema.fit(frame)
    loaded = TableSchema.from_config(json.loads(json.dumps(schema.to_config(), allow_nan=False)))
    assert loaded.columns == schema.columns
    assert loaded.marginals is None
    assert torch.equal(loaded.to_batch(frame).x.nan_to_num(-9), schema.to_batch(frame).x.nan_to_num(-9))


def test_rare_categories_are_one_from_fit_on():
    cells = ["common"] * 9 + ["five"] * 5 + ["pair"] * 2 + ["zoe"] * 3 + ["adam"] * 1
    frame = pd.DataFrame({"c": cells, "d": ["x", "y"] * 10})
    schema = TableSchema.fit(frame)
    assert schema.columns[0].categories == ("common", "five", None) and schema.columns[0].counts == (9, 5, 0)
    assert schema.columns[1].categories == ("x", "y")
    text = json.dumps(schema.to_config())
    assert not any(name in text for name in ("adam", "pair", "zoe"))
    loaded = TableSchema.from_config(json.loads(text))
    assert loaded.columns == schema.columns and loaded.cardinalities == schema.cardinalities == (4, 3)
    probe = pd.DataFrame(
        {"c": ["common", "five", "adam", "pair", "zoe", "never", None], "d": ["x", "y", "never"] * 2 + ["x"]}
    )
    for either in (schema, loaded):
        x = either.to_batch(probe).x
        assert x[:6, 0].tolist() == [1, 2, 3, 3, 3, 3] and bool(x[6, 0].isnan())
        assert x[:3, 1].tolist() == [1, 2, 0]  # nothing rare here: unseen stays 0
    assert schema.marginals[0].tolist() == [1] * 9 + [2] * 5 + [3] * 6


def test_a_column_whose_categories_are_all_rare_is_warned_about_by_name():
    frame = pd.DataFrame({"ward": ["a", "b", "c", "d"] * 4, "age": np.arange(16.0)})
    with pytest.warns(UserWarning, match="column 'ward' has 4 categories, none of 5 training rows or more"):
        schema = TableSchema.fit(frame)
    assert schema.columns[0].categories == (None,)
    assert TableSchema.fit(frame.assign(ward=["a"] * 4 + [None] * 12)).cardinalities == (2, 0)  # nothing is lost


def test_a_schema_of_0_1_0_keeps_its_codes_and_says_what_its_file_will_not_tell_apart():
    cells = ["common"] * 9 + ["pair"] * 2 + ["zoe"] * 3 + ["adam"] * 1
    old = TableSchema((Column("c", "categorical", ("adam", "common", "pair", "zoe"), (1, 9, 2, 3)),))
    again = pickle.loads(pickle.dumps(old))
    for schema in (old, again):
        assert schema.to_batch(pd.DataFrame({"c": [*cells[8:], "never"]})).x.flatten().tolist() == [
            *(2, 3, 3, 4, 4, 4, 1, 0)
        ]
    with pytest.warns(UserWarning, match=r"column\(s\) 'c': the file does not tell categories of fewer than 5"):
        config = old.to_config()
    assert (config["columns"][0]["categories"], config["columns"][0]["other"]) == ([None, "common", None, None], 4)
    loaded = TableSchema.from_config(config)
    assert loaded.to_batch(pd.DataFrame({"c": ["common", "adam", "never"]})).x.flatten().tolist() == [2, 4, 4]
    assert loaded.to_config() == config


def test_a_damaged_config_is_refused():
    config = TableSchema.fit(mixed()).to_config()
    with pytest.raises(ValueError, match="at least one column"):
        TableSchema.from_config({"columns": []})
    for change in ({"scale": 0.0}, {"kind": "text"}, {"other": 7}, {"counts": [1]}, {"mean": 1e999}):
        with pytest.raises(ValueError, match="the description of column 'age' does not hold together"):
            TableSchema.from_config({"columns": [config["columns"][0] | change]})
    with pytest.raises(ValueError, match="a column is described by 'categories'"):
        TableSchema.from_config({"columns": [{"name": "age"}]})


def test_columns_are_found_by_name():
    frame = mixed()
    schema = TableSchema.fit(frame)
    assert schema.names == ("age", "sex", "smoker", "seen")
    expected = schema.to_batch(frame).x.nan_to_num(-9)
    assert torch.equal(schema.to_batch(frame[["seen", "sex", "smoker", "age"]]).x.nan_to_num(-9), expected)
    assert torch.equal(schema.to_batch(frame.astype(object).to_numpy()).x.nan_to_num(-9), expected)
    with pytest.raises(
        ValueError, match=r"X lacks the column\(s\) 'sex' and has the column\(s\) 'gender' that fit did not"
    ):
        schema.to_batch(frame.rename(columns={"sex": "gender"}))
    with pytest.raises(ValueError, match=r"lacks the column\(s\) 'age', 'seen'; give the columns of fit: 'age', 'sex'"):
        schema.to_batch(frame[["sex", "smoker"]])
    with pytest.raises(ValueError, match=r"X has the column\(s\) 'id' that fit did not see"):
        schema.to_batch(frame.assign(id=1))
    with pytest.raises(ValueError, match="X has more than one column named 'age'"):
        TableSchema.fit(pd.concat([frame, frame[["age"]]], axis=1))
    with pytest.raises(ValueError, match="X has 2 columns, but 4 at fit"):
        schema.to_batch(np.zeros((3, 2)))


def test_integer_names_are_names_and_arrays_go_by_position():
    array = np.arange(12.0).reshape(4, 3)
    by_frame = TableSchema.fit(pd.DataFrame(array))
    assert by_frame.names == ("0", "1", "2")
    assert torch.equal(by_frame.to_batch(pd.DataFrame(array)[[2, 0, 1]]).x, by_frame.to_batch(array).x)
    by_array = TableSchema.fit(array)
    assert by_array.names == ("x0", "x1", "x2")
    assert torch.equal(by_array.to_batch(pd.DataFrame(array, columns=list("abc"))).x, by_array.to_batch(array).x)
    assert TableSchema.fit(array, feature_names=["a", "b", "c"]).names == ("a", "b", "c")
    with pytest.raises(ValueError, match="2 different names for 3 columns"):
        TableSchema.fit(array, feature_names=["a", "b", "b"])
    with pytest.raises(ValueError, match="feature_names 'a', 'b', 'c' are not the columns of X"):
        TableSchema.fit(pd.DataFrame(array), feature_names=["a", "b", "c"])


def test_arrays_lists_tensors_and_whatever_offers_to_pandas():
    array = np.array([[1.0, nan], [3.0, 1.0]])
    expected = TableSchema.fit(array).to_batch(array).x
    table = pa.table({"x0": array[:, 0], "x1": pa.array([None, 1.0])})
    for X in (array.tolist(), torch.from_numpy(array), array.astype(object), table, np.asfortranarray(array)):
        x = TableSchema.fit(X).to_batch(X).x
        assert x.dtype == torch.float32
        assert str(x.tolist()) == str(expected.tolist())
    objects = np.array([["a", 1.0], ["b", None], ["a", 3.0]] * 5, dtype=object)
    assert [column.kind for column in TableSchema.fit(objects).columns] == ["categorical", "numeric"]
    assert TableSchema.fit(np.array([[True], [False]])).columns[0].kind == "boolean"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([pd.NA, 1, 3], [nan, 1, 3]),
        ([pd.NaT, 1, 3], [nan, 1, 3]),
        ([D("1.5"), 1, 2.5], [1.5, 1, 2.5]),
        ([Fraction(1, 2), D("1.5"), None], [0.5, 1.5, nan]),
        ([10**30, 1, 2], [1e30, 1, 2]),
        ([dt.datetime(1970, 1, 2), dt.datetime(1970, 1, 3), pd.NaT], [86400, 172800, nan]),
        ([dt.timedelta(seconds=1), dt.timedelta(seconds=3), None], [1, 3, nan]),
    ],
    ids=str,
)
def test_cells_that_scikit_learn_does_not_read_are_read_in_arrays_as_in_frames(cells, expected):
    rows = [[cell, float(i)] for i, cell in enumerate(cells)]
    array = np.empty((3, 2), dtype=object)
    array[:, 0], array[:, 1] = cells, [0.0, 1.0, 2.0]
    for X in (array, rows, pd.DataFrame({"x0": pd.Series(cells, dtype=object), "x1": [0.0, 1.0, 2.0]})):
        schema = TableSchema.fit(X)
        np.testing.assert_allclose(schema.to_batch(X).x[:, 0], standardised(expected), rtol=1e-6)
        model = SCARF(hidden_dim=2, depth=1, trainer={"max_steps": 1}, random_state=0).fit(X)
        assert model.transform(X).shape == (3, 2)


def test_a_value_beyond_float64_in_an_array_names_its_column():
    for value in (10**400, D("Infinity")):
        with pytest.raises(ValueError, match=r"Input X contains infinity or a value .*: column 'x1', 1 row"):
            TableSchema.fit(np.array([[1, 2], [3, value]], dtype=object))


@pytest.mark.parametrize("code", [">f8", ">i4", ">f4"])
def test_columns_of_another_byte_order(code):
    values = np.array([1, 2, 4, 8])
    for X in (values.astype(code)[:, None], pd.DataFrame({"x0": values.astype(code)})):
        np.testing.assert_allclose(TableSchema.fit(X).to_batch(X).x[:, 0], standardised(values), rtol=1e-6)


def test_labels_and_groups_travel_along():
    batch = TableSchema.fit(np.zeros((3, 1))).to_batch(np.zeros((3, 1)), y=["b", "a", "b"], groups=["q", "p", "q"])
    assert batch.y.tolist() == [1, 0, 1]
    assert batch.groups.tolist() == [0, 1, 0]
    assert batch.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", ["str", object, "string", pd.ArrowDtype(pa.string())], ids=str)
def test_ids_and_free_text_are_refused_by_name_unless_asked_for(dtype):
    ids = pd.Series([f"patient {i}" for i in range(28)] + ["patient 0", None], dtype=dtype)
    frame = pd.DataFrame({"mrn": ids, "age": np.arange(30.0)})
    with pytest.raises(ValueError, match=r"'mrn' \(28 distinct texts in 29 rows\): drop .*text='categorical'") as error:
        TableSchema.fit(frame)
    assert "patient" not in str(error.value)
    for kept in ({"X": frame, "text": "categorical"}, {"X": frame.astype({"mrn": "category"})}, {"X": frame.iloc[:9]}):
        with pytest.warns(UserWarning, match=r"column 'mrn' has \d+ categories, none of 5 training rows or more"):
            assert TableSchema.fit(**kept).cardinalities == (2, 0)
    with pytest.raises(ValueError, match="text='drop' is unknown"):
        TableSchema.fit(frame, text="drop")


def test_real_customer_table():
    folder = os.environ.get("KINVIEW_DATA")
    if not folder or not (path := Path(folder, "telco-churn", "Telco-Customer-Churn.csv")).is_file():
        pytest.skip("KINVIEW_DATA names no folder with telco-churn")
    frame = pd.read_csv(path)
    with pytest.raises(ValueError, match=r"'customerID' \(7043 .*, 'TotalCharges' \(6531 .*to_numeric"):
        TableSchema.fit(frame)
    charges = pd.to_numeric(frame["TotalCharges"], errors="coerce")
    schema = TableSchema.fit(frame.drop(columns="customerID").assign(TotalCharges=charges))
    assert sum(schema.categorical) == 16
    x = schema.to_batch(frame.assign(TotalCharges=charges).drop(columns="customerID")).x
    assert int(x.isnan().sum()) == int(charges.isna().sum()) == 11


def test_the_input_is_never_modified():
    frame, array = mixed(), np.array([[1.0, nan], [3.0, 1.0]])
    before, copy = frame.copy(deep=True), array.copy()
    TableSchema.fit(frame).to_batch(frame).x.zero_()
    TableSchema.fit(array).to_batch(array).x.zero_()
    pd.testing.assert_frame_equal(frame, before)
    np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (
            [1.0, np.inf],
            ValueError,
            r"Input X contains infinity or a value too large for dtype\('float64'\): column 'c'",
        ),
        (pd.array([1.0, -np.inf], dtype="Float64"), ValueError, "Input X contains infinity"),
        ([1j, 2], ValueError, "column 'c' is complex. Complex data not supported"),
        (pd.Series([{"a": 1}] * 2), TypeError, "column 'c' holds dict objects; .* must be a string or a number"),
        (pd.Series([[1]] * 2), TypeError, "column 'c' holds list objects"),
        (pd.Series([[1]] * 2, dtype=pd.ArrowDtype(pa.list_(pa.int64()))), TypeError, "column 'c' holds list objects"),
        (pd.Series([object()] * 2), TypeError, "column 'c' holds object objects"),
        (pd.Series(["x", D("Infinity")] * 6, dtype=object), ValueError, "infinity .*: column 'c', a category"),
        (pd.Series(["x", np.inf] * 6, dtype=object), ValueError, "infinity .*: column 'c', a category"),
        (pd.Categorical([1.0, np.inf]), ValueError, "infinity .*: column 'c', a category"),
        (pd.Series([2, D("Infinity")], dtype=object), ValueError, "infinity .*: column 'c', 1 row.*position 1"),
        (pd.Series([D(1), D("1E+400")], dtype=object), ValueError, "too large .*: column 'c', 1 row.*position 1"),
        (pd.Series(["x", D("1E+999999")], dtype=object), ValueError, "too large .*: column 'c', a category"),
        (pd.Series([10**400, 1], dtype=object), ValueError, "too large .*: column 'c', 1 row.*position 0"),
        (pd.Series([10**5000, "x"], dtype=object), ValueError, "too large .*: column 'c', a category"),
        (pd.Series([D("sNaN"), D(1)], dtype=object), ValueError, "column 'c' holds the signalling NaN"),
        (pd.Series(["x", D("sNaN")], dtype=object), ValueError, "column 'c' holds the signalling NaN"),
        ([1e308, -1e308], ValueError, r"column 'c' spans -1e\+308 to 1e\+308, too wide"),
    ],
)
def test_cells_that_no_table_holds(column, error, message):
    with pytest.raises(error, match=message):
        TableSchema.fit(pd.DataFrame({"c": column}))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((0, 3)), ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required"),
        (np.zeros((3, 0)), ValueError, r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
        (pd.DataFrame({"a": []}), ValueError, r"0 sample\(s\) \(shape=\(0, 1\)\) while a minimum of 1 is required"),
        (pd.DataFrame(index=[0]), ValueError, r"0 feature\(s\) \(shape=\(1, 0\)\) while a minimum of 1 is required"),
        (np.zeros(3), ValueError, "Expected 2D array, got 1D array instead"),
        (np.zeros((2, 2, 2)), ValueError, "dim 3"),
        (np.array([[1j]]), ValueError, "Complex data not supported"),
        (np.array([[np.inf]]), ValueError, "Input X contains infinity"),
        (np.array([[{"foo": "bar"}]], dtype=object), TypeError, "argument must be .* string.* number"),
    ],
)
def test_tables_that_are_none(X, error, message):
    with pytest.raises(error, match=message):
        TableSchema.fit(X)


def test_a_column_of_another_kind_than_at_fit_is_refused_by_name():
    schema = TableSchema.fit(mixed())
    frame = mixed()
    cases = {
        "age": (
            ["x"] * 20,
            r"column 'age' was numeric at fit and now holds categorical values such as 'x' .*to_numeric",
        ),
        "smoker": (["yes"] * 20, "column 'smoker' was boolean at fit"),
        "seen": (["2020-01-01"] * 20, r"column 'seen' was datetime at fit .*pandas\.to_datetime"),
    }
    for name, (cells, message) in cases.items():
        with pytest.raises(ValueError, match=message):
            schema.to_batch(frame.assign(**{name: cells}))
    x = schema.to_batch(frame.assign(smoker=1, age=True, seen=None)).x
    assert bool(x[:, 3].isnan().all())
    np.testing.assert_allclose(x[:, 2], (1 - schema.columns[2].mean) / schema.columns[2].scale, rtol=1e-6)


def test_a_value_too_far_from_its_training_mean_is_refused_rather_than_made_infinite():
    schema = TableSchema.fit(np.array([[1.0], [2.0]]))
    with pytest.raises(ValueError, match=r"column 'x0' holds 1e\+300, more than 3\.4e\+38 standard deviations"):
        schema.to_batch(np.array([[1e300]]))
