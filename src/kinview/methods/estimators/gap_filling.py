"""What fills the gaps of series in a method, and what it learns of training series."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from kinview.data.batch import Batch
from kinview.data.completion import Completion
from kinview.data.panel import TimeUnit
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.front_end import Filling

__all__ = ["check_time_unit", "fillings", "learn_fillings", "reads_times"]


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


def reads_times(network: nn.Module) -> bool:
    """Whether an encoder of series is shown time stamps, so that an embedding depends on them."""
    return any(getattr(filling, "mode", "") == "values+mask+delta" for filling in fillings(network))


def check_time_unit(network: nn.Module, found: TimeUnit | None, at_fit: TimeUnit | None, *, read: bool) -> None:
    """Refuse time stamps of another kind than at fit where an embedding depends on them.

    It does where they are read, and, of series that have stamps, where a completion knows a typical step.

    Raises
    ------
    ValueError
        What they are, and what they were at fit.
    """
    known = [filling.completion for filling in fillings(network) if filling.learns]
    compared = any(bool(each.step > 0) and bool(each.completed.any()) for each in known)
    if found == at_fit or not (read or (found is not None and compared)):
        return
    words = {"seconds": "dates or durations", "numbers": "numbers", "periods": "periods", None: "none"}
    raise ValueError(
        f"the time stamps of X are {words[found]}, at fit they were {words[at_fit]}: an interval would mean something "
        f"else; give time stamps of the same kind"
    )
