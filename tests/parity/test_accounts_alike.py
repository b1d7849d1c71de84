from __future__ import annotations

import zoneinfo
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.parity.changing import change, during, row, unchanged
from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.tables import bodies, given, heads, no_ids, strangers, table, unreadable

SETTINGS = "/api/v1/accounts/1/settings"
THEIRS = "/api/v1/accounts/2/settings"
FORM = "/api/v1/accounts/{}/settings"

LOCALES: dict[str, Any] = {
    "empty": "",
    "unknown": "xx",
    "upper case": "EN",
    "with a region": "en-GB",
    "a number": 1,
    "a boolean": True,
    "a list": ["en"],
    "an object": {"en": True},
}
TIMEZONES: dict[str, Any] = {
    "empty": "",
    "unknown": "Europe/Nowhere",
    "lower case": "europe/berlin",
    "an offset": "+01:00",
    "Rails' own name": "Berlin",
    "a path": "../localtime",
    "an absolute path": "/etc/localtime",
    "a folder": "Europe",
    "a folder of others": "posix/Europe/Berlin",
    "the machine's": "localtime",
    "a file that is no zone": "zone.tab",
    "with a NUL": "UTC\0",
    "a number": 1,
    "a list": ["UTC"],
    "an object": {},
}
SWITCHES: dict[str, Any] = {
    "a string": "true",
    "empty": "",
    "a number": 1,
    "zero": 0,
    "a list": [True],
    "an object": {},
}


def of_show() -> list[Case]:
    return [
        Case("one's own", 200, SETTINGS),
        Case("as an admin", 200, SETTINGS, token="admin"),
        Case("another account's", 404, THEIRS),
        Case("another account's, as an admin", 404, THEIRS, token="admin"),
        Case("their own", 200, THEIRS, token="stranger"),
        Case("ours, asked by them", 404, SETTINGS, token="stranger"),
        Case("no such account", 404, FORM.format(999_999_999), token="no such account"),
        Case("user gone", 200, SETTINGS, token="gone"),
        Case("encoded digits", 200, FORM.format("%31")),
        Case("parameters are ignored", 200, f"{SETTINGS}?locale=x"),
        *no_ids(FORM, known=1),
        *unreadable(SETTINGS),
        *heads(SETTINGS),
        *strangers(SETTINGS, 200),
        Case("no account of that kind", 404, "/api/v1/accounts/1"),
        Case("no list", 404, "/api/v1/accounts"),
    ]


def of_update() -> list[Case]:
    """Those that change nothing, and those that the first side changes and the second finds changed."""

    def patch(name: str, status: int, /, target: str = SETTINGS, by: str = "admin", **fields: Any) -> Case:
        return Case(name, status, target, "PATCH", by, given(**fields))

    good = given(locale="fr")
    return [
        *(patch(f"locale {name}", 400, locale=value) for name, value in LOCALES.items()),
        *(patch(f"timezone {name}", 400, timezone=value) for name, value in TIMEZONES.items()),
        *(patch(f"autoReply {name}", 400, autoReply=value) for name, value in SWITCHES.items()),
        patch("every fault at once", 400, autoReply="x", timezone="x", locale="x"),
        patch("one good and one bad", 400, locale="de", autoReply=1),
        patch("fields in snake case", 200, auto_reply=1),
        patch("unknown settings", 200, theme="dark", name="x", settings={"locale": "x"}),
        patch("all of them", 200, locale="de", timezone="Europe/Berlin", autoReply=True),
        patch("one of them", 200, autoReply=False),
        patch("one taken back", 200, locale=None),
        patch("one taken back that is not there", 200, locale=None),
        patch("one taken back and one set", 200, timezone=None, locale="it"),
        patch("all of them taken back", 200, locale=None, timezone=None, autoReply=None),
        # Who may do what.
        patch("an agent", 403, by="agent", locale="fr"),
        patch("an agent, nothing", 403, by="agent"),
        patch("an agent, something invalid", 400, by="agent", locale=1),
        patch("an agent, another account's", 404, THEIRS, "agent", locale="fr"),
        patch("an admin, another account's", 404, THEIRS, locale="fr"),
        patch("their admin, ours", 404, SETTINGS, "their admin", locale="fr"),
        patch("their admin, theirs", 200, THEIRS, "their admin", locale="fr"),
        patch("something invalid for nobody", 400, FORM.format(77_777_777), locale=1),
        patch("by one who is gone", 401, by="gone", locale="fr"),
        patch("by one who is gone, another account's", 401, THEIRS, "gone", locale="fr"),
        patch("by a user of another account", 401, by="user of another account", locale="fr"),
        patch("of no account", 401, by="no such account", locale="fr"),
        Case("malformed and unauthenticated", 401, SETTINGS, "PATCH", None, b"{"),
        *no_ids(FORM, known=1, method="PATCH", token="admin", body=good),
        *bodies(SETTINGS, good, "admin", 200, "PATCH", 200),
        *strangers(SETTINGS, 403, "PATCH", good),
    ]


