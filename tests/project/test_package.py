from __future__ import annotations

import ast
import functools
import importlib.resources
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import kinview
from helpers import ROOT, SOURCE, python

MODULES = sorted(SOURCE.rglob("*.py"))
HEAVY = ("torch", "sktime", "xgboost", "pandas", "sklearn", "matplotlib", "sqlalchemy")
LINKS = ("augmentations", "evaluation", "configs")

# arrows of the architecture: each subpackage, and those that it may import (all may import BASE)
BASE = {
    "complete_configs",
    "distributed",
    "exports",
    "files",
    "moved",
    "old_pickles",
    "own_parts",
    "parameters",
    "printable",
    "progress",
    "registry",
    "tensor_checks",
    "yaml_text",
}
ALLOWED = {
    **{name: set() for name in BASE},
    "data": set(),
    "datasets": {"data"},
    "augmentations": {"modules", "data"},
    "modules": {"data"},
    "encoders": {"modules", "data"},
    "losses": {"modules", "data"},
    "training": {"data"},
    "diagnostics": {"augmentations", "encoders", "losses", "modules", "training", "data"},
    "methods": {"augmentations", "encoders", "losses", "modules", "training", "data"},
    "schema_matching": {"augmentations", "encoders", "losses", "training", "data"},
    "explanations": {"methods", "diagnostics", "losses", "modules", "training", "data"},
    "configs": set(),
    "testing": {
        "evaluation",
        *("methods", "diagnostics", "datasets", "augmentations", "encoders", "losses", "modules"),
        *("training", "data"),
    },
    "evaluation": {
        *("methods", "diagnostics", "augmentations", "encoders", "losses"),
        *("modules", "training", "datasets", "data", "configs"),
    },
}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def subpackage_of(path: Path) -> str:
    subpackage = path.relative_to(SOURCE).with_suffix("").parts[0]
    return "cli" if subpackage == "_cli" else subpackage


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"


def imported(node: ast.AST, path: Path) -> list[str]:
    """Full names below kinview that an import statement reads, names inside a module included."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = [node.module] if node.module else []
        if node.level:
            base = [*path.relative_to(SOURCE.parent).with_suffix("").parts[: -node.level], *base]
        names = [".".join([*base, alias.name]) for alias in node.names]
    else:
        names = []
    return [name for name in names if name.startswith("kinview.") and not name.startswith("kinview.__")]


def subpackages_imported(path: Path) -> set[str]:
    """Subpackages that a file imports anywhere in it, inside functions and for type checking too."""
    names = [name for node in ast.walk(parsed(path)) for name in imported(node, path)]
    return {"cli" if name.split(".")[1] == "_cli" else name.split(".")[1] for name in names} - {subpackage_of(path)}


def dotted_calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func), node


# --- the front door --------------------------------------------------------------------------------------------------


def test_import_loads_nothing_heavy() -> None:
    done = python(
        f"import sys, kinview; print([name for name in {HEAVY!r} if name in sys.modules]); "
        "print(sorted(dir(kinview)) == sorted(kinview.__all__), kinview.__version__)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", f"True {kinview.__version__}"]


def test_public_names_load_on_use() -> None:
    done = python(
        "import sys, kinview\n"
        "batch = kinview.Batch\n"
        "print(batch.__module__, 'torch' in sys.modules, 'sktime' in sys.modules, 'xgboost' in sys.modules)\n"
        "print('Batch' in vars(kinview), 'TS2Vec' in vars(kinview))"
    )
    assert done.stdout.splitlines() == ["kinview.data.batch True False False", "True False"], done.stderr


@pytest.mark.parametrize("name", [name for name in kinview.__all__ if name != "__version__"])
def test_every_public_name_exists_where_it_says(name: str) -> None:
    value = getattr(kinview, name)
    assert callable(value)
    assert getattr(kinview, name) is value


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'TS3Vec'; it offers .*TS2Vec"):
        _ = kinview.TS3Vec
    assert not hasattr(kinview, "__wrapped__")


def test_the_declared_version_is_the_packages() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{kinview.__version__}"\n' in project
    assert f"\nversion: {kinview.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_lower_bounds_that_are_written_are_the_lowest_versions_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = map(Requirement, sum(project["optional-dependencies"].values(), project["dependencies"]))
    bounds = {(r.name.lower(), Version(next(iter(r.specifier)).version)) for r in required if r.specifier}
    missing = bounds - {(name, Version(version)) for name, version in pins("constraints-lowest.txt").items()}
    assert not missing
    assert {name for name, _ in bounds} <= pins("constraints.txt").keys()


def test_the_hooks_are_those_that_the_constraints_name() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    revisions = {hook["repo"].rpartition("/")[2]: hook.get("rev") for hook in hooks}
    assert revisions["ruff-pre-commit"] == "v" + pins("constraints.txt")["ruff"]
    assert revisions["codespell"] == "v" + pins("constraints.txt")["codespell"]


def test_the_source_distribution_holds_the_package_and_no_tests(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    files = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert {name for name in held if not name.startswith("src/kinview/")} <= files
    assert {path.relative_to(ROOT).as_posix() for path in MODULES} <= held  # also where a link at the top leads to


def pins(file: str) -> dict[str, str]:
    """Versions by package, from a file of constraints."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {name.lower(): version for name, _, version in (line.partition("==") for line in lines) if version}


def test_types_ship() -> None:
    assert importlib.resources.files("kinview").joinpath("py.typed").is_file()


# --- the links at the top --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINKS)
def test_top_level_folders_are_relative_links_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.readlink() == Path("src/kinview") / name
    assert link.resolve() == (SOURCE / name).resolve()


