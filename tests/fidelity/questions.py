"""What clients send: targets, headers and bodies. No I/O."""

from __future__ import annotations

from tests.fidelity.cases import BIG, TE, Case, answer, ask, chunked, got, length, pieces, put
from tests.fidelity.origin import OK
from tests.fidelity.wire import Close, Hear, Tell, Until, Whole

TARGETS = (
    got("a plain GET", "/plain"),
    got("an encoded slash", "/a%2Fb"),
    got("lower-case escapes", "/a%2fb%c3%a4"),
    got("a needlessly encoded letter", "/%61bc"),
    got("doubled slashes", "/a//b"),
    got("leading doubled slashes", "//a/b"),
    got("dot segments", "/a/./b/../c"),
    got("encoded dot segments", "/a/%2e%2e/c"),
    got("a trailing slash", "/a/"),
    got("an empty query", "/a?"),
    got("question marks in a query", "/a?b=c?d&e=?"),
    got("a query without values", "/a?b&&c=&=d"),
    got("a plus and escapes in a query", "/a?q=a+b%20c%2B%26"),
    got("brackets in a query", "/a?ids[]=1&ids[]=2"),
    got("sub-delimiters in a path", "/a;v=1,2/b:c@d!$&'()*+="),
    got("a long target", "/long?q=" + "x" * 10_000),
    Case("an absolute-form target", (b"GET http://other.test:81/a%2Fb?c HTTP/1.1\r\nHost: example.test\r\n\r\n",)),
    Case(
        "an absolute-form target without a path", (b"GET http://other.test?c HTTP/1.1\r\nHost: example.test\r\n\r\n",)
    ),
    got("characters that no URI should have", "/h?{a}|b\\c^d`e"),
    got("a percent sign that escapes nothing", "/h?discount=5%&a=%zz"),
    Case("OPTIONS of the whole server", (b"OPTIONS * HTTP/1.1\r\nHost: example.test\r\n\r\n",)),
)

