"""Which elements of a page are open at a place of it, how a path names them, and which rules hold there. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from . import pages
from .paths import Path
from .rules import Place

AS_WRITTEN: Final = "pre"  # its white space is shown
DEEPEST: Final = 256  # elements in each other; what nests deeper counts as lying side by side

_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_NEVER_OPEN: Final = _VOID | frozenset(pages.RAW)

Where = tuple[Path | None, Place | None]
Level = tuple[str, str, str]  # an element's name, what closes it as most write it, and the piece that opened it

_OUTSIDE: Final[Level] = ("", "<", "")  # of all elements; no piece of a page begins with what closes it


class Open:
    """The elements that are open, the outermost first.

    Of most nobody asks where they are: that is found out when somebody does, and remembered while they are open.
    """

    __slots__ = ("_kinds", "_known", "_levels")

    def __init__(self, rules: Place | None) -> None:
        self._levels = [_OUTSIDE]
        self._known: list[tuple[Level, Where]] = [(_OUTSIDE, (None, rules))]
        self._kinds: dict[str, tuple[str, str]] = {}  # a page has few kinds of tags, and thousands of each

    def __len__(self) -> int:
        return len(self._levels) - 1

    def pass_by(self, pieces: Iterable[str]) -> None:
        """Know what pieces of the page open and close."""
        levels, kinds, end = self._levels, self._kinds, self._levels[-1][1]
        for piece in pieces:
            if piece.startswith(end):
                del levels[-1]
                end = levels[-1][1]
                continue
            tag, closes, _ = piece.partition(">")
            written, _, _ = tag.partition(" ")
            if (kind := kinds.get(written)) is None:
                kind = kinds[written] = _kind(written)
            name, closing = kind
            if closing and closes and tag[-1] != "/" and len(levels) <= DEEPEST:
                levels.append((name, closing, piece))
            elif name[:1] == "/" and closes:
                self._close(name[1:])
            end = levels[-1][1]

    def _close(self, name: str) -> None:
        """The innermost of that name, and what is open within it."""
        for at in range(len(self._levels) - 1, 0, -1):
            if self._levels[at][0] == name:
                del self._levels[at:]
                break

    def where(self) -> Where:
        """The way to the innermost element, and the rules there; those of what it lies in, if that is ignored."""
        known, levels = self._known, self._levels
        del known[len(levels) :]
        while known[-1][0] is not levels[len(known) - 1]:
            del known[-1]
        for level in levels[len(known) :]:
            known.append((level, into(known[-1][1], *pages.segments(level[2]))))
        return known[-1][1]

    def ignored(self) -> tuple[int, str] | None:
        """The outermost element that is ignored, as how many are open around it, and by which rule."""
        _, place = self.where()
        if place is None or place.ignored is None:
            return None
        return sum(where[1] is not place for _, where in self._known) - 1, place.ignored

    def as_written(self) -> bool:
        """Whether white space matters here."""
        return any(name == AS_WRITTEN for name, _, _ in self._levels)


def _kind(written: str) -> tuple[str, str]:
    """The name of a tag that begins so, and what closes it if it opens anything."""
    name, _, _ = pages.read(f"{written}>")
    return name, "" if name in _NEVER_OPEN or name[:1] in ("", "/") else f"/{name}>"


def into(where: Where, *segments: str) -> Where:
    """The way further down."""
    path, place = where
    for segment in segments:
        path = path, segment
        if place is not None and place.ignored is None:
            place = place.step(segment)
    return path, place