@pytest.mark.parametrize("name", LINKS)
def test_importing_through_a_link_is_refused(name: str) -> None:
    done = python(f"import {name}", cwd=ROOT)
    assert done.returncode != 0
    assert "ImportError: attempted relative import" in done.stderr


# --- what no source file may do --------------------------------------------------------------------------------------


def test_nothing_that_a_file_holds_is_executed() -> None:
    refused = {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load", "joblib.load"}
    offences = []
    for path in MODULES:
        for name, call in dotted_calls(path):
            if (path, name) == (SOURCE / "own_parts.py", "exec"):
                continue  # a file with parts that its user names; test_own_parts.py proves that nothing else gets there
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if (
                name in refused
                or given.get("shell", "False") != "False"
                or given.get("allow_pickle", "False") != "False"
                or (name == "torch.load" and given.get("weights_only") != "True")
            ):
                offences.append(f"{place(path, call)} {ast.unparse(call)}")
    assert offences == []


def test_yaml_is_read_and_written_in_one_place() -> None:
    """PyYAML by itself takes 1e-3 for text."""
    refused = re.compile(r"yaml\.(safe_)?(load|dump)(_all)?")
    offences = [
        f"{place(path, call)} {name}"
        for path in MODULES
        if path != SOURCE / "yaml_text.py"
        for name, call in dotted_calls(path)
        if refused.fullmatch(name)
    ]
    assert offences == []


def test_global_random_state_is_left_alone() -> None:
    own = re.compile(r"(np|numpy)\.random\.(default_rng|Generator|SeedSequence|PCG64|RandomState)")
    global_numpy = re.compile(r"(np|numpy)\.random\.\w+")
    global_torch = re.compile(r"torch\.(cuda\.|random\.|mps\.)*(manual_seed(_all)?|seed(_all)?|set_rng_state(_all)?)")
    draws = re.compile(r"torch\.(rand|randn|randint|randperm|normal|bernoulli|multinomial|poisson)")
    offences = []
    for path in MODULES:
        if path == SOURCE / "training" / "randomness.py":  # the one place that forks torch's global generators
            continue
        # these watch or poison the global ones, to show that a part leaves them alone
        if path.name in ("_suite.py", "_method_checks.py"):
            continue
        offences += [
            f"{place(path, node)} imports random"
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Import) and "random" in {alias.name for alias in node.names}
        ]
        for name, call in dotted_calls(path):
            if (
                (global_numpy.fullmatch(name) and not own.fullmatch(name))
                or global_torch.fullmatch(name)
                or (draws.fullmatch(name) and "generator" not in {keyword.arg for keyword in call.keywords})
            ):
                offences.append(f"{place(path, call)} {ast.unparse(call)}")
    assert offences == []


def test_everything_public_says_what_it_is() -> None:
    undocumented = [str(path.relative_to(SOURCE)) for path in MODULES if not ast.get_docstring(parsed(path))]
    for path in MODULES:
        public = [node for node in parsed(path).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        public += [
            inner
            for node in public
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            for inner in node.body
            if isinstance(inner, ast.FunctionDef)
        ]
        undocumented += [
            f"{place(path, node)} {node.name}"
            for node in public
            if not node.name.startswith("_")
            and not ast.get_docstring(node)
            and not {"overload", "typing.overload"} & {ast.unparse(decorator) for decorator in node.decorator_list}
        ]
    assert undocumented == []


# --- arrows point one way --------------------------------------------------------------------------------------------


def test_imports_follow_the_arrows() -> None:
    offences = [
        f"{path.relative_to(SOURCE)} imports {subpackage}"
        for path in MODULES
        if subpackage_of(path) not in ("__init__", "__main__", "cli")
        for subpackage in sorted(subpackages_imported(path) - ALLOWED[subpackage_of(path)] - BASE)
    ]
    assert offences == []
    assert {"augmentations", "encoders", "losses", "training", "data"} <= subpackages_imported(
        SOURCE / "methods" / "ts2vec" / "estimator.py"
    )


def test_rooms_make_no_cycle() -> None:
    arrows: dict[str, set[str]] = {}
    for path in MODULES:
        if subpackage_of(path) != "__init__":
            arrows.setdefault(subpackage_of(path), set()).update(subpackages_imported(path))
    assert_no_cycle(arrows)


def test_modules_make_no_cycle_while_they_are_imported() -> None:
    modules = {".".join(path.relative_to(SOURCE.parent).with_suffix("").parts): path for path in MODULES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    arrows = {
        name: {
            full if full in modules else full.rpartition(".")[0]
            for node in parsed(path).body  # statements at module level run while the module is imported
            for full in imported(node, path)
        }
        for name, path in modules.items()
    }
    assert arrows["kinview.methods.ts2vec.estimator"] >= {"kinview.methods", "kinview.encoders.dilated_conv"}
    assert_no_cycle(arrows)


def assert_no_cycle(arrows: dict[str, set[str]]) -> None:
    while arrows:
        leaves = {name for name, targets in arrows.items() if not (targets - {name}) & arrows.keys()}
        assert leaves, f"a cycle among {sorted(arrows)}"
        arrows = {name: targets for name, targets in arrows.items() if name not in leaves}


# --- examples --------------------------------------------------------------------------------------------------------


def test_the_number_of_doctests() -> None:
    import doctest
    import importlib
    import pkgutil

    import kinview

    finder, examples = doctest.DocTestFinder(exclude_empty=True), 0
    for info in pkgutil.walk_packages(kinview.__path__, "kinview."):
        tests = finder.find(importlib.import_module(info.name), info.name)
        examples += sum(1 for test in tests if test.examples)
    assert examples >= 220  # `pytest --pyargs --doctest-modules kinview -m ""` runs them
