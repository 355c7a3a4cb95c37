"""Checks that every probe passes, as one public function.

Each check is a function of a case: the probe under test. A check returns without a word, or raises ``AssertionError``
saying what was promised and what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kinview.evaluation.probes import probes
from kinview.evaluation.probes.base import Probe
from kinview.testing import _probe_checks as checks
from kinview.testing._probe_checks import Case
from kinview.testing._suite import run_checks

__all__ = ["CHECKS", "check_probe"]


def check_probe(probe: Any) -> tuple[str, ...]:
    """Names of the checks that a probe passes, on up to 90 rows of two to four classes that lie far apart.

    Parameters
    ----------
    probe : str, mapping or Probe
        A registered name, a spec ``{name: {parameter: value}}``, or an object.

    Returns
    -------
    tuple of str
        The names of the checks that passed.

    Raises
    ------
    AssertionError
        If a check fails; the message names the probe, the check and what was seen.
    ValueError
        For a probe that trains the fitted network (``needs_model``): its contract is that of a method.

    Notes
    -----
    Scores of a row beside others are compared to 1e-7, since products of other sizes round in another way; all else bit
    by bit. What an error says is checked by a word.

    Examples
    --------
    >>> "label_types" in check_probe("ridge")
    True
    """
    part = probes.build(probe)
    name = type(part).__name__
    assert isinstance(part, Probe), f"{name} is no probe: derive it from kinview.evaluation.probes.Probe"
    if part.needs_model:
        raise ValueError(f"{name} trains the network of a fitted model (needs_model), and is given no representations")
    return run_checks(name, CHECKS, lambda: Case(part))


CHECKS: Mapping[str, Callable[[Case], None]] = {
    "config_round_trip": checks.config_round_trip,
    "parameters": checks.parameters,
    "inputs_unchanged": checks.inputs_unchanged,
    "no_global_randomness": checks.no_global_randomness,
    "same_seed": checks.same_seed,
    "copies": checks.copies,
    "scores_follow_classes": checks.scores_follow_classes,
    "label_types": checks.label_types,
    "rows_alone": checks.rows_alone,
    "few_members": checks.few_members,
    "columns": checks.columns,
    "groups": checks.groups,
    "accepts_missing": checks.accepts_missing,
    "refuses": checks.refuses,
}
