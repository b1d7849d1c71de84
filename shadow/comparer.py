"""Compares answers without holding the event loop: small ones here, large ones in a process of their own."""

from __future__ import annotations

from typing import Final

from .apart import Apart
from .compare import compare, readable, same_bytes
from .encodings import content_encodings
from .normalize import MARKUP, media_type
from .observation import Observation
from .result import Exhausted, Result
from .rules import Rules

SMALL: Final = 8 * 1024  # bytes of both bodies that are read here (decision 14 has the figures)
STEPS: Final = 1_000  # values that are looked at here: a small body can hold some thousands
PATIENCE: Final = 5.0  # seconds for one comparison; a megabyte takes some hundredths


class Comparer:
    def __init__(self, apart: Apart | None = None) -> None:
        self._apart = apart or Apart(PATIENCE)

    async def compare(self, control: Observation, candidate: Observation, rules: Rules) -> Result:
        """As `compare` does it. Raises Undone."""
        if same_bytes(control, candidate) or not (control.complete and candidate.complete):
            return compare(control, candidate, rules)
        if _small(control, candidate):
            try:
                return compare(control, candidate, rules, STEPS)
            except Exhausted:
                pass
        return await self._apart.run(compare, control, candidate, rules)

    async def readable(self, seen: Observation) -> bool:
        """Whether the content of an answer can be known. Raises Undone."""
        return readable(seen) if not content_encodings(seen) else await self._apart.run(readable, seen)

    async def close(self) -> None:
        await self._apart.close()


def _small(*answers: Observation) -> bool:
    """A few compressed bytes can be a megabyte, and patterns take longer than the scanner of JSON."""
    plain = all(not content_encodings(seen) and media_type(seen) not in MARKUP for seen in answers)
    return plain and sum(len(seen.body) for seen in answers) <= SMALL
