"""Mechanisms of missing data that take steps, channels, patients or groups: which values go together."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from kinview.evaluation import (
    MCAR,
    Benchmark,
    Block,
    Censoring,
    Irregular,
    MissingSequence,
    MNARHigh,
    Natural,
    Sensor,
    Subgroup,
    corrupt,
    run,
)
from kinview.evaluation.benchmark.grid import part_label
from kinview.evaluation.benchmark.steps import Chain
from kinview.evaluation.corruptions import corruptions
from kinview.registry import to_config
from test_benchmark import write_data
from test_block import runs
from test_corruptions import as_panel, gappy, mixed_table

# --- sequences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 3, 0.4])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_sequences_are_those_of_a_slow_count(length, rate):
    """Every run is listed, put in a random order and laid down until the rate is reached."""
    x = gappy(5, 2, 12)
    x[4, :, 2:] = np.nan  # shorter than a run of 3 steps
    size = [max(1, round(length * n)) if isinstance(length, float) else length for n in (12, 11, 10, 9, 2)]
    every = []
    for i, n in enumerate((12, 11, 10, 9, 2)):
        for channel in range(2):
            every += [(i, channel, start) for start in range(max(1, n - size[i] + 1))]
    turns = np.random.default_rng(7).permutation(len(every))
    wanted, gone = round(rate * (~np.isnan(x)).sum()), np.zeros(x.shape, dtype=bool)
    for number in np.argsort(turns):
        i, channel, start = every[number]
        for t in range(start, min(start + size[i], 12)):
            if gone.sum() < wanted and not np.isnan(x[i, channel, t]):
                gone[i, channel, t] = True
    np.testing.assert_array_equal(MissingSequence(rate, length).apply(x, 7)[1], gone)


def test_sequences_have_their_length_overlap_and_spare_the_ends_where_blocks_do_not():
    x = np.zeros((400, 1, 50))
    sequence, block = (kind(0.1, 8).apply(x, 0)[1][:, 0] for kind in (MissingSequence, Block))
    found = [run for mask in sequence for run in runs(mask)]
    assert min(found[:-1]) >= 8 or sorted(found)[1] >= 8  # all but the last are whole
    assert any(run % 8 for run in found)  # two that overlap
    assert any(run < 8 for mask in block for run in runs(mask)) and sequence.sum() == block.sum() == 2000
    ends = [mask[:, [0, -1]].mean() / mask.mean() for mask in (sequence, block)]
    assert ends[0] < 0.4 and ends[1] > 0.7


def test_sequences_take_single_channels():
    removed = MissingSequence(0.2, 5).apply(np.zeros((100, 3, 40)), 0)[1]
    alone = removed.any(axis=1) & ~removed.all(axis=1)
    assert alone.sum() > 0.9 * removed.any(axis=1).sum()


@pytest.mark.parametrize("length", [0, 1.0, True, "3"])
def test_lengths_of_sequences_that_are_none_are_refused(length):
    with pytest.raises(ValueError, match=r"is no length of a sequence; give steps"):
        MissingSequence(0.2, length)
    with pytest.raises(ValueError, match=r"longest has 20\): no such sequence can go"):
        corrupt(gappy(), {"sequence": {"length": 21}}, 0, rate=0.2)


# --- steps and channels ----------------------------------------------------------------------------------------------


def test_irregular_takes_its_share_of_every_series_where_mcar_does_not():
    x = np.zeros((200, 3, 40))
    lengths = np.random.default_rng(0).integers(4, 41, 200)
    for i, n in enumerate(lengths):
        x[i, :, n:] = np.nan
    for rate in (0.1, 0.37, 0.7):
        removed = Irregular(rate).apply(x, 0)[1]
        lost = removed[:, 0].sum(axis=1)
        assert lost.sum() == round(rate * lengths.sum()) and (removed.any(axis=1) == removed.all(axis=1)).all()
        assert np.abs(lost - rate * lengths).max() < 1.5
        free = MCAR(rate, "timestep").apply(x, 0)[1][:, 0].sum(axis=1)
        assert np.abs(free - rate * lengths).max() > 3


def test_steps_that_stay_keep_their_times_in_a_frame():
    panel = as_panel(gappy())
    frame, removed = corrupt(panel, "irregular", 0, rate=0.5)
    pd.testing.assert_index_equal(frame.index, panel.index)
    rows = removed.any(axis=1)
    assert frame[rows].isna().all(axis=None)
    pd.testing.assert_frame_equal(frame[~rows], panel[~rows])


def test_order_of_rows_within_a_series_does_not_matter_where_time_decides():
    x = gappy()
    shuffled = as_panel(x).sample(frac=1, random_state=0).sort_index(level=0, sort_remaining=False)
    for spec in ("irregular", "sequence", "censoring", "natural", "sensor"):
        removed, found = corrupt(x, spec, 3, rate=0.3)[1], corrupt(shuffled, spec, 3, rate=0.3)[1]
        np.testing.assert_array_equal(found, np.stack([removed[i, :, t] for i, t in shuffled.index]), err_msg=spec)


def test_sensors_are_lost_by_series_or_in_training_and_test_part_alike():
    x = np.random.default_rng(0).normal(size=(50, 6, 10))
    removed = Sensor(0.3).apply(x, 0)[1]
    assert (removed.any(axis=2) == removed.all(axis=2)).all() and removed.any(axis=2).sum() == 90
    assert len(np.unique(removed.any(axis=2), axis=0)) > 10
    mechanism = Sensor(0.5, "set")
    learned = mechanism.learn(x, 0)
    parts = [mechanism.apply(part, (0, number), learned=learned)[1] for number, part in enumerate((x, x[:7]))]
    assert (parts[0].any(axis=(0, 2)) == parts[1].any(axis=(0, 2))).all() and parts[0].all(axis=(0, 2)).sum() == 3
    assert corrupt(mixed_table(), {"sensor": {"scope": "set"}}, 0, rate=0.1)[1].any(axis=0).sum() == 2


def test_sensors_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="scope='all' is unknown; use 'sample' or 'set'"):
        Sensor(0.1, "all")
    with pytest.raises(ValueError, match="X is a table: a row has one value of each column, use mcar, or scope='set'"):
        corrupt(mixed_table(), "sensor", 0, rate=0.1)


# --- censoring -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["right", "left"])
def test_censored_series_lose_their_end_or_their_beginning(side):
    x = gappy(50, 2, 30)
    _, removed = Censoring(0.4, side).apply(x, 0)
    cut = 0
    for i in range(50):
        gone = removed[i].any(axis=0)
        steps = np.flatnonzero((~np.isnan(x[i])).any(axis=0))
        gone = gone[steps] if side == "left" else gone[steps][::-1]
        assert not np.diff(gone.astype(int)).clip(0).any()  # True first, then False
        whole = (removed[i] | np.isnan(x[i])).all(axis=0)
        cut += (removed[i].any(axis=0) & ~whole).sum()
    assert cut <= 1 and removed.sum() == round(0.4 * (~np.isnan(x)).sum())


def test_dropout_has_a_constant_hazard():
    n, steps = 20_000, 40
    removed = Censoring(0.35).apply(np.zeros((n, 1, steps)), 0)[1][:, 0]
    staying = 1 - removed.mean(axis=0)
    hazard = -np.log(staying[20]) / 20
    expected = np.exp(-hazard * np.arange(steps))
    assert np.abs(staying - expected).max() < 4 * 0.5 / np.sqrt(n)


def test_dropout_follows_the_times_and_not_the_steps():
    times = np.tile(np.concatenate([np.arange(10.0), 10 + 100 * np.arange(1, 11)]), (5000, 1))
    removed = Censoring(0.3).apply(np.zeros((5000, 1, 20)), 0, times=times)[1][:, 0]
    staying = 1 - removed.mean(axis=0)
    assert staying[9] > 0.95 and staying[11] < staying[9] - 0.05
    seconds = Censoring(0.3).apply(np.zeros((5000, 1, 20)), 0, times=3600 * times + 1e9)[1][:, 0]
    np.testing.assert_array_equal(seconds, removed)


def test_censoring_without_times_or_a_side_is_refused():
    x, times = np.zeros((2, 1, 3)), np.zeros((2, 3))
    times[1, 1] = np.nan
    with pytest.raises(ValueError, match="censoring needs the time of every observed step, and some have none"):
        Censoring(0.3).apply(x, 0, times=times)
    with pytest.raises(ValueError, match="side='end' is unknown; use 'right' or 'left'"):
        Censoring(0.3, "end")


# --- natural gaps ----------------------------------------------------------------------------------------------------


def laboratory(n=200, seed=0):
    """Channels 0 and 1 are one panel, missing together at night; channel 2 is always there."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3, 24))
    night = np.arange(24) < 8
    x[:, :2] = np.where((rng.random((n, 24)) < 0.3) & night, np.nan, x[:, :2].transpose(1, 0, 2)).transpose(1, 0, 2)
    return x


