from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from proxy.errors import Broken
from proxy.reply import HIGH_WATER, Reply


class Asker:
    """Whoever asked, and what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.reply = Reply(lambda: self.told.append("answered"), lambda: self.told.append("emptied"))


async def test_what_has_come_is_read_at_once_and_makes_room() -> None:
    asker = Asker()
    reply = asker.reply
    reply.begin(200, b"OK", [(b"x-a", b"1")])
    reply.feed(bytes(HIGH_WATER))
    assert not reply.full
    reply.feed(b"!")
    assert reply.full
    assert await reply.head() == (200, [(b"x-a", b"1")])
    assert await reply.read() == bytes(HIGH_WATER) + b"!"
    assert (reply.full, asker.told) == (False, ["emptied"])


async def test_who_reads_waits_for_what_is_to_come_and_for_the_end() -> None:
    reply = Asker().reply
    async with asyncio.TaskGroup() as tasks:
        head = tasks.create_task(reply.head())
        await asyncio.sleep(0)
        reply.begin(200, b"OK", [])
        reply.wake()
        assert (await head)[0] == 200
        body = tasks.create_task(reply.read())
        await asyncio.sleep(0)
        assert not body.done()
        reply.feed(b"a")
        reply.wake()
        assert await body == b"a"
        reply.end([])
    assert await reply.read() == b""


async def test_a_failure_is_raised_behind_what_came_before_it() -> None:
    reply = Asker().reply
    reply.begin(200, b"OK", [])
    reply.feed(b"half")
    reply.fail(Broken("gone"))
    reply.fail(Broken("said twice"))
    assert await reply.read() == b"half"
    with pytest.raises(Broken, match="gone"):
        await reply.read()


async def test_a_failure_of_what_is_complete_is_none() -> None:
    reply = Asker().reply
    reply.begin(200, b"OK", [])
    reply.end([])
    reply.fail(Broken("gone"))
    assert await reply.read() == b""


@pytest.mark.parametrize(
    ("status", "invited"), [(100, True), (103, False), (None, True)], ids=["invited", "told something else", "silence"]
)
async def test_an_upload_waits_for_an_invitation_or_for_nothing_at_all(status: int | None, invited: bool) -> None:
    reply = Asker().reply
    if status is not None:
        reply.interim(status, b"", [])
    if status == 103:
        reply.begin(417, b"", [])
    assert await reply.invitation(0.01) is invited


async def test_one_that_is_closed_calls_nobody_and_holds_nobody() -> None:
    asker = Asker()
    reply, gone = asker.reply, weakref.ref(asker)
    reply.begin(200, b"OK", [])
    reply.close()
    reply.answered()
    reply.feed(b"late")
    assert await reply.read() == b"late"
    assert asker.told == []
    gc.disable()
    try:
        del asker
        assert gone() is None
    finally:
        gc.enable()
