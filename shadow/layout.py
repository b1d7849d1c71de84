"""How the journal lies in Redis: keys, fields, and the scripts that move them. No I/O.

All keys share one hash tag, so that they lie on one node and a script may touch several, on a Cluster too.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "{strangler}:journal"


def salt_key(prefix: str) -> str:
    """What digests are salted with, for every worker."""
    return f"{prefix}:salt"


def index_key(prefix: str, route: str | None = None, *, confirmed: bool = True) -> str:
    """Ids by when they were touched last: of one route, or of all. What is unconfirmed has a room of its own."""
    if route is None:
        return f"{prefix}:index"
    return f"{prefix}:index:{route}" if confirmed else f"{prefix}:unconfirmed:{route}"


def entry_key(prefix: str, id: str) -> str:
    """A mismatch without its samples: a hash."""
    return f"{prefix}:entry:{id}"


def samples_key(prefix: str, id: str) -> str:
    """The newest first."""
    return f"{prefix}:samples:{id}"


# KEYS: the salt, both indexes. ARGV: the salt that the digests have, the prefix, route, time, age, how many entries a
# route has, how many samples an entry has, whether it is confirmed, then id, field, kind and sample by turns. Answers
# with the salt that is in force, and has written nothing, if it is another one.
RECORD: Final = """
local prefix, at, age = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local salt = redis.call('GET', KEYS[1])
if salt and salt ~= ARGV[1] then return salt end
if not salt then redis.call('SET', KEYS[1], ARGV[1]) end
for i = 9, #ARGV, 4 do
  local id = ARGV[i]
  local entry, samples = prefix .. ':entry:' .. id, prefix .. ':samples:' .. id
  local last = tonumber(redis.call('HGET', entry, 'last') or '0')
  redis.call('HSETNX', entry, 'first', ARGV[4])
  redis.call('HSET', entry, 'route', ARGV[3], 'field', ARGV[i + 1], 'kind', ARGV[i + 2], 'confirmed', ARGV[8])
  if at > last then redis.call('HSET', entry, 'last', ARGV[4]) end
  redis.call('HINCRBY', entry, 'count', 1)
  if redis.call('HEXISTS', entry, 'resolved') == 1 then redis.call('HSETNX', entry, 'reopened', ARGV[4]) end
  redis.call('LPUSH', samples, ARGV[i + 3])
  redis.call('LTRIM', samples, 0, ARGV[7] - 1)
  redis.call('EXPIRE', entry, ARGV[5])
  redis.call('EXPIRE', samples, ARGV[5])
  redis.call('ZADD', KEYS[2], ARGV[4], id)
  redis.call('ZADD', KEYS[3], ARGV[4], id)
end
local kept, acted, plain = tonumber(ARGV[6]), {}, {}
local over = redis.call('ZCARD', KEYS[3]) - kept
if over > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    table.insert(redis.call('HEXISTS', prefix .. ':entry:' .. id, 'act') == 1 and acted or plain, id)
  end
end
for _ = 1, over do
  local id = table.remove(#plain > kept / 2 and plain or acted, 1)
  redis.call('DEL', prefix .. ':entry:' .. id, prefix .. ':samples:' .. id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
end
for _, index in ipairs({KEYS[2], KEYS[3]}) do
  redis.call('ZREMRANGEBYSCORE', index, '-inf', at - age)
  redis.call('EXPIRE', index, ARGV[5])
end
return false
"""

# KEYS: the entry, its samples, the index of all. ARGV: the prefix, id, time, age, act, whether that resolves it.
# Answers with 0 if there is no such entry.
TURN: Final = """
local route = redis.call('HGET', KEYS[1], 'route')
if not route then return 0 end
redis.call('HSET', KEYS[1], 'act', ARGV[5])
redis.call('HDEL', KEYS[1], 'resolved', 'reopened')
if ARGV[6] == '1' then redis.call('HSET', KEYS[1], 'resolved', '1') end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
local kept = redis.call('HGET', KEYS[1], 'confirmed') == '' and ':unconfirmed:' or ':index:'
for _, index in ipairs({KEYS[3], ARGV[1] .. kept .. route}) do
  redis.call('ZADD', index, ARGV[3], ARGV[2])
  redis.call('EXPIRE', index, ARGV[4])
end
return 1
"""
