"""Frameworks as recipes: their losses by slow transcription, and what they are without the part that defines them."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from frameworks import differ
from helpers import gen
from kinview.augmentations import augmentations
from kinview.data import Batch
from kinview.losses import nnclr
from kinview.methods import JointEmbeddingMethod, methods
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

ENCODER = {"dilated_conv": {"repr_dim": 8, "hidden_dim": 6, "depth": 2, "dropout": 0.0}}
ROWS = 6
both = pytest.mark.parametrize("modality", ["time_series", "tabular"])


def estimator(name: str, modality: str = "time_series", **parameters: Any) -> Any:
    encoder = ENCODER if modality == "time_series" else {"mlp": {"hidden_dim": 8, "depth": 2}}
    return methods.build({name: {"encoder": encoder, **parameters}}, for_modality=modality)


def built(name: str, **parameters: Any) -> JointEmbeddingMethod:
    with forked_generators(0, torch.device("cpu")):
        return JointEmbeddingMethod(estimator(name, **parameters), Sizes(channels=1, rows=3 * ROWS)).double()


def views(count: int = 2, n: int = ROWS, start: int = 0) -> list[Batch]:
    made = []
    for seed in range(count):
        x = torch.randn(n, 1, 12, generator=gen(seed + 1), dtype=torch.float64)
        made.append(Batch.of(x).replace(index=torch.arange(start, start + n), y=torch.arange(n) % 3))
    return made


def projected(method: JointEmbeddingMethod, view: Batch) -> Tensor:
    return method.projector(method.embed(view))


def followed(method: JointEmbeddingMethod, view: Batch) -> Any:
    assert method.momentum_encoder is not None
    encoder, projector = method.momentum_encoder.copies
    return projector(method._features(encoder, view)).detach().numpy()


def shaken(module: torch.nn.Module) -> None:
    """Move the weights, so that a copy is told from its original."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=gen(9), dtype=weight.dtype))


def unit(rows: Any) -> Any:
    rows = rows.detach().numpy() if isinstance(rows, Tensor) else rows
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)


def cross_entropy(scores: list[float], which: int) -> float:
    return -math.log(math.exp(scores[which]) / sum(map(math.exp, scores)))


def loss_and_slope(method: JointEmbeddingMethod, of: list[Batch] | None = None) -> tuple[float, Tensor]:
    """Loss of fixed views, and its gradient for the projector."""
    method.zero_grad()
    value = method.loss(views() if of is None else of).loss
    value.backward()
    return value.item(), torch.cat([p.grad.flatten() for p in method.projector.parameters() if p.grad is not None])


