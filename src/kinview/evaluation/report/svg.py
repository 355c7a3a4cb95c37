"""The figures of a report: drawn by matplotlib once, for a web page or as files.

A web page decides colours (so that it can be light or dark) and the font; its figures refer to both by CSS variables. A
file gets the colours of the light page.
"""

from __future__ import annotations

import functools
import importlib.resources
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "CONTROLS", "FORMATS", "Build", "Drawn", "colour", "figure_bytes", "page_svg", "printable"]

COLOURS = 10
"""Number of series colours that the page defines (``series-0`` ...)."""

CONTROLS = 4
"""Number of colours of controls that the page defines (``control-0`` ...)."""

FORMATS = ("pdf", "svg", "png")
"""Kinds of files that figures are written as."""

_STAND_INS: Mapping[str, str] = {
    "ink": "#010101",
    "muted": "#010102",
    "line": "#010103",
    "paper": "#010104",
    **{f"control-{index}": f"#0300{index:02x}" for index in range(CONTROLS)},
    **{f"series-{index}": f"#0200{index:02x}" for index in range(COLOURS)},
}
"""What matplotlib draws with on a page: :func:`page_svg` replaces it by the page's CSS variables."""
_palette: ContextVar[Mapping[str, str]] = ContextVar("palette", default=_STAND_INS)
_COORDINATES = {"x", "y", "d", "transform"}
_RESOLUTION = 200  # dots per inch of a PNG


class Drawn(NamedTuple):
    """A figure, and what it shows, for those who cannot see it."""

    figure: Figure
    about: str


Build = Callable[[], Drawn | None]
"""Draws a figure, in the colours of :func:`colour`; None where there is nothing to draw."""


def colour(name: str) -> str:
    """The colour to use now for ``ink``, ``muted``, ``line``, ``paper``, ``control-0`` ... or ``series-0`` ..."""
    return _palette.get()[name]


def page_svg(name: str, build: Build) -> str | None:
    """A figure as an ``<svg>`` element for a web page, without namespaces, dates, fonts or addresses.

    Parameters
    ----------
    name : str
        Letters, digits and hyphens; it begins every id, so that several figures can stand on one page.
    build : callable
        Draws the figure.
    """
    with _drawing(name, _STAND_INS):
        drawn = build()
        return None if drawn is None else _to_svg(drawn.figure, name, drawn.about)


def figure_bytes(name: str, build: Build, figure_format: Literal["pdf", "svg", "png"]) -> bytes | None:
    """A figure as a file, the same bytes each time: text stays text in PDF and SVG."""
    with _drawing(name, _page_colours()):
        drawn = build()
        if drawn is None:
            return None
        stream = io.BytesIO()
        dates: Mapping[str, Any] = {
            "pdf": {"CreationDate": None, "Title": printable(drawn.about)},
            "svg": {"Date": None, "Title": printable(drawn.about)},
            "png": {},
        }
        drawn.figure.savefig(
            stream, format=figure_format, metadata=dates[figure_format], facecolor=colour("paper"), dpi=_RESOLUTION
        )
        return stream.getvalue()


@functools.cache
def _page_colours() -> Mapping[str, str]:
    """Colours of the light page, as its style sheet has them."""
    style = importlib.resources.files("kinview.evaluation.report").joinpath("templates/report.css")
    light = style.read_text(encoding="utf-8").split("@media")[0]
    return {name: value for name, value in re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light) if name in _STAND_INS}


@contextmanager
def _drawing(salt: str, palette: Mapping[str, str]) -> Iterator[None]:
    """Settings under which a figure is drawn the same way each time, with text as text."""
    import matplotlib

    token = _palette.set(palette)
    settings: Any = {
        "svg.hashsalt": salt,
        "svg.fonttype": "none",
        "svg.id": None,
        "pdf.fonttype": 42,
        "text.parse_math": False,
        "text.usetex": False,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": colour("ink"),
        "axes.labelcolor": colour("muted"),
        "axes.edgecolor": colour("line"),
        "axes.facecolor": "none",
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "axes.grid": True,
        "grid.color": colour("line"),
        "grid.linewidth": 0.6,
        "xtick.color": colour("line"),
        "ytick.color": colour("line"),
        "xtick.labelcolor": colour("muted"),
        "ytick.labelcolor": colour("muted"),
        "figure.facecolor": "none",
    }
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()  # what the user set for other figures has no part in this one
            matplotlib.rcParams.update(settings)
            yield
    finally:
        _palette.reset(token)


def _to_svg(figure: Figure, name: str, about: str) -> str:
    """An ``<svg>`` element of a figure in the stand-in colours."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(stream.getvalue())
    _clean(root, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", printable(about))
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def printable(text: object) -> str:
    """Text in which what cannot be drawn (control characters, line breaks) is a space."""
    return "".join(character if character.isprintable() else " " for character in str(text))


def _clean(element: ElementTree.Element, name: str) -> None:
    """Drop namespaces and what a page does not need, make ids unique and colours the page's."""
    element.tag = _local(element.tag)
    for key, value in list(element.attrib.items()):
        del element.attrib[key]
        local = _local(key)
        if local == "id":
            value = f"{name}-{value}"
        elif local == "href":
            value = value.replace("#", f"#{name}-", 1)
        elif local == "style":
            value = _restyle(value)
        elif local in _COORDINATES:
            value = re.sub(r"(\.\d\d)\d+", r"\1", value)
        if local in ("type", "space"):
            continue
        element.set(local, value.replace("url(#", f"url(#{name}-") if "url(#" in value else value)
    for child in list(element):
        only_styles = _local(child.tag) == "defs" and all(_local(inner.tag) == "style" for inner in child)
        if only_styles or _local(child.tag) == "metadata":
            element.remove(child)
        else:
            _clean(child, name)
    styles = {child.get("style") for child in element}
    if element.tag == "g" and len(styles) == 1 and all(child.tag == "use" for child in element):
        element.set("style", styles.pop() or "")  # once for all points of a class, instead of at each
        for child in element:
            child.attrib.pop("style", None)
    if element.text and not element.text.strip() and len(element):
        element.text = None
    element.tail = None if element.tail is None or not element.tail.strip() else element.tail


def _restyle(style: str) -> str:
    for name, stand_in in _STAND_INS.items():
        style = style.replace(stand_in, f"var(--{name})")
    return re.sub(r"font: ([^;]*?)([\d.]+px) [^;]+", r"font: \1\2 var(--sans)", style)


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]
