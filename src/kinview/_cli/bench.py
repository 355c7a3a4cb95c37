"""``kinview bench``: a benchmark from its configuration to the report."""

from __future__ import annotations

import dataclasses
import re
import typing
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview._cli.arguments import Metric, config_files, new_parser, parse as parse_words
from kinview._cli.data import DataOptions
from kinview._cli.models import shown_url
from kinview._cli.report import clean_predictions, report
from kinview._cli.study import named_study
from kinview._cli.text import complain, count, say, terminal_width
from kinview.evaluation.benchmark.plan import Benchmark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from jsonargparse import ArgumentParser, Namespace

__all__ = ["parse", "report_file", "run"]

_FIELDS = tuple(field.name for field in dataclasses.fields(Benchmark))
_OF_RUN = ("shard", "retry_failed", "dask")  # parameters of kinview.evaluation.run
_OPTIONS = (
    "output_dir",
    "store",
    "metric",
    "reference",
    "maps",
    "dry_run",
    *_OF_RUN,
)  # of the command, not of a benchmark
KEYS = tuple(field.name for field in dataclasses.fields(DataOptions))  # how a study file says them of its data sets
_CELLS_FAILED = 3
_SHOWN_FAILURES = 10


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command, the values of the named benchmark among them."""
    from kinview.evaluation.benchmark.study import read_study

    parser = _parser()
    asks = ("-h", "--help", "--print_config", "--print-config")
    first = parse_words(parser, [word for word in words if not word.startswith(asks)])
    if not any(word in words for word in asks[:2]) and first.benchmark is not None:
        config = read_study(first.benchmark)
        _refuse_options(config)
        parser.set_defaults({key: value for key, value in config.items() if key in _FIELDS})
    options = parse_words(parser, words)
    for file in config_files(words):
        _relative_to(file, options)
    return options


def _relative_to(file: Path, options: Namespace) -> None:
    """Take paths of data sets that stand in a file of ``--config`` for those of its folder."""
    from kinview.evaluation.benchmark.study import with_paths
    from kinview.yaml_text import read_yaml, yaml_file_text

    config = read_yaml(yaml_file_text(file))
    for name, value in with_paths(config, file.parent).items():
        if value != config[name] and options[name] == config[name]:
            options[name] = value


def _refuse_options(config: Mapping[str, Any]) -> None:
    for name in _OPTIONS:
        if name in config:
            raise ValueError(f"{name} is an option of the command: give --{name}, or use --config FILE")


def run(options: Namespace) -> int:
    """Run the command; 3 where cells failed."""
    from kinview.configs import config_names
    from kinview.evaluation.benchmark.runner import run as run_benchmark
    from kinview.evaluation.report import format_table, write_report
    from kinview.evaluation.report.default_metric import default_metric
    from kinview.evaluation.report.embedding_maps import check_maps
    from kinview.evaluation.store import Store

    values = {name: options[name] for name in _FIELDS if options[name] is not None}
    if options.benchmark is not None:
        values = named_study(options.benchmark) | values
    elif values:
        values.setdefault("name", "benchmark")
    if not values:
        raise ValueError(
            f"give a benchmark: one that ships with the package ({', '.join(config_names('benchmark'))}), a YAML "
            f"file, or describe one by its options (see kinview bench --help)"
        )
    benchmark = Benchmark.from_config(values)
    check_maps(options.maps)
    folder = Path(options.output_dir)
    url = options.store or f"sqlite:///{folder}/results.db"
    if options.dry_run:
        return _say_forecast(benchmark, url, folder / "cache", options)
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(url)
    try:
        given = {name: options[name] for name in _OF_RUN}
        frame = run_benchmark(benchmark, store, cache_dir=folder / "cache", **given)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the results so far are stored, the same command continues") from None
    failed = frame[frame["status"] == "failed"]
    if options.shard is not None and len(frame) < store.planned(benchmark.name):
        done = f"{len(frame)} of {store.planned(benchmark.name)} cells are in {shown_url(store)}"
        say(f"{done}; the same command without --shard computes what is left, and writes the report")
        _tell_failures(failed)
        return _CELLS_FAILED if len(failed) else 0
    page = report_file(folder, benchmark.name)
    embeddings = benchmark.embeddings(folder / "cache")
    shown = {"metric": options.metric or default_metric(frame), "reference": options.reference}
    stored: Any = {
        "embeddings": embeddings,
        "maps": options.maps,
        "predictions": clean_predictions(store, frame),
        "steps": store.steps(),
    }
    write_report(frame, page, benchmark=benchmark, left_out=_left_out(benchmark), **stored, **shown)
    say(
        *format_table(frame, width=terminal_width(), **shown).split("\n"),
        "",
        f"{count(len(frame), 'cell')} in {shown_url(store)}; report:",
    )
    _tell_failures(failed)
    say(str(page))
    return _CELLS_FAILED if len(failed) else 0


def _say_forecast(benchmark: Benchmark, url: str, cache: Path, options: Namespace) -> int:
    """Say what a run would compute; nothing is made, no store either."""
    from kinview.evaluation.benchmark.forecast import forecast
    from kinview.evaluation.store import Store

    try:
        store = Store(url, create=False)
    except FileNotFoundError:
        store = None
    told = forecast(benchmark, store, cache_dir=cache, shard=options.shard, retry_failed=options.retry_failed)
    say(f"{benchmark.name}, as it would run{'' if options.shard is None else f', shard {options.shard}'}:")
    say(*(f"  {line}" for line in told.lines()))
    say(*(f"not in the grid: {what}" for what in _left_out(benchmark)))
    return 0


def _left_out(benchmark: Benchmark) -> list[str]:
    """What has no cells, and why; planning has said by then what is to say about the data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return benchmark.left_out()


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
    from kinview.evaluation.benchmark.runner import run as run_benchmark
    from kinview.evaluation.map_names import MapName

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
    parser.add_argument("--metric", type=Metric | None, default=None, help=shown["metric"])
    parser.add_argument("--reference", type=str | None, default=None, help=shown["reference"])
    parser.add_argument("--maps", type=list[MapName], default=["pca"],
                        help=f"how the page draws embeddings: {', '.join(typing.get_args(MapName))} "
                             "(umap needs kinview[umap])")  # fmt: skip
    ran = _help_of_parameters(run_benchmark)
    parser.add_argument("--dry_run", type=bool, default=False,
                        help="say what is to be computed and about how long it takes, and compute nothing")  # fmt: skip
    parser.add_argument("--shard", type=str | None, default=None, help=ran["shard"])
    parser.add_argument("--retry_failed", type=bool, default=False, help=ran["retry_failed"])
    parser.add_argument("--dask", type=str | None, default=None, help=ran["dask"])
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