def trained(name: str, modality: str = "time_series", steps: int = 300, **parameters: Any) -> tuple[Any, Any]:
    """Model after some steps on a small set of two kinds of samples, and its embedding of them."""
    random, y = np.random.default_rng(0), np.arange(48) % 2
    if modality == "time_series":
        t = np.arange(24) / 24
        X = np.sin(2 * np.pi * (1 + y[:, None]) * t + random.uniform(0, 6, (48, 1)))[:, None]
        X = X + 0.3 * random.normal(size=X.shape)
    else:
        X = random.normal(size=(48, 6)) + 1.5 * y[:, None] * (np.arange(6) < 3)
    trainer = {"max_steps": steps, "batch_size": 16, **parameters.pop("trainer", {})}
    model = estimator(name, modality, trainer=trainer, random_state=0, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(X, *([y] if model.uses_labels else []))
    return model, np.asarray(model.transform(X))


def losses_of(model: Any, last: int = 50) -> tuple[float, float]:
    """Mean loss of the first and of the last steps."""
    values = [record["loss"] for record in model.training_.history]
    return float(np.mean(values[:last])), float(np.mean(values[-last:]))


# --- MoCo v3 ---------------------------------------------------------------------------------------------------------


def test_moco_v3_is_the_papers_loss() -> None:
    method = built("moco_v3").eval()
    assert method.momentum_encoder is not None and method.predictor is not None
    shaken(method.momentum_encoder)
    pair, expected = views(), 0.0
    for i, j in ((0, 1), (1, 0)):
        q, k = unit(method.predictor(projected(method, pair[i]))), unit(followed(method, pair[j]))
        terms = [cross_entropy([float(q[r] @ key) / 0.2 for key in k], r) for r in range(ROWS)]
        expected += 2 * 0.2 * float(np.mean(terms))
    assert method.loss(pair).loss.item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("neutral", [{"predictor": None}, {"momentum": None}], ids=["predictor", "momentum"])
def test_moco_v3_without_a_part_is_another_loss(neutral: dict[str, Any]) -> None:
    whole, without = built("moco_v3"), built("moco_v3", **neutral)
    for method in (whole, without):
        if method.momentum_encoder is not None:
            shaken(method.momentum_encoder)
    assert differ(loss_and_slope(whole), loss_and_slope(without))


def test_the_last_normalisation_has_no_scale() -> None:
    *_, linear, last = built("moco_v3").projector
    assert linear.bias is None and isinstance(last, torch.nn.BatchNorm1d) and not last.affine


@pytest.mark.slow
@both
def test_moco_v3_learns_by_its_momentum_keys(modality: str) -> None:
    model, Z = trained("moco_v3", modality)
    _, without = trained("moco_v3", modality, momentum=None, stop_gradient=True)
    first, last = losses_of(model)
    assert last < first and not np.allclose(Z, without, atol=1e-3)


# --- instance discrimination -----------------------------------------------------------------------------------------


def bank_after(method: JointEmbeddingMethod, *batches: list[Batch]) -> JointEmbeddingMethod:
    for given in batches:
        method.after_step(0.0, given, {k: v.detach() for k, v in method.loss(given).carry.items()})
    return method


def test_instance_discrimination_is_the_papers_loss() -> None:
    method = built("instance_discrimination").eval()
    assert method.bank is not None
    first, second = views(start=0), views(start=ROWS)
    bank_after(method, first, second)
    rows = {i: bank for i, bank in enumerate(method.bank.stored.numpy()) if method.bank.known[i]}
    assert sorted(rows) == list(range(2 * ROWS))
    shaken(method.projector)
    # rows 3 to 8 of the bank, all met before; then rows 9 to 14, of which the last three were not
    for start in (3, 9):
        pair = views(start=start)
        v = [unit(projected(method, view)) for view in pair]
        expected = 0.0
        for one, other in ((0, 1), (1, 0)):
            for r, i in enumerate(range(start, start + ROWS)):
                candidates = dict(rows)
                candidates.setdefault(i, v[other][r])
                scores = [float(v[one][r] @ m) / 0.07 for m in candidates.values()]
                expected += cross_entropy(scores, list(candidates).index(i)) / (2 * ROWS)
        assert method.loss(pair).loss.item() == pytest.approx(expected, abs=1e-10)


def test_the_bank_blends_the_newest_features_into_its_rows() -> None:
    method = built("instance_discrimination", memory_bank=0.75).eval()
    assert method.bank is not None
    pair, later = views(), [view.replace(x=2 * view.x + 1) for view in views()]
    bank_after(method, pair)
    before = unit(sum(unit(projected(method, view)) for view in pair))
    np.testing.assert_allclose(method.bank.stored[:ROWS].numpy(), before, atol=1e-6)
    bank_after(method, later)
    newest = unit(sum(unit(projected(method, view)) for view in later))
    np.testing.assert_allclose(method.bank.stored[:ROWS].numpy(), unit(0.75 * before + 0.25 * newest), atol=1e-6)
    assert not bool(method.bank.known[ROWS:].any())


def test_a_bank_of_one_query_learns_of_that_view_alone() -> None:
    method = bank_after(built("instance_discrimination", symmetric=False).eval(), views())
    assert method.bank is not None
    np.testing.assert_allclose(method.bank.stored[:ROWS].numpy(), unit(projected(method, views()[0])), atol=1e-6)


def test_without_the_bank_it_is_another_loss() -> None:
    whole = bank_after(built("instance_discrimination"), views(start=ROWS), views())
    without = built("instance_discrimination", memory_bank=None, loss={"info_nce": {"in_batch": True}})
    without.load_state_dict(whole.state_dict(), strict=False)
    shaken(whole.projector)
    without.projector.load_state_dict(whole.projector.state_dict())
    assert differ(loss_and_slope(whole), loss_and_slope(without))


@pytest.mark.parametrize("other", [{"queue": 8}, {"momentum": 0.9}], ids=str)
def test_a_bank_stands_alone(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"memory_bank=0.5 gives the targets .* and so does .*: choose one of them"):
        estimator("instance_discrimination", **other).fit(np.zeros((4, 1, 8)))


def test_held_out_rows_never_enter_the_bank() -> None:
    X = np.random.default_rng(0).normal(size=(24, 1, 16))
    trainer = {"max_steps": 6, "batch_size": 6, "validation_fraction": 0.5}
    model = estimator("instance_discrimination", augmentation="jitter", trainer=trainer, random_state=0).fit(X)
    bank = model.method_.bank
    assert bank.size == 24 and int(bank.known.sum()) == 12


@pytest.mark.slow
@both
def test_instance_discrimination_learns_by_its_bank(modality: str) -> None:
    model, Z = trained("instance_discrimination", modality)
    _, without = trained("instance_discrimination", modality, memory_bank=None, loss="info_nce")
    first, last = losses_of(model)
    assert last < first and not np.allclose(Z, without, atol=1e-3)


# --- NNCLR -----------------------------------------------------------------------------------------------------------


def with_queue(name: str, **parameters: Any) -> JointEmbeddingMethod:
    """A method whose queue holds earlier projections, some of the samples of :func:`views`."""
    method = built(name, **parameters)
    if method.queue is not None:
        method.queue.enqueue(torch.randn(9, 128, generator=gen(4)), torch.tensor([0, 1, 1, 40, 41, 42, 43, 44, 45]))
    return method


def test_nnclr_is_the_papers_loss() -> None:
    method = with_queue("nnclr", queue=16).eval()
    assert method.queue is not None and method.predictor is not None
    pair = views()
    z = [projected(method, view) for view in pair]
    q = [unit(method.predictor(one)) for one in z]
    queue, labels, expected = unit(method.queue.features), method.queue.labels.tolist(), 0.0
    for one, other in ((0, 1), (1, 0)):
        for i, row in enumerate(unit(z[one])):
            others = [entry for entry, label in zip(queue, labels, strict=True) if label != i]
            neighbour = max(others, key=lambda entry, row=row: float(row @ entry))
            expected += cross_entropy([float(neighbour @ p) / 0.1 for p in q[other]], i) / (2 * ROWS)
    assert method.loss(pair).loss.item() == pytest.approx(expected, abs=1e-9)


def test_nnclr_without_its_queue_or_its_predictor_is_another_loss() -> None:
    assert differ(loss_and_slope(with_queue("nnclr", queue=16)), loss_and_slope(with_queue("nnclr", queue=0)))
    assert differ(
        loss_and_slope(with_queue("nnclr", queue=16)), loss_and_slope(with_queue("nnclr", queue=16, predictor=None))
    )


def test_nnclr_queues_one_view_after_the_search() -> None:
    method = built("nnclr").eval()
    assert method.queue is not None
    carry = method.loss(views()).carry
    torch.testing.assert_close(carry["keys"], projected(method, views()[1]))
    method.after_step(0.0, views(), carry)
    assert method.queue.labels.tolist() == list(range(ROWS))
    # each row's own entry is all that is near it, and none of them is a neighbour
    without = built("nnclr", queue=0).eval()
    assert method.loss(views()).loss.item() != pytest.approx(without.loss(views()).loss.item(), abs=1e-4)


def test_a_row_of_which_the_queue_holds_nothing_else_stands_for_itself() -> None:
    z, p = (torch.randn(4, 5, generator=gen(seed), dtype=torch.float64) for seed in (1, 2))
    same = torch.full((4,), 7)
    alone = nnclr(z, p, queue=torch.randn(3, 5, generator=gen(3)), index=same, queue_index=same[:3])
    torch.testing.assert_close(alone, nnclr(z, p))
    with pytest.raises(ValueError, match="index and queue_index go together"):
        nnclr(z, p, queue=z, index=same)


@pytest.mark.slow
@both
def test_nnclr_learns_from_neighbours(modality: str) -> None:
    model, Z = trained("nnclr", modality)
    _, without = trained("nnclr", modality, queue=0)
    first, last = losses_of(model)
    assert last < first and not np.allclose(Z, without, atol=1e-3)


# --- SimSiam ---------------------------------------------------------------------------------------------------------

UNSTOPPED: dict[str, Any] = {"stop_gradient": False, "loss": {"negative_cosine": {"stop_gradient": False}}}


def test_simsiam_is_the_papers_loss() -> None:
    method = built("simsiam").eval()
    assert method.predictor is not None
    z = [projected(method, view) for view in views()]
    q = [unit(method.predictor(one)) for one in z]
    expected = -np.mean([q[0][i] @ unit(z[1])[i] + q[1][i] @ unit(z[0])[i] for i in range(ROWS)]) / 2
    assert method.loss(views()).loss.item() == pytest.approx(expected, abs=1e-12)


def test_simsiam_without_the_stop_has_the_same_loss_and_another_gradient() -> None:
    (value, slope), (without, slope_without) = (loss_and_slope(built("simsiam", **parts)) for parts in ({}, UNSTOPPED))
    assert value == pytest.approx(without, abs=1e-12) and not torch.allclose(slope, slope_without, rtol=1e-2, atol=1e-6)


def test_simsiam_without_its_predictor_is_another_loss() -> None:
    assert differ(loss_and_slope(built("simsiam")), loss_and_slope(built("simsiam", predictor=None)))


def test_the_mean_of_both_orders_is_half_their_sum() -> None:
    added, slope_added = loss_and_slope(built("simsiam", reduction="sum"))
    averaged, slope = loss_and_slope(built("simsiam"))
    assert added == pytest.approx(2 * averaged, abs=1e-12)
    torch.testing.assert_close(slope_added, 2 * slope)


@pytest.mark.slow
def test_simsiam_collapses_without_the_stop() -> None:
    # normalised projections cannot be one vector, so it is shown without their normalisation
    plain = {"projector": {"last_batch_norm": False}}
    (model, _), (other, _) = (trained("simsiam", "tabular", **plain, **parts) for parts in ({}, UNSTOPPED))
    assert losses_of(other)[1] < -0.99 < -0.9 < losses_of(model)[1]


# --- Barlow Twins ----------------------------------------------------------------------------------------------------


def test_barlow_twins_is_the_papers_loss() -> None:
    method = built("barlow_twins", projector={"hidden_dim": 16, "out_dim": 10}).eval()
    a, b = (projected(method, view).detach().numpy() for view in views())
    a, b = ((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5) for z in (a, b))
    expected = 0.0
    for j in range(10):
        for k in range(10):
            c = sum(a[i, j] * b[i, k] for i in range(ROWS)) / ROWS
            expected += (1 - c) ** 2 if j == k else 0.0051 * c**2
    assert method.loss(views()).loss.item() == pytest.approx(expected, abs=1e-10)


def test_barlow_twins_without_its_redundancy_term_is_another_loss() -> None:
    without = built("barlow_twins", loss={"barlow_twins": {"off_diagonal_weight": 0.0}})
    assert differ(loss_and_slope(built("barlow_twins")), loss_and_slope(without))


@pytest.mark.slow
def test_barlow_twins_decorrelates_its_dimensions() -> None:
    small = {"projector": {"hidden_dim": 16, "out_dim": 16}, "trainer": {"lr": 0.003}}
    worth = []
    for weight in (0.5, 0.0):
        loss = {"barlow_twins": {"off_diagonal_weight": weight}}
        model, _ = trained("barlow_twins", "tabular", loss=loss, **small)
        rows = torch.randn(200, 6, generator=gen(5))
        with torch.no_grad():
            z = model.method_.eval().projector(model.method_.embed(Batch.of(rows)))
        correlation = torch.corrcoef(z.T)
        worth.append(float((correlation - torch.diag(torch.diagonal(correlation))).square().mean()))
    assert worth[0] < 0.8 * worth[1]


# --- SupCon ----------------------------------------------------------------------------------------------------------


def test_sup_con_is_the_papers_loss() -> None:
    method = built("sup_con").eval()
    z = np.concatenate([unit(projected(method, view)) for view in views()])
    y, expected = [*range(3), *range(3)] * 2, 0.0
    for i in range(2 * ROWS):
        others = [k for k in range(2 * ROWS) if k != i]
        positives = [k for k in others if y[k] == y[i]]
        scores = [float(z[i] @ z[k]) / 0.1 for k in others]
        expected += sum(cross_entropy(scores, others.index(p)) for p in positives) / len(positives) / (2 * ROWS)
    assert method.loss(views()).loss.item() == pytest.approx(expected, abs=1e-10)


def test_sup_con_with_a_label_for_each_sample_is_simclr() -> None:
    of_its_own = [view.replace(y=torch.arange(ROWS)) for view in views()]
    whole, plain = built("sup_con"), built("sup_con", loss={"nt_xent": {"temperature": 0.1}})
    assert whole.loss(of_its_own).loss.item() == pytest.approx(plain.loss(views()).loss.item(), abs=1e-10)
    assert differ(loss_and_slope(whole), loss_and_slope(plain))


def test_sup_con_needs_labels_and_declares_it() -> None:
    model = estimator("sup_con", augmentation="jitter", trainer={"max_steps": 1})
    assert model.uses_labels and "y" in model.uses
    with pytest.raises(ValueError, match="uses the label of each row, and none were given"):
        model.fit(np.random.default_rng(0).normal(size=(8, 1, 16)))


@pytest.mark.slow
@both
def test_sup_con_parts_the_classes(modality: str) -> None:
    apart = []
    for loss in ({}, {"loss": "nt_xent"}):
        _, Z = trained("sup_con", modality, **loss)
        directions, same = unit(Z - Z.mean(axis=0)), np.arange(48)[:, None] % 2 == np.arange(48) % 2
        similarity = directions @ directions.T
        apart.append(similarity[same].mean() - similarity[~same].mean())
    assert apart[0] > apart[1] + 0.1


# --- SwAV ------------------------------------------------------------------------------------------------------------

FEW: dict[str, Any] = {"loss": {"swav": {"n_prototypes": 5}}, "queue": 16, "queue_start": 0.0}


def balanced_slowly(scores: Any) -> Any:
    """Sinkhorn's iterations on exponentials, as the paper's Algorithm 1 has them."""
    q = np.exp(scores / 0.05)
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(axis=0, keepdims=True) * q.shape[1]
        q /= q.sum(axis=1, keepdims=True) * q.shape[0]
    return q * q.shape[0]


@pytest.mark.parametrize("queue", [0, 16])
def test_swav_is_the_papers_loss(queue: int) -> None:
    method = with_queue("swav", **{**FEW, "queue": queue}).eval()
    crops, prototypes = views(4), unit(method.contrast.prototypes)
    scores = [unit(projected(method, view)) @ prototypes.T for view in crops]
    older = unit(method.queue.features) @ prototypes.T if method.queue is not None else np.zeros((0, 5))
    expected = 0.0
    for u in (0, 1):
        q = balanced_slowly(np.concatenate([scores[u], older]))[:ROWS]
        for v in range(4):
            if v != u:
                p = np.exp(scores[v] / 0.1)
                expected -= float((q * np.log(p / p.sum(axis=1, keepdims=True))).sum()) / ROWS / 2 / 3
    assert method.loss(crops).loss.item() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    "neutral", [{"queue": 0}, {"loss": {"swav": {"n_prototypes": 5, "epsilon": 1e6}}}], ids=["queue", "assignment"]
)
def test_swav_without_a_part_is_another_loss(neutral: dict[str, Any]) -> None:
    whole, without = with_queue("swav", **FEW), with_queue("swav", **{**FEW, **neutral})
    assert differ(loss_and_slope(whole, views(4)), loss_and_slope(without, views(4)))


