"""TS-TCC: against the official code and a direct transcription, its defining parts, gaps, lengths, small sets."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from safetensors.torch import load_file
from torch import Tensor

from golden_comparison import differences
from helpers import gen, pad
from kinview import TSTCC, Trainer, load_model
from kinview.augmentations import Augmentation
from kinview.data import Batch
from kinview.encoders import TSTCCEncoder, pool_segments
from kinview.encoders.dropout import CheapDropout
from kinview.losses import nt_xent, temporal_cpc
from kinview.methods import TSTCCMethod
from kinview.methods.tstcc.context import ContextTransformer, TemporalPredictor, features_after, split_in_time
from kinview.training import Callback
from kinview.training.method import Sizes

# batches of some of the small sets here
pytestmark = pytest.mark.filterwarnings("ignore:.*is larger than the .* training rows")

TOLERANCE = 1e-5
COUNTS = {"tstcc_small": 4, "tstcc_epilepsy": 7}
SIZES: dict[str, Any] = {"repr_dim": 8, "hidden_dim": 4, "context_dim": 8, "context_depth": 2, "context_heads": 2}
SMALL: dict[str, Any] = {**SIZES, "trainer": {"max_steps": 2}, "random_state": 0}


@dataclasses.dataclass(frozen=True)
class Same(Augmentation):
    """The batch itself: fixed views for fixed losses."""

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        return batch


@dataclasses.dataclass(frozen=True)
class Halved(Augmentation):
    """The first half of the steps; nothing of row 0."""

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        x = batch.x[:, :, : batch.x.shape[2] // 2].clone()
        x[0] = torch.nan
        return batch.replace(x=x)


def method(channels: int = 2, kind: type[TSTCCMethod] = TSTCCMethod, **changed: Any) -> TSTCCMethod:
    views = {"weak_augmentation": Same(), "strong_augmentation": Same()}
    torch.manual_seed(0)
    built = kind(TSTCC(**{**SIZES, "prediction_steps": 3, "dropout": 0.0, **views, **changed}), Sizes(channels))
    for module in built.predictor.modules():
        if isinstance(module, CheapDropout):
            module.p = 0.0
    return built


def series(n: int = 6, channels: int = 2, steps: int = 40, seed: int = 0) -> Tensor:
    return torch.randn(n, channels, steps, generator=gen(seed)).cumsum(dim=2) / 4


def unequal(n: int = 6, channels: int = 2, steps: int = 40) -> Tensor:
    x = series(n, channels, steps)
    x[torch.rand(x.shape, generator=gen(1)) < 0.2] = torch.nan
    for i in range(n):
        x[i, :, steps - 7 * i :] = torch.nan
        x[i, :, steps - 7 * i - 1] = 1.0
    return x


def views_of(one: Tensor, other: Tensor, fraction: float = 0.3) -> list[Batch]:
    extra = {"split_point": torch.full((len(one),), fraction)}
    return [Batch.of(one, extra=dict(extra)), Batch.of(other, extra=dict(extra))]


# ------------------------------------------------------------------------------------------------- official code


def official_checkpoint(arrays: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    return {
        part: {name.removeprefix(prefix): t for name, t in arrays.items() if name.startswith(prefix)}
        for part, prefix in (("model_state_dict", "model."), ("temporal_contr_model_state_dict", "temporal."))
    }


@pytest.mark.parametrize("name", COUNTS)
def test_every_array_equals_the_official_one(name: str) -> None:
    found = differences(name)
    assert len(found) == COUNTS[name] and all(largest < TOLERANCE for largest in found.values()), found


def test_an_official_checkpoint_becomes_an_estimator(golden: Path, tmp_path: Path) -> None:
    arrays = load_file(golden / "tstcc_small.safetensors")
    torch.save(official_checkpoint(arrays), tmp_path / "ckp_last.pt")
    model = TSTCC.from_official(tmp_path / "ckp_last.pt")
    X = arrays["x"].numpy()
    z = model.transform(X).to_numpy()
    assert model.segments == 10 and np.abs(z - arrays["features"].flatten(1).numpy()).max() < TOLERANCE
    mean = model.encode(X).mean(axis=2)  # whatever the length of the series, there are as many segments
    assert model.transform(X[:, :, :40]).shape == z.shape and mean.shape == (5, 16)
    model.save(tmp_path / "model.safetensors")
    assert np.array_equal(load_model(tmp_path / "model.safetensors").transform(X), z)


def test_what_is_not_an_official_checkpoint_is_refused(golden: Path, tmp_path: Path) -> None:
    arrays = load_file(golden / "tstcc_small.safetensors")
    path = tmp_path / "ckp_last.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="is not a PyTorch checkpoint of plain tensors"):
        TSTCC.from_official(path)
    for content in ({"weight": torch.zeros(2)}, torch.zeros(3), {"model_state_dict": {}}):
        torch.save(content, path)
        with pytest.raises(ValueError, match="has to hold the state dicts model_state_dict and temporal"):
            TSTCC.from_official(path)
    foreign = official_checkpoint(arrays)
    foreign["model_state_dict"]["conv_block4.0.weight"] = torch.zeros(1)
    torch.save(foreign, path)
    with pytest.raises(ValueError, match=r"is not a TS-TCC checkpoint: it has an entry 'conv_block4\.0\.weight'"):
        TSTCC.from_official(path)
    for part, name in (
        ("temporal_contr_model_state_dict", "Wk.1.weight"),
        ("temporal_contr_model_state_dict", "seq_transformer.c_token"),
        ("model_state_dict", "conv_block2.1.bias"),
    ):
        incomplete = official_checkpoint(arrays)
        del incomplete[part][name]
        torch.save(incomplete, path)
        with pytest.raises(ValueError, match=r"is not a complete .*(TS-TCC|TSTCC)"):
            TSTCC.from_official(path)


def test_official_weights_of_a_wrong_shape_are_refused_with_the_file(golden: Path, tmp_path: Path) -> None:
    arrays = load_file(golden / "tstcc_small.safetensors")
    path = tmp_path / "ckp_last.pt"
    encoder, temporal = "model_state_dict", "temporal_contr_model_state_dict"
    for part, name, value in (
        (encoder, "logits.weight", torch.zeros(3, 7)),
        (encoder, "logits.weight", torch.zeros(7)),
        (encoder, "conv_block1.0.weight", torch.zeros(7)),
        (encoder, "conv_block1.0.weight", None),
        (encoder, "conv_block3.0.weight", torch.zeros(0, 1, 1)),
        (encoder, 3, torch.zeros(7)),
        (temporal, "Wk.0.weight", torch.zeros(7)),
        (temporal, "Wk.0.weight", torch.zeros(7, 7)),
        (temporal, "Wk.0.bias", torch.tensor(0.0)),
        (temporal, "seq_transformer.c_token", torch.zeros(7)),
        (temporal, "seq_transformer.c_token", torch.zeros(0)),
    ):
        faulty: dict[str, dict[Any, Any]] = {key: dict(held) for key, held in official_checkpoint(arrays).items()}
        faulty[part].pop(name, None)
        faulty[part] |= {} if value is None else {name: value}
        torch.save(faulty, path)
        with pytest.raises(ValueError, match=r"ckp_last\.pt is not a .*checkpoint"):
            TSTCC.from_official(path)


def test_a_checkpoint_of_a_parallel_model_is_read(golden: Path, tmp_path: Path) -> None:
    arrays = load_file(golden / "tstcc_small.safetensors")
    plain = official_checkpoint(arrays)
    parallel = {part: {f"module.{name}": value for name, value in state.items()} for part, state in plain.items()}
    for content, file in ((plain, "plain.pt"), (parallel, "parallel.pt")):
        torch.save(content, tmp_path / file)
    one, other = (
        TSTCC.from_official(tmp_path / file).transform(arrays["x"].numpy()) for file in ("plain.pt", "parallel.pt")
    )
    assert one.equals(other)


# ----------------------------------------------------------------------------------------- a direct transcription


def slow_features(x: Tensor, encoder: TSTCCEncoder) -> Tensor:
    """The official order of layers, with torch's own, on values and the mask beside them."""
    h = torch.cat([x, torch.ones_like(x)], dim=1)
    for block in encoder.blocks:
        h = F.conv1d(h, block[0].weight, padding=4)
        h = F.batch_norm(h, None, None, block[1].weight, block[1].bias, training=True)
        h = F.max_pool1d(F.relu(h), 2, 2, 1)
    return h / h.norm(dim=1, keepdim=True).clamp_min(1e-12)


