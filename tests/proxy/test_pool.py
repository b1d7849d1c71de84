from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.connection import Connection
from proxy.dial import Dial
from proxy.errors import NoConnection, Refused, Saturated
from proxy.pool import Limits, Pool
from proxy.reply import Reply
from proxy.request import Request
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Close, Whole
from tests.proxy.ends import NOBODY, at, unreachable, vanishing
from tests.proxy.stage import eventually

HEAD = b"GET /x HTTP/1.1\r\nHost: example.test\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with running_origin() as origin:
        yield origin


def pool_to(origin: Origin, limits: Limits) -> Pool:
    return Pool(Dial("legacy", [at(origin)]), limits)


async def asked(pool: Pool, connection: Connection) -> bytes:
    """An answer, after which the connection is given back."""
    reply = Reply(lambda: pool.give(connection), connection.go_on)
    connection.ask(Request("GET", HEAD, []), reply, Limits())
    await eventually(lambda: reply.complete)
    return await reply.read()


async def test_a_connection_that_was_given_back_is_used_again(origin: Origin) -> None:
    pool = pool_to(origin, Limits())
    for _ in range(3):
        assert await asked(pool, await pool.take()) == b"ok"
    assert (pool.opened, pool.idle, origin.accepted) == (1, 1, 1)
    pool.close()


async def test_the_connection_used_last_is_used_next(origin: Origin) -> None:
    pool = pool_to(origin, Limits())
    first, second = await pool.take(), await pool.take()
    await asked(pool, first)
    await asked(pool, second)
    assert await pool.take() is second
    pool.give(second)
    pool.close()


async def test_what_is_free_at_this_moment_is_taken_without_waiting(origin: Origin) -> None:
    pool = pool_to(origin, Limits())
    assert pool.take_idle() is None
    first, second, third = await pool.take(), await pool.take(), await pool.take()
    for connection in (first, second, third):
        await asked(pool, connection)
    third.close()
    assert pool.take_idle() is second
    assert pool.take_idle() is first
    assert pool.take_idle() is None
    for connection in (first, second):
        pool.give(connection)
    assert (pool.opened, pool.idle) == (3, 2)
    await eventually(lambda: pool.opened == 2)
    pool.close()


async def test_whoever_waits_first_is_served_first(origin: Origin) -> None:
    pool, served = pool_to(origin, Limits(connections=1)), []

    async def wait(name: str) -> None:
        connection = await pool.take()
        served.append(name)
        await asked(pool, connection)

    connection = await pool.take()
    async with asyncio.TaskGroup() as tasks:
        for place, name in enumerate("abc", 1):
            tasks.create_task(wait(name))
            await eventually(lambda place=place: pool.waiting == place)  # type: ignore[misc]  # of this round
        await asked(pool, connection)
    assert served == ["a", "b", "c"]
    assert (pool.opened, pool.idle, pool.waiting, origin.accepted) == (1, 1, 0, 1)
    pool.close()


async def test_a_full_queue_refuses_at_once(origin: Origin) -> None:
    pool = pool_to(origin, Limits(connections=1, queue=1))
    connection = await pool.take()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(pool.take())
        await eventually(lambda: pool.waiting == 1)
        with pytest.raises(Saturated, match="1 connections to legacy are busy and 1 requests wait"):
            await pool.take()
        await asked(pool, connection)
    pool.give(waiting.result())
    pool.close()


async def test_nobody_waits_longer_than_the_limit(origin: Origin) -> None:
    pool = pool_to(origin, Limits(connections=1, wait=0.01))
    connection = await pool.take()
    with pytest.raises(Saturated, match=r"no connection to legacy came free within 0\.01 s"):
        await pool.take()
    assert (pool.opened, pool.waiting) == (1, 0)
    pool.give(connection)
    pool.close()


async def test_a_connection_that_nobody_accepts_is_refused() -> None:
    pool = Pool(Dial("legacy", [NOBODY]), Limits())
    with pytest.raises(Refused, match=r"no connection to 127\.0\.0\.1:1: "):
        await pool.take()
    assert pool.opened == 0


async def test_a_connection_that_nobody_answers_fails_in_time() -> None:
    with unreachable() as address:
        pool = Pool(Dial("legacy", [address], connect=0.05), Limits())
        with pytest.raises(NoConnection, match=r"within 0\.05 s"):
            await pool.take()
        assert pool.opened == 0


async def test_to_give_up_connecting_leaves_nothing() -> None:
    with unreachable() as address:
        pool = Pool(Dial("legacy", [address], connect=60), Limits())
        taking = asyncio.get_running_loop().create_task(pool.take())
        await eventually(lambda: pool.opened == 1)
        taking.cancel()
        await asyncio.wait([taking])
        assert taking.cancelled()
        assert (pool.opened, pool.idle, pool.waiting) == (0, 0, 0)


async def test_to_give_up_waiting_leaves_the_queue(origin: Origin) -> None:
    pool = pool_to(origin, Limits(connections=1))
    connection = await pool.take()
    waiting = asyncio.get_running_loop().create_task(pool.take())
    await eventually(lambda: pool.waiting == 1)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asked(pool, connection)
    assert (pool.opened, pool.idle, pool.waiting) == (1, 1, 0)
    pool.close()


