"""TabPFN, where it is installed."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from kinview.evaluation.probes import probes
from kinview.evaluation.probes.in_context import InContext

__all__ = ["TabPFN"]


@probes.register("tabpfn", modality="any", reference="Hollmann et al., Nature 2025")
@dataclasses.dataclass(eq=False)
class TabPFN(InContext):
    """TabPFN: a transformer, trained on synthetic tables, that reads the training rows and classifies others at once.

    The control for tables with little data, with the method ``raw``: missing cells stay missing, and categories are one
    column each. It is the classifier of the library ``tabpfn``, which is not part of kinview
    (``pip install 'kinview[tabpfn]'``). Scores are its predicted probabilities.

    Parameters
    ----------
    random_state : int
        Seed of its ensemble, and of the sub-sample.
    n_estimators : int
        Members of the ensemble, each with other permutations of columns and classes. Default: paper.
    model_path : str, optional
        File of weights that is there. The library reads it (a PyTorch checkpoint): take one that you trust.
    download : bool
        Let the library download weights where there are none, see the notes. Default: no.
    device : str
        Where it computes. Beyond 1,000 rows the library asks for a GPU.
    max_rows : int
        A larger training set is sub-sampled to this size, classes in proportion. Default: paper.
    max_features : int
        More columns are refused. Default: paper.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.

    Raises
    ------
    ValueError
        When it is fitted without the library, without weights, with too many columns or with more than 10 classes
        (paper). A benchmark stores the reason in the row of the failed cell, and goes on.

    Notes
    -----
    *What the library downloads.* Without a file it fetches some 30 to 200 MB from huggingface.co into its cache; for
    the versions 2.5 and later, which are for non-commercial use, it first opens a browser to have a licence accepted.
    Version 2 is free to use. kinview lets it do so with ``download=True`` alone. The library may also report anonymous
    usage; ``TABPFN_DISABLE_TELEMETRY=1`` in the environment ends that. No row of the data leaves the machine.

    References
    ----------
    .. [1] Hollmann, N., et al. (2025). Accurate predictions on small data with a tabular foundation model. Nature 637,
       319-326.

    Examples
    --------
    >>> TabPFN(model_path="no-such-file.ckpt").fit([[0.0], [1.0]], [0, 1])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: the probe 'tabpfn' needs ...
    """

    library: ClassVar[str] = "tabpfn"
    classifier: ClassVar[str] = "TabPFNClassifier"
    weights: ClassVar[str] = "some 30 to 200 MB from huggingface.co, and may open a browser to have a licence accepted"
    most_classes: ClassVar[int | None] = 10

    def _build(self, kind: Any) -> Any:
        return kind(
            n_estimators=self.n_estimators,
            model_path="auto" if self.model_path is None else self.model_path,
            device=self.device,
            random_state=self.random_state,
        )
