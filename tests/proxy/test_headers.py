from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.forcing import FORCE
from proxy.headers import END_TO_END, HOP_BY_HOP, Header, forward_request, forward_response, sift

FRESH = "fresh-id"
TRACE = b"00-11111111111111111111111111111111-2222222222222222-00"
THEIRS = b"00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"
OURS = re.compile(rb"x-forwarded-(for|proto|host|port)|forwarded|via|x-request-id|traceparent")


def forwarded(headers: list[Header], *, client: str = "192.0.2.7", trusted: bool = False) -> list[Header]:
    return forward_request(
        headers, client=client, scheme="http", request_id=FRESH, trace=TRACE, trusted=trusted, http_version="1.1"
    )


def values(headers: list[Header], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]


def rest(headers: list[Header]) -> list[Header]:
    """What is not the proxy's own statement."""
    return [header for header in headers if not OURS.fullmatch(header[0])]


def test_a_direct_request_is_described_in_every_spelling() -> None:
    assert forwarded([(b"host", b"chat.example:8080"), (b"accept", b"*/*")]) == [
        (b"host", b"chat.example:8080"),
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", b"chat.example:8080"),
        (b"x-forwarded-port", b"8080"),
        (b"forwarded", b'for=192.0.2.7;host="chat.example:8080";proto=http'),
        (b"via", b"1.1 strangler"),
        (b"x-request-id", b"fresh-id"),
        (b"traceparent", TRACE),
    ]


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_what_belongs_to_one_hop_ends_here(name: bytes) -> None:
    for spelling in (name, name.title(), name.upper()):
        assert rest(forwarded([(spelling, b"x"), (b"accept", b"y")])) == [(b"accept", b"y")]
        assert forward_response([(spelling, b"x"), (b"Server", b"y")]) == [(b"Server", b"y")]