def slow_context(z: Tensor, net: ContextTransformer) -> Tensor:
    """Context of one row's features (d, t)."""
    h = torch.cat([net.token[None], z.T @ net.projection.weight.T + net.projection.bias])
    for layer in net.layers:
        a = F.layer_norm(h, (net.dim,), layer.norm1.weight, layer.norm1.bias)
        q, k, v = (part.reshape(len(h), layer.heads, -1) for part in (a @ layer.qkv.weight.T).chunk(3, dim=1))
        mixed = []
        for head in range(layer.heads):
            scores = (q[:, head] @ k[:, head].T) / math.sqrt(net.dim)  # of the full width
            mixed.append(scores.softmax(dim=1) @ v[:, head])
        h = h + torch.cat(mixed, dim=1) @ layer.out.weight.T + layer.out.bias
        b = F.layer_norm(h, (net.dim,), layer.norm2.weight, layer.norm2.bias)
        b = F.relu(b @ layer.linear1.weight.T + layer.linear1.bias)
        h = h + b @ layer.linear2.weight.T + layer.linear2.bias
    return h[0]


def slow_loss(model: TSTCCMethod, weak: Tensor, strong: Tensor, fraction: float, own_view: bool = False) -> Tensor:
    predictor, wanted, n = model.predictor, model.predictor.prediction_steps, len(weak)
    z_weak, z_strong = slow_features(weak, model.encoder), slow_features(strong, model.encoder)
    length = z_weak.shape[2]
    steps = min(wanted, length - 1)
    t = int(fraction * (length - steps))
    total, contexts = torch.zeros((), dtype=weak.dtype), []
    for here, there in ((z_weak, z_strong), (z_strong, z_weak)):
        c = torch.stack([slow_context(row[:, : t + 1], predictor.context) for row in here])
        contexts.append(c)
        target = here if own_view else there
        for k in range(steps):
            rows = slice(k * predictor.channels, (k + 1) * predictor.channels)
            predicted = c @ predictor.heads.weight[rows].T + predictor.heads.bias[rows]
            for i in range(n):
                scores = torch.stack([target[i, :, t + 1 + k] @ predicted[j] for j in range(n)])
                total = total - model.temporal_weight * torch.log(scores.exp()[i] / scores.exp().sum()) / (n * steps)
    heads = [model.projector(c) for c in contexts]
    rows_ = F.normalize(torch.cat(heads), dim=1)
    contextual = torch.zeros((), dtype=weak.dtype)
    for i in range(2 * n):
        scores = torch.stack([(rows_[i] @ rows_[j] / 0.2).exp() for j in range(2 * n) if j != i])
        contextual = contextual - torch.log((rows_[i] @ rows_[(i + n) % (2 * n)] / 0.2).exp() / scores.sum()) / (2 * n)
    return total + model.contextual_weight * contextual


