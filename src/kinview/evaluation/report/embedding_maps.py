"""Embeddings of a test set in two dimensions, coloured by class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from kinview.evaluation.map_names import MAP_NAMES, MapName
from kinview.evaluation.report.figures import class_styles, legend, look_of, panel_grid
from kinview.evaluation.report.svg import Drawn, printable

__all__ = ["MAPS", "check_maps", "embedding_classes", "embedding_scatter", "map_figure"]

MAPS: Mapping[MapName, str] = {
    "pca": "first two principal components (centred, not rescaled; the fraction of variance each explains is given)",
    "tsne": "t-SNE (scikit-learn, perplexity 30 or a third of the points): near points were near; distances between "
    "groups, and their sizes, mean nothing",
    "umap": "UMAP (umap-learn, 15 neighbours): near points were near; distances between groups mean little",
}
"""What each map shows."""


def embedding_scatter(
    embeddings: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    kind: MapName = "pca",
    max_points: int = 400,
    with_legend: bool = False,
) -> Drawn | None:
    """Draw the embeddings of one test set, one panel per method, coloured by class.

    Parameters
    ----------
    embeddings : mapping of str to (array-like (n, D), array-like (n,))
        Method → test embeddings and classes. Rows that are not finite are left out.
    kind : str
        How D dimensions become two, see :data:`MAPS`; the same embedding gives the same picture.
    max_points : int
        Points drawn per panel at most; of more, a random sample with a fixed seed.
    with_legend : bool
        Say in the figure which colour is which class.

    Returns
    -------
    Drawn or None
        None without embeddings.

    Raises
    ------
    ValueError
        If an embedding is not a matrix with one row per class label.
    ModuleNotFoundError
        If ``"umap"`` is asked for and umap-learn is not installed.
    """
    from matplotlib.figure import Figure

    if not embeddings:
        return None
    classes = embedding_classes(embeddings)
    styles = dict(zip(classes, class_styles(len(classes))))
    columns = 3 if len(embeddings) <= 3 else 4
    rows = -(-len(embeddings) // columns)
    figure = Figure(layout="constrained")
    panels = [axes for row in panel_grid(figure, rows, columns, square=True) for axes in row]
    for axes, (method, (z, y)) in zip(panels, embeddings.items()):
        chosen_rows, labels = _sampled(method, z, y, max_points)
        points, (x_label, y_label) = _project(chosen_rows, kind)
        for label in classes:
            chosen = points[labels == label]
            if len(chosen):
                axes.plot(*chosen.T, **{**look_of(styles[label]), "ls": "none", "ms": 3.2, "mew": 0, "alpha": 0.75})
        axes.set_title(printable(method), loc="left")
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    for axes in panels[len(embeddings) :]:
        axes.remove()
    if with_legend:
        legend(figure, styles)
    return Drawn(figure, f"{_SHORT[kind]} of the embeddings of {', '.join(embeddings)}")


def embedding_classes(embeddings: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> list[str]:
    """All class names of some embeddings, numbers in numerical order."""
    found = {str(label) for _, y in embeddings.values() for label in np.asarray(y).ravel()}

    def rank(label: str) -> tuple[int, float, str]:
        try:
            return (0, float(label), label)
        except ValueError:
            return (1, 0.0, label)

    return sorted(found, key=rank)


_SHORT = {"pca": "first two principal components", "tsne": "t-SNE", "umap": "UMAP"}


def map_figure(kind: str, dataset: str) -> str:
    """Name of the figure of a map."""
    return f"embeddings_{kind}_{dataset}"


def check_maps(maps: Sequence[str]) -> None:
    """Refuse maps that do not exist, or that need a package that is not installed.

    Raises
    ------
    ValueError
        Which one, and which there are.
    ModuleNotFoundError
        If ``"umap"`` is asked for and umap-learn is not installed.
    """
    if isinstance(maps, str) or not maps or len(set(maps)) < len(maps) or not set(maps) <= set(MAP_NAMES):
        raise ValueError(f"maps are a list of {', '.join(MAP_NAMES)}, each once; got {maps!r}")
    if "umap" in maps:
        _umap()


def _umap() -> Any:
    try:
        from umap import UMAP
    except ModuleNotFoundError as error:
        if error.name != "umap":
            raise
        raise ModuleNotFoundError("the map 'umap' needs umap-learn: pip install 'kinview[umap]'", name="umap") from None
    return UMAP


def _sampled(
    method: str, z: ArrayLike, y: ArrayLike, max_points: int
) -> tuple[Float[np.ndarray, "n d"], NDArray[np.str_]]:
    """Finite rows, of many a random sample, with the names of their classes as text."""
    points, labels = np.asarray(z, dtype=np.float64), np.asarray(y).ravel()
    if points.ndim != 2 or len(points) != len(labels):
        raise ValueError(
            f"the embedding of {method!r} has shape {points.shape} and {len(labels)} classes; "
            f"it must be a matrix (n, D) with one class per row"
        )
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(rows) > max_points:
        rows = np.sort(np.random.default_rng(0).choice(rows, max_points, replace=False))
    return points[rows], np.array([str(label) for label in labels[rows]], dtype=str)


def _project(points: Float[np.ndarray, "n d"], kind: MapName) -> tuple[Float[np.ndarray, "n 2"], tuple[str, str]]:
    """Two dimensions, and the names of the axes; too few points for a map stay at its origin."""
    if kind == "pca":
        scores, explained = _principal_components(points)
        return scores, (f"PC 1 ({explained[0]:.0%})", f"PC 2 ({explained[1]:.0%})")
    names = (f"{_SHORT[kind]} 1", f"{_SHORT[kind]} 2")
    if len(points) < _FEWEST or not np.ptp(points, axis=0).any():
        return np.zeros((len(points), 2)), names
    if kind == "tsne":
        from sklearn.manifold import TSNE

        start = _principal_components(points)[0]
        spread = start[:, 0].std()
        model = TSNE(perplexity=min(30.0, (len(points) - 1) / 3), init=1e-4 * start / (spread or 1.0), random_state=0)
        return model.fit_transform(points), names
    with warnings.catch_warnings():  # a seed makes it run in one thread, which it says
        warnings.simplefilter("ignore")
        made = _umap()(n_neighbors=min(15, len(points) - 1), random_state=0).fit_transform(points)
    return np.asarray(made, dtype=np.float64), names


_FEWEST = 5  # points of a map of neighbours


def _principal_components(
    points: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " 2"]]:
    """Scores on the first two principal components, and the fractions of variance explained."""
    centred = points - points.mean(axis=0) if len(points) else points
    scores, explained = np.zeros((len(points), 2)), np.zeros(2)
    if min(centred.shape) > 0 and np.any(centred):
        u, s, vt = np.linalg.svd(centred, full_matrices=False)
        signs = np.sign(vt[np.arange(len(s)), np.abs(vt).argmax(axis=1)])  # else the picture may come out mirrored
        kept = min(2, len(s))
        scores[:, :kept] = (u * (s * signs))[:, :kept]
        explained[:kept] = (s**2 / np.sum(s**2))[:kept]
    return scores, explained
