"""What there is to do: chains of cells that share a fitted model, dealt out to shards, without what is done."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from kinview.evaluation.benchmark.grid import Cell

__all__ = ["Shard", "Todo", "kept_failures", "to_do"]


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of several parts of a benchmark, for runs that know nothing of each other.

    Chains go to the shards whole, and those together whose model was pre-trained on the same other data sets, so that
    no model is fitted in two of them: what is the most work first, to the shard that has the least so far. That depends
    on the benchmark alone and not on what is done already, so the shards of one benchmark are disjoint whenever they
    run.

    Parameters
    ----------
    number : int
        From 1 on.
    of : int
        Number of shards.

    Raises
    ------
    ValueError
        If the number is not from 1 to ``of``.

    Examples
    --------
    >>> Shard.of_text("3/16")
    Shard(number=3, of=16)
    >>> Shard.of_text("0/16")
    Traceback (most recent call last):
    ...
    ValueError: a shard is one of 1/16 to 16/16, such as 3/16; got '0/16'
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(_wanted(self.of, f"{self.number}/{self.of}"))

    @classmethod
    def of_text(cls, text: str) -> Shard:
        """A shard as it is written: ``3/16``."""
        found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", str(text))
        if found is None:
            raise ValueError(_wanted(16, str(text)))
        return cls(int(found[1]), int(found[2]))

    def chains(self, chains: Sequence[list[Cell]], costs: Sequence[float]) -> list[list[Cell]]:
        """The chains of this shard, in the order in which they are given."""
        groups: dict[str, list[int]] = {}
        for i, chain in enumerate(chains):
            groups.setdefault(_fitted_model(chain[0]), []).append(i)
        work = {key: sum(costs[i] for i in members) for key, members in groups.items()}
        loads, mine = [0.0] * self.of, set[int]()
        for key in sorted(groups, key=lambda key: -work[key]):  # equal ones as they come: the sort is stable
            least = loads.index(min(loads))
            loads[least] += work[key]
            if least == self.number - 1:
                mine.update(groups[key])
        return [chain for i, chain in enumerate(chains) if i in mine]


@dataclasses.dataclass(frozen=True, eq=False)
class Todo:
    """Cells of one run, and those of them that are to be computed.

    Parameters
    ----------
    cells : sequence of Cell
        All of the run: of its shard, where it has one.
    chains : sequence of list of Cell
        Those to compute, by the fitted model they rest on; the most work first.
    failed : mapping of str to int
        Keys of the cells that failed earlier and are to be tried again, and how often they were computed.
    kept : int
        Number of cells that failed earlier and stay so.
    """

    cells: Sequence[Cell]
    chains: Sequence[list[Cell]]
    failed: Mapping[str, int]
    kept: int


def kept_failures(number: int) -> str:
    """What is said of cells that failed earlier and are not tried again."""
    return f"{number} cells failed earlier and stay so; --retry_failed tries them again"


def to_do(
    cells: Sequence[Cell],
    states: Mapping[str, tuple[str, int]],
    data_dir: str | None,
    *,
    shard: Shard | None = None,
    retry_failed: bool = False,
) -> Todo:
    """What a run has to compute.

    Parameters
    ----------
    cells : sequence of Cell
        The whole grid.
    states : mapping
        What the store holds of it, as :meth:`kinview.evaluation.Store.states`.
    data_dir : str, optional
        For :func:`kinview.load`.
    shard : Shard, optional
        The part of the grid that is asked for.
    retry_failed : bool
        Whether failed cells are to be computed again.
    """
    chains, costs = _chains_of(cells, data_dir)
    mine = chains if shard is None else shard.chains(chains, costs)
    failed = {key: times for key, (status, times) in states.items() if status == "failed"}
    again = failed if retry_failed else {}
    left = [[cell for cell in chain if cell.key not in states or cell.key in again] for chain in mine]
    own = [cell for chain in mine for cell in chain]
    kept = sum(cell.key in failed and cell.key not in again for cell in own)
    return Todo(own, [chain for chain in left if chain], again, kept)


def _chains_of(cells: Sequence[Cell], data_dir: str | None) -> tuple[list[list[Cell]], list[float]]:
    """Cells by the fitted model they rest on, and the work that each chain is; the most work first.

    The work is a guess: cells times values of the training part, and a hundredfold where a method trains. What trains
    on other data sets does so once, in the first of its chains.
    """
    from kinview.evaluation.benchmark.steps import load_dataset
    from kinview.methods import methods

    chains: dict[str, list[Cell]] = {}
    for cell in cells:
        chains.setdefault(cell.pretrain_key, []).append(cell)
    trained: set[str] = set()

    def values(dataset: str, options: str) -> int:
        return int(load_dataset(dataset, data_dir, options).X_train.size)

    def cost(chain: list[Cell]) -> float:
        cell, size = chain[0], values(chain[0].dataset, chain[0].dataset_options)
        trains = methods.build(cell.method, for_modality=cell.modality).trains and _fitted_model(cell) not in trained
        trained.add(_fitted_model(cell))
        fitted_on = size if cell.sources is None else sum(values(one.dataset, one.options) for one in cell.sources)
        return float(len(chain) * size + (_TRAINING * fitted_on if trains else 0))

    costs = {id(chain): cost(chain) for chain in chains.values()}
    ordered = sorted(chains.values(), key=lambda chain: -costs[id(chain)])
    return ordered, [costs[id(chain)] for chain in ordered]


def _fitted_model(cell: Cell) -> str:
    """Key of the model that is trained for a cell."""
    return cell.pretrain_key if cell.sources is None else cell.source_key


_TRAINING = 100  # cells that a fit is worth


def _wanted(of: int, got: str) -> str:
    of = max(of, 1)
    return f"a shard is one of 1/{of} to {of}/{of}, such as {max(1, of // 5)}/{of}; got {got!r}"
