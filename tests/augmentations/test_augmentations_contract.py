"""Every registered augmentation passes ``kinview.testing.check_augmentation``, and broken ones fail."""

from __future__ import annotations

import collections
import dataclasses
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers import gen
from kinview.augmentations import Augmentation, augmentations
from kinview.augmentations._random import normal
from kinview.complete_configs import frozen_defaults
from kinview.data import Batch
from kinview.parameters import real
from kinview.testing import check_augmentation
from kinview.testing.augmentations import CHECKS

# composites have no default parts
SPECS: Mapping[str, Any] = {
    "compose": [{"jitter": {"sigma": 0.3}}, "permutation"],
    "one_of": {"one_of": {"augmentations": ["jitter", "permutation", "mixup"]}},
    "some_of": {"some_of": {"augmentations": ["jitter", "time_warp", "scaling"], "k": 2}},
    "sometimes": {"sometimes": {"augmentation": "scaling"}},
    "views": {"views": {"augmentations": [["scaling", "jitter"], "permutation"]}},
    "curriculum": {"curriculum": {"augmentation": ["scaling", "jitter"]}},
}

# what learns for some time, of which the checks need no more than a little
QUICK: Mapping[str, Any] = {"tailored_mixup": {"tailored_mixup": {"learning_steps": 20}}}

MEMBERS = list(augmentations)


def parameters(name: str) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(member(name)) if field.init]  # type: ignore[arg-type]


def member(name: str) -> type[Augmentation]:
    target = augmentations[name].target
    assert isinstance(target, type)
    assert issubclass(target, Augmentation)
    return target


def test_the_registry_holds_the_promised_augmentations_and_every_one_is_checked() -> None:
    assert set(frozen_defaults("0.1.0")["parts"]["augmentations"]) <= set(MEMBERS), "files of that version name them"
    assert len(MEMBERS) == 77
    (parametrised,) = [mark.args[1] for mark in test_contract.pytestmark]  # type: ignore[attr-defined]
    assert parametrised == MEMBERS == list(augmentations)
    assert {name for name in MEMBERS if _needs_parts(name)} == set(SPECS)


def test_every_member_is_registered_with_its_family() -> None:
    counts = collections.Counter(augmentations[name].metadata["family"] for name in MEMBERS)
    assert counts == {
        "time domain": 24,
        "masking": 8,
        "frequency domain": 9,
        "mixing": 4,
        "clinical": 7,
        "tables": 12,
        "embedding space": 4,
        "learned": 3,
        "composition": 6,
    }


def _needs_parts(name: str) -> bool:
    return any(f.default is dataclasses.MISSING for f in parameters(name))


@pytest.mark.parametrize("name", MEMBERS)
def test_contract(name: str) -> None:
    assert check_augmentation(SPECS.get(name, QUICK.get(name, name))) == tuple(CHECKS)


@pytest.mark.parametrize("name", augmentations.recipes())
def test_recipes_pass_the_checks(name: str) -> None:
    assert check_augmentation(name) == tuple(CHECKS)


@pytest.mark.parametrize("name", MEMBERS)
def test_every_entry_is_documented(name: str) -> None:
    entry = augmentations[name]
    assert entry.summary.endswith(".")
    assert entry.reference or entry.metadata["family"] == "composition"
    assert entry.modality == member(name).modality
    text = member(name).__doc__
    assert text is not None
    for field in parameters(name):
        assert f"{field.name} :" in text or f"{field.name}," in text, f"{field.name} is not documented"


