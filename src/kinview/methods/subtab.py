"""SubTab: subsets of the columns as views of a row, which are contrasted and give back the whole row."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.augmentations.column_subsets import ColumnSubsets, subset_bounds
from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.modality import TABLE
from kinview.losses.cell_error import cell_error, cell_outputs
from kinview.losses.nt_xent import NTXent
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of, one_view_of
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.parameters import choice, parameterised, real, spec, whole
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["SubTab", "SubTabMethod"]


class SubTabMethod(RowwiseMethod):
    """Each of K subsets of the columns is encoded by one encoder; a projector and a decoder serve training."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 32,
        "lr": 1e-3,
        "optimizer": "adam",
        "max_epochs": 15,
        "drop_last": True,
    }
    min_rows: ClassVar[int] = 2
    members: Tensor

    def __init__(self, parameters: SubTab, sizes: Sizes) -> None:
        super().__init__(sizes)
        columns = len(sizes.cardinalities)
        self.subsets = min(parameters.n_subsets, columns)
        bounds = subset_bounds(columns, self.subsets, parameters.overlap)
        inside = [[float(start <= column < stop) for column in range(columns)] for start, stop in bounds]
        self.register_buffer("members", torch.tensor(inside))  # (K, M), 1 for the columns of each subset
        self.encoder = encoder_of("encoder", parameters.encoder or {"mlp": {"depth": 1}}, sizes)
        dim: Any = self.encoder.repr_dim
        self.projector = nn.Sequential(nn.Linear(dim, dim), nn.LeakyReLU(), nn.Linear(dim, dim))
        self.decoder = nn.Linear(dim, sum(cell_outputs(sizes.cardinalities)))
        self.noise = one_view_of("noise", parameters.noise, TABLE)
        self.contrast = NTXent(parameters.temperature)
        self.aggregation = parameters.aggregation
        self.weights = (
            parameters.reconstruction_weight,
            parameters.contrastive_weight,
            parameters.distance_weight,
        )

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The subsets of each row, each with noise of its own draw; ``extra["clean"]`` holds the whole row."""
        noise = self.noise.at(progress)
        noisy = [noise(batch, generator) for _ in range(self.subsets)]
        extra = {**batch.extra, "clean": batch.x}
        return [self._subset(view, k).replace(extra=extra) for k, view in enumerate(noisy)]

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """The encoder's output for each subset."""
        return [self.encoder(view.x) for view in views]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Reconstruction of the whole row, NT-Xent and squared distance of projections, over all pairs of subsets."""
        clean, n = views[0].extra["clean"], len(views[0])
        assert isinstance(clean, Tensor)
        cardinalities = self.sizes.cardinalities
        errors = [cell_error(self.decoder(h), clean, cardinalities)[0].sum() / n for h in representations]
        projected = [F.normalize(self.projector(h), dim=1) for h in representations]
        pairs = list(itertools.combinations(projected, 2))  # none, of a table of one column
        reconstruction = torch.stack(errors).mean()  # each subset is in as many pairs as any other
        contrasts = [self.contrast(a, b) for a, b in pairs]
        distances = [(a - b).square().sum(dim=1).mean() for a, b in pairs]
        contrastive, distance = (
            torch.stack(terms).mean() if terms else reconstruction * 0 for terms in (contrasts, distances)
        )
        terms = (reconstruction, contrastive, distance)
        names = ("reconstruction", "contrastive", "distance")
        total = torch.stack([weight * term for weight, term in zip(self.weights, terms, strict=True)]).sum()
        return LossResult(total, {name: float(term.detach()) for name, term in zip(names, terms, strict=True)})

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """What the encoder makes of the subsets of each row, taken together."""
        every = torch.stack([self.encoder(self._subset(batch, k).x) for k in range(self.subsets)])  # (K, n, d)
        if self.aggregation == "concat":
            return every.transpose(0, 1).flatten(1)  # (n, K · d)
        if self.aggregation in ("min", "max"):
            return every.amax(dim=0) if self.aggregation == "max" else every.amin(dim=0)
        return every.sum(dim=0) if self.aggregation == "sum" else every.mean(dim=0)

    def _subset(self, batch: Batch, k: int) -> Batch:
        """The rows, with the columns outside of a subset missing."""
        return batch.replace(x=batch.x.masked_fill(self.members[k] < 0.5, torch.nan))


@methods.register("subtab", modality="tabular", reference="Ucar et al., NeurIPS 2021, arXiv 2110.04361")
@parameterised
class SubTab(TabularEstimator):
    r"""SubTab: subsets of a row's columns find each other in the batch, and each gives back the whole row.

    The M columns are cut into K overlapping subsets (:class:`~kinview.augmentations.ColumnSubsets`), to each of which
    noise is added. With :math:`h_k = f(x_k)` from one encoder for all, :math:`\hat x_k = D(h_k)` and :math:`z_k =
    g(h_k) / \|g(h_k)\|` the loss is the mean over pairs of subsets of

    .. math:: \lambda_r \tfrac{1}{2N} \sum_i \big(\|\hat x_{ki} - x_i\|^2 + \|\hat x_{li} - x_i\|^2\big)
              + \lambda_c\, \text{NT-Xent}(z_k, z_l; \tau) + \lambda_d \tfrac{1}{N} \sum_i \|z_{ki} - z_{li}\|^2 .

    The representation of a row is the mean of its :math:`h_k`, without noise.

    Notes
    -----
    ==================  ===========================  ====================================  =============================
    what                paper                        official code                         kinview
    ==================  ===========================  ====================================  =============================
    subsets (MNIST)     4, overlap 0.75 (recalled)   4, 0.75; last M − K⌊M/K⌋ columns      4, 0.75; every column in one
                                                     never used                            or more subsets
    column order        as given                     as given                              as given; random, correlated
    what f sees         narrow rows (recalled)       narrow rows, one f for all subsets    whole rows, other columns
                                                                                           missing
    noise               swap, Gaussian, zero-out     each cell at 0.3, swapped within the  each cell at 0.3, from its
                                                     batch                                 training marginal
    encoder             by data set (recalled)       one layer of 784, LeakyReLU           one layer of 256, ReLU
    decoder             to the whole row             one linear layer                      one linear layer
    projector           two layers                   two layers, LeakyReLU                 two layers, LeakyReLU
    reconstruction      squared error (recalled)     squared error, sum over columns       the same; cross-entropy of
                                                                                           categories
    contrast            NT-Xent                      NT-Xent, τ 0.1                        NT-Xent, τ 0.1
    weights of terms    1, 1, 1 (recalled)           1, 1, 1, not exposed                  1, 1, 1
    training            Adam (recalled)              Adam 1e-3, batch 32, 15 epochs        the same
    aggregation         mean                         mean                                  mean
    ==================  ===========================  ====================================  =============================

    *Why whole rows*: the official encoder gives column j of every subset the same weights, whichever column of the
    table it is, and knows neither categories nor gaps. Here a column outside of a subset is missing, as any gap is, so
    that every encoder of tables serves, and a weight belongs to a column.

    A missing cell is no target of the reconstruction. A table of fewer than K columns has a subset a column; one of a
    single column has nothing to contrast and is reconstructed alone. Subsets by correlation are decided on the training
    rows; of fewer than five they are the columns as given.

    References
    ----------
    .. [1] Ucar, Hajiramezanali, Edwards: SubTab: Subsetting Features of Tabular Data for Self-Supervised Representation
       Learning, NeurIPS 2021, arXiv 2110.04361.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview.methods import SubTab
    >>> df = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> encoder = {"mlp": {"hidden_dim": 8, "depth": 1}}
    >>> SubTab(encoder=encoder, trainer={"max_epochs": 2}, random_state=0).fit(df).transform(df).shape
    (20, 8)
    """

    n_subsets: int = whole(4, low=2, high=256, doc="K, the number of subsets (official code on MNIST).")
    overlap: float = real(0.75, low=0, high=1, doc="ρ, how far subsets reach into each other (official code).")
    grouping: str = choice(
        "contiguous",
        ("contiguous", "random", "correlated"),
        doc="The order in which the columns are cut: as they are given (paper), at random, or with those side by side "
        "that correlate in training.",
    )
    noise: Any = shared.augmentation(
        "swap_noise",
        "Augmentation of tables on top of each subset while training; the others of the official code are "
        "``gaussian_noise`` and ``zero_out``.",
    )
    encoder: Any = spec(
        None, "encoder", doc="Any registered encoder of tables. None: ``{mlp: {depth: 1}}``, one layer (official code)."
    )
    temperature: float = shared.temperature(0.1, "(official code).")
    reconstruction_weight: float = real(1.0, low=0, doc="λ_r of the reconstruction (official code).")
    contrastive_weight: float = real(1.0, low=0, doc="λ_c of the contrast (official code).")
    distance_weight: float = real(1.0, low=0, doc="λ_d of the distance (official code).")
    aggregation: str = choice(
        "mean",
        ("mean", "sum", "max", "min", "concat"),
        doc='How the subsets of a row become one representation (paper); "concat" makes it K times as long.',
    )
    text: TextRule = shared.text()
    trainer: Any = shared.trainer(
        "the published ones: Adam, learning rate 1e-3, batch 32, 15 epochs, an epoch's smaller last batch left out "
        "(official code)."
    )
    random_state: Any = shared.random_state()
    scaling: Any = shared.scaling_of_columns()

    method_class: ClassVar[type[Method]] = SubTabMethod
    training_only: ClassVar[frozenset[str]] = frozenset({
        "noise", "temperature", "reconstruction_weight", "contrastive_weight", "distance_weight",
    })  # fmt: skip

    def _prepare_method(self, batch: Batch, rows: Batch) -> None:
        """Decide on the subsets, once: the encoder meets the same ones in training and in use."""
        super()._prepare_method(batch, rows)
        method: Any = self.method_
        too_few = len(rows) < FEWEST_ROWS if self.grouping == "correlated" else not len(rows)
        if self.grouping == "contiguous" or too_few or method.subsets < 2:
            return
        generator = torch.Generator().manual_seed(torch.initial_seed())
        cut = ColumnSubsets(method.subsets, self.overlap, self.grouping).fit(rows, self.schema_, generator)
        for k, view in enumerate(cut(rows.rows(slice(0, 1)), generator)):
            method.members[k] = torch.zeros_like(method.members[k]).index_fill(0, view.extra["columns"][0], 1.0)
