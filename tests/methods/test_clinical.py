"""Methods of clinical series: published losses by slow transcription, and what they are without their defining part."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from frameworks import differ
from helpers import gen
from kinview.data import Batch
from kinview.methods import CMLC, CMSC, CMSMLC, NCL, ExpCLR, MixingUp
from kinview.methods.exp_clr import EXPERT_FEATURES, expert_features
from kinview.methods.exp_clr.features import standardised
from kinview.modules import FeatureQueue
from kinview.training.method import Method, Sizes
from kinview.training.randomness import forked_generators

SMALL_CONVOLUTION = {"dilated_conv": {"repr_dim": 6, "hidden_dim": 4, "depth": 2, "dropout": 0.0}}
LEADS = {"channel_independent": {"encoder": SMALL_CONVOLUTION}}
GROUPS = torch.tensor([0, 1, 0, 2, 1, 0])


def built(estimator: Any, channels: int = 3) -> Method:
    """The method in float64, in eval mode."""
    with forked_generators(0, torch.device("cpu")):
        return estimator.method_class(estimator, Sizes(channels=channels, length=24)).double().eval()


def series(n: int = 6, channels: int = 3, **fields: Any) -> Batch:
    return Batch.of(torch.randn(n, channels, 24, generator=gen(1), dtype=torch.float64), **fields)


def gradient(method: Method, views: list[Batch]) -> tuple[float, Tensor]:
    """Loss and its gradient."""
    method.zero_grad()
    result = method.loss(views).loss
    result.backward()
    return result.item(), torch.cat([p.grad.flatten() for p in method.parameters() if p.grad is not None])


def embedded(method: Method, views: list[Batch]) -> list[np.ndarray]:
    return [method.projector(method.embed(view)).detach().numpy() for view in views]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# --- CLOCS -----------------------------------------------------------------------------------------------------------


def clocs_slowly(views: list[np.ndarray], groups: list[int], temperature: float) -> float:
    """Mean over the ordered pairs of views of −log p(j | i) over all pairs (i, j) of rows of one patient."""
    values = []
    for a, b in permutations(views, 2):
        score = np.exp(unit(a) @ unit(b).T / temperature)
        same = [(i, j) for i in range(len(a)) for j in range(len(a)) if groups[i] == groups[j]]
        values.append(np.mean([-math.log(score[i, j] / score[i].sum()) for i, j in same]))
    return float(np.mean(values))


CLOCS = {
    CMSC: {},
    CMLC: {"augmentation": {"lead_views": {"n_leads": 3}}},
    CMSMLC: {"augmentation": [{"adjacent_segments": {"n_segments": 2}}, {"lead_views": {"n_leads": 2}}]},
}


@pytest.mark.parametrize(("method", "number"), [(CMSC, 2), (CMLC, 3), (CMSMLC, 4)])
def test_clocs_is_the_papers_loss_over_all_pairs_of_views(method: Any, number: int) -> None:
    built_ = built(method(encoder=LEADS, **CLOCS[method]))
    views = built_.views(series(groups=GROUPS), gen(3), 0.0)
    z = embedded(built_, views)
    assert len(views) == number and {view.x.shape[1] for view in views} == {3 if method is CMSC else 1}
    expected = clocs_slowly(z, GROUPS.tolist(), 0.1)
    assert built_.loss(views).loss.item() == pytest.approx(expected, abs=1e-10)
    if number > 2:  # the official code keeps the last pair alone, divided by the number of pairs
        last = clocs_slowly(z[-2:], GROUPS.tolist(), 0.1) / math.comb(number, 2)
        assert last < expected / 2


@pytest.mark.parametrize("method", list(CLOCS))
def test_clocs_without_patients_is_another_loss(method: Any) -> None:
    built_ = built(method(encoder=LEADS, **CLOCS[method]))
    views = built_.views(series(groups=GROUPS), gen(3), 0.0)
    alone = [view.replace(groups=None) for view in views]
    assert differ(gradient(built_, views), gradient(built_, alone))
    expected = clocs_slowly(embedded(built_, views), list(range(6)), 0.1)
    assert built_.loss(alone).loss.item() == pytest.approx(expected, abs=1e-10)


def test_groups_can_be_asked_for() -> None:
    X = np.random.default_rng(0).normal(size=(6, 1, 24))
    with pytest.raises(ValueError, match=r"uses the group of each row, and none were given: fit\(X, groups=...\)"):
        CMSC(encoder=LEADS, ungrouped="refuse", trainer={"max_steps": 1}).fit(X)


def test_views_of_single_leads_need_an_encoder_of_single_leads() -> None:
    X = np.random.default_rng(0).normal(size=(6, 3, 24))
    with pytest.raises(ValueError, match=r"the views have 1 channel\(s\), and the encoder reads 3 tog.*channel_ind"):
        CMLC(encoder=SMALL_CONVOLUTION, trainer={"max_steps": 1}).fit(X)
    with pytest.raises(ValueError, match="needs at least 2 channels; got 1"):
        CMLC(encoder=LEADS, trainer={"max_steps": 1}).fit(X[:, :1])


def test_a_model_goes_to_recordings_with_other_leads() -> None:
    X = np.random.default_rng(0).normal(size=(6, 3, 24))
    model = CMLC(encoder=LEADS, trainer={"max_steps": 1}, random_state=0).fit(X)
    assert model.adapt(X[:, :1]).transform(X[:, :1]).shape == (6, 6)  # and no weight starts anew, which would warn


def patients(recordings: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Patients have a frequency, recordings a level: both are in each half of a recording."""
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(16), recordings)
    steps = np.arange(48) / 48
    waves = np.sin(2 * np.pi * (2 + group[:, None] / 2) * steps + random.uniform(0, 6, (len(group), 1)))
    levels = random.normal(0, 2, (len(group), 1))
    return (waves + levels + 0.1 * random.normal(size=waves.shape))[:, None], group


