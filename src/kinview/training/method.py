"""What a pre-training method is to the rest of the package."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.batch import Batch

__all__ = ["LossResult", "Method", "PairSizes", "Sizes"]

_SOME_STEPS = 16  # of a series whose length is not known
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the data that a network is built for: what a method has to know of them before its first batch.

    Parameters
    ----------
    channels, length : int
        Of series; 0 for a table, or where the length is not known.
    cardinalities : tuple of int
        One a column of a table, 0 for a number; see :class:`kinview.encoders.TableFrontEnd`. Empty for series.
    rows : int
        Training rows; 0 where there are none.

    Examples
    --------
    >>> Sizes(channels=3, length=140).modality
    'time_series'
    >>> Sizes.from_config(Sizes(cardinalities=(0, 4), rows=50).to_config())
    Sizes(channels=0, length=0, cardinalities=(0, 4), rows=50)
    """

    channels: int = 0
    length: int = 0
    cardinalities: tuple[int, ...] = ()
    rows: int = 0

    @property
    def modality(self) -> Literal["time_series", "tabular", "paired"]:
        """Which data these are sizes of."""
        return "tabular" if self.cardinalities else "time_series"

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file."""
        return {**dataclasses.asdict(self), "cardinalities": list(self.cardinalities)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_config`."""
        return cls(**{**config, "cardinalities": tuple(config["cardinalities"])})


@dataclasses.dataclass(frozen=True)
class PairSizes(Sizes):
    """Sizes of the two sides of paired data.

    Parameters
    ----------
    first, second : Sizes
        Of each side.

    Examples
    --------
    >>> sizes = PairSizes.of(Sizes(channels=2, length=48, rows=30), Sizes(cardinalities=(0, 3), rows=30))
    >>> sizes.modality, sizes.rows, PairSizes.from_config(sizes.to_config()) == sizes
    ('paired', 30, True)
    """

    first: Sizes = dataclasses.field(default_factory=Sizes)
    second: Sizes = dataclasses.field(default_factory=Sizes)

    @classmethod
    def of(cls, first: Sizes, second: Sizes) -> Self:
        """Those of two sides."""
        return cls(rows=first.rows, first=first, second=second)

    @property
    def modality(self) -> Literal["time_series", "tabular", "paired"]:
        """That of pairs."""
        return "paired"

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file."""
        return {"first": self.first.to_config(), "second": self.second.to_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_config`."""
        return cls.of(Sizes.from_config(config["first"]), Sizes.from_config(config["second"]))


_UNKNOWN = Sizes()


class LossResult(NamedTuple):
    """Result of a loss.

    Attributes
    ----------
    loss : Tensor
        The scalar that training lowers.
    logs : mapping of str to float
        What to log beside it.
    carry : mapping of str to Tensor
        What :meth:`Method.after_step` needs of the forward pass (keys, assignments), one row a sample or as the method
        likes. The trainer detaches it, and validation drops it.
    """

    loss: Float[Tensor, ""]
    logs: Mapping[str, float] = _NOTHING
    carry: Mapping[str, Tensor] = _NOTHING


