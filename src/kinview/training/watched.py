"""What a callback may look at while a method trains: samples, and labels that training never sees."""

from __future__ import annotations

import dataclasses

from kinview.data.batch import Batch

__all__ = ["WatchedSamples"]


@dataclasses.dataclass(frozen=True, eq=False)
class WatchedSamples:
    """Samples of a training for those who look on: copies, of which no field reaches the method that is trained.

    Parameters
    ----------
    fitted : Batch
        Samples that the method is trained on, as :meth:`~kinview.training.Method.embed` takes them, on the CPU; ``y``
        holds class codes and ``groups`` groups where they are known, whatever the method is trained with.
    held_out : Batch or None
        The same of the samples that are held out for early stopping; None where there are none.
    rows : Batch
        Training rows as :meth:`~kinview.training.Method.views` takes them, with the fields that the method uses.
    rows_a_chunk : int
        Rows that can go through the network at once.
    size : int
        Samples that were given to ``fit``; ``index`` of the batches counts them.
    labels_are_trained_on : bool
        Whether the method is trained with the labels of ``fitted``.
    """

    fitted: Batch
    held_out: Batch | None
    rows: Batch
    rows_a_chunk: int
    size: int
    labels_are_trained_on: bool = False

    @classmethod
    def of(cls, train: Batch, validation: Batch | None = None) -> WatchedSamples:
        """Those of a training that no estimator has begun: the rows themselves, with what they carry."""
        held_out = 0 if validation is None else len(validation)
        return cls(
            fitted=train,
            held_out=validation,
            rows=train,
            rows_a_chunk=max(1, len(train)),
            size=len(train) + held_out,
            labels_are_trained_on=train.y is not None,
        )
