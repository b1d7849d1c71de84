"""A file of requests, of any size, and standard input: what is read of it, and how far that is."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from proxy.replay.forms import LINE, Form, Reading, Unreadable, document, form_of, line_reader, lines_of

STANDARD_INPUT: Final = "-"
PIECE: Final = 64 * 1024
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"


class Source:
    """`form`: what the file is; None: what it looks like. Raises Unreadable, in words that hold nothing of the file."""

    def __init__(self, name: str, form: Form | None = None) -> None:
        self.name = name
        try:
            # A descriptor of our own: whoever still reads when the process ends must not hold `sys.stdin`.
            raw = io.FileIO(os.dup(0) if name == STANDARD_INPUT else name)
            self._size = os.fstat(raw.fileno()).st_size if raw.seekable() else 0
        except OSError as error:
            raise Unreadable(f"it cannot be read: {error.strerror}") from None
        except ValueError:
            raise Unreadable("it cannot be read: this is no name of a file") from None
        plain = io.BufferedReader(raw, PIECE)
        self._raw = raw
        self._content: io.BufferedIOBase = plain
        self._head = b""
        try:
            with _readable():
                if plain.peek(2)[:2] == _GZIP:
                    self._content = gzip.GzipFile(fileobj=plain)
                self.form = form or self._recognised()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def progress(self) -> float | None:
        """How much of the file has been read, of 1; None where nobody knows how large it is."""
        if not self._size or self._raw.closed:
            return None
        return min(1.0, self._raw.tell() / self._size)

    def readings(self) -> Iterator[Reading]:
        """Everything that stands in it. Raises Unreadable where it cannot be read on."""
        if self.form in (Form.HAR, Form.MISMATCH):
            yield from document(self.form, self._pieces())
        else:
            yield from lines_of(line_reader(self.form), self._lines())

    def close(self) -> None:
        """Of the descriptor alone: who is still waiting for a pipe, in another thread, holds the rest."""
        self._raw.close()

    def _recognised(self) -> Form:
        """After as much of it as that takes."""
        while len(self._head) < PIECE and (more := self._content.read1(PIECE)):
            self._head += more
            if (found := form_of(self._head.removeprefix(_BOM).decode("utf-8", "replace"))) is not None:
                return found
        if not self._head.strip():
            raise Unreadable("it is empty")
        raise Unreadable("it looks like no HAR, access log or lines of JSON; if it is one of them, say so by --format")

    def _pieces(self) -> Iterator[bytes]:
        with _readable():
            begin = self._head or self._content.read1(PIECE)
            yield begin.removeprefix(_BOM)
            while piece := self._content.read1(PIECE):
                yield piece

    def _lines(self) -> Iterator[bytes]:
        """Each line; of one that is too long, its beginning."""
        left, cut = b"", False
        for piece in self._pieces():
            *lines, left = (left + piece).split(b"\n")
            for line in lines:
                if not cut:
                    yield line
                cut = False
            if len(left) > LINE:
                if not cut:
                    yield left
                left, cut = b"", True
        if left and not cut:
            yield left


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Unreadable("its gzip data is damaged, or ends in the middle") from None
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror or error}") from None
