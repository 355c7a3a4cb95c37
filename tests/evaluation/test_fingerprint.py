"""The code that a cell's key holds: all that its parts rest on, and nothing else."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kinview
from kinview.evaluation.benchmark import Benchmark, closure, source
from kinview.evaluation.benchmark.closure import Closure
from kinview.evaluation.benchmark.fingerprint import part_code, source_digest
from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.probes import probes
from kinview.methods import methods
from kinview.registry import Registry

PACKAGE = Path(kinview.__file__).parent
STEPS = "kinview.evaluation.benchmark.steps"
Source = source.Source
PARSED: dict[tuple[str, bytes], source.Source] = {}  # the tests share most files
PARTS = {"method": (methods, "simclr"), "probe": (probes, "knn"), "noise": (label_noise, "symmetric")}


def copied(folder: Path) -> Path:
    copy = folder / "kinview"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def shared_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("copy"))


@pytest.fixture
def copy(shared_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package, from which the closures of this test are read; it is as before afterwards."""
    origins = source._origins

    def read(name: str, path: Path) -> source.Source:
        known = (name, path.read_bytes())
        if known not in PARSED:
            PARSED[known] = Source(name, path)
        return PARSED[known]

    monkeypatch.setattr(source, "_origins", lambda top: [shared_copy] if top == "kinview" else origins(top))
    monkeypatch.setattr(source, "Source", read)
    before = {path: path.read_bytes() for path in shared_copy.rglob("*.py")}
    yield shared_copy
    for path in shared_copy.rglob("*.py"):
        if path not in before:
            path.unlink()
    for path, content in before.items():
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    source.read_source.cache_clear()


def codes() -> dict[str, str]:
    """Digests of the steps, a method and a probe, read anew."""
    source.read_source.cache_clear()
    found = {role: Closure() for role in ("steps", *PARTS)}
    found["steps"].add_module(STEPS)
    for role, (registry, name) in PARTS.items():
        found[role].add(registry, name)
    return {role: one.digest() for role, one in found.items()}


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{file.name} has no {old!r}"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def append(file: Path, text: str) -> None:
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")


# --- what changes no key


NEW_NAME = "if TYPE_CHECKING:\n    from kinview.losses.new import New as New\n"
DOOR = """
if TYPE_CHECKING:
    from kinview.losses import NTXent
    from kinview.losses import VICReg
"""


@pytest.mark.parametrize(
    "edit",
    [
        lambda package: append(package / "losses/nt_xent.py", "# a comment"),
        lambda package: change(package / "losses/nt_xent.py", '"""', '"""Other words. '),
        lambda package: change(package / "methods/joint_embedding/simclr.py", 'r"""SimCLR on', 'r"""Other words on'),
        lambda package: change(
            package / "methods/joint_embedding/method.py", "import itertools\n", "import itertools  # pairs\n\n"
        ),
        lambda package: append(package / "losses/vicreg.py", "UNUSED = 1"),
        lambda package: append(package / "diagnostics/online.py", "UNUSED = 1"),
        lambda package: append(package / "evaluation/probes/svm.py", "UNUSED = 1"),
        lambda package: append(package / "evaluation/benchmark/runner.py", "UNUSED = 1"),
        lambda package: append(package / "evaluation/store.py", "UNUSED = 1"),
        lambda package: append(package / "evaluation/metrics/intervals.py", "UNUSED = 1"),
        lambda package: append(package / "evaluation/metrics/ranking.py", "UNUSED = 1"),
        lambda package: append(package / "evaluation/benchmark/closure.py", "UNUSED = 1"),
        lambda package: change(
            package / "losses/__init__.py",
            "if TYPE_CHECKING:\n",
            "if TYPE_CHECKING:\n    from kinview.losses.new import New as New\n",
        ),
        lambda package: append(
            package / "losses/__init__.py", "def __getattr__(name):\n    return {'NTXent': 1}[name]"
        ),
        lambda package: append(package / "losses/__init__.py", DOOR),
        lambda package: change(package / "__init__.py", '__version__ = "', '__version__ = "9.'),
    ],
)
def test_an_edit_that_computes_nothing_changes_no_key(copy: Path, edit: Callable[[Path], None]) -> None:
    before = codes()
    edit(copy)
    assert codes() == before


