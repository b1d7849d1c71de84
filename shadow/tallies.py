"""How each route's comparisons ended, for all workers: a tally for each stratum, in memory or in Redis.

They are kept by the rules that they were made by: what was compared by others says nothing of these. Each route has a
bounded number of strata, and what nobody adds to goes after a while. A person may begin a route anew, which makes it
another epoch: what was asked in an earlier one counts no more, whoever tells it, and however late.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol

from .parity import NOTHING, OTHERS, STRATA, Parity, Stratum, Tallies, Tally

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX: Final = "{strangler}:parity"
BEGUN: Final = "begun"  # the field that tells when a route's tallies were begun
EPOCH: Final = "epoch"  # and the one that tells in which of its epochs
AGE: Final = 30 * 24 * 3600  # seconds that tallies are kept after the last comparison
REMEMBERED: Final = 24 * 3600  # seconds that it is known what a worker has told
BATCH: Final = 100  # routes that are told or heard at a time

# KEYS: a route's tallies, the versions, the number of what this worker told last. ARGV: the number of this, route,
# time, age, how long numbers are remembered, how many strata there may be, what all others are called, the epoch of
# these, then stratum and three counts by turns. What was told before is told again when its answer was lost, and counts
# once. Of no epoch are those that went with age, or with all of Redis.
TELL: Final = """
if tonumber(redis.call('GET', KEYS[3]) or '0') >= tonumber(ARGV[1]) then return end
if (redis.call('HGET', KEYS[1], 'epoch') or ARGV[8]) ~= ARGV[8] then return end
redis.call('HSET', KEYS[1], 'epoch', ARGV[8])
redis.call('HSETNX', KEYS[1], 'begun', ARGV[3])
for i = 9, #ARGV, 4 do
  local field, sum = ARGV[i], {}
  if redis.call('HEXISTS', KEYS[1], field) == 0 and redis.call('HLEN', KEYS[1]) > tonumber(ARGV[6]) + 1 then
    field = ARGV[7]
  end
  for number in string.gmatch(redis.call('HGET', KEYS[1], field) or '', '%d+') do sum[#sum + 1] = tonumber(number) end
  for k = 1, 3 do sum[k] = (sum[k] or 0) + tonumber(ARGV[i + k]) end
  redis.call('HSET', KEYS[1], field, table.concat(sum, ' '))
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[5])
"""

# KEYS: a route's tallies, the versions. ARGV: route, age, the epoch that begins.
BEGIN: Final = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', ARGV[3])
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[2]) end
"""

Counted = Mapping[tuple[str, str], Tallies]  # by route, and the epoch of it that they were asked in


class Store(Protocol):
    async def tell(self, counted: Counted, now: float) -> None:
        """Add these to the fleet's, as far as their epochs last. What could not be told is told with the next ones."""
        ...

    async def hear(self) -> Mapping[str, Parity]:
        """What is known of each route that was compared or begun anew; a parity that is what it was is the same
        object."""
        ...

    async def begin(self, route: str) -> None:
        """Forget the route's tallies: what is asked from now on, once it was heard of this, is its first."""
        ...


class MemoryTallies:
    def __init__(self) -> None:
        self._parities: dict[str, Parity] = {}

    async def tell(self, counted: Counted, now: float) -> None:
        for (route, epoch), tallies in counted.items():
            known = self._parities.get(route, Parity(epoch=epoch))
            if epoch == known.epoch:
                begun = now if known.begun is None else known.begun
                self._parities[route] = Parity(begun, joined(known.strata, tallies), epoch)

    async def hear(self) -> Mapping[str, Parity]:
        return dict(self._parities)

    async def begin(self, route: str) -> None:
        self._parities[route] = Parity(epoch=_another())


