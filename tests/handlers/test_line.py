from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis import exceptions as redis_faults

from demo import stack
from demo.stack import start_redis
from handlers import line as lines
from handlers.line import Line, Reply
from tests.handlers.relay import Relay
from tests.handlers.serving import eventually


@asynccontextmanager
async def to(url: str) -> AsyncIterator[Line]:
    line = Line(url, 30.0)
    try:
        yield line
    finally:
        await line.close()
        await asyncio.sleep(0)  # until the event loop has let go of the connection


@pytest.fixture
async def line(own_redis: stack.Redis, redis: Redis) -> AsyncIterator[Line]:
    async with to(own_redis.url()) as line:
        yield line


def connections(redis: Redis) -> int:
    return len(redis.client_list())


def begun(line: Line, *words: str | bytes | int) -> asyncio.Task[Reply]:
    return asyncio.get_running_loop().create_task(line.ask(*words))


async def test_everybody_asks_at_once_on_one_connection_and_hears_what_he_asked_for(line: Line, redis: Redis) -> None:
    before = connections(redis)
    replies = await asyncio.gather(*(line.ask("ECHO", number) for number in range(500)))
    assert replies == [b"%d" % number for number in range(500)]
    assert connections(redis) == before + 1


async def test_an_answer_longer_than_one_reading_arrives_whole(line: Line) -> None:
    long = bytes(range(256)) * 8192
    asked = [line.ask("ECHO", long), line.ask("PING")]
    assert await asyncio.gather(*asked) == [long, b"PONG"]


async def test_a_fault_is_his_who_asked(line: Line) -> None:
    asked = [line.ask("PING"), line.ask("EVAL", "return redis.call('NONSENSE')", 0), line.ask("PING")]
    first, fault, last = await asyncio.gather(*asked, return_exceptions=True)
    assert (first, last) == (b"PONG", b"PONG")
    assert isinstance(fault, redis_faults.ResponseError)


async def test_who_leaves_leaves_the_others_their_answers(line: Line, redis: Redis) -> None:
    await line.ask("PING")
    before = connections(redis)
    left, right = begun(line, "ECHO", "left"), begun(line, "ECHO", "right")
    await asyncio.sleep(0)
    left.cancel()
    assert await right == b"right"
    assert await line.ask("ECHO", "next") == b"next"
    assert connections(redis) == before


async def test_who_is_owed_an_answer_is_told_that_the_connection_is_lost_and_the_next_has_a_new_one(
    line: Line, redis: Redis
) -> None:
    waiting = begun(line, "BLPOP", "nothing", 0)
    await eventually(lambda: any(client["cmd"] == "blpop" for client in redis.client_list()))
    redis.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(redis_faults.ConnectionError):
        await waiting
    assert await line.ask("PING") == b"PONG"


async def test_a_connection_that_was_lost_while_nobody_asked_costs_nobody_an_answer(line: Line, redis: Redis) -> None:
    await line.ask("PING")
    wire = line._wire
    assert wire is not None
    redis.client_kill_filter(_type="normal", skipme=True)
    await eventually(lambda: not wire.usable())
    assert await line.ask("PING") == b"PONG"


async def test_a_connection_that_is_silent_for_too_long_is_given_up(line: Line, redis: Redis) -> None:
    late = begun(line, "BLPOP", "nothing", 0)
    await eventually(lambda: any(client["cmd"] == "blpop" for client in redis.client_list()))
    wire = line._wire
    assert wire is not None
    assert wire.usable()
    wire._owed[0] = (wire._owed[0][0] - lines.STUCK, wire._owed[0][1])
    assert await line.ask("PING") == b"PONG"
    with pytest.raises(redis_faults.ConnectionError):
        await late


async def test_a_connection_that_takes_longer_than_anybody_waits_is_made_nevertheless(
    own_redis: stack.Redis, redis: Redis
) -> None:
    redis.ping()
    before = redis.info("stats")["total_connections_received"]
    host = own_redis.url().removeprefix("redis://").partition("/")[0]
    async with Relay(f"redis://{host}/3") as relay, to(relay.url) as line:
        relay.freeze()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await line.ask("PING")
        relay.thaw()
        assert await line.ask("PING") == b"PONG"
        assert redis.info("stats")["total_connections_received"] == before + 1


async def test_a_connection_that_is_not_made_in_time_is_tried_again_by_who_asks_next(own_redis: stack.Redis) -> None:
    host = own_redis.url().removeprefix("redis://").partition("/")[0]
    async with Relay(f"redis://{host}/3") as relay:
        line = Line(relay.url, 0.05)
        relay.freeze()
        with pytest.raises(TimeoutError):
            await line.ask("PING")
        relay.thaw()
        await eventually_pong(line)
        await line.close()


async def eventually_pong(line: Line) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            assert await line.ask("PING") == b"PONG"
            return


async def test_a_connection_that_is_still_being_made_is_given_up_with_the_line(own_redis: stack.Redis) -> None:
    host = own_redis.url().removeprefix("redis://").partition("/")[0]
    async with Relay(f"redis://{host}/3") as relay:
        relay.freeze()
        async with to(relay.url) as line:
            asking = begun(line, "PING")
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize("words", [("SET", "key", "1"), ("EVAL", "redis.call('SET', 'key', '1')", 0)])
async def test_a_redis_that_has_become_a_replica_is_left(
    own_redis: stack.Redis, redis: Redis, tmp_path: Path, words: tuple[str | int, ...]
) -> None:
    other = start_redis(tmp_path)
    with other.service, Redis.from_url(other.url()) as promoted:
        async with Relay(own_redis.url()) as relay, to(relay.url) as line:
            await line.ask("PING")
            redis.replicaof("127.0.0.1", other.service.port)
            relay.lead_to(other.url())
            try:
                with pytest.raises(redis_faults.ConnectionError, match="READONLY"):
                    await line.ask(*words)
                await line.ask(*words)
                assert promoted.get("key") == b"1"
            finally:
                redis.replicaof("NO", "ONE")


async def test_where_nobody_listens_everybody_is_told_so(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    server.service.stop()
    async with to(server.url()) as line:
        faults: list[Any] = await asyncio.gather(*(line.ask("PING") for _ in range(5)), return_exceptions=True)
    assert [isinstance(fault, OSError) for fault in faults] == [True] * 5


async def test_a_redis_with_a_password_is_told_it_and_the_database_is_the_address_s(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with server.service, Redis.from_url(server.url()) as client:
        client.acl_setuser("reader", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"])
        client.config_set("requirepass", "word")
        host = server.url().removeprefix("redis://").partition("/")[0]
        for who in ("reader:secret", ":word"):
            async with to(f"redis://{who}@{host}/3") as line:
                assert b" db=3 " in (await line.ask("CLIENT", "INFO"))  # type: ignore[operator]  # text, and no number
        async with to(f"redis://:wrong@{host}/3") as line:
            with pytest.raises(redis_faults.ResponseError, match="WRONGPASS"):
                await line.ask("PING")


async def test_a_socket_of_the_machine_will_do(tmp_path: Path) -> None:
    path, left = tmp_path / "redis.sock", asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readexactly(len(b"*1\r\n$4\r\nPING\r\n"))
        writer.write(b"+" + asked[-6:-2] + b"\r\n")
        await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_unix_server(pass_on, path):
        async with to(f"unix://{path}") as line:
            assert await line.ask("PING") == b"PING"
        await left.wait()
