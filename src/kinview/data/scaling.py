"""Scaling of time series: learned on training rows in float64, applied to any rows, gaps left alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from kinview.data.scaling_rules import normal_scores, quantile_knots, read_scaling, robust_moments

__all__ = ["ChannelMoments", "Scaler", "Scaling", "fit_scaler"]

Scaling = Literal["dataset", "robust", "quantile", "sample", None]


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelMoments:
    r"""Mean and standard deviation of each channel, of series that come in parts, in float64.

    Parts A and B are joined by

    .. math:: \mu = \mu_A + \frac{n_B}{n} (\mu_B - \mu_A), \qquad
              S = S_A + S_B + \frac{n_A n_B}{n} (\mu_B - \mu_A)^2

    with :math:`n` the number of observed values and :math:`S` the sum of their squares around their mean. So the result
    differs from that of all series at once by roundings, and of a single part by none.

    Examples
    --------
    >>> parts = ChannelMoments.of(torch.tensor([[[1.0, 3.0]]])) + ChannelMoments.of(torch.tensor([[[5.0, torch.nan]]]))
    >>> [round(stat.item(), 4) for stat in parts.mean_and_std()]
    [3.0, 1.633]
    """

    number: Tensor
    mean: Float64[Tensor, " C"]
    squares: Float64[Tensor, " C"]
    low: Float64[Tensor, " C"]
    high: Float64[Tensor, " C"]

    @classmethod
    def of(cls, x: Float[Tensor, "n C T"]) -> Self:
        """Those of some series, NaN = not observed."""
        return cls(*(stat.flatten() for stat in _collected(x.to(torch.float64), dims=(0, 2))))

    def __add__(self, other: Self) -> Self:
        number = self.number + other.number
        fraction, apart = other.number / number.clamp(min=1), other.mean - self.mean
        mean = torch.where(self.number == 0, other.mean, self.mean + fraction * apart)
        squares = self.squares + other.squares + apart.square() * self.number * fraction
        low, high = torch.minimum(self.low, other.low), torch.maximum(self.high, other.high)
        return type(self)(number, mean, squares, low, high)

    def mean_and_std(self) -> tuple[Float64[Tensor, " C"], Float64[Tensor, " C"]]:
        """Means and deviations (divisor: count); constants have deviation 1, a channel without a value 0 and 1."""
        return _settled(self.number, self.mean, self.squares, self.low, self.high)


@dataclasses.dataclass(frozen=True, eq=False)
class Scaler:
    r"""Location and scale that :func:`fit_scaler` learned: :math:`z = (x - \mu) / \sigma` per channel.

    Parameters
    ----------
    scaling : {"dataset", "robust", "quantile", "sample"} or None
        The rule; see :func:`fit_scaler`.
    mean, std : Tensor
        Location and scale per channel ``(C,)``, float64, in the units of the data. Rules ``"sample"`` and ``None``
        learn nothing and hold 0 and 1.
    knots : tuple of Tensor
        Of the rule ``"quantile"`` the quantiles of each channel; an empty one where the channel is standardised.
    clip : float, optional
        Scaled values beyond ``-clip`` and ``clip`` are set there.

    Examples
    --------
    >>> scaler = fit_scaler(torch.tensor([[[1.0, 3.0, torch.nan]]]), "dataset")
    >>> scaler.apply(torch.tensor([[[2.0, 5.0, torch.nan]]]))
    tensor([[[0., 3., nan]]])
    """

    scaling: Scaling
    mean: Float64[Tensor, " C"]
    std: Float64[Tensor, " C"]
    knots: tuple[Float64[Tensor, " _"], ...] = ()
    clip: float | None = None

    def apply(self, x: Float[Tensor, "n C T"]) -> Float32[Tensor, "n C T"]:
        """Scale series; the arithmetic is in float64, the result float32, and NaN stays NaN.

        Parameters
        ----------
        x : Tensor
            Series ``(n, C, T)``. Give float64 where values carry a large offset (:func:`kinview.data.read_panel`
            with ``dtype=torch.float64``): float32 has lost their digits before they arrive here.

        Raises
        ------
        ValueError
            If the number of channels is not the one at fit, or a scaled value does not fit into float32.
        """
        if x.ndim != 3 or x.shape[1] != len(self.mean):
            raise ValueError(
                f"the scaler was fitted on series (n, {len(self.mean)}, T), got shape {tuple(x.shape)}; "
                f"give the same {len(self.mean)} channel(s)"
            )
        if self.scaling is None:
            return _to_float32(x)
        wide = x.to(torch.float64)
        if self.scaling == "sample":
            mean, std = _moments(wide, dims=(2,))
        else:
            mean, std = (stat.to(x.device)[None, :, None] for stat in (self.mean, self.std))
        z = (wide - mean) / std
        for channel, knots in enumerate(self.knots):
            if len(knots):
                scores = normal_scores(wide[:, channel].cpu().numpy(), knots.numpy())
                z[:, channel] = torch.from_numpy(scores).to(x.device)
        return _to_float32(z if self.clip is None else z.clamp(-self.clip, self.clip))

    def to_config(self) -> dict[str, Any]:
        """Plain data from which :meth:`from_config` makes an equal scaler, bit for bit."""
        config: dict[str, Any] = {"scaling": self.scaling, "mean": self.mean.tolist(), "std": self.std.tolist()}
        if self.knots:
            config["knots"] = [knots.tolist() for knots in self.knots]
        return config if self.clip is None else {**config, "clip": self.clip}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_config`.

        Raises
        ------
        ValueError
            If the statistics are not finite, not as many means as standard deviations, or a deviation is not positive.
        """
        mean = torch.tensor(config["mean"], dtype=torch.float64)
        std = torch.tensor(config["std"], dtype=torch.float64)
        if mean.ndim != 1 or mean.shape != std.shape or not bool((mean.isfinite() & std.isfinite() & (std > 0)).all()):
            raise ValueError(
                f"a scaler needs one finite mean and one positive standard deviation a channel; "
                f"got mean={config['mean']!r}, std={config['std']!r}"
            )
        knots = tuple(torch.tensor(each, dtype=torch.float64) for each in config.get("knots", ()))
        named = config["scaling"]
        rule, clip = read_scaling({named: {"clip": config["clip"]}} if "clip" in config else named, Scaling)
        sound = all(each.ndim == 1 and bool(each.isfinite().all()) and bool((each.diff() >= 0).all()) for each in knots)
        if not sound or len(knots) not in (0, len(mean)):
            raise ValueError(f"a scaler needs rising finite quantiles of each channel; got knots={config['knots']!r}")
        return cls(rule, mean, std, knots, clip)


