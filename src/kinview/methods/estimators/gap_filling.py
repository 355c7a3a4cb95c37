"""What fills the gaps of series in a method, and what it learns of training series."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from kinview.data.batch import Batch
from kinview.data.completion import Completion
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.front_end import Filling

__all__ = ["fillings", "learn_fillings"]


def fillings(module: nn.Module) -> Iterator[Filling]:
    """What fills gaps for the parts that read series; one inside an encoder reads what that makes of a series."""
    for part in module.children():
        own = part.gaps if isinstance(part, SeriesEncoder) else getattr(part, "front_end", part)
        if isinstance(own, Filling):
            yield own
        elif not isinstance(part, SeriesEncoder):
            yield from fillings(part)


def learn_fillings(method: nn.Module, batch: Batch) -> None:
    """Learn what completes series once for all encoders of a method that complete them alike."""
    learned: dict[tuple[int, int, bool], Completion] = {}
    for filling in fillings(method):
        if filling.learns:
            own = filling.completion
            alike = (own.channels, own.length, own.across)
            if alike in learned:
                own.load_state_dict(learned[alike].state_dict())
            else:
                filling.learn(batch.x, batch.times)
                learned[alike] = own
