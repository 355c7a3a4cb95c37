"""Public names come through the packages, whatever has been imported before."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pickle
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from helpers import SOURCE, python
from kinview.exports import LazyPackage
from kinview.registry import Registry

PACKAGES = (
    "kinview", "kinview.augmentations", "kinview.data", "kinview.datasets", "kinview.diagnostics", "kinview.encoders",
    "kinview.evaluation", "kinview.explanations", "kinview.losses", "kinview.methods", "kinview.methods.estimators",
    "kinview.modules", "kinview.testing", "kinview.training",
)  # fmt: skip
# which packages offer the classes of a family
FAMILIES = {
    "augmentations": "kinview.augmentations",
    "callbacks": "kinview.training kinview.diagnostics",
    "classifiers": "kinview.methods",
    "corruptions": "kinview.evaluation",
    "encoders": "kinview.encoders",
    "explainers": "kinview.explanations",
    "heads": "kinview.modules",
    "label_noise": "kinview.evaluation",
    "losses": "kinview.losses",
    "methods": "kinview.methods",
    "probes": "kinview.evaluation",
}


def registries() -> dict[str, Registry]:
    return {
        registry.family: registry
        for package in (*PACKAGES, *(f"kinview.evaluation.{name}" for name in ("corruptions", "label_noise", "probes")))
        for registry in vars(importlib.import_module(package)).values()
        if isinstance(registry, Registry)
    } | {"callbacks": importlib.import_module("kinview.training").callbacks}


def public_names(package: str) -> list[str]:
    return [name for name in dir(importlib.import_module(package)) if not name.startswith("_")]


def all_public_names() -> list[tuple[str, str]]:
    return [(package, name) for package in PACKAGES for name in public_names(package)]


def test_the_names_that_people_write_are_there() -> None:
    wanted = {
        "kinview": "TS2Vec TSTCC TFC SimCLR TabularSimCLR SCARF FineTunedClassifier Trainer Batch load load_model",
        "kinview.losses": "NTXent nt_xent InfoNCE VICReg Loss",
        "kinview.augmentations": "Jitter Compose Augmentation augmentations",
        "kinview.encoders": "ResNet1d DilatedConvEncoder MLPEncoder encoders",
        "kinview.methods": "TS2Vec SimCLR RawFeatures methods classifiers load_model",
        "kinview.evaluation": "Benchmark Store corrupt evaluate run Linear XGBoost MCAR SymmetricNoise",
        "kinview.training": "Trainer Method Callback callbacks",
        "kinview.data": "Batch TableSchema read_panel",
        "kinview.datasets": "load read_path Dataset",
    }
    for package, names in wanted.items():
        assert set(names.split()) <= set(dir(importlib.import_module(package))), package


@pytest.mark.parametrize("family", FAMILIES)
def test_every_registered_class_can_be_imported_from_its_package(family: str) -> None:
    packages = [importlib.import_module(package) for package in FAMILIES[family].split()]
    registry = registries()[family]
    assert isinstance(registry, Registry)
    for name in registry:
        target = registry[name].target
        offered = [getattr(package, target.__name__, None) for package in packages]
        assert target in offered, f"{FAMILIES[family]} does not offer {target.__name__}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_a_package_exists(package: str) -> None:
    module = importlib.import_module(package)
    for name in public_names(package):
        assert getattr(module, name) is getattr(module, name)
    if isinstance(module, LazyPackage):
        assert sorted(module.__all__) == dir(module)


def test_an_unknown_name_says_what_there_is() -> None:
    import kinview.losses

    with pytest.raises(AttributeError, match=r"'kinview.losses' has no attribute 'nt_xnet'; it offers .*nt_xent"):
        _ = kinview.losses.nt_xnet  # type: ignore[attr-defined]


ORDERS = """
import importlib, json, os, pkgutil, random, sys, traceback, warnings
import matplotlib, pandas, sklearn.svm, sklearn.linear_model, sktime.transformations.base, sqlalchemy, torch, xgboost
warnings.simplefilter("ignore")
names, modules = json.loads(sys.argv[1]), json.loads(sys.argv[2])

def check(seed):
    work = [("name", *pair) for pair in names] + [("module", name) for name in modules]
    random.Random(seed).shuffle(work)
    if seed % 3 == 0:  # all modules first
        work.sort(key=lambda one: one[0])
    elif seed % 3 == 1:  # all modules last
        work.sort(key=lambda one: one[0], reverse=True)
    for kind, *what in work:
        if kind == "module":
            importlib.import_module(*what)
        else:
            exec(f"from {what[0]} import {what[1]}")
    from kinview.losses import nt_xent
    assert callable(nt_xent)
    for package, name in names:
        value = getattr(importlib.import_module(package), name)
        assert not isinstance(value, type(sys)), f"{package}.{name} is a module"
        again = {}
        exec(f"from {package} import {name}", again)
        assert again[name] is value

