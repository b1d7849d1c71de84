"""What a user asks ahead of being answered: how much of it is taken apart, and how much waits as it came."""

from __future__ import annotations

from abc import abstractmethod

from proxy.patience import Patient

PIPELINE = 16  # requests that wait behind the one being answered; what comes after them is not read
FEW = 1024  # bytes that cannot hold many requests

_END = b"\r\n\r\n"  # of every head that is not refused


class Pipelined(Patient):
    """A user's connection on which requests wait in uvicorn's `pipeline`, and, once it is full, bytes as they came."""

    _unparsed = b""

    @abstractmethod
    def data_received(self, data: bytes, portioned: bool = False) -> None:
        """`portioned`: it holds no more requests than there is room for."""

    def _take(self, data: bytes) -> None:
        """Have as many requests parsed as may wait."""
        self._unparsed += data
        while self._unparsed and not self._refused and (room := PIPELINE - len(self.pipeline)) > 0:
            portion, self._unparsed = split(self._unparsed, room)
            self.data_received(portion, portioned=True)
        if self._refused:
            self._unparsed = b""
        elif self._unparsed:
            self.pause_reading()

    def _go_on(self) -> None:
        """One request less waits. More are parsed once none does: each time, all that is left is copied."""
        if self._unparsed and not self.pipeline:
            self._take(b"")
        if not self._unparsed:
            self.flow.resume_reading()


def split(data: bytes, many: int) -> tuple[bytes, bytes]:
    """At most so many requests, as far as they have come, and what is behind them. Bodies may hold what looks like the
    end of a head: then there are fewer."""
    end = 0
    for _ in range(many):
        found = data.find(_END, end)
        if found < 0:
            return data, b""
        end = found + len(_END)
    return data[:end], data[end:]
