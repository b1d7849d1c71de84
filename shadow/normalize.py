"""A body as a value that can be compared: JSON, text, or bytes. No I/O.

Bodies come from outside, and nothing here raises: what cannot be read as JSON is text, and what cannot be read as text
is bytes. Numbers are exact: integers of up to 4 300 digits, and decimals as written
(0.10 is 0.1, but 1 is not 1.0).
"""

from __future__ import annotations

import enum
import hashlib
import json
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from .observation import Observation

DECODED: Final = 1024 * 1024  # of a compressed body, this much is worth the memory
ENCODINGS: Final = {b"": None, b"identity": None, b"gzip": 31, b"x-gzip": 31, b"deflate": 15}  # with zlib's window bits
RAW_DEFLATE: Final = -15  # "deflate" is zlib's format (RFC 9110, 8.4.1.2), but some send it bare
# An allow-list, because Python's registry also knows codecs that are slow, warn, or are no character sets at all.
CHARSETS: Final = frozenset(
    {"utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16", "utf-16le", "utf-16be"}
)


class Form(enum.Enum):
    EMPTY = "empty"
    JSON = "json"
    TEXT = "text"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Body:
    form: Form
    value: Any = None


def normalize(seen: Observation) -> Body:
    """What the body says, by its content encoding, media type and character set."""
    if not seen.body:
        return Body(Form.EMPTY)
    content = decoded(seen)
    if content is None:
        return _opaque(seen.body)
    if (text := _text(seen, content)) is None:
        return _opaque(content)
    media = media_type(seen)
    # Plenty of JSON is sent as something else; text that merely looks like a number stays text.
    if media == "application/json" or media.endswith("+json") or text.lstrip()[:1] in ("{", "["):
        try:
            return Body(Form.JSON, _JSON.decode(text))
        except (ValueError, ArithmeticError, RecursionError):  # the scanner counts its depth and stops in good order
            pass  # not JSON, a number no computer holds, or nested deeper than anyone means: compared as text
    return Body(Form.TEXT, text)


def decoded(seen: Observation, limit: int = DECODED) -> bytes | None:
    """The body without its content encoding; None if that is unknown or broken, or the content larger than `limit`."""
    encoding = content_encoding(seen)
    if encoding not in ENCODINGS:
        return None
    window = ENCODINGS[encoding]
    if window is None or not seen.body:
        return seen.body
    content = _inflate(seen.body, window, limit)
    return _inflate(seen.body, RAW_DEFLATE, limit) if content is None and encoding == b"deflate" else content


def content_encoding(seen: Observation) -> bytes:
    return b",".join(seen.values(b"content-encoding")).strip().lower()


def media_type(seen: Observation) -> str:
    """Type and subtype, without parameters; empty if none is declared."""
    return _content_type(seen)[0]


def parameters(value: bytes) -> list[str]:
    """A Content-Type's parts as far as they mean something: case, blanks and quotes around a charset do not."""
    media, *rest = value.decode("latin-1").lower().split(";")
    return [media.strip(), *sorted(part.strip().replace('"', "").replace(" ", "") for part in rest if part.strip())]


def _content_type(seen: Observation) -> tuple[str, str]:
    media, *rest = parameters(b"".join(seen.values(b"content-type")[-1:]))
    charset = next((part.removeprefix("charset=") for part in rest if part.startswith("charset=")), "")
    return media, charset


def _inflate(body: bytes, window: int, limit: int) -> bytes | None:
    inflate = zlib.decompressobj(window)
    try:
        content = inflate.decompress(body, limit + 1)
    except zlib.error:
        return None
    return content if inflate.eof and not inflate.unused_data and len(content) <= limit else None


def _text(seen: Observation, content: bytes) -> str | None:
    charset = _content_type(seen)[1] or "utf-8"
    if charset not in CHARSETS:
        return None
    try:
        return content.decode(charset)
    except UnicodeError:
        return None


def _opaque(content: bytes) -> Body:
    return Body(Form.BYTES, f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()[:32]}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name given twice: readers disagree on what that means (RFC 8259, 4)")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_JSON: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_object)