for seed in range(int(sys.argv[3])):
    child = os.fork()
    if child == 0:
        try:
            check(seed)
        except BaseException:
            print(f"order of seed {seed}:", flush=True)
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, so that many fresh interpreters cost one start")
@pytest.mark.slow
def test_public_names_do_not_depend_on_the_order_of_imports() -> None:
    import json

    modules = [
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(SOURCE.rglob("*.py"))
        if path.stem != "__main__"
    ]
    done = subprocess.run(
        [sys.executable, "-c", ORDERS, json.dumps(all_public_names()), json.dumps(modules), "20"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_itself_imports_where_names_are_defined() -> None:
    """A door inside the package would hide an arrow between its subpackages."""
    offered = {package: set(public_names(package)) for package in PACKAGES}
    offences = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in offered and node.level == 0:
                package = importlib.import_module(node.module)
                offences += [
                    f"{path.relative_to(SOURCE)}:{node.lineno} takes {alias.name} from {node.module}"
                    for alias in node.names
                    if isinstance(package, LazyPackage) and alias.name in package._homes
                ]
    assert offences == []


def revealed_types(names: list[tuple[str, str]], folder: Path) -> list[str]:
    """Types of these names as a strict type checker tells them to whoever imports them."""
    lines = [f"from {package} import {name} as n{i}; reveal_type(n{i})" for i, (package, name) in enumerate(names)]
    (folder / "uses.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), "uses.py"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(SOURCE.parent)}, capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(re.findall(r'^uses.py:(\d+): note: Revealed type is "(.*)"$', done.stdout, re.MULTILINE))
    return [told[str(line)] for line in range(1, len(names) + 1)]


def is_known(value: Any, revealed: str) -> bool:
    """Whether a revealed type is that of the value: its class, or all parameters that it takes and what it makes."""
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return revealed == f"{type(value).__module__}.{type(value).__qualname__}"
    taken, _, made = revealed.rpartition(" -> ") if " -> " in revealed else (revealed, "", "None")
    own = rf"\b{value.__module__}\.{value.__qualname__}\b" if inspect.isclass(value) else ""
    return (
        taken.startswith("def ")
        and parameters_of(value) <= set(re.findall(r"(\w+): ", taken))
        and re.search(own, made) is not None
    )


def parameters_of(value: Any) -> set[str]:
    """Names of what a function or a constructor takes; what goes by position alone has none."""
    if typing.is_typeddict(value):
        return set(value.__annotations__)
    if getattr(value, "_is_protocol", False):  # cannot be made
        return set()
    try:
        taken = inspect.signature(value).parameters.values()
        return {parameter.name for parameter in taken if parameter.kind is not parameter.POSITIONAL_ONLY}
    except ValueError:  # an exception has the constructor of the interpreter
        return {"args"}


@pytest.mark.slow
def test_types_are_known_through_every_package(tmp_path: Path) -> None:
    names = all_public_names()
    values = [getattr(importlib.import_module(package), name) for package, name in names]
    types = revealed_types(names, tmp_path)
    doors = zip(names, values, types, strict=True)
    unknown = {f"{package}.{name}": shown for (package, name), value, shown in doors if not is_known(value, shown)}
    assert not unknown


@pytest.mark.parametrize("name", ["kinview", "kinview.losses"])
def test_packages_are_pickled_by_their_name(name: str) -> None:
    module = importlib.import_module(name)
    assert pickle.loads(pickle.dumps(module)) is module


@pytest.mark.parametrize("name", ["kinview.methods", "kinview.evaluation.probes"])
def test_registries_are_pickled_by_family_and_found_in_a_fresh_process(name: str) -> None:
    registry = getattr(importlib.import_module(name), name.rpartition(".")[2])
    assert pickle.loads(pickle.dumps(registry)) is registry
    script = f"import pickle; print(pickle.loads({pickle.dumps(registry)!r}).build('{next(iter(registry))}'))"
    done = python(script)
    assert done.stdout.strip() == repr(registry.build(next(iter(registry)))), done.stderr


def test_a_function_of_a_script_that_uses_packages_and_registries_goes_to_workers(tmp_path: Path) -> None:
    script = """
import joblib
import kinview
from kinview.methods import methods

def made(name):
    return type(methods.build(name)) is getattr(kinview, "PCAFeatures")

if __name__ == "__main__":
    print(joblib.Parallel(n_jobs=2)(joblib.delayed(made)(name) for name in ["pca", "raw"]))
"""
    file = tmp_path / "script.py"
    file.write_text(script)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip() == "[True, False]", done.stderr
