from __future__ import annotations

import re
import time
import tracemalloc
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from proxy.forwarding import REMEMBERED, Forwarding
from proxy.headers import Header, forward_request, message_head
from proxy.peers import Peers
from proxy.sections import Config
from proxy.signature import Secret


def scope(*headers: tuple[bytes, bytes], **more: Any) -> Scope:
    base = {"type": "http", "method": "GET", "path": "/a", "raw_path": b"/a", "scheme": "http", "http_version": "1.1"}
    return {**base, "client": ("10.0.0.9", 4711), "headers": [(b"host", b"example.test"), *headers], **more}


def forwarding(*trusted: str) -> Forwarding:
    config = Config.model_validate({"legacy": {"url": "http://127.0.0.1:1"}, "trusted_proxies": list(trusted)})
    return Forwarding(Peers(config.trusted_proxies))


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


NAMES = st.sampled_from(
    [b"host", b"X-Forwarded-For", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
     b"forwarded", b"x_forwarded_for", b"x-real-ip", b"connection", b"via", b"x-request-id", b"traceparent",
     b"tracestate", b"accept", b"X-Custom", b"x-strangler-shadow", b"transfer-encoding", b"content-length"]
)  # fmt: skip
VALUES = st.sampled_from(
    [b"", b"a", b"b:81", b"10.0.0.1", b"1.2.3.4, 10.0.0.2", b"https", b"keep-alive", b"close, x-custom", b"h" * 600,
     b"chunked", b"00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"]
)  # fmt: skip
REMEMBERING = forwarding("10.0.0.0/8")
NEW_TRACE = re.compile(rb"(?<=traceparent: )00-[0-9a-f]{32}-[0-9a-f]{16}-01(?=\r\n)")  # another one each time


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=8),
    st.sampled_from(["10.0.0.9", "192.0.2.7", "::1", ""]),
    st.sampled_from(["http", "https", "ws"]),
    st.sampled_from(["1.0", "1.1"]),
)
def test_what_is_remembered_of_a_caller_is_what_would_be_told_anew(
    headers: list[Header], peer: str, scheme: str, version: str
) -> None:
    peers = Peers([ip_network("10.0.0.0/8")])
    for _ in range(2):  # the second time from memory
        outgoing = REMEMBERING.outgoing(headers, peer, scheme)
        asked, request_id, client = outgoing.headers(version), outgoing.request_id, outgoing.caller.client
        plain = forward_request(
            headers,
            client=peer,
            scheme=scheme,
            request_id=request_id,
            trace=next(value for name, value in reversed(asked) if name == b"traceparent"),
            trusted=peers.trusts(peer),
            http_version=version,
        )
        chunked = (
            [(b"transfer-encoding", b"chunked")] if any(n == b"transfer-encoding" and v for n, v in headers) else []
        )
        assert asked == [*plain, *chunked]
        assert client == peers.client([v for n, v in headers if n.lower() == b"x-forwarded-for" and v], peer)


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=8),
    st.sampled_from(["10.0.0.9", "192.0.2.7", "::1", ""]),
    st.sampled_from(["1.0", "1.1"]),
)
def test_a_head_says_on_the_wire_what_its_headers_say(headers: list[Header], peer: str, version: str) -> None:
    outgoing = REMEMBERING.outgoing(headers, peer, "http")
    told = message_head(b"GET /a HTTP/1.1", outgoing.headers(version))
    quick = outgoing.head(b"GET /a HTTP/1.1", version)
    assert NEW_TRACE.sub(b"new", quick) == NEW_TRACE.sub(b"new", told)


def test_what_is_remembered_of_callers_stays_bounded() -> None:
    ask = forwarding("10.0.0.0/8")
    tracemalloc.start()
    try:
        for number in range(4 * REMEMBERED):
            chain = b"%d.%d.0.1" % divmod(number, 256)
            caller = ask.outgoing([(b"x-forwarded-for", chain)], "10.0.0.9", "http").caller
            assert caller.client == chain.decode()
            ask.outgoing([(b"host", b"%d" % number + b"h" * 60_000)], "192.0.2.7", "http")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 8 << 20


SECRET = Secret(b"0123456789abcdef0123456789abcdef")


