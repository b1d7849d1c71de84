"""What a user asks ahead of being answered: how much of it is taken apart, and how much waits as it came."""

from __future__ import annotations

import asyncio
from abc import abstractmethod

from uvicorn.protocols.http.flow_control import FlowControl

from proxy.patience import Patient

PIPELINE = 16  # requests that wait behind the one being answered; what comes after them is not read
FEW = 1024  # bytes that cannot hold many requests, and are taken apart whatever they hold

_END = b"\r\n\r\n"  # of every head that is not refused


class Flow(FlowControl):
    """uvicorn's, which every request that begins has resume the reading: not while what was read waits."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Pipelined(Patient):
    """A user's connection on which requests wait in uvicorn's `pipeline`, and, once it is full, bytes as they came."""

    flow: Flow
    _unparsed: bytes | memoryview = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.flow = Flow(self.transport)

    @abstractmethod
    def data_received(self, data: bytes, portioned: bool = False) -> None:
        """`portioned`: it holds no more requests than there is room for."""

    def _take(self, data: bytes) -> None:
        """Have as many requests parsed as may wait. There may be many portions: what is behind them stays in place."""
        whole = bytes(self._unparsed) + data
        self._unparsed = memoryview(whole)
        while self._unparsed and not self._refused and (room := PIPELINE - len(self.pipeline)) > 0:
            start = len(whole) - len(self._unparsed)
            end = portion_end(whole, start, room)
            self._unparsed = memoryview(whole)[end:]
            self.data_received(whole[start:end], portioned=True)
        self._unparsed = b"" if self._refused else bytes(self._unparsed)
        if self._unparsed:
            self.pause_reading()
        self.flow.held = bool(self._unparsed)

    def _close(self) -> None:
        self._unparsed, self.flow.held = b"", False
        super()._close()

    def _go_on(self) -> None:
        """One request less waits. More are parsed once none does: each time, all that is left is copied."""
        if self._unparsed and not self.pipeline:
            self._take(b"")
        if not self._unparsed:
            self.flow.resume_reading()


def portion_end(data: bytes, start: int, many: int) -> int:
    """Where at most so many requests end, as far as they have come, or few bytes, if that is farther: bodies may hold
    nothing but what looks like the ends of heads."""
    end = start
    for _ in range(many):
        found = data.find(_END, end)
        if found < 0:
            return len(data)
        end = found + len(_END)
    return min(max(end, start + FEW), len(data))
