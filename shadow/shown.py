"""Values as a result carries them: numbers as numbers, and of what is large its beginning. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from .literals import plain
from .result import ABSENT

EXCERPT: Final = 40  # characters before the place where two texts part
TEXT: Final = 4_000  # characters of a text
SHORT: Final = 200  # of a text for which there is no room any more
ROOM: Final = 64_000  # characters in all of a result: it has to be handed on and kept
VALUES: Final = 2_000  # numbers, texts, lists and objects in all of it: to be handed on, each costs more than its bytes
DEPTH: Final = 32  # levels: deeper than anyone reads
NODES: Final = 200  # of a list or object whose fingerprint is worth its time
TYPES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "decimal",
    Decimal: "decimal",
    str: "text",
    list: "list",
    dict: "object",
}


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is handed on of a large value, and what is known of the whole: its length, and its fingerprint."""

    value: Any
    length: int
    fingerprint: bytes | None = field(repr=False)


class Room:
    """What is left for the values of one result."""

    def __init__(self, left: int = ROOM, values: int = VALUES) -> None:
        self._left, self._values = left, values
        self._whole = True  # so far, of the value at hand

    def for_both(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Two values for whoever reads them. What is absent is null to him: a difference's kind tells them apart."""
        x, y = a, b
        if isinstance(a, str) and isinstance(b, str) and max(len(a), len(b)) > TEXT:
            x, y = excerpts(a, b)
        return self._handed(a, x), self._handed(b, y)

    def _handed(self, whole: Any, part: Any) -> Any:
        self._whole = part is whole
        shown = self._shown(part, 0)
        return shown if self._whole else Beginning(shown, len(whole), fingerprint(whole))

    def _shown(self, value: Any, depth: int) -> Any:
        self._values -= 1
        if value is ABSENT:
            return None
        if isinstance(value, str | bytes):
            most = min(TEXT, max(SHORT, self._left))
            self._left -= min(most, len(value))
            if len(value) > most:
                self._whole = False
                value = f"{value[:most]}…" if isinstance(value, str) else value[:most]
            return plain(value) if isinstance(value, bytes) else value
        if isinstance(value, dict):
            return {key: self._shown(value[key], depth + 1) for key in value if self._fits(depth, len(key))}
        if isinstance(value, list | tuple):
            return [self._shown(each, depth + 1) for each in value if self._fits(depth)]
        return value

    def _fits(self, depth: int, length: int = 0) -> bool:
        self._left -= length
        fits = self._left > 0 and self._values > 0 and depth < DEPTH
        self._whole = self._whole and fits
        return fits


def fingerprint(value: Any) -> bytes | None:
    """Equal for equal values, be they written in another order; None of a list or object that is too large."""
    found, left, waiting = hashlib.blake2b(digest_size=16), NODES, [value]
    while waiting:
        each, content = waiting.pop(), b""
        each = plain(each) if isinstance(each, bytes) else each
        if isinstance(each, list | dict):
            size = len(each)
            left -= size
            if left < 0:
                return None
            waiting += each if isinstance(each, list) else [part for key in sorted(each) for part in (key, each[key])]
        else:
            content = str(each).encode("utf-8", "surrogatepass")
            size = len(content)
        found.update(f"{TYPES.get(type(each), '')} {size} ".encode() + content)
    return found.digest()


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
