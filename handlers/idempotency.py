"""Creates that may be asked again: the same `Idempotency-Key` gets the same answer for a day, and creates nothing more.

The key is claimed in the unit that creates, and the answer kept in it. So the second of two at once waits for the first
one's end, and one that fails, or dies, leaves no key behind.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from psycopg.errors import DeadlockDetected, LockNotAvailable
from starlette.requests import Request

from .answers import Answer, encode
from .errors import IdempotencyKeyInUse, IdempotencyKeyReused, Invalid
from .headers import header
from .inputs import Input
from .tokens import Caller
from .unit import Scoped, Unit

HEADER = "Idempotency-Key"
LIFETIME = timedelta(hours=24)
SWEPT = LIFETIME + timedelta(hours=1)  # later than anybody may still be reading it
LONGEST = 255
VISIBLE = re.compile(rb"[\x21-\x7e]+")
REPLAYED = (b"idempotent-replayed", b"true")


@dataclass(frozen=True, slots=True)
class Key:
    """A user's own name for a request, and what is asked by it."""

    user_id: int
    key: str
    operation: str

    def fingerprint(self, draft: Input) -> str:
        """Of what the request says, however it spells it."""
        return hashlib.sha256(encode([self.operation, *dict(draft).values()])).hexdigest()


def key(request: Request, caller: Caller) -> Key | None:
    """The request's key; None without the header, and Invalid if it holds none."""
    value = header(request.scope, HEADER.lower().encode())
    if value is None:
        return None
    value = value.strip(b" \t")
    if not value:
        raise Invalid([(HEADER, "can't be blank")])
    if len(value) > LONGEST:
        raise Invalid([(HEADER, f"is too long (maximum is {LONGEST} characters)")])
    if not VISIBLE.fullmatch(value):
        raise Invalid([(HEADER, "is invalid")])
    return Key(caller.user_id, value.decode(), f"{request.method} {request.scope['path']}")


# No row if somebody else has the key. Waits for a unit that has claimed it and not ended.
CLAIM = Scoped("""
insert into idempotency_keys as taken (account_id, user_id, key, fingerprint, created_at)
values (%(account_id)s, %(user_id)s, %(key)s, %(fingerprint)s, %(now)s)
    on conflict (account_id, user_id, key) do update
   set fingerprint = excluded.fingerprint, status = null, body = null, created_at = excluded.created_at
 where taken.created_at <= %(expired)s
returning id
""")
KEPT = Scoped("""
select fingerprint, status, body
  from idempotency_keys
 where account_id = %(account_id)s and user_id = %(user_id)s and key = %(key)s
""")
# Each key that comes takes two along that have expired, whosever they are: so there is never more than a day of them.
KEEP = Scoped("""
with swept as (
     delete from idempotency_keys
      where id = any (array (
            select id from idempotency_keys
             where created_at <= %(swept)s order by created_at limit 2 for update skip locked)))
update idempotency_keys
   set status = %(status)s, body = %(body)s
 where account_id = %(account_id)s and user_id = %(user_id)s and key = %(key)s
""")


async def once(unit: Unit, key: Key | None, draft: Input, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `work` answers, or what it answered when the key came first. Work that raises is no answer."""
    if key is None:
        return await work()
    try:
        return await claimed(unit, key, draft, work)
    except DeadlockDetected:
        # The claim came first, so that the unit cannot begin again by itself (`Unit`). Nor is the key ours any more.
        await unit.begin_again()
        return await claimed(unit, key, draft, work)


async def claimed(unit: Unit, key: Key, draft: Input, work: Callable[[], Awaitable[Answer]]) -> Answer:
    now = datetime.now(UTC).replace(tzinfo=None)
    kept = await claim(unit, key, key.fingerprint(draft), now)
    if kept is not None:
        return kept
    answer = await work()
    await unit.execute(
        KEEP,
        user_id=key.user_id,
        key=key.key,
        status=answer.status_code,
        body=bytes(answer.body).decode(),
        swept=now - SWEPT,
    )
    return answer


async def claim(unit: Unit, key: Key, fingerprint: str, now: datetime) -> Answer | None:
    """The answer that is kept under the key; None if the key is ours now."""
    owner = {"user_id": key.user_id, "key": key.key}
    try:
        if await unit.row(CLAIM, **owner, fingerprint=fingerprint, now=now, expired=now - LIFETIME):
            return None
    except LockNotAvailable:
        raise IdempotencyKeyInUse from None
    row = await unit.row(KEPT, **owner)
    if row is None or row[0] != fingerprint:
        raise IdempotencyKeyReused
    _, status, body = row
    return Answer(body.encode(), status, [REPLAYED])
