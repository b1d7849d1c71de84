"""Flags, ramps and counts on Redis, for every worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError
from tenacity import retry, retry_if_exception_type, wait_random_exponential

from flags.audit import MOST, Note, Record, encode_note
from flags.breath import Breath
from flags.capacity import Load
from flags.errors import Overtaken, Stale, StoreUnavailable
from flags.flag import Flag, decode, encode
from flags.ramp import Ramp
from flags.store import Write, ramps, trail
from flags.store.client import connect
from flags.store.layout import (
    AUDIT,
    CHANGE,
    FLAGS,
    NOTE,
    RAMPS,
    READ_FLAGS,
    READ_SUM,
    REPORT,
    SEED,
    VERSION,
    channel,
    counts_in,
    fields_of,
    generation_in,
    part_key,
    sum_key,
)
from flags.store.place import Place
from flags.window import Cells, Counts, Key, Second, Seconds

LIMIT = 1.0  # seconds that any one call may take, connecting included
BEAT = 5.0  # seconds of silence on the subscription until it is asked whether it lives
PAUSE = 0.05  # seconds before a lost subscription is renewed, for a server may drop every one

Said = tuple[str, int, str, str, int | str]  # of a change: as the script takes it

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class RedisStore:
    def __init__(self, url: str, limit: float = LIMIT, beat: float = BEAT) -> None:
        place = Place.parse(url)
        self._client = connect(place, limit, decode_responses=True, encoding_errors="replace")
        self._limit, self._beat = limit, beat
        self._where = f"Redis at {place.shown}"
        self._channel = channel(self._client.connection_pool.connection_kwargs.get("db", 0))
        self._unreadable: dict[str, str] = {}
        self._flags: dict[str, tuple[str, Flag]] = {}  # as they were read last, and what that says
        self._digest = ""
        self._seconds: dict[int, tuple[str, Second]] = {}  # by version

    async def flags(self) -> Mapping[str, Flag]:
        async with self._reaching():
            found = await self._client.eval(READ_FLAGS, 1, FLAGS, self._digest)
        if found is not None:
            # Without a breath: of a thousand routes that were rolled back, native would answer requests in between.
            before, (self._digest, fields) = self._flags, found
            self._flags = {}
            for route, text in zip(fields[::2], fields[1::2], strict=True):
                known = before.get(route)
                self._flags[route] = known if known and known[0] == text else (text, self._read(route, text))
        return {route: flag for route, (_, flag) in self._flags.items()}

    async def change(self, route: str, expected: int, flag: Flag, note: Note, ramp: int | None = None) -> None:
        said = route, expected, encode(flag), encode_note(note), "" if ramp is None else ramp
        stood = await self._change([said])
        if stood.get(route) == 0:
            raise Overtaken(route)
        if route in stood:
            raise Stale(route, self._read(route, stood[route]))

    async def change_all(self, writes: Sequence[Write]) -> Mapping[str, Flag]:
        said = [(each.route, each.expected, encode(each.flag), encode_note(each.note), "") for each in writes]
        return {route: self._read(route, text) for route, text in (await self._change(said)).items()}

    async def _change(self, said: Sequence[Said]) -> Mapping[str, Any]:
        """What stood in the way of these changes, by route."""
        keys, words = (FLAGS, AUDIT, RAMPS), [word for each in said for word in each]
        async with self._reaching():
            found = await self._client.eval(CHANGE, len(keys), *keys, self._channel, MOST, *words)
        # Our own text means that this change arrived before, and its answer was lost with the connection.
        return {route: text for (route, _, own, _, _), text in zip(said, found, strict=True) if text not in (None, own)}

    async def seed(self, flags: Mapping[str, Flag], note: Note) -> Collection[str]:
        told = [text for route, flag in flags.items() for text in (route, encode(replace(flag, generation=1)))]
        async with self._reaching():
            written: list[str] = await self._client.eval(
                SEED, 2, FLAGS, AUDIT, self._channel, MOST, encode_note(note), *told
            )
        return written

    async def note(self, route: str, note: Note) -> None:
        async with self._reaching():
            await self._client.eval(NOTE, 2, FLAGS, AUDIT, route, self._channel, MOST, encode_note(note))

    async def audit(self, count: int, route: str | None = None) -> Sequence[Record]:
        async with self._reaching():
            return await trail.latest(self._client, count, route)

    async def audited(self, after: str, count: int) -> Sequence[Record]:
        async with self._reaching():
            return await trail.behind(self._client, after, count)

    async def changes(self) -> AsyncGenerator[None, None]:
        while True:
            async with aclosing(self._client.pubsub()) as subscription:
                await self._subscribe(subscription)
                try:
                    while True:
                        await self._news(subscription)
                        yield
                except (RedisError, OSError) as error:
                    why = str(error) or "no answer in time"
                    log.warning("the subscription to flag changes is lost: trying again", error=why)
            await asyncio.sleep(PAUSE)

    async def report(self, worker: str, cells: Cells, keep: int) -> None:
        async with self._reaching(), self._client.pipeline(transaction=False) as commands:
            for second, fields in fields_of(cells).items():
                commands.eval(REPORT, 2, sum_key(second), part_key(second, worker), keep, VERSION, *fields)
            await commands.execute()

    async def window(self, first: int, last: int) -> Seconds:
        # A second moves while its requests are open and hardly ever after: most of the window was read before.
        async with self._reaching(), self._client.pipeline(transaction=False) as commands:
            for second in range(first, last + 1):
                commands.hget(sum_key(second), VERSION)
            versions = dict(zip(range(first, last + 1), await commands.execute(), strict=True))
            known = {second: read for second, read in self._seconds.items() if read[0] == versions.get(second)}
            moved = [second for second, version in versions.items() if version and second not in known]
            for second in moved:
                commands.eval(READ_SUM, 1, sum_key(second), VERSION)
            found = await commands.execute()
        for second, (version, text) in zip(moved, found, strict=True):
            known[second] = version, await self._counts(text)
        self._seconds = known
        return {second: counted for second, (_, counted) in known.items()}

    async def _counts(self, text: str) -> Second:
        counted, breath = dict[Key, Counts](), Breath()
        try:
            for key, counts in counts_in(text):
                counted[key] = counts
                await breath.taken()
        except ValueError as error:
            raise StoreUnavailable(f"{self._where} holds counts that are not ours: {error}") from error
        return counted

    async def ramps(self) -> Mapping[str, Ramp]:
        async with self._reaching():
            return await ramps.read(self._client)

    async def ramp(self, route: str, expected: int, ramp: Ramp, note: Note | None = None) -> bool:
        async with self._reaching():
            return await ramps.write(self._client, route, expected, ramp, note, self._channel)

    async def carry(self, worker: str, loads: Mapping[int, Load]) -> None:
        async with self._reaching():
            await ramps.carry(self._client, worker, loads)

    async def carried(self, first: int, last: int) -> Mapping[int, Load]:
        async with self._reaching():
            return await ramps.carried(self._client, first, last)

    async def close(self) -> None:
        await self._client.aclose()

    def _read(self, route: str, text: str) -> Flag:
        """A flag that cannot be read is a share of 0: whatever was meant, legacy is safe."""
        generation = generation_in(text)
        try:
            flag = decode(text)
            if flag.generation != generation:
                raise ValueError(f"generation: {flag.generation} or {generation}")
        except (ValueError, RecursionError) as error:
            if self._unreadable.get(route) != text:
                self._unreadable[route] = text
                log.error("a flag cannot be read: legacy answers this route", route=route, error=str(error))
            return Flag(generation=generation)
        return flag

    @retry(retry=retry_if_exception_type((RedisError, OSError)), wait=wait_random_exponential(multiplier=0.05, max=2))
    async def _subscribe(self, subscription: PubSub) -> None:
        async with asyncio.timeout(self._limit):
            await subscription.subscribe(self._channel)

    async def _news(self, subscription: PubSub) -> None:
        """Return once anything is heard, be it that the subscription stands: before that, all may have changed."""
        # A lost connection is renewed by the client within this time, and may hang at it.
        async with asyncio.timeout(2 * self._beat + self._limit):
            if not await subscription.get_message(timeout=self._beat):
                await subscription.ping()
                if not await subscription.get_message(timeout=self._beat):
                    raise Lost(f"no sign of life for {2 * self._beat:g} s")
            while await subscription.get_message(timeout=0):
                pass  # one look at the store covers all that was said before it

    @asynccontextmanager
    async def _reaching(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limit):
                yield
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"{self._where}: {str(error) or 'no answer in time'}") from error