def test_natural_gaps_keep_what_is_missing_together():
    train, test = laboratory(), np.random.default_rng(1).normal(size=(300, 3, 24))
    mechanism = Natural(0.08)
    removed = mechanism.apply(test, (0, 1), learned=mechanism.learn(train, 0))[1]
    assert removed.sum() == round(0.08 * test.size)
    assert not removed[:, 2].any() and not removed[:, :, 8:].any()
    assert (removed[:, 0] != removed[:, 1]).sum() <= 1
    assert corrupt(test, "mcar", 0, rate=0.08)[1][:, 2].any()


def test_the_first_mask_of_each_sample_is_that_of_one_donor():
    train = laboratory(20)
    test = np.zeros((10, 3, 24))
    mechanism = Natural(0.02)
    removed = mechanism.apply(test, (0, 1), learned=mechanism.learn(train, 0))[1]
    gaps = {mask.tobytes() for mask in np.isnan(train)} | {np.zeros((3, 24), dtype=bool).tobytes()}
    assert sum(mask.tobytes() not in gaps for mask in removed) <= 1  # the last one ends where the rate does
    assert removed.any()


def test_that_a_donor_is_shorter_is_no_gap():
    train = np.zeros((5, 1, 10))
    train[:, :, 4:] = np.nan
    train[0, 0, 1] = np.nan
    mechanism = Natural(0.1)
    removed = mechanism.apply(np.zeros((5, 1, 10)), (0, 1), learned=mechanism.learn(train, 0))[1]
    assert removed[:, 0, 1].all() and removed.sum() == 5


