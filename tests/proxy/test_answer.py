from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress

import pytest
from starlette.types import Message, Receive

from proxy.answer import Answer, Kept, refuse
from proxy.errors import Broken, NoAnswer, Refused, Saturated, SideFailed
from shadow.observation import Recorder

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]}
LEFT: Message = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def piece(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def saying(messages: Iterable[Message]) -> Receive:
    rest = iter(messages)

    async def receive() -> Message:
        return next(rest)

    return receive


async def body(receive: Receive) -> bytes:
    read, more = b"", True
    while more:
        message = await receive()
        read += message["body"]
        more = message["more_body"]
    return read


async def test_what_is_handed_out_is_kept() -> None:
    kept = Kept(saying([part(b"ab", more=True), part(b"cd", more=False)]), 4)
    assert await body(kept) == b"abcd"
    assert (kept.body, kept.whole, kept.ended) == (b"abcd", True, True)


async def test_a_body_beyond_the_limit_is_not_kept() -> None:
    kept = Kept(saying([part(b"ab", more=True), part(b"cde", more=False)]), 4)
    assert await body(kept) == b"abcde"
    assert (kept.body, kept.whole) == (b"", False)


@pytest.mark.parametrize("read", [0, 1, 2, 3])
async def test_another_side_is_asked_the_same_wherever_the_first_one_stopped_reading(read: int) -> None:
    parts = [part(b"ab", more=True), part(b"cd", more=True), part(b"ef", more=False)]
    kept = Kept(saying(parts), 100)
    for _ in range(read):
        await kept()
    assert await body(kept.again()) == b"abcdef"


async def test_after_a_replayed_body_the_user_s_leaving_is_heard() -> None:
    kept = Kept(saying([part(b"ab", more=False), LEFT]), 100)
    await kept()
    again = kept.again()
    assert await body(again) == b"ab"
    assert await again() == LEFT


async def test_a_user_who_left_is_remembered() -> None:
    kept = Kept(saying([part(b"ab", more=True), LEFT]), 100)
    await kept()
    assert not kept.left
    await kept()
    assert (kept.left, kept.ended) == (True, False)


async def test_who_waits_no_more_for_the_body_says_so() -> None:
    told: list[bool] = []
    kept = Kept(asyncio.Queue[Message]().get, 4)
    with kept.waits_told(told.append), suppress(TimeoutError):
        async with asyncio.timeout(0):
            await kept()
    assert told == [True, False]


async def test_waits_are_told_while_more_of_the_body_is_to_come() -> None:
    told: list[bool] = []
    kept = Kept(saying([part(b"ab", more=True), part(b"cd", more=False), LEFT]), 100)
    with kept.waits_told(told.append):
        await kept()
        assert told == [True, False]
        await kept()
        assert told == [True, False] * 2
        await kept()
        assert told == [True, False] * 2  # to wait for a user's leaving is not to wait for the user


async def test_an_answer_passes_and_is_recorded() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    answer = Answer(send, recorder := Recorder(100))
    assert (answer.started, answer.complete, answer.status) == (False, False, 0)
    await answer(START)
    await answer(piece(b"ab", more=True))
    assert (answer.started, answer.complete, answer.status) == (True, False, 200)
    await answer(piece(b"cd", more=False))
    assert answer.complete
    assert sent == [START, piece(b"ab", more=True), piece(b"cd", more=False)]
    assert recorder.observe(0.0).body == b"abcd"


async def test_an_answer_that_is_held_reaches_nobody_and_another_can_be_given() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    answer = Answer(send)
    with answer.judged(lambda head: head.status < 500):
        await answer({**START, "status": 503, "headers": [(b"X-Strangler-Discarded", b"1")]})
        await answer(piece(b"no", more=False))
    assert (sent, answer.held, answer.discarded, answer.started, answer.complete) == ([], True, True, False, False)
    await answer(START)
    await answer(piece(b"ok", more=False))
    assert (answer.held, answer.status, answer.complete) == (False, 200, True)
    assert sent == [START, piece(b"ok", more=False)]


@pytest.mark.parametrize("value", [b"0", b"", b"true"])
async def test_only_the_exact_word_says_that_nothing_was_kept(value: bytes) -> None:
    async def send(message: Message) -> None:
        return

    answer = Answer(send)
    with answer.judged(lambda head: False):
        await answer({**START, "headers": [(b"x-strangler-discarded", value)]})
    assert not answer.discarded


@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (Refused("no"), 502, "legacy_refused"),
        (Broken("no"), 502, "legacy_broken"),
        (NoAnswer("no"), 504, "legacy_timeout"),
        (Saturated("no"), 503, "legacy_saturated"),
    ],
)
async def test_the_user_is_told_that_no_side_answered(failure: SideFailed, status: int, error: str) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await refuse(send, "legacy", failure, "r-1")
    head, content = sent
    headers = dict(head["headers"])
    assert head["status"] == status
    assert json.loads(content["body"]) == {"error": error, "requestId": "r-1"}
    assert headers[b"content-length"] == str(len(content["body"])).encode()
    assert (headers[b"x-request-id"], headers[b"cache-control"]) == (b"r-1", b"no-store")
    assert headers.get(b"retry-after") == (b"1" if status == 503 else None)
