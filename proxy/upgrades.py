"""Upgrades as they are asked for over HTTP: to WebSocket, or to something that is not offered and goes unheeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.errors import SideFailed
from proxy.headers import Header
from proxy.listener import FRAMING


@dataclass(frozen=True, slots=True)
class Handshake:
    """How an upgrade was answered: 101, the side's refusal, what stands for its failure, or 0 if the user left."""

    status: int
    failure: SideFailed | None = None


def wants_websocket(method: str, headers: Sequence[Header]) -> bool:
    """RFC 6455 §4.1: a GET without a body. The parser has seen that an upgrade is spoken of at all."""
    fields = dict(headers)
    empty = b"transfer-encoding" not in fields and fields.get(b"content-length", b"0") == b"0"
    return method == "GET" and empty and fields.get(b"upgrade", b"").lower() == b"websocket"


def request_head(method: str, target: bytes, headers: Sequence[Header]) -> bytes:
    """The upgrade request, hop-by-hop headers set anew: `headers` are what is left after forwarding."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target)]
    lines += [b"%b: %b" % pair for pair in headers]
    lines += [b"connection: Upgrade", b"upgrade: websocket", b"", b""]
    return b"\r\n".join(lines)


def body_framing(headers: Sequence[Header]) -> bytes:
    """The header lines that frame a request's body."""
    return b"".join([b"%b: %b\r\n" % header for header in headers if header[0] in FRAMING])


class Hearer(Protocol):
    """What httptools tells of requests."""

    def on_message_begin(self) -> None: ...

    def on_url(self, url: bytes) -> None: ...

    def on_header(self, name: bytes, value: bytes) -> None: ...

    def on_headers_complete(self) -> None: ...

    def on_body(self, body: bytes) -> None: ...

    def on_message_complete(self) -> None: ...


class BodyParser:
    """Hears a parser that begins with a message whose head another parser has read: passes on all but that head."""

    def __init__(self, hearer: Hearer) -> None:
        self._hearer, self._heads = hearer, 0

    def on_message_begin(self) -> None:
        self._heads += 1
        if self._heads > 1:
            self._hearer.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._heads > 1:
            self._hearer.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._heads > 1:
            self._hearer.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._heads > 1:
            self._hearer.on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._hearer.on_body(body)

    def on_message_complete(self) -> None:
        self._hearer.on_message_complete()
