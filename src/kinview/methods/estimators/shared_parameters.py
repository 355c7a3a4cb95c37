"""Parameters that several estimators have, each with its default, range and sentence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

from kinview.data.completion import LEAST_SERIES
from kinview.data.scaling import Scaling as SeriesRules
from kinview.data.scaling_rules import read_scaling
from kinview.data.table import Rules as TableRules
from kinview.encoders.front_end import DEFAULT_FILL, FillRule, FrontEndMode, MissingRule
from kinview.encoders.pooling import PoolingName
from kinview.methods.estimators.base import as_trainer
from kinview.parameters import anything, choice, real, spec, whole
from kinview.training.randomness import check_seed
from kinview.training.settings import check_fields

__all__ = [
    "TSTCC_BETAS",
    "TSTCC_TRAINING",
    "TSTCC_TRAINING_IN_WORDS",
    "TextRule",
    "augmentation",
    "fill",
    "front_end",
    "gaps",
    "missing",
    "network_of",
    "pooling",
    "projection_dim",
    "projector_hidden_dim",
    "random_state",
    "scaling",
    "scaling_of_columns",
    "side",
    "temperature",
    "text",
    "trainer",
]

TextRule = Literal["refuse", "categorical"]

# how SimCLR trains here, and whatever has no published training on series and tables
SIMCLR_TRAINING: Mapping[str, Any] = MappingProxyType(
    {
        "batch_size": 128,
        "lr": 1e-3,
        "optimizer": "adamw",
        "weight_decay": 1e-4,
        "scheduler": "cosine",
        "max_epochs": 100,
        "drop_last": True,
    }
)
# how the official code of TS-TCC trains, and that of TF-C too
TSTCC_TRAINING: Mapping[str, Any] = MappingProxyType(
    {"batch_size": 128, "lr": 3e-4, "optimizer": "adam", "weight_decay": 3e-4, "max_epochs": 40, "drop_last": True}
)
TSTCC_BETAS = (0.9, 0.99)  # of Adam
TSTCC_TRAINING_IN_WORDS = (
    "the published ones: 40 epochs of batches of 128, Adam with learning rate 3e-4, β (0.9, 0.99) and weight decay "
    "3e-4, an epoch's smaller last batch left out (official code)."
)


def augmentation(default: str | None, doc: str) -> Any:
    """Spec of a view."""
    return spec(default, "augmentation", doc=doc)


def fill(default: FillRule = DEFAULT_FILL, where: str = "What the network sees in a gap") -> Any:
    """What stands in a gap, with the words for where it stands."""
    return choice(
        default,
        get_args(FillRule),
        doc=f"{where}: 0, the last observed value, a line between the observed neighbours, or the mean of what is "
        'missing given what was observed, learned from the training series ("completion": of the same channel, '
        '"completion+channels": of all) where it predicts hidden values better than the line, from '
        f"{LEAST_SERIES} series on; see :class:`~kinview.data.Completion`.",
    )


def front_end() -> Any:
    """What an encoder is told about gaps."""
    return choice(
        "values+mask",
        get_args(FrontEndMode),
        doc='What the network sees of gaps and time stamps; the official code has "values".',
    )


def gaps() -> Any:
    """View on top of every other one that makes gaps."""
    return augmentation(
        None,
        "Augmentation that is applied to each view on top and makes gaps in it, such as ``{observation_dropout: {p: "
        "0.4}}``, so that the network meets gaps while it trains; none by default.",
    )


def missing(note: str = "") -> Any:
    """What a gap in one channel does to the others, with a note on the default."""
    return choice(
        "channel",
        get_args(MissingRule),
        doc=f"Whether a value missing in one channel blanks that value or the whole step.{note}",
    )


def network_of() -> Any:
    """Method of a control."""
    return spec(
        None,
        "method",
        words="str or mapping",
        doc="Spec of the method whose network it is; TS2Vec for series and SCARF for tables by default.",
    )


def pooling(doc: str) -> Any:
    """How features over time become one vector."""
    return choice("mean", get_args(PoolingName), doc=doc)


def projection_dim() -> Any:
    """Output of SimCLR's projector."""
    return whole(128, low=1, doc="Size of a projection z (paper).")


def projector_hidden_dim() -> Any:
    """Hidden layer of SimCLR's projector."""
    return whole(None, low=1, doc="Hidden width of the projector g; that of the representation by default (paper).")


def random_state(doc: str = "Seed. The same seed, machine and number of threads give the same bits.") -> Any:
    """Source of all randomness of a fit."""
    return anything(None, "int", check=check_seed, doc=doc)


def scaling(source: str = "") -> Any:
    """What is learned of the values before training, with the source of the default."""
    return anything(
        "dataset",
        "'dataset', 'robust', 'quantile', 'sample', None or mapping",
        check=_check_scaling,
        optional=True,
        doc=f"Standardise each channel over the training set{source}, by median and interquartile range there, by its "
        "quantiles there, each series by itself, or not at all; ``{robust: {clip: 5}}`` also cuts scaled values at ±5. "
        "See :func:`kinview.data.fit_scaler`.",
    )


def scaling_of_columns() -> Any:
    """What is learned of the numbers and dates of a table before training."""
    return anything(
        "dataset",
        "'dataset', 'robust', 'quantile' or mapping",
        check=_check_scaling_of_columns,
        doc="Standardise numbers and dates over the training set, or scale them by median and interquartile range, or "
        "by their quantiles there; ``{robust: {clip: 5}}`` also cuts scaled values at ±5. See "
        ":meth:`kinview.data.TableSchema.fit`.",
    )


_BOTH = "What ``transform`` gives where it is not asked: a side by its name, or both beside each other."


def side(default: str = "both", doc: str = _BOTH) -> Any:
    """Name of a side of pairs; "both" where that is the default."""
    return anything(default, "str", check=_check_both_or_side if default == "both" else _check_side, doc=doc)


def temperature(default: float, source: str) -> Any:
    """τ of a contrastive loss, with the source of its default."""
    return real(default, above=0, doc=f"τ {source}")


def text() -> Any:
    """Columns of a table that are not categories."""
    return choice(
        "refuse",
        get_args(TextRule),
        doc="What to do with text columns whose values are nearly all distinct (identifiers, free text).",
    )


def trainer(published: str) -> Any:
    """Training values, with a sentence on those that hold otherwise."""
    return anything(None, "Trainer or mapping", check=_check_trainer, doc=f"Training values other than {published}")


def _check_scaling(value: Any, name: str) -> None:
    read_scaling(value, SeriesRules, name)


def _check_scaling_of_columns(value: Any, name: str) -> None:
    read_scaling(value, TableRules, name)


def _check_side(value: Any, name: str, choices: str = "the name of a side") -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be {choices}; got {value!r}")


def _check_both_or_side(value: Any, name: str) -> None:
    _check_side(value, name, "'both' or the name of a side")


def _check_trainer(value: Any, name: str) -> None:
    check_fields(as_trainer(value))
