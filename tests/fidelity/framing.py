"""HTTP/1.1 messages as they stand on the wire, read without interpreting more than their framing. No I/O.

Written apart from the parser that the proxy uses, so that a fault in one cannot hide the same fault in the other.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

Header = tuple[bytes, bytes]


class Framing(enum.Enum):
    """How a message says where it ends (RFC 9112 §6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Message:
    start: bytes
    headers: tuple[Header, ...]
    body: bytes = b""
    framing: Framing = Framing.NONE
    complete: bool = True
    trailers: tuple[Header, ...] = ()

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def method(self) -> bytes:
        return self.start.partition(b" ")[0]

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])


def requests(raw: bytes | bytearray) -> list[Message]:
    """Every request in `raw`, the last one perhaps incomplete."""
    return [message for message, _ in _messages(raw, None, ended=False)]


def first_request(raw: bytes | bytearray) -> tuple[Message, int] | None:
    """The request that `raw` begins with, and how many bytes it takes; None until its head is there."""
    return next(_messages(raw, None, ended=False), None)


def answers(raw: bytes | bytearray, methods: list[bytes], *, ended: bool) -> list[Message]:
    """Every answer in `raw`, interim ones included, to requests of these methods."""
    return [message for message, _ in _messages(raw, iter(methods), ended=ended)]


def _messages(raw: bytes | bytearray, methods: Iterator[bytes] | None, *, ended: bool) -> Iterator[tuple[Message, int]]:
    at = 0
    method = next(methods, b"GET") if methods is not None else None
    while True:
        while methods is None and raw.startswith(b"\r\n", at):  # RFC 9112 §2.2: empty lines before a request
            at += 2
        end = raw.find(b"\r\n\r\n", at)
        if end < 0:
            return
        start, *lines = bytes(raw[at:end]).split(b"\r\n")
        message, at = _body(raw, end + 4, Message(start, tuple(map(_header, lines))), method, ended=ended)
        yield message, at
        if not message.complete:
            return
        if methods is not None and message.status >= 200:
            method = next(methods, b"GET")


def _header(line: bytes) -> Header:
    name, _, value = line.partition(b":")
    return name, value.strip(b" \t")


def _body(raw: bytes | bytearray, at: int, head: Message, method: bytes | None, *, ended: bool) -> tuple[Message, int]:
    answers_nothing = method is not None and (method == b"HEAD" or head.status < 200 or head.status in (204, 304))
    if answers_nothing:
        return head, at
    if b"chunked" in b",".join(head.values(b"transfer-encoding")).lower():
        return _chunked(raw, at, head)
    if lengths := head.values(b"content-length"):
        end = at + int(lengths[0])
        return _with(head, bytes(raw[at:end]), Framing.LENGTH, complete=len(raw) >= end), end
    if method is None:
        return head, at
    return _with(head, bytes(raw[at:]), Framing.CLOSE, complete=ended), len(raw)


def _chunked(raw: bytes | bytearray, at: int, head: Message) -> tuple[Message, int]:
    body = bytearray()
    while True:
        end = raw.find(b"\r\n", at)
        if end < 0:
            return _with(head, bytes(body), Framing.CHUNKED, complete=False), len(raw)
        size = int(bytes(raw[at:end]).partition(b";")[0], 16)
        if size == 0:
            return _trailers(raw, end, head, bytes(body))
        body += raw[end + 2 : end + 2 + size]
        at = end + 4 + size
        if at > len(raw):
            return _with(head, bytes(body), Framing.CHUNKED, complete=False), len(raw)


def _trailers(raw: bytes | bytearray, at: int, head: Message, body: bytes) -> tuple[Message, int]:
    end = raw.find(b"\r\n\r\n", at)  # `at` is the end of the line of the last chunk: it may be the empty line's begin
    if end < 0:
        return _with(head, body, Framing.CHUNKED, complete=False), len(raw)
    lines = bytes(raw[at + 2 : end]).split(b"\r\n") if end > at else []
    trailers = tuple(map(_header, lines))
    return _with(head, body, Framing.CHUNKED, complete=True, trailers=trailers), end + 4


def _with(
    head: Message, body: bytes, framing: Framing, *, complete: bool, trailers: tuple[Header, ...] = ()
) -> Message:
    return Message(head.start, head.headers, body, framing, complete, trailers)
