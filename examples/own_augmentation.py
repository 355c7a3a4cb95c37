"""An augmentation of one's own, in ten lines, and the suite that it passes like those of the package."""

import dataclasses

import torch

from kinview.augmentations import Augmentation, augmentations
from kinview.data import observed_peak
from kinview.parameters import real
from kinview.testing import check_augmentation


@augmentations.register("saturate", modality="time_series")
@dataclasses.dataclass(frozen=True)
class Saturate(Augmentation):
    """A sensor that saturates: each series is cut off at a fraction of its peak, drawn from [1 - depth, 1]."""

    depth: float = real(0.5, low=0, high=1, neutral=0)
    modality = "time_series"

    def apply(self, batch, generator):
        drawn = torch.rand(len(batch), 1, 1, generator=generator).to(batch.x)
        limit = observed_peak(batch.x) * (1 - self.depth * drawn)
        return batch.replace(x=batch.x.clamp(-limit, limit))


checks = check_augmentation("saturate")
print(f"saturate passes {len(checks)} checks")

both = augmentations.build([{"saturate": {"depth": 0.8}}, "permutation"])  # by name, as from a YAML file
wave = torch.sin(torch.linspace(0, 20, 200)).expand(4, 1, 200)
view = both(wave, torch.Generator().manual_seed(0))
print("peaks of four views:", [round(peak, 2) for peak in view.amax(dim=2).flatten().tolist()])