@pytest.mark.parametrize(
    "spec",
    [
        {
            "one_of": {
                "augmentations": [["jitter", "mixup"], {"some_of": {"augmentations": ["scaling", "cutmix"], "k": 1}}]
            }
        },
        {"views": {"augmentations": ["mixup", "jitter"]}},
        {"views": {"augmentations": ["crop_pair", "jitter"]}},
        ["crop_pair", "jitter", "permutation"],
        {"sometimes": {"augmentation": "time_reverse", "p": 0.3}},
        {"sometimes": {"augmentation": "observation_dropout", "p": 0.3}},
        {"one_of": {"augmentations": ["swap_noise", "table_cutmix", "mean_mask"]}},
        {"views": {"augmentations": ["column_corruption", ["class_conditional_corruption", "zero_out"]]}},
        {"curriculum": {"augmentation": "embedding_noise", "schedule": "cosine"}},
        {"sometimes": {"augmentation": "powerline"}},
        {"views": {"augmentations": ["scaling", ["resample", QUICK["tailored_mixup"]]]}},
    ],
    ids=str,
)
def test_nested_composites_pass_the_checks(spec: Any) -> None:
    assert check_augmentation(spec) == tuple(CHECKS)


@pytest.mark.parametrize("name", [name for name in MEMBERS if member(name).mixes_rows])
def test_a_row_alone_in_its_batch_mixes_with_nothing(name: str) -> None:
    part = augmentations.build(name)
    x = torch.randn(1, 3, 40) if part.modality in ("time_series", "any") else torch.randn(1, 8)
    view = part.fit(Batch.of(x.expand(5, *x.shape[1:])))(Batch.of(x), gen())
    torch.testing.assert_close(view.x, x, rtol=1e-6, atol=1e-6)
    assert (view.extra["partner"].tolist(), view.extra["coefficient"].tolist()) == ([0], [1.0])


def options() -> list[dict[str, dict[str, Any]]]:
    """Every option of every member that is a word or a flag and not the default."""
    found = []
    for name in MEMBERS:
        for field in parameters(name):
            rule = field.metadata.get("rule")
            if rule is not None and rule.kind in (bool, str):
                others = rule.options if rule.kind is str else (True, False)
                found += [{name: {field.name: value}} for value in others if value != field.default]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("spec", [spec for spec in options() if "curriculum" not in spec], ids=str)
def test_options_pass_the_checks(spec: dict[str, dict[str, Any]]) -> None:
    assert check_augmentation(spec) == tuple(CHECKS)


# --- broken augmentations fail: one or more for every check ----------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Louder(Augmentation):
    """An augmentation that passes all the checks: a gain drawn for each series."""

    gain: float = real(0.5, low=0, neutral=0)

    modality = "time_series"

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        drawn = 1 + self.gain * normal((len(batch), 1, 1), generator, batch.x)
        return batch.replace(x=batch.x * drawn)


@dataclasses.dataclass(frozen=True)
class Spoilt(Louder):
    """The same, whose view is then spoilt."""

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        return self.spoil(super().apply(batch, generator), batch)

    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view


@dataclasses.dataclass(frozen=True)
class Unchecked(Louder):
    gain: float = 0.5


@dataclasses.dataclass(frozen=True)
class OtherFlag(Louder):
    needs = ("groups",)  # type: ignore[assignment]


