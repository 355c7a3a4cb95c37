"""Every split keeps what is learned from apart from what is tested; sites, times and test parts that are drawn."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

import kinview
from kinview.datasets import Dataset
from kinview.evaluation import (
    Benchmark,
    Holdout,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    Temporal,
    run,
)
from kinview.evaluation.protocols import Protocol, splits
from kinview.registry import to_config
from test_benchmark import write_data

N_TRAIN, N_TEST = 36, 24
SPECS: list[Any] = [
    "official",
    {"stratified_kfold": {"folds": 3, "repeats": 2}},
    {"stratified_group_kfold": {"folds": 3}},
    {"stratified_group_kfold": {"folds": 3, "group": "site"}},
    {"leave_one_group_out": {"group": "site"}},
    {"leave_one_group_out": {"pool": "train"}},
    {"temporal": {"time": "year", "folds": 2}},
    {"temporal": {"time": "admitted", "pool": "train"}},
    {"holdout": {"test_fraction": 0.25, "repeats": 3, "seed": 4}},
    {"holdout": {"pool": "train"}},
]


def patients() -> Dataset:
    """60 samples of 20 patients at 4 sites, three samples a patient, all of one year."""
    n = N_TRAIN + N_TEST
    patient = np.arange(n) // 3
    static = pd.DataFrame({"site": np.array(list("BADC"))[patient % 4], "year": 2010 + patient // 4})
    static["admitted"] = [f"{year}-03-0{1 + k // 3 % 4}" for k, year in enumerate(static["year"])]
    X, y = np.arange(n, dtype=float)[:, None, None] * np.ones((n, 1, 4)), np.arange(n) % 2
    first, last = slice(None, N_TRAIN), slice(N_TRAIN, None)
    return Dataset(
        X[first], y[first], X[last], y[last], "wards", groups_train=patient[first], groups_test=patient[last],
        static_train=static.iloc[first], static_test=static.iloc[last].reset_index(drop=True),
    )  # fmt: skip


def test_every_registered_split_is_tried() -> None:
    assert {spec if isinstance(spec, str) else next(iter(spec)) for spec in SPECS} == set(splits)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_what_is_tested_is_never_learned_from(spec: Any) -> None:
    data, protocol = patients(), splits.build(spec)
    assert isinstance(protocol, Protocol) and splits.build(to_config(protocol)) == protocol
    patient = data.pooled().groups
    assert patient is not None
    cuts, again = protocol.cut(data), protocol.cut(data)
    most = N_TRAIN if getattr(protocol, "pool", "all") == "train" else N_TRAIN + N_TEST
    for number, ((train, test), (train_again, test_again)) in enumerate(zip(cuts, again, strict=True)):
        assert len(train) and len(test)
        assert max(train.max(), test.max()) < most and not set(train) & set(test)
        assert not set(patient[train]) & set(patient[test]) or protocol == splits.build("official")
        np.testing.assert_array_equal(train, train_again)
        np.testing.assert_array_equal(test, test_again)
        fold, names = protocol.fold(data, number)
        assert fold.X_test[:, 0, 0].tolist() == sorted(test.tolist()) and len(names) == len(test)
        assert (
            fold.static_test is not None and fold.static_test["year"].tolist() == (2010 + np.sort(test) // 12).tolist()
        )
    assert [fold.sizes for fold in data.split(protocol)] == [(len(train), len(test)) for train, test in cuts]


def test_each_site_is_tested_once_by_what_was_learned_elsewhere() -> None:
    data = patients()
    site = data.pooled().static["site"].to_numpy()  # type: ignore[index]
    cuts = LeaveOneGroupOut(group="site").cut(data)
    assert [sorted(set(site[test])) for _, test in cuts] == [["A"], ["B"], ["C"], ["D"]]
    assert [sorted(set(site[train])) for train, _ in cuts] == [[one for one in "ABCD" if one != out] for out in "ABCD"]
    assert len(LeaveOneGroupOut().cut(data)) == 20  # patients


def test_a_column_that_parts_patients_is_refused() -> None:
    data = patients()
    static = data.static_train.copy()  # type: ignore[union-attr]
    static.loc[1, "site"] = "Z"
    moved = dataclasses.replace(data, static_train=static)
    wanted = "1 groups of the data set 'wards', such as 0, are in more than one site, and a group is never parted"
    for protocol in (LeaveOneGroupOut(group="site"), StratifiedGroupKFold(3, group="site")):
        with pytest.raises(ValueError, match=wanted):
            protocol.cut(moved)


def test_columns_and_groups_that_are_not_there_are_named() -> None:
    data = patients()
    with pytest.raises(ValueError, match=r"group='ward' is no static column .* it has site, year, admitted"):
        LeaveOneGroupOut(group="ward").cut(data)
    bare = dataclasses.replace(data, groups_train=None, groups_test=None, static_train=None, static_test=None)
    with pytest.raises(ValueError, match=r"time='year' is no static column .* name them when it is read \(static=\)"):
        Temporal(time="year").cut(bare)
    with pytest.raises(ValueError, match=r"leave_one_group_out needs groups, and the data set 'wards' has none: name"):
        LeaveOneGroupOut().cut(bare)
    with pytest.raises(ValueError, match="stratified_group_kfold needs groups"):
        StratifiedGroupKFold(3).cut(bare)
    with pytest.raises(ValueError, match=r"have no time stamps of their own; name the static column"):
        Temporal().cut(bare)
    holes = data.static_train.copy()  # type: ignore[union-attr]
    holes.loc[[2, 5], "site"] = None
    with pytest.raises(ValueError, match=r"group='site': 2 of the 60 samples .* have no value there"):
        LeaveOneGroupOut(group="site").cut(dataclasses.replace(data, static_train=holes))
    one = dataclasses.replace(data, groups_train=np.zeros(N_TRAIN, int), groups_test=np.zeros(N_TEST, int))
    with pytest.raises(ValueError, match="has 1 group: leaving it out leaves nothing to learn from"):
        LeaveOneGroupOut().cut(one)


def test_group_folds_are_those_of_the_stratified_folds() -> None:
    data = patients()
    for (train, test), (train_wanted, test_wanted) in zip(
        StratifiedGroupKFold(4, repeats=2).cut(data), StratifiedKFold(4, repeats=2).cut(data), strict=True
    ):
        np.testing.assert_array_equal(train, train_wanted)
        np.testing.assert_array_equal(test, test_wanted)


# --- time ------------------------------------------------------------------------------------------------------------


def dated(times: Any, groups: Any = None) -> Dataset:
    n = len(times)
    X, static = np.zeros((n, 1, 2)), pd.DataFrame({"time": times})
    half = n // 2
    parts = (None, None) if groups is None else (np.asarray(groups[:half]), np.asarray(groups[half:]))
    return Dataset(
        X[:half], np.arange(half) % 2, X[half:], np.arange(n - half) % 2, "dated", groups_train=parts[0],
        groups_test=parts[1], static_train=static.iloc[:half], static_test=static.iloc[half:].reset_index(drop=True),
    )  # fmt: skip


@given(
    times=st.lists(st.integers(0, 8), min_size=4, max_size=30),
    fraction=st.floats(0.05, 0.95),
    folds=st.integers(1, 3),
)
def test_the_past_is_learned_from_and_what_follows_is_tested(times: list[int], fraction: float, folds: int) -> None:
    protocol = Temporal(time="time", test_fraction=fraction, folds=folds)
    try:
        cuts = protocol.cut(dated(times))
    except ValueError as error:
        assert "distinct times, too few" in str(error)
        return
    when, tested = np.array(times), np.concatenate([test for _, test in cuts])
    assert len(set(tested)) == len(tested)  # each sample once at most
    for train, test in cuts:
        assert when[train].max() < when[test].min()
        assert set(np.flatnonzero(when < when[test].min())) == set(train)  # all that came before
    assert when[tested].min() > when[np.setdiff1d(np.arange(len(when)), tested)].max()  # the last part is tested


def test_the_cut_is_as_near_the_fraction_as_equal_times_allow() -> None:
    cut = Temporal(time="time", test_fraction=0.4).cut(dated(list(range(10))))
    assert [(train.tolist(), test.tolist()) for train, test in cut] == [([0, 1, 2, 3, 4, 5], [6, 7, 8, 9])]
    two = Temporal(time="time", test_fraction=0.4, folds=2).cut(dated(list(range(10))))
    assert [(len(train), test.tolist()) for train, test in two] == [(6, [6, 7]), (8, [8, 9])]
    tied = Temporal(time="time", test_fraction=0.4).cut(dated([0, 1, 1, 1, 1, 1, 1, 1, 2, 3]))
    assert [(train.tolist(), test.tolist()) for train, test in tied] == [(list(range(8)), [8, 9])]


def test_dates_are_read_as_such_whatever_their_order_as_text() -> None:
    dates = ["2021-01-10T00:00Z", "2019-12-31T23:30:00-01:00", "2020-01-01T00:10:00Z", "2018-05-01T12:00Z"]
    ((train, test),) = Temporal(time="time", test_fraction=0.5).cut(dated(dates))
    assert (train.tolist(), test.tolist()) == ([2, 3], [0, 1])  # 23:30 an hour west of Greenwich is 00:30 there
    with pytest.raises(ValueError, match=r"time='time' of the data set 'dated' holds '31\.12\.2020': times are"):
        Temporal(time="time").cut(dated(["31.12.2020", "spring", "x", "y"]))


def test_dates_are_those_of_the_readers_of_files() -> None:
    shifted = ["2293-03-01", "2255-01-01", "1650-07-30", "2299-12-31"]  # as de-identified records have them
    ((train, test),) = Temporal(time="time", test_fraction=0.5).cut(dated(shifted))
    assert (train.tolist(), test.tolist()) == ([1, 2], [0, 3])
    with pytest.raises(ValueError, match=r"has dates with a time zone .* and without .* which could be hours apart"):
        Temporal(time="time").cut(dated(["2020-01-01T10:00Z", "2020-01-02", "2020-01-03", "2020-01-04"]))


def test_series_have_the_time_of_their_first_stamp() -> None:
    stamps = pd.to_datetime(["2020-01-05", "2020-01-06", "2020-01-01", "2020-01-09", "2020-01-03"])
    index = pd.MultiIndex.from_arrays([["c", "c", "a", "a", "b"], stamps], names=["stay", "day"])
    X = pd.DataFrame({"hr": np.arange(5.0)}, index=index)
    data = Dataset(X.iloc[:4], np.array([0, 1]), X.iloc[4:], np.array([1]), "stays")
    ((train, test),) = Temporal(test_fraction=1 / 3).cut(data)
    assert (train.tolist(), test.tolist()) == ([1, 2], [0])


def test_patients_that_come_back_are_tested_only_where_they_are_new() -> None:
    data = dated(list(range(8)), groups=list("abcdacef"))
    with pytest.warns(UserWarning, match="2 of 4 test samples are left out, because their groups have earlier samples"):
        ((train, test),) = Temporal(time="time", test_fraction=0.5).cut(data)
    assert (train.tolist(), test.tolist()) == ([0, 1, 2, 3], [6, 7])
    with pytest.raises(ValueError, match=r"every group of the test part .* is in its training part too"):
        Temporal(time="time", test_fraction=0.5).cut(dated(list(range(4)), groups=list("abab")))


# --- parts that are drawn --------------------------------------------------------------------------------------------


def test_test_parts_are_drawn_anew_in_proportion() -> None:
    data = dataclasses.replace(patients(), groups_train=None, groups_test=None)
    cuts = Holdout(test_fraction=0.25, repeats=4, seed=2).cut(data)
    y = data.pooled().y
    assert y is not None and all(len(test) == 15 and int(y[test].sum()) in (7, 8) for _, test in cuts)
    assert len({tuple(test.tolist()) for _, test in cuts}) == 4
    later = Holdout(test_fraction=0.25, seed=3).cut(data)[0]
    np.testing.assert_array_equal(later[1], cuts[1][1])  # repeat r has the seed seed + r


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Holdout(test_fraction=1.0), "test_fraction=1.0 must lie between 0 and 1"),
        (lambda: Holdout(repeats=0), "repeats must be at least 1"),
        (lambda: Holdout(seed=-1), "seed must be at least 0"),
        (lambda: Temporal(test_fraction=0.0), "test_fraction=0.0 must lie between 0 and 1"),
        (lambda: Temporal(folds=0), "folds must be at least 1"),
        (lambda: LeaveOneGroupOut(pool="test"), "pool='test' is unknown"),  # type: ignore[arg-type]
    ],
)
def test_parameters_that_make_no_sense_are_refused(made: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made()


def test_a_single_patient_cannot_be_held_out() -> None:
    one = dataclasses.replace(patients(), groups_train=np.zeros(N_TRAIN, int), groups_test=np.zeros(N_TEST, int))
    with pytest.raises(ValueError, match=r"has too few samples or groups to hold out 0\.3 of them"):
        Holdout().cut(one)


def test_splitters_of_scikit_learn_cut_data_sets() -> None:
    from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut as Reference

    data = patients()
    for splitter in (GroupKFold(4), Reference()):
        folds = data.split(splitter)
        assert all(sum(fold.sizes) == 60 and fold.static_train is not None for fold in folds)
        assert not any(set(fold.groups_train) & set(fold.groups_test) for fold in folds)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="The groups parameter is ignored by KFold"):
        assert len(data.split(KFold(5))) == 5


@pytest.mark.parametrize("splitter", ["holdout", {"holdout": {}}, 5, [(0, 1)]])
def test_what_cuts_nothing_is_refused(splitter: Any) -> None:
    with pytest.raises(TypeError, match="cuts nothing; give a splitter of scikit-learn, or a protocol"):
        patients().split(splitter)


def test_numbers_have_no_classes_to_stratify_by() -> None:
    from sklearn.model_selection import KFold, StratifiedKFold as Reference

    data = dataclasses.replace(patients(), groups_train=None, groups_test=None)
    target = dataclasses.replace(data, y_train=np.linspace(0.5, 2, N_TRAIN), y_test=np.linspace(0.5, 2, N_TEST))
    with pytest.raises(ValueError, match=r"'wards' has numbers as labels, no classes .* use holdout, temporal"):
        StratifiedKFold(3).cut(target)
    with pytest.raises(ValueError, match="continuous"):
        target.split(Reference(3))
    assert len(target.split(KFold(3))) == len(Holdout(repeats=3).cut(target)) == 3


def test_the_warning_of_a_cut_is_heard_once() -> None:
    data, protocol = dated(list(range(8)), groups=list("abcdacef")), Temporal(time="time", test_fraction=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fold, _ = protocol.fold(data, 0)  # whoever asks for a fold has planned it
    assert fold.sizes == (4, 2)
    with pytest.warns(UserWarning, match="are left out"):
        protocol.cut(data)


def test_the_site_that_is_tested_may_be_the_one_that_loses_values(tmp_path: Any) -> None:
    folder = write_data(tmp_path) / "wards"
    folder.mkdir()
    data = patients().pooled()
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 4)), columns=list("abcd"))
    rows = rows.assign(patient=data.groups, site=data.static["site"].to_numpy(), died=data.y)  # type: ignore[index]
    rows.to_csv(folder / "wards.csv", index=False)
    benchmark = Benchmark(
        name="one", datasets=[{"wards": {"label": "died", "group": "patient", "static": ["site"]}}], methods=["raw"],
        probes=["knn"], controls="none", split={"leave_one_group_out": {"group": "site"}}, severities=[0.5],
        corruptions=[{"subgroup": {"where": {"site": "B"}}}], data_dir=str(tmp_path),
    )  # fmt: skip
    frame = run(benchmark, f"{tmp_path}/r.db", cache_dir=tmp_path / "c", progress=False)
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    gone = frame[frame["severity"] == 0.5].set_index("fold")[["realised_missing_train", "realised_missing_test"]]
    assert gone.loc[1].tolist() == [0.0, 0.5]  # B is the second site
    assert gone.drop(1)["realised_missing_test"].tolist() == [0.0, 0.0, 0.0]
    assert (gone.drop(1)["realised_missing_train"] > 0.15).all()
    nobody = dataclasses.replace(benchmark, corruptions=[{"subgroup": {"where": {"site": "Z"}}}])
    assert {cell.corruption is None for cell in nobody.cells()} == {True}
    (told,) = nobody.left_out()
    assert told.startswith("subgroup(where.site=Z) on wards: no sample is one of those that `where` names; codes such")


def test_a_benchmark_runs_over_sites(tmp_path: Any) -> None:
    folder = write_data(tmp_path) / "wards"
    folder.mkdir()
    data = patients().pooled()
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 4)), columns=list("abcd"))
    rows = rows.assign(patient=[f"p{g}" for g in data.groups], site=data.static["site"], died=data.y)  # type: ignore[union-attr,index]
    rows.to_csv(folder / "wards.csv", index=False)
    benchmark = Benchmark(
        name="sites", datasets=[{"wards": {"label": "died", "group": "patient", "static": ["site"]}}], methods=["raw"],
        probes=["knn"], controls="none", split={"leave_one_group_out": {"group": "site"}}, data_dir=str(tmp_path),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = run(benchmark, f"{tmp_path}/r.db", cache_dir=tmp_path / "c", progress=False)
    assert set(frame["status"]) == {"ok"} and sorted(frame["fold"]) == [0, 1, 2, 3]
    assert set(frame["split"]) == {"leave_one_group_out(group=site)"}
    loaded = kinview.load("wards", data_dir=str(tmp_path), label="died", group="patient", static=["site"])
    assert list(loaded.X_train.columns) == list("abcd")