def between_patients(Z: Any, group: np.ndarray) -> float:
    """Variance between the means of patients, over that within patients."""
    rows = unit(np.asarray(Z, dtype=float))
    means = np.stack([rows[group == one].mean(axis=0) for one in np.unique(group)])
    return float(means.var(axis=0).sum() / (rows - means[group]).var(axis=0).sum())


@pytest.mark.slow
def test_patients_make_recordings_of_one_patient_alike() -> None:
    X, group = patients()
    found = []
    for groups in (group, None):
        model = CMSC(encoder=LEADS, trainer={"max_steps": 300, "batch_size": 32, "lr": 3e-3}, random_state=0)
        model.fit(X, groups=groups)
        losses = [record["loss"] for record in model.training_.history]
        assert np.mean(losses[-5:]) < 0.9 * losses[0]
        found.append(between_patients(model.transform(X), group))
    assert found[0] > 1.25 * found[1], found


# --- NCL -------------------------------------------------------------------------------------------------------------

HOURS = torch.tensor([0.0, 5.0, 9.0, 3.0, 40.0, 30.0], dtype=torch.float64)
OLDER = torch.tensor([0, 2, 1, 7]), torch.tensor([20.0, 100.0, 6.0, 0.0], dtype=torch.float64)


def ncl(queue: int = 8, **loss: Any) -> Method:
    """The method with another momentum encoder than encoder, and keys of four earlier windows."""
    given = {"temperature": 0.1, "alpha": 0.3, "window": 16, "both_ways": False, **loss}
    method = built(NCL(encoder=SMALL_CONVOLUTION, queue=queue, loss={"neighbourhood": given}))
    with torch.no_grad():
        for weight in method.momentum_encoder.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=gen(9), dtype=weight.dtype))
    if queue:
        method.queue.enqueue(torch.randn(4, 64, generator=gen(4), dtype=torch.float64), *OLDER)
    return method


def ncl_views(method: Method) -> list[Batch]:
    return method.views(series(groups=GROUPS, extra={"time": HOURS}), gen(3), 0.0)


def ncl_slowly(z: np.ndarray, keys: np.ndarray, facts: list[tuple[int, float]], alpha: float, window: float) -> float:
    """Alignment with all neighbours, and the own key among them; the own key of row i is keys[i]."""
    values = []
    for i, row in enumerate(unit(z)):
        logits = [float(row @ key) / 0.1 for key in unit(keys)]
        (patient, hour) = facts[i]
        near = [k for k, (one, when) in enumerate(facts) if one == patient and abs(when - hour) <= window]
        align = math.log(sum(map(math.exp, logits))) - sum(logits[k] for k in near) / len(near)
        tell = math.log(sum(math.exp(logits[k]) for k in near)) - logits[i]
        values.append(alpha * align + (1 - alpha) * tell)
    return float(np.mean(values))


@pytest.mark.parametrize(("alpha", "window"), [(0.3, 16.0), (0.4, 5.0), (1.0, 1000.0)])
def test_ncl_is_the_papers_loss(alpha: float, window: float) -> None:
    method = ncl(alpha=alpha, window=window)
    views = ncl_views(method)
    z = embedded(method, views)
    followed = [t.numpy() for t in method._targets(views, [], method._followed(views))]
    facts = list(zip([*GROUPS.tolist(), *OLDER[0].tolist()], [*HOURS.tolist(), *OLDER[1].tolist()], strict=True))
    queue = method.queue.features.numpy()
    expected = sum(
        ncl_slowly(z[i], np.concatenate([followed[j], queue]), facts, alpha, window) for i, j in ((0, 1), (1, 0))
    )
    assert method.loss(views).loss.item() == pytest.approx(expected, abs=1e-6)  # the queue is in float32 tensors


