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


_HERE = {
    "OPTIONS": (200, "This is the proxy, and Max-Forwards let the request go no further."),
    # To send back what came is what TRACE is for, but nobody here knows which of the headers hold secrets.
    "TRACE": (405, "This is the proxy, where Max-Forwards ends the way, and it sends no request back."),
}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request that goes no further, and what it is answered. `at`: when it came, by `time.perf_counter`."""

    request_id: str
    client: str
    method: str
    target: bytes
    at: float

    @property
    def status(self) -> int:
        return _HERE[self.method][0]

    def answer(self) -> bytes:
        """The whole answer, after which the connection closes."""
        status, message = _HERE[self.method]
        body = json.dumps({"message": message, "requestId": self.request_id}).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"allow: {', '.join(METHODS)}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {self.request_id}\r\n"
            "cache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + body


def goes_no_further(headers: Iterable[Header]) -> bool:
    return any(name == _LIMIT and _is_none(value) for name, value in headers)


def one_hop_on(headers: Iterable[Header]) -> list[Header]:
    """The headers for the next hop. What is no number of hops limits nothing, and passes as it is."""
    return [(name, _one_less(value) if name == _LIMIT and value.isdigit() else value) for name, value in headers]


def _is_none(value: bytes) -> bool:
    return value.isdigit() and not value.strip(b"0")


def _one_less(value: bytes) -> bytes:
    left = value.lstrip(b"0")
    return b"%d" % (int(left) - 1) if len(left) <= _DIGITS else b"9" * _DIGITS
