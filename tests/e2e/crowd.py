"""Users who read and write all the time, and what must have come of what they wrote: counted, not sampled."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

import httpx
import psycopg
from redis import Redis

USERS = 12
LIST, CREATE = "/api/v1/conversations", "/api/v1/messages"
TARGETS = (f"{LIST}?limit=1", f"{LIST}/{{}}", f"{LIST}/{{}}/messages?limit=5")

# A word for native's border, and one that its database finds in what is written.
Fault = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Write:
    """A message that somebody tried to send, and what became of it."""

    content: str
    fault: Fault
    status: int
    id: int | None


@dataclass
class Crowd:
    """Its requests fail natively in turn by each fault. `reads` counts the statuses of answers to reads."""

    url: str
    authorization: str
    conversations: Sequence[int]
    read_faults: Sequence[Fault]
    write_faults: Sequence[Fault]
    reads: Counter[int] = field(default_factory=Counter)
    writes: list[Write] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    async def work(self, reads: int, writes: int) -> None:
        """So many of each, mixed, by users who share the work."""
        every = (reads + writes) // writes if writes else reads + 1
        jobs = iter([number % every == 0 and number // every < writes for number in range(reads + writes)])
        turns = cycle(self.read_faults), cycle(self.write_faults)
        async with asyncio.TaskGroup() as users:
            for _ in range(USERS):
                users.create_task(self._user(jobs, turns))

    async def _user(self, jobs: Iterator[bool], turns: tuple[Iterator[Fault], Iterator[Fault]]) -> None:
        headers = {"Authorization": self.authorization}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60) as client:
            for writes in jobs:
                number, fault = next(self.numbers), next(turns[writes])
                conversation = self.conversations[number % len(self.conversations)]
                if writes:
                    self.writes.append(await write(client, conversation, f"crowd {number} {fault[1]}", fault))
                else:
                    target = TARGETS[number % len(TARGETS)].format(conversation)
                    answer = await client.get(target, headers={"X-Fault": fault[0]})
                    self.reads[answer.status_code] += 1


async def write(client: httpx.AsyncClient, conversation: int, content: str, fault: Fault) -> Write:
    asked = {"content": content, "conversationId": conversation}
    answer = await client.post(CREATE, json=asked, headers={"X-Fault": fault[0]})
    made = answer.json()["data"] if answer.status_code == 201 else None
    assert made is None or made["content"] == content
    return Write(content, fault, answer.status_code, made["id"] if made else None)


@dataclass
class Heard:
    """How often each message was told of, to subscribers of its conversation."""

    told: Counter[int] = field(default_factory=Counter)


@contextmanager
def listening(redis: Redis) -> Iterator[Heard]:
    """Hear every broadcast until the block ends."""
    heard, over = Heard(), threading.Event()
    with redis.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]  # redis-py's own
        subscription.psubscribe("*conversation:*")
        subscription.get_message(timeout=5)  # once this is answered nothing is missed

        def listen() -> None:
            while not over.is_set():
                message = subscription.get_message(timeout=0.1)
                event = json.loads(message["data"]) if message else {}
                if event.get("event") == "message.created":
                    heard.told[event["data"]["id"]] += 1

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield heard
        finally:
            over.set()
            thread.join()


def stored(database: psycopg.Connection) -> dict[str, list[int]]:
    """The ids under which each content of the crowd is kept."""
    rows = database.execute(
        "select content, array_agg(id) from messages where content like 'crowd %' group by content"
    ).fetchall()
    return dict(rows)


def enqueued(redis: Redis) -> Counter[tuple[str, Any]]:
    """Jobs about messages, by class and message."""
    jobs: list[Any] = redis.lrange("queue:default", 0, -1)
    decoded = [json.loads(job) for job in jobs]
    return Counter((job["class"], job["args"][0]) for job in decoded)
