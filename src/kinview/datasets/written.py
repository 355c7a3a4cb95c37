"""Cells that people write for numbers and dates: units, currencies, signs behind, fractions; days and times."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["MANY", "is_many", "is_written_date", "uniform_unit", "written_number"]

Form = Literal["unit", "suffix", "currency", "sign", "parentheses", "hexadecimal", "exponent", "fraction", "pair"]

MANY = 10  # distinct cells from which a column is rather a measurement than a category

_DIGITS = r"(?:\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?"
_SIGN = r"[+\-\u2212\u2013]?\s?"
_ATOM = (
    r"(?:mm\s?Hg|cm\s?H2O|(?:[fpnuµμmcdhkMG]?(?:mol|cal|bar|Pa|Hz|[gGlLmMsWVAJ]|eq|Eq|Osm|osm|IU|IE|U|kat))|IU|IE|bpm|"
    r"min(?:utes?)?|sec(?:onds?)?|hrs?|hours?|days?|weeks?|wks?|months?|years?|yrs?|y\.?o\.?|kg|lbs?|oz|in|ft|cells|beats|"
    r"torr|ppm|ppb|copies|points?|pts?|units?|Jahre?n?|Tage?n?|Std\.?|Stunden?|Monate?n?|Wochen?|Minuten?|Sek\.?|"
    r"[hdags]|°\s?[CFcfKk]?|%|‰)"
)
_UNIT = re.compile(
    rf"{_ATOM}(?:\^?-?[23²³])?(?:\s?[/·*]\s?(?:\d+(?:[.,]\d+)?\s?)?{_ATOM}(?:\^?-?[23²³])?)*|[x×*]\s?10.*"
)
_MONEY = r"(?:[$€£¥]|EUR|USD|CHF|GBP|JPY)"
_FORMS: tuple[tuple[Form, re.Pattern[str]], ...] = (
    ("currency", re.compile(rf"{_SIGN}{_MONEY}\s?{_SIGN}{_DIGITS}|{_SIGN}{_DIGITS}\s?{_MONEY}")),
    ("sign", re.compile(rf"[\u2212\u2013]\s?{_DIGITS}|[+-]\s{_DIGITS}|{_DIGITS}\s?[-\u2212]")),
    ("parentheses", re.compile(rf"\(\s?{_DIGITS}\s?\)")),
    ("hexadecimal", re.compile(r"[+-]?0[xX][0-9a-fA-F]+")),
    (
        "exponent",
        re.compile(rf"{_SIGN}\d+(?:[.,]\d+)?(?:\s?[eE]\s[+-]?\s?\d+|\s[eE][+-]?\d+|\s?[x×*]\s?10\s?\^?\s?[+-]?\d+)"),
    ),
    ("fraction", re.compile(r"[+-]?\d*\s?[¼½¾⅐-⅞]|[+-]?\d+\s\d+/\d+")),
    ("pair", re.compile(r"\d+(?:\.\d+)?\s?/\s?\d+(?:\.\d+)?|\d{1,2}\s?\+\s?[0-6]")),  # 38+2: weeks and days
)
_SUFFIXED = re.compile(rf"{_SIGN}{_DIGITS}(\s*)(\S.*)", re.DOTALL)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")  # signs without a width
_ORDINALS = ("st", "nd", "rd", "th", "er", "e", "ème", "ª", "º")

_MONTH = r"(?:jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-zä]*\.?"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s?(?:[ap]\.?m\.?)?(?:\s?(?:Z|[+-]\d{2}:?\d{2}|Uhr))?"
_FIGURES = (
    r"(?P<a>\d{1,2})(?P<s>[./-])\s?(?P<b>\d{1,2})(?P=s)\s?(?:\d{4}|\d{2})"
    r"|\d{4}(?P<t>[./-])(?P<c>\d{1,2})(?P=t)(?P<d>\d{1,2})"
)
_NAMED = (
    rf"\d{{1,2}}(?:st|nd|rd|th)?[-. /]*{_MONTH}[-, /.]*\d{{2,4}}"
    rf"|(?:[a-z]{{2,9}},? )?{_MONTH}[- ]\d{{1,2}}(?:st|nd|rd|th)?,?[- ]+\d{{4}}"
)
_DATE = re.compile(rf"(?:{_FIGURES}|{_NAMED})(?:[T, ]+{_TIME})?|{_TIME}", re.IGNORECASE)


def written_number(cell: str) -> tuple[Form, str] | None:
    """How a cell is a number with something more, and its unit; None where it is none.

    A ``"unit"`` is known, a ``"suffix"`` could be one. Names, ranges, ordinals and grades are none.

    Examples
    --------
    >>> [written_number(cell) for cell in ("110 mmHg", "1234-", "$5", "12 beat", "40-49", "2nd", "T2", "1+", "7")]
    [('unit', 'mmHg'), ('sign', ''), ('currency', ''), ('suffix', 'beat'), None, None, None, None, None]
    """
    cell = cell.strip()
    if not cell or re.fullmatch(rf"[+-]?{_DIGITS}", cell, re.ASCII):
        return None
    if re.fullmatch(r"[+-]?\d{1,3}(?:_\d{3})+(?:\.\d+)?", cell, re.ASCII):
        return "sign", ""  # as programs part thousands
    if re.fullmatch(rf"{_SIGN}{_DIGITS}", _UNSEEN.sub("", cell)) and _UNSEEN.search(cell):
        return "sign", ""
    if re.fullmatch(rf"{_SIGN}{_DIGITS}", cell) and not cell.isascii() and cell[0] not in "\u2212\u2013":
        return "sign", ""  # digits of another script, or blanks that look like none
    for form, pattern in _FORMS:
        if pattern.fullmatch(cell):
            return form, ""
    match = _SUFFIXED.fullmatch(cell)
    if match is None:
        return None
    blank, suffix = match.groups()
    single = len(suffix) == 1 and suffix.isalpha() and not blank
    if _UNIT.fullmatch(suffix) and not single:
        return "unit", suffix
    if suffix[0] in "-–+.,:;/_\\)" or suffix[0].isdigit() or suffix.lower() in _ORDINALS:
        return None
    if len(suffix) > 30 or (not blank and any(sign.isdigit() for sign in suffix)):
        return None
    return "suffix", suffix


def uniform_unit(forms: list[tuple[Form, str] | None]) -> bool:
    """Whether the suffixes that are no known units are all the same."""
    return len({form[1] for form in forms if form is not None and form[0] == "suffix"}) < 2


def is_many(distinct: int, observed: int) -> bool:
    """Whether so many distinct cells are rather a measurement than levels of a category.

    Examples
    --------
    >>> is_many(11, 1000), is_many(3, 4), is_many(3, 6)
    (True, True, False)
    """
    return distinct > MANY or 2 * distinct > observed


def is_written_date(cell: str) -> bool:
    """Whether a cell is a day or a time of day as people write it.

    Examples
    --------
    >>> [is_written_date(cell) for cell in ("31.12.2020", "5/31/24", "31-May-2024", "12:30", "1.2.3", "40-49")]
    [True, True, True, True, False, False]
    """
    match = _DATE.fullmatch(cell.strip())
    if match is None:
        return False
    numbers = [int(match[name]) for name in "abcd" if match[name]]
    return not numbers or (min(numbers) >= 1 and min(numbers) <= 12 and max(numbers) <= 31)
