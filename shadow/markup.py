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
from .opened import Open, into
from .result import ABSENT, Effort, Found, Kind
from .rules import Correspondence, Place
from .tree import leaf

TEXT: Final = "text"
STRIDE: Final = 32  # pieces
SHOWN: Final = 400  # characters from where the elements part
END: Final = ("/", "", "")  # what comes after the last tag


def differences(control: str, candidate: str, rules: Place | None, effort: Effort) -> Iterator[Found]:
    if control == candidate:
        return
    a, b = _Reader(pages.cut(control), rules), _Reader(pages.cut(candidate), rules)
    effort.spend(len(a.pieces) + len(b.pieces))
    known = Correspondence()
    loose = not pages.shows_space(control)
    while _apart(a, b, loose=loose):
        if a.name == b.name:
            yield from _tags(a, b, known)
        else:
            level, rule = a.open().ignored() or (0, None)
            yield Found(Kind.VALUE, a.rest(), b.rest(), a.open().where()[0], rule)
            if rule is None or not (a.left(level) and b.left(level)):
                return
        yield from _texts(a, b, known)


def _apart(a: _Reader, b: _Reader, *, loose: bool) -> bool:
    """Read on to the tag from which the pages are no longer written alike. Whether there is such a place."""
    at = a.at + _alike(a, b, loose=loose)
    other = at - a.at + b.at
    if at == len(a.pieces) and other == len(b.pieces):
        return False
    alike = at - a.at
    a.go(at)
    b.go(other)
    while alike and not (a.name and b.name):  # a text that parts behind a comment begins before it
        a.go(a.at - 1)
        b.go(b.at - 1)
        alike -= 1
    return True


def _alike(a: _Reader, b: _Reader, *, loose: bool) -> int:
    """How many pieces are, from here on. Most are, and of some at once that is seen at the speed of memory."""
    count, most = 0, min(len(a.pieces) - a.at, len(b.pieces) - b.at)
    while count < most:
        until = min(count + STRIDE, most)
        there, back = a.pieces[a.at + count : a.at + until], b.pieces[b.at + count : b.at + until]
        if there != back:
            for x, y in zip(there, back, strict=True):
                if x != y and not (loose and pages.alike(x, y)):
                    return count
                count += 1
        count = until
    return most


class _Reader:
    """One of the pages, and how far it has been read: the tag that comes next, and its text. Which elements are open is
    found out when somebody asks."""

    def __init__(self, pieces: list[str], rules: Place | None) -> None:
        self.pieces, self.at = pieces, 0
        self.name, self.attributes, self.text = pages.read(pieces[0])
        self._open, self._passed = Open(rules), 0

    def go(self, at: int) -> None:
        if at != self.at:
            self.at = at
            self.name, self.attributes, self.text = pages.read(self.pieces[at]) if at < len(self.pieces) else END

    def run(self) -> tuple[str, str]:
        """The text from this tag to the next, as it is written and as it is shown; it is read now."""
        before, texts = self.name, ["" if self.name in pages.RAW else self.text]
        if self.at < len(self.pieces):
            self.go(self.at + 1)
        while not self.name:
            texts.append(self.text)
            self.go(self.at + 1)
        text = "".join(texts)
        return text, pages.closed(text, before, self.name)

    def open(self) -> Open:
        """The elements that are open before this tag."""
        if self._passed < self.at:
            self._open.pass_by(self.pieces[self._passed : self.at])
            self._passed = self.at
        return self._open

    def left(self, level: int) -> bool:
        """Read on to the tag after which no more elements are open than these. Whether there was anything to read."""
        at, elements = self.at, self.open()
        while at < len(self.pieces) and len(elements) > level:
            elements.pass_by((self.pieces[at],))
            at += 1
        self._passed, anything = at, at > self.at
        self.go(at - 1 if anything and len(elements) <= level else at)
        return anything

    def rest(self) -> str:
        """What is written from here on, as much of it as is shown."""
        text = ""
        for piece in self.pieces[self.at : self.at + SHOWN]:
            text += f"<{piece[:SHOWN]}"
            if len(text) >= SHOWN:
                break
        return text[:SHOWN]


def _texts(a: _Reader, b: _Reader, known: Correspondence) -> Iterator[Found]:
    """What is shown between two tags and the next ones."""
    (a_written, a_shown), (b_written, b_shown) = a.run(), b.run()
    if a_written == b_written:
        return
    as_written = a_shown == b_shown and a.open().as_written()
    x, y = (a_written, b_written) if as_written else (a_shown, b_shown)
    if x != y and (found := leaf(x, y, *into(a.open().where(), TEXT), known)) is not None:
        yield found


def _tags(a: _Reader, b: _Reader, known: Correspondence) -> Iterator[Found]:
    """Two tags of one name, and what they hold if that is part of them."""
    x: dict[str, object] = {}
    y: dict[str, object] = {}
    if a.attributes != b.attributes:
        x |= pages.attributes(a.attributes)
        y |= pages.attributes(b.attributes)
    if a.name in pages.RAW:
        x[TEXT], y[TEXT] = pages.held(a.name, a.text), pages.held(b.name, b.text)
    for key in sorted(x.keys() | y.keys()):
        if x.get(key) != y.get(key):
            where = into(a.open().where(), *pages.segments(a.pieces[a.at]), key)
            if (found := leaf(x.get(key, ABSENT), y.get(key, ABSENT), *where, known)) is not None:
                yield found