async def test_what_was_handed_to_somebody_who_gave_up_goes_to_the_next(origin: Origin) -> None:
    pool, loop = pool_to(origin, Limits(connections=1)), asyncio.get_running_loop()
    connection = await pool.take()
    first, second = loop.create_task(pool.take()), loop.create_task(pool.take())
    await eventually(lambda: pool.waiting == 2)
    pool.give(connection)  # hands over; the one who waits has not run yet
    first.cancel()
    await asyncio.wait([first, second])
    assert first.cancelled()
    pool.give(second.result())
    assert (pool.opened, pool.idle, pool.waiting) == (1, 1, 0)
    pool.close()


async def test_the_place_of_a_lost_connection_goes_to_the_next(origin: Origin) -> None:
    pool = pool_to(origin, Limits(connections=1))
    connection = await pool.take()
    waiting = asyncio.get_running_loop().create_task(pool.take())
    await eventually(lambda: pool.waiting == 1)
    connection.close()
    await asyncio.wait([waiting])
    assert waiting.result() is not connection
    assert await asked(pool, waiting.result()) == b"ok"
    assert (pool.opened, pool.idle) == (1, 1)
    pool.close()


async def test_a_connection_lost_while_it_is_handed_over_is_replaced(origin: Origin) -> None:
    pool = pool_to(origin, Limits(connections=1))
    connection = await pool.take()
    waiting = asyncio.get_running_loop().create_task(pool.take())
    await eventually(lambda: pool.waiting == 1)
    pool.give(connection)
    connection.close()
    await asyncio.wait([waiting])
    assert await asked(pool, waiting.result()) == b"ok"
    assert (pool.opened, pool.idle) == (1, 1)
    pool.close()


async def test_an_idle_connection_that_the_side_closes_is_forgotten(origin: Origin) -> None:
    origin.begin((Whole(), ANSWER, Close()))
    pool = pool_to(origin, Limits())
    await asked(pool, await pool.take())
    await eventually(lambda: pool.opened == 0)
    assert pool.idle == 0


async def test_idle_connections_are_let_go(origin: Origin) -> None:
    pool = pool_to(origin, Limits(idle=0.01))
    for connection in [await pool.take(), await pool.take()]:
        await asked(pool, connection)
    await eventually(lambda: pool.opened == 0)
    await origin.until(lambda: origin.open == 0)


async def test_a_connection_that_is_old_is_not_kept(origin: Origin) -> None:
    pool = pool_to(origin, Limits(age=60))
    young, old = await pool.take(), await pool.take()
    young.opened_at -= 50
    old.opened_at -= 61
    for connection in (young, old):
        await asked(pool, connection)
    assert (young.closed, old.closed, pool.idle) == (False, True, 1)
    await eventually(lambda: pool.opened == 1)
    pool.close()


async def test_an_old_connection_makes_room_for_whoever_waits(origin: Origin) -> None:
    pool = pool_to(origin, Limits(connections=1))
    old = await pool.take()
    old.opened_at -= 61
    waiting = asyncio.get_running_loop().create_task(pool.take())
    await eventually(lambda: pool.waiting == 1)
    await asked(pool, old)
    assert await waiting is not old
    assert await asked(pool, waiting.result()) == b"ok"
    assert (pool.opened, pool.idle, origin.accepted) == (1, 1, 2)
    pool.close()


async def test_no_connection_is_kept_to_an_address_that_others_replace(origin: Origin) -> None:
    async with vanishing() as (leaving, leave):
        pool = Pool(Dial("legacy", [at(origin), leaving]), Limits())
        connections = [await pool.take() for _ in range(6)]
        for connection in connections[2:]:
            await asked(pool, connection)
        assert (pool.opened, pool.idle, origin.accepted) == (6, 4, 3)
        leave()
        fresh = [await pool.take(fresh=True), await pool.take(fresh=True)]
        for connection in (*connections[:2], *fresh):
            await asked(pool, connection)
        await eventually(lambda: pool.opened == 5)
        assert (pool.idle, origin.accepted) == (5, 5)
        pool.close()


async def test_connections_to_the_only_address_are_kept_though_it_takes_no_more() -> None:
    async with vanishing() as (leaving, leave):
        pool = Pool(Dial("legacy", [leaving]), Limits())
        await asked(pool, await pool.take())
        leave()
        with pytest.raises(Refused):
            await pool.take(fresh=True)
        assert pool.idle == 1
        assert await asked(pool, await pool.take()) == b"ok"
        pool.close()


async def test_a_fresh_connection_takes_the_place_of_the_oldest_idle_one(origin: Origin) -> None:
    pool = pool_to(origin, Limits(connections=1))
    old = await pool.take()
    await asked(pool, old)
    new = await pool.take(fresh=True)
    assert new is not old
    assert (old.closed, pool.opened, pool.idle) == (True, 1, 0)
    pool.give(new)
    pool.close()


async def test_a_closed_pool_keeps_nothing(origin: Origin) -> None:
    pool = pool_to(origin, Limits())
    idle, busy = await pool.take(), await pool.take()
    await asked(pool, idle)
    pool.close()
    pool.give(busy)
    await eventually(lambda: pool.opened == 0)
    await origin.until(lambda: origin.open == 0)