@pytest.mark.parametrize(("steps", "wanted", "fraction"), [(40, 3, 0.0), (40, 3, 0.99), (40, 100, 0.5), (8, 3, 0.7)])
def test_the_loss_is_its_formula(steps: int, wanted: int, fraction: float) -> None:
    model = method(prediction_steps=wanted, temporal_weight=1.3, contextual_weight=0.7).double().train()
    weak, strong = series(steps=steps).double(), series(steps=steps, seed=1).double()
    expected = slow_loss(model, weak, strong, fraction)
    loss, parts, _ = model.loss(views_of(weak, strong, fraction))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-10)
    assert loss.item() == pytest.approx(1.3 * parts["temporal"] + 0.7 * parts["contextual"], abs=1e-5)
    parameters = [p for p in model.parameters() if p.requires_grad]
    ours, theirs = torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters)
    assert max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)) < 1e-9


def _cross_view_gap(model: TSTCCMethod) -> float:
    """How far the temporal loss of two views is from that of each view with itself: 0 where a view predicts itself."""
    model.eval()
    one, other = series(), series(seed=1)
    with torch.no_grad():
        both, first, second = (
            model.loss(views_of(a, b))[1]["temporal"] for a, b in ((one, other), (one, one), (other, other))
        )
    return abs(both - (first + second) / 2)


