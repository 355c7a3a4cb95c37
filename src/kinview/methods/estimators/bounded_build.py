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

__all__ = ["NotStored", "Unstored", "bounded", "check_described", "check_whole_numbers", "needed_for_embedding"]

# A network registers a few times as many layers and weights as it has stored tensors; heads and copies are not stored.
_REGISTRATIONS, _A_TENSOR = 2_000, 50
_WHOLE_NUMBER = 2**22  # of a parameter: a list of as many entries is made in no time
_OF_NO_SIZE = ("trainer", "random_state")  # parameters of which no network is built
_NOT_STORED = 2**28  # values of the parts that a file leaves out: projectors as wide as papers have them fit thrice
_MADE_ANEW = 2**24  # values of them (64 MiB) that are made whatever is stored, so that these parts are what they were
_TIMES_STORED = 10  # and so many times as many as are stored
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


class NotStored(nn.Module):
    """Stands for a part of a network that a file leaves out and that would take much memory; embedding does without."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, *_: Any) -> Any:
        """Refuse: there is nothing to compute with.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(f"the network needs its part {self.name!r}, which is not stored")


@dataclasses.dataclass(frozen=True)
class Unstored:
    """Parts of a network of which nothing is stored, and that take more memory than is due to what is.

    Parameters
    ----------
    parts : tuple of str
        Their names; they are direct children of the network.
    places : frozenset of int
        Which of the tensors are theirs, counted as they are registered while the network is built.
    """

    parts: tuple[str, ...] = ()
    places: frozenset[int] = frozenset()

    @contextlib.contextmanager
    def left_out(self) -> Iterator[None]:
        """Build, inside the block, the network with these tensors on the meta device: they take no memory."""
        place = -1

        def lay_aside(tensor: Tensor) -> Tensor | None:
            nonlocal place
            place += 1
            if place not in self.places:
                return None
            empty = torch.empty_like(tensor, device="meta")
            return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty

        with _registered(lay_aside) if self.places else contextlib.nullcontext():
            yield

    def replace_in(self, network: nn.Module) -> None:
        """Put :class:`NotStored` in the place of these parts."""
        for name in self.parts:
            setattr(network, name, NotStored(name))


@contextlib.contextmanager
def _registered(act: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Call ``act`` for each parameter and buffer that this thread registers; what it returns takes its place."""
    thread = threading.get_ident()

    def hook(_owner: nn.Module, _name: str, tensor: Any) -> Tensor | None:
        return act(tensor) if isinstance(tensor, Tensor) and threading.get_ident() == thread else None

    handles = [
        registration.register_module_parameter_registration_hook(hook),  # type: ignore[arg-type]  # it may return one
        registration.register_module_buffer_registration_hook(hook),  # type: ignore[arg-type]
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


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


def check_described(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> Unstored:
    """Compare names and shapes of the network that ``build`` makes with stored tensors, before it is allocated.

    Parameters
    ----------
    build : callable
        Makes the network; it is called on the meta device, where tensors have shapes and no memory.
    tensors : mapping of str to Tensor
        What is stored; what embedding does not need may be absent.

    Returns
    -------
    Unstored
        The parts that are absent and need not be allocated.

    Raises
    ------
    ValueError
        If a tensor has another shape or no place in the network, or what is absent is out of all proportion.
    """
    made: list[Tensor] = []
    with bounded(tensors), _registered(made.append):
        try:
            with torch.device("meta"):
                network = build()
                described = network.state_dict()
        except (NotImplementedError, RuntimeError) as error:
            if "meta tensor" in str(error):  # a part that reads values while it is built: only counted, as it is built
                return Unstored()
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
    absent = {name: value.numel() for name, value in described.items() if name not in tensors}
    due = _MADE_ANEW + _TIMES_STORED * sum(tensor.numel() for tensor in tensors.values())
    unstored = Unstored() if sum(absent.values()) <= due else _unstored(network, tensors, made)
    stored = {name.partition(".")[0] for name in tensors}
    for most, parts in (
        (due, stored),
        (_NOT_STORED, {name.partition(".")[0] for name in described} - set(unstored.parts)),
    ):
        lacking = sum(size for name, size in absent.items() if name.partition(".")[0] in parts)
        if lacking > most:
            raise ValueError(
                f"{lacking:,} weights of the network that is described are not stored; at most {most:,} are made anew"
            )
    return unstored


def _unstored(network: nn.Module, tensors: Mapping[str, Tensor], made: list[Tensor]) -> Unstored:
    """Children of a network on the meta device of which nothing is stored, and no other holds a tensor of theirs."""
    named = [*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False)]
    owners: dict[int, set[str]] = {}
    for name, tensor in named:
        owners.setdefault(id(tensor), set()).add(name.partition(".")[0] if "." in name else "")
    stored = {name.partition(".")[0] for name in tensors}
    shared = {owner for together in owners.values() if len(together) > 1 for owner in together}
    filled = set().union(*owners.values()) & {name for name, _ in network.named_children()}
    parts = filled - stored - shared
    if all(owners[id(parameter)] <= parts for parameter in network.parameters()):
        raise ValueError("none of the weights of the network that is described is stored")
    places = {place for place, tensor in enumerate(made) if owners.get(id(tensor), {""}) <= parts}
    return Unstored(tuple(sorted(parts)), frozenset(places))


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
