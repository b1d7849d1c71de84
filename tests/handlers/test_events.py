from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs

from demo.stack import start_redis
from handlers.events import Broadcast, ConversationUpdated, MessageCreated, broadcast, command, hand_on
from handlers.resources import Resources, Settings

MESSAGE = {"id": 7, "conversationId": 3, "content": "<secret>"}
CREATED = MessageCreated(MESSAGE)


@pytest.fixture
async def held(settings: Settings) -> AsyncIterator[Resources]:
    """Not opened: no job is relayed meanwhile."""
    held = Resources(settings)
    yield held
    await held.redis.aclose()


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


async def test_everything_is_broadcast(held: Resources, redis: Redis) -> None:
    with redis.pubsub() as channel:  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        channel.subscribe("conversation:3", "conversation:4")
        assert channel.get_message(timeout=5)
        assert channel.get_message(timeout=5)
        await hand_on([CREATED, MessageCreated(MESSAGE | {"conversationId": 4})], held, "request")
        rooms = [message["channel"] for message in (channel.get_message(timeout=5), channel.get_message(timeout=5))]
    assert rooms == ["conversation:3", "conversation:4"]


async def test_a_broadcast_that_fails_does_not_hold_back_the_others(held: Resources, redis: Redis) -> None:
    # Nobody may speak in the first room.
    redis.execute_command("ACL", "SETUSER", "default", "resetchannels", "&conversation:4")
    try:
        with capture_logs() as logs:
            await hand_on([CREATED, MessageCreated(MESSAGE | {"conversationId": 4})], held, "request")
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "allchannels")
    (lost,) = logs
    assert (lost["event"], lost["stream"]) == ("broadcast_lost", "conversation:3")
    assert lost["request_id"] == "request"


async def test_without_redis_it_is_logged_and_nothing_is_raised(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    stopped = Resources(replace(settings, redis_url=server.url()))
    await stopped.redis.ping()
    server.service.kill()
    with capture_logs() as logs:
        await hand_on([CREATED], stopped, "request")
    await stopped.redis.aclose()
    (lost,) = logs
    assert (lost["event"], lost["log_level"]) == ("broadcasts_lost", "error")
    assert lost["streams"] == ["conversation:3"]
    assert "secret" not in str(logs)


async def test_of_broadcasts_to_a_redis_that_hangs_one_waits(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with server.service:
        hurried = Resources(replace(settings, redis_url=server.url()))
        await hurried.redis.ping()
        hurried.settings = replace(hurried.settings, redis_wait=0.05)
        server.service.pause()
        told: list[str] = []
        while "cache_away" not in told:  # what our own event loop was late for says nothing of Redis
            with capture_logs() as logs:
                await hand_on([CREATED], hurried, "request")
            told = [entry["event"] for entry in logs]
        with capture_logs() as logs:
            for _ in range(2):
                await hand_on([CREATED], hurried, "request")
        await hurried.redis.aclose()
    assert told == ["cache_away", "broadcasts_lost"]
    assert [entry["event"] for entry in logs] == ["broadcasts_lost"] * 2


async def test_a_broadcast_that_cannot_even_be_written_is_logged_and_not_raised(held: Resources) -> None:
    with capture_logs() as logs:
        await hand_on([MessageCreated(MESSAGE | {"content": object()})], held, "request")
    assert [entry["event"] for entry in logs] == ["broadcasts_lost"]


async def test_nothing_that_happened_asks_nothing_of_redis(held: Resources, redis: Redis) -> None:
    before = redis.info("stats")["total_connections_received"]
    await hand_on([], held, "request")
    assert redis.info("stats")["total_connections_received"] == before
