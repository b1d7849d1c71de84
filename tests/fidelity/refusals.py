"""What is no HTTP, or could be read in two ways: nobody may be asked it, and nobody be answered it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fidelity.cases import TE, answer, ask, chunked
from tests.fidelity.origin import OK
from tests.fidelity.wire import Close, Gone, Hear, Script, Step, Tell, Until, Whole


@dataclass(frozen=True, slots=True)
class Refusal:
    """`answered`: the statuses that the client gets. `asked`: the first lines of what the origin gets; if `torn`, the
    last one breaks off. `breaks`: so does the last answer."""

    name: str
    client: tuple[bytes, *tuple[Step, ...]]
    answered: tuple[int, ...] = (400,)
    asked: tuple[bytes, ...] = ()
    torn: bool = False
    breaks: bool = False
    origin: tuple[Script, ...] = (OK,)

    @property
    def told(self) -> str:
        """What the client gets, in short."""
        return ", ".join(map(str, self.answered)) + (", breaks off" if self.breaks else "")

    @property
    def closes(self) -> bool:
        """Whether the client's connection ends: who has misread one request would misread the next."""
        return self.torn or self.breaks or not self.asked or self.answered[-1] == 400


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


GET = b"GET /h HTTP/1.1"
HOST = b"Host: example.test"
ONE = ask("GET /1")
LONG = 100_000

