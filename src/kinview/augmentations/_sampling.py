"""How many steps a second holds, for views whose parameters are in hertz and seconds."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import bridge, valid_lengths

__all__ = ["of_known_rate", "sampling_rates"]


def sampling_rates(
    batch: Batch, sampling_rate: float | None, name: str
) -> tuple[Float64[Tensor, " n"], Bool[Tensor, " n"]]:
    """Steps a second of each row, and whether its rate is known.

    It is the given rate, or one over the median positive step of the row's time stamps (seconds), rounded to 6 digits,
    so that what is left of their own rounding does not tell rows apart. A row without two different finite stamps has
    no rate; in its place stands that of another row, so that it adds no rate of its own.

    Raises
    ------
    ValueError
        If there is no rate: neither a given one nor time stamps, or not one row of two steps or more whose stamps tell
        it. ``name`` tells whose parameter it is.
    """
    n, device = len(batch), batch.x.device
    if sampling_rate is not None:
        rates = torch.full((n,), float(sampling_rate), dtype=torch.float64, device=device)
        return rates, torch.ones(n, dtype=torch.bool, device=device)
    remedies = (
        f"{name} needs the sampling rate: give sampling_rate= in hertz, or time stamps in seconds with the series "
        "(Batch.of(x, times=...))"
    )
    if batch.times is None:
        raise ValueError(remedies)
    stamps = batch.times.double().to(device)
    bridged = bridge(torch.where(torch.isfinite(stamps), stamps, torch.nan)[:, None, :])[:, 0]
    steps = torch.nn.functional.pad(bridged.diff(dim=1), (0, 1))  # one at least
    median = torch.where(steps > 0, steps, torch.nan).nanmedian(dim=1).values
    known = ~torch.isnan(median)
    if not bool(known.any()):
        if bool((valid_lengths(batch.x, batch.times) > 1).any()):
            raise ValueError(f"{remedies}; of those given no row has two that are finite and differ")
        return torch.ones_like(median), known
    unit = 10 ** (torch.floor(-torch.log10(median)) - 5)
    rates = torch.round(1 / (median * unit)) * unit
    return torch.where(known, rates, rates[known.int().argmax()]), known


def of_known_rate(
    view: Float[Tensor, "n c t"], x: Float[Tensor, "n c t"], known: Bool[Tensor, " n"]
) -> Float[Tensor, "n c t"]:
    """The view, in the type of the values, of rows whose rate is known; the others as they are."""
    view = view.to(x.dtype)
    return view if bool(known.all()) else torch.where(known[:, None, None], view, x)
