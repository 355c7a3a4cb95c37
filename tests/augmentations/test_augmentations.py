from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
import yaml
from hypothesis import given, settings
from torch import Tensor

from helpers import NAN, extra, gen, same
from kinview.augmentations import Augmentation, ColumnCorruption, CropPair, augmentations
from kinview.augmentations.crop import crop_pair
from kinview.data import Batch

IMPLAUSIBLE = 1e-4  # p-value below which a drawn frequency is not believed; seeds are fixed


def series(n: int = 3, channels: int = 2, steps: int = 12, *, gaps: bool = False) -> Batch:
    """Series whose every value is different, so that a value tells where it came from."""
    x = torch.arange(float(n * channels * steps)).reshape(n, channels, steps)
    if gaps:
        x[torch.rand(x.shape, generator=gen(5)) < 0.3] = NAN
        x[0, :, steps // 2 :] = NAN
    times = torch.arange(steps, dtype=torch.float64) ** 2 + 1000.0 * torch.arange(n, dtype=torch.float64)[:, None]
    return Batch.of(x, times=times, groups=torch.arange(n), y=torch.arange(n) % 2, extra={"static": torch.rand(n, 3)})


def table(n: int = 200, columns: int = 5, seed: int = 0) -> Batch:
    return Batch.of(torch.randn(n, columns, generator=gen(seed)), groups=torch.arange(n))


# --- both ------------------------------------------------------------------------------------------------------------


def cases() -> list[Any]:
    fitted = ColumnCorruption(0.4).fit(table())
    return [
        pytest.param(CropPair(), series(gaps=True), id="crop_pair"),
        pytest.param(fitted, table(30, seed=1), id="column_corruption"),
    ]


def views_of(part: Augmentation, batch: Batch, generator: torch.Generator) -> tuple[Batch, ...]:
    views = part(batch, generator)
    views = views if isinstance(views, tuple) else (views,)
    assert len(views) == part.n_views
    return views


@pytest.mark.parametrize(("part", "batch"), cases())
def test_the_generator_alone_decides(part: Augmentation, batch: Batch) -> None:
    first = views_of(part, batch, gen(3))
    torch.rand(7)  # what others drew meanwhile changes nothing
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12345)
        again = views_of(part, batch, gen(3))
    for one, other in zip(first, again, strict=True):
        assert same(one.x, other.x)
        assert all(same(extra(one, name).double(), extra(other, name).double()) for name in one.extra)
    others = [views_of(part, batch, gen(seed)) for seed in range(10, 20)]
    assert any(view.x.shape != first[0].x.shape or not same(view.x, first[0].x) for view, *_ in others)


@pytest.mark.parametrize(("part", "batch"), cases())
def test_global_generators_are_left_alone(part: Augmentation, batch: Batch) -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    views_of(part, batch, gen())
    assert torch.equal(torch.get_rng_state(), torch_before)
    numpy_after = np.random.get_state()  # noqa: NPY002
    assert str(numpy_after) == str(numpy_before)


@pytest.mark.parametrize(("part", "batch"), cases())
def test_the_generator_moves_on(part: Augmentation, batch: Batch) -> None:
    generator = gen()
    draws = [views_of(part, batch, generator)[0].x for _ in range(5)]
    assert any(draw.shape != draws[0].shape or not same(draw, draws[0]) for draw in draws[1:])


@pytest.mark.parametrize(("part", "batch"), cases())
def test_the_input_is_not_modified(part: Augmentation, batch: Batch) -> None:
    x, names = batch.x.clone(), set(batch.extra)
    for view in views_of(part, batch, gen()):
        view.x.fill_(7.0)  # nor is it shared with a view
    assert same(batch.x, x)
    assert set(batch.extra) == names


@pytest.mark.parametrize(("part", "batch"), cases())
def test_what_travels_along_stays_with_its_row(part: Augmentation, batch: Batch) -> None:
    for view in views_of(part, batch, gen()):
        assert torch.equal(view.index, batch.index)
        assert view.groups is not None
        assert batch.groups is not None
        assert torch.equal(view.groups, batch.groups)
        assert set(batch.extra) <= set(view.extra)


@pytest.mark.parametrize(("part", "batch"), cases())
def test_a_batch_without_rows_is_legal(part: Augmentation, batch: Batch) -> None:
    assert [len(view) for view in views_of(part, batch.rows(slice(0, 0)), gen())] == [0] * part.n_views


