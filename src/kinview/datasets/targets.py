"""Numbers to predict in place of classes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Task", "check_numbers", "check_task", "numbers_to_predict"]

Task = Literal["classification", "regression"]
"""What is predicted: a class, or a number."""


def numbers_to_predict(name: str, y: NDArray[Any] | None) -> NDArray[np.float64]:
    """Labels of a part of a data set as numbers.

    Raises
    ------
    ValueError
        If there are none, or they are not numbers.
    """
    if y is None or y.dtype.kind not in "iuf":
        held = "none" if y is None else f"labels such as {y.tolist()[0]!r}"
        raise ValueError(
            f"a regression needs a number for each sample, and {name} has {held}; name their column (label=, --label), "
            "or leave task out to predict classes"
        )
    return np.asarray(y, dtype=np.float64)


def check_numbers(name: str, y_train: NDArray[Any] | None, y_test: NDArray[Any] | None) -> None:
    """Check that every sample of a data set has a number; see :meth:`kinview.datasets.Dataset.require_target`."""
    for labels, part in ((y_train, "training samples"), (y_test, "test samples")):
        bad = int((~np.isfinite(numbers_to_predict(name, labels))).sum())
        if bad:
            raise ValueError(
                f"{name} has no finite number to predict for {bad} of its {part}; fill them in, or remove these "
                "samples from the file (pretrain and embed take them as they are)"
            )


def check_task(task: str, *, as_classes: bool) -> None:
    """Refuse a task that there is not, and a regression of labels that are to be classes."""
    if task not in ("classification", "regression"):
        raise ValueError(f"task={task!r} is unknown; use 'classification' or 'regression'")
    if task == "regression" and as_classes:
        raise ValueError("as_classes makes classes of numbers, and task='regression' predicts numbers; give one")
