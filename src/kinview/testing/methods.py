"""The laws that every method keeps, as one public check.

Each law is a function of a case: the method under test and data of its modality. A law returns without a word, or
raises ``AssertionError`` saying what was promised and what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from kinview.data.modality import SERIES, TABLE, modality_of
from kinview.methods import methods
from kinview.testing import _method_flags as flags, _method_laws as laws
from kinview.testing._method_case import Case

__all__ = ["check_method", "laws_of"]

_ROWS = 40


def check_method(method: Any, *, X: Any = None, y: Any = None) -> tuple[str, ...]:
    """Check that a method keeps the laws of the package on a small real data set.

    Parameters
    ----------
    method : str, mapping or estimator
        A registered name, a spec ``{name: {parameter: value}}``, or an object. Small networks make the check quick; the
        laws hold for any size.
    X : array ``(n, channels, time)`` or DataFrame, optional
        Samples without gaps; by default 40 series of ItalyPowerDemand, or 40 rows of the wine data.
    y : array-like ``(n,)``, optional
        Labels of X; needed for a method that declares ``uses_labels``. The first two differ.

    Returns
    -------
    tuple of str
        The names of the laws that were checked: those of its flags, of its modality, and of pre-training where it has
        one.

    Raises
    ------
    AssertionError
        If a law is broken; the message names the method, the law and what was seen.

    Notes
    -----
    A method whose network declares ``row_independent = False`` or ``padding_independent = False``, because its paper
    defines it so, is excused from these two laws.

    Examples
    --------
    >>> "gaps" in check_method("raw")
    True
    """
    spec = methods.to_config(methods.build(method))
    entry = methods[spec if isinstance(spec, str) else next(iter(spec))]
    modality = entry.modality
    if modality not in (SERIES, TABLE):
        modality = SERIES if X is None else modality_of(X)
    if X is None:
        X, y = _samples(modality)
    case = Case(spec, X, modality, y)
    checked = laws_of(modality, trains=case.pretrains, labelled=case.labelled)
    for law, check in checked.items():
        try:
            check(case)
        except AssertionError as error:
            raise AssertionError(f"{case.name} breaks the law {law!r}: {error}") from error
        except Exception as error:
            raise AssertionError(
                f"{case.name} breaks the law {law!r}: it raises {type(error).__name__}: {error}"
            ) from error
    return tuple(checked)


def laws_of(modality: str, *, trains: bool, labelled: bool = False) -> Mapping[str, Callable[[Case], None]]:
    """The laws for methods of a modality; one that is trained with labels needs more than one sample."""
    alone = {} if labelled else {"one_sample": laws.one_sample}
    return {**_ANY, **alone, **(_TRAINING if trains else {}), **(_SERIES if modality == SERIES else _TABLES)}


def _samples(modality: str) -> tuple[Any, Any]:
    """Real samples, the classes by turns."""
    from kinview.datasets.named import load

    data = load("italy_power_demand" if modality == SERIES else "wine")
    assert data.y_train is not None
    within = pd.Series(data.y_train).groupby(data.y_train).cumcount().to_numpy()
    rows = np.argsort(within, kind="stable")[:_ROWS]
    if modality == SERIES:
        return np.asarray(data.X_train, dtype=np.float64)[rows], data.y_train[rows]
    return data.X_train.iloc[rows].reset_index(drop=True), data.y_train[rows]


_ANY: Mapping[str, Callable[[Case], None]] = {
    "flags_are_frozen": flags.flags_are_frozen,
    "uses_labels": flags.uses_labels,
    "trains": flags.trains,
    "passes_missing": flags.passes_missing,
    "control": flags.control,
    "network_of": flags.network_of,
    "config_round_trip": laws.config_round_trip,
    "one_vector_a_sample": laws.one_vector_a_sample,
    "seed": laws.seed,
    "no_global_randomness": laws.no_global_randomness,
    "saved_and_loaded": laws.saved_and_loaded,
    "gaps": laws.gaps,
    "row_independent": laws.row_independent,
}
_TRAINING: Mapping[str, Callable[[Case], None]] = {
    "few_samples": laws.few_samples,
    "resumed": laws.resumed,
    "loss_falls": laws.loss_falls,
    "effective_rank_kept": laws.effective_rank_kept,
}
_SERIES: Mapping[str, Callable[[Case], None]] = {
    "channels": laws.channels,
    "unequal_length": laws.unequal_length,
    "padding_independent": laws.padding_independent,
    "any_length": laws.any_length,
}
_TABLES: Mapping[str, Callable[[Case], None]] = {
    "columns": laws.columns,
}
