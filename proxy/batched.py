"""Writes of one round of the event loop that leave together at its end."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from proxy.transports import reset

TOGETHER = 64 * 1024  # bytes at most; what is more leaves at once, so that whoever writes is held back in time


class Round:
    """Whose writes wait for the end of the round that their event loop is in."""

    __slots__ = ("__weakref__", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Batched] = []

    def join(self, out: Batched) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._end)
        self._waiting.append(out)

    def _end(self) -> None:
        waiting, self._waiting = iter(self._waiting), []
        try:
            for out in waiting:
                out.flush()
        finally:
            for out in waiting:  # one has failed, which the loop reports: it is no matter of the others'
                self.join(out)


_rounds = WeakKeyDictionary[asyncio.AbstractEventLoop, Round]()


class Batched:
    """What is written to one transport, in its order.

    To send wakes whoever receives, and where that one sleeps on another core it is the dearest part of a small message.
    So the pieces of one message leave by one call, and messages in a row, which find him awake. `writes` counts calls.
    """

    __slots__ = ("_round", "_waiting", "transport", "writes")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport, self._round = transport, _rounds.setdefault(loop, Round())
        self._waiting, self.writes = b"", 0

    def write(self, data: bytes) -> None:
        """At the end of this round; at once, if that is much, or if the receiver has not taken what was written."""
        waiting = self._waiting
        if len(waiting) + len(data) > TOGETHER or self.transport.get_write_buffer_size():
            self.flush()
            self.writes += 1
            self.transport.write(data)
        elif waiting:
            self._waiting = waiting + data
        else:
            self._waiting = data
            self._round.join(self)

    def flush(self) -> None:
        """Write what waits now; to a transport that has ended nothing is written any more."""
        waiting, self._waiting = self._waiting, b""
        if waiting and not self.transport.is_closing():
            self.writes += 1
            self.transport.write(waiting)

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def close(self) -> None:
        """Once all that is written has been taken."""
        self.flush()
        self.transport.close()

    def reset(self) -> None:
        """Close so that the other end sees an error and not an end."""
        reset(self.transport)