class Method(nn.Module, ABC):
    """A paper's recipe: which views, which encoder, which loss.

    A method knows no loop, no file and no data type. All its state is parameters and buffers, so that a checkpoint is
    its ``state_dict``. It is made by ``Method(parameters, sizes)``: an estimator whose fields are the parameters, which
    the method reads and does not keep, and the :class:`Sizes` of the data, which ``super().__init__(sizes)`` keeps. It
    declares no parameter of its own.

    One step of training calls :meth:`before_step`, :meth:`views`, :meth:`loss`, the optimiser, and :meth:`after_step`.
    Validation calls :meth:`loss` alone, in eval mode: then it changes no buffer. In train mode it changes the running
    statistics of normalisation layers, and nothing else: what a step leaves behind (momentum encoder, queue, memory
    bank) is written by :meth:`after_step`, so that held-out rows never reach it.

    Attributes
    ----------
    training_defaults : dict
        The paper's values of :class:`~kinview.Trainer` fields.
    min_rows : int
        Fewest rows of which a step can be made: 2 where the loss contrasts the rows of a batch with one another.
    gives_loss : frozenset of str
        Attributes that hold a view which raises a loss, where :meth:`views` binds that loss.
    """

    training_defaults: ClassVar[dict[str, Any]] = {}
    min_rows: ClassVar[int] = 1
    gives_loss: ClassVar[frozenset[str]] = frozenset()
    sizes: Sizes

    def __init__(self, sizes: Sizes = _UNKNOWN) -> None:
        super().__init__()
        self.sizes = sizes

    def before_step(self, progress: float) -> None:
        """Change what depends on progress, before the views of a step are made: freezing, thawing, schedules.

        What starts or stops to require a gradient here changes its mode with ``self.train()``.
        """

    @abstractmethod
    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Views of one batch; ``progress`` runs from 0 to 1 over training."""

    @abstractmethod
    def loss(self, views: list[Batch]) -> LossResult:
        """Loss of the views, what to log beside it, and what :meth:`after_step` needs."""

    def nothing_to_learn(self) -> LossResult:
        """Loss of a batch with fewer rows than can be contrasted: zero, with a zero gradient for every parameter."""
        return LossResult(torch.stack([parameter.sum() * 0.0 for parameter in self.parameters()]).sum())

    def compared(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """Representations of the views of one draw, in which those of a sample should be near: what is measured."""
        return [self.embed(view) for view in views]

    @abstractmethod
    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representation of each row; a row's does not depend on the other rows."""

    def after_step(self, progress: float, views: list[Batch], carry: Mapping[str, Tensor]) -> None:
        """Update what follows an optimiser step (momentum encoder, queue, memory bank), from what its loss carried."""

    def after_training(self, rows: Batch, rows_a_chunk: int, generator: torch.Generator) -> None:
        """Learn what embedding needs of the network as it is in the end, as buffers; nothing by default.

        The estimator calls it in eval mode and without gradients: after training, for an untrained control too, and
        when the model is taken to other series (then with theirs). ``rows`` are the samples of fit, prepared as for
        :meth:`embed` and on the CPU; ``rows_a_chunk`` of them can go through the network at once. No statistic of fewer
        than five rows is kept.
        """

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters for the optimiser, as torch's parameter groups; those that are frozen at first among them.

        A parameter without a gradient is left as it is at a step, by weight decay too.
        """
        return [{"params": list(self.parameters())}]

    def train(self, mode: bool = True) -> Method:
        """Train mode for what is trained; a part whose parameters are all frozen stays in eval mode."""
        super().train(mode)
        if mode:
            for part in self.modules():
                own = list(part.parameters())
                if own and not any(parameter.requires_grad for parameter in own):
                    part.eval()
        return self

    def inference_state(self) -> dict[str, Tensor]:
        """Tensors that a shared file may hold: those of the parts that :meth:`embed` calls.

        Projectors, predictors, momentum encoders and queues are none of these. They are found by embedding one sample;
        a method whose embedding rests on more, or on buffers of its own, says so by overriding this.
        """
        used: set[nn.Module] = set()
        parts = dict(self.named_children())
        hooks = [
            inner.register_forward_pre_hook(lambda _module, _inputs, part=part: used.add(part))
            for part in parts.values()
            for inner in part.modules()
        ]
        training = self.training
        try:
            self.eval()
            with torch.enable_grad():
                z = self.embed(self._one_sample())
            used |= self._reached(z, parts)
        finally:
            for hook in hooks:
                hook.remove()
            self.train(training)
        kept = tuple(f"{name}." for name, part in parts.items() if part in used)
        return {name: value for name, value in self.state_dict().items() if "." not in name or name.startswith(kept)}

    def _one_sample(self) -> Batch:
        first = next(self.parameters())
        if self.sizes.modality == "tabular":
            x = torch.full((1, len(self.sizes.cardinalities)), torch.nan)
        else:
            x = torch.zeros(1, self.sizes.channels, self.sizes.length or _SOME_STEPS)
        return Batch.of(x.to(first))

    @staticmethod
    def _reached(z: Tensor, parts: Mapping[str, nn.Module]) -> set[nn.Module]:
        """Parts to whose parameters a gradient flows: weights may be used without calling the module around them."""
        owners = {p: part for part in parts.values() for p in part.parameters() if p.requires_grad}
        if not z.requires_grad or not owners:
            return set()
        gradients = torch.autograd.grad(z.sum(), list(owners), allow_unused=True)
        return {part for part, gradient in zip(owners.values(), gradients, strict=True) if gradient is not None}
