from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis.asyncio
from redis import Redis
from structlog.testing import capture_logs

from demo.stack import start_redis
from handlers.events import Broadcast, Enqueue, Forget, MessageCreated, commands, effects, hand_on
from handlers.resources import Settings, redis_client

MESSAGE = {"id": 7, "conversationId": 3, "content": "<secret>"}
CREATED = MessageCreated(MESSAGE)


@pytest.fixture
async def client(settings: Settings) -> redis.asyncio.Redis:
    return redis_client(settings)


def test_a_created_message_is_broadcast_enqueued_and_forgotten() -> None:
    assert effects(CREATED) == (
        Broadcast("conversation:3", {"event": "message.created", "data": MESSAGE}),
        Enqueue("NotifyAgentsJob", (7,)),
        Forget(("conversation:3", "conversation:3:messages")),
    )


def test_a_broadcast_goes_to_the_stream_with_the_prefix_of_the_cable() -> None:
    broadcast = Broadcast("conversation:3", {"a": "<"})
    assert commands(broadcast, "", "", 0) == (("publish", "conversation:3", rb'{"a":"\u003c"}'),)
    assert commands(broadcast, "acme", "", 0) == (("publish", "acme:conversation:3", rb'{"a":"\u003c"}'),)


def test_a_job_has_sidekiqs_form() -> None:
    registered, pushed = commands(Enqueue("SomeJob", (1, "a"), "low"), "", "0123456789abcdef01234567", 1.5)
    assert registered == ("sadd", "queues", "low")
    assert pushed[:2] == ("lpush", "queue:low")
    assert json.loads(pushed[2]) == {
        "class": "SomeJob",
        "args": [1, "a"],
        "queue": "low",
        "retry": True,
        "jid": "0123456789abcdef01234567",
        "created_at": 1.5,
        "enqueued_at": 1.5,
    }


async def test_every_effect_is_carried_out(client: redis.asyncio.Redis, redis: Redis) -> None:
    redis.mset({"conversation:3": "old", "conversation:3:messages": "old", "conversation:4": "kept"})
    await hand_on([CREATED], client, "", "request")
    assert redis.keys("conversation:*") == ["conversation:4"]
    assert redis.llen("queue:default") == 1
    await client.aclose()


async def test_an_effect_that_fails_does_not_hold_back_the_others(client: redis.asyncio.Redis, redis: Redis) -> None:
    redis.mset({"conversation:3": "old", "queue:default": "not a list"})
    with capture_logs() as logs:
        await hand_on([CREATED], client, "", "request")
    assert redis.exists("conversation:3") == 0
    (lost,) = logs
    assert lost["effect"] == "NotifyAgentsJob(7,)"
    assert lost["request_id"] == "request"
    await client.aclose()


async def test_without_redis_the_effects_are_logged_and_nothing_is_raised(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    stopped = redis_client(Settings(settings.database_url, server.url(), settings.jwt_secret, redis_wait=0.2))
    await stopped.ping()
    server.service.kill()
    with capture_logs() as logs:
        await hand_on([CREATED], stopped, "", "request")
    (lost,) = logs
    assert lost["log_level"] == "error"
    assert len(lost["effects"]) == 3
    assert "secret" not in str(logs)
    await stopped.aclose()


async def test_an_effect_that_cannot_even_be_written_is_logged_and_not_raised(client: redis.asyncio.Redis) -> None:
    with capture_logs() as logs:
        await hand_on([MessageCreated(MESSAGE | {"content": object()})], client, "", "request")
    assert [entry["event"] for entry in logs] == ["effects_lost"]
    await client.aclose()


async def test_nothing_that_happened_asks_nothing_of_redis(client: redis.asyncio.Redis, redis: Redis) -> None:
    before = redis.info("stats")["total_connections_received"]
    await hand_on([], client, "", "request")
    assert redis.info("stats")["total_connections_received"] == before
