"""The recipes that ship with the package have the published values, and build by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml

from helpers import SOURCE, gen
from kinview.augmentations import Augmentation, Compose, augmentations
from kinview.data import Batch

FOLDER = SOURCE / "configs" / "augmentation"

# what the papers and the official codes say, part by part in the order of application
PUBLISHED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "tstcc_weak": [("Scaling", {"sigma": 1.1, "mean": 2.0, "shared": False})],
    "tstcc_strong": [("Permutation", {"max_segments": 8, "segments": "random"}), ("Jitter", {"sigma": 0.8})],
    "tfc_time": [("Jitter", {"sigma": 2.0})],
    "tfc_frequency": [
        ("FrequencyDropout", {"share": 0.1}),
        ("FrequencyAddition", {"share": 0.1, "alpha": 0.1, "mode": "add"}),
    ],
    "simclr_har": [
        ("Jitter", {"sigma": 0.05}),
        ("Scaling", {"sigma": 0.1, "mean": 1.0, "shared": False}),
        ("SignFlip", {"p": 1.0, "shared": True}),
        ("TimeReverse", {}),
        ("ChannelPermutation", {}),
        ("Permutation", {"max_segments": 4, "min_segments": 4}),
        ("TimeWarp", {"sigma": 0.2, "knots": 4}),
    ],
    "ncl_icu": [
        ("Offset", {"sigma": 0.1, "shared": False}),
        ("HistoryCutout", {"p": 0.8, "size": 8, "fill": "zero"}),
        ("HistoryCrop", {"p": 0.5, "min_history": 0.5, "fill": "zero"}),
        ("ChannelDropout", {"p": 0.2, "some": False, "fill": "zero"}),
    ],
    "clocs": [("AdjacentSegments", {"n_segments": 2, "length": None})],
    "scarf": [("ColumnCorruption", {"corruption_rate": 0.6})],
    "subtab": [
        ("ColumnSubsets", {"n_subsets": 4, "overlap": 0.75, "grouping": "contiguous"}),
        ("SwapNoise", {"corruption_rate": 0.3}),
    ],
    "ecg_default": [
        ("Scaling", {"sigma": 0.1, "mean": 1.0, "shared": False}),
        ("BaselineWander", {}),
        ("MuscleArtifact", {}),
        ("ElectrodeMotion", {}),
        ("Powerline", {}),
        ("LeadDropout", {}),
    ],
}


def leaves(part: Augmentation) -> list[Augmentation]:
    """The parts that are not composites, in order."""
    held = getattr(part, "parts", None)
    return [part] if held is None else [leaf for one in held for leaf in leaves(one)]


def test_the_promised_recipes_are_there() -> None:
    assert set(augmentations.recipes()) == set(PUBLISHED)
    assert not set(PUBLISHED) & set(augmentations)  # a name is a recipe's or a member's


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_has_the_published_values(name: str) -> None:
    parts = leaves(augmentations.build(name))
    assert [type(part).__name__ for part in parts] == [kind for kind, _ in PUBLISHED[name]]
    for part, (kind, values) in zip(parts, PUBLISHED[name], strict=True):
        assert {key: getattr(part, key) for key in values} == values, kind


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_names_its_source_and_every_value(name: str) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
    assert "20" in comment or "kinview" in comment
    assert lines[0].startswith("# ")
    assert max(map(len, lines)) <= 120
    spec = augmentations.recipe(name)
    assert augmentations.build(spec) == augmentations.build(name)
    assert augmentations.build(yaml.safe_load(yaml.safe_dump(augmentations.to_config(augmentations.build(name)))))


def test_the_blanked_steps_of_ncl_are_zero() -> None:
    view = augmentations.build("ncl_icu")(torch.ones(200, 2, 24), gen())
    assert ((view == 0) | ((view - 1).abs() <= 0.2)).all()  # the offset, truncated at two standard deviations
    seen = view[:, :, -1] != 0  # channels that were not dropped
    assert (view == 0).any(dim=2)[seen].double().mean() > 0.8  # cut out or cropped


def test_how_recipes_are_composed() -> None:
    assert isinstance(augmentations.build("tstcc_strong"), Compose)
    assert type(augmentations.build("tfc_frequency")).__name__ == "OneOf"  # the one or the other, never the sum
    assert (type(augmentations.build("simclr_har")).__name__, augmentations.build("simclr_har").k) == ("SomeOf", 2)
    assert augmentations.build("subtab").n_views == 4
    assert augmentations.build("clocs").n_views == 2
    assert augmentations.build("ecg_default").needs == {"sampling_rate"}
    assert augmentations.build(["tstcc_weak", "clocs"]).n_views == 2  # a recipe is a part like any other
    views = augmentations.build({"views": {"augmentations": ["tstcc_weak", "tstcc_strong"]}})
    weak, strong = views(Batch.of(torch.randn(4, 3, 50)), gen())
    assert weak.x.shape == strong.x.shape == (4, 3, 50)


def test_a_name_that_is_neither_is_refused_with_both() -> None:
    with pytest.raises(ValueError, match="unknown augmentation 'tstc_strong'; did you mean 'tstcc_strong'"):
        augmentations.build("tstc_strong")
    with pytest.raises(ValueError, match=r"'jitter' is not a recipe but a part by itself\. Recipes: clocs, "):
        augmentations.recipe("jitter")
