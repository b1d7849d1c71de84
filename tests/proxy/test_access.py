from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from flags.decide import Decision, Reason
from flags.flag import Side
from proxy.access import Access
from proxy.errors import Broken
from proxy.exchange import Exchange
from proxy.forwarding import Forwarding
from proxy.peers import Peers
from tests.proxy.test_forwarding import scope

EXCHANGE = Exchange("read", Decision(Side.NATIVE, False, Reason.SHARE), 1, 0.5, 200, Side.LEGACY, "exception")


async def receive() -> Message:
    return {"type": "http.disconnect"}


async def answered(app: Any, came: Scope | None = None, *, record: Any = None) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await Access(app, Forwarding(Peers([])), record)(came or scope(), receive, send)
    return sent


def answering(status: int, *headers: tuple[bytes, bytes]) -> Any:
    async def app(inner: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_a_request_that_is_forwarded_already_is_not_forwarded_twice() -> None:
    seen: list[Scope] = []

    async def app(inner: Scope, receive: Receive, send: Send) -> None:
        seen.append(inner)

    came = Forwarding(Peers([]))(scope())
    await answered(app, came)
    assert seen == [came]


async def test_what_ends_at_this_hop_does_not_reach_the_user() -> None:
    app = answering(200, (b"Connection", b"close"), (b"X-Strangler-Discarded", b"1"), (b"X-A", b"1"))
    assert (await answered(app))[0]["headers"] == [(b"X-A", b"1")]


@pytest.mark.parametrize(("status", "kept"), [(200, True), (204, False), (304, False)])
async def test_a_length_is_left_out_where_the_server_would_wait_for_a_body(status: int, kept: bool) -> None:
    [start, _] = await answered(answering(status, (b"Content-Length", b"7")))
    assert bool(start["headers"]) is kept


async def test_an_answer_that_breaks_off_ends_without_a_fault() -> None:
    async def breaks(inner: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Broken("gone")

    assert len(await answered(breaks)) == 1


async def test_a_fault_of_our_own_is_logged_with_its_request() -> None:
    async def raises(inner: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await answered(raises, scope((b"x-request-id", b"r-1")))
    assert [(record["log_level"], record["request_id"], record["path"]) for record in logs] == [("error", "r-1", "/a")]


async def test_each_request_is_recorded_once_with_how_it_went() -> None:
    recorded: list[Any] = []

    async def app(inner: Scope, receive: Receive, send: Send) -> None:
        inner["strangler.exchange"] = EXCHANGE

    await answered(app, scope((b"x-request-id", b"r-1")), record=lambda *told: recorded.append(told))
    assert recorded == [("r-1", "10.0.0.9", "GET", b"/a", EXCHANGE)]


async def test_a_request_that_never_became_an_exchange_is_not_recorded() -> None:
    recorded: list[Any] = []
    await answered(answering(200), record=lambda *told: recorded.append(told))
    assert recorded == []
