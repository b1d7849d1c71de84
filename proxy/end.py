"""One end of a tunnel: bytes as they come, and how long who takes none of them is waited for."""

from __future__ import annotations

import asyncio
from typing import cast

from proxy.alarm import Alarm
from proxy.patience import PATIENCE
from proxy.transports import is_left

_UNSEEN = -1  # for what is left to write, before it is looked at


class End(asyncio.Protocol):
    """What it reads, the other end writes, no faster than the other takes it."""

    reader = PATIENCE.reader  # seconds in which it takes nothing of what is left to write before it is given up
    look = PATIENCE.look  # seconds between two looks whether the other end, which has to wait for it, is still there

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: End | None = None
        self._alarm, self._unread = Alarm(self._too_late), _UNSEEN

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._alarm.close()
        other, self.other, self.transport = self.other, None, None
        if other is not None:
            other.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()
            self._unread = _UNSEEN
            self._alarm.within(self.look)

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def close(self) -> None:
        """Close once everything written has gone out, or nothing more of it is taken."""
        if self.transport is not None and not self.transport.is_closing():
            self._unread = self.transport.get_write_buffer_size()
            self.transport.close()
            self._alarm.within(self.reader)

    @property
    def is_held_back(self) -> bool:
        """Whether the other end takes no more of it for now."""
        return self.transport is not None and not self.transport.is_closing() and not self.transport.is_reading()

    def _too_late(self) -> None:
        transport, other = self.transport, self.other
        if transport is None:
            return None
        if not transport.is_closing():
            if other is None or other.transport is None or not other.is_held_back:
                return None
            # The event loop tells nothing of an end that is not read from. What it has sent is passed on all the same,
            # as long as any of it is taken.
            if not is_left(other.transport):
                return self._alarm.within(self.look)
        unread = transport.get_write_buffer_size()
        if unread == self._unread:
            return transport.abort()
        self._unread = unread  # slow, but it reads
        return self._alarm.within(self.reader)
