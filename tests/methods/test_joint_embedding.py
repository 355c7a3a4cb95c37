"""Joint embedding: published losses by slow transcription, what they are without their parts, recipes as members."""

from __future__ import annotations

import copy
import importlib.metadata
import inspect
import json
import math
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import kinview
from helpers import gen
from kinview import FineTunedClassifier
from kinview.cli import main
from kinview.complete_configs import complete_config, short_config
from kinview.data import Batch
from kinview.evaluation import Benchmark, Store, run
from kinview.evaluation.benchmark.closure import Closure
from kinview.files import read_yaml
from kinview.losses import info_nce, losses
from kinview.methods import BYOL, JointEmbedding, JointEmbeddingMethod, MoCo, TabularMoCo, VICReg, methods
from kinview.modules.feature_queue import FeatureQueue
from kinview.modules.momentum_encoder import MomentumEncoder, momentum_at
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

SERIES_ENCODER = {"dilated_conv": {"repr_dim": 8, "hidden_dim": 6, "depth": 2, "dropout": 0.0}}
TABLE_ENCODER = {"mlp": {"hidden_dim": 8, "depth": 2}}
ENCODERS = {"time_series": SERIES_ENCODER, "tabular": TABLE_ENCODER}
SHORT = {"max_steps": 2, "batch_size": 6}
both = pytest.mark.parametrize("modality", ENCODERS)


def data(modality: str, n: int = 12) -> Any:
    random = np.random.default_rng(0)
    if modality == "time_series":
        return random.normal(size=(n, 1, 16))
    return pd.DataFrame(random.normal(size=(n, 4)), columns=list("abcd"))


def batch(n: int = 6, seed: int = 1, start: int = 0) -> Batch:
    x = torch.randn(n, 1, 12, generator=gen(seed), dtype=torch.float64)
    return Batch.of(x).replace(index=torch.arange(start, start + n))


def built(estimator: Any) -> JointEmbeddingMethod:
    with forked_generators(0, torch.device("cpu")):
        return JointEmbeddingMethod(estimator, Sizes(channels=1)).double()


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def info_nce_slowly(q: Any, k: Any, queue: Any, index: Any, queue_index: Any, temperature: float) -> float:
    """MoCo's Algorithm 1, one query at a time: its own key first, then the queue without its own sample."""
    q, k, queue = unit(q), unit(k), unit(queue)
    total = 0.0
    for i in range(len(q)):
        scores = [float(q[i] @ k[i]) / temperature]
        scores += [float(q[i] @ queue[j]) / temperature for j in range(len(queue)) if queue_index[j] != index[i]]
        total -= math.log(math.exp(scores[0]) / sum(map(math.exp, scores)))
    return total / len(q)


def encoded(method: JointEmbeddingMethod, view: Batch, *, followed: bool = False) -> Tensor:
    encoder, projector = method.momentum_encoder.copies if followed else (method.encoder, method.projector)
    return projector(method._features(encoder, view)).detach()


def shaken(method: JointEmbeddingMethod) -> JointEmbeddingMethod:
    """Weights of the momentum encoder that are not those of the encoder."""
    with torch.no_grad():
        for weight in method.momentum_encoder.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=gen(9), dtype=weight.dtype))
    return method


# --- losses ----------------------------------------------------------------------------------------------------------


def moco_with_queue() -> tuple[JointEmbeddingMethod, list[Batch]]:
    method = shaken(built(MoCo(encoder=SERIES_ENCODER, queue=16))).train()
    method.queue.enqueue(torch.randn(10, 128, generator=gen(4)), torch.tensor([0, 3, 40, 41, 42, 43, 1, 44, 45, 46]))
    return method, [batch(seed=1), batch(seed=2)]


def test_moco_is_the_papers_loss() -> None:
    method, views = moco_with_queue()
    q, k = encoded(method, views[0]).numpy(), encoded(method, views[1], followed=True).numpy()
    queue, labels = method.queue.features.double().numpy(), method.queue.labels.tolist()
    expected = info_nce_slowly(q, k, queue, range(6), labels, 0.2)
    assert method.loss(views).loss.item() == pytest.approx(expected, abs=1e-10)
    assert method.loss(views[::-1]).loss.item() != pytest.approx(expected, abs=1e-4)  # one direction


