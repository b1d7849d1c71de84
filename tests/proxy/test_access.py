from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from flags.decide import Decision, Reason
from flags.flag import Side
from proxy.access import Access, Forwarding, new_trace
from proxy.errors import Broken
from proxy.exchange import Exchange
from proxy.peers import Peers
from proxy.sections import Config

EXCHANGE = Exchange("read", Decision(Side.NATIVE, False, Reason.SHARE), 1, 0.5, 200, Side.LEGACY, "exception")


def scope(*headers: tuple[bytes, bytes], **more: Any) -> Scope:
    base = {"type": "http", "method": "GET", "path": "/a", "scheme": "http", "http_version": "1.1"}
    return {**base, "client": ("10.0.0.9", 4711), "headers": [(b"host", b"example.test"), *headers], **more}


def forwarding(*trusted: str) -> Forwarding:
    config = Config.model_validate({"legacy": {"url": "http://127.0.0.1:1"}, "trusted_proxies": list(trusted)})
    return Forwarding(Peers(config.trusted_proxies))


async def receive() -> Message:
    return {"type": "http.disconnect"}


async def answered(app: Any, came: Scope | None = None, *, records: bool = False) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await Access(app, forwarding(), records=records)(came or scope(), receive, send)
    return sent


def answering(status: int, *headers: tuple[bytes, bytes]) -> Any:
    async def app(inner: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b""})

    return app


def test_the_scope_that_sides_see_is_a_new_one() -> None:
    came = scope((b"x-a", b"1"))
    inner = forwarding()(came)
    assert came == scope((b"x-a", b"1"))
    assert (b"x-a", b"1") in inner["headers"]
    assert (b"x-forwarded-for", b"10.0.0.9") in inner["headers"]
    assert inner["strangler.client"] == "10.0.0.9"


def test_a_request_id_is_the_caller_s_or_a_new_one_and_in_the_headers() -> None:
    assert forwarding()(scope((b"x-request-id", b"r-1")))["strangler.request_id"] == "r-1"
    first, second = forwarding()(scope()), forwarding()(scope())
    assert first["strangler.request_id"] != second["strangler.request_id"]
    assert (b"x-request-id", first["strangler.request_id"].encode()) in first["headers"]


def test_the_client_of_a_trusted_proxy_is_whom_it_names() -> None:
    came = scope((b"x-forwarded-for", b"1.2.3.4"))
    assert forwarding("10.0.0.0/8")(came)["strangler.client"] == "1.2.3.4"
    assert forwarding()(came)["strangler.client"] == "10.0.0.9"


def test_a_chunked_body_is_chunked_again_for_the_side() -> None:
    inner = forwarding()(scope((b"transfer-encoding", b"chunked")))
    assert [value for name, value in inner["headers"] if name == b"transfer-encoding"] == [b"chunked"]
    assert not [value for name, value in forwarding()(scope())["headers"] if name == b"transfer-encoding"]


def test_a_socket_without_an_address_has_an_unknown_client() -> None:
    assert (b"x-forwarded-for", b"unknown") in forwarding()(scope(client=None))["headers"]


def test_traces_are_well_formed_and_differ() -> None:
    first, second = new_trace(), new_trace()
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", first)
    assert first != second


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
    async def app(inner: Scope, receive: Receive, send: Send) -> None:
        inner["strangler.exchange"] = EXCHANGE

    with capture_logs() as logs:
        await answered(app, scope((b"x-request-id", b"r-1")), records=True)
    [record] = logs
    assert record.pop("ms") >= 0
    assert record == {
        "event": "request",
        "log_level": "info",
        "request_id": "r-1",
        "client": "10.0.0.9",
        "method": "GET",
        "path": "/a",
        "status": 200,
        "route": "read",
        "side": "native",
        "reason": "share",
        "asked_last": "legacy",
        "failure": "exception",
        "left": False,
    }


async def test_records_can_be_turned_off() -> None:
    with capture_logs() as logs:
        await answered(answering(200))
    assert logs == []
