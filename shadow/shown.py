"""Values as a result carries them: numbers as numbers, and of what is large its beginning. No I/O."""

from __future__ import annotations

from typing import Any, Final

from .literals import plain
from .result import ABSENT

EXCERPT: Final = 40  # characters before the place where two texts part
TEXT: Final = 4_000  # characters of a text
ROOM: Final = 64_000  # characters, and values, in all of a result: it has to be handed on and kept
DEPTH: Final = 32  # levels: deeper than anyone reads


class Room:
    """What is left for the values of one result."""

    def __init__(self, left: int = ROOM) -> None:
        self._left = left

    def for_both(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Two values for whoever reads them. What is absent is null to him: a difference's kind tells them apart."""
        if isinstance(a, str) and isinstance(b, str) and max(len(a), len(b)) > TEXT:
            a, b = excerpts(a, b)
        return self._shown(a, 0), self._shown(b, 0)

    def _shown(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if value is ABSENT:
            return None
        if isinstance(value, str):
            kept = value if len(value) <= TEXT else f"{value[:TEXT]}…"
            self._left -= len(kept)
            return kept
        if isinstance(value, bytes):
            return plain(value[:TEXT])
        if isinstance(value, dict):
            return {key: self._shown(value[key], depth + 1) for key in value if self._fits(depth, len(key))}
        if isinstance(value, list | tuple):
            return [self._shown(each, depth + 1) for each in value if self._fits(depth)]
        return value

    def _fits(self, depth: int, length: int = 0) -> bool:
        self._left -= length
        return self._left > 0 and depth < DEPTH


def excerpts(a: str, b: str) -> tuple[str, str]:
    """Both texts from shortly before the place where they part."""
    start = max(0, parted(a, b) - EXCERPT)
    return (f"…{a[start:]}", f"…{b[start:]}") if start else (a, b)


def parted(a: str, b: str, since: int = 0) -> int:
    """How far two texts are the same."""
    low, high = since, min(len(a), len(b))
    while low < high:  # slices compare at the speed of memory, characters do not
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[low:middle] == b[low:middle] else (low, middle - 1)
    return low
