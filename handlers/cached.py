"""Answers to GET that may come from the cache."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request

from . import resources
from .answers import Answer, encode
from .entries import Entry
from .errors import NotFound
from .shadow import shadowed
from .tokens import Caller
from .unit import Reading, reading


async def cached(
    request: Request, caller: Caller, entry: Entry | None, load: Callable[[Reading], Awaitable[dict[str, Any] | None]]
) -> Answer:
    """The entry as the answer, or what `load` reads; NotFound for what is not there in the caller's account.

    Without an entry it is not kept. A shadow neither reads nor fills: it is to show what this
    side makes of the database.
    """

    async def loaded() -> bytes | None:
        async with reading(request, caller) as database:
            content = await load(database)
        return None if content is None else encode(content)

    if entry is None or shadowed(request):
        answer = await loaded()
    else:
        answer = await resources.of(request).cache.fetch(entry, caller.account_id, loaded)
    if answer is None:
        raise NotFound
    return Answer(answer)
