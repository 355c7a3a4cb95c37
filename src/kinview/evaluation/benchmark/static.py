"""Static columns in a benchmark: numbers for a probe or an encoder, a side of pairs; what they leave no place for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Float

from kinview.data.modality import PAIRED
from kinview.evaluation.benchmark.grid import Cell, Part, part_label

if TYPE_CHECKING:
    from kinview.datasets.dataset import Dataset

__all__ = [
    "StaticFeatures",
    "check_static",
    "extra_of",
    "reads",
    "static_of",
    "why_no_static",
    "with_static",
    "without_static",
]

_NAMES = 0.5  # levels of a text column per training sample, from which they rather name the samples
_FEW_LEVELS = 20


@dataclasses.dataclass(frozen=True, eq=False)
class StaticFeatures:
    """Static columns as numbers, by what training rows show of them.

    Numbers are centred and scaled to the mean and standard deviation of the training rows; a missing one is their mean,
    with a column that says so where training rows miss some. Of text there is a column for each level, and one for
    missing; a level that no training row has is none of them.

    Parameters
    ----------
    columns : sequence of str
        Static columns, in the order in which they were given.
    encoder, gaps : ColumnTransformer
        Fitted; the first fills missing numbers, the second leaves them NaN.

    Examples
    --------
    >>> train = pd.DataFrame({"age": [30.0, 50.0], "sex": ["f", "m"]})
    >>> features = StaticFeatures.of(train, ["age", "sex"])
    >>> features(pd.DataFrame({"age": [60.0, None], "sex": ["m", "x"]})).tolist()
    [[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """

    columns: Sequence[str]
    encoder: Any
    gaps: Any

    @classmethod
    def of(cls, train: pd.DataFrame | None, columns: Sequence[str]) -> Self:
        """Learn levels, means and scales from training rows.

        Raises
        ------
        ValueError
            If a column of text rather holds names: more than 20 levels, and more than one for every second training
            row.
        """
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        table = _table(train, columns)
        numbers = [name for name in columns if table[name].dtype.kind == "f"]
        texts = [name for name in columns if name not in numbers]
        for name in texts:
            levels = table[name].nunique()
            if levels > max(_FEW_LEVELS, _NAMES * len(table)):
                raise ValueError(
                    f"static column {name!r} has {levels:,} different texts in {len(table):,} training samples, so it "
                    "rather names them: send it nowhere, or make numbers or fewer levels of it"
                )
        of_texts = ("levels", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts)
        filled = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
        made = [
            ColumnTransformer([("numbers", one, numbers), of_texts]).fit(table) for one in (filled, StandardScaler())
        ]
        return cls(list(columns), *made)

    def __call__(self, table: pd.DataFrame | None, *, keep_missing: bool = False) -> Float[np.ndarray, "n f"]:
        """Columns of samples as numbers; missing numbers stay NaN where they are to be kept."""
        found = (self.gaps if keep_missing else self.encoder).transform(_table(table, self.columns))
        return np.asarray(found, dtype=np.float32)


def _table(static: pd.DataFrame | None, columns: Sequence[str]) -> pd.DataFrame:
    """The columns as float64 or text."""
    assert static is not None  # a data set sends only columns that it has
    found = {}
    for name in columns:
        column = static[name]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
            found[name] = column.astype(np.float64).to_numpy()
        elif pd.api.types.is_numeric_dtype(column.dtype):
            found[name] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            missing = np.asarray(pd.isna(column))
            found[name] = np.where(missing, "(missing)", column.astype(str).to_numpy(dtype=object))
    return pd.DataFrame(found)


def check_static(dataset: Dataset, methods: Sequence[Part]) -> None:
    """Refuse static columns for encoders of which none takes them, and columns that are no features.

    Raises
    ------
    ValueError
        What is in the way.
    """
    for use in ("probe", "encoder"):
        if use in dataset.static_to:
            StaticFeatures.of(dataset.static_train, dataset.static_to[use])
    if "pairs" in dataset.static_to and not any(method.modality == PAIRED for method in methods):
        raise ValueError(
            f"the data set {dataset.name!r} pairs its samples with static columns, and none of the methods reads pairs "
            "(kinview list methods --modality paired): add one, or send the columns elsewhere"
        )
    if "encoder" in dataset.static_to and not any(_takes_them(method) for method in methods):
        names = ", ".join(part_label(method.config) for method in methods)
        raise ValueError(
            f"the data set {dataset.name!r} sends static columns to the encoder, and none of the methods takes further "
            f"features ({names}): send them to the probe, or add a method that uses them, such as "
            "{joint_embedding: {loss: exp_clr}}"
        )


def reads(method: Part, dataset: Dataset) -> bool:
    """Whether a method reads the samples of a data set, or the pairs that it makes of them and their static columns."""
    return method.supports(dataset.modality) or (method.modality == PAIRED and "pairs" in dataset.static_to)


def static_of(dataset: Dataset, method: Part) -> dict[str, Any]:
    """Field of the cells of a method that says which static columns bear on their result."""
    uses = ["probe", *(["encoder"] if _takes_them(method) else []), *(["pairs"] if method.modality == PAIRED else [])]
    found = {use: dataset.static_to[use] for use in uses if use in dataset.static_to}
    return {"static_to": found} if found else {}


def with_static(
    static: Sequence[pd.DataFrame | None], columns: Sequence[str], features: tuple[Any, Any], *, keep_missing: bool
) -> tuple[Float[np.ndarray, "n f"], Float[np.ndarray, "m f"]]:
    """Features of the training and the test part, with the static columns that a probe gets behind them."""
    train, test = features
    if not columns:
        return train, test
    numbers = StaticFeatures.of(static[0], columns)
    found = [numbers(part, keep_missing=keep_missing) for part in static]
    return np.hstack([train, found[0]]), np.hstack([test, found[1]])


def extra_of(static: pd.DataFrame | None, cell: Cell, rows: Any = slice(None)) -> dict[str, Any]:
    """Static columns that the encoder of a cell gets of training rows, as a keyword of fit; none where it gets none."""
    if not (columns := cell.static_columns("encoder")):
        return {}
    return {"extra": {"features": StaticFeatures.of(static, columns)(static)[rows]}}


def why_no_static(dataset: Dataset, probe: Part) -> str | None:
    """Why a probe has no cells on a data set; None where it has."""
    if probe.built.needs_model and "probe" in dataset.static_to:
        return "it trains the network itself and takes no static columns beside it"
    return None


def without_static(dataset: Dataset, methods: Sequence[Part], probes: Sequence[Part]) -> list[str]:
    """What gets no static column although they are sent, as sentences."""
    pairs = [(part_label(probe.config), why_no_static(dataset, probe)) for probe in probes]
    found = [f"{label} on {dataset.name}: {why}" for label, why in pairs if why is not None]
    deaf = [part_label(one.config) for one in methods if reads(one, dataset) and not _takes_them(one)]
    if "encoder" in dataset.static_to and deaf:
        found.append(f"static columns of {dataset.name} in {', '.join(deaf)}: no such method takes further features")
    return found


def _takes_them(method: Part) -> bool:
    return "extra" in method.built.uses