def test_swav_without_short_views_is_another_loss() -> None:
    method = built("swav", **FEW).eval()
    (with_crops, slope), (without, slope_without) = (loss_and_slope(method, views(count)) for count in (4, 2))
    assert abs(with_crops - without) > 1e-4 and not torch.allclose(slope, slope_without, rtol=1e-2, atol=1e-6)


def test_prototypes_are_frozen_at_first_and_the_queue_waits() -> None:
    method = built("swav", freeze_loss=0.5, queue_start=0.25).train()
    seen = []
    for progress in (0.0, 0.3, 0.6):
        method.before_step(progress)
        seen.append((method.contrast.prototypes.requires_grad, "queue" in method.loss_arguments(views()[0])))
    assert seen == [(False, False), (False, True), (True, True)]
    method.before_step(0.0)
    method.loss(views()).loss.backward()
    assert method.contrast.prototypes.grad is None


@pytest.mark.parametrize("modality", ["time_series", "tabular"])
def test_swav_makes_two_long_and_four_short_views(modality: str) -> None:
    x = torch.randn(5, 2, 40, generator=gen(0)) if modality == "time_series" else torch.randn(5, 8, generator=gen(0))
    augmentation = augmentations.build(estimator("swav", modality).augmentation).fit(Batch.of(x), None, gen(0))
    made = augmentation(Batch.of(x), gen(1))
    observed = [float((~view.x.isnan()).sum()) for view in made]
    assert len(made) == 6 and max(observed[2:]) <= x.numel() / 2 <= min(observed[:2])


