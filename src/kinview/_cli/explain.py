"""``kinview explain``: which time steps, channels or columns move the representation of samples."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.data import DataOptions, Source
from kinview._cli.models import check_output, check_reads, load_model, read_by, sample_names, with_parameters
from kinview._cli.text import count, say
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jsonargparse import Namespace

    from kinview.explanations.explanation import Explanation

__all__ = ["explain", "parse", "run"]

_PICTURES, _TABLES = (".png", ".svg"), (".parquet", ".pq", ".csv")
_DRAWN = 4  # samples that are explained where none are named
_SHOWN = 5  # names of samples in a refusal
_TOLD = 3  # windows or columns of a sample that are said


def explain(
    source: DataOptions,
    *,
    model: str,
    output: str,
    explainer: dict[str, Any] | str = "occlusion",
    parameters: dict[str, Any] | None = None,
    part: Literal["train", "test"] | None = None,
    samples: list[int | str] | int | str | None = None,
    side: str | None = None,
    random_state: int = 0,
) -> None:
    """What to explain.

    Parameters
    ----------
    source : DataOptions
        The data.
    model : str
        Model file that kinview pretrain saved.
    output : str
        A folder, made where there is none: a heat map of each sample and importance.parquet. Or one file: a picture of
        all of them, .png or .svg, or the table of importance, .parquet or .csv, a row a sample, of series a row a step.
    explainer : str or mapping
        Explainer by name (kinview list explainers), or as {name: {parameter: value}}. cortx learns from the training
        part, or from all of a file without a split.
    parameters : mapping, optional
        Parameters of the explainer: '{window: 5}', or one by one as --parameters.window 5.
    part : str, optional
        Part of the data that the samples are from; test, or all of a file without a split.
    samples : list of int or str, optional
        Positions of the samples in that part, from 0, such as 0,3,7, or names that are no whole numbers; the first 4.
    side : str, optional
        Of a model of pairs: the side whose representation is explained, series or table (of a table: table or static).
    random_state : int
        Seed of what the explainer draws.
    """
    import numpy as np
    import pandas as pd

    import kinview
    from kinview.data.modality import SAMPLE
    from kinview.explanations import explainers

    file = _checked_output(output)
    spec = with_parameters(explainers, explainer, parameters) if parameters else explainer
    built = explainers.build(spec)  # a wrong name is told before the data are read
    estimator = load_model(model)
    data = source.source()
    if part is not None and part not in data.parts:
        raise ValueError(
            f"{data.name} has no train and test part: leave out --part, or give --split or --test_fraction"
        )
    chosen = data.parts[part] if part is not None else list(data.parts.values())[-1]
    check_reads(estimator, chosen.modality, data.name)
    rows = _checked_samples(samples, sample_names(chosen), SAMPLE[chosen.modality])
    X, X_train = (
        read_by(estimator, one, source.pairs, data.name)
        for one in (chosen.rows(np.array(rows)), next(iter(data.parts.values())))
    )
    given = {} if built.fitted else {"X_train": X_train}
    found = kinview.explain(estimator, X, built, **given, side=side, random_state=random_state)
    if isinstance(found.index, pd.RangeIndex) and found.index.name is None:  # nothing names them
        found = dataclasses.replace(found, index=pd.Index(rows))
    for place, row in enumerate(rows):
        say(_told(found, place, None if chosen.y is None else chosen.y[row]))
    _write(found, file, rows)
    where = _where(data, chosen)
    say(f"saved {file}: {count(len(rows), SAMPLE[chosen.modality])} of {where}, by {explainers.name_of(built)}")


def _checked_output(output: str) -> Path:
    """A picture or a table, or a folder."""
    if Path(output).suffix.lower() in (*_PICTURES, *_TABLES):
        return check_output(output, (*_PICTURES, *_TABLES))
    folder = Path(output)
    if folder.is_file() or (folder.suffix and not folder.is_dir()):
        raise ValueError(
            f"--output {output} must be a folder, or a file that ends in {', '.join((*_PICTURES, *_TABLES))}"
        )
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"cannot write {output}: there is no folder {folder.parent}; make it first")
    return folder


def _checked_samples(samples: list[int | str] | int | str | None, names: pd.Index, noun: str) -> list[int]:
    """Places of the samples that were asked for: a whole number is a position, other text a name."""
    if samples is None:
        return list(range(min(_DRAWN, len(names))))
    wanted = samples if isinstance(samples, list) else [samples]
    called = [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in names]
    rows = [one if isinstance(one, int) else called.index(one) if one in called else -1 for one in wanted]
    absent = [one for one, row in zip(wanted, rows, strict=True) if not 0 <= row < len(names)]
    if not absent and rows:
        return sorted(set(rows))  # in the order in which the data hold them
    known = [f"{place} for {name}" for name in map(str, absent) if name in called for place in [called.index(name)]]
    shown = f"{', '.join(called[:_SHOWN])}{', ...' if len(called) > _SHOWN else ''}"
    raise ValueError(
        f"--samples {','.join(map(str, wanted))}: there are {count(len(names), noun)}, from 0 to {len(names) - 1}, "
        f"called {shown}" + (f"; a whole number is a position: give {', '.join(known)}" if known else "")
    )


def _told(found: Explanation, place: int, label: Any) -> str:
    """The most important windows or columns of a sample, in words."""
    named = found.title(place) + ("" if label is None or label != label else f", class {label}")
    parts = []
    for row in found.top(place, _TOLD).to_dict("records"):
        if found.of_series:
            first, last = str(row["first"]), str(row["last"])
            where = f"{row['channel']} at {first}" + ("" if first == last else f" to {last}")
        else:
            where = f"{row['column']} = {row['value']}"
        parts.append(f"{where} ({row['importance']:.3g})")
    return f"{named}: {', '.join(parts) or 'nothing was observed'}"


def _write(found: Explanation, file: Path, rows: list[int]) -> None:
    """The picture, the table, or a folder with both."""
    suffix = file.suffix.lower()
    if suffix in _PICTURES:
        found.save(file, range(len(rows)))
    elif suffix in _TABLES:
        _write_table(found, file)
    else:
        file.mkdir(exist_ok=True)
        for place, row in enumerate(rows):
            found.save(file / f"sample_{row}.png", place)
        _write_table(found, file / "importance.parquet")


def _write_table(found: Explanation, file: Path) -> None:
    table = found.to_frame()
    if table.index.names == [None]:
        table = table.rename_axis("sample")
    taken = [name for name in table.index.names if name in table.columns]
    if taken:
        raise ValueError(f"the data have an index column {taken[0]!r}, which is a column too; rename it in the data")
    table = table.reset_index()
    if file.suffix.lower() == ".csv":
        atomic_write(file, table.to_csv(index=False))
        return
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    atomic_write(file, buffer.getvalue())


def _where(data: Source, chosen: Any) -> str:
    part = next(name for name, samples in data.parts.items() if samples is chosen)
    return data.name if part == "all" else f"{data.name} ({part})"


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "explain", "--model FILE  --dataset NAME | --data FILE  --output FOLDER|FILE [options]",
        "Say which time steps, channels or columns move the representation of samples, and draw heat maps of it.",
    )  # fmt: skip
    parser.add_function_arguments(explain, as_positional=False, skip={"source"})
    parser.add_class_arguments(DataOptions)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    source = DataOptions.taken_from(options)
    explain(source, **options.as_dict())
