"""Agents at work, against a small application of the same shape."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.traffic import AGENTS, Agent, Failure, Seen, Tally, sign_in_all
from proxy.address import Address
from proxy.server import Server, listen


class Office:
    """Answers agents. `lifetime` is their tokens'; `failing` paths answer 500; `wanted` requests end the wait."""

    def __init__(self, lifetime: float = 900.0, failing: str = "") -> None:
        self.lifetime, self.failing = lifetime, failing
        self.asked: Counter[str] = Counter()
        self.contents: list[str] = []
        self.bell = asyncio.Condition()
        self.url = ""

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/auth/login", self.login, methods=["POST"]),
                Route("/api/v1/conversations", self.listed),
                Route("/api/v1/conversations/{id}", self.shown),
                Route("/api/v1/conversations/{id}/messages", self.read),
                Route("/api/v1/messages", self.written, methods=["POST"]),
            ]
        )

    async def until(self, name: str, count: int) -> None:
        async with asyncio.timeout(30), self.bell:
            await self.bell.wait_for(lambda: self.asked[name] >= count)

    async def login(self, request: Request) -> Response:
        claims = {"sub": "7", "exp": int(time.time() + self.lifetime)}
        token = jwt.encode(claims, "a secret of sufficient length, for tests")
        return await self._answer("login", {"accessToken": token, "user": {"id": 7}})

    async def listed(self, request: Request) -> Response:
        assert request.headers["authorization"].startswith("Bearer ")
        return await self._answer("list", {"data": [{"id": n} for n in range(1, 4)], "meta": {"nextCursor": None}})

    async def shown(self, request: Request) -> Response:
        return await self._answer("show", {})

    async def read(self, request: Request) -> Response:
        return await self._answer("read", {})

    async def written(self, request: Request) -> Response:
        self.contents.append((await request.json())["content"])
        return await self._answer("write", {}, 201)

    async def _answer(self, name: str, body: object, status: int = 200) -> Response:
        async with self.bell:
            self.asked[name] += 1
            self.bell.notify_all()
        return JSONResponse(body, 500 if name == self.failing else status)


@asynccontextmanager
async def open_office(office: Office) -> AsyncIterator[Office]:
    with listen(Address("127.0.0.1", 0), "test") as sock:
        server = Server(office.app, sock)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run_until_stopped())
            office.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            try:
                yield office
            finally:
                server.stop()


@contextlib.asynccontextmanager
async def at_work(office: Office, tally: Tally) -> AsyncIterator[Agent]:
    async with Agent(office.url, AGENTS[0], tally, think=0.0) as agent:
        await sign_in_all([agent])
        work = asyncio.get_running_loop().create_task(agent.work())
        try:
            yield agent
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


async def test_an_agent_signs_in_lists_opens_reads_and_answers() -> None:
    tally = Tally()
    async with open_office(Office()) as office, at_work(office, tally) as agent:
        await office.until("write", 1)
        assert agent.user_id == 7
    assert office.asked["login"] == 1
    assert min(office.asked[name] for name in ("list", "show", "read")) >= 1
    assert not tally.failures


async def test_every_message_is_another_one_and_noted_as_arrived() -> None:
    tally = Tally()
    async with open_office(Office()) as office, at_work(office, tally):
        await office.until("write", 3)
    assert len(set(office.contents)) == len(office.contents)
    assert all(tally.sent[content] for content in office.contents[:2])


async def test_a_failed_write_is_noted_and_not_repeated() -> None:
    tally = Tally()
    async with open_office(Office(failing="write")) as office, at_work(office, tally):
        await office.until("write", 2)
    assert len(set(office.contents)) == len(office.contents)
    assert tally.failures[0] == Failure(AGENTS[0], "POST", "/api/v1/messages", 500)
    assert tally.sent[office.contents[0]] is False


async def test_an_agent_goes_on_where_its_list_fails() -> None:
    tally = Tally()
    async with open_office(Office(failing="list")) as office, at_work(office, tally):
        await office.until("list", 3)
    assert office.asked["show"] == 0
    assert tally.seen.failed_reads >= 2


async def test_a_login_is_renewed_before_it_expires() -> None:
    tally = Tally()
    async with open_office(Office(lifetime=2.0)) as office, at_work(office, tally):
        await office.until("login", 2)
    assert not tally.failures


async def test_an_agent_nobody_answers_notes_status_zero() -> None:
    tally = Tally()
    with listen(Address("127.0.0.1", 0), "test") as sock:
        port = sock.getsockname()[1]
    async with Agent(f"http://127.0.0.1:{port}", "a", tally) as agent:
        await agent.sign_in()
    assert tally.failures == [Failure("a", "POST", "/auth/login", 0)]


def test_what_was_seen_between_two_moments_is_their_difference() -> None:
    tally = Tally()
    tally.book("a", "GET", "/x", 502, 200)
    early = tally.seen
    tally.book("a", "GET", "/x", 200, 200)
    tally.book("b", "GET", "/x", 0, 200)
    tally.book("b", "POST", "/y", 500, 201)
    seen = tally.seen - early
    assert (seen.reads, seen.writes, seen.failed_reads, seen.failed_writes, seen.users_hurt) == (2, 1, 1, 1, 1)
    assert tally.seen - tally.seen == Seen()
