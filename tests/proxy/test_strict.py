from __future__ import annotations

import json

import httptools
import pytest

from proxy.origin import Header
from proxy.strict import HEAD, MALFORMED, NAME, PATH, QUERY, TARGET, Fault, Head, answer_fault, fault, rtsp_fault
from tests.fidelity.cases import TE, ask, chunked
from tests.fidelity.framing import answers
from tests.fidelity.refusals import BODIES, HEADS, head

HOST = (b"host", b"example.test")


def found(
    *headers: Header, version: str = "1.1", method: bytes = b"GET", target: bytes = b"/", host: bool = True
) -> int | None:
    """The status that such a request is refused with."""
    refused = fault(version, method, target, [HOST, *headers] if host else list(headers))
    return None if refused is None else refused.status


class Parser:
    """The parser as the proxy has it: nothing beyond what it tells decides."""

    def __init__(self, raw: bytes) -> None:
        self.fault: Fault | None = None
        self.bodies = self.whole = 0
        self._raw, self._url = raw, b""
        self._headers: list[Header] = []
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserError:
            self.fault = self.fault or MALFORMED
        except httptools.HttpParserUpgrade:
            pass

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        method = parser.get_method()
        self.fault = fault(parser.get_http_version(), method, self._url, self._headers)
        self.fault = self.fault or rtsp_fault(method, self._url, self._raw)[0]
        if self.fault is not None:
            raise ValueError

    def on_body(self, body: bytes) -> None:
        self.bodies += 1

    def on_message_complete(self) -> None:
        self.whole += 1


NAMED = b"Host: example.test"
# By whom each is refused, parser or `fault`, may change with the parser; that it is may not.
REFUSED = {**HEADS, **{name: ask("POST /put", TE, body=body) for name, body in BODIES.items()}}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(name: str) -> None:
    parsed = Parser(REFUSED[name])
    assert parsed.fault is not None
    assert parsed.fault.status == 400
    assert parsed.whole == 0


@pytest.mark.parametrize("place", ["name", "value", "target", "authority", "chunk extension", "trailer"])
@pytest.mark.parametrize("byte", [*range(0x09), *range(0x0A, 0x20), 0x7F])
def test_control_characters_are_refused_wherever_they_stand(byte: int, place: str) -> None:
    odd = bytes([byte])
    raw = {
        "name": ask("GET /", b"X-" + odd + b"A: 1"),
        "value": ask("GET /", b"X-A: a" + odd + b"b"),
        "target": head(b"GET /a" + odd + b"b HTTP/1.1", NAMED),
        "authority": head(b"GET http://a" + odd + b"b/ HTTP/1.1", NAMED),
        "chunk extension": ask("POST /", TE, body=b"3;a" + odd + b"b\r\nabc\r\n0\r\n\r\n"),
        "trailer": ask("POST /", TE, body=b"3\r\nabc\r\n0\r\nX-A: a" + odd + b"b\r\n\r\n"),
    }[place]
    parsed = Parser(raw)
    assert parsed.fault is not None
    assert parsed.whole == 0


