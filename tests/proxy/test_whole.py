from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.whole import whole_answer
from tests.fidelity.cases import TE, answer, chunked, length

OK = answer("200 OK", b"X-A: 1", length(2), body=b"ok")


@pytest.mark.parametrize(
    "raw",
    [
        OK,
        answer("404 Not Found", length(0)),
        answer("503 ", length(0)),
        answer("200 OK", b"Connected: yes", b"Teapot: 1", length(2), body=b"\n\n"),
    ],
)
def test_an_answer_that_needs_no_change_is_passed_on_as_it_is(raw: bytes) -> None:
    passed = whole_answer(raw)
    assert passed is not None
    assert passed[1] == raw
    assert passed[0] == int(raw[9:12])


@pytest.mark.parametrize("said", [b"Connection: keep-alive", b"connection: Keep-Alive"])
@pytest.mark.parametrize("at", range(3))
def test_that_a_connection_is_kept_is_no_news_to_the_user(said: bytes, at: int) -> None:
    headers = [b"X-A: 1", length(2)]
    headers.insert(at, said)
    assert whole_answer(answer("200 OK", *headers, body=b"ok")) == (200, OK)


ODD = {
    "half": OK[:-1],
    "half a head": OK[:20],
    "more than one": OK + OK,
    "more than one, of which one is interim": answer("103 Early Hints") + OK,
    "too long": OK + b"!",
    "an interim one": answer("103 Early Hints"),
    "no body": answer("204 No Content"),
    "not modified": answer("304 Not Modified", length(9)),
    "an upgrade": answer("101 Switching", b"Upgrade: x", b"Connection: upgrade"),
    "chunked": answer("200 OK", TE, body=chunked(b"ok")),
    "a length and chunks": answer("200 OK", length(2), TE, body=chunked(b"ok")),
    "two lengths": answer("200 OK", length(2), length(2), body=b"ok"),
    "until it closes": answer("200 OK", body=b"ok"),
    "its last on the connection": answer("200 OK", b"Connection: close", length(2), body=b"ok"),
    "names a header as a hop's own": answer("200 OK", b"Connection: x-a", b"X-A: 1", length(2), body=b"ok"),
    "names more": answer("200 OK", b"Connection: keep-alive, x-a", b"X-A: 1", length(2), body=b"ok"),
    "says twice that it is kept": answer(
        "200 OK", b"Connection: keep-alive", length(2), b"Connection: keep-alive", body=b"ok"
    ),
    "says so twice in a row": answer(
        "200 OK", b"Connection: keep-alive", b"Connection: keep-alive", length(2), body=b"ok"
    ),
    "a length of letters": answer("200 OK", b"Content-Length: 2x", body=b"ok"),
    "a name with a space": answer("200 OK", b"X A: 1", length(2), body=b"ok"),
    "a line without a colon": answer("200 OK", b"X-A", length(2), body=b"ok"),
    "a control character": answer("200 OK", b"X-A: \x01", length(2), body=b"ok"),
    "a bare carriage return": answer("200 OK", b"X-A: 1\rX-B: 2", length(2), body=b"ok"),
    "names twice": answer("200 OK", b"Connection: keep-alive", b"Connection: x-a", length(2), body=b"ok"),
    "names with a space": answer("200 OK", b"Connection : x-a", length(2), body=b"ok"),
    "a hop's own header": answer("200 OK", b"Keep-Alive: timeout=5", length(2), body=b"ok"),
    "a word to the proxy": answer("200 OK", b"X-Strangler-Discarded: 1", length(2), body=b"ok"),
    "a folded line": answer("200 OK", b"X-A: 1", b" 2", length(2), body=b"ok"),
    "a bare line feed": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
    "an old version": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "no phrase and no space for it": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "a status that is none": answer("600 Odd", length(2), body=b"ok"),
    "a status that is no number": answer("2x0 OK", length(2), body=b"ok"),
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("odd", ODD)
def test_any_other_answer_is_left_to_be_taken_apart(odd: str) -> None:
    assert whole_answer(ODD[odd]) is None


def test_a_body_that_looks_like_a_head_is_left_alone() -> None:
    body = b"\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
    raw = answer("200 OK", length(len(body)), body=body)
    assert whole_answer(raw) == (200, raw)


class Parts:
    """What the parser makes of an answer."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body


def parts(raw: bytes) -> Parts:
    told = Parts()
    httptools.HttpResponseParser(told).feed_data(raw)
    return told


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"Connection: keep-alive", b"Connection: close", b"TE: x", b"X-Strangler-A: 1", b" folded"]),
        st.binary(max_size=20).map(lambda value: b"X-A: " + value),
        st.binary(max_size=20),
    ),
    max_size=4,
)


@given(LINES, st.binary(max_size=50), st.integers(-1, 1), st.binary(max_size=3))
def test_what_is_passed_on_is_what_was_read(lines: list[bytes], body: bytes, short: int, more: bytes) -> None:
    raw = answer("200 OK", *lines, length(max(len(body) + short, 0)), body=body + more)
    found = whole_answer(raw)
    if found is None:
        return
    passed = found[1]
    sent, came = parts(passed), parts(raw)
    assert sent.body == came.body == body + more
    kept = [(name, value) for name, value in came.headers if name.lower() != b"connection"]
    assert sent.headers == kept
    assert not any(name.lower() in (b"te", b"x-strangler-a") for name, _ in sent.headers)
