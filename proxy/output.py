"""Standard output, written by a thread of its own: whoever reads it may be slow, or stop, and no traffic waits.

A line comes out within a tenth of a second, and every line before the process ends. While nobody reads, lines wait up
to a limit; beyond it they are lost, and how many is said as soon as somebody reads again.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

LINGER = 0.1  # seconds that a line may wait for others: a write costs more than a line
BATCH = 64 * 1024  # characters that wait for no more
LIMIT = 8 * 1024 * 1024  # characters that wait for a reader
PATIENCE = 5.0  # seconds that the end of the process waits for a reader


class Output:
    """Takes lines for a file descriptor, from any thread; its own thread begins with the first."""

    def __init__(self, descriptor: int = 1, limit: int = LIMIT) -> None:
        self._descriptor, self._limit = descriptor, limit
        self._lock = threading.RLock()  # a signal may come in the middle of a line, and have one to say
        self._lines: list[str] = []
        self._size = 0  # characters taken and not yet written
        self._lost = 0  # lines, since this was last said
        self._some, self._now = threading.Event(), threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Take a line. Never waits."""
        with self._lock:
            if self._size > self._limit:
                self._lost += 1
                self._some.set()
                return
            self._lines.append(line)
            self._size += len(line)
            first, many = len(self._lines) == 1, self._size > BATCH
            if self._thread is None:
                self._begin()
        if first:
            self._some.set()
        if many:
            self._now.set()

    def flush(self) -> None:
        """Write what was taken at once, and not only soon. Does not wait either."""
        self._now.set()

    def close(self, patience: float = PATIENCE) -> None:
        """Take no more, and return when all is written; when nobody reads, after a while."""
        if self._thread is None:
            return
        atexit.unregister(self.close)
        self._ending = True
        self._some.set()
        self._now.set()
        self._thread.join(patience)
        lost = self._lost + len(self._lines)
        if lost or self._thread.is_alive():
            words = f"standard output took no more: at least {lost} log records are lost"
            print(words, file=sys.stderr)  # noqa: T201  # where else, when the log itself is stuck

    def _begin(self) -> None:
        # A daemon: a write that nobody reads never returns, and would keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _run(self) -> None:
        while self._lines or not self._ending:
            self._some.wait()
            self._now.wait(LINGER)
            self._some.clear()
            self._now.clear()
            self._write_all()

    def _write_all(self) -> None:
        with self._lock:
            text, self._lines = "".join(self._lines), []
        missing = sum(self._missing(piece) for piece in _pieces(text.encode(errors="backslashreplace")))
        with self._lock:
            self._size -= len(text)
            lost, self._lost = self._lost + missing, 0
        if lost and self._missing(_notice(lost)):
            with self._lock:
                self._lost += lost

    def _missing(self, piece: bytes) -> int:
        """Write a piece; the number of lines that were not."""
        rest = memoryview(piece)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # somebody who shares the terminal or pipe has made it so
                    select.select([], [self._descriptor], [])
        except OSError:
            return bytes(rest).count(b"\n")
        return 0


def _pieces(data: bytes) -> Iterator[bytes]:
    """Whole lines, so few at a time that another process's lines never come between them in a pipe (`man 7 pipe`)."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + select.PIPE_BUF) + 1 or data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _notice(lost: int) -> bytes:
    record = {
        "lost": lost,
        "event": "log records were lost: standard output did not take them; traffic went on",
        "level": "warning",
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    return json.dumps(record).encode() + b"\n"
