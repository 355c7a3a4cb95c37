"""SAINT: its loss and its network by slow transcription, what it is without its parts, and the rows it attends to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import kinview
from helpers import NAN, draw, gen
from kinview.data import Batch, row_groups
from kinview.losses import cell_outputs
from kinview.methods import SAINT, SAINTMethod
from kinview.modules import ColumnPerceptrons
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

CARDINALITIES = (0, 4, 0, 3)
SMALL: dict[str, Any] = {"repr_dim": 6, "heads": 2, "centroids": 4, "hidden_dim": 8, "projection_dim": 5}
SMALL["feed_forward_dropout"] = 0.0


def built(cardinalities: tuple[int, ...] = CARDINALITIES, **parameters: Any) -> SAINTMethod:
    with forked_generators(0, torch.device("cpu")):
        return SAINTMethod(SAINT(**{**SMALL, **parameters}), Sizes(cardinalities=cardinalities)).double()


def table(n: int = 7, seed: int = 1) -> Tensor:
    x = draw(n, len(CARDINALITIES), seed=seed)
    for column, size in enumerate(CARDINALITIES):
        if size:
            x[:, column] = torch.randint(0, size, (n,), generator=gen(seed + column)).double()
    return x


def views_of(n: int = 7) -> list[Batch]:
    """Rows with gaps, a corrupted view, and what that is mixed with."""
    clean = table(n)
    clean[0, 0] = clean[1, 1] = NAN
    noisy = torch.where(torch.rand(n, 4, generator=gen(3)) < 0.3, table(n, seed=5), clean)
    return [Batch.of(clean), Batch.of(noisy).replace(extra={"mixed": noisy.roll(1, 0)})]


# --- transcriptions --------------------------------------------------------------------------------------------------


def norm(rows: np.ndarray, layer: Any) -> np.ndarray:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return scaled * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def linear(rows: np.ndarray, layer: Any) -> np.ndarray:
    out = rows @ layer.weight.detach().numpy().T
    return out if layer.bias is None else out + layer.bias.detach().numpy()


def attended(rows: np.ndarray, part: Any, keys: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Each row's attention to keys, each of which counts so many times."""
    heads, width = part.heads, part.width
    q = linear(norm(rows, part.norm), part.qkv).reshape(len(rows), 3, heads, width)[:, 0]
    both = linear(norm(keys, part.norm), part.qkv).reshape(len(keys), 3, heads, width)
    mixed = np.zeros((len(rows), heads, width))
    for i in range(len(rows)):
        for h in range(heads):
            scores = np.array(
                [times[j] * math.exp(q[i, h] @ both[j, 1, h] / math.sqrt(width)) for j in range(len(keys))]
            )
            mixed[i, h] = (scores / scores.sum()) @ both[:, 2, h]
    return linear(mixed.reshape(len(rows), -1), part.out)


def fed_forward(tokens: np.ndarray, part: Any) -> np.ndarray:
    value, gate = np.split(linear(norm(tokens, part.norm), part.gate), 2, axis=-1)
    return linear(value * gate * 0.5 * (1 + np.vectorize(math.erf)(gate / math.sqrt(2))), part.out)


def over_columns(tokens: np.ndarray, layer: Any) -> np.ndarray:
    added = np.stack([attended(row, layer.columns, row, np.ones(len(row))) for row in tokens])
    tokens = tokens + added
    return tokens + fed_forward(tokens, layer.after_columns)


