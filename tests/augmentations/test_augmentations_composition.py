"""Composites do with their parts what they say."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import pytest
import scipy.stats
import torch
import yaml
from torch import Tensor, nn

from helpers import NAN, extra, gen, same
from kinview.augmentations import (
    Augmentation,
    ColumnCorruption,
    Compose,
    CropPair,
    Curriculum,
    Jitter,
    OneOf,
    Permutation,
    SomeOf,
    Sometimes,
    Views,
    augmentations,
)
from kinview.data import Batch
from kinview.parameters import real

IMPLAUSIBLE = 1e-4  # p-value below which a drawn frequency is not believed; seeds are fixed


@dataclasses.dataclass(frozen=True)
class Times(Augmentation):
    """Multiply by a prime: the product tells which parts a row had."""

    factor: float = real(2.0, above=0, neutral=1)

    modality: ClassVar[Any] = "any"

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        return batch.replace(x=batch.x * self.factor, extra={**batch.extra, "factor": self._told(batch)})

    def _told(self, batch: Batch) -> Tensor:
        return torch.full((len(batch),), self.factor)


@dataclasses.dataclass(frozen=True)
class Plus(Augmentation):
    """Add one."""

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        return batch.replace(x=batch.x + 1)


@dataclasses.dataclass(frozen=True)
class Learned(Augmentation):
    """A view with weights, which needs a loss."""

    needs: ClassVar[frozenset[str]] = frozenset({"loss"})
    _loss: Any = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def fit(self, batch: Batch, schema: Any = None, generator: Any = None) -> Augmentation:
        return self._with(network=nn.Linear(1, 1))

    def bind_loss(self, loss: Any) -> Augmentation:
        return self._with(_loss=loss)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        return batch


def series(n: int = 40, channels: int = 2, steps: int = 30) -> Batch:
    x = torch.randn(n, channels, steps, generator=gen(9))
    x[0, 0, 3:5] = NAN
    times = torch.arange(steps, dtype=torch.float64).expand(n, steps).clone()
    return Batch.of(x, times=times, groups=torch.arange(n), y=torch.arange(n) % 2)


# --- how they are written --------------------------------------------------------------------------------------------


def test_python_yaml_and_lists_are_the_same_thing() -> None:
    by_hand = Compose([Jitter(0.3), "permutation"])
    assert by_hand.augmentations == (Jitter(0.3), Permutation())
    text = "[{jitter: {sigma: 0.3}}, permutation]"
    assert augmentations.build(yaml.safe_load(text)) == by_hand
    assert augmentations.build({"compose": {"augmentations": yaml.safe_load(text)}}) == by_hand
    assert augmentations.to_config(by_hand) == {
        "compose": {"augmentations": [{"jitter": {"sigma": 0.3}}, "permutation"]}
    }
    assert repr(by_hand).startswith("Compose(augmentations=(Jitter(sigma=0.3), Permutation(")


@pytest.mark.parametrize(
    "spec",
    [
        ["jitter"],
        [["jitter", "scaling"], "permutation"],
        {"one_of": {"augmentations": ["jitter", ["scaling", "permutation"]]}},
        {"some_of": {"augmentations": ["jitter", "scaling", "permutation"], "k": 3}},
        {"sometimes": {"augmentation": ["jitter", "scaling"], "p": 0.25}},
        {"views": {"augmentations": [{"sometimes": {"augmentation": "jitter"}}, "tstcc_strong"]}},
        {"curriculum": {"augmentation": {"one_of": {"augmentations": ["jitter"]}}, "schedule": "step", "stages": 3}},
    ],
    ids=str,
)
def test_a_config_builds_an_equal_composite(spec: Any) -> None:
    part = augmentations.build(spec)
    config = yaml.safe_load(yaml.safe_dump(augmentations.to_config(part)))
    assert augmentations.build(config) == part
    assert augmentations.to_config(augmentations.build(config)) == config
    assert hash(part) == hash(augmentations.build(spec))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([], "augmentations of Compose must hold at least one augmentation; got none"),
        ({"views": {"augmentations": []}}, "augmentations of Views must hold at least one"),
        ({"one_of": {"augmentations": "jitter"}}, r"of OneOf must be a list .*; got 'jitter': write \[\.\.\.\]"),
        ({"compose": {"augmentations": {"jitter": {}}}}, "augmentations of Compose must be a list"),
        ({"compose": {"augmentations": [3]}}, "written as its name"),
        ({"compose": {"augmentations": [nn.ReLU()]}}, "a part must be an augmentation, its name, or"),
        ({"compose": {"augmentations": [Jitter]}}, r"an object, not its class: write Jitter\(\.\.\.\)"),
        (["jitter", "swap_noise"], r"the same kind of data; got Jitter \(time_series\), SwapNoise \(tabular\)"),
        ({"views": {"augmentations": ["embedding_noise", "swap_noise"]}}, "the parts of Views must work on"),
        ({"one_of": {"augmentations": ["jitter", "crop_pair"]}}, "every part must give one view; CropPair gives 2"),
        ({"sometimes": {"augmentation": "clocs"}}, "every part must give one view; AdjacentSegments gives 2"),
        ({"one_of": {"augmentations": [["jitter", {"views": {"augmentations": ["jitter"] * 2}}]]}}, "Compose gives 2"),
        (["mixup", "jitter", "cutmix"], "one part that mixes rows, .*; Mixup and CutMix would mix a row twice"),
        ({"some_of": {"augmentations": ["mixup", "cutmix"], "k": 2}}, "let each row have one of them"),
        ({"some_of": {"augmentations": ["jitter"], "k": 2}}, r"k must be in \[1, 1\], the number of"),
        ({"some_of": {"augmentations": ["jitter"], "k": 0}}, "k must be at least 1; got 0"),
        ({"sometimes": {"augmentation": "jitter", "p": 1.5}}, r"p must be in \[0, 1\]; got 1\.5"),
        ({"curriculum": {"augmentation": "jitter", "start": -0.1}}, r"start must be at least 0; got -0\.1"),
        ({"curriculum": {"augmentation": "jitter", "schedule": "up"}}, "schedule must be 'linear', 'cosine' or 'step'"),
        ({"curriculum": {"augmentation": "jitter", "stages": 1}}, "stages must be at least 2; got 1"),
        ({"curriculum": {"augmentation": ["jitter", "crop_pair"]}}, "CropPair has no .*wrap it, Sometimes"),
        ({"compose": {}}, "'compose' needs augmentations"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused_at_construction(spec: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        augmentations.build(spec)


def test_what_changes_the_length_is_no_choice_of_a_row() -> None:
    @dataclasses.dataclass(frozen=True)
    class Half(Augmentation):
        changes_length: ClassVar[bool] = True

        def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
            return batch.replace(x=batch.x[..., ::2], times=None)

    for choice in (
        lambda: Sometimes(Half()),
        lambda: OneOf([Plus(), Half()]),
        lambda: SomeOf([Plus(), Compose([Half()])]),
    ):
        with pytest.raises(ValueError, match=r"the rows of a batch have one length; (Half|Compose) changes it"):
            choice()
    assert Compose([Half(), Sometimes(Plus())])(torch.zeros(3, 1, 8), gen()).shape == (3, 1, 4)


def test_flags_follow_from_the_parts() -> None:
    both = Compose(["crop_pair", {"views": {"augmentations": ["time_warp", "mixup", "powerline"]}}])
    assert (both.n_views, both.moves_time, both.makes_gaps, both.mixes_rows, both.changes_length) == (6,) + (True,) * 4
    assert (both.modality, both.needs) == ("time_series", frozenset({"sampling_rate"}))
    plain = OneOf([Plus(), Times()])
    assert (plain.n_views, plain.moves_time, plain.makes_gaps, plain.mixes_rows, plain.changes_length) == (1,) + (
        False,
    ) * 4
    assert (plain.modality, plain.needs, plain.network) == ("any", frozenset(), None)
    assert Compose([Plus(), "swap_noise"]).modality == "tabular"
    assert Compose([Plus(), "swap_noise"]).needs == {"schema"}
    assert Compose.n_views == 1  # the class itself is left alone
    with pytest.raises(ValueError, match=r"Compose needs values of shape \(n, columns\)"):
        Compose([Plus(), "swap_noise"])(torch.zeros(2, 3, 4))


# --- one after another, and side by side -----------------------------------------------------------------------------


def test_compose_applies_its_parts_in_turn() -> None:
    batch, generator = series(), gen(4)
    expected = Permutation()(Jitter()(batch, generator), generator)
    made = Compose(["jitter", "permutation"])(batch, gen(4))
    assert same(made.x, expected.x)
    assert same(made.times, expected.times)
    assert Compose([Plus(), Times(3.0)])(torch.ones(1, 1, 1), gen()).item() == 6
    assert Compose([Times(3.0), Plus()])(torch.ones(1, 1, 1), gen()).item() == 4


def test_after_several_views_the_rest_is_applied_to_each() -> None:
    batch = series()
    one, two = Compose([CropPair(), Times(3.0)])(batch, gen(1))
    plain_one, plain_two = CropPair()(batch, gen(1))
    assert same(one.x, 3 * plain_one.x)
    assert same(two.x, 3 * plain_two.x)
    assert torch.equal(extra(one, "shared"), extra(plain_one, "shared"))
    one, two = Compose([Views([Plus(), Plus()]), "jitter"])(batch, gen(1))
    assert not same(one.x, two.x)  # draws of its own for each view
    four = Compose([Views([Plus(), Times(3.0)]), Views([Times(5.0), Times(7.0)])])(torch.ones(1, 1, 1), gen())
    assert [view.item() for view in four] == [10, 14, 15, 21]


def test_views_stand_side_by_side() -> None:
    batch, generator = series(), gen(2)
    expected = [Jitter()(batch, generator), Permutation()(batch, generator), *CropPair()(batch, generator)]
    made = Views(["jitter", "permutation", "crop_pair"])(batch, gen(2))
    assert len(made) == 4 == Views(["jitter", "permutation", "crop_pair"]).n_views
    assert all(same(a.x, b.x) for a, b in zip(made, expected, strict=True))
    assert isinstance(Views(["jitter"])(batch, gen()), Batch)


def test_a_view_beside_a_mixed_one_names_its_own_rows() -> None:
    mixed, plain = Views(["mixup", Plus()])(series(), gen())
    assert bool((extra(mixed, "partner") != torch.arange(40)).all())
    assert torch.equal(extra(plain, "partner"), torch.arange(40))
    assert torch.equal(extra(plain, "coefficient"), torch.ones(40))


# --- choices ---------------------------------------------------------------------------------------------------------


def test_one_of_gives_every_row_one_part_with_equal_probability() -> None:
    x = torch.ones(6000, 1, 1)
    view = OneOf([Times(2.0), Times(3.0), Times(5.0)])(Batch.of(x), gen())
    counts = [int((view.x == factor).sum()) for factor in (2, 3, 5)]
    assert sum(counts) == 6000
    assert scipy.stats.chisquare(counts).pvalue > IMPLAUSIBLE
    assert torch.equal(extra(view, "factor"), view.x.flatten())  # what a part says travels with its rows


def test_one_of_leaves_the_view_of_its_part() -> None:
    batch, generator = series(), gen(3)
    view = OneOf(["jitter", "permutation"])(batch, gen(3))
    torch.randint(0, 2, (40,), generator=generator)
    parts = [Jitter()(batch, generator), Permutation()(batch, generator)]
    which = [[same(part.x[i], view.x[i]) and same(part.times[i], view.times[i]) for part in parts] for i in range(40)]
    assert all(sum(row) == 1 for row in which)
    assert 5 < sum(row[0] for row in which) < 35


def test_some_of_gives_every_row_k_different_parts_in_the_order_of_the_list() -> None:
    x = torch.ones(6000, 1, 1)
    made = SomeOf([Times(2.0), Times(3.0), Times(5.0), Times(7.0)], k=2)(x, gen()).flatten()
    products = [6, 10, 14, 15, 21, 35]
    counts = [int((made == product).sum()) for product in products]
    assert sum(counts) == 6000
    assert scipy.stats.chisquare(counts).pvalue > IMPLAUSIBLE
    assert bool((SomeOf([Times(2.0), Plus()], k=2)(x, gen()) == 3).all())
    assert bool((SomeOf([Plus(), Times(2.0)], k=2)(x, gen()) == 4).all())


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_sometimes_is_as_often_as_it_says(p: float) -> None:
    batch = Batch.of(torch.randn(5000, 2, 3, generator=gen()))
    view = Sometimes(Times(2.0), p)(batch, gen(1))
    chosen = (view.x == 2 * batch.x).all(dim=2).all(dim=1)
    assert bool(((view.x == batch.x).all(dim=2).all(dim=1) ^ chosen).all())  # the whole row or nothing of it
    if p in (0, 1):
        assert int(chosen.sum()) == 5000 * p
    else:
        assert scipy.stats.binomtest(int(chosen.sum()), 5000, p).pvalue > IMPLAUSIBLE
    assert torch.equal(extra(view, "factor"), chosen * 2.0)


def test_stamps_move_with_the_rows_that_were_chosen() -> None:
    batch = series()
    assert batch.times is not None
    view = Sometimes("time_reverse")(batch, gen())
    turned = torch.tensor([same(row, batch.times[i].flip(0)) for i, row in enumerate(view.times)])
    kept = torch.tensor([same(row, batch.times[i]) for i, row in enumerate(view.times)])
    assert bool((turned ^ kept).all())
    assert 5 < int(turned.sum()) < 35
    expected = torch.where(turned[:, None, None], batch.x.flip(2), batch.x)
    assert same(view.x, expected)


def test_rows_that_were_not_mixed_are_their_own_partners() -> None:
    batch = series().replace(x=torch.randn(40, 2, 30))
    for part in (Sometimes("mixup"), OneOf(["jitter", "mixup"]), SomeOf(["mixup", "cutmix"], k=1)):
        view = part(batch, gen(5))
        partner, coefficient = extra(view, "partner"), extra(view, "coefficient")
        own = partner == torch.arange(40)
        if isinstance(part, SomeOf):
            assert not bool(own.any())
        else:
            assert 5 < int(own.sum()) < 35
        assert bool((coefficient[own] == 1).all())
        assert bool((coefficient[~own] < 1).any())
    view = Sometimes({"mixup": {"alpha": 1.0}})(batch, gen(6))
    partner, coefficient = extra(view, "partner"), extra(view, "coefficient")[:, None, None]
    torch.testing.assert_close(view.x, coefficient * batch.x + (1 - coefficient) * batch.x[partner])


def test_what_was_in_extra_before_stays_for_the_other_rows() -> None:
    before = Batch.of(torch.ones(50, 1, 1), extra={"factor": torch.full((50,), 9.0), "static": torch.rand(50)})
    view = Sometimes(Times(2.0))(before, gen())
    assert set(extra(view, "factor").tolist()) == {2.0, 9.0}
    assert view.extra["static"] is before.extra["static"]
    nested = before.replace(extra={"other": Batch.of(torch.ones(50, 3))})
    assert Sometimes(Plus())(nested, gen()).extra["other"] is nested.extra["other"]


# --- handed through to the parts -------------------------------------------------------------------------------------


def test_fit_and_forget_reach_every_part() -> None:
    train = Batch.of(torch.rand(50, 4, generator=gen()))
    part = Compose([Sometimes(OneOf([ColumnCorruption(1.0), Plus()]), 1.0), Times(2.0)])
    with pytest.raises(ValueError, match="call fit"):
        part(train, gen())
    fitted = part.fit(train)
    assert fitted == part
    assert fitted is not part
    assert fitted(train, gen()).x.shape == (50, 4)
    for again in (part, fitted.forget()):
        with pytest.raises(ValueError, match="call fit"):
            again(train, gen())
    plain = Compose([Plus(), Times(2.0)])
    assert plain.fit(train) is plain


def test_networks_and_losses_reach_the_parts() -> None:
    batch = series()
    one = Compose([Plus(), Learned()])
    assert one.network is None
    fitted = one.fit(batch)
    assert isinstance(fitted.network, nn.Linear)
    assert fitted.network is fitted.augmentations[1].network  # type: ignore[attr-defined]
    assert fitted.at(0.5).network is fitted.network
    two = Views([Learned(), Sometimes(Learned())]).fit(batch)
    assert isinstance(two.network, nn.ModuleList)
    assert len(list(two.network.parameters())) == 4
    assert two.forget().network is None
    bound = Compose([Plus(), Learned()]).bind_loss(torch.sum)
    assert bound.augmentations[1]._loss is torch.sum  # type: ignore[attr-defined]


def test_strength_reaches_every_part() -> None:
    part = Compose([Jitter(0.8), SomeOf([Times(3.0), Jitter(0.4)], k=1)])
    half = part.strength_scaled(0.5)
    assert half == Compose([Jitter(0.4), SomeOf([Times(2.0), Jitter(0.2)], k=1)])
    assert part.has_strength
    assert same(part.strength_scaled(0.0)(series(), gen()).x, series().x)
    with pytest.raises(ValueError, match="CropPair has no parameter of strength"):
        Compose([Jitter(), CropPair()]).strength_scaled(0.5)
    assert not Compose([Jitter(), CropPair()]).has_strength
    with pytest.raises(ValueError, match="strength must be at least 0; got -1"):
        part.strength_scaled(-1)


def test_the_strength_of_sometimes_is_that_of_its_part_or_its_probability() -> None:
    assert Sometimes(Jitter(0.8), p=0.5).strength_scaled(0.5) == Sometimes(Jitter(0.4), p=0.5)
    assert Sometimes(Plus(), p=0.5).strength_scaled(0.5) == Sometimes(Plus(), p=0.25)
    assert Compose([Jitter(0.8), Sometimes(Plus())]).has_strength
    assert Sometimes(Plus(), p=0.8).strength_scaled(2.0).p == 1.0  # type: ignore[attr-defined]


# --- curriculum ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "curve"),
    [
        ("linear", lambda u: u),
        ("cosine", lambda u: (1 - math.cos(math.pi * u)) / 2),
        ("step", lambda u: [0, 1 / 3, 2 / 3, 1][min(int(4 * u), 3)]),
    ],
)
@pytest.mark.parametrize(("start", "stop"), [(0.0, 1.0), (0.2, 0.6), (1.0, 0.5)])
def test_strength_follows_its_schedule(schedule: str, curve: Any, start: float, stop: float) -> None:
    part = Curriculum(Times(11.0), start=start, stop=stop, schedule=schedule)
    for u in (0.0, 0.1, 0.25, 0.4, 0.5, 0.74, 0.75, 0.9, 1.0):
        strength = start + (stop - start) * curve(u)
        assert part.strength(u) == pytest.approx(strength)
        now = part.at(u)
        assert isinstance(now, Times)
        assert now.factor == pytest.approx(1 + 10 * strength)
    assert part.strength(0) == pytest.approx(start)
    assert part.strength(1) == pytest.approx(stop)


def test_a_curriculum_anywhere_in_a_composite_follows_the_training() -> None:
    part = Views(
        [Compose([Curriculum(Jitter(0.8)), "permutation"]), Sometimes(Curriculum(Times(3.0), schedule="step"))]
    )
    assert part.at(0.5) == Views([Compose([Jitter(0.4), "permutation"]), Sometimes(Times(1 + 2 * 2 / 3))])
    assert part.at(0.5).at(0.1) == part.at(0.5)  # what stands at its point stays there
    assert Jitter().at(0.5) == Jitter()


def test_a_curriculum_called_as_it_is_stands_at_its_end() -> None:
    batch = series()
    part = Curriculum(Jitter(0.8), start=0.0, stop=0.5)
    assert same(part(batch, gen()).x, Jitter(0.4)(batch, gen()).x)
    assert same(part.at(0.0)(batch, gen()).x, batch.x)
    assert part.strength_scaled(0.5) == Curriculum(Jitter(0.8), start=0.0, stop=0.25)


@pytest.mark.parametrize("progress", [-0.1, 1.1, NAN, "1"])
def test_progress_is_a_fraction(progress: Any) -> None:
    with pytest.raises(ValueError, match="progress must be"):
        Curriculum(Jitter()).at(progress)


def test_what_was_learned_stays_through_a_curriculum() -> None:
    train = Batch.of(torch.rand(50, 4, generator=gen()))
    part = Curriculum(ColumnCorruption(1.0)).fit(train)
    rows = Batch.of(torch.full((20, 4), -1.0))
    assert [int((part.at(u)(rows, gen()).x != -1).sum()) for u in (0.0, 0.5, 1.0)] == [0, 40, 80]
    learned = Compose([Curriculum(Jitter()), Learned()]).fit(series())
    assert learned.at(0.3).network is learned.network