def test_gaps_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="the training part has no gaps that natural could transplant"):
        Natural(0.1).apply(np.zeros((3, 1, 4)), 0)
    with pytest.raises(ValueError, match=r"rate=0.5 is \d+ values, and the gaps of the training part together reach"):
        Natural(0.5).apply(laboratory(30), 0)


def test_rows_of_a_table_are_donors():
    table = pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0], "sex": ["f", None, "m", "f"]})
    removed = corrupt(table, "natural", 0, rate=0.3)[1]
    assert not removed[:, 0].any() and removed.sum() == round(0.3 * 7)


# --- subgroups -------------------------------------------------------------------------------------------------------


def test_a_subgroup_loses_what_the_mechanism_takes_from_it_alone():
    x = np.random.default_rng(0).normal(size=(60, 2, 10))
    x[::7, 1, 3] = np.nan
    site = np.array(list("ABC"))[np.arange(60) % 3]
    for spec in (
        {"mnar_high": {"steepness": 4.0}},
        {"censoring": {"side": "left"}},
        "natural",
        {"block": {"length": 4}},
    ):
        whole = Subgroup(0.04, "B", spec)
        inner = corruptions.build(spec, rate=0.04)
        learned, own = whole.learn(x, 0, groups=site), inner.learn(x, 0)
        removed = whole.apply(x, (0, 1), groups=site, learned=learned)[1]
        alone = inner.apply(x[site == "B"], (0, 1), learned=own)[1]
        np.testing.assert_array_equal(removed[site == "B"], alone)
        assert not removed[site != "B"].any() and removed.any()


