"""What this process holds in memory, as Linux says it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["memory"]


def memory(field: str = "VmHWM") -> float:
    """MB of a field of ``/proc/self/status``: VmHWM is the peak, VmRSS what is held now, RssAnon without mapped files.

    ``getrusage`` would give the peak of the process that this one came from, where that was larger.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
