"""TransTab as an estimator of one table, of several, and of tables with other columns."""

from __future__ import annotations

from typing import Any, ClassVar

from kinview.data.batch import Batch
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.multi_table import MultiTableEstimator
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.transtab.method import TransTabMethod
from kinview.parameters import flag, parameterised, real, whole
from kinview.training.method import Method

__all__ = ["TransTab"]


@methods.register("transtab", modality="tabular", reference="Wang and Sun, NeurIPS 2022, arXiv 2205.09328")
@parameterised
class TransTab(MultiTableEstimator):
    r"""TransTab: vertical partitions of a row find each other, by an encoder that reads the names of columns.

    Each cell becomes tokens: a number the embedding of its column's name times its value, a category the words of "name
    value", a boolean those of its name where it is true. What a further token becomes in a gated transformer is the
    representation h. The columns are cut into K partitions that overlap, :math:`v_k = W h(x_k)`, and the loss is

    .. math:: \frac{-1}{K n} \sum_{i, k} \frac{1}{|P(i)|} \sum_{p \in P(i)} \log
              \frac{\exp(v_{ik} \cdot v_p / \tau)}{\sum_{q \ne ik} \exp(v_{ik} \cdot v_q / \tau)},

    P(i) the other partitions of the same row or, with ``supervised``, those of all rows with its label too. As words
    and not places are read, several tables share one encoder (``fit([df_1, df_2])``), and ``adapt(df)`` takes it to a
    table with columns that it has never seen.

    Notes
    -----
    ============== ========================== ============================== ===================================
    what           paper                      official code                  kinview
    ============== ========================== ============================== ===================================
    words          a tokeniser's (recalled)   BERT's vocabulary              words, hashed to 4,096 numbers
    partitions     not given (recalled)       3, overlap 0.5, in given order the same; ``shuffle``
    K = 1          corruption of a view, as a leaves the view as it was      none: K is 2 or more
                   baseline (recalled)
    transformer    gated (recalled)           width 128, 2 layers, 8 heads,  the same
                                              256 hidden, dropout 0, ReLU
    projection     linear (recalled)          128, without bias              the same
    similarity     cosine (recalled)          dot product, τ 10              dot product, τ 10
    missing cell   filled (recalled)          filled by the loader           has no token
    kinds          given                      given; without them all are    told by the data
                                              categories
    several tables batches of one table       batches of one table           mixed batches, contrast within each
                   (recalled)                                                table
    training       Adam (recalled)            Adam 1e-4, batch 64, up to 50  the same, a tenth of the rows held
                                              epochs, patience 5             out
    ============== ========================== ============================== ===================================

    Words that differ may share a number, so that two columns can be taken for one; with 4,096 numbers two given words
    do so once in 4,096. A word never met in training has the vector that it was initialised with.

    Raises
    ------
    ValueError
        From ``transform``, for columns that are those of no table of fit; ``adapt`` is named.

    References
    ----------
    .. [1] Wang, Sun: TransTab: Learning Transferable Tabular Transformers Across Tables, NeurIPS 2022, arXiv
       2205.09328.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview.methods import TransTab
    >>> ward = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> clinic = pd.DataFrame({"heart rate": [61.0, 75.0, 80.0, 58.0] * 5, "sex": ["f", "m", "f", "f"] * 5})
    >>> small = {"repr_dim": 8, "depth": 1, "heads": 2, "hidden_dim": 8, "vocabulary": 64}
    >>> model = TransTab(**small, trainer={"max_epochs": 1}, random_state=0).fit([ward, clinic])
    >>> model.transform(ward).shape, model.transform(clinic).shape
    ((20, 8), (20, 8))
    >>> other = pd.DataFrame({"age": [50.0, 60.0], "heart rate": [70.0, None]})
    >>> model.adapt(other).transform(other).shape
    (2, 8)
    """

    n_partitions: int = whole(3, low=2, high=64, doc="K (official code); a table of fewer columns has one a column.")
    overlap: float = real(
        0.5, low=0, high=1, doc="How far a partition reaches into the next, as a fraction of its width (official code)."
    )
    shuffle: bool = flag(
        False, doc="Whether the columns are cut in an order drawn anew at each step (official code: as they are given)."
    )
    supervised: bool = flag(False, doc="Whether rows with the same label are positives too; ``fit`` then needs labels.")
    repr_dim: int = whole(128, low=1, doc="Width of a token, and size of a representation (official code).")
    depth: int = whole(2, low=1, doc="Layers of the transformer (official code).")
    heads: int = whole(8, low=1, doc="Attention heads (official code); must divide ``repr_dim``.")
    hidden_dim: int = whole(256, low=1, doc="Width of the feed-forward layers (official code).")
    dropout: float = real(0.0, low=0, below=1, doc="Dropout of the transformer (official code).")
    vocabulary: int = whole(4096, low=1, high=2**20, doc="Numbers that words are hashed to (kinview).")
    projection_dim: int = whole(128, low=1, doc="Size of a projection v (official code).")
    temperature: float = shared.temperature(10.0, "(official code).")
    text: TextRule = shared.text()
    trainer: Any = shared.trainer(
        "the published ones: Adam, learning rate 1e-4, batch 64, up to 50 epochs, stopped after 5 without a better "
        "loss on held-out rows (a tenth of them), the best weights kept."
    )
    random_state: Any = shared.random_state()
    scaling: Any = shared.scaling_of_columns()

    method_class: ClassVar[type[Method]] = TransTabMethod
    training_only: ClassVar[frozenset[str]] = frozenset({
        "n_partitions", "overlap", "shuffle", "dropout", "projection_dim", "temperature",
    })  # fmt: skip

    @property
    def uses(self) -> frozenset[str]:
        """The labels, where it is supervised."""
        return frozenset({"y"}) if self.supervised else frozenset()

    def why_not_trainable(self, rows: Batch) -> str | None:
        """Two columns of one table at least, beside two rows."""
        if all(len(schema.columns) < 2 for schema in self.schemas_):
            return "contrast of partitions needs at least two columns, and there is one"
        return super().why_not_trainable(rows)