def test_ncl_without_its_neighbourhoods_its_queue_or_its_window_is_another_loss() -> None:
    method = ncl()
    views = ncl_views(method)
    alone = [view.replace(groups=None, extra={"time": torch.zeros(6)}) for view in views]
    assert differ(gradient(method, views), gradient(method, alone))
    assert differ(gradient(method, views), gradient(ncl(queue=0), views))
    assert differ(gradient(method, views), gradient(ncl(window=1000.0), views))
    assert differ(gradient(method, views), gradient(ncl(alpha=1.0), views))


def test_keys_are_queued_with_their_patients_and_times() -> None:
    method = ncl()
    views = ncl_views(method)
    method.after_step(0.0, views, method.loss(views).carry)
    assert len(method.queue) == 8
    assert method.queue.labels[2:].tolist() == GROUPS.tolist()
    assert method.queue.times[2:].tolist() == HOURS.tolist()
    assert method.queue.labels[:2].tolist() == OLDER[0][2:].tolist()


def test_an_empty_queue_makes_no_neighbours() -> None:
    method = ncl(queue=8)
    method.queue.queued.zero_()
    views = ncl_views(method)
    assert method.loss(views).loss.item() == pytest.approx(ncl(queue=0).loss(views).loss.item(), abs=1e-12)


def test_a_queue_has_times_or_has_none() -> None:
    rows = torch.ones(2, 3)
    with pytest.raises(ValueError, match="this queue keeps a time of each row; got times=None"):
        FeatureQueue(4, 3, with_times=True).enqueue(rows)
    with pytest.raises(ValueError, match="this queue keeps no time of each row"):
        FeatureQueue(4, 3).enqueue(rows, times=torch.zeros(2))


def test_the_time_of_a_window_is_given_or_its_last_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    X, groups = np.random.default_rng(0).normal(size=(6, 1, 24)), np.repeat([0, 1], 3)
    model = NCL(encoder=SMALL_CONVOLUTION, trainer={"max_steps": 1}, random_state=0)
    with pytest.raises(ValueError, match=r"compares the times of 6 rows, and there are none: give X time stamps"):
        model.fit(X, groups=groups)
    with pytest.raises(ValueError, match=r"extra\['time'\] is \(6, 2\)"):
        model.fit(X, groups=groups, extra={"time": np.zeros((6, 2))})
    seen: list[Tensor] = []
    arguments = type(model).method_class.loss_arguments
    monkeypatch.setattr(
        type(model).method_class,
        "loss_arguments",
        lambda self, view: (seen.append(view.extra["time"][view.index.argsort()]), arguments(self, view))[1],
    )
    model.fit(X, groups=groups, extra={"time": np.arange(6) * 7.0})
    rows = pd.MultiIndex.from_product([range(6), np.arange(24)], names=["series", "hour"])
    stamps = pd.DataFrame({"value": X.ravel()}, index=rows).reset_index()
    stamps["hour"] += stamps["series"] * 100.0
    model.fit(stamps.set_index(["series", "hour"]), groups=groups)
    model.fit(X)  # without groups no window is another one's neighbour
    assert [time.tolist() for time in seen] == [[0, 7, 14, 21, 28, 35], [0, 100, 200, 300, 400, 500], [0.0] * 6]


@pytest.mark.slow
def test_neighbourhoods_make_windows_of_one_patient_alike() -> None:
    X, patient = patients(6)
    encoder = {"dilated_conv": {"repr_dim": 16, "hidden_dim": 16, "depth": 3, "dropout": 0.0}}
    trainer = {"max_steps": 300, "batch_size": 32, "lr": 3e-3}
    found = []
    for given in ({"groups": patient, "extra": {"time": np.tile(np.arange(6) * 8.0, 16)}}, {}):
        model = NCL("ncl_icu", encoder, "mean", queue=64, momentum=0.9, trainer=trainer, random_state=0)
        found.append(between_patients(model.fit(X, **given).transform(X), patient))
    assert found[0] > 1.1 * found[1], found


# --- Mixing-up -------------------------------------------------------------------------------------------------------


