"""A client against a small application that fails as often as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from demo.asking import Client
from demo.log import Failure, Log, Seen
from proxy.address import Address
from proxy.server import Server, listen

Told = tuple[int, bytes]  # status and body
FAILED = (502, b'{"error":"legacy_broken"}')


class Desk:
    """Answers in turn as it is told, and the last of that for ever."""

    def __init__(self, *answers: Told, request_id: bytes | None = None) -> None:
        self.answers, self.asked = list(answers), list[dict[bytes, bytes]]()
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self.asked.append(headers)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        id = self._request_id or headers[b"x-request-id"]
        told = [(b"x-request-id", id), (b"content-type", b"application/json" if body[:1] == b"{" else b"text/plain")]
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def client_of(desk: Desk, log: Log) -> AsyncIterator[Client]:
    with listen(Address("127.0.0.1", 0), "test") as sock:
        server = Server(Starlette(routes=[Mount("/", desk)]), sock)
        client = Client(f"http://127.0.0.1:{sock.getsockname()[1]}", "ann", log)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run_until_stopped())
            try:
                yield client
            finally:
                await client.close()
                server.stop()


async def test_what_fails_is_asked_again_with_the_same_key_until_there_is_an_answer() -> None:
    log, failures = Log(), list[str]()
    desk = Desk(FAILED, (503, b'{"error":"service_unavailable"}'), (201, b'{"data":1}'))
    async with client_of(desk, log) as client:
        told = await client.ask("create", "POST", "/x", {}, headers={"Idempotency-Key": "k"}, failures=failures)
    assert (told.status, told.body, told.replayed) == (201, {"data": 1}, False)
    assert failures == ["legacy_broken", "service_unavailable"]
    assert [headers[b"idempotency-key"] for headers in desk.asked] == [b"k"] * 3
    assert len({headers[b"x-request-id"] for headers in desk.asked}) == 3
    assert log.failures == [Failure("ann", "POST", "create", failure) for failure in failures]
    assert (log.writes, log.answered, log.wrong) == (3, 1, [])


async def test_a_key_in_use_is_a_failure_only_of_who_asks_again() -> None:
    log = Log()
    in_use = (409, b'{"error":"idempotency_key_in_use"}')
    async with client_of(Desk(FAILED, in_use, (201, b"{}")), log) as client:
        assert (await client.ask("create", "POST", "/x", {})).status == 201
    async with client_of(Desk(in_use), log) as client:
        assert (await client.ask("create", "POST", "/x", {})).status == 409


@pytest.mark.parametrize(("path", "header"), [("/api/v1/x", b"authorization"), ("/auth/x", b"x-forwarded-for")])
async def test_who_shows_no_token_comes_from_somewhere_each_time(path: str, header: bytes) -> None:
    desk = Desk((200, b"pong"))
    async with client_of(desk, Log()) as client:
        client.is_known_by("token")
        for _ in range(2):
            assert (await client.ask("read", "GET", path)).body == "pong"
    shown = [headers.get(header) for headers in desk.asked]
    assert shown[0] is not None
    assert (shown[0] == shown[1]) is (header == b"authorization")


async def test_an_answer_to_another_request_or_of_another_status_is_wrong() -> None:
    log = Log()
    async with client_of(Desk((404, b"{}"), request_id=b"another"), log) as client:
        answer = await client.ask("show", "GET", "/x")
        assert not client.due("show", answer, 200)
    assert log.wrong == ["show: an answer to another request", "show: 404 {}"]


def test_what_was_seen_between_two_moments_is_their_difference() -> None:
    log = Log(reads=1, failures=[Failure("a", "GET", "x", "e")])
    early = log.seen
    log.reads, log.writes = 3, 1
    log.failures += [Failure("a", "GET", "x", "e"), Failure("b", "POST", "y", "e")]
    seen = log.seen - early
    assert (seen.reads, seen.writes, seen.failed_reads, seen.failed_writes, seen.users_hurt) == (2, 1, 1, 1, 2)
    assert log.seen - log.seen == Seen()
