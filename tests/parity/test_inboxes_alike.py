from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.parity.changing import change, during, row, unchanged
from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.stage import AWKWARD, ELSEWHERE, SECRET, SILENT
from tests.parity.tables import bodies, given, heads, ids, no_ids, strangers, table, unreadable
from tests.parity.test_users_alike import NAMES

INBOXES = "/api/v1/inboxes"
SHOW = f"{INBOXES}/{AWKWARD}"
PLAIN = f"{INBOXES}/{SILENT}"

STATUSES: dict[str, Any] = {
    "null": None,
    "empty": "",
    "unknown": "closed",
    "upper case": "Active",
    "a boolean": True,
    "a list": ["active"],
    "an object": {},
}


def of_show() -> list[Case]:
    return [
        Case("of a page with secrets", 200, SHOW),
        Case("as an admin", 200, SHOW, token="admin"),
        Case("parameters are ignored", 200, f"{SHOW}?limit=0&config=1"),
        *ids(f"{INBOXES}/{{}}", seeded=(1, 2, 3)),
        *unreadable(SHOW),
        *heads(SHOW),
        *strangers(SHOW, 200),
        Case("no list", 404, INBOXES),
    ]


def of_update() -> list[Case]:
    """Those that change nothing, and those that the first side changes and the second finds changed."""

    def patch(name: str, status: int, /, target: str = PLAIN, by: str = "admin", **fields: Any) -> Case:
        return Case(name, status, target, "PATCH", by, given(**fields))

    gone, theirs = f"{INBOXES}/77777777", f"{INBOXES}/{ELSEWHERE}"
    rename = given(name="Renamed")
    return [
        *(patch(f"name {name}", 400, name=value) for name, value in NAMES.items()),
        *(patch(f"status {name}", 400, status=value) for name, value in STATUSES.items()),
        patch("every fault at once", 400, status="closed", name=None),
        patch("one good and one bad", 400, name="Good", status="bad"),
        patch("unknown fields", 200, channel="facebook", accountId=2, pageId="x", config={"pageToken": "x"}),
        patch("a name as long as may be", 200, name="🎉" * 100),
        patch("awkward", 200, name='<b>&\u2028 \\" \u007f\ufffe'),
        patch("a status", 200, status="disconnected"),
        patch("a status and a name", 200, status="active", name="Plain"),
        patch("of a page with secrets", 200, SHOW, status="disconnected"),
        # Who may do what.
        patch("an agent", 403, by="agent", name="x"),
        patch("an agent, nothing", 403, by="agent"),
        patch("an agent, something invalid", 400, by="agent", name=1),
        patch("an agent, of nobody", 404, gone, "agent", name="x"),
        patch("an agent, of another account", 404, theirs, "agent", name="x"),
        patch("an admin, of another account", 404, theirs, name="x"),
        patch("their admin ours", 404, PLAIN, "their admin", name="x"),
        patch("their admin theirs", 200, theirs, "their admin", name="Theirs"),
        patch("something invalid of nobody", 400, gone, name=1),
        patch("by one who is gone", 401, by="gone", name="x"),
        patch("by one who is gone, of nobody", 401, gone, "gone", name="x"),
        patch("by a user of another account", 401, by="user of another account", name="x"),
        patch("of no account", 401, by="no such account", name="x"),
        Case("malformed and unauthenticated", 401, PLAIN, "PATCH", None, b"{"),
        *no_ids(f"{INBOXES}/{{}}", method="PATCH", token="admin", body=rename),
        *bodies(PLAIN, given(name="Plain"), "admin", 200, "PATCH", 200),
        *strangers(PLAIN, 403, "PATCH", rename),
    ]


@table(of_show())
def test_an_inbox_is_shown_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@table(of_update())
def test_a_change_of_an_inbox_is_answered_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


def test_no_answer_tells_a_secret(sides: Sides) -> None:
    for case in (Case("show", 200, SHOW), Case("change", 200, SHOW, "PATCH", "admin", given(name="Told"))):
        for reply in sides.both(case):
            assert b'"pageId":"page \\u003c\\u0026\\u003e"' in reply.body
            assert SECRET.encode() not in reply.body


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_only_what_is_given_changes_and_both_sides_show_it(
    side: str, sides: Sides, database: psycopg.Connection
) -> None:
    for fields, shown in [
        ({"name": f"By {side}", "status": "active"}, {"name": f"By {side}", "status": "active"}),
        ({"status": "disconnected"}, {"name": f"By {side}", "status": "disconnected"}),
        ({"name": "Plain"}, {"name": "Plain", "status": "disconnected"}),
    ]:
        before = row(database, "inboxes", AWKWARD)
        reply = change(sides, side, SHOW, "admin", **fields)
        after = row(database, "inboxes", AWKWARD)
        assert {name: reply["data"][name] for name in shown} == shown
        assert reply["data"]["updatedAt"] == after["updated_at"].isoformat(timespec="milliseconds") + "Z"
        assert after == before | shown | {"updated_at": after["updated_at"]}
        sides.compare(Case("changed", 200, SHOW))
        with unchanged(database, "inboxes", AWKWARD):
            for again in (fields, {}):
                assert change(sides, side, SHOW, "admin", **again) == reply


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_a_change_is_compared_with_what_the_one_before_it_has_left(
    side: str, sides: Sides, database: psycopg.Connection
) -> None:
    """It asks for what was there when it came, while another change was not yet committed."""
    change(sides, side, PLAIN, "admin", name="Before", status="active")
    back = Case("back", 200, PLAIN, "PATCH", "admin", given(name="Before"))
    rename = "update inboxes set name = 'Between', status = 'disconnected' where id = %s"
    (reply,) = during(database, rename, [SILENT], [lambda: sides.ask(side, back)])
    after = row(database, "inboxes", SILENT)
    assert (after["name"], after["status"]) == ("Before", "disconnected")
    assert b'"name":"Before","channel":"web","status":"disconnected"' in reply.body