def test_a_moved_file_changes_no_key(copy: Path) -> None:
    before = codes()
    place = copy / "methods" / "shared" / "views_of_methods.py"  # used by the estimators and by fine-tuning
    place.parent.mkdir()
    (place.parent / "__init__.py").write_text('"""A folder."""\n', encoding="utf-8")
    (copy / "methods" / "estimators" / "view_fitting.py").rename(place)
    for file in copy.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        moved = text.replace("kinview.methods.estimators.view_fitting", "kinview.methods.shared.views_of_methods")
        file.write_text(moved, "utf-8")
    assert codes() == before
    change(place, "y is None", "y is not None")
    assert codes() != before


def test_a_name_through_a_door_is_the_definition_behind_it(copy: Path) -> None:
    before = codes()
    method = copy / "methods" / "joint_embedding" / "method.py"
    append(copy / "losses" / "__init__.py", DOOR)
    change(method, "from kinview.losses.base import Loss", "from kinview.losses import Loss")
    assert codes() == before
    change(method, "from kinview.losses import Loss", "from kinview.losses import VICReg as Loss")
    assert codes()["method"] != before["method"]


# --- what changes a key, and which


@pytest.mark.parametrize(
    ("file", "old", "new", "roles"),
    [
        ("methods/estimators/shared_parameters.py", '"weight_decay": 1e-4', '"weight_decay": 1e-3', {"method"}),
        ("methods/joint_embedding/simclr.py", "shared.temperature(0.5,", "shared.temperature(0.4,", {"method"}),
        ("losses/_two_views.py", "", "PLANTED = 1", {"method"}),  # two imports away
        ("encoders/masked.py", "", "PLANTED = 1", {"method"}),  # of a default encoder
        ("augmentations/_splines.py", "", "PLANTED = 1", {"method"}),  # of a part of the default recipe
        ("augmentations/__init__.py", "Compose(tuple(parts))", "Compose(tuple(parts)[::-1])", {"method"}),
        ("losses/__init__.py", "", "import torch\ntorch.set_default_dtype(torch.float64)", {"method"}),
        ("training/trainer.py", "", "PLANTED = 1", {"method", "steps"}),
        ("data/splits.py", "", "PLANTED = 1", {"method", "probe", "steps"}),
        ("evaluation/probes/nearest_neighbour.py", "", "PLANTED = 1", {"probe"}),
        ("evaluation/probes/base.py", "float64", "float32", {"probe"}),
        ("data/labels.py", "", "PLANTED = 1", {"method", "noise", "probe", "steps"}),
        ("evaluation/corruptions/base.py", "", "PLANTED = 1", {"steps"}),
        ("evaluation/label_noise/base.py", "", "PLANTED = 1", {"noise", "steps"}),
        ("evaluation/label_noise/features.py", "", "PLANTED = 1", set()),
        ("evaluation/label_noise/symmetric.py", "", "PLANTED = 1", {"noise"}),
        ("evaluation/metrics/point_values.py", "", "PLANTED = 1", {"steps", "probe"}),
        ("evaluation/benchmark/steps.py", "", "PLANTED = 1", {"steps"}),
        ("datasets/archives.py", "", "PLANTED = 1", {"steps"}),
        ("datasets/named.py", "test_fraction: float = 0.3", "test_fraction: float = 0.4", {"steps"}),
    ],
)
def test_an_edit_of_code_in_use_changes_the_keys_that_rest_on_it(
    copy: Path, file: str, old: str, new: str, roles: set[str]
) -> None:
    before = codes()
    if old:
        change(copy / file, old, new)
    else:
        append(copy / file, new)
    after = codes()
    assert {role for role in before if after[role] != before[role]} == roles


def test_another_definition_under_the_same_name_is_another_code(copy: Path) -> None:
    """Neither the tree without its imports nor the set of files changes."""
    (copy / "losses" / "twins.py").write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n", "utf-8")
    append(copy / "methods" / "joint_embedding" / "method.py", "from kinview.losses.twins import one as twin")
    before = codes()
    change(copy / "methods" / "joint_embedding" / "method.py", "import one as twin", "import two as twin")
    assert codes()["method"] != before["method"]


