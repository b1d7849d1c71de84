"""One answer while it comes: the connection fills it, whoever asked empties it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.errors import Crumbled, StranglerError
from proxy.headers import Header

# An answer up to this size is taken off the side at once, so that a slow reader does not hold one of its threads.
HIGH_WATER = 256 * 1024


class Reply:
    """`touched`: anything came at all. After a failure, what came before it can still be read; then it is raised.

    `answered` is called when the answer is complete, `emptied` whenever it has been read as far as it has come.
    """

    __slots__ = (
        "_answered", "_buffered", "_chunks", "_emptied", "_invitation", "_reader", "complete", "failure", "headers",
        "invited", "status", "touched",
    )  # fmt: skip

    def __init__(self, answered: Callable[[], None], emptied: Callable[[], None]) -> None:
        self._answered, self._emptied = answered, emptied
        self._chunks: list[bytes] = []
        self._reader: asyncio.Future[None] | None = None
        self._invitation: asyncio.Future[None] | None = None
        self._buffered = 0
        self.status = 0
        self.headers: list[Header] = []
        self.failure: StranglerError | None = None
        self.complete = self.touched = self.invited = False

    # Whoever asked

    async def head(self) -> tuple[int, list[Header]]:
        while not self.status:
            self._raise_failure()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self.status, self.headers

    async def read(self) -> bytes:
        """What has come since the last call. Nothing is left to come once the reply is `complete`."""
        while not self._chunks and not self.complete:
            self._raise_failure()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._buffered = [], 0
        self._emptied()
        return data

    async def invitation(self, limit: float) -> bool:
        """Wait for `100 Continue`, at most `limit` seconds (RFC 9110 §10.1.1); False if something else came."""
        if not (self.invited or self.status or self.failure):
            self._invitation = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._invitation], timeout=limit)
        return self.invited or not (self.status or self.failure)

    def close(self) -> None:
        """Nobody reads it any more, nor wants to hear of it."""
        self._answered = self._emptied = _nothing
        self.failure = None  # its traceback leads back here

    # The connection

    @property
    def full(self) -> bool:
        return self._buffered > HIGH_WATER

    def interim(self, status: int, phrase: bytes, headers: list[Header]) -> None:
        self.invited = self.invited or status == 100  # ASGI has no place for any other

    def begin(self, status: int, phrase: bytes, headers: list[Header]) -> None:
        self.status, self.headers = status, headers

    def feed(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered += len(body)

    def end(self, trailers: list[Header]) -> None:
        self.complete = True

    def answered(self) -> None:
        self._answered()

    def fail(self, failure: StranglerError) -> None:
        if self.failure is None and not self.complete:
            self.failure = failure
            self.wake()

    def wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        if self._invitation is not None and not self._invitation.done():
            self._invitation.set_result(None)

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure


class Counted(Reply):
    """One that may come in so many pieces. To take it apart keeps all others waiting, and a read may hold thousands."""

    __slots__ = ("_left", "_pieces")

    def __init__(self, answered: Callable[[], None], emptied: Callable[[], None], pieces: int) -> None:
        super().__init__(answered, emptied)
        self._left = self._pieces = pieces

    def feed(self, body: bytes) -> None:
        """Raises Crumbled at the first piece too many."""
        if not self._left:
            raise Crumbled(f"its answer comes in more than {self._pieces} pieces")
        self._left -= 1
        super().feed(body)


def _nothing() -> None:
    return
