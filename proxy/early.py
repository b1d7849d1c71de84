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

    __slots__ = ("_alarm", "_limit", "_pass_on", "_pieces", "_size", "_unfinished", "waits")

    def __init__(self, unfinished: Unfinished) -> None:
        self._unfinished = unfinished
        self._pieces: list[bytes] = []
        self._size, self._limit = 0, 0.0
        self._alarm: Alarm | None = None
        self._pass_on: Callable[[], None] | None = None
        self.waits = False

    @property
    def full(self) -> bool:
        return self._size > MOST or (self.waits and self._unfinished.crowded)

    @property
    def grows(self) -> bool:
        """Whether it waits for the rest, and no place among those that are passed on has come free for it."""
        return self._pass_on is not None

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self.waits:
            self._unfinished.kept += len(piece)
        if self._alarm is not None:
            self._alarm.within(self._limit)

    def wait(self, pass_on: Callable[[], None], stalled: Callable[[], None] | None = None, limit: float = 0.0) -> None:
        """For the rest. `pass_on` is called, amid the end of another upload, if its place is this one's from now on;
        `stalled` if nothing more comes within so many seconds."""
        self.waits, self._pass_on = True, pass_on
        self._unfinished.kept += self._size
        self._unfinished.offer_to(self._take)
        if stalled is not None:
            self._alarm, self._limit = Alarm(stalled), limit
            self._alarm.within(limit)

    def line_up(self) -> bool:
        """Wait for no more of it, but for others; whether it waited for the rest."""
        grew = self.grows
        if grew:
            self._unfinished.offer_no_more(self._take)
            self._grow_no_more()
        return grew

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

    def _take(self) -> None:
        pass_on = self._pass_on
        self._grow_no_more()
        if pass_on is not None:
            pass_on()

    def _grow_no_more(self) -> None:
        self._pass_on = None
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None


async def gathered(receive: Receive, early: Early, pass_on: Callable[[], None], limit: float) -> tuple[Receive, bool]:
    """`receive`, once its upload has come as far as is taken early, or `pass_on` was called, for there is a place for
    the rest; and whether that is all of it.

    Raises ClientLeft, ClientStalled.
    """
    loop, more = asyncio.get_running_loop(), True

    def interrupt() -> None:
        pass_on()
        if not patience.expired():
            patience.reschedule(loop.time())

    try:
        async with asyncio.timeout(limit) as patience:
            early.wait(interrupt)
            while more and early.grows and not early.full:
                patience.reschedule(loop.time() + limit)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                early.add(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        if early.grows:  # or it is over because there is a place
            raise ClientStalled from None

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
