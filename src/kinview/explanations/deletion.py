"""Deletion: whether hiding what an explanation names moves the representation more than hiding other cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64, Int64
from scipy import stats
from torch import Tensor

from kinview.explanations.explanation import Explanation
from kinview.explanations.hiding import WINDOWS, Distance, Units, moved, units_of
from kinview.explanations.samples import ReadSamples, read_samples
from kinview.parameters import check_integer
from kinview.training.randomness import resolve_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Deletion", "deletion"]

_FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Area(NamedTuple):
    """Mean over samples, with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, eq=False)
class Deletion:
    """Curves of deletion.

    Attributes
    ----------
    fractions : ndarray (p,)
        Fraction of the units of each sample that is hidden.
    important : ndarray (n, p)
        What is measured of each sample as its most important units are hidden first.
    random : ndarray (n, p)
        The same, units hidden in random order; a mean over orders.
    measured : str
        What is measured, in words: the axis of the picture.
    """

    fractions: Float64[np.ndarray, " p"]
    important: Float64[np.ndarray, "n p"]
    random: Float64[np.ndarray, "n p"]
    measured: str = "change of the representation"

    @property
    def areas(self) -> Float64[np.ndarray, " n"]:
        """Area between both curves of each sample; above 0 where the explanation found what matters."""
        return np.asarray(np.trapezoid(self.important - self.random, self.fractions, axis=1), dtype=np.float64)

    @property
    def area(self) -> Area:
        """Mean of the areas over samples, with its 95 % interval by Student's t; NaN of one sample."""
        areas = self.areas
        mean, n = float(areas.mean()), len(areas)
        if n < 2:
            return Area(mean, np.nan, np.nan)
        half = float(stats.t.ppf(0.975, n - 1)) * float(areas.std(ddof=1)) / n**0.5
        return Area(mean, mean - half, mean + half)

    def to_frame(self) -> pd.DataFrame:
        """Mean of both curves over the samples, by fraction."""
        curves = {"important": self.important.mean(axis=0), "random": self.random.mean(axis=0)}
        return pd.DataFrame(curves, index=pd.Index(self.fractions, name="hidden"))

    def plot(self) -> Figure:
        """Both curves, as means over the samples."""
        from matplotlib.figure import Figure

        from kinview.diagnostics.sheet import ORIGINAL, VIEW, drawing

        with drawing():
            figure = Figure(figsize=(4.2, 2.8), layout="constrained")
            axes = figure.add_subplot()
            for name, label, colour in (
                ("important", "most important first", VIEW),
                ("random", "random order", ORIGINAL),
            ):
                axes.plot(self.fractions, getattr(self, name).mean(axis=0), color=colour, lw=1.4, label=label, gid=name)
            below = float(self.to_frame().to_numpy().min()) < 0  # a score that rises
            axes.set(xlabel="fraction hidden", ylabel=self.measured, ylim=(None if below else 0, None))
            axes.legend()
        return figure


