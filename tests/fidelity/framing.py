"""HTTP/1.1 messages as they stand on the wire, read without interpreting more than their framing. No I/O.

Written apart from the parser that the proxy uses, so that a fault in one cannot hide the same fault in the other. It
takes nothing that RFC 9112 does not have senders generate: whoever forwards is measured by it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

Header = tuple[bytes, bytes]

REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [!$-;=?-~]+ HTTP/1\.[01]")  # a target without " # < >
STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")  # and no phrase without its space
HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[!$&'()*+;=%.\w~-]+)(?::[0-9]*)?", re.ASCII)
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e]+)?")
LONGEST_LINE = 1 << 17  # within which a line ends, or it is none


class Malformed(Exception):
    """What came can be read in two ways, or in none."""


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
        head = Message(start, tuple(map(_header, lines)))
        _check_answer(head) if methods is not None else _check_request(head)
        message, at = _body(raw, end + 4, head, method, ended=ended)
        yield message, at
        if not message.complete:
            return
        if methods is not None and message.status >= 200:
            method = next(methods, b"GET")


def _check_request(head: Message) -> None:
    _must(REQUEST_LINE.fullmatch(head.start), head.start)
    hosts = head.values(b"host")
    _must(len(hosts) == 1 or (not hosts and head.start.endswith(b"1.0")), hosts)
    _must(all(map(HOST.fullmatch, hosts)), hosts)
    _check_framing(head)


def _check_answer(head: Message) -> None:
    _must(STATUS_LINE.fullmatch(head.start), head.start)
    _check_framing(head)


def _check_framing(head: Message) -> None:
    """RFC 9112 §6.1 and §6.3; of codings there is none but chunked."""
    codings, lengths = head.values(b"transfer-encoding"), head.values(b"content-length")
    _must(len(codings) + len(lengths) <= 1, (codings, lengths))
    _must(all(coding.lower() == b"chunked" and b"HTTP/1.1" in head.start for coding in codings), codings)
    _must(all(length.isdigit() and len(length) <= 18 for length in lengths), lengths)


def _must(holds: object, what: object) -> None:
    if not holds:
        raise Malformed(what)


def _header(line: bytes) -> Header:
    found = HEADER.fullmatch(line)
    if found is None:
        raise Malformed(line)
    return found[1], found[2].rstrip(b" \t")


def _body(raw: bytes | bytearray, at: int, head: Message, method: bytes | None, *, ended: bool) -> tuple[Message, int]:
    answers_nothing = method is not None and (method == b"HEAD" or head.status < 200 or head.status in (204, 304))
    if answers_nothing:
        return head, at
    if head.values(b"transfer-encoding"):
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
        end = raw.find(b"\r\n", at, at + LONGEST_LINE)
        if end < 0:
            return _with(head, bytes(body), Framing.CHUNKED, complete=False), len(raw)
        found = CHUNK.fullmatch(bytes(raw[at:end]))
        if found is None:
            raise Malformed(bytes(raw[at:end]))
        size = int(found[1], 16)
        if size == 0:
            return _trailers(raw, end, head, bytes(body))
        body += raw[end + 2 : end + 2 + size]
        at = end + 4 + size
        _must(b"\r\n".startswith(raw[at - 2 : at]), bytes(raw[at - 2 : at]))
        if at > len(raw):
            return _with(head, bytes(body), Framing.CHUNKED, complete=False), len(raw)


def _trailers(raw: bytes | bytearray, at: int, head: Message, body: bytes) -> tuple[Message, int]:
    end = raw.find(b"\r\n\r\n", at)  # `at` is the end of the line of the last chunk: it may be the empty line's begin
    if end < 0:
        return _with(head, body, Framing.CHUNKED, complete=False), len(raw)
    lines = bytes(raw[at + 2 : end]).split(b"\r\n") if end > at else []
    trailers = tuple(map(_header, lines))
    _must(not {b"content-length", b"transfer-encoding", b"host"} & {name.lower() for name, _ in trailers}, trailers)
    return _with(head, body, Framing.CHUNKED, complete=True, trailers=trailers), end + 4


def _with(
    head: Message, body: bytes, framing: Framing, *, complete: bool, trailers: tuple[Header, ...] = ()
) -> Message:
    return Message(head.start, head.headers, body, framing, complete, trailers)
