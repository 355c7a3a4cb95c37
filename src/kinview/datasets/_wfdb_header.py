"""The text header of a WFDB record."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

__all__ = ["INVALID", "Header", "Signal", "read_header"]

INVALID = {"212": -2048, "16": -32768}  # what stands for a sample that is not known
_GAIN = 200.0  # units of the converter in a physical unit, where the header says nothing


@dataclasses.dataclass(frozen=True)
class Signal:
    """One signal: where its samples are, and what they mean: ``(sample - baseline) / gain``."""

    file: str
    format: str
    gain: float
    baseline: int
    checksum: int | None
    name: str


@dataclasses.dataclass(frozen=True)
class Header:
    """Content of a record's header."""

    record: str
    rate: float
    steps: int
    signals: tuple[Signal, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals in their order; empty text where there is none."""
        return tuple(signal.name for signal in self.signals)


def read_header(path: Path) -> Header:
    """Read a header, and refuse what does not hold together, naming the file."""
    lines = [line.strip() for line in path.read_text(encoding="latin-1").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    words = lines[0].split() if lines else []
    if len(words) < 4:
        raise ValueError(
            f"{path.name} must begin with record name, number of signals, sampling rate and number of samples; "
            f"got {lines[0] if lines else 'nothing'!r}"
        )
    try:
        number, rate, steps = int(words[1]), float(re.split(r"[/(]", words[2])[0]), int(words[3])
    except ValueError:
        raise ValueError(f"{path.name}: signals, rate and samples must be numbers; got {lines[0]!r}") from None
    if len(lines) != number + 1 or number < 1 or "/" in words[0]:
        raise ValueError(
            f"{path.name} announces {number} signal(s) and describes {len(lines) - 1}"
            + ("; records of several segments are not read: load the segments" if "/" in words[0] else "")
        )
    if not (0 < rate < math.inf and steps > 0):
        raise ValueError(
            f"{path.name}: the sampling rate must be positive and finite, and the number of samples positive; got "
            f"{rate:g} and {steps}"
        )
    return Header(words[0], rate, steps, tuple(_signal(line, path.name) for line in lines[1:]))


def _signal(line: str, file: str) -> Signal:
    words = line.split(maxsplit=8)
    if len(words) < 2 or words[1] not in INVALID:
        stored = words[1] if len(words) > 1 else "nothing"
        raise ValueError(f"{file}: signals are read in the formats 212 and 16; {words[0]} has {stored}")
    if Path(words[0]).name != words[0]:
        raise ValueError(f"{file} names {words[0]!r}: signals must lie beside their header")
    gain = re.fullmatch(r"([^(/]+)(?:\(([^)]*)\))?(?:/\S+)?", words[2]) if len(words) > 2 else None
    if len(words) > 2 and gain is None:
        raise ValueError(
            f"{file}: the gain of {words[0]} must be written 200, 200(1024) or 200(1024)/mV; got {words[2]!r}"
        )
    units = _number(gain[1], "gain", file) if gain else 0.0
    zero = _whole(words[4], "zero of the converter", file) if len(words) > 4 else 0
    return Signal(
        file=words[0],
        format=words[1],
        gain=units or _GAIN,
        baseline=zero if gain is None or gain[2] is None else _whole(gain[2], "baseline", file),
        checksum=_whole(words[6], "checksum", file) if len(words) > 6 else None,
        name=words[8].strip() if len(words) > 8 else "",
    )


def _number(text: str, what: str, file: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{file}: the {what} must be a number; got {text!r}")
    return value


def _whole(text: str, what: str, file: str) -> int:
    if not re.fullmatch(r"[-+]?\d+", text):
        raise ValueError(f"{file}: the {what} must be a whole number; got {text!r}")
    return int(text)
