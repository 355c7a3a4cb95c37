"""What holds for every registered encoder, by the public check, and that the check finds what breaks it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers import seeded
from kinview.encoders import SeriesEncoder, TableEncoder, encoders
from kinview.encoders.masked import blank
from kinview.testing import check_encoder
from kinview.testing.encoders import checks_of

FORMS: list[dict[str, Any]] = [
    {},
    {"front_end": "values+mask+delta"},
    {"front_end": "values", "fill": "zero", "missing": "timestep"},
    {"fill": "hold"},
]
RESNET = {"widths": [4, 6, 5], "kernel_sizes": [7, 5, 3]}
DILATED = {"repr_dim": 4, "hidden_dim": 3, "depth": 2}
NUMBERS = [{"numerical_embedding": kind} for kind in ("piecewise_linear", "periodic")]
SMALL: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "channel_independent": (
        {"encoder": {"resnet1d": RESNET}},
        [
            {},
            {"encoder": {"dilated_conv": DILATED}, "pooling": "max"},
            {"encoder": {"resnet1d": {**RESNET, **FORMS[1]}}},
        ],
    ),
    "dilated_conv": (DILATED, [*FORMS, {"padding": "official"}]),
    "fcn": ({"widths": [4, 6], "kernel_sizes": [5, 3]}, [*FORMS, {"dilations": [2, 4]}]),
    "frequency": ({"encoder": {"resnet1d": RESNET}, "bins": 16}, [{}, {"encoder": {"dilated_conv": DILATED}}]),
    "fused_crops": (
        {"encoder": {"resnet1d": RESNET}, "length": 8},
        [
            {},
            {"encoder": {"dilated_conv": DILATED}, "pooling": "max", "length": 13, "reduction": 1},
            {"encoder": {"resnet1d": {**RESNET, **FORMS[1]}}},
            {"encoder": {"dilated_conv": {**DILATED, "padding": "official"}}},
            {"encoder": {"tfc_transformer": {"length": 16}}, "length": 16},
        ],
    ),
    "patch_transformer": ({"repr_dim": 4, "heads": 2, "depth": 1, "patch_length": 4, "stride": 3}, FORMS),
    "resnet1d": (RESNET, [*FORMS, {"stride": 1}, {"channels": 30}]),
    "tfc_transformer": ({"length": 16}, [{}, {"domain": "frequency"}, {"channels": 1}]),
    "tstcc_cnn": ({"repr_dim": 4, "hidden_dim": 4}, FORMS),
    "mlp": ({"hidden_dim": 8, "depth": 3}, [{}]),
    "ft_transformer": (
        {"repr_dim": 16, "heads": 2, "bins": 4, "frequencies": 3},
        [{}, {"cardinalities": [0]}, *NUMBERS, {"cardinalities": [3], "numerical_embedding": "periodic"}],
    ),
    "resnet_mlp": (
        {"repr_dim": 8, "depth": 2, "embedding_dim": 5, "bins": 4, "frequencies": 3},
        [{}, {"normalisation": "layer"}, *NUMBERS, {"cardinalities": [3], "numerical_embedding": "periodic"}],
    ),
}
SPECS = [{name: {**small, **form}} for name, (small, forms) in SMALL.items() for form in forms]


def test_every_registered_encoder_is_here() -> None:
    assert set(SMALL) == set(encoders)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: str(spec).translate(str.maketrans("", "", "{}' ")))
def test_every_registered_encoder_passes(spec: Any) -> None:
    modality = encoders[next(iter(spec))].modality
    assert check_encoder(spec) == tuple(checks_of(str(modality)))


# --- what the check finds --------------------------------------------------------------------------------------------


class Plain(SeriesEncoder):
    """A linear map of each step: what the broken ones do but for one thing."""

    def __init__(self, channels: int, repr_dim: int = 3, front_end: Any = "values+mask") -> None:
        super().__init__({"channels": channels, "repr_dim": repr_dim}, front_end=front_end)
        self.repr_dim = repr_dim
        self.layer = nn.Linear(self.front_end.out_channels, repr_dim)

    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        out: Tensor = self.layer(features.transpose(1, 2)).transpose(1, 2)
        return blank(out, lengths)


class Unchecked(Plain):
    def __init__(self, channels: int, repr_dim: int = 3, width: int = 4) -> None:
        super().__init__(channels, repr_dim)
        self.config = {"channels": channels, "repr_dim": repr_dim, "width": width}


class Unsaid(Plain):
    def __init__(self, channels: int, repr_dim: int = 3, scale: float = 2.0) -> None:
        super().__init__(channels, repr_dim)
        self.config = {"channels": channels, "repr_dim": repr_dim, "scale": 3.0 * scale}


class WritesIntoTheSamples(Plain):
    def forward(self, x: Tensor, **how: Any) -> Tensor:
        return super().forward(x.nan_to_num_(), **how)


class DropsInEvaluation(Plain):
    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        return super().encode(nn.functional.dropout(features, 0.5, training=True), lengths, observed)


class Forgetful(Plain):
    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "scale": 2.0}

    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        return super().encode(features, lengths, observed) * getattr(self, "scale", 1.0)


class TimeFirst(Plain):
    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        return super().encode(features, lengths, observed).transpose(1, 2)


class Means(Plain):
    """One vector a series, which is NaN where nothing is observed."""

    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        return super().encode(features, lengths, observed).sum(dim=2) / lengths[:, None]


class Centres(Plain):
    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        return super().encode(features - features.mean(dim=0), lengths, observed)


class CentresBySaying(Plain):
    row_independent = False


class Idle(Plain):
    def __init__(self, channels: int, repr_dim: int = 3) -> None:
        super().__init__(channels, repr_dim)
        self.config = {"channels": channels, "repr_dim": repr_dim}
        self.spare = nn.Linear(2, 2)


class KeepsItsScale(Plain):
    def __init__(self, channels: int, repr_dim: int = 3) -> None:
        super().__init__(channels, repr_dim)
        self.config = {"channels": channels, "repr_dim": repr_dim}
        self.scale = torch.randn(1)

    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        return super().encode(features, lengths, observed) * self.scale.to(features)


class AveragesPadding(Plain):
    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        return super().encode(features, lengths, observed).mean(dim=2)


class PaddedBySaying(Plain):
    padding_independent = False


class Halves(Plain):
    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        return super().encode(features, lengths, observed)[:, :, ::2]


class HalvesByAnotherFormula(Halves):
    def feature_lengths(self, lengths: Tensor) -> Tensor:
        return lengths // 2 + 1 * (lengths > 0)


class SeesHidden(Plain):
    def forward(self, x: Tensor, *, hide: Tensor | None = None, **how: Any) -> Tensor:
        return super().forward(x, **how)


class TwoStepsAtLeast(Plain):
    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        if features.shape[2] == 2:
            raise ZeroDivisionError
        return super().encode(features, lengths, observed)


BROKEN: list[tuple[type, str, str]] = [
    (Unchecked, "parameters", r"width=-1 must be refused: give it in sizes"),
    (Unsaid, "config_round_trip", "comes back as"),
    (WritesIntoTheSamples, "inputs_unchanged", "x was modified"),
    (DropsInEvaluation, "no_global_randomness", "the global random generator of torch was used"),
    (Forgetful, "copies", "a copy gives other features"),
    (TimeFirst, "shape", r"must become \(6, 3, ...\); got \(6, 24, 3\)"),
    (Means, "finite", r"not finite: rows \[3\]"),
    (Centres, "row_independent", "features of a row depend on the other rows"),
    (CentresBySaying, "row_independent", "row_independent = False is declared, and features do not"),
    (Idle, "gradients", "no gradient reaches spare.weight"),
    (KeepsItsScale, "state_dict", "what they rest on belongs in parameters or buffers"),
    (AveragesPadding, "padding_independent", "padded further, a series has other features"),
    (PaddedBySaying, "padding_independent", "padding_independent = False is declared, and features do not"),
    (Halves, "feature_lengths", r"24 steps become 12 features: write feature_lengths"),
    (HalvesByAnotherFormula, "feature_lengths", "and feature_lengths says that there are"),
    (SeesHidden, "hide", "values of hidden steps change the features"),
    (TwoStepsAtLeast, "any_length", "it raises ZeroDivisionError"),
]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Any:
    assert "mlp" in encoders
    monkeypatch.setattr(encoders, "_entries", dict(encoders._entries))
    return lambda kind: encoders.register("broken", modality="time_series")(kind)


@pytest.mark.parametrize(("kind", "check", "message"), BROKEN, ids=[kind.__name__ for kind, *_ in BROKEN])
def test_a_broken_encoder_is_found(registered: Any, kind: Any, check: str, message: str) -> None:
    registered(kind)
    with pytest.raises(AssertionError, match=rf"{kind.__name__} fails the check {check!r}: .*{message}"):
        check_encoder("broken")


def test_every_check_has_an_encoder_that_fails_it(registered: Any) -> None:
    assert set(checks_of("time_series")) == {name for _, name, _ in BROKEN}
    assert set(checks_of("tabular")) < set(checks_of("time_series"))
    registered(Plain)
    assert check_encoder(seeded(Plain, 2)) == tuple(checks_of("time_series"))


class Rows(TableEncoder):
    """Numbers and codes side by side; NaN where a cell is missing, unless told otherwise."""

    def __init__(self, cardinalities: list[int], repr_dim: int = 2, blank_missing: bool = False) -> None:
        super().__init__(cardinalities, {"repr_dim": repr_dim}, blank_missing=blank_missing)
        self.repr_dim = repr_dim
        self.layer = nn.Linear(len(cardinalities), repr_dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x.nan_to_num() if self.config["blank_missing"] else x)
        return out


def test_an_encoder_of_tables_is_tried_on_rows(registered: Any) -> None:
    encoders.register("rows", modality="tabular")(Rows)
    with pytest.raises(AssertionError, match="Rows fails the check 'finite': features of samples with gaps"):
        check_encoder("rows")
    assert check_encoder(seeded(Rows, [0, 3], blank_missing=True)) == tuple(checks_of("tabular"))
