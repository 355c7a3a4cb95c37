"""Two gloo processes with a part of the batch each give the loss and the gradients of one process with all of it.

The file is also the program of those processes: ``python test_losses_distributed.py RANK FOLDER``.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor

from helpers import draw, gen
from kinview.distributed import gather, global_mean, is_distributed, place
from kinview.losses import losses
from kinview.testing._loss_case import call, default_inputs
from test_losses_contract import INPUTS, SPECS

N = 8
SPLITS = {"even": (4, 4), "last_batch": (5, 3)}
TIMES = torch.tensor([0.0, 1.0, 5.0, 6.0, 2.0, 2.0, 9.0, 4.0])
QUEUE = draw(6, 8, seed=5)
# further ways through the losses: spec and what else the rows carry
VARIANTS: dict[str, tuple[Any, dict[str, Tensor]]] = {
    "info_nce:queue": (
        {"info_nce": {"temperature": 0.2}},
        {"queue": QUEUE, "index": torch.arange(N), "queue_index": torch.tensor([3, 9, 0, 7, 7, 10])},
    ),
    "decoupled:weighted": ({"decoupled": {"weighted": True}}, {}),
    "neighbourhood:window": (
        {"neighbourhood": {"window": 2.0}},
        {"times": TIMES, "queue": QUEUE, "queue_groups": torch.arange(6) // 2, "queue_times": TIMES[:6]},
    ),
}
CASES = [*losses, *VARIANTS]


def build(case: str) -> tuple[torch.nn.Module, dict[str, Tensor]]:
    """A fresh loss in float64 and its arguments for the whole batch."""
    spec, extra = VARIANTS.get(case, (SPECS.get(case, case), {}))
    torch.manual_seed(0)
    loss = losses.build(copy.deepcopy(spec)).double()
    inputs = INPUTS.get(case) or default_inputs(loss)
    return loss, {**inputs(N, gen(1)), **extra}


def evaluate(loss: torch.nn.Module, arguments: Mapping[str, Tensor], rows: slice) -> dict[str, Tensor]:
    """Value, gradients of the own rows and of the parameters, as DistributedDataParallel would average them."""
    world = dist.get_world_size() if is_distributed() else 1
    own = {
        name: (value[rows] if len(value) == N else value).clone().requires_grad_(value.is_floating_point())
        for name, value in arguments.items()
    }
    torch.manual_seed(2)
    value = call(loss, own)
    value.backward()
    result = {"value": value.detach()}
    for name, leaf in own.items():
        if leaf.grad is not None:
            result[f"grad.{name}"] = leaf.grad / world
    for name, parameter in loss.named_parameters():
        if parameter.grad is not None:
            if world > 1:
                dist.all_reduce(parameter.grad)
            result[f"parameter.{name}"] = parameter.grad / world
    return result


def own_rows(sizes: tuple[int, int], rank: int) -> slice:
    start = sum(sizes[:rank])
    return slice(start, start + sizes[rank])


def process(rank: int, folder: Path) -> None:
    """What one of the two processes does: every loss on its rows, and the tools themselves."""
    store = f"file://{(folder / 'store').as_posix()}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=120))
    results: dict[str, Tensor] = {}
    for split, sizes in SPLITS.items():
        rows = own_rows(sizes, rank)
        for case in CASES:
            for key, value in evaluate(*build(case), rows).items():
                results[f"{split}/{case}/{key}"] = value.contiguous()
        x = torch.arange(N, dtype=torch.float64)[rows, None].clone().requires_grad_()
        gathered = gather(x)
        (gathered[:, 0] * torch.arange(1, N + 1) * (rank + 1)).sum().backward()
        results[f"{split}/gathered"], results[f"{split}/gathered.grad"] = gathered.detach(), x.grad
        results[f"{split}/integers"] = gather(torch.arange(N)[rows])
        results[f"{split}/place"] = torch.tensor(place(sizes[rank], x.device))
        y = torch.arange(N, dtype=torch.float64)[rows].clone().requires_grad_()
        mean = global_mean(y, torch.arange(N)[rows] < 6)
        mean.backward()
        results[f"{split}/mean"], results[f"{split}/mean.grad"] = mean.detach(), y.grad
        results[f"{split}/nobody"] = global_mean(y, torch.zeros_like(y, dtype=torch.bool)).detach()
    save_file({key: value.detach().clone() for key, value in results.items()}, folder / f"rank{rank}.safetensors")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    """What the two processes found."""
    folder = tmp_path_factory.mktemp("gloo")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    command = [sys.executable, str(Path(__file__).resolve())]
    running = [
        subprocess.Popen([*command, str(rank), str(folder)], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        messages = [one.communicate(timeout=240)[1] for one in running]
    finally:
        for one in running:
            one.kill()
    assert [one.returncode for one in running] == [0, 0], "\n".join(messages)
    return [load_file(folder / f"rank{rank}.safetensors") for rank in range(2)]


def found(results: dict[str, Tensor], split: str, case: str) -> dict[str, Tensor]:
    prefix = f"{split}/{case}/"
    return {key.removeprefix(prefix): value for key, value in results.items() if key.startswith(prefix)}


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("case", [case for case in CASES if losses[case.split(":")[0]].target.gathers])
def test_two_processes_are_one(case: str, split: str, ranks: list[dict[str, Tensor]]) -> None:
    whole = evaluate(*build(case), slice(0, N))
    for rank in range(2):
        rows, part = own_rows(SPLITS[split], rank), found(ranks[rank], split, case)
        assert part.keys() == whole.keys()
        for key, expected in whole.items():
            name = key.removeprefix("grad.")
            per_row = key.startswith("grad.") and len(build(case)[1][name]) == N
            torch.testing.assert_close(
                part[key], expected[rows] if per_row else expected, rtol=1e-8, atol=1e-9, msg=key
            )


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if not losses[case.split(":")[0]].target.gathers])
def test_a_loss_that_does_not_gather_sees_its_own_rows_alone(case: str, ranks: list[dict[str, Tensor]]) -> None:
    for rank in range(2):
        alone = evaluate(*build(case), own_rows(SPLITS["even"], rank))
        torch.testing.assert_close(found(ranks[rank], "even", case)["value"], alone["value"])
    assert not torch.allclose(alone["value"], evaluate(*build(case), slice(0, N))["value"])


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_the_tools_across_processes(split: str, ranks: list[dict[str, Tensor]]) -> None:
    for rank in range(2):
        rows, got = own_rows(SPLITS[split], rank), ranks[rank]
        assert got[f"{split}/gathered"][:, 0].tolist() == list(range(N))
        assert got[f"{split}/gathered.grad"][:, 0].tolist() == [3 * (i + 1) for i in range(N)][rows]  # 1 + 2 processes
        assert got[f"{split}/integers"].tolist() == list(range(N))
        assert got[f"{split}/place"].tolist() == [rows.start, N]
        assert got[f"{split}/mean"].item() == 2.5
        expected = [2 / 6 if i < 6 else 0.0 for i in range(N)][rows]  # both processes send their part
        assert got[f"{split}/mean.grad"].tolist() == pytest.approx(expected)
        assert got[f"{split}/nobody"].item() == 0.0


def test_without_a_process_group_all_of_it_is_the_identity() -> None:
    x = torch.randn(3, 2)
    assert gather(x) is x and not is_distributed()
    assert place(3, x.device) == (0, 3)
    assert global_mean(x).item() == pytest.approx(x.mean().item())


if __name__ == "__main__":
    process(int(sys.argv[1]), Path(sys.argv[2]))
