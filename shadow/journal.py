"""The mismatches, for people to act on: a record for each route, field and kind, in memory or in Redis.

Both redact what they are given before they keep it, so that no journal ever holds a raw value. Both are bounded: each
route has a number of entries of its own, as many again for what could not be confirmed, each entry a few samples, and
what nobody touches goes after a while.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from .breath import in_breaths
from .excerpt import EVERYTHING_HIDDEN, SALT, Shown
from .layout import PREFIX, RECORD, TURN, entry_key, index_key, salt_key, samples_key
from .mismatch import (
    LONGEST,
    SAMPLES,
    Act,
    Finding,
    Mismatch,
    Sample,
    Seen,
    State,
    decode_act,
    decode_sample,
    encode_act,
    encode_sample,
    seen,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

ENTRIES: Final = 50  # of one route
AGE: Final = LONGEST * 24 * 3600  # seconds after an entry was seen or acted on: no mute ends later
PAGE: Final = 200  # entries read at a time

Wanted = Callable[[Mismatch], bool]


class Journal(Protocol):
    async def record(self, finding: Finding) -> None:
        """Count the finding, and keep what of it may be kept. What was resolved is open again."""
        ...

    async def latest(self, count: int, route: str | None = None, wanted: Wanted = lambda each: True) -> list[Mismatch]:
        """Those that are wanted, without their samples, the one touched last first; of one route if it is named."""
        ...

    async def find(self, id: str) -> Mismatch | None:
        """The one of this id, with its samples, the newest first."""
        ...

    async def turn(self, id: str, act: Act) -> bool:
        """Note what somebody made of it, in place of what was made of it before; False if there is none of this id."""
        ...


class MemoryJournal:
    def __init__(self, shown: Mapping[str, Shown] | None = None, entries: int = ENTRIES) -> None:
        self._shown, self._entries, self._salt = shown or {}, entries, os.urandom(SALT)
        self._kept: dict[str, tuple[float, Mismatch]] = {}  # with when it was touched, in that order

    async def record(self, finding: Finding) -> None:
        found = [each async for each in _redacted(finding, self._salt, self._shown)]
        await asyncio.sleep(0)  # what follows is done at once, so that there is always room made for what is added
        for told in found:
            _, known = self._kept.pop(told.id, (0.0, None))
            self._kept[told.id] = finding.at, _counted(known, told)
        alike = finding.route, finding.confirmed
        mine = [each for _, each in self._kept.values() if (each.route, each.confirmed) == alike]
        old = [id for id, (touched, _) in self._kept.items() if touched <= finding.at - AGE]
        for id in {*_making_room(mine, self._entries), *old}:
            del self._kept[id]

    async def latest(self, count: int, route: str | None = None, wanted: Wanted = lambda each: True) -> list[Mismatch]:
        kept = [replace(each, samples=()) for _, each in reversed(self._kept.values())]
        return [each for each in kept if route in (None, each.route) and wanted(each)][: max(0, count)]

    async def find(self, id: str) -> Mismatch | None:
        return self._kept[id][1] if id in self._kept else None

    async def turn(self, id: str, act: Act) -> bool:
        if id not in self._kept:
            return False
        _, known = self._kept.pop(id)
        self._kept[id] = act.at, replace(known, act=act, reopened=None)
        return True


def _making_room(kept: Sequence[Mismatch], entries: int) -> list[str]:
    """The ids of those that are too many; the one that was touched longest ago comes first in what is kept.

    What nobody has acted on goes first, because an act that is lost is an entry that comes back. But half of the room
    is kept for what is new.
    """
    acted = [each.id for each in kept if each.act is not None]
    plain = [each.id for each in kept if each.act is None]
    over = max(0, len(kept) - entries)
    first = min(over, max(0, len(plain) - entries // 2))
    return plain[:first] + acted[: over - first]


def _redacted(finding: Finding, salt: bytes, shown: Mapping[str, Shown]) -> AsyncIterator[Seen]:
    return in_breaths(seen(finding, salt, shown.get(finding.route, EVERYTHING_HIDDEN)))


def _counted(known: Mismatch | None, told: Seen) -> Mismatch:
    at = told.sample.at
    if known is None:
        found = Mismatch(told.id, told.route, told.field, told.kind, 1, at, at, samples=(told.sample,))
        return replace(found, confirmed=told.confirmed)
    samples, reopened = (told.sample, *known.samples)[:SAMPLES], known.reopened
    if known.act is not None and known.act.state is State.RESOLVED and reopened is None:
        reopened = at
    return replace(known, count=known.count + 1, last=max(known.last, at), reopened=reopened, samples=samples)


class RedisJournal:
    """Shared by all workers. What goes wrong with Redis is raised as Redis' own errors."""

    def __init__(
        self,
        client: Redis,
        shown: Mapping[str, Shown] | None = None,
        entries: int = ENTRIES,
        prefix: str = PREFIX,
    ) -> None:
        self._client, self._shown, self._entries, self._prefix = client, shown or {}, entries, prefix
        self._salt = os.urandom(SALT).hex()  # a proposal, until Redis tells which one is in force

    async def record(self, finding: Finding) -> None:
        while (salt := await self._written(finding)) is not None:
            self._salt = salt  # somebody else's was first: the digests are made anew

    async def _written(self, finding: Finding) -> str | None:
        """None once it is; else the salt that is in force."""
        told: list[str] = []
        async for each in _redacted(finding, bytes.fromhex(self._salt), self._shown):
            told += (each.id, each.field, each.kind, encode_sample(each.sample))
        mine = index_key(self._prefix, finding.route, confirmed=finding.confirmed)
        keys = [salt_key(self._prefix), index_key(self._prefix), mine]
        given = [self._salt, self._prefix, finding.route, repr(finding.at), f"{AGE}", f"{self._entries}", f"{SAMPLES}"]
        confirmed = "1" if finding.confirmed else ""
        said: Any = await self._client.eval(RECORD, len(keys), *keys, *given, confirmed, *told)
        return None if said is None else _text(said)

    async def latest(self, count: int, route: str | None = None, wanted: Wanted = lambda each: True) -> list[Mismatch]:
        found: list[Mismatch] = []
        ids = await self._ids(route)
        for first in range(0, len(ids), PAGE):
            if len(found) >= count:
                break
            page = [_text(id) for id in ids[first : first + PAGE]]
            async with self._client.pipeline(transaction=False) as commands:
                for id in page:
                    commands.hgetall(entry_key(self._prefix, id))
                entries = await commands.execute()
            read = (_read(id, fields) for id, fields in zip(page, entries, strict=True))
            found += [each for each in read if each is not None and wanted(each)]
        return found[: max(0, count)]

    async def _ids(self, route: str | None) -> Sequence[Any]:
        """The one touched last first."""
        if route is None:
            return await self._client.zrevrange(index_key(self._prefix), 0, -1)
        async with self._client.pipeline(transaction=True) as commands:
            for confirmed in (True, False):
                commands.zrange(index_key(self._prefix, route, confirmed=confirmed), 0, -1, withscores=True)
            found = [each for ids in await commands.execute() for each in ids]
        return [id for id, _ in sorted(found, key=lambda each: each[1], reverse=True)]

    async def find(self, id: str) -> Mismatch | None:
        async with self._client.pipeline(transaction=True) as commands:
            commands.hgetall(entry_key(self._prefix, id))
            commands.lrange(samples_key(self._prefix, id), 0, SAMPLES - 1)
            fields, samples = await commands.execute()
        return _read(id, fields, samples)

    async def turn(self, id: str, act: Act) -> bool:
        keys = [entry_key(self._prefix, id), samples_key(self._prefix, id), index_key(self._prefix)]
        resolves = "1" if act.state is State.RESOLVED else ""
        told = [self._prefix, id, repr(act.at), f"{AGE}", encode_act(act), resolves]
        return bool(await self._client.eval(TURN, len(keys), *keys, *told))


def _read(id: str, fields: Mapping[Any, Any], samples: Sequence[Any] = ()) -> Mismatch | None:
    """The entry as it was written; None if there is none, or another version of this program wrote it differently."""
    try:
        told = {_text(name): _text(value) for name, value in fields.items()}
        return Mismatch(
            id=id,
            route=told["route"],
            field=told["field"],
            kind=told["kind"],
            count=int(told["count"]),
            first=float(told["first"]),
            last=float(told["last"]),
            act=decode_act(told["act"]) if "act" in told else None,
            reopened=float(told["reopened"]) if "reopened" in told else None,
            confirmed=told.get("confirmed") != "",
            samples=tuple(_samples(samples)),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _samples(told: Sequence[Any]) -> Iterator[Sample]:
    """Those that can be read: another version of this program may have seen the same."""
    for sample in told:
        with suppress(ValueError, KeyError, TypeError):
            yield decode_sample(_text(sample))


def _text(value: Any) -> str:
    """Redis' answers are bytes or text, as its client was told."""
    return value.decode() if isinstance(value, bytes) else str(value)
