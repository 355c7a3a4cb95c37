"""An encoder under test, the samples it is tried on, and the comparisons that the checks are written in."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.gaps import valid_lengths
from kinview.data.modality import SERIES
from kinview.encoders import encoders
from kinview.registry import to_config
from kinview.training.randomness import forked_generators

__all__ = ["CARDINALITIES", "CHANNELS", "STEPS", "Case", "near"]

CHANNELS, STEPS = 3, 24
CARDINALITIES = (0, 0, 4, 0, 3)
TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Case:
    """One encoder.

    ``given`` is as it was built, ``network`` in eval mode and as if it had been trained: biases and running statistics
    matter.
    """

    given: Any
    network: Any
    modality: str

    @classmethod
    def of(cls, given: Any, modality: str) -> Case:
        """The case of an encoder as it is given."""
        network = copy.deepcopy(given)
        with torch.no_grad():
            for name, value in network.named_parameters():
                if value.ndim == 1 or name.endswith("bias"):  # zeros at first, often
                    value.add_(torch.linspace(-0.3, 0.3, value.numel()).reshape(value.shape))
            for name, value in network.named_buffers():
                if name.endswith(("running_mean", "running_var")):  # of a network that has been trained
                    value.add_(torch.linspace(-0.3, 0.3, value.numel()))
        return cls(given, network.eval(), modality)

    def samples(self) -> Tensor:
        """Series with gaps of every kind, of unequal length; or rows of a table with missing and unknown cells."""
        return self._series() if self.modality == SERIES else self._table()

    def _series(self) -> Tensor:
        x = torch.randn(6, self.channels, STEPS, generator=_generator())
        x[0, 0, 3] = x[0, -1, 5:9] = torch.nan
        x[0, :, 12] = torch.nan
        x[1, :, :4] = torch.nan
        x[2, :, 15:] = torch.nan
        x[3] = torch.nan  # nothing observed
        x[4, :, 1:] = torch.nan
        return x  # the last row is complete

    def _table(self) -> Tensor:
        sizes = torch.tensor(self.given.config["cardinalities"])
        numbers = torch.randn(8, len(sizes), generator=_generator())
        codes = torch.floor(torch.rand(8, len(sizes), generator=_generator(1)) * sizes.clamp_min(1))
        x = torch.where(sizes > 0, codes, numbers)
        x[torch.rand(x.shape, generator=_generator(2)) < 0.2] = torch.nan
        x[3] = torch.nan
        x[4] = torch.where(sizes > 0, torch.zeros(()), x[4])  # categories not seen at fit
        return x

    @property
    def channels(self) -> int:
        """Channels of the series."""
        return int(self.given.config.get("channels", CHANNELS))

    def encoded(
        self, x: Tensor, network: nn.Module | None = None, *, times: Tensor | None = None, hide: Tensor | None = None
    ) -> Tensor:
        """Features, without a gradient."""
        given = {name: value for name, value in (("times", times), ("hide", hide)) if value is not None}
        with torch.no_grad():
            found = (self.network if network is None else network)(x, **given)
        assert isinstance(found, Tensor), f"forward must return a tensor; got {type(found).__name__}"
        return found

    def clocks(self, x: Tensor) -> tuple[tuple[str, Tensor | None], ...]:
        """No time stamps, uneven ones that end with a series, and ones that keep the steps after its end as gaps."""
        if self.modality != SERIES:
            return (("", None),)
        steps = torch.rand(len(x), x.shape[2], generator=_generator(3), dtype=torch.float64)
        times = steps.cumsum(dim=1) + 1e6
        beyond = torch.arange(x.shape[2]) >= valid_lengths(x)[:, None]
        return (
            ("", None),
            (" with time stamps", times.masked_fill(beyond, torch.nan)),
            (" with time stamps after the last observation", times),
        )

    def draw(self, seed: int = 0) -> Any:
        """An encoder with the same parameters and other initial weights."""
        with forked_generators(seed, torch.device("cpu")):
            return encoders.build(to_config(self.given)).eval()


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def near(one: Float[Tensor, " ..."], other: Float[Tensor, " ..."]) -> bool:
    """Whether two results agree to 1e-5, no NaN among them."""
    return one.shape == other.shape and torch.allclose(one.double(), other.double(), rtol=TOLERANCE, atol=TOLERANCE)