def test_byol_is_the_papers_loss() -> None:
    method = shaken(built(BYOL(encoder=SERIES_ENCODER))).eval()
    views = [batch(seed=1), batch(seed=2)]
    expected = 0.0
    for i, j in ((0, 1), (1, 0)):
        q = unit(method.predictor(encoded(method, views[i])).detach().numpy())
        target = unit(encoded(method, views[j], followed=True).numpy())
        expected += float(np.mean([2 - 2 * a @ b for a, b in zip(q, target, strict=True)]))
    assert method.loss(views).loss.item() == pytest.approx(expected, abs=1e-10)


def test_vicreg_is_the_papers_loss() -> None:
    method = built(VICReg(encoder=SERIES_ENCODER)).eval()
    views = [batch(seed=1), batch(seed=2)]
    z = [encoded(method, view).numpy() for view in views]
    n, d = z[0].shape
    assert d == 512
    agreement = np.mean((z[0] - z[1]) ** 2)
    hinge, covariance = 0.0, 0.0
    for one in z:
        centred = one - one.mean(axis=0)
        hinge += np.mean(np.maximum(0, 1 - np.sqrt(one.var(axis=0, ddof=1) + 1e-4)))
        matrix = centred.T @ centred / (n - 1)
        covariance += (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)) / d
    expected = 25 * agreement + 25 * hinge / 2 + covariance
    assert method.loss(views).loss.item() == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_momentum_rises_along_half_a_cosine(steps: int) -> None:
    for k in range(steps + 1):
        published = 1 - (1 - 0.996) * (math.cos(math.pi * k / steps) + 1) / 2
        assert momentum_at([0.996, 1.0], k / steps) == pytest.approx(published, abs=1e-15)
    assert momentum_at(0.9, 0.3) == 0.9


def test_the_momentum_encoder_has_the_closed_form() -> None:
    layer = torch.nn.Linear(3, 2).double()
    first = [p.detach().clone() for p in layer.parameters()]
    follower, momentum, visited = MomentumEncoder(layer), 0.9, []
    for step in range(5):
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(torch.randn(p.shape, generator=gen(step), dtype=p.dtype))
        visited.append([p.detach().clone() for p in layer.parameters()])
        follower.follow(momentum, layer)
    for i, slow in enumerate(follower.parameters()):
        closed = momentum**5 * first[i]
        for step, weights in enumerate(visited):
            closed = closed + (1 - momentum) * momentum ** (4 - step) * weights[i]
        torch.testing.assert_close(slow, closed, rtol=0, atol=1e-12)
        assert not slow.requires_grad


def test_the_momentum_encoder_applies_its_copies_in_order() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5))
    head, x = torch.nn.Linear(4, 2), torch.randn(5, 3, generator=gen())
    out = MomentumEncoder(network, head).train()(x)
    assert torch.equal(out, head(network.eval()(x))) and not out.requires_grad


def test_the_queue_holds_the_keys_in_order() -> None:
    method = built(MoCo(encoder=SERIES_ENCODER, queue=10)).train()
    keys, labels = [], []
    for step in range(3):
        views = [batch(4, seed=step, start=4 * step), batch(4, seed=10 + step, start=4 * step)]
        keys.append(encoded(method, views[1], followed=True))
        labels += views[1].index.tolist()
        method.after_step(0.0, views, method.loss(views).carry)
    torch.testing.assert_close(method.queue.features.double(), torch.cat(keys)[-10:], rtol=1e-5, atol=1e-6)
    assert method.queue.labels.tolist() == labels[-10:]


def test_held_out_rows_are_never_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MoCo(
        "jitter", SERIES_ENCODER, random_state=0, trainer={**SHORT, "max_steps": 6, "validation_fraction": 0.5}
    )
    queued: list[int] = []
    enqueue = FeatureQueue.enqueue

    def noted(self: FeatureQueue, features: Tensor, labels: Tensor, times: None) -> None:
        queued.extend(labels.tolist())
        enqueue(self, features, labels, times)

    monkeypatch.setattr(FeatureQueue, "enqueue", noted)
    model.fit(data("time_series", 24))
    assert len(queued) == 36 and len(set(queued)) <= 12


