"""The Rocket family: random convolutions and what is counted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.methods.controls.rocket.hydra import Hydra as Hydra
    from kinview.methods.controls.rocket.minirocket import MiniRocket as MiniRocket
    from kinview.methods.controls.rocket.multirocket import MultiRocket as MultiRocket
    from kinview.methods.controls.rocket.multirocket_hydra import MultiRocketHydra as MultiRocketHydra

lazy_exports(__name__)
