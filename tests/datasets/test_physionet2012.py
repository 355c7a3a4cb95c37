"""The PhysioNet 2012 challenge, against a plain loop over the lines of its files."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from kinview.data import read_panel
from kinview.datasets import load, read_physionet2012
from kinview.datasets.physionet2012 import DESCRIPTORS, VARIABLES

HEADER = "Time,Parameter,Value\n"


def folder_with(root: Path, stays: dict[int, str], outcomes: str | None = None) -> Path:
    (root / "set-a").mkdir(parents=True)
    for record, body in stays.items():
        (root / "set-a" / f"{record}.txt").write_text(f"{HEADER}00:00,RecordID,{record}\n{body}")
    text = outcomes or "RecordID,SAPS-I,In-hospital_death\n" + "".join(f"{r},-1,{r % 2}\n" for r in stays)
    (root / "Outcomes-a.txt").write_text(text)
    return root


def test_unknown_is_left_out_and_a_minute_is_averaged(tmp_path: Path) -> None:
    body = "00:00,Age,54\n00:00,Height,-1\n00:00,Weight,80\n00:07,HR,70\n00:07,HR,74\n47:30,pH,7.4"
    samples = read_physionet2012(folder_with(tmp_path, {9: body, 4: "00:00,Age,-1\n00:00,Weight,-1\n"}))
    X = samples.X
    assert list(X.columns) == [*VARIABLES, *DESCRIPTORS] and len(VARIABLES) == 37
    assert X.index.tolist() == [(4, 0.0), (9, 0.0), (9, 7 / 60), (9, 47.5)]
    observed = {(*row, name): value for name in X for row, value in X[name].dropna().items()}
    assert observed == {
        (9, 0.0, "Weight"): 80.0,
        (9, 0.0, "Age"): 54.0,
        (9, 7 / 60, "HR"): 72.0,
        (9, 47.5, "pH"): 7.4,
    }
    assert samples.y is not None and samples.y.tolist() == [0, 1]
    without = read_physionet2012(tmp_path, descriptors=False).X
    assert list(without.columns) == list(VARIABLES) and without.index.tolist() == X.index.tolist()


def test_sets_are_joined(tmp_path: Path) -> None:
    folder_with(tmp_path, {2: "01:00,HR,60\n"})
    (tmp_path / "set-b").mkdir()
    (tmp_path / "set-b" / "1.txt").write_text(f"{HEADER}00:00,RecordID,1\r\n02:00,HR,61\r\n")
    assert len(read_physionet2012(tmp_path)) == 1  # set-b has no outcomes yet
    (tmp_path / "Outcomes-b.txt").write_text("RecordID,In-hospital_death\n1,1\n")
    samples = read_physionet2012(tmp_path)
    assert samples.X["HR"].dropna().tolist() == [60, 61]
    assert samples.y is not None and samples.y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("body", "outcomes", "message"),
    [
        ("00:10,Mood,3\n", None, r"5\.txt holds 'Mood', which is not a variable of the challenge"),
        ("0x:10,HR,3\n", None, "'0x:10' is not a time hh:mm"),
        ("00:10,HR,fast\n", None, "cannot be read"),
        ("", "RecordID,In-hospital_death\n6,1\n", r"1 stay\(s\) have no In-hospital_death.*RecordID 5"),
        ("", "RecordID,Survival\n5,1\n", "needs the columns RecordID and In-hospital_death; it has RecordID, Survival"),
    ],
)
def test_errors(tmp_path: Path, body: str, outcomes: str | None, message: str) -> None:
    folder = folder_with(tmp_path, {5: body}, outcomes)
    with pytest.raises(ValueError, match=message):
        read_physionet2012(folder)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a PhysioNet 2012 folder"):
        read_physionet2012(tmp_path)
    folder = folder_with(tmp_path, {5: ""})
    (folder / "set-a" / "6.txt").write_text("hello\n")
    with pytest.raises(ValueError, match=r"6\.txt does not begin with the line Time,Parameter,Value"):
        read_physionet2012(folder)
    (folder / "set-a" / "6.txt").write_text(f"{HEADER}00:00,RecordID,5\n")
    with pytest.raises(ValueError, match="RecordID 5 is in 2 files"):
        read_physionet2012(folder)
    (folder / "set-a" / "6.txt").write_text(f"{HEADER}00:00,Age,50\n")
    with pytest.raises(ValueError, match=r"6\.txt has no RecordID"):
        read_physionet2012(folder)


def test_the_real_folder_equals_a_loop_over_its_lines(data_dir: Path) -> None:
    folder = data_dir / "PhysioNet2012_a1000"
    X = read_physionet2012(folder).X
    assert X.index.get_level_values("stay").nunique() == 1000
    for file in sorted((folder / "set-a").glob("*.txt"))[::37]:
        cells = defaultdict(list)
        for line in file.read_text().splitlines()[2:]:
            time, variable, value = line.split(",")
            if float(value) != -1:
                cells[int(time[:2]) + int(time[3:]) / 60, variable].append(float(value))
        stay = X.loc[int(file.stem)]
        assert stay.index.tolist() == sorted({hour for hour, _ in cells})
        assert int(stay.notna().to_numpy().sum()) == len(cells)
        for (hour, variable), values in cells.items():
            assert stay.loc[hour, variable] == pytest.approx(np.mean(values), rel=1e-12)


def test_hours_are_averaged_into_bins(data_dir: Path) -> None:
    folder = data_dir / "PhysioNet2012_a1000"
    X, hourly = read_physionet2012(folder).X, read_physionet2012(folder, resample=1.0).X
    for stay in X.index.unique("stay")[::37]:
        steps, bins = X.loc[stay], hourly.loc[stay]
        assert bins.index.tolist() == list(range(int(steps.index[-1] + 1e-9) + 1))
        raw = {
            (int(float(line[:2])), line.split(",")[1])
            for line in (folder / "set-a" / f"{stay}.txt").read_text().splitlines()[2:]
            if float(line.split(",")[2]) != -1
        }
        assert {(hour, name) for hour, name in bins.stack().dropna().index} == raw
    one = hourly.loc[132539]
    minutes = X.loc[132539, "HR"].dropna()
    assert one["HR"].dropna().tolist() == pytest.approx(
        minutes.groupby((minutes.index + 1e-9).astype(int)).mean().tolist()
    )
    with pytest.raises(ValueError, match="must be a positive number"):
        read_physionet2012(folder, resample=0.0)


def test_load_splits_by_outcome(data_dir: Path) -> None:
    data = load("physionet2012", data_dir=data_dir)
    assert data.y_train is not None and data.y_test is not None
    assert (len(data.y_train), len(data.y_test)) == (700, 300)
    assert abs(data.y_train.mean() - data.y_test.mean()) < 2 / 300
    assert data.describe() == (
        "physionet2012: 700 train / 300 test, 41 channels, length 2-188, 2 classes, 86.0 % missing"
    )
    assert data.fingerprint() == load("PhysioNet2012_a1000", data_dir=data_dir).fingerprint()
    panel = read_panel(data.X_test)
    assert panel.batch.times is not None and len(panel.batch) == 300
    assert panel.index.get_level_values(0).tolist() == data.X_test.index.get_level_values(0).unique().tolist()


def test_load_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINVIEW_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="set KINVIEW_DATA or data_dir"):
        load("physionet2012")
    with pytest.raises(FileNotFoundError, match="no folder with set-a"):
        load("physionet2012", data_dir=tmp_path)
    stays = dict.fromkeys(range(1, 9), "01:00,HR,60\n")
    folder_with(tmp_path / "one", stays)
    assert load("physionet2012", data_dir=tmp_path).name == "physionet2012"
    folder_with(tmp_path / "two", stays)
    with pytest.raises(ValueError, match=r"several folders .*\(one, two\); load one by its name"):
        load("physionet2012", data_dir=tmp_path)
    assert load("Two", data_dir=tmp_path).name == "two"