@pytest.mark.parametrize(
    "statement",
    [
        "import kinview.losses.vicreg",
        "from kinview.losses import vicreg",
        "from ...losses import vicreg",
        "from kinview.losses.vicreg import *",
        "from kinview.losses import *",
        "from kinview.losses import made_by_getattr",
        "def late():\n    from kinview.losses import VICReg",
        "try:\n    from kinview.losses import vicreg\nexcept ImportError:\n    vicreg = None",
        "import importlib\nimportlib.import_module('kinview.losses.vicreg')",
        "from kinview.losses import losses\nlosses.build('vicreg')",
        "import kinview\nkinview.losses.vicreg.VICReg",
    ],
)
def test_every_way_to_a_module_is_followed(copy: Path, statement: str) -> None:
    append(copy / "methods" / "joint_embedding" / "method.py", statement)
    before = codes()
    append(copy / "losses" / "vicreg.py", "PLANTED = 1")
    assert codes()["method"] != before["method"]


def test_a_module_that_a_package_imports_for_what_it_does_counts(copy: Path) -> None:
    append(copy / "losses" / "__init__.py", "import kinview.losses.vicreg")
    before = codes()
    append(copy / "losses" / "vicreg.py", "PLANTED = 1")
    assert codes()["method"] != before["method"]


def test_what_is_imported_for_types_alone_does_not_count(copy: Path) -> None:
    append(
        copy / "methods" / "joint_embedding" / "method.py", "if TYPE_CHECKING:\n    from kinview.losses import VICReg"
    )
    before = codes()
    append(copy / "losses" / "vicreg.py", "PLANTED = 1")
    assert codes() == before


# --- parts by name


@pytest.mark.parametrize(
    ("config", "inside", "outside"),
    [
        ("simclr", {"augmentations.warps", "encoders.resnet1d"}, {"augmentations.filters", "methods.scarf"}),
        ({"simclr": {"augmentation": [{"low_pass": {}}, "jitter"]}}, {"augmentations.filters"}, {"methods.scarf"}),
        ({"simclr": {"augmentation": {"views": {"augmentations": ["jitter", {"band_stop": {}}]}}}},
         {"augmentations.filters", "augmentations.composition"}, {"methods.scarf"}),
        ({"random_init": {"method": {"tstcc": {}}}}, {"methods.tstcc", "encoders.tstcc_cnn"}, {"methods.tfc"}),
        ("random_init", {"methods.ts2vec", "methods.scarf", "encoders.dilated_conv"}, {"methods.tstcc"}),
        ("scarf", {"augmentations.column_corruption", "encoders.mlp"}, {"encoders.resnet1d", "methods.ts2vec"}),
        ("raw", {"methods.controls.raw", "data.panel"}, {"encoders", "losses", "methods.estimators.series"}),
    ],
)  # fmt: skip
def test_parts_are_followed_by_their_names(config: object, inside: set[str], outside: set[str]) -> None:
    found = Closure()
    found.add(methods, config)
    modules = {name.removeprefix("kinview.") for name in found.modules}
    assert inside <= modules
    assert not outside & modules


def test_a_part_of_another_package_is_followed_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = tmp_path / "plugin_for_test"
    plugin.mkdir()
    texts = {
        "__init__.py": "",
        "part.py": "from kinview.losses import losses\nfrom .inner import helper\n\n\nclass Part:\n    make = helper\n",
        "inner.py": "from plugin_for_test import constants\n\n\ndef helper():\n    return constants.VALUE\n",
        "constants.py": "VALUE = 1\n",
        "unused.py": "VALUE = 1\n",
    }
    for name, text in texts.items():
        (plugin / name).write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("parts_for_test")
    registry.register("part")(importlib.import_module("plugin_for_test.part").Part)

    def code() -> str:
        source.read_source.cache_clear()
        found = Closure()
        found.add(registry, "part")
        return found.digest()

    before = code()
    (plugin / "unused.py").write_text("VALUE = 2\n", "utf-8")
    assert code() == before
    (plugin / "constants.py").write_text("VALUE = 2\n", "utf-8")
    assert code() != before


def test_code_without_a_file_is_known_in_one_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry("parts_without_a_file")
    registry.register("part")(type("Part", (), {"__module__": "written_at_a_prompt"}))

    def code() -> str:
        found = Closure()
        found.add(registry, "part")
        return found.digest()

    before = code()
    assert code() == before
    monkeypatch.setattr(closure, "_UNREADABLE", "another process")
    assert code() != before


# --- cells