def test_each_view_predicts_the_other_one() -> None:
    class OwnView(TSTCCMethod):
        def temporal_contrast(self, weak: Tensor, strong: Tensor, last: Tensor, ahead: Tensor) -> Any:
            parts = [TSTCCMethod.temporal_contrast(self, view, view, last, ahead) for view in (weak, strong)]
            return (parts[0][0] + parts[1][0]) / 2, (parts[0][1][0], parts[1][1][0])

    assert _cross_view_gap(method()) > 1e-3
    assert _cross_view_gap(method(kind=OwnView)) < 1e-6, (
        "the check would not see that the cross-view prediction is gone"
    )


def test_the_contexts_of_both_views_are_contrasted() -> None:
    views = views_of(series(), series(seed=1))
    with_it, without = method(contextual_weight=0.7).train(), method(contextual_weight=0.0).train()
    contexts: list[Tensor] = []
    with_it.projector.register_forward_hook(lambda module, inputs, output: contexts.append(output))
    loss, parts, _ = with_it.loss(views)
    assert parts["contextual"] == pytest.approx(nt_xent(*contexts, 0.2).item(), abs=1e-6)
    assert parts["contextual"] > 0.1
    other, *_ = without.loss(views)
    assert loss.item() - other.item() == pytest.approx(0.7 * parts["contextual"], abs=1e-5)
    torch.autograd.backward([loss, other])
    assert with_it.projector[0].weight.grad.abs().max() > 1e-4
    assert without.projector[0].weight.grad.abs().max() == 0.0


# -------------------------------------------------------------------------------------------------- prediction


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 12), st.floats(0, 1, exclude_max=True))
def test_contexts_and_predictions_stay_inside_each_row(lengths: list[int], wanted: int, fraction: float) -> None:
    last, ahead = split_in_time(torch.tensor(lengths), wanted, torch.full((len(lengths),), fraction))
    for length, t, present in zip(lengths, last.tolist(), ahead.tolist(), strict=True):
        assert sum(present) == min(wanted, max(0, length - 1))
        assert present == sorted(present, reverse=True)
        assert t >= 0 and t + sum(present) <= max(0, length - 1)


def test_the_end_of_the_context_is_uniform_and_one_a_batch() -> None:
    generator = gen()
    model, batch = method(), Batch.of(series())
    ends = []
    for _ in range(2000):
        one, other = model.views(batch, generator, 0.0)
        assert torch.equal(one.extra["split_point"], other.extra["split_point"])
        last, _ = split_in_time(torch.full((6,), 9), 3, one.extra["split_point"])
        assert len(set(last.tolist())) == 1
        ends.append(int(last[0]))
    counts = np.bincount(ends, minlength=6)
    assert len(counts) == 6 and counts.min() > 2000 / 6 - 90 and counts.max() < 2000 / 6 + 90  # 5 standard deviations


def test_features_after_a_step_of_each_row() -> None:
    z = torch.arange(24.0).reshape(2, 2, 6)
    same, mixed = torch.tensor([1, 1]), torch.tensor([1, 4])
    assert features_after(z, same, 2)[0].tolist() == [[2.0, 8.0], [3.0, 9.0]]
    assert torch.equal(features_after(z, mixed, 2)[0], features_after(z, same, 2)[0])
    assert features_after(z, mixed, 2)[1].tolist() == [[17.0, 23.0], [17.0, 23.0]]


def test_a_context_reads_nothing_beyond_its_end() -> None:
    torch.manual_seed(0)
    net = ContextTransformer(5, dim=8, depth=3, heads=2).eval().requires_grad_(False)
    z, lengths = torch.randn(4, 5, 7), torch.tensor([7, 3, 1, 5])
    alone = torch.cat([net(z[i : i + 1, :, : int(lengths[i])]) for i in range(4)])
    assert float((net(z, lengths) - alone).abs().max()) < TOLERANCE
    assert float((net(z) - alone)[1:].abs().max()) > 1e-3


