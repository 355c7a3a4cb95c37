"""Time and memory of the losses, side by side with what they replace.

python benchmarks/losses.py hierarchical --threads 2
python benchmarks/losses.py nt_xent  (pytorch-metric-learning takes part where it is installed)

With several threads on a machine that others use, set OMP_WAIT_POLICY=passive: a thread that spins while its partner
waits for a core costs the many short operations of the tiles more than the few long ones of the official code.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _memory import memory
from torch import Tensor

from kinview.losses import hierarchical, nt_xent
from kinview.losses._blockwise import logsumexp_rows

# --- the official hierarchical loss, transcribed: z is (batch, time, channels) ---------------------------------------


def official_contrast(z: Tensor, m: int) -> Tensor:
    similarity = torch.matmul(z, z.transpose(1, 2))
    logits = torch.tril(similarity, diagonal=-1)[:, :, :-1]
    logits += torch.triu(similarity, diagonal=1)[:, :, 1:]
    logits = -F.log_softmax(logits, dim=-1)
    i = torch.arange(m, device=z.device)
    return (logits[:, i, m + i - 1].mean() + logits[:, m + i, i].mean()) / 2


def official_hierarchical(z1: Tensor, z2: Tensor, alpha: float = 0.5) -> Tensor:
    loss = torch.tensor(0.0, device=z1.device)
    levels = 0
    while z1.size(1) > 1:
        loss = loss + alpha * official_contrast(torch.cat([z1, z2], dim=0).transpose(0, 1), z1.size(0))
        loss = loss + (1 - alpha) * official_contrast(torch.cat([z1, z2], dim=1), z1.size(1))
        levels += 1
        z1 = F.max_pool1d(z1.transpose(1, 2), kernel_size=2).transpose(1, 2)
        z2 = F.max_pool1d(z2.transpose(1, 2), kernel_size=2).transpose(1, 2)
    loss = loss + alpha * official_contrast(torch.cat([z1, z2], dim=0).transpose(0, 1), z1.size(0))
    return loss / (levels + 1)


def series_losses() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    return {
        "official": official_hierarchical,
        "dense": lambda a, b: hierarchical(a.mT, b.mT, mode="dense"),
        "tiled": lambda a, b: hierarchical(a.mT, b.mT, mode="tiled"),
        "auto": lambda a, b: hierarchical(a.mT, b.mT),
    }


def forward_backward(loss: Callable[[Tensor, Tensor], Tensor], z1: Tensor, z2: Tensor) -> tuple[float, Tensor]:
    a, b = z1.clone().requires_grad_(), z2.clone().requires_grad_()
    value = loss(a, b)
    value.backward()
    assert a.grad is not None
    return value.item(), a.grad


def draw_series(options: argparse.Namespace) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z1 = 0.2 * torch.randn(options.batch, options.steps, options.dim, generator=generator)
    return z1, z1 + 0.1 * torch.randn(z1.shape, generator=generator)


def run_hierarchical(options: argparse.Namespace) -> None:
    z1, z2 = draw_series(options)
    losses = series_losses()
    if options.peak_of:
        before = memory()
        forward_backward(losses[options.peak_of], z1, z2)
        print(json.dumps(memory() - before))
        return
    reference, gradient = forward_backward(losses["official"], z1, z2)
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    processor: dict[str, list[float]] = {name: [] for name in losses}
    for _ in range(options.rounds):  # in turns, so that a busy machine is busy for all of them
        for name, loss in losses.items():
            start, start_processor = time.perf_counter(), time.process_time()
            forward_backward(loss, z1, z2)
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - start_processor)
    print(f"hierarchical, B = {options.batch}, T = {options.steps}, d = {options.dim}, {options.threads} threads")
    print("                ms  faster  cpu ms  faster  peak MB  ratio     value  gradient")
    peaks: dict[str, float] = {}
    for name, loss in losses.items():
        value, slope = forward_backward(loss, z1, z2)
        peaks[name] = peak_of(name, options)
        paired = [a / b for a, b in zip(seconds["official"], seconds[name], strict=True)]
        paired_processor = [a / b for a, b in zip(processor["official"], processor[name], strict=True)]
        print(
            f"{name:10}{1e3 * statistics.median(seconds[name]):8.0f}{statistics.median(paired):8.2f}"
            f"{1e3 * statistics.median(processor[name]):8.0f}{statistics.median(paired_processor):8.2f}"
            f"{peaks[name]:9.0f}{peaks[name] / peaks['official']:7.3f}"
            f"{abs(value - reference):10.1e}{((slope - gradient).abs().max() / gradient.abs().max()).item():10.1e}"
        )


def peak_of(name: str, options: argparse.Namespace) -> float:
    """Memory over that of the inputs, of one forward and backward pass in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "hierarchical", "--peak-of", name]
    for option in ("batch", "steps", "dim", "threads"):
        command += [f"--{option}", str(getattr(options, option))]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


