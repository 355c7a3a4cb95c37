"""Numbers as vectors, and the encoders of tables that have them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import kinview
from helpers import NAN, draw, gen, seeded
from kinview.data import Batch
from kinview.encoders import FTTransformer, NumericalEmbedding, ResNetMLP
from kinview.methods import SCARF, TabularSimCLR, methods
from kinview.training.method import Sizes

KINDS = ("piecewise_linear", "periodic")


def encoded_slowly(x: float, edges: list[float]) -> list[float]:
    """The paper's three cases, one bin after the other."""
    bins = []
    for t in range(1, len(edges)):
        low, high = edges[t - 1], edges[t]
        if x < low and t > 1:
            bins.append(0.0)
        elif x >= high and t < len(edges) - 1:
            bins.append(1.0)
        else:
            bins.append((x - low) / (high - low))
    return bins


@pytest.mark.parametrize("edges", [[-1.0, 0.0, 0.5, 2.0], [0.0, 1.0], [-2.0, 3.0, 4.0]])
def test_piecewise_linear_is_the_papers(edges: list[float]) -> None:
    embedding = NumericalEmbedding(1, 2, "piecewise_linear", bins=3).double()
    embedding.edges[0] = torch.tensor(edges + [edges[-1]] * (4 - len(edges)))
    values = [-5.0, -1.0, -0.3, 0.0, 0.2, 0.5, 1.9, 3.5, 9.0]
    found = embedding.encoded(torch.tensor(values, dtype=torch.float64)[:, None])[:, 0]
    for x, row in zip(values, found.tolist(), strict=True):
        assert row == pytest.approx(encoded_slowly(x, edges) + [0.0] * (4 - len(edges)))
    mapped = found @ embedding.weight[0] + embedding.bias[0]
    torch.testing.assert_close(embedding(torch.tensor(values, dtype=torch.float64)[:, None])[:, 0], mapped)


def test_periodic_is_the_papers() -> None:
    embedding = seeded(NumericalEmbedding, 2, 3, "periodic", frequencies=4, frequency_scale=0.5).double()
    x = draw(5, 2)
    for i in range(5):
        for j in range(2):
            angles = [2 * math.pi * c * x[i, j].item() for c in embedding.frequencies[j].tolist()]
            v = torch.tensor([*map(math.sin, angles), *map(math.cos, angles)], dtype=torch.float64)
            expected = torch.relu(v @ embedding.weight[j] + embedding.bias[j])
            torch.testing.assert_close(embedding(x)[i, j], expected)
    drawn = seeded(NumericalEmbedding, 50, 3, "periodic", frequency_scale=0.5).frequencies
    assert drawn.std().item() == pytest.approx(0.5, rel=0.1) and drawn.requires_grad


def test_no_edge_is_the_value_of_fewer_than_five_rows() -> None:
    embedding = NumericalEmbedding(3, 2, "piecewise_linear", bins=48)
    at_first = embedding.edges.clone()
    x = torch.full((100, 3), NAN)
    x[:, 0] = torch.randn(100, generator=gen()) ** 3
    x[:4, 1] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    x[:, 2] = 7.0
    embedding.learn(x)
    edges, values = embedding.edges[0].unique(), x[:, 0].sort().values
    assert len(edges) == 20
    for low, high in zip([-math.inf, *edges[:-1].tolist()], edges.tolist(), strict=True):
        assert ((values > low) & (values <= high)).sum() >= 2
    assert edges[0] > values[0] and edges[-1] < values[-1]
    torch.testing.assert_close(edges, values.double().quantile((torch.arange(20).double() + 0.5) / 20).float())
    assert torch.equal(embedding.edges[1:], at_first[1:])  # too few values, and one single value


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be 'piecewise_linear', 'periodic', 'perceptron'; got 'linear'"):
        NumericalEmbedding(1, 2, "linear")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="numerical_embedding must be 'linear', 'piecewise_linear' or 'periodic'"):
        FTTransformer([0], repr_dim=8, numerical_embedding="plain")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="normalisation must be 'batch' or 'layer'; got 'none'"):
        ResNetMLP([0], normalisation="none")  # type: ignore[arg-type]


