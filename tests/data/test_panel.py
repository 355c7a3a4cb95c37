import copy
import datetime as dt
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from kinview.data import ChannelMismatch, read_panel
from kinview.data.panel import with_channels

nan = float("nan")
cells = st.floats(-1e6, 1e6, width=32) | st.just(nan)


@st.composite
def ragged(draw, max_channels=3):
    """Arrays (C, T_i) of unequal length."""
    channels = draw(st.integers(1, max_channels))
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    return [
        np.array(draw(st.lists(cells, min_size=channels * length, max_size=channels * length))).reshape(
            channels, length
        )
        for length in lengths
    ]


def padded(items):
    """Slow oracle: one series after the other into an array of NaN."""
    out = np.full((len(items), items[0].shape[0], max(item.shape[1] for item in items)), nan, dtype=np.float32)
    for i, item in enumerate(items):
        out[i, :, : item.shape[1]] = item
    return out


def to_frame(items, names=None):
    rows = [(f"s{i}", t) for i, item in enumerate(items) for t in range(item.shape[1])]
    index = pd.MultiIndex.from_tuples(rows, names=["instance", "time"])
    columns = names or [f"c{j}" for j in range(items[0].shape[0])]
    return pd.DataFrame(np.concatenate(items, axis=1).T, index=index, columns=columns)


def assert_same(x, expected):
    np.testing.assert_array_equal(np.asarray(x), np.asarray(expected, dtype=np.float32))


@given(ragged())
@settings(max_examples=40, deadline=None)
def test_every_container_gives_the_same_batch(items):
    expected = padded(items)
    nested = pd.DataFrame({f"c{j}": [pd.Series(item[j]) for item in items] for j in range(items[0].shape[0])})
    containers = {
        "list of arrays": items,
        "list of tensors": [torch.from_numpy(item) for item in items],
        "array": expected.astype(np.float64),
        "tensor": torch.from_numpy(expected),
        "list of frames": [pd.DataFrame(item.T) for item in items],
        "multiindex": to_frame(items),
        "nested": nested,
    }
    for name, X in containers.items():
        panel = read_panel(X)
        assert panel.batch.x.dtype == torch.float32, name
        assert_same(panel.batch.x, expected)
        assert panel.batch.index.tolist() == list(range(len(items)))
        assert len(panel.index) == len(items)
        assert len(panel.channels) == items[0].shape[0]


