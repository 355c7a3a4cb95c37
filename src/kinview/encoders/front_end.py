"""Gap front-ends: how gaps are filled, and what an encoder sees of missingness and of irregular time stamps."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.data.completion import Completion
from kinview.data.gaps import Fill, bridge, valid_lengths
from kinview.encoders.masked import inside
from kinview.old_pickles import FromPickle

__all__ = ["DEFAULT_FILL", "FillRule", "Filling", "FrontEndMode", "GapFrontEnd", "MissingRule"]

FillRule = Literal["zero", "hold", "linear", "completion", "completion+channels"]
FrontEndMode = Literal["values", "values+mask", "values+mask+delta"]
MissingRule = Literal["channel", "timestep"]

DEFAULT_FILL: FillRule = "completion"  # measured against zeros, the published rule: docs/gaps.md


class Filling(FromPickle, nn.Module):
    """How the gaps of series are filled before a network: :func:`kinview.data.bridge` with what it has to learn.

    Parameters
    ----------
    channels : int
        Number of channels C of the series.
    fill : {"zero", "hold", "linear", "completion", "completion+channels"}, default "zero"
        ``completion`` completes each channel from itself, ``completion+channels`` from the others too; see
        :class:`kinview.data.Completion`.

    Notes
    -----
    What a completion learns is in buffers, whose shapes follow from the channels and the length of the training series
    (:meth:`make_room`). Before :meth:`learn` it is linear interpolation. The estimators call both.

    Examples
    --------
    >>> Filling(1, "linear")(torch.tensor([[[2.0, float("nan"), 4.0]]])).tolist()
    [[[2.0, 3.0, 4.0]]]
    """

    completion: Completion

    def __init__(self, channels: int, fill: FillRule = "zero") -> None:
        super().__init__()
        if fill not in get_args(FillRule):
            raise ValueError(f"fill must be one of {', '.join(get_args(FillRule))}; got {fill!r}")
        self.fill = fill
        if self.learns:
            self.completion = Completion(channels, 0, fill == "completion+channels")

    @property
    def learns(self) -> bool:
        """Whether there is something to learn from training series."""
        return self.fill.startswith("completion")

    def make_room(self, length: int) -> None:
        """Make the buffers of what is learned from training series of so many steps."""
        if self.learns:
            self.completion = Completion(self.completion.channels, length, self.completion.across)

    def learn(self, x: Float[Tensor, "n c t"], times: Float[Tensor, "n t"] | None = None) -> None:
        """Learn from training series, as the network is given them."""
        if self.learns:
            self.completion.fit(x, times)

    def forward(
        self,
        x: Float[Tensor, "n c t"],
        times: Float[Tensor, "n t"] | None = None,
        offset: Int64[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n c t"]:
        """Series without gaps; parameters and what lies beyond the end as for :func:`kinview.data.bridge`."""
        if self.learns:
            return bridge(x, times, "completion", self.completion, offset)
        how: Fill = self.fill  # type: ignore[assignment]
        return bridge(x, times, how)

    def shown(
        self,
        x: Float[Tensor, "n c t"],
        times: Float[Tensor, "n t"] | None = None,
        offset: Int64[Tensor, " n"] | None = None,
    ) -> Bool[Tensor, "n t"]:
        """Steps at which there is something to see: with zeros those observed, else all of a series observed at all.

        A row may begin before its series: at a negative offset, or at steps without a time stamp.
        """
        observed = ~torch.isnan(x).all(dim=1)
        if self.fill == "zero":
            return observed
        within = inside(valid_lengths(x, times), x.shape[2]) & observed.any(dim=1, keepdim=True)
        if offset is not None:
            within = within & (torch.arange(x.shape[2], device=x.device) + offset[:, None] >= 0)
        if times is not None:
            within = within & ((observed | torch.isfinite(times)).cumsum(dim=1) > 0)
        return within


class GapFrontEnd(Filling):
    """Fill the gaps and tell the encoder, as much as asked, where and for how long values were missing.

    ``values`` gives the values alone; ``values+mask`` adds one channel each that is 1 where the value was observed;
    ``values+mask+delta`` adds ``log(1 + Δ)`` with Δ the time since the channel was last observed, in units of the
    typical step (GRU-D's interval [1]_, compressed).

    Parameters
    ----------
    channels : int
        Number of channels C of the input.
    mode : {"values", "values+mask", "values+mask+delta"}
        What the network is shown: values alone, also which are observed, or also the time since the last observed one.
    missing : {"channel", "timestep"}
        ``channel``: a missing value is missing alone. ``timestep``: it makes its whole step missing (TS2Vec's rule).
    fill : {"zero", "hold", "linear", "completion", "completion+channels"}, default "zero"
        What stands in a gap: 0, the last observed value, a line between the neighbours (in real time where there are
        time stamps), or a learned conditional mean (:class:`Filling`). Beyond the end of a series stand zeros.

    Notes
    -----
    ``step`` (the typical interval between time stamps) is a buffer, 1 unless set from training data; without time
    stamps the position counts.

    References
    ----------
    .. [1] Che et al., Recurrent neural networks for multivariate time series with missing values, 2018.

    Examples
    --------
    >>> front = GapFrontEnd(1, "values+mask", "channel")
    >>> features, observed = front(torch.tensor([[[2.0, float("nan")]]]))
    >>> features.tolist(), observed.tolist()
    ([[[2.0, 0.0], [1.0, 0.0]]], [[True, False]])
    """

    step: Tensor

    def __init__(
        self,
        channels: int,
        mode: FrontEndMode = "values+mask",
        missing: MissingRule = "channel",
        fill: FillRule = "zero",
    ) -> None:
        super().__init__(channels, fill)
        if mode not in get_args(FrontEndMode):
            raise ValueError(f"front_end must be one of {', '.join(get_args(FrontEndMode))}; got {mode!r}")
        if missing not in get_args(MissingRule):
            raise ValueError(f"missing must be 'channel' or 'timestep'; got {missing!r}")
        self.mode = mode
        self.missing = missing
        self.out_channels = channels * {"values": 1, "values+mask": 2, "values+mask+delta": 3}[mode]
        if mode == "values+mask+delta":
            self.register_buffer("step", torch.tensor(1.0))

    def forward(  # type: ignore[override]
        self,
        x: Float[Tensor, "n c t"],
        times: Float[Tensor, "n t"] | None = None,
        offset: Int64[Tensor, " n"] | None = None,
    ) -> tuple[Float[Tensor, "n features t"], Bool[Tensor, "n t"]]:
        """Features, and the steps at which there is something to see; ``offset`` as for :func:`kinview.data.bridge`."""
        seen = ~torch.isnan(x)
        if self.missing == "timestep":
            seen = seen.all(dim=1, keepdim=True).expand_as(seen)
        zero = torch.zeros((), dtype=x.dtype, device=x.device)
        if self.fill == "zero":
            values, shown = torch.where(seen, x, zero), seen.any(dim=1)
        else:
            shown = self.shown(x, times, offset) & seen.flatten(1).any(dim=1, keepdim=True)
            filled = super().forward(torch.where(seen, x, torch.nan), times, offset)
            values = torch.where(shown[:, None, :], filled, zero)
        parts = [values]
        if self.mode != "values":
            parts.append(seen.to(x.dtype))
        if self.mode == "values+mask+delta":
            parts.append(torch.log1p(self._since_last_observed(seen, times) / self.step).to(x.dtype))
        return torch.cat(parts, dim=1) if len(parts) > 1 else values, shown

    def set_step(self, times: Float[Tensor, "n t"] | None) -> None:
        """Learn the typical step: the median positive interval between time stamps of the training data."""
        if self.mode != "values+mask+delta" or times is None or times.shape[1] < 2:
            return
        gaps = torch.diff(times.double(), dim=1)
        gaps = gaps[torch.isfinite(gaps) & (gaps > 0)]
        if gaps.numel():
            self.step.copy_(gaps.median())

    def _since_last_observed(self, seen: Tensor, times: Tensor | None) -> Tensor:
        """Δ (n, c, t) ≥ 0: time from the last observation before a step to it, or from the series' start."""
        steps = seen.shape[2]
        if times is None:
            clock = torch.arange(steps, device=seen.device, dtype=torch.float64).expand(seen.shape[0], steps)
        else:
            start = torch.nan_to_num(times, nan=torch.inf).amin(dim=1, keepdim=True)
            clock = torch.nan_to_num((times - start).double(), nan=0.0, posinf=0.0, neginf=0.0)
        clock = clock[:, None, :].expand(seen.shape)
        last = torch.where(seen, clock, torch.zeros_like(clock)).cummax(dim=2).values
        before = torch.cat([torch.zeros_like(last[:, :, :1]), last[:, :, :-1]], dim=2)
        return (clock - before).clamp_min(0.0)
