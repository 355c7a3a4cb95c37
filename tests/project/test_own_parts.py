"""Files with parts of one's own: named before they run, carried to workers, in the hash, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import kinview
import kinview.configs
from helpers import python
from kinview import own_parts
from kinview._cli.study import named_study
from kinview.cli import main
from kinview.configs import read_config
from kinview.evaluation import Benchmark, Store
from kinview.evaluation.benchmark import fingerprint
from kinview.files import dump_tensors, parse_tensors
from kinview.methods import SCARF, PCAFeatures
from kinview.own_parts import OwnParts, import_parts, imported_parts, parts_of_study, refuse_imports
from kinview.training.checkpoint import CHECKPOINT_NAME, stored_identity

REFUSED = "is refused: it asks to import files"
METHOD = """
from kinview import PCAFeatures
from kinview.methods import methods
from kinview.parameters import parameterised


@methods.register("halved", modality="any")
@parameterised
class Halved(PCAFeatures):
    'Principal components halved.'

    FACTOR = 0.5

    def transform(self, X, *args, **given):
        return self.FACTOR * super().transform(X, *args, **given)
"""


def cli(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kinview.cli", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def planted(folder: Path, name: str = "planted.py") -> Path:
    """A file that says that it has run by another file."""
    file = folder / name
    file.write_text(f"from pathlib import Path\nPath({str(folder / 'ran')!r}).write_text('yes')\n")
    return file


@pytest.fixture(autouse=True)
def forget_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a test imports are its own: a benchmark of a later test would have its workers import them too."""
    monkeypatch.setattr(own_parts, "_IMPORTED", {})


# --- a file that is named ---------------------------------------------------------------------------------------------


def test_a_file_runs_once_and_is_told_before_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "own_of_this_test.py"
    log = tmp_path / "log"
    file.write_text(f"with open({str(log)!r}, 'a') as log:\n    log.write('ran;')\n")
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        assert not log.exists()

    found = import_parts(file, announce=tell)
    assert import_parts(file) == found and log.read_text() == "ran;" and found in imported_parts()
    assert told == [f"imports {file} (sha256 {found.digest[:16]})"]
    with pytest.raises(ValueError, match="is not the file any more that was imported first"):
        import_parts(file, digest="0" * 64)
    file.write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"was imported from .* with other content; start a new process"):
        import_parts(file)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("json.py", "", "has the name of a module that is there already"),
        ("setuptools.py", "", "has the name of a module that is there already"),
        ("my-parts.py", "", r"it must be called NAME\.py"),
        ("parts.txt", "", r"it must be called NAME\.py"),
        ("fails_on_import.py", "raise KeyError('x')", "cannot be imported: KeyError: 'x'"),
        ("no_syntax_here.py", "def", "cannot be imported: SyntaxError"),
    ],
)
def test_what_cannot_be_a_module_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    known = sys.modules.get(file.stem)
    with pytest.raises(ValueError, match=message):
        import_parts(file)
    assert sys.modules.get(file.stem) is known
    with pytest.raises(FileNotFoundError, match=r"there is no file .* with parts to import"):
        import_parts(tmp_path / "absent.py")


def test_the_code_of_a_part_from_a_file_holds_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    code = fingerprint._part_code.__wrapped__
    before = {name: code("losses", f'"{name}"') for name in ("nt_xent", "vicreg")}
    found = []
    for digest in ("a", "b"):
        own = OwnParts("kinview.losses.nt_xent", "nt_xent.py", digest)
        monkeypatch.setattr(fingerprint, "imported_parts", lambda own=own: (own,))
        found.append({name: code("losses", f'"{name}"') for name in before})
    assert len({before["nt_xent"], *(one["nt_xent"] for one in found)}) == 3
    assert {before["vicreg"]} == {one["vicreg"] for one in found}


