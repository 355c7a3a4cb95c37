"""A training by two processes is the training by one: the same views, losses, gradients and weights.

The file is also the program of the two processes, which a launcher starts: ``python test_several_processes.py FOLDER``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helpers import gen
from kinview import SCARF, Trainer
from kinview.data import Batch
from kinview.distributed import (
    alone,
    from_first,
    is_distributed,
    is_first,
    laid_out_as,
    own_part,
    process_group,
    whole_batches,
)
from kinview.methods import methods
from kinview.training import LossResult, RowwiseMethod
from kinview.training.checkpoint import CHECKPOINT_NAME
from kinview.training.processes import _RowsOfAll, average_gradients
from kinview.training.randomness import forked_generators
from kinview.training.rowwise import check_divisible

RESNET = {"resnet1d": {"widths": [4, 6], "kernel_sizes": [5, 3]}}  # with masked batch normalisation
CONVOLUTION = {"dilated_conv": {"repr_dim": 6, "hidden_dim": 4, "depth": 1}}
CROPS = {"dilated_conv": {**CONVOLUTION["dilated_conv"], "dropout": 0.0}}
PATCHES = {"patch_transformer": {"repr_dim": 8, "heads": 2, "depth": 1, "patch_length": 4, "stride": 4}}
COLUMNS = {"ft_transformer": {"repr_dim": 4, "heads": 1, "depth": 1, "feed_forward_dropout": 0.3}}
# 23 series: batches of 9, 9 and 5 rows, some of which drop out with nothing observed; 40 rows: 16, 16 and 8
SERIES: dict[str, Any] = {"max_steps": 8, "batch_size": 9, "drop_last": False}
TABLE: dict[str, Any] = {"max_epochs": 3, "batch_size": 16, "drop_last": False}
SGD = {**SERIES, "optimizer": "sgd", "lr": 0.02}  # Adam divides gradients of rounding by their size
TS2VEC = {"repr_dim": 6, "hidden_dim": 4, "depth": 2}  # dropout 0.1, averaged weights

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ts2vec": ({"ts2vec": TS2VEC}, SERIES),
    "simclr": ({"simclr": {"encoder": RESNET}}, SERIES),
    "scarf": ({"scarf": {"hidden_dim": 8, "depth": 2}}, {**TABLE, "patience": 3}),  # early stopping
    "moco": ({"moco": {"encoder": RESNET, "queue": 32}}, SERIES),
    "byol": ({"byol": {"encoder": CONVOLUTION}}, SGD),  # its loss does not gather
    "batch_norm": ({"tabular_simclr": {"encoder": {"resnet_mlp": {"depth": 1}}}}, TABLE),
    "dropout": ({"tabular_simclr": {"encoder": COLUMNS}}, {**TABLE, "averaging": "ema"}),
    "chunks": ({"tabular_simclr": {"encoder": COLUMNS}}, {**TABLE, "chunk_size": 5}),
    "few_rows": ({"ts2vec": TS2VEC}, {**SERIES, "batch_size": 2}),  # fewer than two a process
    "attention": ({"simclr": {"encoder": PATCHES}}, SERIES),
    "cheap_dropout": ({"simclr": {"encoder": "tstcc_cnn"}}, SERIES),
    "viewmaker": ({"viewmaker": {"encoder": CONVOLUTION}}, SERIES),
    "vime": ({"vime": {}}, TABLE),
    "tacl": ({"tabular_tacl": {"encoder": COLUMNS}}, TABLE),
    "reconstruction": ({"masked_reconstruction": {"encoder": CONVOLUTION}}, SERIES),
    "adversarial_views": ({"adversarial_views": {"encoder": CONVOLUTION}}, SGD),
}
ROWS = (23, 9, 3)  # of one step; three rows are computed by each process
GRADIENTS: dict[str, dict[str, Any]] = {
    "ts2vec": TS2VEC,
    "simclr": {"encoder": RESNET},
    "byol": {"encoder": RESNET},
    "joint_embedding": {"encoder": {"fused_crops": {"length": 8, "encoder": CROPS}}},  # crops are drawn in the network
    "tfc": {},
    "tstcc": {"repr_dim": 8, "hidden_dim": 4},
}


def series() -> np.ndarray:
    """Of unequal length, with gaps; of one nothing was observed."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(23, 2, 16))
    X[draw.random(X.shape) < 0.1] = np.nan
    X[:7, :, 11:] = np.nan
    X[3] = np.nan
    return X


