"""The parts that are wanted of a JSON document of any size, a piece of the document at a time. No I/O.

A HAR is one JSON value, of gigabytes if the answers in it are large: no more of it is held than one request.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from typing import Final

# What a piece of text holds of a string, and the next byte outside of strings that means anything.
_WITHIN: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_MEANING: Final = re.compile(rb'["{}\[\],:]')
_KEY: Final = 64  # bytes of a key that are looked at


class Unended(Exception):
    """The document ends in the middle of something."""


class Splitter:
    """`path`: the keys that lead to a part, "" for any element of a list. `limit`: bytes of a part; of a larger one
    None is given. `found`: whether the list is there, be it empty."""

    def __init__(self, path: tuple[str, ...], limit: int) -> None:
        self._path = [b"", *(key.encode() for key in path)]
        self._list = self._path[: self._path.index(b"", 1)]
        self._limit = limit
        self._open: list[bytes] = []  # the keys under which what is open stands, as deep as parts lie
        self._deeper = 0  # levels below that
        self._within = False  # a string
        self._string = b""
        self._key = b""
        self._part: bytearray | None = None
        self._large = False
        self.found = False

    def split(self, pieces: Iterable[bytes]) -> Iterator[bytes | None]:
        """Each part that is an object or a list. Raises Unended."""
        left = b""
        for piece in pieces:
            left = yield from self._piece(left + piece)
        if self._open or self._within or left:
            raise Unended

    def _piece(self, text: bytes) -> Generator[bytes | None, None, bytes]:
        """The parts that end in it; returns what can only be read with what follows."""
        at = 0
        while at < len(text):
            if self._within:
                found = _WITHIN.match(text, at)
                end = found.end() if found else at
                self._keep(text[at:end])
                self._string += text[at : min(end, at + _KEY - len(self._string))]
                if end == len(text) or text[end] != 0x22:
                    return text[end:]  # nothing, or a backslash
                self._within = False
                self._keep(b'"')
                at = end + 1
                continue
            following = _MEANING.search(text, at)
            end = following.end() if following else len(text)
            self._keep(text[at:end])
            at = end
            if following and self._meant(following[0]):
                part, self._part = self._part, None
                yield None if self._large or part is None else bytes(part)
        return b""

    def _meant(self, mark: bytes) -> bool:
        """Whether this byte ends a part."""
        if mark == b'"':
            self._within, self._string = True, b""
        elif mark == b":":
            self._key = self._string
        elif mark in b"{[":
            self._opens(mark)
        else:
            self._key = b""
            return mark != b"," and self._closes()
        return False

    def _opens(self, mark: bytes) -> None:
        if len(self._open) == len(self._path):
            self._deeper += 1
            return
        self._open.append(self._key)
        self._key = b""
        if self._open == self._path:
            self._part, self._large = bytearray(mark), False
        self.found = self.found or self._open == self._list

    def _closes(self) -> bool:
        if self._deeper:
            self._deeper -= 1
            return False
        ends = self._open == self._path
        if self._open:
            self._open.pop()
        return ends

    def _keep(self, text: bytes) -> None:
        if self._part is None or self._large:
            return
        if len(self._part) + len(text) > self._limit:
            self._large = True
            self._part.clear()
        else:
            self._part += text
