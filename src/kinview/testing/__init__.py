"""Contract suites that parts of this package pass, for authors of parts of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.testing.augmentations import check_augmentation as check_augmentation
    from kinview.testing.corruptions import check_corruption as check_corruption
    from kinview.testing.encoders import check_encoder as check_encoder
    from kinview.testing.label_noise import check_label_noise as check_label_noise
    from kinview.testing.losses import check_loss as check_loss
    from kinview.testing.methods import check_method as check_method
    from kinview.testing.probes import check_probe as check_probe

lazy_exports(__name__)
