"""What travels with a sample, in one frozen dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ["Batch", "concatenated", "read_extra"]


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Samples and all that travels with them; NaN in ``x`` means *not observed*.

    Parameters
    ----------
    x : Tensor
        Time series ``(n, channels, time)`` or table ``(n, columns)``, float32. A trailing run of all-NaN steps is the
        end of a series (finite ``times`` there keep it as a gap).
    index : Tensor
        Position of each row in the data set it came from, ``(n,)`` int64.
    times : Tensor, optional
        Time stamps ``(n, time)``, float64, NaN beyond the end of a series. Units are the caller's.
    groups : Tensor, optional
        Group (patient, subject) of each row as integer codes ``(n,)``.
    y : Tensor, optional
        Labels ``(n,)``.
    extra : dict
        Further per-row tensors with leading dimension n (window positions, expert features), or a second modality as
        another :class:`Batch`.

    Examples
    --------
    >>> batch = Batch.of(torch.zeros(3, 1, 5))
    >>> len(batch), batch.rows(torch.tensor([2])).index
    (3, tensor([2]))
    """

    x: Float[Tensor, "n ..."]
    index: Int64[Tensor, " n"]
    times: Float[Tensor, "n time"] | None = None
    groups: Int64[Tensor, " n"] | None = None
    y: Tensor | None = None
    extra: dict[str, Tensor | Batch] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, x: Tensor, **fields: Any) -> Batch:
        """Wrap a bare tensor; rows are numbered from 0."""
        return cls(x=x, index=torch.arange(x.shape[0], device=x.device), **fields)

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def replace(self, **changes: Any) -> Batch:
        """Copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def rows(self, i: Tensor | slice) -> Batch:
        """The given rows, in the given order."""
        return self._map(lambda value: value.rows(i) if isinstance(value, Batch) else value[i])

    def to(self, device: torch.device | str) -> Batch:
        """Copy on a device. Off the CPU ``times`` become float32 differences to each row's first stamp."""
        target = torch.device(device)
        moved = self
        if self.times is not None and target.type != "cpu" and self.times.dtype == torch.float64:
            start = torch.nan_to_num(self.times, nan=torch.inf).amin(dim=1, keepdim=True)
            moved = self.replace(times=(self.times - start).to(torch.float32))
        return moved._map(lambda value: value.to(target))

    def tensors(self) -> list[Tensor | None]:
        """All fields, those of another modality inside too, in an order of their own.

        Examples
        --------
        >>> Batch.of(torch.zeros(2, 1, 5)).tensors()[1:]
        [tensor([0, 1]), None, None, None]
        """
        found: list[Tensor | None] = [self.x, self.index, self.times, self.groups, self.y]
        for name in sorted(self.extra):
            value = self.extra[name]
            found += value.tensors() if isinstance(value, Batch) else [value]
        return found

    def _map(self, function: Callable[[Any], Any]) -> Batch:
        def on(value: Any) -> Any:
            return None if value is None else function(value)

        return Batch(
            x=on(self.x),
            index=on(self.index),
            times=on(self.times),
            groups=on(self.groups),
            y=on(self.y),
            extra={name: on(value) for name, value in self.extra.items()},
        )


def concatenated(parts: Sequence[Batch]) -> Batch:
    """The rows of several batches of the same fields, one after another.

    Examples
    --------
    >>> concatenated([Batch.of(torch.zeros(2, 3)), Batch.of(torch.ones(1, 3))]).x[:, 0]
    tensor([0., 0., 1.])
    """
    if len(parts) == 1:
        return parts[0]

    def on(values: list[Any]) -> Any:
        if isinstance(values[0], Batch):
            return concatenated(values)
        return None if values[0] is None else torch.cat(values)

    return Batch(
        **{name: on([getattr(part, name) for part in parts]) for name in ("x", "index", "times", "groups", "y")},
        extra={name: on([part.extra[name] for part in parts]) for name in parts[0].extra},
    )


def read_extra(extra: Any, n: int) -> dict[str, Tensor | Batch]:
    """Further per-row data by name, as tensors in float32; another modality stays a :class:`Batch`.

    Parameters
    ----------
    extra : mapping of str to array-like (n, ...) or Batch
        For example ``{"features": expert_features}``.
    n : int
        Number of rows.

    Raises
    ------
    ValueError
        If it is not a mapping, or an entry has not one row a sample or holds a value that is missing or not finite.

    Examples
    --------
    >>> read_extra({"features": [[1.0, 2.0], [3.0, 4.0]]}, 2)["features"].shape
    torch.Size([2, 2])
    """
    if not isinstance(extra, Mapping):
        raise ValueError(
            f"extra must map names to arrays with one row a sample, {{'features': array}}; got {type(extra).__name__}"
        )
    found: dict[str, Tensor | Batch] = {}
    for name, value in extra.items():
        if not isinstance(value, Batch):
            value = (
                value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(np.array(value, dtype=float))
            )
            value = value.to(torch.float32)
            if not bool(torch.isfinite(value).all()):
                raise ValueError(f"extra[{name!r}] holds values that are missing or not finite; fill them first")
        rows = 0 if isinstance(value, Tensor) and value.ndim == 0 else len(value)
        if rows != n:
            raise ValueError(f"extra[{name!r}] has {rows} rows for {n} samples; give one a sample")
        found[str(name)] = value
    return found
