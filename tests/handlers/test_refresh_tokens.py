from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as examples
from redis import Redis

from handlers import refresh_tokens
from handlers.refresh_tokens import LIFETIME, REVOKE, ROTATE, Pair, Session
from handlers.resources import Resources, Settings


@pytest.fixture
async def held(settings: Settings, redis: Redis) -> AsyncIterator[Resources]:
    async with Resources.open(settings) as held:
        yield held


def pair(token: str) -> Pair:
    return Pair(f"access to {token}", token)


async def test_a_token_that_is_kept_is_its_users_for_a_week(held: Resources, redis: Redis) -> None:
    await refresh_tokens.keep(held, "a", 7)
    assert await refresh_tokens.look_up(held, "a") == Session(7, None)
    assert redis.get("refresh:token:a") == "7"
    assert LIFETIME - 100 < redis.ttl("refresh:token:a") <= LIFETIME == 604_800


async def test_looking_changes_nothing(held: Resources, redis: Redis) -> None:
    await refresh_tokens.keep(held, "a", 7)
    await refresh_tokens.rotate(held, "a", pair("b"))
    before = {key: (redis.get(key), redis.expiretime(key)) for key in redis.scan_iter()}
    for token in ("a", "b", "unknown"):
        await refresh_tokens.look_up(held, token)
    assert {key: (redis.get(key), redis.expiretime(key)) for key in redis.scan_iter()} == before


async def test_a_rotation_puts_the_new_token_in_the_place_of_the_old(held: Resources, redis: Redis) -> None:
    await refresh_tokens.keep(held, "a", 7)
    redis.expire("refresh:token:a", 5)
    assert await refresh_tokens.rotate(held, "a", pair("b")) == Session(7, pair("b"))
    assert sorted(redis.keys()) == ["refresh:rotated:a", "refresh:token:b"]
    assert redis.get("refresh:token:b") == "7"
    assert LIFETIME - 100 < redis.ttl("refresh:token:b") <= LIFETIME
    assert json.loads(redis.get("refresh:rotated:a") or "") == {"accessToken": "access to b", "refreshToken": "b"}
    assert 0 < redis.ttl("refresh:rotated:a") <= 10


async def test_who_rotates_a_token_again_gets_the_pair_of_who_came_first_for_no_longer(
    held: Resources, redis: Redis
) -> None:
    await refresh_tokens.keep(held, "a", 7)
    await refresh_tokens.rotate(held, "a", pair("b"))
    until = redis.expiretime("refresh:rotated:a")
    assert await refresh_tokens.rotate(held, "a", pair("c")) == Session(7, pair("b"))
    assert await refresh_tokens.look_up(held, "a") == Session(7, pair("b"))
    assert redis.expiretime("refresh:rotated:a") == until
    redis.expireat("refresh:rotated:a", 1)
    assert await refresh_tokens.rotate(held, "a", pair("c")) is None
    assert redis.keys() == ["refresh:token:b"]


async def test_of_many_rotations_at_once_one_is_carried_out_and_told_to_all(held: Resources, redis: Redis) -> None:
    await refresh_tokens.keep(held, "a", 7)
    sessions = await asyncio.gather(*(refresh_tokens.rotate(held, "a", pair(f"b{n}")) for n in range(20)))
    assert len(set(sessions)) == 1
    assert sessions[0] is not None
    assert sessions[0].pair is not None
    assert redis.keys("refresh:token:*") == [f"refresh:token:{sessions[0].pair.refresh_token}"]


async def test_what_nobody_was_given_is_no_token(held: Resources, redis: Redis) -> None:
    for token in ("a", "", "a:b", "ä€🎉", "\r\n", "x" * 100_000):
        assert await refresh_tokens.look_up(held, token) is None
        assert await refresh_tokens.rotate(held, token, pair("b")) is None
        await refresh_tokens.revoke(held, token)
    assert redis.keys() == []


LINKS = 16  # rotations that a token is followed along
Step = tuple[str, int]
STEPS = strategies.tuples(
    strategies.sampled_from(["rotate", "rotate", "look", "revoke", "forget"]),
    strategies.integers(0, 4) | strategies.integers(LINKS, LINKS + 2),
)


@given(steps=strategies.lists(STEPS, max_size=25))
@examples(
    max_examples=150,
    deadline=None,
    # The fixture's Redis is emptied for each example by the test itself.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_is_done_in_whatever_order_one_token_of_a_session_is_good(redis: Redis, steps: list[Step]) -> None:
    """Against a model: the tokens in the order in which they were made, and how many of them are forgotten."""
    redis.flushdb()
    redis.set("refresh:token:0", 7)
    for number in range(LINKS - 1):
        redis.eval(ROTATE, 0, f"{number}", json.dumps({"accessToken": "x", "refreshToken": f"{number + 1}"}))
    made, forgotten, ended = LINKS, 0, False
    for step, number in steps:
        token, newest = max(0, made - number), made - 1  # the first is one that nobody was given yet
        known = not ended and (token == newest or forgotten <= token < newest <= token + LINKS)
        if step == "forget":  # ten seconds pass since some of the rotations, the oldest first
            forgotten = max(forgotten, min(token, newest))
            for old in range(forgotten):
                redis.delete(f"refresh:rotated:{old}")
        elif step == "revoke":
            redis.eval(REVOKE, 0, str(token))
            ended = ended or known
        else:
            proposed = [json.dumps({"accessToken": "x", "refreshToken": str(made)})] if step == "rotate" else []
            user_id, answered = redis.eval(ROTATE, 0, str(token), *proposed)
            if proposed and known and token == newest:
                made += 1
            assert user_id == ("7" if known else None)
            assert (json.loads(answered)["refreshToken"] if answered else None) == (
                str(made - 1) if known and token < made - 1 else None
            )
        assert redis.keys("refresh:token:*") == ([] if ended else [f"refresh:token:{made - 1}"])