@pytest.mark.parametrize(
    "estimator",
    [
        BYOL(encoder=SERIES_ENCODER),
        MoCo(encoder=SERIES_ENCODER, loss="nt_xent", queue=0),
        JointEmbedding(encoder=SERIES_ENCODER, stop_gradient=True, loss="negative_cosine", predictor={}),
    ],
    ids=["byol", "moco", "simsiam"],
)
def test_no_gradient_flows_into_targets(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    method, seen = built(estimator).train(), []
    original = method.contrast.forward
    monkeypatch.setattr(method.contrast, "forward", lambda a, b, **k: (seen.append((a, b)), original(a, b, **k))[1])
    method.loss([batch(seed=1), batch(seed=2)]).loss.backward()
    assert seen and all(a.requires_grad and not b.requires_grad for a, b in seen)
    if method.momentum_encoder is not None:
        assert all(p.grad is None for p in method.momentum_encoder.parameters())
    assert all(p.grad is not None for p in method.encoder.parameters())


def test_info_nce_against_the_queue_alone() -> None:
    a, b, queue = (torch.randn(n, 5, generator=gen(n), dtype=torch.float64) for n in (4, 4, 7))
    b = torch.randn(4, 5, generator=gen(11), dtype=torch.float64)
    index, labels = torch.arange(4), torch.tensor([0, 0, 9, 1, 9, 9, 9])
    value = info_nce(a, b, 0.3, queue=queue, index=index, queue_index=labels, in_batch=False)
    slow = info_nce_slowly(a.numpy(), b.numpy(), queue.numpy(), index.tolist(), labels.tolist(), 0.3)
    assert value.item() == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("queue", [None, torch.zeros(0, 5, dtype=torch.float64)], ids=["none", "empty"])
def test_info_nce_without_negatives_is_zero(queue: Tensor | None) -> None:
    a = torch.randn(4, 5, generator=gen(0), dtype=torch.float64, requires_grad=True)
    value = info_nce(a, a.detach().flip(0), 0.3, queue=queue, in_batch=False)
    value.backward()
    assert value.item() == 0.0 and a.grad is not None and not bool(a.grad.any())


# --- each defining part removed --------------------------------------------------------------------------------------


def test_moco_without_its_queue_or_its_momentum_is_another_loss() -> None:
    method, views = moco_with_queue()
    whole = method.loss(views).loss.item()
    without = copy.deepcopy(method)
    without.momentum_encoder = None
    assert without.loss(views).loss.item() != pytest.approx(whole, abs=1e-4)
    method.queue = None
    assert method.loss(views).loss.item() == 0.0


def test_byol_without_its_predictor_is_another_loss() -> None:
    method = shaken(built(BYOL(encoder=SERIES_ENCODER))).eval()
    views = [batch(seed=1), batch(seed=2)]
    whole = method.loss(views).loss.item()
    method.predictor = None
    assert method.loss(views).loss.item() != pytest.approx(whole, abs=1e-4)


def test_without_the_stop_other_gradients_flow() -> None:
    grads = []
    for stop in (True, False):
        simsiam = JointEmbedding(encoder=SERIES_ENCODER, stop_gradient=stop, loss="nt_xent", predictor={})
        method = built(simsiam).eval()
        method.loss([batch(seed=1), batch(seed=2)]).loss.backward()
        grads.append(torch.cat([p.grad.flatten() for p in method.projector.parameters()]))
    assert not torch.allclose(*grads, rtol=1e-3, atol=1e-6)


def test_vicreg_without_covariance_is_another_loss() -> None:
    views = [batch(seed=1), batch(seed=2)]
    values = [
        built(VICReg(encoder=SERIES_ENCODER, loss={"vicreg": {"covariance_weight": w}})).eval().loss(views).loss.item()
        for w in (1.0, 0.0)
    ]
    assert values[0] > values[1]


def test_a_queue_needs_a_loss_that_takes_one() -> None:
    with pytest.raises(ValueError, match="queue=8 needs a loss that takes a queue"):
        JointEmbedding("jitter", SERIES_ENCODER, queue=8, trainer=SHORT).fit(data("time_series"))


# --- recipes ---------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("name", ["moco", "byol", "vicreg"])
def test_a_recipe_and_its_name_are_one(name: str, modality: str) -> None:
    estimator = methods.build(name, for_modality=modality)
    assert methods.to_config(estimator) == name
    assert type(estimator).__name__.startswith("Tabular") == (modality == "tabular")
    whole = complete_config(methods, name, for_modality=modality)
    assert short_config(methods, whole, for_modality=modality) == name
    again = methods.build(whole, for_modality=modality)
    assert complete_config(methods, again, for_modality=modality) == whole


@both
def test_parameters_are_put_over_those_of_the_recipe(modality: str) -> None:
    changed = {"queue": 64, "loss": {"info_nce": {"temperature": 0.1}}, "trainer": {"max_steps": 5}}
    estimator = methods.build({"moco": changed}, for_modality=modality)
    assert dict(estimator.loss["info_nce"]) == {"temperature": 0.1, "in_batch": False}
    assert (estimator.queue, estimator.momentum, estimator.trainer) == (64, 0.99, {"max_steps": 5})
    whole = complete_config(methods, {"moco": changed}, for_modality=modality)
    assert complete_config(methods, short_config(methods, whole, for_modality=modality), for_modality=modality) == whole
    assert pickle.loads(pickle.dumps(estimator)).get_params(deep=False) == estimator.get_params(deep=False)


@both
def test_a_saved_moco_holds_the_encoder_only(modality: str, tmp_path: Path) -> None:
    X = data(modality)
    spec = {"moco": {"encoder": ENCODERS[modality], "queue": 8, "trainer": SHORT, "random_state": 0}}
    model = methods.build(spec, for_modality=modality).fit(X)
    model.save(tmp_path / "moco.safetensors")
    with safe_open(tmp_path / "moco.safetensors", "pt") as file:
        names = list(file.keys())
        weights = sum(file.get_tensor(name).numel() for name in names)
    assert names and all("encoder." in name and "momentum" not in name and "queue" not in name for name in names)
    assert weights == sum(value.numel() for value in model.method_.encoder.state_dict().values())
    loaded = kinview.load_model(tmp_path / "moco.safetensors")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), model.transform(X))


