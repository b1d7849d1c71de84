"""What origins answer, how connections go on, and how either end leaves. No I/O."""

from __future__ import annotations

from tests.fidelity.cases import BIG, BYTES, TE, Case, answer, ask, chunked, given, length, pieces
from tests.fidelity.origin import OK
from tests.fidelity.wire import Close, Gone, Hear, Reset, Tell, Until, Whole

COOKIES = b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2; HttpOnly", b"Content-Length: 0"
HALF = answer("200 OK", b"Content-Length: 9", body=b"half")
OLD = b"GET /old HTTP/1.0\r\nHost: example.test\r\n\r\n"
ANSWERS = (
    given("two Set-Cookie", answer("200 OK", *COOKIES)),
    given("duplicate and ordered answer headers", answer("200 OK", b"Z: 1", b"Vary: a", b"A: 2", b"Vary: b", *COOKIES)),
    given("empty and odd answer values", answer("200 OK", b"X-Empty:", b"X-Name: J\xfcrgen \xe2\x9c\x93", *COOKIES)),
    given(
        "a server's name and date", answer("200 OK", b"Server: puma", b"Date: Sat, 01 Jan 2000 00:00:00 GMT", *COOKIES)
    ),
    given("a long answer header", answer("200 OK", b"X-Long: " + b"v" * 30_000, b"Content-Length: 0")),
    given("HEAD with a length", answer("200 OK", b"Content-Length: 1234"), method="HEAD"),
    given("HEAD without a length", answer("200 OK", b"Content-Type: text/plain"), method="HEAD"),
    given("HEAD of a chunked answer", answer("200 OK", TE), method="HEAD"),
    given("204", answer("204 No Content", b"X-A: 1")),
    given("204 that states a length", answer("204 No Content", b"Content-Length: 0")),
    given("205", answer("205 Reset Content", b"Content-Length: 0")),
    given("304", answer("304 Not Modified", b'ETag: W/"x"', b"Cache-Control: max-age=0, private")),
    given("304 that states a length", answer("304 Not Modified", b'ETag: "x"', b"Content-Length: 1234")),
    given("a redirect", answer("302 Found", b"Location: http://example.test/x?y=%2F", b"Content-Length: 0")),
    given(
        "401 with two challenges",
        answer("401 Unauthorized", b"WWW-Authenticate: Basic", b"WWW-Authenticate: Bearer", *COOKIES),
    ),
    given("418", answer("418 I'm a Teapot", b"Content-Length: 3", body=b"tea")),
    given("a status without a name", answer("299 Fine", b"Content-Length: 0")),
    given("500 with a body", answer("500 Internal Server Error", b"Content-Length: 4", body=b"oops")),
    given("503 with Retry-After", answer("503 Service Unavailable", b"Retry-After: 7", b"Content-Length: 0")),
    given("an answer with another phrase", answer("200 Fine By Me", b"Content-Length: 0")),
    given("an answer without a phrase", answer("200", b"Content-Length: 0")),
    given("a status beyond 599", answer("999 Request denied", b"Content-Length: 0")),
    given(
        "103 before the answer", answer("103 Early Hints", b"Link: </a.css>; rel=preload"), answer("200 OK", *COOKIES)
    ),
    given("102 twice before the answer", answer("102 Processing") * 2 + answer("200 OK", *COOKIES)),
    given("100 that nobody waits for", answer("100 Continue") + answer("200 OK", *COOKIES)),
    given("a hundred interim answers", answer("103 Early Hints", b"Link: </a.css>") * 100 + answer("200 OK", *COOKIES)),
    Case(
        "103 for an HTTP/1.0 client",
        (OLD,),
        ((Whole(), answer("103 Early Hints", b"Link: </a.css>"), answer("200 OK", *COOKIES), Close()),),
    ),
    given("a chunked answer", answer("200 OK", TE, body=chunked(b"hello ", b"world"))),
    given("an empty chunked answer", answer("200 OK", TE, body=chunked())),
    given("many tiny chunks down", answer("200 OK", TE, body=chunked(*[b"y"] * 2000))),
    given(
        "trailers of an answer", answer("200 OK", TE, b"Trailer: X-Sum", body=chunked(b"abc", trailers=b"X-Sum: 1\r\n"))
    ),
    Case(
        "trailers of an answer for an HTTP/1.0 client",
        (OLD,),
        ((Whole(), answer("200 OK", TE, body=chunked(b"abc", trailers=b"X-Sum: 1\r\n")), Close()),),
    ),
    given(
        "hop-by-hop headers among the trailers of an answer",
        answer("200 OK", TE, body=chunked(b"abc", trailers=b"Keep-Alive: timeout=5\r\nX-Sum: 1\r\n")),
    ),
    given("chunk extensions of an answer", answer("200 OK", TE, body=b"3;a=b\r\nabc\r\n0;c\r\n\r\n")),
    given("a long phrase", answer("200 " + "ok " * 300 + "ok", b"Content-Length: 0")),
    given("an answer in single bytes", *(bytes([byte]) for byte in answer("200 OK", TE, body=chunked(b"ab", b"c")))),
    given("many answer headers", answer("200 OK", *[b"X-A: 1"] * 100, b"Content-Length: 0")),
    given("a method that is not allowed", answer("405 Method Not Allowed", b"Allow: GET, HEAD", b"Content-Length: 0")),
    given(
        "a compressed answer", answer("200 OK", b"Content-Encoding: gzip", b"Content-Length: 4", body=b"\x1f\x8b\x08\0")
    ),
    given(
        "a partial answer",
        answer("206 Partial Content", b"Content-Range: bytes 0-3/9", b"Content-Length: 4", body=b"0123"),
    ),
    given("10 MiB down", answer("200 OK", length(len(BIG)), body=BIG)),
    given("10 MiB down in chunks", answer("200 OK", TE, body=chunked(*pieces(70_000)))),
    given(
        "hop-by-hop headers of an answer",
        answer("200 OK", b"Connection: keep-alive, X-Hop", b"Keep-Alive: timeout=5", b"X-Hop: 1", *COOKIES),
    ),
    given("the proxy's own words in an answer", answer("200 OK", b"X-Strangler-Discarded: 1", *COOKIES)),
    given("an answer that ends with its connection", answer("200 OK", body=b"all there is"), Close()),
    given("an HTTP/1.0 answer", b"HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nold", Close()),
    given(
        "an HTTP/1.0 answer that keeps alive",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold",
    ),
    Case(
        "a chunked answer for an HTTP/1.0 client",
        (OLD,),
        ((Whole(), answer("200 OK", TE, body=chunked(b"new")), Close()),),
    ),
    given("an origin that closes", answer("200 OK", b"Connection: close", b"Content-Length: 2", body=b"ok"), Close()),
    Case(
        "events as they are sent",
        (ask("GET /events", b"Accept: text/event-stream"), Until(b"data: 1"), Tell("1"), Until(b"data: 2"), Tell("2")),
        (
            (
                Whole(),
                answer("200 OK", b"Content-Type: text/event-stream", TE),
                b"9\r\ndata: 1\n\n\r\n",
                Hear("1"),
                b"9\r\ndata: 2\n\n\r\n",
                Hear("2"),
                b"0\r\n\r\n",
            ),
        ),
    ),
)

