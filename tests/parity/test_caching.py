"""What one side keeps in the cache the other answers with, and forgets."""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from handlers import leases
from tests.parity.changing import change
from tests.parity.sides import LEGACY, NATIVE, Case, Reply, Sides
from tests.parity.stage import AWKWARD, WRITTEN_TO
from tests.parity.tables import given
from tests.parity.tokens import ACME, AGENT

SIDES = (LEGACY, NATIVE)
PAIRS = [(writer, reader) for writer in SIDES for reader in SIDES]
CONVERSATION = f"/api/v1/conversations/{AWKWARD}"
# By key: where it is asked for, how long it is kept, and the names of others that it shows.
ENTRIES = {
    f"user:{AWKWARD}": (f"/api/v1/users/{AWKWARD}", 15 * 60, False),
    f"conversation:{AWKWARD}": (CONVERSATION, 5 * 60, True),
    f"conversation:{AWKWARD}:messages": (f"{CONVERSATION}/messages", 2 * 60, True),
    f"account:{ACME}:settings": (f"/api/v1/accounts/{ACME}/settings", 30 * 60, False),
    f"inbox:{AWKWARD}:config": (f"/api/v1/inboxes/{AWKWARD}", 10 * 60, False),
}
entries = pytest.mark.parametrize("key", ENTRIES)
pairs = pytest.mark.parametrize(("writer", "reader"), PAIRS)
each_side = pytest.mark.parametrize("side", SIDES)


@pytest.fixture(autouse=True)
def empty(redis: Redis) -> Iterator[None]:
    redis.flushdb()
    yield
    redis.flushdb()


def get(sides: Sides, side: str, target: str, status: int = 200, who: str = "agent", **headers: str) -> Reply:
    sent = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    reply = sides.ask(side, Case("get", status, target, token=who, headers=sent))
    assert reply.status == status, reply
    return reply


def poison(redis: Redis, key: str) -> bytes:
    """Make the entry one that no database holds, to see whether it is answered with."""
    entry = json.loads(redis.get(key))  # type: ignore[arg-type]  # redis-py cannot tell which client is asynchronous
    entry["answer"] = {"data": "from the cache <\u2028>"}
    written = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    redis.set(key, written, keepttl=True)
    return written.partition('"answer":')[2][:-1].encode()


@entries
@pairs
def test_what_one_side_keeps_is_what_it_answered_and_what_both_answer_with(
    sides: Sides, redis: Redis, writer: str, reader: str, key: str
) -> None:
    target, seconds, shows_names = ENTRIES[key]
    first = get(sides, writer, target)
    kept = redis.get(key)
    assert isinstance(kept, str)
    names = str(redis.get(f"account:{ACME}:names")) if shows_names else ""
    head = f'{{"writer":"{writer}","epoch":0,"accountId":{ACME},"names":"{names}","answer":'
    assert kept == f"{head}{first.body.decode()}}}"
    assert seconds - 60 < redis.ttl(key) <= seconds
    again = get(sides, reader, target)
    assert (again.body, again.compared) == (first.body, first.compared)
    forged = poison(redis, key)
    reply = get(sides, reader, target)
    assert reply.body == forged
    assert reply.headers["etag"] == reply.tag_of_body
    assert get(sides, reader, target, 304, If_None_Match=reply.tag_of_body).body == b""


@entries
def test_both_sides_keep_the_same(sides: Sides, redis: Redis, key: str) -> None:
    kept = []
    for side in SIDES:
        get(sides, side, ENTRIES[key][0])
        kept.append(json.loads(redis.getdel(key)) | {"writer": None})  # type: ignore[arg-type]  # as above
    assert kept[0] == kept[1]


@entries
@pairs
def test_what_is_kept_for_one_account_is_not_there_for_another(
    sides: Sides, redis: Redis, writer: str, reader: str, key: str
) -> None:
    target = ENTRIES[key][0]
    get(sides, writer, target)
    get(sides, reader, target, 404, "stranger")
    poison(redis, key)
    assert b"from the cache" in get(sides, reader, target).body  # the stranger has taken nothing away


@entries
@each_side
def test_a_stranger_who_came_first_takes_nothing_away(sides: Sides, redis: Redis, side: str, key: str) -> None:
    get(sides, side, ENTRIES[key][0], 404, "stranger")
    assert redis.get(key) is None
    get(sides, side, ENTRIES[key][0])
    assert redis.get(key) is not None


@entries
@each_side
def test_a_trip_makes_natives_entries_misses_on_both_sides(sides: Sides, redis: Redis, side: str, key: str) -> None:
    target = ENTRIES[key][0]
    for writer in SIDES:
        get(sides, writer, target)
        poison(redis, key)
        redis.incr("cache:epoch:native")
        assert (b"from the cache" in get(sides, side, target).body) == (writer == LEGACY)
        redis.delete(key)


@entries
@each_side
def test_a_shadow_neither_reads_nor_fills(sides: Sides, redis: Redis, side: str, key: str) -> None:
    target = ENTRIES[key][0]
    first = get(sides, side, target, X_Strangler_Shadow="1")
    assert redis.keys("*") == []
    get(sides, side, target)
    poison(redis, key)
    assert get(sides, side, target, X_Strangler_Shadow="1").body == first.body