# --- encoders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_where_their_columns_are(kind: Any) -> None:
    encoder = seeded(FTTransformer, [3, 0, 4, 0], repr_dim=8, heads=2, numerical_embedding=kind).double()
    x = torch.tensor([[1.0, 0.5, 3.0, -1.0], [0.0, NAN, NAN, 2.0]], dtype=torch.float64)
    tokens, tokenizer = encoder.tokenizer(x), encoder.tokenizer
    numbers = tokenizer.numbers(torch.tensor([[0.5, -1.0], [0.0, 2.0]], dtype=torch.float64))
    expected = torch.stack(
        [
            torch.stack([tokenizer.weight[1], numbers[0, 0], tokenizer.weight[3 + 3], numbers[0, 1]]),
            torch.stack([tokenizer.weight[0], tokenizer.missing[1], tokenizer.missing[2], numbers[1, 1]]),
        ]
    )
    torch.testing.assert_close(tokens, tokenizer.bias + expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_number_has_no_vector(kind: Any) -> None:
    encoder = seeded(ResNetMLP, [0, 3, 0], repr_dim=8, depth=1, embedding_dim=5, numerical_embedding=kind)
    features = encoder.front_end(torch.tensor([[NAN, 1.0, 0.7]]))
    assert features.shape == (1, 5 + 5 + 2 + 3)
    assert not features[0, :5].any() and features[0, 5:10].any()
    assert features[0, 10:].tolist() == [1.0, 0.0, 1.0, 0.0, 0.0]


def test_resnet_is_the_papers() -> None:
    encoder = seeded(ResNetMLP, [0, 0], repr_dim=4, depth=2, hidden_dropout=0.0, normalisation="layer").double()
    x = draw(6, 2)
    h = torch.cat([x, torch.zeros(6, 2)], dim=1) @ encoder.first.weight.T + encoder.first.bias
    for norm, first, _, _, second, _ in encoder.blocks:
        h = h + torch.relu(norm(h) @ first.weight.T + first.bias) @ second.weight.T + second.bias
    torch.testing.assert_close(encoder(x), torch.relu(encoder.norm(h)))


def test_a_batch_of_one_row_trains() -> None:
    encoder = seeded(ResNetMLP, [0, 0], repr_dim=4, depth=1).train()
    encoder(torch.randn(1, 2, generator=gen())).sum().backward()
    assert encoder.first.weight.grad is not None


def frame(n: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(0)
    columns = pd.DataFrame(random.exponential(size=(n, 2)), columns=["a", "b"])
    return columns.assign(c=random.choice(["x", "y"], n)).mask(random.random((n, 3)) < 0.1)


@pytest.mark.parametrize("name", ["ft_transformer", "resnet_mlp"])
@pytest.mark.parametrize("train", [True, False], ids=["trained", "untrained"])
def test_bins_are_learned_before_training_and_saved(name: str, train: bool, tmp_path: Any) -> None:
    sizes = {"repr_dim": 8, "depth": 1, "bins": 4} | ({"heads": 2} if name == "ft_transformer" else {})
    encoder = {name: {**sizes, "numerical_embedding": "piecewise_linear"}}
    model = TabularSimCLR(encoder=encoder, random_state=0, trainer={"max_steps": 2})
    model = model.fit(frame()) if train else model.initialise(frame())
    (embedding,) = (part for part in model.method_.modules() if isinstance(part, NumericalEmbedding))
    values = model.to_batch(frame()).x[:, 0]
    expected = np.quantile(values[~values.isnan()].double().numpy(), (np.arange(5) + 0.5) / 5)
    np.testing.assert_allclose(embedding.edges[0].numpy(), expected, rtol=1e-6)
    loaded = kinview.load_model(model.save(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(loaded.transform(frame()), model.transform(frame()))


def test_momentum_copies_have_the_same_bins() -> None:
    encoder = {"resnet_mlp": {"repr_dim": 8, "depth": 1, "bins": 4, "numerical_embedding": "piecewise_linear"}}
    spec = {"byol": {"encoder": encoder, "random_state": 0, "trainer": {"max_steps": 1}}}
    model = methods.build(spec, for_modality="tabular").fit(frame())
    one, other = (part for part in model.method_.modules() if isinstance(part, NumericalEmbedding))
    assert torch.equal(one.edges, other.edges) and one is not other


def test_other_encoders_learn_nothing() -> None:
    model = SCARF(hidden_dim=4, depth=1, random_state=0, trainer={"max_steps": 1}).initialise(frame())
    before = {name: value.clone() for name, value in model.method_.state_dict().items()}
    model.method_.encoder.learn(draw(20, 3))
    assert all(torch.equal(before[name], value) for name, value in model.method_.state_dict().items())
    assert model.sizes_ == Sizes(cardinalities=(0, 0, 3), rows=60)
    assert model.method_.embed(Batch.of(torch.zeros(1, 3))).shape == (1, 4)


def test_quantiles_that_are_one_in_single_precision_bound_no_bin() -> None:
    values = np.repeat([0.0, 1.0, 2.0, np.nextafter(2.0, 3.0), 3.0, 4.0, 5.0, 6.0], 15)
    embedding = NumericalEmbedding(1, 4, "piecewise_linear", bins=8)
    embedding.learn(torch.from_numpy(values)[:, None])
    widths = embedding.edges.diff(dim=1)[0]
    bins = int((widths > 0).sum())
    assert bool((widths[:bins] > 0).all())  # padding is behind
    x = torch.tensor([[float(embedding.edges[0, bins]) + 4.0]])
    encoded = embedding.encoded(x)[0, 0]
    assert encoded[: bins - 1].tolist() == [1.0] * (bins - 1) and encoded[bins - 1] > 1  # the last goes on alone
