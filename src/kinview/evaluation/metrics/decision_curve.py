"""Net benefit over threshold probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kinview.evaluation.metrics.outputs import Classification
from kinview.evaluation.metrics.table import METRICS

__all__ = ["decision_curve"]


def decision_curve(said: Classification, thresholds: Sequence[float]) -> pd.DataFrame:
    r"""Net benefit of acting on the scores, beside that of treating everyone.

    Parameters
    ----------
    said : Classification
        Of two classes, with probabilities.
    thresholds : sequence of float
        Threshold probabilities, between 0 and 1: those at which treatment is considered.

    Returns
    -------
    DataFrame
        ``threshold``, ``net_benefit``, and ``treat_all``, :math:`\pi - (1 - \pi)\,t / (1 - t)` with the prevalence
        :math:`\pi`. Treating no one has the net benefit 0.

    Raises
    ------
    ValueError
        If there are not two classes, the scores are no probabilities, or a threshold is not between 0 and 1.

    Examples
    --------
    >>> decision_curve(Classification.of([0, 1, 0, 1], [0.1, 0.9, 0.6, 0.4]), [0.2, 0.5]).round(4)
       threshold  net_benefit  treat_all
    0        0.2       0.4375      0.375
    1        0.5       0.0000      0.000
    """
    benefit = [METRICS["net_benefit"].at(threshold=threshold)(said) for threshold in thresholds]
    prevalence = float(said.positive.mean())
    everyone = [prevalence - (1 - prevalence) * threshold / (1 - threshold) for threshold in thresholds]
    return pd.DataFrame({"threshold": list(thresholds), "net_benefit": benefit, "treat_all": everyone})
