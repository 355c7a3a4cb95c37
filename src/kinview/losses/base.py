"""What every loss is: a torch module that declares its needs as frozen class attributes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn

from kinview.old_pickles import FromPickle
from kinview.registry import changed_parameters
from kinview.tensor_checks import check_views, full_precision, widen

# with what an author of a loss needs to check and to compute it as the others do
__all__ = ["FLAGS", "Loss", "check_views", "full_precision", "linear", "own_generator", "widen"]

FLAGS = ("needs_labels", "needs_groups", "needs_negatives", "symmetric", "gathers")


class _FrozenFlags(type):
    """Flags are declared in a class body and never assigned: a promise that a test has proved must not change later."""

    def __setattr__(cls, name: str, value: Any) -> None:
        _refuse_flag(cls.__name__, name)
        super().__setattr__(name, value)

    def __delattr__(cls, name: str) -> None:
        _refuse_flag(cls.__name__, name)
        super().__delattr__(name)


class Loss(FromPickle, nn.Module, metaclass=_FrozenFlags):
    """Base class of the losses: an ``nn.Module`` with five frozen flags.

    Two views come in as ``forward(a, b)`` with one row a sample; what else a row has comes by keyword (``labels=``,
    ``groups=``, ``index=``, ``queue=``). The value is a scalar.

    Attributes
    ----------
    needs_labels : bool
        Refuses to work without ``labels=``.
    needs_groups : bool
        Refuses to work without ``groups=``.
    needs_negatives : bool
        Uses the other rows of the batch as negatives, so a batch of one row teaches nothing.
    symmetric : bool
        Swapping the two views leaves the value as it is.
    gathers : bool
        Under ``torch.distributed`` the rows of all processes take part: loss and gradients are those of one process
        with the whole batch.
    target_first : bool
        Takes the target before the prediction where the two differ: the rows whose neighbours NNCLR seeks.

    Examples
    --------
    >>> class Distance(Loss):
    ...     symmetric = True
    ...
    ...     def forward(self, a, b):
    ...         return (a - b).square().mean()
    >>> Distance.flags()["symmetric"], Distance.flags()["gathers"]
    (True, False)
    >>> Distance.symmetric = False
    Traceback (most recent call last):
    ...
    AttributeError: Distance.symmetric is a frozen flag; declare it in the body of the class
    """

    needs_labels: ClassVar[bool] = False
    needs_groups: ClassVar[bool] = False
    needs_negatives: ClassVar[bool] = False
    symmetric: ClassVar[bool] = False
    gathers: ClassVar[bool] = False
    target_first: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for flag in FLAGS:
            if not isinstance(getattr(cls, flag), bool):
                raise TypeError(f"{cls.__name__}.{flag} must be True or False; got {getattr(cls, flag)!r}")

    @classmethod
    def flags(cls) -> dict[str, bool]:
        """The five flags by name."""
        return {flag: getattr(cls, flag) for flag in FLAGS}

    def extra_repr(self) -> str:
        """The parameters that differ from their defaults, in the printed module."""
        try:
            return ", ".join(f"{name}={value!r}" for name, value in changed_parameters(self).items())
        except (AttributeError, TypeError):  # not kept under their names, or without a config: check_loss says so
            return ""

    def __setattr__(self, name: str, value: Any) -> None:
        _refuse_flag(type(self).__name__, name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        _refuse_flag(type(self).__name__, name)
        super().__delattr__(name)


def _refuse_flag(owner: str, name: str) -> None:
    if name in FLAGS:
        raise AttributeError(f"{owner}.{name} is a frozen flag; declare it in the body of the class")


def own_generator() -> torch.Generator:
    """Generator in the state of the global one, which stays where it is: for the initial weights of a loss.

    So building a loss leaves the caller's random numbers alone, and the weights follow the seed all the same. Two
    losses built one after the other have equal weights.
    """
    device = torch.empty(0).device  # the default one; "meta" draws nothing
    if device.type in ("cpu", "meta"):
        generator = torch.Generator()
        generator.set_state(torch.get_rng_state())
        return generator
    return torch.Generator(device).manual_seed(torch.initial_seed())


def linear(in_features: int, out_features: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """``nn.Linear`` whose initial weights, the same as torch's, are drawn from a generator of their own."""
    layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, in_features, out_features, bias, device=torch.empty(0).device
    )
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    if bias:
        bound = 1 / math.sqrt(in_features)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
