"""Who is told of an answer while it comes, and what an answer's head says about its end. No I/O."""

from __future__ import annotations

from typing import Protocol

from proxy.errors import StranglerError
from proxy.headers import Header

FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Listener(Protocol):
    """Who is told of an answer while it comes. `status` is 0 until its head is there; `full` holds the side back."""

    status: int
    complete: bool
    touched: bool  # anything came at all

    @property
    def full(self) -> bool: ...

    def interim(self, status: int, phrase: bytes, headers: list[Header]) -> None: ...

    def begin(self, status: int, phrase: bytes, headers: list[Header]) -> None: ...

    def feed(self, body: bytes) -> None: ...

    def end(self, trailers: list[Header]) -> None: ...

    def answered(self) -> None:
        """The answer is complete, and the connection free for whoever asks next."""

    def wake(self) -> None:
        """That was all of it for now."""

    def fail(self, failure: StranglerError) -> None: ...


def keeps_alive(headers: list[Header], version: str) -> bool:
    """Where the parser, which awaits a body, cannot tell."""
    said = b",".join([value for name, value in headers if name == b"connection"]).lower()
    return b"keep-alive" in said if version == "1.0" else b"close" not in said
