"""Study files: data sets under names of one's own, with paths that are those of the file's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import kinview
from kinview.cli import main
from kinview.evaluation import Benchmark, Store
from kinview.yaml_text import write_yaml

ROWS = "".join(
    f"p{i // 2},{i},{t},{60 + 9 * (i % 2) + (i * t) % 5},{'fm'[i % 3 > 0]},{20 + i},{i % 2}\n"
    for i in range(24)
    for t in range(4)
)
LONG = "patient,recording,hour,hr,sex,age,died\n" + ROWS
OPTIONS: dict[str, Any] = {
    "path": "data/export.csv", "format": "long", "id": ["patient", "recording"], "group": "patient", "time": "hour",
    "label": "died", "static": ["sex", "age"], "duplicates": "mean", "na_values": ["n.d."],
}  # fmt: skip


def study(folder: Path, **changes: Any) -> Path:
    """A study file beside a folder of data."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "export.csv").write_text(LONG)
    config = {
        "name": "mine", "datasets": [{"vitals": OPTIONS}], "methods": ["raw"], "controls": "none", "probes": ["linear"],
    }  # fmt: skip
    file = folder / "study.yaml"
    file.write_text(write_yaml({**config, **changes}))
    return file


def results(folder: Path) -> list[tuple[str, str, float]]:
    frame = Store(f"sqlite:///{folder}/results.db", create=False).frame()
    return list(zip(frame["dataset"], frame["hash"], frame["accuracy"], strict=True))


def test_a_path_is_that_of_the_file_and_works_alike_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = study(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # where no data lie
    ways = [[str(file)], ["--config", str(file)]]
    for number, words in enumerate(ways):
        assert main(["bench", *words, "--output_dir", f"out{number}"]) == 0
    monkeypatch.chdir(tmp_path)
    given = ["--datasets", json.dumps([{"vitals": OPTIONS}]), "--methods", "raw", "--probes", "linear"]
    assert main(["bench", *given, "--controls", "none", "--output_dir", "out2"]) == 0
    found = [
        results(folder)
        for folder in (tmp_path / "elsewhere" / "out0", tmp_path / "elsewhere" / "out1", tmp_path / "out2")
    ]
    assert found[0] == found[1] == found[2] and found[0][0][0] == "vitals"
    (cell,) = Benchmark.from_yaml(file).cells()
    assert cell.key == found[0][0][1]
    assert cell.fingerprint == kinview.load("vitals", **OPTIONS).fingerprint()


def test_two_specs_of_one_name_are_refused(tmp_path: Path) -> None:
    for other in ("vitals", "Vitals"):
        file = study(tmp_path, datasets=[{"vitals": OPTIONS}, {other: {**OPTIONS, "label": "sex"}}])
        with pytest.raises(ValueError, match="datasets must be different names, because results go by them"):
            Benchmark.from_yaml(file)


def test_a_name_of_a_bundled_set_is_refused(tmp_path: Path) -> None:
    file = study(tmp_path, datasets=[{"iris": OPTIONS}])
    with pytest.raises(ValueError, match="'iris' is a data set of kinview"):
        Benchmark.from_yaml(file).cells()