def test_what_connection_names_ends_here() -> None:
    headers = [(b"Connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"connection", b"x-other"), (b"X-Other", b"2")]
    assert rest(forwarded(headers)) == []
    assert forward_response(headers) == []


@pytest.mark.parametrize("name", sorted({b"host", *END_TO_END}))
def test_connection_cannot_remove_what_is_meant_for_everyone(name: bytes) -> None:
    headers = [(b"connection", name.upper()), (name, b"1")]
    assert rest(forwarded(headers)) == [(name, b"1")]


@pytest.mark.parametrize(
    "name", [b"x-forwarded-for", b"x-forwarded-proto", b"forwarded", b"x-real-ip", b"x-forwarded-prefix", b"via"]
)
def test_connection_cannot_remove_what_a_trusted_proxy_says_of_the_client(name: bytes) -> None:
    told = [(name, b"203.0.113.9")]
    assert forwarded([(b"connection", name), *told], trusted=True) == forwarded(told, trusted=True)


def test_connection_cannot_remove_the_request_id_or_the_trace() -> None:
    told = [(b"x-request-id", b"abc"), (b"traceparent", THEIRS)]
    assert forwarded([(b"connection", b"x-request-id, traceparent"), *told]) == forwarded(told)


def test_a_length_that_a_transfer_coding_overrules_is_dropped() -> None:
    headers = [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked"), (b"content-type", b"a/b")]
    assert rest(forwarded(headers)) == [(b"content-type", b"a/b")]
    assert forward_response(headers) == [(b"content-type", b"a/b")]


def test_credentials_for_another_proxy_pass() -> None:
    headers = [(b"proxy-authorization", b"Basic x")]
    assert rest(forwarded(headers)) == headers
    assert forward_response([(b"Proxy-Authenticate", b"Basic")]) == [(b"Proxy-Authenticate", b"Basic")]


def test_two_cookies_stay_two() -> None:
    headers = [(b"Set-Cookie", b"a=1"), (b"X-A", b" odd\xff "), (b"Set-Cookie", b"b=2")]
    assert forward_response(headers) == headers


@pytest.mark.parametrize("name", [b"x-strangler-shadow", b"X-Strangler-Discarded", b"x_strangler_shadow"])
def test_the_proxys_own_words_do_not_come_from_outside(name: bytes) -> None:
    assert rest(forwarded([(name, b"1")], trusted=True)) == []


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ([(b"X-Strangler-Force", b"t")], []),
        ([(b"x_strangler_force", b"t")], []),
        ([(b"cookie", b"X-Strangler-Force=t")], []),
        ([(b"Cookie", b"a=1; X-Strangler-Force=t"), (b"cookie", b"b=2")], [(b"Cookie", b"a=1"), (b"cookie", b"b=2")]),
        ([(b"cookie", b"a=X-Strangler-Force=t")], [(b"cookie", b"a=X-Strangler-Force=t")]),
        ([(b"cookie", b""), (b"cookie", b" a=1 ;")], [(b"cookie", b""), (b"cookie", b" a=1 ;")]),
    ],
)
def test_what_a_tester_says_to_the_proxy_ends_here_and_other_cookies_pass_as_they_came(
    headers: list[Header], left: list[Header]
) -> None:
    assert rest(forwarded(headers)) == left


def test_what_a_tester_says_is_heard_as_a_header_and_as_a_cookie() -> None:
    came = [(b"Cookie", b"X-Strangler-Force=one; X-Strangler-Force=two"), (b"X-Strangler-Force", b"three")]
    assert sift(came, trusted=False) == ([], {FORCE: (b"one", b"two", b"three")})


def test_the_proxys_own_words_do_not_leave() -> None:
    assert forward_response([(b"X-Strangler-Discarded", b"1"), (b"Date", b"d")]) == [(b"Date", b"d")]


CLAIMS = [
    (b"x-forwarded-for", b"203.0.113.9"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"chat.example"),
    (b"x-forwarded-port", b"8443"),
    (b"forwarded", b"for=203.0.113.9;proto=https"),
    (b"x-forwarded-ssl", b"on"),
    (b"x-real-ip", b"203.0.113.9"),
    (b"client-ip", b"203.0.113.9"),
]


def test_a_stranger_is_not_believed() -> None:
    assert forwarded([(b"host", b"h"), *CLAIMS]) == forwarded([(b"host", b"h")])


def test_an_underscore_does_not_smuggle_a_claim_past() -> None:
    claims = [(name.replace(b"-", b"_"), value) for name, value in CLAIMS if b"-" in name]
    for trusted in (False, True):
        assert forwarded(claims, trusted=trusted) == forwarded([], trusted=trusted)


def test_other_names_with_underscores_pass() -> None:
    assert rest(forwarded([(b"x_account_id", b"1")])) == [(b"x_account_id", b"1")]


def test_a_trusted_proxy_is_believed_and_continued() -> None:
    found = forwarded([(b"host", b"inner"), *CLAIMS], client="10.0.0.1", trusted=True)
    assert values(found, b"x-forwarded-for") == [b"203.0.113.9, 10.0.0.1"]
    assert values(found, b"x-forwarded-proto") == [b"https"]
    assert values(found, b"x-forwarded-host") == [b"chat.example"]
    assert values(found, b"x-forwarded-port") == [b"8443"]
    assert values(found, b"forwarded") == [b"for=203.0.113.9;proto=https, for=10.0.0.1"]
    assert values(found, b"host") == [b"inner"]
    assert values(found, b"x-real-ip") == values(found, b"client-ip") == [b"203.0.113.9"]
    assert values(found, b"x-forwarded-ssl") == [b"on"]


def test_a_chain_in_several_lines_is_continued_in_one() -> None:
    chain = [
        (b"x-forwarded-for", b"203.0.113.9, 10.0.0.2"),
        (b"x-forwarded-for", b""),
        (b"x-forwarded-for", b"10.0.0.3"),
    ]
    found = forwarded(chain, client="10.0.0.1", trusted=True)
    assert values(found, b"x-forwarded-for") == [b"203.0.113.9, 10.0.0.2, 10.0.0.3, 10.0.0.1"]


def test_via_grows_by_one_whoever_asks() -> None:
    for trusted in (False, True):
        found = forwarded([(b"via", b"1.0 a"), (b"Via", b"1.1 b")], trusted=trusted)
        assert values(found, b"via") == [b"1.0 a, 1.1 b, 1.1 strangler"]


@pytest.mark.parametrize("given_id", [b"a", b"A-Z_09@x", b"x" * 255])
def test_a_well_formed_request_id_is_kept(given_id: bytes) -> None:
    headers = [(b"X-Request-Id", given_id)]
    assert values(forwarded(headers), b"x-request-id") == [given_id]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"x-request-id", b"")],
        [(b"x-request-id", b"x" * 256)],
        [(b"x-request-id", b"a b")],
        [(b"x-request-id", b"a\n")],
        [(b"x-request-id", b"\xe9")],
        [(b"x-request-id", b"a"), (b"x-request-id", b"b")],
        [(b"x_request_id", b"a")],
    ],
)
def test_a_strange_request_id_is_replaced(headers: list[Header]) -> None:
    found = forwarded(headers)
    assert values(found, b"x-request-id") == [FRESH.encode()]
    assert values(found, b"x_request_id") == []