HEADS = {
    "lines that end in a bare LF": b"GET /h HTTP/1.1\nHost: example.test\n\n",
    "a header that ends in a bare LF": b"GET /h HTTP/1.1\r\nHost: example.test\nX-A: 1\r\n\r\n",
    "a head that ends in a bare LF": b"GET /h HTTP/1.1\r\nHost: example.test\r\n\n",
    "a bare CR within a header": b"GET /h HTTP/1.1\r\nHost: example.test\rX-A: 1\r\n\r\n",
    "a folded line": head(GET, HOST, b"X-A: 1", b" 2"),
    "a line folded by a tab": head(GET, HOST, b"X-A: 1", b"\t2"),
    "white space ahead of the first header": head(GET, b" " + HOST),
    "a space ahead of a colon": head(GET, HOST, b"X-A : 1"),
    "a tab ahead of a colon": head(GET, HOST, b"X-A\t: 1"),
    "a space ahead of the colon of a coding": ask("POST /put", b"Transfer-Encoding : chunked", body=chunked(b"abc")),
    "a header without a colon": head(GET, HOST, b"X-A"),
    "a header without a name": head(GET, HOST, b": 1"),
    "a name that is no token": head(GET, HOST, b"X(A): 1"),
    "a name beyond ASCII": head(GET, HOST, b"X-\xc3\xa4: 1"),
    "NUL in a name": head(GET, HOST, b"X-\0A: 1"),
    "NUL in a value": head(GET, HOST, b"X-A: 1\0"),
    "a control character in a value": head(GET, HOST, b"X-A: \x1b[31m"),
    "no Host": head(GET, b"Accept: */*"),
    "two Hosts": head(GET, HOST, b"Host: other.test"),
    "two equal Hosts": head(GET, HOST, HOST),
    "an empty Host": head(GET, b"Host:"),
    "two names in a Host": head(GET, b"Host: example.test, other.test"),
    "a Host with a user": head(GET, b"Host: example.test@other.test"),
    "a Host with a path": head(GET, b"Host: example.test/a"),
    "a Host with a space": head(GET, b"Host: example.test other.test"),
    "a Host whose port is none": head(GET, b"Host: example.test:8o"),
    "an absolute-form target, and no Host": head(b"GET http://example.test/h HTTP/1.1"),
    "a length and chunks": ask("POST /put", b"Content-Length: 3", TE, body=chunked(b"abc")),
    "chunks and a length": ask("POST /put", TE, b"Content-Length: 3", body=chunked(b"abc")),
    "two lengths": ask("POST /put", b"Content-Length: 3", b"Content-Length: 4", body=b"abc"),
    "two equal lengths": ask("POST /put", b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),
    "a list of lengths": ask("POST /put", b"Content-Length: 3, 3", body=b"abc"),
    "a length with a sign": ask("POST /put", b"Content-Length: +3", body=b"abc"),
    "a negative length": ask("POST /put", b"Content-Length: -3", body=b"abc"),
    "a hexadecimal length": ask("POST /put", b"Content-Length: 0x3", body=b"abc"),
    "an empty length": ask("POST /put", b"Content-Length: ", body=b"abc"),
    "a length beyond 64 bits": ask("POST /put", b"Content-Length: 18446744073709551619", body=b"abc"),
    "a length of 19 digits": ask("POST /put", b"Content-Length: 9223372036854775808", body=b"abc"),
    "a length with an underscore": ask("POST /put", b"Content-Length: 0", b"Content_Length: 3", body=b"abc"),
    "a coding with an underscore": ask("POST /put", b"Transfer_Encoding: chunked", body=chunked(b"abc")),
    "another coding": ask("POST /put", b"Transfer-Encoding: gzip", body=chunked(b"abc")),
    "another coding ahead of chunks": ask("POST /put", b"Transfer-Encoding: gzip, chunked", body=chunked(b"abc")),
    "another coding behind chunks": ask("POST /put", b"Transfer-Encoding: chunked, gzip", body=chunked(b"abc")),
    "chunks twice": ask("POST /put", TE, TE, body=chunked(b"abc")),
    "chunks and identity": ask("POST /put", TE, b"Transfer-Encoding: identity", body=chunked(b"abc")),
    "chunks in quotes": ask("POST /put", b'Transfer-Encoding: "chunked"', body=chunked(b"abc")),
    "chunks behind a comma": ask("POST /put", b"Transfer-Encoding: ,chunked", body=chunked(b"abc")),
    "chunks behind a vertical tab": ask("POST /put", b"Transfer-Encoding: \x0bchunked", body=chunked(b"abc")),
    "an empty coding": ask("POST /put", b"Transfer-Encoding: ", body=chunked(b"abc")),
    "chunks of an HTTP/1.0 client": head(b"POST /put HTTP/1.0", HOST, TE) + chunked(b"abc"),
    "a space in the target": head(b"GET /a b HTTP/1.1", HOST),
    "a target that is no path": head(b"GET h HTTP/1.1", HOST),
    "a target without a scheme": head(b"GET example.test/h HTTP/1.1", HOST),
    "a target of another scheme": head(b"GET ftp://example.test/h HTTP/1.1", HOST),
    "a target without a host": head(b"GET http:///h HTTP/1.1", HOST),
    "a target of a scheme alone": head(b"GET http:// HTTP/1.1", HOST),
    "a target with a user": head(b"GET http://user@example.test/h HTTP/1.1", HOST),
    "a target whose port is none": head(b"GET http://example.test:x/h HTTP/1.1", HOST),
    "* for another method than OPTIONS": head(b"GET * HTTP/1.1", HOST),
    "* and more": head(b"OPTIONS *a HTTP/1.1", HOST),
    "a quote in the target": head(b'GET /"h" HTTP/1.1', HOST),
    "angle brackets in the target": head(b"GET /h?a=<b> HTTP/1.1", HOST),
    "a fragment in the target": head(b"GET /h#a HTTP/1.1", HOST),
    "NUL in the target": head(b"GET /h\0 HTTP/1.1", HOST),
    "bytes beyond ASCII in the target": head(b"GET /h\xc3\xa4 HTTP/1.1", HOST),
    "an unknown method": head(b"FOO /h HTTP/1.1", HOST),
    "a method in lower case": head(b"get /h HTTP/1.1", HOST),
    "a method of RTSP": head(b"DESCRIBE /h RTSP/1.0", HOST),
    "RTSP/1.1": head(b"GET /h RTSP/1.1", HOST),
    "RTSP/1.0 for the whole server": head(b"OPTIONS * RTSP/1.0", HOST),
    "a method of Icecast": head(b"SOURCE /h HTTP/1.1", HOST),
    "a tunnel": head(b"CONNECT example.test:443 HTTP/1.1", b"Host: example.test:443"),
    "HTTP/0.9": b"GET /h\r\n\r\n",
    "HTTP/0.9 by name": head(b"GET /h HTTP/0.9", HOST),
    "HTTP/1.2": head(b"GET /h HTTP/1.2", HOST),
    "HTTP/3.0": head(b"GET /h HTTP/3.0", HOST),
    "a version in lower case": head(b"GET /h http/1.1", HOST),
    "a version of two digits": head(b"GET /h HTTP/1.10", HOST),
    "a space behind the version": head(b"GET /h HTTP/1.1 ", HOST),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS where none is spoken": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}

BODIES = {
    "a chunk size with a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": b"-1\r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a chunk size that is no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "an empty chunk size": b"\r\nabc\r\n0\r\n\r\n",
    "a space behind a chunk size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a space ahead of a chunk size": b" 3\r\nabc\r\n0\r\n\r\n",
    "an empty chunk extension": b"3;\r\nabc\r\n0\r\n\r\n",
    "a bare LF in a chunk extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "NUL in a chunk extension": b"3;a\0b\r\nabc\r\n0\r\n\r\n",
    "a chunk size that ends in a bare LF": b"3\nabc\r\n0\r\n\r\n",
    "a chunk that ends in a bare LF": b"3\r\nabc\n0\r\n\r\n",
    "a chunk without an end": b"3\r\nabc0\r\n\r\n",
    "a chunk longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "trailers that end in a bare LF": b"3\r\nabc\r\n0\r\nX-A: 1\n\r\n",
    "a length in the trailers": b"3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n",
    "a coding in the trailers": b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a folded line in the trailers": b"3\r\nabc\r\n0\r\nX-A: 1\r\n 2\r\n\r\n",
    "NUL in the trailers": b"3\r\nabc\r\n0\r\nX-A: \0\r\n\r\n",
}

CLIENTS = (
    *(Refusal(name, (raw,)) for name, raw in HEADS.items()),
    *(Refusal(name, (ask("POST /put", TE, body=body),)) for name, body in BODIES.items()),
    Refusal("HTTP/2.0 by name", (head(b"GET /h HTTP/2.0", HOST),), (505,)),
    Refusal("a path of 9 KB", (ask("GET /" + "p" * 9000),), (414,)),
    Refusal("a query of 11 KB", (ask("GET /h?" + "q" * 11_000),), (414,)),
    Refusal("a target of 100 KB", (ask("GET /h?" + "q" * LONG),), (431,)),
    Refusal("a header name of 300 bytes", (ask("GET /h", b"x" * 300 + b": 1"),), (431,)),
    Refusal("a header of 100 KB", (ask("GET /h", b"X-Long: " + b"v" * LONG),), (431,)),
    Refusal("headers of 100 KB", (ask("GET /h", *[b"X-A: " + b"v" * 93] * 1000),), (431,)),
    Refusal("a header without an end", (ask("GET /h", b"X-Long: " + b"v" * LONG)[:-4],), (431,)),
    Refusal("a header name without an end", (ask("GET /h", b"x" * LONG)[:-4],), (431,)),
    Refusal("a target without an end", (b"GET /" + b"p" * LONG,), (431,)),
    Refusal("headers without an end", (ask("GET /h", *[b"X-A: " + b"v" * 93] * 1000)[:-2],), (431,)),
    Refusal("RTSP/1.1 behind a good request", (ONE + HEADS["RTSP/1.1"],), (200, 400), (b"GET /1 HTTP/1.1",)),
    Refusal("OPTIONS that may go no further", (ask("OPTIONS /h", b"Max-Forwards: 0"),), (200,)),
    Refusal("TRACE that may go no further", (ask("TRACE /h", b"Max-Forwards: 0"),), (405,)),
    Refusal("a bad request behind a good one", (ONE + HEADS["two Hosts"],), (200, 400), (b"GET /1 HTTP/1.1",)),
    Refusal("a good request behind a bad one", (HEADS["two Hosts"] + ONE,)),
    Refusal(
        "a bad request while a good one is answered",
        (ONE, Hear("asked"), HEADS["two Hosts"], Tell("sent")),
        (200, 400),
        (b"GET /1 HTTP/1.1",),
        origin=((Whole(), Tell("asked"), Hear("sent"), *OK),),
    ),
    Refusal(
        "a bad chunk behind a good one",
        (ask("POST /put", TE, body=b"3\r\nabc\r\n"), Hear("begun"), b"zz\r\n"),
        asked=(b"POST /put HTTP/1.1",),
        torn=True,
        origin=((Until(b"abc"), Tell("begun"), Gone()),),
    ),
    Refusal(
        "trailers of 100 KB",
        (ask("POST /put", TE, body=b"3\r\nabc\r\n"), Hear("begun"), b"0\r\n" + b"X-A: 12345\r\n" * 9000),
        (431,),
        asked=(b"POST /put HTTP/1.1",),
        torn=True,
        origin=((Until(b"abc"), Tell("begun"), Gone()),),
    ),
    Refusal(
        "a bad chunk behind the answer",
        (ask("POST /put", TE, body=b"3\r\nabc\r\n"), Until(b"enough"), b"zz\r\n"),
        (200,),
        asked=(b"POST /put HTTP/1.1",),
        torn=True,
        origin=((Until(b"abc"), answer("200 OK", b"Content-Length: 6", body=b"enough"), Gone()),),
    ),
)


def given(name: str, *played: Step, status: int = 502, breaks: bool = False, method: str = "GET") -> Refusal:
    asked = f"{method} /given HTTP/1.1".encode()
    return Refusal(name, (ask(f"{method} /given"),), (status,), (asked,), breaks=breaks, origin=((Whole(), *played),))


FULL = answer("200 OK", b"Content-Length: 2", body=b"ok")

ORIGINS = (
    given("an answer with two lengths", answer("200 OK", b"Content-Length: 2", b"Content-Length: 3", body=b"abc")),
    given("an answer with two equal lengths", answer("200 OK", *[b"Content-Length: 2"] * 2, body=b"ab")),
    given("an answer with a list of lengths", answer("200 OK", b"Content-Length: 2, 2", body=b"ab")),
    given("an answer with a length and chunks", answer("200 OK", b"Content-Length: 2", TE, body=chunked(b"ab"))),
    given("an answer with chunks and a length", answer("200 OK", TE, b"Content-Length: 2", body=chunked(b"ab"))),
    given("an answer with another coding", answer("200 OK", b"Transfer-Encoding: gzip, chunked", body=chunked(b"a"))),
    given("an answer whose coding is none", answer("200 OK", b"Transfer-Encoding: identity", body=b"ab"), Close()),
    given("an answer with chunks twice", answer("200 OK", TE, TE, body=chunked(b"ab"))),
    given("an answer by HTTP/1.0 in chunks", b"HTTP/1.0 200 OK\r\n" + TE + b"\r\n\r\n" + chunked(b"ab")),
    given("an answer by HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    given("an answer that is no HTTP", b"hello\r\n\r\n"),
    given("a status of two digits", answer("20 OK", b"Content-Length: 0")),
    given("a status of zeros", answer("000 OK", b"Content-Length: 0")),
    given("a status below 100", answer("099 OK", b"Content-Length: 0")),
    given("a phrase with a control character", answer("200 O\x1bK", b"Content-Length: 0")),
    given("an answer with bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    given("an answer with a folded line", answer("200 OK", b"X-A: 1", b" 2", b"Content-Length: 0")),
    given("an answer with NUL in a value", answer("200 OK", b"X-A: \0", b"Content-Length: 0")),
    given("an answer with a space ahead of a colon", answer("200 OK", b"X-A : 1", b"Content-Length: 0")),
    given("an answer with a header without a colon", answer("200 OK", b"X-A", b"Content-Length: 0")),
    given("an answer with a header of 100 KB", answer("200 OK", b"X-Long: " + b"v" * LONG, b"Content-Length: 0")),
    given("answer headers of 100 KB", answer("200 OK", *[b"X-A: " + b"v" * 93] * 1000, b"Content-Length: 0")),
    given("protocols switched unasked", answer("101 Switching Protocols", b"Upgrade: x", b"Connection: Upgrade")),
    given("an answer with a bad chunk size", answer("200 OK", TE, body=b"2\r\nab\r\nzz\r\n"), status=200, breaks=True),
    given("an answer with a chunk too long", answer("200 OK", TE, body=b"2\r\nabc\r\n"), status=200, breaks=True),
    given("204 with a body", answer("204 No Content", b"Content-Length: 2", body=b"ab"), status=204),
    given("304 with a body", answer("304 Not Modified", b"Content-Length: 2", body=b"ab"), status=304),
    given("HEAD with a body", FULL, method="HEAD", status=200),
    given("an answer behind the answer", FULL + answer("200 OK", b"Content-Length: 4", body=b"evil"), status=200),
    given("bytes behind the answer", FULL + b"evil", status=200),
)

REFUSALS = (*CLIENTS, *ORIGINS)
