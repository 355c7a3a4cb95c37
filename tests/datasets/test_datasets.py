"""Data sets by name: bundled ones, folders in an archive's layout, splits, fingerprints and refusals."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinview.datasets import Dataset, Samples, available, datasets, load, load_path, read_path, split

BUNDLED = {  # name: train, test, channels or columns, classes (0: numeric target)
    "acsf1": (100, 100, 1, 10),
    "arrowhead": (36, 175, 1, 3),
    "basic_motions": (40, 40, 6, 4),
    "breast_cancer": (398, 171, 30, 2),
    "diabetes": (309, 133, 10, 0),
    "digits": (1258, 539, 64, 10),
    "gunpoint": (50, 150, 1, 2),
    "iris": (105, 45, 4, 3),
    "italy_power_demand": (67, 1029, 1, 2),
    "japanese_vowels": (270, 370, 12, 9),
    "osuleaf": (200, 242, 1, 6),
    "plaid": (537, 537, 1, 11),
    "wine": (125, 53, 13, 3),
}
# As the index of the public copies states them: train, test, channels, length, classes (0: numeric target).
SERIES = {
    "ACSF1": (100, 100, 1, "1460", 10),
    "AllGestureWiimoteX": (300, 700, 1, "2-385", 10),
    "AllGestureWiimoteY": (300, 700, 1, "2-385", 10),
    "AllGestureWiimoteZ": (300, 700, 1, "2-385", 10),
    "ArrowHead": (36, 175, 1, "251", 3),
    "BME": (30, 150, 1, "128", 3),
    "Beef": (30, 30, 1, "470", 5),
    "CBF": (30, 900, 1, "128", 3),
    "Chinatown": (20, 345, 1, "24", 2),
    "Coffee": (28, 28, 1, "286", 2),
    "ECG200": (100, 100, 1, "96", 2),
    "GunPoint": (50, 150, 1, "150", 2),
    "GunPointAgeSpan": (135, 316, 1, "150", 2),
    "GunPointMaleVersusFemale": (135, 316, 1, "150", 2),
    "GunPointOldVersusYoung": (136, 315, 1, "150", 2),
    "ItalyPowerDemand": (67, 1029, 1, "24", 2),
    "Lightning2": (60, 61, 1, "637", 2),
    "Lightning7": (70, 73, 1, "319", 7),
    "MelbournePedestrian": (1200, 2450, 1, "24", 10),
    "OSULeaf": (200, 242, 1, "427", 6),
    "PLAID": (537, 537, 1, "101-1344", 11),
    "PickupGestureWiimoteZ": (50, 50, 1, "29-361", 10),
    "ShakeGestureWiimoteZ": (50, 50, 1, "40-385", 10),
    "SyntheticControl": (300, 300, 1, "60", 6),
    "Trace": (100, 100, 1, "275", 4),
    "UMD": (36, 144, 1, "150", 3),
    "BasicMotions": (40, 40, 6, "100", 4),
    "CMJ": (419, 179, 1, "500", 3),
    "Covid3Month": (140, 61, 1, "84", 0),
    "JapaneseVowels": (270, 370, 12, "7-29", 9),
}
TABLES = {  # rows, columns, classes, missing values in per cent
    "abalone": (4177, 8, 28, 0.0),
    "banknote": (1372, 4, 2, 0.0),
    "breast-cancer": (286, 9, 2, 0.35),
    "car": (1728, 6, 4, 0.0),
    "cmc": (1473, 9, 3, 0.0),
    "credit-a": (690, 15, 2, 0.65),
    "credit-g": (1000, 20, 2, 0.0),
    "darwin": (174, 451, 2, 0.0),
    "haberman": (306, 3, 2, 0.0),
    "heart-c": (303, 13, 2, 0.18),
    "heart-h": (294, 13, 2, 20.46),
    "hepatitis": (155, 19, 2, 5.67),
    "ionosphere": (351, 34, 2, 0.0),
    "mushroom": (8124, 22, 2, 1.39),
    "phoneme": (5404, 5, 2, 0.0),
    "pima": (768, 8, 2, 0.0),
    "sonar": (208, 60, 2, 0.0),
    "telco-churn": (7043, 20, 2, 0.01),
    "vehicle": (846, 18, 4, 0.0),
    "vote": (435, 16, 2, 5.63),
    "wine-quality-white": (4898, 11, 7, 0.0),
}


def archive(root: Path, name: str, suffix: str = ".tsv", *, test: bool = True) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / f"{name}_TRAIN{suffix}").write_text("1\t1\t2\n2\t3\t4\n")
    if test:
        (folder / f"{name}_TEST{suffix}").write_text("2\t5\t6\t7\n")
    return folder


# --- bundled


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_have_their_published_sizes(name: str) -> None:
    data = load(name)
    n_train, n_test, width, classes = BUNDLED[name]
    assert (len(data.X_train), len(data.X_test), data.n_classes) == (n_train, n_test, classes)
    assert data.X_train.shape[1] == width and data.name == name
    assert (
        data.modality
        == datasets[name].modality
        == ("tabular" if isinstance(data.X_train, pd.DataFrame) else "time_series")
    )
    assert data.modality == "tabular" or data.X_train.shape[2] == data.X_test.shape[2]


def test_the_registry_has_each_bundled_name_and_says_what_it_is() -> None:
    assert set(datasets) == {*BUNDLED, "physionet2012"}
    for name in datasets:
        assert datasets[name].summary.endswith((".", "folder.")) and datasets[name].reference
        assert datasets[name].target.__module__ == "kinview.datasets.bundled"


def test_sktimes_and_the_archives_copies_are_equal(data_dir: Path) -> None:
    for folder in ("GunPoint", "ArrowHead", "ItalyPowerDemand", "BasicMotions", "JapaneseVowels"):
        bundled = {"ArrowHead": "arrowhead", "GunPoint": "gunpoint"}.get(folder) or re.sub(
            "(?<!^)([A-Z])", r"_\1", folder
        )
        assert load(bundled.lower()).fingerprint() == load(folder, data_dir=data_dir).fingerprint()


def test_loading_a_bundled_series_needs_no_heavy_import() -> None:
    code = (
        "import sys; from kinview.datasets import load; load('gunpoint'); "
        "print([m for m in ('torch', 'sktime', 'sklearn', 'xgboost') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- folders


@pytest.mark.parametrize("name", SERIES)
def test_series_folders(data_dir: Path, name: str) -> None:
    data = load(name.lower() if name.lower() not in datasets else name, data_dir=data_dir)
    n_train, n_test, channels, length, classes = SERIES[name]
    assert data.name == name and data.n_classes == classes
    facts = f"{n_train} train / {n_test} test, {channels} channel{'s' * (channels > 1)}, length {length}, "
    assert data.describe().startswith(f"{name}: {facts}")


@pytest.mark.parametrize("name", TABLES)
def test_table_folders(data_dir: Path, name: str) -> None:
    data = load(name, data_dir=data_dir)
    rows, columns, classes, missing = TABLES[name]
    X = pd.concat([data.X_train, data.X_test])
    assert X.shape == (rows, columns) and data.n_classes == classes
    assert len(data.X_test) == round(0.3 * rows)
    assert 100 * X.isna().to_numpy().mean() == pytest.approx(missing, abs=0.005)


def test_options_reach_the_reader(data_dir: Path) -> None:
    data = load("telco-churn", data_dir=data_dir, label="Churn", drop=["customerID"])
    assert "customerID" not in data.X_train and data.X_train["TotalCharges"].dtype == np.float64
    libras = load("libras_uci", data_dir=data_dir, modality="time_series", channels=2, interleaved=True)
    assert libras.describe() == "Libras_UCI: 252 train / 108 test, 2 channels, length 45, 15 classes, 0.0 % missing"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mimic3-demo", "holds 12 tables .* relational data are not joined"),
    ],
)
def test_what_is_not_read_is_refused_by_name(data_dir: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(name, data_dir=data_dir)


@pytest.mark.parametrize("suffix", [".tsv", ".txt", ""])
def test_both_parts_get_one_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    archive(tmp_path, "Demo", suffix)
    monkeypatch.setenv("KINVIEW_DATA", str(tmp_path))
    data = load("demo")
    np.testing.assert_array_equal(data.X_train, [[[1, 2, np.nan]], [[3, 4, np.nan]]])
    np.testing.assert_array_equal(data.X_test, [[[5, 6, 7]]])
    assert data.describe() == "Demo: 2 train / 1 test, 1 channel, length 2-3, 2 classes, 0.0 % missing"
    assert load_path(tmp_path / "Demo").fingerprint() == data.fingerprint()
    assert str(tmp_path) not in data.source  # it goes into reports


def test_a_file_a_dimension_does_not_hide_the_whole(tmp_path: Path) -> None:
    folder = archive(tmp_path, "Demo")
    for part in ("TRAIN", "TEST"):
        (folder / f"DemoDimension1_{part}.ts").write_text("@data\n1\n")
        (folder / f"DemoDimension1_{part}.tsv").write_text("1\t9\n")
    assert len(load("Demo", data_dir=tmp_path).X_train) == 2


def test_broken_layouts_are_named(tmp_path: Path) -> None:
    archive(tmp_path, "Half", test=False)
    (tmp_path / "Void").mkdir()
    with pytest.raises(ValueError, match=r"Half has Half_TRAIN\.tsv but no test file"):
        load("Half", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"Void has no known layout: expected Void_TRAIN and _TEST .* found nothing"):
        load("Void", data_dir=tmp_path)
    with pytest.raises(ValueError, match="has no option 'label'"):
        load_path(archive(tmp_path, "Demo"), label="y")
    (tmp_path / "Demo" / "Demo_TEST.tsv").unlink()
    (tmp_path / "Demo" / "Demo_TRAIN.ts").write_text("@data\n1,2:3,4\n")
    (tmp_path / "Demo" / "Demo_TEST.ts").write_text("@data\n1,2\n")
    with pytest.raises(ValueError, match="'Demo' has 2 channels in train and 1 in test"):
        load("Demo", data_dir=tmp_path)


# --- names


@pytest.mark.parametrize("name", ["../x", "..", ".", "", "/etc", "a/b", "a\\b", "a\0b"])
def test_a_name_cannot_leave_the_data_folder(tmp_path: Path, name: str) -> None:
    archive(tmp_path, "x")
    (tmp_path / "inner").mkdir()
    with pytest.raises(ValueError, match="is not the name of a data set but a path"):
        load(name, data_dir=tmp_path / "inner")


def test_unknown_names_get_a_suggestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINVIEW_DATA", raising=False)
    with pytest.raises(ValueError, match=r"unknown data set 'gunpiont'; did you mean 'gunpoint'.*set KINVIEW_DATA"):
        load("gunpiont")
    archive(tmp_path, "ECG200")
    with pytest.raises(ValueError, match=r"did you mean 'ECG200'\? Bundled: acsf1, .*; on disk: ECG200"):
        load("ecg20", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"data_dir is .*which is not a folder"):
        load("ecg200", data_dir=tmp_path / "absent")
    monkeypatch.setenv("KINVIEW_DATA", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match=r"KINVIEW_DATA is .*which is not a folder"):
        load("ecg200")


def test_names_that_differ_in_case_must_be_exact(tmp_path: Path) -> None:
    for name in ("Demo", "DEMO"):
        (tmp_path / name).mkdir()
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("the file system does not tell upper from lower case")
    with pytest.raises(ValueError, match="'demo' could be any of DEMO, Demo"):
        load("demo", data_dir=tmp_path)
    with pytest.raises(ValueError, match="Demo has no known layout"):
        load("Demo", data_dir=tmp_path)


def test_available_lists_bundled_and_disk(tmp_path: Path) -> None:
    archive(tmp_path, "ECG200")
    assert available(tmp_path) == [*datasets, "ECG200"]


def test_unknown_options_get_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dataset 'gunpoint' has no parameter 'label'"):
        load("gunpoint", label="y")
    (tmp_path / "x.csv").write_text("a,y\n1,0\n2,1\n")
    with pytest.raises(
        ValueError, match=r"x\.csv is read as 'wide', which has no option 'lable'; did you mean 'label'"
    ):
        read_path(tmp_path / "x.csv", lable="y")
    with pytest.raises(ValueError, match="is read as 'long', which needs: time"):
        read_path(tmp_path / "x.csv", id="a")
    with pytest.raises(ValueError, match="unknown format 'xml'; known: auto, ucr"):
        read_path(tmp_path / "x.csv", "xml")
    (tmp_path / "x.docx").write_text("?")
    with pytest.raises(ValueError, match=r"cannot tell the format of x\.docx"):
        load_path(tmp_path / "x.docx")
    (tmp_path / "100.dat").write_bytes(b"\0")
    with pytest.raises(ValueError, match=r"100\.dat has no WFDB header \(100\.hea\) beside it"):
        load_path(tmp_path / "100.dat")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_path(tmp_path / "absent.csv")


def test_a_registered_data_set_must_return_one(monkeypatch: pytest.MonkeyPatch) -> None:
    len(datasets)
    monkeypatch.setattr(datasets, "_entries", dict(datasets._entries))
    datasets.register("wrong")(lambda: 3)
    with pytest.raises(TypeError, match="'wrong' was built as int"):
        load("wrong")


# --- splits


def test_the_split_is_stratified_disjoint_and_seeded() -> None:
    one, again, other = load("wine"), load("wine"), load("wine", split_seed=1)
    assert one.fingerprint() == again.fingerprint() != other.fingerprint()
    whole = pd.concat([one.X_train, one.X_test])
    assert len(whole) == 178 and len(whole.drop_duplicates()) == 178
    assert one.y_train is not None and one.y_test is not None
    fraction = np.bincount(one.y_test) / np.bincount(np.concatenate([one.y_train, one.y_test]))
    np.testing.assert_allclose(fraction, 0.3, atol=0.02)
    assert len(load("wine", test_fraction=0.5).X_test) == 89


def test_rows_and_labels_stay_together() -> None:
    X = np.arange(20.0).reshape(20, 1, 1)
    data = split(Samples(X, np.arange(20) // 10, np.arange(20) // 2), name="d", source="", test_fraction=0.4)
    for x, y, groups in ((data.X_train, data.y_train, data.groups_train), (data.X_test, data.y_test, data.groups_test)):
        np.testing.assert_array_equal(x[:, 0, 0] // 10, y)
        np.testing.assert_array_equal(x[:, 0, 0] // 2, groups)
    assert len(data.X_test) == 8


def test_float_targets_and_no_labels_are_split_too() -> None:
    for y in (np.arange(10) / 7, None):
        data = split(Samples(np.zeros((10, 1, 2)), y), name="d", source="")
        assert len(data.X_test) == 3 and data.n_classes == 0


@pytest.mark.parametrize(("n", "fraction", "message"), [(5, 0.0, "test_fraction=0.0 must lie"), (1, 0.3, "at least 2")])
def test_impossible_splits_are_refused(n: int, fraction: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(Samples(np.zeros((n, 1, 2))), name="d", source="", test_fraction=fraction)


# --- fingerprint and description


def frame_of(values: list[float], ids: list[str], times: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"a": values}, index=pd.MultiIndex.from_arrays([ids, times], names=["id", "t"]))


def mixed(**changes: object) -> pd.DataFrame:
    columns = {"n": [1.0, np.nan], "s": ["x", None], "c": pd.Categorical(["u", "v"]), "b": [True, False]}
    return pd.DataFrame({**columns, "d": pd.to_datetime(["2020-01-01", None]), **changes})


def test_fingerprint_sees_every_content_and_nothing_else() -> None:
    X, y = np.arange(8.0).reshape(2, 2, 2), np.array([0, 1])
    base = Dataset(X, y, X, y, "a")
    nan = X.copy()
    nan[0, 0, 0] = np.nan
    changed = [
        {"X_train": X + 1}, {"X_test": nan}, {"X_train": X.reshape(2, 1, 4)}, {"X_train": X.astype(np.float32)},
        {"y_train": y[::-1]}, {"y_test": np.array(["a", "b"])}, {"groups_train": y}, {"groups_test": y},
        {"y_train": None}, {"X_train": mixed(), "modality": "tabular", "X_test": mixed()},
        {"X_train": mixed(s=["x", "y"]), "modality": "tabular", "X_test": mixed()},
        {"X_train": mixed(c=pd.Categorical(["v", "u"])), "modality": "tabular", "X_test": mixed()},
        {"X_train": mixed(n=pd.array([1, None], dtype="Int64")), "modality": "tabular", "X_test": mixed()},
        {"X_train": mixed().rename(columns={"n": "m"}), "modality": "tabular", "X_test": mixed()},
        {"X_train": frame_of([1.0, 2.0], ["a", "b"], [0, 1])},
        {"X_train": frame_of([1.0, 2.0], ["a", "b"], [0, 2])},
        {"X_train": frame_of([1.0, 2.0], ["a", "c"], [0, 1])},
    ]  # fmt: skip
    prints = [dataclasses.replace(base, **change).fingerprint() for change in changed]  # type: ignore[arg-type]
    assert len({base.fingerprint(), *prints}) == len(changed) + 1
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in prints)
    renamed = dataclasses.replace(base, name="b", source="elsewhere", X_train=np.asfortranarray(X.copy()))
    assert renamed.fingerprint() == base.fingerprint()


def test_describe_counts_gaps_but_not_padding() -> None:
    X = np.array([[[1, np.nan, 3, np.nan]], [[1, 2, 3, 4.0]]])
    data = Dataset(X, np.array(["a", "b"]), X[:1], np.array(["a"]), "d")
    assert data.describe() == "d: 2 train / 1 test, 1 channel, length 3-4, 2 classes, 20.0 % missing"
    frame = frame_of([1.0, np.nan, 2.0], ["a", "a", "b"], [0, 1, 0])
    data = Dataset(frame, None, frame, None, "d")
    assert data.describe() == "d: 2 train / 2 test, 1 channel, length 1-2, no labels, 33.3 % missing"
    data = Dataset(mixed(), np.array([0.5, 1.5]), mixed(), np.array([0.5, 2.5]), "d", "tabular")
    assert data.describe() == "d: 2 train / 2 test, 5 columns, numeric target, 30.0 % missing"


def test_a_data_set_needs_one_label_and_group_a_sample() -> None:
    X = np.zeros((2, 1, 3))
    with pytest.raises(ValueError, match="'d' has 3 train labels for 2 samples"):
        Dataset(X, np.zeros(3), X, np.zeros(2), "d")
    with pytest.raises(ValueError, match="'d' has 1 test groups for 2 samples"):
        Dataset(X, np.zeros(2), X, np.zeros(2), "d", groups_test=np.zeros(1))
    with pytest.raises(ValueError, match="need a MultiIndex"):
        Dataset(mixed(), None, mixed(), None, "d")


def test_unlabelled_samples_are_split_and_counted_but_no_probe_gets_them() -> None:
    y = np.array([0, 1, None] * 10, dtype=object)
    data = split(Samples(np.zeros((30, 1, 4)), y), name="d", source="")
    assert pd.isna(data.y_test).sum() == 3 and data.classes is not None and data.classes.tolist() == [0, 1]
    with pytest.raises(
        ValueError, match=r"label of d is missing for 7 of 21 training samples, .* remove these samples"
    ):
        data.require_classes()


@pytest.mark.parametrize(("y", "message"), [(None, "no labels"), (np.array([0.5, 1.0]), "numbers with fractions")])
def test_a_probe_needs_classes(y: np.ndarray | None, message: str) -> None:
    X = np.zeros((2, 1, 4))
    with pytest.raises(ValueError, match=message):
        Dataset(X, y, X, y, "d").require_classes()


def test_whole_number_targets_are_pointed_out() -> None:
    X, y = np.zeros((30, 1, 4)), np.arange(30)
    with pytest.warns(UserWarning, match="d look like a regression target .* scored as 30 classes"):
        Dataset(X, y, X, y, "d").require_classes()
    for fine in (y % 20, np.repeat(np.arange(25), 2)[:30] // 2, y.astype(str)):
        Dataset(X, fine, X, fine, "d").require_classes()


def test_groups_are_those_of_the_training_samples() -> None:
    X, y = np.zeros((2, 1, 4)), np.array([0, 1])
    assert Dataset(X, y, X, y, "d").groups is None
    assert Dataset(X, y, X, y, "d", groups_train=np.array(["p", "q"])).groups.tolist() == ["p", "q"]


@pytest.mark.parametrize("name", [3, Path("data/x.csv")])
def test_load_takes_a_name(name: object) -> None:
    with pytest.raises(TypeError, match=r"load takes the name of a data set .* kinview\.datasets\.load_path"):
        load(name)  # type: ignore[arg-type]


def test_a_text_file_named_like_a_recording_needs_its_format(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="--format wide"):
        load_path(tmp_path / "x.dat")
    assert read_path(tmp_path / "x.dat", "wide").X.shape == (1, 2)
