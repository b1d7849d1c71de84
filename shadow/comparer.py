"""Compares answers without holding the event loop: small ones here, large ones in a process of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from .apart import Apart
from .compare import EFFORT, compare, readable, same_bytes
from .encodings import content_encodings
from .noise import Fields
from .normalize import MARKUP, media_type
from .observation import Observation
from .result import Exhausted, Result
from .rules import Rules

SMALL: Final = 8 * 1024  # bytes of two answers that are compared here (decision 14 has the figures)
STEPS: Final = 500  # values that are looked at here: a small body can hold some thousands
FIELD: Final = 32  # bytes that a header counts for beside its own, as in HTTP/2 (RFC 9113, 6.5.2)
PIECE: Final = 512 * 1024  # bytes of two bodies that are held against each other at once
PATIENCE: Final = 5.0  # seconds for one comparison; a megabyte takes some hundredths


class Comparer:
    def __init__(self, apart: Apart | None = None, now: Callable[[], float] = time.time) -> None:
        self._apart, self._now = apart or Apart(PATIENCE), now

    async def compare(
        self, control: Observation, candidate: Observation, rules: Rules, known: Fields = frozenset()
    ) -> Result:
        """As `compare` does it. Raises Undone."""
        now = self._now()
        if not (control.complete and candidate.complete):
            return compare(control, candidate, rules, known=known, now=now)
        same = await _same(control, candidate)
        if same:  # one object is not read to be found equal to itself: that there is something is all that matters
            control, candidate = (replace(each, body=each.body[:1]) for each in (control, candidate))
        result = None
        if (same or _plain(control, candidate)) and _size(control, candidate, rules) <= SMALL:
            await asyncio.sleep(0)  # a turn of its own: what comes before and what is made of it take time, too
            result = _tried(control, candidate, rules, known, now)
            await asyncio.sleep(0)
        if result is None:
            result = await self._apart.run(compare, control, candidate, rules, EFFORT, known, now)
            await asyncio.sleep(0)
        return result

    async def readable(self, seen: Observation) -> bool:
        """Whether the content of an answer can be known. Raises Undone."""
        return readable(seen) if not content_encodings(seen) else await self._apart.run(readable, seen)

    async def close(self) -> None:
        await self._apart.close()


async def _same(control: Observation, candidate: Observation) -> bool:
    """As `same_bytes`, in pieces: memory, too, takes more than a millisecond for some megabytes."""
    a, b = control.body, candidate.body
    if len(a) != len(b) or len(a) <= PIECE:
        return same_bytes(control, candidate)
    for at in range(0, len(a), PIECE):
        if a[at : at + PIECE] != b[at : at + PIECE]:
            return False
        await asyncio.sleep(0)
    return content_encodings(control) == content_encodings(candidate)


def _plain(*answers: Observation) -> bool:
    """A few compressed bytes can be a megabyte, and patterns take longer than the scanner of JSON."""
    return all(not content_encodings(seen) and media_type(seen) not in MARKUP for seen in answers)


def _size(control: Observation, candidate: Observation, rules: Rules) -> int:
    """The bytes of what is compared: of both bodies, and of those headers that matter."""
    headers = (*control.headers, *candidate.headers)
    head = sum(len(name) + len(value) + FIELD for name, value in headers if name.lower() in rules.headers)
    return head + len(control.body) + len(candidate.body)


def _tried(control: Observation, candidate: Observation, rules: Rules, known: Fields, now: float) -> Result | None:
    """The result, unless there is more to compare than is done here."""
    try:
        return compare(control, candidate, rules, STEPS, known, now)
    except Exhausted:
        return None
