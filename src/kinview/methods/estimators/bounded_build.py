"""Networks that a file describes: nothing is allocated that the file merely claims."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration
from torch.utils._python_dispatch import TorchDispatchMode

from kinview.training.method import Method

__all__ = ["bounded", "check_described", "check_whole_numbers", "needed_for_embedding"]

# A network registers a few times as many layers and weights as it has stored tensors; heads and copies are not stored.
_REGISTRATIONS, _A_TENSOR = 2_000, 50
_WHOLE_NUMBER = 2**22  # of a parameter: a list of as many entries is made in no time
_OF_NO_SIZE = ("trainer", "random_state")  # parameters of which no network is built
_NOT_STORED = 2**28  # values of the parts that a file leaves out: projectors as wide as papers have them fit thrice
_SOME_STEPS = 256  # of the sample that shows which tensors an embedding rests on
_STEPS_A_FEATURE = 64  # that a network of fixed length reads for one of its features, at most
_SPENT = 2**28  # values that embedding that sample computes


def check_whole_numbers(config: Any, name: str = "a parameter") -> None:
    """Refuse a config from a file with a number that is no size, before a list of that size is made.

    Raises
    ------
    ValueError
        For a whole number beyond what a network can have of anything; its parameter is named.
    """
    if isinstance(config, int) and abs(config) > _WHOLE_NUMBER:
        shown = f"{config:,}" if abs(config) < 10**18 else "a number of more than 18 digits"
        raise ValueError(f"{name} is {shown}; a network in a file has at most {_WHOLE_NUMBER:,} of anything")
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key not in _OF_NO_SIZE:
                check_whole_numbers(value, str(key))
    elif isinstance(config, list | tuple):
        for value in config:
            check_whole_numbers(value, name)


@contextlib.contextmanager
def bounded(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Refuse, inside the block, to build a network that outgrows the tensors that are there for it.

    Raises
    ------
    ValueError
        As soon as it has more layers, or more weights, than these tensors and the parts beside them may need.
    """
    thread, layers, values = threading.get_ident(), 0, 0
    most_layers = _REGISTRATIONS + _A_TENSOR * len(tensors)
    most_values = _NOT_STORED + sum(tensor.numel() for tensor in tensors.values())

    def count(_owner: nn.Module, _name: str, part: Any) -> None:
        nonlocal layers, values
        if threading.get_ident() != thread:  # a network that another thread builds
            return
        layers += 1
        values += part.numel() if isinstance(part, Tensor) else 0
        if layers > most_layers or values > most_values:
            raise ValueError(
                f"it describes a network of more than {most_layers:,} layers or {most_values:,} weights, and holds "
                f"{len(tensors):,} tensors for it"
            )

    handles = [
        registration.register_module_module_registration_hook(count),
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_described(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> None:
    """Compare names and shapes of the network that ``build`` makes with stored tensors, before it is allocated.

    Parameters
    ----------
    build : callable
        Makes the network; it is called on the meta device, where tensors have shapes and no memory.
    tensors : mapping of str to Tensor
        What is stored; what embedding does not need may be absent.

    Raises
    ------
    ValueError
        If a tensor has another shape or no place in the network, or what is absent is out of all proportion.
    """
    with bounded(tensors):
        try:
            with torch.device("meta"):
                described = build().state_dict()
        except (NotImplementedError, RuntimeError) as error:
            if "meta tensor" in str(error):  # a part that reads values while it is built: only counted, as it is built
                return
            raise
    unknown = sorted(set(tensors) - set(described))
    if unknown:
        raise ValueError(f"the network that is described has no place for the tensors {', '.join(unknown[:5])}")
    for name, tensor in tensors.items():
        if described[name].shape != tensor.shape:
            raise ValueError(
                f"the tensor {name} is {_shape(tensor)}, and the network that is described needs "
                f"{_shape(described[name])}"
            )
    absent = sum(value.numel() for name, value in described.items() if name not in tensors)
    if absent > _NOT_STORED:
        raise ValueError(
            f"{absent:,} weights of the network that is described are not stored; at most {_NOT_STORED:,} are made anew"
        )


def needed_for_embedding(method: Method, tensors: Mapping[str, Tensor]) -> set[str]:
    """Names of the tensors that an embedding rests on, found with a sample of bounded size (not the size that is said).

    Raises
    ------
    ValueError
        If embedding even that takes more than a network with these tensors needs.
    """
    said, widest = method.sizes, max((size for tensor in tensors.values() for size in tensor.shape), default=1)
    longest = max(_SOME_STEPS, min(said.length, _STEPS_A_FEATURE * widest))
    channels = min(said.channels, max(_SOME_STEPS, widest))
    lengths = sorted({min(said.length, _SOME_STEPS), min(said.length, longest)})
    try:
        for length in lengths:  # a network of fixed length refuses another one
            method.sizes = dataclasses.replace(said, channels=channels, length=length)
            try:
                with _Spending(_SPENT):
                    return set(method.inference_state())
            except (RuntimeError, ValueError, AssertionError, IndexError):
                if length == lengths[-1]:
                    raise
    finally:
        method.sizes = said
    raise AssertionError("there is a length")


class _Spending(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the values that operations make, and stop at a limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.left = limit

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = result if isinstance(result, tuple | list) else (result,)
        self.left -= sum(one.numel() for one in made if isinstance(one, Tensor))
        if self.left < 0:
            raise ValueError("embedding one sample takes more than a network of its tensors needs")
        return result


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"