@pytest.mark.parametrize("among", ["contexts", "futures"])
def test_pairs_that_are_not_there_take_no_part(among: Any) -> None:
    generator = gen()
    predictions, futures = (torch.randn(5, 3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    observed = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]]).bool()
    predictions.requires_grad_()
    expected, count = torch.zeros((), dtype=torch.float64), 0
    for i, k in observed.nonzero().tolist():
        rows = observed[:, k]
        one, all_of_them = (futures, predictions) if among == "contexts" else (predictions, futures)
        expected = expected + (all_of_them[rows, k] @ one[i, k]).logsumexp(0) - futures[i, k] @ predictions[i, k]
        count += 1
    loss = temporal_cpc(predictions, futures, among, observed=observed)
    assert torch.allclose(loss, expected / count, atol=1e-12)
    ours, theirs = (torch.autograd.grad(value, predictions)[0] for value in (loss, expected / count))
    assert torch.allclose(ours, theirs, atol=1e-12)
    assert float(ours[~observed].abs().max()) == 0.0
    everything = torch.ones(5, 3, dtype=torch.bool)
    assert torch.allclose(
        temporal_cpc(predictions, futures, among, observed=everything), temporal_cpc(predictions, futures, among)
    )
    nothing = temporal_cpc(predictions, futures, among, observed=~everything)
    assert nothing.item() == 0.0 and nothing.requires_grad
    for wrong in (everything.float(), everything[:, :2]):
        with pytest.raises(ValueError, match=r"observed as a boolean tensor \(5, 3\)"):
            temporal_cpc(predictions, futures, among, observed=wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 6, "heads": 4}, "dim of the context transformer must be a multiple of its 4 heads; got 6"),
        ({"depth": 0}, "depth of the context transformer must be at least 1; got 0"),
        ({"dropout": 1.0}, r"dropout of the context transformer must be in \[0, 1\); got 1.0"),
        ({"prediction_steps": 0}, "prediction_steps must be at least 1; got 0"),
    ],
)
def test_parameters_of_the_predictor_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TemporalPredictor(4, **changes)


# --------------------------------------------------------------------------------------- gaps, lengths, small sets


def test_the_loss_does_not_depend_on_padding() -> None:
    model = method().train()
    one, other = unequal(), unequal() * 1.5 + 0.1
    loss, parts, _ = model.loss(views_of(one, other))
    padded, again, _ = model.loss(views_of(pad(one, 33), pad(other, 33)))
    assert abs(loss.item() - padded.item()) < TOLERANCE
    assert {k: pytest.approx(v, abs=TOLERANCE) for k, v in parts.items()} == again
    assert math.isfinite(loss.item()) and parts["temporal"] > 0


def test_steps_that_a_short_series_does_not_have_are_left_out_of_the_loss() -> None:
    model = method(prediction_steps=3).double()
    model.eval().requires_grad_(False)
    x = series(4, steps=40).double()
    x[3, :, 1:] = torch.nan  # one step: two features, one to predict
    long = [view.rows(slice(0, 3)) for view in views_of(x, x * 2)]
    z = [F.normalize(model.features(view), dim=1) for view in views_of(x, x * 2)]
    last, ahead = split_in_time(torch.tensor([6, 6, 6, 2]), 3, torch.full((4,), 0.3))
    assert ahead.sum(dim=1).tolist() == [3, 3, 3, 1]
    value = model.temporal_contrast(*z, last, ahead)[0]
    contexts = [model.predictor(view, last, 3)[1] for view in z]
    expected = 0.0
    for predicted, target in ((contexts[0], z[1]), (contexts[1], z[0])):
        after, total = features_after(target, last, 3), 0.0
        for i, k in ahead.nonzero().tolist():
            rows = [j for j in range(4) if ahead[j, k]]
            scores = torch.stack([after[i, k] @ predicted[j, k] for j in rows])
            total += float(scores.logsumexp(0) - after[i, k] @ predicted[i, k])
        expected += total / int(ahead.sum())
    assert float(value) == pytest.approx(expected, abs=1e-10)
    assert math.isfinite(model.loss(long)[0].item())


@pytest.mark.parametrize("front_end", ["values", "values+mask", "values+mask+delta"])
@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
@pytest.mark.parametrize("segments", [1, 3])
def test_an_embedding_depends_neither_on_other_rows_nor_on_padding(front_end: Any, pooling: Any, segments: int) -> None:
    model = method(front_end=front_end, pooling=pooling, segments=segments)
    torch.nn.init.normal_(model.encoder.blocks[0][0].weight, std=0.3)  # the channels beside the values start silent
    model.train()
    model.loss(views_of(unequal(), unequal()))  # statistics that are not the initial ones
    model.eval().requires_grad_(False)
    x = unequal()
    together = model.embed(Batch.of(x))
    alone = torch.cat([model.embed(Batch.of(row[None])) for row in x])
    lengths = [40 - 7 * i for i in range(6)]
    cut = torch.cat([model.embed(Batch.of(x[i : i + 1, :, : lengths[i]])) for i in range(6)])
    for other in (alone, cut, model.embed(Batch.of(pad(x, 29)))):
        assert float((together - other).abs().max()) < TOLERANCE
    assert float(together.std(dim=0).max()) > 1e-2


