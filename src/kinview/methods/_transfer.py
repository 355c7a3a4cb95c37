"""Fitted estimators as the start of another training: a copy of their own, for other data where asked."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from kinview.data.panel import Panel
from kinview.data.scaling import fit_scaler
from kinview.methods.estimator import EstimatorCore
from kinview.methods.series import SeriesEstimator

__all__ = ["own_copy", "transferred"]


def own_copy(estimator: EstimatorCore) -> EstimatorCore:
    """The estimator with weights of its own; training these leaves the original as it is."""
    twin = copy.copy(estimator)
    twin.method_ = copy.deepcopy(estimator.method_).to("cpu").eval()
    return twin


def transferred(estimator: EstimatorCore, X: Any, seed: int) -> EstimatorCore:
    """Own copy for series of another data set: channels, scaling and time unit are those of X.

    Weights that read another number of channels than X has start anew; a warning names them.

    Raises
    ------
    ValueError
        For an estimator of tables: the columns are what its network reads.
    """
    if not isinstance(estimator, SeriesEstimator):
        raise ValueError(
            f"transfer=True is for series: {type(estimator).__name__} reads the columns of the table that it was "
            f"fitted on; give X with the same columns and transfer=False"
        )
    twin = own_copy(estimator)
    assert isinstance(twin, SeriesEstimator)
    panel = twin._any_panel(X)
    twin.channels_, twin.time_unit_ = panel.channels, panel.time_unit
    twin.scaler_ = fit_scaler(panel.batch.x, twin.scaling)
    if len(panel.channels) != len(estimator.channels_):
        _rebuild(twin, estimator, panel, seed)
    return twin


def _rebuild(twin: SeriesEstimator, original: SeriesEstimator, panel: Panel, seed: int) -> None:
    """Network for the channels of the panel, with every trained weight that fits."""
    trained = original.method_.state_dict()
    twin._build_untrained(original._sizes_for(len(panel.channels)), seed)
    fresh = twin.method_.state_dict()
    kept = {name: value for name, value in trained.items() if name in fresh and fresh[name].shape == value.shape}
    twin.method_.load_state_dict(kept, strict=False)
    anew = [name for name in fresh if name not in kept]
    if anew:
        warnings.warn(
            f"X has {len(panel.channels)} channel(s), the encoder was trained with {len(original.channels_)}: these "
            f"weights start anew: {', '.join(anew)}",
            UserWarning,
            stacklevel=5,
        )
