"""Checks that every method passes, as one public function.

Each check is a function of a case: the method under test and data of its modality. A check returns without a
word, or raises ``AssertionError`` saying what was promised and what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from kinview.data.modality import PAIRED, SERIES, TABLE, modality_of
from kinview.data.paired import PairedData
from kinview.methods import methods
from kinview.testing import (
    _method_checks as checks,
    _method_files as files,
    _method_flags as flags,
    _method_training as training,
)
from kinview.testing._method_case import Case, with_channels
from kinview.testing._suite import run_checks

__all__ = ["check_method", "checks_of"]

_ROWS = 40


def check_method(method: Any, *, X: Any = None, y: Any = None) -> tuple[str, ...]:
    """Names of the checks that a method passes on a small real data set.

    Parameters
    ----------
    method : str, mapping or estimator
        A registered name, a spec ``{name: {parameter: value}}``, or an object. Small networks make the check quick; the
        checks pass for any size.
    X : array ``(n, channels, time)``, DataFrame or PairedData, optional
        Samples without gaps; by default 40 series of ItalyPowerDemand, 40 rows of the wine data, or these series with a
        row that describes each. Series of fewer
        channels than the views of the method are made of get further ones.
    y : array-like ``(n,)``, optional
        Labels of X; needed for a method that declares ``uses_labels``. The first two differ.

    Returns
    -------
    tuple of str
        The names of the checks that passed: those of its flags, of its modality, and of pre-training where it has
        one.

    Raises
    ------
    AssertionError
        If a check fails; the message names the method, the check and what was seen.

    Notes
    -----
    A method whose network declares ``row_independent = False`` or ``padding_independent = False``, because its paper
    defines it so, is excused from these two checks.

    Examples
    --------
    >>> "gaps" in check_method("raw")
    True
    """
    spec = methods.to_config(methods.build(method))
    entry = methods[spec if isinstance(spec, str) else next(iter(spec))]
    modality = entry.modality
    if modality not in (SERIES, TABLE, PAIRED):
        modality = SERIES if X is None else modality_of(X)
    if X is None:
        X, y = _samples(modality)
    case = Case(spec, X if modality != SERIES else with_channels(X, spec), modality, y)
    suite = checks_of(modality, trains=case.pretrains, labelled=case.labelled)
    return run_checks(case.name, suite, lambda: case)


def checks_of(modality: str, *, trains: bool, labelled: bool = False) -> Mapping[str, Callable[[Case], None]]:
    """Checks for methods of a modality; one that is trained with labels needs more than one sample."""
    alone = {} if labelled else {"one_sample": checks.one_sample}
    trained = {**_TRAINING, **(_TRAINED_PAIRS if modality == PAIRED else {})} if trains else {}
    return {**_ANY, **alone, **trained, **_OF[modality]}


def _samples(modality: str) -> tuple[Any, Any]:
    """Real samples, the classes by turns."""
    from kinview.datasets.named import load

    if modality == PAIRED:
        series, labels = _samples(SERIES)
        return PairedData(series=series, table=_described(series)), labels
    data = load("italy_power_demand" if modality == SERIES else "wine")
    assert data.y_train is not None
    within = pd.Series(data.y_train).groupby(data.y_train).cumcount().to_numpy()
    rows = np.argsort(within, kind="stable")[:_ROWS]
    if modality == SERIES:
        return np.asarray(data.X_train, dtype=np.float64)[rows], data.y_train[rows]
    return data.X_train.iloc[rows].reset_index(drop=True), data.y_train[rows]


def _described(series: Any) -> pd.DataFrame:
    """A row for each series that says what it is like."""
    x = series[:, 0]
    rows = {"mean": x.mean(axis=1), "deviation": x.std(axis=1), "first": x[:, 0], "highest": x.argmax(axis=1) * 1.0}
    return pd.DataFrame(rows).assign(rises=np.where(x[:, -1] > x[:, 0], "yes", "no"))


_ANY: Mapping[str, Callable[[Case], None]] = {
    "flags_are_frozen": flags.flags_are_frozen,
    "uses_labels": flags.uses_labels,
    "trains": flags.trains,
    "passes_missing": flags.passes_missing,
    "control": flags.control,
    "network_of": flags.network_of,
    "uses": flags.uses,
    "config_round_trip": checks.config_round_trip,
    "one_vector_a_sample": checks.one_vector_a_sample,
    "seed": checks.seed,
    "no_global_randomness": checks.no_global_randomness,
    "saved_and_loaded": checks.saved_and_loaded,
    "saved_file_holds_no_rows": files.saved_file_holds_no_rows,
    "gaps": checks.gaps,
    "row_independent": checks.row_independent,
}
_TRAINING: Mapping[str, Callable[[Case], None]] = {
    "validation_changes_nothing": training.validation_changes_nothing,
    "thawed_parameters_train": training.thawed_parameters_train,
    "frozen_parts_in_eval_mode": training.frozen_parts_in_eval_mode,
    "few_samples": checks.few_samples,
    "resumed": checks.resumed,
    "loss_falls": checks.loss_falls,
    "effective_rank_kept": checks.effective_rank_kept,
    "chunks": training.chunks,
}
_SERIES: Mapping[str, Callable[[Case], None]] = {
    "channels": checks.channels,
    "unequal_length": checks.unequal_length,
    "padding_independent": checks.padding_independent,
    "any_length": checks.any_length,
}
_TABLES: Mapping[str, Callable[[Case], None]] = {
    "columns": checks.columns,
}
_PAIRS: Mapping[str, Callable[[Case], None]] = {"sides": checks.sides}
_TRAINED_PAIRS: Mapping[str, Callable[[Case], None]] = {
    "projections": checks.projections,
    "pairs_matter": checks.pairs_matter,
}
_OF = {SERIES: _SERIES, TABLE: _TABLES, PAIRED: _PAIRS}
