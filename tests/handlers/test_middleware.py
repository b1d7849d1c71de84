from __future__ import annotations

import asyncio
import hashlib
import uuid
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handlers.middleware import ConditionalGet, HearOut, RequestContext, request_id

TAG = b'W/"' + hashlib.sha256(b"body").hexdigest()[:32].encode() + b'"'


async def ask(
    app: ASGIApp, method: str = "GET", headers: dict[bytes, bytes] | None = None, **more: Any
) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "http", "method": method, "headers": [*(headers or {}).items()], **more}, receive, send)
    return sent


def answering(*parts: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        length = b"%d" % sum(map(len, parts))
        standard = ((b"content-type", b"text/plain"), (b"content-length", length))
        await send({"type": "http.response.start", "status": status, "headers": [*standard, *headers]})
        for number, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})

    return app


def told(sent: list[Message]) -> dict[bytes, bytes]:
    return dict(sent[0]["headers"])


@pytest.mark.parametrize("status", [200, 201])
async def test_a_success_is_tagged_by_its_body(status: int) -> None:
    sent = await ask(ConditionalGet(answering(b"body", status=status)))
    assert told(sent)[b"etag"] == TAG
    assert told(sent)[b"cache-control"] == b"max-age=0, private, must-revalidate"


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_failure_is_neither_tagged_nor_kept(status: int) -> None:
    sent = await ask(ConditionalGet(answering(b"body", status=status)))
    assert b"etag" not in told(sent)
    assert told(sent)[b"cache-control"] == b"no-cache"


async def test_the_applications_own_cache_control_is_kept() -> None:
    sent = await ask(ConditionalGet(answering(b"body", headers=((b"cache-control", b"no-store"),))))
    assert told(sent)[b"cache-control"] == b"no-store"
    assert told(sent)[b"etag"] == TAG


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_the_caller_has_already_is_not_sent_again(method: str) -> None:
    sent = await ask(ConditionalGet(answering(b"body")), method, {b"if-none-match": TAG})
    assert sent[0]["status"] == 304
    assert sent[1]["body"] == b""
    assert told(sent).keys() == {b"etag", b"cache-control"}


@pytest.mark.parametrize(("method", "status"), [("POST", 200), ("GET", 201), ("GET", 404)])
async def test_a_condition_is_for_successful_reads(method: str, status: int) -> None:
    sent = await ask(ConditionalGet(answering(b"body", status=status)), method, {b"if-none-match": TAG})
    assert sent[0]["status"] == status
    assert sent[1]["body"] == b"body"


async def test_head_has_the_headers_and_no_body() -> None:
    sent = await ask(ConditionalGet(answering(b"body")), "HEAD")
    assert told(sent)[b"content-length"] == b"4"
    assert sent[1]["body"] == b""


async def test_a_streamed_answer_passes_untouched() -> None:
    sent = await ask(ConditionalGet(answering(b"one", b"two")))
    assert [message.get("body") for message in sent] == [None, b"one", b"two"]
    assert told(sent).keys() == {b"content-type", b"content-length"}


@pytest.mark.parametrize(
    ("inbound", "outbound"),
    [
        (b"abc-DEF_1@2", "abc-DEF_1@2"),
        (b"a b<c>\r\n/d", "abcd"),
        (b"caf\xc3\xa9", "caf"),
        (b"x" * 300, "x" * 255),
        (b"///", ""),
    ],
)
def test_an_inbound_request_id_is_cut_to_what_is_safe(inbound: bytes, outbound: str) -> None:
    assert request_id(inbound) == outbound


@pytest.mark.parametrize("inbound", [None, b"", b"  "])
def test_a_request_without_an_id_gets_one(inbound: bytes | None) -> None:
    assert uuid.UUID(request_id(inbound)).version == 4
    assert request_id(inbound) != request_id(inbound)


async def test_the_id_is_told_to_the_application_and_the_caller() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await answering(b"")(scope, receive, send)

    callers: dict[str, Any] = {"state": {"of": "the server"}}
    failures: list[Exception] = []
    context = RequestContext(app, lambda error, scope, seconds: failures.append(error))
    sent = await ask(context, headers={b"x-request-id": b"mine"}, **callers)
    assert failures == []
    assert told(sent)[b"x-request-id"] == b"mine"
    assert seen[0]["state"] == {"of": "the server", "request_id": "mine", "commit_sent": False}
    assert callers == {"state": {"of": "the server"}}


async def test_a_failure_is_written_down_once_with_its_request_and_its_time() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["error"] = KeyError("x")
        await answering(b"", status=500)(scope, receive, send)

    failures: list[tuple[Exception, Scope, float]] = []
    await ask(RequestContext(app, lambda *failure: failures.append(failure)))
    ((error, scope, seconds),) = failures
    assert isinstance(error, KeyError)
    assert scope["state"]["error"] is error
    assert seconds >= 0


LENGTH = {b"content-length": b"30"}


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await answering(b"no", status=413)(scope, receive, send)


async def hear_out(app: ASGIApp, *parts: Message, headers: dict[bytes, bytes] = LENGTH, **bounds: Any) -> list[str]:
    """What came and went, in its order, with whether there was more of it. What is not sent never comes."""
    happened: list[str] = []
    coming = iter(parts)

    async def receive() -> Message:
        message = next(coming, None)
        if message is None:
            await asyncio.get_running_loop().create_future()
            raise AssertionError
        happened.append("heard")
        return message

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            happened.append("answered" if message.get("body") else "ended")
            if message.get("body") and not message.get("more_body", False):
                happened.append("ended")

    scope = {"type": "http", "method": "POST", "headers": [*headers.items()]}
    await HearOut(app, **bounds)(scope, receive, send)
    return happened


PART: Message = {"type": "http.request", "body": b"x" * 10, "more_body": True}
LAST: Message = {"type": "http.request", "body": b"x" * 10}


async def test_who_is_still_sending_is_answered_and_then_heard_out() -> None:
    assert await hear_out(refuse, PART, PART, LAST) == ["heard", "answered", "heard", "heard", "ended"]


async def test_who_leaves_meanwhile_is_heard_no_longer() -> None:
    assert await hear_out(refuse, PART, {"type": "http.disconnect"}) == ["heard", "answered", "heard", "ended"]


async def test_hearing_out_is_bounded_in_bytes_and_in_time() -> None:
    endless = [PART] * 9
    assert await hear_out(refuse, *endless, most=20) == ["heard", "answered", "heard", "heard", "ended"]
    assert await hear_out(refuse, PART, PART, seconds=0.05) == ["heard", "answered", "heard", "ended"]


async def test_who_has_said_everything_is_answered_at_once() -> None:
    assert await hear_out(refuse, LAST) == ["heard", "answered", "ended"]
    assert await hear_out(answering(b"no", status=401), headers={}) == ["answered", "ended"]


async def test_one_who_was_not_heard_at_all_is_heard_out_too() -> None:
    assert await hear_out(answering(b"no", status=401), PART, LAST) == ["answered", "heard", "heard", "ended"]
