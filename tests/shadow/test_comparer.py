from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import brotli
import pytest

from shadow.apart import Apart
from shadow.compare import Outcome, Rules, compare
from shadow.comparer import PIECE, Comparer
from shadow.noise import Field, fields_of
from shadow.observation import Observation
from tests.shadow.answers import JSON, answer

RULES = Rules.parse(["rows[*].at"])
HTML = (b"content-type", b"text/html")


class Counted(Apart):
    """Counts what it was asked."""

    asked = 0

    async def run(self, function: Any, *arguments: Any) -> Any:
        self.asked += 1
        return await super().run(function, *arguments)


@pytest.fixture
async def apart() -> AsyncIterator[Counted]:
    there = Counted(patience=20.0)
    yield there
    await there.close()


def rows(count: int, **told: Any) -> Observation:
    return answer({"rows": [{"id": number, "at": number, **told} for number in range(count)]})


def packed(seen: Observation, encoding: bytes) -> Observation:
    body = {b"gzip": gzip.compress, b"br": brotli.compress}[encoding](seen.body)
    return answer(body, JSON, (b"content-encoding", encoding))


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        (rows(10), rows(10, at=0)),
        (rows(10_000), rows(10_000)),
        (rows(10_000), answer(b"", complete=False, error="deadline")),
        (rows(10_000), answer(rows(10_000).body, JSON, status=201)),
    ],
)
async def test_what_is_small_or_the_same_is_compared_here(
    apart: Counted, control: Observation, candidate: Observation
) -> None:
    assert await Comparer(apart).compare(control, candidate, RULES) == compare(control, candidate, RULES)
    assert apart.asked == 0


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        (rows(10_000), rows(10_000, at=0)),
        (rows(10), rows(1_000)),
        (rows(10), packed(rows(11), b"gzip")),
        (packed(rows(10), b"br"), rows(11)),
        (answer(b"<p>a", HTML), answer(b"<p>b", HTML)),
        (answer(b"[" + b"1," * 1_500 + b"1]", JSON), answer(b"[" + b"2," * 1_500 + b"1]", JSON)),
    ],
)
async def test_what_might_take_long_is_compared_apart_with_the_same_result(
    apart: Counted, control: Observation, candidate: Observation
) -> None:
    assert await Comparer(apart).compare(control, candidate, RULES) == compare(control, candidate, RULES)
    assert apart.asked == 1


def cookies(count: int, name: str, body: bytes = b"{}") -> Observation:
    """They differ from those of another name."""
    value = "=1; Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT"
    return answer(body, JSON, *((b"set-cookie", f"{name}{number:03}{value}".encode()) for number in range(count)))


@pytest.mark.parametrize(("count", "body", "elsewhere"), [(10, b"{}", 0), (200, b"{}", 1), (200, b"{}" * PIECE, 1)])
async def test_large_heads_are_compared_apart_and_bodies_of_the_same_bytes_stay_here(
    apart: Counted, count: int, body: bytes, elsewhere: int
) -> None:
    control, candidate = cookies(count, "a", body), cookies(count, "b", body)
    rules = Rules.parse(headers=["set-cookie", "etag"])
    control, candidate = (replace(each, headers=(*each.headers, (b"etag", b'W/"1"'))) for each in (control, candidate))
    candidate = replace(candidate, headers=(*candidate.headers[:-1], (b"etag", b'"1"')))
    found = await Comparer(apart).compare(control, candidate, rules)
    assert found == compare(control, candidate, rules)
    assert (found.count, apart.asked) == (2 * count + 1, elsewhere)  # by the same bytes ETags are held strongly


async def test_headers_that_are_not_compared_do_not_count(apart: Counted) -> None:
    rules = Rules.parse(headers=["etag"])
    assert (await Comparer(apart).compare(cookies(200, "a"), cookies(200, "b"), rules)).outcome is Outcome.MATCHED
    assert apart.asked == 0