@given(ragged(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_rows_of_a_frame_may_come_in_any_order(items, random):
    frame = to_frame(items)
    rows = list(range(len(frame)))
    random.shuffle(rows)
    shuffled = frame.iloc[rows]
    panel = read_panel(shuffled)
    assert panel.index.tolist() == list(dict.fromkeys(shuffled.index.get_level_values(0)))
    assert_same(panel.batch.x, padded([items[int(name[1:])] for name in panel.index])[:, :, : panel.batch.x.shape[2]])
    times = panel.batch.times.numpy()
    for i, name in enumerate(panel.index):
        length = items[int(name[1:])].shape[1]
        assert times[i, :length].tolist() == list(range(length))
        assert np.isnan(times[i, length:]).all()


def test_every_panel_mtype_of_sktime_reads_as_its_own_conversion():
    from sktime.datatypes import convert_to, get_examples

    for mtype in ("numpy3D", "df-list", "pd-multiindex", "nested_univ"):
        examples = [example for example in get_examples(mtype, "Panel").values() if example is not None]
        assert len(examples) >= 3
        for example in examples:
            frames = convert_to(copy.deepcopy(example), "df-list", as_scitype="Panel")
            assert_same(read_panel(example).batch.x, padded([frame.to_numpy().T for frame in frames]))


def test_hierarchical_frame_keeps_order_index_and_groups():
    rows = [("p2", 1, 0), ("p2", 1, 1), ("p1", 7, 0), ("p1", 7, 1), ("p2", 0, 5)]
    index = pd.MultiIndex.from_tuples(rows, names=["patient", "recording", "time"])
    panel = read_panel(pd.DataFrame({"hr": [1.0, 2.0, 3.0, 4.0, 5.0]}, index=index))
    assert panel.index.tolist() == [("p2", 1), ("p1", 7), ("p2", 0)]
    assert panel.index.names == ["patient", "recording"]
    assert panel.batch.groups.tolist() == [0, 1, 0]
    assert_same(panel.batch.x, [[[1, 2]], [[3, 4]], [[5, nan]]])
    assert panel.batch.times[2].tolist()[0] == 5
    assert panel.channels == ("hr",)
    given_groups = read_panel(pd.DataFrame({"hr": range(5)}, index=index), groups=["a", "a", "b"])
    assert given_groups.batch.groups.tolist() == [0, 0, 1]


def test_two_levels_have_no_default_group_and_the_index_keeps_its_type():
    stamps = pd.to_datetime(["2020-01-01", "2020-01-02"]).tz_localize("Europe/Berlin")
    index = pd.MultiIndex.from_product([pd.CategoricalIndex(["b", "a"], name="stay"), stamps])
    panel = read_panel(pd.DataFrame({"x": range(4)}, index=index))
    assert panel.batch.groups is None
    assert panel.index.name == "stay"
    assert panel.index.tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (pd.to_datetime(["2020-01-01 00:00", "2020-01-01 00:30", "2020-01-02 00:00"]), [0, 1800, 86400]),
        (pd.to_datetime(["2020-03-29 01:00", "2020-03-29 03:00"]).tz_localize("Europe/Berlin"), [0, 3600]),
        (pd.DatetimeIndex(["2020-01-01", "2020-01-02"]).astype("timestamp[ms][pyarrow]"), [0, 86400]),
        (pd.Index([dt.date(2020, 1, 1), dt.date(2020, 1, 3)], dtype=object), [0, 2 * 86400]),
        (pd.to_timedelta([90, 150], unit="s"), [90, 150]),
        (pd.to_timedelta([90, 150], unit="s").astype("duration[ms][pyarrow]"), [90, 150]),
        (pd.period_range("1970-03", periods=2, freq="M"), [2, 3]),
        (pd.Index([0.25, 1.5]), [0.25, 1.5]),
        (pd.Index([3, 10], dtype="Int64"), [3, 10]),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_time_stamps_become_numbers(stamps, expected):
    frame = pd.DataFrame({"x": np.arange(len(stamps))}, index=pd.MultiIndex.from_product([[4], stamps]))
    assert read_panel(frame).batch.times.tolist() == [expected]
    assert read_panel([pd.DataFrame({"x": np.arange(len(stamps))}, index=stamps)]).batch.times.tolist() == [expected]


def test_dates_count_from_the_first_stamp_of_all():
    stamps = pd.to_datetime(["2020-01-02", "2020-01-03", "2020-01-01", "2020-01-02"])
    index = pd.MultiIndex.from_arrays([["a", "a", "b", "b"], stamps])
    assert read_panel(pd.DataFrame({"x": 1.0}, index=index)).batch.times.tolist() == [[86400, 172800], [0, 86400]]


def test_arrays_have_no_times_and_a_trailing_gap_of_a_frame_keeps_its_stamp():
    assert read_panel(np.zeros((1, 1, 2))).batch.times is None
    panel = read_panel(to_frame([np.array([[1.0, nan]]), np.array([[2.0]])]))
    assert_same(panel.batch.x, [[[1, nan]], [[2, nan]]])
    assert panel.batch.times[0].tolist() == [0, 1]
    assert bool(panel.batch.times[1, 1].isnan())


@pytest.mark.parametrize(
    "dtype", ["Int64", "Float64", "boolean", "int32[pyarrow]", "double[pyarrow]", object, "float16"]
)
def test_columns_of_every_numeric_dtype(dtype):
    index = pd.MultiIndex.from_product([["a"], range(3)])
    column = pd.Series([1, 0, None] if dtype != "boolean" else [True, False, None], dtype=dtype, index=index)
    assert_same(read_panel(column.to_frame("x")).batch.x, [[[1, 0, nan]]])


@pytest.mark.parametrize("dtype", [">f8", "f2", "u8", "i1", "?", object, np.longdouble])
def test_arrays_of_every_numeric_dtype(dtype):
    x = np.array([[[1, 0, 1]]]).astype(dtype)
    assert_same(read_panel(x).batch.x, [[[1, 0, 1]]])
    assert_same(read_panel(x[:, :, ::-1]).batch.x, [[[1, 0, 1]]])


def test_masked_arrays_objects_and_half_precision():
    assert_same(read_panel(np.ma.masked_greater(np.array([[[1, 2, 3]]]), 2)).batch.x, [[[1, 2, nan]]])
    assert_same(read_panel(np.array([[[1, None, pd.NA]]], dtype=object)).batch.x, [[[1, nan, nan]]])
    assert_same(read_panel(torch.ones(1, 1, 2, dtype=torch.bfloat16, requires_grad=True)).batch.x, [[[1, 1]]])


def test_the_result_shares_no_memory_with_the_input_and_leaves_it_as_it_was():
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    panel = read_panel(x)
    panel.batch.x.zero_()
    assert x.sum() == 15
    tensor = torch.ones(1, 1, 2)
    read_panel(tensor).batch.x.zero_()
    assert tensor.sum() == 2
    frame = to_frame([np.array([[1.0, nan]])])
    before = frame.copy(deep=True)
    read_panel(frame).batch.x.zero_()
    pd.testing.assert_frame_equal(frame, before)


def test_float64_keeps_the_digits_of_large_offsets():
    x = np.array([[[1.6e9, 1.6e9 + 1]]])
    assert read_panel(x, dtype=torch.float64).batch.x.diff().item() == 1.0
    assert read_panel(x).batch.x.diff().item() == 0.0


def test_labels_and_groups_travel_along():
    x = np.zeros((3, 1, 2))
    batch = read_panel(x, y=["b", "a", "b"], groups=pd.Series(["q", "p", "q"], index=[9, 8, 7])).batch
    assert batch.y.tolist() == [1, 0, 1]
    assert batch.groups.tolist() == [0, 1, 0]


def test_channels_are_found_by_name_and_refused_by_name():
    frame = to_frame([np.array([[1.0, 2.0], [3.0, 4.0]])], names=["hr", "bp"])
    panel = read_panel(frame, channels=("bp", "hr"))
    assert panel.channels == ("bp", "hr")
    assert_same(panel.batch.x, [[[3, 4], [1, 2]]])
    with pytest.raises(ValueError, match=r"lacks the channel\(s\) 'spo2' of fit and has the channel\(s\) 'bp' that"):
        read_panel(frame, channels=("hr", "spo2"))
    with pytest.raises(ValueError, match=r"X has 2 channel\(s\), but 3 at fit"):
        read_panel(frame, channels=3)
    with pytest.raises(ValueError, match=r"X has the channel\(s\) 'bp' that fit did not see"):
        read_panel(frame, channels=("hr",))
    assert read_panel(np.zeros((1, 2, 3)), channels=("hr", "bp")).channels == ("hr", "bp")
    fitted_on_array = read_panel(np.zeros((1, 2, 3))).channels
    assert read_panel(frame, channels=fitted_on_array).channels == ("hr", "bp")


def test_a_panel_that_was_read_gets_the_channels_of_fit_as_one_that_is_read():
    frame = to_frame([np.array([[1.0, 2.0], [3.0, 4.0]])], names=["hr", "bp"])
    panel, nameless = read_panel(frame), read_panel(np.zeros((1, 2, 3)))
    for channels in (("hr", "bp"), ("bp", "hr"), nameless.channels):
        found = with_channels(panel, channels)
        assert found.channels == channels
        assert_same(found.batch.x, read_panel(frame, channels=channels).batch.x)
    assert with_channels(nameless, ("hr", "bp")).channels == ("hr", "bp")
    for channels in (("hr", "spo2"), ("hr",), ("hr", "bp", "spo2"), ("channel_0",)):
        with pytest.raises(ChannelMismatch) as said:
            with_channels(panel, channels)
        with pytest.raises(ChannelMismatch, match=re.escape(str(said.value))):
            read_panel(frame, channels=channels)


def test_list_of_frames_aligns_channels_by_name():
    items = [pd.DataFrame({"a": [1.0], "b": [2.0]}), pd.DataFrame({"b": [4.0], "a": [3.0]})]
    assert_same(read_panel(items).batch.x, [[[1], [2]], [[3], [4]]])
    assert_same(
        read_panel([pd.Series([1.0, 2.0], name="p"), pd.Series([3.0], name="q")]).batch.x, [[[1, 2]], [[3, nan]]]
    )


def test_nested_cells_with_other_stamps_are_joined_on_time():
    cells = {"a": [pd.Series([1.0, 2.0], index=[0, 2])], "b": [pd.Series([3.0, 4.0], index=[1, 2])]}
    panel = read_panel(pd.DataFrame(cells, index=["p"]))
    assert_same(panel.batch.x, [[[1, nan, 2], [nan, 3, 4]]])
    assert panel.batch.times.tolist() == [[0, 1, 2]]
    assert panel.index.tolist() == ["p"]
    assert read_panel(pd.DataFrame({"a": [np.array([1.0, 2.0])]})).batch.times is None


def bad_frame(**changes):
    frame = to_frame([np.array([[1.0, 2.0]])])
    return frame.assign(**changes)


def index_of(*rows):
    return pd.DataFrame({"x": np.arange(len(rows))}, index=pd.MultiIndex.from_tuples(rows, names=["id", "t"]))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((50, 150)), r"for 50 series of 150 steps give X\[:, None, :\], for one series .* give X\.T\[None\]"),
        (torch.zeros(5, 3), r"X\[:, None, :\].*X\.T\[None\]"),
        (pd.DataFrame(np.zeros((5, 3))), r"X\.to_numpy\(\)\[:, None, :\].*X\.to_numpy\(\)\.T\[None\]"),
        (np.zeros(7), r"shape \(7,\).*one series of one channel is X\[None, None, :\]"),
        (np.zeros((1, 1, 1, 1)), r"series are \(n, channels, time\)"),
        (np.zeros((0, 1, 5)), r"X has no series \(shape \(0, 1, 5\)\)"),
        (np.zeros((2, 0, 5)), "X has no channels"),
        (np.zeros((2, 1, 0)), "X has no time steps"),
        ([], r"X holds no series \(an empty list\)"),
        ([np.zeros(3), np.zeros(0)], "series 1 has no time steps"),
        (index_of(("a", 0)).iloc[:0], "X has no series"),
        ([pd.DataFrame({"x": [1.0]}), pd.DataFrame({"x": []})], "series 1 has no time steps"),
        (
            np.array([[[1.0, np.inf]]]),
            r"1 value\(s\) that are infinite, the first \(inf\) in series 0, .*'channel_0', step 1",
        ),
        (bad_frame(c0=[1.0, -np.inf]), r"infinite, the first \(-inf\) in series s0, channel 'c0', step 1"),
        (np.full((1, 1, 1), 1e300), r"beyond float32 \(3\.4e\+38\), the first \(1e\+300\)"),
        (np.array([[[1j]]]), "complex .*Complex data not supported"),
        (torch.zeros(1, 1, 1, dtype=torch.complex64), "Complex data not supported"),
        (bad_frame(c0=[1j, 2]), "column 'c0' is complex"),
        (np.array([[["a"]]]), r"X is not numeric \(<U1\)"),
        (np.array([[["a", 1.0]]], dtype=object), r"X is not numeric \(it holds mixed objects\)"),
        (np.array([[["2020-01-01"]]], dtype="M8[D]"), "X is not numeric"),
        (bad_frame(c0=["1", "2"]), "column 'c0' is not numeric"),
        (bad_frame(c0=pd.Categorical([1, 2])), "column 'c0' is not numeric"),
        (bad_frame(c0=pd.to_datetime(["2020-01-01", "2020-01-02"])), "column 'c0' is not numeric"),
        (index_of(("p", 3), ("p", 3)), "series p has the time stamp 3 more than once; aggregate or drop"),
        ([pd.Series([1.0, 2.0], index=[5, 5])], "series 0 has the time stamp 5 more than once"),
        (pd.DataFrame({"a": [pd.Series([1.0, 2.0], index=[5, 5])]}), "channel 'a' has the time stamp 5 more than once"),
        (index_of(("p", 1.0), ("p", nan)), "index level 't' of X has missing entries"),
        (index_of(("p", 1.0), (None, 1.0)), "index level 'id' of X has missing entries"),
        (index_of(("p", np.inf), ("p", 1.0)), "time stamps of X .* are not all finite"),
        (
            index_of(("p", "2020-01-01"), ("p", "2020-01-02")),
            r"numbers, dates, periods or durations.*pandas\.to_datetime",
        ),
        (pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([("p",)], names=["id"])), "has one level, 'id'"),
        (pd.concat([bad_frame(), bad_frame()], axis=1), "more than one column named 'c0'"),
        ([np.zeros((2, 5)), np.zeros((3, 5))], r"series 1 has 3 channel\(s\), series 0 has 2.*transpose"),
        (
            [np.zeros((1, 2, 3))],
            r"series 0 has shape \(1, 2, 3\); a series in a list is \(time,\) or \(channels, time\)",
        ),
        ([np.zeros(3), pd.Series([1.0])], "X mixes DataFrames"),
        (
            [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1.0]})],
            r"series 1 has the channels \['b'\], series 0 has \['a'\]",
        ),
        ([bad_frame()], "series 0 has a MultiIndex"),
        ([[[1, 2], [3]]], "series 0 is ragged"),
        (pd.DataFrame({"a": [np.ones(2), None]}), "series 1 has no series in channel 'a' but None"),
    ],
)
def test_refusals_say_what_is_wrong(X, message):
    with pytest.raises(ValueError, match=message):
        read_panel(X)


@pytest.mark.parametrize("X", [None, 3, "series.csv", {"a": [1]}, object(), np.random.default_rng(0)])
def test_foreign_containers_are_named(X):
    with pytest.raises(TypeError, match=f"X is a {type(X).__name__}, which holds no time series known here"):
        read_panel(X)


def test_a_million_rows_are_read_without_a_loop_over_rows():
    n, length = 20_000, 50
    index = pd.MultiIndex.from_arrays([np.arange(n) // 4, np.arange(n), np.zeros(n, int)])
    index = index.repeat(length).set_codes(np.tile(np.arange(length), n), level=2, verify_integrity=False)
    index = index.set_levels(np.arange(length), level=2, verify_integrity=False)
    values = np.random.default_rng(0).normal(size=n * length).astype(np.float32)
    panel = read_panel(pd.DataFrame({"x": values}, index=index))
    assert_same(panel.batch.x, values.reshape(n, 1, length))
    assert panel.batch.groups[-1] == n // 4 - 1
