from __future__ import annotations

from typing import Any

import psycopg
import pytest
import redis
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from handlers.errors import AnswerFaults, Fault, Invalid, NotFound, Unauthorized, fault

SCOPE = {"type": "http", "method": "GET", "path": "/x"}


async def answered(error: Exception, commit_sent: bool = False) -> list[Message]:
    """What an application that raises makes of the answer."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    state: dict[str, Any] = {"request_id": "mine", "commit_sent": commit_sent}
    await AnswerFaults(app)({**SCOPE, "state": state}, receive, send)
    assert state["error"] is error  # for whoever writes it down
    return sent


def header(sent: list[Message], name: bytes) -> bytes | None:
    return dict(sent[0]["headers"]).get(name)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unauthorized(), 401),
        (NotFound(), 404),
        (HTTPException(404), 404),
        (HTTPException(405), 404),
        (psycopg.OperationalError(), 503),
        (psycopg.errors.QueryCanceled(), 503),
        (psycopg.InterfaceError(), 503),
        (PoolTimeout(), 503),
        (TooManyRequests(), 503),
        (redis.ConnectionError(), 503),
        (redis.TimeoutError(), 503),
        (psycopg.errors.UniqueViolation(), 500),
        (psycopg.errors.ReadOnlySqlTransaction(), 500),
        (ValueError(), 500),
    ],
)
def test_every_error_has_its_status(error: Exception, status: int) -> None:
    assert fault(error).status == status


async def test_all_faults_of_a_request_are_told() -> None:
    sent = await answered(Invalid([("a", "can't be blank"), ("b", "is invalid")]))
    assert sent[1]["body"] == (
        b'{"errors":[{"field":"a","message":"can\'t be blank"},{"field":"b","message":"is invalid"}]}'
    )


async def test_a_fault_of_ours_tells_the_request_id_and_nothing_else() -> None:
    sent = await answered(ValueError("secret"))
    assert sent[0]["status"] == 500
    assert sent[1]["body"] == b'{"error":"internal_server_error","requestId":"mine"}'


@pytest.mark.parametrize(
    ("error", "commit_sent", "discarded"),
    [
        (ValueError(), False, b"1"),
        (psycopg.OperationalError(), False, b"1"),
        (ValueError(), True, None),
        (psycopg.OperationalError(), True, None),
        (NotFound(), False, None),
    ],
)
async def test_only_a_failure_that_kept_nothing_is_called_discarded(
    error: Exception, commit_sent: bool, discarded: bytes | None
) -> None:
    sent = await answered(error, commit_sent)
    assert header(sent, b"x-strangler-discarded") == discarded


async def test_a_caller_who_left_is_not_answered() -> None:
    assert await answered(ClientDisconnect()) == []


async def test_an_answer_that_has_begun_is_left_broken() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    sent: list[Message] = []
    state: dict[str, Any] = {}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(KeyError):
        await AnswerFaults(app)({**SCOPE, "state": state}, receive, send)
    assert "error" in state
    assert [message["type"] for message in sent] == ["http.response.start"]


def kinds(of: type[Fault]) -> list[type[Fault]]:
    return [kind for below in of.__subclasses__() for kind in [below, *kinds(below)]]


def test_a_fault_that_is_answered_has_a_status_and_a_word() -> None:
    for kind in kinds(Fault):
        if not kind.__subclasses__():
            assert 400 <= kind.status < 600
            assert kind.error.islower()
