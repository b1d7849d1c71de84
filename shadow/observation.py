"""What one side answered, taken from the ASGI messages it sent. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Headers = tuple[tuple[bytes, bytes], ...]


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
