"""``kinview embed``: a model and data in, a table of representations out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.data import DataOptions, Source
from kinview._cli.models import adapted, check_output, check_reads, load_model, read_by
from kinview._cli.text import count, say
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jsonargparse import Namespace

    from kinview.datasets.samples import Samples

__all__ = ["embed", "embedding_table", "parse", "run"]

_SUFFIXES = (".parquet", ".pq", ".csv")


def embed(
    source: DataOptions,
    *,
    model: str,
    output: str,
    part: Literal["train", "test", "all"] = "all",
    keep: list[str] | str | None = None,
    adapt: bool = False,
) -> None:
    """What to embed.

    Parameters
    ----------
    source : DataOptions
        The data.
    model : str
        Model file that kinview pretrain saved.
    output : str
        Table to write, .parquet or .csv: the index of the samples (patient, series, --index) and their group, what
        --keep asks for, then part and label where they are known, then z0, z1, ...
    part : str
        Which part of the data.
    keep : list of str, optional
        Further columns to write: names of static columns (site, age), static for all of them, time for the first and
        the last time stamp of each series.
    adapt : bool
        For a model of series: first learn channels and scaling from the training part (all of a file without a
        split), and keep the weights. Those that read another number of channels start anew, with a warning.
    """
    from kinview.data.modality import SAMPLE

    file = check_output(output, _SUFFIXES)
    estimator = load_model(model)
    data = source.source()
    if part != "all" and part not in data.parts:
        raise ValueError(
            f"{data.name} has no train and test part: give --part all, or --split or --test_fraction to have them"
        )
    modality = next(iter(data.parts.values())).modality
    check_reads(estimator, modality, data.name)
    if adapt:
        estimator = adapted(estimator, next(iter(data.parts.values())).X)  # "train", or "all" of a file without a split
    asked = [keep] if isinstance(keep, str) else keep or []
    parts = [name for name in data.parts if part in ("all", name)]
    table = embedding_table(data, estimator, parts, keep=asked, pairs=source.pairs)
    if file.suffix.lower() == ".csv":
        atomic_write(file, table.to_csv(index=False))
    else:
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        atomic_write(file, buffer.getvalue())
    dimensions = sum(str(name).startswith("z") and str(name)[1:].isdigit() for name in table.columns)
    say(f"saved {file}: {count(len(table), SAMPLE[modality])} of {data.name}, {count(dimensions, 'dimension')}")


def embedding_table(
    data: Source, estimator: Any, parts: Sequence[str], keep: Sequence[str] = (), pairs: Sequence[str] | None = None
) -> pd.DataFrame:
    """One row a sample: its index, its part of the data and label where known, and its representation.

    Raises
    ------
    ValueError
        If an index level has the name of another column of the table, or the data have not what is to be kept.
    """
    import numpy as np
    import pandas as pd

    tables = []
    for part in parts:
        samples = data.parts[part]
        keys = _keys(samples)
        known: dict[str, Any] = {}
        grouped = samples.groups is not None and not _is_level(samples.groups, keys)
        if grouped and data.group_name not in keys.columns:
            known[data.group_name] = samples.groups
        for name, values in _kept(samples, keep, data.name).items():
            if name not in keys.columns:
                known.setdefault(name, values)
        if part != "all":
            known["part"] = part
        if samples.y is not None:
            known["label"] = samples.y
        z = np.asarray(estimator.transform(read_by(estimator, samples, pairs, data.name)))
        known |= {f"z{i}": column for i, column in enumerate(z.T)}
        taken = [name for name in keys.columns if name in known]
        if taken:
            raise ValueError(
                f"the data have an index column {taken[0]!r}, which the table needs; rename it in the data"
            )
        tables.append(pd.concat([keys, pd.DataFrame(known, index=keys.index)], axis=1))
    return pd.concat(tables, ignore_index=True)


def _keys(samples: Samples) -> pd.DataFrame:
    """The index of the samples as columns: its levels without the time, or their numbers."""
    import pandas as pd

    from kinview.data.modality import SAMPLE

    index = samples.X.index if isinstance(samples.X, pd.DataFrame) else None
    if isinstance(index, pd.MultiIndex):
        return index.droplevel(-1).unique().to_frame(index=False)
    if index is not None and index.name is not None:
        names = list(index.name) if isinstance(index.name, tuple) else [index.name]
        return pd.DataFrame(index.tolist(), columns=names)
    return pd.DataFrame({SAMPLE[samples.modality]: range(len(samples))})


def _kept(samples: Samples, keep: Sequence[str], name: str) -> dict[str, Any]:
    """Static columns and time stamps of the samples, as asked."""
    static: Any = {} if samples.static is None else samples.static
    known = list(map(str, static))
    found: dict[str, Any] = {}
    for asked in keep:
        if asked == "time" and "time" not in known:
            found |= _ends(samples, name)
        elif asked == "static" and known:
            found |= {str(column): static[column].to_numpy() for column in static}
        elif asked in known:
            found[asked] = next(static[column].to_numpy() for column in static if str(column) == asked)
        else:
            said = f"; its static columns are {', '.join(known)}" if known else ", and no static columns (--static)"
            raise ValueError(f"--keep {asked}: {name} has no such column{said}")
    return found


def _ends(samples: Samples, name: str) -> dict[str, Any]:
    """First and last time stamp of each series."""
    import pandas as pd

    from kinview.datasets.samples import series_codes

    if not (isinstance(samples.X, pd.DataFrame) and isinstance(samples.X.index, pd.MultiIndex)):
        raise ValueError(f"--keep time: the samples of {name} have no time stamps")
    stamps = samples.X.index.get_level_values(-1)
    ends = pd.Series(stamps).groupby(series_codes(samples.X)).agg(["min", "max"])
    level = stamps.name or "time"
    return {f"{level}_first": ends["min"].to_numpy(), f"{level}_last": ends["max"].to_numpy()}


def _is_level(groups: Any, keys: pd.DataFrame) -> bool:
    """Whether the groups are the first of several index levels, as they are for series within patients."""
    return keys.shape[1] > 1 and list(keys.iloc[:, 0]) == list(groups)


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "embed", "--model FILE  --dataset NAME | --data FILE  --output FILE [options]",
        "Write the representations of a data set as a table.",
    )  # fmt: skip
    parser.add_function_arguments(embed, as_positional=False, skip={"source"})
    parser.add_class_arguments(DataOptions)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    source = DataOptions.taken_from(options)
    embed(source, **options.as_dict())
