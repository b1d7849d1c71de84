"""JSON answers, byte for byte as Rails writes them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

# What Rails 6.1 puts on every answer (config.action_dispatch.default_headers).
DEFAULT_HEADERS = (
    (b"content-type", b"application/json; charset=utf-8"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-xss-protection", b"1; mode=block"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-download-options", b"noopen"),
    (b"x-permitted-cross-domain-policies", b"none"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
)


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8 with the five escapes of ActiveSupport, which make it safe inside HTML and JavaScript.

    Outside of strings JSON has none of these characters, so replacing them in the whole document is exact.
    """
    return (
        to_json(value)
        .replace(b"&", rb"\u0026")
        .replace(b"<", rb"\u003c")
        .replace(b">", rb"\u003e")
        .replace("\u2028".encode(), rb"\u2028")
        .replace("\u2029".encode(), rb"\u2029")
    )


def instant(at: datetime) -> str:
    """A time of the database (UTC, without a zone) with three digits, the rest cut off as Rails does."""
    return at.isoformat(timespec="milliseconds") + "Z"


class Text(Response):
    """A text as it is, with Rails' default headers."""

    def __init__(self, content: str) -> None:
        self.status_code = 200
        self.background = None
        self.body = content.encode()
        length = (b"content-length", b"%d" % len(self.body))
        self.raw_headers = [(b"content-type", b"text/plain; charset=utf-8"), *DEFAULT_HEADERS[1:], length]


class Answer(Response):
    """A JSON answer with Rails' default headers. `ETag` and `Cache-Control` are `middleware.ConditionalGet`'s.

    Bytes are content that is encoded already.
    """

    def __init__(self, content: Any, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.status_code = status
        self.background = None
        self.body = content if isinstance(content, bytes) else encode(content)
        self.raw_headers = [*DEFAULT_HEADERS, (b"content-length", b"%d" % len(self.body)), *headers]
