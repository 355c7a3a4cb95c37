"""Claims on work: of several processes on one store, the one that claims a piece of work computes it."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kinview.evaluation._database import insert_into, tables

if TYPE_CHECKING:
    from kinview.evaluation.store import Store

__all__ = ["BEAT", "LEASE", "Claim", "Mark", "Watch", "claimed", "drop_dead_claims"]

BEAT = 5.0
"""Seconds between two signs of life of a process that holds a claim."""

LEASE = 60.0
"""Seconds without a sign of life after which the claim of a process on another machine is taken over."""

Mark = tuple[str, int]  # owner of a claim, and how many signs of life it has given


class Claim:
    """A claim that this process holds.

    Attributes
    ----------
    lost : bool
        Whether another process has taken it over: this one was stopped for longer than :data:`LEASE`.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key, self._owner = store, key, secrets.token_hex(16)
        self.lost = False

    def _take(self, stale: Mark | None) -> bool:
        """Enter the claim, or take over one that is stale or whose process is dead; whether that was possible."""
        claims = tables()["claims"]
        ours = {"owner": self._owner, "machine": _machine(), "process": _process(os.getpid()), "beats": 0}
        with self._store.connected(write=True) as connection:
            enter = insert_into(connection.dialect.name)(claims).values(hash=self._key, **ours)
            if connection.execute(enter.on_conflict_do_nothing().returning(claims.c.hash)).first() is not None:
                return True
        with self._store.connected() as connection:
            row = connection.execute(claims.select().where(claims.c.hash == self._key)).first()
        if row is None or not ((row.owner, row.beats) == stale or _is_dead(row.machine, row.process)):
            return False  # held, or given back this moment: asked again later
        as_seen = (claims.c.hash == self._key) & (claims.c.owner == row.owner) & (claims.c.beats == row.beats)
        with self._store.connected(write=True) as connection:
            return bool(connection.execute(claims.update().where(as_seen).values(**ours)).rowcount == 1)

    def _beat(self, over: threading.Event) -> None:
        claims = tables()["claims"]
        own = (claims.c.hash == self._key) & (claims.c.owner == self._owner)
        while not over.wait(BEAT):
            with contextlib.suppress(ValueError, OSError), self._store.connected(write=True) as connection:
                beat = claims.update().where(own).values(beats=claims.c.beats + 1)
                if connection.execute(beat).rowcount == 0:
                    self.lost = True
                    return

    def _give_back(self) -> None:
        claims = tables()["claims"]
        with self._store.connected(write=True) as connection:
            connection.execute(claims.delete().where(claims.c.hash == self._key, claims.c.owner == self._owner))


@contextlib.contextmanager
def claimed(store: Store, key: str, *, stale: Mark | None = None) -> Iterator[Claim | None]:
    """A claim on a piece of work for the time of the block, or None where another process holds it.

    A process that dies gives nothing back. On its own machine that is seen at once, by its process id and start time;
    from others by its signs of life: it gives one every :data:`BEAT` seconds, and who has seen none for :data:`LEASE`
    seconds (:class:`Watch`) takes over. No clock of one machine is compared with that of another.

    Parameters
    ----------
    store : Store
        Where the claims are kept.
    key : str
        Name of the work.
    stale : tuple of str and int, optional
        A claim that may be taken over, see :meth:`Watch.free`.

    Examples
    --------
    >>> import tempfile
    >>> from kinview.evaluation import Store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store(f"{folder}/results.db")
    ...     with claimed(store, "0a1b") as first, claimed(store, "0a1b") as second:
    ...         print(first is None, second is None)
    False True
    """
    claim = Claim(store, key)
    if not claim._take(stale):
        yield None
        return
    over = threading.Event()
    beating = threading.Thread(target=claim._beat, args=(over,), daemon=True)
    beating.start()
    try:
        yield claim
    finally:
        over.set()
        beating.join()
        claim._give_back()


def drop_dead_claims(store: Store) -> int:
    """Delete the claims of processes of this machine that are dead, and return how many these were.

    Work that is open is claimed anew without this (:func:`claimed`); a process that died after the last result of its
    work leaves a claim that nobody asks for again.

    Parameters
    ----------
    store : Store
        Where the claims are kept.
    """
    claims = tables()["claims"]
    with store.connected() as connection:
        dead = [row for row in connection.execute(claims.select()) if _is_dead(row.machine, row.process)]
    dropped = 0
    for row in dead:  # as it was seen: another process may have taken it over since
        as_seen = (claims.c.hash == row.hash) & (claims.c.owner == row.owner)
        with store.connected(write=True) as connection:
            dropped += connection.execute(claims.delete().where(as_seen)).rowcount
    return dropped


class Watch:
    """What another process holds, as seen over some time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since: dict[str, tuple[Mark, float]] = {}

    def free(self, keys: Iterable[str]) -> dict[str, Mark | None]:
        """Those of the given pieces of work that may be claimed, each with the stale claim on it, or None."""
        claims = tables()["claims"]
        with self._store.connected() as connection:
            held = {row.hash: row for row in connection.execute(claims.select())}
        found: dict[str, Mark | None] = {}
        for key in keys:
            row = held.get(key)
            if row is None:
                found[key] = None
                continue
            mark, now = (row.owner, row.beats), time.monotonic()
            if self._since.get(key, (None,))[0] != mark:
                self._since[key] = mark, now
            if now - self._since[key][1] > LEASE or _is_dead(row.machine, row.process):
                found[key] = mark
        return found


@functools.cache
def _machine() -> str:
    """Where a process id means one process: the machine since it was started, and there the namespace."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _process(pid: int) -> str:
    """A process on this machine: its id, and where the system says it the time of its start."""
    started, state = _started(pid)
    return f"{pid} {started}" if state is not None else str(pid)


def _started(pid: int) -> tuple[str, str | None]:
    """Start time of a process in ticks, and its state; the state is None where nothing is known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # its name may hold anything
        return fields[19], fields[0]
    except (OSError, IndexError):
        return "", None


def _is_dead(machine: str, process: str) -> bool:
    """Whether a process is known to be dead: it was on this machine, and is no longer there."""
    if machine != _machine():
        return False
    pid, _, started = process.partition(" ")
    if started:
        now, state = _started(int(pid))
        return now != started or state in ("Z", "X")
    if os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
