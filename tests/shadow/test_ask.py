from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from shadow.ask import Asker, Header, marked
from shadow.observation import Observation
from tests.shadow.answers import Side, reply, scope

PATIENCE = 10.0  # a bound, not a wait: sides that end when told to end at once


async def asked(app: Side, *, seconds: float = PATIENCE, body: bytes = b"", limit: int = 1_000) -> Observation:
    asker = Asker(limit, PATIENCE)
    seen = await asker.ask(app, scope(), body, seconds)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not asker.strays
    return seen


def test_a_shadow_request_is_marked_once_and_is_a_copy() -> None:
    user = scope("/a?b=1", (b"accept", b"*/*"), (b"X-Strangler-Shadow", b"forged")) | {
        "state": {"a": 1},
        "extensions": {"http.response.trailers": {}},
    }
    copy = marked(user, "r-7")
    assert copy["headers"] == [(b"accept", b"*/*"), (b"x-strangler-shadow", b"r-7")]
    assert copy["extensions"] == {}
    copy["state"]["a"] = copy["path"] = "overwritten"
    copy["headers"].clear()
    assert (user["state"], user["path"], len(user["headers"])) == ({"a": 1}, "/a", 2)


def test_a_mark_is_signed_for_the_request_that_is_sent_and_older_words_are_left_out() -> None:
    user = scope("/a?b=1", (b"x-strangler-shadow", b"r-1"), (b"x-strangler-signature", b"old"), (b"accept", b"*/*"))
    told: list[Any] = []

    def sign(asked: Mapping[str, Any], words: list[Header]) -> list[Header]:
        told.append((asked["path"], words))
        return [*words, (b"x-strangler-signature", b"new")]

    copy = marked(user, "r-7", sign)
    mark = (b"x-strangler-shadow", b"r-7")
    assert copy["headers"] == [(b"accept", b"*/*"), mark, (b"x-strangler-signature", b"new")]
    assert told == [("/a", [mark])]


async def test_a_side_reads_the_body_and_then_nothing_until_its_answer_is_over() -> None:
    heard: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append(await receive())
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(receive())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            assert not leaving.done()
            await send({"type": "http.response.body", "body": b" and half"})
        heard.append(leaving.result())

    seen = await asked(app, body=b"question")
    assert heard == [{"type": "http.request", "body": b"question", "more_body": False}, {"type": "http.disconnect"}]
    assert (seen.body, seen.complete, seen.error) == (b"half and half", True, None)


@pytest.mark.parametrize("path", ["/whole", "/streamed"])
async def test_a_starlette_application_is_a_side_like_any_other(path: str) -> None:
    async def whole(request: Request) -> Response:
        return Response(f"{request.headers['x-strangler-shadow']} {(await request.body()).decode()}")

    async def streamed(request: Request) -> Response:
        body = await request.body()

        async def parts() -> AsyncIterator[str]:
            yield f"{request.headers['x-strangler-shadow']} "
            yield body.decode()

        return StreamingResponse(parts())

    app = Starlette(routes=[Route("/whole", whole), Route("/streamed", streamed)])
    asker = Asker(1_000, PATIENCE)
    seen = await asker.ask(app, marked(scope(path), "r-7"), b"question", PATIENCE)
    assert (seen.status, seen.body, seen.complete, seen.error) == (200, b"r-7 question", True, None)


async def test_an_exception_is_an_observation() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("id")

    seen = await asked(app)
    assert (seen.status, seen.complete, seen.error) == (0, False, "KeyError")


async def test_a_side_that_returns_without_an_answer_is_incomplete() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return

    seen = await asked(app)
    assert (seen.complete, seen.error, seen.truncated) == (False, None, False)


async def test_a_side_that_cancels_itself_is_an_observation() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    assert (await asked(app)).error == "CancelledError"


async def test_the_deadline_cancels_a_side_that_hangs() -> None:
    cancelled = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    seen = await asked(app, seconds=0.01)
    assert (seen.complete, seen.error, cancelled.is_set()) == (False, "deadline", True)


async def test_no_time_at_all_is_a_deadline_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("never asked")

    assert (await asked(app, seconds=0.0)).error == "deadline"


async def test_an_answer_that_is_over_counts_although_the_side_works_on() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, b"[]")
        await asyncio.Event().wait()

    seen = await asked(app, seconds=0.01)
    assert (seen.body, seen.complete, seen.error) == (b"[]", True, None)


@pytest.mark.parametrize("stubborn", [False, True])
async def test_an_endless_answer_is_stopped_at_the_limit(stubborn: bool) -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while sent < 1 << 30:
            sent += 1 << 10
            try:
                await send({"type": "http.response.body", "body": bytes(1 << 10), "more_body": True})
            except OSError:
                if not stubborn or sent > 1 << 20:
                    raise

    seen = await asked(app, limit=10_000)
    assert (seen.truncated, seen.complete, seen.error, seen.body) == (True, False, None, b"")
    assert sent <= (2 << 20 if stubborn else 10_000 + (1 << 10))


async def test_a_side_that_sends_nothing_for_ever_without_waiting_is_cancelled() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"", "more_body": True})

    assert (await asked(app, seconds=0.01)).error == "deadline"


async def test_a_side_that_ignores_its_cancellation_is_abandoned_and_its_late_words_are_not_heard() -> None:
    free, refused = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        try:
            await reply(send, b"[]")
        except OSError:
            refused.set()
            raise

    asker = Asker(1_000, patience=0.01)
    seen = await asker.ask(app, scope(), b"", 0.01)
    assert (seen.complete, seen.error, len(asker.strays)) == (False, "deadline", 1)
    await asker.close()
    stray = next(iter(asker.strays))
    free.set()
    await asyncio.wait({stray})
    assert refused.is_set()
    assert not asker.strays


async def test_cancelling_the_asker_cancels_the_side() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(Asker(1_000, PATIENCE).ask(app, scope(), b"", PATIENCE))
        await begun.wait()
        asking.cancel()
    assert asking.cancelled()
    assert cancelled.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def announcing(status: int, length: bytes, held: list[str]) -> Side:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"Content-Length", length)]})
        held.append("answered on")
        await send({"type": "http.response.body", "body": b"hi"})

    return app


async def test_a_length_that_is_too_large_is_believed_and_nothing_of_the_body_waited_for() -> None:
    held: list[str] = []
    seen = await asked(announcing(200, b"1001", held), limit=1_000)
    assert (seen.truncated, seen.complete, seen.error, seen.body, held) == (True, False, None, b"", [])


@pytest.mark.parametrize(("status", "length"), [(200, b"1000"), (304, b"1001"), (200, b"9" * 5_000), (200, b"-5")])
async def test_any_other_length_says_nothing(status: int, length: bytes) -> None:
    seen = await asked(announcing(status, length, []), limit=1_000)
    assert (seen.truncated, seen.complete, seen.body) == (False, True, b"hi")


async def test_of_a_question_without_an_answer_s_body_a_length_says_nothing() -> None:
    asker = Asker(1_000, PATIENCE)
    seen = await asker.ask(announcing(200, b"1001", []), scope() | {"method": "HEAD"}, b"", PATIENCE)
    assert (seen.truncated, seen.complete) == (False, True)
