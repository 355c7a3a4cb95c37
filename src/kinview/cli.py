"""The command line: ``kinview COMMAND [options]``.

Each command is a module of ``kinview._cli``, imported when it is asked for, so that help is quick and torch is loaded
only by what computes.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import sys
import traceback
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kinview import __version__
from kinview._cli.text import complain
from kinview.printable import printable

__all__ = ["main"]

COMMANDS = {
    "pretrain": "pre-train a method on a data set and save the model",
    "embed": "write the representations of a data set as Parquet or CSV",
    "probe": "fit a probe on training embeddings and score the test part",
    "views": "draw samples and what an augmentation makes of them",
    "retrieve": "find the samples that are nearest by their other side",
    "match": "match the columns of two tables whose names differ",
    "explain": "which time steps, channels or columns move a representation",
    "bench": "run a benchmark: a table and an HTML report",
    "report": "table, HTML report and CSV of stored results",
    "metrics": "metrics of stored predictions with intervals, differences, subgroups",
    "export": "results as one file to pass on, without names if asked",
    "inspect": "what is inside a model file or a checkpoint",
    "info": "versions, devices, threads and the data folder",
    "list": "the methods, data sets, probes and other parts there are",
}
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_PIPE_CLOSED = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        Exit code: 0, 2 for an error (one line on stderr), 3 where cells of a benchmark failed, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in words
    words = [word for word in words if word != "--verbose"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no "±" gets a "?", not a crash
    asked = _Asked()
    try:
        with _own_warnings(verbose, asked):
            code = _dispatch(_with_parts(words), asked)
            sys.stdout.flush()
            return code
    except SystemExit as ended:  # --help and --print_config end the parser this way
        return ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt as interrupt:
        complain(": ".join(["interrupted", *map(str, interrupt.args)]))
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except Exception as error:
        if verbose:
            sys.stderr.write(printable(traceback.format_exc()))
        complain(f"error: {asked.in_options(_one_line(error))}")
        return 2


class _Asked:
    """What was asked for, as far as it is known: in its words errors and warnings advise."""

    options: Mapping[str, str] = MappingProxyType({})
    keys: Collection[str] = ()
    given: Collection[str] = ()

    def in_options(self, text: str) -> str:
        """Text with the options of the command instead of parameters of Python."""
        from kinview._cli.advice import in_options

        return in_options(text, self.options, self.keys, self.given)


def _with_parts(words: list[str]) -> list[str]:
    """Import the files of ``--import``, each named before it runs; returns the other words."""
    rest, files, given = [], [], iter(words)
    for word in given:
        name, equals, value = word.partition("=")
        if name != "--import":
            rest.append(word)
        elif not (file := value if equals else next(given, "")):
            raise ValueError("--import needs the path of a Python file, --import my_parts.py")
        else:
            files.append(file)
    if files:
        from kinview.own_parts import import_parts

        for file in files:
            import_parts(file, announce=complain)
    return rest


def _dispatch(words: list[str], asked: _Asked) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return 0
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"kinview {__version__}\n")
        return 0
    name = words[0]
    if name not in COMMANDS:
        from kinview.registry import suggestion

        raise ValueError(f"there is no command {name!r}{suggestion(name, COMMANDS)} Known: {', '.join(COMMANDS)}")
    command: Any = importlib.import_module(f"kinview._cli.{name}")
    options = command.parse(words[1:])
    asked.options, asked.keys = {name: name for name in options.as_dict()}, getattr(command, "KEYS", ())
    asked.given = [name for name, value in options.as_dict().items() if value is not None]
    return command.run(options) or 0


def _overview() -> str:
    rows = "".join(f"  {name:<10}{summary}\n" for name, summary in COMMANDS.items())
    return (
        f"kinview {__version__}: self-supervised representations of time series and tables, and what they are worth\n\n"
        f"usage: kinview COMMAND [options]\n\n{rows}\n"
        f"  kinview COMMAND --help   the options of a command; each is also a key of a YAML file for --config FILE\n"
        f"  --import FILE.py         with any command: run a file that registers parts of your own\n"
        f"  --verbose                with any command: show the traceback of an error, and warnings of libraries\n"
        f"  --version                print the version\n"
    )


def _one_line(error: Exception) -> str:
    """What went wrong, without a line break; an error that is not meant for people keeps the name of its class."""
    if isinstance(error, OSError) and error.strerror:
        places = [str(place) for place in (error.filename, error.filename2) if place is not None]
        return ": ".join([error.strerror, *places])
    text = " ".join(str(error).split())
    expected = isinstance(error, ValueError | TypeError | OSError | FloatingPointError | ModuleNotFoundError)
    return text if expected and text else f"{type(error).__name__}: {text} (--verbose shows where)"


@contextlib.contextmanager
def _own_warnings(verbose: bool, asked: _Asked) -> Iterator[None]:
    """Show the package's own warnings as one line each, and those of libraries only where asked."""

    def show(message: Warning | str, *details: Any) -> None:
        if verbose:
            sys.stderr.write(printable(warnings.formatwarning(message, *details[:3])))
            return
        frame = inspect.currentframe()
        while frame is not None and frame.f_globals.get("__name__") in (__name__, "warnings"):
            frame = frame.f_back
        if frame is not None and str(frame.f_globals.get("__name__")).startswith("kinview."):
            complain(f"warning: {asked.in_options(' '.join(str(message).split()))}")

    with warnings.catch_warnings():
        if not verbose:
            warnings.simplefilter("always")
        warnings.showwarning = show  # type: ignore[assignment]
        yield


if __name__ == "__main__":
    sys.exit(main())