@pytest.mark.slow
def test_parts_reach_the_command_line_workers_and_the_hash(tmp_path: Path) -> None:
    (tmp_path / "my_parts.py").write_text(METHOD)
    (tmp_path / "study.yaml").write_text(
        "name: own\nimports: [my_parts.py]\ndatasets: [iris]\nmethods: [halved, raw]\nprobes: [linear]\n"
        "controls: none\nworkers: 2\n"
    )
    first = cli(tmp_path, "bench", "study.yaml", "--output_dir", "out")
    assert first.returncode == 0, first.stderr
    named = first.stderr.index(f"kinview: study.yaml imports {tmp_path.resolve() / 'my_parts.py'} (sha256 ")
    assert named < first.stderr.index("2 cells, 0 of them in the store")
    assert "2 ok" in first.stderr
    for words in (["bench", "study.yaml"], ["--import", "my_parts.py", "bench", "--config", "plain.yaml"]):
        (tmp_path / "plain.yaml").write_text(
            (tmp_path / "study.yaml").read_text().replace("imports: [my_parts.py]\n", "")
        )
        again = cli(tmp_path, *words, "--output_dir", "out")
        assert "2 cells, 2 of them in the store" in again.stderr, again.stderr
    (tmp_path / "my_parts.py").write_text(METHOD.replace("0.5", "0.25"))
    changed = cli(tmp_path, "bench", "study.yaml", "--output_dir", "out")
    assert "2 cells, 1 of them in the store" in changed.stderr, changed.stderr  # the raw one
    listed = cli(tmp_path, "list", "methods", "--import=my_parts.py")
    assert "halved" in listed.stdout and "imports my_parts.py" in listed.stderr
    without = cli(tmp_path, "bench", "--config", "plain.yaml", "--output_dir", "out")
    assert without.returncode == 2 and "unknown method 'halved'" in without.stderr


@pytest.mark.slow
def test_a_file_that_changes_while_a_benchmark_runs_fails_its_cells(tmp_path: Path) -> None:
    (tmp_path / "my_parts.py").write_text(METHOD)
    code = f"""
import dataclasses, pickle, sys
from pathlib import Path
import kinview
from kinview.evaluation import Benchmark
from kinview.evaluation.benchmark.steps import run_chain
kinview.import_parts({str(tmp_path / "my_parts.py")!r})
cells = Benchmark("own", ["iris"], ["halved"], controls="none", probes=["linear"], seeds=[0]).cells()
[cell.key for cell in cells]
Path("cells").write_bytes(pickle.dumps(cells))
"""
    assert python(code, cwd=tmp_path).returncode == 0
    (tmp_path / "my_parts.py").write_text(METHOD.replace("0.5", "2"))
    code = """
import pickle
from pathlib import Path
from kinview.evaluation.benchmark.steps import run_chain
cells = pickle.loads(Path("cells").read_bytes())
run_chain(cells, data_dir=None, cache=Path("cache"), report=lambda cell, row: print(row["status"], row["message"]))
"""
    done = python(code, cwd=tmp_path)
    assert "failed" in done.stdout and "is not the file any more that was imported first" in done.stdout, done.stderr


# --- study files ------------------------------------------------------------------------------------------------------


def study(folder: Path, imports: str) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / "study.yaml"
    file.write_text(f"name: s\nimports: {imports}\ndatasets: [iris]\nmethods: [raw]\n")
    return file


@pytest.mark.parametrize("way", ["parent", "absolute", "link", "folder link", "of text", "of numbers"])
def test_a_study_never_leaves_its_folder(tmp_path: Path, way: str) -> None:
    outside = planted(tmp_path)
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "inside.py").symlink_to(outside)
    (folder / "inner").symlink_to(tmp_path, target_is_directory=True)
    given: Any = {
        "parent": ["../planted.py"], "absolute": [str(outside)], "link": ["inside.py"],
        "folder link": ["inner/planted.py"], "of text": "planted.py", "of numbers": [1],
    }[way]  # fmt: skip
    message = "imports must be a list" if way.startswith("of") else "which is outside of its folder"
    file = study(folder, json.dumps(given))
    with pytest.raises(ValueError, match=message):
        parts_of_study(given, file)
    refused = main(["bench", str(file), "--output_dir", str(tmp_path / "out")])
    assert refused == 2 and not (tmp_path / "ran").exists()


