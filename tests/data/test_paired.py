"""PairedData: samples with two sides, aligned by name, and taken as scikit-learn takes samples."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.model_selection import GroupKFold, KFold, train_test_split

from kinview import PairedData
from kinview.data import Panel
from kinview.datasets import Dataset


def vitals(names, steps=3):
    """Long series in which each value names its sample and step."""
    rows = [(name, hour, 10.0 * place + hour) for place, name in enumerate(names) for hour in range(steps)]
    return pd.DataFrame(rows, columns=["patient", "hour", "pulse"]).set_index(["patient", "hour"])


def patients(names):
    return pd.DataFrame({"age": np.arange(len(names)) + 40.0}, index=pd.Index(names, name="patient"))


def test_sides_are_aligned_by_the_names_of_the_samples():
    pairs = PairedData(series=vitals(list("abc")), table=patients(["c", "d", "a"]))
    assert pairs.names == ("series", "table") and pairs.index.tolist() == ["a", "b", "c", "d"]
    assert pairs.present["series"].tolist() == [True, True, True, False]
    assert pairs.present["table"].tolist() == [True, False, True, True]
    assert pairs.complete.tolist() == [True, False, True, False]
    panel, rows = pairs.side("series").rows(), pairs.side("table").rows()
    assert isinstance(panel, Panel) and panel.index.tolist() == ["a", "b", "c"]
    assert panel.batch.x[:, 0, 0].tolist() == [0.0, 10.0, 20.0]
    assert rows.index.tolist() == ["a", "c", "d"] and rows["age"].tolist() == [42.0, 40.0, 41.0]
    assert repr(pairs) == (
        "PairedData(4 samples: series with 1 channel (1 lacks it), table with 1 column (1 lacks it))"
    )


def test_an_index_says_which_samples_there_are_and_in_which_order():
    pairs = PairedData(series=vitals(list("abc")), table=patients(list("cba")), index=list("cxab"))
    assert pairs.index.tolist() == list("cxab") and pairs.complete.tolist() == [True, False, True, True]
    assert pairs.side("table").rows()["age"].tolist() == [40.0, 42.0, 41.0]
    with pytest.raises(ValueError, match="the side 'table' has the samples 'a', which are not in index"):
        PairedData(series=vitals(list("bc")), table=patients(list("cba")), index=list("bc"))
    with pytest.raises(ValueError, match="index names 'b' more than once"):
        PairedData(series=vitals(list("bc")), table=patients(list("cb")), index=list("bbc"))


def test_sides_without_names_go_by_position():
    pairs = PairedData(np.arange(12.0).reshape(3, 1, 4), np.arange(6.0).reshape(3, 2))
    assert pairs.names == ("series", "table") and pairs.index.tolist() == [0, 1, 2]
    assert pairs.side("table").features == ("x0", "x1")
    named = PairedData(series=np.zeros((2, 1, 4)) + 1, table=patients(["b", "a"]))
    assert named.index.tolist() == ["b", "a"] and named.complete.all()
    with pytest.raises(ValueError, match="the side 'series' has 3 samples without names, and there are 2"):
        PairedData(series=np.ones((3, 1, 4)), table=patients(["b", "a"]))
    tables = PairedData(patients(["a", "b"]), patients(["b", "c"]).rename(columns={"age": "height"}))
    assert tables.names == ("first", "second") and tables.index.tolist() == ["a", "b", "c"]


def test_what_merely_counts_its_samples_never_meets_names_by_position():
    """Of rows that two files count from 0 the partner may be anyone: names decide, or the pair is refused."""
    numbers = pd.DataFrame({"age": np.arange(12.0)})
    shuffled = numbers.sample(frac=1, random_state=0)
    for first, second in ((numbers, shuffled), (shuffled, numbers)):
        pairs = PairedData(first=first, second=second)
        one, other = (pairs.side(name).rows()["age"] for name in pairs.names)
        assert one.tolist() == other.tolist()
    for order in ([5, 2, 0, 1, 3, 4, 6, 7, 8, 9, 10, 11], range(12)):  # ids of long series are names, whatever they are
        long = PairedData(series=vitals(range(12)).loc[list(order)], table=numbers)
        ages = long.side("table").rows()["age"].to_numpy()
        np.testing.assert_array_equal(long.side("series").rows().batch.x[:, 0, 0].numpy() / 10, ages)
    for second in (numbers.iloc[1:], patients([f"p{i}" for i in range(12)]), numbers.set_axis(range(6, 18))):
        with pytest.raises(ValueError, match=r"the side 'first' has pandas' own index .*the other side names its"):
            PairedData(first=numbers, second=second)
    assert PairedData(first=numbers.to_numpy(), second=patients(list("abcdefghijkl"))).complete.all()
    with pytest.raises(ValueError, match="the side 'table' has pandas' own index"):
        PairedData(series=vitals(list("abc")), table=numbers.iloc[:3])


def test_names_are_exact():
    days = pd.date_range("2020", periods=4)
    with pytest.raises(ValueError, match="no sample in common"):
        PairedData(u=pd.DataFrame({"b": range(4)}, index=days), v=pd.DataFrame({"a": range(4)}, index=days.date))
    whole, real = pd.DataFrame({"a": [1.0, 2.0]}, index=[7, 9]), pd.DataFrame({"b": [3.0, 4.0]}, index=[9.0, 7.0])
    assert PairedData(u=whole, v=real).side("v").rows()["b"].tolist() == [4.0, 3.0]
    large = pd.DataFrame({"a": [1.0, 2.0]}, index=[2**53, 2**53 + 1])
    with pytest.raises(ValueError, match="no sample in common"):
        PairedData(u=large, v=large.set_axis([float(2**53), 5.0]))
    with pytest.raises(ValueError, match="no sample in common"):
        PairedData(u=whole.set_axis([True, 5]), v=whole.set_axis([1, 8]))
    with pytest.raises(ValueError, match=r"the side 'v' has 1 sample\(s\) without a name"):
        PairedData(u=whole, v=real.set_axis([9.0, np.nan]))
    periods = whole.set_axis(pd.period_range("2020", periods=2, freq="D"))
    with pytest.raises(ValueError, match="no sample in common"):
        PairedData(u=periods, v=whole.set_axis(["a", "b"]))
    mixed = PairedData(u=whole.set_axis([1, 2]), v=real.set_axis(["x", 2]))
    assert mixed.index.tolist() == [1, 2, "x"] and mixed.complete.tolist() == [False, True, False]


def test_a_side_that_is_called_table_or_series_is_read_as_that():
    two = pd.concat({"north": patients(["a", "b"]), "south": patients(["a"])}, names=["site"])
    long = pd.concat({"north": vitals(["b", "a"]), "south": vitals(["a"])}, names=["site"])
    pairs = PairedData(series=long, table=two)
    assert pairs.complete.all() and pairs.side("table").features == ("age",)
    assert pairs.side("table").rows().index.tolist() == [("north", "b"), ("north", "a"), ("south", "a")]
    with pytest.raises(ValueError, match=r"the side 'series': .* two readings"):
        PairedData(series=np.ones((3, 16)), table=np.ones((3, 2)))
    with pytest.raises(ValueError, match="a side cannot be called 'both'"):
        PairedData(both=np.ones((3, 2)), table=np.ones((3, 2)))


def test_a_mask_that_names_its_samples_goes_by_name():
    pairs = PairedData(series=vitals(list("abcd")), table=patients(list("dcba")))
    rows = patients(list("dcba"))
    assert pairs[rows["age"] > 41].index.tolist() == ["a", "b"]  # the last two rows of the table
    assert pairs[pd.Series([True, False, False, True])].index.tolist() == ["a", "d"]
    with pytest.raises(ValueError, match="the index of the mask holds other samples than the pairs"):
        pairs[pd.Series([True] * 4, index=list("wxyz"))]
    for wrong in (1.7, True, None, ["a", "b"], np.array([True, None, False, True], dtype=object), rows):
        with pytest.raises(TypeError, match="samples are taken by an integer, integers, a slice or a mask"):
            pairs[wrong]


def test_a_pickle_of_some_samples_holds_these_alone():
    draw = np.random.default_rng(0)
    table = pd.DataFrame(draw.normal(size=(200, 50)), index=[f"s{i}" for i in range(200)])
    pairs = PairedData(series=draw.normal(size=(200, 1, 50)), table=table)
    part = pickle.dumps(pairs[[7, 3]])
    assert len(part) < len(pickle.dumps(pairs)) / 20
    twin = pickle.loads(part)
    assert twin.index.tolist() == ["s7", "s3"] and twin.complete.all()
    np.testing.assert_array_equal(twin.side("table").rows(), table.iloc[[7, 3]])
    lacking = pickle.loads(pickle.dumps(pairs.without("table", np.arange(200) < 199)))
    assert lacking.present.sum().to_dict() == {"series": 200, "table": 1}


def test_sides_of_other_pairs_keep_the_names_of_their_samples():
    pairs = PairedData(series=np.arange(24.0).reshape(6, 1, 4), table=patients(list("abcdef")))
    part = pairs.without("table", np.arange(6) == 1)[1:4]
    again = PairedData(series=part.side("series"), table=part.side("table"))
    assert again.index.tolist() == ["b", "c", "d"] and again.present["table"].tolist() == [False, True, True]
    masked = np.ma.masked_greater(np.array([[1.0], [9.0]]), 5)
    assert PairedData(series=np.ones((2, 1, 3)), table=masked).present["table"].tolist() == [True, False]


def test_nothing_observed_is_a_side_that_lacks():
    series = np.ones((3, 1, 4))
    series[1] = np.nan
    table = pd.DataFrame({"a": [1.0, 2.0, None], "b": ["x", None, None]})
    pairs = PairedData(series=series, table=table)
    assert pairs.present.to_numpy().tolist() == [[True, True], [False, True], [True, False]]
    alone = PairedData(series=None, table=table)
    assert not alone.present["series"].any() and repr(alone) == (
        "PairedData(3 samples: no series, table with 2 columns (1 lacks it))"
    )
    with pytest.raises(ValueError, match="no sample has this side"):
        alone.side("series").rows()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"series": np.ones((2, 1, 3))}, "a pair has two sides; got 'series'"),
        ({}, "give both sides by name"),
        ({"series": None, "table": None}, "neither side"),
        ({"a": np.ones((2, 1, 3)), "b": np.ones((2, 2)), "c": np.ones((2, 2))}, "a pair has two sides"),
        ({"series": np.ones((2, 1, 3)), "table": pd.DataFrame([[1, 2]], columns=["a", "a"])}, "side 'table': .*more"),
        ({"series": vitals(["a", "b"]), "table": patients(["a", "a"])}, "more than one sample called 'a'"),
        ({"series": vitals(["1", "2"]), "table": patients([1, 2])}, "no sample in common .*'1'.*1"),
        ({"series": np.full((2, 1, 3), np.inf), "table": np.ones((2, 2))}, "the side 'series': .*infinite"),
    ],
)  # fmt: skip
def test_what_makes_no_pairs_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        PairedData(**given)


def test_names_of_two_lengths_are_refused():
    deep = pd.concat({"ward": vitals(list("ab"))}, names=["site"])
    with pytest.raises(ValueError, match=r"names of 2 and 1 parts \(\('ward', 'a'\) and 'a'\)"):
        PairedData(series=deep, table=patients(["a", "b"]))


def test_samples_are_taken_as_from_a_sequence():
    pairs = PairedData(series=vitals(list("abcd")), table=patients(list("abcd")))
    assert len(pairs) == 4 and pairs.shape == (4, 2)
    for i, names in [
        (1, ["b"]), (-1, ["d"]), (slice(None, None, 2), ["a", "c"]), ([3, 0, 3], ["d", "a", "d"]),
        (np.array([True, False, False, True]), ["a", "d"]), ([], []), (np.int64(2), ["c"]),
    ]:  # fmt: skip
        assert pairs[i].index.tolist() == names
        assert (
            pairs[i].side("table").rows()["age"].tolist() == [40.0 + "abcd".index(n) for n in names] if names else True
        )
    assert [one.index[0] for one in pairs] == list("abcd")
    for wrong, error in ((4, IndexError), ([0, -5], IndexError), ("series", TypeError), ([True], IndexError)):
        with pytest.raises(error):
            pairs[wrong]
    with pytest.raises(ValueError, match="there is no side 'image'; there are 'series', 'table'"):
        pairs.side("image")


def test_the_splitters_of_scikit_learn_take_them():
    pairs = PairedData(series=vitals(range(10)), table=patients(range(10)))
    train, test = train_test_split(pairs, test_size=0.3, random_state=0)
    assert isinstance(train, PairedData) and sorted([*train.index, *test.index]) == list(range(10))
    for fit, score in KFold(5).split(pairs):
        assert len(pairs[fit]) == 8 and pairs[score].index.tolist() == score.tolist()
    groups = np.repeat(range(5), 2)
    assert sum(len(pairs[score]) for _, score in GroupKFold(5).split(pairs, groups=groups)) == 10


def test_a_mapping_a_tuple_and_a_list_of_samples_are_pairs():
    series, table = vitals(list("ab")), patients(list("ab"))
    pairs = PairedData(series=series, table=table)
    names = ("series", "table")
    for given_as in ({"table": table, "series": series}, (series, table), [pairs[1], pairs[0]], pairs):
        found = PairedData.of(given_as, names)
        assert found.names == names and found.complete.all() and len(found) == 2
    assert PairedData.of([pairs[1], pairs[0]]).index.tolist() == ["b", "a"]
    assert not PairedData.of({"table": table}, names).present["series"].any()
    for wrong in (np.ones((3, 2)), {"table": table}, [series, table], "pairs"):
        with pytest.raises(ValueError, match=r"X must be pairs|a pair has two sides"):
            PairedData.of(wrong)
    with pytest.raises(ValueError, match="X has the sides 'a', 'b', at fit they were 'series', 'table'"):
        PairedData.of(PairedData(a=series, b=table), names)
    other = PairedData(series=series, table=table)
    with pytest.raises(ValueError, match="a list of samples of several PairedData"):
        PairedData.of([pairs[0], other[1]])


def test_a_side_may_be_taken_away():
    pairs = PairedData(series=vitals(list("abc")), table=patients(list("abc")))
    less = pairs.without("table", [False, True, False])
    assert less.complete.tolist() == [True, False, True] and pairs.complete.all()
    assert less[[2, 1]].present["table"].tolist() == [True, False]
    with pytest.raises(ValueError, match="where must say True or False of each of the 3 samples"):
        pairs.without("table", [1])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True),
    st.data(),
)
def test_each_value_stays_with_its_sample(of_series, of_table, data):
    shared = [f"s{of_series[0]}"]
    series, table = [f"s{i}" for i in of_series], list(dict.fromkeys([*shared, *(f"s{i}" for i in of_table)]))
    pairs = PairedData(series=vitals(series), table=patients(table))
    assert set(pairs.index) == {*series, *table}
    taken = data.draw(st.lists(st.integers(0, len(pairs) - 1), max_size=10))
    part = pairs[taken]
    assert part.index.tolist() == [pairs.index[i] for i in taken]
    for name, known, value in (("series", series, 10.0), ("table", table, 1.0)):
        side = part.side(name)
        assert side.present.tolist() == [one in known for one in part.index]
        if side.present.any():
            rows = side.rows()
            found = rows.batch.x[:, 0, 0].numpy() if name == "series" else rows["age"].to_numpy() - 40
            assert (found / value).tolist() == [known.index(one) for one in part.index if one in known]


def test_a_data_set_is_paired_with_its_static_columns():
    frame = vitals(["a", "b", "c"]).assign(age=50.0)
    static = pd.DataFrame({"age": [40.0, 50.0, 60.0], "sex": list("fmf")}, index=pd.Index(list("abc"), name="patient"))
    ward = Dataset(
        frame.loc[["a", "b"]], np.array([0, 1]), frame.loc[["c"]], np.array([1]), "ward",
        static_train=static.iloc[:2], static_test=static.iloc[2:],
    )  # fmt: skip
    pairs = ward.pairs()
    assert pairs.index.tolist() == ["a", "b", "c"] and pairs.complete.all()
    assert pairs.side("series").features == ("pulse",)  # age would give the row away
    assert pairs.side("table").rows()["age"].tolist() == [40.0, 50.0, 60.0]
    assert ward.pairs("test").index.tolist() == ["c"]
    ages, died = static[["age"]], np.array([0, 1, 1])
    rows = Dataset(ages, died, ages, died, "rows", modality="tabular")
    with pytest.raises(ValueError, match=r"^rows: there are no static columns to make pairs with; name them when"):
        rows.pairs()
    table = pd.DataFrame({"height": [1.6, 1.7]})
    known = Dataset(
        table, np.array([0, 1]), table, np.array([0, 1]), "rows", modality="tabular",
        static_train=static.iloc[:2].reset_index(drop=True), static_test=static.iloc[:2].reset_index(drop=True),
    )  # fmt: skip
    assert known.pairs("train").names == ("table", "static")
    same = Dataset(
        static, np.array([0, 1, 1]), static, np.array([0, 1, 1]), "rows", modality="tabular",
        static_train=static, static_test=static,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"^rows: each column of X is a static column of .* too \(age, sex\)"):
        same.pairs("train")
    for columns, message in ((["ward"], "there is no static column 'ward' to make pairs with; there are: age, sex"),
                             ("age", r"columns must be a list of names .* such as \['age'\]; got 'age'")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            ward.part("test").pairs(columns)
