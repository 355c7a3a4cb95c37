"""Checks that every label noise passes, as one public function.

Each check is a function of a case: the label noise under test with the rates that it is asked at. A check returns
without a word, or raises ``AssertionError`` saying what was promised and what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.label_noise.base import LabelNoise
from kinview.testing import _label_noise_checks as checks
from kinview.testing._label_noise_checks import Case
from kinview.testing._suite import check_rising, run_checks

__all__ = ["CHECKS", "check_label_noise"]


def check_label_noise(
    noise: Any,
    *,
    classes: Sequence[Any] = ("a", "b", "c"),
    rates: Sequence[float] = (0.1, 0.2, 0.35),
    exact: bool = True,
    nested: Literal["labels", "flips"] = "labels",
) -> tuple[str, ...]:
    r"""Names of the checks that a label noise passes: exact, nested, seeded, and looking at what it declares alone.

    It is tried on 60 samples with three features and in groups of unequal size, by sample and by group.

    Parameters
    ----------
    noise : str, mapping or LabelNoise
        A registered name, a spec ``{name: {parameter: value}}``, or an object. Its rate is one of ``rates``.
    classes : sequence
        The classes of the labels, for a noise that goes by their names or number.
    rates : sequence of float
        Rates to try, rising; lower ones for a noise that does not reach as far.
    exact : bool
        Whether the rate is that of the wrong labels: of n labels :math:`\mathrm{round}(\mathrm{rate} \cdot n)` are
        wrong. It is not where a label may be drawn again, or voted on.
    nested : {"labels", "flips"}
        What a higher rate keeps: the wrong labels, or only that they are wrong.

    Returns
    -------
    tuple of str
        The names of the checks that passed.

    Raises
    ------
    AssertionError
        If a check fails; the message names the noise, the check and what was seen.
    ValueError
        If the spec names no label noise, or the rates do not rise.

    Examples
    --------
    >>> "group_consistent" in check_label_noise("pair_flip")
    True
    >>> len(check_label_noise({"symmetric": {"inclusive": True}}, exact=False))
    11
    """
    check_rising(rates)
    part = noise if isinstance(noise, LabelNoise) else label_noise.build(noise, rate=rates[0])
    name = type(part).__name__
    assert isinstance(part, LabelNoise), f"{name} is no label noise: derive it from kinview.evaluation.LabelNoise"
    case = Case(part, tuple(classes), tuple(rates), exact, nested)
    return run_checks(name, CHECKS, lambda: case)


CHECKS: Mapping[str, Callable[[Case], None]] = {
    "parameters": checks.parameters,
    "config_round_trip": checks.config_round_trip,
    "inputs_unchanged": checks.inputs_unchanged,
    "same_seed": checks.same_seed,
    "no_global_randomness": checks.no_global_randomness,
    "copies": checks.copies,
    "among_classes": checks.among_classes,
    "exact_rate": checks.exact_rate,
    "nested": checks.nested,
    "group_consistent": checks.group_consistent,
    "needs": checks.needs,
}
