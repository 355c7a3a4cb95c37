"""YAML as plain data: nothing in it is executed, and no file is too much for the reader."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

__all__ = ["check_yaml", "read_yaml", "write_yaml", "yaml_file_text"]

# what is read is written by people, and a list of ten thousand columns is within it
_CHARACTERS = 1_000_000
_VALUES = 50_000  # aliases count as what they stand for
_DEPTH = 50
_DIGITS = 400  # of one number


def read_yaml(text: str) -> Any:
    r"""Value of a YAML document, in plain data; nothing in it is executed.

    Numbers are those of YAML 1.2: ``1e-3`` is one, which PyYAML by itself, at YAML 1.1, takes for text.

    Raises
    ------
    yaml.YAMLError
        If the text is not YAML, or more than one document.
    ValueError
        If a key stands twice (it is named, with both lines), a value holds itself, or the text is longer, deeper or,
        with its aliases written out, larger than what people write.

    Examples
    --------
    >>> read_yaml("{lr: 1e-3, name: '1e-3'}")
    {'lr': 0.001, 'name': '1e-3'}
    >>> read_yaml("lr: 1\nlr: 2")
    Traceback (most recent call last):
    ...
    ValueError: the key 'lr' stands twice, in lines 1 and 2; keep one of them
    """
    import yaml

    loader = _composed(text)
    try:
        return None if loader.root is None else loader.construct_document(loader.root)
    except (TypeError, AttributeError, KeyError, ValueError, OverflowError) as error:  # "2024-99-99", "!!int x"
        raise yaml.YAMLError(f"a value cannot be read: {error}") from None


def yaml_file_text(path: Path) -> str:
    """Text of a YAML file, checked as by :func:`check_yaml`; a refusal names the file.

    Raises
    ------
    yaml.YAMLError, UnicodeDecodeError
        If it is not YAML, or no text.
    ValueError
        As :func:`read_yaml`.
    """
    with path.open("rb") as stream:
        data = stream.read(4 * _CHARACTERS + 1)  # no character is longer
    if len(data) > 4 * _CHARACTERS:
        raise ValueError(f"{path}: a YAML file of more than {4 * _CHARACTERS:,} bytes is refused")
    text = data.decode("utf-8")
    try:
        check_yaml(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return text


def check_yaml(text: str) -> None:
    """Refuse what :func:`read_yaml` refuses, for a reader of other rules; errors as there."""
    _composed(text)


def _composed(text: str) -> Any:
    """Loader with the one document of a text as nodes."""
    if len(text) > _CHARACTERS:
        raise ValueError(f"YAML of {len(text):,} characters is refused; at most {_CHARACTERS:,}")
    loader = _yaml_classes()[0](text)
    try:
        loader.root = loader.get_single_node()
    finally:
        loader.dispose()
    return loader


def write_yaml(value: Any, *, in_one_line: bool = False) -> str:
    """Plain data as YAML that :func:`read_yaml` reads back, keys in their order.

    Examples
    --------
    >>> write_yaml({"lr": 0.001, "name": "1e-3"}, in_one_line=True)
    "{lr: 0.001, name: '1e-3'}"
    """
    import yaml

    text = str(
        yaml.dump(
            value,
            Dumper=_yaml_classes()[1],
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=True if in_one_line else None,
            width=10**6 if in_one_line else 100,
        )
    )
    return text.removesuffix("...\n").rstrip("\n") if in_one_line else text


@functools.cache
def _yaml_classes() -> tuple[Any, Any]:
    """Loader and dumper with the numbers of YAML 1.2, and texts that are read back as they were."""
    import yaml

    number = re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    )
    tag = "tag:yaml.org,2002:float"

    def with_numbers(base: Any) -> Any:
        made: Any = type(base.__name__, (base,), {})
        known = base.yaml_implicit_resolvers.items()
        made.yaml_implicit_resolvers = {first: [pair for pair in pairs if pair[0] != tag] for first, pairs in known}
        made.add_implicit_resolver(tag, number, list("-+0123456789."))
        return made

    def text(dumper: Any, value: str) -> Any:
        # other quotes would write these as they are, and a reader takes them for the end of a line
        style = '"' if any(separator in value for separator in "\x85\u2028\u2029") else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    dumper = with_numbers(yaml.SafeDumper)
    dumper.add_representer(str, text)
    return _bounded(with_numbers(yaml.SafeLoader)), dumper


def _bounded(base: Any) -> Any:
    """The loader class, counting while it composes: before a value is made of anything."""
    from yaml import AliasEvent, MappingNode, ScalarNode

    class Bounded(base):  # type: ignore[misc]
        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.root: Any = None
            self.values = 0
            self.levels = [0]  # height of what is open, from the outermost node on
            self.extents: dict[int, tuple[int, int]] = {}  # of each complete node: its values and its height

        def compose_node(self, parent: Any, index: Any) -> Any:
            is_alias, line = self.check_event(AliasEvent), self.peek_event().start_mark.line + 1
            before = self.values
            self.levels.append(0)
            self._count(1, 0, line)
            node = super().compose_node(parent, index)
            if is_alias:
                if id(node) not in self.extents:
                    raise ValueError(f"the YAML value in line {line} holds itself; write out what it is to hold")
                values, height = self.extents[id(node)]
                self._count(values - 1, height, line)
            height = self.levels.pop()
            self.levels[-1] = max(self.levels[-1], height + 1)
            if not is_alias:
                self.extents[id(node)] = (self.values - before, height)
                self._check(node)
            return node

        def _count(self, values: int, height: int, line: int) -> None:
            self.values += values
            self.levels[-1] = max(self.levels[-1], height)
            if self.values > _VALUES:
                raise ValueError(
                    f"YAML of more than {_VALUES:,} values is refused (line {line}; an alias counts as what it "
                    f"stands for)"
                )
            if len(self.levels) - 2 + height > _DEPTH:
                raise ValueError(f"YAML that is nested more than {_DEPTH} levels deep is refused (line {line})")

        def _check(self, node: Any) -> None:
            if isinstance(node, ScalarNode) and node.tag.endswith((":int", ":float")) and len(node.value) > _DIGITS:
                raise ValueError(f"a number of {len(node.value):,} digits is refused (line {node.start_mark.line + 1})")
            lines: dict[Any, int] = {}
            for key, _ in node.value if isinstance(node, MappingNode) else ():
                if isinstance(key, ScalarNode) and not key.tag.endswith(":merge"):
                    name, line = self._key(key), key.start_mark.line + 1
                    if name in lines:
                        places = f"in line {line}" if lines[name] == line else f"in lines {lines[name]} and {line}"
                        raise ValueError(f"the key {key.value!r} stands twice, {places}; keep one of them")
                    lines[name] = line

        def _key(self, node: Any) -> Any:
            """What a key is in the mapping: ``1`` and ``0x1`` are one."""
            try:
                return self.construct_object(node)
            except ValueError:  # a day that does not exist; it is read, or refused, later
                return node.tag, node.value

    return Bounded
