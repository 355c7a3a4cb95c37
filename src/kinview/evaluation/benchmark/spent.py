"""What a step of a benchmark took and made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kinview.training.history import thinned_history

__all__ = ["Spent"]


@dataclasses.dataclass
class Spent:
    """What a step took, and of a model its size and how its training went.

    Parameters
    ----------
    seconds : float
        Wall time.
    parameters : int, optional
        Weights of the network that training changes; None where there is no network.
    history : mapping, optional
        See :func:`kinview.training.history.thinned_history`; None where nothing was trained.
    """

    seconds: float = 0.0
    parameters: int | None = None
    history: Mapping[str, Any] | None = None

    def describe(self, fitted: Any) -> None:
        """Note the size and the training of a method that was just fitted."""
        network = fitted.fitted_network
        if network is None:
            return
        self.parameters = sum(p.numel() for p in network.method_.parameters() if p.requires_grad) or None
        training = getattr(fitted, "training_", None)
        self.history = None if training is None else thinned_history(training.history) or None