def table() -> np.ndarray:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(40, 4))
    X[draw.random(X.shape) < 0.1] = np.nan
    return X


def model(case: str, **more: Any) -> Any:
    spec, trainer = CASES[case]
    ((name, parameters),) = spec.items()
    return methods.build({name: {**parameters, "random_state": 0, "trainer": {"lr": 1e-3, **trainer, **more}}})


def fitted(case: str, **more: Any) -> dict[str, Tensor]:
    """Losses and weights of a training."""
    ((name, _),) = CASES[case][0].items()
    estimator = model(case, **more).fit(table() if methods[name].modality == "tabular" else series())
    found = {f"weight.{name}": value for name, value in estimator.method_.state_dict().items()}
    for record in ("history", "validation"):
        losses = [step["loss"] for step in getattr(estimator.training_, record)]
        found[record] = torch.tensor(losses, dtype=torch.float64)
    return {name: value.detach().clone().contiguous() for name, value in found.items()}


def gradients(name: str, rows: int) -> dict[str, Tensor]:
    """Loss, gradients and statistics in float64 of one step, with dropout, by all processes that there are."""
    estimator = methods.build({name: {**GRADIENTS[name], "random_state": 0}})
    estimator.initialise(series())
    batch = estimator.to_batch(series())
    method = estimator.method_.double().train()
    views = method.views(batch.replace(x=batch.x.double()), gen(1), 0.0)
    with forked_generators(3, torch.device("cpu")), whole_batches():
        loss = method.loss([view.rows(slice(0, rows)) for view in views]).loss
        loss.backward()
        found = {"loss": loss.detach(), "generator": torch.get_rng_state()}
        if dist.is_initialized():
            assert not average_gradients(method.parameters(), stop=False)
    found |= {f"grad.{key}": p.grad for key, p in method.named_parameters() if p.grad is not None}
    return found | {f"buffer.{key}": buffer for key, buffer in method.named_buffers()}


class Noisy(RowwiseMethod):
    """Draws within its network, of which two processes know no common draw."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def views(self, batch, generator, progress):
        return [batch]

    def representations(self, views):
        return [self.layer(views[0].x + torch.rand(len(views[0]), 3))]

    def loss_of_representations(self, views, representations):
        return LossResult(representations[0].square().mean())

    def embed(self, batch):
        return self.layer(batch.x)


def noisy_training() -> None:
    with forked_generators(0, torch.device("cpu")):
        Trainer(max_steps=1, batch_size=8, lr=0.1).fit(Noisy(), Batch.of(torch.zeros(8, 3)), generator=gen(0))


def message_of(call: Any) -> str:
    with pytest.raises(ValueError) as error:
        call()
    return str(error.value)


def process(folder: Path) -> None:
    """What one of the two processes does."""
    found: dict[str, Tensor] = {}
    with process_group():
        rank = dist.get_rank()
        for case in CASES:
            found |= {f"{case}/{name}": value for name, value in fitted(case).items()}
        for name in GRADIENTS:
            for rows in ROWS:
                found |= {f"{name}:{rows}/{key}": value for key, value in gradients(name, rows).items()}
        apart = folder / f"apart{rank}"
        apart.mkdir()
        if is_first():
            (apart / CHECKPOINT_NAME).touch()
        said = [
            message_of(lambda: SCARF(random_state=0, trainer={"max_steps": 1}).fit(table() ** (1 + 2 * rank))),
            message_of(lambda: SCARF(random_state=rank, trainer={"max_steps": 1}).fit(table())),
            message_of(lambda: methods.build({"saint": {"trainer": {"max_steps": 1}}}).fit(table())),
            message_of(noisy_training),
            message_of(lambda: SCARF(random_state=0, trainer={"checkpoint_dir": str(apart)}).fit(table())),
            f"{SCARF(random_state=None)._seed()} {from_first(rank)} {is_first()}",
        ]
        (folder / f"said{rank}.txt").write_text("\n".join(said), encoding="utf-8")
        save_file({name: value.contiguous() for name, value in found.items()}, folder / f"rank{rank}.safetensors")


def launched(*words: str) -> subprocess.Popen[str]:
    """Two processes of one program, as torchrun starts them."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(running: subprocess.Popen[str]) -> str:
    """What they wrote to stdout, once they are done."""
    try:
        out, errors = running.communicate(timeout=240)
    finally:
        running.kill()
    assert running.returncode == 0, errors
    return out


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Tensor]], list[list[str]]]:
    """What the two processes found, and what they were told."""
    folder = tmp_path_factory.mktemp("processes")
    finished(launched(str(Path(__file__).resolve()), str(folder)))
    said = [(folder / f"said{rank}.txt").read_text(encoding="utf-8").splitlines() for rank in range(2)]
    return [load_file(folder / f"rank{rank}.safetensors") for rank in range(2)], said