@dataclasses.dataclass(frozen=True)
class TwoViews(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        return super().apply(batch, generator), batch


@dataclasses.dataclass(frozen=True)
class AcceptsAll(Louder):
    def __call__(self, batch: Any, generator: Any = None) -> Any:
        return self.apply(batch, torch.Generator() if generator is None else generator)


@dataclasses.dataclass(frozen=True)
class InPlace(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        batch.x.mul_(1 + self.gain)
        return super().apply(batch, generator)


@dataclasses.dataclass(frozen=True)
class GlobalTorch(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x * (1 + 0.1 * torch.rand(len(batch), 1, 1).to(view.x)))


@dataclasses.dataclass(frozen=True)
class GlobalNumpy(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        np.random.rand()  # noqa: NPY002
        return super().apply(batch, generator)


@dataclasses.dataclass(frozen=True)
class Widens(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x.double())


@dataclasses.dataclass(frozen=True)
class Shortens(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x[..., 1:], times=None if view.times is None else view.times[:, 1:])


@dataclasses.dataclass(frozen=True)
class SaysItShortens(Louder):
    changes_length = True


@dataclasses.dataclass(frozen=True)
class Loses(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x.masked_fill(view.x.abs() > 1, torch.nan))


@dataclasses.dataclass(frozen=True)
class Fills(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x.nan_to_num())


@dataclasses.dataclass(frozen=True)
class SaysItLoses(Louder):
    makes_gaps = True


@dataclasses.dataclass(frozen=True)
class MovesStampsAlone(Spoilt):
    moves_time = True

    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(times=None if view.times is None else view.times.flip(1))


@dataclasses.dataclass(frozen=True)
class MovesStepsAlone(Louder):
    moves_time = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        shift = None if batch.times is None else batch.times.roll(1, 1)
        return batch.replace(x=batch.x.flip(2), times=shift)


@dataclasses.dataclass(frozen=True)
class HidesMoves(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(times=None if batch.times is None else batch.times + 1)


@dataclasses.dataclass(frozen=True)
class LosesStamps(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(times=None)


@dataclasses.dataclass(frozen=True)
class SaysItMoves(Louder):
    moves_time = True


@dataclasses.dataclass(frozen=True)
class CentresTheBatch(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x - self.gain * view.x.nanmean().nan_to_num())


@dataclasses.dataclass(frozen=True)
class SaysItMixes(Louder):
    mixes_rows = True


@dataclasses.dataclass(frozen=True)
class Mixes(Louder):
    mixes_rows = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        weight = 1 - self.gain / 2
        partner = self.drawn(len(batch), generator)
        mixed = weight * batch.x + (1 - weight) * batch.x[partner]
        coefficient = torch.full((len(batch),), weight, dtype=batch.x.dtype)
        coefficient[partner == torch.arange(len(batch))] = 1.0
        extra = {**batch.extra, "partner": self.told(partner), "coefficient": coefficient}
        return batch.replace(x=torch.where(mixed.isnan(), batch.x, mixed), extra=extra)

    def drawn(self, n: int, generator: torch.Generator) -> Tensor:
        return (torch.arange(n) + int(torch.randint(1, max(2, n), (), generator=generator))) % n

    def told(self, partner: Tensor) -> Tensor:
        return partner


@dataclasses.dataclass(frozen=True)
class NamesAnotherPartner(Mixes):
    def told(self, partner: Tensor) -> Tensor:
        return partner.roll(1)


@dataclasses.dataclass(frozen=True)
class MixesWithTheNearest(Mixes):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        level = batch.x.nan_to_num().mean(dim=(1, 2))
        apart = (level[:, None] - level).abs() + torch.diag(torch.full_like(level, torch.inf))
        nearest = apart.argmin(dim=1) if len(batch) > 1 else torch.zeros(len(batch), dtype=torch.int64)

        @dataclasses.dataclass(frozen=True)
        class Nearest(Mixes):
            def drawn(self, n: int, generator: torch.Generator) -> Tensor:
                return nearest

        return Nearest(self.gain).apply(batch, generator)


@dataclasses.dataclass(frozen=True)
class ChoosesByPlace(Mixes):
    chooses_partners = True


@dataclasses.dataclass(frozen=True)
class NamesNoPartner(Mixes):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        return super().apply(batch, generator).replace(extra=batch.extra)


@dataclasses.dataclass(frozen=True)
class CopiesTheFirstChannel(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        first = batch.x[:, :1].expand_as(batch.x)
        view = super().apply(batch.replace(x=torch.where(batch.x.isnan() | first.isnan(), batch.x, first)), generator)
        return batch.replace(x=batch.x + self.gain * (view.x - batch.x), extra=view.extra)


@dataclasses.dataclass(frozen=True)
class SaysItMixesChannels(Louder):
    mixes_channels = True


@dataclasses.dataclass(frozen=True)
class Rectifies(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=batch.x + 2 * self.gain * (view.x.abs() - batch.x))


@dataclasses.dataclass(frozen=True)
class CentresOnAMeanOfAll(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x - self.gain * view.x.mean(2, keepdim=True))


@dataclasses.dataclass(frozen=True)
class ReadsStamps(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        assert batch.times is not None
        return super().apply(batch, generator)


@dataclasses.dataclass(frozen=True)
class SaysItNeedsARate(Louder):
    needs = frozenset({"sampling_rate"})


@dataclasses.dataclass(frozen=True)
class IgnoresTheRate(Louder):
    needs = frozenset({"sampling_rate"})

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        if batch.times is None:
            raise ValueError("give a sampling_rate or time stamps")
        return super().apply(batch, generator)


@dataclasses.dataclass(frozen=True)
class SaysItLearns(Louder):
    needs = frozenset({"schema"})


@dataclasses.dataclass(frozen=True)
class IdleNetwork(Louder):
    network = nn.Linear(2, 2)


@dataclasses.dataclass(frozen=True)
class HiddenNetwork(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x * torch.ones((), dtype=view.x.dtype, requires_grad=True))


@dataclasses.dataclass(frozen=True)
class OwnGenerator(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        own = torch.Generator()
        own.seed()
        return super().apply(batch, own)


@dataclasses.dataclass(frozen=True)
class FixedSeed(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        torch.rand(1, generator=generator)
        return super().apply(batch, gen())


@dataclasses.dataclass(frozen=True)
class OneDrawABatch(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        return batch.replace(x=batch.x * (1 + self.gain * normal((1, 1, 1), generator, batch.x)))


@dataclasses.dataclass(frozen=True)
class Renumbers(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(index=torch.arange(len(batch)))


@dataclasses.dataclass(frozen=True)
class ForgetsExtra(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(extra={})


@dataclasses.dataclass(frozen=True)
class WrapsTensors(Louder):
    def __call__(self, batch: Any, generator: Any = None) -> Any:
        return super().__call__(Batch.of(batch) if isinstance(batch, Tensor) else batch, generator)


@dataclasses.dataclass(frozen=True)
class NeedsTwoSteps(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x / (batch.x.shape[2] > 1))


@dataclasses.dataclass(frozen=True)
class RefusesShort(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        if batch.x.shape[2] < 4:
            raise ValueError("series must have at least 4 steps")
        return super().apply(batch, generator)


@dataclasses.dataclass(frozen=True)
class SeesNothing(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        unseen = view.x.isnan().all(dim=2).all(dim=1)
        return view.replace(x=torch.where(unseen[:, None, None], 0.0, view.x).to(view.x))


@dataclasses.dataclass(frozen=True)
class DividesByTheSpread(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        spread = batch.x.nan_to_num().amax(2, keepdim=True) - batch.x.nan_to_num().amin(2, keepdim=True)
        return view.replace(x=view.x * spread / spread if batch.x.shape[2] > 1 else view.x)


@dataclasses.dataclass(frozen=True)
class RampOverAllSteps(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        ramp = torch.linspace(0, 1, batch.x.shape[2], dtype=torch.float64).to(batch.x)
        return batch.replace(x=batch.x * (1 + self.gain * normal((len(batch), 1, 1), generator, batch.x) * ramp))


@dataclasses.dataclass(frozen=True)
class ZeroesCount(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=view.x + self.gain * batch.x.nan_to_num().mean(2, keepdim=True))


@dataclasses.dataclass(frozen=True)
class FractionsOfCategories(Louder):
    modality = "tabular"  # type: ignore[assignment]

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        return batch.replace(x=batch.x * (1 + self.gain * normal((len(batch), 1), generator, batch.x)))


@dataclasses.dataclass(frozen=True)
class HardlyEver(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        view = super().apply(batch, generator)
        seldom = torch.rand(len(batch), 1, 1, generator=generator) < 0.9
        return view.replace(x=torch.where(seldom, view.x, batch.x))


@dataclasses.dataclass(frozen=True)
class Never(Louder):
    p: float = real(0.0, low=0, high=1, neutral=0)

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        view = super().apply(batch, generator)
        return view.replace(x=torch.where(torch.rand(len(batch), 1, 1, generator=generator) < self.p, view.x, batch.x))


@dataclasses.dataclass(frozen=True)
class NotNeutral(Louder):
    gain: float = real(0.5, low=0, neutral=0.1)


@dataclasses.dataclass(frozen=True)
class LearnsInPlace(Louder):
    _seen: Any = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def fit(self, batch: Batch, schema: Any = None, generator: Any = None) -> Augmentation:
        object.__setattr__(self, "_seen", batch.x.nanmean())
        return self


@dataclasses.dataclass(frozen=True)
class NeverForgets(Louder):
    _seen: Any = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def fit(self, batch: Batch, schema: Any = None, generator: Any = None) -> Augmentation:
        return self._with(_seen=batch.x.nanmean())

    def forget(self) -> Augmentation:
        return self


@dataclasses.dataclass(frozen=True)
class HoldsAFunction(Louder):
    _read: Any = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def fit(self, batch: Batch, schema: Any = None, generator: Any = None) -> Augmentation:
        return self._with(_read=lambda: batch)


@dataclasses.dataclass(frozen=True)
class TalksOfTraining(Louder):
    _seen: Any = dataclasses.field(default=None, init=False, compare=False)

    def fit(self, batch: Batch, schema: Any = None, generator: Any = None) -> Augmentation:
        return self._with(_seen=len(batch))


@dataclasses.dataclass(frozen=True)
class LoopsOverRows(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=torch.stack([one + 0.0 for one in view.x]) if len(batch) else view.x)


@dataclasses.dataclass(frozen=True)
class LoopsOverSteps(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        return view.replace(x=torch.stack([step + 0.0 for step in view.x.unbind(2)], dim=2))


@dataclasses.dataclass(frozen=True)
class LoopsInNumpy(Spoilt):
    def spoil(self, view: Batch, batch: Batch) -> Any:
        if view.x.dtype == torch.bfloat16 or not len(batch):
            return view
        return view.replace(x=torch.from_numpy(np.stack([np.flip(np.flip(one)) for one in view.x.numpy()])))


@dataclasses.dataclass(frozen=True)
class ShortSeriesOnly(Louder):
    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        if batch.x.shape[2] > 50_000:
            raise MemoryError("a matrix of T × T")
        return super().apply(batch, generator)


BROKEN: list[tuple[type, str, str]] = [
    (Unchecked, "parameters", "must be refused: make the field with real"),
    (OtherFlag, "flags_are_declared", "needs must be a frozenset"),
    (TwoViews, "n_views", "n_views = 1 is declared; got 2"),
    (AcceptsAll, "modality", "values of four dimensions must be refused"),
    (InPlace, "inputs_unchanged", "x of the batch was modified"),
    (GlobalTorch, "no_global_randomness", "the global random generator of torch was used"),
    (GlobalNumpy, "no_global_randomness", "the global random generator of numpy was used"),
    (Widens, "shape_and_type", "torch.float32 becomes torch.float64"),
    (Shortens, "changes_length", "declare changes_length"),
    (SaysItShortens, "changes_length", "the shape never changes"),
    (Loses, "makes_gaps", "values become missing that were observed"),
    (Fills, "makes_gaps", "NaN does not stay exactly where it was"),
    (SaysItLoses, "makes_gaps", "no gap is ever made"),
    (MovesStampsAlone, "moves_time", "their time stamps do not move along"),
    (MovesStepsAlone, "moves_time", "their time stamps do not move along"),
    (HidesMoves, "moves_time", "declare moves_time"),
    (LosesStamps, "moves_time", "the time stamps are lost"),
    (SaysItMoves, "moves_time", "the time stamps never change"),
    (CentresTheBatch, "mixes_rows", "declare mixes_rows"),
    (SaysItMixes, "mixes_rows", "no row's view depends on another row"),
    (NamesAnotherPartner, "mixes_rows", "a row that is not its partner"),
    (NamesNoPartner, "mixes_rows", "must name the other row and the own weight"),
    (MixesWithTheNearest, "chooses_partners", "another partner: declare chooses_partners"),
    (ChoosesByPlace, "chooses_partners", "partners are the same whatever the rows hold"),
    (CopiesTheFirstChannel, "mixes_channels", "declare mixes_channels if that is meant"),
    (SaysItMixesChannels, "mixes_channels", "no channel's view depends on another"),
    (Rectifies, "sign", "the sign is lost"),
    (CentresOnAMeanOfAll, "makes_gaps", "NaN spreads: values become missing because others in their row"),
    (ReadsStamps, "needs", "without groups and y and times it raises AssertionError"),
    (SaysItNeedsARate, "needs", "it must raise a ValueError"),
    (IgnoresTheRate, "needs", "another one changes nothing"),
    (SaysItLearns, "needs", "before fit it must raise a ValueError"),
    (IdleNetwork, "network", "it raises RuntimeError"),
    (HiddenNetwork, "network", "declare its network"),
    (OwnGenerator, "same_seed", "the same seed gives another view"),
    (FixedSeed, "same_seed", "another seed gives the same view"),
    (OneDrawABatch, "rows_draw_alone", "every row of a batch gets the same draw"),
    (Renumbers, "carried_along", "index must be carried over"),
    (ForgetsExtra, "carried_along", "extra['static'] must be carried over"),
    (WrapsTensors, "bare_tensor", "a bare tensor must give bare tensors"),
    (NeedsTwoSteps, "sizes", "1 channel, 1 step: a value becomes infinite"),
    (RefusesShort, "sizes", "leave what is too short as it is"),
    (SeesNothing, "nothing_to_see", "a row in which nothing was observed gets values"),
    (DividesByTheSpread, "nothing_to_see", "rows of 0: a value becomes NaN"),
    (RampOverAllSteps, "padding", "use each row's own length"),
    (ZeroesCount, "padding", "statistics over observed values only"),
    (FractionsOfCategories, "categories", "fractions of them"),
    (HardlyEver, "changes_something", "of random rows are changed"),
    (Never, "changes_something", "p is 0"),
    (NotNeutral, "strength", "strength 0 must be the identity"),
    (LearnsInPlace, "learning", "fit modified the original"),
    (NeverForgets, "learning", "forget keeps _seen"),
    (HoldsAFunction, "copies", "it raises"),
    (TalksOfTraining, "config_round_trip", "the repr holds more than the parameters"),
    (LoopsOverRows, "loops", "torch operations"),
    (LoopsOverSteps, "loops", "8 rows of 1,024 steps take"),
    (LoopsInNumpy, "loops", "function calls"),
    (ShortSeriesOnly, "long_series", "it raises MemoryError"),
]


@pytest.fixture
def registered(request: pytest.FixtureRequest) -> Iterator[type]:
    """An augmentation registered for one test."""
    list(augmentations)
    augmentations.register("under_test", modality=request.param.modality)(request.param)
    yield request.param
    del augmentations._entries["under_test"]


@pytest.mark.parametrize("registered", [Louder, Spoilt, Mixes], indirect=True)
def test_a_plug_in_passes(registered: type) -> None:
    assert check_augmentation(registered()) == tuple(CHECKS)
    assert check_augmentation("under_test") == tuple(CHECKS)
    assert check_augmentation(["under_test", "jitter"]) == tuple(CHECKS)


@pytest.mark.parametrize(("registered", "check", "message"), BROKEN, indirect=["registered"])
def test_a_failed_check_is_noticed(registered: type, check: str, message: str) -> None:
    with pytest.raises(AssertionError, match=f"{registered.__name__} fails the check '{check}'") as caught:
        check_augmentation(registered())
    assert message in str(caught.value)


def test_every_check_has_an_augmentation_that_fails_it() -> None:
    assert {check for _, check, _ in BROKEN} == set(CHECKS)


def test_one_that_is_not_registered_is_told_how_to() -> None:
    with pytest.raises(AssertionError, match=r"'config_round_trip'.* Register the class, @augmentations.register"):
        check_augmentation(Louder())


def test_what_is_no_augmentation_is_refused() -> None:
    with pytest.raises(AssertionError, match="an augmentation is a subclass of kinview"):
        check_augmentation(nn.ReLU())


def test_a_class_in_place_of_an_object_is_told() -> None:
    with pytest.raises(AssertionError, match=r"Louder is a class: give an object, check_augmentation\(Louder\(...\)\)"):
        check_augmentation(Louder)


class Undecorated(Augmentation):
    gain: float = real(0.5, low=0, neutral=0)

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        return batch


class UndecoratedChild(Louder):
    depth: float = real(0.5, low=0, neutral=0)


@pytest.mark.parametrize("kind", [Undecorated, UndecoratedChild])
def test_a_forgotten_decorator_is_told(kind: type) -> None:
    told = rf"'parameters'.* write @dataclasses.dataclass\(frozen=True\) above class {kind.__name__}$"
    with pytest.raises(AssertionError, match=told):
        check_augmentation(kind())


@pytest.mark.parametrize("registered", [Rectifies], indirect=True)
def test_a_sign_lost_half_of_the_time_is_noticed(registered: type) -> None:
    with pytest.raises(AssertionError, match="Sometimes fails the check 'sign'"):
        check_augmentation({"sometimes": {"augmentation": "under_test", "p": 0.5}})


@pytest.mark.parametrize(
    "spec",
    [{"adversarial": {"norm": "l2"}}, {"column_subsets": {"representation": "narrow"}}, ["channel_permutation"]],
    ids=str,
)
def test_channels_are_mixed_where_parameters_say_so(spec: Any) -> None:
    assert augmentations.build(spec).mixes_channels
    assert check_augmentation(spec) == tuple(CHECKS)


def test_the_loss_of_the_suite_does_not_depend_on_padding() -> None:
    from kinview.testing._augmentation_case import _loss

    x = torch.randn(4, 3, 10, requires_grad=True)
    (slope,) = torch.autograd.grad(_loss(x), x)
    (padded,) = torch.autograd.grad(_loss(torch.nn.functional.pad(x, (0, 7), value=torch.nan)), x)
    torch.testing.assert_close(slope, padded)
    assert bool((slope != 0).all())


def test_rows_of_ones_own() -> None:
    generator = gen()
    rows = Batch.of(torch.randn(20, 5, 60, generator=generator), groups=torch.arange(20), y=torch.arange(20) % 2)
    assert check_augmentation("jitter", batch=rows) == tuple(CHECKS)
    times = torch.arange(60, dtype=torch.float64).expand(20, 60) / 512
    assert check_augmentation("permutation", batch=rows.replace(times=times)) == tuple(CHECKS)
    table = Batch.of(torch.randn(50, 7, generator=generator), y=torch.arange(50) % 2, groups=torch.arange(50))
    assert check_augmentation("column_corruption", batch=table) == tuple(CHECKS)


SHAPES = """
from jaxtyping import install_import_hook

install_import_hook(["kinview.augmentations", "kinview.data.gaps", "kinview.data.spectrum"], "beartype.beartype")

from kinview.augmentations import augmentations
from kinview.testing._augmentation_case import Case

for name in augmentations:
    target = augmentations[name].target
    if hasattr(target, "parts"):
        continue
    for kind in [target.modality] if target.modality != "any" else ["time_series", "tabular"]:
        case = Case.of(augmentations.build(name), kind, None)
        for gaps in (False, True):
            case.views(case.draw(gaps=gaps))
    print(name)
"""


@pytest.mark.slow
def test_the_shapes_in_the_signatures_hold() -> None:
    done = subprocess.run([sys.executable, "-c", SHAPES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(done.stdout.split()) == set(MEMBERS) - set(SPECS)
