"""Tiers of tests that plain ``pytest`` leaves out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

TIERS = ("slow", "fuzz", "nightly")


def refuse_two_tiers(items: Iterable[pytest.Item]) -> None:
    """Refuse a test of two tiers: it would run twice."""
    for item in items:
        tiers = [name for name in TIERS if item.get_closest_marker(name)]
        if len(tiers) > 1:
            raise pytest.UsageError(f"{item.nodeid} is marked {' and '.join(tiers)}; a test belongs to one tier")