def of(case: str, ranks: Any) -> list[dict[str, Tensor]]:
    prefix = f"{case}/"
    return [{k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)} for found in ranks[0]]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_losses_of_one(case, ranks):
    whole = fitted(case)
    first, second = of(case, ranks)
    assert len(whole["history"]) in (8, 9)
    for name in ("history", "validation"):
        torch.testing.assert_close(first[name], whole[name], rtol=0, atol=1e-5)
    assert first.keys() == second.keys() == whole.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0, equal_nan=True, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", GRADIENTS)
def test_the_gradient_and_the_statistics_are_those_of_the_whole_batch(name, rows, ranks):
    whole = gradients(name, rows)
    for found in of(f"{name}:{rows}", ranks):
        assert found.keys() == whole.keys()
        for key, value in whole.items():
            torch.testing.assert_close(found[key], value, rtol=1e-8, atol=1e-10, msg=key)


@pytest.mark.slow
def test_processes_that_have_begun_apart_and_what_cannot_be_divided_are_refused_by_name(ranks):
    first, second = ranks[1]
    assert first[:5] == second[:5]
    assert "the 2 processes have different training rows" in first[0]
    assert "have different training rows, weights, random_state: start each with the same command" in first[1]
    assert "SAINTMethod cannot be trained by several processes: its loss does not say" in first[2]
    assert "the network draws random numbers by torch's rand" in first[3]
    assert "have different checkpoints (checkpoint_dir has to lie where all of them read it)" in first[4]
    assert first[5].split()[:2] == second[5].split()[:2]  # a seed of the first for all
    assert [first[5].split()[2], second[5].split()[2]] == ["True", "False"]


# --- the command line, and a process that is killed ------------------------------------------------------------------

STEPS = 40


def pretraining(folder: Path, data: Path) -> list[str]:
    callbacks = f"[{{json_lines: {{path: {(folder / 'steps.jsonl').as_posix()}}}}}]"
    run = f"checkpoint_every: 4, checkpoint_dir: {(folder / 'run').as_posix()}, callbacks: {callbacks}"
    return [
        "-m", "kinview", "pretrain", "--data", str(data), "--method", "scarf",
        "--output", str(folder / "model.safetensors"), "--parameters", "{hidden_dim: 8, depth: 2}",
        "--trainer", f"{{max_steps: {STEPS}, batch_size: 16, patience: {STEPS}, {run}}}",
    ]  # fmt: skip