def test_files_of_a_study_are_found_beside_it(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    file = study(tmp_path, "[a.py]")
    assert parts_of_study(["a.py", "inner/b.py"], file) == [tmp_path / "a.py", tmp_path / "inner" / "b.py"]


def test_what_came_from_a_hub_or_with_the_package_imports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    cached = study(tmp_path / "hub" / "models--x" / "snapshots", "[planted.py]")
    planted(cached.parent)
    monkeypatch.setattr(kinview.configs, "_folder", lambda family: tmp_path / "packaged")
    packaged = study(tmp_path / "packaged", "[planted.py]")
    planted(packaged.parent)
    for name, message in ((str(cached), "came from a hub"), ("study", REFUSED), (str(packaged), REFUSED)):
        with pytest.raises(ValueError, match=message):
            named_study(name)
    with pytest.raises(ValueError, match="came with kinview"):
        parts_of_study(["a.py"], Path(kinview.__file__).parent / "configs" / "benchmark" / "x.yaml")
    assert not list(tmp_path.rglob("ran"))


def test_a_file_that_is_only_loaded_imports_nothing(tmp_path: Path) -> None:
    planted(tmp_path)
    file = study(tmp_path, "[planted.py]")
    with pytest.raises(ValueError, match=REFUSED):
        Benchmark.from_yaml(file)
    with pytest.raises(ValueError, match=REFUSED):
        read_config("augmentation", str(file))
    with pytest.raises(ValueError, match=REFUSED):
        refuse_imports([{"a": ({"imports": []},)}], "x")
    assert not (tmp_path / "ran").exists()


# --- planted in what others may have written -------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["metadata", "parameters", "fitted"])
def test_model_files_import_nothing(tmp_path: Path, place: str) -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    file = tmp_path / "model.safetensors"
    PCAFeatures(repr_dim=2).fit(X).save(file)
    tensors, metadata = parse_tensors(file.read_bytes(), "x")
    own = [str(planted(tmp_path))]
    if place == "metadata":
        metadata["imports"] = json.dumps(own)
    else:
        metadata[place] = json.dumps({**json.loads(metadata[place]), "imports": own})
    file.write_bytes(dump_tensors(tensors, metadata))
    with pytest.raises(ValueError, match=REFUSED):
        kinview.load_model(file)
    assert not (tmp_path / "ran").exists()


def test_checkpoints_import_nothing(tmp_path: Path) -> None:
    trainer = {"max_steps": 2, "checkpoint_dir": str(tmp_path), "checkpoint_every": 1, "batch_size": 8}
    X = np.random.default_rng(0).normal(size=(20, 3))
    SCARF(trainer=trainer).fit(X)
    file = tmp_path / CHECKPOINT_NAME
    tensors, metadata = parse_tensors(file.read_bytes(), "x")
    metadata["identity"] = json.dumps({**json.loads(metadata["identity"]), "imports": [str(planted(tmp_path))]})
    file.write_bytes(dump_tensors(tensors, metadata))
    with pytest.raises(ValueError, match=REFUSED):
        stored_identity(file)
    with pytest.raises(ValueError, match=REFUSED):
        SCARF(trainer={**trainer, "resume": "auto"}).fit(X)
    assert not (tmp_path / "ran").exists()


def test_stores_import_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/results.db"
    plan = Benchmark("b", ["iris"], ["raw"], controls="none", probes=["linear"], seeds=[0])
    from kinview.evaluation.benchmark.runner import run

    run(plan, url, cache_dir=tmp_path / "cache", progress=False)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        spec = json.loads(connection.execute(sa.text("select spec from cells")).scalar_one())
        spec["method"] = {"raw": {"imports": [str(planted(tmp_path))]}}
        connection.execute(sa.text("update cells set spec = :spec"), {"spec": json.dumps(spec)})
    engine.dispose()
    with pytest.raises(ValueError, match=REFUSED):
        Store(url, create=False).frame()
    assert main(["report", "--store", url, "--output", str(tmp_path / "r.html")]) == 2
    assert not (tmp_path / "ran").exists()
