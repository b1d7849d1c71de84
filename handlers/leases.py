"""The steps by which answers are kept in Redis, for both sides, and are never older than the last commit.

Whoever misses an entry is given a lease, reads the database, and fills the entry if the lease is still good. Whoever
changes a row marks the keys that show it, before the COMMIT: that deletes entry and lease, and until the mark is lifted
nobody is given either, but reads the database. Who dies with a mark leaves it to expire, which it does later than
PostgreSQL would end the transaction.

An entry names the side that wrote it, and that side's epoch: `INCR cache:epoch:native` makes all of native's misses, on
both sides. The scripts are word for word those of legacy/app/services/cache/scripts.rb, and sent whole each time.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .entries import Entry
from .line import Line

WRITER = "native"

# KEYS: an entry, and the names that it shows if it shows any. ARGV: the account that asks, the side, a new token.
# Returns what to do, and with what: "hit" and the answer, "lead" and a lease, "follow" and the lease of somebody else;
# "bypass" if the entry must be neither read nor filled.
READ = """\
local now = redis.call("TIME")[1]
for _, key in ipairs(KEYS) do
  if redis.call("ZCOUNT", "cache:mark:" .. key, now, "+inf") > 0 then
    return {"bypass", ""}
  end
end
local names = ""
if KEYS[2] then
  redis.call("SET", KEYS[2], ARGV[3], "NX", "EX", 1800)
  names = redis.call("GET", KEYS[2])
end
local entry = redis.call("GET", KEYS[1])
if entry then
  local writer, epoch, account, shown, answer = string.match(entry,
    '^{"writer":"(%l+)","epoch":(%d+),"accountId":(%d+),"names":"(%x*)","answer":(.+)}$')
  if writer and shown == names and epoch == (redis.call("GET", "cache:epoch:" .. writer) or "0") then
    -- To another account it is not there, as the database will say.
    return account == ARGV[1] and {"hit", answer} or {"bypass", ""}
  end
end
local held = redis.call("GET", "cache:lease:" .. KEYS[1])
-- Not of one who may have read an old name.
if held and string.match(held, "%x*$") == names then
  return {"follow", held}
end
local epoch = redis.call("GET", "cache:epoch:" .. ARGV[2]) or "0"
local lease = ARGV[3] .. " " .. epoch .. " " .. names
redis.call("SET", "cache:lease:" .. KEYS[1], lease, "EX", 10)
return {"lead", lease}
"""

# KEYS: as above. ARGV: the lease, the side, the account, seconds, and the answer. The entry is of the epoch in which
# the lease was taken.
FILL = """\
if redis.call("GET", "cache:lease:" .. KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call("DEL", "cache:lease:" .. KEYS[1])
local epoch, names = string.match(ARGV[1], " (%d+) (%x*)$")
if KEYS[2] and redis.call("GET", KEYS[2]) ~= names then
  return 0
end
redis.call("SET", KEYS[1], '{"writer":"' .. ARGV[2] .. '","epoch":' .. epoch .. ',"accountId":' .. ARGV[3] ..
  ',"names":"' .. names .. '","answer":' .. ARGV[5] .. '}', "EX", ARGV[4])
return 1
"""

# KEYS: an entry. ARGV: the token of a lease, which nobody is going to fill.
GIVE_BACK = """\
local held = redis.call("GET", "cache:lease:" .. KEYS[1])
if held and string.match(held, "^%x+") == ARGV[1] then
  redis.call("DEL", "cache:lease:" .. KEYS[1])
end
"""

# KEYS: what is about to change. ARGV: a new token. PostgreSQL ends a transaction that has not committed ten seconds
# later: five until the COMMIT comes, and five for it.
MARK = """\
local now = redis.call("TIME")[1]
for _, key in ipairs(KEYS) do
  local marks = "cache:mark:" .. key
  redis.call("ZREMRANGEBYSCORE", marks, "-inf", "(" .. now)
  redis.call("ZADD", marks, now + 60, ARGV[1])
  redis.call("EXPIRE", marks, 61)
  redis.call("DEL", key, "cache:lease:" .. key)
end
"""

# KEYS: what has changed. ARGV: the token of the mark; another one lifts none.
FORGET = """\
for _, key in ipairs(KEYS) do
  redis.call("DEL", key, "cache:lease:" .. key)
  redis.call("ZREM", "cache:mark:" .. key, ARGV[1])
end
"""


def token() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Hit:
    answer: bytes


@dataclass(frozen=True, slots=True)
class Lead:
    """Nobody else reads the database for this entry: whoever is told so fills it."""

    lease: bytes


@dataclass(frozen=True, slots=True)
class Follow:
    """Somebody does, and has not been overtaken by a change."""

    token: str


@dataclass(frozen=True, slots=True)
class Bypass:
    """The entry is none for this reader: read the database, and keep nothing."""


Found = Hit | Lead | Follow | Bypass
BYPASS = Bypass()


class Leases:
    """Each step is one round trip, which its caller bounds, and does no harm if it is done again, or late."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def read(self, entry: Entry, account_id: int, token: str) -> Found:
        word, content = await self._run(READ, keys(entry), account_id, WRITER, token)
        match word:
            case b"hit":
                return Hit(content)
            case b"lead":
                return Lead(content)
            case b"follow":
                return Follow(content.split()[0].decode())
            case _:
                return BYPASS

    async def fill(self, entry: Entry, account_id: int, lease: bytes, answer: bytes) -> bool:
        """False if the lease is no longer good."""
        return bool(await self._run(FILL, keys(entry), lease, WRITER, account_id, entry.seconds, answer))

    async def give_back(self, entry: Entry, token: str) -> None:
        await self._run(GIVE_BACK, [entry.key], token)

    async def mark(self, changed: Sequence[str], token: str) -> None:
        await self._run(MARK, changed, token)

    async def forget(self, changed: Sequence[str], token: str) -> None:
        await self._run(FORGET, changed, token)

    async def _run(self, script: str, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        return await self._line.ask("EVAL", script, len(keys), *keys, *arguments)


def keys(entry: Entry) -> tuple[str, ...]:
    return (entry.key,) if entry.names is None else (entry.key, entry.names)
