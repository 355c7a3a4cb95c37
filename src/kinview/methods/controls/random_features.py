"""Random features of tables: a wide layer that nothing trains."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float

from kinview.data.modality import SERIES, modality_of
from kinview.methods import methods
from kinview.methods.controls.from_raw import FromRawFeatures
from kinview.methods.estimators import shared_parameters as shared
from kinview.parameters import checked_parameters, choice, parameterised, whole
from kinview.training.randomness import resolve_seed

__all__ = ["RandomFeatures"]


@methods.register(
    "random_features", modality="tabular", reference="Rahimi & Recht, NeurIPS 2007; Cho & Saul, NeurIPS 2009"
)
@parameterised
class RandomFeatures(FromRawFeatures):
    r"""Random features of a table: what a wide layer says that nothing has trained.

    Rows are those of the control ``raw`` (numbers, one column a category, gaps filled by the training median or the
    most frequent category), each column centred and divided by its standard deviation over the training rows: x, of p
    columns that vary. With D rows w and numbers b, drawn once:

    - ``fourier``: :math:`z_j = \sqrt{2/D} \cos(w_j^\top x / \sqrt p + b_j)`, :math:`w \sim N(0, I)`,
      :math:`b \sim U(0, 2\pi)`. Then :math:`z^\top z' \approx \exp(-\lVert x - x' \rVert^2 / (2p))`.
    - ``relu``: :math:`z_j = \sqrt{2/D} \max(0, w_j^\top x / \sqrt p + b_j)`, w and b from N(0, 1). Then
      :math:`z^\top z'` is about the arc-cosine kernel of order 1 of :math:`(x / \sqrt p, 1)`.

    A linear probe on them is close to a kernel machine: what a pre-trained network adds to it, it has learned.

    Notes
    -----
    *Width of the kernel*: the squared distance of two standardised rows is about 2 p, so that their kernel is about
    1/e, whatever the number of columns. (scikit-learn's ``gamma="scale"`` is twice as narrow.)

    *Default of D*: 512, twice the width of the networks for tables here (256), and few enough for every probe.

    ============ ========================================= ============= ============================
    what         paper                                     official code kinview
    ============ ========================================= ============= ============================
    kernel width free                                      –             √p, with p columns that vary
    features     cosines (2007); arc-cosine kernels (2009) –             both, by ``kind``
    ============ ========================================= ============= ============================

    References
    ----------
    .. [1] Rahimi, A., Recht, B. (2007). Random features for large-scale kernel machines. NeurIPS.
    .. [2] Cho, Y., Saul, L. K. (2009). Kernel methods for deep learning. NeurIPS.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> Z = RandomFeatures(repr_dim=4096, random_state=0).fit(X).transform(X)
    >>> standardised = (X - X.mean(axis=0)) / X.std(axis=0)
    >>> kernel = np.exp(-((standardised[0] - standardised[1]) ** 2).sum() / 6)
    >>> bool(abs(Z[0] @ Z[1] - kernel) < 0.03)
    True
    """

    repr_dim: int = whole(512, low=1, doc="Number of features D.")
    kind: Literal["fourier", "relu"] = choice("fourier", ("fourier", "relu"), doc="Which features.")
    random_state: Any = shared.random_state("Seed of the features.")

    arrays: ClassVar[tuple[str, ...]] = ("weights_", "offsets_")

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> RandomFeatures:
        """Learn the columns of a table, and draw the features; labels are not used.

        Raises
        ------
        ValueError
            For series.
        """
        checked_parameters(self)
        if modality_of(X) == SERIES:
            raise ValueError(
                "random_features is for tables, and X is series; for series there are minirocket and hydra, or "
                "random_init with a network"
            )
        return super().fit(X, y, groups=groups)

    def _learn(self, standardised: Float[np.ndarray, "n f"]) -> None:
        varies = standardised.any(axis=0)
        generator = np.random.default_rng(resolve_seed(self.random_state))
        weights = generator.normal(size=(self.repr_dim, standardised.shape[1])) / np.sqrt(max(1, varies.sum()))
        self.weights_ = np.where(varies, weights, 0.0)
        fourier = self.kind == "fourier"
        self.offsets_ = (
            generator.uniform(0, 2 * np.pi, self.repr_dim) if fourier else generator.normal(size=self.repr_dim)
        )

    def _project(self, standardised: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n d"]:
        # a product of matrices may round a row differently beside others
        inner = np.stack([self.weights_ @ row for row in standardised]) + self.offsets_
        made: np.ndarray = np.cos(inner) if self.kind == "fourier" else np.maximum(inner, 0.0)
        return made * float(np.sqrt(2.0 / self.repr_dim))