def asked_by_another_proxy(*headers: tuple[bytes, bytes], secret: Secret = SECRET, target: bytes = b"/a") -> Scope:
    mark = secret.signed([(b"x-strangler-shadow", b"r-7")], method=b"GET", target=target, now=time.time())
    return scope(*mark, *headers, **{"strangler.target": b"/a"})


def own(headers: list[Header]) -> list[Header]:
    return [(name, value) for name, value in headers if name.lower().startswith((b"x-strangler-", b"x_strangler_"))]


def test_another_proxy_s_mark_is_told_and_passed_on_signed_anew() -> None:
    inner = Forwarding(Peers([]), SECRET)(asked_by_another_proxy())
    assert inner["strangler.words"] == {"shadow": "r-7"}
    [mark, signature] = own(inner["headers"])
    assert mark == (b"x-strangler-shadow", b"r-7")
    assert signature[0] == b"x-strangler-signature"
    again = Forwarding(Peers([]), SECRET)({**inner, "client": ("10.0.0.8", 1)})
    assert again["strangler.words"] == {"shadow": "r-7"}


@pytest.mark.parametrize(
    ("secret", "came"),
    [
        (None, asked_by_another_proxy()),
        (SECRET, asked_by_another_proxy(secret=Secret(b"another secret of another fleet..."))),
        (SECRET, asked_by_another_proxy(target=b"/b")),
        (SECRET, asked_by_another_proxy((b"x-strangler-more", b"1"))),
        (SECRET, scope((b"x-strangler-shadow", b"forged"))),
        (SECRET, scope((b"x-strangler-compared", b"2"))),
    ],
)
def test_of_a_mark_that_no_proxy_of_ours_has_signed_only_that_is_left(secret: Secret | None, came: Scope) -> None:
    inner = Forwarding(Peers([]), secret)(came)
    assert (inner["strangler.words"], inner["strangler.marked"]) == ({}, True)
    assert own(inner["headers"]) == [(b"x-strangler-compared", b"1")]


@pytest.mark.parametrize("came", [scope((b"x_strangler_shadow", b"forged"), (b"x_strangler_compared", b"1")), scope()])
def test_of_who_is_not_marked_nothing_is_said(came: Scope) -> None:
    inner = Forwarding(Peers([]), SECRET)(came)
    assert (inner["strangler.words"], inner["strangler.marked"]) == ({}, False)
    assert own(inner["headers"]) == []


@pytest.mark.parametrize(
    ("came", "marked"),
    [
        (asked_by_another_proxy(), True),
        (scope((b"X-Strangler-Shadow", b"forged")), True),
        (scope((b"x_strangler_shadow", b"forged")), False),
        (scope((b"x-strangler-other", b"1")), False),
        (scope(), False),
    ],
)
def test_what_is_said_to_be_of_a_comparison_is_told_be_it_true_or_not(came: Scope, marked: bool) -> None:
    assert Forwarding(Peers([]))(came)["strangler.marked"] is marked


def test_an_underscore_slips_nothing_past_a_signature() -> None:
    inner = Forwarding(Peers([]), SECRET)(asked_by_another_proxy((b"x_strangler_shadow", b"forged")))
    assert (b"x_strangler_shadow", b"forged") not in inner["headers"]
    assert inner["strangler.words"] == {"shadow": "r-7"}


def test_a_signed_word_that_is_not_for_sides_is_not_passed_on() -> None:
    other = SECRET.signed([(b"x-strangler-other", b"1")], method=b"GET", target=b"/a", now=time.time())
    inner = Forwarding(Peers([]), SECRET)(scope(*other, **{"strangler.target": b"/a"}))
    assert inner["strangler.words"] == {"other": "1"}
    assert own(inner["headers"]) == []


def test_words_to_a_side_are_signed_if_there_is_a_secret() -> None:
    came, mark = scope(**{"strangler.target": b"/a"}), (b"x-strangler-shadow", b"r-7")
    assert Forwarding(Peers([])).signed(came, [mark]) == [mark]
    signed = Forwarding(Peers([]), SECRET).signed(came, [mark])
    assert SECRET.words(signed, method=b"GET", target=b"/a", now=time.time()) == {"shadow": "r-7"}