# --- NT-Xent: the blockwise kernel against the dense matrix, peers, and a float64 reference --------------------------


def dense_nt_xent(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    z = F.normalize(torch.cat([a, b]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(z), device=z.device).roll(len(a)))


def peer_nt_xent(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    """pytorch-metric-learning's, which holds one row of all negative pairs a positive: cubic in the batch."""
    from pytorch_metric_learning.losses import NTXentLoss

    labels = torch.arange(len(a)).repeat(2)
    return NTXentLoss(temperature=temperature)(torch.cat([a, b]), labels)


def tiled_cross_view(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    return logsumexp_rows(F.normalize(a, dim=1), F.normalize(b, dim=1), 1 / temperature).mean()


class FusedAttention(torch.autograd.Function):
    """Log-sum-exp of a cross-view block from torch's attention on CPU; its output is the gradient of the queries."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor) -> Tensor:
        heads = (q[None, None], k[None, None], k[None, None])
        output, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*heads, scale=1.0)[:2]
        ctx.save_for_backward(q, k, output, lse)
        return lse.flatten()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        q, k, output, lse = ctx.saved_tensors
        weighted = (grad[:, None] * q)[None, None]
        heads = (q[None, None], k[None, None], k[None, None], output, lse, 0.0, False)
        backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        return grad[:, None] * output[0, 0], backward(weighted, *heads, scale=1.0)[2][0, 0]


def fused_cross_view(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    return FusedAttention.apply(F.normalize(a, dim=1) / temperature, F.normalize(b, dim=1)).mean()


VIEW_LOSSES: dict[str, Callable[..., Tensor]] = {
    "kinview": nt_xent,
    "dense": dense_nt_xent,
    "pytorch-metric-learning": peer_nt_xent,
    "cross-view tiles": tiled_cross_view,
    "cross-view fused attention": fused_cross_view,
}


def draw_views(n: int, dim: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(n, dim, generator=generator)
    return a, a + torch.randn(n, dim, generator=generator)


def sampled_reference(a: Tensor, b: Tensor, temperature: float, rows: Tensor, chunk: int = 512) -> tuple[float, Tensor]:
    """Value, and gradient of some rows of ``a``, in float64 and chunks, from the formula; positives kept apart."""
    leaf = a[rows].double().requires_grad_()
    z, n = F.normalize(torch.cat([a, b]).double(), dim=1), len(a)
    partner = torch.arange(2 * n).roll(n)
    negatives = torch.empty(2 * n, dtype=torch.float64)
    for first in range(0, 2 * n, chunk):
        logits = z[first : first + chunk] @ z.T / temperature
        here = torch.arange(len(logits))
        logits[here, here + first] = logits[here, partner[first : first + chunk]] = -torch.inf
        negatives[first : first + chunk] = torch.logsumexp(logits, dim=1)
    positives = (z * z[partner]).sum(dim=1) / temperature
    lse = torch.logaddexp(negatives, positives)
    missed = torch.exp(negatives - lse)  # one minus the probability of the positive
    own, here = F.normalize(leaf, dim=1), torch.arange(len(rows))
    with torch.no_grad():
        logits = own @ z.T / temperature
        weights = torch.exp(logits - lse[rows, None]) + torch.exp(logits - lse)
        weights[here, rows] = 0
        weights[here, rows + n] = -(missed[rows] + missed[rows + n])
        slope = weights @ z / (2 * n * temperature)
    value = torch.log1p(torch.exp(negatives - positives)).mean().item()
    return value, torch.autograd.grad(own, leaf, slope)[0]


def turns(names: list[str], n: int, options: argparse.Namespace) -> None:
    """Forward and backward of several losses in turns; nanoseconds a pair of rows, wall and processor."""
    a, b = draw_views(n, options.dim)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            start, start_processor = time.perf_counter(), time.process_time()
            forward_backward(partial(VIEW_LOSSES[name], temperature=options.temperature), a, b)
            spent[name].append((time.perf_counter() - start, time.process_time() - start_processor))
    for name in names:
        pairs = n * n if name.startswith("cross") else 4 * n * n
        wall, processor = (1e9 * statistics.median(side) / pairs for side in zip(*spent[name], strict=True))
        print(f"{name:28}{2 * n:9}{wall:10.2f}{processor:10.2f}{view_peak(name, n, options):10.0f}")


def view_peak(name: str, n: int, options: argparse.Namespace) -> float:
    command = [sys.executable, str(Path(__file__)), "nt_xent", "--peak-of", name, "--rows", str(2 * n)]
    for option in ("dim", "temperature", "threads"):
        command += [f"--{option}", str(getattr(options, option))]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def run_nt_xent(options: argparse.Namespace) -> None:
    n = options.rows // 2
    a, b = draw_views(n, options.dim)
    if options.peak_of:
        forward_backward(VIEW_LOSSES[options.peak_of], *draw_views(8, options.dim))  # what the first call alone loads
        before = memory()
        forward_backward(partial(VIEW_LOSSES[options.peak_of], temperature=options.temperature), a, b)
        print(json.dumps(memory() - before))
        return
    print(
        f"NT-Xent forward + backward, d = {options.dim}, tau = {options.temperature}, {options.threads} threads,",
        end=" ",
    )
    print(f"load {os.getloadavg()[0]:.1f}\n{'':28}{'rows':>9}{'ns/pair':>10}{'cpu':>10}{'peak MB':>10}")
    if find_spec("pytorch_metric_learning"):
        turns(["kinview", "dense", "pytorch-metric-learning"], 128, options)
    turns(["kinview", "dense"], options.dense_rows // 2, options)
    turns(["cross-view tiles", "cross-view fused attention"], options.dense_rows // 2, options)
    start, start_processor = time.perf_counter(), time.process_time()
    value, gradient = forward_backward(partial(nt_xent, temperature=options.temperature), a, b)
    wall, processor = time.perf_counter() - start, time.process_time() - start_processor
    per_pair = 1e9 / options.rows**2
    peak = view_peak("kinview", n, options)
    print(f"{'kinview':28}{options.rows:9}{wall * per_pair:10.2f}{processor * per_pair:10.2f}{peak:10.0f}")
    rows = torch.randperm(n, generator=torch.Generator().manual_seed(1))[:256]
    expected, slope = sampled_reference(a, b, options.temperature, rows)
    error = ((gradient[rows] - slope).norm(dim=1) / slope.norm(dim=1)).max().item()
    print(
        f"{wall:.0f} s ({processor:.0f} s of processor); value {value:.7f}, off by {abs(value - expected):.1e}; ",
        end="",
    )
    print(f"largest relative error of the gradients of {len(rows)} rows {error:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    series = commands.add_parser("hierarchical", help="TS2Vec's loss against a transcription of the official code")
    series.add_argument("--batch", type=int, default=8)
    series.add_argument("--steps", type=int, default=1500)
    series.add_argument("--dim", type=int, default=320)
    series.add_argument("--threads", type=int, default=1)
    series.add_argument("--rounds", type=int, default=3)
    series.add_argument("--peak-of", choices=sorted(series_losses()), help=argparse.SUPPRESS)
    series.set_defaults(run=run_hierarchical)
    views = commands.add_parser("nt_xent", help="the blockwise kernel against the dense matrix and installed peers")
    views.add_argument("--rows", type=int, default=65536, help="2N of the large batch")
    views.add_argument("--dense-rows", type=int, default=8192, help="2N of the comparison with the dense matrix")
    views.add_argument("--dim", type=int, default=128)
    views.add_argument("--temperature", type=float, default=0.1)
    views.add_argument("--threads", type=int, default=1)
    views.add_argument("--rounds", type=int, default=5)
    views.add_argument("--peak-of", choices=sorted(VIEW_LOSSES), help=argparse.SUPPRESS)
    views.set_defaults(run=run_nt_xent)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.run(options)


if __name__ == "__main__":
    main()
