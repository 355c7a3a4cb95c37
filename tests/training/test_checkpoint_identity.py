"""A checkpoint belongs to all that travels with the rows: labels, groups, further features, another modality."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import SIZES
from kinview.complete_configs import complete_config
from kinview.data import Batch
from kinview.encoders import encoders
from kinview.methods import TabularSimCLR
from kinview.training.checkpoint import stored_identity

TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(16, 3)), columns=list("abc"))
FEATURES = np.random.default_rng(1).normal(size=(16, 2))


class UsesAll(TabularSimCLR):
    """A method that declares all that can go along."""

    uses: ClassVar[frozenset[str]] = frozenset({"y", "groups", "extra"})  # type: ignore[misc]


def second(**changes: Any) -> Batch:
    series = Batch.of(torch.from_numpy(FEATURES).float()[:, None], times=torch.arange(2.0).repeat(16, 1).double())
    return dataclasses.replace(series, **changes)


GIVEN = {
    "y": np.arange(16) % 2,
    "groups": np.arange(16) // 4,
    "extra": {"features": FEATURES, "second": second()},
}


def fit(folder: Path, steps: int, **changes: Any) -> UsesAll:
    trainer = {"max_epochs": steps, "batch_size": 16, "checkpoint_dir": str(folder), "checkpoint_every": 1}
    model = UsesAll(**SIZES["tabular_simclr"], trainer=trainer, random_state=0)
    return model.fit(TABLE, **{**GIVEN, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"y": 1 - GIVEN["y"]},
        {"groups": np.arange(16) // 2},
        {"extra": {**GIVEN["extra"], "features": FEATURES + 1e-3}},
        {"extra": {"features": FEATURES}},
        {"extra": {**GIVEN["extra"], "second": second(x=second().x + 1e-3)}},
        {"extra": {**GIVEN["extra"], "second": second(times=None)}},
        {"extra": {**GIVEN["extra"], "second": second(y=torch.zeros(16))}},
    ],
    ids=["labels", "groups", "features", "no_second", "second_values", "second_times", "second_labels"],
)
def test_a_checkpoint_of_other_metadata_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    fit(tmp_path, 1)
    with pytest.raises(ValueError, match="belongs to another training: data was"):
        fit(tmp_path, 1, **changes)


def test_a_checkpoint_names_the_defaults_of_the_parts_inside(tmp_path: Path) -> None:
    encoder = {"mlp": {"hidden_dim": 4}}
    trainer = {"max_steps": 1, "checkpoint_dir": str(tmp_path), "checkpoint_every": 1}
    TabularSimCLR(encoder=encoder, trainer=trainer, random_state=0).fit(TABLE)
    (path,) = tmp_path.glob("*.safetensors")
    assert stored_identity(path)["complete_parameters"]["encoder"] == complete_config(encoders, encoder) != encoder


def test_a_checkpoint_of_the_same_metadata_is_continued(tmp_path: Path) -> None:
    first = fit(tmp_path, 1)
    again = fit(tmp_path, 1)
    assert first.training_ is not None and again.training_ is not None
    assert again.training_.step == first.training_.step == 1
    assert np.array_equal(first.transform(TABLE), again.transform(TABLE))