@both
def test_controls_and_fine_tuning_take_a_recipe(modality: str) -> None:
    X, y = data(modality), np.repeat([0, 1], 6)
    moco = {"moco": {"encoder": ENCODERS[modality], "trainer": {"max_epochs": 1}}}
    assert methods.build({"random_init": {"method": moco, "random_state": 0}}).fit(X).transform(X).shape == (12, 8)
    supervised = methods.build({"supervised": {"method": moco, "random_state": 0}})
    assert supervised.fit(X, y).transform(X).shape == (12, 8)
    tuned = FineTunedClassifier(moco, trainer={"max_epochs": 1}, random_state=0).fit(X, y)
    assert isinstance(tuned.encoder_, TabularMoCo if modality == "tabular" else MoCo)
    assert tuned.predict(X).shape == (12,)


def test_a_benchmark_builds_a_recipe_for_the_modality_of_its_data() -> None:
    grid: dict[str, Any] = {"probes": ["knn"], "seeds": [0], "controls": "none"}
    tabular = {"moco": {"encoder": "mlp", "text": "categorical"}}
    (cell,) = Benchmark("b", ["iris"], [tabular], **grid).cells()
    assert cell.method == {"moco": {"text": "categorical"}}  # the table's encoder is its default
    assert cell.spec["method"]["moco"]["text"] == "categorical"
    (control,) = Benchmark("b", ["iris"], [{"random_init": {"method": tabular}}], **grid).cells()
    assert control.spec["method"]["random_init"]["method"]["moco"]["text"] == "categorical"
    both_cells = Benchmark("b", ["iris", "italy_power_demand"], ["moco"], **grid).cells()
    assert [next(iter(cell.spec["method"]["moco"]["encoder"])) for cell in both_cells] == ["mlp", "resnet1d"]
    with pytest.raises(ValueError, match="'italy_power_demand' is time_series: method 'moco' has no parameter 'text'"):
        Benchmark("b", ["italy_power_demand"], [tabular], **grid).cells()
    with pytest.raises(ValueError, match="method 'moco' has no parameter 'txt'"):
        Benchmark("b", ["iris"], [{"random_init": {"method": {"moco": {"txt": "categorical"}}}}], **grid).cells()


