"""What one side answered, taken from the ASGI messages it sent. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

Headers = tuple[tuple[bytes, bytes], ...]

MARK: Final = b"x-strangler-shadow"  # on a question: it only compares; on an answer: what has become of that
BUSY: Final = b"x-strangler-busy"  # a side's word that users need what shadow requests take there
ROLE: Final = b"x-strangler-role"  # a side's word for what kind of user has asked
OF_SHADOWS: Final = frozenset({MARK, BUSY, ROLE})  # on answers to shadow requests


@dataclass(frozen=True, slots=True)
class Observation:
    """`complete`: the answer ended as an answer should, and `body` is all of it. `truncated`: it was larger than the
    recorder keeps, and `body` is empty."""

    status: int
    headers: Headers
    body: bytes
    complete: bool
    elapsed: float
    error: str | None = None
    truncated: bool = False

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header, in the order sent."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def wrote(self) -> bool:
        """Whether its side tried more than to read, and so gave an answer that no user would have got."""
        return self.values(MARK) == [b"wrote"]

    @property
    def unsaid(self) -> Observation:
        """The same of whom nobody has asked for a word about shadows: what it says of them means nothing."""
        return replace(self, headers=tuple(header for header in self.headers if header[0].lower() != MARK))

    @property
    def busy(self) -> bool:
        """Whether its side says that users need what shadows take there."""
        return self.values(BUSY) == [b"1"]

    @property
    def role(self) -> str:
        """As whom its side says that it was asked; "" if it does not, or says more than one thing."""
        said = self.values(ROLE)
        return said[0].decode("latin-1") if len(said) == 1 else ""

    @property
    def refused(self) -> bool:
        """Whether its side answers no shadows, or not now."""
        return self.values(MARK) == [b"refused"]


BODILESS = frozenset({204, 304})  # whatever length their heads tell (RFC 9110, 8.6)
DIGITS = 19  # of a length that fits into 64 bits


@dataclass(slots=True)
class Recorder:
    """Listens on `send`. Keeps at most `limit` bytes, and none of an answer that turns out larger."""

    limit: int
    status: int = 0
    headers: Headers = ()
    size: int = 0
    done: bool = False
    _chunks: list[bytes] = field(default_factory=list)

    def feed(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            chunk = message.get("body", b"")
            self.size += len(chunk)
            if self.size > self.limit:
                self._chunks.clear()
            elif chunk:
                self._chunks.append(bytes(chunk))  # no copy of bytes; a server may reuse any other buffer
            self.done = not message.get("more_body", False)
        elif kind == "http.response.start":
            self.status = message["status"]
            self.headers = tuple((bytes(key), bytes(value)) for key, value in message.get("headers", ()))

    def expect(self) -> None:
        """Know from the head that the answer is larger, if it has a body: what follows need not be waited for."""
        told = [value for name, value in self.headers if name.lower() == b"content-length"]
        if self.status not in BODILESS and len(told) == 1 and told[0].isdigit() and len(told[0]) <= DIGITS:
            length = int(told[0])
            self.size = length if length > self.limit else self.size

    @property
    def started(self) -> bool:
        return self.status != 0

    @property
    def truncated(self) -> bool:
        return self.size > self.limit

    def observe(self, elapsed: float, error: str | None = None) -> Observation:
        complete = self.done and self.started and not self.truncated
        return Observation(
            self.status, self.headers, b"".join(self._chunks), complete, elapsed, error, truncated=self.truncated
        )
