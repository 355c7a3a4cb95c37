"""Checks that every loss passes, as one public function.

Each check is a function of a case: the loss under test and a way to draw inputs for it. A check returns without a word,
or raises ``AssertionError`` saying what was promised and what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kinview.losses import losses
from kinview.testing import _loss_checks as checks, _loss_flags as flags
from kinview.testing._loss_case import DIM, Case, Inputs, call, default_inputs
from kinview.testing._suite import run_checks

__all__ = ["CHECKS", "Inputs", "check_loss"]


def check_loss(loss: Any, *, inputs: Inputs | None = None, views: tuple[str, str] | None = None) -> tuple[str, ...]:
    """Names of the checks that a loss passes; its flags have to tell the truth in both directions.

    Parameters
    ----------
    loss : str, mapping or Loss
        A registered name, a spec ``{name: {parameter: value}}``, or an object.
    inputs : callable, optional
        ``inputs(n, generator)`` returns the arguments of ``forward`` by name for n rows, tensors in float64 where
        floating. By default every required positional argument of ``forward`` is a view ``(n, 8)``, and ``labels`` and
        ``groups`` are made for a loss that needs them. Tensors of length n (at n = 6) are taken to hold one entry a
        row.
    views : (str, str), optional
        The two arguments that ``symmetric`` speaks of; the first two of ``forward`` by default.

    Returns
    -------
    tuple of str
        The names of the checks that passed.

    Raises
    ------
    AssertionError
        If a check fails; the message names the loss, the check and what was seen.
    ValueError
        If the inputs do not fit ``forward``, which is tried once before the checks: give ``inputs=`` that do.

    Notes
    -----
    A loss without negatives may look at other rows, but only as a distribution. So ``needs_negatives = False`` is
    proved by one of three: the gradient of a row does not change with the other rows (negative cosine); the value does
    not change when rows are mixed by a rotation that keeps their means and second moments (Barlow Twins, VICReg); or it
    does not change when the batch is repeated (SwAV). A loss with negatives fails the first two (and mostly the third,
    but a miner may pass over exact copies). ``gathers`` needs several processes and is not checked here.

    Examples
    --------
    >>> "symmetric" in check_loss("vicreg")
    True
    """
    built = losses.build(loss)
    name = type(built).__name__
    case = Case(name, built, inputs or default_inputs(built), views)
    _try_once(case, "the given inputs" if inputs else f"the default inputs, views (n, {DIM}),")
    return run_checks(name, CHECKS, lambda: case, remedies=_REMEDIES)


def _try_once(case: Case, what: str) -> None:
    arguments = case.draw()
    try:
        call(case.fresh(), arguments)
    except Exception as error:
        raise ValueError(
            f"{what} do not fit {case.name}, which raises {type(error).__name__}: {error}. If the loss is right, give "
            f"inputs=, a function of (n, generator) that returns by name what forward takes ({', '.join(arguments)})"
        ) from error


_REMEDIES: Mapping[str, str] = {
    "precision": (
        "; compute on widen(view) within full_precision(view), both from kinview.losses.base: float32 at least, "
        "autocast off"
    ),
}


CHECKS: Mapping[str, Callable[[Case], None]] = {
    "flags_are_frozen": flags.flags_are_frozen,
    "config_round_trip": checks.config_round_trip,
    "inputs_unchanged": checks.inputs_unchanged,
    "scalar_with_gradient": checks.scalar_with_gradient,
    "needs_labels": lambda case: flags.needs(case, "labels"),
    "needs_groups": lambda case: flags.needs(case, "groups"),
    "symmetric": flags.symmetric,
    "needs_negatives": flags.needs_negatives,
    "row_order": checks.row_order,
    "few_rows": checks.few_rows,
    "duplicates": checks.duplicates,
    "precision": checks.precision,
    "small_temperature": checks.small_temperature,
    "non_finite": checks.non_finite,
    "shapes": checks.shapes,
    "no_global_randomness": checks.no_global_randomness,
    "state_in_buffers": checks.state_in_buffers,
}
