from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive

from proxy.early import Early, gathered
from proxy.errors import ClientLeft, ClientStalled
from proxy.limits import Limits
from proxy.unfinished import Unfinished
from tests.proxy.stage import settled, stand_still

LONG = 10.0


class Upload:
    """One that comes through ASGI while all places are taken. `places`: how many have become its own."""

    def __init__(self) -> None:
        self.unfinished = Unfinished("legacy", Limits(connections=1))
        assert self.unfinished.begin()
        self.early = Early(self.unfinished)
        self.places = 0
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.receive: Receive = self._inbox.get

    def comes(self, body: bytes = b"", *, more: bool = True) -> None:
        self._inbox.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leaves(self) -> None:
        self._inbox.put_nowait({"type": "http.disconnect"})

    async def gathered(self, limit: float = LONG) -> tuple[bytes, bool]:
        """What had come when it was passed on, or else the first that came then; and whether that is all of it."""
        try:
            receive, whole = await gathered(self._inbox.get, self.early, self._passed_on, limit)
        finally:
            self.early.go()
        message = await receive()
        assert message["more_body"] is not whole
        self.receive = receive
        return message["body"], whole

    def _passed_on(self) -> None:
        self.places += 1


async def waiting(upload: Upload) -> asyncio.Task[tuple[bytes, bool]]:
    """For its rest, behind a piece."""
    upload.comes(b"a")
    task = asyncio.get_running_loop().create_task(upload.gathered())
    await settled(lambda: upload.unfinished.kept, rounds=5)
    assert not task.done()
    return task


async def test_what_has_come_is_passed_on_when_a_place_comes() -> None:
    upload = Upload()
    task = await waiting(upload)
    upload.unfinished.end()
    assert await task == (b"a", False)
    assert (upload.places, upload.unfinished.passed_on, upload.unfinished.kept) == (1, 1, 0)


async def test_what_comes_is_passed_on_if_a_place_came_before_anything_did() -> None:
    upload = Upload()
    task = asyncio.get_running_loop().create_task(upload.gathered())
    await settled(lambda: 0, rounds=5)
    upload.unfinished.end()
    await settled(lambda: 0, rounds=5)
    upload.comes(b"ab")
    assert await task == (b"ab", False)


@pytest.mark.parametrize("more", [True, False], ids=["a piece", "the end"])
async def test_what_comes_ahead_of_a_place_goes_with_the_rest(*, more: bool) -> None:
    upload = Upload()
    task = await waiting(upload)
    upload.comes(b"b", more=more)
    upload.unfinished.end()
    assert await task == (b"ab", not more)
    assert upload.places == 1


@pytest.mark.parametrize("more", [True, False], ids=["a piece", "the end"])
async def test_what_comes_right_behind_a_place_is_not_lost(*, more: bool) -> None:
    upload = Upload()
    task = await waiting(upload)
    upload.unfinished.end()
    upload.comes(b"b", more=more)
    assert await task == (b"a", False)
    assert await upload.receive() == {"type": "http.request", "body": b"b", "more_body": more}
    assert upload.places == 1


async def test_who_leaves_as_a_place_comes_has_left() -> None:
    upload = Upload()
    task = await waiting(upload)
    upload.leaves()
    upload.unfinished.end()
    with pytest.raises(ClientLeft):
        await task
    assert upload.places == 1


async def test_a_place_that_comes_as_patience_ends_is_in_time() -> None:
    upload = Upload()
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        upload.unfinished.end()
        told.set()  # and nobody who ends hears of another's patience

    upload.comes(b"a")
    loop.call_later(0.02, end)
    loop.call_soon(stand_still, 0.05)  # until both are due
    assert await upload.gathered(limit=0.01) == (b"a", False)
    assert (upload.places, told.is_set()) == (1, True)


async def test_who_stops_is_offered_no_place_any_more() -> None:
    upload = Upload()
    upload.comes(b"a")
    with pytest.raises(ClientStalled):
        await upload.gathered(limit=0.01)
    upload.unfinished.end()
    assert (upload.places, upload.unfinished.passed_on, upload.unfinished.kept) == (0, 0, 0)


async def test_who_is_cancelled_is_offered_no_place_any_more() -> None:
    upload = Upload()
    task = await waiting(upload)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    upload.unfinished.end()
    assert (upload.places, upload.unfinished.passed_on, upload.unfinished.kept) == (0, 0, 0)
