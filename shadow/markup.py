"""Where two pages deviate. No I/O.

It does not matter how attributes are ordered and quoted, how characters are escaped, how much white space there is
where none is shown, and what comments say. A place is named by the elements that lead to it, and by what tells an
element from its like, its id or name: `html.head.meta.csrf-token.content`, `html.body.p.text`. Where the elements
themselves part, the rest is not read: there is no telling what would be whose counterpart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from . import pages
from .paths import Path
from .result import ABSENT, Effort, Found, Kind
from .rules import Correspondence, Place
from .tree import leaf

TEXT: Final = "text"
SHOWN: Final = 400  # characters from where the elements part


def differences(control: str, candidate: str, rules: Place | None, effort: Effort) -> Iterator[Found]:
    if control == candidate:
        return
    a, b = _Reader(pages.cut(control), rules), _Reader(pages.cut(candidate), rules)
    effort.spend(len(a.tokens) + len(b.tokens))
    known = Correspondence()
    while _apart(a, b):
        if not (a.tag and b.tag):
            yield from _texts(a, b, known)
        elif a.tag == b.tag:
            yield from _tags(a, b, known)
            a.at, b.at = a.at + 1, b.at + 1
        else:
            level, rule = a.ignored()
            yield Found(Kind.VALUE, a.rest(), b.rest(), a.path(), rule)
            if rule is None or not (a.left(level) and b.left(level)):
                return


def _apart(a: _Reader, b: _Reader) -> bool:
    """Read on to where the pages are no longer written alike. Whether there is such a place."""
    x, y, at, other = a.tokens, b.tokens, a.at, b.at
    while at < len(x) and other < len(y) and x[at] == y[other]:
        at, other = at + 1, other + 1
    a.at, b.at = at, other
    return a.more or b.more


class _Reader:
    """One of the pages, and how far it has been read. Which elements are open is found out when somebody asks."""

    def __init__(self, tokens: list[str], rules: Place | None) -> None:
        self.tokens, self.at, self._rules = tokens, 0, rules
        self._stack = pages.Open()
        self._entered = 0

    @property
    def more(self) -> bool:
        return self.at < len(self.tokens)

    @property
    def tag(self) -> str:
        """The name of the tag that comes next; the page's end is one, too, and a text is none."""
        return pages.name(self.tokens[self.at]) if self.more else "/"

    def run(self) -> tuple[str, str]:
        """The text up to the next tag, as it is written and as it is shown; it is read now."""
        before = next((tag for at in range(self.at - 1, -1, -1) if (tag := pages.name(self.tokens[at]))), "")
        since = self.at
        while not self.tag:
            self.at += 1
        text = "".join(token for token in self.tokens[since : self.at] if not pages.is_comment(token))
        return text, pages.closed(text, before, self.tag)

    def path(self, *more: str) -> Path | None:
        path: Path | None = None
        for segment in (*self._open(), *more):
            path = (path, segment)
        return path

    def place(self, *more: str) -> Place | None:
        """The rules at a place; those of what it lies in, if that is ignored."""
        place = self._rules
        for segment in (*self._open(), *more):
            if place is None or place.ignored is not None:
                break
            place = place.step(segment)
        return place

    def ignored(self) -> tuple[int, str | None]:
        """The outermost of the open elements that is ignored, as how many are open around it, and by which rule."""
        place = self._rules
        self._pass()
        for level, token in enumerate(self._stack.tokens):
            for segment in pages.segments(token):
                place = None if place is None else place.step(segment)
                if place is not None and place.ignored is not None:
                    return level, place.ignored
        return 0, None

    def as_written(self) -> bool:
        """Whether white space matters here."""
        self._pass()
        return not pages.AS_WRITTEN.isdisjoint(self._stack.names)

    def left(self, level: int) -> bool:
        """Read on until no more elements are open than these. Whether there was anything to read."""
        since = self.at
        self._pass()
        while self.more and len(self._stack) > level:
            self.at += 1
            self._pass()
        return self.at > since

    def rest(self) -> str:
        return "".join(self.tokens[self.at : self.at + SHOWN])[:SHOWN]

    def _open(self) -> list[str]:
        """The elements that lead here, by the words for them in a path."""
        self._pass()
        return [segment for token in self._stack.tokens for segment in pages.segments(token)]

    def _pass(self) -> None:
        """Find out which elements are open here."""
        self._stack.pass_by(self.tokens[self._entered : self.at])
        self._entered = self.at


def _texts(a: _Reader, b: _Reader, known: Correspondence) -> Iterator[Found]:
    path, place = a.path(TEXT), a.place(TEXT)
    (a_written, a_shown), (b_written, b_shown) = a.run(), b.run()
    as_written = a_shown == b_shown and a_written != b_written and a.as_written()
    x, y = (a_written, b_written) if as_written else (a_shown, b_shown)
    if x != y and (found := _leaf(x, y, path, place, known)) is not None:
        yield found


def _tags(a: _Reader, b: _Reader, known: Correspondence) -> Iterator[Found]:
    """Two tags of one name, and what they hold if that is part of them."""
    there, back = a.tokens[a.at], b.tokens[b.at]
    own = pages.segments(there)
    x, y = dict(pages.attributes(there)), dict(pages.attributes(back))
    if a.tag in pages.RAW:
        x[TEXT], y[TEXT] = pages.held(there), pages.held(back)
    for key in sorted(x.keys() | y.keys()):
        if x.get(key) != y.get(key):
            told = _leaf(x.get(key, ABSENT), y.get(key, ABSENT), a.path(*own, key), a.place(*own, key), known)
            if told is not None:
                yield told


def _leaf(x: object, y: object, path: Path | None, place: Place | None, known: Correspondence) -> Found | None:
    if place is not None and place.ignored is not None:
        return Found(Kind.VALUE, x, y, path, place.ignored)
    return leaf(x, y, path, place, known)