def mixing_up(**given: Any) -> tuple[Method, list[Batch]]:
    method = built(MixingUp(encoder=SMALL_CONVOLUTION, projection_dim=8, **given))
    return method, method.views(series(), gen(3), 0.0)


def mixing_up_slowly(z: np.ndarray, mixed: np.ndarray, partner: list[int], weight: float, shared: bool) -> float:
    """Cross-entropy among the 2n candidates; those that are the same series share a target, or one of both has it."""
    samples = [*range(len(z)), *partner]
    total = 0.0
    for i, row in enumerate(unit(mixed)):
        score = [math.exp(float(row @ key) / 0.5) for key in unit(np.concatenate([z, z[partner]]))]
        for part, one, share in ((i, i, weight), (partner[i], len(z) + i, 1 - weight)):
            same = [k for k, sample in enumerate(samples) if sample == part] if shared else [one]
            total -= share * math.log(sum(score[k] for k in same) / sum(score))
    return total / len(z)


def test_mixing_up_is_the_papers_loss_and_a_series_that_is_there_twice_no_negative_of_itself() -> None:
    method, views = mixing_up()
    z, mixed = embedded(method, views)
    weight, partner = views[1].extra["coefficient"], views[1].extra["partner"].tolist()
    assert len(weight.unique()) == 1 and sorted(partner) == list(range(6)) and all(partner[i] != i for i in range(6))
    parts = views[0].x * weight[:, None, None] + views[0].x[partner] * (1 - weight[:, None, None])
    torch.testing.assert_close(views[1].x, parts)
    value = method.loss(views).loss.item()
    assert value == pytest.approx(mixing_up_slowly(z, mixed, partner, float(weight[0]), True), abs=1e-10)
    official = mixing_up_slowly(z, mixed, partner, float(weight[0]), False)
    assert official == pytest.approx(value + math.log(2), abs=1e-10)


def test_mixing_up_without_telling_how_much_is_another_loss() -> None:
    method, views = mixing_up()
    half, halves = mixing_up(alpha=1e6)
    assert halves[1].extra["coefficient"].numpy() == pytest.approx(0.5, abs=1e-2)
    assert differ(gradient(method, views), gradient(half, halves))
    untold = views[1].replace(extra={**views[1].extra, "coefficient": torch.full((6,), 0.5)})
    assert differ(gradient(method, views), gradient(method, [views[0], untold]))


@pytest.mark.slow
def test_mixtures_come_to_be_told_by_their_parts() -> None:
    X, _ = patients()
    rows = Batch.of(torch.as_tensor(X))
    found = []
    for given in ({"max_steps": 300}, {"max_steps": 1}):
        trainer = {"batch_size": 32, "lr": 3e-3, **given}
        model = MixingUp(encoder=SMALL_CONVOLUTION, shared_coefficient=False, trainer=trainer, random_state=0)
        method = model.fit(X).method_.double()
        views = method.views(rows, gen(5), 1.0)
        with torch.no_grad():
            found.append(method.loss(views).loss.item())
    assert found[0] < found[1] - 0.3, found


# --- ExpCLR ----------------------------------------------------------------------------------------------------------

FEATURES = torch.randn(6, 3, generator=gen(7), dtype=torch.float64)


def exp_clr_slowly(z: np.ndarray, features: np.ndarray, delta: float | None, temperature: float) -> float:
    """Soft maximum over all pairs of ((1 − s) Δ − D)²."""
    n = len(z)
    known = [[float(np.linalg.norm(a - b)) for b in features] for a in features]
    largest = max(map(max, known))
    away = [[1 - (1 - known[i][j] / largest) ** 2 for j in range(n)] for i in range(n)]
    delta = n * n / sum(map(sum, away)) if delta is None else delta
    distance = [[float(np.linalg.norm(a - b)) for b in z] for a in z]
    terms = [
        math.exp((away[i][j] * delta - distance[i][j] / (sum(distance[i]) / n)) ** 2 / temperature)
        for i in range(n)
        for j in range(n)
    ]
    return temperature * math.log(sum(terms) / n**2)


def exp_clr(features: Tensor = FEATURES, **given: Any) -> tuple[Method, list[Batch]]:
    method = built(ExpCLR(encoder=SMALL_CONVOLUTION, **given))
    return method, method.views(series(extra={"features": features}), gen(3), 0.0)


@pytest.mark.parametrize(("delta", "temperature"), [(None, 1.0), (1.0, 1.0), (None, 0.3)])
def test_exp_clr_is_the_papers_loss_of_one_view(delta: float | None, temperature: float) -> None:
    method, views = exp_clr(delta=delta, temperature=temperature)
    assert len(views) == 1 and torch.equal(views[0].x, series().x)
    z = method.embed(views[0]).detach().numpy()
    result = method.loss(views)
    assert result.loss.item() == pytest.approx(exp_clr_slowly(z, FEATURES.numpy(), delta, temperature), abs=1e-9)
    assert 1 <= result.logs["effective_dimension"] <= 5


