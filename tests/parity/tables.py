"""What is asked on more than one route. Each case has the status that both sides must answer."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from urllib.parse import quote

import pytest

from tests.parity.sides import Case
from tests.parity.stage import AWKWARD, ELSEWHERE, SILENT
from tests.parity.tokens import BAD, GOOD

HIGHEST = 2**63 - 1


def table(cases: list[Case]) -> pytest.MarkDecorator:
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), f"a name stands twice: {sorted(names)}"
    return pytest.mark.parametrize("case", cases, ids=attrgetter("name"))


def cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def strangers(target: str, status: int, method: str = "GET", body: bytes | None = None) -> list[Case]:
    """Who is let in and who is not, on one route."""
    return [
        Case("no token", 401, target, method, None, body),
        Case("two tokens", 401, target, method, "agent", body, headers=(("Authorization", "Bearer a.b.c"),)),
        Case("an empty token and another", 401, target, method, "agent", body, headers=(("Authorization", ""),)),
        *(Case(f"token: {name}", 401, target, method, name, body) for name in BAD),
        *(Case(f"token: {name}", status, target, method, name, body) for name in GOOD),
    ]


def unreadable(target: str) -> list[Case]:
    """Paths and queries that mean something else than they seem to, or nothing."""
    return [
        Case("trailing slash", 200, f"{target}/"),
        Case("trailing slashes", 200, f"{target}///"),
        Case("leading slashes", 200, f"//{target}"),
        Case("repeated slashes", 200, target.replace("/v1/", "//v1//")),
        Case("empty query", 200, f"{target}?"),
        Case("unknown parameters", 200, f"{target}?page=2&x[]=1&x[]=2&y[z]=1&=&&;"),
        Case("extension", 404, f"{target}.json"),
        Case("upper case", 404, target.upper()),
        Case("encoded letter of a literal", 404, target.replace("/api/", "/%61pi/")),
        Case("encoded slash", 404, target.replace("/v1/", "/v1%2F")),
        Case("dot segments", 404, target.replace("/v1/", "/v0/../v1/")),
        Case("more segments", 404, f"{target}/more/of/them"),
        Case("a line end in the path", 404, f"{target}%0A/more/of"),
        Case("invalid UTF-8 in the path", 400, f"{target}/%ff/more/of"),
        Case("invalid UTF-8 in a value", 400, f"{target}?limit=%ff"),
        Case("invalid UTF-8 in an unknown value", 400, f"{target}?x=%e2%82"),
        Case("half an escape in a value", 400, f"{target}?limit=%4"),
        Case("a percent sign in a value", 400, f"{target}?x=100%"),
        Case("escape of no digits in a name", 400, f"{target}?%zz=1"),
        Case("a name of two shapes", 400, f"{target}?limit=1&limit[]=2"),
        Case("a list and a map of one name", 400, f"{target}?limit[]=1&limit[a]=2"),
        Case("4096 pairs", 200, f"{target}?{'&' * 4095}"),
        Case("4097 pairs", 400, f"{target}?{'&' * 4096}"),
        Case("4097 pairs by semicolons", 400, f"{target}?{';&' * 2048}"),
        Case("a name of 99 levels", 200, f"{target}?x{'[a]' * 99}=1"),
        Case("a name of 100 levels", 400, f"{target}?x{'[a]' * 100}=1"),
        Case("unreadable and unauthenticated", 400, f"{target}?x=%", token=None),
        Case("method PUT", 404, target, "PUT"),
        Case("method DELETE", 404, target, "DELETE"),
        Case("method POST", 404, target, "POST", body=b"{}"),
        Case("method OPTIONS", 404, target, "OPTIONS"),
        Case("no route and no token", 404, f"{target}/more/of/them", token=None),
        Case("GET with a body", 200, target, body=b"{"),
        Case("Accept of something else", 200, target, headers=(("Accept", "text/html"),)),
        Case("format parameter", 200, f"{target}?format=xml"),
        Case("own request id", 200, target, headers=(("X-Request-Id", "mine-1_2@3"),)),
        Case("request id with other characters", 200, target, headers=(("X-Request-Id", "a b/c<d>;é"),)),
        Case("request id too long", 200, target, headers=(("X-Request-Id", "0123456789" * 30),)),
        Case("two request ids", 200, target, headers=(("X-Request-Id", "one"), ("X-Request-Id", "two"))),
        Case("request id of nothing that is kept", 200, target, headers=(("X-Request-Id", "///"),)),
    ]


def heads(target: str) -> list[Case]:
    return [
        Case("HEAD", 200, target, "HEAD"),
        Case("HEAD without a token", 401, target, "HEAD", token=None),
        Case("HEAD of no route", 404, f"{target}/more/of/them", "HEAD"),
    ]


def limits(target: str) -> list[Case]:
    good = {"one": "1", "a hundred": "100", "empty": "", "the last of two": "0&limit=2", "encoded": "%31%30"}
    bad = {
        "zero": "0",
        "too many": "101",
        "negative": "-1",
        "signed": "%2B5",
        "spaced": "+5",
        "trailing space": "5+",
        "fraction": "5.0",
        "exponent": "1e1",
        "hexadecimal": "0x10",
        "underscored": "1_0",
        "leading zero": "05",
        "word": "many",
        "line end": "5%0A",
        "NUL": "5%00",
        "arabic digit": quote("٥"),
        "the last of two": "2&limit=0",
        "huge": "9" * 400,
    }
    return [
        *(Case(f"limit {name}", 200, f"{target}?limit={value}") for name, value in good.items()),
        *(Case(f"limit {name}, refused", 400, f"{target}?limit={value}") for name, value in bad.items()),
        Case("HEAD with an invalid limit", 400, f"{target}?limit=0", "HEAD"),
        Case("limit as a list", 400, f"{target}?limit[]=5"),
        Case("limit as a map", 400, f"{target}?limit[a]=5"),
        Case("limit as a list of maps", 400, f"{target}?limit[][a]=5&limit[][b]=6"),
        Case("limit as a list, encoded", 400, f"{target}?limit%5B%5D=5"),
        Case("limit as a list, then as text", 200, f"{target}?limit[]=5&limit=2"),
        Case("limit in brackets", 200, f"{target}?[limit]=2"),
        Case("limit with an open bracket", 200, f"{target}?limit[=0"),
        Case("limit with a closed bracket", 400, f"{target}?limit]=0"),
        Case("limit without a value", 200, f"{target}?limit"),
        Case("limit after a semicolon", 200, f"{target}?x=1;limit=2"),
        Case("limit after a space", 200, f"{target}?x=1&%20limit=0"),
        Case("cursor as a list", 400, f"{target}?cursor[]=MQ"),
        Case("cursor of other characters", 400, f"{target}?cursor=" + quote("§$%&/()")),
        Case("cursor then a line end", 400, f"{target}?cursor=MQ%0A"),
        Case("all parameters invalid", 400, f"{target}?cursor=!&limit=x&status=y"),
        Case("cursor without a value", 200, f"{target}?cursor"),
        Case("cursor empty", 200, f"{target}?cursor="),
    ]


def no_ids(form: str, known: int = AWKWARD, **rest: Any) -> list[Case]:
    """What is no id of a row, though it may look like the known one; put into `form`."""
    missing = {
        "unknown": "77777777",
        "of another account": str(ELSEWHERE),
        "zero": "0",
        "negative": "-1",
        "signed": f"+{known}",
        "leading zero": f"0{known}",
        "highest": str(HIGHEST),
        "beyond 64 bits": str(HIGHEST + 1),
        "huge": "9" * 300,
        "word": "abc",
        "word after digits": f"{known}abc",
        "fraction": f"{known}.0",
        "underscored": "900_001",
        "NUL": f"{known}%00",
        "space": f"%20{known}",
        "line end": f"{known}%0A",
        "encoded slash": "1%2F2",
        "encoded question mark": "1%3F",
        "encoded dot": "1%2E5",
        "plus": f"{known}+",
        "arabic digits": quote("١"),
        "emoji": quote("🎉"),
        "escape of no digits": "%zz",
        "half an escape": f"{known}%4",
        "semicolon": f"{known};a=1",
        "exponent": "9e5",
    }
    return [
        *(Case(f"id {name}", 404, form.format(id), **rest) for name, id in missing.items()),
        Case("id of invalid UTF-8", 400, form.format("%ff"), **rest),
    ]


def ids(form: str, seeded: Sequence[int] = (1, 2, 432)) -> list[Case]:
    """Ids in a path, put into `form`."""
    return [
        Case("id with encoded digits", 200, form.format(f"%39{str(AWKWARD)[1:]}")),
        *no_ids(form),
        Case("own row of another account", 404, form.format(AWKWARD), token="stranger"),
        Case("their row of their account", 200, form.format(ELSEWHERE), token="stranger"),
        Case("account without rows", 404, form.format(AWKWARD), token="no such account"),
        Case("user gone", 200, form.format(AWKWARD), token="gone"),
        Case("a plainer row", 200, form.format(SILENT)),
        *(Case(f"seeded row {id}", 200, form.format(id)) for id in seeded),
    ]


def given(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


# Bodies that no route takes.
MALFORMED = {
    "one brace": b"{",
    "trailing comma": b'{"a":1,}',
    "trailing text": b"{} {}",
    "single quotes": b"{'a':1}",
    "bare word": b"content",
    "white space": b" \n",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "a comment": b"{} // yes",
    "a comment inside": b"{/**/}",
    "invalid UTF-8": b'{"content":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a mark": b"\xef\xbb\xbf{}",
    "a NUL": b"{}\0",
    "a tab in a string": b'{"content":"\t"}',
    "unknown escape": rb'{"content":"\x"}',
    "half an escape": rb'{"content":"\u00e"}',
    "half a pair": rb'{"content":"\ud83d"}',
    "the other half": rb'{"content":"\ude00"}',
    "halves swapped": rb'{"content":"\ude00\ud83d"}',
    "half a pair in an unknown field": rb'{"x":["\ud83d"]}',
    "half a pair as a name": rb'{"\ud83d":1}',
    "leading zero": b'{"a":01}',
    "plus": b'{"a":+1}',
    "point": b'{"a":1.}',
    "hexadecimal": b'{"a":0x10}',
    "too deep": b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
    "far too deep": b"[" * 20_000,
    "half a pair under a repeated key": rb'{"content":"\ud800","content":"dup","conversationId":4}',
    "too deep under a repeated key": b'{"a":' + b"[" * 150 + b"]" * 150 + b',"a":1}',
}
NO_OBJECT = {
    "a list": b"[]",
    "a string": b'"text"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "a list of objects": b"[{}]",
}
MEDIA_TYPES_TAKEN = [
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/json;charset=iso-8859-1",
    "application/json ; a=b",
    "application/json ",
    "application/json,text/plain",
]
MEDIA_TYPES_REFUSED = [
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/vnd.api+json",
    "application/jsonrequest",
    "application/json+x",
    "application/json\xa0",
    "*/*",
    "application",
    "; application/json",
    None,
]


def bodies(
    target: str, good: bytes, token: str | None, good_status: int, method: str = "POST", empty_status: int = 400
) -> list[Case]:
    """What a body may be, on a route that takes one. `empty_status` is the answer to an object without fields."""

    def sent(name: str, status: int, body: bytes | None, **rest: Any) -> Case:
        return Case(name, status, target, method, token, body, **rest)

    return [
        sent("no body", empty_status, None),
        sent("empty body", empty_status, b""),
        sent("empty body of another type", empty_status, b"", media_type="text/plain"),
        sent("empty object", empty_status, b"{}"),
        *(sent(f"malformed: {name}", 400, body) for name, body in MALFORMED.items()),
        *(sent(f"no object: {name}", 400, body) for name, body in NO_OBJECT.items()),
        *(sent(f"media type {kind}", 415, good, media_type=kind) for kind in MEDIA_TYPES_REFUSED),
        *(sent(f"media type {kind}", good_status, good, media_type=kind) for kind in MEDIA_TYPES_TAKEN),
        sent("as long as may be", empty_status, b"{" + b" " * (2**20 - 2) + b"}"),
        sent("too long", 413, b"{" + b" " * (2**20 - 1) + b"}"),
        sent("too long and of another type", 415, b" " * (2**20 + 1), media_type="text/plain"),
        sent("two media types", good_status, good, headers=(("Content-Type", "text/plain"),)),
        sent(
            "two media types, the other first",
            415,
            good,
            media_type="text/plain",
            headers=(("Content-Type", "application/json"),),
        ),
        sent("malformed of another type", 415, b"{", media_type="text/plain"),
        Case("PUT instead", 404, target, "PUT", token, good),
        *(Case(f"{read} instead", 404, target, read, token) for read in ("GET", "HEAD") if method == "POST"),
        Case("unreadable query", 400, f"{target}?a=%", method, token, good),
    ]
