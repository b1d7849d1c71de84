"""Sessions that go on and end: a token of either side is rotated and revoked by both, and the answers are alike."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import socket
from contextlib import ExitStack
from http.client import HTTPResponse
from typing import Any

import psycopg
import pytest
from redis import Redis

from handlers.refresh_tokens import REVOKE, ROTATE
from tests.parity.sides import LEGACY, NATIVE, Case, Reply, Sides
from tests.parity.tables import given
from tests.parity.test_signing_in import parts, sign_in

SIDES = (LEGACY, NATIVE)
REFRESH, LOGOUT = "/auth/refresh", "/auth/logout"
EXPIRED = b'{"error":"refresh_token_expired"}'


def asking(target: str, token: str, status: int = 200) -> Case:
    return Case("ask", status, target, "POST", None, given(refreshToken=token))


def refreshed(sides: Sides, side: str, token: str) -> tuple[Reply, dict[str, Any]]:
    reply = sides.ask(side, asking(REFRESH, token))
    assert reply.status == 200, reply
    return reply, json.loads(reply.body)


def ten_seconds_pass(redis: Redis, token: str) -> None:
    assert redis.expireat(f"refresh:rotated:{token}", 1)


def is_dead(sides: Sides, token: str) -> None:
    """On both sides, in the same bytes."""
    sides.compare(asking(REFRESH, token, 401))
    assert sides.ask(NATIVE, asking(REFRESH, token)).body == EXPIRED


@pytest.fixture
def token(redis: Redis) -> str:
    """A refresh token of agent1@acme.example's, without the work of signing in, and no other."""
    for key in redis.scan_iter("refresh:*"):
        redis.delete(key)
    redis.set("refresh:token:first", "2", ex=604_800)
    return "first"


def test_a_refresh_is_answered_alike(sides: Sides) -> None:
    answers = [refreshed(sides, side, sign_in(sides, side)[1]["refreshToken"]) for side in SIDES]
    (legacy, theirs), (native, ours) = answers
    assert list(theirs) == list(ours) == ["accessToken", "refreshToken"]
    for pair in (theirs, ours):
        assert re.fullmatch(r"[\w-]{43}", pair["refreshToken"], re.ASCII)
    assert native.compared | {"etag": ""} == legacy.compared | {"etag": ""}
    assert native.headers["cache-control"] == "no-store"
    assert native.headers["etag"] == native.tag_of_body
    (their_head, their_claims), (our_head, our_claims) = parts(theirs["accessToken"]), parts(ours["accessToken"])
    varies = {"iat": 0, "exp": 0, "jti": ""}
    assert our_head == their_head
    assert list((our_claims | varies).items()) == list((their_claims | varies).items())
    assert (our_claims["sub"], our_claims["account_id"]) == ("2", 1)
    assert our_claims["jti"] != their_claims["jti"]


def test_what_a_refresh_leaves_is_alike(sides: Sides, redis: Redis, token: str) -> None:
    for side in SIDES:
        reply, pair = refreshed(sides, side, token)
        new = pair["refreshToken"]
        assert set(redis.keys("refresh:*")) == {f"refresh:token:{new}", f"refresh:rotated:{token}"}
        assert redis.get(f"refresh:token:{new}") == "2"
        assert 604_700 < redis.ttl(f"refresh:token:{new}") <= 604_800
        assert redis.get(f"refresh:rotated:{token}") == reply.body.decode()
        assert 0 < redis.ttl(f"refresh:rotated:{token}") <= 10
        ten_seconds_pass(redis, token)
        token = new


@pytest.mark.parametrize(("first", "again"), [*itertools.product(SIDES, SIDES)])
def test_a_refresh_asked_again_is_answered_in_the_same_bytes_for_ten_seconds(
    sides: Sides, redis: Redis, token: str, first: str, again: str
) -> None:
    reply, pair = refreshed(sides, first, token)
    until = redis.expiretime(f"refresh:rotated:{token}")
    for _ in range(2):
        repeated, _ = refreshed(sides, again, token)
        assert (repeated.body, repeated.headers["etag"]) == (reply.body, reply.headers["etag"])
    sides.compare(asking(REFRESH, token))
    assert redis.expiretime(f"refresh:rotated:{token}") == until
    ten_seconds_pass(redis, token)
    is_dead(sides, token)
    refreshed(sides, again, pair["refreshToken"])


def test_a_refresh_asked_again_never_hands_out_a_token_that_has_been_rotated(sides: Sides, token: str) -> None:
    newest = token
    for side in (LEGACY, NATIVE, LEGACY, NATIVE):
        reply, pair = refreshed(sides, side, newest)
        newest = pair["refreshToken"]
        assert refreshed(sides, side, token)[0].body == reply.body
    sides.compare(asking(REFRESH, token))


def test_a_token_stands_for_its_session_for_sixteen_rotations_and_no_longer(
    sides: Sides, redis: Redis, token: str
) -> None:
    made = [token]
    for number in range(17):
        _, pair = refreshed(sides, SIDES[number % 2], made[-1])
        made.append(pair["refreshToken"])
    # Each of its links is still remembered, and who asks for the first is nevertheless not led along all of them.
    assert len(redis.keys("refresh:rotated:*")) == 17
    is_dead(sides, made[0])
    sides.compare(asking(LOGOUT, made[0]))
    assert redis.keys("refresh:token:*") == [f"refresh:token:{made[-1]}"]
    sides.compare(asking(REFRESH, made[1]))
    sides.compare(asking(LOGOUT, made[1]))
    assert redis.keys("refresh:token:*") == []


