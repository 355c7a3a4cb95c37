"""Folders as people have them: links out of them, an archive one folder too deep, recordings in sub-folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kinview
from kinview import cli
from kinview.datasets import load_path, read_path, read_physionet2012, read_wfdb
from test_physionet2012 import folder_with
from test_wfdb import record

UCR = "1\t0.5\t0.7\n2\t0.1\t0.2\n"

AGES = "age,sick\n" + "".join(f"{i * 7 % 10},{i % 2}\n" for i in range(10))


def archive(folder: Path, name: str = "Demo") -> Path:
    folder.mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        (folder / f"{name}_{part}.tsv").write_text(UCR)
    return folder


# --- one folder too deep


def test_an_archive_unpacked_one_folder_too_deep_is_found(tmp_path: Path) -> None:
    archive(tmp_path / "Demo" / "Demo")
    (tmp_path / "Demo" / "__MACOSX").mkdir()
    (tmp_path / "Demo" / "README").write_text("unpacked twice")
    for data in (kinview.load("demo", data_dir=tmp_path), load_path(tmp_path / "Demo")):
        assert data.describe().startswith("Demo: 2 train / 2 test, 1 channel, length 2")


def test_a_whole_archive_in_a_folder_of_its_own_is_found(tmp_path: Path) -> None:
    archive(tmp_path / "UCRArchive_2018" / "Demo")
    archive(tmp_path / "UCRArchive_2018" / "Other", "Other")
    (tmp_path / "lost").mkdir()
    assert len(kinview.load("demo", data_dir=tmp_path).X_train) == 2
    with pytest.raises(ValueError, match="unknown data set 'dem'"):
        kinview.load("dem", data_dir=tmp_path)
    archive(tmp_path / "second" / "Demo")
    with pytest.raises(ValueError, match=r"'Demo' could be any of UCRArchive_2018.Demo, second.Demo"):
        kinview.load("Demo", data_dir=tmp_path)


def test_one_table_or_one_stay_too_deep_is_found(tmp_path: Path) -> None:
    (tmp_path / "table" / "inner").mkdir(parents=True)
    (tmp_path / "table" / "inner" / "a.csv").write_text(AGES)
    assert load_path(tmp_path / "table").describe().startswith("table: 7 train / 3 test")
    folder_with(tmp_path / "icu" / "inner", dict.fromkeys(range(1, 9), "01:00,HR,60\n"))
    assert load_path(tmp_path / "icu").name == "icu"


def test_two_data_sets_in_a_folder_are_not_guessed(tmp_path: Path) -> None:
    archive(tmp_path / "both" / "A", "A")
    archive(tmp_path / "both" / "B", "B")
    with pytest.raises(ValueError, match=r"both has no known layout.*found A, B"):
        load_path(tmp_path / "both")


# --- recordings in sub-folders


def test_recordings_in_sub_folders_are_read_with_the_path_to_them(tmp_path: Path) -> None:
    for person in ("p1", "p2"):
        (tmp_path / "set" / person).mkdir(parents=True)
        for name in ("a", "b"):
            record(tmp_path / "set" / person, np.arange(40)[None], name, rate="10")
    read = read_wfdb(tmp_path / "set", seconds=4.0)
    assert read.groups is not None
    assert read.groups.tolist() == ["p1/a", "p1/b", "p2/a", "p2/b"]
    assert kinview.load("set", data_dir=tmp_path, seconds=1.0).X_train.shape[1:] == (1, 10)
    record(tmp_path / "set", np.arange(40)[None], "top", rate="10")
    with pytest.warns(UserWarning, match=r"4 record\(s\) in sub-folders of .*set are left out.*: p1, p2\. Give a sub"):
        read = read_wfdb(tmp_path / "set", seconds=4.0)
    assert read.groups is not None
    assert read.groups.tolist() == ["top"]


def test_a_header_needs_neither_number_nor_rate(tmp_path: Path) -> None:
    samples = np.arange(20).reshape(2, 10)
    for format in ("16", "212"):
        header = record(tmp_path, samples, format=format, gain="1(0)")
        good, text = read_wfdb(header, seconds=None).X, header.read_text()
        for first in ("r 2 100", "r 2 100 0", "r 2", "r 2 100/50(3)"):
            header.write_text(text.replace("r 2 100 10", first))
            np.testing.assert_array_equal(read_wfdb(header, seconds=None).X, good)
        header.write_text(text.replace("r 2 100 10", "r 2"))
        assert len(read_wfdb(header, seconds=4 / 250).X) == 2  # 250 Hz where nothing is said
        content = (tmp_path / "r.dat").read_bytes()
        (tmp_path / "r.dat").write_bytes(content[:-1])
        with pytest.raises(
            ValueError, match=rf"r\.dat has {len(content) - 1} bytes, which are no whole number of steps"
        ):
            read_wfdb(header, seconds=None)
        (tmp_path / "r.dat").write_bytes(b"")
        with pytest.raises(ValueError, match=r"r\.dat has 0 bytes"):
            read_wfdb(header, seconds=None)


def test_an_odd_number_of_samples_may_be_filled_to_three_bytes(tmp_path: Path) -> None:
    header = record(tmp_path, np.arange(15).reshape(3, 5), gain="1(0)")
    good = read_wfdb(header, seconds=None).X
    header.write_text(header.read_text().replace("r 3 100 5", "r 3 100"))
    (tmp_path / "r.dat").write_bytes((tmp_path / "r.dat").read_bytes() + b"\0")
    np.testing.assert_array_equal(read_wfdb(header, seconds=None).X, good)


def test_files_of_different_length_need_a_number(tmp_path: Path) -> None:
    (tmp_path / "r.hea").write_text("r 2 100\na.dat 16 1(0)\nb.dat 16 1(0)\n")
    (tmp_path / "a.dat").write_bytes(b"\0" * 4)
    (tmp_path / "b.dat").write_bytes(b"\0" * 6)
    with pytest.raises(ValueError, match=r"r\.hea has no number of samples, .* 2 in a\.dat, 3 in b\.dat"):
        read_wfdb(tmp_path, seconds=None)


# --- links


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder beside the data folder, with something of everything."""
    folder = archive(tmp_path / "elsewhere")
    record(folder, np.arange(40)[None], "r", rate="10")
    (folder / "7.txt").write_text("Time,Parameter,Value\n00:00,RecordID,7\n")
    (folder / "t.csv").write_text(AGES)
    return folder


