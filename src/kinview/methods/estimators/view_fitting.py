"""What the estimators do with the views of a method: let them learn from training rows, and forget it afterwards."""

from __future__ import annotations

import torch
from torch import nn

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.data.table import TableSchema

__all__ = ["fit_views", "forget_views"]

_NETWORKS = "view_networks"
_NEEDS = {"y": "the label of each row (y)", "groups": "the group of each row (groups)", "loss": "a loss"}


def fit_views(
    method: nn.Module, rows: Batch, generator: torch.Generator, *, schema: TableSchema | None = None, owner: str = ""
) -> None:
    """Fit every augmentation that is an attribute of the method; weights of learned views become the method's.

    Parameters
    ----------
    method : Module
        Whose views they are: a :class:`~kinview.training.Method`, or a part of one.
    rows : Batch
        Training rows.
    generator : torch.Generator
        Source of what is drawn.
    schema : TableSchema, optional
        Columns of a table.
    owner : str
        Name of the estimator, for errors; by default that of the method.

    Raises
    ------
    ValueError
        If a view needs labels, groups or a loss, and this training has none.
    """
    for name, view in _views(method):
        _check_needs(method, name, view, rows, owner or type(method).__name__)
    networks: list[nn.Module] = []
    for name, view in _views(method):
        fitted = view.fit(rows, schema, generator)
        setattr(method, name, fitted)
        networks += [fitted.network] if fitted.network is not None else []
    if networks:
        setattr(method, _NETWORKS, nn.ModuleList(networks))


def _check_needs(method: nn.Module, name: str, view: Augmentation, rows: Batch, owner: str) -> None:
    """Refuse a view that needs what this training does not have.

    Raises
    ------
    ValueError
        What it needs, and why there is none.
    """
    absent = {
        "y": rows.y is None and "was given no labels: fit(X, y)",
        "groups": rows.groups is None and "was given no groups: fit(X, groups=...)",
        "loss": name not in getattr(method, "gives_loss", ())
        and _wants_loss(view)
        and "gives its views no loss to raise",
    }
    for what, reason in absent.items():
        if what in view.needs and reason:
            raise ValueError(
                f"{name}: {type(view).__name__} needs {_NEEDS[what]}, and {owner} {reason}; choose another augmentation"
            )


def _wants_loss(view: Augmentation) -> bool:
    """Whether a loss is needed that no one has bound."""
    parts = getattr(view, "parts", None)
    if parts is not None:
        return any(_wants_loss(part) for part in parts)
    return "loss" in view.needs and getattr(view, "_loss", None) is None


def forget_views(method: nn.Module) -> None:
    """Leave the parameters of the views alone: what they learned is training data, or of no use for embedding."""
    for name, view in _views(method):
        setattr(method, name, view.forget())
    if hasattr(method, _NETWORKS):
        delattr(method, _NETWORKS)


def _views(method: nn.Module) -> list[tuple[str, Augmentation]]:
    return [(name, value) for name, value in vars(method).items() if isinstance(value, Augmentation)]