@pytest.mark.parametrize("context", [THEIRS, b"01" + THEIRS[2:], b"01" + THEIRS[2:] + b"-more"])
def test_a_valid_trace_is_continued_with_its_state(context: bytes) -> None:
    headers = [(b"traceparent", context), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    found = forwarded(headers)
    assert values(found, b"traceparent") == [context]
    assert values(found, b"tracestate") == [b"a=1", b"b=2"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"traceparent", b"garbage")],
        [(b"traceparent", THEIRS + b"-more")],
        [(b"traceparent", b"ff" + THEIRS[2:])],
        [(b"traceparent", THEIRS.upper())],
        [(b"traceparent", THEIRS.replace(b"a", b"0"))],
        [(b"traceparent", THEIRS.replace(b"b", b"0"))],
        [(b"traceparent", b"01" + THEIRS[2:] + b"more")],
        [(b"traceparent", THEIRS), (b"traceparent", THEIRS)],
    ],
)
def test_an_invalid_trace_is_begun_anew_without_a_state(headers: list[Header]) -> None:
    found = forwarded([*headers, (b"tracestate", b"a=1")])
    assert values(found, b"traceparent") == [TRACE]
    assert values(found, b"tracestate") == []


NAMES = st.sampled_from(
    [b"Accept", b"accept", b"host", b"X-Custom", b"x-b", b"Set-Cookie", b"cookie", b"X-Forwarded-For", b"Connection",
     b"keep-alive", b"TE", b"X-Strangler-Shadow", b"via", b"forwarded", b"x_y", b"Content-Length", b"Upgrade"]
)  # fmt: skip
HEADERS = st.lists(st.tuples(NAMES | st.binary(max_size=8), st.binary(max_size=12)))
PLAIN = {b"accept", b"host", b"set-cookie", b"cookie", b"content-length"}


def end_to_end(headers: list[Header]) -> list[Header]:
    return [header for header in headers if header[0].lower() in PLAIN]


@given(HEADERS, st.booleans())
def test_nothing_meant_for_everyone_is_lost_changed_or_reordered(headers: list[Header], trusted: bool) -> None:
    assert end_to_end(forwarded(headers, trusted=trusted)) == end_to_end(headers)
    assert end_to_end(forward_response(headers)) == end_to_end(headers)


@given(HEADERS, st.booleans())
def test_what_goes_out_came_in_or_is_the_proxys_own_statement(headers: list[Header], trusted: bool) -> None:
    came = iter(headers)
    assert all(header in came for header in rest(forwarded(headers, trusted=trusted)))


@given(HEADERS)
def test_cleaning_an_answer_twice_changes_nothing_more(headers: list[Header]) -> None:
    once = forward_response(headers)
    assert forward_response(once) == once


@given(HEADERS)
def test_a_second_stranger_proxy_leaves_what_the_first_left(headers: list[Header]) -> None:
    once = forwarded(headers)
    twice = forwarded(once)
    assert [header for header in twice if header[0] != b"via"] == [
        header for header in [*rest(once), *[h for h in once if OURS.fullmatch(h[0])]] if header[0] != b"via"
    ]


@given(HEADERS, st.booleans())
def test_a_request_is_described_once(headers: list[Header], trusted: bool) -> None:
    found = forwarded(headers, trusted=trusted)
    for name in (b"x-forwarded-for", b"forwarded", b"via", b"x-request-id", b"traceparent"):
        assert len(values(found, name)) == 1