@table(of_show())
def test_settings_are_shown_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@table(of_update())
def test_a_change_of_settings_is_answered_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_settings_are_merged_one_by_one_and_others_in_the_row_are_left_alone(
    side: str, sides: Sides, database: psycopg.Connection
) -> None:
    others: dict[str, Any] = {"theme": {"colour": "red", "no": None}, "nothing": None}
    database.execute("update accounts set settings = %s where id = 1", [Jsonb(others)])
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"locale": "en", "autoReply": True}, {"locale": "en", "autoReply": True}),
        ({"timezone": "UTC"}, {"locale": "en", "autoReply": True, "timezone": "UTC"}),
        ({"autoReply": False, "locale": None}, {"autoReply": False, "timezone": "UTC"}),
        ({"timezone": None, "autoReply": None}, {}),
    ]
    for fields, stored in steps:
        before = row(database, "accounts", 1)
        reply = change(sides, side, SETTINGS, "admin", **fields)
        after = row(database, "accounts", 1)
        assert reply == {"data": {"locale": None, "timezone": None, "autoReply": None} | stored}
        assert after["updated_at"] > before["updated_at"]
        assert after == before | {"settings": others | stored, "updated_at": after["updated_at"]}
        sides.compare(Case("changed", 200, SETTINGS))
        with unchanged(database, "accounts", 1):
            for again in (fields, {}):
                assert change(sides, side, SETTINGS, "admin", **again) == reply


def test_of_changes_to_several_settings_at_once_none_is_lost(sides: Sides, database: psycopg.Connection) -> None:
    database.execute("""update accounts set settings = '{"locale": "en"}' where id = 1""")
    touch = "update accounts set settings = settings || %s where id = 1"
    wanted = {"locale": None, "timezone": "Asia/Tokyo", "autoReply": True}
    for side in (LEGACY, NATIVE):
        other = NATIVE if side is LEGACY else LEGACY
        asks = [
            lambda name=name, by=by: sides.ask(
                by, Case(name, 200, SETTINGS, "PATCH", "admin", given(**{name: wanted[name]}))
            )
            for name, by in zip(wanted, (side, other, side), strict=True)
        ]
        replies = during(database, touch, [Jsonb({"theme": side})], asks)
        assert [reply.status for reply in replies] == [200] * 3
        settings = row(database, "accounts", 1)["settings"]
        assert settings == {"theme": side, "timezone": "Asia/Tokyo", "autoReply": True}
        database.execute("""update accounts set settings = '{"locale": "en"}' where id = 1""")


def test_both_sides_know_the_same_timezones(sides: Sides) -> None:
    """Some of each letter. The one that the machine calls its own is none of them."""
    names = sorted(zoneinfo.available_timezones() - {"localtime"})
    for name in names[::15]:
        sides.compare(Case(name, 200, SETTINGS, "PATCH", "admin", given(timezone=name)))
