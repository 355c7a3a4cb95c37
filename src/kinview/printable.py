"""Text from files and stores as it may be sent to a terminal."""

from __future__ import annotations

import re

__all__ = ["printable"]

# control characters but tab and line feed, and those that change the direction of what follows them
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Text in which what would act on a terminal is written out: shown, not sent.

    Examples
    --------
    >>> print(printable("wine\x1b[2J"))
    wine\x1b[2J
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
