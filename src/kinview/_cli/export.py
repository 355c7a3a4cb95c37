"""``kinview export``: a result store as one file to pass on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.models import check_output
from kinview._cli.text import count, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import Namespace

__all__ = ["export", "parse", "run"]


def export(*, output: str, store: str = "sqlite:///kinview-results/results.db", without_ids: bool = False) -> None:
    """What to write.

    Parameters
    ----------
    output : str
        The new file, a SQLite database (.db); one that is there is not replaced.
    store : str
        Database of the results: a URL (sqlite:///FILE, postgresql+psycopg://user@host/name) or a SQLite file.
    without_ids : bool
        Put codes in place of the names of samples and groups, and leave out messages of failed cells, so that
        the store can be shared; labels and scores stay.
    """
    from kinview.evaluation.sharing import export_store
    from kinview.evaluation.store import Store

    file = check_output(output, (".db", ".sqlite"))
    results = Store(store, create=False)
    written = export_store(results, file, without_ids=without_ids)
    names = "without the names of samples" if without_ids else "with the names of samples, for those who may have them"
    say(f"saved {written}: {count(len(results.frame()), 'cell')}, {names}")


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "export", "--output FILE.db [--store URL] [--without_ids true]",
        "Write the results of a store, with what was said of each test sample, as one SQLite file.",
    )  # fmt: skip
    parser.add_function_arguments(export)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    export(**options.as_dict())