@pytest.mark.parametrize(("length", "segments"), [(24, 24), (24, 5), (3, 7), (24, 1)])
def test_segments_are_adaptive_pooling_of_each_rows_own_length(length: int, segments: int) -> None:
    z, lengths = torch.randn(3, 4, 24), torch.tensor([length, 24, 0])
    means, maxima = (pool_segments(z, lengths, segments, how) for how in ("mean", "max"))
    for ours, slow in ((means, F.adaptive_avg_pool1d), (maxima, F.adaptive_max_pool1d)):
        assert torch.allclose(ours[0], slow(z[:1, :, :length], segments).flatten(), atol=1e-6)
        assert torch.allclose(ours[1], slow(z[1:2], segments).flatten(), atol=1e-6)
        assert not ours[2].any()


def test_a_series_without_observation_is_the_zero_vector() -> None:
    model = method().eval()
    x = series(3)
    x[1] = torch.nan
    times = torch.arange(40.0).expand(3, 40)
    for batch in (Batch.of(x), Batch.of(x, times=times)):
        z = model.embed(batch)
        assert bool((z[1] == 0).all()) and bool((z[[0, 2]].abs().amax(dim=1) > 0).all())


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
def test_very_short_series_can_be_trained_on(steps: int) -> None:
    X = series(5, 1, steps).numpy()
    model = TSTCC(**{**SMALL, "prediction_steps": 50}).fit(X)
    assert model.training_.step == 2
    assert np.isfinite(np.asarray(model.transform(X))).all()
    assert all(record["temporal"] > 0 for record in model.training_.history)


def test_series_of_unequal_length_with_gaps_can_be_trained_on() -> None:
    X = unequal().numpy()
    model = TSTCC(**{**SMALL, "trainer": {"max_steps": 4}}).fit(X)
    ragged = [x[:, : 40 - 7 * i] for i, x in enumerate(X)]
    assert np.abs(model.transform(X).to_numpy() - model.transform(ragged).to_numpy()).max() < TOLERANCE
    assert model.encode(X).shape == (6, 8, 7)
    assert (model.encode(X)[5, :, 4:] == 0).all() and (model.encode(X)[0] != 0).any(axis=0).all()


def test_views_that_shorten_and_blank_are_taken() -> None:
    model = TSTCC(**SMALL, strong_augmentation=Halved()).fit(series().numpy())
    assert model.training_.step == 2
    assert all(math.isfinite(record["loss"]) for record in model.training_.history)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_set_smaller_than_a_batch_is_one_batch(n: int) -> None:
    X = series(n).numpy()
    model = TSTCC(**{**SMALL, "trainer": {"max_epochs": 3}}).fit(X)
    assert model.training_.step == 3
    assert np.abs(model.transform(X) - TSTCC(**SMALL).initialise(X).transform(X)).to_numpy().max() > 0


def test_one_row_left_over_is_left_out() -> None:
    X = series(5).numpy()
    model = TSTCC(**{**SMALL, "trainer": {"batch_size": 4, "max_epochs": 2, "drop_last": False}}).fit(X)
    assert [record["loss"] == 0.0 for record in model.training_.history] == [False, False]
    assert np.isfinite(np.asarray(model.transform(X))).all()


def test_one_series_keeps_its_initial_weights() -> None:
    with pytest.warns(UserWarning, match="TSTCC keeps its initial weights: contrast needs at least two series"):
        model = TSTCC(**SMALL).fit(series(1).numpy())
    assert model.training_ is None


# -------------------------------------------------------------------------------------------------- as a method