def over_rows(tokens: np.ndarray, layer: Any, keys: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """``keys``: of each row, the flat rows that it attends to, and how often each counts."""
    flat = tokens.reshape(len(tokens), -1)
    added = np.concatenate([attended(flat[i : i + 1], layer.rows, *keys[i]) for i in range(len(flat))])
    tokens = (flat + added).reshape(tokens.shape)
    return tokens + fed_forward(tokens, layer.after_rows)


def among_batch(tokens: np.ndarray, network: Any) -> np.ndarray:
    for layer in network.layers:
        tokens = over_columns(tokens, layer)
        flat = tokens.reshape(len(tokens), -1)
        tokens = over_rows(tokens, layer, [(flat, np.ones(len(flat)))] * len(flat))
    return tokens


def loss_slowly(method: SAINTMethod, views: list[Batch]) -> float:
    network, (clean, noisy) = method.encoder, views
    with torch.no_grad():
        mixed = (0.8 * network.tokens(noisy.x) + 0.2 * network.tokens(noisy.extra["mixed"])).numpy()
        tokens = [among_batch(network.tokens(clean.x).numpy(), network), among_batch(mixed, network)]
        projected = []
        for part, projector in zip(tokens, method.projectors, strict=True):
            unit = part / np.linalg.norm(part, axis=2, keepdims=True)
            projected.append(projector(torch.from_numpy(unit.reshape(len(unit), -1))).numpy())
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in projected)
    contrast = 0.0
    for one, other in ((a, b), (b, a)):
        for i in range(len(one)):
            scores = [math.exp(one[i] @ other[j] / 0.7) for j in range(len(other))]
            contrast -= math.log(scores[i] / sum(scores)) / (2 * len(one))
    categories, numbers = 0.0, []
    x, decoder = clean.x.numpy(), method.decoder
    for column, size in enumerate(CARDINALITIES):
        entropies = []
        for i in range(len(x)):
            token = torch.from_numpy(tokens[1][i, 1 + column])
            hidden = torch.relu(token @ decoder.hidden_weight[column] + decoder.hidden_bias[column])
            out = (hidden @ decoder.out_weight[column] + decoder.out_bias[column]).tolist()
            if math.isnan(x[i, column]):
                continue
            if not size:
                numbers.append((out[0] - x[i, column]) ** 2)
            elif x[i, column] > 0:
                scores = out[: size - 1]
                entropies.append(math.log(sum(map(math.exp, scores))) - scores[int(x[i, column]) - 1])
        categories += sum(entropies) / len(entropies) if size else 0.0
    return 0.5 * contrast + categories + 10 * sum(numbers) / len(numbers)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_loss_is_that_of_the_docstring(depth: int) -> None:
    method = built(depth=depth).eval()
    found = method.loss(views_of())
    assert found.loss.item() == pytest.approx(loss_slowly(method, views_of()), rel=1e-9)
    assert set(found.logs) == {"contrastive", "categories", "numbers"}


def test_in_use_a_row_attends_to_itself_and_to_the_centroids() -> None:
    method = built(depth=2).eval()
    network, x = method.encoder, table(3, seed=9)
    network.learn_centroids(table(40), 16, gen())
    counts = network.counts.numpy()
    kept = counts > 0
    tokens, centres = network.tokens(x).detach().numpy(), network.centres.numpy()[kept]
    times = counts[kept]
    for layer in network.layers:
        tokens, centres = over_columns(tokens, layer), over_columns(centres, layer)
        far = centres.reshape(len(centres), -1)
        near = tokens.reshape(len(tokens), -1)
        keys = [(np.concatenate([near[i : i + 1], far]), np.concatenate([[1.0], times])) for i in range(len(x))]
        tokens, centres = over_rows(tokens, layer, keys), over_rows(centres, layer, [(far, times)] * len(far))
    torch.testing.assert_close(method.embed(Batch.of(x)), torch.from_numpy(tokens[:, 0]))


def test_a_centroid_that_counts_twice_is_two_rows() -> None:
    method = built(centroids=4).eval()
    network = method.encoder
    centre = draw(5, 6, seed=4)
    embedded = []
    for counts, centres in (([2.0, 0.0], [centre, centre]), ([1.0, 1.0], [centre, centre])):
        network.counts[:2] = torch.tensor(counts)
        network.centres[:2] = torch.stack(centres)
        embedded.append(method.embed(Batch.of(table())))
    torch.testing.assert_close(*embedded)


def test_perceptrons_of_columns_are_each_their_own() -> None:
    together = ColumnPerceptrons(3, 2, 4, 5).double()
    x = draw(6, 3, 2)
    for column in range(3):
        hidden = torch.relu(x[:, column] @ together.hidden_weight[column] + together.hidden_bias[column])
        alone = hidden @ together.out_weight[column] + together.out_bias[column]
        torch.testing.assert_close(together(x)[:, column], alone)


