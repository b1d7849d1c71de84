"""The target of a request (path and query) as Rails reads it. No I/O.

Rails routes the path undecoded, and reads the query by Rack's rules, in which brackets make lists and maps. None of our
parameters is one; but names that contradict each other, at any level, make the whole query unreadable. What cannot be
read at all is refused before anything else is looked at.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar
from urllib.parse import quote, unquote, unquote_to_bytes

from starlette.convertors import Convertor

from .errors import BadRequest
from .ids import row_id

SLASHES = re.compile(r"/{2,}")
SEPARATOR = re.compile(r"[&;] *")
BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
MOST_PAIRS, DEEPEST = 4096, 100  # beyond which Rack refuses to read
NAME = re.compile(r"[\[\]]*([^\[\]]+)\]*")
# What a list holds: maps, by `[][key]`, or anything, by `[]…`. The ends are those of lines, as Ruby's are.
LISTED = re.compile(r"^\[\]\[([^\[\]]+)\]$", re.MULTILINE), re.compile(r"^\[\](.+)$", re.MULTILINE)
BRACKETS = re.compile(r"[\[\]]+")

T = TypeVar("T", list[Any], dict[str, Any])
# None for a name without `=`; lists and maps of values.
Value = str | list[Any] | dict[str, Any] | None


def path(raw_path: bytes | None, unquoted: str) -> str:
    """Percent-encoded still, repeated slashes as one, none at the end."""
    raw = raw_path.decode("latin-1") if raw_path is not None else quote(unquoted)
    if "%" in raw or not raw.isascii():
        decoded(raw)
    if "//" in raw or raw.endswith("/"):
        return SLASHES.sub("/", raw).rstrip("/") or "/"
    return raw or "/"


def parameters(query: bytes) -> dict[str, Value]:
    """The values by name; of a repeated name the last one counts, unless the two differ in shape."""
    values: dict[str, Value] = {}
    if not query:
        return values
    if query.count(b"&") + query.count(b";") >= MOST_PAIRS:
        raise BadRequest
    for pair in SEPARATOR.split(query.decode("latin-1")):
        name, equals, value = pair.partition("=")
        put(values, unescaped(name), unescaped(value) if equals else None, DEEPEST)
    return values


def put(values: dict[str, Value], name: str, value: str | None, levels: int) -> Value:
    """Put a value into a map by a name in brackets, as Rack does, and return the map or what takes its place."""
    if levels == 0:
        raise BadRequest
    match = NAME.match(name)
    if match is None:
        return [value] if name == "[]" and value is not None else None
    key, rest = match[1], name[match.end() :]
    if rest == "":
        values[key] = value
    elif rest == "[":
        values[name] = value
    elif rest == "[]":
        inside(values, key, list).append(value)
    elif child := next((found[1] for found in (form.search(rest) for form in LISTED) if found), None):
        items = inside(values, key, list)
        if items and isinstance(items[-1], dict) and not has(items[-1], child):
            put(items[-1], child, value, levels - 1)
        else:
            items.append(put({}, child, value, levels - 1))
    else:
        values[key] = put(inside(values, key, dict), rest, value, levels - 1)
    return values


def inside(values: dict[str, Value], key: str, shape: type[T]) -> T:
    """The list or map of this name, made if there is nothing yet."""
    if values.get(key) is None:
        values[key] = shape()
    found = values[key]
    if not isinstance(found, shape):
        raise BadRequest
    return found


def has(values: Any, name: str) -> bool:
    """Whether a map has a value of this name already, so that the next one starts another map."""
    if "[]" in name:
        return False
    for part in filter(None, BRACKETS.split(name)):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def unescaped(part: str) -> str:
    if BAD_ESCAPE.search(part):
        raise BadRequest
    return decoded(part.replace("+", " "))


def decoded(escaped: str) -> str:
    try:
        return unquote_to_bytes(escaped.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise BadRequest from None


class RowId(Convertor[int]):
    """A row's id in a path. What is no positive 64-bit integer becomes 0, which is no row's."""

    regex = "[^/.?]+"

    def convert(self, value: str) -> int:
        return row_id(unquote(value)) or 0

    def to_string(self, value: int) -> str:
        return str(value)