REFUSED = r"is a link that leaves .*: it leads to .*elsewhere.*allow it by follow_links=True"


def test_links_out_of_a_data_folder_are_refused_unless_allowed(tmp_path: Path, elsewhere: Path) -> None:
    root = tmp_path / "data"
    for name, links in {
        "Demo": ["Demo_TRAIN.tsv", "Demo_TEST.tsv"],
        "Table": ["t.csv"],
        "Heart": ["r.hea", "r.dat"],
    }.items():
        (root / name).mkdir(parents=True)
        for link in links:
            (root / name / link).symlink_to(elsewhere / link)
        options = {"seconds": 1.0} if name == "Heart" else {}
        with pytest.raises(ValueError, match=REFUSED) as refused:
            kinview.load(name, data_dir=root, **options)
        assert links[0] in str(refused.value) or links[-1] in str(refused.value)
        assert len(kinview.load(name, data_dir=root, follow_links=True, **options).X_train) > 0
        with pytest.raises(ValueError, match=REFUSED):
            load_path(root / name, **options)
        assert len(load_path(root / name, follow_links=True, **options).X_train) > 0


def test_a_linked_data_set_is_refused_by_name_and_read_by_path(tmp_path: Path, elsewhere: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (elsewhere / "r.hea").unlink()
    (elsewhere / "t.csv").unlink()
    (root / "Demo").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ValueError, match=REFUSED):
        kinview.load("Demo", data_dir=root)
    assert len(kinview.load("Demo", data_dir=root, follow_links=True).X_train) == 2
    assert len(load_path(root / "Demo").X_train) == 2  # who names the link means where it leads
    (root / "Same").symlink_to(archive(root / "Inside"), target_is_directory=True)
    assert len(kinview.load("Same", data_dir=root).X_train) == 2


