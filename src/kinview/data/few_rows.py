"""How many training rows a number or a name in a saved model rests on at least."""

from __future__ import annotations

__all__ = ["FEWEST_ROWS"]

FEWEST_ROWS = 5
"""Fewer might point to a person: a statistic of fewer rows is not kept, and a category of fewer has no name."""
