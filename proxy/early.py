"""The beginning of an upload that no connection carries yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive

from proxy.alarm import Alarm
from proxy.errors import ClientLeft, ClientStalled
from proxy.unfinished import Unfinished

INVITATION = 1.0  # seconds that an upload waits for `100 Continue`: servers before HTTP/1.1 never send one
MOST = 64 * 1024  # bytes that are taken before there is a connection for them


class Early:
    """Its pieces, in their order. While it waits, they take up room among those of all that do."""

    __slots__ = ("_alarm", "_limit", "_pieces", "_size", "_unfinished", "waits")

    def __init__(self, unfinished: Unfinished) -> None:
        self._unfinished = unfinished
        self._pieces: list[bytes] = []
        self._size, self._limit = 0, 0.0
        self._alarm: Alarm | None = None
        self.waits = False

    @property
    def full(self) -> bool:
        return self._size > MOST or (self.waits and self._unfinished.crowded)

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self.waits:
            self._unfinished.kept += len(piece)
        if self._alarm is not None:
            self._alarm.within(self._limit)

    def wait(self, stalled: Callable[[], None] | None = None, limit: float = 0.0) -> None:
        """For the rest; `stalled` is called if nothing more of it comes within so many seconds."""
        self.waits = True
        self._unfinished.kept += self._size
        if stalled is not None:
            self._alarm, self._limit = Alarm(stalled), limit
            self._alarm.within(limit)

    def line_up(self) -> bool:
        """Wait for no more of it, but for others; whether it waited for the rest."""
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.close()
        return alarm is not None

    def go(self) -> bool:
        """Wait no more; whether it did."""
        self.line_up()
        waited, self.waits = self.waits, False
        if waited:
            self._unfinished.kept -= self._size
        return waited

    def taken(self) -> list[bytes]:
        pieces, self._pieces, self._size = self._pieces, [], 0
        return pieces


async def gathered(receive: Receive, early: Early, limit: float) -> tuple[Receive, bool]:
    """`receive`, once its upload has come as far as is taken early; and whether that is all of it.

    Raises ClientLeft, ClientStalled.
    """
    more = True
    while more and not early.full:
        try:
            async with asyncio.timeout(limit):
                message = await receive()
        except TimeoutError:
            raise ClientStalled from None
        if message["type"] == "http.disconnect":
            raise ClientLeft
        early.add(message.get("body", b""))
        more = message.get("more_body", False)

    async def rest() -> Message:
        if pieces := early.taken():
            return {"type": "http.request", "body": b"".join(pieces), "more_body": more}
        return await receive()

    return rest, not more


def until_whole(receive: Receive, whole: Callable[[], None]) -> Receive:
    """`receive`, which says when there is no more of its upload; more than once if it is asked on."""

    async def listening() -> Message:
        message = await receive()
        if not message.get("more_body", False):
            whole()
        return message

    return listening
