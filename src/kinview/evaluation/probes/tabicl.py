"""TabICL, where it is installed."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from kinview.evaluation.probes import probes
from kinview.evaluation.probes.in_context import InContext

__all__ = ["TabICL"]


@probes.register("tabicl", modality="any", reference="Qu et al., ICML 2025")
@dataclasses.dataclass(eq=False)
class TabICL(InContext):
    """TabICL: a transformer, trained on synthetic tables, for larger tables and more classes than TabPFN.

    A control for tables, with the method ``raw``: missing cells stay missing, and categories are one column each. It is
    the classifier of the library ``tabicl``, which is not part of kinview (``pip install 'kinview[tabicl]'``). Scores
    are its predicted probabilities; more than 10 classes are told apart in steps.

    Parameters
    ----------
    random_state : int
        Seed of its ensemble, and of the sub-sample.
    n_estimators : int
        Members of the ensemble, each with other permutations and scalings. Default: official code, version 2.
    model_path : str, optional
        File of weights that is there. The library reads it (a PyTorch checkpoint): take one that you trust.
    download : bool
        Let the library download weights where there are none, see the notes. Default: no.
    device : str
        Where it computes.
    max_rows : int
        A larger training set is sub-sampled to this size, classes in proportion. Default: official code, version 2.
    max_features : int
        More columns are refused. Default: official code, version 2.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.

    Raises
    ------
    ValueError
        When it is fitted without the library, without weights, or with too many columns. A benchmark stores the reason
        in the row of the failed cell, and goes on.

    Notes
    -----
    *What the library downloads.* Without a file it fetches some 110 MB from huggingface.co (jingang/TabICL) into the
    cache of the hub. kinview lets it do so with ``download=True`` alone. No row of the data leaves the machine.

    References
    ----------
    .. [1] Qu, J., Holzmüller, D., Varoquaux, G., Le Morvan, M. (2025). TabICL: a tabular foundation model for
       in-context learning on large data. ICML.

    Examples
    --------
    >>> TabICL(model_path="no-such-file.ckpt").fit([[0.0], [1.0]], [0, 1])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: the probe 'tabicl' needs ...
    """

    library: ClassVar[str] = "tabicl"
    classifier: ClassVar[str] = "TabICLClassifier"
    weights: ClassVar[str] = "some 110 MB from huggingface.co (jingang/TabICL)"

    max_rows: int = 100_000
    max_features: int = 2_000

    def _build(self, kind: Any) -> Any:
        return kind(
            n_estimators=self.n_estimators,
            model_path=self.model_path,
            allow_auto_download=self.download,
            device=self.device,
            random_state=self.random_state,
        )
