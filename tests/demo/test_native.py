from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.native import SWITCH, Buggy

MESSAGES = "/api/v1/messages"
CONVERSATIONS = "/api/v1/conversations"


class Application:
    """A small application that notes what it was asked to do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        paths = (MESSAGES, CONVERSATIONS, f"{CONVERSATIONS}/1")
        self.app = Starlette(routes=[Route(path, self.answer, methods=["GET", "POST"]) for path in paths])

    async def answer(self, request: Request) -> JSONResponse:
        self.done.append(f"{request.method} {request.url.path}")
        return JSONResponse({"fine": True}, 201 if request.method == "POST" else 200)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
async def native(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Buggy(application.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://native") as client:
        yield client


async def test_without_a_bug_everything_passes_through(native: httpx.AsyncClient) -> None:
    assert (await native.get(CONVERSATIONS)).json() == {"fine": True}
    assert (await native.post(MESSAGES)).status_code == 201


async def test_a_bug_in_the_list_fails_it_and_nothing_else(native: httpx.AsyncClient, application: Application) -> None:
    await native.put(SWITCH, json={"on": ["conversations.list"]})
    answers = [await native.get(CONVERSATIONS), await native.get(f"{CONVERSATIONS}/1"), await native.post(MESSAGES)]
    assert [answer.status_code for answer in answers] == [500, 200, 201]
    assert application.done == ["GET /api/v1/conversations/1", "POST /api/v1/messages"]


async def test_a_bug_in_writing_does_the_work_and_loses_the_answer(
    native: httpx.AsyncClient, application: Application
) -> None:
    await native.put(SWITCH, json={"on": ["messages.create"]})
    answer = await native.post(MESSAGES)
    assert (answer.status_code, application.done) == (500, ["POST /api/v1/messages"])
    assert "x-strangler-discarded" not in answer.headers


async def test_bugs_are_switched_off_as_they_were_switched_on(native: httpx.AsyncClient) -> None:
    await native.put(SWITCH, json={"on": ["conversations.list"]})
    assert (await native.put(SWITCH, json={"on": []})).json()["on"] == []
    assert (await native.get(CONVERSATIONS)).status_code == 200


async def test_an_unknown_bug_is_refused_and_changes_nothing(native: httpx.AsyncClient) -> None:
    await native.put(SWITCH, json={"on": ["messages.create"]})
    assert (await native.put(SWITCH, json={"on": ["nonsense"]})).status_code == 400
    assert (await native.get(SWITCH)).json()["on"] == ["messages.create"]


async def test_only_users_requests_count_as_the_last_one_asked(native: httpx.AsyncClient) -> None:
    await native.get(CONVERSATIONS, headers={"X-Strangler-Shadow": "r-1"})
    assert (await native.get(SWITCH)).json()["lastAsked"] == 0.0
    before = time.time()
    await native.get(CONVERSATIONS)
    assert (await native.get(SWITCH)).json()["lastAsked"] >= before