def test_views_are_drawn_afresh_at_every_step_and_keep_the_channels() -> None:
    seen: list[list[Batch]] = []

    class Watched(TSTCC):
        def _build(self, sizes: Sizes) -> Any:
            built = super()._build(sizes)
            draw = built.views
            built.views = lambda *given: seen.append(draw(*given)) or seen[-1]  # type: ignore[method-assign]
            return built

    x = torch.stack([torch.linspace(0, 1, 40), 5 + torch.linspace(0, 1, 40).cos()]).expand(4, 2, 40).clone()
    x += torch.arange(1, 5)[:, None, None]
    Watched(**{**SMALL, "scaling": None, "trainer": {"max_epochs": 2}}).fit(x.numpy())
    assert len(seen) == 2
    first, second = (epoch[0].rows(epoch[0].index.argsort()) for epoch in seen)
    assert not torch.allclose(first.x, second.x), "the weak view of the second epoch is that of the first"
    ratio = first.x / x
    assert float((ratio - ratio[:, :, :1]).abs().max()) < 1e-4, "one factor for each series and channel"
    strong = seen[0][1]
    assert float((strong.x[:, 0] - strong.x[:, 1]).abs().mean()) > 1.0, "the channels are not copies of one another"


def test_the_loss_falls() -> None:
    X = torch.sin(torch.arange(64.0)[None, None] * torch.linspace(0.2, 1.5, 24)[:, None, None]).numpy()
    views = {"weak_augmentation": {"scaling": {"sigma": 0.1}}, "strong_augmentation": {"jitter": {"sigma": 0.1}}}
    model = TSTCC(**{**SMALL, **views, "trainer": {"max_steps": 60, "lr": 1e-2}}).fit(X)
    for part in ("loss", "temporal", "contextual"):
        values = [record[part] for record in model.training_.history]
        assert np.mean(values[-10:]) < 0.95 * np.mean(values[:5]), part


def test_a_stopped_training_continues_bit_for_bit(tmp_path: Path) -> None:
    X = series(6).numpy()
    common = {"batch_size": 4, "checkpoint_every": 1}
    whole = TSTCC(**{**SMALL, "trainer": {**common, "max_steps": 5}}).fit(X)
    folder = str(tmp_path / "checkpoint")
    TSTCC(**{**SMALL, "trainer": {**common, "max_steps": 3, "checkpoint_dir": folder}}).fit(X)
    resumed = TSTCC(**{**SMALL, "trainer": {**common, "max_steps": 5, "checkpoint_dir": folder}}).fit(X)
    assert resumed.training_.step == 5
    assert np.array_equal(whole.transform(X), resumed.transform(X))


def test_the_optimiser_has_the_published_values() -> None:
    groups: list[dict[str, Any]] = []

    class Look(Callback):
        def on_train_begin(self, state: Any, method: Any) -> None:
            groups.extend(method.parameter_groups())

    model = TSTCC(**{**SMALL, "trainer": Trainer(max_steps=1, callbacks=[Look()])}).fit(series().numpy())
    assert groups[0]["betas"] == (0.9, 0.99)
    trainer = model.trainer_
    assert (trainer.optimizer, trainer.lr, trainer.weight_decay) == ("adam", 3e-4, 3e-4)
    assert (trainer.batch_size, trainer.max_epochs, trainer.drop_last) == (128, 40, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repr_dim": 0}, "repr_dim must be at least 1; got 0"),
        ({"hidden_dim": 1.5}, "hidden_dim must be a whole number; got 1.5"),
        ({"kernel_size": 0}, "kernel_size must be at least 1; got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1.0"),
        ({"temperature": 0.0}, "temperature must be above 0; got 0.0"),
        ({"temporal_weight": -1.0}, "temporal_weight must be at least 0; got -1.0"),
        ({"temporal_weight": True}, "temporal_weight must be a number; got True"),
        ({"contextual_weight": "0.7"}, r"contextual_weight must be a number; got the text '0\.7': write 0\.7"),
        ({"temporal_weight": 0, "contextual_weight": 0.0}, "temporal_weight and contextual_weight are both 0"),
        ({"dropout": "0.35"}, r"dropout must be a number; got the text '0\.35'"),
        ({"dropout": True}, "dropout must be a number; got True"),
        ({"trainer": {"batch_size": 1}}, r"batch_size=1\) is too small: TSTCCMethod contrasts"),
        ({"segments": 0}, "segments must be at least 1; got 0"),
        ({"pooling": "sum"}, "pooling must be 'max', 'mean' or 'last'; got 'sum'"),
        ({"front_end": "mask"}, r"front_end must be 'values', 'values\+mask' or"),
        ({"weak_augmentation": "column_corruption"}, "weak_augmentation must work on time series"),
        ({"strong_augmentation": "crop_pair"}, "strong_augmentation must make one view"),
    ],
)
def test_parameters_out_of_range_are_refused_at_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TSTCC(**{**SMALL, **changes}).fit(series().numpy())