@pytest.mark.parametrize(("part", "batch"), cases())
def test_parameters_are_frozen(part: Augmentation, batch: Batch) -> None:
    (name,) = [field.name for field in dataclasses.fields(part) if field.init]  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(part, name, 1)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("crop_pair", CropPair()),
        ("crop_pair: {temporal_unit: 2}", CropPair(2)),
        ("column_corruption", ColumnCorruption()),
        ("column_corruption: {corruption_rate: 0.25}", ColumnCorruption(0.25)),
    ],
)
def test_yaml_and_object_are_the_same_thing(text: str, part: Augmentation) -> None:
    config = yaml.safe_load(text)
    assert augmentations.build(config) == part
    assert augmentations.to_config(part) == config
    assert yaml.safe_load(yaml.safe_dump(augmentations.to_config(part))) == config
    ((name, value),) = [(f.name, getattr(part, f.name)) for f in dataclasses.fields(part) if f.init]  # type: ignore[arg-type]
    assert repr(part) == f"{type(part).__name__}({name}={value!r})"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"crop_pair": {"temporal_unit": -1}}, r"temporal_unit must be at least 0; got -1"),
        ({"crop_pair": {"temporal_unit": 0.5}}, r"temporal_unit must be a whole number; got 0\.5"),
        ({"column_corruption": {"corruption_rate": 1.2}}, r"corruption_rate must be in \[0, 1\]; got 1\.2"),
        ({"column_corruption": {"corruption_rate": -0.1}}, r"corruption_rate must be in \[0, 1\]; got -0\.1"),
        ({"column_corruption": {"corruption_rate": NAN}}, r"corruption_rate must be in \[0, 1\]; got nan"),
    ],
)
def test_bad_parameters_are_refused_at_construction(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        augmentations.build(spec)


def test_declared_flags() -> None:
    assert (CropPair.n_views, CropPair.changes_length, CropPair.moves_time) == (2, True, True)
    assert (ColumnCorruption.n_views, ColumnCorruption.changes_length, ColumnCorruption.moves_time) == (1, False, False)
    assert not any((part.makes_gaps or part.mixes_rows) for part in (CropPair, ColumnCorruption))
    assert augmentations["crop_pair"].modality == "time_series"
    assert augmentations["column_corruption"].modality == "tabular"


# --- crop_pair -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(
    n=st.integers(1, 5),
    temporal_unit=st.integers(0, 3),
    longer=st.integers(0, 30),
    gaps=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_two_crops_share_what_they_say(n: int, temporal_unit: int, longer: int, gaps: bool, seed: int) -> None:
    part = CropPair(temporal_unit)
    steps = part.shortest + longer
    batch = series(n, 2, steps, gaps=gaps)
    one, two = part(batch, gen(seed))
    for view in (one, two):
        length = view.x.shape[2]
        assert view.times is not None
        assert batch.times is not None
        assert view.times.shape == (n, length)
        for row, offset in enumerate(extra(view, "offset").tolist()):
            assert 0 <= offset <= steps - length  # never beyond either end
            assert same(view.x[row], batch.x[row, :, offset : offset + length])  # NaN where it was
            assert torch.equal(view.times[row], batch.times[row, offset : offset + length])
    shared_one, shared_two = extra(one, "shared"), extra(two, "shared")
    assert torch.equal(shared_one, shared_one[:1].expand(n, 2))  # one draw of lengths a batch
    (a, b), (c, d) = shared_one[0].tolist(), shared_two[0].tolist()
    assert (b, c) == (one.x.shape[2], 0)  # the last steps of view 1 and the first of view 2
    assert b - a == d - c >= part.shortest
    assert same(one.x[:, :, a:b], two.x[:, :, c:d])
    assert torch.equal(extra(one, "offset") + a, extra(two, "offset"))  # one shift a row, for both views


def test_crop_lengths_follow_their_law() -> None:
    steps, draws = 6, 6000
    batch, generator = series(1, 1, steps), gen(1)
    seen: Counter[tuple[int, int, int, int]] = Counter()
    for _ in range(draws):
        one, two = CropPair()(batch, generator)
        length = two.extra["shared"][0, 1].item()  # type: ignore[index]
        before, after = one.x.shape[2] - length, two.x.shape[2] - length
        seen[int(length), before, after, int(extra(one, "offset"))] += 1
    # l, left, eleft, eright and the shift, each uniform given those before it; the shift moves the whole pair
    probabilities: dict[tuple[int, int, int, int], Fraction] = {}
    for length in range(2, steps + 1):
        for left in range(steps - length + 1):
            for outer_left in range(left + 1):
                for outer_right in range(left + length, steps + 1):
                    spare = steps - (outer_right - outer_left) + 1
                    chance = Fraction(1, steps - 1) / (steps - length + 1) / (left + 1) / (steps - left - length + 1)
                    for start in range(spare):
                        key = (length, left - outer_left, outer_right - left - length, start)
                        probabilities[key] = probabilities.get(key, Fraction()) + chance / spare
    assert sum(probabilities.values()) == 1
    assert seen.keys() <= probabilities.keys()
    observed = [seen[key] for key in probabilities]
    assert (
        scipy.stats.chisquare(observed, [float(draws * chance) for chance in probabilities.values()]).pvalue
        > IMPLAUSIBLE
    )


def test_each_row_has_its_own_shift() -> None:
    batch = series(4000, 1, 10)
    part, generator = CropPair(), gen(4)
    one, two = part(batch, generator)
    while one.x.shape[2] + two.x.shape[2] - int(extra(one, "shared")[0].diff()) > 6:  # a pair that can move
        one, two = part(batch, generator)
    span = one.x.shape[2] + two.x.shape[2] - int(extra(one, "shared")[0].diff())
    counts = torch.bincount(extra(one, "offset"), minlength=10 - span + 1)
    assert len(counts) == 10 - span + 1
    assert scipy.stats.chisquare(counts.numpy()).pvalue > IMPLAUSIBLE


def test_the_shortest_series_are_taken_whole() -> None:
    for temporal_unit, steps in ((0, 2), (1, 4), (2, 8)):
        batch = series(3, 1, steps)
        for view in CropPair(temporal_unit)(batch, gen()):
            assert torch.equal(view.x, batch.x)
        with pytest.raises(
            ValueError, match=rf"temporal_unit={temporal_unit} needs series of at least {steps} steps; th"
        ):
            CropPair(temporal_unit)(batch.replace(x=batch.x[:, :, :-1]), gen())


def test_given_draws_give_the_published_windows() -> None:
    batch = series(2, 1, 12)
    one, two = crop_pair(batch, 3, 4, 2, 9, torch.tensor([-2, 3]))  # [2, 7) and [4, 9), shifted by −2 and 3
    assert torch.equal(one.x[:, 0], torch.stack([batch.x[0, 0, 0:5], batch.x[1, 0, 5:10]]))
    assert torch.equal(two.x[:, 0], torch.stack([batch.x[0, 0, 2:7], batch.x[1, 0, 7:12]]))
    assert extra(one, "shared").tolist() == [[2, 5], [2, 5]]
    assert extra(two, "shared").tolist() == [[0, 3], [0, 3]]
    assert extra(one, "offset").tolist() == [0, 5]


def test_series_without_times_stay_without() -> None:
    assert all(view.times is None for view in CropPair()(series().replace(times=None), gen()))


# --- column_corruption -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 10, 29, 64, 100])
@pytest.mark.parametrize("rate", ["0.01", "0.1", "0.29", "0.3", "0.57", "0.6", "0.7", "0.99", "1.0"])
def test_every_row_changes_exactly_q_columns(columns: int, rate: str) -> None:
    part = ColumnCorruption(float(rate)).fit(Batch.of(torch.rand(20, columns, generator=gen())))
    changed = (part(Batch.of(torch.full((50, columns), -1.0)), gen(1)).x != -1.0).sum(dim=1)
    q = max(1, int(Fraction(rate) * columns))  # exact: 0.29 · 100 is 29
    assert changed.tolist() == [q] * 50


def test_rate_zero_is_the_identity() -> None:
    batch = table()
    assert torch.equal(ColumnCorruption(0.0).fit(batch)(batch, gen()).x, batch.x)


def test_columns_are_drawn_uniformly_and_afresh_for_each_row() -> None:
    part = ColumnCorruption(0.4).fit(Batch.of(torch.rand(20, 5, generator=gen())))
    chosen = part(Batch.of(torch.full((8000, 5), -1.0)), gen(2)).x != -1.0
    pairs = Counter(tuple(row.nonzero().flatten().tolist()) for row in chosen)
    assert len(pairs) == 10  # every choice of 2 out of 5
    assert scipy.stats.chisquare(list(pairs.values())).pvalue > IMPLAUSIBLE


def test_values_follow_the_training_marginal_of_their_own_column() -> None:
    training_counts = [{0.0: 1}, {1.0: 5, 2.0: 3, 3.0: 2}, {4.0: 1, 5.0: 9}, {6.0: 4, 7.0: 6}]
    train = torch.full((40, 4), NAN)  # columns observed 1, 10, 10 and 10 times: gaps carry no weight
    for column, known in enumerate(training_counts):
        values = [value for value, count in known.items() for _ in range(count)]
        rows = torch.randperm(40, generator=gen(column))[: len(values)]
        train[rows, column] = torch.tensor(values)
    drawn = ColumnCorruption(1.0).fit(Batch.of(train))(Batch.of(torch.full((6000, 4), -1.0)), gen(3)).x
    for column, known in enumerate(training_counts):
        counts = Counter(drawn[:, column].tolist())
        assert counts.keys() == known.keys()
        if len(known) == 1:
            continue
        expected = [6000 * weight / sum(known.values()) for weight in known.values()]
        assert scipy.stats.chisquare([counts[value] for value in known], expected).pvalue > IMPLAUSIBLE


def test_columns_have_independent_donors() -> None:
    codes = torch.arange(10.0).repeat(5)
    train = Batch.of(torch.stack([codes, codes], dim=1))  # in training the columns are always equal
    drawn = ColumnCorruption(1.0).fit(train)(Batch.of(torch.full((10_000, 2), -1.0)), gen(4)).x
    joint = torch.zeros(10, 10)
    joint.index_put_((drawn[:, 0].long(), drawn[:, 1].long()), torch.ones(10_000), accumulate=True)
    assert scipy.stats.chisquare(joint.numpy().ravel()).pvalue > IMPLAUSIBLE


def test_rows_of_one_batch_have_independent_donors() -> None:
    train = Batch.of(torch.arange(1000.0)[:, None])
    drawn = ColumnCorruption(1.0).fit(train)(Batch.of(torch.full((1000, 1), -1.0)), gen(5)).x
    # a permutation of the training rows would repeat none; independent draws leave about 1/e of them out
    assert len(drawn.unique()) == pytest.approx(1000 * (1 - np.exp(-1)), abs=40)


def test_categories_move_as_one_unit_and_missing_cells_stay() -> None:
    x = torch.stack([torch.randn(300, generator=gen()), torch.randint(0, 7, (300,), generator=gen(1)).float()], dim=1)
    x[torch.rand(x.shape, generator=gen(2)) < 0.3] = NAN
    batch = Batch.of(x)
    view = ColumnCorruption(1.0).fit(batch)(batch, gen(6)).x
    assert torch.equal(view.isnan(), x.isnan())
    codes = view[:, 1][~view[:, 1].isnan()]
    assert torch.equal(codes, codes.round())
    assert set(codes.tolist()) == set(range(7))
    assert set(view[:, 0][~view[:, 0].isnan()].tolist()) <= set(x[:, 0].tolist())


def test_a_column_never_observed_in_training_stays_as_it_is() -> None:
    train = table(20, 3).x
    train[:, 1] = NAN
    rows = torch.full((50, 3), -9.0)
    view = ColumnCorruption(1.0).fit(Batch.of(train))(Batch.of(rows), gen()).x
    assert (view[:, 1] == -9.0).all()
    assert (view[:, [0, 2]] != -9.0).all()
    nothing = ColumnCorruption(1.0).fit(Batch.of(torch.full((4, 3), NAN)))
    assert torch.equal(nothing(Batch.of(rows), gen()).x, rows)


def test_fit_returns_a_fitted_copy_and_leaves_the_original() -> None:
    part, batch = ColumnCorruption(0.5), table()
    fitted = part.fit(batch)
    assert fitted is not part
    assert fitted == part  # equal parameters
    with pytest.raises(ValueError, match=r"learns from training rows: call fit\(batch, schema\) on them first"):
        part(batch, gen())
    batch.x.fill_(99.0)  # what was learned does not change with the rows it was learned from
    assert (fitted(Batch.of(torch.full((20, 5), -1.0)), gen()).x < 99.0).all()
    again = fitted.fit(batch)
    assert (again(Batch.of(torch.zeros(20, 5)), gen()).x == 99.0).any()


def test_what_was_learned_shows_in_no_repr_or_config() -> None:
    fitted = ColumnCorruption(0.25).fit(Batch.of(torch.full((4, 2), 1234.5)))
    assert repr(fitted) == "ColumnCorruption(corruption_rate=0.25)"
    assert augmentations.to_config(fitted) == {"column_corruption": {"corruption_rate": 0.25}}
    rebuilt = augmentations.build(augmentations.to_config(fitted))
    assert "1234.5" not in str(vars(rebuilt))


def test_what_was_learned_holds_no_training_row() -> None:
    train = table(50, 4).x
    fitted = ColumnCorruption().fit(Batch.of(train))
    rows = {tuple(row) for row in train.tolist()}
    tensors = [value for value in vars(fitted).values() if isinstance(value, Tensor) and value.ndim == 2]
    assert len(tensors) == 1
    assert not rows & {tuple(row) for row in tensors[0].tolist()}


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="column_corruption was fitted on 5 columns; got 4"):
        ColumnCorruption().fit(table())(table(3, 4), gen())