# One end sends a byte and waits until the other has told that it has it.
SAID = tuple(step for at in range(10) for step in (BYTES[at : at + 1], Hear(str(at))))
HEARD = tuple(step for at in range(10) for step in (Until(b"\r\n\r\n" + BYTES[: at + 1]), Tell(str(at))))

CONNECTIONS = (
    Case(
        "an answer byte by byte as it is sent",
        (ask("GET /slow"), *HEARD),
        ((Whole(), answer("200 OK", b"Content-Length: 10"), *SAID),),
    ),
    Case(
        "an upload byte by byte as it is sent",
        (ask("POST /put", b"Content-Length: 10"), *SAID),
        ((*HEARD, *OK),),
    ),
    Case(
        "two requests, one after the other",
        (ask("GET /1"), Until(b"one"), ask("GET /2"), Until(b"two")),
        (
            (Whole(), answer("200 OK", b"Content-Length: 3", body=b"one")),
            (Whole(), answer("200 OK", b"Content-Length: 3", body=b"two")),
        ),
    ),
    Case(
        "three pipelined requests",
        (ask("GET /1") + ask("POST /2", b"Content-Length: 1", body=b"2") + ask("GET /3"),),
        (
            (Whole(), answer("200 OK", b"Content-Length: 3", body=b"one")),
            (Whole(), answer("201 Created", TE, body=chunked(b"two"))),
            (Whole(), answer("200 OK", b"Content-Length: 5", body=b"three")),
        ),
    ),
    Case(
        "three pipelined requests, one of them HEAD",
        (ask("GET /1") + ask("HEAD /2") + ask("GET /3"),),
        (
            (Whole(), answer("200 OK", b"Content-Length: 3", body=b"one")),
            (Whole(), answer("200 OK", b"Content-Length: 3")),
            (Whole(), answer("200 OK", b"Content-Length: 5", body=b"three")),
        ),
    ),
    Case(
        "an answer before the upload has ended",
        (ask("POST /put", b"Content-Length: 6"), b"abc", Until(b"enough"), b"def"),
        ((Until(b"abc"), answer("200 OK", b"Content-Length: 6", body=b"enough")),),
        early=True,
    ),
    Case(
        "an answer before the upload has ended, and the end of the connection",
        (ask("POST /put", b"Content-Length: 6", b"Connection: close"), b"abc"),
        ((Until(b"abc"), answer("409 Conflict", b"Connection: close", b"Content-Length: 2", body=b"no"), Close()),),
    ),
    given("an origin that closes before its answer", Close()),
    given("an origin that resets before its answer", Reset()),
    given("an origin that closes within the head", b"HTTP/1.1 200 OK\r\nX-A", Close()),
    given("an origin that closes within a stated length", HALF, Close()),
    given("an origin that closes within a chunk", answer("200 OK", TE, body=b"9\r\nhalf"), Close()),
    given("an origin that closes between chunks", answer("200 OK", TE, body=b"4\r\nhalf\r\n"), Close()),
    Case(
        "an origin that resets within its answer",
        (ask("GET /given"), Until(b"half"), Tell("half")),
        ((Whole(), HALF, Hear("half"), Reset()),),
    ),
    Case(
        "an origin that closes during an upload",
        (ask("POST /put", b"Content-Length: 6"), b"abc"),
        ((Until(b"abc"), Close()),),
    ),
    Case(
        "a client that leaves before the answer",
        (ask("GET /given"), Hear("asked"), Close()),
        ((Whole(), Tell("asked"), Gone()),),
        left=True,
    ),
    Case(
        "a client that leaves during its upload",
        (ask("POST /put", b"Content-Length: 6"), b"abc", Hear("half"), Close()),
        ((Until(b"abc"), Tell("half"), Gone()),),
        left=True,
    ),
    Case(
        "a client that crashes during its upload",
        (ask("POST /put", TE), b"3\r\nabc\r\n", Hear("half"), Reset()),
        ((Until(b"abc"), Tell("half"), Gone()),),
        left=True,
    ),
    Case(
        "a client that leaves within the answer",
        (ask("GET /given"), Until(b"half"), Close()),
        ((Whole(), HALF, Gone()),),
        left=True,
    ),
)
