"""The contract of an augmentation."""

from __future__ import annotations

import copy
import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from kinview.augmentations._random import given_or_fresh
from kinview.data.batch import Batch
from kinview.old_pickles import FromPickle
from kinview.parameters import check_parameters, scaled_parameters

if TYPE_CHECKING:
    from typing import Self

    from kinview.data.table import TableSchema

__all__ = ["Augmentation", "Modality"]

Modality = Literal["time_series", "tabular", "embedding", "any"]
_SHAPES = {"time_series": "(n, channels, time)", "tabular": "(n, columns)", "embedding": "(n, dim)"}


class Augmentation(FromPickle, ABC):
    """Makes one view of a batch, or several.

    A subclass is a frozen dataclass: its fields are its parameters, its repr and its YAML. It implements :meth:`apply`,
    which works on a whole batch at once, out of place, on any device, and draws from the generator it is given.

    Attributes
    ----------
    modality : {"time_series", "tabular", "embedding", "any"}
        What it works on: series ``(n, C, T)``, tables ``(n, columns)``, embeddings ``(n, D)``, or all of these.
    n_views : int
        Number of views returned; a tuple of batches where it is more than one.
    moves_time : bool
        Steps change their place, and their gaps and time stamps move with them. Otherwise ``times`` stay as they are.
    makes_gaps : bool
        Values may become missing, or gaps appear at other steps. Otherwise, unless steps move or the length changes,
        NaN stays exactly where it was.
    mixes_rows : bool
        A row's view depends on other rows of the batch. ``extra["partner"]`` (n,) then names the other row and
        ``extra["coefficient"]`` (n,) the weight of the own one.
    chooses_partners : bool
        Which row is the partner goes by what the rows of the batch hold; otherwise by places in the batch alone.
    mixes_channels : bool
        A channel of the view (a column of a table) depends on other channels of the batch, or stands at the place of
        another one. Embeddings have no channels.
    changes_length : bool
        The view may have another number of steps or columns.
    min_channels : int
        Smallest number of channels, or of columns, that it can work on; of an instance where a parameter says it.
    needs : frozenset of str
        What it cannot do without: "groups" or "y" of the batch, the "schema" and training rows that :meth:`fit` is
        given, a "sampling_rate" (a parameter, or the batch's time stamps), a "loss" (a method ``bind_loss`` takes it).
    network : torch.nn.Module or None
        Weights of a learned view, which the method that draws from it trains.

    Notes
    -----
    A field made by :func:`kinview.parameters.real` or its siblings carries its range, which is checked at construction,
    and the neutral value from which :meth:`strength_scaled` moves it.

    Examples
    --------
    >>> from kinview.parameters import real
    >>> @dataclasses.dataclass(frozen=True)
    ... class Louder(Augmentation):
    ...     '''Multiply by a gain drawn for each series.'''
    ...
    ...     gain: float = real(0.5, low=0, neutral=0)
    ...
    ...     def apply(self, batch, generator):
    ...         drawn = 1 + self.gain * torch.rand(len(batch), 1, 1, generator=generator)
    ...         return batch.replace(x=batch.x * drawn)
    >>> Louder()(torch.ones(2, 1, 3), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 3])
    >>> Louder().strength_scaled(0.5)
    Louder(gain=0.25)
    """

    modality: ClassVar[Modality] = "any"
    n_views: ClassVar[int] = 1
    moves_time: ClassVar[bool] = False
    makes_gaps: ClassVar[bool] = False
    mixes_rows: ClassVar[bool] = False
    chooses_partners: ClassVar[bool] = False
    mixes_channels: ClassVar[bool] = False
    changes_length: ClassVar[bool] = False
    min_channels: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    network: ClassVar[nn.Module | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Let every ``fit`` refuse what is not a batch, as every call does."""
        super().__init_subclass__(**options)
        if "fit" in vars(cls):
            cls.fit = _given_a_batch(cls.fit)  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        """Check the parameters; a subclass that overrides this calls it first."""
        check_parameters(self)

    def __call__(self, batch: Batch | Tensor, generator: torch.Generator | None = None) -> Any:
        """View, or tuple of views, of a batch.

        Parameters
        ----------
        batch : Batch or Tensor
            A bare tensor gives bare tensors.
        generator : torch.Generator, optional
            Source of all randomness. Without one a fresh generator is seeded by the operating system, so that the view
            cannot be repeated; torch's global generator is neither read nor moved.

        Raises
        ------
        ValueError
            For what is not a batch, values of another shape or type than the modality has, and where something is
            missing that :attr:`needs` names.
        """
        _check_given(self, batch, generator)
        if isinstance(batch, Tensor):
            views = self(Batch.of(batch), generator)
            return views.x if isinstance(views, Batch) else tuple(view.x for view in views)
        self._check(batch)
        return self.apply(batch, given_or_fresh(generator))

    @abstractmethod
    def apply(self, batch: Batch, generator: torch.Generator) -> Batch | tuple[Batch, ...]:
        """Make the view of a batch that has been checked."""

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> Augmentation:
        """Learn from training rows; returns a copy that has learned. Most need not and return themselves."""
        _check_given(self, batch, generator)
        return self

    def forget(self) -> Augmentation:
        """Copy with the parameters alone, without what was learned from training rows."""
        return dataclasses.replace(self)  # type: ignore[type-var]

    def at(self, progress: float) -> Augmentation:
        """Self at this point of training, from 0 to 1; only curricula change."""
        return self

    @property
    def has_strength(self) -> bool:
        """Whether there is a parameter of strength, with a neutral value at which nothing changes."""
        return bool(scaled_parameters(self._explicit(), 1.0))

    def strength_scaled(self, strength: float) -> Augmentation:
        """Same augmentation, weaker or stronger: 0 is the identity, 1 the augmentation itself.

        Raises
        ------
        ValueError
            If nothing about it has a strength; ``Sometimes(augmentation, p)`` has.
        """
        if not strength >= 0:
            raise ValueError(f"strength must be at least 0; got {strength!r}")
        if not self.has_strength:
            name = type(self).__name__
            raise ValueError(
                f"{name} has no parameter of strength; wrap it, Sometimes({name}(...), p): the probability becomes one"
            )
        explicit = self._explicit()
        return explicit._with(**scaled_parameters(explicit, float(strength)))

    def _explicit(self) -> Augmentation:
        """Self with those defaults written out that depend on other parameters (None stands for them)."""
        return self

    def _with(self, **values: Any) -> Self:
        """Copy with parameters changed or things learned; what was learned before stays."""
        changed = copy.copy(self)
        changed._set(**values)
        changed.__post_init__()
        return changed

    def _set(self, **values: Any) -> None:
        """Set parameters or flags of this instance, which is frozen for everyone else."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _check(self, batch: Batch) -> None:
        name = type(self).__name__
        x = batch.x
        if not x.is_floating_point():
            raise ValueError(f"{name} needs floating point values; got {x.dtype}: convert with .float()")
        expected = {"time_series": (3,), "tabular": (2,), "embedding": (2,), "any": (2, 3)}[self.modality]
        if x.ndim not in expected:
            hint = ""
            if self.modality == "time_series" and x.ndim == 2:
                hint = "; write x[:, None, :] for n series of one channel, x.T[None] for one series"
            shape = _SHAPES.get(self.modality, "(n, channels, time) or (n, columns)")
            raise ValueError(f"{name} needs values of shape {shape}; got {tuple(x.shape)}{hint}")
        if x.shape[1] < self.min_channels:
            what = "channels" if x.ndim == 3 else "columns"
            raise ValueError(
                f"{name} needs at least {self.min_channels} {what}; got {x.shape[1]}: give more {what}, or lower the "
                f"parameter that asks for them, {self!r}"
            )
        for what in ("groups", "y"):
            if what in self.needs and getattr(batch, what) is None:
                raise ValueError(f"{name} needs {what}, one for each row: give Batch.of(x, {what}=...)")


def _given_a_batch(fit: Callable[..., Augmentation]) -> Callable[..., Augmentation]:
    """The method ``fit``, after a look at what it is given; a bare tensor becomes a batch."""

    @functools.wraps(fit)
    def checked(
        self: Augmentation, batch: Batch, schema: Any = None, generator: torch.Generator | None = None
    ) -> Augmentation:
        _check_given(self, batch, generator)
        return fit(self, Batch.of(batch) if isinstance(batch, Tensor) else batch, schema, generator)

    return checked


def _check_given(part: Augmentation, batch: Any, generator: Any) -> None:
    """Refuse what is not a batch, and a seed in place of a generator, saying how to make one."""
    name = type(part).__name__
    if not isinstance(batch, Batch | Tensor):
        if hasattr(batch, "columns"):
            remedy = "TableSchema.fit(frame).to_batch(frame) for a table, read_panel(frame).batch for series"
        elif batch is None:
            remedy = "torch.as_tensor(values) or Batch.of(torch.as_tensor(values))"
        else:
            dtype = "" if str(getattr(batch, "dtype", "")).startswith("float") else ", dtype=torch.float32"
            remedy = f"torch.as_tensor(values{dtype}), or Batch.of(...) of that; a table with categories by TableSchema"
        given = "None" if batch is None else f"a {type(batch).__module__.split('.')[0]} {type(batch).__name__}"
        given = given.replace("builtins ", "")
        raise ValueError(f"{name} needs a Batch or a torch.Tensor; got {given}: write {remedy}")
    if generator is not None and not isinstance(generator, torch.Generator):
        seed = generator if isinstance(generator, int) and not isinstance(generator, bool) else 0
        raise ValueError(
            f"generator must be a torch.Generator; got {generator!r}: write torch.Generator().manual_seed({seed})"
        )