# --- what is not a batch or not a generator --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 2, 8)), r"got a numpy ndarray: write torch\.as_tensor.*Batch\.of"),
        (np.zeros((4, 8), dtype=int), r"got a numpy ndarray: write torch\.as_tensor\(values, dtype=torch\.float32\)"),
        ([[1.0, 2.0]], r"got a list: write torch\.as_tensor\(values, dtype=torch\.float32\).*TableSchema"),
        (pd.DataFrame({"a": [1.0]}), r"got a pandas DataFrame: write TableSchema\.fit\(frame\)\.to_batch\(frame\)"),
        (None, r"got None: write torch\.as_tensor"),
    ],
    ids=lambda given: type(given).__name__,
)
@pytest.mark.parametrize("name", ["jitter", "column_corruption", ["jitter", "scaling"]], ids=str)
def test_what_is_no_batch_is_told_what_to_write(name: Any, given: Any, message: str) -> None:
    part = augmentations.build(name)
    for action in (part, part.fit):
        with pytest.raises(ValueError, match=rf"{type(part).__name__} needs a Batch or a torch\.Tensor; {message}"):
            action(given)


def test_a_seed_in_place_of_a_generator_is_told_what_to_write() -> None:
    part, x = ColumnCorruption(), torch.randn(5, 3)
    told = r"generator must be a torch\.Generator; got 7: write torch\.Generator\(\)\.manual_seed\(7\)"
    for action in (lambda: part.fit(x)(x, 7), lambda: part.fit(Batch.of(x), None, 7)):
        with pytest.raises(ValueError, match=told):
            action()
    with pytest.raises(ValueError, match=r"got True: write torch\.Generator\(\)\.manual_seed\(0\)"):
        part.fit(x)(x, True)


