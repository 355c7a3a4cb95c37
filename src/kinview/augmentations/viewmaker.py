"""A view that is learned: a bounded perturbation trained against the encoder."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.augmentations import augmentations
from kinview.augmentations._random import given_or_fresh, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import observed_mean, observed_std, valid_lengths
from kinview.parameters import real, whole

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["PerturbationNetwork", "Viewmaker"]

_STRIDE = 4  # steps that one position of the inner layers stands for
_NOISE = (-math.sqrt(3), math.sqrt(3))  # of unit variance, like the series that it stands beside


@augmentations.register(
    "viewmaker", modality="time_series", family="learned", reference="Tamkin et al., Viewmaker Networks, ICLR 2021"
)
@dataclasses.dataclass(frozen=True)
class Viewmaker(SeriesAugmentation):
    r"""Add a perturbation that a network learns, within a budget; it is trained to make the encoder's task hard.

    .. math:: v = x + \delta, \quad
              \delta_{cs} = \epsilon\,\sigma_c \frac{\tanh g_{cs}(x, u)}{\frac{1}{m_c} \sum_{s'} |\tanh g_{cs'}(x, u)|},
              \quad u \sim U(-\sqrt 3, \sqrt 3)

    where g is a convolutional network that also reads noise u, and σ_c and m_c are the standard deviation and the
    number of the observed steps of channel c: the mean size of the perturbation of each channel is ε standard
    deviations.

    Parameters
    ----------
    epsilon : float, default 0.05
        ε (paper). 0 is the identity; a curriculum scales it.
    weight : float, default 1.0
        w of the network's own loss, −w times that of the encoder (paper).
    width : int, default 16
        Channels of the inner layers (kinview).
    blocks : int, default 3
        Residual blocks (paper).

    Notes
    -----
    ``fit(batch, schema, generator)`` makes the ``network``, untrained; its weights are drawn from that generator.
    Whoever trains the encoder registers the network and gives both to one optimiser: the gradient that reaches the
    network is reversed and multiplied by w, so that a step which lowers the loss of the encoder raises it for the
    perturbation. Copies (:meth:`strength_scaled`, curricula) share the network.

    *Deviations from the paper*, which is about images. The network is one-dimensional and takes series of any length
    and any number of channels: these share its weights, and each block shows every channel the mean of all. The budget
    is kept by each channel, in its standard deviations, not by the sample as a whole, and there is no clamp to [0, 1].
    Missing steps get no perturbation and count in no budget; they are shown to the network by an indicator, at the
    channel's mean. A norm over the channels of each step takes the place of instance norm, so that no statistic depends
    on how far a batch is padded. Noise has mean 0 and variance 1 (paper: uniform on [0, 1]). Encoder and viewmaker take
    their steps at once and not in turns. As in the paper the budget is always used up, a sphere and not a ball. The
    official helper's loss keeps the similarity of an anchor with itself in its denominator; the loss is not this
    class's affair, and kinview's NT-Xent leaves it out.

    Raises
    ------
    ValueError
        When called before ``fit``.

    References
    ----------
    .. [1] Tamkin, Wu, Goodman, Viewmaker Networks: Learning Views for Unsupervised Representation Learning, ICLR 2021,
       arXiv 2010.07432.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.randn(2, 3, 50, generator=generator)
    >>> viewmaker = Viewmaker(0.1).fit(Batch.of(x), generator=generator)
    >>> size = (viewmaker(x, generator) - x).abs().mean(dim=2) / x.std(dim=2, correction=0)
    >>> bool(torch.allclose(size, torch.tensor(0.1)))
    True
    """

    epsilon: float = real(0.05, low=0, neutral=0)
    weight: float = real(1.0, low=0)
    width: int = whole(16, low=1, high=4096)
    blocks: int = whole(3, low=0, high=64)
    network: nn.Module | None = dataclasses.field(  # type: ignore[misc]  # of the class elsewhere, learned here
        default=None, init=False, repr=False, compare=False
    )

    mixes_channels: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"schema"})

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> Viewmaker:
        """Make the network for series like these, with weights drawn from the generator; returns a fitted copy."""
        self._check(batch)
        network = PerturbationNetwork(self.width, self.blocks, given_or_fresh(generator))
        return self._with(network=network.to(batch.x.device))

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Perturbed copy of ``(n, C, T)`` series; it carries the graph of the network."""
        network = self.network
        if not isinstance(network, PerturbationNetwork):
            raise ValueError("viewmaker has no network yet: call fit(batch, generator=...) on training rows first")
        n, channels, steps = batch.x.shape
        if self.epsilon == 0 or n == 0 or steps == 0:
            return batch
        x = batch.x.to(network.out.weight.dtype)
        seen = ~torch.isnan(x)
        mean, spread = observed_mean(x), observed_std(x)
        scaled = torch.where(seen, (x - mean) / torch.where(spread > 0, spread, 1), 0)
        fine = uniform((n, channels, steps), generator, x, *_NOISE)
        coarse = [uniform((n, channels, -(-steps // _STRIDE)), generator, x, *_NOISE) for _ in range(self.blocks)]
        raw = network(scaled, seen, valid_lengths(batch.x, batch.times), fine, coarse)
        bounded = torch.where(seen, torch.tanh(raw), 0)
        size = bounded.abs().sum(dim=2, keepdim=True) / seen.sum(dim=2, keepdim=True).clamp_min(1)
        delta = self.epsilon * spread * bounded / size.clamp_min(1e-12)
        delta = reversed_gradient(delta, self.weight)
        return batch.replace(x=(batch.x + delta.to(batch.x.dtype)))


class PerturbationNetwork(nn.Module):
    """Convolutional network from series and noise to a perturbation, for series of any length and number of channels.

    One strided layer in, residual blocks at a quarter of the steps, and out again with a layer that reads the series
    itself. Beyond a series' end every layer reads zeros, however far the batch was padded.

    Parameters
    ----------
    width, blocks : int
        Channels of the inner layers, residual blocks.
    generator : torch.Generator
        Source of the first weights.
    """

    def __init__(self, width: int, blocks: int, generator: torch.Generator) -> None:
        super().__init__()
        read = 3  # a channel's values, where they are observed, noise
        self.into = _convolution(read, width, 2 * _STRIDE + 1, generator, stride=_STRIDE)
        self.blocks = nn.ModuleList(_ResidualBlock(width, generator) for _ in range(blocks))
        self.out = _convolution(width, _STRIDE, 3, generator)  # the steps of a position, side by side
        self.direct = _convolution(read, 1, 7, generator)

    def forward(
        self,
        x: Float[Tensor, "n c t"],
        seen: Bool[Tensor, "n c t"],
        lengths: Int64[Tensor, " n"],
        fine: Float[Tensor, "n c t"],
        coarse: list[Float[Tensor, "n c s"]],
    ) -> Float[Tensor, "n c t"]:
        """Output that becomes the perturbation, unbounded; ``x`` standardised, zero where missing."""
        n, channels, steps = x.shape
        inside, within = _inside(lengths, steps, channels, 1), _inside(lengths, steps, channels, _STRIDE)
        read = _cut(torch.stack([x, seen.to(x.dtype), fine], dim=2).flatten(0, 1), inside)
        hidden = _cut(self.into(read), within)
        for block, noise in zip(self.blocks, coarse, strict=True):
            hidden = block(hidden, noise.flatten(0, 1)[:, None], within, channels)
        fanned = self.out(_normed(hidden)).transpose(1, 2).flatten(1)[:, :steps]
        out: Tensor = (fanned + self.direct(read)[:, 0]).reshape(n, channels, steps)
        return out


class _ResidualBlock(nn.Module):
    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = _convolution(width + 1, width, 3, generator)
        self.second = _convolution(width, width, 3, generator)
        self.share = _convolution(width, width, 1, generator)

    def forward(self, hidden: Tensor, noise: Tensor, within: Tensor | None, channels: int) -> Tensor:
        inner = F.relu(_normed(hidden))
        inner = F.relu(self.first(torch.cat([inner, _cut(noise, within)], dim=1)))
        every = inner.reshape(-1, channels, *inner.shape[1:])
        inner = (every + self.share(every.mean(dim=1))[:, None]).flatten(0, 1)
        out: Tensor = _cut(hidden + self.second(_cut(inner, within)), within)
        return out


def _normed(hidden: Tensor) -> Tensor:
    """Unit mean square over the channels of each position; zero stays zero."""
    return hidden * torch.rsqrt(hidden.square().mean(dim=1, keepdim=True) + 1e-5)


def reversed_gradient(values: Tensor, weight: float = 1.0) -> Tensor:
    """The values as they are, with their gradient reversed: one loss that is lowered before them and raised behind.

    Examples
    --------
    >>> at = torch.ones(2, requires_grad=True)
    >>> reversed_gradient(at, 0.5).sum().backward()
    >>> at.grad
    tensor([-0.5000, -0.5000])
    """
    reversed_: Tensor = _ReversedGradient.apply(values, weight)  # type: ignore[no-untyped-call]
    return reversed_


class _ReversedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


def _inside(lengths: Tensor, steps: int, channels: int, stride: int) -> Tensor | None:
    """Positions within each series ``(n · channels, 1, positions)``; None where all are."""
    if bool((lengths == steps).all()):
        return None
    within: Tensor = torch.arange(-(-steps // stride), device=lengths.device) < -(-lengths[:, None] // stride)
    return within.repeat_interleave(channels, dim=0)[:, None, :]


def _cut(values: Tensor, inside: Tensor | None) -> Tensor:
    """Zero beyond the end of each series."""
    return values if inside is None else values * inside


def _convolution(inputs: int, outputs: int, size: int, generator: torch.Generator, stride: int = 1) -> nn.Conv1d:
    """Convolution with weights drawn from the generator; torch's own initialisation draws from the global one."""
    layer: nn.Conv1d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Conv1d, inputs, outputs, size, stride=stride, padding=size // 2
    )
    drawn = torch.empty(layer.weight.shape, device=generator.device)
    nn.init.kaiming_uniform_(drawn, nonlinearity="linear", generator=generator)  # keeps tanh off its flat ends
    with torch.no_grad():
        layer.weight.copy_(drawn)
        assert layer.bias is not None
        layer.bias.zero_()
    return layer
