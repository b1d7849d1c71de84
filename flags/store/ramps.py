"""Ramps, and what the fleet has carried minute by minute, as they lie in Redis."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from redis.asyncio import Redis

from flags.audit import MOST, Note, encode_note
from flags.capacity import DAY, Load
from flags.flag import GENERATIONS, WHOLE
from flags.ramp import Ramp, State
from flags.store.layout import AUDIT, FLAGS, PREFIX, RAMPS, generation_in

KEEP = (DAY + 10) * 60  # seconds that a minute's loads are kept
BATCH = 60  # minutes that are read at a time

# KEYS: the ramps, the flags, the audit. ARGV: route, generation expected, ramp, channel, how many records are kept, and
# note, or nothing if none is to be made. Answers with the ramp that stood in the way. The record comes first: if it
# cannot be written, nothing is changed.
WRITE = """
local current = redis.call('HGET', KEYS[1], ARGV[1])
if current then
  local generation = string.match(current, '"generation"%s*:%s*(%d+)') or '0'
  if tonumber(string.sub(generation, 1, 15)) > tonumber(ARGV[2]) then return current end
end
if ARGV[6] ~= '' then
  local flag = redis.call('HGET', KEYS[2], ARGV[1]) or ''
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*',
    'route', ARGV[1], 'note', ARGV[6], 'before', flag, 'after', flag)
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[6] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[1]) end
return false
"""


async def read(client: Redis) -> Mapping[str, Ramp]:
    found = cast(Mapping[str, str], await client.hgetall(RAMPS))
    return {route: _decoded(text) for route, text in found.items()}


async def write(client: Redis, route: str, expected: int, ramp: Ramp, note: Note | None, channel: str) -> bool:
    text, keys = encode(ramp), (RAMPS, FLAGS, AUDIT)
    said = route, expected, text, channel, MOST, "" if note is None else encode_note(note)
    current = await client.eval(WRITE, len(keys), *keys, *said)
    return current is None or current == text  # our own: its answer was lost with the connection, and it arrived


async def carry(client: Redis, worker: str, loads: Mapping[int, Load]) -> None:
    async with client.pipeline(transaction=False) as commands:
        for minute, load in loads.items():
            commands.hset(_minute(minute), worker, f"{load.answered} {load.sent}")
            commands.expire(_minute(minute), KEEP)
        await commands.execute()


async def carried(client: Redis, first: int, last: int) -> Mapping[int, Load]:
    """The sums over the workers, for each of these minutes in which any has said something."""
    found: dict[int, Load] = {}
    for begin in range(first, last + 1, BATCH):
        minutes = range(begin, min(begin + BATCH, last + 1))
        async with client.pipeline(transaction=False) as commands:
            for minute in minutes:
                commands.hvals(_minute(minute))
            told = await commands.execute()
        found |= {minute: sum(map(_load, said), Load()) for minute, said in zip(minutes, told, strict=True) if said}
    return found


def encode(ramp: Ramp) -> str:
    return json.dumps({**asdict(ramp), "state": ramp.state.value}, separators=(",", ":"))


def decode(text: str) -> Ramp:
    """The ramp in `text`; a ValueError says what is wrong with it. Fields of later versions are passed over."""
    said = json.loads(text)
    if not isinstance(said, dict) or not isinstance(said.get("shares"), list):
        raise ValueError(f"{said!r} is no ramp")
    return Ramp(
        tuple(said["shares"]),
        _number(said, "hold"),
        _whole(said, "min_requests"),
        str(said.get("by", "")),
        _whole(said, "found"),
        _number(said, "at"),
        _whole(said, "step"),
        State(said.get("state")),
        str(said.get("why", "")),
        _whole(said, "generation"),
        _whole({"parity": 0, **said}, "parity"),  # an earlier version has none
    )


def _decoded(text: str) -> Ramp:
    """What cannot be read raises nothing, and can be replaced."""
    try:
        return decode(text)
    except (ValueError, RecursionError) as error:
        why = f"what the store holds of it cannot be read: {error}"
        return Ramp((WHOLE,), 0.0, 0, "", 0, 0.0, 0, State.ABORTED, why, generation_in(text))


def _load(text: str) -> Load:
    answered, sent, *_ = map(int, text.split())  # a later version may count more
    return Load(answered, sent)


def _minute(minute: int) -> str:
    return f"{PREFIX}:load:{minute}"


def _whole(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    if type(value) is not int or not 0 <= value <= GENERATIONS:
        raise ValueError(f"{name}: {value!r} is not a whole number")
    return value


def _number(said: Mapping[str, Any], name: str) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name}: {value!r} is not a number")
    return float(value)
