"""The audit as it is read from Redis, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from redis.asyncio import Redis

from flags.audit import Record, read
from flags.store.layout import AUDIT

PAGE = 500  # records read at a time

Page = Sequence[tuple[str, Mapping[str, str]]]


async def latest(client: Redis, count: int, route: str | None) -> Sequence[Record]:
    """The newest records, newest first; of one route if it is named."""
    found: list[Record] = []
    newest = "+"
    while len(found) < count:
        page = cast(Page, await client.xrevrange(AUDIT, max=newest, count=PAGE))
        found += [record for record in _records(page) if route in (None, record.route)]
        if len(page) < PAGE:
            break
        newest = f"({page[-1][0]}"
    return found[:count]


async def behind(client: Redis, after: str, count: int) -> Sequence[Record]:
    """The records behind the one with this id, oldest first."""
    found: list[Record] = []
    while not found:  # a page on which nothing can be read is not the end
        page = cast(Page, await client.xrange(AUDIT, min=f"({after}", count=count))
        found += _records(page)
        if len(page) < count:
            break
        after = page[-1][0]
    return found


def _records(page: Page) -> Iterator[Record]:
    for id, fields in page:
        record = read(id, fields)
        if record is not None:
            yield record
