"""A fitted model and samples in, an explanation out."""

from __future__ import annotations

from typing import Any

import torch

from kinview.explanations import explainers
from kinview.explanations.explainer import Explainer
from kinview.explanations.explanation import Explanation
from kinview.explanations.samples import read_samples
from kinview.training.randomness import resolve_seed

__all__ = ["explain"]


def explain(
    model: Any,
    X: Any,
    explainer: Any = "occlusion",
    *,
    X_train: Any = None,
    side: str | None = None,
    random_state: Any = 0,
    **parameters: Any,
) -> Explanation:
    """How important each observed cell of each sample is to its representation.

    Parameters
    ----------
    model : estimator
        Any fitted estimator of this package that embeds series, tables, or pairs; of a classifier its ``encoder_``.
    X : panel, table or PairedData
        Samples, as ``model.transform`` takes them.
    explainer : str, mapping or Explainer, default "occlusion"
        ``"occlusion"``, ``"integrated_gradients"``, ``"shapley"`` or ``"cortx"``; with parameters as ``{name:
        {parameter: value}}``; or one that has learned, ``explanation.explainer`` of an earlier call with this model.
    X_train : panel, table or PairedData, optional
        Samples that an explainer learns of (``cortx``); by default X itself.
    side : str, optional
        Of a model of pairs: whose representation is explained, and so whose cells.
    random_state : int, RandomState or Generator, default 0
        Seed of what an explainer draws.
    **parameters : object
        Parameters of the explainer, where it is given by its name.

    Returns
    -------
    Explanation
        ``values`` in the shape of the samples; NaN where nothing was observed.

    Raises
    ------
    ValueError
        If the model has no representation to explain, or the explainer cannot explain it; the message says what can.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import MiniRocket, explain
    >>> X = np.zeros((6, 1, 40))
    >>> X[:, 0, 20:24] = np.arange(6.0)[:, None]
    >>> found = explain(MiniRocket(random_state=0).fit(X), X[5:], window=4)
    >>> found.top(0, 1).round(3)
         channel  first  last  importance
    0  channel_0     22    23       0.082
    """
    if parameters and not isinstance(explainer, str):
        raise ValueError(
            f"parameters ({', '.join(parameters)}) go with the name of an explainer; write them into the spec, "
            f"{{name: {{parameter: value}}}}"
        )
    part: Explainer = explainers.build({explainer: parameters} if parameters else explainer)
    if not isinstance(part, Explainer):
        raise ValueError(f"explainer must be a name, a spec or an Explainer; got {part!r}")
    samples = read_samples(model, X, side)
    generator = torch.Generator().manual_seed(resolve_seed(random_state))
    if not part.fitted:
        part = part.fit(samples if X_train is None else read_samples(model, X_train, side), generator)
    values = part.attribute(samples, generator)
    return Explanation(values.numpy(), part, samples.names, samples.index, samples.given, samples.steps)
