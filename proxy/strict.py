"""Which requests and answers are refused by their heads alone, beyond those that the parser refuses itself.  No I/O.

What two recipients could read in two ways is refused, not mended: it is how one user's bytes become another user's
request (RFC 9112 §11.2). So is what puma, on a connection that it has answered on before, neither takes nor refuses: it
would hold a connection until the time-out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from ipaddress import AddressValueError, IPv6Address
from typing import Protocol

from proxy.origin import Header

HEAD = 64 * 1024  # bytes of a request's target and headers, and of its trailers
# What puma's parser takes, and unicorn's, which share it.
NAME = 256
PATH, QUERY, TARGET = 8 * 1024, 10 * 1024, 12 * 1024

_ERRORS = {
    400: "bad_request",
    408: "request_timeout",
    414: "uri_too_long",
    431: "headers_too_large",
    505: "version_not_supported",
}


class LastWord(Protocol):
    """What a user is told at last."""

    @property
    def status(self) -> int: ...

    def answer(self) -> bytes:
        """The whole answer, after which the connection closes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request is refused. Nothing of it is passed on, nor anything that follows on its connection."""

    status: int
    message: str

    def answer(self) -> bytes:
        """The whole answer, after which the connection closes."""
        body = json.dumps({"error": _ERRORS[self.status], "message": self.message}).encode()
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "cache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + body


MALFORMED = Fault(400, "This is no well-formed HTTP request, so nobody was asked.")  # what the parser refuses
BROKEN_OFF = Fault(400, "The body is no well-formed HTTP. If a side was asked for its beginning, it saw it break off.")
PIPELINED = Fault(400, "An upgrade must wait until the requests ahead of it are answered: use a connection of its own.")
SLOW = Fault(408, "The head of the request did not come in time, so nobody was asked.")
_OLD = Fault(400, "HTTP/0.9 is not served: ask by HTTP/1.1.")
_VERSION = Fault(505, "Only HTTP/1.1 and HTTP/1.0 are served here: ask by one of them.")
_RTSP = Fault(400, "The request is one of RTSP: ask by HTTP/1.1.")
_METHOD = Fault(400, "This method is none that is served over HTTP, and tunnels are not offered.")
_NO_HOST = Fault(400, "An HTTP/1.1 request must name its host: send exactly one Host header.")
_HOSTS = Fault(400, "The request names its host more than once: send exactly one Host header.")
_HOST = Fault(400, "The Host header holds no valid host: send a name or an address, and a port if need be.")
_AUTHORITY = Fault(400, "The target must be a path, or begin with http:// or https:// and a valid host.")
_ASTERISK = Fault(400, "The target * is for OPTIONS alone.")
_CHARACTER = Fault(400, "The target holds a character that must be percent-encoded, such as a quote, <, > or #.")
_CODING = Fault(400, "The transfer coding must be exactly chunked, and HTTP/1.0 knows none.")
_LENGTH = Fault(400, "Content-Length must be one whole number of at most 18 digits.")
# Behind CGI-like servers Content_Length is Content-Length: puma takes a body by it that nobody else sees.
_ALIAS = Fault(400, "A header that frames the body is written with a hyphen, not with an underscore.")
_LONG_TARGET = Fault(414, "The target is too long: a path may have 8 KiB, a query 10 KiB, both 12 KiB.")
_LONG_NAME = Fault(431, "A header's name is longer than 256 bytes.")
_LARGE = Fault(431, "The headers, or the trailers, are larger than 64 KiB.")
LARGE_ANSWER = "its head, or its trailers, are larger than 64 KiB"

_WATCHED = frozenset({b"host", b"content-length", b"transfer-encoding", b"content_length", b"transfer_encoding"})
# The parser speaks RTSP and Icecast too, and PRI begins HTTP/2.
_FOREIGN = frozenset(
    b"CONNECT PRI SOURCE DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN GET_PARAMETER SET_PARAMETER REDIRECT RECORD "
    b"FLUSH".split()
)
_SLASH = ord("/")
_URI = bytes(byte for byte in range(0x21, 0x7F) if byte not in b'"<>#')  # the rest is puma's, too, to take
_TEXT = bytes(byte for byte in range(0x100) if byte == 0x09 or (byte >= 0x20 and byte != 0x7F))
# RFC 3986 §3.2, without user and password (RFC 9110 §4.2.4) and the comma, which would pass for two hosts in one.
_HOST_PORT = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)(?::([0-9]{0,5}))?")


def fault(version: str, method: bytes, target: bytes, headers: Sequence[Header]) -> Fault | None:
    """What is wrong with a head that the parser has let pass. The names of the headers are in lower case."""
    host: bytes | None = None
    for name, value in headers:
        if name in _WATCHED:
            if name == b"host":
                if host is not None:
                    return _HOSTS
                host = value
            elif found := _framing_fault(version, name, value):
                return found
        elif len(name) > NAME:
            return _LONG_NAME
    if (version != "1.1" or host is None) and (found := _version_fault(version)):
        return found
    if host is not None and not _is_host(host):
        return _HOST
    return _METHOD if method in _FOREIGN else _target_fault(method, target)


def rtsp_fault(method: bytes, target: bytes, raw: bytes) -> tuple[Fault | None, bytes]:
    """The parser takes RTSP for HTTP of that version, and tells nobody. `raw`: bytes in which the whole head lies; what
    is behind its first line is given back, where the next head is to be looked for."""
    line = re.search(rb"^%b +%b +(HTTP|RTSP)/" % (re.escape(method), re.escape(target)), raw, re.MULTILINE)
    if line is None:
        return None, raw
    return _RTSP if line[1] == b"RTSP" else None, raw[line.end() :]


def answer_fault(version: str, status: int, phrase: bytes, headers: Sequence[Header]) -> str | None:
    """What is wrong with the head of an answer that the parser has let pass. Names as above."""
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if version != "1.1" and (codings or version != "1.0"):
        return f"an answer by HTTP/{version}{' in chunks' if codings else ''}"
    if not 100 <= status <= 599:
        return f"its status {status} is none of HTTP's"
    if status == 101:
        return "it switched protocols without being asked to"
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
        return "a transfer coding that is not exactly chunked"
    return None if phrase.isalnum() or not phrase.translate(None, _TEXT) else "control characters beside its status"


class Head:
    """Bounds what is sent between the pieces of bodies: heads or trailers that grow without end.

    `since`: how much has come since the last piece of a body, or the last end of a head but an interim answer's.
    """

    __slots__ = ("_interim", "_piece", "since")

    def __init__(self) -> None:
        self._interim = self._piece = self.since = 0

    def came(self, size: int) -> None:
        """Ahead of parsing a piece of the connection's bytes."""
        self._piece = size
        self.since += size

    def moved(self) -> None:
        """The parser has told of a piece of a body, or of the end of a message."""
        self.since = 0

    def ended(self, target: bytes, headers: Sequence[Header]) -> Fault | None:
        """What is wrong with the size of a head that is whole, or of trailers."""
        since, self.since = self.since, 0
        if self._piece <= HEAD and since <= HEAD:
            return None  # so it cannot be larger
        return _LARGE if self._interim + _size(target, headers) > HEAD else None

    def goes_on(self, phrase: bytes, headers: Sequence[Header]) -> Fault | None:
        """The same for an interim answer, which counts with the answer that it is ahead of."""
        self._interim += _size(b"HTTP/1.1 100 " + phrase, headers) + 4
        return _LARGE if self._interim > HEAD else None

    def fault(self) -> Fault | None:
        """After a piece has been parsed."""
        return _LARGE if self.since > HEAD else None

    def over(self) -> None:
        """The whole exchange is."""
        self._interim = self.since = 0


