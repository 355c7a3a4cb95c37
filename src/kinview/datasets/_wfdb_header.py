"""The text header of a WFDB record."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

__all__ = ["INVALID", "Header", "Signal", "read_header"]

INVALID = {"212": -2048, "16": -32768}  # what stands for a sample that is not known
# where the header says nothing: units of the converter in a physical unit, and steps a second
_GAIN, _RATE = 200.0, 250.0
_WHOLE = re.compile(r"[-+]?[0-9]{1,15}")


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
    """Content of a record's header; ``steps`` is None where it does not say how many there are."""

    path: Path
    record: str
    rate: float
    steps: int | None
    signals: tuple[Signal, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals in their order; empty text where there is none."""
        return tuple(signal.name for signal in self.signals)


def read_header(path: Path) -> Header:
    """Read a header, and refuse what does not hold together, naming the file and the line.

    Sampling rate and number of samples may be absent, as the format has it: then the rate is 250 Hz, and as many
    samples are read as the signal files hold. A number of 0 says the same.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not the header of a record.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}, the header of a WFDB record")
    numbered = enumerate(path.read_text(encoding="latin-1").split("\n"), 1)
    lines = [(number, line.strip()) for number, line in numbered]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    first = lines[0][1] if lines else ""
    words = first.split()
    if len(words) < 2:
        raise ValueError(
            f"{path} must begin with record name, number of signals, sampling rate and number of samples; "
            f"got {first[:200] or 'nothing'!r}"
        )
    number, rate, steps = _sizes(words, first, path)
    if len(lines) != number + 1 or number < 1 or "/" in words[0]:
        raise ValueError(
            f"{path} announces {number} signal(s) and describes {len(lines) - 1}"
            + ("; records of several segments are not read: load the segments" if "/" in words[0] else "")
        )
    if not (0 < rate < math.inf and steps >= 0):
        raise ValueError(
            f"{path}: the sampling rate must be positive and finite, and the number of samples positive, or 0 or "
            f"absent where it is not known; got {rate:g} and {steps}"
        )
    signals = []
    for place, line in lines[1:]:
        try:
            signals.append(_signal(line, str(path)))
        except ValueError as error:
            raise ValueError(f"{error} (line {place})") from None
    return Header(path, words[0], rate, steps or None, tuple(signals))


def _sizes(words: list[str], line: str, path: Path) -> tuple[int, float, int]:
    """Number of signals, sampling rate and number of samples (0: not known) of the first line."""
    rate = re.split(r"[/(]", words[2])[0] if len(words) > 2 else str(_RATE)
    steps = words[3] if len(words) > 3 else "0"
    try:
        if not _WHOLE.fullmatch(words[1]) or not _WHOLE.fullmatch(steps):
            raise ValueError
        return int(words[1]), float(rate), int(steps)
    except ValueError:
        raise ValueError(f"{path}: signals, rate and samples must be numbers; got {line[:200]!r}") from None


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
    if 0 < abs(units) < 1e-30:
        raise ValueError(
            f"{file}: the gain of {words[0]} is too small for values in float64; got {gain[1] if gain else 0}"
        )
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
        raise ValueError(f"{file}: the {what} must be a number; got {text[:200]!r}")
    return value


def _whole(text: str, what: str, file: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{file}: the {what} must be a whole number; got {text[:200]!r}")
    return int(text)
