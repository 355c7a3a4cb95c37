"""Measurements while a method trains, as callbacks: probes, ranks, and what becomes of positive pairs."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import with_something_observed
from kinview.data.labels import encode_labels
from kinview.data.splits import holdout
from kinview.diagnostics.effective_rank import effective_rank, rank_me
from kinview.diagnostics.lidar import lidar
from kinview.diagnostics.positive_rank import positive_rank
from kinview.losses.alignment_uniformity import alignment, uniformity
from kinview.parameters import anything, check_integer, check_parameters, parameterised, real, whole
from kinview.training.callbacks import Callback, TrainingState, callbacks
from kinview.training.method import Method
from kinview.training.watched import WatchedSamples

__all__ = ["Measurement", "OnlinePositivePairs", "OnlineProbe", "OnlineRank"]

_STEPS_OF_THE_SOLVER = 200


def _every() -> Any:
    return whole(50, low=1, doc="Steps between two measurements.")


def _seed() -> Any:
    return whole(0, low=0, doc="Seed of what is drawn, by a generator of its own and alike at each measurement.")


class Measurement(Callback):
    """A callback that writes what it measures into the history of a training.

    It measures the network before the first step, every so many steps, and as training leaves it: the values stand in
    the records of these steps. That of the first step holds what was measured before it, as its loss is that of the
    untrained network too. While it measures, the network is in eval mode; weights, modes and the global generators are
    afterwards as they were, so that a training with it gives the same bits as one without.
    """

    measures = True
    every: int = 50
    random_state: int = 0
    _samples: WatchedSamples | None = None
    _untrained: dict[str, float]

    def __post_init__(self) -> None:
        """Refuse parameters out of range."""
        check_parameters(self)
        self._untrained = {}

    def values(self, method: Method, samples: WatchedSamples) -> dict[str, float]:
        """What is measured of the network, by name."""
        raise NotImplementedError

    def on_samples(self, samples: WatchedSamples) -> None:
        """Keep the samples for the time of the training."""
        self._samples = samples

    def on_train_begin(self, state: TrainingState, method: Method) -> None:
        """Measure the network before its first step; not that of a training that is continued."""
        self._untrained = self._measured(method) if state.step == 0 else {}

    def on_step_end(self, state: TrainingState, method: Method) -> None:
        """Write what was measured before the first step, and measure at later ones where it is due."""
        if state.step == 1:
            state.history[-1].update(self._untrained)
        elif state.step % self.every == 0:
            self._write(state, method)

    def on_train_end(self, state: TrainingState, method: Method) -> None:
        """Measure the network that training leaves."""
        if state.history:
            self._write(state, method)

    def close(self) -> None:
        """Let go of the samples."""
        self._samples = None

    def _write(self, state: TrainingState, method: Method) -> None:
        state.history[-1].update(self._measured(method))

    def _measured(self, method: Method) -> dict[str, float]:
        assert self._samples is not None
        with _undisturbed(method), torch.no_grad():
            return self.values(method, self._samples)

    def embedded(self, method: Method, batch: Batch) -> Float[np.ndarray, "n d"]:
        """Representations of samples in float64, in chunks; their labels and groups do not come along."""
        assert self._samples is not None
        device, bare = _device_of(method), batch.replace(y=None, groups=None)
        chunks = torch.split(torch.arange(len(batch)), self._samples.rows_a_chunk)
        parts = [method.embed(bare.rows(rows).to(device)).detach().double().cpu() for rows in chunks]
        result: np.ndarray = torch.cat(parts).numpy()
        return result

    def embedded_views(self, method: Method, rows: Batch, least: int = 2) -> list[Float[np.ndarray, "n d"]]:
        """Representations of at least so many views, as the method makes them at the end of training.

        An empty list where it makes none of the same samples, or views that are all alike. Rows without an observation
        in one of them are left out.
        """
        generator = torch.Generator().manual_seed(self.random_state)
        batch = rows.to(_device_of(method))
        draws: list[list[Batch]] = []
        while sum(map(len, draws)) < least:
            with torch.enable_grad():  # views that follow a gradient
                drawn = method.views(batch, generator, 1.0)
            if len(drawn) < 2 or any(not torch.equal(view.index, drawn[0].index) for view in drawn):
                return []  # one view, or other samples in each: labelled rows and others
            draws.append(drawn)
        views = [view for drawn in draws for view in drawn]
        if all(torch.equal(view.x.nan_to_num(), views[0].x.nan_to_num()) for view in views):
            return []  # the network differs, not the data (SimGRACE): they would agree whatever it has learned
        if method.sizes.modality != "tabular":
            views = with_something_observed(views)
        if len(views[0]) < 2:
            return []
        remaining = iter(views)
        return [z for drawn in draws for z in self._compared(method, [next(remaining) for _ in drawn])]

    def _compared(self, method: Method, views: list[Batch]) -> list[Float[np.ndarray, "n d"]]:
        """What a method compares of the views of one draw, in float64 and in chunks."""
        assert self._samples is not None
        bare = [view.replace(y=None, groups=None) for view in views]
        chunks = torch.split(torch.arange(len(bare[0])), self._samples.rows_a_chunk)
        device = _device_of(method)
        parts = [method.compared([view.rows(rows).to(device) for view in bare]) for rows in chunks]
        return [torch.cat([one.detach().double().cpu() for one in each]).numpy() for each in zip(*parts, strict=True)]


@contextlib.contextmanager
def _undisturbed(method: Method) -> Iterator[None]:
    """The network in eval mode; its modes and the global generators are restored."""
    modes = {module: module.training for module in method.modules()}
    device = _device_of(method)
    devices = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        method.eval()
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode


def _device_of(method: Method) -> torch.device:
    held = next(itertools.chain(method.parameters(), method.buffers()), torch.empty(0))
    return held.device


def _drawn(n: int, most: int, seed: int) -> Int64[Tensor, " rows"]:
    """So many of n rows, in their order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n, generator=generator)[:most].sort().values