def test_a_bare_tensor_can_be_learned_from() -> None:
    x = torch.randn(50, 3, generator=gen())
    assert same(ColumnCorruption(0.5).fit(x)(x, gen(1)), ColumnCorruption(0.5).fit(Batch.of(x))(x, gen(1)))


def test_a_recipe_takes_no_parameters_and_shows_its_spec() -> None:
    assert augmentations.build({"scarf": {}}) == augmentations.build({"scarf": None}) == augmentations.build("scarf")
    told = r"'scarf' is a recipe, .*takes no parameters: .* \{column_corruption: \{corruption_rate: 0\.6\}\}$"
    with pytest.raises(ValueError, match=told):
        augmentations.build({"scarf": {"corruption_rate": 0.3}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{jitter: {sigma: 1", r"does not parse as YAML at line 1, column 19 .*: '\{jitter: \{sigma: 1'"),
        ("[jitter", "does not parse as YAML"),
        ("{jitter: {sigma: 1}}", r"is text: give what it says, without the quotes: \{'jitter': \{'sigma': 1\}\}"),
    ],
)
def test_text_that_is_no_name_is_read_as_what_was_meant(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        augmentations.build(text)


def test_powerline_beyond_what_its_sampling_rate_holds_is_refused_when_it_is_built() -> None:
    with pytest.raises(ValueError, match=r"frequency=60 is above half the sampling_rate=100.* of at most 50"):
        augmentations.build({"powerline": {"frequency": 60, "sampling_rate": 100}})
    assert augmentations.build({"powerline": {"frequency": 60, "sampling_rate": 120}}).frequency == 60
