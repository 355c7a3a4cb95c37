"""``kinview match``: which column of one table is which of another."""

from __future__ import annotations

import inspect
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview._cli.advice import in_options
from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.models import check_output, with_parameters
from kinview._cli.text import count, say, table
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jsonargparse import Namespace

    from kinview.schema_matching.matches import ColumnMatches

__all__ = ["match", "parse", "run"]

_SUFFIXES = (".csv", ".parquet", ".pq")
_MOST_NAMES = 20

Pairs = list[str] | dict[str, str] | str | None


def match(
    A: str,
    B: str,
    *,
    mapped: Pairs = None,
    same_names: bool = False,
    matcher: dict[str, Any] | str = "kang_naughton",
    parameters: dict[str, Any] | None = None,
    drop: list[str] | str | None = None,
    read_A: dict[str, Any] | None = None,
    read_B: dict[str, Any] | None = None,
    truth: Pairs = None,
    output: str | None = None,
    random_state: int = 0,
) -> None:
    """What to match.

    Parameters
    ----------
    A : str
        The first table, CSV or Parquet.
    B : str
        The second table.
    mapped : list of str, mapping or str, optional
        Columns that are known: age=alter, once for each pair or as {age: alter}; or a file whose first two columns hold
        the names in A and in B (a line above them that is no pair is taken for a heading).
    same_names : bool
        Take columns that have the same name in both tables as known.
    matcher : str or mapping
        Matcher by name (kinview list matchers), or as {name: {parameter: value}}.
    parameters : mapping, optional
        Parameters of the matcher: '{mask_rate: 0.3}', or one by one as --parameters.mask_rate 0.3.
    drop : list of str, optional
        Columns to leave out of whichever table has them (identifiers, free text, labels).
    read_A : mapping, optional
        How the first table is written, as kinview.datasets.read_wide documents it: '{decimal: ",", sep: ;}'.
    read_B : mapping, optional
        The same of the second table.
    truth : list of str, mapping or str, optional
        The true pairs, all of them, written as those of --mapped: precision, recall and F1 are printed, and a match
        that is none of them is a mistake.
    output : str, optional
        File to write the matches to, .csv or .parquet; those that were known stand first, without a similarity.
    random_state : int
        Seed.
    """
    import pandas as pd

    from kinview.schema_matching import match_columns, matchers
    from kinview.schema_matching.matches import true_pairs
    from kinview.schema_matching.tables import without_columns

    file = None if output is None else check_output(output, _SUFFIXES)
    read = _read(A, read_A or {}, "A"), _read(B, read_B or {}, "B")
    first, second = without_columns(*read, drop or [])
    known = _pairs(mapped, first, second, "mapped")
    if same_names:
        named = {a for a, _ in known} | {b for _, b in known}
        known += [(name, name) for name in first.columns if name in second.columns and name not in named]
    true = None if truth is None else _pairs(truth, first, second, "truth")
    if true is not None:  # a wrong name is told before the work
        true_pairs(true, list(first.columns), list(second.columns), dict(known))
    spec = with_parameters(matchers, matcher, parameters) if parameters else matcher
    shapes = [f"{Path(path).name}: {count(len(X), 'row')}, {count(X.shape[1], 'column')}" for path, X in
              ((A, first), (B, second))]  # fmt: skip
    say(f"read {'; '.join(shapes)}; {len(known)} of them mapped")
    matches = match_columns(first, second, known, matcher=spec, random_state=random_state)
    say("", *_shown(matches, A, B))
    if true is not None:
        say("", *_scored(matches, true))
    if file is not None:
        written = pd.DataFrame(known, columns=["A", "B"]) if known else None
        _write(file, matches.table if written is None else pd.concat([written, matches.table], ignore_index=True))
        say("", f"saved {file}: {count(len(known) + len(matches.pairs), 'pair')}")


def _read(path: str, options: dict[str, Any], letter: str) -> pd.DataFrame:
    """One of the tables; an error names the options of ``--read_A`` or ``--read_B``."""
    from kinview.datasets.tables import read_wide

    try:
        found: pd.DataFrame = read_wide(path, **options).X
    except ValueError as error:
        names = {name: f"read_{letter}.{name}" for name in inspect.signature(read_wide).parameters}
        raise ValueError(in_options(str(error), names, given=options)) from error
    return found


def _pairs(given: Pairs, A: pd.DataFrame, B: pd.DataFrame, option: str) -> list[tuple[str, str]]:
    """Pairs of names, as they are written on the command line or in a file."""
    if given is None:
        return []
    if isinstance(given, dict):
        return [(str(a), str(b)) for a, b in given.items()]
    found: list[tuple[str, str]] = []
    for entry in [given] if isinstance(given, str) else given:
        if "=" in entry:
            a, b = _parted(entry, A, B)
            found.append((a, b))
        elif Path(entry).is_file():
            found += _pairs_of_file(Path(entry), A, B)
        else:
            raise ValueError(
                f"--{option} {entry}: give a pair, as in --{option} age=alter, or a file of pairs; there is no file "
                f"{entry}"
            )
    return found