def deletion(
    model: Any,
    X: Any,
    explanation: Explanation,
    *,
    fractions: Sequence[float] = _FRACTIONS,
    windows: int = WINDOWS,
    distance: Distance = "cosine",
    probe: Any = None,
    draws: int = 5,
    side: str | None = None,
    random_state: Any = 0,
) -> Deletion:
    r"""Curves of deletion: the change of the representation as the most important cells are hidden first.

    The units of a sample are its windows (series: so many a channel, over its own length, side by side) or its columns;
    one is as important as the absolute mean importance of its observed cells: attributions add up. At fraction p the
    :math:`\mathrm{round}(pm)` most important of the m observed units are missing, and the curve is

    .. math:: D_i(p) = d\bigl(f(x_i \setminus \text{the first } pm), f(x_i)\bigr).

    Beside it stands the mean of the same over random orders. Windows, and not single steps, are hidden in both: a
    single step is told by its neighbours, so that a random scatter of steps would hide next to nothing.

    Parameters
    ----------
    model : estimator
        The fitted model that was explained.
    X : panel, table or PairedData
        The samples that were explained.
    explanation : Explanation
        What :func:`kinview.explain` gave.
    fractions : sequence of float
        Fractions of the units, each in [0, 1], rising; 0 to 0.9 by default.
    windows : int, default 20
        Windows a channel.
    distance : {"cosine", "euclidean"}, default "cosine"
        d, as in :class:`Occlusion`.
    probe : object, optional
        A classifier fitted on representations, with ``predict_proba`` or ``predict_scores``: then what is measured is
        how far the score of the class falls that it gives the whole sample.
    draws : int, default 5
        Random orders of each sample.
    side : str, optional
        As of :func:`kinview.explain`.
    random_state : int, RandomState or Generator, default 0
        Seed of the random orders, and of the order of units that are equally important.

    Returns
    -------
    Deletion
        Curves, and ``area``, the mean area between them with its 95 % interval: samples are paired with themselves.

    Raises
    ------
    ValueError
        If the explanation is of other samples, or a fraction is out of range.

    Notes
    -----
    It measures by hiding, and so does :class:`Occlusion`: an explainer that hides has an advantage here over one that
    does not.

    References
    ----------
    .. [1] Samek et al.: Evaluating the Visualization of What a Deep Neural Network Has Learned, IEEE Transactions on
       Neural Networks and Learning Systems 28, 2017.
    .. [2] Petsiuk, Das, Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models, BMVC 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import explain
    >>> from kinview.explanations import deletion
    >>> from kinview.methods import RawFeatures
    >>> X = np.random.default_rng(0).normal(size=(30, 6)) * np.array([9.0, 5.0, 1.0, 1.0, 1.0, 1.0])
    >>> model = RawFeatures().fit(X)
    >>> deletion(model, X, explain(model, X)).area.low > 0
    True
    """
    at = _checked_fractions(fractions)
    check_integer(draws, "draws", at_least=1)
    check_integer(windows, "windows", at_least=1)
    samples = read_samples(model, X, side)
    if tuple(samples.batch.x.shape) != explanation.values.shape:
        raise ValueError(
            f"the explanation is of samples of shape {explanation.values.shape}, and X has the shape "
            f"{tuple(samples.batch.x.shape)}; give the samples that were explained"
        )
    if not samples.index.equals(explanation.index):
        raise ValueError(
            "the explanation is of samples of other names, or in another order, than X; give the samples that were "
            "explained, as they stood"
        )
    generator = torch.Generator().manual_seed(resolve_seed(random_state))
    units = units_of(samples, windows)
    measure = None if probe is None else _fall_of_score(samples, probe)
    important = units.means(torch.from_numpy(explanation.values)).abs()
    curves = [_curve(samples, units, important, at, distance, measure, generator)]
    for _ in range(draws):
        curves.append(_curve(samples, units, torch.zeros_like(important), at, distance, measure, generator))
    found = torch.stack(curves).numpy()
    measured = "change of the representation" if probe is None else "fall of the probe's score"
    return Deletion(at.numpy(), found[0], found[1:].mean(axis=0), measured)


def _curve(
    samples: ReadSamples,
    units: Units,
    importance: Float64[Tensor, "n u"],
    fractions: Float64[Tensor, " p"],
    distance: Distance,
    measure: Callable[..., Float64[Tensor, " k"]] | None,
    generator: torch.Generator,
) -> Float64[Tensor, "n p"]:
    """What is measured as units are hidden by falling importance, at random where it is equal."""
    tie = torch.rand(importance.shape, generator=generator).argsort(dim=1)
    there = (units.sizes > 0).gather(1, tie)
    keyed = importance.gather(1, tie).masked_fill(~there, -torch.inf)  # what was not observed comes last
    order = tie.gather(1, keyed.argsort(dim=1, descending=True, stable=True))
    rank = order.argsort(dim=1)
    count = (fractions * (units.sizes > 0).sum(dim=1, keepdim=True)).round()  # (n, p)
    number = len(fractions)

    def hide(k: Int64[Tensor, " k"]) -> Bool[Tensor, "k ..."]:
        row = k // number
        return units.cells(row, rank[row] < count[row, k % number][:, None])

    rows = torch.arange(len(samples)).repeat_interleave(number)
    return moved(samples, rows, hide, distance=distance, measure=measure).view(len(samples), number)


def _fall_of_score(samples: ReadSamples, probe: Any) -> Callable[[Tensor, Tensor], Float64[Tensor, " k"]]:
    """How far the score of the class that a probe gives the whole sample falls."""
    name = next((name for name in ("predict_proba", "predict_scores") if hasattr(probe, name)), None)
    if name is None:
        raise ValueError(f"probe must have predict_proba or predict_scores; {type(probe).__name__} has neither")

    def scores(z: Float[Tensor, "k d"]) -> Float64[np.ndarray, "k classes"]:
        array = z.float().numpy()
        columns = getattr(probe, "feature_names_in_", None)
        given = array if columns is None else pd.DataFrame(array, columns=columns)
        return np.asarray(getattr(probe, name)(given), dtype=np.float64)

    whole = scores(samples.embedded)
    predicted = whole.argmax(axis=1)

    def fall(z: Float[Tensor, "k d"], rows: Int64[Tensor, " k"]) -> Float64[Tensor, " k"]:
        of_class = predicted[rows.numpy()]
        now = scores(z)[np.arange(len(z)), of_class]
        return torch.from_numpy(whole[rows.numpy(), of_class] - now)

    return fall


def _checked_fractions(fractions: Sequence[float]) -> Float64[Tensor, " p"]:
    found = np.asarray(fractions, dtype=np.float64)
    inside = found.ndim == 1 and len(found) > 1 and bool(((found >= 0) & (found <= 1)).all())
    if not inside or bool((np.diff(found) <= 0).any()):
        raise ValueError(f"fractions must be two or more rising numbers in [0, 1]; got {fractions!r}")
    return torch.from_numpy(found)
