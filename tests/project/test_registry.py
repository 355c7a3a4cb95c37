from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given

from kinview import registry as registry_module
from kinview.augmentations import augmentations
from kinview.encoders import encoders
from kinview.losses import losses
from kinview.registry import Registry, to_config

PLUGIN = '''
import dataclasses

from kinview.augmentations import Augmentation
from kinview.parameters import real


@dataclasses.dataclass(frozen=True)
class Negate(Augmentation):
    """Every value with the other sign, times a factor."""

    factor: float = real(1.0, above=0)

    modality = "any"

    def apply(self, batch, generator):
        return batch.replace(x=-self.factor * batch.x)
'''

IN_A_FRESH_PROCESS = """
import json
import sys

import torch

from kinview.augmentations import augmentations
from kinview.data import Batch

assert "kinview_negate" not in sys.modules  # plug-ins load when the registry is first consulted
negate = augmentations.build({"negate": {"factor": 2.0}})
view = negate(Batch.of(torch.ones(1, 1, 2)))
print(json.dumps({
    "default": repr(augmentations.build("negate")),
    "values": view.x.flatten().tolist(),
    "config": augmentations.to_config(negate),
    "again": augmentations.build(augmentations.to_config(negate)) == negate,
    "names": list(augmentations),
    "modality": augmentations["negate"].modality,
    "row": [line for line in repr(augmentations).splitlines() if "negate" in line],
}))
"""

CONSULT = """
from kinview.augmentations import augmentations

try:
    augmentations.build("column_corruption")
except ValueError as error:
    print(error)
"""


@pytest.fixture
def parts() -> Iterator[Registry]:
    """Two small families, one inside the other, that leave no trace."""
    inner = Registry("test_sizes")
    outer = Registry("test_shapes", compose=list)

    @inner.register("fixed")
    @dataclasses.dataclass(frozen=True)
    class Fixed:
        """A size."""

        size: float = 1.0

    @outer.register("box", modality="any", reference="A. Author, 2020", colour="blue")
    @dataclasses.dataclass(frozen=True)
    class Box:
        """A box.

        More about it.
        """

        side: float = 1.0
        label: str = "plain"
        filled: bool = False
        count: int | None = None
        size: Any = None

    @outer.register("must")
    @dataclasses.dataclass(frozen=True)
    class Must:
        width: float
        height: float = 1.0

    yield outer
    for family in ("test_sizes", "test_shapes"):
        del registry_module._FAMILIES[family]


def plain_values() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "side": st.floats(allow_nan=False),
            "label": st.text(st.characters(exclude_categories=["Cs", "Cc"])),
            "filled": st.booleans(),
            "count": st.none() | st.integers(),
        },
    )


def test_config_and_build_are_inverse(parts: Registry) -> None:
    @given(parameters=plain_values(), size=st.none() | st.floats(allow_nan=False, allow_infinity=False))
    def check(parameters: dict[str, Any], size: float | None) -> None:
        inner = None if size is None else registry_module._FAMILIES["test_sizes"].build({"fixed": {"size": size}})
        part = parts.build({"box": parameters}, size=inner)
        config = parts.to_config(part)
        given_back = yaml.safe_load(yaml.safe_dump(config, allow_unicode=True))
        rebuilt = parts.build(given_back)
        if inner is not None:
            nested = registry_module._FAMILIES["test_sizes"].build(given_back["box"]["size"])
            assert nested == inner
            rebuilt = dataclasses.replace(rebuilt, size=nested)
        assert rebuilt == part
        assert parts.to_config(part) == config

    check()


def test_only_parameters_off_their_defaults_are_written(parts: Registry) -> None:
    assert parts.to_config(parts.build("box")) == "box"
    assert parts.to_config(parts.build({"box": None})) == "box"
    assert parts.to_config(parts.build({"box": {"side": 1.0, "filled": True}})) == {"box": {"filled": True}}
    nested = parts.build("box", size=registry_module._FAMILIES["test_sizes"].build("fixed"))
    assert parts.to_config(nested) == {"box": {"size": "fixed"}}


def test_every_spelling_builds_and_an_object_is_returned_as_it_is(parts: Registry) -> None:
    box = parts.build({"box": {"side": 2.0}})
    assert parts.build(box) is box
    assert parts.build(["box", {"box": {"side": 2.0}}, box]) == [parts.build("box"), box, box]
    assert parts.to_config([box, parts.build("box")]) == [{"box": {"side": 2.0}}, "box"]
    assert parts.build({"box": {"side": 2.0}}, side=3.0).side == 3.0  # what the caller knows wins


