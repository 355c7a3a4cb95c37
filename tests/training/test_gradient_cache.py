"""A batch that goes through the network in chunks: the gradient of the whole batch, and who is refused.

The file is also the program of two processes: ``python test_gradient_cache.py RANK FOLDER``.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helpers import gen
from kinview import SCARF, PairedData, Trainer
from kinview.data import Batch
from kinview.methods import methods
from kinview.training import Callback, GradientCache, RowwiseMethod
from kinview.training.randomness import forked_generators

CPU = torch.device("cpu")
N, CHUNK = 23, 7  # the last chunk has two rows
CONVOLUTION = {"dilated_conv": {"repr_dim": 6, "hidden_dim": 4, "depth": 1}}
PERCEPTRON = {"mlp": {"hidden_dim": 6, "depth": 2}}
COLUMNS = {"ft_transformer": {"repr_dim": 4, "heads": 1, "depth": 1, "feed_forward_dropout": 0.3}}
PAIR = {"series_encoder": CONVOLUTION, "table_encoder": PERCEPTRON}
RESNET = {"resnet1d": {"widths": [4], "kernel_sizes": [3]}}


def draw_samples() -> tuple[np.ndarray, pd.DataFrame]:
    """Series and a table with gaps, and a sample of each of which nothing was observed."""
    draw = np.random.default_rng(0)
    series, table = draw.normal(size=(N, 2, 12)), pd.DataFrame(draw.normal(size=(N, 3)), columns=list("abc"))
    series[draw.random(series.shape) < 0.2] = np.nan
    series[3], table.iloc[5] = np.nan, np.nan
    return series, table


def prepared(name: str, *, dropout: bool = False, **parameters: Any) -> tuple[RowwiseMethod, list[Batch]]:
    """An untrained method in float64, in train mode, and the views of a batch; dropout only where it is asked for."""
    series, table = draw_samples()
    X = {"any": series, "time_series": series, "tabular": table, "paired": PairedData(series=series, table=table)}
    estimator = methods.build({name: {"random_state": 0, **parameters}})
    estimator.initialise(X[methods[name].modality])
    batch = estimator.to_batch(X[methods[name].modality])
    batch = batch.replace(
        x=batch.x.double(),
        extra={k: v.replace(x=v.x.double()) if isinstance(v, Batch) else v for k, v in batch.extra.items()},
    )
    method = estimator.method_.double().train()
    for part in method.modules():
        if isinstance(part, nn.Dropout) and not dropout:
            part.p = 0.0
    estimator._fit_views(batch, gen(2))
    method.before_step(0.0)
    return method, method.views(batch, gen(1), 0.0)


def gradients(method: nn.Module, views: list[Batch], chunk_size: int | None) -> dict[str, Tensor]:
    """Loss, its gradients, the buffers after it, and the state of the generator that dropout has drawn from."""
    method = copy.deepcopy(method)
    with forked_generators(3, CPU):
        cache = None if chunk_size is None else GradientCache(method, views, chunk_size)
        loss = (method.loss(views) if cache is None else cache.loss()).loss
        loss.backward()
        if cache is not None:
            cache.replay()
        found = {"loss": loss.detach(), "generator": torch.get_rng_state()}
    found |= {f"grad.{name}": p.grad for name, p in method.named_parameters() if p.grad is not None}
    return found | {f"buffer.{name}": buffer for name, buffer in method.named_buffers()}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], **tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name, equal_nan=True, **tolerance)


@pytest.mark.parametrize(
    ("name", "parameters", "learned"),
    [
        ("paired_clip", PAIR, "contrast.log_scale"),
        pytest.param("siglip", PAIR, "contrast.logit_bias", marks=pytest.mark.slow),
        (
            "mmcl",
            {**PAIR, "projector": {"depth": 2, "batch_norm": True}},
            "first.projector.1.weight",
        ),  # batch normalisation
        ("simclr", {"encoder": CONVOLUTION}, "projector.1.weight"),
        ("moco_v3", {"encoder": CONVOLUTION}, "predictor.0.weight"),
        pytest.param("simgrace", {"encoder": CONVOLUTION}, "projector.0.weight", marks=pytest.mark.slow),
        pytest.param("mixing_up", {"encoder": CONVOLUTION}, "projector.0.weight", marks=pytest.mark.slow),
    ],
)
def test_the_gradient_is_that_of_the_whole_batch(name, parameters, learned):
    method, views = prepared(name, **parameters)
    expected = gradients(method, views, None)
    assert expected[f"grad.{learned}"].abs().max() > 1e-4
    for size in (CHUNK, 100):
        assert_same(gradients(method, views, size), expected, rtol=1e-7, atol=1e-9)


def test_what_the_network_leaves_out_at_random_is_left_out_twice():
    """Against all chunks with their graphs at once, which is what has to be afforded without the cache."""
    method, views = prepared("tabular_simclr", dropout=True, encoder=COLUMNS)
    found = gradients(method, views, CHUNK)
    oracle = copy.deepcopy(method)
    with forked_generators(3, CPU):
        used = oracle.rows_of_loss(views)
        chunks = [[view.rows(rows) for view in used] for rows in torch.arange(len(used[0])).split(CHUNK)]
        parts = [oracle.representations(chunk) for chunk in chunks]
        loss = oracle.loss_of_representations(used, [torch.cat(h) for h in zip(*parts, strict=True)]).loss
        loss.backward()
        assert torch.equal(found["generator"], torch.get_rng_state())
    assert found["loss"] == loss.detach()
    for parameter, p in oracle.named_parameters():
        torch.testing.assert_close(found[f"grad.{parameter}"], p.grad, rtol=1e-8, atol=1e-10, msg=parameter)
    assert_same(gradients(method, views, N), gradients(method, views, None), rtol=0, atol=1e-15)  # one chunk
    other = gradients(method.eval(), views, CHUNK)
    assert other["loss"] != found["loss"]  # there is dropout


def test_no_graph_holds_more_rows_than_a_chunk():
    method, views = prepared("paired_clip", **PAIR)
    seen: list[tuple[bool, int]] = []
    method.first.encoder.register_forward_hook(
        lambda _module, inputs, _out: seen.append((torch.is_grad_enabled(), len(inputs[0])))
    )
    gradients(method, views, CHUNK)
    assert seen == [(False, 7)] * 3 + [(True, 7)] * 3  # of 23 rows two lack a side


def test_of_too_few_rows_nothing_is_learned():
    method, views = prepared("paired_clip", **PAIR)
    found = gradients(method, [view.rows(slice(0, 1)) for view in views], CHUNK)
    assert found["loss"] == 0
    assert all(not value.any() for name, value in found.items() if name.startswith("grad."))


# --- in training ------------------------------------------------------------------------------------------------------

SMALL: dict[str, Any] = {"hidden_dim": 8, "depth": 2, "random_state": 0}


def rows(n: int = 40) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, 3))


def test_a_training_in_chunks_is_the_same_training():
    fields = {"max_epochs": 3, "batch_size": 16, "drop_last": False, "patience": None}
    whole, divided = (SCARF(**SMALL, trainer={**fields, **more}).fit(rows()) for more in ({}, {"chunk_size": 5}))
    np.testing.assert_allclose(divided.transform(rows()), whole.transform(rows()), atol=2e-5)
    for record in ("history", "validation"):
        losses = [[step["loss"] for step in getattr(model.training_, record)] for model in (whole, divided)]
        np.testing.assert_allclose(losses[1], losses[0], atol=1e-5)
    assert len(whole.training_.validation) == 3


class Stop(Callback):
    """Ends a training as Ctrl-C between two steps does not: with an error."""

    def on_step_end(self, state, method):
        if state.step == 4:
            raise RuntimeError("stop")


def test_a_training_in_chunks_continues_to_the_same_bits(tmp_path):
    def fields(**more):
        return {"max_steps": 7, "batch_size": 16, "chunk_size": 5, **more}

    def model(**more):
        encoder = {"ft_transformer": {"repr_dim": 4, "heads": 1, "depth": 1}}  # with dropout
        return methods.build({"tabular_simclr": {"encoder": encoder, "random_state": 0, "trainer": fields(**more)}})

    whole = model().fit(rows())
    place = {"checkpoint_dir": str(tmp_path), "checkpoint_every": 2}
    with pytest.raises(RuntimeError, match="stop"):
        model(**place, callbacks=[Stop()]).fit(rows())
    with pytest.raises(ValueError, match=r"trainer.chunk_size was 5 and is None"):
        model(**place, chunk_size=None).fit(rows())
    continued = model(**place).fit(rows())
    assert all(torch.equal(v, continued.method_.state_dict()[k]) for k, v in whole.method_.state_dict().items())


# --- who is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"simclr": {"encoder": RESNET}}, r"encoder\.blocks\.0\.norm1 .* parameter encoder one .* dilated_conv or"),
        ({"tstcc": {"repr_dim": 8, "hidden_dim": 4}}, r"encoder\.blocks\.0\.1 .* lets rows"),
        ({"adversarial_views": {"encoder": CONVOLUTION}}, "its adversary crafts views"),
        ({"viewmaker": {"encoder": CONVOLUTION}}, "its views are made by weights that are trained"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_method_whose_rows_meet_is_refused_by_name(spec, reason):
    ((name, parameters),) = spec.items()
    estimator = methods.build({name: {**parameters, "trainer": {"max_steps": 1, "chunk_size": 4}}})
    with pytest.raises(ValueError, match=rf"Trainer\(chunk_size=4\) .*: {reason}.*lower batch_size"):
        estimator.fit(draw_samples()[0])


@pytest.mark.parametrize(
    ("parameters", "remedy"),
    [
        ({}, "the parameter series_encoder one whose rows do not meet, such as dilated_conv or patch_transformer"),
        ({"series_encoder": CONVOLUTION, "table_encoder": "resnet_mlp"}, "the parameter table_encoder one .* as mlp"),
    ],
)
def test_of_pairs_the_parameter_of_the_side_is_named(parameters, remedy):
    samples = PairedData(series=draw_samples()[0], table=rows()[: len(draw_samples()[0])])
    estimator = methods.build({"paired_clip": {**parameters, "trainer": {"max_steps": 1, "chunk_size": 4}}})
    with pytest.raises(ValueError, match=remedy):
        estimator.fit(samples)


def test_statistics_that_stay_as_they_are_are_no_obstacle():
    method, views = prepared("simclr", encoder=RESNET)
    method.encoder.requires_grad_(False)
    method.train()  # a frozen part stays in eval mode
    found = gradients(method, views, CHUNK)
    assert_same(found, gradients(method, views, None), rtol=1e-7, atol=1e-9)
    assert not [name for name in found if name.startswith("grad.encoder")]


def test_a_loss_of_its_own_is_not_taken_for_that_of_the_class_above():
    method, views = prepared("paired_clip", **PAIR)

    class Other(type(method)):
        def loss(self, views):
            return super().loss(views)

    method.__class__ = Other
    with pytest.raises(ValueError, match="has no exact gradient for Other: its loss does not say which part"):
        GradientCache(method, views, CHUNK)


def test_the_number_of_rows_is_checked():
    with pytest.raises(ValueError, match=r"chunk_size=\.\.\.\) must be at least 1; got 0"):
        SCARF(**SMALL, trainer=Trainer(chunk_size=0)).fit(rows())


# --- two processes ----------------------------------------------------------------------------------------------------

PARTS = (slice(0, 15), slice(15, N))


def process(rank: int, folder: Path) -> None:
    """Gradients of one of two processes, as DistributedDataParallel would average them."""
    store = f"file://{(folder / 'store').as_posix()}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=120))
    method, views = prepared("paired_clip", **PAIR)
    found = gradients(method, [view.rows(PARTS[rank]) for view in views], CHUNK)
    for name, value in found.items():
        if name.startswith("grad."):
            dist.all_reduce(value)
            value /= 2
    save_file({name: value.contiguous() for name, value in found.items()}, folder / f"rank{rank}.safetensors")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_with_a_part_of_the_batch_each_have_the_gradient_of_all(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    command = [sys.executable, str(Path(__file__).resolve())]
    running = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        messages = [one.communicate(timeout=240)[1] for one in running]
    finally:
        for one in running:
            one.kill()
    assert [one.returncode for one in running] == [0, 0], "\n".join(messages)
    expected = {k: v for k, v in gradients(*prepared("paired_clip", **PAIR), None).items() if k != "generator"}
    for rank in range(2):
        found = load_file(tmp_path / f"rank{rank}.safetensors")
        assert_same({k: v for k, v in found.items() if k != "generator"}, expected, rtol=1e-7, atol=1e-9)


if __name__ == "__main__":
    process(int(sys.argv[1]), Path(sys.argv[2]))
