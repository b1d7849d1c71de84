"""What the benchmark of shadow work asks, and how it sums up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from bench.shadow.joined import Peer, joined
from bench.shadow.side import ANSWERS, HUGE, Answer, crashes, how, seconds, taking
from bench.shadow.summary import cost, costs, costs_table, targets
from bench.shadow.users import Visit, Waited, ask, visits

COMING = [Visit(number * 0.005, number) for number in range(20)]


@asynccontextmanager
async def side(answer: Answer) -> AsyncIterator[int]:
    under_way = set[asyncio.Task[None] | None]()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        with suppress(ConnectionError):
            while question := await reader.read(1 << 16):
                await answer(writer, question)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*[each for each in under_way if each is not None])


def test_the_same_users_come_in_every_case_of_a_round_and_others_in_the_next() -> None:
    one, again, next_one = visits(1, 400.0, 2.0), visits(1, 400.0, 2.0), visits(2, 400.0, 2.0)
    assert one == again
    assert not {each.number for each in one} & {each.number for each in next_one}
    assert 700 < len(one) < 900
    assert all(0 < each.at < 2.0 for each in one)


async def test_users_come_whoever_still_waits_and_all_are_answered() -> None:
    async with side(taking(0.001, ANSWERS["legacy"])) as port:
        waited = await ask(port, COMING)
    assert (waited.requests, waited.failed) == (20, 0)
    assert 0 < waited.p50 <= waited.p99


async def test_users_who_are_let_down_are_counted_apart() -> None:
    answered = 0

    async def every_other(writer: asyncio.StreamWriter, question: bytes) -> None:
        nonlocal answered
        answered += 1
        await (crashes if answered % 2 else taking(0.001, ANSWERS["legacy"]))(writer, question)

    async with side(every_other) as port:
        waited = await ask(port, COMING)
    assert (waited.requests, waited.failed) == (10, 10)


def test_a_question_takes_as_long_whoever_asks_it() -> None:
    asked = [visit.question for visit in COMING]
    assert [seconds(0.01, each) for each in asked] == [seconds(0.01, each.title()) for each in asked]
    assert len({seconds(0.01, each) for each in asked}) == len(asked)


@pytest.mark.parametrize(("name", "head"), [("pours", b"1073741824"), ("pours untold", b"chunked")])
async def test_what_pours_sends_more_than_anybody_keeps_until_it_is_left(name: str, head: bytes) -> None:
    async with side(how(name)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(COMING[0].question)
        assert head in await reader.readuntil(b"\r\n\r\n")
        assert len(await reader.readexactly(1 << 20)) < HUGE
        writer.close()


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
    assert (told["ratio"], told["low"], told["high"]) == (1.1, 1.1, 1.1)
    told = cost([10.0] * 20, [10.0, 12.1] * 10)
    assert told["ratio"] == 1.1
    assert 1.05 < told["low"] < 1.1 < told["high"] < 1.15


def test_it_is_told_in_milliseconds_as_well_for_whoever_has_another_legacy() -> None:
    told = cost([10.0] * 20, [10.0, 12.0] * 10)
    assert told["added"] == 1.0
    assert 0.5 < told["added_low"] < 1.0 < told["added_high"] < 1.5


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


def test_the_table_has_a_dash_for_the_core_of_who_is_no_proxy_of_ours() -> None:
    told = costs([{"off": {"p50": 10.0, "p99": 20.0}, "joined": {"p50": 11.0, "p99": 22.0}}], "off")
    line = costs_table(told, {"on": 0.3}).splitlines()[1]
    assert line.split() == ["joined:", "p50", *["1.1"] * 3, *["1"] * 3, "-"]


def test_who_waited_is_told_in_milliseconds() -> None:
    assert Waited.of([0.001, 0.002, 0.003], failed=2) == Waited(2.0, 3.0, 3, 2)