def write_data(folder: Path) -> Path:
    """A small set of series and a table."""
    random = np.random.default_rng(0)
    (folder / "Toy").mkdir()
    (folder / "table").mkdir()
    labels = np.repeat([1, 2], 8)
    for part in ("TRAIN", "TEST"):
        values = random.normal(size=(16, 12)) + labels[:, None]
        frame = pd.DataFrame(np.column_stack([labels, values]))
        frame.to_csv(folder / "Toy" / f"Toy_{part}.tsv", sep="\t", header=False, index=False)
    table = pd.DataFrame(random.normal(size=(32, 3)), columns=list("abc")).assign(y=np.repeat(["ill", "well"], 16))
    table.to_csv(folder / "table" / "table.csv", index=False)
    return folder


def test_a_step_is_keyed_by_the_code_that_it_runs() -> None:
    benchmark = Benchmark(
        "b", ["wine"], ["raw"], ["mcar"], [0.2], label_noise=["symmetric"], label_noise_rates=[0.2],
        pretrain_on="clean", controls="none", probes=["knn", "svm"],
    )  # fmt: skip
    cells = benchmark.cells()
    assert len({cell.pretrain_key for cell in cells}) == 1
    assert all(cell.code["method"] == part_code(methods, "raw") for cell in cells)
    clean, corrupted = (next(c for c in cells if bool(c.corruption) == wanted) for wanted in (False, True))
    assert set(clean.code) == {"steps", "dataset", "method", "probe"}
    assert set(corrupted.code) == {*clean.code, "corruption"}

    def with_other(cell, role):
        return dataclasses.replace(cell, code={**cell.code, role: "0"})

    for role in ("steps", "dataset", "method"):
        assert with_other(clean, role).pretrain_key != clean.pretrain_key
    assert with_other(corrupted, "corruption").pretrain_key == corrupted.pretrain_key
    assert with_other(corrupted, "corruption").embed_key("test") != corrupted.embed_key("test")
    assert with_other(corrupted, "probe").embed_key("test") == corrupted.embed_key("test")
    on_corrupted = dataclasses.replace(corrupted, pretrain_on="corrupted")
    assert with_other(on_corrupted, "corruption").pretrain_key != on_corrupted.pretrain_key
    assert all(with_other(corrupted, role).key != corrupted.key for role in corrupted.code)


def test_the_digest_of_the_whole_library_sees_every_byte(copy: Path) -> None:
    before = source_digest(copy)
    assert before == source_digest()
    append(copy / "losses" / "vicreg.py", "# a comment")
    source_digest.cache_clear()
    assert source_digest(copy) != before


CODE_OF_CELLS = """
import json, sys
from pathlib import Path
from kinview import registry
from kinview.evaluation.benchmark import Benchmark, fingerprint

def code():
    fingerprint._part_code.cache_clear()
    registry._read_recipe.cache_clear()
    cells = Benchmark("b", ["italy_power_demand"], ["simclr"], ["mcar"], [0.2], controls="none", probes=["knn"]).cells()
    return cells[-1].code

recipe = Path(fingerprint.__file__).parents[2] / "configs" / "augmentation" / "simclr_har.yaml"
before, text = code(), recipe.read_text(encoding="utf-8")
recipe.write_text(f"# a comment\\n{text}", encoding="utf-8")
commented = code()
recipe.write_text(text.replace("jitter: {sigma: 0.05}", "jitter: {sigma: 0.06}"), encoding="utf-8")
print(json.dumps([before, commented, code()]))
"""


