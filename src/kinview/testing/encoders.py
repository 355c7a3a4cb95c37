"""Checks that every encoder passes, as one public function.

Each check is a function of a case: the encoder under test with samples of its modality. A check returns without a word,
or raises ``AssertionError`` saying what was promised and what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from kinview.data.modality import SERIES, TABLE
from kinview.encoders import encoders
from kinview.encoders.base import TableEncoder
from kinview.registry import name_and_parameters
from kinview.testing import _encoder_checks as checks
from kinview.testing._encoder_case import CARDINALITIES, CHANNELS, Case
from kinview.testing._suite import run_checks
from kinview.training.randomness import forked_generators

__all__ = ["check_encoder", "checks_of"]


def check_encoder(encoder: Any) -> tuple[str, ...]:
    """Names of the checks that an encoder passes; what it declares has to be true in both directions.

    It is tried on six series of up to 24 steps with gaps, of unequal length, one without any observation, with time
    stamps and without; an encoder of tables on rows of numbers and categories with missing and unknown cells.

    Parameters
    ----------
    encoder : str, mapping or Module
        A registered name, a spec ``{name: {parameter: value}}``, or an object. A spec is built for three channels, or
        for columns with the cardinalities 0, 0, 4, 0 and 3, unless it says others. Small networks make the check quick.

    Returns
    -------
    tuple of str
        The names of the checks that passed: those of every encoder, and those of its modality.

    Raises
    ------
    AssertionError
        If a check fails; the message names the encoder, the check and what was seen.

    Notes
    -----
    The invariants hold to 1e-5. An encoder that breaks one by its paper's definition declares ``row_independent =
    False`` or ``padding_independent = False``, and then has to break it here. ``hide`` is tried on series without gaps:
    what fills a gap may be a hidden value.

    Examples
    --------
    >>> "padding_independent" in check_encoder({"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}})
    True
    """
    given, modality = _built(encoder)
    name = type(given).__name__
    assert isinstance(given, torch.nn.Module), f"{name} is no encoder: derive it from SeriesEncoder or TableEncoder"
    case = Case.of(given, modality)
    return run_checks(name, checks_of(modality), lambda: case)


def _built(encoder: Any) -> tuple[Any, str]:
    """The encoder, its weights drawn from the seed 0 where they are drawn here, and its modality."""
    name, parameters = name_and_parameters(encoder)
    if name is None:
        return encoder, TABLE if isinstance(encoder, TableEncoder) or _reads_tables(encoder) else SERIES
    modality = encoders[name].modality or SERIES
    sizes = {"channels": CHANNELS} if modality == SERIES else {"cardinalities": list(CARDINALITIES)}
    context = {key: value for key, value in sizes.items() if key not in parameters}
    with forked_generators(0, torch.device("cpu")):
        return encoders.build(encoder, **context), modality


def _reads_tables(encoder: Any) -> bool:
    return "cardinalities" in (getattr(encoder, "config", None) or {})


def checks_of(modality: str) -> Mapping[str, Callable[[Case], None]]:
    """Checks for encoders of a modality."""
    return {**_ANY, **(_SERIES if modality == SERIES else {})}


_ANY: Mapping[str, Callable[[Case], None]] = {
    "parameters": checks.parameters,
    "inputs_unchanged": checks.inputs_unchanged,
    "no_global_randomness": checks.no_global_randomness,
    "copies": checks.copies,
    "shape": checks.shape,
    "finite": checks.finite,
    "config_round_trip": checks.config_round_trip,
    "row_independent": checks.row_independent,
    "gradients": checks.gradients,
    "state_dict": checks.state_dict,
}
_SERIES: Mapping[str, Callable[[Case], None]] = {
    "padding_independent": checks.padding_independent,
    "feature_lengths": checks.feature_lengths,
    "hide": checks.hide,
    "any_length": checks.any_length,
}