def fit_scaler(x: Float[Tensor, "n C T"], scaling: Any = "dataset", *, moments: ChannelMoments | None = None) -> Scaler:
    r"""Learn a scaling from training series.

    .. math:: \mu_c = \frac{1}{|O_c|} \sum_{(i,t) \in O_c} x_{ict}, \qquad
              \sigma_c^2 = \frac{1}{|O_c|} \sum_{(i,t) \in O_c} (x_{ict} - \mu_c)^2

    with :math:`O_c` the observed cells of channel c.

    Parameters
    ----------
    x : Tensor
        Training series ``(n, C, T)``, NaN = not observed.
    scaling : {"dataset", "robust", "quantile", "sample"}, None or mapping, default "dataset"
        ``"dataset"``: over all observed training values of a channel (the rule of TS2Vec [1]_); ``"robust"``: median
        and interquartile range in place of mean and deviation (:func:`~kinview.data.scaling_rules.robust_moments`);
        ``"quantile"``: :math:`z = \Phi^{-1}(F_c(x))` with the quantiles of the channel
        (:func:`~kinview.data.scaling_rules.normal_scores`); ``"sample"``: each series and channel by its own observed
        values (z-normalisation), so nothing is learned; ``None``: values stay. ``{"robust": {"clip": 5}}`` cuts scaled
        values at ±5, with any rule but None. What is constant is centred and divided by 1; a channel without an
        observation has mean 0 and deviation 1; one that fewer than 5 series observe, or whose quantiles are all equal,
        is scaled as by ``"dataset"``.
    moments : ChannelMoments, optional
        Of all training series, where ``x`` is a sample of them: mean and deviation are these, and the sample says
        quantiles and medians.

    Raises
    ------
    ValueError
        If ``x`` is not three-dimensional or the rule is unknown.

    References
    ----------
    .. [1] Yue et al., TS2Vec: Towards Universal Representation of Time Series, AAAI 2022.

    Examples
    --------
    >>> scaler = fit_scaler(torch.tensor([[[1.0, 3.0]], [[5.0, torch.nan]]]), "dataset")
    >>> round(scaler.mean.item(), 4), round(scaler.std.item(), 4)
    (3.0, 1.633)
    """
    if x.ndim != 3:
        raise ValueError(f"series have shape (n, channels, time), got {tuple(x.shape)}")
    rule, clip = read_scaling(scaling, Scaling)
    if rule in (None, "sample"):
        zeros = torch.zeros(x.shape[1], dtype=torch.float64)
        return Scaler(rule, zeros, torch.ones_like(zeros), clip=clip)
    wide = x.detach().cpu().to(torch.float64)
    mean, std = (ChannelMoments.of(wide) if moments is None else moments).mean_and_std()
    knots: list[Tensor] = []
    for channel in range(x.shape[1]) if rule != "dataset" else ():
        values = wide[:, channel].numpy()
        rows = int((~np.isnan(values)).any(axis=1).sum())
        observed = values[~np.isnan(values)]
        if rule == "quantile":
            found = quantile_knots(observed, rows)
            knots.append(torch.from_numpy(np.zeros(0) if found is None else found))
        elif (robust := robust_moments(observed, rows)) is not None:
            mean[channel], std[channel] = robust
    return Scaler(rule, mean, std, tuple(knots), clip)


