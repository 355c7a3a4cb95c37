"""What all estimators share; an author of a method uses it, and never edits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.estimators.capabilities import Capabilities as Capabilities
    from kinview.methods.estimators.multi_table import MultiTableEstimator as MultiTableEstimator
    from kinview.methods.estimators.paired import PairedEstimator as PairedEstimator
    from kinview.methods.estimators.series import SeriesEstimator as SeriesEstimator
    from kinview.methods.estimators.shared_parameters import (
        augmentation as augmentation,
        fill as fill,
        front_end as front_end,
        gaps as gaps,
        missing as missing,
        network_of as network_of,
        pooling as pooling,
        projection_dim as projection_dim,
        projector_hidden_dim as projector_hidden_dim,
        random_state as random_state,
        scaling as scaling,
        temperature as temperature,
        text as text,
        trainer as trainer,
    )
    from kinview.methods.estimators.tabular import TabularEstimator as TabularEstimator

lazy_exports(__name__)
