"""Labels and groups: what is read, refused and turned into codes, in one way for all who take them."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from kinview.data.labels import (
    as_labels,
    batch_labels,
    check_classes,
    check_labels,
    common_labels,
    distinct,
    encode_classes,
    encode_labels,
    encode_target,
    integer_codes,
    positions,
)

WITH_A_GAP = np.array(["ill", "well", None, "ill"], dtype=object)
DAYS = pd.to_datetime(["2020-01-01", "2021-01-01"] * 2)


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (lambda y: check_labels(y, "y_true"), "y_true"),
        (lambda y: encode_labels(y, name="groups"), "groups"),
        (lambda y: encode_classes(y, "a probe"), "y"),
        (encode_target, "Input y contains NaN: y"),
        (lambda y: integer_codes(y, 4, "groups"), "groups"),
        (lambda y: batch_labels(y, None, 4), "y"),
        (lambda y: batch_labels(None, y, 4), "groups"),
        (lambda y: check_classes("d", y, y[:2]), "the label of d"),
        (lambda y: check_classes("d", y[:2], y), "the label of d"),
    ],
)
def test_whoever_needs_all_labels_says_in_one_way_which_are_missing(read, name):
    with pytest.raises(ValueError, match=f"^{name} is missing for 1 of 4 (rows|.* samples), the first is number 2; .+"):
        read(WITH_A_GAP)


@pytest.mark.parametrize("read", [as_labels, check_labels, encode_labels])
def test_text_that_numpy_would_cut_is_refused(read):
    with pytest.raises(ValueError, match=r"of row 1 ends with a NUL character, 'ill\\x00'"):
        read(["ill", "ill\0", "well"])
    assert as_labels(["i\0l", "well"]).tolist() == ["i\0l", "well"]


@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")  # scikit-learn's, of random labels
@given(
    st.lists(st.integers(-3, 3), min_size=1)
    | st.lists(st.text(max_size=2).filter(lambda text: not text.endswith("\0")), min_size=1)
)
@settings(max_examples=50, deadline=None)
def test_codes_give_the_labels_back(y):
    codes, classes = encode_labels(y)
    assert classes[codes].tolist() == y and classes.tolist() == sorted(set(y))
    assert positions(np.asarray(y), classes).tolist() == codes.tolist()
    assert encode_labels(y, classes[::-1])[0].tolist() == (len(classes) - 1 - codes).tolist()
    first_seen = list(dict.fromkeys(y))
    assert integer_codes(y, len(y), "y").tolist() == [first_seen.index(label) for label in y]
    if len(classes) > 1:
        assert [part.tolist() for part in encode_target(y)] == [codes.tolist(), classes.tolist()]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (["a", "b", "c"], ["a", "b"], r"not among the classes \['a', 'b'\]: 'c'"),
        (["a", "b"], ["a", "b", "a"], r"given twice: \['a'\]"),
        ([0.5, 1.0], None, r"real numbers such as 0\.5.*grades in half points, give them as text: y\.astype\(str\)"),
        ([["a"], ["b"]], None, r"one label a row, shape \(n,\); got shape \(2, 1\)"),
        ([], None, "y is empty"),
        (np.array(["a", 1], dtype=object), None, r"mixes labels of several types \(int, str\)"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(labels, classes)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (np.zeros(40, dtype=int), "all 40 training labels are 0: a classifier needs more than one class"),
        (np.array([0.0, np.nan]), "Input y contains NaN"),
        (np.linspace(0, 1, 40), r"Unknown label type.*grades in half points, give them as text, y\.astype\(str\)"),
        (DAYS, r"dates or durations, the first 2020-01-01.*astype\(str\)"),
        (pd.period_range("2020", periods=2, freq="Y").repeat(2), "dates or durations, the first 2020"),
        (DAYS.date, "dates or durations, the first 2020-01-01"),
        (pd.to_timedelta([1, 2] * 2, unit="D"), "dates or durations, the first 86400"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        encode_target(labels)


def test_a_batch_holds_numbers_as_they_are_and_all_else_as_codes():
    fields = batch_labels(["b", "a", "b"], pd.Series(["q", "p", "q"], index=[9, 8, 7]), 3)
    assert {name: values.tolist() for name, values in fields.items()} == {"y": [1, 0, 1], "groups": [0, 1, 0]}
    assert batch_labels(None, None, 3) == {"y": None, "groups": None}
    for numbers in (np.array([2.5, 1, np.nan]), torch.tensor([2.5, 1, np.nan], requires_grad=True)):
        np.testing.assert_array_equal(batch_labels(numbers, None, 3)["y"], [2.5, 1, np.nan])
    with pytest.raises(ValueError, match="groups has 2 entries for 3 rows; give one a row"):
        batch_labels(None, [1, 2], 3)
    with pytest.raises(ValueError, match="y has 6 entries for 3 rows"):
        batch_labels(np.zeros((3, 2)), None, 3)


def test_labels_of_a_file_keep_their_kind():
    for values, kind in ((["1", "2"], "i"), (["0.5", "1"], "f"), (["a", " b "], "U"), ([True, False], "b")):
        assert as_labels(values).dtype.kind == kind
    assert as_labels(["9007199254740993", "1"]).tolist() == [9007199254740993, 1]  # which no float holds
    assert distinct(as_labels(["2", None, "1", "2"])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["07", "7"], ["07", "7"]),
        (["007", "12", None], ["007", "12", None]),
        (["00.5", "1"], ["00.5", "1"]),
        (["+7", "7"], ["+7", "7"]),
        (["-0", "0"], ["-0", "0"]),
        (["-7", "0"], [-7, 0]),
        ([" 7", "7 "], [7, 7]),
        (["1.0", "2.0"], [1, 2]),
        (["1.0000000e+00", "1", None], [1, 1, None]),
        (["0.5", "1"], [0.5, 1.0]),
        (["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        (["1000000000000000000001", "1000000000000000000002"], ["1000000000000000000001", "1000000000000000000002"]),
        ([2**60 + 1, 1], [2**60 + 1, 1]),
        (pd.array([2**60 + 1, None], dtype="Int64"), [2**60 + 1, None]),
        ([True, None, False], [True, None, False]),
        (pd.array([True, None], dtype="boolean"), [True, None]),
        (["True", "False"], ["True", "False"]),
        ([b"a", "b", None], ["a", "b", None]),
        (np.array([b"7", b"8"]), [7, 8]),
        (np.array([1, 2], dtype=">i8"), [1, 2]),
        (np.array([0.5, 2], dtype=">f4"), [0.5, 2.0]),
        (pd.Categorical([1, 2]), [1, 2]),
        ([None, None], [None, None]),
    ],
    ids=str,
)
def test_labels_are_numbers_only_where_text_and_number_are_one_to_one(values, expected):
    labels = as_labels(values)
    assert labels.dtype.isnative
    assert [type(label) for label in labels.tolist()] == [type(label) for label in expected]
    assert labels.tolist() == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1).map(str) | st.from_regex(r"[0-9]{1,24}", fullmatch=True), min_size=1))
@settings(max_examples=100, deadline=None)
def test_codes_that_differ_stay_two_and_come_back_as_they_were(texts):
    assert [str(label) for label in as_labels(texts).tolist()] == texts


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ValueError, match=r"the label b'\\xff' is not UTF-8 text"):
        as_labels([b"\xff", b"a"])


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ([7, 12], ["07", "12"], (["7", "12"], ["07", "12"])),
        ([0, 1], ["0", "unknown"], (["0", "1"], ["0", "unknown"])),
        ([0, 1], [0.5, 1.0], ([0.0, 1.0], [0.5, 1.0])),
        ([True, False], [1, 0], ([1, 0], [1, 0])),
        ([True, None], [1, 0], ([1, None], [1, 0])),
        ([True, False], [1, 2], (["True", "False"], ["1", "2"])),
        (["a", "b"], [b"a", b"b"], (["a", "b"], ["a", "b"])),
        (["1", "2"], [1, 2], ([1, 2], [1, 2])),
        ([None, None], [1, 0], ([None, None], [1, 0])),
    ],
    ids=str,
)
def test_the_parts_of_a_data_set_have_one_type(train, test, expected):
    def array(values):
        return np.array(values, dtype=object) if None in values else np.array(values)

    for order in (slice(None), slice(None, None, -1)):
        found = common_labels(*[array(values) for values in (train, test)[order]])
        assert tuple(part.tolist() for part in found) == expected[order]
        assert len({type(label) for part in found for label in part.tolist() if label is not None}) == 1


def test_parts_of_one_type_stay_as_they_are():
    for train, test in [
        (np.array([1, 2], dtype="i4"), np.array([3, 4])),
        (np.array(["a", None], dtype=object), np.array(["b"])),
        (np.array([0.5, np.nan]), None),
        (None, None),
    ]:
        found = common_labels(train, test)
        assert found[0] is train and found[1] is test


def test_data_sets_whose_parts_share_no_class_are_refused_and_both_are_shown():
    with pytest.raises(
        ValueError, match=r"the training labels of d and the test labels have no class in common: 0, 1 "
    ):
        check_classes("d", np.array([0, 1]), np.array([2, 3]))
    check_classes("d", np.array([0, 1]), np.array([1, 3]))
    with pytest.raises(ValueError, match=r"numbers with fractions as labels.*grades in half points.*as_classes"):
        check_classes("d", np.array([0.5, 1]), np.array([0.5, 1]))


def test_numbers_in_any_array_are_numbers_in_a_batch():
    for y in (
        np.array([10, 2, 30], dtype=">i4"),
        np.array([10, 2, 30], dtype=object),
        pd.array([10, 2, 30], dtype="Int64"),
        pd.Series([10, 2, 30], dtype="Float64"),
    ):
        assert batch_labels(y, y, 3)["y"].tolist() == [10, 2, 30]
        assert batch_labels(y, y, 3)["groups"].tolist() == [0, 1, 2]
        assert integer_codes(y, 3, "y").tolist() == [0, 1, 2]
    np.testing.assert_array_equal(batch_labels(pd.array([1, None], dtype="Int64"), None, 2)["y"], [1, np.nan])
    assert batch_labels(pd.array([True, False], dtype="boolean"), None, 2)["y"].tolist() == [True, False]
