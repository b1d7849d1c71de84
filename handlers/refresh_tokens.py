"""Refresh tokens in Redis: `refresh:token:{token}` is the user's id, for a week, until it is rotated or revoked.

A refresh whose answer was lost may be asked again: for ten seconds `refresh:rotated:{token}` remembers what it was
rotated to. The scripts are word for word those of legacy/app/services/refresh_token.rb. They run whole or not at all,
and are sent whole each time: a Redis that was restarted or emptied has forgotten nothing.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Any

from .answers import encode
from .link import twice
from .resources import Resources

LIFETIME = 7 * 24 * 60 * 60

# ARGV: a token; the pair to rotate it to, or nothing in order to look only. Returns whose it is, and the pair that it
# was rotated to if it was; nothing of a token that is no good.
ROTATE = """\
local token, pair = ARGV[1], false
-- On to the newest: a pair whose token has been rotated as well would sign its user out. Nobody in good faith is 16
-- rotations behind, and whoever is would have us follow them each time: such a token is no good.
for _ = 1, 16 do
  local remembered = redis.call("GET", "refresh:rotated:" .. token)
  if not remembered then
    break
  end
  pair, token = remembered, cjson.decode(remembered).refreshToken
end
local user_id = redis.call("GET", "refresh:token:" .. token)
if not user_id then
  return {false, false}
end
if ARGV[2] and not pair then
  pair = ARGV[2]
  redis.call("DEL", "refresh:token:" .. token)
  redis.call("SET", "refresh:token:" .. cjson.decode(pair).refreshToken, user_id, "EX", 604800)
  redis.call("SET", "refresh:rotated:" .. token, pair, "EX", 10)
end
return {user_id, pair}
"""

# ARGV: a token. It ends with all that it was rotated to, if that can be followed as above; what was rotated to it leads
# nowhere from then on.
REVOKE = """\
local token, keys = ARGV[1], {}
for _ = 0, 16 do
  table.insert(keys, "refresh:token:" .. token)
  table.insert(keys, "refresh:rotated:" .. token)
  local remembered = redis.call("GET", "refresh:rotated:" .. token)
  if not remembered then
    return redis.call("DEL", unpack(keys))
  end
  token = cjson.decode(remembered).refreshToken
end
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a refresh hands out."""

    access_token: str
    refresh_token: str

    @property
    def shown(self) -> dict[str, str]:
        """As the API shows it, and as it is remembered."""
        return {"accessToken": self.access_token, "refreshToken": self.refresh_token}


@dataclass(frozen=True, slots=True)
class Session:
    """What a token that is good stands for: its user, and the newest pair if it has been rotated."""

    user_id: int
    pair: Pair | None


def made() -> str:
    return secrets.token_urlsafe(32)


async def keep(held: Resources, token: str, user_id: int) -> None:
    await ask(held, "SET", f"refresh:token:{token}", user_id, "EX", LIFETIME)


async def look_up(held: Resources, token: str) -> Session | None:
    """None for a token that is unknown, expired or revoked, or was rotated more than ten seconds ago."""
    return await run(held, token)


async def rotate(held: Resources, token: str, pair: Pair) -> Session | None:
    """The same, with the pair that now takes the token's place: ours, or that of who came first."""
    return await run(held, token, encode(pair.shown))


async def revoke(held: Resources, token: str) -> None:
    await ask(held, "EVAL", REVOKE, 0, token)


async def run(held: Resources, *arguments: str | bytes) -> Session | None:
    user_id, remembered = await ask(held, "EVAL", ROTATE, 0, *arguments)
    if user_id is None:
        return None
    if remembered is None:
        return Session(int(user_id), None)
    fields = json.loads(remembered)
    return Session(int(user_id), Pair(fields["accessToken"], fields["refreshToken"]))


async def ask(held: Resources, *words: str | bytes | int) -> Any:
    """Once more if the connection is lost on the way: what may have been carried out does no harm if it is done again,
    and a rotation finds its own pair."""
    async with held.in_time():
        return await twice(partial(held.redis.execute_command, *words))
