"""What others hear of after a commit: broadcasts, jobs and forgotten cache entries, each on its own."""

from __future__ import annotations

import asyncio
import secrets
import time
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


Event = MessageCreated


@dataclass(frozen=True, slots=True)
class Broadcast:
    """To the subscribers of an ActionCable stream, whichever side holds their connection."""

    stream: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Enqueue:
    """A job in Sidekiq's own format: whoever works the queue cannot tell who enqueued it."""

    job: str
    args: tuple[Any, ...]
    queue: str = "default"


@dataclass(frozen=True, slots=True)
class Forget:
    """Cache entries that are no longer true."""

    keys: tuple[str, ...]


Effect = Broadcast | Enqueue | Forget


def effects(event: Event) -> tuple[Effect, ...]:
    message = event.message
    room = f"conversation:{message['conversationId']}"
    return (
        Broadcast(room, {"event": "message.created", "data": message}),
        Enqueue("NotifyAgentsJob", (message["id"],)),
        Forget((room, f"{room}:messages")),
    )


def commands(effect: Effect, cable_prefix: str, job_id: str, now: float) -> tuple[Command, ...]:
    """The effect as Redis understands it."""
    match effect:
        case Broadcast(stream, payload):
            channel = f"{cable_prefix}:{stream}" if cable_prefix else stream
            return (("publish", channel, encode(payload)),)
        case Enqueue(job, args, queue):
            payload = {
                "retry": True,
                "queue": queue,
                "class": job,
                "args": args,
                "jid": job_id,
                "created_at": now,
                "enqueued_at": now,
            }
            return ("sadd", "queues", queue), ("lpush", f"queue:{queue}", encode(payload))
        case Forget(keys):
            return (("del", *keys),)


def describe(effect: Effect) -> str:
    """For logs, which are no place for what people write to each other."""
    match effect:
        case Broadcast(stream):
            return f"broadcast to {stream}"
        case Enqueue(job, args):
            return f"{job}{args}"
        case Forget(keys):
            return f"forget {', '.join(keys)}"


async def hand_on(
    events: Iterable[Event], redis: Redis, cable_prefix: str, request_id: str, seconds: float = 1.0
) -> None:
    """Carries out every effect, all in one round trip that may take so many seconds.

    One that fails is logged; the others do not notice.
    """
    todo = [effect for event in events for effect in effects(event)]
    if not todo:
        return
    pipeline, owners = redis.pipeline(transaction=False), []
    try:
        for effect in todo:
            for command in commands(effect, cable_prefix, secrets.token_hex(12), time.time()):
                pipeline.execute_command(*command)
                owners.append(effect)
        async with asyncio.timeout(seconds):
            outcomes = await pipeline.execute(raise_on_error=False)
    except Exception as error:  # whatever it is: the work is committed, and its answer stays what it is
        log.error("effects_lost", request_id=request_id, effects=[*map(describe, todo)], error=repr(error))
        return
    for effect, outcome in zip(owners, outcomes, strict=True):
        if isinstance(outcome, Exception):
            log.error("effect_lost", request_id=request_id, effect=describe(effect), error=repr(outcome))
