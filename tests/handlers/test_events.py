from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio
from redis import Redis
from structlog.testing import capture_logs

from demo.stack import start_redis
from handlers.events import Broadcast, ConversationUpdated, MessageCreated, broadcast, command, hand_on
from handlers.resources import Settings, redis_client

MESSAGE = {"id": 7, "conversationId": 3, "content": "<secret>"}
CREATED = MessageCreated(MESSAGE)


@pytest.fixture
async def client(settings: Settings) -> redis.asyncio.Redis:
    return redis_client(settings)


def test_what_happened_to_a_conversation_is_broadcast_to_its_room() -> None:
    assert broadcast(CREATED) == Broadcast("conversation:3", {"event": "message.created", "data": MESSAGE})
    conversation = {"id": 3, "status": "open"}
    assert broadcast(ConversationUpdated(conversation)) == Broadcast(
        "conversation:3", {"event": "conversation.updated", "data": conversation}
    )


def test_a_broadcast_goes_to_the_stream_with_the_prefix_of_the_cable() -> None:
    told = Broadcast("conversation:3", {"a": "<"})
    assert command(told, "") == ("publish", "conversation:3", rb'{"a":"\u003c"}')
    assert command(told, "acme") == ("publish", "acme:conversation:3", rb'{"a":"\u003c"}')


async def test_everything_is_broadcast(client: redis.asyncio.Redis, redis: Redis) -> None:
    with redis.pubsub() as channel:  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        channel.subscribe("conversation:3", "conversation:4")
        assert channel.get_message(timeout=5)
        assert channel.get_message(timeout=5)
        await hand_on([CREATED, MessageCreated(MESSAGE | {"conversationId": 4})], client, "", "request")
        rooms = [message["channel"] for message in (channel.get_message(timeout=5), channel.get_message(timeout=5))]
    assert rooms == ["conversation:3", "conversation:4"]
    await client.aclose()


async def test_a_broadcast_that_fails_does_not_hold_back_the_others(client: redis.asyncio.Redis, redis: Redis) -> None:
    # Nobody may speak in the first room.
    redis.execute_command("ACL", "SETUSER", "default", "resetchannels", "&conversation:4")
    try:
        with capture_logs() as logs:
            await hand_on([CREATED, MessageCreated(MESSAGE | {"conversationId": 4})], client, "", "request")
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "allchannels")
    (lost,) = logs
    assert (lost["event"], lost["stream"]) == ("broadcast_lost", "conversation:3")
    assert lost["request_id"] == "request"
    await client.aclose()


async def test_without_redis_it_is_logged_and_nothing_is_raised(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    stopped = redis_client(Settings(settings.database_url, server.url(), settings.jwt_secret, redis_wait=0.2))
    await stopped.ping()
    server.service.kill()
    with capture_logs() as logs:
        await hand_on([CREATED], stopped, "", "request")
    (lost,) = logs
    assert lost["log_level"] == "error"
    assert lost["streams"] == ["conversation:3"]
    assert "secret" not in str(logs)
    await stopped.aclose()


async def test_a_broadcast_that_cannot_even_be_written_is_logged_and_not_raised(client: redis.asyncio.Redis) -> None:
    with capture_logs() as logs:
        await hand_on([MessageCreated(MESSAGE | {"content": object()})], client, "", "request")
    assert [entry["event"] for entry in logs] == ["broadcasts_lost"]
    await client.aclose()


async def test_nothing_that_happened_asks_nothing_of_redis(client: redis.asyncio.Redis, redis: Redis) -> None:
    before = redis.info("stats")["total_connections_received"]
    await hand_on([], client, "", "request")
    assert redis.info("stats")["total_connections_received"] == before
