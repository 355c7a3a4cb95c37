"""Columns by what they do to contrastive embeddings of the rows."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from kinview.data.scaling_rules import read_scaling
from kinview.data.splits import holdout
from kinview.data.table import Rules
from kinview.parameters import anything, choice, real, whole
from kinview.schema_matching import matchers
from kinview.schema_matching.base import Matcher
from kinview.schema_matching.contrastive_columns import ContrastiveColumns, signatures, sizes_of, unpaired
from kinview.schema_matching.tables import TwoTables
from kinview.training.randomness import forked_generators
from kinview.training.settings import check_fields, settings_of
from kinview.training.trainer import Trainer, as_trainer

__all__ = ["ContrastiveMatcher"]


def _check_scaling(value: Any, name: str) -> None:
    read_scaling(value, Rules, name)


def _check_trainer(value: Any, name: str) -> None:
    trainer = as_trainer(value)
    check_fields(trainer)
    if trainer.checkpoint_dir is not None:
        raise ValueError(f"{name} has a checkpoint_dir, and a matching keeps no checkpoint: leave it out")


@matchers.register("contrastive", modality="tabular", reference="Database_matching, contrastive-learning tutorial")
@dataclasses.dataclass(frozen=True)
class ContrastiveMatcher(Matcher):
    r"""Columns are alike that move an embedding alike, in a space that the known columns of both tables share.

    In each table an encoder of the unknown columns, :math:`E_A` or :math:`E_B`, learns to find for each row what the
    encoder of the known columns, :math:`K`, which both tables share, makes of it. Of two copies of a batch,
    :math:`c = 1, 2`, with cells hidden independently, the loss of a table is

    .. math:: \sum_c \mathrm{CLIP}\big(K(x^c), E(x^c)\big) + \mathrm{NTXent}\big(K(x^1), K(x^2)\big)
              + \mathrm{NTXent}\big(E(x^1), E(x^2)\big)

    (:func:`kinview.losses.clip`, :func:`kinview.losses.nt_xent`; one temperature), and that of a step the sum over both
    tables. The signature of an unknown column is its mean derivative, and columns are compared by cosine:

    .. math:: v_j = \operatorname{mean}_i \frac{\partial E(x_i)}{\partial x_{ij}}, \qquad
              s_{jk} = \cos(v^A_j, v^B_k)

    averaged over several trainings.

    Parameters
    ----------
    hidden_dim : int, default 32
        Width of the encoders (:class:`kinview.encoders.MLPEncoder`), which a linear layer follows (kinview).
    depth : int, default 1
        Layers of the encoders (kinview).
    dim : int, default 32
        Size of an embedding (kinview; the tutorial has 19).
    temperature : float, default 0.5
        Of all contrasts (kinview; the tutorial has 0.19).
    mask_rate : float, default 0.4
        Probability that a cell is hidden (kinview; the tutorial has 0.13). Columns that depend on each other are told
        apart by what they say alone.
    mask : {"zero", "missing"}, default "zero"
        What stands in a hidden cell: 0, which is the mean (tutorial), or nothing, of which the encoders are told.
    scaling : {"dataset", "robust", "quantile"} or mapping, default "dataset"
        How numbers are scaled in their table, as :meth:`kinview.data.TableSchema.fit` has it. ``"quantile"`` makes
        the matching independent of scales that keep the order of values.
    models : int, default 3
        Trainings from different initial weights, whose similarities are averaged (kinview; the tutorial has 1).
    trainer : Trainer or mapping, optional
        Training values other than kinview's: Adam, learning rate 1e-2, weight decay 1e-5, batches of 128 rows of each
        table, 50 steps. With ``validation_fraction`` rows of each table are held out, for early stopping and for the
        signatures.

    Notes
    -----
    A batch holds rows of both tables that have nothing to do with each other; the smaller table is gone through again
    while the larger is once, and a row that stands twice in a batch counts once. kinview's values were chosen on the
    tables sonar and vehicle.

    ============== =============================================== =====================================================
    what           official code (notebook Database_matching)      kinview
    ============== =============================================== =====================================================
    second copy    masked on top of the first one's mask           masked by itself
    negatives      both copies in one cross loss, so that the      copy with copy: no row has its own other copy among
                   other copy of a row is a negative of it         its negatives
    scaling        divided by the maximum                          standardised
    missing cells  filled with the mean before the split           stay missing, and the encoders are told which
    seed           not used                                        ``random_state``
    encoders       linear, then tanh; dropout of inputs            ReLU, no dropout
    training       batches of 6 rows, 49 epochs, one training      batches of 128, 50 steps, mean of 3 trainings
    signatures     over validation rows                            over all rows, or those held out
    assignment     stable matching (Gale and Shapley)              largest sum of similarities (Hungarian)
    ============== =============================================== =====================================================

    References
    ----------
    .. [1] Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
    .. [2] Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020.
    .. [3] Notebook Database_matching of https://github.com/sandhyat/ContrastiveLearning_Tutorial, and
       https://github.com/sandhyat/KMFChimericE_SchMatch, which compares such matchers.

    Examples
    --------
    >>> matchers.build({"contrastive": {"scaling": "quantile", "models": 8}}).models
    8
    """

    hidden_dim: int = whole(32, low=1)
    depth: int = whole(1, low=1)
    dim: int = whole(32, low=1)
    temperature: float = real(0.5, above=0)
    mask_rate: float = real(0.4, low=0, below=1)
    mask: Literal["zero", "missing"] = choice("zero", ("zero", "missing"))
    scaling: Any = anything("dataset", "scaling", check=_check_scaling, doc="")  # noqa: RUF009
    models: int = whole(3, low=1)
    trainer: Any = anything(None, "Trainer or mapping", check=_check_trainer, doc="")  # noqa: RUF009

    needs_mapped: ClassVar[bool] = True

    def similarity(self, tables: TwoTables, seed: int) -> Float64[np.ndarray, "a b"]:
        """Cosines of the signatures, averaged over the trainings."""
        known = tables.known_features(self.scaling)
        A, B = (
            torch.from_numpy(np.concatenate([features, side.columns(side.unknown, self.scaling)], axis=1)).float()
            for side, features in zip((tables.A, tables.B), known, strict=True)
        )
        trainer = as_trainer(self.trainer).merged(ContrastiveColumns.training_defaults)
        seeds = np.random.SeedSequence(seed).generate_state(self.models).tolist()
        each = [self._of_one_training(A, B, known[0].shape[1], trainer, one) for one in seeds]
        similarity: Float64[np.ndarray, "a b"] = np.mean(each, axis=0)
        return similarity

    def _of_one_training(self, A: Tensor, B: Tensor, q: int, trainer: Trainer, seed: int) -> Float64[np.ndarray, "a b"]:
        generator = torch.Generator().manual_seed(seed)
        fraction = trainer.validation_fraction or 0.0
        (fit_A, held_A), (fit_B, held_B) = (holdout(len(x), fraction, generator) for x in (A, B))
        train = unpaired(A[fit_A], B[fit_B])
        held_out = fraction > 0 and min(len(held_A), len(held_B)) >= ContrastiveColumns.min_rows
        with forked_generators(seed, settings_of(trainer).device):
            method = ContrastiveColumns(self, sizes_of(train), q)
            validation = unpaired(A[held_A], B[held_B]) if held_out else None
            trainer.fit(method, train, generator=generator, validation=validation, description="matching columns")
        rows_A, rows_B = (A[held_A], B[held_B]) if held_out else (A, B)
        cosines: Float64[np.ndarray, "a b"] = (
            signatures(method, "A", rows_A[:, q:]) @ signatures(method, "B", rows_B[:, q:]).T
        )
        return cosines
