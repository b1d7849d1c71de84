from __future__ import annotations

from typing import Any

from tests.parity.sides import Case, Sides
from tests.parity.stage import AWKWARD, ELSEWHERE, WRITTEN_TO
from tests.parity.tables import HIGHEST, bodies, cursor, given, heads, ids, limits, strangers, table, unreadable

MESSAGES = f"/api/v1/conversations/{AWKWARD}/messages"
CREATE = "/api/v1/messages"


def of_messages() -> list[Case]:
    broken = {
        "nothing": "",
        "negative": "-1",
        "two numbers": "1:2",
        "beyond 64 bits": str(2**63),
        "leading zero": "01",
        "a word": "one",
        "a space": "1 ",
        "a line end": "1\n",
        "a fraction": "1.0",
    }
    return [
        Case("every kind of text", 200, MESSAGES),
        Case("a page of them", 200, f"{MESSAGES}?limit=3"),
        *(Case(f"cursor {id}", 200, f"{MESSAGES}?limit=3&cursor={cursor(str(id))}") for id in (900_005, 0, 1, HIGHEST)),
        *(Case(f"cursor of {name}", 400, f"{MESSAGES}?cursor={cursor(text)}") for name, text in broken.items() if text),
        Case("cursor of the other list", 400, f"{MESSAGES}?cursor={cursor('1:1')}"),
        Case("invalid before missing", 400, "/api/v1/conversations/77777777/messages?limit=0"),
        Case("status is ignored", 200, f"{MESSAGES}?status=x"),
        *ids("/api/v1/conversations/{}/messages"),
        *limits(MESSAGES),
        *unreadable(MESSAGES),
        *heads(MESSAGES),
        *strangers(MESSAGES, 200),
    ]


def of_create() -> list[Case]:
    """Those that create nothing, and are answered alike to the byte."""
    good = given(content="hello", conversationId=ELSEWHERE)

    def post(name: str, status: int, **fields: Any) -> Case:
        return Case(name, status, CREATE, "POST", "agent", given(**fields))

    contents = {
        "null": None,
        "empty": "",
        "white space": " \t\r\n",
        "unicode white space": "\u00a0\u1680\u2003\u2028\u2029\u3000\u0085",
        "a number": 1,
        "a boolean": False,
        "a list": ["hello"],
        "an object": {"text": "hello"},
        "a NUL": "a\0b",
        "only a NUL": "\0",
        "a NUL and too long": "\0" * 10_001,
        "too long": "x" * 10_001,
        "too long in emoji": "🎉" * 10_001,
        "much too long": "x" * 1_000_000,
        "too much white space": " " * 10_001,
    }
    ids = {
        "null": None,
        "a string": "1",
        "a fraction": 1.5,
        "a whole fraction": 1.0,
        "a boolean": True,
        "a list": [1],
        "an object": {"id": 1},
        "an empty string": "",
        "an exponent": 1e3,
    }
    missing = {
        "unknown": 77_777_777,
        "of another account": ELSEWHERE,
        "zero": 0,
        "negative": -5,
        "highest": HIGHEST,
        "beyond 64 bits": 2**63,
        "below 64 bits": -(2**63) - 1,
        "huge": 10**400,
    }
    return [
        *(post(f"content {name}", 400, content=value, conversationId=WRITTEN_TO) for name, value in contents.items()),
        *(post(f"id {name}", 400, content="hello", conversationId=value) for name, value in ids.items()),
        *(post(f"id {name}", 404, content="hello", conversationId=value) for name, value in missing.items()),
        post("no content", 400, conversationId=WRITTEN_TO),
        post("no id", 400, content="hello"),
        post("every fault at once", 400, content=5, conversationId="5"),
        post("fields in snake case", 400, content="hello", conversation_id=WRITTEN_TO),
        post("fields in upper case", 400, CONTENT="hello", CONVERSATIONID=WRITTEN_TO),
        post("fields inside another", 400, message={"content": "hello", "conversationId": WRITTEN_TO}),
        Case(
            "the last of two fields",
            400,
            CREATE,
            "POST",
            body=b'{"content":"a","conversationId":1,"conversationId":"2"}',
        ),
        Case(
            "a number of 5000 digits",
            404,
            CREATE,
            "POST",
            body=b'{"content":"a","conversationId":' + b"9" * 5000 + b"}",
        ),
        Case("minus zero", 404, CREATE, "POST", body=b'{"content":"a","conversationId":-0}'),
        Case("minus zero, fraction", 400, CREATE, "POST", body=b'{"content":"a","conversationId":-0.0}'),
        Case("exponent without a point", 400, CREATE, "POST", body=b'{"content":"a","conversationId":1E2}'),
        Case("as deep as may be", 404, CREATE, "POST", body=good[:-1] + b',"x":' + b"[" * 99 + b"]" * 99 + b"}"),
        Case("parameters in the query", 400, f"{CREATE}?content=hello&conversationId={WRITTEN_TO}", "POST", body=b"{}"),
        Case("trailing slash", 404, f"{CREATE}/", "POST", body=good),
        Case("user gone", 401, CREATE, "POST", "gone", given(content="hello", conversationId=WRITTEN_TO)),
        Case(
            "user gone and no conversation",
            401,
            CREATE,
            "POST",
            "gone",
            given(content="hello", conversationId=77_777_777),
        ),
        Case("user gone and invalid", 400, CREATE, "POST", "gone", b"{}"),
        Case(
            "user of another account",
            401,
            CREATE,
            "POST",
            "user of another account",
            given(content="a", conversationId=WRITTEN_TO),
        ),
        Case("malformed and unauthenticated", 401, CREATE, "POST", None, b"{"),
        Case("too long and unauthenticated", 401, CREATE, "POST", None, b" " * (2**20 + 1)),
        Case("another type and unauthenticated", 401, CREATE, "POST", None, good, media_type="text/plain"),
        *bodies(CREATE, good, "agent", 404),
        *strangers(CREATE, 404, "POST", good),
    ]


@table(of_messages())
def test_the_messages_of_a_conversation_are_answered_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@table(of_create())
def test_a_message_that_is_not_created_is_refused_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)
