"""The conditions of a grid: which part of the data is corrupted how far, which labels are wrong, how many are known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kinview.evaluation.benchmark.grid import Part
from kinview.evaluation.benchmark.study import fitted_on

if TYPE_CHECKING:
    from kinview.evaluation.benchmark.plan import Benchmark

__all__ = ["SIDES", "check_corrupt", "conditions_of"]

SIDES = ("train", "test", "both")
"""Parts of the data that a corruption can be applied to."""


def check_corrupt(corrupt: Any, shift_matrix: Any) -> str | tuple[str, ...]:
    """The parts that a benchmark corrupts: one word, or several words, each once.

    Raises
    ------
    ValueError
        If it names no part, or stands beside a shift matrix, which has all of them.
    """
    if not isinstance(shift_matrix, bool):
        raise ValueError(f"shift_matrix must be true or false; got {shift_matrix!r}")
    named = [corrupt] if isinstance(corrupt, str) else list(corrupt) if isinstance(corrupt, Sequence) else []
    if not named or any(side not in SIDES for side in named) or len(set(named)) < len(named):
        raise ValueError(f"corrupt must be one of {', '.join(SIDES)}, or a list of these, each once; got {corrupt!r}")
    if shift_matrix and corrupt != "both":
        raise ValueError(
            f"shift_matrix: true runs each severity of the training part with each of the test part, so that corrupt="
            f"{corrupt!r} has nothing to say; leave one of them out"
        )
    return named[0] if len(named) == 1 else tuple(named)


def conditions_of(benchmark: Benchmark, kinds: Sequence[Part], noises: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """Fields of the cells of one data set, method, probe and seed; clean first.

    Parameters
    ----------
    benchmark : Benchmark
        What is asked for.
    kinds, noises : sequence of Part
        The corruptions and the label noises that the data set takes.
    """
    corrupted = [_clean(), *(_corrupted(benchmark, *one) for one in itertools.product(kinds, _places(benchmark)))]
    noisy: list[tuple[Part | None, float]] = [(None, 0.0)]
    noisy += itertools.product(noises, [float(rate) for rate in benchmark.label_noise_rates if rate > 0])
    budgets = [1.0, *(float(fraction) for fraction in benchmark.label_fractions if fraction < 1)]
    for corruption, (noise, rate), fraction in itertools.product(corrupted, noisy, budgets):
        factors = (corruption["corruption"] is not None) + (noise is not None) + (fraction < 1)
        if benchmark.crossed or factors <= 1:
            labels = {"label_noise": noise.config if noise else None, "label_noise_rate": rate}
            yield {**corruption, **labels, "label_fraction": fraction}


def _clean() -> dict[str, Any]:
    return {"corruption": None, "severity": 0.0, "corrupt": None, "pretrain_on": "clean"}


def _places(benchmark: Benchmark) -> list[tuple[str, float, float | None]]:
    """Which part is corrupted, its severity, and that of the test part where it is another one."""
    severities = [float(severity) for severity in benchmark.severities if severity > 0]
    if not benchmark.shift_matrix:
        sides = [benchmark.corrupt] if isinstance(benchmark.corrupt, str) else list(benchmark.corrupt)
        return [(side, severity, None) for side in sides for severity in severities]
    found: list[tuple[str, float, float | None]] = []
    for train, test in itertools.product([0.0, *severities], repeat=2):
        if train == test:
            found += [("both", train, None)] if train else []
        elif not train or not test:
            found.append(("test" if test else "train", train or test, None))
        else:
            found.append(("both", train, test))
    return found


def _corrupted(benchmark: Benchmark, kind: Part, place: tuple[str, float, float | None]) -> dict[str, Any]:
    side, severity, severity_test = place
    return {
        "corruption": kind.config,
        "severity": severity,
        "corrupt": side,
        "pretrain_on": "clean" if side == "test" else fitted_on(benchmark.pretrain_on),
        **({} if severity_test is None else {"severity_test": severity_test}),
    }