@each_side
def test_only_the_first_page_of_the_usual_size_is_kept(sides: Sides, redis: Redis, side: str) -> None:
    pages = f"{CONVERSATION}/messages"
    following = json.loads(get(sides, side, f"{pages}?limit=2").body)["meta"]["nextCursor"]
    for query in ("limit=24", f"cursor={following}", f"limit=25&cursor={following}"):
        get(sides, side, f"{pages}?{query}")
    assert redis.keys("*:messages") == []
    for query in ("", "?limit=25", "?limit=&cursor="):
        get(sides, side, f"{pages}{query}")
        assert redis.getdel(f"conversation:{AWKWARD}:messages") is not None, query


@each_side
def test_no_id_reaches_the_entry_of_something_else(sides: Sides, redis: Redis, side: str) -> None:
    get(sides, side, f"{CONVERSATION}/messages")
    poison(redis, f"conversation:{AWKWARD}:messages")
    get(sides, side, f"{CONVERSATION}:messages", 404)
    get(sides, side, f"{CONVERSATION}%3Amessages", 404)


def write(sides: Sides, side: str, content: str = "written") -> None:
    body = given(content=content, conversationId=WRITTEN_TO)
    assert sides.ask(side, Case("create", 201, "/api/v1/messages", "POST", body=body)).status == 201


@pairs
def test_a_message_is_seen_by_the_next_read(sides: Sides, redis: Redis, writer: str, reader: str) -> None:
    conversation = f"/api/v1/conversations/{WRITTEN_TO}"
    for filler in SIDES:
        for target in (conversation, f"{conversation}/messages"):
            get(sides, filler, target)
        content = f"written by {writer} for {reader} over {filler}"
        write(sides, writer, content)
        assert redis.keys(f"conversation:{WRITTEN_TO}*") == []
        assert content.encode() in get(sides, reader, conversation).body
        assert content.encode() in get(sides, reader, f"{conversation}/messages").body


# What is changed where, and where that is seen.
CHANGES: dict[str, tuple[str, str, dict[str, Any], list[str]]] = {
    "a user's name": (
        "admin",
        f"/api/v1/users/{AWKWARD}",
        {"name": "Renamed {}"},
        [f"user:{AWKWARD}", f"conversation:{AWKWARD}", f"conversation:{AWKWARD}:messages"],
    ),
    "an inbox's name": (
        "admin",
        "/api/v1/inboxes/1",
        {"name": "Renamed {}"},
        [f"conversation:{AWKWARD}"],
    ),
    "a status": ("agent", CONVERSATION, {"status": "{}"}, [f"conversation:{AWKWARD}"]),
    "a setting": ("admin", f"/api/v1/accounts/{ACME}/settings", {"locale": "{}"}, [f"account:{ACME}:settings"]),
}
VALUES = {"a status": ("open", "pending", "resolved", "open"), "a setting": ("de", "en", "fr", "nl")}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen_by_the_next_read(sides: Sides, what: str) -> None:
    token, target, fields, seen = CHANGES[what]
    values = VALUES.get(what, ("1", "2", "3", "4"))
    ((name, text),) = fields.items()
    before = json.loads(get(sides, NATIVE, target, who=token).body)["data"][name]
    for value, (writer, reader) in zip(values, PAIRS, strict=True):
        for key in seen:
            get(sides, reader, ENTRIES[key][0])
        change(sides, writer, target, token, **{name: text.format(value)})
        for key in seen:
            assert text.format(value) in get(sides, reader, ENTRIES[key][0]).body.decode(), (what, writer, reader, key)
    change(sides, NATIVE, target, token, **{name: before})


@each_side
def test_keys_that_could_not_be_forgotten_are_forgotten_before_the_cache_is_believed(
    sides: Sides, redis: Redis, database: psycopg.Connection, side: str
) -> None:
    get(sides, side, CONVERSATION)
    poison(redis, f"conversation:{AWKWARD}")
    database.execute("insert into keys_to_forget (key, created_at) values (%s, now())", [f"conversation:{AWKWARD}"])
    deadline = time.monotonic() + 30
    while b"from the cache" in get(sides, side, CONVERSATION).body:  # for a second at most
        assert time.monotonic() < deadline
    assert database.execute("select * from keys_to_forget").fetchall() == []


@each_side
def test_no_mark_is_left_behind(sides: Sides, redis: Redis, side: str) -> None:
    write(sides, side)
    change(sides, side, f"/api/v1/conversations/{WRITTEN_TO}", "agent", assigneeId=AGENT)
    change(sides, side, f"/api/v1/conversations/{WRITTEN_TO}", "agent", assigneeId=None)
    assert redis.keys("cache:*") == []


def test_both_sides_run_the_same_scripts() -> None:
    source = Path("legacy/app/services/cache/scripts.rb").read_text(encoding="utf-8")
    theirs = {
        name: textwrap.dedent(text)
        for name, text in re.findall(r"    (\w+) = <<~'LUA'\n(.*?)    LUA\n", source, re.DOTALL)
    }
    assert theirs == {name: getattr(leases, name) for name in ("READ", "FILL", "GIVE_BACK", "MARK", "FORGET")}