@pytest.mark.parametrize("other", [{"predictor": {}}, {"momentum": 0.9}, {"stop_gradient": True}], ids=str)
def test_swav_makes_its_own_targets(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"makes targets, and the loss .* takes all views and makes its own"):
        estimator("swav", **other).fit(np.zeros((4, 1, 8)))


def test_prototypes_and_projections_have_one_size() -> None:
    with pytest.raises(ValueError, match="SwAV is for embeddings of size 128, and the projections have 16; give"):
        built("swav", projector={"out_dim": 16})


@pytest.mark.slow
def test_swav_learns_its_prototypes() -> None:
    (model, _), (frozen, _) = (
        trained("swav", "tabular", freeze_loss=share, trainer={"lr": 0.01}) for share in (0.01, 1.0)
    )
    first, last = losses_of(model)
    assert last < first and last < losses_of(frozen)[1]


# --- what parts do together ------------------------------------------------------------------------------------------


def test_a_bank_counts_the_rows_of_the_batch_once() -> None:
    method = built("joint_embedding", loss={"info_nce": {"temperature": 0.5}}, memory_bank=0.5, symmetric=False)
    pair = views()
    assert method.bank is not None
    method.after_step(0.0, views(start=ROWS), method.loss(views(start=ROWS)).carry)  # rows that are not in the batch
    method.after_step(0.0, pair, method.loss(pair).carry)
    held = method.bank.stored[method.bank.known].numpy()
    q, keys = unit(projected(method, pair[0])), unit(method.bank.stored[pair[0].index])
    expected = np.mean([cross_entropy([float(q[i] @ key) / 0.5 for key in unit(held)], i) for i in range(ROWS)])
    assert len(held) == 2 * ROWS and np.allclose(unit(held)[:ROWS], keys)
    assert method.loss(pair).loss.item() == pytest.approx(expected, abs=1e-10)