# --- the callbacks ---------------------------------------------------------------------------------------------------


def _check_labels(value: Any, name: str) -> None:
    if isinstance(value, str) or (value is not None and not hasattr(value, "__len__")):
        raise ValueError(f"{name} must be whole numbers, one a sample that fit is given; got {value!r}")
    for label in [] if value is None else np.asarray(value).ravel().tolist():
        check_integer(label, name)


@callbacks.register("probe", reference="Yue et al., AAAI 2022 (nearest neighbour)")
@parameterised
class OnlineProbe(Measurement):
    """Accuracy of a nearest-neighbour and of a linear probe on the representations of held-out samples.

    Probes are fitted on one part of the training samples and scored on the rest: on those that are held out for early
    stopping, where there are such, otherwise on a part that is cut off for the probes alone, without parting a group.
    The method is trained on that part too, without labels. Labels reach the probes and nothing else.

    Notes
    -----
    It writes ``knn_accuracy``, ``linear_accuracy``, and ``accuracy_chance``, that of the most frequent class of the
    part that probes are fitted on. Features are standardised by that part; the linear probe is logistic regression with
    an L2 penalty of 1. A method that is trained with labels has seen those of all rows but the held-out ones: it needs
    a trainer with a ``validation_fraction``.

    Raises
    ------
    ValueError
        If there are no labels, they are not classes or of a single class, or the method is trained with all of them.

    Examples
    --------
    >>> from kinview import TS2Vec
    >>> X = np.sin(np.arange(480.0)).reshape(24, 1, 20) * np.repeat([1.0, 4.0], 12)[:, None, None]
    >>> trainer = {"max_steps": 4, "callbacks": [{"probe": {"every": 2}}]}
    >>> model = TS2Vec(repr_dim=8, hidden_dim=4, depth=2, trainer=trainer, random_state=0)
    >>> model = model.fit(X, ["calm"] * 12 + ["wild"] * 12)
    >>> [sorted(record) for record in model.training_.history[1:3]]
    [['accuracy_chance', 'knn_accuracy', 'linear_accuracy', 'loss'], ['loss']]
    """

    every: int = _every()
    labels: Sequence[int] | None = anything(
        None,
        "sequence of int",
        check=_check_labels,
        doc="A class of each sample, in the order in which ``fit`` is given them; by default ``y`` of ``fit(X, y)``.",
    )
    neighbours: int = whole(1, low=1, doc="Neighbours that vote, the first of equal classes winning.")
    held_out: float = real(
        0.25, above=0, below=1, doc="Fraction of the samples that is scored where none are held out for early stopping."
    )
    samples: int = whole(1000, low=2, doc="Most samples of each part that are embedded.")
    random_state: int = _seed()

    def __post_init__(self) -> None:
        """Refuse parameters out of range."""
        super().__post_init__()
        self._parts: Any = None

    @property
    def needs_labels(self) -> bool:  # type: ignore[override]
        """Whether labels have to come from ``fit``."""
        return self.labels is None

    def on_samples(self, samples: WatchedSamples) -> None:
        """Cut the samples into the part that probes are fitted on and the part that is scored."""
        super().on_samples(samples)
        fitted, scored = samples.fitted, samples.held_out
        if scored is None and samples.labels_are_trained_on and self.labels is None:
            raise ValueError(
                "callback 'probe': the method is trained with the labels of all samples, so that no score on them says "
                "anything; hold some out: trainer={'validation_fraction': 0.2}"
            )
        codes = self._codes([fitted] if scored is None else [fitted, scored], samples.size)
        if scored is None:
            generator = torch.Generator().manual_seed(self.random_state)
            kept, rest = holdout(len(fitted), self.held_out, generator, groups=fitted.groups, y=codes)
            fitted, scored, codes = fitted.rows(kept), fitted.rows(rest), codes[torch.cat([kept, rest]).numpy()]
        one, two = (_drawn(len(part), self.samples, self.random_state) for part in (fitted, scored))
        known, wanted = codes[: len(fitted)][one.numpy()], codes[len(fitted) :][two.numpy()]
        if not len(wanted) or len(np.unique(known)) < 2:
            raise ValueError(
                f"callback 'probe' needs samples of two classes to fit on and one to score; it has {len(known)} of "
                f"{len(np.unique(known))} and {len(wanted)}. Give more labelled samples, or leave the callback out"
            )
        self._parts = (fitted.rows(one), scored.rows(two), known, wanted)

    def _codes(self, parts: Sequence[Batch], size: int) -> Int64[np.ndarray, " n"]:
        """Class of each sample of these parts, of all that were given to fit."""
        if self.labels is not None:
            given = np.asarray(self.labels).ravel()
            if len(given) != size:
                raise ValueError(f"callback 'probe': labels has {len(given)} entries for {size} samples; give one each")
            labels = given[torch.cat([part.index for part in parts]).numpy()]
        else:
            found = [part.y for part in parts if part.y is not None]
            if len(found) < len(parts):
                raise ValueError(
                    "callback 'probe' needs a label of each sample: fit(X, y), of which the method sees nothing, or "
                    "{probe: {labels: [0, 1, ...]}} with one a sample"
                )
            labels = torch.cat(found).numpy()
        return encode_labels(labels, name="labels")[0]

    def values(self, method: Method, samples: WatchedSamples) -> dict[str, float]:
        """Accuracies on the part that is scored."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.preprocessing import StandardScaler

        fitted, scored, codes, wanted = self._parts
        Z, others = (self.embedded(method, part) for part in (fitted, scored))
        scaler = StandardScaler().fit(Z)
        Z, others = scaler.transform(Z), scaler.transform(others)
        nearest = KNeighborsClassifier(min(self.neighbours, len(Z)), algorithm="brute").fit(Z, codes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a probe of a network that changes again
            linear = LogisticRegression(max_iter=_STEPS_OF_THE_SOLVER).fit(Z, codes)
        return {
            "knn_accuracy": float((nearest.predict(others) == wanted).mean()),
            "linear_accuracy": float((linear.predict(others) == wanted).mean()),
            "accuracy_chance": float((wanted == np.bincount(codes).argmax()).mean()),
        }

    def close(self) -> None:
        """Let go of samples and labels."""
        super().close()
        self._parts = None


@callbacks.register("rank", reference="Garrido et al., ICML 2023; Thilak et al., ICLR 2024")
@parameterised
class OnlineRank(Measurement):
    r"""How many dimensions the representation uses, with a warning where it collapses.

    Notes
    -----
    It writes ``rank_me`` (:func:`~kinview.diagnostics.rank_me`), ``effective_rank``
    (:func:`~kinview.diagnostics.effective_rank`), ``lidar`` (:func:`~kinview.diagnostics.lidar`, where the method makes
    two views or more), and ``spread``: :math:`\sqrt{\sum_i \|z_i - \bar z\|^2 / \sum_i \|z_i\|^2}`, 0 where all samples
    have one representation. Views are drawn as at the end of training, the same at each measurement.

    Warns
    -----
    UserWarning
        Once, at the first measurement after a step at which ``spread`` is below its limit, or ``effective_rank`` where
        more than twice its limit is possible.

    Examples
    --------
    >>> from kinview.methods import VICReg
    >>> X = np.random.default_rng(0).normal(size=(24, 1, 20))
    >>> encoder = {"dilated_conv": {"repr_dim": 8, "depth": 2}}
    >>> trainer = {"max_steps": 2, "callbacks": ["rank"]}
    >>> model = VICReg(encoder=encoder, trainer=trainer, random_state=0).fit(X)
    >>> sorted(model.training_.history[-1])
    ['effective_rank', 'lidar', 'loss', 'rank_me', 'spread']
    """

    every: int = _every()
    samples: int = whole(256, low=2, doc="Most samples that are embedded. No rank is larger.")
    views: int = whole(8, low=2, doc="Views of each sample for LiDAR (paper: 50), or the next number the method makes.")
    delta: float = real(1e-4, above=0, doc="δ of LiDAR (paper, recalled).")
    least_spread: float = real(0.01, low=0, below=1, doc="Spread below which it warns of a collapse.")
    least_rank: float = real(
        1.5, low=0, doc="Effective rank below which it warns of a collapse: at 1 all representations lie on a line."
    )
    random_state: int = _seed()

    def __post_init__(self) -> None:
        """Refuse parameters out of range."""
        super().__post_init__()
        self._most, self._warned = 0, False

    def values(self, method: Method, samples: WatchedSamples) -> dict[str, float]:
        """Ranks and spread."""
        fitted = samples.fitted.rows(_drawn(len(samples.fitted), self.samples, self.random_state))
        Z = self.embedded(method, fitted)
        self._most = min(len(Z) - 1, Z.shape[1])  # the largest effective rank that there can be
        found = {"rank_me": rank_me(Z), "effective_rank": effective_rank(Z), "spread": _spread(Z)}
        rows = samples.rows.rows(_drawn(len(samples.rows), self.samples, self.random_state))
        views = self.embedded_views(method, rows, self.views)
        if views:
            found["lidar"] = lidar(np.stack(views, axis=1), self.delta)
        return found

    def _write(self, state: TrainingState, method: Method) -> None:
        super()._write(state, method)
        found = state.history[-1]
        on_a_line = self._most > 2 * self.least_rank and found["effective_rank"] < self.least_rank
        collapsed = found["spread"] < self.least_spread or on_a_line
        if collapsed and not self._warned:
            self._warned = True
            warnings.warn(
                f"the representation has collapsed at step {state.step}: its spread is {found['spread']:.2g} and its "
                f"effective rank {found['effective_rank']:.3g}. Lower the learning rate, use a loss that keeps samples "
                f"apart, a larger batch or views that keep more of a sample",
                UserWarning,
                stacklevel=2,
            )


def _spread(Z: Float[np.ndarray, "n d"]) -> float:
    size = float(np.square(Z).sum())
    return float(np.sqrt(np.square(Z - Z.mean(axis=0)).sum() / size)) if size else 0.0


@callbacks.register("positive_pairs", reference="Wang and Isola, ICML 2020")
@parameterised
class OnlinePositivePairs(Measurement):
    """What becomes of positive pairs: their alignment, the uniformity of samples, and the rank of the positive.

    Notes
    -----
    It writes ``alignment`` (:func:`~kinview.losses.alignment`, lower is closer) and ``uniformity``
    (:func:`~kinview.losses.uniformity`, lower is more even) of the representations of the first two views, and
    ``positive_rank`` with ``positive_rank_chance`` (:func:`~kinview.diagnostics.positive_rank`, larger is better).
    Views are drawn as at the end of training, the same at each measurement. A method that makes one view has no
    positive pairs, and nothing is written.

    References
    ----------
    .. [1] Wang, Isola: Understanding Contrastive Representation Learning through Alignment and Uniformity on the
       Hypersphere, ICML 2020, arXiv 2005.10242.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview import SCARF
    >>> df = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)))
    >>> trainer = {"max_steps": 2, "callbacks": ["positive_pairs"], "validation_fraction": 0.0}
    >>> model = SCARF(hidden_dim=8, trainer=trainer, random_state=0).fit(df)
    >>> sorted(model.training_.history[-1])
    ['alignment', 'loss', 'positive_rank', 'positive_rank_chance', 'uniformity']
    """

    every: int = _every()
    samples: int = whole(256, low=2, doc="Most samples whose views are embedded: the candidates of the rank.")
    random_state: int = _seed()

    def values(self, method: Method, samples: WatchedSamples) -> dict[str, float]:
        """Alignment, uniformity and rank."""
        rows = samples.rows.rows(_drawn(len(samples.rows), self.samples, self.random_state))
        views = self.embedded_views(method, rows)
        if not views:
            return {}
        A, B = views[:2]
        one, two = torch.from_numpy(A), torch.from_numpy(B)
        rank = positive_rank(A, B)
        return {
            "alignment": float(alignment(one, two)),
            "uniformity": float(uniformity(one)),
            "positive_rank": rank.rank,
            "positive_rank_chance": rank.chance,
        }