def test_a_subgroup_declares_what_its_mechanism_needs():
    assert Subgroup(0.1, "B").needs == {"groups"}
    assert Subgroup(0.1, "B", "informative").needs == {"groups", "y"}
    assert Subgroup(0.1, "B", {"subgroup": {"where": "B", "mechanism": "censoring"}}).needs == {
        "groups", "samples", "times",
    }  # fmt: skip
    with pytest.raises(ValueError, match="Subgroup needs the group of each sample; give groups="):
        corrupt(gappy(), {"subgroup": {"where": "B"}}, 0, rate=0.1)


def test_a_subgroup_takes_parts_and_numbers_and_several_groups():
    part = Subgroup(0.4, [1, "2"], MNARHigh(0.9, steepness=3.0))
    assert part.mechanism == {"mnar_high": {"steepness": 3.0}} and Subgroup(0.4, 1, MCAR(0.1)).mechanism == "mcar"
    assert corruptions.build(to_config(part)) == part
    removed = part.apply(np.random.default_rng(0).normal(size=(4, 10)), 0, groups=[0, 1, 2, 3])[1]
    assert removed.sum() == 8 and not removed[[0, 3]].any()


@pytest.mark.parametrize(
    ("where", "rows"), [("01", [0]), ("1", [1]), ("2", [2, 3]), (2, [2, 3]), ([2, "01"], [0, 2, 3])]
)
def test_codes_are_the_text_that_they_are(where, rows):
    removed = Subgroup(0.5, where).apply(np.zeros((4, 10)), 0, groups=["01", "1", "2", "2"])[1]
    assert np.flatnonzero(removed.any(axis=1)).tolist() == rows


@pytest.mark.parametrize(
    ("where", "codes"), [(1, ["01", "1"]), ([1], ["01", "2"]), (8, ["010", "8"]), (10, ["010", "10"])]
)
def test_a_number_that_yaml_made_of_a_code_is_refused(where, codes):
    static = pd.DataFrame({"site": codes})
    with pytest.raises(ValueError, match="gives a number, and there are codes with leading zeros: write '01' or '1'"):
        Subgroup(0.5, {"site": where}).apply(np.zeros((2, 10)), 0, static=static)


def test_booleans_with_a_gap_are_still_true_and_false():
    static = pd.DataFrame({"icu": [1.0, 0.0, np.nan, 1.0]})
    removed = Subgroup(0.5, {"icu": True}).apply(np.zeros((4, 10)), 0, static=static)[1]
    assert np.flatnonzero(removed.any(axis=1)).tolist() == [0, 3]