TAKEN = {
    "a path": head(b"GET /a%2Fb//c/../d?e HTTP/1.1", NAMED),
    "what no URI should have, but sides take": head(b"GET /{a}|b\\c^d`e?%zz[] HTTP/1.1", NAMED),
    "a host with a port": head(b"GET / HTTP/1.1", b"Host: example.test:8080"),
    "a host with an empty port": head(b"GET / HTTP/1.1", b"Host: example.test:"),
    "a host with an underscore": head(b"GET / HTTP/1.1", b"Host: legacy_app"),
    "an address": head(b"GET / HTTP/1.1", b"Host: 127.0.0.1:3000"),
    "an address of version 6": head(b"GET / HTTP/1.1", b"Host: [::1]:3000"),
    "an absolute target": head(b"GET http://other.test:81/a?b HTTP/1.1", NAMED),
    "an absolute target in upper case": head(b"GET HTTPS://OTHER.test HTTP/1.1", NAMED),
    "an absolute target without a path": head(b"GET http://other.test?a=/b HTTP/1.1", NAMED),
    "OPTIONS of the whole server": head(b"OPTIONS * HTTP/1.1", NAMED),
    "HTTP/1.0": head(b"GET / HTTP/1.0", NAMED),
    "HTTP/1.0 without Host": b"GET / HTTP/1.0\r\n\r\n",
    "a length with a blank behind it": ask("POST /", b"Content-Length: 3 ", body=b"abc"),
    "a length with zeros ahead": ask("POST /", b"Content-Length: 003", body=b"abc"),
    "chunks in upper case": ask("POST /", b"Transfer-Encoding: Chunked", body=chunked(b"abc")),
    "bytes beyond ASCII in a value": ask("GET /", b"X-A: \xfc\xff"),
    "a tab in a value": ask("GET /", b"X-A: a\tb"),
    "every character of a name": ask("GET /", b"!#$%&'*+-.^_`|~09azAZ: 1"),
    "empty lines ahead": b"\r\n\r\n" + ask("GET /"),
    "RTSP in a value": ask("GET /", b"X-A: GET / RTSP/1.0"),
    "RTSP in the query": ask("GET /?RTSP/1.0"),
    "RTSP in a body": ask("POST /", b"Content-Length: 16", body=b"GET / RTSP/1.0\r\n"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_well_formed_passes(name: str) -> None:
    parsed = Parser(TAKEN[name])
    assert (parsed.fault, parsed.whole) == (None, 1)


@pytest.mark.parametrize(
    "host",
    [
        b"[::1", b"::1", b"[]", b"[1.2.3.4]", b"[::g]", b"[::1%eth0]", b":80", b"a:b:80", b"a:65536", b"a:123456",
        b"a:-1", b"a%zz", b"a\\b", b"a#b", b"a<b", b'a"b', b"a\xc3\xa4", b"a@b", b"a,b",
    ],
)  # fmt: skip
def test_a_host_that_is_none_is_refused_in_the_header_and_in_the_target(host: bytes) -> None:
    assert found((b"host", host), host=False) == 400
    assert found(target=b"http://" + host + b"/") == 400


@pytest.mark.parametrize("version", ["2.0", "1.9"])
def test_other_versions_are_told_so(version: str) -> None:
    assert found(version=version) == 505


def test_http_1_0_may_leave_out_its_host_but_not_name_two() -> None:
    assert found(version="1.0", host=False) is None
    assert found(HOST, version="1.0") == 400


def test_targets_and_names_are_as_long_as_puma_takes_them_and_no_longer() -> None:
    path, query = b"/" + b"p" * (PATH - 1), b"q" * QUERY
    assert found(target=path) is None
    assert found(target=path + b"p") == 414
    assert found(target=b"/?" + query) is None
    assert found(target=b"/?" + query + b"q") == 414
    assert found(target=path + b"?" + b"q" * (TARGET - PATH - 1)) is None
    assert found(target=path + b"?" + b"q" * (TARGET - PATH)) == 414
    assert found((b"x" * NAME, b"")) is None
    assert found((b"x" * (NAME + 1), b"")) == 431


def test_a_head_may_be_as_large_as_its_bound() -> None:
    rest = HEAD - len(b"/") - sum(map(len, HOST)) - 4 - len(b"x-a") - 4
    for value, status in ((b"v" * rest, None), (b"v" * (rest + 1), 431)):
        came = Head()
        came.came(HEAD + 100)  # with the request line, and perhaps what is ahead of it and behind
        refused = came.ended(b"/", [HOST, (b"x-a", value)])
        assert (None if refused is None else refused.status) == status


def test_a_small_head_in_a_large_piece_is_no_large_head() -> None:
    came = Head()
    came.came(4 * HEAD)
    assert came.ended(b"/", [HOST]) is None
    assert came.fault() is None


def test_a_head_that_comes_in_pieces_is_measured_whole() -> None:
    came = Head()
    for _ in range(5):
        came.came(HEAD // 4)
    refused = came.ended(b"/", [(b"x-a", b"v" * HEAD)])
    assert refused is not None
    assert refused.status == 431


def test_what_grows_without_end_is_refused_before_its_end() -> None:
    came = Head()
    came.came(HEAD)
    assert came.fault() is None
    came.came(1)
    refused = came.fault()
    assert refused is not None
    assert refused.status == 431


def test_pieces_of_a_body_are_no_head() -> None:
    came = Head()
    for _ in range(100):
        came.came(HEAD)
        came.moved()
        assert came.fault() is None


def test_an_answer_is_whole_says_what_is_wrong_and_ends_the_connection() -> None:
    refused = fault("1.1", b"GET", b"/", [])
    assert refused is not None
    [message] = answers(refused.answer(), [b"GET"], ended=False)
    assert message.complete
    assert message.start == b"HTTP/1.1 400 Bad Request"
    assert message.values(b"connection") == [b"close"]
    assert message.values(b"cache-control") == [b"no-store"]
    assert json.loads(message.body) == {"error": "bad_request", "message": refused.message}


CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("version", "status", "phrase", "headers"),
    [
        ("1.1", 200, b"OK", [CHUNKED]),
        ("1.1", 200, b"OK", [(b"transfer-encoding", b"Chunked")]),
        ("1.1", 404, b"Not Found", []),
        ("1.1", 299, b"", []),
        ("1.1", 100, b"Continue", []),
        ("1.1", 599, "in Ordnung, schön".encode(), []),
        ("1.0", 200, b"OK", [(b"content-length", b"2")]),
    ],
)
def test_an_answer_of_http_passes(version: str, status: int, phrase: bytes, headers: list[Header]) -> None:
    assert answer_fault(version, status, phrase, headers) is None


@pytest.mark.parametrize(
    ("version", "status", "phrase", "headers", "words"),
    [
        ("2.0", 200, b"OK", [], "an answer by HTTP/2.0"),
        ("0.9", 200, b"OK", [], "an answer by HTTP/0.9"),
        ("1.0", 200, b"OK", [CHUNKED], "an answer by HTTP/1.0 in chunks"),
        ("1.1", 0, b"OK", [], "its status 0 is none of HTTP's"),
        ("1.1", 99, b"OK", [], "its status 99 is none of HTTP's"),
        ("1.1", 600, b"OK", [], "its status 600 is none of HTTP's"),
        ("1.1", 101, b"Switching Protocols", [], "it switched protocols without being asked to"),
        ("1.1", 200, b"OK", [CHUNKED, CHUNKED], "a transfer coding that is not exactly chunked"),
        (
            "1.1",
            200,
            b"OK",
            [(b"transfer-encoding", b"gzip, chunked")],
            "a transfer coding that is not exactly chunked",
        ),
        ("1.1", 200, b"OK", [(b"transfer-encoding", b"identity")], "a transfer coding that is not exactly chunked"),
        ("1.1", 200, b"O\0K", [], "control characters beside its status"),
        ("1.1", 200, b"\x1b[31m", [], "control characters beside its status"),
    ],
)
def test_an_answer_that_could_be_read_in_two_ways_is_none(
    version: str, status: int, phrase: bytes, headers: list[Header], words: str
) -> None:
    assert answer_fault(version, status, phrase, headers) == words
