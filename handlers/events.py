"""What others hear of after a commit: broadcasts, each on its own.

Jobs must not be lost: they are committed with what they follow (`outbox`). The cache hears of a change before the
commit already (`cache`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from .answers import encode

if TYPE_CHECKING:
    from .resources import Resources

log = structlog.get_logger("handlers")


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


def broadcast(event: Event) -> Broadcast:
    match event:
        case MessageCreated(message):
            return Broadcast(room(message["conversationId"]), {"event": "message.created", "data": message})
        case ConversationUpdated(conversation):
            return Broadcast(room(conversation["id"]), {"event": "conversation.updated", "data": conversation})


def room(conversation_id: int) -> str:
    return f"conversation:{conversation_id}"


def command(told: Broadcast, cable_prefix: str) -> tuple[str, str, bytes]:
    """The broadcast as Redis understands it."""
    channel = f"{cable_prefix}:{told.stream}" if cable_prefix else told.stream
    return "publish", channel, encode(told.payload)


async def hand_on(events: Iterable[Event], held: Resources, request_id: str) -> None:
    """Broadcasts all of them in one round trip, unless the cache has just found Redis away.

    One that fails is logged; the others do not notice. What people write to each other is no matter for a log.
    """
    todo = [broadcast(event) for event in events]
    if not todo:
        return
    pipeline = held.redis.pipeline(transaction=False)
    try:
        for each in todo:
            pipeline.execute_command(*command(each, held.settings.cable_prefix))
        outcomes = await held.cache.link.tell(lambda: pipeline.execute(raise_on_error=False))
    except Exception as error:  # whatever it is: the work is committed, and its answer stays what it is
        streams = [each.stream for each in todo]
        log.error("broadcasts_lost", request_id=request_id, streams=streams, error=repr(error))
        return
    for each, outcome in zip(todo, outcomes, strict=True):
        if isinstance(outcome, Exception):
            log.error("broadcast_lost", request_id=request_id, stream=each.stream, error=repr(outcome))
