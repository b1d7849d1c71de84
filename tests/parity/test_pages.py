"""All pages of the lists, walked on both sides: the same bytes, nothing lost, nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.parity.sides import LEGACY, NATIVE, Case, Reply, Sides
from tests.parity.stage import AWKWARD, TIED
from tests.parity.tables import cursor

JUST_AFTER = "1893412800123457:1"  # a microsecond after the moment of TIED


def walk(sides: Sides, target: str, token: str) -> Iterator[tuple[Reply, Reply]]:
    """The pages as both sides give them, following legacy's cursors and native's by turns."""
    following, pages = "", 0
    while True:
        replies = sides.both(Case("page", 200, f"{target}&cursor={following}", token=token))
        yield replies
        pages += 1
        following = json.loads(replies[pages % 2].body)["meta"]["nextCursor"]
        if following is None:
            return


def rows(sides: Sides, target: str, *, token: str) -> list[dict[str, Any]]:
    found = []
    for legacy, native in walk(sides, target, token):
        assert (legacy.status, native.status) == (200, 200)
        assert native.body == legacy.body
        found += json.loads(native.body)["data"]
    return found


@pytest.mark.parametrize(
    ("account", "token", "limit"), [(1, "agent", 100), (2, "stranger", 47)], ids=["large pages", "small pages"]
)
def test_all_pages_of_the_list_are_alike(
    sides: Sides, database: psycopg.Connection, account: int, token: str, limit: int
) -> None:
    found = rows(sides, f"/api/v1/conversations?limit={limit}", token=token)
    expected = database.execute(
        "select id from conversations where account_id = %s order by last_activity_at desc, id desc", [account]
    ).fetchall()
    assert [(row["id"],) for row in found] == expected


@pytest.mark.parametrize("status", ["pending", "resolved"])
def test_all_pages_by_status_are_alike(sides: Sides, database: psycopg.Connection, status: str) -> None:
    found = rows(sides, f"/api/v1/conversations?status={status}&limit=100", token="agent")
    (expected,) = database.execute(
        "select count(*) from conversations where account_id = 1 and status = %s", [status]
    ).fetchone() or (0,)
    assert len({row["id"] for row in found}) == len(found) == expected
    assert {row["status"] for row in found} == {status}


def test_pages_part_rows_of_one_moment_alike(sides: Sides) -> None:
    """Some conversations have the very same last activity: a page of one must part each from the next."""
    target = "/api/v1/conversations?status=pending&limit=1"
    ids, following = [], cursor(JUST_AFTER)
    for _ in TIED:
        legacy, native = sides.both(Case("one of a moment", 200, f"{target}&cursor={following}"))
        assert native.body == legacy.body
        page = json.loads(native.body)
        ids.append(page["data"][0]["id"])
        following = page["meta"]["nextCursor"]
    assert ids == sorted(TIED, reverse=True)


def test_all_pages_of_messages_are_alike(sides: Sides, database: psycopg.Connection) -> None:
    longest = database.execute(
        """select conversation_id, count(*) from messages where account_id = 1 and conversation_id < 900000
           group by 1 order by 2 desc, 1 limit 1"""
    ).fetchone()
    assert longest is not None
    conversation_id, count = longest
    found = rows(sides, f"/api/v1/conversations/{conversation_id}/messages?limit=3", token="agent")
    assert len(found) == count
    ids = [row["id"] for row in found]
    assert ids == sorted(set(ids), reverse=True)


@pytest.mark.parametrize("limit", [1, 9, 10, 11])
def test_the_last_page_has_no_cursor_however_it_falls(sides: Sides, limit: int) -> None:
    assert len(rows(sides, f"/api/v1/conversations/{AWKWARD}/messages?limit={limit}", token="agent")) == 10


def test_the_sides_are_two(sides: Sides) -> None:
    assert sides.ports[LEGACY] != sides.ports[NATIVE]
    replies = sides.both(Case("who answers", 200, "/api/v1/conversations?limit=1"))
    assert ["content-length" in reply.headers for reply in replies] == [False, True]
