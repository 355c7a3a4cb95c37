"""A benchmark on a Dask cluster: each chain of cells is a task of its scheduler."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from kinview.evaluation.benchmark.work import Outcome, Task, compute

__all__ = ["dask_computer"]

_PUBLIC = ("tcp://", "tls://", "ucx://", "ws://", "wss://")


@contextlib.contextmanager
def dask_computer(where: str, workers: int) -> Iterator[Callable[[Sequence[Task]], Iterable[Outcome]]]:
    """What computes tasks on a cluster, for the time of the block.

    A worker that dies costs the step that it was at: the scheduler gives its chain to another one, which finds in the
    store and in the cache what was done. A chain whose workers die again and again ends the run (Dask's
    ``distributed.scheduler.allowed-failures``).

    Parameters
    ----------
    where : str
        ``"local"``: a cluster of ``workers`` processes on this machine; else the address of a scheduler.
    workers : int
        Processes of a local cluster.

    Raises
    ------
    ModuleNotFoundError
        If Dask is not installed.
    ValueError
        If there is no scheduler at the address, or a worker runs several threads.
    """
    try:
        import distributed
    except ModuleNotFoundError:
        raise ModuleNotFoundError("dask needs the library distributed: pip install 'kinview[dask]'") from None
    if where != "local" and not where.startswith(_PUBLIC):
        raise ValueError(f"dask must be local or the address of a scheduler, tcp://host:8786; got {where!r}")
    cluster_of, client_of = cast("Any", distributed.LocalCluster), cast("Any", distributed.Client)  # they have no types
    with contextlib.ExitStack() as stack:
        if where == "local":
            cluster = cluster_of(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            )
            client = stack.enter_context(client_of(stack.enter_context(cluster), set_as_default=False))
        else:
            try:
                client = stack.enter_context(client_of(where, set_as_default=False, timeout=20))
            except OSError as error:
                raise ValueError(
                    f"no Dask scheduler answers at {where} ({error}); start one with `dask scheduler`, and workers "
                    f"with `dask worker {where} --nthreads 1`"
                ) from None
        _require_single_threads(client)
        yield lambda tasks: _computed(client, tasks)


def _computed(client: Any, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Outcomes as they come; what is asked for in this order is begun in this order."""
    import distributed

    completed = cast("Any", distributed.as_completed)
    group = f"chain-{secrets.token_hex(4)}"  # all in one group and at once: they wait at the scheduler, not at a worker
    keys = [(group, f"{i:06}-{task.key}") for i, task in enumerate(tasks)]
    asked = client.map(_compute, tasks, key=keys, pure=False)
    try:
        for future in completed(asked, loop=client.loop):
            try:
                yield future.result()
            except distributed.KilledWorker as error:
                raise ValueError(
                    f"the workers that computed one chain of cells died again and again ({error}): it may need more "
                    "memory than a worker has; the results so far are stored, the same command continues"
                ) from None
            future.release()  # held on, it would be computed again when its worker dies
    finally:
        client.cancel([future for future in asked if not future.done()])


def _compute(task: Task) -> Outcome:
    """Compute a chain in a worker of the cluster."""
    from distributed import get_worker

    if get_worker().state.nthreads != 1:
        raise ValueError(_THREADS)
    return compute(task)


_THREADS = (
    "a worker of the Dask cluster runs several threads, and training seeds torch's generators, which threads share: "
    "start workers with --nthreads 1 (and several of them with --nworkers)"
)


def _require_single_threads(client: Any) -> None:
    if any(threads != 1 for threads in client.nthreads().values()):
        raise ValueError(_THREADS)