def test_exp_clr_with_features_that_say_nothing_is_another_loss() -> None:
    method, views = exp_clr()
    alike = [views[0].replace(extra={"features": torch.eye(6, dtype=torch.float64)})]  # all pairs are as far apart
    assert differ(gradient(method, views), gradient(method, alike))
    biased, _ = exp_clr(delta=1.0)
    assert differ(gradient(method, views), gradient(biased, views))


def test_expert_features_are_what_they_are_called() -> None:
    steps = torch.arange(60, dtype=torch.float64)
    x = torch.full((3, 2, 60), torch.nan, dtype=torch.float64)
    x[0, 0], x[0, 1] = 2 + 3 * torch.sin(2 * torch.pi * steps / 12), 0.5 * steps
    x[1, 0, :40], x[1, 1, :40] = x[0, 0, :40], 7.0
    x[2, 0, :4] = torch.tensor([1.0, torch.nan, 3.0, 5.0])
    first, second, short = (dict(zip(EXPERT_FEATURES, row[:16].tolist(), strict=True)) for row in expert_features(x))
    line = dict(zip(EXPERT_FEATURES, expert_features(x)[0, 16:].tolist(), strict=True))
    assert (first["mean"], first["sd"]) == pytest.approx((2.0, 3 / math.sqrt(2)))
    assert first["dominant_frequency"] == pytest.approx(1 / 12) and first["peaks"] == pytest.approx(5 / 60)
    assert first["autocorrelation"] == pytest.approx(math.cos(2 * math.pi / 12), abs=0.03)
    assert line["slope"] == pytest.approx(0.5) and line["crossings"] == pytest.approx(1 / 59)
    assert second["dominant_frequency"] == pytest.approx(0.075)  # of 40 steps: the nearest line of the periodogram
    assert short["mean"] == 3.0 and short["slope"] == pytest.approx(1.3)  # 1, 2, 3, 5
    constant, absent = expert_features(x)[1, 16:], expert_features(x)[2, 16:]
    assert constant[:6].tolist() == [7.0, 0.0, 7.0, 7.0, 7.0, 0.0] and bool(constant[6:].isnan().all())
    assert bool(absent.isnan().all())


def test_expert_features_are_given_or_made_and_standardised() -> None:
    X = np.random.default_rng(0).normal(size=(6, 2, 24))
    model = ExpCLR(encoder=SMALL_CONVOLUTION, trainer={"max_steps": 1}, random_state=0)
    made = model.fit(X)._training_rows(model.to_batch(X)).extra["features"]
    assert made.shape == (6, 32)
    given = model.fit(X, extra={"features": FEATURES})._training_rows(
        model.to_batch(X).replace(extra={"features": 5 + 3 * FEATURES})
    )
    for features in (made, given.extra["features"]):
        assert features.mean(dim=0).abs().max() < 1e-6 and features.std(dim=0, correction=0).numpy() == pytest.approx(1)
    with pytest.raises(ValueError, match=r"under the name 'features', fit\(X, extra=.*got age"):
        model.fit(X, extra={"age": np.arange(6)})


@pytest.mark.slow
def test_distances_come_to_follow_expert_features() -> None:
    X, group = patients()
    features = group[:, None].astype(float)
    far = np.abs(features - features.T)
    found = []
    for given in (features, None):  # without them features of kinview's own, most of which are not of the patient
        trainer = {"max_steps": 300, "batch_size": 32, "lr": 3e-3}
        encoder = {"resnet1d": {"widths": [16, 16], "kernel_sizes": [7, 5]}}
        model = ExpCLR(encoder=encoder, trainer=trainer, random_state=0)
        Z = np.asarray(model.fit(X, extra=None if given is None else {"features": given}).transform(X), dtype=float)
        found.append(np.corrcoef(far.ravel(), np.linalg.norm(Z[:, None] - Z, axis=2).ravel())[0, 1])
    assert found[0] > found[1] + 0.1, found


def test_expert_features_do_not_depend_on_the_unit() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 1, 40)))
    large, small = standardised(expert_features(x)), standardised(expert_features(1e-12 * x))
    assert torch.allclose(large, small, atol=1e-4) and bool((small != 0).any(dim=0).all())
    assert standardised(torch.tensor([[1e-10], [3e-10]])).flatten().tolist() == [-1.0, 1.0]