def test_a_subgroup_may_be_one_of_static_columns():
    x = np.arange(60.0).reshape(6, 10)
    static = pd.DataFrame({"site": list("ABBBBA"), "female": [1.0, np.nan, 1.0, 0.0, 1.0, 1.0]})
    part = Subgroup(0.5, {"site": "B", "female": [1]})
    assert part.needs == {"static"} and corruptions.build(to_config(part)) == part
    removed = part.apply(x, 0, static=static)[1]
    assert removed.sum() == 10 and np.flatnonzero(removed.any(axis=1)).tolist() == [2, 4]
    by_group = Subgroup(0.5, "in").apply(x, 0, groups=["out", "out", "in", "out", "in", "out"])[1]
    np.testing.assert_array_equal(removed, by_group)  # the same draws, whatever tells who is in
    high = Subgroup(0.5, {"site": ["A"]}, {"self_masking": {"values": "high"}}).apply(x, 0, static=static)[1]
    assert np.flatnonzero(high.any(axis=1)).tolist() == [5]  # the highest ten of these twenty
    with pytest.raises(ValueError, match=r"no sample is one of those that `where` names"):
        Subgroup(0.5, {"site": "C"}).apply(x, 0, static=static)
    with pytest.raises(ValueError, match="where names 'ward', which is no static column of the data; there are: site"):
        Subgroup(0.5, {"ward": "C"}).apply(x, 0, static=static)
    with pytest.raises(ValueError, match="needs the static columns of each sample; give static="):
        part.apply(x, 0)
    with pytest.raises(ValueError, match="where names no group"):
        Subgroup(0.2, {"site": []})