@both
def test_a_saved_recipe_is_shown_with_what_differs_from_its_own_defaults(
    modality: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moco = {"moco": {"queue": 8, "trainer": {"max_steps": 1}}}
    spec = {"random_init": {"method": {"moco": {"encoder": ENCODERS[modality]}}}}
    for config in (moco, spec):
        model = methods.build(config, for_modality=modality).fit(data(modality))
        path = model.save(tmp_path / "model.safetensors")
        assert methods.to_config(kinview.load_model(path)) == config
        assert not main(["inspect", str(path)])
        shown = re.split("parameters|channels|columns", capsys.readouterr().out)[1]
        assert read_yaml("\n".join(line.strip() for line in shown.splitlines())) == next(iter(config.values()))


@both
def test_pretrain_takes_a_recipe_for_both_modalities(modality: str, tmp_path: Path) -> None:
    name = {"time_series": "italy_power_demand", "tabular": "iris"}[modality]
    words = ["--parameters", json.dumps({"encoder": ENCODERS[modality]}), "--trainer.max_steps", "2"]
    file = tmp_path / "m.safetensors"
    assert not main(["pretrain", "--dataset", name, "--method", "moco", "--output", str(file), *words])
    assert type(kinview.load_model(file)) is (TabularMoCo if modality == "tabular" else MoCo)


def test_list_shows_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert not main(["list", "methods"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "moco any" in shown and "2006.07733" in shown


def test_a_benchmark_runs_a_recipe_on_series_and_tables(tmp_path: Path) -> None:
    tiny = {"moco": {"projector": {"out_dim": 8}, "queue": 32, "trainer": {"max_steps": 1}}}
    plan = Benchmark(
        name="both", datasets=["italy_power_demand", "iris"], methods=[tiny], controls="none", probes=["knn"]
    )
    frame = run(plan, Store(f"{tmp_path}/r.db"), cache_dir=tmp_path / "cache", workers=1)
    assert set(frame["status"]) == {"ok"}, frame["error"].tolist()
    assert set(frame["modality"]) == {"time_series", "tabular"} and set(frame["method_name"]) == {"moco"}


@pytest.fixture
def own_recipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Recipes under names of their own, forgotten afterwards."""
    list(methods)
    before = dict(methods._entries)

    def add(name: str, content: Any) -> None:
        plugin = importlib.metadata.EntryPoint(name, "own:RECIPE", "kinview.methods")
        with monkeypatch.context() as patch:
            patch.setattr(importlib.metadata.EntryPoint, "load", lambda self: content)
            methods._add_plugin(plugin)

    yield add
    methods._entries.clear()
    methods._entries.update(before)


OWN = {
    "class": "Siamese",
    "summary": "Siamese: a view predicts the other, held still.",
    "modality": {
        "time_series": {"joint_embedding": {"predictor": {}, "loss": "negative_cosine", "stop_gradient": True}}
    },
}


def test_a_plug_in_brings_a_recipe(own_recipes: Any) -> None:
    own_recipes("siamese", OWN)
    model = methods.build({"siamese": {"encoder": SERIES_ENCODER, "trainer": SHORT, "random_state": 0}})
    assert type(model).__name__ == "Siamese" and model.stop_gradient
    assert model.fit(data("time_series")).transform(data("time_series")).shape == (12, 8)
    assert pickle.loads(pickle.dumps(model)).stop_gradient


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("simclr", {}, "'simclr' is already registered"),
        ("own", {"colour": 1}, r"unknown keys \['colour'\]"),
        ("own", {"modality": {"time_series": {"joint_embedding": {"quue": 3}}}}, "sets 'quue'"),
        ("own", {"modality": {"time_series": "no_method"}}, "'no_method', which is not a method"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(own_recipes: Any, name: str, changed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own_recipes(name, {**OWN, **changed})


def test_an_unknown_parameter_of_a_recipe_is_refused() -> None:
    with pytest.raises(ValueError, match="'moco' has no parameter 'queu'; did you mean 'queue'"):
        methods.build({"moco": {"queu": 3}})


def test_a_changed_recipe_changes_the_keys_of_its_cells_alone(
    own_recipes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digests() -> dict[str, str]:
        found = {}
        for name in ("moco", "byol", "simclr"):
            closure = Closure()
            closure.add(methods, name)
            found[name] = closure.digest()
        return found

    before = digests()
    content = copy.deepcopy(methods.recipe("moco"))
    for spec in content["modality"].values():
        next(iter(spec.values()))["queue"] = 2048
    del methods._entries["moco"]
    methods._add_recipe("moco", content)
    after = digests()
    assert [name for name in before if before[name] != after[name]] == ["moco"]
    content["description"] = "Other words."
    del methods._entries["moco"]
    methods._add_recipe("moco", content)
    assert digests() == after, "a recipe's words are no part of the key"


def test_training_values_of_a_recipe_for_one_modality_are_part_of_its_key(own_recipes: Any) -> None:
    def digest(steps: int) -> str:
        parts = {**OWN["modality"]["time_series"]["joint_embedding"], "trainer": {"max_steps": steps}}
        methods._entries.pop("siamese", None)
        methods._add_recipe("siamese", {**OWN, "modality": {"time_series": {"joint_embedding": parts}}})
        closure = Closure()
        closure.add(methods, "siamese")
        return closure.digest()

    assert digest(3) != digest(4)


def test_tables_and_sections_of_a_description_stay(own_recipes: Any) -> None:
    table = "==== =====\nwhat paper\n==== =====\nτ    0.1\n==== ====="
    notes = f"Notes\n-----\nSaid\nof it.\n\n{table}\n\nWarns\n-----\nUserWarning\n    If so."
    own_recipes("siamese", {**OWN, "description": f"A formula\nin two lines.\n\n{notes}"})
    doc = inspect.getdoc(methods["siamese"].target)
    assert doc is not None and doc.count("Notes\n-----") == 1
    assert "\n\nA formula in two lines.\n\nParameters\n" in doc
    assert f"\n\nSaid of it.\n\n{table}\n\nWarns\n-----\nUserWarning\n    If so." in doc


# --- losses by spec --------------------------------------------------------------------------------------------------

# need more than two vectors a sample; hierarchical needs time steps, and says so itself
REFUSED = ("cmcr", "consistency", "factor_cl", "hierarchical", "mixup_contrastive", "three_towers", "token_contrast")
GIVEN = {
    "sup_con": "y",
    "soft_nearest_neighbour": "y",
    "group_nce": "groups",
    "neighbourhood": "groups",
    "exp_clr": "extra",
}
METADATA = {
    "y": {"y": np.arange(12) % 3},
    "groups": {"groups": np.arange(12) // 3},
    "extra": {"extra": {"features": np.random.default_rng(1).normal(size=(12, 2)).astype(np.float32)}},
}
WORDS = {"y": "label of each row", "groups": "group of each row", "extra": "further features"}


@pytest.mark.parametrize("name", list(losses))
def test_every_loss_trains_or_says_what_it_needs(name: str) -> None:
    model = JointEmbedding("jitter", SERIES_ENCODER, loss=name, trainer=SHORT, random_state=0)
    try:
        model.fit(data("time_series"), **METADATA.get(GIVEN.get(name, ""), {}))
    except ValueError as error:
        assert name in REFUSED
        assert name in str(error) or losses[name].target.__name__ in str(error)
    else:
        assert name not in REFUSED and model.training_.step == 2
        assert all(math.isfinite(record["loss"]) for record in model.training_.history)


@pytest.mark.parametrize("name", GIVEN)
def test_a_loss_gets_what_it_needs_row_by_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, kind = data("time_series"), GIVEN[name]
    model = JointEmbedding("jitter", SERIES_ENCODER, loss=name, trainer=SHORT, random_state=0)
    with pytest.raises(ValueError, match=WORDS[kind]):
        model.fit(X)
    seen: list[tuple[Tensor, dict[str, Tensor]]] = []
    arguments = JointEmbeddingMethod.loss_arguments
    monkeypatch.setattr(
        JointEmbeddingMethod,
        "loss_arguments",
        lambda self, view: (seen.append((view.index, found := arguments(self, view))), found)[1],
    )
    model.fit(X, **METADATA[kind])
    key = {"y": "labels", "groups": "groups", "extra": "features"}[kind]
    (whole,) = METADATA[kind].values()
    whole = torch.as_tensor(whole["features"] if kind == "extra" else whole)
    assert seen
    for index, given in seen:
        torch.testing.assert_close(given[key], whole[index].to(given[key]))