def test_a_list_is_refused_where_parts_do_not_compose() -> None:
    with pytest.raises(ValueError, match="losses do not compose: give one loss, not a list of 2"):
        losses.build(["info_nce", "hierarchical"])


def test_the_entry_tells_what_was_declared(parts: Registry) -> None:
    entry = parts["box"]
    assert (entry.name, entry.modality, entry.reference) == ("box", "any", "A. Author, 2020")
    assert entry.summary == "A box."
    assert entry.metadata["colour"] == "blue"
    with pytest.raises(TypeError):
        entry.metadata["colour"] = "red"  # type: ignore[index]
    assert list(parts) == ["box", "must"]
    assert len(parts) == 2
    assert "box" in parts
    assert "bax" not in parts
    assert parts.name_of(parts.build("box")) == parts.name_of(entry.target) == "box"
    assert [line.split() for line in repr(parts).splitlines()][1] == ["box", "any", "A", "box."]


def test_a_miss_says_did_you_mean(parts: Registry) -> None:
    with pytest.raises(ValueError, match=r"unknown test shape 'bx'; did you mean 'box'\? Known: box, must"):
        parts.build("bx")
    with pytest.raises(ValueError, match=r"unknown test shape 'zzzz'\. Known: box, must"):
        parts.build({"zzzz": {}})
    with pytest.raises(ValueError, match=r"unknown augmentation 'crop_pear'; did you mean 'crop_pair'\?"):
        augmentations.build("crop_pear")
    with pytest.raises(ValueError, match=r"unknown loss 'infonce'; did you mean 'info_nce'\?"):
        losses.build("infonce")


def test_an_unknown_parameter_is_named(parts: Registry) -> None:
    expected = r"test shape 'box' has no parameter 'sode'; did you mean 'side'\? It takes: side, label, filled"
    with pytest.raises(ValueError, match=expected):
        parts.build({"box": {"sode": 2.0}})
    with pytest.raises(ValueError, match=r"has no parameter 'zzz'\. It takes: temperature"):
        losses.build({"info_nce": {"zzz": 2.0}})


