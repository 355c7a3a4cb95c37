"""Checks that every corruption passes, as one public function.

Each check is a function of a case: the corruption under test on one kind of data, at several rates. A check returns
without a word, or raises ``AssertionError`` saying what was promised and what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kinview.data.modality import SERIES, TABLE
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Corruption
from kinview.testing import _corruption_checks as checks
from kinview.testing._corruption_case import Case, Unit
from kinview.testing._suite import check_rising, run_checks

__all__ = ["CHECKS", "check_corruption"]

_RATES = (0.1, 0.25, 0.5)


def check_corruption(
    corruption: Any, *, unit: Unit | None = "cell", rates: Sequence[float] = _RATES, modality: str | None = None
) -> tuple[str, ...]:
    r"""Names of the checks that a corruption passes: exact, nested, seeded, and looking at what it declares alone.

    It is tried on 12 series ``(12, 4, 20)`` of unequal length with gaps, uneven times, groups A, B and C, two labels
    and the static columns ``site`` and ``sex``; and on a table of 60 rows with gaps and columns of numbers, text and
    booleans; on one of both where it is registered for that. Columns are named by their number.

    Parameters
    ----------
    corruption : str, mapping or Corruption
        A registered name, a spec ``{name: {parameter: value}}``, or an object. Its rate is one of ``rates``.
    unit : {"cell", "timestep", "channel", "column"}, callable or None
        What the rate counts: single values; steps of a series with all their channels; channels of a series; columns of
        the whole set. Of :math:`N` units with an observation exactly :math:`\mathrm{round}(\mathrm{rate} \cdot N)`
        go. A function of ``(shape, given)`` returns a number for each cell, that of its unit, or -1 where the rate does
        not count it; ``given`` holds times, groups, y and static. With None the rate is a strength, and neither
        exactness nor nesting is asked of which cells change.
    rates : sequence of float
        Severities to try, rising; lower ones for a corruption that does not reach as far.
    modality : {"time_series", "tabular"}, optional
        On which data alone it is tried.

    Returns
    -------
    tuple of str
        The names of the checks that passed.

    Raises
    ------
    AssertionError
        If a check fails; the message names the corruption, the check and what was seen.
    ValueError
        If the spec names no corruption, or the rates do not rise.

    Notes
    -----
    A need is proved by taking it away: without it the corruption has to fail, or to remove other cells. What it does
    not declare it is not handed; that it does not look at it in another way is proved by leaving it out. That a
    mechanism makes values missing in the way that its name says is not checked here.

    Examples
    --------
    >>> "nested" in check_corruption("mcar")
    True
    >>> len(check_corruption({"mcar": {"mode": "timestep"}}, unit="timestep", modality="time_series"))
    13
    """
    check_rising(rates)
    part = corruption if isinstance(corruption, Corruption) else corruptions.build(corruption, rate=rates[0])
    name = type(part).__name__
    assert isinstance(part, Corruption), f"{name} is no corruption: derive it from kinview.evaluation.Corruption"
    cases = [Case(part, kind, unit, tuple(rates)) for kind in ((SERIES, TABLE) if modality is None else (modality,))]
    if modality is None:
        cases = [case for case in cases if _is_for(case)]
    assert cases, f"{name} can be tried on neither the series nor the table (see why_not): no check was run"
    for case in cases:
        run_checks(name, CHECKS, lambda case=case: case, on=case.kind)  # type: ignore[misc]
    return tuple(CHECKS)


def _is_for(case: Case) -> bool:
    """Whether a corruption can be asked of a kind of data, by its entry and by what it says itself."""
    try:
        registered = corruptions[corruptions.name_of(case.part)].modality
    except ValueError:
        registered = None
    if registered not in (None, "any", case.kind):
        return False
    given = case.given()
    return case.part.why_not(case.samples(), groups=given["groups"], static=given["static"]) is None


CHECKS: Mapping[str, Callable[[Case], None]] = {
    "parameters": checks.parameters,
    "config_round_trip": checks.config_round_trip,
    "inputs_unchanged": checks.inputs_unchanged,
    "same_seed": checks.same_seed,
    "no_global_randomness": checks.no_global_randomness,
    "copies": checks.copies,
    "gaps_kept": checks.gaps_kept,
    "exact_rate": checks.exact_rate,
    "nested": checks.nested,
    "needs": checks.needs,
    "learned_from_training": checks.learned_from_training,
    "containers": checks.containers,
    "nothing_observed": checks.nothing_observed,
}
