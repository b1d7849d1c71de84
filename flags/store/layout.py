"""How flags and counts lie in Redis: keys, fields, and the scripts that move them. No I/O.

All keys share one hash tag, so that they lie on one node and a script may touch several, on a Cluster too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flags.flag import Side
from flags.window import Cell, Cells, Counts

PREFIX = "{strangler}"
FLAGS = f"{PREFIX}:flags"  # route → flag as JSON
VERSION = "version"  # the field of a second's sum that tells readers whether they have seen it as it is

# Reader and script look for the generation alone, in the same way, so that a flag nobody can read can be replaced.
_GENERATION = re.compile(r'"generation"\s*:\s*(\d{1,15})', re.ASCII)

# KEYS: the flags. ARGV: route, generation expected, flag, channel. Answers with the flag that stood in the way.
CHANGE = """
local current = redis.call('HGET', KEYS[1], ARGV[1])
if current then
  local generation = string.match(current, '"generation"%s*:%s*(%d+)') or '0'
  if tonumber(string.sub(generation, 1, 15)) > tonumber(ARGV[2]) then return current end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[1])
return false
"""

# KEYS: the fleet's sum and this worker's part of it, both for one second. ARGV: seconds to live, the version's field,
# then field and counts by turns. The sum moves by what the part moved since it was last told.
REPORT = """
local function counts(text)
  local found = {}
  for number in string.gmatch(text or '', '%d+') do found[#found + 1] = tonumber(number) end
  return found
end
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
for i = 3, #ARGV, 2 do
  local field, part = ARGV[i], counts(ARGV[i + 1])
  local sum, before = counts(redis.call('HGET', KEYS[1], field)), counts(redis.call('HGET', KEYS[2], field))
  for k = 1, #part do sum[k] = (sum[k] or 0) + part[k] - (before[k] or 0) end
  redis.call('HSET', KEYS[1], field, table.concat(sum, ' '))
  redis.call('HSET', KEYS[2], field, ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
"""


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


def fields_of(second: int, cells: Cells) -> list[str]:
    """Field and counts by turns, for the cells of one second."""
    return [
        text
        for cell, counts in cells.items()
        if cell[0] == second
        for text in (f"{cell[2].value} {cell[1]}", f"{counts.asked} {counts.ok} {counts.failed} {counts.excluded}")
    ]


def cells_in(second: int, fields: Mapping[str, str]) -> Cells:
    """The cells of one second's sum; a ValueError if these are no counts."""
    cells: dict[Cell, Counts] = {}
    for field, text in fields.items():
        if field != VERSION:
            side, _, route = field.partition(" ")
            asked, ok, failed, excluded = map(int, text.split())
            cells[second, route, Side(side)] = Counts(asked, ok, failed, excluded)
    return cells
