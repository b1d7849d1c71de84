"""A body as a value that can be compared: JSON, markup, text, or bytes. No I/O.

Bodies come from outside, and nothing here raises: what cannot be read as JSON is text, and what cannot be read as text
is bytes. Numbers stay as they were written (`literals`).
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from .encodings import decoded
from .headers import parameters
from .observation import Observation

# An allow-list, because Python's registry also knows codecs that are slow, warn, or are no character sets at all.
CHARSETS: Final = frozenset(
    {"utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16", "utf-16le", "utf-16be"}
)
MARKUP: Final = frozenset({"text/html", "application/xhtml+xml"})
BOM: Final = "\ufeff"


class Form(enum.Enum):
    EMPTY = "empty"
    JSON = "json"
    MARKUP = "markup"
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
    media, charset = _content_type(seen)
    if (text := _text(content, charset)) is None:
        return _opaque(content)
    if media in MARKUP:
        return Body(Form.MARKUP, _lines(text))
    # Plenty of JSON is sent as something else; text that merely looks like a number stays text.
    if media == "application/json" or media.endswith("+json") or text.lstrip()[:1] in ("{", "["):
        try:
            return Body(Form.JSON, _JSON.decode(text))
        except (ValueError, RecursionError):  # the scanner counts its depth and stops in good order
            pass  # not JSON, or nested deeper than anyone means: compared as text
    return Body(Form.TEXT, _lines(text))


def media_type(seen: Observation) -> str:
    """Type and subtype, without parameters; empty if none is declared."""
    return _content_type(seen)[0]


def _content_type(seen: Observation) -> tuple[str, str]:
    media, *rest = parameters(b"".join(seen.values(b"content-type")[-1:]))
    charset = next((part.removeprefix("charset=") for part in rest if part.startswith("charset=")), "")
    return media, charset


def _text(content: bytes, charset: str) -> str | None:
    if charset and charset not in CHARSETS:
        return None
    try:
        return content.decode(charset or "utf-8")
    except UnicodeError:
        return None


def _lines(text: str) -> str:
    """A text without what its bytes have and its readers do not see: a byte order mark, carriage returns, the last
    line's end."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return text.removeprefix(BOM).removesuffix("\n")


def _opaque(content: bytes) -> Body:
    return Body(Form.BYTES, f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()[:32]}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name given twice: readers disagree on what that means (RFC 8259, 4)")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_JSON: Final = json.JSONDecoder(
    parse_int=str.encode, parse_float=str.encode, parse_constant=_constant, object_pairs_hook=_object
)
