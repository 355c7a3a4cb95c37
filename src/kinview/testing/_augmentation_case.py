"""An augmentation under test, the batches it is tried on, and the comparisons that the checks are written in."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.data.table import TableSchema

__all__ = [
    "CHANNELS",
    "ROWS",
    "SEEDS",
    "STEPS",
    "Case",
    "differs",
    "near",
    "row",
    "same",
    "same_views",
    "seeded",
    "ticks",
    "with_parts",
]

ROWS = 6
CHANNELS = 3
STEPS = 128  # tables have a quarter as many columns, embeddings half as many dimensions
RATE = 512.0  # Hz; its stamps are exact in float32
SEEDS = range(12)
KINDS = ("time_series", "tabular", "embedding")


@dataclasses.dataclass(frozen=True)
class Case:
    """One augmentation on one kind of data: ``part`` is ready to be called, ``given`` has learned nothing."""

    name: str
    given: Augmentation
    part: Augmentation
    kind: str
    template: Batch | None = None

    @classmethod
    def of(cls, given: Augmentation, kind: str, template: Batch | None) -> Case:
        """The case of an augmentation as it is given: fitted and bound here."""
        case = cls(type(given).__name__, given.forget(), given, kind, template)
        return dataclasses.replace(case, part=case.ready(case.given))

    def ready(self, part: Augmentation) -> Augmentation:
        """The augmentation, fitted on training rows and bound to a loss if it needs one."""
        fitted = self.fitted(part)
        return fitted.bind_loss(_loss) if "loss" in fitted.needs else fitted  # type: ignore[attr-defined]

    def fitted(self, part: Augmentation) -> Augmentation:
        """The augmentation, fitted on training rows."""
        return part.fit(self.draw(64, seed=99), self.schema(), seeded(1))

    def schema(self) -> TableSchema | None:
        """Schema of the tables of this case."""
        if self.kind != "tabular":
            return None
        return _schema() if self.template is None else TableSchema.fit(self.template.x.numpy())

    def draw(
        self,
        n: int = ROWS,
        *,
        channels: int = CHANNELS,
        steps: int = STEPS,
        gaps: bool = False,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> Batch:
        """A batch of random rows; with ``gaps`` cells are missing, and series end early.

        It has ``channels``, or as many more as the augmentation cannot do without.
        """
        generator = seeded(1000 + seed)
        channels = max(channels, self.given.min_channels)
        if self.template is not None:
            batch = _cut(self.template.rows((torch.arange(n) + seed) % len(self.template)), channels, steps, self.kind)
        else:
            make = {"time_series": _series, "tabular": _table, "embedding": _embedding}[self.kind]
            batch = make(n, channels, steps, generator)
        if gaps:
            batch = _with_gaps(batch, generator)
        return batch.replace(x=batch.x.to(dtype))

    def views(self, batch: Batch, seed: int = 0, part: Augmentation | None = None) -> tuple[Batch, ...]:
        """The views, in a tuple even if there is one."""
        made = (self.part if part is None else part)(batch, seeded(seed))
        views = made if isinstance(made, tuple) else (made,)
        for view in views:
            assert isinstance(view, Batch), f"apply must return a Batch or a tuple of them; got {type(view).__name__}"
        return tuple(view.replace(x=view.x.detach()) for view in views)

    @property
    def keeps_shape(self) -> bool:
        """Whether a view's cells are those of the batch, one by one."""
        return not (self.part.changes_length or self.part.moves_time)

    def sampling_rate_given(self) -> bool:
        """Whether a parameter says the sampling rate."""
        return any(getattr(part, "sampling_rate", None) is not None for part in all_parts(self.given))


def all_parts(part: Augmentation) -> Iterator[Augmentation]:
    """The augmentation and, of a composite, all that it is made of."""
    yield part
    for one in getattr(part, "parts", ()):
        yield from all_parts(one)


def with_parts(part: Augmentation, change: Callable[[Augmentation], Augmentation]) -> Augmentation:
    """A composite with its parts changed."""
    changed = tuple(map(change, part.parts))  # type: ignore[attr-defined]
    field = part.parts_field  # type: ignore[attr-defined]
    return part._with(**{field: changed if field == "augmentations" else changed[0]})


def seeded(seed: int) -> torch.Generator:
    """A generator with this seed."""
    return torch.Generator().manual_seed(seed)


# --- batches ---------------------------------------------------------------------------------------------------------


def ticks(n: int, steps: int) -> Tensor:
    """Time stamps, different in every row and every step, exact in float32 as well."""
    return (torch.arange(steps, dtype=torch.float64) + 8192.0 * torch.arange(1, n + 1)[:, None]) / RATE


