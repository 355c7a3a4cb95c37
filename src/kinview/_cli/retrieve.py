"""``kinview retrieve``: by one side of a sample, the samples that are nearest by the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.data import DataOptions
from kinview._cli.models import check_output, check_reads, load_model, read_by
from kinview._cli.text import count, say, table
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jsonargparse import Namespace

    from kinview.data.paired import PairedData

__all__ = ["parse", "retrieve", "run"]

_SUFFIXES = (".png", ".svg", ".csv")
_COLUMNS = 6  # of a found row, in the terminal


def retrieve(
    source: DataOptions,
    *,
    model: str,
    query: list[str | int] | str | int | None = None,
    side: str | None = None,
    k: int = 5,
    part: Literal["train", "test", "all"] | None = None,
    output: str | None = None,
) -> None:
    """What to find.

    Parameters
    ----------
    source : DataOptions
        The data, with static columns as the other side.
    model : str
        Model of pairs that kinview pretrain saved (kinview list methods --modality paired).
    query : list of str, optional
        Names of samples that ask, one or several (132548,132554); without any it is said how often the samples find
        their own.
    side : str, optional
        Side by which they ask, the first unless given: series or table, of a table table or static.
    k : int
        How many of the nearest are shown.
    part : str, optional
        Part of the data that the samples are from; test, or all of a file without a split.
    output : str, optional
        Picture (.png, .svg) or table (.csv) of what each query finds.
    """
    from kinview.methods.estimators.model_file import registry_of
    from kinview.methods.estimators.paired import PairedEstimator

    file = None if output is None else check_output(output, _SUFFIXES)
    if file is not None and query is None:
        raise ValueError("--output shows what queries find; name samples with --query")
    estimator = load_model(model)
    if not isinstance(estimator, PairedEstimator):
        raise ValueError(
            f"{registry_of(estimator).name_of(estimator)} brings no two sides together; give a model of pairs (kinview "
            "list methods --modality paired)"
        )
    data = source.source()
    chosen = next(iter(reversed(data.parts))) if part is None else part
    if chosen not in data.parts:
        raise ValueError(f"{data.name} has the part {', '.join(data.parts)}; got --part {chosen}")
    samples = data.parts[chosen]
    check_reads(estimator, samples.modality, data.name)
    pairs = read_by(estimator, samples, source.pairs, data.name)
    asks = estimator.names_[0] if side is None else side
    if asks not in estimator.names_:
        raise ValueError(f"--side must be {' or '.join(estimator.names_)}; got {asks!r}")
    where = data.name if chosen == "all" else f"{data.name} ({chosen})"
    if query is None:
        say(*_overall(estimator, pairs, where))
        return
    _say_found(estimator, pairs, query if isinstance(query, list) else [query], asks, k, where, file)


def _overall(estimator: Any, pairs: PairedData, where: str) -> list[str]:
    """Recall and ranks in both directions."""
    from kinview.diagnostics.retrieval import retrieval

    first, second = estimator.names_
    found = retrieval(*(estimator.project(pairs, name) for name in (first, second)))
    rows = [
        (
            f"{asks} → {finds}",
            *(f"{row[f'recall@{k}']:.3f} ({row[f'chance@{k}']:.3f})" for k in (1, 5, 10)),
            f"{row['median_rank']:.1f}",
            f"{row['mean_rank']:.1f} ({row['chance_rank']:.1f})",
        )
        for (asks, finds), (_, row) in zip(((first, second), (second, first)), found.iterrows(), strict=True)
    ]
    header = ("", "recall@1", "recall@5", "recall@10", "median rank", "mean rank")
    head = f"{count(int(found['n'].iloc[0]), 'sample')} of {where} with both sides; in brackets what chance gives"
    return [head, "", *table(rows, header)]


def _say_found(estimator: Any, pairs: PairedData, query: list[Any], side: str, k: int, where: str, file: Any) -> None:
    """What each query finds, in the terminal and in a file."""
    from kinview.diagnostics.nearest import nearest, nearest_sheet
    from kinview.diagnostics.sheet import figure_bytes

    found = nearest(estimator, pairs, query, side=side, k=k)
    other = estimator.names_[1 - estimator.names_.index(side)]
    n = int(pairs.side(other).present.sum())
    for name, group in found.groupby("query", sort=False):
        own = group["own_place"].iloc[0]
        stands = f"its own stands at place {own:,.0f}" if own == own else "it has none of its own"
        say(
            f"{side} of {name} → {other}: nearest of {n:,} in {where}; {stands}",
            "",
            *table(*_lines(group, pairs, other)),
            "",
        )
    if file is None:
        return
    if file.suffix.lower() == ".csv":
        atomic_write(file, found.to_csv(index=False))
    else:
        figure = nearest_sheet(pairs, found, side=side, name=where)
        atomic_write(file, figure_bytes(figure, file.suffix.lower()[1:]))
    say(f"saved {file}")


def _lines(group: pd.DataFrame, pairs: PairedData, other: str) -> tuple[list[list[str]], list[str]]:
    """Rows and header of a table of what was found, with the first columns of a row of a table."""
    import pandas as pd

    from kinview.diagnostics.sheet import cell_text

    cosine = [] if group["cosine"].isna().all() else ["cosine"]  # of a method without a common space

    side = pairs.side(other)
    columns = side.features[:_COLUMNS] if isinstance(side.data, pd.DataFrame) else ()
    rows = []
    for one in group.itertuples():
        values = [
            f"{one.place}",
            f"{one.sample}{' (its own)' if one.own else ''}",
            *([f"{one.cosine:.3f}"] if cosine else []),
            f"{one.probability:.3f}",
        ]
        if isinstance(side.data, pd.DataFrame):
            row = side.data.iloc[int(side.place[pairs.index.get_loc(one.sample)])]
            values += [cell_text(cell) for cell in row[: len(columns)]]
        rows.append(values)
    return rows, ["place", "sample", *cosine, "probability", *columns]


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "retrieve", "--model FILE  --dataset NAME | --data FILE  [--query NAME] [options]",
        "Find, by one side of a sample, the samples that are nearest by the other.",
    )  # fmt: skip
    parser.add_function_arguments(retrieve, as_positional=False, skip={"source"})
    parser.add_class_arguments(DataOptions)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    source = DataOptions.taken_from(options)
    retrieve(source, **options.as_dict())
