"""How far a request may go that asks after the way itself (RFC 9110 §7.6.2).  No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from proxy.origin import Header
from proxy.routes import METHODS

COUNTED = frozenset({b"OPTIONS", b"TRACE"})  # for all other methods the number means nothing
_LIMIT = b"max-forwards"
_DIGITS = 9  # of the largest number of hops that is told on


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the last hop answers."""

    status: int
    message: str

    def answer(self) -> bytes:
        """The whole answer, after which the connection closes."""
        body = json.dumps({"message": self.message}).encode()
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
            f"allow: {', '.join(METHODS)}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "cache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + body


_HERE = {
    b"OPTIONS": Arrived(200, "This is the proxy, and Max-Forwards let the request go no further."),
    # To send back what came is what TRACE is for, but nobody here knows which of the headers hold secrets.
    b"TRACE": Arrived(405, "This is the proxy, where Max-Forwards ends the way, and it sends no request back."),
}


def arrived(method: bytes, headers: Iterable[Header]) -> Arrived | None:
    """The answer, if the request goes no further."""
    if method not in COUNTED:
        return None
    return _HERE[method] if any(name == _LIMIT and _is_none(value) for name, value in headers) else None


def one_hop_on(headers: Iterable[Header]) -> list[Header]:
    """The headers for the next hop. What is no number of hops limits nothing, and passes as it is."""
    return [(name, _one_less(value) if name == _LIMIT and value.isdigit() else value) for name, value in headers]


def _is_none(value: bytes) -> bool:
    return value.isdigit() and not value.strip(b"0")


def _one_less(value: bytes) -> bytes:
    left = value.lstrip(b"0")
    return b"%d" % (int(left) - 1) if len(left) <= _DIGITS else b"9" * _DIGITS
