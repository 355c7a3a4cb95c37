"""Integrated gradients: what each cell adds to a scalar of the representation, on the way from a baseline."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kinview.explanations import explainers
from kinview.explanations.explainer import Explainer
from kinview.explanations.samples import Embed, ReadSamples
from kinview.parameters import anything, real, whole

__all__ = ["IntegratedGradients"]

_SERIES_STEPS, _TABLE_CELLS = 2**13, 2**15  # of the copies whose gradient is held at once
_GAP = 0.05  # of what is explained, beyond which it is said that attributions do not add up
_LITTLE = 0.02  # of the scalar itself: a smaller difference counts as this much


@explainers.register("integrated_gradients", modality="any", reference="Sundararajan et al., ICML 2017")
@dataclasses.dataclass(frozen=True, eq=False)
class IntegratedGradients(Explainer):
    r"""Integrated gradients: what each value adds to a scalar of the representation, counted from a baseline.

    With the representation f, the scalar :math:`g(x) = \langle v, f(x) \rangle` and the baseline b,

    .. math:: A_j = (x_j - b_j) \int_0^1 \frac{\partial g}{\partial x_j}\bigl(b + \alpha (x - b)\bigr) \, d\alpha,
              \qquad \sum_j A_j = g(x) - g(b).

    By default v is the sample's own representation as a unit vector: then g(x) is its size, and a value is important
    that brings the baseline towards where the sample lies. The integral is taken by Gauss-Legendre quadrature, in
    float64.

    Parameters
    ----------
    steps : int, default 64
        Nodes of the quadrature (the paper finds 20 to 300 to be enough).
    direction : array (D,), optional
        v, such as the weights of a linear probe for a class: then A says what speaks for that class. Their scale is
        that of the representation, so weights on standardised features have to be divided by the deviations.
    baseline : float, default 0.0
        b of every observed value, in the scale that the network reads: 0 is the mean of the training samples, unless
        the model leaves values as they were measured.

    Notes
    -----
    Gaps stay gaps on the whole way: a value that was not observed has no attribution (NaN). Attributions have a sign:
    a negative one holds the representation back from v. What is most important is the largest by its absolute value.

    Categories have no gradient. They stay as they are along the way, have no attribution (NaN), and a warning names
    them; :class:`Occlusion` explains them. A table of categories alone is refused, and so are fixed features, through
    which no gradient flows. Where a part of a network has none (thresholds, as of ``TS2Vec(pooling="quantiles")`` and
    the MiniRocket beside TS2Vec), or the nodes are too few, attributions do not add up to g(x) - g(b): a warning says
    so for samples where they differ by more than 5 % of it.

    References
    ----------
    .. [1] Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, ICML 2017, arXiv 1703.01365.
    .. [2] Crabbé, van der Schaar: Label-Free Explainability for Unsupervised Models, ICML 2022, arXiv 2203.01928: the
       scalar of a representation is its inner product with that of the sample.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import SimCLR, explain
    >>> X = np.random.default_rng(0).normal(size=(8, 2, 20))
    >>> model = SimCLR(random_state=0, trainer={"max_steps": 1}).fit(X)
    >>> found = explain(model, X[:3], "integrated_gradients", steps=8)
    >>> found.values.shape
    (3, 2, 20)
    """

    steps: int = whole(64, low=1)
    direction: Sequence[float] | None = anything(None, "array (D,)", doc="")
    baseline: float = real(0.0)

    def attribute(self, samples: ReadSamples, generator: torch.Generator) -> Float64[Tensor, "n ..."]:
        """Attribution of each cell."""
        network, moves = self._network(samples), self._moves(samples)
        directions = self._directions(samples)
        values = torch.zeros(samples.batch.x.shape, dtype=torch.float64)
        gap, explained = torch.zeros(2, len(samples), dtype=torch.float64)
        chunk = _copies_at_once(samples.batch.x)
        for rows in torch.split(torch.arange(len(samples)), max(1, chunk // self.steps)):
            path = _Path(samples, network, rows, moves[rows], directions[rows], self.baseline)
            values[rows] = path.integral(self.steps, chunk)
            start, end = path.scalar(0.0), path.scalar(1.0)
            gap[rows] = (values[rows].flatten(1).sum(dim=1) - (end - start)).abs()
            explained[rows] = torch.maximum((end - start).abs(), _LITTLE * (start.abs() + end.abs()))
        _warn_of_gap(gap, explained)
        return values.masked_fill(~moves, torch.nan)

    def _network(self, samples: ReadSamples) -> Embed:
        if samples.network is None:
            raise ValueError(
                "integrated_gradients needs a network, and this model computes fixed features, through which no "
                "gradient flows: explain it by occlusion"
            )
        return samples.network()

    def _moves(self, samples: ReadSamples) -> Bool[Tensor, "n ..."]:
        """Which cells move along the way: those that were observed and are no categories."""
        named = [name for name, is_one in zip(samples.names, samples.categorical) if is_one]
        if not named:
            return samples.observed
        if len(named) == len(samples.names):
            raise ValueError("integrated_gradients: all columns are categories, which have no gradient; take occlusion")
        warnings.warn(
            f"integrated_gradients: {len(named)} column(s) of categories have no gradient and stay as they are: "
            f"{', '.join(named)}; occlusion explains them",
            UserWarning,
            stacklevel=4,
        )
        return samples.observed & ~torch.tensor(samples.categorical)

    def _directions(self, samples: ReadSamples) -> Float64[Tensor, "n d"]:
        z = samples.embedded
        if self.direction is None:
            return torch.nn.functional.normalize(z, dim=1)
        given = np.asarray(self.direction, dtype=np.float64)
        if given.shape != (z.shape[1],) or not np.isfinite(given).all():
            raise ValueError(
                f"direction must be {z.shape[1]} finite numbers, one a dimension of the representation; got an array "
                f"of shape {given.shape}"
            )
        return torch.from_numpy(given).expand_as(z)


class _Path:
    """The straight way of some samples from their baseline, and the scalar along it."""

    def __init__(
        self,
        samples: ReadSamples,
        network: Embed,
        rows: Int64[Tensor, " r"],
        moves: Bool[Tensor, "r ..."],
        directions: Float64[Tensor, "r d"],
        baseline: float,
    ) -> None:
        self.batch, self.network, self.directions = samples.batch.rows(rows), network, directions
        self.end = self.batch.x.double()
        self.start = torch.where(moves, baseline, self.end)
        self.way = torch.where(moves, self.end - baseline, 0.0)

    def scalar(self, at: float) -> Float64[Tensor, " r"]:
        """The scalar at a place on the way, 0 being the baseline and 1 the sample."""
        with torch.no_grad():
            return self._scalar(torch.arange(len(self.end)), self.start + at * self.way)

    def integral(self, steps: int, chunk: int) -> Float64[Tensor, "r ..."]:
        """Integral of the gradient over the way, times the way."""
        nodes, weights = (torch.from_numpy(each) / 2 for each in np.polynomial.legendre.leggauss(steps))
        nodes = nodes + 0.5
        rows = torch.arange(len(self.end)).repeat_interleave(steps)
        node = torch.arange(steps).repeat(len(self.end))
        total = torch.zeros_like(self.way)
        shape = (-1, *(1,) * (self.way.ndim - 1))
        for part in torch.split(torch.arange(len(rows)), chunk):
            row, at = rows[part], nodes[node[part]].view(shape)
            x = (self.start[row] + at * self.way[row]).requires_grad_()
            with torch.enable_grad():
                value = self._scalar(row, x).sum()
            slope = torch.autograd.grad(value, x)[0] if value.requires_grad else torch.zeros_like(x)
            total.index_add_(0, row, torch.nan_to_num(slope) * weights[node[part]].view(shape))
        return total * self.way

    def _scalar(self, rows: Int64[Tensor, " k"], x: Float64[Tensor, "k ..."]) -> Float64[Tensor, " k"]:
        z = self.network(self.batch.rows(rows).replace(x=x))
        return (z.double() * self.directions[rows]).sum(dim=1)


def _copies_at_once(x: Tensor) -> int:
    return max(1, _SERIES_STEPS // x.shape[2] if x.ndim == 3 else _TABLE_CELLS // x.shape[1])


def _warn_of_gap(gap: Float64[Tensor, " n"], explained: Float64[Tensor, " n"]) -> None:
    share = gap / explained.clamp_min(1e-12)
    apart = share > _GAP
    if bool(apart.any()):
        worst = float(share.max())
        warnings.warn(
            f"integrated_gradients: the attributions of {int(apart.sum())} of {len(gap)} samples do not add up to what "
            f"they explain (by {100 * worst:.0f} % at most): give more steps; a network with parts that have no "
            f"gradient, such as thresholds, is better explained by occlusion",
            UserWarning,
            stacklevel=4,
        )