def stop_one(running: subprocess.Popen[str], number: int, log: Path, after: int) -> None:
    """Send a signal to the second process once the first has done so many steps."""
    while running.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < after):
        time.sleep(0.005)
    workers = [child for child in psutil.Process(running.pid).children() if "pretrain" in child.cmdline()]
    assert len(workers) == 2
    workers[1].send_signal(number)
    running.communicate(timeout=120)
    assert running.returncode != 0


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_a_process_that_is_killed_or_interrupted_leaves_what_continues_to_the_same_bits(tmp_path):
    data, whole, stopped = tmp_path / "table.csv", tmp_path / "whole", tmp_path / "stopped"
    pd.DataFrame(table(), columns=list("abcd")).to_csv(data, index=False)
    whole.mkdir()
    stopped.mkdir()
    out = finished(launched(*pretraining(whole, data)))
    assert out.count("saved ") == 1  # one of the two says it
    steps = pd.read_json(whole / "steps.jsonl", lines=True)["step"]
    assert steps.tolist() == list(range(1, STEPS + 1))  # and writes it

    log = stopped / "steps.jsonl"
    stop_one(launched(*pretraining(stopped, data)), signal.SIGKILL, log, after=15)
    assert (stopped / "run" / CHECKPOINT_NAME).exists() and not (stopped / "model.safetensors").exists()
    before = len(log.read_bytes().splitlines())
    stop_one(launched(*pretraining(stopped, data)), signal.SIGINT, log, after=before + 10)
    assert not (stopped / "model.safetensors").exists()
    finished(launched(*pretraining(stopped, data)))
    weights = [load_file(folder / "model.safetensors") for folder in (whole, stopped)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    states = [load_file(folder / "run" / CHECKPOINT_NAME) for folder in (whole, stopped)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items() if name != "facts")


# --- one process ------------------------------------------------------------------------------------------------------


def test_without_a_process_group_nothing_is_divided():
    with process_group():
        assert not is_distributed() and is_first() and from_first("seed") == "seed"
    with whole_batches():
        assert own_part(10) is None
        with alone():
            assert own_part(10) is None


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (5, 3, 1, 4)])
def test_batch_normalisation_over_all_processes_is_torchs_where_there_is_one(shape):
    x = torch.randn(shape, generator=gen(0), dtype=torch.float64)
    results = []
    for mode in (False, True):
        norm = (nn.BatchNorm2d if x.ndim == 4 else nn.BatchNorm1d)(3).double()
        nn.init.uniform_(norm.weight, generator=gen(1))
        own = x.clone().requires_grad_()
        with _RowsOfAll() if mode else alone():
            y = norm(own)
        (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        results.append([y.detach(), own.grad, norm.weight.grad, norm.bias.grad, *norm.buffers()])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("x", [torch.ones(6, 4, 3), torch.ones(6, 3, 4).transpose(1, 2), torch.ones(4, 6).T])
def test_dropout_and_attention_draw_as_torchs_do(x):
    q = torch.randn(2, 2, 5, 3, generator=gen(0))
    attention = nn.MultiheadAttention(4, 2, dropout=0.4, batch_first=True)
    found = []
    for mode in (False, True):
        torch.manual_seed(0)
        with _RowsOfAll() if mode else alone():
            found.append([
                F.dropout(x, 0.4),
                F.dropout(x.clone(), 0.4, inplace=True),
                F.scaled_dot_product_attention(q, q, q, dropout_p=0.5),
                F.scaled_dot_product_attention(q, q, q, torch.ones(5, 5, dtype=torch.bool).tril(), dropout_p=0.5),
                attention(q[0], q[0], q[0].expand(2, 5, 3), need_weights=False)[0] if q.shape[-1] == 4 else q,
                torch.get_rng_state(),
            ])  # fmt: skip
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one)


def test_a_transformer_layer_draws_as_torchs_does():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True)
    x = torch.randn(3, 5, 8, generator=gen(0))
    found = []
    for mode in (False, True):
        torch.manual_seed(0)
        with _RowsOfAll() if mode else alone():
            found.append(layer(x).detach())
    torch.testing.assert_close(found[1], found[0])
    assert not torch.allclose(found[0], layer.eval()(x))


def test_the_rows_of_all_lie_in_memory_as_the_own_do():
    image = torch.empty(2, 5, 1, 3).contiguous(memory_format=torch.channels_last)
    for x in (torch.empty(2, 5, 3), image):
        assert laid_out_as(x, 2) == (tuple(x.shape), x.stride())
        assert laid_out_as(x, 4) == ((4, *x.shape[1:]), x.stride())  # rows lie one after the other
    assert laid_out_as(torch.empty(5, 2, 3).transpose(0, 1), 4) == ((4, 5, 3), (3, 12, 1))  # or within each step


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"transtab": {}}, "its loss does not say which part of the network reads each row by itself"),
        (
            {"tfc": {"encoder": "official", "channel_independent": False}},
            r"in time_encoder \(TFCTransformer\) what a row",
        ),
    ],
)
def test_a_method_whose_rows_cannot_be_divided_is_refused_by_name(spec, reason):
    (name,) = spec
    X = pd.DataFrame(table()) if methods[name].modality == "tabular" else series()
    method = methods.build(spec).initialise(X).method_
    with pytest.raises(ValueError, match=rf"{type(method).__name__} cannot be trained by several processes: {reason}"):
        check_divisible(method)


if __name__ == "__main__":
    process(Path(sys.argv[1]))