def _moments(x: Float64[Tensor, "n C T"], dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (divisor: count) of the observed values; constants have deviation 1."""
    return _settled(*_collected(x, dims))


def _collected(x: Float64[Tensor, "n C T"], dims: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Number of the observed values, their mean, sum of squares around it, smallest and largest."""
    observed: Bool[Tensor, "n C T"] = ~torch.isnan(x)
    number = observed.sum(dim=dims, keepdim=True).to(x.dtype)  # the quotient of two whole numbers is a float32
    low = torch.where(observed, x, torch.inf).amin(dim=dims, keepdim=True)
    high = torch.where(observed, x, -torch.inf).amax(dim=dims, keepdim=True)
    mean = torch.where(observed, x, 0.0).sum(dim=dims, keepdim=True) / number.clamp(min=1)
    mean = _of_constant(mean, low, high)
    centred = torch.where(observed, x - mean, 0.0)
    return number, mean, centred.square().sum(dim=dims, keepdim=True), low, high


def _settled(number: Tensor, mean: Tensor, squares: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    std = (squares / number.clamp(min=1)).sqrt()
    return _of_constant(mean, low, high), torch.where((high > low) & (std > 0), std, 1.0)


def _of_constant(mean: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The mean; of a constant its sum may be off by a rounding, which a tiny deviation would blow up: the value."""
    return torch.where(high > low, mean, torch.where(high == low, low, 0.0))


def _to_float32(x: Float[Tensor, "n C T"]) -> Float32[Tensor, "n C T"]:
    narrow = x.to(torch.float32)
    if bool((narrow.isinf() & ~x.isinf()).any()):
        worst = x.nan_to_num(nan=0.0).abs().max().item()
        raise ValueError(
            f"the scaled series reach {worst:.3g}, beyond float32 (3.4e+38); scale or clip the values first"
        )
    return narrow
