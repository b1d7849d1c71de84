from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.parity.changing import change, during, row, unchanged
from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.stage import AWKWARD, DEPUTY, ELSEWHERE, SILENT
from tests.parity.tables import bodies, given, heads, ids, no_ids, strangers, table, unreadable
from tests.parity.tokens import ADMIN, AGENT

USERS = "/api/v1/users"
SHOW = f"{USERS}/{AWKWARD}"
OWN = f"{USERS}/{AGENT}"

NAMES: dict[str, Any] = {
    "null": None,
    "empty": "",
    "white space": " \u2003\n",
    "a number": 1,
    "a boolean": True,
    "a list": ["Zoë"],
    "an object": {"first": "Zoë"},
    "a NUL": "a\0b",
    "too long": "x" * 101,
    "too long in emoji": "🎉" * 101,
}
ROLES: dict[str, Any] = {
    "null": None,
    "empty": "",
    "unknown": "owner",
    "upper case": "ADMIN",
    "with white space": "admin ",
    "a number": 1,
    "a boolean": True,
    "a list": ["admin"],
    "an object": {"admin": True},
}


def of_show() -> list[Case]:
    return [
        Case("an awkward name", 200, SHOW),
        Case("oneself", 200, OWN),
        Case("as an admin", 200, SHOW, token="admin"),
        Case("parameters are ignored", 200, f"{SHOW}?limit=0&role=x"),
        *ids(f"{USERS}/{{}}", seeded=(1, 2, 14)),
        *unreadable(SHOW),
        *heads(SHOW),
        *strangers(SHOW, 200),
        Case("no list", 404, USERS),
    ]


def of_update() -> list[Case]:
    """Those that change nothing, and those that the first side changes and the second finds changed."""

    def patch(name: str, status: int, /, target: str = SHOW, by: str = "admin", **fields: Any) -> Case:
        return Case(name, status, target, "PATCH", by, given(**fields))

    gone, theirs = f"{USERS}/77777777", f"{USERS}/{ELSEWHERE}"
    rename = given(name="Renamed")
    return [
        *(patch(f"name {name}", 400, name=value) for name, value in NAMES.items()),
        *(patch(f"role {name}", 400, role=value) for name, value in ROLES.items()),
        patch("every fault at once", 400, role="owner", name=None),
        patch("one good and one bad", 400, name="Good", role="bad"),
        patch("fields in upper case", 200, NAME="x", ROLE="admin"),
        patch("unknown fields", 200, email="new@acme.example", id=1, accountId=2, passwordDigest="x", password="new"),
        patch("fields inside another", 200, user={"name": "x"}),
        Case("the last of two fields", 400, SHOW, "PATCH", "admin", b'{"name":"a","name":1}'),
        Case("parameters in the query", 200, f"{SHOW}?name=x&role=agent", "PATCH", "admin", b"{}"),
        patch("a name as long as may be", 200, name="x" * 100),
        patch("a name as long as may be in emoji", 200, name="🎉" * 100),
        patch("awkward", 200, name='<b>&\u2028 \\" \u007f\ufffe'),
        patch("white space around", 200, name=" Zoë \n"),
        patch("a role", 200, role="admin"),
        patch("a role and a name", 200, name="Zoë", role="agent"),
        # Who may do what.
        patch("an agent its own name", 200, OWN, "agent", name="Myself"),
        patch("an agent nothing of itself", 200, OWN, "agent"),
        patch("an agent its own role", 403, OWN, "agent", role="admin"),
        patch("an agent the role that it has", 403, OWN, "agent", role="agent"),
        patch("an agent its own name and role", 403, OWN, "agent", name="Boss", role="admin"),
        patch("an agent another's name", 403, SHOW, "agent", name="x"),
        patch("an agent nothing of another", 403, SHOW, "agent"),
        patch("an agent an admin's role", 403, f"{USERS}/{ADMIN}", "agent", role="agent"),
        patch("an admin its own name", 200, f"{USERS}/{ADMIN}", "admin", name="Boss"),
        patch("an agent nobody's name", 404, gone, "agent", name="x"),
        patch("an agent a stranger's name", 404, theirs, "agent", name="x"),
        patch("an admin a stranger's name", 404, theirs, name="x"),
        patch("their admin ours", 404, SHOW, "their admin", name="x"),
        patch("their admin theirs", 200, theirs, "their admin", name="Theirs"),
        patch("an agent something invalid of another", 400, SHOW, "agent", name=1),
        patch("something invalid of nobody", 400, gone, name=1),
        patch("by one who is gone", 401, SHOW, "gone", name="x"),
        patch("by one who is gone, of nobody", 401, gone, "gone", name="x"),
        patch("by one who is gone, nothing", 401, SHOW, "gone"),
        patch("by one who is gone, something invalid", 400, SHOW, "gone", name=1),
        patch("by a user of another account", 401, SHOW, "user of another account", name="x"),
        patch("of no account", 401, SHOW, "no such account", name="x"),
        Case("malformed and unauthenticated", 401, SHOW, "PATCH", None, b"{"),
        Case("trailing slash", 200, f"{OWN}/", "PATCH", "agent", b"{}"),
        *no_ids(f"{USERS}/{{}}", method="PATCH", token="admin", body=rename),
        *bodies(OWN, given(name="Myself"), "agent", 200, "PATCH", 200),
        *strangers(OWN, 200, "PATCH", given(name="Myself")),
    ]


@table(of_show())
def test_a_user_is_shown_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@table(of_update())
def test_a_change_of_a_user_is_answered_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_only_what_is_given_changes_and_both_sides_show_it(
    side: str, sides: Sides, database: psycopg.Connection
) -> None:
    for fields, shown in [
        ({"name": f"By {side}"}, {"name": f"By {side}", "role": "agent"}),
        ({"role": "admin"}, {"name": f"By {side}", "role": "admin"}),
        ({"name": "Plain", "role": "agent"}, {"name": "Plain", "role": "agent"}),
    ]:
        before = row(database, "users", SILENT)
        reply = change(sides, side, f"{USERS}/{SILENT}", "admin", **fields)
        after = row(database, "users", SILENT)
        assert reply["data"] == {"id": SILENT, "accountId": 1, "email": before["email"]} | shown
        assert after["updated_at"] > before["updated_at"]
        assert after == before | shown | {"updated_at": after["updated_at"]}
        sides.compare(Case("changed", 200, f"{USERS}/{SILENT}"))


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
@pytest.mark.parametrize("fields", [{}, {"name": "Somebody"}, {"role": "admin", "name": "Somebody"}, {"email": "x"}])
def test_a_change_to_what_is_there_already_leaves_the_row_alone(
    side: str, fields: dict[str, str], sides: Sides, database: psycopg.Connection
) -> None:
    with unchanged(database, "users", DEPUTY):
        change(sides, side, f"{USERS}/{DEPUTY}", "admin", **fields)


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_who_is_just_losing_a_role_does_not_give_it_back_to_himself(
    side: str, sides: Sides, database: psycopg.Connection
) -> None:
    """The request comes while the other change is not yet committed, and waits for it."""
    regain = Case("regain", 403, f"{USERS}/{ADMIN}", "PATCH", "admin", given(role="admin", name="Still"))
    take = "update users set role = 'agent' where id = %s"
    (reply,) = during(database, take, [ADMIN], [lambda: sides.ask(side, regain)])
    database.execute("update users set role = 'admin' where id = %s", [ADMIN])
    assert (reply.status, reply.body) == (403, b'{"error":"forbidden"}')
