"""A matplotlib figure as SVG text that lives inside a web page.

The page decides colours (so that it can be light or dark) and the font; the figure refers to both by CSS variables.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "FIXED_COLOURS", "drawing", "printable", "to_svg"]

COLOURS = 10
"""Number of series colours that the page defines (``--series-0`` ...)."""

FIXED_COLOURS = {"ink": "#010101", "muted": "#010102", "line": "#010103", "paper": "#010104"}
"""Stand-ins that matplotlib draws with and :func:`to_svg` replaces by the page's CSS variables."""

_VARIABLES: Mapping[str, str] = {
    **{colour: f"var(--{name})" for name, colour in FIXED_COLOURS.items()},
    **{f"#0200{index:02x}": f"var(--series-{index})" for index in range(COLOURS)},
}
_COORDINATES = {"x", "y", "d", "transform"}


@contextmanager
def drawing(salt: str) -> Iterator[None]:
    """Settings under which a figure is drawn the same way each time, with text as text."""
    import matplotlib

    settings: Any = {
        "svg.hashsalt": salt,
        "svg.fonttype": "none",
        "svg.id": None,
        "text.parse_math": False,
        "text.usetex": False,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": FIXED_COLOURS["ink"],
        "axes.labelcolor": FIXED_COLOURS["muted"],
        "axes.edgecolor": FIXED_COLOURS["line"],
        "axes.facecolor": "none",
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "axes.grid": True,
        "grid.color": FIXED_COLOURS["line"],
        "grid.linewidth": 0.6,
        "xtick.color": FIXED_COLOURS["line"],
        "ytick.color": FIXED_COLOURS["line"],
        "xtick.labelcolor": FIXED_COLOURS["muted"],
        "ytick.labelcolor": FIXED_COLOURS["muted"],
        "figure.facecolor": "none",
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # what the user set for other figures has no part in this one
        matplotlib.rcParams.update(settings)
        yield


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Write a figure as an ``<svg>`` element.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn inside :func:`drawing`, in the stand-in colours.
    name : str
        Letters, digits and hyphens; it begins every id, so that several figures can stand on one page.
    description : str
        What the figure shows, for those who cannot see it.

    Returns
    -------
    str
        The element, without namespaces, dates, fonts or addresses.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(stream.getvalue())
    _clean(root, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", printable(description))
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
    for colour, variable in _VARIABLES.items():
        style = style.replace(colour, variable)
    return re.sub(r"font: ([^;]*?)([\d.]+px) [^;]+", r"font: \1\2 var(--sans)", style)


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]
