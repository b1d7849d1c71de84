from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.parity import rules, tokens
from tests.parity.sides import Reply
from tests.parity.tables import cursor

SINCE = rules.beginning(datetime(2026, 5, 6, 7, 8, 9, 123456, UTC))
BEFORE, AFTER, LATER = "2026-05-06T07:08:08.999Z", "2026-05-06T07:08:09.001Z", "2026-05-06T08:00:00.000Z"
MICROSECONDS = int(SINCE.timestamp()) * 1_000_000


def reply(status: int = 200, tag: str | None = None, **body: Any) -> Reply:
    plain = Reply(status, {}, json.dumps(body, separators=(",", ":")).encode())
    return Reply(status, {"etag": tag or plain.tag_of_body}, plain.body)


def agree(one: Reply, other: Reply) -> bool:
    return rules.told(one, SINCE).agrees(rules.told(other, SINCE))


def token(**changes: Any) -> str:
    now = int(SINCE.timestamp()) + 5
    return tokens.sign(tokens.claims(now, **{"exp": now + 900, **changes}), "a secret")


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ({"createdAt": AFTER}, {"createdAt": LATER}, "moment"),
        ({"body": json.dumps({"at": AFTER})}, {"body": json.dumps({"at": LATER})}, "moment"),
        (
            {"nextCursor": cursor(f"{MICROSECONDS}:5")},
            {"nextCursor": cursor(f"{MICROSECONDS + 9}:5")},
            "cursor of a moment",
        ),
        ({"accessToken": token()}, {"accessToken": token(jti="another")}, "access token"),
        ({"refreshToken": "a" * 43}, {"refreshToken": "b" * 43}, "refresh token"),
    ],
    ids=["a time", "a time in JSON within JSON", "a cursor", "an access token", "a refresh token"],
)
def test_what_each_side_has_of_its_own_is_explained(one: dict[str, Any], other: dict[str, Any], name: str) -> None:
    assert agree(reply(**one), reply(**other))
    assert rules.told(reply(**one), SINCE).explained == {name, rules.TAG}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"createdAt": BEFORE}, {"createdAt": AFTER}),
        ({"createdAt": AFTER, "id": 1}, {"createdAt": LATER, "id": 2}),
        ({"createdAt": AFTER}, {"createdAt": None}),
        ({"createdAt": AFTER, "a": 1}, {"a": 1, "createdAt": AFTER}),
        ({"nextCursor": cursor(f"{MICROSECONDS}:5")}, {"nextCursor": cursor(f"{MICROSECONDS}:6")}),
        ({"nextCursor": cursor("5")}, {"nextCursor": cursor("6")}),
        ({"nextCursor": cursor("5:1")}, {"nextCursor": cursor("6:1")}),
        ({"accessToken": token()}, {"accessToken": token(sub="3")}),
        ({"accessToken": token()}, {"accessToken": token(exp=2**33)}),
        ({"accessToken": token()}, {"accessToken": token(role="admin")}),
        ({"refreshToken": "a" * 43}, {"refreshToken": "a" * 42}),
        ({"content": "a"}, {"content": "b"}),
    ],
)
def test_everything_else_is_a_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert agree(reply(**one), reply(**one))
    assert not agree(reply(**one), reply(**other))
    assert not agree(reply(**one), reply(status=201, **one))


def test_a_tag_that_is_not_of_its_own_body_is_a_difference() -> None:
    assert not agree(reply(createdAt=AFTER), reply(createdAt=LATER, tag='W/"of something else"'))
    assert not agree(reply(content="a"), reply(content="a", tag='W/"of something else"'))


def test_of_an_answer_that_nothing_changed_the_tag_is_the_one_asked_for() -> None:
    ours, theirs = (Reply(304, {"etag": tag}, b"") for tag in ("one", "two"))
    assert rules.told(ours, SINCE, "one").agrees(rules.told(theirs, SINCE, "two"))
    assert not rules.told(ours, SINCE, "one").agrees(rules.told(theirs, SINCE, "one"))


def test_every_rule_has_a_name_of_its_own_and_a_reason() -> None:
    assert len({rule.name for rule in rules.RULES}) == len(rules.RULES)
    assert all(rule.reason for rule in rules.RULES)
