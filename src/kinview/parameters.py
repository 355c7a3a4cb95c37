"""Parameters of parts: checks that name what they refuse, and dataclass fields that carry their range and sentence."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar, dataclass_transform

__all__ = [
    "anything",
    "check_bool",
    "check_fraction",
    "check_integer",
    "check_number",
    "check_parameters",
    "check_positive",
    "checked_parameters",
    "choice",
    "flag",
    "interval",
    "parameterised",
    "part_nouns",
    "real",
    "scaled_parameters",
    "spec",
    "whole",
]

_Class = TypeVar("_Class")
_WIDTH = 116  # of a paragraph below the name of a parameter, itself indented by 4


def check_number(value: Any, name: str, *, finite: bool = True) -> None:
    """Refuse what is not a number (text, a boolean), and NaN and infinity with ``finite``, naming the argument.

    ``finite=False`` leaves the latter two to the check of a range that follows.

    Examples
    --------
    >>> check_number("1e-2", "temperature")
    Traceback (most recent call last):
    ...
    ValueError: temperature must be a number; got the text '1e-2': write 0.01
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number; got {_described(value)}")
    if finite and not abs(float(value)) < float("inf"):
        raise ValueError(f"{name} must be finite; got {value!r}")


def check_integer(value: Any, name: str, *, at_least: int | None = None) -> None:
    """Refuse what is not a whole number, or below the least one, naming the argument.

    Examples
    --------
    >>> check_integer(2.5, "iterations", at_least=1)
    Traceback (most recent call last):
    ...
    ValueError: iterations must be a whole number; got 2.5
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} must be a whole number; got {_described(value, whole=True)}")
    if at_least is not None and int(value) < at_least:
        raise ValueError(f"{name} must be at least {at_least}; got {value!r}")


def check_bool(value: Any, name: str) -> None:
    """Refuse what is neither True nor False (text, a number), naming the argument."""
    of_numpy = str(getattr(value, "dtype", "")) == "bool" and value.ndim == 0
    if not isinstance(value, bool) and not of_numpy:
        raise ValueError(f"{name} must be True or False; got {_described(value)}")


def check_positive(value: float, name: str) -> None:
    """Refuse a number that is not positive and finite, naming the argument."""
    check_number(value, name, finite=False)
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be positive; got {value!r}")


def check_fraction(value: float, name: str, *, below: bool = False) -> None:
    """Refuse a number outside [0, 1], or outside [0, 1) with ``below``, naming the argument."""
    check_number(value, name, finite=False)
    if not 0 <= value <= 1 or (below and value == 1):
        raise ValueError(f"{name} must be in [0, 1{')' if below else ']'}; got {value!r}")


# --- fields of a dataclass that know their range ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Rule:
    """Values that a field may hold, and the words for them in its documentation."""

    kind: type  # object: whatever its check lets through
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    options: tuple[Any, ...] = ()
    neutral: float | None = None
    optional: bool = False
    words: str = ""
    check: Callable[[Any, str], None] | None = None
    noun: str = ""

    def checked(self, value: Any, name: str) -> Any:
        if value is None and self.optional:
            return None
        if self.kind is tuple:
            return self._checked_interval(value, name)
        if self.kind is object:
            if self.check is not None:
                self.check(value, name)
        elif self.kind is bool:
            check_bool(value, name)
            return bool(value)
        elif self.kind is str:
            if not isinstance(value, str) or value not in self.options:
                raise ValueError(f"{name} must be {_either(self._choices())}; got {value!r}")
        elif self.kind is int:
            check_integer(value, name)
            self._check_range(value, name)
            return int(value)
        else:
            check_number(value, name, finite=False)
            self._check_range(value, name)
            return value if isinstance(value, int | float) else float(value)
        return value

    def described(self, default: Any) -> str:
        """Type and default, as numpydoc writes them."""
        quoted = ", ".join(f'"{option}"' for option in self.options)
        named = {int: "int", float: "float", bool: "bool", tuple: "pair of float", str: f"{{{quoted}}}"}
        words = self.words or named[self.kind]
        if default is None:
            return f"{words}, optional"
        shown = f'"{default}"' if isinstance(default, str) else repr(default)
        return f"{words}{' or None' if self.optional else ''}, default {shown}"

    def _choices(self) -> tuple[Any, ...]:
        return (*self.options, None) if self.optional else self.options

    def _checked_interval(self, value: Any, name: str) -> tuple[float, float]:
        if hasattr(value, "tolist"):  # an array or a tensor
            value = value.tolist()
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
            raise ValueError(f"{name} must be two numbers, the lower first; got {value!r}")
        for end in value:
            check_number(end, name, finite=False)
            self._check_range(end, name)
        if value[0] > value[1]:
            raise ValueError(f"{name} must be two numbers, the lower first; got {value!r}")
        return tuple(value)

    def _check_range(self, value: float, name: str) -> None:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        if not (above and below and math.isfinite(value)):
            raise ValueError(f"{name} must be {self._range()}; got {value!r}")

    def _range(self) -> str:
        if math.isinf(self.low) and math.isinf(self.high):
            return "finite"
        if math.isinf(self.high):
            return f"above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        if math.isinf(self.low):
            return f"below {self.high:g}" if self.open_high else f"at most {self.high:g}"
        return f"in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"

    def scaled(self, value: Any, strength: float) -> Any:
        """The value moved from its neutral one by a factor, within the range."""
        assert self.neutral is not None
        if self.kind is tuple:
            return tuple(self._one_scaled(end, strength) for end in value)
        moved = self._one_scaled(value, strength)
        return round(moved) if self.kind is int else float(moved)  # a bound may have been written as 1

    def _one_scaled(self, value: float, strength: float) -> float:
        assert self.neutral is not None
        moved = self.neutral + strength * (value - self.neutral)
        inside = min(max(moved, self.low), self.high)
        # an open end is not a value: stay where the part already is
        at_open_end = (self.open_low and inside <= self.low) or (self.open_high and inside >= self.high)
        return value if at_open_end else inside


def real(
    default: float | None,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float | None = None,
    below: float | None = None,
    neutral: float | None = None,
    doc: str = "",
    fallback: float | None = None,
) -> Any:
    """Field of a dataclass for a number.

    Parameters
    ----------
    default : float or None
        None makes the parameter optional.
    low, high : float
        Smallest and largest value allowed.
    above, below : float, optional
        Bounds that are not allowed themselves.
    neutral : float, optional
        Value at which the part does nothing; it makes the parameter one of strength, see :func:`scaled_parameters`.
    doc : str
        What the parameter is, with the source of its default; :func:`parameterised` writes it into the docstring.
    fallback : float, optional
        What None stands for where nobody says otherwise.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Noise:
    ...     sigma: float = real(0.8, low=0, neutral=0)
    >>> check_parameters(Noise(sigma=-1.0))
    Traceback (most recent call last):
    ...
    ValueError: sigma must be at least 0; got -1.0
    >>> scaled_parameters(Noise(), 0.5)
    {'sigma': 0.4}
    """
    return _field(default, _number_rule(float, default, low, high, above, below, neutral), doc, fallback)


def whole(
    default: int | None,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    neutral: int | None = None,
    optional: bool = False,
    doc: str = "",
    fallback: int | None = None,
) -> Any:
    """Field of a dataclass for a whole number; see :func:`real`.

    ``optional=True`` allows None beside a default that is a number.
    """
    rule = _number_rule(int, default, low, high, None, None, neutral)
    return _field(default, dataclasses.replace(rule, optional=rule.optional or optional), doc, fallback)


def interval(
    default: tuple[float, float] | None,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float | None = None,
    below: float | None = None,
    neutral: float | None = None,
    doc: str = "",
) -> Any:
    """Field of a dataclass for two numbers, the lower first; see :func:`real`. Arrays become tuples."""
    return _field(default, _number_rule(tuple, default, low, high, above, below, neutral), doc)


def choice(default: str | None, options: Sequence[str | None], *, doc: str = "", fallback: str | None = None) -> Any:
    """Field of a dataclass for one of several words; None among them, or as the default, makes it optional."""
    words = tuple(option for option in options if option is not None)
    return _field(default, _Rule(str, options=words, optional=default is None or None in options), doc, fallback)


def flag(default: bool | None, *, doc: str = "", fallback: bool | None = None) -> Any:
    """Field of a dataclass for True or False; None as the default makes it optional."""
    return _field(default, _Rule(bool, optional=default is None), doc, fallback)


def spec(default: Any, noun: str, *, doc: str, words: str = "spec") -> Any:
    """Field of a dataclass for a part of a registry: its name, ``{name: {parameter: value}}``, or the part itself.

    Only what cannot be a spec is refused here, by the parameter's name; whether there is such a part is known to its
    registry when it is built.

    Parameters
    ----------
    default : str, mapping or None
        None makes the parameter optional.
    noun : str
        What the registry holds, ``"encoder"`` for example.
    doc, words : str
        As for :func:`anything`.
    """

    def check(value: Any, name: str) -> None:
        if value is None or isinstance(value, bool | int | float):
            raise ValueError(
                f"{name} must be the name of a registered {noun} or {{name: {{parameter: value}}}}; got {value!r}"
            )

    return anything(default, words, check=check, noun=noun, doc=doc)


def anything(
    default: Any,
    words: str,
    *,
    doc: str,
    check: Callable[[Any, str], None] | None = None,
    noun: str = "",
    fallback: Any = None,
    optional: bool = False,
) -> Any:
    """Field of a dataclass for what none of the others describes.

    Parameters
    ----------
    default : object
        None makes the parameter optional.
    words : str
        How the docstring calls its type.
    doc : str
        What the parameter is.
    check : callable, optional
        ``check(value, name)`` raises a ValueError that begins with the name.
    noun : str
        What a spec describes: ``"encoder"``.
    fallback : object, optional
        As for :func:`real`.
    optional : bool
        Whether None is a value beside another default.
    """
    rule = _Rule(object, optional=optional or default is None, words=words, check=check, noun=noun)
    return _field(default, rule, doc, fallback)


@dataclass_transform(eq_default=False)
def parameterised(cls: type[_Class]) -> type[_Class]:
    """Class decorator: the fields are the parameters; constructor and "Parameters" section are made of them.

    The constructor stores its arguments and does nothing else (a ``__post_init__`` of the class aside): scikit-learn
    wants a wrong value to be refused when it is used, see :func:`checked_parameters`. Representation and equality stay
    those of the class's bases.

    Parameters
    ----------
    cls : type
        With annotated fields, each from one of the functions above.

    Examples
    --------
    >>> @parameterised
    ... class Model:
    ...     '''A model.'''
    ...
    ...     width: int = whole(320, low=1, doc="Size of a layer (paper).")
    >>> Model.__doc__.splitlines()[-2:]
    ['width : int, default 320', '    Size of a layer (paper).']
    >>> checked_parameters(Model(0))
    Traceback (most recent call last):
    ...
    ValueError: width must be at least 1; got 0
    """
    summary = cls.__doc__
    made = dataclasses.dataclass(eq=False, repr=False)(cls)
    if summary is not None:  # docstrings can be switched off
        made.__doc__ = _with_section(inspect.cleandoc(summary), _section(made))
    return made


def checked_parameters(part: Any) -> dict[str, Any]:
    """Values of the fields that carry their range, checked, each under its name; the part stays as it is.

    Raises
    ------
    ValueError
        What the parameter is called, what it may be, and what was given.
    """
    rules = {field.name: field.metadata.get("rule") for field in dataclasses.fields(part)}
    return {name: rule.checked(getattr(part, name), name) for name, rule in rules.items() if rule is not None}


def check_parameters(part: Any) -> None:
    """Check every field of a frozen part that carries its range, naming the one that is refused; arrays become tuples.

    Raises
    ------
    ValueError
        What the parameter is called, what it may be, and what was given.
    """
    for name, value in checked_parameters(part).items():
        object.__setattr__(part, name, value)


@functools.cache
def part_nouns(target: Any) -> Mapping[str, str]:
    """Parameters of a class that are parts of a registry, with what such a part is called: ``{"head": "head"}``."""
    fields = dataclasses.fields(target) if dataclasses.is_dataclass(target) else ()
    nouns = {field.name: field.metadata["rule"].noun for field in fields if "rule" in field.metadata}
    return {name: noun for name, noun in nouns.items() if noun}


def scaled_parameters(part: Any, strength: float) -> dict[str, Any]:
    """The strength parameters of a part, each moved from its neutral value by a factor and kept within its range."""
    rules = {field.name: field.metadata.get("rule") for field in dataclasses.fields(part)}
    return {
        name: rule.scaled(getattr(part, name), strength)
        for name, rule in rules.items()
        if rule is not None and rule.neutral is not None and getattr(part, name) is not None
    }


def _number_rule(
    kind: type,
    default: Any,
    low: float,
    high: float,
    above: float | None,
    below: float | None,
    neutral: float | None,
) -> _Rule:
    return _Rule(
        kind,
        low=low if above is None else above,
        high=high if below is None else below,
        open_low=above is not None,
        open_high=below is not None,
        neutral=neutral,
        optional=default is None,
    )


def _field(default: Any, rule: _Rule, doc: str, fallback: Any = None) -> Any:
    return dataclasses.field(default=default, metadata={"rule": rule, "doc": doc, "fallback": fallback})


def _section(cls: type) -> str:
    """The "Parameters" section of a docstring, of the fields that are described."""
    fields = [field for field in dataclasses.fields(cls) if field.metadata.get("doc")]
    parts = []
    for field in fields:
        sentence = textwrap.wrap(field.metadata["doc"], _WIDTH, break_long_words=False, break_on_hyphens=False)
        head = f"{field.name} : {field.metadata['rule'].described(field.default)}"
        parts.append("\n".join([head, *(f"    {line}" for line in sentence)]))
    return "\n".join(["Parameters", "----------", *parts]) if parts else ""


def _with_section(text: str, section: str) -> str:
    """A docstring with one more section, before the others."""
    if not section:
        return text
    first = re.search(r"^[A-Z][\w ]*\n-{3,}$", text, flags=re.MULTILINE)
    before, after = (text, "") if first is None else (text[: first.start()], f"\n\n{text[first.start() :]}")
    return f"{before.rstrip()}\n\n{section}{after}"


def _described(value: Any, *, whole: bool = False) -> str:
    """The value as it was given; of text that YAML did not take for a number (1e-2), how to write it."""
    if not isinstance(value, str):
        return repr(value)
    try:
        number = float(value)
    except ValueError:
        return f"the text {value!r}"
    if not math.isfinite(number) or (whole and not number.is_integer()):
        return f"the text {value!r}"
    return f"the text {value!r}: write {int(number) if whole else number!r}"


def _either(options: Sequence[Any]) -> str:
    *first, last = map(repr, options)
    return f"{', '.join(first)} or {last}" if first else last