def test_a_needed_parameter_that_is_absent_is_named(parts: Registry) -> None:
    with pytest.raises(ValueError, match=r"test shape 'must' needs width: \{must: \{width: \.\.\.\}\}"):
        parts.build("must")
    assert parts.build("must", width=2.0).width == 2.0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "got a mapping with 0 keys: none"),
        ({"box": {}, "must": {}}, "got a mapping with 2 keys: 'box', 'must'"),
        ({"box": 3}, "parameters of test shape 'box' must be a mapping .* got int: 3"),
        ({"box": ["side"]}, "must be a mapping .* got list"),
        (None, "written as its name or as .* got None"),
        (3.5, "written as its name or as .* got 3.5"),
    ],
)
def test_another_shape_of_spec_is_refused(parts: Registry, spec: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parts.build(spec)


def test_a_duplicate_name_is_an_error(parts: Registry) -> None:
    with pytest.raises(ValueError, match=r"'box' is already registered by .*Box; .*Other needs another name"):

        @parts.register("box")
        class Other:
            pass

    parts.register("box")(parts["box"].target)  # the same class once more (a reloaded module) is none
    assert len(parts) == 2


def test_what_has_no_config_is_refused_by_name(parts: Registry) -> None:
    def view(x: int) -> int:
        return x

    with pytest.raises(TypeError, match=r"Box\.size: .*<lambda>.* has no config.*register its class"):
        parts.to_config(parts.build("box", size=lambda x: x))
    with pytest.raises(TypeError, match=r"view.* has no config"):
        parts.to_config(view)
    with pytest.raises(TypeError, match="has no config"):
        to_config(np.zeros(3))


def test_a_part_of_no_or_another_family_has_no_config_here(parts: Registry) -> None:
    @dataclasses.dataclass(frozen=True)
    class Unregistered:
        side: float = 2.0

    with pytest.raises(TypeError, match="Unregistered is not a registered test shape; register its class"):
        parts.to_config(Unregistered())
    with pytest.raises(TypeError, match="InfoNCE is not a registered test shape"):
        parts.to_config(losses.build("info_nce"))


def test_numpy_and_torch_scalars_become_plain(parts: Registry) -> None:
    values = {
        "a": np.float64(0.5),
        "b": np.int64(3),
        "c": np.bool_(True),
        "d": torch.tensor(2.0),
        "e": (1, np.str_("x")),
    }
    plain = to_config(values)
    assert plain == {"a": 0.5, "b": 3, "c": True, "d": 2.0, "e": [1, "x"]}
    assert {key: type(value) for key, value in plain.items()} == {
        "a": float,
        "b": int,
        "c": bool,
        "d": float,
        "e": list,
    }
    assert yaml.safe_load(yaml.safe_dump(plain)) == plain


@pytest.mark.parametrize(
    "spec",
    [
        "info_nce",
        {"info_nce": {"temperature": 0.1}},
        {"hierarchical": {"alpha": 0.25, "temporal_unit": 2}},
    ],
)
def test_losses_build_and_describe(spec: Any) -> None:
    assert losses.to_config(losses.build(spec)) == spec


@pytest.mark.parametrize(
    "spec",
    [
        {"dilated_conv": {"channels": 2, "hidden_dim": 4, "depth": 1, "dropout": 0.5, "missing": "timestep"}},
        {"dilated_conv": {"channels": 1, "repr_dim": 8, "front_end": "values", "padding": "official"}},
        {"mlp": {"cardinalities": [0, 3], "depth": 2}},
    ],
)
def test_encoders_build_and_describe(spec: Any) -> None:
    encoder = encoders.build(spec)
    assert encoders.to_config(encoder) == spec
    shapes = {name: value.shape for name, value in encoder.state_dict().items()}
    again = encoders.build(encoders.to_config(encoder)).state_dict()
    assert shapes == {name: value.shape for name, value in again.items()}


def test_a_second_thread_waits_for_the_whole_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kinview_slow_member.py").write_text(
        "import time\ntime.sleep(0.3)\nfrom kinview.registry import _FAMILIES\n"
        "@_FAMILIES['test_slow'].register('late')\nclass Late:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    slow = Registry("test_slow", members=("kinview_slow_member",))
    try:
        first = threading.Thread(target=lambda: list(slow))
        first.start()
        assert list(slow) == ["late"]
        first.join()
    finally:
        del registry_module._FAMILIES["test_slow"]


def install(folder: Path, target: Path, *, project: str, module: str, entry_point: str) -> None:
    """Build a tiny distribution and install it with pip, touching no network and no environment."""
    source = folder / module
    source.mkdir(parents=True)
    (source / "__init__.py").write_text(PLUGIN)
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
        f"[project]\nname = '{project}'\nversion = '1.0'\n"
        f"[project.entry-points.'kinview.augmentations']\n{entry_point}\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--target", str(target), str(folder)),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr  # hatchling, the build back end, comes with the test extra


def fresh_python(code: str, target: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(target)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_plugin_is_a_member(tmp_path: Path) -> None:
    target = tmp_path / "site"
    install(
        tmp_path / "src",
        target,
        project="kinview-negate",
        module="kinview_negate",
        entry_point="negate = 'kinview_negate:Negate'",
    )
    assert list(target.glob("kinview_negate-1.0.dist-info/entry_points.txt"))
    seen = json.loads(fresh_python(IN_A_FRESH_PROCESS, target))
    assert seen["default"] == "Negate(factor=1.0)"
    assert seen["values"] == [-2.0, -2.0]
    assert seen["config"] == {"negate": {"factor": 2.0}}
    assert seen["again"] is True
    assert {"negate", "crop_pair", "column_corruption"} <= set(seen["names"])
    assert seen["modality"] == "any"
    assert "Every value with the other sign" in seen["row"][0]


@pytest.mark.slow
def test_an_installed_plugin_with_a_taken_name_is_an_error(tmp_path: Path) -> None:
    target = tmp_path / "site"
    install(
        tmp_path / "src",
        target,
        project="kinview-taken",
        module="kinview_taken",
        entry_point="crop_pair = 'kinview_taken:Negate'",
    )
    said = fresh_python(CONSULT, target)
    assert said.startswith("augmentation 'crop_pair' is already registered by kinview.augmentations.crop.CropPair; ")
    assert "kinview_taken.Negate needs another name" in said


@pytest.mark.parametrize("value", ["kinview_no_such_module:Part", "kinview.files:NoSuchPart"])
def test_a_broken_plugin_is_named_until_it_is_mended(
    parts: Registry, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    broken = importlib.metadata.EntryPoint("gone", value, "kinview.test_shapes")
    with monkeypatch.context() as patched:
        patched.setattr(importlib.metadata, "entry_points", lambda group: [broken])
        for _ in range(2):
            with pytest.raises(ImportError, match=rf"test shape 'gone' of the plug-in .* \({value}\) cannot be loaded"):
                parts.build("box")
    assert parts.build("box").side == 1.0
