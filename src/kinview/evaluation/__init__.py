"""What a representation is worth: corruptions, label noise, probes, metrics, and the benchmark that runs them.

The registries live where their families do: ``from kinview.evaluation.corruptions import corruptions`` and
``from kinview.evaluation.probes import probes``.
"""

# Parent-relative on purpose: a checkout links this package at its top, where `import evaluation` would make a second
# registry. This import refuses that.
from ..registry import Registry as Registry
