"""What the tests of frameworks over joint embedding share: small networks, fixed views, gradients, short trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers import gen
from kinview.data import Batch
from kinview.methods import methods
from kinview.methods.estimators.view_fitting import fit_views
from kinview.training import Method
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

SERIES_ENCODER = {"dilated_conv": {"repr_dim": 8, "hidden_dim": 6, "depth": 2, "dropout": 0.0}}
TABLE_ENCODER = {"mlp": {"hidden_dim": 8, "depth": 2}}
ENCODERS = {"time_series": SERIES_ENCODER, "tabular": TABLE_ENCODER}
MODALITIES = tuple(ENCODERS)


def data(modality: str, n: int = 12, seed: int = 0) -> Any:
    """Return three noisy kinds of series, or of rows with one column of categories."""
    random = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    if modality == "time_series":
        steps = np.arange(24)
        waves = np.sin(steps / 24 * 2 * np.pi * (kind[:, None] + 1) + random.uniform(0, 6, size=(n, 1)))
        return (waves + 0.3 * random.normal(size=(n, 24)))[:, None]
    table = pd.DataFrame(kind[:, None] + 0.5 * random.normal(size=(n, 4)), columns=list("abcd"))
    return table.assign(kind=pd.Categorical([f"k{k}" for k in np.arange(n) % 2]))


def specified(name: str, modality: str, **parameters: Any) -> Any:
    """Return the estimator of a method with a small encoder."""
    spec = {name: {"encoder": ENCODERS[modality], "random_state": 0, **parameters}}
    return methods.build(spec, for_modality=modality)


def fitted(name: str, modality: str, steps: int = 2, n: int = 12, **parameters: Any) -> Any:
    """Return it after some steps on :func:`data`."""
    trainer = {"max_steps": steps, "batch_size": min(n, 32), **parameters.pop("trainer", {})}
    return specified(name, modality, trainer=trainer, **parameters).fit(data(modality, n))


def network(name: str, modality: str = "time_series", **parameters: Any) -> Method:
    """Return the method itself in float64, its weights always the same."""
    estimator = specified(name, modality, **parameters)
    sizes = Sizes(channels=1, length=12) if modality == "time_series" else Sizes(cardinalities=(0, 0, 0, 0))
    with forked_generators(0, torch.device("cpu")):
        method = estimator.method_class(estimator, sizes).double()
    fit_views(method, two_views(modality)[0], gen(0), schema=None)
    return method


def two_views(modality: str = "time_series", n: int = 6, **extra: Tensor) -> list[Batch]:
    """Return two views of unrelated values."""
    shape = (n, 1, 12) if modality == "time_series" else (n, 4)
    views = [Batch.of(torch.randn(*shape, generator=gen(seed), dtype=torch.float64)) for seed in (1, 2)]
    return [view.replace(extra=dict(extra)) for view in views]


def projected(method: Any, view: Batch) -> Tensor:
    """Return the projections of a view, without a graph."""
    return method.projector(method.embed(view)).detach()


def loss_and_gradient(method: Any, views: list[Batch]) -> tuple[float, Tensor]:
    """Return the loss, and its gradient with respect to all weights of the encoder."""
    method.zero_grad()
    loss = method.loss(views).loss
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in method.encoder.parameters() if p.grad is not None])


def differ(one: tuple[float, Tensor], other: tuple[float, Tensor]) -> bool:
    """Say whether both loss and gradient are others."""
    return abs(one[0] - other[0]) > 1e-4 and not torch.allclose(one[1], other[1], rtol=1e-2, atol=1e-5)
