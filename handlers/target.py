"""The target of a request (path and query) as Rails reads it. No I/O.

Rails routes the path undecoded, and reads the query by Rack's rules, in which brackets make lists and maps. None of our
parameters is one, so it is enough to know that a value has such a shape. What cannot be read at all is refused before
anything else is looked at.
"""

from __future__ import annotations

import enum
import re
from urllib.parse import quote, unquote, unquote_to_bytes

from starlette.convertors import Convertor

from .errors import BadRequest
from .ids import row_id

SLASHES = re.compile(r"/{2,}")
SEPARATOR = re.compile(r"[&;] *")
BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
MOST_PAIRS, DEEPEST = 4096, 100  # beyond which Rack refuses to read
NAME = re.compile(r"[\[\]]*([^\[\]]+)\]*")


class Shape(enum.Enum):
    """A value that is no text."""

    LIST = "[]"
    MAP = "[key]"


Value = str | Shape | None  # None: a name without `=`


def path(raw_path: bytes | None, unquoted: str) -> str:
    """Percent-encoded still, repeated slashes as one, none at the end."""
    raw = raw_path.decode("latin-1") if raw_path is not None else quote(unquoted)
    if "%" in raw or not raw.isascii():
        decoded(raw)
    return SLASHES.sub("/", raw).rstrip("/") or "/"


def parameters(query: bytes) -> dict[str, Value]:
    """The values by name; of a repeated name the last one counts, unless the two differ in shape."""
    values: dict[str, Value] = {}
    if query.count(b"&") + query.count(b";") >= MOST_PAIRS:
        raise BadRequest
    for pair in SEPARATOR.split(query.decode("latin-1")):
        name, equals, value = pair.partition("=")
        match = NAME.match(unescaped(name))
        if match is None:
            continue
        put(values, match, unescaped(value) if equals else None)
    return values


def put(values: dict[str, Value], match: re.Match[str], value: str | None) -> None:
    name, rest = match[1], match.string[match.end() :]
    if rest.count("[") >= DEEPEST:
        raise BadRequest
    if rest == "":
        values[name] = value
    elif rest == "[":
        values[match.string] = value
    else:
        shape = Shape.LIST if rest.startswith("[]") else Shape.MAP
        if values.get(name) not in (None, shape):
            raise BadRequest
        values[name] = shape


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