def _parted(entry: str, A: pd.DataFrame, B: pd.DataFrame) -> tuple[str, str]:
    """Both names of ``a=b``; where a name has the sign itself, as the tables' columns say."""
    cuts = [(entry[:i], entry[i + 1 :]) for i, sign in enumerate(entry) if sign == "="]
    return next(((a, b) for a, b in cuts if a in A.columns and b in B.columns), cuts[0])


def _pairs_of_file(path: Path, A: pd.DataFrame, B: pd.DataFrame) -> list[tuple[str, str]]:
    from kinview.datasets.delimited import TextFormat
    from kinview.datasets.frames import is_typed, read_frame

    frame = read_frame(path) if is_typed(path) else read_frame(path, TextFormat(header=False), codes=[0, 1])
    if frame.shape[1] < 2:
        raise ValueError(f"{path} has one column; the names of A stand in its first, those of B in its second")
    both = frame.iloc[:, :2]
    if both.isna().any(axis=None):
        raise ValueError(f"{path} has a line without both names; complete it, or leave it out")
    pairs = [(str(a), str(b)) for a, b in zip(both.iloc[:, 0], both.iloc[:, 1])]
    no_pair = bool(pairs) and pairs[0][0] not in A.columns and pairs[0][1] not in B.columns
    pairs = pairs[1:] if no_pair and not is_typed(path) else pairs
    if not pairs:
        raise ValueError(f"{path} holds no pair; a line has the name of a column in A and that of one in B")
    return pairs


def _shown(matches: ColumnMatches, A: str, B: str) -> list[str]:
    """The matches, the surest first, and what has none."""
    found = matches.table.sort_values("margin", ascending=False, kind="stable", na_position="first")
    columns = (found[name].tolist() for name in found.columns)
    rows = [
        (a, b, f"{similarity:.3f}", "-" if margin != margin else f"{margin:.3f}")
        for a, b, similarity, margin in zip(*columns, strict=True)
    ]
    lines = table(rows, ("A", "B", "similarity", "margin"), {0: 0.5, 1: 0.5})
    for path, names in zip((A, B), matches.unmatched, strict=True):
        if names:
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            lines.append(f"without a match in {Path(path).name}: {', '.join(names[:_MOST_NAMES])}{more}")
    unsure = int((found["margin"] <= 0).sum())
    if unsure:
        lines += ["", f"{count(unsure, 'pair')} with a margin of 0 or less: another column is as near; look at these"]
    return lines


def _scored(matches: ColumnMatches, truth: list[tuple[str, str]]) -> list[str]:
    score = matches.score(truth)
    lines = [f"precision {score.precision:.3f}, recall {score.recall:.3f}, F1 {score.f1:.3f}"]
    if score.mistakes:
        lines.append(f"{count(len(score.mistakes), 'mistake')}: {', '.join(f'{a}={b}' for a, b in score.mistakes)}")
    return lines


def _write(file: Path, found: pd.DataFrame) -> None:
    if file.suffix.lower() == ".csv":
        atomic_write(file, found.to_csv(index=False))
        return
    buffer = io.BytesIO()
    found.to_parquet(buffer, index=False)
    atomic_write(file, buffer.getvalue())


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command; ``--mapped`` and ``--truth`` may stand several times."""
    parser = new_parser(
        "match", "A B [--mapped COLUMN=COLUMN ...] [options]",
        "Match the columns of two tables whose names differ, by what is in them.",
    )  # fmt: skip
    parser.add_argument("A", type=str, help="the first table, CSV or Parquet")
    parser.add_argument("B", type=str, help="the second table")
    parser.add_function_arguments(match, as_positional=False, skip={"A", "B"})
    return parse_words(parser, _collected(_collected(list(words), "mapped"), "truth"))


def _collected(words: list[str], option: str) -> list[str]:
    """Words with all values of an option in one list; a mapping stays as it is."""
    rest: list[str] = []
    values: list[str] = []
    given = iter(words)
    for word in given:
        name, equals, value = word.partition("=")
        if name != f"--{option}":
            rest.append(word)
        else:
            values.append(value if equals else next(given, ""))
    if not values:
        return rest
    whole = len(values) == 1 and values[0][:1] in ("{", "[")
    return [*rest, f"--{option}={values[0] if whole else json.dumps(values)}"]


def run(options: Namespace) -> None:
    """Run the command."""
    match(**options.as_dict())
