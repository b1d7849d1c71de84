"""Uploads that take their time, on both ways: what they may hold of legacy meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from proxy.early import MOST
from proxy.unfinished import Unfinished
from tests.fidelity.cases import TE, answer, length
from tests.fidelity.origin import OK, Origin
from tests.fidelity.wire import Gone, Peer, Script, Until, connected
from tests.proxy.slow import taking
from tests.proxy.stage import Stage, eventually, settled
from tests.proxy.ways import WAYS, before_legacy, booked, on

CONNECTIONS = 4
HALF = CONNECTIONS // 2
EXPECT = b"Expect: 100-continue"
EARLY: Script = (Until(b"\r\n\r\na"), answer("200 OK", length(5), body=b"early"))  # to an upload that has begun
BUSY: Script = (Gone(),)
both_ways = pytest.mark.parametrize("way", WAYS)


@asynccontextmanager
async def slow_uploads(
    way: str, *answers: Script, more: int = 0, room: int = 10 * MOST, wait: str = "10s"
) -> AsyncIterator[tuple[Stage, Origin, list[Peer]]]:
    """A proxy whose legacy has as many unfinished uploads as it may; who has begun them, and so many users more.

    When they are gone, nothing of them is left.
    """
    async with before_legacy(*answers, connections=CONNECTIONS, wait=wait) as (stage, origin):
        pool = stage.strangler.legacy.pool
        pool.unfinished = Unfinished("legacy", pool.limits, room)
        async with AsyncExitStack() as users:
            begun = [await users.enter_async_context(connected(stage.port)) for _ in range(HALF + more)]
            for user in begun:
                await user.send(on(way, "POST /things", length(3), body=b"a"))
                await settled(lambda: pool.opened, rounds=200)
            assert (pool.opened, pool.unfinished.passed_on) == (HALF, HALF)
            yield stage, origin, begun
        await eventually(lambda: pool.unfinished.passed_on == pool.unfinished.kept == 0)


async def told(user: Peer, what: bytes) -> None:
    await user.until(lambda: what in user.raw)


def whole(origin: Origin) -> list[bytes]:
    """The bodies of the requests that have come whole."""
    return [message.body for message in origin.received if message.complete]


@both_ways
async def test_however_many_uploads_are_not_whole_they_hold_half_of_legacy_s_connections_and_others_are_served(
    way: str,
) -> None:
    async with slow_uploads(way, more=3 * CONNECTIONS) as (stage, origin, _), connected(stage.port) as user:
        await user.send(on(way, "GET /things/1") + on(way, "POST /things", length(3), body=b"abc"))
        await user.until(lambda: user.raw.count(b"HTTP/1.1 200") == 2)
        assert whole(origin) == [b"", b"abc"]
        assert stage.strangler.legacy.pool.opened == HALF + 1


@both_ways
@pytest.mark.parametrize("framing", [length(3), TE], ids=["a length", "chunks"])
async def test_an_upload_that_waited_is_passed_on_when_it_is_whole(way: str, framing: bytes) -> None:
    pieces = [b"a", b"bc"] if framing == length(3) else [b"1\r\na\r\n", b"2\r\nbc\r\n", b"0\r\n\r\n"]
    async with slow_uploads(way) as (stage, origin, _), connected(stage.port) as user:
        await user.send(on(way, "POST /things", framing))
        for piece in pieces:
            await settled(lambda: len(origin.received), rounds=200)
            assert (whole(origin), stage.strangler.legacy.pool.opened) == ([], HALF)
            await user.send(piece)
        await user.until(lambda: user.raw.endswith(b"ok"))
        assert whole(origin) == [b"abc"]


@both_ways
async def test_a_large_upload_waits_for_another_to_end_and_is_passed_on_then_as_it_comes(way: str) -> None:
    size = 4 * MOST
    async with slow_uploads(way) as (stage, origin, (first, *_)), taking(stage) as user:
        pool = stage.strangler.legacy.pool
        user.ask(on(way, "POST /things", length(size)) + bytes(size - 1))
        await eventually(lambda: pool.unfinished.kept > MOST)
        await settled(lambda: pool.opened)
        assert pool.opened == HALF
        await first.send(b"bc")
        await first.until(lambda: first.raw.endswith(b"ok"))
        await eventually(lambda: pool.unfinished.kept == 0)
        assert pool.unfinished.passed_on == HALF
        user.ask(b"x")
        await user.take(2)
        assert whole(origin) == [b"abc", bytes(size - 1) + b"x"]


@both_ways
async def test_a_large_upload_whose_end_comes_with_what_is_too_much_waits_for_nobody(way: str) -> None:
    async with slow_uploads(way) as (stage, origin, _), connected(stage.port) as user:
        pool = stage.strangler.legacy.pool
        await user.send(on(way, "POST /things", length(MOST + 2), body=bytes(MOST)))
        await eventually(lambda: pool.unfinished.kept == MOST)
        await user.send(b"xy")
        await user.until(lambda: user.raw.endswith(b"ok"))
        assert whole(origin) == [bytes(MOST) + b"xy"]


@both_ways
async def test_however_large_the_uploads_are_that_nobody_ends_others_are_served_and_they_are_told_to_come_again(
    way: str,
) -> None:
    async with slow_uploads(way, wait="2s") as (stage, origin, _), AsyncExitStack() as users:  # for all to be in line
        pool = stage.strangler.legacy.pool
        large = [await users.enter_async_context(connected(stage.port)) for _ in range(2 * CONNECTIONS)]
        for user in large:
            await user.send(on(way, "POST /things", length(2 * MOST), body=bytes(MOST + 1)))
        await eventually(lambda: pool.unfinished.kept == len(large) * (MOST + 1))
        other = await users.enter_async_context(connected(stage.port))
        await other.send(on(way, "GET /things/1"))
        await other.until(lambda: other.raw.endswith(b"ok"))
        for user in large:
            await told(user, b"legacy_saturated")
            assert user.raw.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in user.raw.lower()
        assert pool.opened == HALF + 1
        assert pool.unfinished.kept == 0
        assert whole(origin) == [b""]


@both_ways
@pytest.mark.parametrize("unread", [0, 4 * MOST], ids=["all is read", "more is to be read"])
async def test_who_leaves_while_a_large_upload_is_in_line_is_forgotten(way: str, unread: int) -> None:
    async with slow_uploads(way, wait="1h") as (stage, origin, _):
        pool = stage.strangler.legacy.pool
        async with connected(stage.port) as user:
            await user.send(on(way, "POST /things", length(8 * MOST), body=bytes(MOST + 1)))
            await eventually(lambda: pool.unfinished.kept == MOST + 1)
            await user.send(bytes(unread))
            if unread:
                await eventually(lambda: any(front.flow.read_paused for front in stage.fronts))
            user.reset()
            await eventually(lambda: pool.unfinished.kept == 0)
        assert len(origin.received) == HALF


@both_ways
async def test_what_waits_of_all_uploads_has_its_bound_and_who_is_beyond_is_told_to_come_again_at_once(
    way: str,
) -> None:
    async with slow_uploads(way, room=100) as (stage, origin, _), AsyncExitStack() as users:
        pool = stage.strangler.legacy.pool
        first, second, third = [await users.enter_async_context(connected(stage.port)) for _ in range(3)]
        for user in (first, second):
            await user.send(on(way, "POST /things", length(51), body=bytes(50)))
        await eventually(lambda: pool.unfinished.kept == 100)
        await third.send(on(way, "POST /things", length(51), body=bytes(50)))
        await told(third, b"legacy_saturated")
        assert pool.unfinished.kept == 100
        for user in (first, second):
            await user.send(b"x")
            await told(user, b"\r\n\r\nok")
        assert pool.unfinished.kept == 0
        assert whole(origin) == [bytes(50) + b"x"] * 2


@both_ways
async def test_who_asks_whether_to_go_on_with_an_upload_that_has_to_wait_is_told_to(way: str) -> None:
    async with slow_uploads(way) as (stage, origin, _), connected(stage.port) as user:
        await user.send(on(way, "POST /things", EXPECT, length(3)))
        await user.until(lambda: b"100 Continue" in user.raw)
        assert stage.strangler.legacy.pool.opened == HALF
        await user.send(b"abc")
        await user.until(lambda: user.raw.endswith(b"ok"))
        assert user.raw.count(b"100 Continue") == 1
        assert whole(origin) == [b"abc"]


@both_ways
async def test_who_stops_in_an_upload_that_has_to_wait_is_told_so_and_blames_nobody(way: str) -> None:
    async with slow_uploads(way) as (stage, _, _), connected(stage.port) as user:
        pool = stage.strangler.legacy.pool
        pool.limits = replace(pool.limits, stall=0.05)  # of what belongs to no route
        await user.send(on(way, "POST /other", length(3), body=b"a"))
        await user.until(lambda: b"client_stalled" in user.raw)
        assert user.raw.startswith(b"HTTP/1.1 408 ")
        await eventually(lambda: booked(stage, "unmatched") == {"excluded": 1})
        assert pool.opened == HALF


@both_ways
async def test_who_leaves_amid_an_upload_that_has_to_wait_is_forgotten(way: str) -> None:
    async with slow_uploads(way, more=1) as (stage, origin, (*_, user)):
        user.reset()
        await eventually(lambda: booked(stage, "write") == {"excluded": 1})
        assert len(origin.received) == HALF


@both_ways
async def test_an_upload_whose_place_is_left_makes_room_for_the_next(way: str) -> None:
    async with slow_uploads(way):
        pass
    async with slow_uploads(way) as (stage, _, _):
        assert stage.strangler.legacy.pool.unfinished.passed_on == HALF


@both_ways
async def test_an_upload_that_waits_for_its_end_is_passed_on_once_another_ends_and_may_be_answered_before(
    way: str,
) -> None:
    async with slow_uploads(way, OK, OK, EARLY) as (stage, origin, (first, *_)), connected(stage.port) as user:
        unfinished = stage.strangler.legacy.pool.unfinished
        await user.send(on(way, "POST /things", length(3), body=b"a"))
        await eventually(lambda: unfinished.kept == 1)
        await first.send(b"bc")
        await told(user, b"\r\n\r\nearly")
        await told(first, b"\r\n\r\nok")
        await eventually(lambda: (unfinished.kept, unfinished.passed_on) == (0, HALF - 1))
        assert whole(origin) == [b"abc"]


@both_ways
@pytest.mark.parametrize("expect", [(), (EXPECT,)], ids=["unasked", "who asked whether to go on"])
async def test_an_upload_of_which_only_the_head_has_come_is_passed_on_once_another_ends(
    way: str, expect: tuple[bytes, ...]
) -> None:
    async with slow_uploads(way) as (stage, origin, (first, *_)), connected(stage.port) as user:
        await user.send(on(way, "POST /things", *expect, length(3)))
        if expect:
            await told(user, b"100 Continue")
        await settled(lambda: len(origin.received), rounds=200)
        await first.send(b"bc")
        await origin.until(lambda: len(origin.received) == HALF + 1)
        await user.send(b"a")
        await settled(lambda: stage.strangler.legacy.pool.unfinished.kept, rounds=200)
        await user.send(b"bc")
        await told(user, b"\r\n\r\nok")
        assert whole(origin) == [b"abc", b"abc"]
        assert user.raw.count(b"100 Continue") == len(expect)


@asynccontextmanager
async def passed_on_without_a_connection(way: str, wait: str) -> AsyncIterator[tuple[Stage, Peer]]:
    """A user in the middle of an upload whose place has come while every connection was busy."""
    async with slow_uploads(way, BUSY, wait=wait) as (stage, _, (first, *_)), AsyncExitStack() as users:
        pool = stage.strangler.legacy.pool
        for _ in range(CONNECTIONS - HALF):
            busy = await users.enter_async_context(connected(stage.port))
            await busy.send(on(way, "GET /things/1"))
        await eventually(lambda: pool.opened == CONNECTIONS)
        user = await users.enter_async_context(connected(stage.port))
        await user.send(on(way, "POST /things", length(3), body=b"a"))
        await eventually(lambda: pool.unfinished.kept == 1)
        await first.send(b"bc")
        await eventually(lambda: pool.unfinished.kept == 0)
        yield stage, user


async def test_who_leaves_when_its_place_has_come_but_no_connection_leaves_the_place_to_others() -> None:
    async with passed_on_without_a_connection("relay", wait="10s") as (stage, user):
        pool = stage.strangler.legacy.pool
        await eventually(lambda: (pool.unfinished.passed_on, pool.waiting) == (HALF, 1))
        user.reset()
        await eventually(lambda: (pool.unfinished.passed_on, pool.waiting) == (HALF - 1, 0))


@both_ways
async def test_whose_place_has_come_but_no_connection_in_time_leaves_the_place_to_others(way: str) -> None:
    async with passed_on_without_a_connection(way, wait="0.1s") as (stage, user):
        await told(user, b"legacy_saturated")
        await eventually(lambda: stage.strangler.legacy.pool.unfinished.passed_on == HALF - 1)


async def ends(user: Peer) -> None:
    await user.send(b"bc")


async def goes_on(user: Peer) -> None:
    await user.send(b"b")


async def leaves(user: Peer) -> None:
    user.reset()
    await asyncio.sleep(0)  # the event loop closes in its next turn


@both_ways
@pytest.mark.parametrize("ahead", [True, False], ids=["ahead", "behind"])
@pytest.mark.parametrize("does", [ends, goes_on, leaves])
async def test_whatever_a_user_does_as_its_place_comes_the_place_is_taken_once_and_left_once(
    way: str, does: Callable[[Peer], Awaitable[None]], *, ahead: bool
) -> None:
    async with slow_uploads(way) as (stage, origin, (first, *_)), connected(stage.port) as user:
        unfinished = stage.strangler.legacy.pool.unfinished
        await stage.user.get("/things/1")  # from here on there is an idle connection
        await user.send(on(way, "POST /things", length(3), body=b"a"))
        await eventually(lambda: unfinished.kept == 1)
        await settled(lambda: unfinished.kept, rounds=5)  # the system tells of nobody first now
        for who, does_so in [(user, does), (first, ends)] if ahead else [(first, ends), (user, does)]:
            await does_so(who)
        await told(first, b"\r\n\r\nok")
        remains = HALF if does is goes_on else HALF - 1
        await eventually(lambda: (unfinished.kept, unfinished.passed_on) == (0, remains))
        if does is goes_on:
            await user.send(b"c")
        if does is not leaves:
            await told(user, b"\r\n\r\nok")
            assert user.raw.count(b"HTTP/1.1 200") == 1
        if way == "relay":  # who leaves is over before its place has come to anything
            assert len(origin.received) == HALF + (1 if does is leaves and ahead else 2)
        assert sorted(whole(origin)) == [b"", b"abc", b"abc"][: 2 + (does is not leaves)]


@both_ways
async def test_of_many_at_once_each_takes_its_place_once(way: str) -> None:
    chance = random.Random(20_260)  # noqa: S311  # the same every time; no secret
    doing = [chance.choice([ends, goes_on, leaves]) for _ in range(60)]
    async with slow_uploads(way, wait="30s") as (stage, origin, begun), AsyncExitStack() as users:
        unfinished = stage.strangler.legacy.pool.unfinished
        many = [await users.enter_async_context(connected(stage.port)) for _ in doing]
        for user in many:
            await user.send(on(way, "POST /things", length(3), body=b"a"))
        await eventually(lambda: unfinished.kept == len(many))
        for user, does in zip([*begun, *many], [ends, ends, *doing], strict=True):
            await does(user)
        for user, does in zip(many, doing, strict=True):
            if does is goes_on:
                await user.send(b"c")
            if does is not leaves:
                await told(user, b"\r\n\r\nok")
        await eventually(lambda: unfinished.kept == unfinished.passed_on == 0)
        assert whole(origin).count(b"abc") == HALF + len(doing) - doing.count(leaves)
