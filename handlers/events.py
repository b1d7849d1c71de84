"""What others hear of after a commit: broadcasts, each on its own.

Jobs must not be lost and are no effects: they are committed with what they follow (`outbox`). The cache hears of
a change before the commit already (`cache`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis

from .answers import encode

log = structlog.get_logger("handlers")

Command = tuple[str | bytes, ...]


@dataclass(frozen=True, slots=True)
class MessageCreated:
    """The message as the API shows it."""

    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConversationUpdated:
    """The conversation as the API shows it."""

    conversation: dict[str, Any]


Event = MessageCreated | ConversationUpdated


@dataclass(frozen=True, slots=True)
class Broadcast:
    """To the subscribers of an ActionCable stream, whichever side holds their connection."""

    stream: str
    payload: dict[str, Any]


Effect = Broadcast


def effects(event: Event) -> tuple[Effect, ...]:
    match event:
        case MessageCreated(message):
            room = f"conversation:{message['conversationId']}"
            return (Broadcast(room, {"event": "message.created", "data": message}),)
        case ConversationUpdated(conversation):
            room = f"conversation:{conversation['id']}"
            return (Broadcast(room, {"event": "conversation.updated", "data": conversation}),)


def command(effect: Effect, cable_prefix: str) -> Command:
    """The effect as Redis understands it."""
    match effect:
        case Broadcast(stream, payload):
            channel = f"{cable_prefix}:{stream}" if cable_prefix else stream
            return "publish", channel, encode(payload)


def describe(effect: Effect) -> str:
    """For logs, which are no place for what people write to each other."""
    match effect:
        case Broadcast(stream):
            return f"broadcast to {stream}"


async def hand_on(
    events: Iterable[Event], redis: Redis, cable_prefix: str, request_id: str, seconds: float = 1.0
) -> None:
    """Carries out every effect, all in one round trip that may take so many seconds.

    One that fails is logged; the others do not notice.
    """
    todo = [effect for event in events for effect in effects(event)]
    if not todo:
        return
    pipeline = redis.pipeline(transaction=False)
    try:
        for effect in todo:
            pipeline.execute_command(*command(effect, cable_prefix))
        async with asyncio.timeout(seconds):
            outcomes = await pipeline.execute(raise_on_error=False)
    except Exception as error:  # whatever it is: the work is committed, and its answer stays what it is
        log.error("effects_lost", request_id=request_id, effects=[*map(describe, todo)], error=repr(error))
        return
    for effect, outcome in zip(todo, outcomes, strict=True):
        if isinstance(outcome, Exception):
            log.error("effect_lost", request_id=request_id, effect=describe(effect), error=repr(outcome))