# --- the centroids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "most"), [(5, 8), (9, 8), (40, 8), (40, 100), (3, 2), (1, 2)])
def test_no_group_has_fewer_than_five_rows(n: int, most: int) -> None:
    rows = draw(n, 3)
    rows[: n // 4] += 100  # a few that are far from all others
    groups = row_groups(rows, most, gen())
    if n < 5:
        assert groups.tolist() == [-1] * n
        return
    counts = torch.bincount(groups)
    assert counts.min() >= 5 and counts.sum() == n and len(counts) <= min(most, n // 5)
    assert torch.equal(groups, row_groups(rows, most, gen()))


def test_equal_rows_are_one_group() -> None:
    assert row_groups(torch.ones(40, 2), 8, gen()).tolist() == [0] * 40


def test_centroids_are_means_of_the_tokens_of_their_rows() -> None:
    method, x = built().eval(), table(40)
    method.after_training(Batch.of(x), 7, gen())
    network = method.encoder
    groups = row_groups(network.cells(x), 4, gen())
    assert network.counts.sum() == 40 and network.counts[network.counts > 0].min() >= 5
    for group in groups.unique().tolist():
        expected = network.tokens(x[groups == group]).mean(dim=0)
        torch.testing.assert_close(network.centres[group], expected)


def test_fewer_than_five_rows_leave_no_centroid() -> None:
    method = built().eval()
    method.after_training(Batch.of(table(40)), 7, gen())
    method.after_training(Batch.of(table(4)), 7, gen())
    assert not method.encoder.counts.any() and not method.encoder.centres.any()


def frame(n: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(n, 3)), columns=list("abc"))
    return frame.assign(d=random.choice(["x", "y"], n))


def test_an_embedding_depends_on_the_training_rows_and_on_no_other(tmp_path: Any) -> None:
    model = SAINT(**SMALL, random_state=0, trainer={"max_steps": 2}).fit(frame())
    together = model.transform(frame())
    np.testing.assert_allclose(together[:1], model.transform(frame()[:1]), atol=1e-6)
    loaded = kinview.load_model(model.save(tmp_path / "saint.safetensors"))
    np.testing.assert_array_equal(loaded.transform(frame()), together)
    model.method_.encoder.counts.zero_()
    assert np.abs(model.transform(frame()) - together).max() > 1e-3


# --- each defining part removed --------------------------------------------------------------------------------------


def gradient(method: SAINTMethod, views: list[Batch]) -> tuple[float, Tensor]:
    loss = method.loss(views).loss
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in method.encoder.parameters()])


@pytest.mark.parametrize(
    "neutral", [{"contrastive_weight": 0.0}, {"category_weight": 0.0}, {"number_weight": 0.0}, {"mixup": 0.0}]
)
def test_without_a_part_loss_and_gradient_are_others(neutral: dict[str, float]) -> None:
    whole, removed = (gradient(built(**parameters), views_of()) for parameters in ({}, neutral))
    assert removed[0] != pytest.approx(whole[0], abs=1e-3)
    assert (removed[1] - whole[1]).norm() > 0.001 * whole[1].norm()


def test_without_attention_over_rows_the_loss_of_a_row_knows_no_other() -> None:
    """The rows of a batch matter while training, and the centroids, none of them, in use."""
    method = built(centroids=0).eval()
    x, other = table(6), table(6)
    other[1:] = table(5, seed=7)
    tokens = [method.encoder(method.encoder.tokens(rows), among="batch")[0] for rows in (x, other)]
    assert (tokens[0] - tokens[1]).abs().max() > 1e-4
    alone = [method.embed(Batch.of(rows))[0] for rows in (x, other)]
    torch.testing.assert_close(*alone)


def test_the_own_row_is_the_larger_part_of_a_view() -> None:
    method, x = built(corruption_rate=0.0), table(20)
    clean, noisy = method.views(Batch.of(x), gen(), 0.0)
    assert torch.equal(clean.x, x) and torch.equal(noisy.x, x)
    tokens = method.encoder.tokens
    mixed = (1 - method.mixup) * tokens(noisy.x) + method.mixup * tokens(noisy.extra["mixed"])
    nearest = torch.cdist(mixed.flatten(1), tokens(x).flatten(1)).argmin(dim=1)
    assert torch.equal(nearest, torch.arange(20))
    assert sorted(map(tuple, noisy.extra["mixed"].tolist())) == sorted(map(tuple, x.tolist()))


def test_cutmix_and_its_partner_come_from_the_generator() -> None:
    method, x = built(), table(20)
    one, same, other = (method.views(Batch.of(x), gen(seed), 0.0)[1] for seed in (0, 0, 1))
    assert torch.equal(one.x, same.x) and torch.equal(one.extra["mixed"], same.extra["mixed"])
    assert not torch.equal(one.x, other.x)


@pytest.mark.slow
def test_training_without_denoising_gives_cells_back_less_well() -> None:
    factors = draw(300, 2, seed=0, dtype=torch.float32)
    X = (factors @ draw(2, 6, seed=1, dtype=torch.float32)).numpy()

    def error(weight: float) -> float:
        trainer = {"max_steps": 300, "max_epochs": 300, "lr": 0.003}
        model = SAINT(**SMALL, number_weight=weight, trainer=trainer, random_state=0).fit(X[:200])
        method = model.method_
        views = method.views(model.to_batch(X[200:]), gen(), 0.0)
        with torch.no_grad():
            return method.loss(views).logs["numbers"]

    assert error(10.0) < 0.8 * error(0.0)


def test_outputs_are_as_many_as_the_categories() -> None:
    assert built().decoder.out_bias.shape == (4, max(cell_outputs(CARDINALITIES)))
