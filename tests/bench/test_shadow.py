"""What the benchmark of shadow work asks, and how it sums up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from bench.shadow.joined import Peer, joined
from bench.shadow.side import ANSWERS, Answer, crashes, taking
from bench.shadow.summary import cost, costs, targets
from bench.shadow.users import Waited, ask


@asynccontextmanager
async def side(answer: Answer) -> AsyncIterator[int]:
    under_way = set[asyncio.Task[None] | None]()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        with suppress(ConnectionError):
            while await reader.read(1 << 16):
                await answer(writer)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*[each for each in under_way if each is not None])


async def test_users_come_at_a_steady_rate_and_all_are_answered() -> None:
    async with side(taking(0.001, ANSWERS["legacy"])) as port:
        waited = await ask(port, rate=200, seconds=0.1)
    assert (waited.requests, waited.failed) == (20, 0)
    assert 0 < waited.p50 <= waited.p99


async def test_users_who_are_let_down_are_counted_apart() -> None:
    answered = 0

    async def every_other(writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        answered += 1
        await (crashes if answered % 2 else taking(0.001, ANSWERS["legacy"]))(writer)

    async with side(every_other) as port:
        waited = await ask(port, rate=200, seconds=0.1)
    assert (waited.requests, waited.failed) == (10, 10)


async def test_who_joins_both_sides_waits_for_both() -> None:
    async with side(taking(0.001, ANSWERS["legacy"])) as legacy, side(taking(0.001, ANSWERS["native"])) as native:
        peers = [Peer(port, len(answer)) for port, answer in zip((legacy, native), ANSWERS.values(), strict=True)]
        for _ in range(2):  # over the same connections
            assert await joined(b"GET / HTTP/1.1\r\n\r\n", *peers) == ANSWERS["legacy"]
        for peer in peers:
            peer.close()


async def test_who_joins_a_side_that_crashes_is_answered_all_the_same() -> None:
    async with side(taking(0.001, ANSWERS["legacy"])) as legacy, side(crashes) as native:
        peers = Peer(legacy, len(ANSWERS["legacy"])), Peer(native, len(ANSWERS["native"]))
        assert await joined(b"GET / HTTP/1.1\r\n\r\n", *peers) == ANSWERS["legacy"]
        for peer in peers:
            peer.close()


def test_what_it_costs_is_the_mean_of_the_ratios_by_pairs() -> None:
    told = cost([10.0, 20.0, 40.0], [11.0, 22.0, 44.0])
    assert told == {"ratio": 1.1, "low": 1.1, "high": 1.1}
    told = cost([10.0] * 20, [10.0, 12.1] * 10)
    assert told["ratio"] == 1.1
    assert 1.05 < told["low"] < 1.1 < told["high"] < 1.15


def test_a_case_has_a_pair_in_each_round_in_which_it_was_asked() -> None:
    off, twice = {"p50": 10.0, "p99": 20.0}, {"p50": 20.0, "p99": 40.0}
    told = costs([{"off": off, "on": off}, {"on": twice, "off": twice, "joined": off}], "off")
    assert told["on"]["p50"]["ratio"] == told["on"]["p99"]["ratio"] == 1.0
    assert told["joined"]["p99"]["ratio"] == 0.5


@pytest.mark.parametrize(("p50", "p99", "missed"), [(1.05, 1.1, 0), (1.06, 1.1, 1), (1.05, 1.11, 1)])
def test_users_may_wait_a_little_longer(p50: float, p99: float, missed: int) -> None:
    told = targets({"on": {"p50": {"ratio": p50}, "p99": {"ratio": p99}}}, {}, failed=0)
    assert sum(not each["met"] for each in told.values()) == missed


def test_neither_may_memory_grow_nor_a_request_fail() -> None:
    told = targets({}, {"pours": 65.0, "on": 64.0}, failed=1)
    assert [each["met"] for each in told.values()] == [False, True, False]


def test_who_waited_is_told_in_milliseconds() -> None:
    assert Waited.of([0.001, 0.002, 0.003], failed=2) == Waited(2.0, 3.0, 3, 2)