def _series(n: int, channels: int, steps: int, generator: torch.Generator) -> Batch:
    clock = torch.arange(steps, dtype=torch.float64) / STEPS
    phase, speed, level = torch.rand(3, n, channels, 1, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, channels, steps, generator=generator, dtype=torch.float64)
    x = torch.sin(2 * torch.pi * (phase + (2 + 6 * speed) * clock)) + 0.3 * noise + 4 * level - 2
    return _dressed(x, generator, times=ticks(n, steps))


def _embedding(n: int, channels: int, steps: int, generator: torch.Generator) -> Batch:
    width = max(1, steps // 2) if channels > 1 else 1
    return _dressed(torch.randn(n, width, generator=generator, dtype=torch.float64), generator)


def _table(n: int, channels: int, steps: int, generator: torch.Generator) -> Batch:
    columns = len(_schema().columns)
    x = torch.randn(n, columns, generator=generator, dtype=torch.float64)
    for column, codes in enumerate(_schema().cardinalities):
        if codes:
            x[:, column] = torch.randint(1, codes, (n,), generator=generator).double()
    return _dressed(x, generator)


@functools.cache
def _schema() -> TableSchema:
    """Numbers and, every third column, categories."""
    draw = np.random.default_rng(0)
    columns = {
        f"x{i}": draw.choice(list("abcdef"), 300) if i % 3 == 2 else draw.normal(size=300) for i in range(STEPS // 4)
    }
    return TableSchema.fit(pd.DataFrame(columns))


def _dressed(x: Tensor, generator: torch.Generator, **fields: Any) -> Batch:
    n = len(x)
    rows = torch.arange(n)
    extra: dict[str, Tensor | Batch] = {"static": torch.rand(n, 2, generator=generator)}
    batch = Batch.of(x, groups=rows // 2 + 7, y=rows % 3, extra=extra, **fields)
    return batch.replace(index=rows + 100)


def _cut(batch: Batch, channels: int, steps: int, kind: str) -> Batch:
    if kind != "time_series":
        return batch
    repeats = -(-steps // batch.x.shape[2]) if steps > STEPS else 1
    times = None if batch.times is None else batch.times[:, :steps]
    if repeats > 1:
        times = ticks(len(batch), steps)
    return batch.replace(x=batch.x.repeat(1, 1, repeats)[:, :channels, :steps], times=times)


def _with_gaps(batch: Batch, generator: torch.Generator) -> Batch:
    x = batch.x.clone()
    x[torch.rand(x.shape, generator=generator) < 0.1] = torch.nan
    if x.ndim == 2:
        return batch.replace(x=x)
    n, _, steps = x.shape
    step = torch.arange(steps)
    hole = (step >= steps // 4) & (step < steps // 4 + steps // 8)
    x[::2, :, hole] = torch.nan
    end = steps - torch.arange(n) % 4 * (steps // 8)
    beyond = step >= end[:, None]
    x[beyond[:, None, :].expand_as(x)] = torch.nan
    times = None if batch.times is None else batch.times.masked_fill(beyond, torch.nan)
    return batch.replace(x=x, times=times)


def _loss(view: Any) -> Tensor:
    """A loss of a view whose gradient vanishes nowhere, goes by neighbouring channels, and knows no padding."""
    x = torch.nan_to_num(view.x if isinstance(view, Batch) else view)
    weight = 2 + torch.arange(x.shape[-1], dtype=x.dtype, device=x.device).cos()
    return (x * weight + x * x.roll(1, dims=1)).sum()


# --- comparisons -----------------------------------------------------------------------------------------------------


def same(one: Any, other: Any) -> bool:
    """Bit by bit the same, NaN included."""
    if isinstance(one, Batch) and isinstance(other, Batch):
        return same(one.x, other.x) and same(one.times, other.times)
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return one is other
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())


def same_views(one: tuple[Batch, ...], other: tuple[Batch, ...]) -> bool:
    """Whether two tuples of views are the same, with all that they carry."""
    return len(one) == len(other) and all(
        same(a, b) and a.extra.keys() == b.extra.keys() and all(same(a.extra[k], b.extra[k]) for k in a.extra)
        for a, b in zip(one, other, strict=True)
    )


def near(one: Tensor, other: Tensor, tolerance: float = 1e-6) -> bool:
    """Missing at the same places, and close elsewhere."""
    if one.shape != other.shape:
        return False
    return torch.allclose(one.double(), other.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def differs(view: Batch, batch: Batch) -> Tensor:
    """Rows ``(n,)`` in which something observed is no longer what or where it was."""
    if view.x.shape != batch.x.shape:
        return torch.ones(len(batch), dtype=torch.bool)
    changed = ~((view.x == batch.x) | (view.x.isnan() & batch.x.isnan()))
    found = changed.flatten(1).any(dim=1)
    if view.times is not None and batch.times is not None:
        found = found | ~((view.times == batch.times) | (view.times.isnan() & batch.times.isnan())).all(dim=1)
    return found


def row(view: Batch, i: int) -> Batch:
    """One row."""
    return view.rows(slice(i, i + 1))