def test_a_linked_challenge_is_refused_by_its_registered_name_too(tmp_path: Path, elsewhere: Path) -> None:
    stays = dict.fromkeys((6, 7, 8, 9), "01:00,HR,60\n")
    outcomes = "RecordID,In-hospital_death\n6,0\n7,1\n8,0\n9,1\n"
    folder_with(elsewhere / "icu", stays, outcomes)
    root = tmp_path / "data"
    root.mkdir()
    (root / "icu").symlink_to(elsewhere / "icu", target_is_directory=True)
    with pytest.raises(ValueError, match=REFUSED):
        kinview.load("physionet2012", data_dir=root)
    options: dict[str, Any] = {"data_dir": root, "test_fraction": 0.5}
    assert len(kinview.load("physionet2012", follow_links=True, **options).y_train) == 2
    (tmp_path / "linked").symlink_to(
        elsewhere / "icu", target_is_directory=True
    )  # who names the link means where it leads
    assert len(kinview.load("physionet2012", data_dir=tmp_path / "linked", test_fraction=0.5).y_train) == 2
    (elsewhere / "icu" / "set-a" / "9.txt").rename(elsewhere / "9.txt")
    (elsewhere / "icu" / "set-a" / "9.txt").symlink_to(elsewhere / "9.txt")
    with pytest.raises(ValueError, match=rf"9\.txt {REFUSED}"):
        kinview.load("physionet2012", data_dir=elsewhere / "icu")


def test_a_link_among_recordings_is_refused_unless_allowed(tmp_path: Path, elsewhere: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    record(folder, np.arange(40)[None], "a", rate="10")
    (folder / "a.dat").unlink()
    (folder / "a.dat").symlink_to(elsewhere / "r.dat")
    for path in (folder, folder / "a.hea"):
        with pytest.raises(ValueError, match=rf"a\.dat {REFUSED}"):
            read_wfdb(path, seconds=None)
        assert read_wfdb(path, seconds=None, follow_links=True).X.shape == (1, 1, 40)
    (folder / "a.hea").unlink()
    (folder / "p1").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ValueError, match=rf"p1 {REFUSED}"):
        read_wfdb(folder, seconds=None)
    (elsewhere / "round").symlink_to(folder, target_is_directory=True)  # a link that leads back
    read = read_path(folder, "wfdb", seconds=None, follow_links=True)
    assert read.groups is not None
    assert read.groups.tolist() == ["p1/r"]


def test_a_linked_stay_is_refused_unless_allowed(tmp_path: Path, elsewhere: Path) -> None:
    folder = folder_with(tmp_path / "icu", {6: "01:00,HR,60\n"}, "RecordID,In-hospital_death\n6,0\n7,1\n")
    (folder / "set-a" / "7.txt").symlink_to(elsewhere / "7.txt")
    with pytest.raises(ValueError, match=rf"7\.txt {REFUSED}"):
        read_physionet2012(folder)
    assert len(read_physionet2012(folder, follow_links=True)) == 2
    (folder / "set-a").rename(elsewhere / "set-a")
    (folder / "set-a").symlink_to(elsewhere / "set-a", target_is_directory=True)
    with pytest.raises(ValueError, match=rf"set-a {REFUSED}"):
        load_path(folder)


def test_links_are_allowed_on_the_command_line(
    tmp_path: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "Table"
    folder.mkdir()
    (folder / "t.csv").symlink_to(elsewhere / "t.csv")
    words = ["pretrain", "--data", str(folder), "--method", "raw", "--output", str(tmp_path / "m.safetensors")]
    assert cli.main(words) == 2
    assert "(command line: --reader_options.follow_links true)" in capsys.readouterr().err
    assert cli.main([*words, "--reader_options.follow_links", "true"]) == 0
