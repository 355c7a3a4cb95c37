"""Classification heads: from a representation to one score a class."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.modules import heads
from kinview.old_pickles import FromPickle
from kinview.parameters import check_integer

__all__ = ["GatedHead", "LinearHead", "MLPHead"]

_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "sigmoid": nn.Sigmoid}


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        check_integer(value, name, at_least=1)


@heads.register("linear", modality="any")
class LinearHead(FromPickle, nn.Module):
    """One linear layer.

    Parameters
    ----------
    in_features : int
        Size D of a representation.
    n_classes : int
        Number of classes K.

    Notes
    -----
    Shapes: ``(n, D) -> (n, K)``.
    """

    def __init__(self, in_features: int, n_classes: int) -> None:
        super().__init__()
        _check_sizes(in_features=in_features, n_classes=n_classes)
        self.config = {"in_features": in_features, "n_classes": n_classes}
        self.layer = nn.Linear(in_features, n_classes)

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """Scores ``(n, K)``; their softmax is the probability."""
        out: Tensor = self.layer(z)
        return out


@heads.register("mlp", modality="any", reference="Bahri et al., SCARF, ICLR 2022")
class MLPHead(FromPickle, nn.Module):
    """Hidden layers of one width, then one linear layer.

    SCARF's classification head is the default; that of TF-C's official code is ``{mlp: {depth: 1, hidden_dim: 64,
    activation: sigmoid}}``.

    Parameters
    ----------
    in_features : int
        Size D of a representation.
    n_classes : int
        Number of classes K.
    hidden_dim : int, default 256
        Width of the hidden layers (SCARF).
    depth : int, default 2
        Number of hidden layers (SCARF).
    activation : {"relu", "gelu", "sigmoid"}, default "relu"
        After every hidden layer (SCARF).

    Notes
    -----
    Shapes: ``(n, D) -> (n, K)``.

    Examples
    --------
    >>> import torch
    >>> MLPHead(in_features=8, n_classes=3, hidden_dim=4)(torch.zeros(5, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        hidden_dim: int = 256,
        depth: int = 2,
        activation: Literal["relu", "gelu", "sigmoid"] = "relu",
    ) -> None:
        super().__init__()
        _check_sizes(in_features=in_features, n_classes=n_classes, hidden_dim=hidden_dim, depth=depth)
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(_ACTIVATIONS)}; got {activation!r}")
        self.config = {
            "in_features": in_features,
            "n_classes": n_classes,
            "hidden_dim": hidden_dim,
            "depth": depth,
            "activation": activation,
        }
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(in_features if i == 0 else hidden_dim, hidden_dim), _ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden_dim, n_classes))

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """Scores ``(n, K)``; their softmax is the probability."""
        out: Tensor = self.layers(z)
        return out


@heads.register("gated", modality="any", reference="Arevalo et al., Gated Multimodal Units, ICLR 2017 workshop")
class GatedHead(FromPickle, nn.Module):
    r"""A gated multimodal unit over the two sides of a pair, then one linear layer.

    With the representations a and b of both sides, :math:`\sigma` the logistic function and W without bias,

    .. math:: g = \sigma(W_g [a, b]), \quad h = g \odot \tanh(W_a a) + (1 - g) \odot \tanh(W_b b),

    so that it is decided for each sample, unit by unit, how each side is weighted. ``linear`` and ``mlp`` on the same
    representation are the fusion by concatenation.

    Parameters
    ----------
    in_features : int
        Size D of both representations beside each other.
    n_classes : int
        Number of classes K.
    first_features : int
        Size of the first of them.
    hidden_dim : int, default 128
        Size of h (the paper has 512 for the plots and posters of films).

    Raises
    ------
    ValueError
        If a size is no whole number from 1 on, or nothing is left for the second side.

    Notes
    -----
    Shapes: ``(n, D) -> (n, K)``.

    References
    ----------
    .. [1] Arevalo, Solorio, Montes-y-Gomez, Gonzalez: Gated Multimodal Units for Information Fusion, ICLR 2017
       workshop, arXiv 1702.01992.

    Examples
    --------
    >>> GatedHead(in_features=8, n_classes=3, first_features=5, hidden_dim=4)(torch.zeros(5, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(self, in_features: int, n_classes: int, first_features: int, hidden_dim: int = 128) -> None:
        super().__init__()
        _check_sizes(in_features=in_features, n_classes=n_classes, first_features=first_features, hidden_dim=hidden_dim)
        if first_features >= in_features:
            raise ValueError(
                f"first_features must leave some of {in_features} for the second side; got {first_features}"
            )
        self.config = {
            "in_features": in_features,
            "n_classes": n_classes,
            "first_features": first_features,
            "hidden_dim": hidden_dim,
        }
        self.sizes = [first_features, in_features - first_features]
        self.sides = nn.ModuleList(nn.Linear(size, hidden_dim, bias=False) for size in self.sizes)
        self.gate = nn.Linear(in_features, hidden_dim, bias=False)
        self.layer = nn.Linear(hidden_dim, n_classes)

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """Scores ``(n, K)``; their softmax is the probability."""
        a, b = z[:, : self.sizes[0]], z[:, self.sizes[0] :]
        first, second = torch.tanh(self.sides[0](a)), torch.tanh(self.sides[1](b))
        gate = torch.sigmoid(self.gate(z))
        out: Tensor = self.layer(gate * first + (1 - gate) * second)
        return out
