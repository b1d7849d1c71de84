"""How far each webhook has been told of the audit, by whom, and what could not be delivered: in memory or on Redis."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.asyncio import Redis

from flags.audit import BEGINNING, Record
from flags.store import Store
from flags.store.layout import AUDIT, PREFIX

KEPT: Final = 100  # undeliverable records of one webhook that are kept: the newest
LEASE: Final = 30.0  # seconds after which another worker takes over from a sender that is not heard of

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """`undelivered` is a count, `latest` holds the newest of them, newest first."""

    delivered: int
    undelivered: int
    latest: Sequence[Told]


class Deliveries(Protocol):
    async def take(self, hook: str, sender: str) -> str | None:
        """The id of the record behind which this sender goes on; None while another one is at it.

        A webhook that was never heard of begins with what happens next.
        """
        ...

    async def done(self, hook: str, sender: str, id: str, delivered: int, failed: Sequence[Told]) -> bool:
        """Everything up to the record `id` is delivered or, `failed`, given up and kept; false if another is at it."""
        ...

    async def leave(self, hook: str, sender: str) -> None:
        """This sender stops: another one need not wait."""
        ...

    async def state(self, hook: str) -> State: ...


class MemoryDeliveries:
    """There is one worker, and one sender."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places: dict[str, str] = {}
        self._counts, self._failed = Counter[tuple[str, bool]](), dict[str, deque[Told]]()

    async def take(self, hook: str, sender: str) -> str | None:
        if hook not in self._places:
            newest: Sequence[Record] = await self._store.audit(1)
            self._places[hook] = newest[0].id if newest else BEGINNING
        return self._places[hook]

    async def done(self, hook: str, sender: str, id: str, delivered: int, failed: Sequence[Told]) -> bool:
        self._places[hook] = id
        self._counts[hook, True] += delivered
        self._counts[hook, False] += len(failed)
        self._failed.setdefault(hook, deque(maxlen=KEPT)).extendleft(failed)
        return True

    async def leave(self, hook: str, sender: str) -> None:
        """There is no other."""

    async def state(self, hook: str) -> State:
        latest = list(self._failed.get(hook, ()))
        return State(self._counts[hook, True], self._counts[hook, False], latest)


# KEYS: the webhook's sender, its state, the audit. ARGV: who asks, milliseconds. Answers with where to go on.
TAKE = """
local sender = redis.call('GET', KEYS[1])
if sender and sender ~= ARGV[1] then return false end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local place = redis.call('HGET', KEYS[2], 'place')
if not place then
  local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
  place = newest[1] and newest[1][1] or '0-0'
  redis.call('HSET', KEYS[2], 'place', place)
end
return place
"""

# KEYS: the webhook's sender, its state, its undelivered. ARGV: who asks, place, number delivered, how many are kept,
# then what failed.
DONE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'place', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'delivered', ARGV[3])
redis.call('HINCRBY', KEYS[2], 'undelivered', #ARGV - 4)
for i = 5, #ARGV do redis.call('LPUSH', KEYS[3], ARGV[i]) end
redis.call('LTRIM', KEYS[3], 0, ARGV[4] - 1)
return 1
"""


# KEYS: the webhook's sender. ARGV: who leaves.
LEAVE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class RedisDeliveries:
    """Shared by all workers. What goes wrong with Redis is raised as Redis' own errors; the caller bounds each call."""

    def __init__(self, client: Redis, lease: float = LEASE) -> None:
        self._client, self._lease = client, lease

    async def take(self, hook: str, sender: str) -> str | None:
        keys = _key(hook, "sender"), _key(hook, "state"), AUDIT
        place = await self._client.eval(TAKE, 3, *keys, sender, int(self._lease * 1000))
        return None if place is None else _text(place)

    async def done(self, hook: str, sender: str, id: str, delivered: int, failed: Sequence[Told]) -> bool:
        keys = _key(hook, "sender"), _key(hook, "state"), _key(hook, "undelivered")
        told = [json.dumps(each) for each in failed]
        return bool(await self._client.eval(DONE, 3, *keys, sender, id, delivered, KEPT, *told))

    async def leave(self, hook: str, sender: str) -> None:
        await self._client.eval(LEAVE, 1, _key(hook, "sender"), sender)

    async def state(self, hook: str) -> State:
        async with self._client.pipeline() as commands:
            commands.hmget(_key(hook, "state"), "delivered", "undelivered")
            commands.lrange(_key(hook, "undelivered"), 0, -1)
            (delivered, undelivered), latest = await commands.execute()
        return State(int(delivered or 0), int(undelivered or 0), [json.loads(each) for each in latest])


def _key(hook: str, what: str) -> str:
    return f"{PREFIX}:webhook:{hook}:{what}"


def _text(value: Any) -> str:
    """Redis' answers are bytes or text, as its client was told."""
    return value.decode() if isinstance(value, bytes) else str(value)
