"""``kinview bench``: a benchmark from its configuration to the report."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview._cli.arguments import Metric, new_parser, parse as parse_words
from kinview._cli.models import shown_url
from kinview._cli.report import report
from kinview._cli.text import complain, count, say, terminal_width
from kinview.evaluation.benchmark.plan import Benchmark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from jsonargparse import ArgumentParser, Namespace

__all__ = ["parse", "report_file", "run"]

_FIELDS = tuple(field.name for field in dataclasses.fields(Benchmark))
_OPTIONS = ("output_dir", "store", "metric", "reference")  # of the command; they are not part of a benchmark
_SHOWN_FAILURES = 10


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command, the values of the named benchmark among them."""
    from kinview.configs import read_config

    parser = _parser()
    asks = ("-h", "--help", "--print_config", "--print-config")
    first = parse_words(parser, [word for word in words if not word.startswith(asks)])
    if not any(word in words for word in asks[:2]) and first.benchmark is not None:
        config = read_config("benchmark", first.benchmark)
        _refuse_options(config)
        parser.set_defaults({key: value for key, value in config.items() if key in _FIELDS})
    return parse_words(parser, words)


def _refuse_options(config: Mapping[str, Any]) -> None:
    for name in _OPTIONS:
        if name in config:
            raise ValueError(f"{name} is an option of the command: give --{name}, or use --config FILE")


def run(options: Namespace) -> int:
    """Run the command; 1 where cells failed."""
    from kinview.configs import config_names, read_config
    from kinview.evaluation.benchmark.runner import run as run_benchmark
    from kinview.evaluation.report import format_table, write_report
    from kinview.evaluation.store import Store

    values = {name: options[name] for name in _FIELDS if options[name] is not None}
    if options.benchmark is not None:
        values = read_config("benchmark", options.benchmark) | values
    elif values:
        values.setdefault("name", "benchmark")
    if not values:
        raise ValueError(
            f"give a benchmark: one that ships with the package ({', '.join(config_names('benchmark'))}), a YAML "
            f"file, or describe one by its options (see kinview bench --help)"
        )
    benchmark = Benchmark.from_config(values)
    folder = Path(options.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(options.store or f"sqlite:///{folder}/results.db")
    try:
        frame = run_benchmark(benchmark, store, cache_dir=folder / "cache")
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the results so far are stored, the same command continues") from None
    page = report_file(folder, benchmark.name)
    embeddings = benchmark.embeddings(folder / "cache")
    shown = {"metric": options.metric, "reference": options.reference}
    write_report(frame, page, benchmark=benchmark, embeddings=embeddings, **shown)
    say(
        *format_table(frame, width=terminal_width(), **shown).split("\n"),
        "",
        f"{count(len(frame), 'cell')} in {shown_url(store)}; report:",
    )
    failed = frame[frame["status"] == "failed"]
    _tell_failures(failed)
    say(str(page))
    return 1 if len(failed) else 0


def report_file(folder: Path, name: str) -> Path:
    """File of a benchmark's report.

    Examples
    --------
    >>> report_file(Path("out"), "my study/2").as_posix()
    'out/my-study-2.html'
    """
    return folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name).strip('.-') or 'report'}.html"


def _tell_failures(failed: pd.DataFrame) -> None:
    """Failed cells on stderr, those of one cause together."""
    groups = list(failed.fillna({"message": ""}).groupby("message", sort=False))
    for message, cells in groups[:_SHOWN_FAILURES]:
        first = cells.iloc[0]
        where = ", ".join(str(first[name]) for name in ("dataset", "method", "probe")) + f", seed {first['seed']}"
        others = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        complain(f"failed: {where}{others}: {' '.join(str(message).split())}")
    if len(groups) > _SHOWN_FAILURES:
        complain(f"failed: {len(groups) - _SHOWN_FAILURES} further causes, see the report")


def _parser() -> ArgumentParser:
    parser = new_parser(
        "bench", "[NAME|FILE] [options]",
        "Run a benchmark: every cell of the grid, a table, an HTML report. What the store has is not computed again.",
    )  # fmt: skip
    parser.add_argument("benchmark", nargs="?", type=str | None, default=None,
                        help="a benchmark that ships with the package (quickstart), or a YAML file; without it the "
                             "options below describe one")  # fmt: skip
    parser.add_argument("--output_dir", type=str, default="kinview-results",
                        help="folder of the report, the results and the cached models")  # fmt: skip
    parser.add_argument("--store", type=str | None, default=None,
                        help="database of the results (sqlite:///FILE, postgresql+psycopg://user@host/name); "
                             "OUTPUT_DIR/results.db unless given")  # fmt: skip
    shown = _help_of_parameters(report)
    parser.add_argument("--metric", type=Metric, default="accuracy", help=shown["metric"])
    parser.add_argument("--reference", type=str | None, default=None, help=shown["reference"])
    group = parser.add_argument_group("The benchmark; an option replaces the value in the file")
    hints, help_of = typing.get_type_hints(Benchmark), _help_of_parameters(Benchmark)
    for name in _FIELDS:
        group.add_argument(f"--{name}", type=_option_type(hints[name]) | None, default=None, help=help_of[name])
    return parser


def _option_type(hint: Any) -> Any:
    """Type of an option; a sequence is a list, as YAML has them."""
    members = [member for member in typing.get_args(hint) if member is not type(None)]
    if typing.get_origin(hint) is not None and "Sequence" in str(typing.get_origin(hint)):
        return list[members[0]]  # type: ignore[valid-type]
    return hint


def _help_of_parameters(described_by: Any) -> dict[str, str]:
    import docstring_parser

    described = docstring_parser.parse(described_by.__doc__ or "").params
    return {
        name: " ".join((parameter.description or "").split())
        for parameter in described
        for name in parameter.arg_name.split(", ")
    }
