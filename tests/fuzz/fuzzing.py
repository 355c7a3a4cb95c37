"""The loop of the fuzz tests: drawn cases for a time, each read, refused in words, or a fault that can be repeated."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

Outcome = Literal["value", "refused"]
Case = Callable[[np.random.Generator, Path], Outcome]

TARGETS = 12
SECONDS = float(os.environ.get("KINVIEW_FUZZ_SECONDS", "180")) / TARGETS
_HANGS = 60  # seconds; a case takes milliseconds
_FAULTS = 5
SAID: list[str] = []  # what came of each run, for the end of the report
_ENOUGH = 20  # cases, for a fraction to say something


@dataclasses.dataclass(frozen=True)
class Found:
    """What came of a run: how many cases had which outcome, and the text of each fault."""

    counts: dict[str, int]
    faults: list[str]

    def fraction(self, outcome: str) -> float:
        """Fraction of the cases with an outcome; of too few cases it says nothing, and is 1."""
        total = sum(self.counts.values())
        return self.counts.get(outcome, 0) / total if total >= _ENOUGH else 1.0


def fuzz(case: Case, folder: Path) -> Found:
    """Run a case on fresh draws until the time is over.

    Parameters
    ----------
    case : callable
        ``case(random, folder)`` returns ``"value"`` or ``"refused"``, and raises where something is wrong.
    folder : Path
        Where the case may write.

    Notes
    -----
    ``KINVIEW_FUZZ_SECONDS`` is the time of all fuzz tests together; ``KINVIEW_TEST_SEED`` and ``KINVIEW_FUZZ_CASE``
    repeat one case.
    """
    seed = int(os.environ.get("KINVIEW_TEST_SEED") or np.random.SeedSequence().generate_state(1)[0])
    only = os.environ.get("KINVIEW_FUZZ_CASE")
    counts: collections.Counter[str] = collections.Counter()
    faults: list[str] = []
    end, number = time.monotonic() + SECONDS, int(only or 0)
    while time.monotonic() < end and len(faults) < _FAULTS:
        try:
            with _limited():
                counts[case(np.random.default_rng([seed, number]), folder)] += 1
        except Exception:
            counts["fault"] += 1
            repeat = f"KINVIEW_TEST_SEED={seed} KINVIEW_FUZZ_CASE={number} repeats this case"
            faults.append(f"{repeat}\n{traceback.format_exc(limit=-6)}")
        number += 1
        if only:
            break
    SAID.append(f"{case.__name__}: {sum(counts.values()):,} cases of seed {seed}: {dict(sorted(counts.items()))}")
    return Found(dict(counts), faults)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Turn a hang into an error, and warnings of what is read into nothing."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"a case has run for {_HANGS} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_HANGS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def refusal(*said: str) -> Iterator[list[str]]:
    """Catch an error in words; the list then holds it. One that does not name what it should is passed on."""
    heard: list[str] = []
    try:
        yield heard
    except (ValueError, FileNotFoundError, yaml.YAMLError) as error:
        text = str(error)
        if not text.strip() or any(word not in text for word in said):
            raise AssertionError(f"an error that does not say {said}: {error!r}") from error
        heard.append(text)


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """Bytes with a few of them changed, cut out, doubled, or the end cut off."""
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        if not changed:
            break
        start = int(random.integers(len(changed)))
        end = min(len(changed), start + int(random.integers(1, 20)))
        match random.integers(5):
            case 0:
                changed[start] = int(random.integers(256))
            case 1:
                changed[start] ^= 1 << int(random.integers(8))
            case 2:
                del changed[start:end]
            case 3:
                changed[start:start] = changed[start:end]
            case _:
                del changed[start:]
    return bytes(changed)
