"""Which time steps, channels or columns a representation rests on, and whether an explanation of that is to be trusted.

An explainer says how important each observed cell of a sample is to its representation; :func:`deletion` measures
whether hiding the cells that it names moves the representation more than hiding others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.explanations.cortx import CoRTX as CoRTX
    from kinview.explanations.deletion import Deletion as Deletion, deletion as deletion
    from kinview.explanations.explain import explain as explain
    from kinview.explanations.explainer import Explainer as Explainer
    from kinview.explanations.explanation import Explanation as Explanation
    from kinview.explanations.integrated_gradients import IntegratedGradients as IntegratedGradients
    from kinview.explanations.occlusion import Occlusion as Occlusion
    from kinview.explanations.shapley import Shapley as Shapley

_package = lazy_exports(__name__)
explainers = Registry(
    "explainers",
    members=(
        "kinview.explanations.occlusion",
        "kinview.explanations.integrated_gradients",
        "kinview.explanations.shapley",
        "kinview.explanations.cortx",
    ),
)
