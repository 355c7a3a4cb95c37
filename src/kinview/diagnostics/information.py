"""Mutual information between two sets of representations of the same samples, bounded from below by critics."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from scipy import stats
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor, nn

from kinview.diagnostics.pairs import codes_of
from kinview.losses._blockwise import Diagonal, logsumexp_rows
from kinview.losses._two_views import unit
from kinview.losses.clip import CLIP
from kinview.losses.er_bound import er_bound
from kinview.losses.flat_nce import log_contrasts
from kinview.losses.flo import FLO
from kinview.modules.projector import Perceptron
from kinview.parameters import check_integer
from kinview.training.optimizers import uncompiled
from kinview.training.randomness import forked_generators, resolve_seed

__all__ = ["information"]

_LEAST = 40  # samples: a quarter of them chooses the critic, half of them measures
_BATCH = 256
_EVERY = 10  # steps between two looks at the samples that choose the critic
_CPU = torch.device("cpu")


def information(
    A: Float[np.ndarray, "n d"],
    B: Float[np.ndarray, "n e"],
    *,
    names: Any = None,
    estimators: Sequence[str] = ("info_nce", "flo", "er_bound"),
    repeats: int = 5,
    steps: int = 200,
    hidden_dim: int = 64,
    out_dim: int = 16,
    random_state: Any = 0,
) -> pd.DataFrame:
    r"""Lower bounds of the mutual information I(A; B), in nats, each learned on some samples and measured on others.

    A critic of each side (a perceptron with one hidden layer: standardised rows to unit vectors g, h) is trained with
    the loss of the name on one half of the samples, and what it found is measured on the other half, then the other
    way around; this is repeated with other halves. With the m samples that are measured on and the pairs of different
    samples among them,

    .. math:: \text{info_nce:} & \quad \log m - \tfrac1m \textstyle\sum_i L_i, \quad
              L_i = - \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}} \text{ (mean of both directions)}

              \text{flo:} & \quad 1 - \tfrac1m \textstyle\sum_i \big[ u_i + e^{c_i - u_i} \big], \quad
              c_i = \log \tfrac{1}{m - 1} \sum_{j \ne i} e^{s_{ij} - s_{ii}}

              \text{er_bound:} & \quad 1 + \tfrac1m \textstyle\sum_i \log r_{ii}
              - \tfrac{1}{m (m - 1)} \sum_{i \ne j} r_{ij}, \quad
              r_{ij} = \frac{q(h_j \mid g_i)}{Z \, \hat p(h_j)}

    with :math:`s_{ij} = g_i \cdot h_j / \tau`, a critic u of its own, and the kernels of er_bound: q of von Mises and
    Fisher, :math:`\hat p` the mean of q around the training samples, Z the mean of the ratio over their pairs.

    Parameters
    ----------
    A, B : array ``(n, d)``, ``(n, e)``
        Representations of the same samples by two modalities or views; rows with NaN (a side is lacking) are left out.
        Rows that a critic must not have seen in training should be none that the encoders were trained on either.
    names : array-like ``(n,)``, optional
        Which rows are of one thing, a patient for example: these stay in one half. A row without a name is of nothing
        else.
    estimators : sequence of {"info_nce", "flo", "er_bound"}
        Which bounds.
    repeats : int, default 5
        How often the samples are halved; each half measures once.
    steps : int, default 200
        Steps of Adam (learning rate 3e-3, that of a temperature 3e-2, weight decay 1e-3, batches of 256). A quarter of
        the training half says after every tenth which critic is kept; where none is above 0 there, it is one that says
        nothing, whose bound is 0.
    hidden_dim, out_dim : int
        Sizes of the critics: 64 hidden units, unit vectors of 16 (kinview).
    random_state : int, NumPy generator or None
        Seed of halves, critics and batches.

    Returns
    -------
    DataFrame
        A row an estimator: ``nats``, the mean over 2 · repeats measurements; ``standard_error``, ``low`` and ``high``,
        the 95 % interval of the corrected resampled t test (Nadeau and Bengio 2003); ``cap``, the largest value that it
        can have: log m of info_nce, infinity of the others; ``n``, samples with both sides. It is the same in any order
        of the samples.

    Raises
    ------
    ValueError
        For anything but two finite matrices of as many rows, or fewer than 40 samples with both sides.

    Notes
    -----
    In expectation each is a lower bound of the information between the *representations*, which is at most that
    between the sides themselves. What a critic cannot express, or not learn from so few samples, is missing; a value
    around 0 says that it found nothing that holds on other samples. **A value of info_nce near its cap is the cap**,
    not the information: measure with more samples, or read flo and er_bound, which have none but vary more the larger
    the information is (their exponentials; to tell k nats takes some e^k pairs).

    The er_bound of :func:`kinview.losses.er_bound` estimates the entropy of one side by kernels, which is too large
    where samples lie far apart, so that its negative can exceed the information, by a nat between independent sides.
    As measured here the ratio that it rests on is a critic of the bound of Nguyen, Wainwright and Jordan, which takes
    back whatever the ratio gains on pairs of different samples. The exponential of :func:`kinview.losses.flo` goes on
    as a line beyond 10; here it does not.

    References
    ----------
    .. [1] van den Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding, 2018, arXiv
       1807.03748.
    .. [2] Poole, Ozair, van den Oord, Alemi, Tucker: On Variational Bounds of Mutual Information, ICML 2019,
       arXiv 1905.06922.
    .. [3] Guo et al.: Tight Mutual Information Estimation with Contrastive Fenchel-Legendre Optimization, NeurIPS 2022,
       arXiv 2107.01131.
    .. [4] Rodríguez-Gálvez et al.: The Role of Entropy and Reconstruction in Multi-View Self-Supervised Learning,
       ICML 2023, arXiv 2307.10907.
    .. [5] Nadeau, Bengio: Inference for the Generalization Error, Machine Learning 52, 2003.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> A = draw.normal(size=(200, 2))
    >>> found = information(A, A + draw.normal(size=(200, 2)), estimators=["info_nce"], repeats=1, steps=50)
    >>> found["cap"].round(2).tolist(), bool(0.1 < found.loc["info_nce", "nats"] < 0.9)  # the truth is log 2
    ([4.61], True)
    """
    for value, name in ((repeats, "repeats"), (steps, "steps"), (hidden_dim, "hidden_dim"), (out_dim, "out_dim")):
        check_integer(value, name, at_least=1)
    unknown = [name for name in estimators if name not in _CRITICS]
    if unknown or isinstance(estimators, str) or not estimators:
        raise ValueError(f"estimators must be some of {', '.join(_CRITICS)}; got {estimators!r}")
    a, b, codes = _in_one_order(A, B, names)
    seed = resolve_seed(random_state)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in estimators}
    halves = GroupShuffleSplit(n_splits=repeats, train_size=0.5, random_state=seed)
    for number, (one, other) in enumerate(halves.split(a, groups=codes)):
        for half, (train, test) in enumerate(((one, other), (other, one))):
            with forked_generators(seed + 2 * number + half, _CPU):
                x, y = (_standardised(side, train) for side in (a, b))
                drawn = torch.Generator().manual_seed(seed)
                fit, chooses = (train[part] for part in _quarter(codes[train], seed))
                for name in estimators:
                    critic = _CRITICS[name](x.shape[1], y.shape[1], hidden_dim, out_dim)
                    found = _learn(critic, (x[fit], y[fit]), (x[chooses], y[chooses]), steps, drawn)
                    nats = critic.measured(x[fit], y[fit], x[test], y[test]) if found else 0.0
                    rows[name].append((nats, critic.cap(len(test))))
    return pd.DataFrame({name: _summary(found, len(a)) for name, found in rows.items()}).T.astype({"n": int})


class _Critic(nn.Module, ABC):
    """Both sides' projections, a loss to learn by, and the bound that is measured."""

    capped: ClassVar[bool] = False

    def __init__(self, first: int, second: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__()
        head = Perceptron(hidden_dim=hidden_dim, out_dim=out_dim, batch_norm=False)
        self.first, self.second = head.build(first), head.build(second)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors of both sides."""
        return unit(self.first(x)), unit(self.second(y))

    @abstractmethod
    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """What it learns by, of unit vectors."""

    @abstractmethod
    def bound(self, known: tuple[Tensor, Tensor], a: Tensor, b: Tensor) -> Tensor:
        """The bound on unit vectors of samples, given those of samples that it has learned from."""

    @torch.no_grad()
    def measured(self, x: Tensor, y: Tensor, new_x: Tensor, new_y: Tensor) -> float:
        """The bound on new samples, in float64."""
        known, new = self(x, y), self(new_x, new_y)
        return float(self.bound((known[0].double(), known[1].double()), new[0].double(), new[1].double()))

    def cap(self, n: int) -> float:
        """Largest value that the bound can have on so many samples."""
        return math.log(n) if self.capped else math.inf


class _InfoNCE(_Critic):
    """In both directions, which is CLIP's loss; its temperature is learned."""

    capped = True

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.contrast = CLIP(temperature=1.0, max_scale=50.0)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        value: Tensor = self.contrast(a, b)
        return value

    def bound(self, known: tuple[Tensor, Tensor], a: Tensor, b: Tensor) -> Tensor:
        return math.log(len(a)) - self.loss(a, b)


class _FLO(_Critic):
    """With a further critic of pairs; its temperature is learned."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.contrast = FLO(dim=sizes[-1], hidden_dim=sizes[-2], temperature=1.0, max_scale=50.0)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        value: Tensor = self.contrast(a, b)
        return value

    def bound(self, known: tuple[Tensor, Tensor], a: Tensor, b: Tensor) -> Tensor:
        u = self.contrast.critic(torch.cat([a, b], dim=1).float())[:, 0].double()
        contrasts = log_contrasts(a, b, float(torch.exp(-self.contrast.log_scale)))
        assert contrasts is not None
        value: Tensor = 1 - (u + (contrasts - u).exp()).mean()
        return value


class _ERBound(_Critic):
    """One side reconstructs the other, whose density is that of kernels around samples known."""

    temperature: ClassVar[float] = 0.1

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        return er_bound(a, b, self.temperature)

    def bound(self, known: tuple[Tensor, Tensor], a: Tensor, b: Tensor) -> Tensor:
        _, normaliser = self._log_ratios(known[1], *known, itself=True)
        own, others = self._log_ratios(known[1], a, b)
        return 1 + own.mean() - normaliser - (others - normaliser).exp()

    def _log_ratios(self, kernels: Tensor, a: Tensor, b: Tensor, *, itself: bool = False) -> tuple[Tensor, Tensor]:
        """Logarithms of q(b | a) / p(b) of each pair, and of its mean over the pairs of different rows."""
        scale = 1 / self.temperature
        mask = (Diagonal(),) if itself else ()
        density = logsumexp_rows(b, kernels, scale, masks=mask) - math.log(len(kernels) - itself)
        own = (a * b).sum(dim=1) * scale - density
        with_density = torch.cat([b, -density[:, None] / scale], dim=1)
        others = logsumexp_rows(
            torch.cat([a, torch.ones_like(a[:, :1])], dim=1), with_density, scale, masks=(Diagonal(),)
        )
        n = len(a)
        return own, torch.logsumexp(others, dim=0) - math.log(n * (n - 1))


_CRITICS: dict[str, type[_Critic]] = {"info_nce": _InfoNCE, "flo": _FLO, "er_bound": _ERBound}


def _learn(
    critic: _Critic,
    fit: tuple[Tensor, Tensor],
    chooses: tuple[Tensor, Tensor],
    steps: int,
    generator: torch.Generator,
) -> bool:
    """Train a critic, and leave it as it was where its bound was best on the samples that choose: above 0 or not."""
    scales = [parameter for parameter in critic.parameters() if parameter.ndim == 0]  # logarithms, which have far to go
    weights = [parameter for parameter in critic.parameters() if parameter.ndim > 0]
    groups = [{"params": weights, "weight_decay": 1e-3}, {"params": scales, "lr": 3e-2}]
    optimiser = uncompiled(torch.optim.Adam)(groups, lr=3e-3, fused=True)
    best, kept = -math.inf, copy.deepcopy(critic.state_dict())
    for step in range(steps + 1):
        if step % _EVERY == 0 or step == steps:
            value = critic.measured(*fit, *chooses)
            if value > best:
                best, kept = value, copy.deepcopy(critic.state_dict())
        rows = torch.randperm(len(fit[0]), generator=generator)[:_BATCH]
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(critic.loss(*critic(fit[0][rows], fit[1][rows])))
        optimiser.step()
    critic.load_state_dict(kept)
    return best > 0


def _in_one_order(
    A: Any, B: Any, names: Any
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n e"], Int64[np.ndarray, " n"]]:
    """Rows that have both sides, and what they are of, in an order that does not depend on the given one."""
    A, B = (np.asarray(Z, dtype=np.float64) for Z in (A, B))
    if A.ndim != 2 or B.ndim != 2 or len(A) != len(B):
        raise ValueError(f"information is between two matrices of as many rows; got {A.shape} and {B.shape}")
    codes = codes_of(names, len(A))
    known = ~(np.isnan(A).any(axis=1) | np.isnan(B).any(axis=1))
    A, B, codes = A[known], B[known], codes[known]
    if not (np.isfinite(A).all() and np.isfinite(B).all()):
        raise ValueError("a representation is infinite")
    things = len(np.unique(codes))
    if things < _LEAST:
        of = "samples" if names is None else "names"
        raise ValueError(f"information is learned and measured on {_LEAST} {of} with both sides or more; got {things}")
    order = np.lexsort(np.concatenate([A, B], axis=1).T)
    return A[order], B[order], pd.factorize(codes[order])[0]


def _standardised(side: Float[np.ndarray, "n d"], train: Int64[np.ndarray, " m"]) -> Float[Tensor, "n d"]:
    """Columns with mean 0 and variance 1 on the training half; one that is constant there stays 0."""
    mean, deviation = side[train].mean(axis=0), side[train].std(axis=0)
    constant = deviation <= 1e-12 * np.abs(side[train]).max(axis=0, initial=1e-300)
    scaled = (side - mean) / np.where(constant, 1.0, deviation)
    return torch.from_numpy(np.where(constant, 0.0, np.clip(scaled, -10, 10))).float()


def _quarter(codes: Int64[np.ndarray, " n"], seed: int) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " k"]]:
    """Three quarters of the rows, by what they are of, and the last one."""
    parts = next(GroupShuffleSplit(n_splits=1, test_size=0.25, random_state=seed).split(codes, groups=codes))
    return parts[0], parts[1]


def _summary(found: list[tuple[float, float]], n: int) -> dict[str, float]:
    nats, caps = np.array(found).T
    count = len(nats)
    error = math.sqrt((1 / count + 1) * nats.var(ddof=1))  # a test half is as large as a training half
    half = float(stats.t.ppf(0.975, count - 1)) * error
    mean = float(nats.mean())
    return {
        "nats": mean,
        "standard_error": error,
        "low": mean - half,
        "high": mean + half,
        "cap": float(caps.mean()),
        "n": n,
    }