QUESTIONS = (
    got("duplicate headers", "/h", b"X-Tag: one", b"X-Other: o", b"X-Tag: two", b"x-tag: one"),
    got("the order of headers", "/h", b"B: 2", b"Accept: */*", b"A: 1", b"C: 3"),
    got("an empty header value", "/h", b"X-Empty:", b"X-Blank:   ", b"X-Full: f"),
    got("white space within a value", "/h", b"X-Space:  a  b\tc "),
    got("bytes beyond ASCII in a value", "/h", b"X-Name: J\xfcrgen", b"X-Utf8: J\xc3\xbcrgen \xe2\x9c\x93"),
    got("a long header value", "/h", b"X-Long: " + b"v" * 30_000),
    got("many headers", "/h", *(b"X-Header-%d: %d" % (number, number) for number in range(100))),
    got("cookies in several headers", "/h", b"Cookie: a=1; b=2", b"Cookie: c=3"),
    got("authorization", "/h", b"Authorization: Bearer a.b.c", b"Proxy-Authorization: Basic eDp5"),
    got(
        "a conditional request", "/h", b'If-None-Match: "x", W/"y"', b"If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT"
    ),
    got("an origin and its preflight", "/h", b"Origin: https://app.test", b"Access-Control-Request-Method: PUT"),
    got("accept headers as they are", "/h", b"Accept-Encoding: br;q=1.0, gzip;q=0.5", b"Accept: text/html;q=0.9"),
    got("headers that Connection nominates", "/h", b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"X-End: 2"),
    got("hop-by-hop headers", "/h", b"Keep-Alive: timeout=5", b"TE: trailers", b"Proxy-Connection: keep-alive"),
    got("the proxy's own words", "/h", b"X-Strangler-Shadow: forged", b"X-Stranglers: kept"),
    got(
        "claims of an untrusted caller", "/h", b"X-Real-IP: 1.2.3.4", b"X-Forwarded-For: 1.2.3.4", b"Client-IP: 1.2.3.4"
    ),
    got("every character of a name", "/h", b"!#$%&'*+-.^_`|~09azAZ: 1"),
    got("a name with underscores", "/h", b"X_Forwarded_Proto: https", b"X_Own: 1"),
    Case("OPTIONS with hops left", (ask("OPTIONS /h", b"Max-Forwards: 10"),)),
    Case("TRACE with hops left", (ask("TRACE /h", b"Max-Forwards: 1"),)),
    got("hops of a method that counts none", "/h", b"Max-Forwards: 0"),
    got("a method override", "/h", b"X-HTTP-Method-Override: DELETE"),
    Case("an address of version 6 as host", (b"GET /h HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",)),
    got("a range", "/h", b"Range: bytes=0-3, 5-", b'If-Range: "x"'),
    Case("close among other options", (ask("GET /h", b"Connection: X-Hop, close", b"X-Hop: 1"),), ((*OK, Close()),)),
    got(
        "an upgrade to another protocol than WebSocket",
        "/h",
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ),
    Case("empty lines before a request", (b"\r\n\r\n" + ask("GET /h"),)),
    Case("an HTTP/1.0 client", (b"GET /old HTTP/1.0\r\nHost: example.test\r\n\r\n",), ((*OK, Close()),)),
    Case("an HTTP/1.0 client without Host", (b"GET /old HTTP/1.0\r\nAccept: */*\r\n\r\n",), ((*OK, Close()),)),
    Case(
        "an HTTP/1.0 client that would stay",
        (b"GET /old HTTP/1.0\r\nHost: example.test\r\nConnection: keep-alive\r\n\r\n",),
        ((Whole(), b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold"),),
    ),
    Case("a client that closes", (ask("GET /h", b"Connection: close"),), ((*OK, Close()),)),
)

UPLOADS = (
    put("a POST with a length", "POST", b"Content-Type: text/plain", b"Content-Length: 5", body=b"hello"),
    put("a POST of nothing", "POST", b"Content-Length: 0", body=b""),
    put("a POST that states no length", "POST", body=b""),
    put("a PUT", "PUT", b"Content-Length: 3", body=b"\0\r\n"),
    put("a PATCH", "PATCH", b"Content-Length: 2", body=b"{}"),
    put("a DELETE", "DELETE", body=b""),
    put("a DELETE with a body", "DELETE", b"Content-Length: 2", body=b"{}"),
    put("a GET with a body", "GET", b"Content-Length: 4", body=b"odd!"),
    put("OPTIONS", "OPTIONS", body=b""),
    put("a method of WebDAV", "PROPFIND", b"Depth: 1", body=b""),
    put("a chunked upload", "POST", TE, body=chunked(b"hello ", b"world")),
    put("an empty chunked upload", "POST", TE, body=chunked()),
    put("chunk extensions", "POST", TE, body=b"5;a=b\r\nhello\r\n0;c\r\n\r\n"),
    put("many tiny chunks up", "POST", TE, body=chunked(*[b"x"] * 2000)),
    put("a chunk size in capitals, with zeros ahead", "POST", TE, body=b"000A\r\n0123456789\r\n00\r\n\r\n"),
    put("a length with zeros ahead", "POST", b"Content-Length: 003", body=b"abc"),
    Case(
        "a HEAD with a body",
        (ask("HEAD /put", b"Content-Length: 4", body=b"odd!"),),
        ((Whole(), answer("200 OK", b"Content-Length: 2")),),
    ),
    put("trailers of a request", "POST", TE, b"Trailer: X-Sum", body=chunked(b"abc", trailers=b"X-Sum: 1\r\n")),
    put("a compressed body", "POST", b"Content-Encoding: gzip", b"Content-Length: 4", body=b"\x1f\x8b\x08\0"),
    put("10 MiB up", "POST", length(len(BIG)), body=BIG),
    put("10 MiB up in chunks", "POST", TE, body=chunked(*pieces(70_000))),
    put(
        "an upload for another protocol",
        "POST",
        b"Connection: Upgrade",
        b"Upgrade: h2c",
        b"Content-Length: 2",
        body=b"ok",
    ),
    Case(
        "a head in single bytes",
        (*(bytes([byte]) for byte in ask("POST /put", b"Content-Length: 2")), b"o", b"k"),
    ),
    Case(
        "a chunked upload in single bytes",
        tuple(bytes([byte]) for byte in ask("POST /put", TE, body=chunked(b"ab", b"c", trailers=b"X-A: 1\r\n"))),
    ),
    Case(
        "an upload that pauses",
        (ask("POST /put", b"Content-Length: 6"), b"abc", Hear("half"), b"def"),
        ((Until(b"abc"), Tell("half"), *OK),),
    ),
    Case(
        "an expectation that is met",
        (ask("POST /put", b"Expect: 100-continue", b"Content-Length: 4"), Until(b"100 Continue\r\n\r\n"), b"body"),
        ((Until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n", *OK),),
    ),
    Case(
        "an expectation met in chunks",
        (ask("POST /put", b"Expect: 100-continue", TE), Until(b"100 Continue\r\n\r\n"), chunked(b"bo", b"dy")),
        ((Until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n", *OK),),
    ),
    Case(
        "an expectation in capitals",
        (ask("POST /put", b"Expect: 100-Continue", b"Content-Length: 4"), Until(b"100 Continue\r\n\r\n"), b"body"),
        ((Until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n", *OK),),
    ),
    got("an expectation without a body", "/h", b"Expect: 100-continue"),
    put("an expectation of something else", "POST", b"Expect: tea", b"Content-Length: 4", body=b"body"),
    Case(
        "an expectation of an HTTP/1.0 client",
        (b"POST /put HTTP/1.0\r\nHost: example.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",),
        ((*OK, Close()),),
    ),
    Case(
        "an expectation that is refused",
        (ask("POST /put", b"Expect: 100-continue", b"Content-Length: 4", b"Connection: close"),),
        ((Until(b"\r\n\r\n"), answer("417 Expectation Failed", b"Content-Length: 2", body=b"no"), Close()),),
    ),
    Case(
        "an expectation of which the origin knows nothing",
        (ask("POST /put", b"Expect: 100-continue", b"Content-Length: 4"), b"body"),
    ),
)
