"""What stands in the history of a training beside its loss, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["measured"]


def measured(history: Sequence[Mapping[str, float]]) -> list[str]:
    """The last value of each name, with its step where that is not the last one, and that of the untrained network.

    Examples
    --------
    >>> measured([{"loss": 2.0, "rank_me": 3.0}, {"loss": 1.5, "rank_me": 4.25}, {"loss": 1.0, "temporal": 0.5}])
    ['temporal 0.5', 'rank_me 4.25 at step 2 (untrained 3)']
    """
    found: dict[str, tuple[int, float]] = {}
    for step, record in enumerate(history, 1):
        found |= {name: (step, value) for name, value in record.items() if name != "loss"}
    lines = []
    for name, (step, value) in sorted(found.items(), key=lambda one: -one[1][0]):  # the latest first
        where = "" if step == len(history) else f" at step {step}"
        moves = step > 1 and name in history[0] and not name.endswith("_chance")
        untrained = f" (untrained {history[0][name]:.4g})" if moves else ""
        lines.append(f"{name} {value:.4g}{where}{untrained}")
    return lines
