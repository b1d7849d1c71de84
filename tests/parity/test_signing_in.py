"""A sign-in that succeeds, and its tokens: issued by either side, good on both."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from redis import Redis

from tests.parity.sides import LEGACY, NATIVE, Case, Reply, Sides
from tests.parity.tables import given

# Ways to write credentials that are right, by the user's e-mail as it is stored.
CREDENTIALS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("agent1@acme.example", {"email": "agent1@acme.example"}),
    "another account": ("agent1@globex.example", {"email": "agent1@globex.example"}),
    "an admin": ("admin@acme.example", {"email": "admin@acme.example"}),
    "upper case": ("agent1@acme.example", {"email": "AGENT1@ACME.EXAMPLE"}),
    "white space around": ("agent1@acme.example", {"email": " \t\r\nagent1@acme.example\x0b\x0c "}),
    "unknown fields": ("agent1@acme.example", {"email": "agent1@acme.example", "role": "admin", "x": [1, {}]}),
    "a letter beyond ASCII": ("zoë@acme.example", {"email": "ZOË@acme.example"}),
    "a Σ at the end of a word": ("ασ@acme.example", {"email": "ΑΣ@ACME.example"}),
    "a ς, which is another letter": ("ας@acme.example", {"email": "Ας@acme.example"}),
}


@pytest.fixture(autouse=True)
def greeks(database: psycopg.Connection) -> Iterator[None]:
    """Whose e-mails differ in how a word ends."""
    names = ["ασ@acme.example", "ας@acme.example"]
    database.execute(
        """insert into users (account_id, email, password_digest, name, role, created_at, updated_at)
           select account_id, unnest(%s::text[]), password_digest, name, role, created_at, updated_at
             from users where id = 2""",
        [names],
    )
    yield
    database.execute("delete from users where email = any (%s)", [names])


def sign_in(sides: Sides, side: str, **fields: Any) -> tuple[Reply, dict[str, Any]]:
    body = given(**{"email": "agent1@acme.example", "password": "password"} | fields)
    reply = sides.ask(side, Case("sign in", 200, "/auth/login", "POST", None, body))
    assert reply.status == 200, reply
    return reply, json.loads(reply.body)


def parts(token: str) -> list[dict[str, Any]]:
    """A token's header and claims."""
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


@pytest.mark.parametrize(("email", "fields"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_signing_in_is_answered_alike(sides: Sides, email: str, fields: dict[str, Any]) -> None:
    (legacy, theirs), (native, ours) = sign_in(sides, LEGACY, **fields), sign_in(sides, NATIVE, **fields)
    assert list(theirs) == list(ours) == ["accessToken", "refreshToken", "user"]
    assert json.dumps(ours["user"]) == json.dumps(theirs["user"])
    assert ours["user"]["email"] == email
    for session in (theirs, ours):
        assert re.fullmatch(r"[\w-]{43}", session["refreshToken"], re.ASCII)
    assert native.compared | {"etag": ""} == legacy.compared | {"etag": ""}
    assert native.headers["cache-control"] == "no-store"
    assert native.headers["etag"] == native.tag_of_body


def test_access_tokens_are_made_alike(sides: Sides) -> None:
    (theirs, their_claims), (ours, our_claims) = (
        parts(sign_in(sides, side)[1]["accessToken"]) for side in (LEGACY, NATIVE)
    )
    assert ours == theirs
    for claims in (their_claims, our_claims):
        assert claims["exp"] - claims["iat"] == 900
        assert str(uuid.UUID(claims["jti"])) == claims["jti"]
    assert abs(our_claims["iat"] - their_claims["iat"]) < 60
    varies = {"iat": 0, "exp": 0, "jti": ""}
    assert list((our_claims | varies).items()) == list((their_claims | varies).items())


@pytest.mark.parametrize("issuer", [LEGACY, NATIVE])
def test_a_token_of_either_side_works_on_both(sides: Sides, issuer: str) -> None:
    token = sign_in(sides, issuer)[1]["accessToken"]
    bearer = (("Authorization", f"Bearer {token}"),)
    sides.compare(Case("with the token", 200, "/api/v1/conversations?limit=1", token=None, headers=bearer))


def test_what_a_sign_in_leaves_is_alike(sides: Sides, database: psycopg.Connection, redis: Redis) -> None:
    for side in (LEGACY, NATIVE):
        database.execute("update users set last_sign_in_at = null where id = 2")
        before = database.execute("select updated_at from users where id = 2").fetchone()
        refresh_token = sign_in(sides, side)[1]["refreshToken"]
        key = f"refresh:token:{refresh_token}"
        assert redis.get(key) == "2"
        assert 604_700 < redis.ttl(key) <= 604_800
        fresh = "last_sign_in_at between timezone('utc', now()) - interval '1 minute' and timezone('utc', now())"
        assert database.execute(f"select {fresh} from users where id = 2").fetchone() == (True,)  # noqa: S608  literals
        assert database.execute("select updated_at from users where id = 2").fetchone() == before


def test_a_failed_sign_in_leaves_nothing(sides: Sides, database: psycopg.Connection, redis: Redis) -> None:
    def everything() -> tuple[Any, ...]:
        return database.execute("select max(last_sign_in_at) from users").fetchone(), redis.keys("refresh:*")

    before = everything()
    for side in (LEGACY, NATIVE):
        body = given(email="agent1@acme.example", password="wrong")
        assert sides.ask(side, Case("wrong", 401, "/auth/login", "POST", None, body)).status == 401
    assert everything() == before
