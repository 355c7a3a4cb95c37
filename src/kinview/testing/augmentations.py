"""Checks that every augmentation passes, as one public function.

Each check is a function of a case: the augmentation under test on one kind of data, and ways to draw batches for it. A
check returns without a word, or raises ``AssertionError`` saying what was promised and what was seen.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from kinview.augmentations import augmentations
from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.testing import (
    _augmentation_channels as channels,
    _augmentation_checks as checks,
    _augmentation_edges as edges,
    _augmentation_flags as flags,
    _augmentation_objects as objects,
)
from kinview.testing._augmentation_case import KINDS, Case
from kinview.testing._suite import run_checks

__all__ = ["CHECKS", "check_augmentation"]


def check_augmentation(augmentation: Any, *, batch: Batch | None = None) -> tuple[str, ...]:
    """Names of the checks that an augmentation passes; its flags have to tell the truth in both directions.

    Parameters
    ----------
    augmentation : str, mapping, list or Augmentation
        A registered name, a spec ``{name: {parameter: value}}``, a list of these, or an object. What it learns, it
        learns here, from random training rows; one that needs a loss is given one.
    batch : Batch, optional
        Rows to try it on, where random ones will not do: those of its modality are drawn by default, series ``(n, 3,
        128)`` with time stamps at 512 Hz, tables of numbers and categories with their schema, embeddings ``(n, 64)``,
        all with groups and labels. An augmentation for any modality is tried on series and on tables.

    Returns
    -------
    tuple of str
        The names of the checks that passed.

    Raises
    ------
    AssertionError
        If a check fails; the message names the augmentation, the check and what was seen.

    Notes
    -----
    That padding changes nothing is shown with random numbers that depend on their place in the drawn tensor alone, so
    that a longer series has the same ones. That the default changes something in 99 % of random rows is shown with a
    parameter ``p``, where there is one, set to 1, and then at its default in a fraction p of them. A check that does
    not apply (time stamps of a table) is passed over.

    Examples
    --------
    >>> "moves_time" in check_augmentation("crop_pair")
    True
    """
    given = augmentations.build(augmentation)
    if isinstance(given, type):
        raise AssertionError(f"{given.__name__} is a class: give an object, check_augmentation({given.__name__}(...))")
    name = type(given).__name__
    if not isinstance(given, Augmentation):
        raise AssertionError(
            f"{name} fails the check 'flags_are_declared': an augmentation is a subclass of "
            "kinview.augmentations.base.Augmentation"
        )
    bare = not dataclasses.is_dataclass(given)
    if bare or any(isinstance(value, dataclasses.Field) for value in vars(type(given)).values()):
        raise AssertionError(
            f"{name} fails the check 'parameters': its fields are not parameters yet: write "
            f"@dataclasses.dataclass(frozen=True) above class {name}"
        )
    for kind in _kinds(given, batch):
        run_checks(name, CHECKS, functools.cache(functools.partial(Case.of, given, kind, batch)), on=kind)
    return tuple(CHECKS)


def _kinds(given: Augmentation, batch: Batch | None) -> tuple[str, ...]:
    """Kinds of data to try it on."""
    if given.modality in KINDS:
        return (given.modality,)
    if batch is not None:
        return ("time_series",) if batch.x.ndim == 3 else ("tabular",)
    return ("time_series", "tabular")


CHECKS: Mapping[str, Callable[[Case], None]] = {
    "parameters": objects.parameters,
    "flags_are_declared": flags.flags_are_declared,
    "n_views": flags.n_views,
    "modality": flags.modality,
    "inputs_unchanged": checks.inputs_unchanged,
    "no_global_randomness": checks.no_global_randomness,
    "changes_length": flags.changes_length,
    "makes_gaps": flags.makes_gaps,
    "same_seed": checks.same_seed,
    "shape_and_type": checks.shape_and_type,
    "moves_time": flags.moves_time,
    "mixes_rows": flags.mixes_rows,
    "chooses_partners": flags.chooses_partners,
    "mixes_channels": channels.mixes_channels,
    "needs": flags.needs,
    "network": flags.network,
    "rows_draw_alone": checks.rows_draw_alone,
    "carried_along": checks.carried_along,
    "bare_tensor": checks.bare_tensor,
    "sizes": edges.sizes,
    "nothing_to_see": edges.nothing_to_see,
    "padding": edges.padding,
    "categories": checks.categories,
    "sign": channels.sign,
    "changes_something": checks.changes_something,
    "strength": checks.strength,
    "learning": objects.learning,
    "copies": objects.copies,
    "config_round_trip": objects.config_round_trip,
    "loops": checks.loops,
    "long_series": edges.long_series,
}
