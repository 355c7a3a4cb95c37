"""Checks of corruptions."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool

from kinview.data.modality import SERIES
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import observed_mask
from kinview.evaluation.corruptions.cells import NEEDS, Cells, categories_of, read_cells
from kinview.testing._corruption_case import ROWS, Case, panel_of
from kinview.testing._suite import check_parameters, check_rate, copied, in_config_and_back, under_global_seeds

_FIELDS = {"samples": ("sample", "step"), "values": ("values", "kinds", "names")}  # of Cells, for a need
_PADDING = 9  # steps


# --- what goes -------------------------------------------------------------------------------------------------------


def gaps_kept(case: Case) -> None:
    """What was not removed is as it was, what was missing stays missing, and no value becomes infinite."""
    X = case.samples()
    for rate in case.rates:
        result, removed = case.corrupted(X, rate)
        observed, after = observed_mask(X), observed_mask(result)
        assert not (removed & ~observed).any(), "a cell is said to be removed that was missing already"
        assert not (after & ~observed).any(), "a gap of the samples is filled"
        assert not (observed & ~removed & ~after).any(), "a cell is missing and not said to be removed"
        assert _same_where(result, X, observed & ~removed), "a value that was not removed is another"
        put = np.asarray(result, dtype=object)[removed & after]
        numbers = pd.to_numeric(pd.Series(put), errors="coerce")
        assert not np.isinf(numbers.to_numpy(dtype=np.float64)).any(), "a value becomes infinite"


def _same_where(one: Any, other: Any, where: Bool[np.ndarray, "n ..."]) -> bool:
    values = [np.asarray(X, dtype=object)[where] for X in (one, other)]
    return all(a == b for a, b in zip(*values, strict=True))


def exact_rate(case: Case) -> None:
    """Of N units exactly round(rate N) go, each of them whole."""
    if case.unit is None:
        return
    unit = case.unit if isinstance(case.unit, str) else "unit"
    for seed in case.seeds:
        X = case.samples(seed)
        for rate in (0.0, *case.rates):
            gone, parts, every = case.counted(X, case.removed(X, rate, seed))
            assert unit == "cell" or not parts, f"{parts} {unit}s are removed in part; one goes whole or stays"
            assert gone == round(rate * every), (
                f"at rate {rate} {gone} of {every} {unit}s go; round(rate * {every}) = {round(rate * every)} must. If "
                "the rate counts something else, say so: check_corruption(..., unit=...)"
            )


def nested(case: Case) -> None:
    """What goes at a rate goes at a higher one too, under the same seed."""
    if case.unit is None:
        return
    for seed in case.seeds:
        X = case.samples(seed)
        lower = None
        for rate in case.rates:
            removed = case.removed(X, rate, (seed, 1))
            kept = 0 if lower is None else int((lower & ~removed).sum())
            assert not kept, (
                f"{kept} cells that go at a lower rate stay at {rate}: the draws must not depend on the rate"
            )
            lower = removed


def inputs_unchanged(case: Case) -> None:
    """Samples, times, groups, labels and static columns are left as they are."""
    X, given = case.samples(), case.given()
    before = copy.deepcopy((X, given))
    case.at(case.rates[-1]).apply(X, 0, **given)
    assert _same_data(X, before[0]), "the samples were modified"
    for name, value in given.items():
        assert value is None or _same_data(value, before[1][name]), f"{name} was modified"


def _same_data(one: Any, other: Any) -> bool:
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    numeric = one.dtype.kind == "f"
    return np.array_equal(one, other, equal_nan=numeric)


# --- what decides ----------------------------------------------------------------------------------------------------


def same_seed(case: Case) -> None:
    """One seed gives one mask, whatever was drawn before."""
    X = case.samples()
    for seed in case.seeds:
        first = case.removed(X, case.rates[-1], seed)
        case.removed(X, case.rates[-1], seed + 1)
        assert np.array_equal(first, case.removed(X, case.rates[-1], seed)), "the same seed gives another mask"


def no_global_randomness(case: Case) -> None:
    """The global generators of torch, NumPy and random are neither read nor moved."""
    X = case.samples()
    one, _, other = under_global_seeds(lambda: case.removed(X, case.rates[-1]))
    assert np.array_equal(one, other), "the mask depends on a global random state"


def needs(case: Case) -> None:
    """What it looks at is what it declares: nothing else changes a mask, and each need does."""
    part, X, given = case.at(case.rates[-1]), case.samples(), case.given()
    unknown = sorted(part.needs - set(NEEDS))
    assert not unknown, f"needs holds {', '.join(map(repr, unknown))}; a corruption may need {', '.join(NEEDS)}"
    expected = part.apply(X, 0, **given)[1]
    for name, value in given.items():
        if value is None or name == "times":  # which an array need not have
            continue
        if name in part.needs:
            try:
                part.apply(X, 0, **{**given, name: None})
            except ValueError as error:
                assert f"{name}=" in str(error), f"without {name} the error must say to give {name}=; it says {error}"
                continue
            raise AssertionError(f"needs declares {name}, and without {name} nothing is said")
        without = part.apply(X, 0, **{**given, name: None})[1]
        assert np.array_equal(expected, without), f"{name} changes the mask: declare needs = {{{name!r}}}"
    idle = [need for need in sorted(part.needs) if not _looked_at(case, need)]
    assert not idle, f"needs declares {', '.join(idle)}, and the mask is the same without"


def _looked_at(case: Case, need: str) -> bool:
    """Whether a corruption fails, or removes other cells, when it is not handed what it declares."""
    for seed in case.seeds:
        X = case.samples(seed)
        cells = _cells(case, X)
        empty: dict[str, Any] = dict.fromkeys(_FIELDS.get(need, (need,)))
        expected = _removed(case, cells, seed)
        try:
            found = _removed(case, dataclasses.replace(cells, **empty), seed)
        except Exception:  # whatever it is that fails without what it needs
            return True
        if not np.array_equal(expected, found):
            return True
    return False


def _cells(case: Case, X: Any) -> Cells:
    part = case.part
    categories = categories_of(X) if "values" in part.needs else None
    return read_cells(X, part.needs, type(part).__name__, **case.given(), categories=categories)


def _removed(case: Case, cells: Cells, seed: int) -> Bool[np.ndarray, "rows columns"]:
    part = case.at(case.rates[-1])
    learned = part.fit(cells, np.random.default_rng([seed, 1]))
    return part.remove(dataclasses.replace(cells, learned=learned), np.random.default_rng(seed))


def learned_from_training(case: Case) -> None:
    """What is learned does not depend on the rate, and is left as it is; a test part is removed exactly and nested."""
    low, high = case.rates[0], case.rates[-1]
    n = ROWS[case.kind] // 2
    train, test = case.samples(seed=1), case.samples(2, n)
    learned = case.at(low).learn(train, 0, **case.given())
    before = pickle.dumps(learned)
    assert before == pickle.dumps(case.at(high).learn(train, 0, **case.given())), (
        "what fit returns depends on the rate, so that severities are not nested"
    )
    masks = [case.removed(test, rate, (0, 1), learned=learned) for rate in (low, high)]
    assert pickle.dumps(learned) == before, "remove modified what was learned"
    if case.unit is None:
        return
    assert not (masks[0] & ~masks[1]).any(), "with what was learned, severities of the test part are not nested"
    for rate, removed in zip((low, high), masks, strict=True):
        gone, _, every = case.counted(test, removed)
        assert gone == round(rate * every), (
            f"with what was learned, {gone} of {every} go from the test part at rate {rate}; {round(rate * every)} must"
        )


# --- containers ------------------------------------------------------------------------------------------------------


def containers(case: Case) -> None:
    """Array, tensor and frame of the same samples lose the same cells, and padding changes nothing."""
    if case.kind != SERIES:
        return
    X, given, rate = case.samples(), case.given(), case.rates[-1]
    part = case.at(rate)
    result, removed = part.apply(X, 7, **given)
    padded = np.concatenate([X, np.full((*X.shape[:2], _PADDING), np.nan, X.dtype)], axis=2)
    longer = np.concatenate([given["times"], np.full((len(X), _PADDING), np.nan)], axis=1)
    _, of_padded = part.apply(padded, 7, **{**given, "times": longer})
    assert np.array_equal(of_padded[..., : X.shape[2]], removed), "padded further, the same samples lose other cells"
    tensor, mask = part.apply(torch.from_numpy(X), 7, **given)
    assert np.array_equal(tensor.numpy(), result, equal_nan=True) and np.array_equal(mask.numpy(), removed), (
        "a tensor loses other cells than the array of the same values"
    )
    frame, (series, step) = panel_of(X, given["times"])
    _, lost = part.apply(frame, 7, **{**given, "times": None})
    assert np.array_equal(lost, removed[series, :, step]), "a frame loses other cells than the array of the same values"


def nothing_observed(case: Case) -> None:
    """Samples without an observation, no samples, and samples without a step lose nothing."""
    x = case.samples()
    empty = x[:0] if case.kind == SERIES else x.iloc[:0]
    nothing = np.full_like(x, np.nan) if case.kind == SERIES else x.mask(np.ones(x.shape, dtype=bool))
    learned = case.part.learn(x, 0, **case.given())
    for what, X in (("no samples", empty), ("samples without an observation", nothing)):
        removed = case.removed(X, case.rates[-1], learned=learned)
        assert removed.shape == X.shape and not removed.any(), f"{what}: {int(removed.sum())} cells are removed"


# --- an object -------------------------------------------------------------------------------------------------------


def parameters(case: Case) -> None:
    """A bad parameter is refused at construction, by name; parameters are frozen."""
    check_rate(case.at)
    check_parameters(case.part, frozen=True)


def config_round_trip(case: Case) -> None:
    """The config, through YAML, builds an equal corruption."""
    again = in_config_and_back(corruptions, case.part)
    assert again == case.part, f"the config builds {again!r}, not {case.part!r}"


def copies(case: Case) -> None:
    """A copy, as worker processes make it, is equal and removes the same cells."""
    X, rate = case.samples(), case.rates[-1]
    twin = copied(case.part)
    assert twin == case.part and twin.needs == case.part.needs, f"a copy is another: {twin!r}"
    removed = dataclasses.replace(case, part=twin).removed(X, rate)
    assert np.array_equal(removed, case.removed(X, rate)), "a copy removes other cells"
