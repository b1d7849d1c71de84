"""Writes of one round of the event loop that leave together at its end."""

from __future__ import annotations

import asyncio


class Batched:
    """What is written to one transport, in its order.

    To send wakes whoever receives, and where that one sleeps on another core it is the dearest part of a small message.
    Sent in a row, messages find it awake.
    """

    __slots__ = ("_loop", "transport", "waiting")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport, self._loop = transport, loop
        self.waiting = b""

    def write(self, data: bytes) -> None:
        self.flush()
        self.transport.write(data)

    def writelines(self, pieces: tuple[bytes, ...]) -> None:
        self.flush()
        self.transport.writelines(pieces)

    def write_soon(self, data: bytes) -> None:
        """Write at the end of this round, or now, where bytes wait to be taken: whoever is to be held back by them
        is held back at once."""
        if self.waiting or self.transport.get_write_buffer_size():
            return self.write(data)
        self.waiting = data
        self._loop.call_soon(self.flush)
        return None

    def flush(self) -> None:
        """Write what waits now. What has not left when the transport ends stays `waiting`: nobody has seen it."""
        if self.waiting and not self.transport.is_closing():
            waiting, self.waiting = self.waiting, b""
            self.transport.write(waiting)