class RedisTallies:
    """Shared by all workers; `worker` names this run of one. `digests`: of each route's rules. What goes wrong with
    Redis is raised as Redis' own errors."""

    def __init__(self, client: Redis, digests: Mapping[str, str], worker: str, prefix: str = PREFIX) -> None:
        self._client, self._digests, self._worker, self._prefix = client, digests, worker, prefix
        self._telling: dict[tuple[str, str], tuple[int, Tallies]] = {}  # with a number: perhaps they have arrived
        self._untold: dict[tuple[str, str], Tallies] = {}
        self._told = 0
        self._heard: dict[str, tuple[str, Parity]] = {}  # by version

    async def tell(self, counted: Counted, now: float) -> None:
        for place, tallies in counted.items():
            self._untold[place] = joined(self._untold.get(place, {}), tallies)
        while self._telling or self._untold:
            if not self._telling:
                self._number(list(islice(self._untold, BATCH)))
            async with self._client.pipeline(transaction=False) as commands:
                for (route, epoch), (number, tallies) in self._telling.items():
                    keys = self._tallies(route), self._versions, f"{self._prefix}:told:{self._worker}"
                    said = number, route, repr(now), AGE, REMEMBERED, STRATA, _field(OTHERS), epoch
                    commands.eval(TELL, len(keys), *keys, *said, *_fields(tallies))
                await commands.execute()
            self._telling = {}

    async def hear(self) -> Mapping[str, Parity]:
        versions: Mapping[Any, Any] = await self._client.hgetall(self._versions)
        known = {_text(route): _text(version) for route, version in versions.items()}
        self._heard = {route: heard for route, heard in self._heard.items() if known.get(route) == heard[0]}
        moved = iter([route for route in self._digests if route in known and route not in self._heard])
        while batch := list(islice(moved, BATCH)):
            async with self._client.pipeline(transaction=False) as commands:
                for route in batch:
                    commands.hgetall(self._tallies(route))
                found = await commands.execute()
            for route, fields in zip(batch, found, strict=True):
                self._heard[route] = known[route], _read(fields)
        return {route: parity for route, (_, parity) in self._heard.items() if parity.strata or parity.epoch}

    async def begin(self, route: str) -> None:
        await self._client.eval(BEGIN, 2, self._tallies(route), self._versions, route, AGE, _another())

    def _number(self, places: Collection[tuple[str, str]]) -> None:
        for place in places:
            self._told += 1
            self._telling[place] = self._told, self._untold.pop(place)

    def _tallies(self, route: str) -> str:
        return f"{self._prefix}:tallies:{self._digests[route]}:{route}"

    @property
    def _versions(self) -> str:
        return f"{self._prefix}:versions"


def joined(known: Tallies, more: Tallies) -> Tallies:
    """Both, of no more than `STRATA`, as the script joins them."""
    sums = dict(known)
    for stratum, tally in more.items():
        full = stratum not in sums and len(sums.keys() - {OTHERS}) >= STRATA
        place = OTHERS if full else stratum
        sums[place] = sums.get(place, NOTHING) + tally
    return sums


def _another() -> str:
    """An epoch that was never before: a Redis that was restored may have had those after it."""
    return secrets.token_hex(8)


def _field(stratum: Stratum) -> str:
    return f"{stratum.status} {stratum.role}"


def _fields(tallies: Tallies) -> Iterator[str | int]:
    for stratum, tally in tallies.items():
        yield from (_field(stratum), tally.agreed, tally.mismatched, tally.unconfirmed)


def _read(fields: Mapping[Any, Any]) -> Parity:
    """What can be read of it: another version of this program may have written more."""
    told = {_text(name): _text(value) for name, value in fields.items()}
    strata: dict[Stratum, Tally] = {}
    epoch = told.pop(EPOCH, "")
    try:
        begun = float(told.pop(BEGUN))
        for name, value in told.items():
            status, _, role = name.partition(" ")
            agreed, mismatched, unconfirmed, *_ = map(int, value.split())
            strata[Stratum(int(status), role)] = Tally(agreed, mismatched, unconfirmed)
    except (ValueError, KeyError):
        return Parity(epoch=epoch)
    return Parity(begun, strata, epoch)


def _text(value: Any) -> str:
    """Redis' answers are bytes or text, as its client was told."""
    return value.decode() if isinstance(value, bytes) else str(value)