@pytest.mark.slow
def test_new_and_moved_parts_change_no_key_and_a_recipe_changes_its_own(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    text = (copy / "losses" / "vicreg.py").read_text(encoding="utf-8")
    (copy / "losses" / "new.py").write_text(text.replace('register("vicreg"', 'register("new_loss"'), "utf-8")
    change(
        copy / "losses" / "__init__.py",
        "if TYPE_CHECKING:\n",
        "if TYPE_CHECKING:\n    from kinview.losses.new import New as New\n",
    )
    (copy / "configs" / "augmentation" / "new_recipe.yaml").write_text("jitter: {sigma: 1.0}\n", "utf-8")
    (copy / "evaluation" / "probes" / "nearest_neighbour.py").rename(copy / "evaluation" / "probes" / "knn.py")
    change(copy / "evaluation" / "probes" / "__init__.py", "probes.nearest_neighbour", "probes.knn")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", CODE_OF_CELLS], env=environment, capture_output=True, check=True)
    there, commented, changed = json.loads(done.stdout)
    cells = Benchmark("b", ["italy_power_demand"], ["simclr"], ["mcar"], [0.2], controls="none", probes=["knn"]).cells()
    assert there == commented == cells[-1].code
    assert {role for role in there if changed[role] != there[role]} == {"method"}


EXECUTED = """
import importlib, pkgutil, sys, tempfile, types, warnings
from pathlib import Path
from sklearn.dummy import DummyClassifier
import kinview

for module in pkgutil.walk_packages(kinview.__path__, "kinview."):
    importlib.import_module(module.name)  # what runs at import is not what a cell runs
from kinview.datasets import datasets
from kinview.evaluation.benchmark import steps
from kinview.evaluation.benchmark import Benchmark, closure, source
from kinview.evaluation.benchmark.closure import Closure
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.probes import probes
from kinview.methods import methods
from kinview.registry import families

for registry in families().values():
    list(registry)
of_module = {module.__file__: name for name, module in sys.modules.items() if name.split(".")[0] == "kinview"}
trainer = {"trainer": {"max_steps": 2, "batch_size": 16}}
controls = [name for name in methods if methods[name].target.control]
learns = [name for name in methods if name not in controls and methods.build(name).min_channels == 1]
trained = [{name: trainer} for name in learns if "recipe" not in methods[name].metadata]
recipes = [{name: trainer} for name in learns if "recipe" in methods[name].metadata]
controls += [{"random_init": {"method": "simclr"}}, {"supervised": {"method": "tstcc"}}]
class StandIn(DummyClassifier):
    def __init__(self, **given):
        super().__init__()

for library, kind in (("tabpfn", "TabPFNClassifier"), ("tabicl", "TabICLClassifier")):  # which are not installed
    sys.modules[library] = types.ModuleType(library)
    setattr(sys.modules[library], kind, StandIn)
given = {"finetune": trainer} | dict.fromkeys(("tabpfn", "tabicl"), {"download": True, "max_features": 10**6})
chosen_probes = [{name: given[name]} if name in given else name for name in probes]
benchmark = Benchmark(
    "executed", ["toy", "table"], [*controls, *trained], ["mcar"], [0.2], label_noise=["symmetric"],
    label_noise_rates=[0.2], label_fractions=[0.9], crossed=True, probes=chosen_probes, data_dir=sys.argv[1],
)
chosen = Benchmark(  # probes do not depend on which parts a recipe chooses
    "chosen", ["toy", "table"], recipes, ["mcar"], [0.2], label_noise=["symmetric"], label_noise_rates=[0.2],
    label_fractions=[0.9], crossed=True, probes=["knn"], controls="none", data_dir=sys.argv[1],
)
noises = {"class_conditional": {"matrix": [[0.5, 0.5], [0.5, 0.5]]}, "instance_dependent": {"form": "boundary"}}
noisy = Benchmark(
    "noisy", ["toy", "table"], ["raw"], ["mcar"], [0.2], probes=["knn"], controls="none", data_dir=sys.argv[1],
    label_noise=[{name: noises.get(name, {})} for name in label_noise], label_noise_rates=[0.2], label_fractions=[0.9],
    crossed=True,
)
cells = [*benchmark.cells(), *chosen.cells(), *noisy.cells()]
hardest = [cell for cell in cells if cell.corruption and cell.label_noise and cell.label_fraction < 1]
warnings.simplefilter("ignore")
for cell in hardest:
    called, rows = set(), []
    steps.load_dataset.cache_clear()
    with tempfile.TemporaryDirectory() as folder:
        sys.setprofile(lambda frame, event, _: called.add(frame.f_code.co_filename) if event == "call" else None)
        try:
            steps.run_chain([cell], data_dir=sys.argv[1], cache=Path(folder), report=lambda _, row: rows.append(row))
        finally:
            sys.setprofile(None)
    closure = Closure()
    closure.add_module(steps.__name__)
    parts = {methods: cell.method, probes: cell.probe, corruptions: cell.corruption, label_noise: cell.label_noise}
    for registry, config in parts.items():
        closure.add(registry, config)
    executed = {of_module[file] for file in called if file in of_module}
    print(cell.method, cell.probe, rows[0]["status"], len(executed), sorted(executed - closure.modules), sep=" | ")
"""


@pytest.mark.slow
def test_whatever_a_cell_executes_is_in_its_closure(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EXECUTED, str(write_data(tmp_path))]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [line.split(" | ") for line in lines]
    assert len(found) > 40
    for method, probe, status, executed, missing in found:
        assert (status, missing) == ("ok", "[]"), (method, probe)
        assert int(executed) > 20