@pytest.mark.parametrize(("signs_in", "goes_on", "ends"), [*itertools.product(SIDES, SIDES, SIDES)])
def test_a_session_begun_continued_and_ended_on_any_side_is_ended_on_both(
    sides: Sides, signs_in: str, goes_on: str, ends: str
) -> None:
    old = sign_in(sides, signs_in)[1]["refreshToken"]
    new = refreshed(sides, goes_on, old)[1]["refreshToken"]
    assert sides.ask(ends, asking(LOGOUT, new)).status == 200
    for token in (new, old):
        is_dead(sides, token)


@pytest.mark.parametrize("shown", range(3), ids=["its first token", "one in between", "its newest"])
@pytest.mark.parametrize("side", SIDES)
def test_a_session_ends_by_any_token_that_still_stands_for_it(
    sides: Sides, redis: Redis, token: str, side: str, shown: int
) -> None:
    tokens = [token]
    for other in SIDES:
        tokens.append(refreshed(sides, other, tokens[-1])[1]["refreshToken"])
    assert sides.ask(side, asking(LOGOUT, tokens[shown])).status == 200
    assert redis.keys("refresh:token:*") == []
    for one in tokens:
        is_dead(sides, one)


def test_a_session_does_not_end_by_a_token_of_more_than_ten_seconds_ago(sides: Sides, redis: Redis, token: str) -> None:
    _, pair = refreshed(sides, NATIVE, token)
    ten_seconds_pass(redis, token)
    sides.compare(asking(LOGOUT, token))
    assert redis.keys("refresh:*") == [f"refresh:token:{pair['refreshToken']}"]


def test_signing_out_is_answered_alike_however_often(sides: Sides, redis: Redis, token: str) -> None:
    for _ in range(3):
        sides.compare(asking(LOGOUT, token))
    reply = sides.ask(NATIVE, asking(LOGOUT, token))
    assert (reply.body, reply.headers["cache-control"]) == (b"{}", "no-store")
    assert redis.keys("refresh:*") == []


def test_signing_out_leaves_other_sessions_alone(sides: Sides, token: str) -> None:
    others = [sign_in(sides, side)[1]["refreshToken"] for side in SIDES]
    sides.compare(asking(LOGOUT, token))
    for side, other in zip(SIDES, others, strict=True):
        refreshed(sides, side, other)


@pytest.mark.parametrize("asked", [(LEGACY,), (NATIVE,), SIDES], ids=["legacy", "native", "both"])
def test_of_200_refreshes_at_once_one_is_carried_out_and_answered_to_all(
    sides: Sides, redis: Redis, token: str, asked: tuple[str, ...]
) -> None:
    with ExitStack() as connections:
        ports = [sides.ports[side] for side in asked] * (200 // len(asked))
        opened = [connections.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for port in ports]
        for connection in opened:
            connection.sendall(asking(REFRESH, token).wire("127.0.0.1", None))
        replies = [HTTPResponse(connection) for connection in opened]
        for reply in replies:
            reply.begin()
        bodies = {(reply.status, reply.read()) for reply in replies}
    ((status, body),) = bodies
    assert status == 200
    assert redis.keys("refresh:token:*") == [f"refresh:token:{json.loads(body)['refreshToken']}"]


def test_what_a_process_rotated_before_it_died_is_answered_to_who_asks_again(
    sides: Sides, redis: Redis, token: str
) -> None:
    pair = '{"accessToken":"x.y.z","refreshToken":"second"}'
    assert redis.eval(ROTATE, 0, token, pair) == ["2", pair]
    sides.compare(asking(REFRESH, token))
    assert sides.ask(NATIVE, asking(REFRESH, token)).body == pair.encode()


def test_claims_are_those_of_the_users_row_and_without_one_the_session_is_over(
    sides: Sides, database: psycopg.Connection, redis: Redis, token: str
) -> None:
    copy = """insert into users (account_id, email, password_digest, name, role, created_at, updated_at)
              select account_id, %s, password_digest, name, role, created_at, updated_at from users where id = 2
           returning id"""
    for side in SIDES:
        row = database.execute(copy, [f"{side}@acme.example"]).fetchone()
        assert row is not None
        redis.set(f"refresh:token:{side}", row[0])
        database.execute("update users set account_id = 2 where id = %s", [row[0]])
        _, pair = refreshed(sides, side, side)
        claims = parts(pair["accessToken"])[1]
        assert (claims["sub"], claims["account_id"]) == (str(row[0]), 2)
        database.execute("delete from users where id = %s", [row[0]])
        is_dead(sides, pair["refreshToken"])


def test_both_sides_run_the_same_scripts_and_bring_them_along(sides: Sides, redis: Redis, token: str) -> None:
    digests = [hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (ROTATE, REVOKE)]
    for side in SIDES:
        redis.script_flush()
        assert redis.script_exists(*digests) == [False, False]
        pair = refreshed(sides, side, token)[1]
        redis.script_flush()
        token = refreshed(sides, side, pair["refreshToken"])[1]["refreshToken"]
        sides.ask(side, asking(LOGOUT, "another"))
        assert redis.script_exists(*digests) == [True, True]
