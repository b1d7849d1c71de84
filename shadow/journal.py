"""The mismatches, for people to read: the latest few, in memory or in a Redis stream.

Both redact what they are given before they keep it (`redact`), so that no journal ever holds a raw value.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count as counter
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from . import redact
from .compare import Difference, Kind

if TYPE_CHECKING:
    from redis.asyncio import Redis

CAP: Final = 1_000  # entries
TTL: Final = 14 * 24 * 3600  # seconds after the last entry
PAGE: Final = 100  # entries read at a time while looking for one route's
KEY: Final = "{strangler}:mismatches"


@dataclass(frozen=True, slots=True)
class Entry:
    """One confirmed mismatch. `id` is the journal's to give; `differences` are the first of `count`."""

    id: str
    at: float
    route: str
    method: str
    target: str
    request_id: str
    control_side: str
    candidate_side: str
    control_status: int
    candidate_status: int
    differences: tuple[Difference, ...]
    count: int


class Journal(Protocol):
    async def record(self, entry: Entry) -> str:
        """Keep the entry, and return the id it got."""
        ...

    async def latest(self, count: int, route: str | None = None) -> list[Entry]:
        """The newest entries, newest first; of one route if it is named."""
        ...


class MemoryJournal:
    def __init__(self, cap: int = CAP) -> None:
        self._entries: deque[Entry] = deque(maxlen=cap)
        self._ids: Iterator[int] = counter(1)

    async def record(self, entry: Entry) -> str:
        kept = replace(_redacted(entry), id=str(next(self._ids)))
        self._entries.append(kept)
        return kept.id

    async def latest(self, count: int, route: str | None = None) -> list[Entry]:
        found = [entry for entry in reversed(self._entries) if route in (None, entry.route)]
        return found[: max(0, count)]


class RedisJournal:
    """A capped stream, shared by all workers. What goes wrong with Redis is raised as Redis' own errors."""

    def __init__(self, client: Redis, cap: int = CAP, key: str = KEY) -> None:
        self._client, self._cap, self._key = client, cap, key

    async def record(self, entry: Entry) -> str:
        text = json.dumps(asdict(_redacted(entry)), default=_kind)
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.xadd(self._key, {"entry": text}, maxlen=self._cap, approximate=True)
            pipe.expire(self._key, TTL)
            identity, _ = await pipe.execute()
        return _text(identity)

    async def latest(self, count: int, route: str | None = None) -> list[Entry]:
        found: list[Entry] = []
        newest = "+"
        while len(found) < count:
            page = cast(
                list[tuple[Any, dict[Any, Any]]], await self._client.xrevrange(self._key, max=newest, count=PAGE)
            )
            entries = (_read(_text(identity), fields) for identity, fields in page)
            found += [entry for entry in entries if entry is not None and route in (None, entry.route)]
            if len(page) < PAGE:
                break
            newest = f"({_text(page[-1][0])}"
        return found[: max(0, min(count, self._cap))]


def _redacted(entry: Entry) -> Entry:
    path, _, query = entry.target.partition("?")
    return replace(
        entry, target=redact.target(path, query), differences=tuple(map(redact.difference, entry.differences))
    )


def _kind(value: object) -> str:
    assert isinstance(value, Kind)
    return value.value


def _read(identity: str, fields: dict[Any, Any]) -> Entry | None:
    """The entry as it was written; None if another version of this program wrote it differently."""
    try:
        told = json.loads({_text(name): value for name, value in fields.items()}["entry"])
        found = [Difference(d["path"], Kind(d["kind"]), d["control"], d["candidate"]) for d in told.pop("differences")]
        return Entry(**{**told, "id": identity, "differences": tuple(found)})
    except (ValueError, KeyError, TypeError):
        return None


def _text(value: Any) -> str:
    """Redis' answers are bytes or text, as its client was told."""
    return value.decode() if isinstance(value, bytes) else str(value)