def test_mechanisms_that_a_data_set_rules_out_are_left_out_by_name(tmp_path):
    mechanisms = ["mcar", "mar", "natural", "sensor", {"subgroup": {"where": {"sex": "f"}, "mechanism": "block"}}]
    folder = write_data(tmp_path) / "ward"
    folder.mkdir()
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    rows.assign(sex=list("mf") * 20, died=np.arange(40) // 2 % 2).to_csv(folder / "ward.csv", index=False)
    benchmark = Benchmark(
        name="m", datasets=[{"ward": {"label": "died", "static": ["sex"]}}], methods=["raw"], probes=["knn"],
        controls="none", corruptions=mechanisms, severities=[0.2], data_dir=str(tmp_path),
    )  # fmt: skip
    assert {cell.corruption for cell in benchmark.cells()} == {None, "mcar", "mar"}
    assert benchmark.left_out() == [
        "natural on ward: no sample has a gap",
        "sensor on ward: scope='sample' is of time series: a row of a table has one value of each column",
        "subgroup(where.sex=f, mechanism=block) on ward: its mechanism is a corruption of time series",
    ]
    by_sex = {"subgroup": {"where": {"sex": "f"}}}
    without = dataclasses.replace(benchmark, datasets=[{"ward": {"label": "died"}}], corruptions=[by_sex])
    with pytest.raises(
        ValueError, match=r"cannot be applied to the data set 'ward': it goes by static columns .*, and there are none"
    ):
        without.cells()
    by_site = dataclasses.replace(benchmark, corruptions=[{"subgroup": {"where": {"site": "B"}}}])
    with pytest.raises(ValueError, match="it goes by 'site', which is no static column of the data; there are: sex"):
        by_site.cells()


def test_a_mechanism_of_one_set_is_left_out_on_the_others(tmp_path):
    mechanisms = ["mcar", {"subgroup": {"where": {"sex": "f"}}}, {"subgroup": {"where": "B"}}]
    for name, static in (("ward", ["sex"]), ("clinic", ["age"]), ("home", [])):
        (tmp_path / name).mkdir()
        rows = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
        rows["site"], rows["died"] = list("AB") * 20, np.arange(40) // 4 % 2
        rows.assign(**{column: list("mf") * 20 for column in static}).to_csv(
            tmp_path / name / f"{name}.csv", index=False
        )
    benchmark = Benchmark(
        name="m",
        datasets=[
            {"ward": {"label": "died", "static": ["sex"], "drop": ["site"]}},
            {"clinic": {"label": "died", "static": ["age"], "group": "site"}},
            {"home": {"label": "died", "drop": ["site"]}},
        ],
        methods=["raw"], probes=["knn"], controls="none", corruptions=mechanisms, severities=[0.2],
        data_dir=str(tmp_path),
    )  # fmt: skip
    found = {(cell.dataset, part_label(cell.corruption)) for cell in benchmark.cells() if cell.corruption}
    assert found == {
        ("ward", "mcar"), ("clinic", "mcar"), ("home", "mcar"),
        ("ward", "subgroup(where.sex=f)"), ("clinic", "subgroup(where=B)"),
    }  # fmt: skip
    assert benchmark.left_out() == [
        "subgroup(where=B) on ward: it goes by the group of each sample, and there is none; name their column (group)",
        "subgroup(where.sex=f) on clinic: it goes by 'sex', which is no static column of the data; there are: age",
        "subgroup(where.sex=f) on home: it goes by static columns of each sample, and there are none; name them "
        "(static)",
        "subgroup(where=B) on home: it goes by the group of each sample, and there is none; name their column (group)",
    ]


def test_a_group_that_is_not_there_is_refused_or_left_alone():
    x = np.zeros((4, 5))
    with pytest.raises(
        ValueError, match=r"subgroup\(where='D'\) cannot be applied: no sample is one of those that `where` names"
    ):
        Subgroup(0.2, "D").apply(x, 0, groups=list("ABAB"))
    learned = Subgroup(0.2, "A").learn(x, 0, groups=list("ABAB"))
    assert not Subgroup(0.2, "A").apply(x, 0, groups=list("BBBB"), learned=learned)[1].any()
    with pytest.raises(ValueError, match="where names no group"):
        Subgroup(0.2, [])
    with pytest.raises(ValueError, match="corruption 'subgroup' needs where"):
        corrupt(x, "subgroup", 0, rate=0.2, groups=list("ABAB"))
    with pytest.raises(ValueError, match="did you mean 'mcar'"):
        Subgroup(0.2, "A", "mcarr")


# --- in a benchmark --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    folder = write_data(tmp_path_factory.mktemp("data"))
    table = pd.read_csv(folder / "table" / "table.csv")
    table.assign(site=np.where(np.arange(len(table)) % 2, "A", "B")).to_csv(folder / "table" / "table.csv", index=False)
    return Benchmark(
        name="mechanisms",
        datasets=["toy", {"table": {"group": "site", "label": "y"}}],
        methods=["raw"],
        corruptions=["informative", "mnar_high", "censoring", "irregular"],
        severities=[0.2, 0.4],
        controls="none",
        probes=["knn"],
        data_dir=str(folder),
    )


def test_mechanisms_are_handed_labels_and_times_by_a_benchmark(planned, tmp_path):
    frame = run(planned, f"{tmp_path}/r.db", cache_dir=tmp_path / "cache")
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    assert set(frame.loc[frame["dataset"] == "Toy", "corruption"].dropna()) == set(planned.corruptions)
    informative = frame.query("corruption == 'informative' and dataset == 'Toy' and severity == 0.4")
    assert informative["realised_missing_test"].unique().tolist() == [round(0.4 * 192) / 192]


def test_a_subgroup_is_handed_the_groups_of_a_benchmark(planned, tmp_path):
    sites = {"where": "B", "mechanism": "informative"}
    only = dataclasses.replace(planned, datasets=planned.datasets[1:], corruptions=[{"subgroup": sites}])
    cell = next(cell for cell in only.cells() if cell.severity == 0.4)
    assert cell.spec["corruption"] == {"subgroup": {"where": "B", "mechanism": {"informative": {"steepness": 2.0}}}}
    chain = Chain(cell, only.data_dir, tmp_path)
    for part in ("train", "test"):
        found = chain.data(part, cell.corruption_of(part))
        X, rate = found.X, found.realised
        groups = np.asarray(getattr(chain.dataset, f"groups_{part}"))
        assert not X[groups != "B"].isna().any(axis=None)
        assert X.isna().to_numpy().sum() == round(0.4 * X[groups == "B"].size) == round(rate * X.size)
    with pytest.raises(ValueError, match=r"subgroup\(where=B.* to the data set 'Toy': it goes by the group of each"):
        dataclasses.replace(only, datasets=["toy"]).cells()
