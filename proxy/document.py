"""A YAML file as plain values, with `${NAME}` filled in from the environment and every fault of the text itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import Resolver

from proxy.faults import ConfigError, Fault, place

Steps = tuple[str | int, ...]
ABSENT: Final = object()

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}\n]*))?\}")
# YAML reads the braces of `{url: ${NAME}}` as its own. They are hidden from it, character by character so that columns
# stay true, in a corner of Unicode that no configuration uses.
_CORNER = 0xE000
_HIDDEN = re.compile(r"[\ue000-\ue07f]+")


class Document:
    """The values of a file, what is wrong with it, where each value stands, and which variables were not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.faults: list[Fault] = []
        self.lines: dict[str, int] = {}
        self.unset: dict[str, str] = {}
        self._environ = environ
        self._resolver = Resolver()
        self._open: list[Node] = []

    @classmethod
    def read(cls, path: Path, environ: Mapping[str, str]) -> tuple[Document, object]:
        """The document and its value; ConfigError if there is nothing to go on with."""
        document = cls(environ)
        try:
            node = yaml.compose(_VARIABLE.sub(_hide, _text(path)), Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise ConfigError([_syntax(error, path)]) from error
        except yaml.YAMLError as error:
            raise ConfigError([Fault(str(path), f"not YAML: {str(error).splitlines()[0]}")]) from error
        except RecursionError as error:
            raise ConfigError([Fault(str(path), "nested too deeply")]) from error
        value = document._value(node, ()) if node else ABSENT
        return document, {} if value is ABSENT else value

    def line(self, fault: Fault) -> int:
        """Where a fault stands; a missing key, where it is missing."""
        above = fault.place
        while above not in self.lines and above:
            above = above[: max(above.rfind("."), above.rfind("["), 0)]
        return self.lines.get(above, 0)

    def explained(self, fault: Fault) -> Fault:
        """The fault with its cause, if that is a variable."""
        name = self.unset.get(fault.place)
        return Fault(fault.place, f"{fault.message}; the environment variable {name} is not set") if name else fault

    def _value(self, node: Node, path: Steps) -> object:
        self.lines.setdefault(place(path), node.start_mark.line + 1)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if any(node is other for other in self._open):
            self._fault(path, "contains itself")
            return ABSENT
        self._open.append(node)
        try:
            if isinstance(node, SequenceNode):
                found = [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
                return [None if item is ABSENT else item for item in found]
            return self._mapping(node, path) if isinstance(node, MappingNode) else ABSENT
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, path: Steps) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._fault(path, "has a key that is no word")
                continue
            here = (*path, _shown(key.value))
            if here[-1] in values:
                self._fault(here, f"given twice (again in line {key.start_mark.line + 1})")
                continue
            values[_shown(key.value)] = self._value(value, here)
        return {key: value for key, value in values.items() if value is not ABSENT}

    def _scalar(self, node: ScalarNode, path: Steps) -> object:
        text = _shown(node.value)
        filled = _VARIABLE.sub(lambda found: self._variable(found, path, alone=found[0] == text), text)
        if "${" in _VARIABLE.sub("", text):
            self._fault(path, f'"{text}" is no variable; write ${{NAME}} or ${{NAME:-default}}')
        if place(path) in self.unset:
            return ABSENT
        plain = node.style is None
        tag: str = self._resolver.resolve(ScalarNode, filled, (plain, not plain))  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        # A variable that holds "~" or "null" holds those letters; only an empty one says that there is no value.
        return filled if filled and filled != text and tag.endswith(":null") else _typed(filled, tag)

    def _variable(self, found: re.Match[str], path: Steps, *, alone: bool) -> str:
        """As in a shell, an empty variable counts as one that is not set."""
        value = self._environ.get(found[1]) or found[2]
        if value is None and alone:
            self.unset[place(path)] = found[1]
        elif value is None:
            self._fault(path, f"the environment variable {found[1]} is not set")
        return value or ""

    def _fault(self, path: Steps, message: str) -> None:
        self.faults.append(Fault(place(path) or "the file", message))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError([Fault(str(path), "there is no such file")]) from error
    except OSError as error:
        raise ConfigError([Fault(str(path), f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([Fault(f"{path}:{line}", f"not UTF-8 (byte 0x{error.object[error.start]:02x})")]) from error


def _hide(found: re.Match[str]) -> str:
    return "".join(chr(_CORNER + ord(c)) if ord(c) < 0x80 else c for c in found[0])


def _shown(text: str) -> str:
    return _HIDDEN.sub(lambda found: "".join(chr(ord(c) - _CORNER) for c in found[0]), text)


def _syntax(error: yaml.MarkedYAMLError, path: Path) -> Fault:
    mark = error.problem_mark or error.context_mark
    where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
    said = ", ".join(part for part in (error.context, error.problem) if part)
    hint = ""
    if mark and mark.buffer and "/{" in mark.buffer.splitlines()[mark.line]:
        hint = '; inside {…} a path with a parameter stands in quotes: "GET /users/{id}"'
    return Fault(where, f"not YAML: {_shown(said)}{hint}")


def _typed(text: str, tag: str) -> object:
    match tag.rpartition(":")[2]:
        case "null":
            return ABSENT
        case "bool":
            return text.lower() in ("true", "yes", "on")
        case "int" if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
            return int(text)
    return text
