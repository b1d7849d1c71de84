"""How flags and counts lie in Redis: keys, fields, and the scripts that move them. No I/O.

All keys share one hash tag, so that they lie on one node and a script may touch several, on a Cluster too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from flags.complaint import DIGITS
from flags.flag import Side
from flags.window import NOBODY, Cells, Counts, Key

PREFIX = "{strangler}"
FLAGS = f"{PREFIX}:flags"  # route → flag as JSON
RAMPS = f"{PREFIX}:ramps"  # route → ramp as JSON
AUDIT = f"{PREFIX}:audit"  # a stream of who changed which of them
VERSION = "version"  # the field of a second's sum that tells readers whether they have seen it as it is

# Reader and script look for the generation alone, in the same way, so that a flag nobody can read can be replaced.
_GENERATION = re.compile(r'"generation"\s*:\s*(\d{1,15})', re.ASCII)

# KEYS: the flags, the audit, the ramps. ARGV: channel, how many records are kept, then of each change its route, the
# generation expected, flag, note, and of a ramp's step the generation of the ramp, else nothing. Answers for each with
# the flag that stood in the way, with 0 if another ramp did, else with nothing. The record comes first: if it cannot be
# written, nothing is changed. All are told as one, for whoever is told looks at all flags.
CHANGE = """
local function in_the_way(current, route, expected, step)
  if current then
    local generation = string.match(current, '"generation"%s*:%s*(%d+)') or '0'
    if tonumber(string.sub(generation, 1, 15)) > tonumber(expected) then return current end
  end
  if step ~= '' then
    local ramp = redis.call('HGET', KEYS[3], route)
    if not ramp or string.match(ramp, '"generation"%s*:%s*(%d+)') ~= step then return 0 end
  end
  return false
end
local answers, changed = {}, false
for i = 3, #ARGV, 5 do
  local route, expected, flag, note, step = unpack(ARGV, i, i + 4)
  local current = redis.call('HGET', KEYS[1], route)
  local answer = in_the_way(current, route, expected, step)
  if answer == false then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*',
      'route', route, 'note', note, 'before', current or '', 'after', flag)
    redis.call('HSET', KEYS[1], route, flag)
    changed = true
  end
  answers[#answers + 1] = answer
end
if changed then redis.call('PUBLISH', ARGV[1], '') end
return answers
"""

# KEYS: the flags, the audit. ARGV: channel, how many records are kept, note, then route and flag by turns. Answers with
# the routes that had none.
SEED = """
local new = {}
for i = 4, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*',
      'route', ARGV[i], 'note', ARGV[3], 'before', '', 'after', ARGV[i + 1])
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    new[#new + 1] = ARGV[i]
  end
end
redis.call('PUBLISH', ARGV[1], '')
return new
"""

# KEYS: the flags, the audit. ARGV: route, channel, how many records are kept, note.
NOTE = """
local current = redis.call('HGET', KEYS[1], ARGV[1]) or ''
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*',
  'route', ARGV[1], 'note', ARGV[4], 'before', current, 'after', current)
redis.call('PUBLISH', ARGV[2], ARGV[1])
"""

# KEYS: the flags. ARGV: the digest of what the reader has seen. Answers with nothing if that is all, else with the
# digest and all fields: flags seldom move, and to take a thousand apart each second would hold requests.
READ_FLAGS = """
local found = redis.call('HGETALL', KEYS[1])
local digest = redis.sha1hex(table.concat(found, '\\n'))
if digest == ARGV[1] then return false end
return {digest, found}
"""

# KEYS: the fleet's sum for one second. ARGV: the version's field. Answers with the version, and with all fields and
# counts by turns as one text, which can be taken apart piece by piece.
READ_SUM = """
local found = redis.call('HGETALL', KEYS[1])
return {redis.call('HGET', KEYS[1], ARGV[1]) or '', table.concat(found, '\\n')}
"""

# KEYS: the fleet's sum and this worker's part of it, both for one second. ARGV: seconds to live, the version's field,
# then field and counts by turns. The sum moves by what the part moved since it was last told; behind its numbers stand
# the complaints of all workers' subjects, each once.
REPORT = """
local function counts(text)
  local found = {}
  for number in string.gmatch(string.match(text or '', '^[^;]*'), '%d+') do found[#found + 1] = tonumber(number) end
  return found
end
local function united(sum, part)
  local complaints, known, each = string.match(sum or '', ';(.*)') or '', {}, string.rep('.', DIGITS)
  for complaint in string.gmatch(complaints, each) do known[complaint] = true end
  for complaint in string.gmatch(string.match(part, ';(.*)') or '', each) do
    if not known[complaint] then complaints = complaints .. complaint end
  end
  return complaints == '' and '' or ';' .. complaints
end
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
for i = 3, #ARGV, 2 do
  local field, part = ARGV[i], counts(ARGV[i + 1])
  local told = redis.call('HGET', KEYS[1], field)
  local sum, before = counts(told), counts(redis.call('HGET', KEYS[2], field))
  for k = 1, #part do sum[k] = (sum[k] or 0) + part[k] - (before[k] or 0) end
  redis.call('HSET', KEYS[1], field, table.concat(sum, ' ') .. united(told, ARGV[i + 1]))
  redis.call('HSET', KEYS[2], field, ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
""".replace("DIGITS", str(DIGITS))


def channel(database: int) -> str:
    """Where changes are told; pub/sub knows no databases."""
    return f"{PREFIX}:changes:{database}"


def generation_in(text: str) -> int:
    """The generation of a flag, readable or not, exactly as the script sees it."""
    found = _GENERATION.search(text)
    return int(found[1]) if found else 0


def sum_key(second: int) -> str:
    return f"{PREFIX}:window:{second}"


def part_key(second: int, worker: str) -> str:
    return f"{PREFIX}:window:{second}:{worker}"


def fields_of(cells: Cells) -> Mapping[int, Sequence[str]]:
    """Field and counts by turns, for each second."""
    fields: dict[int, list[str]] = {}
    for (second, route, side), counts in cells.items():
        numbers = (
            f"{counts.asked} {counts.ok} {counts.failed} {counts.excluded} {counts.subjects} {counts.resting} "
            f"{counts.pairs}"
        )
        told = "".join([";", *(f"{each:0{DIGITS}x}" for each in counts.complaints)]) if counts.complaints else ""
        fields.setdefault(second, []).extend((f"{side.value} {route}", numbers + told))
    return fields


def counts_in(text: str) -> Iterator[tuple[Key, Counts]]:
    """What a second's sum tells, as it was read; a ValueError if these are no counts."""
    lines = text.split("\n") if text else []
    for field, told in zip(lines[::2], lines[1::2], strict=True):
        if field != VERSION:
            side, _, route = field.partition(" ")
            numbers, _, complaints = told.partition(";")
            # An earlier version counts no `resting` or no `pairs`, and a later one may count more.
            asked, ok, failed, excluded, subjects, resting, pairs, *_ = (*map(int, numbers.split()), 0, 0)
            counts = Counts(asked, ok, failed, excluded, subjects, _complaints_in(complaints), resting, pairs)
            yield (route, Side(side)), counts


def _complaints_in(text: str) -> frozenset[int]:
    return frozenset([int(text[at : at + DIGITS], 16) for at in range(0, len(text), DIGITS)]) if text else NOBODY
