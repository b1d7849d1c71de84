from __future__ import annotations

from urllib.parse import quote

from tests.parity.sides import Case, Sides
from tests.parity.stage import AWKWARD, TIED
from tests.parity.tables import HIGHEST, cursor, heads, ids, limits, strangers, table, unreadable

LIST = "/api/v1/conversations"
SHOW = f"/api/v1/conversations/{AWKWARD}"


def of_list() -> list[Case]:
    good = ["open", "pending", "resolved", "", "closed&status=open", "%6Fpen"]
    bad = ["closed", "Open", "open+", "OPEN", "null", "open%00", "open%0A", "0", "open&status=x", quote("öpen")]
    moments = {
        "the newest": "1893456000000999:900001",
        "among equals": f"1893412800123456:{TIED[3]}",
        "zero": "0:0",
        "the epoch": "1:900004",
        "the last microsecond": f"253402300799999999:{HIGHEST}",
        "in the past": "1771056000000000:1",
    }
    broken = {
        "beyond year 9999": "253402300800000000:1",
        "beyond 64 bits": f"1:{2**63}",
        "one number": "1",
        "nothing": ":",
        "three numbers": "1:2:3",
        "negative": "-1:1",
        "a sign": "+1:1",
        "leading zeros": "01:1",
        "spaces": "1: 1",
        "words": "now:1",
        "fraction": "1.5:1",
        "arabic digits": "١:١",
        "line end": "1:1\n",
        "NUL": "1:1\0",
        "huge": "9" * 300 + ":1",
    }
    return [
        Case("first page", 200, LIST),
        Case("account of another", 200, LIST, token="stranger"),
        Case("account without rows", 200, LIST, token="no such account"),
        Case("user gone", 200, LIST, token="gone"),
        *(Case(f"status {value or 'empty'}", 200, f"{LIST}?status={value}") for value in good),
        *(Case(f"status {value}", 400, f"{LIST}?status={value}") for value in bad),
        Case("status as a list", 400, f"{LIST}?status[]=open"),
        Case("status as a map", 400, f"{LIST}?status[a]=open"),
        *(Case(f"cursor {name}", 200, f"{LIST}?limit=5&cursor={cursor(text)}") for name, text in moments.items()),
        *(Case(f"cursor of {name}", 400, f"{LIST}?cursor={cursor(text)}") for name, text in broken.items()),
        Case("cursor padded", 400, f"{LIST}?cursor={cursor('1:1')}="),
        Case(
            "cursor, status and limit", 200, f"{LIST}?status=pending&limit=3&cursor={cursor('1893412800123456:900012')}"
        ),
        Case("cursor of the other list", 400, f"{LIST}?cursor={cursor('1')}"),
        Case("cursor with stray bits", 400, f"{LIST}?cursor=MToxMB"),
        *limits(LIST),
        *unreadable(LIST),
        *heads(LIST),
        *strangers(LIST + "?limit=1", 200),
    ]


def of_show() -> list[Case]:
    return [
        Case("every kind of text", 200, SHOW),
        Case("parameters are ignored", 200, f"{SHOW}?limit=0&cursor=!&status=x"),
        *ids("/api/v1/conversations/{}"),
        *unreadable(SHOW),
        *heads(SHOW),
        *strangers(SHOW, 200),
    ]


@table(of_list())
def test_the_list_of_conversations_is_answered_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@table(of_show())
def test_one_conversation_is_answered_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)