def test_what_a_loss_keeps_fixed_stays_fixed_once_it_trains() -> None:
    X = np.random.default_rng(0).normal(size=(12, 1, 20))
    loss = {"flo": {"dim": 8, "learnable": False}}
    given = {"projector": {"out_dim": 8}, "loss": loss, "freeze_loss": 0.3, "trainer": {"max_steps": 6}}
    method = estimator("joint_embedding", **given, random_state=0).fit(X).method_
    assert not method.contrast.log_scale.requires_grad
    assert any(weight.requires_grad for weight in method.contrast.parameters())


@pytest.mark.parametrize("name", ["simsiam", "byol", "nnclr", "moco", "swav", "vicreg", "simgrace"])
def test_every_framework_takes_an_adversary(name: str) -> None:
    X = np.random.default_rng(0).normal(size=(12, 1, 20))
    adversary = {"adversarial": {"epsilon": 0.05}}
    model = estimator(name, adversary=adversary, trainer={"max_steps": 2, "batch_size": 6}, random_state=0).fit(X)
    assert all(math.isfinite(record["loss"]) for record in model.training_.history)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"loss": "exp_clr", "momentum": 0.9},
            "momentum=0.9 is for two views, and the loss 'exp_clr' compares one view",
        ),
        ({"loss": "exp_clr", "adversary": "adversarial"}, "adversary='adversarial' is for two views"),
        ({"loss": "neighbourhood", "memory_bank": 0.5}, "memory_bank=0.5 keeps no groups"),
        ({"queue_start": 0.5}, "queue_start=0.5 is of a queue, and there is none"),
        ({"freeze_loss": 0.5}, "freeze_loss=0.5 is for a loss that learns something"),
        ({"momentum": [0.9]}, "momentum must be a number, or two"),
    ],
)
def test_parts_without_a_place_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        estimator("joint_embedding", **parameters).check_parameters()