@pytest.mark.parametrize("candidate", [rows(10), rows(10, at=0), rows(5_000)], ids=["same", "small", "large"])
async def test_others_have_their_turn_before_and_after_a_comparison(apart: Counted, candidate: Observation) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        beside = group.create_task(others())
        await Comparer(apart).compare(rows(10), candidate, RULES)
        beside.cancel()
    assert turns >= 2


async def test_large_bodies_are_the_same_only_to_the_last_byte_and_in_one_encoding(apart: Counted) -> None:
    comparer, size = Comparer(apart), 2 * PIECE + 1
    control = answer(b"x" * size)
    assert (await comparer.compare(control, answer(b"x" * size), RULES)).outcome is Outcome.MATCHED
    assert apart.asked == 0
    assert (await comparer.compare(control, answer(b"x" * (size - 1) + b"y"), RULES)).outcome is Outcome.MISMATCHED
    encoded = answer(b"x" * size, (b"content-encoding", b"gzip"))
    assert (await comparer.compare(control, encoded, RULES)).outcome is Outcome.MISMATCHED
    assert apart.asked == 2


@pytest.mark.parametrize("count", [60, 5_000])
async def test_fields_that_are_known_and_the_time_are_told_to_whoever_compares(apart: Counted, count: int) -> None:
    control, candidate = ({f"k{number:04}": each for number in range(count)} for each in (1, 2))
    known = frozenset({Field(f"k{count - 1:04}", "value")})
    soon, gone = ((b"set-cookie", b"a=1; expires=Tue, 13 Jan 2026 10:00:%d GMT" % second) for second in (11, 10))
    comparer = Comparer(apart, lambda: 1_768_298_410.0)
    result = await comparer.compare(answer(control, soon), answer(candidate, gone), RULES, known)
    assert apart.asked == (count > 60)
    assert [each.path for each in result.differences[:: len(result.differences) - 1]] == [
        "headers.set-cookie.a",
        f"k{count - 1:04}",
    ]


async def test_only_what_is_encoded_is_decoded_and_apart(apart: Counted) -> None:
    comparer = Comparer(apart)
    assert await comparer.readable(rows(1_000))
    assert apart.asked == 0
    assert await comparer.readable(packed(rows(1_000), b"br"))
    assert not await comparer.readable(answer(b"none of it", (b"content-encoding", b"br")))
    assert apart.asked == 2


def image(size: int, first: bytes) -> Observation:
    return answer(first + b"\xff" * size, (b"content-type", b"image/png"))


def deep(leaf: int) -> Observation:
    """Eight hundred levels of long keys, and fifty places at the end of them."""
    leaves = json.dumps({f"x{number}": leaf for number in range(50)}).encode()
    return answer((b'{"' + b"k" * 200 + b'":') * 800 + leaves + b"}" * 800, JSON)


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        (rows(4_000, body="x" * 250), rows(4_000, body="x" * 250, at=0)),
        (image(8_000_000, b"a"), image(8_000_000, b"b")),
        (image(8_000_000, b"a"), image(8_000_000, b"a")),
        (deep(1), deep(2)),
        (answer({"rows": [0.5] * 60_000}), answer({})),
    ],
    ids=["a megabyte of JSON", "eight of bytes", "eight of the same bytes", "long paths", "many values"],
)
async def test_others_go_on_while_large_bodies_are_compared(
    apart: Counted, control: Observation, candidate: Observation
) -> None:
    """Processor time of one thread, so that a busy machine does not count: 2 ms are allowed, and some for the test."""
    assert len(control.body) > 100_000
    held: list[float] = []
    comparer = Comparer(apart)
    await comparer.readable(packed(rows(1), b"gzip"))  # it has started

    async def beat() -> None:
        since = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            held.append(now - since)
            since = now

    async with asyncio.TaskGroup() as group:
        beating = group.create_task(beat())
        for _ in range(2):
            fields_of(await comparer.compare(control, candidate, RULES))
        beating.cancel()
    assert sorted(held)[-3] < 0.004