def _size(line: bytes, headers: Sequence[Header]) -> int:
    return len(line) + sum(len(name) + len(value) + 4 for name, value in headers)


def _version_fault(version: str) -> Fault | None:
    """What is wrong with a version that is not HTTP/1.1, or with HTTP/1.1 that names no host."""
    if version == "1.0":
        return None
    return {"0.9": _OLD, "1.1": _NO_HOST}.get(version, _VERSION)


def _framing_fault(version: str, name: bytes, value: bytes) -> Fault | None:
    if name == b"content-length":
        length = value.strip(b" \t")
        return None if length.isdigit() and len(length) <= 18 else _LENGTH
    if name == b"transfer-encoding":
        return None if version == "1.1" and value.lower() == b"chunked" else _CODING
    return _ALIAS


def _target_fault(method: bytes, target: bytes) -> Fault | None:
    if target.translate(None, _URI):
        return _CHARACTER
    if len(target) > PATH and _is_too_long(target):
        return _LONG_TARGET
    return None if target[0] == _SLASH else _form_fault(method, target)


def _form_fault(method: bytes, target: bytes) -> Fault | None:
    """What is wrong with a target that is no path (RFC 9112 §3.2)."""
    if target == b"*":
        return None if method == b"OPTIONS" else _ASTERISK
    scheme, _, rest = target.partition(b"://")
    authority = re.split(rb"[/?]", rest, maxsplit=1)[0]
    return None if scheme.lower() in (b"http", b"https") and _is_host(authority) else _AUTHORITY


@lru_cache(maxsize=1024)  # a proxy has few names; whoever sends others is not faster for it
def _is_host(text: bytes) -> bool:
    found = _HOST_PORT.fullmatch(text)
    if found is None or int(found[2] or 0) > 65_535:
        return False
    try:
        return found[1] is None or bool(IPv6Address(found[1].decode()))
    except AddressValueError:
        return False


def _is_too_long(target: bytes) -> bool:
    path, _, query = target.partition(b"?")
    return len(path) > PATH or len(query) > QUERY or len(target) > TARGET
